"""What is wrong between values: sections missing, names that do not meet, words from validators, and warnings."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import LISTENER, POOL, problems, read
from txlb.config import Place, path_of
from txlb.errors import Problem
from txlb.specs import Config


class Between(SynchronousTestCase):
    """What one part says of another."""

    def test_missing_sections(self) -> None:
        """There is no balancer without listeners and pools."""
        self.assertEqual(
            problems("workers: 1"),
            ["config.yaml:1:1: listeners: is missing", "config.yaml:1:1: pools: is missing"],
        )

    def test_missing_keys(self) -> None:
        """What must be given, each at the section that lacks it."""
        self.assertEqual(
            problems("listeners:\n  web: {}\npools:\n  p: {backends: [{weight: 1}]}\n"),
            [
                "config.yaml:2:3: listeners.web.listen: is missing",
                "config.yaml:2:3: listeners.web.pool: is missing",
                "config.yaml:4:18: pools.p.backends[0].connect: is missing",
            ],
        )

    def test_empty_sections(self) -> None:
        """Sections that would do nothing."""
        self.assertEqual(
            problems("listeners: {}\npools: {p: {backends: []}}\n"),
            [
                "config.yaml:1:1: listeners: must hold at least one listener",
                "config.yaml:2:13: pools.p.backends: must hold at least one backend",
            ],
        )

    def test_pool_that_no_one_defined(self) -> None:
        """The nearest name is suggested; a pool with an error of its own counts as defined."""
        text = "listeners: {web: {listen: tcp:80, pool: ecos}}\npools: {echos: {backends: 3}}"
        self.assertEqual(
            problems(text),
            [
                "config.yaml:1:35: listeners.web.pool: no pool is named 'ecos'; did you mean echos?",
                "config.yaml:2:17: pools.echos.backends: must be a list, not 3",
            ],
        )

    def test_two_listeners_on_the_same(self) -> None:
        """However it is written; different interfaces and port 0 are not the same."""
        listeners = """\
            listeners:
              a: {listen: "tcp:80:interface=127.0.0.1", pool: p}
              b: {listen: ["tcp:0", "tcp:interface=127.0.0.1:port=080:backlog=5"], pool: p}
              c: {listen: ["tcp:0", "tcp:80:interface=127.0.0.2"], pool: p}
            pools: {p: {backends: ["tcp:a:1"]}}
            """
        self.assertEqual(
            problems(listeners),
            ["config.yaml:3:25: listeners.b.listen[1]: listens on the same as listeners.a.listen in line 2"],
        )

    def test_two_backends_of_one_name(self) -> None:
        """The place is that of the second's name."""
        text = LISTENER + "pools: {p: {backends: ['tcp:a:1', {connect: 'tcp:b:1', name: 'tcp:a:1'}, 'tcp:a:1']}}"
        self.assertEqual(
            problems(text),
            [
                "config.yaml:2:56: pools.p.backends[1].name: "
                "two backends are named 'tcp:a:1'; the other is backends[0]",
                "config.yaml:2:74: pools.p.backends[2]: two backends are named 'tcp:a:1'; the other is backends[0]",
            ],
        )

    def test_host_that_is_not_there(self) -> None:
        """A check's `{host}` needs backends that have one, unless they say themselves where they are probed."""
        text = LISTENER + "pools: {p: {backends: [%s], health: {connect: 'tcp:{host}:81'}}}"
        self.assertEqual(
            problems(text % "'unix:/b'"),
            [
                "config.yaml:2:45: pools.p.health.connect: "
                "{host} cannot be filled in: 'unix:/b' has no host"
            ],
        )  # fmt: skip
        self.assertEqual(problems(text % "{connect: 'unix:/b', check_connect: 'unix:/c'}"), [])

    def test_bad_names(self) -> None:
        """Names of sections are one line of bearable length, and hard ones are quoted in paths."""
        self.assertEqual(
            problems(LISTENER + 'pools: {p: {backends: ["tcp:a:1"]}, "a\\nb": {backends: ["tcp:a:1"]}}'),
            ['config.yaml:2:37: pools."a\\nb": a name must be 1 to 200 characters on one line'],
        )

    def test_too_many(self) -> None:
        """A file with nothing but errors ends with a word instead of a flood."""
        found = problems("".join(f"k{n}: 1\n" for n in range(5000)))
        self.assertEqual(len(found), 501)
        self.assertEqual(found[0], "config.yaml: more than 499 problems; the rest was not read")

    def test_one_line_each(self) -> None:
        """However long or odd a value is, its problem is one line of bearable length."""
        found = problems(LISTENER + POOL + 'workers: "' + "\\n\\u2028x" * 5000 + '"\n' + "k" * 900 + ": 1\n")
        self.assertEqual(len(found), 2)
        self.assertTrue(all(len(line) < 700 for line in found), found)


class Validators(SynchronousTestCase):
    """Words from above."""

    def test_place(self) -> None:
        """A validator's problems stand where their paths stand, or at the nearest path that the file has."""

        def validate(config: Config, place: Place) -> Iterator[Problem]:
            for path in (("listeners", "web", "listen"), ("pools", "p", "backends", 0, "connect"), ("admin",)):
                yield place(path_of(*path))(f"{len(config.pools)} pool")

        self.assertEqual(
            problems(LISTENER + POOL, validate),
            [
                "config.yaml: 1 pool",
                "config.yaml:1:19: listeners.web.listen: 1 pool",
                "config.yaml:2:24: pools.p.backends[0]: 1 pool",
            ],
        )

    def test_sound_configurations_only(self) -> None:
        """A validator is not asked about what is wrong already."""

        def validate(config: Config, place: Place) -> Iterator[Problem]:
            raise AssertionError("asked")

        self.assertEqual(len(problems("workers: 1", validate)), 2)


class Warnings(SynchronousTestCase):
    """What is odd but not wrong."""

    def test_unused_pool(self) -> None:
        """A pool that no listener feeds is told with its place."""
        config = read(LISTENER + "pools:\n  p: {backends: ['tcp:a:1']}\n  spare: {backends: ['tcp:a:1']}\n")
        self.assertEqual(config.warnings, ("config.yaml:4:3: pools.spare: no listener uses this pool",))

    def test_no_weight_at_all(self) -> None:
        """A pool of weights 0 is allowed, as one that is being drained, and told."""
        config = read(LISTENER + "pools: {p: {backends: [{connect: 'tcp:a:1', weight: 0}]}}")
        self.assertEqual(
            config.warnings,
            ("config.yaml:2:13: pools.p.backends: every backend has weight 0, so that none takes new connections",),
        )
