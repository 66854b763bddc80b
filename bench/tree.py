"""The real kernel trees that the benchmarks run on: Debian's Linux 6.12.107 as a git repository of one commit (2.3 GB, about two minutes).

python bench/tree.py DIR [PACKAGE]

PACKAGE is another of Debian's sources, such as linux-source-6.1; the labels are of 6.12.107 alone. A whole tree that is a git repository
already, such as a later kernel's, needs nothing of this.
"""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import sys

PACKAGE = "linux-source-6.12"
VERSION = "6.12.107-1~deb12u1"
SHA256 = "4a0576bf631e78bffea0c1d906cc3387f36736c9e6102d7338163d525429c5fd"


def run(*argv: str, cwd: pathlib.Path) -> None:
    print("$", " ".join(argv), flush=True)
    subprocess.run(argv, cwd=cwd, check=True)


def main() -> int:
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        print((__doc__ or "").strip())
        return 2
    place, name = pathlib.Path(sys.argv[1]).absolute(), sys.argv[2] if sys.argv[2:] else PACKAGE
    tree = place / "linux"
    if (tree / ".git").is_dir():
        print(f"{tree} is there already")
        return 0
    place.mkdir(parents=True, exist_ok=True)
    run("apt-get", "download", f"{name}={VERSION}" if name == PACKAGE else name, cwd=place)
    package = next(place.glob(f"{name}_*.deb"))
    if name == PACKAGE and hashlib.sha256(package.read_bytes()).hexdigest() != SHA256:
        print(f"{package} is not the package that the labels were made from")
        return 1
    run("dpkg", "-x", package.name, "unpacked", cwd=place)
    run("tar", "-xJf", f"unpacked/usr/src/{name}.tar.xz", cwd=place)
    (place / name).rename(tree)
    run("git", "init", "-q", ".", cwd=tree)
    run("git", "add", "-A", "-f", ".", cwd=tree)  # -f: Debian's .gitignore ends in `/*`
    run("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", package.stem, cwd=tree)
    print(tree)
    return 0


if __name__ == "__main__":
    sys.exit(main())
