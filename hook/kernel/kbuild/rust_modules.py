"""Modules of Rust: which file of a crate declares another one by `mod name;`, and under which options (rustc's rules for module files)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.kernel.kconfig.expressions import Condition, all_of, built_in, left_open
from hook.source.tree import Source, TreeEntryKind

_DEEPEST = 12  # modules inside each other
_MOST_BESIDE = 60  # files of a directory that are searched for the declaration of another
_OPTION = lazy_re.compile(r"cfg\(CONFIG_(\w+)\)\Z")
_ATTRIBUTE = lazy_re.compile(r"#\[([^\n]*)\][ \t]*\n")
_COMMENT = lazy_re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


class Declaration(msgspec.Struct, frozen=True):
    """A line `mod name;`."""

    path: str
    line: int
    condition: Condition  # of the attributes before it
    only_as_root: bool  # whether it means the file only in the root of a crate, which no other file declares


def declarations(source: Source, path: str) -> Iterator[Declaration]:
    """The lines that declare the file at `path`: in the files beside it, in `mod.rs`, or in the file with the name of its directory."""
    directory, _, name = path.rpartition("/")
    if name == "mod.rs":
        directory, _, module = directory.rpartition("/")
    else:
        module = name.removesuffix(".rs")
    entries = source.names(directory) or ()
    beside = [f"{directory}/{entry.name}" for entry in entries if entry.kind is TreeEntryKind.FILE and entry.name.endswith(".rs")]
    declared = re.compile(rf"(?m)^((?:[ \t]*#\[[^\n]*\][ \t]*\n)*)[ \t]*(?:pub(?:\([^)\n]*\))?[ \t]+)?mod[ \t]+{re.escape(module)}[ \t]*;")
    for declaring_path in (f"{directory}.rs", *beside[:_MOST_BESIDE]):
        file = source.file(declaring_path) if declaring_path != path else None
        if file is None or file.data is None:
            continue
        text = _COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment[0]), file.data.decode("utf-8", "replace"))
        for match in declared.finditer(text):
            line = text.count("\n", 0, match.end()) + 1
            only_as_root = declaring_path != f"{directory}.rs" and not declaring_path.endswith("/mod.rs")
            yield Declaration(declaring_path, line, all_of(map(_condition, _ATTRIBUTE.findall(match[1]))), only_as_root)


def module_path(source: Source, path: str) -> tuple[str, ...]:
    """The crate and the modules that the file at `path` is, as far as declarations lead: `rust_binder_main`, `process`."""
    modules: list[str] = []
    for _ in range(_DEEPEST):
        directory, _, name = path.rpartition("/")
        module = directory.rpartition("/")[2] if name in ("mod.rs", "lib.rs") else name.removesuffix(".rs")
        modules.insert(0, module)
        declared = list(declarations(source, path)) if name != "lib.rs" else []
        above = {
            declaration.path for declaration in declared if not declaration.only_as_root or not any(declarations(source, declaration.path))
        }
        if len(above) != 1:
            break
        path = above.pop()
    return tuple(modules)


def library(source: Source, path: str) -> str:
    """The nearest directory above a file that has a `lib.rs`; empty if none has."""
    directory = path.rpartition("/")[0]
    while directory and not source.oid(f"{directory}/lib.rs"):
        directory = directory.rpartition("/")[0]
    return directory


def _condition(attribute: str) -> Condition:
    """The condition of an attribute: of `cfg(CONFIG_X)` the option; of any other `cfg` or `path`, left open."""
    if option := _OPTION.match(attribute.replace(" ", "")):
        return built_in(option[1])
    return left_open(f"#[{attribute}]") if attribute.lstrip().startswith(("cfg", "path")) else all_of(())
