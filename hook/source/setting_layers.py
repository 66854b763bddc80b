"""Where settings come from: the layers of text that hook.config reads, gathered from files, git and the environment."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from hook import config
from hook.source.git import GitError, Repository
from hook.source.tree import Source

_MOST_CONFIG_BYTES = 4 << 20  # of a .config


def user_file() -> pathlib.Path:
    """The person's own settings file (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return pathlib.Path(home) / "patch-triage.yaml"


def load(repo: Repository | None, base: Source | None = None, given: Sequence[config.Given] = ()) -> config.Settings:
    """The settings in force: for `repo` if there is one, with the settings file of the tree in `base`, and `given` above all.

    Raises config.WrongSetting.
    """
    layers: list[Sequence[config.Given]] = []
    if base is not None and (found := base.file(config.REPOSITORY_FILE)) is not None:
        layers.append(config.from_yaml(found.data or b"", config.REPOSITORY_FILE, repository=True))
    path = user_file()
    try:
        layers.append(config.from_yaml(path.read_bytes(), _home(path)))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as wrong:
        raise config.WrongSetting(f"{_home(path)}: {wrong.strerror}") from None
    if repo is not None:
        layers.append(config.from_git_config(git_config(repo)))
    layers.append(config.from_environment(os.environ))
    layers.append(given)
    settings = config.resolve(layers)
    return dataclasses.replace(settings, base_config=_base_config(settings)) if settings["fuzz.base_config"] else settings


def _base_config(settings: config.Settings) -> str:
    """The text of the .config that the person fuzzes with. Raises config.WrongSetting."""
    path = pathlib.Path(settings["fuzz.base_config"]).expanduser()
    origin = settings.origins["fuzz.base_config"]
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_CONFIG_BYTES + 1)
    except OSError as wrong:
        raise config.WrongSetting(f"{origin}: fuzz.base_config: {_home(path)}: {wrong.strerror}") from None
    if len(data) > _MOST_CONFIG_BYTES:
        raise config.WrongSetting(f"{origin}: fuzz.base_config: {_home(path)} has more than {_MOST_CONFIG_BYTES} bytes: it is no .config")
    return data.decode("utf-8", "replace")


def git_config(repo: Repository) -> list[tuple[str, str, str]]:
    """The patchtriage.* entries of git's configuration, as (origin, key, value), in git's order: the last wins."""
    out = repo.run("config", "-z", "--show-origin", "--get-regexp", r"^patchtriage\.", ok=(0, 1))
    words = os.fsdecode(out).split("\0")
    entries = []
    for origin, entry in zip(words[::2], words[1::2], strict=False):
        key, _, value = entry.partition("\n")
        entries.append((origin.removeprefix("file:"), key, value))
    return entries


def switched_off(repo: Repository) -> str:
    """Why the person does not want us to run, empty if they do. A value that git does not take for a boolean is no wish."""
    if os.environ.get("PATCH_TRIAGE", "").lower() in ("0", "no", "false", "off"):
        return f"PATCH_TRIAGE={os.environ['PATCH_TRIAGE']}"
    try:
        answer = repo.run("config", "--type=bool", "--get", "patchtriage.enabled", ok=(0, 1)).strip()
    except GitError:
        return ""
    return "git config patchtriage.enabled is false" if answer == b"false" else ""


def _home(path: pathlib.Path) -> str:
    try:
        return f"~/{path.relative_to(pathlib.Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
