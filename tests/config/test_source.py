"""What can be wrong with a file before a word of it is read."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import LISTENER, POOL, fake_checks, fake_strategies
from txlb.config import load
from txlb.config import source as source_module
from txlb.errors import ConfigError


class Load(SynchronousTestCase):
    """`load` with files good and bad."""

    def setUp(self) -> None:
        """A folder of its own."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.file = self.folder / "lb.yaml"

    def problem(self) -> str:
        """What `load` says of the file, without its name."""
        error = self.assertRaises(ConfigError, load, str(self.file), (), fake_strategies(), fake_checks())
        return str(error).removeprefix(f"{self.file}:")

    def test_good(self) -> None:
        """A file gives a configuration that knows its file."""
        self.file.write_text(LISTENER + POOL)
        self.assertEqual(load(str(self.file), (), fake_strategies(), fake_checks()).file, str(self.file))

    def test_not_there(self) -> None:
        """No such file."""
        self.assertEqual(self.problem(), " cannot be read: No such file or directory")

    def test_directory(self) -> None:
        """A folder is no file."""
        self.file.mkdir()
        self.assertEqual(self.problem(), " cannot be read: Is a directory")

    def test_fifo(self) -> None:
        """A pipe that nobody writes to does not hang."""
        os.mkfifo(self.file)
        self.assertEqual(self.problem(), " cannot be read: it is not an ordinary file")

    def test_unreadable(self) -> None:
        """A file that may not be read; simulated, because root may read all."""

        def refuse(*args: object) -> int:
            raise PermissionError(13, "Permission denied")

        self.file.write_text(LISTENER + POOL)
        self.patch(source_module.os, "open", refuse)
        self.assertEqual(self.problem(), " cannot be read: Permission denied")

    def test_nul_in_its_name(self) -> None:
        """A name that no file can have."""
        self.file = self.folder / "a\0b"
        self.assertIn("cannot be read: embedded null byte", self.problem())

    def test_huge(self) -> None:
        """A file beyond the bound is refused by its size."""
        with self.file.open("wb") as stream:
            stream.truncate(source_module.MOST_BYTES + 1)
        self.assertEqual(self.problem(), " cannot be read: it is larger than 4 MiB")

    def test_not_utf_8(self) -> None:
        """The byte and its place."""
        self.file.write_bytes(b"a: \xc3\xa9\nb: \xc3\xa9\x80")
        self.assertEqual(self.problem(), "2:5: not UTF-8: the byte 0x80 cannot stand here")
