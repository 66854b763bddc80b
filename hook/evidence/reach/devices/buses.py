"""Buses: where the devices of each come from, and which of the kernel's own virtual devices provide them.

These are names only. Whether the tree under review has a provider is looked up in its Kconfig, never assumed.
"""

from __future__ import annotations

import enum

import msgspec

from hook import lazy_re


class DeviceOrigin(enum.Enum):
    """Where the devices of a bus come from."""

    PCI = enum.auto()  # the machine, which has devices by PCI ids
    VIRTIO = enum.auto()  # the machine, too
    USER_SPACE = enum.auto()  # makes any device of the bus, through a provider
    MANUAL_BIND = enum.auto()  # user space has a driver bound by its name, and answers for the chip through a provider
    FIRMWARE = enum.auto()  # ACPI or a device tree; or code of the kernel that makes a device by its name
    OTHER_DRIVER = enum.auto()  # another driver makes the device, and the device's name says which
    ABSENT = enum.auto()  # no virtual machine of the catalogue has such a bus
    UNKNOWN = enum.auto()


class Provider(msgspec.Struct, frozen=True):
    """A virtual device of the kernel's own."""

    name: str  # as a person reads it
    options: tuple[str, ...]  # all of them are needed
    why: str
    device: str = ""  # of the machine, which has to have it, too
    marker: str = ""  # what stands in the file of a driver for which it provides a device


class Bus(msgspec.Struct, frozen=True):
    """A bus, or a subsystem that drivers register with as they do on one."""

    name: str
    origin: DeviceOrigin
    providers: tuple[Provider, ...] = ()
    kind: str = ""  # of what registers there, as a person reads it: "a trigger of LEDs"; empty: a driver of the bus
    question: str = ""  # that stays open where nothing more is known of a device
    absent_because: str = ""  # of ABSENT
    absent_on: tuple[str, ...] = ()  # architectures for which that was checked, elsewhere it is not known; empty: it holds for all


def _hosted(name: str, *providers: Provider, kind: str = "") -> Bus:
    return Bus(name, DeviceOrigin.USER_SPACE, providers, kind)


def _absent(name: str, because: str, *, on: tuple[str, ...] = ()) -> Bus:
    return Bus(name, DeviceOrigin.ABSENT, absent_because=because, absent_on=on)


GADGET = Provider("dummy_hcd with raw-gadget", ("USB_DUMMY_HCD", "USB_RAW_GADGET"), "user space can emulate a device for any USB driver")
UHID = Provider("uhid", ("UHID",), "user space can emulate a device for any HID driver")
# where the probe refuses what is not on USB
USB_HID = Provider(
    "dummy_hcd with raw-gadget, as a USB HID device", ("USB_DUMMY_HCD", "USB_RAW_GADGET", "USB_HID"),
    "user space can emulate a device for any HID driver on USB",
)  # fmt: skip
USERIO = Provider("userio", ("SERIO", "USERIO"), "user space can emulate a port of any type")
SERPORT = Provider(
    "serport on a pseudo terminal", ("UNIX98_PTYS", "SERIO", "SERIO_SERPORT"), "user space makes it a serial port of any protocol"
)
ADAPTER = Provider(
    "dummy_hcd with raw-gadget, as a USB network adapter", ("USB_DUMMY_HCD", "USB_RAW_GADGET", "USB_NET_AX8817X"),
    "the adapter asks its USB device for the id of the PHY",
)  # fmt: skip
ONE_WIRE = Provider(
    "dummy_hcd with raw-gadget, as a DS2490", ("USB_DUMMY_HCD", "USB_RAW_GADGET", "W1_MASTER_DS2490"),
    "the 1-wire bus is searched through a USB device",
)  # fmt: skip
SUITE = Provider("KUnit", ("KUNIT",), "the suite runs at boot and through debugfs")
FUNCTION = Provider(
    "dummy_hcd with configfs gadgets", ("USB_DUMMY_HCD", "USB_CONFIGFS"), "user space adds the function to a gadget, and is its host",
)  # fmt: skip
CHIP = Provider(
    "dummy_hcd with raw-gadget, as an i2c-tiny-usb adapter", ("I2C", "USB_DUMMY_HCD", "USB_RAW_GADGET", "I2C_TINY_USB"),
    "user space emulates the adapter's USB device, and so every byte that a chip sends",
)  # fmt: skip
SPI_CHIP = Provider(
    "dummy_hcd with raw-gadget, as a CH341 SPI adapter", ("SPI", "USB_DUMMY_HCD", "USB_RAW_GADGET", "SPI_CH341"),
    "user space emulates the adapter's USB device, and so the chip; driver_override binds the driver",
)  # fmt: skip
BRIDGED = Provider(
    "dummy_hcd with raw-gadget, as a Greybus bridge", ("SPI", "USB_DUMMY_HCD", "USB_RAW_GADGET", "GREYBUS_ES2", "GREYBUS_SPI"),
    "user space emulates the bridge, which says which chip is behind its SPI controller",
)  # fmt: skip
DISK = Provider(
    "virtio-scsi-pci", ("SCSI_VIRTIO",), "QEMU has a disk on it", "virtio-scsi-pci", "MODULE_ALIAS_SCSI_DEVICE(TYPE_DISK)"
)  # fmt: skip
# a unit of the host that the same object drives
UFS = Provider("ufs", ("SCSI_UFSHCD", "SCSI_UFSHCD_PCI"), "QEMU has a UFS host", "ufs", "UFS_UPIU_UFS_DEVICE_WLUN")
STORAGE = Provider(
    "dummy_hcd with raw-gadget, as a USB storage device", ("USB_DUMMY_HCD", "USB_RAW_GADGET", "USB_STORAGE"),
    "user space emulates the device, which says of which type it is", marker="MODULE_ALIAS_SCSI_DEVICE(TYPE_",
)  # fmt: skip
LINE = Provider("a pseudo terminal", ("UNIX98_PTYS",), "user space sets the line discipline")
MAPPER = Provider("device mapper", ("BLK_DEV_DM",), "user space creates a device with the target")
UDC = Provider("dummy_hcd", ("USB_DUMMY_HCD",), "the gadget binds to the controller dummy_udc, whose host is the same machine")
PORT = Provider(
    "dummy_hcd with raw-gadget, as a USS-720 parallel port", ("PARPORT", "USB_DUMMY_HCD", "USB_RAW_GADGET", "USB_USS720"),
    "user space emulates the port's USB device, and so every register",
)  # fmt: skip
CARD = Provider(
    "dummy_hcd with raw-gadget, as a VUB300 card reader", ("MMC", "USB_DUMMY_HCD", "USB_RAW_GADGET", "MMC_VUB300"),
    "user space emulates the reader's USB device, and so the SDIO card",
)  # fmt: skip
BRIDGE = Provider(
    "dummy_hcd with raw-gadget, as a Greybus bridge", ("GREYBUS", "USB_DUMMY_HCD", "USB_RAW_GADGET", "GREYBUS_ES2"),
    "user space emulates the bridge and the modules behind it",
)  # fmt: skip
BRIDGED_PHY = msgspec.structs.replace(BRIDGE, options=(*BRIDGE.options, "GREYBUS_BRIDGED_PHY"))
ULED = Provider("uleds", ("LEDS_TRIGGERS", "LEDS_USER"), "user space creates an LED and sets its trigger by name")
SOFTDOG = Provider(
    "softdog", ("SOFT_WATCHDOG", "SOFT_WATCHDOG_PRETIMEOUT", "WATCHDOG_PRETIMEOUT_GOV", "WATCHDOG_SYSFS"),
    "user space sets the governor of a watchdog by name, and lets it expire",
)  # fmt: skip
TEAM = Provider("team", ("NET_TEAM",), "user space sets the mode of a team device by name")
DEVCONFIG = Provider("COMEDI_DEVCONFIG", ("COMEDI",), "user space attaches the driver at any address; no board is needed")
SYNTH = Provider("speakup", ("SPEAKUP",), "user space chooses the synthesiser by name (/sys/accessibility/speakup/synth)")
FLASH = Provider("mtdram", ("MTD_MTDRAM",), "it gets every MTD device, also one in memory")
VOLUME = Provider("UBI on mtdram", ("MTD_UBI", "MTD_MTDRAM"), "it gets every volume, also one in memory")
LOOPED = Provider("snd-aloop", ("SND_ALOOP",), "it gets every PCM device, also a software one")
LOOPBACK = Provider(
    "rc-loopback", ("RC_CORE", "LIRC", "RC_DEVICES", "RC_LOOPBACK"), "what user space sends is received, and decoded",
)  # fmt: skip
MULTIPATH = Provider("dm-multipath", ("BLK_DEV_DM", "DM_MULTIPATH"), "user space creates a multipath target with the selector by name")
UNIT = Provider("ppp", ("PPP",), "user space chooses the compressor of a unit (PPPIOCSCOMPRESS)")
BACKSTORE = Provider("configfs", ("TARGET_CORE", "CONFIGFS_FS"), "user space creates a backstore of this type in configfs")
NETLINK = Provider("the connector", ("CONNECTOR",), "user space sends it messages over netlink")
IIO = Provider("configfs", ("IIO_CONFIGFS",), "user space creates one in configfs, by its type")
EPF = Provider(
    "configfs", ("PCI_ENDPOINT", "PCI_ENDPOINT_CONFIGFS"),
    "user space creates a function by the name of the driver; its bind needs a controller",
)  # fmt: skip
FAKE_VME = Provider("vme_fake", ("VME_BUS", "VME_FAKE"), "a software bridge with the slots that a driver asks for")
CARRIER = Provider("tpci200 with ipoctal232", ("IPACK_BUS", "BOARD_TPCI200"), "QEMU emulates the carrier and a module", "ipoctal232")
FILE = Provider("a file of its own", (), "user space opens it, or sends it messages, even without a device")
LINK = Provider("rtnetlink", ("NET",), "user space creates a network device of this kind")

BUSES: dict[str, Bus] = {
    bus.name: bus
    for bus in (
        Bus("pci", DeviceOrigin.PCI),
        Bus("virtio", DeviceOrigin.VIRTIO),
        _hosted("usb", GADGET),
        _hosted("hid", UHID, USB_HID),
        _hosted("serio", USERIO, SERPORT),
        _hosted("phy", ADAPTER),
        _hosted("w1", ONE_WIRE),
        _hosted("dm", MAPPER),
        _hosted("link", LINK),
        _hosted("ldisc", LINE),
        _hosted("kunit", SUITE),
        _hosted("usb_function", FUNCTION),
        Bus(
            "i2c",
            DeviceOrigin.MANUAL_BIND,
            question="can be bound manually (new_device, i2c-stub); not known: whether the code runs before its chip answers",
            providers=(CHIP,),
        ),
        Bus("spi", DeviceOrigin.MANUAL_BIND, providers=(SPI_CHIP, BRIDGED)),
        Bus("platform", DeviceOrigin.FIRMWARE),
        Bus("acpi", DeviceOrigin.FIRMWARE),
        Bus("pnp", DeviceOrigin.FIRMWARE),
        Bus("amba", DeviceOrigin.FIRMWARE),
        Bus("serdev", DeviceOrigin.FIRMWARE),
        Bus("mdio", DeviceOrigin.FIRMWARE),
        Bus("mipi_dsi", DeviceOrigin.FIRMWARE),
        Bus("spmi", DeviceOrigin.FIRMWARE),
        Bus("slim", DeviceOrigin.FIRMWARE),
        Bus("i3c", DeviceOrigin.FIRMWARE),
        Bus("apr", DeviceOrigin.FIRMWARE),
        Bus("fsi", DeviceOrigin.FIRMWARE),
        Bus("auxiliary", DeviceOrigin.OTHER_DRIVER),
        _absent("wmi", "a WMI device comes from ACPI's PNP0C14, which no table of the machine has", on=("x86_64", "arm64")),
        _absent("sdw", "SoundWire links come from ACPI or a device tree, and no machine of the catalogue has one"),
        _absent("ssam", "the Surface Aggregator is an ACPI device (MSHW0084) that no table of the machine has", on=("x86_64", "arm64")),
        _absent("ishtp_cl", "the Integrated Sensor Hub is a PCI device of Intel's that QEMU does not emulate"),
        _absent("mei_cl", "the Management Engine is a PCI device of Intel's that QEMU does not emulate"),
        _absent("scmi", "SCMI needs a device tree or ACPI firmware that offers it", on=("x86_64",)),
        _absent("dfl", "a DFL FPGA is a PCI or platform device that QEMU does not emulate"),
        _absent("coreboot", "coreboot's table is an ACPI device (BOOT0000) that no table of the machine has", on=("x86_64", "arm64")),
        _absent("zorro", "a bus of the Amiga", on=("x86_64", "arm64")),
        _absent("macio", "a bus of Apple's PowerPC machines", on=("x86_64", "arm64")),
        _absent("tc", "a bus of DECstation and Alpha machines", on=("x86_64", "arm64")),
        _absent("nubus", "a bus of 68k Macintosh machines", on=("x86_64", "arm64")),
        _absent("dio", "a bus of HP 9000/300 machines", on=("x86_64", "arm64")),
        _absent("ecard", "a bus of the Acorn RiscPC", on=("x86_64", "arm64")),
        _absent("maple", "a bus of the Dreamcast", on=("x86_64", "arm64")),
        _absent("vio", "a bus of POWER and SPARC hypervisors", on=("x86_64", "arm64")),
        _absent("ps3_system_bus", "a bus of the PlayStation 3", on=("x86_64", "arm64")),
        _absent("parisc", "a bus of PA-RISC machines", on=("x86_64", "arm64")),
        _absent("ccw", "a bus of s390", on=("x86_64", "arm64")),
        _absent("ccwgroup", "a bus of s390", on=("x86_64", "arm64")),
        _absent("css", "a bus of s390", on=("x86_64", "arm64")),
        _absent("ap", "a bus of s390", on=("x86_64", "arm64")),
        _absent("sa1111", "a companion chip of StrongARM boards", on=("x86_64", "arm64")),
        _absent("locomo", "a companion chip of StrongARM boards", on=("x86_64", "arm64")),
        _absent("fsl_mc", "a bus of Freescale's DPAA2 processors", on=("x86_64", "arm64")),
        _absent("host1x", "a bus of Tegra processors", on=("x86_64", "arm64")),
        _hosted("gadget", UDC, kind="a gadget"),
        _hosted("parport", PORT, kind="a driver of parallel ports"),
        _hosted("sdio", CARD, kind="a driver of SDIO cards"),
        _hosted("greybus", BRIDGE, kind="a driver of Greybus modules"),
        _hosted("gbphy", BRIDGED_PHY, kind="a driver of Greybus modules"),
        _hosted("led_trigger", ULED, kind="a trigger of LEDs"),
        _hosted("watchdog_governor", SOFTDOG, kind="a pretimeout governor"),
        _hosted("team", TEAM, kind="a mode of team devices"),
        _hosted("comedi", DEVCONFIG, kind="a driver that COMEDI_DEVCONFIG may attach"),
        _hosted("spk_synth", SYNTH, kind="a synthesiser"),
        _hosted("mtd", FLASH, kind="a user of MTD devices"),
        _hosted("ubi", VOLUME, kind="a user of UBI volumes"),
        _hosted("rc_protocol", LOOPBACK, kind="a decoder of infrared signals"),
        _hosted("path_selector", MULTIPATH, kind="a path selector of device mapper"),
        _hosted("ppp_compressor", UNIT, kind="a compressor of PPP"),
        _hosted("backstore", BACKSTORE, kind="a type of backstores"),
        _hosted("pcm", LOOPED, kind="a user of PCM devices"),
        _hosted("connector", NETLINK, kind="a family of messages"),
        _hosted("iio_sw", IIO, kind="a type of software IIO device or trigger"),
        _hosted("pci_epf", EPF, kind="a function of a PCI endpoint"),
        _absent("nvmem_layout", "a layout is a node of a device tree, below a memory that no machine has", on=("x86_64", "arm64")),
        _hosted("vme", FAKE_VME, kind="a driver of VME boards"),
        Bus("rc_map", DeviceOrigin.OTHER_DRIVER),
        _hosted("misc", FILE, kind="an initcall that registers a file or a netlink family"),
        _absent("pcmcia", "a PCMCIA socket is behind a bridge (CardBus, i82365) that QEMU does not emulate"),
        Bus(
            "rpmsg",
            DeviceOrigin.UNKNOWN,
            question="not known: whether a remote processor is behind a virtio device, as other hypervisors may have one",
        ),
        _absent("mhi", "MHI devices are PCI modems and accelerators that QEMU does not emulate"),
        _absent("bcma", "a bus inside of Broadcom's chips, none of which QEMU emulates", on=("x86_64", "arm64")),
        _absent("intel_th", "Intel's Trace Hub is a PCI or ACPI device that QEMU does not emulate"),
        _absent("rio", "RapidIO is behind a bridge that QEMU does not emulate"),
        _absent("mcb", "MEN's Chameleon bus is behind a PCI or LPC device that QEMU does not emulate"),
        _hosted("scsi", DISK, UFS, STORAGE, kind="a driver of SCSI devices"),
        _hosted("ipack", CARRIER, kind="a driver of IndustryPack modules"),
        _absent("siox", "SIOX is driven through lines that a device tree describes", on=("x86_64", "arm64")),
        _absent("peci", "PECI controllers are parts of management processors", on=("x86_64", "arm64")),
        _absent("sunxi_rsb", "a bus of Allwinner's processors", on=("x86_64", "arm64")),
        _absent("vchiq", "the VideoCore of a Raspberry Pi", on=("x86_64", "arm64")),
        Bus("vmbus", DeviceOrigin.UNKNOWN, question="not known: whether the VM is a guest of Hyper-V"),
        Bus("xenbus", DeviceOrigin.UNKNOWN, question="not known: whether the VM is a guest of Xen, or of QEMU that emulates Xen"),
        Bus("isa", DeviceOrigin.UNKNOWN, question="not known: whether the module parameters give the address of an ISA device"),
    )
}
# X of `struct X_driver` or `X_register_driver()` -> the bus, where its name differs
BUS_OF_SPELLING = {
    "usb_serial": "usb", "usb_device": "usb", "usb_stor": "usb", "usb_composite": "gadget", "comedi_pci": "pci",
    "comedi_usb": "usb", "comedi_pcmcia": "pcmcia", "drm_pci": "pci", "drm_module_pci": "pci", "drm_module_platform": "platform",
    "phy_driver": "phy", "serdev_device": "serdev", "w1_family": "w1", "slim_driver": "slim", "ssam_device": "ssam",
    "sdw_driver": "sdw", "fsl_mc_driver": "fsl_mc", "isapnp": "pnp", "pnp_card": "pnp", "acpi_bus": "acpi", "i2c_mux": "i2c",
    "bus_i2c": "i2c", "virtio_driver": "virtio", "zorro_driver": "zorro", "pata_parport": "parport", "legacy_pci": "pci",
    "edac_pci": "pci", "snd_pci": "pci", "hda_pci": "pci", "nd": "nd", "xenbus_frontend": "xenbus", "xenbus_backend": "xenbus",
    "isa_driver": "isa", "mipi_dsi_driver": "mipi_dsi", "auxiliary_driver": "auxiliary", "usb_gadget": "gadget",
    "isa_driver_with_irq": "isa", "mtd_blktrans": "mtd", "misc_device": "misc", "iio_sw_trigger": "iio_sw", "iio_sw_device": "iio_sw",
    "acpi_bus_type": "acpi", "spi_mem": "spi",
}  # fmt: skip
# option -> the virtual device that the code under it is: it needs no other device
VIRTUAL_DEVICES: dict[str, str] = {
    "USB_DUMMY_HCD": "dummy_hcd", "USB_RAW_GADGET": "raw-gadget", "UHID": "uhid", "USERIO": "userio", "INPUT_UINPUT": "uinput",
    "USBIP_VHCI_HCD": "vhci_hcd", "MAC80211_HWSIM": "mac80211_hwsim", "VIRT_WIFI": "virt_wifi", "NETDEVSIM": "netdevsim",
    "VETH": "veth", "TUN": "tun", "TAP": "tap", "DUMMY": "dummy", "IFB": "ifb", "NLMON": "nlmon", "BONDING": "bonding",
    "NET_TEAM": "team", "MACVLAN": "macvlan", "MACVTAP": "macvtap", "IPVLAN": "ipvlan", "VXLAN": "vxlan", "GENEVE": "geneve",
    "GTP": "gtp", "MACSEC": "macsec", "WIREGUARD": "wireguard", "BAREUDP": "bareudp", "NET_VRF": "vrf", "VSOCKMON": "vsockmon",
    "PFCP": "pfcp", "AMT": "amt", "OVPN": "ovpn", "NETKIT": "netkit", "RMNET": "rmnet", "NETCONSOLE": "netconsole",
    "PPP": "ppp", "SLIP": "slip", "N_GSM": "n_gsm", "N_HDLC": "n_hdlc", "CAN_SLCAN": "slcan", "CAN_CAN327": "can327",
    "CAN_VCAN": "vcan", "CAN_VXCAN": "vxcan", "IEEE802154_HWSIM": "mac802154_hwsim", "IEEE802154_FAKELB": "fakelb",
    "BT_HCIVHCI": "hci_vhci", "BT_HCIUART": "hci_uart on a pseudo terminal", "NFC_VIRTUAL_NCI": "virtual_ncidev",
    "NFC_SIM": "nfcsim", "DRM_VKMS": "vkms", "DRM_VGEM": "vgem", "FB_VIRTUAL": "vfb", "UDMABUF": "udmabuf",
    "SW_SYNC": "sw_sync", "VIDEO_VIVID": "vivid", "VIDEO_VIMC": "vimc", "VIDEO_VIM2M": "vim2m", "VIDEO_VICODEC": "vicodec",
    "VIDEO_VISL": "visl", "DVB_VIDTV": "vidtv", "SND_DUMMY": "snd-dummy", "SND_ALOOP": "snd-aloop",
    "SND_VIRMIDI": "snd-virmidi", "SND_PCMTEST": "snd-pcmtest", "BLK_DEV_NULL_BLK": "null_blk", "BLK_DEV_RAM": "brd",
    "BLK_DEV_LOOP": "loop", "BLK_DEV_NBD": "nbd", "BLK_DEV_UBLK": "ublk", "ZRAM": "zram", "SCSI_DEBUG": "scsi_debug",
    "NVME_TARGET_LOOP": "nvme-loop", "NVME_TCP": "nvme-tcp", "NVME_TARGET_TCP": "nvmet-tcp", "LOOPBACK_TARGET": "tcm_loop",
    "MTD_MTDRAM": "mtdram", "MTD_BLOCK2MTD": "block2mtd", "MTD_NAND_NANDSIM": "nandsim", "MTD_PHRAM": "phram",
    "VDPA_SIM": "vdpa_sim", "VDPA_SIM_NET": "vdpa_sim_net", "VDPA_SIM_BLOCK": "vdpa_sim_blk", "VDPA_USER": "vduse",
    "RDMA_RXE": "rxe", "RDMA_SIW": "siw", "IOMMUFD_TEST": "the iommufd selftest", "RTC_DRV_TEST": "rtc-test",
    "TEST_POWER": "test_power", "BLK_DEV_MD": "md", "BLK_DEV_DM": "device mapper", "MD_RAID0": "md", "MD_RAID1": "md",
    "MD_RAID10": "md", "MD_RAID456": "md", "BCACHE": "bcache", "DM_CRYPT": "dm-crypt",
    "USB_CONFIGFS": "configfs gadgets with dummy_hcd", "USB_LIBCOMPOSITE": "configfs gadgets with dummy_hcd",
    "COMEDI_TEST": "comedi_test", "SAMPLE_VFIO_MDEV_MTTY": "mtty", "MISDN_L1OIP": "l1oip", "VHOST_NET": "vhost-net",
    "VHOST_VSOCK": "vhost-vsock", "ATM_TCP": "atmtcp", "NET_DSA_LOOP": "dsa_loop", "VME_FAKE": "vme_fake",
    "GPIO_VIRTUSER": "gpio-virtuser (configfs)",
    "GPIO_AGGREGATOR": "gpio-aggregator (new_device)", "ATM_DUMMY": "adummy", "STM_DUMMY": "dummy_stm",
    "DMABUF_HEAPS_SYSTEM": "the system heap", "BLK_DEV_RNBD_CLIENT": "rnbd-client (map_device)", "NVME_TARGET_FCLOOP": "nvme-fcloop",
}  # fmt: skip
# option -> a virtual device for which it is not known whether it runs the code under the option, and that question
STUB_DEVICES: dict[str, tuple[str, str]] = {
    "GPIO_SIM": ("gpio-sim", "not known: whether a consumer of its lines runs the code"),
    "GPIO_MOCKUP": ("gpio-mockup", "not known: whether a consumer of its lines runs the code"),
    "I2C_STUB": ("i2c-stub", "not known: whether one of its chips runs the code"),
}
# registration functions whose name does not give the bus
_REGISTRARS = {
    "w1_register_family": "w1",
    "dm_register_target": "dm",
    "rtnl_link_register": "link",
    "tty_register_ldisc": "ldisc",
    "led_trigger_register": "led_trigger",
    "watchdog_register_governor": "watchdog_governor",
    "team_mode_register": "team",
    "rc_map_register": "rc_map",
    "coresight_init_driver": "amba",  # and on the platform bus: its driver is in the same file
    "usb_composite_probe": "gadget",
    "usb_gadget_register_driver_owner": "gadget",
    "register_mtd_blktrans": "mtd",
    "register_mtd_user": "mtd",
    "ubi_register_volume_notifier": "ubi",
    "snd_pcm_notify": "pcm",
    "cn_add_callback": "connector",
    "ir_raw_handler_register": "rc_protocol",
    "dm_register_path_selector": "path_selector",
    "ppp_register_compressor": "ppp_compressor",
    "transport_backend_register": "backstore",
    "greybus_register_driver": "greybus",
    "greybus_register": "greybus",
    "gb_gbphy_register": "gbphy",
}
_BY_FUNCTION = lazy_re.compile(
    r"_*(?:devm_)?(?:(\w+?)_(?:register|add|bus_register)_drivers?|(\w+?)_drivers?_(?:register|probe)|register_(\w+?)_driver"
    r"|(\w+?)_register_device_driver)\Z"
)


def bus_of(function: str) -> str:
    """The bus that a function registers a driver on, by its name; empty where it is none."""
    if function in ("usb_register", "usb_serial_register_drivers"):
        return "usb"
    if function in ("i2c_add_driver", "i2c_register_driver"):
        return "i2c"
    if function in _REGISTRARS:
        return _REGISTRARS[function]
    match = _BY_FUNCTION.match(function)
    if match is None:
        return ""
    bus = next(group for group in match.groups() if group is not None).lstrip("_")
    return BUS_OF_SPELLING.get(bus, bus)
