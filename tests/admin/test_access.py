"""Who may ask for what."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.fakes import HOST, LogCase, World
from txlb.admin.access import Access, who
from txlb.admin.server import REFUSALS_LOGGED_EVERY
from txlb.errors import TxlbError
from txlb.service.admin import private
from txlb.specs import AdminSpec

STATE = "/api/v1/state"


class TokenTests(LogCase):
    """Where a token is configured."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World(access=Access(b"s3cret"))

    def test_needed(self) -> None:
        """The API and the metrics are for who has the token; others are told which kind of token it takes."""
        for path in (STATE, "/metrics", "/api/v1/events", "/api/v1/pools/web/explain?client=192.0.2.7"):
            answer = self.world.ask("GET", path)
            self.assertEqual(answer.status, 401, path)
            self.assertTrue(answer.headers["www-authenticate"].startswith("Bearer"))
            self.assertNotIn("s3cret", answer.body.decode())
        for method in ("POST", "PUT", "DELETE"):
            self.assertEqual(self.world.ask(method, "/api/v1/pools/web/backends/a", {}).status, 401)
        self.assertEqual(self.world.ask("POST", "/api/v1/reload").status, 401)

    def test_not_needed(self) -> None:
        """Probes, and the page's files, which hold nothing."""
        for path in ("/", "/app.js", "/health", "/ready"):
            self.assertEqual(self.world.ask("GET", path).status, 200, path)

    def test_right_and_wrong(self) -> None:
        """Exactly this token, in a header of this scheme."""
        for told, status in {
            "Bearer s3cret": 200,
            "bearer s3cret": 200,
            "Bearer s3cre": 401,
            "Bearer s3crett": 401,
            "Bearer ": 401,
            "Bearer": 401,
            "s3cret": 401,
            "Basic s3cret": 401,
            "Bearer größe": 401,
        }.items():
            self.assertEqual(self.world.ask("GET", STATE, authorization=told).status, status, told)

    def test_twice(self) -> None:
        """Two tokens are none."""
        client = self.world.connect()
        client.send(
            f"GET {STATE} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer s3cret\r\nauthorization: x\r\n\r\n".encode()
        )
        self.assertEqual(client.answers()[0].status, 401)

    def test_not_in_the_state(self) -> None:
        """The state holds no secret."""
        self.assertNotIn("s3cret", self.world.ask("GET", STATE, authorization="Bearer s3cret").body.decode())

    def test_read_anew(self) -> None:
        """From its file, each time that rules are made; without one nobody is let in by mistake."""
        file = Path(self.mktemp())
        spec = AdminSpec("tcp:9090", str(file), ("Admin.Example",))
        with self.assertRaisesRegex(TxlbError, "cannot be read"):
            Access.of(spec)
        file.write_bytes(b" \n")
        with self.assertRaisesRegex(TxlbError, "holds no token"):
            Access.of(spec)
        file.write_bytes(b"first\n")
        self.assertEqual(Access.of(spec), Access(b"first", ("admin.example",)))
        file.write_bytes(b"second\n")
        self.world.admin.admit(Access.of(spec))
        self.assertEqual(self.world.ask("GET", STATE, authorization="Bearer s3cret").status, 401)
        self.assertEqual(self.world.ask("GET", STATE, authorization="Bearer second").status, 200)

    def test_guesses_do_not_fill_the_log(self) -> None:
        """One line in a while says who was refused, and how often."""
        for _ in range(50):
            self.world.ask("GET", STATE)
        self.world.clock.advance(REFUSALS_LOGGED_EVERY)
        self.world.ask("GET", STATE)
        refused = [line for line in self.lines if "refused" in line]
        self.assertEqual(len(refused), 2)
        self.assertIn("127.0.0.1:40000: a token is needed (50 since last told)", refused[1])


class HostTests(SynchronousTestCase):
    """The Host header, against names that suddenly resolve to this machine."""

    def statuses(self, world: World, hosts: list[str | None], path: str = STATE, **ends: object) -> list[int]:
        """What each of these hosts gets."""
        return [world.ask("GET", path, client=world.connect(**ends), host=host).status for host in hosts]

    def test_own_names(self) -> None:
        """This machine's names with the port, in any case."""
        own = ["localhost:9090", "127.0.0.1:9090", "[::1]:9090", "LOCALHOST:9090"]
        self.assertEqual(self.statuses(World(), own), [200] * 4)

    def test_others(self) -> None:
        """Any other name, port or spelling, for the page and the API alike."""
        others = ["evil.example:9090", "localhost", "localhost:9091", "localhost:9090.evil.example", "127.0.0.1",
                  "localhost.:9090", "localhost:9090:9090", "user@localhost:9090", "", "localhost:09090"]  # fmt: skip
        for path in (STATE, "/", "/app.js"):
            self.assertEqual(self.statuses(World(), others, path), [403] * len(others))

    def test_none(self) -> None:
        """HTTP/1.1 needs exactly one."""
        world = World()
        self.assertEqual(self.statuses(world, [None]), [400])
        client = world.connect()
        client.send(f"GET {STATE} HTTP/1.1\r\nhost: {HOST}\r\nhost: {HOST}\r\n\r\n".encode())
        self.assertEqual(client.answers()[0].status, 400)

    def test_probes_and_scrapers(self) -> None:
        """They come by any name or address."""
        for path in ("/health", "/ready", "/metrics"):
            self.assertEqual(self.statuses(World(), ["10.1.2.3:9090", "anything", None], path), [200] * 3)

    def test_bound_address(self) -> None:
        """The address that the client reached, which no name can imitate."""
        here = IPv4Address("TCP", "192.0.2.1", 9090)
        told = ["192.0.2.1:9090", "192.0.2.2:9090", "192.0.2.1"]
        self.assertEqual(self.statuses(World(), told, here=here), [200, 403, 403])
        here6 = IPv6Address("TCP", "2001:db8::1", 9090)
        self.assertEqual(self.statuses(World(), ["[2001:db8::1]:9090", "2001:db8::1:9090"], here=here6), [200, 403])

    def test_default_port(self) -> None:
        """On port 80 a browser does not name it."""
        here = IPv4Address("TCP", "127.0.0.1", 80)
        self.assertEqual(self.statuses(World(), ["localhost", "localhost:80"], here=here), [200, 200])

    def test_configured(self) -> None:
        """`hosts` are taken with the port and without, or exactly as they are where they have one."""
        world = World(access=Access(hosts=("lb.example", "lb2.example:8443")))
        told = ["lb.example", "LB.example:9090", "lb2.example:8443", "lb.example:1", "lb2.example", "x.lb.example"]
        self.assertEqual(self.statuses(world, told), [200, 200, 200, 403, 403, 403])

    def test_unix_socket(self) -> None:
        """No page can reach one, so every name will do."""
        world = World()
        self.assertEqual(world.ask("GET", STATE, client=world.connect_unix(), host="whatever").status, 200)


class OriginTests(SynchronousTestCase):
    """Origin and Sec-Fetch-Site, against pages of other sites."""

    def ask(self, path: str = STATE, **headers: str) -> int:
        """The status with these headers."""
        return World().ask("GET", path, **headers).status

    def test_origin(self) -> None:
        """One that is there has to be the admin's own."""
        self.assertEqual(self.ask(origin=f"http://{HOST}"), 200)
        for origin in ("http://evil.example", "null", "http://localhost", "http://localhost:9091", "", "file://",
                       f"http://{HOST}.evil.example", f"ftp://{HOST}", "http://[", f"http://x@{HOST}"):  # fmt: skip
            for path in (STATE, "/"):
                self.assertEqual(self.ask(path, origin=origin), 403, origin)

    def test_change_from_elsewhere(self) -> None:
        """Nothing is changed for a page of another site."""
        world = World()
        for headers in ({"origin": "http://evil.example"}, {"sec_fetch_site": "cross-site"}):
            answer = world.ask("POST", "/api/v1/pools/web/backends/a", {"admin": "maint"}, **headers)
            self.assertEqual(answer.status, 403)
        self.assertEqual(world.pool.backends["a"].admin, "ready")

    def test_fetch_metadata(self) -> None:
        """The admin's own page, or the address bar; not another site, not even one of the same domain."""
        for site, status in {"same-origin": 200, "none": 200, "same-site": 403, "cross-site": 403}.items():
            self.assertEqual(self.ask(sec_fetch_site=site), status)

    def test_link_to_the_page(self) -> None:
        """A link on another site may show the page, which it cannot read; it may not embed it or call the API."""
        link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
        self.assertEqual(self.ask("/", **link), 200)
        self.assertEqual(self.ask(STATE, **link), 403)
        self.assertEqual(self.ask("/", **{**link, "sec_fetch_dest": "iframe"}), 403)
        self.assertEqual(self.ask("/app.js", sec_fetch_site="cross-site", sec_fetch_mode="no-cors"), 403)

    def test_probes(self) -> None:
        """They are nobody's page."""
        self.assertEqual(self.ask("/health", origin="http://evil.example"), 200)

    def test_unix_socket(self) -> None:
        """The origin has to match the host there too."""
        world = World()
        told = {"host": "lb", "origin": "http://evil.example"}
        self.assertEqual(world.ask("GET", STATE, client=world.connect_unix(), **told).status, 403)


class WhoTests(SynchronousTestCase):
    """Who is at the other end."""

    def test_addresses(self) -> None:
        """Address and port."""
        self.assertEqual(who(None, IPv4Address("TCP", "192.0.2.7", 5)), "192.0.2.7:5")
        self.assertEqual(who(None, IPv6Address("TCP", "2001:db8::7", 5)), "[2001:db8::7]:5")

    def test_unix(self) -> None:
        """The user, by the kernel's word."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)

        class Transport:
            def getHandle(self) -> socket.socket:
                return ours

        self.assertEqual(who(Transport(), UNIXAddress("")), f"uid {os.getuid()}")
        self.assertEqual(who(object(), UNIXAddress("")), "UNIX socket")


class PrivateTests(SynchronousTestCase):
    """The mode of a UNIX socket."""

    def test_mode(self) -> None:
        """For its owner alone, unless the configuration says otherwise."""
        for listen, wanted in {
            "unix:/run/a.sock": "unix:/run/a.sock:mode=600",
            "unix:/run/a.sock:lockfile=0": "unix:/run/a.sock:lockfile=0:mode=600",
            "unix:/run/a.sock:mode=660": "unix:/run/a.sock:mode=660",
            "unix:/run/a.sock:660": "unix:/run/a.sock:660",
            "tcp:9090": "tcp:9090",
        }.items():
            self.assertEqual(private(listen), wanted)
