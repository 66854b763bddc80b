"""The tools by hand: what they answer, and what they refuse in words that a model can act on."""

from __future__ import annotations

import json
import pathlib

import pytest

from hook.agent.desk import Desk
from hook.agent.tools import tree_tools
from hook.agent.tools.arguments import BadCall
from hook.redaction import Redactor
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.small_kernel import Kernel


def refused(kernel: Kernel, name: str, **arguments: object) -> str:
    _, error = kernel.triage_both("tool", name, "--json", json.dumps(arguments), ok=2)
    assert len(error.splitlines()) == 1 and error.startswith("patch-triage: ")
    return error.removeprefix("patch-triage: ").strip()


def asked(kernel: Kernel, name: str, *options: str, **arguments: object) -> str:
    return kernel.triage("tool", name, "--json", json.dumps(arguments), *options)


@pytest.mark.parametrize("where", [(), ("--staged",)])
def test_grepper_shows_lines_as_git_grep_does(kernel: Kernel, where: tuple[str, ...]) -> None:
    out = asked(kernel, "grepper", *where, Expression="pool_check", PathPrefix="mm/")
    assert out.splitlines() == [
        "mm/pool.c-10-#ifdef CONFIG_POOL_DEBUG",
        "mm/pool.c:11:static void pool_check(const struct pool *pool)",
        "mm/pool.c-12-{",
        "--",
        "mm/pool.c-16-#else",
        "mm/pool.c:17:static void pool_check(const struct pool *pool) { }",
        "mm/pool.c-18-#endif",
        "--",
        "mm/pool.c=30=int pool_put(struct pool *pool, void *page)",
        "--",
        "mm/pool.c-35-\tpool->pages[pool->count++] = page;",
        "mm/pool.c:36:\tpool_check(pool);",
        "mm/pool.c-37-\treturn 0;",
        "",
    ]


def test_grepper_does_not_take_a_label_for_a_function(kernel: Kernel) -> None:
    kernel.commit("mm/label.c", "int f(int a)\n{\n\tif (a)\n\t\tgoto out;\n\ta = 1;\nout:\n\ta = 2;\n\ta = 3;\n\treturn a;\n}\n")
    assert "mm/label.c=1=int f(int a)" in asked(kernel, "grepper", Expression="return a", PathPrefix="mm/label.c")


def test_read_file_numbers_its_lines(kernel: Kernel) -> None:
    assert asked(kernel, "read-file", File="mm/pool.c", FirstLine=10, LineCount=2) == (
        "  10:\t#ifdef CONFIG_POOL_DEBUG\n  11:\tstatic void pool_check(const struct pool *pool)\n\n"
    )


def test_read_file_stops_at_a_hundred_lines(kernel: Kernel) -> None:
    kernel.commit("mm/long.c", "int x;\n" * 300)
    out = asked(kernel, "read-file", File="mm/long.c", LineCount=300).splitlines()
    assert out[99].startswith(" 100:") and out[100] == "[cut at 100 lines; the file has 300]"


def test_what_is_staged_is_read_where_asked(kernel: Kernel) -> None:
    kernel.stage("mm/new.c", "int staged;\n")
    assert "staged" in asked(kernel, "read-file", "--staged", File="mm/new.c")
    assert json.loads(asked(kernel, "codesearch-dir-index", "--staged", Dir="mm"))["Files"] == ["Kconfig", "Makefile", "new.c", "pool.c"]
    assert refused(kernel, "read-file", File="mm/new.c").startswith("there is no mm/new.c")


def test_the_index_of_a_directory(kernel: Kernel) -> None:
    assert json.loads(asked(kernel, "codesearch-dir-index", Dir="")) == {
        "Subdirs": ["Documentation", "arch", "drivers", "include", "init", "mm", "scripts", "tools"],
        "Files": ["Kconfig", "MAINTAINERS", "Makefile"],
    }


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/passwd", "absolute"),
        ("../secret", "`..`"),
        ("mm/../../x", "`..`"),
        (".git/config", "git's own directory"),
        ("mm/.GIT/x", "git's own directory"),
        ("git~1/config", "git's own directory"),
        ("mm/a\0b", "control character"),
        ("mm/a\nb", "control character"),
        ("C:\\x", "absolute"),
        ("mm/poool.c", "did you mean mm/pool.c?"),
        ("mm/pool.c/x", "there is no mm/pool.c/x"),
        ("x" * 5000, "too long"),
    ],
)
@pytest.mark.parametrize(("name", "argument"), [("read-file", "File"), ("grepper", "PathPrefix"), ("codesearch-dir-index", "Dir")])
def test_paths_stay_in_the_tree(kernel: Kernel, name: str, argument: str, path: str, why: str) -> None:
    more = {"Expression": "x"} if name == "grepper" else {}
    assert why in refused(kernel, name, **{argument: path}, **more)


def test_links_and_submodules_are_named_and_not_followed(kernel: Kernel) -> None:
    (kernel.path / "mm/link").symlink_to("/etc")
    kernel.git("add", "mm/link")
    kernel.git("update-index", "--add", "--cacheinfo", f"160000,{kernel.head()},mm/module")
    kernel.git("commit", "-qm", "links")
    assert "symbolic link to /etc; links are not followed" in refused(kernel, "read-file", File="mm/link/passwd")
    assert "symbolic link" in refused(kernel, "codesearch-dir-index", Dir="mm/link")
    assert "submodule" in refused(kernel, "codesearch-dir-index", Dir="mm/module/x")
    files = json.loads(asked(kernel, "codesearch-dir-index", Dir="mm"))["Files"]
    assert "link (symbolic link)" in files and "module (submodule)" in files


def test_an_expression_that_cannot_be_searched_for(kernel: Kernel) -> None:
    assert "not an extended regular expression: Unmatched" in refused(kernel, "grepper", Expression="x(")
    assert "empty" in refused(kernel, "grepper", Expression="")
    assert "line break" in refused(kernel, "grepper", Expression="a\nb")
    assert "inside each other" in refused(kernel, "grepper", Expression="((((a{200}){200}){200}){200})")
    assert "at most 1000" in refused(kernel, "grepper", Expression="x" * 2000)
    assert "no line of the tree matches" in refused(kernel, "grepper", Expression="no_such_thing")


def test_an_expression_that_looks_like_an_option_is_only_searched_for(kernel: Kernel) -> None:
    assert "no line" in refused(kernel, "grepper", Expression="--open-files-in-pager=touch /tmp/pwned")
    assert "there is no" in refused(kernel, "grepper", Expression="x", PathPrefix=":(exclude)mm")


def test_a_search_that_matches_everything_is_cut(kernel: Kernel) -> None:
    kernel.commit("mm/long.c", "int x;\n" * 3000)
    out = asked(kernel, "grepper", Expression=".*", PathPrefix="mm/long.c").splitlines()
    assert len(out) == 502 and out[500].startswith("[cut at 500 lines")


def test_a_search_that_takes_for_ever_is_ended(kernel: Kernel) -> None:
    kernel.commit("mm/evil.c", "x" * 200_000 + "\n")
    kernel.env = kernel.env | {"PATCH_TRIAGE_AGENT_TOOL_SECONDS": "0.5"}
    why = refused(kernel, "grepper", Expression=r"(.*)(.*)(.*)(.*)(.*)\1\2\3\4y", PathPrefix="mm/evil.c")
    assert "did not end within 0.5 s" in why


def test_a_huge_file_and_a_binary_one_are_refused_in_words(kernel: Kernel) -> None:
    kernel.commit("mm/huge.c", b"x" * (20 << 20))
    kernel.commit("mm/binary", b"\0\1\2")
    assert "too many to read" in refused(kernel, "read-file", File="mm/huge.c")
    assert "binary" in refused(kernel, "read-file", File="mm/binary")
    out = asked(kernel, "grepper", Expression="xx", PathPrefix="mm/huge.c")
    assert len(out) < 500


def test_what_the_person_keeps_back_is_not_shown(kernel: Kernel) -> None:
    kernel.commit("drivers/secret/new-chip.c", "int embargoed_thing;\n")
    kernel.env = kernel.env | {"PATCH_TRIAGE_AGENT_NEVER_PATHS": "drivers/secret mm/*.c"}
    assert "agent.never_paths" in refused(kernel, "read-file", File="drivers/secret/new-chip.c")
    assert "no line" in refused(kernel, "grepper", Expression="embargoed_thing")
    assert "pool.c" not in asked(kernel, "codesearch-dir-index", Dir="mm")
    assert "secret" not in asked(kernel, "codesearch-dir-index", Dir="drivers")


def test_wrong_calls_are_answered_with_what_is_right(kernel: Kernel) -> None:
    assert "did you mean grepper?" in refused(kernel, "grep", Expression="x")
    assert "did you mean Expression?" in refused(kernel, "grepper", Expresion="x")
    assert "Expression is missing" in refused(kernel, "grepper")
    assert "FirstLine must be a whole number" in refused(kernel, "read-file", File="mm/pool.c", FirstLine="two")
    assert "count from 1" in refused(kernel, "read-file", File="mm/pool.c", FirstLine=0)
    assert "past its end" in refused(kernel, "read-file", File="mm/pool.c", FirstLine=5000)
    assert "is a directory" in refused(kernel, "read-file", File="mm")
    assert "no directory" in refused(kernel, "codesearch-dir-index", Dir="mm/pool.c")
    assert "there is no tool 'set-results'; there are grepper, " in refused(kernel, "set-results")


def test_secrets_in_a_file_are_cut_and_its_lines_keep_their_numbers(kernel: Kernel) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIBVgIBADANBgkqhkiG9w0\nAQEFAASCAUAwggE8AgEAAkEAq7BFUpkGp3\n-----END PRIVATE KEY-----\n"
    kernel.commit("certs/key.pem", "one\n" + key + "six\n")
    out = asked(kernel, "read-file", File="certs/key.pem")
    assert "MIIB" not in out and "AQEF" not in out and "   6:\tsix" in out
    assert "MIIB" not in asked(kernel, "read-file", File="certs/key.pem", FirstLine=3, LineCount=1)


def test_the_schemas_hold_nothing_that_an_endpoint_refuses() -> None:
    allowed = {"type", "properties", "required", "items", "description"}

    def keys(value: object, inside_properties: bool = False) -> set[str]:
        if isinstance(value, dict):
            mine = set() if inside_properties else set(value)
            return mine.union(*(keys(one, key == "properties" and not inside_properties) for key, one in value.items()))
        return set()

    for tool in tree_tools.READING:
        declared = tool.declaration()["function"]
        assert declared["description"]
        assert keys(declared["parameters"]) <= allowed
        for argument in declared["parameters"]["properties"].values():
            assert argument["description"]


def test_calls_in_parallel_read_through_one_reader(kernel: Kernel) -> None:
    import concurrent.futures

    repo = find(kernel.path)
    with Objects(repo, 1 << 20) as objects:
        desk = Desk(Source(objects, kernel.head()), Redactor(), 10.0)
        jobs = [("read-file", {"File": path}) for path in ("mm/pool.c", "init/main.c", "include/linux/pool.h", "mm/Kconfig")] * 25
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda job: tree_tools.call(tree_tools.BY_NAME, desk, *job)["Contents"], jobs))
    assert found == found[:4] * 25


def test_a_partial_clone_says_what_it_lacks(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.git("config", "uploadpack.allowFilter", "true")
    clone = kernel.beside(tmp_path / "partial")
    kernel.git("clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{kernel.path}", str(clone.path))
    repo = find(clone.path)
    with Objects(repo, 1 << 20) as objects, pytest.raises(BadCall, match="partial clone"):
        tree_tools.call(tree_tools.BY_NAME, Desk(Source(objects, kernel.head()), Redactor(), 10.0), "read-file", {"File": "mm/pool.c"})


def test_a_path_that_is_held_back_is_held_back_in_every_way_it_can_be_written(kernel: Kernel) -> None:
    for pattern in ("mm", "./mm", "mm/", "mm/*", "m?", "[m]m", "*/pool.c"):
        held = {"PATCH_TRIAGE_AGENT_NEVER_PATHS": pattern}
        _, error = kernel.triage_both("tool", "read-file", "--json", '{"File": "mm/pool.c"}', ok=2, **held)
        assert "is not shown to a model" in error, pattern
        out, _ = kernel.triage_both("tool", "grepper", "--json", '{"Expression": "pool_put"}', ok=None, **held)
        assert "mm/pool.c" not in out, pattern
    for pattern in ("/mm", "../mm", ":(top)mm"):
        _, error = kernel.triage_both("tool", "read-file", ok=2, PATCH_TRIAGE_AGENT_NEVER_PATHS=pattern)
        assert "a list of paths" in error


def test_attributes_of_the_tree_neither_hang_nor_hide_anything(kernel: Kernel) -> None:
    kernel.stage(".gitattributes", "*.c binary\n*.c -diff\n" + "".join(f"*.c !!bad{number}=foo\n" for number in range(1000)))
    kernel.stage("mm/pool.c", kernel.read("mm/pool.c") + "int needle;\n")
    assert "needle" in kernel.triage("tool", "grepper", "--staged", "--json", '{"Expression": "needle"}')
    assert "worth fuzzing" in kernel.triage("check", PATCH_TRIAGE_LIMITS_GIT_SECONDS="20")
    kernel.git("commit", "-qm", "attributes")
    assert "worth fuzzing" in kernel.triage("check", "HEAD", PATCH_TRIAGE_LIMITS_GIT_SECONDS="20")


def test_one_long_line_costs_little(kernel: Kernel) -> None:
    kernel.commit("mm/long.c", "/* token */\n" + "a." * 2_000_000 + "\nint shown;\n")
    assert "int shown;" in kernel.triage("tool", "read-file", "--json", '{"File": "mm/long.c", "FirstLine": 3}')


def test_a_key_that_has_no_end_hides_only_what_looks_like_a_key(kernel: Kernel) -> None:
    kernel.commit("mm/key.c", "/* -----BEGIN PRIVATE KEY----- */\nint f(void)\n{\n\treturn -EINVAL;\n}\n")
    assert "return -EINVAL;" in kernel.triage("tool", "read-file", "--json", '{"File": "mm/key.c"}')


@pytest.mark.parametrize("number", ['"--5"', '"²"', '"1e3"', '"' + "9" * 5000 + '"', "1.5", "true", "[]"])
def test_a_number_that_is_none_is_refused_in_words(kernel: Kernel, number: str) -> None:
    _, error = kernel.triage_both("tool", "read-file", "--json", f'{{"File": "mm/pool.c", "FirstLine": {number}}}', ok=2)
    assert "must be a whole number" in error
