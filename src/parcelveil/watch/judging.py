"""A whole run over files: what was read, explained, judged, and put into words as alerts.

::

    judging = Judging(reading, batch, key, register=register, false_cases=10)
    for alert in judging.alerts(Inputs(access=["access/"], work=["work/"], web=["web/"], key_use=["keyuse/"])):
        ...                                    # each revision of each case, in the order of time
    judging.watcher, judging.days, reading.summary

A day is judged when everything that was received before its end and twelve hours more has been read. Of files that hold a
day each, in the order of their dates, that is soon after the next one begins; of a file whose rows are in no order at
all, at its end. A look that comes when its day is over is counted (:attr:`Judging.late`) and not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from parcelveil.watch.alerts import Alert
from parcelveil.watch.batch import Batch
from parcelveil.watch.cases import Case
from parcelveil.watch.coded import HOUR, Accounts
from parcelveil.watch.daily import DayRows, day_of
from parcelveil.watch.evidence import Evidence
from parcelveil.watch.keyuse import key_use
from parcelveil.watch.outside import Outside
from parcelveil.watch.reading import Events, Opener, Reading
from parcelveil.watch.reconciling import Reconciling
from parcelveil.watch.signals import Signal
from parcelveil.watch.unexplained import SUMS
from parcelveil.watch.watcher import LEARNING, SPOKEN, Watcher
from parcelveil.watch.weblog import PathRule

#: By how much the rows of one file may be out of order: files of a day often come sorted by something else.
DISORDER = 26 * HOUR
_EPOCH = date(1970, 1, 1)
#: The sums behind each detector that sums up, and days beyond which one of them is another story.
SUMS_OF = {
    detector: tuple(one for one in SUMS if SPOKEN.get(one, one) == detector)
    for detector in {SPOKEN.get(one, one) for one in SUMS}
}
_WEEKS = 28


class Inputs(NamedTuple):
    """Files, folders and globs. Looks may be left out when only web logs and counters are judged."""

    access: Sequence[str] = ()
    work: Sequence[str] = ()
    web: Sequence[str] = ()
    key_use: Sequence[str] = ()
    paths: Sequence[PathRule] | None = None  # of web logs; None: those that come with the package
    known_networks: Sequence[str] = ()  # of partners that may query as much as they like
    own: Iterable[pa.RecordBatch] = ()  # looks of schema ACCESS that are in no file, in about the order of time


class Judging:
    """See the module. ``opener`` finds the counters' files. ``moved`` is called now and then, for a bar."""

    def __init__(
        self,
        reading: Reading,
        batch: Batch,
        key: bytes,
        *,
        opener: Opener,
        register: Accounts | None = None,
        false_cases: float = 10.0,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        coder = reading.coder
        offset = coder.offset_minutes
        self.watcher = Watcher(register, false_cases=false_cases, offset_minutes=offset, decoys=coder.decoys)
        self.evidence = Evidence(
            coder, key, register=register, named=batch.named, offset_minutes=offset, partner=self._partner
        )
        self.days = self.cases = self.rows = 0
        self._reading, self._batch, self._opener, self._offset, self._moved = reading, batch, opener, offset, moved
        self._outside: dict[int, list[Signal]] = {}
        self._work = False
        self._source, self._newest, self._orderly = "", 0, True

    @property
    def accounts(self) -> int:
        """Accounts that looked, or that the register has."""
        return len(self._reading.coder.names["actor"])

    @property
    def judged_days(self) -> int:
        """Days on which thresholds stood."""
        return max(0, self.days - LEARNING)

    @property
    def late(self) -> int:
        """Looks that came after their day had been judged."""
        return self._batch.late

    def alerts(self, inputs: Inputs) -> Iterator[Alert]:
        """Every case as it is opened or changes. Raises InputError."""
        self._from_outside(inputs)
        self._work = bool(inputs.work)
        own = self._own(inputs.own)
        if inputs.access or own:
            for events in self._reading.events(inputs.access, inputs.work, needed=not own):
                self.rows += events.accesses.num_rows + events.works.num_rows
                self._see(events.accesses)
                self._batch.add(events.accesses, events.works)
                until = self._promised(events)
                if until is not None:
                    for day in self._batch.settled(until):
                        yield from self._day(day)
                self._moved()
            for day in self._batch.settled():
                yield from self._day(day)
            yield from self._end()
        for one in sorted(self._outside):
            yield from self._told(self.watcher.docket.take(self._outside.pop(one)))

    def _own(self, batches: Iterable[pa.RecordBatch]) -> bool:
        """Take looks that are in no file. They promise nothing of what is still to come."""
        found = False
        for batch in batches:
            for events in self._reading.own(batch):
                found |= events.accesses.num_rows > 0
                self.rows += events.accesses.num_rows
                self._see(events.accesses)
                self._batch.add(events.accesses)
        return found

    # -- days ---------------------------------------------------------------------------------------------------------

    def _see(self, accesses: pa.Table) -> None:
        self.watcher.see(accesses)

    def _end(self) -> Iterator[Alert]:
        yield from self._told(self.watcher.end())

    def _day(self, rows: DayRows) -> Iterator[Alert]:
        self.days += 1
        if self._work and _iso(rows.day) in self._reading.summary.days_without_work:
            self.evidence.silent(rows.day)
        self.evidence.day(rows)
        for one in sorted(day for day in self._outside if day <= rows.day):
            yield from self._told(self.watcher.docket.take(self._outside.pop(one)))
        yield from self._told(self.watcher.day(rows))
        self._moved()

    def _told(self, cases: Iterable[Case]) -> Iterator[Alert]:
        for case in cases:
            self.cases += case.first
            yield self.evidence.alert(case, since=self.since)

    def since(self, name: str, actor: int) -> int:
        """The first day of an account's sums behind a detector."""
        return sums_since(self.watcher)(name, actor)

    def _partner(self, actor: int) -> int | None:
        found = self.watcher.conduct.pairs.partner(actor)
        return None if found is None else int(found.actor)

    def _promised(self, events: Events) -> int | None:
        """Everything received before this moment has been read; None while nothing can be promised."""
        table = events.accesses if events.accesses.num_rows else events.works
        if not table.num_rows:
            return None
        received = table["received"].to_numpy()
        first, last = int(received.min()), int(received.max())
        if events.source != self._source:
            self._source, self._newest, self._orderly = events.source, last, True
        if first < self._newest - DISORDER or last - first > DISORDER:
            self._orderly &= bool((np.diff(received) >= -DISORDER).all()) and first >= self._newest - DISORDER
        self._newest = max(self._newest, last)
        if not events.accesses.num_rows or not self._orderly:
            return None
        return first - DISORDER

    # -- from outside, and beside all looks ---------------------------------------------------------------------------

    def _from_outside(self, inputs: Inputs) -> None:
        """Signals of web logs and counters, by day: all before the first look, for they are few."""
        if inputs.web:
            outside = Outside(known=inputs.known_networks)
            waiting: dict[int, list[pa.Table]] = {}
            for _, requests in self._reading.requests(inputs.web, inputs.paths):
                if requests.num_rows:
                    days = day_of(requests["time"].to_numpy(), self._offset)
                    for day in np.unique(days).tolist():
                        waiting.setdefault(day, []).append(requests.filter(pa.array(days == day)))
                    # A log's last lines may be of the day after: a day is over when the one after the next has begun.
                    self._requests(outside, waiting, int(days.max()) - 1)
                self._moved()
            self._requests(outside, waiting, None)
        counters = Reconciling(offset_minutes=self._offset)
        if inputs.key_use:
            for counted in key_use(self._opener, inputs.key_use):
                self._keep(counters.feed(counted.system, counted.hour, counted.values, counted.logged))

    def _requests(self, outside: Outside, waiting: dict[int, list[pa.Table]], before: int | None) -> None:
        for day in sorted(waiting):
            if before is None or day < before:
                self._keep(outside.day(day, pa.concat_tables(waiting.pop(day))))

    def _keep(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            if signal.subject_kind == "actor" and isinstance(signal.subject, str):  # named as in the looks, if it looks
                code = self._reading.coder.names["actor"].code(signal.subject)
                if code >= 0:
                    signal = signal._replace(subject=code)  # noqa: PLW2901
            self._outside.setdefault(signal.day, []).append(signal)


def sums_since(watcher: Watcher) -> Callable[[str, int], int]:
    """What tells the first day of an account's sums behind a detector, of the newest weeks."""

    def since(name: str, actor: int) -> int:
        days = [watcher.unexplained.since(one, actor) for one in SUMS_OF[name]]
        newest = max(days)
        return min(day for day in days if day > newest - _WEEKS)

    return since


def _iso(day: int) -> str:
    return date.fromordinal(_EPOCH.toordinal() + day).isoformat()
