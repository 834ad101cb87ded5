"""How often something happens to an account: its own days, its peers', and how that day was for everybody.

::

    habit = Habit()
    expected, score = habit.score(day, actors, groups, counts)    # then learned, two weeks later

For statistics that are mostly zero (looks on a new device, exports, minutes at two places), beside
:class:`~parcelveil.watch.baseline.Baseline`, which is for looks. The mean of an account is that of its own days, shrunk to its
group's by :data:`PRIOR` days; the group's is pooled over weeks and never under :data:`FLOOR`. On a day on which the whole
group has more (a promotion, an outage) all expectations of the group rise with it, as far as the bulk of the group does.
The size of the negative binomial is the group's, by moments, and never so large that a person would be a Poisson process.

What is learned is capped at three times what was expected and a deviation, and only :data:`LAG` days later: who harvests hardly
teaches it, and a case is opened before it does. The past fades with a half-life of :data:`HALF_LIFE` days.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from parcelveil.watch.by_code import longer
from parcelveil.watch.tails import nominal

Float = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

LAG = 14
HALF_LIFE = 14
PRIOR = 7.0
FLOOR = 0.02
#: Bounds of the size: what people seldom do they do in bursts, so no size is ever above that of a geometric count.
SMALLEST, LARGEST = 0.2, 1.0
#: Share of a group that teaches how the day is; the highest few do not.
_BULK = 0.98
_FADE = 0.5 ** (1 / HALF_LIFE)


class Habit:
    """See the module. Subjects and groups are codes; a group of -1 is one like any other."""

    def __init__(self, *, floor: float = FLOOR) -> None:
        self._floor = floor
        self._sum = np.zeros(0)
        self._days = np.zeros(0)
        self._groups: dict[int, tuple[float, float, float]] = {}  # faded days, sum, sum of squares
        self._waiting: deque[tuple[int, Codes, Codes, Float]] = deque()
        self._faded: int | None = None

    def score(self, day: int, subject: Codes, group: Codes, value: npt.NDArray[np.generic]) -> tuple[Float, Float]:
        """What was expected of each subject on ``day``, and ``-log10`` of the tail; then learn (later). Days ascend."""
        value = value.astype(np.float64)
        self._learn(day, int(subject.max(initial=-1)) + 1)
        mean, size = self._own(subject, group)
        for one in np.unique(group).tolist():
            of = group == one
            mean[of] *= _day_factor(value[of], mean[of])
        deviation = np.sqrt(mean + mean * mean / size)
        self._waiting.append((day, subject, group, np.minimum(value, np.ceil(3 * (mean + 1 + deviation)))))
        return mean, nominal(value, mean, size)

    def days(self, subject: Codes) -> Float:
        """How many (faded) days of each subject have been learned."""
        known = subject < len(self._days)
        result = np.zeros(len(subject))
        result[known] = self._days[subject[known]]
        return result

    def _own(self, subject: Codes, group: Codes) -> tuple[Float, Float]:
        mean, size = np.full(len(subject), self._floor), np.full(len(subject), 1.0)
        for one in np.unique(group).tolist():
            days, total, squares = self._groups.get(one, (0.0, 0.0, 0.0))
            of = group == one
            peers = max(self._floor, (total + self._floor) / (days + 1))
            variance = squares / days - (total / days) ** 2 if days > 1 else peers
            mean[of] = peers
            size[of] = np.clip(peers**2 / (variance - peers) if variance > peers else LARGEST, SMALLEST, LARGEST)
        own = (self._sum[subject] + PRIOR * mean) / (self._days[subject] + PRIOR)
        return np.maximum(own, self._floor), size

    def _learn(self, day: int, subjects: int) -> None:
        self._sum, self._days = longer(self._sum, subjects), longer(self._days, subjects)
        if self._faded is not None and day > self._faded:
            fade = _FADE ** (day - self._faded)
            self._sum *= fade
            self._days *= fade
            self._groups = {one: (d * fade, t * fade, s * fade) for one, (d, t, s) in self._groups.items()}
        self._faded = day
        while self._waiting and self._waiting[0][0] <= day - LAG:
            _, subject, group, value = self._waiting.popleft()
            np.add.at(self._sum, subject, value)
            np.add.at(self._days, subject, 1.0)
            for one in np.unique(group).tolist():
                of = group == one
                days, total, squares = self._groups.get(one, (0.0, 0.0, 0.0))
                self._groups[one] = (
                    days + int(of.sum()), total + float(value[of].sum()), squares + float((value[of] ** 2).sum())
                )  # fmt: skip


def _day_factor(value: Float, mean: Float) -> float:
    """How much more than expected the bulk of a group has today, never less than 1."""
    over = value - mean
    bulk = over <= np.quantile(over, _BULK)
    return max(1.0, float(value[bulk].sum() / mean[bulk].sum())) if bulk.any() else 1.0
