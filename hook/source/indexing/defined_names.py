"""The names that a C file defines, for the word index: those of `definitions.scan` in half the time.

What the scanner only passes over is taken out first: bodies of functions, comments, strings, directives, initialisers, ordinary functions
and their declarations. Offsets and lines are lost.
"""

from __future__ import annotations

from hook import lazy_re
from hook.c import definitions
from hook.c.blanking import HIDDEN
from hook.c.definitions import ELSE, ENDIF, IF, MARKS
from hook.c.keywords import NOT_DEFINED

_REST = rb"[^\n\\]*+(?:\\[ \t]*+\n?[^\n\\]*+)*+"  # of a directive
_NEVER = lazy_re.compile(rb"#[ \t]*+if[ \t]*+0[ \t]*+(?:[\n\\]|\Z)")
_MACRO = lazy_re.compile(rb"#[ \t]*+define[ \t\\\n]++([A-Za-z_]\w*+)")
_OTHER = lazy_re.compile(rb"#[ \t]*+(?!(?:if|ifdef|ifndef|else|elif|endif)(?![a-z_]))" + _REST)
_IF = lazy_re.compile(rb"#[ \t]*+(?:if|ifdef|ifndef)(?![a-z_])" + _REST)
_ELSE = lazy_re.compile(rb"#[ \t]*+(?:else|elif)(?![a-z_])" + _REST)
_ENDIF = lazy_re.compile(rb"#[ \t]*+endif(?![a-z_])" + _REST)
# braces in the first column, and lines between that begin with neither a brace nor a conditional
_BODY = lazy_re.compile(rb"\)\n\{[^\n{}]*+\n(?:[^{}\n\x01\x02\x03][^\n]*+\n|\n)*+\}(?!;)")
_INITIALISER = lazy_re.compile(rb"=(?<!\)=)(?<!\) =)[ \t]*+\{[ \t]*+\n(?:[^{};\n\x01\x02\x03][^\n;]*+\n|\n)*+\};")
# an ordinary declaration from the first column on, without the sizes of an array
_VARIABLE = lazy_re.compile(rb"\s*+(?<![ \t])([A-Za-z_](?:[\w*]|\s++(?=[\w*]))*+)\s*+(?:\[[^][(),:]*+\]\s*+)*+\Z")
# lines after the end of a statement: declarations of functions, variables and tags that define nothing, and calls of macros
_NO_DEFINITION = lazy_re.compile(
    rb"([;}][\s\x01\x02\x03]*+)(?:(?<=\n)(?!typedef\b)(?:"
    rb"(?:(?!(?:__|typeof|asm|alignas|noinline_for_stack|ACPI_|TYPEOF|_Alignas|STDCALL)\w*+\s*+\()"
    rb"(?:[a-z_][a-z0-9_]*+(?![A-Z])|(?!\w*?(?:DEFINE|HEAD))[A-Za-z_]\w*+)[\s*]*+)++"
    rb"\((?!\s*+(?:__\w+\s++)?\*)[^(){};\x01\x02\x03]*+\)"
    rb"|extern\b[^(){};=\x01\x02\x03]*+|(?:struct|union|enum)\s++\w++"
    rb")\s*+;(\s*+))++"
)
_STRUCT = lazy_re.compile(rb"([;}][\s\x01\x02\x03]*+)(?<=\n)struct[ \t]++([a-z]\w*+)\s*+\{[^{}\x01\x02\x03]*+\}(?=\s*+;)")
_FUNCTION_ENDS = lazy_re.compile(rb"\n\} ;(?:\s*+\} ;)++")
_NAME = lazy_re.compile(rb"(?<!\w)([A-Za-z_]\w*+)[ \t]*+\Z")
_LONGEST_NAME = 100
_NO_TYPE = b" \t\n*" + MARKS
_ALL_BUT_MARKS = bytes(byte for byte in range(256) if byte not in MARKS)


def defined_names(data: bytes, path: str) -> set[bytes]:
    """The names of `definitions.definitions`. A macro is found wherever `#define` stands, also after other text of its line."""
    if not path.endswith((".c", ".h")):
        return {place.name.encode() for place in definitions.definitions(data, path).definitions}
    code = HIDDEN.sub(b" ", _without_bodies(data.translate(definitions.NO_MARKS)))
    names: set[bytes] = set()
    if b"#" in code:
        if _NEVER.search(code):
            code, names = definitions.without_directives(code)
        else:
            names.update(_MACRO.findall(code))
            code = _ENDIF.sub(ENDIF, _ELSE.sub(ELSE, _IF.sub(IF, _OTHER.sub(b" ", code))))
    code = _FUNCTION_ENDS.sub(b"\n} ;", _without_functions(_without_variables(code, names), names))
    code = _NO_DEFINITION.sub(rb"\1;\2", b";" + code)
    names.update(struct[1] for struct in _STRUCT.findall(code))
    return names | definitions.names_at_top_level(_STRUCT.sub(rb"\1\n}", code))


def _without_bodies(data: bytes) -> bytes:
    """The file without the bodies that begin and end outside comments and strings, and have no directive.

    A body is between braces in the first column, after a closing parenthesis at the end of a line. Only a comment, or a string with a
    backslash at the end of its line, goes on in the next line.
    """
    kept: list[bytes] = []
    start = position = 0
    code_at = 0  # an offset that is in no comment
    while (opening := data.find(b")\n{\n", position)) >= 0:
        end = position = data.find(b"\n}", opening + 3)
        if end < 0:
            break
        comment = data.rfind(b"/*", code_at, opening)
        if comment >= 0 and data.find(b"*/", comment + 2, opening) < 0:
            continue
        code_at = opening
        body = data[opening + 3 : end + 1]
        if b"#" in body or b"\n{" in body or (b"\\" in body and b"\\\n" in body):
            continue
        if b";" not in body or data[end + 2 : end + 3] not in (b"\n", b""):  # enumerators, perhaps with a variable behind them
            continue
        if b"/" in body and b"/*" in body and body.rfind(b"/*") + 2 > body.rfind(b"*/"):
            continue
        kept.append(data[start : opening + 3])
        start = code_at = end
    return b"".join((*kept, data[start:]))


def _without_variables(code: bytes, names: set[bytes]) -> bytes:
    """The code without ordinary variables that have an initialiser in braces, whose names are added; initialisers of others are empty."""
    start = 0
    kept: list[bytes] = []
    for initialiser in _INITIALISER.finditer(code):
        equals = initialiser.start()
        begin = max(code.rfind(b";", start, equals), code.rfind(b"}", start, equals), code.rfind(b"{", start, equals), start - 1) + 1
        marks = code[begin:equals].translate(None, _ALL_BUT_MARKS)
        head = _VARIABLE.match(code[begin:equals].translate(definitions.NO_MARKS) if marks else code[begin:equals])
        declared = head[1].replace(b"*", b" ").split() if head else []
        if len(declared) > 2 or declared[:1] == [b"static"]:
            name = declared[-1]
            if not name.startswith(b"__") and name not in NOT_DEFINED and not definitions.ATTRIBUTE.match(name):
                names.add(name)
                kept += (code[start:begin], marks, b";")
                start = initialiser.end()
                continue
        kept += (code[start:equals], b"= {\n};")
        start = initialiser.end()
    return b"".join((*kept, code[start:]))


def _without_functions(code: bytes, names: set[bytes]) -> bytes:
    """The code without its ordinary functions, whose names are added: a type, a name, parentheses with none inside, and a body."""
    start = 0
    kept: list[bytes] = []
    for body in _BODY.finditer(code):
        closing = body.start()
        opening = code.rfind(b"(", start, closing)
        if opening < 0 or code.find(b")", opening, closing) >= 0:
            continue
        begin = max(code.rfind(b";", start, closing), code.rfind(b"}", start, closing), code.rfind(b"{", start, closing), start - 1) + 1
        name = _NAME.search(code, max(begin, opening - _LONGEST_NAME), opening) if begin < opening else None
        if name is None or name[1] in NOT_DEFINED or name[1].isupper() or definitions.ATTRIBUTE.match(name[1]):
            continue
        head = code[begin : name.start(1)]
        if b"(" in head or b"=" in head or not head.translate(None, _NO_TYPE):
            continue
        names.add(name[1])
        # the brace ends whatever is open, as that of the function would
        kept += (code[start:begin], code[begin:closing].translate(None, _ALL_BUT_MARKS), b"\n} ;")
        start = body.end()
    return b"".join((*kept, code[start:]))
