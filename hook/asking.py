"""Asking: whether and how a model may be asked about a change, and how that can come to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from hook.agent.profile import AgentProfile
from hook.change.change import Change
from hook.config import Settings
from hook.verdict import DecidedBy, Lack, State, Verdict


class Asking(msgspec.Struct, frozen=True):
    """Whether and how the model may be asked about a change."""

    mode: str = "auto"  # auto: what the evidence leaves open; always; never
    profile: AgentProfile = AgentProfile.DEFAULT
    deadline: float = 0.0  # of time.monotonic(); in the past, open questions are left pending
    progress: Callable[[str], None] = lambda line: None
    at_commit: bool = False  # a commit waits: the short search, of which the worker finishes what stays open
    reads_all: bool = False  # in a short search too: no worker comes after it
    push: str = ""  # names the push that asks, for what it may spend

    @property
    def may_wait(self) -> bool:
        """Whether there is time left to ask a model."""
        return self.deadline > time.monotonic()

    @property
    def is_short(self) -> bool:
        """Whether the search ends early; it never does before a model is asked."""
        return self.at_commit and not self.may_wait

    @property
    def leaves_reading(self) -> bool:
        """Whether the worker reads what takes seconds, once for many changes: the options of the tree, what a fuzzer has reached."""
        return self.is_short and not self.reads_all


NO_MODEL = "no model is set up (agent.base_url)"
NO_CLIENT = "the package openai is missing: `pipx install 'patch-triage[agent]'`, or `pip install openai` into the same environment"
NOT_YET = "not asked yet: `--wait` or a push asks"
INTERRUPTED = "interrupted"  # loop.End.INTERRUPTED, without what that imports
NOT_ASKED = Asking(mode="never")
BEFORE_COMMIT = Asking(mode="never", at_commit=True)
SHORT_SEARCH = Asking(mode="never", at_commit=True, reads_all=True)


class Unanswered(msgspec.Struct, frozen=True):
    """How asking came to nothing."""

    end: str  # a name of loop.End or trouble.Trouble
    why: str
    for_now: bool  # it says nothing about the question: another time there may be an answer


def has_client() -> bool:
    """Whether the extra is installed that models are asked with."""
    import importlib.util  # only who has a model pays for it

    return importlib.util.find_spec("openai") is not None


def refusal(change: Change, settings: Settings, asking: Asking) -> str:
    """Why no model may be asked about this change; empty if one may."""
    if not settings.agent.base_url:
        return NO_MODEL
    if not has_client():
        return NO_CLIENT
    from hook.agent import consent

    paths = sorted({path for file in change.patch.files for path in (file.old_path, file.path)})
    return consent.refusal(change.repo, settings, change.commit, paths, for_this_command=asking.mode == "always")


def may_ask(change: Change, verdict: Verdict, settings: Settings, asking: Asking) -> tuple[str, bool]:
    """Why the model is asked about a change or not, and which of the two."""
    if asking.mode == "never":
        return "not asked: --agent never or --offline", False
    if asking.mode == "auto" and verdict.decided_by is not DecidedBy.DEFAULT:
        return "not asked: the evidence has decided", False
    if why := refusal(change, settings, asking):
        return f"not asked: {why}", False
    if not asking.may_wait:
        return NOT_YET, False
    return "asked: " + ("--agent always" if asking.mode == "always" else "the evidence leaves it open"), True


def goes_on(verdict: Verdict, settings: Settings) -> bool:
    """Whether the worker will look for more than a verdict says, which was cut short while a commit waited for it."""
    if not settings.reach.background or verdict.decided_by is DecidedBy.AGENT:
        return False
    waits_for = {Lack.SEARCH, Lack.TIME, *([Lack.INDEX] if settings.index.background else [])}
    return not waits_for.isdisjoint(verdict.lacks)


def with_state(verdict: Verdict, change: Change, settings: Settings, asking: Asking, unanswered: Unanswered | None = None) -> Verdict:
    """The verdict, pending where it is open and a model could still be asked about it."""
    if verdict.decided_by is not DecidedBy.DEFAULT or asking.mode == "never":
        return verdict
    if asking.may_wait and not (unanswered and unanswered.for_now):
        return verdict
    return verdict if refusal(change, settings, asking) else msgspec.structs.replace(verdict, state=State.PENDING)
