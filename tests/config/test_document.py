"""YAML to nodes: places, what scalars mean, and the bounds."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import LISTENER, POOL, options_of, problems, read
from txlb.config.document import DEEPEST
from txlb.config.nodes import resolve


class Resolve(SynchronousTestCase):
    """What an unquoted scalar means."""

    def test_numbers(self) -> None:
        """Decimal integers and floats are numbers."""
        cases = {"0": 0, "12": 12, "-3": -3, "+4": 4, "1.5": 1.5, "1.5e+3": 1500.0, ".5": 0.5, "2.": 2.0}
        for text, value in cases.items():
            self.assertEqual((resolve(text), type(resolve(text))), (value, type(value)), text)

    def test_words(self) -> None:
        """Only true, false and null are words with a meaning."""
        self.assertEqual(
            [resolve(word) for word in ("true", "False", "null", "~", "")], [True, False, None, None, None]
        )

    def test_surprises_of_yaml_1_1_are_text(self) -> None:
        """Sexagesimals, octals, dates and flags by other names stay what was written."""
        for text in (
            "1:30",
            "010",
            "0x1F",
            "0o17",
            "1_000",
            "2026-01-01",
            "1e3",
            "0E0",
            "1.5e3",
            "-.5",
            "yes",
            "on",
            "No",
            "9" * 50,
            "1e",
            ".",
        ):
            self.assertEqual(resolve(text), text)


class Syntax(SynchronousTestCase):
    """Text that is no YAML, or no YAML of ours, is one error at its place."""

    cases = (
        ("", "config.yaml: is empty"),
        ("# only a remark\n", "config.yaml: is empty"),
        ("---\n...\n", "config.yaml: is empty"),
        ("~\n", "config.yaml: is empty"),
        ("a: b: c", "config.yaml:1:5: not valid YAML: mapping values are not allowed in this context"),
        (
            "a:\n\tb: c",
            "config.yaml:2:1: not valid YAML: found character that cannot start any token; "
            "indent with spaces, not with tabs",
        ),
        (
            'a: "tcp:80:interface=\\:\\:1"',
            "config.yaml:1:22: not valid YAML: found unknown escape character; a backslash needs single quotes or none",
        ),
        (
            "a: [1,\nb: 2",
            "config.yaml:3:1: not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins in line 1)",
        ),
        ("a: 1\n---\nb: 2", "config.yaml:2:1: a second document begins here; there must be one only"),
        ("a: 1\nb: x\x00y", "config.yaml:2:5: the character U+0000 is not allowed in YAML"),
        ("a: \ud800", "config.yaml:1:4: the character U+D800 is not allowed in YAML"),
        (b"a: 1\nb: caf\xe9\n", "config.yaml:2:7: not UTF-8: the byte 0xe9 cannot stand here"),
        (b"\xff\xfea\x00", "config.yaml:1:1: not UTF-8: the byte 0xff cannot stand here"),
        ("a: *b", "config.yaml:1:4: a: *b stands for nothing: there is no &b before"),
        ("a: &x [*x]", "config.yaml:1:8: a[0]: *x stands inside of what it stands for"),
        ("- a", "config.yaml:1:1: must be a mapping with keys such as listeners and pools, not a list"),
        ("text", "config.yaml:1:1: must be a mapping with keys such as listeners and pools, not 'text'"),
    )

    def test_one_error_at_its_place(self) -> None:
        """Each text above gives that error and no other."""
        for text, expected in self.cases:
            found = problems(text)
            self.assertEqual(len(found), 1, found)
            self.assertTrue(found[0].startswith(expected), f"{found[0]!r} is not {expected!r}")

    def test_tags_make_no_objects(self) -> None:
        """A tag is an error at its place, and nothing of it is called."""
        text = LISTENER + POOL + "drain_timeout: !!python/object/apply:os.abort []\n"
        self.assertIn(
            "config.yaml:3:16: drain_timeout: "
            "the tag !!python/object/apply:os.abort is not allowed; values are written plainly",
            problems(text),
        )

    def test_text_by_tag(self) -> None:
        """`!!str` makes text of what looks like a number."""
        config = read("listeners: {web: {listen: tcp:8080, pool: !!str 7}}\npools: {7: {backends: ['tcp:a:1']}}")
        self.assertEqual(config.listeners["web"].pool, "7")

    def test_duplicate_keys(self) -> None:
        """The second is an error that names the line of the first."""
        text = LISTENER + "pools:\n  p:\n    retries: 1\n    backends: ['tcp:a:1']\n    retries: 2\n"
        self.assertEqual(problems(text), ["config.yaml:6:5: pools.p.retries: given twice; the first is in line 4"])

    def test_keys_that_are_no_text(self) -> None:
        """A list as a key and a missing key are errors; nothing else is said of them."""
        self.assertEqual(
            problems(LISTENER + POOL + "[a]: 1\n?\n: 2\n"),
            ["config.yaml:3:1: a key must be text", "config.yaml:4:2: a key is missing before the colon"],
        )

    def test_byte_order_mark(self) -> None:
        """A byte order mark is no part of the first key."""
        self.assertEqual(list(read(("\ufeff" + LISTENER + POOL).encode()).pools), ["p"])


class Aliases(SynchronousTestCase):
    """Anchors, aliases and merge keys."""

    def test_merge(self) -> None:
        """`<<` gives what is not given beside it."""
        config = read(
            """
            listeners: {web: {listen: tcp:8080, pool: p}}
            pools:
              p:
                backends:
                  - &common {connect: tcp:a:1, weight: 7, backup: true}
                  - {<<: *common, name: other, weight: 2}
                  - {<<: [{weight: 3}, *common], name: third}
            """
        )
        got = [(one.name, one.weight, one.backup) for one in config.pools["p"].backends]
        self.assertEqual(got, [("tcp:a:1", 7, True), ("other", 2, True), ("third", 3, True)])

    def test_merge_of_something_else(self) -> None:
        """`<<` with a scalar is an error at its place."""
        self.assertEqual(
            problems(LISTENER + "pools: {p: {<<: 3, backends: ['tcp:a:1']}}"),
            ["config.yaml:2:17: pools.p: << takes a mapping or a list of mappings"],
        )

    def test_problem_behind_an_alias(self) -> None:
        """It is told where it is written, under the path where it is used."""
        text = LISTENER + "pools:\n  p:\n    queue: &q {size: -1}\n    backends: ['tcp:a:1']\n  r:\n    queue: *q\n"
        self.assertEqual(
            [line for line in problems(text) if "size" in line],
            [
                "config.yaml:4:16: pools.p.queue.size: must be 0 or more, not -1",
                "config.yaml:4:16: pools.r.queue.size: must be 0 or more, not -1",
            ],
        )

    def test_bombs(self) -> None:
        """Aliases that multiply to billions of values are refused at once."""
        lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
        lines += [
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ]
        lines += ["z: &z {k: *i}", "y: {<<: *z}"]
        begun = time.process_time()
        self.assertEqual(
            problems("\n".join(lines)), ["config.yaml:6:16: more than 250000 values, those behind aliases counted"]
        )
        self.assertLess(time.process_time() - begun, 1)

    def test_depth(self) -> None:
        """Deep nesting in any notation is refused at once."""
        for opening in ("[", "{a: ", "- ", "? "):
            begun = time.process_time()
            found = problems(opening * 100_000)
            self.assertTrue(found[0].endswith(f"nested deeper than {DEEPEST} levels"), found)
            self.assertLess(time.process_time() - begun, 1)

    def test_anchored_options(self) -> None:
        """Options behind an alias reach the plugin as plain values."""
        text = (
            LISTENER
            + "pools: {p: {backends: ['tcp:a:1'], retries: &n 4, strategy: {name: timed, size: *n, zones: [a, 'b']}}}"
        )
        self.assertEqual(options_of(read(text)), {"size": 4, "zones": ["a", "b"]})
