"""EnableConfigs in the verdict, and the command that prints them."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from hook.source import setting_layers
from hook.source.git import find
from hook.source.object_store import Objects
from tests.small_kernel import Kernel

FILE = """\
int always(void)
{
	return 1;
}
#ifdef CONFIG_EXTRA
int extra(void)
{
	return 2;
}
#else
int instead(void)
{
	return 3;
}
#endif
"""


@pytest.fixture
def grown(kernel: Kernel) -> Kernel:
    """The small tree with a file that needs options, and the word index."""
    kernel.write(
        "mm/Kconfig",
        kernel.read("mm/Kconfig") + 'config EXTRA\n\tbool "extra"\n\tdepends on POOL\nconfig ONLY_ARM\n\tbool "arm"\n\tdepends on ARM\n',
    )
    kernel.write("mm/Makefile", kernel.read("mm/Makefile") + "obj-$(CONFIG_POOL) += some.o\nobj-$(CONFIG_ONLY_ARM) += arm.o\n")
    kernel.write("mm/some.c", FILE)
    kernel.write("mm/arm.c", FILE)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "grow")
    kernel.triage("index", "--quiet")
    return kernel


def verdict(kernel: Kernel, *args: str, **env: str) -> dict[str, Any]:
    return dict(json.loads(kernel.triage("check", "--format", "json", *args, **env)))


def stage(kernel: Kernel, path: str, old: str, new: str) -> None:
    kernel.replace(path, old, new)
    kernel.git("add", "-A", "-f")


def test_an_option_of_the_makefile_is_asked_for_with_its_reason(grown: Kernel) -> None:
    stage(grown, "mm/some.c", "return 1;", "return 11;")
    found = verdict(grown)
    assert (found["EnableConfigs"], found["DisableConfigs"], found["ConfigSets"]) == (["POOL"], [], [])
    assert found["ConfigReasons"] == {"POOL": {"For": "build", "Why": "POOL builds mm/some.c", "Path": "mm/Makefile", "Line": 3}}


def test_what_the_base_configuration_has_is_left_out(grown: Kernel) -> None:
    (grown.path.parent / "config").write_text("CONFIG_POOL=y\n")
    stage(grown, "mm/some.c", "return 1;", "return 11;")
    found = verdict(grown, PATCH_TRIAGE_FUZZ_BASE_CONFIG=str(grown.path.parent / "config"))
    assert found["EnableConfigs"] == [] and "the base configuration has POOL already" in found["Assumptions"]


def test_a_verdict_is_worked_out_anew_where_the_base_configuration_changed(grown: Kernel) -> None:
    config = grown.path.parent / "config"
    stage(grown, "mm/some.c", "return 1;", "return 11;")
    answers = []
    for text in ("CONFIG_POOL=y\n", "# CONFIG_POOL is not set\n"):
        config.write_text(text)
        answers.append(verdict(grown, PATCH_TRIAGE_FUZZ_BASE_CONFIG=str(config))["EnableConfigs"])
    assert answers == [[], ["POOL"]]


def test_a_verdict_is_worked_out_anew_where_kconfig_changed(grown: Kernel) -> None:
    stage(grown, "mm/some.c", "return 1;", "return 11;")
    assert verdict(grown)["EnableConfigs"] == ["POOL"] == verdict(grown)["EnableConfigs"]
    grown.git("stash", "-q")
    grown.commit("init/Kconfig", grown.read("init/Kconfig") + "config WANTS_POOL\n\tdef_bool y\n\tselect POOL\n")
    grown.git("stash", "pop", "-q", "--index")
    assert verdict(grown)["EnableConfigs"] == []


def test_a_line_in_a_conditional_needs_its_option_too(grown: Kernel) -> None:
    stage(grown, "mm/some.c", "return 2;", "return 22;")
    found = verdict(grown)
    assert sorted(found["EnableConfigs"]) == ["EXTRA", "POOL"]
    assert found["ConfigReasons"]["EXTRA"] == {"For": "build", "Why": "#ifdef CONFIG_EXTRA", "Path": "mm/some.c", "Line": 5}


def test_lines_under_else_disable_an_option(grown: Kernel) -> None:
    (grown.path.parent / "config").write_text("CONFIG_POOL=y\nCONFIG_EXTRA=y\n")
    stage(grown, "mm/some.c", "return 3;", "return 33;")
    found = verdict(grown, PATCH_TRIAGE_FUZZ_BASE_CONFIG=str(grown.path.parent / "config"))
    assert (found["EnableConfigs"], found["DisableConfigs"]) == ([], ["EXTRA"])


def test_both_arms_of_a_conditional_are_two_sets(grown: Kernel) -> None:
    grown.replace("mm/some.c", "return 2;", "return 22;")
    stage(grown, "mm/some.c", "return 3;", "return 33;")
    sets = verdict(grown)["ConfigSets"]
    assert [(sorted(one["Enable"]), one["Lines"]) for one in sets] == [(["EXTRA", "POOL"], ["mm/some.c:8"]), (["POOL"], ["mm/some.c:13"])]


def test_a_changed_function_whose_only_caller_needs_an_option_is_reached_with_it(grown: Kernel) -> None:
    grown.commit("init/user.c", "#ifdef CONFIG_SMP_DEBUG\nint user(void)\n{\n\treturn helper();\n}\n#endif\n")
    grown.commit("init/Kconfig", grown.read("init/Kconfig") + 'config SMP_DEBUG\n\tbool "debug"\n')
    grown.commit("init/Makefile", "obj-y += main.o user.o helper.o\n")
    grown.commit("init/helper.c", "int helper(void)\n{\n\treturn 1;\n}\n")
    grown.triage("index", "--quiet")
    stage(grown, "init/helper.c", "return 1;", "return 2;")
    found = verdict(grown)
    assert found["EnableConfigs"] == ["SMP_DEBUG"]
    assert found["ConfigReasons"]["SMP_DEBUG"] == {
        "For": "reach",
        "Why": "#ifdef CONFIG_SMP_DEBUG: user, caller of helper",
        "Path": "init/user.c",
        "Line": 1,
    }
    (grown.path.parent / "config").write_text("CONFIG_SMP_DEBUG=y\n")
    found = verdict(grown, PATCH_TRIAGE_FUZZ_BASE_CONFIG=str(grown.path.parent / "config"))
    assert (found["EnableConfigs"], found["ConfigReasons"]) == ([], {})


def test_what_the_caller_brings_along_is_not_asked_for_twice(grown: Kernel) -> None:
    """net/strparser: TLS selects it and comes first, AF_KCM selects it as well and is the caller."""
    grown.write(
        "init/Kconfig",
        grown.read("init/Kconfig")
        + ('config PARSER\n\tbool\nconfig TLS\n\tbool "tls"\n\tselect PARSER\nconfig KCM\n\tbool "kcm"\n\tselect PARSER\n'),
    )
    grown.write("init/Makefile", "obj-y += main.o\nobj-$(CONFIG_PARSER) += parser.o\nobj-$(CONFIG_KCM) += kcm.o\n")
    grown.write("init/kcm.c", "int kcm(void)\n{\n\treturn parse();\n}\n")
    grown.commit("init/parser.c", "int parse(void)\n{\n\treturn 1;\n}\n")
    grown.git("add", "-A", "-f")
    grown.git("commit", "-q", "--amend", "-m", "parser")
    grown.triage("index", "--quiet")
    stage(grown, "init/parser.c", "return 1;", "return 2;")
    found = verdict(grown)
    assert (found["EnableConfigs"], list(found["ConfigReasons"])) == (["KCM"], ["KCM"])
    assert found["ConfigReasons"]["KCM"]["For"] == "build"


def test_what_no_kernel_of_the_target_contains_is_out_of_reach(grown: Kernel) -> None:
    stage(grown, "mm/arm.c", "return 1;", "return 11;")
    found = verdict(grown)
    assert (found["Reachable"], found["WorthFuzzing"], found["EnableConfigs"]) == ("no", False, [])
    assert any("ONLY_ARM cannot be on: depends on ARM" in one["Claim"] for one in found["Evidence"])


def test_without_the_word_index_nothing_is_called_out_of_reach(kernel: Kernel, grown: Kernel) -> None:
    import shutil

    shutil.rmtree(grown.path / ".git" / "patch-triage")
    stage(grown, "mm/arm.c", "return 1;", "return 11;")
    assert verdict(grown)["Reachable"] == "unknown"


@pytest.mark.parametrize("include", ['#include "arm.c"\n', '#define PART "arm.c"\n#include PART\n'])
def test_a_file_that_another_includes_is_not_out_of_reach(grown: Kernel, include: str) -> None:
    grown.commit("mm/some.c", FILE + include)
    stage(grown, "mm/arm.c", "return 1;", "return 11;")
    assert verdict(grown)["Reachable"] == "unknown"


def test_a_macro_that_a_header_may_define_as_well_keeps_its_lines_in_reach(grown: Kernel) -> None:
    grown.commit(
        "mm/some.c", "#ifdef CONFIG_ARM\n#define FAST\n#endif\n" + FILE + "#ifdef FAST\nint fast(void)\n{\n\treturn 4;\n}\n#endif\n"
    )
    stage(grown, "mm/some.c", "return 4;", "return 44;")
    found = verdict(grown)
    assert (found["Reachable"], found["EnableConfigs"]) == ("unknown", [])
    assert any("no configuration was found" in one for one in found["Assumptions"])


def test_lines_that_no_configuration_compiles_are_out_of_reach(grown: Kernel) -> None:
    grown.commit("mm/some.c", FILE + "#ifdef CONFIG_ONLY_ARM\nint fast(void)\n{\n\treturn 4;\n}\n#endif\n")
    stage(grown, "mm/some.c", "return 4;", "return 44;")
    assert verdict(grown)["Reachable"] == "no"


def test_the_dead_arm_of_an_if_is_no_proof_since_something_may_jump_there(grown: Kernel) -> None:
    body = (
        "int jump(int a)\n{\n\tif (a)\n\t\tgoto inner;\n\tif (IS_ENABLED(CONFIG_ONLY_ARM)) {\ninner:\n\t\treturn 4;\n\t}\n\treturn 0;\n}\n"
    )
    grown.commit("mm/some.c", FILE + body)
    stage(grown, "mm/some.c", "return 4;", "return 44;")
    assert verdict(grown)["Reachable"] == "unknown"


def test_lines_that_go_away_count_as_well(grown: Kernel) -> None:
    grown.commit("mm/some.c", FILE + "#ifdef CONFIG_ONLY_ARM\nint fast = 1;\n#endif\nint more = 2;\n")
    grown.replace("mm/some.c", "int fast = 1;\n", "int fast = 11;\n")
    stage(grown, "mm/some.c", "int more = 2;\n", "")
    assert verdict(grown)["Reachable"] == "unknown"


def test_nothing_is_out_of_reach_where_kconfig_could_not_be_read_whole(grown: Kernel) -> None:
    grown.commit("init/Kconfig", grown.read("init/Kconfig") + 'source "init/Kconfig.gone"\n')
    stage(grown, "mm/arm.c", "return 1;", "return 11;")
    found = verdict(grown)
    assert found["Reachable"] == "unknown"
    assert any("init/Kconfig.gone is not there" in one for one in found["Assumptions"])


def test_a_header_needs_one_of_the_files_that_include_it(grown: Kernel) -> None:
    grown.commit("mm/some.h", "static inline int low(void)\n{\n\treturn 1;\n}\n")
    grown.commit("mm/some.c", '#include "some.h"\n' + FILE)
    stage(grown, "mm/some.h", "return 1;", "return 2;")
    assert verdict(grown)["EnableConfigs"] == ["POOL"]


def test_a_header_of_the_same_name_beside_the_one_who_includes_it_is_another_one(grown: Kernel) -> None:
    """rtw89/core.h: rtlwifi, ath10k and others include a core.h of their own."""
    grown.write("init/core.h", "int other;\n")
    grown.write("init/alike.c", '#include "core.h"\n')
    grown.write("init/Makefile", "obj-y += main.o alike.o\n")
    grown.write("mm/core.h", "static inline int low(void)\n{\n\treturn 1;\n}\n")
    grown.write("mm/some.c", '#include "core.h"\n' + FILE)
    grown.git("add", "-A", "-f")
    grown.git("commit", "-qm", "core")
    grown.triage("index", "--quiet")
    stage(grown, "mm/core.h", "return 1;", "return 2;")
    assert verdict(grown)["EnableConfigs"] == ["POOL"]


def test_a_header_under_include_is_found_among_many_that_hold_its_words(grown: Kernel) -> None:
    for number in range(40):  # each holds all words of the name, and none includes it
        grown.write(f"drivers/aa/{number}.c", "#include <linux/types.h>\nint net, page_pool, types, h;\n")
    grown.write("include/net/page_pool/types.h", "static inline int low(void)\n{\n\treturn 1;\n}\n")
    grown.write("mm/some.c", "#include <net/page_pool/types.h>\n" + FILE)
    grown.git("add", "-A", "-f")
    grown.git("commit", "-qm", "types")
    grown.triage("index", "--quiet")
    stage(grown, "include/net/page_pool/types.h", "return 1;", "return 2;")
    assert verdict(grown)["EnableConfigs"] == ["POOL"]


def test_a_file_that_one_beside_it_includes_is_built_with_that_one_even_without_the_index(grown: Kernel) -> None:
    grown.write("mm/part.c", "int part(void)\n{\n\treturn 1;\n}\n")
    grown.commit("mm/some.c", '#ifdef CONFIG_EXTRA\n#include "part.c"\n#endif\n' + FILE)
    grown.git("add", "-A", "-f")
    grown.git("commit", "-q", "--amend", "-m", "part")
    grown.commit("mm/part.c", "int part(void)\n{\n\treturn 2;\n}\n")
    bare = str(grown.path.parent / "bare.git")
    grown.git("clone", "-q", "--bare", str(grown.path), bare)  # no index, and nothing that says that the tree is small
    assert sorted(verdict(grown, "HEAD", "--repo", bare)["EnableConfigs"]) == ["EXTRA", "POOL"]


def test_harmless_changes_do_not_pay_for_any_of_it(grown: Kernel) -> None:
    stage(grown, "mm/some.c", "int always", "/* why */\nint always")
    assert verdict(grown)["EnableConfigs"] == []
    assert not (grown.path / ".git" / "patch-triage" / "kconfig").exists()


def test_a_fragment_for_merge_config(grown: Kernel) -> None:
    stage(grown, "mm/some.c", "return 1;", "return 11;")
    grown.git("commit", "-qm", "mm: change some")
    out = grown.triage("configs", "HEAD", "--fragment")
    assert out.splitlines()[1:] == ["# build: POOL builds mm/some.c (mm/Makefile:3)", "CONFIG_POOL=y"]
    assert "CONFIG_POOL=y" in grown.triage("configs")
    patch = grown.git("format-patch", "-1", "--stdout")
    assert "CONFIG_POOL=y" in grown.triage("configs", "--patch", "-", "--base", "HEAD~1", "--fragment", data=patch)


def test_an_option_explained(grown: Kernel) -> None:
    out = grown.triage("configs", "--option", "CONFIG_EXTRA")
    assert "depends on POOL" in out and "to have it: CONFIG_POOL=y CONFIG_EXTRA=y" in out
    assert "cannot be on for x86_64" in grown.triage("configs", "--option", "ONLY_ARM")
    assert "no Kconfig file for x86_64 defines NOWHERE" in grown.triage_both("configs", "--option", "NOWHERE", ok=2)[1]


def test_a_damaged_store_is_read_anew(grown: Kernel) -> None:
    stage(grown, "mm/some.c", "return 1;", "return 11;")
    verdict(grown)
    for path in (grown.path / ".git" / "patch-triage" / "kconfig").iterdir():
        path.write_bytes(path.read_bytes()[:40] + b"\0not ours")
    assert verdict(grown, "--no-cache")["EnableConfigs"] == ["POOL"]


def test_the_options_are_read_once_for_all_mailed_patches_to_a_tree(grown: Kernel) -> None:
    grown.git("tag", "base")
    mails = []
    for number in (11, 12, 13):
        stage(grown, "mm/some.c", "return 1;", f"return {number};")
        grown.git("commit", "-qm", f"mm: return {number}")
        mails.append(grown.git("format-patch", "-1", "--stdout"))
        grown.git("reset", "-q", "--hard", "HEAD~1")
    grown.commit("mm/Kconfig", grown.read("mm/Kconfig") + "config LATER\n\tbool\n")  # HEAD has other options than their base
    written = []
    for mail in mails:
        # each is a tree of its own, which is gone when its check ends
        out = grown.triage("check", "--patch", "-", "--base", "base", "--format", "json", data=mail)
        assert json.loads(out)["EnableConfigs"] == ["POOL"]
        entries = list((grown.path / ".git" / "patch-triage" / "kconfig").glob("*.options"))
        written.append([(path.name, path.stat().st_ino) for path in entries])
    assert len(written[0]) == 1 and written == written[:1] * 3


def test_a_base_configuration_that_is_not_there_is_named(grown: Kernel) -> None:
    stage(grown, "mm/some.c", "return 1;", "return 11;")
    _, error = grown.triage_both("check", ok=2, PATCH_TRIAGE_FUZZ_BASE_CONFIG="/nowhere/config")
    assert "fuzz.base_config: /nowhere/config: No such file or directory" in error


def test_the_commands_run_nothing_of_a_hostile_tree(grown: Kernel) -> None:
    mark = grown.path.parent / "ran"
    touch = f"touch {mark}"
    grown.write("Kconfig", f"x := $(shell,{touch})\n$(shell,{touch})\n" + grown.read("Kconfig"))
    grown.write(
        "init/Kconfig", grown.read("init/Kconfig") + f"config PROBED\n\tdef_bool $(success,{touch})\n\tdepends on $(shell,{touch})\n"
    )
    grown.write(
        "mm/Makefile", grown.read("mm/Makefile") + f"x := $(shell {touch})\n$(eval y := $(shell {touch}))\n!{touch}\nall:\n\t{touch}\n"
    )
    grown.write("Makefile", f"$(shell {touch})\n.PHONY: all\nall: ; {touch}\n")
    grown.commit("scripts/kconfig/conf", f"#!/bin/sh\n{touch}\n")
    stage(grown, "mm/some.c", "return 1;", "return 11;")
    assert verdict(grown)["EnableConfigs"] == ["POOL"]
    grown.git("commit", "-qm", "change")
    grown.triage("configs", "HEAD", "--fragment")
    grown.triage("configs", "--option", "PROBED")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("given", "sublevel", "arch", "file"),
    [
        ("syzbot", 0, "x86_64", "upstream-apparmor-kasan"),
        ("syzbot", 7, "x86_64", "stable-6.6-kasan"),
        ("syzbot", 7, "arm64", "upstream-arm64-kasan"),  # there is no stable one for it here
        ("syzbot:upstream-kmsan", 7, "x86_64", "upstream-kmsan"),
    ],
)
def test_the_configuration_that_syzbot_fuzzes_with(
    grown: Kernel, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, given: str, sublevel: int, arch: str, file: str
) -> None:
    folder = tmp_path / "syzkaller/dashboard/config/linux"
    folder.mkdir(parents=True)
    for name in ("upstream-apparmor-kasan", "upstream-arm64-kasan", "stable-6.6-kasan", "upstream-kmsan"):
        (folder / f"{name}.config").write_text(f"CONFIG_OF_{name.upper()}=y\n")
    grown.commit("Makefile", f"{grown.read('Makefile')}\nVERSION = 6\nPATCHLEVEL = 6\nSUBLEVEL = {sublevel}\n")
    env = {"PATCH_TRIAGE_FUZZ_BASE_CONFIG": given, "PATCH_TRIAGE_FUZZ_SYZKALLER": str(tmp_path / "syzkaller")}
    for name, value in (env | {"PATCH_TRIAGE_TARGET_ARCH": arch}).items():
        monkeypatch.setenv(name, value)
    with Objects(find(grown.path)) as objects:
        settings = setting_layers.at(objects, "HEAD")
    assert settings.base_config == f"CONFIG_OF_{file.upper()}=y\n"
    assert settings.base_config_file == str(folder / f"{file}.config")


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({}, "needs fuzz.syzkaller"),
        ({"PATCH_TRIAGE_FUZZ_SYZKALLER": "/nowhere"}, "upstream-apparmor-kasan.config: No such file"),
        ({"PATCH_TRIAGE_FUZZ_SYZKALLER": "/nowhere", "PATCH_TRIAGE_TARGET_ARCH": "i386"}, "syzbot has no configuration for i386"),
        ({"PATCH_TRIAGE_FUZZ_SYZKALLER": "/nowhere", "PATCH_TRIAGE_FUZZ_BASE_CONFIG": "syzbot:../../secret"}, "not a configuration name"),
    ],
)
def test_a_configuration_of_syzbot_that_is_not_there_is_named(grown: Kernel, env: dict[str, str], why: str) -> None:
    assert why in grown.triage_both("check", ok=2, **{"PATCH_TRIAGE_FUZZ_BASE_CONFIG": "syzbot"} | env)[1]
