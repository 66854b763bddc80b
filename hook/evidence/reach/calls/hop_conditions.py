"""Hop conditions: under which options a hop of a call path leads to the definition that it names.

C decides by scope: a static name binds in its file, another one to the definition that the kernel is linked with, or to what a header
has in its place. So a hop is there where its two files are built, the lines of both are compiled, and no other definition of the name is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hook import lazy_re
from hook.c.blanking import without_comments
from hook.c.definitions import Definition, DefinitionKind
from hook.c.translation_unit import TranslationUnit
from hook.evidence.reach.calls.nodes import WEAK, ConditionAt, Hop, NodeKind, PathNode
from hook.kernel.kbuild.conditionals import Conditional
from hook.kernel.kbuild.objects import Built
from hook.kernel.kconfig.expressions import YES, all_of, any_of, built_in, left_open, negated, open_parts
from hook.kernel.kernel import Kernel
from hook.kernel.name_users import NameUsers

_UNLESS_DEFINED = lazy_re.compile(r"#\s*(?:ifndef\s+|if\s+!defined\s*\(?\s*)(\w+)\s*\)?")
_INCLUDED = lazy_re.compile(rb"(?m)^[ \t]*#[ \t]*include[ \t]+<(asm/[\w./-]+\.h)>")
_INCLUDES = lazy_re.compile(r"""[ \t]*#[ \t]*include[ \t]+[<"][^<>"]*[>"]""")
_MOST_INCLUDING = 12  # files that may name a header
_MOST_DEFINITIONS = 12  # of one name that are looked at
_OWN = (DefinitionKind.FUNCTION, DefinitionKind.MACRO, DefinitionKind.VARIABLE)  # what may stand in the place of another file's
_KINDS = {
    NodeKind.TABLE: (DefinitionKind.VARIABLE,),
    NodeKind.MACRO: (DefinitionKind.FUNCTION, DefinitionKind.MACRO),
    **dict.fromkeys((NodeKind.FUNCTION, NodeKind.GIVING), (DefinitionKind.FUNCTION, DefinitionKind.MACRO)),
}


class HopConditions:
    """The conditions of hops, for one tree and target."""

    def __init__(self, name_users: NameUsers, kernel: Kernel) -> None:
        self._name_users, self._kernel = name_users, kernel
        self._others: dict[tuple[str, str], list[ConditionAt]] = {}

    def of_hop(self, hop: Hop) -> list[ConditionAt]:
        """The conditions under which a hop is there at all. What could not be found out is in them as an open part."""
        known = self._kernel.options
        options = [option for option in hop.options if known.get(option) is not None]  # not every tree has it
        needed = [ConditionAt(built_in(option), hop.path, hop.line, hop.text) for option in options]
        return [*self._line(hop.path, hop.line), *needed]

    def of_name(self, node: PathNode, user: str) -> list[ConditionAt]:
        """The conditions under which the name of `node` means its definition in the file `user`; open parts as above."""
        found = self.defined(node)
        unit = self._name_users.units.get(user) if user != node.path and user.endswith(".c") else None
        for own in unit.by_name.get(node.name, ()) if unit is not None else ():
            if unit is not None and own.kind in _OWN and not WEAK.search(unit.head(own)):
                found.append(self._not_compiled(node, user, unit, own))
        if not node.local and node.kind in _KINDS:
            found += [one for one in self._elsewhere(node) if self._may_see(user, one.path)]
        return found

    def defined(self, node: PathNode) -> list[ConditionAt]:
        """The conditions under which the definition of a node is compiled."""
        unit = self._name_users.units.get(node.path)
        kinds = _KINDS.get(node.kind)
        if unit is None or kinds is None:
            return []
        definitions = [definition for definition in unit.by_name.get(node.name, ()) if definition.kind in kinds]
        if not definitions:
            return self._line(node.path, 0)
        branches = [self._line(node.path, definition.line) for definition in definitions]
        if len(branches) == 1:
            return branches[0]
        # in branches of a conditional: which of them is meant, the hop to its caller says
        condition = any_of(all_of(part.condition for part in branch) for branch in branches)
        return [ConditionAt(condition, node.path, definitions[0].line, f"defines {node.name}")] if condition != YES else []

    def _line(self, path: str, line: int) -> list[ConditionAt]:
        """The conditions under which a line is compiled; of a header those inside of it, since who names what is in it includes it."""
        found: list[ConditionAt] = []
        if path.endswith(".c"):
            built = self._kernel.kbuild.built_if(path)
            if open_parts(built.condition):
                includer, including = self._including(path)
                built = including or self._kernel.built_if(path)
                found += self._of_include(includer, path)
            if built.condition != YES:
                at = built.places[0] if built.places else (path, 0, built.condition)
                found.append(ConditionAt(built.condition, at[0], at[1], f"builds {path}"))
        for conditional in self._conditionals_of(path, line):
            found.append(ConditionAt(conditional.condition, path, conditional.line, conditional.text))
        return found

    def _including(self, path: str) -> tuple[str, Built | None]:
        """The .c file of the same directory that includes another one, and what builds it."""
        for other in self._name_users.together(path):
            built = self._kernel.kbuild.built_if(other)
            if not open_parts(built.condition):
                return other, built
        return "", None

    def _of_include(self, includer: str, path: str) -> list[ConditionAt]:
        """The conditions of the line in which a file includes another one, where there is one such line."""
        unit = self._name_users.units.get(includer) if includer else None
        included = re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+"' + re.escape(path.rpartition("/")[2].encode()) + rb'"')
        lines = [unit.line(match.start())[0] for match in included.finditer(unit.data)] if unit is not None else []
        around = self._conditionals_of(includer, lines[0]) if len(lines) == 1 else ()
        return [ConditionAt(conditional.condition, includer, conditional.line, conditional.text) for conditional in around]

    def _conditionals_of(self, path: str, line: int) -> tuple[Conditional, ...]:
        if not line or not path.endswith((".c", ".h", ".S")):
            return ()
        return self._name_users.conditionals(path).at(line)

    def _elsewhere(self, node: PathNode) -> list[ConditionAt]:
        """That no other definition of a name is compiled."""
        key = (node.name, node.path)
        if key not in self._others:
            self._others[key] = list(self._find_others(node))
        return self._others[key]

    def _find_others(self, node: PathNode) -> Iterator[ConditionAt]:
        paths = [path for path in self._name_users.defining(node.name) if path != node.path]
        home = self._name_users.units.get(node.path)
        mine = home.defined(node.name, *_KINDS[node.kind]) if home else None
        weak = home is not None and mine is not None and WEAK.search(home.head(mine)) is not None
        looked = 0
        for path in paths:
            unit = self._name_users.units.get(path)
            if unit is None:
                yield ConditionAt(left_open(f"what {path} defines as {node.name}"), path, 0, "")
                continue
            if path.endswith(".h") and b"__RENAME(%s)" % node.name.encode() in unit.data:
                continue  # include/linux/fortify-string.h: it checks the sizes, and calls the function of that name
            for one in unit.by_name.get(node.name, ()):
                if one.kind not in (*_KINDS[node.kind], DefinitionKind.MACRO):
                    continue
                if path.endswith(".c") and (one.kind is DefinitionKind.MACRO or unit.is_static(one)):
                    continue  # of its own file
                looked += 1
                if looked > _MOST_DEFINITIONS:
                    yield ConditionAt(left_open(f"which of many definitions of {node.name} is meant"), node.path, 0, "")
                    return
                if path.endswith(".c") and WEAK.search(unit.head(one)) and not weak:
                    continue
                if one.kind is DefinitionKind.MACRO and _names_itself(unit, one):
                    continue
                yield self._not_compiled(node, path, unit, one)

    def _not_compiled(self, node: PathNode, path: str, unit: TranslationUnit, one: Definition) -> ConditionAt:
        said = [*self._line(path, one.line), *self._only_include(path)]
        condition = all_of(part.condition for part in said)
        line, text = unit.line(one.offset)
        if (condition == YES or open_parts(condition)) and self._is_replaced(unit, one.line):
            return ConditionAt(YES, path, line, text)
        if condition == YES or open_parts(condition):
            return ConditionAt(left_open(f"whether {node.name} of {path}:{line} is meant"), path, line, text)
        return ConditionAt(negated(condition), path, said[-1].line, said[-1].text)

    def _only_include(self, path: str) -> list[ConditionAt]:
        """The conditions of the one line of the kernel that includes a header, as for spinlock_api_up.h; none where there are more."""
        name = path.rpartition("/")[2]
        stem = name.removesuffix(".h")
        files = self._name_users.naming_header(stem) if path.endswith(".h") and stem.isidentifier() else []
        units = [self._name_users.units.get(file) for file in files] if len(files) <= _MOST_INCLUDING else []
        # any other place that names it may include it too: `#define HEADER <linux/foo.h>`, or `-include` in a makefile
        named = re.compile(rb"(?<![\w.-])" + re.escape(name.encode()) + rb"(?!\w)")
        places = [
            (unit, match.start())
            for unit in units
            if unit is not None
            for match in named.finditer(without_comments(unit.data) if unit.path.endswith((".c", ".h")) else unit.data)
        ]
        if None in units or len(places) != 1:
            return []
        [(includer, offset)] = places
        line, text = includer.whole_line(offset)
        if not _INCLUDES.match(text):
            return []
        around = self._conditionals_of(includer.path, line)
        return [ConditionAt(conditional.condition, includer.path, conditional.line, conditional.text) for conditional in around]

    def _is_replaced(self, unit: TranslationUnit, line: int) -> bool:
        """Whether the architecture replaces what a common header defines at a line under `#ifndef NAME`.

        It does for certain where a header of it that the common header includes before, under no other condition, always defines NAME.
        """
        around = self._conditionals_of(unit.path, line)
        asked = [match[1] for conditional in around if (match := _UNLESS_DEFINED.fullmatch(conditional.text))]
        for include in _INCLUDED.finditer(unit.data, 0, unit.offset(line)) if asked else ():
            at = self._conditionals_of(unit.path, unit.line(include.start())[0])
            path = f"arch/{self._name_users.environment['SRCARCH']}/include/{include[1].decode('ascii', 'replace')}"
            header = self._name_users.units.get(path) if set(at) <= set(around) else None
            macros = [macro for name in asked for macro in header.by_name.get(name, ())] if header is not None else []
            if header is not None and any(
                re.search(rb"(?m)^[ \t]*#[ \t]*undef[ \t]+" + name.encode() + rb"\b", header.data) for name in asked
            ):
                continue
            if any(macro.kind is DefinitionKind.MACRO and not self._conditionals_of(path, macro.line) for macro in macros):
                return True
        return False

    def _may_see(self, user: str, other: str) -> bool:
        """Whether a file may be compiled with what another one defines: all of the kernel's .c files, and its common headers, are."""
        if other.endswith(".c") or other.startswith(("include/", "arch/")):
            return True
        return user.startswith(other.rpartition("/")[0] + "/")


def _names_itself(unit: TranslationUnit, macro: Definition) -> bool:
    """`#define foo foo`, which only says that there is one, or a macro around the function of its name."""
    return re.search(rb"\b" + macro.name.encode() + rb"\b", unit.data[macro.offset + len(macro.name) : macro.span[1]]) is not None
