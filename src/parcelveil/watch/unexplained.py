"""Looks without work: of one day, and by little and little.

::

    detector = Unexplained()
    for rows in days:                                # of watch.daily.DayRows, in order
        for scores in detector.score(rows):          # unexplained, volume, opened, far, distant …
            ...

===========  =========================================================================================================
unexplained  parcels looked at on one day that no work explains, against what was to be expected
             (:class:`~parcelveil.watch.baseline.Baseline`), in deviations of the square root
distant      the same of parcels opened that no outlet of the account's region ever had: hardly anybody has a reason for
             those, so few are enough. Both are the detector *unexplained*
opened       the same over days: a one-sided CUSUM of the clipped score (Page 1954). Clipped above, so that one bad day (a wave
             of complaints) does not look like many; clipped below, so that days off do not pay for others
searched     the same of what was searched for, counted by occasions: one search at the counter finds all parcels of a customer
far          the same of the distant ones. These three are the detector *slow*
grouped      the CUSUM of what only the outlet explains, parcels opened and searches: who harvests what lies on the shelf
             beside him
volume       looks of a day against own and peers' days, explained or not: the logarithm of the ratio
===========  =========================================================================================================

**It cannot see** who looks at no more than three strangers' parcels a week, nor who photographs labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.watch.baseline import Baseline, Codes, Counts, Scored
from parcelveil.watch.by_code import different, longer
from parcelveil.watch.coded import ACTIONS
from parcelveil.watch.daily import DayRows, settles_at
from parcelveil.watch.quantiles import Floats
from parcelveil.watch.signals import Scores

#: The sums over days.
SUMS = ("opened", "far", "searched", "grouped")
#: Results of a search come together; what comes so much later (microseconds) is another search.
APART = 120_000_000
#: Bounds of a day's score in the CUSUM, and what is taken off every day: with these 5 a day are found within a week while the
#: promise holds.
LOWEST, HIGHEST, DRIFT = -2.0, 3.0, 0.75
#: Parcels from far away come in bursts less often: a day of them may say more.
HIGHEST_FAR = 4.5
_SEARCH = ACTIONS.index("search")
#: Looks that do not count much, however few are usual.
_FEW = 10.0


class Cusum:
    """A CUSUM for each account, with what it has summed up since it last stood at zero."""

    def __init__(self) -> None:
        self._sum = self._count = self._expected = np.zeros(0)
        self._since = np.zeros(0, np.int32)

    def add(
        self, day: int, actors: Codes, scored: Scored, count: Counts, highest: float = 3.0
    ) -> tuple[Floats, Floats, Floats]:
        """Sum of each account after ``day``; counted and expected since it last left zero. Who is not known has none."""
        expected = scored.expected
        self._grow(int(actors.max(initial=-1)) + 1)
        before = self._sum[actors]
        after = np.maximum(0.0, before + np.clip(scored.score, LOWEST, highest) - DRIFT) * scored.known
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
        self._sum, self._count, self._expected = (
            longer(kept, accounts) for kept in (self._sum, self._count, self._expected)
        )
        self._since = longer(self._since, accounts)


class Unexplained:
    """See the module."""

    def __init__(self, offset_minutes: int = 480) -> None:
        self._offset = offset_minutes * 60_000_000
        self._baselines = {name: Baseline() for name in ("unexplained", *SUMS, "volume")}
        self._sums = {name: Cusum() for name in SUMS}
        #: Of the last day's accounts, by how much the others at their outlets exceeded what was expected of them.
        self.outlet_factor: Floats = np.ones(0)

    def score(self, rows: DayRows) -> list[Scores]:
        """The day's statistics, of each account that looked at anything; the sums of those whose past is known."""
        day, (actors, roles, outlets, looks, direct, none) = rows.day, _columns(rows)
        time = settles_at(day, self._offset)
        exposure, one = looks - none, np.ones_like(looks)
        strangers = parcels(rows, actors, 0)
        opened, searched = parcels(rows, actors, 0, opened=True), searches(rows, actors, 0)
        shelf = parcels(rows, actors, 1, opened=True) + searches(rows, actors, 1)

        def scored(name: str, count: Counts, work: Counts) -> Scored:
            return self._baselines[name].score(day, actors, roles, outlets, count, work)

        def made(
            name: str, value: npt.NDArray[np.generic], expected: Floats, score: Floats, of: npt.NDArray[np.bool_]
        ) -> Scores:
            none = np.zeros(int(of.sum()) + 1, np.int64), np.zeros(0, np.int64)
            times = np.full(int(of.sum()), time, np.int64)
            columns = value.astype(np.float64)[of], expected[of], score[of]
            return Scores("actor", name, day, actors[of], *columns, times, *none)

        everybody = np.ones(len(actors), np.bool_)
        whole, volume = scored("unexplained", strangers, exposure), scored("volume", looks, one)
        self.outlet_factor = whole.outlet_factor
        ratio = np.log((looks + _FEW) / (volume.expected + _FEW))
        result = [
            made("unexplained", strangers, whole.expected, whole.residual, whole.known),
            made("volume", looks, volume.expected, ratio, everybody),
        ]
        far = parcels(rows, actors, 0, opened=True, near=0)
        for name, count in (("opened", opened), ("far", far), ("searched", searched), ("grouped", shelf)):
            of_day = scored(name, count, direct if name == "grouped" else exposure)
            highest = HIGHEST_FAR if name == "far" else HIGHEST
            total, counted, expected = self._sums[name].add(day, actors, of_day, count, highest)
            result.append(made(name, counted, expected, total, of_day.known))
            if name == "far":
                result.append(made("distant", count, of_day.expected, of_day.residual, of_day.known))
        return result

    def restart(self, name: str, actor: int) -> None:
        """Begin a sum anew: after a case the same days are not counted twice."""
        self._sums[name].restart(actor)

    def since(self, name: str, actor: int) -> int:
        """The day on which a sum left zero."""
        return self._sums[name].since(actor)


def _columns(rows: DayRows) -> tuple[Codes, Codes, Codes, Counts, Counts, Counts]:
    names = ("actor", "role", "outlet", "looks", "direct", "none")
    actor, role, outlet, looks, direct, none = (rows.volume[name].to_numpy() for name in names)
    return actor, role, outlet, looks, direct, none


def parcels(rows: DayRows, actors: Codes, level: int, *, opened: bool = False, near: int | None = None) -> Counts:
    """How many different parcels each of ``actors`` (ascending) looked at on a level.

    ``opened``: not by searching; ``near``: only those whose column near has that value.
    """
    table = rows.rows
    of = (table["settled"].to_numpy() == level) & (table["waybill"].to_numpy() != 0)
    if opened:
        of &= table["action"].to_numpy() != _SEARCH
    if near is not None:
        of &= table["near"].to_numpy() == near
    return different(table["actor"].to_numpy()[of], table["waybill"].to_numpy()[of], actors)


def searches(rows: DayRows, actors: Codes, level: int) -> Counts:
    """On how many occasions each of ``actors`` (ascending) found parcels of a level by searching: :data:`APART` apart."""
    table = rows.rows
    of = (table["settled"].to_numpy() == level) & (table["action"].to_numpy() == _SEARCH)
    actor, time = table["actor"].to_numpy()[of], table["time"].to_numpy()[of]
    order = np.lexsort((time, actor))
    actor, time = actor[order], time[order]
    first = np.r_[True, (actor[1:] != actor[:-1]) | (np.diff(time) > APART)] if len(actor) else np.zeros(0, bool)
    return np.bincount(np.searchsorted(actors, actor[first]), minlength=len(actors)).astype(np.int64)
