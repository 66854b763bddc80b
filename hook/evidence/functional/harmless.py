"""What is proved harmless: file by file, by its path or by its tokens; what is not proved stays open.

`Functional: no` means that nothing the kernel does changes but what it logs or traces.
"""

from __future__ import annotations

import dataclasses
import os
import time
import typing
from collections.abc import Iterable

from hook import redaction
from hook.change.patch import ABSENT, EXECUTABLE, REGULAR, FileChange, Patch
from hook.evidence.functional import file_edits, path_table
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer, Fact, Place, all_of

if typing.TYPE_CHECKING:
    from hook.evidence.focus.changed_functions import FileFunctions
    from hook.evidence.focus.focus_symbols import Focus


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is known of one file of a patch."""

    functional: Answer
    reachable: Answer
    change_classes: tuple[str, ...]  # empty where it is not known what kind of edit this is
    fact: Fact
    unread: bool = False  # whether a blob could not be read, so that another look may find more
    functions: FileFunctions | None = None  # of a C file that is not proved harmless
    compared: bool = False  # by its text, so that each hunk can be


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What is known of a patch."""

    functional: Answer
    reachable: Answer
    findings: tuple[Finding, ...]
    focus: Focus | None = None  # of what may be functional, and reached

    @property
    def unread(self) -> int:
        """How many files could not be read whole."""
        return sum(finding.unread for finding in self.findings)


def gather(patch: Patch, source: Source, target_arch: str, max_symbols: int, seconds: float) -> Evidence:
    """Everything that is proved of `patch`; `source` is the tree with it applied.

    Files that change nothing the kernel does have no say in whether it can be reached. After so many seconds the rest of the files is
    judged by path alone.
    """
    redactor = redaction.of(patch.diff)
    until = time.monotonic() + seconds
    findings = tuple(
        _without_secrets(of_file(file, source, target_arch, in_time=time.monotonic() < until), redactor) for file in patch.files
    )
    functional = all_of(finding.functional for finding in findings)
    reachable = all_of(finding.reachable for finding in findings if finding.functional is not Answer.NO)
    found = Evidence(functional, reachable, findings)
    if Answer.NO in (functional, reachable):
        return found
    aimed = [one.functions for one in findings if one.functions is not None and one.reachable is not Answer.NO]
    if not aimed:
        return found
    from hook.evidence.focus import focus_symbols

    return dataclasses.replace(found, focus=focus_symbols.find(aimed, source, target_arch, max_symbols))


def _without_secrets(finding: Finding, redactor: redaction.Redactor) -> Finding:
    """A fact quotes a line of the change, and verdicts are published."""
    fact = finding.fact
    text = redactor.text(fact.text) if fact.text else ""
    return finding if text == fact.text else dataclasses.replace(finding, fact=dataclasses.replace(fact, text=text))


def of_file(file: FileChange, source: Source, target_arch: str, *, in_time: bool = True) -> Finding:
    """What is known of one file of a patch; `source` is the tree with it applied. Where no time is left, by path alone."""
    objects = source.objects
    classes = [path_table.classify(path, target_arch) for path in dict.fromkeys((file.old_path, file.path))]
    moved = len(classes) > 1
    functional = _both(one.functional for one in classes)
    reachable = _both(one.reachable for one in classes)
    name, why = classes[-1].name, classes[-1].why
    line = _first_line(file)
    if functional is Answer.NO or not file.is_text_file or moved:
        if functional is not Answer.NO:
            why = _what_happened(file)
        return Finding(functional, reachable, (name,) if functional is Answer.NO else _of_kind(file), _fact(why, file, line))

    if file.old_blob == file.new_blob and REGULAR in (file.old_mode, file.new_mode) and EXECUTABLE in (file.old_mode, file.new_mode):
        if path_table.language(file.path) in ("c", "asm", "rust"):
            return Finding(
                Answer.NO, reachable, ("file mode",), _fact("only the file's mode changed; a compiler reads it all the same", file, line)
            )
        return Finding(functional, reachable, ("file mode",), _fact("the file's mode changed", file, line))

    language = path_table.language(file.path)
    if language and not in_time:
        return Finding(functional, reachable, _of_kind(file), _fact("not compared within limits.evidence_seconds", file, line), unread=True)
    if language and file.status == "M":
        sides = [found for _, found in objects.read_all([file.old_blob, file.new_blob])]
        if any(side is None for side in sides):
            return Finding(
                functional,
                reachable,
                (),
                _fact("a blob is not in this repository (a partial clone): not compared", file, line),
                unread=True,
            )
        old, new = (side.data if side else None for side in sides)
        if old is None or new is None:
            return Finding(functional, reachable, (), _fact("too large to compare (limits.blob_bytes)", file, line))
        found = file_edits.compare(language, file.path, old, new, source)
        if found.functional is Answer.NO:
            return Finding(Answer.NO, reachable, found.classes, _fact(found.why, file, line or found.line), compared=True)
        fact = _fact(found.why, file, found.line or line)
        if classes[-1].functional is None:  # nothing says that the build only uses it
            functional = found.functional
        return Finding(functional, reachable, found.classes, fact, functions=found.functions, compared=True)
    fact = _fact(_what_happened(file), file, line)
    return Finding(functional, reachable, _of_kind(file), fact, functions=_whole(file, language, objects))


def _of_kind(file: FileChange) -> tuple[str, ...]:
    return {"A": ("file added",), "D": ("file removed",), "R": ("file renamed",)}.get(file.status, ())


def _whole(file: FileChange, language: str | None, objects: Objects) -> FileFunctions | None:
    """The functions of a C file that is new or gone."""
    if language != "c" or file.status not in ("A", "D"):
        return None
    from hook.evidence.focus import changed_functions

    sides = [objects.read(oid) if oid else None for oid in (file.old_blob, file.new_blob)]
    old, new = (side.data or b"" if side else b"" for side in sides)
    return changed_functions.of_file(file.path, old, new) if b"\0" not in old + new else None


def _both(answers: Iterable[Answer | None]) -> Answer:
    """NO only if each side of a rename is proved NO."""
    return Answer.NO if all(answer is Answer.NO for answer in answers) else Answer.UNKNOWN


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
    return "changed, and not in a language that is compared here"


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


def quoted(path: str) -> str:
    """A tree path as git shows it: as it is, or in C quotes where it holds control characters, quotes or bytes that are not UTF-8."""
    raw = os.fsencode(path)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ""
    if text and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    named = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
    return '"' + "".join(f"\\{named[byte]}" if byte in named else chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in raw) + '"'
