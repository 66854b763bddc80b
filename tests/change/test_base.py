from __future__ import annotations

import os
import pathlib

import pytest

from hook.change import base, mail
from hook.change.change import UnknownRevision
from hook.source import git
from tests.small_kernel import Kernel


@pytest.fixture(autouse=True)
def own_home(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, kernel.env[name])


@pytest.fixture
def history(kernel: Kernel) -> Kernel:
    """Five commits on the first one, each with new content in mm/a.c, and mm/same.c that stays."""
    kernel.stage("mm/same.c", "int same;\n")
    for number in range(5):
        kernel.commit("mm/a.c", f"int a = {number};\n", f"mm: {number}")
    return kernel


def sent(kernel: Kernel, *revisions: str, base_commit: str = "", options: tuple[str, ...] = ()) -> mail.MailedPatch:
    diff = os.fsencode(kernel.git("diff", *options, *revisions))
    return mail.MailedPatch(diff, diff, base_commit=base_commit)


def choose(kernel: Kernel, named: str | None, *patches: mail.MailedPatch, max_commits: int = 200) -> base.Base:
    return base.choose(git.find(kernel.path), named, patches, max_commits)


def test_what_the_person_names_comes_first(history: Kernel) -> None:
    chosen = choose(history, "HEAD~3", sent(history, "HEAD~2", "HEAD", base_commit=history.head("HEAD~1")))
    assert chosen == base.Base(history.head("HEAD~3"), "HEAD~3, as asked for")


@pytest.mark.parametrize("named", ["", "nowhere", "--all", "-x", "--output=x", "HEAD^{tree}", "HEAD HEAD", "a\nb", "a\0b", "HEAD~99"])
def test_a_revision_that_is_not_here_is_refused_and_never_an_option(history: Kernel, named: str) -> None:
    with pytest.raises(UnknownRevision):
        choose(history, named, sent(history, "HEAD~1"))


def test_then_the_base_that_the_mail_names(history: Kernel) -> None:
    chosen = choose(history, None, sent(history, "HEAD~1", "HEAD", base_commit=history.head("HEAD~2")))
    assert chosen == base.Base(history.head("HEAD~2"), "base-commit: named in the mail")


def test_a_named_base_that_is_not_here_is_said(history: Kernel) -> None:
    chosen = choose(history, None, sent(history, "HEAD~1", "HEAD", base_commit="1" * 40))
    assert chosen.commit == history.head("HEAD~1")
    assert "; base-commit: 111111111111, named in the mail, is not in this repository" in chosen.why


def test_then_the_newest_commit_with_the_blobs_that_the_patch_names(history: Kernel) -> None:
    wanted = history.head("HEAD~3")
    history.commit("mm/other.c", "int other;\n")
    for options in ((), ("--full-index",), ("--abbrev=7",)):
        chosen = choose(history, None, sent(history, wanted, f"{wanted}^", options=options))
        assert chosen.commit == wanted
        assert chosen.why == "the newest of the last 7 commits whose blobs match the patch's index lines (1 of 1)"


def test_head_where_it_fits_or_where_nothing_does(history: Kernel) -> None:
    assert choose(history, None, sent(history, "HEAD", "HEAD~1")).why == "HEAD, whose blobs match the patch's index lines (1 of 1)"
    far = sent(history, "HEAD~4", "HEAD")
    chosen = choose(history, None, far, max_commits=2)
    assert chosen == base.Base(history.head(), "HEAD, since no recent commit has more of the blobs that the patch names (0 of 1)")
    plain = mail.MailedPatch(b"--- a/x\n+++ b/x\n", b"")
    assert choose(history, None, plain) == base.Base(history.head(), "HEAD, since the patch names no blobs")


def test_the_later_patches_of_a_series_do_not_speak_of_the_base(history: Kernel) -> None:
    first, second = sent(history, "HEAD~3", "HEAD~2"), sent(history, "HEAD~2", "HEAD~1")
    assert choose(history, None, first, second).commit == history.head("HEAD~3")
    assert list(base.old_blobs([first, second])) == [b"mm/a.c"]


def test_odd_names_do_not_disturb_the_others(history: Kernel) -> None:
    names = ["new\nline.c", "sp ace.c", 'quo"te.c', "uml\u00e4ut.c"]
    for name in names:
        history.stage(name, f"{name}\n")
    history.commit("mm/a.c", "int a = 8;\n")
    wanted = history.head()
    for name in names:
        history.stage(name, "changed\n")
    history.commit("mm/a.c", "int a = 9;\n")
    diff = sent(history, wanted, "HEAD")
    assert {os.fsdecode(path) for path in base.old_blobs([diff])} == {*names, "mm/a.c"}
    chosen = choose(history, None, diff)
    assert chosen.commit == wanted
    assert chosen.why.endswith("(4 of 4)")


def test_a_rename_names_the_old_path(history: Kernel) -> None:
    text = "".join(f"int line{number};\n" for number in range(30))
    wanted = history.commit("mm/long.c", text)
    history.git("mv", "mm/long.c", "mm/longer.c")
    history.commit("mm/longer.c", text + "int more;\n")
    patch = sent(history, wanted, "HEAD", options=("-M",))
    assert list(base.old_blobs([patch])) == [b"mm/long.c"]
    assert choose(history, None, patch).commit == wanted


def test_before_the_first_commit_the_base_is_the_empty_tree(history: Kernel, tmp_path: pathlib.Path) -> None:
    patch = sent(history, "HEAD~1", "HEAD")
    (tmp_path / "unborn").mkdir()
    unborn = history.beside(tmp_path / "unborn")
    unborn.git("init", "-q")
    chosen = choose(unborn, None, patch)
    assert chosen.commit == git.find(unborn.path).empty_tree
    assert chosen.why == "the empty tree: there is no commit here yet"
