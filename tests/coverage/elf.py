"""A small kernel, as an ELF file that a test writes: functions with or without a coverage point, and the names of sources."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

TEXT_AT = 0xFFFFFFFF81000000


def vmlinux(
    functions: Mapping[str, bool],
    files: Mapping[str, Sequence[str]] | Sequence[str] = (),
    kcov: bool = True,
    calling: Collection[str] = (),
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """An x86_64 ELF file; `functions` tells of each whether it holds a coverage point, `files` which of them are local to a source.

    Those of `calling` call something else.
    """
    files = files if isinstance(files, Mapping) else dict.fromkeys(files, ())
    local = {name for names in files.values() for name in names}
    names = ["", "__sanitizer_cov_trace_pc"] if kcov else [""]
    names += [*functions, *files, *aliases]
    strings, at = b"", {}
    for name in names:
        at[name] = len(strings)
        strings += name.encode() + b"\0"
    code, symbols = b"\xc3" * 16, [struct.pack("<IBBHQQ", 0, 0, 0, 0, 0, 0)]
    if kcov:
        symbols.append(struct.pack("<IBBHQQ", at["__sanitizer_cov_trace_pc"], 0x12, 0, 1, TEXT_AT, 16))
    placed = {}
    for name, covered in functions.items():
        here = TEXT_AT + len(code)
        call = b"\xe8" + struct.pack("<i", TEXT_AT - (here + 1 + 5)) if covered else b"\xe8\0\0\0\0" if name in calling else b"\x90" * 5
        placed[name] = here
        code += (b"\x90" + call).ljust(16, b"\xc3")
    for file, theirs in files.items():
        symbols.append(struct.pack("<IBBHQQ", at[file], 0x04, 0, 0xFFF1, 0, 0))
        symbols += [struct.pack("<IBBHQQ", at[name], 0x02, 0, 1, placed[name], 16) for name in theirs]
    symbols += [struct.pack("<IBBHQQ", at[name], 0x12, 0, 1, placed[name], 16) for name in functions if name not in local]
    symbols += [struct.pack("<IBBHQQ", at[name], 0x12, 0, 1, placed[other], 16) for name, other in aliases.items()]
    section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0"
    parts = [code, b"".join(symbols), strings, section_names]
    offsets = [64 + sum(map(len, parts[:number])) for number in range(len(parts))]
    rows = [struct.pack("<IIQQQQIIQQ", *(0,) * 10)]
    for number, (name, kind, flags, address, link, each) in enumerate(
        [(1, 1, 6, TEXT_AT, 0, 0), (7, 2, 0, 0, 3, 24), (15, 3, 0, 0, 0, 0), (23, 3, 0, 0, 0, 0)]
    ):
        rows.append(struct.pack("<IIQQQQIIQQ", name, kind, flags, address, offsets[number], len(parts[number]), link, 1, 8, each))
    body = b"".join(parts)
    head = struct.pack(
        "<4sBBBBB7sHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, b"", 2, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(rows), 4
    )
    return head + body + b"".join(rows)
