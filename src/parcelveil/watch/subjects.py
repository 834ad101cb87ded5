"""The same recipient again: a courier and his neighbours, somebody and an ex-partner.

::

    detector = Subjects()
    for rows in days:                      # of watch.daily.DayRows, in order
        scores = detector.score(rows)      # "subject": one number an account of the day

An **occasion** is a local day on which an account looked at a recipient (``subject``, a pseudonym of the phone) without a
reason. Looks at fifteen parcels of one customer on one day are one occasion; the same parcel tomorrow is another. The
statistic is the number of occasions beyond the first, over all recipients and the trailing :data:`WINDOW` days, so it
accumulates: one look a day at five people makes nine in a fortnight. From each recipient's repetitions those are taken off
that are everybody's: the mean number of occasions of the *other* accounts that looked at the recipient without a reason as
well. A shop whose returns the whole outlet searches for every day is nobody's secret; a neighbour whom colleagues look up
now and then and one account daily is.

How many repetitions are usual follows from how many such looks an account has at all: the rate of the role, over the days
before, without its highest few, times the account's own occasions, shrunk to what the account itself had two weeks and
more ago. Two counts are kept: looks without any reason (level 0), and those and the ones that only the outlet's work
explains (levels 0 and 1), for neighbours' parcels lie on the shelf of the own outlet. The score is the higher one.

**It cannot see** recipients whose pseudonym the looks do not carry, two looks at a neighbour a month, nor a courier who
reads the neighbours' labels while he carries their parcels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.watch.by_code import places
from parcelveil.watch.daily import DayRows, settles_at
from parcelveil.watch.signals import Scores, scores
from parcelveil.watch.tails import nominal

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

WINDOW = 28
#: The days of the window that are old enough to be a habit: bits 14 to 27.
_OLD = np.uint32(((1 << 28) - 1) ^ ((1 << 14) - 1))
_ALL = np.uint32((1 << 28) - 1)
#: Occasions of a role's rate that an account's own past is shrunk by.
_PRIOR = 20.0
#: Nobody's rate of repetitions is taken to be lower, nor its size higher or lower.
_FLOOR, _SMALLEST, _LARGEST = 0.005, 0.5, 5.0
#: Share of a role's accounts that teach its rate.
_BULK = 0.98
#: The share of a new day in a role's rate.
_SMOOTH = 0.1


class Subjects:
    """See the module."""

    def __init__(self, *, offset_minutes: int = 480) -> None:
        self._offset = offset_minutes * 60_000_000
        self._counts = (_Repetitions(), _Repetitions())

    def score(self, rows: DayRows) -> Scores:
        """``subject`` of every account of the day; value: repetitions in the trailing window beyond everybody's."""
        day, actors, roles = rows.day, rows.volume["actor"].to_numpy(), rows.volume["role"].to_numpy()
        table = rows.rows
        settled, subject = table["settled"].to_numpy(), table["subject"].to_numpy()
        looked = (settled >= 0) & (subject != 0) & (table["waybill"].to_numpy() != 0)
        evidence = np.zeros(len(looked), np.bool_)
        found = []
        for level, counts in enumerate(self._counts):
            of = looked & (settled <= level)
            repeated = counts.add(day, table["actor"].to_numpy()[of], subject[of])
            evidence[np.flatnonzero(of)[repeated]] = True
            found.append(counts.score(actors, roles))
        (value, expected, score), (wider, usual, other) = found
        higher = other > score
        best = np.where(higher, wider, value), np.where(higher, usual, expected), np.maximum(score, other)
        return scores(
            "actor", "subject", day, actors, *best,
            row_subject=table["actor"].to_numpy()[evidence], row_id=table["id"].to_numpy()[evidence],
            row_time=table["received"].to_numpy()[evidence], time=settles_at(day, self._offset),
        )  # fmt: skip


class _Repetitions:
    """Which days each account looked at each recipient: one bit a day, the newest is bit 0. 20 bytes a pair."""

    def __init__(self) -> None:
        self._actor = np.zeros(0, np.int32)
        self._subject = np.zeros(0, np.int64)
        self._days = np.zeros(0, np.uint32)
        self._day: int | None = None
        self._rates: dict[int, tuple[float, float]] = {}  # of a role: rate, size

    def add(self, day: int, actor: Codes, subject: Int64) -> npt.NDArray[np.bool_]:
        """Add a day's looks. Of each: whether the account had looked at the recipient on an earlier day."""
        passed = 0 if self._day is None else day - self._day
        self._day = day
        self._days = ((self._days << np.uint32(min(passed, 31))) & _ALL).astype(np.uint32)
        everything = np.concatenate([self._actor, actor]), np.concatenate([self._subject, subject])
        bits = np.concatenate([self._days, np.ones(len(actor), np.uint32)])
        order = np.lexsort(everything[::-1])
        who, whom, bits = everything[0][order], everything[1][order], bits[order]
        if not len(who):
            return np.zeros(0, np.bool_)
        first = np.r_[True, (who[1:] != who[:-1]) | (whom[1:] != whom[:-1])]
        starts = np.flatnonzero(first)
        days = np.bitwise_or.reduceat(bits, starts)
        repeated = np.empty(len(order), np.bool_)
        repeated[order] = (days > 1)[np.cumsum(first) - 1]
        kept = days > 0
        self._actor, self._subject, self._days = who[starts][kept], whom[starts][kept], days[kept].astype(np.uint32)
        return repeated[len(order) - len(actor) :]

    def score(self, actors: Codes, roles: Codes) -> tuple[Float, Float, Float]:
        """Value, expected and score of each of ``actors`` (ascending); then learn the roles' rates."""
        others = self._others()
        at, there = places(self._actor, actors)

        def summed(mask: np.uint32) -> tuple[Float, Float]:
            times = np.bitwise_count(self._days[there] & mask).astype(np.float64)
            repeats = np.bincount(at[there], np.maximum(times - 1 - others[there], 0), len(actors))
            return np.bincount(at[there], times, len(actors)).astype(np.float64), repeats.astype(np.float64)

        occasions, value = summed(_ALL)
        before, repeats_before = summed(_OLD)
        expected, score = np.full(len(actors), _FLOOR), np.zeros(len(actors))
        for role in np.unique(roles).tolist():
            of = roles == role
            rate, size = self._rates.get(role) or self._learned(role, value[of], occasions[of])
            # an own past counts for at most three times the role's rate: a habit of spying is none
            own = np.minimum((repeats_before[of] + _PRIOR * rate) / (before[of] + _PRIOR), 3 * rate)
            expected[of] = np.maximum(own * occasions[of], _FLOOR)
            score[of] = nominal(value[of], expected[of], size)
            self._learned(role, value[of], occasions[of])
        return value, expected, score

    def _others(self) -> Float:
        """Of each pair, how many occasions the other accounts have with its recipient on average; 0 where there are none."""
        times = np.bitwise_count(self._days).astype(np.float64)
        _, place, accounts = np.unique(self._subject, return_inverse=True, return_counts=True)
        rest, number = np.bincount(place, times)[place] - times, accounts[place] - 1
        return np.asarray(np.where(number > 0, rest / np.maximum(number, 1), 0.0))

    def _learned(self, role: int, value: Float, occasions: Float) -> tuple[float, float]:
        some = occasions > 0
        value, occasions = value[some], occasions[some]
        if not len(value):
            return self._rates.get(role, (_FLOOR, 1.0))
        rate = max(float(value.sum() / occasions.sum()), _FLOOR)
        residual = (value - rate * occasions) / np.sqrt(rate * occasions)
        kept = residual <= np.quantile(residual, _BULK)
        rate = max(float(value[kept].sum() / occasions[kept].sum()), _FLOOR)
        mean = rate * occasions[kept]
        square = float(((value[kept] - mean) ** 2 - mean).sum())
        size = float(np.clip((mean**2).sum() / square, _SMALLEST, _LARGEST)) if square > 0 else _LARGEST
        before = self._rates.get(role, (rate, size))
        self._rates[role] = before[0] * (rate / before[0]) ** _SMOOTH, before[1] * (size / before[1]) ** _SMOOTH
        return self._rates[role]
