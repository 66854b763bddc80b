"""`patch-triage mark`: the person's own judgement, beside a verdict."""

from __future__ import annotations

import argparse

from hook.change.change import find_commit, of_commit
from hook.commands import DONE, Command, complain, repository
from hook.failure import CannotJudge
from hook.report import text
from hook.source import setting_layers
from hook.source.git import GitError
from hook.source.object_store import Objects


def register(command: Command) -> None:
    sub = command("mark", mark, "record that a verdict was right or wrong")
    sub.add_argument("commit", metavar="COMMIT")
    sub.add_argument("judgement", choices=("right", "wrong"))
    sub.add_argument("--why", default="", help="one sentence")


def mark(options: argparse.Namespace) -> int:
    """Record the person's own judgement beside a verdict."""
    import datetime

    from hook.change import patch
    from hook.record import store
    from hook.verdict import SCHEMA_VERSION

    repo = repository(options)
    with Objects(repo) as objects:
        commit = find_commit(objects, options.commit)
        settings = setting_layers.at(objects, "HEAD")
        change_id = patch.change_ids(repo, [commit.oid]).get(commit.oid, "")
        if not change_id and len(commit.parents) == 2:
            change_id = of_commit(objects, commit).patch.change_id
    recorded = store.read(repo, settings, {commit.oid: change_id})[commit.oid]
    if recorded.verdict is None:
        raise CannotJudge(f"{commit.oid[:12]} has no verdict to mark; `patch-triage check --record {commit.oid[:12]}` makes one")
    try:
        by = repo.run("var", "GIT_COMMITTER_IDENT").decode("utf-8", "replace").rsplit(" ", 2)[0]
    except GitError:
        by = ""
    document = {
        "Mark": options.judgement,
        "DecidedBy": str(recorded.verdict.decided_by),
        "Why": text.plain(options.why),
        "By": text.plain(by),
        "When": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ChangeId": change_id,
        "SchemaVersion": SCHEMA_VERSION,
    }
    complaints = store.add(repo, settings, {commit.oid: [document]})
    for line in complaints:
        complain(line)
    if not complaints:
        print(f"{commit.oid[:12]} marked {options.judgement}: {text.one_line(recorded.verdict)}")
    return DONE
