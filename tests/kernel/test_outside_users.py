"""Files of places that are not the kernel's, and what in the kernel uses them all the same."""

from __future__ import annotations

import json

import pytest

from hook.kernel.outside_users import outside_users, readers_of_text
from hook.source import tree
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.conftest import Grow
from tests.small_kernel import Kernel

PROSE = ("table.rst", "data.txt", "other.rst", "table.h")
USER = "int f(int a)\n{\n\treturn a;\n}\n"


def verdict(kernel: Kernel, path: str, before: str, after: str, question: str, *, indexed: bool = True) -> str:
    kernel.commit(path, before)
    if indexed:
        kernel.triage("index")
    kernel.stage(path, after)
    return str(json.loads(kernel.triage("check", "--format", "json"))[question])


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize(
    ("path", "line", "answer"),
    [
        ("Documentation/box/table.h", '#include "../Documentation/box/table.h"\n', "unknown"),
        ("Documentation/box/table.h", "/* see Documentation/box/table.h */\n", "no"),
        ("Documentation/box/table.h", "#include <linux/table.h>\n", "no"),
        ("Documentation/box/table.rst", '#include "../Documentation/box/table.rst"\n', "unknown"),
        ("Documentation/box/table.rst", "/* see Documentation/box/table.rst */\n", "no"),
        ("tools/testing/box.h", '#\tinclude "../tools/testing/box.h"\n', "unknown"),
        ("tools/testing/box.h", 'asm(".incbin \\"tools/testing/box.h\\"");\n', "unknown"),
        ("tools/testing/box.h", '#include "box.h"\n', "no"),
        ("tools/testing/box.h", '#define HEADER "../tools/testing/box.h"\n#include HEADER\n', "unknown"),
        ("tools/testing/box.h", "#define NAME box.h\n#include TEXT(tools/testing/NAME)\n", "unknown"),
        ("mm/README", '#include "README"\n', "unknown"),
        ("mm/README", "#define NAME README\n#include TEXT(NAME)\n", "unknown"),
        ("mm/README", "/* the README says more */\n", "no"),
    ],
)
def test_a_file_that_is_included_is_part_of_the_kernel_whatever_its_path(
    kernel: Kernel, path: str, line: str, answer: str, indexed: bool
) -> None:
    kernel.commit("mm/user.c", line + USER)
    assert verdict(kernel, path, "#define LIMIT 16\n", "#define LIMIT 64\n", "Functional", indexed=indexed) == answer


@pytest.mark.parametrize(
    ("user", "line", "answer"),
    [
        ("mm/user.c", '#include "../arch/arm/kernel/box.c"\n', "unknown"),
        ("arch/x86/kernel/user.c", '#include "../../arm/kernel/box.c"\n', "unknown"),
        ("mm/user.c", "/* arch/arm/kernel/box.c does the same */\n", "no"),
        ("arch/x86/kernel/user.c", '#include "../../../farm/kernel/box.c"\n', "no"),
    ],
)
def test_code_of_another_architecture_that_is_included_is_within_reach(kernel: Kernel, user: str, line: str, answer: str) -> None:
    kernel.commit(user, line + USER)
    assert verdict(kernel, "arch/arm/kernel/box.c", USER, USER.replace("a;", "a + 1;"), "Reachable") == answer


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("$(obj)/names.c: $(src)/names.h\n\tsed -n 's/.*\\/\\* \\(.*\\) \\*\\//\\1/p' $< > $@\n", "unknown"),
        ("# names.h is read by people\n", "no"),
        ("obj-y += other_names.o\n", "no"),
    ],
)
def test_the_comments_of_a_file_that_a_recipe_reads_count(kernel: Kernel, rule: str, answer: str) -> None:
    kernel.commit("box/Makefile", rule)
    assert verdict(kernel, "box/names.h", "#define A 1 /* one */\n", "#define A 1 /* two */\n", "Functional") == answer


def test_who_uses_a_file_is_not_known_in_a_large_tree_without_an_index(grow: Grow, monkeypatch: pytest.MonkeyPatch) -> None:
    source = grow({"include/scsi/list.h": "#define A 1\n", "mm/README": "One.\n", "mm/.gitignore": "*.tmp\n", "mm/one.c": "int f(void);\n"})
    assert (readers_of_text(source, "mm/one.c"), outside_users(source, "mm/README", "x86")) == ([], [])
    monkeypatch.setattr(tree, "SMALL_FILES", 0)
    assert not source.is_small and source.index is None
    assert [readers_of_text(source, path) for path in ("include/scsi/list.h", "mm/one.c")] == [[], []]  # searched
    assert [outside_users(source, path, "x86") for path in ("mm/README", "mm/.gitignore")] == [None, []]


def test_who_uses_a_file_is_not_known_where_too_many_hold_its_name(grow: Grow, monkeypatch: pytest.MonkeyPatch) -> None:
    source = grow({"mm/README": "One.\n", "mm/one.c": "/* see README */\n", "mm/two.c": '#include "README"\n'})
    assert outside_users(source, "mm/README", "x86") == ["mm/two.c"]
    monkeypatch.setattr("hook.kernel.outside_users._MOST_FILES", 1)
    assert outside_users(source, "mm/README", "x86") is None


@pytest.mark.parametrize(
    ("path", "rule", "is_used"),
    [
        ("Documentation/box/table.rst", "DOCS := ../Documentation/box\n$(obj)/table.h: $(DOCS)/table.rst\n\tsed p $< > $@\n", True),
        ("Documentation/box/table.h", "$(obj)/all.h: $(wildcard ../Documentation/box/*)\n\tcat $^ > $@\n", True),
        ("Documentation/box/table.h", "$(obj)/all.h: $(wildcard ../Documentation/other/*)\n\tcat $^ > $@\n", False),
        ("Documentation/box/table.rst", "# see Documentation/box/table.rst\n", False),
        ("tools/testing/box.c", "ccflags-y += -I$(src)/../tools/testing\n", True),
        ("tools/testing/box.c", "ccflags-y += -I$(src)/../tools/other\n", False),
        ("tools/testing/box.c", "obj-y += box.o\n$(obj)/%.o: $(srctree)/tools/testing/%.c FORCE\n", True),
        ("tools/testing/box.c", "obj-y += box.o\n$(obj)/%.o: $(src)/%.c FORCE\n", False),
        ("tools/testing/box/table.c", "obj-y += ../tools/testing/box/\n", True),
        ("tools/testing/table.c", "obj-y += ../tools/testing/box/\n", False),
        ("tools/testing/box/table.c", "run:\n\tmake -C $(srctree)/tools/testing/box/ all\n", False),
        ("arch/arm/kernel/box.c", "obj-y += ../arch/arm/\n", True),
        ("arch/arm/kernel/box.c", "obj-y += arm/\n", False),
        ("arch/arm/kernel/box.c", "obj-y += ../arch/arm/kernel/box.o\n", True),
        ("arch/arm/kernel/box.c", "obj-y += box.o # as on arm\n", False),
    ],
)
def test_makefiles_that_use_a_file_of_another_place(grow: Grow, path: str, rule: str, is_used: bool) -> None:
    assert outside_users(grow({path: "int a;\n", "mm/Makefile": rule}), path, "x86") == (["mm/Makefile"] if is_used else [])


@pytest.mark.parametrize(
    ("user", "text", "reads"),
    [
        ("kernel/data.S", '\t.incbin "box/names.c"\n', True),
        ("kernel/data.c", 'asm(".incbin \\"box/names.c\\"");\n', True),
        ("kernel/data.c", 'static const char names[] = {\n#embed "../box/names.c"\n};\n', True),
        ("kernel/data.rs", 'const NAMES: &str = include_str!("../box/names.c");\n', True),
        ("kernel/data.S", '\t.incbin "box/other_names.c"\n', False),
        ("kernel/data.c", "/* no .incbin of it, see\n * box/names.c */\n", False),
        ("box/gen.c", '#include <stdio.h>\nint main(void)\n{\n\treturn !fopen("names.c", "r");\n}\n', True),
        ("scripts/gen.c", '#include <stdio.h>\nstatic const char *path = "../box/names.c";\n', True),
        ("box/gen.c", '#include <stdio.h>\n#include "names.c"\nint main(void)\n{\n\treturn 0;\n}\n', False),
        ("box/gen.c", 'static const char *path = "names.c";\n', False),
        ("box/gen.c", '#include <stdio.h>\nstatic const char *path = "other_names.c";\n', False),
        ("box/Makefile", "$(obj)/names.h: $(src)/names.c\n\tsed -n 's/x/y/p' $< > $@\n", True),
        ("box/Makefile", "obj-y += names.o\n", False),
        ("mm/Makefile", "$(obj)/names.h: $(srctree)/box/names.c\n\tsed -n 's/x/y/p' $< > $@\n", True),
        ("mm/Makefile", "BOX := ../box\n$(obj)/names.h: $(BOX)/names.c\n\tsed -n 's/x/y/p' $< > $@\n", True),
        ("mm/Makefile", "$(obj)/names.h: $(src)/names.c\n\tsed -n 's/x/y/p' $< > $@\n", False),
        ("mm/Makefile", "$(obj)/names.o: $(srctree)/box/names.c FORCE\n\t$(call if_changed_rule,cc_o_c)\n", False),
        ("mm/Makefile", "$(obj)/names.o: $(srctree)/box/names.c FORCE\n\tsed p $< | $(CC) -o $@ -\n", True),
        ("mm/Makefile", "$(obj)/names.o: $(srctree)/box/names.c; sed p $< | $(CC) -o $@ -\n", True),
        ("mm/Makefile", "$(obj)/names.o: NAMES := $(shell sed p $(srctree)/box/names.c)\n", True),
        ("mm/Kconfig", "config BOX\n\tdef_bool $(success,grep -q one $(srctree)/box/names.c)\n", True),
        ("mm/Kconfig", "config BOX\n\thelp\n\t  See box/names.c.\n", False),
    ],
)
def test_what_reads_a_source_file_as_text(grow: Grow, user: str, text: str, reads: bool) -> None:
    source = grow({"box/names.c": "/* one */\n", user: text})
    assert readers_of_text(source, "box/names.c") == ([user] if reads else [])


def test_a_makefile_of_another_directory_may_read_a_header(grow: Grow) -> None:
    rule = "$(obj)/table.c: $(src)/../common/table.h\n\tsed -n 's/x/y/p' $< > $@\n"
    files = {"fs/common/table.h": "#define A 1 /* one */\n", "fs/common/other.h": "#define B 1\n", "fs/table.h": "#define C 1\n"}
    source = grow({**files, "fs/client/Makefile": rule})
    assert readers_of_text(source, "fs/table.h") == []
    assert readers_of_text(source, "fs/common/table.h") == ["fs/client/Makefile"]
    assert readers_of_text(source, "fs/common/other.h") == []


def test_prose_that_a_recipe_reads_in_a_large_tree_without_an_index(grow: Grow, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = "$(obj)/table.h: $(srctree)/Documentation/box/table.rst\n\tsed -n 's/x/y/p' $< > $@\n"
    assembly = '\t.incbin "Documentation/box/data.txt"\n'
    source = grow(
        {"mm/Makefile": rule, "mm/data.S": assembly, "mm/one.c": "int f(void);\n", **{f"Documentation/box/{name}": "" for name in PROSE}}
    )
    monkeypatch.setattr(tree, "SMALL_FILES", 0)
    assert [outside_users(source, f"Documentation/box/{name}", "x86") for name in PROSE] == [["mm/Makefile"], ["mm/data.S"], [], None]


def test_without_an_index_the_makefiles_are_searched_for_few_names_only(grow: Grow, monkeypatch: pytest.MonkeyPatch) -> None:
    source = grow({"mm/one.c": "int f(void);\n", **{f"Documentation/ABI/{name}": "" for name in ("sysfs-one", "sysfs-two")}})
    monkeypatch.setattr(tree, "SMALL_FILES", 0)
    monkeypatch.setattr("hook.kernel.outside_users._MOST_SEARCHES", 1)
    assert [outside_users(source, f"Documentation/ABI/{name}", "x86") for name in ("sysfs-one", "sysfs-two")] == [[], None]
    assert readers_of_text(source, "mm/one.c") is None


@pytest.mark.parametrize("name", ["box.rst", "Kconfig"])
@pytest.mark.parametrize("line", ['source "Documentation/box/{}"\n', "# not this\n"])
def test_kconfig_names_a_file_by_source_and_not_in_its_help(grow: Grow, name: str, line: str) -> None:
    help_text = f'config BOX\n\tbool "box"\n\thelp\n\t  See <file:Documentation/box/{name}>.\n'
    source = grow({f"Documentation/box/{name}": "\n", "drivers/box/Kconfig": help_text + line.format(name)})
    assert outside_users(source, f"Documentation/box/{name}", "x86") == (["drivers/box/Kconfig"] if "source" in line else [])


def test_beside_very_many_changed_files_it_is_not_known_who_uses_one(grow: Grow, kernel: Kernel) -> None:
    source = grow({"Documentation/box/table.h": "a\n"})
    kernel.triage("index")
    blob = source.oid("Documentation/box/table.h")
    of = {
        count: tree.Source(source.objects, source.revision, {f"Documentation/box/{n}.h": blob for n in range(count)}) for count in (9, 2001)
    }
    assert outside_users(of[9], "Documentation/box/table.h", "x86") == []
    assert outside_users(of[2001], "Documentation/box/table.h", "x86") is None


def test_who_includes_a_file_is_not_known_far_from_the_revision_that_was_indexed(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its changed files would be among the answers about each other."""
    kernel.triage("index", "--quiet")
    kernel.write("Documentation/one.h", "int one;\n")
    kernel.write("Documentation/two.h", "int two;\n")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "two headers")
    for most, answer in ((2, []), (1, None)):
        monkeypatch.setattr("hook.kernel.outside_users._MOST_CHANGED", most)
        with Objects(find(kernel.path)) as objects:
            assert outside_users(Source(objects, "HEAD"), "Documentation/one.h", "x86") == answer


@pytest.mark.parametrize(
    ("user", "text", "is_reader"),
    [
        ("far/Makefile", "x.h: $(srctree)/mm/one.c\n\tsed s/a/b/ $< > $@\n", True),
        ("mm/Makefile", "x.h: one.c\n\tsed s/a/b/ $< > $@\n", True),
        ("mm/Makefile", "obj-y += one.o\n", False),
        ("far/x.S", '.incbin "mm/one.c"\n', True),
        ("mm/two.c", 'asm(".incbin \\"one.c\\"");\n', True),
        ("mm/two.c", "/* as in one.c */\n", False),
        ("mm/two.c", '#include <stdio.h>\nstatic const char *path = "one.c";\n', True),
        ("far/x.rs", 'const A: &str = include_str!("../mm/one.c");\n', True),
    ],
)
def test_in_a_large_tree_without_an_index_what_may_read_a_file_is_searched(
    grow: Grow, monkeypatch: pytest.MonkeyPatch, user: str, text: str, is_reader: bool
) -> None:
    source = grow({"mm/one.c": "int f(void);\n", user: text})
    monkeypatch.setattr(tree, "SMALL_FILES", 0)
    assert (readers_of_text(source, "mm/one.c"), source.is_small, source.index) == ([user] if is_reader else [], False, None)


def test_a_place_may_have_any_name(grow: Grow) -> None:
    assert outside_users(grow({"arch/%s/a.c": "int f(void);\n", "arch/x86/Makefile": "obj-y += ../x/\n"}), "arch/%s/a.c", "x86") == []


@pytest.mark.parametrize("path", ["arch/.gitignore", "arch/README", "README", ".gitignore"])
def test_a_file_that_no_directory_of_an_architecture_has(grow: Grow, path: str) -> None:
    assert outside_users(grow({path: "/x86_64/\n", "mm/one.c": "int a;\n"}), path, "x86") == []
