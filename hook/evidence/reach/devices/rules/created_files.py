"""Course: what the start of an object does on every machine, whatever devices that has.

The statements of an initcall are followed one after the other. A call is certain as long as nothing before it may leave the function but
for want of memory or because a name is taken; an `if` that leaves for any other reason, a label or a branch of the preprocessor ends it.
What is certain to register a file of its own runs where user space opens that. (That a start makes the device of its own driver says
little: the probe of most of them looks for hardware first.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.c.brackets import closing
from hook.evidence.reach.devices import initcalls
from hook.kernel.texts import Texts

_MOST_FUNCTIONS = 40  # of its own that a start is followed through
_MOST_STATEMENTS = 200  # of a function
_CALL = lazy_re.compile(r"(?<![\w.>\"])([A-Za-z_]\w*)\s*\(")
_BRANCH = lazy_re.compile(r"(?m)^[ \t]*#[ \t]*(?:if|else|elif)")
_LEAVES = lazy_re.compile(r"\b(?:return|goto)\b")
_HEAD = lazy_re.compile(r"\s*(if|for|while|switch|do|return|else)\b|\s*(\w+)\s*:(?!:)|\s*(\{)")
_GIVEN = lazy_re.compile(r"([A-Za-z_][\w>.\[\]-]*)\s*=\s*(?:\([^()]*\)\s*)?([A-Za-z_]\w*)\s*\(")
_TESTED = lazy_re.compile(
    r"(?:(?:un)?likely\s*\()?\s*(?:!\s*|IS_ERR(?:_OR_NULL)?\s*\(\s*)?([A-Za-z_][\w>.\[\]-]*)\s*\)*\s*(?:(?:<|!=)\s*0|==\s*NULL)?\s*\)*\s*\Z"
)
_AT_ONCE = lazy_re.compile(
    r"\s*(?:\(\s*[\w>.-]+\s*=\s*)?!?\s*([A-Za-z_]\w*)\s*\(.*\)\s*(?:\)\s*)?(?:(?:<|!=)\s*0|==\s*NULL)?\s*\Z", re.DOTALL
)
# what fails for want of memory, or where a name is taken, and not for want of a device
_WANTING = lazy_re.compile(
    r"k\w*alloc\w*|kstrdup\w*|v[mz]alloc\w*|alloc_\w+|class_(?:create|register)\w*|misc_register|(?:__)?register_chrdev\w*|cdev_add"
    r"|device_create\w*|proc_(?:create|mkdir)\w*|register_sysctl\w*|debugfs_create_\w+|\w+_(?:register_driver|driver_register)|platform_device_\w+"
    r"|platform_driver_register|root_device_register|sysfs_create_\w+|bus_register|genl_register_family|register_\w*notifier"
    r"|(?:ib_register|register_net|scsi_register|input_register|class_interface_register|register_pernet|device_create|driver_create|netlink_)\w*"
    r"|kobject_create\w*|kmem_cache_create\w*|mempool_create\w*|register_filesystem|request_module|PTR_ERR|PTR_ERR_OR_ZERO|IS_ERR"
)
_FILE = lazy_re.compile(
    r"misc_register|(?:__)?register_chrdev|proc_create\w*|register_sysctl\w*|debugfs_create_file\w*|genl_register_family|register_filesystem"
)


class Step(msgspec.Struct, frozen=True):
    """A call that is certain to be made."""

    name: str
    path: str
    offset: int
    arguments: str


def steps(texts: Texts, members: Sequence[str]) -> list[Step]:
    """What the initcalls of an object are certain to call."""
    found: list[Step] = []
    for path, function in initcalls.initial(texts, members):
        of_one: list[Step] = []
        # what fails later takes back what it has registered
        if _followed(texts, function, (path, *members), of_one, {}):
            found += of_one
    return found


def files(found: Sequence[Step]) -> Iterator[Step]:
    """The steps that hand a file, or messages, to user space."""
    return (one for one in found if _FILE.fullmatch(one.name))


def _followed(texts: Texts, function: str, members: Sequence[str], found: list[Step], known: dict[str, bool]) -> bool:
    """Adds what a function is certain to call; whether it is certain to come to its end, and to fail for want of memory alone."""
    if function not in known:
        known[function] = False  # of one that leads to itself
        where = initcalls.defined(texts, function, members)
        known[function] = where is not None and len(known) <= _MOST_FUNCTIONS and _steps(texts, where, members, found, known)
    return known[function]


def _steps(texts: Texts, where: tuple[str, int, int], members: Sequence[str], found: list[Step], known: dict[str, bool]) -> bool:
    path, begin, end = where
    text = (texts.get(path) or "")[:end]
    branch = _BRANCH.search(text, begin)
    stop = branch.start() if branch else end - 1
    given: dict[str, bool] = {}  # what a variable was last given, and whether that fails for want of a device
    at = begin + 1
    for _ in range(_MOST_STATEMENTS):
        head = _HEAD.match(text, at)
        word = head[1] if head else ""
        if at >= stop or not text[at:stop].strip():
            return branch is None
        if head and (head[2] or head[3]):
            return bool(head[2])  # a label is where the ways of failing begin
        after = _end(text, at, word, stop)
        if after < 0:
            return False
        statement = text[at:after]
        sure = statement
        if word == "if":
            opening = text.find("(", at)
            condition = text[opening + 1 : closing(text, opening)]
            sure = text[at : closing(text, opening) + 1]
        elif word in ("for", "while", "switch", "do"):
            sure = ""
        wanting = {}
        for call in _CALL.finditer(sure):
            name = call[1]
            if name in ("if", "return", "sizeof"):
                continue
            whole = bool(_WANTING.fullmatch(name))
            if initcalls.defined(texts, name, members) is not None:
                whole = _followed(texts, name, members, found, known)
            else:
                inner = closing(text, at + call.end() - 1)
                found.append(Step(name, path, at + call.start(), text[at + call.end() : inner] if inner > 0 else ""))
            wanting[name] = whole
        for one in _GIVEN.finditer(sure):
            given[one[1]] = wanting.get(one[2], False)
        if word == "return":
            value = statement.strip()[len("return") : -1].strip()
            return value in ("", "0") or _only_wanting(value, given, wanting)
        may_leave = word in ("if", "for", "while", "switch", "do") and _LEAVES.search(statement[len(sure) :])
        if may_leave and (word != "if" or not _only_wanting(condition, given, wanting)):
            return False
        at = after
    return False


def _only_wanting(condition: str, given: dict[str, bool], wanting: dict[str, bool]) -> bool:
    """Whether a condition holds only where memory or a name was wanting."""
    called = _AT_ONCE.match(condition)
    if called and called[1] not in ("IS_ERR", "IS_ERR_OR_NULL", "likely", "unlikely"):
        return wanting.get(called[1], False)
    tested = _TESTED.match(condition.strip())
    return tested is not None and given.get(tested[1], False)


def _end(text: str, at: int, word: str, stop: int) -> int:
    """Where a statement ends, with its `else`; -1 where that is not seen."""
    place = at
    if word in ("if", "for", "while", "switch"):
        opening = text.find("(", at)
        place = closing(text, opening) + 1
        if opening < 0 or place <= 0:
            return -1
    if word in ("if", "for", "while", "switch", "do", "else"):
        if word in ("do", "else"):
            place = text.find(word, at) + len(word)
        body = _HEAD.match(text, place)
        if body and body[3]:
            place = closing(text, text.find("{", place)) + 1
            if place <= 0:
                return -1
        else:
            place = _end(text, place, body[1] if body and body[1] else "", stop)
        more = re.compile(r"\s*else\b").match(text, place) if place > 0 else None
        if word == "if" and more:
            return _end(text, place, "else", stop)
        if word == "do" and place > 0:
            return _plain(text, place)
        return place
    return _plain(text, place)


def _plain(text: str, at: int) -> int:
    """Where a statement without a body ends."""
    while True:
        found = re.compile(r"[;({]").search(text, at)
        if found is None:
            return -1
        if found[0] == ";":
            return found.end()
        at = closing(text, found.start()) + 1
        if at <= 0:
            return -1
