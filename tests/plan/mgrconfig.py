"""What syz-manager takes as its configuration (pkg/mgrconfig/config.go and load.go, vm/qemu/qemu.go of syzkaller): a schema of ours."""

from __future__ import annotations

from typing import Any

import jsonschema

from tests.report import syzmanager

_TEXT, _NAMES = {"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["target", "workdir", "syzkaller", "type"],
    "properties": {
        **dict.fromkeys(("name", "http", "kernel_obj", "kernel_src", "image", "sshkey"), _TEXT),
        "target": {"type": "string", "pattern": "^linux/(386|amd64|arm|arm64|mips64le|ppc64le|riscv64|s390x|loong64)$"},
        "workdir": _TEXT,
        "syzkaller": _TEXT,
        "type": {"const": "qemu"},
        "procs": {"type": "integer", "minimum": 1, "maximum": 32},
        "enable_syscalls": _NAMES,
        "disable_syscalls": _NAMES,
        "vm": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "count": {"type": "integer", "minimum": 1, "maximum": 1024},
                "cpu": {"type": "integer", "minimum": 1, "maximum": 1024},
                "mem": {"type": "integer", "minimum": 128, "maximum": 1048576},
                **dict.fromkeys(("qemu", "qemu_args", "kernel", "cmdline"), _TEXT),
            },
            "dependentRequired": {"cmdline": ["kernel"]},
        },
        "experimental": {"type": "object"},
    },
}


def faults(config: dict[str, Any]) -> list[str]:
    """Why syz-manager would not take `config`, whatever the kernel holds; empty if it would."""
    both = {"allOf": [SCHEMA, syzmanager.SCHEMA]}
    return [error.message for error in jsonschema.Draft202012Validator(both).iter_errors(config)]


def enabled(config: dict[str, Any], described: set[str]) -> set[str]:
    """The calls that syz-manager takes from a configuration (ParseEnabledSyscalls, pkg/mgrconfig/load.go). Raises ValueError."""

    def named(pattern: str) -> set[str]:
        names = {name for name in described if name == pattern or name.startswith(pattern + "$")}
        if len(pattern) > 1 and pattern.endswith("*"):
            names |= {name for name in described if name.startswith(pattern[:-1])}
        if not names:
            raise ValueError(f"unknown syscall: {pattern}")
        return names

    taken = set().union(*map(named, config["enable_syscalls"])) if config.get("enable_syscalls") else set(described)
    return taken.difference(*map(named, config.get("disable_syscalls", ())))


def unprovided(descriptions: str, enabled: set[str]) -> set[str]:
    """The calls that syz-manager would take out again, since nothing that is enabled makes what they take.

    By the words of the text alone: docs/syscall_descriptions_syntax.md, "Resources".
    """
    resources, takes, makes = {"fd": ""}, {}, {}
    for line in descriptions.splitlines():
        if line.startswith("resource "):
            name, _, kind = line[9:].partition("[")
            resources[name] = kind.partition("]")[0]
        elif "(" in line and line.partition("(")[0] in enabled:
            arguments, _, result = line.partition("(")[2].rpartition(")")
            takes[line.partition("(")[0]] = {
                word for argument in arguments.split(",") for word in argument.split()[1:2] if word in resources
            }
            makes[line.partition("(")[0]] = result.strip()
    supported: set[str] = set()
    made: set[str] = set()
    while more := {name for name in takes if name not in supported and takes[name] <= made}:
        supported |= more
        for name in more:
            kind = makes[name]
            while kind in resources:
                made.add(kind)
                kind = resources[kind]
    return enabled - supported
