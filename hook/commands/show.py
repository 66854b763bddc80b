"""`patch-triage show`: what is recorded of commits."""

from __future__ import annotations

import argparse

from hook.change.change import NothingToJudge, find_commit, of_commit, revisions
from hook.commands import DONE, Command, print_document, repository
from hook.commands.command_line import add_format, add_verbose
from hook.report import text
from hook.source import setting_layers
from hook.source.object_store import Objects
from hook.verdict import to_document


def register(command: Command) -> None:
    sub = command("show", show, "print the recorded verdicts of commits")
    sub.add_argument("revision", nargs="*", metavar="COMMIT", help="commits or ranges (default: HEAD)")
    add_format(sub)
    add_verbose(sub)


def show(options: argparse.Namespace) -> int:
    """Print what is recorded of commits."""
    from hook.change import patch
    from hook.record import store, trailer

    repo = repository(options)
    with Objects(repo) as objects:
        commits = []
        for revision in options.revision or ["HEAD"]:
            if ".." in revision:
                commits += [find_commit(objects, oid) for oid in revisions(repo, revision)]
            else:
                commits.append(find_commit(objects, revision))
        settings = setting_layers.at(objects, "HEAD")
        ids = patch.change_ids(repo, [commit.oid for commit in commits])
        for commit in commits:
            if len(commit.parents) == 2:
                try:
                    ids[commit.oid] = of_commit(objects, commit).patch.change_id
                except NothingToJudge:
                    continue
        recorded = store.read(repo, settings, {commit.oid: ids.get(commit.oid, "") for commit in commits})
        for commit in commits:
            entry = recorded[commit.oid]
            if options.format != "text":
                missing = {"Commit": commit.oid, "State": "stale" if entry.stale else "none"}
                print_document(missing if entry.verdict is None else to_document(entry.verdict), options.format)
                continue
            print(text.plain(f"{commit.oid[:12]} {commit.subject}"))
            if entry.verdict is not None:
                for line in text.paragraph(entry.verdict, verbose=options.verbose, colour=text.coloured(settings.output.colour)):
                    print(f"  {line}")
            elif entry.stale:
                print(f"  stale: the commit has changed since; `patch-triage check --record {commit.oid[:12]}` judges it again")
            elif trailers := trailer.read(repo, commit.message):
                for key, value in trailers.items():
                    print(f"  {text.plain(key)}: {text.plain(value)} (trailer)")
            else:
                why = _without_record(len(commit.parents), commit.oid in ids)
                print(f"  {why}")
            for mark in entry.marks:
                why = f": {mark['Why']}" if mark.get("Why") else ""
                print(text.plain(f"  marked {mark['Mark']} by {mark.get('By', 'somebody')}{why}"))
            if entry.broken:
                print(f"  {entry.broken} of its records cannot be read; `git notes --ref=patch-triage edit {commit.oid[:12]}` shows them")
    return DONE


def _without_record(parents: int, has_changes: bool) -> str:
    if parents > 2:
        return "no record: an octopus merge is judged by its commits"
    if parents == 2:
        return "no record of what the merge itself changed"
    return "no record; `patch-triage check --record COMMIT` makes one" if has_changes else "no record: an empty commit"
