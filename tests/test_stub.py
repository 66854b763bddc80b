"""What the installed hooks do when git calls them: the program is a script that only writes down how it was started."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from collections.abc import Sequence

import pytest

from hook import installation
from hook.source.git import find
from tests.small_kernel import Kernel, environment

PROGRAM = """#!/bin/sh
{ printf 'triage'; printf ' <%s>' "$@"; echo; case $2 in pre-push | post-rewrite) cat ;; esac; } >>"$LOG"
exit ${TRIAGE_EXIT:-0}
"""
THEIRS = """#!/bin/sh
{ printf 'theirs %s' "${0##*/}"; printf ' <%s>' "$@"; echo; case $0 in *pre-push* | *post-rewrite*) cat ;; esac; } >>"$LOG"
"""


class Tree(Kernel):
    """A working tree with our hooks in it, and the log of what they started."""

    log: pathlib.Path
    program: pathlib.Path

    def started(self) -> list[str]:
        """What was started since the last time of asking, a line each, input lines among them."""
        lines = self.log.read_text().replace(" <--no-settings>", "").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines

    def commits(self, *names: str) -> list[str]:
        made = [self.commit(f"file-{name}", f"{name}\n", name) for name in names]
        self.started()
        return made

    def theirs(self, stage: str, script: str = THEIRS) -> None:
        """Put a hook there that is not ours, before ours."""
        path = find(self.path).common_dir / "hooks" / f"{stage}.before-patch-triage"
        path.write_text(script)
        path.chmod(0o755)


@pytest.fixture
def tree(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Jo\n\temail = jo@example.org\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
        '[protocol "file"]\n\tallow = always\n'
    )
    for name in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(name)
    env = environment(home)
    for name in ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"):
        monkeypatch.setenv(name, env[name])
    program = tmp_path / 'jo\'s "best" $programs' / "patch-triage"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    path = tmp_path / 'jo\'s "own" `tree`'
    path.mkdir()
    tree = Tree(path, env | {"LOG": str(tmp_path / "log")})
    tree.log, tree.program = tmp_path / "log", program
    tree.git("init", "-q", "--template=")
    install(tree)
    tree.commits("root")
    return tree


def install(tree: Tree, trailers: bool = False) -> None:
    installation.install(find(tree.path), tree.program, trailers=trailers, here=False)


def triage(stage: str, *args: str) -> str:
    return " ".join(["triage", *(f"<{word}>" for word in ("hook", stage, "--", *args))])


COMMIT = [triage("post-commit")]


def test_a_commit_starts_the_program_once(tree: Tree) -> None:
    tree.commit("a", "a")
    assert tree.started() == COMMIT


GC = """#!/bin/sh
env -u GIT_INDEX_FILE git gc -q --prune=now
"""


@pytest.mark.parametrize("what", ["-a", "file-a"])
def test_nothing_of_ours_runs_while_only_a_locked_index_holds_what_git_has_written(tree: Tree, what: str) -> None:
    tree.commits("a")
    tree.program.write_text(GC)  # as if by chance it ran then
    tree.write("file-a", "other\n")
    tree.git("commit", "-qm", "other", what)
    tree.program.write_text(PROGRAM)
    assert tree.git("log", "--format=%s", "-1") == "other\n"
    tree.git("fsck", "--strict", "--no-dangling")
    tree.write("file-a", "more\n")
    tree.git("commit", "-qa", GIT_EDITOR="echo more >")
    assert tree.started() == COMMIT


def test_an_amend_is_told_to_post_rewrite(tree: Tree) -> None:
    (old,) = tree.commits("a")
    new = tree.amend("a", "b")
    assert tree.started() == [*COMMIT, triage("post-rewrite", "amend"), f"{old} {new}"]


def test_an_amend_that_the_program_has_seen_in_post_commit_starts_it_once(tree: Tree) -> None:
    tree.commits("a")
    tree.program.write_text(PROGRAM.replace("exit", "[ $2 = post-commit ] && git rev-parse HEAD >.git/patch-triage-amended\nexit"))
    tree.amend("a", "b")
    assert tree.started() == COMMIT
    tree.theirs("post-rewrite")
    old, new = tree.head(), tree.amend("a", "c")
    assert tree.started() == [*COMMIT, "theirs post-rewrite.before-patch-triage <amend>", f"{old} {new}"]
    tree.program.write_text(PROGRAM)  # which has not seen this one
    old, new = tree.head(), tree.amend("a", "d")
    assert tree.started()[-2:] == [triage("post-rewrite", "amend"), f"{old} {new}"]


def test_a_commit_in_a_linked_worktree_and_from_a_folder_starts_it_too(tree: Tree, tmp_path: pathlib.Path) -> None:
    tree.git("worktree", "add", "-q", str(tmp_path / "linked"))
    tree.beside(tmp_path / "linked").commit("a", "a")
    assert tree.started() == COMMIT
    tree.write("folder/b", "b")
    tree.git("-C", "folder", "add", "b")
    tree.git("-C", "folder", "commit", "-qm", "b")
    assert tree.started() == COMMIT


def test_a_rebase_in_a_linked_worktree_is_seen_there_and_only_there(tree: Tree, tmp_path: pathlib.Path) -> None:
    tree.git("worktree", "add", "-q", str(tmp_path / "linked"))
    (tree.path / ".git" / "rebase-merge").mkdir()
    tree.beside(tmp_path / "linked").commit("a", "a")
    assert tree.started() == COMMIT
    tree.commit("a", "a")
    assert tree.started() == []


@pytest.mark.parametrize("value", ["0", "no", "false", "off"])
def test_the_environment_switches_it_off(tree: Tree, value: str) -> None:
    tree.stage("a", "a")
    tree.git("commit", "-qm", "a", PATCH_TRIAGE=value)
    assert tree.started() == []


@pytest.mark.parametrize("where", [["config"], ["config", "--worktree"], ["config", "--global"]])
def test_the_configuration_switches_it_off(tree: Tree, where: Sequence[str]) -> None:
    tree.git("config", "extensions.worktreeConfig", "true")
    tree.git(*where, "patchtriage.enabled", "off")
    tree.commit("a", "a")
    assert tree.started() == []
    tree.stage("b", "b")
    tree.git("-c", "patchtriage.enabled=true", "commit", "-qm", "b")
    assert tree.started() == COMMIT


@pytest.mark.parametrize("off", [{}, {"PATCH_TRIAGE": "0"}])
def test_the_hook_that_was_there_always_runs_and_first(tree: Tree, off: dict[str, str]) -> None:
    for stage in ("pre-commit", "post-commit"):
        tree.theirs(stage)
    tree.stage("a", "a")
    tree.git("commit", "-qm", "a", **off)
    theirs = [f"theirs {stage}.before-patch-triage <>" for stage in ("pre-commit", "post-commit")]
    assert tree.started() == [*theirs, *([] if off else COMMIT)]


def test_a_hook_that_was_there_and_cannot_be_run_is_left_alone(tree: Tree) -> None:
    tree.theirs("pre-commit", "exit 1\n")
    (tree.path / ".git" / "hooks" / "pre-commit.before-patch-triage").chmod(0o644)
    tree.commit("a", "a")
    assert tree.started() == COMMIT


def test_the_refusal_of_the_hook_that_was_there_stands(tree: Tree) -> None:
    tree.theirs("pre-commit", "#!/bin/sh\necho no tabs please >&2; exit 7\n")
    tree.stage("a", "a")
    assert "no tabs please" in tree.git_both("commit", "-qm", "a", ok=1)[1]
    assert tree.started() == []
    hook = tree.path / ".git" / "hooks" / "pre-commit"
    assert subprocess.run([hook], cwd=tree.path, env=tree.env, capture_output=True, check=False).returncode == 7


@pytest.mark.parametrize("stage", ["prepare-commit-msg", "commit-msg"])
def test_a_message_hook_that_was_there_sees_its_arguments_and_can_refuse(tree: Tree, stage: str) -> None:
    install(tree, trailers=True)
    tree.theirs(stage)
    tree.commit("a", "a")
    words = "<.git/COMMIT_EDITMSG> <message>" if stage == "prepare-commit-msg" else "<.git/COMMIT_EDITMSG>"
    assert f"theirs {stage}.before-patch-triage {words}" in tree.started()
    tree.theirs(stage, "#!/bin/sh\nexit 1\n")
    tree.stage("b", "b")
    tree.git("commit", "-qm", "b", ok=1)
    assert triage("commit-msg", ".git/COMMIT_EDITMSG") not in tree.started()


def test_a_post_hook_that_fails_does_not_keep_ours_from_running(tree: Tree) -> None:
    tree.theirs("post-commit", "#!/bin/sh\nexit 1\n")
    tree.commit("a", "a")
    assert tree.started() == COMMIT


def test_whatever_the_program_says_the_commit_goes_through(tree: Tree) -> None:
    tree.stage("a", "a")
    tree.git("commit", "-qm", "a", TRIAGE_EXIT="1")
    assert tree.git("log", "-1", "--format=%s") == "a\n"


def pushable(tree: Tree, tmp_path: pathlib.Path) -> str:
    tree.git("clone", "-q", "--bare", ".", str(tmp_path / "remote"))
    return str(tmp_path / "remote")


def test_a_push_tells_both_hooks_every_ref(tree: Tree, tmp_path: pathlib.Path) -> None:
    remote = pushable(tree, tmp_path)
    tree.theirs("pre-push")
    (one, two) = tree.commits("one", "two")
    root = tree.head("HEAD~2")
    tree.git("push", "-q", remote, "main", "main~1:refs/heads/new")
    none = "0" * 40
    told = [f"refs/heads/main {two} refs/heads/main {root}", f"main~1 {one} refs/heads/new {none}"]
    words = f"<{remote}> <{remote}>"
    assert tree.started() == [
        f"theirs pre-push.before-patch-triage {words}",
        *told,
        triage("pre-push", remote, remote),
        *told,
    ]


@pytest.mark.parametrize("theirs", [False, True])
def test_a_push_of_nothing_tells_nothing(tree: Tree, tmp_path: pathlib.Path, theirs: bool) -> None:
    remote = pushable(tree, tmp_path)
    if theirs:
        tree.theirs("pre-push", "#!/bin/sh\ncat >/dev/null\n")
    tree.git("push", "-q", remote, "main")
    assert tree.started() == [triage("pre-push", remote, remote)]


@pytest.mark.parametrize(("status", "pushed"), [("0", True), ("1", True), ("2", True), ("10", False), ("11", False)])
def test_only_the_policy_stops_a_push(tree: Tree, tmp_path: pathlib.Path, status: str, pushed: bool) -> None:
    remote = pushable(tree, tmp_path)
    (new,) = tree.commits("a")
    tree.git("push", "-q", remote, "main", ok=None, TRIAGE_EXIT=status)
    assert (tree.git("--git-dir", remote, "rev-parse", "main").strip() == new) == pushed


def test_a_push_that_the_hook_that_was_there_refuses_does_not_start_ours(tree: Tree, tmp_path: pathlib.Path) -> None:
    remote = pushable(tree, tmp_path)
    tree.theirs("pre-push", "#!/bin/sh\nexit 3\n")
    tree.commits("a")
    tree.git("push", "-q", remote, "main", ok=1)
    assert tree.started() == []


def test_a_hook_that_does_not_read_a_long_input_is_no_trouble(tree: Tree) -> None:
    tree.theirs("post-rewrite", "#!/bin/sh\nexit 0\n")
    pairs = f"{'1' * 40} {'2' * 40}\n" * 10_000
    hook = tree.path / ".git" / "hooks" / "post-rewrite"
    done = subprocess.run([hook, "rebase"], cwd=tree.path, env=tree.env, input=pairs.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert tree.started() == [triage("post-rewrite", "rebase"), *pairs.splitlines()]


@pytest.mark.parametrize("options", [["--merge"], ["--apply"]])
@pytest.mark.parametrize("theirs", [False, True])
def test_a_rebase_starts_the_program_once_with_all_pairs(tree: Tree, options: list[str], theirs: bool) -> None:
    if theirs:
        tree.theirs("post-rewrite")
    old = tree.commits(*"abcde")
    tree.git("checkout", "-q", "-b", "other", "main~5")
    tree.commits("x")
    tree.git("rebase", "-q", *options, "other", "main")
    new = tree.git("rev-list", "--reverse", "other..main").split()
    pairs = [f"{one} {other}" for one, other in zip(old, new, strict=True)]
    before = ["theirs post-rewrite.before-patch-triage <rebase>", *pairs] if theirs else []
    assert tree.started() == [*before, triage("post-rewrite", "rebase"), *pairs]


def test_rewording_in_a_rebase_starts_the_program_once(tree: Tree) -> None:
    install(tree, trailers=True)
    old = tree.commits("a", "b", "c")
    tree.git("rebase", "-q", "-i", "HEAD~3", GIT_SEQUENCE_EDITOR="sed -i s/^pick/reword/", GIT_EDITOR="sed -i 1s/^/new-/")
    new = tree.git("rev-list", "--reverse", "HEAD~3..HEAD").split()
    assert tree.git("log", "-1", "--format=%s") == "new-c\n"
    assert tree.started() == [triage("post-rewrite", "rebase"), *(f"{one} {other}" for one, other in zip(old, new, strict=True))]


def test_a_fixup_rebase_starts_the_program_once(tree: Tree) -> None:
    (a, b) = tree.commits("a", "b")
    tree.commit("file-a", "better\n", "fixup! a")
    fixup = tree.head()
    tree.started()
    tree.git("rebase", "-q", "-i", "--autosquash", "HEAD~3", GIT_SEQUENCE_EDITOR="true")
    pairs = [f"{a} {tree.head('HEAD~1')}", f"{fixup} {tree.head('HEAD~1')}", f"{b} {tree.head()}"]
    assert tree.started() == [triage("post-rewrite", "rebase"), *pairs]


def test_stopping_in_a_rebase_to_amend_and_to_commit_starts_the_program_once(tree: Tree) -> None:
    tree.commits("a", "b")
    tree.git("rebase", "-q", "-i", "HEAD~2", GIT_SEQUENCE_EDITOR="sed -i 1s/^pick/edit/")
    tree.amend("file-a", "better\n")
    tree.commit("more", "more\n")
    assert tree.started() == []
    tree.git("rebase", "--continue")
    assert [line for line in tree.started() if line.startswith("triage")] == [triage("post-rewrite", "rebase")]


def picked(tree: Tree, *names: str) -> str:
    """Commits on another branch; returns their range."""
    start = tree.head()
    tree.git("checkout", "-q", "-b", "other")
    tree.commits(*names)
    tree.git("checkout", "-q", "main")
    tree.commits("base")
    return f"{start}..other"


@pytest.mark.parametrize("trailers", [False, True])
def test_a_single_pick_and_a_single_revert_start_post_commit(tree: Tree, trailers: bool) -> None:
    picked(tree, "a")
    install(tree, trailers=trailers)
    tree.git("cherry-pick", "other")
    assert tree.started() == [triage("post-commit")]
    tree.git("revert", "--no-edit", "HEAD")
    assert "post-commit" in tree.started()[-1]


def told_start(tree: Tree) -> str:
    """Make the program write down the start that it is told, and forget it as the real one does; returns HEAD."""
    forget = 'cat .git/patch-triage-since >>"$LOG" && rm .git/patch-triage-since'
    tree.program.write_text(PROGRAM.replace("exit", f"[ ! -e .git/patch-triage-since ] || {{ {forget}; }}\nexit"))
    return tree.head()


def test_picking_three_commits_starts_the_program_at_the_last(tree: Tree) -> None:
    three = picked(tree, "a", "b", "c")
    start = told_start(tree)
    tree.git("cherry-pick", three)
    assert tree.started() == [triage("post-commit"), start]
    assert tree.git("rev-list", "--count", f"{start}..HEAD") == "3\n"


def test_reverting_three_commits_starts_the_program_at_the_last(tree: Tree) -> None:
    tree.commits("a", "b", "c")
    start = told_start(tree)
    tree.git("revert", "--no-edit", "HEAD~3..HEAD")
    assert tree.started() == [triage("post-commit"), start]


@pytest.mark.parametrize("stop", ["a", "b", "c"])
@pytest.mark.parametrize("by_commit", [False, True])
def test_a_sequence_that_stopped_at_a_conflict_starts_the_program_at_its_end(tree: Tree, stop: str, by_commit: bool) -> None:
    three = picked(tree, "a", "b", "c")
    tree.commit(f"file-{stop}", "in the way\n")
    tree.started()
    start = told_start(tree)
    tree.git("cherry-pick", three, ok=1)
    tree.stage(f"file-{stop}", "both\n")
    if by_commit:
        tree.git("commit", "-qm", "resolved")
    if (tree.path / ".git" / "sequencer").exists():
        tree.git("cherry-pick", "--continue")
    assert tree.started() == [triage("post-commit"), start]


def test_a_sequence_that_was_given_up_is_told_at_the_next_commit(tree: Tree) -> None:
    three = picked(tree, "a", "b", "c")
    tree.commit("file-c", "in the way\n")
    tree.started()
    start = told_start(tree)
    tree.git("cherry-pick", three, ok=1)
    tree.git("cherry-pick", "--skip")
    assert tree.started() == []
    tree.stage("d", "d")
    tree.git("commit", "-qnm", "d")
    assert tree.started() == [triage("post-commit"), start]


def test_a_merge_starts_nothing_but_its_own_commit_does(tree: Tree) -> None:
    install(tree, trailers=True)
    tree.commits("x")
    picked(tree, "a")
    tree.git("merge", "-q", "--no-edit", "other")
    assert tree.started() == []
    tree.git("checkout", "-q", "other")
    tree.commits("b")
    tree.git("checkout", "-q", "main")
    tree.git("merge", "-q", "--no-commit", "other")
    tree.git("commit", "-qm", "merge")
    assert tree.started() == [triage("post-commit")]


def mailed(tree: Tree, tmp_path: pathlib.Path, *names: str) -> tuple[list[str], str]:
    """Patches of commits that are no longer there, and where they are to be applied."""
    start = tree.head()
    tree.commits(*names)
    patches = tree.git("format-patch", "-o", str(tmp_path / "mail"), start).split("\n")[:-1]
    tree.git("reset", "-q", "--hard", start)
    return patches, told_start(tree)


@pytest.mark.parametrize("names", ["a", "abc"])
def test_applying_mail_starts_the_program_once_at_its_end(tree: Tree, tmp_path: pathlib.Path, names: str) -> None:
    patches, start = mailed(tree, tmp_path, *names)
    tree.git("am", "-q", *patches)
    assert tree.git("rev-list", "--count", f"{start}..HEAD").strip() == str(len(names))
    assert tree.started() == [triage("post-applypatch"), start]


@pytest.mark.parametrize("by_commit", [False, True])
def test_applying_mail_with_a_stop_starts_the_program_once_at_its_end(tree: Tree, tmp_path: pathlib.Path, by_commit: bool) -> None:
    patches, _ = mailed(tree, tmp_path, "a", "b", "c")
    start = tree.commit("file-b", "in the way\n")
    tree.started()
    tree.git("am", "-q", *patches, ok=128)
    assert tree.started() == []
    tree.stage("file-b", "b\n")
    if by_commit:
        tree.git("commit", "-qm", "resolved")
        tree.git("am", "--skip")
    else:
        tree.git("am", "--continue")
    assert tree.started() == [triage("post-applypatch"), start]


def test_mail_whose_last_patch_is_skipped_is_told_at_the_next_commit(tree: Tree, tmp_path: pathlib.Path) -> None:
    patches, _ = mailed(tree, tmp_path, "a", "b", "c")
    start = tree.commit("file-c", "in the way\n")
    tree.started()
    tree.git("am", "-q", *patches, ok=128)
    tree.git("am", "--skip")
    assert tree.started() == []
    tree.stage("d", "d")
    tree.git("commit", "-qnm", "d")
    assert tree.started() == [triage("post-commit"), start]


def test_the_message_hooks_learn_of_an_amend(tree: Tree) -> None:
    install(tree, trailers=True)
    marker = tree.path / ".git" / "patch-triage-amend"
    tree.program.write_text(PROGRAM.replace("exit", '[ $2 = commit-msg ] && [ -e .git/patch-triage-amend ] && echo amended >>"$LOG"\nexit'))
    message = triage("commit-msg", ".git/COMMIT_EDITMSG")
    tree.commit("a", "a")
    assert tree.started() == [message, *COMMIT]
    tree.amend("a", "b")
    assert tree.started()[:2] == [message, "amended"]
    assert marker.exists()  # the real program takes it away
    tree.commit("a", "c")
    assert tree.started() == [message, *COMMIT]


def test_a_program_that_is_gone_costs_one_line_and_no_commit(tree: Tree) -> None:
    tree.program.unlink()
    tree.stage("a", "a")
    said = tree.git_both("commit", "-qm", "a")[1]
    assert said == (
        f"patch-triage: no verdict: {tree.program} is gone; install the package again, or take this hook out: rm '.git/hooks/post-commit'\n"
    )
    assert len(tree.git_both("commit", "-q", "--amend", "-m", "b")[1].splitlines()) == 1
    tree.theirs("post-commit", "#!/bin/sh\n")
    assert tree.git_both("commit", "-q", "--amend", "-m", "b")[1].endswith(
        "mv '.git/hooks/post-commit.before-patch-triage' '.git/hooks/post-commit'\n"
    )


def test_a_program_whose_python_is_gone_costs_no_commit_and_no_push(tree: Tree, tmp_path: pathlib.Path) -> None:
    remote = pushable(tree, tmp_path)
    tree.program.write_text("#!/no/such/python\n")
    tree.stage("a", "a")
    assert "install the package again" in tree.git_both("commit", "-qm", "a")[1]
    assert "install the package again" in tree.git_both("push", "-q", remote, "main")[1]


def test_the_program_is_told_that_git_has_no_settings_of_ours(tree: Tree) -> None:
    tree.program.write_text('#!/bin/sh\necho "$3" >>"$LOG"\n')
    tree.commit("a", "a")
    tree.git("config", "--global", "patchTriage.record.lockSeconds", "3")
    tree.commit("a", "b")
    tree.git("-c", "patchtriage.enabled", "commit", "-q", "--allow-empty", "-mc", GIT_CONFIG="/dev/null")
    assert tree.started() == ["--no-settings", "--", "--"]


def test_an_interrupt_ends_the_program_and_not_the_commit(tree: Tree) -> None:
    tree.program.write_text('#!/bin/sh\necho "$2" >>"$LOG"\nkill -INT $PPID $$\n')
    tree.commit("a", "a")
    assert tree.started() == ["post-commit"]


@pytest.mark.parametrize("shell", ["dash", "bash --posix", "busybox sh", "mksh", "yash"])
def test_the_hook_runs_in_any_shell(tree: Tree, shell: str) -> None:
    if not shutil.which(shell.split()[0]):
        pytest.skip(f"no {shell} here")
    hook = tree.path / ".git" / "hooks" / "post-rewrite"
    tree.theirs("post-rewrite")
    done = subprocess.run(
        [*shell.split(), hook, "rebase"], cwd=tree.path, env=tree.env, input=b"a b\nc d\n", capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    told = ["a b", "c d"]
    assert tree.started() == ["theirs post-rewrite.before-patch-triage <rebase>", *told, triage("post-rewrite", "rebase"), *told]


@pytest.mark.parametrize("resting", ["post-commit", "prepare-commit-msg"])
def test_what_git_calls_at_every_pick_rests_during_a_rebase_and_is_back_at_its_end(
    tree: Tree, tmp_path: pathlib.Path, resting: str
) -> None:
    tree.commits("a", "b", "c")
    install(tree, trailers=True)
    hook = tree.path / ".git/hooks" / resting
    content = hook.read_bytes()
    tree.git("-c", "sequence.editor=true", "rebase", "-q", "-i", "--force-rebase", "-x", f"ls .git/hooks >'{tmp_path / 'seen'}'", "HEAD~2")
    assert resting not in (tmp_path / "seen").read_text().split()
    assert hook.read_bytes() == content
    tree.started()
    tree.commit("file-d", "d\n")
    assert "triage <hook> <post-commit> <-->" in tree.started()


@pytest.mark.parametrize("resting", ["post-commit", "prepare-commit-msg"])
def test_after_an_aborted_rebase_the_next_commit_has_all_hooks(tree: Tree, resting: str) -> None:
    tree.commits("a", "b")
    install(tree, trailers=True)
    hook = tree.path / ".git/hooks" / resting
    tree.git("rebase", "-q", "--force-rebase", "-x", "false", "HEAD~1", ok=1)
    assert not hook.exists()
    tree.git("rebase", "--abort")
    tree.started()
    tree.commit("file-c", "c\n")
    assert hook.exists() and "triage <hook> <post-commit> <-->" in tree.started()


def test_a_post_commit_hook_that_was_there_runs_at_every_pick(tree: Tree) -> None:
    tree.commits("a", "b", "c")
    tree.theirs("post-commit")
    tree.git("rebase", "-q", "--force-rebase", "HEAD~3")
    assert sum(line.startswith("theirs post-commit") for line in tree.started()) == 3


def test_installing_and_uninstalling_during_a_rebase_knows_the_resting_hook(tree: Tree) -> None:
    tree.commits("a", "b")
    tree.git("rebase", "-q", "--force-rebase", "-x", "false", "HEAD~1", ok=1)
    install(tree)
    assert (tree.path / ".git/hooks/post-commit").exists()
    tree.git("rebase", "--abort")
    tree.git("rebase", "-q", "--force-rebase", "-x", "false", "HEAD~1", ok=1)
    installation.uninstall(find(tree.path))
    assert not [path.name for path in (tree.path / ".git/hooks").iterdir()]
