"""What a person types: the names of the commands, and what every one of them ends in.

Nothing is imported here that not every command needs: `--version` and the hooks need no command line's parser.
"""

from __future__ import annotations

import gc
import sys

from hook import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

_VERSION = f"patch-triage {__version__}"
# after so many the collector looks for circles: most of what a judgement makes lives to its end, and Python's 700 cost 7% of its time
_NEW_OBJECTS = 50_000

# command -> its module under hook/commands, in the order in which `--help` lists them
COMMANDS = {
    "check": "check",
    "show": "show",
    "mark": "mark",
    "review": "review",
    "bulk": "bulk",
    "configs": "configs",
    "install": "install",
    "uninstall": "install",
    "config": "settings",
    "status": "status",
    "agent": "agent",
    "spend": "spend",
    "marks": "marks",
    "trajectory": "trajectory",
    "report": "report",
    "replay": "replay",
    "export": "export",
    "plan": "plan",
    "b4-prep-check": "b4",
    "b4-review-check": "b4",
    "presubmit": "presubmit",
    "index": "index",
    "look": "look",
    "completion": "completion",
    "tool": "tool",
    "mcp": "mcp",
}

# what may be longer than a screen, and is printed at once
_PAGED = frozenset(("check", "show", "review", "configs", "config", "spend", "marks", "trajectory", "replay", "look", "tool"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 done, 1 stopped by the policy, 2 wrong use or settings, 3 could not judge."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    gc.set_threshold(_NEW_OBJECTS)
    try:
        if arguments == ["--version"]:
            print(_VERSION)
            return 0
        if arguments[:1] == ["hook"] and arguments[1:]:
            from hook.stages import dispatch

            return dispatch.run(arguments[1:])
        return _run_command(arguments)
    except KeyboardInterrupt:
        print("patch-triage: interrupted", file=sys.stderr)
        return 130


def _run_command(arguments: Sequence[str]) -> int:
    from hook import config
    from hook.commands import DONE, NOT_JUDGED, WRONG_USE, WrongUse, complain
    from hook.failure import CannotJudge, sentence

    try:
        if not arguments:
            from hook.commands import next_steps

            return next_steps.tell()
        options, unknown = parser(arguments[:1]).parse_known_args(arguments)
        if unknown:
            options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        if options.color:
            import os

            os.environ["PATCH_TRIAGE_OUTPUT_COLOUR"] = options.color
        if options.paged and sys.stdout.isatty():
            from hook.commands import pager

            with pager.paged(options):
                return int(options.run(options))
        return int(options.run(options))
    except (WrongUse, config.WrongSetting) as wrong:
        complain(str(wrong))
        return WRONG_USE
    except CannotJudge as wrong:
        complain(str(wrong))
        return NOT_JUDGED
    except BrokenPipeError:
        import os

        # whoever read our output has enough; say nothing more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as wrong:
        complain(sentence(wrong))
        return NOT_JUDGED
    except Exception as bug:  # the last boundary: nobody is shown a traceback
        from hook.record import crash_log

        complain(crash_log.sentence(bug))
        return NOT_JUDGED


def parser(named: Iterable[str] = ()) -> argparse.ArgumentParser:
    """The parser for the command that is named; for all of them where that is none of ours."""
    import importlib

    from hook.commands.command_line import CommandParser, add_repository

    top = CommandParser(prog="patch-triage", description="Is this Linux kernel change worth fuzzing, where, and with which options?")
    top.add_argument("--version", action="version", version=_VERSION)
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=what, description=what)
        add_repository(sub)
        sub.set_defaults(run=run, parser=sub, whole=parser, paged=name in _PAGED)
        return sub

    modules = [COMMANDS[name] for name in named if name in COMMANDS] or COMMANDS.values()
    for module in dict.fromkeys(modules):  # each is loaded where it is asked for
        importlib.import_module(f"hook.commands.{module}").register(command)
    return top
