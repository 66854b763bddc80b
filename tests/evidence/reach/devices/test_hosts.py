"""Whether software stands in for a device: chips that user space plays, what is driven without one, and what only looks so."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from hook.evidence.reach.devices.id_tables import known_as
from hook.evidence.reach.devices.rules.exports import is_suite, likelihood
from hook.kernel.texts import Texts
from hook.verdict import Answer
from tests.evidence.reach.devices.test_drivers import CHELSIO, IDS_H, PCI_H, Ask, asked, of, pci_driver
from tests.small_kernel import Kernel

OPTIONS = (
    "ALL", "I2C", "I2C_TINY_USB", "USB_DUMMY_HCD", "USB_RAW_GADGET", "SPI", "SPI_CH341", "GREYBUS", "GREYBUS_ES2", "GREYBUS_SPI", "OF",
    "LEDS_TRIGGERS", "LEDS_USER", "PARPORT", "USB_USS720", "NET_TEAM", "KUNIT", "MMC", "MMC_VUB300", "UHID",
    "IPACK_BUS", "BOARD_TPCI200", "RC_CORE", "LIRC", "RC_DEVICES", "RC_LOOPBACK", "BLK_DEV_DM", "DM_MULTIPATH", "PPP", "TARGET_CORE", "CONFIGFS_FS", "VIRTIO_PCI", "USB_HID", "SERIO", "USERIO", "SERIO_SERPORT", "UNIX98_PTYS",
    "PCI_ENDPOINT", "PCI_ENDPOINT_CONFIGFS", "SCSI_VIRTIO", "USB_STORAGE", "SCSI_UFSHCD", "SCSI_UFSHCD_PCI",
)  # fmt: skip


def i2c(name: str, tables: str, probe: str = "return 0;", before: str = "") -> str:
    """A driver of a chip on I2C; `tables` are the fields that name its tables."""
    return f"""\
{before}
static const struct i2c_device_id {name}_ids[] = {{
	{{ "{name}", 0 }},
	{{ }}
}};
static const struct of_device_id {name}_of[] = {{
	{{ .compatible = "acme,{name}" }},
	{{ }}
}};
static const struct acpi_device_id {name}_acpi[] = {{
	{{ "ACME0042", 0 }},
	{{ }}
}};
static int {name}_probe(struct i2c_client *client)
{{
	{probe}
}}
static struct i2c_driver {name}_driver = {{
	.driver = {{
		.name = "{name}",
		{tables}
	}},
	.probe = {name}_probe,
	{f".id_table = {name}_ids," if "IDS" in before else ""}
}};
module_i2c_driver({name}_driver);
"""


IDS = "/* IDS */"
BYTREE = '{name}_driver = {{\n\t.driver = {{\n\t\t.name = "{name}",\n\t}},\n}};\nmodule_platform_driver({name}_driver);\n'


def cell(name: str) -> str:
    return "static struct platform_driver " + BYTREE.format(name=name)


def spi(name: str, more: str = "return 0;") -> str:
    return f'static int {name}_probe(struct spi_device *spi)\n{{\n\t{more}\n}}\nstatic struct spi_driver {name}_driver = {{\n\t.driver = {{ .name = "{name}" }},\n\t.probe = {name}_probe,\n}};\nmodule_spi_driver({name}_driver);\n'


def scsi(before: str) -> str:
    """A driver of SCSI devices."""
    return f"{before}\nstatic struct scsi_driver acme = {{\n\t.init_command = fn,\n}};\n" + start(
        "\treturn scsi_register_driver(&acme.gendrv);"
    )


def auxiliary(module: str) -> str:
    """A driver on the auxiliary bus for a device that is named after a module."""
    return f'static const struct auxiliary_device_id ids[] = {{\n\t{{ .name = "{module}.part" }},\n\t{{}}\n}};\nstatic struct auxiliary_driver aux = {{\n\t.id_table = ids,\n}};\nmodule_auxiliary_driver(aux);\n'


def start(body: str, before: str = "") -> str:
    return f"{before}\nstatic int __init it_init(void)\n{{\n\tint ret;\n\n{body}\n}}\nmodule_init(it_init);\n"


REFUSALS = {
    "noirq": ('if (!client->irq) {\n\t\tdev_err(&client->dev, "no irq");\n\t\treturn -EINVAL;\n\t}\n\treturn 0;', "an interrupt"),
    "irqreq": ('return devm_request_threaded_irq(&client->dev, client->irq, NULL, fn, 0, "x", client);', "an interrupt"),
    "nodata": ("struct x *pdata = dev_get_platdata(&client->dev);\n\n\tif (!pdata)\n\t\treturn -EINVAL;\n\treturn 0;", "platform data"),
    "noclk": ("clk = devm_clk_get(&client->dev, NULL);\n\tif (IS_ERR(clk))\n\t\treturn PTR_ERR(clk);\n\treturn 0;", "a clock"),
    "nonode": ("if (client->dev.of_node == NULL)\n\t\treturn -ENODEV;\n\treturn 0;", "a node"),
    "noprop": ('ret = device_property_read_u32(&client->dev, "x", &x);\n\tif (ret)\n\t\treturn ret;\n\treturn 0;', "a property"),
}
CONTENT = {"noirq2": "if (client->irq) {\n\t\tret = request_threaded_irq(client->irq, NULL, fn, 0, \"x\", client);\n\t}\n\treturn 0;",
           "optclk": "clk = devm_clk_get_optional(&client->dev, NULL);\n\tif (IS_ERR(clk))\n\t\treturn PTR_ERR(clk);\n\treturn 0;",
           "hasdata": "struct x *pdata = dev_get_platdata(&client->dev);\n\n\tif (!pdata)\n\t\tpdata = &defaults;\n\treturn 0;"}  # fmt: skip
CORE = "int {name}_core_probe(struct device *dev, int irq)\n{{\n\t{body}\n}}\nEXPORT_SYMBOL_GPL({name}_core_probe);\n"
KEYMAP = "static struct rc_map_list it_map = {{\n\t.map = {{\n\t\t.scan = it,\n\t\t.name = RC_MAP_{name},\n\t}}\n}};\nstatic int __init init_rc_map(void)\n{{\n\treturn rc_map_register(&it_map);\n}}\nmodule_init(init_rc_map)\n"


def by_node(compatible: str) -> str:
    """A receiver that takes the name of its keymap from its node."""
    return f'void r(struct rc_dev *rc)\n{{\n\trc->map_name = of_get_property(np, "linux,rc-map-name", NULL);\n}}\nstatic const struct of_device_id ir_ids[] = {{\n\t{{ .compatible = "{compatible}" }},\n\t{{ }}\n}};\nstatic struct platform_driver acme_ir_driver = {{\n\t.driver = {{ .name = "acme-ir", .of_match_table = ir_ids }},\n}};\nmodule_platform_driver(acme_ir_driver);\n'


def serio(name: str, *ids: str) -> str:
    """A driver of serial ports, with the lines of its table."""
    lines = "".join(f"\t{{ {line}, .id = 0xff, .extra = 0xff }},\n" for line in ids)
    return f"static const struct serio_device_id {name}_ids[] = {{\n{lines}\t{{ 0 }}\n}};\nstatic struct serio_driver {name}_drv = {{\n\t.id_table = {name}_ids,\n}};\nmodule_serio_driver({name}_drv);\n"


def hid(name: str, probe: str) -> str:
    return f'static int {name}_probe(struct hid_device *hdev)\n{{\n\t{probe}\n\treturn 0;\n}}\nstatic struct hid_driver {name}_driver = {{\n\t.name = "{name}",\n\t.probe = {name}_probe,\n}};\nmodule_hid_driver({name}_driver);\n'


ACME_INIT = "static void __init acme_init(struct device_node *np)\n{\n}\n"
FILES = {
    "virtiod.c": "static const struct virtio_device_id virtiod_ids[] = {\n\t{ 4, 0xffffffff },\n\t{ 0 },\n};\n"
    "static struct virtio_driver virtiod = {\n\t.driver.name = \"virtiod\",\n\t.id_table = virtiod_ids,\n};\nmodule_virtio_driver(virtiod);\n",
    # names of platform devices that are variables, and the same names where they are, or are not, those of a device
    "arrayname.c": 'static const char arrayname[] = "array-name";\n' + cell("arrayname").replace('"arrayname"', "arrayname"),
    "madearray.c": 'static const char madearray[] = "array-made";\n' + cell("madearray").replace('"madearray"', "madearray"),
    "written.c": 'static char written[] = "written-name";\n' + cell("written").replace('"written"', "written"),
    **{f"{name}.c": cell(name) for name in ("lookedup", "chiplabel", "pinname", "boardlabel", "gotname", "clockname")},
    "names.c": 'static struct gpio_chip chip = {\n\t.label = "chiplabel",\n};\nstatic const struct board board = {\n\t.label = "boardlabel",\n};\n'
    'static struct pin pins[] = {\n\tMTK_PIN(PIN(0, "IN(1)"), "N2", "pinname", NONE),\n};\n'
    'int names(void)\n{\n\tclk = devm_clk_get(dev, "lookedup") ?: clk_get(NULL, "array-name");\n\tget_or_create(dev, "gotname");\n\tclk_get_made(dev, "clockname");\n\treturn made("array-made");\n}\n',
    "macromade.c": '#include "macromade.h"\n' + cell("macromade").replace('"macromade"', "MADE_NAME"),
    "macromade.h": '#define MADE_NAME "macro-made"\n',
    "makes.c": '#include "macromade.h"\nint makes(void)\n{\n\treturn made(MADE_NAME);\n}\n',
    # chips on I2C
    "chipa.c": i2c("chipa", "", before=IDS),
    "chipo.c": i2c("chipo", ".of_match_table = chipo_of,"),
    "a_chip_whose_name_is_too_long.c": i2c("a_chip_whose_name_is_too_long", ".of_match_table = a_chip_whose_name_is_too_long_of,"),
    "chipd.c": i2c("chipd", ".acpi_match_table = chipd_acpi,").replace("\t.probe", "\t.detect = chipd_detect,\n\t.probe"),
    "chipf.c": i2c("chipf", ".acpi_match_table = chipf_acpi,"),
    **{f"{name}.c": i2c(name, "", probe, IDS) for name, (probe, _) in REFUSALS.items()},
    **{f"{name}.c": i2c(name, "", probe, IDS) for name, probe in CONTENT.items()},
    # what uses them: a core that is content, and one that refuses
    "gluegood.c": i2c("gluegood", "", "return gluegood_core_probe(&client->dev, client->irq);", IDS),
    "gluegood_core.c": CORE.format(name="gluegood", body="return 0;"),
    "gluebad.c": i2c("gluebad", "", "return gluebad_core_probe(&client->dev, client->irq);", IDS),
    "gluebad_core.c": CORE.format(name="gluebad", body="if (irq <= 0)\n\t\treturn -EINVAL;\n\treturn 0;"),
    # the core of a PCI chip with a management port on I2C
    "vast_core.c": "int vast_register(void)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL(vast_register);\n",
    "vast_pci.c": pci_driver("vast", CHELSIO, "int vast(void)\n{\n\treturn vast_register();\n}"),
    "port_i2c.c": i2c("port", "", "return vast_register();", IDS),
    # the same through a glue, or behind a cell of another chip
    "vastlib_core.c": "int vastlib_register(void)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL(vastlib_register);\n",
    "vastlib_pci.c": pci_driver("vastlib", CHELSIO, "int vastlib(void)\n{\n\treturn vastlib_register();\n}"),
    "vastlib_glue.c": "int vastlib_glue(void)\n{\n\treturn vastlib_register();\n}\nEXPORT_SYMBOL(vastlib_glue);\n",
    "vastlib_port.c": i2c("vlport", "", "return vastlib_glue();", IDS),
    "mixed_core.c": "int mixed_register(void)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL(mixed_register);\n",
    "mixed_pci.c": pci_driver("mixed", CHELSIO, "int mixed(void)\n{\n\treturn mixed_register();\n}"),
    "mixed_cell.c": cell("mixedcell").replace('"mixedcell"', '"good-cell"') + "int mixed_c(void)\n{\n\treturn mixed_register();\n}\n",
    # cells of chips
    "mfdgood.c": i2c("mfdgood", "", "return devm_mfd_add_devices(&client->dev, 0, cells, 1, NULL, 0, NULL);", IDS + '\nstatic const struct mfd_cell cells[] = {\n\t{ .name = "good-cell" },\n};'),
    "goodcell.c": cell("goodcell").replace('"goodcell"', '"good-cell"'),
    "mfdbad.c": i2c("mfdbad", "", "if (!client->irq)\n\t\treturn -ENXIO;\n\treturn devm_mfd_add_devices(&client->dev, 0, cells, 1, NULL, 0, NULL);", IDS + '\nstatic const struct mfd_cell cells[] = {\n\t{ .name = "bad-cell" },\n};'),
    "cellwants.c": cell("cellwants").replace('"cellwants"', '"good-cell"').replace(".driver = {", ".probe = cw_probe,\n\t.driver = {", 1) + "static int cw_probe(struct platform_device *pdev)\n{\n\tif (!chip->irq_dev)\n\t\treturn -EPROBE_DEFER;\n\treturn 0;\n}\n",
    "badcell.c": cell("badcell").replace('"badcell"', '"bad-cell"'),
    # a device that an initcall makes on every machine, by a function of a header
    "tone.c": cell("tone"),
    "tonemaker.c": start('\tplatform_device_register_simple("tone", -1, NULL, 0);\n\treturn 0;'),
    # devices on the auxiliary bus with the name of another module than the one that creates them
    **{f"{name}.c": auxiliary(f"{name}_mod") for name in ("given", "meant", "other", "unread")},
    **{f"{name}_mod.c": pci_driver(f"{name}_mod", CHELSIO) for name in ("given", "meant", "other")},
    "keba.c": auxiliary("keba"),
    "keba.h": '#define MEANT "meant_mod"\n',
    "cp500.c": pci_driver("cp500", CHELSIO, 'int cp(void)\n{\n\treturn __auxiliary_device_add(&adev, "keba");\n}'),
    "giver.c": '#include "keba.h"\nint g(void)\n{\n\t__devm_auxiliary_device_create(dev, MEANT, "part", NULL, 0);\n\treturn __auxiliary_device_add(&adev, "given_mod");\n}\nstatic struct usb_driver g_driver = {\n\t.name = "g",\n};\nmodule_usb_driver(g_driver);\n',
    # since Linux 6.14 a device of no hardware, whose probe runs where it is made
    "faux.c": start('\tfaux = faux_device_create("acme", NULL, &faux_ops);\n\treturn 0;', "static int faux_probe(struct faux_device *d)\n{\n\treturn 0;\n}\nstatic struct faux_device_ops faux_ops = {\n\t.probe = faux_probe,\n};"),
    # drivers of the platform bus that user space binds, and the nearest that it does not
    "byhand.c": cell("byhand"),
    "dmabyhand.c": cell("dmabyhand").replace('"dmabyhand"', '"i2c-acme"').replace(".driver = {", ".driver_managed_dma = true,\n\t.driver = {", 1),
    "makesown.c": cell("makesown") + "static void makesown(void)\n{\n\tplatform_device_alloc(name, 0);\n}\n",
    # SPI
    "plainspi.c": spi("plainspi"),
    "highspi.c": spi("highspi", "spi->mode = SPI_MODE_3;\n\treturn spi_setup(spi);"),
    "fb.h": "#define FB_REGISTER_DRIVER(_name, _display) \\\nstatic struct spi_driver fb_driver = { \\\n\t.driver = { .name = _name, }, \\\n\t.probe = fb_probe, \\\n}; \\\nmodule_spi_driver(fb_driver);\n",
    "fbone.c": '#include "fb.h"\nstatic struct display display;\n\nFB_REGISTER_DRIVER("fbone", &display);\n',
    # names that formats print
    "i2c-acme.c": cell("acme").replace('"acme"', '"i2c-acme"'),
    "adapter.c": "void adapter(struct i2c_adapter *adap, int nr)\n{\n\tplatform_device_put(NULL);\n\tsnprintf(adap->name, 48, \"i2c-%s\", x);\n\tdev_info(dev, \"i2c-%s\", x);\n\tdev_set_name(dev, \"i2c-%s\", x);\n\tsnprintf(name, 9, \"i2c-%d\", nr);\n}\n",
    "hubcell.c": cell("hubcell").replace('"hubcell"', '"hub-cell-7"'),
    "maker.c": "void maker(int i)\n{\n\tsnprintf(name, 9, \"hub-cell-%d\", i);\n\tplatform_device_alloc(name, 0);\n}\n",
    # names that are easily missed: a number that is no word, an argument of a function of the chip's own, an end alone, a macro put together
    "numcell.c": cell("numcell").replace('"numcell"', '"8a3400x-phc"'),
    "argcell.c": cell("argcell").replace('"argcell"', '"acme-hwmon"'),
    "endcell.c": cell("endcell").replace('"endcell"', '"mc13-adc"'),
    "parts.h": "#define PARTS_DEV_BUCK \"parts-buck\"\n",
    "pastecell.c": cell("pastecell").replace('"pastecell"', "PARTS_DEV_BUCK"),
    "paster.c": "#define PART(_name) { .name = PARTS_DEV_##_name }\nstatic const struct mfd_cell parts[] = { PART(BUCK) };\nstatic struct usb_driver p_driver = {\n\t.name = \"p\",\n};\nmodule_usb_driver(p_driver);\n",
    "mfdeasy.c": i2c("mfdeasy", "", "acme_dev_register(client, \"acme-hwmon\");\n\tacme_add(client, \"%s-adc\", \"mc13\");\n\treturn devm_mfd_add_devices(&client->dev, 0, cells, 1, NULL, 0, NULL);", IDS + '\nstatic const struct mfd_cell cells[] = {\n\t{ .name = "8a3400x-phc" },\n};'),
    "boardcell.c": cell("boardcell").replace('"boardcell"', '"board-cell"'),
    "board.c": "int board_quirk(void)\n{\n\tif (dmi(\"ACME\"))\n\t\tplatform_device_register_simple(\"board-cell\", 0, NULL, 0);\n\treturn 0;\n}\nEXPORT_SYMBOL(board_quirk);\n",
    "boarduser.c": "int b(void)\n{\n\treturn board_quirk();\n}\nstatic struct usb_driver b_driver = {\n\t.name = \"b\",\n};\nmodule_usb_driver(b_driver);\n",
    "mdiodev.c": "static struct mdio_driver m_driver = {\n\t.mdiodrv.driver = {\n\t\t.name = \"acme-switch\",\n\t},\n};\nmdio_module_driver(m_driver);\n",
    "mdioinfo.c": "static struct mdio_board_info info = {\n\t.modalias = \"acme-switch\",\n};\nstatic struct usb_driver u_driver = {\n\t.name = \"u\",\n};\nmodule_usb_driver(u_driver);\n",
    # what is driven without a device
    "trigger.c": "static struct led_trigger t = {\n\t.name = \"acme\",\n};\nmodule_led_trigger(t);\n",
    "mode.c": start("\treturn team_mode_register(&mode);", "static const struct team_mode mode = {\n\t.kind = \"acme\",\n};"),
    "decoder.c": start("\treturn ir_raw_handler_register(&acme);"),
    "selector.c": start("\treturn dm_register_path_selector(&acme);"),
    "squeezer.c": start("\treturn ppp_register_compressor(&acme);"),
    "store.c": start("\treturn transport_backend_register(&acme);"),
    "lpt.c": "static struct parport_driver l = {\n\t.name = \"lpt\",\n};\nmodule_parport_driver(l);\n",
    "pack.c": "static struct ipack_driver p = {\n\t.ops = &ops,\n};\nmodule_ipack_driver(p);\n",
    "disk.c": scsi("MODULE_ALIAS_SCSI_DEVICE(TYPE_DISK);"),
    "changer.c": scsi("MODULE_ALIAS_SCSI_DEVICE(TYPE_MEDIUM_CHANGER);"),
    "unit.c": scsi("int of(int lun)\n{\n\treturn lun == UFS_UPIU_UFS_DEVICE_WLUN;\n}"),
    "someunit.c": scsi(""),
    "pnpclock.c": "static const struct pnp_device_id c_ids[] = {\n\t{ .id = \"PNP0b00\" },\n\t{ }\n};\nstatic struct pnp_driver c = {\n\t.name = \"c\",\n\t.id_table = c_ids,\n};\nmodule_pnp_driver(c);\n",
    "pccard.c": "static struct pcmcia_driver p = {\n\t.name = \"p\",\n};\nmodule_pcmcia_driver(p);\n",
    "firm.c": "static struct scmi_driver f = {\n\t.name = \"f\",\n};\nmodule_scmi_driver(f);\n",
    "epcore.c": "int epcore_bind(void)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL_GPL(epcore_bind);\n",
    "endpoint.c": 'static int e_bind(void)\n{\n\treturn epcore_bind();\n}\nstatic struct pci_epf_driver e = {\n\t.driver.name = "e",\n};\nstatic int __init e_init(void)\n{\n\treturn pci_epf_register_driver(&e);\n}\nmodule_init(e_init);\n',
    "layout.c": 'static struct nvmem_layout_driver l = {\n\t.driver = { .name = "l" },\n};\nmodule_nvmem_layout_driver(l);\n',
    "spimem.c": 'static struct spi_mem_driver m = {\n\t.spidrv = {\n\t\t.driver = { .name = "m" },\n\t},\n\t.probe = m_probe,\n};\nmodule_spi_mem_driver(m);\n',
    "card.c": "static struct sdio_driver s = {\n\t.name = \"s\",\n};\nmodule_sdio_driver(s);\n",
    # ports by their protocol, which userio cannot say, and HID devices that must be on USB
    "touch.c": serio("touch", ".type = 0x02, .proto = 0x3a"),
    "keys.c": serio("keys", ".type = 0x02, .proto = 0x3a", ".type = 0x01, .proto = 0xff"),
    "typeless.c": serio("typeless", ".type = 0x00, .proto = 0xff"),
    "hil.c": serio("hil", ".type = 0x03, .proto = 0x04"),
    "hidusb.c": hid("hidusb", "if (!hid_is_usb(hdev))\n\t\treturn -EINVAL;"),
    "hidany.c": hid("hidany", "if (quirks) {\n\t\tif (!hid_is_usb(hdev))\n\t\t\treturn -EINVAL;\n\t}"),
    # keymaps
    "maps.h": "#define RC_MAP_GOOD \"rc-good\"\n#define RC_MAP_BAD \"rc-bad\"\n#define RC_MAP_NOBODY \"rc-nobody\"\n",
    "mapgood.c": KEYMAP.format(name="GOOD"),
    "mapbad.c": KEYMAP.format(name="BAD"),
    "mapnobody.c": KEYMAP.format(name="NOBODY"),
    "receiver.c": "void r(struct rc_dev *rc)\n{\n\trc->map_name = RC_MAP_GOOD;\n}\nstatic struct usb_driver r_driver = {\n\t.name = \"r\",\n};\nmodule_usb_driver(r_driver);\n",
    "pcireceiver.c": pci_driver("pcir", CHELSIO, "void r(struct rc_dev *rc)\n{\n\trc->map_name = RC_MAP_BAD;\n}"),
    "noderx.c": by_node("acme,ir"),
    # what runs for a node of the device tree
    "clk.c": 'CLK_OF_DECLARE(acme, "acme,clk", acme_init);\nTIMER_OF_DECLARE(timer, "acme,timer",\n\t\t acme_init);\n' + ACME_INIT,
    "clkfixed.c": 'CLK_OF_DECLARE(acme, "acme,clk", acme_init);\nCLK_OF_DECLARE(fixed, "Fixed-Clock", acme_init);\n' + ACME_INIT,
    "clkline.c": 'CLK_OF_DECLARE(acme, "acme,clk", acme_init); CLK_OF_DECLARE(fixed, "fixed-clock", acme_init);\n' + ACME_INIT,
    "clkmacro.c": "CLK_OF_DECLARE(acme, ACME_CLK, acme_init);\n" + ACME_INIT,
    "clktwo.c": 'CLK_OF_DECLARE(acme, "acme," "clk", acme_init);\n' + ACME_INIT,
    "clkown.c": '#define CLK_OF_DECLARE(name, compat, fn) OF_DECLARE_1(clk, name, "fixed-clock", fn)\nCLK_OF_DECLARE(acme, "acme,clk", acme_init);\n' + ACME_INIT,
    "clkheader.c": '#include "clkheader.h"\nCLK_OF_DECLARE(acme, "acme,clk", acme_init);\n' + ACME_INIT,
    "clkheader.h": '#undef CLK_OF_DECLARE\n#define CLK_OF_DECLARE(name, compat, fn) OF_DECLARE_1(clk, name, "fixed-clock", fn)\n',
    "clkfn.c": '#define FN acme_init); OF_DECLARE_1(clk, bar, "fixed-clock", acme_init\nCLK_OF_DECLARE(acme, "acme,clk", FN);\n' + ACME_INIT,
    "clkfn2.c": '#include "clkfn2.h"\nCLK_OF_DECLARE(acme, "acme,clk", acme_init);\n' + ACME_INIT,
    "clkfn2.h": '#define acme_init acme_init); OF_DECLARE_1(clk, bar, "fixed-clock", acme_init\n',
    "clkfar.c": 'CLK_OF_DECLARE(acme, "acme,clk", far_init);\n',
    "clkbehind.c": 'CLK_OF_DECLARE(acme, "acme,clk", acme_init);\nint x; CLK_OF_DECLARE(fixed, "fixed-clock", acme_init);\n' + ACME_INIT,
    "method.c": 'CPU_METHOD_OF_DECLARE(acme, "acme,smp", &acme_ops);\n',
    "intc.c": 'IRQCHIP_DECLARE(acme, "acme,intc", acme_init);\n',
    "intcown.c": 'IRQCHIP_DECLARE(acme, "acme,intc", acme_init);\n' + ACME_INIT,
    "intchost.c": 'IRQCHIP_DECLARE(acme, "arm,gic-700", acme_init);\n' + ACME_INIT,
    # files that a start opens, on every machine or not
    "opens.c": start("\tret = class_register(&cls);\n\tif (ret)\n\t\treturn ret;\n\tret = misc_register(&dev);\n\tif (ret < 0) {\n\t\tclass_unregister(&cls);\n\t\treturn ret;\n\t}\n\treturn 0;", "static struct miscdevice dev = {\n\t.fops = &fops,\n};"),
    "onxen.c": start("\tif (!xen_domain())\n\t\treturn -ENODEV;\n\treturn misc_register(&dev);", "static struct miscdevice dev = {\n\t.fops = &fops,\n};"),
    "takesback.c": start("\tret = misc_register(&dev);\n\tif (ret)\n\t\treturn ret;\n\tif (!request_region(0x70, 2, \"x\")) {\n\t\tmisc_deregister(&dev);\n\t\treturn -EBUSY;\n\t}\n\treturn 0;", "static struct miscdevice dev = {\n\t.fops = &fops,\n};"),
    "helper.c": start("\tif (!is_supported())\n\t\treturn 0;\n\treturn misc_register(&dev);", "static struct miscdevice dev = {\n\t.fops = &fops,\n};\nstatic int is_supported(void)\n{\n\treturn is_uv_system();\n}"),
    "macrostart.c": pci_driver("ms", CHELSIO, "", "static int __init ms_init(void)\n{\n\tRET(pci_register_driver(&ms_driver));\n}\nmodule_init(ms_init);"),
    # what is put together of files, and what a suite tests
    "whole.c": '#include "part.c"\n',
    "part.c": pci_driver("part", CHELSIO),
    "tested.c": pci_driver("tested", CHELSIO, "int tested_sum(void)\n{\n\treturn 1;\n}\nEXPORT_SYMBOL(tested_sum);", "static int __init t_init(void)\n{\n\tregister_reboot_notifier(&nb);\n\treturn pci_register_driver(&tested_driver);\n}\nmodule_init(t_init);"),
    "suite.c": "void s(void)\n{\n\ttested_sum();\n\tsummed();\n}\nkunit_test_suites(&suite);\n",
    "sum.c": "int summed(void)\n{\n\treturn 1;\n}\nEXPORT_SYMBOL(summed);\n",
    # what is not seen to its end, or goes by a macro
    "ownsetter.c": pci_driver("ownsetter", CHELSIO, "static const struct kernel_param_ops param_ops_mode = {\n\t.set = set_mode,\n};\nmodule_param(mode, mode, 0644);"),
    "cut.c": "static struct pci_driver cut = {\n#ifdef A\n\t.driver = {\n#else\n\t.driver = {\n#endif\n\t\t.name = \"cut\",\n\t},\n};\nmodule_pci_driver(cut);\n",
    "number.c": cell("number").replace('"number"', '"4711"'),
    "wrapped.c": pci_driver("wrapped", CHELSIO, "int wrapped_sum(void)\n{\n\treturn 1;\n}\nACME_EXPORT_SYMBOL(wrapped_sum);"),
    "wrappeduser.c": "int b(void)\n{\n\treturn wrapped_sum();\n}\nstatic struct usb_driver w_driver = {\n\t.name = \"w\",\n};\nmodule_usb_driver(w_driver);\n",
    # users of a library: a suite, a driver that the base builds, and others
    "twofold.c": "int twofold(void)\n{\n\treturn 1;\n}\nEXPORT_SYMBOL(twofold);\n",
    "atwofold_test.c": "void s(void)\n{\n\ttwofold();\n}\nkunit_test_suites(&suite);\n",
    **{f"{name}.c": pci_driver(name, "\t{ PCI_VDEVICE(INTEL, 0x100e) },", "int f(void)\n{\n\treturn twofold();\n}") for name in ("firstuser", "user", "zuser")},
    # an extension of the module beside it
    "stick.c": "int stick_register_extension(void *x)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL(stick_register_extension);\nstatic struct usb_driver stick_driver = {\n\t.name = \"stick\",\n};\nmodule_usb_driver(stick_driver);\n",
    # of an object with many files, those that start something by the rarest words
    "big/card.c": pci_driver("card", CHELSIO),
    "big/clk.c": 'CLK_OF_DECLARE(fixed, "fixed-clock", acme_init);\n',
    "big/late.c": start("\treturn register_reboot_notifier(&nb);").replace("module_init", "late_initcall_sync"),
    **{f"big/part{number}.c": f"int part{number};\n" for number in range(60)},
    "big/acpica.c": "int evaluate(void)\n{\n\treturn 1;\n}\nACPI_EXPORT_SYMBOL(evaluate)\n",
    "evaluates.c": "int e(void)\n{\n\treturn evaluate();\n}\nstatic struct usb_driver e_driver = {\n\t.name = \"e\",\n};\nmodule_usb_driver(e_driver);\n",
    "stickdvb.c": start("\treturn stick_register_extension(&ops);", "static struct ops ops = {\n\t.init = fn,\n};"),
}  # fmt: skip


@pytest.fixture(scope="module")
def tree(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    return tree_of_hosts(first_kernel, tmp_path_factory.mktemp("hosts"))


def tree_of_hosts(first_kernel: Kernel, base: pathlib.Path) -> Kernel:
    """A small tree with all of these, and its word index."""
    shutil.copytree(first_kernel.path, base / "linux", symlinks=True)
    kernel = Kernel(base / "linux", first_kernel.env)
    for path, content in FILES.items():
        kernel.write(f"drivers/net/{path}", content)
    # another architecture has a board with the device
    kernel.write("arch/arm/mach-acme/board.c", 'static struct platform_device acme = {\n\t.name = "i2c-acme",\n};\n')
    for path, content in (("pci.h", PCI_H), ("pci_ids.h", IDS_H)):
        kernel.write(f"include/linux/{path}", content)
    parts = ("part.c", "user.c")
    objects = " ".join(path[:-2] + ".o" for path in FILES if path.endswith(".c") and path not in parts and "/" not in path)
    kernel.write("drivers/net/Makefile", kernel.read("drivers/net/Makefile") + f"obj-$(CONFIG_ALL) += {objects} big/\nobj-y += user.o\n")
    with_many = "".join(
        f"obj-$(CONFIG_ALL) += {name}s.o\n{name}s-y := card.o {name}.o {' '.join(f'part{number}.o' for number in range(60))}\n"
        for name in ("clk", "late")
    )
    with_many += f"obj-y += acpi.o\nacpi-y := acpica.o {' '.join(f'part{number}.o' for number in range(60))}\n"
    kernel.write("drivers/net/big/Makefile", with_many)
    kernel.write(
        "drivers/net/Kconfig", kernel.read("drivers/net/Kconfig") + "".join(f'config {name}\n\ttristate "{name}"\n' for name in OPTIONS)
    )
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "hosts")
    kernel.triage("index", "--quiet")
    return kernel


@pytest.fixture
def ask(tree: Kernel) -> Iterator[Ask]:
    yield from asked(tree.path)


def without(tree: Kernel, path: pathlib.Path, *options: str) -> Iterator[Ask]:
    """The same tree before it had some options."""
    shutil.copytree(tree.path, path / "linux", symlinks=True)
    other = Kernel(path / "linux", tree.env)
    for option in options:
        other.replace("drivers/net/Kconfig", f'config {option}\n\ttristate "{option}"\n', "")
    other.git("commit", "-qam", "before")
    yield from asked(other.path)


def test_a_virtio_driver_needs_the_transport_of_the_emulated_devices(ask: Ask) -> None:
    found = of(ask, "virtiod.c")
    assert (found.answer, found.devices, set(found.reasons)) == (Answer.YES, ("virtio-rng-pci",), {"VIRTIO_PCI"})


@pytest.mark.parametrize(
    ("name", "devices", "options"),
    [
        ("touch.c", ("serport on a pseudo terminal",), {"SERIO", "SERIO_SERPORT", "UNIX98_PTYS"}),
        ("keys.c", ("userio",), {"SERIO", "USERIO"}),
        ("typeless.c", (), set()),
        ("hil.c", (), set()),
        ("hidusb.c", ("dummy_hcd with raw-gadget, as a USB HID device",), {"USB_DUMMY_HCD", "USB_RAW_GADGET", "USB_HID"}),
        ("hidany.c", ("uhid",), {"UHID"}),
    ],
)
def test_a_device_is_emulated_by_what_the_driver_accepts(ask: Ask, name: str, devices: tuple[str, ...], options: set[str]) -> None:
    found = of(ask, name)
    assert (found.answer, found.devices, set(found.reasons)) == (Answer.YES if devices else Answer.UNKNOWN, devices, options)


@pytest.mark.parametrize("name", ["arrayname", "lookedup", "chiplabel", "pinname"])
def test_a_name_that_no_code_makes_a_device_of_proves_no(ask: Ask, name: str) -> None:
    assert of(ask, f"{name}.c").answer is Answer.NO


@pytest.mark.parametrize("name", ["madearray", "written", "boardlabel", "gotname", "clockname", "macromade"])
def test_a_name_that_may_be_that_of_a_device_leaves_it_open(ask: Ask, name: str) -> None:
    assert of(ask, f"{name}.c").answer is Answer.UNKNOWN


def test_an_adapter_by_which_user_space_is_any_chip_is_tried_before_other_usb_drivers() -> None:
    paths = ["drivers/media/usb/msi2500/msi2500.c", "drivers/spi/spi-ch341.c", "drivers/spi/spi-altera-core.c"]
    assert min(paths, key=likelihood) == "drivers/spi/spi-ch341.c"


def test_user_space_is_the_chip_behind_a_usb_adapter_and_binds_its_driver_by_name(ask: Ask) -> None:
    found = of(ask, "chipa.c")
    assert (found.answer, found.devices) == (Answer.YES, ("dummy_hcd with raw-gadget, as an i2c-tiny-usb adapter",))
    assert {"I2C", "I2C_TINY_USB", "USB_DUMMY_HCD", "USB_RAW_GADGET"} == set(found.reasons)
    assert "interrupt" in found.assumptions[0] and "'chipa' (new_device)" in found.facts[0].claim and found.facts[0].place.line == 3


def test_a_compatible_binds_a_client_only_with_device_trees_and_a_name_that_fits(ask: Ask) -> None:
    found = of(ask, "chipo.c")
    assert found.answer is Answer.YES and "OF" in found.reasons and "acme,chipo" in found.facts[0].text
    # new_device takes nineteen characters, and a board's name is no longer either
    assert of(ask, "a_chip_whose_name_is_too_long.c").answer is Answer.NO


def test_a_chip_that_only_firmware_names_is_no_where_no_table_has_it(ask: Ask) -> None:
    found = of(ask, "chipf.c")
    assert found.answer is Answer.NO and "none of its ACPI ids" in found.facts[0].claim
    found = of(ask, "chipd.c")
    assert found.answer is Answer.UNKNOWN and ".detect" in found.question


def test_a_tree_without_the_adapter_leaves_chips_open(tree: Kernel, tmp_path: pathlib.Path) -> None:
    for ask in without(tree, tmp_path, "I2C_TINY_USB", "SPI_CH341", "GREYBUS_SPI"):
        found = of(ask, "chipa.c")
        assert found.answer is Answer.UNKNOWN and "bound manually" in found.question
        # on SPI nothing answered then
        assert of(ask, "plainspi.c").answer is Answer.NO


@pytest.mark.parametrize(("name", "what"), [(name, what) for name, (_, what) in REFUSALS.items()])
def test_a_probe_that_refuses_without_what_a_board_gives_is_out_of_reach_or_open(ask: Ask, name: str, what: str) -> None:
    found = of(ask, f"{name}.c")
    if name in ("irqreq", "noclk"):  # line 0 may be free, and there may be no clocks at all
        assert found.answer is Answer.UNKNOWN and f"requires {what}" in found.question and f"{name}.c:" in found.question
    else:
        assert found.answer is Answer.NO and f"does not have {what}" in found.facts[0].claim and found.facts[0].place.line > 1


@pytest.mark.parametrize("name", CONTENT)
def test_a_probe_that_goes_on_without_it_is_reached(ask: Ask, name: str) -> None:
    assert of(ask, f"{name}.c").answer is Answer.YES


def test_the_glue_of_a_chip_wants_what_its_core_wants(ask: Ask) -> None:
    assert of(ask, "gluegood.c").answer is of(ask, "gluegood_core.c").answer is Answer.YES
    assert "interrupt" in of(ask, "gluegood_core.c").assumptions[0]
    for name in ("gluebad.c", "gluebad_core.c"):
        assert of(ask, name).answer is Answer.NO, name
    assert "gluebad_core_probe" in of(ask, "gluebad_core.c").running


def test_the_core_of_a_pci_chip_runs_behind_a_port_that_can_be_played(ask: Ask) -> None:
    for name in ("port_i2c.c", "vast_core.c", "vastlib_glue.c", "vastlib_core.c", "mixed_cell.c", "mixed_core.c"):
        assert of(ask, name).answer is Answer.YES, name
    assert of(ask, "vast_pci.c").answer is Answer.NO


def test_a_cell_has_the_chip_of_its_maker_unless_that_refuses_first(ask: Ask) -> None:
    found = of(ask, "goodcell.c")
    assert found.answer is Answer.YES and "creates a device called 'good-cell'" in found.facts[-1].claim and found.assumptions
    assert of(ask, "badcell.c").answer is Answer.NO
    found = of(ask, "cellwants.c")
    assert found.answer is Answer.UNKNOWN and "its probe requires an interrupt" in found.question


def test_what_a_partial_clone_lacks_may_make_a_device(tree: Kernel, tmp_path: pathlib.Path) -> None:
    shutil.copytree(tree.path, tmp_path / "partial", symlinks=True)
    kernel = Kernel(tmp_path / "partial", tree.env)
    kernel.git("mv", "drivers/net/mfdgood.c", "drivers/net/moved.c")  # into an object of its own
    kernel.write("drivers/net/moved.c", kernel.read("drivers/net/moved.c") + "/* large */\n")
    kernel.git("commit", "-qam", "moved")
    oid = kernel.git("rev-parse", "HEAD:drivers/net/moved.c").strip()
    for ask in asked(kernel.path):
        assert "moved.c" in str(of(ask, "goodcell.c").question or of(ask, "goodcell.c").facts)
    (kernel.path / ".git/objects" / oid[:2] / oid[2:]).unlink()
    (kernel.path / ".git/objects/pack/pack-1.promisor").touch()
    for ask in asked(kernel.path):
        assert of(ask, "goodcell.c").answer is Answer.UNKNOWN


def test_on_spi_the_adapter_has_to_know_the_mode(tree: Kernel, ask: Ask, tmp_path: pathlib.Path) -> None:
    assert of(ask, "plainspi.c").devices == ("dummy_hcd with raw-gadget, as a CH341 SPI adapter",)
    assert of(ask, "spimem.c").devices == of(ask, "plainspi.c").devices
    assert of(ask, "highspi.c").devices == ("dummy_hcd with raw-gadget, as a Greybus bridge",)
    for other in without(tree, tmp_path, "GREYBUS_SPI"):
        assert of(other, "highspi.c").answer is Answer.UNKNOWN


def test_a_driver_that_a_macro_of_its_own_header_makes_is_seen_at_its_line(ask: Ask) -> None:
    found = of(ask, "fbone.c")
    assert found.answer is Answer.YES and found.facts[0].place.line == 4 and "FB_REGISTER_DRIVER" in found.facts[0].text


@pytest.mark.parametrize(("name", "answer"), [("byhand", Answer.UNKNOWN), ("dmabyhand", Answer.UNKNOWN), ("makesown", Answer.NO)])
def test_a_driver_that_nothing_of_the_tree_binds_may_be_for_driver_override(ask: Ask, name: str, answer: Answer) -> None:
    found = of(ask, f"{name}.c")
    assert found.answer is answer and ("driver_override" in found.question) == (answer is Answer.UNKNOWN)


def test_names_of_adapters_messages_and_numbers_make_no_device(ask: Ask) -> None:
    assert of(ask, "i2c-acme.c").answer is Answer.NO


def test_a_name_that_a_function_puts_together_and_adds_is_no_proof_of_no(ask: Ask) -> None:
    found = of(ask, "hubcell.c")
    assert found.answer is Answer.UNKNOWN and "maker.c:3" in found.question


@pytest.mark.parametrize("name", ["numcell.c", "argcell.c", "endcell.c", "pastecell.c"])
def test_no_maker_is_missed_for_the_way_it_has_the_name(ask: Ask, name: str) -> None:
    assert of(ask, name).answer is not Answer.NO


def test_what_makes_a_device_for_a_board_that_it_knows_makes_none_for_every_machine(ask: Ask) -> None:
    assert of(ask, "board.c").answer is Answer.YES  # a USB driver calls it
    found = of(ask, "boardcell.c")
    assert found.answer is Answer.UNKNOWN and "board.c:4" in found.question


def test_the_name_of_a_driver_on_mdio_is_looked_for_too(ask: Ask) -> None:
    assert of(ask, "mdiodev.c").answer is not Answer.NO


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("trigger.c", "uleds"),
        ("mode.c", "team"),
        ("lpt.c", "dummy_hcd with raw-gadget, as a USS-720 parallel port"),
        ("card.c", "dummy_hcd with raw-gadget, as a VUB300 card reader"),
        ("stickdvb.c", "dummy_hcd with raw-gadget"),
        ("opens.c", "a file of its own"),
        ("decoder.c", "rc-loopback"),
        ("selector.c", "dm-multipath"),
        ("squeezer.c", "ppp"),
        ("store.c", "configfs"),
        ("disk.c", "virtio-scsi-pci"),
        ("changer.c", "dummy_hcd with raw-gadget, as a USB storage device"),
        ("unit.c", "ufs"),
        ("big/acpica.c", "dummy_hcd with raw-gadget"),  # whose macro is another word of the index
    ],
)
def test_what_user_space_drives_without_a_device_is_reached(ask: Ask, name: str, device: str) -> None:
    found = of(ask, name)
    assert (found.answer, found.devices) == (Answer.YES, (device,))


@pytest.mark.parametrize(
    ("text", "kind", "known"),
    [
        ("PNP0b00", "pnp_device_id", "PNP0B00"),
        ("PNP0bXX", "pnp_device_id", "PNP0B00"),
        ("PNP0b01", "pnp_device_id", ""),
        ("pnp0B00", "pnp_device_id", ""),
        ("PNP0b0", "pnp_device_id", ""),
        ("PNP0b00", "acpi_device_id", ""),
        ("PNP0B00", "acpi_device_id", "PNP0B00"),
    ],
)
def test_pnp_compares_the_number_of_an_id_in_either_case(text: str, kind: str, known: str) -> None:
    assert known_as(text, kind, {"PNP0B00": "pc"}) == known


def test_a_driver_on_pnp_has_the_device_of_the_machine_whose_id_it_spells_in_lower_case(ask: Ask) -> None:
    found = of(ask, "pnpclock.c")
    assert (found.answer, found.devices) == (Answer.YES, ("pc",))


def test_a_scsi_driver_that_says_of_no_type_of_device_is_open(ask: Ask) -> None:
    assert of(ask, "someunit.c").answer is Answer.UNKNOWN


def test_of_a_library_those_users_are_tried_first_that_the_base_builds_and_suites_last(ask: Ask) -> None:
    found = of(ask, "twofold.c")
    assert (found.answer, found.devices[0], found.reasons) == (Answer.YES, "e1000", {})
    assert found.facts[0].place.path == "drivers/net/user.c"
    assert [is_suite(path) for path in ("drivers/gpu/drm/ttm/tests/ttm_bo_test.c", "drivers/rtc/rtc-test.c", "drivers/acpi/test.h")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("name", "answer"),
    [("given", Answer.UNKNOWN), ("meant", Answer.UNKNOWN), ("other", Answer.NO), ("unread", Answer.UNKNOWN), ("keba", Answer.NO)],
)
def test_an_auxiliary_device_has_the_name_that_it_is_given(ask: Ask, name: str, answer: Answer) -> None:
    assert of(ask, f"{name}.c").answer is answer


def test_a_faux_device_that_an_initcall_makes_needs_no_hardware(ask: Ask) -> None:
    found = of(ask, "faux.c")
    assert found.answer is Answer.UNKNOWN and "faux_device_create()" in found.question


def test_a_host_of_the_machine_counts_where_the_machine_has_it(tree: Kernel, ask: Ask) -> None:
    assert of(ask, "pack.c").devices == ("tpci200 with ipoctal232",)
    for other in asked(tree.path, ("gce",)):
        assert of(other, "pack.c").answer is Answer.UNKNOWN


def test_a_bus_that_no_machine_has_is_no(ask: Ask) -> None:
    assert of(ask, "pccard.c").answer is Answer.NO


def test_a_layout_of_nvmem_is_a_node_that_no_machine_has(tree: Kernel, ask: Ask) -> None:
    assert of(ask, "layout.c").answer is Answer.NO
    for arch, answer in (("arm64", Answer.NO), ("riscv", Answer.UNKNOWN)):
        for other in asked(tree.path, arch=arch):
            assert of(other, "layout.c").answer is answer


def test_user_space_creates_a_function_of_a_pci_endpoint(ask: Ask) -> None:
    found = of(ask, "endpoint.c")
    assert (found.answer, set(found.reasons)) == (Answer.YES, {"PCI_ENDPOINT", "PCI_ENDPOINT_CONFIGFS"})
    assert of(ask, "epcore.c").answer is Answer.UNKNOWN  # no controller is there


def test_why_a_bus_is_absent_is_no_question_on_another_architecture(tree: Kernel, ask: Ask) -> None:
    assert of(ask, "firm.c").answer is Answer.NO
    for other in asked(tree.path, arch="arm64"):
        found = of(other, "firm.c")
        assert found.answer is Answer.UNKNOWN and found.question.startswith("not known: whether the VM has a device on the scmi bus")


def test_a_keymap_is_what_the_receivers_are_that_ask_for_it(tree: Kernel, ask: Ask) -> None:
    found = of(ask, "mapgood.c")
    assert found.answer is Answer.YES and found.facts[-1].place.path == "drivers/net/receiver.c"
    assert of(ask, "mapbad.c").answer is of(ask, "mapnobody.c").answer is Answer.NO
    # a device tree names one only for a receiver that it has
    for other in asked(tree.path, arch="arm64"):
        found = of(other, "mapnobody.c")
        assert found.answer is Answer.NO and "acme_ir_driver" in found.facts[1].claim


@pytest.mark.parametrize(("compatible", "path"), [("gpio-keys", "noderx.c"), ("acme,ir", "noderx.h")])
def test_a_keymap_stays_open_where_the_device_tree_may_name_it(tree: Kernel, tmp_path: pathlib.Path, compatible: str, path: str) -> None:
    shutil.copytree(tree.path, tmp_path / "linux", symlinks=True)
    other = Kernel(tmp_path / "linux", tree.env)
    other.write(f"drivers/net/{path}", by_node(compatible))
    other.git("add", "-A")
    other.git("commit", "-qm", "receiver")
    other.triage("index", "--quiet")
    for ask in asked(other.path, arch="arm64"):
        assert of(ask, "mapnobody.c").answer is Answer.UNKNOWN


@pytest.mark.parametrize(("path", "keymap", "arch"), [("/noderx.c", "mapnobody.c", "arm64"), ("/pcireceiver.c", "mapbad.c", "x86_64")])
def test_a_receiver_that_could_not_be_read_may_take_the_keymap(
    tree: Kernel, monkeypatch: pytest.MonkeyPatch, path: str, keymap: str, arch: str
) -> None:
    get = Texts.get
    monkeypatch.setattr(Texts, "get", lambda texts, asked: None if asked.endswith(path) else get(texts, asked))
    for ask in asked(tree.path, arch=arch):
        assert of(ask, keymap).answer is Answer.UNKNOWN


def test_a_header_of_a_driver_may_name_the_keymap(tree: Kernel, tmp_path: pathlib.Path) -> None:
    shutil.copytree(tree.path, tmp_path / "linux", symlinks=True)
    other = Kernel(tmp_path / "linux", tree.env)
    other.write("drivers/net/boards.h", "#define BOARD_MAP RC_MAP_NOBODY\n")
    other.git("add", "-A")
    other.git("commit", "-qm", "boards")
    other.triage("index", "--quiet")
    for ask in asked(other.path):
        assert of(ask, "mapnobody.c").answer is Answer.UNKNOWN


@pytest.mark.parametrize(
    "name", [*(name for name in FILES if name.startswith("clk") and name.endswith(".c")), "method.c", "intc.c", "intcown.c", "intchost.c"]
)
def test_what_runs_for_a_node_runs_where_a_device_tree_may_have_it(tree: Kernel, ask: Ask, name: str) -> None:
    found = of(ask, name)
    assert (found.answer, len(found.facts)) == (Answer.NO, 1) and "runs from a device tree" in found.facts[0].claim
    for other in asked(tree.path, arch="arm64"):
        found = of(other, name)
        assert found.answer is (Answer.NO if name in ("clk.c", "intcown.c") else Answer.UNKNOWN)
        claims = [fact.claim.partition(", which")[0] for fact in found.facts]
        assert name != "clk.c" or claims == ["runs for a node 'acme,clk'", "runs for a node 'acme,timer'"]
    for other in asked(tree.path, arch="riscv"):
        assert of(other, name).answer is Answer.UNKNOWN


def test_of_an_object_with_many_files_each_that_starts_something_is_read(tree: Kernel, ask: Ask) -> None:
    assert of(ask, "big/late.c").answer is Answer.UNKNOWN
    for other in asked(tree.path, arch="arm64"):
        assert of(other, "big/clk.c").answer is Answer.UNKNOWN


@pytest.mark.parametrize("name", ["onxen.c", "takesback.c", "helper.c"])
def test_a_start_that_may_leave_or_take_back_for_want_of_a_device_stays_open(ask: Ask, name: str) -> None:
    found = of(ask, name)
    assert found.answer is Answer.UNKNOWN and "misc_register()" in found.question


def test_a_macro_around_a_call_hands_nothing_out_itself(ask: Ask) -> None:
    assert of(ask, "macrostart.c").answer is Answer.NO


def test_a_file_that_includes_another_has_its_drivers(ask: Ask) -> None:
    assert of(ask, "whole.c").answer is Answer.NO


def test_a_suite_runs_a_library_and_not_the_driver_of_a_device(ask: Ask) -> None:
    assert of(ask, "sum.c").devices == ("KUnit",)
    assert of(ask, "tested.c").answer is Answer.UNKNOWN


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("ownsetter.c", "module_param() has its own setter"),
        ("cut.c", "the end of the structure was not found"),
        ("number.c", "a device called '4711'"),
        ("wrapped.c", "wrappeduser.c runs in the VM, which uses wrapped_sum()"),
    ],
)
def test_what_is_not_seen_to_its_end_or_goes_by_a_macro_stays_open(ask: Ask, name: str, question: str) -> None:
    found = of(ask, name)
    assert found.answer is Answer.UNKNOWN and question in found.question
