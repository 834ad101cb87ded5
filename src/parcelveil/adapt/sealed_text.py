"""Sealed values as text, for CSV, JSON lines and XLSX.

A sealed value is ``pv1:`` and its bytes in base64url without padding, a pseudonym ``pn1:`` and the same::

    >>> text = to_text(pa.array([b"\\x01\\xff\\xfe", None], pa.binary()))
    >>> text.to_pylist()
    ['pv1:Af_-', None]
    >>> from_text(pa.array(["pv1:Af_-", None, "pv1:A", "Ann"]), pa.binary())[0].to_pylist()
    [b'\\x01\\xff\\xfe', None, None, None]

Every value has exactly one such text: a text with stray bits behind the last byte is refused.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.waybill import SEALED, WAYBILL, RawBatch, Reject, mask_name, personal_fields

VALUE = "pv1:"
PSEUDONYM = "pn1:"
# Whole groups of four characters, then nothing, or 2 or 3 characters whose unused bits are zero.
_BASE64 = r"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$"
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_TIME = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)$"

_NOTHING = pa.scalar("", pa.large_string())

Bad = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]


def typed_schema(schema: pa.Schema) -> pa.Schema | None:
    """``schema`` (all text) typed by SEALED when it has the sealed shape, else None.

    Columns that SEALED does not know stay text.
    """
    names = set(schema.names)
    if not any(field.name in names and mask_name(field.name) in names for field in personal_fields(WAYBILL)):
        return None
    fields = [SEALED.field(name) if name in SEALED.names else pa.field(name, pa.string()) for name in schema.names]
    # A text file cannot promise that a cell is filled; intake and the verbs check that.
    return pa.schema([field.with_nullable(True) for field in fields], metadata=SEALED.metadata)


def decode(raw: RawBatch, schema: pa.Schema, source: str) -> RawBatch:
    """``raw`` (all text) as batches of ``schema``; rows with a broken cell become rejects ``cell.sealed_text``."""
    columns: list[pa.Array] = []
    broken = np.zeros(raw.batch.num_rows, dtype=bool)
    rejects = list(raw.rejects)
    numbers = raw.batch.column("waybill_no") if "waybill_no" in raw.batch.schema.names else None
    for field, cells in zip(schema, raw.batch.columns, strict=True):
        column, bad = from_text(cells, field.type)
        columns.append(column)
        for index in np.flatnonzero(bad & ~broken).tolist():
            reason = "the cell is no sealed value, pseudonym, number or time in the form that sealed text files have"
            number = None if numbers is None else numbers[index].as_py()
            rejects.append(Reject(source, int(raw.rows[index]), number, field.name, "cell.sealed_text", reason))
        broken |= bad
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    if not broken.any():
        return RawBatch(batch, raw.rows, rejects)
    rejects.sort(key=lambda reject: reject.row)
    return RawBatch(batch.filter(pa.array(~broken)), raw.rows[~broken], rejects)


def to_text(column: pa.Array) -> pa.Array:
    """A binary column as ``pv1:`` text, a fixed-size binary one as ``pn1:`` text; nulls stay null."""
    prefix = PSEUDONYM if pa.types.is_fixed_size_binary(column.type) else VALUE
    encoded = _by_length(column.cast(pa.large_binary()), _encode).cast(pa.large_string())
    return pc.binary_join_element_wise(pa.scalar(prefix, pa.large_string()), encoded, _NOTHING)


def from_text(cells: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Bad]:
    """Text cells as ``kind``, and which of them are broken (those are null in the result)."""
    if pa.types.is_string(kind):
        return cells, np.zeros(len(cells), dtype=bool)
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_binary(kind):
        return _bytes_from_text(cells, kind)
    if pa.types.is_timestamp(kind):
        shaped = pc.match_substring_regex(cells, _TIME)
        cells, bad = _keep(cells, shaped)
    else:
        bad = np.zeros(len(cells), dtype=bool)
    try:
        return cells.cast(kind), bad
    except pa.ArrowInvalid:
        pass
    one_by_one = [_cast_one(cell, kind) for cell in cells]  # rare: at least one cell is broken
    column = pa.array([cell.as_py() if cell is not None else None for cell in one_by_one], kind)
    bad |= np.array([cell is None for cell in one_by_one], dtype=bool)
    return column, bad


def _cast_one(cell: pa.Scalar, kind: pa.DataType) -> pa.Scalar | None:
    try:
        value = pa.array([cell.as_py()], pa.string()).cast(kind)[0]
        value.as_py()
    except (pa.ArrowInvalid, ValueError, OverflowError):
        return None
    return value


def _keep(cells: pa.Array, good: pa.Array) -> tuple[pa.Array, Bad]:
    """``cells`` with the others null, and which those are."""
    bad = pc.invert(good).fill_null(False).to_numpy(zero_copy_only=False)
    if not bad.any():
        return cells, bad.copy()
    return pc.if_else(good, cells, pa.scalar(None, cells.type)), bad.copy()


def _bytes_from_text(cells: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Bad]:
    fixed = pa.types.is_fixed_size_binary(kind)
    prefix = PSEUDONYM if fixed else VALUE
    good = pc.match_substring_regex(cells, "^" + prefix + _BASE64)
    if fixed:
        size = len(prefix) + -(-kind.byte_width * 8 // 6)
        good = pc.and_(good, pc.equal(pc.binary_length(cells), size))
    cells, bad = _keep(cells, good)
    body = pc.utf8_slice_codeunits(cells, len(prefix)).cast(pa.large_string()).cast(pa.large_binary())
    return _by_length(body, _decode).cast(kind), bad


def _by_length(column: pa.Array, convert: Callable[[Bytes], Bytes]) -> pa.Array:
    """Applies ``convert`` to the cells of each length at once: (n, length) bytes in, (n, other length) bytes out."""
    lengths = pc.binary_length(column).fill_null(-1).to_numpy(zero_copy_only=False)
    parts: list[pa.Array] = []
    places: list[npt.NDArray[np.int64]] = []
    for length in np.unique(lengths).tolist():
        place = np.flatnonzero(lengths == length)
        places.append(place)
        if length <= 0:
            parts.append(pa.array([None if length < 0 else b""] * len(place), pa.large_binary()))
            continue
        group = column.take(pa.array(place))
        start = np.frombuffer(group.buffers()[1], np.int64, 1, group.offset * 8)[0]
        flat = np.frombuffer(group.buffers()[2], np.uint8, len(place) * length, int(start))
        out = convert(flat.reshape(len(place), length))
        data = pa.py_buffer(np.ascontiguousarray(out))
        offsets = pa.py_buffer(np.arange(len(place) + 1, dtype=np.int64) * out.shape[1])
        parts.append(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(place), [None, offsets, data]))
    if not parts:
        return column
    if len(parts) == 1:
        return parts[0]
    order = np.empty(len(column), dtype=np.int64)
    order[np.concatenate(places)] = np.arange(len(column))
    return pa.concat_arrays(parts).take(pa.array(order))


def _encode(cells: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    count, length = cells.shape
    padded = np.zeros((count, -(-length // 3) * 3), dtype=np.uint8)
    padded[:, :length] = cells
    text = binascii.b2a_base64(padded.tobytes(), newline=False).translate(_TO_URL)
    whole = np.frombuffer(text, np.uint8).reshape(count, padded.shape[1] // 3 * 4)
    return whole[:, : -(-length * 8 // 6)]


def _decode(cells: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    count, length = cells.shape
    padded = np.full((count, -(-length // 4) * 4), ord("A"), dtype=np.uint8)
    padded[:, :length] = cells
    data = binascii.a2b_base64(padded.tobytes().translate(_FROM_URL))
    whole = np.frombuffer(data, np.uint8).reshape(count, padded.shape[1] // 4 * 3)
    return whole[:, : length * 6 // 8]
