"""`patch-triage plan`: a directory from which a run of the fuzzer starts with the commands that it prints."""

from __future__ import annotations

import argparse
import pathlib
import typing

from hook.asking import NOT_ASKED
from hook.commands import DONE, NOT_JUDGED, CannotDo, Command, WrongUse, complain, mail, print_document, refuse_no_kernel, repository
from hook.commands import export as exporting
from hook.commands.command_line import add_format, add_offline, add_patch, add_verbose
from hook.config import Settings
from hook.failure import CannotJudge
from hook.source import setting_layers
from hook.source.object_store import Objects
from hook.source.tree import Source

if typing.TYPE_CHECKING:
    from hook.plan.plan_files import Origin
    from hook.plan.run_plan import RunPlan
    from hook.report.exports import Item


def register(command: Command) -> None:
    sub = command("plan", plan, "write a run of the fuzzer: kernel options, syz-manager's configuration, the commands")
    sub.add_argument("revision", nargs="*", metavar="COMMIT | A..B", help="default: HEAD")
    add_patch(sub)
    sub.add_argument("--out", required=True, metavar="DIR", help="a new directory")
    add_offline(sub)
    add_format(sub)
    add_verbose(sub, "print every fact")


def plan(options: argparse.Namespace) -> int:
    """Write the plan."""
    if options.patch and options.revision:
        raise WrongUse("plan takes COMMIT… or --patch FILE")
    if options.base and not options.patch:
        raise WrongUse("use --base with --patch; a commit is judged against its parent")
    if options.patch == "-":
        raise WrongUse("the plan's commands read the patch again: use a file instead of standard input")
    place = pathlib.Path(options.out).absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise CannotDo(f"{place} exists already: name a new directory")
    made, settings, origin, code = _of_patch(options) if options.patch else _of_commits(options)
    if made is None:
        why = "nothing to fuzz: no change is worth fuzzing"
        if options.format == "text":
            print(why)
        else:
            print_document({"NoPlan": why}, options.format)
        return code
    _written(made, settings, origin, place, options.format)
    return code


def _written(run_plan: RunPlan, settings: Settings, origin: Origin, place: pathlib.Path, form: str) -> None:
    from hook.plan import manager_config, plan_files

    place.mkdir(parents=True, exist_ok=True)
    document = plan_files.write(run_plan, settings, origin, place)
    for line in (*manager_config.missing(settings), *run_plan.warnings):
        complain(line)
    if form != "text":
        print_document(document, form)
        return
    changes = f"{len(run_plan.changes)} {'change' if len(run_plan.changes) == 1 else 'changes'}"
    print(f"{place}/plan.md says what to run: {changes}, {len(run_plan.calls) or 'all'} system calls, {len(run_plan.seeds)} seeds")


def _of_commits(options: argparse.Namespace) -> tuple[RunPlan | None, Settings, Origin, int]:
    from hook.change.change import find_commit, revisions
    from hook.plan.plan_files import Origin

    repo = repository(options)
    names = options.revision or ["HEAD"]
    with Objects(repo) as objects:
        items, code = exporting.items(repo, objects, names, tell=exporting.teller(options))
        last = names[-1]
        tip = (revisions(repo, last) or [""])[-1] if ".." in last else find_commit(objects, last).oid
        settings = setting_layers.at(objects, tip or "HEAD")
        made = of_items(items, settings, Source(objects, tip or "HEAD")) if items else None
    return made, settings, Origin(repo.git_dir, tip, tuple(item.commit for item in items)), code


def _of_patch(options: argparse.Namespace) -> tuple[RunPlan | None, Settings, Origin, int]:
    from hook import triage
    from hook.change import series as mailed_series
    from hook.plan.plan_files import Origin

    repo = repository(options)
    with Objects(repo) as objects:
        refuse_no_kernel(objects, options.base or "")
        settings = setting_layers.at(objects, "HEAD")
    data, name = mail(options.patch)
    items: list[Item] = []
    made = None
    code = DONE
    with mailed_series.read(repo, settings, data, name, options.base) as series:
        base = series.base.commit
        for change in series.changes():
            if isinstance(change, mailed_series.Unread):
                complain(f"{change.label}: {change.why}")
                code = NOT_JUDGED
                continue
            with Objects(change.repo, settings.limits.blob_bytes) as blobs:
                verdict = triage.judge(change, blobs, settings, asking=NOT_ASKED).verdict
                exporting.teller(options)(change.label, verdict)
                items.append(exporting.item(blobs, change, change.label, verdict, settings))
                made = of_items(items, settings, Source(blobs, change.after))  # that of the last one is for the series
    if not items:
        raise CannotJudge("no patch of it could be judged: there is nothing to plan")
    if series.patches[0].is_bare:
        return made, settings, Origin(repo.git_dir, base, diff=series.patches[0].diff), code
    return made, settings, Origin(repo.git_dir, base, patch=str(pathlib.Path(options.patch).absolute())), code


def of_items(items: list[Item], settings: Settings, source: Source) -> RunPlan | None:
    """The plan for the changes that are worth fuzzing, of a tree with all of them; None where none is."""
    from hook.evidence.reach.devices import machine
    from hook.plan import run_plan, seeds
    from hook.syzlang import checkout

    if not any(item.verdict.worth_fuzzing for item in items):
        return None
    arch = settings.target.arch
    described = None
    if settings.fuzz.syzkaller:
        described = checkout.read(settings.fuzz.syzkaller, arch, source.repo.state_dir)
    coverage = None
    if settings.fuzz.coverage:
        from hook.coverage import coverage_file

        coverage = coverage_file.read(settings.fuzz, source.repo.state_dir)
    target = run_plan.PlanTarget(settings, machine.of_settings(settings), source, described, coverage)
    made = run_plan.of_items(items, target)
    if made.enabled is None:
        return made
    return run_plan.with_seeds(made, seeds.find(settings.fuzz.syzkaller, made.enabled.telling, checkout.ARCHES.get(arch, arch)))
