"""The program without its start: a Python that has the package loaded, and forks for each command line that the tests run.

A start costs more than most of what the tests ask for, and there are thousands. The fork is a process of its own, with its own environment,
directory and files, so that a test sees what it would see of the program. It is not used where the start itself may matter.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pathlib
import pkgutil
import subprocess
import sys
import tempfile
import threading
import time
import typing
from collections.abc import Mapping, Sequence

_READ_AT_START = ("LC_", "LANG", "PYTHON", "COVERAGE_", "LD_")
_here = threading.local()


class Done(typing.NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: bytes
    stderr: bytes


def can_run(env: Mapping[str, str]) -> bool:
    """Whether a fork is as good as a start: nothing in its environment is read by `sh`, or by Python before the program begins."""
    ours, its = ({key: value for key, value in one.items() if key.startswith(_READ_AT_START)} for one in (os.environ, env))
    absolute = all(entry.startswith("/") for entry in env["PATH"].split(":"))
    return ours == its and absolute and "COVERAGE_PROCESS_CONFIG" not in env and threading.current_thread() is threading.main_thread()


def run(arguments: Sequence[str], cwd: pathlib.Path, env: Mapping[str, str], data: bytes) -> Done:
    """Run `patch-triage` with some arguments."""
    if not hasattr(_here, "server"):
        _here.server = _start()
    server = _here.server
    with tempfile.TemporaryDirectory() as name:
        files = [pathlib.Path(name, stream) for stream in ("stdin", "stdout", "stderr")]
        files[0].write_bytes(data)
        request = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "files": [str(file) for file in files]}
        server.stdin.write(json.dumps(request).encode() + b"\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, "the program that forks has ended"
        return Done(int(answer), files[1].read_bytes(), files[2].read_bytes())


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")


def _serve() -> None:
    """Fork for each request; returns in the fork, which is the program then."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    import hook

    for module in pkgutil.walk_packages(hook.__path__, "hook."):
        if module.name != "hook.__main__":
            importlib.import_module(module.name)
    gc.freeze()  # the pages of what is loaded stay shared
    for line in requests:
        child = os.fork()
        if not child:
            requests.close()
            os.close(answers)
            _become(json.loads(line))
            return
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(answers, f"{status}\n".encode())
    os._exit(0)


def _become(request: dict[str, typing.Any]) -> None:
    for stream, (name, flags) in enumerate(
        zip(request["files"], (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_APPEND] * 2), strict=True)
    ):
        file = os.open(name, flags, 0o600)
        os.dup2(file, stream)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.argv = ["patch-triage", *request["arguments"]]


if __name__ == "__main__":
    _serve()
    from hook.cli import main

    try:
        code = main()
    except SystemExit as end:  # of argparse
        code = end.code if isinstance(end.code, int) else 0
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking all that is loaded apart would cost as much as the command
