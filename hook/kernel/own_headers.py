"""Own headers: what a C file includes, at any depth, beside the common headers of include/ and arch/*/include/, and what its makefiles
add to it: `-DNAME`, `-include FILE`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.c.blanking import plain
from hook.c.keywords import IN_STATEMENTS
from hook.kernel.kbuild import compiler_flags
from hook.source.tree import Source

_MOST = 200  # files
_MOST_FAR = 1000  # headers that only the include path of make leads to
_MOST_BYTES = 8 << 20
# these two in a text that begins with a line break: `re` finds them ten times as fast as with `(?m)^`
_INCLUDE = lazy_re.compile(rb'\n[ \t]*+#[ \t]*+(?:include|include_next|import)\b[ \t]*+(?:["<]([^">\n]++)[">])?')
_COMMON = lazy_re.compile(r"include/|arch/[^/]+/include/|tools/")
# where the names are defined that all of the kernel logs and annotates with; the last ones are for user space only (Linux 6.12)
HOMES = lazy_re.compile(
    r"include/linux/(?:compiler\w*|printk|dev_printk|module|moduleparam|net|netdevice|pci|hid|phy|acpi|libata|array_size|wordpart|err|types"
    r"|kernel|byteorder/generic|build_bug|bug|mmdebug|lockdep|rcupdate|stringify)\.h|include/uapi/linux/types\.h|include/net/net_debug\.h"
    r"|include/net/cfg80211\.h|include/rdma/ib_verbs\.h|include/drm/drm_print\.h|include/media/v4l2-(?:common|device)\.h"
    r"|include/net/bluetooth/bluetooth\.h|include/scsi/scsi_device\.h|include/asm-generic/bug\.h|arch/[^/]+/include/asm/bug\.h"
    r"|fs/btrfs/messages\.h|drivers/net/ethernet/mellanox/mlx5/core/mlx5_core\.h"
    r"|include/uapi/asm-generic/errno(?:-base)?\.h|include/linux/errno\.h|arch/[^/]+/include/uapi/asm/errno\.h"
    r"|include/linux/raid/pq\.h|include/acpi/platform/aclinux\.h|arch/um/include/shared/user\.h"
)
_DEFINED = lazy_re.compile(rb"\n[ \t]*+#[ \t]*+(?:define|undef)[ \t]++([A-Za-z_]\w*+)")
_MARKS = bytes.maketrans(b"{})#:=", b";;;;;;")
_CALLED = lazy_re.compile(rb"(?<!\w)([A-Za-z_]\w*+)\s*+\Z")
_LONGEST_NAME = 256  # with the blanks behind it
_LINE_OF_CODE = lazy_re.compile(rb"\n[A-Za-z_]")


class OwnHeaders(msgspec.Struct, frozen=True):
    """The headers of a file that are not common ones."""

    texts: Mapping[str, bytes]  # by path, as `plain` returns them
    included: frozenset[str]  # the base names of everything that the file and these headers include
    complete: bool  # False if there are too many to read, or if one is not known
    by_makefiles: frozenset[bytes] = frozenset()  # the names that makefiles define
    spelled: frozenset[str] = frozenset()  # what is included, as it is written
    places: tuple[str, ...] = ()  # the directories that makefiles add to the include path, by -I

    @property
    def names(self) -> frozenset[bytes]:
        """The names that these and the makefiles define or undefine, but for those of the kernel where it defines them itself."""
        return self.by_makefiles.union(*(defined(text) for path, text in self.texts.items() if not HOMES.fullmatch(path)))


class FarHeaders(msgspec.Struct, frozen=True):
    """The headers of a file that only the include path of make (-I) leads to. They include common ones, which are not among them."""

    texts: Mapping[str, bytes]  # by path, as they are
    included: frozenset[str]  # the base names of what they include


NO_FAR_HEADERS = FarHeaders({}, frozenset())


def macros(text: bytes) -> frozenset[bytes]:
    """The names that a header, as `plain` gives it, defines or undefines as a macro."""
    return frozenset(_DEFINED.findall(b"\n" + text))


def defined(text: bytes) -> frozenset[bytes]:
    """The names that a header, as `plain` returns it, defines or undefines as a macro, or defines as a function."""
    return macros(text).union(set(_functions(text)) - IN_STATEMENTS)


def _functions(text: bytes) -> Iterator[bytes]:
    """The names before a parenthesis, where a line before them begins with a word, and no other mark is between the two."""
    for before in (b"\n" + text).translate(_MARKS).split(b"(")[:-1]:
        piece = before[before.rfind(b";") + 1 :]
        if _LINE_OF_CODE.search(piece):
            name = _CALLED.search(piece, max(0, len(piece) - _LONGEST_NAME))
            if name and _LINE_OF_CODE.search(piece, 0, name.start()):
                yield name[1]


def read(source: Source, path: str, sides: Iterable[bytes], others: Sequence[str] = ()) -> OwnHeaders:
    """The own headers of the file at `path`, included by one of its versions, with the flags of its directory and of `others`.

    An included name is searched beside the file that includes it and beside the file itself. The include path of make (-I) is
    not known here: the base names in `included` show whether a header elsewhere may be meant.
    """
    directory = posixpath.dirname(path)
    texts: dict[str, bytes] = {}
    included: set[str] = set()
    spelled: set[str] = set()
    requested = {path}
    all_flags = [flags for place in (directory, *others) if (flags := compiler_flags.read(source, place)) is not None]
    if len(all_flags) < len((directory, *others)):
        return OwnHeaders(texts, frozenset(included), False)
    defines = frozenset[bytes]().union(*(flags.names for flags in all_flags))
    forced = dict.fromkeys(header for flags in all_flags for header in flags.headers)
    # a header that a makefile names is read as if each version began with it
    waiting = [(directory, plain(side)) for side in sides]
    size = 0
    for header in forced:
        if _COMMON.match(header):
            included.add(posixpath.basename(header))
            continue
        blob = source.file(header)
        if blob is None or blob.data is None:
            return OwnHeaders(texts, frozenset(included), False, defines)
        included.add(posixpath.basename(header))
        texts[header] = plain(blob.data)
        waiting.append((posixpath.dirname(header), texts[header]))
    while waiting:
        includer_directory, text = waiting.pop()
        candidates: dict[str, None] = {}
        for name in _INCLUDE.findall(b"\n" + text):
            if not name:  # a macro names the header
                return OwnHeaders(texts, frozenset(included), False, defines)
            header = name.decode("utf-8", "replace")
            spelled.add(header)
            included.add(posixpath.basename(header))
            for searched_directory in (includer_directory, directory):
                path_beside = posixpath.normpath(posixpath.join(searched_directory, header))
                if path_beside not in requested and not path_beside.startswith(("../", "/")) and not _COMMON.match(path_beside):
                    candidates[path_beside] = None
        requested.update(candidates)
        for path_beside, blob in zip(candidates, source.files(list(candidates)), strict=True):
            if blob is None:
                continue
            size += len(blob.data or b"")
            if blob.data is None or len(texts) >= _MOST or size > _MOST_BYTES:
                return OwnHeaders(texts, frozenset(included), False, defines)
            texts[path_beside] = plain(blob.data)
            waiting.append((posixpath.dirname(path_beside), texts[path_beside]))
    places = dict.fromkeys(place for flags in all_flags for place in flags.places)
    return OwnHeaders(texts, frozenset(included), True, defines, frozenset(spelled), tuple(places))


def far(source: Source, own: OwnHeaders) -> FarHeaders | None:
    """The headers to which only the include path of make leads, from the file and its own headers. None where they are not known."""
    if not own.places:
        return NO_FAR_HEADERS
    places = compiler_flags.resolved(source, own.places)
    if places is None:
        return None
    listed = {place: {".", "..", *(entry.name for entry in source.names(place.removeprefix(".")) or ())} for place in places}
    texts, names = dict[str, bytes](), set[str]()
    waiting, requested = [("", name) for name in own.spelled], set(own.texts)
    while waiting:
        paths = [posixpath.join(directory, name) for directory, name in waiting if directory]
        paths += [f"{place}/{name}" for place, entries in listed.items() for _, name in waiting if name.partition("/")[0] in entries]
        paths = [path for path in dict.fromkeys(map(posixpath.normpath, paths)) if path not in requested and not _COMMON.match(path)]
        requested.update(paths)
        waiting = []
        for path, blob in zip(paths, source.files(paths), strict=True):
            if blob is None:
                continue
            if blob.data is None or len(texts) >= _MOST_FAR:
                return None
            texts[path] = blob.data
            may_include = any(mark in blob.data for mark in (b"include", b"import", b"\\"))  # a register header has none
            for included in _INCLUDE.findall(b"\n" + plain(blob.data)) if may_include else ():
                if not included:
                    return None
                waiting.append((posixpath.dirname(path), included.decode("utf-8", "replace")))
        names.update(posixpath.basename(name) for _, name in waiting)
    return FarHeaders(texts, frozenset(names))
