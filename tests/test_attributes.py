"""What a tree says of its own files in .gitattributes and .gitmodules neither runs anything nor hides what a change does."""

from __future__ import annotations

import json
import pathlib

from tests.small_kernel import Kernel

POOL = "mm/pool.c"
ATTRIBUTES = (  # in one line what goes beside each other
    "-diff -merge text eol=crlf conflict-marker-size=1", "binary", "diff=own merge=own export-ignore", "filter=own merge=binary linguist-generated=true",
    "ident whitespace=cr-at-eol",
)  # fmt: skip


def verdicts(kernel: Kernel, ran: pathlib.Path) -> list[object]:
    """What is said of a commit, of a staged change, of a mailed one, and of a merge that was resolved by hand."""

    def said(*arguments: str, mail: str = "") -> dict[str, object]:
        ran.unlink(missing_ok=True)
        found: dict[str, object] = json.loads(kernel.triage("check", *arguments, "--no-cache", "--format", "json", data=mail))
        assert not ran.exists()
        return {name: value for name, value in found.items() if name not in ("Base", "Commit", "ChangeId", "PatchId")}

    def commit(mask: int) -> None:
        kernel.stage(POOL, content.replace("--pool->count", f"--pool->count & {mask}"))
        kernel.git("commit", "-qm", "x")

    start, content = kernel.head(), kernel.read(POOL)
    commit(7)
    mail = kernel.git("format-patch", "--stdout", "--text", "--no-ext-diff", "-1")
    found: list[object] = [said("HEAD")]
    kernel.git("reset", "-q", "--soft", "HEAD~1")
    found.append(said("--staged"))
    kernel.git("reset", "-q", "--hard")
    found.append(said("--patch", "-", "--base", "HEAD", mail=mail))
    kernel.git("checkout", "-qb", "side")
    commit(7)
    kernel.git("checkout", "-q", "main")
    commit(3)
    kernel.git("merge", "-q", "-s", "ours", "side", "-m", "merge")
    kernel.stage(POOL, content.replace("--pool->count", "--pool->count & 1"))
    kernel.git("commit", "-q", "--amend", "--no-edit")
    merge = said("HEAD")
    found.append({name: merge[name] for name in ("WorthFuzzing", "Functional", "Reachable", "DecidedBy")})
    kernel.git("reset", "-q", "--hard", start)
    kernel.git("branch", "-D", "-q", "side")
    return found


def test_a_bare_repository_in_the_tree_is_no_repository_of_ours(kernel: Kernel) -> None:
    """It is unpacked with the tree, and its configuration names programs."""
    planted = kernel.path / "drivers/planted"
    kernel.git("init", "-q", "--bare", str(planted))
    for key in ("core.pager", "core.fsmonitor", "patchtriage.agent.keyCommand"):
        kernel.git("config", "--file", str(planted / "config"), key, f"touch {kernel.path.parent}/ran")
    for words in (("agent", "status"), ("check", "--wait"), ("status",)):
        _, error = kernel.triage_both(*words, "--repo", str(planted), ok=3)
        assert "is a bare repository in the tree of another one" in error
    assert not (kernel.path.parent / "ran").exists()
    assert "0 records" in kernel.triage("status", GIT_DIR=str(planted))


def test_attributes_change_no_verdict_and_run_nothing(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    ran = tmp_path / "ran"
    for name, ends in (
        ("diff.own.textconv", "cat"),
        ("diff.own.command", "true"),
        ("filter.own.clean", "cat"),
        ("merge.own.driver", "true"),
    ):
        kernel.git("config", "--global", name, f"touch '{ran}'; {ends}")
    kernel.git("config", "--global", "merge.default", "own")
    expected = verdicts(kernel, ran)
    for attribute in ATTRIBUTES:
        kernel.commit(".gitattributes", f"* {attribute}\n", "attributes")
        assert verdicts(kernel, ran) == expected, attribute
        kernel.git("reset", "-q", "--hard", "HEAD~1")


def test_a_replaced_commit_is_judged_as_it_is(kernel: Kernel) -> None:
    harmless = kernel.commit("Documentation/x.rst", "x\n")
    kernel.git("reset", "-q", "--hard", "HEAD~1")
    commit = kernel.commit(POOL, kernel.read(POOL).replace("--pool->count", "--pool->count & 7"))
    kernel.git("replace", commit, harmless)
    assert "Documentation/x.rst" in kernel.git("show", "--stat", commit)
    assert kernel.triage("check", commit).startswith("worth fuzzing")


def test_a_submodule_that_the_tree_calls_ignored_is_seen(kernel: Kernel) -> None:
    first = kernel.commit(".gitmodules", '[submodule "x"]\n\tpath = mm/x\n\turl = .\n\tignore = all\n')
    kernel.git("update-index", "--add", "--cacheinfo", f"160000,{first},mm/x")
    kernel.stage(POOL, kernel.read(POOL) + "/* x */\n")
    assert json.loads(kernel.triage("check", "--staged", "--format", "json"))["Functional"] == "unknown"
    kernel.git("commit", "-qm", "x")
    assert json.loads(kernel.triage("check", "HEAD", "--format", "json"))["Functional"] == "unknown"
