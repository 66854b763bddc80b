"""`patch-triage check`: what a change is worth, with the reasons."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import msgspec

from hook import config, triage
from hook.agent.profile import AgentProfile
from hook.asking import NOT_ASKED, Asking
from hook.change.change import Change, NothingToJudge, find_commit, head_commit, of_commit, revisions, staged
from hook.commands import DONE, NOT_JUDGED, STOPPED, Command, WrongUse, complain, mail, print_document, refuse_no_kernel, repository
from hook.commands.command_line import add_format, add_offline, add_patch, add_verbose
from hook.failure import CannotJudge
from hook.record import kept_patterns
from hook.report import text
from hook.settlement import open_questions
from hook.source import setting_layers
from hook.source.git import Repository
from hook.source.object_store import Objects
from hook.verdict import Answer, to_document


def register(command: Command) -> None:
    sub = command("check", check, "judge a change: the index, a commit, a range, or a mailed patch or series")
    sub.add_argument("revision", nargs="?", metavar="COMMIT | A..B", help="a commit, or a range (each commit is judged)")
    sub.add_argument("--staged", action="store_true", help="the staged changes (the default)")
    add_patch(sub)
    add_offline(sub)
    sub.add_argument(
        "--agent",
        choices=("auto", "always", "never"),
        default="auto",
        help="when to ask the model: auto (only with --wait, about open questions), always (now; this is also consent to send) or never",
    )
    sub.add_argument(
        "--profile", type=AgentProfile, choices=tuple(AgentProfile), default=AgentProfile.DEFAULT, help="rules for the model's answer"
    )
    sub.add_argument("--wait", action="store_true", help="ask the model now about the open questions")
    sub.add_argument("--dry-run", action="store_true", help="print the first request to the model, and send nothing")
    sub.add_argument("--explain", action="store_true", help="say who decided, and why a model was asked or was not")
    sub.add_argument("--no-cache", action="store_true", help="judge again, without the cache")
    sub.add_argument("--record", action="store_true", help="also record the verdict with the commit")
    add_format(sub)
    add_verbose(sub)


def check(options: argparse.Namespace) -> int:
    """Judge a change and print the verdict."""
    _refuse_contradictions(options)
    repo = repository(options)
    kept_patterns.use(repo)
    code = _check(repo, options)
    kept_patterns.keep()
    _index_in_background(repo)
    if not options.offline and options.agent != "never":
        _resume_worker(repo)
    return code


def _refuse_contradictions(options: argparse.Namespace) -> None:
    """Raise WrongUse where options exclude each other."""
    if sum(map(bool, (options.staged, options.revision, options.patch))) > 1:
        raise WrongUse("check takes one of --staged, COMMIT, A..B or --patch FILE")
    if options.offline and options.agent == "always":
        raise WrongUse("--offline and --agent always exclude each other")
    if options.base and options.revision:
        raise WrongUse("use --base with --staged or --patch; a commit is judged against its parent")


def _check(repo: Repository, options: argparse.Namespace) -> int:
    with Objects(repo) as objects:
        refuse_no_kernel(objects, options.revision or "")
        if options.patch:
            return _check_mail(repo, objects, options)
        if not options.revision:
            base = find_commit(objects, options.base) if options.base else head_commit(objects)
            settings = setting_layers.at(objects, base.oid if base else "")
            return _print_all([_one(lambda: staged(objects, base), objects, settings, options)], settings, options)
        if ".." in options.revision:
            if options.dry_run:
                raise WrongUse("--dry-run shows one change: name a commit")
            names = revisions(repo, options.revision)
            settings = setting_layers.at(objects, "HEAD")
            if not names:
                raise CannotJudge(f"{options.revision} contains no commits")
            asking = _asking(settings, options)
            results = list(triage.judge_commits(repo, objects, settings, names, use_cache=not options.no_cache, asking=asking))
            return _print_all(results, settings, options, many=True)
        commit = find_commit(objects, options.revision)
        settings = setting_layers.at(objects, commit.parent)
        return _print_all([_one(lambda: of_commit(objects, commit), objects, settings, options)], settings, options)


def _index_in_background(repo: Repository) -> None:
    """Start building or updating the word index if the tree is large and no process does so already."""
    from hook.source.indexing import background

    if not background.is_due(repo):
        return
    try:
        if setting_layers.load(repo).index.background and not setting_layers.switched_off(repo):
            background.start(repo)
    except (CannotJudge, config.WrongSetting, OSError):
        return  # the verdict is given; an index only makes the next one faster


def _resume_worker(repo: Repository) -> None:
    """Have the questions that wait asked, where a worker was stopped by a crash or a reboot."""
    from hook.record import pending

    if pending.is_any(repo) and not setting_layers.switched_off(repo):
        from hook import worker

        try:
            worker.resume(repo, setting_layers.load(repo))
        except (config.WrongSetting, OSError):
            return  # the verdict is given; the next commit tries again


def _check_mail(repo: Repository, objects: Objects, options: argparse.Namespace) -> int:
    from hook.change import series as mailed_series

    settings = setting_layers.at(objects, "HEAD")
    data, name = mail(options.patch)
    with mailed_series.read(repo, settings, data, name, options.base) as series:
        _say_base(series.why, options)
        results: list[triage.Judged | triage.NotJudged] = []
        for mailed in series.changes():
            if isinstance(mailed, mailed_series.Unread):
                results.append(triage.NotJudged(mailed.label, mailed.why, failed=mailed.failed))
                continue
            with Objects(mailed.repo, settings.limits.blob_bytes) as blobs:
                results.append(_judge(mailed, blobs, settings, options))
        return _print_all(results, settings, options, many=len(results) > 1)


def _say_base(why: str, options: argparse.Namespace) -> None:
    if why and options.format == "text":
        print(text.plain(f"base: {why}"), file=sys.stderr)


def _one(
    read: Callable[[], Change], objects: Objects, settings: config.Settings, options: argparse.Namespace
) -> triage.Judged | triage.NotJudged:
    """Judge one change: that there is nothing to judge is a result, that it cannot be read an error."""
    _asking(settings, options)  # a wrong option is said before anything is read
    try:
        change = read()
    except NothingToJudge as nothing:
        return triage.NotJudged("", str(nothing), failed=False)
    return _judge(change, objects, settings, options)


def _judge(change: Change, objects: Objects, settings: config.Settings, options: argparse.Namespace) -> triage.Judged | triage.NotJudged:
    if options.dry_run:
        _print_request(change, objects, settings, options)
        return triage.NotJudged(change.commit, "a dry run sends nothing", failed=False)
    judged = triage.judge(change, objects, settings, use_cache=not options.no_cache, asking=_asking(settings, options))
    return triage.with_hunks(judged, objects, settings) if options.verbose and options.format == "text" else judged


def _asking(settings: config.Settings, options: argparse.Namespace) -> Asking:
    if options.offline or options.agent == "never":
        return NOT_ASKED
    if options.agent == "always" and not settings.agent.base_url and not options.dry_run:
        raise config.WrongSetting("--agent always: no model is set up; set agent.base_url and agent.model in ~/.config/patch-triage.yaml")
    deadline = time.monotonic() + settings.agent.max_seconds if _is_awaited(options) else 0.0
    progress = _progress if sys.stderr.isatty() else lambda line: None
    return Asking(options.agent, options.profile, deadline, progress)


def _is_awaited(options: argparse.Namespace) -> bool:
    """Whether the person wants the answer of a model now."""
    return (options.wait or options.agent == "always") and not (options.offline or options.agent == "never")


def _progress(line: str) -> None:
    print(f"\r\033[K{text.plain(f'patch-triage: {line}' if line else '')}", end="", file=sys.stderr, flush=True)


def _print_request(change: Change, objects: Objects, settings: config.Settings, options: argparse.Namespace) -> None:
    """What would be sent to the model first, and why it would be or not."""
    import json

    from hook.agent.endpoint import transport

    asking = msgspec.structs.replace(_asking(settings, options), deadline=time.monotonic() + settings.agent.max_seconds)
    request, tokens, why = triage.dry_run(change, objects, settings, asking)
    print(json.dumps(request))
    where = transport.host(settings.agent.base_url) or "no host (agent.base_url is not set)"
    complain(f"nothing was sent. This first request would go to {where}: about {tokens} tokens. {why}")


def _print_all(
    results: Sequence[triage.Judged | triage.NotJudged], settings: config.Settings, options: argparse.Namespace, many: bool = False
) -> int:
    colour = text.coloured(settings.output.colour)
    code = DONE
    rows = []
    for result in results:
        if isinstance(result, triage.NotJudged):
            code = max(code, NOT_JUDGED if result.failed else DONE)
            if options.dry_run and not result.failed:
                continue
            if options.format != "text":
                print_document({"Commit": result.commit, "NoVerdict": result.why}, options.format)
            elif many:
                rows.append((result.commit[:12], result.why))
            elif result.failed:
                complain(result.why)
            else:
                print(text.plain(f"nothing to judge: {result.why}"))
            continue
        if sys.stderr.isatty() and result.trajectory is not None:
            _progress("")
        if options.explain:
            complain(f"{result.change.label}: {result.verdict.reasoning}")
            if settings.agent.base_url:
                complain(f"{result.change.label}: {result.asked}")
        if _is_awaited(options) and result.unsettled:
            complain(f"{result.change.label}: no model answered: {result.unsettled}")
            code = max(code, NOT_JUDGED)
        if result.trajectory is not None and result.trajectory.wrong:
            complain(result.trajectory.wrong)
        if triage.stops(settings.policy.block, result.verdict):
            code = max(code, STOPPED)
        if options.format != "text":
            print_document(to_document(result.verdict), options.format)
        elif many:
            rows.append((result.change.label, text.one_line(result.verdict)))
        else:
            print("\n".join(_paragraph(result, options.verbose, colour)))
    for line in text.table(rows):
        print(line)
    if options.record:
        judged = [result for result in results if isinstance(result, triage.Judged) and result.verdict.commit]
        if judged:
            for line in triage.keep(judged[0].change.repo, judged, settings):
                complain(line)
    return code


def _paragraph(judged: triage.Judged, verbose: bool, colour: bool) -> list[str]:
    verdict = judged.verdict
    lines = text.paragraph(verdict, verbose=verbose, colour=colour)
    if not verbose and verdict.functional is Answer.YES and (questions := open_questions(verdict)):
        more = f" and {len(questions) - 1} more (see -v)" if len(questions) > 1 else ""
        lines.append(text.plain(f"  open: {questions[0].removeprefix('not known: ')}{more}"))
    for hunk in judged.hunks:
        where = f"{hunk.path}:{hunk.lines[0]}" + (f"-{hunk.lines[1]}" if hunk.lines[1] > hunk.lines[0] else "")
        classes = ", ".join(hunk.classes)
        lines.append(text.plain(f"  hunk {where}  {hunk.why if hunk.why.startswith(classes) else f'{classes}: {hunk.why}'}"))
    return [*lines, f"  {text.plain(judged.change.note)}"] if judged.change.note else lines
