"""Whether a virtual machine can have a device for a driver: one small tree with a driver of each kind, asked with the real catalogue."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Iterator, Sequence

import pytest

from hook import config
from hook.evidence.reach.answer import Reach
from hook.evidence.reach.devices import drivers, machine
from hook.kernel import kernel as target
from hook.source import setting_layers
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer
from tests.small_kernel import Kernel

PCI_H = """\
#define PCI_ANY_ID (~0)
#define PCI_DEVICE(vend,dev) \\
	.vendor = (vend), .device = (dev), \\
	.subvendor = PCI_ANY_ID, .subdevice = PCI_ANY_ID
#define PCI_VDEVICE(vend, dev) \\
	.vendor = PCI_VENDOR_ID_##vend, .device = (dev), \\
	.subvendor = PCI_ANY_ID, .subdevice = PCI_ANY_ID, 0, 0
#define PCI_DEVICE_CLASS(dev_class,dev_class_mask) \\
	.class = (dev_class), .class_mask = (dev_class_mask), \\
	.vendor = PCI_ANY_ID, .device = PCI_ANY_ID, \\
	.subvendor = PCI_ANY_ID, .subdevice = PCI_ANY_ID
"""
IDS_H = """\
#define PCI_VENDOR_ID_INTEL		0x8086
#define PCI_VENDOR_ID_CHELSIO		0x1425 /* of Sunnyvale */
"""
OPTIONS = (
    "NIC", "SWITCH", "ODD", "CLASSY", "XHC", "USBNIC", "GPIOX", "CELL", "CELLMAKER", "GOODLIB", "BADLIB", "MISCD", "PARAM",
    "FIXUP", "DRM_VKMS", "SHARED1", "SHARED2", "CHIP", "REFUSED", "AUX", "ZERO", "HIDDEV", "TWICE", "NOTABLE", "HANDLIB", "HANDED", "NODE", "UNSEEN", "CELLBOX", "PRINTED",
    "USB_DUMMY_HCD", "USB_RAW_GADGET", "UHID", "I2C_STUB",
)  # fmt: skip
MAKEFILE = """\
nic-y := nic_main.o nic_hw.o
obj-$(CONFIG_NIC) += nic.o
switch-objs := switch_main.o switch_core.o
obj-$(CONFIG_SWITCH) += switch.o
obj-$(CONFIG_ODD) += odd.o rv100.o xhci.o vmwdrv.o builtin.o unused.o halves.o alone.o column.o labelled.o ruled.o kept.o varied.o listed.o pastes.o wraps.o traces.o usespastes.o halfstatic.o
obj-$(CONFIG_CLASSY) += classy.o
obj-$(CONFIG_XHC) += xhc.o
obj-$(CONFIG_USBNIC) += usbnic.o
obj-$(CONFIG_HIDDEV) += hiddev.o
obj-$(CONFIG_GPIOX) += gpiox.o
obj-$(CONFIG_CELL) += cell.o madebyswitch.o
obj-$(CONFIG_CELLMAKER) += cellmaker.o
obj-$(CONFIG_TWICE) += farpart.o
obj-$(CONFIG_GOODLIB) += goodlib.o chiplib.o
obj-$(CONFIG_BADLIB) += badlib.o
obj-$(CONFIG_MISCD) += miscd.o
obj-$(CONFIG_PARAM) += param.o
obj-$(CONFIG_FIXUP) += fixup.o
vkms-y := vkms_drv.o
obj-$(CONFIG_DRM_VKMS) += vkms.o
one-y := shared.o one_main.o
two-y := shared.o two_main.o
obj-$(CONFIG_SHARED1) += one.o
obj-$(CONFIG_SHARED2) += two.o
obj-$(CONFIG_CHIP) += chip.o
obj-$(CONFIG_REFUSED) += refused.o refusedif.o refusedlate.o
obj-$(CONFIG_AUX) += auxdrv.o
obj-$(CONFIG_ZERO) += acpidrv.o
obj-$(CONFIG_TWICE) += twice.o
obj-$(CONFIG_NOTABLE) += notable.o
obj-$(CONFIG_HANDLIB) += handlib.o
obj-$(CONFIG_HANDED) += handed.o
obj-$(CONFIG_NODE) += node.o fallback.o within.o optional.o rooted.o jumping.o stubbed.o stubfirst.o alike.o
alike-y := alike_main.o alike_more.o
obj-$(CONFIG_UNSEEN) += unseen.o
obj-$(CONFIG_CELLBOX) += cellbox.o
obj-$(CONFIG_PRINTED) += printed.o printer.o
obj-$(CONFIG_ODD) += conditional.o including.o bymacro.o empty.o withouttable.o overridden.o
hostprogs := mkids
"""


def pci_driver(name: str, table: str, more: str = "", start: str = "") -> str:
    return f"""\
#include <linux/pci.h>
{more}
static const struct pci_device_id {name}_ids[] = {{
{table}
	{{ 0, }}
}};
MODULE_DEVICE_TABLE(pci, {name}_ids);
static int {name}_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{{
	return 0;
}}
static struct pci_driver {name}_driver = {{
	.name = "{name}",
	.id_table = {name}_ids,
	.probe = {name}_probe,
}};
{start or f"module_pci_driver({name}_driver);"}
"""


CHELSIO = "\t{ PCI_VDEVICE(CHELSIO, 0x5001) },"
COPIED = ("suffixed", "shipped", "renamed", "uncopied")
FIND = '\tnp = of_find_compatible_node(NULL, NULL, "acme,node");\n\tif (!np)\n\t\treturn -ENODEV;\n'
WITHOUT_NODE = {
    "fallback": FIND.replace("-ENODEV", "fall_back()"),
    "within": f"\tif (quirk) {{\n{FIND}\t}}\n\treturn fall_back();\n",
    "optional": f"#ifdef CONFIG_OF\n{FIND}#endif\n\treturn fall_back();\n",
    "rooted": FIND.replace('compatible_node(NULL, NULL, "acme,node")', 'node_by_path("/")') + "\treturn fall_back();\n",
    "jumping": f"\tif (quirk)\n\t\tgoto out;\n{FIND}out:\n\treturn fall_back();\n",
}
FILES = {
    "include/linux/pci.h": PCI_H,
    "include/linux/pci_ids.h": IDS_H,
    "drivers/net/Makefile": MAKEFILE + "obj-$(CONFIG_TINYNET) += tinynet.o pasted.o\nobj-$(CONFIG_ODD) += suffixed.o shipped.o renamed.o uncopied.o\n",
    # a driver of two files, whose table is written with macros of its own
    "drivers/net/nic_main.c": pci_driver("nic", "\tNIC_LINE(NIC_DEV_82574L),", '#include "nic.h"'),
    "drivers/net/nic.h": "#define NIC_DEV_82574L 0x10D3\n#define NIC_LINE(id) { PCI_VDEVICE(INTEL, id), 7 }\nint nic_reset(void);\n",
    "drivers/net/pasted.c": pci_driver("pasted", "\tPASTED(INTEL),", "#define VENDOR(v) PCI_VENDOR_ID_##v\n#define PASTED(v) { PCI_DEVICE(VENDOR(v), 0x10d3) }"),
    "arch/sparc/net/jit.h": "#define INTEL 0x0a\n",
    "drivers/net/nic_hw.c": '#include "nic.h"\nint nic_reset(void)\n{\n\treturn 0;\n}\n',
    "drivers/net/switch_main.c": pci_driver("switch", CHELSIO),
    "drivers/net/switch_core.c": "int switch_helper(void)\n{\n\treturn 1;\n}\n",
    # exported by a macro: which functions, cannot be seen; another driver uses them
    "drivers/net/pastes.c": pci_driver("pastes", CHELSIO, "#define GIVE(x) \\\nint give_##x(void) \\\n{ \\\n\treturn 1; \\\n} \\\nEXPORT_SYMBOL(give_##x)\nGIVE(one);"),
    "drivers/net/wraps.c": pci_driver("wraps", CHELSIO, '#include "wraps.h"\nint wrapped(void)\n{\n\treturn 1;\n}\nGIVEN(wrapped);'),
    "drivers/net/wraps.h": "#define GIVEN(x) EXPORT_SYMBOL_GPL(x)\n",
    "drivers/net/traces.c": pci_driver("traces", CHELSIO, "#define NOTED(x) EXPORT_TRACEPOINT_SYMBOL(x)\nNOTED(passed);"),
    "drivers/net/usespastes.c": 'static int usespastes_probe(void)\n{\n\treturn give_one() + wrapped();\n}\nstatic struct usb_driver up = {\n\t.name = "up",\n\t.probe = usespastes_probe,\n};\nmodule_usb_driver(up);\n',
    "drivers/net/odd.c": pci_driver("odd", "\t{ PCI_DEVICE(VENDOR_NOBODY_DEFINES, 0x1) },"),
    "drivers/net/classy.c": pci_driver("classy", "\t{ PCI_DEVICE_CLASS(0x0c0340, ~0) },"),
    "drivers/net/xhc.c": pci_driver("xhc", "\t{ PCI_DEVICE_CLASS(0x0c0330, ~0) },"),
    "drivers/net/notable.c": "static struct pci_driver x_driver = {\n\t.name = \"x\",\n\t.id_table = elsewhere_ids,\n};\nmodule_pci_driver(x_driver);\n",
    "drivers/net/usbnic.c": "static struct usb_driver usbnic = {\n\t.name = \"usbnic\",\n};\nmodule_usb_driver(usbnic);\n",
    "drivers/net/hiddev.c": "static struct hid_driver hd = {\n\t.name = \"hd\",\n};\nmodule_hid_driver(hd);\n",
    # bound by a device tree alone, which no PC has
    "drivers/net/gpiox.c": """\
static const struct of_device_id gpiox_match[] = {
	{ .compatible = "acme,gpiox" },
	{ }
};
static struct platform_driver gpiox_driver = {
	.driver = {
		.name = "gpiox",
		.of_match_table = gpiox_match,
	},
};
module_platform_driver(gpiox_driver);
""",
    # … and one whose device a file of the kernel makes by its name
    "drivers/net/cell.c": "static struct platform_driver cell_driver = {\n\t.driver = { .name = \"acme-cell\" },\n};\nmodule_platform_driver(cell_driver);\n",
    "drivers/net/cellmaker.c": "static const struct mfd_cell cells[] = {\n\t{ .name = \"acme-cell\" },\n};\nstatic int __init cells_init(void)\n{\n\treturn mfd_add_devices(NULL, 0, cells, 1);\n}\nmodule_init(cells_init);\n",
    "drivers/net/madebyswitch.c": "static struct platform_driver m_driver = {\n\t.driver = { .name = \"switch-part\" },\n};\nmodule_platform_driver(m_driver);\n",
    "drivers/net/twice.c": pci_driver("twice", CHELSIO, "static const struct mfd_cell parts[] = {\n\t{ .name = \"switch-part\" },\n};\nvoid twice(void)\n{\n\tmfd_add_devices(NULL, 0, parts, 1);\n}"),
    "drivers/net/goodlib.c": "int goodlib_send(void)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL_GPL(goodlib_send);\n",
    "drivers/net/chiplib.c": "int chiplib_send(void)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL_GPL(chiplib_send);\n",
    "drivers/net/badlib.c": "int badlib_send(void)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL(badlib_send);\n",
    "drivers/net/one_main.c": pci_driver("one", "\t{ PCI_VDEVICE(INTEL, 0x100e) },", '#include "hub_part.c"\nint one(void)\n{\n#ifdef SECOND_CHIP\n\tchiplib_send();\n#endif\n\treturn goodlib_send();\n}'),
    "drivers/net/hub_part.c": "static int hub_part(void)\n{\n\treturn 0;\n}\n",
    "drivers/net/head_part.c": "static int head_part(void)\n{\n\treturn 0;\n}\n",
    "drivers/net/head_part.h": '#include "head_part.c"\n',
    "drivers/net/two_main.c": pci_driver("two", CHELSIO, '#include "head_part.c"\nint two(void)\n{\n\treturn badlib_send();\n}'),
    "drivers/net/farpart.c": pci_driver("farpart", CHELSIO),
    "drivers/block/Makefile": "obj-$(CONFIG_TWICE) += all.o\n",
    "drivers/block/all.c": pci_driver("all", "\t{ PCI_VDEVICE(INTEL, 0x100e) },", '#include "../net/farpart.c"'),
    "drivers/net/shared.c": "int shared(void)\n{\n\treturn 0;\n}\n",
    "drivers/net/miscd.c": pci_driver(
        "miscd", CHELSIO, "static struct miscdevice miscd_dev = { .fops = 0 };",
        "static int __init miscd_init(void)\n{\n\tmisc_register(&miscd_dev);\n\treturn pci_register_driver(&miscd_driver);\n}\nmodule_init(miscd_init);",
    ),
    "drivers/net/param.c": pci_driver("param", CHELSIO, "module_param_cb(level, &level_ops, &level, 0644);"),
    "drivers/net/fixup.c": pci_driver("fixup", CHELSIO, "DECLARE_PCI_FIXUP_FINAL(0x8086, 0x1237, quirk);"),
    "drivers/net/vkms_drv.c": "int vkms(void)\n{\n\treturn 0;\n}\n",
    "drivers/net/chip.c": "static struct i2c_driver chip = {\n\t.driver = { .name = \"chip\" },\n};\nmodule_i2c_driver(chip);\n",
    "drivers/net/handlib.c": "int handlib_read(void)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL_GPL(handlib_read);\n",
    "drivers/net/handed.c": "static int handed_probe(void)\n{\n\treturn handlib_read();\n}\nstatic struct i2c_driver handed = {\n\t.probe = handed_probe,\n};\nmodule_i2c_driver(handed);\n",
    "drivers/net/node.c": "static int __init node_init(void)\n{\n\tstruct device_node *np;\n\tnp = of_find_compatible_node(NULL, NULL, \"acme,node\");\n\tif (!np)\n\t\treturn -ENODEV;\n\treturn misc_register(np);\n}\nearly_initcall(node_init);\n",
    # these may go on without the node
    **{
        f"drivers/net/{name}.c": f"static int fall_back(void)\n{{\n\treturn misc_register(&{name});\n}}\nstatic int __init {name}_init(void)\n{{\n{body}}}\nearly_initcall({name}_init);\n"
        for name, body in WITHOUT_NODE.items()
    },
    # a function and its stub, in either order
    **{
        f"drivers/net/{name}.c": pci_driver(name, CHELSIO, f"#ifdef CONFIG_X\nstatic void files(void)\n{{\n{first}}}\n#else\nstatic void files(void)\n{{\n{second}}}\n#endif", f"static int __init start(void)\n{{\n\tfiles();\n\treturn pci_register_driver(&{name}_driver);\n}}\nmodule_init(start);")
        for name, first, second in (("stubbed", "\tmisc_register(&file);\n", ""), ("stubfirst", "", "\tmisc_register(&file);\n"))
    },
    "drivers/net/alike_main.c": pci_driver("alike", CHELSIO, "static void files(void)\n{\n}", "static int __init start(void)\n{\n\tfiles();\n\talike_more();\n\treturn pci_register_driver(&alike_driver);\n}\nmodule_init(start);"),
    "drivers/net/alike_more.c": "static void files(void)\n{\n\tmisc_register(&file);\n}\nvoid alike_more(void)\n{\n\tfiles();\n}\n",
    "drivers/net/printed.c": "static const struct platform_device_id p_ids[] = {\n\t{ .name = \"SENSOR-HUB-200011\" },\n\t{ }\n};\nstatic struct platform_driver p_driver = {\n\t.id_table = p_ids,\n\t.driver = { .name = \"p\" },\n};\nmodule_platform_driver(p_driver);\n",
    "drivers/net/printer.c": "void printer(int i)\n{\n\tchar *name = kasprintf(0, \"SENSOR-HUB-%x\", i);\n\tplatform_device_alloc(name, 0);\n}\nstatic struct hid_driver hub = {\n\t.name = \"hub\",\n};\nmodule_hid_driver(hub);\n",
    "drivers/net/unseen.c": pci_driver("unseen", CHELSIO, "static const struct pci_device_id more_ids[] = { { PCI_VDEVICE(INTEL, 0x10d3) }, { 0, } };\nMODULE_DEVICE_TABLE(pci, more_ids);\nA_DRIVER(more_ids);"),
    "drivers/net/cellbox.c": "static struct amba_driver box = {\n\t.drv = { .name = \"box\" },\n\t.id_table = 0,\n};\nmodule_amba_driver(box);\n",
    "drivers/net/mkids.c": "int main(void)\n{\n\treturn 0;\n}\n",
    "arch/x86/boot/tools/build.c": "int main(void)\n{\n\treturn 0;\n}\n",
    "arch/x86/boot/mkcpustr.c": "int main(void)\n{\n\treturn 0;\n}\n",
    "arch/x86/boot/Makefile": "hostprogs := tools/build\nhostprogs += mkcpustr\nsetup-y += early.o\n",
    "arch/x86/boot/startup/Makefile": "obj-y += map.o\n",
    "arch/x86/boot/startup/map.c": "int map(void)\n{\n\treturn 0;\n}\n",
    "drivers/net/conditional.c": pci_driver("conditional", f"#ifdef CONFIG_ODD\n{CHELSIO}\n#endif"),
    "drivers/net/including.c": pci_driver("including", '#include "including_ids.h"'),
    "drivers/net/including_ids.h": "\t{ PCI_VDEVICE(INTEL, 0x10d3) },\n",
    "drivers/net/bymacro.c": "#define BEGIN \\\n\tstatic const struct pci_device_id b_ids[] = {\n#define END { 0, } }\n#include \"bymacro_ids.h\"\nstatic struct pci_driver b_driver = {\n\t.id_table = b_ids,\n};\nmodule_pci_driver(b_driver);\n",
    "drivers/net/empty.c": pci_driver("empty", ""),
    "drivers/net/withouttable.c": "static struct pci_driver w_driver = {\n\t.name = \"w\",\n\t.id_table = NULL,\n};\nmodule_pci_driver(w_driver);\n",
    "drivers/net/overridden.c": pci_driver("overridden", "\t{ .vendor = PCI_ANY_ID, .device = PCI_ANY_ID, .override_only = 1 },"),
    "drivers/net/rv100.c": pci_driver("rv100", "\t{ PCI_DEVICE(0x1002, 0x5159) },"),
    "drivers/net/xhci.c": "static const struct acpi_device_id x_ids[] = {\n\t{ \"PNP0D10\" },\n\t{ }\n};\nstatic struct platform_driver x_driver = {\n\t.driver = { .name = \"x\", .acpi_match_table = x_ids },\n};\nmodule_platform_driver(x_driver);\n",
    "arch/x86/boot/early.c": "int early(void)\n{\n\treturn 0;\n}\n",
    "drivers/net/refused.c": pci_driver("refused", "\t{ PCI_DEVICE(0x1002, PCI_ANY_ID) },").replace(
        "\treturn 0;\n", "\tint i;\n\tfor (i = 0; i < 2; i++)\n\t\tif (sent_away[i] == pdev->device)\n\t\t\treturn -ENODEV;\n\treturn 0;\n"
    ).replace("static int refused", "static const u16 sent_away[] = { 0x5046, 0x5159 };\nstatic int refused"),
    # the list is not looked into under every option, and for every device
    **{
        f"drivers/net/{name}.c": pci_driver(name, "\t{ PCI_DEVICE(0x1002, PCI_ANY_ID) },").replace(
            "\treturn 0;\n", f"\tint i;\n{before}\tfor (i = 0; i < 2; i++)\n\t\tif (sent_away[i] == pdev->device)\n\t\t\treturn -ENODEV;\n{after}\treturn 0;\n"
        ).replace(f"static int {name}", f"static const u16 sent_away[] = {{ 0x5046, 0x5159 }};\nstatic int {name}")
        for name, before, after in (("refusedif", "#ifdef CONFIG_X\n", "#endif\n"), ("refusedlate", "\tif (force)\n\t\treturn begin(pdev);\n", ""))
    },
    "drivers/net/auxdrv.c": "static const struct auxiliary_device_id aux_ids[] = {\n\t{ .name = \"switch.rdma\" },\n\t{}\n};\nstatic struct auxiliary_driver aux = {\n\t.id_table = aux_ids,\n};\nmodule_auxiliary_driver(aux);\n",
    "drivers/net/vmwdrv.c": "static const struct acpi_device_id v_ids[] = {\n\t{ \"VMW0005\" },\n\t{ }\n};\nstatic struct platform_driver v_driver = {\n\t.driver = { .name = \"v\", .acpi_match_table = v_ids },\n};\nmodule_platform_driver(v_driver);\n",
    "drivers/net/acpidrv.c": "static const struct acpi_device_id a_ids[] = {\n\t{ \"ACME0001\", 0 },\n\t{ \"QEMU0002\", 0 },\n\t{ }\n};\nstatic struct platform_driver a_driver = {\n\t.driver = { .name = \"a\", .acpi_match_table = ACPI_PTR(a_ids) },\n};\nmodule_platform_driver(a_driver);\n",
    "drivers/net/builtin.c": pci_driver("builtin", CHELSIO, "int builtin_read(void)\n{\n\treturn 0;\n}"),
    "kernel/calls_builtin.c": "int builtin_read(void);\nSYSCALL_DEFINE0(builtin)\n{\n\treturn builtin_read();\n}\n",
    "kernel/calls_column.c": "int column_read(void);\nSYSCALL_DEFINE0(column)\n{\nif (1)\nreturn 1;\nelse column_read();\n}\n",
    "kernel/calls_labelled.c": "int labelled_read(void);\nSYSCALL_DEFINE0(labelled)\n{\nout:\tlabelled_read();\n}\n",
    "drivers/net/labelled.c": pci_driver("labelled", CHELSIO, "int labelled_read(void)\n{\n\treturn 0;\n}"),
    "drivers/net/column.c": pci_driver("column", CHELSIO, "int column_read(void)\n{\n\treturn 0;\n}"),
    "drivers/net/halfstatic.c": pci_driver("halfstatic", CHELSIO, "#ifdef MODULE\nstatic\n#endif\nint half_read(void)\n{\n\treturn 0;\n}"),
    "kernel/calls_half.c": "int half_read(void);\nSYSCALL_DEFINE0(half)\n{\n\treturn half_read();\n}\n",
    "drivers/net/unused.c": pci_driver("unused", CHELSIO, "int unused_read(void)\n{\n\treturn 0;\n}"),
    "kernel/own_unused.c": "static int unused_read(void)\n{\n\treturn 1;\n}\nSYSCALL_DEFINE0(unused)\n{\n\treturn unused_read();\n}\n",
    "drivers/net/halves.c": pci_driver("halves", CHELSIO),
    "drivers/box/main.c": "static int __init box_init(void)\n{\n\treturn misc_register(&box_dev);\n}\nmodule_init(box_init);\n",
    "drivers/box/Makefile": "obj-y += box.o\nbox-y := main.o ../net/halves.o ../other/alone.o\n",
    "drivers/net/alone.c": pci_driver("alone", CHELSIO),
    "drivers/rule/main.c": "static int __init rule_init(void)\n{\n\treturn misc_register(&rule_dev);\n}\nmodule_init(rule_init);\n",
    "drivers/rule/kept.c": "int kept;\n",
    "drivers/rule/Makefile": "P := ../net/varied\nobj-y += rule.o\nrule-y := main.o far/ruled.o kept.o $(P).o $(patsubst %.c,%.o,../net/listed.c)\n"
    "$(obj)/far/%.o: $(srctree)/drivers/net/%.c FORCE\n\t$(call if_changed_rule,cc_o_c)\n",
    "drivers/put/main.c": "static int __init put_init(void)\n{\n\treturn misc_register(&put_dev);\n}\nmodule_init(put_init);\n",
    "drivers/put/Makefile": "obj-y += put.o\nput-y := main.o $(addsuffix ed.o,../net/suffix)\n",
    "drivers/copy/main.c": "int copy;\n",
    "drivers/copy/Makefile": "obj-y += copy.o\ncopy-y := main.o one.o two.o\n$(obj)/one.c: $(srctree)/drivers/net/shipped.c FORCE\n"
    "\t$(call if_changed,shipped)\n$(obj)/two.o: $(srctree)/drivers/net/renamed.c FORCE\n\t$(call if_changed_rule,cc_o_c)\n"
    "$(obj)/main.o: $(src)/uncopied.c $(srctree)/drivers/other/uncopied.c\n",
    "drivers/wild/main.c": "int wild;\n",
    "drivers/wild/Makefile": "obj-y += wild.o\nwild-y := main.o $(patsubst %.c,%.o,$(wildcard $(srctree)/drivers/wilded/*.c))\n",
    "drivers/wilded/Makefile": "obj-$(CONFIG_SWITCH) += wilded.o\n",
    "drivers/wilded/wilded.c": pci_driver("wilded", CHELSIO),
    "drivers/hdr/Makefile": "obj-y += hdr.o\n# not of drivers/tame\nalways-y += $(patsubst %.h,%.hdrtest,$(shell cd $(srctree)/drivers/tame && find * -name '*.h'))\n",
    "drivers/hdr/hdr.c": "int hdr;\n",
    "drivers/tame/Makefile": "obj-$(CONFIG_SWITCH) += tame.o\n",
    "drivers/tame/tame.c": pci_driver("tame", CHELSIO),
    **{f"drivers/net/{name}.c": pci_driver(name, CHELSIO) for name in ("ruled", "kept", "varied", "listed", *COPIED)},
}  # fmt: skip


@pytest.fixture(scope="module")
def tree(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    """The small tree with all these drivers, and its word index."""
    base = tmp_path_factory.mktemp("drivers")
    shutil.copytree(first_kernel.path, base / "linux", symlinks=True)
    kernel = Kernel(base / "linux", first_kernel.env)
    for path, content in FILES.items():
        kernel.write(path, content)
    kernel.write(
        "drivers/net/Kconfig", kernel.read("drivers/net/Kconfig") + "".join(f'config {name}\n\ttristate "{name}"\n' for name in OPTIONS)
    )
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "drivers")
    kernel.triage("index", "--quiet")
    return kernel


Ask = drivers.Drivers


def asked(path: pathlib.Path, vm: Sequence[str] = ("qemu-any",), arch: str = "x86_64") -> Iterator[Ask]:
    with Objects(find(str(path)), 16 << 20) as objects:
        source = Source(objects, find(str(path)).run("rev-parse", "HEAD").decode().strip())
        yield Ask(source, target.Kernel(source, arch, "gcc-12", None), machine.machine(arch, vm))


@pytest.fixture
def ask(tree: Kernel) -> Iterator[Ask]:
    yield from asked(tree.path)


def of(ask: Ask, name: str) -> Reach:
    found = ask.of_file(f"drivers/net/{name}")
    assert found.answer is not Answer.NO or found.facts, "a no without a proof"
    assert found.answer is not Answer.UNKNOWN or found.question, "an open answer without its question"
    return found


def test_a_table_of_macros_of_its_own_names_the_device_for_every_file_of_the_driver(ask: Ask) -> None:
    for name in ("nic_main.c", "nic_hw.c", "nic.h"):
        found = of(ask, name)
        assert (found.answer, found.devices) == (Answer.YES, ("e1000e",)), name
    fact = found.facts[0]
    assert fact.place.path == "drivers/net/nic_main.c" and fact.text == "NIC_LINE(NIC_DEV_82574L)," and "8086:10d3" in fact.claim


def test_a_function_without_an_export_is_called_where_both_are_built_in(ask: Ask) -> None:
    found = of(ask, "builtin.c")
    assert found.answer is Answer.UNKNOWN and "kernel/calls_builtin.c runs" in found.question
    for name in (
        "column.c",
        "labelled.c",
        "halfstatic.c",
    ):  # a call in the first column, or behind a label there, is no declaration; static in a module alone
        assert of(ask, name).answer is Answer.UNKNOWN, name
    assert of(ask, "unused.c").answer is Answer.NO  # another file has its own function of that name


def test_what_a_macro_exports_may_have_any_user(ask: Ask) -> None:
    for name in ("pastes", "wraps"):
        found = of(ask, f"{name}.c")
        assert found.answer is Answer.UNKNOWN and f"a macro of drivers/net/{name} exports" in found.question
    assert of(ask, "traces.c").answer is Answer.NO


def test_a_file_is_also_a_part_of_what_a_makefile_of_another_directory_links_it_into(ask: Ask) -> None:
    found = of(ask, "halves.c")
    assert found.answer is Answer.UNKNOWN and "drivers/box/box" in found.question
    assert of(ask, "alone.c").answer is Answer.NO  # ../other/alone.o is another file


def test_a_makefile_elsewhere_links_a_file_by_a_rule_a_variable_or_a_wildcard(ask: Ask) -> None:
    for name in ("ruled.c", "varied.c", "listed.c"):
        assert "drivers/rule/rule" in of(ask, name).question, name
    assert of(ask, "kept.c").answer is Answer.NO  # drivers/rule has its own
    assert "drivers/put/put" in str(of(ask, "suffixed.c").assumptions)
    assert [of(ask, f"{name}.c").answer is Answer.NO for name in ("shipped", "renamed", "uncopied")] == [False, False, True]
    assert "which makefile adds it" in ask.of_file("drivers/wilded/wilded.c").question
    assert ask.of_file("drivers/tame/tame.c").answer is Answer.NO  # what make finds there is not linked


def test_a_table_without_an_emulated_device_proves_no_for_the_whole_object(ask: Ask) -> None:
    for name in ("switch_main.c", "switch_core.c"):
        found = of(ask, name)
        assert found.answer is Answer.NO, found
        assert "binds to 1 PCI id, of which QEMU" in found.facts[0].claim and found.facts[0].place.line == 3


def test_an_index_that_breaks_on_the_way_closes_nothing(tree: Kernel) -> None:
    tree.triage("index", "--quiet")
    with Objects(find(str(tree.path)), 16 << 20) as objects:
        source = Source(objects, find(str(tree.path)).run("rev-parse", "HEAD").decode().strip())
        asked_of = drivers.Drivers(source, target.Kernel(source, "x86_64", "gcc-12", None), machine.machine("x86_64", ("qemu-any",)))
        assert of(asked_of, "switch_main.c").answer is Answer.NO
        source.index_failed("database disk image is malformed")
        found = of(asked_of, "switch_main.c")
        assert found.answer is Answer.UNKNOWN and "word index" in found.question


def test_what_would_read_too_many_files_stays_open(tree: Kernel) -> None:
    with Objects(find(str(tree.path)), 16 << 20) as objects:
        source = Source(objects, find(str(tree.path)).run("rev-parse", "HEAD").decode().strip())
        short = drivers.Drivers(source, target.Kernel(source, "x86_64", "gcc-12", None), machine.machine("x86_64", ("qemu-any",)), 1)
        found = of(short, "switch_main.c")  # `no` where its header and the other half can be read
        assert found.answer is Answer.UNKNOWN and "too many files" in found.question


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("odd.c", "could not be read"),  # a vendor that nobody defines
        ("notable.c", "was not found"),  # a table that is in another object
        ("classy.c", "of any vendor"),  # a class that no device of the catalogue has
        ("miscd.c", "misc_register()"),  # reached without a device
        ("param.c", "module_param_cb()"),
        ("fixup.c", "DECLARE_PCI_FIXUP_FINAL()"),
        ("cell.c", "cellmaker.c:2"),  # code of the kernel makes its device
        ("unseen.c", "more_ids"),  # a driver structure that only the preprocessor sees
        ("chip.c", "bound manually"),
        ("vmwdrv.c", "a device of VMware"),
    ],
)
def test_what_is_not_proved_stays_open_with_its_question(ask: Ask, name: str, question: str) -> None:
    found = of(ask, name)
    assert found.answer is Answer.UNKNOWN and question in found.question


def test_a_class_that_the_catalogue_has_is_a_device(ask: Ask) -> None:
    found = of(ask, "xhc.c")
    assert found.answer is Answer.YES and "xhci" in found.devices[0]


def test_every_usb_and_hid_driver_has_the_kernels_own_device_and_needs_its_options(ask: Ask) -> None:
    found = of(ask, "usbnic.c")
    assert (found.answer, found.devices) == (Answer.YES, ("dummy_hcd with raw-gadget",))
    assert set(found.reasons) == {"USB_DUMMY_HCD", "USB_RAW_GADGET"} and found.reasons["USB_RAW_GADGET"].purpose == "reach"
    assert of(ask, "hiddev.c").devices == ("uhid",)


def test_a_tree_without_the_virtual_host_leaves_usb_open(tree: Kernel, tmp_path: pathlib.Path) -> None:
    shutil.copytree(tree.path, tmp_path / "linux", symlinks=True)
    other = Kernel(tmp_path / "linux", tree.env)
    other.replace("drivers/net/Kconfig", 'config USB_DUMMY_HCD\n\ttristate "USB_DUMMY_HCD"\n', "")
    other.git("commit", "-qam", "no host")
    for ask in asked(other.path):
        assert of(ask, "usbnic.c").answer is Answer.UNKNOWN


def test_a_name_that_a_driver_with_a_device_puts_together_is_a_device(ask: Ask) -> None:
    found = of(ask, "printed.c")
    assert (found.answer, found.devices) == (Answer.YES, ("uhid",)) and "SENSOR-HUB-200011" in found.facts[-1].claim


def test_a_device_tree_alone_is_no_on_a_pc_and_open_where_the_machine_has_one(tree: Kernel, ask: Ask) -> None:
    found = of(ask, "gpiox.c")
    assert found.answer is Answer.NO and "device tree" in found.facts[0].claim
    # a maker of the device that is itself out of reach makes none
    assert of(ask, "madebyswitch.c").answer is Answer.NO


@pytest.mark.parametrize(("name", "device"), [("rv100.c", "ati-vga"), ("xhci.c", "microvm")])
def test_a_device_that_an_option_of_the_emulator_makes_is_a_device(ask: Ask, name: str, device: str) -> None:
    """`-device ati-vga,model=rv100` and `-M microvm,usb=on` (hw/display/ati.c, hw/usb/hcd-xhci-sysbus.c)."""
    found = of(ask, name)
    assert found.answer is Answer.YES and found.devices == (device,)


def test_an_acpi_id_of_the_machines_tables_is_a_device(ask: Ask) -> None:
    found = of(ask, "acpidrv.c")
    assert found.answer is Answer.YES and "QEMU0002" in found.facts[0].claim


def test_a_primecell_is_no_on_a_pc_and_open_where_a_device_tree_may_have_it(tree: Kernel, ask: Ask) -> None:
    assert of(ask, "cellbox.c").answer is Answer.NO
    for other in asked(tree.path, arch="arm64"):
        assert of(other, "cellbox.c").answer is Answer.UNKNOWN
        assert of(other, "nic_main.c").answer is Answer.YES


def test_core_code_that_nobody_names_is_never_no(ask: Ask) -> None:
    assert ask.of_file("mm/pool.c").answer is Answer.UNKNOWN
    assert ask.of_file("init/main.c").answer is Answer.UNKNOWN


def test_a_library_is_what_its_users_are(ask: Ask) -> None:
    found = of(ask, "goodlib.c")
    assert (found.answer, found.devices[0]) == (Answer.YES, "e1000")
    assert any("uses goodlib_send()" in fact.claim for fact in found.facts)
    assert of(ask, "badlib.c").answer is Answer.NO


@pytest.mark.parametrize(
    "fallback", ["int badlib_send(void)\n{\n\treturn 0;\n}\n", "static inline int badlib_send(void)\n{\n\treturn 0;\n}\n"]
)
def test_a_fallback_in_the_other_branch_hides_no_user(tree: Kernel, tmp_path: pathlib.Path, fallback: str) -> None:
    shutil.copytree(tree.path, tmp_path / "linux", symlinks=True)
    kernel = tree.beside(tmp_path / "linux")
    branches = f"#if IS_ENABLED(CONFIG_BADLIB)\nextern int badlib_send(void);\n#else\n{fallback}#endif\n"
    user = f"{branches}int onex(void)\n{{\n\treturn badlib_send();\n}}\n"
    kernel.commit("drivers/net/one_main.c", f"{kernel.read('drivers/net/one_main.c')}\n{user}")
    kernel.triage("index", "--quiet")
    for ask in asked(kernel.path):
        assert of(ask, "badlib.c").answer is not Answer.NO


def test_a_library_of_another_chip_that_the_same_text_drives_stays_open(ask: Ask) -> None:
    library = of(ask, "chiplib.c")
    assert library.answer is Answer.UNKNOWN and "#ifdef SECOND_CHIP" in library.question


def test_a_library_of_a_driver_that_is_bound_by_hand_stays_open(ask: Ask) -> None:
    assert of(ask, "handlib.c").answer is Answer.UNKNOWN


@pytest.mark.parametrize("name", ["stubbed", "stubfirst", "alike_main"])
def test_each_definition_of_a_function_counts(ask: Ask, name: str) -> None:
    assert of(ask, f"{name}.c").answer is not Answer.NO


@pytest.mark.parametrize("name", WITHOUT_NODE)
def test_what_an_initcall_does_without_a_node_counts(ask: Ask, name: str) -> None:
    assert of(ask, f"{name}.c").answer is not Answer.NO


def test_a_start_that_finds_no_node_of_a_device_tree_goes_no_further(ask: Ask) -> None:
    found = of(ask, "node.c")
    assert found.answer is Answer.NO and "device tree" in found.facts[0].claim


def test_what_runs_before_the_kernel_or_builds_it_is_no_part_of_it(ask: Ask) -> None:
    assert ask.of_file("arch/x86/boot/early.c").answer is Answer.NO
    # what the build runs may write parts of the kernel, and what is linked into it does not go
    for path in ("drivers/net/mkids.c", "arch/x86/boot/tools/build.c", "arch/x86/boot/mkcpustr.c", "arch/x86/boot/startup/map.c"):
        assert ask.of_file(path).answer is Answer.UNKNOWN, path


@pytest.mark.parametrize("name", ["including", "bymacro", "empty", "withouttable", "overridden"])
def test_a_table_that_was_not_read_or_is_empty_proves_nothing(ask: Ask, name: str) -> None:
    assert of(ask, f"{name}.c").answer is Answer.UNKNOWN


def test_conditionals_between_the_lines_of_a_table_hide_none(ask: Ask) -> None:
    assert of(ask, "conditional.c").answer is Answer.NO


def test_a_file_of_two_objects_is_yes_if_one_is(ask: Ask) -> None:
    assert of(ask, "shared.c").answer is Answer.YES
    assert of(ask, "two_main.c").answer is Answer.NO


def test_a_word_of_another_architecture_is_no_macro_of_a_table(ask: Ask) -> None:
    assert of(ask, "pasted.c").answer is Answer.YES


def test_a_file_that_is_a_part_of_another_is_what_that_is_unless_a_header_includes_it(ask: Ask) -> None:
    assert of(ask, "hub_part.c").answer is Answer.YES
    assert of(ask, "head_part.c").question == "not known: which object drivers/net/head_part.c is linked into"


def test_a_file_that_one_of_another_folder_includes_is_what_that_is(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of(ask, "farpart.c").answer is Answer.YES
    ask.begin_question()
    monkeypatch.setattr(drivers, "_MOST_FAR", -1)
    assert of(ask, "two_main.c").answer is Answer.UNKNOWN


def test_a_driver_on_another_drivers_bus_is_no_where_that_is(ask: Ask) -> None:
    found = of(ask, "auxdrv.c")
    assert found.answer is Answer.NO and "switch.rdma" in found.facts[0].claim


def test_a_device_that_probe_sends_away_by_its_list_is_none(ask: Ask) -> None:
    found = of(ask, "refused.c")
    assert found.answer is Answer.NO and "rejects ati-vga" in found.facts[1].claim
    assert [of(ask, f"{name}.c").answer for name in ("refusedif", "refusedlate")] == [Answer.YES] * 2


def test_the_kernels_own_virtual_devices_are_known_by_their_option(ask: Ask) -> None:
    assert of(ask, "vkms_drv.c").devices == ("vkms",)


def test_the_machine_narrows_what_there_is(tree: Kernel) -> None:
    for ask in asked(tree.path, ("gce",)):
        found = of(ask, "nic_main.c")
        assert found.answer is Answer.UNKNOWN and "-device e1000e" in found.question and found.devices == ("e1000e",)
        assert of(ask, "switch_main.c").answer is Answer.NO
    for ask in asked(tree.path, ("e1000e", "nvme")):
        assert of(ask, "nic_main.c").answer is Answer.YES
    with pytest.raises(machine.NoSuchDevice, match="e1000x"):
        machine.machine("x86_64", ("e1000x",))


def test_a_catalogue_of_ones_own_takes_the_place_of_ours() -> None:
    text = (pathlib.Path(machine.__file__).parent / "machines/x86_64.json").read_text()
    own = json.loads(text)
    own["Made"]["Version"] = "99.1"
    own["Pci"]["newcard"] = ["1b36:7777 1af4:1100 020000"]
    card = machine.PciId(0x1B36, 0x7777)
    ours, theirs = machine.machine("x86_64", ("qemu-any",)), machine.machine("x86_64", ("qemu-any",), json.dumps(own))
    assert not machine.offered([card], ours) and machine.offered([card], theirs)[0][0].name == "newcard"
    assert theirs.made_by == "QEMU 99.1"
    without_devices = json.dumps({**own, "Pci": {}})
    for wrong, why in (
        ("{}", "catalogue.py"),
        ("CONFIG_PCI=y", "catalogue.py"),
        (without_devices, "no devices"),
        (text[:-9], "catalogue.py"),
    ):
        with pytest.raises(machine.NotACatalogue, match=why):
            machine.machine("x86_64", ("qemu-any",), wrong)
    with pytest.raises(machine.NotACatalogue, match="made for 'x86_64', and the target is arm64"):
        machine.machine("arm64", ("qemu-any",), text)


def test_a_catalogue_is_read_from_the_file_that_is_named(tmp_path: pathlib.Path) -> None:
    given = config.Given("fuzz.catalogue", str(tmp_path / "own.json"), "here")
    with pytest.raises(config.WrongSetting, match=r"here: fuzz.catalogue: .*own.json: No such file or directory"):
        setting_layers.load(None, None, [given])
    prints = set()
    for text, why in (("{}", "not made by bench/catalogue.py"), ("[]", "not made by bench/catalogue.py")):
        (tmp_path / "own.json").write_text(text)
        settings = setting_layers.load(None, None, [given])
        prints.add(settings.fingerprint())  # so that no verdict of another catalogue is taken from the cache
        with pytest.raises(config.WrongSetting, match=f"here: fuzz.catalogue: {why}"):
            machine.of_settings(settings)
    assert len(prints) == 2


def test_an_architecture_without_a_catalogue_proves_nothing(tree: Kernel) -> None:
    for ask in asked(tree.path, arch="riscv"):
        for name in ("switch_main.c", "gpiox.c", "auxdrv.c", "two_main.c"):
            assert of(ask, name).answer is Answer.UNKNOWN, name


def test_without_the_word_index_no_user_is_taken_to_be_absent(tree: Kernel, tmp_path: pathlib.Path) -> None:
    shutil.copytree(tree.path, tmp_path / "linux", symlinks=True)
    shutil.rmtree(tmp_path / "linux/.git/patch-triage/index")
    for ask in asked(tmp_path / "linux"):
        assert of(ask, "badlib.c").answer is Answer.UNKNOWN
        assert of(ask, "gpiox.c").answer is Answer.UNKNOWN
        assert of(ask, "auxdrv.c").answer is Answer.UNKNOWN  # any code may give a device that name
        assert of(ask, "nic_main.c").answer is Answer.YES
