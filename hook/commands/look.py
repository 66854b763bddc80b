"""`patch-triage look`: one question about the tree."""

from __future__ import annotations

import argparse
import json
import typing

from hook.change.change import find_commit
from hook.commands import DONE, CannotDo, Command, complain, print_document, repository, tool
from hook.commands.command_line import add_format, add_verbose
from hook.report import text
from hook.source import setting_layers
from hook.source.object_store import Objects
from hook.source.tree import Source

# what a person asks, and the look-up that answers it; its module is loaded for the question
_QUESTIONS = {"definitions": "find_definitions", "references": "references", "callers": "callers", "callees": "callees"}


def register(command: Command) -> None:
    sub = command("look", look, "look up a name or a file in the tree")
    sub.add_argument("question", choices=(*_QUESTIONS, "includers", "file", "files", "grep"))
    sub.add_argument(
        "name", metavar="NAME", help="a name, a path (includers, file), a pattern (files) or an extended regular expression (grep)"
    )
    sub.add_argument("prefix", nargs="?", default="", metavar="PATH", help="for grep: below this path")
    sub.add_argument("--rev", default="HEAD", metavar="REV", help="the tree to read (default: HEAD)")
    sub.add_argument("--staged", action="store_true", help="read the index instead")
    add_format(sub)
    add_verbose(sub, "say why the word index was not used")


def look(options: argparse.Namespace) -> int:
    """Answer one question about the tree."""
    from hook.report import lookup_text as report
    from hook.source import lookup
    from hook.source.treepath import NotATreePath, tree_path

    if options.question == "grep":
        arguments = {"Expression": options.name, "PathPrefix": options.prefix}
        return tool.answer(options, "grepper", json.dumps(arguments), options.rev)
    repo = repository(options)
    with Objects(repo) as objects:
        revision = "" if options.staged else find_commit(objects, options.rev).oid
        settings = setting_layers.at(objects, revision or "HEAD")
        source = Source(objects, revision)
        bounds = lookup.Bounds(lookup.MOST_FILES, settings.limits.lookup_seconds, searches_all=True)
        path = ""
        try:
            if options.question == "file":
                path = tree_path(options.name)
                if source.oid(path) == "":
                    raise CannotDo(f"there is no {path} in {options.rev}")
                answer: lookup.LookupResult[typing.Any] = lookup.file_index(source, path)
            elif options.question == "files":
                print("\n".join(map(text.plain, source.glob(options.name))))
                return DONE
            elif options.question == "includers":
                answer = lookup.includers(source, tree_path(options.name), bounds)
            else:
                answer = getattr(lookup, _QUESTIONS[options.question])(source, options.name, bounds)
        except (lookup.NotAName, NotATreePath) as wrong:
            raise CannotDo(str(wrong)) from None
    if options.format != "text":
        print_document(report.document(answer, path), options.format)
    else:
        for line in report.lines(answer, path):
            print(text.plain(line, tabs=True))
    if source.without_index and options.verbose:
        complain(source.without_index)
    return DONE
