"""The command line: what its help holds, whose usage an error shows, and the names that options had."""

from __future__ import annotations

import argparse
import json
import pathlib
import shlex
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from hook.agent.tools import lookup_tools
from hook.cli import COMMANDS, parser
from hook.commands import command_line
from tests.small_kernel import PROGRAM, Kernel

JUDGING = ("check", "review", "bulk", "configs", "plan", "presubmit", "export")


def below(top: argparse.ArgumentParser) -> Iterator[command_line.CommandParser]:
    """The parsers that have no others below them: of each command, and of each form of `export`."""
    subs = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    if not subs:
        assert isinstance(top, command_line.CommandParser)
        yield top
    for sub in subs:
        for one in sub.choices.values():
            yield from below(one)


PARSERS = {one.prog.removeprefix("patch-triage "): one for one in below(parser())}


def options(name: str) -> dict[str, argparse.Action]:
    """The options of a command as people see them."""
    return {text: action for action in PARSERS[name]._actions for text in action.option_strings if action.help != argparse.SUPPRESS}


def test_the_parser_has_every_command_and_every_form() -> None:
    assert {name.split()[0] for name in PARSERS} == set(COMMANDS)
    assert {"export kconfig", "export gerrit", "export syz-manager"} < set(PARSERS)


@pytest.mark.parametrize("name", PARSERS)
def test_every_command_has_two_examples_that_it_takes(name: str) -> None:
    examples = PARSERS[name].examples
    assert len(examples) == 2
    assert all(f"\n  patch-triage {example}\n" in PARSERS[name].format_help() for example in examples if "| patch" not in example)
    for example in examples:
        words = shlex.split(example.replace("${", "{"))
        words = words[words.index("patch-triage") + 1 :] if "patch-triage" in words else words
        for sign in ("<", ">", "|"):
            words = words[: words.index(sign)] if sign in words else words
        if "--help" not in words:
            assert shlex.join(words).startswith(name) and parser(words[:1]).parse_args(words).run


def test_an_option_has_one_name_and_one_form_in_all_commands() -> None:
    forms: dict[str, set[str]] = {}
    for name in PARSERS:
        for text, action in options(name).items():
            forms.setdefault(text, set()).add(f"{action.dest} {action.metavar} {action.choices} {action.nargs} {action.type}")
    different = {text: sorted(found) for text, found in forms.items() if len(found) > 1}
    assert different == {}
    assert not {"--revision", "--file", "--output", "--commit"} & set(forms)
    assert [name for name in PARSERS if "--explain" in options(name)] == ["check"]  # why the verdict is what it is, nowhere anything else


@pytest.mark.parametrize("name", PARSERS)
def test_every_command_that_judges_has_the_options_of_all(name: str) -> None:
    has = options(name)
    assert {"--repo", "--color"} <= set(has)
    assert "--offline" in has or not name.startswith("b4")  # what it prints is b4's affair
    if name.split()[0] in JUDGING:
        assert {"--offline", "-v", "--verbose"} <= set(has)
        assert ("--format" in has) is not name.startswith("export")  # whose FORM says it
    if "--format" in has:
        assert has["--format"].choices == ("text", "json", "yaml")


@pytest.mark.parametrize("name", PARSERS)
def test_an_error_shows_the_usage_of_its_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parser([name.split()[0]]).parse_args([*name.split(), "--repo"])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"usage: patch-triage {name} ")


def test_help_ends_with_examples_and_exit_codes(kernel: Kernel) -> None:
    for words in ((), ("check",), ("export", "github")):
        out = kernel.triage(*words, "--help")
        assert out.endswith("exit codes: 0 done, 1 your policy says stop, 2 wrong use or settings, 3 could not judge\n")
    assert "examples:\n  patch-triage check HEAD -v\n" in kernel.triage("check", "--help")
    assert " ".join(kernel.triage("tool", "--help").split()).count(", ".join(lookup_tools.BY_NAME)) == 1


def test_an_unknown_option_is_an_error_of_its_command(kernel: Kernel) -> None:
    assert kernel.triage_both("export", "github", "--no-such", "HEAD", ok=2)[1].startswith("usage: patch-triage export github ")


def test_options_that_make_no_sense_together_show_the_usage_of_their_command(kernel: Kernel) -> None:
    for words in ("check --staged HEAD", "configs HEAD --base HEAD", "review HEAD~1..HEAD --offline --wait", "bulk HEAD --jobs 2"):
        usage, _, sentence = kernel.triage_both(*words.split(), ok=2)[1].rpartition("patch-triage: ")
        assert usage.startswith(f"usage: patch-triage {words.split()[0]} ") and sentence.count("\n") == 1
    for words in ("look file no/such", "configs --option NO_SUCH"):  # another usage would not help
        assert kernel.triage_both(*words.split(), ok=2)[1].startswith("patch-triage: ")


def test_programs_read_json_and_yaml_of_every_command_that_judges(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.commit("mm/pool.c", kernel.read("mm/pool.c").replace("pool_check(pool);", "pool->count++;"), "mm: count")
    for words in ("check HEAD", "review HEAD~1..HEAD", "configs HEAD", "presubmit HEAD", "plan HEAD --out"):
        read = []
        for form in ("json", "yaml"):
            place = [str(tmp_path / form)] if words.endswith("--out") else []
            out = kernel.triage(*words.split(), *place, "--format", form, "--offline")
            read.append(json.loads(out) if form == "json" else yaml.safe_load(out))
        assert set(read[0]) == set(read[1]) and read[0].keys() & {"FocusSymbols", "EnableConfigs"}, words
        if not words.startswith("plan"):  # which names its directory
            assert read[0] == read[1], words


def test_verbose_is_every_fact(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.commit("mm/pool.c", kernel.read("mm/pool.c").replace("pool_check(pool);", "pool->count++;"), "mm: count")
    for words in ("check HEAD", "review HEAD~1..HEAD", "configs HEAD", "presubmit HEAD", "export kconfig HEAD"):
        few, many = kernel.triage_both(*words.split()), kernel.triage_both(*words.split(), "-v")
        assert "ChangeId" not in few[0] + few[1] and "ChangeId" in many[0] + many[1], words
        assert not words.startswith("export") or few[0] == many[0]


def test_offline_and_what_needs_a_network_exclude_each_other(kernel: Kernel) -> None:
    for words in (
        "check --agent always",
        "review HEAD~1..HEAD --wait",
        "export gerrit HEAD --post",
        "bulk HEAD --out x --scheduler tcp://a:1",
    ):
        assert "exclude each other" in kernel.triage_both(*words.split(), "--offline", ok=2)[1]


def test_a_bare_call_says_what_to_do_next(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    first = kernel.triage()
    assert [line.split("  ")[0] for line in first.splitlines()] == [
        "patch-triage install",
        "patch-triage check HEAD",
        "patch-triage --help",
    ]
    staged = kernel.path / ".git/index"
    staged.rename(tmp_path / "index")  # which says how large the tree is
    assert "\npatch-triage index  " in kernel.triage()
    (tmp_path / "index").rename(staged)
    kernel.install()
    kernel.triage("index")
    kernel.stage("mm/new.c", "int x;\n")
    assert kernel.triage().startswith("patch-triage check  ")
    assert "not in a git repository" in kernel.beside(tmp_path).triage()


def test_colour_is_as_the_person_says(kernel: Kernel) -> None:
    coloured = {
        (): False,
        ("--color", "always"): True,
        ("--color", "never"): False,
    }
    for options, expected in coloured.items():
        assert ("\033[" in kernel.triage("check", "HEAD", *options)) is expected
    assert "\033[" in kernel.triage("check", "HEAD", FORCE_COLOR="1")
    assert "\033[" not in kernel.triage("check", "HEAD", FORCE_COLOR="1", NO_COLOR="1")
    assert "\033[" not in kernel.triage("check", "HEAD", "--color", "never", FORCE_COLOR="1")


def test_bash_completes_commands_and_options(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("shtab")
    script = tmp_path / "completion"
    script.write_text(kernel.triage("completion", "bash"))
    call = f"source {script}; COMP_WORDS=({PROGRAM} $1); COMP_CWORD=$2; _shtab_patch_triage; echo ${{COMPREPLY[@]}}"
    for words, place, found in (("rev", "1", "review"), ("check --of", "2", "--offline")):
        done = subprocess.run(["bash", "-c", call, "bash", words, place], capture_output=True, text=True, check=True)
        assert found in done.stdout.split(), done
