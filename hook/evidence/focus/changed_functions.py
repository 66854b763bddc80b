"""Changed functions: which functions an edit of C or Rust changes, and which of them have an address that a fuzzer can be aimed at.

A function is changed if its tokens are, or those of a macro, type or enumeration of the same file that it uses. Whether GCC inlines a
function is predicted from its source; docs/evidence.md has the rules, and how often they are right.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.c import blanking, segments, translation_unit
from hook.c.callgraph import Node
from hook.c.definitions import DefinitionKind
from hook.c.segments import Edit
from hook.c.translation_unit import TranslationUnit
from hook.evidence.focus import inlining

_MOST_CALLERS = 20  # that replace one inlined function
_TYPES = frozenset((DefinitionKind.STRUCT, DefinitionKind.UNION, DefinitionKind.ENUM, DefinitionKind.TYPEDEF))
_A_DRIVER = lazy_re.compile(rb"\A[\w\s]*\bstruct\s+\w+_driver\s+\w+\s*=")
_NAME = lazy_re.compile(rb"[A-Za-z_]\w*+")
_NO_COVERAGE = lazy_re.compile(
    rb"\b(?:noinstr|__no_sanitize_coverage|__no_kcsan_or_inline_noinstr|__noinstr_section|__cpuidle|__entry_text)\b"
    # asm/idtentry.h: the body is the noinstr function itself, or always inlined into it
    rb"|\bDEFINE_(?:IDTENTRY(?!_IRQ|_SYSVEC)|FREDENTRY)\w*\("
)


class Changed(msgspec.Struct, frozen=True):
    """A function that a patch changes."""

    name: str  # as defined; of a system call, sys_NAME
    line: int  # of the new version, or of the old one where the function is gone
    why: str
    gone: bool = False
    by_data: bool = False  # it did not change itself, but a type or a table that it uses did
    listed: bool = True  # among ChangedFunctions: its code differs


class Aim(msgspec.Struct, frozen=True):
    """A function with an address, at which a fuzzer can aim."""

    name: str
    path: str
    line: int
    why: str
    instrumented: bool = True  # whether KCOV sees it, by its own attributes
    by_data: bool = False
    may_be_in: tuple[str, ...] = ()  # if it may be inlined all the same: its nearest callers that surely have an address


class FileFunctions(msgspec.Struct, frozen=True):
    """The functions of one changed file."""

    path: str
    changed: tuple[Changed, ...]
    aims: tuple[Aim, ...]
    offered: tuple[Offered, ...] = ()  # of a header: the changed definitions that other files use
    others: tuple[str, ...] = ()  # what changed beside functions: data, macros, types; an empty name where that cannot be told


class Offered(msgspec.Struct, frozen=True):
    """An inline function, macro or type of a header that changed: its users are what the change is about."""

    name: str
    kind: DefinitionKind


def of_file(path: str, old: bytes, new: bytes) -> FileFunctions:
    """What the edit of the C file at `path` changes. One side may be empty."""
    before, after = translation_unit.of_text(old), translation_unit.of_text(new)
    return of_edits(path, segments.edits(before.segments, after.segments), after)


def of_edits(path: str, edits: Sequence[Edit], after: TranslationUnit) -> FileFunctions:
    """What `edits` of the C file at `path` change, which is `after` then."""
    nodes = after.callgraph
    changed = tuple(_changed(edits, after, nodes))
    aims: dict[str, Aim] = {}
    if path.endswith((".c", ".S")):
        for function in changed:
            for aim in () if function.gone else _aims(path, function, nodes, after):
                if aim.name not in aims or aims[aim.name].by_data:
                    aims[aim.name] = aim
    offered = tuple(_offered(edits)) if path.endswith(".h") else ()
    return FileFunctions(path, tuple(function for function in changed if function.listed), tuple(aims.values()), offered)


def of_rust(path: str, old: bytes, new: bytes, modules: Sequence[str]) -> FileFunctions:
    """What the edit of a Rust file changes; `modules` are its crate and its place in there."""
    from hook.rust import functions as rust_functions  # only a change to Rust pays for it

    changed = tuple(
        Changed("::".join((*modules, function.name)), function.line, "added" if function.is_new else "code changed", function.is_gone)
        for function in rust_functions.changed(old, new)
    )
    aims = tuple(Aim(function.name, path, function.line, function.why) for function in changed if not function.gone)
    return FileFunctions(path, changed, aims)


def aims_of_users(path: str, name: str, why: str, file: TranslationUnit) -> list[Aim]:
    """Where to aim for the functions of a C file whose code has `name`."""
    nodes = file.callgraph
    users = _functions_using([name.encode("ascii")], file, nodes)
    return [aim for user in users for aim in _aims(path, Changed(user, nodes[user].definition.line, why), nodes, file)]


class Kept(msgspec.Struct, frozen=True):
    """What becomes of a function when it is compiled."""

    line: int
    inlined: str  # why the compiler will most likely inline it; empty where it keeps its address
    instrumented: bool  # whether KCOV sees it, by its own attributes
    aims: tuple[Aim, ...]  # it, or its nearest callers that have an address


def kept(name: str, path: str, file: TranslationUnit) -> Kept | None:
    """What becomes of the function `name` of a C file; None where the file defines none."""
    nodes = file.callgraph
    node = nodes.get(name)
    if node is None or node.definition.kind is not DefinitionKind.FUNCTION:
        return None
    line = node.definition.line
    aims = tuple(_aims(path, Changed(name, line, ""), nodes, file)) if path.endswith(".c") else ()
    return Kept(line, inlining.inlined(node, file), _NO_COVERAGE.search(file.head(node.definition)) is None, aims)


def _offered(edits: Iterable[Edit]) -> Iterator[Offered]:
    for edit in edits:
        kind = edit.either.kind
        if kind is not None and not edit.moved and edit.old and edit.new and kind is not DefinitionKind.VARIABLE:
            if kind is not DefinitionKind.ENUM:
                yield Offered(edit.new.name, kind)
                continue
            for constant in _moved_constants(edit):
                yield Offered(constant.decode("ascii"), kind)


def names_beside_functions(edit: Edit, after: TranslationUnit) -> tuple[str, ...]:
    """What an edit changes or adds that is no function: its names; an empty one where it has none.

    What is gone, by another name too, counts where the file still has its name: it means another definition there, such as a header's. So
    does a macro that moved. What registers a driver runs nothing of it.
    """
    gone = edit.old.name if edit.old is not None and edit.old.name and (edit.new is None or edit.new.name != edit.old.name) else ""
    still_used = (gone,) * (gone != "" and re.search(rb"\b" + gone.encode() + rb"\b", blanking.plain(after.data)) is not None)
    if edit.new is None or edit.new.is_function or (edit.moved and edit.new.kind is not DefinitionKind.MACRO):
        return still_used
    if edit.new.kind is None:
        return ("", *still_used)
    if edit.new.kind is DefinitionKind.VARIABLE and _A_DRIVER.search(edit.new.text):
        return still_used
    if edit.new.kind is DefinitionKind.ENUM and edit.old is not None:
        return tuple(constant.decode("ascii", "replace") for constant in _moved_constants(edit))
    return (edit.new.name, *still_used)


def of_patch(files: Iterable[FileFunctions]) -> tuple[list[Changed], list[Aim]]:
    """The functions that a patch changes, and those to aim at, in the order of its files.

    Users of a type or a table count only where no function changed itself: else those are what its change is about.
    """
    files = list(files)
    changed = [function for file in files for function in file.changed]
    aims = [aim for file in files for aim in file.aims]
    if any(not function.by_data for function in changed):
        changed = [function for function in changed if not function.by_data]
        aims = [aim for aim in aims if not aim.by_data]
    return _first_of_each_name(changed), _first_of_each_name(aims)


_Named = typing.TypeVar("_Named", Changed, Aim)


def _first_of_each_name(functions: Sequence[_Named]) -> list[_Named]:
    """Each name once, as it is first defined, at the place where it is last."""
    by_name = {function.name: function for function in reversed(functions)}
    return list(by_name.values())[::-1]


def _changed(edits: Iterable[Edit], after: TranslationUnit, nodes: dict[str, Node]) -> Iterator[Changed]:
    seen: set[str] = set()
    others: list[Edit] = []
    for edit in edits:
        if edit.moved:
            continue
        segment = edit.either
        if not segment.is_function:
            others.append(edit)
            continue
        if segment.name in seen or (edit.new is None and segment.name in nodes):
            continue  # named already, or it stands elsewhere now
        seen.add(segment.name)
        line = segment.definition.line if segment.definition else segment.line
        if edit.new is None:
            yield Changed(segment.name, line, "removed", gone=True)
            continue
        yield Changed(segment.name, line, "code changed" if edit.old else "added")
    for edit in others:
        kind = edit.either.kind
        for name, why in _users(edit, after, nodes):
            if name not in seen:
                seen.add(name)
                is_table = kind is DefinitionKind.VARIABLE
                yield Changed(name, nodes[name].definition.line, why, by_data=kind is not DefinitionKind.MACRO, listed=not is_table)


def _users(edit: Edit, after: TranslationUnit, nodes: dict[str, Node]) -> Iterator[tuple[str, str]]:
    """The functions of the file that use a macro, type, enumeration or table that changed, each with the reason."""
    if edit.old is None or edit.new is None:
        return  # a new or removed definition is used only by functions that changed themselves
    new = edit.new
    if new.kind is DefinitionKind.MACRO:
        for name in _functions_using([new.name.encode("ascii")], after, nodes):
            yield name, f"uses {new.name}, which changed"
    elif new.kind in _TYPES:
        names = [new.name.encode("ascii")]
        if new.kind is DefinitionKind.ENUM:
            names = _moved_constants(edit)
        for name in _functions_using(names, after, nodes):
            yield name, f"uses {new.kind} {new.name}, which changed"
    elif new.kind is DefinitionKind.VARIABLE:
        entries = _first_functions(_entries(edit.old.same_as, new.same_as), nodes)
        users = _functions_using([new.name.encode("ascii")], after, nodes) if not entries else []
        for name in entries or users or _beside_in_tables(new.name.encode("ascii"), after, nodes):
            yield name, f"{'stands in' if entries else 'uses'} {new.name}, which changed"


_Tokens: typing.TypeAlias = Sequence[bytes]


def _entries(old: _Tokens, new: _Tokens) -> Iterator[_Tokens]:
    """What an edit put into a table, then the entries around what it changed there, the innermost first."""
    before = set(old)
    yield [token for token in dict.fromkeys(new) if token not in before]
    first = _alike(old, new)
    yield from _braces_around(new, first, len(new) - 1 - _alike(old[first:][::-1], new[first:][::-1]))


def _alike(function: _Tokens, candidate: _Tokens) -> int:
    """How many tokens two lists begin with alike."""
    return next(
        (at for at, (left, right) in enumerate(zip(function, candidate, strict=False)) if left != right), min(len(function), len(candidate))
    )


def _braces_around(tokens: _Tokens, first: int, last: int) -> Iterator[_Tokens]:
    """What stands in the braces around some tokens, the innermost first; not what is in the outermost, which is the table."""
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if token == b"{":
            opened.append(at)
        elif token == b"}" and opened:
            start = opened.pop()
            if opened and start <= first and last <= at:
                yield tokens[start:at]


def _beside_in_tables(name: bytes, after: TranslationUnit, nodes: dict[str, Node]) -> list[str]:
    """The functions that stand in one entry of a table with `name`: a policy of netlink, and the operations that it is for."""
    spans: dict[str, None] = {}
    for definition in after.scan.definitions:
        if definition.kind is not DefinitionKind.VARIABLE or definition.name == name.decode("ascii"):
            continue
        tokens = re.findall(rb"\w+|[^\w\s]", after.scan.code[definition.span[0] : definition.span[1]])
        for at, token in enumerate(tokens):
            if token == name:
                spans |= dict.fromkeys(_first_functions(_braces_around(tokens, at, at), nodes))
    return list(spans)


def _first_functions(groups: Iterable[_Tokens], nodes: dict[str, Node]) -> list[str]:
    """The functions of the file that the first of some groups names which names any."""
    for tokens in groups:
        names = (token.decode("ascii") for token in dict.fromkeys(tokens) if _NAME.fullmatch(token))
        if functions := [name for name in names if name in nodes and nodes[name].definition.kind is DefinitionKind.FUNCTION]:
            return functions
    return []


def _moved_constants(edit: Edit) -> list[bytes]:
    """The constants of an enumeration whose value may have changed; those from the first difference on, where that cannot be told."""
    assert edit.old is not None and edit.new is not None
    old, new = edit.old.same_as, edit.new.same_as
    before, now = _values(old), _values(new)
    if not before or not now:
        return [token for token in dict.fromkeys(new[_alike(old, new) :]) if _NAME.fullmatch(token)]
    moved: dict[bytes, None] = {}
    for name, value in now.items():  # in their order: a constant may be said by one that stands before it
        if before.get(name) != value or not moved.keys().isdisjoint(value[0]):
            moved[name] = None
    return list(moved)


def _values(tokens: _Tokens) -> dict[bytes, tuple[tuple[bytes, ...], int]]:
    """The constants of an enumeration, each with the value that it is counted from, and by how much; empty where that cannot be told."""
    if b"{" not in tokens or any(token.startswith(b"#") for token in tokens):
        return {}
    values: dict[bytes, tuple[tuple[bytes, ...], int]] = {}
    base: tuple[bytes, ...] = ()
    count, depth = -1, 0
    item: list[bytes] = []
    for token in tokens[tokens.index(b"{") + 1 :]:
        if not depth and token in (b",", b"}"):
            if item:
                base, count = (tuple(item[2:]), 0) if item[1:2] == [b"="] else (base, count + 1)
                values[item[0]] = base, count
            item = []
            if token == b"}":
                return values
            continue
        depth += (token in (b"(", b"{", b"[")) - (token in (b")", b"}", b"]"))
        item.append(token)
    return {}


def _functions_using(names: Iterable[bytes], after: TranslationUnit, nodes: dict[str, Node]) -> list[str]:
    """The functions whose code has one of `names`, or a macro of the file that has one, and so on."""
    searched = set(names)
    macros = [definition for definition in after.scan.definitions if definition.kind is DefinitionKind.MACRO]
    for _ in range(5):  # macros within macros
        using = {
            macro.name.encode("ascii")
            for macro in macros
            if macro.name.encode("ascii") not in searched
            and searched.intersection(_NAME.findall(after.data, macro.offset + len(macro.name), macro.span[1]))
        }
        if not using:
            break
        searched |= using
    users = [
        definition.name
        for definition in after.scan.definitions
        if definition.kind is DefinitionKind.FUNCTION and searched.intersection(_NAME.findall(after.scan.code, *definition.span))
    ]
    return [name for name in dict.fromkeys(users) if name in nodes]


def _aims(path: str, changed: Changed, nodes: dict[str, Node], after: TranslationUnit) -> list[Aim]:
    """The function itself, or where the compiler inlines it, its nearest callers that have an address; both where that is not sure."""
    waiting = [(changed.name, changed.why)]
    seen: set[str] = set()
    aims: list[Aim] = []
    unsure: set[str] = set()
    while waiting and len(seen) < _MOST_CALLERS:
        name, why = waiting.pop(0)
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        node = nodes[name]
        callers = list(dict.fromkeys(node.callers))
        if node.definition.kind is DefinitionKind.MACRO:
            waiting += [(caller, why) for caller in callers]
            continue
        inlined = inlining.inlined(node, after)
        if inlined and callers:
            waiting += [(caller, f"{name}, which the compiler inlines into it, changed") for caller in callers]
            continue
        if inlined == "inline":
            continue  # it has no caller in this file
        if inlining.may_be_inlined(node, after):
            unsure.add(name)
            waiting += [(caller, f"{name}, which the compiler may inline into it, changed") for caller in callers]
        head = after.head(node.definition)
        aims.append(Aim(name, path, node.definition.line, why, _NO_COVERAGE.search(head) is None, changed.by_data))
    sure = tuple(aim.name for aim in aims if aim.name not in unsure)
    return [msgspec.structs.replace(aim, may_be_in=sure) if aim.name in unsure else aim for aim in aims]
