"""The package: built the same twice, installed without a network, and what it brings along."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement

from tests.small_kernel import Kernel

PROJECT = pathlib.Path(__file__).parent.parent
MOST_PACKAGES = 12
MOST_BYTES = 40_000_000
GIT = "2.34"


def brought(name: str = "patch-triage") -> Iterator[importlib.metadata.Distribution]:
    """The packages that an installation without extras brings along, each once or more."""
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield importlib.metadata.distribution(requirement.name)
            yield from brought(requirement.name)


BROUGHT = {one.name: one for one in brought()}


def built(place: pathlib.Path, module: str, *options: str) -> dict[str, bytes]:
    env = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run([sys.executable, "-m", module, *options, str(place)], cwd=PROJECT, env=env, check=True, capture_output=True)
    return {file.name: file.read_bytes() for file in place.iterdir()}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Where `python -m build` puts the sources, and the wheel that it makes of them."""
    place = tmp_path_factory.mktemp("built")
    built(place, "build", "--no-isolation", "--outdir")
    return place


def test_two_builds_are_the_same_byte_for_byte_and_fit_for_an_index(packages: pathlib.Path, tmp_path: pathlib.Path) -> None:
    first = {file.name: file.read_bytes() for file in packages.iterdir()}
    assert built(tmp_path, "hatchling", "build", "-d") == first and len(first) == 2  # this wheel is made of the tree, not of the sources
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *packages.iterdir()], check=True, capture_output=True)


def test_it_brings_few_packages_and_few_bytes() -> None:
    assert len(BROUGHT) + 1 <= MOST_PACKAGES, sorted(BROUGHT)
    size = sum(file.size or 0 for one in BROUGHT.values() for file in one.files or ())
    size += sum(file.stat().st_size for file in (PROJECT / "hook").rglob("*") if "__pycache__" not in file.parts and file.is_file())
    assert 2 * size < MOST_BYTES  # compiled, a module takes about as much again
    design = (PROJECT / "docs/design.md").read_text().lower()
    assert [name for name in BROUGHT if not re.search(rf"^\|[^|]*\b{name.lower()}\b", design, re.MULTILINE)] == []


def test_the_container_starts_no_shell_and_not_as_root() -> None:
    lines = (PROJECT / "docs/ci/Containerfile").read_text().splitlines()
    assert not [line for line in lines if re.match(r"(?:RUN|CMD|ENTRYPOINT|SHELL)\s+(?!\[)", line)]
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users and users[-1] not in ("root", "0", "0:0")
    if hadolint := shutil.which("hadolint"):
        subprocess.run([hadolint, PROJECT / "docs/ci/Containerfile"], check=True)


def test_the_debian_package_is_built_with_all_that_the_program_imports() -> None:
    control = (PROJECT / "bench/debian/control").read_text()
    needed = {Requirement(text) for text in importlib.metadata.requires("patch-triage") or ()}
    names = {f"python3-{one.name.removeprefix('py')}" for one in needed if one.marker is None}
    assert len(names) >= 5 and names <= set(re.findall(r"(?m)^ (python3-[\w-]+)", control))
    assert f"git (>= 1:{GIT})" in control and f"git {GIT}" in (PROJECT / "docs/packages.md").read_text()


def test_it_installs_from_a_file_and_works_with_what_it_brings_alone(
    packages: pathlib.Path, kernel: Kernel, tmp_path: pathlib.Path
) -> None:
    place = tmp_path / "installed"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (wheel,) = packages.glob("*.whl")
    offline = ["install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(place / "bin/python"), *offline], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    for one in BROUGHT.values():
        for name in {file.parts[0] for file in one.files or () if file.parts[0] != ".."}:
            (site / name).symlink_to(pathlib.Path(str(one.locate_file(name))))
    kernel.env["PATH"] = f"{place / 'bin'}{os.pathsep}{kernel.env['PATH']}"
    kernel.replace("mm/pool.c", "count >= POOL_MAX", "count > POOL_MAX - 2")
    kernel.git("commit", "-qam", "mm/pool: keep one slot free")
    model = {"PATCH_TRIAGE_AGENT_BASE_URL": "http://127.0.0.1:9/v1", "PATCH_TRIAGE_AGENT_MODEL": "m"}
    done = subprocess.run(
        ["patch-triage", "check", "HEAD", "--wait"], cwd=kernel.path, env=kernel.env | model, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3 and done.stdout.startswith("worth fuzzing (not proved") and "patch-triage[agent]" in done.stderr
    enable = ["patch-triage", "agent", "enable"]
    done = subprocess.run(enable, cwd=kernel.path, env=kernel.env | model, capture_output=True, text=True, check=True)
    assert "patch-triage[agent]" in done.stderr
    page = subprocess.run(["patch-triage", "report", "--html", "-"], cwd=kernel.path, env=kernel.env, capture_output=True, check=True)
    assert page.stdout.startswith(b"<!DOCTYPE html>")
    if shutil.which("man"):
        shown = kernel.git("patch-triage", "--help", MANPAGER="cat", MANWIDTH="120")
        assert "git-patch-triage - Is this Linux kernel change worth fuzzing" in shown and "git-patch-triage-check(1)" in shown
        command = ["man", "--warnings", "git-patch-triage-check"]
        check = subprocess.run(command, env=kernel.env | {"MANWIDTH": "120"}, capture_output=True, text=True, check=True)
        assert "--base REV" in check.stdout and "3 could not judge" in check.stdout and check.stderr == ""
