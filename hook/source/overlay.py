"""The overlay: a patch applied to a revision, leaving no trace.

`git apply --cached` works on a temporary index with only the paths that the patch names, and writes new objects to a temporary store.
The trees above these paths are then written here, so that the result is a complete tree that can be read as any revision, for the cost
of the directories that the patch touches. Nothing in the repository (working tree, index, refs, objects) changes, except for the time
stamp of an object that the patch makes and that already exists: git renews it.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import tempfile
import zlib
from collections.abc import Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.digest import of_git
from hook.failure import CannotJudge
from hook.source.git import Repository

_LONGEST_PATH = 4096  # bytes: PATH_MAX
_MAX_PICKED_DIRECTORIES = 200  # with more, one listing of the whole tree is cheaper

_TREE = b"40000"
# the person's apply.whitespace and apply.ignoreWhitespace would change the result
_APPLY = ("--cached", "--whitespace=nowarn", "--no-ignore-whitespace")


class DoesNotApply(CannotJudge):
    """The patch does not apply to its base; the sentence says where."""


class AppliedAlready(DoesNotApply):
    """The patch is in its base."""


class NoPatch(CannotJudge):
    """There is no patch in the input."""


class Overlay(msgspec.Struct, frozen=True):
    """A revision with a patch on top."""

    repo: Repository  # reads the new objects too
    old_tree: str  # before the patch (in a series: with the earlier patches)
    new_tree: str  # with the patch; `git diff-tree old_tree new_tree` is the change
    base: str  # the revision under the patch or series


class _Entry(msgspec.Struct, frozen=True):
    mode: bytes  # as in a tree object: 100644, 40000
    oid: str


# every directory that may change, each with all its entries
_Listing = dict[bytes, dict[bytes, _Entry]]


def apply(repo: Repository, scratch: pathlib.Path, base: str, diff: bytes, on: Overlay | None = None) -> Overlay:
    """`diff` applied to the commit or tree `base`; in a series, on top of `on`, which has the earlier patches.

    `scratch` is a directory of the caller (see hook.source.scratch); the overlay is valid as long as it exists.
    Raises NoPatch, DoesNotApply, AppliedAlready, GitError.
    """
    if not diff.strip():
        raise NoPatch("the patch is empty")
    store = scratch / "objects"
    store.mkdir(exist_ok=True)
    over = msgspec.structs.replace(repo, object_dir=store, index_file=None)
    with _index(over, scratch, on.new_tree if on else base, diff) as (index, listing, before):
        done = over.outcome("apply", *_APPLY, "-", data=diff, index=index, env=_ENVIRONMENT, ok=(0, 1, 128))
        if done.returncode:
            if _is_in(over, index, diff):
                raise AppliedAlready(f"the patch is in {_place(base, on is not None)} already; --base REV names another base")
            raise _refusal(done.stderr.decode("utf-8", "replace"), base, on is not None)
        after = _staged(over.run("ls-files", "-s", "-z", index=index, env=_ENVIRONMENT))
    old_tree = _write_tree(over, store, listing.setdefault(b"", {}))
    return Overlay(over, old_tree, _replant(over, store, listing, before, after), base)


def is_applied(repo: Repository, scratch: pathlib.Path, base: str, diffs: Sequence[bytes]) -> bool:
    """Whether all patches of a series are in `base`. Each alone need not be found there: a later one may have changed its lines."""
    diff, over = b"".join(diffs), msgspec.structs.replace(repo, index_file=None)
    try:
        with _index(over, scratch, base, diff) as (index, _, _):
            return _is_in(over, index, diff)
    except CannotJudge:
        return False


@contextlib.contextmanager
def _index(
    over: Repository, scratch: pathlib.Path, revision: str, diff: bytes
) -> Iterator[tuple[pathlib.Path, _Listing, dict[bytes, _Entry]]]:
    """A temporary index with the paths that the diff may name, as they are in a revision."""
    patch_paths = paths(diff)
    if any(len(path) > _LONGEST_PATH for path in patch_paths):
        raise DoesNotApply(f"a path in it has more than {_LONGEST_PATH} bytes")
    listing, before = _entries(over, revision, patch_paths)
    with tempfile.TemporaryDirectory(prefix="apply-", dir=scratch) as private:
        index = pathlib.Path(private) / "index"
        lines = (entry.mode.rjust(6, b"0") + b" " + entry.oid.encode() + b"\t" + path for path, entry in before.items())
        over.run("update-index", "-z", "--index-info", data=b"".join(line + b"\0" for line in lines), index=index, env=_ENVIRONMENT)
        yield index, listing, before


def _is_in(over: Repository, index: pathlib.Path, diff: bytes) -> bool:
    """Whether the diff can be taken back from the index."""
    argv = ("apply", "--check", "--reverse", *_APPLY, "-")
    return not over.outcome(*argv, data=diff, index=index, env=_ENVIRONMENT, ok=(0, 1, 128)).returncode


def paths(diff: bytes) -> set[bytes]:
    """Every path that the diff may name, and perhaps some more: a removed line may look like a header."""
    names: set[bytes] = set()
    for match in _HEADER.finditer(diff):
        kind, rest = match[1], match[2].rstrip(b"\r")
        if kind == b"diff --git ":
            names.update(both_names(rest))
        elif kind in (b"--- ", b"+++ "):
            names.update(_stripped(name) for name in (unquoted(rest), unquoted(rest.split(b"\t")[0])))
        else:
            names.add(unquoted(rest))
    return {path for path in names if _is_plain(path)}


def both_names(rest: bytes) -> Iterator[bytes]:
    """The names on a `diff --git` line. Two unquoted names with spaces can only be split if they are equal; if they are not,
    other header lines name them."""
    if quoted := _QUOTED.findall(rest):
        yield from (_stripped(unquoted(name)) for name in quoted)
        # only one of the two may need quotes
        yield from (_stripped(name) for name in _QUOTED.sub(b"", rest).split())
        return
    half = len(rest) // 2
    if rest[half : half + 1] == b" " and _stripped(rest[:half]) == _stripped(rest[half + 1 :]):
        yield _stripped(rest[:half])
    elif rest.count(b" ") == 1:
        yield from (_stripped(name) for name in rest.split(b" "))


def unquoted(name: bytes) -> bytes:
    """A path, from the C string that git prints for a path with unusual bytes."""
    if not (match := _QUOTED.match(name)):
        return name
    return _ESCAPE.sub(lambda escape: _unescaped(escape[1]), match[0][1:-1])


_HEADER = lazy_re.compile(rb"^(diff --git |--- |\+\+\+ |rename from |rename to |copy from |copy to )(.*)$", re.MULTILINE)
_QUOTED = lazy_re.compile(rb'"(?:[^"\\]|\\.)*"')
_ESCAPE = lazy_re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_CONTROL = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}

_SETTINGS = {
    "core.splitIndex": "false",  # its shared part would be written into the git directory
    "core.sparseCheckout": "false",
    "index.sparse": "false",
    "core.ignoreCase": "false",
    "core.fsync": "none",  # the temporary store is removed soon
    "core.looseCompression": "0",
}
_ENVIRONMENT = {
    "GIT_LITERAL_PATHSPECS": "1",
    # with a core.worktree around the git directory, git would think that it is in a sub-directory, and skip the paths outside of it
    "GIT_WORK_TREE": ".",
    "GIT_CONFIG_COUNT": str(len(_SETTINGS)),
    **{f"GIT_CONFIG_KEY_{number}": key for number, key in enumerate(_SETTINGS)},
    **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(_SETTINGS.values())},
}


def _unescaped(escape: bytes) -> bytes:
    return bytes([int(escape, 8) & 255]) if escape[0] in b"01234567" else _CONTROL.get(escape, escape)


def _stripped(name: bytes) -> bytes:
    """The name without its first directory, as `-p1`; git takes a name without a directory as the path."""
    _, slash, path = name.partition(b"/")
    return path.lstrip(b"/") if slash else name


def _is_plain(path: bytes) -> bool:
    # git refuses any other path, and it must not become an argument
    return bool(path) and b"\0" not in path and not any(part in (b"", b".", b"..") for part in path.split(b"/"))


def _parents(path: bytes) -> Iterator[bytes]:
    """The directories above a path, nearest first, without the root."""
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def _entries(repo: Repository, tree: str, patch_paths: set[bytes]) -> tuple[_Listing, dict[bytes, _Entry]]:
    """All directories above the paths of a patch, and the index entries that git needs for them.

    They include a file or link at a path where the patch expects a directory, and all files below a directory where it expects a file.
    """
    above = {parent for path in patch_paths for parent in _parents(path)}
    if len(above) > _MAX_PICKED_DIRECTORIES:
        out = repo.run("ls-tree", "-r", "-t", "-z", "--full-tree", tree, env=_ENVIRONMENT)
    else:
        picked = [os.fsdecode(parent) + "/" for parent in sorted(above)]
        out = repo.run("ls-tree", "-t", "-z", "--full-tree", tree, "--", ".", *picked, env=_ENVIRONMENT)
    listing = _listed(out)
    directories = [path for path in patch_paths if _at(listing, path, _TREE)]
    if directories:
        out = repo.run("ls-tree", "-r", "-t", "-z", "--full-tree", tree, "--", *map(os.fsdecode, directories), env=_ENVIRONMENT)
        below = _listed(out)
        for name, entries in below.items():
            listing.setdefault(name, {}).update(entries)
    index_entries: dict[bytes, _Entry] = {}
    for path in patch_paths | above:
        entry = _at(listing, path)
        if entry and entry.mode != _TREE:
            index_entries[path] = entry
    for top in directories:
        for name, entries in listing.items():
            if name == top or name.startswith(top + b"/"):
                index_entries.update((name + b"/" + leaf, entry) for leaf, entry in entries.items() if entry.mode != _TREE)
    return listing, index_entries


def _at(listing: _Listing, path: bytes, mode: bytes | None = None) -> _Entry | None:
    directory, _, name = path.rpartition(b"/")
    entry = listing.get(directory, {}).get(name)
    return entry if entry and (mode is None or entry.mode == mode) else None


def _listed(out: bytes) -> _Listing:
    listing: _Listing = {}
    for line in out.split(b"\0")[:-1]:
        words, _, path = line.partition(b"\t")
        mode, _, oid = words.split(b" ")
        directory, _, name = path.rpartition(b"/")
        listing.setdefault(directory, {})[name] = _Entry(mode.lstrip(b"0"), oid.decode())
    return listing


def _staged(out: bytes) -> dict[bytes, _Entry]:
    staged = {}
    for line in out.split(b"\0")[:-1]:
        words, _, path = line.partition(b"\t")
        mode, oid, _ = words.split(b" ")
        staged[path] = _Entry(mode, oid.decode())
    return staged


def _replant(
    repo: Repository,
    store: pathlib.Path,
    listing: _Listing,
    before: dict[bytes, _Entry],
    after: dict[bytes, _Entry],
) -> str:
    """The tree with `before` replaced by `after`; `listing` is changed."""
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    for path in changed - after.keys():
        directory, _, name = path.rpartition(b"/")
        del listing[directory][name]
    for path in changed & after.keys():
        directory, _, name = path.rpartition(b"/")
        listing.setdefault(directory, {})[name] = after[path]
    stale = {parent for path in changed for parent in _parents(path)}
    for directory in sorted(stale, key=lambda name: name.count(b"/"), reverse=True):
        above, _, name = directory.rpartition(b"/")
        siblings = listing.setdefault(above, {})
        if entries := listing.get(directory):
            siblings[name] = _Entry(_TREE, _write_tree(repo, store, entries))
        elif (old := siblings.get(name)) and old.mode == _TREE:
            del siblings[name]
    return _write_tree(repo, store, listing[b""])


def _write_tree(repo: Repository, store: pathlib.Path, entries: dict[bytes, _Entry]) -> str:
    """Writes one tree object, as git would: sorted as if directories ended in a slash."""
    ordered = sorted(entries.items(), key=lambda item: item[0] + b"/" if item[1].mode == _TREE else item[0])
    body = b"".join(entry.mode + b" " + name + b"\0" + bytes.fromhex(entry.oid) for name, entry in ordered)
    data = b"tree %d\0" % len(body) + body
    oid = of_git(repo.object_format, data).hex()
    path = store / oid[:2] / oid[2:]
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(data, 1))
    return oid


def _place(base: str, in_series: bool) -> str:
    """What the patch was applied to, for a person."""
    revision = base[:12] if re.fullmatch("[0-9a-f]{40,64}", base) else base
    return f"{revision} with the earlier patches" if in_series else revision


def _refusal(stderr: str, base: str, in_series: bool) -> NoPatch | DoesNotApply:
    """Git's errors as one sentence that says where and what to do."""
    messages = [line.partition(": ") for line in stderr.splitlines()]
    lines = [text for kind, _, text in messages if kind in ("error", "fatal")]
    text = lines[0] if lines else stderr.strip() or "git apply gave no reason"
    if text.startswith(("No valid patches", "unrecognized input")):
        return NoPatch("there is no diff in the patch")
    if text.startswith(("corrupt patch", "patch fragment without header", "patch with only garbage", "corrupt binary patch")):
        return DoesNotApply(f"the patch is damaged: {text}")
    # the person knows nothing of our temporary index
    text = text.replace("does not exist in index", "there is no such file")
    text = text.replace("already exists in index", "it already exists")
    place = _place(base, in_series)
    failed = [line.removeprefix("patch failed: ") for line in lines if line.startswith("patch failed: ")]
    if failed:
        name, _, number = failed[0].rpartition(":")
        text = f"{name}, line {number}, looks different there"
        # git tries every file, and stops in each at the first hunk that fails
        if len(failed) > 1:
            text += f" (and {len(failed) - 1} more {'file' if len(failed) == 2 else 'files'})"
    return DoesNotApply(f"the patch does not apply to {place}: {text}; --base REV names another base")
