"""Days of looks and of work, explained by SQL: files of any size, one span of days at a time.

::

    with closing(Batch(DuckdbSql, rules, offset_minutes=480)) as batch:
        for accesses, works, until in files:           # in about the order of receipt
            batch.add(accesses, works)                 # CODED_ACCESS, CODED_WORK; either may be None
            for day in batch.settled(until):           # everything received before `until` has been added
                detect(day)                            # DayRows
        for day in batch.settled():                    # the rest
            detect(day)

``rules`` is a table of :data:`~parcelveil.watch.explaining.RULE`, or what gives one: it is asked before every span, because
roles get their codes as they appear. So is ``regions``, which gives the region of each outlet by its code (int32; below 0, or
not there: not known): without it no look is asked about its region.

**What is held.** Looks wait until their day is settled. Work waits, in the database, until it can explain no look to come;
only work that a rule names is kept, in one table for each day on which the last look that it explains would lie, so
that forgetting is dropping a table. A span is as many days as have ``rows_at_once`` looks together, one at least.

**A look that comes twice** (same id, same day) counts once, as it was received first. A look whose day has been settled
counts no more; :attr:`Batch.late` says how many. By how looks are coded (:mod:`~parcelveil.watch.coded`) there are none
unless rows are added behind the ``until`` that was promised. Rows of no possible time are left out: :attr:`Batch.unusable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.event import BizStep
from parcelveil.ports import Sql
from parcelveil.watch.coded import CODED_ACCESS, CODED_WORK, DAY, GRACE, HOUR
from parcelveil.watch.daily import OPEN_ROWS, VOLUME, DayRows, day_of
from parcelveil.watch.evidence import Name
from parcelveil.watch.explaining import BY_REGION, STEP, STEPS
from parcelveil.watch.naming import Names
from parcelveil.watch.work_index import HELD

I64 = npt.NDArray[np.int64]

#: Looks that are explained together: more need more memory, fewer need work to be searched more often.
ROWS_AT_ONCE = 4_000_000
#: Work is first narrowed to the parcels looked at when it has so many times more rows.
_NARROWED = 2
#: The year 2255; times before 1970 or after this are no times.
_LATEST = 9_000_000_000_000_000
_WORK = pa.schema([field for field in CODED_WORK if field.name != "device"])
_LOOK = pa.schema(
    [*CODED_ACCESS, ("day", pa.int32()), ("hour", pa.int32()), ("place", pa.int64()), ("newest", pa.int8())]
)
_ROUTES = (STEP[BizStep.ROUTE_ASSIGNED], STEP[BizStep.ROUTE_RELEASED])


@cache
def statement(name: str) -> str:
    """The text of ``watch/<name>.sql``."""
    return Path(__file__).with_name(f"{name}.sql").read_text("utf-8")


def parameters(offset_minutes: int) -> dict[str, int]:
    """The parameters that the statements share; microseconds."""
    return {"offset": offset_minutes * 60_000_000, "day": DAY, "grace": GRACE, "held": HELD}


def region_table(regions: npt.NDArray[np.int32]) -> pa.Table:
    """What near_region.sql joins with: ``outlet`` and ``region``, of ``regions`` by code of the outlet those that are known."""
    known = np.flatnonzero(regions >= 0).astype(np.int32)
    return pa.table({"outlet": pa.array(known), "region": pa.array(regions[known].astype(np.int32))})


class Batch:
    """See the module. ``sql_factory`` opens the database. ``names=False`` leaves out who did the work behind each look."""

    def __init__(
        self,
        sql_factory: Callable[[], Sql],
        rules: pa.Table | Callable[[], pa.Table],
        offset_minutes: int = 480,
        *,
        regions: Callable[[], npt.NDArray[np.int32]] | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
        names: bool = True,
    ) -> None:
        self._rules: Callable[[], pa.Table] = rules if callable(rules) else lambda: rules
        self._offset, self._rows_at_once = offset_minutes, rows_at_once
        self._regions = regions
        self._reach = _reach(self._rules(), regions=regions is not None)
        self._looks: dict[int, list[pa.Table]] = {}
        self._tables: dict[str, dict[int, int]] = {"work": {}, "route": {}}  # day of expiry -> rows
        self._next: int | None = None  # first day that is not settled
        self._names = Names() if names else None
        self.late = self.repeated = self.unusable = 0
        self._sql = sql_factory()
        for kind in self._tables:
            self._sql.load(f"{kind}_none", _WORK.empty_table())

    def add(self, accesses: pa.Table | None = None, works: pa.Table | None = None) -> None:
        """Take rows of :data:`~parcelveil.watch.coded.CODED_ACCESS` and ``CODED_WORK``, in any order."""
        accesses, works = self._usable(accesses), self._usable(works)
        if accesses is not None and accesses.num_rows:
            days = day_of(accesses["time"].to_numpy(), self._offset)
            for day, part in _parted(accesses, days):
                if self._next is not None and day < self._next:
                    self.late += part.num_rows
                else:
                    self._looks.setdefault(day, []).append(part)
        if works is not None and works.num_rows:
            self._add_works(works.select(_WORK.names))

    def settled(self, until: int | None = None) -> Iterator[DayRows]:
        """Every day with a look that is settled when all that was received before ``until`` is there, in order.

        ``until``: microseconds since 1970 UTC; None: nothing more will come.
        """
        first = None if until is None else int(day_of(np.array([until - GRACE]), self._offset)[0])
        days = sorted(day for day in self._looks if first is None or day < first)
        while days:
            span, rows = 0, 0
            while span < len(days) and (not span or rows + self._rows(days[span]) <= self._rows_at_once):
                rows += self._rows(days[span])
                span += 1
            yield from self._explained(days[:span])
            days = days[span:]
        if first is not None:
            self._forget(first)

    def features(self, name: str, **params: int) -> pa.Table:
        """The answer of ``watch/<name>.sql`` about the days that :meth:`settled` gave last; see there what it takes."""
        return self._sql.query(statement(name), **parameters(self._offset), **params)

    def named(self, rows: pa.Table) -> Mapping[int, Name]:
        """For rows that want a reason, the work that explains each look or comes nearest, by id; none: no work at all."""
        return {} if self._names is None else self._names(rows)

    def close(self) -> None:
        """Forget everything."""
        self._sql.close()

    def _usable(self, events: pa.Table | None) -> pa.Table | None:
        """``events`` without those of a time with which no database could calculate."""
        if events is None:
            return None
        times = [events[name].to_numpy() for name in ("time", "received")]
        usable = np.logical_and.reduce([(time >= 0) & (time < _LATEST) for time in times])
        if usable.all():
            return events
        self.unusable += int((~usable).sum())
        return events.filter(pa.array(usable))

    def _rows(self, day: int) -> int:
        return sum(part.num_rows for part in self._looks[day])

    def _add_works(self, works: pa.Table) -> None:
        step = works["step"].to_numpy().astype(np.int64)
        step = np.where((step > 0) & (step <= len(STEPS)), step, 0)
        waybill = works["waybill"].to_numpy()
        routes = np.isin(step, _ROUTES) & (works["route"].to_numpy() >= 0)
        last = day_of(works["time"].to_numpy() + self._reach[step], self._offset)
        kept = {"work": (waybill != 0) & (self._reach[step] >= 0) & ~np.isin(step, _ROUTES), "route": routes}
        lives = last >= (last if self._next is None else self._next)
        for kind, mask in kept.items():
            rows = np.flatnonzero(mask & lives)
            if not rows.size:
                continue
            # Work at a parcel stands together: a join that has found some of it finds the rest nearby.
            rows = rows[np.argsort(waybill[rows])]
            for day, part in _parted(works.take(pa.array(rows)), last[rows]):
                self._sql.append(_table(kind, day), part)
                self._tables[kind][day] = self._tables[kind].get(day, 0) + part.num_rows

    def _explained(self, days: list[int]) -> Iterator[DayRows]:
        rules, params = self._rules(), parameters(self._offset)
        self._forget(days[0])
        looks = self._load_looks(days)
        self._sql.load("rule", rules)
        self._sql.load("outlet_region", region_table(self._regions() if self._regions else np.empty(0, np.int32)))
        for kind, view in (("work", "all_work"), ("route", "route")):
            self._sql.union(view, [_table(kind, day) for day in sorted(self._tables[kind])] or [f"{kind}_none"])
        if sum(self._tables["work"].values()) > _NARROWED * looks:
            self._sql.run(statement("near"))
            self._sql.union("work", ["near_work"])
        else:
            self._sql.union("work", ["all_work"])
        for name in ("routes", "explain", "near_region", "work_by_rule", "actor_day"):
            self._sql.run(statement(name), **params)
        self._next = days[-1] + 1
        volume = _as(self._sql.query(statement("volume")), pa.schema([("day", pa.int32()), *VOLUME]))
        bits = volume["hours"].to_numpy().astype("<u4").view(np.uint8).reshape(-1, 4)
        hours = np.unpackbits(bits, axis=1).sum(axis=1).astype(np.int64)
        volume = volume.set_column(volume.schema.get_field_index("hours"), "hours", pa.array(hours))
        rows = _as(self._sql.query(statement("open_rows")), pa.schema([("day", pa.int32()), *OPEN_ROWS]))
        if self._names is not None:
            self._names.keep(days[-1], self.features("named"))
        for day in days:
            yield DayRows(day, _of_day(volume, day, VOLUME), _of_day(rows, day, OPEN_ROWS))

    def _load_looks(self, days: list[int]) -> int:
        """Load the looks of ``days`` as table ``look``, ordered by day, account, receipt and id; repeated ones left out.

        Rows of an account stand together, so that counting by account keeps to few counters at a time.
        """
        parts: list[pa.Table] = []
        first = 0
        for day in days:
            table = pa.concat_tables(self._looks.pop(day)).combine_chunks()
            ids, received = table["id"].to_numpy(), table["received"].to_numpy()
            order = np.lexsort((received, ids))
            again = ids[order][1:] == ids[order][:-1]
            self.repeated += int(again.sum())
            if again.any():
                table = table.take(pa.array(np.sort(order[np.append(True, ~again)])))
            actor = table["actor"].to_numpy()
            order = np.lexsort((table["id"].to_numpy(), table["received"].to_numpy(), actor))
            table, actor = table.take(pa.array(order)), actor[order]
            time = table["time"].to_numpy() + self._offset * 60_000_000
            fixed = [
                np.full(len(time), day, np.int32),
                (time % DAY // HOUR).astype(np.int32),
                np.arange(first, first + len(time)),
                np.append(actor[1:] != actor[:-1], True).astype(np.int8),
            ]
            first += len(time)
            parts.append(pa.table([*table.columns, *map(pa.array, fixed)], names=_LOOK.names).cast(_LOOK))
        self._sql.load("look", pa.concat_tables(parts))
        return first

    def _forget(self, day: int) -> None:
        """Drop the work that explains nothing from ``day`` on."""
        self._next = day if self._next is None else max(day, self._next)
        for kind, parts in self._tables.items():
            for old in [expiry for expiry in parts if expiry < day]:
                # A view that names the table may still stand; it is made anew before it is read.
                self._sql.drop(_table(kind, old))
                del parts[old]


def _reach(rules: pa.Table, *, regions: bool) -> I64:
    """By step, how long after it a look may lie, in microseconds; -1: no rule names it. Routes as long as they matter.

    ``regions``: by the rules of regions too.
    """
    reach = np.full(len(STEPS) + 1, -1, np.int64)
    if not regions:
        rules = rules.filter(pa.array(rules["whom"].to_numpy() != BY_REGION))
    np.maximum.at(reach, rules["step"].to_numpy(), rules["after_us"].to_numpy())
    reach[list(_ROUTES)] = HELD + max(int(reach[STEP[BizStep.OUT_FOR_DELIVERY]]), 0)
    return reach


def _parted(table: pa.Table, keys: I64) -> Iterator[tuple[int, pa.Table]]:
    """``table`` by key: each key and its rows, in their order."""
    found = np.unique(keys).tolist()
    if len(found) == 1:
        yield found[0], table
        return
    for key in found:
        yield key, table.take(pa.array(np.flatnonzero(keys == key)))


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table.select(schema.names).cast(schema)


def _of_day(table: pa.Table, day: int, schema: pa.Schema) -> pa.Table:
    first, last = np.searchsorted(table["day"].to_numpy(), [day, day + 1]).tolist()
    return table.slice(first, last - first).select(schema.names).combine_chunks()


def _table(kind: str, day: int) -> str:
    return f"{kind}_{day}" if day >= 0 else f"{kind}_before"
