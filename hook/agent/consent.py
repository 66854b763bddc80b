"""Consent: whether code of this repository may be sent to the model's host.

It is the person's, for one repository and one host, and stands in this repository's own git configuration; another host needs another.
Some work may never be sent, whatever the consent: branches and paths under embargo.
"""

from __future__ import annotations

import fnmatch

from hook.agent.endpoint.transport import host
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
    where = settings.agent.base_url
    if not where:
        return "no model is set up (agent.base_url)"
    if not settings.agent.model and not settings.agent.models:
        return "no model is named (agent.model)"
    if not for_this_command and given_for(repo) != host(where):
        return f"sending code of this repository to {host(where)} is not allowed: `patch-triage agent enable` allows it"
    return withheld(repo, settings, commit, paths)


def withheld(repo: Repository, settings: Settings, commit: str, paths: list[str]) -> str:
    """Why this work is never sent to any model, whatever the consent; empty if it may be."""
    if held := held_back(paths, settings.agent.never_paths):
        return f"{held[0]} is never sent (agent.never_paths)"
    if branch := _embargoed(repo, settings.agent.never_branches, commit):
        return f"work on {branch} is never sent (agent.never_branches)"
    return ""


def _embargoed(repo: Repository, patterns: tuple[str, ...], commit: str) -> str:
    """The branch under embargo that the change belongs to: the one worked on, or one that holds `commit` while it is not public.

    Public is what a branch of a remote holds that is not under embargo itself: such work is pushed too, to a remote for those who know.
    """
    if not patterns:
        return ""
    current = [repo.run("symbolic-ref", "-q", "--short", "HEAD", ok=(0, 1, 128)).decode("utf-8", "replace").strip()]
    for name in ("rebase-merge/head-name", "rebase-apply/head-name"):
        try:
            current.append((repo.git_dir / name).read_text("utf-8", "replace").strip().removeprefix("refs/heads/"))
        except OSError:
            continue
    if branch := next((branch for branch in current if _matches(branch, patterns)), ""):
        return branch
    if not commit:
        return ""
    try:
        # a symbolic reference (origin/HEAD) is a second name of another
        form = "--format=%(if)%(symref)%(then)%(else)%(refname)%(end)"
        out = repo.run("for-each-ref", "--contains", commit, form, "refs/heads", "refs/remotes")
    except GitError:
        return "a branch that is not known"  # not known: rather say no
    names = out.decode("utf-8", "replace").split()
    held = [name for name in names if name.startswith("refs/heads/") and _matches(name.removeprefix("refs/heads/"), patterns)]
    public: list[str] = []
    for name in names:
        if name.startswith("refs/remotes/"):
            (held if _remote_matches(name.removeprefix("refs/remotes/"), patterns) else public).append(name)
    return held[0].removeprefix("refs/heads/").removeprefix("refs/remotes/") if held and not public else ""


def _remote_matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a branch of a remote may be under embargo; where the remote's own name ends is not told, it may hold slashes."""
    parts = name.split("/")
    return any(_matches("/".join(parts[at:]), patterns) for at in range(1, len(parts)))


def _matches(branch: str, patterns: tuple[str, ...]) -> bool:
    return bool(branch) and any(fnmatch.fnmatchcase(branch, pattern) for pattern in patterns)
