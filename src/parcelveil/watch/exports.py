"""Exports: rows times fields, against an account's own and its peers'; small ones that repeat; and then nobody there.

::

    detector = Exports()
    for rows in days:                          # of watch.daily.DayRows, in order
        scores = detector.score(rows)          # "export": one number an account of the day

What an account takes out on a day is the sum over its exports of ``records x fields shown in full`` (masked fields count as
a quarter of one: they tell something). Its **size** is judged on the logarithm: how often the account exports at all, and how
large its exports are, both shrunk to its role's. The tail is logistic, heavier than a normal one, because a month's end is
larger than other days. **Repeats** are exports much like another (same fields, records within two percent) of the last
:data:`TRAIL` days, against the account's own habit: a nightly report is a habit, forty pieces of 500 rows are not. **Quiet**:
whoever took out much and then does not come for :data:`QUIET` of its usual days is told again with a higher score.

The score is the highest of these (see :mod:`~parcelveil.watch.signals`).

**It cannot see** what is in an export, nor one that copies a habitual report to somebody else.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.watch.by_code import longer
from parcelveil.watch.coded import ACTIONS, OUTCOMES
from parcelveil.watch.daily import DayRows, settles_at
from parcelveil.watch.habit import Habit
from parcelveil.watch.signals import Scores, scores

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

TRAIL = 7
QUIET = 3
#: A quiet account is told of only while so few days have passed.
_LATEST = 7
#: An export with at least this score is remembered for what comes after it.
_REMARKABLE = 2.0
#: Days (of the role) that shrink how often, and exports (of the role) that shrink how large.
_DAYS, _EXPORTS = 7.0, 3.0
#: Log of a usual export and its deviation, before anything is known; no deviation is believed to be smaller than the last.
_USUAL, _SPREAD, _LEAST = float(np.log(200.0)), 1.5, 0.5
_FADE = 0.5 ** (1 / 28)
#: The scale of a logistic distribution with deviation 1.
_LOGISTIC = float(np.sqrt(3.0) / np.pi)
#: What is learned of one export lies no further above the mean.
_CAP = 3.0
_EXPORT, _OK = ACTIONS.index("export"), OUTCOMES.index("ok")
_MASKED = 0.25


class Exports:
    """See the module."""

    def __init__(self, *, offset_minutes: int = 480) -> None:
        self._offset = offset_minutes * 60_000_000
        self._days = self._active = self._sum = np.zeros(0)
        self._roles: dict[int, Float] = {}  # faded days, exporting days, sum and sum of squares of the logarithm
        self._habit = Habit()
        self._recent: deque[tuple[int, Int64]] = deque()
        self._told: dict[int, tuple[int, float, float, int]] = {}  # account -> day, quantity, score, role
        self._last, self._span = 0, 0.0

    def score(self, rows: DayRows) -> Scores:
        """``export`` of every account of the day (0 without exports), and of those that went quiet."""
        day, actors, roles = rows.day, rows.volume["actor"].to_numpy(), rows.volume["role"].to_numpy()
        self._grow(day, int(actors.max(initial=-1)) + 1)
        table = exports_of(rows.rows)
        actor, quantity = table["actor"].to_numpy(), quantities(table)
        at = np.searchsorted(actors, actor)
        total = np.bincount(at, weights=quantity, minlength=len(actors)).astype(np.float64)
        usual, size = self._sizes(roles, actors, total)
        similar = self._similar(day, table)
        repeats = np.bincount(at, weights=similar, minlength=len(actors)).astype(np.float64)
        _, repeated = self._habit.score(day, actors, roles, repeats)
        score = np.where(total > 0, np.maximum(size, repeated), 0.0)
        self._learn(roles, actors, total, usual)
        quiet = self._quiet(day, actors)
        remarkable = np.flatnonzero(score >= _REMARKABLE)
        for i in remarkable.tolist():
            self._told[int(actors[i])] = (day, float(total[i]), float(score[i]), int(roles[i]))
        gone = np.array([one for one, _, _ in quiet], np.int32)
        return scores(
            "actor", "export", day,
            np.r_[actors, gone],
            np.r_[total, [value for _, value, _ in quiet]],
            np.r_[np.expm1(usual), np.zeros(len(quiet))],
            np.r_[score, [high for _, _, high in quiet]],
            row_subject=actor, row_id=table["id"].to_numpy(), row_time=table["received"].to_numpy(),
            time=settles_at(day, self._offset),
        )  # fmt: skip

    def _sizes(self, roles: npt.NDArray[np.int32], actors: npt.NDArray[np.int32], total: Float) -> tuple[Float, Float]:
        """The logarithm that was to be expected of each account that exports, and the score of what it exported."""
        mean, spread, often = np.empty(len(actors)), np.empty(len(actors)), np.empty(len(actors))
        for role in np.unique(roles).tolist():
            of = roles == role
            days, active, log, squares = self._roles.get(role, np.zeros(4))
            theirs = (log + _EXPORTS * _USUAL) / (active + _EXPORTS)
            variance = (squares + _EXPORTS * (_SPREAD**2 + _USUAL**2)) / (active + _EXPORTS) - theirs**2
            own = actors[of]
            share = (active + 0.5) / (days + _DAYS)
            often[of] = np.minimum((self._active[own] + _DAYS * share) / (self._days[own] + _DAYS), 1.0)
            mean[of] = (self._sum[own] + _EXPORTS * theirs) / (self._active[own] + _EXPORTS)
            # who has exported often is known better than his role
            spread[of] = np.maximum(np.sqrt(max(variance, 0.0) / (1 + self._active[own] / _EXPORTS)), _LEAST)
        distance = (np.log1p(total) - mean) / (_LOGISTIC * spread)
        return mean, (np.logaddexp(0.0, distance) - np.log(np.minimum(often, 1.0))) / np.log(10)

    def _similar(self, day: int, table: pa.Table) -> Float:
        """Of each export 1 if another of the same account, of the last days or today, is much like it."""
        while self._recent and self._recent[0][0] <= day - TRAIL:
            self._recent.popleft()
        step = np.log(np.maximum(table["records"].to_numpy(), 1)) / 0.02  # two percent a step
        kind = (table["actor"].to_numpy().astype(np.int64) << 32) | (
            table["fields"].to_numpy().astype(np.int64) & 0xFFFF
        ) << 16
        keys = kind | np.round(step).astype(np.int64)
        own, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
        before = np.concatenate([known for _, known in self._recent]) if self._recent else np.zeros(0, np.int64)
        alike = counts > 1
        for near in (-1, 0, 1):
            alike |= np.isin(own + near, before)
            if near:
                alike |= np.isin(own + near, own)
        self._recent.append((day, own))
        return alike[place].astype(np.float64)

    def _quiet(self, day: int, actors: npt.NDArray[np.int32]) -> list[tuple[int, float, float]]:
        """Accounts that exported remarkably and have not been seen since, with the quantity and the raised score."""
        result = []
        for account, (since, quantity, score, _) in sorted(self._told.items()):
            away = day - since
            at = np.searchsorted(actors, account)
            if away > _LATEST or (away > 0 and at < len(actors) and actors[at] == account):
                del self._told[account]
                continue
            if away < QUIET:
                continue
            present = min(0.95, self._days[account] / max(self._span, 1.0))
            result.append((account, quantity, score + min(3.0, -away * float(np.log10(1 - present)))))
        return result

    def _learn(self, roles: npt.NDArray[np.int32], actors: npt.NDArray[np.int32], total: Float, usual: Float) -> None:
        active = total > 0
        log = np.minimum(np.log1p(total), usual + _CAP) * active
        self._days[actors] += 1.0
        self._active[actors] += active
        self._sum[actors] += log
        for role in np.unique(roles).tolist():
            of = roles == role
            more = np.array([of.sum(), active[of].sum(), log[of].sum(), (log[of] ** 2).sum()], np.float64)
            self._roles[role] = self._roles.get(role, np.zeros(4)) + more

    def _grow(self, day: int, accounts: int) -> None:
        """Room for ``accounts``, and a day's fading of what is known."""
        self._days, self._active, self._sum = (longer(kept, accounts) for kept in (self._days, self._active, self._sum))
        fade = _FADE ** max(0, day - self._last) if self._last else 1.0
        self._last = day
        self._days, self._active, self._sum = self._days * fade, self._active * fade, self._sum * fade
        self._roles = {role: kept * fade for role, kept in self._roles.items()}
        self._span = self._span * fade + 1.0


def exports_of(rows: pa.Table) -> pa.Table:
    """The rows of a table of OPEN_ROWS that are exports that went out."""
    return rows.filter(
        pa.array((rows["action"].to_numpy() == _EXPORT) & (rows["outcome"].to_numpy() == _OK), pa.bool_())
    )


def quantities(table: pa.Table) -> Float:
    """Records times fields shown in full of each export; a masked one counts a quarter of a field."""
    fields = table["fields"].to_numpy().view(np.uint16)
    shown = np.unpackbits(fields.view(np.uint8).reshape(-1, 2), axis=1).sum(axis=1) if len(fields) else fields
    weighed: Float = table["records"].to_numpy() * np.where(shown > 0, shown, _MASKED).astype(np.float64)
    return weighed
