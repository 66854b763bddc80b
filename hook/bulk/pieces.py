"""Pieces: the inputs that a worker gets at once: neighbours of one source, so that it can reuse what it has read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from hook.bulk.inputs import BulkInput
from hook.bulk.mailboxes import MailReader

_LEAST_PIECES = 16  # also for few inputs, so that all workers have some
_MOST_BYTES = 8 << 20  # of mails in a piece, or one series


class BulkPiece(msgspec.Struct, frozen=True):
    """Some inputs, and the number under which their rows are kept."""

    number: int
    inputs: tuple[BulkInput, ...]

    @property
    def size(self) -> int:
        """The number of patches."""
        return sum(item.size for item in self.inputs)


def cut(inputs: Sequence[BulkInput], changes: int, first: int) -> Iterator[BulkPiece]:
    """The inputs in pieces of at most `changes` patches, or one series, numbered from `first`. The mails of a piece are read with it.

    Raises OSError, GitError.
    """
    changes = min(changes, sum(item.size for item in inputs) // _LEAST_PIECES + 1)
    number, waiting, size, held_bytes = first, list[BulkInput](), 0, 0
    with MailReader() as reader:
        for item in inputs:
            mails = tuple(reader.read(letter.place) for letter in item.letters)
            mail_bytes = sum(map(len, mails))
            if waiting and (size + item.size > changes or held_bytes + mail_bytes > _MOST_BYTES or waiting[-1].source != item.source):
                yield BulkPiece(number, tuple(waiting))
                number, waiting, size, held_bytes = number + 1, [], 0, 0
            waiting.append(msgspec.structs.replace(item, mails=mails))
            size, held_bytes = size + item.size, held_bytes + mail_bytes
        if waiting:
            yield BulkPiece(number, tuple(waiting))
