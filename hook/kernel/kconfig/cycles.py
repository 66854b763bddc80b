"""Cycles: options that depend on themselves, which the kernel's own Kconfig refuses.

Follows sym_check_sym_deps of scripts/kconfig/symbol.c: an option depends on the options that select or imply it, on the conditions of its
prompts, and on its defaults with their conditions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hook.kernel.kconfig.expressions import Condition, SharedCondition, Symbol, operands
from hook.kernel.kconfig.option import Option

_MOST = 20  # cycles that are named


def cycles(options: Mapping[str, Option], shared: Mapping[str, Condition]) -> list[list[str]]:
    """The cycles that one walk over all options meets, each as its options in order."""
    circles: list[list[str]] = []
    done: set[str] = set()
    for first in options:
        if first in done:
            continue
        path: list[str] = []  # from `first`, each depending on the next
        on_path: dict[str, int] = {}
        walk: list[Iterator[str]] = []
        following: str | None = first
        while following is not None or walk:
            if following is not None:
                on_path[following] = len(path)
                path.append(following)
                done.add(following)
                walk.append(_dependencies(following, options, shared))
            following = None
            for name in walk[-1]:
                if name in on_path:
                    names = [step for step in path[on_path[name] :] if step[0] != "#"]
                    if names and len(circles) < _MOST:
                        circles.append(names)
                elif name not in done:
                    following = name
                    break
            else:
                walk.pop()
                del on_path[path.pop()]
    return circles


def _dependencies(name: str, options: Mapping[str, Option], shared: Mapping[str, Condition]) -> Iterator[str]:
    """The options and shared conditions that an option, or a shared condition (`#12`), depends on."""
    if name[0] == "#":
        waiting: list[Condition] = [shared[name]]
    else:
        option = options.get(name)
        if option is None:
            return
        waiting = list(option.prompts)
        for puller, condition in (*option.selected_by, *option.implied_by):
            waiting += (Symbol(puller), condition)
        if not option.members:
            waiting += (part for default in option.defaults for part in default)
    while waiting:
        match waiting.pop():
            case SharedCondition(shared_name):
                yield shared_name
            case Symbol(option_name):
                if option_name in options:
                    yield option_name
            case condition:
                waiting += operands(condition)
