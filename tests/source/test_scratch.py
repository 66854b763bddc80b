from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from hook.source import git, scratch
from tests.small_kernel import Kernel


@pytest.fixture
def repo(kernel: Kernel) -> git.Repository:
    return git.find(kernel.path)


def left(repo: git.Repository) -> list[str]:
    return os.listdir(repo.state_dir / "tmp")


def test_the_directory_is_gone_afterwards_even_after_an_error(repo: git.Repository) -> None:
    with pytest.raises(RuntimeError), scratch.directory(repo) as made:
        (made / "file").write_text("x")
        raise RuntimeError
    assert left(repo) == []


def test_two_at_once_do_not_meet(repo: git.Repository) -> None:
    with scratch.directory(repo) as one:
        (one / "file").write_text("x")
        with scratch.directory(repo) as two:
            assert list(two.iterdir()) == []
        assert (one / "file").exists()


def test_what_a_killed_run_left_is_swept_and_a_living_one_is_not(repo: git.Repository) -> None:
    program = (
        "import pathlib, sys, time\nfrom hook.source import git, scratch\n"
        "with scratch.directory(git.find(pathlib.Path(sys.argv[1]))) as made:\n    print(made, flush=True)\n    time.sleep(60)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program, str(repo.git_dir)], stdout=subprocess.PIPE, env=env) as other:
        assert other.stdout is not None
        theirs = pathlib.Path(os.fsdecode(other.stdout.readline().rstrip()))
        with scratch.directory(repo):
            assert theirs.is_dir()
        other.send_signal(signal.SIGKILL)
    assert theirs.is_dir()
    with scratch.directory(repo):
        assert not theirs.exists()


def test_a_directory_whose_owner_has_not_locked_it_yet_is_left_for_a_minute(repo: git.Repository) -> None:
    young, old = (repo.state_dir / "tmp" / name for name in ("new-young", "new-old"))
    young.mkdir(parents=True)
    old.mkdir()
    os.utime(old, (time.time() - 100, time.time() - 100))
    with scratch.directory(repo):
        assert young.is_dir()
        assert not old.exists()


def test_where_git_cannot_be_written_the_systems_directory_serves(repo: git.Repository) -> None:
    repo.state_dir.write_text("in the way")
    with scratch.directory(repo) as made:
        (made / "file").write_text("x")
        assert repo.git_dir not in made.parents
    assert not made.exists()
