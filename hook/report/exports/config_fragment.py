"""A fragment of kernel configuration, for scripts/kconfig/merge_config.sh: what the changes need to be built and reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hook.report.exports import OPTION, Export, ExportForm, Item
from hook.report.options_text import reason_text
from hook.report.text import plain
from hook.verdict import ConfigReason


def write(export: Export) -> None:
    """Print the fragment."""
    text, warnings = fragment(export.items)
    for line in warnings:
        export.complain(line)
    print(text, end="")


FORM = ExportForm("kconfig", "a fragment of kernel configuration, for merge_config.sh", write)


def fragment(items: Sequence[Item]) -> tuple[str, list[str]]:
    """The fragment, and what a person should know: options that one change wants on and another off."""
    enable: dict[str, ConfigReason | None] = {}
    disable: dict[str, ConfigReason | None] = {}
    notes, warnings = [], []
    worth = [item for item in items if item.verdict.worth_fuzzing]
    for item in worth:
        verdict, commit = item.verdict, item.commit[:12]
        for names, into in ((verdict.enable_configs, enable), (verdict.disable_configs, disable)):
            for name in names:
                if OPTION.match(name):
                    into.setdefault(name, verdict.config_reasons.get(name))
                else:
                    warnings.append(f"{name[:60]!r} is left out: not an option name")
        for other in verdict.config_sets[1:]:
            options = [f"{name}=y" for name in other.enable] + [f"{name}=n" for name in other.disable]
            notes.append(f"# {commit}: some lines need another configuration: {plain(', '.join(options))}")
        if verdict.needs_kmsan:
            notes.append(f"# {commit} needs a separate kernel with CONFIG_KMSAN=y (clang; neither KASAN nor KCSAN)")
    for name in [name for name in disable if name in enable]:
        warnings.append(f"one change needs {name} on, another needs it off: it stays on")
        del disable[name]
    lines = [f"# {item.commit[:12]} {plain(item.subject)}".replace("#  ", "# ") for item in worth] + notes
    lines += [*_lines(enable, "CONFIG_{}=y"), *_lines(disable, "# CONFIG_{} is not set")]
    return "".join(f"{line}\n" for line in lines), warnings


def _lines(options: Mapping[str, ConfigReason | None], form: str) -> list[str]:
    return [
        line for name, reason in options.items() for line in (*([f"# {plain(reason_text(reason))}"] if reason else []), form.format(name))
    ]
