"""What `install` and `uninstall` do to a repository's hooks directory."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from hook import installation
from hook.installation import STAGES, TRAILER_STAGES, CannotInstall
from hook.source.git import find
from tests.small_kernel import Kernel, environment

Listing = dict[str, tuple[object, ...]]
FRAMEWORK = pathlib.Path(sys.executable).parent / "pre-commit"


@pytest.fixture
def program(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "bin" / "patch-triage"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def tree(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A tree of one commit, in a place whose name is awkward, and a person without settings."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text('[user]\n\tname = Jo\n\temail = jo@example.org\n[protocol "file"]\n\tallow = always\n')
    for name in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"):
        monkeypatch.setenv(name, environment(home)[name])
    path = tmp_path / 'jo\'s "own" tree'
    path.mkdir()
    tree = Kernel(path, environment(home))
    tree.git("init", "-q", "--template=")
    tree.commit("Makefile", "all:\n")
    return tree


def install(tree: Kernel, program: pathlib.Path, *, trailers: bool = False, here: bool = False) -> list[str]:
    return installation.install(find(tree.path), program, trailers=trailers, here=here)


def uninstall(tree: Kernel) -> list[str]:
    return installation.uninstall(find(tree.path))


def hooks(tree: Kernel) -> pathlib.Path:
    directory = tree.path / ".git" / "hooks"
    directory.mkdir(exist_ok=True)
    return directory


def put(path: pathlib.Path, content: str = "#!/bin/sh\nexit 0\n", mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)


def listing(directory: pathlib.Path, times: bool = True) -> Listing:
    """Everything there is to know about the files of a directory."""
    found: Listing = {}
    for path in sorted(directory.iterdir()):
        state = path.lstat()
        content: object = path.readlink() if path.is_symlink() else path.read_bytes()
        found[path.name] = (state.st_mode, content, *((state.st_mtime_ns, state.st_ino) if times else ()))
    return found


def some_hooks(tree: Kernel) -> pathlib.Path:
    """A hook of unusual mode, one that git ignores, a link, a link to nowhere, bytes that are no text, and one that is no stage of ours."""
    directory = hooks(tree)
    put(directory / "pre-commit", "#!/bin/sh\nexit 0\n", 0o750)
    put(directory / "post-commit", "not meant to run\n", 0o644)
    put(tree.path / "scripts" / "push", "#!/bin/sh\nexit 0\n")
    (directory / "pre-push").symlink_to("../../scripts/push")
    (directory / "post-rewrite").symlink_to("/nowhere")
    (directory / "commit-msg").write_bytes(b"#!/bin/sh\n: \xff\x00\r\n")
    put(directory / "post-merge")
    return directory


def test_the_stages_are_installed_and_the_message_hooks_only_with_trailers(tree: Kernel, program: pathlib.Path) -> None:
    install(tree, program)
    assert set(listing(hooks(tree))) == set(STAGES)
    install(tree, program, trailers=True)
    assert set(listing(hooks(tree))) == {*STAGES, *TRAILER_STAGES}
    install(tree, program)
    assert set(listing(hooks(tree))) == set(STAGES)


def test_uninstall_restores_exactly_what_was_there(tree: Kernel, program: pathlib.Path) -> None:
    directory = some_hooks(tree)
    before = listing(directory)
    install(tree, program, trailers=True)
    for name, was in before.items():
        kept = name if name == "post-merge" else f"{name}.before-patch-triage"
        assert listing(directory)[kept] == was
    uninstall(tree)
    assert listing(directory) == before
    assert uninstall(tree) == [f"there are no patch-triage hooks in {directory}"]


def test_installing_twice_changes_nothing(tree: Kernel, program: pathlib.Path) -> None:
    directory = some_hooks(tree)
    install(tree, program, trailers=True)
    before, changed = listing(directory), directory.stat().st_mtime_ns
    said = install(tree, program, trailers=True)
    assert (listing(directory), directory.stat().st_mtime_ns) == (before, changed)
    assert len(said) == 1


def test_a_program_that_moved_changes_only_our_stubs(tree: Kernel, program: pathlib.Path) -> None:
    directory = some_hooks(tree)
    install(tree, program)
    before = listing(directory)
    moved = program.rename(program.with_name("it's moved"))
    install(tree, moved)
    after = listing(directory)
    assert {name for name in after if after[name] != before[name]} == set(STAGES)
    assert "it'\"'\"'s moved" in (directory / "pre-push").read_text()


def test_switching_trailers_off_puts_a_kept_message_hook_back(tree: Kernel, program: pathlib.Path) -> None:
    put(hooks(tree) / "commit-msg", "#!/bin/sh\n# theirs\n")
    before = listing(hooks(tree))
    install(tree, program, trailers=True)
    said = install(tree, program)
    assert listing(hooks(tree))["commit-msg"] == before["commit-msg"]
    assert "commit-msg: the previous hook is restored" in said


@pytest.mark.parametrize("scope", ["--global", "--system"])
def test_a_shared_hooks_directory_is_written_into_only_when_told(
    tree: Kernel, program: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    shared = tmp_path / "shared"
    put(shared / "pre-commit")
    if scope == "--system":
        monkeypatch.delenv("GIT_CONFIG_NOSYSTEM")
        monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(tmp_path / "system"))
        tree.env = {key: value for key, value in tree.env.items() if key != "GIT_CONFIG_NOSYSTEM"}
    tree.git("config", scope, "core.hooksPath", str(shared), GIT_CONFIG_SYSTEM=str(tmp_path / "system"))
    before = listing(shared)
    with pytest.raises(CannotInstall, match="install --here"):
        install(tree, program)
    assert listing(shared) == before
    assert not (tree.path / ".git" / "hooks").exists()
    install(tree, program, here=True)
    assert set(STAGES) < set(listing(shared))
    uninstall(tree)
    assert listing(shared) == before


def test_a_repository_may_have_its_own_hooks_beside_shared_ones(tree: Kernel, program: pathlib.Path, tmp_path: pathlib.Path) -> None:
    tree.git("config", "--global", "core.hooksPath", str(tmp_path / "shared"))
    tree.git("config", "core.hooksPath", str(tree.path / ".git" / "hooks"))
    install(tree, program)
    assert set(listing(hooks(tree))) == set(STAGES)
    assert not (tmp_path / "shared").exists()


def test_a_hooks_directory_in_the_tree_is_written_into_if_nothing_in_it_is_tracked(tree: Kernel, program: pathlib.Path) -> None:
    tree.git("config", "core.hooksPath", ".my[hooks]")
    install(tree, program)
    assert set(listing(tree.path / ".my[hooks]")) == set(STAGES)


@pytest.mark.parametrize("linked", [False, True])
def test_a_tracked_hooks_directory_is_written_into_only_when_told(tree: Kernel, program: pathlib.Path, linked: bool) -> None:
    tree.commit("tools/hooks/pre-commit", "#!/bin/sh\n")
    if linked:
        (tree.path / ".git" / "hooks").symlink_to("../tools/hooks")
    else:
        tree.git("config", "core.hooksPath", "tools/hooks")
    with pytest.raises(CannotInstall, match="is tracked in this tree"):
        install(tree, program)
    assert tree.git("status", "--porcelain") == ""
    install(tree, program, here=True)
    assert set(STAGES) < set(listing(tree.path / "tools" / "hooks"))
    uninstall(tree)
    assert tree.git("status", "--porcelain") == ""


def test_hooks_that_are_switched_off_are_not_installed(tree: Kernel, program: pathlib.Path) -> None:
    tree.git("config", "core.hooksPath", "/dev/null")
    with pytest.raises(CannotInstall, match=r"/dev/null, which is no directory; .*--unset"):
        install(tree, program)


def test_uninstall_finds_hooks_that_a_later_hooks_path_hides(tree: Kernel, program: pathlib.Path, tmp_path: pathlib.Path) -> None:
    install(tree, program)
    tree.git("config", "--global", "core.hooksPath", str(tmp_path / "shared"))
    uninstall(tree)
    assert listing(hooks(tree)) == {}


def test_a_linked_worktree_shares_the_hooks(tree: Kernel, program: pathlib.Path, tmp_path: pathlib.Path) -> None:
    tree.git("worktree", "add", "-q", str(tmp_path / "linked"))
    install(tree.beside(tmp_path / "linked"), program)
    assert set(listing(hooks(tree))) == set(STAGES)
    uninstall(tree)
    assert listing(hooks(tree)) == {}


def test_a_linked_worktree_has_its_own_relative_hooks_path(tree: Kernel, program: pathlib.Path, tmp_path: pathlib.Path) -> None:
    linked = tree.beside(tmp_path / "linked")
    tree.git("worktree", "add", "-q", str(linked.path))
    tree.git("config", "core.hooksPath", ".githooks")
    install(linked, program)
    assert set(listing(linked.path / ".githooks")) == set(STAGES)
    assert not (tree.path / ".githooks").exists()


def test_a_bare_repository_with_worktrees_has_them_in_the_bare_one(tree: Kernel, program: pathlib.Path, tmp_path: pathlib.Path) -> None:
    bare = tmp_path / "linux.git"
    tree.git("clone", "-q", "--bare", "--template=", ".", str(bare))
    tree.git("--git-dir", str(bare), "worktree", "add", "-q", str(tmp_path / "linux"), "-b", "work")
    install(tree.beside(tmp_path / "linux"), program)
    assert set(listing(bare / "hooks")) == set(STAGES)


def test_a_submodule_has_hooks_of_its_own(tree: Kernel, program: pathlib.Path, tmp_path: pathlib.Path) -> None:
    tree.git("clone", "-q", ".", str(tmp_path / "inner"))
    tree.git("submodule", "--quiet", "add", str(tmp_path / "inner"), "inner")
    inner = tree.beside(tree.path / "inner")
    install(inner, program)
    assert set(STAGES) <= set(listing(tree.path / ".git" / "modules" / "inner" / "hooks"))
    assert listing(hooks(tree)) == {}
    uninstall(inner)
    inner.commit("hooks/pre-commit", "#!/bin/sh\n")
    inner.git("config", "core.hooksPath", "hooks")
    with pytest.raises(CannotInstall, match="is tracked in this tree"):
        install(inner, program)


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("again", ["install", "uninstall"])
def test_an_installation_cut_short_loses_no_hook(tree: Kernel, program: pathlib.Path, renamed: bool, again: str) -> None:
    directory = hooks(tree)
    put(directory / "pre-commit", "#!/bin/sh\n# theirs\n")
    before = listing(directory)
    if renamed:
        (directory / "pre-commit").rename(directory / "pre-commit.before-patch-triage")
    else:
        (directory / "pre-commit.before-patch-triage").hardlink_to(directory / "pre-commit")
    (directory / ".pre-commit.patch-triage-new").write_text("#!/bin/sh\n# patch-tr")
    if again == "install":
        install(tree, program)
        assert listing(directory)["pre-commit.before-patch-triage"] == before["pre-commit"]
        assert set(listing(directory)) == {*STAGES, "pre-commit.before-patch-triage"}
    uninstall(tree)
    assert listing(directory) == before


def test_a_hook_that_replaced_ours_is_not_touched(tree: Kernel, program: pathlib.Path) -> None:
    directory = hooks(tree)
    put(directory / "pre-commit", "#!/bin/sh\n# the first\n")
    install(tree, program)
    put(directory / "pre-commit", "#!/bin/sh\n# the second\n")
    before = listing(directory)
    with pytest.raises(CannotInstall, match="merge the two or remove one"):
        install(tree, program)
    assert listing(directory) == before
    assert any("another tool has replaced our hook" in line for line in uninstall(tree))
    assert {name: before[name] for name in ("pre-commit", "pre-commit.before-patch-triage")} == listing(directory)


def test_a_directory_that_cannot_be_written_is_said_in_one_sentence(tree: Kernel, program: pathlib.Path) -> None:
    put(tree.path / ".git" / "file", "")
    tree.git("config", "core.hooksPath", ".git/file/hooks")
    with pytest.raises(CannotInstall, match="Not a directory"):
        install(tree, program)


def framework(tree: Kernel, *args: str) -> None:
    subprocess.run([str(FRAMEWORK), *args], cwd=tree.path, env=tree.env, check=True, capture_output=True, timeout=1500)


@pytest.fixture
def with_framework(tree: Kernel) -> Kernel:
    if not FRAMEWORK.exists():
        pytest.skip("pre-commit is not installed")
    hook = "{id: theirs, name: theirs, language: system, entry: 'sh -c \"echo theirs >>../log\"', always_run: true, pass_filenames: false}"
    tree.commit(".pre-commit-config.yaml", f"repos:\n- repo: local\n  hooks:\n  - {hook}\n")
    return tree


def logging(tree: Kernel, program: pathlib.Path) -> pathlib.Path:
    log = tree.path.parent / "log"
    put(program, '#!/bin/sh\necho "ours $2" >>../log\n')
    put(hooks(tree) / "pre-commit", "#!/bin/sh\necho first >>../log\n")
    return log


def test_the_framework_may_be_installed_after_us_and_we_are_taken_out_of_its_legacy(with_framework: Kernel, program: pathlib.Path) -> None:
    tree, log = with_framework, logging(with_framework, program)
    install(tree, program)
    framework(tree, "install")
    before = listing(hooks(tree))
    assert len(install(tree, program)) == 1
    assert listing(hooks(tree)) == before
    tree.commit("a", "a")
    assert log.read_text().split("\n")[:-1] == ["first", "theirs", "ours post-commit"]
    said = uninstall(tree)
    assert any(line.startswith("pre-commit: removed from pre-commit.legacy") for line in said)
    log.unlink()
    tree.commit("b", "b")
    assert log.read_text() == "first\ntheirs\n"


def test_the_framework_may_be_installed_before_us_and_again_after_us(with_framework: Kernel, program: pathlib.Path) -> None:
    tree = with_framework
    log = tree.path.parent / "log"
    framework(tree, "install")
    before = listing(hooks(tree), times=False)
    put(program, '#!/bin/sh\necho "ours $2" >>../log\n')
    install(tree, program)
    for times in range(2):
        tree.commit("a", f"a{times}")
        assert sorted(log.read_text().split("\n")[:-1]) == ["ours post-commit", "theirs"]
        log.unlink()
        framework(tree, "install")
        install(tree, program)
    uninstall(tree)
    assert listing(hooks(tree), times=False) == before


def test_a_trailer_that_is_asked_for_after_install_is_said_to_need_it_again(hooked: Kernel) -> None:
    hooked.git("config", "patchtriage.record.format", "note,trailer")
    hooked.stage("Documentation/mm/pool.rst", "Pool\n")
    _, error = hooked.git_both("commit", "-qm", "doc")
    assert "run `patch-triage install` again" in error and "Worth-Fuzzing" not in hooked.git("log", "-1", "--format=%B")
    hooked.install()
    hooked.stage("Documentation/mm/pool.rst", "Pools\n")
    _, error = hooked.git_both("commit", "-qm", "doc")
    assert "install" not in error and "Worth-Fuzzing: no" in hooked.git("log", "-1", "--format=%B")
