"""The command line: what is loaded for what is asked."""

from __future__ import annotations

import subprocess
import sys

CALL = "import sys; from hook.cli import main; main(sys.argv[1:]); print(*(name for name in sys.modules if name.split('.')[0] == 'hook'))"


def test_the_version_is_said_with_nothing_of_the_program_loaded() -> None:
    done = subprocess.run([sys.executable, "-I", "-c", CALL, "--version"], capture_output=True, text=True, check=True)
    version, loaded = done.stdout.splitlines()
    assert version.startswith("patch-triage ") and loaded.split() == ["hook", "hook.cli"]
