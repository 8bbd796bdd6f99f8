"""One log line for each connection that failed, and never a flood of them."""

from __future__ import annotations

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txlb.events import ConnectionClosed

LINES_PER_SECOND = 10

log = Logger()


@define
class FailureLog:
    """Writes at most `LINES_PER_SECOND` lines in each second, and then says how many it left out."""

    clock: IReactorTime
    _written: int = 0
    _left_out: int = 0
    _call: IDelayedCall | None = None

    def write(self, event: ConnectionClosed) -> None:
        """Tell of a connection that did not end well."""
        if self._call is None:
            self._call = self.clock.callLater(1, self._next_second)
        if self._written >= LINES_PER_SECOND:
            self._left_out += 1
            return
        self._written += 1
        log.info(
            "{listener}: {client} to {backend}: {outcome} ({reason}), {tries} tried, {bytes_in} bytes in, {bytes_out} out",
            listener=event.listener,
            client=f"{event.client_host}:{event.client_port}" if event.client_host else "a local client",
            backend=event.backend or f"no backend of {event.pool}",
            outcome=str(event.outcome),
            reason=event.reason,
            tries=event.tries,
            bytes_in=event.bytes_in,
            bytes_out=event.bytes_out,
        )

    def stop(self) -> None:
        """Say what is left to say, and let go of the timer."""
        if self._call is not None:
            self._call.cancel()
            self._next_second()

    def _next_second(self) -> None:
        self._call = None
        if self._left_out:
            log.info("{count} more connections failed in that second", count=self._left_out)
        self._written = self._left_out = 0
