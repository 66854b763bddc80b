"""What a system call takes and gives, and the calls that provide it."""

from __future__ import annotations

import pytest

from hook.syzlang import requirements
from hook.syzlang.declarations import Declarations
from hook.syzlang.requirements import CallFacts, Providers

BASE = """\
resource fd[int32]: -1
resource sock[fd]
resource foo[int32]
"""


def declared(text: str) -> Declarations:
    found = Declarations()
    found.add(BASE + text, "sys/linux/a.txt", "amd64")
    return found


def facts(text: str, absent: tuple[str, ...] = ()) -> dict[str, CallFacts]:
    return requirements.of_all(declared(text), absent)


@pytest.mark.parametrize(
    ("text", "takes", "gives"),
    [
        ("frob(a fd) foo", ("fd",), ("foo",)),
        ("frob(a fd[opt])", (), ()),
        ("frob(a ptr[in, fd])", ("fd",), ()),
        ("frob(a ptr[out, fd])", (), ("fd",)),
        ("frob(a ptr[inout, fd])", ("fd",), ("fd",)),
        ("frob(a ptr[in, fd, opt])", (), ()),
        ("frob(a ptr[out, fd, opt])", (), ()),
        ("frob(a ptr[inout, s])\ns {\n\tx fd (out)\n\ty foo (in)\n}", ("foo",), ("fd",)),
        ("frob(a ptr[inout, s])\ns {\n\tx foo\n\ty fd (out_overlay)\n\tz sock\n}", ("foo",), ("fd", "sock")),
        ("frob(a ptr[out, u])\nu [\n\tx fd\n\ty int8\n]", (), ()),  # perhaps the other member
        ("frob(a ptr[in, u])\nu [\n\tx fd\n\ty int8\n]", ("fd",), ()),  # each is asked for
        ("frob(a ptr[in, t[fd]])\ntype t[X] {\n\tx X\n}", ("fd",), ()),
        ("frob(a ptr[in, array[t]])\ntype t ptr[in, sock]", ("sock",), ()),
        ("frob(a buffer[in], b ptr[in, optional[fd]])", ("fd",), ()),
        ("frob(a ptr[in, fmt[dec, foo]])", ("foo",), ()),
        ("frob(a ptr[in, timespec])\ntimespec {\n\tx int64\n}", ("timespec",), ()),
        ("frob(a ptr[out, foo]) (no_generate)", (), ()),
        ("frob(a ptr[in, s])\ns {\n\tx ptr[in, s]\n\ty fd\n}", ("fd",), ()),  # a structure that points to itself
    ],
)
def test_what_a_call_takes_and_gives(text: str, takes: tuple[str, ...], gives: tuple[str, ...]) -> None:
    found = facts(text + "\n")["frob"]
    assert (found.takes, found.gives) == (takes, gives)


def test_words_of_arguments_and_of_structures_are_told_apart() -> None:
    found = facts('frob(a const[FOO], b ptr[in, string[names]], c ptr[in, s])\nnames = "one", "two"\ns {\n\tx const[BAR, int8]\n}\n')[
        "frob"
    ]
    assert {"FOO", "one", "two"} <= found.own
    assert "BAR" in found.words and "BAR" not in found.own


@pytest.mark.parametrize("absent", ["__NR_frob", "FOO"])
def test_a_call_without_its_constants_is_none_of_the_target(absent: str) -> None:
    text = "frob$x(a const[FOO], b ptr[in, s])\ns {\n\tx const[BAR, int8]\n}\n"
    assert "frob$x" in facts(text, ("BAR",))  # a structure goes without it (patchConsts in pkg/compiler/consts.go)
    assert "frob$x" not in facts(text, (absent,))


CALLS = """\
open() fd
socket() sock
dup(a fd) fd
accept(a sock) sock
make(a sock, b fd) foo
use(a foo)
lost(a gone)
clock_gettime(a ptr[out, int64])
sleep(a ptr[in, timespec])
timespec {
	x int64
}
resource gone[int32]
"""


@pytest.mark.parametrize(
    ("call", "closed"),
    [
        ("open", {"open"}),
        ("accept", {"accept", "socket"}),
        ("dup", {"dup", "open"}),
        ("use", {"use", "make", "socket", "open"}),
        ("sleep", {"sleep", "clock_gettime"}),
    ],
)
def test_the_fewest_calls_that_make_what_is_taken(call: str, closed: set[str]) -> None:
    found = declared(CALLS)
    providers = Providers(requirements.of_all(found), found.resources)
    calls, left_out = providers.closed([call])
    assert (set(calls), left_out) == (closed, [])


def test_what_nothing_makes_is_left_out() -> None:
    found = declared(CALLS)
    assert Providers(requirements.of_all(found), found.resources).closed(["lost", "open"]) == (["open"], ["lost"])


def test_a_more_special_resource_serves_for_a_general_one_and_not_the_other_way_round() -> None:
    only_socket = declared("socket() sock\ndup(a fd)\n")
    assert Providers(requirements.of_all(only_socket), only_socket.resources).closed(["dup"]) == (["dup", "socket"], [])
    only_open = declared("open() fd\naccept(a sock)\n")
    assert Providers(requirements.of_all(only_open), only_open.resources).closed(["accept"]) == ([], ["accept"])


def test_a_template_that_grows_is_no_trap() -> None:
    pairs = "type p[A, B] {\n\tx A\n\ty B\n}\ntype t[X] {\n\ta t[p[X, X]]\n\tb fd\n}\n"
    assert facts(f"frob(a ptr[in, t[int8]])\n{pairs}")["frob"].takes == ("fd",)


def test_descriptions_that_take_too_long_are_refused_with_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "_MOST_TYPES_OF_ALL", 4)
    with pytest.raises(requirements.TooLarge, match=r"sys/linux/a\.txt:5: too much to understand"):
        facts("one(a fd)\ntwo(a fd, b int8, c int16, d int32)\n")
