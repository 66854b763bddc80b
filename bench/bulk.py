"""`patch-triage bulk` on a real tree: how many changes a second, for one process and for two, and what a worker takes.

    git clone --shared --no-checkout TREE CLONE && patch-triage index --repo CLONE
    python bench/bulk.py CLONE LABELLED-PATCHES commits 200 2000
    python bench/bulk.py CLONE LABELLED-PATCHES mails 5000

It makes the commits out of the labelled patches, forth and back, and of edits of files chosen by a fixed seed; and the mails out of the
patches: threads, second versions, replies, encodings, attachments and broken ones. Rows must be the same for one process and two. On a busy
machine look at the seconds of processor time: they, and the ratio of the two runs, hold there too.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from tests.bulk.archive import Sent, patch_body, public_inbox
from tests.bulk.farm import rows

PROGRAM = pathlib.Path(sys.executable).parent / "patch-triage"
EDITS = (
    ("return -EINVAL;", "return -ENODEV;"),
    ("\t/* ", "\t/* so: "),
    ("if (!", "if (unlikely(!"),
    (" = 0;", " = 1;"),
    ("\n}\n", "\n}\n\n"),
)


def git(clone: pathlib.Path, *args: str, data: bytes = b"") -> bytes:
    return subprocess.run(["git", *args], cwd=clone, input=data, capture_output=True, check=True).stdout


def contents(clone: pathlib.Path, patch: pathlib.Path) -> dict[str, tuple[bytes, bytes]]:
    """The files of a patch, before and after it."""
    names = re.findall(r"(?m)^(?:---|\+\+\+) [ab]/(\S+)", patch.read_text("utf-8", "replace"))
    with tempfile.TemporaryDirectory() as name:
        before = {}
        for path in dict.fromkeys(names):
            file = pathlib.Path(name, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            before[path] = git(clone, "show", f"HEAD:{path}")
            file.write_bytes(before[path])
        subprocess.run(["git", "apply", str(patch.absolute())], cwd=name, check=True, env={**os.environ, "GIT_DIR": "/nonexistent"})
        return {path: (old, pathlib.Path(name, path).read_bytes()) for path, old in before.items()}


def changes(clone: pathlib.Path, patches: list[pathlib.Path]) -> Iterator[dict[str, bytes]]:
    """Files with new contents, change after change, without end."""
    chosen = random.Random(1)
    for patch in patches:
        try:
            files = contents(clone, patch)
        except subprocess.CalledProcessError:
            continue  # it adds, removes or renames a file
        yield {path: new for path, (_, new) in files.items()}
        yield {path: old for path, (old, _) in files.items()}
    sources = [
        path for path in git(clone, "ls-tree", "-r", "--name-only", "HEAD").decode("utf-8", "replace").split("\n") if path.endswith(".c")
    ]
    while True:
        path, (old, new) = chosen.choice(sources), chosen.choice(EDITS)
        text = git(clone, "show", f"HEAD:{path}")
        if old.encode() in text:
            yield {
                path: text.replace(old.encode(), new.encode(), 1).replace(
                    b"unlikely(!", b"likely(!" if chosen.random() < 0.5 else b"unlikely(!"
                )
            }


def history(clone: pathlib.Path, patches: list[pathlib.Path], commits: int) -> str:
    """A range of so many commits."""
    first = git(clone, "rev-parse", "HEAD").decode().strip()
    stream = []
    for number, files in zip(range(commits), changes(clone, patches), strict=False):
        stream.append(
            b"commit refs/heads/bulk-%d\ncommitter B <b@b> %d +0000\ndata 8\nnumber %d\n" % (commits, 1767607200 + number, number % 10)
        )
        stream.append(f"from {first}\n".encode() if not number else b"")
        stream += [b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(text), text) for path, text in files.items()]
    git(clone, "fast-import", "--quiet", "--force", data=b"".join(stream))
    return f"{first}..bulk-{commits}"


def archive(path: pathlib.Path, patches: list[pathlib.Path], mails: int) -> str:
    """A public-inbox archive of so many mails."""
    chosen, sent, number = random.Random(1), list[bytes](), 0
    diffs = [patch.read_text("utf-8", "replace") for patch in patches]
    while len(sent) < mails:
        number += 1
        length, version = chosen.choice((1, 1, 1, 2, 3, 5)), chosen.choice((1, 1, 1, 2))
        said = "PATCH" if version == 1 else f"PATCH v{version}"
        cover = f"{number}-c"
        if length > 1:
            sent.append(Sent(f"[{said} 0/{length}] series {number}", "What for.", cover).mail(len(sent)))
        for place, diff in enumerate(chosen.sample(diffs, length), 1):
            count = f" {place}/{length}" if length > 1 else ""
            body = patch_body(diff if chosen.random() > 0.05 else diff[: len(diff) // 2])
            kind = chosen.choice(("8bit", "8bit", "8bit", "base64", "quoted-printable"))
            attached = diff if chosen.random() < 0.05 else ""
            parent = cover if length > 1 else ""
            patch = Sent(f"[{said}{count}] part {number}.{place}", "see below" if attached else body, f"{number}-{place}", parent)
            sent.append(patch._replace(encoding=kind, attached=attached).mail(len(sent)))
            for reply in range(chosen.choice((0, 0, 1, 2))):
                text = "> quoted\n\nReviewed-by: Al <al@example.org>\n" if chosen.random() < 0.5 else f"> {diff[:200]}\nwhy?\n"
                sent.append(
                    Sent(f"Re: [{said}{count}] part {number}.{place}", text, f"{number}-{place}-{reply}", f"{number}-{place}").mail()
                )
    return str(public_inbox(path, sent[:mails]))


def memory(pid: int, most: dict[str, int], over: threading.Event) -> None:
    """The most memory that a worker with its child took, until it is over; each process' own pages and its share of the others."""
    while not over.wait(1.0):
        sizes: dict[int, tuple[int, int]] = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                size = re.search(r"(?m)^Pss: *(\d+)", (process / "smaps_rollup").read_text())
            except (OSError, ValueError):
                continue
            sizes[int(process.name)] = (parent, int(size[1]) if size else 0)
        for child, (parent, _) in sizes.items():
            if parent == pid:
                below = [size for process, (above, size) in sizes.items() if child in (process, above)]
                most["worker"] = max(most.get("worker", 0), sum(below))


def measure(clone: pathlib.Path, source: str, out: pathlib.Path, jobs: int) -> None:
    command = [str(PROGRAM), "bulk", source, "--out", str(out), "--jobs", str(jobs), "--no-cache", "--short", "--repo", str(clone)]
    before, started, most, over = os.times(), time.monotonic(), dict[str, int](), threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    watch = threading.Thread(target=memory, args=(process.pid, most, over))
    watch.start()
    assert process.wait() == 0
    over.set()
    watch.join()
    took, after = time.monotonic() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    count = len(rows(out))
    print(f"{count} rows, {jobs} processes: {took:.0f} s, {count / took:.1f} a second; load {os.getloadavg()[0]:.1f}")
    print(f"  {cpu:.0f} s of processor time, {count / cpu:.1f} a second; {most.get('worker', 0) / 1024:.0f} MB a worker", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=pathlib.Path)
    parser.add_argument("labelled", type=pathlib.Path)
    parser.add_argument("kind", choices=("commits", "mails"))
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    patches = sorted((options.labelled / "patches").glob("*.patch"))
    with tempfile.TemporaryDirectory() as name:
        for size in options.sizes:
            inbox = pathlib.Path(name, f"{size}.git")
            source = history(options.clone, patches, size) if options.kind == "commits" else archive(inbox, patches, size)
            outs = []
            for jobs in options.jobs:
                outs.append(pathlib.Path(name, f"{size}-{jobs}"))
                measure(options.clone, source, outs[-1], jobs)
            assert all(rows(out) == rows(outs[0]) for out in outs[1:]), "the rows differ"
            kinds = [json.dumps(row.get("DecidedBy")) for row in rows(outs[0])]
            print({kind: kinds.count(kind) for kind in sorted(set(kinds))}, flush=True)


if __name__ == "__main__":
    main()
