"""The trailer: a verdict in the commit message, in the form of `git interpret-trailers`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hook import lazy_re
from hook.source.git import Repository
from hook.verdict import DecidedBy, Verdict

KEYS = ("Worth-Fuzzing", "Focus-Symbols", "Enable-Configs", "Needs-KMSAN")
_WIDTH = 75
_MOST_BYTES = 64 << 10  # of a message whose trailers are read: it is untrusted
_OURS = lazy_re.compile(rb"^(?:" + "|".join(KEYS).encode() + rb")\s*:", re.IGNORECASE)
_SIGNED_OFF = lazy_re.compile(rb"^Signed-off-by\s*:", re.IGNORECASE)
_SCISSORS = lazy_re.compile(rb"^\S* ?-+ >8 -+\s*$", re.MULTILINE)


def lines(verdict: Verdict) -> list[str]:
    """The trailers of a verdict, each folded into lines of at most 75 characters."""
    worth = "unknown" if verdict.decided_by is DecidedBy.DEFAULT else "yes" if verdict.worth_fuzzing else "no"
    trailers = [f"Worth-Fuzzing: {worth}"]
    symbols = verdict.focus_symbols if verdict.worth_fuzzing else ()
    for key, names in (("Focus-Symbols", symbols), ("Enable-Configs", verdict.enable_configs)):
        if names:
            trailers.append(_folded(key, names))
    if verdict.needs_kmsan:
        trailers.append("Needs-KMSAN: yes")
    return trailers


def add(repo: Repository, message: bytes, verdict: Verdict) -> bytes:
    """`message` with the trailers of `verdict` instead of earlier ones of ours, before the first Signed-off-by, else unchanged.

    Git decides whether the last paragraph has trailers; the lines are inserted here, since `git interpret-trailers` drops comments in a
    block that it extends. A message with only comments does not change: git would no longer see that it is empty.
    """
    scissors = _SCISSORS.search(message)
    content, tail = (message[: scissors.start()], message[scissors.start() :]) if scissors else (message, b"")
    if not repo.run("stripspace", "--strip-comments", data=content).strip():
        return message
    comment = repo.run("config", "--get", "core.commentChar", ok=(0, 1)).strip()
    comment = comment if len(comment) == 1 else b"#"  # with `auto`, git chooses a character with which no line begins
    if not content.endswith(b"\n"):
        content += b"\n"
    all_lines = _without_ours(repo, content.splitlines(keepends=True), comment)
    ours = [f"{line}\n".encode() for line in lines(verdict)]
    start, end = _block(all_lines, comment)
    if _trailers(repo, b"".join(all_lines)):
        signed_off = next((number for number in range(start, end) if _SIGNED_OFF.match(all_lines[number])), end)
        return b"".join([*all_lines[:signed_off], *ours, *all_lines[signed_off:]]) + tail
    return b"".join([*all_lines[:end], b"\n", *ours, *all_lines[end:]]) + tail


def read(repo: Repository, message: bytes) -> dict[str, str]:
    """Our trailers in a commit message; none if the message is longer than the limit."""
    if len(message) > _MOST_BYTES:
        return {}
    out = repo.run("interpret-trailers", "--parse", "--no-divider", data=message).decode("utf-8", "replace")
    pairs = (line.partition(":") for line in out.splitlines())
    spelling = {key.lower(): key for key in KEYS}
    return {spelling[key.strip().lower()]: value.strip() for key, _, value in pairs if key.strip().lower() in spelling}


def _folded(key: str, names: Sequence[str]) -> str:
    text, width = f"{key}:", len(key) + 1
    for number, name in enumerate(names):
        word = "".join(char for char in name if char.isprintable() and char != " ") + ("," if number < len(names) - 1 else "")
        if width + 1 + len(word) > _WIDTH and width > len(key) + 1:
            text, width = f"{text}\n {word}", 1 + len(word)
        else:
            text, width = f"{text} {word}", width + 1 + len(word)
    return text


def _trailers(repo: Repository, content: bytes) -> list[bytes]:
    # git 2.39.5 hangs without --no-divider on a message with `---` and then scissors
    return repo.run("interpret-trailers", "--only-trailers", "--only-input", "--no-divider", data=content).splitlines()


def _without_ours(repo: Repository, all_lines: list[bytes], comment: bytes) -> list[bytes]:
    """The lines without our trailers in the trailer block; a line of the body that only looks like one stays."""
    # repeated: if the last paragraph had only trailers of ours, the one before it is now the trailer block
    while any(_OURS.match(line) for line in _trailers(repo, b"".join(all_lines))):
        start, end = _block(all_lines, comment)
        others, drop = [], False
        for line in all_lines[start:end]:
            drop = bool(_OURS.match(line)) or (drop and line[:1] in (b" ", b"\t"))
            if not drop:
                others.append(line)
        if len(others) == end - start:
            break
        if not others:
            while start and not all_lines[start - 1].strip():
                start -= 1
        all_lines = [*all_lines[:start], *others, *all_lines[end:]]
    return all_lines


def _block(all_lines: Sequence[bytes], comment: bytes) -> tuple[int, int]:
    """The last paragraph, in which git expects trailers; comments and blank lines after it do not count."""
    end = len(all_lines)
    while end and (not all_lines[end - 1].strip() or all_lines[end - 1].startswith(comment)):
        end -= 1
    start = end
    while start and all_lines[start - 1].strip():
        start -= 1
    return start, end
