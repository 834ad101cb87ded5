"""From a case to an alert: what stands behind it, counted from the rows that the watcher keeps.

::

    evidence = Evidence(coder, key, register=register, named=batch.named)
    for rows in days:                              # watch.daily.DayRows, in order
        evidence.day(rows)                         # before the watcher sees it
        for case in watcher.day(rows):
            alert = evidence.alert(case, since=watcher.since)
    evidence.looks(rows)                           # a stream: rows that want a reason, of days that are not settled

The **window** of a case goes from the first day that one of its detectors counts (a slow one: since its sum left zero) to the
last day that one speaks of; looks and records *lost* are counted in it. **Peers** are the accounts of the same role at the same
outlet, or, where these are fewer than :data:`FEWEST_PEERS`, of the same role; what is theirs in the same days is a mean
without the top twentieth, so that a second harvester does not excuse the first. An alert says what was known when its case was
last changed, whether the day after is known by now or not: on days that were not settled then, a look has the level
that it had when it came, and looks that work explained at once are not counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.watch.alerts import (
    MOST_DAYS,
    MOST_ROWS,
    Alert,
    Day,
    Excuse,
    Names,
    Reason,
    Row,
    Why,
    alert_uid,
    severity_of,
)
from parcelveil.watch.cases import Case
from parcelveil.watch.coded import ACTIONS, DAY, GRACE, OUTCOMES, Accounts, Coder, pseudonym_text
from parcelveil.watch.daily import OPEN_ROWS, DayRows, day_of
from parcelveil.watch.excuses import Excuses, late_share
from parcelveil.watch.signals import Signal

I64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Peers at the outlet below which those of the whole role are taken.
FEWEST_PEERS = 5
#: Days that are looked back on.
KEPT, _LOOKED_BACK = 35, 32
#: Newest days of which all rows are kept, also those that were explained in the end.
_RECENT = 3
_SUMS = ("slow", "grouped")
_EXPORT, _OK = ACTIONS.index("export"), OUTCOMES.index("ok")
_COLUMN = {"actor": "actor", "device": "device", "network": "network", "outlet": "outlet"}


class Name(NamedTuple):
    """The work that explains a look (``why`` empty), or what comes nearest and why it does not."""

    step: str
    time: int
    why: Why


#: For rows of OPEN_ROWS, the work by access id. Where an id is missing there is no work at the parcel.
Named = Callable[[pa.Table], Mapping[int, Name]]


class Evidence:
    """See the module. Its ``repr`` shows no key."""

    def __init__(
        self,
        coder: Coder,
        key: bytes,
        *,
        register: Accounts | None = None,
        named: Named | None = None,
        offset_minutes: int = 480,
        silent_days: Iterable[int] = (),
        partner: Callable[[int], int | None] | None = None,
    ) -> None:
        """``silent_days``: local days without any work event; ``partner``: of an account, the other one of a pair."""
        self.names = Names(key)
        self._coder, self._key, self._register, self._named = coder, key, register, named
        self._offset, self._silent, self._partner = offset_minutes, set(silent_days), partner
        self._days: deque[DayRows] = deque()
        self._late: dict[int, tuple[Floats, Floats]] = {}
        self._fresh: list[pa.Table] = []

    def __repr__(self) -> str:
        return f"<Evidence of {len(self._days)} days>"

    def day(self, rows: DayRows) -> None:
        """Keep a settled day. Rows of it that came as :meth:`looks` are forgotten."""
        table = rows.rows
        explained = (table["provisional"].to_numpy() == 0) & (table["settled"].to_numpy() > 0)
        outlet = table["outlet"].to_numpy()
        known = outlet >= 0
        late = np.bincount(outlet[explained & known]).astype(np.float64) if (explained & known).any() else np.zeros(0)
        outlets, looks = rows.volume["outlet"].to_numpy(), rows.volume["looks"].to_numpy()
        known = outlets >= 0
        total = np.bincount(outlets[known], weights=looks[known]) if known.any() else np.zeros(0)
        self._late[rows.day] = late, total.astype(np.float64)
        self._days.append(rows._replace(rows=table.select(OPEN_ROWS.names)))
        if len(self._days) > _RECENT:  # of those before no case speaks that had not waited for them
            old = self._days[-_RECENT - 1]
            wanted = (old.rows["settled"].to_numpy() < 2) | (old.rows["action"].to_numpy() == _EXPORT)
            self._days[-_RECENT - 1] = old._replace(rows=old.rows.filter(pa.array(wanted)))
        while self._days[0].day <= rows.day - KEPT:
            self._late.pop(self._days.popleft().day, None)
        self._fresh = [left for one in self._fresh if (left := self._after(one, rows.day)).num_rows]

    def silent(self, day: int) -> None:
        """Know that on this local day no work event came in."""
        self._silent.add(day)

    def looks(self, rows: pa.Table) -> None:
        """Keep rows that want a reason, of days that are not settled: OPEN_ROWS with or without ``settled`` and ``near``."""
        if rows.num_rows:
            if "settled" not in rows.column_names:
                rows = rows.append_column("settled", rows["provisional"].cast(pa.int8()))
            if "near" not in rows.column_names:
                rows = rows.append_column("near", pa.array(np.full(rows.num_rows, -1, np.int8)))
            self._fresh.append(rows.select(OPEN_ROWS.names))

    def alert(self, case: Case, since: Callable[[str, int], int] | None = None) -> Alert:
        """The alert that ``case`` is. ``since``: first day of a detector's sum (``slow``, ``grouped``) of an account."""
        subject = self._text(case.kind, case.subject)
        actor = self.names.subject(case.kind, subject)
        first = min(self._first_day(one, case, since) for one in case.signals)
        last = max(one.day for one in case.signals)
        reasons = tuple(self._reason(one, case, since) for one in case.signals)
        start = first * DAY - self._offset * 60_000_000
        days = self._settled_by(case.updated_at)
        rows = self._rows_of(case, first, last)
        table = _Columns(rows)
        role, outlet = self._role_outlet(case, days, rows)
        peers = self._peers(case, days, role, outlet)
        looks = self._looks(case, [day for day in days if first <= day.day <= last], table)
        lost = self._lost(case, table)
        devices = self._device_counts(table)
        return Alert(
            uid=alert_uid(self._key, actor, case.opened_at, case.signals[0].name),
            revision=case.revision,
            actor=actor,
            role=self.names.role(self._name("role", role)),
            outlet=self.names.outlet(self._name("outlet", outlet)),
            opened_at=case.opened_at,
            updated_at=case.updated_at,
            since=start,
            until=min(case.updated_at, (last + 1) * DAY - self._offset * 60_000_000 - 1),
            severity=severity_of(reasons, lost),
            reasons=reasons,
            looks=looks,
            unexplained=int(table.strange.sum()),
            grouped=int(table.shelf.sum()),
            peers=round(float(sum(peers(day) for day in range(first, last + 1))), 3),
            lost=lost,
            devices=tuple((self.names.device(self._name("device", code)), count) for code, count in devices),
            excuses=self._excuses(case, days, first, last, role, outlet, devices),
            late_share=round(late_share(self._late_of(days), outlet, first, last), 4),
            rows=self._rows(rows, case),
            chart=self._chart(case, days, last, peers),
            state="escalated" if case.escalated else "open",
        )

    # -- names --------------------------------------------------------------------------------------------------------

    def _name(self, kind: str, code: int) -> str:
        return self._coder.names[kind].text([code])[0].as_py() or "" if code >= 0 else ""

    def _text(self, kind: str, subject: int | str) -> str:
        if isinstance(subject, str):
            return subject
        return self._name(kind, subject) if kind in self._coder.names else str(subject)

    # -- time ---------------------------------------------------------------------------------------------------------

    def _first_day(self, signal: Signal, case: Case, since: Callable[[str, int], int] | None) -> int:
        day = signal.day
        if signal.name in _SUMS and since is not None and isinstance(case.subject, int):
            day = min(day, since(signal.name, case.subject))
        return max(day, signal.day - KEPT + 1)

    def _reason(self, signal: Signal, case: Case, since: Callable[[str, int], int] | None) -> Reason:
        first = self._first_day(signal, case, since)
        other = ""
        if signal.name == "pair" and self._partner is not None and isinstance(case.subject, int):
            code = self._partner(case.subject)
            other = self.names.actor(self._name("actor", code)) if code is not None else ""
        if signal.name in ("device", "shared") and case.kind == "actor" and len(signal.rows):
            rows = self._rows_of(case, first, signal.day)
            mine = rows.filter(pc.is_in(rows["id"], pa.array(signal.rows)))["device"].to_numpy()
            mine = mine[mine >= 0]
            other = self.names.device(self._name("device", int(np.bincount(mine).argmax()))) if len(mine) else ""
        finite = np.nan_to_num(
            np.array([signal.value, signal.expected, signal.p, signal.threshold]), posinf=0, neginf=0
        )
        value, expected, p, threshold = (round(float(one), 12) for one in finite)
        return Reason(
            signal.name, signal.time, value=round(value, 3), expected=round(expected, 3), p=p,
            threshold=round(threshold, 3), since=first * DAY - self._offset * 60_000_000, other=other,
        )  # fmt: skip

    def _settled_by(self, moment: int) -> list[DayRows]:
        """The days that were settled at a moment: a case is told with what was known when it spoke, no more."""
        end = (moment - GRACE + self._offset * 60_000_000) // DAY - 1
        return [day for day in self._days if end - _LOOKED_BACK < day.day <= end]

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _after(self, rows: pa.Table, day: int) -> pa.Table:
        return rows.filter(pa.array(day_of(rows["time"].to_numpy(), self._offset) > day))

    def _rows_of(self, case: Case, first: int, last: int) -> pa.Table:
        """The subject's rows of some days, as far as they had been received when the case was last changed."""
        column = _COLUMN.get(case.kind)
        if column is None or not isinstance(case.subject, int):
            return OPEN_ROWS.empty_table()
        known = [one.rows for one in self._settled_by(case.updated_at) if first <= one.day <= last]
        done = {one.day for one in self._settled_by(case.updated_at)}
        parts = [one.rows for one in self._days if first <= one.day <= last and one.day not in done]
        newest = self._days[-1].day if self._days else -1
        parts = known + [_as_it_came(one) for one in (*parts, *(self._after(one, newest) for one in self._fresh))]
        found = []
        for part in parts:
            mine = (part[column].to_numpy() == case.subject) & (part["received"].to_numpy() <= case.updated_at)
            days = day_of(part["time"].to_numpy(), self._offset)
            mine &= (days >= first) & (days <= last)
            if mine.any():
                found.append(part.filter(pa.array(mine)))
        return (
            pa.concat_tables(found).sort_by([("received", "ascending"), ("id", "ascending")])
            if found
            else OPEN_ROWS.empty_table()
        )

    def _rows(self, rows: pa.Table, case: Case) -> tuple[Row, ...]:
        """Up to MOST_ROWS: those that the signals name first, then the newest without a reason; by time."""
        if not rows.num_rows:
            return ()
        ids = rows["id"].to_numpy()
        named = np.isin(ids, np.concatenate([one.rows for one in case.signals]))
        wanted = named | (rows["settled"].to_numpy() < 2) | (rows["action"].to_numpy() == _EXPORT)
        rows, ids, named = rows.filter(pa.array(wanted)), ids[wanted], named[wanted]
        level = rows["settled"].to_numpy()
        grade = np.where(named, 0, np.where(level == 0, 1, np.where(level == -1, 2, 3)))
        best = np.lexsort((-np.arange(len(ids)), grade))[:MOST_ROWS]
        chosen = rows.take(pa.array(np.sort(best)))
        known = self._named(chosen) if self._named is not None else None
        return tuple(self._row(one, known) for one in chosen.to_pylist())

    def _row(self, one: Mapping[str, int], known: Mapping[int, Name] | None) -> Row:
        missing = not one["waybill"] or OUTCOMES[one["outcome"]] == "notfound"
        none: Why = "no-parcel" if missing else "no-work" if known is not None else ""
        name = Name("", 0, none) if known is None else known.get(one["id"], Name("", 0, none))
        return Row(
            time=one["time"],
            parcel=pseudonym_text(one["waybill"]) if one["waybill"] else "",
            level=one["settled"],
            action=ACTIONS[one["action"]],
            outcome=OUTCOMES[one["outcome"]],
            device=self.names.device(self._name("device", one["device"])),
            records=one["records"],
            step=name.step,
            step_time=name.time,
            why=name.why,
            id=one["id"],
        )

    def _device_counts(self, table: _Columns) -> list[tuple[int, int]]:
        codes, counts = np.unique(table.device[table.strange], return_counts=True)
        order = np.lexsort((codes, -counts))
        return [(int(codes[at]), int(counts[at])) for at in order if codes[at] >= 0][:10]

    def _late_of(self, days: list[DayRows]) -> dict[int, tuple[Floats, Floats]]:
        return {day.day: self._late[day.day] for day in days}

    def _excuses(
        self,
        case: Case,
        days: list[DayRows],
        first: int,
        last: int,
        role: int,
        outlet: int,
        devices: list[tuple[int, int]],
    ) -> tuple[Excuse, ...]:
        if case.kind != "actor" or not isinstance(case.subject, int):
            return ()
        excuses = Excuses(days, self._late_of(days), self._register, self._silent)
        device = devices[0][0] if devices else -1
        return tuple(excuses.of(case.subject, first, last, role=role, outlet=outlet, device=device))

    def _lost(self, case: Case, table: _Columns) -> int:
        before = table.received <= case.opened_at
        return int(table.records[before & (table.strange | table.exported)].sum())

    # -- counts of days -----------------------------------------------------------------------------------------------

    def _volume(self, case: Case, day: DayRows) -> Mapping[str, int]:
        if not isinstance(case.subject, int):
            return {}
        actors = day.volume["actor"].to_numpy()
        at = int(np.searchsorted(actors, case.subject))
        if at == len(actors) or actors[at] != case.subject:
            return {}
        return {name: int(day.volume[name][at].as_py()) for name in ("role", "outlet", "looks", "none", "grouped")}

    def _role_outlet(self, case: Case, days: list[DayRows], rows: pa.Table) -> tuple[int, int]:
        if case.kind != "actor" or not isinstance(case.subject, int):
            return -1, -1
        if rows.num_rows:
            return int(rows["role"][-1].as_py()), int(rows["outlet"][-1].as_py())
        for day in reversed(days):
            if found := self._volume(case, day):
                return found["role"], found["outlet"]
        return -1, -1

    def _looks(self, case: Case, days: list[DayRows], table: _Columns) -> int:
        """Looks of the window; on days that were not settled only those that wanted a reason were known."""
        if case.kind != "actor":
            return 0
        known = sum(self._volume(case, one).get("looks", 0) for one in days)
        other = ~np.isin(day_of(table.time, self._offset), [one.day for one in days])
        return known + int(((table.strange | table.shelf) & other).sum())

    def _peers(self, case: Case, days: list[DayRows], role: int, outlet: int) -> Callable[[int], float]:
        """Looks without a reason that a peer usually has on a day."""
        by_day: dict[int, float] = {}
        for day in days:
            volume = day.volume
            same = volume["role"].to_numpy() == role
            if isinstance(case.subject, int):
                same &= volume["actor"].to_numpy() != case.subject
            near = same & (volume["outlet"].to_numpy() == outlet)
            chosen = near if near.sum() >= FEWEST_PEERS else same
            none = np.sort(volume["none"].to_numpy()[chosen])
            kept = none[: max(1, int(np.ceil(0.95 * len(none))))]
            by_day[day.day] = float(kept.mean()) if len(none) else 0.0
        usual = float(np.mean(list(by_day.values()))) if by_day else 0.0
        return lambda day: by_day.get(day, usual)

    def _chart(self, case: Case, days: list[DayRows], last: int, peers: Callable[[int], float]) -> tuple[Day, ...]:
        if case.kind != "actor":
            return ()
        own = {one.day: float(self._volume(case, one).get("none", 0)) for one in days}
        if last not in own:
            own[last] = float(_Columns(self._rows_of(case, last, last)).strange.sum())
        shown = [day for day in sorted(own) if last - MOST_DAYS < day <= last]
        return tuple(Day(day, own[day], round(peers(day), 3)) for day in shown)


def _as_it_came(rows: pa.Table) -> pa.Table:
    """Rows whose level is the one that they had when they came."""
    place = rows.schema.get_field_index("settled")
    return rows.set_column(place, OPEN_ROWS.field("settled"), rows["provisional"])


class _Columns:
    """Columns of OPEN_ROWS, and which of the rows are looks without a reason, by group only, or exports."""

    def __init__(self, rows: pa.Table) -> None:
        level, action = rows["settled"].to_numpy(), rows["action"].to_numpy()
        good = rows["outcome"].to_numpy() == _OK
        self.time, self.received = rows["time"].to_numpy(), rows["received"].to_numpy()
        self.device, self.records = rows["device"].to_numpy(), rows["records"].to_numpy()
        self.exported = good & (action == _EXPORT)
        self.strange = good & (level == 0) & ~self.exported
        self.shelf = good & (level == 1) & ~self.exported
