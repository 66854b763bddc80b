"""The files of a plan: kernel.config, manager.cfg, plan.md, plan.json and seeds/, in a directory of its own."""

from __future__ import annotations

import json
import pathlib
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hook.config import Settings
from hook.plan import manager_config
from hook.plan.run_plan import FUZZING, KMSAN, RunPlan
from hook.report.text import plain
from hook.syzlang.checkout import ARCHES

SCHEMA_VERSION = 1
_MOST_SHOWN = 40  # names in a line of plan.md


class RunStep(NamedTuple):
    """Commands to be run in order, and their purpose."""

    title: str
    commands: tuple[str, ...]


class Origin(NamedTuple):
    """The repository and revision of the change."""

    repo: pathlib.Path
    revision: str  # a commit to check out
    commits: tuple[str, ...] = ()  # those of the change
    patch: str = ""  # a file of mails to apply on it
    diff: bytes = b""  # a bare diff to apply on it


def write(plan: RunPlan, settings: Settings, origin: Origin, place: pathlib.Path) -> dict[str, Any]:
    """Write all files into `place`, an existing empty directory; returns the content of plan.json. Raises OSError."""
    steps = list(_steps(plan, settings, origin, place))
    (place / "kernel.config").write_text(("" if plan.is_fuzzing_base else FUZZING) + plan.fragment, "utf-8")
    if plan.needs_kmsan:
        (place / "kmsan.config").write_text(KMSAN, "utf-8")
    config = manager_config.of_plan(plan, settings, place)
    (place / "manager.cfg").write_text(json.dumps(config, indent="\t", ensure_ascii=False) + "\n", "utf-8")
    plan_document = document(plan, settings, steps)
    (place / "plan.json").write_text(json.dumps(plan_document, indent="\t") + "\n", "utf-8")
    (place / "plan.md").write_text(_page(plan, settings, steps), "utf-8")
    if origin.diff:
        (place / "change.diff").write_bytes(origin.diff)
    if plan.seeds:
        (place / "seeds").mkdir()
        for seed in plan.seeds:
            (place / "seeds" / seed.path.rpartition("/")[2]).write_bytes(seed.data)
    return plan_document


def _steps(plan: RunPlan, settings: Settings, origin: Origin, place: pathlib.Path) -> Iterator[RunStep]:
    repo, linux, build = shlex.quote(str(origin.repo)), shlex.quote(str(place / "linux")), shlex.quote(str(place / "build"))
    arch = settings.target.arch
    make = f"make -C {linux} O={build} ARCH={arch}" + (" LLVM=1" if plan.needs_kmsan or settings.fuzz.toolchain.startswith("clang") else "")
    checkout = [f"git -C {repo} worktree add --detach {linux} {shlex.quote(origin.revision)}", f"mkdir -p {build}"]
    if origin.patch:
        checkout.append(f"git -C {linux} am {shlex.quote(origin.patch)}")
    if origin.diff:  # `git am` takes only mails
        checkout.append(f"git -C {linux} apply --index --whitespace=nowarn {shlex.quote(str(place / 'change.diff'))}")
        checkout.append(f"git -C {linux} commit --quiet --no-verify --message 'the change'")
    yield RunStep("Check the change out", tuple(checkout))
    base = settings.base_config_file
    first = f"cp {shlex.quote(base)} {build}/.config" if base else f"{make} {plan.defconfig} kvm_guest.config"
    fragments = [place / "kernel.config", *([place / "kmsan.config"] if plan.needs_kmsan else [])]
    merge = f"{linux}/scripts/kconfig/merge_config.sh -m -O {build} {build}/.config " + " ".join(
        shlex.quote(str(file)) for file in fragments
    )
    yield RunStep("Configure the kernel", (first, merge, f"{make} olddefconfig"))
    yield RunStep("Build it", (f'{make} -j"$(nproc)"',))
    place_of_change, names = (repo, " ".join(origin.commits)) if origin.commits else (linux, f"{origin.revision}..HEAD")
    check = f"patch-triage export syz-manager {names} --repo {place_of_change} --vmlinux {build}/vmlinux"
    yield RunStep("Remove filters that match nothing in this kernel", (f"{check} --into {shlex.quote(str(place / 'manager.cfg'))}",))
    syzkaller = settings.fuzz.syzkaller or "SYZKALLER"
    seeds = (f"{shlex.quote(syzkaller)}/bin/syz-db -os linux -arch {ARCHES.get(arch, arch)} pack "
             f"{shlex.quote(str(place / 'seeds'))} {shlex.quote(str(place / 'workdir/corpus.db'))}")  # fmt: skip
    workdir = shlex.quote(str(place / "workdir"))
    yield RunStep("Fuzz", (f"mkdir -p {workdir}", *((seeds,) if plan.seeds else ()),
                        f"{shlex.quote(syzkaller)}/bin/syz-manager -config {shlex.quote(str(place / 'manager.cfg'))}"))  # fmt: skip


def document(plan: RunPlan, settings: Settings, steps: Sequence[RunStep]) -> dict[str, Any]:
    """The plan as JSON for programs."""
    interfaces = plan.enabled.interfaces if plan.enabled else ()
    return {
        "SchemaVersion": SCHEMA_VERSION,
        "Changes": list(plan.changes),
        "FocusSymbols": list(plan.focus_symbols),
        "NeverReached": list(plan.never_reached),
        "EnableSyscalls": list(plan.calls),
        "Interfaces": [{"Interface": row.interface, "Calls": list(row.calls), "DescribedIn": row.described_in} for row in interfaces],
        "QemuArgs": plan.qemu_args,
        "KernelParameters": list(plan.kernel_parameters),
        "NeedsKMSAN": plan.needs_kmsan,
        "Seeds": [{"Path": seed.path, "Calls": list(seed.calls)} for seed in plan.seeds],
        "Minutes": plan.minutes,
        "Steps": [{"Title": step.title, "Commands": list(step.commands)} for step in steps],
        "Missing": manager_config.missing(settings),
        "Warnings": list(plan.warnings),
    }


def _page(plan: RunPlan, settings: Settings, steps: Sequence[RunStep]) -> str:
    lines = ["# What is fuzzed", "", *(f"- {_escaped(change)}" for change in plan.changes), ""]
    lines += [f"Focus symbols: {_listed(plan.focus_symbols)}", ""]
    if plan.never_reached:
        lines += [f"Never reached by the corpus yet: {_listed(plan.never_reached)}", ""]
    if plan.calls:
        lines += [f"{len(plan.calls)} system calls are enabled: those that use the interface, and those that create their resources.", ""]
    if plan.enabled:
        rows = [row for row in plan.enabled.interfaces if row.calls]
        lines += [f"- {_escaped(row.interface)} ({row.described_in}): {_listed(row.calls)}" for row in rows] + [""]
    if plan.qemu_args:
        lines += [f"QEMU: `{plan.qemu_args}`", ""]
    if plan.kernel_parameters:
        lines += [f"Kernel parameters: `{' '.join(plan.kernel_parameters)}`", ""]
    for title, notes in (("Set this first", manager_config.missing(settings)), ("Warnings", plan.warnings)):
        if notes:
            lines += [f"# {title}", "", *(f"- {_escaped(note)}" for note in notes), ""]
    lines += ["# What to run", ""]
    for number, step in enumerate(steps, 1):
        lines += [f"{number}. {step.title}:", "", "   ```", *(f"   {command}" for command in step.commands), "   ```", ""]
    lines += [f"Let it run for {plan.minutes} minutes or more (plan.minutes for each change).", ""]
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "the changed files"
    rest = len(names) - _MOST_SHOWN
    return ", ".join(f"`{plain(name)}`" for name in names[:_MOST_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _escaped(text: str) -> str:
    """Untrusted text, escaped so that Markdown shows it unchanged."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>()#+!|~&" else char for char in plain(text))
