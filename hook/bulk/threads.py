"""Threads: the mails of an archive as series: each version by itself, with the cover letter and the reviews from replies.

A patch belongs to the series of the mail that it answers, if that is a patch or a cover letter with the same version and length. Patches
that answer the same other or missing mail form a series too; so do unthreaded patches of one run of `git send-email`, or of a directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hook import lazy_re
from hook.bulk.inputs import BulkInput, Letter

# the Message-ID of `git send-email`: the time, its process and the number of the mail
_SENT_TOGETHER = lazy_re.compile(r"<(\d{14}\.\d+)-\d+-")
_MOST_STEPS = 200  # up a thread


def series(letters: Iterable[Letter], source: str) -> Iterator[BulkInput]:
    """The series in `letters`, in the order of their first patches. A second copy of a mail is left out."""
    by_id: dict[str, Letter] = {}
    for letter in letters:
        by_id.setdefault(_name(letter), letter)
    group_of = _groups(by_id)
    members: dict[str, list[Letter]] = {}
    for name, letter in by_id.items():
        if name in group_of:
            members.setdefault(group_of[name], []).append(letter)
    replies = _reviews(by_id, group_of)
    for group, mails in members.items():
        patches = [letter for letter in mails if letter.is_patch]
        if patches:
            first = min(patches, key=lambda letter: letter.number or 0)
            ordered = sorted(mails, key=lambda letter: letter.number or 0)
            yield BulkInput(
                _name(first), source, len(patches), letters=tuple(ordered), reviews=tuple(dict.fromkeys(replies.get(group, ())))
            )  # fmt: skip


def _name(letter: Letter) -> str:
    place = letter.place
    # encoded as in a row, so that it is equal there
    return letter.message_id or ":".join((place.container, place.name or str(place.start))).encode("utf-8", "replace").decode()


def _groups(by_id: Mapping[str, Letter]) -> dict[str, str]:
    """The patches and cover letters, each with the name of its group."""
    joined: dict[str, str] = {}

    def top(name: str) -> str:
        while joined.setdefault(name, name) != name:
            joined[name] = name = joined[joined[name]]  # shorten the chain
        return name

    grouped: set[str] = set()
    for name, letter in by_id.items():
        if letter.is_reply or not (letter.is_patch or letter.is_cover):
            continue
        grouped.add(name)
        if letter.total and (letter.total > 1 or letter.number == 0):
            for shared_name in _beside(letter, by_id):
                joined[top(name)] = top(shared_name)
    return {name: top(name) for name in grouped}


def _beside(letter: Letter, by_id: Mapping[str, Letter]) -> Iterator[str]:
    """Names that all mails of the letter's series share."""
    same = f"{letter.author}\n{letter.version}\n{letter.total}"
    above = by_id.get(letter.parent)
    if above is not None and not above.is_reply and (above.version, above.total, above.author) == (
        letter.version, letter.total, letter.author,
    ):  # fmt: skip
        yield letter.parent
    elif letter.parent and letter.number != 0:
        yield f"{letter.parent}\n{same}"
    if sent := _SENT_TOGETHER.match(letter.message_id):
        yield f"{sent[1]}\n{same}"
    elif not letter.message_id:
        yield f"{letter.place.container.rpartition('/')[0]}\n{same}"


def _reviews(by_id: Mapping[str, Letter], group_of: Mapping[str, str]) -> dict[str, list[str]]:
    """The reviews in the replies to each group."""
    replies: dict[str, list[str]] = {}
    for letter in by_id.values():
        if not letter.reviews or not letter.is_reply:
            continue
        above = letter.parent
        for _ in range(_MOST_STEPS):
            if above in group_of or above not in by_id:
                break
            above = by_id[above].parent
        if above in group_of:
            replies.setdefault(group_of[above], []).extend(letter.reviews)
    return replies
