"""What was to be expected of an account on a day: its work, its peers, its outlet, its own past.

::

    baseline = Baseline()
    for day in days:
        scored = baseline.score(day, actors, roles, outlets, count, exposure)
        scored.expected, scored.score             # one of each account

An account's ``count`` (looks that no work explains, say) is expected to be

    **rate** of its role on that very day  x  **exposure** (explained looks: who works more, misses more scans)
    x  **own factor** from its past  x  **factor of its outlet** on that day

* The rate is that of the day, so a promotion with three times the parcels moves everybody's expectation and nobody's
  score. The highest residuals are left out of it.
* The own factor is shrunk towards 1 (empirical Bayes with a gamma prior whose weight is measured, by role), from the
  :data:`WINDOW` days that end :data:`LAG` days before: who harvests does not teach it for a week. Counts enter it
  capped, and it ends where the highest of the peers are, so that who raises his habit slowly does not get far.
  An account with fewer than :data:`LEARNT` days of work in it is not *known* yet.
* The factor of the outlet is the median of what the *others* there exceed, never under 1: when scans are lost at an outlet, all
  of its people look as if they had no reason, and nobody is to be called for it.

Dispersion is measured too, by role, without the highest residuals. All sums run in the order of the rows.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.watch.by_code import longer
from parcelveil.watch.quantiles import Floats, count_score

Codes = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

LAG, WINDOW = 7, 28
#: Days of work after which an account's own factor says something.
LEARNT = 7
#: Expected counts that the prior of the own factor may stand for.
_LIGHTEST, _HEAVIEST = 1.0, 30.0
_TRIM = 0.98  # of a role's residuals the higher ones teach neither rate nor dispersion
_FACTOR_SHARE = 0.995  # the own factor ends at this quantile of the role's
_UNLIKE = 0.5  # squared coefficient of variation that a large factor of an outlet adds
_SMOOTH = 0.1  # share of a new day in the dispersion


class Scored(NamedTuple):
    """One row an account: what was expected, and how far the count is from it."""

    expected: Floats
    score: Floats  # standard normal score of the mid-p
    residual: Floats  # how many standard deviations the count's square root is from that of the expected
    outlet_factor: Floats
    known: npt.NDArray[np.bool_]  # the own factor rests on enough days


class Baseline:
    """See the module. ``sizes``: negative-binomial size by role code, learned."""

    def __init__(self) -> None:
        self.sizes: dict[int, float] = {}
        self._days: deque[tuple[int, Codes, Floats, Floats]] = deque()  # day, accounts, capped count, expected before
        self._taught: deque[tuple[int, Codes, Floats, Floats]] = deque()
        self._count = np.zeros(0)
        self._expected = np.zeros(0)
        self._worked = np.zeros(0, np.int64)  # days in the two sums

    def score(self, day: int, actors: Codes, roles: Codes, outlets: Codes, count: Counts, exposure: Counts) -> Scored:
        """Score a day, and learn from it for later days. ``actors`` are distinct and in ascending order."""
        self._learn(day, int(actors.max(initial=-1)) + 1)
        base, theirs = np.ones(len(actors)), np.ones(len(actors))
        for role in np.unique(roles).tolist():
            of = roles == role
            base[of] = _base(count[of], exposure[of])
            own = _own(self._count[actors[of]], self._expected[actors[of]])
            theirs[of] = np.clip(own, 0.2, max(1.0, float(np.quantile(own, _FACTOR_SHARE))))
        before = base * theirs
        factor = np.maximum(1.0, others_median((count + 0.5) / (before + 0.5), outlets))
        expected = before * factor
        sizes = np.ones(len(actors))
        for role in np.unique(roles).tolist():
            of = roles == role
            sizes[of] = self._size(role, count[of], expected[of])
        # How far an outlet's people are alike in its bad hours, its median cannot tell.
        sizes = 1 / (1 / sizes + _UNLIKE * (1 - 1 / factor))
        deviation = np.sqrt(expected + expected * expected / sizes)
        capped = np.minimum(count, expected + 3 * deviation + 2)
        self._days.append((day, actors, capped, base * factor))
        # Bursts have long tails: on the scale of square roots they are short enough to be extrapolated.
        residual = (np.sqrt(count + 0.375) - np.sqrt(expected + 0.375)) * 2 / np.sqrt(1 + expected / sizes)
        known = self._worked[actors] >= LEARNT
        return Scored(expected, count_score(count, expected, sizes), residual, factor, known)

    def _learn(self, day: int, accounts: int) -> None:
        """Take in the days that are old enough, and let go of those that are too old."""
        self._count, self._expected = longer(self._count, accounts), longer(self._expected, accounts)
        self._worked = longer(self._worked, accounts)
        while self._days and self._days[0][0] <= day - LAG:
            self._taught.append(self._days.popleft())
            _, actors, count, expected = self._taught[-1]
            self._count[actors] += count
            self._expected[actors] += expected
            self._worked[actors] += 1
        while self._taught and self._taught[0][0] <= day - LAG - WINDOW:
            _, actors, count, expected = self._taught.popleft()
            self._count[actors] = np.maximum(self._count[actors] - count, 0)
            self._expected[actors] = np.maximum(self._expected[actors] - expected, 0)
            self._worked[actors] -= 1

    def _size(self, role: int, count: Counts, expected: Floats) -> float:
        residual = (count - expected) / np.sqrt(expected + 0.1)
        kept = residual <= np.quantile(residual, _TRIM)
        square = float(np.sum((count[kept] - expected[kept]) ** 2 - expected[kept]))
        size = float(np.clip(np.sum(expected[kept] ** 2) / square, 0.3, 50.0)) if square > 0 else 50.0
        before = self.sizes.get(role)
        self.sizes[role] = size if before is None else before * (size / before) ** _SMOOTH
        return self.sizes[role]


def _base(count: Counts, exposure: Counts) -> Floats:
    """The counts that a role's rate of the day gives. Who has no exposure at all has a quarter of the usual."""
    work = exposure + max(1.0, 0.25 * float(np.median(exposure)))
    rate = (count.sum() + 0.5) / work.sum()
    residual = (count - rate * work) / np.sqrt(rate * work + 0.1)
    kept = residual <= np.quantile(residual, _TRIM)
    rate = (count[kept].sum() + 0.5) / work[kept].sum()
    return np.asarray(np.maximum(rate * work, 0.02))


def _own(count: Floats, expected: Floats) -> Floats:
    """Own factors, shrunk by how much those of the role differ: weight 1 / variance, by moments."""
    seen = expected > 0
    square = float(np.sum((count[seen] - expected[seen]) ** 2 - count[seen]))
    prior = float(np.clip(np.sum(expected[seen] ** 2) / square, _LIGHTEST, _HEAVIEST)) if square > 0 else _HEAVIEST
    return (prior + count) / (prior + expected)


def others_median(values: Floats, groups: Codes) -> Floats:
    """Of each row the median of the other rows of its group; 1 where there are fewer than three others, or no group."""
    order = np.lexsort((values, groups))
    ordered, group = values[order], groups[order]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]]) if len(group) else np.zeros(0, np.int64)
    sizes = np.diff(np.r_[starts, len(group)])
    start, others = np.repeat(starts, sizes), np.repeat(sizes, sizes) - 1
    place = np.arange(len(group)) - start

    def without(at: npt.NDArray[np.int64]) -> Floats:  # the at-th of the others
        found: Floats = ordered[np.minimum(start + at + (at >= place), len(ordered) - 1)]
        return found

    median = (without(np.maximum(others - 1, 0) // 2) + without(others // 2)) / 2 if len(group) else ordered
    result = np.ones(len(values))
    result[order] = np.where((others >= 3) & (group >= 0), median, 1.0)
    return result
