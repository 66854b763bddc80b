from __future__ import annotations

import base64
import codecs
import os
import pathlib
import quopri

import pytest

from hook import config
from hook.change import mail
from hook.change.series import Unread, apply, read
from hook.failure import CannotJudge
from hook.source import git, overlay
from tests.small_kernel import Kernel

LIMIT = 1 << 20


@pytest.fixture(autouse=True)
def own_home(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, kernel.env[name])


@pytest.fixture
def scratch(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "scratch"
    made.mkdir()
    return made


@pytest.fixture
def series(kernel: Kernel) -> Kernel:
    """Three commits on the first one."""
    kernel.commit("mm/a.c", "int a;\n", "mm: add a\n\nKMSAN: uninit-value in a")
    kernel.commit("mm/b.c", "int b;\n", "mm: add b")
    kernel.commit("mm/a.c", "int a = 1; /* \u00e4 */\n", "mm: set a to \u00e4")
    return kernel


def formatted(kernel: Kernel, *options: str) -> bytes:
    return os.fsencode(kernel.git("format-patch", "--stdout", *options))


def split(kernel: Kernel, scratch: pathlib.Path, data: bytes) -> tuple[mail.MailedPatch, ...]:
    return mail.split(data, git.find(kernel.path), scratch, LIMIT)


def applied(kernel: Kernel, scratch: pathlib.Path, base: str, patches: tuple[mail.MailedPatch, ...]) -> str:
    """The tree that the patches lead to."""
    repo, made = git.find(kernel.path), None
    for patch in patches:
        try:
            made = overlay.apply(repo, scratch, base, patch.diff, made)
        except overlay.DoesNotApply:
            made = overlay.apply(repo, scratch, base, patch.diff_keep_cr, made)
    assert made is not None
    return made.new_tree


def letter(diff: bytes, headers: str = "", subject: str = "[PATCH] mm: one") -> bytes:
    head = f"From: Jo <jo@example.org>\nSubject: {subject}\nMessage-ID: <1@example.org>\n{headers}\n"
    return head.encode() + diff


def test_a_bare_diff_is_one_patch(series: Kernel, scratch: pathlib.Path) -> None:
    diff = os.fsencode(series.git("diff", "HEAD~1"))
    (patch,) = split(series, scratch, diff)
    assert (patch.diff, patch.diff_keep_cr, patch.subject, patch.base_commit) == (diff, diff, "", "")
    (shown,) = split(series, scratch, os.fsencode(series.git("show")))
    assert applied(series, scratch, "HEAD~1", (shown,)) == series.head("HEAD^{tree}")
    (wide,) = split(series, scratch, codecs.BOM_UTF16_LE + diff.decode().encode("utf-16-le"))
    assert wide.diff == diff


def test_format_patch_output_names_subject_and_number(series: Kernel, scratch: pathlib.Path) -> None:
    patches = split(series, scratch, formatted(series, "-n", "-v3", "--base=HEAD~3", "HEAD~3"))
    assert [(patch.subject, patch.number, patch.total, patch.version) for patch in patches] == [
        ("mm: add a", 1, 3, 3),
        ("mm: add b", 2, 3, 3),
        ("mm: set a to \u00e4", 3, 3, 3),
    ]
    assert {patch.base_commit for patch in patches} == {series.head("HEAD~3")}
    assert [patch.author_says for patch in patches] == [("KMSAN: uninit-value in a",), (), ()]
    assert applied(series, scratch, "HEAD~3", patches) == series.head("HEAD^{tree}")


def test_a_cover_letters_base_counts_for_all_and_the_order_is_the_numbers(series: Kernel, scratch: pathlib.Path) -> None:
    stream = formatted(series, "--cover-letter", "--base=HEAD~2", "HEAD~2").replace(b"From ", b"\nFrom ")
    mails = [b"From " + part for part in stream.split(b"\nFrom ") if part.strip()]
    assert len(mails) == 3
    answer = letter(b"> diff --git a/x b/x\nLooks good.\n", subject="Re: [PATCH 1/2] mm: add b")
    reply = b"From x Mon Sep 17 00:00:00 2001\n" + answer
    patches = split(series, scratch, b"\n".join([mails[2], reply, mails[0], mails[1]]))
    assert [patch.number for patch in patches] == [1, 2]
    assert {patch.base_commit for patch in patches} == {series.head("HEAD~2")}
    assert applied(series, scratch, "HEAD~2", patches) == series.head("HEAD^{tree}")


def test_prerequisites_are_read(series: Kernel, scratch: pathlib.Path) -> None:
    (patch,) = split(series, scratch, formatted(series, "--base=HEAD~3", "HEAD~1"))
    assert patch.base_commit == series.head("HEAD~3")
    assert len(patch.prerequisites) == 2


def test_of_two_versions_the_higher_counts_and_of_two_copies_the_first(series: Kernel, scratch: pathlib.Path) -> None:
    first, second = formatted(series, "-n", "HEAD~2"), formatted(series, "-n", "-v2", "HEAD~2")
    patches = split(series, scratch, second + first)
    assert [(patch.number, patch.version, patch.note) for patch in patches] == [
        (1, 2, "version 1, in the same mailbox, is ignored"),
        (2, 2, "version 1, in the same mailbox, is ignored"),
    ]
    patches = split(series, scratch, first + first)
    assert [patch.number for patch in patches] == [1, 2]
    assert patches[0].note == "a second copy in the same mailbox is ignored"


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_encodings_and_line_ends_of_the_transport(series: Kernel, scratch: pathlib.Path, encoding: str, line_end: bytes) -> None:
    diff = os.fsencode(series.git("diff", "HEAD~1"))
    body = b"Why.\n---\n" + diff + b"-- \n2.39\n"
    coded = {"8bit": body, "quoted-printable": quopri.encodestring(body), "base64": base64.encodebytes(body)}[encoding]
    data = letter(
        coded, f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n", "=?utf-8?q?=5BPATCH=5D_mm=3A_=C3=A4?="
    )
    patches = split(series, scratch, data.replace(b"\n", line_end))
    assert [(patch.subject, patch.message_id) for patch in patches] == [("mm: \u00e4", "<1@example.org>")]
    assert applied(series, scratch, "HEAD~1", patches) == series.head("HEAD^{tree}")


@pytest.mark.parametrize("transport", [False, True])
def test_files_with_carriage_returns(kernel: Kernel, scratch: pathlib.Path, transport: bool) -> None:
    kernel.commit("dos.txt", b"one\r\ntwo\r\nthree\r\n")
    kernel.commit("dos.txt", b"one\r\n2\r\nthree\r\n")
    for data in (formatted(kernel, "-1"), os.fsencode(kernel.git("diff", "HEAD~1"))):
        if transport:
            data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        assert applied(kernel, scratch, "HEAD~1", split(kernel, scratch, data)) == kernel.head("HEAD^{tree}")


def test_a_new_file_with_carriage_returns_keeps_them(kernel: Kernel, scratch: pathlib.Path) -> None:
    kernel.commit("dos.txt", b"one\r\ntwo\r\n")
    assert applied(kernel, scratch, "HEAD~1", split(kernel, scratch, formatted(kernel, "-1"))) == kernel.head("HEAD^{tree}")


def multipart(*parts: tuple[str, bytes], kind: str = "mixed") -> bytes:
    body = b"".join(f"--XX\nContent-Type: {head}\n\n".encode() + content + b"\n" for head, content in parts)
    return letter(b"This is MIME.\n" + body + b"--XX--\n", f'MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary="XX"\n')


def test_multipart_mails(series: Kernel, scratch: pathlib.Path) -> None:
    diff = os.fsencode(series.git("diff", "HEAD~1"))
    html = b"<pre>\n" + diff + b"</pre>"
    inline = multipart(("text/plain; charset=utf-8", diff), ("text/html", html), kind="alternative")
    attached = multipart(("text/plain", b"See attached.\n"), ("text/x-patch; charset=us-ascii; name=a.patch", diff))
    coded = multipart(
        ("text/plain", b"See attached.\n"),
        ("application/octet-stream; name=a.patch\nContent-Transfer-Encoding: base64", base64.encodebytes(diff)),
    )
    for data in (inline, attached, coded, coded.replace(b"\n", b"\r\n")):
        patches = split(series, scratch, data)
        assert [patch.subject for patch in patches] == ["mm: one"]
        assert applied(series, scratch, "HEAD~1", patches) == series.head("HEAD^{tree}")
    whole = multipart(
        ("text/plain", b"Both.\n"),
        *(
            (f"text/x-patch; name={number}.patch", formatted(series, "--start-number", str(number), "-n", "-1", revision))
            for number, revision in ((1, "HEAD~1"), (2, "HEAD"))
        ),
    )
    patches = split(series, scratch, whole)
    assert [patch.subject for patch in patches] == ["mm: add b", "mm: set a to \u00e4"]
    assert applied(series, scratch, "HEAD~2", patches) == series.head("HEAD^{tree}")


def as_git_am(kernel: Kernel, base: str, data: bytes) -> str:
    """The tree to which `git am` leads from a commit."""
    kernel.git("checkout", "-q", "--detach", base)
    kernel.git("am", "-q", data=data)
    tree = kernel.head("HEAD^{tree}")
    kernel.git("checkout", "-q", "main")
    return tree


def judged(kernel: Kernel, scratch: pathlib.Path, base: str, data: bytes) -> str:
    """The tree of what is judged."""
    below = None
    for patch in split(kernel, scratch, data):
        assert not patch.left_out
        below = apply(git.find(kernel.path), scratch, base, patch, below)
    assert below is not None
    return below.new_tree


SEPARATOR = b"From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n"
CHMOD = b"diff --git a/mm/Makefile b/mm/Makefile\nold mode 100644\nnew mode 100755\n"
RENAME = b"diff --git a/mm/pool.c b/mm/p.c\nsimilarity index 100%\nrename from mm/pool.c\nrename to mm/p.c\n"


def test_what_is_judged_of_a_mail_is_what_git_am_applies(kernel: Kernel, scratch: pathlib.Path) -> None:
    base = kernel.head()
    for name in ("one", "two"):
        kernel.git("checkout", "-q", "--detach", base)
        kernel.commit(f"{name}.c", f"int {name};\n")
        kernel.git("branch", name)
    kernel.git("checkout", "-q", "main")
    one, two = (os.fsencode(kernel.git("diff", base, name)) for name in ("one", "two"))
    mails = [
        multipart(("text/plain", one), ("text/x-patch; name=two.patch", two)),
        multipart(("text/plain", one), ("text/html", two)),
        multipart(("text/plain", b"See below.\n"), ("text/html", two)),
        letter(two, "Content-Type: text/html\n"),
        letter(two, subject="Re: [PATCH] mm: two"),
        letter(two, "Content-Type: application/pkcs7-mime\n"),
        SEPARATOR
        + letter(one)
        + b"\n"
        + SEPARATOR
        + letter(b"--x\n\n" + two + b"\n--x--\n", 'Content-Type: multipart/encrypted; boundary="x"\n'),
        multipart(("text/plain", CHMOD), ("text/html", RENAME)),
        b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(b"From: Jo <jo@example.org>\n\nmm: two\n---\n" + two),
    ]
    for data in mails:
        assert judged(kernel, scratch, base, data) == as_git_am(kernel, base, data), data


def test_what_git_am_would_apply_and_is_not_judged_is_said(series: Kernel, scratch: pathlib.Path) -> None:
    sent = formatted(series, "-n", "HEAD~2")
    other = os.fsencode(series.git("diff", "HEAD~1")).replace(b"+", b"+ ", 9)
    second = sent[sent.rindex(b"\nFrom ") + 1 :]
    for own, why in (
        (SEPARATOR + letter(other, subject="Re: [PATCH 2/2] mm: set a to x"), "a reply with its own diff"),
        (second.replace(b"\n+", b"\n+ "), "another diff"),
    ):
        patches = split(series, scratch, sent + own)
        assert [bool(patch.left_out) for patch in patches] == [False, False, True]
        assert why in patches[2].left_out


def test_an_older_version_that_applies_beside_the_newer_leaves_both_open(kernel: Kernel) -> None:
    first, again, beside = (
        letter(f"--- /dev/null\n+++ b/{name}.c\n@@ -0,0 +1 @@\n+int {name};\n".encode(), subject=f"[PATCH v{version} 1/1] mm: one")
        for name, version in (("one", 1), ("one", 2), ("two", 2))
    )
    repo = git.find(kernel.path)
    for newer, why in ((again, "version 1, in the same mailbox, is ignored"), (beside, "`git am` would apply both")):
        with read(repo, config.resolve(()), SEPARATOR + first + b"\n" + SEPARATOR + newer, "mail", None) as mailed:
            (found,) = mailed.changes()
        assert why in (found.why if isinstance(found, Unread) else found.note)
        assert isinstance(found, Unread) == (newer is beside)


def test_a_mail_is_known_again_in_its_commit_by_the_lines_that_it_changes(series: Kernel, scratch: pathlib.Path) -> None:
    (sent,) = split(series, scratch, formatted(series, "-1", "HEAD~1"))
    for commit, same in (("HEAD~1", True), ("HEAD", False)):
        assert mail.makes_edits_of(sent, os.fsencode(series.git("diff", "-M", "--full-index", f"{commit}~1", commit))) is same


def test_a_mailbox_of_empty_mails_costs_no_process_for_each(kernel: Kernel, scratch: pathlib.Path) -> None:
    with pytest.raises(mail.NoPatch):
        split(kernel, scratch, b"From x Mon Sep 17 00:00:00 2001\n\n\n" * 29_000)


def test_of_very_many_patches_no_process_is_started_for_each(series: Kernel, scratch: pathlib.Path) -> None:
    diff = os.fsencode(series.git("diff", "HEAD~1"))
    with pytest.raises(mail.TooMuchMail, match="more than 2000 mails"):
        split(series, scratch, (SEPARATOR + letter(diff)) * 2001)
    (patch,) = split(series, scratch, multipart(*[("text/x-patch", diff)] * 300))
    assert patch.note == "read as one patch, as `git am` does" and patch.diff.count(b"diff --git") == 300 * diff.count(b"diff --git")


def test_a_path_that_no_system_takes_is_refused(kernel: Kernel, scratch: pathlib.Path) -> None:
    path = b"a/" * 100_000 + b"x"
    (patch,) = split(kernel, scratch, b"--- /dev/null\n+++ b/" + path + b"\n@@ -0,0 +1 @@\n+x\n")
    with pytest.raises(overlay.DoesNotApply, match="more than 4096 bytes"):
        overlay.apply(git.find(kernel.path), scratch, kernel.head(), patch.diff)


def test_parts_within_parts_end(kernel: Kernel, scratch: pathlib.Path) -> None:
    inner = b"".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n'.encode() for n in range(3000))
    with pytest.raises(CannotJudge, match="Too many boundaries"):
        split(kernel, scratch, letter(inner, "MIME-Version: 1.0\n").replace(b"\n\nContent-Type", b"\nContent-Type", 1))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
        (b"hello\nworld\n", "no line starts a diff"),
        (b"\x00\x01\xff" * 99, "no line starts a diff"),
        (letter(b"Ping?\n"), "the mail has no diff"),
        (letter(b"\x00\xff\x00\n"), "the mail has no diff"),
        (b"From x Mon Sep 17 00:00:00 2001\n\n\n", "the mail has no diff"),
        (letter(b"<pre>\ndiff --git a/x b/x\n", "Content-Type: text/html\n"), "a diff in HTML is damaged"),
        (multipart(("text/html", b"<pre>\ndiff --git a/x b/x\n")), "a diff in HTML is damaged"),
        (letter(b"-----BEGIN PGP MESSAGE-----\n", 'Content-Type: multipart/encrypted; boundary="x"\n'), "it is encrypted"),
        (letter(b"x", "Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=nonsense\n"), "the mail has no diff"),
    ],
)
def test_what_holds_no_patch_says_why(kernel: Kernel, scratch: pathlib.Path, data: bytes, why: str) -> None:
    with pytest.raises(mail.NoPatch, match="the mail has no patch: ") as caught:
        split(kernel, scratch, data)
    assert why in str(caught.value)


def test_too_much_mail_names_the_setting(kernel: Kernel, scratch: pathlib.Path) -> None:
    with pytest.raises(mail.TooMuchMail, match=r"at most 10 are read"):
        mail.split(b"x" * 11, git.find(kernel.path), scratch, 10)
