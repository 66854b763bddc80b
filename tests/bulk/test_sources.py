"""Sources: what is an input in an archive, and which mails belong together."""

from __future__ import annotations

import pathlib

import pytest

from hook.bulk import sources, threads
from hook.bulk.inputs import BulkInput, MailPlace
from hook.bulk.mailboxes import MailReader, letter_of
from hook.source.git import find
from tests.bulk.archive import Sent, edited, maildir, mbox, patch_body, public_inbox
from tests.small_kernel import Kernel

DIFF = patch_body("diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n")


def grouped(*mails: Sent) -> list[list[str]]:
    """The series among some mails: the ids of each one's mails, and behind them what others say for it."""
    letters = [letter_of(mail.mail(number), MailPlace("inbox", str(number))) for number, mail in enumerate(mails)]
    return [[letter.message_id[1:].partition("@")[0] for letter in one.letters] + list(one.reviews) for one in threads.series(letters, "x")]


def test_a_series_is_its_cover_letter_and_its_patches() -> None:
    cover = Sent("[PATCH 0/2] mm: pool", "What for.", "c")
    one, two = Sent("[PATCH 1/2] mm: one", DIFF, "1", "c"), Sent("[PATCH 2/2] mm: two", DIFF, "2", "c")
    assert grouped(cover, two, one) == [["c", "1", "2"]]
    assert grouped(one, two) == [["1", "2"]]  # the cover letter is not in the archive


def test_deep_threads_and_unthreaded_ones_are_series_too() -> None:
    one, two, three = (Sent(f"[PATCH {n}/3] mm: {n}", DIFF, str(n), str(n - 1) if n > 1 else "") for n in (1, 2, 3))
    assert grouped(one, two, three) == [["1", "2", "3"]]
    sent = [Sent(f"[PATCH {n}/2] mm: {n}", DIFF, f"20260105100000.77-{n}-jo") for n in (1, 2)]
    assert grouped(*sent) == [["20260105100000.77-1-jo", "20260105100000.77-2-jo"]]


def test_versions_are_told_apart() -> None:
    first = [Sent("[PATCH 0/2] p", "", "c"), *(Sent(f"[PATCH {n}/2] p{n}", DIFF, str(n), "c") for n in (1, 2))]
    second = [Sent("[PATCH v2 0/2] p", "", "d", "c"), *(Sent(f"[PATCH v2 {n}/2] p{n}", DIFF, f"v2-{n}", "d") for n in (1, 2))]
    bare = [Sent(f"[PATCH v3 {n}/2] p{n}", DIFF, f"v3-{n}", "c") for n in (1, 2)]  # in reply to the first cover letter
    assert grouped(*first, *second, *bare) == [["c", "1", "2"], ["d", "v2-1", "v2-2"], ["v3-1", "v3-2"]]


def test_others_series_in_the_same_thread_are_not_joined() -> None:
    mine = [Sent(f"[PATCH {n}/2] p{n}", DIFF, f"m{n}", "talk") for n in (1, 2)]
    yours = [Sent(f"[PATCH {n}/2] q{n}", DIFF, f"y{n}", "talk", "Al <al@example.org>") for n in (1, 2)]
    assert grouped(*mine, *yours) == [["m1", "m2"], ["y1", "y2"]]


def test_talk_is_left_out_and_its_reviews_are_kept() -> None:
    patch = Sent("[PATCH] mm: pool", DIFF, "1")
    reply = Sent("Re: [PATCH] mm: pool", "> Reviewed-by: Not Me <n@example.org>\nReviewed-by: Al <al@example.org>\n" + DIFF, "r", "1")
    deep = Sent("Re: [PATCH] mm: pool", "Tested-by: Bo <bo@example.org>\n", "s", "r")
    stray = Sent("something is broken", "see\n\n" + DIFF, "t", "r")
    assert grouped(patch, reply, deep, stray) == [["1", "Reviewed-by: Al <al@example.org>", "Tested-by: Bo <bo@example.org>"]]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_an_encoded_patch_is_found_and_encoded_talk_is_not(encoding: str) -> None:
    assert grouped(Sent("mm: pool", DIFF, "1", encoding=encoding), Sent("hello", "no diff", "2", encoding=encoding)) == [["1"]]


def test_what_says_patch_and_holds_none_is_an_input_all_the_same() -> None:
    assert grouped(Sent("[PATCH] mm: pool", "see the attachment", "1"), Sent("[GIT PULL] mm", "please", "2")) == [["1"]]


def test_headers_of_any_kind_are_read() -> None:
    letter = letter_of(b"Subject: =?utf-8?q?=5BPATCH=5D_f=C3=BCr?=\nFrom: =?bogus?x?=\nDate: never\nMessage-ID: <a@b>\n\n", MailPlace("x"))
    assert (letter.subject, letter.date, letter.message_id, letter.is_patch) == ("für", "", "<a@b>", True)
    assert letter_of(b"\xff\xfe\0\0", MailPlace("x")).message_id == ""
    assert letter_of(b"Date: Mon, 5 Jan 2026 10:00:00 -0000\n\n", MailPlace("x")).date == "2026-01-05T10:00:00+00:00"


def test_an_input_has_a_name_that_a_row_can_hold() -> None:
    odd = letter_of(b"Subject: [PATCH] x\nMessage-ID: <\xff@b>\n\n", MailPlace("/tmp/\udcff.mbox"))
    (named,) = threads.series([odd], "x")
    assert named.id == "/tmp/?.mbox:0"


def contents(inputs: list[BulkInput]) -> list[list[bytes]]:
    with MailReader() as reader:
        return [[reader.read(letter.place) for letter in one.letters] for one in inputs]


def test_every_kind_of_mailbox_holds_the_same_series(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    sent = [Sent("[PATCH 0/2] p", "", "c"), *(Sent(f"[PATCH {n}/2] p{n}", DIFF, str(n), "c") for n in (1, 2)), Sent("Re: x", "y", "z", "1")]
    mails = [one.mail(number).rstrip(b"\n") + b"\n" for number, one in enumerate(sent)]
    repo = find(kernel.path)
    places = [public_inbox(tmp_path / "inbox.git", mails), mbox(tmp_path / "mbox", mails), maildir(tmp_path / "md", mails)]
    epoch = tmp_path / "v2" / "git"
    epoch.mkdir(parents=True)
    public_inbox(epoch / "0.git", mails[:2])
    public_inbox(epoch / "1.git", mails[2:])
    for place in (*places, tmp_path / "v2"):
        found = sources.listed(repo, [str(place)], "", "HEAD")
        assert [(one.id, one.size, len(one.letters)) for one in found] == [("<1@example.org>", 2, 3)]
        read = [[mail.partition(b"2001\n")[2] if mail.startswith(b"From git") else mail for mail in one] for one in contents(found)]
        assert [mail.rstrip() for mail in read[0]] == [mail.rstrip() for mail in mails[:3]]
    assert len(sources.listed(repo, [*map(str, places)], "", "HEAD")) == 1


def test_a_mail_that_was_taken_away_is_left_out(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    mails = [Sent(f"[PATCH] p{n}", DIFF, str(n)).mail() for n in (1, 2)]
    inbox = kernel.beside(public_inbox(tmp_path / "inbox.git", mails))
    blob = inbox.git("hash-object", "-w", "--stdin", data=mails[0]).strip()
    tree = inbox.git("mktree", data=f"100644 blob {blob}\td\n").strip()
    inbox.git("update-ref", "HEAD", inbox.git("commit-tree", tree, "-p", "HEAD", "-m", "spam").strip())
    assert [one.id for one in sources.listed(find(kernel.path), [str(inbox.path)], "", "HEAD")] == ["<2@example.org>"]


def test_a_directory_of_patches_is_a_series_where_they_are_numbered(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    edited(kernel, ("the cache", "a cache"))
    for number in range(3):
        kernel.commit("mm/pool.c", kernel.read("mm/pool.c") + f"/* {number} */\n", f"mm: {number}")
    kernel.git("format-patch", "-q", "-o", str(tmp_path / "set"), "HEAD~3")
    kernel.write(str(tmp_path / "loose" / "a.diff"), kernel.git("diff", "HEAD~1"))
    kernel.write(str(tmp_path / "loose" / "b.patch"), kernel.git("format-patch", "-1", "--stdout"))
    kernel.write(str(tmp_path / "loose" / "README"), "no patch")
    repo = find(kernel.path)
    assert [one.size for one in sources.listed(repo, [str(tmp_path / "set")], "", "HEAD")] == [3]
    assert [one.size for one in sources.listed(repo, [str(tmp_path / "loose")], "", "HEAD")] == [1, 1]


def test_a_range_holds_its_commits_and_a_date_leaves_older_ones_out(kernel: Kernel) -> None:
    first = kernel.head()
    old = kernel.commit("mm/pool.c", kernel.read("mm/pool.c") + "/* 1 */\n")
    kernel.write("mm/pool.c", kernel.read("mm/pool.c") + "/* 2 */\n")
    kernel.git("commit", "-qam", "new", GIT_COMMITTER_DATE="2026-03-01T00:00:00+0000")
    repo = find(kernel.path)
    assert [one.id for one in sources.listed(repo, [f"{first}..HEAD"], "", "HEAD")] == [old, kernel.head()]
    assert [one.id for one in sources.listed(repo, ["main"], "2026-02-01", "HEAD")] == [kernel.head()]
    assert sources.listed(repo, [f"{first}..HEAD"], "", "HEAD")[1].needs == (kernel.head(), old)
    for wrong in ("nothing-here", "a..b", "--all"):
        with pytest.raises(sources.NoSource):
            sources.listed(repo, [wrong], "", "HEAD")
