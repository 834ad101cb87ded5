"""Reconciliation: values that a system opened, against values that its looks account for (T10).

::

    watcher = Reconciling()
    signals = watcher.feed(system, hour, values, logged)     # arrays, one row a system and hour; hours ascend
    of_days(compare(verdict.values, tx.drawn()))             # the desk's own log, where any difference is one

Who goes round the desk (an administrator with the key service, a database administrator with a copied key) leaves no
look; but the key service counts what it opens. The two never agree by the hour: a batch that is opened before the hour
is full and logged after it is a difference of plus and then minus. So what counts is the **carried difference**, the sum
of ``values - logged`` since the beginning. Boundaries make it go up and come back; what was never logged stays in it.

* Over :data:`HOLD` hours it did not come back to under the most that is usually on the way (*tolerance*, of each system,
  learned from its own hours): an alarm the same morning, if much was opened.
* Over :data:`LONG` hours, which hold a quiet one, it did not come back to where it was: an alarm for a single value.

After an alarm the new level is the one to come back to, so the next values are told anew, and only they; over the long
time it is where the difference stood in the hour with the least to do. A negative difference (looks without opening:
counters lost, or looks invented) is told the same way, with a negative value; where values are counted before they are
logged, it has to exceed what is on the way at the busiest hour.

**It cannot see** who opens values and writes false looks for them (those are looks, and want an explanation), nor values
opened with a copied key outside of the counting service.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.audit.reconcile import Day
from parcelveil.watch.signals import Signal

Int64 = npt.NDArray[np.int64]

HOUR = 3_600_000_000
DAY = 24 * HOUR
#: Hours for which a difference has to last: two boundaries and one more.
HOLD = 3
#: Hours among which there is a quiet one, in which nothing is on the way.
LONG = 24
#: Tolerance over :data:`HOLD`: so many times the usual (a high quantile) of the carried difference, and never under.
_TIMES, _LEAST, _QUANTILE = 2.0, 50, 0.98
#: Hours known before the first tolerance is believed; until then only :data:`LONG` speaks.
_FEWEST = 72
#: Hours from which the tolerance is learned.
_KEPT = 28 * 24


class _System(NamedTuple):
    hour: int  # the last one
    carried: int
    level: int  # what it has to come back to
    recent: tuple[int, ...]  # carried differences at the ends of the last LONG hours
    turnover: tuple[int, ...]  # values and logged of these hours
    usual: tuple[int, ...]  # |carried - level| of quiet times


class Reconciling:
    """See the module. Feeding by the hour or by the month gives the same signals. ``offset_minutes``: local time of ``day``."""

    def __init__(self, *, offset_minutes: int = 480, hold: int = HOLD, long: int = LONG) -> None:
        self._offset = offset_minutes * 60_000_000
        self._hold, self._long = hold, long
        self._systems: dict[str, _System] = {}

    def feed(self, system: Sequence[str], hour: Int64, values: Int64, logged: Int64) -> list[Signal]:
        """Signals of subject kind ``system`` in the order of time; ``hour``: microseconds since 1970, start of the hour.

        Several rows of a system and hour are added up; hours without a row had nothing; a row of an hour that was fed
        before counts in the hour after it (late counters must still come out even).
        """
        signals: list[Signal] = []
        names = np.asarray(system, dtype=object)
        for name in sorted(set(names.tolist())):
            of = names == name
            hours, place = np.unique(hour[of] // HOUR, return_inverse=True)
            opened, told = np.zeros(len(hours), np.int64), np.zeros(len(hours), np.int64)
            np.add.at(opened, place, values[of].astype(np.int64))
            np.add.at(told, place, logged[of].astype(np.int64))
            for one, amount, turnover in zip(
                *((x.tolist()) for x in (hours, opened - told, opened + told)), strict=True
            ):
                signals += self._hour(name, one, amount, turnover)
        return sorted(signals, key=lambda signal: (signal.time, str(signal.subject)))

    def _hour(self, name: str, hour: int, amount: int, turnover: int) -> list[Signal]:
        state = self._systems.get(name) or _System(hour - 1, 0, 0, (), (), ())
        signals = []
        quiet = min(hour, state.hour + 1 + 2 * self._long)  # so long a silence shows all that silence can show
        for between in range(state.hour + 1, quiet):
            state, said = self._add(name, state, between, 0, 0)
            signals += said
        state, said = self._add(name, state, max(hour, state.hour), amount, turnover)
        self._systems[name] = state
        return signals + said

    def _add(self, name: str, state: _System, hour: int, amount: int, turnover: int) -> tuple[_System, list[Signal]]:
        carried = state.carried + amount
        recent = (*state.recent, carried)[-self._long :]
        turnovers = (*state.turnover, turnover)[-self._long :]
        usual = (*state.usual, abs(carried - state.level))[-_KEPT:]
        state = _System(hour, carried, state.level, recent, turnovers, usual)
        short, tolerance = _least(recent[-self._hold :], state.level), self._tolerance(state)
        full = len(recent) == self._long
        lasting = _least(recent, state.level) if full else 0
        if len(recent) >= self._hold and tolerance is not None and abs(short) > tolerance:
            return self._said(name, state, short, tolerance)
        if lasting:
            quietest = recent[turnovers.index(min(turnovers))]
            return self._said(name, state, quietest - state.level, 0)
        return state, []

    def _tolerance(self, state: _System) -> int | None:
        if len(state.usual) < _FEWEST:
            return None
        before = np.array(state.usual[: -self._hold])  # what is judged does not widen what it is judged by
        return max(_LEAST, int(_TIMES * np.quantile(before, _QUANTILE)))

    def _said(self, name: str, state: _System, amount: int, tolerance: int) -> tuple[_System, list[Signal]]:
        time = (state.hour + 1) * HOUR
        day = (time - 1 + self._offset) // DAY
        rows = np.zeros(0, np.int64)
        signal = Signal("system", name, "reconcile", time, day, float(amount), 0.0, 0.0, float(tolerance), rows)
        level = state.level + amount
        # the hours before the alarm must not speak against the new level
        return state._replace(level=level, recent=(), turnover=(), usual=state.usual[: -self._hold]), [signal]


def _least(recent: Sequence[int], level: int) -> int:
    """What the difference never came back under: the smallest distance from ``level``, 0 if it was on both sides."""
    low, high = min(recent) - level, max(recent) - level
    return low if low > 0 else high if high < 0 else 0


def of_days(days: Sequence[Day], system: str = "desk", *, offset_minutes: int = 480) -> list[Signal]:
    """A signal for each day on which the desk's counter and its log differ, told at the day's end.

    Desk and log are written in one transaction, so no boundary excuses a difference.
    """
    signals = []
    for day in days:
        if day.opened != day.logged:
            number = (date.fromisoformat(day.day) - date(1970, 1, 1)).days
            time = (number + 1) * DAY - offset_minutes * 60_000_000
            amount = float(day.opened - day.logged)
            rows = np.zeros(0, np.int64)
            signals.append(Signal("system", system, "reconcile", time, number, amount, 0.0, 0.0, 0.0, rows))
    return signals
