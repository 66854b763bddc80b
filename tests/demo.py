"""`make demo`: a small kernel tree, the hooks, six commits as a developer makes them, a mailed patch, and what is kept of it all."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from tests.small_kernel import Kernel


def say(line: str) -> None:
    print(f"\n== {line}", flush=True)


def run(kernel: Kernel, command: str, data: bytes = b"") -> None:
    """Run a command as a person would type it, and show it with all it prints."""
    print(f"$ {command}", flush=True)
    done = subprocess.run(
        shlex.split(command), cwd=kernel.path, env=kernel.env, input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    print(done.stdout.decode("utf-8", "replace").replace(f"{kernel.path}/", ""), end="", flush=True)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="patch-triage-demo-") as place:
        base = pathlib.Path(place).resolve()
        say("a small kernel tree, with Kconfig, makefiles and C of its own")
        kernel = Kernel.create(base / "linux", base / "home")
        run(kernel, "git log --oneline")
        say("install the hooks")
        run(kernel, "patch-triage install")

        say("six commits")
        kernel.replace("Documentation/mm/pool.rst", "must not sleep.", "must not sleep, such as interrupt handlers.")
        run(kernel, "git commit -qam 'Documentation/mm: pool: say who must not sleep'")
        kernel.replace("mm/pool.c", "it is the one most likely in the cache.", "it is most likely still in the cache.")
        run(kernel, "git commit -qam 'mm/pool: fix a comment'")
        kernel.replace("mm/pool.c", "pool->count >= POOL_MAX", "pool->count > POOL_MAX - 2")
        run(kernel, "git commit -qam 'mm/pool: keep one slot free'")
        kernel.replace("arch/arm64/kernel/trap.c", "vector >> 26", "(vector >> 26) & 0x3f")
        run(kernel, "git commit -qam 'arm64: mask the trap number'")
        kernel.replace(
            "mm/Kconfig",
            "Checks the accounting of the page pool on every put.",
            "Checks the accounting of the page pool on every put. If unsure,\n\t  say N.",
        )
        run(kernel, "git commit -qam 'mm/Kconfig: say what to choose for POOL_DEBUG'")
        kernel.replace(
            "drivers/net/tinynet.c",
            "\treturn pool_put(&tinynet_pool, page);",
            "\t/* NOTE: page is ours until here */\n\treturn pool_put(&tinynet_pool,\n\t\t\tpage);",
        )
        run(kernel, "git commit -qam 'tinynet: no functional change'")

        say("what is kept with each commit")
        run(kernel, "patch-triage show HEAD~6..HEAD")
        say("the note itself, as git and every other program reads it")
        run(kernel, "git log -1 --format='%h %s%n%n%N' --notes=patch-triage HEAD~3")

        say("a mailed patch, judged without touching the tree")
        mail = kernel.git("format-patch", "-1", "--stdout", "HEAD~3").encode()
        run(kernel, "git reset -q --hard HEAD~4")
        run(kernel, "patch-triage check --patch -", mail)
        run(kernel, "git status --short")


if __name__ == "__main__":
    main()
