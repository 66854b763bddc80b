"""Keymaps: which receiver of a remote control asks for one, and whether a machine has it.

A keymap does nothing but register its table; rc-core looks it up by the name that a receiver has in `map_name` (rc_map_get), or that a node
of a device tree gives ("linux,rc-map-name").
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Sequence

from hook.evidence.reach.answer import Reach, any_of
from hook.evidence.reach.devices.symbol_users import DEEPEST, in_kernel, likelihood
from hook.source.words import is_number
from hook.verdict import Answer

if typing.TYPE_CHECKING:
    from hook.evidence.reach.devices.drivers import Drivers

_MAP = re.compile(r"\bstruct\s+rc_map_list\s+\w+\s*=\s*\{[^;]{0,400}?\.\s*name\s*=\s*(\w+|\"[^\"]+\")")
_MOST_NAMING = 12  # files that name a keymap


def named(judge: Drivers, members: Sequence[str], path: str, line: int, depth: int) -> Reach:
    """What is said of a keymap by whoever names it: NO where nobody does whose device a machine has."""
    question = f"who asks for the keymap that {path}:{line} registers?"
    names = [one for member in members for one in _MAP.findall(judge.texts.get(member) or "")]
    if not names or depth >= DEEPEST or judge.vm.describes_by_tree or not judge.vm.made_by:
        return Reach(Answer.UNKNOWN, question=question)
    found = list(_naming(judge, names, members))
    answers = []
    for user, at, name in sorted(found, key=lambda one: likelihood(one[0]))[:_MOST_NAMING]:
        objects = judge.kernel.kbuild.objects(user)
        answer = any_of([judge.of_other(one, depth + 1) for one in objects]) if objects else Reach(Answer.UNKNOWN)
        if answer.answer is Answer.YES:
            fact = judge.fact(f"asks for the keymap {name} of {path}", user, at)
            return Reach(Answer.YES, (*answer.facts[:2], fact), answer.devices, answer.reasons, assumptions=answer.assumptions)
        answers.append(answer)
    if judge.texts.source.index is None or len(found) > _MOST_NAMING or any(one.answer is not Answer.NO for one in answers):
        return Reach(Answer.UNKNOWN, question=question)
    fact = judge.fact("registers a table that no receiver of the machine asks for", path, line)
    return Reach(Answer.NO, (*(fact for one in answers for fact in one.facts[:1]), fact)[-2:])


def _naming(judge: Drivers, names: Sequence[str], members: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """The files that have a keymap's name in them, by its macro or as a string."""
    texts = judge.texts
    srcarch = judge.kernel.environment["SRCARCH"]
    for name in names:
        strings = [name.strip('"')]
        if not name.startswith('"'):
            defined = [body for header in texts.defining(name)[:2] for _, body in texts.macro(header, name)]
            strings = [one.strip('"') for one in defined if one.startswith('"')]
        spellings = [(name, [[name.lower()]])] if not name.startswith('"') else []
        for one in strings:  # plain numbers are no words of the index
            words = [word for word in re.findall(r"\w+", one.lower()) if not (word[0].isdigit() and is_number(word))]
            spellings.append((f'"{one}"', [[word] for word in words]))
        for spelling, groups in spellings:
            form = re.compile(rf"(?<!\w){re.escape(spelling)}(?!\w)")
            for path in texts.holding(groups) or ():
                if path in members or not path.endswith(".c") or not in_kernel(path, srcarch):
                    continue
                use = form.search(texts.get(path) or "")
                if use is not None:
                    yield path, texts.line(path, use.start()), name
