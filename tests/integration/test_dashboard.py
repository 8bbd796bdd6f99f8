"""The dashboard in a real browser, in front of a real balancer: what it shows, and when."""

from __future__ import annotations

import json
import urllib.request
from urllib.parse import quote

from tests.integration.browser import open_browser
from tests.integration.dashboard import ENTER, EVIL, FIELD, LIVE, ROW, DashboardCase
from tests.integration.programs import folder, wait_until

TOKEN = "open-sesame"


class DashboardTests(DashboardCase):
    """Each test has a balancer and a browser of its own."""

    def test_shows_what_there_is(self) -> None:
        """It loads without a word on the console, and a name that looks like markup is text and nothing else."""
        self.start("green", EVIL)
        browser = self.open()
        browser.wait(f"{FIELD} === 'up'", "green to be up", "green", "word")
        self.assertEqual(browser.text(".listener b"), "web")
        self.assertEqual(browser.text(".pool h2"), "echoes")
        self.assertTrue(browser.value(f"Boolean({ROW})", EVIL))
        self.assertEqual(browser.value("document.images.length"), 0)
        self.assertEqual(browser.complaints(), [])

    def test_numbers_move(self) -> None:
        """Under traffic, rates, shares and sparklines tell of it; afterwards the rate goes back to zero."""
        self.start("green", "blue")
        browser = self.open()
        self.assertIn(browser.value(FIELD, "green", "share"), ("– of 50\u00a0%", "–"))

        def moves() -> bool:
            self.talk()
            return float(browser.value(FIELD, "green", "rate").replace("–", "0").replace("k", "e3")) > 1

        wait_until(moves, "the rate to move")
        self.assertRegex(browser.value(FIELD, "green", "share"), r"^\d+\s% of \d+\s%$")
        self.assertRegex(browser.value(FIELD, "green", "in"), r"^↑ [1-9]")
        line = f"{ROW}.querySelector('[data-f=rate-spark] path').getAttribute('d').includes('L')"
        browser.wait(line, "a line in the sparkline", "green")
        self.assertTrue(browser.value(f"{ROW}.querySelector('[data-f=arm]').classList.contains('flows')", "green"))
        browser.wait(f"{FIELD} === '0'", "the rate to fall", "green", "rate")

    def test_survives_a_restart(self) -> None:
        """While the balancer is away the page says since when and keeps what it knew; afterwards it goes on by itself, and
        counters that began anew make no negative rate."""
        program = self.start("green", "blue")
        browser = self.open()
        self.talk()
        browser.wait(f"{FIELD}.startsWith('0') === false", "traffic to be seen", "green", "rate")
        program.stop()
        browser.wait("/^No connection since \\d\\d:\\d\\d:\\d\\d: .*try in/.test(document.getElementById('link-text').textContent)",
                     "the page to say that nobody answers")  # fmt: skip
        self.assertTrue(browser.value(f"Boolean({ROW})", "green"))
        browser.value("window.negative = new MutationObserver(() => document.body.innerText.match(/-\\d|NaN/) "
                      "&& (window.wrong = document.body.innerText)).observe(document.body, {subtree: true, characterData: true})")  # fmt: skip
        self.start("green", "blue")
        browser.wait(LIVE, "the page to be live again")
        browser.wait(
            "document.getElementById('events').textContent.includes('began anew')", "the restart to be noticed"
        )
        self.talk()
        browser.wait(f"Number({FIELD}) > 0", "new traffic to be seen", "green", "rate")
        self.assertIsNone(browser.value("window.wrong"))

    def test_token(self) -> None:
        """It asks for the token, says when one is wrong, and keeps it for this tab only; a change that the balancer refuses
        is told in words."""
        file = folder(self) / "token"
        file.write_text(f"{TOKEN}\n")
        file.chmod(0o600)
        self.start("green", "blue", more=f", token_file: {json.dumps(str(file))}")
        browser = open_browser(self)
        browser.go(self.page)
        asked = "!document.getElementById('token').hidden"
        browser.wait(asked, "the question")
        self.assertTrue(browser.value("document.getElementById('content').hidden"))
        browser.type("#token-field", f"sesame{ENTER}")
        browser.wait(f"{asked} && document.getElementById('token-error').textContent", "the refusal")
        browser.type("#token-field", f"{TOKEN}{ENTER}")
        browser.wait(LIVE, "the page to be live")
        self.assertEqual(browser.value("[localStorage.length, document.cookie]"), [0, ""])
        self.assertEqual(browser.value("sessionStorage.getItem('txlb-token')"), TOKEN)
        browser.value("sessionStorage.setItem('txlb-token', 'wrong')")
        self.press_in(browser, "green", "main")
        browser.wait(
            "document.querySelector('.notice.failed')?.textContent.includes('green is as it was')", "the error"
        )

    def test_pauses_while_hidden(self) -> None:
        """Nothing is asked of the balancer for a tab that nobody looks at."""
        self.start("green")
        browser = self.open()
        hide = (
            "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true}),"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        browser.value(hide, True)
        browser.wait("document.body.dataset.link === 'paused'", "the pause")
        browser.value(hide, False)
        browser.wait(LIVE, "the page to go on")

    def test_phone_and_dark(self) -> None:
        """On a small screen nothing sticks out at the side; who likes it dark gets it dark, with text to be read on it."""
        self.start("green", EVIL, "tcp:database-17.internal.example.com:5432")
        browser = self.open()
        look = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        light = browser.value(look)
        for dark in (False, True):
            browser.show(360, 780, dark=dark)
            browser.wait(f"matchMedia('(prefers-color-scheme: dark)').matches === {json.dumps(dark)}", "the scheme")
            self.assertLessEqual(browser.value("document.documentElement.scrollWidth"), 360)
            self.assertEqual(browser.screenshot()[:8], b"\x89PNG\r\n\x1a\n")
        paper, ink = browser.value(look)
        self.assertLess(brightness(paper), 60)
        self.assertGreater(brightness(ink), 200)
        self.assertGreater(brightness(light[0]), 200)

    def test_many_backends(self) -> None:
        """With 200 backends the rows stay the same elements from one state to the next, filters show only some of them, and an
        update takes a fraction of the second that there is."""
        self.start(*(f"app-{number:03}" for number in range(200)))
        browser = self.open()
        browser.value("[...document.querySelectorAll('.backend')].forEach((row) => { row.known = true; })")
        before = browser.text("#identity")
        wait_until(lambda: self.talk(50) or browser.text("#identity") != before, "another state")
        self.assertEqual(
            browser.value("[...document.querySelectorAll('.backend')].filter((row) => row.known).length"), 200
        )
        self.assertLess(float(browser.value("document.body.dataset.updateMs")), 200)
        request = urllib.request.Request(
            f"{self.page}api/v1/pools/echoes/backends/{quote('app-007')}",
            data=b'{"admin": "maint"}',
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()
        browser.wait("document.querySelector('.filters').textContent.includes('1 maintenance')", "the filter")
        browser.value("[...document.querySelectorAll('.filter')].find((b) => b.textContent.includes('maint')).id = 'f'")
        browser.click("#f")
        self.assertEqual(
            browser.value("[...document.querySelectorAll('.backend:not([hidden]) b')].map((b) => b.textContent)"),
            ["app-007"],
        )

    def test_figures(self) -> None:
        """How numbers are written for people."""
        self.start("green")
        browser = self.open()
        said = browser.value(
            "import('/format.js').then((f) => [f.count(12345), f.count(999.6), f.rate(0.42), f.bytesRate(4.1e6),"
            "f.milliseconds(3.21), f.milliseconds(0.123), f.milliseconds(1234), f.percent(0.25), f.percent(0.042),"
            "f.count(NaN), f.duration(93784), f.count(999999)])"
        )
        self.assertEqual(
            [text.replace("\u00a0", " ") for text in said],
            ["12.3k", "1.0k", "0.4", "4.1 MB/s", "3.2 ms", "0.12 ms", "1.2 s", "25 %", "4.2 %", "–", "1 d 2 h", "1.0M"],
        )

    def test_rates(self) -> None:
        """Counters become rates by the balancer's own time; a restart or a long silence is a gap, never a negative rate; a
        share is held against the weights of its time."""
        self.start("green")
        browser = self.open()
        rates = browser.value(
            "import('/history.js').then(({History}) => {"
            " const history = new History();"
            " const backend = (total, effective_weight) => ({total, effective_weight, bytes_in: 0, bytes_out: 0,"
            "   open: 0, first_byte_ms: null, admin: 'ready', health: 'up', outlier: 'ok', eligible: true, weight: 1});"
            " const seen = [];"
            " for (const [uptime, started, a, b, weight] of [[1, 1, 10, 10, 100], [2, 1, 20, 20, 100], [4, 1, 30, 20, 0],"
            "     [20, 1, 900, 900, 100], [1, 2, 3, 3, 100], [2, 2, 5, 5, 100]]) {"
            "   history.take({uptime, started, listeners: {}, pools: {p: {backends: {a: backend(a, 100), b: backend(b, weight)}}}}, 0);"
            "   const rate = history.pools.get('p').backends.get('a').rate.at(0);"
            "   seen.push(Number.isNaN(rate) ? 'gap' : rate);"
            " }"
            " const pool = history.pools.get('p');"
            " return [seen, pool.share(pool.backends.get('b')).asked < 0.5];"
            "})"
        )
        self.assertEqual(rates, [["gap", 10, 5, "gap", "gap", 2], True])


def brightness(colour: str) -> float:
    """The mean of red, green and blue in `rgb(1, 2, 3)`."""
    parts = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(parts) / len(parts)
