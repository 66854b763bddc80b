"""Which drivers of the AMBA bus have a device on a machine with a device tree."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from hook.evidence.reach.devices import drivers, machine
from hook.kernel import kernel as target
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer
from tests.evidence.reach.devices.test_drivers import Ask, asked, of
from tests.small_kernel import Kernel

OURS = pathlib.Path(machine.__file__).parent / "machines/arm64.json"
TABLES = {
    "gpio": ("{ .id = 0x00041061, .mask = 0x000fffff },", "yes"),
    "uart": ("PART(0x41011),", "yes"),
    "dma": ("{ .id = 0x00041330, .mask = 0x000fffff },", "no"),
    "trace": ("PART(0xbb95d),\n\t{ 0x00080000, 0x00080000, &uci },", "no"),
    "any": ("{ .id = 0, .mask = 0xf0000000 },", "yes"),  # of any part
    "unread": ("PART(FAR_AWAY),", "unknown"),
    "untold": ("", "unknown"),
}


def driver(name: str, lines: str) -> str:
    return (
        "#define PART(pid) { .id = pid, .mask = 0x000fffff, }\n"
        f"static const struct amba_id {name}_ids[] = {{\n\t{lines}\n\t{{ 0, 0 }},\n}};\nstatic struct amba_driver {name}_driver = {{\n"
        f'\t.drv = {{ .name = "{name}" }},\n\t.id_table = {name}_ids,\n}};\nmodule_amba_driver({name}_driver);\n'
    ).replace("\t\n\t{ 0, 0 },\n", "")


@pytest.fixture(scope="module")
def tree(first_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    base = tmp_path_factory.mktemp("primecells")
    shutil.copytree(first_kernel.path, base / "linux", symlinks=True)
    kernel = Kernel(base / "linux", first_kernel.env)
    for name, (lines, _) in TABLES.items():
        kernel.write(f"drivers/net/{name}.c", driver(name, lines))
    # what makes devices for nodes, and a board of another architecture
    for path in ("drivers/of/platform.c", "arch/arm/mach-acme/board.c"):
        kernel.write(path, "void make(void)\n{\n\tamba_device_alloc(0, 0, 0);\n}\n")
    kernel.write("drivers/net/Makefile", kernel.read("drivers/net/Makefile") + f"obj-y += {' '.join(f'{name}.o' for name in TABLES)}\n")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "primecells")
    kernel.triage("index", "--quiet")
    return kernel


@pytest.fixture
def ask(tree: Kernel) -> Iterator[Ask]:
    yield from asked(tree.path, arch="arm64")


@pytest.mark.parametrize("name", TABLES)
def test_a_driver_has_a_device_where_a_primecell_has_one_of_its_ids(ask: Ask, name: str) -> None:
    assert str(of(ask, f"{name}.c").answer) == TABLES[name][1]


@pytest.mark.parametrize("file", ["maker.c", "maker.h"])
def test_a_primecell_that_kernel_code_makes_leaves_all_open(tree: Kernel, tmp_path: pathlib.Path, file: str) -> None:
    shutil.copytree(tree.path, tmp_path / "linux", symlinks=True)
    kernel = Kernel(tmp_path / "linux", tree.env)
    kernel.write(f"drivers/net/{file}", "static inline void make(void)\n{\n\tamba_apb_device_add(0, 0, 0);\n}\n")
    kernel.git("add", "-A")
    kernel.git("commit", "-qm", "maker")
    kernel.triage("index", "--quiet")
    for other in asked(kernel.path, arch="arm64"):
        assert of(other, "dma.c").answer is Answer.UNKNOWN
        assert of(other, "gpio.c").answer is Answer.YES


def test_a_catalogue_that_lacks_the_ids_of_primecells_proves_nothing_of_them(tree: Kernel) -> None:
    own = json.loads(OURS.read_text())
    own.pop("Amba")
    with Objects(find(str(tree.path)), 16 << 20) as objects:
        source = Source(objects, find(str(tree.path)).run("rev-parse", "HEAD").decode().strip())
        kernel = target.Kernel(source, "arm64", "gcc-12", None)
        ask = drivers.Drivers(source, kernel, machine.machine("arm64", ("qemu-any",), json.dumps(own)))
        assert of(ask, "dma.c").answer is of(ask, "gpio.c").answer is Answer.UNKNOWN
