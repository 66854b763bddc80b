"""The store: the options of a tree as they were read before, and its base configuration, kept in our own directory under .git.

An entry is known by the blobs of all Kconfig files that it was read from, so every tree that has the same ones shares it. One line of JSON
an option: only those that a question is about are taken apart, which is what makes a look-up fast (measured on Linux 6.12: 12 ms to open,
against 45 ms for the same as one JSON document, 30 ms with marshal, 14 ms with sqlite3, whose import alone costs 8). JSON because what
reads it can at worst refuse it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import hashlib
import json
import os
import pathlib
import typing
from collections.abc import Iterator, Mapping

from hook.evidence.linux import baseconfig
from hook.evidence.linux.conditions import Condition
from hook.evidence.linux.option import Option
from hook.evidence.linux.toolchain import Toolchain, toolchain
from hook.source.git import GitError
from hook.source.tree import Source

if typing.TYPE_CHECKING:
    from hook.evidence.linux.kconfig import Options

KCONFIG = "\0kconfig:"  # among the things that a verdict was read from: all Kconfig files together, for an architecture
FORMAT = 1  # of the files here; another one is read anew
_MOST_TREES = 200  # that are remembered with the entry that holds for them
_MOST_ENTRIES = 6  # of some 6 MB each
_SOURCES = {"x86_64": "x86", "i386": "x86"}  # directories below arch/
_FIELDS = tuple(field.name for field in dataclasses.fields(Option))[1:]
_EMPTY = {field: getattr(Option(""), field) for field in _FIELDS}


def known_by(source: Source, name: str, toolchain_name: str) -> str:
    """The digest that stands for what is read as `name`, which begins with KCONFIG."""
    arch = name.removeprefix(KCONFIG)
    return Known(source, target(arch), toolchain(toolchain_name)).known_by


def target(arch: str) -> dict[str, str]:
    """What the top makefile gives to Kconfig and Kbuild, for an architecture as `target.arch` names it."""
    return {"ARCH": arch, "SRCARCH": _SOURCES.get(arch, arch)}


class Damaged(ValueError):
    """An entry that cannot be read; it is made anew."""


class StoredOptions:
    """The options of one entry; each is taken apart when it is first asked for."""

    def __init__(self, data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        try:
            self._head = json.loads(head)
            if self._head["Format"] != FORMAT:
                raise Damaged("another format")
            self.modules = str(self._head["Modules"])
            self.warnings: list[str] = [str(one) for one in self._head["Warnings"]]
            self._lines = dict(line.split(b"\t", 1) for line in body.split(b"\n") if line)
        except (ValueError, KeyError, TypeError):
            raise Damaged("not an entry of ours") from None
        if len(self._lines) != self._head["Lines"]:
            raise Damaged("cut short")
        self._read: dict[str, Option | None] = {}
        self._shared: dict[str, Condition] = {}

    def get(self, name: str) -> Option | None:
        """An option by its name. Raises Damaged."""
        if name in self._read:
            return self._read[name]
        line = self._lines.get(name.encode("utf-8", "replace"))
        option = None
        if line is not None:
            try:
                option = Option(name, **json.loads(line))
            except (ValueError, TypeError):
                raise Damaged(f"{name} cannot be read") from None
        self._read[name] = option
        return option

    def common(self, name: str) -> Condition:
        """A condition that several options share. Raises Damaged."""
        if name not in self._shared:
            try:
                self._shared[name] = json.loads(self._lines[name.encode()])
            except (ValueError, KeyError):
                raise Damaged(f"{name} cannot be read") from None
        return self._shared[name]


@dataclasses.dataclass
class Known:
    """What is known of the options of a tree for one target and toolchain. Each part is read when it is asked for."""

    source: Source
    environment: Mapping[str, str]
    toolchain: Toolchain
    base_text: str | None = None  # the person's own .config; None for the default of the target
    digest: str = ""
    _options: StoredOptions | None = None
    _read: Options | None = None
    _base: dict[str, str] | None = None

    @property
    def known_by(self) -> str:
        """What is the same for all trees that define the same options."""
        self._open()
        return self.digest

    @property
    def options(self) -> StoredOptions:
        """The options of the tree."""
        if self._options is None:
            self._open()
            self._options = self._options or self._entry() or self._anew()
        return self._options

    @property
    def base(self) -> dict[str, str]:
        """The base configuration, as its .config says it."""
        if self._base is None:
            if self.base_text is not None:
                self._base = baseconfig.read(self.base_text)
            else:
                self._base = self._default_base()
        return self._base

    @property
    def _directory(self) -> pathlib.Path:
        return self.source.repo.state_dir / "kconfig"

    def _default_base(self) -> dict[str, str]:
        paths = baseconfig.parts(self.environment["ARCH"], self.environment["SRCARCH"])
        blobs = [self.source.file(path) for path in paths]
        self._open()
        key = hashlib.sha256("\n".join([self.digest, *(blob.oid if blob else "" for blob in blobs)]).encode()).hexdigest()
        name = f"{self.digest[:32]}.{key[:16]}.config"
        if found := self._json(name):
            return found
        texts = [blob.data.decode("utf-8", "replace") for blob in blobs if blob is not None and blob.data is not None]
        with _much_at_once():
            options = self._whole()
            made, recursive = baseconfig.configured(options, texts)
        self.options.warnings.extend(f"{_place(options, name)}: {name} depends on itself" for name in recursive)
        _write(self._directory / name, json.dumps(made).encode())
        return made

    def _open(self) -> None:
        """Find the entry that holds for the tree; read the tree where there is none."""
        if self.digest:
            return
        mine = f"{FORMAT} {self.environment['ARCH']} {self.toolchain} "
        tree = self.source.oid("") if self.source.revision else ""
        trees = {key.removeprefix(mine): digest for key, digest in self._json("trees").items() if key.startswith(mine)}
        nearest = tree if tree in trees else next(reversed(trees), "")
        if nearest and self._holds(trees[nearest], nearest, tree):
            self.digest = trees[nearest]
        else:
            self._anew()
        if tree and tree not in trees and not self.source.changes:
            self._remember(mine + tree, self.digest)

    def _holds(self, digest: str, its_tree: str, tree: str) -> bool:
        """Whether the Kconfig files of our tree are those that an entry was read from."""
        files = self._json(f"{digest[:32]}.files")
        if not files:
            return False
        changed = set(self.source.changes)
        if its_tree != tree:
            from hook.source.index import differences

            try:
                changed |= differences(self.source.repo, its_tree, self.source.revision).keys()
            except GitError:
                return False
        return all(self.source.oid(path) == files[path] for path in changed & files.keys())

    def _anew(self) -> StoredOptions:
        """Read the tree, and keep what was read."""
        with _much_at_once():
            options = self._whole()
            data = _entry_of(options)
        names = "\n".join(f"{path} {oid}" for path, oid in sorted(options.files.items()))
        self.digest = hashlib.sha256(f"{FORMAT} {self.environment} {self.toolchain}\n{names}".encode("utf-8", "replace")).hexdigest()
        self._options = StoredOptions(data)
        _write(self._directory / f"{self.digest[:32]}.files", json.dumps(options.files).encode())
        _write(self._directory / f"{self.digest[:32]}.options", data)
        self._sweep()
        return self._options

    def _whole(self) -> Options:
        if self._read is None:
            from hook.evidence.linux import kconfig  # only a tree that is not known pays for it

            self._read = kconfig.read(self.source, self.environment, self.toolchain)
        return self._read

    def _entry(self) -> StoredOptions | None:
        try:
            return StoredOptions((self._directory / f"{self.digest[:32]}.options").read_bytes())
        except (OSError, Damaged):
            return None

    def _json(self, name: str) -> dict[str, str]:
        """One of our small files, empty where it is absent or not what we wrote."""
        try:
            found = json.loads((self._directory / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()) else {}

    def _remember(self, key: str, digest: str) -> None:
        trees = self._json("trees")
        trees.pop(key, None)
        trees[key] = digest
        while len(trees) > _MOST_TREES:
            del trees[next(iter(trees))]
        _write(self._directory / "trees", json.dumps(trees).encode())

    def _sweep(self) -> None:
        with contextlib.suppress(OSError):
            entries = sorted(self._directory.glob("*.options"), key=lambda path: path.stat().st_mtime)
            for path in entries[:-_MOST_ENTRIES]:
                for one in self._directory.glob(f"{path.stem}.*"):
                    one.unlink(missing_ok=True)


def _entry_of(options: Options) -> bytes:
    head = {
        "Format": FORMAT, "Modules": options.modules, "Warnings": options.warnings,
        "Lines": len(options.by_name) + len(options.shared),
    }  # fmt: skip
    encode = json.JSONEncoder(separators=(",", ":")).encode
    lines = [encode(head)]
    for name, option in options.by_name.items():
        values = option.__dict__
        lines.append(f"{name}\t{encode({field: values[field] for field in _FIELDS if values[field] != _EMPTY[field]})}")
    lines += [f"{name}\t{encode(condition)}" for name, condition in options.shared.items()]
    return "\n".join(lines).encode("utf-8", "replace")


def _place(options: Options, name: str) -> str:
    places = options.by_name[name].places
    return f"{places[0][0]}:{places[0][1]}" if places else name


@contextlib.contextmanager
def _much_at_once() -> Iterator[None]:
    """Many small objects of which none is garbage: looking for some costs a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _write(path: pathlib.Path, data: bytes) -> None:
    """Put a file in place whole; a directory that cannot be written to costs only time."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".new-{os.getpid()}-{path.name}")
        try:
            fresh.write_bytes(data)
            os.replace(fresh, path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
