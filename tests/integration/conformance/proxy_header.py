"""`send_proxy`: a backend is told whose connection it is, by the PROXY protocol's versions 1 and 2.

Checked twice: by the parser below, written from the specification, and by nginx and HAProxy as receivers.
https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

from __future__ import annotations

import shutil
import socket
import struct
from pathlib import Path

from attrs import frozen
from twisted.trial.unittest import SkipTest

from tests.integration import wire
from tests.integration.conformance.case import ConformanceCase, blocking
from tests.integration.peers import listening_place, spawn
from tests.integration.streams import Sending, Stream, read_to_end
from tests.integration.wire import half_close, read_exactly

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@frozen
class Header:
    """What it says: a family (TCP4, TCP6, UNIX, UNKNOWN, LOCAL) and (host, port) of source and destination."""

    family: str
    source: tuple[str, int] | None = None
    destination: tuple[str, int] | None = None


def read_v1(sock: socket.socket) -> Header:
    """One line, at most 107 bytes, byte by byte so that none of what follows is taken."""
    line = b""
    while not line.endswith(b"\r\n"):
        line += read_exactly(sock, 1)
        if len(line) > 107:
            raise AssertionError(f"no end of line in {line!r}")
    words = line[:-2].decode("ascii").split(" ")
    if words[0] != "PROXY" or len(words) not in (2, 6):
        raise AssertionError(f"not a PROXY line: {line!r}")
    if words[1] == "UNKNOWN":
        return Header("UNKNOWN")
    return Header(words[1], (words[2], int(words[4])), (words[3], int(words[5])))


def read_v2(sock: socket.socket) -> Header:
    """The signature, four bytes, and as many as they say."""
    if (start := read_exactly(sock, 16))[:12] != SIGNATURE:
        raise AssertionError(f"not the signature: {start!r}")
    version, family, length = struct.unpack("!BBH", start[12:])
    body = read_exactly(sock, length)
    if version == 0x20:
        return Header("LOCAL")
    if version != 0x21:
        raise AssertionError(f"version and command {version:#x}")
    if family in (0x11, 0x21):
        kind, size = (socket.AF_INET, 4) if family == 0x11 else (socket.AF_INET6, 16)
        hosts = [socket.inet_ntop(kind, body[n * size : (n + 1) * size]) for n in (0, 1)]
        ports = struct.unpack("!HH", body[2 * size : 2 * size + 4])
        return Header("TCP4" if size == 4 else "TCP6", (hosts[0], ports[0]), (hosts[1], ports[1]))
    return Header({0x31: "UNIX", 0x00: "UNKNOWN"}[family])


READERS = {"v1": read_v1, "v2": read_v2}


class ProxyHeader(ConformanceCase):
    """The header comes first, once, and says the truth; the client's bytes follow unchanged."""

    def told(self, version: str, listen: str, backend: str) -> None:
        """The header that arrives for a client, and what follows it."""
        client, server = self.stage.pair(backend, listen=listen, send_proxy=version)
        upload = Stream(100_000)
        sending = Sending(client, upload, lambda: half_close(client))
        header = READERS[version](server)
        if listen == "unix":
            self.assertIn(header.family, ("UNIX", "UNKNOWN", "LOCAL"))
        else:
            family = {"tcp": "TCP4", "tcp6": "TCP6"}[listen]
            here, there = client.getsockname()[:2], self.stage.proxy.place.address[:2]
            self.assertEqual(Header(family, here, there), header)
        self.assertEqual(upload.whole(), read_to_end(server))
        sending.done()

    @blocking
    def test_v1(self) -> None:
        """Version 1 over IPv4."""
        self.told("v1", "tcp", "tcp")

    @blocking
    def test_v2(self) -> None:
        """Version 2 over IPv4."""
        self.told("v2", "tcp", "tcp")

    @blocking
    def test_v1_tcp6(self) -> None:
        """Version 1 for an IPv6 client."""
        self.told("v1", "tcp6", "tcp")

    @blocking
    def test_v2_tcp6(self) -> None:
        """Version 2 for an IPv6 client."""
        self.told("v2", "tcp6", "unix")

    @blocking
    def test_v1_unix(self) -> None:
        """Version 1 has no word for UNIX sockets but UNKNOWN."""
        self.told("v1", "unix", "tcp")

    @blocking
    def test_v2_unix(self) -> None:
        """Version 2 for a client on a UNIX socket."""
        self.told("v2", "unix", "tcp")

    @blocking
    def test_header_comes_unasked(self) -> None:
        """A backend that speaks first only after it knows the client is not kept waiting."""
        client, server = self.stage.pair(send_proxy="v1")
        self.assertEqual(client.getsockname(), read_v1(server).source)
        server.sendall(b"220 hello\r\n")
        self.assertEqual(b"220 hello\r\n", read_exactly(client, 11))

    def receiver(self, program: str, version: str) -> None:
        """A real receiver says whom it heard of."""
        if not shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin"):
            raise SkipTest(f"{program} is not installed")
        place, bind = listening_place("tcp")
        text, command = RECEIVERS[program](bind)
        receiver = spawn(place, program, text, command)
        self.stage.cleanups.append(receiver.stop)
        self.stage.open(place, send_proxy=version)
        client = self.stage.client()
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while chunk := client.recv(4096):
            answer += chunk
        host, port = client.getsockname()
        self.assertTrue(answer.endswith(f"client {host}:{port}".encode()), answer)

    @blocking
    def test_nginx_hears_v1(self) -> None:
        """nginx with `listen … proxy_protocol` reads version 1."""
        self.receiver("nginx", "v1")

    @blocking
    def test_nginx_hears_v2(self) -> None:
        """nginx with `listen … proxy_protocol` reads version 2."""
        self.receiver("nginx", "v2")

    @blocking
    def test_haproxy_hears_v1(self) -> None:
        """HAProxy with `accept-proxy` reads version 1."""
        self.receiver("haproxy", "v1")

    @blocking
    def test_haproxy_hears_v2(self) -> None:
        """HAProxy with `accept-proxy` reads version 2."""
        self.receiver("haproxy", "v2")


def _nginx(bind: str) -> tuple[str, list[str]]:
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    return (
        f"""daemon off; master_process off; pid {wire.fresh("unix")}; error_log /dev/null;
        {f"load_module {module};" if module.exists() else ""}
        events {{ }}
        http {{ access_log off; server {{
            listen {bind} proxy_protocol;
            return 200 "client $proxy_protocol_addr:$proxy_protocol_port";
        }} }}""",
        ["nginx", "-e", "/dev/null", "-c"],
    )


def _haproxy(bind: str) -> tuple[str, list[str]]:
    return (
        f"""defaults
 mode http
 timeout client 10s
 timeout connect 10s
 timeout server 10s
frontend front
 bind {bind} accept-proxy
 http-request return status 200 content-type text/plain lf-string "client %[src]:%[src_port]"
""",
        ["haproxy", "-db", "-q", "-f"],
    )


RECEIVERS = {"nginx": _nginx, "haproxy": _haproxy}
