"""Days of looks in, cases out: every detector, its threshold, and the case that its signals make.

::

    watcher = Watcher(accounts, false_cases=10)          # a day, for 100,000 accounts
    for day in days:                                     # watch.daily.DayRows in order, from batch or stream
        for case in watcher.day(day):
            ...

A stream calls the two halves of :meth:`Watcher.day` itself: :meth:`Watcher.look` with rows as they come, :meth:`Watcher.settle`
with a day that is settled; :meth:`Watcher.day` brings them into the same order, so both give the same cases.

Every statistic has a part in the budget of false cases (:data:`WEIGHTS`). How rare its value is among the account-weeks of the
account's class (:class:`~parcelveil.watch.calibrate.Reference`), in proportion to that part, is its surprise; who surprises more than
the promise allows, by whichever of them, is told of.
Decoys and counters that do not agree need none. Until :data:`LEARNING` days are known, only
those and the hard limits of :mod:`~parcelveil.watch.live` speak.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from parcelveil.watch.baseline import Codes
from parcelveil.watch.by_code import longer, places, spread
from parcelveil.watch.calibrate import ALL, PEACE, Reference, classes_of, merged
from parcelveil.watch.cases import Case, Docket
from parcelveil.watch.coded import DAY, UNREGISTERED, Accounts
from parcelveil.watch.conduct import Conduct
from parcelveil.watch.daily import DayRows, day_of
from parcelveil.watch.live import Live
from parcelveil.watch.quantiles import Floats
from parcelveil.watch.signals import Scores, Signal
from parcelveil.watch.tallies import Tallies
from parcelveil.watch.unexplained import SUMS, Unexplained
from parcelveil.watch.usual import LIVE, Shelf, Usual

#: How much of the budget of false cases each statistic may use, in proportion.
WEIGHTS: dict[str, float] = {
    "opened": 0.14,
    "far": 0.22,
    "distant": 0.12,
    "searched": 0.12,
    "unexplained": 0.10,
    "grouped": 0.08,
    "volume": 0.01,
    "subject": 0.04,
    "pair": 0.02,
    "ticket": 0.04,
    "hours": 0.01,
    "spread": 0.02,
    "export": 0.03,
    "leaving": 0.03,
    "dormant": 0.01,
    "changed": 0.02,
    "device": 0.03,
    "places": 0.02,
    "shared": 0.02,
    **LIVE,
}
#: No threshold is lower than this, however quiet a carrier is.
FLOORS: dict[str, float] = {**dict.fromkeys(SUMS, 4.0), "unexplained": 2.5, "distant": 2.5, "volume": 0.5}
_FLOOR = 3.0  # of all others: one in a thousand, were the model right
#: When the others at an outlet exceed what was expected so many times, its scans are missing, and what counts looks without
#: work says nothing there but through :mod:`~parcelveil.watch.baseline`, which allows for it.
TROUBLE = 2.5
#: Days before thresholds are set; of sums over days, which have to swing in first.
LEARNING, LEARNING_SUMS = 14, 28
#: The detector that speaks where the statistic has another name.
SPOKEN = {"opened": "slow", "far": "slow", "distant": "unexplained", "searched": "slow"}
#: The quantile of a class that says how calm a day is, and the accounts that this takes.
_CALM, FEWEST_CALM = 0.98, 40
#: Who surprises so much more than the limit is not called by chance.
_CLOSE = 1.0
_LEAST = -4.0  # the surprise of who does not surprise at all
_EARLY = 10  # minutes
_NEVER_EXCUSED = ("export", "ticket")
#: Days that a class's usual calm rests on.
_MONTH = 28


class Watcher:
    """See the module. ``decoys``: pseudonyms of decoy parcels; it may grow while the watcher runs."""

    def __init__(
        self,
        register: Accounts | None = None,
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
        self.conduct = Conduct(register if register is not None else UNREGISTERED, offset_minutes=offset_minutes)
        self._tallies = Tallies(offset_minutes=offset_minutes)
        self._usual = Usual()
        self._marginal: deque[tuple[int, float]] = deque(maxlen=2 * PEACE)  # accounts called and promised, by day
        self._calm: dict[int, deque[float]] = {}
        self._live: dict[int, Live] = {}
        self._roles = np.full(0, -1, np.int32)
        self._first: int | None = None
        self._before: DayRows | None = None

    # -- what comes in ------------------------------------------------------------------------------------------------

    def see(self, accesses: pa.Table) -> None:
        """All looks (CODED_ACCESS), also those that work explains: who was active where. In any order and division."""
        self.conduct.feed(accesses)

    def day(self, rows: DayRows) -> Iterator[Case]:
        """Take a whole settled day. The signals of its own hours come before what was settled of the day before."""
        live = self.look(rows.rows, rows.day)
        settled = self.settle(self._before) if self._before is not None else []
        self._before = rows
        yield from self.docket.take([*live, *settled])

    def end(self) -> Iterator[Case]:
        """After the last day."""
        if self._before is not None:
            yield from self.docket.take(self.settle(self._before))
            self._before = None

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
        classes, actors = classes_of(self._roles), rows.volume["actor"].to_numpy()
        day = _Day(rows.day, classes, actors)
        for scores in self.unexplained.score(rows):
            self._surprised(day, scores)
            self.reference.put(scores.name, rows.day, scores.subject, scores.score)
        troubled = actors[self.unexplained.outlet_factor > TROUBLE]
        for given in (*self.conduct.score(rows), *self._tallies.score(rows, self.conduct.register)):
            excused = np.isin(given.subject, troubled) & (given.name not in _NEVER_EXCUSED)
            scores = given._replace(score=np.where(excused, 0.0, given.score))
            self._surprised(day, scores)
            self.reference.put(scores.name, rows.day, actors, spread(scores.subject, scores.score, actors))
        for name, (keys, values) in live.end(actors).items():
            if name.startswith("actor."):
                day.note(actors, self._surprise(name, rows.day - 1, classes, actors, values))
            self.reference.put(name, rows.day, keys.astype(np.int32), values)
        shift = self._shift(day)
        signals = [*self.conduct.proven, *self._judged(day, shift)]
        self.reference.put(ALL, rows.day, actors, day.surprise - shift)
        self._usual.learn(live, rows.volume)
        self._live.pop(rows.day - 1, None)
        return signals

    # -- inside -------------------------------------------------------------------------------------------------------

    def _surprise(self, name: str, day: int, classes: Codes, subjects: Codes, values: Floats) -> Floats:
        rarity = self.reference.rarity(name, day, classes, subjects, values)
        return np.where(rarity < 1, np.log10(WEIGHTS[name] / np.maximum(rarity, 1e-300)), -np.inf)

    def _surprised(self, day: _Day, scores: Scores) -> None:
        """Note how much a statistic surprises of each account, as soon as enough is known of it."""
        if self._first is None or day.number - self._first < LEARNING or not len(scores.subject):
            return
        surprise = self._surprise(scores.name, day.number, day.classes, scores.subject, scores.score)
        surprise[scores.score < FLOORS.get(scores.name, _FLOOR)] = -np.inf
        day.note(scores.subject, surprise)
        day.spoken.append((scores, surprise))

    def _shift(self, day: _Day) -> Floats:
        """By how much today surprises more than usual, all over a class: a promotion, temporary staff, a new system."""
        shift = np.zeros(len(day.actors))
        of_actor = merged(day.classes)[day.actors]
        for one in np.unique(of_actor).tolist():
            of = of_actor == one
            today = float(np.quantile(day.surprise[of], _CALM)) if of.sum() >= FEWEST_CALM else _LEAST
            usual = self._calm.setdefault(one, deque(maxlen=_MONTH))
            if len(usual) >= PEACE:
                shift[of] = max(0.0, today - float(np.median(usual)))
            usual.append(today)
        return shift

    def _judged(self, day: _Day, shift: Floats) -> list[Signal]:
        """The signals of those who surprise more than the limit, with the share of account-weeks that do so as p."""
        by_class = self.reference.limits(day.number, day.classes)
        limits = np.array([by_class[one] for one in day.classes[day.actors].tolist()]) + shift + self._strictness()
        learning = self._first is None or day.number - self._first < LEARNING_SUMS
        made: list[Signal] = []
        close: set[int] = set()
        for scores, surprise in day.spoken:
            place, known = places(scores.subject, day.actors)
            there = np.flatnonzero(known & (scores.subject >= 0))
            for at in there[surprise[there] > limits[place[there]]].tolist():
                signal = scores.signal(at)
                if scores.name in SUMS:
                    self.unexplained.restart(scores.name, int(signal.subject))
                    if learning:  # what has gathered until then is nobody's case
                        continue
                rarity = WEIGHTS[scores.name] / 10 ** surprise[at]
                made.append(signal._replace(name=SPOKEN.get(scores.name, scores.name), p=float(rarity)))
                close.update([int(signal.subject)] if surprise[at] < limits[place[at]] + _CLOSE else [])
        self._marginal.append((len(close), len(day.actors) * self.reference.rate))
        return made

    def _strictness(self) -> float:
        """What is added to the limits when accounts were called more often than promised, as the logarithm of the ratio.

        Only those count who were just over the limit. Who harvests is mostly far beyond, and to find some must not make
        blind for others.
        """
        called, promised = (sum(one[at] for one in self._marginal) for at in (0, 1))
        return float(np.log10(max(1.0, (called + 1) / (promised + 1))))

    def _begun(self, day: int) -> Live:
        """The day as it runs. Its thresholds rest on what was settled when it began: all but the day before."""
        live = self._live.get(day)
        if live is None:
            if self._first is None:
                self._first = day
            limits = self._live_limits(day - 1) if day - self._first >= LEARNING else {}
            shelf, before = Shelf(*self.conduct.known_devices()), self._live.get(day - 1)
            # Ten minutes before it began: by then all that a stream had seen of the day before is in.
            began = day * DAY - (self.offset_minutes + _EARLY) * 60_000_000
            carried = before.surge_before(began) if before is not None and limits else 1.0
            live = self._live[day] = Live(
                day, limits, self._usual.fixed(), shelf, self.decoys, self.offset_minutes, carried
            )
        return live

    def _live_limits(self, day: int) -> dict[str, Floats]:
        classes, made = classes_of(self._roles), {}
        strict = self._strictness()
        allowed = {one: 10.0 ** -(limit + strict) for one, limit in self.reference.limits(day, classes).items()}
        for name in LIVE:
            if not name.startswith("actor."):  # devices and networks are of one class, and judged as strictly as any
                least = {0: WEIGHTS[name] * min(allowed.values(), default=0.0)}
                made[name] = np.array([self.reference.thresholds(name, day, least, None).get(0, np.inf)])
                continue
            shares = {one: WEIGHTS[name] * share for one, share in allowed.items()}
            made[name] = np.full(len(classes), np.inf)
            for one, limit in self.reference.thresholds(name, day, shares, classes).items():
                made[name][classes == one] = limit
        return made

    def _remember(self, rows: DayRows) -> None:
        actors, roles = rows.volume["actor"].to_numpy(), rows.volume["role"].to_numpy()
        self._roles = longer(self._roles, int(actors.max(initial=-1)) + 1, -1)
        self._roles[actors] = roles


class _Day:
    """One settled day while it is judged: the highest surprise of each account, and the statistics that may speak."""

    def __init__(self, number: int, classes: Codes, actors: Codes) -> None:
        self.number, self.classes, self.actors = number, classes, actors
        self.surprise = np.full(len(actors), _LEAST)
        self.spoken: list[tuple[Scores, Floats]] = []

    def note(self, subjects: Codes, values: Floats) -> None:
        """``values`` of ``subjects``, both ascending."""
        at, there = places(subjects, self.actors)
        self.surprise[at[there]] = np.maximum(self.surprise[at[there]], values[there])
