"""What can go wrong, in words that a user can act on."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

BAD_CONFIG = 78
"""Exit code: the configuration is wrong (sysexits.h, EX_CONFIG)."""

PORT_UNAVAILABLE = 69
"""Exit code: a port cannot be bound (EX_UNAVAILABLE)."""

INTERNAL_FAILURE = 70
"""Exit code: the program itself failed (EX_SOFTWARE)."""


@frozen
class Problem:
    """One thing wrong with a configuration, and where. `line` and `column` count from 1; 0: not known. `path` is such
    as `pools.web.backends[0].weight`, or empty for the file as a whole."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class TxlbError(Exception):
    """The base of all errors that this package raises on purpose."""


class ConfigError(TxlbError):
    """A configuration with at least one problem. Nothing of it was applied."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class OptionError(TxlbError):
    """An option that a strategy or a check does not take, or a value that it cannot have."""

    def __init__(self, option: str, message: str) -> None:
        self.option = option
        self.message = message
        super().__init__(option, message)

    def __str__(self) -> str:
        return f"{self.option}: {self.message}" if self.option else self.message


class UnknownPlugin(TxlbError):
    """No plugin has that name. The message lists the names that exist."""


class BrokenPlugin(TxlbError):
    """A plugin that is installed but cannot be used: it does not import, or two have one name."""


class CheckFailed(TxlbError):
    """A probe's negative verdict; the message is the reason that operators see, such as `status 503`."""


class DialError(TxlbError):
    """A backend that could not be reached. `outcome` is an `txlb.interfaces.Outcome`."""

    def __init__(self, outcome: str, reason: str) -> None:
        self.outcome = outcome
        self.reason = reason
        super().__init__(outcome, reason)

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}"
