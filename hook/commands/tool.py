"""`patch-triage tool`: one of the model's tools, by hand."""

from __future__ import annotations

import argparse
import json

from hook.change.change import find_commit, head_commit
from hook.commands import DONE, CannotDo, Command, repository
from hook.report import text
from hook.source import setting_layers
from hook.source.object_store import Objects
from hook.source.tree import Source

# of hook.agent.tools, whose import costs more than the command line may
_TOOLS = (
    "grepper",
    "codesearch-dir-index",
    "read-file",
    "definition",
    "references",
    "callers",
    "callees",
    "kconfig",
    "kbuild",
    "reach",
    "diff",
    "log",
    "show",
    "blame",
)


def register(command: Command) -> None:
    sub = command("tool", tool, "run one of the model's tools")
    sub.add_argument("name", metavar="NAME", help=", ".join(_TOOLS))
    sub.add_argument("--json", default="{}", metavar="ARGS", help='its arguments, such as \'{"Dir": "mm"}\'')
    sub.add_argument("--rev", default="HEAD", metavar="REV", help="the tree to read (default: HEAD)")
    sub.add_argument("--staged", action="store_true", help="read the index instead")


def tool(options: argparse.Namespace) -> int:
    """Run one of the model's tools by hand."""
    return answer(options, options.name, options.json, options.rev)


def answer(options: argparse.Namespace, name: str, arguments: str, revision: str) -> int:
    """Print what tool `name` says to `arguments` (JSON) about the tree at `revision`, or about what is staged.

    Raises CannotDo where the tool refuses the call.
    """
    from hook.agent.desk import of_tree
    from hook.agent.tools import lookup_tools, tree_tools
    from hook.agent.tools.arguments import BadCall

    repo = repository(options)
    with Objects(repo) as objects:
        where = "" if options.staged else find_commit(objects, revision).oid
        head = head_commit(objects) if options.staged else None
        history = head.oid if head else where
        desk = of_tree(Source(objects, where), setting_layers.at(objects, where or "HEAD"), history=history)
        try:
            results = tree_tools.call(lookup_tools.BY_NAME, desk, name, json.loads(arguments))
        except (BadCall, RecursionError) as wrong:
            raise CannotDo(str(wrong)) from None
        except ValueError as wrong:
            raise CannotDo(f"--json is not JSON: {wrong}") from None
    for line in tree_tools.as_text(results).split("\n"):
        print(text.plain(line, tabs=True))
    return DONE
