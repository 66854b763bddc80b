"""The demo runs, and prints what the README shows of it."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def test_the_demo_prints_what_the_readme_shows() -> None:
    done = subprocess.run([sys.executable, str(HERE / "demo.py")], capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    readme = (HERE.parent / "README.md").read_text()
    shown = re.search(r"(?ms)^```\n(\$ git commit .*?)^```\n", readme)
    assert shown is not None
    assert shown[1] in done.stdout and len(shown[1].splitlines()) <= 12
