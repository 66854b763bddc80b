"""The command line: what is loaded for what is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.small_kernel import Kernel

CALL = "import sys; from hook.cli import main; main(sys.argv[1:]); print(*(name for name in sys.modules if name.split('.')[0] == 'hook'))"


def test_the_version_is_said_with_nothing_of_the_program_loaded() -> None:
    done = subprocess.run([sys.executable, "-I", "-c", CALL, "--version"], capture_output=True, text=True, check=True)
    version, loaded = done.stdout.splitlines()
    assert version.startswith("patch-triage ") and loaded.split() == ["hook", "hook.cli"]


# that make code, or take longer to load than a part of the judgement takes
_SLOW = frozenset(
    ("ast", "asyncio", "bz2", "dask", "dataclasses", "decimal", "distributed", "hashlib", "ipaddress", "jinja2", "json", "logging", "openai", "platform", "pyarrow", "random",
     "rich", "shutil", "ssl", "tempfile", "textwrap", "unittest", "uuid"),
)  # fmt: skip


def loaded(kernel: Kernel, *arguments: str) -> list[str]:
    """The modules that the program has loaded when it is done."""
    call = "import sys; from hook.cli import main; main(sys.argv[1:]); print('loaded', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", call, *arguments], cwd=kernel.path, env=kernel.env, capture_output=True, text=True, check=True
    )
    return next(line for line in done.stdout.splitlines() if line.startswith("loaded ")).split()


@pytest.mark.parametrize("arguments", [("check", "--staged"), ("hook", "post-commit")])
def test_a_judgement_loads_no_module_that_is_slow_to_load(kernel: Kernel, arguments: tuple[str, ...]) -> None:
    kernel.stage("mm/pool.c", (kernel.path / "mm/pool.c").read_text().replace("pool_check(pool);", "pool->count++;"))
    if arguments[0] == "hook":
        kernel.git("commit", "-qm", "mm: one")
    names = loaded(kernel, *arguments)
    assert {"msgspec", "hook.evidence", "unidiff"}.issubset(names)
    assert not _SLOW.intersection(names)
    assert not [name for name in names if name.startswith(("hook.coverage", "hook.rust", "hook.syzlang"))]  # nothing of them is asked
    if arguments[0] == "check":
        names = loaded(kernel, *arguments)  # what is known now
        assert not [name for name in names if name.startswith(("hook.evidence", "hook.steps", "unidiff"))]


def test_an_edit_of_data_alone_loads_no_search_for_call_paths_or_copies(kernel: Kernel) -> None:
    kernel.stage("mm/pool.c", kernel.read("mm/pool.c") + "static int pool_spare = 0;\n")
    names = loaded(kernel, "check", "--staged")
    assert "hook.evidence.reach.reachability" in names
    assert not [name for name in names if name.startswith(("hook.evidence.reach.calls", "hook.evidence.memory.leak_search"))]


def test_a_module_that_is_not_loaded_at_the_start_is_loaded_where_something_of_it_is_used() -> None:
    code = """
from hook.cli import main
main(["hook", "none"])
import msgspec, pathlib, subprocess, sys
print(*(name in sys.modules for name in ("locale", "msgspec.inspect", "textwrap", "urllib.parse")))
print(pathlib.Path("/a b").as_uri(), msgspec.json.schema(int), subprocess.run(["true"], text=True).returncode)
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False False False", "file:///a%20b {'type': 'integer'} 0"]


def test_help_is_as_wide_as_the_terminal(kernel: Kernel) -> None:
    helps = [kernel.triage("check", "--help", COLUMNS=columns).partition("examples:")[0] for columns in ("60", "100")]
    widths = [max(map(len, text.splitlines())) for text in helps]
    assert widths[0] < 70 < widths[1] < 100
