"""The look-ups beside the farm's tools: bounded answers of places, under the same rules."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hook.agent.desk import Desk, FuzzedKernel
from hook.agent.tools import lookup_tools, tree_tools
from hook.agent.tools.arguments import BadCall
from hook.change.change import find_commit, of_commit
from hook.redaction import Redactor
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.small_kernel import Kernel

POOL = "mm/pool.c"
CARD = """#include <linux/pci.h>
static int card_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	return 0;
}
static const struct pci_device_id card_ids[] = { { .vendor = 0x8086, .device = 0x10d3, .subvendor = ~0, .subdevice = ~0 }, { } };
MODULE_DEVICE_TABLE(pci, card_ids);
static struct pci_driver card_driver = { .name = "card", .id_table = card_ids, .probe = card_probe };
module_pci_driver(card_driver);
"""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    base = tmp_path_factory.mktemp("lookups")
    kernel = Kernel.create(base / "linux", base / "home")
    users = "".join(f"void user{number}(void)\n{{\n\tpool_get(0);\n}}\n" for number in range(300))
    kernel.write("mm/users.c", f"#include <linux/pool.h>\n{users}void *table[] = {{ pool_get }};\n")
    kernel.write("mm/long.c", "int endless(void)\n{\n" + "\tfor (;;)\n\t\tendless_step();\n" * 200 + "}\n")
    kernel.write("drivers/secret/chip.c", "void chip(void)\n{\n\tpool_get(0);\n}\n")
    kernel.write("drivers/net/card.c", CARD)
    kernel.write("drivers/net/Makefile", kernel.read("drivers/net/Makefile") + "\nobj-y += card.o\n")
    kernel.write("drivers/secret/Kconfig", 'config SECRET_CHIP\n\tbool "s"\n\tselect POOL\n')
    kernel.write("Kconfig", kernel.read("Kconfig") + '\nsource "drivers/secret/Kconfig"\n')
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "mm: users")
    kernel.replace(POOL, "--pool->count]", "--pool->count & 7]")
    kernel.replace("mm/users.c", "void user299(void)\n{\n", "void user299(void)\n{\n\tint x;\n")
    kernel.git("commit", "-qam", "mm/pool: take fewer")
    return kernel


@pytest.fixture
def desk(grown: Kernel) -> Iterator[Desk]:
    repo = find(grown.path)
    with Objects(repo, 1 << 20) as objects:
        change = of_commit(objects, find_commit(objects, "HEAD"))
        yield Desk(Source(objects, change.after), Redactor(), 10.0, ("drivers/secret",), patch=change.patch, history=change.base)


def asked(desk: Desk, name: str, **arguments: Any) -> str:
    return tree_tools.as_text(tree_tools.call(lookup_tools.BY_NAME, desk, name, arguments))


def refused(desk: Desk, name: str, **arguments: Any) -> str:
    with pytest.raises(BadCall) as wrong:
        asked(desk, name, **arguments)
    return str(wrong.value)


def test_a_definition_is_shown_whole_with_its_conditionals(desk: Desk) -> None:
    out = asked(desk, "definition", Name="pool_check")
    assert "mm/pool.c:11-15 function" in out and "mm/pool.c:10\t#ifdef CONFIG_POOL_DEBUG" in out and "14\t\t\tpr_warn(" in out
    assert "mm/pool.c:17-17 function" in out and "#else" in out
    long = asked(desk, "definition", Name="endless")
    assert "80 lines of it: read-file has the rest" in long and long.count("endless_step") == 38


def test_users_are_told_by_how_they_use_it_and_cut_where_they_are_many(desk: Desk) -> None:
    out = asked(desk, "callers", Name="pool_get()")
    assert "drivers/net/tinynet.c:12\tvoid *page = pool_get(&tinynet_pool);\t[tinynet_xmit]" in out
    assert len(out.splitlines()) == 201 and "[200 of 302 lines" in out and "secret" not in out
    assert asked(desk, "references", Name="table") == "mm/users.c:1203\tvoid *table[] = { pool_get };\n"
    assert asked(desk, "references", Name="pool_get", PathPrefix="include").count("\n") == 1
    assert "calls pool_empty" in asked(desk, "callees", Name="pool_get")


def test_an_option_and_what_builds_a_file_are_explained(desk: Desk) -> None:
    out = asked(desk, "kconfig", Option="CONFIG_POOL_DEBUG")
    assert "depends on POOL && EXPERT" in out and "to have it: CONFIG_" in out and "mm/Kconfig:" in out
    out = asked(desk, "kbuild", File=POOL, Line=13)
    assert "mm/pool.c is built if POOL" in out and "obj-$(CONFIG_POOL)" in out and "mm/pool.c:10\t#ifdef CONFIG_POOL_DEBUG" in out
    out = asked(desk, "kconfig", Option="POOL")
    assert "selected by [not shown]" in out and "SECRET" not in out
    assert "no Kconfig file" in refused(desk, "kconfig", Option="SECRET_CHIP")
    assert "is under no conditional" in asked(desk, "kbuild", File=POOL, Line=30)


def test_the_way_to_a_function_is_told_hop_by_hop(desk: Desk) -> None:
    out = asked(desk, "reach", File="drivers/net/tinynet.c", Function="tinynet_xmit()")
    assert out.startswith("call paths: ") and "devices: unknown" in out and "open: " in out
    assert "defines no function nowhere" in asked(desk, "reach", File=POOL, Function="nowhere")
    assert "is not shown to a model" in refused(desk, "reach", File="drivers/secret/chip.c", Function="chip")
    assert "secret" not in asked(desk, "reach", File=POOL, Function="pool_get")


def test_the_devices_are_those_of_the_machine_that_is_fuzzed(desk: Desk) -> None:
    def on(*machines: str) -> Desk:
        return msgspec.structs.replace(desk, target=FuzzedKernel(machines=machines))

    asked_for = {"File": "drivers/net/card.c", "Function": "card_probe"}
    assert "devices: yes (e1000e)" in asked(on("qemu-any"), "reach", **asked_for)
    assert "devices: yes" not in asked(on("nvme"), "reach", **asked_for)
    assert "fuzz.vm" in refused(on("no-such-device"), "reach", **asked_for)


def test_the_change_can_be_asked_for_again(desk: Desk) -> None:
    assert asked(desk, "diff").splitlines() == ["M mm/pool.c", "M mm/users.c"]
    out = asked(desk, "diff", File=POOL)
    assert (
        "-26\t\treturn pool->pages[--pool->count];" in out
        and "+26\t\treturn pool->pages[--pool->count & 7];" in out
        and " 21\tvoid *pool_get(" in out
    )
    assert "nothing changed in mm/users.c from that line on" in refused(desk, "diff", File="mm/users.c", FirstLine=5000)


def test_what_cannot_be_answered_is_said_in_words(desk: Desk) -> None:
    assert "nothing in this tree defines 'nowhere'" in refused(desk, "definition", Name="nowhere")
    assert "is no name" in refused(desk, "references", Name="a b")
    assert "no function 'POOL_MAX' calls anything" in refused(desk, "callees", Name="POOL_MAX")
    assert "no Kconfig file that is read for x86_64 has an option 'NOPE'" in refused(desk, "kconfig", Option="NOPE")
    assert "is not shown to a model" in refused(desk, "kbuild", File="drivers/secret/chip.c")
    assert "is not among the changed files" in refused(desk, "diff", File="drivers/secret/chip.c")
    assert "nothing in this tree defines 'chip'" in refused(desk, "definition", Name="chip")
    assert "is no source file" in refused(desk, "kbuild", File="mm")


def test_every_field_is_told_of_in_words() -> None:
    for tool in lookup_tools.TOOLS:
        declared = tool.declaration()["function"]
        assert declared["description"] and all(one["description"] for one in declared["parameters"]["properties"].values())
    assert len(json.dumps([tool.declaration() for tool in lookup_tools.TOOLS])) < 4100


def test_they_are_for_our_own_profile_and_can_be_run_by_hand(grown: Kernel) -> None:
    assert "mm/pool.c:21-27 function" in grown.triage("tool", "definition", "--json", '{"Name": "pool_get"}')
    assert "there is no change here" in grown.triage_both("tool", "diff", ok=2)[1]


def test_all_tools_beside_each_other_answer_as_each_alone(desk: Desk) -> None:
    """Several calls of one answer of the model run at once, over one reader of objects."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("definition", {"Name": "pool_check"}),
        ("references", {"Name": "pool_get", "PathPrefix": "include"}),
        ("callers", {"Name": "pool_put"}),
        ("callees", {"Name": "pool_get"}),
        ("kconfig", {"Option": "POOL_DEBUG"}),
        ("kbuild", {"File": POOL, "Line": 13}),
        ("reach", {"File": "drivers/net/tinynet.c", "Function": "tinynet_xmit"}),
        ("diff", {"File": POOL}),
        ("grepper", {"Expression": "pool_check", "PathPrefix": "mm"}),
        ("codesearch-dir-index", {"Dir": "mm"}),
        ("read-file", {"File": POOL}),
        ("log", {"Path": POOL}),
        ("show", {"Id": desk.history}),
        ("blame", {"File": POOL, "FirstLine": 20}),
    ]
    assert {name for name, _ in calls} == set(lookup_tools.BY_NAME)
    alone = [asked(desk, name, **arguments) for name, arguments in calls]
    desk.source.objects.repo.in_force.seconds = 10.0  # a lost answer is an error, not a hang

    def answer(number: int) -> bool:
        name, arguments = calls[number % len(calls)]
        mine = msgspec.structs.replace(desk, source=Source(desk.source.objects, desk.source.revision))
        return asked(mine, name, **arguments) == alone[number % len(calls)]

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        assert all(pool.map(answer, range(len(calls) * 10)))
