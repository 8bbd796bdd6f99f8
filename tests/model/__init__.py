"""Tests of the running state of pools. No reactor, no sockets, no time that passes by itself."""
