"""`patch-triage configs`: what to set over the base configuration for a change, and what one option needs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hook import config, triage
from hook.change.change import find_commit, of_commit
from hook.commands import DONE, CannotDo, Command, WrongUse, mail, print_document, refuse_no_kernel, repository
from hook.commands.command_line import add_format, add_offline, add_patch, add_verbose
from hook.failure import CannotJudge
from hook.report import text
from hook.source import setting_layers
from hook.source.git import Repository
from hook.source.object_store import Objects
from hook.source.tree import Source


def register(command: Command) -> None:
    sub = command("configs", configs, "print the options that build a change and let a fuzzer reach it")
    sub.add_argument("revision", nargs="?", metavar="COMMIT", help="a commit (default: HEAD)")
    add_patch(sub)
    add_offline(sub)
    sub.add_argument("--base-config", metavar="FILE", help="the .config of the fuzzed kernel (fuzz.base_config)")
    sub.add_argument("--fragment", action="store_true", help="print a fragment for scripts/kconfig/merge_config.sh")
    sub.add_argument("--option", metavar="OPTION", help="say what an option depends on, and what selects it")
    sub.add_argument("--no-cache", action="store_true", help="judge again, without the cache")
    add_format(sub)
    add_verbose(sub)


def configs(options: argparse.Namespace) -> int:
    """Print what to set over the base configuration for a change, or explain one option."""
    from hook.report import options_text

    if bool(options.patch) and bool(options.revision):
        raise WrongUse("configs takes a COMMIT or --patch FILE")
    if options.base and not options.patch:
        raise WrongUse("use --base with --patch; a commit is judged against its parent")
    if options.format != "text" and (options.fragment or options.option):
        raise WrongUse("--fragment and --option only print text")
    overrides = [config.Given("fuzz.base_config", options.base_config, "--base-config")] if options.base_config else []
    repo = repository(options)
    with Objects(repo) as objects:
        refuse_no_kernel(objects, options.revision or "")
        if options.option:
            return _explain(repo, objects, options, overrides)
        if options.patch:
            settings = setting_layers.at(objects, "HEAD", overrides)
            judged = _judged_mail(repo, settings, options)
        else:
            commit = find_commit(objects, options.revision or "HEAD")
            settings = setting_layers.at(objects, commit.parent, overrides)
            judged = [triage.judge(of_commit(objects, commit), objects, settings, use_cache=not options.no_cache)]
    form = options_text.fragment if options.fragment else options_text.lines
    for judgement in judged:
        if options.format != "text":
            print_document(options_text.document(judgement.verdict, judgement.change.label), options.format)
            continue
        print("\n".join(form(judgement.verdict, judgement.change.label)))
        if options.verbose:
            print("\n".join(f"{'#' if options.fragment else ' '} {line}" for line in text.paragraph(judgement.verdict, verbose=True)))
    return DONE


def _judged_mail(repo: Repository, settings: config.Settings, options: argparse.Namespace) -> list[triage.Judged]:
    from hook.change import series as mailed_series

    judged = []
    data, name = mail(options.patch)
    with mailed_series.read(repo, settings, data, name, options.base) as series:
        for mailed in series.changes():
            if isinstance(mailed, mailed_series.Unread):
                raise CannotJudge(f"{mailed.label}: {mailed.why}")
            with Objects(mailed.repo, settings.limits.blob_bytes) as blobs:
                judged.append(triage.judge(mailed, blobs, settings, use_cache=not options.no_cache))
    return judged


def _explain(repo: Repository, objects: Objects, options: argparse.Namespace, given: Sequence[config.Given]) -> int:
    from hook.evidence.options.explanation import explain
    from hook.kernel.kernel import Kernel

    revision = find_commit(objects, options.revision or "HEAD").oid
    settings = setting_layers.at(objects, revision, given)
    kernel = Kernel(Source(objects, revision), settings.target.arch, settings.fuzz.toolchain, settings.base_config)
    name = options.option.removeprefix("CONFIG_")
    lines = list(explain(kernel, name))
    if not lines:
        raise CannotDo(f"no Kconfig file for {settings.target.arch} defines {name}")
    for line in lines:
        print(text.plain(line))
    return DONE
