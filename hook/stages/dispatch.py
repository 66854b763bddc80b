"""Running a stage: whatever fails in one, the commit goes through and one line says why.

Only pre-push can stop anything, and only by the policy that the person has set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hook.kernel.tree_kind import is_no_kernel
from hook.record import kept_patterns
from hook.source import setting_layers
from hook.source.git import Repository, find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.stages.judging import say, why

_AFTER_SEQUENCE = ("post-rewrite", "post-applypatch", "pre-push")


def run(argv: Sequence[str]) -> int:
    """Run one stage: STAGE [--no-settings] [-- ARGUMENTS]; our own hooks know whether git's configuration has settings of ours.

    The exit status is not 0 only where a push is stopped, by the policy or for want of one.
    """
    stage, arguments = argv[0], list(argv[1:])
    no_settings = arguments[:1] == ["--no-settings"]
    arguments = arguments[no_settings:]
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    function = STAGES.get(stage)
    if function is None:
        say(f"{stage} is not a stage; there are {', '.join(STAGES)}")
        return 0
    lost = "the push continues" if stage == "pre-push" else "the commit goes through"
    try:
        repo = find()
        if stage != "pre-push":  # which may wait for a model meanwhile
            repo.in_force.git_config = [] if no_settings else setting_layers.git_config(repo)
        if setting_layers.switched_off(repo) or (stage not in _AFTER_SEQUENCE and _in_sequence(repo)):
            return 0
        kept_patterns.use(repo)
        with Objects(repo) as objects:
            # of another tree nothing is said
            is_other = objects.read("HEAD^{tree}") is not None and is_no_kernel(Source(objects, "HEAD"))
            return 0 if is_other else function(stage, objects, arguments)
    except KeyboardInterrupt:
        say("interrupted; `patch-triage check` prints the verdict later")
    except Exception as wrong:  # the last boundary: a defect of ours must not cost a commit
        say(f"no verdict: {why(wrong)}; {lost}")
    return 0


def _before_commit(stage: str, objects: Objects, arguments: Sequence[str]) -> int:
    from hook.stages.before_commit import commit_msg, pre_commit, prepare_commit_msg

    stages = {"pre-commit": pre_commit, "prepare-commit-msg": prepare_commit_msg, "commit-msg": commit_msg}
    return stages[stage](objects, arguments)


def _after_commit(stage: str, objects: Objects, arguments: Sequence[str]) -> int:
    from hook.stages.after_commit import post_applypatch, post_commit, post_rewrite

    stages = {"post-commit": post_commit, "post-rewrite": post_rewrite, "post-applypatch": post_applypatch}
    return stages[stage](objects, arguments)


def _push(stage: str, objects: Objects, arguments: Sequence[str]) -> int:
    from hook.stages import push

    return push.pre_push(objects, arguments)


# each loads what it needs alone
STAGES: Mapping[str, Callable[[str, Objects, Sequence[str]], int]] = {
    "pre-commit": _before_commit,
    "prepare-commit-msg": _before_commit,
    "commit-msg": _before_commit,
    "post-commit": _after_commit,
    "post-rewrite": _after_commit,
    "post-applypatch": _after_commit,
    "pre-push": _push,
}


def _in_sequence(repo: Repository) -> bool:
    """Whether a rebase or `git am` is under way: what it makes is recorded in one go at its end. Our own hooks see that before Python."""
    return any((repo.git_dir / name).exists() for name in ("rebase-merge", "rebase-apply"))
