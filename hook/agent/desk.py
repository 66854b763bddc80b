"""The desk: what an agent's tools, checks and context work on: the tree under review, and what may be shown of it."""

from __future__ import annotations

import math
import time

import msgspec

from hook.change.patch import Patch
from hook.config import Settings
from hook.kernel.kernel import Kernel
from hook.redaction import Redactor
from hook.source.tree import Source


class FuzzedKernel(msgspec.Struct, frozen=True):
    """The kernel that is fuzzed, and the machines it runs on."""

    arch: str = "x86_64"
    toolchain: str = "gcc-12 pahole-1.24 rustc-1.85"
    base_config: str | None = None  # the text of its .config, before anything is added; None for that of the tree
    machines: tuple[str, ...] = ("qemu-any",)  # fuzz.vm
    catalogue: str | None = None  # the text of fuzz.catalogue; None for ours


class Desk(msgspec.Struct, frozen=True):
    """What the tools work on."""

    source: Source  # the tree with the change applied
    redactor: Redactor
    seconds: float  # how long one search may take
    never_paths: tuple[str, ...] = ()  # glob patterns of files that are not to leave this machine
    deadline: float = math.inf  # of time.monotonic(): no search goes on after it
    target: FuzzedKernel = FuzzedKernel()
    patch: Patch | None = None  # that is judged, where one is
    history: str = ""  # the commit that the change stands on; empty where there is none, or none may be shown
    last_commit: str = ""  # of the change, where it is made of commits

    @property
    def seconds_left(self) -> float:
        """How long a search that begins now may take."""
        return max(0.05, min(self.seconds, self.deadline - time.monotonic()))

    def kernel(self) -> Kernel:
        """What the tree says of its options. One a call: they are read through a connection that belongs to a thread."""
        return Kernel(self.source, self.target.arch, self.target.toolchain, self.target.base_config)


def fuzzed_kernel(settings: Settings) -> FuzzedKernel:
    """The kernel that the settings name."""
    fuzz = settings.fuzz
    return FuzzedKernel(settings.target.arch, fuzz.toolchain, settings.base_config, fuzz.vm, settings.catalogue)


def shown_history(settings: Settings, commit: str) -> str:
    """The commit whose history may be shown: none where branches are under embargo, since its ancestors may be of one."""
    return "" if settings.agent.never_branches else commit


def of_tree(source: Source, settings: Settings, patch: Patch | None = None, history: str = "") -> Desk:
    """The desk for questions about a tree, where no agent of ours asks them."""
    agent = settings.agent
    return Desk(
        source,
        Redactor(),
        agent.tool_seconds,
        agent.never_paths,
        target=fuzzed_kernel(settings),
        patch=patch,
        history=shown_history(settings, history),
    )
