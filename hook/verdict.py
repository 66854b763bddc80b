"""The verdict: what is said of a change, and what makes such a statement valid.

Pure data. The names of the fields as programs read them (`WorthFuzzing`, ...) are those that fuzzing farms already use; see
docs/formats.md.
"""

import enum
from collections.abc import Iterable, Mapping
from typing import Any, get_origin

import msgspec

SCHEMA_VERSION = 1


class Answer(enum.StrEnum):
    """The three values of a question. No failure, limit or parse error may ever turn into NO."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def all_of(answers: Iterable[Answer]) -> Answer:
    """The answer for a whole of which each part has one: NO only if every part is NO, YES as soon as one is.

    An empty whole is UNKNOWN: nothing was proved of it.
    """
    seen = set(answers)
    if Answer.YES in seen:
        return Answer.YES
    return Answer.NO if seen == {Answer.NO} else Answer.UNKNOWN


def each_once(lists: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """The texts of all lists, each once, in their order."""
    return tuple(dict.fromkeys(text for texts in lists for text in texts))


class DecidedBy(enum.StrEnum):
    """Who settled the verdict; `DEFAULT` when something stayed open and nobody did."""

    EVIDENCE = "evidence"
    AGENT = "agent"
    DEFAULT = "default"


class State(enum.StrEnum):
    """Whether the verdict stands: `PENDING` waits for the agent, `STALE` speaks of another content than the commit's."""

    FINAL = "final"
    PENDING = "pending"
    STALE = "stale"


class Lack(enum.StrEnum):
    """What a judgement had to do without: with it, more may be proved."""

    SEARCH = "search"  # a commit waited for it, so the search was short
    INDEX = "index"  # there was no word index, or not yet all that is made with it
    OBJECTS = "objects"  # this partial clone has not all files of the change
    TIME = "time"  # it was stopped by limits.safety_seconds, or the word index could not be read to its end


class Place(msgspec.Struct, frozen=True, rename="pascal"):
    """Where a fact can be seen."""

    path: str  # tree path, quoted as git quotes it where it holds odd bytes
    line: int  # 1-based; 0 where the whole file is meant
    blob: str  # object id of the blob the line is in, empty where there is none (a submodule)


class Fact(msgspec.Struct, frozen=True, rename="pascal"):
    """A claim with the place that proves it."""

    claim: str
    place: Place
    text: str = ""  # the line itself, or what else was read there


class ConfigSet(msgspec.Struct, frozen=True, rename="pascal"):
    """Options to switch on and off together, and the changed lines that a kernel then holds."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()  # PATH:3-5,9


class ConfigReason(msgspec.Struct, frozen=True, rename="pascal"):
    """Why an option is asked for."""

    purpose: str = msgspec.field(name="For")  # build: a changed line is not compiled without it; reach: there is no call path without it
    why: str
    path: str = ""
    line: int = 0


class Tokens(msgspec.Struct, frozen=True, rename="pascal"):
    """What asking the model has cost."""

    input: int = 0
    output: int = 0  # without the thoughts
    thoughts: int = 0
    estimated: bool = False  # the endpoint did not count them all

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.input + other.input, self.output + other.output, self.thoughts + other.thoughts, self.estimated or other.estimated
        )

    @property
    def total(self) -> int:
        return self.input + self.output + self.thoughts


class NotAVerdict(ValueError):
    """A document that claims to be a verdict and is not; the sentence names the field."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What is said of one change. The fields and their names are SchemaVersion 1, in the order in which a document has them.

    Take worth_fuzzing and decided_by from `decide`, which keeps them in step with the two answers.
    """

    worth_fuzzing: bool
    focus_symbols: tuple[str, ...] = ()
    # a focus symbol that the compiler may inline, then its nearest callers among them: one filter, so that it matches something
    focus_groups: tuple[tuple[str, ...], ...] = ()
    enable_configs: tuple[str, ...] = ()
    needs_kmsan: bool = msgspec.field(name="NeedsKMSAN", default=False)
    kmsan_reasoning: str = msgspec.field(name="KMSANReasoning", default="")
    # the KMSAN reports that the commit message quotes: the author's words, a hint beside and never evidence
    author_says: tuple[str, ...] = ()
    reasoning: str
    decided_by: DecidedBy
    state: State = State.FINAL
    functional: Answer
    reachable: Answer
    changed_functions: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    change_classes: tuple[str, ...] = ()
    disable_configs: tuple[str, ...] = ()
    # more than one where no kernel holds all changed lines; the first is EnableConfigs
    config_sets: tuple[ConfigSet, ...] = ()
    config_reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)
    evidence: tuple[Fact, ...] = ()
    assumptions: tuple[str, ...] = ()
    # of the virtual machine, or the kernel's own virtual ones, that make the changed code run
    devices: tuple[str, ...] = ()
    # KIND:NAME, that a program drives to run the changed code: call:mbind, device:/dev/kvm, genl:nl80211; the nearest first
    interfaces: tuple[str, ...] = ()
    # what the machine is started with for that; empty where syz-manager's own arguments do
    qemu_args: str = ""
    kernel_parameters: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()  # values of Lack; empty where nothing was cut short
    disputes: tuple[str, ...] = ()  # what the model said against a proved fact
    # what was changed in the model's answer, and why; a farm's runs and notes of before know no such field
    corrections: tuple[str, ...] = ()
    model: str = ""  # that the agent asked, empty where none was
    tokens: Tokens = Tokens()
    change_id: str
    patch_id: str = ""
    base: str = ""  # commit that the change was judged against, empty before the first commit
    commit: str = ""  # commit that the change is, empty while it is staged or mailed
    tool_version: str = ""


FIELDS: dict[str, Any] = dict(zip(Verdict.__struct_encode_fields__, Verdict.__annotations__.values(), strict=True))  # name: type
# in a hand-edited note: a text or a list of which nothing is left
_MAY_BE_NULL = frozenset(name for name, form in FIELDS.items() if form is str or get_origin(form) is tuple)
# not in most verdicts: written only where they hold something
_RARE = frozenset((
    "FocusGroups", "AuthorSays", "Interfaces", "QemuArgs", "KernelParameters", "Lacks", "Corrections",
))  # fmt: skip


def decide(functional: Answer, reachable: Answer) -> tuple[bool, DecidedBy]:
    """WorthFuzzing and who decided, from the two answers alone: worthless only if one of them is proved NO."""
    if Answer.NO in (functional, reachable):
        return False, DecidedBy.EVIDENCE
    if functional is reachable is Answer.YES:
        return True, DecidedBy.EVIDENCE
    return True, DecidedBy.DEFAULT


def headline(verdict: Verdict) -> str:
    """The one line that a person reads first."""
    worth = "worth fuzzing" if verdict.worth_fuzzing else "not worth fuzzing"
    if missing := not_proved(verdict):
        worth += f" (not proved: {missing})"
    symbols = ", ".join(verdict.focus_symbols) if verdict.worth_fuzzing else ""
    needs = f"needs {', '.join(verdict.enable_configs)}" if verdict.enable_configs else ""
    if symbols:
        return f"{worth}: {symbols}" + (f" ({needs})" if needs else "")
    why = verdict.reasoning.split(". ")[0].rstrip(".")
    return f"{worth}: {why}" if why else worth


def not_proved(verdict: Verdict) -> str:
    """What a verdict by default lacks a proof of; empty where somebody has decided."""
    if verdict.decided_by is not DecidedBy.DEFAULT:
        return ""
    return "that a fuzzer can reach it" if verdict.functional is Answer.YES else "that behaviour changes"


def is_fuller(lacks: Iterable[object], than: Iterable[object]) -> bool:
    """Whether a judgement that lacks the first lacks less than one that lacks the second."""
    return set(lacks) < set(than)


def to_document(verdict: Verdict) -> dict[str, Any]:
    """The verdict as programs read it: plain types, the field names of SchemaVersion 1, in a fixed order."""
    document = {name: value for name, value in _plain(verdict).items() if value or name not in _RARE}
    return {**document, "SchemaVersion": SCHEMA_VERSION}


def _plain(value: Any) -> Any:
    """A value as texts, numbers, lists and maps. The place of a fact stands beside its claim."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, tuple):
        return list(map(_plain, value))
    if isinstance(value, Fact):
        return {"Claim": value.claim, "Path": value.place.path, "Line": value.place.line, "Blob": value.place.blob, "Text": value.text}
    if isinstance(value, msgspec.Struct):
        return {name: _plain(part) for name, part in zip(value.__struct_encode_fields__, msgspec.structs.astuple(value), strict=True)}
    return {key: _plain(entry) for key, entry in value.items()} if isinstance(value, Mapping) else value


def from_document(document: Mapping[str, Any]) -> Verdict:
    """The verdict in a document that `to_document` wrote.

    Raises NotAVerdict where a field is missing or has the wrong type, so that a hand-edited note is never half believed.
    """
    if document.get("SchemaVersion") != SCHEMA_VERSION:
        raise NotAVerdict(f"SchemaVersion is {document.get('SchemaVersion')!r}, this program reads {SCHEMA_VERSION}")
    try:
        fields = {"Reasoning": "", "ChangeId": ""} | {
            name: value for name, value in document.items() if value is not None or name not in _MAY_BE_NULL
        }
        facts = [{**fact, "Place": fact} for fact in fields.get("Evidence", ())]
        return msgspec.convert({**fields, "Evidence": facts}, Verdict)
    except (ValueError, TypeError) as wrong:  # msgspec's own are among them
        raise NotAVerdict(str(wrong)) from None
