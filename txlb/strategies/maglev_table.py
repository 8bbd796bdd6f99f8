"""Maglev's lookup table, filled in steps.

Each backend has an order of preference over all slots: from `offset` on, every `skip`-th, modulo the prime table size.
They take turns, and at its turn each takes the first slot it prefers that is still free. With weights a backend has a
turn in a round only when `round * weight` has reached its target, which each turn raises by the greatest weight.
Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4.

Filling is a coupon collector's problem, `size * ln(size)` looks in all. The last free slots cost most of them, so once
few are left a backend compares the free slots' places in its order, instead of walking the order. The table is the same.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator
from itertools import chain, islice
from math import isqrt

SIZES = (65537, 262147, 1000003, 4000037, 10000019)
"""Primes. The paper's two are 65537 and 655373; steps this wide rarely make a growing pool change over."""

LOOKS = 12_000
"""Slots looked at in one step: about a millisecond."""

Preference = tuple[int, int]
"""(offset, skip)."""


def table_size(backends: int) -> int:
    """The least that gives each backend 100 slots, for shares within about 1 % of each other."""
    return next((size for size in SIZES if size >= 100 * backends), SIZES[-1])


def preference(hashed: int, size: int) -> Preference:
    """A backend's order, from the 64 bits of its name's hash."""
    return (hashed >> 32) % size, (hashed & 0xFFFFFFFF) % (size - 1) + 1


def fill(preferences: list[Preference], weights: list[int], size: int) -> Generator[None, None, array]:
    """Yields after each step; returns the table: the index of a backend for each slot."""
    table = array("H" if len(preferences) <= 0xFFFF else "L", [0]) * size
    taken = bytearray(size)
    at = [offset for offset, _ in preferences]
    skips = [skip for _, skip in preferences]
    left = size
    few = isqrt(size)
    turns = chain.from_iterable(_rounds(weights))
    spent = 0
    yield
    while left > few:
        count = min(max(1, LOOKS * left // size), left - few)
        _take(islice(turns, count), at, skips, size, taken, table)
        spent += count * size // left
        left -= count
        if 2 * spent >= LOOKS:
            spent = 0
            yield
    free = _free(taken, left)
    while free:
        _take_of_few(next(turns), at, skips, size, free, table)
        spent += 2 * len(free)
        if 2 * spent >= LOOKS:
            spent = 0
            yield
    return table


def _take(turns: Iterator[int], at: list[int], skips: list[int], size: int, taken: bytearray, table: array) -> None:
    for index in turns:
        slot = at[index]
        if taken[slot]:
            skip = skips[index]
            slot += skip
            if slot >= size:
                slot -= size
            while taken[slot]:
                slot += skip
                if slot >= size:
                    slot -= size
            at[index] = slot
        taken[slot] = 1
        table[slot] = index


def _take_of_few(index: int, at: list[int], skips: list[int], size: int, free: list[int], table: array) -> None:
    start, inverse = at[index], pow(skips[index], -1, size)
    slot = min(free, key=lambda slot: (slot - start) * inverse % size)
    at[index] = slot
    table[slot] = index
    free.remove(slot)


def _free(taken: bytearray, count: int) -> list[int]:
    free = []
    slot = -1
    for _ in range(count):
        slot = taken.find(0, slot + 1)
        free.append(slot)
    return free


def _rounds(weights: list[int]) -> Iterator[list[int]]:
    """The indices that have a turn, round by round; those of one weight have theirs in the same rounds."""
    greatest = max(weights)
    groups: dict[int, list[int]] = {}
    for index, weight in enumerate(weights):
        groups.setdefault(weight, []).append(index)
    ordered = sorted(groups.items(), reverse=True)
    targets = [0] * len(ordered)
    number = 0
    while True:
        number += 1
        turns: list[int] = []
        for place, (weight, indices) in enumerate(ordered):
            if number * weight >= targets[place] + greatest:
                targets[place] += greatest
                turns += indices
        yield turns
