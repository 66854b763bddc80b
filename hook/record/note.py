"""The note: a commit's documents under refs/notes/patch-triage, written by compare-and-swap.

`git notes add` silently loses concurrent writes. Here the notes commit is built from tree objects, and `git update-ref NEW OLD` sets it
only if no other process was faster; else it is built again. Only the trees on the path to a note are read and written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

from hook import lazy_re
from hook.record import lock
from hook.source import own_files
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects, tree_entries

REF = "refs/notes/patch-triage"
_MAX_NOTE_BYTES = 1 << 20
_OBJECT_ID = lazy_re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "patch-triage"), ("EMAIL", "patch-triage@localhost"))
}

Change = Callable[[str], str]
# A tree's entries by name: (mode, id)
Tree = dict[str, tuple[str, str]]


class NoteNotWritten(Exception):
    """The notes ref could not be moved; the sentence says why and what to do."""


def read(repo: Repository, commits: Sequence[str]) -> dict[str, str]:
    """The note of each of `commits` that has one."""
    notes: dict[str, str] = {}
    with Objects(repo, _MAX_NOTE_BYTES) as objects:
        root = _root(objects)
        if not root:
            return notes
        notes_tree = _NotesTree(objects, repo.object_format, root)
        names = {commit: notes_tree.find(commit) for commit in commits}
        for commit, entries in names.items():
            texts = [objects.read(notes_tree.entry(directory, name)[1]) for directory, name in entries]
            if texts:
                notes[commit] = "\n".join(text.data.decode("utf-8", "replace") for text in texts if text and text.data)
    return notes


def annotated(repo: Repository) -> list[str]:
    """The commits that have a note."""
    if not repo.run("for-each-ref", REF):
        return []
    names = repo.run("ls-tree", "-r", "--name-only", REF).decode("utf-8", "surrogateescape").split("\n")
    return [name.replace("/", "") for name in names if _OBJECT_ID.match(name.replace("/", ""))]


def update(repo: Repository, changes: Mapping[str, Change], seconds: float) -> None:
    """Change the notes of commits: each function gets the present note of a commit ("" if none) and returns the new one.

    Raises lock.Locked, NoteNotWritten, GitError or OSError; then nothing has changed.
    """
    if not changes:
        return
    own_files.spare(repo.state_dir)
    with lock.held(repo, seconds) as handle:
        deadline = time.monotonic() + seconds
        while True:
            try:
                _swap(repo, changes, handle)
                return
            except GitError as wrong:
                if time.monotonic() >= deadline:
                    raise NoteNotWritten(_why(repo, str(wrong))) from None
                time.sleep(0.01 + os.getpid() % 40 / 1000)  # not all at once


def is_free(repo: Repository) -> bool:
    """Whether no other git has locked the notes. Raises OSError if there is too little disk space for a note."""
    ref = repo.common_dir / REF
    for place in (repo.state_dir / "notes", ref):
        own_files.spare(place)
    return not ref.with_name(f"{ref.name}.lock").exists()


def _why(repo: Repository, error: str) -> str:
    path = repo.common_dir / f"{REF}.lock"
    if path.exists():
        return f"{REF} is locked by another git; if none is running, remove {path}"
    return f"{REF} could not be written ({error})"


def _swap(repo: Repository, changes: Mapping[str, Change], handle: int) -> None:
    with Objects(repo, _MAX_NOTE_BYTES) as objects:
        tip = objects.read(REF)
        old = tip.oid if tip else ""
        root = _root(objects) if tip else ""
        notes_tree = _NotesTree(objects, repo.object_format, root)
        present = {commit: notes_tree.find(commit) for commit in changes}
        texts = {}
        for commit, change in changes.items():
            pieces = [objects.read(notes_tree.entry(directory, name)[1]) for directory, name in present[commit]]
            texts[commit] = change("\n".join(piece.data.decode("utf-8", "replace") for piece in pieces if piece and piece.data))
        blobs = dict(zip(texts, _write_blobs(repo, list(texts.values())), strict=True))
        for commit, blob in blobs.items():
            notes_tree.put(commit, present[commit], blob if texts[commit] else "")
        tree = notes_tree.write(repo)
    if root == tree:
        return
    commit = _commit(repo, tree, old)
    ref_lock = repo.common_dir / f"{REF}.lock"
    with lock.updating(handle, ref_lock):
        repo.run("update-ref", "-m", "patch-triage: record", REF, commit, old or repo.null_id)


def _root(objects: Objects) -> str:
    tree = objects.read(f"{REF}^{{tree}}")
    return tree.oid if tree else ""


def _commit(repo: Repository, tree: str, parent: str) -> str:
    arguments = ["commit-tree", tree, *(["-p", parent] if parent else []), "-m", "Notes added by patch-triage"]
    try:
        return repo.run("-c", "commit.gpgSign=false", *arguments).decode().strip()
    except GitError:
        # the person has no identity of their own (the commit took one from the environment): the note gets ours
        return repo.run(*arguments, env=_IDENTITY).decode().strip()


def _write_blobs(repo: Repository, texts: Sequence[str]) -> list[str]:
    """Write texts as blobs, in one git call."""
    import tempfile  # it loads compressors: only who writes a note pays for it

    with tempfile.TemporaryDirectory(prefix="notes-", dir=repo.state_dir) as place:
        names = []
        for number, text in enumerate(texts):
            name = os.path.join(place, str(number))
            with open(name, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
                file.write(text)
            names.append(name)
        return repo.run("hash-object", "-w", "--no-filters", "--stdin-paths", data="\n".join(names).encode() + b"\n").decode().split()


class _NotesTree:
    """The notes tree. Git may put a note under directories of two hex digits, at any depth, and reads any mix."""

    def __init__(self, objects: Objects, object_format: str, root: str) -> None:
        self._objects = objects
        self._object_format = object_format
        self._trees: dict[str, Tree] = {"": self._load(root) if root else {}}

    def find(self, commit: str) -> list[tuple[str, str]]:
        """Every (directory, name) at which `commit` has a note."""
        entries, directory, rest = [], "", commit
        while True:
            tree = self._trees[directory]
            if rest in tree and tree[rest][0] != "40000":
                entries.append((directory, rest))
            head, rest = rest[:2], rest[2:]
            if not rest or tree.get(head, ("", ""))[0] != "40000":
                return entries
            below = f"{directory}{head}/"
            if below not in self._trees:
                self._trees[below] = self._load(tree[head][1])
            directory = below

    def entry(self, directory: str, name: str) -> tuple[str, str]:
        return self._trees[directory][name]

    def put(self, commit: str, present: Sequence[tuple[str, str]], blob: str) -> None:
        """Put `blob` in the place of the note of `commit`, or one directory down if it has none; all other copies are removed."""
        for directory, name in present:
            del self._trees[directory][name]
        if not blob:
            return
        if present:
            directory, name = present[-1]
        else:
            directory, name = "", commit
            while True:
                head = name[:2]
                below = f"{directory}{head}/"
                if below in self._trees or directory == "":
                    self._trees.setdefault(below, {})
                    directory, name = below, name[2:]
                else:
                    break
        self._trees[directory][name] = ("100644", blob)

    def write(self, repo: Repository) -> str:
        """Write the trees that were read, deepest first, and return the id of the root."""
        for directory in sorted(self._trees, key=lambda name: -name.count("/")):
            if not directory:
                break
            parent, name = directory[:-3], directory[-3:-1]
            if self._trees[directory]:
                self._trees[parent][name] = ("40000", "")
            else:
                self._trees[parent].pop(name, None)
        depth = max(name.count("/") for name in self._trees)
        oid = ""
        for level in range(depth, -1, -1):
            names = [name for name in self._trees if name.count("/") == level and (self._trees[name] or not name)]
            for name, oid in zip(names, self._mktree(repo, [self._trees[name] for name in names]), strict=True):
                if name:
                    self._trees[name[:-3]][name[-3:-1]] = ("40000", oid)
        return oid

    def _mktree(self, repo: Repository, trees: Sequence[Tree]) -> list[str]:
        if not trees:
            return []
        if trees == [{}]:
            return [repo.run("mktree").decode().strip()]  # to --batch, an empty tree is the end of the input
        records = []
        for tree in trees:
            lines = (
                f"{mode.zfill(6)} {'tree' if mode == '40000' else 'commit' if mode == '160000' else 'blob'} {oid}\t{name}\0"
                for name, (mode, oid) in tree.items()
            )
            records.append("".join(lines))
        return repo.run("mktree", "-z", "--batch", data="\0".join(records).encode("utf-8", "surrogateescape")).decode().split()

    def _load(self, oid: str) -> Tree:
        blob = self._objects.read(oid)
        if blob is None or blob.data is None:
            raise GitError(f"the tree {oid} of {REF} cannot be read")
        entries = tree_entries(blob.data, self._object_format)
        return {name.decode("utf-8", "surrogateescape"): (mode.decode(), entry) for mode, name, entry in entries}
