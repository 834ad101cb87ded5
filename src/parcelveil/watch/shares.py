"""What share of something is usual: of one, and of everybody, with how much everybody's share differs by day.

::

    shares = Shares(0.04)                          # believed before anything is known
    shares.learn(day, key, flags, size)            # rows of a day: whose, and whether they are of the kind
    shares.of(size), shares.everybody(), shares.size()

One's own share is shrunk to everybody's by :data:`PRIOR` rows; everybody's is that of the sums without the highest
hundredth of those that have many rows. The size is that of a negative binomial by which the days differ. The past fades with a
half-life of two weeks.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

PRIOR = 100.0
#: Rows that the first belief counts for.
_BELIEF = 500.0
_FADE = 0.5 ** (1 / 14)
#: No share is believed to be lower or higher.
_LEAST, _MOST = 0.002, 0.3
_DAYS = 28
#: Bounds of the size: before a week is known the first; later up to the second (days differ by 7 % at least).
_UNSURE, _SUREST = 10.0, 200.0
_TRIM = 0.99


class Shares:
    """See the module."""

    def __init__(self, belief: float) -> None:
        self._belief = belief
        self._rows = self._hits = np.zeros(0)
        self._days: deque[tuple[float, float]] = deque(maxlen=_DAYS)
        self._last: int | None = None

    def learn(self, day: int, key: Int64, flags: npt.NDArray[np.bool_], size: int) -> None:
        """Take in a day's rows; keys are codes below ``size``."""
        self.add(day, np.bincount(key, minlength=size), np.bincount(key, flags, minlength=size))

    def add(self, day: int, rows: npt.NDArray[np.generic], hits: npt.NDArray[np.generic]) -> None:
        """Take in a day's sums by code."""
        fade = 1.0 if self._last is None else _FADE ** (day - self._last)
        self._last = day
        more = (0, len(rows) - len(self._rows))
        self._rows = np.pad(self._rows, more) * fade + rows.astype(np.float64)
        self._hits = np.pad(self._hits, more) * fade + hits.astype(np.float64)
        if rows.sum() > 0:
            self._days.append((float(rows.sum()), float(hits.sum())))

    def everybody(self) -> float:
        """Everybody's share."""
        rows, hits = self._rows, self._hits
        if len(rows):
            share = hits / np.maximum(rows, 1.0)
            many = rows >= PRIOR
            kept = ~many | (share <= np.quantile(share[many], _TRIM)) if many.any() else np.ones(len(rows), np.bool_)
            rows, hits = rows[kept], hits[kept]
        total = float((hits.sum() + _BELIEF * self._belief) / (rows.sum() + _BELIEF))
        return min(max(total, _LEAST), _MOST)

    def of(self, size: int) -> Float:
        """The share of each code below ``size``."""
        all_ = self.everybody()
        more = (0, max(0, size - len(self._rows)))
        rows, hits = np.pad(self._rows, more)[:size], np.pad(self._hits, more)[:size]
        own: Float = np.maximum((hits + PRIOR * all_) / (rows + PRIOR), _LEAST)
        return own

    def size(self) -> float:
        """The size of a negative binomial by which a day's count differs from what its rows let expect."""
        if len(self._days) < 7:
            return _UNSURE
        rows, hits = np.array(self._days).T
        mean = rows * hits.sum() / rows.sum()
        excess = float(((hits - mean) ** 2 - mean).sum())
        return float(np.clip((mean**2).sum() / excess, _UNSURE / 2, _SUREST)) if excess > 0 else _SUREST
