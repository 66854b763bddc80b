"""The demo runs, and the README shows what it prints."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def test_the_readme_shows_what_the_demo_prints() -> None:
    done = subprocess.run([sys.executable, str(HERE / "demo.py")], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    readme = (HERE.parent / "README.md").read_text()
    shown = re.search(r"<summary>What the demo prints</summary>\n\n```\n(.*?)```\n", readme, re.DOTALL)
    assert shown is not None
    assert shown[1].strip() == done.stdout.strip()
