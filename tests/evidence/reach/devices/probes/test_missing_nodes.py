"""Whether an initcall that looks for a node of the device tree goes on, on a machine with a device tree."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from hook.verdict import Answer
from tests.evidence.reach.devices.test_drivers import Ask, asked, of
from tests.small_kernel import Kernel

TABLE = "static const struct of_device_id {name}_ids[] = {{\n{lines}\t{{ }}\n}};\n"
ACME = '\t{ .compatible = "acme,node", .data = &acme },\n'
LEAVE = "\tif (!np)\n\t\treturn -ENODEV;\n"
BY_TABLE = "\tnp = of_find_matching_node_and_match(NULL, it_ids, &match);\n"
BY_TEXT = '\tnp = of_find_compatible_node(NULL, NULL, "acme,node");\n'
LEFT = {  # name -> lines of the table, what the initcall does before it registers a file
    "bytable": (ACME, BY_TABLE + LEAVE),
    "empty": ("", BY_TABLE + LEAVE),
    "bytext": ("", BY_TEXT + LEAVE),
    "inbraces": ("", BY_TEXT + '\tif (!np) {\n\t\tpr_err("none");\n\t\treturn -ENODEV;\n\t}\n'),
    "disabled": (ACME, BY_TABLE + "\tif (!np || !of_device_is_available(np)) {\n\t\tof_node_put(np);\n\t\treturn -ENODEV;\n\t}\n"),
}
GOES_ON = {
    "there": (ACME + '\t{ .compatible = "arm,pl061" },\n', BY_TABLE + LEAVE),
    "capital": ('\t{ .compatible = "ARM,PL061" },\n', BY_TABLE + LEAVE),
    "bytype": (ACME + '\t{ .type = "cpu" },\n', BY_TABLE + LEAVE),
    "bymacro": (ACME + "\t{ .compatible = FAR_AWAY },\n", BY_TABLE + LEAVE),
    "included": (ACME + '#include "more.h"\n', BY_TABLE + LEAVE),
    "foreign": ("", BY_TABLE.replace("it_ids", "far_ids") + LEAVE),
    "thetext": ("", BY_TEXT.replace("acme,node", "cfi-flash") + LEAVE),
    "twotexts": ("", BY_TEXT.replace('"acme,node"', '"cfi-" "flash"') + LEAVE),
    "numa": ("", BY_TEXT.replace("acme,node", "numa-distance-map-v1") + LEAVE),
    "firmware": ("", BY_TEXT.replace("acme,node", "linaro,optee-tz") + LEAVE),
    "byname": ("", BY_TEXT.replace('compatible_node(NULL, NULL, "acme,node")', 'node_by_name(NULL, "acme")') + LEAVE),
    "maybe": ("", BY_TEXT + "\tif (!np) {\n\t\tif (quirk)\n\t\t\treturn -ENODEV;\n\t}\n"),
    "unless": ("", BY_TEXT + "\tif (!np && quirk)\n\t\treturn -ENODEV;\n"),
    "jumps": ("", BY_TEXT + "\tif (!np) {\n\t\tif (quirk)\n\t\t\tgoto out;\n\t\tsay();\n\t\treturn -ENODEV;\n\t}\nout:\n"),
    "kept": ("", BY_TEXT + "\tif (!np)\n\t\tpr_info(\"none\");\n"),
}  # fmt: skip


@pytest.fixture(scope="module")
def tree(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    base = tmp_path_factory.mktemp("nodes")
    shutil.copytree(first_kernel.path, base / "linux", symlinks=True)
    kernel = Kernel(base / "linux", first_kernel.env)
    for name, (lines, body) in (LEFT | GOES_ON).items():
        kernel.write(
            f"drivers/net/{name}.c",
            f"{TABLE.format(name='it', lines=lines)}static int __init it_init(void)\n{{\n\tstruct device_node *np;\n\n{body}"
            f"\treturn misc_register(&{name});\n}}\nearly_initcall(it_init);\n",
        )
    objects = " ".join(f"{name}.o" for name in LEFT | GOES_ON)
    kernel.write("drivers/net/Makefile", kernel.read("drivers/net/Makefile") + f"obj-y += {objects}\n")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "nodes")
    kernel.triage("index", "--quiet")
    return kernel


@pytest.fixture(params=["arm64"])
def ask(tree: Kernel, request: pytest.FixtureRequest) -> Iterator[Ask]:
    yield from asked(tree.path, arch=request.param)


@pytest.mark.parametrize("name", LEFT)
def test_an_initcall_leaves_where_no_device_tree_has_its_node(ask: Ask, name: str) -> None:
    found = of(ask, f"{name}.c")
    assert found.answer is Answer.NO and "no device tree of QEMU" in found.facts[0].claim


@pytest.mark.parametrize("name", GOES_ON)
def test_an_initcall_goes_on_where_a_node_may_be_there(ask: Ask, name: str) -> None:
    assert of(ask, f"{name}.c").answer is not Answer.NO


@pytest.mark.parametrize("ask", ["riscv"], indirect=True)
def test_nothing_is_known_of_the_nodes_of_a_machine_without_a_catalogue(ask: Ask) -> None:
    assert of(ask, "bytext.c").answer is Answer.UNKNOWN
