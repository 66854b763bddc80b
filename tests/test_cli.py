"""The command line: what is loaded for what is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest

CALL = "import sys; from hook.cli import main; main(sys.argv[1:]); print(*(name for name in sys.modules if name.split('.')[0] == 'hook'))"


def test_the_version_is_said_with_nothing_of_the_program_loaded() -> None:
    done = subprocess.run([sys.executable, "-I", "-c", CALL, "--version"], capture_output=True, text=True, check=True)
    version, loaded = done.stdout.splitlines()
    assert version.startswith("patch-triage ") and loaded.split() == ["hook", "hook.cli"]


# that make code, or take longer to load than a part of the judgement takes
_SLOW = frozenset(
    ("asyncio", "dask", "dataclasses", "distributed", "jinja2", "logging", "openai", "pyarrow", "rich", "ssl", "unittest"),
)


@pytest.mark.parametrize("arguments", [("check", "--staged", "--no-cache"), ("hook", "post-commit")])
def test_a_judgement_loads_no_module_that_is_slow_to_load(kernel, arguments) -> None:
    kernel.stage("mm/pool.c", (kernel.path / "mm/pool.c").read_text().replace("pool_check(pool);", "pool->count++;"))
    if arguments[0] == "hook":
        kernel.git("commit", "-qm", "mm: one")
    call = "import sys; from hook.cli import main; main(sys.argv[1:]); print('loaded', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", call, *arguments], cwd=kernel.path, env=kernel.env, capture_output=True, text=True, check=True
    )
    loaded = next(line for line in done.stdout.splitlines() if line.startswith("loaded ")).split()
    assert "msgspec" in loaded
    assert not _SLOW.intersection(loaded)
    assert not [name for name in loaded if name.startswith("hook.coverage")]  # no coverage file is named
