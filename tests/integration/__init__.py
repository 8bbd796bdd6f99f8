"""Tests over real sockets and real processes, on loopback; they wait for conditions, never for a time."""
