"""Symbol users: the objects that use what an object exports."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

from hook import lazy_re
from hook.evidence.reach.devices.driver_answers import driver_answers
from hook.evidence.reach.devices.graph import BY_DEVICE, Edge, EdgeKind, Incoming, Run
from hook.evidence.reach.devices.object_reader import ObjectReader, beside
from hook.evidence.reach.devices.probes import probe_requirements
from hook.evidence.reach.devices.rules import exports
from hook.kernel.kbuild.objects import Object
from hook.kernel.kconfig.expressions import open_parts, taken_to_hold

# users of one object, by its distance from the change: how many are followed where they are not closed, and how many are tried for a `yes`
MOST_USERS = (24, 12, 8, 6, 4)
MOST_TRIED = (6, 3, 1, 1, 1)
_MOST_FILES = 60  # that use what an object exports, where all users are needed
_MOST_LIKELY_FILES = 16  # where one user that runs is enough
_MOST_CALLED = 12  # functions of a core that its glue calls, read for their requirements
_BY_MACRO = "not known: which functions a macro of {} exports"
_WORD = lazy_re.compile(r"[A-Za-z_]\w*")


def symbol_users(obj: Object, reader: ObjectReader) -> Incoming:
    """All users of what an object exports; where it cannot be a module, of every function that is not static."""
    return _users(obj, reader, _names(obj, reader), _MOST_FILES)


def likely_users(obj: Object, reader: ObjectReader) -> Incoming:
    """The likely users of what an open object exports: enough to prove `yes`."""
    return _users(obj, reader, _names(obj, reader, deep=False), _MOST_LIKELY_FILES)


def question(obj: Object, reader: ObjectReader) -> str:
    """The question that stays open where this rule is not asked; empty where no object can use this one and something else runs it."""
    names = _names(obj, reader)
    if names:
        return f"no caller of {names[0]}() ({obj.path}) was looked for, so far from the change"
    if exports.exports_by_macro(reader.texts, reader.profile(obj).members):
        return _BY_MACRO.format(obj.path)
    return "" if _runs_by_itself(obj, reader) else _no_caller(obj)


def _names(obj: Object, reader: ObjectReader, *, deep: bool = True) -> list[str]:
    return exports.exported(reader.texts, obj, reader.profile(obj).members, reader.srcarch, reader.is_module(obj), deep=deep)


def _no_caller(obj: Object) -> str:
    return f"nothing of {obj.path} registers with a bus, and no caller of it was found"


def _runs_by_itself(obj: Object, reader: ObjectReader) -> bool:
    """Whether something other than its users may run the object: then it may have no users."""
    effects = reader.profile(obj).effects
    return bool(driver_answers(obj, reader) or effects.buses or effects.calls or effects.unknown)


def _users(obj: Object, reader: ObjectReader, names: Sequence[str], most_files: int) -> Incoming:
    runs_by_itself = _runs_by_itself(obj, reader)
    profile = reader.profile(obj)
    by_macro = _BY_MACRO.format(obj.path) if exports.exports_by_macro(reader.texts, profile.members) else ""
    if not names:
        return Incoming(unseen=by_macro or ("" if runs_by_itself else _no_caller(obj)))
    answer = exports.first_users(reader.texts, names, obj.members, reader.srcarch, most_files)
    if answer is None:
        return Incoming(unseen=f"no caller of {names[0]}() ({obj.path}) could be looked for: there is no word index")
    # only if both are built in
    unsure = set(names).difference(_names(obj, reader, deep=False)) if reader.is_module(obj) else frozenset[str]()
    edges = []
    for user in sorted(answer.users, key=functools.partial(_turn, reader=reader)):
        edges.append(
            Edge(
                f"not known: whether {user.path} runs in the VM, which uses {user.name}() of {obj.path} in line {user.line}",
                EdgeKind.MAY
                if profile.registers or user.name in unsure or exports.is_guessed(reader.texts, profile.members, user.name)
                else EdgeKind.MUST,
                file=user.path,
                facts=(reader.texts.fact(f"{user.path} uses {user.name}() of {obj.path}", user.path, user.line),),
                carries=BY_DEVICE - {Run.SUITE} if runs_by_itself else BY_DEVICE,
                refusal=functools.partial(_refusal, user, obj, reader, names),
                beside=beside(user.path, obj),
                uses=answer.names,
            )
        )
    unseen = by_macro if answer.are_all else f"not all callers of {names[0]}() ({obj.path}) were found"
    if not edges and not runs_by_itself:
        unseen = f"no caller of {names[0]}() ({obj.path}) was found"
    return Incoming(tuple(edges), unseen=unseen)


def _turn(user: exports.User, reader: ObjectReader) -> tuple[bool, int, bool]:
    """A sort key for the users that are found: among equally likely ones, those that the base configuration builds; test suites last.

    What proves the path names the options, and a person rather takes none.
    """
    condition = taken_to_hold(reader.kernel.built_if(user.path).condition)
    return exports.is_suite(user.path), exports.likelihood(user.path)[0], not reader.kernel.holds(condition)


def _refusal(user: exports.User, obj: Object, reader: ObjectReader, names: Sequence[str], run: Run) -> str:
    """Why a user that runs may not use the object, as a sentence; empty: nothing is known against it.

    The same text may be compiled for several chips (sound/pci/ens1371.c). And what the glue of an emulated chip calls may ask for more.
    """
    conditionals = reader.kernel.conditionals(user.path)
    for conditional in conditionals.at(user.line) if conditionals is not None else ():
        if open_parts(conditional.condition):
            return f"not known: whether {conditional.text} holds where {user.path} uses {user.name}()"
    if run is not Run.EMULATED:
        return ""
    words = set(_WORD.findall(reader.texts.get(user.path) or ""))
    members = reader.profile(obj).members
    for name in itertools.islice((name for name in names if name in words), _MOST_CALLED):
        lacking = probe_requirements.of_probe(reader.texts, name, members)
        if lacking is not None:
            return f"{user.name}() requires {lacking.name} ({lacking.path}:{lacking.line}), which an emulated chip does not have"
    return ""
