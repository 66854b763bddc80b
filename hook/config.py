"""The settings: what a person may set, where it may come from, and what is allowed.

From weakest to strongest: the defaults; `.patch-triage.yaml` of the revision a change is judged against, for the few settings of its
allow-list; the person's own file; git config; the environment; the command line. This module only reads text that it is given.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence

MAX_FILE_BYTES = 64 * 1024
REPOSITORY_FILE = ".patch-triage.yaml"
PRICE = re.compile(r"(?:(?P<model>\S+)=)?(?P<input>\d+(?:\.\d+)?)/(?P<output>\d+(?:\.\d+)?)(?:/(?P<thoughts>\d+(?:\.\d+)?))?\Z")
TOOLCHAIN = re.compile(r"(gcc|clang)-(\d{1,3})((?:[ ,+](?:pahole|rustc)-\d{1,3}(?:\.\d{1,3}){0,2})*)\Z")


class WrongSetting(Exception):
    """A setting that cannot be used; the sentence names where it stands and what is allowed."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One thing a person may set."""

    name: str  # SECTION.KEY
    default: typing.Any
    read: Callable[[typing.Any], typing.Any]  # raises ValueError with what is allowed
    why: str
    repository: bool = False  # whether a tree's own settings file may give it: display and hints only
    bears: bool = True  # on what is said of a change: a verdict in the cache is good only for the same value


def _whole(low: int, high: int) -> Callable[[typing.Any], int]:
    def read(value: typing.Any) -> int:
        if isinstance(value, str) and value.strip().lstrip("-").isdigit():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return read


def _seconds(low: float, high: float) -> Callable[[typing.Any], float]:
    def read(value: typing.Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if isinstance(value, bool) or not low <= number <= high:
            raise ValueError(f"a number of seconds from {low:g} to {high:g}")
        return number

    return read


def _one_of(*allowed: str) -> Callable[[typing.Any], str]:
    def read(value: typing.Any) -> str:
        if value is False and "never" in allowed:  # YAML 1.1 reads a bare `off` or `no` so
            value = "never"
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return str(value)

    return read


def _some_of(*allowed: str) -> Callable[[typing.Any], tuple[str, ...]]:
    def read(value: typing.Any) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [word for word in value.replace(",", " ").split() if word]
        if not isinstance(value, (list, tuple)) or not value or not all(word in allowed for word in value):
            raise ValueError(f"one or more of {', '.join(allowed)}")
        return tuple(dict.fromkeys(value))

    return read


def _number(low: float, high: float) -> Callable[[typing.Any], float]:
    def read(value: typing.Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if isinstance(value, bool) or not low <= number <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return number

    return read


def _words(value: typing.Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) and word for word in value):
        raise ValueError("a list of words")
    return tuple(dict.fromkeys(value))


def _tree_patterns(value: typing.Any) -> tuple[str, ...]:
    """Patterns of tree paths, without `./` and a slash or `/*` at the end; one that could match nothing is refused."""
    found = []
    for word in _words(value):
        pattern = word.removeprefix("./")
        while pattern.endswith(("/", "/*")):
            pattern = pattern.removesuffix("*").removesuffix("/")
        if not pattern or pattern.startswith(("/", ":")) or ".." in pattern.split("/"):
            raise ValueError('a list of paths or patterns from the top of the tree, such as "drivers/secret"')
        found.append(pattern)
    return tuple(dict.fromkeys(found))


def _prices(value: typing.Any) -> tuple[str, ...]:
    words = _words(value)
    if not all(PRICE.match(word) for word in words):
        raise ValueError("a list of INPUT/OUTPUT or INPUT/OUTPUT/THOUGHTS, each for MODEL=, such as 1.25/10 or big=3/15/15")
    return words


def _machine(value: typing.Any) -> tuple[str, ...]:
    """`qemu-any` or `gce`, or the devices that there are; whether QEMU has one of that name is found out where its catalogue is read."""
    words = _words(value)
    if not words or (len(words) > 1 and {"qemu-any", "gce"} & set(words)):
        raise ValueError("qemu-any, gce, or a list of devices as QEMU names them, such as e1000e")
    return words


def _url(value: typing.Any) -> str:
    import urllib.parse

    try:
        parts = urllib.parse.urlsplit(value) if isinstance(value, str) else None
        good = parts is not None and (not value or (parts.scheme in ("http", "https") and bool(parts.hostname)))
    except ValueError:
        good = False
    if not good or not str(value).isprintable():
        raise ValueError("a URL such as http://127.0.0.1:8000/v1")
    return str(value)


def _flag(value: typing.Any) -> bool:
    if isinstance(value, str):
        value = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}.get(value.lower())
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: typing.Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def _matching(form: re.Pattern[str], what: str) -> Callable[[typing.Any], str]:
    def read(value: typing.Any) -> str:
        if not isinstance(value, str) or not form.match(value):
            raise ValueError(what)
        return value

    return read


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "target.arch",
        "x86_64",
        _one_of("x86_64", "arm64", "arm", "i386", "loongarch", "mips", "powerpc", "riscv", "s390"),
        "the architecture that will be fuzzed; code of the others is out of reach",
    ),
    Setting("focus.max_symbols", 10, _whole(1, 1000), "at most so many names in FocusSymbols, best first", repository=True),
    Setting("fuzz.base_config", "", _text, "the .config that is fuzzed with; empty: defconfig and kvm_guest.config of the tree"),
    Setting(
        "fuzz.toolchain",
        "gcc-12",
        _matching(TOOLCHAIN, "gcc-12 or clang-19, perhaps with pahole-1.25 or rustc-1.78"),
        "what builds the kernel: it answers where Kconfig asks a compiler or a tool",
    ),
    Setting("fuzz.syzkaller", "", _text, "a checkout of syzkaller: whether its descriptions reach a change is said; read as text"),
    Setting(
        "fuzz.vm",
        ("qemu-any",),
        _machine,
        "what the fuzzed machine has: qemu-any (whatever QEMU emulates), gce, or a list of devices as QEMU names them",
    ),
    Setting("reach.max_hops", 24, _whole(1, 100), "follow callers of callers of a changed function for at most so many hops"),
    Setting(
        "reach.max_caller_files", 24, _whole(1, 10_000), "look for the callers of one function in at most so many files, the nearest first"
    ),
    Setting("reach.check_files", 16, _whole(1, 100_000), "read at most so many files for the ways in of one change"),
    Setting("reach.check_seconds", 0.05, _seconds(0.01, 600), "search for at most so long for them; what is cut short stays unknown"),
    Setting("reach.max_files", 2000, _whole(1, 100_000), "the same, where somebody waits for it: with -v, and before a model is asked"),
    Setting("reach.max_seconds", 5.0, _seconds(0.01, 600), "the same"),
    Setting(
        "record.format",
        ("note",),
        _some_of("note", "trailer", "file"),
        "where a verdict is kept; trailer also needs its message hooks: run `patch-triage install` again",
        repository=True,
    ),
    Setting("record.directory", "", _text, "directory of the `file` record; empty: patch-triage/verdicts in the git directory"),
    Setting("record.lock_seconds", 2.0, _seconds(0, 60), "how long a hook waits for another writer before it queues the record"),
    Setting("output.colour", "auto", _one_of("auto", "always", "never"), "colours in what a person reads", repository=True),
    Setting(
        "policy.block",
        "never",
        _one_of("never", "unjudged", "worth-fuzzing"),
        "which commits stop a push: none, those that stayed open, or also those worth fuzzing",
    ),
    Setting("push.max_commits", 100, _whole(1, 100_000), "judge at most so many commits of a push, newest first"),
    Setting("base.max_commits", 200, _whole(1, 100_000), "look for a mailed patch's base among so many recent commits"),
    Setting("cache.enabled", True, _flag, "reuse the verdict of a change that was judged before"),
    Setting("cache.max_entries", 20_000, _whole(100, 10_000_000), "keep so many verdicts in the cache, newest first"),
    Setting("limits.git_seconds", 60.0, _seconds(1, 3600), "how long one git call may take"),
    Setting("limits.diff_bytes", 64 << 20, _whole(1 << 10, 1 << 32), "read at most so much diff text; beyond it the change stays open"),
    Setting("limits.blob_bytes", 16 << 20, _whole(1 << 10, 1 << 32), "read files up to this size; larger ones stay open"),
    Setting("limits.mail_bytes", 64 << 20, _whole(1 << 10, 1 << 32), "read at most so much mail"),
    Setting("push.wait_seconds", 60.0, _seconds(0, 86_400), "how long a push waits for the model where commits are open", bears=False),
    Setting("agent.base_url", "", _url, "the OpenAI-compatible endpoint (http://127.0.0.1:8000/v1); empty: no model is asked"),
    Setting("agent.model", "", _text, "the model to ask"),
    Setting("agent.models", (), _words, "models to fall back on where the first is overloaded, in order"),
    Setting("agent.key_variable", "OPENAI_API_KEY", _text, "the environment variable that holds the endpoint's key"),
    Setting("agent.key_command", "", _text, "a command that prints the key, instead of the variable; run without a shell"),
    Setting(
        "agent.at_commit", "pending", _one_of("pending", "wait"), "whether a commit waits for the model, or records the question as pending"
    ),
    Setting("agent.commit_seconds", 30.0, _seconds(0, 3600), "how long a commit waits, if it does"),
    Setting("agent.background", True, _flag, "let a worker in the background ask what a commit has left pending", bears=False),
    Setting(
        "agent.settle_seconds",
        2.0,
        _seconds(0, 3600),
        "how long a commit rests before the worker asks: it may be amended at once",
        bears=False,
    ),
    Setting("agent.background_tries", 5, _whole(1, 100), "give a question up that got no answer so often", bears=False),
    Setting(
        "agent.background_pause_seconds",
        30.0,
        _seconds(0, 3600),
        "how long the worker waits after the first failure; then longer",
        bears=False,
    ),
    Setting("agent.background_days", 7, _whole(1, 365), "give a question up that could not be asked for so many days", bears=False),
    Setting(
        "agent.price",
        (),
        _prices,
        "money for a million tokens, INPUT/OUTPUT/THOUGHTS, for one model MODEL=INPUT/OUTPUT/THOUGHTS; empty: money is not counted",
        bears=False,
    ),
    Setting(
        "agent.max_patch_tokens", 1_000_000, _whole(0, 10**12), "spend at most so many tokens on one patch a day; 0: no limit", bears=False
    ),
    Setting("agent.max_patch_money", 0.0, _number(0, 10**9), "spend at most so much on one patch a day; 0: no limit", bears=False),
    Setting("agent.max_push_tokens", 5_000_000, _whole(0, 10**12), "spend at most so many tokens in one push; 0: no limit", bears=False),
    Setting("agent.max_push_money", 0.0, _number(0, 10**9), "spend at most so much in one push; 0: no limit", bears=False),
    Setting(
        "agent.max_day_tokens",
        20_000_000,
        _whole(0, 10**12),
        "spend at most so many tokens a day in one repository; 0: no limit",
        bears=False,
    ),
    Setting("agent.max_day_money", 0.0, _number(0, 10**9), "spend at most so much a day in one repository; 0: no limit", bears=False),
    Setting("agent.never_branches", (), _words, "branches whose work is never sent (globs)"),
    Setting("agent.never_paths", (), _tree_patterns, "files that are never sent, nor shown to a model (globs, or directories)"),
    Setting("agent.prompts", "", _text, "directory of prompts of your own: PROFILE/NAME.md"),
    Setting("agent.max_rounds", 40, _whole(1, 250), "at most so many rounds with the model, for each of the two questions"),
    Setting("agent.max_tokens", 500_000, _whole(1000, 100_000_000), "spend at most so many tokens on each of the two questions"),
    Setting("agent.max_seconds", 600.0, _seconds(1, 86_400), "at most so long for one change, where nothing shorter holds"),
    Setting("agent.max_refusals", 4, _whole(0, 100), "refuse results that do not hold at most so often"),
    Setting("agent.max_parallel_calls", 10, _whole(1, 64), "run at most so many calls of a round, in parallel"),
    Setting("agent.request_seconds", 180.0, _seconds(1, 3600), "how long one request may take"),
    Setting("agent.tool_seconds", 20.0, _seconds(0.1, 600), "how long one search of the tree may take"),
    Setting("agent.reply_tokens", 16_384, _whole(256, 1_000_000), "at most so many tokens in one answer, thoughts included"),
    Setting("agent.window_tokens", 128_000, _whole(2000, 10_000_000), "what the model can read at once; older tool results are cut to fit"),
    Setting("agent.diff_bytes", 100_000, _whole(1000, 10_000_000), "send at most so much of the diff; the rest is for the tools"),
    Setting(
        "agent.context_tokens",
        6000,
        _whole(500, 1_000_000),
        "show at most so many tokens of the change and what belongs to it at the start; the rest is for the tools",
    ),
    Setting("agent.context_seconds", 2.0, _seconds(0, 60), "look up at most so long what belongs to the change, before the model is asked"),
    Setting("agent.temperature", 0.0, _number(0, 2), "left out where an endpoint refuses it"),
    Setting("agent.max_trajectories", 500, _whole(1, 100_000), "keep so many trajectories, newest first"),
    Setting("limits.lookup_files", 20_000, _whole(1, 10_000_000), "look into at most so many files for one question about the tree"),
    Setting("limits.lookup_seconds", 20.0, _seconds(0.1, 3600), "how long one question about the tree may take"),
    Setting("index.background", True, _flag, "let `check` make the word index of a large tree in the background"),
    Setting("index.blob_bytes", 64 << 20, _whole(1 << 10, 1 << 32), "index files up to this size; larger ones are looked into every time"),
    Setting("index.max_bytes", 400 << 20, _whole(1 << 20, 1 << 40), "an index beyond this forgets all revisions but the newest"),
    Setting(
        "index.no_definitions",
        ("drivers/gpu/drm/amd/include/*", "drivers/accel/habanalabs/include/*/asic_reg/*"),
        _words,
        "generated headers: what they define is found by looking into them (globs)",
    ),
    Setting("patchwork.url", "", _url, "the Patchwork that `export patchwork --post` posts to (https://patchwork.example.org)"),
    Setting("patchwork.token_variable", "PATCHWORK_TOKEN", _text, "the environment variable that holds its API token"),
    Setting("patchwork.token_command", "", _text, "a command that prints the token, instead of the variable; run without a shell"),
    Setting("patchwork.context", "patch-triage", _text, "the name of our check there: letters, digits, - and _"),
    Setting("patchwork.target_url", "", _url, "what the check links to"),
    Setting("patchwork.seconds", 30.0, _seconds(0.1, 600), "how long one request to Patchwork, or the token's command, may take"),
    Setting(
        "limits.evidence_seconds",
        20.0,
        _seconds(0.1, 3600),
        "compare the files of one change for at most so long; the rest is judged by path",
    ),
    Setting("limits.evidence_facts", 200, _whole(1, 100_000), "list at most so many facts in a verdict"),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}
AGENT_HOST_KEY = "agent.allowedHost"  # in git's configuration of one repository: the consent, no setting
_SECTIONS = {setting.name.partition(".")[0] for setting in SETTINGS}


@dataclasses.dataclass(frozen=True)
class Given:
    """One value that somebody set."""

    name: str
    value: typing.Any
    origin: str  # file:line, `git config …`, or the variable


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings in force; `origins` tells where each came from."""

    values: Mapping[str, typing.Any]
    origins: Mapping[str, str]
    base_config: str | None = None  # the text of the file that fuzz.base_config names

    def __getitem__(self, name: str) -> typing.Any:
        return self.values[name]

    def fingerprint(self) -> str:
        """All values that bear on a verdict, as one text: equal settings have equal fingerprints."""
        base = "" if self.base_config is None else hashlib.sha256(self.base_config.encode("utf-8", "replace")).hexdigest()
        return "\n".join([*(f"{name}={self.values[name]!r}" for name in sorted(self.values) if BY_NAME[name].bears), base])


def resolve(layers: Iterable[Sequence[Given]]) -> Settings:
    """The settings from layers of given values, the strongest last. Raises WrongSetting at the first wrong name or value."""
    values = {setting.name: setting.default for setting in SETTINGS}
    origins = {setting.name: "default" for setting in SETTINGS}
    for layer in layers:
        for given in layer:
            setting = BY_NAME.get(given.name)
            if setting is None:
                raise WrongSetting(f"{given.origin}: unknown setting {given.name}{_nearest(given.name)}")
            try:
                values[given.name] = setting.read(given.value)
            except ValueError as wrong:
                raise WrongSetting(f"{given.origin}: {given.name}: {_shown(given.value)} is not {wrong}") from None
            origins[given.name] = given.origin
    return Settings(values, origins)


def from_yaml(text: bytes, origin: str, *, repository: bool = False) -> list[Given]:
    """The values in a settings file. With `repository`, only those of the allow-list; any other is refused by name.

    Aliases, tags and files over 64 KiB are refused: a settings file can come with a stranger's tree. Raises WrongSetting with the line.
    """
    if len(text) > MAX_FILE_BYTES:
        raise WrongSetting(f"{origin}: a settings file has at most {MAX_FILE_BYTES} bytes, this one {len(text)}")
    import yaml

    try:
        decoded = text.decode()
        if any(isinstance(token, (yaml.AliasToken, yaml.AnchorToken)) for token in yaml.scan(decoded, Loader=yaml.SafeLoader)):
            raise WrongSetting(f"{origin}: YAML anchors and aliases are not read here; write the value out")
        root = yaml.compose(decoded, Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise WrongSetting(f"{origin}: not UTF-8 text") from None
    except (yaml.YAMLError, RecursionError) as wrong:
        mark = getattr(wrong, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise WrongSetting(f"{origin}{line}: not YAML: {getattr(wrong, 'problem', None) or 'nested too deep'}") from None
    found: list[Given] = []
    for section, body in _pairs(root, origin):
        where = f"{origin}:{section.start_mark.line + 1}"
        if section.value not in _SECTIONS:
            raise WrongSetting(f"{where}: unknown section {_shown(section.value)}; there are {', '.join(sorted(_SECTIONS))}")
        for key, value in _pairs(body, origin):
            where = f"{origin}:{key.start_mark.line + 1}"
            name = f"{section.value}.{key.value}"
            try:
                plain = yaml.constructor.SafeConstructor().construct_document(value)
            except yaml.YAMLError:
                raise WrongSetting(f"{where}: {name}: a value that is not plain YAML") from None
            if repository and name in BY_NAME and not BY_NAME[name].repository:
                allowed = ", ".join(setting.name for setting in SETTINGS if setting.repository)
                raise WrongSetting(f"{where}: {name} cannot be set by a tree, only {allowed}")
            found.append(Given(name, plain, where))
    return found


def _pairs(node: typing.Any, origin: str) -> list[tuple[typing.Any, typing.Any]]:
    """The entries of a YAML mapping node; an empty node has none."""
    if node is None or (node.id == "scalar" and node.value in ("", "~", "null")):
        return []
    if node.id != "mapping":
        raise WrongSetting(f"{origin}:{node.start_mark.line + 1}: expected `key: value` lines here")
    return list(node.value)


def from_git_config(entries: Sequence[tuple[str, str, str]]) -> list[Given]:
    """The values in `git config --list` entries (origin, key, value), whose keys cannot hold an underscore.

    `patchtriage.push.maxCommits` is push.max_commits; git folds the case of the last word. `patchtriage.enabled` is the off switch, no
    setting.
    """
    plain = {setting.name.replace("_", ""): setting.name for setting in SETTINGS}
    found = []
    for origin, key, value in entries:
        name = key.removeprefix("patchtriage.")
        if name == "enabled" or name.lower() == AGENT_HOST_KEY.lower():
            continue
        found.append(Given(plain.get(name.lower().replace("-", ""), name), value, f"git config {origin}"))
    return found


def from_environment(environment: Mapping[str, str]) -> list[Given]:
    """The values of PATCH_TRIAGE_<SECTION>_<KEY> variables."""
    names = {"PATCH_TRIAGE_" + setting.name.upper().replace(".", "_"): setting.name for setting in SETTINGS}
    return [
        Given(names.get(key, key), value, f"environment variable {key}")
        for key, value in environment.items()
        if key.startswith("PATCH_TRIAGE_")
    ]


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, BY_NAME, 1)
    return f"; did you mean {near[0]}?" if near else "; `patch-triage config` lists them"


def _shown(value: typing.Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = "".join(char for char in text[:60] if char.isprintable())
    return f'"{text}"'
