"""A run that a fuzzing farm recorded in June 2026 on a patch to mm/mempolicy.c, as what the model asked for: 20 rounds of one call.

`say` makes a scripted model say it again. `tree` writes a small tree of our own in which these questions have answers: the names and the line
numbers are the kernel's, the code is not.
"""

from __future__ import annotations

import pathlib
from typing import Any

from tests.agent.model import Turn, call, kmsan, says

WHY = (
    "The patch modifies `vma_policy_mof` to correctly fall back to the task's memory policy when a VMA's `get_policy` operation returns NULL. "
    "This is a functional change affecting NUMA balancing behavior. The feature requires `CONFIG_NUMA_BALANCING` to be enabled."
)
CITED = WHY + " See mm/mempolicy.c:2057."
_C, _H, _FAIR, _KCONFIG = "mm/mempolicy.c", "include/linux/mempolicy.h", "kernel/sched/fair.c", "init/Kconfig"


def grepper(expression: str, prefix: str = "") -> dict[str, Any]:
    return call("grepper", Expression=expression, PathPrefix=prefix)


def read(file: str, first: int, count: int) -> dict[str, Any]:
    return call("read-file", File=file, FirstLine=first, LineCount=count)


def decide(why: str) -> dict[str, Any]:
    return call(
        "set-results", EnableConfigs=["NUMA_BALANCING"], FocusSymbols=["vma_policy_mof", "task_numa_work"], Reasoning=why, WorthFuzzing=True
    )


CALLS = (
    grepper("__get_vma_policy", _C),
    read(_C, 2018, 25),
    grepper("mpol_cond_put", _C),
    grepper("mpol_cond_put", _H),
    read(_H, 77, 20),
    read(_C, 2018, 10),
    grepper("vma_policy_mof", "mm/"),
    grepper("vma_policy_mof"),
    read(_FAIR, 4165, 20),
    grepper("config NUMA_BALANCING"),
    grepper("mempolicy.o", "mm/Makefile"),
    grepper("task_numa_work", _FAIR),
    grepper("CONFIG_NUMA_BALANCING", _FAIR),
    read(_FAIR, 4070, 20),
    grepper("MPOL_F_MOF"),
    read(_C, 1721, 20),
    grepper("get_task_policy", _C),
    read(_KCONFIG, 1009, 15),
    read(_KCONFIG, 1032, 15),
)
# input, output and thought tokens of each round
TOKENS = (
    (2060, 33, 164),
    (2949, 35, 15),
    (3699, 32, 390),
    (5030, 34, 16),
    (5390, 35, 23),
    (5954, 35, 747),
    (7735, 29, 455),
    (8736, 27, 17),
    (9411, 36, 54),
    (10072, 27, 57),
    (10445, 27, 54),
    (10803, 33, 56),
    (11375, 35, 26),
    (13626, 36, 45),
    (14215, 27, 539),
    (15913, 35, 70),
    (16522, 31, 733),
    (18749, 33, 123),
    (19368, 33, 199),
    (20130, 123, 552),
)


def say(*last: dict[str, Any]) -> list[Turn]:
    """The turns of the run: its 19 questions, then `last` as many times as it takes, then the KMSAN agent's, which this run did not have yet."""
    turns = []
    for number, one in enumerate((*CALLS, *last)):
        given, out, thoughts = TOKENS[min(number, len(TOKENS) - 1)]
        usage = {"prompt_tokens": given, "completion_tokens": out + thoughts, "completion_tokens_details": {"reasoning_tokens": thoughts}}
        turns.append(says({**one, "id": f"call{number}"}, usage=usage, thoughts=f"thought {number}"))
    return [*turns, says({**kmsan(), "id": "kmsan"}, usage={"prompt_tokens": 100, "completion_tokens": 10})]


_FILES: dict[str, dict[int, str]] = {
    _C: {
        1: "#include <linux/mempolicy.h>",
        340: "struct mempolicy *get_task_policy(struct task_struct *task)\n{\n\treturn task->policy;\n}",
        1147: "static long do_get_mempolicy(struct vm_area_struct *vma)\n{",
        1180: "\tif (addr)\n\t{\n\t\tpol = __get_vma_policy(vma, addr, &ilx);\n\t}",
        1240: "\tmpol_cond_put(pol);\n\treturn 0;\n}",
        1721: "static int sanitize_mpol_flags(int *mode, unsigned short *flags)\n{\n\tif (*mode == MPOL_BIND)\n\t\t*flags |= MPOL_F_MOF;\n\treturn 0;\n}",
        2018: "struct mempolicy *__get_vma_policy(struct vm_area_struct *vma,\n\t\t\t\t   unsigned long addr, pgoff_t *ilx)\n{\n\t*ilx = 0;\n\treturn own(vma) ? ask(vma, addr, ilx) : vma->vm_policy;\n}",
        2041: "struct mempolicy *get_vma_policy(struct vm_area_struct *vma,\n\t\tunsigned long addr, int order, pgoff_t *ilx)\n{\n\tstruct mempolicy *pol;\n\n\tpol = __get_vma_policy(vma, addr, ilx);\n\tif (!pol)\n\t\tpol = get_task_policy(current);\n\treturn pol;\n}",
    },
    _H: {
        77: "static inline int mpol_needs_cond_ref(struct mempolicy *pol)\n{\n\treturn pol && (pol->flags & MPOL_F_SHARED);\n}\n\nstatic inline void mpol_cond_put(struct mempolicy *pol)\n{\n\tif (mpol_needs_cond_ref(pol))\n\t\t__mpol_put(pol);\n}",
        134: "struct mempolicy *get_vma_policy(struct vm_area_struct *vma,\n\t\tunsigned long addr, int order, pgoff_t *ilx);\nbool vma_policy_mof(struct vm_area_struct *vma);",
        200: "static inline void mpol_put(struct mempolicy *pol)\n{\n}\n\nstatic inline void mpol_cond_put(struct mempolicy *pol)\n{\n}",
    },
    _FAIR: {
        125: "static unsigned int slice = 5000;\n\n\n#ifdef CONFIG_NUMA_BALANCING\nstatic unsigned int limit;\n#endif",
        3950: "#ifdef CONFIG_NUMA_BALANCING",
        4072: "/*\n * The work is done when the task returns to user space.\n */\n\nstatic void task_numa_work(struct callback_head *work)\n{",
        4168: "\tfor (; vma; vma = vma_next(&vmi)) {\n\t\tif (!vma_migratable(vma) || !vma_policy_mof(vma))\n\t\t\tcontinue;\n\t}\n}",
        4333: "void init_numa_balancing(struct task_struct *p)\n{\n\tinit_task_work(&p->numa_work, task_numa_work);\n}\n#endif /* CONFIG_NUMA_BALANCING */",
    },
    _KCONFIG: {
        1007: 'config ARCH_WANT_NUMA_VARIABLE_LOCALITY\n\tbool\n\nconfig NUMA_BALANCING\n\tbool "Place memory by where it is used"\n\tdepends on SMP && !PREEMPT_RT\n\thelp\n\t  Moves pages to the node that uses them.',
        1033: 'config NUMA_BALANCING_DEFAULT_ENABLED\n\tbool "Do so by default"\n\tdefault y\n\tdepends on NUMA_BALANCING',
        1050: "",
    },
    "mm/Makefile": {85: "obj-$(CONFIG_HUGETLB)\t+= hugetlb.o\nobj-$(CONFIG_NUMA) \t+= mempolicy.o\nobj-$(CONFIG_SPARSEMEM)\t+= sparse.o"},
    "kernel/sched/Makefile": {9: "KCOV_INSTRUMENT := n"},
    "include/uapi/linux/mempolicy.h": {67: "#define MPOL_F_SHARED (1 << 0)\n#define MPOL_F_MOF\t(1 << 3)\n#define MPOL_F_MORON (1 << 4)"},
}
BEFORE = "bool vma_policy_mof(struct vm_area_struct *vma)\n{\n\tif (own(vma))\n\t\treturn flagged(ask(vma));\n\n\n\n\n\n\n\treturn get_task_policy(current)->flags & MPOL_F_MOF;\n}"
AFTER = (
    "bool vma_policy_mof(struct vm_area_struct *vma)\n{\n\tstruct mempolicy *pol;\n\tpgoff_t ilx;\n\tbool mof;\n\n"
    "\tpol = __get_vma_policy(vma, vma->vm_start, &ilx);\n\tif (!pol)\n\t\tpol = get_task_policy(current);\n"
    "\tmof = pol->flags & MPOL_F_MOF;\n\tmpol_cond_put(pol);\n\treturn mof;\n}"
)


def tree(path: pathlib.Path, function: str) -> None:
    """Write the small tree below `path`, with `function` as what the patch changes."""
    for name, pieces in _FILES.items():
        lines: list[str] = []
        for number, text in (pieces | {2057: function} if name == _C else pieces).items():
            assert len(lines) < number, (name, number)
            lines += [""] * (number - 1 - len(lines)) + text.split("\n")
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
