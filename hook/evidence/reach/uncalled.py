"""Uncalled: functions that a change adds for others to call, and that nothing calls yet."""

from __future__ import annotations

from collections.abc import Collection

from hook.c.translation_unit import TranslationUnit
from hook.source.lookup import Bounds, callers
from hook.source.tree import Source

_BOUNDS = Bounds(12)  # a function in more files has callers
_EXPORTS = "EXPORT_SYMBOL"


def is_uncalled(source: Source, path: str, added: Collection[str]) -> bool:
    """Whether functions that are new in the file at `path`, one of them exported, are used by each other alone.

    No where that cannot be seen: many files hold a name, or there is no index to find them. Raises GitError.
    """
    file = source.file(path)
    if file is None or file.data is None:
        return False
    unit = TranslationUnit(path, file.data, file.oid)
    given_to = [statement.macro for statement in unit.statements if not set(added).isdisjoint(statement.arguments)]
    if not given_to or not all(macro.startswith(_EXPORTS) for macro in given_to):
        return False  # not exported, or an initcall, or given to another macro that may register it
    for name in added:
        users = callers(source, name, _BOUNDS)
        if users.cut or any(use.user not in added for use in users.items):
            return False
    return True
