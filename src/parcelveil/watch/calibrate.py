"""Thresholds that keep a promise: so many false cases a day, and no more.

::

    reference = Reference(false_cases=10)                       # a day, for 100,000 accounts
    reference.put("slow", day, actors, values)                  # everybody's statistic of every day
    limits = reference.thresholds("slow", day, share, classes)  # by class of accounts; infinite until enough is known

No distribution is believed in. What a threshold rests on is what the same statistic was, at the same carrier, in the same class of
accounts, in the four weeks before: of each account and week the highest value, because after a case an account has
seven days' peace. The share of such weeks that may lie above follows from the budget: ``7 x rate x share`` where ``share`` is the
detector's part of it. Where so few weeks are known that the quantile lies beyond them, the tail is extrapolated without
the very top (:func:`~parcelveil.watch.quantiles.upper_quantile`), since those who are sought are in it.

A class is a role; roles with fewer than :data:`FEWEST` accounts are one class together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from parcelveil.watch.baseline import Codes
from parcelveil.watch.quantiles import Floats, tail_share, upper_quantile

#: Days after which an account can have a new case, and days of a block of the reference.
PEACE = 7
#: Blocks in the reference, and those that there must be before anything is said.
BLOCKS, FEWEST_BLOCKS = 4, 1
_KEPT = BLOCKS * PEACE + 3
FEWEST = 30
#: The class of accounts whose role has too few.
OTHERS = -1
PER = 100_000


class Reference:
    """See the module."""

    def __init__(self, false_cases: float = 10.0) -> None:
        self.rate = false_cases / PER
        self._rings: dict[str, npt.NDArray[np.float32]] = {}
        self._first: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def put(self, name: str, day: int, actors: Codes, values: Floats) -> None:
        """Keep a day's values. Days come in ascending order; of an account that is not named there is none."""
        ring = self._rings.get(name)
        accounts = int(actors.max(initial=-1)) + 1
        if ring is None:
            ring = np.full((_KEPT, max(accounts, 64)), np.nan, np.float32)
            self._first[name] = day
        elif accounts > ring.shape[1]:
            ring = np.pad(ring, ((0, 0), (0, max(accounts, 2 * ring.shape[1]) - ring.shape[1])), constant_values=np.nan)
        self._rings[name] = ring
        for passed in range(max(self._last.get(name, day - 1) + 1, day - _KEPT + 1), day + 1):
            ring[passed % _KEPT] = np.nan  # days without a word, too
        self._last[name] = day
        ring[day % _KEPT, actors] = values

    def thresholds(self, name: str, day: int, share: float, classes: Codes | None) -> dict[int, float]:
        """By class, what a ``share`` of the budget allows to exceed on ``day``; rests on days before ``day`` only.

        ``classes``: the class of each account, by code; None: all are of class 0.
        """
        wanted = min(0.5, PEACE * self.rate * share)
        return {one: upper_quantile(sample, wanted) for one, sample in self._samples(name, day, classes).items()}

    def rarity(self, name: str, day: int, classes: Codes, which: int, values: Floats) -> Floats:
        """In what share of an account's weeks such values, or higher ones, occur in the class ``which``."""
        sample = self._samples(name, day, classes).get(which)
        return np.ones_like(values) if sample is None else tail_share(sample, values)

    def _samples(self, name: str, day: int, classes: Codes | None) -> Mapping[int, Floats]:
        ring = self._rings.get(name)
        if ring is None:
            return {}
        blocks = min(BLOCKS, (day - self._first[name]) // PEACE)
        if blocks < FEWEST_BLOCKS:
            return {}
        if classes is None:
            classes = np.zeros(ring.shape[1], np.int32)
        width = min(ring.shape[1], len(classes))
        highest = np.full((blocks, width), -np.inf, np.float32)
        for block in range(blocks):
            for back in range(PEACE):
                row = ring[(day - 1 - block * PEACE - back) % _KEPT, :width]
                np.fmax(highest[block], row, out=highest[block])
        result = {}
        for one in np.unique(classes[:width]).tolist():
            values = highest[:, classes[:width] == one].ravel()
            result[one] = values[np.isfinite(values)].astype(np.float64)
        return result


def classes_of(roles: Codes) -> Codes:
    """The class of each account: its role, or :data:`OTHERS`. ``roles``: code by account, -1 for none."""
    known, counts = np.unique(roles, return_counts=True)
    small = known[(counts < FEWEST) | (known < 0)]
    return np.where(np.isin(roles, small), np.int32(OTHERS), roles).astype(np.int32)
