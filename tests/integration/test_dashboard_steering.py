"""The dashboard's buttons and fields in a real browser: what is clicked there happens in the balancer."""

from __future__ import annotations

from tests.integration.dashboard import ENTER, EVIL, FIELD, TAB, DashboardCase
from tests.integration.programs import wait_until


class SteeringTests(DashboardCase):
    """Each test has a balancer and a browser of its own."""

    def test_drain_is_a_drain(self) -> None:
        """A click drains, in the balancer and not only on the page; Undo brings it back; both are told as events."""
        self.start("green", "blue")
        browser = self.open()
        self.press_in(browser, "green", "main")
        self.wait_for_state("green", "admin", "drain")
        browser.wait(f"{FIELD} === 'drained'", "the row to say so", "green", "word")
        browser.wait("document.getElementById('events').textContent.includes('green drains')", "the event")
        browser.click(".notice [data-f=undo]")
        self.wait_for_state("green", "admin", "ready")
        browser.wait(f"{FIELD} === 'up'", "the row to say so", "green", "word")
        self.assertEqual(browser.complaints(), [])

    def test_any_name_can_be_steered(self) -> None:
        """Slashes, spaces, percent signs and markup in a name arrive at the API as they are."""
        name = f"{EVIL} 100% / ä?#"
        self.start(name, "blue")
        browser = self.open()
        self.press_in(browser, name, "main")
        self.wait_for_state(name, "admin", "drain")
        self.assertEqual(browser.value("document.images.length"), 0)

    def test_the_last_one_needs_a_second_click(self) -> None:
        """What would leave the pool with nothing is asked once more, on the button itself."""
        self.start("green")
        browser = self.open()
        self.press_in(browser, "green", "main")
        self.assertEqual(browser.value(FIELD, "green", "main"), "Drain the last?")
        self.assertEqual(self.state("green")["admin"], "ready")
        self.press_in(browser, "green", "main")
        self.wait_for_state("green", "admin", "drain")
        browser.wait("document.querySelector('.pool').classList.contains('dry')", "the pool to say that it has nothing")

    def test_the_last_one_is_not_lightly_weighed_out(self) -> None:
        """Weight 0 for the last one wants a second Enter."""
        self.start("green")
        browser = self.open()
        self.press_in(browser, "green", "disclose")
        browser.type(".disclosed form input", f"0{ENTER}")
        self.assertEqual(browser.value(FIELD, "green", "set-weight"), "Take the last out?")
        self.assertEqual(self.state("green")["weight"], 1)
        browser.press(ENTER)
        self.wait_for_state("green", "weight", 0)

    def test_weight_and_maintenance(self) -> None:
        """A row's details set a weight, which the Enter key confirms, and the state for maintenance."""
        self.start("green", "blue")
        browser = self.open()
        self.press_in(browser, "green", "disclose")
        browser.wait("document.querySelector('.disclosed form input').value === '1'", "the weight to be shown")
        browser.type(".disclosed form input", f"7{ENTER}")
        self.wait_for_state("green", "weight", 7)
        self.press_in(browser, "green", "maint")
        self.wait_for_state("green", "admin", "maint")
        browser.wait(f"{FIELD} === 'maintenance'", "the row to say so", "green", "word")

    def test_keyboard(self) -> None:
        """The Tab key reaches the button, which shows that it has the focus, and Enter presses it."""
        self.start("green", "blue")
        browser = self.open()

        def reached() -> bool:
            browser.press(TAB)
            return bool(browser.value("document.activeElement.getAttribute('aria-label') === 'Drain green'"))

        wait_until(reached, "the focus to come to the button")
        self.assertEqual(browser.value("getComputedStyle(document.activeElement).outlineStyle"), "solid")
        browser.press(ENTER)
        self.wait_for_state("green", "admin", "drain")
