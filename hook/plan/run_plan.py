"""The plan of a run: from verdicts to kernel options, machine, system calls and focus, as plain data. Nothing is started."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hook.config import Settings
from hook.evidence.reach.devices.machine import Machine
from hook.kernel.kconfig import base_config, options_cache
from hook.plan import launch, system_calls
from hook.plan.seeds import Seed
from hook.plan.system_calls import Enabled
from hook.report.exports import Item, config_fragment, syzmanager
from hook.report.exports.syzmanager import HotCode
from hook.source.tree import Source
from hook.syzlang.checkout import Descriptions
from hook.verdict import each_once

if typing.TYPE_CHECKING:
    from hook.coverage.observations import Coverage

# options for fuzzing, added if the base configuration is not a fuzzer's (docs/linux/kernel_configs.md in syzkaller)
FUZZING = """\
CONFIG_KCOV=y
CONFIG_KCOV_INSTRUMENT_ALL=y
CONFIG_KCOV_ENABLE_COMPARISONS=y
CONFIG_DEBUG_FS=y
CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y
CONFIG_KALLSYMS=y
CONFIG_KALLSYMS_ALL=y
CONFIG_NAMESPACES=y
CONFIG_USER_NS=y
CONFIG_NET_NS=y
CONFIG_CONFIGFS_FS=y
CONFIG_SECURITYFS=y
# CONFIG_RANDOMIZE_BASE is not set
CONFIG_CMDLINE_BOOL=y
CONFIG_CMDLINE="net.ifnames=0"
CONFIG_KASAN=y
CONFIG_KASAN_INLINE=y
"""
KMSAN = "CONFIG_KMSAN=y\n# CONFIG_KASAN is not set\n# CONFIG_KCSAN is not set\n"


class RunPlan(msgspec.Struct, frozen=True):
    """The plan of one run."""

    changes: tuple[str, ...]  # COMMIT SUBJECT of those worth fuzzing
    fragment: str  # of kernel configuration
    defconfig: str  # the target of make for the base configuration, where the settings name no file
    is_fuzzing_base: bool  # whether the base configuration has KCOV by itself
    needs_kmsan: bool
    enabled: Enabled | None  # None without descriptions of system calls
    qemu_args: str
    kernel_parameters: tuple[str, ...]
    focus: Mapping[str, Any]  # `experimental` of syz-manager's configuration
    focus_symbols: tuple[str, ...]
    never_reached: tuple[str, ...]  # those of them that the person's coverage file shows as never run
    seeds: tuple[Seed, ...]
    warnings: tuple[str, ...]  # for the person
    minutes: int

    @property
    def calls(self) -> tuple[str, ...]:
        """The system calls to enable; empty: all."""
        return self.enabled.calls if self.enabled else ()


class PlanTarget(msgspec.Struct, frozen=True):
    """The target of the plan."""

    settings: Settings
    machine: Machine
    source: Source  # the tree with the changes
    descriptions: Descriptions | None
    coverage: Coverage | None = None


def of_items(items: Sequence[Item], target: PlanTarget) -> RunPlan:
    """One plan for all the changes among `items` that are worth fuzzing."""
    worth = [item for item in items if item.verdict.worth_fuzzing]
    verdicts = [item.verdict for item in worth]
    fragment, warnings = config_fragment.fragment(worth)
    focus, left_out = syzmanager.experimental(worth, None, HotCode(target.source.repo, target.coverage))
    options = each_once(verdict.enable_configs for verdict in verdicts)
    devices = each_once(verdict.devices for verdict in verdicts)
    interfaces = system_calls.interfaces(
        each_once(verdict.interfaces for verdict in verdicts), (*devices, *options), each_once(item.files for item in worth), target.source
    )
    enabled = system_calls.enabled(interfaces, target.descriptions) if target.descriptions else None
    return RunPlan(
        changes=tuple(f"{item.commit[:12] or 'mailed'} {item.subject}" for item in worth),
        fragment=fragment,
        defconfig=base_config.make_target(target.source, options_cache.target(target.settings.target.arch)["SRCARCH"]),
        is_fuzzing_base="\nCONFIG_KCOV=y" in f"\n{target.settings.base_config or ''}",
        needs_kmsan=any(verdict.needs_kmsan for verdict in verdicts),
        enabled=enabled,
        qemu_args=launch.qemu_arguments(devices, target.machine),
        kernel_parameters=tuple(launch.kernel_parameters(options, target.source)),
        focus=focus,
        focus_symbols=each_once(item.symbols for item in worth),
        never_reached=each_once(_never_reached(item, target.coverage) for item in worth) if target.coverage else (),
        seeds=(),
        warnings=(*warnings, *left_out, *_missing_devices(devices, target.machine), *_unanswered(enabled, interfaces)),
        minutes=target.settings.plan.minutes * len(worth),
    )


def with_seeds(plan: RunPlan, seeds: Sequence[Seed]) -> RunPlan:
    """The plan with programs to start the corpus from."""
    return msgspec.structs.replace(plan, seeds=tuple(seeds))


def _never_reached(item: Item, coverage: Coverage) -> Iterator[str]:
    """The names to aim at that the coverage file has in the changed files, and that no program has reached."""
    from hook.coverage.observations import source_name

    for name in item.symbols:
        functions = [function for function in coverage.of_function(source_name(name)) if function.path in item.files]
        if functions and not any(function.reached for function in functions):
            yield name


def _missing_devices(devices: Iterable[str], machine: Machine) -> list[str]:
    return [
        f"{name} is not in vm.qemu_args: it needs another program or machine; add it there"
        for name in launch.needing_more(devices, machine)
    ]


def _unanswered(enabled: Enabled | None, interfaces: Sequence[str]) -> list[str]:
    """Warnings about the system calls."""
    if enabled is None:
        return ["all system calls are enabled: fuzz.syzkaller is not set, so there are no descriptions to choose by"]
    lines = [
        f"no description of syzkaller reaches {interface}: the fuzzer cannot get there until {system_calls.file_for(interface)} has one"
        for interface, calls, _ in enabled.interfaces
        if not calls and not interface.startswith(("entry:", "related:"))
    ]
    lines += [f"{call} is not enabled: no call creates its resource" for call in enabled.left_out]
    if not enabled.calls:
        entries = [row.interface.partition(":")[2] for row in enabled.interfaces if row.interface.startswith("entry:")]
        why = f"{', '.join(entries)}: many calls lead there" if entries else "no interface of the verdict has a description"
        lines.append(f"all system calls are enabled: {why}")
    return lines
