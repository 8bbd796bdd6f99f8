"""A balancer with a dashboard, and a browser that looks at it: what the tests of the page share."""

from __future__ import annotations

import json
import socket
import urllib.request
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.browser import Browser, open_browser
from tests.integration.programs import Program, free_port, start_balancer, wait_until

EVIL = "<img src=x onerror=alert(1)>"
ENTER = "\ue007"
TAB = "\ue004"

CONFIG = """
listeners:
  web: {{listen: "tcp:{web}:interface=127.0.0.1", pool: echoes}}
pools:
  echoes:
    backends: {backends}
    health: {{check: tcp, interval: 200ms}}
admin: {{listen: "tcp:{admin}:interface=127.0.0.1"{more}}}
echo: ["tcp:{echo}:interface=127.0.0.1"]
"""

ROW = "[...document.querySelectorAll('.backend')].find((row) => row.querySelector('b').textContent === arguments[0])"
FIELD = f"{ROW}?.querySelector(`[data-f=${{arguments[1]}}]`)?.textContent"
LIVE = "document.body.dataset.link === 'live' && !document.getElementById('content').hidden"


class DashboardCase(SynchronousTestCase):
    """Each test has a balancer and a browser of its own."""

    def setUp(self) -> None:
        self.web, self.admin, self.echo = free_port(), free_port(), free_port()
        self.page = f"http://127.0.0.1:{self.admin}/"

    def start(self, *names: str, more: str = "") -> Program:
        """A balancer whose backends have these names; all of them are the same echo server."""
        backends = json.dumps([{"name": name, "connect": f"tcp:127.0.0.1:{self.echo}"} for name in names])
        text = CONFIG.format(web=self.web, admin=self.admin, echo=self.echo, backends=backends, more=more)
        return start_balancer(self, text)

    def open(self) -> Browser:
        """A browser that shows the live dashboard."""
        browser = open_browser(self)
        browser.show(1440, 900)
        browser.go(self.page)
        browser.wait(LIVE, "the dashboard to be live")
        return browser

    def talk(self, times: int = 20) -> None:
        """So many connections through the balancer, each with one line and its echo."""
        for _ in range(times):
            with socket.create_connection(("127.0.0.1", self.web), 10) as client:
                client.sendall(b"hello\n")
                self.assertEqual(client.recv(6, socket.MSG_WAITALL), b"hello\n")

    def state(self, name: str) -> Any:
        """This backend in the API's words."""
        with urllib.request.urlopen(f"{self.page}api/v1/state", timeout=10) as answer:
            return json.load(answer)["pools"]["echoes"]["backends"][name]

    def press_in(self, browser: Browser, name: str, field: str) -> None:
        """Click a button of a backend's row."""
        browser.value(f"{ROW}.querySelector(`[data-f=${{arguments[1]}}]`).id = 'to-click'", name, field)
        browser.click("#to-click")
        browser.value("document.getElementById('to-click').removeAttribute('id')")

    def wait_for_state(self, name: str, key: str, value: object) -> None:
        wait_until(lambda: self.state(name)[key] == value, f"{name} to have {key} {value}")
