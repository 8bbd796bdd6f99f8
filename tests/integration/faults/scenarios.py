"""The battery as a table.

The traffic of a scenario is one exchange: the client sends UP bytes (and half-closes where the row says so), the backend
answers the last of them with DOWN bytes and closes. `client` and `backend` are what each must have seen: `whole` (all,
then EOF), or how the stream ended, with the bytes that must have come before. `eof|reset` leaves that open, `*`
says nothing of it, `nothing` means that no byte came there.
"""

from __future__ import annotations

from attrs import frozen

from tests.integration.faults.fault_proxy import PLAIN, Fault
from tests.integration.streams import Stream

UP, DOWN = 300_000, 400_000
MIDDLE = 150_000


@frozen
class Scenario:
    """One row. `fault` names it, `phase` when it strikes, `side` where: between txlb and a backend, or at the client.

    `dial` is what happens to dials: `refuse`, `hang`, `reset`, `close`; `others` says that a second, good backend exists.
    """

    fault: str
    phase: str
    side: str
    client: str = "whole"
    backend: str = "whole"
    up: Fault = PLAIN
    down: Fault = PLAIN
    dial: str = ""
    others: bool = False
    half_close: bool = False  # the client half-closes after its last byte
    mute: bool = False  # the backend does not answer
    size: int = 0  # instead of UP and DOWN
    least: int | None = None  # bytes the client must have got at least
    backend_least: int | None = None  # bytes the backend must have got at least

    @property
    def name(self) -> str:
        """A name for the test method."""
        return f"{self.fault} {self.phase} {self.side}".replace(" ", "_")

    @property
    def streams(self) -> tuple[Stream, Stream]:
        """What the client says, and what the backend answers."""
        return Stream(self.size or UP, 1), Stream(self.size or DOWN, 2)


def _both(side: str) -> list[Scenario]:
    """Faults of the network that may strike at either side."""
    slow = Fault(latency=0.02)
    ragged = Fault(slices=1448, latency=0.0005)
    late = Fault(slow_close=0.2)
    # Who is behind the silent direction cannot hear through it how the proxy ended the connection.
    client, backend = ("*", "reset") if side == "client" else ("reset", "*")
    return [
        Scenario("latency", "exchange", side, up=slow, down=slow),
        Scenario("latency", "half closed", side, up=slow, down=slow, half_close=True),
        Scenario("bandwidth", "upload", side, up=Fault(bandwidth=2e6)),
        Scenario("bandwidth", "download", side, down=Fault(bandwidth=2e6)),
        Scenario("slices of 97", "upload", side, up=Fault(slices=97)),
        Scenario("slices of 97", "download", side, down=Fault(slices=97)),
        Scenario("slices of 1", "first bytes", side, up=Fault(slices=1), down=Fault(slices=1), size=3000),
        Scenario("slow and sliced", "half closed", side, up=ragged, down=ragged, half_close=True),
        Scenario("slow close", "end", side, up=late, down=late, half_close=True),
        Scenario("reset", "first byte up", side, "reset", "reset", up=Fault(limit=1)),
        Scenario("reset", "upload", side, "reset", "reset", up=Fault(limit=MIDDLE), backend_least=MIDDLE),
        Scenario("reset", "after upload", side, "reset", "reset", up=Fault(limit=UP), backend_least=UP, mute=True),
        Scenario("reset", "first byte down", side, "reset", "reset", down=Fault(limit=1), least=1),
        Scenario("reset", "download", side, "reset", "reset", down=Fault(limit=MIDDLE), least=MIDDLE),
        Scenario("reset", "half closed", side, "reset", "*", down=Fault(limit=MIDDLE), half_close=True, least=MIDDLE),
        Scenario("close after 65536", "download", side, "eof", "*", down=Fault(limit=65536, then="close"), least=65536),
        Scenario("close after 1", "download", side, "eof", "*", down=Fault(limit=1, then="close"), least=1),
        Scenario("FIN after 65537", "download", side, "eof", "*", down=Fault(limit=65537, then="eof"), least=65537),
        Scenario(
            "FIN after 65537",
            "upload",
            side,
            "eof|reset",
            "eof",
            up=Fault(limit=65537, then="eof"),
            backend_least=65537,
        ),
        Scenario("silence", "upload", side, "reset", backend, up=Fault(limit=MIDDLE, then="silence")),
        Scenario("silence", "after upload", side, "reset", "*", up=Fault(limit=UP, then="silence"), mute=True),
        Scenario("silence", "download", side, client, backend, down=Fault(limit=MIDDLE, then="silence"), least=MIDDLE),
        Scenario("silence", "half closed", side, client, "*", down=Fault(limit=0, then="silence"), half_close=True),
    ]


TABLE: tuple[Scenario, ...] = (
    *_both("backend"),
    *_both("client"),
    Scenario("refusal", "dial", "backend", "reset", "nothing", dial="refuse"),
    Scenario("refusal of one", "dial", "backend", dial="refuse", others=True),
    Scenario("no answer", "dial", "backend", "reset", "nothing", dial="hang"),
    Scenario("no answer of one", "dial", "backend", dial="hang", others=True),
    Scenario("reset", "accept", "backend", "reset", "nothing", dial="reset"),
    Scenario("close", "accept", "backend", "eof|reset", "nothing", dial="close"),
    Scenario("down", "download", "backend", "eof|reset", "*", down=Fault(bandwidth=4e5), dial="down", least=1),
)
