"""A client of the program without its start: gives its arguments, directory, environment and streams to the process that forks.

It imports what costs nothing, since the hooks of the tests' repositories start it where a person's start the program.
"""

from __future__ import annotations

import _socket
import array
import os
import sys
from collections.abc import Mapping, Sequence

_READ_AT_START = ("LC_", "LANG", "PYTHON", "COVERAGE_", "LD_")


def read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that `sh` reads, or Python before the program begins."""
    return {key: value for key, value in env.items() if key.startswith(_READ_AT_START)}


def can_fork(env: Mapping[str, str], started_with: Mapping[str, str]) -> bool:
    """Whether a fork of a process that was `started_with` an environment is as good as a start in another."""
    return read_at_start(env) == started_with and all(entry.startswith("/") for entry in env.get("PATH", "").split(":"))


def ask(address: str, arguments: Sequence[str], cwd: str, env: Mapping[str, str], streams: Sequence[int]) -> int:
    """Run `patch-triage` with some arguments, and standard streams; gives its exit code, negative where a signal ended it."""
    umask = os.umask(0)
    os.umask(umask)
    fields = [cwd, str(umask), str(len(arguments)), *arguments, *(f"{key}={value}" for key, value in env.items())]
    request = os.fsencode("\0".join(fields))
    with _Connection(address) as connection:
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", streams))]
        connection.sendmsg([len(request).to_bytes(4, "big")], rights)
        while request:
            request = request[connection.send(request) :]
        answer = connection.recv(4, _socket.MSG_WAITALL)
    return int.from_bytes(answer, "big", signed=True) if answer else -9


class _Connection(_socket.socket):
    def __init__(self, address: str) -> None:
        super().__init__(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self.connect(address)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main(address: str, started_with: Mapping[str, str], program: str) -> None:
    """Be `patch-triage`: through a fork where that is as good, started else."""
    env = dict(os.environ)
    if not can_fork(env, started_with) or not os.path.exists(address):
        os.execv(program, [program, *sys.argv[1:]])
    sys.exit(max(ask(address, sys.argv[1:], os.getcwd(), env, (0, 1, 2)), -1) & 0xFF)
