"""Tests for `txlb.health_checks.addresses`."""

from twisted.trial.unittest import SynchronousTestCase

from txlb.health_checks.addresses import host_and_port, target
from txlb.specs import BackendSpec, HealthSpec


class HostAndPortTests(SynchronousTestCase):
    """Endpoint strings are taken apart as Twisted does."""

    def test_forms(self) -> None:
        """Positional and named arguments, in any order, with escaped colons; a UNIX socket has neither."""
        for connect, expected in {
            "tcp:192.0.2.1:80": ("192.0.2.1", "80"),
            "tcp:host=www:port=80": ("www", "80"),
            "tcp:port=80:host=www": ("www", "80"),
            "tcp:www:port=80:timeout=3": ("www", "80"),
            r"tcp:\:\:1:80": ("::1", "80"),
            r"tcp:host=2001\:db8\:\:1:port=443": ("2001:db8::1", "443"),
            "tls:www.example.org:443:timeout=5": ("www.example.org", "443"),
            "unix:/run/app.sock": ("", ""),
            "tcp": ("", ""),
        }.items():
            self.assertEqual(host_and_port(connect), expected, connect)


class TargetTests(SynchronousTestCase):
    """Which address is probed."""

    def test_traffic_address_by_default(self) -> None:
        """Without further word the address that traffic uses is probed."""
        self.assertEqual(target(HealthSpec(), BackendSpec("a", "tcp:a:80")), "tcp:a:80")

    def test_pool_address_with_host(self) -> None:
        """The pool's address for checks gets each backend's host, escaped where it has colons."""
        health = HealthSpec(connect="tcp:{host}:9000")
        self.assertEqual(target(health, BackendSpec("a", "tcp:a:80")), "tcp:a:9000")
        self.assertEqual(target(health, BackendSpec("b", r"tcp:\:\:1:80")), r"tcp:\:\:1:9000")

    def test_no_host_to_fill_in(self) -> None:
        """A backend on a UNIX socket is probed where its traffic goes."""
        health = HealthSpec(connect="tcp:{host}:9000")
        self.assertEqual(target(health, BackendSpec("u", "unix:/run/u.sock")), "unix:/run/u.sock")

    def test_backend_address_wins(self) -> None:
        """A backend's own address for checks goes before the pool's."""
        health = HealthSpec(connect="tcp:{host}:9000")
        self.assertEqual(target(health, BackendSpec("a", "tcp:a:80", check_connect="tcp:c:1")), "tcp:c:1")
