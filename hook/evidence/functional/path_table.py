"""The path table: what the place of a file in the kernel tree already says.

Functional NO: no file there takes part in what is built. Reachable NO: a kernel for the target is built without it. A place
that only looks harmless, because the build reads it or a build for another architecture borrows it, has a row of its own that
says UNKNOWN and why, and stands before the row that would say NO. Checked against Linux 6.12.
"""

from __future__ import annotations

import dataclasses
import functools
import re

from hook.verdict import Answer


@dataclasses.dataclass(frozen=True)
class Ruling:
    """The answer that the table gives to one question about a path: NO, or UNKNOWN where it only looks like a NO."""

    answer: Answer
    name: str  # what kind of file this is
    why: str


@dataclasses.dataclass(frozen=True)
class PathClass:
    """What is known of a path alone; None where nothing is."""

    functional: Ruling | None
    reachable: Ruling | None

    @property
    def is_harmless(self) -> bool:
        return self.functional is not None and self.functional.answer is Answer.NO

    @property
    def is_out_of_reach(self) -> bool:
        return self.reachable is not None and self.reachable.answer is Answer.NO


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table. For each of the two questions, the first row that matches and has an answer counts."""

    pattern: str  # of the whole path; `{target}` stands for the directory of the target under arch/
    name: str
    functional: Answer | None
    reachable: Answer | None
    why: str


_NO, _OPEN = Answer.NO, Answer.UNKNOWN

# Never named by a makefile of the kernel's build, only by a person (or by a target such as `make tags` or `make coccicheck`).
_PEOPLES_SCRIPTS = (
    "Lindent|bloat-o-meter|bootgraph\\.pl|check-sysctl-docs|check-uapi\\.sh|checkdeclares\\.pl|checkincludes\\.pl|checkkconfigsymbols\\.py"
    "|checkpatch\\.pl|checkstack\\.pl|checktransupdate\\.py|checkversion\\.pl|cleanfile|cleanpatch|coccicheck|const_structs\\.checkpatch"
    "|decode_stacktrace\\.sh|decodecode|dev-needs\\.sh|diffconfig|documentation-file-ref-check|export_report\\.pl|extract-ikconfig"
    "|extract-vmlinux|faddr2line|find-unused-docs\\.sh|get_abi\\.pl|get_dvb_firmware|get_feat\\.pl|get_maintainer\\.pl|gfp-translate"
    "|git\\.orderFile|headerdep\\.pl|leaking_addresses\\.pl|macro_checker\\.py|markup_oops\\.pl|objdump-func|parse-maintainers\\.pl"
    "|patch-kernel|prune-kernel|show_delta|spdxcheck(-test)?\\.(py|sh)|spdxexclude|spelling\\.txt|sphinx-pre-install|split-man\\.pl"
    "|stackdelta|stackusage|tags\\.sh|ver_linux"
)

# mkcapflags.sh takes the names of /proc/cpuinfo from comments, build_OID_registry the numbers of the identifiers; orc_hash.sh,
# and sed in security/apparmor/Makefile, read lines as they stand.
_READ_AS_TEXT = (
    r"arch/x86/include/asm/(cpufeatures|vmxfeatures)\.h|arch/[^/]+/include/asm/orc_types\.h|include/linux/(oid_registry|net|socket)\.h"
    r"|include/uapi/linux/capability\.h|include/uapi/asm-generic/resource\.h|arch/[^/]+/include/uapi/asm/resource\.h"
)

ROWS: tuple[Row, ...] = (
    Row(r"Documentation/Kconfig", "build configuration", _OPEN, None, "the top-level Kconfig reads it, so an option in it would count"),
    Row(r"Documentation/.*", "documentation", _NO, None, "nothing under Documentation/ is built into the kernel"),
    Row(r"(.*/)?[^/]+\.rst", "documentation", _NO, None, "reStructuredText is documentation"),
    Row(r"(.*/)?README(\.md|\.txt)?", "documentation", _NO, None, "a README is read by people only"),
    Row(
        r"MAINTAINERS|CREDITS|COPYING|LICENSES/.*", "project record", _NO, None, "who maintains, wrote and may copy the kernel is not built"
    ),
    Row(r"\.mailmap|\.get_maintainer\.ignore", "project record", _NO, None, "names and addresses are not built"),
    Row(r"(.*/)?\.gitignore", "git and editor settings", _NO, None, "what git ignores is not part of the build"),
    Row(
        r"(.*/)?\.(clang-format|editorconfig|cocciconfig)",
        "git and editor settings",
        _NO,
        None,
        "an editor's or a checker's settings are not built",
    ),
    Row(r"(.*/)?\.gitattributes", "git attributes", _OPEN, None, "attributes can change the content of files at checkout"),
    Row(r"tools/(.*/)?Documentation/.*", "documentation", _NO, None, "nothing under a tool's Documentation/ is built into the kernel"),
    Row(r"tools/(objtool|bpf/resolve_btfids)/.*", "build tool", _OPEN, None, "this tool rewrites or checks the objects of the kernel"),
    # what the build links into its tools: libsubcmd, and of libbpf what reads and writes BTF
    Row(
        r"tools/lib/(api|symbol|perf|thermal)/.*",
        "user-space tool",
        _NO,
        None,
        "a library of programs such as perf, which the kernel's build does not use",
    ),
    Row(
        r"tools/lib/bpf/(ringbuf|netlink|usdt|linker|gen_loader)\.c|tools/lib/bpf/usdt\.bpf\.h",
        "user-space tool",
        _NO,
        None,
        "a part of libbpf that resolve_btfids, the one user of it in the kernel's build, never calls",
    ),
    Row(
        r"tools/build/feature/test-[^/]*",
        "user-space tool",
        _NO,
        None,
        "a probe for what programs under tools/ can be built with; nothing of it is in the kernel",
    ),
    Row(
        r"tools/(lib|include|arch|build|scripts)/.*|tools/Makefile",
        "build tool",
        _OPEN,
        None,
        "objtool, resolve_btfids and sorttable are built from it, and they write into the kernel",
    ),
    Row(r"tools/testing/.*", "test of the kernel", _NO, None, "a test under tools/testing/ is not part of the kernel"),
    Row(r"tools/.*", "user-space tool", _NO, None, "a program under tools/ that the kernel's build does not use"),
    Row(r"scripts/gcc-plugins/.*", "compiler plugin", _OPEN, None, "a compiler plugin changes the code of every object"),
    Row(r"scripts/mod/.*", "module post-processing", _OPEN, None, "modpost writes the tables and checks of every module"),
    Row(r"scripts/(.*/)?(Makefile|Kbuild|Kconfig)[^/]*", "build rules", _OPEN, None, "these rules say how every object is compiled"),
    Row(r"scripts/(coccinelle|ksymoops|tracing)/.*", "developer's script", _NO, None, "run by a person, never by the build"),
    Row(r"scripts/gdb/.*\.py(\.in)?", "developer's script", _NO, None, "read by a debugger; nothing of it is linked into the kernel"),
    Row(rf"scripts/({_PEOPLES_SCRIPTS})", "developer's script", _NO, None, "run by a person, never by the build"),
    Row(r"scripts/.*", "build script", _OPEN, None, "the build may run it"),
    Row(r"samples/.*", "sample", _OPEN, None, "kernel code under CONFIG_SAMPLES, or a program beside it"),
    Row(r"usr/.*", "initial file system", _OPEN, None, "what usr/ makes is linked into the kernel"),
    Row(r"(.*/)?Kconfig[^/]*", "build configuration", _OPEN, None, "options decide what is built"),
    Row(r"(.*/)?(Makefile|Kbuild)[^/]*|.*\.mk", "build rules", _OPEN, None, "build rules decide what is built, and how"),
    Row(
        _READ_AS_TEXT,
        "header read as text",
        _OPEN,
        None,
        "a script of the build reads this header line by line, comments and white space too",
    ),
    Row(r"include/dt-bindings/.*", "device tree constants", None, _OPEN, "drivers in C include these headers too"),
    # arm64, arm and x86 never link a tree from boot/dts into the kernel; others can (CONFIG_BUILTIN_DTB)
    Row(
        r"arch/(?!{target}/)[^/]+/boot/dts/.*|arch/(arm|arm64|x86)/boot/dts/.*\.dts[io]?",
        "device tree",
        _NO,
        _NO,
        "a device tree source describes a board; it is no code of the kernel for this target",
    ),
    Row(r".*\.dts[io]?", "device tree", None, _OPEN, "a device tree outside of the boards' own can be linked into the kernel"),
    # what a kernel for one architecture borrows from another
    Row(
        r"arch/x86/include/asm/intel-family\.h",
        "borrowed header",
        None,
        _OPEN,
        "include/linux/peci-cpu.h includes it on every architecture",
    ),
    Row(
        r"arch/arm/(mach|plat)-[^/]+/.*\.h",
        "borrowed header",
        None,
        _OPEN,
        "drivers that build with COMPILE_TEST include such headers (drivers/staging/media/omap4iss)",
    ),
    Row(r"arch/sh/include/.*", "borrowed header", None, _OPEN, "drivers/pinctrl/renesas includes these with COMPILE_TEST"),
    Row(
        r"arch/[^/]+/.+/Kconfig[^/]*",
        "build configuration",
        None,
        _OPEN,
        "Kconfig files outside of the architecture's own read such files (crypto/Kconfig, drivers/ras/Kconfig)",
    ),
)
_BORROWED: dict[str, tuple[Row, ...]] = {
    "arm64": (
        Row(
            r"arch/arm/(xen|vdso|kvm|include)/.*",
            "borrowed code",
            None,
            _OPEN,
            "arm64 builds or runs parts of arch/arm/ (xen, vdso, older KVM)",
        ),
    ),
    "um": (Row(r"arch/x86/.*", "borrowed code", None, _OPEN, "user mode Linux is built from parts of arch/x86/"),),
}
_OWN_USER_MODE = Row(
    r"arch/x86/(um/.*|Makefile\.um)",
    "other architecture",
    None,
    _NO,
    "arch/x86/um/ is built for user mode Linux only, not for {target}",
)
_OTHER = Row(
    r"arch/(?!{target}/)[^/]+/.*",
    "other architecture",
    None,
    _NO,
    "{place}/ is code of another architecture: a kernel for {target} is built without it",
)

_ARCHITECTURES = frozenset(  # as the directories of arch/ are named
    (
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
    )
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
    """What `path` says of a change to it, for a kernel that is built for `target_arch` (as in ARCH= or `uname -m`).

    An architecture that is not known here makes no other architecture unreachable.
    """
    target = _ALIASES.get(target_arch, target_arch)
    matching = [row for pattern, row in _rows(target) if pattern.fullmatch(path)]
    words = {"{target}": target_arch, "{place}": "/".join(path.split("/")[:2])}
    return PathClass(
        next((Ruling(row.functional, row.name, _filled(row.why, words)) for row in matching if row.functional is not None), None),
        next((Ruling(row.reachable, row.name, _filled(row.why, words)) for row in matching if row.reachable is not None), None),
    )


def _filled(text: str, words: dict[str, str]) -> str:
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


@functools.cache
def _rows(target: str) -> list[tuple[re.Pattern[str], Row]]:
    """The rows that count for a target, in their order."""
    known = target in _ARCHITECTURES
    rows = [*ROWS, *_BORROWED.get(target, ())]
    if known and target != "um":
        rows.append(_OWN_USER_MODE)
    if known:
        rows.append(_OTHER)
    # a newline is a legal byte of a path, and `.` has to match it
    return [(re.compile(row.pattern.replace("{target}", target if known else "[^/]+"), re.DOTALL), row) for row in rows]


def language(path: str) -> str | None:
    """How the tokens of `path` are compared: c, asm, rust, kconfig or make; None where they cannot be.

    Linker scripts (`.lds.S`), included fragments (`.inc`) and grammars have no reader here. A header that a script
    of the build reads as text has none either: its comments count.
    """
    if re.fullmatch(_READ_AS_TEXT, path):
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
