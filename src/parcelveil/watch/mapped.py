"""Rows of another system's access log, taken as access events.

::

    >>> raw = pa.record_batch({"工号": ["cs-1", "张三"], "操作时间": ["2026-11-23 08:15:00"] * 2, "运单号": ["YT1", "YT2"],
    ...                        "操作类型": ["查看", "查看"], "操作结果": ["成功", "成功"]})
    >>> rows = AccessRows("log.csv", raw.schema.names, Cmac(bytes(32)), offset_minutes=480)
    >>> taken = rows.take(RawBatch(raw, np.array([2, 3]), []))
    >>> taken.batch.select(["actor", "waybill_no", "action", "outcome"]).to_pylist()
    [{'actor': 'cs-1', 'waybill_no': 'YT1', 'action': 'reveal', 'outcome': 'ok'}]
    >>> [(reject.row, reject.code) for reject in taken.rejects]
    [(3, 'actor.malformed')]

Make one :class:`AccessRows` a file, and give it the file's rows in order. What the log does not say is taken so: the
action is reveal, the outcome ok, the number of records 1, and what was shown is name, phone and address.

**Event numbers** of the file become keyed hashes of the number and the mapping's ``system``; a row without one gets a hash of
what it says, and of how often the file said that before. So the same row has the same number in every export.

A row that is no access goes to the rejects with a code from :data:`REASONS`. Rows that say that nobody saw anything
(log-ins, uploads, time-outs) are left out and counted. **Nothing personal gets in**: accounts and devices are letters,
digits and ``. _ - / : #``, and no mobile phone number; addresses of the network are cut to their prefix.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.event import ACCESS, CUSTOMER, LONGEST, SEEN_FIELDS, folded
from parcelveil.intake import cells
from parcelveil.intake.work import read_times, timestamps
from parcelveil.seal.siv import Cmac
from parcelveil.watch.access_cells import (
    ACCOUNT,
    DEVICE,
    PHONE,
    by_distinct,
    network_of,
    numbers,
    read_count,
    read_subject,
)
from parcelveil.watch.codes import I64
from parcelveil.watch.mapping import BROKEN, IGNORE, Mapping, read_fields, read_word, recognise_access
from parcelveil.watch.recent import Recent
from parcelveil.waybill import RawBatch, Reject

Bools = npt.NDArray[np.bool_]

#: Reject codes and what they tell the person.
REASONS = {
    "event_time.missing": "the row has no time",
    "event_time.malformed": "the time cannot be read, or is a date only",
    "event_time.out_of_range": "the time is before 2000 or after 2099",
    "received_at.malformed": "the time of receiving cannot be read",
    "actor.missing": "the row does not say whose account it was",
    "actor.malformed": "the account has blanks or other characters that accounts do not have, like those of names",
    "actor.personal": "the account is a mobile phone number, which is personal: map the staff number",
    "actor.customer": "the customer looked at his own parcel",
    "outlet.personal": "the outlet is a mobile phone number, which is personal",
    "waybill_no.personal": "the parcel is a mobile phone number: only searches may be by phone",
    "device.malformed": "the device has blanks or other characters that devices' numbers do not have",
    "device.personal": "the device is a mobile phone number, which is personal: map the device's own number",
    "network.malformed": "the network is no IP address, prefix or number of an autonomous system",
    "waybill_no.missing": "somebody looked, but the row does not say at which parcel",
    "action.unknown": "what was done is in none of the lists of actions",
    "outcome.unknown": "how it ended is in none of the lists of outcomes",
    "records.malformed": "the number of records is no whole number from 1 to 4,294,967,295",
    "subject.malformed": "the recipient's pseudonym is neither 16 hexadecimal digits nor an integer of 17 digits or more",
    "digits_lost": "a number was rounded and its digits are gone",
    "too_long": f"an identifier has more than {LONGEST} bytes",
    "control_characters": "an identifier has control characters",
}
_CODES = tuple(REASONS)
_TEXTS: tuple[str, ...] = (
    "event_id",
    "actor",
    "role",
    "outlet",
    "device",
    "network",
    "channel",
    "action",
    "waybill_no",
    "fields",
)
_TEXTS += ("outcome", "ticket", "subject", "records")
_IDENTIFIERS = ("event_id", "actor", "role", "outlet", "device", "waybill_no", "ticket")
_SCIENTIFIC = r"^[0-9](\.[0-9]+)?[eE]\+?[0-9]+$"
_SHOWN_IN_FULL = SEEN_FIELDS["name"] | SEEN_FIELDS["phone"] | SEEN_FIELDS["address"]


class TakenAccess(NamedTuple):
    """What became of the rows of one raw batch: each is in ``batch``, in ``rejects``, or counted in ``ignored``."""

    batch: pa.RecordBatch  # of schema ACCESS
    rows: npt.NDArray[np.int64]  # row number in the source of each row of ``batch``
    rejects: list[Reject]  # the reader's own first
    ignored: Counter[str]  # rows that are no look ("ignore"), or one that failed ("broken")


class AccessRows:
    """The rows of one file. Raises HeaderError when its columns are no access log's."""

    def __init__(
        self,
        source: str,
        names: Sequence[str],
        numbering: Cmac,
        mapping: Mapping | None = None,
        *,
        offset_minutes: int = 480,
    ) -> None:
        self.mapping = mapping or Mapping()
        self.columns = recognise_access(names, self.mapping)
        self._source, self._numbering, self._recent = source, numbering, Recent()
        own = self.mapping.offset_minutes
        self._offset = offset_minutes if own is None else own

    def take(self, raw: RawBatch) -> TakenAccess:
        """Take the next rows. Raises InputError for a column whose type holds no such values."""
        batch = _Batch(raw, self._source, self.columns, self.mapping, self._offset)
        return batch.finish(self._numbering, self._recent)


class _Batch:
    """One batch on its way. ``fault`` is 0 or, for a rejected row, 1 + the place of its code in REASONS, and ``faulty``
    the column of ours that is to blame."""

    def __init__(
        self, raw: RawBatch, source: str, columns: dict[str, tuple[str, ...]], mapping: Mapping, offset: int
    ) -> None:
        self.raw, self.source, self.sources, self.mapping, self.offset = raw, source, columns, mapping, offset
        self.size = raw.batch.num_rows
        self.fault = np.zeros(self.size, np.int8)
        self.faulty = np.zeros(self.size, np.int8)
        self.left_out = np.zeros(self.size, np.bool_)
        self.ignored: Counter[str] = Counter()
        self.text = {name: self._text(name) for name in _TEXTS}
        self.columns: dict[str, pa.Array] = {}

    def reject(self, flags: Bools | pa.BooleanArray, code: str, column: str) -> None:
        """Reject the flagged rows that nothing is wrong with yet, and that are not left out."""
        marked = flags if isinstance(flags, np.ndarray) else _flags(flags)
        fresh = marked & (self.fault == 0) & ~self.left_out
        self.fault[fresh], self.faulty[fresh] = _CODES.index(code) + 1, ACCESS.names.index(column)

    # -- what the columns say ----------------------------------------------------------------------------------------

    def _source_column(self, name: str) -> pa.Array:
        return self.raw.batch.column(self.raw.batch.schema.names.index(name))

    def _text(self, target: str) -> pa.StringArray:
        """The column for ``target`` as trimmed text, the constant where nothing else is said, else null."""
        found: pa.StringArray = pa.nulls(self.size, pa.string())
        for name in self.sources.get(target, ()):
            values, lost = cells.as_text(self._source_column(name), name, personal=False)
            if lost is not None and target in _IDENTIFIERS:
                self.reject(lost & _flags(found.is_null()), "digits_lost", target)
            values = cells.clean(values, apostrophe=True, null_words=True)
            found = values if found.null_count == self.size else pc.coalesce(found, values)
        if target in self.mapping.constants:
            found = found.fill_null(self.mapping.constants[target])
        return found

    def _words(self, target: str, default: str, unknown: str) -> None:
        """Translate the words of ``target``; rows whose word is in no list are rejected with ``unknown``."""
        said = by_distinct(self.text[target], lambda text: read_word(target, text, self.mapping) or "?")
        self.reject(pc.equal(said, "?").fill_null(False), unknown, target)
        for word in (IGNORE, BROKEN):
            these = _flags(pc.equal(said, word).fill_null(False)) & ~self.left_out & (self.fault == 0)
            if these.any():
                self.ignored[word] += int(these.sum())
                self.left_out |= these
        self.columns[target] = said.fill_null(default)

    def _times(self, target: str) -> None:
        sources = self.sources.get(target, ())
        if not sources and target not in self.mapping.constants:
            self.columns[target] = pa.nulls(self.size, ACCESS.field(target).type)
            return
        first = self._source_column(sources[0]) if sources else None
        if first is not None and len(sources) == 1 and pa.types.is_timestamp(first.type):
            times, bad = timestamps(first, self.offset)
            given = _flags(first.is_valid())
        else:
            parts = [
                cells.clean(cells.as_text(self._source_column(name), name, personal=False)[0], null_words=True)
                for name in sources
            ] or [pa.nulls(self.size, pa.string()).fill_null(self.mapping.constants.get(target, ""))]
            values = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, " ")
            times, bad = self._read_times(values)
            given = _flags(values.is_valid())
        if target == "event_time":
            self.reject(~given, "event_time.missing", target)
            self.reject(bad, "event_time.malformed", target)
            self.reject(cells.out_of_range(times), "event_time.out_of_range", target)
        else:
            self.reject(given & (bad | cells.out_of_range(times)), "received_at.malformed", target)
        self.columns[target] = pa.array(times, mask=~given).cast(ACCESS.field(target).type)

    def _read_times(self, values: pa.StringArray) -> tuple[I64, Bools]:
        form = self.mapping.time_format
        if form is None:
            return read_times(values, self.offset)

        def read(text: str) -> int | None:
            try:
                moment = datetime.strptime(text[:80], form)
                seconds = moment.timestamp() if moment.tzinfo else (moment - _EPOCH).total_seconds() - self.offset * 60
            except (ValueError, OverflowError):
                return None
            return round(seconds * 1_000_000)

        return numbers(values, read)

    # -- column by column --------------------------------------------------------------------------------------------

    def _identifier(self, name: str) -> None:
        values = self.text[name]
        if values.null_count == self.size:
            return
        if name == "waybill_no":
            self.reject(_like(values, _SCIENTIFIC), "digits_lost", name)
        if cells.may_have_controls(values):
            self.reject(_like(values, cells.CONTROLS), "control_characters", name)
        self.reject(cells.longer_than(values, LONGEST), "too_long", name)

    def _who(self) -> None:
        actors, devices = self.text["actor"], self.text["device"]
        self.reject(actors.is_null(), "actor.missing", "actor")
        if pc.any(pc.match_substring_regex(actors, "客户|customer", ignore_case=True)).as_py():
            own = by_distinct(actors, lambda text: "y" if folded(text) == CUSTOMER else "n")
            self.reject(pc.equal(own, "y").fill_null(False), "actor.customer", "actor")
        for name in ("actor", "device", "outlet"):
            self.reject(_like(self.text[name], PHONE), f"{name}.personal", name)
        self.reject(_unlike(actors, ACCOUNT), "actor.malformed", "actor")
        self.reject(_unlike(devices, DEVICE), "device.malformed", "device")
        roles = by_distinct(self.text["role"], lambda text: read_word("role", text, self.mapping))
        networks = by_distinct(self.text["network"], lambda text: network_of(text) or "?")
        self.reject(pc.equal(networks, "?").fill_null(False), "network.malformed", "network")
        nowhere = pc.equal(networks, "-").fill_null(False)
        self.columns |= {"actor": actors, "device": devices, "role": roles}
        self.columns["network"] = pc.if_else(nowhere, pa.scalar(None, pa.string()), networks)
        outlets = self.mapping.values.get("outlet")
        self.columns["outlet"] = self.text["outlet"]
        if outlets:
            self.columns["outlet"] = by_distinct(
                self.text["outlet"], lambda text: read_word("outlet", text, self.mapping) or text
            )

    def _what(self) -> None:
        self._words("action", "reveal", "action.unknown")
        self._words("outcome", "ok", "outcome.unknown")
        self.columns["channel"] = by_distinct(
            self.text["channel"], lambda text: read_word("channel", text, self.mapping) or "other"
        )
        # A search by phone is a search without a parcel; the phone goes no further.
        phones = _like(self.text["waybill_no"], PHONE)
        if phones.any():
            searched = _flags(pc.is_in(self.columns["action"], value_set=pa.array(["search", "list"])))
            self.reject(phones & ~searched, "waybill_no.personal", "waybill_no")
            blank = pa.scalar(None, pa.string())
            self.text["waybill_no"] = pc.if_else(pa.array(phones), blank, self.text["waybill_no"])
        parcels = self.text["waybill_no"]
        seen = pc.and_(
            pc.is_in(self.columns["action"], value_set=pa.array(["reveal", "print"])),
            pc.equal(self.columns["outcome"], "ok"),
        )
        self.reject(pc.and_(parcels.is_null(), seen), "waybill_no.missing", "waybill_no")
        self.columns |= {"waybill_no": parcels, "ticket": self.text["ticket"]}
        counts, bad = numbers(self.text["records"], read_count)
        self.reject(bad, "records.malformed", "records")
        fields, _ = numbers(self.text["fields"], lambda text: read_fields(text, self.mapping))
        fields[_flags(self.text["fields"].is_null())] = _SHOWN_IN_FULL
        self.columns["records"] = pa.array(np.maximum(np.where(bad, 1, counts), 1).astype(np.uint32))
        self.columns["fields"] = pa.array(fields.astype(np.uint16))
        subjects, bad = numbers(self.text["subject"], read_subject)
        self.reject(bad, "subject.malformed", "subject")
        self.columns["subject"] = pa.array(subjects.view(np.uint64), mask=_flags(self.text["subject"].is_null()) | bad)

    # -- the result --------------------------------------------------------------------------------------------------

    def finish(self, numbering: Cmac, recent: Recent) -> TakenAccess:
        self._what()
        for name in _IDENTIFIERS:
            self._identifier(name)
        self._who()
        self._times("event_time")
        self._times("received_at")
        keep = np.flatnonzero((self.fault == 0) & ~self.left_out)
        columns = {name: column.take(pa.array(keep)) for name, column in self.columns.items()}
        columns["event_id"] = self._ids(columns, self.text["event_id"].take(pa.array(keep)), numbering, recent)
        batch = pa.RecordBatch.from_arrays([columns[name] for name in ACCESS.names], schema=ACCESS)
        rows = np.asarray(self.raw.rows, np.int64)
        rejects = list(self.raw.rejects)
        bad = np.flatnonzero((self.fault != 0) & ~self.left_out)
        numbers = self.text["waybill_no"].take(pa.array(bad)).to_pylist()
        for at, number in zip(bad.tolist(), numbers, strict=True):
            code, name = _CODES[self.fault[at] - 1], ACCESS.names[self.faulty[at]]
            theirs = self.sources.get(name, (name,))[0]
            rejects.append(Reject(self.source, int(rows[at]), _shown(number, name), theirs, code, REASONS[code]))
        return TakenAccess(batch, rows[keep], rejects, self.ignored)

    def _ids(
        self, columns: dict[str, pa.Array], given: pa.StringArray, numbering: Cmac, recent: Recent
    ) -> pa.UInt64Array:
        """Numbers of events: hashes of the system's own, or of what the row says and how often it was said before."""

        def hashed(texts: pa.StringArray) -> npt.NDArray[np.uint64]:
            return numbering.column(texts).view(np.uint64)[:, 0].copy()

        system = self.mapping.system
        if given.null_count == 0:
            return pa.array(hashed(pc.binary_join_element_wise("id", system, given, "\0")))
        times = np.asarray(columns["event_time"].cast(pa.int64()))
        parts = [
            column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in columns.values()
        ]
        texts = [column.cast(pa.string()).fill_null("") for column in parts]
        own = hashed(pc.binary_join_element_wise("row", system, *texts, "\0"))
        bare = np.flatnonzero(_flags(given.is_null()))
        before = np.zeros(len(own), np.int32)
        before[bare] = recent.before(own[bare].view(np.int64), times[bare])
        again = np.flatnonzero(before)
        if again.size:
            repeats = [f"{number}\0{count}" for number, count in zip(own[again].tolist(), before[again], strict=True)]
            own[again] = hashed(pa.array(repeats, pa.string()))
        named = hashed(pc.binary_join_element_wise("id", system, given.fill_null(""), "\0"))
        return pa.array(np.where(_flags(given.is_null()), own, named))


_EPOCH = datetime(1970, 1, 1)


def _shown(number: str | None, blamed: str) -> str | None:
    """The waybill number that a reject may carry: what looks like one, and never what stands in for it."""
    return (
        number
        if number is not None and blamed != "waybill_no" and re.fullmatch(r"[A-Za-z]{1,4}\d{1,20}", number)
        else None
    )


def _flags(column: pa.BooleanArray) -> Bools:
    found: Bools = column.to_numpy(zero_copy_only=False)
    return found


def _like(values: pa.StringArray, pattern: str) -> Bools:
    return _flags(pc.match_substring_regex(values, pattern).fill_null(False))


def _unlike(values: pa.StringArray, pattern: str) -> Bools:
    return ~_flags(pc.match_substring_regex(values, pattern).fill_null(True))
