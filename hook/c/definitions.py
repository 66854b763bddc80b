"""Definitions: the names that a C file defines, with their lines.

A scanner, no parser: comments, strings and directives are blanked, braces are counted through both branches of every conditional, and
the text before a brace or a semicolon at the top level is read as the head of a function, a type, an enumeration or a variable. A
closing brace in the first column ends everything that is open, so that one odd place costs one definition and not the rest of the file.
What `#if 0` hides is not defined. docs/word-index.md says what it was compared with, and how exact it is.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c import brackets
from hook.c.blanking import BLANK, without_bracketed, without_literals
from hook.c.keywords import NOT_DEFINED, TAGS


class DefinitionKind(enum.StrEnum):
    """The kind of a definition."""

    FUNCTION = "function"
    MACRO = "macro"
    STRUCT = "struct"
    UNION = "union"
    ENUM = "enum"
    CONSTANT = "enum constant"
    TYPEDEF = "typedef"
    VARIABLE = "variable"
    OPTION = "option"  # of a Kconfig file


class Definition(msgspec.Struct, frozen=True):
    """A name, and where it is defined. Lines are counted from 1, offsets in bytes."""

    name: str
    kind: DefinitionKind
    first_line: int  # of its head
    line: int  # of the name
    last_line: int
    offset: int  # of the name
    span: tuple[int, int]  # the offsets of all of it
    body: tuple[int, int] = (0, 0)  # of a function: the offsets of its braces


class Scan(msgspec.Struct, frozen=True):
    """The result of a scan of one file."""

    code: bytes  # the file with comments, strings and directives blanked: same length, same lines
    definitions: tuple[Definition, ...]  # by offset

    def function_at(self, line: int) -> Definition | None:
        """The function whose head or body contains a line."""
        functions = (function for function in self.definitions if function.kind is DefinitionKind.FUNCTION)
        return next((function for function in functions if function.first_line <= line <= function.last_line), None)


class _Place(msgspec.Struct, frozen=True):
    name: bytes
    kind: DefinitionKind
    start: int
    at: int
    end: int
    body: tuple[int, int] = (0, 0)


_REMEMBERED = 48  # files: one run needs the same ones many times, at some 5 ms each
_LONGEST_ATTRIBUTE = 256  # the name, with the blanks after it
_LONGEST_HEAD = 4000  # bytes before the brace of a type
_DIRECTIVE = lazy_re.compile(rb"#[ \t]*+([a-z_]*+)([^\n\\]*+(?:\\[ \t]*+\n?[^\n\\]*+)*+)")
_EVENT = lazy_re.compile(rb"[{}\x01\x02\x03]")
IF, ELSE, ENDIF = b"\x01", b"\x02", b"\x03"
NO_MARKS = bytes(32 if byte in (1, 2, 3) else byte for byte in range(256))
MARKS = IF + ELSE + ENDIF  # of conditionals, in code without directives
_MARK = {b"if": IF, b"ifdef": IF, b"ifndef": IF, b"else": ELSE, b"elif": ELSE, b"endif": ENDIF}
_NEVER = lazy_re.compile(rb"[ \t]*+0[ \t]*+\Z")
_NAME, _LAST_NAME = lazy_re.compile(rb"[A-Za-z_]\w*+"), lazy_re.compile(rb"([A-Za-z_]\w*+)\s*+\Z")
_AGGREGATE = lazy_re.compile(rb"(?<!\w)(struct|union|enum)((?:\s+[A-Za-z_]\w*+)*+)\s*+\Z")
_INNER_AGGREGATE = lazy_re.compile(rb"\b(struct|union|enum)\s+(?:__\w+(?:\([^()]*\))?\s+)*+([A-Za-z_]\w*+)\s*+(?:__\w+\s*+)*+\{")
_INNER_ENUM, _CONSTANT = lazy_re.compile(rb"\benum\b[^{;()]*\{([^{}]*)\}"), lazy_re.compile(rb"(?:\A|,)\s*+([A-Za-z_]\w*+)")
_POINTER = lazy_re.compile(rb"\(\s*+(?:__\w+\s++)?\*[\s*]*+(?:(?:const|volatile|__\w+)\s++)*+([A-Za-z_]\w*+)")
_FUNCTION_TYPE = lazy_re.compile(rb"\(\s*+([A-Za-z_]\w*+)\s*+\)\s*+\(")
# names with parentheses in the head of a definition that are not the defined name
ATTRIBUTE = lazy_re.compile(
    rb"(?:__(?:acquires|releases|must_hold|cond_acquires|cond_lock|printf|scanf|attribute\w*|aligned|section|alias|assume_aligned|alloc_size"
    rb"|malloc|counted_by\w*|nonnull|no_sanitize\w*|context\w*|target|diagnose_as|copy|cleanup|realloc_size|format\w*|guarded_by|weakref"
    rb"|typeof\w*|asm\w*|force_align|page_aligned_\w+|ro_after_init|returns_nonnull|bpf_md_ptr|read_mostly|cacheline\w*)"
    rb"|typeof|_Alignas|alignas|asm|noinline_for_stack|STDCALL|ACPI_\w*|TYPEOF\w*)\Z"
)
_ORDINARY_HEAD = lazy_re.compile(rb"(?:[A-Za-z_]\w*+[\s*]++)++([a-z]\w*+)\([^()=]*+\)\Z")
_SYSTEM_CALL = lazy_re.compile(rb"(COMPAT_)?SYSCALL(?:32|64)?_DEFINE\w+\Z")
_MACRO_STATEMENT = lazy_re.compile(rb"(?:(?:static|extern|const|__\w+)\s++)*+([A-Za-z_]\w*+)\s*+\(\s*+([A-Za-z_]\w*+)?")
_DEFINING = lazy_re.compile(rb"(?:\w*_)?DEFINE(?:_\w+)?\Z|(?:\w*_)?[HL]?LIST_HEAD\w*\Z|\w+_HEAD\Z")
_LINE, _SECOND = lazy_re.compile(rb"(?m)^\S[^\n]*"), lazy_re.compile(rb",\s*([A-Za-z_]\w*)")
_ENTRY = lazy_re.compile(rb"(?m)^[ \t]*+(?:SYM_(?:TYPED_)?(?:FUNC|CODE)_START\w*+|ENTRY|\w+_ENTRY)[ \t]*+\([ \t]*+([A-Za-z_]\w*+)")
_OPTION = lazy_re.compile(rb"(?m)^[ \t]*+(?:menu)?config[ \t]++(\w++)[ \t]*+(?:#|$)")
_SECOND_ARGUMENT = lazy_re.compile(rb"DEFINE_(?:EARLY_)?PER_CPU\w*\Z|DEFINE_(?:KFIFO|MAC80211_\w+)\Z")


@functools.lru_cache(maxsize=_REMEMBERED)
def scan(data: bytes) -> Scan:
    """The definitions of a C source or header, in order."""
    places: list[_Place] = []
    code = _without_directives(without_literals(data.translate(NO_MARKS)), places)
    _top_level(code, places)
    return Scan(code.translate(NO_MARKS), _placed(data, places))


def definitions(data: bytes, path: str) -> Scan:
    """The definitions of the file at `path`: of C as in `scan`, entry points of assembly, options of Kconfig; none of other files."""
    name = path.rpartition("/")[2]
    return scan(data) if name.endswith((".c", ".h")) else Scan(data, _placed(data, _elsewhere(data, name)))


def without_directives(code: bytes) -> tuple[bytes, set[bytes]]:
    """Code without comments and strings, with marks for conditionals, and without what `#if 0` hides; and the macros that it defines."""
    places: list[_Place] = []
    return _without_directives(code, places), {place.name for place in places}


def names_at_top_level(code: bytes) -> set[bytes]:
    """The names that code defines which has no comments, strings and directives, and a mark for each conditional."""
    places: list[_Place] = []
    _top_level(code, places)
    return {place.name for place in places}


def _placed(data: bytes, places: list[_Place]) -> tuple[Definition, ...]:
    """The definitions with their lines, by offset."""
    lines: dict[int, int] = {}
    line, last = 1, 0
    for offset in sorted({offset for place in places for offset in (place.start, place.at, place.end)}):
        line += data.count(b"\n", last, offset)
        lines[offset], last = line, offset
    return tuple(
        Definition(
            place.name.decode("ascii"),
            place.kind,
            lines[place.start],
            lines[place.at],
            lines[place.end],
            place.at,
            (place.start, place.end),
            place.body,
        )
        for place in sorted(places, key=lambda place: place.at)
    )


def _elsewhere(data: bytes, name: str) -> list[_Place]:
    if name.endswith(".S"):
        form, kind = _ENTRY, DefinitionKind.FUNCTION
    elif name.startswith("Kconfig"):
        form, kind = _OPTION, DefinitionKind.OPTION
    else:
        return []
    return [_Place(match.group(1), kind, match.start(1), match.start(1), match.end(1)) for match in form.finditer(data)]


def _without_directives(code: bytes, places: list[_Place]) -> bytes:
    """The code with a mark for each conditional, and without what `#if 0` hides. The macros go into `places`."""
    code_only = bytearray(code)
    open_branches: list[tuple[int, int] | None] = []  # one per conditional; for `#if 0` where it begins, and the number of macros before it
    for match in _DIRECTIVE.finditer(code):
        begin, end = match.span()
        if code[code.rfind(b"\n", 0, begin) + 1 : begin].strip(b" \t"):
            continue  # an operator in the body of a macro, or in assembly
        word, rest = match.groups()
        mark = _MARK.get(word, b"")
        if mark == IF:
            open_branches.append((end, len(places)) if word == b"if" and _NEVER.match(rest) else None)
        elif mark and open_branches:
            hidden = open_branches.pop()
            if hidden:
                code_only[hidden[0] : begin] = code[hidden[0] : begin].translate(BLANK)
                del places[hidden[1] :]
            if mark == ELSE:
                open_branches.append(None)
        elif word == b"define":
            name = _NAME.search(rest)
            if name and not rest[: name.start()].strip(b" \t\\\n"):
                places.append(_Place(name.group(), DefinitionKind.MACRO, begin, match.start(2) + name.start(), end))
        code_only[begin:end] = match.group().translate(BLANK)
        if mark:
            code_only[begin : begin + 1] = mark
    return bytes(code_only)


def _top_level(code: bytes, places: list[_Place]) -> None:
    """Add the definitions at the top level of a file, except macros, to `places`."""
    depth, opened, initialiser = 0, 0, 0  # the last: how deep in a function
    start = 0  # of the text since the last block
    depths: list[int] = []
    for event in _EVENT.finditer(code):
        position, mark = event.start(), event[0]
        if mark == b"{":
            if depth == 0:
                opened, initialiser = position, 0
            elif code[position - 1 : position] == b"\n" and _ends_head(code, position):
                # in the first column: the closing brace of the block before was not seen
                start, opened, depth, initialiser = max(start, code.rfind(b"\n\n", 0, position) + 1), position, 0, 0
            depth += 1
            if depth > 1 and b"=" == code[max(0, position - 8) : position].rstrip()[-1:] != code[max(0, opened - 8) : opened].rstrip()[-1:]:
                initialiser = depth
        elif mark == b"}":
            ends_all = code[position - 1 : position] == b"\n" and (depth != initialiser or code[position + 1 : position + 2] != b";")
            if depth == 1 or (depth and ends_all):
                depth = 0
                start = _block(code, start, opened, position, places)
            elif depth:
                depth -= 1
        elif mark == IF:
            depths.append(depth)
        elif depths:
            depth = depths[-1] if mark == ELSE else depth
            if mark == ENDIF:
                depths.pop()
    _statements(code, start, len(code), places)


def _ends_head(code: bytes, position: int) -> bool:
    """Whether the text before a brace looks like the end of a function's head."""
    line = code[code.rfind(b"\n", 0, position - 1) + 1 : position].strip()
    return line.endswith(b")") and not line.startswith((b"if", b"for", b"while", b"switch"))


def _block(code: bytes, start: int, opened: int, closed: int, places: list[_Place]) -> int:
    """Add the definitions of the text from `start` to the end of a block. Returns the offset after it."""
    begin = max(code.rfind(b";", start, opened), code.rfind(b"{", start, opened), code.rfind(b"}", start, opened)) + 1 or start
    _statements(code, start, begin, places)
    text = code[begin:opened].translate(NO_MARKS).lstrip()
    begin = opened - len(text)
    text = text.rstrip()
    ordinary = _ORDINARY_HEAD.match(text)
    if ordinary and ordinary[1] not in NOT_DEFINED and not ATTRIBUTE.match(ordinary[1]):
        places.append(_Place(ordinary[1], DefinitionKind.FUNCTION, begin, begin + ordinary.start(1), closed, (opened, closed)))
        return closed + 1
    if text.endswith(b"="):
        return _variables(code, begin, opened, closed, places)
    groups = brackets.outermost(text)
    bare = _without_attributes(text, groups)
    aggregate = None if bare.endswith(b")") else _AGGREGATE.search(bare, max(0, len(text) - _LONGEST_HEAD))
    if aggregate:
        return _aggregate(code, begin, text, aggregate, opened, closed, places)
    if b"=" in text and b"=" in without_bracketed(text):
        return _variables(code, begin, opened, closed, places)
    _function(code, begin, text, groups, opened, closed, places)
    return closed + 1


def _aggregate(code: bytes, begin: int, text: bytes, head: re.Match[bytes], opened: int, closed: int, places: list[_Place]) -> int:
    keyword, rest = head.groups()
    tag = next((word for word in _NAME.finditer(rest) if not ATTRIBUTE.match(word.group())), None)
    kind = DefinitionKind(keyword.decode())
    first = len(places)
    if tag:
        places.append(_Place(tag.group(), kind, begin, begin + head.start(2) + tag.start(), closed))
    body = code[opened + 1 : closed].translate(NO_MARKS)
    if keyword == b"enum":
        _constants(body, opened + 1, places)
    elif b"{" in body:
        for inner in _INNER_AGGREGATE.finditer(body):
            inner_end = opened + 1 + max(body.find(b"}", inner.end()), inner.end())
            offset = opened + 1 + inner.start(2)
            places.append(_Place(inner.group(2), DefinitionKind(inner.group(1).decode()), offset, offset, inner_end))
        for inner in _INNER_ENUM.finditer(body):
            _constants(inner.group(1), opened + 1 + inner.start(1), places)
    end = code.find(b";", closed)
    brace = code.find(b"{", closed, end if end >= 0 else len(code))
    if end < 0 and brace < 0:
        return closed + 1
    if tag and brace < 0:
        places[first] = msgspec.structs.replace(places[first], end=end)  # attributes after the brace are its own
    declared = code[closed + 1 : brace if brace >= 0 else end]
    kind = DefinitionKind.TYPEDEF if text.startswith(b"typedef") else DefinitionKind.VARIABLE
    for name, name_offset in _declared(declared.translate(NO_MARKS), closed + 1):
        places.append(_Place(name, kind, begin, name_offset, end if end >= 0 else brace))
    return closed + 1 if brace >= 0 else end + 1  # an initialiser in braces is read next


def _constants(body: bytes, offset: int, places: list[_Place]) -> None:
    # text in parentheses is a value
    for match in _CONSTANT.finditer(without_bracketed(body)):
        position = offset + match.start(1)
        places.append(_Place(match.group(1), DefinitionKind.CONSTANT, position, position, position))


def _function(code: bytes, begin: int, text: bytes, groups: list[tuple[int, int]], opened: int, closed: int, places: list[_Place]) -> None:
    """Add the function with the head `text`: its name is before the last of the `groups` in parentheses that is none of an attribute."""
    for number, (opening, closing) in enumerate(reversed(groups)):
        before = _LAST_NAME.search(text, max(0, opening - _LONGEST_ATTRIBUTE), opening)
        if before is None:
            continue
        word, name_start = before.group(1), before.start(1)
        if ATTRIBUTE.match(word):
            continue
        if word in NOT_DEFINED:
            pointed = _POINTER.match(text, opening, closing)
            if pointed is None or number == 0:
                return  # a statement of a body whose head was not seen
            word, name_start = pointed.group(1), pointed.start(1)
        if not text[:name_start].strip() or word.isupper():
            # a macro defines the function; by convention the name is its first argument
            argument = _NAME.match(text, opening + 1, closing)
            if argument and argument.group() not in NOT_DEFINED:
                call = _SYSTEM_CALL.match(word)
                name = ((b"compat_sys_" if call.group(1) else b"sys_") if call else b"") + argument.group()
                places.append(_Place(name, DefinitionKind.FUNCTION, begin, begin + argument.start(), closed, (opened, closed)))
                return
        places.append(_Place(word, DefinitionKind.FUNCTION, begin, begin + name_start, closed, (opened, closed)))
        return


def _variables(code: bytes, begin: int, opened: int, closed: int, places: list[_Place]) -> int:
    """Add the variables of a declaration with an initialiser in braces. Returns the offset after it."""
    end = code.find(b";", closed)
    end = closed if end < 0 or b"{" in code[closed:end] else end
    text = code[begin:opened].translate(NO_MARKS)
    for name, name_offset in _declared(text, begin, typed=True):
        places.append(_Place(name, DefinitionKind.VARIABLE, begin, name_offset, end))
    return end + (end != closed) or closed + 1


def _statements(code: bytes, start: int, end: int, places: list[_Place]) -> None:
    """Add the definitions of the statements without braces from `start` to `end`."""
    position = start
    for piece in code[start:end].translate(NO_MARKS).split(b";") if start < end else ():
        offset, position = position, position + len(piece) + 1
        text = piece.strip()
        if not text or text[:1] in b"}),":
            continue
        offset += len(piece) - len(piece.lstrip())
        _statement(text, offset, places)


def _statement(text: bytes, offset: int, places: list[_Place]) -> None:
    end = offset + len(text)
    if text.count(b"(") != text.count(b")"):
        return  # inside the arguments of a macro
    if text.startswith(b"typedef"):
        flat = _without_attributes(text, brackets.outermost(text))
        match = _POINTER.search(flat) or _FUNCTION_TYPE.search(flat) or _LAST_NAME.search(without_bracketed(flat))
        if match:
            places.append(_Place(match.group(1), DefinitionKind.TYPEDEF, offset, offset + match.start(1), end))
        return
    if (b"DEFINE" in text or b"_HEAD" in text) and b"(" in text.partition(b"=")[0]:
        # several macros may follow each other without semicolons
        for line in _LINE.finditer(text):
            called = _MACRO_STATEMENT.match(line.group())
            if called and called.group(2) and _DEFINING.match(called.group(1)) and called.group(1) not in NOT_DEFINED:
                name, name_offset = called.group(2), called.start(2)
                second = _SECOND.search(text[line.start() :]) if _SECOND_ARGUMENT.match(called.group(1)) else None
                if second:
                    name, name_offset = second.group(1), second.start(1)
                name_offset += offset + line.start()
                places.append(_Place(name, DefinitionKind.VARIABLE, offset + line.start(), name_offset, end))
                return
    if text.startswith((b"extern", b"return", b"goto", b"else", b"case")):
        return
    for name, name_offset in _declared(text, offset, typed=True):
        places.append(_Place(name, DefinitionKind.VARIABLE, offset, name_offset, end))


def _declared(text: bytes, offset: int, typed: bool = False) -> Iterator[tuple[bytes, int]]:
    """The names that a list of declarators declares, with their offsets; `typed` if the type is before the first."""
    if b"(" in text:
        text = _without_attributes(text, brackets.outermost(text))
    pointer = _POINTER.search(text.partition(b"=")[0]) if b"(" in text else None
    if pointer:
        if b"=" in text or not typed or not text[pointer.end() :].lstrip().startswith(b"("):
            yield pointer.group(1), offset + pointer.start(1)
        return
    if b"(" in text.partition(b"=")[0]:
        return  # a prototype
    position = offset
    for number, piece in enumerate(without_bracketed(text).split(b",")):
        words = [word for word in _NAME.finditer(piece.partition(b"=")[0].partition(b":")[0]) if not ATTRIBUTE.match(word.group())]
        while words and words[-1].group().startswith(b"__") and len(words) > 1 + (typed and number == 0):
            words.pop()
        names = [word for word in words if word.group() not in NOT_DEFINED]
        only_type = len(words) == 2 and words[0].group() in TAGS  # `struct foo;`
        if words and names and words[-1] is names[-1] and (number or not typed or len(words) > 1) and not only_type:
            yield words[-1].group(), position + words[-1].start()
        position += len(piece) + 1


def _without_attributes(text: bytes, groups: list[tuple[int, int]]) -> bytes:
    """The text, with these `groups` in parentheses, with `__attribute((...))` and its like blanked."""
    bare = text
    for opening, closing in groups:
        before = _LAST_NAME.search(text, max(0, opening - _LONGEST_ATTRIBUTE), opening)
        if before and ATTRIBUTE.match(before.group(1)):
            bare = bare[: before.start(1)] + b" " * (closing + 1 - before.start(1)) + bare[closing + 1 :]
    return bare
