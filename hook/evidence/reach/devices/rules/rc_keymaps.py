"""Remote control keymaps: the receivers that use one.

A keymap only registers its table. rc-core looks it up (rc_map_get) by the name in a receiver's `map_name`, or in a device tree node
("linux,rc-map-name").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hook import lazy_re
from hook.evidence.reach.devices.graph import Edge, EdgeKind, Incoming
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.evidence.reach.devices.rules import exports
from hook.kernel.kbuild.objects import Object
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, in_kernel
from hook.source.words import words_of

_MAP = lazy_re.compile(r"\bstruct\s+rc_map_list\s+\w+\s*=\s*\{[^;]{0,400}?\.\s*name\s*=\s*(\w+|\"[^\"]+\")")
_MOST_NAMING = 12  # files that name a keymap, or take the name from a node
_PROPERTY = "linux,rc-map-name"


def rc_keymaps(obj: Object, reader: ObjectReader) -> Incoming:
    """The receivers that use a keymap which the object registers."""
    registered = next((place for place in reader.profile(obj).effects.buses if place[0] == "rc_map"), None)
    if registered is None:
        return Incoming()
    _, path, line = registered
    question = f"no receiver that uses the keymap of {path}:{line} was found"
    members = reader.profile(obj).members
    names = [name for member in members for name in _MAP.findall(reader.texts.get(member) or "")]
    by_node = _by_node(reader) if reader.vm.describes_by_tree else []
    if not names or by_node is None or not reader.vm.made_by:
        return Incoming(unseen=question)
    named = _naming(reader, names, members)
    if named is None:
        return Incoming(unseen=question)
    naming = sorted(named, key=lambda use: exports.likelihood(use[0]))
    edges = tuple(
        Edge(
            f"not known: whether the VM has a receiver of {user}, which uses the keymap of {path}",
            EdgeKind.MUST,
            file=user,
            facts=(reader.texts.fact(f"uses the keymap {name} of {path}", user, at),),
        )
        for user, at, name in naming[:_MOST_NAMING]
    )
    edges += tuple(
        Edge(f"not known: whether the device tree names the keymap of {path} for a receiver of {user}", file=user) for user in by_node
    )
    is_all = len(naming) <= _MOST_NAMING and reader.texts.source.index is not None and all(_strings(reader, name) for name in names)
    fact = reader.texts.fact("registers a keymap that no receiver of the machine uses", path, line)
    return Incoming(edges, (fact,), "" if is_all else question)


def _by_node(reader: ObjectReader) -> list[str] | None:
    """The files that take the name of a keymap from the receiver's node; None where not all are known."""
    holding = reader.texts.holding([[word] for word in words_of(_PROPERTY)])
    files = [path for path in holding or () if path.endswith((".c", ".h")) and in_kernel(path, reader.srcarch, NO_KERNEL_CODE)]
    users = [path for path in files if (text := reader.texts.get(path)) is None or _PROPERTY in text]  # or it could not be read
    is_known = holding is not None and len(users) <= _MOST_NAMING and all(path.endswith(".c") for path in users)
    return users if is_known else None


def _strings(reader: ObjectReader, name: str) -> list[str]:
    """The names of a keymap, given as a string or as a macro; empty where they are not known."""
    if name.startswith('"'):
        return [name.strip('"')]
    defined = [body for header in reader.texts.defining(name) for _, body in reader.texts.macro(header, name)]
    return [body.strip('"') for body in defined] if all(body.startswith('"') for body in defined) else []


def _naming(reader: ObjectReader, names: Sequence[str], members: Sequence[str]) -> list[tuple[str, int, str]] | None:
    """The .c files that name a keymap, by its macro or as a string; None where not all are known, or a header of a driver's names it."""
    texts, naming = reader.texts, list[tuple[str, int, str]]()
    for name in names:
        spellings = [(name, [[name.lower()]])] if not name.startswith('"') else []
        for string in _strings(reader, name):  # plain numbers are no words of the index
            spellings.append((f'"{string}"', [[word] for word in words_of(string.lower())]))
        for spelling, groups in spellings:
            form = re.compile(rf"(?<!\w){re.escape(spelling)}(?!\w)")
            definition = re.compile(rf"#[ \t]*define[ \t]+{re.escape(name)}[ \t][^\n]*")
            holding = texts.holding(groups)
            if holding is None:
                return None
            for path in holding:
                if path in members or not path.endswith((".c", ".h")) or not in_kernel(path, reader.srcarch, NO_KERNEL_CODE):
                    continue
                text = texts.get(path)
                if text is None or (path.endswith(".h") and form.search(definition.sub("", text))):
                    return None
                if path.endswith(".c") and (use := form.search(text)):
                    naming.append((path, texts.line(path, use.start()), name))
    return naming
