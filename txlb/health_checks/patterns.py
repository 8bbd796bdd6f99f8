"""What a reply must contain: plain text, or a regular expression between slashes.

expect: "+PONG"             these bytes, anywhere in the reply
expect: '220 ready\\r\\n'     the usual backslash escapes, and \\xNN for any byte
expect: /^2\\d\\d /           a regular expression over bytes; `^` and `$` match at every line
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([rnt0\\]))")
_PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


def unescape(text: str) -> bytes:
    """UTF-8, with `\\r \\n \\t \\0 \\\\` and `\\xNN` read as the bytes that they stand for; other backslashes stay."""
    return _ESCAPE.sub(lambda m: bytes.fromhex(m[1].decode()) if m[1] else _PLAIN[m[2]], text.encode())


def compile_pattern(text: str) -> re.Pattern[bytes]:
    """The pattern to search a reply for; raises ValueError for an empty text or a wrong regular expression."""
    if len(text) > 2 and text[0] == text[-1] == "/":
        try:
            return re.compile(text[1:-1].encode(), re.MULTILINE)
        except re.error as error:
            raise ValueError(f"{text} is not a regular expression: {error}") from None
    if not text:
        raise ValueError("must not be empty")
    return re.compile(re.escape(unescape(text)))
