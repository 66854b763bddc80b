"""Tree paths: names of files inside the tree under review, and nothing else."""

from __future__ import annotations

import itertools
import re

from hook import lazy_re

# names that a case-folding or 8.3 file system takes for `.git` (CVE-2014-9390, CVE-2019-1352)
_DOT_GIT = lazy_re.compile(r"(?:\.git|git~\d+)[. ]*(?::.*)?\Z", re.IGNORECASE)
_IGNORED_BY_HFS = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])
_LONGEST = 4096


class NotATreePath(ValueError):
    """A path that does not stay inside the tree; the sentence says why."""


def shared_directories(first: str, second: str) -> int:
    """The number of directories, from the top, that two files share."""
    pairs = zip(first.split("/")[:-1], second.split("/")[:-1], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def tree_path(text: str) -> str:
    """`text` as a path from the top of the tree, without `./`, doubled and trailing slashes; empty for the top itself.

    Raises NotATreePath for an absolute path, `..`, `.git`, and control characters.
    """
    if len(text) > _LONGEST:
        raise NotATreePath(f"a path of {len(text)} characters is too long")
    if any(not char.isprintable() for char in text):
        raise NotATreePath(f"{text[:60]!a} holds a control character")
    if text.startswith("/") or re.match(r"[A-Za-z]:[\\/]", text):
        raise NotATreePath(f"{text[:200]} is absolute: give the path from the top of the tree, such as mm/slub.c")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise NotATreePath(f"{text[:200]} holds `..`: give the path from the top of the tree")
    if any(_DOT_GIT.match(part.translate(_IGNORED_BY_HFS)) for part in parts):
        raise NotATreePath(f"{text[:200]} is in git's own directory, which is not part of the tree")
    return "/".join(parts)
