"""Addresses of /rawcover, as functions of the kernel that was measured."""

from __future__ import annotations

import io
import pathlib
import re

import pytest

from hook.coverage import coverage_formats
from hook.coverage.observations import Coverage, NoCoverage
from tests.coverage.elf import TEXT_AT, vmlinux

FUNCTIONS = {"entered": True, "idle": True, "silent": False, "twice": True}
BEHIND_CALL = 6  # bytes from the beginning of a function


def at(name: str) -> int:
    return TEXT_AT + 16 + 16 * list(FUNCTIONS).index(name)


def of(place: pathlib.Path, *addresses: int, kernel: bytes = b"", text: str = "") -> Coverage:
    (place / "vmlinux").write_bytes(kernel or vmlinux(FUNCTIONS, {"a.c": ["idle"], "b.c": ["twice"]}))
    data = text or "".join(f"{address:#x}\n" for address in addresses)
    return coverage_formats.read("raw", io.BytesIO(data.encode()), str(place / "vmlinux"))


def rows(coverage: Coverage, name: str) -> list[tuple[str, int, int]]:
    return [(seen.path, seen.reached, seen.first) for seen in coverage.of_function(name)]


@pytest.mark.parametrize("after", [BEHIND_CALL, BEHIND_CALL - 5])  # what KCOV gives, and the call itself
def test_a_function_is_reached_in_a_file_of_which_the_base_name_is_known_at_most(tmp_path: pathlib.Path, after: int) -> None:
    coverage = of(tmp_path, at("entered") + after, at("idle") + after, 0xFFFFFFFFC0000010)
    assert (rows(coverage, "entered"), rows(coverage, "idle")) == ([("?", 1, 0)], [("?/a.c", 1, 0)])
    assert (rows(coverage, "twice"), rows(coverage, "silent")) == ([("?/b.c", 0, 0)], [])
    assert coverage.measured.counts_programs and coverage.programs == 0


def test_the_place_behind_another_call_counts_for_nothing(tmp_path: pathlib.Path) -> None:
    coverage = of(tmp_path, at("entered") + BEHIND_CALL, at("silent") + BEHIND_CALL, kernel=vmlinux(FUNCTIONS, calling=["silent"]))
    assert (rows(coverage, "entered"), rows(coverage, "silent")) == ([("?", 1, 0)], [])


def test_what_the_symbol_table_does_not_tell_apart_is_left_out(tmp_path: pathlib.Path) -> None:
    merged = vmlinux(FUNCTIONS, ["a.c"], aliases={"other": "entered"})
    coverage = of(tmp_path, at("entered") + BEHIND_CALL, at("idle") + BEHIND_CALL, kernel=merged)
    assert (rows(coverage, "entered"), rows(coverage, "other"), rows(coverage, "idle")) == ([], [], [("?", 1, 0)])


@pytest.mark.parametrize(
    ("addresses", "kernel", "why"),
    [
        ([at("entered") + BEHIND_CALL, at("idle") + 7], b"", "is no coverage point of the kernel"),
        ([at("silent") + BEHIND_CALL], b"", "is no coverage point of the kernel"),
        ([at("entered")], vmlinux(FUNCTIONS, kcov=False), "has no coverage points"),
        ([at("entered")], b"not one", "fuzz.coverage_vmlinux: "),
        ([at("entered")], vmlinux(FUNCTIONS)[:400], "fuzz.coverage_vmlinux: "),
    ],
)
def test_addresses_of_another_build_are_refused(tmp_path: pathlib.Path, addresses: list[int], kernel: bytes, why: str) -> None:
    with pytest.raises(NoCoverage, match=re.escape(why)):
        of(tmp_path, *addresses, kernel=kernel)


@pytest.mark.parametrize("text", ["0xffffffff81000016\nfunction\n", "0xffffffff81000016\n0xffffffff81000016"])
def test_what_is_no_whole_list_of_addresses_is_refused(tmp_path: pathlib.Path, text: str) -> None:
    with pytest.raises(NoCoverage):
        of(tmp_path, text=text)


def test_the_kernel_of_the_addresses_has_to_be_named(tmp_path: pathlib.Path) -> None:
    for vmlinux_path, why in (("", "does not name the kernel"), (str(tmp_path), "names no file")):
        with pytest.raises(NoCoverage, match=why):
            coverage_formats.read("raw", io.BytesIO(b"0xffffffff81000016\n"), vmlinux_path)


def test_modules_alone_reach_no_function(tmp_path: pathlib.Path) -> None:
    assert of(tmp_path, 0xFFFFFFFFC0000010).why_not == "nothing in it was reached"
