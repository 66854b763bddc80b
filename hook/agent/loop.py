"""The loop: rounds of a model's tool calls until it gives its results, or a limit ends it.

Every way to end has a name (End), which the trajectory shows. What goes wrong in a call goes back to the model as words it can act on; what
ends the run comes up here as `Ended`.
"""

from __future__ import annotations

import concurrent.futures
import enum
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hook.agent.context import fence
from hook.agent.desk import Desk
from hook.agent.endpoint.client import Client
from hook.agent.endpoint.replies import Call, Reply
from hook.agent.endpoint.trouble import NoAnswer, Trouble
from hook.agent.history import History, Malformed
from hook.agent.prompt import Prompt
from hook.agent.tools import tree_tools
from hook.agent.tools.arguments import BadCall, parse, to_json
from hook.failure import CannotJudge
from hook.source.grep import RefusedExpression
from hook.trajectory import Span, Trajectory
from hook.verdict import Tokens

RESULTS = "set-results"
_WARN_REPEATS = 3  # as farms do: the same call more often than this is warned about,
_END_REPEATS = 6  # and more often than this ends the run
_EMPTY_TURNS = 3
_ROOM = 0.8  # of the model's window may be filled before older results are cut


class End(enum.StrEnum):
    """How a run of an agent ended. The endpoint's troubles have their names in trouble.Trouble."""

    RESULTS = "results"
    ROUNDS = "rounds-used-up"
    TOKENS = "tokens-used-up"
    SECONDS = "seconds-used-up"
    REFUSALS = "results-refused"
    REPEATS = "same-call-repeated"
    SILENT = "no-tool-called"
    HISTORY = "history-malformed"
    INTERRUPTED = "interrupted"


# Ends that say nothing about the conversation: it can go on another time, and the answers so far are still good.
FOR_NOW = frozenset(
    {
        End.SECONDS,
        End.INTERRUPTED,
        Trouble.UNREACHABLE,
        Trouble.OVERLOADED,
        Trouble.TIMEOUT,
        Trouble.FORBIDDEN,
        Trouble.PATCH_CAP,
        Trouble.PUSH_CAP,
        Trouble.DAY_CAP,
        Trouble.LEDGER,
    }
)


class AgentLimits(msgspec.Struct, frozen=True):
    """What one agent may spend."""

    rounds: int
    tokens: int  # input, output and thoughts of all rounds together
    parallel_calls: int
    refusals: int
    window_tokens: int
    deadline: float  # of time.monotonic()


class Task(msgspec.Struct, frozen=True):
    """What an agent is asked: its prompt, and what its results must be."""

    name: str
    prompt: Prompt
    record: type  # of the arguments of set-results
    doc: str  # of set-results
    check: Callable[[Any], Any]  # gives what is accepted, or raises BadCall with what is wrong
    reading: tuple[tree_tools.Tool, ...] = tree_tools.READING  # what it may look up
    fence: str = ""  # around what tools found; empty where the prompt tells of none


class Outcome(msgspec.Struct, frozen=True):
    """How it went. `results` is what the task's check gave, None unless `end` is RESULTS."""

    end: str  # an End or a Trouble
    why: str
    results: Any
    model: str
    spent: Tokens


class Ended(Exception):
    """The run is over without results."""

    def __init__(self, end: str, why: str) -> None:
        super().__init__(why)
        self.end, self.why = end, why


def declarations(task: Task) -> list[dict[str, Any]]:
    """The tools as the model is told of them."""
    return [tool.declaration() for tool in (*task.reading, _results_tool(task))]


def run(
    task: Task,
    desk: Desk,
    client: Client,
    limits: AgentLimits,
    trajectory: Trajectory,
    progress: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Ask until there are results. Raises nothing of its own: each failure is an Outcome with a name."""
    client.begin()
    talk = _Talk(task, desk, client, limits, trajectory, progress)
    with trajectory.inside("agent", task.name, model=client.model, instruction=task.prompt.instruction, prompt=task.prompt.prompt) as span:
        try:
            outcome = Outcome(End.RESULTS, "", talk.results(), talk.model, talk.spent)
            span.results = msgspec.structs.asdict(outcome.results) if isinstance(outcome.results, msgspec.Struct) else outcome.results
        except Ended as ended:
            outcome = Outcome(ended.end, ended.why, None, talk.model, talk.spent)
        except NoAnswer as none:
            outcome = Outcome(none.trouble, str(none), None, talk.model, talk.spent)
        except Malformed as wrong:
            outcome = Outcome(End.HISTORY, str(wrong), None, talk.model, talk.spent)
        except KeyboardInterrupt:  # what is proved stands all the same
            outcome = Outcome(End.INTERRUPTED, "Ctrl-C ended it", None, talk.model, talk.spent)
        span.model = talk.model
        if outcome.end != End.RESULTS and outcome.end not in FOR_NOW:
            client.forget()
        if outcome.end != End.RESULTS:
            span.error = f"{outcome.end}: {outcome.why}"
    return outcome


class _Talk:
    """One run of one agent."""

    def __init__(
        self, task: Task, desk: Desk, client: Client, limits: AgentLimits, trajectory: Trajectory, progress: Callable[[str], None]
    ) -> None:
        self.task, self.desk, self.client, self.limits, self.trajectory, self.progress = task, desk, client, limits, trajectory, progress
        self.history = History(task.prompt.instruction, task.prompt.prompt)
        self.declared = declarations(task)
        self.tools = {**{tool.name: tool for tool in task.reading}, RESULTS: _results_tool(task)}
        self.spent = Tokens()
        self.rounds = 0
        self.model = client.model
        self.made: Counter[str] = Counter()
        self.refused = 0
        self.empty = 0
        self.hint = ""

    def results(self) -> Any:
        for number in range(1, self.limits.rounds + 1):
            last = number == self.limits.rounds
            if last and number > 1:
                self.history.add_prompt(f"This is the last round. Decide with what you know and call {RESULTS} now, and no other tool.")
            answer = self._ask(force=RESULTS if last or self.empty == _EMPTY_TURNS - 1 else "")
            if not answer.calls:
                self._silent(answer)
                continue
            self.empty = 0
            accepted = self._answer_calls(answer)
            if accepted is not None:
                return accepted[0]
        raise Ended(End.ROUNDS, f"no results within {self.limits.rounds} rounds (agent.max_rounds)")

    def _ask(self, force: str) -> Reply:
        limits = self.limits
        if self.spent.total >= limits.tokens:
            raise Ended(End.TOKENS, f"{self.spent.total} tokens spent (agent.max_tokens is {limits.tokens})")
        if time.monotonic() >= limits.deadline:
            raise Ended(End.SECONDS, "the time for the model ran out")
        self._make_room(int(limits.window_tokens * _ROOM))
        self.history.check()
        self._tell(f"asking {self.client.model}", self.rounds + 1)
        try:
            answer = self._ask_once(force)
        except NoAnswer as none:
            if none.trouble is not Trouble.WINDOW or not self.history.compress(self.history.tokens() // 2, keep_last=1):
                raise
            answer = self._ask_once(force)
        self.model = answer.model
        self.history.add_answer(answer.message)
        return answer

    def _tell(self, doing: str, number: int) -> None:
        self.progress(f"{doing}, round {number}, {self.spent.total} tokens so far (Ctrl-C ends it with what is known)")

    def _ask_once(self, force: str) -> Reply:
        span = self.trajectory.begin("llm", self.task.name, model=self.client.model)
        try:
            answer = self.client.ask(self.history.messages, self.declared, self.limits.deadline, force)
        except NoAnswer as none:
            span.error = f"{none.trouble}: {none}"
            self._spend(span, none.tokens)
            if none.trouble is Trouble.TIMEOUT and time.monotonic() >= self.limits.deadline:
                raise Ended(End.SECONDS, str(none)) from None
            raise
        finally:
            self.trajectory.end(span)
        span.model, span.reply, span.thoughts = answer.model + (" (cached)" if answer.cached else ""), answer.text, answer.thoughts
        if not answer.cached:  # an answer from before costs nothing
            self._spend(span, answer.tokens)
        self.rounds += 1
        self.trajectory.end(span)
        return answer

    def _spend(self, span: Span, tokens: Tokens) -> None:
        span.input_tokens, span.output_tokens, span.output_thoughts_tokens = tokens.input, tokens.output, tokens.thoughts
        self.spent += tokens

    def _silent(self, answer: Reply) -> None:
        self.empty += 1
        self.hint = answer.hint or self.hint
        if self.empty >= _EMPTY_TURNS:
            raise Ended(End.SILENT, f"{self.empty} answers without a tool call" + (f"; {self.hint}" if self.hint else ""))
        cut = " Your answer was cut off: say it shorter." if answer.cut else ""
        self.history.add_prompt(f"No tool was called.{cut} Call {RESULTS} with your decision, or another tool if something is missing.")

    def _answer_calls(self, answer: Reply) -> tuple[Any] | None:
        """Run the calls of a round; what was accepted, in a tuple, or None."""
        allowed = answer.calls[: self.limits.parallel_calls]
        self._tell(f"looking up {', '.join(dict.fromkeys(call.name[:30] for call in allowed))}", self.rounds)
        spans = [self.trajectory.begin("tool", call.name, args=call.arguments) for call in allowed]
        with concurrent.futures.ThreadPoolExecutor(max_workers=len(allowed)) as pool:
            done = list(pool.map(self._run_call, allowed, spans))
        accepted = None
        for call, (text, result) in zip(allowed, done, strict=True):
            fenced = self.task.fence and call.name != RESULTS
            self.history.add_result(call.id, fence.fenced(self.task.fence, text) if fenced else text)
            if call.name == RESULTS and result is not None and accepted is None:
                accepted = (result,)
        for call in answer.calls[self.limits.parallel_calls :]:
            self.history.add_result(call.id, f"not run: at most {self.limits.parallel_calls} calls are run a round; call it again")
        if answer.left_out:
            self.history.add_prompt(f"{answer.left_out} more calls were left out: at most {len(answer.calls)} are read of one answer.")
        if accepted is None:
            self._count_repeats(allowed)
            refused = sum(call.name == RESULTS for call in allowed)
            self.refused += refused
            if self.refused > self.limits.refusals:
                raise Ended(End.REFUSALS, f"its results were refused {self.refused} times, the last time for: {done[-1][0][:300]}")
        return accepted

    def _run_call(self, call: Call, span: Span) -> tuple[str, Any]:
        try:
            if call.wrong:
                raise BadCall(call.wrong)
            if call.name == RESULTS:
                result = self.task.check(parse(self.task.record, call.arguments))
                span.results = to_json(result)
                return "accepted", result
            answer = tree_tools.call(self.tools, self.desk, call.name, call.arguments)
            span.results = answer
            return tree_tools.as_text(answer), None
        except (BadCall, RefusedExpression) as wrong:
            span.error = str(wrong)
            return f"error: {wrong}", None
        except CannotJudge as wrong:
            span.error = str(wrong)
            return f"error: the tree cannot be read: {wrong}", None
        except Exception as bug:  # the boundary to what a model can ask for: a defect of ours costs the call, not the run
            span.error = f"a bug in patch-triage ({type(bug).__name__}: {bug})"
            return "error: the tool failed; do without it", None
        finally:
            self.trajectory.end(span)

    def _count_repeats(self, calls: tuple[Call, ...]) -> None:
        warned = []
        # once a round, however often in it: a warning must come before the end
        for key, name in {f"{call.name} {json.dumps(call.arguments, sort_keys=True)}": call.name for call in calls}.items():
            self.made[key] += 1
            if self.made[key] > _END_REPEATS:
                raise Ended(End.REPEATS, f"{name} was called in {self.made[key]} rounds with the same arguments")
            if self.made[key] > _WARN_REPEATS:
                warned.append(name)
        if warned:
            self.history.add_prompt(
                f"You have made the same call of {', '.join(dict.fromkeys(warned))} in more than {_WARN_REPEATS} rounds; "
                f"its answer does not change. Do something else, or decide with {RESULTS}."
            )

    def _make_room(self, most_tokens: int) -> None:
        if self.history.tokens() > most_tokens and not self.history.compress(most_tokens):
            raise Ended(Trouble.WINDOW, f"the conversation does not fit into {self.limits.window_tokens} tokens (agent.window_tokens)")


def _results_tool(task: Task) -> tree_tools.Tool:
    def run(desk: Desk, record: Any) -> Mapping[str, Any]:
        raise BadCall(f"{RESULTS} is not run by hand")

    return tree_tools.Tool(RESULTS, task.doc, task.record, run)  # type: ignore[arg-type]
