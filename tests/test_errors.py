"""What users see of errors."""

from __future__ import annotations

import os
import pickle

from twisted.trial.unittest import SynchronousTestCase

from txlb import errors
from txlb.errors import ConfigError, DialError, OptionError, Problem, TxlbError


class ProblemTests(SynchronousTestCase):
    """`Problem`"""

    def test_is_written_as_compilers_do(self) -> None:
        """file:line:column: path: message, without the parts that are not known."""
        words = "must be 0 or more, not -1"
        path = "pools.web.backends[0].weight"
        self.assertEqual(str(Problem("c.yaml", 7, 9, path, words)), f"c.yaml:7:9: {path}: {words}")
        self.assertEqual(str(Problem("c.yaml", 7, 0, path, words)), f"c.yaml:7: {path}: {words}")
        self.assertEqual(str(Problem("c.yaml", 0, 0, path, words)), f"c.yaml: {path}: {words}")
        self.assertEqual(str(Problem("c.yaml", 0, 0, "", "is empty")), "c.yaml: is empty")


class ErrorTests(SynchronousTestCase):
    """The exceptions"""

    def test_all_are_of_one_family(self) -> None:
        """So that a caller can catch what this package raises on purpose, and nothing else."""
        raised = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
        self.assertGreater(len(raised), 5)
        for kind in raised:
            self.assertTrue(issubclass(kind, TxlbError), kind)

    def test_config_error_tells_every_problem(self) -> None:
        """One line each, in order."""
        problems = [Problem("c", 1, 1, "a", "x"), Problem("c", 2, 2, "b", "y")]
        error = ConfigError(problems)
        self.assertEqual(str(error), "c:1:1: a: x\nc:2:2: b: y")
        self.assertEqual(error.problems, tuple(problems))

    def test_option_error_names_its_option(self) -> None:
        """Or none, when it concerns several."""
        self.assertEqual(str(OptionError("seed", "must be text")), "seed: must be text")
        self.assertEqual(str(OptionError("", "low must be below high")), "low must be below high")

    def test_dial_error_says_how_and_why(self) -> None:
        """The outcome for counters, the reason for people."""
        error = DialError("refused", "Connection refused")
        self.assertEqual(
            (error.outcome, error.reason, str(error)), ("refused", "Connection refused", "refused: Connection refused")
        )

    def test_survive_a_process_boundary(self) -> None:
        """Errors are pickled when they cross from one process to another; they must come out as they went in."""
        for error in (ConfigError([Problem("c", 1, 1, "a", "x")]), OptionError("a", "x"), DialError("refused", "x")):
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(again), str(again), vars(again)), (type(error), str(error), vars(error)))

    def test_exit_codes_are_sysexits(self) -> None:
        """As systemd and people know them."""
        self.assertEqual(errors.BAD_CONFIG, os.EX_CONFIG)
        self.assertEqual(errors.PORT_UNAVAILABLE, os.EX_UNAVAILABLE)
        self.assertEqual(errors.INTERNAL_FAILURE, os.EX_SOFTWARE)
