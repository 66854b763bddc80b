"""The hashes of keys and ids."""

from __future__ import annotations

import hashlib

import pytest

from hook import digest


def test_are_those_of_hashlib() -> None:
    assert digest.sha1(b"a").digest() == hashlib.sha1(b"a").digest()
    assert digest.sha256(b"a").hexdigest() == hashlib.sha256(b"a").hexdigest()


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_of_git_are_of_the_format_of_the_repository(object_format: str) -> None:
    assert digest.of_git(object_format, b"blob 1\0a") == hashlib.new(object_format, b"blob 1\0a").digest()
