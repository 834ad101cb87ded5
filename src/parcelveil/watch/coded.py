"""Events as integers: what all of ``watch`` and ``trace`` calculates with.

::

    coder = Coder(key)                               # 32 secret bytes: parcels become keyed pseudonyms
    accesses = coder.accesses(batch)                 # ACCESS -> CODED_ACCESS
    works = coder.works(batch)                       # WORK, with or without received_at -> CODED_WORK
    coder.names["actor"].text(accesses["actor"])     # and back

**Names** (accounts, outlets, devices, networks, routes, tickets) get a code by order of appearance, -1 for none; the
same rows give the same codes however they are cut into batches or encoded. Accounts, roles and outlets are
:func:`~parcelveil.event.folded` before. A look of nobody, or of the customer himself, is left out and counted. A
**parcel** becomes the first eight bytes of an AES-CMAC under the key, as a signed integer, never 0; 0 says that there is
none; small letters and blanks around the number make no difference. Its ``serial`` is the number that it was issued under (digits of the waybill number, without letters and check
digit; -1 where it has none), so that walking through numbers stays visible after the pseudonym.

**Times** are microseconds since 1970. Clocks are off: a look counts at its own time only if that lies between twelve
hours before it was received and :data:`AHEAD` after, else at the time it was received; work counts at its own time
unless that lies more than an hour after it was received.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parcelveil.errors import KeyAccessError
from parcelveil.event import ACCESS, ACCOUNT, CUSTOMER, RECEIVED_AT, WORK, BizStep, folded
from parcelveil.seal.passes import buffers
from parcelveil.seal.siv import Cmac
from parcelveil.watch.coded_pass import serials
from parcelveil.watch.codes import I32, I64, NOBODY, Codes

HOUR = 3_600_000_000
DAY = 24 * HOUR
#: A look may be told of so much later. A day is settled when this has passed after its end.
GRACE = 12 * HOUR
#: A clock may be so much ahead.
AHEAD = 5 * 60_000_000

#: Codes of ``action``, ``outcome`` and ``channel``; what is none of them is the last.
ACTIONS = ("reveal", "search", "list", "export", "print", "other")
OUTCOMES = ("ok", "denied", "notfound", "other")
CHANNELS = ("app", "web", "api", "export", "label", "track", "other")

_I64, _I32, _I16, _I8 = pa.int64(), pa.int32(), pa.int16(), pa.int8()

CODED_ACCESS = pa.schema(
    [
        ("id", _I64),  # event_id, reinterpreted as signed
        ("time", _I64),
        ("received", _I64),
        ("actor", _I32),
        ("role", _I32),
        ("outlet", _I32),
        ("device", _I32),
        ("network", _I32),
        ("channel", _I8),
        ("action", _I8),
        ("outcome", _I8),
        ("fields", _I16),
        ("records", _I32),
        ("waybill", _I64),
        ("serial", _I64),
        ("subject", _I64),  # 0: not known
        ("ticket", _I32),
    ]
)

CODED_WORK = pa.schema(
    [
        ("id", _I64),  # a hash of event_id
        ("time", _I64),
        ("received", _I64),
        ("step", _I8),  # place in BizStep, from 1
        ("waybill", _I64),
        ("outlet", _I32),
        ("to_outlet", _I32),
        ("route", _I32),
        ("actor", _I32),  # code among the accounts; CUSTOMER_CODE: the customer
        ("device", _I32),
        ("ticket", _I32),
    ]
)
#: ``actor`` of work that the customer did himself.
CUSTOMER_CODE = -2

#: A time of an account that the register does not tell.
NEVER = np.iinfo(np.int64).min

_KEY_BYTES = 32
_MICROS = pa.timestamp("us", "UTC")
_STEPS = tuple(step.value for step in BizStep)
_FOLDED = {"actor", "role", "outlet", "region", "owner"}
_NAMES = ("actor", "role", "outlet", "device", "network", "route", "ticket", "region", "owner")


class Accounts(NamedTuple):
    """The register of accounts; each array has one value an account code."""

    known: npt.NDArray[np.bool_]  # whether the register has the account
    role: I32
    outlet: I32
    region: I32
    owner: I32
    opened_at: I64  # microseconds since 1970, NEVER where not told; so the next two
    changed_at: I64
    leaves_at: I64
    shift_start: npt.NDArray[np.int16]  # minutes of the local day, -1: none
    shift_end: npt.NDArray[np.int16]

    def sized(self, accounts: int) -> Accounts:
        """The same for the codes below ``accounts``: nothing is known of those that came later."""
        more = max(0, accounts - len(self.known))
        arrays: list[Any] = list(self)
        parts = [
            np.concatenate([array, np.full(more, empty, array.dtype)])[:accounts]
            for array, empty in zip(arrays, _UNKNOWN, strict=True)
        ]
        return Accounts(*parts)


def outlet_regions(register: Accounts) -> I32:
    """The region of each outlet by its code: that which most of its accounts have; -1 where no account tells one.

    Of regions that equally many have, the one with the lowest code.
    """
    told = (register.outlet >= 0) & (register.region >= 0)
    outlets = int(register.outlet.max(initial=-1)) + 1
    result = np.full(outlets, -1, np.int32)
    if told.any():
        regions = int(register.region.max()) + 1
        pairs, counts = np.unique(
            register.outlet[told].astype(np.int64) * regions + register.region[told], return_counts=True
        )
        order = np.lexsort((-pairs, counts))  # ascending: what is written last stays
        result[pairs[order] // regions] = pairs[order] % regions
    return result


_UNKNOWN = (False, -1, -1, -1, -1, NEVER, NEVER, NEVER, -1, -1)
_KINDS = (np.bool_, *[np.int32] * 4, *[np.int64] * 3, np.int16, np.int16)
#: The register of who has none.
UNREGISTERED = Accounts(*(np.zeros(0, kind) for kind in _KINDS))


class Coder:
    """Codes events under ``key``. Keeps the names, and counts what was wrong with clocks and accounts.

    Raises KeyAccessError when ``key`` is not of 32 bytes. Its ``repr`` shows no key. ``offset_minutes`` is the carrier's
    local time, for who reads days off the times; ``decoy`` says which waybill numbers are decoys. For one thread.
    """

    def __init__(
        self,
        key: bytes,
        *,
        offset_minutes: int = 480,
        decoy: Callable[[pa.StringArray], npt.NDArray[np.bool_]] | None = None,
    ) -> None:
        if len(key) != _KEY_BYTES:
            raise KeyAccessError(
                "the key of pseudonyms has {count} bytes, not {limit}", count=len(key), limit=_KEY_BYTES
            )
        self.offset_minutes = offset_minutes
        self.names = {
            name: Codes(folded if name in _FOLDED else None, {CUSTOMER: CUSTOMER_CODE} if name == "actor" else None)
            for name in _NAMES
        }
        self._decoy = decoy
        self.decoys: set[int] = set()  # pseudonyms of the decoys that were looked at
        self.clocks_off = 0  # looks and work that count at the time they were received
        self.nobody = 0  # looks without an account
        self.customers = 0  # looks of the customer himself
        #: What numbers events and addresses that have none of their own that may be shown.
        self.numbering = _derived(key, b"number")
        self._waybills, self._events = _derived(key, b"waybill"), _derived(key, b"event")

    def __repr__(self) -> str:
        return f"<Coder of {len(self.names['actor'])} accounts>"

    def accesses(self, events: pa.RecordBatch | pa.Table) -> pa.Table:
        """Events of schema ACCESS as CODED_ACCESS, row for row but for those of nobody and of the customer himself.

        Text columns may be dictionary-encoded. Raises KeyError for a column that is missing.
        """
        return _of_batches(events, ACCESS, CODED_ACCESS, self._accesses)

    def works(self, events: pa.RecordBatch | pa.Table) -> pa.Table:
        """Events of schema WORK, with or without ``received_at``, as CODED_WORK, row for row.

        A step that is none is 0. Raises KeyError for a column that is missing.
        """
        return _of_batches(events, WORK, CODED_WORK, self._works)

    def accounts(self, register: pa.RecordBatch | pa.Table) -> Accounts:
        """A register of schema ACCOUNT by account code; of several rows of one account the last counts."""
        table = pa.table(register) if isinstance(register, pa.RecordBatch) else register
        table = table.select(ACCOUNT.names).combine_chunks()
        column = {name: _whole(table[name]) for name in ACCOUNT.names}
        actors = self.names["actor"].codes(column["actor"])
        size = len(self.names["actor"])
        rows = np.flatnonzero(actors >= 0)

        def by_code(values: npt.NDArray[np.generic], empty: int) -> npt.NDArray[np.generic]:
            out = np.full(size, empty, values.dtype)
            out[actors[rows]] = values[rows]
            return out

        def times(name: str) -> npt.NDArray[np.generic]:
            return by_code(_micros(column[name], NEVER), NEVER)

        def minutes(name: str) -> npt.NDArray[np.generic]:
            return by_code(np.asarray(column[name].cast(pa.int16()).fill_null(-1)), -1)

        known = np.zeros(size, np.bool_)
        known[actors[rows]] = True
        named = [by_code(self.names[name].codes(column[name]), -1) for name in ("role", "outlet", "region", "owner")]
        moments = [times(name) for name in ("opened_at", "changed_at", "leaves_at")]
        shifts = [minutes(name) for name in ("shift_start", "shift_end")]
        return Accounts(known, *named, *moments, *shifts)  # type: ignore[arg-type]

    def waybills(self, numbers: pa.Array) -> tuple[I64, I64]:
        """Pseudonym (0: none) and serial (-1: none) of each waybill number of a string or dictionary array."""
        if pa.types.is_dictionary(numbers.type):
            pseudonyms, found = self.waybills(numbers.dictionary)
            index = np.asarray(numbers.indices.cast(pa.int64()).fill_null(-1))
            return np.append(pseudonyms, 0).take(index), np.append(found, -1).take(index)
        if pa.types.is_null(numbers.type) or numbers.null_count == len(numbers):
            return np.zeros(len(numbers), np.int64), np.full(len(numbers), -1, np.int64)
        numbers = _text(numbers)
        found, otherwise = serials(*buffers(numbers))
        if otherwise:
            numbers = pc.ascii_upper(pc.utf8_trim_whitespace(numbers))
        pseudonyms = first_eight(self._waybills, numbers)
        none = np.diff(buffers(numbers)[0]) == 0
        if numbers.null_count:
            none |= ~np.asarray(numbers.is_valid())
        pseudonyms[none], found[none] = 0, -1
        return pseudonyms, found

    def _accesses(self, batch: Mapping[str, pa.Array]) -> list[npt.NDArray[np.generic]]:
        time, received = self._clock(batch, 12 * HOUR, AHEAD)
        waybill, serial = self.waybills(batch["waybill_no"])
        if self._decoy is not None:
            numbers = batch["waybill_no"]
            numbers = numbers.dictionary_decode() if pa.types.is_dictionary(numbers.type) else _text(numbers)
            self.decoys.update(waybill[self._decoy(numbers)].tolist())
        actor = self.names["actor"].codes(batch["actor"])
        columns: list[npt.NDArray[np.generic]] = [
            np.asarray(batch["event_id"].cast(pa.uint64())).view(np.int64),
            time,
            received,
            actor,
            *(self.names[name].codes(batch[name]) for name in ("role", "outlet", "device", "network")),
            *(_listed(batch[f"{name}"], texts) for name, texts in _LISTED.items()),
            np.asarray(batch["fields"].cast(pa.uint16()).fill_null(0)).view(np.int16),
            np.minimum(np.asarray(batch["records"].cast(pa.int64()).fill_null(1)), _MOST_RECORDS).astype(np.int32),
            waybill,
            serial,
            np.asarray(batch["subject"].cast(pa.uint64()).fill_null(0)).view(np.int64),
            self.names["ticket"].codes(batch["ticket"]),
        ]
        if actor.min(initial=0) >= 0:
            return columns
        self.nobody += int((actor == NOBODY).sum())
        self.customers += int((actor == CUSTOMER_CODE).sum())
        return [column[actor >= 0] for column in columns]

    def _works(self, batch: Mapping[str, pa.Array]) -> list[npt.NDArray[np.generic]]:
        time, received = self._clock(batch, None, HOUR)
        codes = {name: self.names[name] for name in ("outlet", "actor", "device", "ticket")}
        return [
            first_eight(self._events, _text(batch["event_id"])),
            time,
            received,
            _listed(batch["biz_step"], _STEPS, first=1, other=0),
            self.waybills(batch["waybill_no"])[0],
            codes["outlet"].codes(batch["outlet"]),
            codes["outlet"].codes(batch["to_outlet"]),
            self.names["route"].codes(batch["route_id"]),
            *(codes[name].codes(batch[name]) for name in ("actor", "device", "ticket")),
        ]

    def _clock(self, batch: Mapping[str, pa.Array], behind: int | None, ahead: int) -> tuple[I64, I64]:
        """The times at which rows count, and at which they were received."""
        own = _micros(batch["event_time"], 0)
        if batch["received_at"].null_count == len(own):
            return own, own
        received = _micros(batch["received_at"], NEVER)
        received = np.where(received == NEVER, own, received)
        off = own > received + ahead
        if behind is not None:
            off |= own < received - behind
        count = int(off.sum())
        self.clocks_off += count
        return np.where(off, received, own) if count else own, received


_MOST_RECORDS = np.iinfo(np.int32).max
_LISTED = {"channel": CHANNELS, "action": ACTIONS, "outcome": OUTCOMES}


def pseudonym_text(waybill: int) -> str:
    """A parcel's pseudonym as alerts write it: 16 hexadecimal digits.

    >>> pseudonym_text(-1), pseudonym_text(258)
    ('ffffffffffffffff', '0000000000000102')
    """
    return f"{waybill & 0xFFFF_FFFF_FFFF_FFFF:016x}"


def _derived(key: bytes, label: bytes) -> Cmac:
    return Cmac(HKDF(SHA256(), 32, salt=None, info=b"parcelveil v1 watch " + label).derive(key))


def _of_batches(
    events: pa.RecordBatch | pa.Table,
    schema: pa.Schema,
    coded: pa.Schema,
    made: Callable[[Mapping[str, pa.Array]], list[npt.NDArray[np.generic]]],
) -> pa.Table:
    batches = [events] if isinstance(events, pa.RecordBatch) else events.to_batches()
    parts = []
    for batch in batches:
        columns = {name: batch[name] for name in schema.names if name != RECEIVED_AT.name}
        given = RECEIVED_AT.name in batch.schema.names
        columns[RECEIVED_AT.name] = batch[RECEIVED_AT.name] if given else pa.nulls(batch.num_rows, RECEIVED_AT.type)
        arrays = [pa.array(array, field.type) for array, field in zip(made(columns), coded, strict=True)]
        parts.append(pa.RecordBatch.from_arrays(arrays, schema=coded))
    return pa.Table.from_batches(parts, schema=coded)


def _micros(column: pa.Array, empty: int) -> I64:
    return np.asarray(column.cast(_MICROS, safe=False).cast(pa.int64()).fill_null(empty))


def _text(column: pa.Array) -> pa.StringArray:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.unify_dictionaries().chunks)


def first_eight(mac: Cmac, values: pa.StringArray | pa.BinaryArray) -> I64:
    """The first eight bytes of each value's CMAC, big-endian, as a signed integer; never 0."""
    halves = mac.column(values).view(np.uint64)[:, 0].byteswap().view(np.int64)
    return np.where(halves == 0, 1, halves)


def _listed(
    column: pa.Array, texts: tuple[str, ...], *, first: int = 0, other: int | None = None
) -> npt.NDArray[np.int8]:
    """The place of each value in ``texts``, counted from ``first``; ``other``, or the last place, for what is none."""
    empty = np.int8(len(texts) - 1 + first if other is None else other)
    if pa.types.is_null(column.type):
        return np.full(len(column), empty, np.int8)
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    code = {text: place + first for place, text in enumerate(texts)}
    places = np.array([code.get(text, empty) for text in encoded.dictionary.to_pylist()] + [empty], np.int8)
    return places.take(np.asarray(encoded.indices.cast(pa.int64()).fill_null(-1)))
