from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.agent.model import Model
from tests.small_kernel import Kernel


@pytest.fixture(scope="session")
def make_httpserver() -> Iterator[HTTPServer]:
    """As the plugin's own, but in threads: a model that hangs holds up no other."""
    server = HTTPServer("localhost", 0, threaded=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def scripted(httpserver: HTTPServer) -> Callable[..., Model]:
    """`scripted(turn, turn, ...)` starts a model that says these."""

    def start(*turns: Any, then: Any = None) -> Model:
        httpserver.clear()
        return Model(httpserver, list(turns), then)

    return start


@pytest.fixture
def changed(kernel: Kernel) -> Kernel:
    """A tree whose last commit leaves something open."""
    kernel.replace("mm/pool.c", "return pool->pages[--pool->count];", "return pool->pages[--pool->count & 7];")
    kernel.git("commit", "-qam", "mm/pool: take fewer")
    return kernel


@pytest.fixture
def remake_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written instead of compared."""
    return bool(request.config.getoption("--remake-golden"))
