"""A small kernel-shaped git tree that speaks in verbs, for tests and the demo. The files are our own; see tests/tree/."""

from __future__ import annotations

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import typing
from collections.abc import Mapping

from tests import forked_program

if typing.TYPE_CHECKING:
    import git

TREE = pathlib.Path(__file__).parent / "tree"
PROGRAM = pathlib.Path(sys.executable).parent / "patch-triage"
DAY = "2026-01-05T10:00:00+0000"


def environment(home: pathlib.Path) -> dict[str, str]:
    """A person's environment with nothing of this machine's git settings in it."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PATCH_TRIAGE", "PRE_COMMIT"))}
    return env | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_EDITOR": "true",
        "GIT_AUTHOR_DATE": DAY,
        "GIT_COMMITTER_DATE": DAY,
        # a process that goes on when its test has ended: only for the tests that wait for it
        "PATCH_TRIAGE_AGENT_BACKGROUND": "false",
        "PATCH_TRIAGE_REACH_BACKGROUND": "false",
        "PATH": f"{PROGRAM.parent}{os.pathsep}{env['PATH']}",
    }


class Kernel:
    """A working tree of a git repository, and the person who works in it."""

    def __init__(self, path: pathlib.Path, env: dict[str, str]) -> None:
        self.path = path
        self.env = env

    @classmethod
    def create(cls, path: pathlib.Path, home: pathlib.Path, *init: str) -> Kernel:
        """A new repository at `path` with the small tree committed; `init` are options of `git init`."""
        home.mkdir(parents=True, exist_ok=True)
        (home / ".gitconfig").write_text(
            "[user]\n\tname = Jo Hacker\n\temail = jo@example.org\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
            "[maintenance]\n\tauto = false\n"  # two processes a commit that find nothing to do
            '[protocol "file"]\n\tallow = always\n'
        )
        shutil.copytree(TREE, path)
        kernel = cls(path, environment(home))
        kernel.git("init", "-q", *init)
        kernel.git("add", "-A", "-f")
        kernel.git("commit", "-qm", "Linux 0.1\n\nSigned-off-by: Jo Hacker <jo@example.org>")
        return kernel

    def beside(self, path: pathlib.Path) -> Kernel:
        """The same person in another working tree."""
        return Kernel(path, self.env)

    @property
    def repo(self) -> git.Repo:
        """The repository as GitPython sees it: a second opinion on what we have written."""
        import git

        return git.Repo(self.path)

    def git(self, *args: str, data: str | bytes = b"", ok: int | None = 0, **env: str) -> str:
        """What `git ARGS` prints on standard output."""
        return self.git_both(*args, data=data, ok=ok, **env)[0]

    def git_both(self, *args: str, data: str | bytes = b"", ok: int | None = 0, **env: str) -> tuple[str, str]:
        return self._run(["git", *args], data, ok, env)

    def triage(self, *args: str, data: str | bytes = b"", ok: int | None = 0, **env: str) -> str:
        """What `patch-triage ARGS` prints on standard output."""
        return self.triage_both(*args, data=data, ok=ok, **env)[0]

    def triage_both(self, *args: str, data: str | bytes = b"", ok: int | None = 0, **env: str) -> tuple[str, str]:
        return self._run([str(PROGRAM), *args], data, ok, env)

    def _run(self, argv: list[str], data: str | bytes, ok: int | None, env: dict[str, str]) -> tuple[str, str]:
        raw = data.encode() if isinstance(data, str) else data
        done: forked_program.Done | subprocess.CompletedProcess[bytes]
        behind = self.path.parent / "behind"  # what a hook leaves behind has a lock on it until it has ended
        env = self.env | env | {"BEHIND": str(behind)}
        with behind.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            if argv[0] == str(PROGRAM) and forked_program.can_run(env):
                done = forked_program.run(argv[1:], self.path, env, raw)
            else:
                done = subprocess.run(argv, cwd=self.path, env=env, input=raw, capture_output=True, check=False, pass_fds=(held.fileno(),))
        with behind.open("w") as ended:
            fcntl.flock(ended, fcntl.LOCK_EX)
        out, error = (stream.decode("utf-8", "surrogateescape") for stream in (done.stdout, done.stderr))
        assert ok is None or done.returncode == ok, f"{argv} ended with {done.returncode}\n{out}\n{error}"
        assert "Traceback" not in error, error
        return out, error

    def write(self, path: str, content: str | bytes) -> None:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def read(self, path: str) -> str:
        return (self.path / path).read_text()

    def replace(self, path: str, old: str, new: str) -> None:
        """Replace the one place where `old` stands."""
        text = self.read(path)
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
        self.write(path, text.replace(old, new))

    def stage(self, path: str, content: str | bytes) -> None:
        self.write(path, content)
        self.git("add", "-f", "--", path)

    def stage_unwritten(self, files: Mapping[str, str]) -> None:
        """Stage files without writing them to the working tree, which we never read: of thousands it takes a moment."""
        texts = "".join(f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n" for path, text in files.items())
        start = f"commit refs/heads/unwritten\ncommitter x <x> 0 +0000\ndata 0\nfrom {self.head()}\n"
        self.git("fast-import", "--quiet", data=start + texts)
        self.git("read-tree", "refs/heads/unwritten")
        self.git("branch", "-qD", "unwritten")

    def commit(self, path: str, content: str | bytes, message: str = "change", *options: str) -> str:
        """Commit one file's new content; returns the commit."""
        self.stage(path, content)
        self.git("commit", "-qm", message, *options)
        return self.head()

    def amend(self, path: str, content: str | bytes, *options: str) -> str:
        self.stage(path, content)
        self.git("commit", "-q", "--amend", "--no-edit", *options)
        return self.head()

    def head(self, revision: str = "HEAD") -> str:
        return self.git("rev-parse", revision).strip()

    def note(self, revision: str = "HEAD") -> str:
        """The note on a commit as git itself reads it, empty if there is none."""
        return self.git("notes", "--ref=patch-triage", "show", revision, ok=None)

    def install(self, *options: str) -> str:
        return self.triage("install", *options)

    def fork_in_hooks(self) -> None:
        """Let the hooks that are installed ask for a fork instead of starting the program (`tests/forked_program.py`)."""
        if forked_program.can_run(self.env):
            client = forked_program.client(PROGRAM)
            for hook in (self.path / ".git/hooks").iterdir():
                hook.write_text(hook.read_text().replace(f"program={PROGRAM}\n", f"program={client}\n"))
