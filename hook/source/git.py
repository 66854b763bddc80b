"""Git, run safely: found once, called with a scrubbed environment, so that nothing in the tree under review takes part.

Every call names the git directory and runs inside it, not in the working tree: so no working file, no `.gitattributes`, no fsmonitor, no
hook and no filter of the tree under review can take part. Nothing is ever fetched.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import IO

import msgspec

from hook.config import BY_NAME
from hook.failure import CannotJudge

# settings by which git would execute a program or change its output, switched off; all other settings of the person stay in force
_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.quotePath=true",
    "core.commitGraph=true",
    "diff.external=",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.suppressBlankEmpty=false",
    "diff.orderFile=/dev/null",
    "diff.ignoreSubmodules=none",
    "diff.submodule=short",
    "diff.default.binary=auto",
    # the driver of files without attributes, for --remerge-diff: by a name that no configuration has, it is git's own
    f"merge.default={os.urandom(8).hex()}",
    "log.showSignature=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.allow=never",
    "color.ui=false",
)
_MEMORY_BYTES = 1 << 30  # for a git whose work depends on untrusted text
_INPUT_MEMORY_BYTES = 640 << 20  # for one that reads such a text: a binary patch of 1 MB can unpack to any size
_FETCH_SECONDS = 3600.0  # a person waits for it and sees it
_LAST_WORDS_BYTES = 64 << 10  # of git's error output, to find the reason in
_EMPTY_TREE = {
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}


class GitError(CannotJudge):
    """A git command failed; the sentence is the command and git's own last line."""


class NotARepository(GitError):
    """There is no git repository in a directory or above it."""


class TooMuchOutput(GitError):
    """Git's output went past the limit of the settings."""


class InForce(msgspec.Struct, eq=False):
    """The settings about a repository; until they are read, limits.git_seconds of the environment, or the default."""

    seconds: float  # limit for one git call
    index_directory: pathlib.Path | None = None  # of the word index, if not in its usual place
    git_config: list[tuple[str, str, str]] | None = None  # the patchtriage.* entries of git's configuration, if a hook has read them

    def __eq__(self, other: object) -> bool:
        """Always equal: settings do not make two repositories different."""
        return isinstance(other, InForce)

    def __hash__(self) -> int:
        return 0


class Repository(msgspec.Struct, frozen=True):
    """One git repository as seen from one of its working trees."""

    git_dir: pathlib.Path  # of this working tree (`.git/worktrees/x` in a linked one)
    common_dir: pathlib.Path  # shared by all working trees: objects, refs, our own files
    object_format: str  # sha1 or sha256
    index_file: pathlib.Path | None  # GIT_INDEX_FILE as git gave it to a hook (`commit -a`, partial commits)
    in_force: InForce = msgspec.field(default_factory=lambda: InForce(_first_seconds()))
    object_dir: pathlib.Path | None = None  # where new objects go instead of the repository's own store

    @property
    def seconds(self) -> float:
        """The limit for one git call."""
        return self.in_force.seconds

    @property
    def index_path(self) -> pathlib.Path:
        """The staged index: pass it to the calls that are about it. Other calls get none, since git would take attributes from it."""
        return self.index_file or self.git_dir / "index"

    @property
    def empty_tree(self) -> str:
        return _EMPTY_TREE[self.object_format]

    @property
    def null_id(self) -> str:
        return "0" * (40 if self.object_format == "sha1" else 64)

    @property
    def is_partial(self) -> bool:
        """Whether this is a partial clone, in which blobs may be missing (gitrepository-layout(5): a pack beside a `.promisor`)."""
        return any((self.common_dir / "objects/pack").glob("*.promisor"))

    @property
    def state_dir(self) -> pathlib.Path:
        """The directory of everything that we keep, shared by all working trees."""
        return self.common_dir / "patch-triage"

    @property
    def index_directory(self) -> pathlib.Path:
        """Where the word index is."""
        return self.in_force.index_directory or self.state_dir / "index"

    def environment(self, index: pathlib.Path | None = None) -> dict[str, str]:
        """The environment for a git call: without the caller's GIT_* except GIT_CONFIG_*, and with our own."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith("GIT_CONFIG_")}
        env.update(
            GIT_DIR=str(self.git_dir),
            GIT_WORK_TREE=str(self.git_dir),  # core.worktree of a submodule would make the git directory a sub-directory of it
            GIT_NO_REPLACE_OBJECTS="1",
            GIT_OPTIONAL_LOCKS="0",
            GIT_NO_LAZY_FETCH="1",
            GIT_ALLOW_PROTOCOL="none",
            GIT_TERMINAL_PROMPT="0",
            GIT_ATTR_SOURCE=self.empty_tree,
            GIT_ATTR_NOSYSTEM="1",
            LC_ALL="C",
        )
        # git before 2.41 does not know GIT_ATTR_SOURCE, and reads .gitattributes from the index: without an index it finds none
        env["GIT_INDEX_FILE"] = str(index if index is not None else self.git_dir / "patch-triage-no-index")
        if self.object_dir is not None:
            env["GIT_OBJECT_DIRECTORY"] = str(self.object_dir)
            env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = _quoted(self.common_dir / "objects")
        return env

    def command(self, *args: str) -> list[str]:
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        return ["git", *settings, *args]

    def run(
        self,
        *args: str,
        data: bytes = b"",
        index: pathlib.Path | None = None,
        env: Mapping[str, str] | None = None,
        ok: Sequence[int] = (0,),
    ) -> bytes:
        """The output of `git ARGS`. Raises GitError if it exits with anything but `ok`, or takes too long."""
        return self.outcome(*args, data=data, index=index, env=env, ok=ok).stdout

    def outcome(
        self,
        *args: str,
        data: bytes = b"",
        index: pathlib.Path | None = None,
        env: Mapping[str, str] | None = None,
        ok: Sequence[int] = (0,),
    ) -> subprocess.CompletedProcess[bytes]:
        """As `run`, with the exit code and stderr."""
        pipe, full_env = subprocess.PIPE, {**self.environment(index), **(env or {})}
        try:
            process = subprocess.Popen(self.command(*args), stdin=pipe, stdout=pipe, stderr=pipe, cwd=self.git_dir, env=full_env)
        except OSError as wrong:
            raise GitError(f"git could not be started: {wrong.strerror}") from None
        with process:
            _bound_memory(process.pid, _INPUT_MEMORY_BYTES if data else 0)
            try:
                out, error = process.communicate(data, timeout=self.seconds)
            except BaseException as wrong:
                process.kill()
                if not isinstance(wrong, subprocess.TimeoutExpired):
                    raise
                raise GitError(f"git {args[0]} did not end within {self.seconds:g} s (limits.git_seconds)") from None
        if process.returncode not in ok:
            raise GitError(f"git {args[0]}: {_last_line(error) or f'exit {process.returncode}'}")
        return subprocess.CompletedProcess(args, process.returncode, out, error)

    def fetch(self, oids: Sequence[str]) -> None:
        """Fetch objects that a partial clone lacks, because the person has asked for it: the only call that uses the network.

        Raises GitError.
        """
        promisors = self.run("config", "--bool", "--get-regexp", r"^remote\..*\.promisor$", ok=(0, 1)).decode("utf-8", "replace")
        remotes = [line.rsplit(" ", 1)[0][len("remote.") : -len(".promisor")] for line in promisors.splitlines() if line.endswith(" true")]
        if not remotes:
            raise GitError("objects are missing, and this is no partial clone: `git fsck` says more")
        env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(("GIT_CONFIG_", "GIT_SSH"))}
        # as git itself fetches for a partial clone (promisor-remote.c)
        command = [
            "git", "-c", "fetch.negotiationAlgorithm=noop", "fetch", remotes[0], "--no-tags", "--no-write-fetch-head",
            "--recurse-submodules=no", "--filter=blob:none", "--stdin",
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command,
                input="".join(f"{oid}\n" for oid in oids).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=self.git_dir,
                env={**env, "GIT_DIR": str(self.git_dir), "LC_ALL": "C"},
                timeout=_FETCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitError(f"git fetch did not end within {_FETCH_SECONDS:g} s") from None
        except OSError as wrong:
            raise GitError(f"git could not be started: {wrong.strerror}") from None
        if done.returncode:
            raise GitError(f"git fetch: {_last_line(done.stderr) or f'exit {done.returncode}'}")

    def run_bounded(self, *args: str, limit_bytes: int, index: pathlib.Path | None = None, head: tuple[int, bytes] | None = None) -> bytes:
        """As `run` without input, but ends git and raises TooMuchOutput as soon as it prints more than `limit_bytes`.

        The same if `head` is (bytes, mark) and the mark that ends the first part of the output is not in these first bytes.
        """
        out, ended = self.run_cut(*args, limit_bytes=limit_bytes, seconds=self.seconds, index=index, memory_bytes=0, head=head)
        if ended == "bytes":
            raise TooMuchOutput(f"git {args[0]} prints more than {limit_bytes} bytes")
        if ended:
            raise GitError(f"git {args[0]} did not end within {self.seconds:g} s (limits.git_seconds)")
        return out

    def run_cut(
        self,
        *args: str,
        limit_bytes: int,
        seconds: float,
        index: pathlib.Path | None = None,
        ok: Sequence[int] = (0,),
        settings: Sequence[str] = (),
        memory_bytes: int = _MEMORY_BYTES,
        head: tuple[int, bytes] | None = None,
    ) -> tuple[bytes, str]:
        """As `run_bounded`, but returns the output up to a limit, and the limit that ended git: `bytes`, `seconds` or empty.

        Its memory is limited too (0: no limit), since a regular expression can need any amount.
        """
        try:
            process = subprocess.Popen(
                self.command(*(word for setting in settings for word in ("-c", setting)), *args),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.git_dir,
                env=self.environment(index),
            )
        except OSError as wrong:
            raise GitError(f"git could not be started: {wrong.strerror}") from None
        assert process.stdout is not None and process.stderr is not None
        ended: list[str] = []
        complaints = _Complaints(process.stderr)

        def too_late() -> None:
            ended.append("seconds")
            process.kill()

        timer = threading.Timer(seconds, too_late)
        timer.daemon = True
        timer.start()
        try:
            with process:
                _bound_memory(process.pid, memory_bytes)
                out = process.stdout.read(min(head[0], limit_bytes + 1)) if head else b""
                is_short = head is None or len(out) < head[0] or head[1] in out
                out += process.stdout.read(limit_bytes + 1 - len(out)) if is_short else b""
                if (len(out) > limit_bytes or not is_short) and not ended:
                    ended.append("bytes")
                    process.kill()
                complaints.join()
        finally:
            timer.cancel()
        if not ended and process.returncode not in ok:
            raise GitError(f"git {args[0]}: {_last_line(bytes(complaints.last)) or f'exit {process.returncode}'}")
        return out[:limit_bytes], ended[0] if ended else ""


class _Complaints(threading.Thread):
    """Reads git's error output while we read its answer: the attributes of a tree can make it longer than a pipe holds."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self.last = bytearray()
        self.start()

    def run(self) -> None:
        while piece := os.read(self._stream.fileno(), 1 << 16):
            self.last += piece
            del self.last[:-_LAST_WORDS_BYTES]


def _bound_memory(pid: int, most: int) -> None:
    import resource

    if not most or not hasattr(resource, "prlimit"):
        return  # only Linux can limit a running process
    try:
        resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))
    except (OSError, ValueError):
        pass  # it has ended already, or the person's own limit is lower


def _first_seconds() -> float:
    field = BY_NAME["limits.git_seconds"]
    try:
        return float(field.check(os.environ.get("PATCH_TRIAGE_LIMITS_GIT_SECONDS", field.default)))
    except ValueError:
        return float(field.default)  # the error is reported when the settings are read


def find(start: pathlib.Path | None = None) -> Repository:
    """The repository around `start`, or around the current directory by git's own environment.

    Git itself searches for it, so that `safe.directory` is respected. A bare one inside of another is part of that one's tree, and its
    configuration could name programs: only GIT_DIR leads to it. Raises NotARepository.
    """
    keep = () if start else ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key in keep}
    here = pathlib.Path(start or ".").absolute()
    in_force = InForce(_first_seconds())
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--absolute-git-dir", "--git-common-dir", "--show-object-format", "--is-bare-repository"],
            capture_output=True,
            cwd=here,
            env={**env, "LC_ALL": "C"},
            timeout=in_force.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GitError(f"git rev-parse did not end within {in_force.seconds:g} s (limits.git_seconds)") from None
    except FileNotFoundError:
        raise NotARepository("git is not installed" if here.is_dir() else f"{here} is not a directory") from None
    except OSError as wrong:
        raise NotARepository(f"{here}: {wrong.strerror}") from None
    if done.returncode:
        why = _last_line(done.stderr)
        raise NotARepository(f"{here} is not in a git repository" + ("" if "not a git repository" in why else f" ({why})"))
    git_dir, common, object_format, is_bare = os.fsdecode(done.stdout).splitlines()
    if is_bare == "true" and "GIT_DIR" not in env and _is_in_a_work_tree(pathlib.Path(git_dir).parent, env, in_force.seconds):
        raise NotARepository(f"{git_dir} is a bare repository in the tree of another one: if that is meant, name it in GIT_DIR")
    index = os.environ.get("GIT_INDEX_FILE") if start is None else None
    return Repository(
        git_dir=pathlib.Path(git_dir),
        common_dir=pathlib.Path(os.path.normpath(here / common)),
        object_format=object_format,
        index_file=here / index if index else None,
        in_force=in_force,
    )


def _is_in_a_work_tree(directory: pathlib.Path, env: Mapping[str, str], seconds: float) -> bool:
    command = ["git", "rev-parse", "--is-inside-work-tree"]
    try:
        return subprocess.run(command, capture_output=True, cwd=directory, env=env, timeout=seconds, check=False).stdout == b"true\n"
    except subprocess.TimeoutExpired:
        return True


def _last_line(stderr: bytes) -> str:
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    # the `fatal:` line is the reason; a hint may follow it
    fatal = [line for line in lines if line.startswith(("fatal: ", "error: "))]
    return (fatal or lines or [""])[-1].removeprefix("fatal: ").removeprefix("error: ")


def _quoted(path: pathlib.Path) -> str:
    """A directory for GIT_ALTERNATE_OBJECT_DIRECTORIES, which splits at colons unless the entry is quoted as C quotes strings."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
