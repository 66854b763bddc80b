"""Run times: when the kernel calls what a module or a driver hands to it."""

from __future__ import annotations

import enum


class RunsAt(enum.StrEnum):
    """What makes a function run."""

    MODULE_EXIT = "module exit"
    MODULE_UNLOAD = "module unload"  # of what the base configuration has as a module, or may have
    FIXED_UNBIND = "hot-unplug or unbind through sysfs only, which farms leave out"
    HOT_UNPLUG = "hot-unplug, which a program that emulates the device can cause"
    POWER = "suspend, resume or shutdown"
    BOOT = "boot"
    MODULE_LOAD = "boot or module load"  # of what the base configuration has as a module, or may have
    UNKNOWN = "not known"


# structure -> members -> when they run. Buses whose devices a program can plug and unplug (i2c through USB adapters or i2c-stub, spi,
# virtio through vduse, auxiliary through devlink, …) are not here: nothing is said of them
_POWER = dict.fromkeys(("suspend", "resume", "reset_resume", "shutdown"), RunsAt.POWER)
_FIXED = {"remove": RunsAt.FIXED_UNBIND, **_POWER}
MEMBERS: dict[str, dict[str, RunsAt]] = {
    "pci_driver": _FIXED,
    "amba_driver": _FIXED,
    "platform_driver": {"remove_new": RunsAt.FIXED_UNBIND, **_FIXED},
    "usb_driver": {"disconnect": RunsAt.HOT_UNPLUG, "shutdown": RunsAt.POWER},  # an idle device is suspended while the machine runs
    "usb_serial_driver": dict.fromkeys(("disconnect", "release", "port_remove"), RunsAt.HOT_UNPLUG),
    "hid_driver": {"remove": RunsAt.HOT_UNPLUG},
    "i2c_driver": _POWER,
    "spi_driver": _POWER,
    "virtio_driver": _POWER,
    "pnp_driver": _POWER,
    "dev_pm_ops": {},  # each of its members
    "syscore_ops": {},
}
