"""Grep: the lines of the tree that an extended regular expression matches, through `git grep`."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Sequence

from hook.source.git import GitError
from hook.source.tree import Source

_ATTRIBUTES = pathlib.Path(__file__).parent / "grep.gitattributes"  # how --show-function finds the head of a function
_LONGEST_EXPRESSION = 1000
_REPETITION = re.compile(r"\{(\d*),?(\d*)\}")
_MOST_REPETITIONS = 10_000  # of all that stand inside each other; each costs the matcher memory
# ours come last on the command line, so that no setting of the person's changes the form
_FORM = (
    "--extended-regexp",
    "-I",
    "--line-number",
    "--no-column",
    "--no-color",
    "--no-heading",
    "--no-break",
    "--full-name",
    "--no-textconv",
    "--no-recurse-submodules",
)


class RefusedExpression(ValueError):
    """An expression that cannot be searched for; the sentence says why."""


def grep(
    source: Source,
    expression: str,
    prefix: str = "",
    *,
    options: Sequence[str] = (),
    globs: Sequence[str] = (),
    without: Sequence[str] = (),
    limit_bytes: int,
    seconds: float,
) -> tuple[list[str], str]:
    """The lines that `git grep` prints, `path:line:text`, below the tree path `prefix`, or in the files that one of `globs` matches.

    Files that a glob of `without` matches, or whose directory it names, are left out. Beside the lines which limit cut the search short,
    `bytes` or `seconds`, or nothing. Raises RefusedExpression, GitError.
    """
    _refuse(expression)
    repo = source.repo
    with source.lock:
        source.read_blobs[prefix] = source.oid(prefix)
    where = [source.revision] if source.revision else []
    specs = [*([f":(literal){prefix}"] if prefix else globs), *(f":(exclude){one}" for one in without)]
    try:
        out, ended = repo.run_cut(
            "grep",
            *_FORM,
            *options,
            *([] if where else ["--cached"]),
            "-e",
            expression,
            *where,
            "--",
            *specs,
            settings=(f"core.attributesFile={_ATTRIBUTES}",),
            limit_bytes=limit_bytes,
            seconds=seconds,
            index=repo.index_file,
            ok=(0, 1),
        )
    except GitError as wrong:
        found = re.search(r"(?:command line|-e option), '.*': (.*)", str(wrong), re.DOTALL)
        if found:
            raise RefusedExpression(f"not an extended regular expression: {found.group(1)}") from None
        raise
    lines = os.fsdecode(out).split("\n")
    if ended and len(lines) > 1:
        lines.pop()  # most likely half a line
    mark = f"{source.revision}:"
    return [line.removeprefix(mark) if source.revision else line for line in lines if line], ended


def _refuse(expression: str) -> None:
    if not expression:
        raise RefusedExpression("the expression is empty")
    if len(expression) > _LONGEST_EXPRESSION:
        raise RefusedExpression(f"the expression has {len(expression)} characters, at most {_LONGEST_EXPRESSION} are searched for")
    if any(char in expression for char in "\0\n\r"):
        raise RefusedExpression("the expression holds a line break or a NUL; it is matched against one line at a time")
    product = 1
    for low, high in _REPETITION.findall(expression):
        product *= max(int(low or 1), int(high or 1), 1)
    if product > _MOST_REPETITIONS:
        raise RefusedExpression("the repetitions in the expression multiply to more than it can be matched with")
