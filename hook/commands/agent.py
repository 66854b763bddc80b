"""`patch-triage agent`: the consent to send code of a repository to the model's host."""

from __future__ import annotations

import argparse

from hook.commands import DONE, CannotDo, Command, complain, repository
from hook.report import text
from hook.source import setting_layers


def register(command: Command) -> None:
    sub = command("agent", agent, "allow or forbid sending code of this repository to the model's host")
    sub.add_argument("action", choices=("enable", "disable", "status"))


def agent(options: argparse.Namespace) -> int:
    """Give, withdraw or tell the consent to send code of this repository to the model's host."""
    from hook import asking
    from hook.agent import consent, evaluators
    from hook.agent.endpoint import transport

    repo = repository(options)
    settings = setting_layers.load(repo)
    url = settings.agent.base_url
    if options.action == "disable":
        consent.withdraw(repo)
        print("code of this repository is sent to no model")
        return DONE
    if options.action == "enable":
        if not url:
            raise CannotDo("first set agent.base_url and agent.model in ~/.config/patch-triage.yaml")
        if not asking.has_client():
            complain(asking.NO_CLIENT)
        consent.give(repo, url)
        models = ", ".join(evaluators.models(settings)) or "no model yet: set agent.model"
        print(text.plain(f"code of this repository may now go to {transport.host(url)} ({models}):"))
        print("  the diff of a change that the evidence leaves open, and the files and search results that the model asks for")
        print("  never: the key to another host, recognised secrets, agent.never_branches, agent.never_paths")
        if url.startswith("http://") and not transport.is_local(url):
            print("  unencrypted: agent.base_url is http and the host is not this machine")
        print("`patch-triage check --dry-run` shows what would be sent; `patch-triage agent disable` undoes this")
        return DONE
    permitted = consent.given_for(repo)
    models = ", ".join(evaluators.models(settings)) or "none"
    print(text.plain(f"endpoint: {transport.host(url) if url else 'none (agent.base_url)'}; models: {models}"))
    print(text.plain(f"code of this repository may go to: {permitted or 'nobody'}"))
    return DONE
