"""Work events as carriers have them: scan exports, EPCIS 2.0 JSON lines, tables of routes and tickets.

::

    >>> raw = pa.record_batch({"运单号": ["YT1", "YT2"], "扫描时间": ["2026-11-23 08:15:00", "soon"],
    ...                        "扫描类型": ["到件", "到件"], "网点": ["021007", "021007"]})
    >>> taken = take_work(RawBatch(raw, np.array([2, 3]), []), "scans.csv", utc_offset_minutes=480)
    >>> taken.batch.select(["event_time", "biz_step", "waybill_no"]).to_pylist()
    [{'event_time': datetime.datetime(2026, 11, 23, 0, 15, tzinfo=...), 'biz_step': 'arrived', 'waybill_no': 'YT1'}]
    >>> [(reject.row, reject.code) for reject in taken.rejects]
    [(3, 'event_time.malformed')]

Columns are recognised by their names (``docs/work-events.md`` has the list): ours, those of EPCIS, and common English
and Chinese headers; of several that say the same the first in that list is used. Steps may be ours, EPCIS's, EMSEVT codes
or common Chinese words. An ``epcList`` of several parcels becomes as many events.

**Times**: ISO 8601 with or without a zone (then the tenant's offset), or seconds, milliseconds or microseconds since
1970. A bare date is no time: it would say that everything happened at midnight.

A row that is no event goes to the rejects with a code from :data:`REASONS`; it never stops the run. Text that is no
identifier cannot get in: staff numbers are letters, digits and ``. _ - / :`` only, so that a column of names, which must not
stand in work events, is refused row by row rather than taken. The one word beside them is ``客户``, for ``customer``.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.event import CUSTOMER, EMSEVT, LONGEST, NEEDED, WORK, folded
from parcelveil.intake import cells
from parcelveil.intake.work_words import from_uri, read_step, recognise_work
from parcelveil.waybill import RawBatch, Reject

Bools = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int64]

#: Reject codes and what they tell the person.
REASONS = {
    "event_time.missing": "the row has no time",
    "event_time.malformed": "the time cannot be read, or is a date only",
    "event_time.out_of_range": "the time is before 2000 or after 2099",
    "biz_step.missing": "the row does not say what happened: neither a step nor an EMSEVT code",
    "biz_step.unknown": "what happened is in none of the lists of steps",
    "waybill_no.missing": "the step needs a waybill number",
    "route_id.missing": "the step needs a route",
    "actor.missing": "the step needs a staff number",
    "ticket.missing": "the step needs a ticket",
    "waybill_no.too_many": "the list of parcels is too long or malformed",
    "digits_lost": "a number was rounded and its digits are gone",
    "too_long": f"an identifier has more than {LONGEST} bytes",
    "control_characters": "an identifier has control characters",
    "actor.malformed": "the staff number has blanks or other characters that staff numbers do not have",
}

_CODES = tuple(REASONS)
_IDENTIFIERS = ("event_id", "waybill_no", "outlet", "to_outlet", "route_id", "actor", "device", "ticket")
_STAFF = f"^[0-9A-Za-z][0-9A-Za-z._/:-]{{0,{LONGEST - 1}}}$"
_URI = r"^(urn:[a-z0-9][a-z0-9-]*:|https?://)"
_ZONED = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)$"
_CLOCKED = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})$"
_EPOCH = r"^\d{9,10}(\.\d{1,9})?$|^\d{12,13}(\.0+)?$|^\d{15,16}(\.0+)?$"
_DATE_ONLY = r"^\D*\d{4}\D*\d{1,2}\D*\d{1,2}\D*$"
_SCIENTIFIC = r"^[0-9](\.[0-9]+)?[eE]\+?[0-9]+$"
#: Parcels that one row, and one batch, may name.
MOST_IN_LIST = 10_000
_MOST_IN_BATCH = 1_000_000


class TakenWork(NamedTuple):
    """What became of the rows of one raw batch: each is in ``batch``, once for each parcel it names, or in ``rejects``."""

    batch: pa.RecordBatch  # of schema WORK
    rows: npt.NDArray[np.int64]  # row number in the source of each row of ``batch``
    rejects: list[Reject]  # the reader's own first


def take_work(raw: RawBatch, source: str, *, utc_offset_minutes: int = 480) -> TakenWork:
    """Take the rows of ``raw`` as work events; ``source`` is the file name that rejects carry.

    Times without a zone are at ``utc_offset_minutes``. Raises HeaderError when time or step have no column, InputError
    for a column whose type holds no such values.
    """
    work = _Rows(raw, source, recognise_work(raw.batch.schema.names))
    work.expand()
    for name in _IDENTIFIERS:
        work.identifier(name)
    work.times(utc_offset_minutes)
    work.steps()
    return work.finish()


class _Rows:
    """One batch on its way. ``at`` is the raw row of each row; ``fault`` is 0 or, for a rejected row, 1 + the place
    of its code in REASONS, and ``faulty`` the column of ours that is to blame."""

    def __init__(self, raw: RawBatch, source: str, columns: dict[str, str]) -> None:
        self.raw, self.source, self.sources = raw, source, columns
        self.size = raw.batch.num_rows
        self.at: Index = np.arange(self.size)
        self.fault = np.zeros(self.size, np.int8)
        self.faulty = np.zeros(self.size, np.int8)
        self.columns: dict[str, pa.Array] = {}

    def reject(self, flags: Bools, code: str, column: str) -> None:
        """Reject the flagged rows that nothing is wrong with yet."""
        fresh = flags & (self.fault == 0)
        self.fault[fresh], self.faulty[fresh] = _CODES.index(code) + 1, WORK.names.index(column)

    def source_column(self, name: str) -> pa.Array | None:
        """The raw column for ``name``, row for row of the batch as it came."""
        if name not in self.sources:
            return None
        return self.raw.batch.column(self.raw.batch.schema.names.index(self.sources[name]))

    def text(self, name: str) -> pa.StringArray:
        """The column for ``name`` as trimmed text, null where there is none."""
        if name in self.columns:
            return self.columns[name]
        column = self.source_column(name)
        if column is None:
            return pa.nulls(self.size, pa.string())
        values, lost = cells.as_text(column, self.sources[name], personal=False)
        values = values.take(pa.array(self.at)) if len(self.at) != len(values) else values
        if lost is not None and name in _IDENTIFIERS:
            self.reject(lost[self.at], "digits_lost", name)
        return cells.clean(values, apostrophe=True, null_words=True)

    # -- lists of parcels --------------------------------------------------------------------------------------------

    def expand(self) -> None:
        """Give each parcel of a list (an Arrow list, or the JSON text of one) a row of its own."""
        column = self.source_column("waybill_no")
        if column is None:
            return
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            lists: list[Any] = column.to_pylist()
        elif pa.types.is_string(column.type) and pc.any(pc.starts_with(column, "[")).as_py():
            lists = [_list(text) if text and text.startswith("[") else [text] for text in column.to_pylist()]
        else:
            return
        at: list[int] = []
        numbers: list[str | None] = []
        wrong: list[int] = []
        for row, values in enumerate(lists):
            parcels = _parcels(values)
            if parcels is None or len(at) + len(parcels) > _MOST_IN_BATCH:
                wrong.append(len(at))
                parcels = [None]
            at += [row] * len(parcels)
            numbers += parcels
        self.size, self.at = len(at), np.array(at, np.int64)
        self.fault, self.faulty = np.zeros(self.size, np.int8), np.zeros(self.size, np.int8)
        flags = np.zeros(self.size, np.bool_)
        flags[wrong] = True
        self.reject(flags, "waybill_no.too_many", "waybill_no")
        self.columns["waybill_no"] = cells.clean(pa.array(numbers, pa.string()), apostrophe=True, null_words=True)

    # -- single columns ----------------------------------------------------------------------------------------------

    def identifier(self, name: str) -> None:
        values = self.text(name)
        if pc.any(pc.match_substring_regex(values, _URI, ignore_case=True)).as_py():
            values = _by_distinct(values, from_uri)
        if name == "waybill_no":
            rounded = pc.match_substring_regex(values, _SCIENTIFIC).fill_null(False)
            self.reject(rounded.to_numpy(zero_copy_only=False), "digits_lost", name)
        if cells.may_have_controls(values):
            found = pc.match_substring_regex(values, cells.CONTROLS).fill_null(False)
            self.reject(found.to_numpy(zero_copy_only=False), "control_characters", name)
        self.reject(cells.longer_than(values, LONGEST), "too_long", name)
        if name == "actor" and values.null_count < len(values):
            values = _by_distinct(values, lambda text: CUSTOMER if folded(text) == CUSTOMER else text)
            fits = pc.match_substring_regex(values, _STAFF).fill_null(True)
            self.reject(~fits.to_numpy(zero_copy_only=False), "actor.malformed", name)
        self.columns[name] = values

    def times(self, utc_offset_minutes: int) -> None:
        column = self.source_column("event_time")
        assert column is not None, "recognise_work() sees to it"  # noqa: S101
        if pa.types.is_timestamp(column.type):
            times, bad = timestamps(column, utc_offset_minutes)
            times, bad, given = times[self.at], bad[self.at], column.is_valid().to_numpy(zero_copy_only=False)[self.at]
        else:
            values = self.text("event_time")
            times, bad = read_times(values, utc_offset_minutes)
            given = values.is_valid().to_numpy(zero_copy_only=False)
        self.reject(~given, "event_time.missing", "event_time")
        self.reject(bad, "event_time.malformed", "event_time")
        self.reject(cells.out_of_range(times), "event_time.out_of_range", "event_time")
        self.columns["event_time"] = pa.array(times).cast(pa.timestamp("us", "UTC"))

    def steps(self) -> None:
        codes = _by_distinct(self.text("emsevt"), lambda text: text.upper() if text.upper() in EMSEVT else None)
        coded = _by_distinct(codes, lambda code: EMSEVT[code].value)
        said = _by_distinct(self.text("biz_step"), lambda text: read_step(from_uri(text)))
        vague = pc.equal(said, "")
        steps = pc.if_else(pc.or_kleene(pc.is_null(said), vague.fill_null(False)), coded, said)
        unknown = pc.equal(said, "?").fill_null(False).to_numpy(zero_copy_only=False)
        nothing = steps.is_null().to_numpy(zero_copy_only=False)
        given = self.text("emsevt").is_valid().to_numpy(zero_copy_only=False)
        self.reject(
            unknown | (nothing & (given | vague.fill_null(False).to_numpy(zero_copy_only=False))),
            "biz_step.unknown",
            "biz_step",
        )
        self.reject(nothing, "biz_step.missing", "biz_step")
        for step, needed in NEEDED.items():
            these = pc.equal(steps, step.value).fill_null(False).to_numpy(zero_copy_only=False)
            for name in needed:
                missing = self.columns[name].is_null().to_numpy(zero_copy_only=False)
                self.reject(these & missing, f"{name}.missing", name)
        self.columns["biz_step"], self.columns["emsevt"] = steps, codes

    # -- the result --------------------------------------------------------------------------------------------------

    def finish(self) -> TakenWork:
        keep = np.flatnonzero(self.fault == 0)
        columns = {name: self.columns[name].take(pa.array(keep)) for name in WORK.names}
        if columns["event_id"].null_count:
            columns["event_id"] = pc.coalesce(columns["event_id"], _own_ids(columns))
        batch = pa.RecordBatch.from_arrays([columns[name] for name in WORK.names], schema=WORK)
        rows = np.asarray(self.raw.rows, np.int64)[self.at]
        rejects = list(self.raw.rejects)
        bad = np.flatnonzero(self.fault != 0)
        numbers = self.columns["waybill_no"].take(pa.array(bad)).to_pylist()
        for at, number in zip(bad.tolist(), numbers, strict=True):
            code, name = _CODES[self.fault[at] - 1], WORK.names[self.faulty[at]]
            shown = None if name == "waybill_no" else number
            if shown is not None and (len(shown.encode()) > LONGEST or re.search(r"[\x00-\x1f\x7f-\x9f]", shown)):
                shown = None
            rejects.append(Reject(self.source, int(rows[at]), shown, self.sources.get(name, name), code, REASONS[code]))
        return TakenWork(batch, rows[keep], rejects)


def _by_distinct(values: pa.StringArray, read: Any) -> pa.StringArray:
    """``read`` of each value, called once a distinct one; nulls stay."""
    encoded = values.dictionary_encode()
    return pa.array([read(text) for text in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)


def _list(text: str) -> Any:
    """The value of the JSON text of a list; False for what is none or too long."""
    if len(text) > MOST_IN_LIST * (2 * LONGEST + 8):
        return False
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False


def _parcels(values: Any) -> list[str | None] | None:
    """The numbers in a list of parcels, ``[None]`` for an empty one; None when it is too long or no list of texts."""
    if values is None or values == []:
        return [None]
    if not isinstance(values, list) or len(values) > MOST_IN_LIST:
        return None
    return values if all(value is None or isinstance(value, str) for value in values) else None


def timestamps(column: pa.Array, utc_offset_minutes: int) -> tuple[Index, Bools]:
    """Microseconds since 1970 UTC of an Arrow timestamp column, and where there is none; what is finer is cut off."""
    zoned = column.type.tz is not None
    micros = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64()).fill_null(0)
    times = micros.to_numpy(zero_copy_only=False)
    return times if zoned else times - utc_offset_minutes * 60_000_000, np.zeros(len(times), np.bool_)


def read_times(values: pa.StringArray, utc_offset_minutes: int) -> tuple[Index, Bools]:
    """Microseconds since 1970 UTC of texts, and where they are no time."""
    times, bad = np.zeros(len(values), np.int64), np.zeros(len(values), np.bool_)
    left = values.is_valid().to_numpy(zero_copy_only=False)
    for pattern, zone in ((_ZONED, "UTC"), (_CLOCKED, None)):
        at = np.flatnonzero(left & _matches(values, pattern))
        if at.size:
            try:
                read = values.take(pa.array(at)).cast(pa.timestamp("us", zone)).cast(pa.int64())
            except pa.ArrowInvalid:
                continue  # a 30th of February among them: one by one, below
            times[at] = read.to_numpy(zero_copy_only=False) - (0 if zone else utc_offset_minutes * 60_000_000)
            left[at] = False
    at = np.flatnonzero(left & _matches(values, _EPOCH))
    if at.size:
        times[at] = [_epoch(text) for text in values.take(pa.array(at)).to_pylist()]
        left[at] = False
    at = np.flatnonzero(left)
    if at.size:
        rest = values.take(pa.array(at))
        times[at], bad[at] = cells.parse_times(rest, utc_offset_minutes)
        bad[at] |= _matches(rest, _DATE_ONLY)
    return times, bad


def _matches(values: pa.StringArray, pattern: str) -> Bools:
    found: Bools = pc.match_substring_regex(values, pattern).fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _epoch(text: str) -> int:
    whole, _, fraction = text.partition(".")
    scale = 1_000_000 if len(whole) <= 10 else 1_000 if len(whole) <= 13 else 1
    return int(whole) * scale + (int(fraction.ljust(6, "0")[:6]) if scale == 1_000_000 and fraction else 0)


def _own_ids(columns: dict[str, pa.Array]) -> pa.StringArray:
    """Names for events that have none: a hash of what they say, so that the same row has the same name in every run."""
    parts = [columns["event_time"].cast(pa.int64()).cast(pa.string())]
    parts += [columns[name].fill_null("") for name in WORK.names if name not in ("event_id", "event_time")]
    joined = pc.binary_join_element_wise(*parts, "\0").to_pylist()
    return pa.array([hashlib.blake2b(text.encode(), digest_size=12).hexdigest() for text in joined], pa.string())
