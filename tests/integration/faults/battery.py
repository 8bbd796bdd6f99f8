"""Plays one scenario against one subject and says what was seen."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable

from attrs import Factory, define

from tests.integration.faults.fault_proxy import FaultProxy
from tests.integration.faults.scenarios import Scenario
from tests.integration.harness import Stage, Subject
from tests.integration.streams import End, Sending, Stream, read_to_end
from tests.integration.wire import Backend, Place, close_own, dial, half_close, until
from txlb.specs import TimeoutsSpec

TIMEOUTS = TimeoutsSpec(connect=0.3, idle=0.8, half_close=0.8, linger=0.4)
PATIENCE = 6.0
MEMORY = 8_000_000
"""Resident bytes by which a proxy may have grown when a scenario is over."""


@define
class Seen:
    """What came of a scenario. `recovery` is the time from the fault's end to the end of the next whole exchange;
    descriptors, timers and memory are what the proxy holds more than before, when all connections are gone."""

    client: End | None = None
    backend: End | None = None
    seconds: float = 0.0
    recovery: float | None = None
    descriptors: int = 0
    timers: int = 0
    memory: int = 0
    troubles: list[str] = Factory(list)

    @property
    def words(self) -> str:
        """The client's and the backend's view."""
        return f"client: {view(self.client)}; backend: {view(self.backend)}"


def view(end: End | None) -> str:
    """An end in words."""
    return "nothing" if end is None else f"{end.how} after {end.count}"


@define
class Server:
    """The good backend: reads what it is told to expect, answers, and remembers how the first connection ended."""

    scenario: Scenario
    backend: Backend = Factory(Backend)
    ends: list[End] = Factory(list)

    def __attrs_post_init__(self) -> None:
        self.backend.serve(self.talk)

    def talk(self, sock: socket.socket) -> None:
        """One exchange."""
        up, down = self.scenario.streams
        got, how = bytearray(), ""
        try:
            while len(got) < up.size and not how:
                chunk = sock.recv(65536)
                got += chunk
                how = "" if chunk else "eof"
            if not how and not self.scenario.mute:
                for chunk in down.chunks():
                    sock.sendall(chunk)
                half_close(sock)
            if not how:
                how = read_to_end(sock).how
        except TimeoutError:
            how = "hung"
        except OSError:
            how = "reset"
        if got or how != "eof":
            self.ends.append(End(len(got), _digest(bytes(got)), how))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def converse(client: socket.socket, scenario: Scenario, reading: Callable[[], None] = lambda: None) -> End:
    """The client's part of the exchange. A reset may be told to the sender instead of the reader, once only."""
    up, _ = scenario.streams
    sending = Sending(client, up, (lambda: half_close(client)) if scenario.half_close else None)
    reading()
    end = read_to_end(client, 2.0 if scenario.client == "*" else PATIENCE)
    sending.join(0.5)
    if end.how == "eof" and isinstance(sending.error, ConnectionResetError):
        end = End(end.count, end.digest, "reset")
    return end


def play(subject: Subject, scenario: Scenario) -> Seen:
    """Run a scenario; the troubles found are in `Seen.troubles`."""
    stage, seen = Stage(subject), Seen()
    try:
        _play(stage, scenario, seen)
    except (AssertionError, OSError) as error:
        seen.troubles.append(str(error))
    finally:
        stage.close()
    judge(scenario, seen)
    return seen


def _play(stage: Stage, scenario: Scenario, seen: Seen) -> None:
    server = Server(scenario)
    fault = _at_backend(scenario, server) if scenario.side == "backend" else None
    places = [fault.place if fault else server.backend.place]
    proxy = stage.open(*places, *([server.backend.place] if scenario.others else []), timeouts=TIMEOUTS)
    resident = proxy.resident()
    if fault is None:
        fault = FaultProxy(proxy.place, scenario.up, scenario.down)
        proxy_place = fault.place
    else:
        proxy_place = proxy.place
    began = time.monotonic()
    client = dial(proxy_place)
    seen.client = converse(client, scenario, (lambda: _go_down(client, fault)) if scenario.dial == "down" else _nothing)
    seen.seconds = time.monotonic() - began
    client.close()
    if scenario.backend not in ("*", "nothing"):
        until(lambda: server.ends, "the backend's connection ends", PATIENCE)
    seen.backend = server.ends[0] if server.ends else None
    _recover(stage, scenario, fault, proxy_place, server, seen)
    close_own()
    _settle(stage, seen)
    seen.memory = proxy.resident() - resident


def _nothing() -> None:
    """Nothing happens while the client reads."""


def _go_down(client: socket.socket, fault: FaultProxy) -> None:
    client.recv(1, socket.MSG_PEEK)
    fault.go_down()


def _at_backend(scenario: Scenario, server: Server) -> FaultProxy:
    return FaultProxy(
        server.backend.place,
        scenario.up,
        scenario.down,
        refuse=scenario.dial == "refuse",
        hang=scenario.dial == "hang",
        at_accept=scenario.dial if scenario.dial in ("reset", "close") else "",
    )


def _recover(stage: Stage, scenario: Scenario, fault: FaultProxy, place: Place, server: Server, seen: Seen) -> None:
    """Take the fault away; soon a new client is served."""
    fault.heal()
    server.scenario = plain = Scenario("none", "", "", size=1000)
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        with dial(place) as client:
            if converse(client, plain) == plain.streams[1].whole():
                seen.recovery = time.monotonic() - began
                return
        time.sleep(0.01)


def _settle(stage: Stage, seen: Seen) -> None:
    """How much is left when all that the test holds is closed."""
    proxy, (held, pending) = stage.proxy, stage.before
    try:
        stage.settled(PATIENCE)
    except AssertionError:
        seen.descriptors, seen.timers = proxy.descriptors() - held, proxy.timers() - pending


def judge(scenario: Scenario, seen: Seen) -> None:
    """Compare with the table."""
    up, down = scenario.streams
    trouble = seen.troubles.append
    if wrong := _wrong("the client", scenario.client, seen.client, down, scenario.least):
        trouble(wrong)
    if wrong := _wrong("the backend", scenario.backend, seen.backend, up, scenario.backend_least):
        trouble(wrong)
    if seen.recovery is None:
        trouble(f"no recovery within {PATIENCE:g} s")
    if seen.descriptors > 0:
        trouble(f"{seen.descriptors} descriptors leaked")
    if seen.timers > 0:
        trouble(f"{seen.timers} timers left")
    if seen.memory > MEMORY:
        trouble(f"memory grew by {seen.memory} bytes")


def _wrong(who: str, expected: str, end: End | None, stream: Stream, least: int | None) -> str | None:
    if end is not None and not stream.begins(end):
        return f"{who} got {end.count} bytes that are not those sent"
    if expected == "*":
        return None
    if expected == "nothing":
        return f"{who} got {end.count} bytes" if end and end.count else None
    if end is None:
        return f"{who} saw nothing"
    if expected == "whole":
        return None if (end.count, end.how) == (stream.size, "eof") else f"{who} saw {view(end)}, not all of it"
    if end.how not in expected.split("|"):
        return f"{who} saw {view(end)}, not {expected}"
    return f"{who} got {end.count} bytes, not {least}" if least is not None and end.count < least else None
