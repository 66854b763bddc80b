"""What coverage files say, format by format, and what is none of them."""

from __future__ import annotations

import io
import json
import re

import pytest

from hook.coverage import coverage_formats
from hook.coverage.observations import Coverage, NoCoverage, source_name

JSONL = (
    '{"file_path":"mm/a.c","func_name":"reached","sl":12,"sc":0,"el":14,"ec":-1,"hit_count":3,"inline":false,"pc":18446744071579048192}\n'
    '{"file_path":"mm/a.c","func_name":"reached","sl":10,"sc":0,"el":10,"ec":-1,"hit_count":7,"inline":false,"pc":2}\n'
    '{"file_path":"mm/a.c","func_name":"never","sl":20,"sc":0,"el":21,"ec":-1,"hit_count":0,"inline":true,"pc":3}\n'
)
PROGRAMS = (
    '{"program":"mmap(0x0)\\n","coverage":[{"file_path":"mm/a.c","functions":[{"func_name":"reached","blocks":'
    '[{"hit_count":1,"from_line":12,"from_column":0,"to_line":14,"to_column":-1},{"from_line":10,"from_column":0,"to_line":10,"to_column":9}]}]}]}\n'
    '{"program":"munmap(0x0)\\n","coverage":[{"file_path":"mm/a.c","functions":[{"func_name":"reached","blocks":null}]}]}\n'
    '{"program":"close(0x0)\\n","coverage":null}\n'
)
TABLE = "Module,Filename,Function,Covered PCs,Total PCs\n,mm/a.c,reached,2,9\n,mm/a.c,never,0,4\n"
LCOV = "TN:\nSF:/home/jo/linux/mm/a.c\nFN:10,reached\nFN:20,25,never\nFNDA:7,reached\nFNDA:0,never\nDA:10,7\nLF:2\nend_of_record\n"
LCOV_2 = "SF:/home/jo/linux/mm/a.c\nFNL:0,10,14\nFNA:0,7,reached\nFNL:1,20\nFNA:1,0,never\nFNF:2\nBRDA:10,0,0,1\nend_of_record\n"
LLVM = json.dumps(
    {
        "data": [
            {
                "files": [{"filename": "/l/mm/a.c", "segments": [[10, 1, 7, True, True, False]], "summary": {"functions": {"count": 2}}}],
                "functions": [
                    {"branches": [], "count": 7, "filenames": ["/l/mm/a.c"], "name": "a.c:reached", "regions": [[10, 1, 14, 2, 7, 0, 0, 0], [1, 1, 99, 1, 7, 1, 0, 0]]},
                    {"branches": [], "count": 0, "filenames": ['/l/mm/"}a.c', "x"], "name": "never", "regions": [[20, 1, 21, 2, 0, 0, 0, 0]]},
                ],
                "totals": {"functions": {"count": 2}},
            }
        ],
        "type": "llvm.coverage.json.export",
        "version": "2.0.1",
    },
    separators=(",", ":"),
)  # fmt: skip


def of(text: str | bytes) -> Coverage:
    return coverage_formats.read("c", io.BytesIO(text.encode() if isinstance(text, str) else text))


def row(text: str, name: str) -> tuple[object, ...]:
    (seen,) = of(text).of_function(name)
    return (seen.path, seen.reached, seen.first, seen.last)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (JSONL, ("mm/a.c", 7, 10, 14)),
        (PROGRAMS, ("mm/a.c", 2, 10, 14)),
        (TABLE, ("mm/a.c", 1, 0, 0)),
        (LCOV, ("/home/jo/linux/mm/a.c", 7, 10, 0)),
        (LCOV_2, ("/home/jo/linux/mm/a.c", 7, 10, 0)),
        (LLVM, ("/l/mm/a.c", 7, 10, 14)),
    ],
)
def test_it_is_counted_how_many_programs_reach_a_function_and_its_lines(text: str, expected: tuple[object, ...]) -> None:
    assert row(text, "reached") == expected
    assert list(of(text).of_function("reache")) == list(of(text).of_function("eached")) == []


@pytest.mark.parametrize("text", [JSONL, TABLE, LCOV, LCOV_2, LLVM])
def test_a_function_that_is_listed_and_was_not_reached_is_known_as_such(text: str) -> None:
    assert row(text, "never")[1] == 0


@pytest.mark.parametrize(("text", "programs"), [(JSONL, 7), (PROGRAMS, 3), (TABLE, 0), (LCOV, 0), (LLVM, 0)])
def test_only_a_file_of_programs_says_how_many_there_are(text: str, programs: int) -> None:
    assert of(text).programs == programs


def test_a_line_of_syz_ci_says_who_measured_which_build_and_when() -> None:
    own = '"version":1,"timestamp":"2026-11-20T01:02:03Z","arch":"amd64","manager":"ci-qemu","kernel_commit":"5a3b12c4d5e6f708","file_path"'
    measured = of(JSONL.replace('"file_path"', own)).measured
    assert (measured.observer, measured.commit, measured.day, measured.arch) == (
        "syz-manager ci-qemu",
        "5a3b12c4d5e6f708",
        "2026-11-20",
        "amd64",
    )
    assert (
        of(JSONL.replace('"file_path"', own.replace("5a3b12c4d5e6f708", "HEAD --x").replace("ci-qemu", "\\u001b[1m"))).measured.commit == ""
    )


def test_a_share_is_of_many_programs() -> None:
    many = JSONL.replace('"hit_count":7', '"hit_count":2000').replace('"hit_count":0', '"hit_count":150')
    assert (of(many).share("mm/a.c", "reached"), of(many).share("mm/a.c", "never"), of(many).share("mm/b.c", "reached")) == (
        1.0,
        0.075,
        None,
    )
    assert of(JSONL).share("mm/a.c", "reached") is None


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("f.isra.0", "f"), ("f.constprop.0.cold", "f"), ("f.part.3", "f"), ("f.llvm.123", "f"), ("__do_sys_mbind", "sys_mbind"),
        ("__x64_sys_mbind", "sys_mbind"), ("__se_compat_sys_ioctl", "compat_sys_ioctl"), ("??", ""), ("a b", ""), ("f\n", ""), ("f.x", ""),
        ("é", ""), ("0f", ""),
    ],
)  # fmt: skip
def test_names_are_those_of_the_source(symbol: str, name: str) -> None:
    assert source_name(symbol) == name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("0xffffffff81000000\n0xffffffff81000010\n", "fuzz.coverage_vmlinux does not name the kernel"),
        ("<!doctype html><html>", "no export"),
        ("coverage is not ready, please try again later after fuzzer started\n", "no export"),
        ("\x7fELF\x00\x00", "no export"),
        (JSONL[:-20], "cut off"),
        (JSONL[:-1], "cut off"),
        (JSONL + "{\n", "not as its format"),
        (JSONL.replace('"hit_count":3', '"hit_count":-3'), "no count of programs"),
        (JSONL.replace('"hit_count":3', '"hit_count":"3"'), "not as its format"),
        (JSONL.replace('"hit_count":3', f'"hit_count":{"9" * 400}'), "no count of programs"),
        (JSONL.replace('"func_name":"reached"', f'"func_name":{"[" * 5000}', 1), "not as its format"),
        (PROGRAMS.replace('"blocks":null', '"blocks":3'), "not as its format"),
        (TABLE + ",mm/a.c,more\n", "not as its format"),
        (TABLE + f",{'m' * 9000},more,1,2\n", "more than 8192 letters"),
        (TABLE.replace(",2,", ",two,"), "no count"),
        (LCOV.replace("end_of_record\n", ""), "cut off"),
        (LCOV.replace("FNDA:7", "FNDA:-7"), "no count"),
        (LCOV.replace("DA:10,7", "hello"), "no line of lcov"),
        (LCOV_2.replace("FNL:0,10,14", "FNL:0"), "not as its format"),
        (LLVM[:-90], "cut off"),
        (LLVM[: LLVM.index("never")], "cut off"),
        (LLVM.replace('"name":"never",', ""), "not as its format"),
        (LLVM.replace('{"branches":[],"count":7', '7,{"branches":[],"count":7'), "something else"),
    ],
)
def test_what_is_no_coverage_or_not_whole_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(NoCoverage, match=re.escape(why)) as refused:
        of(text)
    assert "\n" not in str(refused.value)


def test_what_cannot_be_a_function_of_a_file_is_left_out() -> None:
    text = JSONL.replace('"mm/a.c","func_name":"reached"', '"mm/a\\tb\\n.c","func_name":"reached"').replace('"never"', '"x\\ty"')
    assert (of(text).rows, of(text).why_not) == (b"\n", "nothing in it was reached")


@pytest.mark.parametrize("text", [JSONL, PROGRAMS, TABLE, LCOV, LLVM])
def test_a_file_is_read_in_pieces_of_any_size(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = of(text)
    monkeypatch.setattr(coverage_formats, "_PIECE_BYTES", 7)
    monkeypatch.setattr(coverage_formats, "_HEAD_BYTES", 200)
    assert of(text) == whole


@pytest.mark.parametrize(
    ("name", "value", "text"), [("_MOST_LINE_BYTES", 20, JSONL), ("_MOST_FUNCTION_BYTES", 20, LLVM), ("_MOST_BYTES", 100, LCOV)]
)
def test_what_is_too_large_is_refused(name: str, value: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for changed, size in (("_PIECE_BYTES", 9), ("_HEAD_BYTES", 160), (name, value)):
        monkeypatch.setattr(coverage_formats, changed, size)
    with pytest.raises(NoCoverage, match=f"more than {value} bytes"):
        of(text)
