"""The command line's parser: its help ends with examples and the exit codes, and an error shows the usage of the command that is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from hook.commands import complain

_EXIT_CODES = "exit codes: 0 done, 1 your policy says stop, 2 wrong use or settings, 3 could not judge"

# command -> what people type, without `patch-triage`
_EXAMPLES = {
    "": ("check", "review main..HEAD"),
    "agent": ("agent enable", "agent status"),
    "b4-prep-check": ("b4-prep-check < 0001-mm-fix.patch", "b4-prep-check --repo ~/linux < 0001-mm-fix.patch"),
    "b4-review-check": ("b4-review-check < 0001-mm-fix.patch", "b4-review-check --series"),
    "bulk": ("bulk v6.11..v6.12 --out verdicts", "bulk --help"),
    "check": ("check HEAD -v", "check --patch series.mbox --base v6.12"),
    "completion": (
        "completion bash > ~/.local/share/bash-completion/completions/patch-triage",
        'completion zsh > "${fpath[1]}/_patch-triage"',
    ),
    "config": ("config", "config | grep agent"),
    "configs": ("configs HEAD --fragment", "configs --option NUMA_BALANCING"),
    "export": ("export github main..HEAD", "export syz-manager HEAD --vmlinux vmlinux --into manager.cfg"),
    "index": ("index", "index v6.12 --jobs 4"),
    "install": ("install", "install --here"),
    "look": ("look callers kfree --rev v6.12", "look grep 'EXPORT_SYMBOL.*vma' mm"),
    "mark": ("mark HEAD right", "mark HEAD wrong --why 'only a comment'"),
    "marks": ("marks", "marks --format json"),
    "mcp": ("mcp", "mcp --repo ~/linux"),
    "plan": ("plan HEAD --out run", "plan --patch series.mbox --out run"),
    "presubmit": ("presubmit HEAD", "presubmit --warn ${PREUPLOAD_COMMIT}"),
    "replay": ("replay run.jsonl", "replay run.jsonl --patch fix.patch --base v6.12"),
    "report": ("report HEAD", "report HEAD -o - > page.html"),
    "review": ("review main..HEAD --html review.html", "b4 am -o- MESSAGE-ID | patch-triage review -"),
    "show": ("show HEAD", "show main..HEAD --format json"),
    "spend": ("spend", "spend ~/linux ~/linux-next --days 7"),
    "status": ("status", "status --watch"),
    "tool": ('tool grepper --json \'{"Expression": "kfree", "PathPrefix": "mm"}\'', 'tool kconfig --json \'{"Option": "KCOV"}\''),
    "trajectory": ("trajectory HEAD", "trajectory HEAD --full"),
    "uninstall": ("uninstall", "uninstall --repo ~/linux"),
}


class CommandParser(argparse.ArgumentParser):
    """The parser of the program, or of one command."""

    def format_help(self) -> str:
        """The help, and below it two examples and the exit codes."""
        examples = _EXAMPLES.get(self.prog.removeprefix("patch-triage").strip(), ())
        lines = [f"  {text}" if "patch-triage" in text else f"  patch-triage {text}" for text in examples]
        return "\n".join([super().format_help(), *(["examples:", *lines, ""] if lines else []), _EXIT_CODES, ""])


class Renamed(argparse.Action):
    """The old name of an option: it works for one version more, and says so."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        complain(f"{option_string} is --{self.dest.replace('_', '-')} now; the old name goes with the next version")
        setattr(namespace, self.dest, values)


def renamed(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Keep the old name of an option that takes one value."""
    parser.add_argument(
        old, dest=new.removeprefix("--").replace("-", "_"), action=Renamed, default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
