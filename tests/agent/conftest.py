from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.agent.model import Model


@pytest.fixture
def scripted(httpserver: HTTPServer) -> Callable[..., Model]:
    """`scripted(turn, turn, ...)` starts a model that says these."""

    def start(*turns: Any, then: Any = None) -> Model:
        httpserver.clear()
        return Model(httpserver, list(turns), then)

    return start


@pytest.fixture
def remake_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written instead of compared."""
    return bool(request.config.getoption("--remake-golden"))
