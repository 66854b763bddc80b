"""The trajectory: the steps of one run as spans, written to a file as they happen.

JSON lines. A span that takes time is written when it begins and again when it ends, under the same Seq, so that a crash leaves a readable
file; at the end of the run the file is put in order, one span a line. The names are those that fuzzing farms show: see docs/formats.md.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import pathlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from hook.failure import CannotJudge

Result = TypeVar("Result")

_MOST_BYTES = 64 << 20  # a file beyond this is no trajectory of ours


class Span(msgspec.Struct, rename="pascal"):
    """One step. `finished` is empty while it runs, or where the run died in it."""

    seq: int
    nesting: int
    type: str  # flow, action, agent, llm or tool
    name: str
    model: str = ""
    started: str = ""  # UTC, ISO 8601
    finished: str = ""
    error: str = ""
    args: Any = None
    results: Any = None
    instruction: str = ""
    prompt: str = ""
    reply: str = ""
    thoughts: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    output_thoughts_tokens: int = 0

    @property
    def seconds(self) -> float:
        """How long it took; 0 where that is not known."""
        try:
            began, ended = datetime.datetime.fromisoformat(self.started), datetime.datetime.fromisoformat(self.finished)
        except ValueError:
            return 0.0
        return max(0.0, (ended - began).total_seconds())


class Trajectory:
    """The spans of a run. Nothing is written before `open`; what came earlier is written then."""

    def __init__(self, clean: Callable[[Any], Any] = lambda value: value) -> None:
        self.spans: list[Span] = []
        self.path: pathlib.Path | None = None
        self.wrong = ""  # why it could not be written, for the person to read
        self._clean = clean
        self._depth = 0
        self._lock = threading.Lock()

    def open(self, path: pathlib.Path) -> None:
        """Write to `path` from now on. A disk that does not let us costs the file, not the run."""
        with self._lock:
            if self.path is not None:
                return
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
                self.path = path
            except OSError as wrong:
                self.wrong = f"no trajectory: {path}: {wrong.strerror}"
        for span in self.spans:
            self._write(span)

    def begin(self, kind: str, name: str, **fields: Any) -> Span:
        """A new span inside the one that is open; give it to `end`."""
        with self._lock:
            span = Span(len(self.spans), self._depth, kind, name, started=_now(), **fields)
            self.spans.append(span)
        self._write(span)
        return span

    def end(self, span: Span) -> None:
        span.finished = _now()
        self._write(span)

    @contextlib.contextmanager
    def inside(self, kind: str, name: str, **fields: Any) -> Iterator[Span]:
        """A span with others in it. An exception is noted in it and goes on. For the run's own thread."""
        span = self.begin(kind, name, **fields)
        self._depth += 1
        try:
            yield span
        except BaseException as wrong:
            span.error = span.error or f"{type(wrong).__name__}: {wrong}"
            raise
        finally:
            self._depth -= 1
            self.end(span)

    def step(self, name: str, take: Callable[[], Result], shown: Callable[[Result], Mapping[str, object]]) -> Result:
        """The result of a step, which its span shows."""
        with self.inside("action", name) as span:
            result = take()
            span.results = shown(result)
        return result

    def close(self) -> None:
        """Put the file in order: one span a line, by Seq."""
        with self._lock:
            if self.path is None:
                return
            import tempfile

            try:
                handle, name = tempfile.mkstemp(prefix=".new-", dir=self.path.parent)
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.writelines(self._line(span) for span in self.spans)
                os.replace(name, self.path)
            except OSError as wrong:
                self.wrong = self.wrong or f"the trajectory is not in order: {self.path}: {wrong.strerror}"

    def _line(self, span: Span) -> str:
        import json  # only a run with a model pays for it

        return json.dumps(self._clean(to_document(span)), ensure_ascii=True) + "\n"

    def _write(self, span: Span) -> None:
        with self._lock:
            if self.path is None:
                return
            try:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(self._line(span))
            except OSError as wrong:
                self.wrong = self.wrong or f"the trajectory ends early: {self.path}: {wrong.strerror}"


def to_document(span: Span) -> dict[str, Any]:
    """The span as programs read it."""
    return dict(zip(Span.__struct_encode_fields__, msgspec.structs.astuple(span), strict=True))


def cleaned(span: Span, clean: Callable[[Any], Any]) -> Span:
    """The span with each of its texts and values as `clean` gives it."""
    return msgspec.structs.replace(span, **{field: clean(getattr(span, field)) for field in Span.__struct_fields__})


def read(path: pathlib.Path) -> list[Span]:
    """The spans in a file, by Seq; a line that a crash has cut short is left out. Raises OSError, CannotJudge where it is no trajectory."""
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise CannotJudge(f"{path} has more than {_MOST_BYTES} bytes: no trajectory of ours")
    import json

    spans: dict[int, Span] = {}
    for line in data.split(b"\n"):
        try:
            span = msgspec.convert(json.loads(line), Span)
        except (ValueError, RecursionError):
            continue
        spans[span.seq] = span
    if not spans:
        raise CannotJudge(f"{path} holds no spans")
    return [spans[seq] for seq in sorted(spans)]


def totals(spans: Sequence[Span], kind: str) -> dict[str, tuple[int, int, float]]:
    """Calls, tokens and seconds by name: of models for `llm` spans, of tools for `tool` spans."""
    sums: dict[str, tuple[int, int, float]] = {}
    for span in spans:
        if span.type == kind:
            name = (span.model or span.name) if kind == "llm" else span.name
            calls, tokens, seconds = sums.get(name, (0, 0, 0.0))
            spent = span.input_tokens + span.output_tokens + span.output_thoughts_tokens
            sums[name] = (calls + 1, tokens + spent, seconds + span.seconds)
    return sums


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
