"""The answers about all objects of a small tree: the same in any order of asking, and with a rule less never surer."""

from __future__ import annotations

import random
import subprocess
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import pytest

from hook.evidence.reach.answer import Reach
from hook.evidence.reach.devices import device_solver, drivers, machine
from hook.evidence.reach.devices.device_solver import FARTHEST, Solver, Standing
from hook.evidence.reach.devices.graph import Asked, Edge, EdgeKind, Incoming, Rule, Spread
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.kernel import kernel as target
from hook.kernel.kbuild.objects import Object
from hook.kernel.kconfig.expressions import Constant
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer, Fact, Place
from tests.evidence.reach.devices.test_hosts import FILES, tree_of_hosts
from tests.small_kernel import Kernel

PATHS = tuple(f"drivers/net/{name}" for name in FILES if name.endswith(".c") and name != "part.c")


@pytest.fixture(scope="module")
def tree(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    return tree_of_hosts(first_kernel, tmp_path_factory.mktemp("solver"))


@pytest.fixture(scope="module")
def source(tree: Kernel) -> Iterator[Source]:
    with Objects(find(str(tree.path)), 16 << 20) as objects:
        yield Source(objects, find(str(tree.path)).run("rev-parse", "HEAD").decode().strip())


def answers(
    source: Source, paths: Sequence[str], rules: tuple[Rule, ...] = drivers.RULES, most_files: int = drivers.FILES_OF_A_QUESTION
) -> dict[str, Reach]:
    """The answer for each file, each a question of its own, asked in this order."""
    asked = drivers.Drivers(
        source, target.Kernel(source, "x86_64", "gcc-12", None), machine.machine("x86_64", ("qemu-any",)), most_files, rules
    )
    found = {}
    for path in paths:
        asked.begin_question()
        found[path] = asked.of_file(path)
    return found


def test_the_argument_for_a_no_names_each_rule() -> None:
    assert [rule.name for rule in drivers.RULES if f"- `{rule.name}`: " not in str(device_solver.__doc__)] == []


@pytest.fixture(scope="module")
def usual(source: Source) -> dict[str, Reach]:
    found = answers(source, PATHS)
    assert {reach.answer for reach in found.values()} == set(Answer)
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_questions_changes_no_answer(source: Source, usual: dict[str, Reach], seed: int) -> None:
    paths = list(PATHS)
    random.Random(seed).shuffle(paths)
    assert answers(source, paths) == usual


def test_the_order_of_questions_changes_no_answer_that_a_limit_cuts(source: Source) -> None:
    few = answers(source, PATHS, most_files=6)
    assert any("too many files" in reach.question for reach in few.values())
    assert answers(source, PATHS[::-1], most_files=6) == few


@pytest.mark.parametrize("left_out", drivers.RULES, ids=lambda rule: rule.name)
def test_a_rule_less_moves_answers_towards_unknown_alone(source: Source, usual: dict[str, Reach], left_out: Rule) -> None:
    blind = msgspec.structs.replace(left_out, incoming=lambda obj, reader: Incoming(unseen=f"{left_out.name} is left out"))
    found = answers(source, PATHS, tuple(blind if rule is left_out else rule for rule in drivers.RULES))
    moved = {path: reach.answer for path, reach in found.items() if reach.answer is not usual[path].answer}
    assert set(moved.values()) <= {Answer.UNKNOWN}


@pytest.mark.parametrize("edit", [b"/* a comment more */\n", b"static const int a_line_more = 1;\n"])
def test_a_file_that_was_just_changed_is_no_answer_to_what_is_asked_of_the_index(
    source: Source, usual: dict[str, Reach], edit: bytes
) -> None:
    """The index has not read it: it may neither define what the object itself calls, nor make its device."""
    moved = {}
    for path in PATHS:
        file = source.file(path)
        blob = write_blob(source, (file.data or b"") + edit if file is not None else edit)
        found = answers(Source(source.objects, source.revision, {path: blob}), [path])[path]
        if found.answer is not usual[path].answer:
            moved[path] = (usual[path].answer, found.answer)
    assert moved == {}


def write_blob(source: Source, data: bytes) -> str:
    hashing = ["git", "--git-dir", str(source.repo.git_dir), "hash-object", "-w", "--stdin"]
    return subprocess.run(hashing, input=data, stdout=subprocess.PIPE, check=True).stdout.decode().strip()


def test_objects_that_only_make_each_other_run_are_not_proved_to_be_out_of_reach(usual: dict[str, Reach]) -> None:
    found = usual["drivers/net/sum.c"]
    assert found.answer is Answer.YES  # its suite runs it
    assert all(reach.facts for reach in usual.values() if reach.answer is Answer.NO)


# graphs without a tree: what the rules say of an object stands below its name

PROOF = Fact("no table has it", Place("drivers/x.c", 1, ""), "")
CLOSED = Incoming(closed=(PROOF,))


class _Drawn:
    """Stands for the reader of a tree of which only the objects' names and buses are known."""

    question_files = 0

    def __init__(self, buses: Mapping[str, str]) -> None:
        self._buses = buses
        self.texts = self

    def once(self, key: tuple[str, str], make: Callable[[], Incoming]) -> Incoming:
        return make()

    def bus(self, obj: Object) -> str:
        return self._buses.get(obj.path, "")


def node(path: str) -> Object:
    return Object(path, (f"{path}.c",), Constant("y"), ("Makefile", 1), True)


def from_objects(*paths: str, beside: bool = False, spread: Spread = Spread.EVERYWHERE, kind: EdgeKind = EdgeKind.MAY) -> tuple[Edge, ...]:
    return tuple(Edge(f"whether {path} runs", kind, objects=(node(path),), beside=beside, spread=spread) for path in paths)


def from_machine(spread: Spread, kind: EdgeKind = EdgeKind.MAY) -> Edge:
    return Edge(f"whether it runs {spread.name.lower()}", kind, facts=(PROOF,), spread=spread)


def standing(path: str, buses: Mapping[str, str] | None = None, **rules: Mapping[str, Incoming]) -> Standing:
    """What is known of an object; each rule says what stands for it, and nothing of the others. `users` is asked while closed."""

    def rule(name: str, incoming: Mapping[str, Incoming]) -> Rule:
        asked = Asked.WHILE_CLOSED if name == "users" else Asked.ALWAYS
        return Rule(name, lambda obj, _: incoming.get(obj.path, Incoming()), asked, needs_closed=name == "calls")

    reader = typing.cast(ObjectReader, _Drawn(buses or {}))
    return Solver([rule(name, incoming) for name, incoming in rules.items()], reader, 1000).standing(node(path))


def test_what_a_notifier_leaves_open_is_still_asked_who_makes_its_device() -> None:
    """The library is closed only where its user has no device; that a notifier may run of the user says nothing about one."""
    notified = {"lib": CLOSED, "user": Incoming((from_machine(Spread.NOWHERE),), (PROOF,))}
    users = {"lib": Incoming(from_objects("user"))}
    assert standing("lib", calls=notified, users=users).answer is Answer.NO
    made = {**users, "user": Incoming(from_objects("board"))}
    for board in (Incoming((from_machine(Spread.EVERYWHERE),)), Incoming((from_machine(Spread.EVERYWHERE, EdgeKind.MUST),))):
        assert standing("lib", calls={**notified, "board": board}, users=made).answer is Answer.UNKNOWN


def test_a_rule_that_cannot_see_who_makes_the_device_of_an_open_user_opens_the_library() -> None:
    notified = {"lib": CLOSED, "user": Incoming((from_machine(Spread.NOWHERE),), (PROOF,))}
    users = {"lib": Incoming(from_objects("user")), "user": Incoming(unseen="there is no word index")}
    assert standing("lib", calls=notified, users=users).answer is Answer.UNKNOWN


@pytest.mark.parametrize("first", [Spread.NOWHERE, Spread.ASIDE, Spread.EVERYWHERE])
@pytest.mark.parametrize("second", [Spread.NOWHERE, Spread.ASIDE, Spread.EVERYWHERE])
def test_the_order_of_calls_of_an_initcall_does_not_matter(first: Spread, second: Spread) -> None:
    calls = {"driver": Incoming((from_machine(first), from_machine(second)))}
    assert standing("driver", calls=calls).spread is max(first, second)


def test_a_second_edge_from_the_same_object_counts_where_it_leads_further() -> None:
    """Of two calls into one module, or of two files of one user, the first alone would be taken aside."""
    again = Incoming((*from_objects("core", spread=Spread.NOWHERE), *from_objects("core", spread=Spread.EVERYWHERE)))
    open_core = Incoming((from_machine(Spread.EVERYWHERE),))
    assert standing("driver", calls={"driver": again, "core": open_core}).spread is Spread.EVERYWHERE
    users = {"core": Incoming((*from_objects("pci", beside=True), *from_objects("port", beside=True), *from_objects("port")))}
    by_hand = {"port": Incoming((from_machine(Spread.ASIDE),)), "pci": CLOSED}
    assert standing("core", {"pci": "pci"}, calls=by_hand, users=users).answer is Answer.UNKNOWN


def test_a_driver_that_is_open_is_not_taken_for_absent_because_it_is_being_asked() -> None:
    """The core of a PCI chip is closed for its port only where the driver on PCI has no device, and that is not known yet."""
    users = {"core": Incoming((*from_objects("pci", beside=True), *from_objects("port", beside=True)))}
    calls = {"port": Incoming((from_machine(Spread.ASIDE),)), "pci": Incoming((from_machine(Spread.NOWHERE), *from_objects("core")))}
    assert standing("pci", {"pci": "pci"}, tables={"pci": CLOSED}, calls=calls, users=users).spread is Spread.EVERYWHERE


def test_a_circle_closes_nothing_that_something_else_opens() -> None:
    users = {"a": Incoming(from_objects("b")), "b": Incoming(from_objects("c", "a")), "c": Incoming(from_objects("a", "b"))}
    closed = dict.fromkeys("abc", CLOSED)
    for path in "abc":
        assert standing(path, tables=closed, users=users).answer is Answer.NO
        for opened in "abc":
            opening = {**closed, opened: Incoming((from_machine(Spread.EVERYWHERE),))}
            assert standing(path, tables=opening, users=users).answer is Answer.UNKNOWN, (path, opened)


def test_what_is_too_far_away_is_open_and_not_closed() -> None:
    chain = {str(at): Incoming(from_objects(str(at + 1))) for at in range(FARTHEST + 1)}
    closed = {str(at): CLOSED for at in range(FARTHEST + 2)}
    assert standing("0", tables=closed, users=chain).answer is Answer.UNKNOWN
    assert standing("2", tables=closed, users=chain).answer is Answer.NO
