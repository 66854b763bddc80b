"""The cache of the options of a tree and of its base configuration, kept in our own directory under .git.

The key of an entry is a hash of the blobs of all Kconfig files that it was read from, so all trees with the same files share it. It is an
SQLite file with a row of JSON for each option; only the rows that a question needs are parsed. Measured on Linux 6.12, for an answer
that needs 500 rows: 7 ms, against 25 ms for lines of one file, 140 ms for one JSON document and 360 ms with marshal. A damaged entry is
refused, and the tree is read again.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import pathlib
import typing
from collections.abc import Callable, Iterator, Mapping

import msgspec

from hook.digest import sha256
from hook.kernel.kconfig.expressions import Condition
from hook.kernel.kconfig.option import Option
from hook.kernel.kconfig.toolchain import Toolchain, toolchain
from hook.source import own_files
from hook.source.git import GitError
from hook.source.tree import SafetyNet, Source, changed_paths

if typing.TYPE_CHECKING:
    from hook.kernel.kconfig.option import Options

KCONFIG = "\0kconfig:"  # among the inputs of a verdict: all Kconfig files together, for an architecture
FORMAT = 4  # of the files here; an entry in another format is not used
_MOST_TREES = 200  # that are remembered with their entry
_MOST_DIRECTORIES = 200  # in which a revision may differ from a known tree, to be compared here
_MOST_CANDIDATES = 3  # entries that a tree is compared with before it is read
_MOST_BYTES = 64 << 20  # of a file of JSON
_MOST_ENTRIES = 6  # of some 5 MB each
_SOURCES = {"x86_64": "x86", "i386": "x86"}  # directories below arch/


def known_by(source: Source, name: str, toolchain_name: str) -> str:
    """The digest of the input `name`, which begins with KCONFIG."""
    arch = name.removeprefix(KCONFIG)
    return TreeOptions(source, target(arch), toolchain(toolchain_name)).known_by


def target(arch: str) -> dict[str, str]:
    """The variables that the top makefile gives to Kconfig and Kbuild, for an architecture as in `target.arch`."""
    return {"ARCH": arch, "SRCARCH": _SOURCES.get(arch, arch)}


class Damaged(ValueError):
    """An entry that cannot be read; it is made again."""


class StoredOptions:
    """The options of one entry; each row is parsed when it is first needed."""

    def __init__(self, path: pathlib.Path, read_anew: Callable[[], Options]) -> None:
        import sqlite3

        self._read_again = read_anew
        self._fallback: Options | None = None
        self._errors = (sqlite3.Error, ValueError, TypeError, LookupError)
        self._read: dict[str, Option | None] = {}
        self._shared: dict[str, Condition] = {}
        try:
            self._database = sqlite3.connect(own_files.database_uri(path, "mode=ro&immutable=1"), uri=True)
            self._database.execute("pragma cell_size_check = on")
            head = msgspec.json.decode(self._line("") or "")
            self.modules = str(head["Modules"])
            self.old_choices = bool(head["OldChoices"])
            self.warnings: list[str] = [str(warning) for warning in head["Warnings"]]
            good = head["Format"] == FORMAT
        except self._errors:
            good = False
        if not good:
            raise Damaged(f"{path.name} is not an entry of ours")

    def get(self, name: str) -> Option | None:
        """An option by its name."""
        if self._fallback is not None:
            return self._fallback.get(name)
        if name in self._read:
            return self._read[name]
        try:
            line = self._line(name)
            option = None if line is None else msgspec.json.decode(line, type=Option)
        except self._errors:
            self._fallback = self._read_again()
            return self._fallback.get(name)
        self._read[name] = option
        return option

    def common(self, name: str) -> Condition:
        """A condition that several options share."""
        if self._fallback is not None:
            return self._fallback.common(name)
        if name not in self._shared:
            try:
                self._shared[name] = msgspec.json.decode(self._line(name) or "", type=Condition)
            except self._errors:
                self._fallback = self._read_again()
                return self._fallback.common(name)
        return self._shared[name]

    def _line(self, name: str) -> str | None:
        row = self._database.execute("select value from line where name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])


class TreeOptions(msgspec.Struct):
    """The options of a tree for one target and toolchain. Each part is read when it is needed."""

    source: Source
    environment: Mapping[str, str]
    toolchain: Toolchain
    base_text: str | None = None  # the person's own .config; None for the default of the target
    digest: str = ""
    _options: StoredOptions | Options | None = None
    _read: Options | None = None
    _base: dict[str, str] | None = None

    @property
    def known_by(self) -> str:
        """The digest of all Kconfig files: the same for all trees that define the same options."""
        self._open()
        return self.digest

    @property
    def options(self) -> StoredOptions | Options:
        """The options of the tree."""
        if self._options is None:
            self._open()
            if self._options is None:
                self._options = self._entry() or self._read_tree()
        return self._options

    @property
    def warnings(self) -> list[str]:
        """What was wrong with the Kconfig files; empty while the options have not been needed."""
        return self._options.warnings if self._options is not None else []

    @property
    def base(self) -> dict[str, str]:
        """The base configuration: NAME -> value, as in its .config."""
        if self._base is None:
            if self.base_text is not None:
                from hook.kernel.kconfig import base_config

                self._base = base_config.read(self.base_text)
            else:
                self._base = self.default_base
        return self._base

    @property
    def _directory(self) -> pathlib.Path:
        return self.source.repo.state_dir / "kconfig"

    @property
    def default_base(self) -> dict[str, str]:
        """The base configuration that the tree has for the target, whatever the person has given."""
        from hook.kernel.kconfig import base_config

        paths = base_config.parts(self.source, self.environment["ARCH"], self.environment["SRCARCH"])
        blobs = [self.source.file(path) for path in paths]
        self._open()
        key = sha256("\n".join([self.digest, *(blob.oid if blob else "" for blob in blobs)]).encode()).hexdigest()
        name = f"{self.digest[:32]}.{key[:16]}.config"
        if document := self._json(name):
            return dict(document)
        texts = [blob.data.decode("utf-8", "replace") for blob in blobs if blob is not None and blob.data is not None]
        with _made_once(self.source.safety):
            configuration = base_config.configured(self._whole(), texts)
        _write(self._directory / name, msgspec.json.encode(configuration))
        return configuration

    @property
    def is_known(self) -> bool:
        """Whether the options were read before, from this tree or another that defines the same; else all Kconfig files must be read."""
        if not self.digest:
            tree = self._tree
            trees = {
                key.removeprefix(self._key_prefix): digest
                for key, digest in self._json("trees").items()
                if key.startswith(self._key_prefix)
            }
            candidates = [tree] if tree in trees else self._comparable(trees)
            fitting = next((tree_id for tree_id in candidates if self._is_valid_for(trees[tree_id], tree_id, tree)), "")
            if fitting:
                self.digest = trees[fitting]
                if tree not in trees:
                    self._remember_tree()
        return bool(self.digest)

    @property
    def _key_prefix(self) -> str:
        return f"{FORMAT} {self.environment['ARCH']} {self.toolchain} "

    @property
    def _tree(self) -> str:
        return self.source.oid("") if self.source.revision else ""

    def _open(self) -> None:
        """Find the entry for the tree; if there is none, read the tree."""
        if self.is_known:
            return
        files = self._read_tree().files
        # a staged or mailed change is no tree that the next change could be compared with
        base = self.source.objects.read(f"{self.source.base}^{{tree}}") if self.source.base else None
        changes_none = not any(path in files or "Kconfig" in path for path in self.source.changes)
        if base and changes_none and self._is_valid_for(self.digest, base.oid, self._tree):
            self._remember(self._key_prefix + base.oid, self.digest)
        self._remember_tree()

    def _remember_tree(self) -> None:
        if self._tree and not self.source.changes and self.source.repo.object_dir is None:
            self._remember(self._key_prefix + self._tree, self.digest)

    def _comparable(self, trees: dict[str, str]) -> list[str]:
        """For each of the last entries, its last tree that still exists."""
        comparable: dict[str, str] = {}
        for tree_id, digest in reversed(trees.items()):
            if digest not in comparable and self.source.objects.read(tree_id) is not None:
                comparable[digest] = tree_id
            if len(comparable) == _MOST_CANDIDATES:
                break
        return list(comparable.values())

    def _is_valid_for(self, digest: str, entry_tree: str, tree: str) -> bool:
        """Whether the Kconfig files of our tree are those from which an entry was read."""
        files = self._json(f"{digest[:32]}.files")
        if not files:
            return False
        changed = set(self.source.changes)
        if entry_tree != tree:
            near = self._changed_since(entry_tree)
            if near is None:
                return False
            changed |= near
        return all(self.source.oid(path) == files[path] for path in changed & files.keys())

    def _changed_since(self, entry_tree: str) -> set[str] | None:
        """The files in which our revision differs from a tree; None if that is not known."""
        if self.source.revision:
            # a rebase does this for each of its commits: a process for each would cost more than all the rest
            objects = self.source.objects
            changed = changed_paths(Source(objects, entry_tree), Source(objects, self.source.revision), _MOST_DIRECTORIES)
            if changed is not None:
                return changed
        from hook.source.index import differences

        try:
            return set(differences(self.source.repo, entry_tree, self.source.revision))
        except GitError:
            return None

    def _read_tree(self) -> Options:
        """Read the tree, and keep its options."""
        with _made_once(self.source.safety):
            options = self._whole()
        names = "\n".join(f"{path} {oid}" for path, oid in sorted(options.files.items()))
        self.digest = sha256(f"{FORMAT} {self.environment} {self.toolchain}\n{names}".encode("utf-8", "replace")).hexdigest()
        path = self._directory / f"{self.digest[:32]}.options"
        with _made_once(self.source.safety):
            _write(path, lambda fresh: _fill(fresh, options))
        _write(path.with_suffix(".files"), _encoded(options.files))
        self._sweep()
        return options

    def _whole(self) -> Options:
        if self._read is None:
            from hook.kernel.kconfig import parser  # only a tree without an entry pays for it

            self._read = parser.read(self.source, self.environment, self.toolchain)
        return self._read

    def _entry(self) -> StoredOptions | None:
        path = self._directory / f"{self.digest[:32]}.options"
        try:
            stored = StoredOptions(path, self._whole)
        except Damaged:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the sweep keeps what was used last
        return stored

    def _json(self, name: str) -> dict[str, str]:
        """One of our small files; empty if it is absent or malformed."""
        path = self._directory / name
        try:
            return _parsed(path, path.stat().st_mtime_ns)
        except (OSError, ValueError, RecursionError):
            return {}

    def _remember(self, key: str, digest: str) -> None:
        trees = dict(self._json("trees"))
        trees.pop(key, None)
        trees[key] = digest
        while len(trees) > _MOST_TREES:
            del trees[next(iter(trees))]
        _write(self._directory / "trees", msgspec.json.encode(trees))

    def _sweep(self) -> None:
        with contextlib.suppress(OSError):
            entries = sorted(self._directory.glob("*.options"), key=lambda path: path.stat().st_mtime)
            for path in entries[:-_MOST_ENTRIES]:
                for file in self._directory.glob(f"{path.stem}.*"):
                    file.unlink(missing_ok=True)


@functools.lru_cache(maxsize=16)
def _parsed(path: pathlib.Path, mtime_ns: int) -> dict[str, str]:
    """A small file of ours, as it was at that time. Raises OSError, ValueError."""
    document = msgspec.json.decode(own_files.read(path, _MOST_BYTES) or b"{}")
    return document if isinstance(document, dict) and all(isinstance(value, str) for value in document.values()) else {}


def _encoded(document: object) -> bytes:
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:  # a name that is no UTF-8
        import json

        return json.dumps(msgspec.to_builtins(document)).encode()


def _fill(path: pathlib.Path, options: Options) -> None:
    """Write an entry. Raises sqlite3.Error."""
    import sqlite3

    head = {"Format": FORMAT, "Modules": options.modules, "OldChoices": options.old_choices, "Warnings": options.warnings}
    documents: dict[str, object] = {"": head, **options.shared, **options.by_name}
    rows = sorted((name, _encoded(document).decode()) for name, document in documents.items())
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("pragma journal_mode = off")  # the complete file is renamed into place
        database.execute("pragma synchronous = off")
        database.execute("begin")
        database.execute("create table line (name text primary key, value text) without rowid")
        database.executemany("insert into line values (?, ?)", rows)
        database.execute("commit")


@contextlib.contextmanager
def _made_once(safety: SafetyNet) -> Iterator[None]:
    """For an entry: its time is not that of the judgement, whose answer is the same with an entry of before.

    Garbage collection is off: of the many small objects none is garbage, and the collector would take a third of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        with safety.paused():
            yield
    finally:
        if was_on:
            gc.enable()


def _write(path: pathlib.Path, data: bytes | Callable[[pathlib.Path], None]) -> None:
    """Write a file and rename it into place; if the directory cannot be written to, nothing is kept."""
    import sqlite3

    fresh = path.with_name(f".new-{os.getpid()}-{path.name}")
    try:
        own_files.spare(path)
        own_files.make_directory(path.parent)
        if callable(data):
            data(fresh)
        else:
            fresh.write_bytes(data)
        if path.is_dir():
            own_files.put_aside(path, "is not a file of patch-triage")
        os.replace(fresh, path)
    except (OSError, sqlite3.Error):
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
