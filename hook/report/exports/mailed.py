"""A patch as `git format-patch` writes it, with the verdict below the `---` line, where `git am` does not take it into the commit."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence

from hook.report.exports import Export, ExportForm, Item
from hook.report.text import paragraph, plain
from hook.source.git import GitError, Repository

_WIDTH = 74
_CUT = b"\n---\n"

_DIFF_BYTES = 64 << 20


def write(export: Export) -> None:
    """Print the mailbox."""
    sys.stdout.buffer.write(patches(export.repo, export.options.revision, {item.commit: item for item in export.items}))


FORM = ExportForm("patch", "patches as `git format-patch` writes them, with the verdict below the --- line", write)


def patches(repo: Repository, revisions: Sequence[str], items: Mapping[str, Item]) -> bytes:
    """The patches of `revisions` (one commit, or `A..B`) as a mailbox. Raises GitError."""
    out = b""
    for names in revisions:
        ranged = [names] if ".." in names else ["-1", names]
        out += repo.run_bounded(
            "format-patch",
            "--stdout",
            "--no-cover-letter",
            "--no-attach",
            "--no-notes",
            "--no-ext-diff",
            "--no-textconv",
            "--encoding=UTF-8",
            *ranged,
            limit_bytes=_DIFF_BYTES,
        )
    return with_verdicts(repo, out, items)


def with_verdicts(repo: Repository, mailbox: bytes, items: Mapping[str, Item]) -> bytes:
    """`mailbox`, which git has written, with each item's verdict in its patch."""
    done, rest = b"", mailbox
    starts = sorted((mailbox.find(b"From " + commit.encode() + b" Mon Sep 17 00:00:00 2001\n"), commit) for commit in items)
    for at, commit in reversed(starts):
        if at < 0:
            continue
        mail, rest = rest[at:], rest[:at]
        body = repo.run("log", "-1", "--format=%b", "--encoding=UTF-8", commit).strip(b"\n")
        # a message may hold a line of dashes itself: the one that counts here comes after all of it
        after = mail.find(body, mail.find(b"\n\n"))
        cut = mail.find(_CUT, after + max(0, len(body) - 1) if after >= 0 else 0)
        if cut < 0:
            raise GitError(f"git format-patch gave no patch of {commit[:12]}")
        end = cut + len(_CUT)
        done = mail[:end] + "".join(f"{line}\n" for line in _lines(items[commit])).encode() + mail[end:] + done
    return rest + done


def _lines(item: Item) -> list[str]:
    """The verdict, each line indented, so that none can be taken for a part of the diff."""
    head, *facts = paragraph(item.verdict)
    return [
        line
        for text in (f"patch-triage: {head}", *facts)
        for line in textwrap.wrap(plain(text), _WIDTH, initial_indent="  ", subsequent_indent="      ", break_long_words=False)
    ] + [""]
