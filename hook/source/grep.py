"""Grep: the lines of the tree that an extended regular expression matches, through `git grep`.

If there is a word index, it chooses the files that git searches, by the literals that every match must contain. The answer is the same to
the byte.
"""

from __future__ import annotations

import fnmatch
import math
import os
import pathlib
import re
from collections.abc import Sequence

from hook import lazy_re
from hook.source.git import GitError
from hook.source.literals import Literal, required
from hook.source.tree import Source

_ATTRIBUTES = pathlib.Path(__file__).parent / "grep.gitattributes"  # how --show-function finds the head of a function
_MOST_ARGUMENT_BYTES = 1 << 20  # of the names of chosen files: Linux allows 2 MiB, with the environment
_MOST_ARGUMENT_FILES = 8000
_MOST_NAMES_BYTES = 8 << 20  # of the paths of the files that hold a word
_ATOM = lazy_re.compile(r"\\.|\[\^?\]?[^]]*\]|\{(\d*),?(\d*)\}|.", re.DOTALL)
_LONGEST_EXPRESSION = 1000
_MOST_REPETITIONS = 1000  # the product of nested ones; each costs the matcher memory
# these come last on the command line, so that no setting of the person changes the output format
_FORM = (
    "--extended-regexp",
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

    Files that a glob of `without` matches, or whose directory it matches, are left out. The second value is the limit that cut the search
    short: `bytes`, `seconds` or empty. Raises RefusedExpression, GitError.
    """
    _refuse(expression)
    with source.lock:
        source.read_blobs[prefix] = source.oid(prefix)
    files = chosen(source, expression)
    if files is not None:
        files = [path for path in files if _is_below(path, prefix) and _matches_any(path, globs) and not held_back([path], without)]
        if not files:
            _run(source, expression, options, [source.repo.empty_tree], [], limit_bytes, seconds)  # raises if the expression is malformed
            return [], ""
    # the chosen files as object names, so that git walks no tree
    mark = f"{source.revision}:" if source.revision else ":0:"
    names = [mark + path for path in files or ()]
    if len(names) > _MOST_ARGUMENT_FILES or sum(map(len, names)) > _MOST_ARGUMENT_BYTES:
        names = []
    revisions = names or ([source.revision] if source.revision else [])
    specs = [] if names else [*([f":(literal){prefix}"] if prefix else globs), *_excluded(without)]
    out, ended = _run(source, expression, options, revisions, specs, limit_bytes, seconds)
    lines = os.fsdecode(out).split("\n")
    if ended and len(lines) > 1:
        lines.pop()  # most likely half a line
    return [line.removeprefix(mark) for line in lines if line], ended


def paths_matching(
    source: Source, expression: str, *, globs: Sequence[str] = (), limit_bytes: int, seconds: float = math.inf
) -> tuple[list[str], str]:
    """The paths of the files that may have a match, by the index; without it, of those that have one, and that one of `globs` matches.

    And the limit, as in `grep`.
    """
    _refuse(expression)
    chosen_paths = chosen(source, expression)
    if chosen_paths is not None:
        return chosen_paths, ""
    revisions = [source.revision] if source.revision else []
    seconds = min(seconds, source.repo.seconds, source.safety.seconds_left)
    out, ended = _run(source, expression, ("--files-with-matches", "-z"), revisions, globs, limit_bytes, seconds)
    if ended == "seconds":
        source.safety.cut = source.safety.cut or f"git grep did not end within {seconds:g} s"
    names = os.fsdecode(out).split("\0")
    names.pop()  # empty, or half a name
    mark = f"{source.revision}:" if source.revision else ""
    return [name.removeprefix(mark) for name in names], ended


def holding(source: Source, *words: str, among: Sequence[str] = ()) -> list[str] | None:
    """The paths of the files that may contain all of `words`, or define a word with a colon before it; None if that is not known.

    By the word index. Without one a small tree is searched, or the part that the globs `among` match, if nothing else is asked for; a
    large tree is not: a proof does not wait for that.
    """
    paths = source.files_holding([[word.lower()] for word in words])
    if paths is not None or not (among or source.is_small):
        return paths
    word = words[-1].removeprefix(":")
    expression = word if among else rf"(^|[^A-Za-z0-9_]){word}([^A-Za-z0-9_]|$)"  # the first is what git is fast at
    if len(expression) > _LONGEST_EXPRESSION:
        return None
    try:
        matching, cut = paths_matching(source, expression, globs=among, limit_bytes=_MOST_NAMES_BYTES)
    except GitError:
        return None  # an object cannot be read
    # git did not search the files that a patch has changed
    changed = [path for path, blob in source.changes.items() if blob]
    return None if cut else list(dict.fromkeys((*matching, *changed)))


def together(source: Source, words: Sequence[str], others: Sequence[str]) -> list[str] | None:
    """The paths of the files that may contain one of `words` and one of `others`, as `holding`; None if that is not known.

    In a small tree without an index, all headers.
    """
    if source.index is not None:
        return source.files_holding([words, others])
    return source.glob("*.h") if source.is_small else None


def _run(
    source: Source,
    expression: str,
    options: Sequence[str],
    revisions: Sequence[str],
    specs: Sequence[str],
    limit_bytes: int,
    seconds: float,
) -> tuple[bytes, str]:
    staged = not source.revision
    try:
        out, ended = source.repo.run_cut(
            "grep",
            *_FORM,
            *options,
            *([] if revisions else ["--cached"]),
            # git reads the attributes of the staged tree in any case, and one could declare a source file binary
            "--text" if staged else "-I",
            "-e",
            expression,
            *revisions,
            "--",
            *specs,
            settings=(f"core.attributesFile={_ATTRIBUTES}",),
            limit_bytes=limit_bytes,
            seconds=seconds,
            index=source.repo.index_path if staged else None,
            ok=(0, 1),
        )
        return (b"\n".join(line for line in out.split(b"\n") if b"\0" not in line) if staged and "-z" not in options else out), ended
    except GitError as wrong:
        complaint = re.search(r"(?:command line|-e option), '.*': (.*)", str(wrong), re.DOTALL)
        if complaint:
            raise RefusedExpression(f"not an extended regular expression: {complaint.group(1)}") from None
        raise


def chosen(source: Source, expression: str) -> list[str] | None:
    """The paths of the files that may have a match; None if there is no index, or it cannot choose."""
    alternatives = required(expression)
    if not alternatives or source.index is None:
        return None
    from hook.source.index import NoIndex

    paths: set[str] = set()
    try:
        for literals in alternatives:
            groups = _groups(source, literals)
            if groups is None:
                return None
            paths.update(source.holding(groups))
        # the index knows the words that contain a literal only from the files that it has read
        paths.update(path for path, oid in source.unread().items() if oid)
    except NoIndex as wrong:
        source.index_failed(str(wrong))
        return None
    return sorted(paths, key=os.fsencode)


def _groups(source: Source, literals: Sequence[Literal]) -> list[list[str]] | None:
    """For each literal that chooses files, the words of which a file must contain one; None if no literal does."""
    from hook.source.words import is_number

    groups: list[list[str]] = []
    for literal in literals:
        if is_number(literal.text) and not (literal.whole and not literal.text[0].isdigit()):
            continue  # it may be part of a number, and numbers are not indexed
        if literal.whole:
            groups.append([literal.text])
        elif source.index is not None and (containing := source.index.containing(literal.text)) is not None:
            groups.append(containing)
    return groups or None


def held_back(paths: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Those of `paths` that a pattern excludes: a glob, whose `*` matches slashes too, or a glob of a directory above it."""
    forms = [form for pattern in patterns for form in (pattern, f"{pattern}/*")]
    return [path for path in paths if any(fnmatch.fnmatchcase(path, form) for form in forms)]


def _excluded(patterns: Sequence[str]) -> list[str]:
    return [f":(exclude){pattern}{below}" for pattern in patterns for below in ("", "/*")]


def _is_below(path: str, prefix: str) -> bool:
    return not prefix or path == prefix or path.startswith(f"{prefix}/")


def _matches_any(path: str, globs: Sequence[str]) -> bool:
    return not globs or any(fnmatch.fnmatchcase(path, pattern) for pattern in globs)


def _refuse(expression: str) -> None:
    if not expression:
        raise RefusedExpression("the expression is empty")
    if len(expression) > _LONGEST_EXPRESSION:
        raise RefusedExpression(f"the expression has {len(expression)} characters, at most {_LONGEST_EXPRESSION} are searched for")
    if any(char in expression for char in "\0\n\r"):
        raise RefusedExpression("the expression holds a line break or a NUL; it is matched against one line at a time")
    if _nested_repetitions(expression) > _MOST_REPETITIONS:
        raise RefusedExpression(f"the repetitions inside each other in the expression come to more than {_MOST_REPETITIONS}")


def _nested_repetitions(expression: str) -> int:
    """The highest number of repetitions of any part, by counts in braces."""
    most = [1]  # of the text read so far in each open group
    previous = 1  # of the previous atom
    for match in _ATOM.finditer(expression):
        text = match.group()
        if text == "(":
            most.append(1)
            previous = 1
        elif text == ")":
            previous = most.pop() if len(most) > 1 else most[0]
        elif match.lastindex:
            counts = [int(digits[:9]) for digits in match.groups() if digits]
            previous *= max([1, *(min(count, 100_000) for count in counts)])
        elif text not in "*+?":
            previous = 1
        most[-1] = max(most[-1], previous)
    return max(most)
