"""The verdict: what is said of a change, and what makes such a statement valid.

Pure data. The names of the fields as programs read them (`WorthFuzzing`, ...) are those that fuzzing farms already use; see
docs/formats.md.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from typing import Any

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


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a fact can be seen."""

    path: str  # tree path, quoted as git quotes it where it holds odd bytes
    line: int  # 1-based; 0 where the whole file is meant
    blob: str  # object id of the blob the line is in, empty where there is none (a submodule)


@dataclasses.dataclass(frozen=True)
class Fact:
    """A claim with the place that proves it."""

    claim: str
    place: Place
    text: str = ""  # the line itself, or what else was read there


@dataclasses.dataclass(frozen=True)
class ConfigSet:
    """Options to switch on and off together, and the changed lines that a kernel then holds."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()  # PATH:3-5,9


@dataclasses.dataclass(frozen=True)
class ConfigReason:
    """Why an option is asked for."""

    purpose: str  # build: a changed line is not compiled without it; reach: nothing leads there without it
    why: str
    path: str = ""
    line: int = 0


@dataclasses.dataclass(frozen=True)
class Tokens:
    """What asking the model has cost."""

    input: int = 0
    output: int = 0  # without the thoughts
    thoughts: int = 0
    estimated: bool = False  # the endpoint did not count them all

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input, self.output + other.output, self.thoughts + other.thoughts, self.estimated or other.estimated
        )

    @property
    def total(self) -> int:
        return self.input + self.output + self.thoughts


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of one change. Build it with `decide`, which keeps WorthFuzzing in step with the two answers."""

    worth_fuzzing: bool
    decided_by: DecidedBy
    functional: Answer
    reachable: Answer
    reasoning: str
    change_id: str
    state: State = State.FINAL
    focus_symbols: tuple[str, ...] = ()
    enable_configs: tuple[str, ...] = ()
    needs_kmsan: bool = False
    kmsan_reasoning: str = ""
    changed_functions: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    change_classes: tuple[str, ...] = ()
    evidence: tuple[Fact, ...] = ()
    disable_configs: tuple[str, ...] = ()
    config_sets: tuple[ConfigSet, ...] = ()  # more than one where no kernel holds all changed lines; the first is enable_configs
    config_reasons: Mapping[str, ConfigReason] = dataclasses.field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  # of the virtual machine, or the kernel's own virtual ones, that make the changed code run
    disputes: tuple[str, ...] = ()  # what the model said against a proved fact
    corrections: tuple[str, ...] = ()  # what was changed in the model's answer, and why
    model: str = ""  # that the agent asked, empty where none was
    tokens: Tokens = Tokens()
    patch_id: str = ""
    base: str = ""  # commit the change was judged against, empty before the first commit
    commit: str = ""  # commit that the change is, empty while it is staged or mailed
    tool_version: str = ""


def decide(functional: Answer, reachable: Answer) -> tuple[bool, DecidedBy]:
    """WorthFuzzing and who decided, from the two answers alone: worthless only if one of them is proved NO."""
    if Answer.NO in (functional, reachable):
        return False, DecidedBy.EVIDENCE
    if functional is reachable is Answer.YES:
        return True, DecidedBy.EVIDENCE
    return True, DecidedBy.DEFAULT


def headline(verdict: Verdict) -> str:
    """The one line that a person reads first."""
    if verdict.decided_by is DecidedBy.DEFAULT:
        worth = "worth fuzzing unless shown otherwise"
    else:
        worth = "worth fuzzing" if verdict.worth_fuzzing else "not worth fuzzing"
    symbols = ", ".join(verdict.focus_symbols) if verdict.worth_fuzzing else ""
    needs = f"needs {', '.join(verdict.enable_configs)}" if verdict.enable_configs else ""
    if symbols:
        return f"{worth}: {symbols}" + (f" ({needs})" if needs else "")
    why = verdict.reasoning.split(". ")[0].rstrip(".")
    return f"{worth}: {why}" if why else worth


def to_document(verdict: Verdict) -> dict[str, Any]:
    """The verdict as programs read it: plain types, the field names of SchemaVersion 1, in a fixed order."""
    return {
        "WorthFuzzing": verdict.worth_fuzzing,
        "FocusSymbols": list(verdict.focus_symbols),
        "EnableConfigs": list(verdict.enable_configs),
        "NeedsKMSAN": verdict.needs_kmsan,
        "KMSANReasoning": verdict.kmsan_reasoning,
        "Reasoning": verdict.reasoning,
        "DecidedBy": str(verdict.decided_by),
        "State": str(verdict.state),
        "Functional": str(verdict.functional),
        "Reachable": str(verdict.reachable),
        "ChangedFunctions": list(verdict.changed_functions),
        "Via": list(verdict.via),
        "ChangeClasses": list(verdict.change_classes),
        "DisableConfigs": list(verdict.disable_configs),
        "ConfigSets": [{"Enable": list(one.enable), "Disable": list(one.disable), "Lines": list(one.lines)} for one in verdict.config_sets],
        "ConfigReasons": {
            name: {"For": one.purpose, "Why": one.why, "Path": one.path, "Line": one.line} for name, one in verdict.config_reasons.items()
        },
        "Evidence": [
            {"Claim": fact.claim, "Path": fact.place.path, "Line": fact.place.line, "Blob": fact.place.blob, "Text": fact.text}
            for fact in verdict.evidence
        ],
        "Assumptions": list(verdict.assumptions),
        "Devices": list(verdict.devices),
        "Disputes": list(verdict.disputes),
        # only where there are any: a farm's runs and notes of before know no such field
        **({"Corrections": list(verdict.corrections)} if verdict.corrections else {}),
        "Model": verdict.model,
        "Tokens": {
            "Input": verdict.tokens.input,
            "Output": verdict.tokens.output,
            "Thoughts": verdict.tokens.thoughts,
            "Estimated": verdict.tokens.estimated,
        },
        "ChangeId": verdict.change_id,
        "PatchId": verdict.patch_id,
        "Base": verdict.base,
        "Commit": verdict.commit,
        "ToolVersion": verdict.tool_version,
        "SchemaVersion": SCHEMA_VERSION,
    }


class NotAVerdict(ValueError):
    """A document that claims to be a verdict and is not; the sentence names the field."""


def from_document(document: Mapping[str, Any]) -> Verdict:
    """The verdict in a document that `to_document` wrote.

    Raises NotAVerdict where a field is missing or has the wrong type, so that a hand-edited note is never half believed.
    """
    if document.get("SchemaVersion") != SCHEMA_VERSION:
        raise NotAVerdict(f"SchemaVersion is {document.get('SchemaVersion')!r}, this program reads {SCHEMA_VERSION}")

    def text(name: str) -> str:
        value = document.get(name, "")
        if not isinstance(value, str):
            raise NotAVerdict(f"{name} is not text")
        return value

    def flag(name: str) -> bool:
        value = document.get(name)
        if not isinstance(value, bool):
            raise NotAVerdict(f"{name} is not true or false")
        return value

    def names(name: str) -> tuple[str, ...]:
        value = document.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise NotAVerdict(f"{name} is not a list of names")
        return tuple(value)

    def facts() -> tuple[Fact, ...]:
        value = document.get("Evidence", [])
        if not isinstance(value, list):
            raise NotAVerdict("Evidence is not a list")
        found = []
        for one in value:
            try:
                place = Place(str(one["Path"]), int(one["Line"]), str(one["Blob"]))
                found.append(Fact(str(one["Claim"]), place, str(one.get("Text", ""))))
            except (TypeError, KeyError, ValueError, AttributeError) as wrong:
                raise NotAVerdict(f"Evidence holds an entry without {wrong}") from None
        return tuple(found)

    def sets() -> tuple[ConfigSet, ...]:
        value = document.get("ConfigSets", [])
        try:
            found = tuple(ConfigSet(tuple(one["Enable"]), tuple(one["Disable"]), tuple(one["Lines"])) for one in value)
        except (TypeError, KeyError, AttributeError) as wrong:
            raise NotAVerdict(f"ConfigSets holds an entry without {wrong}") from None
        if not all(isinstance(name, str) for one in found for name in (*one.enable, *one.disable, *one.lines)):
            raise NotAVerdict("ConfigSets holds something other than names")
        return found

    def reasons() -> dict[str, ConfigReason]:
        value = document.get("ConfigReasons", {})
        try:
            return {
                str(name): ConfigReason(str(one["For"]), str(one["Why"]), str(one["Path"]), int(one["Line"])) for name, one in value.items()
            }
        except (TypeError, KeyError, ValueError, AttributeError) as wrong:
            raise NotAVerdict(f"ConfigReasons holds an entry without {wrong}") from None

    def tokens() -> Tokens:
        value = document.get("Tokens", {})
        try:
            counts = [value.get(name, 0) for name in ("Input", "Output", "Thoughts")]
            if any(isinstance(one, bool) or not isinstance(one, int) for one in counts):
                raise TypeError
            return Tokens(counts[0], counts[1], counts[2], bool(value.get("Estimated", False)))
        except (TypeError, AttributeError):
            raise NotAVerdict("Tokens does not hold the numbers Input, Output and Thoughts") from None

    try:
        return Verdict(
            worth_fuzzing=flag("WorthFuzzing"),
            decided_by=DecidedBy(text("DecidedBy")),
            functional=Answer(text("Functional")),
            reachable=Answer(text("Reachable")),
            reasoning=text("Reasoning"),
            change_id=text("ChangeId"),
            state=State(text("State")),
            focus_symbols=names("FocusSymbols"),
            enable_configs=names("EnableConfigs"),
            needs_kmsan=flag("NeedsKMSAN"),
            kmsan_reasoning=text("KMSANReasoning"),
            changed_functions=names("ChangedFunctions"),
            via=names("Via"),
            change_classes=names("ChangeClasses"),
            evidence=facts(),
            disable_configs=names("DisableConfigs"),
            config_sets=sets(),
            config_reasons=reasons(),
            assumptions=names("Assumptions"),
            devices=names("Devices"),
            disputes=names("Disputes"),
            corrections=names("Corrections"),
            model=text("Model"),
            tokens=tokens(),
            patch_id=text("PatchId"),
            base=text("Base"),
            commit=text("Commit"),
            tool_version=text("ToolVersion"),
        )
    except NotAVerdict:
        raise
    except ValueError as wrong:
        raise NotAVerdict(str(wrong)) from None
