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
from typing import Any

from hook import lazy_re
from hook.coverage import elf
from hook.coverage.elf import Symbols
from hook.report.exports import CannotExport, Export, ExportForm, Item

# what syz-cluster gives them
_FOCUS_WEIGHT, _MODIFIED_WEIGHT, _FILES_WEIGHT, _INCLUDES_WEIGHT, _REST_WEIGHT = 10.0, 6.0, 3.0, 2.0, 1.0
FOCUS, MODIFIED, FILES, INCLUDES = "triage_focus", "triage_modified", "triage_files", "triage_includes"
_OURS = (FOCUS, MODIFIED, FILES, INCLUDES)
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
    symbols = _symbols(export) if export.options.vmlinux else None
    areas, warnings = experimental(export.items, symbols)
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


def experimental(items: Sequence[Item], symbols: Symbols | None) -> tuple[dict[str, Any], list[str]]:
    """The object with the focus areas, and what a person should know of names that are left out.

    What a function was changed into is only named where `symbols` prove that it is there: the compiler may have inlined it.
    """
    worth = [item for item in items if item.verdict.worth_fuzzing]
    remarks: list[str] = []
    together = {group[0]: group for item in worth for group in item.verdict.focus_groups}
    focus = _functions(_union(item.symbols for item in worth), together, symbols, remarks)
    for name in _union(item.verdict.focus_symbols for item in worth):
        if not any(name in item.symbols for item in worth):
            remarks.append(f"{name} is left out: not known: whether it has an address in instrumented code")
    modified = []
    if symbols is not None:
        changed = [name for name in _union(item.verdict.changed_functions for item in worth) if function(name) not in focus]
        modified = _functions(changed, {}, symbols, [])
    paths = _union(item.files for item in worth)
    defined = {path: names for item in worth for path, names in item.functions.items()}
    files = _files(paths, symbols, defined, remarks)
    includes = _files([path for path in _union(item.includers for item in worth) if path not in paths], symbols, defined, [])
    areas: list[dict[str, Any]] = []
    for name, kind, filters, weight in (
        (FOCUS, "functions", focus, _FOCUS_WEIGHT),
        (MODIFIED, "functions", modified, _MODIFIED_WEIGHT),
        (FILES, "files", files, _FILES_WEIGHT),
        (INCLUDES, "files", includes, _INCLUDES_WEIGHT),
    ):
        if filters:
            areas.append({"name": name, "filter": {kind: filters}, "weight": weight})
    if areas:
        areas.append({"weight": _REST_WEIGHT})  # without it all other code would not count at all
    return {"focus_areas": areas}, remarks


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
    kept = [area for area in there if area.get("name") not in _OURS]
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


def _functions(names: Iterable[str], together: Mapping[str, Sequence[str]], symbols: Symbols | None, remarks: list[str]) -> list[str]:
    """The filters for functions; `together` has those that may be inlined, each with its callers."""
    named = []
    for name in names:
        if _SYMBOL.match(name):
            named.append(name)
        else:
            remarks.append(f"{name[:60]!r} is left out: not a function name")
    if symbols is None:
        return [function(*group) for group in _apart(together.get(name, (name,)) for name in named)]
    filters = []
    text = "\n".join(symbol.name for symbol in symbols.functions)
    for name in named:
        built = re.findall(f"(?m)^{re.escape(name)}(?:\\.(?:isra|constprop|part|cold|llvm)\\..*)?$", text)
        if not built:
            remarks.append(f"{name} is left out: this kernel has no such function (inlined, or not built)")
        elif symbols.covered is not None and not symbols.covered.intersection(built):
            remarks.append(f"{name} is left out: in this kernel it is not instrumented")
        else:
            filters.append(function(name))
    return filters


def _apart(groups: Iterable[Iterable[str]]) -> list[list[str]]:
    """The groups, those with a name in common put together.

    syz-manager counts a symbol for the first filter that matches it, and for no other (covFilterAddFilter, pkg/manager/covfilter.go).
    Of two filters with a name in common the second may be left with none, and then it does not start.
    """
    found: list[list[str]] = []
    for group in groups:
        names = [name for name in group if _SYMBOL.match(name)]
        common = [known for known in found if not set(known).isdisjoint(names)]
        whole = list(dict.fromkeys((*(name for known in common for name in known), *names)))
        found = [known for known in found if known not in common[1:]]
        if common:
            found[found.index(common[0])] = whole
        else:
            found.append(whole)
    return found


def _files(paths: Iterable[str], symbols: Symbols | None, defined: Mapping[str, Collection[str]], remarks: list[str]) -> list[str]:
    filters = []
    for path in paths:
        if symbols is not None and not symbols.holds(path, defined.get(path, ())):
            remarks.append(f"{path} is left out: this kernel has no instrumented function of it")
        elif not path.isprintable():
            # JSON holds no bytes outside of UTF-8: what syz-manager read in their place would match nothing
            remarks.append(f"{path} is left out: its name is not UTF-8")
        else:
            filters.append(f"^{quoted(path)}$")
    return filters


def _union(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(entry for names in lists for entry in names))
