"""Whatever lies in the place of a file of ours under .git: no command and no commit ends in a defect, and what is wrong is made anew."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import shutil
import sqlite3
from collections.abc import Callable

import pytest

from hook.agent.endpoint.stored_answers import Answers
from hook.agent.ledger import Ledger, LedgerLine
from hook.record import pending, queue, trajectories
from hook.record.kept_patterns import KeptPatterns
from hook.source import own_files
from hook.source.git import find
from hook.trajectory import Trajectory
from hook.verdict import Tokens
from tests.small_kernel import Kernel

POOL = "mm/pool.c"
MARKERS = ("patch-triage-since", "patch-triage-amend", "patch-triage-amended", "patch-triage-announced")


@pytest.fixture(scope="module")
def used(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    """A tree in which every file of ours is there."""
    base = tmp_path_factory.mktemp("used")
    shutil.copytree(first_kernel.path, base / "linux", symlinks=True)
    kernel = Kernel(base / "linux", first_kernel.env)
    kernel.git("config", "patchtriage.record.format", "note,trailer,file")
    kernel.install()
    kernel.fork_in_hooks()
    commit = kernel.commit(POOL, kernel.read(POOL).replace("--pool->count", "--pool->count & 7"))
    kernel.triage("check", "-v")
    kernel.triage("index")
    repo = find(kernel.path)
    pending.add(repo, commit, "1" * 40, 1e9)
    queue.add(repo, commit, [{"Mark": "wrong", "ChangeId": "1" * 40}])
    Answers(repo.state_dir / "answers").keep("2" * 64, {"id": 1})
    with Ledger(repo.state_dir / "ledger").today() as day:
        day.add(LedgerLine("1", "2026", True, "m", "1" * 40, commit, "", Tokens(), 0.0))
    trajectory = Trajectory()
    trajectory.open(trajectories.new_path(repo, "1" * 40))
    trajectory.end(trajectory.begin("flow", "x"))
    trajectory.close()
    patterns = KeptPatterns(repo)
    patterns.compile("a", 0)
    patterns.write()
    for name in ("claims/" + "1" * 40, "worker", "crash.log"):
        (repo.state_dir / name).parent.mkdir(exist_ok=True)
        (repo.state_dir / name).write_bytes(b"")
    for name in MARKERS:
        (repo.git_dir / name).write_text(commit)
    return kernel


@pytest.fixture
def damaged(used: Kernel, tmp_path: pathlib.Path) -> Kernel:
    shutil.copytree(used.path, tmp_path / "linux", symlinks=True)
    return Kernel(tmp_path / "linux", used.env)


def ours(kernel: Kernel) -> list[pathlib.Path]:
    """Every file of ours."""
    state = kernel.path / ".git/patch-triage"
    return [path for path in [*state.rglob("*"), *(kernel.path / ".git" / name for name in MARKERS)] if path.is_file()]


def noise(path: pathlib.Path) -> None:
    path.write_bytes(random.Random(path.name).randbytes(random.Random(path.name).randrange(1, 5000)))


def cut(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: pathlib.Path) -> None:
    data = bytearray(path.read_bytes() or b"\0")
    for at in random.Random(path.name).sample(range(len(data)), min(8, len(data))):
        data[at] ^= 0x5A
    path.write_bytes(data)


def grow(path: pathlib.Path) -> None:
    with path.open("r+b") as file:
        file.truncate(80 << 20)  # with a hole: no disk is filled


def directory(path: pathlib.Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def link(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def pipe(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[pathlib.Path], object]] = {
    "noise": noise,
    "cut": cut,
    "flip": flip,
    "huge": grow,
    "nul": lambda path: path.write_bytes(b"\0" * max(41, path.stat().st_size % 10_000)),
    "empty": lambda path: path.write_bytes(b""),
    "brackets": lambda path: path.write_bytes(b"[" * 50_000),
    "newer": lambda path: path.write_bytes(b'{"format": 99, "Format": 99, "Key": [], "SchemaVersion": 99}\n'),
    "directory": directory,
    "link": link,
    "pipe": pipe,
}


def commands(kernel: Kernel) -> str:
    """A person's day; what was said."""
    said = []
    for arguments in (("status",), ("show",), ("check",), ("spend",), ("marks",), ("trajectory",), ("index", "--quiet")):
        said += kernel.triage_both(*arguments, ok=None)
    kernel.stage(POOL, kernel.read(POOL) + "\nint more;\n")
    said += kernel.git_both("commit", "-qm", "more")
    kernel.stage(POOL, kernel.read(POOL) + "\nint most;\n")
    said += kernel.git_both("commit", "-q", "--amend", "--no-edit")
    return "".join(said)


@pytest.mark.parametrize("damage", DAMAGES)
def test_anything_in_the_place_of_every_file_of_ours(damaged: Kernel, damage: str) -> None:
    files = ours(damaged)
    assert len(files) > 15
    for path in files:
        DAMAGES[damage](path)
    said = commands(damaged)
    assert "bug in patch-triage" not in said and "no verdict:" not in said
    assert f"Commit: {damaged.head()}" in damaged.note()
    again = commands(damaged)
    assert "renamed to" not in again and "bug in patch-triage" not in again and "not recorded" not in again
    damaged.triage("index", "--quiet")
    assert f"Commit: {damaged.head()}" in damaged.note()


@pytest.mark.parametrize("place", ["", "cache", "queue", "pending", "index", "kconfig", "tmp", "claims", "verdicts", "answers", "ledger"])
def test_a_file_in_the_place_of_a_directory_of_ours(damaged: Kernel, place: str) -> None:
    path = damaged.path / ".git/patch-triage" / place
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\0")
    damaged.stage(POOL, damaged.read(POOL) + "\nint more;\n")
    _, error = damaged.git_both("commit", "-qm", "more")
    assert "bug in patch-triage" not in error and "no verdict:" not in error
    assert f"Commit: {damaged.head()}" in damaged.note()
    assert "defect" not in "".join(damaged.triage_both("status", ok=None))


def test_a_verdict_of_which_a_byte_is_another_is_not_used_again(damaged: Kernel) -> None:
    (damaged.path / ".git/patch-triage/queue").rename(damaged.path / ".git/away")
    entries = list((damaged.path / ".git/patch-triage/cache").rglob("*.json"))
    assert entries
    for entry in entries:
        content = entry.read_bytes()
        assert content.count(b'"WorthFuzzing":true') == 1
        entry.write_bytes(content.replace(b'"WorthFuzzing":true', b'"WorthFuzzing":false'))
    assert "worth fuzzing" in damaged.triage("check", "HEAD") and "not worth fuzzing" not in damaged.triage("check", "HEAD")


def test_what_is_put_aside_is_said_once(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert own_files.read(path, 5) == b"12345"
    assert own_files.read(path, 4) is None and own_files.read(path, 4) is None
    assert capsys.readouterr().err == f"patch-triage: {path} has more than 4 bytes: renamed to x.damaged; a new one is written\n"
    own_files.write(path, b"new")
    assert own_files.read(path, 5) == b"new" and (tmp_path / "x.damaged").read_bytes() == b"12345"


@pytest.mark.parametrize("data", [b"", b'{"Commit":"\xff"}', b"[" * 60_000, b'{"Commit":"x","Need":"x"}', b'{"Commit":"x","Since":1e999}'])
def test_a_damaged_question_still_shows_its_commit(used: Kernel, data: bytes) -> None:
    repo, commit = find(used.path), "3" * 40
    path = repo.state_dir / "pending" / f"{commit}.json"
    own_files.write(path, data)
    question = pending.find(repo, commit)
    path.unlink()
    assert question == pending.Question(commit, since=question.since if question else 0.0) and question.since


def test_the_oldest_files_of_a_full_directory_are_removed(tmp_path: pathlib.Path) -> None:
    for age, name in enumerate(("new", ".new-of-a-killed-writer", "old")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    own_files.remove_oldest(tmp_path, 3, 1)
    assert len(list(tmp_path.iterdir())) == 3
    own_files.remove_oldest(tmp_path, 2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_database_has_its_name_whatever_that_is(tmp_path: pathlib.Path) -> None:
    path = tmp_path / os.fsdecode(b"a #1?50% \xc3\xa9\xff.db")
    with contextlib.closing(sqlite3.connect(own_files.database_uri(path, "mode=rwc"), uri=True)) as database:
        database.execute("create table word(name)")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
