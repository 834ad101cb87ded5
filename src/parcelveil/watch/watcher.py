"""Days of looks in, cases out: every detector, its threshold, and the case that its signals make.

::

    watcher = Watcher(accounts, false_cases=10)          # a day, for 100,000 accounts
    for day in days:                                     # watch.daily.DayRows in order, from batch or stream
        for case in watcher.day(day):
            ...

A stream calls the two halves of :meth:`Watcher.day` itself: :meth:`Watcher.look` with rows as they come, :meth:`Watcher.settle`
with a day that is settled; :meth:`Watcher.day` brings them into the same order, so both give the same cases.

Every detector has a share of the budget of false cases (:data:`SHARES`). Its statistic of every account and day goes into a
:class:`~parcelveil.watch.calibrate.Reference`, and what the account's class exceeded so rarely in the weeks before is the threshold.
Decoys and counters that do not agree need none. Until :data:`LEARNING` days are known, only
those and the hard limits of :mod:`~parcelveil.watch.live` speak.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa

from parcelveil.watch.baseline import Codes
from parcelveil.watch.calibrate import PEACE, Reference, classes_of
from parcelveil.watch.cases import Case, Docket
from parcelveil.watch.coded import DAY, Accounts
from parcelveil.watch.daily import DayRows, day_of
from parcelveil.watch.live import LIVE, Live, Usual
from parcelveil.watch.quantiles import Floats
from parcelveil.watch.signals import Scores, Signal
from parcelveil.watch.unexplained import Unexplained

#: Each detector's share of the budget. They overlap, so the sum may be a little over one.
SHARES: dict[str, float] = {
    "slow": 0.36,
    "unexplained": 0.12,
    "grouped": 0.10,
    "volume": 0.04,
    **LIVE,
}
#: Days before thresholds are set; of sums over days, which have to swing in first.
LEARNING, LEARNING_SUMS = 14, 28
_SUMS = ("slow", "grouped")
#: Days of evidence that are kept.
KEPT = 28


class Detector(Protocol):
    """A statistic of a settled day."""

    def score(self, rows: DayRows) -> Iterable[Scores]:
        """The day's statistics. Days come in ascending order."""


class Watcher:
    """See the module. ``decoys``: pseudonyms of decoy parcels; it may grow while the watcher runs."""

    def __init__(
        self,
        accounts: Accounts | None = None,
        *,
        false_cases: float = 10.0,
        offset_minutes: int = 480,
        decoys: set[int] | None = None,
    ) -> None:
        self.offset_minutes = offset_minutes
        self.decoys = decoys if decoys is not None else set()
        self.reference = Reference(false_cases)
        self.docket = Docket()
        self.unexplained = Unexplained(offset_minutes)
        self.detectors: list[Detector] = []
        self.evidence: deque[tuple[int, pa.Table]] = deque()
        self.volumes: deque[tuple[int, pa.Table]] = deque()
        self._usual = Usual()
        self._live: dict[int, Live] = {}
        self._roles = np.full(0, -1, np.int32)
        self._first: int | None = None
        self._before: DayRows | None = None

    # -- batch --------------------------------------------------------------------------------------------------------

    def day(self, rows: DayRows) -> Iterator[Case]:
        """Take a whole settled day. The cases of its own hours come first, then what was settled of the day before."""
        live = self.look(rows.rows, rows.day)
        settled = self.settle(self._before) if self._before is not None else []
        self._before = rows
        yield from self.docket.take([*live, *settled])

    def end(self) -> Iterator[Case]:
        """After the last day."""
        if self._before is not None:
            yield from self.docket.take(self.settle(self._before))
            self._before = None

    # -- stream -------------------------------------------------------------------------------------------------------

    def look(self, rows: pa.Table, day: int | None = None) -> list[Signal]:
        """What rows that want a reason say at once. ``rows``: OPEN_ROWS or NEW_ROWS, in the order of ``(received, id)``."""
        if day is not None:
            return self._begun(day).take(rows)
        days = day_of(rows["time"].to_numpy(), self.offset_minutes)
        signals: list[Signal] = []
        for one in np.unique(days).tolist():
            signals += self._begun(one).take(rows.filter(pa.array(days == one)))
        return signals

    def settle(self, rows: DayRows) -> list[Signal]:
        """What a settled day says. The next day's thresholds are set before it is learned from."""
        self._begun(rows.day + 1)
        live = self._begun(rows.day)
        self._remember(rows)
        classes = classes_of(self._roles)
        actors = rows.volume["actor"].to_numpy()
        signals: list[Signal] = []
        for scores in self.unexplained.score(rows):
            signals += self._judged(scores, classes)
            self.reference.put(scores.name, rows.day, scores.subject, scores.score)
        for detector in self.detectors:
            for scores in detector.score(rows):
                signals += self._judged(scores, classes)
                self.reference.put(scores.name, rows.day, actors, _everybody(scores, actors))
        for name, (keys, values) in live.end(actors).items():
            self.reference.put(name, rows.day, keys.astype(np.int32), values)
        self._usual.learn(live, rows.volume, rows.rows)
        self._live.pop(rows.day - 1, None)
        return signals

    # -- inside -------------------------------------------------------------------------------------------------------

    def _judged(self, scores: Scores, classes: Codes) -> list[Signal]:
        learning = LEARNING_SUMS if scores.name in _SUMS else LEARNING
        if self._first is None or scores.day - self._first < learning:
            return []
        limits = self.limits(scores.name, scores.day, classes)
        signals = scores.signals(limits[scores.subject])
        for signal in signals:
            if signal.name in _SUMS and isinstance(signal.subject, int):
                getattr(self.unexplained, signal.name).restart(signal.subject)
        return [self._rare(signal, classes, float(scores.of(int(signal.subject))[2])) for signal in signals]

    def _rare(self, signal: Signal, classes: Codes, score: float) -> Signal:
        """``signal`` with the share of account-weeks in which such a value occurs as its p."""
        which = int(classes[int(signal.subject)])
        rarity = self.reference.rarity(signal.name, signal.day, classes, which, np.array([score]))
        return signal._replace(p=float(rarity[0]))

    def limits(self, name: str, day: int, classes: Codes) -> Floats:
        """The threshold of each account on a day; infinite where nothing is known."""
        by_class = self.reference.thresholds(name, day, SHARES[name], classes)
        result = np.full(len(classes), np.inf)
        for one, limit in by_class.items():
            result[classes == one] = limit
        return result

    def _of_kind(self, name: str, day: int, classes: Codes) -> Floats:
        """The limits of a statistic of accounts, or of devices and networks, which are of one class."""
        if name.startswith("actor."):
            return self.limits(name, day, classes)
        return np.array([self.reference.thresholds(name, day, SHARES[name], None).get(0, np.inf)])

    def _begun(self, day: int) -> Live:
        """The day as it runs. Its thresholds rest on what was settled when it began: all but the day before."""
        live = self._live.get(day)
        if live is None:
            if self._first is None:
                self._first = day
            classes = classes_of(self._roles)
            known = day - self._first >= LEARNING
            limits = {name: self._of_kind(name, day - 1, classes) for name in LIVE} if known else {}
            live = self._live[day] = Live(day, limits, self._usual.fixed(), self.decoys, self.offset_minutes)
        return live

    def _remember(self, rows: DayRows) -> None:
        actors, roles = rows.volume["actor"].to_numpy(), rows.volume["role"].to_numpy()
        accounts = int(actors.max(initial=-1)) + 1
        if accounts > len(self._roles):
            more = max(accounts, 2 * len(self._roles)) - len(self._roles)
            self._roles = np.pad(self._roles, (0, more), constant_values=-1)
        self._roles[actors] = roles
        settled = rows.rows["settled"].to_numpy()
        self.evidence.append((rows.day, rows.rows.filter(pa.array(settled < 2))))  # noqa: PLR2004
        self.volumes.append((rows.day, rows.volume))
        while self.evidence[0][0] <= rows.day - KEPT - PEACE:
            self.evidence.popleft()
            self.volumes.popleft()


def _everybody(scores: Scores, actors: Codes) -> Floats:
    """The score of each account that was there: 0 where a detector has nothing to say."""
    if np.array_equal(scores.subject, actors):
        return scores.score
    values = np.zeros(len(actors))
    at = np.searchsorted(actors, scores.subject)
    there = at < len(actors)
    there[there] = actors[at[there]] == scores.subject[there]
    values[at[there]] = scores.score[there]
    return values


__all__ = ["DAY", "KEPT", "LEARNING", "SHARES", "Detector", "Watcher"]
