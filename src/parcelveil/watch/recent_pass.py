"""A compiled hash table of 64-bit numbers and how often each came: what :mod:`parcelveil.watch.recent` is made of.

::

    >>> keys, counts = np.zeros(8, np.int64), np.zeros(8, np.uint16)
    >>> before = np.zeros(3, np.int32)
    >>> noted(keys, counts, np.array([7, 9, 7]), before, 1), before.tolist()
    (2, [0, 0, 1])

Open addressing with linear steps over a power of two of places; a place whose count is 0 is free. Where a number lies
depends on a ``seed`` that nobody outside knows: who can choose numbers cannot make them crowd together.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.seal.passes import Index, compiled

Counts = npt.NDArray[np.uint16]
_MOST = 65_535


@compiled
def _place(key: np.int64, seed: np.int64, mask: np.uint64) -> np.uint64:
    """Where a number is looked for first: the mixing steps of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    word = np.uint64(key) ^ np.uint64(seed)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = ((word ^ np.uint64(seed)) ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (word ^ (word >> np.uint64(31))) & mask


@compiled
def noted(keys: Index, counts: Counts, ids: Index, before: npt.NDArray[np.int32], seed: int) -> int:
    """Add to ``before`` how often each of ``ids`` came before, and count it. Returns how many came for the first time.

    The table must have more free places than there are ``ids``.
    """
    mask, key = np.uint64(len(keys) - 1), np.int64(seed)
    fresh = 0
    for row in range(len(ids)):
        place = _place(ids[row], key, mask)
        while counts[place] and keys[place] != ids[row]:
            place = (place + np.uint64(1)) & mask
        if counts[place]:
            before[row] += counts[place]
        else:
            keys[place] = ids[row]
            fresh += 1
        if counts[place] < _MOST:
            counts[place] += np.uint16(1)
    return fresh


@compiled
def known(keys: Index, counts: Counts, ids: Index, before: npt.NDArray[np.int32], seed: int) -> None:
    """Add to ``before`` how often each of ``ids`` came before, and note nothing."""
    mask, key = np.uint64(len(keys) - 1), np.int64(seed)
    for row in range(len(ids)):
        place = _place(ids[row], key, mask)
        while counts[place] and keys[place] != ids[row]:
            place = (place + np.uint64(1)) & mask
        before[row] += counts[place]


@compiled
def moved(keys: Index, counts: Counts, new_keys: Index, new_counts: Counts, seed: int) -> None:
    """Put what one table holds into a larger empty one."""
    mask, key = np.uint64(len(new_keys) - 1), np.int64(seed)
    for old in range(len(keys)):
        if counts[old]:
            place = _place(keys[old], key, mask)
            while new_counts[place]:
                place = (place + np.uint64(1)) & mask
            new_keys[place], new_counts[place] = keys[old], counts[old]
