"""Hops by the text of one use: a line of C, and what leads from the function or table `target` to what is above it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hook.c.translation_unit import TranslationUnit
from hook.c.uses import uses_of
from hook.evidence.reach.calls import pasted_names, queued, table_uses
from hook.evidence.reach.calls.nodes import DeadEnd, Hop, NodeKind, PathNode, Trigger

BOOT = "static int __init boot(void)\n{{\n\t{}\n}}\n"


def hops_of_table(text: str, struct: str, trigger: Trigger) -> Iterator[Hop | DeadEnd]:
    unit = TranslationUnit("fs/a.c", text.encode(), "")
    node = PathNode(NodeKind.TABLE, "target", "fs/a.c", True, struct)
    for use in uses_of(unit, "target"):
        yield from table_uses.of_table(node, trigger, unit, use)


TABLE_USES = [  # the text, the structure of `target`, the hop's claim, and its doubt
    (BOOT.format("misc_register(&target);"), "miscdevice", "boot() passes target to misc_register()", ""),
    (BOOT.format("inode->i_fop = &target;"), "file_operations", "boot() sets i_fop to target", ""),
    (BOOT.format("return &target;"), "bpf_func_proto", "boot() returns target", ""),
    (BOOT.format("return &target;"), "file_operations", "boot() returns target", "who uses the table that boot() returns"),
    (BOOT.format("seen = &target;"), "file_operations", "boot() sets seen to target", "what boot() does with seen"),
    ("module_misc_device(target);\n", "miscdevice", "module_misc_device() registers target at boot", ""),
    ("static struct miscdevice m = {\n\t.fops = &target,\n};\n", "file_operations", "target is .fops of m", ""),
    ("static struct pci_driver d = {\n\t.ops = &target,\n};\n", "my_ops", "target is .ops of d", "whether d has a device"),
    ("#define ALIAS target\n", "file_operations", "macro ALIAS stands for target", ""),
]


@pytest.mark.parametrize(("text", "struct", "claim", "doubt"), TABLE_USES)
def test_a_use_of_a_table_leads_up(text: str, struct: str, claim: str, doubt: str) -> None:
    [hop] = hops_of_table(text, struct, Trigger.ANYTHING)
    assert isinstance(hop, Hop) and (hop.claim, hop.doubt) == (claim, doubt)


@pytest.mark.parametrize("statement", ["unregister_filesystem(&target);", "if (f->ops == &target)\n\t\treturn;", "target.open = NULL;"])
def test_a_use_that_registers_nothing_leads_nowhere(statement: str) -> None:
    assert not list(hops_of_table(BOOT.format(statement), "file_operations", Trigger.ANYTHING))


def test_a_table_whose_elements_are_counted_in_another_one_is_not_held_by_it() -> None:
    assert not list(hops_of_table("static struct version v = {\n\t.count = ARRAY_SIZE(target),\n};\n", "rpc_procinfo", Trigger.ANYTHING))


def test_what_only_boot_code_does_is_a_dead_end_for_user_space() -> None:
    [end] = hops_of_table(BOOT.format("inode->i_fop = &target;"), "file_operations", Trigger.USER_SPACE)
    assert isinstance(end, DeadEnd) and end.claim.endswith("boot runs at boot only")


PASTED = [  # the text, the function, and the table that uses it
    ("DEFINE_SHOW_ATTRIBUTE(speed);\n", "speed_show", "speed_fops"),
    ("static DEVICE_ATTR_RW(speed);\n", "speed_store", "dev_attr_speed"),
    ("CONFIGFS_ATTR_WO(foo_, bar);\n", "foo_bar_store", "foo_attr_bar"),
    ("static struct kobj_attribute x = __ATTR_RO(speed);\n", "speed_show", "x"),
    ("static DEVICE_ATTR_RW(speed);\n", "pace_store", None),
    ("CONFIGFS_ATTR_WO(foo_, bar);\n", "foo_bar_show", None),
]


@pytest.mark.parametrize(("text", "name", "table"), PASTED)
def test_a_macro_pastes_the_name_of_a_function(text: str, name: str, table: str | None) -> None:
    node = PathNode(NodeKind.FUNCTION, name, "fs/a.c")
    tables = [hop.to.name for hop in pasted_names.pasted(node, Trigger.USER_SPACE, TranslationUnit("fs/a.c", text.encode(), "")) if hop.to]
    assert tables == ([table] if table else [])


QUEUEING = [  # a statement, and whether it queues what `work` holds
    ("schedule_work(&f->work);", True),
    ("queue_delayed_work(wq, &work, 1);", True),
    ("struct work_struct *w = &f->work;\n\tschedule_work(w);", True),
    ("schedule_work(&f->other);", False),
    ("cancel_work_sync(&f->work);", False),
]


@pytest.mark.parametrize(("statement", "queues"), QUEUEING)
def test_a_work_item_runs_where_it_is_queued(statement: str, queues: bool) -> None:
    unit = TranslationUnit("fs/a.c", f"static void arm(struct foo *f)\n{{\n\t{statement}\n}}\n".encode(), "")
    hops = list(queued.queueing(PathNode(NodeKind.QUEUED, "work", "fs/a.c"), Trigger.USER_SPACE, unit))
    assert [hop.claim for hop in hops] == (["arm() queues work"] if queues else [])
