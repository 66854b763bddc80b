"""Mails as people send them, and what keeps them: a public-inbox archive, an mbox, a maildir."""

from __future__ import annotations

import base64
import pathlib
import quopri
import subprocess
import typing
from collections.abc import Sequence

from tests.small_kernel import Kernel


class Sent(typing.NamedTuple):
    """A mail before it is written down."""

    subject: str
    body: str
    id: str  # without <@>
    parent: str = ""
    author: str = "Jo Hacker <jo@example.org>"
    encoding: str = "8bit"  # or base64, quoted-printable
    attached: str = ""  # a patch beside the text

    @property
    def message_id(self) -> str:
        return f"<{self.id}@example.org>"

    def mail(self, number: int = 0) -> bytes:
        """The mail as it is delivered, the `number`-th of its day."""
        seconds = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
        head = [f"From: {self.author}", f"Subject: {self.subject}", f"Message-ID: {self.message_id}"]
        head.append(f"Date: Mon, 05 Jan 2026 {seconds} +0000")
        if self.parent:
            head += [f"In-Reply-To: <{self.parent}@example.org>", f"References: <{self.parent}@example.org>"]
        head.append("MIME-Version: 1.0")
        if self.attached:
            head.append('Content-Type: multipart/mixed; boundary="=-="')
            body = f"--=-=\nContent-Type: text/plain\n\n{self.body}\n--=-=\nContent-Type: text/x-patch; charset=utf-8\n"
            body += f'Content-Disposition: attachment; filename="a.patch"\n\n{self.attached}\n--=-=--\n'
            return "\n".join([*head, "", body]).encode()
        head += ["Content-Type: text/plain; charset=utf-8", f"Content-Transfer-Encoding: {self.encoding}"]
        raw = self.body.encode()
        written = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}.get(self.encoding, bytes)(raw)
        return "\n".join([*head, "", ""]).encode() + written


def public_inbox(path: pathlib.Path, mails: Sequence[bytes]) -> pathlib.Path:
    """A public-inbox repository that holds the mails, in their order."""
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    stream = []
    for number, mail in enumerate(mails):
        stream.append(b"commit refs/heads/master\ncommitter Inbox <inbox@example.org> %d +0000\ndata 0\n" % (1767607200 + number))
        stream.append(b"M 100644 inline m\ndata %d\n%s\n" % (len(mail), mail))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=path, input=b"".join(stream), check=True)
    subprocess.run(["git", "symbolic-ref", "HEAD", "refs/heads/master"], cwd=path, check=True)
    return path


def mbox(path: pathlib.Path, mails: Sequence[bytes]) -> pathlib.Path:
    """A mailbox file."""
    path.write_bytes(b"".join(b"From git@z Mon Sep 17 00:00:00 2001\n" + mail.rstrip(b"\n") + b"\n\n" for mail in mails))
    return path


def maildir(path: pathlib.Path, mails: Sequence[bytes]) -> pathlib.Path:
    """A maildir, half of it seen."""
    for folder in ("cur", "new", "tmp"):
        (path / folder).mkdir(parents=True)
    for number, mail in enumerate(mails):
        (path / ("cur" if number % 2 else "new") / f"1767607200.{number:06}.host").write_bytes(mail)
    return path


def edited(kernel: Kernel, *edits: tuple[str, str], path: str = "mm/pool.c") -> list[str]:
    """The diffs of edits of one file, each on top of the ones before it; the tree is left as it was."""
    diffs, first = [], kernel.read(path)
    for old, new in edits:
        before = kernel.read(path)
        kernel.replace(path, old, new)
        kernel.git("add", path)
        diffs.append(kernel.git("diff", "--cached", "--full-index"))
        kernel.git("commit", "-qm", "for its diff")
        assert before != kernel.read(path)
    kernel.git("reset", "-q", "--hard", f"HEAD~{len(edits)}")
    assert kernel.read(path) == first
    return diffs


def patch_body(diff: str, text: str = "Why it is so.", trailers: str = "Signed-off-by: Jo Hacker <jo@example.org>") -> str:
    """The body of a mail with a patch."""
    return f"{text}\n\n{trailers}\n---\n{diff}-- \n2.39\n"
