"""Patch: a change as files and hunks, with the old and the new blob of each file.

Git's raw records, which cannot be forged, say which files changed. unidiff reads the hunks from the diff text beside them. Where git
prints no text (another submodule commit, a mode) there are no hunks.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
from collections.abc import Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.digest import of_git, sha256
from hook.failure import CannotJudge
from hook.source.git import GitError, Repository, TooMuchOutput

REGULAR, EXECUTABLE, LINK, SUBMODULE, ABSENT = "100644", "100755", "120000", "160000", "000000"

# Git detects renames among at most this many files; beyond it the cost is quadratic and a rename shows as delete and add.
_RENAME_LIMIT = 400
_DIFF_BYTES = 64 << 20  # of text that is read; beyond it the change stays open
_RAW_BYTES = 512 << 10  # of the list of files, some 4000: of a longer one only the paths are looked at
_SUBMODULES = "--ignore-submodules=none"  # a .gitmodules, in the index or at HEAD, has git leave out what it calls ignored
_PLAIN = lazy_re.compile(rb"\n--- [^\n]*\n\+\+\+ [^\n]*\n@@ ")  # in a section with hunks of text
_NOT_HASHED = lazy_re.compile(rb"(?m)^(?:index |@@ |\\ )[^\n]*\n?")  # for a patch-id
_SECTION = lazy_re.compile(rb"^diff --git ", re.MULTILINE)


class Hunk(msgspec.Struct, frozen=True):
    """One run of changed lines, with git's three lines of context."""

    old_start: int  # 1-based; 0 where the old side is empty
    old_lines: int
    new_start: int
    new_lines: int
    removed: tuple[tuple[int, str], ...]  # (line number on the old side, text without its newline)
    added: tuple[tuple[int, str], ...]  # (line number on the new side, text)


class FileChange(msgspec.Struct, frozen=True, dict=True):
    """One file of a patch."""

    status: str  # git's letter: A, C, D, M, R, T or U
    old_path: str  # as git holds it, decoded by os.fsdecode; equal to `path` but for renames and copies
    path: str
    old_mode: str
    new_mode: str
    old_blob: str  # empty where there is none
    new_blob: str
    sections: tuple[bytes, ...] = ()  # of the diff: of a type change two, one of most others

    @functools.cached_property
    def hunks(self) -> tuple[Hunk, ...]:
        """The hunks of its sections. Raises BadDiff."""
        return tuple(hunk for section in self.sections for hunk in _hunks(section))

    @property
    def is_text_file(self) -> bool:
        """Whether what is there on either side is a regular file: no link, no submodule."""
        return {self.old_mode, self.new_mode} <= {REGULAR, EXECUTABLE, ABSENT}


class Patch(msgspec.Struct, frozen=True):
    """A change as files."""

    files: tuple[FileChange, ...]
    change_id: str
    hunks_missing: str  # why there are no hunks although there are changes; empty when all is there
    diff: bytes = b""  # the text that the hunks were read from
    command: tuple[str, ...] = ()  # the git command that shows the change
    by_path: bool = False  # whether it has so many files that no text of them is read


class BadDiff(CannotJudge):
    """Git's output is not the raw records and the patch that were asked for."""


def change_id(files: Sequence[FileChange]) -> str:
    """A hash over the sorted (path, old mode, new mode, old blob, new blob): equal exactly when the change is the same.

    Renames and copies count as the removals and additions they are, so that no setting of the rename detection matters.
    """
    records = []
    for file in files:
        if file.status in "RC":
            if file.status == "R":
                records.append((file.old_path, file.old_mode, ABSENT, file.old_blob, ""))
            records.append((file.path, ABSENT, file.new_mode, "", file.new_blob))
        else:
            records.append((file.path, file.old_mode, file.new_mode, file.old_blob, file.new_blob))
    digest = sha256()
    for path, *rest in sorted((os.fsencode(path), *rest) for path, *rest in records):
        assert isinstance(path, bytes)
        digest.update(path + b"\0" + " ".join(str(field) for field in rest).encode() + b"\n")
    return digest.hexdigest()[:40]


def read(repo: Repository, command: Sequence[str], limit_bytes: int = _DIFF_BYTES) -> Patch:
    """The patch that a git diff plumbing command (`diff-tree …`, `diff-index --cached …`) gives.

    Past `limit_bytes` of text, or where a partial clone lacks a blob, the files are still all there and the hunks are not: `hunks_missing`
    says why. Raises CannotJudge when git cannot tell even which files changed.
    """
    shape = ["--raw", "-z", "--no-abbrev", "--no-ext-diff", "--no-textconv", "--no-color", _SUBMODULES]
    text = ["-p", "--full-index", "--text", "-U3", "-M", f"-l{_RENAME_LIMIT}"]
    verb, *rest = command
    index = repo.index_path if verb == "diff-index" else None
    missing = ""
    try:
        # the list comes first, and only then does git look into the files
        out = repo.run_bounded(verb, *shape, *text, *rest, limit_bytes=limit_bytes, index=index, head=(_RAW_BYTES, b"\0\0"))
    except TooMuchOutput:
        missing = f"the diff is larger than {limit_bytes} bytes"
    except GitError as wrong:
        missing = str(wrong)
    if missing:
        out = repo.run(verb, *shape, "--no-renames", *rest, index=index)
    by_path = bool(missing) and len(out) > _RAW_BYTES
    if by_path:
        missing = "it changes too many files: only their paths were compared"
    raw, _, body = out.partition(b"\0\0") if not missing else (out, b"", b"")
    files = tuple(_raw_records(raw))
    if body:
        files = tuple(_with_sections(files, body))
    return Patch(files, change_id(files), missing, body, tuple(command), by_path)


def _raw_records(raw: bytes) -> Iterator[FileChange]:
    words = [os.fsdecode(word) for word in raw.split(b"\0") if word]
    at = 0
    while at < len(words):
        record = words[at].removeprefix(":").split(" ")
        if not words[at].startswith(":") or len(record) != 5:
            raise BadDiff(f"not a raw diff record: {words[at]!r}")
        old_mode, new_mode, old_blob, new_blob, status = record
        old_path = words[at + 1]
        moved = status[0] in "RC"
        path = words[at + 2] if moved else old_path
        at += 3 if moved else 2
        yield FileChange(status[0], old_path, path, old_mode, new_mode, old_blob.strip("0") and old_blob, new_blob.strip("0") and new_blob)


def _with_sections(files: Sequence[FileChange], body: bytes) -> Iterator[FileChange]:
    """Give each file its sections; git prints them in the order of the raw records, a type change as two.

    A hunk's lines all begin with a space, `+`, `-` or a backslash, so `diff --git` at the start of a line is always a header.
    """
    starts = [match.start() for match in _SECTION.finditer(body)] + [len(body)]
    sections = [body[start:end] for start, end in itertools.pairwise(starts)]
    at = 0
    for file in files:
        count = 2 if file.status == "T" else 0 if file.status == "U" else 1
        mine, at = sections[at : at + count], at + count
        if len(mine) != count:
            raise BadDiff("the diff has fewer sections than files")
        yield msgspec.structs.replace(file, sections=tuple(mine))
    if at != len(sections):
        raise BadDiff("the diff has more sections than files")


def _hunks(section: bytes) -> Iterator[Hunk]:
    _, mark, rest = section.partition(b"\n@@ ")
    if not mark:
        return
    from unidiff.errors import UnidiffParseError  # only what was not judged before pays for it
    from unidiff.patch import PatchSet

    # unidiff reads paths by rules of its own; ours come from the raw record, so it is given plain ones
    text = "--- a\n+++ b\n@@ " + rest.decode("utf-8", "surrogateescape")
    try:
        for hunk in PatchSet(text)[0]:
            yield Hunk(
                hunk.source_start,
                hunk.source_length,
                hunk.target_start,
                hunk.target_length,
                tuple((line.source_line_no or 0, line.value.removesuffix("\n")) for line in hunk if line.is_removed),
                tuple((line.target_line_no or 0, line.value.removesuffix("\n")) for line in hunk if line.is_added),
            )
    except UnidiffParseError as wrong:
        raise BadDiff(f"a hunk could not be read: {wrong}") from None


def change_ids(repo: Repository, commits: Sequence[str]) -> dict[str, str]:
    """The ChangeIds of many commits against their parents, in one git call; merges and empty commits are left out."""
    out = repo.run(
        "diff-tree",
        "--stdin",
        "--root",
        "-r",
        "--raw",
        "-z",
        "--no-abbrev",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        _SUBMODULES,
        data="".join(f"{commit}\n" for commit in commits).encode(),
    )
    wanted = set(commits)
    ids: dict[str, str] = {}
    # a commit's own id, then its records; a path could look like an id, so records are taken as pairs
    commit, words, at = "", out.split(b"\0"), 0
    records: dict[str, list[bytes]] = {}
    while at < len(words) - 1:
        if words[at].startswith(b":"):
            records[commit] += words[at : at + 2]
            at += 2
            continue
        commit = words[at].decode()
        if commit not in wanted:
            raise BadDiff(f"not a commit that was asked for: {commit[:60]!r}")
        records[commit] = []
        at += 1
    for commit, mine in records.items():
        if mine:
            ids[commit] = change_id(tuple(_raw_records(b"\0".join(mine))))
    return ids


def patch_id(repo: Repository, made: Patch) -> str:
    """`git patch-id --stable` of the change: a hint that two commits are the same patch, moved.

    It ignores white space even inside strings. Empty where there are no hunks to take it from, as in a merge without any.
    """
    if made.hunks_missing or not made.diff:
        return ""
    diff = made.diff
    if any(file.status in "RC" for file in made.files) or b"\0" in diff:
        # what others compute is the patch of `git diff-tree -p`, without rename detection and with binary files left out
        verb, *rest = made.command
        try:
            diff = repo.run_bounded(
                verb,
                "-p",
                "--no-renames",
                "--no-ext-diff",
                "--no-textconv",
                _SUBMODULES,
                *rest,
                limit_bytes=_DIFF_BYTES,
                index=repo.index_path if verb == "diff-index" else None,
            )
        except GitError:
            return ""
    elif all(file.sections and all(map(_PLAIN.search, file.sections)) for file in made.files):
        return _stable_id([section for file in made.files for section in file.sections], repo.object_format)
    return patch_id_of_diff(repo, diff)


def _stable_id(sections: Sequence[bytes], object_format: str) -> str:
    """What `git patch-id --stable` adds up for files with hunks of text; a commit does not wait for a process of its own."""
    digests = [of_git(object_format, _NOT_HASHED.sub(b"", section).translate(None, b" \t\r\n")) for section in sections]
    size = len(digests[0])
    return (sum(int.from_bytes(digest, "little") for digest in digests) % (1 << 8 * size)).to_bytes(size, "little").hex()


def patch_id_of_diff(repo: Repository, diff: bytes) -> str:
    """`git patch-id --stable` of the text of one patch; empty if it has no hunks, or is more than one patch."""
    words = repo.run("patch-id", "--stable", data=diff).split()
    return words[0].decode() if len(words) == 2 else ""
