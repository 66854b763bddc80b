"""Surroundings: what the rest of the tree says about the names, macros and headers of a file.

Where a question cannot be answered quickly, the answer is the one that proves nothing.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from hook import lazy_re
from hook.c import blanking
from hook.c.definitions import DefinitionKind, definitions, scan
from hook.c.tokens import macro_uses
from hook.evidence.functional import common_headers
from hook.evidence.functional.file_scope import METADATA
from hook.evidence.functional.logs import logging_calls, tracepoints
from hook.kernel import own_headers
from hook.kernel.kbuild import compiler_flags, includers
from hook.kernel.no_kernel_code import NO_KERNEL_CODE
from hook.source.grep import holding, together
from hook.source.tree import Source

_MOST_HEADERS = 400  # read to see what includes bring with them
_MOST_FILES = 20  # looked into for the definition of a tracepoint
_OTHER_PATHS = lazy_re.compile(r"(?:tools|scripts|usr|samples)/|arch/[^/]+/boot/")  # of headers, than the kernel's own
_COMMON_HEADERS = lazy_re.compile(r"include/|arch/[^/]+/include/")
_MOST_DEFINING = 24  # headers that define a name
_MOST_INCLUDING = 12  # headers through which another one may be included
_ALWAYS_INCLUDED = frozenset(("compiler-version.h", "compiler_types.h", "kconfig.h"))  # by the top makefile
_MOST_MACROS = 60  # looked up for one file
_PURE = ("__pure", "pure", "__pure__", "__attribute_const__", "__const__")  # functions that a compiler may call less often
# these make strings of what they are given for messages alone
_MESSAGES = lazy_re.compile(
    rb"(?:static_assert|_Static_assert|BUILD_BUG_ON\w*|compiletime_assert|(?:VM_)?(?:WARN|BUG)(?:_ON)?(?:_ONCE)?|RCU_LOCKDEP_WARN"
    rb"|lockdep_assert\w*|might_sleep|might_fault|__builtin_(?:constant_p|choose_expr|types_compatible_p|expect|object_size|\w*_overflow))\Z"
)
# the body of a macro: a constant number without division, or a string without conversions
_NUMBER = lazy_re.compile(rb"[ \t]+(?:0[xX][0-9a-fA-F]+[uUlL]*|[0-9]+[uUlL]*|'[^'\\]'|<<|>>|[-+~|&^() \t])+\s*\Z")
_TEXT = lazy_re.compile(rb'[ \t]+(?:"(?:[^"%\\\n]|\\[nt"])*"\s*)+\Z')
# headers of all the kernel, and of what is compiled apart from it
_KERNEL_HEADERS = lazy_re.compile(r"(?:include|tools|scripts|usr|samples)/|arch/[^/]+/boot/|arch/um/include/shared/")


class Surroundings(msgspec.Struct, frozen=True, dict=True):
    """A file in the tree with the patch applied, by both its versions."""

    source: Source
    path: str
    sides: Sequence[bytes] = ()
    _spelled: dict[bytes, bool] = msgspec.field(default_factory=dict)  # by macro, what `keeps_spelling` says
    _found: dict[str, list[str] | None] = msgspec.field(default_factory=dict)  # by name, what `_files_with` says

    @functools.cached_property
    def own(self) -> own_headers.OwnHeaders:
        """With the flags of all makefiles that compile the file."""
        others = compiler_flags.elsewhere(self.source, self.path)
        self.source.rests_on_all = True
        unknown = own_headers.OwnHeaders({}, frozenset(), False)
        return unknown if others is None else own_headers.read(self.source, self.path, self.sides, others)

    @functools.cached_property
    def _texts(self) -> list[bytes]:
        """Both versions and the own headers, in plain text."""
        return [*map(blanking.plain, self.sides), *self.own.texts.values()]

    @functools.cached_property
    def own_names(self) -> frozenset[bytes]:
        """The names that own headers define or undefine, but for those that are the place to define them, and those of makefiles."""
        return self.own.names

    def is_redefined(self, names: Iterable[bytes]) -> bool:
        """Whether a name of the whole kernel may mean something else here.

        It may where the file or an own header defines or undefines it, and where another header does that is not the place to, unless
        that is a driver's which nothing here includes; and where that is not known.
        """
        if not self.own.complete:
            return True
        for name in names:
            again = re.compile(rb"(?m)^[ \t]*+#[ \t]*+(?:define|undef)[ \t]++" + re.escape(name) + rb"\b")
            if name in self.own_names or any(map(again.search, self._texts)):
                return True
            headers = self._headers_defining(name)
            if headers is None:
                return True
            others = [path for path in headers if not own_headers.HOMES.fullmatch(path)]
            for path, blob in zip(others, self.source.files(others), strict=True):
                if (blob is None or blob.data is None or again.search(blanking.plain(blob.data))) and self._is_included(path):
                    return True
        return False

    def _is_included(self, header: str) -> bool:
        """Whether this file may include a header, through common headers too: one whose name stands in it. True where that is not known."""
        waiting, seen = deque([header]), {header}
        while waiting:
            path = waiting.popleft()
            stem = path.rpartition("/")[2].removesuffix(".h")
            if self._includes_name(f"{stem}.h") or f"{stem}.h" in _ALWAYS_INCLUDED or not stem.isidentifier():
                return True
            holders = self._files_with(stem)
            if holders is None or len(seen) > _MOST_INCLUDING or not {self.path, *self.own.texts}.isdisjoint(holders):
                return True
            more = [holder for holder in holders if holder not in seen and _COMMON_HEADERS.match(holder)]
            waiting += more
            seen.update(more)
        return False

    def keeps_spelling(self, name: bytes) -> bool:
        """Whether what is called by a name cannot make a string or a name of an argument: no macro, or one that is seen not to.

        False where that is not known. In a tree without the kernel's headers a name in lower case that nothing defines is a function.
        """
        if name not in self._spelled:
            known = set(self._spelled)
            # assumed until it is known: of macros that expand to each other none makes a string, unless one of them does
            self._spelled[name] = True
            self._spelled[name] = len(self._spelled) <= _MOST_MACROS and self._keeps_spelling(name)
            if not self._spelled[name]:  # what was found since may lean on that
                for other in self._spelled.keys() - known - {name}:
                    del self._spelled[other]
        return self._spelled[name]

    def _keeps_spelling(self, name: bytes) -> bool:
        texts = [text for text in self._texts if name in text]
        near = [macro for text in texts for macro in macro_uses.definitions(text, name)]
        if name in self.own.by_makefiles:
            return False
        if near or not self.own.complete or name == macro_uses.UNKNOWN:
            return bool(near) and self.own.complete and all(self._gives_on(*macro) for macro in near)
        if _MESSAGES.match(name) or name in METADATA or logging_calls.logger(name):
            return not self.is_redefined([name])
        headers = self._headers_defining(name)
        if headers is None or len(headers) > _MOST_DEFINING:
            return False
        blobs = self.source.files(headers)
        macros = [macro for blob in blobs if blob for macro in macro_uses.definitions(blanking.plain(blob.data or b""), name)]
        if not macros and name.upper() == name:
            return False
        return all(blob is not None and blob.data is not None for blob in blobs) and all(self._gives_on(*macro) for macro in macros)

    def _gives_on(self, parameters: tuple[bytes, ...] | None, body: bytes) -> bool:
        return macro_uses.keeps_spelling(parameters, body, self.keeps_spelling)

    def is_statement(self, name: bytes) -> bool:
        """Whether a name without parentheses may be a macro of several statements, or of a part of one."""
        texts = [text for text in self._texts if name in text]
        if name.upper() == name and len(name) > 1:
            headers = self._headers_defining(name)
            blobs = self.source.files(headers) if headers is not None else [None]
            if not all(blob is not None and blob.data is not None for blob in blobs):
                return True
            texts += [blanking.plain(blob.data) for blob in blobs if blob is not None and blob.data is not None]
        bodies = [body for text in texts for _, body in macro_uses.definitions(text, name)]
        return not self.own.complete or any(re.search(rb"[;{}]|\b(?:if|else|for|while|do|switch)\b", body) for body in bodies)

    def is_macro(self, name: bytes) -> bool:
        """Whether a name may be a macro here, with parameters or without; True too where that is not known."""
        headers = self._headers_defining(name)
        if headers is None or len(headers) > _MOST_HEADERS or not self.own.complete or name in self.own.by_makefiles:
            return True
        blobs = self.source.files(headers)
        if not all(blob is not None and blob.data is not None for blob in blobs):
            return True
        texts = [*self._texts, *(blanking.plain(blob.data) for blob in blobs if blob and blob.data and name in blob.data)]
        again = re.compile(rb"#[ \t]*+define[ \t]++" + name + rb"\b")
        return any(again.search(text) for text in texts if name in text)

    def values(self, names: Iterable[bytes]) -> frozenset[bytes] | None:
        """Those of some names that a header which this file may see defines as a macro without parameters; None where that is not known."""
        defined = sorted(f":{name.decode('ascii').lower()}" for name in names)
        self.source.rests_on_all = True
        found = together(self.source, defined, defined) if defined else []
        blobs = self.source.files(list(filter(self._may_see, found or ())))
        if found is None or not self.own.complete or any(blob is None or blob.data is None for blob in blobs):
            return None
        texts = [*self._texts, *(blanking.plain(blob.data or b"") for blob in blobs if blob)]
        return macro_uses.values(texts).intersection(names)

    def is_opaque(self, name: bytes) -> bool:
        """Whether a compiler cannot see into what is called by a name: no macro, in no header, and not declared pure or const."""
        pure = together(self.source, [name.decode("ascii").lower()], list(_PURE))
        return pure is not None and not any(map(self._may_see, pure)) and self._headers_defining(name) == [] and not self.is_macro(name)

    def has_uneven_macro(self, used: frozenset[bytes]) -> bool:
        """Whether a macro of the file or of its headers, common ones left out, among some names or behind them, opens a brace that it does
        not close; True too where the headers are not known.
        """
        far = self._far.texts if self.own.complete and self._far is not None else None
        return far is None or macro_uses.is_uneven([*self._texts, *map(blanking.plain, far.values())], used)

    def is_volatile(self, name: bytes) -> bool:
        """Whether a variable or member of a name may be declared volatile here, by its type too; True where that is not known."""
        found = holding(self.source, "volatile", name.decode("ascii"))
        self.source.rests_on_all = True
        if found is None or not self.own.complete:
            return True
        declared = re.compile(rb"\bvolatile\b[^;{}()]*\b" + name + rb"\b")
        member = re.compile(declared.pattern + rb"[^;{}()]*;")  # in a header far away, no parameter
        hidden = re.compile(rb"#[ \t]*define[^\n\"]*[^_\n\"]volatile\b|\btypedef\b[^;]*\bvolatile\b")
        near = [text for text in self._texts if b"volatile" in text]
        blobs = self.source.files([path for path in found if self._may_see(path)])
        if any(blob is None or blob.data is None for blob in blobs):
            return True
        far = [blanking.plain(blob.data or b"") for blob in blobs if blob is not None]
        return any(form.search(text) for text in near for form in (declared, hidden)) or any(map(member.search, far))

    def is_one_place(self, struct: bytes, first: bytes, second: bytes) -> bool:
        """Whether two names are all that an anonymous union of a structure has, each of the same type, so that they mean one place.

        Not where the kernel has the structure twice, or has conditions in it, nor where one of the names may be a macro.
        """
        paths = self._headers_defining(struct) or []
        read = self.source.file(paths[0]) if len(paths) == 1 and _COMMON_HEADERS.match(paths[0]) else None
        again = re.compile(rb"\bstruct\s+" + struct + rb"\s*\{")
        if read is None or read.data is None or any(map(again.search, self._texts)) or any(map(self.is_macro, (struct, first, second))):
            return False
        text = blanking.plain(read.data)
        kind, name = DefinitionKind.STRUCT, struct.decode("ascii")
        structs = [text[slice(*one.span)] for one in scan(text).definitions if (one.kind, one.name) == (kind, name)]
        return len(structs) == 1 and b"#" not in structs[0] and common_headers.is_one_place(structs[0], first, second)

    def _may_see(self, path: str) -> bool:
        """Whether this file may include another one, other than as an own header."""
        if not path.endswith(".h") or path.startswith(NO_KERNEL_CODE):
            return False
        return _COMMON_HEADERS.match(path) is not None or self._includes_name(path.rpartition("/")[2])

    def _includes_name(self, base: str) -> bool:
        """Whether the file, or a header that is no common one, may include a header of this name."""
        return base in self.own.included or self._far is None or base in self._far.included

    @functools.cached_property
    def _far(self) -> own_headers.FarHeaders | None:
        return own_headers.far(self.source, self.own)

    def _headers_defining(self, name: bytes) -> list[str] | None:
        """The headers that may define a name and that this file may see; None where that is not known."""
        found = self._files_with(f":{name.decode('ascii')}")
        return None if found is None else list(filter(self._may_see, found))

    def knows(self, name: str) -> bool:
        """Whether a header, or another file of the directory, has a name; True too where that is not known."""
        found = self._files_with(name)
        directory = self.path.rpartition("/")[0]
        return found is None or any(path != self.path and (path.endswith(".h") or path.rpartition("/")[0] == directory) for path in found)

    def may_be_captured(self, name: bytes, used: frozenset[bytes]) -> bool:
        """Whether a macro among the names that a function has `used` may have `name` in its body, or put it together of pieces.

        Seen is what the headers that define one of these names do, and not what macros of further headers do for them.
        """
        cuts = [(name[:at], name[at:]) for at in range(1, len(name))]
        if macro_uses.is_joined(name, used) or not self.own.complete or not self.own.by_makefiles.isdisjoint(used):
            return True
        pieces = {name, *(piece for cut in cuts for piece in cut if len(piece) > 1)}
        defined = sorted({f":{word.decode().lower()}" for word in used if re.match(rb"[A-Za-z_]\w*\Z", word)})
        found = together(self.source, sorted({piece.decode().lower() for piece in pieces}), defined)
        self.source.rests_on_all = True
        if found is None:
            return True
        blobs = self.source.files([path for path in found if self._may_see(path)])
        if len(blobs) > _MOST_HEADERS or any(blob is None or blob.data is None for blob in blobs):
            return True
        texts = [*self._texts, *(blanking.plain(blob.data or b"") for blob in blobs if blob is not None)]
        return any(macro_uses.makes(text, name, pieces, used) for text in texts)

    def is_included(self) -> bool:
        return includers.may_be_text_of_another(self.source, self.path)

    def is_tracepoint(self, name: str) -> bool:
        """Whether `name` is a tracepoint (Documentation/trace/tracepoints.rst) that nothing in the tree puts a probe on.

        A header defines it as one that only records numbers, and none as anything else; no file registers a probe for it, nor hands its
        name on or looks it up.
        """
        found = self._files_with(name)
        calls = self._files_with(f"trace_{name}")
        probes = self._files_with(f"register_trace_{name}")
        if found is None or calls is None or probes is None or max(map(len, (found, calls, probes))) > _MOST_FILES:
            return False
        spelled = re.escape(name.encode())
        handed_on = re.compile(rb"\b\w*(?:trace|probe|tp|hook)\w*\s*\([^;{}]*\b" + spelled + rb'\b|"(?:[^"\n]*[/:])?' + spelled + b'"')
        registered = re.compile(rb"\bregister_trace_" + spelled + rb"\b")
        seen = False
        for path in dict.fromkeys((*found, *calls, *probes)):
            read = self.source.file(path)
            if read is None or read.data is None or registered.search(read.data):
                return False
            if any(definition.name == f"trace_{name}" for definition in definitions(read.data, path).definitions):
                return False
            is_event = path.endswith(".h") and tracepoints.only_records(blanking.plain(read.data), name.encode())
            if not is_event and not _OTHER_PATHS.match(path) and handed_on.search(read.data):
                return False
            seen = seen or is_event
        return seen

    def formats(self) -> list[bytes] | None:
        """The headers near the file that define a `pr_fmt` or `dev_fmt`; None where these are not known, or a makefile defines one."""
        near = []
        if any(name.endswith(b"_fmt") for name in self.own.by_makefiles):
            return None
        for name in ("pr_fmt", "dev_fmt"):
            paths = self._files_with(f":{name}")
            if paths is None:
                return None
            near += [path for path in paths if path.endswith(".h") and self._is_near(path)]
        read = [self.source.file(path) for path in dict.fromkeys(near)]
        texts = [file.data for file in read if file is not None and file.data is not None]
        return texts if len(texts) == len(read) else None

    def _is_near(self, header: str) -> bool:
        """Whether a header stands in the file's directory, above or below it, or has a name that the file includes in quotes."""
        ours, its = (path.rpartition("/")[0] + "/" for path in (self.path, header))
        quoted = self._quoted is None or header.rpartition("/")[2].encode() in self._quoted
        return not _KERNEL_HEADERS.match(header) and (ours.startswith(its) or its.startswith(ours) or quoted)

    @functools.cached_property
    def _quoted(self) -> frozenset[bytes] | None:
        """The base names of what the file includes in quotes; None where it cannot be read."""
        read = self.source.file(self.path)
        if read is None or read.data is None:
            return None
        return frozenset(name.rpartition(b"/")[2] for name in re.findall(rb'#[ \t]*include[ \t]*"([^"\n]+)"', read.data))

    def is_number(self, name: str) -> bool:
        """Whether all that the tree defines of a name are macros and enumerators that stand for a constant number."""
        return self._stands_for(name, _NUMBER)

    def is_text(self, name: str) -> bool:
        """Whether all that the tree defines of a name are macros that stand for a string without conversions."""
        return self._stands_for(name, _TEXT)

    def _stands_for(self, name: str, form: re.Pattern[bytes]) -> bool:
        paths = self._files_with(f":{name}")
        if not paths or len(paths) > _MOST_FILES:
            return False
        known = 0
        for path in paths:
            read = self.source.file(path)
            if read is None or read.data is None or re.search(rb"\bextern\b[^;{}]*\b" + name.encode() + rb"\b", read.data):
                return False  # or a variable under another condition
            for definition in scan(blanking.plain(read.data)).definitions if path.endswith((".c", ".h")) else ():
                if definition.name != name:
                    continue
                body = blanking.plain(read.data)[definition.offset + len(name) : definition.span[1]]
                is_enumerator = definition.kind is DefinitionKind.CONSTANT and form is _NUMBER
                if not is_enumerator and not (definition.kind is DefinitionKind.MACRO and form.match(body)):
                    return False
                known += 1
        return known > 0

    def includes(self, headers: Iterable[str], header: str) -> bool:
        """Whether some headers include another one under all options; no where their guards could be defined by anything else."""
        guards = common_headers.guards_up_to(self.source, self.path, headers, header)
        return (
            guards is not None
            and self.own.complete
            and self.own.by_makefiles.isdisjoint(guards)
            and all(map(self._is_defined_once, guards))
        )

    def _is_defined_once(self, name: bytes) -> bool:
        """Whether the kernel defines a macro in one place, and undefines it nowhere."""
        found = self._files_with(name.decode("ascii"))
        found = None if found is None else [path for path in found if not path.startswith(NO_KERNEL_CODE)]
        if found is None or len(found) > _MOST_FILES:
            return False
        again = re.compile(rb"(?m)^[ \t]*#[ \t]*(?:define|undef)[ \t]+" + name + rb"\b")
        texts = [blanking.plain(blob.data) for blob in self.source.files(found) if blob is not None and blob.data is not None]
        return len(texts) == len(found) and sum(len(again.findall(text)) for text in texts) == 1

    def depend_on_order(self, before: Sequence[str], old: Sequence[str], new: Sequence[str]) -> bool:
        return common_headers.depend_on_order(self.source, self.path, before, old, new)

    def _files_with(self, name: str) -> list[str] | None:
        """The files that may have a name, or define it where `:` stands before it; None where that cannot be found quickly."""
        self.source.rests_on_all = True
        if name not in self._found:
            self._found[name] = holding(self.source, name)
        return self._found[name]
