"""The trailer: a verdict in the commit message, where `git interpret-trailers` finds it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hook import lazy_re
from hook.source.git import Repository
from hook.verdict import DecidedBy, Verdict

KEYS = ("Worth-Fuzzing", "Focus-Symbols", "Enable-Configs", "Needs-KMSAN")
_WIDTH = 75
_MOST_BYTES = 64 << 10  # of a message whose trailers are read: somebody else may have written it
_OURS = lazy_re.compile(rb"^(?:" + "|".join(KEYS).encode() + rb")\s*:", re.IGNORECASE)
_SIGNED_OFF = lazy_re.compile(rb"^Signed-off-by\s*:", re.IGNORECASE)
_SCISSORS = lazy_re.compile(rb"^\S* ?-+ >8 -+\s*$", re.MULTILINE)


def lines(verdict: Verdict) -> list[str]:
    """The trailers of a verdict, each on as many lines of at most 75 characters as it takes."""
    worth = "unknown" if verdict.decided_by is DecidedBy.DEFAULT else "yes" if verdict.worth_fuzzing else "no"
    found = [f"Worth-Fuzzing: {worth}"]
    symbols = verdict.focus_symbols if verdict.worth_fuzzing else ()
    for key, names in (("Focus-Symbols", symbols), ("Enable-Configs", verdict.enable_configs)):
        if names:
            found.append(_folded(key, names))
    if verdict.needs_kmsan:
        found.append("Needs-KMSAN: yes")
    return found


def add(repo: Repository, message: bytes, verdict: Verdict) -> bytes:
    """`message` with the trailers of `verdict` in place of any of ours, before the first Signed-off-by, and nothing else changed.

    Git says whether the last paragraph holds trailers; the lines are put in here, since `git interpret-trailers` drops the comments of a
    block that it adds to. A message with nothing in it beside comments stays as it is: git would no longer see that it is empty.
    """
    scissors = _SCISSORS.search(message)
    content, tail = (message[: scissors.start()], message[scissors.start() :]) if scissors else (message, b"")
    if not repo.run("stripspace", "--strip-comments", data=content).strip():
        return message
    comment = repo.run("config", "--get", "core.commentChar", ok=(0, 1)).strip()
    comment = comment if len(comment) == 1 else b"#"  # `auto` chooses a character that no line begins with
    if not content.endswith(b"\n"):
        content += b"\n"
    all_lines = _without_ours(repo, content.splitlines(keepends=True), comment)
    ours = [f"{line}\n".encode() for line in lines(verdict)]
    start, end = _block(all_lines, comment)
    if _trailers(repo, b"".join(all_lines)):
        at = next((at for at in range(start, end) if _SIGNED_OFF.match(all_lines[at])), end)
        return b"".join([*all_lines[:at], *ours, *all_lines[at:]]) + tail
    return b"".join([*all_lines[:end], b"\n", *ours, *all_lines[end:]]) + tail


def read(repo: Repository, message: bytes) -> dict[str, str]:
    """Our trailers in a commit message; none in one that is longer than people write."""
    if len(message) > _MOST_BYTES:
        return {}
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


def _trailers(repo: Repository, content: bytes) -> list[bytes]:
    # git 2.39.5 hangs without --no-divider on a message that holds `---` and then scissors
    return repo.run("interpret-trailers", "--only-trailers", "--only-input", "--no-divider", data=content).splitlines()


def _without_ours(repo: Repository, all_lines: list[bytes], comment: bytes) -> list[bytes]:
    """The lines without our trailers in the trailer block; a line of the body that only looks like one stays."""
    # more than once: when ours were all of the last paragraph, the one before it is now the trailer block
    while any(_OURS.match(line) for line in _trailers(repo, b"".join(all_lines))):
        start, end = _block(all_lines, comment)
        kept, drop = [], False
        for line in all_lines[start:end]:
            drop = bool(_OURS.match(line)) or (drop and line[:1] in (b" ", b"\t"))
            if not drop:
                kept.append(line)
        if len(kept) == end - start:
            break
        if not kept:
            while start and not all_lines[start - 1].strip():
                start -= 1
        all_lines = [*all_lines[:start], *kept, *all_lines[end:]]
    return all_lines


def _block(all_lines: Sequence[bytes], comment: bytes) -> tuple[int, int]:
    """The last paragraph, where git looks for trailers: comments and blank lines after it do not count."""
    end = len(all_lines)
    while end and (not all_lines[end - 1].strip() or all_lines[end - 1].startswith(comment)):
        end -= 1
    start = end
    while start and all_lines[start - 1].strip():
        start -= 1
    return start, end
