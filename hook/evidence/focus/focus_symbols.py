"""Focus symbols: which functions to aim the fuzzer at, and which are on the call path to them.

A focus symbol has an address in the built kernel, is instrumented by KCOV, and is not run by nearly every program. Functions that matter
but cannot be aimed at, and the few callers of a changed function, are `Via`. docs/evidence.md has the rules.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from hook.c import translation_unit
from hook.c.definitions import DefinitionKind
from hook.c.translation_unit import TranslationUnit
from hook.evidence.focus import changed_functions
from hook.evidence.focus.changed_functions import Aim, FileFunctions, Offered
from hook.evidence.focus.kcov import uncovered
from hook.evidence.focus.symbol_names import is_system_call, symbol
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, in_kernel
from hook.source.git import Repository
from hook.source.indexing import ubiquitous_names
from hook.source.tree import Source
from hook.verdict import Fact, Place

if typing.TYPE_CHECKING:
    from hook.coverage.observations import Coverage
    from hook.source.lookup import FunctionUse

_FEW_CALLERS = 2  # of a changed function: these are named in Via
_LOOKED_UP = 6  # changed functions of one patch whose callers are looked up
_MOST_FILES = 12  # of one such question; a function in more files has many callers
_MOST_CHANGED = 200  # names listed
_MOST_VIA = 20
_MOST_SHARE = 0.1  # of all programs that reach a function: one that more of them reach is no aim


class Focus(msgspec.Struct, frozen=True):
    """Where a fuzzer should aim for a patch."""

    symbols: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()  # a symbol that may be inlined all the same, then its nearest callers
    changed: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    callers: tuple[Callers, ...] = ()
    paths: Mapping[str, str] = msgspec.field(default_factory=dict)  # of `symbols` and `via`, the file that defines each
    has_other_callers: bool = False  # whether a function to aim at is not among `callers`: it has too many, or is a system call


class Callers(msgspec.Struct, frozen=True):
    """Everything that uses a changed function."""

    function: str
    uses: tuple[FunctionUse, ...]


def find(
    files: Iterable[FileFunctions], source: Source, target_arch: str, srcarch: str, most: int, coverage: Coverage | None = None
) -> Focus:
    """The focus of a patch, whose C files are `files`, in the tree with the patch applied; `srcarch` is the target's directory of arch/."""
    files = list(files)
    changed, aims = changed_functions.of_patch(files)
    symbols: dict[str, None] = {}
    via: dict[str, None] = {}
    facts: list[Fact] = []
    uncovered_files: dict[str, Fact | None] = {}
    paths: dict[str, str] = {}
    for group in _groups(aims, files, source, srcarch):
        for aim in group:
            name = symbol(aim.name, target_arch, source)
            if len(symbols) + len(via) >= most + _MOST_VIA:
                break  # no more are shown
            paths[name] = aim.path
            if why := _why_not(aim, source, uncovered_files, coverage):
                via[name] = None
                facts.append(why)
            else:
                symbols[name] = None
        if symbols:
            break
    callers: list[Callers] = []
    for name, fact in _few_callers(aims, source, srcarch, uncovered_files, callers):
        name_in_table = symbol(name, target_arch, source)
        if name_in_table not in symbols and name_in_table not in via:
            via[name_in_table] = None
            paths[name_in_table] = fact.place.path
            facts.append(fact)
    return Focus(
        tuple(symbols)[:most],
        (*tuple(symbols)[most:], *via)[:_MOST_VIA],
        tuple(_together(aims, list(symbols), most, target_arch, source)),
        tuple(symbol(function.name, target_arch, source) for function in changed)[:_MOST_CHANGED],
        tuple(facts),
        tuple(callers),
        paths,
        any(aim.name not in {caller_uses.function for caller_uses in callers} for aim in aims),
    )


def _together(aims: Iterable[Aim], symbols: Sequence[str], most: int, target_arch: str, source: Source) -> Iterator[tuple[str, ...]]:
    """Each of the first symbols that may be inlined all the same, with its nearest callers that can be aimed at, however far behind."""
    for aim in aims:
        callers = [name for caller in aim.may_be_in if (name := symbol(caller, target_arch, source)) in symbols]
        if callers and aim.name in symbols[:most]:
            yield (aim.name, *callers)


def _groups(aims: Iterable[Aim], files: Iterable[FileFunctions], source: Source, srcarch: str) -> Iterator[Iterable[Aim]]:
    """What to aim at, then what to aim at instead: a group counts only where nothing of those before it can be hit.

    First the changed functions; then the functions of .c files that use what changed in a header, code before types, where they are few.
    """
    yield aims
    offered = [definition for file in files for definition in file.offered]
    code = [definition for definition in offered if definition.kind in (DefinitionKind.FUNCTION, DefinitionKind.MACRO)]
    yield _users(code[:_LOOKED_UP], source, srcarch)
    yield _users([definition for definition in offered if definition not in code][:_LOOKED_UP], source, srcarch)


def _users(offered: Iterable[Offered], source: Source, srcarch: str) -> list[Aim]:
    """The functions of .c files that use what a header offers."""
    aims: list[Aim] = []
    read: dict[str, TranslationUnit] = {}
    for definition in offered:
        paths = [path for path in source.files_holding([[definition.name.lower()]]) or () if in_kernel(path, srcarch, NO_KERNEL_CODE)]
        if len(paths) > _MOST_FILES:
            continue
        for path in paths:
            if not path.endswith(".c"):
                continue
            if path not in read:
                blob = source.file(path)
                read[path] = translation_unit.of_text(blob.data if blob and blob.data else b"")
            why = f"uses {definition.kind} {definition.name}, which changed"
            aims += changed_functions.aims_of_users(path, definition.name, why, read[path])
    return aims


def _why_not(aim: Aim, source: Source, uncovered_files: dict[str, Fact | None], coverage: Coverage | None = None) -> Fact | None:
    """Why a fuzzer cannot be aimed at a function that has an address."""
    if not aim.instrumented:
        return Fact(f"{aim.name} is marked as code that KCOV does not instrument", Place(aim.path, aim.line, ""))
    if fact := _uncovered(aim.path, source, uncovered_files):
        return msgspec.structs.replace(fact, claim=f"{fact.claim} ({aim.name})")
    if aim.path.endswith(".rs"):  # v0 mangling: rust-lang.github.io/rfcs/2603-rust-symbol-name-mangling-v0.html
        why = f"aim at {aim.path}, not at {aim.name}: its symbol holds a hash of the crate, and rustc may inline it"
        return Fact(why, Place(aim.path, aim.line, ""))
    if why := why_no_aim(source, aim.path, aim.name, coverage):
        return Fact(why, Place(aim.path, aim.line, ""))
    return None


def why_no_aim(source: Source, path: str, name: str, coverage: Coverage | None) -> str:
    """That nearly every program runs a function; empty where it is one to aim at. What was measured comes before what is computed."""
    share = coverage.share(path, name) if coverage is not None else None
    if coverage is not None and share is not None:
        return f"{share:.0%} of the programs in {coverage.name} run {name}" if share > _MOST_SHARE else ""
    return f"nearly every program runs {name}" if is_ubiquitous(source, path, name) else ""


def ubiquitous_functions(repo: Repository, path: str, coverage: Coverage | None) -> frozenset[str]:
    """The functions of a file that nearly every program runs. What was measured comes before what is computed."""
    shares = coverage.shares(path) if coverage is not None else {}
    computed = ubiquitous_names.of_file(repo, path).difference(shares)
    return computed.union(name for name, share in shares.items() if share > _MOST_SHARE)


def is_ubiquitous(source: Source, path: str, name: str) -> bool:
    """Whether nearly every program runs the function `name` of the file at `path`; False if no names are stored."""
    function = f"{path} {name}"
    answer = ubiquitous_names.answer(source.repo, function)
    return source.read_blobs.setdefault(ubiquitous_names.ASKED + function, answer) == "yes"


def _few_callers(
    aims: Iterable[Aim], source: Source, srcarch: str, uncovered_files: dict[str, Fact | None], known: list[Callers]
) -> Iterable[tuple[str, Fact]]:
    """The callers of changed functions that have only one or two, if the index finds them quickly; all uses are added to `known`."""
    if source.index is None:
        return
    from hook.source.lookup import Bounds, FunctionUseKind, callers

    looked_up, bounds = 0, Bounds(_MOST_FILES)
    for aim in aims:
        if looked_up >= _LOOKED_UP:
            return
        if aim.path.endswith(".rs") or not 0 < len(source.files_holding([[aim.name.lower()]]) or ()) <= bounds.files:
            continue
        looked_up += 1
        answer = callers(source, aim.name.removeprefix("compat_").removeprefix("sys_"), bounds)
        of_target = [use for use in answer.items if in_kernel(use.path, srcarch, NO_KERNEL_CODE)]
        uses = [use for use in of_target if use.kind is FunctionUseKind.CALL]
        if not answer.cut and not is_system_call(aim.name):
            known.append(Callers(aim.name, tuple(use for use in of_target if use.user != aim.name)))
        names = list(dict.fromkeys(use.user for use in uses if use.user != aim.name))
        if answer.cut or len(names) > _FEW_CALLERS:
            continue
        for use in {use.user: use for use in reversed(uses) if use.user in names}.values():
            read = source.file(use.path)
            place = Place(use.path, use.line, read.oid if read else "")
            why = f"caller of {aim.name}(): {use.user}()"
            if fact := _uncovered(use.path, source, uncovered_files):
                why += f"; KCOV does not instrument it: {fact.place.path}:{fact.place.line} {fact.text}"
            yield use.user, Fact(why, place, use.text.strip())


def _uncovered(path: str, source: Source, known: dict[str, Fact | None]) -> Fact | None:
    """The line that keeps KCOV out of a file, looked up once."""
    if path not in known:
        known[path] = uncovered(source, path)
    return known[path]


class Hit(msgspec.Struct, frozen=True):
    """Whether a fuzzer can be aimed at a function."""

    symbol: str  # as the built kernel calls it
    why_not: Fact | None = None
    instead: tuple[str, ...] = ()  # the nearest functions that it is part of, which can be aimed at


def hit(name: str, path: str, source: Source, target_arch: str, coverage: Coverage | None = None) -> Hit:
    """Whether a fuzzer can be aimed at the function that the file at `path` defines as `name`. Yes where the file cannot be read."""
    symbol_name = symbol(name, target_arch, source)
    file = source.file(path)
    if file is None or file.data is None:
        return Hit(symbol_name)
    uncovered_files: dict[str, Fact | None] = {}
    if fact := _uncovered(path, source, uncovered_files):
        return Hit(symbol_name, fact)
    if not path.endswith((".c", ".h")):
        return Hit(symbol_name)
    kept = changed_functions.kept(name, path, translation_unit.of_text(file.data))
    if kept is None:
        return Hit(symbol_name)
    if kept.inlined:
        why = "an inline function" if kept.inlined == "inline" else f"most likely inlined by the compiler ({kept.inlined})"
        aims = (aim for aim in kept.aims if _why_not(aim, source, uncovered_files, coverage) is None)
        instead = (symbol(aim.name, target_arch, source) for aim in aims)
        return Hit(symbol_name, Fact(f"{name} is {why}", Place(path, kept.line, file.oid)), tuple(instead))
    if not kept.instrumented:
        return Hit(symbol_name, Fact(f"{name} is marked as code that KCOV does not instrument", Place(path, kept.line, file.oid)))
    if why := why_no_aim(source, path, name, coverage):
        return Hit(symbol_name, Fact(why, Place(path, kept.line, file.oid)))
    return Hit(symbol_name)
