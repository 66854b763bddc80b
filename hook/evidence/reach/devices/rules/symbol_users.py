"""Users of exports: which objects use what an object exports."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

from hook import lazy_re
from hook.evidence.reach.devices import probe_requirements
from hook.evidence.reach.devices.driver_answers import driver_answers
from hook.evidence.reach.devices.graph import BY_DEVICE, Edge, EdgeKind, Incoming, Run
from hook.evidence.reach.devices.object_reader import ObjectReader, beside
from hook.evidence.reach.devices.rules import exports
from hook.kernel.kbuild.objects import Object

# objects that use what one exports, by how far from the change that one is: that are looked into where they are not closed, and that are
# tried for a `yes`
MOST_USERS = (24, 12, 8, 6, 4)
MOST_TRIED = (6, 3, 1, 1, 1)
_MOST_FILES = 60  # that use what an object exports, where all of them are wanted
_MOST_LIKELY_FILES = 16  # where one that runs is enough
_MOST_CALLED = 12  # functions of a core that its glue calls, asked for what they want
_WORD = lazy_re.compile(r"[A-Za-z_]\w*")


def symbol_users(obj: Object, reader: ObjectReader) -> Incoming:
    """All that use what an object exports, or of what cannot be a module, what is not static."""
    return _users(obj, reader, _names(obj, reader), _MOST_FILES)


def likely_users(obj: Object, reader: ObjectReader) -> Incoming:
    """Those that use what an open object exports, as far as they are likely to run."""
    names = exports.exported(reader.texts, obj, reader.profile(obj).members, reader.is_module(obj), deep=False)
    return _users(obj, reader, names, _MOST_LIKELY_FILES)


def question(obj: Object, reader: ObjectReader) -> str:
    """What stays open where nobody is asked: nothing where nothing of the object can be used elsewhere, and it has another way in."""
    names = _names(obj, reader)
    if names:
        return f"no caller of {names[0]}() ({obj.path}) was looked for, this far from the change"
    return "" if _has_own_way(obj, reader) else _nobody(obj)


def _names(obj: Object, reader: ObjectReader) -> list[str]:
    return exports.exported(reader.texts, obj, reader.profile(obj).members, reader.is_module(obj), deep=True)


def _nobody(obj: Object) -> str:
    return f"nothing of {obj.path} registers with a bus, and no caller of it was found"


def _has_own_way(obj: Object, reader: ObjectReader) -> bool:
    """Whether something else than its users could make the object run, so that it may have none."""
    start = reader.profile(obj).start
    return bool(driver_answers(obj, reader) or start.buses or start.calls or start.unknown)


def _users(obj: Object, reader: ObjectReader, names: Sequence[str], most_files: int) -> Incoming:
    has_own_way = _has_own_way(obj, reader)
    if not names:
        return Incoming(unseen="" if has_own_way else _nobody(obj))
    profile = reader.profile(obj)
    found = exports.first_users(reader.texts, names, obj.members, reader.srcarch, most_files)
    if found is None:
        return Incoming(unseen=f"no caller of {names[0]}() ({obj.path}) could be looked for: there is no word index")
    users, all_found = found
    edges = []
    for user in users:
        edges.append(
            Edge(
                f"not known: whether {user.path} runs in the VM, which uses {user.name}() of {obj.path} in line {user.line}",
                EdgeKind.MAY if profile.registers or exports.is_guessed(reader.texts, profile.members, user.name) else EdgeKind.MUST,
                file=user.path,
                facts=(reader.fact(f"{user.path} uses {user.name}() of {obj.path}", user.path, user.line),),
                carries=BY_DEVICE - {Run.SUITE} if has_own_way else BY_DEVICE,
                refusal=functools.partial(_refusal, user, obj, reader, names),
                beside=beside(user.path, obj),
            )
        )
    unseen = "" if all_found else f"not all callers of {names[0]}() ({obj.path}) were found"
    if not edges and not has_own_way:
        unseen = f"no caller of {names[0]}() ({obj.path}) was found"
    return Incoming(tuple(edges), unseen=unseen)


def _refusal(user: exports.User, obj: Object, reader: ObjectReader, names: Sequence[str]) -> str:
    """That the probe of a chip's core, or another function that its glue calls, refuses to go without what no played chip has."""
    words = set(_WORD.findall(reader.texts.get(user.path) or ""))
    members = reader.profile(obj).members
    for name in itertools.islice((name for name in names if name in words), _MOST_CALLED):
        want = probe_requirements.of_probe(reader.texts, name, members)
        if want is not None:
            return f"{user.name}() asks for {want.what} ({want.path}:{want.line}), which a chip played by user space has not"
    return ""
