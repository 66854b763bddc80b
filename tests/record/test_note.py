"""Notes as git itself reads them, whoever else writes there."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from hook import config
from hook.record import document, lock, note, queue, store
from hook.source.git import Repository, find
from tests.small_kernel import Kernel


def repository(kernel: Kernel) -> Repository:
    return find(kernel.path)


def many_commits(kernel: Kernel, count: int) -> list[str]:
    tree = kernel.head("HEAD^{tree}")
    stream = "".join(
        f"commit refs/heads/many\ncommitter b <b@b> {1_600_000_000 + number} +0000\ndata 1\nx\n"
        + ("from refs/heads/main^0\n" if not number else "")
        + "\n"
        for number in range(count)
    )
    kernel.git("fast-import", "--quiet", data=stream)
    assert kernel.head("many^{tree}") == tree
    return kernel.git("rev-list", f"--max-count={count}", "many").split()


def say(text: str) -> note.Change:
    return lambda present: f"{present}{text}\n"


def test_git_reads_what_we_write_and_we_read_what_git_writes(kernel: Kernel) -> None:
    repo = repository(kernel)
    note.update(repo, {kernel.head(): say("ours")}, 2)
    assert kernel.note() == "ours\n"
    kernel.git("notes", "--ref=patch-triage", "append", "-m", "theirs")
    assert note.read(repo, [kernel.head()])[kernel.head()] == kernel.note()


@pytest.mark.parametrize("count", [1, 40, 700])
def test_any_fan_out_of_gits_is_kept_and_no_note_stands_twice(kernel: Kernel, count: int) -> None:
    commits = many_commits(kernel, count)
    repo = repository(kernel)
    for half in (commits[::2], commits[1::2]):
        kernel.git("notes", "--ref=patch-triage", "copy", "--stdin", ok=None)
        blob = kernel.git("hash-object", "-w", "--stdin", data="theirs\n").strip()
        for commit in half[:3]:
            kernel.git("notes", "--ref=patch-triage", "add", "-f", "-C", blob, commit)
        note.update(repo, {commit: say("ours") for commit in half}, 5)
    listed = kernel.git("notes", "--ref=patch-triage", "list").splitlines()
    assert sorted(line.split()[1] for line in listed) == sorted(commits)
    assert set(note.read(repo, commits)) == set(commits)
    assert kernel.note(commits[0]) == "theirs\nours\n"
    # git spreads the notes over directories of its own at its next write, and everything is still there
    kernel.git("notes", "--ref=patch-triage", "append", "-m", "more", commits[-1])
    note.update(repo, {commits[0]: say("again")}, 5)
    assert len(kernel.git("notes", "--ref=patch-triage", "list").splitlines()) == count
    assert kernel.git("fsck", "--strict", "--no-dangling").strip() == ""


def test_an_empty_note_is_removed_and_other_files_of_the_tree_stay(kernel: Kernel) -> None:
    repo = repository(kernel)
    other = kernel.git("hash-object", "-w", "--stdin", data="other\n").strip()
    tree = kernel.git("mktree", data=f"100644 blob {other}\tREADME\n").strip()
    kernel.git("update-ref", note.REF, kernel.git("commit-tree", tree, "-m", "x").strip())
    note.update(repo, {kernel.head(): say("ours")}, 2)
    note.update(repo, {kernel.head(): lambda text: ""}, 2)
    assert kernel.note() == ""
    assert kernel.git("ls-tree", "--name-only", "-r", note.REF).split() == ["README"]


def test_nothing_new_makes_no_commit(kernel: Kernel) -> None:
    repo = repository(kernel)
    note.update(repo, {kernel.head(): say("ours")}, 2)
    before = kernel.head(note.REF)
    note.update(repo, {kernel.head(): lambda text: text}, 2)
    assert kernel.head(note.REF) == before


def test_a_writer_who_does_not_know_our_lock_loses_nothing_to_us(kernel: Kernel) -> None:
    commits = many_commits(kernel, 2)
    repo = repository(kernel)
    tried = []

    def meanwhile(text: str) -> str:
        if not tried:
            kernel.git("notes", "--ref=patch-triage", "add", "-m", "theirs", commits[1])
        tried.append(text)
        return "ours\n"

    note.update(repo, {commits[0]: meanwhile}, 5)
    assert (kernel.note(commits[0]), kernel.note(commits[1])) == ("ours\n", "theirs\n")
    assert len(tried) == 2


def test_a_ref_lock_of_somebody_elses_is_left_alone(kernel: Kernel) -> None:
    repo = repository(kernel)
    held = repo.common_dir / f"{note.REF}.lock"
    held.parent.mkdir(parents=True, exist_ok=True)
    held.touch()
    with pytest.raises(note.NoteNotWritten, match="is locked by another git"):
        note.update(repo, {kernel.head(): say("ours")}, 0.2)
    assert held.exists()


def test_a_ref_lock_that_a_killed_process_of_ours_left_is_removed(kernel: Kernel) -> None:
    repo = repository(kernel)
    note.update(repo, {kernel.head(): say("first")}, 2)
    (repo.state_dir / "lock").write_bytes(b"updating\n")
    held = repo.common_dir / f"{note.REF}.lock"
    held.touch()
    note.update(repo, {kernel.head(): say("second")}, 5)
    assert kernel.note() == "first\nsecond\n" and not held.exists()


def test_our_lock_is_waited_for_and_then_given_up(kernel: Kernel) -> None:
    repo = repository(kernel)
    with lock.held(repo, 1), pytest.raises(lock.Locked, match="another patch-triage"):
        note.update(repo, {kernel.head(): say("ours")}, 0.3)


def test_a_killed_holder_frees_the_lock(kernel: Kernel) -> None:
    repo = repository(kernel)
    script = (
        "import sys, time; from hook.source.git import find; from hook.record import lock\n"
        f"import pathlib\nwith lock.held(find(pathlib.Path({str(kernel.path)!r})), 1): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    note.update(repo, {kernel.head(): say("ours")}, 1)
    assert kernel.note() == "ours\n"


def test_what_is_queued_is_joined_with_what_is_there(kernel: Kernel) -> None:
    repo = repository(kernel)
    one, two = ({"ChangeId": name, "Reasoning": name} for name in ("a", "b"))
    note.update(repo, {kernel.head(): lambda text: document.dump([one])}, 2)
    queue.add(repo, kernel.head(), [two])
    queue.add(repo, kernel.head(), [{**two, "Reasoning": "newer"}])
    assert store.write_queued(repo, config.DEFAULTS) == 1 and queue.pending(repo) == []
    assert [found["Reasoning"] for found in document.load(kernel.note())[0]] == ["a", "newer"]


def test_half_a_queued_file_is_no_obstacle(kernel: Kernel) -> None:
    repo = repository(kernel)
    (repo.state_dir / "queue").mkdir(parents=True)
    (repo.state_dir / "queue" / f"{kernel.head()}.yaml").write_text("---\nChangeId: [\n")
    os.utime(repo.state_dir / "queue")
    store.write_queued(repo, config.DEFAULTS)
    assert queue.pending(repo) == []


def test_a_note_is_written_from_anywhere(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    note.update(find(tmp_path / "other"), {kernel.head(): say("ours")}, 2)
    assert kernel.note() == "ours\n"


def test_a_question_that_is_recorded_late_does_not_take_the_place_of_its_answer(hooked: Kernel) -> None:
    hooked.commit("mm/pool.c", hooked.read("mm/pool.c") + "\nint extra;\n")
    (question,), _ = document.load(hooked.note())
    repo, settings = find(hooked.path), config.resolve([])
    for late in ({**question, "DecidedBy": "agent"}, {**question, "State": "pending"}):
        assert store.add(repo, settings, {hooked.head(): [late]}) == []
    assert "DecidedBy: agent" in hooked.note() and "State: pending" not in hooked.note()
    store.add(repo, settings, {hooked.head(): [question]})  # judged anew, without a model
    assert "DecidedBy: default" in hooked.note()
