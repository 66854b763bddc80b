"""The macros of the headers: where the definitions are found that the files of one object see.

A name that is defined in several ways, or nowhere that was looked into, stands for nothing: the caller has to leave its line open.
"""

from __future__ import annotations

from collections.abc import Iterable

from hook.c.macro_expansion import Expansion, Macro, agreed
from hook.kernel.no_kernel_code import OtherCode, left_out
from hook.kernel.texts import Texts

# where the macros that tables are written with are defined
STANDARD = (
    "include/linux/pci.h", "include/linux/pci_ids.h", "include/linux/mod_devicetable.h", "include/uapi/linux/virtio_ids.h",
    "include/linux/acpi.h", "include/linux/pnp.h", "include/linux/usb.h",
)  # fmt: skip
_MOST_HEADERS = 8  # that the index names for one macro
_LEFT_OUT = left_out(OtherCode.PROGRAM, OtherCode.SAMPLE)


class Macros(Expansion):
    """The macros that the files of one object see."""

    def __init__(self, texts: Texts, near: Iterable[str]) -> None:
        super().__init__(self._find)
        self._texts = texts
        self._near = tuple(near)

    def _find(self, name: str) -> Macro | None:
        for paths in (self._near, STANDARD):
            found = {one for path in paths for one in self._texts.macro(path, name)}
            if found:
                return agreed(found)
        headers = [path for path in self._texts.defining(name) if path.endswith(".h") and not path.startswith(_LEFT_OUT)]
        if not headers or len(headers) > _MOST_HEADERS:
            return None
        folder = self._near[0].rpartition("/")[0] if self._near else ""
        near = [path for path in headers if path.startswith(f"{folder}/")] or headers
        return agreed({one for path in near for one in self._texts.macro(path, name)})
