"""KCOV: whether the code of a file is instrumented, so that a fuzzer sees when it runs.

By the makefile of its directory (Documentation/dev-tools/kcov.rst): `KCOV_INSTRUMENT := n` for all of its objects,
`KCOV_INSTRUMENT_name.o := n` for one. Conditionals are not evaluated: where one of these lines stands, the code counts as not instrumented.
"""

from __future__ import annotations

from hook import lazy_re
from hook.source.tree import Source
from hook.verdict import Fact, Place

_FLAGS = "scripts/Makefile.kcov"
_LINE = lazy_re.compile(rb"(?m)^KCOV_INSTRUMENT(?:_([\w.-]+)\.o)?[ \t]*:?=[ \t]*n\b[^\n]*")


def _without_rust(source: Source, path: str) -> Fact | None:
    """That the tree gives rustc no flags of KCOV, as before Linux 6.16; None where it does, or where that is not known."""
    flags = source.file(_FLAGS)
    if flags is None or flags.data is None or b"RUSTFLAGS_KCOV" in flags.data:
        return None
    return Fact(f"KCOV does not instrument Rust in this tree, nor {path}", Place(_FLAGS, 1, flags.oid))


def uncovered(source: Source, path: str) -> Fact | None:
    """The line that keeps KCOV out of the file at `path`; None where there is none."""
    if path.endswith(".rs") and (fact := _without_rust(source, path)):
        return fact
    directory, _, name = path.rpartition("/")
    prefix = f"{directory}/" if directory else ""
    for makefile in (f"{prefix}Makefile", f"{prefix}Kbuild"):  # where there are both, the lines about KCOV are in the Makefile
        file = source.file(makefile)
        if file is None or file.data is None:
            continue
        for match in _LINE.finditer(file.data):
            target = match.group(1)
            if target is None or target.decode() == name.rpartition(".")[0]:
                line = file.data.count(b"\n", 0, match.start()) + 1
                text = match.group().decode("utf-8", "replace").strip()
                return Fact(f"KCOV does not instrument {path}", Place(makefile, line, file.oid), text)
        return None
    return None
