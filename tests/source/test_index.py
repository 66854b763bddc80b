"""The word index: the same answers as without it, whatever happens to the tree, to the index and to its writers."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hook import config
from hook.source import git, index, lookup
from hook.source.grep import grep
from hook.source.indexing import index_writer
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.small_kernel import PROGRAM, Kernel

BOUNDS = lookup.Bounds(1000, searches_all=True)
POOL = "mm/pool.c"
SETTINGS = config.DEFAULTS


def look(kernel: Kernel, *args: str, **env: str) -> str:
    return kernel.triage("look", *args, "--format", "json", **env)


def put_away(kernel: Kernel) -> pathlib.Path:
    return kernel.path / ".git/patch-triage/index"


def both(kernel: Kernel, *args: str) -> str:
    """The answer with the index, which must be that without."""
    assert (put_away(kernel) / "seal").exists()
    _, error = kernel.triage_both("look", *args, "-v")
    assert error == "", error  # the index was used
    with_index = look(kernel, *args)
    shutil.move(put_away(kernel), kernel.path / ".git/elsewhere")
    assert look(kernel, *args) == with_index
    shutil.move(kernel.path / ".git/elsewhere", put_away(kernel))
    return with_index


@pytest.fixture
def indexed(kernel: Kernel) -> Kernel:
    kernel.triage("index")
    return kernel


def test_every_question_has_the_same_answer_with_the_index(indexed: Kernel) -> None:
    found = json.loads(both(indexed, "definitions", "pool_put"))["Items"]
    assert [(one["Path"], one["Kind"]) for one in found] == [(POOL, "function")]
    calls = json.loads(both(indexed, "callers", "pool_put"))["Items"]
    assert {one["User"] for one in calls if one["Path"] == "drivers/net/tinynet.c"}
    assert "pool" in both(indexed, "references", "pool_put")
    assert json.loads(both(indexed, "includers", "include/linux/pool.h"))["Items"]
    assert json.loads(both(indexed, "definitions", "POOL_DEBUG"))["Items"][0]["Kind"] == "option"
    both(indexed, "callees", "pool_put")
    for expression in ("pool_p", "pool->count", r"\bpool_put\b", "^obj-", "nothing_like_this", "pool_(get|put)", "[0-9]+"):
        assert indexed.triage("look", "grep", expression, ok=None) == _without(indexed, "look", "grep", expression)


def test_files_are_listed_by_pattern(kernel: Kernel) -> None:
    kernel.stage("mm/deep/new.c", "int a;\n")
    assert kernel.triage("look", "files", "mm/*.c", "--staged").split() == kernel.git("ls-files", "mm/*.c").split()
    assert "mm/deep/new.c" not in kernel.triage("look", "files", "mm/*.c")


def _without(kernel: Kernel, *args: str) -> str:
    shutil.move(put_away(kernel), kernel.path / ".git/elsewhere")
    said = kernel.triage(*args, ok=None)
    shutil.move(kernel.path / ".git/elsewhere", put_away(kernel))
    return said


def test_a_staged_file_a_new_commit_and_an_old_one_are_seen_through_the_same_index(indexed: Kernel) -> None:
    old = indexed.head()
    indexed.commit(POOL, indexed.read(POOL) + "\nint fresh_thing(void)\n{\n\treturn pool_put(0, 0);\n}\n")
    indexed.git("mv", "drivers/net/tinynet.c", "drivers/net/renamed.c")
    indexed.stage("mm/other.c", "int other(void)\n{\n\treturn fresh_thing();\n}\n")
    assert '"mm/other.c"' in both(indexed, "callers", "fresh_thing", "--staged")
    assert json.loads(both(indexed, "callers", "fresh_thing"))["Items"] == []
    assert "renamed.c" in both(indexed, "callers", "pool_put", "--staged")
    assert json.loads(both(indexed, "definitions", "fresh_thing", "--rev", old))["Items"] == []
    assert json.loads(both(indexed, "definitions", "fresh_thing"))["Items"]


def test_adding_a_revision_reads_only_what_is_new(indexed: Kernel) -> None:
    indexed.commit(POOL, indexed.read(POOL) + "\nint fresh_thing;\n")
    assert " 1 of them read in" in indexed.triage("index")
    assert " 0 of them read in" in indexed.triage("index")
    assert " 0 of them read in" in indexed.triage("index", "--rev", "HEAD~1")
    assert json.loads(both(indexed, "definitions", "fresh_thing"))["Items"]


def test_the_files_of_all_commits_of_a_history_are_read_up_to_the_size_of_the_index(kernel: Kernel) -> None:
    for number in range(6):
        kernel.commit(POOL, f"int word_{number};\n")
    kernel.commit(POOL, "int now;\n")
    history, repo = "HEAD~7..HEAD~1", git.find(kernel.path)
    past = [kernel.git("rev-parse", f"HEAD~{back}").strip() for back in range(1, 8)]
    full = config.Settings({**SETTINGS.values, "index.max_bytes": 1}, SETTINGS.origins)
    index_writer.make(repo, "HEAD", full, history=[history])
    assert [len(index.open_index(repo).unread(commit)) for commit in past] == [1] * 7
    kernel.triage("index", "--history", history)
    opened = index.open_index(repo)
    assert opened.trees() == [kernel.git("rev-parse", "HEAD^{tree}").strip()]
    assert all(opened.unread(commit) == {} for commit in past)
    assert opened.history() == history
    assert [opened.holding(past[2], [[word]]) for word in ("word_3", "word_2")] == [[POOL], []]
    assert "0 of them read in" in kernel.triage("index", "--history", history)
    assert "git rev-list" in kernel.triage_both("index", "--history", "nothing", ok=3)[1]
    assert index.open_index(repo).history() == history


def test_generated_headers_are_answered_by_looking_into_them(kernel: Kernel) -> None:
    kernel.commit("drivers/gpu/drm/amd/include/regs.h", "#define regFOO 1\n#define OTHER regFOO\n")
    kernel.triage("index")
    assert json.loads(both(kernel, "definitions", "regFOO"))["Items"][0]["Kind"] == "macro"


def test_words_of_generated_headers_are_found_in_both_halves_and_across(kernel: Kernel) -> None:
    header = "drivers/gpu/drm/amd/include/regs.h"
    kernel.commit(header, "#define GRPH_CONTROL__DEPTH__SHIFT 0\n#define GRPH_CONTROL__MODE 1\n#define OTHER__DEPTH 2\n")
    kernel.triage("index")
    for question, word in (("definitions", "GRPH_CONTROL__MODE"), ("references", "OTHER__DEPTH")):
        assert [one["Path"] for one in json.loads(both(kernel, question, word))["Items"]] == [header]
    assert json.loads(both(kernel, "definitions", "OTHER__MODE"))["Items"] == []  # both halves are there, the word is not
    for part in ("PH_CONT", "TROL__", "OL__DEP", "__DEPTH__SH", "_SHIFT"):
        assert kernel.triage("look", "grep", part) == _without(kernel, "look", "grep", part)


def test_a_system_call_is_found_in_a_file_that_is_not_indexed_yet(indexed: Kernel) -> None:
    indexed.commit("mm/frob.c", "SYSCALL_DEFINE1(frob, int, a)\n{\n\treturn a;\n}\n")
    assert [one["Path"] for one in json.loads(both(indexed, "definitions", "sys_frob"))["Items"]] == ["mm/frob.c"]


def test_one_blob_under_two_names(kernel: Kernel) -> None:
    kernel.commit("Documentation/example.txt", "int shown(void)\n{\n}\n")
    kernel.triage("index")
    kernel.commit("mm/example.c", "int shown(void)\n{\n}\n")
    kernel.triage("index")
    assert [one["Path"] for one in json.loads(both(kernel, "definitions", "shown"))["Items"]] == ["mm/example.c"]


def test_binary_large_link_and_odd_files(kernel: Kernel) -> None:
    kernel.stage("mm/blob.c", b"int hidden;\0\n")
    kernel.stage("mm/long.c", "int " + "a" * 1_000_000 + " = needle_in_line;\n")
    kernel.stage("mm/\xe4 b.c".encode("latin-1").decode("utf-8", "surrogateescape"), b"int needle_odd; /* \xff */\n")
    (kernel.path / "mm/link.c").symlink_to("pool.c")
    kernel.git("add", "-f", "mm/link.c")
    kernel.git("commit", "-qm", "odd")
    kernel.triage("index", PATCH_TRIAGE_INDEX_BLOB_BYTES="100000")
    assert json.loads(both(kernel, "references", "hidden"))["Items"] == []
    assert [one["Path"] for one in json.loads(both(kernel, "references", "needle_in_line"))["Items"]] == ["mm/long.c"]
    assert len(json.loads(both(kernel, "definitions", "needle_odd"))["Items"]) == 1
    assert "link.c" not in both(kernel, "references", "pool_put")


def _flip(path: pathlib.Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    "harm",
    [
        lambda where: (where / "words.db").write_bytes(b"garbage"),
        lambda where: (where / "words.db").write_bytes((where / "words.db").read_bytes()[:5000]),
        lambda where: _flip(where / "words.db"),
        lambda where: (where / "seal").write_text("{"),
        lambda where: (where / "seal").write_text('{"format": 99}'),
        lambda where: (where / "seal").unlink(),
        lambda where: (where / "words.db").unlink(),
    ],
)
def test_a_broken_index_is_not_used_and_made_anew(indexed: Kernel, harm: object) -> None:
    right = look(indexed, "references", "pool_put")
    harm(put_away(indexed))  # type: ignore[operator]
    assert look(indexed, "references", "pool_put") == right
    assert "index" in indexed.triage_both("look", "references", "pool_put", "-v")[1]
    indexed.triage("index")
    assert both(indexed, "references", "pool_put") == right


def test_an_index_that_was_copied_is_said_to_be_none_of_ours(indexed: Kernel) -> None:
    os.utime(put_away(indexed) / "words.db")
    assert "(a copy, or made by an older one)" in indexed.triage_both("look", "references", "pool_put", "-v")[1]


def test_a_format_of_another_version_is_made_anew(indexed: Kernel) -> None:
    where = put_away(indexed)
    database = sqlite3.connect(where / "words.db")
    database.execute("update meta set value = 99 where key = 'format'")
    database.commit()
    database.close()
    stat = (where / "words.db").stat()
    (where / "seal").write_text(json.dumps({"format": 99, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}))
    assert "newer patch-triage" in indexed.triage_both("look", "references", "pool_put", "-v")[1]
    indexed.triage("index")
    both(indexed, "references", "pool_put")


def test_two_writers_one_waits_for_nobody(kernel: Kernel) -> None:
    many = [
        subprocess.Popen([PROGRAM, "index"], cwd=kernel.path, env=kernel.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    said = [one.communicate() for one in many]
    assert all(one.returncode == 0 for one in many), said
    assert any(b"are indexed" in out for out, _ in said)
    both(kernel, "references", "pool_put")


@pytest.fixture
def larger(kernel: Kernel) -> Kernel:
    """A tree that takes a moment to index."""
    kernel.stage_unwritten(
        {
            f"lib/part{number}.c": "".join(f"int name_{number}_{one}(void)\n{{\n\treturn shared_{one}();\n}}\n" for one in range(20))
            for number in range(1200)
        }
    )
    kernel.git("commit", "-qm", "many")
    return kernel


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_where_it_was(larger: Kernel, how: int) -> None:
    right, lock = look(larger, "definitions", "name_700_3"), put_away(larger) / "lock"
    for moment in (0.0, 0.1, 0.2, 0.35, 0.6):
        before = lock.stat().st_mtime_ns if lock.exists() else 0
        run = subprocess.Popen(
            [PROGRAM, "index"], cwd=larger.path, env=larger.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        while not lock.exists() or lock.stat().st_mtime_ns == before:  # it writes into its lock as it begins
            time.sleep(0.01)
        time.sleep(moment)
        if how == signal.SIGKILL:
            os.killpg(run.pid, how)
        else:
            run.send_signal(how)
        _, error = run.communicate()
        assert b"Traceback" not in error, error.decode()
        assert look(larger, "definitions", "name_700_3") == right
    larger.triage("index")
    assert both(larger, "definitions", "name_700_3") == right
    assert len(json.loads(both(larger, "references", "shared_7"))["Items"]) == 1200


def _command_line(pid: str) -> bytes:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_no_worker_outlives_the_writer(larger: Kernel) -> None:
    run = subprocess.Popen([PROGRAM, "index"], cwd=larger.path, env=larger.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    children = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children")
    workers: list[str] = []
    while len(workers) < 2:
        assert run.poll() is None, "no two workers were seen"
        workers = [pid for pid in children.read_text().split() if b"index" in _command_line(pid)]
    run.kill()
    run.communicate()  # ends when the last of them has closed what it inherited


def test_ctrl_c_between_a_blob_and_its_words_loses_no_word(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(sqlite3.Connection):
        left = 10

        def execute(self, statement: str, *args: object) -> sqlite3.Cursor:
            if statement.startswith("insert into word(rowid"):
                self.left -= 1
                if not self.left:
                    raise KeyboardInterrupt
            return super().execute(statement, *args)  # type: ignore[arg-type]

    repo = git.find(kernel.path)
    tree = kernel.git("rev-parse", "HEAD^{tree}").strip()
    with monkeypatch.context() as patched:
        patched.setattr(index, "connect", lambda path, writing: sqlite3.connect(path, isolation_level=None, factory=Interrupted))
        with pytest.raises(KeyboardInterrupt):
            index_writer.make(repo, tree, SETTINGS, jobs=1)
    index_writer.make(repo, tree, SETTINGS, jobs=1)
    with Objects(repo, 1 << 20) as objects:
        indexed, plain = Source(objects, tree), Source(objects, tree, index_asked=True)
        for word in ("include", "return", "pool_put", "depends", "obj"):
            assert lookup.references(indexed, word, BOUNDS) == lookup.references(plain, word, BOUNDS), word
        assert indexed.index is not None, indexed.without_index


def test_a_file_in_the_place_of_the_index_costs_only_one_line(kernel: Kernel) -> None:
    (kernel.path / ".git/patch-triage").mkdir()
    (kernel.path / ".git/patch-triage/index").write_text("a file where the directory should be")
    _, error = kernel.triage_both("index")
    assert "renamed to index.damaged" in error and len(error.splitlines()) == 1
    assert json.loads(look(kernel, "references", "pool_put"))["Items"]


def test_a_revision_that_is_gone_and_a_size_that_is_too_small(larger: Kernel) -> None:
    larger.triage("index")
    larger.git("checkout", "-q", "--orphan", "fresh")
    larger.git("rm", "-rq", "--cached", "lib")
    larger.git("commit", "-qm", "fresh")
    larger.triage("index", PATCH_TRIAGE_INDEX_MAX_BYTES="1048576")
    assert json.loads(both(larger, "definitions", "name_700_3"))["Items"] == []
    assert json.loads(both(larger, "definitions", "pool_put"))["Items"]
    assert (put_away(larger) / "words.db").stat().st_size < 1 << 20


def test_a_partial_clone_is_fetched_only_when_asked(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.git("config", "uploadpack.allowFilter", "true")
    kernel.git("config", "uploadpack.allowAnySHA1InWant", "true")
    kernel.git("clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{kernel.path}", str(tmp_path / "partial"))
    partial = kernel.beside(tmp_path / "partial")
    partial.triage("index")
    packs = sorted(os.listdir(partial.path / ".git/objects/pack"))
    look(partial, "definitions", "pool_put")
    assert sorted(os.listdir(partial.path / ".git/objects/pack")) == packs
    partial.triage("index", "--fetch")
    assert json.loads(both(partial, "definitions", "pool_put"))["Items"]
    assert "pool_put" in partial.triage("look", "grep", "ool_pu")


def test_wrong_questions_are_refused_in_words(indexed: Kernel) -> None:
    for arguments in (("definitions", "a b"), ("file", "../x"), ("file", "no/such.c"), ("includers", "/etc/passwd"), ("grep", "(")):
        _, error = indexed.triage_both("look", *arguments, ok=2)
        assert len(error.splitlines()) == 1


WORDS = [
    "alpha__beta",
    "alpha__beta_gamma",
    "ALPHA__BETA__X1",
    "__alpha__beta",
    "alpha___beta",
    "alpha",
    "alpha_beta",
    "BETA",
    "Beta_gamma",
    "gamma9",
    "x1",
    "dead",
    "0xdead",
    "9lives",
]
LINES = st.one_of(
    st.sampled_from(WORDS).map("int {}(void) {{ return alpha(); }}".format),
    st.sampled_from(WORDS).map("#define {} 1".format),
    st.lists(st.sampled_from([*WORDS, "(", ")", "{", "}", ";", '"', "/*", "*/", "=", "-"]), max_size=6).map(" ".join),
)
CONTENTS = st.lists(LINES, max_size=6).map(lambda lines: "\n".join(lines) + "\n")
GENERATED = "drivers/gpu/drm/amd/include/r.h"
PATHS = st.sampled_from(["a.c", "b.h", "d/c.c", "d/e/f.txt", "Kconfig", "g.S", GENERATED])
STATES = st.lists(st.dictionaries(PATHS, CONTENTS, max_size=5), min_size=2, max_size=4)
EXPRESSIONS = [
    "alpha",
    "lph",
    r"\bbeta\b",
    "alpha.*beta",
    "dead",
    "9li",
    "(BETA|x1)",
    "a_b",
    "return alpha",
    "int [a-z]+",
    "a__b",
    "pha_",
    "pha___b",
    "_bet",
    "ha__beta_g",
    "__alpha__b",
]


class _Trees:
    """Commits in a bare repository, by plumbing."""

    def __init__(self, path: pathlib.Path) -> None:
        self.env = {"PATH": os.environ["PATH"], "GIT_DIR": str(path), "HOME": str(path), "GIT_CONFIG_NOSYSTEM": "1"}
        self.git("init", "-q", "--bare", str(path))
        self.repo = git.find(path)

    def git(self, *args: str, data: str = "") -> str:
        return subprocess.run(["git", *args], env=self.env, input=data, capture_output=True, text=True, check=True).stdout.strip()

    def tree(self, files: dict[str, str]) -> str:
        written = "".join(f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n" for path, text in files.items())
        commit = "commit refs/heads/made\ncommitter x <x> 0 +0000\ndata 0\n"
        self.git("fast-import", "--quiet", "--force", data=f"reset refs/heads/made\n{commit}{written}")
        return self.git("rev-parse", "made^{tree}")


@pytest.fixture(scope="module")
def trees() -> Iterator[_Trees]:
    with tempfile.TemporaryDirectory() as place:
        yield _Trees(pathlib.Path(place) / "trees.git")


@settings(max_examples=int(os.environ.get("SEQUENCES", "10")), deadline=None, suppress_health_check=list(HealthCheck))
@given(states=STATES, made=st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_the_index_answers_as_a_plain_scan_does(trees: _Trees, states: list[dict[str, str]], made: list[int]) -> None:
    shutil.rmtree(trees.repo.state_dir, ignore_errors=True)
    oids = [trees.tree(dict(state.items()) | {"z": "z\n"}) for state in states]
    for number in made:
        index_writer.make(trees.repo, oids[number % len(oids)], SETTINGS, jobs=1)
    for oid in oids:
        with Objects(trees.repo, 1 << 20) as objects:
            indexed, plain = Source(objects, oid), Source(objects, oid, index_asked=True)
            assert indexed.index is not None and plain.index is None
            for word in ["alpha", "beta", "gamma9", "x1", "dead", "alpha__beta", "alpha__beta_gamma", "__alpha__beta"]:
                for question in (lookup.references, lookup.callers, lookup.find_definitions, lookup.callees):
                    assert question(indexed, word, BOUNDS) == question(plain, word, BOUNDS), (word, question)  # type: ignore[operator]
            for expression in EXPRESSIONS:
                answers = [grep(source, expression, limit_bytes=1 << 20, seconds=10) for source in (indexed, plain)]
                assert answers[0] == answers[1], expression
            assert indexed.index is not None, indexed.without_index  # it answered to the end
            indexed.index.close()


def test_without_an_index_there_is_a_reason(kernel: Kernel) -> None:
    with pytest.raises(index.NoIndex, match="there is no index"):
        index.open_index(git.find(kernel.path))


def test_a_check_of_a_large_tree_has_the_index_made_in_the_background(larger: Kernel) -> None:
    larger.stage_unwritten({f"lib/more{number}.h": f"#define MORE_{number}\n" for number in range(1000)})
    larger.triage("check", PATCH_TRIAGE_INDEX_BACKGROUND="false")
    assert not put_away(larger).exists()
    larger.triage("check")
    larger.triage("check")  # and never two
    while not (put_away(larger) / "seal").exists():
        time.sleep(0.1)
    assert json.loads(both(larger, "definitions", "name_700_3"))["Items"]


def test_a_small_tree_is_not_indexed_unasked(kernel: Kernel) -> None:
    kernel.stage(POOL, "int a;\n")
    kernel.triage("check")
    assert not put_away(kernel).exists()


def test_what_another_process_writes_meanwhile_is_in_the_next_answer(indexed: Kernel) -> None:
    repo = git.find(indexed.path)
    opened = index.open_index(repo)
    word = [["no_such_word"]]
    assert opened.holding("HEAD", word) == []
    with sqlite3.connect(index.files(repo).database) as writer:
        writer.execute("update blob set state = ? where id = (select blob from place where path = ?)", (index.WHOLE, POOL.encode()))
    writer.close()
    assert opened.holding("HEAD", word) == [POOL]
    opened.close()
