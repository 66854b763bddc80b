"""Context: what a change is shown to a model as, fence, facts and pack, made from the evidence's verdict.

The facts are our own words about names out of the tree; they come first and in a block of their own, so that nothing in the pack can pass
for one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from hook.agent.context import fence, gathering, pack
from hook.agent.context.gathering import Subject, named
from hook.agent.context.pack import Pack
from hook.agent.desk import Desk
from hook.agent.token_count import BYTES_A_TOKEN, estimate
from hook.source.grep import held_back
from hook.verdict import Answer, Verdict

MOST_LOOKUPS = 80  # of names that are defined or used elsewhere
_MOST_FACTS = 40
_LONGEST_FACT = 300  # characters
_FACTS_TOKENS = 1500
AT_ONCE = (  # where the pack leaves nothing out
    " What follows has the changed code whole, who calls it and what it uses, and nothing that was looked for is left out: call set-results"
    " in this round, unless your decision turns on something that is not there."
)


class Context(msgspec.Struct, frozen=True):
    """What stands between the fences of a prompt."""

    fence: str
    facts: str
    question: str
    pack: Pack

    @property
    def tokens(self) -> int:
        """About how many tokens the facts and the pack have, with their fences."""
        return estimate(self.blocks)

    @property
    def blocks(self) -> str:
        """The facts and the pack as they stand in a prompt."""
        return f"{fence.fenced(self.fence, self.facts)}\n{fence.fenced(self.fence, self.pack.text)}"


def gather(subject: Subject, desk: Desk, most_tokens: int, most_lookups: int = MOST_LOOKUPS) -> Context:
    """The context of a change, within a number of tokens and of names to look up."""
    facts = desk.redactor.text(_cut("\n".join(_facts(subject, desk)), min(_FACTS_TOKENS, most_tokens // 4)))
    sections = gathering.sections(subject, desk, most_lookups, most_tokens * BYTES_A_TOKEN)
    clean = [
        msgspec.structs.replace(
            section, title=desk.redactor.text(section.title), text=desk.redactor.text(section.text), short=desk.redactor.text(section.short)
        )
        for section in sections
    ]
    frame = estimate((fence.fence("") + "\n\n") * 4)
    fitted = pack.fitted(clean, most_tokens - estimate(facts) - frame)
    at_once = AT_ONCE if fitted.is_whole and _is_all_shown(subject, desk) else ""
    return Context(fence.fence(facts, fitted.text), facts, question(subject.verdict) + at_once, fitted)


def _is_all_shown(subject: Subject, desk: Desk) -> bool:
    """Whether no file of the change is kept back, and the callers of every changed function were looked for."""
    hidden = any(held_back([file.path, file.old_path], desk.never_paths) for file in subject.files)
    return not hidden and len(subject.verdict.changed_functions) <= gathering.CHANGED


def question(verdict: Verdict) -> str:
    """What is open, in words of ours alone."""
    parts = []
    if verdict.functional is Answer.UNKNOWN:
        parts.append("Does the change alter what the kernel does, beyond what it logs or traces?")
    if verdict.reachable is Answer.UNKNOWN:
        parts.append("Can programs on a virtual machine make the changed code run, and by which way?")
    if not parts:
        return "Nothing is open; say whether you agree, and on which functions and with which options to fuzz."
    return " ".join([*parts, "If so: at which functions should the fuzzer aim, and which options does it need?"])


def _facts(subject: Subject, desk: Desk) -> Iterator[str]:
    """What is proved of a change, a line each."""
    verdict = subject.verdict
    yield f"functional: {verdict.functional}, reachable: {verdict.reachable}"
    kept = {file.path for file in subject.files if held_back([file.path, file.old_path], desk.never_paths)}
    hidden = [fact for fact in verdict.evidence if fact.place.path in kept or held_back([fact.place.path], desk.never_paths)]
    facts = [fact for fact in verdict.evidence if fact not in hidden]
    secret = {name for name in verdict.via if any(re.search(rf"\b{re.escape(name)}\b", fact.claim) for fact in hidden)}
    secret |= {name for name, why in verdict.config_reasons.items() if why.path and held_back([why.path], desk.never_paths)}
    for fact in facts[:_MOST_FACTS]:
        place = named(fact.place.path) + (f":{fact.place.line}" if fact.place.line else "")
        yield f"{place} {fact.claim}"[:_LONGEST_FACT]
    if len(facts) > _MOST_FACTS:
        yield f"and {len(facts) - _MOST_FACTS} more facts"
    if " Open: " in verdict.reasoning and not held_back(re.findall(r"[\w./+-]+", verdict.reasoning), desk.never_paths):
        yield f"not proved: {verdict.reasoning.partition(' Open: ')[2].replace(' Open: ', '; ')}"[:_LONGEST_FACT]
    if verdict.change_classes:
        yield f"kinds of edit: {', '.join(verdict.change_classes)}"[:_LONGEST_FACT]
    for title, names in (
        ("can be aimed at", verdict.focus_symbols),
        ("on the call path, no aims", verdict.via),
        ("options that are needed", verdict.enable_configs),
        ("options that have to be off", verdict.disable_configs),
        ("devices", verdict.devices),
        ("assumed", verdict.assumptions),
    ):
        if shown := [name for name in names if name not in secret and not held_back(re.findall(r"[\w./+-]+", name), desk.never_paths)]:
            yield f"{title}: {', '.join(shown)}"[:_LONGEST_FACT]


def _cut(text: str, most_tokens: int) -> str:
    """Whole lines of a text, and how many there are beyond a number of tokens."""
    lines = text.split("\n")
    kept: list[str] = []
    for line in lines:
        if estimate("\n".join([*kept, line])) > most_tokens - 12:
            return "\n".join([*kept, f"and {len(lines) - len(kept)} more lines"])
        kept.append(line)
    return text
