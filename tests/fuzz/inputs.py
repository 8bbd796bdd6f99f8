"""Inputs, all of them bytes, so that each can be kept as a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"


def kept(name: str) -> list[Path]:
    """The corpus of a target."""
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())


def keep(name: str, data: bytes) -> Path:
    """Put an input into the corpus."""
    path = CORPUS / name / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def inputs(name: str, words: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """New inputs for a target whose format has these words."""
    corpus = [path.read_bytes() for path in kept(name)]
    piece = st.one_of(st.sampled_from(list(words)), st.binary(max_size=8), st.text(max_size=6).map(_encode))
    made = st.lists(piece, max_size=40).map(b"".join)
    return st.one_of(made, _mutated(corpus, piece), _spliced(corpus))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _mutated(corpus: list[bytes], piece: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """A kept input in which some stretches are replaced, left out or doubled."""
    change = st.tuples(st.integers(0, 10_000), st.integers(0, 12), piece, st.integers(0, 3))

    def mutate(data: bytes, changes: list[tuple[int, int, bytes, int]]) -> bytes:
        for place, length, new, times in changes:
            at = place % (len(data) + 1)
            data = data[:at] + new * times + data[at + length :]
        return data

    return st.builds(mutate, st.sampled_from(corpus), st.lists(change, min_size=1, max_size=6))


def _spliced(corpus: list[bytes]) -> st.SearchStrategy[bytes]:
    """The beginning of one kept input and the end of another."""

    def splice(first: bytes, second: bytes, cut: int, resume: int) -> bytes:
        return first[: cut % (len(first) + 1)] + second[resume % (len(second) + 1) :]

    some, places = st.sampled_from(corpus), st.integers(0, 10_000)
    return st.builds(splice, some, some, places, places)
