"""One plan started for real, as far as it goes without syzkaller: does its kernel boot in its machine, with its drivers on their devices?

    python bench/boot.py WORK --tree GIT_TREE

A series of small edits, one for each kind of device, becomes one plan over a base configuration that can do nothing but boot: no bus, no
network, no driver. The plan's own commands check the series out, configure the kernel and build it. It boots in QEMU with the arguments and
parameters of manager.cfg, as syz-manager would start it (vm/qemu/qemu.go). The first process of the machine emulates devices as programs of
syzkaller do (USB, HID, a serial port, an I2C chip), and reads in /sys/bus which are bound to which drivers. The control is the same kernel
without all this: there the drivers must have no device.

    python bench/boot.py --devices

QEMU with each device that a verdict can name, with the arguments of a plan: which of them keep it from starting?

GIT_TREE is that of bench/tree.py, with its index; it is not built in. Needed are gcc, flex, bison, bc, libelf-dev, and qemu-system-x86;
the processor is emulated. A step that is done is not done again. Some 40 minutes of one processor, and 5 GB below WORK.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections import Counter
from typing import Any, NamedTuple

from bench.plans import wanted
from hook.coverage import elf
from hook.coverage.addresses import count
from hook.coverage.observations import Measured, Tally, source_name
from hook.evidence.reach.devices import machine
from hook.plan import launch

_BIN = pathlib.Path(sys.executable).parent
_BY_PLAN = ("Check the change out", "Configure the kernel", "Build it", "Remove filters that match nothing in this kernel")
_BOOTS = """\
CONFIG_64BIT=y
CONFIG_SMP=y
CONFIG_ACPI=y
CONFIG_PRINTK=y
CONFIG_TTY=y
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
CONFIG_BINFMT_ELF=y
CONFIG_BLK_DEV_INITRD=y
CONFIG_MULTIUSER=y
CONFIG_FUTEX=y
CONFIG_PROC_FS=y
CONFIG_SYSFS=y
CONFIG_DEVTMPFS=y
# CONFIG_SLUB_TINY is not set
"""
# what syz-manager adds to the kernel's command line and to QEMU's (vm/qemu/qemu.go)
_CMDLINE = "console=ttyS0 earlyprintk=serial oops=panic panic_on_warn=1 panic=1 vsyscall=native net.ifnames=0 biosdevname=0"
_NETWORK = ("-device", "e1000,netdev=net0", "-netdev", "user,id=net0")
_CLOCK = ("-icount", "shift=1,sleep=off")  # the machine's clock counts instructions: a busy host makes nothing time out
_KVM = "-enable-kvm -cpu host,migratable=off"
_QUIT = '{"execute":"qmp_capabilities"}\n{"execute":"quit"}\n'
_MOST_SECONDS = 900  # of a machine


class Case(NamedTuple):
    """An edit of a driver, and where its devices are then found."""

    kind: str
    path: str
    before: str
    after: str
    driver: str  # BUS DRIVER
    opens: str = ""  # a file of /dev that is there with the device
    own: int = 0  # devices that the driver has in any machine, without parameters


CASES = (
    Case(
        "virtio",
        "drivers/char/virtio_console.c",
        "	if (port->guest_connected) {\n		spin_unlock_irq(&port->inbuf_lock);",
        "	if (port->guest_connected || !port->portdev) {\n		spin_unlock_irq(&port->inbuf_lock);",
        "virtio virtio_console",
        "/dev/vport0p1",
    ),
    Case(
        "PCI",
        "drivers/net/ethernet/realtek/8139cp.c",
        "	rc = cp_alloc_rings(cp);\n	if (rc)\n		return rc;\n\n	napi_enable",
        "	if (!is_valid_ether_addr(dev->dev_addr))\n		return -EADDRNOTAVAIL;\n\n"
        "	rc = cp_alloc_rings(cp);\n	if (rc)\n		return rc;\n\n	napi_enable",
        "pci 8139cp",
    ),
    Case(
        "PCI with a disk",
        "drivers/nvme/host/pci.c",
        "	if (IS_ERR(dev))\n		return PTR_ERR(dev);\n\n	result = nvme_add_ctrl",
        "	if (IS_ERR(dev))\n		return -ENOMEM;\n\n	result = nvme_add_ctrl",
        "pci nvme",
        "/dev/nvme0n1",
    ),
    Case(
        "USB gadget",
        "drivers/net/can/usb/f81604.c",
        "	u8 val;\n} __packed __aligned(4);",
        "	u8 val;\n} __packed;",
        "usb f81604",
    ),
    Case(
        "platform",
        "drivers/net/wireless/virtual/mac80211_hwsim.c",
        "	data->started = true;\n	return 0;",
        "	if (data->started)\n		return -EBUSY;\n	data->started = true;\n	return 0;",
        "platform mac80211_hwsim",
        own=2,
    ),
    Case(
        "HID",
        "drivers/hid/hid-belkin.c",
        "	int ret;\n\n	hid_set_drvdata(hdev, (void *)quirks);\n",
        "	int ret;\n\n	if (!hdev->dev_rsize)\n		return -EINVAL;\n	hid_set_drvdata(hdev, (void *)quirks);\n",
        "hid belkin",
    ),
    Case(
        "serial port",
        "drivers/input/mouse/sermouse.c",
        "	sermouse->type = serio->id.proto;\n",
        "	sermouse->type = serio->id.proto;\n	if (!sermouse->type)\n		goto fail1;\n",
        "serio sermouse",
    ),
    Case(
        "I2C chip",
        "drivers/misc/eeprom/at24.c",
        "	cdata = i2c_get_match_data(client);\n	if (!cdata)\n		return -ENODEV;\n",
        "	cdata = i2c_get_match_data(client);\n	if (!cdata || !cdata->byte_len)\n		return -ENODEV;\n",
        "i2c at24",
    ),
    Case(
        "PCI sound card",
        "sound/pci/ens1370.c",
        "	ensoniq->p1_dma_size = snd_pcm_lib_buffer_bytes(substream);\n",
        "	ensoniq->p1_dma_size = snd_pcm_lib_buffer_bytes(substream);\n	if (!ensoniq->p1_dma_size)\n		return -EINVAL;\n",
        "pci snd_ens1370",
    ),
    Case(
        "PCI host of SD cards",
        "drivers/mmc/host/sdhci-pci-core.c",
        "	BUG_ON(slots > MAX_SLOTS);\n",
        "	if (slots > MAX_SLOTS)\n		return -ENODEV;\n",
        "pci sdhci-pci",
    ),
)
# what f81604 drives, an i2c-tiny-usb adapter, a Labtec keyboard, a mouse of SERIO_MSC, and a chip of at24
_EMULATED = "usb=2c42:1709:0,403:c631:ff hid=1020:6 serio=1 i2c=24c02"


class Boot(NamedTuple):
    """What a machine has said."""

    bound: Counter[str]  # devices by BUS DRIVER
    opened: dict[str, str]  # file of /dev -> done, or why not
    addresses: list[int]  # of the coverage points that this ran
    ended: bool
    console: str


class Work:
    """The directory of a run, with what is done in it."""

    def __init__(self, place: pathlib.Path, tree: pathlib.Path) -> None:
        self.place, self.tree = place, tree
        self.plan = place / "plan"
        place.mkdir(parents=True, exist_ok=True)

    def once(self, name: str, commands: tuple[str, ...], environment: dict[str, str] | None = None) -> None:
        """Run some commands of a shell, unless that was done before."""
        mark, log = self.place / f"{name}.done", self.place / f"{name}.log"
        if mark.exists():
            return
        path = f"{_BIN}{os.pathsep}{os.environ['PATH']}"
        with log.open("w") as out:
            for command in commands:
                print("$", command, flush=True)
                env = {**os.environ, "PATH": path, **(environment or {})}
                if subprocess.run(command, shell=True, env=env, stdout=out, stderr=out, check=False).returncode:
                    sys.exit(f"failed: see {log}")
        mark.touch()

    def series(self) -> pathlib.Path:
        """The edits as mails of one series."""
        mails = []
        for number, case in enumerate(CASES, 1):
            text = subprocess.run(
                ["git", "-C", str(self.tree), "show", f"HEAD:{case.path}"], capture_output=True, text=True, check=True
            ).stdout
            if text.count(case.before) != 1:
                sys.exit(f"{case.path} of this tree is not the one that the edit is for")
            new = text.replace(case.before, case.after)
            diff = difflib.unified_diff(text.splitlines(True), new.splitlines(True), f"a/{case.path}", f"b/{case.path}")
            mails.append(
                f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: bench <bench@localhost>\nDate: Mon, 2 Mar 2026 12:00:00 +0000\n"
                f"Subject: [PATCH {number}/{len(CASES)}] {case.kind}: an edit\n\n---\n{''.join(diff)}-- \n2.39\n\n"
            )
        series = self.place / "series.mbox"
        series.write_text("".join(mails))
        return series

    def planned(self) -> dict[str, Any]:
        """The plan of the series, over a base that only boots."""
        linux, base = shlex.quote(str(self.tree)), shlex.quote(str(self.place / "base"))
        (self.place / "boots.config").write_text(_BOOTS)
        make = f"make -s -C {linux} O={base} ARCH=x86_64"
        merge = f"{linux}/scripts/kconfig/merge_config.sh -m -O {base} {base}/.config {shlex.quote(str(self.place / 'boots.config'))}"
        self.once("base", (f"mkdir -p {base}", f"{make} tinyconfig", merge, f"{make} olddefconfig"))
        series, out = shlex.quote(str(self.series())), shlex.quote(str(self.plan))
        self.once(
            "plan",
            (f"patch-triage plan --repo {linux} --base HEAD --patch {series} --out {out} -v",),
            {"PATCH_TRIAGE_FUZZ_BASE_CONFIG": str(self.place / "base/.config")},
        )
        return dict(json.loads((self.plan / "plan.json").read_text()))

    def built(self, plan: dict[str, Any]) -> None:
        """Run the plan's commands, up to the one that starts the fuzzer."""
        identity = {f"GIT_{who}_{part}": "bench@localhost" for who in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        steps = {step["Title"]: tuple(step["Commands"]) for step in plan["Steps"]}
        for number, title in enumerate(_BY_PLAN, 1):
            self.once(f"step{number}", steps[title], identity)
        spec = self.place / "initramfs.txt"
        spec.write_text(
            "".join(f"dir /{name} 0755 0 0\n" for name in ("dev", "proc", "sys"))
            + f"nod /dev/console 0600 0 0 c 5 1\nfile /init {self.place / 'init'} 0755 0 0\n"
        )
        source, init = pathlib.Path(__file__).with_name("guest_init.c"), shlex.quote(str(self.place / "init"))
        packed = f"{self.plan}/build/usr/gen_init_cpio {shlex.quote(str(spec))} > {shlex.quote(str(self.place / 'initramfs.cpio'))}"
        self.once("init", (f"gcc -O1 -static {shlex.quote(str(source))} -o {init}", packed))

    def boot(self, name: str, *, as_planned: bool) -> Boot:
        """Start the machine of manager.cfg, or one without what the plan asks for and programs emulate; and wait until it is off."""
        config = json.loads((self.plan / "manager.cfg").read_text())["vm"]
        arguments = _arguments(config.get("qemu_args", "") if as_planned else _KVM)
        files = ",".join(filter(None, (case.opens for case in CASES)))
        append = " ".join((_CMDLINE, *((config.get("cmdline", ""), _EMULATED) if as_planned else ()), f"open={files}"))
        argv = f"qemu-system-x86_64 -m {config['mem']} -smp {config['cpu']} -display none -serial stdio -no-reboot".split()
        argv += [
            *arguments,
            *_NETWORK,
            *_CLOCK,
            "-kernel",
            config["kernel"],
            "-initrd",
            str(self.place / "initramfs.cpio"),
            "-append",
            append,
        ]
        log = self.place / f"{name}.console"
        if not log.exists():
            print("$", shlex.join(argv), flush=True)
            with log.with_suffix(".new").open("wb") as out:
                try:
                    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=_MOST_SECONDS, check=False)
                except subprocess.TimeoutExpired:
                    pass
            log.with_suffix(".new").rename(log)
        console = log.read_text(errors="replace")
        bound = Counter(re.findall(r"(?m)^BOUND (\S+ \S+) \S+\r?$", console))
        opened = dict(re.findall(r"(?m)^OPEN (\S+) (.*?)\r?$", console))
        addresses = [int(text, 16) for text in re.findall(r"(?m)^POINT (0x[0-9a-f]+)\r?$", console)]
        return Boot(bound, opened, addresses, re.search(r"(?m)^END\r?$", console) is not None, console)

    def reached(self, addresses: list[int]) -> list[str]:
        """What of the plan's focus these addresses are in, as the addresses of a coverage file are read."""
        tally = Tally()
        count(addresses, elf.read(self.plan / "build/vmlinux"), tally)
        measured = tally.coverage("machine", Measured("machine"))
        focus = json.loads((self.plan / "plan.json").read_text())["FocusSymbols"]
        return [name for name in focus if any(seen.reached for seen in measured.of_function(source_name(name)))]


def report(planned: Boot, bare: Boot, dropped: list[str]) -> bool:
    """Print what the machines say; whether all holds."""
    good = planned.ended and bare.ended and not dropped
    print(f"options of the fragment that olddefconfig drops: {', '.join(dropped) or 'none'}")
    for name, boot in (("as planned", planned), ("control", bare)):
        print(f"{name}: {'booted' if boot.ended else 'did not boot: ' + boot.console[-300:]}")
    print("kind                  driver                    devices as planned  control  file")
    for case in CASES:
        mine, there = planned.bound[case.driver], bare.bound[case.driver]
        opened = planned.opened.get(case.opens, "")
        good = good and mine > there == case.own and opened in ("", "done")
        print(f"{case.kind:21} {case.driver:25} {mine:18} {there:8}  {case.opens} {opened}")
    return good


def refused() -> list[str]:
    """The devices with whose arguments QEMU does not start, each with what it says."""
    vm = machine.machine("x86_64", ("qemu-any",))
    names = sorted({device.name for device in vm.pci} | {*vm.virtio.values(), *vm.acpi.values()})
    found: list[str] = []
    lacking: list[str] = []  # that this QEMU does not know
    for name in names:
        arguments = _arguments(launch.qemu_arguments([name], vm))
        argv = ["qemu-system-x86_64", "-m", "2048", "-display", "none", "-serial", "null", *arguments, *_NETWORK, "-S", "-qmp", "stdio"]
        done = subprocess.run(argv, input=_QUIT, capture_output=True, text=True, timeout=60, check=False)
        if "is not a valid device model name" in done.stderr:
            lacking.append(name)
        elif done.returncode:
            found.append(f"{name}: {(done.stderr.strip().splitlines() or ['it ends'])[-1]}")
    left = launch.needing_more(names, vm)
    print(f"{len(names)} devices; left to the person {len(left)}, of a later QEMU {len(lacking)}, refused {len(found)}")
    return found


def _arguments(text: str) -> list[str]:
    """Arguments of manager.cfg as syz-manager gives them to its first machine, with an emulated processor."""
    return re.sub(r"-cpu host\S*", "-cpu max", text.replace("-enable-kvm", "")).replace("{{INDEX}}", "0").split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path, nargs="?")
    parser.add_argument("--tree", type=pathlib.Path)
    parser.add_argument("--devices", action="store_true")
    options = parser.parse_args()
    if options.devices:
        lines = refused()
        print(*lines, sep="\n")
        return 1 if lines else 0
    if not (options.work and options.tree):
        parser.error("WORK and --tree, or --devices")
    work = Work(options.work.absolute(), options.tree.absolute())
    plan = work.planned()
    work.built(plan)
    config = wanted((work.plan / "build/.config").read_text())
    fragment = wanted((work.plan / "kernel.config").read_text())
    dropped = [name for name, value in fragment.items() if config.get(name, "n") != value]
    planned = work.boot("planned", as_planned=True)
    good = report(planned, work.boot("bare", as_planned=False), dropped)
    print(f"reached of the focus by opening these files: {', '.join(work.reached(planned.addresses)) or 'nothing'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
