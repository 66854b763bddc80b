"""Two revisions compared through the objects at hand, and what ends a judgement."""

from __future__ import annotations

import time

from hook.source import git, index
from hook.source.object_store import Objects
from hook.source.tree import SafetyNet, Source, changed_paths
from tests.small_kernel import Kernel


def test_what_differs_between_revisions_is_what_git_says(kernel: Kernel) -> None:
    before = kernel.head()
    kernel.git("mv", "drivers/net", "drivers/wire")
    kernel.git("rm", "-q", "mm/pool.c")
    kernel.stage("mm/pool.c/inner.c", "int inner;\n")
    kernel.stage("arch/x86/kernel/trap.c", "int trap;\n")
    (kernel.path / "include/link.h").symlink_to("linux/pool.h")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "much")
    repo = git.find(kernel.path)
    with Objects(repo, 1 << 20) as objects:
        old, new = (Source(objects, kernel.head(name) + "^{tree}") for name in (before, "HEAD"))
        expected = set(index.differences(repo, old.revision, new.revision))
        assert expected > {"mm/pool.c", "mm/pool.c/inner.c", "include/link.h", "drivers/wire/tinynet.c"}
        assert changed_paths(old, new, 100) == changed_paths(new, old, 100) == expected
        assert changed_paths(old, old, 100) == set()
        assert changed_paths(old, new, 2) is None
        assert changed_paths(old, Source(objects, "0" * 40), 100) is None


def test_a_link_is_not_the_text_that_a_compiler_reads(kernel: Kernel) -> None:
    (kernel.path / "mm/own.h").symlink_to("../include/linux/pool.h")
    kernel.write("mm/word.h", "EMPTY")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "a link")
    with Objects(git.find(kernel.path), 1 << 20) as objects:
        for revision in (kernel.head(), ""):
            source = Source(objects, revision)
            for link, word in (source.files(["mm/own.h", "mm/word.h"]), map(source.file, ("mm/own.h", "mm/word.h"))):
                assert link is not None and link.data is None and word is not None and word.data == b"EMPTY"


def test_a_judgement_that_has_to_wait_for_a_processor_is_not_cut_short() -> None:
    waiting, working = SafetyNet(0.4), SafetyNet(0.0)
    time.sleep(0.5)
    assert not waiting.is_over and not waiting.cut
    assert working.is_over and working.cut == "stopped after 0 s (limits.safety_seconds)"


def test_a_judgement_has_the_same_time_left_after_what_is_done_once() -> None:
    now = iter((0.0, 7.0, 90.0, 90.0, 94.0))
    net = SafetyNet(10.0, lambda: next(now))
    with net.paused():
        pass
    assert net.seconds_left == 3.0 and net.is_over
