"""Names with characters of regular expressions, and with bytes that are no text, through every export and back."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import re
import urllib.parse
from typing import Any

import pytest

from tests.report.syzmanager import faults
from tests.small_kernel import Kernel

SPECIAL = b"mm/p\xc3\xa4 [o](d)+$^|{x}.c"
BYTES = b"mm/\xff\xfe.c"
QUOTED = b'mm/"q\\u.c'
TITLE = "mm: a.b+c(d)[e]{f}^g$h|i*j?k\\l `m` <n> ä % :: ,"


@pytest.fixture
def odd(kernel: Kernel) -> Kernel:
    for number, name in enumerate((SPECIAL, BYTES, QUOTED)):
        kernel.write(os.fsdecode(name), f"int odd_{number}(int n)\n{{\n\treturn n + 1;\n}}\n")
        kernel.git("add", "-f", "--", os.fsdecode(name))
        kernel.git("commit", "-qm", TITLE)
    return kernel


def test_syz_manager_matches_what_is_there_and_nothing_else(odd: Kernel, tmp_path: pathlib.Path) -> None:
    out, error = odd.triage_both("export", "syz-manager", "HEAD~3..HEAD")
    # what syz-manager knows of sources: their bytes as Go reads them
    sources = [name.decode("utf-8", "replace") for name in (SPECIAL, BYTES, QUOTED)]
    found = json.loads(out)
    assert faults(found, ["odd_0", "odd_1.constprop.0", "odd_2"], sources) == []
    files = next(area for area in found["experimental"]["focus_areas"] if area.get("name") == "triage_files")["filter"]["files"]
    assert [[bool(re.search(one, name)) for name in sources] for one in files] == [[True, False, False], [False, False, True]]
    assert "is left out: its name is not UTF-8" in error
    (tmp_path / "manager.cfg").write_text('{"workdir": "/tmp/ä"}')
    odd.triage("export", "syz-manager", "HEAD~3..HEAD", "--into", str(tmp_path / "manager.cfg"))
    merged = json.loads((tmp_path / "manager.cfg").read_text())
    assert merged == {"workdir": "/tmp/ä"} | found


def bad(change: dict[str, Any]) -> dict[str, Any]:
    areas = [
        {"name": "a", "filter": {"functions": ["^f$"]}, "weight": 10.0},
        {"name": "b", "filter": {"files": [r"^mm/a\.c$"]}, "weight": 3.0},
        {"weight": 1.0},
    ]
    return {"experimental": {"focus_areas": copy.deepcopy(areas)}} | change


def with_area(number: int, **change: Any) -> dict[str, Any]:
    config = bad({})
    config["experimental"]["focus_areas"][number] |= change
    return config


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (bad({}), ""),
        (bad({"experimental": {"focus_areas": []}}), ""),
        (with_area(0, weight=0), "less than or equal to the minimum of 0"),
        (with_area(0, weight=-1.0), "less than or equal to the minimum of 0"),
        (with_area(1, name="a"), "duplicate name: a"),
        (with_area(0, filter={"functions": ["^gone$"]}), "some filters don't match anything"),
        (with_area(1, filter={"files": [r"^mm/b\.c$"]}), "some filters don't match anything"),
        (with_area(0, filter={"functions": ["^f("]}), "unterminated subpattern"),
        (with_area(0, filter={"functions": []}), "should be non-empty"),
        (with_area(0, filter={"symbols": ["^f$"]}), "'symbols' was unexpected"),
        (with_area(0, regex="^f$"), "'regex' was unexpected"),
        (
            bad({"experimental": {"focus_areas": [{"name": "a", "filter": {"functions": ["^f$"]}, "weight": 1.0}]}}),
            "does not contain items",
        ),
        (bad({"experimental": {"focus_areas": [{"weight": 1.0}, {"weight": 2.0}]}}), "Too many items"),
        (bad({"experimental": {"focus_areas": [{"name": "a", "filter": {"functions": ["^f$"]}}]}}), "'weight' is a required property"),
        (bad({"cover_filter": {"files": ["^mm/"]}}), "should not be valid"),
    ],
)
def test_our_schema_knows_each_rule_of_syz_manager(config: dict[str, Any], why: str) -> None:
    found = faults(config, ["f"], ["mm/a.c"])
    assert (found == []) if not why else any(why in one for one in found), found


def test_sarif_names_the_files_by_their_bytes(odd: Kernel) -> None:
    log = json.loads(odd.triage("export", "sarif", "HEAD~3..HEAD"))
    json.dumps(log, ensure_ascii=False).encode()  # no half of a surrogate pair, which strict readers refuse
    places = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in log["runs"][0]["results"]]
    assert [urllib.parse.unquote_to_bytes(place) for place in places] == [SPECIAL, BYTES, QUOTED]
    assert all(TITLE in one["message"]["text"] for one in log["runs"][0]["results"])


def test_github_reads_back_what_was_written(odd: Kernel) -> None:
    lines = odd.triage("export", "github", "HEAD~3..HEAD").splitlines()
    found = []
    for line in lines:  # as actions/toolkit and the runner take it apart
        match = re.match(r"::warning (.*?)::(.*)\Z", line)
        assert match is not None
        properties = dict(one.split("=", 1) for one in match[1].split(","))
        found.append({key: re.sub("%([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), value) for key, value in properties.items()})
    assert [one["file"].encode() for one in found] == [SPECIAL, BYTES.decode("utf-8", "replace").encode(), QUOTED]
    assert all(one["title"].partition(" ")[2] == TITLE for one in found)


def test_a_fragment_is_comments_and_options_whatever_the_names_are(odd: Kernel) -> None:
    lines = odd.triage("export", "kconfig", "HEAD~3..HEAD").splitlines()
    assert [line for line in lines if TITLE in line] and all(line.startswith("# ") or re.fullmatch(r"CONFIG_\w+=y", line) for line in lines)


def test_mailed_patches_apply_again(odd: Kernel) -> None:
    mail = odd.triage_both("export", "patch", "HEAD~3..HEAD")[0].encode("utf-8", "surrogateescape")
    tree = odd.git("rev-parse", "HEAD^{tree}")
    odd.git("reset", "-q", "--hard", "HEAD~3")
    odd.git("am", "-q", data=mail)
    assert odd.git("rev-parse", "HEAD^{tree}") == tree and odd.git("log", "-1", "--format=%s").strip() == TITLE


def test_patchworks_check_is_json_that_holds_the_verdict(odd: Kernel) -> None:
    checks = [json.loads(line) for line in odd.triage("export", "patchwork", "HEAD~3..HEAD").splitlines()]
    assert ["odd_0" in checks[0]["description"], "odd_1" in checks[1]["description"], "odd_2" in checks[2]["description"]] == [True] * 3
