"""The real kernel trees that the benchmarks run on, each as a git repository of one commit (2.3 GB, about two minutes).

    python bench/tree.py DIR [VERSION ...]

Makes DIR/VERSION: 6.12 is Debian's 6.12.107, of which the labels are, and what is made without a VERSION; 6.1 and 7.3 are its newest of
them (7.3 from its backports, without a change of the machine's own lists), and 7.1 a public repository that holds 7.1.5. A tree that cannot
be had from here is left out with a line, and the exit code is 3. Any other whole tree that is a git repository needs nothing of this.
"""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import sys

PACKAGES = {"6.12": "linux-source-6.12=6.12.107-1~deb12u1", "6.1": "linux-source-6.1", "7.3": "linux-source-7.3"}
SUITES = {"7.3": "trixie-backports"}  # where the machine's own lists do not have the package
_LIST = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian {suite} main\n"
REPOSITORIES = {"7.1": "https://github.com/danayer/linux-7.1.5"}
SHA256 = {"6.12": "4a0576bf631e78bffea0c1d906cc3387f36736c9e6102d7338163d525429c5fd"}  # of the package that the labels were made from


class NotToBeHad(Exception):
    """A tree cannot be had from here."""


def run(*argv: str, cwd: pathlib.Path) -> None:
    print("$", " ".join(argv), flush=True)
    try:
        subprocess.run(argv, cwd=cwd, check=True)
    except (OSError, subprocess.CalledProcessError) as wrong:
        raise NotToBeHad(str(wrong)) from None


def make(place: pathlib.Path, version: str) -> None:
    """One of the trees, in a directory of its version. Raises NotToBeHad."""
    tree, work = place / version, place / f"{version}.unfinished"
    if tree.is_dir():
        print(f"{tree} is there already")
        return
    work.mkdir(parents=True, exist_ok=True)
    if version in REPOSITORIES:
        run("git", "clone", "--quiet", "--depth=1", REPOSITORIES[version], "tree", cwd=work)
    else:
        from_package(work, version)
    (work / "tree").rename(tree)
    print(tree)


def from_package(work: pathlib.Path, version: str) -> None:
    apt = ["apt-get"]
    if version in SUITES:
        (work / "lists/partial").mkdir(parents=True, exist_ok=True)
        (work / "sources.list").write_text(_LIST.format(suite=SUITES[version]))
        where = {"Etc::SourceList": "sources.list", "Etc::SourceParts": "none", "State::Lists": "lists", "Cache": "."}
        apt += [f"-oDir::{name}={work / place}" for name, place in where.items()]
        run(*apt, "update", cwd=work)
    run(*apt, "download", PACKAGES[version], cwd=work)
    package = next(work.glob("*.deb"))
    if version in SHA256 and hashlib.sha256(package.read_bytes()).hexdigest() != SHA256[version]:
        raise NotToBeHad(f"{package} is not the package that the labels were made from")
    run("dpkg", "-x", package.name, "unpacked", cwd=work)
    name = PACKAGES[version].partition("=")[0]
    run("tar", "-xJf", f"unpacked/usr/src/{name}.tar.xz", cwd=work)
    tree = (work / name).rename(work / "tree")
    run("git", "init", "-q", ".", cwd=tree)
    run("git", "add", "-A", "-f", ".", cwd=tree)  # -f: Debian's .gitignore ends in `/*`
    run("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", package.stem, cwd=tree)


def main() -> int:
    versions = sys.argv[2:] or ["6.12"]
    if len(sys.argv) < 2 or sys.argv[1].startswith("-") or not {*versions} <= {*PACKAGES, *REPOSITORIES}:
        print((__doc__ or "").strip())
        return 2
    left_out = 0
    for version in versions:
        try:
            make(pathlib.Path(sys.argv[1]).absolute(), version)
        except NotToBeHad as wrong:
            left_out += 1
            print(f"{version} is left out: {wrong}")
    return 3 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
