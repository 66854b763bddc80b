"""`patch-triage export`: verdicts of commits, in the forms of the programs that use them.

A recorded verdict that fits the commit counts; without one the commit is judged now. No model is asked.
"""

from __future__ import annotations

import argparse
import typing
from collections.abc import Callable, Iterator, Sequence

from hook import config
from hook.commands import DONE, NOT_JUDGED, CannotDo, Command, WrongUse, complain, refuse_no_kernel, repository
from hook.commands.command_line import add_offline, add_repository, add_verbose
from hook.failure import CannotJudge
from hook.source import setting_layers
from hook.source.git import Repository
from hook.source.object_store import Objects

if typing.TYPE_CHECKING:
    from hook.change.change import Change
    from hook.kernel.kernel import Kernel
    from hook.report.exports import Item
    from hook.source.tree import Source
    from hook.verdict import Verdict

_MOST_INCLUDERS = 50  # of a header: more are half the kernel
_INCLUDERS_READ = 1000  # files, to find them


def register(command: Command) -> None:
    """Add the command with a form for each module of hook/report/exports."""
    from hook.report.exports import forms

    top = command("export", lambda options: DONE, "write verdicts for another program")
    subs = top.add_subparsers(metavar="FORM", required=True)
    for form in forms():
        sub = subs.add_parser(form.name, help=form.about, description=form.about)
        sub.add_argument("revision", nargs="+", metavar="COMMIT | A..B")
        add_repository(sub, default=argparse.SUPPRESS)
        add_offline(sub)
        add_verbose(sub, "print every fact on standard error")
        sub.set_defaults(run=export, form=form, parser=sub)
        form.arguments(sub)


def export(options: argparse.Namespace) -> int:
    """Collect the verdicts, and have the form write them."""
    from hook.report.exports import CannotExport, Export

    if options.offline and getattr(options, "post", False):
        raise WrongUse("--offline and --post exclude each other")
    repo = repository(options)
    with Objects(repo) as objects:
        with_functions = options.form.reads_functions(options)
        exported, code = items(repo, objects, options.revision, with_functions=with_functions, tell=teller(options))
    try:
        options.form.write(Export(options, repo, setting_layers.load(repo), exported, complain))
    except CannotExport as wrong:
        raise CannotDo(str(wrong)) from None
    return code


def teller(options: argparse.Namespace) -> Callable[[str, Verdict], None]:
    """What -v says of a change, beside the output."""

    def tell(label: str, verdict: Verdict) -> None:
        from hook.report.text import paragraph

        for line in (label, *(f"  {line}" for line in paragraph(verdict, verbose=True))):
            complain(line)

    return tell if options.verbose else lambda label, verdict: None


def items(
    repo: Repository,
    objects: Objects,
    names: Sequence[str],
    *,
    with_functions: bool = False,
    tell: Callable[[str, Verdict], None] = lambda label, verdict: None,
) -> tuple[list[Item], int]:
    """The commits that have a verdict, and the exit code: one that could not be judged is told, and does not cost the others.

    `with_functions` also reads what each file defines; `tell` gets each verdict as it comes.
    """
    refuse_no_kernel(objects, names[-1])
    exported, code = [], DONE
    for outcome in _judged(repo, objects, names):
        if isinstance(outcome, str):
            complain(outcome)
            code = NOT_JUDGED
        else:
            tell(f"{outcome[0].commit[:12]} {outcome[1]}", outcome[2])
            exported.append(item(objects, *outcome, with_functions=with_functions))
    return exported, code


def _judged(repo: Repository, objects: Objects, names: Sequence[str]) -> Iterator[tuple[Change, str, Verdict, config.Settings] | str]:
    """Each commit as (change, subject, verdict, settings), or why it has none. Empty commits and clean merges are left out."""
    from hook import triage
    from hook.change.change import NothingToJudge, find_commit, of_commit, revisions

    settings = setting_layers.at(objects, "HEAD")
    oids = [oid for name in names for oid in (revisions(repo, name) if ".." in name else [find_commit(objects, name).oid])]
    for oid in dict.fromkeys(oids):
        commit = find_commit(objects, oid)
        try:
            change = of_commit(objects, commit)
        except NothingToJudge:
            continue
        except CannotJudge as wrong:
            yield str(wrong)
            continue
        yield change, commit.subject, triage.standing_verdict(change, objects, settings), settings


def item(
    objects: Objects, change: Change, subject: str, verdict: Verdict, settings: config.Settings, *, with_functions: bool = False
) -> Item:
    """A change with its verdict, and what a program wants to know of its files."""
    from hook.kernel.kernel import Kernel
    from hook.report.exports import Item
    from hook.source.tree import Source

    if not verdict.worth_fuzzing:
        return Item(change.commit, subject, verdict)
    source, arch = Source(objects, change.after), settings.target.arch
    files = [file.path for file in change.patch.files if file.new_blob and _is_instrumented(source, file.path, arch)]
    kernel = Kernel(source, arch, settings.fuzz.toolchain, settings.base_config)
    if files:
        for path, why in [(path, kernel.excluded(path)) for path in files]:
            if why:
                files.remove(path)
                complain(f"{path} is left out: no kernel for {arch} is built with it: {why}")
    headers = [file.path for file in change.patch.files if file.new_blob and file.path.endswith(".h")]
    includers = [path for header in headers for path in _includers(source, header, arch)]
    if includers and not with_functions:
        includers = _built(includers, verdict, kernel)
    # the evidence names only what can be hit; a model, and who edits a note, may name anything
    mine = not verdict.model
    symbols = tuple(name for name in verdict.focus_symbols if mine or _can_be_hit(source, name, settings))
    defined = {path: _defined(source, path, arch) for path in (*files, *includers)} if with_functions else {}
    return Item(change.commit, subject, verdict, symbols, tuple(files), tuple(dict.fromkeys(includers)), defined)


def _built(paths: Sequence[str], verdict: Verdict, kernel: Kernel) -> list[str]:
    """Those of some files that the verdict's configuration certainly builds: syz-manager does not start with a filter for any other."""
    from hook.evidence.options import whole_configuration

    settings = {**dict.fromkeys(verdict.enable_configs, "y"), **dict.fromkeys(verdict.disable_configs, "n")}
    return [path for path in paths if whole_configuration.is_built_with(settings, path, kernel)]


def _defined(source: Source, path: str, arch: str) -> frozenset[str]:
    """The functions that a file defines, by the names that they have in a built kernel."""
    from hook.c import definitions
    from hook.evidence.focus.symbol_names import symbol

    file = source.file(path)
    if file is None or file.data is None:
        return frozenset()
    defined = definitions.definitions(file.data, path).definitions
    return frozenset(
        symbol(definition.name, arch, source) for definition in defined if definition.kind is definitions.DefinitionKind.FUNCTION
    )


def _is_instrumented(source: Source, path: str, arch: str) -> bool:
    from hook.evidence.focus import kcov
    from hook.evidence.functional import path_table

    kind = path_table.classify(path, arch)
    return path.endswith(".c") and not (kind.is_harmless or kind.is_out_of_reach) and not kcov.uncovered(source, path)


def _includers(source: Source, header: str, arch: str) -> list[str]:
    """The instrumented C files that include a header, where they are few enough to say something of the change."""
    from hook.evidence.functional import path_table
    from hook.source import lookup

    kind = path_table.classify(header, arch)
    if kind.is_harmless or kind.is_out_of_reach:
        return []
    answer = lookup.includers(source, header, lookup.Bounds(_INCLUDERS_READ))
    if answer.cut == "index":
        complain(f"not known: who includes {header}; there is no word index, `patch-triage index` builds it")
    names = list(dict.fromkeys(includer.path for includer in answer.items))
    if answer.cut or len(names) > _MOST_INCLUDERS:
        return []
    return [path for path in names if _is_instrumented(source, path, arch)]


def _can_be_hit(source: Source, name: str, settings: config.Settings) -> bool:
    """Whether a function of this name has an address, in a file that KCOV instruments; False where that cannot be told in time."""
    from hook.c.definitions import DefinitionKind
    from hook.evidence.focus import changed_functions, kcov
    from hook.source import lookup

    bounds = lookup.Bounds(lookup.MOST_FILES, settings.limits.lookup_seconds, searches_all=True)
    try:
        answer = lookup.find_definitions(source, name, bounds)
    except lookup.NotAName:
        return False
    canonical_name = lookup.canonical(name)
    for place in answer.items:
        if place.definition.kind is not DefinitionKind.FUNCTION or not place.path.endswith(".c") or kcov.uncovered(source, place.path):
            continue
        read = source.file(place.path)
        if read is None or read.data is None:
            continue
        if any(aim.name == canonical_name and aim.instrumented for aim in changed_functions.of_file(place.path, b"", read.data).aims):
            return True
    return False
