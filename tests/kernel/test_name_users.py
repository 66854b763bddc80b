from __future__ import annotations

import pytest

from hook.kernel import name_users
from hook.kernel.kernel import Kernel as Reading
from hook.kernel.units import Units
from hook.source import git
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.small_kernel import Kernel


def test_what_was_not_searched_for_is_not_known_however_often_it_is_asked(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_users, "_MOST_SEARCHES", 1)
    with Objects(git.find(kernel.path)) as objects:
        source = Source(objects, kernel.head())
        reading = Reading(source, "x86_64", "gcc-12", None)
        users = name_users.NameUsers(source, Units(source, 10), reading.kbuild, reading.environment, 10)
        assert "mm/pool.c" in users.everywhere("pool_get") and not users.cut
        for ask in (users.everywhere, users.everywhere, users.holding, users.holding):
            users.cut = False
            assert ask("pool_put") == [] and users.cut
