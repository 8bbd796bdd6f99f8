"""An upgrade that nobody notices: one process takes another's place, with clients who know nothing of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs
from txlb.cli.upgrade import catches

CONFIG = """
workers: {workers}
listeners:
  web:
    listen: ["tcp:{web}:interface=127.0.0.1", "unix:{place}/web.sock"{listen}]
    pool: echoes
    engine: {engine}
pools:
  echoes:
    strategy: {strategy}
    backends:
      - {{name: green, connect: "tcp:127.0.0.1:{green}"}}
      - {{name: blue, connect: "tcp:127.0.0.1:{blue}"}}
    health: {{check: tcp, interval: 60s}}
echo:
  - tcp:{green}:interface=127.0.0.1
  - tcp:{blue}:interface=127.0.0.1
admin: {{listen: "tcp:{admin}:interface=127.0.0.1"}}
drain_timeout: 20s
"""

MB = 1024 * 1024

HANG = "import time\ntime.sleep(600)\n"
"""A `sitecustomize` that keeps an interpreter from ever starting."""

ONE_BAD_WORKER = """
import os, time
if os.environ.get("TXLB_WORKER") == "1":
    time.sleep(3)
    os._exit(9)
"""

ACTIVATE = """
import os, socket, sys
unix = socket.socket(socket.AF_UNIX)
unix.bind(sys.argv[2])
os.chmod(sys.argv[2], 0o600)
unix.listen()
door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(door.fileno(), 20)
os.dup2(unix.fileno(), 21)
os.dup2(20, 3)
os.dup2(21, 4)
os.closerange(20, 22)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "door:hatch"}
os.execv(sys.argv[3], sys.argv[3:])
"""
"""What systemd does for a service with a socket unit."""


class Traffic:
    """Clients that come and go, each with a request that is echoed. It stops by itself after `most` connections."""

    def __init__(self, port: int, threads: int = 4, most: int = 20000) -> None:
        self.failures: list[str] = []
        self.done = 0
        self._port, self._most = port, most // threads
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No more; returns when all have ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        for _ in range(self._most):
            if self._stop.is_set():
                return
            try:
                self._visit()
            except OSError as error:
                self.failures.append(repr(error))

    def _visit(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=20) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := client.recv(4096):
                received += chunk
        self.done += 1
        if received != b"hello":
            self.failures.append(f"got {received!r}")


class UpgradeCase(SynchronousTestCase):
    """A balancer, whatever process it is at the moment."""

    workers = 1

    def setUp(self) -> None:
        self.place = programs.folder(self)
        self.file = self.place / "config.yaml"
        self.values: dict[str, Any] = {
            "workers": self.workers,
            "place": self.place,
            "engine": "auto",
            "strategy": "round-robin",
            "listen": "",
            **{name: programs.free_port() for name in ("web", "green", "blue", "admin")},
        }
        self.count = 0
        self.clients: list[socket.socket] = []

    def write(self, **changes: object) -> None:
        """The file with these values changed."""
        self.values.update(changes)
        self.file.write_text(CONFIG.format(**self.values))

    def start(self, *before: str, **environment: str) -> programs.Program:
        """The first process, once it serves."""
        self.write()
        more = {"PYTHONPATH": f"{self.place}{os.pathsep}{programs.ROOT}", **environment}
        command = [*before, *programs.twist_command("txlb", "--config", str(self.file))]
        self.program = programs.start(self, command, cwd=self.place, environment=more)
        self.program.wait_for_output("web: listening")
        self.pid = self.program.pid
        status = Path(f"/proc/{self.pid}/status")
        programs.wait_until(lambda: catches(status.read_text(), signal.SIGUSR2), "signals to be expected")
        return self.program

    def upgrade(self) -> None:
        """Signal the process that is the balancer now, and wait until another one is."""
        os.kill(self.pid, signal.SIGUSR2)
        self.count += 1
        self.wait_for("web: listening", self.count + 1)
        self.pid = int(re.findall(r"process (\d+) has taken over", self.program.output())[-1])

    def wait_for(self, pattern: str, times: int = 1, seconds: float = 40.0) -> None:
        """Until all processes together have said that so often; the first one may have ended."""
        try:
            programs.wait_until(lambda: len(re.findall(pattern, self.program.output())) >= times, pattern, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.program.output()[-4000:]}") from None

    def state(self) -> dict[str, Any]:
        """What the admin says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.values['admin']}/api/v1/state", timeout=20) as answer:
            return dict(json.load(answer))

    def post(self, backend: str, method: str = "POST", **body: object) -> None:
        """An operator's word."""
        where = f"http://127.0.0.1:{self.values['admin']}/api/v1/pools/echoes/backends/{backend}"
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(
            urllib.request.Request(where, json.dumps(body).encode(), headers, method=method), timeout=20
        ).close()

    def connect(self, unix: bool = False, port: int = 0, name: str = "web.sock") -> socket.socket:
        """A client."""
        if unix:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(20)
            client.connect(f"{self.place}/{name}")
        else:
            client = socket.create_connection(("127.0.0.1", port or self.values["web"]), timeout=20)
        self.clients.append(client)
        self.addCleanup(client.close)
        return client

    def echo(self, client: socket.socket) -> None:
        """What is sent comes back."""
        client.sendall(b"hello")
        self.assertEqual(client.recv(5, socket.MSG_WAITALL), b"hello")

    def alive(self, pid: int) -> bool:
        """Whether there is such a process that has not ended."""
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def assert_ends(self) -> None:
        """Without clients, the last process drains at once and takes all that is left with it."""
        for client in self.clients:
            client.close()
        os.kill(self.pid, signal.SIGTERM)
        programs.wait_until(lambda: not self.alive(self.pid), f"the end of {self.pid}")
        self.assertEqual(sorted(path.name for path in self.place.glob("web.sock*")), [])
        programs.wait_until(lambda: not programs.listening(self.values["web"]), "the port to be free")


class AddedBackends:
    """What the configuration does not know; a mixin."""

    def test_an_added_backend(self: Any) -> None:
        """One that an operator added, and that is the only one to take connections, takes them after an upgrade."""
        self.start()
        self.post("new", "PUT", connect=f"tcp:127.0.0.1:{self.values['green']}")
        self.post("green", weight=0)
        self.post("blue", "DELETE")
        self.upgrade()
        for _ in range(8):
            self.echo(self.connect())
        backends = self.state()["pools"]["echoes"]["backends"]
        self.assertEqual({name: backend["weight"] for name, backend in backends.items()}, {"green": 0, "new": 1})
        self.assert_ends()


class Upgrades(AddedBackends, UpgradeCase):
    """`SIGUSR2`"""

    def test_nobody_notices(self) -> None:
        """A transfer whose SHA-256 is right, and hundreds of connections a second of which none fails, over an upgrade;
        the old process ends with 0 when its last connection has."""
        program = self.start()
        transfer = Transfer(self.connect(), 48 * MB)
        traffic = Traffic(self.values["web"])
        try:
            programs.wait_until(lambda: traffic.done > 100, "traffic")
            self.upgrade()
            before = traffic.done
            programs.wait_until(lambda: traffic.done > before + 200, "traffic with the new process")
            self.assertTrue(program.alive())
            transfer.finish()
            self.assertEqual(program.wait(40), 0)
        finally:
            traffic.stop()
            transfer.finish()
        self.assertEqual(traffic.failures, [])
        self.assertEqual(transfer.received, transfer.sent)
        self.assertEqual(self.state()["pid"], self.pid)
        self.assert_ends()

    def test_a_chain(self) -> None:
        """Three upgrades in a row: the operator's words and the verdicts of checks go along, the UNIX socket stays and
        works, no descriptor is left over, and the last process removes what the first made."""
        self.start()
        self.post("green", weight=7)
        self.post("blue", admin="drain")
        programs.wait_until(lambda: self.health() == ["up", "up"], "the verdicts")
        held = []
        for _ in range(3):
            old = self.pid
            self.upgrade()
            programs.wait_until(lambda old=old: not self.alive(old), "the old one's end")
            self.echo(self.connect())
            self.echo(self.connect(unix=True))
            self.assertEqual((self.place / "web.sock.lock").readlink(), Path(str(self.pid)))
            backends = self.state()["pools"]["echoes"]["backends"]
            self.assertEqual([backends["green"]["weight"], backends["blue"]["admin"]], [7, "drain"])
            self.assertEqual(self.health(), ["up", "up"])
            programs.wait_until(lambda: self.state()["listeners"]["web"]["open"] <= 2, "the end of other clients")
            held.append(self.sockets())
        self.assertEqual(held[0], held[2])
        self.assert_ends()

    def health(self) -> list[str]:
        """Of the two backends."""
        return [backend["health"] for backend in self.state()["pools"]["echoes"]["backends"].values()]

    def sockets(self) -> set[str]:
        """The listening sockets that this process holds, by their numbers in the kernel."""
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = {row[9] for row in rows if row[3] == "0A"}
        rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:]]
        listening |= {row[6] for row in rows if row[3] == "00010000"}
        held = [link(entry) for entry in Path(f"/proc/{self.pid}/fd").iterdir()]
        return {inode for inode in listening if f"socket:[{inode}]" in held}

    def test_a_broken_configuration(self) -> None:
        """The new process refuses the file: one line says why, the old one goes on, and takes another try."""
        program = self.start()
        client = self.connect()
        self.echo(client)
        self.write(strategy="fastest-first")
        program.signal(signal.SIGUSR2)
        self.wait_for(r"Not upgraded: the new process ended with exit code 78 .*: unknown strategy")
        self.echo(client)
        self.echo(self.connect(unix=True))
        self.assertEqual(self.state()["upgrade"]["failures"], 1)
        self.write(strategy="least-connections")
        self.upgrade()
        self.echo(client)
        self.echo(self.connect())
        client.close()
        self.assertEqual(program.wait(), 0)
        self.assertEqual(self.state()["pools"]["echoes"]["strategy"], "least-connections")
        self.assert_ends()

    def test_a_port_that_cannot_be_had(self) -> None:
        """The new process wants a port that somebody else has: the old one goes on, and its UNIX socket stays."""
        program = self.start()
        with socket.create_server(("127.0.0.1", 0)) as other:
            self.write(listen=f', "tcp:{other.getsockname()[1]}:interface=127.0.0.1"')
            program.signal(signal.SIGUSR2)
            self.wait_for(r"Not upgraded: .* exit code 69 .*Address already in use")
        self.echo(self.connect(unix=True))
        self.echo(self.connect())
        self.assert_ends()

    def test_a_new_process_that_hangs(self) -> None:
        """It is killed when its time is over; a second upgrade meanwhile is refused, a reload waits its turn."""
        program = self.start(TXLB_UPGRADE_TIMEOUT="2s")
        (self.place / "sitecustomize.py").write_text(HANG)
        program.signal(signal.SIGUSR2)
        successor = int(program.wait_for_output(r"started process (\d+)")[1])
        program.signal(signal.SIGUSR2)
        self.wait_for("Not upgraded: an upgrade is under way")
        program.signal(signal.SIGHUP)
        self.echo(self.connect())
        self.wait_for("Not upgraded: the new process was not ready within 2 s")
        self.wait_for("Reloaded ")
        self.assertNotIn("Reloaded", program.output().partition("not ready within")[0])
        programs.wait_until(lambda: not self.alive(successor), "the end of the new one")
        (self.place / "sitecustomize.py").unlink()
        self.upgrade()
        self.echo(self.connect())
        self.assert_ends()

    def test_the_end_meanwhile(self) -> None:
        """SIGTERM during an upgrade ends the old process with 0, and the new one too."""
        program = self.start()
        (self.place / "sitecustomize.py").write_text(HANG)
        program.signal(signal.SIGUSR2)
        successor = int(program.wait_for_output(r"started process (\d+)")[1])
        program.signal(signal.SIGTERM)
        self.assertEqual(program.wait(), 0)
        self.wait_for("Not upgraded: this process ends")
        programs.wait_until(lambda: not self.alive(successor), "the end of the new one")
        self.assertEqual(list(self.place.glob("web.sock*")), [])

    def test_a_death_meanwhile(self) -> None:
        """`kill -9` of the old process during an upgrade: the new one takes over by itself, also the UNIX socket."""
        program = self.start()
        (self.place / "sitecustomize.py").write_text("import time\ntime.sleep(2)\n")
        program.signal(signal.SIGUSR2)
        self.pid = int(program.wait_for_output(r"started process (\d+)")[1])
        program.signal(signal.SIGKILL)
        self.wait_for("web: listening", 2)
        self.echo(self.connect())
        self.echo(self.connect(unix=True))
        self.assertEqual(self.state()["pid"], self.pid)
        self.assert_ends()

    def test_a_listener_that_goes(self) -> None:
        """What the new configuration has no listener for is closed, and a UNIX socket's file goes with it."""
        program = self.start()
        self.file.write_text(self.file.read_text().replace(f', "unix:{self.place}/web.sock"', ""))
        self.upgrade()
        self.assertEqual(program.wait(), 0)
        self.assertEqual(list(self.place.glob("web.sock*")), [])
        self.echo(self.connect())
        self.assert_ends()

    def test_command(self) -> None:
        """`txlb upgrade` waits for the end, and tells it."""
        program = self.start()
        command = [sys.executable, "-m", "txlb", "upgrade", "--config", str(self.file)]
        done = programs.run(command, cwd=programs.ROOT)
        self.pid = int(re.findall(r"process (\d+) has taken over from process", done.stdout)[0])
        self.assertEqual(program.wait(), 0)
        (self.place / "sitecustomize.py").write_text("import os\nos._exit(3)\n")
        failed = programs.run(command, check=False, cwd=programs.ROOT)
        self.assertEqual(failed.returncode, 70)
        self.assertIn("ended with exit code 3", failed.stderr)
        refused = programs.run([*command, "--pid", "1"], check=False, cwd=programs.ROOT)
        self.assertEqual(refused.returncode, 70)
        (self.place / "sitecustomize.py").unlink()
        self.assert_ends()


class ReactorEngineUpgrades(UpgradeCase):
    """The engine of Twisted's transports."""

    def test_nobody_notices(self) -> None:
        """Hundreds of connections a second: none fails."""
        self.values["engine"] = "reactor"
        program = self.start()
        traffic = Traffic(self.values["web"])
        try:
            programs.wait_until(lambda: traffic.done > 100, "traffic")
            self.upgrade()
            self.assertEqual(program.wait(40), 0)
        finally:
            traffic.stop()
        self.assertEqual(traffic.failures, [])
        self.assert_ends()


class ManyWorkers(AddedBackends, UpgradeCase):
    """A parent of two workers takes over from another one."""

    workers = 2

    def test_nobody_notices(self) -> None:
        """A transfer and hundreds of connections a second, over two upgrades, with an operator's words."""
        program = self.start()
        self.post("green", weight=7)
        transfer = Transfer(self.connect(), 32 * MB)
        traffic = Traffic(self.values["web"])
        try:
            programs.wait_until(lambda: traffic.done > 100, "traffic")
            self.upgrade()
            self.upgrade()
            before = traffic.done
            programs.wait_until(lambda: traffic.done > before + 100, "traffic with the new process")
            self.assertTrue(program.alive())
            transfer.finish()
            self.assertEqual(program.wait(40), 0)
        finally:
            traffic.stop()
            transfer.finish()
        self.assertEqual(traffic.failures, [])
        self.assertEqual(transfer.received, transfer.sent)
        state = self.state()
        self.assertEqual(state["pools"]["echoes"]["backends"]["green"]["weight"], 7)
        self.assertEqual(len(state["workers"]), 2)
        self.echo(self.connect(unix=True))
        self.assert_ends()

    def test_a_worker_that_cannot_start(self) -> None:
        """One of the new workers ends while it starts, when the other is ready: the old ones go on, and no client has
        met the new ones."""
        program = self.start()
        (self.place / "sitecustomize.py").write_text(ONE_BAD_WORKER)
        traffic = Traffic(self.values["web"])
        try:
            programs.wait_until(lambda: traffic.done > 100, "traffic")
            program.signal(signal.SIGUSR2)
            self.wait_for("Not upgraded: the new process ended with exit code 70 .*worker 1 ended with exit code 9")
        finally:
            traffic.stop()
        self.assertEqual(traffic.failures, [])
        self.assertEqual(self.state()["pid"], program.pid)
        self.assert_ends()

    def test_fewer_workers(self) -> None:
        """One worker is asked for: no queue may be left without one, so there are two still."""
        self.start()
        self.write(workers=1)
        self.upgrade()
        self.assertEqual(len(self.state()["workers"]), 2)
        for _ in range(20):
            self.echo(self.connect())
        self.assert_ends()

    def test_more_workers(self) -> None:
        """From one process to two workers, who share its sockets."""
        self.values["workers"] = 1
        self.start()
        self.write(workers=2)
        self.upgrade()
        self.assertEqual(len(self.state()["workers"]), 2)
        for _ in range(20):
            self.echo(self.connect())
        self.echo(self.connect(unix=True))
        self.assert_ends()


class Systemd(UpgradeCase):
    """As a service."""

    def test_messages(self) -> None:
        """systemd hears of readiness, a reload, the watchdog, the new main process and the end, in this order."""
        address = self.place / "notify"
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notify.close)
        notify.bind(str(address))
        program = self.start(NOTIFY_SOCKET=str(address), WATCHDOG_USEC="10000000")
        self.heard(notify, "READY=1", "STATUS=serving 1 listener, 1 pool")
        self.heard(notify, "WATCHDOG=1")
        program.signal(signal.SIGHUP)
        self.heard(notify, "RELOADING=1", "MONOTONIC_USEC=")
        self.heard(notify, "READY=1")
        self.upgrade()
        self.heard(notify, "STATUS=a new process starts")
        self.heard(notify, f"MAINPID={self.pid}")
        self.heard(notify, "READY=1")
        self.heard(notify, "WATCHDOG=1")
        self.assert_ends()
        self.heard(notify, "STOPPING=1")

    def heard(self, notify: socket.socket, *lines: str) -> None:
        """The next message begins its lines like that; watchdogs come in between, for as long as it takes."""
        notify.settimeout(30)
        message = notify.recv(4096).decode().splitlines()
        while message == ["WATCHDOG=1"] and lines != ("WATCHDOG=1",):
            message = notify.recv(4096).decode().splitlines()
        self.assertEqual(
            [said.startswith(line) for said, line in zip(message, lines, strict=False)], [True] * len(lines)
        )

    def test_sockets_of_systemd(self) -> None:
        """Sockets that systemd bound go along, a reload afterwards knows them too, and a UNIX socket's file stays as
        systemd made it."""
        self.values["listen"] = ', "systemd:domain=INET:name=door", "systemd:domain=UNIX:index=1"'
        door, hatch = programs.free_port(), self.place / "hatch"
        program = self.start(sys.executable, "-c", ACTIVATE, str(door), str(hatch))
        for _ in range(2):
            self.upgrade()
            self.echo(self.connect(port=door))
            self.echo(self.connect(unix=True, name="hatch"))
        os.kill(self.pid, signal.SIGHUP)
        self.wait_for("Reloaded ")
        self.echo(self.connect(port=door))
        self.assert_ends()
        self.assertEqual(program.wait(), 0)
        self.assertEqual(hatch.stat().st_mode & 0o777, 0o600)


class Transfer:
    """Sends at least so many bytes through an echo and reads them back, in two threads, slowly until it is to `finish`,
    or for two minutes."""

    def __init__(self, client: socket.socket, size: int) -> None:
        self.sent = self.received = ""
        self._client, self._size = client, size
        self._hurry = threading.Event()
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """As fast as it goes from now on; returns at the end."""
        self._hurry.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        digest, piece = hashlib.sha256(), os.urandom(MB // 4)
        for count in range(600):
            if self._hurry.is_set() and count * len(piece) >= self._size:
                break
            sent = count.to_bytes(8) + piece[8:]
            digest.update(sent)
            self._client.sendall(sent)
            self._hurry.wait(0.2)
        self._client.shutdown(socket.SHUT_WR)
        self.sent = digest.hexdigest()

    def _receive(self) -> None:
        digest = hashlib.sha256()
        while chunk := self._client.recv(65536):
            digest.update(chunk)
        self.received = digest.hexdigest()


def link(entry: Path) -> str:
    """Where a link of /proc leads; nowhere once it is gone."""
    try:
        return str(entry.readlink())
    except FileNotFoundError:
        return ""
