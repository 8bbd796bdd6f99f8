"""Programs that people run, through the balancer as people run it: each pair of client and server has habits of its own.

    curl, nginx          large answers, many at once
    ab, nginx            a new connection for every request
    redis                long-lived connections, pipelines, a server that pushes
    ssh                  the server speaks first; a session in both directions
    iperf3               bulk either way; two connections that belong together
    socat, sha256sum     the client ends its stream before the answer comes
    nginx proxy_protocol the server wants to know who the client is

After each test the balancer has to end with 0 at SIGTERM, without an unhandled error in its log.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import random
import re
import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs

CONFIG = """\
listeners:
  front: {{listen: "tcp:{port}:interface=127.0.0.1", pool: servers, engine: {engine}}}
pools:
  servers:
    strategy: {strategy}
    send_proxy: {send_proxy}
    backends: [{backends}]
"""

NGINX = """\
worker_processes 1;
daemon off;
pid {place}/pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    root {place}/www;
    server {{ listen 127.0.0.1:{first}; add_header X-Server first; }}
    server {{ listen 127.0.0.1:{second}; add_header X-Server second; }}
    server {{
        listen 127.0.0.1:{proxied} proxy_protocol;
        default_type text/plain;
        return 200 "$proxy_protocol_addr $proxy_protocol_port";
    }}
}}
"""

SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host_key
AuthorizedKeysFile {place}/client_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""

MB = 1024 * 1024


class RealPrograms:
    """The tests, for any engine."""

    engine = ""

    def balance(self, *ports: int, strategy: str = "round-robin", send_proxy: str = "none") -> int:
        """Start a balancer over servers on these ports of 127.0.0.1; returns its own port."""
        port = programs.free_port()
        backends = ", ".join(f'"tcp:127.0.0.1:{backend}"' for backend in ports)
        config = CONFIG.format(
            port=port, engine=self.engine, strategy=strategy, send_proxy=send_proxy, backends=backends
        )
        balancer = programs.start_balancer(self, config)
        self.addCleanup(self.assert_ends_well, balancer)
        return port

    def assert_ends_well(self, balancer: programs.Program) -> None:
        """It drains and ends with 0, and has logged no error of its own."""
        self.assertTrue(balancer.alive(), balancer.output())
        balancer.signal(signal.SIGTERM)
        self.assertEqual(balancer.wait(), 0, balancer.output())
        self.assertNotIn("Traceback", balancer.output())
        self.assertNotIn("Unhandled", balancer.output())

    def nginx(self) -> tuple[tuple[int, int, int], bytes]:
        """Start nginx; returns its two plain ports and the one that wants the PROXY protocol, and its 10 MB `/file`."""
        program = programs.find("nginx")
        place = programs.folder(self)
        content = random.Random(1).randbytes(10 * MB)
        (place / "www").mkdir()
        (place / "www" / "file").write_bytes(content)
        (place / "www" / "small").write_bytes(b"small\n")
        ports = tuple(programs.free_port() for _ in range(3))
        text = NGINX.format(place=place, first=ports[0], second=ports[1], proxied=ports[2])
        (place / "nginx.conf").write_text(text)
        programs.start(self, [program, "-e", "stderr", "-p", str(place), "-c", str(place / "nginx.conf")], ports)
        return ports, content

    def test_curl_gets_a_large_file(self) -> None:
        """10 MB arrive unchanged, from each of two servers in turn."""
        curl = programs.find("curl")
        (first, second, _), content = self.nginx()
        port = self.balance(first, second)
        place = programs.folder(self)
        servers = []
        for number in range(4):
            file = place / str(number)
            wanted = [curl, "-sS", "-D", "-", "-o", str(file), f"http://127.0.0.1:{port}/file"]
            servers += re.findall(r"X-Server: (\w+)", programs.run(wanted).stdout)
            self.assertEqual(hashlib.sha256(file.read_bytes()).digest(), hashlib.sha256(content).digest())
        self.assertEqual(sorted(servers), ["first", "first", "second", "second"])
        self.assertNotEqual(servers[0], servers[1])

    def test_curl_gets_two_hundred_at_once(self) -> None:
        """200 downloads of 10 MB, all under way together, each complete."""
        curl = programs.find("curl")
        (first, second, _), content = self.nginx()
        port = self.balance(first, second, strategy="least-connections")
        requests = programs.folder(self) / "requests"
        requests.write_text(f'url = "http://127.0.0.1:{port}/file"\noutput = "/dev/null"\n' * 200)
        told = "%{http_code} %{size_download}\n"
        many = ["--parallel", "--parallel-immediate", "--parallel-max", "200", "--no-progress-meter"]
        done = programs.run([curl, *many, "-w", told, "-K", str(requests)], seconds=110)
        self.assertEqual(done.stdout.splitlines(), [f"200 {len(content)}"] * 200)

    def test_ab_opens_many_short_connections(self) -> None:
        """2000 connections of one request each, 20 at a time: none fails."""
        ab = programs.find("ab")
        (first, second, _), _ = self.nginx()
        port = self.balance(first, second)
        done = programs.run([ab, "-q", "-r", "-n", "2000", "-c", "20", f"http://127.0.0.1:{port}/small"], seconds=110)
        self.assertRegex(done.stdout, r"Complete requests:\s+2000\n")
        self.assertRegex(done.stdout, r"Failed requests:\s+0\n")
        self.assertNotIn("Non-2xx", done.stdout)

    def test_nginx_hears_who_the_client_is(self) -> None:
        """`send_proxy`, both versions, read by nginx: the address and the port of curl's own socket."""
        curl = programs.find("curl")
        (_, _, proxied), _ = self.nginx()
        for version in ("v1", "v2"):
            port = self.balance(proxied, send_proxy=version)
            wanted = [curl, "-sS", "-w", "\n%{local_ip} %{local_port}", f"http://127.0.0.1:{port}/"]
            heard, is_so = programs.run(wanted).stdout.splitlines()
            self.assertEqual(heard, is_so, version)

    def redis(self) -> int:
        """Start a Redis server that keeps nothing; returns its port."""
        port = programs.free_port()
        command = [programs.find("redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
        programs.start(self, [*command, "--save", "", "--appendonly", "no", "--daemonize", "no"], [port])
        return port

    def test_redis_keeps_connections_and_pipelines(self) -> None:
        """50 connections for 20,000 commands each way, one by one and 16 at a time; and a large value unchanged."""
        benchmark, client = programs.find("redis-benchmark"), programs.find("redis-cli")
        port = str(self.balance(self.redis()))
        for pipeline in ("1", "16"):
            command = [benchmark, "-p", port, "-c", "50", "-n", "20000", "-P", pipeline, "-t", "set,get", "--csv"]
            done = programs.run(command, seconds=110)
            self.assertRegex(done.stdout, r'"SET","[\d.]+".*\n"GET","[\d.]+"')
            self.assertNotIn("rror", done.stdout + done.stderr)
        value = random.Random(2).randbytes(MB).hex()
        self.assertEqual(programs.run([client, "-p", port, "-x", "set", "large"], input=value).stdout, "OK\n")
        self.assertEqual(programs.run([client, "-p", port, "get", "large"]).stdout, value + "\n")

    def test_redis_pushes_to_a_subscriber(self) -> None:
        """A connection on which the client is silent, and the server speaks when another client makes it."""
        client = programs.find("redis-cli")
        port = str(self.balance(self.redis()))
        subscriber = programs.start(self, [client, "-p", port, "subscribe", "news"])
        subscriber.wait_for_output(r"subscribe\n.*news")
        for number in range(3):
            self.assertEqual(programs.run([client, "-p", port, "publish", "news", f"item {number}"]).stdout, "1\n")
            subscriber.wait_for_output(f"item {number}")

    def sshd(self) -> tuple[int, Path]:
        """Start an SSH server with a key of its own; returns its port and the folder with `client_key`."""
        program, keygen = programs.find("sshd"), programs.find("ssh-keygen")
        place = programs.folder(self)
        for name in ("host_key", "client_key"):
            programs.run([keygen, "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(place / name)])
        port = programs.free_port()
        (place / "sshd_config").write_text(SSHD.format(port=port, place=place))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd drops its rights; made by its init script
        programs.start(self, [program, "-D", "-e", "-f", str(place / "sshd_config")], [port])
        return port, place

    def test_ssh_server_speaks_first(self) -> None:
        """A server's greeting arrives before the client has said a word: the host key comes through as it is."""
        keyscan = programs.find("ssh-keyscan")
        backend, place = self.sshd()
        port = self.balance(backend)
        scanned = programs.run([keyscan, "-T", "20", "-t", "ed25519", "-p", str(port), "127.0.0.1"]).stdout
        key = (place / "host_key.pub").read_text().split()[1]
        self.assertIn(key, scanned)

    def test_ssh_session(self) -> None:
        """A session: logged in with a key, 3 MB up, their hash back, and the remote program's exit code."""
        ssh = programs.find("ssh")
        backend, place = self.sshd()
        port = self.balance(backend)
        command = [ssh, "-F", "none", "-p", str(port), "-i", str(place / "client_key"), "-o", "BatchMode=yes"]
        command += ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={place / 'known_hosts'}"]
        data = random.Random(3).randbytes(3 * MB // 2).hex()
        done = programs.run([*command, f"{getpass.getuser()}@127.0.0.1", "sha256sum; exit 7"], check=False, input=data)
        self.assertEqual(
            (done.stdout.split()[:1], done.returncode), ([hashlib.sha256(data.encode()).hexdigest()], 7), done.stderr
        )

    def test_iperf3_moves_bulk_either_way(self) -> None:
        """200 MB up and 200 MB down, on a data connection beside the one that controls it."""
        iperf3 = programs.find("iperf3")
        backend = programs.free_port()
        programs.start(self, [iperf3, "-s", "-B", "127.0.0.1", "-p", str(backend)], [backend])
        port = self.balance(backend)
        for direction in ([], ["--reverse"]):
            command = [iperf3, "-c", "127.0.0.1", "-p", str(port), "-n", "200M", "--json", *direction]
            result = json.loads(programs.run(command, seconds=110).stdout)
            self.assertNotIn("error", result)
            self.assertGreaterEqual(result["end"]["sum_received"]["bytes"], 190 * MB)

    def test_socat_half_closes(self) -> None:
        """3 MB up, end of stream, and only then an answer: the hash of all of it."""
        socat, hasher = programs.find("socat"), programs.find("sha256sum")
        backend = programs.free_port()
        programs.start(
            self, [socat, f"TCP-LISTEN:{backend},bind=127.0.0.1,reuseaddr,fork", f"EXEC:{hasher}"], [backend]
        )
        port = self.balance(backend)
        data = random.Random(4).randbytes(3 * MB // 2).hex()
        done = programs.run([socat, "-t", "30", "-", f"TCP:127.0.0.1:{port}"], input=data)
        self.assertEqual(done.stdout.split()[:1], [hashlib.sha256(data.encode()).hexdigest()])


class AutoEngineTests(RealPrograms, SynchronousTestCase):
    """With the engine that the balancer chooses by itself."""

    engine = "auto"


class ReactorEngineTests(RealPrograms, SynchronousTestCase):
    """With the engine that works everywhere."""

    engine = "reactor"
