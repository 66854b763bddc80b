"""Hops: what leads to a node of a call path, found in every file that may use its name.

A hop is proved by the text around a use. Which definition the name binds to, and whether the files are built, is looked at when a whole
call path was found (hook.evidence.reach.calls.hop_conditions).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.c.keywords import BEFORE_A_VALUE
from hook.c.translation_unit import TranslationUnit
from hook.c.uses import Use, UseKind, only_declares, uses_of
from hook.c.word_places import places
from hook.evidence.reach.calls import queued, table_uses
from hook.evidence.reach.calls.entry_functions import entered
from hook.evidence.reach.calls.expanded_macros import ExpandedMacros
from hook.evidence.reach.calls.function_uses import FunctionUses
from hook.evidence.reach.calls.nodes import WEAK, DeadEnd, Hop, NodeKind, PathNode, Trigger, hop_to_user, user_of
from hook.evidence.reach.calls.pasted_names import pasted
from hook.kernel.name_users import NameUsers

_NAMED = (DefinitionKind.FUNCTION, DefinitionKind.MACRO, DefinitionKind.VARIABLE)
_POINTS = lazy_re.compile(rb"\(\s*\*\s*(?:const\s+)?\Z")
_DECLARES = lazy_re.compile(
    rb"(?:^|[;{(,])\s*(?:const\s+|unsigned\s+)*(?:struct\s+|enum\s+|union\s+)?(\w+)[\s*]+(?:\w+[^;(){}]*,\s*\**)?\Z", re.MULTILINE
)


class Hops:
    """The hops of one tree, for one target."""

    def __init__(self, name_users: NameUsers) -> None:
        self._name_users, self._units = name_users, name_users.units
        self._uses_of = {
            NodeKind.TABLE: table_uses.of_table,
            NodeKind.STATIC_CALL: table_uses.of_static_call,
            NodeKind.KFUNC_SET: table_uses.of_kfunc_set,
        }
        self._function_uses = FunctionUses(name_users)
        self._expanded = ExpandedMacros(name_users)

    def above(self, node: PathNode, trigger: Trigger) -> Iterator[Hop | DeadEnd]:
        """What leads to a node."""
        if node.kind is NodeKind.FUNCTION:
            yield from entered(node, trigger, self._name_users)
            yield from self._decoding(node, trigger)
        if node.kind is NodeKind.QUEUED:
            yield from queued.queueing(node, trigger, self._units.get(node.path))
            return
        paths = self._name_users.files(node.name, node.path, local=node.local)
        self._units.fetch(paths)
        for path in paths:
            unit = self._units.get(path)
            if unit is None:
                self._name_users.cut = self._name_users.cut or self._units.is_full
            elif path == node.path:
                yield from self._uses(node, trigger, unit)
                yield from pasted(node, trigger, unit)
            elif not only_declares(unit, node.name) and not (path.endswith(".c") and self._defines(unit, node.name)):
                # a name of its own, but in a header: there it may stand in the place of the function where that is not built
                yield from self._uses(node, trigger, unit)

    def _decoding(self, node: PathNode, trigger: Trigger) -> Iterator[Hop | DeadEnd]:
        """The calls that decode by a grammar whose action is a function: `({ name })` in foo.asn1, of which a build makes foo_decoder.

        Source: scripts/asn1_compiler.c.
        """
        grammars = [path for path in self._name_users.everywhere(node.name) if path.endswith(".asn1")]
        if not grammars:
            return
        action = re.compile(rb"\(\{\s*" + node.name.encode() + rb"\s*\}\)")
        for path, blob in zip(grammars, self._units.source.files(grammars), strict=True):
            if blob is None or not action.search(blob.data or b""):
                continue
            decoder = path.rpartition("/")[2].partition(".")[0] + "_decoder"
            for user_path in self._name_users.files(decoder, path, local=False):
                unit = self._units.get(user_path) if user_path.endswith(".c") else None
                for use in uses_of(unit, decoder) if unit is not None else ():
                    if unit is not None and use.kind is UseKind.PASSED and use.callee == "asn1_ber_decoder":
                        claim = f"{user_of(use).name}() decodes by {path}, whose actions call {node.name}()"
                        yield from hop_to_user(unit, use, trigger, claim)

    def _uses(self, node: PathNode, trigger: Trigger, unit: TranslationUnit) -> Iterator[Hop | DeadEnd]:
        hops_of = self._uses_of.get(node.kind, self._function_uses.of)
        for use in uses_of(unit, node.name):
            if use.user is None or (use.user.name != node.name and not _shadows(unit, use, node.name)):
                yield from hops_of(node, trigger, unit, use)
        if node.kind is NodeKind.MACRO:
            yield from self._expanded.defined_by(node, trigger, unit)
        else:
            for expansion, use in self._expanded.uses(node, unit):
                if use.user is None or use.user.name != node.name:
                    yield from hops_of(node, trigger, expansion, use)

    def _defines(self, unit: TranslationUnit, name: str) -> bool:
        """Whether a name means something of the file's own in it: a weak function gives way to the one that is not.

        So may a stub or macro in a preprocessor conditional, which stands where the function is not built: hop_conditions asks for that.
        """
        own = [one for one in unit.by_name.get(name, ()) if one.kind in _NAMED and not WEAK.search(unit.head(one))]
        return bool(own) and not all(self._name_users.conditionals(unit.path).at(one.line) for one in own)


def _shadows(unit: TranslationUnit, use: Use, name: str) -> bool:
    """Whether the function around a use has a parameter or variable of that name."""
    user = use.user
    if user is None or user.kind is not DefinitionKind.FUNCTION:
        return False
    code = unit.scan.code
    for offset in places(code, name, user.span[0], user.body[1]):
        before, after = code[max(user.span[0], offset - 80) : offset], code[offset + len(name) : offset + len(name) + 8].lstrip()
        if after[:1] == b")" and _POINTS.search(before):
            return True
        declares = _DECLARES.search(before) if after[:1] in (b";", b",", b"=", b")", b"[") and after[:2] != b"==" else None
        if declares and declares[1] not in BEFORE_A_VALUE:
            return True
    return False
