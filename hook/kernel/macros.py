"""The macros of the headers that the files of one object may include.

A name with different definitions, or with none in the files that were searched, has no expansion: the caller must leave its line open.
"""

from __future__ import annotations

from collections.abc import Iterable

from hook.c.macro_expansion import Expansion, Macro, agreed
from hook.kernel.no_kernel_code import OtherCode, left_out
from hook.kernel.texts import Texts

# the headers that define the macros of device tables
STANDARD = (
    "include/linux/pci.h", "include/linux/pci_ids.h", "include/linux/mod_devicetable.h", "include/uapi/linux/virtio_ids.h",
    "include/linux/acpi.h", "include/linux/pnp.h", "include/linux/usb.h",
)  # fmt: skip
_MOST_HEADERS = 8  # that define one macro, by the index
_LEFT_OUT = left_out(OtherCode.PROGRAM, OtherCode.SAMPLE)


class Macros(Expansion):
    """The macros of one object."""

    def __init__(self, texts: Texts, near: Iterable[str]) -> None:
        super().__init__(self._find)
        self._texts = texts
        self._near = tuple(near)

    def _find(self, name: str) -> Macro | None:
        for paths in (self._near, STANDARD):
            definitions = {definition for path in paths for definition in self._texts.macro(path, name)}
            if definitions:
                return agreed(definitions)
        folder = self._near[0].rpartition("/")[0] if self._near else ""
        # `O2` of arch/sparc/net is a word of its own file: a driver includes no header of an architecture but by <asm/…>
        others = _LEFT_OUT if folder.startswith("arch/") else (*_LEFT_OUT, "arch/")
        headers = [path for path in self._texts.defining(name) if path.endswith(".h") and not path.startswith(others)]
        if not headers or len(headers) > _MOST_HEADERS:
            return None
        local_headers = [path for path in headers if path.startswith(f"{folder}/")] or headers
        return agreed({definition for path in local_headers for definition in self._texts.macro(path, name)})
