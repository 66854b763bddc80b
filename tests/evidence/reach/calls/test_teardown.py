"""Teardown: what runs only as something goes, and the bounds of that proof."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hook.evidence.reach.answer import Reach
from hook.evidence.reach.calls import call_paths, teardown
from hook.kernel import kernel as tree
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer
from tests.small_kernel import Kernel

BOUNDS = call_paths.SearchBounds(hops=16, files=400, callers=40, steps=5000)
KCONFIG = (
    'config USB_RAW_GADGET\n\tbool "raw"\nconfig USB_DUMMY_HCD\n\tbool "dummy"\nconfig UHID\n\tbool "uhid"\nconfig FOO\n\ttristate "foo"\n'
)
REMOVE = "static void foo_remove(struct device *d)\n{\n\thelper();\n}\n"
HELPER = "static void helper(void)\n{\n}\n"
PCI = HELPER + REMOVE + "static struct pci_driver foo_driver = {\n\t.remove = foo_remove,\n};\nmodule_pci_driver(foo_driver);\n"
PLATFORM = (
    HELPER
    + REMOVE
    + 'static struct platform_driver foo_driver = {\n\t.driver = {\n\t\t.name = "foo-thing",\n\t},\n\t.remove = foo_remove,\n};\nmodule_platform_driver(foo_driver);\n'
)
EXIT = HELPER + "static void __exit foo_exit(void)\n{\n\thelper();\n}\nmodule_exit(foo_exit);\n"
USB = (
    HELPER
    + REMOVE.replace("foo_remove", "foo_disconnect")
    + "static struct usb_driver foo_driver = {\n\t.disconnect = foo_disconnect,\n};\nmodule_usb_driver(foo_driver);\n"
)
HID = HELPER + REMOVE + "static struct hid_driver foo_driver = {\n\t.remove = foo_remove,\n};\nmodule_hid_driver(foo_driver);\n"


class Gate:
    """A tree with one driver, drivers/net/foo.c."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        kernel.write("drivers/net/Makefile", "obj-$(CONFIG_FOO) += foo.o\nobj-y += other.o\n")
        kernel.write("drivers/net/Kconfig", kernel.read("drivers/net/Kconfig") + KCONFIG)

    def asked(
        self,
        text: str,
        names: tuple[str, ...] = ("helper",),
        more: dict[str, str] | None = None,
        base: str | None = None,
        bounds: call_paths.SearchBounds = BOUNDS,
    ) -> Reach:
        for path, content in {"drivers/net/foo.c": text, **(more or {})}.items():
            self.kernel.write(path, content)
        self.kernel.git("add", "-A", "-f")
        self.kernel.git("commit", "-qm", "driver", "--allow-empty")
        self.kernel.triage("index", "--quiet")
        with Objects(find(self.kernel.path), 16 << 20) as objects:
            source = Source(objects, self.kernel.head())
            return teardown.gate(
                [("drivers/net/foo.c", name) for name in names], source, tree.Kernel(source, "x86_64", "gcc-12", base), bounds
            )


@pytest.fixture
def driver(kernel: Kernel) -> Iterator[Gate]:
    yield Gate(kernel)


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        (PCI, "foo_remove is .remove of the pci_driver foo_driver"),
        (PLATFORM, "foo_remove is .remove of the platform_driver foo_driver"),
        (EXIT, "foo_exit is __exit"),
    ],
)
def test_what_runs_only_as_a_fixed_device_or_a_module_goes_is_out_of_reach(driver: Gate, text: str, claim: str) -> None:
    found = driver.asked(text)
    assert found.answer is Answer.NO
    assert len(found.facts) == 1 and claim in found.facts[0].claim and found.facts[0].place.line and found.facts[0].text


@pytest.mark.parametrize(
    "text",
    [
        '#include "foo.h"\n' + PCI,  # a header that pastes other names
        PCI.replace("helper();", 'asm volatile("nop");\n\thelper();\n\tpr_info("helper is done");'),
    ],
)
def test_what_names_a_function_in_no_other_way_hides_no_use(driver: Gate, text: str) -> None:
    assert driver.asked(text, more={"drivers/net/foo.h": "#define MAKE(x) bar_##x()\n"}).answer is Answer.NO


def test_a_driver_that_unbinds_its_device_itself_does_so_while_programs_run(driver: Gate) -> None:
    unbinding = "void dead(struct pci_dev *p)\n{\n\tdevice_release_driver(&p->dev);\n}\n"
    assert driver.asked(PCI, more={"drivers/base/dd.c": unbinding, "drivers/fish/core.c": unbinding}).answer is Answer.NO
    assert driver.asked(PCI, more={"drivers/net/core.c": f"/* {unbinding} */\n"}).answer is Answer.NO
    for path in ("drivers/net/core.c", "drivers/net/lib/dead.h", "drivers/late.c"):
        assert driver.asked(PCI, more={path: unbinding}).answer is Answer.UNKNOWN, path
        driver.kernel.git("rm", "-qf", path)
    assert driver.asked(PCI + unbinding).answer is Answer.UNKNOWN


def test_a_header_that_cannot_be_read_may_paste_the_name(driver: Gate) -> None:
    (driver.kernel.path / "drivers/net/foo.h").symlink_to("lib/macros.h")
    text = '#include "foo.h"\n' + PCI
    found = driver.asked(text, more={"drivers/net/lib/macros.h": "#define MAKE(x) help##x()\n"})
    assert found.answer is Answer.UNKNOWN and "a macro of a header" in found.question
    driver.kernel.git("rm", "-qf", "drivers/net/foo.h")
    assert driver.asked(text, more={"drivers/net/foo.h": "#define MAKE(x) bar_##x()\n"}).answer is Answer.NO


@pytest.mark.parametrize("text", [PCI, PLATFORM])
def test_what_unbinds_a_device_runs_as_a_module_is_unloaded(driver: Gate, text: str) -> None:
    assert driver.asked(text, base="CONFIG_FOO=m\n").answer is Answer.UNKNOWN
    assert driver.asked(text, base="CONFIG_FOO=y\n").answer is Answer.NO


@pytest.mark.parametrize(
    ("text", "name", "device", "options"),
    [
        (USB, "foo_disconnect", "dummy_hcd with raw-gadget", {"FOO", "USB_RAW_GADGET", "USB_DUMMY_HCD"}),
        (HID, "foo_remove", "uhid", {"FOO", "UHID"}),
    ],
)
def test_a_device_that_a_program_emulates_is_unplugged_by_it(driver: Gate, text: str, name: str, device: str, options: set[str]) -> None:
    found = driver.asked(text, ("helper", name))
    assert (found.answer, found.devices, set(found.reasons)) == (Answer.YES, (device,), options)
    assert {why.purpose for why in found.reasons.values()} == {"reach"}


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (PCI + "int ndo_stop(void)\n{\n\thelper();\n}\n", {}),  # another caller, who may be called by anybody
        (PCI + "static void keep(void)\n{\n\tkept = helper;\n}\n", {}),  # its address goes somewhere
        (PCI + "#define CLEAN() helper()\n", {}),
        (PCI + "static struct ops more[] = {\n{\n\t.stop = foo_remove,\n},\n{\n\t.run = helper,\n},\n};\n", {}),  # a table that is not read
        (PCI + "\tlate_initcall(helper);\n", {}),
        (PCI.replace("static void helper", "void helper"), {"drivers/net/other.c": "int other(void)\n{\n\thelper();\n}\n"}),
        (PCI.replace("static void helper", "void helper"), {"arch/x86/kernel/entry.S": "\tcall helper\n"}),
        (PCI + "#define MAKE(name) name##_remove\n", {}),
        ('#include "foo.h"\n' + PCI, {"drivers/net/foo.h": '#include "deep.h"\n', "drivers/net/deep.h": "#define MAKE(x) foo_##x()\n"}),
        (PCI + 'int gone(struct device *d) __attribute__((alias("foo_remove")));\n', {}),
        (PCI + "int gone(struct device *d) __alias(helper);\n", {}),
        (PCI + 'static void gone(void)\n{\n\tasm volatile("nop; call helper");\n}\n', {}),
        (PCI + 'static void gone(void)\n{\n\tasm_inline volatile("nop; call helper");\n}\n', {}),
        (PCI + "#pragma weak gone = helper\n", {}),
        (PCI.replace("pci_driver", "virtio_driver"), {}),  # vduse makes and takes such devices
        (PCI.replace("pci_driver", "i2c_driver"), {}),
        (PCI.replace("\t.remove", "\t.sriov_configure = pci_sriov_configure_simple,\n\t.remove"), {}),  # its virtual functions come and go
        (
            PLATFORM,
            {"drivers/net/other.c": 'static const struct mfd_cell cells[] = {\n\t{ .name = "foo-thing" },\n};\n'},
        ),  # a child of what may be on USB
        (
            PLATFORM.replace("foo-thing", "88pm86-led"),
            {"drivers/net/other.c": 'static const struct mfd_cell cells[] = {\n\t{ .name = "88pm86-led" },\n};\n'},
        ),
        (PLATFORM, {"include/linux/foo.h": '#define FOO_THING "foo-thing"\n'}),  # by which any file may create one
        (PLATFORM + "static void gone(struct foo *f)\n{\n\tplatform_device_unregister(f->pdev);\n}\n", {}),
        (PCI.replace(".remove = foo_remove", ".probe = foo_remove"), {}),
        (PCI + "static int __init boot(void)\n{\n\thelper();\n}\nmodule_init(boot);\n", {}),
        (
            PCI.replace("module_pci_driver", '#include "foo_more.h"\nmodule_pci_driver').replace("helper();", "other();"),
            {},
        ),  # nothing uses it
        ('#include "part.c"\n', {"drivers/net/part.c": PCI}),
        (PCI, {"drivers/other/user.c": '#include "../net/foo.c"\n'}),
        (PCI, {"drivers/net/below/user.c": '#include "../foo.c"\n'}),
        (PCI, {"drivers/net/other.c": '#import "foo.c"\n'}),
        (PCI, {"drivers/net/other.c": '#include_next "foo.c"\n'}),
        (PCI, {"drivers/net/other.c": '#include \\\n"foo.c"\n'}),
        (PCI, {"drivers/net/other.c": '#/**/include "foo.c"\n'}),
        (PCI, {"drivers/net/other.c": '%:include "foo.c"\n'}),
        (PCI, {"drivers/net/other.c": "#include __stringify(foo.c)\n"}),
        (PCI, {"drivers/other/user.c": '#include "../net/./foo.c"\n'}),
        (PCI, {"drivers/other/user.c": '#include "foo.c"\n', "drivers/other/Makefile": "CFLAGS_user.o := -I$(src)/../net\n"}),
        (PCI, {"drivers/net/other.c": '#include "foo.c"\nint other(void)\n{\n\thelper();\n\treturn 0;\n}\n'}),
    ],
)
def test_any_other_use_leaves_it_open(driver: Gate, text: str, more: dict[str, str]) -> None:
    assert driver.asked(text, more=more).answer is Answer.UNKNOWN


def test_a_file_of_the_same_name_that_is_included_elsewhere_is_another(driver: Gate) -> None:
    more = {"drivers/other/user.c": '#include "foo.c"\n/* net */\n', "drivers/other/Makefile": "CFLAGS_user.o := -I$(src)/../nets # net\n"}
    assert driver.asked(PCI, more=more).answer is Answer.NO
    assert driver.asked(PCI, more={"drivers/net/other.c": '#include "a_foo.c"\n/* foo.c */\n'}).answer is Answer.NO


def test_one_changed_function_that_is_none_of_teardown_leaves_all_open(driver: Gate) -> None:
    assert driver.asked(PCI + "int other(void)\n{\n\treturn 0;\n}\n", ("helper", "other")).answer is Answer.UNKNOWN


def test_the_exit_of_a_module_is_open(driver: Gate) -> None:
    assert driver.asked(EXIT, base="CONFIG_FOO=m\n").answer is Answer.UNKNOWN


def test_suspend_resume_and_shutdown_are_said_as_such(driver: Gate) -> None:
    text = PCI.replace(".remove", ".shutdown")
    found = driver.asked(text)
    assert found.answer is Answer.UNKNOWN
    assert "helper, which runs at suspend, resume or shutdown (foo_remove is .shutdown of the pci_driver foo_driver" in found.question


BOOT = HELPER + "static int __init boot(void)\n{\n\thelper();\n}\nmodule_init(boot);\n"


@pytest.mark.parametrize(
    ("text", "base", "said"),
    [
        (BOOT, None, "helper runs at boot alone, before user space (boot is __init)"),
        (BOOT + EXIT[len(HELPER) :], None, "helper runs at boot alone, before user space ("),  # what is built in has no exit
        (BOOT, "CONFIG_FOO=m\n", "helper, which runs at boot or module load (boot is __init)"),
        (BOOT + "void other(void)\n{\n\thelper();\n}\n", None, ""),
    ],
)
def test_what_runs_at_boot_alone_is_said_as_such_and_proves_nothing(driver: Gate, text: str, base: str | None, said: str) -> None:
    found = driver.asked(text, **({"base": base} if base else {}))
    assert found.answer is Answer.UNKNOWN and (said in found.question if said else not found.question)


def test_a_limit_is_no_proof(driver: Gate) -> None:
    text = PCI.replace("static void helper", "void helper")
    more = {f"drivers/net/u{number}.c": "/* helper */\n" for number in range(4)}
    assert driver.asked(text, more=more, bounds=call_paths.SearchBounds(16, 2, 40, 5000)).answer is Answer.UNKNOWN
    assert driver.asked(text, more=more).answer is Answer.NO


def test_what_a_start_runs_is_told_apart_from_what_a_device_does(driver: Gate) -> None:
    start = "static void prepare(void)\n{\n}\nstatic int __init foo_init(void)\n{\n\tprepare();\n\treturn pci_register_driver(&foo_driver);\n}\nmodule_init(foo_init);\n"
    driver.asked(PCI.replace("module_pci_driver(foo_driver);\n", start))

    def at_boot(name: str) -> str:
        with Objects(find(driver.kernel.path), 16 << 20) as objects:
            source = Source(objects, driver.kernel.head())
            return teardown.without_device([("drivers/net/foo.c", name)], source, tree.Kernel(source, "x86_64", "gcc-12", None), BOUNDS)

    assert "foo_init is __init" in at_boot("prepare") and "foo_init is __init" in at_boot("foo_init")
    assert at_boot("helper") == "" and at_boot("foo_remove") == ""
    assert "could be found" in at_boot("nowhere")


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        ("static void __exit /* of the module */ foo_exit(void)", Answer.NO),
        ("static void /* once __exit */ foo_exit(void)", Answer.UNKNOWN),
        ("#ifdef MODULE\nstatic void __exit foo_exit(void)\n#else\nstatic void foo_exit(void)\n#endif", Answer.UNKNOWN),
    ],
)
def test_what_is_an_exit_under_some_options_runs_under_the_others(driver: Gate, head: str, answer: Answer) -> None:
    text = EXIT.replace("static void __exit foo_exit(void)", head).replace("module_exit", "register_reboot_notifier")
    assert driver.asked(text).answer is answer


INIT = "static int it(void)\n{\n}\n"


def without_device(driver: Gate, text: str, name: str, more: dict[str, str] | None = None, base: str | None = None) -> str:
    driver.asked(text, more=more)
    with Objects(find(driver.kernel.path), 16 << 20) as objects:
        kernel = tree.Kernel(Source(objects, driver.kernel.head()), "x86_64", "gcc-12", base)
        return teardown.without_device([("drivers/net/foo.c", name)], kernel.source, kernel, BOUNDS)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("#define begin(fn) device_initcall(fn)\nbegin(it);\n", {}),
        ("#define really(fn) device_initcall(fn)\n#define begin(fn) really(fn)\nbegin(it);\n", {}),
        ("#define BEGIN device_initcall(it)\nBEGIN;\n", {}),
        ("#define RUN() it()\nstatic int __init start(void)\n{\n\treturn RUN();\n}\nmodule_init(start);\n", {}),
        ("#include <linux/begin.h>\nbegin(it);\n", {"include/linux/begin.h": "#define begin(fn) module_driver(a, fn, fn)\n"}),
    ],
)
def test_what_a_macro_runs_at_boot_needs_no_device(driver: Gate, text: str, more: dict[str, str]) -> None:
    assert without_device(driver, INIT + text, "it", more) != ""


def begins(body: str) -> str:
    return f"static int __init start(void)\n{{\n\t{body}\n}}\nmodule_init(start);\n"


@pytest.mark.parametrize(
    "text",
    [
        begins("return (it)();"),
        begins("return (jiffies ? it : NULL)();"),
        begins("int (*f)(void) = it;\n\treturn f();"),
        begins("p = it;\n\treturn p();"),
        begins("struct one o = { .f = it };\n\treturn o.f();"),
        "static int (*get(void))(void)\n{\n\treturn it;\n}\n" + begins("return get()();"),
        "static int run(int (*f)(void))\n{\n\treturn f();\n}\n" + begins("return run(it);"),
        "static int (*const all[])(void) = { it };\n" + begins("return all[0]();"),
        "#define RUN it()\n" + begins("RUN;\n\treturn 0;"),
        "#define RUN it()\n" + begins("return RUN;"),
        "#define IT it\n" + begins("int (*f)(void) = IT;\n\treturn f();"),
        "#define IT it\nstatic int (*const all[])(void) = { IT };\n" + begins("return all[0]();"),
    ],
)
def test_what_has_the_address_at_boot_may_run_it(driver: Gate, text: str) -> None:
    assert "start is __init" in without_device(driver, INIT + text, "it")


def test_what_a_driver_has_needs_its_device(driver: Gate) -> None:
    table = "static struct pci_driver foo_driver = {\n\t.probe = it,\n};\n"
    assert without_device(driver, INIT + table + begins("return pci_register_driver(&foo_driver);"), "it") == ""
    assert "start is __init" in without_device(driver, INIT + table.replace("pci_driver", "foo_ops") + begins("foo_driver.probe();"), "it")


def test_a_driver_that_the_start_runs_itself_needs_none(driver: Gate) -> None:
    table = INIT + "static struct pci_driver foo_driver = {\n\t.probe = it,\n};\n"
    getter = "static struct pci_driver *get(void)\n{\n\treturn &foo_driver;\n}\n"
    for more in (
        begins("return foo_driver.probe(NULL, NULL);"),
        begins("return run(&foo_driver);"),
        getter + begins("return get()->probe();"),
    ):
        assert "start is __init" in without_device(driver, table + more, "it")
    for more in (
        "module_pci_driver(foo_driver);\n",
        begins("return pci_register_driver(&foo_driver);"),
        begins("foo_driver.driver.name = NULL;"),
    ):
        assert without_device(driver, table + more, "it") == ""


@pytest.mark.parametrize(
    "text",
    [
        "#define RUN() it()\nint open(void)\n{\n\treturn RUN();\n}\n",
        "#define ATTR(name) static int name##_attr = it\nATTR(one);\n",
        "#define ATTR(fn) static void *attr = fn\nATTR(it);\n",
    ],
)
def test_what_a_macro_only_calls_or_holds_is_not_run_at_boot(driver: Gate, text: str) -> None:
    assert without_device(driver, INIT + text, "it") == ""


def test_the_core_of_a_bus_runs_as_its_drivers_register_by_a_macro(driver: Gate) -> None:
    """So do mhi, coreboot, siox, peci, slimbus, spmi, dfl and mcb."""
    header = "#define foo_driver_register(d) __foo_register(d, THIS_MODULE)\n#define module_foo_driver(d) module_driver(d, foo_driver_register, foo_driver_unregister)\nint __foo_register(void *d, void *m);\n"
    core = "int __foo_register(void *d, void *m)\n{\n\treturn 0;\n}\nEXPORT_SYMBOL(__foo_register);\n"
    user = "#include <linux/foo.h>\nmodule_foo_driver(user);\n"
    assert "may run it at boot" in without_device(
        driver, core, "__foo_register", {"include/linux/foo.h": header, "drivers/net/other.c": user}
    )


def test_the_exit_of_what_the_base_has_as_a_module_needs_no_device(driver: Gate) -> None:
    assert "module that is unloaded" in without_device(driver, EXIT, "helper", base="CONFIG_FOO=m\n")
    assert without_device(driver, EXIT, "helper", base="CONFIG_FOO=y\n") == ""
    assert without_device(driver, PCI, "helper", base="CONFIG_FOO=m\n") == ""  # no device, no .remove


def test_what_only_sysfs_unbinds_is_left_out_by_farms_and_said_so(driver: Gate) -> None:
    found = driver.asked(PCI)
    assert found.answer is Answer.NO and "unbind through sysfs only, which farms leave out" in found.facts[0].claim
    assert found.assumptions == ("only hot-unplug or unbind through sysfs runs helper; farms leave that out (fuzz.teardown)",)
    assert driver.asked(EXIT).assumptions == ("drivers/net/foo.c is built in, not a module",)


def test_a_usb_device_is_suspended_while_the_machine_runs(driver: Gate) -> None:
    assert driver.asked(USB.replace(".disconnect", ".suspend")) == Reach(Answer.UNKNOWN)


def test_one_function_that_runs_at_other_times_is_enough_to_say_nothing(driver: Gate) -> None:
    text = PCI + "void helper_of_all(void)\n{\n}\nvoid *kept = helper_of_all;\n"
    assert driver.asked(text, names=("helper", "helper_of_all")) == Reach(Answer.UNKNOWN)
    assert driver.asked(text).answer is Answer.NO
