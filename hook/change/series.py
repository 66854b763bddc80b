"""Series: mailed patches as changes. Each is applied on top of the ones before it, without a trace in the repository."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Sequence

import msgspec

from hook.change import base, mail, patch
from hook.change.change import Change
from hook.config import Settings
from hook.failure import CannotJudge
from hook.source import overlay, scratch
from hook.source.git import Repository

_MOST_OLDER = 20  # versions of one patch in a mailbox that are tried


class Unread(msgspec.Struct, frozen=True):
    """A patch of the series without a change to judge."""

    label: str
    why: str
    failed: bool


class Series(msgspec.Struct, frozen=True):
    """Mailed patches and the commit they are for."""

    patches: tuple[mail.MailedPatch, ...]
    base: base.Base
    why: str  # how the base was chosen, empty where the person named it
    _repo: Repository
    _settings: Settings
    _scratch: pathlib.Path

    def changes(self, first: int = 0) -> Iterator[Change | Unread]:
        """Each patch from the `first` on as a change; those before it are applied, and not read.

        After one that does not apply the others are not tried, and each says so. Where an older version of a patch
        applies beside it, as `git am` would do, neither is judged.
        """
        below: overlay.Overlay | None = None
        broken = ""
        for number, mailed in enumerate(self.patches, 1):
            label = mailed.subject or f"patch {number}"
            skipped = number <= first
            if mailed.left_out or broken:
                if not skipped:
                    yield Unread(label, mailed.left_out or f"not tried: {broken}", failed=True)
                continue
            try:
                below = apply(self._repo, self._scratch, self.base.commit, mailed, below)
                if skipped:
                    continue
                made = patch.read(below.repo, ["diff-tree", "-r", below.old_tree, below.new_tree])
            except CannotJudge as wrong:
                why = str(wrong)
                broken = f"{label} {'is there already' if isinstance(wrong, overlay.AppliedAlready) else 'does not apply'}"
                if below is None and isinstance(wrong, overlay.DoesNotApply) and self._is_applied():
                    why, broken = "the series is in its base already; --base REV names another base", "the series is there already"
                if not skipped:
                    yield Unread(label, why, failed=True)
                continue
            if len(mailed.older) > _MOST_OLDER:
                yield Unread(label, f"the mailbox has more than {_MOST_OLDER} older versions of it", failed=True)
            elif both := next((older for older in mailed.older if self._applies(older, below)), None):
                why = f"version {both.version} of it, in the same mailbox, applies beside it; `git am` would apply both"
                yield Unread(label, why, failed=True)
            elif made.files:
                commit = "" if self.base.commit == self._repo.empty_tree else self.base.commit
                change = Change(label, below.repo, made, commit, below.old_tree, below.new_tree, note=mailed.note)
                yield msgspec.structs.replace(change, author_says=mailed.author_says)
            else:
                yield Unread(label, "the patch changes nothing", failed=False)

    def _is_applied(self) -> bool:
        diffs = [mailed.diff for mailed in self.patches if not mailed.left_out]
        return len(diffs) > 1 and overlay.is_applied(self._repo, self._scratch, self.base.commit, diffs)

    def _applies(self, mailed: mail.MailedPatch, below: overlay.Overlay) -> bool:
        try:
            apply(self._repo, self._scratch, self.base.commit, mailed, below)
        except CannotJudge:
            return False
        return True


@contextlib.contextmanager
def read(repo: Repository, settings: Settings, data: bytes, name: str, base_name: str | None) -> Iterator[Series]:
    """The series in `data`, which the person calls `name`: a bare diff, a mail, or an mbox.

    What it needs on disk is gone when the context ends.

    Raises mail.NoPatch where there is nothing to judge, base.UnknownRevision where `base_name` names no commit.
    """
    with scratch.directory(repo) as directory:
        patches = mail.split(data, repo, directory, mail.MAX_BYTES, name)
        chosen = base.choose(repo, base_name, [mailed for mailed in patches if not mailed.left_out], settings.base.max_commits)
        yield Series(patches, chosen, "" if base_name else chosen.why, repo, settings, directory)


@contextlib.contextmanager
def of_mails(repo: Repository, settings: Settings, mails: Sequence[bytes], name: str, head: str) -> Iterator[Series]:
    """The series in `mails`, each as it was delivered; one alone may be a bare diff or an mbox, too. `head` stands for HEAD.

    Raises mail.NoPatch where there is nothing to judge, mail.TooMuchMail.
    """
    with scratch.directory(repo) as directory:
        if len(mails) == 1:
            patches = mail.split(mails[0], repo, directory, mail.MAX_BYTES, name)
        else:
            patches = mail.of_mails(mails, repo, directory, mail.MAX_BYTES, name)
        chosen = base.choose(repo, None, [mailed for mailed in patches if not mailed.left_out], settings.base.max_commits, head)
        yield Series(patches, chosen, chosen.why, repo, settings, directory)


def apply(
    repo: Repository, directory: pathlib.Path, commit: str, mailed: mail.MailedPatch, below: overlay.Overlay | None
) -> overlay.Overlay:
    """Apply one patch, as it is read first by `git am`, then without what git makes of the other parts of the mail, at last with carriage
    returns that the mail may have added."""
    readings = list(dict.fromkeys(diff for diff in (mailed.as_git, mailed.diff, mailed.diff_keep_cr) if diff)) or [mailed.diff]
    for diff in readings[:-1]:
        with contextlib.suppress(overlay.DoesNotApply):
            return overlay.apply(repo, directory, commit, diff, below)
    return overlay.apply(repo, directory, commit, readings[-1], below)
