"""Our tables against a tree: which entries match nothing there, and which look-alikes of the tree stand on no list.

    python bench/tables.py GIT_TREE

GIT_TREE is a kernel as git repository with the word index (bench/tree.py, or any other; patch-triage index), which says where each entry
stands; some 20 s of processor time. An entry that matches nothing costs nothing, or is a name that later kernels have changed; the same
for all trees, it can go. A look-alike is no defect: what no list names is left open. It says where an answer could be won. Nothing of the
tree is run.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
from collections.abc import Iterable

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from hook.evidence.memory import sinks
from hook.evidence.reach.devices import buses
from hook.kernel import callback_tables, entry_points
from hook.kernel.kconfig import flavours
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source

_SHOWN = 30  # names in a line
_COMMON_FILES = 40  # with a word: one of them has it in code


def grepped(tree: pathlib.Path, expression: str, *places: str) -> set[str]:
    """What a Perl expression matches in the tree at HEAD."""
    argv = ["git", "grep", "-hoP", expression, "HEAD", "--", *(places or ("*.c", "*.h", "*.S"))]
    done = subprocess.run(argv, cwd=tree, capture_output=True, check=False)
    return {" ".join(line.split()) for line in done.stdout.decode("utf-8", "replace").split("\n") if line}


def words(source: Source, names: Iterable[str], before: str = "") -> set[str]:
    """Those of some names that stand anywhere in the code, with the word `before` before them."""
    return {name for name in names if stands(source, f"{before} {name}".strip())}


def stands(source: Source, form: str) -> bool:
    """Whether the code has a name, with the word before it if there is one; what stands in many files is not looked at there."""
    assert source.index is not None, "this needs the word index: patch-triage index"
    word = form.rpartition(" ")[2]
    if source.index.is_common(word.lower(), _COMMON_FILES):
        return True
    paths = [path for path in source.holding([[word.lower()]]) if path.endswith((".c", ".h", ".S"))]
    pattern = re.compile(rf"\b{form}\b".replace(" ", r"\s+").encode())
    return any(file is not None and pattern.search(file.data or b"") for file in source.files(paths))


def registers(source: Source, bus: str) -> bool:
    """Whether the code has a name that registers on a bus, or one that begins so."""
    assert source.index is not None
    for name in (f"{bus}_driver", f"{bus}_register", f"{bus}_family"):
        longer = source.index.containing(name.lower())  # None: in very many words
        if longer is None or any(word.removeprefix("module_").startswith(name.lower()) for word in longer):
            return True
    return stands(source, f"module_{bus}")


def entries(source: Source, tree: pathlib.Path) -> dict[str, tuple[set[str], set[str]]]:
    """Table -> its entries, and those that the tree has."""
    structs = set(callback_tables.TABLES)
    calls = {*entry_points.REGISTERING, *entry_points.CALLING, *entry_points.LATER, *entry_points.THREADS, *entry_points.TIED}
    copying = {name.decode() for name in sinks.SINKS}
    allocators = {name.decode() for name in (*sinks.UNINITIALISED_ALLOCATORS, *sinks.ZEROED, *sinks.ZEROED.values())}
    provided = {option for bus in buses.BUSES.values() for provider in bus.providers for option in provider.options}
    options = {*provided, *buses.VIRTUAL_DEVICES, *buses.STUB_DEVICES, *flavours.FLAVOURS}
    spelled = {*buses.BUSES, *buses.BUS_OF_SPELLING}
    return {
        "callback tables (callback_tables.TABLES)": (structs, words(source, structs, "struct")),
        "calls that are given a function (entry_points)": (calls, words(source, calls)),
        "calls that copy memory out (sinks.SINKS)": (copying, words(source, copying)),
        "allocators (sinks)": (allocators, words(source, allocators)),
        "buses (buses)": (spelled, {name for name in spelled if registers(source, name)}),
        "options (buses, flavours)": (options, grepped(tree, r"^\s*(?:menu)?config\s+\K\w+", "*Kconfig*")),
    }


def lookalikes(tree: pathlib.Path) -> dict[str, set[str]]:
    """What the tree has of the forms that our tables list, and no table does."""
    spelled = {*buses.BUSES, *buses.BUS_OF_SPELLING}
    modules = grepped(tree, r"#\s*define\s+(?:module|builtin)_\K\w+(?=_driver\w*\()", "include/*.h", "drivers/*.h", "sound/*.h", "arch/*.h")
    ids = grepped(tree, r"^struct\s+\K\w+_device_id(?=\s*\{)", "include/linux/mod_devicetable.h", "include/linux/*.h")
    known = set(spelled) | {name.removesuffix("_driver") for name in spelled}
    registering = grepped(tree, r"\b\w*register\w*\([^;()]*const\s+struct\s+\K\w+_(?:ops|operations|handler)(?=\s*\*)", "include/*.h")
    handed = grepped(
        tree, r"\bstruct\s+\K\w+_(?:ops|operations)(?=\s*\{)", "include/linux/*.h", "include/net/*.h", "fs/*.h", "io_uring/*.h"
    )
    return {
        "module_*_driver of no bus": modules - known,
        "*_device_id of no bus": {name for name in ids if name.removesuffix("_device_id") not in known},
        "structures of operations that a register* call takes, on no list": registering - set(callback_tables.TABLES),
        "other structures of operations, on no list": handed - registering - set(callback_tables.TABLES),
    }


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print((__doc__ or "").strip())
        return 2
    tree = pathlib.Path(sys.argv[1])
    print("entries that match nothing in the tree")
    with Objects(find(tree), 64 << 20) as objects:
        for table, (ours, there) in entries(Source(objects, "HEAD"), tree).items():
            missing = sorted(ours - there)
            print(f"  {table}: {len(missing)} of {len(ours)}{': ' if missing else ''}{', '.join(missing[:_SHOWN])}")
    print("look-alikes that no table names; what leans on one is left open")
    for form, names in lookalikes(tree).items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        print(f"  {form}: {len(names)}{': ' if names else ''}{', '.join(sorted(names)[:_SHOWN])}{more}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
