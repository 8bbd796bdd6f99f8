"""A file's bytes to text: whatever can be wrong with a file before a word of it is read."""

from __future__ import annotations

import codecs
import os
import stat

from txlb.errors import ConfigError, Problem

MOST_BYTES = 4 * 1024 * 1024
"""Some 40,000 backends."""


def read_text(path: str) -> str:
    """The text of the file at `path`; raises ConfigError when it is not there, not readable, not text, or too large."""
    try:
        return decode(_read(path), path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError([Problem(path, 0, 0, "", f"cannot be read: {reason}")]) from error
    except ValueError as error:
        raise ConfigError([Problem(path, 0, 0, "", f"cannot be read: {error}")]) from error


def decode(data: bytes, file: str) -> str:
    """UTF-8, with or without a byte order mark; raises ConfigError with the place of what is not."""
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"not UTF-8: the byte 0x{data[error.start]:02x} cannot stand here"
        raise ConfigError([Problem(file, line, column, "", message)]) from error


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # O_NONBLOCK: a FIFO must not hang a reload
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not an ordinary file")
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // (1024 * 1024)} MiB")
    return data
