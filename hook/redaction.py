"""Redaction: secrets out of what is sent away, stored or printed.

A short list of forms that are secrets wherever they stand, after the public rules of secret scanners (GitHub's secret scanning patterns,
detect-secrets, gitleaks). A `Redactor` also learns: once it has seen a secret whole, it knows each line of it when it meets it alone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

CUT = "[redacted]"
_OPAQUE = frozenset({"signature", "thought_signature", "thoughtSignature", "encrypted_content", "data"})
_REMEMBERED = 2000
_SHORTEST = 8  # of a literal: shorter ones would redact ordinary words

# a line that has none of these holds a secret of none of the forms below; asked first, since a commit pays for what it needs
_HINT = re.compile(
    r"(?i)[_-]?key|token|secret|passw|passphrase|authorization|://|AKIA|ASIA|ABIA|ACCA|gh[opusr]_|gl\w+-|xox|xapp|AIza|ya29|sk-|npm_|pypi-|hf_"
    r"|dop_|eyJ"
)
_BEGIN = r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
_END = r"-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
# what may stand around a line of a key: the mark of a diff, quotes, a comment's star, the escapes of a string
_AROUND = r"[ \t+\-\"'*/#>,;]{0,40}"
# only lines that look like a key's belong to it: a beginning without an end must not hide the rest of a file
_KEY_BLOCK = re.compile(
    rf"{_BEGIN}(?:[^\n]{{1,20000}}?{_END}|(?:\\n|[ \t\"'\\])*"
    rf"(?:\n{_AROUND}(?:[A-Za-z0-9+/=]{{4,120}}|[A-Za-z-]{{3,20}}: [^\n]{{1,100}}|)(?:\\n|[ \t\"'\\,;*+/])*(?=\n|\Z)){{0,500}}"
    rf"(?:\n{_AROUND}{_END})?)"
)
_KEY_LINE = re.compile(r"(?=.*[A-Z])(?=.*[a-z0-9])(?:[A-Za-z0-9+/]{16,120}={0,2}|[A-Za-z0-9+/]{6,120}={1,2})\Z")
# each with the secret itself as the last group
_FORMS = (
    r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})\b",  # AWS
    r"\b(gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255})\b",
    r"\b(gl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_-]{20,})",
    r"\b(xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,})",  # Slack
    r"https://hooks\.slack\.com/(services/[A-Za-z0-9/+]{20,})",
    r"\b(AIza[A-Za-z0-9_-]{35})",  # Google
    r"\b(ya29\.[A-Za-z0-9_-]{20,})",
    r"\b(sk-(?:ant-|proj-|or-v1-)?[A-Za-z0-9_-]{20,})",  # OpenAI, Anthropic, OpenRouter
    r"\b([rs]k_(?:live|test)_[A-Za-z0-9]{20,})",  # Stripe
    r"\b(npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,}|hf_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{64})",
    r"\b(eyJ[A-Za-z0-9_-]{10,4000}+\.eyJ[A-Za-z0-9_-]{10,8000}+\.[A-Za-z0-9_-]{10,2000})",  # JSON Web Token
    r"\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"'<>]{0,100}:([^\s/@\"'<>]{6,200})@",  # a password in a URL
    r"(?i)\b(?:authorization|x-api-key)[\"']?\s*[:=]\s*[\"']?(?:bearer |basic |token )?([A-Za-z0-9_.~+/=-]{16,})",
    r"(?i)(?:api|access|auth|secret|private|client)[_-]?(?:key|token|secret|password)[\"']?\s*(?::=|=>|[:=])\s*[\"']([^\s\"']{8,200})[\"']",
    r"(?i)\b[a-z_]*(?:passwd|password|passphrase)[\"']?\s*(?::=|=>|[:=])\s*[\"']([^\s\"'%]{8,200})[\"']",
)


@functools.cache
def _forms() -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, _FORMS))


def of(diff: bytes) -> Redactor:
    """A redactor that knows each line of the private keys in a diff; what shows itself as a secret is found where it stands."""
    redactor = Redactor()
    if b"PRIVATE KEY" in diff:
        redactor.add_blocks(diff.decode("utf-8", "replace"))
    return redactor


class Redactor:
    """Cuts secrets out of texts: those of a known form, and the literal ones it was told or has learnt."""

    def __init__(self, literals: Iterable[str] = ()) -> None:
        self._literals: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self._cleaned: dict[str, str] = {}  # a conversation is sent whole in every round
        self.add(literals)

    def add(self, literals: Iterable[str]) -> None:
        """Know these from now on, wherever they stand."""
        new = {one for one in literals if len(one) >= _SHORTEST} - self._literals
        if new:
            self._literals |= new
            self._cleaned.clear()
            self._known = re.compile("|".join(re.escape(one) for one in sorted(self._literals, key=len, reverse=True)))

    def add_blocks(self, text: str) -> None:
        """Know each line of the private keys in `text`."""
        lines = (line.strip("+- \t\r\"'\\n,") for block in _KEY_BLOCK.finditer(text) for line in block.group().splitlines())
        # ordinary words of a comment that the block took along must not be cut out of everything else
        self.add(line for line in lines if _KEY_LINE.match(line))

    def text(self, text: str) -> str:
        """`text` without secrets, which are known from now on; it keeps its lines."""
        if text in self._cleaned:
            return self._cleaned[text]
        cleaned = text
        if "PRIVATE KEY" in text:
            self.add_blocks(text)
            cleaned = _KEY_BLOCK.sub(lambda block: "\n".join([CUT] * (block.group().count("\n") + 1)), text)
        if _HINT.search(cleaned):
            self.add(match.group(match.lastindex or 0) for form in _forms() for match in form.finditer(cleaned))
        if self._known:
            cleaned = self._known.sub(CUT, cleaned)
        if len(self._cleaned) < _REMEMBERED:
            self._cleaned[text] = cleaned
        return cleaned

    def value(self, value: Any) -> Any:
        """As `text`, for every text in a JSON value, keys too; but what an endpoint has sealed must go back to it as it came."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): one if key in _OPAQUE else self.value(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(one) for one in value]
        return value
