"""Work under embargo: what is never sent, whatever was pushed where."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from tests.agent.model import Model, kmsan, results, says
from tests.agent.test_flow import CITED
from tests.small_kernel import Kernel


@pytest.fixture
def embargoed(changed: Kernel, tmp_path: pathlib.Path) -> Kernel:
    """The open change on a branch under embargo, pushed to a remote for those who know; `main` is public and lacks it."""
    person = Kernel(changed.path, changed.env | {"PATCH_TRIAGE_AGENT_NEVER_BRANCHES": "embargo/*"})
    for remote in ("private", "origin"):
        person.git("init", "-q", "--bare", str(tmp_path / remote))
        person.git("remote", "add", remote, str(tmp_path / remote))
    person.git("checkout", "-qb", "embargo/fix")
    person.git("branch", "-qf", "main", "HEAD~1")
    person.git("push", "-q", "private", "embargo/fix")
    person.git("push", "-q", "origin", "main")
    return person


def asked(kernel: Kernel, model: Model) -> str:
    return kernel.triage_both("check", "HEAD", "--agent", "always", "--explain", "--no-cache", ok=None, **model.environment)[1]


def test_a_push_to_a_private_remote_makes_nothing_public(embargoed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted()
    assert "work on embargo/fix is never sent" in asked(embargoed, model)
    embargoed.git("checkout", "-q", "--detach")
    assert "work on embargo/fix is never sent" in asked(embargoed, model)
    embargoed.git("branch", "-qD", "embargo/fix")
    # only the remote's branch is left, as for somebody who has fetched it
    assert "work on private/embargo/fix is never sent" in asked(embargoed, model)
    assert not model.requests


def test_what_a_public_branch_holds_may_be_sent(embargoed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(why=CITED)), says(kmsan()))
    embargoed.git("push", "-q", "origin", "embargo/fix:main")
    assert "work on embargo/fix is never sent" in asked(embargoed, model) and not model.requests
    embargoed.git("checkout", "-q", "--detach")
    assert "asked: --agent always" in asked(embargoed, model) and len(model.requests) == 2


def test_a_symbolic_reference_of_a_remote_is_no_second_branch(embargoed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted()
    embargoed.git("symbolic-ref", "refs/remotes/private/HEAD", "refs/remotes/private/embargo/fix")
    embargoed.git("checkout", "-q", "--detach")
    assert "is never sent" in asked(embargoed, model) and not model.requests


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_what_may_go_to_this_machine_goes_to_no_proxy(changed: Kernel, scripted: Callable[..., Model], variable: str) -> None:
    model = scripted(says(results(why=CITED)), says(kmsan()))
    nobody = dict.fromkeys(("NO_PROXY", "no_proxy"), "") | {variable: "http://127.0.0.1:9"}  # where nobody listens
    assert "asked: --agent always" in asked(Kernel(changed.path, changed.env | nobody), model) and len(model.requests) == 2
