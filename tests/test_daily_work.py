"""A developer's day on real git: after everything a person does, the repository is whole and each record speaks of its own commit."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Callable

import pytest

from hook import triage
from hook.config import resolve
from hook.source.git import find
from hook.source.object_store import Objects
from hook.verdict import to_document
from tests.small_kernel import Kernel
from tests.test_failures import a_git_that_hangs

POOL = "mm/pool.c"


def healthy(kernel: Kernel, revisions: str = "HEAD") -> dict[str, str]:
    """Check the repository and every record in it; gives each commit's state: final, stale or none."""
    out, error = kernel.git_both("fsck", "--strict", "--no-dangling")
    assert (out + error).strip() == ""
    commits = kernel.git("rev-list", revisions).split()
    shown = {found["Commit"]: found for found in map(json.loads, kernel.triage("show", *commits, "--format", "json").splitlines())}
    final = [commit for commit in commits if commit in shown and shown[commit]["State"] == "final"]
    repo = find(kernel.path)
    with Objects(repo, 16 << 20) as objects:
        for judged in triage.judge_commits(repo, objects, resolve([]), final, use_cache=False):
            assert isinstance(judged, triage.Judged), judged
            verdict = to_document(judged.verdict)
            for name in ("ChangeId", "WorthFuzzing", "Functional", "Base"):
                assert shown[verdict["Commit"]][name] == verdict[name], (verdict["Commit"], name)
    return {commit: shown[commit]["State"] if commit in shown else "none" for commit in commits}


def edit(kernel: Kernel, number: int) -> str:
    return kernel.read(POOL) + f"\nint pool_extra_{number};\n"


def test_twenty_commits_each_have_their_verdict(hooked: Kernel) -> None:
    commits = [hooked.commit(POOL, edit(hooked, number), f"mm: {number}") for number in range(20)]
    states = healthy(hooked)
    assert [states[commit] for commit in commits] == ["final"] * 20


def test_the_verdict_is_said_once(hooked: Kernel) -> None:
    hooked.stage("Documentation/mm/pool.rst", "Pool\n")
    _, error = hooked.git_both("commit", "-qm", "doc")
    assert error == "patch-triage: not worth fuzzing: no functional change: documentation (1 file)\n"
    assert "WorthFuzzing: false" in hooked.note()


@pytest.mark.parametrize("options", [["--no-edit"], []])
def test_an_amend_is_judged_as_a_whole_and_said_once(hooked: Kernel, options: list[str]) -> None:
    hooked.commit(POOL, edit(hooked, 1))
    hooked.stage("Documentation/mm/pool.rst", "Pool\n")
    _, error = hooked.git_both("commit", "-q", "--amend", *options)
    assert error == f"patch-triage: worth fuzzing (not proved: that behaviour changes): {POOL} changed\n"
    assert healthy(hooked)[hooked.head()] == "final"


@pytest.mark.parametrize("is_logged", [True, False])
def test_marks_go_along_with_an_amend_of_which_post_rewrite_starts_nothing_where_git_logs_it(hooked: Kernel, is_logged: bool) -> None:
    if not is_logged:
        hooked.git("config", "core.logAllRefUpdates", "false")
        (hooked.path / ".git/logs/HEAD").unlink()
    hooked.commit(POOL, edit(hooked, 1))
    hooked.triage("mark", "HEAD", "wrong")
    hooked.git("commit", "-q", "--amend", "-m", "better words")
    assert "Mark: wrong" in hooked.note() and healthy(hooked)[hooked.head()] == "final"
    amended = hooked.path / ".git/patch-triage-amended"
    assert (amended.read_text() if amended.exists() else "") == (f"{hooked.head()}\n" if is_logged else "")


def test_a_note_that_git_copied_to_other_content_is_stale(hooked: Kernel) -> None:
    hooked.commit(POOL, edit(hooked, 1))
    old = hooked.head()
    hooked.git("config", "core.hooksPath", "/dev/null")
    hooked.amend(POOL, edit(hooked, 2))
    hooked.git("notes", "--ref=patch-triage", "copy", old, "HEAD")
    assert healthy(hooked)[hooked.head()] == "stale"
    assert "stale" in hooked.triage("show")


def test_commit_all_and_partial_commits_are_judged_on_what_they_commit(hooked: Kernel) -> None:
    hooked.write(POOL, edit(hooked, 1))
    hooked.git("commit", "-qam", "all")
    hooked.write(POOL, edit(hooked, 2))
    hooked.stage("Documentation/mm/pool.rst", "Pool\n")
    _, error = hooked.git_both("commit", "-qm", "only the code", "--", POOL)
    assert POOL in error and "documentation" not in error
    assert set(healthy(hooked, "HEAD~2..HEAD").values()) == {"final"}
    assert hooked.git("diff", "--cached", "--name-only").strip() == "Documentation/mm/pool.rst"


def test_a_fixup_rebase_leaves_every_commit_with_its_own_record(hooked: Kernel) -> None:
    hooked.commit(POOL, edit(hooked, 1), "mm: one")
    hooked.commit("Documentation/mm/pool.rst", "Pool\n", "doc")
    hooked.commit(POOL, edit(hooked, 2), "fixup! mm: one")
    hooked.git("rebase", "-q", "-i", "--autosquash", "HEAD~3", GIT_SEQUENCE_EDITOR="true")
    assert hooked.git("log", "--format=%s", "-2").split("\n")[:2] == ["doc", "mm: one"]
    assert list(healthy(hooked, "HEAD~2..HEAD").values()) == ["final", "final"]


@pytest.mark.parametrize("backend", ["--merge", "--apply"])
def test_a_rebase_that_drops_everything_leaves_no_record_behind_and_no_error(hooked: Kernel, backend: str) -> None:
    hooked.git("checkout", "-qb", "side")
    hooked.commit(POOL, edit(hooked, 1), "mm: one")
    hooked.git("checkout", "-q", "main")
    hooked.commit(POOL, edit(hooked, 1), "mm: the same from elsewhere")
    hooked.git("checkout", "-q", "side")
    _, error = hooked.git_both("rebase", "-q", backend, "main")
    assert "no verdict" not in error
    assert healthy(hooked, "HEAD^!")[hooked.head()] == "final"


def test_a_commit_made_at_a_stop_of_a_rebase_has_its_record(hooked: Kernel) -> None:
    hooked.commit(POOL, edit(hooked, 1), "mm: one")
    hooked.commit(POOL, edit(hooked, 2), "mm: two")
    hooked.git("rebase", "-q", "-i", "HEAD~2", GIT_SEQUENCE_EDITOR="sed -i 1s/pick/edit/")
    hooked.commit("mm/extra.c", "int extra;\n", "mm: made at the stop")
    hooked.git("rebase", "--continue")
    assert list(healthy(hooked, "HEAD~3..HEAD").values()) == ["final"] * 3


def test_marks_move_with_the_change_and_stay_behind_when_it_differs(hooked: Kernel) -> None:
    hooked.commit(POOL, edit(hooked, 1), "mm: one")
    hooked.triage("mark", "HEAD", "wrong", "--why", "a declaration nobody reads")
    hooked.git("commit", "-q", "--amend", "-m", "mm: better words")
    assert "marked wrong by Jo Hacker <jo@example.org>: a declaration nobody reads" in hooked.triage("show")
    hooked.amend(POOL, edit(hooked, 2))
    assert "marked" not in hooked.triage("show")


def test_cherry_picks_reverts_and_merges(hooked: Kernel) -> None:
    hooked.git("checkout", "-qb", "side")
    picked = [hooked.commit(f"mm/side{number}.c", f"int side{number};\n", f"side {number}") for number in range(3)]
    hooked.git("checkout", "-q", "main")
    hooked.commit("Documentation/mm/pool.rst", "Pool\n", "doc")
    hooked.git("cherry-pick", picked[0])
    hooked.git("cherry-pick", picked[1], picked[2])
    hooked.git("revert", "--no-edit", "HEAD")
    assert list(healthy(hooked, "HEAD~5..HEAD").values()) == ["final"] * 5
    hooked.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    assert hooked.triage("show", "HEAD").splitlines()[1:] == ["  no record of what the merge itself changed"]
    healthy(hooked)


def test_a_merge_with_a_hand_made_resolution_is_judged_on_it(hooked: Kernel) -> None:
    hooked.git("checkout", "-qb", "side")
    hooked.commit(POOL, hooked.read(POOL).replace("POOL_MAX)\n\t\treturn", "POOL_MAX - 1)\n\t\treturn"), "side")
    hooked.git("checkout", "-q", "main")
    hooked.commit(POOL, hooked.read(POOL).replace("POOL_MAX)\n\t\treturn", "POOL_MAX - 2)\n\t\treturn"), "main")
    hooked.git("merge", "-q", "side", ok=1)
    hooked.write(POOL, hooked.git("show", "HEAD:" + POOL).replace("POOL_MAX - 2", "POOL_MAX - 3"))
    hooked.git("commit", "-qam", "merge")
    assert healthy(hooked, "HEAD^!")[hooked.head()] == "final"
    assert "judged on what the merge itself changed" in hooked.triage("check", "HEAD")


def test_an_octopus_has_no_record_and_says_so(hooked: Kernel) -> None:
    for name in ("one", "two"):
        hooked.git("checkout", "-qb", name, "main")
        hooked.commit(f"mm/{name}.c", f"int {name};\n")
    hooked.git("checkout", "-q", "main")
    hooked.commit("mm/three.c", "int three;\n")
    hooked.git("merge", "-q", "-m", "octopus", "one", "two")
    assert "octopus" in hooked.triage("show", "HEAD")
    assert "octopus" in hooked.triage("check", "HEAD")


def test_a_linked_worktree_shares_the_records(hooked: Kernel) -> None:
    hooked.git("worktree", "add", "-q", "-b", "other", "../other")
    other = hooked.beside(hooked.path.parent / "other")
    commit = other.commit(POOL, edit(other, 1))
    assert healthy(hooked, "other")[commit] == "final"


def test_a_submodule_is_a_repository_of_its_own(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    library = hooked.beside(tmp_path / "library")
    subprocess.run(["git", "init", "-q", str(library.path)], check=True)
    library.commit("Makefile", "obj-m += a.o\n")
    library.commit("a.c", "int a;\n")
    hooked.git("submodule", "--quiet", "add", str(library.path), "lib/sub")
    hooked.git("commit", "-qm", "add a submodule")
    assert "functional: unknown" in hooked.triage("check", "-v", "HEAD")
    inner = hooked.beside(hooked.path / "lib/sub")
    inner.install()
    commit = inner.commit("a.c", "int a, b;\n")
    assert healthy(inner, "HEAD^!")[commit] == "final"
    assert (hooked.path / ".git/modules/lib/sub/patch-triage").is_dir()


@pytest.mark.parametrize("options", [["--object-format=sha256"], ["--separate-git-dir=../elsewhere"]], ids=["sha256", "separate"])
def test_other_kinds_of_repository(options: list[str], tmp_path: pathlib.Path) -> None:
    kernel = Kernel.create(tmp_path / "linux", tmp_path / "home", *options)
    kernel.install()
    commit = kernel.commit(POOL, edit(kernel, 1))
    kernel.amend(POOL, edit(kernel, 2))
    assert commit not in kernel.git("rev-list", "HEAD")
    assert healthy(kernel, "HEAD^!")[kernel.head()] == "final"


def test_shallow_partial_and_sparse_clones(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    hooked.commit(POOL, edit(hooked, 1))
    hooked.git("config", "uploadpack.allowFilter", "true")
    source = f"file://{hooked.path}"
    for name, options in (("shallow", ["--depth=1"]), ("partial", ["--filter=blob:none"]), ("sparse", ["--sparse"])):
        hooked.git("clone", "-q", *options, source, str(tmp_path / name))
        clone = hooked.beside(tmp_path / name)
        clone.install()
        if name == "sparse":
            clone.git("sparse-checkout", "set", "mm")
        if name == "shallow":
            _, error = clone.triage_both("check", "HEAD", ok=3)
            assert "shallow" in error
        commit = clone.commit("mm/new.c", "int a;\n")
        assert json.loads(clone.triage("show", commit, "--format", "json"))["State"] == "final"


def test_a_partial_clone_is_never_fetched_for(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    hooked.commit(POOL, edit(hooked, 1))
    hooked.git("config", "uploadpack.allowFilter", "true")
    hooked.git("clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{hooked.path}", str(tmp_path / "partial"))
    clone = hooked.beside(tmp_path / "partial")
    before = sorted(str(path) for path in (clone.path / ".git/objects").rglob("*"))
    out = clone.triage("check", "HEAD")
    assert "partial clone" in out
    assert sorted(str(path) for path in (clone.path / ".git/objects").rglob("*")) == before


def test_a_push_of_three_refs_judges_them_all(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    hooked.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    hooked.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    hooked.git("push", "-q", "origin", "main")
    for name in ("one", "two", "three"):
        hooked.git("checkout", "-q", "-b", name, "main")
        hooked.commit(f"mm/{name}.c", f"int {name};\n", name, "--no-verify")
    _, error = hooked.git_both("push", "-q", "origin", "one", "two", "three")
    assert "3 commits: 0 worth fuzzing, 3 open, 0 not" in error
    assert all(name in error for name in ("one", "two", "three"))
    _, error = hooked.git_both("push", "-q", "origin", ":one", "two")
    assert error == ""


def test_a_push_of_a_new_root_and_of_nothing(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    hooked.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    hooked.git("checkout", "-q", "--orphan", "fresh")
    hooked.git("commit", "-qm", "a new root")
    _, error = hooked.git_both("push", "-q", str(tmp_path / "remote.git"), "fresh")
    assert "1 commit: 0 worth fuzzing, 1 open, 0 not" in error


def test_the_policy_stops_a_push_and_can_be_overruled(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    hooked.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    hooked.git("config", "patchtriage.policy.block", "unjudged")
    hooked.commit(POOL, edit(hooked, 1))
    _, error = hooked.git_both("push", "-q", str(tmp_path / "remote.git"), "main", ok=1)
    assert "push stopped by policy.block: unjudged" in error
    hooked.git("push", "-q", str(tmp_path / "remote.git"), "main", PATCH_TRIAGE="0")


@pytest.mark.parametrize("file", ["policy:\n  block: never\n", "no: such\n", "push: [\n", "[" * 60_000, "\0" * 1000])
def test_a_trees_own_file_opens_no_gate(hooked: Kernel, tmp_path: pathlib.Path, file: str) -> None:
    hooked.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    hooked.git("config", "patchtriage.policy.block", "worth-fuzzing")
    hooked.commit(".patch-triage.yaml", file)
    hooked.commit(POOL, edit(hooked, 1))
    _, error = hooked.git_both("push", "-q", str(tmp_path / "remote.git"), "main", ok=1)
    assert "push stopped by policy.block: worth-fuzzing" in error and "patch-triage: ignored in the tree: .patch-triage.yaml" in error


def test_settings_of_the_persons_own_that_are_wrong_stop_a_push_and_no_commit(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    hooked.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    hooked.write("../home/.config/patch-triage.yaml", "policy:\n  blok: worth-fuzzing\n")
    hooked.commit(POOL, edit(hooked, 1))
    _, error = hooked.git_both("push", "-q", str(tmp_path / "remote.git"), "main", ok=1)
    assert "push stopped, the policy is not known: ~/.config/patch-triage.yaml:2: unknown setting policy.blok" in error
    line = f"refs/heads/main {hooked.head()} refs/heads/main {'0' * 40}\n"
    hooked._run([str(hooked.path / ".git/hooks/pre-push"), "x", "y"], line.encode(), 2, {})
    hooked.git("push", "-q", str(tmp_path / "remote.git"), "main", PATCH_TRIAGE="0")


@pytest.mark.parametrize(("policy", "status"), [("never", 0), ("unjudged", 1)])
def test_a_push_that_cannot_be_judged_is_stopped_where_there_is_a_policy(hooked: Kernel, policy: str, status: int) -> None:
    hooked.git("config", "patchtriage.policy.block", policy)
    line = f"refs/heads/main {'1' * 40} refs/heads/main {'0' * 40}\n"  # an object that is not there
    more = {"PATCH_TRIAGE_LIMITS_GIT_SECONDS": "1", **a_git_that_hangs(hooked, "rev-list")}
    _, error = hooked._run([str(hooked.path / ".git/hooks/pre-push"), "x", "y"], line.encode(), status, more)
    assert "git rev-list did not end within 1 s" in error


def test_what_a_push_leaves_unjudged_for_its_length_satisfies_no_policy(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    hooked.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    hooked.git("config", "patchtriage.push.maxCommits", "1")
    hooked.git("config", "patchtriage.policy.block", "worth-fuzzing")
    hooked.commit(POOL, edit(hooked, 1))
    hooked.commit("Documentation/mm/pool.rst", "Pool\n")
    _, error = hooked.git_both("push", "-q", str(tmp_path / "remote.git"), "main", ok=1)
    assert "push stopped by policy.block: worth-fuzzing (the older commits, which were not judged)" in error


def test_a_fetched_record_satisfies_no_policy(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    hooked.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    hooked.git("config", "patchtriage.policy.block", "unjudged")
    commit = hooked.commit(POOL, edit(hooked, 1))
    forged = hooked.note().replace("WorthFuzzing: true", "WorthFuzzing: false").replace("DecidedBy: default", "DecidedBy: evidence")
    hooked.git("notes", "--ref=patch-triage", "add", "-f", "-m", forged, commit)
    _, error = hooked.git_both("push", "-q", str(tmp_path / "remote.git"), "main", ok=1)
    assert "push stopped by policy.block: unjudged" in error


def merged(kernel: Kernel, remote: pathlib.Path) -> None:
    """A merge of two sides, all of which but the merge itself is on a remote."""
    kernel.git("init", "-q", "--bare", str(remote))
    kernel.git("remote", "add", "origin", str(remote))
    kernel.git("checkout", "-qb", "side")
    kernel.commit("mm/side.c", "int side;\n")
    kernel.git("checkout", "-q", "main")
    kernel.commit("mm/main.c", "int main;\n")
    kernel.git("push", "-q", "origin", "main", "side")
    kernel.git("config", "patchtriage.policy.block", "worth-fuzzing")
    kernel.git("merge", "-q", "--no-ff", "-m", "merge", "side")


def test_a_merge_that_adds_nothing_is_pushed(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    merged(hooked, tmp_path / "remote.git")
    _, error = hooked.git_both("push", "-q", "origin", "main")
    assert "push stopped" not in error


@pytest.mark.parametrize("evil", [edit, lambda kernel, _: kernel.read(POOL) + "int more;\n"])
def test_a_merge_with_code_of_its_own_does_not_slip_through_a_policy(
    hooked: Kernel, tmp_path: pathlib.Path, evil: Callable[[Kernel, int], str]
) -> None:
    merged(hooked, tmp_path / "remote.git")
    hooked.amend(POOL, evil(hooked, 1), "--no-verify")
    _, error = hooked.git_both("push", "-q", "origin", "main", ok=1)
    assert "1 commit: 0 worth fuzzing, 1 open, 0 not" in error and "push stopped by policy.block: worth-fuzzing" in error


def test_a_merge_that_drops_what_a_side_did_does_not_either(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    merged(hooked, tmp_path / "remote.git")
    hooked.git("reset", "-q", "--hard", "HEAD~1")
    hooked.git("merge", "-q", "-s", "ours", "-m", "merge", "side")
    _, error = hooked.git_both("push", "-q", "origin", "main", ok=1)
    assert "push stopped by policy.block: worth-fuzzing" in error


def test_a_merge_of_many_satisfies_no_policy(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    merged(hooked, tmp_path / "remote.git")
    hooked.git("reset", "-q", "--hard", "HEAD~1")
    hooked.git("checkout", "-qb", "other", "HEAD~1")
    hooked.commit("mm/other.c", "int other;\n")
    hooked.git("push", "-q", "origin", "other", PATCH_TRIAGE="0")
    hooked.git("checkout", "-q", "main")
    hooked.git("merge", "-q", "-m", "octopus", "side", "other")
    _, error = hooked.git_both("push", "-q", "origin", "main", ok=1)
    assert "push stopped by policy.block: worth-fuzzing" in error and "is an octopus merge" in error


def test_the_newest_commits_of_a_long_push_are_judged_and_the_rest_is_said(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    hooked.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    hooked.git("config", "patchtriage.push.maxCommits", "2")
    for number in range(4):
        hooked.commit(POOL, edit(hooked, number))
    _, error = hooked.git_both("push", "-q", str(tmp_path / "remote.git"), "main")
    assert "2 commits:" in error and "only the newest 2 commits of this push were judged" in error


def test_trailers_are_written_replaced_and_read(kernel: Kernel) -> None:
    kernel.git("config", "patchtriage.record.format", "trailer")
    kernel.install()
    kernel.commit(POOL, edit(kernel, 1), "mm: one\n\nWhy.\n\nFixes: abc\nSigned-off-by: Jo Hacker <jo@example.org>")
    message = kernel.git("log", "-1", "--format=%B").strip().splitlines()
    assert message[-4:] == ["Fixes: abc", "Worth-Fuzzing: unknown", "Enable-Configs: POOL", "Signed-off-by: Jo Hacker <jo@example.org>"]
    assert kernel.note() == ""
    assert "Worth-Fuzzing: unknown (trailer)" in kernel.triage("show")
    kernel.git("checkout", "-q", "HEAD~1", "--", POOL)
    kernel.amend("Documentation/mm/pool.rst", "Pool\n")
    assert kernel.git("log", "-1", "--format=%B").count("Worth-Fuzzing") == 1
    assert "Worth-Fuzzing: no" in kernel.git("log", "-1", "--format=%B")


def test_an_empty_message_still_aborts_with_trailers_on(kernel: Kernel) -> None:
    kernel.git("config", "patchtriage.record.format", "trailer")
    kernel.install()
    kernel.stage(POOL, edit(kernel, 1))
    kernel.git("commit", "-q", ok=1)
    assert kernel.git("rev-list", "--count", "HEAD").strip() == "1"


def test_verdicts_can_be_kept_as_files(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.git("config", "patchtriage.record.format", "file,note")
    kernel.git("config", "patchtriage.record.directory", str(tmp_path / "verdicts"))
    kernel.install()
    commit = kernel.commit(POOL, edit(kernel, 1))
    assert f"Commit: {commit}" in (tmp_path / "verdicts" / f"{commit}.yaml").read_text()
    assert healthy(kernel, "HEAD^!")[commit] == "final"


def test_git_am_records_the_whole_series(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    hooked.git("checkout", "-qb", "side")
    for number in range(3):
        hooked.commit(f"mm/side{number}.c", f"int side{number};\n", f"side {number}")
    hooked.git("format-patch", "-q", "-o", str(tmp_path / "out"), "main")
    hooked.git("checkout", "-q", "main")
    _, said = hooked.git_both("am", "-q", *sorted(str(path) for path in (tmp_path / "out").iterdir()))
    applied = hooked.git("rev-list", "--reverse", "HEAD~3..HEAD").split()
    assert [line.split(" worth")[0] for line in said.splitlines()] == [f"patch-triage: {commit[:12]}" for commit in applied]
    assert list(healthy(hooked, "HEAD~3..HEAD").values()) == ["final"] * 3


def test_an_amended_message_costs_a_look_up(hooked: Kernel) -> None:
    hooked.commit(POOL, edit(hooked, 1))
    entries = list((hooked.path / ".git/patch-triage/cache").rglob("*.json"))
    stamps = [entry.stat().st_mtime_ns for entry in entries]
    hooked.git("commit", "-q", "--amend", "-m", "other words")
    assert [entry.stat().st_mtime_ns for entry in (hooked.path / ".git/patch-triage/cache").rglob("*.json")] == stamps
    assert healthy(hooked, "HEAD^!")[hooked.head()] == "final"


def test_switched_off_means_off(hooked: Kernel) -> None:
    hooked.stage(POOL, edit(hooked, 1))
    _, error = hooked.git_both("commit", "-qm", "off", PATCH_TRIAGE="0")
    assert error == "" and hooked.note() == ""
    hooked.git("config", "patchtriage.enabled", "false")
    hooked.stage(POOL, edit(hooked, 2))
    _, error = hooked.git_both("commit", "-qm", "off")
    assert error == "" and hooked.note() == ""
