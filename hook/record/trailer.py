"""The trailer: a verdict in the commit message, through `git interpret-trailers`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hook.source.git import Repository
from hook.verdict import DecidedBy, Verdict

KEYS = ("Worth-Fuzzing", "Focus-Symbols", "Enable-Configs", "Needs-KMSAN")
_WIDTH = 75
_OURS = re.compile(rb"^(?:" + "|".join(KEYS).encode() + rb")\s*:", re.IGNORECASE)
_SIGNED_OFF = re.compile(rb"^Signed-off-by\s*:", re.IGNORECASE)
_SCISSORS = re.compile(rb"^\S* ?-+ >8 -+\s*$", re.MULTILINE)


def lines(verdict: Verdict) -> list[str]:
    """The trailers of a verdict, each on as many lines of at most 75 characters as it takes."""
    worth = "unknown" if verdict.decided_by is DecidedBy.DEFAULT else "yes" if verdict.worth_fuzzing else "no"
    found = [f"Worth-Fuzzing: {worth}"]
    for key, names in (("Focus-Symbols", verdict.focus_symbols), ("Enable-Configs", verdict.enable_configs)):
        if names:
            found.append(_folded(key, names))
    if verdict.needs_kmsan:
        found.append("Needs-KMSAN: yes")
    return found


def add(repo: Repository, message: bytes, verdict: Verdict) -> bytes:
    """`message` with the trailers of `verdict` in place of any of ours, before the first Signed-off-by.

    A message with nothing in it beside comments stays as it is: git would no longer see that it is empty.
    """
    scissors = _SCISSORS.search(message)
    content, tail = (message[: scissors.start()], message[scissors.start() :]) if scissors else (message, b"")
    if not repo.run("stripspace", "--strip-comments", data=content).strip():
        return message
    without = _without_ours(repo, content)
    arguments = [word for line in lines(verdict) for word in ("--trailer", line)]
    # git 2.39.5 hangs without --no-divider on a message that holds `---` and then scissors
    added = repo.run("interpret-trailers", "--no-divider", "--where", "end", "--if-exists", "add", *arguments, data=without)
    return _before_sign_off(added) + tail


def read(repo: Repository, message: bytes) -> dict[str, str]:
    """Our trailers in a commit message."""
    out = repo.run("interpret-trailers", "--parse", "--no-divider", data=message).decode("utf-8", "replace")
    pairs = (line.partition(":") for line in out.splitlines())
    known = {key.lower(): key for key in KEYS}
    return {known[key.strip().lower()]: value.strip() for key, _, value in pairs if key.strip().lower() in known}


def _folded(key: str, names: Sequence[str]) -> str:
    text, width = f"{key}:", len(key) + 1
    for number, name in enumerate(names):
        word = "".join(char for char in name if char.isprintable() and char != " ") + ("," if number < len(names) - 1 else "")
        if width + 1 + len(word) > _WIDTH and width > len(key) + 1:
            text, width = f"{text}\n {word}", 1 + len(word)
        else:
            text, width = f"{text} {word}", width + 1 + len(word)
    return text


def _without_ours(repo: Repository, content: bytes) -> bytes:
    """`content` without our trailers in its trailer block; a line of the body that only looks like one stays."""
    parsed = repo.run("interpret-trailers", "--only-trailers", "--only-input", "--no-divider", data=content)
    if not any(_OURS.match(line) for line in parsed.splitlines()):
        return content
    all_lines = content.splitlines(keepends=True)
    start, end = _block(all_lines)
    kept, drop = [], False
    for line in all_lines[start:end]:
        drop = bool(_OURS.match(line)) or (drop and line[:1] in (b" ", b"\t"))
        if not drop:
            kept.append(line)
    if not any(line.strip() for line in kept):
        while start and not all_lines[start - 1].strip():
            start -= 1
    return b"".join([*all_lines[:start], *kept, *all_lines[end:]])


def _before_sign_off(content: bytes) -> bytes:
    all_lines = content.splitlines(keepends=True)
    start, end = _block(all_lines)
    block = all_lines[start:end]
    signed = next((at for at, line in enumerate(block) if _SIGNED_OFF.match(line)), None)
    first = next((at for at, line in enumerate(block) if _OURS.match(line)), None)
    if signed is None or first is None or first < signed:
        return content
    return b"".join([*all_lines[:start], *block[:signed], *block[first:], *block[signed:first], *all_lines[end:]])


def _block(all_lines: Sequence[bytes]) -> tuple[int, int]:
    """The last paragraph, as git takes it for the trailers: comments and blank lines after it do not count."""
    end = len(all_lines)
    while end and (not all_lines[end - 1].strip() or all_lines[end - 1].startswith(b"#")):
        end -= 1
    start = end
    while start and all_lines[start - 1].strip():
        start -= 1
    return start, end
