"""Looks without work: of one day, and by little and little.

::

    detector = Unexplained()
    for rows in days:                                # of watch.daily.DayRows, in order
        for scores in detector.score(rows):          # unexplained, slow, grouped, volume
            ...

===============  =====================================================================================================
unexplained      parcels looked at on one day that no work explains, against what was to be expected
                 (:class:`~parcelveil.watch.baseline.Baseline`), in deviations of the square root
slow             the same over days: a one-sided CUSUM of the clipped score. Clipped above, so that one bad day (a wave of
                 complaints) does not look like many; clipped below, so that days off do not pay for others. Page 1954;
                 the constants are those with which 5 a day are found within a week while a promised rate holds
grouped          the CUSUM of parcels that only the outlet explains: who harvests what lies on the shelf beside him
volume           looks of a day against own and peers' days, explained or not: the logarithm of the ratio
===============  =====================================================================================================

**It cannot see** who looks at no more than three strangers' parcels a week, nor who photographs labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.watch.baseline import Baseline, Codes, Counts, Scored
from parcelveil.watch.coded import GRACE
from parcelveil.watch.daily import DayRows
from parcelveil.watch.signals import Scores
from parcelveil.watch.quantiles import Floats

#: Bounds of a day's score in the CUSUM, and what is taken off every day.
LOWEST, HIGHEST, DRIFT = -2.0, 3.0, 0.75
_DAY = 86_400_000_000
#: Looks that do not count much, however few are usual.
_FEW = 10.0


class Cusum:
    """A CUSUM for each account, with what it has summed up since it last stood at zero."""

    def __init__(self) -> None:
        self._sum = self._count = self._expected = np.zeros(0)
        self._since = np.zeros(0, np.int32)

    def add(self, day: int, actors: Codes, scored: Scored, count: Counts) -> tuple[Floats, Floats, Floats]:
        """Sum of each account after ``day``; counted and expected since it last left zero. Who is not known has none."""
        expected = scored.expected
        self._grow(int(actors.max(initial=-1)) + 1)
        before = self._sum[actors]
        after = np.maximum(0.0, before + np.clip(scored.score, LOWEST, HIGHEST) - DRIFT) * scored.known
        new = before == 0
        self._since[actors[new]] = day
        self._sum[actors] = after
        for kept, value in ((self._count, count), (self._expected, expected)):
            kept[actors] = np.where(after > 0, np.where(new, 0.0, kept[actors]) + value, 0.0)
        return after, self._count[actors], self._expected[actors]

    def since(self, actor: int) -> int:
        """The day on which the account's sum left zero."""
        return int(self._since[actor])

    def restart(self, actor: int) -> None:
        """Begin anew: after a case the same days are not counted twice."""
        self._sum[actor] = self._count[actor] = self._expected[actor] = 0.0

    def _grow(self, accounts: int) -> None:
        if accounts > len(self._sum):
            more = max(accounts, 2 * len(self._sum)) - len(self._sum)
            self._sum, self._count, self._expected = (
                np.pad(kept, (0, more)) for kept in (self._sum, self._count, self._expected)
            )
            self._since = np.pad(self._since, (0, more))


class Unexplained:
    """See the module."""

    def __init__(self, offset_minutes: int = 480) -> None:
        self._offset = offset_minutes * 60_000_000
        self._none, self._grouped, self._looks = Baseline(), Baseline(), Baseline()
        self.slow, self.grouped = Cusum(), Cusum()

    def score(self, rows: DayRows) -> list[Scores]:
        """The day's statistics, of each account that looked at anything; the sums of those whose past is known."""
        day, (actors, roles, outlets, looks, direct, group, none) = rows.day, _columns(rows)
        time = (day + 1) * _DAY - self._offset + GRACE
        strangers, shelf = parcels(rows, actors, 0), parcels(rows, actors, 1)
        u = self._none.score(day, actors, roles, outlets, strangers, looks - none)
        g = self._grouped.score(day, actors, roles, outlets, shelf, direct)
        v = self._looks.score(day, actors, roles, outlets, looks, np.ones_like(looks))
        slow, slow_count, slow_expected = self.slow.add(day, actors, u, strangers)
        shelves, shelf_count, shelf_expected = self.grouped.add(day, actors, g, shelf)

        def made(
            name: str, value: npt.NDArray[np.generic], expected: Floats, score: Floats, of: npt.NDArray[np.bool_]
        ) -> Scores:
            none = np.zeros(int(of.sum()) + 1, np.int64), np.zeros(0, np.int64)
            times = np.full(int(of.sum()), time, np.int64)
            columns = value.astype(np.float64)[of], expected[of], score[of]
            return Scores("actor", name, day, actors[of], *columns, times, *none)

        everybody = np.ones(len(actors), np.bool_)
        ratio = np.log((looks + _FEW) / (v.expected + _FEW))
        return [
            made("unexplained", strangers, u.expected, u.residual, everybody),
            made("slow", slow_count, slow_expected, slow, u.known),
            made("grouped", shelf_count, shelf_expected, shelves, g.known),
            made("volume", looks, v.expected, ratio, everybody),
        ]


def _columns(rows: DayRows) -> tuple[Codes, Codes, Codes, Counts, Counts, Counts, Counts]:
    table = rows.volume
    names = ("actor", "role", "outlet", "looks", "direct", "grouped", "none")
    actor, role, outlet, looks, direct, grouped, none = (table[name].to_numpy() for name in names)
    return actor, role, outlet, looks, direct, grouped, none


def parcels(rows: DayRows, actors: Codes, level: int) -> Counts:
    """How many different parcels each of ``actors`` (ascending) looked at on a level of explanation."""
    table = rows.rows
    of = (table["settled"].to_numpy() == level) & (table["waybill"].to_numpy() != 0)
    actor, waybill = table["actor"].to_numpy()[of], table["waybill"].to_numpy()[of]
    order = np.lexsort((waybill, actor))
    actor, waybill = actor[order], waybill[order]
    first = np.r_[True, (actor[1:] != actor[:-1]) | (waybill[1:] != waybill[:-1])] if len(actor) else np.zeros(0, bool)
    counts = np.bincount(np.searchsorted(actors, actor[first]), minlength=len(actors))
    return counts.astype(np.int64)
