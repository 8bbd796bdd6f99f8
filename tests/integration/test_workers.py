"""Several worker processes that are one balancer: deaths, reloads, drains and decisions, with real processes."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import threading
from pathlib import Path

from tests.integration import programs
from tests.integration.crew import CrewCase

MB = 1024 * 1024


class TestDeaths(CrewCase):
    """Processes end in whatever order, and the rest goes on or ends with them."""

    def test_killed_worker(self) -> None:
        """`kill -9` of a worker: only its connections fail, it is replaced, and nothing stays counted."""
        self.echoes("green", "blue")
        balancer = self.start()
        clients = [self.connected()[0] for _ in range(40)]
        victim = self.state()["workers"][0]
        os.kill(victim["pid"], signal.SIGKILL)
        alive = [client for client in clients if self.echo(client)]
        self.assertEqual(len(clients) - len(alive), victim["open"], balancer.output())
        balancer.wait_for_output(r"(?s)Worker 0 is ready.*Worker 0 is ready")
        self.assertTrue(all(self.echo(client) for client in alive))
        more = [self.connected() for _ in range(20)]
        self.assertTrue(all(name for _, name in more))
        self.assertEqual(self.state()["listeners"]["web"]["open"], len(alive) + len(more))
        self.assert_drains_after(balancer, [*alive, *(client for client, _ in more)])

    def assert_drains_after(self, balancer: programs.Program, clients: list[socket.socket]) -> None:
        """Once these connections are closed."""
        for client in clients:
            client.close()
        self.assert_drains(balancer)

    def test_waiting_queue_survives(self) -> None:
        """Clients that connect while a worker is dead wait for its replacement; none is refused or reset."""
        self.echoes("green")
        balancer = self.start()
        os.kill(self.workers(balancer)[1], signal.SIGKILL)
        clients = [self.client() for _ in range(30)]
        self.assertEqual([client.makefile("r").readline() for client in clients], ["green\n"] * 30)
        self.assert_drains_after(balancer, clients)

    def test_stopped_worker(self) -> None:
        """`kill -STOP` of a worker: it is noticed, killed and replaced; the other one's connections never notice."""
        self.echoes("green")
        balancer = self.start()
        clients = [self.connected()[0] for _ in range(20)]
        victim = self.state()["workers"][1]
        os.kill(victim["pid"], signal.SIGSTOP)
        balancer.wait_for_output("Worker 1 has not moved")
        balancer.wait_for_output(r"(?s)Worker 1 is ready.*Worker 1 is ready")
        self.assertTrue(self.ended(victim["pid"]))
        alive = [client for client in clients if self.echo(client)]
        self.assertEqual(len(clients) - len(alive), victim["open"])
        self.assertTrue(all(self.connected()[1] for _ in range(10)))

    def test_killed_parent(self) -> None:
        """`kill -9` of the parent ends the workers, also one that is stopped, and frees the port."""
        self.echoes("green")
        balancer = self.start()
        workers = self.workers(balancer)
        os.kill(workers[0], signal.SIGSTOP)
        balancer.signal(signal.SIGKILL)
        balancer.wait()
        programs.wait_until(lambda: all(map(self.ended, workers.values())), "the workers' end")
        self.assertFalse(programs.listening(self.values["web"]))

    def test_nothing_is_left(self) -> None:
        """Deaths in several orders leave no descriptor in the parent and no shared memory with a name."""
        self.echoes("green")
        balancer = self.start()
        shared = set(os.listdir("/dev/shm"))
        before = self.descriptors(balancer)
        for order in ([0], [1], [0, 1], [1, 0]):
            seen = balancer.output().count("is ready")
            for number in order:
                os.kill(self.workers(balancer)[number], signal.SIGKILL)
            programs.wait_until(
                lambda seen=seen, order=order: balancer.output().count("is ready") == seen + len(order), "replacements"
            )
        programs.wait_until(lambda: self.descriptors(balancer) == before, "the descriptors of before")
        self.assertEqual(set(os.listdir("/dev/shm")) - shared, set())
        self.assert_drains(balancer)

    def descriptors(self, balancer: programs.Program) -> list[str]:
        """What the parent holds open, without the numbers that differ."""
        kinds = []
        for entry in Path(f"/proc/{balancer.pid}/fd").iterdir():
            try:
                kinds.append(str(entry.readlink()).partition(":")[0])
            except FileNotFoundError:
                continue  # it was closed meanwhile
        return sorted(kinds)

    def test_interrupt_of_the_group(self) -> None:
        """Ctrl-C reaches every process of the group: the parent drains, and a transfer under way runs to its end."""
        self.echoes("green")
        balancer = self.start()
        clients = [self.connected()[0] for _ in range(10)]
        os.killpg(balancer.pid, signal.SIGINT)
        balancer.wait_for_output("Draining 10 open connections")
        self.assertTrue(all(self.echo(client) for client in clients))
        for client in clients:
            client.close()
        self.assertEqual(balancer.wait(), 0, balancer.output())


class TestOneBalancer(CrewCase):
    """What one process promises, the many keep."""

    def test_reload_during_a_transfer(self) -> None:
        """Reloads in the middle of transfers change no byte of them, and a bad file changes nothing at all."""
        self.echoes("green")
        balancer = self.start()
        digests: list[bool] = []
        threads = [threading.Thread(target=lambda: digests.append(self.transfer(16 * MB))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for strategy in ("round-robin", "least-time"):
            seen = balancer.output().count("Reloaded")
            self.write(strategy=strategy)
            balancer.signal(signal.SIGHUP)
            programs.wait_until(lambda seen=seen: balancer.output().count("Reloaded") > seen, "the reload")
        self.write(strategy="none-such")
        balancer.signal(signal.SIGHUP)
        balancer.wait_for_output("Not reloaded")
        for thread in threads:
            thread.join()
        self.assertEqual(digests, [True] * 4)
        self.assertEqual(self.state()["pools"]["echoes"]["strategy"], "least-time")
        self.assert_drains(balancer)

    def transfer(self, size: int) -> bool:
        """Whether random bytes come back as they were, by their SHA-256."""
        client, _ = self.connected()
        data = os.urandom(size)
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        digest = hashlib.sha256()
        while chunk := client.recv(65536):
            digest.update(chunk)
        sender.join()
        return digest.digest() == hashlib.sha256(data).digest()

    def test_reload_of_ports(self) -> None:
        """New and old ports: all workers accept on the new one, nobody on the old one; one that is taken changes
        nothing."""
        self.echoes("green")
        balancer = self.start()
        old, new = self.values["web"], programs.free_port()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.write(listen=f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1")
            balancer.signal(signal.SIGHUP)
            balancer.wait_for_output("Not reloaded: cannot listen")
        self.assertEqual(self.connected()[1], "green")
        self.write(listen=f"tcp:{new}:interface=127.0.0.1", web=new)
        balancer.signal(signal.SIGHUP)
        balancer.wait_for_output("Reloaded ")
        self.assertEqual({self.connected()[1] for _ in range(20)}, {"green"})
        programs.wait_until(lambda: not programs.listening(old), "the old port's end")
        self.assert_drains(balancer)

    def test_operators_word_reaches_all(self) -> None:
        """When the request is answered, no worker gives the backend another connection, nor does a replacement."""
        self.echoes("green", "blue")
        balancer = self.start(strategy="round-robin")
        self.assertEqual({self.connected()[1] for _ in range(20)}, {"green", "blue"})
        self.steer("blue", admin="drain")
        self.assertEqual({self.connected()[1] for _ in range(20)}, {"green"})
        os.kill(self.workers(balancer)[0], signal.SIGKILL)
        balancer.wait_for_output(r"(?s)Worker 0 is ready.*Worker 0 is ready")
        self.assertEqual({self.connected()[1] for _ in range(20)}, {"green"})
        self.steer("blue", admin="ready")
        self.assertEqual({self.connected()[1] for _ in range(20)}, {"green", "blue"})

    def test_health_is_found_once(self) -> None:
        """A backend that dies is found by the parent's check and left alone by all workers; it comes back likewise."""
        backends = self.echoes("green", "blue")
        health = "    health: {check: tcp, interval: 200ms, rise: 1, fall: 1}\n    outliers: {failures: 0}"
        self.start(pool=health)
        backends["blue"].stop()
        programs.wait_until(lambda: self.health("blue") == "down", "blue to be down")
        self.assertEqual({self.connected()[1] for _ in range(20)}, {"green"})
        refused = self.state()["pools"]["echoes"]["backends"]["blue"]["outcomes"]["refused"]
        self.assertEqual({self.connected()[1] for _ in range(20)}, {"green"})
        self.assertEqual(self.state()["pools"]["echoes"]["backends"]["blue"]["outcomes"]["refused"], refused)

    def health(self, backend: str) -> str:
        """What the admin says of a backend's health."""
        return str(self.state()["pools"]["echoes"]["backends"][backend]["health"])

    def test_failures_in_a_row_over_all_workers(self) -> None:
        """Five failures eject a backend, whichever workers meet them, and all workers leave it alone then."""
        backends = self.echoes("green", "blue", "red")
        self.start(workers=4, strategy="round-robin")
        backends["blue"].stop()

        def ejected() -> bool:
            self.connected()
            return self.state()["pools"]["echoes"]["backends"]["blue"]["outlier"] == "ejected"

        programs.wait_until(ejected, "the ejection")
        refused = self.state()["pools"]["echoes"]["backends"]["blue"]["outcomes"]["refused"]
        self.assertLessEqual(refused, 8)  # five, and what was under way
        self.assertEqual({self.connected()[1] for _ in range(40)}, {"green", "red"})
        self.assertEqual(self.state()["pools"]["echoes"]["backends"]["blue"]["outcomes"]["refused"], refused)

    def test_least_connections_of_all(self) -> None:
        """Connections held open are spread as evenly over the backends as by one process, give or take a moment's."""
        self.echoes("green", "blue", "red")
        self.start(workers=4)
        names = [self.connected()[1] for _ in range(60)]
        self.assertTrue(all(17 <= names.count(name) <= 23 for name in ("green", "blue", "red")), names)

    def test_unix_socket(self) -> None:
        """All workers accept on one UNIX socket; its file stays when a worker ends, and goes with the balancer."""
        self.echoes("green")
        path = self.place / "web.sock"
        balancer = self.start(listen=f"unix:{path}:mode=600")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        os.kill(self.workers(balancer)[0], signal.SIGKILL)
        balancer.wait_for_output(r"(?s)Worker 0 is ready.*Worker 0 is ready")
        for _ in range(10):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(path))
                self.assertEqual(client.recv(100), b"green\n")
        self.assert_drains(balancer)
        self.assertFalse(path.exists())

    def test_port_of_another(self) -> None:
        """A port that another balancer's workers listen on is taken, although theirs are sockets that could be shared."""
        self.echoes("green")
        self.start()
        self.values["admin"] = programs.free_port()
        second = programs.twist(self, "txlb", "--config", str(self.write()))
        self.assertEqual(second.wait(), 69)
        self.assertIn("cannot listen on", second.output())
