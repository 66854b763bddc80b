"""Coverage: whether KCOV instruments the code of a file, so that a fuzzer sees that it gets there.

By the makefile of its directory (Documentation/dev-tools/kcov.rst): `KCOV_INSTRUMENT := n` for all of its objects,
`KCOV_INSTRUMENT_name.o := n` for one. Conditionals are not evaluated: where one of these lines stands, the code is taken for uncovered.
"""

from __future__ import annotations

import re

from hook.source.tree import Source
from hook.verdict import Fact, Place

_LINE = re.compile(rb"(?m)^KCOV_INSTRUMENT(?:_([\w.-]+)\.o)?[ \t]*:?=[ \t]*n\b[^\n]*")


def uncovered(source: Source, path: str) -> Fact | None:
    """The line that keeps KCOV out of the file at `path`; None where there is none."""
    directory, _, name = path.rpartition("/")
    prefix = f"{directory}/" if directory else ""
    for makefile in (f"{prefix}Makefile", f"{prefix}Kbuild"):  # where there are both, the lines about KCOV are in the Makefile
        found = source.file(makefile)
        if found is None or found.data is None:
            continue
        for match in _LINE.finditer(found.data):
            which = match.group(1)
            if which is None or which.decode() == name.rpartition(".")[0]:
                line = found.data.count(b"\n", 0, match.start()) + 1
                text = match.group().decode("utf-8", "replace").strip()
                return Fact(f"KCOV does not instrument {path}", Place(makefile, line, found.oid), text)
        return None
    return None
