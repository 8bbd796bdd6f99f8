"""The epoll engine: plain TCP and UNIX sockets on Linux at the cost of a C proxy.

    engine.py      EpollEngine: what the proxy sees
    loop.py        one IReadDescriptor in the reactor, which owns a private epoll set and what happens in it
    stream.py      the hot path: bytes from one socket to another
    transport.py   a stream as an ITCPTransport, for Protocols
    pipes.py       os.splice for large transfers
    acceptor.py    clients come in
    dialer.py      backends are reached
    targets.py     which client endpoint strings, and what is in them
    resolver.py    host names, outside the path of connections

The reactor's share of an event (dispatch, logging context, `Deferred`s, registering for writing) costs more than moving
the bytes of a request. Here the reactor sees one descriptor; everything else is a loop over `epoll.poll(0, 32)` that
calls `ready(mask)` on what it finds, for at most about two milliseconds in a row.
"""

from txlb.engines.epoll.engine import EpollEngine

__all__ = ["EpollEngine"]
