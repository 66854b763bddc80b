"""The verdict: what is said of a change, and what makes such a statement valid.

Pure data. The names of the fields as programs read them (`WorthFuzzing`, ...) are those that fuzzing farms already use; see
docs/formats.md.
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NamedTuple

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


class Place(msgspec.Struct, frozen=True):
    """Where a fact can be seen."""

    path: str  # tree path, quoted as git quotes it where it holds odd bytes
    line: int  # 1-based; 0 where the whole file is meant
    blob: str  # object id of the blob the line is in, empty where there is none (a submodule)


class Fact(msgspec.Struct, frozen=True):
    """A claim with the place that proves it."""

    claim: str
    place: Place
    text: str = ""  # the line itself, or what else was read there


class ConfigSet(msgspec.Struct, frozen=True):
    """Options to switch on and off together, and the changed lines that a kernel then holds."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()  # PATH:3-5,9


class ConfigReason(msgspec.Struct, frozen=True):
    """Why an option is asked for."""

    purpose: str  # build: a changed line is not compiled without it; reach: nothing leads there without it
    why: str
    path: str = ""
    line: int = 0


class Tokens(msgspec.Struct, frozen=True):
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


class Form(NamedTuple):
    """How a field stands in a document: what writes its value, and what reads it back or raises NotAVerdict."""

    write: Callable[[Any], Any]
    read: Callable[[str, Any], Any]  # given the field's name in the document and what stands there, None where it is missing


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise NotAVerdict(f"{name} is not true or false")
    return value


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotAVerdict(f"{name} is not text")
    return value


def _names(name: str, value: Any) -> tuple[str, ...]:
    value = [] if value is None else value
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise NotAVerdict(f"{name} is not a list of names")
    return tuple(value)


def _of(kind: type[enum.StrEnum]) -> Form:
    def read(name: str, value: Any) -> enum.StrEnum:
        try:
            return kind(_text(name, value))
        except ValueError:
            raise NotAVerdict(f"{name} is none of {', '.join(kind)}") from None

    return Form(str, read)


def _fact(entry: Any) -> Fact:
    return Fact(str(entry["Claim"]), Place(str(entry["Path"]), int(entry["Line"]), str(entry["Blob"])), str(entry.get("Text", "")))


def _fact_document(fact: Fact) -> dict[str, Any]:
    return {"Claim": fact.claim, "Path": fact.place.path, "Line": fact.place.line, "Blob": fact.place.blob, "Text": fact.text}


def _config_set(entry: Any) -> ConfigSet:
    made = ConfigSet(tuple(entry["Enable"]), tuple(entry["Disable"]), tuple(entry["Lines"]))
    if not all(isinstance(word, str) for word in (*made.enable, *made.disable, *made.lines)):
        raise TypeError("names alone")
    return made


def _config_set_document(made: ConfigSet) -> dict[str, Any]:
    return {"Enable": list(made.enable), "Disable": list(made.disable), "Lines": list(made.lines)}


def _group(entry: Any) -> tuple[str, ...]:
    if not isinstance(entry, list) or not all(isinstance(name, str) for name in entry):
        raise TypeError("names alone")
    return tuple(entry)


def _reason(entry: Any) -> ConfigReason:
    return ConfigReason(str(entry["For"]), str(entry["Why"]), str(entry["Path"]), int(entry["Line"]))


def _reason_document(reason: ConfigReason) -> dict[str, Any]:
    return {"For": reason.purpose, "Why": reason.why, "Path": reason.path, "Line": reason.line}


def _entries(write: Callable[[Any], Any], read: Callable[[Any], Any]) -> Form:
    """A list of records."""

    def read_all(name: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | None):
            raise NotAVerdict(f"{name} is not a list")
        try:
            return tuple(map(read, value or ()))
        except (TypeError, KeyError, ValueError, AttributeError) as wrong:
            raise NotAVerdict(f"{name} holds an entry without {wrong}") from None

    return Form(lambda entries: [write(entry) for entry in entries], read_all)


def _reasons(name: str, value: Any) -> dict[str, ConfigReason]:
    try:
        return {str(option): _reason(entry) for option, entry in ({} if value is None else value).items()}
    except (TypeError, KeyError, ValueError, AttributeError) as wrong:
        raise NotAVerdict(f"{name} holds an entry without {wrong}") from None


def _tokens(name: str, value: Any) -> Tokens:
    value = {} if value is None else value
    try:
        counts = [value.get(kind, 0) for kind in ("Input", "Output", "Thoughts")]
        if any(isinstance(count, bool) or not isinstance(count, int) for count in counts):
            raise TypeError
        return Tokens(counts[0], counts[1], counts[2], bool(value.get("Estimated", False)))
    except (TypeError, AttributeError):
        raise NotAVerdict(f"{name} does not hold the numbers Input, Output and Thoughts") from None


def _tokens_document(spent: Tokens) -> dict[str, Any]:
    return {"Input": spent.input, "Output": spent.output, "Thoughts": spent.thoughts, "Estimated": spent.estimated}


FLAG, TEXT, NAMES = Form(bool, _flag), Form(str, _text), Form(list, _names)
FACTS, CONFIG_SETS = _entries(_fact_document, _fact), _entries(_config_set_document, _config_set)
GROUPS = _entries(list, _group)
REASONS = Form(lambda reasons: {option: _reason_document(reason) for option, reason in reasons.items()}, _reasons)
TOKENS = Form(_tokens_document, _tokens)
ANSWER, DECIDED_BY, STATE = _of(Answer), _of(DecidedBy), _of(State)
_NOTHING_SPENT = Tokens()


class DocumentField(NamedTuple):
    """What a field is called in the document, and its form there; a `rare` one is written only where it holds something."""

    name: str
    form: Form
    rare: bool = False


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one change. The fields and their names are SchemaVersion 1, in the order in which a document has them.

    Take worth_fuzzing and decided_by from `decide`, which keeps them in step with the two answers.
    """

    worth_fuzzing: Annotated[bool, DocumentField("WorthFuzzing", FLAG)]
    focus_symbols: Annotated[tuple[str, ...], DocumentField("FocusSymbols", NAMES)] = ()
    # a focus symbol that the compiler may inline, then its nearest callers among them: one filter, so that it matches something
    focus_groups: Annotated[tuple[tuple[str, ...], ...], DocumentField("FocusGroups", GROUPS, rare=True)] = ()
    enable_configs: Annotated[tuple[str, ...], DocumentField("EnableConfigs", NAMES)] = ()
    needs_kmsan: Annotated[bool, DocumentField("NeedsKMSAN", FLAG)] = False
    kmsan_reasoning: Annotated[str, DocumentField("KMSANReasoning", TEXT)] = ""
    # the KMSAN reports that the commit message quotes: the author's words, a hint beside and never evidence
    author_says: Annotated[tuple[str, ...], DocumentField("AuthorSays", NAMES, rare=True)] = ()
    reasoning: Annotated[str, DocumentField("Reasoning", TEXT)]
    decided_by: Annotated[DecidedBy, DocumentField("DecidedBy", DECIDED_BY)]
    state: Annotated[State, DocumentField("State", STATE)] = State.FINAL
    functional: Annotated[Answer, DocumentField("Functional", ANSWER)]
    reachable: Annotated[Answer, DocumentField("Reachable", ANSWER)]
    changed_functions: Annotated[tuple[str, ...], DocumentField("ChangedFunctions", NAMES)] = ()
    via: Annotated[tuple[str, ...], DocumentField("Via", NAMES)] = ()
    change_classes: Annotated[tuple[str, ...], DocumentField("ChangeClasses", NAMES)] = ()
    disable_configs: Annotated[tuple[str, ...], DocumentField("DisableConfigs", NAMES)] = ()
    # more than one where no kernel holds all changed lines; the first is EnableConfigs
    config_sets: Annotated[tuple[ConfigSet, ...], DocumentField("ConfigSets", CONFIG_SETS)] = ()
    config_reasons: Annotated[Mapping[str, ConfigReason], DocumentField("ConfigReasons", REASONS)] = msgspec.field(default_factory=dict)
    evidence: Annotated[tuple[Fact, ...], DocumentField("Evidence", FACTS)] = ()
    assumptions: Annotated[tuple[str, ...], DocumentField("Assumptions", NAMES)] = ()
    # of the virtual machine, or the kernel's own virtual ones, that make the changed code run
    devices: Annotated[tuple[str, ...], DocumentField("Devices", NAMES)] = ()
    # KIND:NAME, that a program drives to run the changed code: call:mbind, device:/dev/kvm, genl:nl80211; the nearest first
    interfaces: Annotated[tuple[str, ...], DocumentField("Interfaces", NAMES, rare=True)] = ()
    # what the machine is started with for that; empty where syz-manager's own arguments do
    qemu_args: Annotated[str, DocumentField("QemuArgs", TEXT, rare=True)] = ""
    kernel_parameters: Annotated[tuple[str, ...], DocumentField("KernelParameters", NAMES, rare=True)] = ()
    lacks: Annotated[tuple[str, ...], DocumentField("Lacks", NAMES, rare=True)] = ()  # values of Lack; empty where nothing was cut short
    disputes: Annotated[tuple[str, ...], DocumentField("Disputes", NAMES)] = ()  # what the model said against a proved fact
    # what was changed in the model's answer, and why; a farm's runs and notes of before know no such field
    corrections: Annotated[tuple[str, ...], DocumentField("Corrections", NAMES, rare=True)] = ()
    model: Annotated[str, DocumentField("Model", TEXT)] = ""  # that the agent asked, empty where none was
    tokens: Annotated[Tokens, DocumentField("Tokens", TOKENS)] = _NOTHING_SPENT
    change_id: Annotated[str, DocumentField("ChangeId", TEXT)]
    patch_id: Annotated[str, DocumentField("PatchId", TEXT)] = ""
    base: Annotated[str, DocumentField("Base", TEXT)] = ""  # commit that the change was judged against, empty before the first commit
    commit: Annotated[str, DocumentField("Commit", TEXT)] = ""  # commit that the change is, empty while it is staged or mailed
    tool_version: Annotated[str, DocumentField("ToolVersion", TEXT)] = ""


FIELDS: dict[str, DocumentField] = {key: kind.__metadata__[0] for key, kind in Verdict.__annotations__.items()}


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
    document: dict[str, Any] = {}
    for key, field in FIELDS.items():
        value = getattr(verdict, key)
        if value or not field.rare:
            document[field.name] = field.form.write(value)
    return {**document, "SchemaVersion": SCHEMA_VERSION}


def from_document(document: Mapping[str, Any]) -> Verdict:
    """The verdict in a document that `to_document` wrote.

    Raises NotAVerdict where a field is missing or has the wrong type, so that a hand-edited note is never half believed.
    """
    if document.get("SchemaVersion") != SCHEMA_VERSION:
        raise NotAVerdict(f"SchemaVersion is {document.get('SchemaVersion')!r}, this program reads {SCHEMA_VERSION}")
    return Verdict(**{key: field.form.read(field.name, document.get(field.name)) for key, field in FIELDS.items()})
