"""Seeded draws by the batch: weighted choices, quantile tables, and numbers that never repeat.

A table is built once from weights or quantiles; drawing from it costs one 16-bit random word and one lookup a row::

    >>> source = Draw(7, 0)
    >>> table = weighted([9, 1])
    >>> bool(0.89 < (table[source.words(100_000)] == 0).mean() < 0.91)
    True
    >>> len(set(scatter(np.arange(1000), bits=43, seed=7).tolist()))
    1000

Only raw words of PCG64 seeded by SeedSequence are used, because NumPy promises those to stay the same from version
to version, and makes no such promise for the methods of ``Generator``. So one seed gives one output everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: Rows of a lookup table; a 16-bit word is an index.
SIZE = 1 << 16

Words = npt.NDArray[np.uint16]
Codes = npt.NDArray[np.int32]


class Draw:
    """A stream of random words that depends on ``seed`` and ``path`` only (all integers, not negative)."""

    def __init__(self, seed: int, *path: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, *path]))

    def _raw(self, count: int) -> npt.NDArray[np.uint64]:
        raw: npt.NDArray[np.uint64] = self._bits.random_raw(count)
        return raw.astype("<u8", copy=False)

    def words(self, count: int) -> Words:
        """``count`` 16-bit words, each equally likely."""
        return self._raw(-(-count // 4)).view("<u2")[:count].astype(np.uint16, copy=False)

    def below(self, limit: int | npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.int64]:
        """``count`` integers from 0 up to, not including, ``limit`` (at most 2**32)."""
        half = self._raw(-(-count // 2)).view("<u4")[:count].astype(np.uint64)
        return ((half * np.asarray(limit, np.uint64)) >> np.uint64(32)).astype(np.int64)

    def chance(self, share: float, count: int) -> npt.NDArray[np.bool_]:
        """``count`` flags of which about ``share`` are true (in steps of 1/65536)."""
        return self.words(count) < round(share * SIZE)


def weighted(weights: Sequence[float] | npt.NDArray[np.float64], *, size: int = SIZE) -> Codes:
    """A table of ``size`` codes in which code ``i`` has its weight's share, by cumulative rounding.

    Weights need not sum to one. A code whose share is under ``1 / size`` may be left out.
    """
    total = np.cumsum(np.asarray(weights, np.float64))
    edges = np.rint(total / total[-1] * size).astype(np.int64)
    return np.repeat(np.arange(len(edges), dtype=np.int32), np.diff(edges, prepend=0))


def quantile_table(levels: Sequence[float], values: Sequence[float]) -> npt.NDArray[np.float64]:
    """A table of :data:`SIZE` values with these quantiles (``levels`` in percent), log-linear in between.

    No value was measured below the first level and above the last; there the table runs on to a half of the first
    value and to three times the last.
    """
    xs = np.array([0.0, *levels, 100.0])
    ys = np.log(np.array([values[0] / 2, *values, values[-1] * 3]))
    table: npt.NDArray[np.float64] = np.exp(np.interp((np.arange(SIZE) + 0.5) * (100.0 / SIZE), xs, ys))
    return table


def scatter(index: npt.NDArray[np.int64], *, bits: int, seed: int) -> npt.NDArray[np.int64]:
    """Permute the numbers under ``2**bits``: distinct indices give distinct numbers that look unordered.

    It is a bijection made of odd multiplications and shift-xors modulo ``2**bits``; it hides nothing.
    """
    mask = np.uint64((1 << bits) - 1)
    keys = np.random.SeedSequence([seed, bits]).generate_state(4, np.uint64)
    value = (index.astype(np.uint64) ^ keys[0]) & mask
    for key in keys[1:]:
        value = (value * (key | np.uint64(1))) & mask
        value ^= value >> np.uint64((bits + 1) // 2)
    result: npt.NDArray[np.int64] = value.astype(np.int64)
    return result
