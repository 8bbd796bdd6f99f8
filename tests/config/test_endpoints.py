"""The syntax of endpoint strings."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.endpoints import _parse, quoteStringArgument
from twisted.trial.unittest import SynchronousTestCase

from txlb.config import check_target
from txlb.config.endpoint_forms import CLIENT, SERVER
from txlb.config.endpoints import parse_endpoint, split

_BACKSLASH = "\\"


class Split(SynchronousTestCase):
    """Arguments, keys and backslashes."""

    def test_quoting(self) -> None:
        """A backslash takes the meaning from a colon, an equals sign and itself."""
        self.assertEqual(split(r"unix:/a\:b\\c:mode=6=7:k\=v"), [["unix"], ["/a:b\\c"], ["mode", "6=7"], ["k=v"]])

    @settings(deadline=None)
    @given(st.text(alphabet="ab:=" + _BACKSLASH, max_size=20))
    def test_as_twisted_does(self, text: str) -> None:
        """What Twisted's own parser makes of any text, this one makes too, and it refuses what makes that one fail."""
        try:
            arguments, named = _parse(text)
        except RuntimeError:  # StopIteration in a generator: a backslash at the end
            self.assertRaises(ValueError, split, text)
        else:
            mine = split(text)
            self.assertEqual([argument[0] for argument in mine if len(argument) == 1], arguments)
            self.assertEqual(dict(argument for argument in mine if len(argument) == 2), named)


class Parse(SynchronousTestCase):
    """Known types and their arguments."""

    def test_good(self) -> None:
        """Every usual form."""
        for text in (
            "tcp:80",
            "tcp:0",
            r"tcp:8080:interface=\:\:1",
            "tcp:port=80:backlog=1024",
            "tcp6:80",
            "unix:/run/a.sock:mode=660:lockfile=0",
            "ssl:443:privateKey=k.pem:certKey=c.pem",
            "tls:/etc/certs:443",
            "systemd:domain=INET:index=0",
            "somebodys:own",
        ):
            self.assertEqual(parse_endpoint(text, SERVER).kind, text.partition(":")[0])
        for text in (
            "tcp:127.0.0.1:80",
            r"tcp:\:\:1:80",
            "tcp:host=a:port=80:timeout=3:bindAddress=127.0.0.1",
            "tcp:host=a:80",
            "ssl:a:443:hostname=b",
            "tls:a:443:endpoint=tcp\\:b\\:1",
            "unix:/run/a.sock",
            "unix:path=/run/a.sock:timeout=9",
            "somebodys:own",
        ):
            self.assertEqual(parse_endpoint(text, CLIENT).kind, text.partition(":")[0])

    def bad(self, side: str, text: str) -> str:
        """The message about a string that cannot be."""
        return str(self.assertRaises(ValueError, parse_endpoint, text, side))

    def test_bad_servers(self) -> None:
        """What cannot be listened on, and why."""
        example = "must be an endpoint string such as tcp:8080:interface=127.0.0.1, not "
        cases = (
            ("8080", example + "'8080'"),
            ("127.0.0.1:8080", example + "'127.0.0.1:8080'"),
            (":80", example + "':80'"),
            ("tcp", example + "'tcp'"),
            ("tcp:", "has no port; write for instance tcp:8080:interface=127.0.0.1"),
            ("tcp:65536", "the port must be from 0 to 65535, not 65536"),
            ("tcp:-1", "the port must be a number, not '-1'"),
            ("tcp:8_0", "the port must be a number, not '8_0'"),
            ("tcp:٣", "the port must be a number, not '٣'"),
            ("tcp:http", "the port must be a number, not 'http'"),
            ("tcp:80:intreface=a", "unknown argument 'intreface' in the endpoint string; did you mean interface?"),
            ("tcp:80:x=a", "unknown argument 'x' in the endpoint string; known: port, interface, backlog"),
            ("tcp:80:interface=::1", r"too many arguments at '1' (a colon inside of a value is written \:)"),
            ("tcp:80:backlog=0", "the backlog must be a whole number above 0, not '0'"),
            ("tcp:80\\", "ends in a backslash that stands before nothing"),
            ("unix:", "has no address; write for instance unix:/run/txlb.sock"),
            ("unix:/a:mode=999", "the mode must be octal, such as 660, not '999'"),
            ("unix:/a:lockfile=yes", "the lockfile must be 0 or 1, not 'yes'"),
            (
                "haproxy:tcp:80",
                "haproxy: loses replies after a half-close and reads PROXY headers unsafely, from anybody; "
                "listen on the endpoint inside of it",
            ),
            ("unix:/" + "a" * 107, "the path of a UNIX socket has at most 107 bytes, not 108"),
        )
        for text, expected in cases:
            self.assertEqual(self.bad(SERVER, text), expected, text)

    def test_bad_clients(self) -> None:
        """What cannot be connected to, and why."""
        cases = (
            ("localhost", "must be an endpoint string such as tcp:127.0.0.1:9001, not 'localhost'"),
            ("tcp:9001", "has no port; write for instance tcp:127.0.0.1:9001"),
            ("tcp::9001", "has no host; write for instance tcp:127.0.0.1:9001"),
            ("tcp:a..b:80", "the host must be a name or an IP address, not 'a..b'"),
            (f"tcp:{'x' * 64}:80", f"the host must be a name or an IP address, not '{'x' * 64}'"),
            ("tcp:a:0", "the port must be from 1 to 65535, not 0"),
            ("tcp:a:70000", "the port must be from 1 to 65535, not 70000"),
            ("tcp:::1:80", r"too many arguments at '1' (a colon inside of a value is written \:)"),
            ("tcp:a:80:timeout=soon", "the timeout must be a whole number above 0, not 'soon'"),
            ("tcp:a:80:bindAddress=b", "the bindAddress must be an IP address, not 'b'"),
            ("tcp6:a:80", "tcp6 cannot be connected to; write for instance tcp:127.0.0.1:9001"),
            ("systemd:domain=INET", "systemd cannot be connected to; write for instance tcp:127.0.0.1:9001"),
            ("unix:/" + "é" * 60, "the path of a UNIX socket has at most 107 bytes, not 121"),
        )
        for text, expected in cases:
            self.assertEqual(self.bad(CLIENT, text), expected, text)

    def test_leaves_loopback(self) -> None:
        """Only what is surely local counts as local."""
        away = {
            "tcp:80": True,
            "tcp:80:interface=0.0.0.0": True,
            "tcp6:80": True,
            "tcp:80:interface=lb.example": True,
            "systemd:domain=INET:index=0": True,
            "somebodys:own": True,
            "tcp:80:interface=127.9.9.9": False,
            r"tcp6:80:interface=\:\:1": False,
            "unix:/run/a": False,
        }
        for text, expected in away.items():
            self.assertEqual(parse_endpoint(text, SERVER).leaves_loopback, expected, text)


class CheckTarget(SynchronousTestCase):
    """Where a backend is probed."""

    def test_host(self) -> None:
        """`{host}` is filled in with the backend's own host, quoted again."""
        self.assertEqual(check_target("tcp:10.0.0.7:80", "tcp:{host}:81"), "tcp:10.0.0.7:81")
        self.assertEqual(check_target(r"tcp:\:\:1:80", "tcp:{host}:81"), r"tcp:\:\:1:81")
        self.assertEqual(check_target("unix:/a", "tcp:b:81"), "tcp:b:81")

    def test_no_host(self) -> None:
        """A backend without a host cannot fill it in."""
        self.assertRaises(ValueError, check_target, "unix:/a", "tcp:{host}:81")

    @settings(deadline=None)
    @given(st.text(alphabet="ab:" + _BACKSLASH, min_size=1, max_size=9))
    def test_any_host(self, host: str) -> None:
        """Whatever a host is, the target's host is the same."""
        target = check_target(f"tcp:{quoteStringArgument(host)}:80", "tcp:{host}:81")
        self.assertEqual(parse_endpoint(target, CLIENT).values, {"host": host, "port": "81"})
