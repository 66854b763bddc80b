"""Consent: whether code of this repository may be sent to the model's host.

It is the person's, for one repository and one host, and stands in this repository's own git configuration; another host needs another.
Some work may never be sent, whatever the consent: branches and paths under embargo.
"""

from __future__ import annotations

import fnmatch

from hook.agent.client import host
from hook.config import AGENT_HOST_KEY, Settings
from hook.source.git import GitError, Repository
from hook.source.grep import held_back

KEY = f"patchtriage.{AGENT_HOST_KEY}"


def given_for(repo: Repository) -> str:
    """The host that the person has allowed code of this repository to be sent to; empty if none."""
    return repo.run("config", "--local", "--get", KEY, ok=(0, 1)).decode("utf-8", "replace").strip()


def give(repo: Repository, base_url: str) -> None:
    repo.run("config", "--local", "--replace-all", KEY, host(base_url))


def withdraw(repo: Repository) -> None:
    repo.run("config", "--local", "--unset-all", KEY, ok=(0, 5))


def refusal(repo: Repository, settings: Settings, commit: str, paths: list[str], *, for_this_command: bool) -> str:
    """Why this change must not be sent; empty if it may. `for_this_command` is the person's consent on the command line."""
    where = settings["agent.base_url"]
    if not where:
        return "no model is set up (agent.base_url)"
    if not settings["agent.model"] and not settings["agent.models"]:
        return "no model is named (agent.model)"
    if not for_this_command and given_for(repo) != host(where):
        return f"nobody has allowed code of this repository to go to {host(where)}: `patch-triage agent enable`"
    if held := held_back(paths, settings["agent.never_paths"]):
        return f"{held[0]} is never sent (agent.never_paths)"
    if branch := _embargoed(repo, settings["agent.never_branches"], commit):
        return f"work on {branch} is never sent (agent.never_branches)"
    return ""


def _embargoed(repo: Repository, patterns: tuple[str, ...], commit: str) -> str:
    """The branch under embargo that the change belongs to: the one worked on, or one that holds `commit` while no remote has it."""
    if not patterns:
        return ""
    current = [repo.run("symbolic-ref", "-q", "--short", "HEAD", ok=(0, 1, 128)).decode("utf-8", "replace").strip()]
    for name in ("rebase-merge/head-name", "rebase-apply/head-name"):
        try:
            current.append((repo.git_dir / name).read_text("utf-8", "replace").strip().removeprefix("refs/heads/"))
        except OSError:
            continue
    if not commit:
        return next((branch for branch in current if _matches(branch, patterns)), "")
    try:
        if not repo.run("rev-list", "-1", commit, "--not", "--remotes", "--").strip():
            return ""
        holding = (
            repo.run("for-each-ref", "--contains", commit, "--format=%(refname:short)", "refs/heads").decode("utf-8", "replace").split("\n")
        )
    except GitError:
        return next((branch for branch in current if branch), "")  # not known: rather say no
    return next((branch for branch in [*holding, *current] if _matches(branch, patterns)), "")


def _matches(branch: str, patterns: tuple[str, ...]) -> bool:
    return bool(branch) and any(fnmatch.fnmatchcase(branch, pattern) for pattern in patterns)
