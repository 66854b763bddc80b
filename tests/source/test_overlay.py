from __future__ import annotations

import os
import pathlib
import subprocess
import tempfile
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hook.failure import CannotJudge
from hook.source import git, overlay
from tests.small_kernel import Kernel, environment


@pytest.fixture(autouse=True)
def own_home(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, kernel.env[name])


@pytest.fixture
def scratch(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / 'scra"tch: dir'
    made.mkdir()
    return made


def raw(kernel: Kernel, *args: str) -> str:
    return kernel.git("diff-tree", "-r", "--raw", "--full-index", *args)


def raw_of(made: overlay.Overlay) -> str:
    return os.fsdecode(made.repo.run("diff-tree", "-r", "--raw", "--full-index", made.old_tree, made.new_tree))


def last_change(kernel: Kernel, *options: str) -> bytes:
    return os.fsencode(kernel.git("diff", "--binary", *options, "HEAD~1", "HEAD"))


def everything(kernel: Kernel) -> dict[str, tuple[object, ...]]:
    """All that a trace could be left in."""
    seen: dict[str, tuple[object, ...]] = {}
    for directory, names, files in os.walk(kernel.path):
        for name in names + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            content = pathlib.Path(path).read_bytes() if name in files and not os.path.islink(path) else None
            # an object that git would have written anew, but found, gets the time of now: gc will keep it a little longer
            found = os.path.join(".git", "objects") in path
            seen[path] = (status.st_mode, 0 if found else status.st_mtime_ns, content)
    return seen


def test_nothing_in_the_repository_changes(kernel: Kernel, scratch: pathlib.Path) -> None:
    kernel.commit("mm/new.c", "int new;\n")
    kernel.write("mm/new.c", "int unstaged;\n")
    kernel.stage("mm/staged.c", "int staged;\n")
    kernel.git("config", "core.splitIndex", "true")
    kernel.git("update-index", "--split-index")
    diff = last_change(kernel)
    before = everything(kernel)
    overlay.apply(git.find(kernel.path), scratch, "HEAD~1", diff)
    assert everything(kernel) == before


def test_the_result_is_the_tree_that_git_itself_would_have_made(kernel: Kernel, scratch: pathlib.Path) -> None:
    kernel.commit("drivers/new/deep/a.c", "int a;\n")
    kernel.git("mv", "mm", "memory")
    kernel.git("commit", "-qm", "mm: move")
    for revision in ("HEAD~1", "HEAD"):
        diff = os.fsencode(kernel.git("diff", "--binary", "-M", f"{revision}~1", revision))
        made = overlay.apply(git.find(kernel.path), scratch, f"{revision}~1", diff)
        assert made.old_tree == kernel.head(f"{revision}~1^{{tree}}")
        assert made.new_tree == kernel.head(f"{revision}^{{tree}}")
        made.repo.run("ls-tree", "-r", made.new_tree)


def binary(kernel: Kernel) -> None:
    kernel.stage("firmware.bin", bytes(range(256)) * 9)


def carriage_returns(kernel: Kernel) -> None:
    kernel.stage("dos.txt", b"one\r\n2\r\nthree\r\n")


def mode_only(kernel: Kernel) -> None:
    kernel.git("update-index", "--chmod=+x", "dos.txt")


def symlink(kernel: Kernel) -> None:
    (kernel.path / "link").symlink_to("mm/nowhere")
    kernel.git("add", "link")


def type_change(kernel: Kernel) -> None:
    (kernel.path / "dos.txt").unlink()
    (kernel.path / "dos.txt").symlink_to("link")
    kernel.git("add", "dos.txt")


def submodule(kernel: Kernel) -> None:
    kernel.git("update-index", "--add", "--cacheinfo", f"160000,{kernel.head()},vendor/sub")


def submodule_moves_on(kernel: Kernel) -> None:
    kernel.git("update-index", "--cacheinfo", f"160000,{kernel.head()},vendor/sub")


def odd_names(kernel: Kernel) -> None:
    names = ("a b/c d.c", 'quo"te.c', "tab\there.c", "new\nline.c", "back\\slash.c", "uml\u00e4ut.c", "b b/b b", ":(top)x", "*.c")
    for name in names:
        kernel.write(name, f"{name!r}\n")
    kernel.git("add", "-f", "--", *names, GIT_LITERAL_PATHSPECS="1")
    kernel.stage(os.fsdecode(b"latin\xe4.c"), b"\xe4\xff\0")


def odd_names_change(kernel: Kernel) -> None:
    kernel.stage("a b/c d.c", "other\nx\n")
    kernel.git("mv", 'quo"te.c', "tab there.c")
    kernel.git("rm", "-q", "new\nline.c")
    kernel.stage(os.fsdecode(b"latin\xe4.c"), b"\xe4\xff\0more\n")


def file_becomes_directory(kernel: Kernel) -> None:
    kernel.git("rm", "-q", "dos.txt")
    kernel.stage("dos.txt/inside.c", "int x;\n")


def directory_becomes_file(kernel: Kernel) -> None:
    kernel.git("rm", "-rq", "a b")
    kernel.stage("a b", "a file now\n")


def empty_file(kernel: Kernel) -> None:
    kernel.stage("empty", b"")


def no_newline(kernel: Kernel) -> None:
    kernel.stage("empty", b"no newline")


def deleted(kernel: Kernel) -> None:
    kernel.git("rm", "-q", "link")


def copy(kernel: Kernel) -> None:
    kernel.stage("mm/copy.c", (kernel.path / "Makefile").read_bytes() + b"# more\n")


STORY: list[Callable[[Kernel], None]] = [
    binary,
    carriage_returns,
    mode_only,
    symlink,
    type_change,
    submodule,
    submodule_moves_on,
    odd_names,
    odd_names_change,
    file_becomes_directory,
    directory_becomes_file,
    empty_file,
    no_newline,
    copy,
    deleted,
]


def test_every_kind_of_change_that_git_can_print(kernel: Kernel, scratch: pathlib.Path) -> None:
    repo = git.find(kernel.path)
    for chapter in STORY:
        chapter(kernel)
        kernel.git("commit", "-qm", chapter.__name__)
        for options in (("--no-renames",), ("-M", "-C", "--find-copies-harder"), ("--full-index", "-U0")):
            if "-U0" in options and chapter is not binary:
                continue
            made = overlay.apply(repo, scratch, "HEAD~1", last_change(kernel, *options))
            assert made.new_tree == kernel.head("HEAD^{tree}"), (chapter.__name__, options)
            assert raw_of(made) == raw(kernel, "HEAD~1", "HEAD")


def test_a_series_stands_each_patch_on_the_earlier_ones(kernel: Kernel, scratch: pathlib.Path) -> None:
    start = kernel.head()
    for number in range(4):
        kernel.commit("mm/new.c", "".join(f"int nr{line};\n" for line in range(number + 1)))
        kernel.commit(f"mm/dir{number}/x.c", f"int x{number};\n")
    repo = git.find(kernel.path)
    made: overlay.Overlay | None = None
    for commit in kernel.git("rev-list", "--reverse", f"{start}..").split():
        made = overlay.apply(repo, scratch, start, os.fsencode(kernel.git("diff", f"{commit}~1", commit)), made)
        assert made.new_tree == kernel.head(f"{commit}^{{tree}}")
        assert made.base == start
    with pytest.raises(overlay.DoesNotApply, match="with the earlier patches"):
        overlay.apply(repo, scratch, start, os.fsencode(kernel.git("diff", start, "HEAD")), made)


def test_it_works_wherever_git_keeps_the_repository(kernel: Kernel, scratch: pathlib.Path, tmp_path: pathlib.Path) -> None:
    kernel.commit("mm/new.c", "int new;\n")
    diff, wanted = last_change(kernel), kernel.head("HEAD^{tree}")
    kernel.git("worktree", "add", "-q", str(tmp_path / "linked"))
    kernel.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    kernel.git("clone", "-q", "--shared", ".", str(tmp_path / "shared"))
    kernel.git("clone", "-q", "--separate-git-dir", str(tmp_path / "apart"), ".", str(tmp_path / "separate"))
    outer = Kernel.create(tmp_path / "outer", tmp_path / "outer-home")
    outer.git("submodule", "--quiet", "add", str(kernel.path), "sub")
    for place in ("linux/mm", "linked/mm", "bare", "shared", "separate", "outer/sub/mm"):
        made = overlay.apply(git.find(tmp_path / place), scratch, "HEAD~1", diff)
        assert made.new_tree == wanted, place
    # a core.worktree that holds the git directory makes git think it stands in a sub-directory
    kernel.git("config", "core.worktree", str(kernel.path))
    assert overlay.apply(git.find(kernel.path), scratch, "HEAD~1", diff).new_tree == wanted


def test_sha256_and_the_empty_tree(tmp_path: pathlib.Path, scratch: pathlib.Path) -> None:
    kernel = Kernel.create(tmp_path / "k256", tmp_path / "home256", "--object-format=sha256")
    repo = git.find(kernel.path)
    diff = os.fsencode(kernel.git("diff", "--binary", repo.empty_tree, "HEAD"))
    assert overlay.apply(repo, scratch, repo.empty_tree, diff).new_tree == kernel.head("HEAD^{tree}")


def test_a_patch_of_many_directories(kernel: Kernel, scratch: pathlib.Path) -> None:
    for number in range(300):
        kernel.write(f"many/{number}/file.c", f"int nr{number};\n")
    kernel.git("add", "-A")
    kernel.git("commit", "-qm", "many")
    kernel.git("rm", "-rq", "many")
    kernel.git("commit", "-qm", "none")
    made = overlay.apply(git.find(kernel.path), scratch, "HEAD~1", last_change(kernel))
    assert made.new_tree == kernel.head("HEAD^{tree}") == kernel.head("HEAD~2^{tree}")


def test_a_patch_of_two_hundred_thousand_lines_is_applied(kernel: Kernel, scratch: pathlib.Path) -> None:
    kernel.commit("mm/long.c", "".join(f"-- line {number}\n" for number in range(100_000)))
    kernel.commit("mm/long.c", "".join(f"++ line {number}\n" for number in range(100_000)))
    made = overlay.apply(git.find(kernel.path), scratch, "HEAD~1", last_change(kernel))
    assert made.new_tree == kernel.head("HEAD^{tree}")


def test_a_binary_patch_that_unpacks_to_more_than_it_may_is_refused(kernel: Kernel, scratch: pathlib.Path) -> None:
    ids = f"index {'0' * 40}..{'1' * 40}"
    diff = (
        f"diff --git a/x b/x\nnew file mode 100644\n{ids}\nGIT binary patch\nliteral 900000000\nHcmV?d00001\n\nliteral 0\nHcmV?d00001\n\n"
    )
    with pytest.raises(overlay.DoesNotApply, match="Out of memory"):
        overlay.apply(git.find(kernel.path), scratch, "HEAD", diff.encode())


def test_a_plain_diff_without_git_headers(kernel: Kernel, scratch: pathlib.Path) -> None:
    first, second = kernel.read("Makefile").splitlines()[:2]
    head = "--- linux.orig/Makefile\t2026-01-01 10:00:00\n+++ linux/Makefile\t2026-01-02\n"
    diff = f"{head}@@ -1,2 +1,2 @@\n-{first}\n+# new\n {second}\n"
    made = overlay.apply(git.find(kernel.path), scratch, "HEAD", diff.encode())
    assert made.repo.run("show", f"{made.new_tree}:Makefile").startswith(b"# new\n")


def test_a_patch_that_is_there_already_is_told_from_one_that_does_not_fit(kernel: Kernel, scratch: pathlib.Path) -> None:
    first, second = kernel.read("Makefile").splitlines()[:2]
    there = f"--- a/Makefile\n+++ b/Makefile\n@@ -1,2 +1,2 @@\n-older\n+{first}\n {second}\n"
    with pytest.raises(overlay.DoesNotApply, match=r"^the patch is in HEAD already; --base REV names another base$"):
        overlay.apply(git.find(kernel.path), scratch, "HEAD", there.encode())
    # a series that changes the same line twice
    diffs = [there.encode(), there.replace(first, "newest").replace("older", first).encode()]
    assert not overlay.is_applied(git.find(kernel.path), scratch, "HEAD", diffs)
    kernel.write("Makefile", kernel.read("Makefile").replace(first, "newest", 1))
    kernel.git("commit", "-qam", "both")
    assert overlay.is_applied(git.find(kernel.path), scratch, "HEAD", diffs)
    with pytest.raises(overlay.DoesNotApply, match="does not apply"):
        overlay.apply(git.find(kernel.path), scratch, "HEAD", there.encode())
    half = f"{there}--- a/gone.c\n+++ b/gone.c\n@@ -1 +1 @@\n-nowhere\n+x\n"
    with pytest.raises(overlay.DoesNotApply, match="the patch does not apply to HEAD"):
        overlay.apply(git.find(kernel.path), scratch, "HEAD", half.encode())


@pytest.mark.parametrize(
    ("diff", "error", "sentence"),
    [
        (b"", overlay.NoPatch, "the patch is empty"),
        (b"hello\n", overlay.NoPatch, "there is no diff in the patch"),
        (
            b"--- a/Makefile\n+++ b/Makefile\n@@ -1 +1 @@\n-nowhere\n+x\n",
            overlay.DoesNotApply,
            "the patch does not apply to HEAD: Makefile, line 1, looks different there; --base REV names another base",
        ),
        (
            b"--- a/gone.c\n+++ b/gone.c\n@@ -1 +1 @@\n-nowhere\n+x\n",
            overlay.DoesNotApply,
            "the patch does not apply to HEAD: gone.c: there is no such file; --base REV names another base",
        ),
        (b"--- a/Makefile\n+++ b/Makefile\n@@ -1,9 +1 @@\n-nowhere\n", overlay.DoesNotApply, "the patch is damaged: corrupt patch at line"),
        (b"--- /dev/null\n+++ b/../out.c\n@@ -0,0 +1 @@\n+x\n", overlay.DoesNotApply, "invalid path '../out.c'"),
        (
            b"diff --git a/.git/config b/.git/config\nnew file mode 100644\n--- /dev/null\n+++ b/.git/config\n@@ -0,0 +1 @@\n+x\n",
            overlay.DoesNotApply,
            "invalid path '.git/config'",
        ),
        (b"--- /dev/null\n+++ b/mm\n@@ -0,0 +1 @@\n+x\n", overlay.DoesNotApply, "mm"),
        (b"--- /dev/null\n+++ b/Makefile/x\n@@ -0,0 +1 @@\n+x\n", overlay.DoesNotApply, "Makefile"),
        (b"--- a/\0\n+++ b/\0\n@@ -1 +1 @@\n-\0\n+x\n", CannotJudge, ""),
    ],
)
def test_what_does_not_apply_is_refused_with_a_sentence(
    kernel: Kernel,
    scratch: pathlib.Path,
    diff: bytes,
    error: type[Exception],
    sentence: str,
) -> None:
    with pytest.raises(error) as caught:
        overlay.apply(git.find(kernel.path), scratch, "HEAD", diff)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_persons_apply_settings_do_not_change_what_is_judged(kernel: Kernel, scratch: pathlib.Path) -> None:
    kernel.commit("mm/a.c", "one\n")
    kernel.commit("mm/a.c", "one  \n")
    kernel.git("config", "apply.whitespace", "fix")
    kernel.git("config", "apply.ignoreWhitespace", "change")
    assert overlay.apply(git.find(kernel.path), scratch, "HEAD~1", last_change(kernel)).new_tree == kernel.head("HEAD^{tree}")


NAMES = some.lists(
    some.sampled_from(["a", "b", "a b", "c.c", "\u00e4", '"', "x\ty"]),
    min_size=1,
    max_size=3,
).map("/".join)
FILES = some.dictionaries(
    NAMES,
    some.binary(max_size=40) | some.lists(some.sampled_from(["x\n", "y\n", "\r\n", "z"])).map(lambda lines: "".join(lines).encode()),
    max_size=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=FILES, new=FILES)
def test_any_two_trees(old: dict[str, bytes], new: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as place:
        top = pathlib.Path(place)
        env = environment(top)

        def run(*args: str, data: bytes = b"") -> bytes:
            return subprocess.run(["git", *args], cwd=top, env=env, input=data, capture_output=True, check=True).stdout

        run("init", "-q")
        trees = []
        for files in (old, new):
            run("read-tree", "--empty")
            for path, content in sorted(files.items()):
                if any(other.startswith(path + "/") for other in files):
                    continue
                blob = run("hash-object", "-w", "--stdin", data=content).decode().strip()
                run("update-index", "-z", "--index-info", data=f"100644 {blob}\t{path}".encode() + b"\0")
            trees.append(run("write-tree").decode().strip())
        if trees[0] == trees[1]:
            return
        (top / "scratch").mkdir()
        diff = run("diff", "--binary", *trees)
        repo = git.find(top)
        assert overlay.apply(repo, top / "scratch", trees[0], diff) == overlay.Overlay(
            msgspec.structs.replace(repo, object_dir=top / "scratch" / "objects"),
            trees[0],
            trees[1],
            trees[0],
        )
