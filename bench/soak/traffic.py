"""Clients that behave in every way: short, long, half-closing, slow, silent, rude."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from attrs import define, field

PATTERN, SMALL, SPAN = 1000003, 128, 1 << 18
PATIENCE = 20.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def pattern() -> bytes:
    """The backend's bytes (see native/wire.h), and a stretch of their beginning again."""
    x, made, mask = 88172645463325252, bytearray(PATTERN), (1 << 64) - 1
    for i in range(PATTERN):
        x ^= (x << 13) & mask
        x ^= x >> 7
        x ^= (x << 17) & mask
        made[i] = (x >> 32) & 255
    return bytes(made) + bytes(made[:SPAN])


class WrongBytes(Exception):
    """What came is not what the backend sends."""


@define
class Traffic:
    """`clients` at a time against `port` until `stopped`; `counts` by what happened."""

    port: int
    rng: random.Random
    counts: Counter[str] = field(factory=Counter)
    stopped: bool = False
    _pattern: bytes = field(factory=pattern)

    async def run(self, clients: int) -> None:
        """All clients, one connection after the other; returns when `stopped` and the last one ended."""
        await asyncio.gather(*[self._client() for _ in range(clients)])

    async def _client(self) -> None:
        ways: list[Callable[[Streams], Awaitable[None]]] = [
            self._small,
            self._closing,
            self._bulk,
            self._half_close,
            self._slow,
            self._silent,
            self._rude,
            self._reset_by_backend,
        ]
        while not self.stopped:
            way = self.rng.choice(ways)
            name = way.__name__.strip("_")
            try:
                await asyncio.wait_for(self._one(way), PATIENCE)
                self.counts[f"{name}: right"] += 1
            except WrongBytes:
                self.counts[f"{name}: WRONG"] += 1
            except TimeoutError:
                self.counts[f"{name}: HUNG"] += 1
            except (OSError, asyncio.IncompleteReadError):
                self.counts[f"{name}: cut"] += 1
                await asyncio.sleep(0.01)  # with every backend down, do not spin

    async def _one(self, way: Callable[[Streams], Awaitable[None]]) -> None:
        streams = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await way(streams)
        finally:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, length: int, piece: int = SPAN) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if f"Content-Length: {length}\r\n".encode() not in head:
            raise WrongBytes(head)
        at = 0
        while at < length:
            data = await reader.read(min(piece, length - at))
            if not data:
                raise asyncio.IncompleteReadError(b"", length - at)
            start = at % PATTERN
            if data != self._pattern[start : start + len(data)]:
                raise WrongBytes
            at += len(data)

    async def _ask(self, streams: Streams, path: str) -> None:
        streams[1].write(f"GET {path} HTTP/1.1\r\nHost: soak\r\n\r\n".encode())
        await streams[1].drain()

    async def _small(self, streams: Streams) -> None:
        for _ in range(self.rng.randrange(1, 20)):
            await self._ask(streams, "/small")
            await self._answer(streams[0], SMALL)

    async def _closing(self, streams: Streams) -> None:
        await self._ask(streams, "/close")
        await self._answer(streams[0], SMALL)
        if await streams[0].read(1):
            raise WrongBytes

    async def _bulk(self, streams: Streams) -> None:
        length = self.rng.randrange(1, 4_000_000)
        await self._ask(streams, f"/bulk/{length}")
        await self._answer(streams[0], length)

    async def _half_close(self, streams: Streams) -> None:
        await self._ask(streams, "/close")
        streams[1].write_eof()
        await self._answer(streams[0], SMALL)

    async def _slow(self, streams: Streams) -> None:
        await self._ask(streams, "/bulk/300000")
        await asyncio.sleep(self.rng.random())
        await self._answer(streams[0], 300_000, 5000)

    async def _silent(self, streams: Streams) -> None:
        await asyncio.sleep(self.rng.random() / 5)

    async def _rude(self, streams: Streams) -> None:
        """Ask for much, take a little, reset."""
        await self._ask(streams, "/bulk/10000000")
        await streams[0].read(self.rng.randrange(1, 100_000))
        linger = struct.pack("ii", 1, 0)
        streams[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        streams[1].transport.abort()

    async def _reset_by_backend(self, streams: Streams) -> None:
        """A reset, or what came before it and then a reset; an answer that ends whole would be wrong."""
        await self._ask(streams, "/reset")
        with suppress(OSError, asyncio.IncompleteReadError):
            await self._answer(streams[0], SMALL)
            raise WrongBytes
