"""What we read of a diff is what git says of it, whatever is in the tree."""

from __future__ import annotations

import os
import pathlib
import subprocess
import tempfile

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hook.change import patch
from hook.source.git import Repository, find
from tests.small_kernel import Kernel

LIMIT = 1 << 26

NAMES = st.sampled_from(
    [
        b"a.c",
        b"b.h",
        b"dir/c.c",
        b"dir/deep/d",
        b"with space",
        b'quo"te',
        b"back\\slash",
        b"tab\there",
        b"new\nline",
        "ümlaut.c".encode(),
        b"latin\xe9.c",
        b"-dash",
        b":colon",
        b"dir/.gitattributes",
        b".gitattributes",
        b"a b/diff --git c",
        b"index",
    ]
)
LINES = st.lists(
    st.sampled_from(
        [
            b"int a;",
            b"",
            b"--- a/x",
            b"+++ b/x",
            b"@@ -1 +1 @@",
            b"diff --git a/x b/x",
            b"\\ No newline",
            b"\f",
            b"\r",
            b"a\rb",
            b"\x85",
            b"\xe2\x80\xa8",
            b"\xff\xfe",
            b"-",
            b"+",
            b" ",
            b"* -diff",
            b"*.c binary",
            b"x" * 300,
        ]
    ),
    max_size=12,
)
CONTENTS = st.builds(
    lambda lines, eol, last, binary: eol.join(lines) + (eol if last else b"") + (b"\0bin" if binary else b""),
    LINES,
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.sampled_from([False, False, False, True]),
)
ENTRIES = st.tuples(st.sampled_from(["100644", "100755", "120000", "160000"]), CONTENTS)
TREES = st.dictionaries(NAMES, ENTRIES, max_size=7)


def tree_of(repo: Repository, entries: dict[bytes, tuple[str, bytes]]) -> str:
    with tempfile.TemporaryDirectory() as place:
        index = pathlib.Path(place) / "index"
        lines = b""
        for name, (mode, content) in entries.items():
            if mode == "160000":
                oid = (content.hex() + "1" * 40)[:40]
            else:
                oid = repo.run("hash-object", "-w", "--stdin", data=content).decode().strip()
            lines += f"{mode} {oid}\t".encode() + name + b"\0"
        repo.run("update-index", "-z", "--index-info", data=lines, index=index)
        return repo.run("write-tree", "--missing-ok", index=index).decode().strip()


def without_conflicts(entries: dict[bytes, tuple[str, bytes]]) -> dict[bytes, tuple[str, bytes]]:
    return {name: entry for name, entry in entries.items() if not any(other.startswith(name + b"/") for other in entries)}


@pytest.fixture(scope="module")
def empty_repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    path = tmp_path_factory.mktemp("repo")
    subprocess.run(["git", "init", "-q", path], check=True)
    return find(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=TREES.map(without_conflicts), new=TREES.map(without_conflicts))
def test_what_we_read_equals_what_git_says(empty_repo: Repository, old: dict, new: dict) -> None:
    repo = empty_repo
    trees = [tree_of(repo, old), tree_of(repo, new)]
    made = patch.read(repo, ["diff-tree", "-r", *trees], LIMIT)
    assert made.hunks_missing == ""

    raw = repo.run("diff-tree", "-r", "--raw", "-z", "--no-abbrev", "-M", *trees)
    words = [os.fsdecode(word) for word in raw.split(b"\0")[:-1]]
    ours = []
    for file in made.files:
        null = "0" * 40
        ours.append((file.old_mode, file.new_mode, file.old_blob or null, file.new_blob or null, file.status))
    assert ours == [(*word[1:].split(" ")[:4], word.split(" ")[4][0]) for word in words if word.startswith((":1", ":0"))]

    numstat = repo.run("diff-tree", "-r", "--numstat", "-z", "--no-renames", "--text", *trees)
    counted = {}
    for record in numstat.split(b"\0")[:-1]:
        added, removed, name = record.split(b"\t", 2)
        if added != b"-":  # git counts no lines of a binary file
            counted[os.fsdecode(name)] = (int(added), int(removed))
    plain = patch.read(repo, ["diff-tree", "-r", "--no-renames", *trees], LIMIT)
    for file in made.files:
        if file.status in "MAD" and file.path in counted and file.is_text_file:
            assert counted[file.path] == (sum(len(hunk.added) for hunk in file.hunks), sum(len(hunk.removed) for hunk in file.hunks))
    assert made.change_id == plain.change_id
    if made.diff and b"\0" not in made.diff and not any(file.status in "RC" for file in made.files):
        assert patch.patch_id(repo, made) == patch.patch_id_of_diff(repo, made.diff)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=TREES.map(without_conflicts), new=TREES.map(without_conflicts))
def test_hunks_turn_the_old_blob_into_the_new_one(empty_repo: Repository, old: dict, new: dict) -> None:
    repo = empty_repo
    trees = [tree_of(repo, old), tree_of(repo, new)]
    for file in patch.read(repo, ["diff-tree", "-r", *trees], LIMIT).files:
        if file.status != "M" or not file.is_text_file:
            continue
        lines = [repo.run("cat-file", "blob", blob).split(b"\n") for blob in (file.old_blob, file.new_blob)]
        for hunk in file.hunks:
            for side, changed in zip(lines, (hunk.removed, hunk.added), strict=True):
                for number, text in changed:
                    assert side[number - 1] == text.encode("utf-8", "surrogateescape")


def test_a_diff_past_the_limit_still_names_its_files(kernel: Kernel) -> None:
    kernel.stage("mm/big.c", "int a;\n" * 5000)
    made = patch.read(find(kernel.path), ["diff-index", "--cached", "HEAD"], 1024)
    assert [file.path for file in made.files] == ["mm/big.c"]
    assert made.hunks_missing == "the diff is larger than 1024 bytes"


def test_two_hundred_thousand_lines_are_read_whole(kernel: Kernel) -> None:
    kernel.stage("mm/big.c", "int a;\n" * 200_000)
    made = patch.read(find(kernel.path), ["diff-index", "--cached", "HEAD"], LIMIT)
    assert sum(len(hunk.added) for file in made.files for hunk in file.hunks) == 200_000


def test_an_attribute_of_the_tree_hides_no_hunk(kernel: Kernel) -> None:
    kernel.commit(".gitattributes", "*.c -diff\n*.c filter=evil diff=evil\n")
    kernel.git("config", "diff.evil.textconv", "touch pwned; true")
    kernel.git("config", "diff.evil.command", "touch pwned; true")
    kernel.git("config", "filter.evil.clean", "cat")
    kernel.stage("mm/pool.c", kernel.read("mm/pool.c").replace("POOL_MAX)", "POOL_MAX - 1)", 1))
    made = patch.read(find(kernel.path), ["diff-index", "--cached", "HEAD"], LIMIT)
    assert [len(file.hunks) for file in made.files] == [1]
    assert not list(kernel.path.rglob("pwned"))


def test_the_change_ids_of_many_commits_are_those_of_each(kernel: Kernel) -> None:
    commits = [kernel.commit("mm/pool.c", f"int a{number};\n") for number in range(3)]
    kernel.git("mv", "mm/pool.c", "mm/pond.c")
    kernel.git("commit", "-qm", "move")
    kernel.git("commit", "-qm", "empty", "--allow-empty")
    everything = kernel.git("rev-list", "HEAD").split()
    ids = patch.change_ids(find(kernel.path), everything)
    assert len(ids) == 5 and commits[0] in ids  # the root too, the empty commit not
    for commit, known in ids.items():
        if kernel.git("rev-list", "--parents", "-1", commit).split()[1:]:
            assert patch.read(find(kernel.path), ["diff-tree", "-r", f"{commit}^", commit], LIMIT).change_id == known


def test_gitpython_sees_the_same_changes(kernel: Kernel) -> None:
    kernel.commit("mm/pool.c", "int a;\n")
    kernel.git("mv", "drivers/net/tinynet.c", "drivers/net/tinier.c")
    kernel.git("rm", "-q", "MAINTAINERS")
    (kernel.path / "mm/link").symlink_to("pool.c")
    kernel.git("add", "-f", "mm/link")
    kernel.git("commit", "-qm", "several")
    for commit in kernel.repo.iter_commits(max_count=2):
        theirs = {
            (one.change_type, one.a_path, one.b_path, one.a_blob.hexsha if one.a_blob else "", one.b_blob.hexsha if one.b_blob else "")
            for one in commit.parents[0].diff(commit)
        }
        ours = {
            (file.status, file.old_path, file.path, file.old_blob, file.new_blob)
            for file in patch.read(find(kernel.path), ["diff-tree", "-r", f"{commit.hexsha}^", commit.hexsha], LIMIT).files
        }
        assert ours == theirs


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_a_patch_id_of_text_is_that_of_git_without_asking_it(kernel: Kernel, tmp_path: pathlib.Path, object_format: str) -> None:
    kernel.git("init", "-q", f"--object-format={object_format}", str(tmp_path / "more"))
    kernel = kernel.beside(tmp_path / "more")
    kernel.commit("a.c", "int a;\nint b;")
    kernel.write("b.c", "int b;\n")
    kernel.git("add", "b.c")
    kernel.commit("a.c", "int a;\n-- c\n@@ d\nint\te ;\n")
    repo = find(kernel.path)
    made = patch.read(repo, ["diff-tree", "-r", "HEAD~1", "HEAD"], LIMIT)
    git_says = patch.patch_id_of_diff(repo, made.diff)
    assert patch.patch_id(msgspec.structs.replace(repo, git_dir=tmp_path / "none"), made) == git_says != ""
