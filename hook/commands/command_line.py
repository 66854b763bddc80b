"""The command line's parser: its help ends with examples and the exit codes, and an error shows the usage of the command that is wrong.

Options that more than one command has are added here, so that they are called the same and mean the same everywhere.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

_EXIT_CODES = "exit codes: 0 done, 1 your policy says stop, 2 wrong use or settings, 3 could not judge"

# command -> what people type, without `patch-triage`
_EXAMPLES = {
    "": ("check", "review main..HEAD"),
    "agent": ("agent enable", "agent status"),
    "b4-prep-check": ("b4-prep-check < 0001-mm-fix.patch", "b4-prep-check --repo ~/linux < 0001-mm-fix.patch"),
    "b4-review-check": ("b4-review-check < 0001-mm-fix.patch", "b4-review-check --series"),
    "bulk": ("bulk v6.11..v6.12 --out verdicts", "bulk summary verdicts --rank"),
    "check": ("check HEAD -v", "check --patch series.mbox --base v6.12"),
    "completion": (
        "completion bash > ~/.local/share/bash-completion/completions/patch-triage",
        'completion zsh > "${fpath[1]}/_patch-triage"',
    ),
    "config": ("config", "config --init"),
    "configs": ("configs HEAD --fragment", "configs --option NUMA_BALANCING"),
    "export": ("export github main..HEAD", "export syz-manager HEAD --vmlinux vmlinux --into manager.cfg"),
    "index": ("index", "index --rev v6.12 --jobs 4"),
    "install": ("install", "install --here"),
    "look": ("look callers kfree --rev v6.12", "look grep 'EXPORT_SYMBOL.*vma' mm"),
    "mark": ("mark HEAD right", "mark HEAD wrong --why 'only a comment'"),
    "marks": ("marks", "marks --format json"),
    "mcp": ("mcp", "mcp --repo ~/linux"),
    "plan": ("plan HEAD --out run", "plan --patch series.mbox --out run"),
    "presubmit": ("presubmit HEAD", "presubmit --warn ${PREUPLOAD_COMMIT}"),
    "replay": ("replay run.jsonl", "replay run.jsonl --patch fix.patch --base v6.12"),
    "report": ("report HEAD", "report HEAD --html - > page.html"),
    "review": ("review main..HEAD --html review.html", "b4 am -o- MESSAGE-ID | patch-triage review -"),
    "show": ("show HEAD", "show main..HEAD --format json"),
    "spend": ("spend", "spend ~/linux ~/linux-next --days 7"),
    "status": ("status", "status --watch"),
    "tool": ('tool grepper --json \'{"Expression": "kfree", "PathPrefix": "mm"}\'', 'tool kconfig --json \'{"Option": "KCOV"}\''),
    "trajectory": ("trajectory HEAD", "trajectory HEAD --full"),
    "uninstall": ("uninstall", "uninstall --repo ~/linux"),
    "export syz-manager": ("export syz-manager HEAD --vmlinux vmlinux", "export syz-manager main..HEAD --into manager.cfg"),
}
_EXAMPLES_OF_A_FORM = ("{} HEAD", "{} main..HEAD")


class _Formatter(argparse.HelpFormatter):
    """As argparse formats, which asks `shutil` for the width even where nobody wants help: that loads three compressors."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """The width of the terminal, as shutil.get_terminal_size tells it."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


class CommandParser(argparse.ArgumentParser):
    """The parser of the program, or of one command."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=_Formatter, **settings)

    @property
    def examples(self) -> tuple[str, ...]:
        """What people type, without `patch-triage`."""
        name = self.prog.removeprefix("patch-triage").strip()
        return _EXAMPLES.get(name) or tuple(example.format(name) for example in _EXAMPLES_OF_A_FORM)

    def format_help(self) -> str:
        """The help, and below it two examples and the exit codes."""
        examples = self.examples
        lines = [f"  {text}" if "| patch-triage" in text else f"  patch-triage {text}" for text in examples]
        return "\n".join([super().format_help(), "examples:", *lines, "", _EXIT_CODES, ""])


def add_repository(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add what every command has: --repo and --color; a form of `export` leaves the default to `export`."""
    parser.add_argument("--repo", metavar="DIR", help="the repository (default: that of the current directory)", default=default)
    parser.add_argument("--color", choices=("auto", "always", "never"), help="colour the output (output.colour)", default=default)


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add --format, for what `print_document` prints."""
    parser.add_argument("--format", choices=("text", "json", "yaml"), default="text", help="output format (default: text)")


def add_verbose(parser: argparse.ArgumentParser, help: str = "every fact") -> None:
    parser.add_argument("-v", "--verbose", action="store_true", help=help)


def add_offline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offline", action="store_true", help="no network and no model")


def add_patch(parser: argparse.ArgumentParser) -> None:
    """Add --patch, and --base for it."""
    parser.add_argument("--patch", metavar="FILE", help="a diff, a mail or an mbox; - is standard input")
    parser.add_argument("--base", metavar="REV", help="the revision that the patch applies to")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="use N processes (default: one for each processor)")
