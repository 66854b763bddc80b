from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.bulk.farm import Farm
from tests.small_kernel import Kernel


@pytest.fixture
def farm(kernel: Kernel, tmp_path: pathlib.Path) -> Iterator[Farm]:
    """A scheduler without workers."""
    made = Farm(kernel, tmp_path / "farm")
    made.scheduler()
    yield made
    made.end()


@pytest.fixture(scope="module")
def worker(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with one worker, for all tests of a module."""
    made = Farm(first_kernel, tmp_path_factory.mktemp("farm"))
    made.scheduler()
    made.worker()
    yield made.address
    made.end()
