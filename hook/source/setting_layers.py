"""The layers of settings, read from files, git and the environment.

From weakest to strongest: the defaults; `.patch-triage.yaml` of the revision against which a change is judged, for the few settings that
a tree may set; the person's own file; git config; the environment; the command line.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hook import config, lazy_re, setting_checks
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects
from hook.source.own_files import tell_once
from hook.source.tree import Source

MAX_FILE_BYTES = 64 * 1024  # of a settings file
_SYZBOT_FOLDER = "dashboard/config/linux"  # of syzkaller: the configurations of syzbot
_SYZBOT = {
    "x86_64": "upstream-apparmor-kasan", "arm64": "upstream-arm64-kasan", "arm": "upstream-arm-kasan", "riscv": "upstream-riscv64-kasan",
    "s390": "upstream-s390-kasan",
}  # fmt: skip
_SYZBOT_NAME = lazy_re.compile(r"[\w.-]+", re.ASCII)
_FALSE = lazy_re.compile(r"|no|off|false|\s*[-+]?(?:0+|0x0+)[kmg]?", re.IGNORECASE)  # as git-config(1) reads a boolean
_VERSION = lazy_re.compile(rb"(?m)^(VERSION|PATCHLEVEL|SUBLEVEL) = (\d{1,4})$")
REPOSITORY_FILE = ".patch-triage.yaml"
_MOST_FILE_BYTES = 4 << 20  # of a .config or a catalogue


def user_file() -> pathlib.Path:
    """The person's own settings file (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return pathlib.Path(home) / "patch-triage.yaml"


def load(
    repo: Repository | None,
    base: Source | None = None,
    given: Sequence[config.Given] = (),
    tell: Callable[[str], None] = tell_once,
) -> config.Settings:
    """The settings in force: for `repo` if there is one, with the settings file of the tree in `base`, and `given` above all.

    Settings of earlier versions and errors in the tree's file are ignored; `tell` gets a line about them.
    Raises config.WrongSetting for an error in the person's own settings.
    """
    layers: list[Sequence[config.Given]] = []
    if base is not None:
        of_tree, wrongs = _of_tree(base)
        layers.append(of_tree)
        if wrongs:
            tell(f"ignored in the tree: {wrongs[0]}" + (f" (and {len(wrongs) - 1} more)" if len(wrongs) > 1 else ""))
    path = user_file()
    try:
        layers.append(from_yaml(path.read_bytes(), _home(path)))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as wrong:
        raise config.WrongSetting(f"{_home(path)}: {wrong.strerror}") from None
    if repo is not None:
        layers.append(from_git_config(git_config(repo)))
    layers.append(from_environment(os.environ))
    layers.append(given)
    settings = config.resolve(layers)
    if repo is not None:
        bring_into_force(repo, settings)
    if settings.retired:
        names = ", ".join(dict.fromkeys(old_setting.name for old_setting in settings.retired))
        tell(f"{settings.retired[0].origin}: ignored, no longer a setting: {names} (docs/settings.md)")
    base_config, base_config_file, catalogue = None, "", None
    if settings.fuzz.base_config:
        path = _base_config_file(settings, base)
        base_config, base_config_file = _text_of_file(settings, "fuzz.base_config", path), str(path)
    if settings.fuzz.catalogue:
        catalogue = _text_of_file(settings, "fuzz.catalogue", pathlib.Path(settings.fuzz.catalogue).expanduser())
    return settings.with_files(base_config, base_config_file, catalogue)


def bring_into_force(repo: Repository, settings: config.Settings) -> None:
    """Apply the settings that are about the repository: the limit for git calls, and the directory of the word index."""
    shared = settings.index.directory
    repo.in_force.seconds = settings.limits.git_seconds
    repo.in_force.index_directory = pathlib.Path(shared).expanduser() if shared else None


def _base_config_file(settings: config.Settings, base: Source | None) -> pathlib.Path:
    """The path of the .config that the person fuzzes with. Raises config.WrongSetting."""
    base_config, arch = settings.fuzz.base_config, settings.target.arch
    if base_config != "syzbot" and not base_config.startswith("syzbot:"):
        return pathlib.Path(base_config).expanduser()
    origin = f"{settings.origins['fuzz.base_config']}: fuzz.base_config: {setting_checks.shown(base_config)}"
    if not settings.fuzz.syzkaller:
        raise config.WrongSetting(f"{origin} needs fuzz.syzkaller, a checkout of syzkaller: its dashboard/config/linux is read")
    folder = pathlib.Path(settings.fuzz.syzkaller).expanduser() / _SYZBOT_FOLDER
    name = base_config.partition(":")[2]
    if name and not _SYZBOT_NAME.fullmatch(name):
        raise config.WrongSetting(f"{origin}: not a configuration name, such as upstream-kmsan")
    if not name:
        name = _SYZBOT.get(arch, "")
        if not name:
            raise config.WrongSetting(f"{origin}: syzbot has no configuration for {arch}: name one, such as syzbot:upstream-apparmor-kasan")
        stable = f"stable-{_stable(base)}-{'' if arch == 'x86_64' else f'{arch}-'}kasan"
        if (folder / f"{stable}.config").is_file():
            name = stable
    return folder / f"{name}.config"


def _stable(base: Source | None) -> str:
    """The stable series of a tree, `6.6`; empty if it belongs to none, or the makefile cannot be read."""
    try:
        makefile = base.file("Makefile") if base is not None else None
    except GitError:
        return ""
    versions = dict(_VERSION.findall(makefile.data)) if makefile is not None and makefile.data else {}
    if int(versions.get(b"SUBLEVEL", b"0")) == 0:
        return ""
    return b".".join((versions.get(b"VERSION", b""), versions.get(b"PATCHLEVEL", b""))).decode("ascii")


def _text_of_file(settings: config.Settings, name: str, path: pathlib.Path) -> str:
    """The text of the file that a setting names. Raises config.WrongSetting."""
    origin = f"{settings.origins[name]}: {name}: {_home(path)}"
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_FILE_BYTES + 1)
    except OSError as wrong:
        raise config.WrongSetting(f"{origin}: {wrong.strerror}") from None
    if len(data) > _MOST_FILE_BYTES:
        raise config.WrongSetting(f"{origin} has more than {_MOST_FILE_BYTES} bytes: it is another file")
    return data.decode("utf-8", "replace")


def at(objects: Objects, revision: str, values: Sequence[config.Given] = (), tell: Callable[[str], None] = tell_once) -> config.Settings:
    """The settings in force for a change against `revision` (empty: the empty tree). Sets the size limit of `objects`."""
    settings = load(objects.repo, Source(objects, revision or objects.repo.empty_tree), values, tell)
    objects.limit_bytes = settings.limits.blob_bytes
    return settings


def from_yaml(text: bytes, origin: str) -> list[config.Given]:
    """The values in a settings file. Raises WrongSetting with the line.

    A file over 64 KiB is refused, and whatever hook.source.bounded_yaml refuses: a settings file may come with an untrusted tree.
    """
    if len(text) > MAX_FILE_BYTES:
        raise config.WrongSetting(f"{origin}: a settings file has at most {MAX_FILE_BYTES} bytes, this one {len(text)}")
    from hook.source import bounded_yaml

    try:
        root = bounded_yaml.compose(text.decode())
    except UnicodeDecodeError:
        raise config.WrongSetting(f"{origin}: not UTF-8 text") from None
    except bounded_yaml.Refused as wrong:
        line = f":{wrong.line}" if wrong.line else ""
        raise config.WrongSetting(f"{origin}{line}: {wrong}") from None
    values: list[config.Given] = []
    sections = {name.partition(".")[0] for name in config.BY_NAME}
    for section, body in _pairs(root, origin):
        place = f"{origin}:{section.start_mark.line + 1}"
        if section.value not in sections:
            raise config.WrongSetting(
                f"{place}: unknown section {setting_checks.shown(section.value)}; there are {', '.join(sorted(sections))}"
            )
        for key, value in _pairs(body, origin):
            place = f"{origin}:{key.start_mark.line + 1}"
            name = f"{section.value}.{key.value}"
            try:
                plain = bounded_yaml.plain(value)
            except bounded_yaml.Refused as wrong:
                raise config.WrongSetting(f"{place}: {name}: {wrong}") from None
            values.append(config.Given(name, plain, place))
    return values


def _of_tree(base: Source) -> tuple[list[config.Given], list[str]]:
    """The values that the settings file of a tree may set, and the errors in the rest of it, which is ignored.

    An untrusted file can neither set what only the person may set, nor make a command fail.
    """
    try:
        blob = base.file(REPOSITORY_FILE)
        if blob is None:
            return [], []
        if blob.data is None or blob.size > MAX_FILE_BYTES:
            return [], [f"{REPOSITORY_FILE}: a settings file has at most {MAX_FILE_BYTES} bytes, this one {blob.size}"]
        values = from_yaml(blob.data, REPOSITORY_FILE)
    except (config.WrongSetting, GitError) as wrong:
        return [], [str(wrong)]
    allowed_values, wrongs = [], []
    for value in values:
        field = config.BY_NAME.get(value.name)
        if field is not None and not field.by_tree:
            allowed = ", ".join(field.name for field in config.BY_NAME.values() if field.by_tree)
            wrongs.append(f"{value.origin}: {value.name} cannot be set by a tree, only {allowed}")
            continue
        try:
            if value.name not in config.RETIRED:
                config.checked(value)
            allowed_values.append(value)
        except config.WrongSetting as wrong:
            wrongs.append(str(wrong))
    return allowed_values, wrongs


def _pairs(node: Any, origin: str) -> list[tuple[Any, Any]]:
    """The entries of a YAML mapping node; an empty node has none."""
    if node is None or (node.id == "scalar" and node.value in ("", "~", "null")):
        return []
    if node.id != "mapping":
        raise config.WrongSetting(f"{origin}:{node.start_mark.line + 1}: expected `key: value` lines here")
    for key, _ in node.value:
        if key.id != "scalar":
            raise config.WrongSetting(f"{origin}:{key.start_mark.line + 1}: expected `key: value` lines here")
    return list(node.value)


def from_git_config(entries: Sequence[tuple[str, str, str]]) -> list[config.Given]:
    """The values in `git config --list` entries (origin, key, value), whose keys cannot have an underscore.

    `patchtriage.push.maxCommits` is push.max_commits; git ignores the case of the last word. `patchtriage.enabled` is the off switch, not
    a setting.
    """
    plain = {name.replace("_", ""): name for name in (*config.BY_NAME, *config.RETIRED)}
    values = []
    for origin, key, value in entries:
        name = key.removeprefix("patchtriage.")
        if name == "enabled" or name.lower() == config.AGENT_HOST_KEY.lower():
            continue
        values.append(config.Given(plain.get(name.lower().replace("-", ""), name), value, f"git config {origin}"))
    return values


def from_environment(environment: Mapping[str, str]) -> list[config.Given]:
    """The values of PATCH_TRIAGE_<SECTION>_<KEY> variables."""
    names = {"PATCH_TRIAGE_" + name.upper().replace(".", "_"): name for name in (*config.BY_NAME, *config.RETIRED)}
    return [
        config.Given(names.get(key, key), value, f"environment variable {key}")
        for key, value in environment.items()
        if key.startswith("PATCH_TRIAGE_")
    ]


def git_config(repo: Repository) -> list[tuple[str, str, str]]:
    """The patchtriage.* entries of git's configuration, as (origin, key, value), in git's order: the last wins."""
    if repo.in_force.git_config is not None:
        return repo.in_force.git_config
    out = repo.run("config", "-z", "--show-origin", "--get-regexp", r"^patchtriage\.", ok=(0, 1))
    words = os.fsdecode(out).split("\0")
    entries = []
    for origin, entry in zip(words[::2], words[1::2], strict=False):
        key, line_break, value = entry.partition("\n")
        entries.append((origin.removeprefix("file:"), key, value if line_break else "true"))  # as git-config(1) reads a key alone
    return entries


def switched_off(repo: Repository) -> str:
    """Why the person has switched us off; empty if they have not. A value that is no boolean for git does not count."""
    if os.environ.get("PATCH_TRIAGE", "").lower() in ("0", "no", "false", "off"):
        return f"PATCH_TRIAGE={os.environ['PATCH_TRIAGE']}"
    try:
        values = [value for _, key, value in git_config(repo) if key == "patchtriage.enabled"]
    except GitError:
        return ""
    return "git config patchtriage.enabled is false" if values and _FALSE.fullmatch(values[-1]) else ""


def _home(path: pathlib.Path) -> str:
    try:
        return f"~/{path.relative_to(pathlib.Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
