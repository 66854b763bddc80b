"""What of a text is no code: a line for what is hidden, and for what is not."""

from __future__ import annotations

import pytest

from hook.c.blanking import without_comments, without_literals


@pytest.mark.parametrize(
    "text",
    [
        b"#if 0\nit does not /* begin\n#endif\n/* */ int code;\n".replace(b"does not", b"doesn't"),
        b'#if 0\nan " alone /* begins nothing\n#endif\nint code; /* */\n',
        b"#error don't // nor this\nint code;\n",
        b"char c = '\\''; int code; // it's\n",
        b"/* don't */ int code;\n",
        b'char *s = "/*"; int code; char *e = "*/";\n',
    ],
)
def test_code_is_seen_behind_quotes(text: bytes) -> None:
    for blanked in (without_comments(text), without_literals(text)):
        assert b"int code;" in blanked and len(blanked) == len(text)


@pytest.mark.parametrize("text", [b"/* int code; */", b"// int code;\nx", b"#if 0\nint code;\n#endif\n", b"/* it's */ // int code;\n"])
def test_what_is_commented_out_is_not_seen(text: bytes) -> None:
    assert b"int code;" not in without_comments(text)
