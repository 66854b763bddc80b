from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Callable, Iterator, Mapping

import hypothesis
import pytest

from hook import lazy_re
from hook.agent import evaluators
from hook.record import kept_patterns
from hook.source import own_files
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.small_kernel import Kernel

Grow = Callable[[Mapping[str, str]], Source]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--remake-golden", action="store_true", help="write the golden files anew instead of comparing with them")


_MEMORY = pathlib.Path("/dev/shm")
_LEAST_MEMORY_BYTES = 2 << 30


def pytest_configure() -> None:
    """The trees of the tests are made in memory where programs may run there: a disk is busy for minutes with a million small files."""
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK | os.X_OK):
        found = os.statvfs(_MEMORY)
        if found.f_bavail * found.f_frsize >= _LEAST_MEMORY_BYTES and not found.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


# the longest come first: at the end all processors but one would wait for the last of them
_LONG = ("tests/bulk/", "tests/test_package.py", "tests/test_docs.py", "tests/test_worker.py", "tests/agent/test_worker.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


hypothesis.settings.register_profile("no deadline", deadline=None)  # a busy machine is no defect
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def as_a_process_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of the commands that earlier tests ran in this process."""
    monkeypatch.setattr(lazy_re, "compiler", None)
    monkeypatch.setattr(kept_patterns, "_in_use", None)
    monkeypatch.setattr(own_files, "_told", set())
    monkeypatch.setattr(evaluators, "_keys", {})


@pytest.fixture(scope="session")
def first_kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    base = tmp_path_factory.mktemp("kernel")
    kernel = Kernel.create(base / "linux", base / "home")
    kernel.git("repack", "-adq")  # it is copied for each test
    for sample in (kernel.path / ".git/hooks").iterdir():
        sample.unlink()
    return kernel


@pytest.fixture(scope="session")
def first_hooked(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    kernel = _copied(first_kernel, tmp_path_factory.mktemp("hooked"))
    kernel.install()
    kernel.fork_in_hooks()
    return kernel


def _copied(kernel: Kernel, directory: pathlib.Path) -> Kernel:
    """A copy of a tree and of the person's home, by one process, since there is one for each test."""
    subprocess.run(["cp", "-R", kernel.path, kernel.path.parent / "home", directory], check=True)
    home = directory / "home"
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
    return Kernel(directory / "linux", kernel.env | env)


@pytest.fixture
def kernel(first_kernel: Kernel, tmp_path: pathlib.Path) -> Kernel:
    """A small kernel tree of one commit, without hooks."""
    return _copied(first_kernel, tmp_path)


@pytest.fixture
def hooked(first_hooked: Kernel, tmp_path: pathlib.Path) -> Kernel:
    """The same tree with our hooks installed; they do what they do for a person, in forks."""
    return _copied(first_hooked, tmp_path)


@pytest.fixture
def starting(kernel: Kernel) -> Kernel:
    """The same tree with our hooks as a person has them: they start the program."""
    kernel.install()
    return kernel


@pytest.fixture
def grow(kernel: Kernel) -> Iterator[Grow]:
    """Commit some files over the small tree, and give the tree that comes of it."""
    opened = []

    def made(files: Mapping[str, str]) -> Source:
        for path, content in files.items():
            kernel.write(path, content)
        kernel.git("add", "-A", "-f")
        kernel.git("commit", "-qm", "grown", "--allow-empty")
        objects = Objects(find(kernel.path), 16 << 20).__enter__()
        opened.append(objects)
        return Source(objects, kernel.head())

    yield made
    for objects in opened:
        objects.__exit__(None, None, None)
