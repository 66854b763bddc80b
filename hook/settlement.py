"""Settlement: the verdict that the proofs allow, and what the answers of a model make of it.

Pure: what was found comes in, a verdict goes out. A proof always wins over a model, and what failed leaves the verdict as it was.
"""

from __future__ import annotations

import itertools
import typing
from collections.abc import Mapping, Sequence

import msgspec

from hook import __version__
from hook.change.change import Change
from hook.config import Settings
from hook.redaction import Redactor
from hook.verdict import Answer, ConfigReason, DecidedBy, Lack, Tokens, Verdict, decide, each_once

if typing.TYPE_CHECKING:
    from hook.agent import loop
    from hook.agent.checks.grounding import EvaluationArguments
    from hook.evidence import finding
    from hook.evidence.memory import leaks
    from hook.evidence.options import needed_options
    from hook.evidence.reach import reachability


_MAX_FACTS = 200  # in a verdict
_LONGEST_QUESTION = 400  # of what stays open, in the reasoning
_OPEN = " Open: "  # before each question


class Proofs(msgspec.Struct, frozen=True):
    """What was found of a change without a model; what is None was not asked, since what came before it settles the verdict."""

    evidence: finding.Evidence
    configs: needed_options.Configs | None = None
    reached: reachability.Reached | None = None
    leaks: leaks.Leaks | None = None
    cut: str = ""  # why more would be known on another machine, or at another time
    lacks: tuple[Lack, ...] = ()  # what would have to be there to know more


def settle(change: Change, proofs: Proofs, settings: Settings) -> Verdict:
    """The verdict that the proofs allow: proved worthless, proved worth it, or left open, which means worth it."""
    evidence, focus = proofs.evidence, proofs.evidence.focus
    worth, decided_by = decide(evidence.functional, evidence.reachable)
    # what is open first, so that a reader in a hurry sees it
    findings = sorted(evidence.findings, key=lambda finding: finding.functional.answer is Answer.NO)
    leaked = proofs.leaks.proved if proofs.leaks else ()
    call_path = proofs.reached.facts if proofs.reached else ()
    facts = (*leaked, *evidence.facts, *call_path, *(focus.facts if focus else ()))
    verdict = Verdict(
        worth_fuzzing=worth,
        decided_by=decided_by,
        functional=evidence.functional,
        reachable=evidence.reachable,
        reasoning=_reasoning(change, proofs, settings) + (f" Incomplete: {proofs.cut}." if proofs.cut else ""),
        change_id=change.patch.change_id,
        change_classes=tuple(dict.fromkeys(str(name) for finding in findings for name in finding.change_classes)),
        evidence=facts[:_MAX_FACTS],
        focus_symbols=focus.symbols if focus else (),
        focus_groups=tuple(group for group in focus.groups if group[0] in focus.symbols) if focus else (),
        via=focus.via if focus else (),
        changed_functions=focus.changed if focus else (),
        needs_kmsan=proofs.leaks.needs if proofs.leaks else False,
        kmsan_reasoning=proofs.leaks.reasoning if proofs.leaks else "",
        lacks=tuple(map(str, proofs.lacks)),
        base=change.base,
        commit=change.commit,
        tool_version=__version__,
    )
    if Answer.NO not in (evidence.functional, evidence.reachable):
        return _with_options(verdict, proofs)
    if evidence.functional is not Answer.NO and proofs.reached is not None:
        return msgspec.structs.replace(verdict, assumptions=proofs.reached.assumptions)
    return verdict


def _with_options(verdict: Verdict, proofs: Proofs) -> Verdict:
    """The verdict with what is to be configured: to build the change, and for the call path that was found."""
    configs = proofs.configs
    if configs is None:
        return verdict
    first = configs.sets[0] if configs.sets else None
    return msgspec.structs.replace(
        verdict,
        enable_configs=first.enable if first else (),
        disable_configs=first.disable if first else (),
        config_sets=configs.sets if len(configs.sets) > 1 else (),
        config_reasons=dict(configs.reasons),
        assumptions=configs.assumptions,
        devices=proofs.reached.devices if proofs.reached else (),
        interfaces=proofs.reached.interfaces if proofs.reached else (),
    )


def with_answers(
    verdict: Verdict, outcomes: Mapping[str, loop.Outcome], disputes: tuple[str, ...], reasons: Mapping[str, ConfigReason]
) -> Verdict:
    """The evidence's verdict with what the agents answered, in their order; `reasons` are those of options that only they knew of.

    A proved fact wins over them, and what failed leaves the verdict as it was.
    """
    cost = sum((outcome.spent for outcome in outcomes.values()), Tokens())
    model = next((outcome.model for outcome in outcomes.values()), "")
    verdict = msgspec.structs.replace(verdict, model=model, tokens=cost, disputes=disputes)
    for agent, outcome in outcomes.items():
        verdict = WITH_ANSWER[agent](verdict, outcome, reasons)
    return verdict


def _with_evaluation(verdict: Verdict, outcome: loop.Outcome, reasons: Mapping[str, ConfigReason]) -> Verdict:
    """With what the patch evaluator says: whether to fuzz, where, and with which options."""
    answer = outcome.results
    if answer is None:
        return msgspec.structs.replace(
            verdict, reasoning=f"{verdict.reasoning} The model gave no valid answer: {outcome.end}: {outcome.why}"
        )
    if verdict.needs_kmsan and not answer.worth_fuzzing:
        verdict = _disputed(verdict, f"WorthFuzzing false, against: {verdict.kmsan_reasoning}")
    if verdict.decided_by is not DecidedBy.EVIDENCE:
        verdict = _decided_by_agent(verdict, answer)
    elif verdict.worth_fuzzing is answer.worth_fuzzing:
        verdict = _agreed(verdict, answer)
    else:
        return verdict
    return _with_corrections(verdict, answer, reasons)


def _agreed(verdict: Verdict, answer: EvaluationArguments) -> Verdict:
    """A proved verdict that the agent agrees with: the proof speaks for itself; where to aim is no part of it."""
    return msgspec.structs.replace(
        verdict,
        reasoning=f"{verdict.reasoning} The model agrees: {answer.reasoning}",
        focus_symbols=verdict.focus_symbols or answer.focus_symbols,
        enable_configs=each_once((verdict.enable_configs, answer.enable_configs)) if verdict.worth_fuzzing else (),
    )


def _decided_by_agent(verdict: Verdict, answer: EvaluationArguments) -> Verdict:
    if not answer.worth_fuzzing:
        verdict = msgspec.structs.replace(verdict, disable_configs=(), config_sets=(), config_reasons={})
    return msgspec.structs.replace(
        verdict,
        worth_fuzzing=answer.worth_fuzzing,
        decided_by=DecidedBy.AGENT,
        reasoning=answer.reasoning,
        focus_symbols=answer.focus_symbols,
        # what was found to be needed stays, whether the model has seen it or not
        enable_configs=each_once((verdict.enable_configs, answer.enable_configs)) if answer.worth_fuzzing else (),
    )


def _with_corrections(verdict: Verdict, answer: EvaluationArguments, reasons: Mapping[str, ConfigReason]) -> Verdict:
    """With what the checks made of the agent's symbols and options."""
    from hook.agent.checks import grounding

    if not isinstance(answer, grounding.Evaluation) or not verdict.worth_fuzzing:
        return verdict
    new = {name: why for name, why in reasons.items() if name in verdict.enable_configs}
    return msgspec.structs.replace(
        verdict, via=answer.via, corrections=answer.corrections, config_reasons={**new, **verdict.config_reasons}
    )


def _with_kmsan(verdict: Verdict, outcome: loop.Outcome, reasons: Mapping[str, ConfigReason]) -> Verdict:
    """With what the KMSAN evaluator says. Where the need is proved, its answer is kept beside that."""
    answer = outcome.results
    if not verdict.worth_fuzzing or (verdict.needs_kmsan and (answer is None or answer.needs_kmsan)):
        return verdict
    if verdict.needs_kmsan:
        return _disputed(verdict, f"NeedsKMSAN false, against: {verdict.kmsan_reasoning} The model says: {answer.kmsan_reasoning}")
    if answer is None:
        return msgspec.structs.replace(verdict, kmsan_reasoning=f"not judged: {outcome.end}: {outcome.why}")
    return msgspec.structs.replace(verdict, needs_kmsan=answer.needs_kmsan, kmsan_reasoning=answer.kmsan_reasoning)


# what an agent's answer makes of the verdict, by the agent's name
WITH_ANSWER = {"patch-evaluator": _with_evaluation, "kmsan-evaluator": _with_kmsan}


def _disputed(verdict: Verdict, dispute: str) -> Verdict:
    return msgspec.structs.replace(verdict, disputes=(*verdict.disputes, dispute))


def without_secrets(verdict: Verdict, redactor: Redactor) -> Verdict:
    """The verdict as it is published: whatever way a secret took into an agent's words, it ends here."""
    return msgspec.structs.replace(
        verdict,
        reasoning=redactor.text(verdict.reasoning),
        kmsan_reasoning=redactor.text(verdict.kmsan_reasoning),
        focus_symbols=tuple(map(redactor.text, verdict.focus_symbols)),
        enable_configs=tuple(map(redactor.text, verdict.enable_configs)),
        disputes=tuple(map(redactor.text, verdict.disputes)),
        corrections=tuple(map(redactor.text, verdict.corrections)),
        model=redactor.text(verdict.model),
    )


def _reasoning(change: Change, proofs: Proofs, settings: Settings) -> str:
    evidence = proofs.evidence
    total = len(evidence.findings)
    if evidence.functional is Answer.NO:
        classes = sorted(", ".join(finding.change_classes) for finding in evidence.findings)
        kinds = [f"{name} ({_files(len(list(same)))})" for name, same in itertools.groupby(classes)]
        return f"no functional change: {', '.join(kinds)}."
    still = [finding for finding in evidence.findings if finding.functional.answer is not Answer.NO]
    if evidence.reachable is Answer.NO:
        if proofs.reached is not None and proofs.reached.answer is Answer.NO:
            return f"out of reach in the VM: {still[0].fact.claim}."
        return f"not built for {settings.target.arch}: {_places(still)}."
    text = f"functional change in {_places(still)}" if evidence.functional is Answer.YES else f"{_places(still)} changed"
    if evidence.functional is evidence.reachable is Answer.YES:
        return f"{text}; {_reached_by(proofs)}."
    text += "." if evidence.functional is Answer.YES else ". Not proved harmless."
    if len(still) < total:
        text += f" {_files(total - len(still))} of {total} proved harmless."
    if evidence.unread:
        text += f" {_files(evidence.unread)} not compared: not in this repository, or beyond limits.evidence_bytes."
    if change.patch.hunks_missing:
        text += f" No hunks: {change.patch.hunks_missing}."
    if proofs.reached is not None and proofs.reached.questions:
        questions = _OPEN.join(proofs.reached.questions)
        text += f"{_OPEN}{questions[:_LONGEST_QUESTION]}{'…' if len(questions) > _LONGEST_QUESTION else ''}"
    return text


def open_questions(verdict: Verdict) -> list[str]:
    """The open questions about reaching the change, from the reasoning of a verdict by default."""
    return verdict.reasoning.split(_OPEN)[1:] if verdict.decided_by is DecidedBy.DEFAULT else []


def _reached_by(proofs: Proofs) -> str:
    reached = proofs.reached
    if reached is not None and reached.devices:
        return f"it runs in a VM with {', '.join(reached.devices)}"
    if reached is None or not reached.facts:
        return "it runs in the VM"
    from hook.report.chain import chains  # only what is proved pays for it

    lines, facts = chains(reached.facts)
    return f"call path: {lines[0] if lines else facts[0].claim}"


def _places(findings: Sequence[finding.Finding]) -> str:
    named = list(dict.fromkeys(finding.fact.place.path for finding in findings))
    more = len(named) - 2
    return ", ".join(named[:2]) + (f" and {more} more" if more > 0 else "")


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"
