"""Logged lines: functions that only log a line number that is passed to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.c import blanking
from hook.c.definitions import Definition, DefinitionKind, scan
from hook.c.tokens import line_numbers, macro_uses
from hook.evidence.functional.logs import logging_calls
from hook.kernel import own_headers
from hook.source.grep import holding
from hook.source.tree import Source

_WARNING = lazy_re.compile(rb"(?:VM_)?(?:WARN|BUG)(?:_ON)?(?:_ONCE)?\Z|panic\Z|__(?:might_sleep|might_fault|will_schedule)\Z")
_WORD = lazy_re.compile(rb"[A-Za-z_]\w*")
_DEEPEST = 3  # macros that use each other
_MOST_FUNCTIONS = 5  # that pass a line number to each other
_MOST_FILES = 6  # that define one of them
_MOST_USERS = 300  # files with a macro that uses the line
_COMMON_GLOBS = ("include/*.h", "arch/*/include/*.h")
_COMMON = lazy_re.compile(r"(?:include|arch/[^/]+/include)/.*\.h\Z")
# of Linux 6.12
_MESSAGES_ALONE = lazy_re.compile(
    r"include/acpi/ac(?:output|types)\.h|include/asm-generic/bug\.h|include/crypto/algapi\.h|include/drm/drm_exec\.h"
    r"|include/kunit/(?:assert|test|test-bug)\.h|include/media/v4l2-(?:ctrls|subdev)\.h|include/net/xdp\.h|include/rdma/uverbs_named_ioctl\.h"
    r"|include/linux/(?:btf_ids|ceph/ceph_debug|codetag|compiler(?:_types)?|dynamic_debug|elfnote|init|jbd2|kernel|maple_tree|pci|printk"
    r"|qed/qed_if|rcupdate|regmap|rtnetlink|sched|stringify)\.h|arch/[^/]+/include/asm/(?:.*/)?[\w-]*(?:bug|pgtable|kup|pic32|pm-trace)[\w-]*\.h"
)
# what these headers define with __LINE__ (Linux 6.1 to 7.3)
_MESSAGE_MACROS = frozenset(
    b"ACPI_DEBUG_PARAMETERS ACPI_MEM_PARAMETERS AE_INFO ASSERT_RTNL ASSERT_RTNL_NET BUG BUG_ENTRY CODE_TAG_INIT DECLARE_PCI_FIXUP_SECTION"
    b" DEFINE_DYNAMIC_DEBUG_METADATA_CLS DP_ERR DP_INFO DP_NOTICE DP_VERBOSE ELFNOTE KUNIT_CURRENT_LOC MAS_BUG_ON MAS_WARN_ON MAS_WR_BUG_ON"
    b" MAS_WR_WARN_ON MT_BUG_ON MT_WARN_ON RCU_LOCKDEP_WARN TRACE_RESUME UNWINDER_BUG UVERBS_OBJECT_METHODS WARN_ENTRY XDP_WARN _BUG_FLAGS"
    b" _KUNIT_SAVE_LOC __BUG_ASM __BUG_ENTRY __BUG_FLAGS __EMIT_BUG __ID __UNIQUE_ID __WARN_FLAGS __WARN_bug_entry __WARN_printf"
    b" __branch_check__ __initcall_id __printk_index_emit __regmap_lockdep_wrapper __trace_if_value cant_migrate cant_sleep cond_resched"
    b" cond_resched_lock cond_resched_rwlock_read cond_resched_rwlock_write dout doutc drm_exec_until_all_locked jbd2_debug"
    b" kunit_fail_current_test might_fault might_sleep p4d_ERROR pgd_ERROR pic32_syskey_unlock pmd_ERROR pte_ERROR pud_ERROR"
    b" v4l2_ctrl_handler_init v4l2_subdev_call_state_try v4l2_subdev_init_finalize FILE_LINE".split()
)
_DEFINE = lazy_re.compile(rb"[ \t]*#[ \t]*define[ \t]+(\w+)")
_FILE_LINE = lazy_re.compile(rb'\b__FILE__\s*":"\s*__stringify\s*\(\s*__LINE__\s*\)')
_CODE = (".c", ".h", ".S", ".rs", ".rst", ".txt")  # no makefile
_REST = b"__VA_ARGS__"
_PASTED_REST = lazy_re.compile(rb"##[ \t]*__VA_ARGS__\b")
_LIST = lazy_re.compile(rb"\bva_list\s+(\w+)\s*;")
_FORMAT = lazy_re.compile(rb"\bstruct\s+va_format\s+(\w+)\s*;")
_BEHIND = 1000  # added to the number of an argument: that one or any behind it
OnlyLogs = Callable[[bytes, int], bool]  # of a name that is called, and the number of the argument


class _Body(msgspec.Struct, frozen=True):
    """A macro or function. Of the parameters `...` has an empty name; there are none where it is an object."""

    parameters: tuple[bytes, ...] | None
    text: bytes
    is_function: bool


def loggers(source: Source, own: frozenset[bytes], given: frozenset[bytes], depth: int = 0) -> OnlyLogs:
    """Whether what is called only logs what it is given: a logger of the kernel that `own`, the names of a file, are without, or a function
    whose every definition in the tree does nothing with that parameter but to hand it on to such a one.

    A name that a makefile has `given` may mean anything.
    """

    def only_logs(name: bytes, argument: int) -> bool:
        if name in given:
            return False
        if name not in own and (logging_calls.logger(name) is not None or _WARNING.match(name) is not None):
            return True
        return depth < _MOST_FUNCTIONS and _hands_on(source, name, argument, depth + 1)

    return only_logs


def of_common_headers(source: Source) -> frozenset[bytes] | None:
    """The macros of common headers that may use the line of where they are used; None if that is not known.

    Left out are those of some headers in which it is a message, or a part of a name, and the text that names a place: FILE_LINE of
    linux/stringify.h, as kernels without that macro spell it in fortify-string.h.
    """
    names: frozenset[bytes] = frozenset()
    words = [line_numbers.LINE.decode()]
    source.read_blobs.update((folder, source.oid(folder)) for folder in ("arch", "include"))
    for depth in range(_DEEPEST):
        holders = [holding(source, word, among=_COMMON_GLOBS) for word in words]
        common = {path for paths in holders for path in paths or () if _COMMON.match(path)}
        known = set(filter(_MESSAGES_ALONE.fullmatch, common))
        headers = sorted(common - known)
        blobs = source.files([*headers, *sorted(known) * (depth == 0)])
        if None in holders or any(blob is None or blob.data is None for blob in blobs):
            return None
        data = [blob.data or b"" for blob in blobs if blob is not None]
        texts = [_FILE_LINE.sub(b"", blanking.plain(text)) for text in data[: len(headers)]]
        more = line_numbers.macros_with({*names, line_numbers.LINE}, texts) - names
        more |= {name for text in data[len(headers) :] for name in _with_lines(text)} - _MESSAGE_MACROS - names
        if not more:
            return names
        names |= more
        words = sorted(name.decode("ascii") for name in more)
    return None


def _with_lines(text: bytes) -> Iterator[bytes]:
    """The macros of a header that have __LINE__ in them, as it stands: in comments, too."""
    at = text.find(line_numbers.LINE)
    while at >= 0:
        begin = text.rfind(b"\n", 0, at) + 1
        while begin and text[begin - 2 : begin - 1] == b"\\":
            begin = text.rfind(b"\n", 0, begin - 1) + 1
        if macro := _DEFINE.match(text, begin):
            yield macro[1]
        at = text.find(line_numbers.LINE, at + 1)


def used_in(source: Source, names: frozenset[bytes], *texts: bytes) -> frozenset[bytes] | None:
    """The `names` of common headers if texts may use one of them, itself or through macros of any file; none if they do not.

    None where a file that is no code has one of them: a makefile may give a macro with it.
    """
    reached, more = names, names
    read: dict[str, bytes] = {}
    while more:
        if any(name in text for name in more for text in texts):
            return names
        source.rests_on_all = True
        holders = [holding(source, name.decode("ascii")) for name in sorted(more)]
        paths = sorted({path for found in holders for path in found or () if not _COMMON.match(path)} - read.keys())
        if None in holders or len(read) + len(paths) > _MOST_USERS:
            return names
        for path, blob in zip(paths, source.files(paths), strict=True):
            if blob is None or blob.data is None:
                return names
            if not path.endswith(_CODE) and any(name in blob.data for name in more):
                return None
            read[path] = blanking.plain(blob.data)
        more = line_numbers.macros_with(reached, read.values()) - reached
        reached |= more
    return frozenset()


def _hands_on(source: Source, name: bytes, argument: int, depth: int) -> bool:
    source.rests_on_all = True
    paths = holding(source, f":{name.decode('ascii')}")
    found = False
    for path in paths if paths is not None and len(paths) <= _MOST_FILES else ():
        blob = source.file(path)
        if blob is None or blob.data is None:
            return False
        text = blanking.plain(blob.data)
        definitions = [definition for definition in scan(text).definitions if definition.name.encode("ascii") == name]
        functions = [one for one in definitions if one.kind is not DefinitionKind.MACRO]
        if not definitions and path.endswith((".c", ".h")):
            continue  # of another file with the word
        bodies = [_Body(*macro, is_function=False) for macro in macro_uses.definitions(text, name)]
        bodies += [_Body(*_function(text, function), is_function=True) for function in functions]
        if not bodies:
            return False  # of assembly, or of a form that is not understood
        own = own_headers.read(source, path, (blob.data,))
        home = own_headers.HOMES.fullmatch(path) is not None
        # what is called by the name of a parameter may be any function, too
        heads = {word for function in functions for word in _WORD.findall(text, function.span[0], function.body[0])}
        heads.update(word for body in bodies for word in body.parameters or ())
        asks = loggers(source, own.names if home else own.names.union(own_headers.defined(text)), own.by_makefiles | heads, depth)
        if not own.complete or any(_uses(body, argument, asks, (text, *own.texts.values())) for body in bodies):
            return False
        found = True
    return found


def _uses(body: _Body, argument: int, only_logs: OnlyLogs, texts: Sequence[bytes]) -> bool:
    """Whether a body may do more with an argument than log it; with _BEHIND + N, with the Nth or any behind it."""
    if body.parameters is None:
        return True
    named = [name for name in body.parameters if name]
    if argument >= _BEHIND:
        several = range(argument - _BEHIND, max(len(named), argument - _BEHIND) + 1)
        return any(_uses(body, one, only_logs, texts) for one in several)
    is_variadic = len(named) < len(body.parameters)

    def logs_all(name: bytes, first: int) -> bool:
        return only_logs(name, _BEHIND + first)

    if argument < len(named):  # what is behind __VA_ARGS__ may be any argument
        is_moved = is_variadic and _REST in body.text
        return bool(line_numbers.uses(body.text, {named[argument]}, (lambda name, _: logs_all(name, 0)) if is_moved else only_logs))
    if not is_variadic:
        return True
    if body.is_function:
        return not _is_formatted(body.text, only_logs, texts)
    return bool(line_numbers.uses(_PASTED_REST.sub(_REST, body.text), {_REST}, logs_all))


def _is_formatted(body: bytes, only_logs: OnlyLogs, texts: Sequence[bytes]) -> bool:
    """Whether a function does nothing with its variable arguments but to log them by a va_format, as %pV.

    No macro of the file or its headers may have one of the variables in its body, or be one of those of stdarg.h.
    """
    listed = _LIST.search(body)
    if listed is None:
        return False
    formats = {found[1] for found in _FORMAT.finditer(body)}
    variables = rb"\b(?:" + b"|".join(sorted({listed[1], *formats, b"va_start", b"va_end"})) + rb")\b"
    if not formats or any(re.search(rb"(?m)^[ \t]*#[ \t]*define\b[^\n]*" + variables, text) for text in texts):
        return False
    any_format = rb"\b(?:" + b"|".join(sorted(formats)) + rb")\b"
    rest = _FORMAT.sub(b"", _LIST.sub(b"", body, count=1))
    rest = re.sub(rb"\bva_(?:start|end)\s*\(\s*" + listed[1] + rb"\b[^()]*\)", b"", rest)
    rest = re.sub(any_format + rb"\s*\.\s*(?:fmt\s*=|va\s*=\s*&\s*" + listed[1] + rb"\s*;)", b"", rest)
    if re.search(rb"\b" + listed[1] + rb"\b|\bva_\w+\s*\(", rest):
        return False
    return not line_numbers.uses(re.sub(rb"&\s*(" + any_format + rb")", rb"\1", rest), formats, only_logs)


def _function(text: bytes, definition: Definition) -> tuple[tuple[bytes, ...] | None, bytes]:
    """The parameters, of which `...` has an empty name, and the body of what is defined; no parameters where it is no function."""
    begin, end = definition.body
    if definition.kind is not DefinitionKind.FUNCTION or not end:
        return None, b""
    head = text[definition.offset : begin].rstrip()
    rest = (b"",) if re.search(rb",\s*\.\.\.\s*\)\Z", head) else ()
    return (*re.findall(rb"(\w+)\s*(?:,|\)\s*\Z)", head), *rest), text[begin:end]
