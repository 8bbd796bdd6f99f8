"""What the admin answers, path by path."""

from __future__ import annotations

from urllib.parse import quote

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.fakes import THERE, LogCase, World, request
from txlb.admin.answers import SECURITY_HEADERS
from txlb.admin.server import ANSWER_TIME
from txlb.errors import ConfigError, Problem, TxlbError
from txlb.events import BackendChanged

BACKEND = "/api/v1/pools/web/backends/a"


class ProbeTests(SynchronousTestCase):
    """`/health` and `/ready`"""

    def test_health(self) -> None:
        """It is alive, whatever else is wrong."""
        world = World()
        world.house.draining = True
        self.assertEqual(world.ask("GET", "/health").json, {"alive": True})

    def test_ready(self) -> None:
        """Ready while every pool has a backend, not while draining."""
        world = World()
        self.assertEqual(world.ask("GET", "/ready").status, 200)
        for name in ("a", "b"):
            world.pool.set_admin(name, "maint", "test")
        world.clock.advance(0)
        answer = world.ask("GET", "/ready")
        self.assertEqual((answer.status, answer.json["ready"]), (503, False))
        self.assertIn("no backend", answer.json["reason"])
        world.house.draining = True
        self.assertEqual(world.ask("GET", "/ready").json["reason"], "draining")


class StateTests(SynchronousTestCase):
    """`/api/v1/state`"""

    def test_contract(self) -> None:
        """Listeners and pools as in the contract, and what the process is beside."""
        world = World()
        world.clock.advance(5)
        state = world.ask("GET", "/api/v1/state").json
        self.assertEqual(set(state["pools"]["web"]["backends"]), {"a", "b"})
        self.assertEqual(state["listeners"], {})
        self.assertEqual((state["uptime"], state["draining"], state["ready"]), (5, False, True))
        self.assertEqual(state["config"], "config.yaml")
        self.assertIn("version", state)

    def test_security_headers(self) -> None:
        """Every answer has them, refusals too."""
        world = World()
        for path in ("/", "/api/v1/state", "/nowhere", "/metrics", "/health"):
            headers = world.ask("GET", path).headers
            for name in SECURITY_HEADERS:
                self.assertIn(name.lower(), headers)
        self.assertNotIn("unsafe", headers["content-security-policy"])

    def test_head(self) -> None:
        """HEAD is GET without the body, with its length."""
        client = World().connect()
        client.send(request("HEAD", "/health"))
        head, _, body = client.taken().partition(b"\r\n\r\n")
        self.assertEqual(body, b"")
        self.assertIn(b"Content-Length: 16", head)

    def test_too_late(self) -> None:
        """Where another process does not answer in time, the client hears so."""
        hanging = World(metrics=lambda: Deferred())
        client = hanging.connect()
        client.send(request("GET", "/metrics"))
        self.assertEqual(client.answers(), [])
        hanging.clock.advance(ANSWER_TIME)
        self.assertEqual(client.answers()[0].status, 504)

    def test_internal_failure(self) -> None:
        """What goes wrong inside is a 500 without details, and logged."""
        world = World(metrics=lambda: 1 / 0)
        answer = world.ask("GET", "/metrics")
        self.assertEqual(answer.status, 500)
        self.assertNotIn("division", answer.json["error"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class MetricsTests(SynchronousTestCase):
    """`/metrics`"""

    def test_served(self) -> None:
        """What the renderer gives, at once or later."""
        for render in (lambda: b"x 1\n", lambda: succeed(b"x 1\n")):
            answer = World(metrics=render).ask("GET", "/metrics")
            self.assertEqual((answer.status, answer.body), (200, b"x 1\n"))
            self.assertTrue(answer.headers["content-type"].startswith("text/plain; version=0.0.4"))

    def test_none(self) -> None:
        """Without a renderer there is no such path."""
        self.assertEqual(World(metrics=None).ask("GET", "/metrics").status, 404)


class PageTests(SynchronousTestCase):
    """The dashboard's files."""

    def test_served(self) -> None:
        """The page at `/`, its files by name, and a browser that has one already is told that it is the same."""
        world = World()
        self.assertEqual(world.ask("GET", "/").body, b"<html>")
        self.assertEqual(world.ask("GET", "/app.js").headers["content-type"], "text/javascript")
        answer = world.ask("GET", "/", if_none_match='"0", "1"')
        self.assertEqual((answer.status, answer.body), (304, b""))

    def test_nothing_else(self) -> None:
        """No path leads out of the folder."""
        world = World()
        for path in ("/../access.py", "/%2e%2e/access.py", "/..%2faccess.py", "//", "/static/app.js", "/app.js/"):
            self.assertEqual(world.ask("GET", path).status, 404, path)


class ExplainTests(SynchronousTestCase):
    """`/api/v1/pools/POOL/explain`"""

    def test_explains(self) -> None:
        """The pool's own explanation."""
        answer = World().ask("GET", "/api/v1/pools/web/explain?client=192.0.2.7").json
        self.assertEqual((answer["pool"], answer["pick"]), ("web", "b"))

    def test_refused(self) -> None:
        """No such pool, no address, or something that is not asked for."""
        world = World()
        for path, status in {
            "/api/v1/pools/none/explain?client=192.0.2.7": 404,
            "/api/v1/pools/web/explain": 400,
            "/api/v1/pools/web/explain?client=example.org": 400,
            "/api/v1/pools/web/explain?client=192.0.2.7&client=192.0.2.8": 400,
            "/api/v1/pools/web/explain?client=192.0.2.7&x=1": 400,
            "/api/v1/pools/web/explain?client=%ff": 400,
        }.items():
            answer = world.ask("GET", path)
            self.assertEqual(answer.status, status, path)
            self.assertTrue(answer.json["error"])


class ChangeTests(LogCase):
    """`POST /api/v1/pools/POOL/backends/NAME`"""

    def test_both(self) -> None:
        """Admin state and weight in one request; the answer is what the backend is then."""
        world = World()
        answer = world.ask("POST", BACKEND, {"admin": "drain", "weight": 7}).json
        self.assertEqual((answer["admin"], answer["weight"], answer["eligible"]), ("drain", 7, False))
        self.assertEqual(world.pool.backends["a"].effective_weight, 700)

    def test_audit(self) -> None:
        """Each change is a line of who, what, old and new, and an event."""
        world, seen = World(), []
        world.house.bus.subscribe(BackendChanged, seen.append)
        world.ask("POST", BACKEND, {"admin": "maint"})
        by = f"{THERE.host}:{THERE.port}"
        self.assertIn(f"Audit: {by} changed web/a: admin ready -> maint", self.lines)
        self.assertEqual([(event.what, event.value, event.by) for event in seen], [("admin", "maint", by)])

    def test_wrong_values_change_nothing(self) -> None:
        """Both are checked before either is applied, and the reason names what is wrong."""
        world = World()
        for body, words in [
            ({"admin": "off"}, "admin: must be one of ready, drain, maint"),
            ({"admin": None}, "admin: must be"),
            ({"admin": "drain", "weight": 1001}, "weight: must be a whole number from 0 to 1000, not 1001"),
            ({"admin": "drain", "weight": -1}, "weight"),
            ({"admin": "drain", "weight": 1.0}, "weight"),
            ({"admin": "drain", "weight": True}, "weight"),
            ({"admin": "drain", "weight": "3"}, "weight"),
            ({"admin": "drain", "wieght": 3}, "did you mean weight?"),
            ({}, "say admin"),
            ([], "has to be a JSON object"),
            (b"{", "not JSON"),
            (b'{"weight": NaN}', "NaN is no number"),
            (b'{"weight": 1, "weight": 2}', "twice"),
            (b"[" * 60000, "nested too deeply"),
            (b"\xff\xfe", "not JSON"),
            (b"", "is needed"),
        ]:
            answer = world.ask("POST", BACKEND, body)
            self.assertEqual(answer.status, 400, body)
            self.assertIn(words, answer.json["error"])
        self.assertEqual(world.pool.backends["a"].admin, "ready")
        self.assertEqual([line for line in self.lines if "Audit" in line], [])

    def test_names_with_colons_and_slashes(self) -> None:
        """They are one percent-encoded segment."""
        world = World()
        for name in ("tcp:127.0.0.1:9003", "unix:/run/a b.sock", "größer/100%"):
            path = f"/api/v1/pools/web/backends/{quote(name, safe='')}"
            self.assertEqual(world.ask("PUT", path, {"connect": "tcp:127.0.0.1:9003"}).status, 201)
            self.assertEqual(world.ask("POST", path, {"weight": 3}).json["backend"], name)
            self.assertEqual(world.pool.backends[name].spec.connect, "tcp:127.0.0.1:9003")

    def test_not_there(self) -> None:
        """An unknown pool or backend is a 404 that says which."""
        world = World()
        for path, words in {
            "/api/v1/pools/web/backends/c": "pool web has no backend c",
            "/api/v1/pools/no/backends/a": "no pool is named no",
        }.items():
            for method, body in (("POST", {"weight": 1}), ("DELETE", None)):
                answer = world.ask(method, path, body)
                self.assertEqual((answer.status, answer.json["error"]), (404, words))

    def test_only_json(self) -> None:
        """What a form on another site could send is refused, by its content type."""
        world = World()
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            None,
            "application/jsonx",
        ):
            answer = world.ask("POST", BACKEND, {"admin": "drain"}, content_type=kind)
            self.assertEqual(answer.status, 415, kind)
        self.assertEqual(
            world.ask("POST", BACKEND, {"weight": 2}, content_type="Application/JSON; charset=utf-8").status, 200
        )

    def test_only_by_post(self) -> None:
        """No other method changes anything, and the answer says which there are."""
        world = World()
        answer = world.ask("GET", BACKEND)
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST, PUT, DELETE"))
        answer = world.ask("POST", "/api/v1/state", {})
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))
        for method in ("OPTIONS", "PATCH", "TRACE", "get", "BREW"):
            self.assertEqual(world.ask(method, "/api/v1/state").status, 405)


class RosterTests(LogCase):
    """Adding and removing."""

    path = "/api/v1/pools/web/backends/c"

    def test_add(self) -> None:
        """A backend as in the configuration; the answer is what it is then, and there is an audit line."""
        world = World()
        body = {"connect": "tcp:127.0.0.1:9003", "weight": 4, "max_connections": 9, "backup": True,
                "check_connect": "tcp:127.0.0.1:9004"}  # fmt: skip
        answer = world.ask("PUT", self.path, body)
        self.assertEqual((answer.status, answer.json["weight"], answer.json["backup"]), (201, 4, True))
        spec = world.pool.backends["c"].spec
        self.assertEqual((spec.max_connections, spec.check_connect), (9, "tcp:127.0.0.1:9004"))
        self.assertTrue(any("web/c: backend none -> tcp:127.0.0.1:9003 of weight 4" in line for line in self.lines))

    def test_name_is_where_it_connects(self) -> None:
        """As in the configuration, where a backend's name is its connect string unless it has another."""
        world = World()
        self.assertEqual(world.ask("PUT", "/api/v1/pools/web/backends/tcp:127.0.0.1:9003", {}).status, 201)
        self.assertEqual(world.pool.backends["tcp:127.0.0.1:9003"].spec.connect, "tcp:127.0.0.1:9003")

    def test_wrong(self) -> None:
        """What cannot be a backend is refused with the reason."""
        world = World()
        for body, words in [
            ({}, "connect: must be an endpoint string"),
            ({"connect": "tcp:127.0.0.1"}, "connect: has no port"),
            ({"connect": "nosuch:1:2"}, "connect: "),
            ({"connect": 7}, "connect: must be a client endpoint string"),
            ({"connect": "tcp:a:1\n"}, "connect"),
            ({"connect": "tcp:a:1", "weight": 1001}, "weight"),
            ({"connect": "tcp:a:1", "weight": None}, "weight"),
            ({"connect": "tcp:a:1", "max_connections": 0}, "max_connections"),
            ({"connect": "tcp:a:1", "backup": 1}, "backup"),
            ({"connect": "tcp:a:1", "check_connect": "x"}, "check_connect"),
            ({"connect": "tcp:a:1", "name": "d"}, "unknown key"),
        ]:
            answer = world.ask("PUT", self.path, body)
            self.assertEqual(answer.status, 400, body)
            self.assertIn(words, answer.json["error"])
        for name in ("%0a", "%20", "x" * 201, ""):
            answer = world.ask("PUT", f"/api/v1/pools/web/backends/{name}", {"connect": "tcp:a:1"})
            self.assertEqual(answer.status, 400, name)
        self.assertEqual(set(world.pool.backends), {"a", "b"})

    def test_engine_objects(self) -> None:
        """The word of an engine that cannot dial it."""
        world = World()
        world.house.objects = "the epoll engine cannot dial it"
        answer = world.ask("PUT", self.path, {"connect": "tcp:127.0.0.1:1"})
        self.assertEqual((answer.status, answer.json["error"]), (400, "the epoll engine cannot dial it"))

    def test_there_already(self) -> None:
        """A conflict, and nothing changes."""
        world = World()
        answer = world.ask("PUT", BACKEND, {"connect": "tcp:127.0.0.1:1"})
        self.assertEqual(answer.status, 409)
        self.assertEqual(world.pool.backends["a"].spec.connect, "tcp:127.0.0.1:9001")

    def test_remove(self) -> None:
        """Gone, with an audit line; a second time it is not there."""
        world = World()
        self.assertEqual(world.ask("DELETE", BACKEND).json["removed"], True)
        self.assertEqual(set(world.pool.backends), {"b"})
        self.assertEqual(world.ask("DELETE", BACKEND).status, 404)
        self.assertTrue(any("web/a: backend tcp:127.0.0.1:9001 of weight 1 -> none" in line for line in self.lines))


class ReloadTests(LogCase):
    """`POST /api/v1/reload`"""

    def test_reload(self) -> None:
        """With or without an empty object."""
        world = World()
        self.assertEqual(world.ask("POST", "/api/v1/reload").json, {"reloaded": True})
        self.assertEqual(world.ask("POST", "/api/v1/reload", {}).status, 200)
        self.assertTrue(any("reloads the configuration" in line for line in self.lines))

    def test_form(self) -> None:
        """A form of another site does not reload, nor does one with values."""
        world = World()
        answer = world.ask("POST", "/api/v1/reload", b"", content_type="application/x-www-form-urlencoded")
        self.assertEqual(answer.status, 415)
        self.assertEqual(world.ask("POST", "/api/v1/reload", {"file": "/etc/passwd"}).status, 400)

    def test_wrong_configuration(self) -> None:
        """Every problem is told."""
        world = World()
        problems = [Problem("config.yaml", 3, 1, "pools", "bad"), Problem("config.yaml", 4, 1, "x", "worse")]
        world.reloads.append(lambda: fail(ConfigError(problems)))
        answer = world.ask("POST", "/api/v1/reload")
        self.assertEqual((answer.status, answer.json["problems"]), (422, [str(problem) for problem in problems]))

    def test_port_in_use(self) -> None:
        """The reason, and that nothing has changed."""
        world = World()
        world.reloads.append(lambda: fail(TxlbError("cannot listen on tcp:80")))
        answer = world.ask("POST", "/api/v1/reload")
        self.assertEqual((answer.status, answer.json["error"]), (409, "not reloaded: cannot listen on tcp:80"))

    def test_draining(self) -> None:
        """Too late."""
        world = World()
        world.house.draining = True
        self.assertEqual(world.ask("POST", "/api/v1/reload").status, 409)
