"""A real Chromium without a window, driven by WebDriver: JSON over HTTP to chromedriver, which needs no library.

    browser = open_browser(self)
    browser.go("http://127.0.0.1:9090/")
    browser.wait("document.title", "a title")
    browser.click("#save")

It ends with the test. `complaints()` is what the page wrote to the console as warnings and errors, or tried and was not allowed to.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.programs import Program, find, folder, free_port, start, wait_until

_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key that the WebDriver standard gives to references
_ANSWER_TIME = 60.0


class BrowserError(Exception):
    """The browser could not do what it was asked; the text says why."""


@define
class Browser:
    """One window. Selectors are CSS; scripts are expressions, evaluated in the page."""

    base: str
    driver: Program
    session: str = field(default="")

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One WebDriver command of this session. Raises BrowserError."""
        request = urllib.request.Request(
            f"{self.base}/session{self.session}{path}",
            method=method,
            data=None if method != "POST" else json.dumps(body or {}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_TIME) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(json.load(error)["value"]["message"]) from None

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of Chromium's own protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def go(self, address: str) -> None:
        """Load a page."""
        self.ask("POST", "/url", {"url": address})

    def value(self, expression: str, *arguments: Any) -> Any:
        """What this expression of JavaScript is now; promises are awaited."""
        return self.ask("POST", "/execute/sync", {"script": f"return ({expression})", "args": list(arguments)})

    def text(self, selector: str) -> str:
        """The text of the first element that matches, or nothing."""
        return str(self.value("document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def wait(self, expression: str, what: str, *arguments: Any, seconds: float = 20.0) -> Any:
        """The value of this expression, as soon as it is true."""
        found: list[Any] = []

        def holds() -> bool:
            found[:] = [self.value(expression, *arguments)]
            return bool(found[0])

        wait_until(holds, what, seconds)
        return found[0]

    def click(self, selector: str) -> None:
        """Scroll to the first element that matches, and click it as a user does: what covers it gets in the way."""
        self.ask("POST", f"/element/{self._find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Clear a field, and type; "\\ue007" is the Enter key."""
        element = self._find(selector)
        self.ask("POST", f"/element/{element}/clear")
        self.ask("POST", f"/element/{element}/value", {"text": text})

    def press(self, keys: str) -> None:
        """Press and release keys, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def _find(self, selector: str) -> str:
        found = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def show(self, width: int, height: int, dark: bool = False, scale: float = 1.0) -> None:
        """Be a screen of this size, with a reader who likes it light or dark."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """What is on the screen, as PNG."""
        return base64.b64decode(self.devtools("Page.captureScreenshot", format="png")["data"])

    def complaints(self) -> list[str]:
        """Warnings and errors on the console since the last call."""
        entries = self.ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]


def open_browser(case: SynchronousTestCase) -> Browser:
    """Start one with an empty profile; skips the test where there is none."""
    chromium, chromedriver = find("chromium", "chromium-browser", "google-chrome"), find("chromedriver")
    port = free_port()
    driver = start(case, [chromedriver, f"--port={port}"], ports=[port])
    browser = Browser(f"http://127.0.0.1:{port}", driver)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    options = {"binary": chromium, "args": [*_FLAGS, *sandbox, f"--user-data-dir={folder(case)}"]}
    wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    made = browser.ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})
    browser.session = f"/{made['sessionId']}"
    case.addCleanup(browser.ask, "DELETE", "")
    return browser
