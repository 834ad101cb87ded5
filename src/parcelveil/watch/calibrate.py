"""Thresholds that keep a promise: so many false cases a day, and no more.

::

    reference = Reference(false_cases=10)                       # a day, for 100,000 accounts
    reference.put("opened", day, actors, values)                # everybody's statistic of every day
    rare = reference.rarity("opened", day, classes, actors, values)    # in what share of account-weeks it is so high
    surprise = log10(weight / rare)                             # comparable over all statistics
    reference.put(ALL, day, actors, highest)                    # the highest surprise of each account
    reference.limits(day, classes)                              # what it has to exceed, by class

No distribution is believed in. What a threshold rests on is what the same statistic was, at the same carrier, in the same class of
accounts, in the four weeks before: of each account and week the highest value, because after a case an account has
seven days' peace. The share of such weeks that may lie above follows from the budget: ``7 x rate x share`` where ``share`` is the
detector's part of it. Where so few weeks are known that the quantile lies beyond them, the tail is extrapolated without
the very top (:func:`~parcelveil.watch.quantiles.upper_quantile`), since those who are sought are in it.

**Twice.** Thirty statistics, each with a tail that is a little heavier than extrapolated, would add up to a broken promise. So how
rare each is only makes them comparable, as a *surprise*; and the highest surprise of an account is itself a statistic with account-weeks
of its own, from which the one limit is read that decides. Whatever is wrong with the single tails, and however they
overlap, is in it.

A class is a role; roles with fewer than :data:`FEWEST` accounts are one class together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from parcelveil.watch.baseline import Codes
from parcelveil.watch.quantiles import FLATTEST, Floats, tail_share, upper_quantile

#: Days after which an account can have a new case, and days of a block of the reference.
PEACE = 7
#: Blocks in the reference, and those that there must be before anything is said.
BLOCKS, FEWEST_BLOCKS = 4, 1
_KEPT = BLOCKS * PEACE + 3
FEWEST = 12
#: The class of accounts whose role has too few.
OTHERS = -1
PER = 100_000
#: Name of the highest surprise, and the accounts that a class has to have for a limit of its own.
ALL, LARGE = "all", 400
#: Weeks after which the highest surprise is what it will be; until then the plain reckoning is made stricter by _CAUTION.
#: Nor is a limit ever lower than by plain reckoning.
SWUNG_IN = 3
#: Shares above which the tail of the highest surprise is fitted. Lower than for single statistics: it is straight from
#: there on, and even where one account in a hundred harvests they hardly bend it.
_FROM, _TO = 0.15, 0.012
#: The least slopes of tails of statistics on other scales than that of ``-log10``: logarithms of ratios.
_FLAT = {"volume": 0.05}
#: Before anything is known of it, single tails are taken to be so much too light.
_CAUTION = 3.0


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

    def thresholds(self, name: str, day: int, shares: Mapping[int, float], classes: Codes | None) -> dict[int, float]:
        """By class, what the class's share (of account-weeks) exceeds on ``day``; rests on days before ``day`` only.

        ``classes``: the class of each account, by code; None: all are of class 0.
        """
        samples = self._samples(name, day, classes)
        return {
            one: upper_quantile(sample, min(0.5, shares[one]), flattest=_FLAT.get(name, FLATTEST))
            for one, sample in samples.items()
            if one in shares
        }

    def rarity(self, name: str, day: int, classes: Codes, actors: Codes, values: Floats) -> Floats:
        """In what share of account-weeks of the account's class such a value, or a higher one, occurs; 1: not known."""
        result = np.ones(len(actors))
        which = classes[actors]
        for one, sample in self._samples(name, day, classes).items():
            of = which == one
            result[of] = tail_share(sample, values[of], flattest=_FLAT.get(name, FLATTEST))
        return result

    def limits(self, day: int, classes: Codes) -> dict[int, float]:
        """By class, the surprise that the promise allows to exceed. Small classes have one limit together."""
        together, wanted = merged(classes), PEACE * self.rate
        found = {
            one: upper_quantile(sample, wanted, fitted=(_FROM, _TO))
            for one, sample in self._samples(ALL, day, together).items()
        }
        swung_in = ALL in self._first and day - self._first[ALL] >= SWUNG_IN * PEACE
        plain = -np.log10(wanted) + (0.0 if swung_in else np.log10(_CAUTION))
        limits = {one: found.get(int(together[classes == one][0]), -np.inf) for one in np.unique(classes).tolist()}
        return {one: float(max(plain, limit if np.isfinite(limit) else plain)) for one, limit in limits.items()}

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


def merged(classes: Codes) -> Codes:
    """Classes with fewer than :data:`LARGE` accounts as one: :data:`OTHERS`."""
    known, counts = np.unique(classes, return_counts=True)
    return np.where(np.isin(classes, known[counts < LARGE]), np.int32(OTHERS), classes).astype(np.int32)


def classes_of(roles: Codes) -> Codes:
    """The class of each account: its role, or :data:`OTHERS`. ``roles``: code by account, -1 for none."""
    known, counts = np.unique(roles, return_counts=True)
    small = known[(counts < FEWEST) | (known < 0)]
    return np.where(np.isin(roles, small), np.int32(OTHERS), roles).astype(np.int32)
