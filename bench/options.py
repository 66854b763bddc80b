"""The solver against the kernel's own Kconfig: random options, each to be switched on, or off where the default base has it.

    python bench/options.py --tree GIT_TREE --build BUILD_TREE [--count 700] [--seed 1]

Every answer goes through the code of scripts/kconfig: nothing of it may be dropped, and the option has to be as wanted. Where there is no
answer, allyesconfig must not have the option. Trees as in bench/configs.py; a tenth of a second an option.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import re
import sys

from bench.kernelbuild import Build
from hook.kernel.kconfig import parser
from hook.kernel.kconfig.expressions import built_in, negated
from hook.kernel.kconfig.solver import NoSolution, solve
from hook.kernel.kconfig.toolchain import toolchain
from hook.kernel.kernel import Kernel
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source

TOOLCHAIN = "gcc-12"


def of_allyesconfig(build: Build) -> set[str]:
    """The options that allyesconfig has built in."""
    build.make("allyesconfig")
    found = set(re.findall(r"(?m)^CONFIG_(\w+)=y$", (build.tree / ".config").read_text()))
    build.configure({})
    return found


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tree", type=pathlib.Path, required=True)
    arguments.add_argument("--build", type=pathlib.Path, required=True)
    arguments.add_argument("--count", type=int, default=700)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    build = Build(options.build)
    possible = of_allyesconfig(build)
    good = {"on": 0, "off": 0}
    without = {"on": 0, "off": 0}
    wrong: list[str] = []
    with Objects(find(options.tree), 16 << 20) as objects:
        source = Source(objects, "HEAD")
        kernel = Kernel(source, "x86_64", TOOLCHAIN, None)
        known, base = kernel.options, kernel.base
        whole = parser.read(source, kernel.environment, toolchain(TOOLCHAIN))
        names = [name for name, option in whole.by_name.items() if option.type in ("bool", "tristate") and name[0] != "<"]
        random.Random(options.seed).shuffle(names)
        for name in names[: options.count]:
            wanted = "off" if base.get(name) == "y" else "on"
            try:
                settings = solve(known, base, negated(built_in(name)) if wanted == "off" else built_in(name)).settings
            except NoSolution as why:
                without[wanted] += 1
                if wanted == "on" and name in possible:
                    wrong.append(f"{name}: no answer, though allyesconfig has it: {why}")
                continue
            config = build.configure(settings)
            dropped = [one for one, value in settings.items() if config.get(one, "n") != value]
            if dropped or (config.get(name) == "y") is not (wanted == "on"):
                wrong.append(f"{name}: not {wanted} with {settings}, dropped {dropped}")
            else:
                good[wanted] += 1
    print(f"switched on                    {good['on']}, no answer {without['on']}")
    print(f"switched off                   {good['off']}, no answer {without['off']}")
    print(f"wrong                          {len(wrong)}")
    print("".join(f"  {one}\n" for one in wrong), end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
