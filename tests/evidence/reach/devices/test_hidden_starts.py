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
    "redefined_in_a_header_elsewhere": FUNCTION + '#include <far_hidden.h>\nCLK_OF_DECLARE(it, "it", it);',
    "redefined_in_a_header_of_a_header_elsewhere": FUNCTION + "#include <far.h>\nIRQCHIP_MATCH_HEAD(it);",
    "redefined_in_header": FUNCTION + '#include "hidden.h"\nMODULE_INFO(it);',
    "assembly": FUNCTION + 'asm(".section .initcall6.init\\n.long it - .\\n.previous");',
    "section": FUNCTION + 'static initcall_t p __section(".initcall6.init") = it;',
    "attribute": FUNCTION + 'static void *p __attribute__((__section__(".initcall6.init"), used)) = it;',
    "constructor": "static void __attribute__((constructor)) it(void)\n{\n}",
    "system_call": "SYSCALL_DEFINE1(it, unsigned long, arg)\n{\n\treturn arg;\n}",
    "compat_system_call": "COMPAT_SYSCALL_DEFINE1(it, unsigned long, arg)\n{\n\treturn arg;\n}",
    "init_module": "int init_module(void)\n{\n\treturn misc_register(&own_dev);\n}",
    "aliased_init_module": FUNCTION + 'int init_module(void) __attribute__((alias("it")));',
    "alias_by_the_kernel": FUNCTION + "int init_module(void) __alias(it);",
    "init_module_by_macro": "#define begin init_module\nint begin(void)\n{\n\treturn misc_register(&own_dev);\n}",
    "attribute_of_its_header": FUNCTION + '#include "hidden.h"\nstatic initcall_t p PUT = it;',
    "bracketed_attribute": "[[gnu::constructor]] static void it(void)\n{\n}",
    "option_of_boot": FUNCTION + '__setup_param("it=", it_setup, it, 0);',
    "instead_of_a_weak_one": "int own_quirk(void)\n{\n\treturn 0;\n}",
    "own_declaration": FUNCTION + "#define OWN_DECLARE(fn) late_initcall(fn)\nOWN_DECLARE(it);",
    "own_setup": FUNCTION + "#define __own_setup(fn) late_initcall(fn)\n__own_setup(it);",
    "behind_a_brace": "static int __init it(void)\n{\n\treturn misc_register(&own_dev);\n} late_initcall(it);",
    "behind_a_statement": 'static int __init it(void)\n{\n\treturn misc_register(&own_dev);\n}\nMODULE_AUTHOR("a"); late_initcall(it);',
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
    "given": "core_set(it);",
    "given_by_address": "core_set(&it);",
    "given_by_cast": "core_set((void *)it);",
    "given_if": "core_set(fine ? it : NULL);",
    "given_in_array": "core_set(own_calls);",
    "given_local": "struct core_ops ops = { .hook = it };\n\n\tcore_set(&ops);",
    "given_alias": "const struct file_operations *ops = &own_ops;\n\n\tcore_set(ops);",
    "given_by_helper": "own_set(it);",
    "assigned_by_helper": "own_hook(it);",
    "own_macro_calls": "OWN_BEGIN();",
    "header_macro_calls": "HEADER_BEGIN();",
    "header_function": "header_begin();",
    "member_named_like_its_own": "core(1)->own_ops = &own_ops;",
    "member_behind_parentheses": "(*core(1)).own_ops = &own_ops;",
    "behind_a_cast_pointer": "*(const void **)own_pointer = &own_ops;",
    "slot_of_a_local_pointer": "hook_t *own_array = core();\n\n\town_array[0] = it;",
    "passed_pointer": "own_pointer = it;\n\tcore_set(own_pointer);",
    "passed_member": "core_set(own_hook.run);",
    "passed_element": "core_set(own_calls[0]);",
    "given_of_another_file": "core_set(it_far);",
    "given_in_array_of_another_file": "core_set(far_calls);",
    "assigned_of_another_file": "core(1)->hook = it_far;",
    "work_of_another": "INIT_WORK(&core_others.work, it);",
    "board_that_calls": "ret = dmi_check_system(own_starting_boards);",
    "at_once": "acpi_get_devices(NULL, own_begin, NULL, NULL);",
    "listed": "list_add_tail(&own_hook.list, &core_hooks);",
    "listed_behind_a_pointer": "struct list_head *own_list = core_list();\n\n\tlist_add(&own_hook.list, own_list);",
    "listed_in_a_local": "struct list_head own_list;\n\n\tlist_add(&own_hook.list, &own_list);",
    "listed_in_an_extern": "list_add(&own_hook.list, &core_list);",
    "list_that_leaves": "list_add(&own_hook.list, &own_list);\n\tlist_splice(&own_list, core_list());",
    "stored": "xa_store(&core_xa, 1, &own_ops, GFP_KERNEL);",
    "numbered": "ret = idr_alloc(&core_idr, &own_hook, 0, 0, GFP_KERNEL);",
    "copied_into": "memcpy(&core_ops, &own_ops, sizeof(own_ops));",
    "driver_data": "dev_set_drvdata(core_device, &own_ops);",
    "filled_in_and_given": "own_later.run = it;\n\tcore_set(&own_later);",
    "given_in_array_of_tables": "core_set(own_tables);",
    "slot_behind_its_pointer": "own_slots[3] = it;",
    "spelled_like_a_string": "stream_register(&own_ops);",
    "spelled_like_a_string_of_another_driver": "stream_add(&own_ops);",
    "spelled_like_a_work": "init_framework(&own_ops);",
    "spelled_like_a_work_and_given_a_function": "init_framework(it);",
    "called_for_a_node": "of_irq_init(own_steps);",
    "spelled_like_a_tree": "of_own_notifier_register(&own_ops);",
    "timer": "mod_timer(&own_timer, jiffies);",
    "called_through_a_variable": "own_start();",
    "called_through_a_table": "for (ret = 0; ret < 2; ret++)\n\t\town_steps[ret].begin();",
    "called_by_a_walk": "for (step = own_steps; step->begin; step++)\n\t\tstep->begin();",
    "called_through_a_table_of_tables": "own_chain[0]->begin();",
    "called_through_a_local": "int (*begin)(void) = own_begin;\n\n\tret = begin();",
    "called_through_a_local_that_is_set": "int (*begin)(void);\n\n\tbegin = fine ? own_begin : NULL;\n\tret = (*begin)();",
    "called_through_a_local_of_a_type": "initcall_t begin = own_begin;\n\n\tret = begin();",
    "called_in_parentheses": "ret = (own_begin)();",
    "called_through_a_star": "ret = (*own_begin)();",
    "called_by_a_helper": "ret = own_run(own_begin);",
    "called_by_a_helper_with_a_table": "ret = own_run_step(&own_step);",
    "called_by_a_getter": "ret = own_get()->begin();",
    "called_by_a_getter_and_a_helper": "ret = own_run_step(own_get());",
    "called_behind_a_member": "own_later.begin = own_begin;\n\tret = own_run_later();",
    "called_behind_a_local_member": "struct step step;\n\n\tstep.begin = own_begin;\n\tret = own_run_step(&step);",
    "called_through_a_macro": "ret = (OWN_NAME)();",
    "called_by_a_macro": "ret = OWN_RUN(own_begin);",
    "called_by_a_macro_with_a_known_name": "pr_run(own_begin);",
    "called_by_a_macro_with_a_table": "ret = OWN_STEP(&own_step);",
    "called_by_a_walk_of_a_list": "list_add(&own_listed.list, &own_hooks);\n\town_walk();",
    "called_as_a_work": "INIT_WORK(&own_later.work, own_begin_work);\n\town_later.work.func(&own_later.work);",
    "called_through_another_file": "ret = far_table.begin();",
    "macro_without_parentheses": "OWN_BEGINNING;",
    "delayed_work": "INIT_DELAYED_WORK(&own_work, own_begin_work);\n\tmod_delayed_work(system_wq, &own_work, 0);",
    "interrupt_work": "init_irq_work(&own_work, own_begin_work);\n\tirq_work_queue(&own_work);",
    "of_a_processor": "per_cpu(core_hook, 0) = it;",
    "hook_in_parentheses": "(core_hook) = it;",
    "behind_a_call": "*core_hook(1) = it;",
    "one_of_two_hooks": "*(ret ? &core_hook : &core_second) = it;",
    "added_bits": "core_hook |= (unsigned long)it;",
    "two_assignments": "own_pointer = core_hook = it;",
    "given_by_getter": "core_set(own_get());",
    "assigned_by_getter": "core_hook = own_get();",
    "getter_of_a_function": "core_hook = own_getter();",
    "getter_through_a_local": "const struct step *step;\n\n\tstep = own_get();\n\tcore_set(step);",
    "copied_slots": "for (ret = 0; ret < 2; ret++)\n\t\tcore_hooks[ret] = own_calls[ret];",
    "linked_by_hand": "core_list.next = &own_hook.list;",
    "pointer_given": "int (*pointer)(unsigned long) = it;\n\n\tcore_set(pointer);",
    "table_at_runtime": "table_at_runtime_driver.id_table = own_ids;",
    "driver_file": "own_file(&pdev->driver);",
    "bus_file": "bus_create_file(&own_bus, &bus_attr_scan);",
    "class_file": "class_create_file(&own_class, &class_attr_add);",
}
# members of what an initcall registers whose files user space opens without a device
OWN_FILES = {"class_groups": "class_register(&it);", "bus_groups": "bus_register(&it);", "drv_groups": "bus_register(&it);"}
# beside level.h, which has a setter for the type
LEVELS_OPEN = {
    "variable_named_like_a_type": "module_param_named(x, byte, own_level, 0644);",
    "type_by_macro": "#define LEVEL own_level\nmodule_param(x, LEVEL, 0644);",
    "type_named_like_one": "#define byte own_level\nmodule_param(x, byte, 0644);",
    "operations_by_macro": "#define param_ops_int param_ops_own_level\nmodule_param(x, int, 0644);",
    "own_parameter": "#define module_param(name, type, perm) module_param_cb(name, &param_ops_own_level, &name, perm)\nmodule_param(x, int, 0644);",
    "operations_of_its_own": "module_param_cb_unsafe(x, &param_ops_own_level, &x, 0644);",
    "type_that_a_macro_makes": "OWN_LEVEL(other);\nmodule_param_unsafe(x, other, 0644);",
    "core_parameter": "core_param(x, x, own_level, 0644);",
    "array_of_levels": "module_param_array_named(x, int, own_level, NULL, 0644);",
}
LEVELS_CLOSED = {
    "core_number": "core_param(x, x, bool, 0644);",
    "hardware_parameter": "module_param_hw(x, int, irq, 0444);",
    "named_array": "module_param_array_named(x, level, charp, NULL, 0644);",
    "unsafe_parameter": "module_param_named_unsafe(x, level, bool, 0400);",
}
CLOSED = {
    "plain": FUNCTION,
    "init_module_of_another": "extern int init_module(void);\nint other_quirk(void)\n{\n\treturn 0;\n}",
    "hidden": FUNCTION + "#if 0\ndevice_initcall(it);\n#endif\n#define unused(fn) other(fn)\nunused(it);",
    "other_macro": FUNCTION + '#define REG(a) static int reg_##a\nREG(one);\nMODULE_AUTHOR("a");\nEXPORT_NOTHING(level);',
    "plain_declaration": FUNCTION + "#define OWN_DECLARE(fn) static const int level_##fn = 3\nOWN_DECLARE(it);",
    "called_setup": FUNCTION + "static void inside(void)\n{\n\t__core_setup(3);\n}",
    "pointer": "static int (*callback)(int);\nint (*callbacks[3])(void);",
    "assembly_inside": FUNCTION + 'static void inside(void)\n{\n\tasm volatile("nop");\n}',
}
ASSIGNED_CLOSED = {
    "own_member": "own_ops.open = it;",
    "result": "ret = it(3);",
    "number": "core_hooks_used = 3;",
    "compared": "ret = core_hook == 0;",
    "numbers": "core_set(own_numbers);",
    "size": "ret = ARRAY_SIZE(own_calls);",
    "named_in_text": 'core_set("it");',
    "serial": "ret = uart_register_driver(&own_uart);",
    "board": "ret = dmi_check_system(own_boards);",
    "walked": "const struct quirk *p = own_quirks;\n\n\tret = p->level;",
    "local_number": "own_set(3);",
    "message": 'HEADER_LOG("begins");',
    "class": "class_register(&own_class);",
    "listed_in_its_own": "list_add_tail(&own_hook.list, &own_hooks);",
    "listed_in_a_structure": "list_add(&own_hook.list, &own_list);",
    "listed_without_a_callback": "list_add_tail(&own_hooks, &core_hooks);",
    "stored_in_its_own": "xa_store(&own_xa, 1, &own_ops, GFP_KERNEL);",
    "element_of_numbers": "core_levels[3] = own_numbers[1];",
    "local_of_a_getter": "const struct step *step;\n\n\tstep = own_get();\n\tret = step->level;",
    "number_of_nothing": "ret = idr_alloc(&core_idr, NULL, 0, 0, GFP_KERNEL);",
    "filled_in": "own_later.run = it;",
    "own_member_if": "if (ret)\n\t\town_ops.open = it;",
    "passed_name": "core_set(own_hook.name);",
    "given_a_name": "core_set(it_hidden);",
    "work_of_its_own": "INIT_WORK(&own_later.work, own_begin_work);",
    "given_a_table_and_not_called": "ret = own_level(&own_step);",
    "driver_by_pointer": "struct pci_driver *driver = &driver_by_pointer_driver;\n\n\tret = own_level(&driver->driver);",
    "at_once_harmless": "acpi_get_devices(NULL, it, NULL, NULL);",
    "slot_of_its_own": "own_array[3] = it;",
    "not_filled_in": "core_set(&own_empty);",
    "reads_a_table": "ret = own_steps[1].level;",
    "calls_through_another": "for (ret = 0; ret < 2; ret++)\n\t\town_plain[ret].begin();",
    "unregistered": "stream_unregister(&own_ops);",
    "spelled_like_a_string_of_the_kernel": "strset_of(&own_ops);",
    "spelled_like_a_string_and_given_nothing": "stream_add(own_numbers);",
}


OWN = """static struct file_operations own_ops = {
	.read = it,
};
static int (*own_calls[])(unsigned long) = { it };
static struct uart_driver own_uart = { .nr = 4 };
static const struct dmi_system_id own_boards[] = { { .callback = it } };
static const int own_numbers[] = { 1, 2 };
static const struct quirk own_quirks[] = { { .level = 3 } };
static struct hook own_hook = { .run = it };
static LIST_HEAD(own_hooks);
static DEFINE_XARRAY(own_xa);
static struct list_head own_list;
static void *own_pointer;
static int (*far_calls[])(void) = { it_far };
extern
struct list_head core_list;
static int own_begin(void)
{
	return misc_register(&own_dev);
}
static int (*own_start)(void) = own_begin;
static const struct dmi_system_id own_starting_boards[] = { { .callback = own_begin } };
static const struct step own_steps[] = { { .begin = own_begin }, { .level = 3 } };
static const struct step own_step = { .begin = own_begin };
static const struct step *own_get(void)
{
	return &own_step;
}
static int (*own_getter(void))(unsigned long)
{
	return it;
}
static struct work own_work;
static int own_run(int (*fn)(void))
{
	return fn();
}
static int own_run_step(const struct step *step)
{
	return step->begin();
}
static int own_run_later(void)
{
	return own_later.begin();
}
static void own_begin_work(struct work_struct *work)
{
	misc_register(&own_dev);
}
static struct hook own_listed = { .begin = own_begin };
static void own_walk(void)
{
	struct hook *hook;

	list_for_each_entry(hook, &own_hooks, list)
		hook->begin();
}
static int own_level(const struct step *step)
{
	return step->level;
}
#define OWN_NAME own_begin
#define OWN_RUN(fn) fn()
#define OWN_STEP(step) ((step)->begin())
#define pr_run(fn) fn()
static const struct step own_plain[] = { { .begin = other_begin } };
static const struct step *own_chain[] = { own_steps };
static struct hook own_later, own_empty;
static const void *own_tables[] = { &own_ops };
static hook_t *own_slots, own_array[4];
static struct class own_class = { .name = "own" };
#define OWN_BEGINNING misc_register(&own_dev)
#define OWN_BEGIN() misc_register(&own_dev)
static void own_set(void *given)
{
	core_set(given);
}
static void own_hook(void *given)
{
	core_hook = given;
}
static int own_file(struct device_driver *drv)
{
	return driver_create_file(drv, &driver_attr_version);
}
"""


def assigning(name: str, statement: str) -> str:
    init = f"static int __init {name}_init(void)\n{{\n\tint ret = 0;\n\n\t{statement}\n\treturn pci_register_driver(&{name}_driver);\n}}\nmodule_init({name}_init);"
    return pci_driver(name, CHELSIO, f'#include "hidden.h"\n{FUNCTION}{OWN}', init)


TWO_FILES = (
    "called_through_another_file",
    "given_of_another_file",
    "given_in_array_of_another_file",
    "assigned_of_another_file",
    "given_a_name",
)  # beside far.c
FAR = "static int far_begin(void)\n{\n\treturn misc_register(&own_dev);\n}\nstruct step far_table = { .begin = far_begin };\n"
MORE = "static const struct pci_device_id more_ids[] = {\n\t{ PCI_VDEVICE(INTEL, 0x100e) },\n\t{ }\n};"


ANNOUNCED = MORE + "\nMODULE_DEVICE_TABLE(pci, more_ids);\n"
USED = "static int used(struct pci_dev *dev)\n{{\n\treturn {}(more_ids, dev) != NULL;\n}}\n"
# tables of the machine's devices that no driver structure names
TABLES_OPEN = {
    "given_table": ANNOUNCED + USED.format("core_find"),
    "table_of_all": ANNOUNCED.replace("static ", "", 1),
    "pasted_table": ANNOUNCED + "#define IDS(name) name##_ids\n",
}
TABLES_CLOSED = {"announced_table": ANNOUNCED, "looked_up_table": ANNOUNCED + USED.format("pci_match_id")}


def registering(*drivers: str) -> str:
    calls = "".join(f"\tret = pci_register_driver(&{driver});\n" for driver in drivers)
    return f"static int __init it_init(void)\n{{\n\tint ret;\n\n{calls}\treturn ret;\n}}\nmodule_init(it_init);"


def with_files(member: str, statement: str) -> str:
    return assigning(member, statement).replace(OWN, f"static struct thing it = {{\n\t.{member} = it_groups,\n}};")


def with_parameter(name: str, line: str) -> str:
    return pci_driver(name, CHELSIO, '#include "level.h"', f"{line}\nmodule_pci_driver({name}_driver);")


FILES = {
    **{f"{name}.c": pci_driver(name, CHELSIO, more) for name, more in {**OPEN, **CLOSED, **TABLES_OPEN, **TABLES_CLOSED}.items()},
    **{f"{name}.c": assigning(name, statement) for name, statement in {**ASSIGNED_OPEN, **ASSIGNED_CLOSED}.items()},
    **{f"{name}.c": with_files(name, statement) for name, statement in OWN_FILES.items()},
    "driver_groups.c": pci_driver("driver_groups", CHELSIO).replace(".name =", ".driver = { .groups = it_groups },\n\t.name ="),
    **{f"{name}.c": with_parameter(name, line) for name, line in {**LEVELS_OPEN, **LEVELS_CLOSED}.items()},
    # two drivers, of which one is not read
    "second_in_header.c": pci_driver("seen", CHELSIO, '#include "second.h"', registering("seen_driver", "second_driver")),
    "second_by_attribute.c": pci_driver(
        "second",
        CHELSIO,
        'static struct pci_driver __odd other_driver = {\n\t.name = "other",\n};',
        registering("second_driver", "other_driver"),
    ),
    "second.h": 'static struct pci_driver second_driver = {\n\t.name = "second",\n};\n',
    "parameter.c": pci_driver(
        "parameter", CHELSIO, '#include "level.h"', "module_param_named(x, x, own_level, 0644);\nmodule_pci_driver(parameter_driver);"
    ),
    "level.h": "static const struct kernel_param_ops param_ops_own_level = {\n\t.set = own_set,\n};\n",
    "plain_parameter.c": pci_driver(
        "plain_parameter", CHELSIO, "", "module_param_named(x, y, int, 0644);\nmodule_pci_driver(plain_parameter_driver);"
    ),
    "either_table.c": pci_driver("either_table", CHELSIO, MORE)
    .replace(".id_table", "\n#ifdef CONFIG_ODD\n\t.id_table = more_ids,\n#else\n\t.id_table")
    .replace("\t.probe", "#endif\n\t.probe"),
    "twice_table.c": pci_driver("twice_table", CHELSIO, "#ifdef CONFIG_ODD\n" + MORE.replace("more", "twice_table") + "\n#else").replace(
        "MODULE_DEVICE", "#endif\nMODULE_DEVICE"
    ),
    "parts_of.c": pci_driver("parts_of", CHELSIO),
    "includes_parts.c": '#include "parts_of.c"\nstatic struct usb_driver second_driver = {\n\t.name = "second",\n};\nmodule_usb_driver(second_driver);\n',
    "named_part.c": pci_driver("named_part", CHELSIO),
    "includes_by_macro.c": '#define PART "named_part.c"\n#include PART\nstatic struct usb_driver second_driver = {\n\t.name = "second",\n};\nmodule_usb_driver(second_driver);\n',
    "string_parameter.c": pci_driver(
        "string_parameter", CHELSIO, "", "module_param_string(x, buf, sizeof(buf), 0444);\nmodule_pci_driver(string_parameter_driver);"
    ),
    "both_seen.c": pci_driver(
        "both", CHELSIO, "static struct pci_driver *const all[] = { &both_driver };", registering("both_driver", "all")
    ),
    "driver_macro.c": pci_driver("driver_macro", CHELSIO).replace(".name =", "COMMON_OF_ALL,\n\t.name ="),
    "device_groups.c": pci_driver("device_groups", CHELSIO).replace(".name =", ".driver = { .dev_groups = it_groups },\n\t.name ="),
    "hidden.h": """#define begin_of_header(fn) subsys_initcall(fn)
#define MODULE_INFO(fn) subsys_initcall(fn)
#define PUT __section(".initcall6.init")
#define HEADER_BEGIN() header_begin()
#define HEADER_LOG(text) pr_info(text)
static inline int header_begin(void)
{
	return misc_register(&own_dev);
}
""",
}


@pytest.fixture(scope="module")
def tree(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    place = tmp_path_factory.mktemp("hidden") / "linux"
    shutil.copytree(first_kernel.path, place, symlinks=True)
    kernel = Kernel(place, first_kernel.env)
    for path, content in FILES.items():
        kernel.write(f"drivers/net/{path}", content)
    kernel.write("drivers/net/far.c", FAR + "int it_far(void)\n{\n\treturn 1;\n}\nstatic int it_hidden(void)\n{\n\treturn 1;\n}\n")
    kernel.write("include/linux/pci.h", PCI_H)
    kernel.write("include/linux/pci_ids.h", IDS_H)
    kernel.write("kernel/quirk.c", "int __weak own_quirk(void)\n{\n\treturn 0;\n}\nint use(void)\n{\n\treturn own_quirk();\n}\n")
    kernel.write("drivers/far/far_hidden.h", "#define CLK_OF_DECLARE(name, text, fn) subsys_initcall(fn)\n")
    kernel.write(
        "drivers/far/core.c",
        "int stream_add(const void *ops)\n{\n\treturn call(ops);\n}\nint init_framework(void *ops)\n{\n\treturn call(ops);\n}\n",
    )
    kernel.write("tools/lib/stream.c", "int stream_add(const void *ops)\n{\n\treturn 0;\n}\n")  # no code of the kernel
    kernel.write("tools/include/linux/pci.h", "#define module_param_named(name, value, type, perm)\n")  # nor is this a header of a driver
    kernel.write("lib/strset.c", "int strset_of(const void *ops)\n{\n\treturn ops != NULL;\n}\n")
    kernel.write("drivers/far/far.h", '#include "deep.h"\n')
    kernel.write("drivers/far/deep.h", "#define IRQCHIP_MATCH_HEAD(fn) subsys_initcall(fn)\n")
    kernel.write("include/linux/begin.h", "#define begin_of_kernel(fn) arch_initcall(fn)\n")
    objects = [path[:-2] for path in FILES if path.endswith(".c")]
    two_files = "".join(f"both_{name}-y := {name}.o far.o\n" for name in TWO_FILES)
    listed = "".join(f"obj-$(CONFIG_TINYNET) += {'both_' * (name in TWO_FILES)}{name}.o\n" for name in objects)
    kernel.write("drivers/net/Makefile", two_files + listed)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "drivers")
    kernel.triage("index", "--quiet")
    return kernel


@pytest.fixture(scope="module")
def ask(tree: Kernel) -> Iterator[Ask]:
    yield from asked(tree.path)


@pytest.mark.parametrize(
    "name",
    [
        *OPEN,
        *ASSIGNED_OPEN,
        *OWN_FILES,
        *LEVELS_OPEN,
        *TABLES_OPEN,
        "driver_groups",
        "driver_macro",
        "second_in_header",
        "second_by_attribute",
        "parameter",
        "either_table",
        "twice_table",
        "parts_of",
        "named_part",
    ],
)
def test_what_runs_without_a_device_leaves_the_driver_open(ask: Ask, name: str) -> None:
    ask.begin_question()
    assert of(ask, f"{name}.c").answer is not Answer.NO


@pytest.mark.parametrize(
    "name", [*CLOSED, *LEVELS_CLOSED, *ASSIGNED_CLOSED, *TABLES_CLOSED, "device_groups", "both_seen", "plain_parameter", "string_parameter"]
)
def test_what_only_looks_so_does_not(ask: Ask, name: str) -> None:
    ask.begin_question()
    assert of(ask, f"{name}.c").answer is Answer.NO
