"""Created files: the files that an initcall creates on every machine, whatever devices that has. User space opens them.

The statements of an initcall are followed in order. A call is certain as long as no statement before it can leave the function, except for
lack of memory or because a name is taken. An `if` that leaves for any other reason, a label or a preprocessor conditional ends the search.
(That an initcall creates the device of its own driver proves little: most such probes look for hardware first.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.c.brackets import closing
from hook.evidence.reach.devices import initcalls
from hook.evidence.reach.devices.probes.statements import HEAD, statement_end
from hook.kernel.held_addresses import defined
from hook.kernel.texts import Texts

_MOST_FUNCTIONS = 40  # of the object that are followed
_MOST_STATEMENTS = 200  # of a function
_CALL = lazy_re.compile(r"(?<![\w.>\"])([A-Za-z_]\w*)\s*\(")
_BRANCH = lazy_re.compile(r"(?m)^[ \t]*#[ \t]*(?:if|else|elif)")
_LEAVES = lazy_re.compile(r"\b(?:return|goto)\b")
_GIVEN = lazy_re.compile(r"([A-Za-z_][\w>.\[\]-]*)\s*=\s*(?:\([^()]*\)\s*)?([A-Za-z_]\w*)\s*\(")
_TESTED = lazy_re.compile(
    r"(?:(?:un)?likely\s*\()?\s*(?:!\s*|IS_ERR(?:_OR_NULL)?\s*\(\s*)?([A-Za-z_][\w>.\[\]-]*)\s*\)*\s*(?:(?:<|!=)\s*0|==\s*NULL)?\s*\)*\s*\Z"
)
_AT_ONCE = lazy_re.compile(
    r"\s*(?:\(\s*[\w>.-]+\s*=\s*)?!?\s*([A-Za-z_]\w*)\s*\(.*\)\s*(?:\)\s*)?(?:(?:<|!=)\s*0|==\s*NULL)?\s*\Z", re.DOTALL
)
# functions that fail for lack of memory or because a name is taken, not for lack of a device
_FAILS_FOR_MEMORY = lazy_re.compile(
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
    """A call that an initcall is certain to make."""

    name: str
    path: str
    offset: int
    arguments: str


def steps(texts: Texts, members: Sequence[str]) -> list[Step]:
    """The calls that the initcalls of an object are certain to make."""
    certain: list[Step] = []
    for path, function in initcalls.initial(texts, members):
        of_one: list[Step] = []
        # an initcall that may fail later would undo what it has registered
        if _followed(texts, function, (path, *members), of_one, {}):
            certain += of_one
    return certain


def files(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps that create a file, or a netlink family, for user space."""
    return (step for step in steps if _FILE.fullmatch(step.name))


def _followed(texts: Texts, function: str, members: Sequence[str], steps: list[Step], certain: dict[str, bool]) -> bool:
    """Adds the certain calls of a function. Gives whether it is certain to reach its end, or fails for lack of memory alone."""
    if function not in certain:
        certain[function] = False  # while it is read: a recursion is not certain
        place = defined(texts, function, members)
        certain[function] = place is not None and len(certain) <= _MOST_FUNCTIONS and _steps(texts, place, members, steps, certain)
    return certain[function]


def _steps(texts: Texts, place: tuple[str, int, int], members: Sequence[str], steps: list[Step], certain: dict[str, bool]) -> bool:
    path, begin, end = place
    text = (texts.get(path) or "")[:end]
    branch = _BRANCH.search(text, begin)
    stop = branch.start() if branch else end - 1
    assigned: dict[str, bool] = {}  # variable -> whether its last value can only be an error for lack of memory
    at = begin + 1
    for _ in range(_MOST_STATEMENTS):
        head = HEAD.match(text, at)
        word = head[1] if head else ""
        if at >= stop or not text[at:stop].strip():
            return branch is None
        if head and (head[2] or head[3]):
            return bool(head[2])  # labels begin the error paths
        after = statement_end(text, at, word, stop)
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
        for_memory = {}
        for call in _CALL.finditer(sure):
            name = call[1]
            if name in ("if", "return", "sizeof"):
                continue
            fails_for_memory = bool(_FAILS_FOR_MEMORY.fullmatch(name))
            if defined(texts, name, members) is not None:
                fails_for_memory = _followed(texts, name, members, steps, certain)
            else:
                inner = closing(text, at + call.end() - 1)
                steps.append(Step(name, path, at + call.start(), text[at + call.end() : inner] if inner > 0 else ""))
            for_memory[name] = fails_for_memory
        for assignment in _GIVEN.finditer(sure):
            assigned[assignment[1]] = for_memory.get(assignment[2], False)
        if word == "return":
            value = statement.strip()[len("return") : -1].strip()
            return value in ("", "0") or _only_for_memory(value, assigned, for_memory)
        may_leave = word in ("if", "for", "while", "switch", "do") and _LEAVES.search(statement[len(sure) :])
        if may_leave and (word != "if" or not _only_for_memory(condition, assigned, for_memory)):
            return False
        at = after
    return False


def _only_for_memory(condition: str, assigned: dict[str, bool], for_memory: dict[str, bool]) -> bool:
    """Whether a condition holds only where memory was short or a name was taken."""
    called = _AT_ONCE.match(condition)
    if called and called[1] not in ("IS_ERR", "IS_ERR_OR_NULL", "likely", "unlikely"):
        return for_memory.get(called[1], False)
    tested = _TESTED.match(condition.strip())
    return tested is not None and assigned.get(tested[1], False)
