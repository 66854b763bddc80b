"""Observed: what a person's fuzzer has reached, as a proof that a changed function can be reached.

It counts as proof where the function is certainly the one that was reached: of the file that is judged, neither moved nor new, and the
same at the commit that the measured kernel was built from. Where that commit is not known, the lines that were reached have to be lines
of the function. Anything else is a hint. That a function was not reached proves nothing; that it was, or may have been, opens every `no`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hook import lazy_re
from hook.c import translation_unit
from hook.c.definitions import Definition, DefinitionKind
from hook.c.translation_unit import TranslationUnit
from hook.change.patch import FileChange
from hook.coverage.observations import UNKNOWN_PLACE, Coverage, Observation
from hook.evidence.focus.changed_functions import Changed
from hook.evidence.reach import answer
from hook.evidence.reach.answer import Reach
from hook.source.object_store import can_ask
from hook.source.tree import Source
from hook.syzlang.checkout import ARCHES
from hook.verdict import Answer, Fact, Place

_AT_BOOT = lazy_re.compile(rb"\b__(?:net_|mem)?(?:init|exit)\b")
_MOST_FOLDERS = 40  # of a path in a coverage file
_MOST_HINTS = 2
_MOST_DEFINING = 24  # files with a definition of one name


class Measurement(msgspec.Struct, frozen=True):
    """A coverage file, and what it is held against."""

    coverage: Coverage
    commit: str  # that the kernel was built from; empty where nobody says so
    target_arch: str

    @property
    def note(self) -> str:
        """Why the file is not used; empty where it is."""
        return f"{self.coverage.name} (fuzz.coverage) is not used: {self.coverage.why_not}" if self.coverage.why_not else ""


def with_observations(reach: Reach, file: FileChange, changed: Iterable[Changed], source: Source, measurement: Measurement) -> Reach:
    """What is known of a changed file, with what the coverage file says of its `changed` functions. Raises GitError."""
    coverage = measurement.coverage
    if reach.answer is Answer.YES:
        return reach
    if not coverage.is_read:
        why = "the coverage file was not read yet (fuzz.coverage)"
        return answer.unknown(f"{reach.facts[0].claim if reach.facts else 'out of reach'}; {why}") if reach.answer is Answer.NO else reach
    hints: list[str] = []
    for function in changed:
        observations = [
            observation
            for observation in coverage.of_function(function.name)
            if observation.reached and _is_of(observation.path, file.old_path, source)
        ]
        if not observations or function.gone:
            continue
        doubt = _doubt(function.name, observations[0], file, source, measurement)
        claim = _claim(function.name, observations[0], coverage)
        if not doubt and (coverage.measured.counts_programs or reach.answer is Answer.UNKNOWN):
            return answer.yes(Fact(claim, Place(file.path, function.line, file.new_blob)), assumptions=tuple(_assumed(measurement)))
        hints.append(f"{claim}, {doubt or 'perhaps at boot'}")
    if not hints:
        return reach
    against = [f"against that: {reach.facts[0].claim}"] if reach.answer is Answer.NO and reach.facts else []
    return answer.unknown("\n".join((*hints[:_MOST_HINTS], *against, *filter(None, [reach.question]))))


def _claim(name: str, observation: Observation, coverage: Coverage) -> str:
    measured = coverage.measured
    origin = (
        coverage.name + (f" of {measured.day}" if measured.day else "") + (f", kernel {measured.commit[:12]}" if measured.commit else "")
    )
    if not measured.counts_programs:
        return f"{name} ran, as {measured.observer} counted ({origin})"
    return f"{f'{observation.reached} programs' if coverage.programs else 'programs'} of {measured.observer} run {name} ({origin})"


def _assumed(measurement: Measurement) -> Iterable[str]:
    coverage = measurement.coverage
    yield f"which options and devices lead there is not known: the kernel of {coverage.name} has them"
    if not coverage.measured.counts_programs:
        yield f"what {coverage.name} counts did not run at boot alone"


def _doubt(name: str, observation: Observation, file: FileChange, source: Source, measurement: Measurement) -> str:
    """Why it is not certain that the function which was reached is the one that changes; empty where it is."""
    measured = measurement.coverage.measured
    if measured.arch and measured.arch != ARCHES.get(measurement.target_arch):
        return f"on {measured.arch}"
    if file.old_path != file.path or not file.old_blob:
        return f"in a file that the change moves to {file.path}"
    base, unit = _function(name, file.old_blob, source)
    if base is None or unit is None:
        return "and the tree has no function of this name there, or several"
    if not measured.counts_programs and _AT_BOOT.search(unit.head(base)):
        return "at boot"
    if not _is_alone(name, observation.path, file.path, source):
        return "as far as a symbol table tells: other files may define it"
    commit = measured.commit or measurement.commit
    built = f"{commit}:{file.path}"
    if commit and can_ask(built) and source.objects.read(built) is not None:
        then, before = _function(name, built, source)
        is_same = then is not None and before is not None and _text(then, before) == _text(base, unit)
        return "" if is_same else f"and it has changed since {commit[:12]}"
    if not observation.first:
        return f"at {commit[:12]}, which is not here" if commit else "of which build is not known (fuzz.coverage_commit)"
    if observation.last:
        is_within = base.first_line <= observation.first and observation.last <= base.last_line
    else:
        is_within = observation.first in (base.first_line, base.line)
    return "" if is_within else f"in lines {observation.first} to {observation.last or observation.first}: another version of it"


def _is_alone(name: str, measured_path: str, path: str, source: Source) -> bool:
    """Whether a function whose file the coverage file does not name, or by its base name alone, can be the one of `path` only."""
    if not f"{measured_path}/".startswith(UNKNOWN_PLACE):
        return True
    from hook.source import lookup

    base = measured_path.removeprefix(UNKNOWN_PLACE)
    definitions = lookup.find_definitions(source, name, lookup.Bounds(_MOST_DEFINING))
    others = {definition.path for definition in definitions.items} - {path}
    # an inline function of a header is local to each file that includes it
    may_be_others = [other for other in others if base == "?" or other.endswith(".h") or other.rpartition("/")[2] == base]
    return not definitions.cut and not may_be_others


def _function(name: str, blob: str, source: Source) -> tuple[Definition | None, TranslationUnit | None]:
    """The one function of a file that has a name, and the file; None where it has none, or several."""
    read = source.objects.read(blob)
    unit = translation_unit.of_text(read.data) if read is not None and read.data else None
    definitions = [definition for definition in unit.by_name.get(name, ()) if definition.kind is DefinitionKind.FUNCTION] if unit else []
    return (definitions[0] if len(definitions) == 1 else None), unit


def _text(function: Definition, unit: TranslationUnit) -> bytes:
    return unit.data[function.span[0] : function.span[1]]


def _is_of(measured_path: str, path: str, source: Source) -> bool:
    """Whether a path of the coverage file, perhaps from the root of a disk, is that of a file of the tree, and of no longer path of it."""
    if f"{measured_path}/".startswith(UNKNOWN_PLACE):
        return measured_path in (UNKNOWN_PLACE.rstrip("/"), UNKNOWN_PLACE + path.rpartition("/")[2])
    if measured_path == path or not measured_path.startswith(("/", "../")) or not measured_path.endswith(f"/{path}"):
        return measured_path == path
    folders = [folder for folder in measured_path.removesuffix(path).split("/") if folder not in ("", "..")]
    if len(folders) > _MOST_FOLDERS:
        return False
    return not any(source.oid("/".join((*folders[start:], path))) for start in range(len(folders)))
