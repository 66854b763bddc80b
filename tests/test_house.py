"""The house: how large a module, a function and a folder may be, and that a name means one thing."""

from __future__ import annotations

import ast
import collections
import functools
import pathlib
from collections.abc import Iterator

HOUSE = pathlib.Path(__file__).parent.parent / "hook"
MODULES = {str(path.relative_to(HOUSE)): path for path in sorted(HOUSE.rglob("*.py"))}
MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_MODULES = 400, 60, 15


@functools.cache
def nodes() -> list[tuple[str, ast.AST]]:
    return [(name, node) for name, path in MODULES.items() for node in ast.walk(ast.parse(path.read_text("utf-8")))]


def definitions(kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> Iterator[tuple[str, ast.AST]]:
    return ((name, node) for name, node in nodes() if isinstance(node, kind))


def named_twice(names: list[str]) -> set[str]:
    return {name for name, times in collections.Counter(names).items() if times > 1}


def test_a_module_is_read_in_one_go() -> None:
    assert {name for name, path in MODULES.items() if len(path.read_text("utf-8").splitlines()) > MOST_LINES} == set()


def test_a_function_fits_on_a_page() -> None:
    functions = definitions((ast.FunctionDef, ast.AsyncFunctionDef))
    assert {f"{name} {node.name}" for name, node in functions if node.end_lineno - node.lineno >= MOST_LINES_OF_A_FUNCTION} == set()


def test_a_folder_is_seen_at_a_glance() -> None:
    folders = collections.Counter(
        path.parent for path in MODULES.values() if not path.name.startswith("__") and path.parent.name != "commands"
    )
    assert {str(folder.relative_to(HOUSE)) for folder, modules in folders.items() if modules > MOST_MODULES} == set()


def test_no_two_modules_share_a_name() -> None:
    ours = [path for path in MODULES.values() if not path.name.startswith("__") and path.parent.name != "commands"]
    assert named_twice([path.stem for path in ours]) == set()


def test_no_two_public_classes_share_a_name() -> None:
    assert named_twice([node.name for _, node in definitions(ast.ClassDef) if not node.name.startswith("_")]) == set()


def test_nothing_that_proves_reads_the_clock() -> None:
    clocks = {"time", "datetime", "random", "asyncio", "threading"}
    proving = ("c/", "kernel/", "evidence/")
    imported = {
        (name, alias.name if isinstance(node, ast.Import) else node.module or "")
        for name, node in definitions((ast.Import, ast.ImportFrom))
        for alias in node.names
        if name.startswith(proving)
    }
    assert {(name, module) for name, module in imported if module.partition(".")[0] in clocks} == set()
    bounds = [
        (name, node) for name, node in definitions(ast.Call) if name.startswith(proving) and ast.unparse(node.func).endswith("Bounds")
    ]
    assert {name for name, node in bounds if ast.unparse(node.func) in ("Bounds", "lookup.Bounds") and len(node.args) > 1} == set()
