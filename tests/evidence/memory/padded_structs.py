"""Structs with and without padding, a file of the small tree that copies them out, and the options of KMSAN."""

from __future__ import annotations

from tests.small_kernel import Kernel

HEADER = """\
#define TELL_NAME 6
typedef __u32 tell_id;
struct tell {
	__u32 id;
	__u8 kind;
	__u32 count;	/* three bytes of padding before it */
};
struct whole {
	__u32 id;
	__u32 reserved;
};
struct named {
	tell_id id;
	char name[TELL_NAME];
	__u16 flags;
#define NAMED_FLAG 1
};
struct tight {
	__u32 id;
	__u8 kind;
} __packed;
struct odd {
	__u32 id;
	__u8 kind;
} SOME_ATTRIBUTE;
struct bits {
	__u32 id;
	__u8 low:4, high:4;
	__u64 count;
};
struct choice {
	__u32 id;
	union {
		__u32 number;
		char text[4];
	};
};
struct outer {
	struct tell inner;
	__u32 last;
};
struct guarded {
	__u32 id;
#ifdef CONFIG_SMP
	__u32 cpu;
#endif
};
struct listed {
	struct list_head list;
	__u32 id;
};
"""
ALL = "x.id = 1; x.kind = 2; x.count = 3;"
OUT = "return copy_to_user(arg, &x, sizeof(x)) ? -EFAULT : 0;"


def body(declaration: str, *statements: str, before: str = "") -> str:
    lines = "".join(f"\t{one}\n" for one in statements)
    return f"#include <linux/tell.h>\n{before}int f(void __user *arg, struct tell *in)\n{{\n\t{declaration}\n\n{lines}}}\n"


KCONFIG = """\

config CC_IS_CLANG
	def_bool $(success,test "$(cc-name)" = Clang)

config HAVE_ARCH_KMSAN
	bool

config HAVE_KMSAN_COMPILER
	def_bool CC_IS_CLANG

config KMSAN
	bool "KMSAN: detector of uninitialized values use"
	depends on HAVE_ARCH_KMSAN && HAVE_KMSAN_COMPILER
"""
TELL = body("struct tell x;", "memset(&x, 0, sizeof(x));", ALL, OUT)
CLANG = {"PATCH_TRIAGE_FUZZ_TOOLCHAIN": "clang-19"}


def tell(kernel: Kernel) -> None:
    """Commit mm/tell.c, which copies a cleared struct out, and KMSAN for x86."""
    kernel.write("mm/Kconfig", kernel.read("mm/Kconfig") + KCONFIG)
    kernel.write("arch/x86/Kconfig", kernel.read("arch/x86/Kconfig").replace("def_bool y", "def_bool y\n\tselect HAVE_ARCH_KMSAN", 1))
    kernel.write("include/uapi/linux/tell.h", HEADER)
    kernel.write("mm/Makefile", kernel.read("mm/Makefile") + "obj-y += tell.o\n")
    kernel.write("mm/tell.c", TELL)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "tell")
