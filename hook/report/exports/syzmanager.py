"""Focus areas for syz-manager: the `experimental` part of its configuration.

syz-manager does not start when a single filter of an area matches nothing, so only names that can be hit are written; with the symbols of
the built kernel each is tried. Filters are regular expressions of Go; a function may carry a suffix of the compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hook import lazy_re
from hook.coverage import elf
from hook.coverage.elf import Symbols
from hook.coverage.observations import Coverage, source_name
from hook.report.exports import CannotExport, Export, ExportForm, Item
from hook.source.git import Repository
from hook.verdict import each_once

# what syz-cluster gives them; all areas of the focus have theirs together
_FOCUS_WEIGHT, _MODIFIED_WEIGHT, _FILES_WEIGHT, _INCLUDES_WEIGHT, _REST_WEIGHT = 10.0, 6.0, 3.0, 2.0, 1.0
FOCUS, MODIFIED, FILES, INCLUDES = "triage_focus", "triage_modified", "triage_files", "triage_includes"
_OURS = lazy_re.compile(rf"(?:{FOCUS}(?::.*)?|{MODIFIED}|{FILES}|{INCLUDES})\Z", re.DOTALL)
_MOST_FOCUS_AREAS = 40  # syz-manager compares each new program with each area
_SUFFIX = r"(\.(isra|constprop|part|cold|llvm)\..*)?"
_SYMBOL = lazy_re.compile(r"[A-Za-z_][\w.$]{0,500}\Z", re.ASCII)
_SPECIAL = lazy_re.compile(r"[\\.+*?()|\[\]{}^$]")
_COMMENT = lazy_re.compile(r"(?m)^[ \t]*#[^\n]*")  # syz-manager takes such lines out before it reads the JSON


class CannotMerge(ValueError):
    """A configuration that focus areas cannot be put into; the sentence says why."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this form."""
    parser.add_argument("--into", metavar="FILE", help="put them into this manager configuration, and replace those of an earlier export")
    parser.add_argument("--vmlinux", metavar="FILE", help="leave out functions and files that this kernel does not have; it is only read")


def write(export: Export) -> None:
    """Print the focus areas, or put them into a manager's configuration."""
    from hook.coverage import coverage_file

    symbols = _symbols(export) if export.options.vmlinux else None
    fuzz, repo = export.settings.fuzz, export.repo
    coverage = coverage_file.read(fuzz, repo.state_dir) if fuzz.coverage else None
    areas, warnings = experimental(export.items, symbols, HotCode(repo, coverage))
    for line in warnings:
        export.complain(line)
    if export.options.into:
        _merge_into(pathlib.Path(export.options.into), areas, export)
    else:
        print(json.dumps({"experimental": areas}, indent="\t"))
    if symbols is None and areas["focus_areas"]:
        export.complain("syz-manager does not start if a filter matches nothing: use --vmlinux to leave out what the kernel lacks")


FORM = ExportForm(
    "syz-manager", "focus areas for syz-manager (experimental.focus_areas)", write, arguments, lambda options: bool(options.vmlinux)
)


def _symbols(export: Export) -> Symbols:
    try:
        symbols = elf.read(pathlib.Path(export.options.vmlinux))
    except elf.NotAKernel as wrong:
        raise CannotExport(f"--vmlinux: {wrong}") from None
    if symbols.covered is None:
        export.complain("--vmlinux: not known: whether functions are instrumented (not x86_64, or no CONFIG_KCOV)")
    return symbols


def _merge_into(path: pathlib.Path, areas: dict[str, Any], export: Export) -> None:
    text = path.read_text("utf-8")
    try:
        new, comments = merged(text, areas)
    except CannotMerge as wrong:
        raise CannotExport(f"{path}: {wrong}") from None
    if comments:
        kept = path.with_name(f"{path.name}.orig")
        kept.write_text(text, "utf-8")
        export.complain(f"{path} had {comments} lines of comments, which JSON does not allow; {kept} has them")
    _replace(path, new)
    print(f"{path}: {len(areas['focus_areas'])} focus areas")


def _replace(path: pathlib.Path, text: str) -> None:
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


class HotCode(NamedTuple):
    """What nearly every program runs: an area that holds some of it matches the whole corpus (syzkaller#6658)."""

    repo: Repository
    coverage: Coverage | None

    def functions(self, path: str) -> frozenset[str]:
        """Those that a file defines."""
        from hook.evidence.focus import focus_symbols

        return focus_symbols.ubiquitous_functions(self.repo, path, self.coverage)


def experimental(items: Sequence[Item], symbols: Symbols | None, hot: HotCode) -> tuple[dict[str, Any], list[str]]:
    """The object with the focus areas, and what a person should know of names that are left out.

    What a function was changed into is only named where `symbols` prove that it is there: the compiler may have inlined it.
    """
    worth = [item for item in items if item.verdict.worth_fuzzing]
    remarks: list[str] = []
    groups = _groups(worth, remarks)
    for name in each_once(item.verdict.focus_symbols for item in worth):
        if not any(name in item.symbols for item in worth):
            remarks.append(f"{name} is left out: not known: whether it has an address in instrumented code")
    areas = _focus(groups, symbols, remarks)
    paths = each_once(item.files for item in worth)
    if symbols is not None:
        aimed_at = {name for group in groups for name in group}.union(*map(hot.functions, paths))
        changed = each_once(item.verdict.changed_functions for item in worth)
        modified = _built((name for name in changed if aimed_at.isdisjoint((name, source_name(name)))), symbols, [])
        areas += _area(MODIFIED, "functions", modified, _MODIFIED_WEIGHT)
    defined = {path: names for item in worth for path, names in item.functions.items()}
    files = _files(paths, symbols, defined, remarks)
    includes = _files([path for path in each_once(item.includers for item in worth) if path not in paths], symbols, defined, [])
    hot_files = {path: min(functions) for path in (*files, *includes) if (functions := hot.functions(path))}
    if areas or hot_files.keys() != {*files, *includes}:  # else nothing would be left to aim at
        remarks += [f"{path} is no area: nearly every program runs {hot_files[path]}() of it" for path in files if path in hot_files]
        files, includes = ([path for path in paths if path not in hot_files] for paths in (files, includes))
    areas += _area(FILES, "files", map(_file, files), _FILES_WEIGHT)
    areas += _area(INCLUDES, "files", map(_file, includes), _INCLUDES_WEIGHT)
    if areas:
        areas.append({"weight": _REST_WEIGHT})  # without it all other code would not count at all
    return {"focus_areas": areas}, remarks


def _area(name: str, kind: str, filters: Iterable[str], weight: float) -> list[dict[str, Any]]:
    """The area with these filters; none if there are none."""
    matched = list(filters)
    return [{"name": name, "filter": {kind: matched}, "weight": weight}] if matched else []


def _groups(items: Iterable[Item], remarks: list[str]) -> list[list[str]]:
    """The focus symbols, each that may be inlined with its callers."""
    together = {group[0]: group for item in items for group in item.verdict.focus_groups}
    names = each_once(item.symbols for item in items)
    remarks += [f"{name[:60]!r} is left out: not a function name" for name in names if not _SYMBOL.match(name)]
    return _apart(together.get(name, (name,)) for name in names if _SYMBOL.match(name))


def _focus(groups: Sequence[Sequence[str]], symbols: Symbols | None, remarks: list[str]) -> list[dict[str, Any]]:
    """An area for each group, with the same part of the weight: one that many programs reach takes none from the others."""
    named = []
    for group in groups:
        filters = [function(*group)] if symbols is None else _built(group, symbols, remarks)
        if filters:
            named.append((group[0], filters))
    own = named if len(named) <= _MOST_FOCUS_AREAS else named[: _MOST_FOCUS_AREAS - 1]
    weight = _FOCUS_WEIGHT / max(1, len(named))
    areas = [area for name, filters in own for area in _area(f"{FOCUS}:{name}", "functions", filters, round(weight, 3))]
    rest = named[len(own) :]
    return areas + _area(FOCUS, "functions", (text for _, filters in rest for text in filters), round(weight * len(rest), 3))


def merged(text: str, ours: dict[str, Any]) -> tuple[str, int]:
    """A manager's configuration with our areas in place of those of an earlier export, and how many comments that costs.

    Raises CannotMerge.
    """
    try:
        config = json.loads(_COMMENT.sub("", text))
    except (ValueError, RecursionError) as wrong:
        raise CannotMerge(f"it is not JSON: {wrong}") from None
    if not isinstance(config, dict):
        raise CannotMerge("it is not a JSON object")
    if config.get("cover_filter"):
        raise CannotMerge("it has a cover_filter, and syz-manager does not take both this and focus_areas")
    inner = config.setdefault("experimental", {})
    there = inner.get("focus_areas") or [] if isinstance(inner, dict) else None
    if not isinstance(there, list) or not all(isinstance(area, dict) for area in there):
        raise CannotMerge("its experimental.focus_areas is not a list of areas")
    kept = [area for area in there if not _OURS.match(str(area.get("name")))]
    added = [area for area in ours["focus_areas"] if area.get("filter") or not any(not present.get("filter") for present in kept)]
    inner["focus_areas"] = [
        *(present for present in kept if present.get("filter")),
        *added,
        *(present for present in kept if not present.get("filter")),
    ]
    return json.dumps(config, indent="\t", ensure_ascii=False) + "\n", len(_COMMENT.findall(text))


def function(name: str, *callers: str) -> str:
    """The filter for a function, or for one of its callers where it is inlined, however the compiler has cloned them."""
    names = "|".join(map(quoted, (name, *callers)))
    return f"^({names}){_SUFFIX}$" if callers else f"^{names}{_SUFFIX}$"


def quoted(text: str) -> str:
    """`text` as a regular expression that matches just it, by the rule of Go's regexp.QuoteMeta."""
    return _SPECIAL.sub(lambda match: "\\" + match[0], text)


def _built(names: Iterable[str], symbols: Symbols, remarks: list[str]) -> list[str]:
    """The filters for those of some functions that a kernel has."""
    filters = []
    for name in filter(_SYMBOL.match, names):
        built = re.findall(f"(?m)^{re.escape(name)}(?:\\.(?:isra|constprop|part|cold|llvm)\\..*)?$", symbols.names)
        if not built:
            remarks.append(f"{name} is left out: this kernel has no such function (inlined, or not built)")
        elif symbols.covered is not None and not symbols.covered.intersection(built):
            remarks.append(f"{name} is left out: in this kernel it is not instrumented")
        else:
            filters.append(function(name))
    return filters


def _apart(groups: Iterable[Iterable[str]]) -> list[list[str]]:
    """The groups, those with a name in common put together: as two areas they would have the same programs.

    In one area syz-manager counts a symbol for the first filter that matches it, and for no other (covFilterAddFilter,
    pkg/manager/covfilter.go). A filter that is left with no symbol keeps it from starting.
    """
    areas: list[list[str]] = []
    for group in groups:
        names = [name for name in group if _SYMBOL.match(name)]
        common = [known for known in areas if not set(known).isdisjoint(names)]
        whole = list(dict.fromkeys((*(name for known in common for name in known), *names)))
        areas = [known for known in areas if known not in common[1:]]
        if common:
            areas[areas.index(common[0])] = whole
        else:
            areas.append(whole)
    return areas


def _files(paths: Iterable[str], symbols: Symbols | None, defined: Mapping[str, Collection[str]], remarks: list[str]) -> list[str]:
    """Those of some files that a filter can match."""
    named = []
    for path in paths:
        if symbols is not None and not symbols.holds(path, defined.get(path, ())):
            remarks.append(f"{path} is left out: this kernel has no instrumented function of it")
        elif not path.isprintable():
            # JSON holds no bytes outside of UTF-8: what syz-manager read in their place would match nothing
            remarks.append(f"{path} is left out: its name is not UTF-8")
        else:
            named.append(path)
    return named


def _file(path: str) -> str:
    """The filter for a file."""
    return f"^{quoted(path)}$"
