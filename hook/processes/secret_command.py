"""A secret that a person's command prints, such as `pass show openai`.

It is run without a shell, and in the person's home directory: a relative path never names a program of the tree under review.
"""

from __future__ import annotations

import os
import shlex
import subprocess

from hook.config import WrongSetting


def secret_of(command: str, setting: str, origin: str, seconds: float) -> str:
    """The first line that the command prints. Raises WrongSetting, naming the `setting` and the `origin` that it comes from."""
    try:
        home = os.path.expanduser("~")
        done = subprocess.run(
            shlex.split(command),
            capture_output=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=home if os.path.isabs(home) and os.path.isdir(home) else "/",
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as wrong:
        late = isinstance(wrong, subprocess.TimeoutExpired)
        why = getattr(wrong, "strerror", None) or (f"it did not end within {seconds:.0f} s" if late else str(wrong))
        raise WrongSetting(f"{origin}: {setting} cannot be run: {why}") from None
    if done.returncode:
        raise WrongSetting(f"{origin}: {setting} ended with {done.returncode}; run it by hand to see why")
    return done.stdout.decode("utf-8", "replace").split("\n")[0].strip()
