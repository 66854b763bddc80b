from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from hook.source.git import find
from hook.source.objects import Objects
from hook.source.tree import Source
from tests.kernel import Kernel

Grow = Callable[[Mapping[str, str]], Source]


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
