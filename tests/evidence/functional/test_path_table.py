"""What the path table says, and what it must not say."""

import pytest

from hook.evidence.functional import path_table
from hook.verdict import Answer


@pytest.mark.parametrize(
    "path",
    [
        "Documentation/admin-guide/mm/numaperf.rst",
        "Documentation/devicetree/bindings/iio/adc/x.yaml",
        "Documentation/Makefile",
        "drivers/firmware/arm_scmi/vendors/imx/imx95.rst",
        "MAINTAINERS",
        "CREDITS",
        "COPYING",
        "LICENSES/preferred/GPL-2.0",
        ".mailmap",
        ".gitignore",
        "arch/x86/boot/.gitignore",
        ".get_maintainer.ignore",
        ".clang-format",
        ".pre-commit-config.yaml",
        ".patch-triage.yaml",
        ".github/workflows/ci.yml",
        ".gitlab-ci.yml",
        ".vscode/settings.json",
        "lefthook.yml",
        "PREUPLOAD.cfg",
        "fs/ext4/.kunitconfig",
        ".editorconfig",
        "tools/testing/selftests/mm/Makefile",
        "tools/testing/selftests/bpf/test.c",
        "tools/perf/builtin-top.c",
        "tools/bpf/bpftool/main.c",
        "scripts/checkpatch.pl",
        "scripts/get_maintainer.pl",
        "scripts/coccinelle/free/kfree.cocci",
        "drivers/android/OWNERS",
        "android/abi_gki_aarch64.stg",
        "android/abi_gki_aarch64.stg.allowed_breaks",
        "Next/SHA1s",
    ],
)
def test_what_the_build_never_reads_is_not_functional(path):
    assert path_table.classify(path, "x86_64").is_harmless


@pytest.mark.parametrize(
    "path",
    [
        "scripts/gcc-plugins/stackleak_plugin.c",
        "scripts/mod/modpost.c",
        "scripts/Makefile.build",
        "scripts/link-vmlinux.sh",
        "scripts/kconfig/lexer.l",
        "scripts/coccinelle/Makefile",
        "tools/objtool/check.c",
        "tools/bpf/resolve_btfids/main.c",
        "tools/lib/subcmd/exec-cmd.c",
        "tools/lib/bpf/btf.c",
        "tools/include/linux/list.h",
        "tools/arch/x86/lib/insn.c",
        "tools/build/Makefile.build",
        "tools/scripts/Makefile.include",
        "samples/kprobes/kprobe_example.c",
        "usr/gen_init_cpio.c",
        "mm/Kconfig",
        "lib/Kconfig.debug",
        "mm/Makefile",
        "Kbuild",
        "Documentation/Kconfig",
        ".gitattributes",
    ],
)
def test_what_the_build_may_use_stays_open_with_a_reason(path):
    row = path_table.classify(path, "x86_64").functional
    assert row is not None and row.functional is Answer.UNKNOWN and row.why


@pytest.mark.parametrize(
    "path",
    [
        "mm/mempolicy.c",
        "include/linux/mm.h",
        "arch/x86/lib/x86-opcode-map.txt",
        "drivers/x/documentation.c",
        "arch/x86/kernel/tools/x.c",
        "net/MAINTAINERS.c",
        "mm/x.rst\nmm/y.c",
        "android/abi_gki_aarch64_pixel",
        "build.config.gki",
        "BUILD.bazel",
        "modules.bzl",
        "localversion-next",
        "mm/Next/x.c",
    ],
)
def test_of_kernel_source_the_path_says_nothing(path):
    found = path_table.classify(path, "x86_64")
    assert (found.functional, found.reachable) == (None, None)


@pytest.mark.parametrize(
    ("path", "target", "reachable"),
    [
        ("arch/arm64/kernel/entry.S", "x86_64", Answer.NO),
        ("arch/arm64/kernel/entry.S", "arm64", None),
        ("arch/arm64/kernel/entry.S", "aarch64", None),
        ("arch/x86/kernel/cpu/common.c", "x86_64", None),
        ("arch/x86/kernel/cpu/common.c", "arm64", Answer.NO),
        ("arch/um/kernel/process.c", "x86_64", Answer.NO),
        ("arch/x86/um/signal.c", "x86_64", Answer.NO),
        ("arch/x86/um/signal.c", "um", Answer.UNKNOWN),
        ("arch/x86/lib/insn.c", "um", Answer.UNKNOWN),
        ("arch/arm/xen/enlighten.c", "arm64", Answer.UNKNOWN),
        ("arch/arm/xen/enlighten.c", "x86_64", Answer.NO),
        ("arch/arm/mach-omap2/control.h", "x86_64", Answer.UNKNOWN),
        ("arch/x86/include/asm/intel-family.h", "arm64", Answer.UNKNOWN),
        ("arch/arm/crypto/Kconfig", "x86_64", Answer.UNKNOWN),
        ("arch/arm/Kconfig", "x86_64", Answer.NO),
        ("arch/Kconfig", "x86_64", None),
        ("arch/arm64/boot/dts/qcom/sm8350.dtsi", "x86_64", Answer.NO),
        ("arch/arm64/boot/dts/qcom/sm8350.dtsi", "arm64", Answer.NO),
        ("arch/riscv/boot/dts/canaan/k210.dtsi", "riscv", Answer.UNKNOWN),
        ("drivers/of/unittest-data/overlay.dtso", "x86_64", Answer.UNKNOWN),
        ("arch/x86/platform/ce4100/falconfalls.dts", "x86_64", Answer.UNKNOWN),
        ("include/dt-bindings/clock/x.h", "x86_64", Answer.UNKNOWN),
        ("arch/arm64/kernel/entry.S", "an-architecture-of-tomorrow", None),
    ],
)
def test_reachable_is_no_only_where_no_kernel_for_the_target_is_built_from_it(path, target, reachable):
    row = path_table.classify(path, target).reachable
    assert (row and row.reachable) == reachable


def test_a_makefile_of_another_architecture_keeps_its_two_answers_apart():
    found = path_table.classify("arch/s390/Makefile", "x86_64")
    assert found.functional is not None and found.functional.functional is Answer.UNKNOWN
    assert found.reachable is not None and found.reachable.reachable is Answer.NO
    assert found.reachable.why == "arch/s390/ is code of another architecture: a kernel for x86_64 is built without it"


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("mm/a.c", "c"),
        ("include/a.h", "c"),
        ("a.S", "asm"),
        ("arch/x86/kernel/vmlinux.lds.S", None),
        ("rust/a.rs", "rust"),
        ("Kconfig", "kconfig"),
        ("lib/Kconfig.debug", "kconfig"),
        ("scripts/Kconfig.include", None),
        ("mm/Makefile", "make"),
        ("scripts/Makefile.lib", "make"),
        ("scripts/Kbuild.include", "make"),
        ("a.inc", None),
        ("a.y", None),
        ("Kconfig.c", "c"),
        ("arch/x86/include/asm/cpufeatures.h", None),
        ("include/linux/oid_registry.h", None),
        ("include/uapi/linux/input-event-codes.h", None),
        ("include/linux/input-polldev.h", "c"),
        ("include/uapi/linux/capability.h", None),
    ],
)
def test_the_language_follows_the_name(path, language):
    assert path_table.language(path) == language


@pytest.mark.parametrize("path", ["fs/.vscode/main.c", "fs/ext4/kunitconfig", "fs/lefthook.yml", ".github", "mm/PREUPLOAD.cfg"])
def test_a_developers_set_up_counts_only_where_it_is_looked_for(path):
    assert not path_table.classify(path, "x86_64").is_harmless
