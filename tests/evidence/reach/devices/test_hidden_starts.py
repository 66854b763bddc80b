"""Code that runs without a device, in a driver for which no machine has one: a line for what opens it, beside it the nearest that does not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from hook.verdict import Answer
from tests.evidence.reach.devices.test_drivers import CHELSIO, IDS_H, PCI_H, Ask, asked, of, pci_driver
from tests.small_kernel import Kernel

FUNCTION = "static int it(unsigned long x)\n{\n\treturn x;\n}\n"
OPEN = {
    "own_macro": FUNCTION + "#define begin(fn) device_initcall(fn)\nbegin(it);",
    "nested_macro": FUNCTION + "#define really(fn) late_initcall(fn)\n#define begin(fn) really(fn)\n  begin(it)",
    "macro_without_arguments": FUNCTION + "#define BEGIN module_init(it)\nBEGIN;",
    "macro_of_its_header": FUNCTION + '#include "hidden.h"\nbegin_of_header(it);',
    "macro_of_the_kernel": FUNCTION + "#include <linux/begin.h>\nbegin_of_kernel(it);",
    "redefined_macro": FUNCTION + "#define MODULE_AUTHOR(fn) device_initcall(fn)\nMODULE_AUTHOR(it);",
    "redefined_in_header": FUNCTION + '#include "hidden.h"\nMODULE_INFO(it);',
    "assembly": FUNCTION + 'asm(".section .initcall6.init\\n.long it - .\\n.previous");',
    "section": FUNCTION + 'static initcall_t p __section(".initcall6.init") = it;',
    "attribute": FUNCTION + 'static void *p __attribute__((__section__(".initcall6.init"), used)) = it;',
    "constructor": "static void __attribute__((constructor)) it(void)\n{\n}",
    "system_call": "SYSCALL_DEFINE1(it, unsigned long, arg)\n{\n\treturn arg;\n}",
    "compat_system_call": "COMPAT_SYSCALL_DEFINE1(it, unsigned long, arg)\n{\n\treturn arg;\n}",
    "static_call": FUNCTION + "DEFINE_STATIC_CALL(core_calls, it);",
}
ASSIGNED_OPEN = {
    "hook": "core_hook = it;",
    "hook_by_address": "core_hook = &it;",
    "chosen_hook": "core_hook = fine ? it : NULL;",
    "member_behind_pointer": "core->hook = it;",
    "member": "core_ops.hook = it;",
    "table": "core->ops = &own_ops;",
    "copied_table": "*core = own_ops;",
    "slot": "core_hooks[3] = it;",
    "through_a_macro": "WRITE_ONCE(core_hook, it);",
    "rcu": "rcu_assign_pointer(core_hook, it);",
}
CLOSED = {
    "plain": FUNCTION,
    "hidden": FUNCTION + "#if 0\ndevice_initcall(it);\n#endif\n#define unused(fn) other(fn)\nunused(it);",
    "other_macro": FUNCTION + '#define REG(a) static int reg_##a\nREG(one);\nMODULE_AUTHOR("a");\nEXPORT_NOTHING(it);',
    "pointer": "static int (*callback)(int);\nint (*callbacks[3])(void);",
    "assembly_inside": FUNCTION + 'static void inside(void)\n{\n\tasm volatile("nop");\n}',
}
ASSIGNED_CLOSED = {
    "own_member": "own_ops.open = it;",
    "result": "ret = it(3);",
    "number": "core_hooks_used = 3;",
    "compared": "ret = core_hook == 0;",
}


def assigning(name: str, statement: str) -> str:
    init = f"static int __init {name}_init(void)\n{{\n\tint ret = 0;\n\n\t{statement}\n\treturn pci_register_driver(&{name}_driver);\n}}\nmodule_init({name}_init);"
    return pci_driver(name, CHELSIO, FUNCTION + "static struct file_operations own_ops = {\n\t.read = it,\n};", init)


FILES = {
    **{f"{name}.c": pci_driver(name, CHELSIO, more) for name, more in {**OPEN, **CLOSED}.items()},
    **{f"{name}.c": assigning(name, statement) for name, statement in {**ASSIGNED_OPEN, **ASSIGNED_CLOSED}.items()},
    "hidden.h": "#define begin_of_header(fn) subsys_initcall(fn)\n#define MODULE_INFO(fn) subsys_initcall(fn)\n",
}


@pytest.fixture(scope="module")
def tree(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    place = tmp_path_factory.mktemp("hidden") / "linux"
    shutil.copytree(first_kernel.path, place, symlinks=True)
    kernel = Kernel(place, first_kernel.env)
    for path, content in FILES.items():
        kernel.write(f"drivers/net/{path}", content)
    kernel.write("include/linux/pci.h", PCI_H)
    kernel.write("include/linux/pci_ids.h", IDS_H)
    kernel.write("include/linux/begin.h", "#define begin_of_kernel(fn) arch_initcall(fn)\n")
    kernel.write("drivers/net/Makefile", "".join(f"obj-$(CONFIG_TINYNET) += {path[:-2]}.o\n" for path in FILES if path.endswith(".c")))
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "drivers")
    kernel.triage("index", "--quiet")
    return kernel


@pytest.fixture(scope="module")
def ask(tree: Kernel) -> Iterator[Ask]:
    yield from asked(tree.path)


@pytest.mark.parametrize("name", [*OPEN, *ASSIGNED_OPEN])
def test_what_runs_without_a_device_leaves_the_driver_open(ask: Ask, name: str) -> None:
    ask.begin_question()
    assert of(ask, f"{name}.c").answer is Answer.UNKNOWN


@pytest.mark.parametrize("name", [*CLOSED, *ASSIGNED_CLOSED])
def test_what_only_looks_so_does_not(ask: Ask, name: str) -> None:
    ask.begin_question()
    assert of(ask, f"{name}.c").answer is Answer.NO
