"""What evidence says of every module: the share of yes, no and unknown by bus over drivers/ and sound/ of a real kernel.

    python bench/modules.py --tree GIT_TREE [--arch x86_64] [--out ANSWERS.jsonl] [--draw 60] [--seed 1] [--every N] [--from K]
        [--named] [--orders N] [--changed] [OBJECT…]

GIT_TREE is a kernel as git repository with the word index (bench/tree.py, patch-triage index). An object counts where a configuration of
the target builds it, as a module or into the kernel; with --every N one in N is asked, from the one numbered K on. With --draw only so many
are asked, drawn at random, to be read by hand; with --named only the drivers of NAMED, and the bench is red where one of them comes out
otherwise. With --orders N the same objects are asked again in N other orders, and the bench is red where an answer differs. With --changed
each is asked again with its first file laid over the tree, once with a comment more and once with a line of code more, and the bench is red
where that changes the answer; this adds blobs to GIT_TREE. Prints the processor time that an answer took with nothing read before.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import pathlib
import random
import subprocess
import sys
import time
import typing
from collections.abc import Iterator, Mapping

from hook.evidence.reach.answer import Reach
from hook.evidence.reach.devices import drivers
from hook.evidence.reach.devices.machine import machine
from hook.kernel.kbuild.objects import Object
from hook.kernel.kconfig.upper_bounds import impossible
from hook.kernel.kernel import Kernel
from hook.kernel.texts import TooManyFiles
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer

FOLDERS = ("drivers", "sound")
NAMED: dict[str, tuple[str, ...]] = {  # the answers that may come out
    "drivers/net/ethernet/intel/e1000e/netdev.c": ("yes",),
    "drivers/net/ethernet/intel/e1000e/phy.c": ("yes",),
    "drivers/net/ethernet/intel/igb/igb_main.c": ("yes",),
    "drivers/net/ethernet/intel/igbvf/netdev.c": ("yes",),
    "drivers/net/ethernet/mellanox/mlxsw/spectrum.c": ("no", "unknown"),
    "drivers/net/ethernet/mellanox/mlxsw/core.c": ("no", "unknown"),
    "drivers/net/ethernet/mellanox/mlxsw/pci.c": ("no", "unknown"),
    "drivers/net/ethernet/amd/pds_core/main.c": ("no",),
    "drivers/net/ethernet/amd/pds_core/adminq.c": ("no",),
    "drivers/net/ethernet/qlogic/qed/qed_main.c": ("no", "unknown"),
    "drivers/net/ethernet/qlogic/qed/qed_ll2.c": ("no", "unknown"),
    "drivers/net/ethernet/pensando/ionic/ionic_main.c": ("no",),
    "drivers/gpu/drm/amd/amdgpu/amdgpu_ring.c": ("no",),
    "drivers/gpu/drm/amd/display/dc/hwss/dcn20/dcn20_hwseq.c": ("no",),
    "drivers/net/usb/usbnet.c": ("yes",),
    "drivers/net/usb/asix_devices.c": ("yes",),
    "drivers/net/usb/rtl8150.c": ("yes",),
    "drivers/net/usb/lan78xx.c": ("yes",),
    "drivers/net/usb/cdc_ncm.c": ("yes",),
    "net/mac80211/tx.c": ("yes",),
    "net/mac80211/mlme.c": ("yes",),
    "drivers/net/wireless/ath/ath11k/pci.c": ("no",),
    "drivers/net/wireless/ath/ath9k/htc_hst.c": ("yes",),
    "drivers/net/wireless/ath/ath9k/hif_usb.c": ("yes",),
    "drivers/gpu/drm/vkms/vkms_drv.c": ("yes",),
    "drivers/gpu/drm/vkms/vkms_crtc.c": ("yes",),
    "drivers/i2c/busses/i2c-stm32.c": ("no",),
    "drivers/hid/hid-sony.c": ("yes",),
    "drivers/hid/hid-logitech-dj.c": ("yes",),
    "drivers/hid/hid-core.c": ("yes",),
    "drivers/platform/x86/thinkpad_acpi.c": ("no", "unknown"),
    "drivers/platform/x86/asus-wmi.c": ("no", "unknown"),
    "drivers/platform/x86/dell/dell-laptop.c": ("no", "unknown"),
    "drivers/platform/x86/toshiba_acpi.c": ("no", "unknown"),
    "drivers/platform/x86/samsung-laptop.c": ("no", "unknown"),
    "drivers/block/null_blk/main.c": ("yes",),
    "drivers/nvme/host/pci.c": ("yes",),
    "drivers/nvme/host/core.c": ("yes",),
    "drivers/usb/core/hub.c": ("yes",),
    "drivers/net/virtio_net.c": ("yes",),
    "drivers/media/usb/uvc/uvc_driver.c": ("yes",),
    "sound/core/pcm_native.c": ("yes",),
    "sound/usb/card.c": ("yes",),
}


EDITS = (b"/* one comment more */\n", b"static const int one_line_more = 1;\n")  # that change no answer


def judge(args: argparse.Namespace, changes: Mapping[str, str] | None = None) -> tuple[drivers.Drivers, Kernel, Source]:
    repo = find(args.tree)
    source = Source(Objects(repo, 64 << 20), repo.run("rev-parse", "HEAD^{tree}").decode().strip(), changes or {})
    kernel = Kernel(source, args.arch, "gcc-12", None)
    return drivers.Drivers(source, kernel, machine(args.arch, ("qemu-any",)), args.most_files), kernel, source


def objects(source: Source, kernel: Kernel) -> Iterator[Object]:
    """What the makefiles below the folders ask for, once each."""
    for path in sorted(source.glob(*(f"{folder}/*Makefile" for folder in FOLDERS), *(f"{folder}/*Kbuild" for folder in FOLDERS))):
        seen: set[str] = set()
        for one in kernel.kbuild.of_directory(path.rpartition("/")[0]):
            if one.path not in seen and source.oid(one.members[0]):
                seen.add(one.path)
                yield one


def is_for_target(kernel: Kernel, one: Object) -> bool:
    built = kernel.built_if(one.members[0]) if one.members else None
    return built is None or not impossible(kernel.options, built.condition)


def answer(asked: drivers.Drivers, obj: Object) -> Reach:
    """The answer about one object, as a question of its own."""
    asked.begin_question()
    try:
        return asked.of_object(obj)
    except TooManyFiles:
        return Reach(Answer.UNKNOWN, question="too many files would have to be read")


def is_same_in_other_orders(args: argparse.Namespace, usual: dict[str, tuple[Object, Reach]]) -> bool:
    """Whether the answers are the same in other orders of asking, each with nothing read before."""
    differing: set[str] = set()
    for order in range(args.orders):
        paths = list(usual)
        random.Random(args.seed + 1 + order).shuffle(paths)
        asked, _, _ = judge(args)
        differing |= {path for path in paths if answer(asked, usual[path][0]) != usual[path][1]}
    print(f"{len(usual)} objects in {args.orders} other orders: {len(differing)} answers differ {sorted(differing)[:10]}")
    return not differing


def is_same_when_changed(args: argparse.Namespace, source: Source, usual: dict[str, tuple[Object, Reach]]) -> bool:
    """Whether the answers are the same where a file of the object has just been changed."""
    differing: set[str] = set()
    for path, (obj, reach) in usual.items():
        file = source.file(obj.members[0])
        for edit in EDITS:
            hashing = ["git", "-C", str(args.tree), "hash-object", "-w", "--stdin"]
            data = (file.data or b"") + edit if file is not None else edit
            blob = subprocess.run(hashing, input=data, stdout=subprocess.PIPE, check=True).stdout.decode().strip()
            found = answer(judge(args, {obj.members[0]: blob})[0], obj)
            if found.answer is not reach.answer:
                differing.add(path)
                print(f"{path}: {reach.answer} -> {found.answer} with {edit!r}: {found.question or found.facts[:1]}", flush=True)
    print(f"{len(usual)} objects with a changed file: {len(differing)} answers differ")
    return not differing


def main() -> None:
    parser = argparse.ArgumentParser(description="The answers about every module.")
    parser.add_argument("--tree", type=pathlib.Path, required=True)
    parser.add_argument("--arch", default="x86_64")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--most-files", type=int, default=drivers.FILES_OF_A_QUESTION)
    parser.add_argument("--named", action="store_true")
    parser.add_argument("--orders", type=int, default=0)
    parser.add_argument("--changed", action="store_true")
    parser.add_argument("objects", nargs="*", metavar="OBJECT", help="only these, such as drivers/input/misc/pcspkr")
    args = parser.parse_args()
    if args.named:
        wrong = 0
        for path, allowed in NAMED.items():
            asked, kernel, _ = judge(args)
            kernel.kbuild.objects(path)
            begun = time.process_time()
            found = asked.of_file(path)
            took = time.process_time() - begun
            good = str(found.answer) in allowed
            wrong += not good
            shown = found.question or (found.facts[0].claim if found.facts else "")
            cost = f"{took * 1000:6.0f} ms {asked.texts.question_files:4} files"
            print(f"{'  ' if good else 'X '}{found.answer!s:8}{cost}  {path}: {', '.join(found.devices)}; {shown[:150]}", flush=True)
        sys.exit(bool(wrong))
    asked, kernel, source = judge(args)
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    lines: list[dict[str, typing.Any]] = []
    usual: dict[str, tuple[Object, Reach]] = {}
    skipped = 0
    asked_for: list[Object] = list(itertools.islice(objects(source, kernel), args.first, None, args.every))
    if args.objects:
        asked_for = [obj for obj in objects(source, kernel) if obj.path in args.objects]
    if args.draw:
        random.Random(args.seed).shuffle(asked_for)
    for one in asked_for:
        if args.draw and len(lines) == args.draw:
            break
        if not is_for_target(kernel, one):
            skipped += 1
            continue
        begun = time.process_time()
        found = answer(asked, one)
        usual[one.path] = (one, found)
        took = time.process_time() - begun
        asked.begin_question()  # the bus is none of what the answer may read
        bus = asked.bus(one) or "none"
        counts[bus][str(found.answer)] += 1
        lines.append(
            {
                "Object": one.path, "Bus": bus, "Answer": str(found.answer), "Devices": found.devices, "Question": found.question,
                "Facts": [f"{fact.place.path}:{fact.place.line} {fact.claim}" for fact in found.facts], "Seconds": round(took, 3),
            }
        )  # fmt: skip
        if args.out:
            with args.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    total: collections.Counter[str] = collections.Counter()
    print(f"{'bus':16}{'all':>6}{'yes':>6}{'no':>6}{'unknown':>9}")
    for bus, row in sorted(counts.items(), key=lambda one: -sum(one[1].values())):
        total.update(row)
        print(f"{bus:16}{sum(row.values()):6}{row['yes']:6}{row['no']:6}{row['unknown']:9}")
    whole = sum(total.values())
    share = f"unknown {total['unknown'] / max(1, whole):.1%}; {skipped} not for {args.arch}"
    print(f"{'all':16}{whole:6}{total['yes']:6}{total['no']:6}{total['unknown']:9}   {share}")
    is_same = not args.orders or is_same_in_other_orders(args, usual)
    if args.changed:
        is_same = is_same_when_changed(args, source, usual) and is_same
    for line in lines if args.draw else ():
        print(f"{line['Answer']:8}{line['Bus']:10}{line['Object']}: {', '.join(line['Devices'])} {line['Question'] or line['Facts'][:3]}")
    sys.exit(not is_same)


if __name__ == "__main__":
    main()
