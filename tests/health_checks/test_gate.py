"""Tests for `txlb.health_checks.gate`."""

from twisted.trial.unittest import SynchronousTestCase

from txlb.health_checks.gate import Gate


class GateTests(SynchronousTestCase):
    """A bounded number of places, first come first served."""

    def test_bounded_and_in_order(self) -> None:
        """No more than the bound run at once; the others follow in the order in which they came."""
        gate, ran = Gate(2), []
        for name in "abcd":
            gate.enter(name, lambda name=name: ran.append(name))
        self.assertEqual((ran, gate.waiting), (["a", "b"], 2))
        gate.leave()
        self.assertEqual(ran, ["a", "b", "c"])

    def test_forgotten(self) -> None:
        """Who does not want to wait any longer is passed over; forgetting a stranger does nothing."""
        gate, ran = Gate(1), []
        for name in "abc":
            gate.enter(name, lambda name=name: ran.append(name))
        gate.forget("b")
        gate.forget("stranger")
        gate.leave()
        self.assertEqual(ran, ["a", "c"])

    def test_thousands_end_at_once(self) -> None:
        """Callbacks that give their place back at once are served in a loop: no recursion however many they are."""
        gate, ran = Gate(1), []
        gate.enter("first", lambda: None)

        def run() -> None:
            ran.append(1)
            gate.leave()

        for number in range(5000):
            gate.enter(number, run)
        gate.leave()
        self.assertEqual(len(ran), 5000)
