"""`patch-triage presubmit`: the verdict of one commit for the hooks of `repo upload`, and whether the policy stops it."""

from __future__ import annotations

import argparse

from hook import triage
from hook.asking import NOT_ASKED
from hook.change.change import Change, NothingToJudge, UnknownMerge, find_commit, head_commit, of_commit, staged
from hook.commands import DONE, STOPPED, WRONG_USE, CannotDo, Command, complain, print_document, refuse_no_kernel, repository
from hook.commands.command_line import add_format, add_offline, add_verbose
from hook.config import Settings, WrongSetting
from hook.report import text
from hook.source import setting_layers
from hook.source.object_store import Objects
from hook.stages import judging
from hook.verdict import to_document

_WARNED = 77  # git-repohooks shows the output as a warning, and uploads
_STAGED = "pre-submit"  # what the hooks of ChromiumOS call a change that is not committed yet
_ALL_THE_SAME = "`PATCH_TRIAGE=0 repo upload …` skips this check"


def register(command: Command) -> None:
    sub = command("presubmit", presubmit, "judge a commit for the hooks of `repo upload`; policy.block can stop it")
    sub.add_argument(
        "revision", nargs="?", default="HEAD", metavar="COMMIT", help="${PREUPLOAD_COMMIT}, ${PRESUBMIT_COMMIT} (default: HEAD)"
    )
    sub.add_argument("--warn", action="store_true", help=f"end with {_WARNED}, a warning, where the commit is worth fuzzing or open")
    add_offline(sub)
    add_format(sub)
    add_verbose(sub)


def presubmit(options: argparse.Namespace) -> int:
    """Print the verdict, one line where the commit is harmless."""
    repo = repository(options)
    if off := setting_layers.switched_off(repo):
        _no_verdict(f"not judged, patch-triage is off: {off}", options)
        return DONE
    try:
        policy = setting_layers.load(repo).policy.block
    except WrongSetting as wrong:
        complain(f"upload stopped, the policy is not known: {wrong}")
        complain(_ALL_THE_SAME)
        return WRONG_USE
    warned = _WARNED if options.warn else DONE
    try:
        with Objects(repo) as objects:
            refuse_no_kernel(objects, "" if options.revision == _STAGED else options.revision)
            change, settings = _change(objects, options.revision)
            asking = NOT_ASKED if options.offline else judging.asking_for(settings.push.wait_seconds)
            verdict = triage.judge(change, objects, settings, asking=asking).verdict
    except CannotDo as no_kernel:  # of a manifest most projects are none, and the hook may be there for all
        _no_verdict(str(no_kernel), options)
        return DONE
    except NothingToJudge as nothing:
        _no_verdict(f"nothing to judge: {nothing}", options)
        return _stopped(policy, "no verdict") if policy != "never" and isinstance(nothing, UnknownMerge) else DONE
    except Exception as wrong:  # the last boundary: a defect of ours stops an upload only where a policy asks for a verdict
        _no_verdict(f"no verdict: {judging.why(wrong)}", options)
        return warned if policy == "never" else _stopped(policy, "no verdict")
    if options.format != "text":
        print_document(to_document(verdict), options.format)
    elif verdict.worth_fuzzing or options.verbose:
        print("\n".join(text.paragraph(verdict, verbose=options.verbose)))
    else:
        print(text.one_line(verdict))
    if not verdict.worth_fuzzing:
        return DONE
    return _stopped(policy, change.label) if triage.stops(policy, verdict) else warned


def _no_verdict(why: str, options: argparse.Namespace) -> None:
    if options.format == "text":
        print(text.plain(why))
    else:
        print_document({"NoVerdict": why}, options.format)


def _change(objects: Objects, revision: str) -> tuple[Change, Settings]:
    if revision == _STAGED:
        head = head_commit(objects)
        return staged(objects, head), setting_layers.at(objects, head.oid if head else "")
    commit = find_commit(objects, revision)
    return of_commit(objects, commit), setting_layers.at(objects, commit.parent)


def _stopped(policy: str, why: str) -> int:
    complain(f"upload stopped by policy.block: {policy} ({why})")
    complain(_ALL_THE_SAME)
    return STOPPED
