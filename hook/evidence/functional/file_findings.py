"""File findings: what is proved of each file of a patch, by its path and by its text.

`Functional: no` means that nothing the kernel does changes but what it logs or traces. What is not proved stays open.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable

import msgspec

from hook import redaction
from hook.change.patch import ABSENT, EXECUTABLE, REGULAR, FileChange, Patch
from hook.evidence.change_classes import ChangeClass
from hook.evidence.finding import Evidence, Finding, Judgement, No, Open, Yes, quoted
from hook.evidence.functional import file_edits, path_table
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer, Fact, Place

if typing.TYPE_CHECKING:
    from hook.coverage.observations import Coverage
    from hook.evidence.focus.changed_functions import FileFunctions


_MISSING = {
    True: "a blob is not in this repository (a partial clone): not compared",
    False: "one version is not in this repository, as after a merge with conflicts: not compared",
}
_READERS_NOT_KNOWN = "not known: whether a makefile or another file reads this one with its comments (no word index, or an old one)"
_LEAST_BYTES = 4096  # that a file counts for at least: asking git for it costs time, too
_MOST_SEARCHED = 20_000  # files whose outside users are searched for


def gather(
    patch: Patch,
    source: Source,
    target_arch: str,
    max_symbols: int,
    most_bytes: int,
    coverage: Callable[[], Coverage | None] = lambda: None,
) -> Evidence:
    """Everything that is proved of `patch`; `source` is the tree with it applied. `coverage` is asked for only where there is an aim.

    When files of `most_bytes` have been compared, both sides counted, the others are judged by their paths alone; all of them are, where
    the change has too many. Of these no outside user is searched for if a file is code of the kernel: nothing can be proved of the whole.
    """
    redactor = redaction.of(patch.diff)
    left = 0 if patch.by_path else most_bytes
    findings: list[Finding] = []
    is_open = patch.by_path and not all(map(functools.partial(_may_be_outside, target_arch), patch.files))
    for number, file in enumerate(patch.files):
        by_path = not is_open and number < _MOST_SEARCHED
        finding = of_file(file, source, target_arch, by_text=left > 0 and not source.safety.is_over, by_path=by_path)
        left -= max(finding.read_bytes, _LEAST_BYTES)
        findings.append(_without_secrets(finding, redactor))
    evidence = Evidence(tuple(findings))
    if Answer.NO in (evidence.functional, evidence.reachable):
        return evidence
    changed = [finding.functions for finding in findings if finding.functions is not None and not isinstance(finding.reachable, No)]
    if not changed:
        return evidence
    from hook.evidence.focus import focus_symbols

    focus = focus_symbols.find(changed, source, target_arch, path_table.directory_of(target_arch), max_symbols, coverage())
    return msgspec.structs.replace(evidence, focus=focus)


def _without_secrets(finding: Finding, redactor: redaction.Redactor) -> Finding:
    """A fact quotes a line of the change, and verdicts are published."""
    text = redactor.text(finding.change.text) if finding.change.text else ""
    if text == finding.change.text:
        return finding
    fact = msgspec.structs.replace(finding.change, text=text)
    return msgspec.structs.replace(finding, change=fact, functional=_with_fact(finding.functional, fact))


def _with_fact(functional: Judgement, fact: Fact) -> Judgement:
    return Open() if isinstance(functional, Open) else No(fact) if isinstance(functional, No) else Yes((fact,))


def _may_be_outside(target_arch: str, file: FileChange) -> bool:
    """Whether each path of a file says by itself that it is no code of the kernel."""
    rows = [path_table.classify(path, target_arch) for path in {file.path, file.old_path}]
    return all(row.is_harmless or row.is_out_of_reach for row in rows)


def of_file(file: FileChange, source: Source, target_arch: str, *, by_text: bool = True, by_path: bool = True) -> Finding:
    """What is proved of one file of a patch; `source` is the tree with the patch applied. Without `by_text`, by its path alone.

    Without `by_path` its path proves nothing: it is not searched for what includes or builds the file.
    """
    paths = list(dict.fromkeys((file.path, file.old_path)))
    rows = [path_table.classify(path, target_arch) for path in paths] if by_path else []
    if not rows or _outside_user(rows, paths, source, target_arch):
        rows = [path_table.PathClass(None, None)]
    # of a rename both paths must say so
    reachable: Judgement = Open()
    if all(row.is_out_of_reach for row in rows) and (away := rows[0].reachable):
        reachable = No(_fact(away.why, file, 0))
    if all(row.is_harmless for row in rows) and (harmless := rows[0].functional) and harmless.harmless:
        fact = _fact(harmless.why, file, _first_line(file))
        return Finding(No(fact), reachable, (harmless.harmless,), fact)
    if not file.is_text_file or len(paths) > 1:
        return Finding(Open(), reachable, _of_kind(file), _fact(_what_happened(file), file, _first_line(file)))
    if file.old_blob == file.new_blob and REGULAR in (file.old_mode, file.new_mode) and EXECUTABLE in (file.old_mode, file.new_mode):
        return _mode_change(file, reachable)
    language = path_table.language(file.path)
    if language and not by_text:
        fact = _fact("not compared: the change is larger than limits.evidence_bytes", file, _first_line(file))
        return Finding(Open(), reachable, _of_kind(file), fact, unread=True)
    if language and file.status == "M":
        # a file that the build only uses is no code of the kernel
        return _compared(file, language, source, reachable, is_kernel=rows[0].functional is None)
    fact = _fact(_what_happened(file), file, _first_line(file))
    functions, size = _whole(file, language, source.objects)
    return Finding(Open(), reachable, _of_kind(file), fact, functions=functions, read_bytes=size)


def _outside_user(rows: list[path_table.PathClass], paths: list[str], source: Source, target_arch: str) -> str:
    """What of the kernel includes or builds a file that its path alone says is none of the kernel's; empty where nothing does.

    Where that is not known, a file is taken to be.
    """
    if not all(row.is_harmless or row.is_out_of_reach for row in rows):
        return ""
    from hook.kernel.outside_users import outside_users

    for path in paths:
        users = outside_users(source, path, path_table.directory_of(target_arch))
        if users or users is None:
            return users[0] if users else "not known"
    return ""


def _mode_change(file: FileChange, reachable: Judgement) -> Finding:
    if path_table.language(file.path) in ("c", "asm", "rust"):
        fact = _fact("only the file's mode changed; a compiler reads it all the same", file, 0)
        return Finding(No(fact), reachable, (ChangeClass.FILE_MODE,), fact)
    return Finding(Open(), reachable, (ChangeClass.FILE_MODE,), _fact("the file's mode changed", file, 0))


def _compared(file: FileChange, language: str, source: Source, reachable: Judgement, is_kernel: bool) -> Finding:
    """A file that exists on both sides, by its text."""
    line = _first_line(file)
    sides = [blob for _, blob in source.objects.read_all([file.old_blob, file.new_blob])]
    if any(side is None for side in sides):
        fact = _fact(_MISSING[source.repo.is_partial], file, line)
        return Finding(Open(), reachable, (), fact, unread=True)
    old, new = (side.data if side else None for side in sides)
    if old is None or new is None:
        return Finding(Open(), reachable, (), _fact("too large to compare (limits.blob_bytes)", file, line))
    edit = file_edits.compare(language, file.path, old, new, source)
    if edit.functional is Answer.NO and language in ("c", "asm", "rust"):
        from hook.kernel.outside_users import readers_of_text

        readers = readers_of_text(source, file.path)
        if readers or readers is None:
            why = f"{quoted(readers[0])} names this file: its comments may be read too" if readers else _READERS_NOT_KNOWN
            fact = _fact(why, file, line or edit.line)
            return Finding(Open(), reachable, edit.classes, fact, compared=True, read_bytes=len(old) + len(new))
    if edit.functional is Answer.NO:
        fact = _fact(edit.why, file, line or edit.line)
        return Finding(No(fact), reachable, edit.classes, fact, compared=True, read_bytes=len(old) + len(new))
    fact = _fact(edit.why, file, edit.line or line)
    functional = Yes((fact,)) if is_kernel and edit.functional is Answer.YES else Open()
    return Finding(functional, reachable, edit.classes, fact, functions=edit.functions, compared=True, read_bytes=len(old) + len(new))


def _of_kind(file: FileChange) -> tuple[ChangeClass, ...]:
    kinds = {"A": ChangeClass.FILE_ADDED, "D": ChangeClass.FILE_REMOVED, "R": ChangeClass.FILE_RENAMED}
    return (kinds[file.status],) if file.status in kinds else ()


def _whole(file: FileChange, language: str | None, objects: Objects) -> tuple[FileFunctions | None, int]:
    """The functions of a C file that is new or gone, and how many bytes were read."""
    if language != "c" or file.status not in ("A", "D"):
        return None, 0
    from hook.evidence.focus import changed_functions

    sides = [objects.read(oid) if oid else None for oid in (file.old_blob, file.new_blob)]
    old, new = (side.data or b"" if side else b"" for side in sides)
    return (changed_functions.of_file(file.path, old, new) if b"\0" not in old + new else None), len(old) + len(new)


def _what_happened(file: FileChange) -> str:
    if "160000" in (file.old_mode, file.new_mode):
        return "another commit of a submodule"
    if "120000" in (file.old_mode, file.new_mode):
        return "a symbolic link changed"
    if file.status == "R":
        return f"renamed from {quoted(file.old_path)}"
    if file.old_mode == ABSENT:
        return "new file"
    if file.new_mode == ABSENT:
        return "file removed"
    return "changed, and this language is not compared"


def _first_line(file: FileChange) -> int:
    for hunk in file.hunks:
        for lines in (hunk.added, hunk.removed):
            if lines:
                return lines[0][0]
    return 0


def _fact(claim: str, file: FileChange, line: int) -> Fact:
    text = ""
    for hunk in file.hunks:
        for number, content in (*hunk.added, *hunk.removed):
            if number == line:
                text = text or content.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()[:200]
    return Fact(claim, Place(quoted(file.path if file.new_blob else file.old_path), line, file.new_blob or file.old_blob), text)
