"""The same rows as :mod:`~parcelveil.watch.batch` makes, event by event.

::

    stream = Stream(rules, offset_minutes=480)
    for made in stream.feed(coded_accesses, coded_works):   # a second or an hour of them, in about the order of receipt
        made.looks                                          # all looks that were taken: CODED_ACCESS, by (received, id)
        made.open                                           # those of them that want a reason now: NEW_ROWS
        made.days                                           # DayRows of the days that are settled after them
    for made in stream.flush(): ...                         # at the end: what was held back

**Order.** Rows are held back until the *watermark* has passed them: the latest receipt seen, less ``disorder_us``. Then they
are taken by ``(received, id)``, so that any division into micro-batches and any disorder within that time gives the same
rows, bit for bit; and looks that came before a day was settled are given before it, in whatever pieces they came. A row that comes later still counts as received at the watermark, and is counted in ``late``. A look
whose id was there within two days before is a repetition: left out, and counted in ``duplicates``.

**Levels.** A look's provisional level is known as soon as the watermark has passed it. A day is settled when the watermark
has passed its end by :data:`~parcelveil.watch.coded.GRACE`; a settled level is never below the provisional one. Only then,
and only of what is still unexplained, is it asked whether any outlet of the region had the parcel.

**Time comes from the rows alone.** Where nothing comes, nothing is settled: a day without rows after it stays open until
:meth:`Stream.advance` says that the sources have nothing earlier, or :meth:`Stream.flush`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.errors import InputError, UsageError
from parcelveil.watch import streaming_pass as passes
from parcelveil.watch.by_code import longer
from parcelveil.watch.coded import ACTIONS, AHEAD, CODED_ACCESS, CODED_WORK, DAY, GRACE, HOUR, OUTCOMES
from parcelveil.watch.daily import OPEN_ROWS, VOLUME, DayRows, day_of
from parcelveil.watch.explaining import BY_REGION
from parcelveil.watch.waiting import Columns, Waiting, joined, ordered
from parcelveil.watch.work_index import WorkIndex

I64 = npt.NDArray[np.int64]
I8 = npt.NDArray[np.int8]

Regions = Callable[[], npt.NDArray[np.integer[Any]]]

#: Rows that want a reason now: as :data:`~parcelveil.watch.daily.OPEN_ROWS`, before their day is settled.
NEW_ROWS = pa.schema([*CODED_ACCESS, ("provisional", pa.int8())])
#: An id that comes again so much later is another event's.
REPEATED_WITHIN = 2 * DAY
_EARLIEST, _LATEST = np.iinfo(np.int64).min // 4, np.iinfo(np.int64).max // 4
_MINUTE = 60_000_000

_COMPILED = (OUTCOMES.index("ok"), ACTIONS.index("search"), ACTIONS.index("export"))
if _COMPILED != (passes.OK, passes.SEARCH, passes.EXPORT):
    raise ImportError("streaming_pass and coded number actions or outcomes differently")


class Made(NamedTuple):
    """What one step gave; all in order, and the days settled after the looks."""

    looks: pa.Table
    open: pa.Table
    days: list[DayRows]


class _Day:
    """Sums and open rows of a day that is not settled."""

    def __init__(self) -> None:
        self.sums = np.zeros((0, passes.SUMS), np.int64)
        self.open: list[Columns] = []

    def grow(self, accounts: int) -> None:
        self.sums = longer(self.sums, accounts)


class _Seen:
    """Ids of the looks of the last two days."""

    def __init__(self) -> None:
        self._salt = np.uint64(secrets.randbits(64))
        self._taken = 0
        self._new_table(1 << 12)

    def first(self, ids: I64, received: I64) -> npt.NDArray[np.bool_]:
        """Which rows are no repetition."""
        if 2 * (self._taken + len(ids)) >= len(self._ids):
            self._make_room(len(ids), int(received[0]))
        kept, taken = passes.first_seen(ids, received, self._ids, self._received, self._salt, REPEATED_WITHIN)
        self._taken += taken
        return kept

    def _make_room(self, rows: int, now: int) -> None:
        ids, received = self._ids, self._received
        young = received >= now - REPEATED_WITHIN
        count, size = int(young.sum()), len(ids)
        while size < 4 * (count + rows):
            size *= 2
        self._new_table(size)
        _, self._taken = passes.first_seen(ids[young], received[young], self._ids, self._received, self._salt, 0)

    def _new_table(self, size: int) -> None:
        self._ids = np.zeros(size, np.int64)
        self._received = np.full(size, passes.FREE, np.int64)


class Stream:
    """See the module.

    ``rules``: of schema :data:`~parcelveil.watch.explaining.RULE`, or what gives them: it is asked again at every step,
    because the roles that rules name get their codes as they appear. ``disorder_us``: microseconds by which rows may come
    later than others that were received after them. ``regions``: gives the region of each outlet by its code, -1 where it
    is not known, and is asked when a day is settled; without it no row says what is ``near``. Counts: ``late``,
    ``duplicates`` (looks), ``looks``, ``works``.
    """

    def __init__(
        self,
        rules: pa.Table | Callable[[], pa.Table],
        offset_minutes: int = 480,
        disorder_us: int = 5 * _MINUTE,
        regions: Regions | None = None,
    ) -> None:
        self._regions = regions
        self._rules = rules if callable(rules) else None
        self.index = WorkIndex(self._asked(rules() if callable(rules) else rules))
        self._offset, self.disorder = offset_minutes, disorder_us
        self._looks, self._works = Waiting(), Waiting()
        self._seen = _Seen()
        self._days: dict[int, _Day] = {}
        self._settled_until = _EARLIEST
        self.watermark = _EARLIEST  # what was received before it has been taken; microseconds
        self.late = self.duplicates = self.looks = self.works = 0

    def feed(self, accesses: pa.Table | None = None, works: pa.Table | None = None) -> Iterator[Made]:
        """Take micro-batches of CODED_ACCESS and CODED_WORK, either of them or both; gives what is known with them.

        They are kept before anything is asked of the iterator. Raises InputError for other columns.
        """
        return self.advance(self.add(accesses, works) - self.disorder)

    def add(self, accesses: pa.Table | None = None, works: pa.Table | None = None) -> int:
        """As :meth:`feed`, but the watermark stays. Returns the latest receipt among the rows."""
        if self.watermark >= _LATEST:
            raise UsageError("the stream was flushed: begin a new one")
        latest = _EARLIEST
        if works is not None and works.num_rows:
            columns = self._on_time(as_columns(works, CODED_WORK))
            self.works += works.num_rows
            latest = max(latest, self._works.add(columns))
        if accesses is not None and accesses.num_rows:
            columns = self._on_time(as_columns(accesses, CODED_ACCESS))
            if columns["actor"].min() < -passes.SHIFT:
                raise InputError("the accesses have accounts that no coder gives")
            time, received = columns["time"], columns["received"]
            off = (time < received - GRACE) | (time > received + AHEAD)
            if off.any():  # only what came too late: other clocks were set right when the rows were coded
                columns["time"] = np.where(off, received, time)
            self.looks += accesses.num_rows
            latest = max(latest, self._looks.add(columns))
        return latest

    def advance(self, watermark: int) -> Iterator[Made]:
        """Take all that was received before ``watermark``: the sources have nothing earlier any more.

        Gives one step for every day that is settled on the way, and one for the rest.
        """
        while self._days or self._looks:
            until = self._next_settling()
            if until >= watermark:
                break
            yield self._step(until)
        if watermark > self.watermark:
            yield self._step(watermark)

    def flush(self) -> Iterator[Made]:
        """Take all rows and settle all days. Nothing can be fed afterwards."""
        return self.advance(_LATEST)

    def _next_settling(self) -> int:
        """When the first day is settled that is open, or will be by what waits."""
        times = [self._start(min(self._days))] if self._days else []
        if self._looks:
            times.append(self._looks.first - GRACE)
        day = int(day_of(np.array([min(times)]), self._offset)[0])
        return max(self._start(day + 1) + GRACE, self.watermark)

    def _step(self, watermark: int) -> Made:
        self.watermark = watermark
        if self._rules is not None:
            self.index.rules = self._asked(self._rules())
        works = self._works.before(watermark)
        if works is not None:
            self.index.add(works)
        looks, opened = self._taken(self._looks.before(watermark))
        return Made(_table(looks, CODED_ACCESS), _table(opened, NEW_ROWS), self._settle())

    def _asked(self, rules: pa.Table) -> pa.Table:
        """Without regions the rules of regions only would keep work longer."""
        return rules if self._regions else rules.filter(pa.array(rules["whom"].to_numpy() != BY_REGION))

    def _on_time(self, columns: Columns) -> Columns:
        """Rows that come after the watermark has passed them count as received at it."""
        late = columns["received"] < self.watermark
        if late.any():
            self.late += int(late.sum())
            columns["received"] = np.where(late, np.int64(self.watermark), columns["received"])
        return columns

    def _taken(self, looks: Columns | None) -> tuple[list[Columns], list[Columns]]:
        """``looks`` in order without repetitions, and the open ones with their level; sums of days are added to."""
        if looks is None:
            return [], []
        looks = ordered(looks)
        first = self._seen.first(looks["id"], looks["received"])
        if not first.all():
            self.duplicates += int(len(first) - first.sum())
            looks = {name: column[first] for name, column in looks.items()}
        if not first.any():
            return [], []
        ok = looks["outcome"] == passes.OK
        levels = np.where(ok & (looks["waybill"] != 0), np.int8(0), np.int8(-1))
        self.index.explain(looks, looks["received"], levels)
        looks["provisional"] = levels
        wanting = (levels < 2) | ~ok | (looks["action"] == passes.EXPORT)
        days = day_of(looks["time"], self._offset)
        accounts = int(looks["actor"].max()) + passes.SHIFT + 1
        for number in np.unique(days).tolist():
            day = self._days.setdefault(number, _Day())
            day.grow(accounts)
            of_day = days == number
            names = ("actor", "role", "outlet", "time", "action", "outcome", "records", "provisional")
            columns = (looks[name] for name in names)
            passes.tally(day.sums, np.flatnonzero(of_day), self._start(number), *columns)
            rows = np.flatnonzero(of_day & wanting)
            day.open.append({name: column[rows] for name, column in looks.items()})
        return [looks], [{name: column[wanting] for name, column in looks.items()}]

    def _settle(self) -> list[DayRows]:
        """The days that ended long enough before the watermark; work that explains nothing any more is forgotten."""
        until = int(day_of(np.array([self.watermark - GRACE]), self._offset)[0])  # the first day that is not settled
        done = [self._settled(number, self._days.pop(number)) for number in sorted(self._days) if number < until]
        if until > self._settled_until and self.watermark < _LATEST:
            self._settled_until = until
            self.index.prune(self._start(until))
        return done

    def _settled(self, number: int, day: _Day) -> DayRows:
        rows = joined(day.open)
        settled = rows["provisional"].copy()
        known = np.full(len(settled), self._start(number + 1) + GRACE - 1, np.int64)
        self.index.explain(rows, known, settled)
        rows["settled"], rows["near"] = settled, self._near(rows, known, settled)
        seen = np.flatnonzero(day.sums[:, passes.SEEN])
        sums = day.sums[seen]
        counted = (rows["outcome"] == passes.OK) & (rows["action"] != passes.EXPORT)
        place = np.searchsorted(seen, rows["actor"] + passes.SHIFT)

        def at(level: int, also: npt.NDArray[np.bool_]) -> I64:
            return np.bincount(place[counted & also & (settled == level)], minlength=len(seen)).astype(np.int64)

        risen = rows["provisional"] != settled
        hours = np.unpackbits(sums[:, passes.HOURS].astype("<u4").view(np.uint8).reshape(-1, 4), axis=1).sum(axis=1)
        every = np.ones(len(settled), np.bool_)
        volume: Columns = {
            "actor": seen - passes.SHIFT,
            "role": sums[:, passes.ROLE_OF],
            "outlet": sums[:, passes.OUTLET_OF],
            "looks": sums[:, passes.LOOKS],
            "direct": sums[:, passes.DIRECT] + at(2, risen),
            "grouped": at(1, every),
            "none": at(0, every),
            "searches": sums[:, passes.SEARCHES],
            "failed": sums[:, passes.FAILED],
            "exported": sums[:, passes.EXPORTED],
            "hours": hours,
            "first": sums[:, passes.FIRST],
            "last": sums[:, passes.LAST],
        }
        return DayRows(number, _table([volume], VOLUME), _table([rows], OPEN_ROWS))

    def _near(self, rows: Columns, known: I64, settled: I8) -> I8:
        """Of rows that nothing explains, whether the parcel was anywhere in the region; -1 for all others."""
        near = np.full(len(settled), -1, np.int8)
        asked = np.flatnonzero(settled == 0)
        if self._regions is not None and asked.size:
            regions = np.ascontiguousarray(self._regions(), np.int32)
            looks = {name: rows[name][asked] for name in ("waybill", "time", "outlet")}
            near[asked] = self.index.in_region(looks, known[asked], regions)
        return near

    def _start(self, day: int) -> int:
        """When a local day begins."""
        return day * 24 * HOUR - self._offset * _MINUTE


def as_columns(table: pa.Table, schema: pa.Schema) -> Columns:
    """The columns of ``schema`` as arrays. Raises InputError when ``table`` has others or is null anywhere."""
    made: Columns = {}
    for field in schema:
        place = table.schema.get_field_index(field.name)
        if place < 0 or table.schema.field(place).type != field.type or table.column(place).null_count:
            raise InputError("the events have no column {name} of type {kind}", name=field.name, kind=str(field.type))
        column = table.column(place)
        made[field.name] = (column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()).to_numpy(
            zero_copy_only=False
        )
    return made


def _table(parts: list[Columns], schema: pa.Schema) -> pa.Table:
    if not parts:
        return schema.empty_table()
    columns = joined(parts)
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)
