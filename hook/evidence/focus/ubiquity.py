"""Ubiquity: the functions that nearly every program runs, so that a fuzzer which is aimed at one of them is aimed at nothing.

They are what the system calls of a program's start, work and end, and the operations of the files that all programs open, come to under few
conditions, call by call in the scope of C. The command `index` finds them, and their names are kept beside the word index.
bench/ubiquity.py holds them against what a traced kernel ran.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import re
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c import body, translation_unit
from hook.c.definitions import DefinitionKind
from hook.c.legible import is_legible
from hook.evidence.focus import call_conditions
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, OtherCode, in_kernel, left_out
from hook.source.tree import Source

# what a program does that does nothing else: it starts, gets memory, reads its libraries, has a child, writes a line, ends
_CALLS = """
access arch_prctl brk chdir clone close connect dup2 execve exit exit_group fcntl fstat futex getdents64 getrandom ioctl kill lseek mkdir
mmap mprotect munmap nanosleep newfstatat openat pipe2 poll pread64 prlimit64 read readlink rmdir rt_sigaction rt_sigprocmask rt_sigreturn
rt_sigsuspend sendto set_robust_list set_tid_address setpgid socket statfs sysinfo unlink wait4 write
"""
# what is run for every program where no call leads: page faults, signals, the start of a program and of a child, the end of a file;
# then what only pointers and slow paths lead to: reading, writing and making files, pipes, the start and end of a socket, mapped memory
_BESIDE = (
    "do_user_addr_fault", "handle_mm_fault", "arch_do_signal_or_restart", "get_signal", "load_elf_binary", "ret_from_fork", "schedule_tail",
    "__fput",
    "lookup_slow", "may_o_create", "generic_file_read_iter", "generic_file_write_iter", "pipe_read", "pipe_write", "sk_alloc",
    "sk_destruct", "do_fault", "vvar_fault", "copy_page_range", "arch_get_unmapped_area_topdown", "unmap_single_vma",
)  # fmt: skip
# what every program opens, by the files that define its operations: files of proc and sysfs, character devices; and which of them run
_OPENED = (
    "fs/char_dev.c", "fs/kernfs/dir.c", "fs/kernfs/file.c", "fs/proc/generic.c", "fs/proc/inode.c", "fs/sysfs/file.c",
)  # fmt: skip
_OPERATIONS = frozenset(
    b"open read read_iter release llseek getattr permission d_delete d_revalidate start next show stop drop_inode seq_show "
    b"proc_open proc_read proc_read_iter proc_release proc_lseek".split()
)
_MOST_CONDITIONS = 2 * call_conditions.IF  # on the way to a function, in all
_MOST_FILES = 6000  # that are read
_MOST_DEFINING = 4  # files that define one name
_LEFT_OUT = NO_KERNEL_CODE + left_out(OtherCode.RUST, OtherCode.TEST)
_FAR = ("drivers/", "sound/")  # a name that is also defined elsewhere is not meant to be the one there
# what is called for each security module, or each controller of control groups, and where they say by which function
_HOOK_CALLS = lazy_re.compile(rb"\bcall_(?:int|void)_hook\(\s*(\w+)|\bss->(\w+)\(")
_HOOKS = lazy_re.compile(rb"\bLSM_HOOK_INIT\(\s*(\w+)\s*,\s*(\w+)")
_TABLE = lazy_re.compile(rb"^(?:static )?(?:const )?struct (\w+) \w+ = \{(.*?)^\};", re.MULTILINE | re.DOTALL)
_OPERATION = lazy_re.compile(rb"\.(\w+)\s*=\s*(\w+)")


class _Callable(msgspec.Struct, frozen=True):
    """What a file defines under one name: functions and macros, in all branches of its conditionals."""

    is_function: bool
    is_local: bool  # a static function, or a macro, of a .c file
    bodies: tuple[bytes, ...]


def find(source: Source, srcarch: str) -> Iterator[tuple[str, str]]:
    """The functions of .c files that nearly every program runs, by their file and name, those under the fewest conditions first.

    The tree has its word index. Raises NoIndex, GitError.
    """
    tree = _Tree(source, srcarch)
    calls = (f"sys_{name}" for name in _CALLS.split())
    waiting = [(0, path, name) for name in (*calls, *_BESIDE) for path in tree.holding(name)]
    waiting += [(0, path, name) for opened in _OPENED for path, name in tree.operations(opened)]
    heapq.heapify(waiting)
    visited: set[tuple[str, str]] = set()
    while waiting:
        conditions, path, name = heapq.heappop(waiting)
        if (path, name) in visited:
            continue
        visited.add((path, name))
        if path.endswith(".c") and tree.is_function(path, name):
            yield path, name
        for more, called_path, called in tree.called(path, name, _MOST_CONDITIONS - conditions):
            if (called_path, called) not in visited:
                heapq.heappush(waiting, (conditions + more, called_path, called))


class _Tree:
    """The definitions of one tree, each file read when a call leads there."""

    def __init__(self, source: Source, srcarch: str) -> None:
        self._source, self._srcarch = source, srcarch
        self._files: dict[str, dict[str, _Callable]] = {}
        self._defining: dict[str, list[str]] = {}
        self._hooks: dict[str, list[tuple[str, str]]] = collections.defaultdict(list)
        for path in source.holding([["lsm_hook_init", "cgroup_subsys"]]):
            file = source.file(path) if path.endswith(".c") else None
            text = file.data or b"" if file else b""
            operations = (_OPERATION.findall(table) for struct, table in _TABLE.findall(text) if struct == b"cgroup_subsys")
            for hook, function in itertools.chain(_HOOKS.findall(text), *operations):
                self._hooks[hook.decode("ascii")].append((path, function.decode("ascii")))

    def operations(self, path: str) -> Iterator[tuple[str, str]]:
        """The operations of the tables of a file that run for everything that is opened, each with the file that defines it."""
        file = self._source.file(path)
        for _, table in _TABLE.findall(file.data or b"") if file else ():
            names = (function.decode("ascii") for member, function in _OPERATION.findall(table) if member in _OPERATIONS)
            yield from ((place, name) for name in names for place in self._meant(path, name))

    def is_function(self, path: str, name: str) -> bool:
        known = self._file(path).get(name)
        return known is not None and known.is_function

    def called(self, path: str, name: str, most: int) -> Iterator[tuple[int, str, str]]:
        """The functions that a function calls under few conditions, each with the weight of these, its file and its name."""
        known = self._file(path).get(name)
        for code in known.bodies if known else ():
            for word, conditions in call_conditions.of_body(body.read(code, 0, len(code))).items():
                called = word.decode("ascii")
                if conditions <= most:
                    yield from ((conditions, place, called) for place in self._meant(path, called))
            for match in _HOOK_CALLS.finditer(code):
                for registering, function in self._hooks.get((match[1] or match[2]).decode("ascii"), ()):
                    yield from ((0, place, function) for place in self._meant(registering, function))

    def _meant(self, path: str, name: str) -> list[str]:
        """The files that define what a file calls by a name. Where a header defines it, that may be the stub of a kernel without it."""
        own = [path] if name in self._file(path) else []
        if own and path.endswith(".c"):
            return own
        if name not in self._defining:
            self._defining[name] = self._look_up(name)
        return [*own, *(place for place in self._defining[name] if place != path)]

    def holding(self, name: str) -> list[str]:
        """The files that define a name, for themselves or for others; none where they are many."""
        held = self._source.holding([[f":{name.lower()}"]])
        paths = [path for path in held if path.endswith((".c", ".h")) and in_kernel(path, self._srcarch, _LEFT_OUT)]
        if any(path.endswith(".c") and not path.startswith(_FAR) for path in paths):
            paths = [path for path in paths if not path.startswith(_FAR)]
        return [path for path in paths if name in self._file(path)] if len(paths) <= _MOST_DEFINING else []

    def _look_up(self, name: str) -> list[str]:
        answer = [path for path in self.holding(name) if not self._file(path)[name].is_local]
        return [path for path in answer if path.endswith(".c")] or answer

    def _file(self, path: str) -> dict[str, _Callable]:
        if path not in self._files:
            file = self._source.file(path) if len(self._files) < _MOST_FILES else None
            text = file.data if file and file.data and is_legible(file.data) else b""
            self._files[path] = _callables(text, path.endswith(".h"))
        return self._files[path]


def _callables(text: bytes, is_header: bool) -> dict[str, _Callable]:
    unit = translation_unit.of_text(text)
    callables: dict[str, _Callable] = {}
    for definition in unit.scan.definitions:
        if definition.kind is DefinitionKind.FUNCTION:
            code = unit.scan.code[definition.body[0] + 1 : definition.body[1]]
            is_local = not is_header and b"static" in text[definition.span[0] : definition.body[0]]
        elif definition.kind is DefinitionKind.MACRO:
            code, is_local = text[definition.offset + len(definition.name) : definition.span[1]], not is_header
        else:
            continue
        known = callables.get(definition.name)
        is_function = definition.kind is DefinitionKind.FUNCTION or (known is not None and known.is_function)
        callables[definition.name] = _Callable(is_function, is_local, (*known.bodies, code) if known else (code,))
    return callables
