"""Random edits of C files: some that cannot matter, and some that must.

What is made here is known to be harmless or effective by how it is made, without asking the code under test.
"""

from __future__ import annotations

import random
import re

_HIDDEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|/\*.*?\*/|//[^\n]*', re.DOTALL)
_FUNCTION = re.compile(
    r"^(?:static |inline |unsigned |const |struct |[a-z_0-9]+ |\*)+\**(\w+)\(([^;{}]*)\)\n\{\n(.*?)^\}\n", re.DOTALL | re.MULTILINE
)
_LOGGED = re.compile(r"\b(?:pr|dev|netdev)_(?:err|warn|info|dbg|notice)\((?:[\w.>&-]+, )?\"((?:[^\"\\\n]|\\.)*)\"")
_LOCAL = re.compile(r"^\t(?:int|u32|bool|long|unsigned int|size_t|u8|u64) (\w+)(?: = [^,;\n]*)?;$", re.MULTILINE)
# statements that could only log or trace, and those that a compiler may throw away
_SPARED = re.compile(
    r"#|print|_(?:err|warn|info|dbg|notice|debug|log|alert|crit|emerg)|trace|log|LOG|DBG|dbg|debug|DEBUG|ERR|WARN|MSG|BUG|assert|ASSERT"
    r"|msg|MODULE|seq_|sizeof"
)
_FLIPS = {"==": "!=", "!=": "==", "<": ">=", ">": "<=", "&&": "||", "||": "&&", "<=": ">", ">=": "<"}


def harmless(text: str, rng: random.Random) -> tuple[str, str] | None:
    """An edit that cannot matter, and what kind it is; None where the file has no place for the kind that was drawn."""
    kind = rng.choice(["comment", "white space", "log text", "local rename"])
    if kind in ("comment", "white space"):
        places = _line_starts(text)
        if not places:
            return None
        at = rng.choice(places)
        new = rng.choice(["/* a word */\n", "// a word\n", '/*\n * words, "quoted" and \'not\n */\n']) if kind == "comment" else "\n"
        return text[:at] + new + text[at:], kind
    if kind == "log text":
        found = [match for match in _LOGGED.finditer(text) if _place_of_text(match[1]) and not _is_hidden(text, match.start())]
        if not found:
            return None
        match = rng.choice(found)
        at = match.start(1) + rng.choice(_place_of_text(match[1]))
        return text[:at] + rng.choice("xyz") + text[at:], kind
    return _renamed(text, rng)


def effective(text: str, rng: random.Random) -> str | None:
    """An edit that must matter: another operator, another number, a statement less. None where there is no place for it."""
    bodies = [match for match in _FUNCTION.finditer(text) if not re.search(r"^#", match[3], re.MULTILINE)]
    if not bodies:
        return None
    body = rng.choice(bodies)
    code = _HIDDEN.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), body[3])
    places = []
    for match in re.finditer(
        r"(?<=[\w)\]] )(==|!=|<=|>=|<|>|&&|\|\|)(?= [\w(!&*-])|(?<![\w.])([1-9]\d?)(?![\w.])|^\t+(\w+(?:->\w+)* = [^;{}]*;)$",
        code,
        re.MULTILINE,
    ):
        begin = max(code.rfind(mark, 0, match.start()) for mark in ";{}") + 1
        end = code.find(";", match.end())
        if not _SPARED.search(code[begin : end if end > 0 else len(code)]):
            places.append(match)
    if not places:
        return None
    match = rng.choice(places)
    if match[1]:
        new = _FLIPS[match[1]]
    elif match[2]:
        new = str(int(match[2]) + 1)
    else:
        new = code[match.start() : match.start(3)] + ";"
    start = body.start(3)
    return text[: start + match.start()] + new + text[start + match.end() :]


def _line_starts(text: str) -> list[int]:
    """Where a line begins that neither goes on nor is gone on with, outside of comments, strings and parentheses."""
    bare = _HIDDEN.sub(lambda match: "x" * len(match[0]), text)
    places = []
    depth = at = 0
    goes_on = False
    for line in bare.splitlines(keepends=True):
        if depth == 0 and not goes_on and not line.startswith("x"):
            places.append(at)
        goes_on = line.endswith("\\\n")
        depth = max(0, depth + line.count("(") - line.count(")")) if not line.startswith("#") else depth
        at += len(line)
    return places


def _place_of_text(text: str) -> list[int]:
    """Where a letter can be put into a format without touching a conversion or an escape."""
    return [] if "%" in text else [at for at in range(len(text)) if "\\" not in text[max(0, at - 4) : at]]


def _is_hidden(text: str, at: int) -> bool:
    return any(match.start() < at < match.end() for match in _HIDDEN.finditer(text) if match[0][:1] == "/")


def _renamed(text: str, rng: random.Random) -> tuple[str, str] | None:
    found = []
    for body in _FUNCTION.finditer(text):
        for local in _LOCAL.finditer(body[3]):
            name = local[1]
            shouted = re.search(rf"\b[A-Z_0-9]+\([^;]*\b{name}\b", body[3])
            member = re.search(rf"(?:\.|->)\s*{name}\b", body[3])
            text_too = any(name in match[0] for match in _HIDDEN.finditer(body[3]))
            outside = (
                re.search(rf"\b{name}\b", body[2]) or len(re.findall(rf"^\t+.*\b\w+ \**{name}\b(?: =|;|,)", body[3], re.MULTILINE)) != 1
            )
            if not (shouted or member or text_too or outside or "#" in body[3] or f"{name}:" in body[3]):
                found.append((body, name))
    if not found:
        return None
    body, name = rng.choice(found)
    new = re.sub(rf"\b{name}\b", f"{name}_zqx{rng.randrange(1000)}", body[3])
    return text[: body.start(3)] + new + text[body.end(3) :], "local rename"
