"""The documents: every link leads somewhere, every command is told of, and the manual is made of them without a warning."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

from hook.cli import COMMANDS
from hook.evidence.change_classes import ChangeClass

PROJECT = pathlib.Path(__file__).parent.parent
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])
FENCED = re.compile(r"(?ms)^```.*?^```")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: pathlib.Path) -> set[str]:
    """The anchors that a forge makes of the headings."""
    titles = re.findall(r"(?m)^#+ +(.*?)\s*$", FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_somewhere(page: pathlib.Path) -> None:
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(PROJECT) and target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_change_class_is_explained() -> None:
    page = (PROJECT / "docs/evidence.md").read_text()
    assert [str(name) for name in ChangeClass if f"`{name}`" not in page and f"| {name} |" not in page] == []


def test_the_readme_tells_of_every_command() -> None:
    readme = (PROJECT / "README.md").read_text()
    assert [name for name in COMMANDS if f"patch-triage {name}" not in readme and f"`{name}" not in readme] == []


def test_the_manual_is_made_without_a_warning_and_loads_nothing(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--nitpicky"]
    done = subprocess.run([*command, str(PROJECT / "docs"), str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    pages = list(tmp_path.glob("*.html"))
    assert {page.stem for page in PAGES if page.parent.name == "docs"} <= {page.stem for page in pages}
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]*src=\"(?:https?:)?//|<link[^>]*rel=\"(?:stylesheet|preload)[^>]*href=\"(?:https?:)?//|@import"
    )
    assert [page.name for page in pages if loaded.search(page.read_text())] == []
