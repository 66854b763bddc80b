"""A fragment of kernel configuration, for scripts/kconfig/merge_config.sh: what the changes need to be built and reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hook.report.exports import OPTION, Export, Form, Item
from hook.report.text import plain
from hook.verdict import to_document


def write(export: Export) -> None:
    """Print the fragment."""
    text, warnings = fragment(export.items)
    for line in warnings:
        export.complain(line)
    print(text, end="")


FORM = Form("kconfig", "a fragment of kernel configuration, for merge_config.sh", write)


def fragment(items: Sequence[Item]) -> tuple[str, list[str]]:
    """The fragment, and what a person should know: options that one change wants on and another off."""
    enable: dict[str, str] = {}
    disable: dict[str, str] = {}
    notes, said = [], []
    for item in items:
        if not item.verdict.worth_fuzzing:
            continue
        document = to_document(item.verdict)
        reasons = document.get("ConfigReasons", {})
        for names, into in ((document["EnableConfigs"], enable), (document.get("DisableConfigs", ()), disable)):
            for name in names:
                if OPTION.match(name):
                    into.setdefault(name, _why(reasons.get(name, {})))
                else:
                    said.append(f"{name[:60]!r} is left out: no name of an option")
        for more in document.get("ConfigSets", ())[1:]:
            wants = [f"{one}=y" for one in more.get("Enable", ())] + [f"{one}=n" for one in more.get("Disable", ())]
            notes.append(f"# {item.commit[:12]}: other lines need another kernel: {plain(', '.join(wants))}")
        if item.verdict.needs_kmsan:
            notes.append(f"# {item.commit[:12]} asks for a kernel of its own with CONFIG_KMSAN=y (clang; neither KASAN nor KCSAN)")
    for name in [name for name in disable if name in enable]:
        said.append(f"{name} is wanted on by one change and off by another: it stays on")
        del disable[name]
    lines = [f"# {item.commit[:12]} {plain(item.subject)}" for item in items if item.verdict.worth_fuzzing]
    lines += notes
    lines += [line for name, why in enable.items() for line in (*([why] if why else []), f"CONFIG_{name}=y")]
    lines += [line for name, why in disable.items() for line in (*([why] if why else []), f"# CONFIG_{name} is not set")]
    return "".join(f"{line}\n" for line in lines), said


def _why(reason: Mapping[str, Any]) -> str:
    if not reason:
        return ""
    where = f" ({reason['Path']}:{reason['Line']})" if reason.get("Path") else ""
    return f"# {plain(str(reason.get('Why', '')))}{plain(where)}"
