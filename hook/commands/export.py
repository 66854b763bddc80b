"""`patch-triage export`: verdicts of commits, in the forms of the programs that use them.

A recorded verdict that fits the commit counts; without one the commit is judged now. No model is asked.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time
import typing
from collections.abc import Callable, Iterator, Sequence

from hook import config
from hook.asking import Asking
from hook.commands import DONE, NOT_JUDGED, Command, WrongUse, complain, repository, settings_at
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects

if typing.TYPE_CHECKING:
    from hook.change.change import Change
    from hook.report.exports import Item, elf, patchwork
    from hook.source.tree import Source
    from hook.verdict import Verdict

_PATCHWORK_SECONDS = 30.0  # for one request to Patchwork, or the token's command
_MOST_INCLUDERS = 50  # of a header: more are half the kernel
_INCLUDERS_READ, _INCLUDERS_SECONDS = 1000, 10.0  # files, and time for all commits together, to find them


def register(command: Command) -> None:
    """Add the command with its forms."""
    top = command("export", lambda options: DONE, "verdicts in the form of another program")
    forms = top.add_subparsers(metavar="FORM", required=True)

    def form(name: str, run: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
        sub = forms.add_parser(name, help=what, description=what)
        sub.add_argument("revision", nargs="+", metavar="COMMIT | A..B")
        here = "the repository (default: the one around the current directory)"
        sub.add_argument("--repo", metavar="DIR", default=argparse.SUPPRESS, help=here)
        sub.set_defaults(run=run)
        return sub

    sub = form("syz-manager", syz_manager, "focus areas for syz-manager (experimental.focus_areas)")
    sub.add_argument("--into", metavar="FILE", help="put them into this manager configuration, in place of those of an earlier export")
    sub.add_argument("--vmlinux", metavar="FILE", help="leave out what this kernel does not hold; it is only read")
    form("kconfig", kconfig, "a fragment of kernel configuration, for merge_config.sh")
    sub = form("github", github, "annotations for a GitHub workflow, and the summary of its job")
    sub.add_argument("--summary", metavar="FILE", help="append the summary to FILE (default: where GITHUB_STEP_SUMMARY says)")
    form("sarif", sarif, "a SARIF 2.1.0 log")
    form("patch", patch, "patches as `git format-patch` writes them, with the verdict below the --- line")
    sub = form("patchwork", patchwork_check, "a check on the patch in Patchwork; without --post, what would be posted")
    sub.add_argument("--post", action="store_true", help="post it, unless the last one says the same")
    named = sub.add_mutually_exclusive_group()
    named.add_argument("--id", type=int, metavar="N", help="the patch's number in Patchwork")
    named.add_argument("--message-id", metavar="ID", help="the patch's Message-ID (default: from the commit's last Link:)")


def syz_manager(options: argparse.Namespace) -> int:
    """Print the focus areas, or put them into a manager's configuration."""
    from hook.report.exports import elf, syzmanager

    symbols: elf.Symbols | None = None
    if options.vmlinux:
        try:
            symbols = elf.read(pathlib.Path(options.vmlinux))
        except elf.NotAKernel as wrong:
            raise WrongUse(f"--vmlinux: {wrong}") from None
        if symbols.covered is None:
            complain("--vmlinux: whether functions hold coverage points is not known: not x86_64, or built without CONFIG_KCOV")
    items, code = _items(options, with_functions=symbols is not None)
    ours, said = syzmanager.experimental(items, symbols)
    for line in said:
        complain(line)
    if not options.into:
        print(json.dumps({"experimental": ours}, indent="\t"))
        return code
    path = pathlib.Path(options.into)
    text = path.read_text("utf-8")
    try:
        new, comments = syzmanager.merged(text, ours)
    except syzmanager.CannotMerge as wrong:
        raise WrongUse(f"{path}: {wrong}") from None
    if comments:
        kept = path.with_name(f"{path.name}.orig")
        kept.write_text(text, "utf-8")
        complain(f"{path} had {comments} lines of comments, which JSON cannot hold; {kept} has them")
    _put(path, new)
    print(f"{path}: {len(ours['focus_areas'])} focus areas")
    return code


def kconfig(options: argparse.Namespace) -> int:
    """Print a fragment of kernel configuration."""
    from hook.report.exports import config_fragment as fragments

    items, code = _items(options)
    text, said = fragments.fragment(items)
    for line in said:
        complain(line)
    print(text, end="")
    return code


def github(options: argparse.Namespace) -> int:
    """Print annotations, and append the job's summary to its file."""
    from hook.report.exports import github as workflow

    items, code = _items(options)
    for line in workflow.notices(items):
        print(line)
    where = options.summary or os.environ.get("GITHUB_STEP_SUMMARY", "")
    if where:
        with pathlib.Path(where).open("a", encoding="utf-8") as file:
            file.write(workflow.summary(items))
    return code


def sarif(options: argparse.Namespace) -> int:
    """Print a SARIF log."""
    from hook.report.exports import sarif as logs

    items, code = _items(options)
    print(json.dumps(logs.log(items), indent=1))
    return code


def patch(options: argparse.Namespace) -> int:
    """Print patches with their verdicts."""
    from hook.report.exports import mailed

    items, code = _items(options)
    repo = repository(options)
    sys.stdout.buffer.write(mailed.patches(repo, options.revision, {item.commit: item for item in items}))
    return code


def patchwork_check(options: argparse.Namespace) -> int:
    """Print or post a check for each commit."""
    from hook.change.change import find_commit
    from hook.report.exports import patchwork
    from hook.source import setting_layers as settings_source

    items, code = _items(options)
    if len(items) != 1 and (options.id or options.message_id):
        raise WrongUse("--id and --message-id name one patch: name one commit")
    repo = repository(options)
    server = _server(settings_source.load(repo), needs_token=options.post)
    try:
        for item in items:
            what = patchwork.check(item, server)
            if not options.post:
                print(json.dumps(what))
                continue
            number = options.id
            if not number:
                with Objects(repo, config.DEFAULTS.limits.blob_bytes) as objects:
                    wanted = options.message_id or patchwork.message_id(find_commit(objects, item.commit).message)
                if not wanted:
                    raise WrongUse(f"{item.commit[:12]} has no Link: with a Message-ID: name its patch with --id or --message-id")
                number = patchwork.patch_id(server, wanted)
            posted = patchwork.post(server, number, what)
            print(f"{item.commit[:12]} patch {number}: {what['state']}" + ("" if posted else ", as it says already"))
    except patchwork.PatchworkError as wrong:
        raise GitError(str(wrong)) from None
    return code


def _server(settings: config.Settings, needs_token: bool) -> patchwork.Server:
    from hook.report.exports import patchwork

    if needs_token and not settings.patchwork.url:
        raise WrongUse("first name the server: patchwork.url in ~/.config/patch-triage.yaml")
    token = _token(settings) if needs_token else ""
    return patchwork.Server(settings.patchwork.url, token, settings.patchwork.context, settings.patchwork.target_url, _PATCHWORK_SECONDS)


def _token(settings: config.Settings) -> str:
    import shlex
    import subprocess

    command, origin = settings.patchwork.token_command, settings.origins["patchwork.token_command"]
    if not command:
        return os.environ.get(settings.patchwork.token_variable, "").strip()
    try:
        done = subprocess.run(shlex.split(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATCHWORK_SECONDS, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as wrong:
        why = getattr(wrong, "strerror", None) or "it does not end, or its quotes do not"
        raise config.WrongSetting(f"{origin}: patchwork.token_command could not be run: {why}") from None
    if done.returncode:
        raise config.WrongSetting(f"{origin}: patchwork.token_command ended with {done.returncode}")
    return done.stdout.decode("utf-8", "replace").strip()


def _items(options: argparse.Namespace, *, with_functions: bool = False) -> tuple[list[Item], int]:
    """The commits that have a verdict, and the exit code: one that could not be judged is told, and does not cost the others.

    `with_functions` also reads what each file defines.
    """
    repo = repository(options)
    with Objects(repo, config.DEFAULTS.limits.blob_bytes) as objects:
        found, code = [], DONE
        deadline = time.monotonic() + _INCLUDERS_SECONDS
        for one in _judged(repo, objects, options.revision):
            if isinstance(one, str):
                complain(one)
                code = NOT_JUDGED
            else:
                found.append(_item(objects, *one, deadline, with_functions=with_functions))
    return found, code


def _judged(repo: Repository, objects: Objects, names: Sequence[str]) -> Iterator[tuple[Change, str, Verdict, config.Settings] | str]:
    """Each commit as (change, subject, verdict, settings), or why it has none. Empty commits and clean merges are left out."""
    from hook import triage
    from hook.change.change import NothingToJudge, find_commit, head_commit, of_commit, revisions
    from hook.record import store

    head = head_commit(objects)
    settings = settings_at(repo, objects, head.oid if head else repo.empty_tree)
    oids = [oid for name in names for oid in (revisions(repo, name) if ".." in name else [find_commit(objects, name).oid])]
    for oid in dict.fromkeys(oids):
        commit = find_commit(objects, oid)
        try:
            change = of_commit(repo, objects, settings, commit)
        except NothingToJudge:
            continue
        except GitError as wrong:
            yield str(wrong)
            continue
        recorded = store.read(repo, settings, {oid: change.patch.change_id})[oid].verdict
        verdict = recorded or triage.judge(change, objects, settings, asking=Asking()).verdict
        yield change, commit.subject, verdict, settings


def _item(
    objects: Objects, change: Change, subject: str, verdict: Verdict, settings: config.Settings, deadline: float, *, with_functions: bool
) -> Item:
    from hook.report.exports import Item
    from hook.source.tree import Source

    if not verdict.worth_fuzzing:
        return Item(change.commit, subject, verdict)
    source, arch = Source(objects, change.after), settings.target.arch
    files = [file.path for file in change.patch.files if file.new_blob and _is_instrumented(source, file.path, arch)]
    headers = [file.path for file in change.patch.files if file.new_blob and file.path.endswith(".h")]
    includers = [path for header in headers for path in _includers(source, header, arch, deadline)]
    # the evidence names only what can be hit; a model, and who edits a note, may name anything
    mine = not verdict.model
    symbols = tuple(name for name in verdict.focus_symbols if mine or _can_be_hit(source, name, settings))
    defined = {path: _defined(source, path, arch) for path in (*files, *includers)} if with_functions else {}
    return Item(change.commit, subject, verdict, symbols, tuple(files), tuple(dict.fromkeys(includers)), defined)


def _defined(source: Source, path: str, arch: str) -> frozenset[str]:
    """The functions that a file defines, by the names that they have in a built kernel."""
    from hook.c import definitions
    from hook.evidence.focus import changed_functions

    file = source.file(path)
    if file is None or file.data is None:
        return frozenset()
    found = definitions.definitions(file.data, path).definitions
    return frozenset(changed_functions.symbol(one.name, arch) for one in found if one.kind is definitions.DefinitionKind.FUNCTION)


def _is_instrumented(source: Source, path: str, arch: str) -> bool:
    from hook.evidence.focus import kcov
    from hook.evidence.functional import path_table

    kind = path_table.classify(path, arch)
    return path.endswith(".c") and not (kind.is_harmless or kind.is_out_of_reach) and not kcov.uncovered(source, path)


def _includers(source: Source, header: str, arch: str, deadline: float) -> list[str]:
    """The instrumented C files that include a header, where they are few enough to say something of the change, and found in time."""
    from hook.evidence.functional import path_table
    from hook.source import lookup

    kind = path_table.classify(header, arch)
    if kind.is_harmless or kind.is_out_of_reach:
        return []
    found = lookup.includers(source, header, lookup.Bounds(_INCLUDERS_READ, max(0.1, deadline - time.monotonic())))
    if found.cut == "seconds":
        complain(f"who includes {header} was not found in time; `patch-triage index` makes that fast")
    names = list(dict.fromkeys(one.path for one in found.items))
    if found.cut or len(names) > _MOST_INCLUDERS:
        return []
    return [path for path in names if _is_instrumented(source, path, arch)]


def _can_be_hit(source: Source, name: str, settings: config.Settings) -> bool:
    """Whether a function of this name has an address, in a file that KCOV instruments; False where that cannot be told in time."""
    from hook.c.definitions import DefinitionKind
    from hook.evidence.focus import changed_functions, kcov
    from hook.source import lookup

    bounds = lookup.Bounds(lookup.MOST_FILES, settings.limits.lookup_seconds)
    try:
        found = lookup.find_definitions(source, name, bounds)
    except lookup.NotAName:
        return False
    wanted = lookup.canonical(name)
    for one in found.items:
        if one.definition.kind is not DefinitionKind.FUNCTION or not one.path.endswith(".c") or kcov.uncovered(source, one.path):
            continue
        read = source.file(one.path)
        if read is None or read.data is None:
            continue
        if any(aim.name == wanted and aim.instrumented for aim in changed_functions.of_file(one.path, b"", read.data).aims):
            return True
    return False


def _put(path: pathlib.Path, text: str) -> None:
    """Replace a file in one step, and keep its mode."""
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        pathlib.Path(name).chmod(path.stat().st_mode & 0o777)
        os.replace(name, path)
    except BaseException:
        pathlib.Path(name).unlink(missing_ok=True)
        raise
