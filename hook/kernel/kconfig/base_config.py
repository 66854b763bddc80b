"""The base configuration: the options of the fuzzed kernel, before anything is added.

It is a .config that the person gives, or what `make defconfig kvm_guest.config` would write for the target, derived from the tree; in a
tree of Android with `gki_defconfig`, which all its devices share, in place of `defconfig`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hook import lazy_re
from hook.kernel.kconfig.olddefconfig import TooDeep, Values
from hook.kernel.kconfig.option import Options
from hook.source.tree import Source

_LINE = lazy_re.compile(r"(?:CONFIG_(\w+)=(.*)|# CONFIG_(\w+) is not set)\Z")
_DEFCONFIGS = {
    "x86_64": "arch/x86/configs/x86_64_defconfig",
    "i386": "arch/x86/configs/i386_defconfig",
    "powerpc": "arch/powerpc/configs/ppc64_defconfig",
    "loongarch": "arch/loongarch/configs/loongson3_defconfig",
    "mips": "arch/mips/configs/generic_defconfig",
    "arm": "arch/arm/configs/multi_v7_defconfig",
}
_ANDROID = "gki_defconfig"
_FRAGMENTS = ("kernel/configs/kvm_guest.config",)


def parts(source: Source, arch: str, source_arch: str) -> tuple[str, ...]:
    """The files of the tree that make the default base: the defconfig, then the fragments merged over it."""
    folder, target = f"arch/{source_arch}/configs", make_target(source, source_arch)
    plain = f"{folder}/{target}"
    return (plain if target == _ANDROID else _DEFCONFIGS.get(arch, plain), *_FRAGMENTS)


def make_target(source: Source, source_arch: str) -> str:
    """The target of make that writes the first of these."""
    return _ANDROID if source.file(f"arch/{source_arch}/configs/{_ANDROID}") is not None else "defconfig"


def read(text: str) -> dict[str, str]:
    """The options that a .config or a fragment sets: y, m, n, or the text of a value. The last line about an option counts."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line.rstrip())
        if match is None:
            continue
        name = match[1] or match[3]
        value = "n" if match[3] else match[2]
        if value[:1] == '"':
            value = re.sub(r"\\(.)", r"\1", value[1:].rpartition('"')[0] if value.endswith('"') and len(value) > 1 else value[1:])
        values.pop(name, None)
        values[name] = value
    return values


def _written(values: Values, name: str) -> str | None:
    """The value that .config would have for an option; None if it has none, or if the value cannot be evaluated."""
    try:
        return values.text(name) if values.is_written(name) else None
    except (TooDeep, RecursionError):
        return None


def configured(options: Options, texts: Iterable[str]) -> dict[str, str]:
    """The .config of a defconfig with the fragments merged over it, with `olddefconfig` after each."""
    set_so_far: dict[str, str] = {}
    for fragment in texts:
        for name, value in read(fragment).items():
            set_so_far.pop(name, None)
            set_so_far[name] = value
        values = Values(options, set_so_far)
        set_so_far = {name: setting for name in options.by_name if (setting := _written(values, name)) is not None}
    return set_so_far
