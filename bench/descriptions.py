"""Our reading of syzkaller's descriptions, compared with syzkaller's own.

    python bench/descriptions.py SYZKALLER [--arch x86_64] [--go go] [--plan plan.json …]

SYZKALLER is a checkout of syzkaller in which `make descriptions` was run. A small Go program, which lies in it only as long as this runs,
asks its `prog` package which calls there are, and which of a set it would take out again (TransitivelyEnabledCalls). Prints the calls that
only one side has; and, of each call, and of each plan given, whether its closed set stays whole. Exit code 1 where something differs.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from hook.syzlang import checkout
from hook.syzlang.requirements import Providers

PROGRAM = """package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/google/syzkaller/prog"
	_ "github.com/google/syzkaller/sys"
)

func main() {
	target, err := prog.GetTarget("linux", os.Args[1])
	if err != nil {
		panic(err)
	}
	byName := map[string]*prog.Syscall{}
	for _, call := range target.Syscalls {
		byName[call.Name] = call
		if !call.Attrs.Disabled && !call.Attrs.Automatic {
			fmt.Println("call", call.Name)
		}
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		words := strings.Fields(in.Text())
		enabled := map[*prog.Syscall]bool{}
		for _, name := range words[1:] {
			if byName[name] == nil {
				fmt.Println("unknown", words[0], name)
			} else {
				enabled[byName[name]] = true
			}
		}
		_, disabled := target.TransitivelyEnabledCalls(enabled)
		for call, why := range disabled {
			fmt.Println("disabled", words[0], call.Name, why)
		}
	}
}
"""


def asked(syzkaller: pathlib.Path, arch: str, go: str, sets: dict[str, list[str]]) -> list[list[str]]:
    """What syzkaller says, as words of lines."""
    lines = "".join(f"{name} {' '.join(calls)}\n" for name, calls in sets.items())
    with tempfile.TemporaryDirectory(prefix="patch-triage-", dir=syzkaller) as place:
        pathlib.Path(place, "main.go").write_text(PROGRAM)
        argv = [go, "run", f"./{pathlib.Path(place).name}", arch]
        done = subprocess.run(argv, cwd=syzkaller, input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{go} run: {done.stderr.strip()}")
    return [line.split() for line in done.stdout.splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("syzkaller", type=pathlib.Path)
    parser.add_argument("--arch", default="x86_64")
    parser.add_argument("--go", default="go")
    parser.add_argument("--plan", type=pathlib.Path, nargs="*", default=[])
    options = parser.parse_args()
    found = checkout.read(str(options.syzkaller), options.arch)
    providers = Providers(found.calls, found.resources)
    sets = {name: providers.closed([name])[0] for name in found.calls}
    sets |= {str(path).replace(" ", "_"): json.loads(path.read_text())["EnableSyscalls"] for path in options.plan}
    said = asked(options.syzkaller, checkout.ARCHES.get(options.arch, options.arch), options.go, {k: v for k, v in sets.items() if v})
    theirs = {words[1] for words in said if words[0] == "call"}
    wrong = [" ".join(words) for words in said if words[0] != "call"]
    wrong += [f"only ours: {name}" for name in sorted(found.calls.keys() - theirs)]
    wrong += [f"only syzkaller's: {name}" for name in sorted(theirs - found.calls.keys())]
    print(f"{len(theirs)} calls, {len(sets)} sets, {len(wrong)} differences", *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
