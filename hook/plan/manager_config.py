"""The configuration of syz-manager for a plan: pkg/mgrconfig/config.go and vm/qemu/qemu.go in syzkaller."""

from __future__ import annotations

import pathlib
from typing import Any

from hook.config import Settings
from hook.plan.run_plan import RunPlan
from hook.syzlang.checkout import ARCHES

# of the kernel that is booted, below its build directory
_IMAGES = {
    "x86_64": "arch/x86/boot/bzImage", "i386": "arch/x86/boot/bzImage", "arm64": "arch/arm64/boot/Image", "arm": "arch/arm/boot/zImage",
    "riscv": "arch/riscv/boot/Image", "s390": "arch/s390/boot/bzImage", "powerpc": "vmlinux", "mips": "vmlinux",
    "loongarch": "arch/loongarch/boot/vmlinux.efi",
}  # fmt: skip
_HTTP = "127.0.0.1:56741"
_MACHINE_CPUS, _MACHINE_MEBIBYTES = 2, 2048


def of_plan(plan: RunPlan, settings: Settings, place: pathlib.Path) -> dict[str, Any]:
    """The configuration, with all paths below `place` except those from the settings."""
    build, linux = place / "build", place / "linux"
    machine: dict[str, Any] = {
        "count": settings.plan.machines,
        "cpu": _MACHINE_CPUS,
        "mem": _MACHINE_MEBIBYTES,
        "kernel": str(build / _IMAGES.get(settings.target.arch, "vmlinux")),
    }
    if plan.kernel_parameters:
        machine["cmdline"] = " ".join(plan.kernel_parameters)
    if plan.qemu_args:
        machine["qemu_args"] = plan.qemu_args
    configuration: dict[str, Any] = {
        "name": "patch-triage",
        "target": f"linux/{ARCHES.get(settings.target.arch, settings.target.arch)}",
        "http": _HTTP,
        "workdir": str(place / "workdir"),
        "kernel_obj": str(build),
        "kernel_src": str(linux),
        "image": settings.plan.image,
        "sshkey": settings.plan.sshkey,
        "syzkaller": settings.fuzz.syzkaller,
        "type": "qemu",
        "vm": machine,
        "enable_syscalls": list(plan.calls),
        "disable_syscalls": list(plan.enabled.disabled) if plan.enabled else [],
        "experimental": dict(plan.focus) if plan.focus.get("focus_areas") else {},
    }
    return {key: value for key, value in configuration.items() if value}


def missing(settings: Settings) -> list[str]:
    """The settings that only the person knows and has not set, one line each."""
    needed_settings = (
        ("plan.image", settings.plan.image, "the disk image that the machines boot (tools/create-image.sh of syzkaller makes one)"),
        ("plan.sshkey", settings.plan.sshkey, "the private ssh key for it; mode 0600"),
        ("fuzz.syzkaller", settings.fuzz.syzkaller, "a built checkout of syzkaller, for its bin/ and descriptions"),
    )
    return [f"{name} is not set: {about}" for name, value, about in needed_settings if not value]
