"""The reader of objects: every answer belongs to its question, however many ask at once and whatever happens to git."""

from __future__ import annotations

import concurrent.futures
import hashlib
import pathlib
import random

import pytest

from hook.failure import CannotJudge
from hook.source import object_store
from hook.source.git import GitError, find
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.small_kernel import Kernel
from tests.test_failures import a_git_that_hangs

ROUNDS = 1000
FILES = ("mm/pool.c", "init/main.c", "include/linux/pool.h", "mm/Kconfig", "Kconfig", "Makefile")


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def test_sources_that_share_a_reader_get_the_answers_to_their_own_questions(kernel: Kernel) -> None:
    with Objects(find(kernel.path), 1 << 20) as objects:
        objects.repo.in_force.seconds = 10.0  # a lost answer is an error, not a hang

        def look(number: int) -> bool:
            source = Source(objects, kernel_head)
            names = random.Random(number).sample(FILES, 3)
            alone = source.file(names[0])
            many = source.files([*names[1:], "no/such/file"])
            listed = source.names("mm") or []
            wanted = [(kernel.path / name).read_bytes() for name in names]
            found = [alone, *many[:-1]]
            return (
                [one.data for one in found if one] == wanted
                and [one.oid for one in found if one] == [blob_id(data) for data in wanted]
                and many[-1] is None
                and [one.name for one in listed] == ["Kconfig", "Makefile", "pool.c"]
            )

        kernel_head = kernel.head()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert all(pool.map(look, range(ROUNDS)))


def test_a_reading_that_is_given_up_leaves_no_answer_behind(kernel: Kernel) -> None:
    with Objects(find(kernel.path), 1 << 20) as objects:
        for _, found in objects.read_all([f"HEAD:{name}" for name in FILES]):
            assert found is not None
            inner = objects.read("HEAD:mm/pool.c")  # asked in the middle of the other
            assert inner is not None and inner.oid == kernel.head("HEAD:mm/pool.c")
            break
        last = objects.read("HEAD:Makefile")
        assert last is not None and last.oid == kernel.head("HEAD:Makefile")


def test_an_interrupt_in_the_middle_of_an_answer_leaves_nothing_behind(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    with Objects(find(kernel.path), 1 << 20) as objects:
        with monkeypatch.context() as patched:

            def interrupted(*_: object) -> bytes:
                raise KeyboardInterrupt

            patched.setattr(objects, "_bytes", interrupted)
            with pytest.raises(KeyboardInterrupt):
                objects.read("HEAD:Makefile")
        found = objects.read("HEAD:mm/pool.c")
        assert found is not None and found.oid == kernel.head("HEAD:mm/pool.c")


def test_answers_past_what_is_held_at_once_are_asked_for_anew(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "_HELD_BYTES", 100)
    monkeypatch.setattr(object_store, "_CHUNK", 3)
    names = [f"HEAD:{name}" for name in FILES] + ["HEAD:no/such/file"]
    with Objects(find(kernel.path), 1 << 20) as objects:
        found = dict(objects.read_all(names))
    assert found.pop("HEAD:no/such/file") is None
    assert [one.data for one in found.values() if one] == [(kernel.path / name).read_bytes() for name in FILES]


def test_long_names_do_not_block_git_and_us(kernel: Kernel) -> None:
    with Objects(find(kernel.path), 1 << 20) as objects:
        objects.repo.in_force.seconds = 5.0
        assert all(found is None for _, found in objects.read_all([f"HEAD:{number}{'/long' * 1000}" for number in range(300)]))


def test_a_git_that_hangs_once_is_started_again(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in a_git_that_hangs(kernel, "cat-file").items():
        monkeypatch.setenv(name, value)
    with Objects(find(kernel.path), 1 << 20) as objects:
        with pytest.raises(GitError, match="did not answer within 1 s"):
            objects.read("HEAD")
        monkeypatch.setenv("PATH", kernel.env["PATH"])
        objects.repo.in_force.seconds = 60.0
        found = objects.read("HEAD:mm/pool.c")
        assert found is not None and found.oid == kernel.head("HEAD:mm/pool.c")


@pytest.mark.parametrize("odd", ["mm/pool.c\r", "mm/pool.c\n"])
def test_a_file_with_an_odd_name_is_not_taken_for_its_neighbour(kernel: Kernel, odd: str) -> None:
    kernel.commit(odd, "int odd;\n")
    with Objects(find(kernel.path), 1 << 20) as objects:
        source = Source(objects, kernel.head())
        for found in (source.file(odd), *source.files([odd])):
            assert found is not None and found.data == b"int odd;\n"
        assert source.file("mm/pool.c\0x") is None
        with pytest.raises(CannotJudge, match="cannot be asked for"):
            objects.read(f"{source.revision}:{odd}")


def test_a_plain_file_of_the_size_limit_is_read_and_a_larger_one_is_not(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.commit("mm/large.c", b"x" * 101)
    kernel.commit("mm/fits.c", b"x" * 100)
    with Objects(find(kernel.path), 100) as objects:
        large, fits = (found for _, found in objects.read_all(["HEAD:mm/large.c", "HEAD:mm/fits.c"]))
    assert large is not None and (large.data, large.size) == (None, 101)
    assert fits is not None and fits.data == b"x" * 100
