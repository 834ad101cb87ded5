"""Accounts that slept, accounts that have just changed, and people about to leave: with looks that no work explains.

::

    detector = Lifecycle()
    for rows in days:                                       # of watch.daily.DayRows, in order
        dormant, changed, leaving = detector.score(rows, register, exported)   # coded.Accounts, exports.Exports.score

=========  ==========================================================================================================
dormant    the account had no look for :data:`SLEEP` days, and since it woke (at most :data:`AWAKE` days ago) it looks
           without a reason: a forgotten account is what outsiders are given. An account that the register has for so
           long and that was never seen, slept. One opened lately is new, not dormant
changed    password, device or role changed at most :data:`FRESH` hours ago (``changed_at``), and since then looks
           without a reason: a reset password is how an account is taken over
leaving    notice was given (``leaves_at`` within :data:`NOTICE` days, or passed): unexplained looks of the last seven
           days against the account's own, and the day's exports
=========  ==========================================================================================================

Each is a number for every account of the day, 0 where the condition does not hold. Looks are counted as different parcels;
what is expected is the account's own habit shrunk to its role's (:class:`~parcelveil.watch.habit.Habit`). The rows are
those of the day; the value may reach back to days before.

**It cannot see** a change or a notice that the register does not tell, nor whoever does with a woken account what its work explains.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from parcelveil.watch.by_code import longer
from parcelveil.watch.coded import DAY, GRACE, HOUR, NEVER, Accounts
from parcelveil.watch.daily import DayRows
from parcelveil.watch.habit import Habit
from parcelveil.watch.signals import Scores, scores
from parcelveil.watch.tails import nominal
from parcelveil.watch.unexplained import parcels

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

SLEEP, AWAKE = 30, 5
FRESH = 72
#: What is set in the first hours of an account belongs to its opening.
_SETTLING = 72
NOTICE = 30
_WEEK = 7
#: Size of the negative binomial where days of one account are added up.
_SIZE = 2.0


class Lifecycle:
    """See the module."""

    def __init__(self, *, offset_minutes: int = 480) -> None:
        self._offset = offset_minutes * 60_000_000
        self._habit = Habit()
        self._seen = np.zeros(0, np.int64)  # last day with a look; -1: never
        self._woke = np.zeros(0, np.int64)  # day on which it woke; -1: not asleep lately
        self._first: int | None = None
        self._days: deque[tuple[int, npt.NDArray[np.int32], Float, Float]] = deque()

    def score(self, rows: DayRows, register: Accounts, exported: Scores | None = None) -> tuple[Scores, Scores, Scores]:
        """``(dormant, changed, leaving)`` of every account of the day. ``exported``: the day's scores of exports."""
        day, actors, roles = rows.day, rows.volume["actor"].to_numpy(), rows.volume["role"].to_numpy()
        self._first = day if self._first is None else self._first
        accounts = int(actors.max(initial=-1)) + 1
        self._grow(accounts)
        known = register.sized(max(accounts, len(register.known)))
        end = (day + 1) * DAY - self._offset
        count = parcels(rows, actors, 0).astype(np.float64)
        expected, _ = self._habit.score(day, actors, roles, count)
        self._days.append((day, actors, count, expected))
        while self._days[0][0] <= day - max(_WEEK, AWAKE, FRESH // 24 + 1):
            self._days.popleft()

        woke = self._wake(day, day - self._first, actors, known, end)
        changed = known.changed_at[actors]
        fresh = (
            (changed != NEVER)
            & (changed > known.opened_at[actors] + _SETTLING * HOUR)
            & (changed < end)
            & (changed >= end - DAY - FRESH * HOUR)
        )
        leaves = known.leaves_at[actors]
        goes = (leaves != NEVER) & (leaves - end <= NOTICE * DAY)
        looked = (rows.volume["looks"].to_numpy() + rows.volume["exported"].to_numpy()) > 0
        self._seen[actors[looked]] = day

        def made(name: str, applies: npt.NDArray[np.bool_], since: Int64, more: Float) -> Scores:
            value, usual = self._since(actors, since)
            score = np.where(applies, nominal(value, usual, _SIZE) + more, 0.0)
            table = rows.rows
            of = (table["settled"].to_numpy() == 0) & (table["waybill"].to_numpy() != 0)
            return scores(
                "actor", name, day, actors, np.where(applies, value, 0.0), np.where(applies, usual, 0.0), score,
                row_subject=table["actor"].to_numpy()[of], row_id=table["id"].to_numpy()[of],
                row_time=table["received"].to_numpy()[of], time=end + GRACE,
            )  # fmt: skip

        none = np.zeros(len(actors))
        taken = none.copy()
        if exported is not None:
            taken[goes] = [exported.of(actor)[2] for actor in actors[goes].tolist()]
        return (
            made("dormant", woke >= 0, np.where(woke >= 0, woke, day), none),
            made("changed", fresh, np.where(fresh, (changed + self._offset) // DAY, day), none),
            made("leaving", goes, np.full(len(actors), day - _WEEK + 1), taken),
        )

    def _wake(self, day: int, watched: int, actors: npt.NDArray[np.int32], register: Accounts, end: int) -> Int64:
        """The day on which each account woke lately, -1 for those that did not sleep."""
        last, opened = self._seen[actors], register.opened_at[actors]
        age = np.where(opened == NEVER, 0, end - opened)  # of an account that nobody knows the age of nothing is said
        never = (last < 0) & (watched >= SLEEP) & (age >= SLEEP * DAY)
        slept = never | ((last >= 0) & (day - last > SLEEP))
        self._woke[actors[slept]] = day
        woke = self._woke[actors]
        return np.where((woke >= 0) & (day - woke < AWAKE), woke, -1)

    def _since(self, actors: npt.NDArray[np.int32], since: Int64) -> tuple[Float, Float]:
        """Parcels looked at without a reason since a day (of each account), and what was expected of these days."""
        value, usual = np.zeros(len(actors)), np.zeros(len(actors))
        for day, theirs, count, expected in self._days:
            at = np.searchsorted(theirs, actors)
            at[at == len(theirs)] = 0
            there = (theirs[at] == actors) & (day >= since)
            value[there] += count[at[there]]
            usual[there] += expected[at[there]]
        return value, np.maximum(usual, 0.01)

    def _grow(self, accounts: int) -> None:
        self._seen, self._woke = longer(self._seen, accounts, -1), longer(self._woke, accounts, -1)
