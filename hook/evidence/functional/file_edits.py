"""File edits: whether an edit of one file is proved harmless, by its tokens or by a rule, and what kind of edit it is.

A whole file and one hunk of it alone are judged in the same way.
"""

from __future__ import annotations

import functools
import itertools
import posixpath
import typing

import msgspec

from hook import lazy_re
from hook.c import blanking
from hook.c.definitions import DefinitionKind
from hook.c.tokens import line_numbers
from hook.c.tokens.comparison import Unreadable
from hook.evidence.change_classes import ChangeClass
from hook.evidence.functional import token_comparison
from hook.source.grep import holding
from hook.source.tree import Source
from hook.verdict import Answer

if typing.TYPE_CHECKING:
    from hook.c.segments import Edit
    from hook.evidence.focus.changed_functions import FileFunctions
    from hook.evidence.functional.surroundings import Surroundings


_CODE = "code changed"
_LINE_NUMBERS = "a line number that is used as a value (__LINE__) moves"
_MAKEFILE_MACRO = "not known: whether a macro of a makefile, perhaps of another directory, uses __LINE__ as a value"
_SPACES = "a macro opens or closes what another one does, so that a string may be made of the text between"
_STRINGS = "a macro of a header makes a string of what it is given"
_WORD = lazy_re.compile(rb"\w+")
_OWN_INCLUDE = lazy_re.compile(rb'#[ \t]*(?:include|import)[ \t]*"')
# where no definition changed: kinds of edits that change no code
_NO_CODE = frozenset(
    (
        *(ChangeClass.INCLUDE, ChangeClass.INCLUDE_ORDER, ChangeClass.DECLARATION, ChangeClass.ANNOTATION, ChangeClass.MODULE_METADATA),
        *(ChangeClass.COMMENT, ChangeClass.DOC_COMMENT, ChangeClass.WHITE_SPACE),
    )
)
_WITH_ADDRESS = (DefinitionKind.FUNCTION, DefinitionKind.VARIABLE)
_NAMED = 3  # functions, in one claim


class Edited(msgspec.Struct, frozen=True):
    """What is known of two versions of a file."""

    functional: Answer  # of a file that is part of the kernel
    classes: tuple[ChangeClass, ...]  # empty where it is not known what kind of edit this is
    why: str
    line: int  # of the new version, where they first differ
    functions: FileFunctions | None = None  # of a C file that is not proved harmless


def compare(language: str, path: str, old: bytes, new: bytes, source: Source) -> Edited:
    """What an edit of the file at `path` does; `source` is the tree with it applied."""
    compared = token_comparison.compare(language, old, new)
    line = compared.first_new_line
    moved = (_moves_line_numbers(language, path, old, new, source) or _spaces(language, path, old, new, source)) if compared.same else ""
    if compared.same and not moved:
        return Edited(Answer.NO, (ChangeClass(compared.change_class),), compared.why or compared.change_class, line)
    if moved:
        return Edited(Answer.UNKNOWN, (ChangeClass(compared.change_class),), moved, line)
    why = compared.why or _CODE
    if language == "rust":
        return _rust(path, old, new, source, why, line)
    if language != "c" or b"\0" in old + new:
        return Edited(Answer.UNKNOWN, (), why, line)
    # an edit of comments needs none of these
    from hook.c import segments, translation_unit
    from hook.evidence.focus import changed_functions
    from hook.evidence.functional import alike_code, edit_kinds, harmless_rules

    before, after = translation_unit.of_text(old), translation_unit.of_text(new)
    edits = segments.edits(before.segments, after.segments)
    # not a header: an assembler may read it too, and where it is included cannot be seen here
    if path.endswith(".c") and compared.read:
        proofs = harmless_rules.prove(edits, before, after, typing.cast("Surroundings", _Surroundings(source, path, (old, new))))
        if proofs and not _moves_line_numbers(language, path, old, new, source, counters=True):
            return Edited(Answer.NO, tuple(dict.fromkeys(proof.change_class for proof in proofs)), proofs[0].why, line or proofs[0].line)
    touched = changed_functions.of_edits(path, edits, after)
    if why == _CODE and touched.changed:
        why = f"{_CODE} in {_listed([function.name for function in touched.changed])}"
    classes = [edit_kinds.of_edit(edit) for edit in edits]
    counts = path.endswith(".c") and any(map(edit_kinds.counts_as_functional, edits, classes, itertools.repeat(alike_code.renames(edits))))
    named = tuple(dict.fromkeys(itertools.chain.from_iterable(classes)))
    beside = (
        (*changed_functions.names_beside_functions(edit, after), *_seen_elsewhere(edit, path, source)) or ("",) * edit_kinds.acts(edit)
        for edit, kinds in zip(edits, classes, strict=True)
        # an enumeration without a name is no definition
        if not _NO_CODE.issuperset(kinds) or b"{" in edit.either.text or edit_kinds.acts(edit)
    )
    touched = msgspec.structs.replace(touched, others=tuple(dict.fromkeys(itertools.chain.from_iterable(beside))))
    if why == _CODE and named:
        why = f"{', '.join(named)} changed"
    return Edited(Answer.YES if counts else Answer.UNKNOWN, named, why, line, touched)


class _Surroundings:
    """Stands for the Surroundings of a file until a rule asks for something of them: most edits of code need nothing."""

    def __init__(self, source: Source, path: str, sides: tuple[bytes, bytes]) -> None:
        self._of = source, path, sides

    def __getattr__(self, name: str) -> object:
        return getattr(self._made, name)

    @functools.cached_property
    def _made(self) -> Surroundings:
        from hook.evidence.functional.surroundings import Surroundings

        return Surroundings(*self._of)


def _seen_elsewhere(edit: Edit, path: str, source: Source) -> tuple[str, ...]:
    """The name of what is gone, if another file may have it, where it means something else: a weak function, another header's macro."""
    gone = edit.old
    if gone is None or gone.kind is None or (edit.new is not None and edit.new.name == gone.name):
        return ()
    is_header = path.endswith(".h")
    if not is_header and (gone.kind not in _WITH_ADDRESS or b"static" in gone.text.partition(b"{")[0].split()):
        return ()
    holders = holding(source, gone.name)
    near = path.rpartition("/")[0] if is_header else ""
    others = holders is None or any(file != path and file.endswith((".c", ".S", ".rs")) and file.startswith(near) for file in holders)
    return (gone.name,) * others


def _rust(path: str, old: bytes, new: bytes, source: Source, why: str, line: int) -> Edited:
    from hook.evidence.focus import changed_functions
    from hook.kernel.kbuild import rust_modules

    touched = changed_functions.of_rust(path, old, new, rust_modules.module_path(source, path))
    if touched.changed:
        why = f"{_CODE} in {_listed([function.name for function in touched.changed])}"
    return Edited(Answer.UNKNOWN, (), why, line, touched)


def _moves_line_numbers(language: str, path: str, old: bytes, new: bytes, source: Source, *, counters: bool = False) -> str:
    """Why moved lines may matter: a line number is used as a value, in the file or in a header that it includes. Empty if none is.

    With `counters`, for an edit of more than comments: the number of uses of __COUNTER__ may matter too.
    """
    if language not in ("c", "asm"):
        return ""
    from hook.evidence.functional.logs import logged_lines

    common = logged_lines.of_common_headers(source)
    if common is None:
        return "not known: whether a macro of a common header uses __LINE__ as a value"
    from hook.kernel import own_headers
    from hook.kernel.kbuild import compiler_flags

    is_moved = line_numbers.moved(old, new)
    if common and is_moved:
        common = logged_lines.used_in(source, common, old, new)
    others = _compiled_elsewhere(source, path) if is_moved or counters else []
    if common is None or others is None:
        return _MAKEFILE_MACRO
    if common and is_moved and compiler_flags.has_name(source, (posixpath.dirname(path), *others), common):
        return _MAKEFILE_MACRO
    brings_more = compiler_flags.may_bring_headers(source, (posixpath.dirname(path), *others))
    if not (counters or common or line_numbers.LINE in new or _OWN_INCLUDE.search(new) or brings_more):
        return ""
    own = own_headers.read(source, path, (old, new), others)
    far = own_headers.far(source, own) if own.places and is_moved else own_headers.NO_FAR_HEADERS
    if far is None:
        return "not known: which headers the makefiles lead to, where a macro may use __LINE__ as a value"
    texts = [blanking.plain(old), blanking.plain(new), *own.texts.values(), *line_numbers.texts_with_lines(far.texts.values())]
    has_lines = any(name in text for text in texts for name in (line_numbers.LINE, *common))
    defined = frozenset[bytes]()
    if has_lines:
        defined = own.names.union(*map(own_headers.defined, texts[:2]), *map(own_headers.defined, map(blanking.plain, far.texts.values())))
    only_logs = logged_lines.loggers(source, defined, own.by_makefiles)
    names = line_numbers.line_macros(texts, only_logs, common)
    if names and line_numbers.lines_with(old, names, only_logs) != line_numbers.lines_with(new, names, only_logs):
        return _LINE_NUMBERS
    if counters and any(b"__COUNTER__" in text for text in texts):
        return "how often __COUNTER__ was used before may count"
    return "" if own.complete or not is_moved else "not known: whether a macro of a header or a makefile uses __LINE__ as a value"


def _compiled_elsewhere(source: Source, path: str) -> list[str] | None:
    """The other directories whose makefiles compile a file; without an index by the search for those that read its comments."""
    from hook.kernel.kbuild import compiler_flags
    from hook.kernel.outside_users import searched_for

    if source.index is not None or source.is_small:
        return compiler_flags.elsewhere(source, path)
    holders = searched_for(source, path)
    return None if holders is None else compiler_flags.compiling(source, path, holders)


def _spaces(language: str, path: str, old: bytes, new: bytes, source: Source) -> str:
    """Why blanks between tokens may matter: they came or went, and a macro of the headers makes a string of what it is given, or a macro
    that the file uses opens what another one closes, so that text outside of any call may be such an argument. Empty if that cannot be.
    Common headers are not read: their macros in lower case make strings of names and for messages alone (c_tokens.py).
    """
    texts = [blanking.plain(old), blanking.plain(new)] if language == "c" else []
    if len({b" ".join(text.split()) for text in texts}) < 2:
        return ""
    from hook.c.tokens import macro_uses
    from hook.kernel import own_headers

    others = _compiled_elsewhere(source, path)
    own = own_headers.read(source, path, (old, new), others or ())
    far = own_headers.far(source, own)
    if others is None or far is None or not own.complete:
        return f"not known: whether {_SPACES}"
    headers = [*own.texts.values(), *map(blanking.plain, far.texts.values())]
    try:
        called = macro_uses.differing_calls([old], [new])
    except Unreadable:
        return f"not known: whether {_STRINGS}"
    if macro_uses.makes_a_string(headers, called):
        return _STRINGS
    return _SPACES if macro_uses.is_uneven([*texts, *headers], set(_WORD.findall(texts[0]))) else ""


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(f"{name}()" for name in names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
