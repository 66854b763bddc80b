"""The struct parser: from the text of a struct to its layout.

A struct has a layout only if all of its text is understood. What is not understood (a macro, a preprocessor conditional, a bit-field, an
attribute) costs the proof that would depend on it: the padding after it, or the complete struct.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator

from hook import lazy_re
from hook.c import body, integers
from hook.c.body import Body
from hook.c.layout import Layout, Member, rounded_up

_DEEPEST = 6  # structs inside each other
_MOST_MEMBERS = 400  # of one struct
_SIZES: dict[bytes, int] = {
    **dict.fromkeys(b"char bool _Bool u8 s8 __u8 __s8 uint8_t int8_t u_int8_t u_char uchar unchar".split(), 1),
    **dict.fromkeys(
        b"short u16 s16 __u16 __s16 uint16_t int16_t u_int16_t u_short ushort __le16 __be16 __sum16 __virtio16 sa_family_t"
        b" __kernel_sa_family_t umode_t".split(), 2,
    ),
    **dict.fromkeys(
        b"int u32 s32 __u32 __s32 uint32_t int32_t u_int32_t u_int uint __le32 __be32 __wsum __virtio32 pid_t uid_t gid_t dev_t"
        b" __kernel_pid_t __kernel_uid32_t __kernel_gid32_t gfp_t __poll_t compat_int_t compat_uint_t compat_long_t compat_ulong_t"
        b" compat_uptr_t compat_size_t".split(), 4,
    ),
    **dict.fromkeys(
        b"long u64 s64 __u64 __s64 uint64_t int64_t u_int64_t __le64 __be64 __virtio64 __aligned_u64 __aligned_s64 __aligned_be64"
        b" __aligned_le64 size_t ssize_t loff_t ktime_t time64_t uintptr_t sector_t __kernel_size_t __kernel_ulong_t __kernel_long_t"
        b" u_long ulong __kernel_loff_t __kernel_time64_t".split(), 8,
    ),
}  # fmt: skip
_MODIFIERS = frozenset(b"unsigned signed const volatile".split())
_NOTHING = frozenset(b"__user __rcu __iomem __force __kernel __maybe_unused".split())  # attributes that change no layout
_DIRECTIVE = lazy_re.compile(rb"(?m)^[ \t]*#[ \t]*(?!define\b|undef\b)")


class NotUnderstood(ValueError):
    """A struct that is not understood, so that nothing is proved of it; the sentence says why."""


class LayoutNames(typing.Protocol):
    """The meaning of the names in a struct."""

    def struct(self, tag: bytes) -> Layout:
        """The layout of another struct. Raises NotUnderstood."""

    def constant(self, name: bytes) -> int | None:
        """The value of a macro; None if it is not known."""

    def typedef(self, name: bytes) -> int | None:
        """The size of an integer type by its name; None if it is not known."""


def parse(name: str, code: bytes, raw: bytes, names: LayoutNames) -> Layout:
    """The layout of `struct NAME` from the text of its definition: `code` is the text without comments, `raw` with them.

    `names` gives the meaning of the names in it. Raises NotUnderstood.
    """
    if _DIRECTIVE.search(raw):
        raise NotUnderstood(f"a directive inside struct {name}")
    text = body.read(code, 0, len(code))
    tokens = text.tokens
    opening = next((position for position, token in enumerate(tokens) if token == b"{"), -1)
    closing = text.partner.get(opening, -1)
    if opening < 0 or closing < 0:
        raise NotUnderstood(f"no definition of struct {name}")
    head, tail = tokens[:opening], tokens[closing + 1 :]
    # any word after the brace may be an attribute
    padded = head in ((b"struct", name.encode()), (b"typedef", b"struct", name.encode())) and tail in ((), (b";",))
    return _Reader(text, names).block(name, opening, closing, padded, 0)


class _Reader:
    def __init__(self, text: Body, names: LayoutNames) -> None:
        self._text = text
        self._names = names

    def block(self, name: str, opening: int, closing: int, padded: bool, depth: int) -> Layout:
        """The members between two braces."""
        if depth > _DEEPEST:
            raise NotUnderstood(f"structs too deep inside struct {name}")
        members: list[Member] = []
        for start, end in self._declarations(opening, closing):
            members += self._declaration(name, start, end, padded, depth)
            if len(members) > _MOST_MEMBERS:
                raise NotUnderstood(f"struct {name} has more than {_MOST_MEMBERS} members")
        return Layout(name, tuple(members), padded)

    def _declarations(self, opening: int, closing: int) -> Iterator[tuple[int, int]]:
        start = position = opening + 1
        while position < closing:
            if self._text.tokens[position] == b";":
                if position > start:
                    yield start, position
                start = position + 1
            elif self._text.partner.get(position, position) > position:
                position = self._text.partner[position]
            position += 1
        if start < closing:
            raise NotUnderstood("a member without its end")

    def _declaration(self, name: str, start: int, end: int, padded: bool, depth: int) -> Iterator[Member]:
        tokens = self._text.tokens
        position = start
        base: tuple[int | None, int | None] = (None, None)
        inner: Layout | None = None
        is_union = False
        others: tuple[bytes, ...] = ()
        is_scalar = False
        while tokens[position] in _MODIFIERS and tokens[position] in (b"const", b"volatile"):
            position += 1
        word = tokens[position]
        if word in (b"struct", b"union"):
            brace = position + 1 if tokens[position + 1] == b"{" else position + 2
            is_union = word == b"union"
            if brace < end and tokens[brace] == b"{":
                closing = self._text.partner[brace]
                block = self.block(name, brace, closing, padded, depth + 1)
                position = closing + 1
                if is_union:
                    sizes = [(member.size, member.align) for member in block.members]
                    if padded and all(size is not None and align is not None for size, align in sizes):
                        align = max((align or 1 for _, align in sizes), default=1)
                        base = (rounded_up(max((size or 0 for size, _ in sizes), default=0), align), align)
                    others = tuple(_names(block))
                else:
                    inner, base = block, (block.size, block.align)
                if any(token.startswith(b"__") or token == b"(" for token in tokens[position:end]):
                    raise NotUnderstood(f"an attribute inside struct {name}")
            else:
                tag = tokens[position + 1]
                position += 2
                if not body.is_name(tag):
                    raise NotUnderstood(f"a member of struct {name} without a type")
                if not is_union and not (position < end and tokens[position] == b"*"):
                    try:
                        inner = self._names.struct(tag)
                        base = (inner.size, inner.align)
                    except NotUnderstood:
                        inner = None
        elif word == b"enum":
            if tokens[position + 1 : position + 2] == (b"{",) or tokens[position + 2 : position + 3] == (b"{",):
                raise NotUnderstood(f"an enum inside struct {name}")
            position += 2
            is_scalar = True  # the compiler chooses the size: mostly 4
        else:
            position, base, is_scalar = self._scalar(name, position, end)
        if position >= end:
            if (inner is not None or others) and tokens[end - 1] == b"}":
                yield Member(b"", *base, inner=inner, others=others, is_union=is_union)
                return
            raise NotUnderstood(f"a member of struct {name} without a name")
        yield from self._declarators(name, position, end, base, inner, is_scalar, is_union)

    def _scalar(self, name: str, position: int, end: int) -> tuple[int, tuple[int | None, int | None], bool]:
        """Reads the words of a type. Returns the position after them, size and alignment, and whether it is a known scalar."""
        tokens = self._text.tokens
        words: list[bytes] = []
        while position < end and body.is_name(tokens[position]):
            is_type = tokens[position] in _SIZES or tokens[position] in _MODIFIERS
            if words and not is_type:
                break
            words.append(tokens[position])
            position += 1
            if not is_type:
                break  # a typedef
        if not words or position >= end or (tokens[position] == b"(" and tokens[position + 1 : position + 2] != (b"*",)):
            raise NotUnderstood(f"a macro inside struct {name}")
        if (size := self._typedef(words[-1])) is not None:
            return position, (size, size), True
        sized_words = [word for word in words if word in _SIZES]
        if not sized_words and not set(words) <= _MODIFIERS:
            return position, (None, None), words == [b"void"]
        size = max((_SIZES[word] for word in sized_words), default=4)
        if sized_words.count(b"char") or b"short" in sized_words:
            size = _SIZES[sized_words[0]] if len(sized_words) == 1 else 2
        return position, (size, size), True

    def _declarators(
        self, name: str, position: int, end: int, base: tuple[int | None, int | None], inner: Layout | None, is_scalar: bool, is_union: bool
    ) -> Iterator[Member]:
        tokens = self._text.tokens
        while position < end:
            is_pointer = False
            while position < end and (tokens[position] in (b"*", b"const", b"volatile", b"restrict") or tokens[position] in _NOTHING):
                is_pointer = is_pointer or tokens[position] == b"*"
                position += 1
            if position < end and tokens[position] == b"(":
                # a pointer to a function: (*name)(…)
                closing = self._text.partner.get(position, end)
                words = tokens[position + 1 : closing]
                after = closing + 1
                if len(words) != 2 or words[0] != b"*" or tokens[after : after + 1] != (b"(",):
                    raise NotUnderstood(f"a declarator inside struct {name}")
                yield Member(words[1], 8, 8, is_scalar=True)
                position = self._text.partner[after] + 1
            elif position < end and body.is_name(tokens[position]):
                member = tokens[position]
                position += 1
                count: int | None = 1
                is_array = False
                while position < end and tokens[position] == b"[":
                    closing = self._text.partner[position]
                    is_array = True
                    size = self._count(position + 1, closing)
                    count = None if count is None or size is None else count * size
                    position = closing + 1
                if position < end and tokens[position] == b"__counted_by" and tokens[position + 1 : position + 2] == (b"(",):
                    position = self._text.partner[position + 1] + 1
                while position < end and tokens[position] in _NOTHING:
                    position += 1
                element_size, element_align = (8, 8) if is_pointer else base
                if position < end and tokens[position] == b":":
                    # a bit-field: a member, but the bits between it and the next one are not known
                    position = next((place for place in range(position, end) if tokens[place] == b","), end)
                    yield Member(member, None, None, is_scalar=True)
                elif position < end and tokens[position] != b",":
                    raise NotUnderstood(f"an attribute inside struct {name}")
                else:
                    size = None if element_size is None or count is None else element_size * count
                    member_layout = None if is_pointer else inner
                    yield Member(
                        member, size, element_align, is_array, is_scalar or is_pointer, member_layout, is_union=is_union and not is_pointer
                    )
            elif position < end and tokens[position] == b":":
                position = next((place for place in range(position, end) if tokens[place] == b","), end)
                yield Member(b"", None, None)  # an unnamed bit-field
            else:
                raise NotUnderstood(f"a declarator inside struct {name}")
            position += 1

    def _typedef(self, name: bytes) -> int | None:
        return None if name in _SIZES or name in _MODIFIERS or name == b"void" else self._names.typedef(name)

    def _count(self, start: int, end: int) -> int | None:
        """The number of elements of an array; None if it is not known."""
        start, end = self._text.uncast(start, end)
        words = self._text.tokens[start:end]
        if len(words) == 3 and words[1] in (b"+", b"*", b"-"):
            first, second = (self._value(word) for word in (words[0], words[2]))
            if first is None or second is None:
                return None
            return {b"+": first + second, b"*": first * second, b"-": first - second}[words[1]]
        if not words:
            return 0
        return self._value(words[0]) if len(words) == 1 else None

    def _value(self, word: bytes) -> int | None:
        value = integers.value(word)
        return value if value is not None else self._names.constant(word) if body.is_name(word) else None


def size_of(words: bytes) -> int | None:
    """The size of an integer type from its words; None for any other type."""
    type_words = [word for word in words.split() if word not in (b"const", b"volatile")]
    if len(type_words) == 1 and type_words[0] in _SIZES:
        return _SIZES[type_words[0]]
    return {(b"unsigned", b"int"): 4, (b"unsigned", b"char"): 1, (b"unsigned", b"short"): 2, (b"unsigned", b"long"): 8,
            (b"unsigned", b"long", b"long"): 8, (b"long", b"long"): 8, (b"signed", b"char"): 1}.get(tuple(type_words))  # fmt: skip


def _names(layout: Layout) -> Iterator[bytes]:
    """The names by which the members of an unnamed block are accessed."""
    for member in layout.members:
        if member.name:
            yield member.name
        elif member.inner is not None:
            yield from _names(member.inner)
        else:
            yield from member.others
