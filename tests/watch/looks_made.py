"""Days of looks written out row by row, for detectors that ask who, where, on what and whom."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from parcelveil.watch.coded import ACTIONS, CODED_ACCESS, NEVER, Accounts
from parcelveil.watch.daily import OPEN_ROWS, VOLUME, DayRows

DAY, HOUR = 86_400_000_000, 3_600_000_000
OFFSET = 480 * 60_000_000
EXPORT, REVEAL = ACTIONS.index("export"), ACTIONS.index("reveal")


def midnight(day: int) -> int:
    return day * DAY - OFFSET


def table(schema: pa.Schema, columns: dict[str, object], size: int) -> pa.Table:
    made = {name: np.broadcast_to(np.asarray(columns.get(name, 0)), size) for name in schema.names}
    return pa.table(
        {field.name: pa.array(made[field.name].astype(field.type.to_pandas_dtype())) for field in schema}, schema=schema
    )


class Looks:
    """Rows of a day, added in bulk; then the tables that detectors take. Everybody in ``present`` has ``busy`` direct looks."""

    serial = 1

    def __init__(
        self, day: int, present: int | np.ndarray, *, role: object = 0, outlet: object = 0, busy: int = 50
    ) -> None:
        self.day = day
        self.present = np.arange(present) if isinstance(present, int) else np.asarray(present)
        most = int(self.present.max(initial=0)) + 1
        self.role, self.outlet = np.broadcast_to(role, most), np.broadcast_to(outlet, most)
        self.busy = busy
        self.parts: list[dict[str, np.ndarray]] = []

    def add(self, actor: object, size: int | None = None, **columns: object) -> Looks:
        """Rows without a reason (``settled=1``: by group; 2: direct), each at a parcel of its own unless ``waybill`` is given."""
        size = size if size is not None else len(np.atleast_1d(np.asarray(actor)))
        new = np.arange(Looks.serial, Looks.serial + size)
        Looks.serial += size
        actor = np.broadcast_to(np.asarray(actor), size)
        hours = 9 * HOUR + np.linspace(0, 8 * HOUR, size).astype(np.int64)
        given: dict[str, object] = {
            "id": new, "waybill": new, "serial": new * 977 % 10**9, "time": midnight(self.day) + hours, "actor": actor,
            "role": self.role[actor], "outlet": self.outlet[actor], "device": actor, "network": self.outlet[actor],
            "action": REVEAL, "fields": 7, "records": 1, "ticket": -1, "settled": 0, "subject": 0,
            "near": -1,
        } | columns  # fmt: skip
        given["received"] = given["time"]
        given.setdefault("provisional", given["settled"])
        self.parts.append({name: np.broadcast_to(np.asarray(value), size) for name, value in given.items()})
        return self

    def export(self, actor: object, records: object, **columns: object) -> Looks:
        size = len(np.atleast_1d(np.asarray(records)))
        return self.add(actor, size, action=EXPORT, records=records, waybill=0, serial=-1, settled=-1, **columns)

    def _all(self) -> dict[str, np.ndarray]:
        names = self.parts[0] if self.parts else {}
        return {name: np.concatenate([part[name] for part in self.parts]) for name in names}

    def accesses(self) -> pa.Table:
        """CODED_ACCESS of these rows, and of everybody's direct looks on the own device."""
        direct = np.repeat(self.present, self.busy)
        times = (
            midnight(self.day)
            + 9 * HOUR
            + np.tile(np.arange(self.busy) * (8 * HOUR // max(self.busy, 1)), len(self.present))
        )
        own = {"actor": direct, "role": self.role[direct], "outlet": self.outlet[direct], "device": direct,
               "network": self.outlet[direct], "time": times, "received": times, "waybill": 1, "records": 1}  # fmt: skip
        rows = self._all()
        both = [table(CODED_ACCESS, own, len(direct)), table(CODED_ACCESS, rows, len(rows.get("id", [])))]
        return pa.concat_tables(both)

    def rows(self) -> DayRows:
        rows = self._all()
        size = len(rows.get("id", []))
        if size:
            keep = (rows["settled"] < 2) | (rows["action"] == EXPORT)
            order = np.lexsort((rows["id"], rows["received"]))
            order = order[keep[order]]
            rows = {name: column[order] for name, column in rows.items()}
            size = len(order)
        opened = table(OPEN_ROWS, rows, size)
        actor, settled, export = (opened[name].to_numpy() for name in ("actor", "settled", "action"))
        export = export == EXPORT
        actors = np.unique(np.concatenate([self.present, actor])).astype(np.int32)

        def count(of: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
            part = None if weights is None else weights[of]
            return np.bincount(np.searchsorted(actors, actor[of]), part, minlength=len(actors)).astype(np.int64)

        none, grouped = count((settled == 0) & ~export), count((settled == 1) & ~export)
        direct = np.isin(actors, self.present) * self.busy
        start = midnight(self.day)
        most = int(actors.max(initial=0)) + 1
        role, outlet = (np.resize(column, most) for column in (self.role, self.outlet))
        columns = {
            "actor": actors, "role": role[actors], "outlet": outlet[actors], "looks": direct + none + grouped,
            "direct": direct, "grouped": grouped, "none": none, "exported": count(export, opened["records"].to_numpy()),
            "hours": 9, "first": start + 9 * HOUR, "last": start + 17 * HOUR,
        }  # fmt: skip
        return DayRows(self.day, table(VOLUME, columns, len(actors)), opened)


def register(size: int, **columns: object) -> Accounts:
    """A register of ``size`` accounts with what ``columns`` say; the rest is not told."""
    made: dict[str, object] = {
        "known": True, "role": 0, "outlet": 0, "region": -1, "owner": -1, "opened_at": NEVER, "changed_at": NEVER,
        "leaves_at": NEVER, "shift_start": -1, "shift_end": -1,
    } | columns  # fmt: skip
    return Accounts(*(np.broadcast_to(np.asarray(made[name]), size).copy() for name in Accounts._fields))
