"""The program without its start: a Python that has the package loaded, and forks for each command line that the tests run.

A start costs more than most of what the tests ask for, and there are thousands. The fork is a process of its own, with its own environment,
directory and files, so that a test sees what it would see of the program. It is not used where the start itself may matter, or where the
program is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import os
import pathlib
import pkgutil
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import typing
from collections.abc import Mapping, Sequence

if __name__ == "__main__":  # isolated, Python does not look beside this file
    sys.path.append(str(pathlib.Path(__file__).parent.parent))

from tests import forked_client

# what the program imports where it is needed
_ALSO = (
    *("csv", "email.message", "email.policy", "jinja2", "openai.lib.streaming.chat", "openai.resources.chat.completions", "rich.console"),
    *("anyio.streams.tls", "h11", "httpcore2", "rich.progress", "sqlite3", "truststore", "unidiff", "yaml"),
)
OF_BULK = ("distributed", "pyarrow.parquet")
_lock = threading.Lock()


class Done(typing.NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Server(typing.NamedTuple):
    """The process that forks."""

    process: subprocess.Popen[bytes]
    address: str
    started_with: dict[str, str]  # as far as it was read at the start


def can_run(env: Mapping[str, str]) -> bool:
    """Whether a fork is as good as a start: nothing in its environment is read by `sh`, or by Python before the program begins."""
    return "COVERAGE_PROCESS_CONFIG" not in env and forked_client.can_fork(env, server().started_with)


def run(arguments: Sequence[str], cwd: pathlib.Path, env: Mapping[str, str], data: bytes) -> Done:
    """Run `patch-triage` with some arguments."""
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(os.fdopen(os.memfd_create(name), "r+b", buffering=0)) for name in ("stdin", "stdout", "stderr")]
        streams[0].write(data)
        for stream in streams:
            stream.seek(0)
        found = server(*OF_BULK) if arguments[:1] == ["bulk"] else server()
        code = forked_client.ask(found.address, arguments, str(cwd), env, [stream.fileno() for stream in streams])
        for stream in streams:
            stream.seek(0)
        return Done(code, streams[1].read(), streams[2].read())


def client(program: pathlib.Path, *also: str) -> pathlib.Path:
    """A program that does what `program` does, in a fork; `also` is what it has loaded beside the program."""
    found = server(*also)
    path = pathlib.Path(found.address).with_name(program.name)
    with _lock:
        if not path.exists():
            code = pathlib.Path(forked_client.__file__).read_text()
            path.write_text(f"#!{sys.executable} -IS\n{code}\n\nmain{(found.address, found.started_with, str(program))!r}\n")
            path.chmod(0o755)
    return path


_servers: dict[tuple[str, ...], Server] = {}  # by what it has loaded beside the program


def server(*also: str) -> Server:
    """The process that forks for this one; it ends with it."""
    with _lock:
        if also not in _servers:
            directory = tempfile.mkdtemp(prefix="forked-")
            atexit.register(shutil.rmtree, directory, ignore_errors=True)
            address = f"{directory}/socket"
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(address)
                listener.listen(100)
                argv = [sys.executable, "-I", __file__, str(listener.fileno()), *also]
                process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd="/", pass_fds=[listener.fileno()])
            _servers[also] = Server(process, address, forked_client.read_at_start(os.environ))
        return _servers[also]


def _serve(listener: socket.socket, also: Sequence[str]) -> socket.socket:
    """Fork for each request; returns in the fork, which is the program then, with the connection to the one that waits for it."""
    import hook
    from hook import lazy_re

    for name in (*(module.name for module in pkgutil.walk_packages(hook.__path__, "hook.")), *_ALSO, *also):
        with contextlib.suppress(ModuleNotFoundError):  # another release of openai has other modules
            if name != "hook.__main__":
                importlib.import_module(name)
    from hook.evidence.functional import path_table

    path_table.classify("mm/pool.c", "x86_64")  # makes its patterns
    for loaded in gc.get_objects():
        if type(loaded) is lazy_re._Pattern:
            assert loaded.groups >= 0  # its first use compiles it: here once, and not in each fork
    gc.collect()
    gc.freeze()  # the pages of what is loaded stay shared
    while True:
        watched: list[socket.socket | int] = [listener, 0]
        if listener not in select.select(watched, [], [])[0]:
            os._exit(0)  # the end of the tests
        connection = listener.accept()[0]
        if not os.fork():
            listener.close()
            return connection
        connection.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _become(connection: socket.socket) -> None:
    """Take over what the client has: its arguments, directory, environment and streams."""
    length, streams, *_ = socket.recv_fds(connection, 4, 3)
    request = connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    cwd, umask, count, *rest = os.fsdecode(request).split("\0")
    os.environ.clear()
    for entry in rest[int(count) :]:
        name, _, value = entry.partition("=")
        os.environ[name] = value
    time.tzset()
    if behind := os.environ.get("BEHIND"):
        fcntl.flock(os.open(behind, os.O_RDONLY), fcntl.LOCK_SH)  # what is left behind has it too
    os.chdir(cwd)
    os.umask(int(umask))
    sys.argv = ["patch-triage", *rest[: int(count)]]


if __name__ == "__main__":
    connection = _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
    _become(connection)
    from hook.cli import main

    try:
        code = main()
    except SystemExit as end:  # of argparse
        code = end.code if isinstance(end.code, int) else 0
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(code.to_bytes(4, "big", signed=True))
    os._exit(code)  # taking all that is loaded apart would cost as much as the command
