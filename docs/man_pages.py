"""The manual pages: made of the parser and the README while a wheel is built, so that `git patch-triage --help` shows them.

A hook of hatchling's (its "Custom build hook"). The pages hold no date: the same sources make the same bytes.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import sys
import tempfile
import typing

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # what is built, not what may be installed

from hook import __version__  # noqa: E402
from hook.cli import COMMANDS, parser  # noqa: E402

_ROW = re.compile(r"(?m)^\| ((?:[^|\n]|\\\|)+) \| (.+) \|$")
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")


class ManualPages(BuildHookInterface[typing.Any]):
    """Adds the pages to what a wheel brings to `share/man/man1`."""

    def initialize(self, version: str, build_data: dict[str, typing.Any]) -> None:
        """Make them."""
        if self.target_name != "wheel":
            return
        self.place = pathlib.Path(tempfile.mkdtemp())
        for name, text in pages().items():
            (self.place / name).write_text(text, "utf-8")
            build_data["shared_data"][str(self.place / name)] = f"share/man/man1/{name}"

    def finalize(self, version: str, build_data: dict[str, typing.Any], artifact_path: str) -> None:
        """They are in the wheel."""
        if self.target_name == "wheel":
            shutil.rmtree(self.place)


def pages() -> dict[str, str]:
    """The text of each page, by the name of its file."""
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    readme = (ROOT / "README.md").read_text("utf-8")
    found = {"git-patch-triage.1": _whole(parser(), commands, readme), "patch-triage.1": ".so man1/git-patch-triage.1\n"}
    for name in COMMANDS:
        found[f"git-patch-triage-{name}.1"] = _command(name, commands.choices[name], readme)
    return found


def _whole(top: argparse.ArgumentParser, commands: argparse._SubParsersAction[typing.Any], readme: str) -> str:
    listed = [f".TP\n.B {_roff(choice.dest)}\n{_roff(choice.help or '')}" for choice in commands._choices_actions]
    about = [_roff(_plain(text)) for text in readme.split("\n\n")[1:3]]
    return "\n".join(
        (
            _title("git-patch-triage", top.description or ""),
            ".SH SYNOPSIS\n.B patch-triage\n.I COMMAND\n\\&...\n.br\n.B git patch-triage\n.I COMMAND\n\\&...",
            ".SH DESCRIPTION\n" + "\n.PP\n".join(about),
            ".SH COMMANDS",
            *listed,
            *_ends(top),
            ".SH SEE ALSO\n" + ",\n".join(f".BR git\\-patch\\-triage\\-{_roff(name)} (1)" for name in commands.choices),
            "",
        )
    )


def _command(name: str, parser: argparse.ArgumentParser, readme: str) -> str:
    told = [
        (_plain(typed), _plain(text)) for typed, text in _ROW.findall(readme) if re.search(rf"`(?:patch-triage )?{name}(?![\w-])", typed)
    ]
    lines = [_title(f"git-patch-triage-{name}", parser.description or ""), ".SH SYNOPSIS", *_usage(parser)]
    lines += [".SH DESCRIPTION", *(f".TP\n.B {_roff(typed)}\n{_roff(text)}" for typed, text in told)]
    lines += [".SH OPTIONS", *_options(parser)]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for form, below in action.choices.items():
                lines += [f".SS {_roff(form)}", *_usage(below), *_options(below)]
    return "\n".join((*lines, *_ends(parser), ".SH SEE ALSO\n.BR git\\-patch\\-triage (1)", ""))


def _title(name: str, about: str) -> str:
    first = f'.TH "{name.upper()}" 1 "" "patch\\-triage {__version__}" "patch\\-triage"'
    return f"{first}\n.SH NAME\n{_roff(name)} \\- {_roff(about)}"


def _usage(parser: argparse.ArgumentParser) -> list[str]:
    formatter = argparse.HelpFormatter(prog=parser.prog, width=10_000)
    formatter.add_usage(None, parser._actions, parser._mutually_exclusive_groups, prefix="")
    return [_roff(formatter.format_help().strip())]


def _options(parser: argparse.ArgumentParser) -> list[str]:
    formatter = argparse.HelpFormatter(prog=parser.prog, width=10_000)
    lines = []
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction):
            continue
        head = formatter._format_action_invocation(action)
        about = formatter._expand_help(action) if action.help else ""
        lines.append(f".TP\n.B {_roff(head)}\n{_roff(about)}")
    return lines


def _ends(parser: argparse.ArgumentParser) -> list[str]:
    """The examples and the exit codes, as `--help` ends with them."""
    examples, codes = parser.format_help().rpartition("\nexamples:\n")[2].split("\n\n", 1)
    return [".SH EXAMPLES\n.nf", *(_roff(line) for line in examples.split("\n")), ".fi", ".SH EXIT STATUS", _roff(codes.strip())]


def _plain(markdown: str) -> str:
    text = _LINK.sub(r"\1", markdown).replace("\\|", "|").replace("**", "")
    return " ".join(text.replace("`", "").split())


def _roff(text: str) -> str:
    """A text that roff prints as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in text.split("\n"))
