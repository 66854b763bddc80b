"""Probes that always fail for a chip that user space emulates: a line for each that does, beside it the nearest that may go on."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from hook.verdict import Answer
from tests.evidence.reach.devices.test_drivers import IDS_H, PCI_H, Ask, asked, of
from tests.evidence.reach.devices.test_hosts import IDS, OPTIONS, i2c
from tests.small_kernel import Kernel

GET = 'desc = devm_gpiod_get(&client->dev, "reset", 0);\n'
STATE = "struct it *it = devm_kzalloc(&client->dev, sizeof(*it), 0);\n\tint ret;\n\n\tif (!it)\n\t\treturn -ENOMEM;\n\tit->dev = &client->dev;\n"
CHECK = "static int check(struct it *it)\n{\n\tit->reset = devm_gpiod_get(it->dev, NULL, 0);\n\tif (IS_ERR(it->reset))\n\t\treturn PTR_ERR(it->reset);\n\treturn 0;\n}\n"
FAILS = {
    "gpio": GET + "if (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "gpio_with_message": GET + 'if (IS_ERR(desc))\n\treturn dev_err_probe(&client->dev, PTR_ERR(desc), "no");\nreturn 0;',
    "gpio_by_number": GET + 'if (IS_ERR(desc)) {\n\tret = PTR_ERR(desc);\n\tdev_err(&client->dev, "no");\n\treturn ret;\n}\nreturn 0;',
    "gpio_by_label": GET + "if (IS_ERR(desc)) {\n\tret = PTR_ERR(desc);\n\tgoto out;\n}\nreturn 0;\nout:\n\tfree(it);\n\treturn ret;",
    "gpio_of_a_member": STATE + "ret = check(it);\nif (ret)\n\treturn ret;\nreturn 0;",
    "gpio_below_zero": STATE + "ret = check(it);\nif (ret < 0)\n\treturn ret;\nreturn 0;",
    "gpio_at_the_end": STATE + "return check(it);",
    "after_an_error": "ret = begin(client);\nif (ret)\n\treturn ret;\n" + GET + "if (IS_ERR(desc))\n\treturn -ENODEV;\nreturn 0;",
    "after_a_loop": "for (i = 0; i < 3; i++) {\n\tret = begin(i);\n\tif (ret < 0)\n\t\treturn ret;\n}\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "irq": "if (client->irq <= 0)\n\treturn -EINVAL;\nreturn 0;",
    "irq_or_less": "if (size < 4 || !client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "either_way": "if (flag)\n\treturn of_property_read_u32(client->dev.of_node, \"a\", &a);\nelse\n\treturn device_property_read_u32(&client->dev, \"b\", &b);",
    "data": "struct d *data = dev_get_platdata(&client->dev);\n\nif (!data)\n\treturn -EINVAL;\nreturn 0;",
    "node_else_data": "if (client->dev.of_node) {\n\tret = parse(client);\n} else if (!client->dev.platform_data) {\n\treturn -EINVAL;\n}\nreturn 0;",
    "match": "chip = device_get_match_data(&client->dev);\nif (!chip)\n\treturn -ENODEV;\nreturn 0;",
    "message_of_an_error": 'ret = begin(client);\nif (ret < 0)\n\treturn dev_err_probe(&client->dev, ret, "bad");\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;',
    "error_of_the_block": "if (quirk) {\n\tret = -EINVAL;\n\tif (flag)\n\t\tbegin(client);\n\tgoto out;\n}\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;\nout:\n\treturn ret;",
    "endpoint": "ep = fwnode_graph_get_next_endpoint(dev_fwnode(&client->dev), NULL);\nif (!ep)\n\treturn -EINVAL;\nreturn 0;",
}  # fmt: skip
GOES_ON = {
    "optional": GET.replace("gpiod_get", "gpiod_get_optional") + "if (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "of_another_device": GET.replace("&client->dev", "client->dev.parent") + "if (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "no_error": GET + "if (IS_ERR(desc))\n\treturn 0;\nreturn 0;",
    "null_is_no_error": "ep = fwnode_graph_get_next_endpoint(dev_fwnode(&client->dev), NULL);\nif (!ep)\n\treturn PTR_ERR(ep);\nreturn 0;",
    "wrong_test": "chip = device_get_match_data(&client->dev);\nif (IS_ERR(chip))\n\treturn PTR_ERR(chip);\nreturn 0;",
    "left_before": "if (quirk)\n\treturn 0;\n" + GET + "if (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "left_by_a_call": "if (quirk)\n\treturn begin(client);\n" + GET + "if (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "left_in_a_loop": "for (i = 0; i < 3; i++)\n\tif (begin(i))\n\t\treturn 0;\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "left_in_macro_loop": "for_each_child(child) {\n\treturn begin(child);\n}\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "jumps_over": "if (quirk)\n\tgoto skip;\n" + GET + "if (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nskip:\n\treturn 0;",
    "label_forgives": GET + "if (IS_ERR(desc)) {\n\tret = PTR_ERR(desc);\n\tgoto out;\n}\nreturn 0;\nout:\n\tret = 0;\n\treturn ret;",
    "only_there": "if (flag) {\n\tif (!client->irq)\n\t\treturn -EINVAL;\n}\nreturn 0;",
    "only_both": "if (flag && !client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "one_way": "if (flag)\n\treturn device_property_read_u32(&client->dev, \"b\", &b);\nelse\n\treturn begin(client);",
    "replaced": "struct d *data = dev_get_platdata(&client->dev);\n\nif (!data)\n\tdata = &defaults;\nif (!data)\n\treturn -EINVAL;\nreturn 0;",
    "filled_in": "desc = devm_gpiod_get(&client->dev, NULL, 0);\nfill(&desc);\nif (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "own_irq": "client->irq = gpiod_to_irq(desc);\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "own_node": "device_set_node(&client->dev, fwnode);\nif (!client->dev.of_node)\n\treturn -EINVAL;\nreturn 0;",
    "conditional": "#ifdef CONFIG_OF\n" + GET + "if (IS_ERR(desc))\n\treturn PTR_ERR(desc);\n#endif\nreturn 0;",
    "clock": "clk = devm_clk_get(&client->dev, NULL);\nif (IS_ERR(clk))\n\treturn PTR_ERR(clk);\nreturn 0;",
    "ignored": STATE + "check(it);\nreturn 0;",
    "above_zero": "ret = weak(client);\nif (ret < 0)\n\treturn ret;\nreturn 0;",
    "own_macro": GET + "LEAVE_IF(quirk);\nif (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "macro_in_lower_case": GET + "leave_if(quirk);\nif (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "macro_in_condition": GET + "if (leaves(quirk))\n\tbegin(client);\nif (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "own_test": GET + "if (IS_ERR_OR_NULL(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "included": "#include \"leave.h\"\n" + GET + "if (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "irq_by_address": "read_irq(&client->irq);\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "irq_by_another": "give_irq(client);\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "irq_by_a_copy": "struct i2c_client *c = client;\n\nc->irq += 5;\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "node_by_device": "struct device *d = &client->dev;\n\nd->of_node = np;\nif (!client->dev.of_node)\n\treturn -EINVAL;\nreturn 0;",
    "node_by_another": "give_node(&client->dev);\nif (!client->dev.of_node)\n\treturn -EINVAL;\nreturn 0;",
    "macro_that_is_quit": "QUIT;\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "macro_that_drops": GET + "drop(desc);\nif (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "in_a_switch": "switch (quirk) {\ncase 1:\n\treturn 0;\n}\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "in_a_value": "ret = ({ if (quirk) return 0; 1; });\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "comma": "if (!client->irq)\n\treturn -EINVAL, 0;\nreturn 0;",
    "shorter": "if (!client->irq)\n\treturn quirk ? 0 : -EINVAL;\nreturn 0;",
    "positive_is_bound": "return client->irq <= 0;",
    "assigned_in_branch": GET + "if (quirk)\n\tdesc = NULL;\nif (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "assigned_in_test": GET + "if (quirk && (desc = other(client)))\n\tbegin(client);\nif (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "assigned_by_choice": GET + "quirk ? desc = other(client) : 0;\nif (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "another_client": "client = other(client);\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "shadowed": "{\n\tstruct i2c_client *client = other();\n\n\tif (!client->irq)\n\t\treturn -EINVAL;\n}\nreturn 0;",
    "jump_backwards": "again:\n" + GET + "if (quirk)\n\tgoto again;\nif (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "computed_jump": "goto *where;\n" + GET + "if (IS_ERR(desc))\n\treturn PTR_ERR(desc);\nreturn 0;",
    "tested_but_changed": "ret = begin(client);\nif (ret < 0) {\n\tret = other(client);\n\treturn ret;\n}\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "tested_and_forgiven": "ret = begin(client);\nif (ret) {\n\tret = 0;\n\tgoto out;\n}\nif (!client->irq)\n\treturn -EINVAL;\nout:\n\treturn ret;",
    "error_of_one_branch": "if (quirk) {\n\tret = 0;\n\tif (flag)\n\t\tret = -EINVAL;\n\treturn ret;\n}\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "error_of_one_block": "if (quirk) {\n\tif (flag) {\n\t\tret = -EINVAL;\n\t}\n\treturn ret;\n}\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "message_of_nothing": 'ret = begin(client);\nif (ret != 3)\n\treturn dev_err_probe(&client->dev, ret, "bad");\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;',
    "null_or_error": "it = other(client);\nif (!it || IS_ERR(it))\n\treturn PTR_ERR(it);\nif (!client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "choice_in_test": "if (quirk ? flag : a || !client->irq)\n\treturn -EINVAL;\nreturn 0;",
    "assigned_beside": GET + "if (!(desc = other(client)) || IS_ERR(desc))\n\treturn -ENODEV;\nreturn 0;",
    "stub_elsewhere": '#include "stub.h"\nret = parse(client);\nif (ret)\n\treturn ret;\nreturn 0;',
    "of_all": "shared = devm_gpiod_get(&client->dev, NULL, 0);\nbegin(client);\nif (IS_ERR(shared))\n\treturn PTR_ERR(shared);\nreturn 0;",
    "by_another_pointer": STATE + "it->reset = devm_gpiod_get(&client->dev, NULL, 0);\nalias->reset = NULL;\nif (IS_ERR(it->reset))\n\treturn PTR_ERR(it->reset);\nreturn 0;",
    "other_name": "struct device *dev = &client->dev;\n\ndev = other;\nif (!dev_get_platdata(dev))\n\treturn -EINVAL;\nreturn 0;",
}  # fmt: skip
WEAK = "static int weak(struct i2c_client *client)\n{\n\tint ret = begin(client);\n\n\tif (ret)\n\t\treturn ret;\n\tif (!client->irq)\n\t\treturn -EINVAL;\n\treturn 0;\n}\n"
PARSE = "int parse(struct i2c_client *client)\n{\n\tif (!client->dev.of_node)\n\t\treturn -EINVAL;\n\treturn 0;\n}\n"
BEFORE = (
    IDS
    + "\nstruct it {\n\tint reset;\n};\n"
    + "static void *shared;\n"
    + CHECK
    + WEAK
    + PARSE
    + "#define LEAVE_IF(x) if (x) return 0\n#define leave_if(x) if (x) return 0\n#define QUIT if (quirk) return 0\n#define drop(x) x = NULL\n#define leaves(x) ({ if (x) return 0; 1; })\n#define IS_ERR_OR_NULL(x) (!(x))\n"
)
OTHERS = {
    "owngetter": "struct gpio_desc *devm_gpiod_get(struct device *dev, const char *name, int flags)\n{\n\treturn NULL;\n}\n",
    "giver": "int give_irq(struct i2c_client *one)\n{\n\tone->irq = 5;\n\treturn 0;\n}\nEXPORT_SYMBOL(give_irq);\nint give_node(struct device *one)\n{\n\tone->of_node = find();\n\treturn 0;\n}\nEXPORT_SYMBOL(give_node);\n",
    # what a probe runs, and what it does not come to
    "core": "static int later(void)\n{\n\treturn 0;\n}\nint core_probe(struct device *dev)\n{\n\tearly_core();\n\tif (!dev->of_node)\n\t\treturn -ENODEV;\n\treturn later();\n}\nEXPORT_SYMBOL(core_probe);\nint core_work(void)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL(core_work);\nint early_core(void)\n{\n\treturn 0;\n}\n",
    "used": "int used_early(void)\n{\n\treturn helper();\n}\nEXPORT_SYMBOL(used_early);\nint used_late(void)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL(used_late);\nint helper(void)\n{\n\treturn 0;\n}\n",
    "cell": 'static struct platform_driver cell_driver = {\n\t.driver = {\n\t\t.name = "late-cell",\n\t},\n};\nmodule_platform_driver(cell_driver);\n',
    "cell2": 'static struct platform_driver cell2_driver = {\n\t.driver = {\n\t\t.name = "early-cell",\n\t},\n};\nmodule_platform_driver(cell2_driver);\n',
    "creator": "static struct i2c_board_info boards[] = {\n\t{ I2C_BOARD_INFO(\"created\", 0x10), .irq = 5 },\n};\nstatic struct usb_driver c_driver = {\n\t.name = \"c\",\n};\nmodule_usb_driver(c_driver);\n",
}  # fmt: skip
NODE = "if (!client->dev.of_node)\n\treturn -ENODEV;\n"
GLUES = {
    "glue": "used_early();\n\tdevm_mfd_add(early);\n\treturn core_probe(&client->dev);",
    "lateuser": NODE + "\tdevm_mfd_add(late);\n\tused_late();\n\treturn core_work();",
    "created": NODE + "\treturn 0;",
    "labels": "ret = used_early();\n\tif (ret)\n\t\tgoto undo;\n\t" + NODE + "\treturn rest();\nundo:\n\tundone();\n\treturn ret;",
    "twice": "twice(client, other);\n\treturn twice(client, client->dev.of_node);",
    "attributes": "sysfs_create(&dev_attr_mode);\n" + NODE + "return rest();",
}
CELLS = 'static const struct mfd_cell late[] = {\n\t{ .name = "late-cell" },\n};\nstatic const struct mfd_cell early[] = {\n\t{ .name = "early-cell" },\n};\n'
UNDONE = "static void undone(void)\n{\n}\nstatic int rest(void)\n{\n\treturn 0;\n}\n"
TWICE = "static int second(void)\n{\n\treturn 0;\n}\nstatic int twice(struct i2c_client *client, void *node)\n{\n\tif (!node)\n\t\treturn -ENODEV;\n\treturn second();\n}\n"
ATTRIBUTES = "static int rest(void)\n{\n\treturn 0;\n}\nstatic int mode_show(int x)\n{\n\treturn x;\n}\nstatic DEVICE_ATTR_RO(mode);\n"


@pytest.fixture(scope="module")
def tree(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    path = tmp_path_factory.mktemp("probes") / "linux"
    shutil.copytree(first_kernel.path, path, symlinks=True)
    kernel = Kernel(path, first_kernel.env)
    files = {name: i2c(name, "", probe.replace("\n", "\n\t"), BEFORE) for name, probe in {**FAILS, **GOES_ON}.items()}
    files["owngetter"] = i2c("owngetter", "", FAILS["gpio"], BEFORE + OTHERS["owngetter"])
    files |= {name: i2c(name, "", probe, IDS + ("\n" + CELLS if name in ("glue", "lateuser") else "")) for name, probe in GLUES.items()}
    files["labels"] = i2c("labels", "", GLUES["labels"], IDS + "\n" + UNDONE)
    files["twice"] = i2c("twice", "", GLUES["twice"], IDS + "\n" + TWICE)
    files["attributes"] = i2c("attributes", "", GLUES["attributes"], IDS + "\n" + ATTRIBUTES)
    files |= {name: OTHERS[name] for name in OTHERS if name != "owngetter"}
    for name, content in files.items():
        kernel.write(f"drivers/net/{name}.c", content)
    for header, content in (("pci.h", PCI_H), ("pci_ids.h", IDS_H)):
        kernel.write(f"include/linux/{header}", content)
    kernel.write("drivers/net/stub.h", "static inline int parse(struct i2c_client *client)\n{\n\treturn 0;\n}\n")
    objects = " ".join(f"{name}.o" for name in files)
    kernel.write("drivers/net/Makefile", kernel.read("drivers/net/Makefile") + f"obj-$(CONFIG_ALL) += {objects}\n")
    options = "".join(f'config {name}\n\ttristate "{name}"\n' for name in OPTIONS)
    kernel.write("drivers/net/Kconfig", kernel.read("drivers/net/Kconfig") + options)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "probes")
    kernel.triage("index", "--quiet")
    return kernel


@pytest.fixture
def ask(tree: Kernel) -> Iterator[Ask]:
    yield from asked(tree.path)


@pytest.mark.parametrize("name", FAILS)
def test_a_probe_that_gets_to_an_error_for_certain_binds_nothing(ask: Ask, name: str) -> None:
    found = of(ask, f"{name}.c")
    assert found.answer is Answer.NO and "its probe always fails" in found.facts[0].claim, found.question


@pytest.mark.parametrize("name", [*GOES_ON, "owngetter"])
def test_a_probe_that_may_go_on_is_no_proof(ask: Ask, name: str) -> None:
    assert of(ask, f"{name}.c").answer is not Answer.NO


def test_what_the_probe_runs_until_then_is_kept(ask: Ask) -> None:
    found = of(ask, "core.c")  # through its glue
    assert found.answer is Answer.NO
    assert {"core_probe", "early_core"} <= found.running and not {"later", "core_work"} & found.running
    found = of(ask, "used.c")
    assert found.answer is Answer.NO
    assert {"used_early", "helper"} <= found.running and "used_late" not in found.running


def test_a_cell_that_is_made_behind_the_failure_is_never_made(ask: Ask) -> None:
    assert of(ask, "cell.c").answer is Answer.NO
    assert of(ask, "cell2.c").answer is Answer.UNKNOWN


def test_kernel_code_that_creates_the_client_may_give_it_what_it_needs(ask: Ask) -> None:
    found = of(ask, "created.c")
    assert found.answer is Answer.UNKNOWN and "creates a device called 'created'" in found.question


def test_a_name_that_a_macro_pastes_counts_as_mentioned(ask: Ask) -> None:
    found = of(ask, "attributes.c")
    assert found.answer is Answer.NO and "mode_show" in found.running and "rest" not in found.running


def test_what_stands_behind_a_label_runs_where_anything_jumps_to_it(ask: Ask) -> None:
    found = of(ask, "labels.c")
    assert found.answer is Answer.NO and "undone" in found.running


def test_a_function_that_fails_at_one_place_alone_counts_as_a_whole(ask: Ask) -> None:
    found = of(ask, "twice.c")
    assert found.answer is Answer.NO and "second" in found.running


def test_a_change_in_what_the_probe_runs_stays_open(tree: Kernel, tmp_path: pathlib.Path) -> None:
    shutil.copytree(tree.path, tmp_path / "linux", symlinks=True)
    kernel = Kernel(tmp_path / "linux", tree.env)
    for old, new, reachable in (
        ("int used_late(void)\n{\n\treturn 0;", "int used_late(void)\n{\n\treturn 1;", "no"),
        ("int helper(void)\n{\n\treturn 0;", "int helper(void)\n{\n\treturn 1;", "unknown"),
    ):
        kernel.replace("drivers/net/used.c", old, new)
        kernel.git("commit", "-qam", "change")
        verdict = json.loads(kernel.triage("check", "HEAD", "--offline", "--format", "json"))
        assert verdict["Reachable"] == reachable, verdict


def test_without_the_index_nobody_knows_what_other_files_give(tree: Kernel, tmp_path: pathlib.Path) -> None:
    shutil.copytree(tree.path, tmp_path / "linux", symlinks=True)
    shutil.rmtree(tmp_path / "linux/.git/patch-triage/index")
    for ask in asked(tmp_path / "linux"):
        assert of(ask, "gpio.c").answer is not Answer.NO
