"""The answers about all objects of a small tree: the same in any order of asking, and with a rule less never surer."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence

import pytest

from hook.evidence.reach.answer import Reach
from hook.evidence.reach.devices import drivers, machine
from hook.evidence.reach.devices.graph import Incoming, Rule
from hook.kernel import kernel as target
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer
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
    source: Source, paths: Sequence[str], rules: tuple[Rule, ...] = drivers.RULES, most_files: int = drivers.MOST_FILES
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
    blind = dataclasses.replace(left_out, incoming=lambda obj, reader: Incoming(unseen=f"{left_out.name} is left out"))
    found = answers(source, PATHS, tuple(blind if rule is left_out else rule for rule in drivers.RULES))
    moved = {path: reach.answer for path, reach in found.items() if reach.answer is not usual[path].answer}
    assert set(moved.values()) <= {Answer.UNKNOWN}


def test_objects_that_only_make_each_other_run_are_not_proved_to_be_out_of_reach(usual: dict[str, Reach]) -> None:
    found = usual["drivers/net/sum.c"]
    assert found.answer is Answer.YES  # its suite runs it
    assert all(reach.facts for reach in usual.values() if reach.answer is Answer.NO)
