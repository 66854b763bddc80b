"""The path table: what the path of a file in the kernel tree already proves.

Functional NO: no file there is built into the kernel. Reachable NO: a kernel for the target is built without it. Some paths only look
harmless: the build reads them, or another architecture borrows them. Each of these has a row of its own that says UNKNOWN and why, before
the row that would say NO. Checked against Linux 6.12 and 7.1.
"""

from __future__ import annotations

import functools
import re

import msgspec

from hook import lazy_re
from hook.evidence.change_classes import ChangeClass
from hook.verdict import Answer


class Row(msgspec.Struct, frozen=True):
    """One row of the table. For each of the two questions, the first row that matches and has an answer counts."""

    pattern: str  # of the whole path; `{target}` stands for the directory of the target under arch/
    why: str
    harmless: ChangeClass | None = None  # functional: no, and what kind of edit a change there is
    may_be_built: bool = False  # functional: unknown, although a later row would say no
    other_target: bool = False  # reachable: no
    may_be_borrowed: bool = False  # reachable: unknown, although a later row would say no

    @property
    def functional(self) -> Answer | None:
        return Answer.NO if self.harmless else Answer.UNKNOWN if self.may_be_built else None

    @property
    def reachable(self) -> Answer | None:
        return Answer.NO if self.other_target else Answer.UNKNOWN if self.may_be_borrowed else None


class PathClass(msgspec.Struct, frozen=True):
    """What is known of a path alone: the row that answers each question, None where no row does."""

    functional: Row | None
    reachable: Row | None

    @property
    def is_harmless(self) -> bool:
        return self.functional is not None and self.functional.functional is Answer.NO

    @property
    def is_out_of_reach(self) -> bool:
        return self.reachable is not None and self.reachable.reachable is Answer.NO


# Never named by a makefile of the kernel's build, only by a person (or by a target such as `make tags` or `make coccicheck`).
_DEVELOPER_SCRIPTS = (
    "Lindent|bloat-o-meter|bootgraph\\.pl|check-sysctl-docs|check-uapi\\.sh|checkdeclares\\.pl|checkincludes\\.pl|checkkconfigsymbols\\.py"
    "|checkpatch\\.pl|checkstack\\.pl|checktransupdate\\.py|checkversion\\.pl|cleanfile|cleanpatch|coccicheck|const_structs\\.checkpatch"
    "|decode_stacktrace\\.sh|decodecode|dev-needs\\.sh|diffconfig|documentation-file-ref-check|export_report\\.pl|extract-ikconfig"
    "|extract-vmlinux|faddr2line|find-unused-docs\\.sh|get_abi\\.pl|get_dvb_firmware|get_feat\\.pl|get_maintainer\\.pl|gfp-translate"
    "|git\\.orderFile|headerdep\\.pl|leaking_addresses\\.pl|macro_checker\\.py|markup_oops\\.pl|objdump-func|parse-maintainers\\.pl"
    "|patch-kernel|prune-kernel|show_delta|spdxcheck(-test)?\\.(py|sh)|spdxexclude|spelling\\.txt|sphinx-pre-install|split-man\\.pl"
    "|stackdelta|stackusage|tags\\.sh|ver_linux"
)

# mkcapflags.sh takes the names of /proc/cpuinfo from comments, build_OID_registry the numbers of the identifiers; orc_hash.sh,
# sed in security/apparmor/Makefile, and makemapdata of speakup (the keys) read lines as they stand.
_READ_AS_TEXT = (
    r"arch/x86/include/asm/(cpufeatures|vmxfeatures)\.h|arch/[^/]+/include/asm/orc_types\.h|include/linux/(oid_registry|net|socket)\.h"
    r"|include/linux/input\.h|include/uapi/linux/input-event-codes\.h|include/uapi/linux/capability\.h|include/uapi/asm-generic/resource\.h|arch/[^/]+/include/uapi/asm/resource\.h"
)

_READ_BY_LINE = lazy_re.compile(_READ_AS_TEXT)
_GROUP = lazy_re.compile(r"\([^()]*\)")  # of a pattern, without another in it

ROWS: tuple[Row, ...] = (
    Row(r"Documentation/Kconfig", "the top-level Kconfig reads it, so an option in it would count", may_be_built=True),
    Row(r"Documentation/.*", "nothing under Documentation/ is built into the kernel", harmless=ChangeClass.DOCUMENTATION),
    Row(r"(.*/)?[^/]+\.rst", "reStructuredText is documentation", harmless=ChangeClass.DOCUMENTATION),
    Row(r"(.*/)?README(\.md|\.txt)?", "a README is read by people only", harmless=ChangeClass.DOCUMENTATION),
    Row(
        r"MAINTAINERS|CREDITS|COPYING|LICENSES/[a-z]+/(?!Makefile|Kbuild|Kconfig)[^/]+(?<!\.[chSo])(?<!\.rs)",
        "who maintains, wrote and may copy the kernel is not built",
        harmless=ChangeClass.PROJECT_RECORD,
    ),
    Row(r"\.mailmap|\.get_maintainer\.ignore", "names and addresses are not built", harmless=ChangeClass.PROJECT_RECORD),
    Row(r"(.*/)?OWNERS", "who may review is not built", harmless=ChangeClass.PROJECT_RECORD),
    # the lists of symbols beside it are read by the build: they decide what a module may use (gki_module_unprotected.h)
    Row(r"android/[^/]*\.stg(\.allowed_breaks)?", "a description of the ABI, for a comparison", harmless=ChangeClass.PROJECT_RECORD),
    Row(r"Next/(SHA1s|Trees|[a-z-]+\.log)", "linux-next's record of what was merged is not built", harmless=ChangeClass.PROJECT_RECORD),
    Row(r"(.*/)?\.gitignore", "what git ignores is not part of the build", harmless=ChangeClass.GIT_SETTINGS),
    Row(
        r"(.*/)?\.(clang-format|editorconfig|cocciconfig)",
        "an editor's or a checker's settings are not built",
        harmless=ChangeClass.GIT_SETTINGS,
    ),
    Row(
        r"\.(github|gitlab|vscode|idea|husky|devcontainer)/.*|\.(gitlab-ci|pre-commit-config|patch-triage)\.ya?ml|\.?lefthook(-local)?\.ya?ml"
        r"|\.b4-config|\.gitreview|(PREUPLOAD|PRESUBMIT)\.cfg|(.*/)?\.kunitconfig",
        "a developer's own set-up is not part of the build",
        harmless=ChangeClass.GIT_SETTINGS,
    ),
    Row(r"(.*/)?\.gitattributes", "attributes can change the content of files at checkout", may_be_built=True),
    Row(
        r"tools/(.*/)?Documentation/.*",
        "nothing under a tool's Documentation/ is built into the kernel",
        harmless=ChangeClass.DOCUMENTATION,
    ),
    Row(r"tools/(objtool|bpf/resolve_btfids)/.*", "this tool rewrites or checks the objects of the kernel", may_be_built=True),
    # what the build links into its tools: libsubcmd, and of libbpf what reads and writes BTF
    Row(
        r"tools/lib/(api|symbol|perf|thermal)/.*",
        "a library of programs such as perf, which the kernel's build does not use",
        harmless=ChangeClass.USER_TOOL,
    ),
    Row(
        r"tools/lib/bpf/(ringbuf|netlink|usdt|linker|gen_loader)\.c|tools/lib/bpf/usdt\.bpf\.h",
        "a part of libbpf that resolve_btfids, the one user of it in the kernel's build, never calls",
        harmless=ChangeClass.USER_TOOL,
    ),
    Row(
        r"tools/build/feature/test-[^/]*",
        "a probe for what programs under tools/ can be built with; nothing of it is in the kernel",
        harmless=ChangeClass.USER_TOOL,
    ),
    Row(
        r"tools/(lib|include|arch|build|scripts)/.*|tools/Makefile",
        "objtool, resolve_btfids and sorttable are built from it, and they write into the kernel",
        may_be_built=True,
    ),
    Row(r"tools/testing/.*", "a test under tools/testing/ is not part of the kernel", harmless=ChangeClass.KERNEL_TEST),
    Row(r"tools/.*", "a program under tools/ that the kernel's build does not use", harmless=ChangeClass.USER_TOOL),
    Row(r"scripts/gcc-plugins/.*", "a compiler plugin changes the code of every object", may_be_built=True),
    Row(r"scripts/mod/.*", "modpost writes the tables and checks of every module", may_be_built=True),
    Row(r"scripts/(.*/)?(Makefile|Kbuild|Kconfig)[^/]*", "these rules say how every object is compiled", may_be_built=True),
    Row(r"scripts/(coccinelle|ksymoops|tracing)/.*", "run by a person, never by the build", harmless=ChangeClass.DEVELOPER_SCRIPT),
    Row(r"scripts/gdb/.*\.py(\.in)?", "read by a debugger; nothing of it is linked into the kernel", harmless=ChangeClass.DEVELOPER_SCRIPT),
    Row(rf"scripts/({_DEVELOPER_SCRIPTS})", "run by a person, never by the build", harmless=ChangeClass.DEVELOPER_SCRIPT),
    Row(r"scripts/.*", "the build may run it", may_be_built=True),
    Row(r"samples/.*", "kernel code under CONFIG_SAMPLES, or a program beside it", may_be_built=True),
    Row(r"usr/.*", "what usr/ makes is linked into the kernel", may_be_built=True),
    Row(r"(.*/)?Kconfig[^/]*", "options decide what is built", may_be_built=True),
    Row(r"(.*/)?(Makefile|Kbuild)[^/]*|.*\.mk", "build rules decide what is built, and how", may_be_built=True),
    Row(_READ_AS_TEXT, "a script of the build reads this header line by line, comments and white space too", may_be_built=True),
    Row(r"include/dt-bindings/.*", "drivers in C include these headers too", may_be_borrowed=True),
    # arm64, arm and x86 never link a tree from boot/dts into the kernel; others can (CONFIG_BUILTIN_DTB)
    Row(
        r"arch/(?!{target}/)[^/]+/boot/dts/.*|arch/(arm|arm64|x86)/boot/dts/.*\.dts[io]?",
        "a device tree source describes a board; it is no code of the kernel for this target",
        harmless=ChangeClass.DEVICE_TREE,
        other_target=True,
    ),
    Row(r".*\.dts[io]?", "a device tree outside of the boards' own can be linked into the kernel", may_be_borrowed=True),
    # what a kernel for one architecture borrows from another
    Row(r"arch/x86/include/asm/intel-family\.h", "include/linux/peci-cpu.h includes it on every architecture", may_be_borrowed=True),
    Row(
        r"arch/arm/(mach|plat)-[^/]+/.*\.h",
        "drivers that build with COMPILE_TEST include such headers (drivers/staging/media/omap4iss)",
        may_be_borrowed=True,
    ),
    Row(r"arch/sh/include/.*", "drivers/pinctrl/renesas includes these with COMPILE_TEST", may_be_borrowed=True),
    Row(
        r"arch/[^/]+/.+/Kconfig[^/]*",
        "Kconfig files outside of the architecture's own read such files (crypto/Kconfig, drivers/ras/Kconfig)",
        may_be_borrowed=True,
    ),
)
_BORROWED: dict[str, tuple[Row, ...]] = {
    "arm64": (
        Row(r"arch/arm/(xen|vdso|kvm|include)/.*", "arm64 builds or runs parts of arch/arm/ (xen, vdso, older KVM)", may_be_borrowed=True),
    ),
    "um": (Row(r"arch/x86/.*", "user mode Linux is built from parts of arch/x86/", may_be_borrowed=True),),
}
_OWN_USER_MODE = Row(
    r"arch/x86/(um/.*|Makefile\.um)", "arch/x86/um/ is built for user mode Linux only, not for {target}", other_target=True
)
_OTHER = Row(
    r"arch/(?!{target}/)[^/]+/.*", "{place}/ is code of another architecture: a kernel for {target} is built without it", other_target=True
)

# as the directories of arch/ are named
_ARCHITECTURES = frozenset(
    [
        "alpha",
        "arc",
        "arm",
        "arm64",
        "csky",
        "hexagon",
        "loongarch",
        "m68k",
        "microblaze",
        "mips",
        "nios2",
        "openrisc",
        "parisc",
        "powerpc",
        "riscv",
        "s390",
        "sh",
        "sparc",
        "um",
        "x86",
        "xtensa",
    ]
)
_ALIASES = {
    "x86_64": "x86",
    "i386": "x86",
    "amd64": "x86",
    "aarch64": "arm64",
    "ppc": "powerpc",
    "ppc64": "powerpc",
    "ppc64le": "powerpc",
    "riscv64": "riscv",
    "riscv32": "riscv",
    "s390x": "s390",
    "mips64": "mips",
    "sparc64": "sparc",
    "loongarch64": "loongarch",
    "parisc64": "parisc",
}


def classify(path: str, target_arch: str) -> PathClass:
    """What `path` proves of a change to it, for a kernel that is built for `target_arch` (as in ARCH= or `uname -m`).

    With an architecture that is not known here, no code is out of reach.
    """
    place = "/".join(path.split("/")[:2])
    matching = [
        msgspec.structs.replace(row, why=row.why.replace("{target}", target_arch).replace("{place}", place))
        for start, pattern, row in _rows(directory_of(target_arch))
        if path.startswith(start) and pattern.fullmatch(path)
    ]
    return PathClass(
        next((row for row in matching if row.functional is not None), None),
        next((row for row in matching if row.reachable is not None), None),
    )


def directory_of(target_arch: str) -> str:
    """The directory under arch/ of an architecture by any of its names."""
    return _ALIASES.get(target_arch, target_arch)


@functools.cache
def _rows(target: str) -> list[tuple[str, re.Pattern[str], Row]]:
    """The rows that count for a target, in their order, each with its pattern and what every path of that begins with."""
    known = target in _ARCHITECTURES
    rows = [*ROWS, *_BORROWED.get(target, ())]
    if known and target != "um":
        rows.append(_OWN_USER_MODE)
    if known:
        rows.append(_OTHER)
    patterns = [row.pattern.replace("{target}", target if known else "[^/]+") for row in rows]
    # a newline is a legal byte of a path
    return [(_start(pattern), lazy_re.compile(pattern, re.DOTALL), row) for pattern, row in zip(patterns, rows, strict=True)]


def _start(pattern: str) -> str:
    """The directory that every path which a pattern matches begins with, so that few patterns are compiled; empty where it is not one."""
    rest, shorter = pattern, _GROUP.sub("", pattern)
    while shorter != rest:
        rest, shorter = shorter, _GROUP.sub("", shorter)
    first, *others = {alternative.partition("/")[:2] for alternative in rest.split("|")}
    return "".join(first) if not others and first[0].isalnum() and first[1] else ""


def language(path: str) -> str | None:
    """How the tokens of `path` are compared: c, asm, rust, kconfig or make; None where they cannot be.

    Linker scripts (`.lds.S`), included fragments (`.inc`) and grammars have no reader here. A header that a script
    of the build reads as text has none either: its comments count.
    """
    if _READ_BY_LINE.fullmatch(path):
        return None
    name = path.rpartition("/")[2]
    if name.endswith((".c", ".h")):
        return "c"
    if name.endswith(".S"):
        return None if name.endswith(".lds.S") else "asm"
    if name.endswith(".rs"):
        return "rust"
    if name == "Kconfig" or name.startswith("Kconfig."):
        return None if name == "Kconfig.include" else "kconfig"
    if name in ("Makefile", "Kbuild") or name.startswith(("Makefile.", "Kbuild.")):
        return "make"
    return None
