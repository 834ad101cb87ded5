"""Rows that come in our own schemas, looked at before they are believed: another process wrote the file.

::

    rows = OwnRows("access/2026-09-01.parquet", ACCESS, now=None)
    taken = rows.take(raw)               # taken.batch has all columns of ACCESS, in its types

Types are made ours, columns that may be null may be missing. A row goes to the rejects, with a code from :data:`REASONS`, when
something is null that must not be, when its time is none, or when an account or device is a phone or looks like a name. Of
dictionary-encoded columns only the dictionary is looked at, and once as long as it stays the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import InputError
from parcelveil.event import LONGEST, RECEIVED_AT
from parcelveil.intake import cells
from parcelveil.watch.access_cells import ACCOUNT, DEVICE, PHONE
from parcelveil.watch.coded import DAY
from parcelveil.watch.mapped import TakenAccess
from parcelveil.waybill import RawBatch, Reject

Bools = npt.NDArray[np.bool_]

#: Reject codes and what they tell the person.
REASONS = {
    "missing": "a column that must not be empty is",
    "event_time.out_of_range": "the time is before 2000 or after 2099",
    "received_at.out_of_range": "the time of receiving is before 2000 or after 2099",
    "received_at.future": "the row was received more than a day from now: a clock is wrong",
    "actor.malformed": "the account has characters that accounts do not have, like those of names, or is a phone",
    "device.malformed": "the device has characters that devices' numbers do not have, or is a phone",
    "outlet.malformed": "the outlet is a phone",
    "too_long": f"an identifier has more than {LONGEST} bytes",
}
#: Chinese for the customer is no account, and is let through to be counted as what it is.
_CHECKED = {"actor": (ACCOUNT, "^ *(客户|customer) *$"), "device": (DEVICE, "^$"), "outlet": ("", "^$")}
#: Columns of text that repeat: they come, and go on, dictionary-encoded.
ENCODED = frozenset(
    "actor role outlet device network channel action outcome ticket biz_step to_outlet route_id".split()
)
_NAMES = pa.dictionary(pa.int32(), pa.string())


def fits(names: Sequence[str], schema: pa.Schema) -> bool:
    """Whether columns are those of ``schema``: none that it does not have, and all that must not be null."""
    known = {*schema.names, RECEIVED_AT.name}
    return set(names) <= known and all(field.name in names for field in schema if not field.nullable)


class OwnRows:
    """The rows of one file. ``now``: microseconds since 1970; what was received later than a day from then is rejected."""

    def __init__(self, source: str, schema: pa.Schema, *, now: int | None = None) -> None:
        self._source, self._now = source, now
        self._schema = schema if RECEIVED_AT.name in schema.names else schema.append(RECEIVED_AT)
        self._seen: dict[str, tuple[pa.Array, Bools]] = {}

    def take(self, raw: RawBatch) -> TakenAccess:
        """Take the next rows. Raises InputError for a column whose type holds no such values."""
        columns = {field.name: self._column(raw.batch, field) for field in self._schema}
        fault: npt.NDArray[np.int8] = np.zeros(raw.batch.num_rows, np.int8)
        codes = tuple(REASONS)

        def reject(flags: Bools, code: str) -> None:
            fault[flags & (fault == 0)] = codes.index(code) + 1

        for field in self._schema:
            if not field.nullable and columns[field.name].null_count:
                reject(_flags(columns[field.name].is_null()), "missing")
        times, received = _micros(columns["event_time"]), columns[RECEIVED_AT.name]
        reject(cells.out_of_range(times), "event_time.out_of_range")
        if received.null_count < len(received):
            given, told = _flags(received.is_valid()), _micros(received)
            reject(given & cells.out_of_range(told), "received_at.out_of_range")
            times = np.where(given, told, times)
        if self._now is not None:
            reject(times > self._now + DAY, "received_at.future")
        for name, column in columns.items():
            if pa.types.is_dictionary(column.type):
                reject(self._of_values(name, column, "long"), "too_long")
                if name in _CHECKED:
                    reject(self._of_values(name, column, "odd"), f"{name}.malformed")
            elif pa.types.is_string(column.type):
                reject(cells.longer_than(column, LONGEST), "too_long")
        batch = pa.RecordBatch.from_arrays(list(columns.values()), names=self._schema.names)
        rows, rejects = np.asarray(raw.rows, np.int64), list(raw.rejects)
        if not fault.any():
            return TakenAccess(batch, rows, rejects, Counter())
        rejects += [
            Reject(self._source, int(rows[at]), None, None, codes[fault[at] - 1], REASONS[codes[fault[at] - 1]])
            for at in np.flatnonzero(fault).tolist()
        ]
        return TakenAccess(batch.filter(pa.array(fault == 0)), rows[fault == 0], rejects, Counter())

    def _column(self, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
        if field.name not in batch.schema.names:
            return pa.nulls(batch.num_rows, field.type)
        column = batch[field.name]
        try:
            if pa.types.is_string(field.type):
                encoded = pa.types.is_dictionary(column.type)
                if field.name in ENCODED:
                    return column.cast(_NAMES) if encoded else column.cast(pa.string()).dictionary_encode()
                return column.dictionary_decode() if encoded else column.cast(pa.string())
            return column if column.type == field.type else column.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputError(
                "column {column} of {file} holds values that are no {type}",
                hint="see docs/watch-inputs.md for the types, or give a mapping",
                column=field.name,
                file=self._source,
                type=str(field.type),
            ) from None

    def _of_values(self, name: str, column: pa.DictionaryArray, what: str) -> Bools:
        """Which rows have a value that is too ``long``, or ``odd`` for its column."""
        place = f"{name} {what}"
        known = self._seen.get(place)
        if known is None or not known[0].equals(column.dictionary):
            values = column.dictionary
            if what == "long":
                bad = cells.longer_than(values, LONGEST)
            else:
                sound, besides = _CHECKED[name]
                fine = pc.and_not(pc.match_substring_regex(values, sound), pc.match_substring_regex(values, PHONE))
                bad = ~_flags(pc.or_(fine, pc.match_substring_regex(values, besides)).fill_null(True))
            known = self._seen[place] = (values, bad)
        if not known[1].any():
            return np.zeros(len(column), np.bool_)
        found: Bools = np.append(known[1], False)[np.asarray(column.indices.cast(pa.int64()).fill_null(-1))]
        return found


def _micros(column: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(column.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64()).fill_null(0))


def _flags(column: pa.BooleanArray) -> Bools:
    found: Bools = column.to_numpy(zero_copy_only=False)
    return found
