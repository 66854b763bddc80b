"""The context pack on a real kernel tree: how large it gets, how long it takes, and whether it holds what a farm's run looked up.

    python bench/pack.py TREE PATCHES [--count 50] [--seed 1] [--show PATCH]

TREE is made by bench/tree.py and indexed (`patch-triage index`), PATCHES is a directory of patches that apply to it, of which `count` whose
verdict is open are taken at random. Sizes are estimates (hook/agent/token_count.py), times are of the processor, without git. With
--show the blocks for one patch are printed, and nothing else is done.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import statistics
import sys
import time
from collections.abc import Iterator

from hook import triage
from hook.agent.context import first_message
from hook.agent.context.gathering import Subject
from hook.agent.desk import Desk, fuzzed_kernel
from hook.change import series as mailed
from hook.change.change import Change
from hook.config import Settings
from hook.redaction import Redactor
from hook.source import setting_layers
from hook.source.git import Repository, find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import DecidedBy

WANTED = (  # what the recorded run looked up about mm/mempolicy.c, vma_policy_mof
    "struct mempolicy *__get_vma_policy(",
    "struct mempolicy *get_task_policy(",
    "static inline void mpol_cond_put(",
    "static inline int mpol_needs_cond_ref(",
    "static void task_numa_work(",
    "#ifdef CONFIG_NUMA_BALANCING",
    "obj-$(CONFIG_NUMA) += mempolicy.o",
    "config NUMA_BALANCING",
    "depends on ARCH_SUPPORTS_NUMA_BALANCING",
    "depends on SMP && NUMA",
    "|= (MPOL_F_MOF | MPOL_F_MORON)",
    "pol = vma->vm_policy;",
    "return pol->flags & MPOL_F_MOF;",
)


def changes(repo: Repository, settings: Settings, mails: bytes, name: str) -> Iterator[tuple[Change, Objects]]:
    """The changes of a mailed patch or series, applied to the tree."""
    with mailed.read(repo, settings, mails, name, "HEAD") as series:
        for one in series.changes():
            if isinstance(one, Change):
                with Objects(one.repo, settings.limits.blob_bytes) as objects:
                    yield one, objects


def packed(change: Change, objects: Objects, settings: Settings, most_tokens: int) -> tuple[first_message.Context | None, float]:
    """The context of a change and the processor's seconds that it took beside the evidence; None where nothing is open."""
    found = triage.proved(change, objects, settings)
    if found.verdict.decided_by is not DecidedBy.DEFAULT:
        return None, 0.0
    target = fuzzed_kernel(settings)
    started = time.process_time()
    desk = Desk(Source(objects, change.after), Redactor(), settings.agent.tool_seconds, target=target, patch=change.patch)
    subject = Subject(change.patch.files, found.proofs.evidence, found.verdict)
    made = first_message.gather(subject, desk, most_tokens)
    return made, time.process_time() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("patches", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens", type=int, help="the budget (default: agent.context_tokens)")
    parser.add_argument("--show", type=pathlib.Path)
    options = parser.parse_args()
    repo = find(options.tree)
    with Objects(repo, 16 << 20) as objects:
        settings = setting_layers.load(repo, Source(objects, "HEAD"))
    most = options.tokens or settings.agent.context_tokens
    if options.show:
        for change, blobs in changes(repo, settings, options.show.read_bytes(), options.show.name):
            made, seconds = packed(change, blobs, settings, most)
            if made is None:
                print("nothing is open")
                continue
            print(made.blocks)
            print(f"{made.tokens} tokens, {seconds * 1000:.0f} ms")
            if "vma_policy_mof" in options.show.name:
                print(f"missing: {[one for one in WANTED if one not in made.blocks]}")
        return 0
    patches = sorted(options.patches.glob("*.patch"))
    random.Random(options.seed).shuffle(patches)
    sizes: list[int] = []
    times: list[float] = []
    cut = over = 0
    for patch in patches:
        if len(sizes) >= options.count:
            break
        for change, blobs in changes(repo, settings, patch.read_bytes(), patch.name):
            made, seconds = packed(change, blobs, settings, most)
            if made is None:
                continue
            sizes.append(made.tokens)
            times.append(seconds)
            cut += bool(made.pack.left_out)
            over += made.tokens > most
            print(
                f"{patch.name:20} {made.tokens:6} tokens {seconds * 1000:6.0f} ms  left out {len(made.pack.left_out)}, in part "
                f"{len(made.pack.shortened)}",
                flush=True,
            )
    print(f"{len(sizes)} packs, budget {most}: median {statistics.median(sizes):.0f} tokens, most {max(sizes)}, {over} over the budget")
    print(f"something left out in {cut}; {statistics.median(times) * 1000:.0f} ms, most {max(times) * 1000:.0f} ms")
    return int(over > 0)


if __name__ == "__main__":
    sys.exit(main())
