"""A crash of ours leaves a log that can be sent to anybody, and one line."""

from __future__ import annotations

import pathlib
import stat
from collections.abc import Sequence

import msgspec
import pytest

from hook import cli
from hook.record import crash_log
from hook.source.git import Repository, find
from hook.stages import dispatch
from tests.small_kernel import Kernel

SECRET = "ghp_" + "a1B2c3D4e5" * 4


@pytest.fixture
def repo(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.chdir(kernel.path)
    return find()


def log(repo: Repository) -> pathlib.Path:
    return repo.state_dir / "crash.log"


def crash(stage: str, repo: Repository, arguments: Sequence[str]) -> int:
    raise ZeroDivisionError(f"key {SECRET}")


def test_a_command_that_crashes_says_one_line_and_names_the_log(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "status", "no_such_command")
    assert cli.main(["status"]) == 3
    said = capsys.readouterr().err
    assert said == f"patch-triage: a bug in patch-triage (ModuleNotFoundError), please report it with {log(repo)}\n"
    assert "Traceback (most recent call last)" in log(repo).read_text()


def test_a_hook_that_crashes_lets_the_commit_go_and_names_the_log(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(dispatch.STAGES, "pre-commit", crash)
    assert dispatch.run(["pre-commit"]) == 0
    said = "".join(capsys.readouterr())
    assert said.count("\n") == 1 and str(log(repo)) in said and "the commit goes through" in said and SECRET not in said


def test_the_log_has_no_secrets_and_is_for_its_owner_alone(repo: Repository) -> None:
    crash_log.sentence(RuntimeError(f"key {SECRET}"))
    assert "RuntimeError" in log(repo).read_text() and SECRET not in log(repo).read_text()
    assert stat.S_IMODE(log(repo).stat().st_mode) == 0o600


def test_a_secret_where_a_long_crash_is_cut_goes_whole(repo: Repository) -> None:
    crash_log.sentence(RuntimeError(f"key {SECRET} " + "x" * ((32 << 10) - 32)))
    assert SECRET[-10:] not in log(repo).read_text()


def test_the_log_keeps_the_newest_crashes_within_its_size(repo: Repository) -> None:
    for number in range(12):
        crash_log.sentence(RuntimeError("x " * 20_000 + f"crash {number:02}"))
    assert log(repo).stat().st_size <= 256 << 10
    assert "crash 11" in log(repo).read_text() and "crash 00" not in log(repo).read_text()


def test_where_nothing_can_be_written_the_line_says_so(repo: Repository) -> None:
    gone = msgspec.structs.replace(repo, common_dir=repo.git_dir / "HEAD")  # below a file there is no directory
    assert crash_log.sentence(RuntimeError("x"), gone).startswith(
        "a bug in patch-triage (RuntimeError), please report it; no log was written: "
    )


def test_outside_of_a_repository_there_is_no_log(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no log was written" in crash_log.sentence(RuntimeError("x"))
