"""What to configure, as a person reads it and as scripts/kconfig/merge_config.sh does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hook.report.text import plain
from hook.verdict import Answer, ConfigReason, Verdict, to_document

_SHOWN = (
    "WorthFuzzing", "Functional", "Reachable", "EnableConfigs", "DisableConfigs", "ConfigSets", "ConfigReasons", "Assumptions",
    "ChangeId", "Commit", "SchemaVersion",
)  # fmt: skip


def lines(verdict: Verdict, label: str) -> Iterator[str]:
    """Each option with its reason, then what was assumed."""
    if Answer.NO in (verdict.functional, verdict.reachable):
        yield plain(f"{label}: nothing to configure: {verdict.reasoning}")
        return
    settings = _settings(verdict)
    yield plain(f"{label}: {'the base configuration has all needed options' if not settings else 'add to the base configuration:'}")
    for line, reason in settings:
        yield plain(f"  {line:<40}" + (f"  # {reason_text(reason)}" if reason else ""))
    for number, other in enumerate(verdict.config_sets[1:], 2):
        options = [*(f"{name}=y" for name in other.enable), *(f"{name}=n" for name in other.disable)]
        yield plain(f"  kernel {number}, for {', '.join(other.lines)}: {' '.join(options) or 'the base configuration'}")
    for assumption in verdict.assumptions:
        yield plain(f"  assumed: {assumption}")


def fragment(verdict: Verdict, label: str) -> Iterator[str]:
    """A fragment of a .config."""
    yield plain(f"# {label}")
    for line, reason in _settings(verdict):
        if reason is not None:
            yield plain(f"# {reason_text(reason)}")
        yield plain(line)


def document(verdict: Verdict, label: str) -> dict[str, Any]:
    """The same for a program: those fields of the verdict."""
    whole = to_document(verdict)
    return {"Label": label, **{name: whole[name] for name in _SHOWN if name in whole}}


def _settings(verdict: Verdict) -> list[tuple[str, ConfigReason | None]]:
    on = [(f"CONFIG_{name}=y", verdict.config_reasons.get(name)) for name in verdict.enable_configs]
    return [*on, *((f"# CONFIG_{name} is not set", verdict.config_reasons.get(name)) for name in verdict.disable_configs)]


def reason_text(reason: ConfigReason) -> str:
    """Why an option is needed, and where that stands."""
    place = f" ({reason.path}:{reason.line})" if reason.path else ""
    return f"{reason.purpose}: {reason.why}{place}"
