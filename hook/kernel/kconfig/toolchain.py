"""The toolchain: the answers to Kconfig's probes of compilers and tools, without running any.

Kconfig probes with `$(shell,…)` and the macros of scripts/Kconfig.include. Here a table answers, for the toolchain that the setting
`fuzz.toolchain` names. What is not in the table is answered as for a complete and recent GNU toolchain. An answer is no proof: the
Kconfig parser notes which options depend on one. Clang comes with LLVM's own tools, as with `make LLVM=1`; gcc with the GNU ones.
The probes were checked on Linux 6.1, 6.12 and 7.1, the versions against the release notes of gcc up to 16 and LLVM up to 22.
"""

from __future__ import annotations

import msgspec

from hook import lazy_re
from hook.setting_checks import TOOLCHAIN

# flags of cc-option, with the first major version of gcc and of clang that accepts them; 0: never. The first row in the flag counts.
_FLAGS: tuple[tuple[str, int, int], ...] = (
    ("-D__SIZEOF_INT128__=0", 0, 0),  # a redefinition: CC_HAS_INT128 tests that it fails
    ("-mllvm", 0, 14),
    ("enable-trivial-auto-var-init-zero-knowing", 0, 8),
    ("-ftrivial-auto-var-init=", 12, 16),
    ("-fsanitize=kernel-memory", 0, 14),
    ("-fsanitize=kernel-hwaddress", 0, 11),
    ("-fsanitize-kcfi-arity", 0, 21),
    ("-fsanitize=kcfi", 0, 16),
    ("-fsanitize=implicit-", 0, 7),
    ("-fsanitize=unsigned-integer-overflow", 0, 3),
    ("-fsanitize-undefined-ignore-overflow-pattern", 0, 20),
    ("-fsanitize-ignorelist", 0, 13),
    ("-fsanitize-coverage-stack-depth-callback-min", 0, 21),
    ("-fsanitize-coverage=trace-cmp", 8, 4),
    ("-fms-anonymous-structs", 0, 23),
    ("-fsanitize=shadow-call-stack", 12, 10),
    ("-fsanitize=array-bounds", 0, 3),
    ("-fsanitize=local-bounds", 0, 3),
    ("-fsanitize=bounds-strict", 5, 0),
    ("--param asan-kernel-mem-intrinsic-prefix", 13, 0),
    ("--param tsan-distinguish-volatile", 11, 0),
    ("--param tsan-compound-read-before-write", 11, 0),
    ("-fsanitize=thread", 11, 11),
    ("-frandomize-layout-seed-file", 0, 15),
    ("-fzero-call-used-regs", 11, 15),
    ("-fmin-function-alignment", 14, 0),
    ("-mharden-sls", 12, 15),
    ("-mrecord-mcount", 5, 0),
    ("-mfentry", 4, 10),
    ("-fpatchable-function-entry", 8, 10),
    ("-fcf-protection", 8, 7),
    ("-mfunction-return=thunk-extern", 8, 15),
    ("-mindirect-branch=thunk", 8, 0),
    ("-mretpoline", 0, 5),
    ("-Wimplicit-fallthrough=5", 7, 0),
    ("-Wunreachable-code-fallthrough", 0, 14),
    ("-Wno-main", 4, 0),
    ("-fconserve-stack", 4, 0),
    ("-fno-allow-store-data-races", 10, 0),
    ("-fstrict-flex-arrays", 13, 16),
    ("-falign-jumps=0", 4, 0),
    ("-mstack-protector-guard", 8, 16),
    ("-gz=zstd", 13, 16),
    ("-gdwarf-5", 7, 11),
    ("-Wa,", 4, 3),
)

# commands of `$(success,…)` and `$(shell,…)`, by a part of the command: the first version of gcc and of clang with which they succeed
_COMMANDS: tuple[tuple[str, int, int], ...] = (
    ("rust_is_available", -1, -1),  # answered from the toolchain's own rustc
    ("import lxml", 0, 0),
    ("plugin-version.h", 0, 0),
    ("grep -qv llvm", 1, 0),
    ("grep -qi llvm", 0, 1),
    ("__counted_by__", 15, 19),
    ("__nonstring__", 15, 21),
    ("-mprofile-kernel", 1, 1),
    ("gcc-thunk-extern", 1, 0),
    ("ppc-", 1, 1),
    ("-static", 1, 1),
    ("$(m32-flag)", 0, 0),
    ("cc-can-link", 1, 1),
    ("tools-support-relr", 1, 1),
    ("no_profile_instrument_function", 7, 13),
    ("asm goto(", 1, 1),
    ("__seg_fs", 1, 10),
)

_TOOLCHAIN = lazy_re.compile(TOOLCHAIN)
_BETWEEN = lazy_re.compile(r"[ ,+]")  # tools
_BINUTILS = "24000"  # 2.40, as scripts/ld-version.sh writes it
# the first release of rustc with each LLVM, from the release notes of Rust
_RUSTC_LLVM = (((1, 91), 21), ((1, 87), 20), ((1, 82), 19), ((1, 78), 18), ((1, 73), 17), ((1, 0), 16))


class NotAToolchain(ValueError):
    """A name that is no toolchain; the sentence says what is."""


class Toolchain(msgspec.Struct, frozen=True):
    """A compiler and the tools that come with it."""

    compiler: str  # gcc or clang
    major: int
    pahole: str = ""  # 1.25; empty if there is none
    rustc: str = ""

    @property
    def name(self) -> str:
        return f"{self.compiler}-{self.major}"

    @property
    def version(self) -> str:
        """As scripts/cc-version.sh writes it: five digits for gcc 9, six from 10 on."""
        return str(self.major * 10000 + 200) if self.compiler == "gcc" else _llvm(self.major)

    @property
    def rustc_llvm(self) -> str:
        """The version of the LLVM in rustc; 0 if there is no rustc."""
        release = tuple(int(part) for part in (*self.rustc.split("."), "0")[:2]) if self.rustc else ()
        return next((_llvm(llvm) for first, llvm in _RUSTC_LLVM if release >= first), "0")

    def takes(self, flag: str) -> bool:
        """Whether the compiler accepts a flag."""
        for part, gcc, clang in _FLAGS:
            if part in flag:
                first = gcc if self.compiler == "gcc" else clang
                return 0 < first <= self.major
        return True

    def succeeds(self, command: str) -> bool:
        """Whether a command of `$(success,…)` would exit with 0."""
        for part, gcc, clang in _COMMANDS:
            if part in command:
                first = gcc if self.compiler == "gcc" else clang
                return bool(self.rustc) if first < 0 else 0 < first <= self.major
        return True

    def prints(self, command: str) -> str:
        """The output of a command of `$(shell,…)`."""
        if "pahole-version" in command:
            return _number(self.pahole, 100, 1)
        if "rustc-version" in command:
            return _number(self.rustc, 100000, 100)
        if "rustc-llvm-version" in command:
            return self.rustc_llvm
        if "bindgen" in command.lower() or "rustc" in command.lower():
            return "unknown" if not self.rustc else self.rustc
        return ""

    def variables(self) -> dict[str, str]:
        """The variables of scripts/Kconfig.include that have the answers of the tools."""
        clang = self.compiler == "clang"
        return {
            "cc-name": "Clang" if clang else "GCC",
            "cc-version": self.version,
            "cc-info": f"{'Clang' if clang else 'GCC'} {self.version}",
            "as-name": "LLVM" if clang else "GNU",
            "as-version": self.version if clang else _BINUTILS,
            "as-info": f"LLVM {self.version}" if clang else f"GNU {_BINUTILS}",
            "ld-name": "LLD" if clang else "BFD",
            "ld-version": self.version if clang else _BINUTILS,
            "ld-info": f"LLD {self.version}" if clang else f"BFD {_BINUTILS}",
            "rustc-version": _number(self.rustc, 100000, 100),
            "rustc-llvm-version": self.rustc_llvm,
            "m32-flag": "-m32",
            "m64-flag": "-m64",
        }


def toolchain(name: str) -> Toolchain:
    """The toolchain with a name such as `gcc-12` or `clang-19 pahole-1.25`. Raises NotAToolchain."""
    parts = _TOOLCHAIN.match(name)
    if parts is None:
        raise NotAToolchain("a compiler and its version such as gcc-12 or clang-19, and perhaps pahole-1.25 or rustc-1.78 after it")
    tools = dict(word.split("-", 1) for word in _BETWEEN.split(parts.group(3)) if word)
    return Toolchain(parts.group(1), int(parts.group(2)), tools.get("pahole", ""), tools.get("rustc", ""))


def _number(version: str, major: int, minor: int) -> str:
    """A version as one number, as the scripts of the tree print it; 0 if there is no such tool."""
    parts = [int(part) for part in version.split(".")] if version else [0]
    return str(parts[0] * major + (parts[1] * minor if len(parts) > 1 else 0))


def _llvm(major: int) -> str:
    """The first release of a major version of LLVM as one number: 17.0, but 18.1."""
    return str(major * 10000 + (100 if major >= 18 else 0))
