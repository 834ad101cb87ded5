"""Seal and open whole batches: ``RecordBatch`` in, ``RecordBatch`` out, no IO.

::

    sealed = seal_batch(batch, keys)        # batch follows WAYBILL, sealed follows SEALED
    clear = open_batch(sealed, keys)        # all or nothing
    clear, status = open_rows(sealed, keys) # row by row, with a reason for each row that stays shut

A sealed value is ``suite | epoch | revision | (tag | ciphertext) XOR pad``: AES-SIV of the value padded to a
length bucket, under the pad that the waybill's leaf makes. ``docs/format/sealed-value.md`` has every byte.

Sealing is deterministic: the same batch under the same keys gives the same bytes, whatever the tile size or
the number of threads. Which columns are personal is read from the schema's metadata.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import AuthenticityError, EpochError, InputError
from parcelveil.seal.epoch import SUITE, Epoch, day_of, field_tweak
from parcelveil.seal.mask import mask_column
from parcelveil.seal.passes import (
    buffers,
    clear_lengths,
    cover,
    from_buffers,
    pad_rows,
    read_rows,
    uncover,
    write_clear,
    write_sealed,
)
from parcelveil.seal.pseudonym import Pseudonyms
from parcelveil.seal.siv import BLOCK, Bytes2D, words, xor
from parcelveil.seal.token import LabelKeys
from parcelveil.seal.tree import leaf_of_row
from parcelveil.waybill import (
    LABEL_TOKEN,
    has_pseudonym,
    kind_of,
    mask_name,
    personal_fields,
    pseudonym_name,
    sealed_schema,
)

HEADER = struct.Struct(">BIH")
TAG = BLOCK
OVERHEAD = HEADER.size + TAG

#: Padded lengths. A value of n bytes takes the smallest bucket above n, for one byte marks its end.
BUCKETS = np.array([16, 32, 48, 64, *(step << shift for shift in range(10) for step in (96, 128))], dtype=np.int64)
MAX_VALUE = 65_535
#: Which bucket a value of so many bytes takes.
_BUCKET_OF = np.searchsorted(BUCKETS, np.arange(MAX_VALUE + 1), side="right").astype(np.uint8)
_SEALED_SIZE = (BUCKETS + OVERHEAD).astype(np.int32)
#: Whether a sealed value can have so many bytes; the last entry stands for all that are longer.
_SHAPED = np.zeros(_SEALED_SIZE[-1] + 2, dtype=bool)
_SHAPED[_SEALED_SIZE] = True

#: Rows worked on at a time: the tiles of a 64-byte column then stay inside a core's second-level cache.
TILE = 8192

# Why a row does not open.
OK, ERASED, TAMPERED, NO_EPOCH, MALFORMED = range(5)
STATUS_TEXT = {
    OK: "open",
    ERASED: "waybill was erased",
    TAMPERED: "value was changed or moved",
    NO_EPOCH: "epoch is unknown or was destroyed",
    MALFORMED: "not a sealed value of version 1",
}


class SealKeys(NamedTuple):
    """What the kernel needs of a key ring. ``epochs`` by epoch number; ``current`` says which one seals a day."""

    tenant: str
    epochs: Mapping[int, Epoch]
    current: Mapping[int, int]  # days since 1970-01-01 in the tenant's time zone -> epoch number
    pseudonyms: Pseudonyms
    utc_offset_minutes: int = 480
    default_day: int = 0  # for waybills that carry no time of their own
    meter: Callable[[int], None] | None = None  # is told how many values are about to be opened, and may refuse
    labels: LabelKeys = LabelKeys({})  # for sealing only


def days_of(batch: pa.RecordBatch, utc_offset_minutes: int, default_day: int) -> npt.NDArray[np.int32]:
    """The local day (days since 1970-01-01) whose epoch seals each row: of ``created_at``, or ``default_day``."""
    micros = np.asarray(batch["created_at"].cast(pa.int64()).fill_null(np.iinfo(np.int64).min))
    days = (micros + utc_offset_minutes * 60_000_000) // 86_400_000_000
    return np.where(micros == np.iinfo(np.int64).min, default_day, days).astype(np.int32)


def seal_batch(batch: pa.RecordBatch, keys: SealKeys, *, tile: int = TILE) -> pa.RecordBatch:
    """Seal every personal column of ``batch``, and add the tokens for labels.

    Raises :class:`EpochError` when a row's epoch is not in ``keys`` or its number was erased
    (ask :func:`sealable` first), :class:`InputError` when a value is longer than 65,535 bytes.
    """
    days = days_of(batch, keys.utc_offset_minutes, keys.default_day)
    starts = range(0, batch.num_rows, tile)
    tiles = [_seal_tile(batch.slice(start, tile), days[start : start + tile], keys) for start in starts]
    columns: list[pa.Array] = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        kind = kind_of(field)
        if kind is None:
            columns.append(column)
            continue
        columns.append(_joined([part[field.name] for part in tiles], pa.binary()))
        columns.append(mask_column(column, kind))
        if has_pseudonym(field):
            columns.append(keys.pseudonyms.of_column(batch, field.name, days))
    columns.append(keys.labels.tokens(batch["waybill_no"], days))
    return pa.RecordBatch.from_arrays(columns, schema=sealed_schema(batch.schema, keys.tenant))


def sealable(batch: pa.RecordBatch, keys: SealKeys) -> npt.NDArray[np.uint8]:
    """For each row ``OK``, ``NO_EPOCH`` (its day's epoch was destroyed) or ``ERASED`` (its number was erased that day)."""
    days = days_of(batch, keys.utc_offset_minutes, keys.default_day)
    status = np.full(batch.num_rows, NO_EPOCH, dtype=np.uint8)
    for day in np.unique(days):
        number = keys.current.get(int(day))
        if number is not None:
            epoch, rows = keys.epochs[number], np.flatnonzero(days == day)
            alive = epoch.tree.alive(epoch.paths(batch["waybill_no"].take(pa.array(rows))))
            status[rows] = np.where(alive, OK, ERASED)
    return status


class _Rows(NamedTuple):
    """The rows of a tile that share an epoch, with everything about them that no column changes."""

    epoch: Epoch
    places: npt.NDArray[np.int64] | None  # None: all rows of the tile
    revisions: npt.NDArray[np.uint16]
    leaves: Bytes2D
    prefix: Bytes2D
    alive: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        epoch: Epoch,
        numbers: pa.Array,
        revisions: npt.NDArray[np.uint16],
        places: npt.NDArray[np.int64] | None,
    ) -> _Rows:
        if places is not None:
            numbers, revisions = numbers.take(pa.array(places)), revisions[places]
        leaves, alive = epoch.tree.leaves(epoch.paths(numbers))
        return cls(
            epoch, places, revisions, leaf_of_row(leaves, revisions), epoch.row_prefix(numbers, revisions), alive
        )

    def at(self, chosen: npt.NDArray[np.int64]) -> _Rows:
        """The rows at these places only."""
        if len(chosen) == len(self.leaves):
            return self
        return self._replace(
            revisions=self.revisions[chosen],
            leaves=self.leaves.take(chosen, axis=0),
            prefix=self.prefix.take(chosen, axis=0),
            alive=self.alive[chosen],
        )


def _seal_tile(tile: pa.RecordBatch, days: npt.NDArray[np.int32], keys: SealKeys) -> dict[str, pa.Array]:
    revisions = _revisions(tile)
    groups: list[_Rows] = []
    for day in np.unique(days):
        number = keys.current.get(int(day))
        if number is None:
            raise EpochError("no epoch is open for {day}", day=day_of(int(day) << 12).isoformat())
        index = None if (days == day).all() else np.flatnonzero(days == day)
        rows = _Rows.of(keys.epochs[number], tile["waybill_no"], revisions, index)
        if not rows.alive.all():
            raise EpochError("{count} waybill numbers of the batch were erased", count=int((~rows.alive).sum()))
        groups.append(rows)
    return {field.name: _seal_column(field.name, tile[field.name], groups) for field in personal_fields(tile.schema)}


def _seal_column(field: str, column: pa.Array, groups: Sequence[_Rows]) -> pa.Array:
    """The sealed form of one personal column of a tile: ``binary``, null where the value is null."""
    offsets, data = buffers(column)
    lengths = np.diff(offsets)
    valid = np.asarray(column.is_valid()) if column.null_count else np.ones(len(column), dtype=bool)
    if lengths.max(initial=0) > MAX_VALUE:
        raise InputError("a value of column {field} is longer than {limit} bytes", field=field, limit=MAX_VALUE)
    bucket = _BUCKET_OF[lengths]
    starts = np.zeros(len(column) + 1, dtype=np.int32)
    np.cumsum(np.where(valid, _SEALED_SIZE[bucket], 0), out=starts[1:])
    out = np.empty(starts[-1], dtype=np.uint8)
    for rows in groups:
        mine, present = (bucket, valid) if rows.places is None else (bucket[rows.places], valid[rows.places])
        for which in np.flatnonzero(np.bincount(mine[present])):
            chosen = np.flatnonzero((mine == which) & present)
            place = chosen if rows.places is None else rows.places[chosen]
            padded = pad_rows(offsets, data, place, int(BUCKETS[which]), True)
            _seal_values(field, padded, rows.at(chosen), out, starts[place])
    return from_buffers(starts, out, valid, pa.binary())


def _seal_values(
    field: str, padded: Bytes2D, rows: _Rows, out: npt.NDArray[np.uint8], starts: npt.NDArray[np.int32]
) -> None:
    """Seal padded values of one bucket and epoch, and write them at ``starts`` of ``out``."""
    epoch = rows.epoch
    tags, keystream = epoch.siv.seal_rows(xor(rows.prefix, epoch.field_prefix(field)), padded)
    pad = epoch.tree.pads(rows.leaves, field_tweak(field), 1 + padded.shape[1] // BLOCK)
    header = np.frombuffer(HEADER.pack(SUITE, epoch.header.epoch, 0)[:-2], dtype=np.uint8)
    cover(words(pad), words(tags), words(padded), words(keystream))
    write_sealed(out, starts, header, rows.revisions, pad)
    padded.fill(0)


def open_batch(batch: pa.RecordBatch, keys: SealKeys, *, fields: Sequence[str] | None = None) -> pa.RecordBatch:
    """Open every personal column (or only ``fields``; the others come back null).

    All or nothing: raises :class:`AuthenticityError`, and releases nothing of the batch, when any value was
    changed or moved, :class:`EpochError` when any row was erased or its epoch is gone.
    """
    clear, status = open_rows(batch, keys, fields=fields)
    worst = int(status.max(initial=OK))
    if worst == OK:
        return clear
    count = int((status != OK).sum())
    if worst in (TAMPERED, MALFORMED):
        raise AuthenticityError("{count} of the batch's rows hold values that were changed or moved", count=count)
    raise EpochError("{count} of the batch's rows were erased or belong to a destroyed epoch", count=count)


def open_rows(
    batch: pa.RecordBatch, keys: SealKeys, *, fields: Sequence[str] | None = None, tile: int = TILE
) -> tuple[pa.RecordBatch, npt.NDArray[np.uint8]]:
    """Open what opens. Returns the clear batch and a status for each row (``OK``, ``ERASED`` …, the worst of the row).

    A row whose status is not ``OK`` has null in **all** its personal columns: half a row is no row.
    """
    wanted = [f for f in personal_fields(batch.schema) if fields is None or f.name in fields]
    names = [field.name for field in wanted]
    if keys.meter is not None:
        keys.meter(values_in(batch, names))
    starts = range(0, batch.num_rows, tile)
    tiles = [_open_tile(batch.slice(start, tile), keys, names) for start in starts]
    status = np.concatenate([part[1] for part in tiles]) if tiles else np.zeros(0, dtype=np.uint8)
    shut = pa.array(status != OK)
    columns = []
    for field in clear_schema(batch.schema):
        if kind_of(field) is None:
            columns.append(batch[field.name])
        elif field.name in names:
            column = _joined([part[0][field.name] for part in tiles], pa.string())
            columns.append(pc.if_else(shut, pa.scalar(None, pa.string()), column) if status.any() else column)
        else:
            columns.append(pa.nulls(batch.num_rows, pa.string()))
    return pa.RecordBatch.from_arrays(columns, schema=clear_schema(batch.schema)), status


def values_in(batch: pa.RecordBatch, fields: Sequence[str]) -> int:
    """How many values (cells that are not null) ``fields`` of a batch hold: what opening them is metered as."""
    return sum(batch.num_rows - batch[name].null_count for name in fields if name in batch.schema.names)


def clear_schema(schema: pa.Schema) -> pa.Schema:
    """The schema that opening batches of the sealed ``schema`` gives."""
    companions = {LABEL_TOKEN, *(f(x.name) for x in personal_fields(schema) for f in (mask_name, pseudonym_name))}
    fields = [
        pa.field(f.name, pa.string(), metadata=f.metadata) if kind_of(f) else f
        for f in schema
        if f.name not in companions
    ]
    return pa.schema(fields)


def _open_tile(
    tile: pa.RecordBatch, keys: SealKeys, wanted: Sequence[str]
) -> tuple[dict[str, pa.Array], npt.NDArray[np.uint8]]:
    """The wanted columns of a tile, and the worst status of each row over them."""
    status = np.zeros(tile.num_rows, dtype=np.uint8)
    cache: dict[tuple[int, int], _Rows] = {}
    return {name: _open_column(name, tile, keys, status, cache) for name in wanted}, status


def _open_column(
    name: str,
    tile: pa.RecordBatch,
    keys: SealKeys,
    status: npt.NDArray[np.uint8],
    cache: dict[tuple[int, int], _Rows],
) -> pa.Array:
    """Open one column of a tile; raises the status of each row that does not open."""
    column = tile[name]
    offsets, data = buffers(column)
    lengths = np.diff(offsets)
    valid = np.asarray(column.is_valid())
    shaped = valid & _SHAPED[np.minimum(lengths, len(_SHAPED) - 1)]
    _note(status, np.flatnonzero(valid & ~shaped), MALFORMED)
    # Suite, epoch and revision as one number: rows that share it, and their length, share their keys.
    index = np.flatnonzero(shaped)
    heads = np.zeros((len(index), 8), dtype=np.uint8)
    heads[:, 1:] = read_rows(data, offsets[index], HEADER.size)
    numbers = heads.view(">u8").reshape(-1)
    clear: list[tuple[npt.NDArray[np.int64], Bytes2D, npt.NDArray[np.int32]]] = []
    for head in _distinct(numbers):
        suite, number, revision = HEADER.unpack(int(head).to_bytes(HEADER.size, "big"))
        place = index if len(heads) and (numbers == head).all() else index[numbers == head]
        if suite != SUITE:
            _note(status, place, MALFORMED)
            continue
        if number not in keys.epochs:
            _note(status, place, NO_EPOCH)
            continue
        if (number, revision) not in cache:
            revisions = np.full(tile.num_rows, revision, dtype=np.uint16)
            cache[number, revision] = _Rows.of(keys.epochs[number], tile["waybill_no"], revisions, None)
        for length in np.flatnonzero(np.bincount(lengths[place])):
            chosen = place[lengths[place] == length]
            bodies = offsets[chosen] + HEADER.size
            padded = _open_values(name, data, bodies, int(length) - OVERHEAD, cache[number, revision], chosen, status)
            clear.append((chosen, padded, clear_lengths(padded)))
    return _assembled(clear, tile.num_rows)


def _open_values(
    name: str,
    data: npt.NDArray[np.uint8],
    bodies: npt.NDArray[np.int32],
    width: int,
    rows: _Rows,
    place: npt.NDArray[np.int64],
    status: npt.NDArray[np.uint8],
) -> Bytes2D:
    """The padded clear values of one bucket, epoch and revision; all zeros where a value does not open."""
    chosen = rows.at(place)
    pad = chosen.epoch.tree.pads(chosen.leaves, field_tweak(name), 1 + width // BLOCK)
    tags = np.empty((len(place), TAG), dtype=np.uint8)
    ciphertext = np.empty((len(place), width), dtype=np.uint8)
    uncover(words(read_rows(data, bodies, TAG + width)), words(pad), words(tags), words(ciphertext))
    padded, genuine = chosen.epoch.siv.open_rows(xor(chosen.prefix, chosen.epoch.field_prefix(name)), tags, ciphertext)
    _note(status, place[~chosen.alive], ERASED)
    _note(status, place[chosen.alive & ~genuine], TAMPERED)
    padded[~chosen.alive] = 0  # a lost leaf reads as zeros; never let such a row through, whatever its tag says
    return padded


def _distinct(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The distinct values; nearly always there is one, and no need to sort."""
    return values[:1] if len(values) and values.min() == values.max() else np.unique(values)


def _assembled(parts: Sequence[tuple[npt.NDArray[np.int64], Bytes2D, npt.NDArray[np.int32]]], count: int) -> pa.Array:
    """Padded values put at their places in a string array of ``count``; null where none opened."""
    lengths = np.full(count, -1, dtype=np.int32)
    for place, _, sizes in parts:
        lengths[place] = sizes
    starts = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(np.maximum(lengths, 0), out=starts[1:])
    out = np.empty(starts[-1], dtype=np.uint8)
    for place, padded, sizes in parts:
        write_clear(out, starts, place, padded, sizes)
        padded.fill(0)
    return from_buffers(starts, out, lengths >= 0, pa.string())


def _note(status: npt.NDArray[np.uint8], place: npt.NDArray[np.int64], code: int) -> None:
    status[place] = np.maximum(status[place], np.uint8(code))


def _revisions(tile: pa.RecordBatch) -> npt.NDArray[np.uint16]:
    return np.asarray(tile["revision"].fill_null(0)).astype(np.uint16)


def _joined(parts: Sequence[pa.Array], dtype: pa.DataType) -> pa.Array:
    return parts[0] if len(parts) == 1 else pa.concat_arrays(parts) if parts else pa.array([], dtype)


def epochs_in(batch: pa.RecordBatch) -> Iterator[int]:
    """The epoch numbers that the sealed values of ``batch`` name (whatever else they hold)."""
    seen: set[int] = set()
    for field in personal_fields(batch.schema):
        column = batch[field.name].drop_null()
        heads = pc.binary_slice(column.filter(pc.greater_equal(pc.binary_length(column), OVERHEAD)), 0, HEADER.size)
        seen.update(HEADER.unpack(head.as_py())[1] for head in pc.unique(heads))
    yield from sorted(seen)
