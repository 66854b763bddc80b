"""Build files: whether two versions of a Kconfig file or a makefile build the same.

In a makefile, comments on a line of their own and empty lines do not count; trailing white space does, since it is part of a value. In a
Kconfig file, comments, empty lines, help texts and the text of a prompt do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hook import lazy_re
from hook.c.tokens.comparison import Comparison, Unreadable, first_line

_Part = tuple[str, bytes, int]  # kind, content, line; what is built depends on the parts of kind `code` alone
_DEFINE = lazy_re.compile(rb"[ \t]*(?:(?:override|export|private|unexport)[ \t]+)*define\b")
_ENDEF = lazy_re.compile(rb"(?!\t)[ \t]*endef(?:[ \t]|\Z)")  # behind a tab it is a line of the recipe that is defined
_PROMPT = lazy_re.compile(rb"(bool|tristate|int|hex|string|prompt|menu|comment)[ \t]*(\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+')[ \t]*+(.*)")


def compare_make(old: bytes, new: bytes) -> Comparison:
    """The two versions of a makefile. Raises Unreadable at a carriage return, and where a tab does not begin a recipe."""
    return _compared(list(_make(old)), list(_make(new)), old, new)


def compare_kconfig(old: bytes, new: bytes) -> Comparison:
    """The two versions of a Kconfig file. Raises Unreadable where scripts/kconfig/lexer.l might read it
    differently.
    """
    return _compared(list(_kconfig(old)), list(_kconfig(new)), old, new)


def _compared(old_parts: list[_Part], new_parts: list[_Part], old: bytes, new: bytes) -> Comparison:
    before, after = ([(content, line) for kind, content, line in parts if kind == "code"] for parts in (old_parts, new_parts))
    if [content for content, _ in before] != [content for content, _ in after]:
        same = 0
        while same < min(len(before), len(after)) and before[same][0] == after[same][0]:
            same += 1
        line = after[same][1] if same < len(after) else new.count(b"\n", 0, max(0, len(new) - 1)) + 1
        return Comparison(False, "", line, "more than comments, help and prompt text changed")
    for kind in ("prompt text", "help text", "comment"):
        if [part[1] for part in old_parts if part[0] == kind] != [part[1] for part in new_parts if part[0] == kind]:
            return Comparison(True, kind, first_line(old, new), f"only {kind} changed; nothing that is built depends on it")
    return Comparison(True, "white space", first_line(old, new), "only white space between statements changed")


def _lines(source: bytes) -> list[bytes]:
    if b"\r" in source or b"\f" in source or b"\v" in source:
        raise Unreadable("a control character in a build file")
    lines = source.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return lines


def _continues(line: bytes) -> bool:
    return (len(line) - len(line.rstrip(b"\\"))) % 2 == 1


def _make(source: bytes) -> Iterator[_Part]:
    inside_define = 0
    continued = False
    if b".RECIPEPREFIX" in source:
        raise Unreadable("a recipe that does not begin with a tab")
    for number, line in enumerate(_lines(source), 1):
        bare = line.lstrip(b" ")
        if not continued and not inside_define and not _continues(line):
            if not bare:
                continue
            if bare.startswith(b"#"):
                yield "comment", line, number
                continue
        if not continued:
            if _DEFINE.match(line):
                inside_define += 1
            elif inside_define and _ENDEF.match(line):
                inside_define -= 1
        continued = _continues(line)
        yield "code", line, number


def _kconfig(source: bytes) -> Iterator[_Part]:
    help_column = -1  # -1 outside of a help text, 0 in one before its first line
    continued = False
    for number, line in enumerate(_lines(source), 1):
        bare = line.strip(b" \t")
        if help_column >= 0:
            column = _column(line)
            if not bare or (column and column >= help_column):
                if bare:
                    help_column = help_column or column
                yield "help text", bare, number
                continue
            help_column = -1
        if continued:
            continued = _continues(line)
            yield "code", line, number
        elif bare.startswith(b"#"):
            if bare.endswith(b"\\"):
                raise Unreadable("a comment that ends in a backslash")
            yield "comment", bare, number
        elif bare in (b"help", b"---help---"):
            help_column = 0
            yield "code", b"help", number
        elif re.match(rb"(?:help|---help---)(?![\w-])", bare):
            raise Unreadable("more than the word on a help line")
        elif bare:
            continued = _continues(line)
            prompt = _PROMPT.fullmatch(bare)
            if prompt and len(prompt[2]) > 2 and b"$" not in bare and not continued:
                yield "prompt text", prompt[2], number
                yield "code", prompt[1] + b' "..." ' + prompt[3], number
            else:
                # the value of an assignment runs to the end of its line
                yield "code", line if b"=" in line or b"$" in line or continued else bare, number


def _column(line: bytes) -> int:
    """How far `line` is indented, a tab reaching to the next multiple of eight, as scripts/kconfig/lexer.l counts."""
    column = 0
    for byte in line:
        if byte == 0x20:
            column += 1
        elif byte == 0x09:
            column = (column | 7) + 1
        else:
            break
    return column
