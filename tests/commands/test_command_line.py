"""The command line: what its help holds, whose usage an error shows, and the names that options had."""

from __future__ import annotations

import pathlib
import shlex
import subprocess

import pytest

from hook.agent.tools import lookup_tools
from hook.cli import COMMANDS, parser
from hook.commands import command_line
from tests.small_kernel import PROGRAM, Kernel


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_two_examples_that_it_takes(name: str) -> None:
    examples = command_line._EXAMPLES[name]
    assert len(examples) == 2
    for example in examples:
        words = shlex.split(example.replace("${", "{"))
        words = words[words.index("patch-triage") + 1 :] if "patch-triage" in words else words
        for sign in ("<", ">", "|"):
            words = words[: words.index(sign)] if sign in words else words
        if "--help" not in words:
            assert words[0] == name and parser([name]).parse_args(words).run


def test_help_ends_with_examples_and_exit_codes(kernel: Kernel) -> None:
    for words in ((), ("check",), ("export", "github")):
        out = kernel.triage(*words, "--help")
        assert out.endswith("exit codes: 0 done, 1 your policy says stop, 2 wrong use or settings, 3 could not judge\n")
    assert "examples:\n  patch-triage check HEAD -v\n" in kernel.triage("check", "--help")
    assert " ".join(kernel.triage("tool", "--help").split()).count(", ".join(lookup_tools.BY_NAME)) == 1


@pytest.mark.parametrize("words", ["check --no-such", "export github --no-such HEAD", "show --format xml"])
def test_an_error_shows_the_usage_of_the_command_that_is_wrong(kernel: Kernel, words: str) -> None:
    name = "export github" if "export" in words else words.split()[0]
    assert kernel.triage_both(*words.split(), ok=2)[1].startswith(f"usage: patch-triage {name} ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tool read-file --json {\"File\":\"mm/pool.c\"} --revision HEAD", "tool read-file --json {\"File\":\"mm/pool.c\"} --rev HEAD"),
        ("configs --explain POOL", "configs --option POOL"),
    ],
)  # fmt: skip
def test_an_old_name_works_and_says_the_new_one(kernel: Kernel, old: str, new: str) -> None:
    out, error = kernel.triage_both(*old.split())
    assert (out, len(error.splitlines())) == (kernel.triage(*new.split()), 1)
    assert error.endswith("now; the old name goes with the next version\n")


def test_a_bare_call_says_what_to_do_next(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    first = kernel.triage()
    assert [line.split("  ")[0] for line in first.splitlines()] == [
        "patch-triage install",
        "patch-triage index",
        "patch-triage check HEAD",
        "patch-triage --help",
    ]
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
