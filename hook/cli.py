"""What a person types: the names of the commands, and what every one of them ends in.

Nothing is imported here that not every command needs: `--version` and the hooks need no command line's parser.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys

from hook import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence
    from typing import NoReturn

_VERSION = f"patch-triage {__version__}"
# new objects before the collector looks for circles: most of what a judgement makes lives to its end, and 700 cost 7% of its time
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


def run() -> NoReturn:
    """Run the program and end its process, without taking apart what it has loaded: that would take longer than a question to git."""
    code = main()
    if "threading" in sys.modules and sys.modules["threading"].active_count() > 1:
        sys.exit(code)  # which waits for them
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # whoever read our output has enough
    except OSError as wrong:
        print(f"patch-triage: the output could not be written: {wrong.strerror}", file=sys.stderr)
        code = max(code, 3)
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 done, 1 stopped by the policy, 2 wrong use or settings, 3 could not judge."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    gc.set_threshold(_NEW_OBJECTS)
    try:
        if arguments == ["--version"]:
            print(_VERSION)
            return 0
        _load_libraries()
        if arguments[:1] == ["hook"] and arguments[1:]:
            _hear_interrupts(arguments[1])
            from hook.stages import dispatch

            return dispatch.run(arguments[1:])
        return _run_command(arguments)
    except KeyboardInterrupt:
        print("patch-triage: interrupted", file=sys.stderr)
        return 130


def _load_libraries() -> None:
    """Load what every command uses without the modules that these import and the program seldom or never needs.

    `typing_extensions` takes as long to load as Python to start, each of the others a tenth of that to a third.
    """
    # msgspec asks for types, which none of our records has
    stand_ins: dict[str, object] = {"typing_extensions": None, "uuid": _Types("UUID", "SafeUUID"), "decimal": _Types("Decimal")}
    stand_ins["urllib.parse"] = _Quoting  # for pathlib
    stand_ins |= {name: _Later(name) for name in ("msgspec.inspect", "textwrap", "locale")}
    put = {name: stand_in for name, stand_in in stand_ins.items() if name not in sys.modules}
    sys.modules.update(put)  # type: ignore[arg-type]
    try:
        import pathlib  # noqa: F401
        import subprocess  # noqa: F401

        import msgspec  # noqa: F401
    finally:
        for name in put:
            del sys.modules[name]


class _Types:
    """Stands for a module of which only types are asked for, that no value has."""

    def __init__(self, *names: str) -> None:
        for name in names:
            setattr(self, name, type(name, (), {"unknown": None}))


class _Quoting:
    """Stands for urllib.parse, of which pathlib uses one function, for URIs."""

    @staticmethod
    def quote_from_bytes(name: bytes) -> str:
        from urllib.parse import quote_from_bytes

        return quote_from_bytes(name)


class _Later:
    """Stands for a module where it was imported, and loads it when something of it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        import importlib

        if attribute.startswith("__"):  # asked for by the import itself
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)


def _hear_interrupts(stage: str) -> None:
    """Let Ctrl-C end a hook with one line, from here on: while Python starts, our hooks ignore it, since it would print a traceback.

    So would an exception that comes anywhere: only pre-push, which may have to stop the push, needs it as one.
    """
    import signal

    def end(number: int, frame: object) -> NoReturn:
        os.write(2, b"patch-triage: interrupted; `patch-triage check` prints the verdict later\n")
        os._exit(0)

    signal.signal(signal.SIGINT, signal.default_int_handler if stage == "pre-push" else end)


def _run_command(arguments: Sequence[str]) -> int:
    from hook import config
    from hook.commands import DONE, NOT_JUDGED, WRONG_USE, CannotDo, WrongUse, complain
    from hook.failure import CannotJudge, sentence

    try:
        if not arguments:
            from hook.commands import next_steps

            return next_steps.tell()
        options, unknown = parser(arguments[:1]).parse_known_args(arguments)
        if unknown:
            options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        if options.color:
            os.environ["PATCH_TRIAGE_OUTPUT_COLOUR"] = options.color
        if options.paged and sys.stdout.isatty():
            from hook.commands import pager

            with pager.paged(options):
                return int(options.run(options))
        return int(options.run(options))
    except WrongUse as wrong:
        options.parser.print_usage(sys.stderr)
        complain(str(wrong))
        return WRONG_USE
    except (CannotDo, config.WrongSetting) as wrong:
        complain(str(wrong))
        return WRONG_USE
    except CannotJudge as wrong:
        complain(str(wrong))
        return NOT_JUDGED
    except BrokenPipeError:
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

    def command(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary)
        add_repository(sub)
        sub.set_defaults(run=run, parser=sub, whole=parser, paged=name in _PAGED)
        return sub

    modules = [COMMANDS[name] for name in named if name in COMMANDS] or COMMANDS.values()
    for module in dict.fromkeys(modules):  # each is loaded where it is asked for
        importlib.import_module(f"hook.commands.{module}").register(command)
    return top
