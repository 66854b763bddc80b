"""The evaluators: the two agents of the flow, each a task for the loop, and what they share.

`patch-evaluator` decides whether the change is worth fuzzing, where and with which options; `kmsan-evaluator` whether KMSAN is needed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from hook.agent import loop, prompt
from hook.agent.checks import grounding
from hook.agent.context import fence
from hook.agent.desk import Desk, fuzzed_kernel, shown_history
from hook.agent.endpoint import stored_answers
from hook.agent.endpoint.client import Client
from hook.agent.endpoint.transport import Endpoint
from hook.agent.history import History
from hook.agent.profile import AgentProfile
from hook.agent.token_count import estimate
from hook.agent.tools import lookup_tools, tree_tools
from hook.change.change import Change
from hook.config import Settings, WrongSetting
from hook.evidence.finding import Evidence
from hook.evidence.memory.leaks import Leaks
from hook.processes.secret_command import secret_of
from hook.redaction import Redactor
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.trajectory import Trajectory
from hook.verdict import Verdict

PATCH, KMSAN = "patch-evaluator", "kmsan-evaluator"
_KEY_SECONDS = 15
_DIFF_BYTES = 100_000  # of the diff that is sent; the rest is for the tools
_PARALLEL_CALLS = 10  # of one round


class Bench(msgspec.Struct):
    """What both agents work with, for one change."""

    settings: Settings
    profile: AgentProfile
    desk: Desk
    client: Client
    grounding: grounding.Grounding
    variables: Mapping[str, str]  # of the prompts
    deadline: float  # of time.monotonic()

    @property
    def limits(self) -> loop.AgentLimits:
        read = self.settings
        return loop.AgentLimits(
            rounds=read.agent.max_rounds,
            tokens=read.agent.max_tokens,
            parallel_calls=_PARALLEL_CALLS,
            refusals=read.agent.max_refusals,
            window_tokens=read.agent.window_tokens,
            deadline=self.deadline,
        )


def prepare(
    change: Change,
    evidence: Evidence,
    verdict: Verdict,
    objects: Objects,
    settings: Settings,
    *,
    profile: AgentProfile,
    deadline: float,
    use_cache: bool,
    redactor: Redactor,
    leaks: Leaks | None = None,
    client: Client | None = None,
) -> Bench:
    """Lay out what the agents need; `verdict` is what the evidence allows. Without a `client` the one that the settings say is asked.

    Raises WrongSetting where the key or a prompt cannot be had.
    """
    if client is None:
        client = _client(settings, change, deadline, redactor, use_cache=use_cache)
    source = Source(objects, change.after)
    diff = diff_text(change, _DIFF_BYTES)
    redactor.add_blocks(diff)
    digest = hashlib.sha256(diff.encode("utf-8", "replace")).hexdigest()[:16]
    diff = redactor.text(diff).rstrip("\n")
    deadline = min(deadline, time.monotonic() + settings.agent.max_seconds)
    target = fuzzed_kernel(settings)
    after = objects.read(change.after) if change.after else None
    last = change.after if after is not None and after.kind == "commit" else ""
    seconds, hidden = settings.agent.tool_seconds, settings.agent.never_paths
    desk = Desk(
        source, redactor, seconds, hidden, deadline, target, change.patch, history=shown_history(settings, change.base), last_commit=last
    )
    variables = {"target": settings.target.arch, "max_symbols": str(settings.focus.max_symbols), "diff": diff}
    if profile.is_a_farms:
        variables |= {"facts": grounding.facts(evidence), "fence": f"=== change {digest} ==="}
    else:
        unset = redactor.text((leaks or Leaks()).facts)
        variables |= _context(change, evidence, verdict, desk, settings, diff, unset)
    changed = tuple(file.path for file in change.patch.files if file.new_blob)
    check = grounding.Grounding(source, evidence, verdict, changed, profile, settings.focus.max_symbols, desk, settings.target.arch)
    bench = Bench(settings, profile, desk, client, check, variables, deadline)
    patch_task(bench), kmsan_task(bench, "")  # a prompt that cannot be used is said before anything is sent
    return bench


def _client(settings: Settings, change: Change, deadline: float, redactor: Redactor, *, use_cache: bool) -> Client:
    """A client for the endpoint of the settings. Raises WrongSetting."""
    key = find_key(settings, deadline - time.monotonic())
    redactor.tell(key)
    endpoint = Endpoint(
        settings.agent.base_url,
        key,
        models(settings),
        settings.agent.temperature,
        settings.agent.reply_tokens,
        settings.agent.request_seconds,
    )
    cache = stored_answers.Answers(change.repo.state_dir / "answers") if use_cache else None
    return Client(endpoint, redactor, cache)


def patch_task(bench: Bench) -> loop.Task:
    """The first agent's task. Raises WrongPrompt."""
    text = prompt.load(PATCH, bench.profile, bench.variables, bench.settings.agent.prompts)
    doc = "Gives your decision. Call it once, when you are sure."
    return loop.Task(PATCH, text, grounding.EvaluationArguments, doc, bench.grounding.evaluation, *_tools(bench))


def kmsan_task(bench: Bench, reasoning: str) -> loop.Task:
    """The second agent's task, for a change that is worth fuzzing because of `reasoning`. Raises WrongPrompt."""
    if not bench.profile.is_a_farms:
        reasoning = fence.without(bench.variables["fence"], reasoning)  # whoever wrote it has seen the fence
    text = prompt.load(KMSAN, bench.profile, {**bench.variables, "reasoning": reasoning}, bench.settings.agent.prompts)
    doc = "Gives your decision about KMSAN. Call it once, when you are sure."
    return loop.Task(KMSAN, text, grounding.KmsanArguments, doc, bench.grounding.kmsan, *_tools(bench))


def _tools(bench: Bench) -> tuple[tuple[tree_tools.Tool, ...], str]:
    """What the agents of a profile may look up, and the fence around what they find."""
    if bench.profile.is_a_farms:
        return tree_tools.READING, ""
    return (*tree_tools.READING, *lookup_tools.TOOLS), bench.variables["fence"]


def _context(change: Change, evidence: Evidence, verdict: Verdict, desk: Desk, settings: Settings, diff: str, unset: str) -> dict[str, str]:
    """The variables that hold what is known of a change, with a fence that none of them holds."""
    from hook.agent.context import first_message
    from hook.agent.context.gathering import Subject

    subject = Subject(change.patch.files, evidence, verdict)
    most = min(settings.agent.context_tokens, settings.agent.window_tokens // 2)
    message = first_message.gather(subject, desk, most)
    line = fence.fence(message.facts, message.pack.text, diff, unset)
    return {"facts": message.facts, "unset": unset, "pack": message.pack.text, "question": message.question, "fence": line}


class Agent(NamedTuple):
    """One agent of the flow. A further one is one more entry in AGENTS, a prompt of its name, and its part in hook.settlement."""

    name: str
    task: Callable[[Bench, Mapping[str, loop.Outcome]], loop.Task]  # given how the runs before it went, by name; raises WrongPrompt
    is_wanted: Callable[[Mapping[str, loop.Outcome]], bool]  # after these
    is_about_kmsan: bool = False  # so that it is not asked where no kernel can have KMSAN


def is_worth_fuzzing(outcomes: Mapping[str, loop.Outcome]) -> bool:
    """Whether the patch evaluator has said so."""
    return PATCH in outcomes and outcomes[PATCH].results is not None and bool(outcomes[PATCH].results.worth_fuzzing)


AGENTS = (
    Agent(PATCH, lambda bench, before: patch_task(bench), lambda before: True),
    Agent(KMSAN, lambda bench, before: kmsan_task(bench, before[PATCH].results.reasoning), is_worth_fuzzing, is_about_kmsan=True),
)


def ask(bench: Bench, task: loop.Task, trajectory: Trajectory, progress: Callable[[str], None]) -> loop.Outcome:
    return loop.run(task, bench.desk, bench.client, bench.limits, trajectory, progress)


def first_request(bench: Bench, task: loop.Task) -> tuple[dict[str, Any], int]:
    """What would be sent first, exactly, and about how many tokens it has."""
    messages = History(task.prompt.instruction, task.prompt.prompt).messages
    body = bench.client.request(messages, loop.declarations(task))
    return body, estimate(body["messages"]) + estimate(body["tools"])


def models(settings: Settings) -> tuple[str, ...]:
    """The models to ask, in order."""
    return tuple(dict.fromkeys(name for name in (settings.agent.model, *settings.agent.models) if name))


def find_key(settings: Settings, seconds: float = _KEY_SECONDS) -> str:
    """The endpoint's key, from the variable or the command that the settings name; empty where there is none. Raises WrongSetting."""
    if command := settings.agent.key_command:
        name, origin = "what agent.key_command prints", settings.origins["agent.key_command"]
        key = _key_of_command(command, origin, seconds)
    else:
        name, origin = f"the variable {settings.agent.key_variable}", settings.origins["agent.key_variable"]
        key = os.environ.get(settings.agent.key_variable, "").strip()
    # it goes into a header, and what is wrong with a header is shown in forms of it that nobody would know to cut out
    if not key.isascii() or not key.isprintable():
        where = "" if origin == "default" else f"{origin}: "
        raise WrongSetting(f"{where}{name} is no key: it has a line break, a control character or a character outside of ASCII")
    return key


_keys: dict[str, str | WrongSetting] = {}  # of a command: it may ask the person, and a push has many commits


def _key_of_command(command: str, origin: str, seconds: float) -> str:
    if command not in _keys:
        try:
            _keys[command] = secret_of(command, "agent.key_command", origin, min(_KEY_SECONDS, max(0.1, seconds)))
        except WrongSetting as wrong:
            _keys[command] = wrong
    key = _keys[command]
    if isinstance(key, WrongSetting):
        raise key
    return key


def diff_text(change: Change, most_bytes: int) -> str:
    """The diff as a model reads it: binary files by name only, and cut at `most_bytes`, with the names of all files where it was cut."""
    sections = change.patch.diff.split(b"\ndiff --git ")
    kept = []
    for number, section in enumerate(sections):
        head = section if number == 0 else b"diff --git " + section
        if b"\0" in head:
            head = head.split(b"\n", 1)[0] + b"\nBinary files differ"
        kept.append(head)
    data = b"\n".join(kept)
    text = data[:most_bytes].decode("utf-8", "replace")
    if len(data) <= most_bytes and change.patch.diff:
        return text
    names = [
        f"{file.status} {file.path.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')}" for file in change.patch.files[:500]
    ]
    text = text[: text.rfind("\n") + 1]
    return f"{text}[the diff has {len(data)} bytes and was cut here; read the files with the tools]\nAll changed files:\n" + "\n".join(
        names
    )
