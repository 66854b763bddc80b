"""Mail: the patches in an input: a plain diff, the output of `git format-patch`, a mail, or a mailbox with a series.

Git's own `mailsplit` and `mailinfo` read mails, as in `git am`. They read a multipart mail as one text with all its HTML, so Python's email
package splits such a mail too. Where the two differ, what git makes of it is what `git am` applies, and it is judged if it applies.
"""

from __future__ import annotations

import itertools
import pathlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.change.subject import kmsan_reports, title_of
from hook.failure import CannotJudge
from hook.source.git import Repository
from hook.source.overlay import NoPatch

MAX_BYTES = 64 << 20
_MOST_MAILS = 2000  # of one mailbox that may hold a patch; git is started for each
_MOST_ATTACHED = 200  # patches of one mail; of more, what git makes of the mail is judged
_AS_GIT = "read as one patch, as `git am` does"


class TooMuchMail(CannotJudge):
    """The mail is larger than what is read."""


class MailedPatch(msgspec.Struct, frozen=True):
    """One patch as it was sent."""

    diff: bytes
    diff_keep_cr: bytes  # where every line ends in CR LF: those CRs taken for the file's, not for the mail's; else the same
    subject: str = ""  # without [PATCH …]
    message_id: str = ""
    number: int | None = None  # n of [PATCH n/m]
    total: int | None = None  # m
    version: int = 1  # of [PATCH v2]
    base_commit: str = ""  # `base-commit:` of this mail, or of its series; empty if none names one
    prerequisites: tuple[str, ...] = ()  # `prerequisite-patch-id:`: what must be applied between the base and this series
    note: str = ""  # for the person: how it was read
    author_says: tuple[str, ...] = ()  # as Change has it
    as_git: bytes = b""  # the diff that `git am` finds in the mail, where that is not this one
    left_out: str = ""  # why it is not judged, though `git am` would apply it
    cover: str = ""  # the subject of the cover letter of its series; empty where none is there
    older: tuple[MailedPatch, ...] = ()  # versions of it in the same mailbox, which are not judged
    is_bare: bool = False  # a diff without a mail around it


class _Letter(msgspec.Struct, frozen=True):
    """A mail, with a patch or (a cover letter, a reply) without."""

    patch: MailedPatch
    has_diff: bool
    is_reply: bool


def split(
    data: bytes,
    repo: Repository,
    scratch: pathlib.Path,
    limit_bytes: int,
    name: str = "the mail",
) -> tuple[MailedPatch, ...]:
    """The patches in `data`, in the order in which they apply. `name` is the input in the words of an error.

    Numbered patches are sorted by number, others keep their order. Of two versions of a patch the higher is taken, of two copies the
    first.
    Raises NoPatch, saying why there is none, or TooMuchMail.
    """
    if len(data) > limit_bytes:
        raise TooMuchMail(f"{name} has {len(data)} bytes; at most {limit_bytes} are read")
    data = _as_bytes_of_text(data)
    if not data.strip():
        raise NoPatch(f"{name} has no patch: it is empty")
    if not _is_mail(data):
        if not _DIFF.search(data):
            raise NoPatch(f"{name} has no patch: no line starts a diff")
        return (_bare(data),)
    with tempfile.TemporaryDirectory(prefix="mail-", dir=scratch) as private:
        letters = list(_letters(_mails(data, repo, pathlib.Path(private)), repo, pathlib.Path(private)))
    return _patches(letters, name, data)


def of_mails(mails: Sequence[bytes], repo: Repository, scratch: pathlib.Path, limit_bytes: int, name: str) -> tuple[MailedPatch, ...]:
    """As `split`, of the mails of one series, each as it was delivered: no mailbox has quoted their lines."""
    size = sum(map(len, mails))
    if size > limit_bytes:
        raise TooMuchMail(f"{name} has {size} bytes; at most {limit_bytes} are read")
    with tempfile.TemporaryDirectory(prefix="mail-", dir=scratch) as private:
        letters = list(_letters((_FROM_LINE.sub(b"", mail) for mail in mails), repo, pathlib.Path(private)))
    return _patches(letters, name, b"".join(mails))


def _patches(letters: Sequence[_Letter], name: str, data: bytes) -> tuple[MailedPatch, ...]:
    """The patches among the letters of `data`, in the order in which they apply. Raises NoPatch."""
    patches = [letter for letter in letters if letter.has_diff]
    if not patches:
        raise NoPatch(f"{name} has no patch: {_why_none(data, len(letters))}")
    # a reply may carry a diff of its own, but beside the patches that it answers it is talk: b4 leaves it out, git am does not
    sent = [letter.patch for letter in patches if not letter.is_reply] or [letter.patch for letter in patches]
    talk = [letter.patch for letter in patches if letter.is_reply] if len(sent) < len(patches) else []
    ordered, copies = _in_order(sent)
    covers = [letter.patch for letter in letters if not letter.has_diff and not letter.is_reply and letter.patch.number == 0]
    if covers:
        title = max(covers, key=lambda cover: cover.version).subject
        ordered = [msgspec.structs.replace(patch, cover=title) for patch in ordered]
    return (
        *_with_base(ordered, [letter.patch for letter in letters if not letter.is_reply]),
        *(msgspec.structs.replace(patch, left_out="a reply with its own diff; `git am` would apply it") for patch in talk),
        *(msgspec.structs.replace(patch, left_out="a second mail with this subject and number has another diff") for patch in copies),
    )


_DIFF = lazy_re.compile(rb"^(?:diff --git |--- [^\n]*\n\+\+\+ |GIT binary patch|@@ -\d)", re.MULTILINE)
# what git applies; a diff in HTML may have its other lines and still be damaged
_APPLIES = lazy_re.compile(
    rb"^(?:@@ -\d|GIT binary patch|(?:old|new|deleted file|new file) mode [0-7]|(?:rename|copy) from )", re.MULTILINE
)
# what tells one diff from another: its paths, its hunks and their lines
_CHANGES = lazy_re.compile(
    rb"(?m)^(?:diff --git |--- (?!$)|\+\+\+ |@@ -|[ +-]|(?:old|new|deleted file|new file) mode |(?:rename|copy) |literal |delta )[^\r\n]*"
)
_EDITS = lazy_re.compile(rb"(?m)^(?:[+-]|(?:old|new|deleted file|new file) mode |(?:rename|copy) |GIT binary |Binary )[^\r\n]*")
_SIGNATURE = lazy_re.compile(rb"\n-- \r?\n.*\Z", re.DOTALL)
_FROM_LINE = lazy_re.compile(rb"\A\s*>?From [^\n]*\n")
_HEADER_LINE = lazy_re.compile(rb"[!-9;-~]+:|[ \t]")
_MULTIPART = lazy_re.compile(rb"^content-type:\s*multipart/", re.IGNORECASE | re.MULTILINE)
_ENCRYPTED = lazy_re.compile(
    rb"^content-type:\s*(?:multipart/encrypted|application/(?:x-)?pkcs7-mime)|^-----BEGIN PGP MESSAGE", re.IGNORECASE | re.MULTILINE
)
_HTML = lazy_re.compile(rb"^content-type:\s*text/html", re.IGNORECASE | re.MULTILINE)
# a mail without any of these holds no patch, and says nothing of the base of one
_MAY_MATTER = lazy_re.compile(
    rb"^(?:diff --git |--- |GIT binary patch|@@ -\d|base-commit:|content-type:\s*multipart/|content-transfer-encoding:"
    rb"|subject:[^\n]{0,200}\b0+/\d)",  # a cover letter
    re.IGNORECASE | re.MULTILINE,
)
_ENCODED = lazy_re.compile(rb"^content-transfer-encoding:\s*(?:quoted-printable|base64)", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = lazy_re.compile(rb"^message-id:\s*(<[^>\s]+>)", re.IGNORECASE | re.MULTILINE)
_HEADER_WITH_CR = lazy_re.compile(
    rb"^((?:diff --git |index [0-9a-f]|old mode |new mode |new file mode |deleted file mode |rename |copy |"
    rb"(?:dis)?similarity index |--- |\+\+\+ |@@ -|GIT binary patch)[^\r\n]*)\r$",
    re.MULTILINE,
)
_BASE_COMMIT = lazy_re.compile(rb"^base-commit: ([0-9a-f]{40}(?:[0-9a-f]{24})?)[ \t\r]*$", re.MULTILINE)
_PREREQUISITE = lazy_re.compile(rb"^prerequisite-patch-id: ([0-9a-f]{40}(?:[0-9a-f]{24})?)[ \t\r]*$", re.MULTILINE)


def _as_bytes_of_text(data: bytes) -> bytes:
    # `git diff > x.patch` in PowerShell writes UTF-16
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").removeprefix("\ufeff").encode("utf-8", "surrogatepass")
    return data.removeprefix(b"\xef\xbb\xbf")


def _is_mail(data: bytes) -> bool:
    """By the rule of `git am`: a mailbox's From line, or nothing but header lines up to the first empty line."""
    start = data.lstrip()
    return start.startswith((b"From ", b">From ")) or all(_HEADER_LINE.match(line) for line in _head(start).split(b"\n"))


def _head(mail: bytes) -> bytes:
    return re.split(rb"\r?\n\r?\n", mail[: 1 << 16], maxsplit=1)[0]


def _bare(data: bytes) -> MailedPatch:
    return MailedPatch(*_line_ends(data), base_commit=_first(_BASE_COMMIT, data), prerequisites=_prerequisites(data), is_bare=True)


def _line_ends(diff: bytes) -> tuple[bytes, bytes]:
    """A diff with the line ends it most likely had, and with those it may have had.

    CRs on the diff's own header lines came with the transport; without these, the CRs in its hunks are the files'.
    """
    if not _HEADER_WITH_CR.search(diff):
        return diff, diff
    return diff.replace(b"\r\n", b"\n"), _HEADER_WITH_CR.sub(rb"\1", diff)


def _mails(data: bytes, repo: Repository, private: pathlib.Path) -> Iterator[bytes]:
    (private / "mails").mkdir()
    # with CRs kept: what `git am` would strip is stripped in the first reading
    repo.run("mailsplit", "-b", "--keep-cr", "-d6", f"-o{private / 'mails'}", data=data.lstrip())
    for path in sorted((private / "mails").iterdir()):
        yield path.read_bytes()


def _letters(mails: Iterable[bytes], repo: Repository, private: pathlib.Path) -> Iterator[_Letter]:
    mattering = [mail for mail in mails if _MAY_MATTER.search(mail)]
    if len(mattering) > _MOST_MAILS:
        raise TooMuchMail(f"more than {_MOST_MAILS} mails that may hold a patch")
    for mail in mattering:
        if _MULTIPART.search(_head(mail)):
            yield from _of_parts(mail, repo, private)
        else:
            yield _letter(mail, repo, private)


def _of_parts(mail: bytes, repo: Repository, private: pathlib.Path) -> list[_Letter]:
    """A multipart mail, as its parts say, and as git reads it where that is something else."""
    whole = _letter(mail, repo, private)
    try:
        singles = list(itertools.islice(_singles(mail), _MOST_ATTACHED + 1))
    except RecursionError:
        return [whole]  # parts in parts in parts: git reads a few levels
    if len(singles) > _MOST_ATTACHED:
        return [msgspec.structs.replace(whole, patch=msgspec.structs.replace(whole.patch, note=_AS_GIT))]
    letters = [_letter(single, repo, private) for single in singles]
    ours = b"".join(letter.patch.diff for letter in letters)
    if not _APPLIES.search(whole.patch.diff) or _CHANGES.findall(whole.patch.diff) == _CHANGES.findall(ours):
        return letters
    if not any(letter.has_diff for letter in letters):
        return [whole]
    if len(letters) == 1:
        return [msgspec.structs.replace(letters[0], patch=msgspec.structs.replace(letters[0].patch, as_git=whole.patch.diff))]
    # several attached patches, and more beside them
    return [msgspec.structs.replace(whole, patch=msgspec.structs.replace(whole.patch, note=_AS_GIT))]


def _letter(mail: bytes, repo: Repository, private: pathlib.Path) -> _Letter:
    head = _head(mail)
    if _ENCODED.search(head):
        # these CRs came with the transport; one of the patch's own would be encoded
        mail = mail.replace(b"\r\n", b"\n")
    message, patch = private / "message", private / "patch"
    out = repo.run(
        "mailinfo",
        "-k",
        "--encoding=UTF-8",
        "--no-scissors",
        "--quoted-cr=nowarn",
        str(message),
        str(patch),
        data=mail,
    ).decode("utf-8", "replace")
    info = dict(line.split(": ", 1) for line in out.splitlines() if ": " in line)
    kept, text = patch.read_bytes(), message.read_bytes()
    diff, keep_cr = _line_ends(kept)
    title = title_of(info.get("Subject", ""))
    return _Letter(
        MailedPatch(
            diff=diff,
            diff_keep_cr=keep_cr,
            subject=title.subject,
            message_id=_first(_MESSAGE_ID, head),
            number=title.number,
            total=title.total,
            version=title.version,
            base_commit=_first(_BASE_COMMIT, text) or _first(_BASE_COMMIT, diff),
            prerequisites=_prerequisites(text) or _prerequisites(diff),
            author_says=kmsan_reports(title.subject.encode() + b"\n" + text),
        ),
        # a diff in HTML has most likely lost its white space, or its angle brackets; git am tries it all the same
        has_diff=bool((_APPLIES if _HTML.search(head) else _DIFF).search(diff)),
        is_reply=title.is_reply,
    )


def _singles(mail: bytes) -> Iterator[bytes]:
    """A multipart mail as mails of one part: one with its text if that holds a diff, else one for each attached patch."""
    import email
    import email.message
    import email.policy

    parsed = email.message_from_bytes(mail, policy=email.policy.compat32)
    texts: list[bytes] = []
    attached: list[bytes] = []
    for part in parsed.walk():
        if part.is_multipart():
            continue
        body = part.get_payload(decode=True)
        if not isinstance(body, bytes):
            continue
        kind, name = part.get_content_type(), str(part.get_filename() or "")
        if kind in ("text/x-patch", "text/x-diff") or name.endswith((".patch", ".diff", ".eml", ".mbox")):
            attached.append(body)
        elif kind == "text/plain":
            # not the charset: the diff's bytes are the files' bytes
            texts.append(body)
    text = b"\n".join(texts)
    fields = re.split(rb"\r?\n(?![ \t])", _head(mail))
    kept = [field for field in fields if field.lower().startswith((b"from:", b"subject:", b"date:", b"message-id:"))]
    kept.append(b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n")
    plain = b"\n".join(kept)
    patches = [body for body in attached if _DIFF.search(body)]
    if _DIFF.search(text) or not patches:
        yield plain + text
        return
    for body in patches:
        # an attachment made by format-patch has a head of its own; only its separator line must go
        own = re.sub(rb"\A>?From [^\n]*\n", b"", body.lstrip())
        yield own if _is_mail(own) else plain + text + b"\n---\n" + body


def makes_edits_of(mailed: MailedPatch, diff: bytes) -> bool:
    """Whether a mailed patch names the files and has the changed lines of a diff, in its order: their context may differ."""
    sent = _SIGNATURE.sub(b"\n", mailed.as_git or mailed.diff)
    return _EDITS.findall(sent[sent.find(b"diff --git ") :]) == _EDITS.findall(diff)


def holds_diff(mail: bytes) -> bool:
    """Whether a mail may hold a diff: at once, encoded, or in a part of it. A cheap look, before git reads the mail."""
    if _DIFF.search(mail):
        return True
    if not _ENCODED.search(mail):
        return False
    import email
    import email.policy

    try:
        parts = [part.get_payload(decode=True) for part in email.message_from_bytes(mail, policy=email.policy.compat32).walk()]
    except RecursionError:
        return True
    return any(isinstance(body, bytes) and _DIFF.search(body) for body in parts)


def _in_order(sent: Sequence[MailedPatch]) -> tuple[list[MailedPatch], list[MailedPatch]]:
    """The patches in the order in which they apply; and second copies, with other content, of some of them."""
    kept: dict[tuple[int, int], MailedPatch] = {}
    copies: list[MailedPatch] = []
    for patch in sent:
        if patch.number is None or patch.total is None:
            return list(sent), []
        key = (patch.number, patch.total)
        other = kept.get(key)
        if other is None:
            kept[key] = patch
        elif patch.version != other.version:
            old, new = sorted((patch, other), key=lambda mailed: mailed.version)
            older = (*new.older, *old.older, msgspec.structs.replace(old, older=()))
            note = f"version {old.version}, in the same mailbox, is ignored"
            kept[key] = msgspec.structs.replace(new, older=older, note=note)
        elif patch.subject == other.subject:
            if _CHANGES.findall(patch.diff) != _CHANGES.findall(other.diff):
                copies.append(patch)
            else:
                kept[key] = msgspec.structs.replace(other, note="a second copy in the same mailbox is ignored")
        else:
            return list(sent), []  # two series; nothing says which comes first
    if len({patch.number for patch in kept.values()}) < len(kept):
        return list(kept.values()), copies
    return sorted(kept.values(), key=lambda patch: patch.number or 0), copies


def _with_base(patches: Sequence[MailedPatch], letters: Sequence[MailedPatch]) -> tuple[MailedPatch, ...]:
    """The series' base is on its cover letter or on its first patch; all of it starts there."""
    latest = max(patch.version for patch in patches)
    named = next((letter for letter in letters if letter.base_commit and letter.version == latest), None)
    if named is None:
        return tuple(patches)
    return tuple(
        patch if patch.base_commit else msgspec.structs.replace(patch, base_commit=named.base_commit, prerequisites=named.prerequisites)
        for patch in patches
    )


def _first(pattern: re.Pattern[bytes], data: bytes) -> str:
    match = pattern.search(data)
    return match[1].decode("ascii", "replace") if match else ""


def _prerequisites(data: bytes) -> tuple[str, ...]:
    return tuple(match.decode() for match in _PREREQUISITE.findall(data))


def _why_none(data: bytes, readable: int) -> str:
    if _ENCRYPTED.search(data):
        return "it is encrypted"
    if _HTML.search(data):
        return "a diff in HTML is damaged; send it as plain text or as an attachment"
    return "no mail in it has a diff" if readable > 1 else "the mail has no diff"
