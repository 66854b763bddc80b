"""Failure: what keeps a change from being judged, other than a wrong command line or a wrong setting. It never becomes an answer."""

from __future__ import annotations


class CannotJudge(Exception):
    """Something could not be judged, or not be read or written; the sentence that a person reads says why."""


def sentence(wrong: Exception) -> str:
    """What a person reads of an error that is no defect of ours."""
    if isinstance(wrong, OSError) and wrong.strerror:
        return f"{wrong.filename}: {wrong.strerror}" if wrong.filename else wrong.strerror
    return str(wrong)
