"""Trailers: where git and the kernel's people expect them, once, and never forged."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hook.record import trailer
from hook.source.git import Repository, find
from hook.verdict import Answer, DecidedBy, Verdict
from tests.small_kernel import Kernel


def verdict(worth: bool, by: DecidedBy, functional: Answer) -> Verdict:
    return Verdict(worth_fuzzing=worth, decided_by=by, functional=functional, reachable=Answer.UNKNOWN, reasoning="why", change_id="a")


OPEN = verdict(True, DecidedBy.DEFAULT, Answer.UNKNOWN)
HARMLESS = verdict(False, DecidedBy.EVIDENCE, Answer.NO)
RICH = msgspec.structs.replace(
    OPEN,
    decided_by=DecidedBy.EVIDENCE,
    needs_kmsan=True,
    focus_symbols=tuple(f"a_function_of_some_length_{number}" for number in range(6)),
    enable_configs=("NUMA_BALANCING", "POOL"),
)
SIGNED = b"Signed-off-by: Jo Hacker <jo@example.org>\n"


@pytest.fixture(scope="session")
def repo(first_kernel: Kernel) -> Repository:
    return find(first_kernel.path)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"mm: x\n", b"mm: x\n\nWorth-Fuzzing: unknown\n"),
        (b"mm: x", b"mm: x\n\nWorth-Fuzzing: unknown\n"),
        (b"mm: x\n\nWhy.\n\n" + SIGNED, b"mm: x\n\nWhy.\n\nWorth-Fuzzing: unknown\n" + SIGNED),
        (b"mm: x\n\nFixes: abc\n" + SIGNED + b"Link: l\n", b"mm: x\n\nFixes: abc\nWorth-Fuzzing: unknown\n" + SIGNED + b"Link: l\n"),
        (b"mm: x\n\nWorth-Fuzzing: no\n" + SIGNED, b"mm: x\n\nWorth-Fuzzing: unknown\n" + SIGNED),
        (b"mm: x\n\nWorth-Fuzzing: no\nFocus-Symbols: a,\n b\n", b"mm: x\n\nWorth-Fuzzing: unknown\n"),
        (b"mm: x\n\nWorth-Fuzzing: no\n\nNeeds-KMSAN: yes\n", b"mm: x\n\nWorth-Fuzzing: unknown\n"),
        (
            b"mm: x\n\nWorth-Fuzzing: is a key\nof ours\n\nMore.\n",
            b"mm: x\n\nWorth-Fuzzing: is a key\nof ours\n\nMore.\n\nWorth-Fuzzing: unknown\n",
        ),
        (b"mm: x\n\n---\nnot a divider\n\n" + SIGNED, b"mm: x\n\n---\nnot a divider\n\nWorth-Fuzzing: unknown\n" + SIGNED),
        (b"mm: \xe9\xff\n\n" + SIGNED, b"mm: \xe9\xff\n\nWorth-Fuzzing: unknown\n" + SIGNED),
        (b"mm: x\n\n" + SIGNED + b"# comment\n#\tfile\n", b"mm: x\n\nWorth-Fuzzing: unknown\n" + SIGNED + b"# comment\n#\tfile\n"),
        (
            b"mm: x\n# ------------------------ >8 ------------------------\n# x\ndiff --git a/x b/x\n---\n+x\n",
            b"mm: x\n\nWorth-Fuzzing: unknown\n# ------------------------ >8 ------------------------\n# x\ndiff --git a/x b/x\n---\n+x\n",
        ),
    ],
)
def test_where_the_trailer_goes(repo: Repository, message: bytes, expected: bytes) -> None:
    assert trailer.add(repo, message, OPEN) == expected


@pytest.mark.parametrize(
    "message", [b"", b"\n\n", b"# only\n# comments\n", b"# ------------------------ >8 ------------------------\ndiff\n"]
)
def test_an_empty_message_stays_empty(repo: Repository, message: bytes) -> None:
    assert trailer.add(repo, message, OPEN) == message


def test_all_trailers_within_75_columns(repo: Repository) -> None:
    message = trailer.add(repo, b"mm: x\n\n" + SIGNED, RICH)
    assert all(len(line) <= 75 for line in message.splitlines())
    assert trailer.read(repo, message) == {
        "Worth-Fuzzing": "yes",
        "Focus-Symbols": ", ".join(RICH.focus_symbols),
        "Enable-Configs": "NUMA_BALANCING, POOL",
        "Needs-KMSAN": "yes",
    }
    assert trailer.add(repo, message, RICH) == message
    assert trailer.add(repo, message, HARMLESS) == b"mm: x\n\nWorth-Fuzzing: no\n" + SIGNED


def test_a_name_cannot_forge_a_trailer(repo: Repository) -> None:
    evil = msgspec.structs.replace(RICH, focus_symbols=("a\nSigned-off-by: Evil <e@e>", "b\r\x1b[1m"), enable_configs=())
    message = trailer.add(repo, b"mm: x\n\n" + SIGNED, evil)
    assert message.count(b"\nSigned-off-by:") == 1 and b"\x1b" not in message


PARAGRAPHS = st.lists(
    st.sampled_from(
        [
            b"mm: x",
            b'Fixes: abc ("y")',
            SIGNED.strip(),
            b"Worth-Fuzzing: no",
            b"Focus-Symbols: a,\n b",
            b"a: b",
            b"text",
            b"---",
            b"# comment",
            b"",
            b" indented",
            b"Cc: \xff",
            b"Worth-Fuzzing : yes",
            b"(cherry picked from commit abc)",
            b"[jo: x]",
        ]
    ),
    max_size=10,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PARAGRAPHS, st.sampled_from([OPEN, HARMLESS, RICH]), st.booleans())
def test_adding_twice_changes_nothing_more_and_loses_nothing(repo: Repository, lines: list[bytes], verdict: Verdict, last: bool) -> None:
    message = b"subject\n\n" + b"\n".join(lines) + (b"\n" if last else b"")
    once = trailer.add(repo, message, verdict)
    assert trailer.add(repo, once, verdict) == once
    for line in (b"text", b"Cc: \xff", b"# comment", b"[jo: x]"):  # an indented line may be the end of a trailer of ours
        assert once.split(b"\n").count(line) == message.split(b"\n").count(line)
    assert trailer.read(repo, once)["Worth-Fuzzing"] in ("yes", "no", "unknown")


def test_the_trailers_of_a_message_that_is_too_long_are_not_read(repo: Repository) -> None:
    assert trailer.read(repo, b"mm: x\n\nWorth-Fuzzing: yes\n") == {"Worth-Fuzzing": "yes"}
    assert trailer.read(repo, b"mm: x\n\n" + b"Worth-Fuzzing: yes\n" * 5000) == {}
