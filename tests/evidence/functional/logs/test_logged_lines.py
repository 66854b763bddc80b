"""Functions that log the line they are given, and the nearest that do more with it."""

from __future__ import annotations

import json

import pytest

from hook.c.tokens import line_numbers
from hook.evidence.functional import file_edits
from hook.evidence.functional.logs import logged_lines
from hook.source import tree
from hook.verdict import Answer
from tests.conftest import Grow
from tests.small_kernel import Kernel


def test_a_function_that_only_logs_its_line(grow: Grow) -> None:
    functions = {
        "logs": '{\n\tif (file)\n\t\tpr_err("%s:%d\\n", file, (line));\n\tpanic("%d", line);\n}',
        "hands_on": "{\n\tlogs(file, line);\n}",
        "ignores": "{\n}",
        "given": "{\n}",
        "keeps": '{\n\tlast = line;\n\tpr_err("%d\\n", line);\n}',
        "tests": '{\n\tif (line > 9)\n\t\tpr_err("%d\\n", line);\n}',
        "reads": '{\n\tpr_err("%d\\n", names[line]);\n}',
        "divides": '{\n\tpr_err("%d\\n", 8 / line);\n}',
        "warns_if": "{\n\tWARN_ON(file == line);\n}",
        "counts": '{\n\tpr_err("%d\\n", line++);\n}',
        "gives": "{\n\tkeeps(file, line);\n}",
        "calls": '{\n\tpr_err("%d\\n", count(line));\n}',
        "calls_it": "{\n\tnowhere(file, line);\n}",
    }
    text = "".join(f"void {name}(const char *file, int line)\n{body}\n" for name, body in functions.items())
    twice = "void twice(const char *file, int line)\n{\n}\n"
    source = grow(
        {
            "mm/lines.c": text + twice,
            "mm/other.c": twice.replace("{\n", "{\n\tlast = line;\n"),
            "mm/macros.h": '#define macro(file, line) ({ pr_err("%d\\n", (line)); })\n#define table(line) names[line]\n',
            "mm/assembly.S": "SYM_FUNC_START(assembly)\n\tret\nSYM_FUNC_END(assembly)\n",
            "mm/pointer.c": 'void pointer(void (*logs)(const char *, int), int line)\n{\n\tlogs("", line);\n}\n',
            "mm/typed.c": 'void typed(log_t logs, int line)\n{\n\tlogs("", line);\n}\n',
            "mm/own.c": '#define pr_err(fmt, x) keep(x)\nvoid own(const char *file, int line)\n{\n\tpr_err("%d\\n", line);\n}\n',
        }
    )
    only_logs = logged_lines.loggers(source, frozenset(), frozenset({b"given"}))
    names = (*functions, "twice", "macro", "table", "own", "nowhere", "assembly", "pointer", "typed")
    assert {name for name in names if only_logs(name.encode(), 1)} == {"logs", "hands_on", "ignores", "macro"}
    assert not only_logs(b"logs", 2)
    assert not only_logs(b"logs", 0)  # a string that is tested


FORMATTED = """void message(const char *file, const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	plain(file, &vaf);
	va_end(args);
}
"""
PLAIN = 'static void plain(const char *file, struct va_format *vaf)\n{\n\tprintk("%s: %pV\\n", file, vaf);\n}\n'
REPORT = "#define report(file, fmt, ...) ({ count(fmt); message(file, fmt, ##__VA_ARGS__); })\n"
FAILED = 'void failed(const char *file, int line)\n{\n\treport(file, "%d", line);\n}\n'


@pytest.mark.parametrize(
    ("old", "new", "is_logged"),
    [
        ("", "", True),
        ("vaf);\n}", "vaf);\n\tlast = vaf->va;\n}", False),
        ("\tva_end(args);\n", "\tva_end(args);\n\tlast = va_arg(args, int);\n", False),
        ("\tva_end(args);\n", "\tva_copy(more, args);\n\tva_end(args);\n", False),
        ("\tva_end(args);\n", "\tkeep(&args);\n\tva_end(args);\n", False),
        ("\tva_end(args);\n", "\tTAKE();\n\tva_end(args);\n#define TAKE() last = va_arg(args, int)\n", False),
        ("\tva_list args;\n", "\tva_list args, more;\n", False),
        ("\tvaf.va = &args;\n", "\tvaf.va = &args;\n\tother = vaf;\n", False),
        ("message(file, fmt, ##__VA_ARGS__)", "message(file, ##__VA_ARGS__)", False),  # the first of them is a format
        ("message(file, fmt, ##__VA_ARGS__)", "keep(fmt, ##__VA_ARGS__)", False),
        ("message(file, fmt, ##__VA_ARGS__)", "last = (__VA_ARGS__)", False),
        ("message(file, fmt, ##__VA_ARGS__)", "(void)0", True),
        ('report(file, "%d", line)', 'report(file, "%d", line + 1)', False),
    ],
)  # fmt: skip
def test_variable_arguments_that_are_only_formatted(grow: Grow, old: str, new: str, is_logged: bool) -> None:
    text = (PLAIN + FORMATTED + REPORT + FAILED).replace(old, new, 1) if old else PLAIN + FORMATTED + REPORT + FAILED
    keep = "void keep(int value)\n{\n\tlast = value;\n}\n"
    only_logs = logged_lines.loggers(grow({"mm/lines.c": keep + text}), frozenset(), frozenset())
    assert only_logs(b"failed", 1) is is_logged


@pytest.mark.parametrize(
    ("use", "is_used"),
    [
        ('pr_err("%d", __LINE__);', False),
        ('pr_err("%d", (__LINE__));', False),
        ("take(1, __LINE__);", True),
        ('pr_err("%d", last = __LINE__);', True),
        ('pr_err("%d", names[__LINE__]);', True),
        ('pr_err("%d", *(names + __LINE__));', True),
        ('pr_err("%d", take(__LINE__));', True),
        ("x = __LINE__;", True),
    ],
)
def test_a_line_that_is_used_as_a_value(use: str, is_used: bool) -> None:
    assert bool(line_numbers.uses(use.encode(), {b"__LINE__"}, lambda name, argument: name == b"pr_err")) is is_used


@pytest.mark.parametrize(
    ("text", "is_used"),
    [
        ("f() { logs(__LINE__); if (a) return logs(__LINE__); else logs(__LINE__); }", False),
        ("#define CHECK(x) logs(__LINE__)", False),
        ("f()\n{\n#ifdef X\n\tlogs(__LINE__);\n#endif\n\tlogs(__LINE__);\n}", False),
        ("f() { x->logs(__LINE__); }", True),
        ("f() { x.logs(__LINE__); }", True),
        ("f(void (*logs)(int)) { logs(__LINE__); }", True),
        ("f(void logs(int)) { logs(__LINE__); }", True),
        ("f(void\n  logs(int)) { logs(__LINE__); }", True),
        ("f(log_t logs) { logs(__LINE__); }", True),
        ("f() { log_t logs = g; logs(__LINE__); }", True),
        ("#define CHECK(logs) logs(__LINE__)", True),
    ],
)
def test_a_name_that_may_be_another_function_than_the_one_of_the_tree(text: str, is_used: bool) -> None:
    assert bool(line_numbers.uses(text.encode(), {b"__LINE__"}, lambda name, argument: name == b"logs")) is is_used


@pytest.mark.parametrize(("kept", "answer"), [("", "no"), ("\tlast = line;\n", "unknown")])
def test_lines_that_move_where_a_function_of_the_tree_logs_them(kernel: Kernel, kept: str, answer: str) -> None:
    kernel.commit("mm/fail.c", f'void fail(const char *file, int line)\n{{\n{kept}\tpr_err("%s:%d\\n", file, line);\n}}\n')
    user = "#define CHECK(x) ((x) ? (void)0 : fail(__FILE__, __LINE__))\nvoid f(int a)\n{\n\tCHECK(a);\n}\n"
    kernel.commit("mm/user.c", user)
    kernel.stage("mm/user.c", "/* more */\n" + user)
    assert json.loads(kernel.triage("check", "--format", "json"))["Functional"] == answer


@pytest.mark.parametrize(
    ("use", "above", "answer"),
    [
        ("MAKE(a);", True, Answer.UNKNOWN),
        ("MAKE(a);", False, Answer.NO),
        ("OTHER(a);", True, Answer.NO),
        ("CHECK(a);", True, Answer.NO),
        ("NUMBER(a);", True, Answer.UNKNOWN),
        ("BOTH(a);", True, Answer.UNKNOWN),
        ("DP_INFO(a);", True, Answer.NO),  # of a header in which a line is a message
        ("DP_KEY(a);", True, Answer.UNKNOWN),
    ],
)
@pytest.mark.parametrize("is_small", [True, False])
def test_lines_that_move_where_a_macro_of_a_common_header_uses_them(
    grow: Grow, monkeypatch: pytest.MonkeyPatch, use: str, above: bool, answer: Answer, is_small: bool
) -> None:
    if not is_small:  # and without an index: the headers are searched
        monkeypatch.setattr(tree, "SMALL_FILES", 0)
    place = '__FILE__ ":" \\\n\t__stringify(__LINE__)'
    common = {
        "include/linux/ids.h": "#define ID() (__LINE__ + 0)\n",
        "include/linux/make.h": "#define MAKE(x) set(x, ID())\n",
        "include/linux/check.h": f'#define CHECK(x) WARN_ONCE(x, "at " {place})\n#define BOTH(x) set(x, __LINE__, {place})\n',
        "include/linux/number.h": '#define NUMBER(x) WARN_ONCE(x, ":" __stringify(__LINE__))\n',
    }
    common["include/linux/qed/qed_if.h"] = "#define DP_INFO(x) \\\n\tpr_info(x, __LINE__)\n#define DP_KEY(x) \\\n\tset(x, \\\n\t__LINE__)\n"
    text = f"#include <linux/make.h>\n\nvoid f(int a)\n{{\n\t{use}\n}}\n"
    edited = f"/* one */\n{text}" if above else f"{text}/* one */\n"
    source = grow({**common, "mm/one.c": edited})
    assert file_edits.compare("c", "mm/one.c", text.encode(), edited.encode(), source).functional is answer


@pytest.mark.parametrize(
    ("use", "elsewhere", "answer"),
    [
        ("OTHER(a);", "void g(int a)\n{\n\tMAKE(a);\n}\n", Answer.NO),
        ("OTHER(a);", "#define OTHER(x) MAKE(x)\n", Answer.UNKNOWN),
        ("OTHER(a);", "#define ANOTHER(x) MAKE(x)\n", Answer.NO),
        ("OTHER(a);", "#define OTHER(x) FAR(x)\n#define FAR(x) MAKE(x)\n", Answer.UNKNOWN),
        ("OTHER(a);", "#define OTHER(x) set(x, ID())\n", Answer.UNKNOWN),
        ("OTHER(a);", "#define OTHER(x) \\\n\tdo { MAKE(x); } while (0)\n", Answer.UNKNOWN),
        ("MAKE(a);", "", Answer.UNKNOWN),
    ],
)
@pytest.mark.parametrize("is_small", [True, False])
def test_lines_that_move_where_not_all_headers_are_known(
    grow: Grow, monkeypatch: pytest.MonkeyPatch, use: str, elsewhere: str, answer: Answer, is_small: bool
) -> None:
    if not is_small:  # and without an index nobody knows who uses the macro
        monkeypatch.setattr(tree, "SMALL_FILES", 0)
        answer = Answer.UNKNOWN
    common = {"include/linux/ids.h": "#define ID() (__LINE__ + 0)\n", "include/linux/make.h": "#define MAKE(x) set(x, ID())\n"}
    text = f"#include <linux/make.h>\n#include OWN\n\nvoid f(int a)\n{{\n\t{use}\n}}\n"
    source = grow({**common, "mm/own.h": elsewhere, "mm/one.c": f"/* one */\n{text}"})
    assert file_edits.compare("c", "mm/one.c", text.encode(), f"/* one */\n{text}".encode(), source).functional is answer


@pytest.mark.parametrize(
    ("makefile", "use", "above", "answer"),
    [
        ("ccflags-y += -I$(srctree)/drivers/box\n", "KEY(a);", True, Answer.UNKNOWN),
        ("ccflags-y += -I$(srctree)/drivers/box\n", "KEY(a);", False, Answer.NO),
        ("ccflags-y += -I$(srctree)/drivers/box\n", "LOG(a);", True, Answer.NO),
        ("ccflags-y += -I$(srctree)/drivers/box\n", 'pr_err("%d", __LINE__);', True, Answer.NO),
        ("ccflags-y += -I$(srctree)/drivers/box\n", 'pr_warn("%d", __LINE__);', True, Answer.UNKNOWN),  # redefined there
        ("ccflags-y += -I$(BOX)\n", "LOG(a);", True, Answer.UNKNOWN),  # only make knows
        ("ccflags-y += -include $(srctree)/drivers/box/far.h\n", "KEY(a);", True, Answer.UNKNOWN),
        ("", "KEY(a);", True, Answer.NO),  # a function: no header defines it
    ],
)
def test_lines_that_move_where_a_header_that_make_finds_uses_them(grow: Grow, makefile: str, use: str, above: bool, answer: Answer) -> None:
    far = {
        "drivers/box/far.h": '#include "deep.h"\n#define KEY(x) ID(x)\n#define LOG(x) pr_info("%d", __LINE__)\n',
        "drivers/box/deep.h": "#define ID(x) set(x, __LINE__)\n#define pr_warn(f, x) set(x)\n",
    }
    text = f"#include <far.h>\n\nvoid f(int a)\n{{\n\t{use}\n}}\n"
    edited = f"/* one */\n{text}" if above else f"{text}/* one */\n"
    source = grow({**far, "mm/Makefile": f"obj-y += one.o\n{makefile}", "mm/one.c": edited})
    assert file_edits.compare("c", "mm/one.c", text.encode(), edited.encode(), source).functional is answer


@pytest.mark.parametrize(
    ("makefile", "above", "answer"),
    [
        ("obj-y += ../mm/one.o\nccflags-y += '-DKEY(x)=set(x,__LINE__)'\n", True, Answer.UNKNOWN),
        ("obj-y += ../mm/one.o\nccflags-y += '-DKEY(x)=set(x,__LINE__)'\n", False, Answer.NO),
        ("obj-y += ../mm/one.o\nccflags-y += '-DKEY(x)=ID(x)'\n", True, Answer.UNKNOWN),  # of a common header
        ("obj-y += ../mm/one.o\nccflags-y += -include $(src)/key.h\n", True, Answer.UNKNOWN),
        ("obj-y += ../mm/one.o\nccflags-y += -I$(src)\n", True, Answer.UNKNOWN),  # its <far.h>
        ("obj-y += far/one.o\nccflags-y += -include $(src)/key.h\n$(obj)/far/%.o: $(srctree)/mm/%.c\n", True, Answer.UNKNOWN),
        ("obj-y += $(addprefix ../mm/, one.o)\nccflags-y += -include $(src)/key.h\n", True, Answer.UNKNOWN),
        ("obj-y += $(addprefix ../mm/, one.o)\n", True, Answer.NO),
        ("obj-y += one.o\nccflags-y += -include $(src)/key.h\n", True, Answer.NO),  # a file of its own
        ("obj-y += ../mm/one.o\nccflags-y += -DKEY=1\n", True, Answer.NO),
    ],
)
@pytest.mark.parametrize("is_small", [True, False])
def test_lines_that_move_in_a_file_that_another_makefile_compiles(
    grow: Grow, monkeypatch: pytest.MonkeyPatch, makefile: str, above: bool, answer: Answer, is_small: bool
) -> None:
    if not is_small:  # and without an index the makefiles are searched
        monkeypatch.setattr(tree, "SMALL_FILES", 0)
    headers = {
        "user/key.h": "#define KEY(x) set(x, __LINE__)\n",
        "user/far.h": '#include "key.h"\n',
        "include/linux/ids.h": "#define ID(x) __LINE__\n",
    }
    text = "#include <far.h>\n\nvoid f(int a)\n{\n\tKEY(a);\n}\n"
    edited = f"/* one */\n{text}" if above else f"{text}/* one */\n"
    source = grow({**headers, "user/Makefile": makefile, "mm/Makefile": "obj-y += one.o\n", "mm/one.c": edited})
    assert file_edits.compare("c", "mm/one.c", text.encode(), edited.encode(), source).functional is answer


@pytest.mark.parametrize(
    ("makefile", "header", "answer"),
    [
        ("ccflags-y += -I$(srctree)/box\n", "#define OPEN text(\n#define CLOSE )\n", Answer.UNKNOWN),
        ("ccflags-y += -I$(srctree)/box\n", "#define OPEN text()\n#define CLOSE\n", Answer.NO),
        ("ccflags-y += -I$(BOX)\n", "", Answer.UNKNOWN),  # only make knows
        ("", "#define OPEN text(\n#define CLOSE )\n", Answer.NO),  # functions' names: no header that is found defines them
        ("ccflags-y += -include $(srctree)/box/far.h\n", "#define OPEN text(\n#define CLOSE )\n", Answer.UNKNOWN),
    ],
)
@pytest.mark.parametrize("place", ["mm", "user"])
def test_blanks_where_a_header_that_make_finds_opens_a_call(grow: Grow, makefile: str, header: str, answer: Answer, place: str) -> None:
    old, new = (f"#include <far.h>\nvoid f(int a)\n{{\n\tOPEN\n\tg({blank}a);\n\tCLOSE\n}}\n" for blank in ("", " "))
    makefiles = {"mm/Makefile": "obj-y += one.o\n", "user/Makefile": "obj-y += ../mm/one.o\n"}
    makefiles[f"{place}/Makefile"] += makefile
    source = grow({"box/far.h": header, **makefiles, "mm/one.c": new})
    assert file_edits.compare("c", "mm/one.c", old.encode(), new.encode(), source).functional is answer


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("#define str(x...) #x\n", Answer.UNKNOWN),
        ("#define str(x, y) text(x, y)\n#define text(...) #__VA_ARGS__\n", Answer.UNKNOWN),
        ("#define str(x, y) __stringify(x)\n", Answer.UNKNOWN),
        ("#define str(x, y) (x##_of + y)\n", Answer.NO),
        ("#define str(x, y) f(x, y)\n#define other(x) #x\n", Answer.NO),
    ],
)
@pytest.mark.parametrize("include", ['"own.h"', "<far.h>"])
def test_blanks_in_what_a_header_may_make_a_string_of(grow: Grow, header: str, answer: Answer, include: str) -> None:
    old, new = (f"#include {include}\nint f(int a)\n{{\n\treturn put(str(a,{blank}1));\n}}\n" for blank in ("", " "))
    source = grow({"mm/own.h": header, "box/far.h": header, "mm/Makefile": "ccflags-y += -I$(srctree)/box\n", "mm/one.c": new})
    assert file_edits.compare("c", "mm/one.c", old.encode(), new.encode(), source).functional is answer


@pytest.mark.parametrize(
    ("old", "new", "is_moved"),
    [
        ("a;\nb;\n", "a; /* one */\nb;\n", False),
        ("a;\nb;\n", "a;\nb;\n\n/* one */\n", False),
        ("/* one */\na;\n\n", "a;\n/* one */\n\n", True),  # as many lines as before
        ("a; b;\nc;\n", "a;\nb; c;\n", True),
        ("a(b, c, d);\n", "a(b,\nc, d);\n", True),
        ("/* one\n */ a;\n", "/* one */ a;\n\n", True),
    ],
)
def test_code_that_moves_to_another_line(old: str, new: str, is_moved: bool) -> None:
    assert line_numbers.moved(old.encode(), new.encode()) is is_moved


@pytest.mark.parametrize(
    ("head", "old", "new", "answer"),
    [
        ("#define BEG __stringify(\n#define END )\n", "BEG a + b END", "BEG a+b END", Answer.UNKNOWN),
        ("#define BEG a) + (\n", "(BEG a + b)", "(BEG a+b)", Answer.UNKNOWN),
        ("#define BEG __stringify(\n#define END )\n", "BEG a + b END", "BEG  a  +  b END", Answer.NO),
        ("#define BEG __stringify(\n#define END )\n", "BEG 0x10 END", "BEG 16 END", Answer.UNKNOWN),
        ("#define BEG (1)\n#define END + (2)\n", "BEG + a END", "BEG+a END", Answer.NO),
        ("#define BEG (1)\n#define END + (2)\n", "BEG + 0x10 END", "BEG + 16 END", Answer.NO),
    ],
)
@pytest.mark.parametrize("is_in_header", [True, False])
def test_text_between_macros_that_open_and_close_a_call(
    grow: Grow, head: str, old: str, new: str, answer: Answer, is_in_header: bool
) -> None:
    start = '#include "own.h"\n' if is_in_header else head
    before, after = (f"{start}int a, b;\nint x = {text};\n".encode() for text in (old, new))
    source = grow({"mm/own.h": head, "mm/one.c": after.decode()})
    assert file_edits.compare("c", "mm/one.c", before, after, source).functional is answer
