"""Redaction: secrets out of what is sent away, stored or printed.

A short list of forms that are secrets wherever they stand, after the public rules of secret scanners (GitHub's secret scanning patterns,
detect-secrets, gitleaks). A `Redactor` also learns: once it has seen such a secret whole, or a line of a private key, it knows it when it
meets it alone. What is a secret only by the words before it, such as `password = "..."`, is cut where it stands and not learnt: whoever
writes a patch could else choose which words the judge of it does not get to see.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hook import lazy_re

CUT = "[redacted]"
_OPAQUE = frozenset({"signature", "thought_signature", "thoughtSignature", "encrypted_content", "data"})
_REMEMBERED = 2000
_SHORTEST = 8  # of a literal: shorter ones would redact ordinary words
_MOST_LEARNT = 1000  # literals: each costs a pass over every text

# a line that has none of these holds a secret of none of the forms below; asked first, since a commit pays for what it needs
_HINT = lazy_re.compile(
    r"(?i)[_-]?key|token|secret|passw|passphrase|authorization|://|AKIA|ASIA|ABIA|ACCA|gh[opusr]_|github_pat|gl\w+-|xox|xapp|AIza|ya29|sk-|[rs]k_"
    r"|npm_|pypi-|hf_|dop_|eyJ|SG\.|SK[0-9a-f]{8}|[0-9]:AA|discord|sig=|\dQ~|[MNO][\w-]{23,26}\."
)
_BEGIN = lazy_re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_END = lazy_re.compile(r"-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_LONGEST_BLOCK = 20_000  # characters of a key on one line
_MOST_LINES = 500  # of a key
_MOST_HEADERS = 5  # lines of it, before its body: `Proc-Type: 4,ENCRYPTED`
_MOST_SHORT = 2  # lines of it: the end of its body, and a checksum
_LONGEST_LINE = 250
# what may stand around a line of a key: the mark of a diff, quotes, a comment's star
_AROUND = " \t\r+-\"'*/#>,;\\"
_HEADER = lazy_re.compile(r"[A-Za-z-]{3,20}: .{1,100}")
_BODY = lazy_re.compile(r"[A-Za-z0-9+/=]{4,120}")
_SHORT_BODY = 16
_KEY_LINE = lazy_re.compile(r"(?=.*[A-Z])(?=.*[a-z0-9])(?:[A-Za-z0-9+/]{16,120}={0,2}|[A-Za-z0-9+/]{6,120}={1,2})\Z")
# No form takes longer than in proportion to the text: none can begin again inside what it has just looked at.
# These are secrets by themselves, each with the secret as its only group.
_FORMS = (
    r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})\b",  # AWS
    r"\b(gh[pousr]_[A-Za-z0-9]{30,255})\b",
    r"\b(github_pat_[A-Za-z0-9_]{22,255})\b",
    r"\b(gl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_-]{20,})",
    r"\b(xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,})",  # Slack
    r"\b(AIza[A-Za-z0-9_-]{35})",  # Google
    r"\b(ya29\.[A-Za-z0-9_-]{20,})",
    r"\b(sk-(?:ant-|proj-|or-v1-)?[A-Za-z0-9_-]{20,})",  # OpenAI, Anthropic, OpenRouter
    r"\b([rs]k_(?:live|test)_[A-Za-z0-9]{20,})",  # Stripe
    r"\b(npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,}|hf_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{64})",
    r"\b(SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64})",  # SendGrid
    r"\b(SK[0-9a-f]{32})\b",  # Twilio
    r"\b([0-9]{8,10}:AA[A-Za-z0-9_-]{32,34})(?![A-Za-z0-9_-])",  # a bot of Telegram
    r"\b([MNO][A-Za-z0-9_-]{23,26}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40})(?![A-Za-z0-9_-])",  # a bot of Discord
    r"(?<![A-Za-z0-9_~.-])([A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})(?![A-Za-z0-9_~.-])",  # a client secret of Azure
    # JSON Web Token
    r"(?<![A-Za-z0-9_-])(eyJ[A-Za-z0-9_-]{10,4000}+\.eyJ[A-Za-z0-9_-]{10,8000}+\.[A-Za-z0-9_-]{10,2000})",
)
_DEFINED = r"(?i)#[ \t]{0,20}define[ \t]{1,20}\w{0,60}(?:passwd|password|passphrase|secret|token|api_?key)\w{0,60}[ \t]{1,20}"
# These are secrets by what stands before them.
_HERE = (
    r"https://hooks\.slack\.com/(services/[A-Za-z0-9/+]{20,})",
    r"://[^\s/:@\"'<>]{0,100}:([^\s/@\"'<>]{6,200})@",  # a password in a URL
    r"(?i)\b(?:authorization|x-api-key)[\"']?\s{0,20}[:=]\s{0,20}[\"']?(?:bearer |basic |token )?([A-Za-z0-9_.~+/=-]{16,})",
    r"(?i)(?:api|access|auth|secret|private|client)[_-]?(?:key|token|secret|password)[\"']?\s{0,20}(?::=|=>|[:=])\s{0,20}"
    r"[\"']([^\s\"']{8,200})[\"']",
    r"(?i)(?:passwd|password|passphrase)[\"']?\s{0,20}(?::=|=>|[:=])\s{0,20}[\"']([^\s\"'%]{8,200})[\"']",
    # put together of several strings
    r"(?i)(?:passwd|password|passphrase|secret|token|api_?key)[\"']?\s{0,20}(?::=|=>|[:=])\s{0,20}"
    r"(\"[^\"\n%]{1,100}\"(?:\s{0,20}\+?\s{0,20}\"[^\"\n%]{1,100}\"){1,20})",
    # without quotes, as in a configuration file or an environment: letters and figures, and nothing of a C expression
    r"(?i)(?:passwd|password|passphrase|secret|token|api_?key|access_?key)[\"']?[ \t]{0,5}[:=][ \t]{0,5}"
    r"((?=[^\s]{0,60}[0-9])(?=[^\s]{0,60}[A-Za-z])[^\s\"'%;,(){}<>&*\[\]]{8,200})(?=\s|$)",
    _DEFINED + r"(\"[^\"\n%]{1,100}\"(?:[ \t\\\n]{0,20}\"[^\"\n%]{1,100}\"){1,20})",
    _DEFINED + r"\"([^\s\"%]{8,200})\"",
    r"(?i)\baws.{0,20}secret.{0,20}?[:=]\s{0,20}[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    r"(?i)(?:key|token|secret|password)\w{0,20}[\"']?\s{0,20}[:=]\s{0,20}[\"']?([0-9a-f]{32,128})(?![0-9a-z])",
    r"https://(?:\w{1,20}\.)?discord(?:app)?\.com/api/webhooks/([0-9]{10,25}/[A-Za-z0-9_-]{40,100})",
    r"(?i)\bAccountKey=([A-Za-z0-9+/]{60,100}={0,2})",  # Azure Storage
    r"[?&]sig=([A-Za-z0-9%/+]{30,120}(?:=|%3D)?)",  # a shared access signature of Azure
)


@functools.cache
def _forms() -> tuple[re.Pattern[str], ...]:
    return tuple(map(lazy_re.compile, _FORMS))


@functools.cache
def _here() -> tuple[re.Pattern[str], ...]:
    return tuple(map(lazy_re.compile, _HERE))


def of(diff: bytes) -> Redactor:
    """A redactor that knows each line of the private keys in a diff; what shows itself as a secret is found where it stands."""
    redactor = Redactor()
    if b"PRIVATE KEY" in diff:
        redactor.add_blocks(diff.decode("utf-8", "replace"))
    return redactor


class Redactor:
    """Cuts secrets out of texts: those of a known form, and the literal ones it was told or has learnt. Threads may share one."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._told: list[str] = []  # the endpoint's own key, in every form in which it is printed
        self._learnt: dict[str, None] = {}
        self._cleaned: dict[str, str] = {}  # a conversation is sent whole in every round
        self._lock = threading.RLock()
        for key in keys:
            self.tell(key)

    def tell(self, key: str) -> None:
        """Know the endpoint's own key: it is cut wherever it stands, be it sealed or part of a name."""
        if len(key) >= _SHORTEST:
            import json

            with self._lock:
                forms = {*self._told, key, json.dumps(key)[1:-1], repr(key)[1:-1]}
                self._told = sorted(forms, key=len, reverse=True)
                self._cleaned.clear()

    def add_blocks(self, text: str) -> None:
        """Know each line of the private keys in `text`."""
        lines = (line.strip("+- \t\r\"'\\n,") for start, end in _blocks(text) for line in text[start:end].splitlines())
        # ordinary words of a comment that the block took along must not be cut out of everything else
        self._learn(line for line in lines if _KEY_LINE.match(line))

    def text(self, text: str) -> str:
        """`text` without secrets; it keeps its lines. Those that are secrets by themselves are known from now on."""
        with self._lock:
            if text in self._cleaned:
                return self._cleaned[text]
            cleaned = text
            if "PRIVATE KEY" in text:
                self.add_blocks(text)
                cleaned = _without_blocks(text)
            if _HINT.search(cleaned):
                for form in _forms():
                    self._learn(match.group(1) for match in form.finditer(cleaned))
                for form in (*_forms(), *_here()):
                    cleaned = form.sub(_cut_group, cleaned)
            for secret in (*self._told, *sorted(self._learnt, key=len, reverse=True)):
                cleaned = cleaned.replace(secret, CUT)
            if len(self._cleaned) < _REMEMBERED:
                self._cleaned[text] = cleaned
            return cleaned

    def value(self, value: Any) -> Any:
        """As `text`, for every text in a JSON value. What an endpoint has sealed must go back to it as it came, but for its own key."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self._untold(str(key)): self.without_key(entry) if key in _OPAQUE else self.value(entry) for key, entry in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(entry) for entry in value]
        return value

    def without_key(self, value: Any) -> Any:
        """A JSON value without the endpoint's own key, be it sealed or the name of a field; all else stays."""
        if isinstance(value, str):
            return self._untold(value)
        if isinstance(value, Mapping):
            return {self._untold(str(key)): self.without_key(entry) for key, entry in value.items()}
        return [self.without_key(entry) for entry in value] if isinstance(value, (list, tuple)) else value

    def _untold(self, text: str) -> str:
        for secret in self._told:
            text = text.replace(secret, CUT)
        return text

    def _learn(self, literals: Iterable[str]) -> None:
        with self._lock:
            before = len(self._learnt)
            for literal in literals:
                if len(literal) >= _SHORTEST and len(self._learnt) < _MOST_LEARNT:
                    self._learnt[literal] = None
            if len(self._learnt) > before:
                self._cleaned.clear()


def key_lines(text: str) -> frozenset[int]:
    """The numbers, from 1, of the lines that private keys in `text` stand on."""
    numbers: set[int] = set()
    at, number = 0, 1
    for start, end in _blocks(text):
        first = number + text.count("\n", at, start)
        at, number = end, first + text.count("\n", start, end)
        numbers.update(range(first, number + 1))
    return frozenset(numbers)


def may_be_of_key(line: str) -> bool:
    """Whether a line, met alone, may be one of a private key."""
    return bool(_BODY.fullmatch(_bare(line)) or _HEADER.fullmatch(_bare(line)) or _END.search(line))


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Where private keys begin and end in `text`.

    Only lines that look like a key's belong to one: a beginning without an end must not hide the rest of a file.
    """
    at = 0
    while begin := _BEGIN.search(text, at):
        at = _end_of_block(text, begin.end())
        yield begin.start(), at


def _end_of_block(text: str, at: int) -> int:
    line_end = _line_end(text, at)
    until = min(line_end, at + _LONGEST_BLOCK)
    again = text.find("-----BEGIN", at, until)
    if end := _END.search(text, at, until if again < 0 else again):
        return end.end()  # a whole key on one line, in a string
    if _bare(text[at : min(line_end, at + _LONGEST_LINE)]):
        return at  # something else follows
    at = line_end
    headers = short = 0
    for _ in range(_MOST_LINES):
        if at >= len(text):
            break
        line_end = _line_end(text, at + 1)
        line = text[at + 1 : min(line_end, at + 1 + _LONGEST_LINE)]
        if end := _END.search(line):
            return at + 1 + end.end()
        bare = _bare(line)
        if _BODY.fullmatch(bare):
            headers = _MOST_HEADERS
            short += len(bare) < _SHORT_BODY
        elif _HEADER.fullmatch(bare):
            headers += 1
        elif bare:
            break
        # code may look like this too, a line of it here and there
        if headers > _MOST_HEADERS or short > _MOST_SHORT or line_end - at > _LONGEST_LINE:
            break
        at = line_end
    return at


def _bare(line: str) -> str:
    return line.replace("\\n", " ").strip(_AROUND)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _without_blocks(text: str) -> str:
    pieces, at = [], 0
    for start, end in _blocks(text):
        pieces += [text[at:start], "\n".join([CUT] * (text.count("\n", start, end) + 1))]
        at = end
    return "".join([*pieces, text[at:]])


def _cut_group(match: re.Match[str]) -> str:
    start, end = match.start(1) - match.start(), match.end(1) - match.start()
    return match.group()[:start] + CUT + match.group()[end:]
