"""Loops over a day's open rows, one after the other: the compiled half of :mod:`parcelveil.watch.running`.

A table gives every pair of numbers a place 0, 1, … by order of appearance; sums and rings are arrays by place::

    places = placed(first, second, table_first, table_second, table_place, salt, count)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.seal.passes import compiled

I64 = npt.NDArray[np.int64]
I8 = npt.NDArray[np.int8]

#: Serials that are remembered of a key, and how far apart two of a walk may be.
RING = 8
STRIDE = 3


@compiled
def _mixed(first: np.int64, second: np.int64, salt: np.uint64) -> np.uint64:
    """A salted hash (SplitMix64's finaliser, twice): serials and ids are chosen by others."""
    mixed = np.uint64(first) ^ salt
    for part in range(2):
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
        if part == 0:
            mixed ^= np.uint64(second)
    return mixed


@compiled
def placed(
    first: I64, second: I64, table_first: I64, table_second: I64, table_place: I64, salt: np.uint64, count: int
) -> I64:
    """The place of each pair; new pairs get ``count`` and on. A free entry has place -1; ``2 ** n`` entries, half empty."""
    mask = np.uint64(len(table_place) - 1)
    out = np.empty(len(first), np.int64)
    for row in range(len(first)):
        one, two = first[row], second[row]
        at = _mixed(one, two, salt) & mask
        while table_place[at] >= 0 and (table_first[at] != one or table_second[at] != two):
            at = (at + np.uint64(1)) & mask
        if table_place[at] < 0:
            table_first[at], table_second[at], table_place[at] = one, two, count
            count += 1
        out[row] = table_place[at]
    return out


@compiled
def summed(places: I64, amounts: I64, sums: I64) -> I64:
    """Add each amount to the sum at its place. Returns what each sum was then."""
    out = np.empty(len(places), np.int64)
    for row in range(len(places)):
        sums[places[row]] += amounts[row]
        out[row] = sums[places[row]]
    return out


@compiled
def risen(places: I64, values: I64, highest: I64) -> I64:
    """By how much each value is above the highest of its place so far, which it then is; 0 where it is not."""
    out = np.zeros(len(places), np.int64)
    for row in range(len(places)):
        place = places[row]
        if values[row] > highest[place]:
            out[row] = values[row] - highest[place]
            highest[place] = values[row]
    return out


@compiled
def walked(places: I64, serials: I64, rings: I64, held: I64) -> I64:
    """1 for each serial that lies 1 to 3 beside one of the eight before it at its place, and is none of them; else 0.

    ``rings``: ``(places, 8)``; ``held``: how many serials each place ever had.
    """
    out = np.zeros(len(places), np.int64)
    for row in range(len(places)):
        place, serial = places[row], serials[row]
        step, again = False, False
        for before in range(min(held[place], RING)):
            apart = rings[place, before] - serial
            again |= apart == 0
            step |= apart != 0 and -STRIDE <= apart <= STRIDE
        if again:
            continue
        rings[place, held[place] % RING] = serial
        held[place] += 1
        out[row] = step
    return out
