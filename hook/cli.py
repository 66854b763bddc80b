"""What a person types."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import sys
import time
import typing
from collections.abc import Callable, Sequence

from hook import __version__, config, triage
from hook.change.change import Change, NothingToJudge, find_commit, head_commit, of_commit, revisions, staged
from hook.commands import DONE, NOT_JUDGED, STOPPED, WRONG_USE, WrongUse, b4, export, report, review
from hook.report import text
from hook.source import settings as settings_source
from hook.source.git import GitError, Repository, find
from hook.source.objects import Objects
from hook.source.tree import Source
from hook.verdict import to_document


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 done, 1 stopped by the policy, 2 wrong use or settings, 3 could not judge."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["hook"] and len(arguments) > 1:
        from hook import stages

        return stages.run(arguments[1:])
    try:
        options = _parser().parse_args(arguments)
        return int(options.run(options))
    except (WrongUse, config.WrongSetting) as wrong:
        _complain(str(wrong))
        return WRONG_USE
    except GitError as wrong:
        _complain(str(wrong))
        return NOT_JUDGED
    except BrokenPipeError:
        # whoever read our output has enough; say nothing more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as wrong:
        _complain(f"{wrong.filename or 'input or output'}: {wrong.strerror or wrong}")
        return NOT_JUDGED
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130


def check(options: argparse.Namespace) -> int:
    """Judge a change and print the verdict."""
    code = _check(options)
    _index_in_background(options)
    return code


def _check(options: argparse.Namespace) -> int:
    if sum(map(bool, (options.staged, options.revision, options.patch))) > 1:
        raise WrongUse("check takes one of --staged, COMMIT, A..B or --patch FILE")
    if options.offline and options.agent == "always":
        raise WrongUse("--offline and --agent always exclude each other")
    repo = _repository(options)
    with Objects(repo, config.BY_NAME["limits.blob_bytes"].default) as objects:
        if options.patch:
            return _check_mail(repo, objects, options)
        if options.base and options.revision:
            raise WrongUse("--base goes with --staged or --patch; a commit is judged against its parent")
        if not options.revision:
            base = find_commit(objects, options.base) if options.base else head_commit(objects)
            settings = _settings(repo, objects, base.oid if base else repo.empty_tree)
            return _print_all([_one(lambda: staged(repo, objects, settings, base), objects, settings, options)], settings, options)
        if ".." in options.revision:
            if options.dry_run:
                raise WrongUse("--dry-run shows one change: name a commit")
            names = revisions(repo, options.revision)
            head = head_commit(objects)
            settings = _settings(repo, objects, head.oid if head else repo.empty_tree)
            if not names:
                raise GitError(f"{options.revision} holds no commits")
            asking = _asking(settings, options)
            results = list(triage.judge_commits(repo, objects, settings, names, use_cache=not options.no_cache, asking=asking))
            return _print_all(results, settings, options, many=True)
        commit = find_commit(objects, options.revision)
        settings = _settings(repo, objects, commit.parents[0] if commit.parents else repo.empty_tree)
        return _print_all([_one(lambda: of_commit(repo, objects, settings, commit), objects, settings, options)], settings, options)


def _index_in_background(options: argparse.Namespace) -> None:
    """Have the word index made, or brought up to date, where the tree is large and nobody does so already."""
    from hook.source import background

    repo = _repository(options)
    if not background.is_due(repo):
        return
    try:
        if settings_source.load(repo)["index.background"] and not settings_source.switched_off(repo):
            background.start(repo)
    except (GitError, config.WrongSetting, OSError):
        return  # the verdict is given; an index only makes the next one faster


def show(options: argparse.Namespace) -> int:
    """Print what is recorded of commits."""
    from hook.change import patch
    from hook.record import store, trailer

    repo = _repository(options)
    with Objects(repo, config.BY_NAME["limits.blob_bytes"].default) as objects:
        commits = []
        for revision in options.revision or ["HEAD"]:
            if ".." in revision:
                commits += [find_commit(objects, oid) for oid in revisions(repo, revision)]
            else:
                commits.append(find_commit(objects, revision))
        head = head_commit(objects)
        settings = _settings(repo, objects, head.oid if head else repo.empty_tree)
        ids = patch.change_ids(repo, [commit.oid for commit in commits])
        for commit in commits:
            if len(commit.parents) == 2:
                try:
                    ids[commit.oid] = of_commit(repo, objects, settings, commit).patch.change_id
                except NothingToJudge:
                    continue
        recorded = store.read(repo, settings, {commit.oid: ids.get(commit.oid, "") for commit in commits})
        for commit in commits:
            one = recorded[commit.oid]
            if options.format == "json":
                _print_json({"Commit": commit.oid, "State": "stale" if one.stale else "none"} if one.verdict is None
                            else to_document(one.verdict))
                continue
            print(text.plain(f"{commit.oid[:12]} {commit.subject}"))
            if one.verdict is not None:
                for line in text.paragraph(one.verdict, verbose=options.verbose, colour=text.coloured(settings["output.colour"])):
                    print(f"  {line}")
            elif one.stale:
                print("  stale: the recorded verdict is about other content; "
                      f"`patch-triage check --record {commit.oid[:12]}` judges it anew")
            elif trailers := trailer.read(repo, commit.message):
                for key, value in trailers.items():
                    print(f"  {text.plain(key)}: {text.plain(value)} (trailer)")
            else:
                why = _without_record(len(commit.parents), commit.oid in ids)
                print(f"  {why}")
            for mark in one.marks:
                why = f": {mark['Why']}" if mark.get("Why") else ""
                print(text.plain(f"  marked {mark['Mark']} by {mark.get('By', 'somebody')}{why}"))
            if one.broken:
                print(f"  {one.broken} of its records cannot be read; `git notes --ref=patch-triage edit {commit.oid[:12]}` shows them")
    return DONE


def _without_record(parents: int, has_changes: bool) -> str:
    if parents > 2:
        return "no record: an octopus merge is judged by its commits"
    if parents == 2:
        return "no record of what the merge itself changed"
    return "no record; `patch-triage check --record` makes one" if has_changes else "no record: an empty commit"


def mark(options: argparse.Namespace) -> int:
    """Record the person's own judgement beside a verdict."""
    import datetime

    from hook.change import patch
    from hook.record import store
    from hook.verdict import SCHEMA_VERSION

    repo = _repository(options)
    with Objects(repo, config.BY_NAME["limits.blob_bytes"].default) as objects:
        commit = find_commit(objects, options.commit)
        head = head_commit(objects)
        settings = _settings(repo, objects, head.oid if head else repo.empty_tree)
        change_id = patch.change_ids(repo, [commit.oid]).get(commit.oid, "")
        if not change_id and len(commit.parents) == 2:
            change_id = of_commit(repo, objects, settings, commit).patch.change_id
    recorded = store.read(repo, settings, {commit.oid: change_id})[commit.oid]
    if recorded.verdict is None:
        raise GitError(f"{commit.oid[:12]} has no verdict to mark; `patch-triage check --record {commit.oid[:12]}` makes one")
    try:
        by = repo.run("var", "GIT_COMMITTER_IDENT").decode("utf-8", "replace").rsplit(" ", 2)[0]
    except GitError:
        by = ""
    document = {
        "Mark": options.judgement,
        "Why": text.plain(options.why),
        "By": text.plain(by),
        "When": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ChangeId": change_id,
        "SchemaVersion": SCHEMA_VERSION,
    }
    said = store.add(repo, settings, {commit.oid: [document]})
    for line in said:
        _complain(line)
    if not said:
        print(f"{commit.oid[:12]} marked {options.judgement}: {text.one_line(recorded.verdict)}")
    return DONE


def install(options: argparse.Namespace) -> int:
    """Put the hooks into a repository."""
    from hook import installation

    repo = _repository(options)
    settings = settings_source.load(repo)
    try:
        lines = installation.install(
            repo, _program(), trailers="trailer" in settings["record.format"], here=options.here,
        )
    except installation.CannotInstall as wrong:
        _complain(str(wrong))
        return WRONG_USE
    print("\n".join(lines))
    return DONE


def uninstall(options: argparse.Namespace) -> int:
    """Take the hooks out again."""
    from hook import installation

    try:
        lines = installation.uninstall(_repository(options))
    except installation.CannotInstall as wrong:
        _complain(str(wrong))
        return WRONG_USE
    print("\n".join(lines))
    return DONE


def settings(options: argparse.Namespace) -> int:
    """Print the settings in force and where each came from."""
    try:
        repo: Repository | None = _repository(options)
    except GitError:
        repo = None
    if repo is None:
        found = settings_source.load(None)
    else:
        with Objects(repo, config.MAX_FILE_BYTES + 1) as objects:
            head = head_commit(objects)
            found = settings_source.load(repo, Source(objects, head.oid if head else repo.empty_tree))
        if off := settings_source.switched_off(repo):
            print(f"# switched off here: {off}")
    for name, value in found.values.items():
        said = ", ".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else value
        print(text.plain(f"{name}: {said if said != '' else '(empty)'}    # {found.origins[name]}"))
    return DONE


def status(options: argparse.Namespace) -> int:
    """Write what is queued and print what still waits."""
    from hook.record import note, queue
    from hook.record.lock import Locked

    repo = _repository(options)
    found = settings_source.load(repo)
    try:
        written = queue.flush(repo, found["record.lock_seconds"])
        if written:
            print(f"{written} queued {'record' if written == 1 else 'records'} written")
    except (Locked, note.NoteNotWritten, GitError, OSError) as wrong:
        _complain(str(wrong))
    waiting = queue.pending(repo)
    print(f"{len(waiting)} {'record waits' if len(waiting) == 1 else 'records wait'} to be written")
    if off := settings_source.switched_off(repo):
        print(f"switched off here: {off}")
    return DONE


def agent(options: argparse.Namespace) -> int:
    """Give, withdraw or tell the consent to send code of this repository to the model's host."""
    from hook.agent import client, consent, evaluators

    repo = _repository(options)
    found = settings_source.load(repo)
    where = found["agent.base_url"]
    if options.action == "disable":
        consent.withdraw(repo)
        print("no code of this repository is sent to any model")
        return DONE
    if options.action == "enable":
        if not where:
            raise WrongUse("first name the endpoint and the model: agent.base_url and agent.model in ~/.config/patch-triage.yaml")
        consent.give(repo, where)
        models = ", ".join(evaluators.models(found)) or "no model yet: set agent.model"
        print(text.plain(f"code of this repository may now go to {client.host(where)} ({models}):"))
        print("  the diff of a change that the evidence leaves open, and the files and search results that the model asks for")
        print("  not: the key in any other place, secrets that were recognised, agent.never_branches, agent.never_paths")
        if where.startswith("http://") and not client.is_local(where):
            print("  unencrypted: agent.base_url is http and the host is not this machine")
        print("`patch-triage check --dry-run` shows what would be sent; `patch-triage agent disable` takes this back")
        return DONE
    given = consent.given_for(repo)
    models = ", ".join(evaluators.models(found)) or "none"
    print(text.plain(f"endpoint: {client.host(where) if where else 'none (agent.base_url)'}; models: {models}"))
    print(text.plain(f"code of this repository may go to: {given or 'nobody'}"))
    return DONE


def trajectory(options: argparse.Namespace) -> int:
    """Print a trajectory."""
    from hook import trajectory as spans
    from hook.change import patch
    from hook.record import trajectories
    from hook.report import steps

    if options.file:
        path: pathlib.Path | None = pathlib.Path(options.file)
    else:
        repo = _repository(options)
        with Objects(repo, config.BY_NAME["limits.blob_bytes"].default) as objects:
            commit = find_commit(objects, options.commit)
        path = trajectories.latest(repo, patch.change_ids(repo, [commit.oid]).get(commit.oid, "none"))
        if path is None:
            raise GitError(f"no model was asked about {commit.oid[:12]} here; `patch-triage check {commit.oid[:12]} --wait` asks one")
    assert path is not None
    try:
        found = spans.read(path)
    except ValueError as wrong:
        raise GitError(str(wrong)) from None
    for line in steps.full(found) if options.full else steps.table(found):
        print(line)
    return DONE


def tool(options: argparse.Namespace) -> int:
    """Run one of the model's tools by hand."""
    from hook import redaction
    from hook.agent import tools
    from hook.agent.arguments import BadCall

    repo = _repository(options)
    with Objects(repo, config.BY_NAME["limits.blob_bytes"].default) as objects:
        revision = "" if options.staged else find_commit(objects, options.revision).oid
        settings = _settings(repo, objects, revision or "HEAD")
        desk = tools.Desk(Source(objects, revision), redaction.Redactor(), settings["agent.tool_seconds"], settings["agent.never_paths"])
        try:
            arguments = json.loads(options.json)
            results = tools.call(tools.BY_NAME, desk, options.name, arguments)
        except (BadCall, ValueError, RecursionError) as wrong:
            raise WrongUse(str(wrong)) from None
    for line in tools.as_text(results).split("\n"):
        print(text.plain(line, tabs=True))
    return DONE


def index(options: argparse.Namespace) -> int:
    """Make the word index of a revision, or bring it up to date."""
    from hook.source import indexing

    repo = _repository(options)
    found = settings_source.load(repo)
    if options.background:
        os.nice(19)
    if options.fetch:
        missing = indexing.missing(repo, options.revision)
        if missing:
            _say_progress(options, f"fetching {len(missing)} files")
            repo.fetch(missing)
    started = time.monotonic()
    said = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said > 0.1 or done == total:
            said = time.monotonic()
            bar = "#" * (done * 30 // total)
            _say_progress(options, f"[{bar:30}] {done} of {total} files")

    try:
        made = indexing.make(repo, options.revision, found, jobs=options.jobs, fetched=options.fetch, progress=progress)
    except indexing.Busy as busy:
        _complain(str(busy))
        return DONE
    except KeyboardInterrupt:
        _say_progress(options, "")
        _complain("stopped; `patch-triage index` goes on from here")
        return 130
    _say_progress(options, "")
    if not options.quiet:
        took = time.monotonic() - started
        print(f"{made.files} files are indexed, {made.read} read anew in {took:.1f} s; the index has {made.size_bytes / 1e6:.0f} MB")
        if made.unread:
            print(f"{made.unread} files are looked into every time: too large (index.blob_bytes), or not here (`--fetch` brings them)")
    return DONE


def look(options: argparse.Namespace) -> int:
    """Answer one question about the tree."""
    from hook.report import found as report
    from hook.source import lookup
    from hook.source.treepath import NotATreePath, tree_path

    if options.question == "grep":
        options.name_of_tool, options.json = "grepper", json.dumps({"Expression": options.name, "PathPrefix": options.prefix})
        options.name, options.revision = options.name_of_tool, options.rev
        return tool(options)
    repo = _repository(options)
    with Objects(repo, config.BY_NAME["limits.blob_bytes"].default) as objects:
        revision = "" if options.staged else find_commit(objects, options.rev).oid
        settings = _settings(repo, objects, revision or "HEAD")
        source = Source(objects, revision)
        bounds = lookup.Bounds(settings["limits.lookup_files"], settings["limits.lookup_seconds"])
        path = ""
        try:
            if options.question == "file":
                path = tree_path(options.name)
                if source.oid(path) == "":
                    raise WrongUse(f"there is no {path} in {options.rev}")
                found: lookup.Answer[typing.Any] = lookup.file_index(source, path)
            elif options.question == "files":
                print("\n".join(map(text.plain, source.glob(options.name))))
                return DONE
            elif options.question == "includers":
                found = lookup.includers(source, tree_path(options.name), bounds)
            else:
                found = QUESTIONS[options.question](source, options.name, bounds)
        except (lookup.NotAName, NotATreePath) as wrong:
            raise WrongUse(str(wrong)) from None
    if options.format == "json":
        print(json.dumps(report.document(found, path)))
    else:
        for line in report.lines(found, path):
            print(text.plain(line, tabs=True))
    if source.without_index and options.verbose:
        _complain(source.without_index)
    return DONE


def configs(options: argparse.Namespace) -> int:
    """Print what to set over the base configuration for a change, or explain one option."""
    from hook.report import fragment

    if bool(options.patch) and bool(options.revision):
        raise WrongUse("configs takes a COMMIT or --patch FILE")
    if options.base and not options.patch:
        raise WrongUse("--base goes with --patch; a commit is judged against its parent")
    given = [config.Given("fuzz.base_config", options.base_config, "--base-config")] if options.base_config else []
    repo = _repository(options)
    with Objects(repo, config.BY_NAME["limits.blob_bytes"].default) as objects:
        if options.explain:
            return _explain(repo, objects, options, given)
        if options.patch:
            head = head_commit(objects)
            settings = _settings(repo, objects, head.oid if head else repo.empty_tree, given)
            judged = _judged_mail(repo, settings, options)
        else:
            commit = find_commit(objects, options.revision or "HEAD")
            settings = _settings(repo, objects, commit.parents[0] if commit.parents else repo.empty_tree, given)
            judged = [triage.judge(of_commit(repo, objects, settings, commit), objects, settings, use_cache=not options.no_cache)]
    written = fragment.fragment if options.fragment else fragment.lines
    for one in judged:
        print("\n".join(written(one.verdict, one.change.label)))
    return DONE


def _judged_mail(repo: Repository, settings: config.Settings, options: argparse.Namespace) -> list[triage.Judged]:
    from hook.change import series as mailed_series

    found = []
    with mailed_series.read(repo, settings, _mail(options.patch, settings["limits.mail_bytes"]), options.patch, options.base) as series:
        for one in series.changes():
            if isinstance(one, mailed_series.Unread):
                raise GitError(f"{one.label}: {one.why}")
            with Objects(one.repo, settings["limits.blob_bytes"]) as blobs:
                found.append(triage.judge(one, blobs, settings, use_cache=not options.no_cache))
    return found


def _explain(repo: Repository, objects: Objects, options: argparse.Namespace, given: Sequence[config.Given]) -> int:
    from hook.evidence.linux.configs import Configurer
    from hook.evidence.linux.explanation import explain

    revision = find_commit(objects, options.revision or "HEAD").oid
    settings = _settings(repo, objects, revision, given)
    configurer = Configurer(Source(objects, revision), settings["target.arch"], settings["fuzz.toolchain"], settings.base_config)
    name = options.explain.removeprefix("CONFIG_")
    lines = list(explain(configurer, name))
    if not lines:
        raise WrongUse(f"no Kconfig file for {settings['target.arch']} defines {name}")
    for line in lines:
        print(text.plain(line))
    return DONE


def _mail(name: str, limit: int) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(limit + 1)
    with pathlib.Path(name).open("rb") as file:
        return file.read(limit + 1)


def _question(name: str) -> typing.Any:
    def ask(source: Source, wanted: str, bounds: typing.Any) -> typing.Any:
        from hook.source import lookup

        return getattr(lookup, name)(source, wanted, bounds)

    return ask


QUESTIONS = {
    "definitions": _question("find_definitions"),
    "references": _question("references"),
    "callers": _question("callers"),
    "callees": _question("callees"),
}


def _say_progress(options: argparse.Namespace, line: str) -> None:
    if not options.quiet and sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _check_mail(repo: Repository, objects: Objects, options: argparse.Namespace) -> int:
    from hook.change import series as mailed_series

    head = head_commit(objects)
    settings = _settings(repo, objects, head.oid if head else repo.empty_tree)
    data = _mail(options.patch, settings["limits.mail_bytes"])
    name = "standard input" if options.patch == "-" else options.patch
    with mailed_series.read(repo, settings, data, name, options.base) as series:
        _say_base(series.why, options)
        results: list[triage.Judged | triage.NotJudged] = []
        for one in series.changes():
            if isinstance(one, mailed_series.Unread):
                results.append(triage.NotJudged(one.label, one.why, failed=one.failed))
                continue
            with Objects(one.repo, settings["limits.blob_bytes"]) as blobs:
                results.append(_judge(one, blobs, settings, options))
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
        return triage.NotJudged(change.commit, "a dry run: nothing was sent", failed=False)
    judged = triage.judge(change, objects, settings, use_cache=not options.no_cache, asking=_asking(settings, options))
    return triage.with_hunks(judged, objects, settings) if options.verbose and options.format == "text" else judged


def _asking(settings: config.Settings, options: argparse.Namespace) -> triage.Asking:
    if options.offline or options.agent == "never":
        return triage.NOT_ASKED
    if options.agent == "always" and not settings["agent.base_url"] and not options.dry_run:
        raise WrongUse("--agent always: no model is set up: set agent.base_url and agent.model in ~/.config/patch-triage.yaml")
    now = options.wait or options.agent == "always"
    deadline = time.monotonic() + settings["agent.max_seconds"] if now else 0.0
    return triage.Asking(options.agent, options.profile, deadline, _progress if sys.stderr.isatty() else lambda line: None)


def _progress(line: str) -> None:
    print(f"\r\033[K{text.plain(f'patch-triage: {line}' if line else '')}", end="", file=sys.stderr, flush=True)


def _print_request(change: Change, objects: Objects, settings: config.Settings, options: argparse.Namespace) -> None:
    """What would be sent to the model first, and why it would be or not."""
    from hook.agent import client

    asking = dataclasses.replace(_asking(settings, options), deadline=time.monotonic() + settings["agent.max_seconds"])
    request, tokens, why = triage.dry_run(change, objects, settings, asking)
    _print_json(request)
    where = client.host(settings["agent.base_url"]) or "no host (agent.base_url is not set)"
    _complain(f"nothing was sent. This first request would go to {where}: about {tokens} tokens. {why}")


def _print_all(
    results: Sequence[triage.Judged | triage.NotJudged], settings: config.Settings, options: argparse.Namespace, many: bool = False
) -> int:
    colour = text.coloured(settings["output.colour"])
    code = DONE
    rows = []
    for one in results:
        if isinstance(one, triage.NotJudged):
            code = max(code, NOT_JUDGED if one.failed else DONE)
            if options.dry_run and not one.failed:
                continue
            if options.format != "text":
                _print_document({"Commit": one.commit, "NoVerdict": one.why}, options.format)
            elif many:
                rows.append((one.commit[:12], one.why))
            elif one.failed:
                _complain(one.why)
            else:
                print(text.plain(f"nothing to judge: {one.why}"))
            continue
        if sys.stderr.isatty() and one.trajectory is not None:
            _progress("")
        if options.explain:
            _complain(f"{one.change.label}: {one.asked}")
        if one.trajectory is not None and one.trajectory.wrong:
            _complain(one.trajectory.wrong)
        if triage.stops(settings["policy.block"], one.verdict):
            code = max(code, STOPPED)
        if options.format != "text":
            _print_document(to_document(one.verdict), options.format)
        elif many:
            rows.append((one.change.label, text.one_line(one.verdict)))
        else:
            print("\n".join(_paragraph(one, options.verbose, colour)))
    for line in text.table(rows):
        print(line)
    if options.record:
        judged = [one for one in results if isinstance(one, triage.Judged) and one.verdict.commit]
        if judged:
            for line in triage.keep(judged[0].change.repo, judged, settings):
                _complain(line)
    return code


def _paragraph(judged: triage.Judged, verbose: bool, colour: bool) -> list[str]:
    lines = text.paragraph(judged.verdict, verbose=verbose, colour=colour)
    for hunk in judged.hunks:
        where = f"{hunk.path}:{hunk.lines[0]}" + (f"-{hunk.lines[1]}" if hunk.lines[1] > hunk.lines[0] else "")
        lines.append(text.plain(f"  hunk {where}  {', '.join(hunk.classes)}: {hunk.why}"))
    return [*lines, f"  {text.plain(judged.change.note)}"] if judged.change.note else lines


def _print_document(document: dict[str, object], form: str) -> None:
    if form == "json":
        _print_json(document)
        return
    from hook.record import document as documents

    print(documents.dump([document]), end="")


def _print_json(document: dict[str, object]) -> None:
    print(json.dumps(document))


def _repository(options: argparse.Namespace) -> Repository:
    return find(pathlib.Path(options.repo) if options.repo else None)


def _settings(repo: Repository, objects: Objects, base: str, given: Sequence[config.Given] = ()) -> config.Settings:
    found = settings_source.load(repo, Source(objects, base), given)
    objects.limit_bytes = found["limits.blob_bytes"]
    return found


def _program() -> pathlib.Path:
    """The program that the hooks are to call: the one that runs now."""
    import shutil

    here = pathlib.Path(sys.argv[0])
    if here.name.startswith(("patch-triage", "git-patch-triage")) and here.exists():
        return here.absolute()
    beside = pathlib.Path(sys.executable).parent / "patch-triage"
    found = str(beside) if beside.exists() else shutil.which("patch-triage")
    if found is None:
        raise WrongUse("install the package first (`pipx install .`): the hooks call the program `patch-triage`, and there is none")
    return pathlib.Path(found).absolute()


def _complain(line: str) -> None:
    print(f"patch-triage: {text.plain(line)}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="patch-triage", description="Is this Linux kernel change worth fuzzing, where, and with which options?"
    )
    parser.add_argument("--version", action="version", version=f"patch-triage {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=what, description=what)
        sub.add_argument("--repo", metavar="DIR", help="the repository (default: the one around the current directory)")
        sub.set_defaults(run=run)
        return sub

    sub = command("check", check, "judge a change: what is staged, a commit, a range, or a mailed patch or series")
    sub.add_argument("revision", nargs="?", metavar="COMMIT | A..B", help="a commit, or a range of which each commit is judged")
    sub.add_argument("--staged", action="store_true", help="what is staged (the default)")
    sub.add_argument("--patch", metavar="FILE", help="a diff, a mail or an mbox; - is standard input")
    sub.add_argument("--base", metavar="REV", help="judge against REV")
    sub.add_argument("--offline", action="store_true", help="no network and no model")
    sub.add_argument(
        "--agent", choices=("auto", "always", "never"), default="auto",
        help="when to ask the model: auto, with --wait, what the evidence leaves open; always, now, which is also consent to send",
    )
    sub.add_argument("--profile", choices=("default", "farm"), default="default", help="rules that the model's answer must meet")
    sub.add_argument("--wait", action="store_true", help="ask the model now about what the evidence leaves open")
    sub.add_argument("--dry-run", action="store_true", help="print what would be sent to the model, and send nothing")
    sub.add_argument("--explain", action="store_true", help="say why the model was asked or was not")
    sub.add_argument("--no-cache", action="store_true", help="judge anew, and remember nothing")
    sub.add_argument("--record", action="store_true", help="also record the verdict with the commit")
    sub.add_argument("--format", choices=("text", "json", "yaml"), default="text")
    sub.add_argument("-v", "--verbose", action="store_true", help="every fact, not only the first")

    sub = command("show", show, "print what is recorded of commits")
    sub.add_argument("revision", nargs="*", metavar="COMMIT", help="commits or ranges (default: HEAD)")
    sub.add_argument("--format", choices=("text", "json"), default="text")
    sub.add_argument("-v", "--verbose", action="store_true")

    sub = command("mark", mark, "say that a recorded verdict was right or wrong")
    sub.add_argument("commit", metavar="COMMIT")
    sub.add_argument("judgement", choices=("right", "wrong"))
    sub.add_argument("--why", default="", help="one sentence")

    sub = command("install", install, "put the hooks into a repository; hooks that are there are kept and called first")
    sub.add_argument("--here", action="store_true", help="write into a core.hooksPath that is shared or tracked, too")
    command("uninstall", uninstall, "take the hooks out and put back what was there")
    command("config", settings, "print the settings in force and where each came from")
    command("status", status, "write what could not be recorded, and print what still waits")
    sub = command("agent", agent, "allow or forbid that code of this repository goes to the model's host")
    sub.add_argument("action", choices=("enable", "disable", "status"))
    sub = command("trajectory", trajectory, "print the steps of the run in which a model was asked about a commit")
    sub.add_argument("commit", nargs="?", default="HEAD", metavar="COMMIT")
    sub.add_argument("--file", metavar="FILE", help="a trajectory file instead of a commit")
    sub.add_argument("--full", action="store_true", help="every argument, result, prompt and thought")
    sub = command("tool", tool, "run one of the model's tools by hand")
    sub.add_argument("name", metavar="NAME", help="grepper, read-file or codesearch-dir-index")
    sub.add_argument("--json", default="{}", metavar="ARGS", help='its arguments, such as \'{"Dir": "mm"}\'')
    sub.add_argument("--revision", default="HEAD", metavar="REV", help="the tree to look into (default: HEAD)")
    sub.add_argument("--staged", action="store_true", help="look into what is staged")
    sub = command("index", index, "make the word index of a revision, or bring it up to date")
    sub.add_argument("revision", nargs="?", default="HEAD", metavar="REV")
    sub.add_argument("--jobs", type=int, default=0, metavar="N", help="so many processes (default: one a processor)")
    sub.add_argument("--fetch", action="store_true", help="in a partial clone, fetch the files that are not here")
    sub.add_argument("--quiet", action="store_true", help="say nothing")
    sub.add_argument("--background", action="store_true", help="at the lowest priority")
    sub = command("configs", configs, "print what to set over the base configuration so that the kernel holds a change, and gets to it")
    sub.add_argument("revision", nargs="?", metavar="COMMIT", help="a commit (default: HEAD)")
    sub.add_argument("--patch", metavar="FILE", help="a diff, a mail or an mbox; - is standard input")
    sub.add_argument("--base", metavar="REV", help="judge the patch against REV")
    sub.add_argument("--base-config", metavar="FILE", help="the .config that is fuzzed with (fuzz.base_config)")
    sub.add_argument("--fragment", action="store_true", help="print a fragment for scripts/kconfig/merge_config.sh")
    sub.add_argument("--explain", metavar="OPTION", help="say what an option needs, and what provides it")
    sub.add_argument("--no-cache", action="store_true", help="work it out anew")
    sub = command("look", look, "look something up in the tree")
    sub.add_argument("question", choices=(*QUESTIONS, "includers", "file", "files", "grep"))
    sub.add_argument(
        "name", metavar="NAME", help="a name, a path (includers, file), a pattern (files) or an extended regular expression (grep)"
    )
    sub.add_argument("prefix", nargs="?", default="", metavar="PATH", help="for grep: below this path")
    sub.add_argument("--rev", default="HEAD", metavar="REV", help="the tree to look into (default: HEAD)")
    sub.add_argument("--staged", action="store_true", help="look into what is staged")
    sub.add_argument("--format", choices=("text", "json"), default="text")
    sub.add_argument("-v", "--verbose", action="store_true", help="say why no index was used")
    for module in (export, b4, report, review):
        module.register(command)
    sub = command("hook", lambda options: WRONG_USE, "what git calls: `patch-triage hook STAGE -- ARGUMENTS`")
    return parser
