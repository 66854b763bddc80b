"""Held addresses: the functions of a file, and the variables of it that may hold the address of one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.kernel.texts import Texts

# the target and the value of an assignment; the value may be an initialiser in braces
# the target is `)` where it is anything else: `per_cpu(hook, 0)`, `*hook(1)`
ASSIGNED = lazy_re.compile(r"(\*?[A-Za-z_]\w*(?:\s*(?:->|\.)\s*\w+|\s*\[[^\]]*\])*|\))\s*[|^+]?=(?!=)([^;]*);?")
DECLARATOR = lazy_re.compile(r"\(\s*\*\s*(\w+)\s*(?:\[[^\]]*\]\s*)*\)\s*\([^;{}]*\Z")  # of a pointer to a function, up to its last `)`
_ELEMENT = lazy_re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\[[^\]]*\](?!\s*(?:->|\.|\[))")
_PART = lazy_re.compile(r"(?<!&)&\s*\(?\s*([A-Za-z_]\w*)")
_RETURNED = lazy_re.compile(r"\breturn\b([^;]*);")
_STORED = lazy_re.compile(  # what, and in which list or tree
    r"\bh?list_(?:\w*_)?(?:add|move|splice|replace)\w*\s*\(([^;]{0,400}?),\s*&\s*(\w+)\s*\)\s*;|\b(?:xa|idr)_\w+\s*\(\s*&\s*(\w+)\s*,([^;]{0,400});"
)
_PREPARED = lazy_re.compile(r"\b(?:INIT_\w*WORK\w*|init_\w*work\w*)\s*\(\s*&\s*(\w+)[^,();]*,\s*&?\s*(\w+)\s*\)")
INNER_CALL = lazy_re.compile(r"\b[A-Za-z_]\w*\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
ALONE = lazy_re.compile(r"(?<![\w.>])([A-Za-z_]\w*)(?!\s*\()\b(?!\s*(?:->|\.|\[))")  # a name that is a value itself
MEMBER = lazy_re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)?(?:->|\.)\s*(\w+)")
_MEMBER_SET = lazy_re.compile(r"(?:\.|->)\s*(\w+)\s*=\s*&?\s*([A-Za-z_]\w*)\s*[,;}]")
_OWN_FIRST = lazy_re.compile(r"\s*&\s*(\w+)\s*(?:\[[^\]]*\]\s*)?(?:\.\s*\w+\s*)*,")  # as an argument
NAMES = lazy_re.compile(r"[A-Za-z_]\w*")
_BY_POINTER = lazy_re.compile(r"(?:->|\.)\s*\w+\s*\(|\]\s*\(|\(\s*\*[^()]*\)\s*\(")  # a call
_CALLED = lazy_re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(")
_LOCAL = lazy_re.compile(r"[\w)](?:\s+|\s*\*[\s*]*)([A-Za-z_]\w*)\s*[=;,)\[]|\(\s*\*[\s*\w]*?\b([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)*\)\s*\(")


def defined(texts: Texts, function: str, members: Sequence[str]) -> tuple[str, int, int] | None:
    """Where a function of the object is defined: the file, and the offsets of its braces."""
    file = next((path for path in dict.fromkeys(members) if function in functions(texts, path)), None)
    return (file, *functions(texts, file)[function]) if file is not None else None


def functions(texts: Texts, path: str) -> dict[str, tuple[int, int]]:
    """The functions of a file, with the offsets of their braces."""
    kind = DefinitionKind.FUNCTION
    return texts.once(
        ("functions", path),
        lambda: {definition.name: definition.body for definition in texts.scan(path) if definition.kind is kind and definition.body[1]},
    )


def bodies(texts: Texts, path: str, function: str) -> list[tuple[int, int]]:
    """The offsets of the braces of each definition that a file has of a function: under other options another one counts."""
    named = (definition for definition in texts.scan(path) if definition.name == function)
    return [definition.body for definition in named if definition.kind is DefinitionKind.FUNCTION and definition.body[1]]


def own_variables(texts: Texts, path: str) -> dict[str, bool]:
    """The variables that a file defines, each with whether it is an array."""

    def read() -> dict[str, bool]:
        text = texts.get(path) or ""
        arrays: dict[str, bool] = {}
        for variable in texts.variables(path):
            if "extern" not in text[variable.span[0] : variable.offset].split():
                is_array = text[variable.offset + len(variable.name) : variable.span[1]].lstrip().startswith("[")
                arrays[variable.name] = is_array and arrays.get(variable.name, True)
        return arrays

    return texts.once(("own variables", path), read)


def initialisers(texts: Texts, path: str) -> dict[str, tuple[str, ...]]:
    """The names in the initialiser of each variable of a file."""

    def read() -> dict[str, tuple[str, ...]]:
        text, words = texts.get(path) or "", dict[str, tuple[str, ...]]()
        for variable in texts.variables(path):  # a name may be there twice, each time under other options
            named = NAMES.findall(text, variable.offset + len(variable.name), variable.span[1])
            words[variable.name] = (*words.get(variable.name, ()), *named)
        return words

    return texts.once(("initialisers", path), read)


def callbacks(texts: Texts, path: str) -> set[str]:
    """The variables of a file whose initialiser names a function of the file, or another such variable: an array is passed without `&`."""

    def read() -> set[str]:
        own, values = functions(texts, path).keys(), initialisers(texts, path)
        users: dict[str, list[str]] = {}
        for name, words in values.items():
            for word in set(words):
                users.setdefault(word, []).append(name)
        holding, waiting = set[str](), [*own]
        while waiting:
            more = [name for name in users.pop(waiting.pop(), ()) if name not in holding]
            holding.update(more)
            waiting += more
        return holding

    return texts.once(("callbacks", path), read)


def holders(texts: Texts, path: str) -> set[str]:
    """The variables of a file that may hold the address of a function: by an initialiser in braces, by an assignment, or as a list."""

    def read() -> set[str]:
        text = texts.get(path) or ""
        holding = callbacks(texts, path) | _with_braces(texts, path)
        own, values = own_variables(texts, path).keys() - holding, functions(texts, path).keys() | holding
        for assigned in ASSIGNED.finditer(text) if own else ():
            target = NAMES.search(assigned[1])
            if target is not None and target[0] in own and not values.isdisjoint(ALONE.findall(INNER_CALL.sub(" ", assigned[2]))):
                holding.add(target[0])
        for prepared in _PREPARED.finditer(text):  # a work holds the function that it is prepared with
            if prepared[1] in own and prepared[2] in functions(texts, path):
                holding.add(prepared[1])
        for stored in _STORED.finditer(text):  # a list holds what is stored in it
            if not (functions(texts, path).keys() | holding).isdisjoint(NAMES.findall(stored[1] or stored[4])):
                holding.add(stored[2] or stored[3])
        return holding

    return texts.once(("holders", path), read)


def getters(texts: Texts, path: str) -> set[str]:
    """The functions of a file that return the address of a function of it, or of a variable that may hold one."""

    def read() -> set[str]:
        text, values = texts.get(path) or "", functions(texts, path).keys() | holders(texts, path)
        found, latest = set[str](), set(values)
        while latest:
            # by its name, by a part of it, or what another such function returns
            latest = {
                name
                for name, (begin, end) in functions(texts, path).items()
                if name not in found
                for returned in _RETURNED.finditer(text, begin, end)
                if not values.isdisjoint((*ALONE.findall(INNER_CALL.sub(" ", returned[1])), *_PART.findall(returned[1])))
                or not found.isdisjoint(_CALLED.findall(returned[1]))
            }
            found |= latest
        return found

    return texts.once(("getters", path), read)


def address_in(texts: Texts, path: str, value: str) -> str:
    """The variable or function of a file by which a value has the address of a function without naming it: a member or an element of the
    variable, the address of a part of one that may hold such an address, or what a getter returns. Empty where it has none.
    """
    plain, variables = INNER_CALL.sub(" ", value), holders(texts, path)
    named = [match[1] for match in MEMBER.finditer(plain) if match[1] in variables and match[2] in pointing_members(texts, path)]
    named += [name for name in _ELEMENT.findall(plain) if name in passed_by_value(texts, path)]
    named += [name for name in _PART.findall(plain) if name in variables]
    named += [name for name in _CALLED.findall(value) if name in getters(texts, path)]
    return named[0] if named else ""


def _with_braces(texts: Texts, path: str) -> set[str]:
    """The variables of a file with an initialiser in braces."""
    text = texts.get(path) or ""
    return {variable.name for variable in texts.variables(path) if "{" in text[variable.offset : variable.span[1]]}


def passed_by_value(texts: Texts, path: str) -> set[str]:
    """Of the variables of a file, those whose value may be the address of a function, or holds one: no structure, unless it names one."""

    return texts.once(("passed by value", path), lambda: callbacks(texts, path) | holders(texts, path) - _with_braces(texts, path))


def pointing_members(texts: Texts, path: str) -> set[str]:
    """The members of structures to which a file assigns a function of it."""

    def read() -> set[str]:
        own = functions(texts, path).keys()
        return {member for member, function in _MEMBER_SET.findall(texts.get(path) or "") if function in own}

    return texts.once(("pointing members", path), read)


def shared_functions(texts: Texts, path: str) -> set[str]:
    """The functions of a file that other files can name."""

    def read() -> set[str]:
        own = functions(texts, path)
        return {definition.name for definition in texts.scan(path) if definition.name in own and not texts.is_static(path, definition)}

    return texts.once(("shared functions", path), read)


def declares(text: str, head: int, end: int, name: str) -> bool:
    """Whether a function declares a variable or a parameter of this name. `head` is where its head begins."""
    form = (
        rf"\b(?!(?:else|do|return|case|goto)\b)[A-Za-z_]\w*(?:\s+|\s*\*[\s*]*){name}\s*[=;,)\[]"
        rf"|,\s*\**\s*{name}\s*(?:\[[^\]]*\]\s*)?[=;]|_HEAD\w*\(\s*{name}\b"
    )
    return re.search(form, text[head:end]) is not None


def calls_by_pointer(text: str, head: int, begin: int, end: int) -> bool:
    """Whether a function calls a member, an element, a parameter or a variable of its own. `head` is where its head begins."""
    if _BY_POINTER.search(text, begin, end):
        return True
    local = {name for pair in _LOCAL.findall(text, head, end) for name in pair} - {"return", "else", "do", "goto", "case", ""}
    return not local.isdisjoint(_CALLED.findall(text, begin, end))


def is_of_own(texts: Texts, path: str, arguments: str) -> bool:
    """Whether the first argument of a call is the address of a variable of the file, or of a part of one."""
    first = _OWN_FIRST.match(arguments)
    return first is not None and first[1] in own_variables(texts, path)


def is_own_store(texts: Texts, members: Sequence[str], name: str, arguments: str, body: tuple[int, int]) -> bool:
    """Whether the list, array or tree that something is stored in is one of the object: what its core walks may be called back.

    `name` is the function that stores, called in the first of `members`, in the function between the offsets of `body`.
    """
    form = r"[^();]*,\s*&\s*(\w+)\s*\)" if "list" in name else r"\s*&\s*(\w+)\s*,"
    store = re.match(form, arguments) if not name.startswith(("mem", "of_", "dev_")) else None
    if store is None or declares(texts.get(members[0]) or "", *body, store[1]):
        return False
    return any(store[1] in own_variables(texts, member) for member in members)
