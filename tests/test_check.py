"""`patch-triage check`: what it judges, what it prints, and that it leaves no trace."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from tests.small_kernel import Kernel

POOL = "mm/pool.c"


def everything(path: pathlib.Path) -> dict[str, tuple[int, bytes]]:
    """Every file below `path` with its modification time and content.

    Our own cache may differ, and so may the time of an object that a mailed patch would have made and that is there: git renews it.
    """
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            file = pathlib.Path(folder) / name
            if "patch-triage" not in file.relative_to(path).parts:
                changed = 0 if "objects" in file.parts else file.lstat().st_mtime_ns
                found[str(file.relative_to(path))] = (changed, b"" if file.is_symlink() else file.read_bytes())
    return found


def series(kernel: Kernel, *options: str) -> str:
    """Two commits on main's side as mail; main itself is left where it was."""
    kernel.git("checkout", "-qb", "side")
    kernel.commit(POOL, kernel.read(POOL).replace("the cache. */", "cache. */"), "mm: fix a comment")
    kernel.commit(POOL, kernel.read(POOL).replace("POOL_MAX)\n\t\treturn", "POOL_MAX - 1)\n\t\treturn"), "mm: keep one slot")
    mail = kernel.git("format-patch", "--stdout", *options, "main")
    kernel.git("checkout", "-q", "main")
    return mail


def verdicts(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_what_is_staged_is_the_default(kernel: Kernel) -> None:
    assert kernel.triage("check") == "nothing to judge: nothing is staged\n"
    kernel.stage(POOL, kernel.read(POOL).replace("the cache. */", "cache. */"))
    out = kernel.triage("check")
    assert out.splitlines()[0] == "not worth fuzzing: no functional change: comment (1 file)"
    assert out.splitlines()[1].startswith(f"  {POOL}:20  ")
    assert out == kernel.triage("check", "--staged", "--no-cache")


def test_what_is_not_proved_stays_open(kernel: Kernel) -> None:
    kernel.stage(POOL, kernel.read(POOL).replace("--pool->count", "pool->count--"))
    verdict = json.loads(kernel.triage("check", "--format", "json"))
    assert (verdict["WorthFuzzing"], verdict["DecidedBy"], verdict["Functional"]) == (True, "default", "yes")
    assert verdict["Reachable"] == "unknown"
    assert verdict["Evidence"][0]["Path"] == POOL and verdict["Evidence"][0]["Line"] == 26
    assert verdict["Evidence"][0]["Blob"] == kernel.git("rev-parse", f":{POOL}").strip()


def test_other_architectures_are_out_of_reach(kernel: Kernel) -> None:
    path = "arch/arm64/kernel/trap.c"
    kernel.stage(path, kernel.read(path).replace("26", "27"))
    verdict = json.loads(kernel.triage("check", "--format", "json"))
    assert (verdict["WorthFuzzing"], verdict["Reachable"], verdict["DecidedBy"]) == (False, "no", "evidence")
    verdict = json.loads(kernel.triage("check", "--format", "json", PATCH_TRIAGE_TARGET_ARCH="arm64"))
    assert (verdict["WorthFuzzing"], verdict["Reachable"]) == (True, "unknown")


def test_a_range_is_a_table_or_a_stream(kernel: Kernel) -> None:
    kernel.commit("Documentation/mm/pool.rst", "Pool\n", "doc")
    kernel.commit(POOL, "int a;\n", "code")
    kernel.git("commit", "-q", "--allow-empty", "-m", "empty")
    rows = kernel.triage("check", "HEAD~3..HEAD").splitlines()
    assert len(rows) == 3 and "not worth fuzzing" in rows[0] and "worth fuzzing (not proved" in rows[1] and "empty commit" in rows[2]
    found = verdicts(kernel.triage("check", "HEAD~3..HEAD", "--format", "json"))
    assert [one.get("WorthFuzzing") for one in found] == [False, True, None]
    assert "empty commit" in found[2]["NoVerdict"]
    assert kernel.triage("check", "HEAD~3..HEAD", "--format", "yaml").count("SchemaVersion: 1") == 2


def test_a_mailed_series_is_judged_patch_by_patch(kernel: Kernel) -> None:
    mail = series(kernel, "--cover-letter", "--base=main")
    kernel.commit("init/main.c", "int later;\n")
    out, error = kernel.triage_both("check", "--patch", "-", data=mail)
    assert "base-commit" in error
    rows = out.splitlines()
    assert len(rows) == 2 and "comment (1 file)" in rows[0] and "worth fuzzing (not proved" in rows[1]
    found = verdicts(kernel.triage("check", "--patch", "-", "--format", "json", data=mail))
    assert [one["Base"] for one in found] == [kernel.head("HEAD~1")] * 2


def test_blob_ids_choose_the_base(kernel: Kernel) -> None:
    mail = series(kernel)
    first = kernel.head()
    kernel.commit(POOL, "int something_else;\n")
    _, error = kernel.triage_both("check", "--patch", "-", data=mail)
    assert error.startswith("base: ")
    found = verdicts(kernel.triage("check", "--patch", "-", "--format", "json", data=mail))
    assert found[0]["Base"] == first
    out = kernel.triage("check", "--patch", "-", "--base", "HEAD", data=mail, ok=3)
    assert "--base" in out and POOL in out and "not tried" in out


def test_a_mailed_patch_and_its_commit_have_the_same_change_id(kernel: Kernel) -> None:
    mail = series(kernel)
    found = verdicts(kernel.triage("check", "--patch", "-", "--format", "json", data=mail))
    assert [one["ChangeId"] for one in found] == [
        json.loads(kernel.triage("check", commit, "--format", "json"))["ChangeId"] for commit in ("side~1", "side")
    ]


def test_check_leaves_no_trace(kernel: Kernel) -> None:
    mail = series(kernel)
    kernel.write("mm/untracked.c", "int a;\n")
    kernel.stage(POOL, kernel.read(POOL) + "\n")
    kernel.write(POOL, "int unstaged;\n")
    before = everything(kernel.path)
    for arguments in (["--staged"], ["side"], ["main..side"], ["--patch", "-"], ["--patch", "-", "--format", "yaml"]):
        kernel.triage("check", *arguments, data=mail)
    assert everything(kernel.path) == before


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nonsense"], 3, "nonsense names no commit in this repository"),
        (["nonsense..HEAD"], 3, "nonsense..HEAD names no commits in this repository"),
        (["--patch", "/nowhere"], 3, "/nowhere: No such file or directory"),
        (["--staged", "HEAD"], 2, "check takes one of"),
        (["HEAD", "--base", "HEAD"], 2, "use --base with --staged or --patch"),
        (["--agent", "always"], 2, "no model is set up"),
        (["--repo", "/"], 3, "/ is not in a git repository"),
        (["--repo", "/nowhere"], 3, "/nowhere is not a directory"),
        (["--patch", "-"], 3, "has no patch"),
    ],
)
def test_wrong_use_ends_in_one_sentence(kernel: Kernel, arguments: list[str], code: int, sentence: str) -> None:
    out, error = kernel.triage_both("check", *arguments, ok=code)
    lines = error.splitlines()
    assert out == "" and sentence in lines[-1] and (len(lines) == 1 or lines[0].startswith("usage: patch-triage check "))


def test_a_repository_without_a_commit(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.git("init", "-q", str(tmp_path / "new"))
    new = kernel.beside(tmp_path / "new")
    assert "nothing is staged" in new.triage("check")
    new.stage("mm/a.c", "int a;\n")
    assert json.loads(new.triage("check", "--format", "json"))["Base"] == ""
    assert "HEAD names no commit in this repository" in new.triage_both("show", ok=3)[1]


def test_control_characters_never_reach_the_terminal(kernel: Kernel) -> None:
    kernel.stage("mm/evil\x1b[31m\u202e.c", "int a;\n")
    kernel.git("commit", "-qm", "evil \x1b[31m subject \u202e reversed")
    for out in (kernel.triage("check", "HEAD"), kernel.triage("check", "HEAD~1..HEAD")):
        assert "\x1b" not in out and "\u202e" not in out


def test_the_authors_words_stand_beside_the_verdict_of_each_message(kernel: Kernel) -> None:
    kernel.commit("mm/mempolicy.c", "int a(int b)\n{\n\treturn b + 1;\n}\n", "mm: fix a\n\nBUG: KMSAN: uninit-value in a+0x1/0x2")
    assert json.loads(kernel.triage("check", "HEAD", "--offline", "--format", "json"))["AuthorSays"] == ["KMSAN: uninit-value in a"]
    shown = kernel.triage("check", "HEAD", "--offline")
    assert "\n  the author says, which is no evidence: KMSAN: uninit-value in a\n" in shown
    kernel.git("commit", "-q", "--amend", "-m", "mm: change a")  # the verdict of the same content is used again
    assert "AuthorSays" not in json.loads(kernel.triage("check", "HEAD", "--offline", "--format", "json"))


def test_the_policy_is_the_exit_code(kernel: Kernel) -> None:
    kernel.stage(POOL, "int a;\n")
    kernel.triage("check", ok=1, PATCH_TRIAGE_POLICY_BLOCK="unjudged")
    kernel.triage("check", ok=0, PATCH_TRIAGE_POLICY_BLOCK="never")


def test_a_cache_entry_of_other_settings_or_a_broken_one_is_not_used(kernel: Kernel) -> None:
    kernel.stage("arch/arm64/kernel/trap.c", "int a;\n")
    first = kernel.triage("check", "--format", "json")
    assert kernel.triage("check", "--format", "json", PATCH_TRIAGE_TARGET_ARCH="arm64") != first
    for entry in (kernel.path / ".git/patch-triage/cache").rglob("*.json"):
        entry.write_text("{")
    assert kernel.triage("check", "--format", "json") == first


def test_no_cache_reads_and_writes_none(kernel: Kernel) -> None:
    kernel.stage(POOL, "int a;\n")
    kernel.triage("check", "--no-cache")
    assert not (kernel.path / ".git/patch-triage/cache").exists()


def test_git_finds_it_as_a_subcommand(kernel: Kernel) -> None:
    assert kernel.git("patch-triage", "check") == "nothing to judge: nothing is staged\n"


def test_a_file_whose_name_holds_a_newline_is_judged(kernel: Kernel) -> None:
    kernel.commit("drivers/odd\nplace/od\nd.c", "int odd(void)\n{\n\treturn 1;\n}\n")
    assert '"drivers/odd\\nplace/od\\nd.c":1  new file' in kernel.triage("check", "HEAD")
    kernel.stage("drivers/odd\nplace/od\nd.c", "int odd(void)\n{\n\treturn 2;\n}\n")
    assert "code changed in odd()" in kernel.triage("check")


def test_a_change_that_is_too_large_is_judged_by_its_paths_and_not_remembered(kernel: Kernel) -> None:
    for number in range(30):
        kernel.write(f"drivers/many/file{number}.c", "int many(void)\n{\n\treturn 1;\n}\n" * 4)
    kernel.git("add", "-A", "-f")
    said = kernel.triage("check", PATCH_TRIAGE_LIMITS_EVIDENCE_BYTES="100000")
    assert "not compared: the change is larger than limits.evidence_bytes" in kernel.triage(
        "check", "-v", PATCH_TRIAGE_LIMITS_EVIDENCE_BYTES="100000"
    )
    assert said.startswith("worth fuzzing (not proved: ")
    assert "not compared" not in kernel.triage("check", "-v")


def many(kernel: Kernel, suffix: str) -> None:
    """A change of more files than are looked into."""
    directory = "Documentation" if suffix == "rst" else "lib"
    kernel.stage_unwritten({f"{directory}/part/file-{number}.{suffix}": f"{number}\n" for number in range(6000)})


def test_of_a_change_of_very_many_files_only_the_paths_are_looked_at(kernel: Kernel) -> None:
    many(kernel, "c")
    judged = json.loads(kernel.triage("check", "--format", "json"))
    assert judged["DecidedBy"] == "default" and judged["WorthFuzzing"] and judged["ChangedFunctions"] == []
    assert "it changes too many files: only their paths were compared" in judged["Reasoning"]
    kernel.git("commit", "-qm", "many", PATCH_TRIAGE="0")
    after = json.loads(kernel.triage("check", "HEAD", "--format", "json"))
    assert after["ChangeId"] == judged["ChangeId"] and after["WorthFuzzing"]


def test_of_very_many_files_the_paths_prove_what_they_prove_of_one(kernel: Kernel) -> None:
    many(kernel, "rst")
    judged = json.loads(kernel.triage("check", "--format", "json"))
    assert judged["DecidedBy"] == "evidence" and judged["Functional"] == "no"
    kernel.stage("mm/pool.c", kernel.read("mm/pool.c").replace("--pool->count", "pool->count--"))
    judged = json.loads(kernel.triage("check", "--format", "json"))
    assert judged["DecidedBy"] == "default" and judged["WorthFuzzing"]
    assert judged["ChangeClasses"] == ["file added"]  # beside code nothing is searched for who uses the others


def test_a_merge_with_conflicts_is_not_called_a_partial_clone(kernel: Kernel) -> None:
    kernel.git("checkout", "-qb", "side")
    text = kernel.read("mm/pool.c")
    kernel.commit("mm/pool.c", text.replace("count >= POOL_MAX", "count > POOL_MAX - 2"))
    kernel.git("checkout", "-q", "main")
    kernel.commit("mm/pool.c", text.replace("count >= POOL_MAX", "count > POOL_MAX - 3"))
    kernel.git("merge", "side", ok=1)
    kernel.commit("mm/pool.c", text.replace("count >= POOL_MAX", "count > POOL_MAX - 4"), "merge")
    said = kernel.triage("check", "HEAD")
    assert "as after a merge with conflicts: not compared" in said and "partial clone" not in said
