"""Pieces: what is handed to a worker at a time: neighbours of one source, so that what the worker has read for one serves the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from hook.bulk.inputs import BulkInput
from hook.bulk.mailboxes import MailReader

_LEAST_PIECES = 16  # into which few inputs are cut, so that all workers have some
_MOST_BYTES = 8 << 20  # of mails in a piece, or one series


class BulkPiece(msgspec.Struct, frozen=True):
    """Some inputs, and the number under which their rows are kept."""

    number: int
    inputs: tuple[BulkInput, ...]

    @property
    def size(self) -> int:
        """How many patches it has."""
        return sum(one.size for one in self.inputs)


def cut(inputs: Sequence[BulkInput], changes: int, first: int) -> Iterator[BulkPiece]:
    """The inputs in pieces of at most so many changes, or one series, numbered from `first`. Mails are read as their piece comes.

    Raises OSError, GitError.
    """
    changes = min(changes, sum(one.size for one in inputs) // _LEAST_PIECES + 1)
    number, held, size, held_bytes = first, list[BulkInput](), 0, 0
    with MailReader() as reader:
        for one in inputs:
            mails = tuple(reader.read(letter.place) for letter in one.letters)
            mail_bytes = sum(map(len, mails))
            if held and (size + one.size > changes or held_bytes + mail_bytes > _MOST_BYTES or held[-1].source != one.source):
                yield BulkPiece(number, tuple(held))
                number, held, size, held_bytes = number + 1, [], 0, 0
            held.append(msgspec.structs.replace(one, mails=mails))
            size, held_bytes = size + one.size, held_bytes + mail_bytes
        if held:
            yield BulkPiece(number, tuple(held))
