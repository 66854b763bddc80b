"""The settings: what a person may set, its default, what is allowed, and what each is for.

Code reads `settings.reach.max_files`. Where values come from (files, git, the environment) is `hook.source.setting_layers`.
To add a setting: one field here, one line in config.example.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from hook import setting_checks as checks
from hook.digest import sha256
from hook.setting_checks import TOOLCHAIN, Check, Value

AGENT_HOST_KEY = "agent.allowedHost"  # in git's configuration of one repository: the consent, no setting


class WrongSetting(Exception):
    """A setting that cannot be used; the sentence names where it stands and what is allowed."""


class Field:
    """What is known of one setting."""

    name: str  # SECTION.KEY, given by its group

    def __init__(self, default: Any, check: Check[Any], doc: str, *, by_tree: bool, bears: bool) -> None:
        self.default = default
        self.check = check
        self.doc = doc
        self.by_tree = by_tree  # whether a tree's own settings file may give it: display and hints only
        self.bears = bears  # on what is said of a change: a verdict in the cache is good only for the same value


def _field(default: Value, check: Check[Value], doc: str, *, by_tree: bool = False, bears: bool = True) -> Value:
    """A field of a group: its value for the type checker, its description until a group is made."""
    return Field(default, check, doc, by_tree=by_tree, bears=bears)  # type: ignore[return-value]


class SettingGroup:
    """Settings that belong together. A plain class, since every hook pays for what is built at import."""

    fields: ClassVar[dict[str, Field]]

    def __init_subclass__(cls, name: str) -> None:
        cls.fields = {key: field for key, field in vars(cls).items() if isinstance(field, Field)}
        for key, field in cls.fields.items():
            field.name = f"{name}.{key}"
            BY_NAME[field.name] = field

    def __init__(self, values: Mapping[str, object]) -> None:
        self.__dict__.update((key, values[field.name]) for key, field in self.fields.items())

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"settings are not changed: {key}")


BY_NAME: dict[str, Field] = {}


class TargetSettings(SettingGroup, name="target"):
    """What is fuzzed."""

    arch: str = _field(
        "x86_64",
        checks.one_of("x86_64", "arm64", "arm", "i386", "loongarch", "mips", "powerpc", "riscv", "s390"),
        "the architecture that will be fuzzed: x86_64, arm64, arm, i386, loongarch, mips, powerpc, riscv or s390",
    )


class FocusSettings(SettingGroup, name="focus"):
    """Where a fuzzer should aim."""

    max_symbols: int = _field(10, checks.whole(1, 1000), "at most N names in FocusSymbols, best first", by_tree=True)


class FuzzSettings(SettingGroup, name="fuzz"):
    """How the kernel is built and what it runs on."""

    base_config: str = _field(
        "",
        checks.text,
        "the .config of the fuzzed kernel: a file, syzbot (its configuration for this target and tree, in fuzz.syzkaller) or syzbot:NAME; "
        "empty: the tree's defconfig (Android: gki_defconfig) and kvm_guest.config",
    )
    toolchain: str = _field(
        "gcc-12 pahole-1.24 rustc-1.85",
        checks.matching(TOOLCHAIN, "gcc-12 or clang-19, perhaps with pahole-1.25 or rustc-1.78"),
        'the compiler of the kernel, and other tools: gcc-12, clang-19, "clang-19 pahole-1.25 rustc-1.78"',
    )
    syzkaller: str = _field("", checks.text, "a checkout of syzkaller; its descriptions are read as text; empty: not used")
    coverage: str = _field("", checks.text, "the coverage of your fuzzer: an export of syz-manager, lcov or llvm-cov; empty: not used")
    coverage_commit: str = _field(
        "", checks.text, "the commit that the measured kernel was built from, if the file of fuzz.coverage does not say so"
    )
    coverage_vmlinux: str = _field("", checks.text, "the vmlinux of the measured kernel, if fuzz.coverage is an export of /rawcover")
    vm: tuple[str, ...] = _field(
        ("qemu-any",),
        checks.machine,
        "the devices of the machine: qemu-any (all that QEMU emulates), gce, or a list of QEMU devices: [e1000e, nvme]",
    )
    catalogue: str = _field(
        "",
        checks.text,
        "the devices of your own QEMU: a file that bench/catalogue.py made with it; empty: those of the QEMU in docs/reachability.md",
    )
    teardown: str = _field(
        "leave-out",
        checks.one_of("leave-out", "include"),
        "code that runs only at hot-unplug or unbind through sysfs: leave-out (as farms do) or include",
    )


class ReachSettings(SettingGroup, name="reach"):
    """Limits of the search for call paths."""

    max_files: int = _field(1000, checks.whole(1, 100_000), "read at most N files to find the call paths of one change")
    max_steps: int = _field(
        1200, checks.whole(1, 10_000_000), "look for the callers of at most N functions for the call paths of one change"
    )
    commit_files: int = _field(16, checks.whole(1, 100_000), "max_files for the hooks of a commit")
    commit_steps: int = _field(200, checks.whole(1, 10_000_000), "max_steps for the hooks of a commit")
    background: bool = _field(True, checks.flag, "let the background worker finish the search of a commit", bears=False)


class RecordSettings(SettingGroup, name="record"):
    """Where a verdict is kept."""

    format: tuple[str, ...] = _field(
        ("note",),
        checks.some_of("note", "trailer", "file"),
        "where a verdict is kept: note, trailer, file; after adding trailer run `patch-triage install` again",
        by_tree=True,
    )
    directory: str = _field("", checks.text, "directory of the `file` record; empty: patch-triage/verdicts in the git directory")
    lock_seconds: float = _field(2.0, checks.seconds(0, 60), "how long a hook waits for another writer before it queues the record")


class OutputSettings(SettingGroup, name="output"):
    """How output looks."""

    colour: str = _field("auto", checks.one_of("auto", "always", "never"), "auto, always or never", by_tree=True)


class PolicySettings(SettingGroup, name="policy"):
    """What stops a push."""

    block: str = _field(
        "never",
        checks.one_of("never", "unjudged", "worth-fuzzing"),
        "which commits stop a push: never (none), unjudged (open ones), worth-fuzzing; also sets the exit code of `check`",
    )


class PushSettings(SettingGroup, name="push"):
    """What happens before a push."""

    max_commits: int = _field(100, checks.whole(1, 100_000), "judge at most N commits of a push, newest first")
    wait_seconds: float = _field(60.0, checks.seconds(0, 86_400), "how long a push waits for the model about open commits", bears=False)


class AgentSettings(SettingGroup, name="agent"):
    """The model that is asked about open questions."""

    base_url: str = _field("", checks.url, "the OpenAI-compatible endpoint (http://127.0.0.1:8000/v1); empty: no model is asked")
    model: str = _field("", checks.text, "the model to ask")
    models: tuple[str, ...] = _field((), checks.words, "models to ask instead if the first is overloaded, in this order")
    key_variable: str = _field("OPENAI_API_KEY", checks.text, "the environment variable that holds the endpoint's key")
    key_command: str = _field(
        "", checks.text, "a command that prints the key (`pass show openai`), instead of the variable; run without a shell"
    )
    at_commit: str = _field(
        "pending", checks.one_of("pending", "wait"), "pending: the commit records an open question; wait: the commit waits for the model"
    )
    commit_seconds: float = _field(30.0, checks.seconds(0, 3600), "how long a commit waits for the model, with at_commit: wait")
    background: bool = _field(True, checks.flag, "let the background worker ask the model about pending commits", bears=False)
    settle_seconds: float = _field(
        2.0, checks.seconds(0, 3600), "how long the worker waits after a commit, which may be amended at once", bears=False
    )
    background_tries: int = _field(5, checks.whole(1, 100), "give up a question after N tries without an answer", bears=False)
    background_pause_seconds: float = _field(
        30.0, checks.seconds(0, 3600), "how long the worker waits after the first failure; longer after each further one", bears=False
    )
    price: tuple[str, ...] = _field(
        (),
        checks.prices,
        'price of a million tokens: ["1.25/10/10"] is input/output/thoughts, "big=3/15/15" is for one model; empty: not counted',
        bears=False,
    )
    max_patch_tokens: int = _field(
        1_000_000, checks.whole(0, 10**12), "spend at most N tokens on one patch a day; 0: no limit", bears=False
    )
    max_patch_money: float = _field(
        0.0, checks.number(0, 10**9), "the same in money, in the currency of agent.price; 0: no limit", bears=False
    )
    max_push_tokens: int = _field(5_000_000, checks.whole(0, 10**12), "spend at most N tokens in one push; 0: no limit", bears=False)
    max_push_money: float = _field(0.0, checks.number(0, 10**9), "the same in money", bears=False)
    max_day_tokens: int = _field(
        20_000_000, checks.whole(0, 10**12), "spend at most N tokens a day in one repository; 0: no limit", bears=False
    )
    max_day_money: float = _field(0.0, checks.number(0, 10**9), "the same in money", bears=False)
    never_branches: tuple[str, ...] = _field((), checks.words, 'branches whose commits are never sent (globs, such as "embargo/*")')
    never_paths: tuple[str, ...] = _field((), checks.tree_patterns, "files that are never sent or shown to a model (globs, or directories)")
    prompts: str = _field("", checks.text, "directory of your own prompts: PROFILE/NAME.md, see docs/agent.md")
    max_rounds: int = _field(40, checks.whole(1, 250), "at most N rounds with the model for each of the two questions")
    max_tokens: int = _field(500_000, checks.whole(1000, 100_000_000), "spend at most N tokens on each of the two questions")
    max_seconds: float = _field(
        600.0, checks.seconds(1, 86_400), "how long the model may take for one change, if there is no shorter deadline"
    )
    max_refusals: int = _field(4, checks.whole(0, 100), "refuse a wrong answer of the model at most N times")
    request_seconds: float = _field(180.0, checks.seconds(1, 3600), "how long one request may take")
    tool_seconds: float = _field(20.0, checks.seconds(0.1, 600), "how long one search of the tree may take")
    reply_tokens: int = _field(16_384, checks.whole(256, 1_000_000), "at most N tokens in one answer, thoughts included")
    window_tokens: int = _field(
        128_000, checks.whole(2000, 10_000_000), "the size of the model's window; older tool results are cut to fit"
    )
    context_tokens: int = _field(
        6000, checks.whole(500, 1_000_000), "show at most N tokens of the change and its context in the first request"
    )
    temperature: float = _field(0.0, checks.number(0, 2), "the sampling temperature; left out if the endpoint refuses it")


class PatchworkSettings(SettingGroup, name="patchwork"):
    """Where `export patchwork --post` posts to."""

    url: str = _field("", checks.url, "the Patchwork that `export patchwork --post` posts to (https://patchwork.example.org)")
    token_variable: str = _field("PATCHWORK_TOKEN", checks.text, "the environment variable that holds its API token")
    token_command: str = _field("", checks.text, "a command that prints the token, instead of the variable; run without a shell")
    context: str = _field("patch-triage", checks.text, "the name of our check there: letters, digits, - and _")
    target_url: str = _field("", checks.url, "what the check links to")


class GerritSettings(SettingGroup, name="gerrit"):
    """Where `export gerrit --post` posts to."""

    url: str = _field("", checks.url, "the Gerrit that `export gerrit --post` posts to (https://review.example.org)", bears=False)
    user: str = _field("", checks.text, "the name of the account there", bears=False)
    token_variable: str = _field("GERRIT_TOKEN", checks.text, "the environment variable that holds its HTTP password", bears=False)
    token_command: str = _field(
        "", checks.text, "a command that prints the password, instead of the variable; run without a shell", bears=False
    )


class PlanSettings(SettingGroup, name="plan"):
    """The fuzzing machine, for `patch-triage plan`."""

    image: str = _field("", checks.text, "the disk image that the machines boot; tools/create-image.sh of syzkaller makes one", bears=False)
    sshkey: str = _field("", checks.text, "the private ssh key for it", bears=False)
    machines: int = _field(4, checks.whole(1, 1024), "how many machines run at once", bears=False)
    minutes: int = _field(60, checks.whole(1, 100_000), "how many minutes the plan gives to each change", bears=False)


class BaseSettings(SettingGroup, name="base"):
    """The base of a mailed patch."""

    max_commits: int = _field(200, checks.whole(1, 100_000), "look for a mailed patch's base among the last N commits")


class BulkSettings(SettingGroup, name="bulk"):
    """How `patch-triage bulk` judges many changes."""

    clone: str = _field(
        "", checks.text, "the worker's clone of the kernel; empty: the same path as on the machine that started the run", bears=False
    )
    piece_changes: int = _field(25, checks.whole(1, 100_000), "give about N neighbouring changes to a worker at a time", bears=False)
    change_seconds: float = _field(
        300.0, checks.seconds(1, 86_400), "how long one change may take; if it takes longer, its row says so", bears=False
    )
    change_bytes: int = _field(
        1 << 30,
        checks.whole(64 << 20, 1 << 40),
        "how much memory the judging process may use; if it needs more, the row says so",
        bears=False,
    )


class CacheSettings(SettingGroup, name="cache"):
    """The cache of verdicts."""

    enabled: bool = _field(True, checks.flag, "reuse the verdict of a change that was judged before")


class LimitSettings(SettingGroup, name="limits"):
    """Limits on bytes and time; a question beyond a limit stays open."""

    git_seconds: float = _field(60.0, checks.seconds(1, 3600), "how long one git call may take")
    blob_bytes: int = _field(16 << 20, checks.whole(1 << 10, 1 << 32), "read files up to this size; larger ones stay open")
    evidence_bytes: int = _field(
        16 << 20, checks.whole(1 << 10, 1 << 40), "compare at most N bytes of one change, both sides counted; the rest is judged by path"
    )
    safety_seconds: float = _field(
        60.0,
        checks.seconds(1, 86_400),
        "end a judgement after N seconds of processor time; it is called incomplete and not kept",
    )
    lookup_seconds: float = _field(20.0, checks.seconds(0.1, 3600), "how long one look-up in the tree may take")


class IndexSettings(SettingGroup, name="index"):
    """The word index of a large tree."""

    background: bool = _field(True, checks.flag, "build the word index of a large tree in the background", bears=False)
    directory: str = _field(
        "", checks.text, "the directory of the word index, if not in the git directory: clones can share it", bears=False
    )
    blob_bytes: int = _field(64 << 20, checks.whole(1 << 10, 1 << 32), "index files up to this size; larger ones are searched every time")
    max_bytes: int = _field(400 << 20, checks.whole(1 << 20, 1 << 40), "a larger index forgets all revisions but the newest")


# Settings of earlier versions: a file that still has them is read, and one line says that they do nothing.
RETIRED = frozenset((
    "agent.background_days", "agent.context_seconds", "agent.diff_bytes", "agent.max_parallel_calls", "agent.max_trajectories",
    "cache.max_entries", "index.no_definitions", "limits.diff_bytes", "limits.evidence_facts", "limits.evidence_seconds",
    "limits.lookup_files", "limits.mail_bytes", "patchwork.seconds", "reach.check_files", "reach.check_seconds", "reach.check_steps",
    "reach.max_caller_files", "reach.max_hops", "reach.max_seconds",
))  # fmt: skip


class Given(NamedTuple):
    """One value that somebody set."""

    name: str
    value: object
    origin: str  # file:line, `git config …`, or the variable


class Settings:
    """The settings in force; `origins` tells where each came from."""

    def __init__(
        self,
        values: Mapping[str, object],
        origins: Mapping[str, str],
        base_config: str | None = None,
        base_config_file: str = "",
        catalogue: str | None = None,
        retired: Sequence[Given] = (),
    ) -> None:
        self.values = values
        self.origins = origins
        self.base_config = base_config  # the text of the file that fuzz.base_config names
        self.base_config_file = base_config_file  # and where that is
        self.catalogue = catalogue  # the text of the file that fuzz.catalogue names
        self.retired = retired  # what was given, and is no setting any more
        self.target = TargetSettings(values)
        self.focus = FocusSettings(values)
        self.fuzz = FuzzSettings(values)
        self.reach = ReachSettings(values)
        self.record = RecordSettings(values)
        self.output = OutputSettings(values)
        self.policy = PolicySettings(values)
        self.push = PushSettings(values)
        self.agent = AgentSettings(values)
        self.patchwork = PatchworkSettings(values)
        self.gerrit = GerritSettings(values)
        self.plan = PlanSettings(values)
        self.base = BaseSettings(values)
        self.bulk = BulkSettings(values)
        self.cache = CacheSettings(values)
        self.limits = LimitSettings(values)
        self.index = IndexSettings(values)

    def with_files(self, base_config: str | None, base_config_file: str, catalogue: str | None) -> Settings:
        """The same settings with the texts of the files that fuzz.base_config and fuzz.catalogue name."""
        return Settings(self.values, self.origins, base_config, base_config_file, catalogue, self.retired)

    def fingerprint(self) -> str:
        """All values that bear on a verdict, as one text: equal settings have equal fingerprints."""
        files = [text and sha256(text.encode("utf-8", "replace")).hexdigest() for text in (self.base_config, self.catalogue)]
        return "\n".join([*(f"{name}={self.values[name]!r}" for name in sorted(self.values) if BY_NAME[name].bears), f"{files}"])


def resolve(layers: Iterable[Iterable[Given]]) -> Settings:
    """The settings from layers of given values, the strongest last. Raises WrongSetting at the first wrong name or value."""
    values = {name: field.default for name, field in BY_NAME.items()}
    origins = dict.fromkeys(BY_NAME, "default")
    retired = []
    for given in (given for layer in layers for given in layer):
        if given.name in RETIRED:
            retired.append(given)
            continue
        values[given.name] = checked(given)
        origins[given.name] = given.origin
    return Settings(values, origins, retired=retired)


def checked(given: Given) -> object:
    """A given value as it is used. Raises WrongSetting where there is no such setting, or it does not accept the value."""
    field = BY_NAME.get(given.name)
    if field is None:
        raise WrongSetting(f"{given.origin}: unknown setting {given.name}{checks.nearest(given.name, BY_NAME)}")
    try:
        return field.check(given.value)
    except (ValueError, OverflowError) as wrong:
        raise WrongSetting(f"{given.origin}: {given.name}: {checks.shown(given.value)} is not {wrong}") from None


DEFAULTS = resolve([])
