"""Engines move bytes: they serve listening ports, dial backends and link the two transports of a pair.

`txlb.engines.reactor` works on every reactor and with every kind of endpoint; `txlb.engines.epoll` serves plain TCP and
UNIX sockets on Linux at the cost of a C proxy. Both provide `txlb.interfaces.IEngine` for the same Protocols and
Factories, and pass the same conformance suite.
"""
