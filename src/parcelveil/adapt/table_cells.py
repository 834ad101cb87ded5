"""Cells of any database or column file as text, in batches whose memory is bounded.

::

    >>> cells = TextBatches(["no", "paid"], Counter())
    >>> [batch.to_pydict() for batch in cells.of_rows(iter([(13800138000.0, None), ("YT1", b"\\xff\\x00")]), 100)]
    [{'no': ['13800138000', 'YT1'], 'paid': [None, None]}]
    >>> cells.left_out
    Counter({'bytes that are no text': 1})

Numbers become what a person would write: a phone that a database holds as a floating-point number has no ``.0`` and no
``e+10``. Struct columns of Arrow become one column a field (``receiver.phone``), so that names keep their meaning.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from sys import getsizeof

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.adapt.source import unique_names

BYTES = "bytes that are no text"
LONG = "the end of a cell of more than 16 MiB"
MAX_CELL = 16 << 20  # characters
BATCH_BYTES = 32 << 20
BATCH_ROWS = 16384
#: Structs in structs deeper than this stay together as JSON.
_DEEPEST = 16
_MAX_COLUMNS = 16384
_EXACT = 1 << 53  # floats above have lost digits


class TextBatches:
    """Turns rows or Arrow batches into batches of ``pa.string()``; counts in ``left_out`` what could not be turned."""

    def __init__(self, names: Sequence[str], left_out: Counter[str]) -> None:
        self.left_out = left_out
        self._schema = pa.schema([(name, pa.string()) for name in unique_names(names)])

    def of_rows(self, rows: Iterable[Sequence[object]], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Rows of Python values, as a database's driver gives them: None, int, float, str; ``bytes`` that may be no text
        and then are left out, ``bytearray`` for texts in an encoding that is not known."""
        held: list[Sequence[object]] = []
        size = 0
        for row in rows:
            held.append(row)
            size += sum(map(getsizeof, row))
            if len(held) >= batch_rows or size >= BATCH_BYTES:
                yield self._of_values(held)
                held, size = [], 0
        if held:
            yield self._of_values(held)

    def of_arrow(self, batch: pa.RecordBatch, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """An Arrow batch of any types; it was validated. Its columns are those of :func:`flat`."""
        for start in range(0, batch.num_rows, batch_rows):
            yield from self._of_part(batch.slice(start, batch_rows))

    def _of_part(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        # A dictionary may repeat a long value without end: such a batch is spread in pieces.
        if batch.num_rows > 1 and sum(map(_spread_bytes, batch.columns)) > BATCH_BYTES:
            half = batch.num_rows // 2
            yield from self._of_part(batch.slice(0, half))
            yield from self._of_part(batch.slice(half))
            return
        columns = [self._short(self._of_array(column)) for _, column in _flat_columns(batch)]
        yield pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _of_values(self, rows: list[Sequence[object]]) -> pa.RecordBatch:
        columns = []
        for values in zip(*rows, strict=True):
            columns.append(self._short(self._of_column(values)))
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _of_column(self, values: Sequence[object]) -> pa.Array:
        kinds = set(map(type, values)) - {type(None)}
        if kinds <= {str}:
            return pa.array(values, pa.string())
        with suppress(pa.ArrowInvalid, OverflowError):  # some of it is no UTF-8, or greater than 64 bits
            if kinds in ({bytes}, {bytearray}):
                return pa.array(values, pa.binary()).cast(pa.string())
            if kinds == {int}:
                return pa.array(values, pa.int64()).cast(pa.string())
            if kinds == {float}:
                return _of_floats(pa.array(values, pa.float64(), from_pandas=False))
        return pa.array([self._of_value(value) for value in values], pa.string())

    def _of_value(self, value: object) -> str | None:
        if isinstance(value, bytearray):
            return decoded(bytes(value))
        if isinstance(value, bytes | memoryview):
            try:
                return bytes(value).decode()
            except UnicodeDecodeError:
                self.left_out[BYTES] += 1
                return None
        return text_of(value)

    def _short(self, array: pa.Array) -> pa.Array:
        longest = pc.max(pc.binary_length(array)).as_py()
        if longest is None or longest <= MAX_CELL:
            return array
        self.left_out[LONG] += pc.sum(pc.greater(pc.utf8_length(array), MAX_CELL)).as_py() or 0
        return pc.utf8_slice_codeunits(array, 0, MAX_CELL)

    def _of_array(self, array: pa.Array) -> pa.Array:
        kind = array.type
        if isinstance(array, pa.ExtensionArray):
            return self._of_array(array.storage)
        if pa.types.is_dictionary(kind):
            return self._of_array(array.dictionary_decode())
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            try:
                array.validate(full=True)
                return array.cast(pa.string())
            except pa.ArrowInvalid:  # Parquet promises UTF-8 and does not check it
                raw = array.cast(pa.string_view()).cast(pa.binary_view()) if pa.types.is_string_view(kind) else array
                return pa.array([_decoded(cell) for cell in raw.cast(pa.large_binary()).to_pylist()], pa.string())
        if pa.types.is_null(kind):
            return pa.nulls(len(array), pa.string())
        if pa.types.is_floating(kind):
            return _of_floats(array)
        if pa.types.is_decimal(kind):
            return _without_zeros(array.cast(pa.string()))
        if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            return array.cast(pa.string())
        if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
            return _of_times(array)
        return pa.array([self._of_value(_nested(value)) for value in array.to_pylist()], pa.string())


def flat(schema: pa.Schema) -> list[str]:
    """The names of the columns that :meth:`TextBatches.of_arrow` gives."""
    empty = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
    return unique_names([name for name, _ in _flat_columns(empty)])


def _flat_columns(batch: pa.RecordBatch) -> list[tuple[str, pa.Array]]:
    found: list[tuple[str, pa.Array]] = []
    pending = [(name, column, 0) for name, column in zip(batch.schema.names, batch.columns, strict=True)][::-1]
    while pending:
        name, column, depth = pending.pop()
        room = len(found) + len(pending) + column.type.num_fields < _MAX_COLUMNS
        if pa.types.is_struct(column.type) and column.type.num_fields and depth < _DEEPEST and room:
            children = zip(column.type, column.flatten(), strict=True)  # flatten() takes the parent's nulls along
            pending += [(f"{name}.{field.name}", child, depth + 1) for field, child in children][::-1]
        else:
            found.append((name, column))
    return found


def _spread_bytes(column: pa.Array) -> int:
    """Bytes of a column once its dictionary is spread; 0 for what is spread already."""
    if not pa.types.is_dictionary(column.type) or not len(column.dictionary):
        return 0
    values = column.dictionary
    if not (
        pa.types.is_string(values.type) or pa.types.is_binary(values.type) or pa.types.is_large_string(values.type)
    ):
        return 0
    return pc.sum(pc.take(pc.cast(pc.binary_length(values), pa.int64()), column.indices)).as_py() or 0


def _of_floats(array: pa.Array) -> pa.Array:
    values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        whole = (np.floor(values) == values) & (np.abs(values) < _EXACT)
    numbers = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
    if not whole.all():
        rest = [None if ok else repr(value) for ok, value in zip(whole.tolist(), values.tolist(), strict=True)]
        numbers = pc.if_else(pa.array(whole), numbers, pa.array(rest, pa.string()))
    return pc.if_else(array.is_valid(), numbers, pa.scalar(None, pa.string()))


def _of_times(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array = array.cast(pa.timestamp(kind.unit))  # in UTC: the zone's name may be unknown here
    try:
        return array.cast(pa.string())
    except pa.ArrowException:  # durations, and years that no calendar has
        return array.cast(pa.int64()).cast(pa.string())


def _without_zeros(array: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(array, r"^(-?[0-9]+)\.0+$", r"\1")


def plain_decimals(batch: pa.RecordBatch, columns: Collection[str]) -> pa.RecordBatch:
    """A batch of texts, some of decimal numbers as a server writes them: ``13800138000.00`` without the zeros."""
    for place, name in enumerate(batch.schema.names):
        if name in columns:
            batch = batch.set_column(place, batch.schema.field(place), _without_zeros(batch.column(place)))
    return batch


def text_of(value: object) -> str | None:
    """One value as a person would write it.

    >>> [text_of(value) for value in (13800138000.0, 0.5, True, 7, "a", 1e21, None)]
    ['13800138000', '0.5', 'true', '7', 'a', '1e+21', None]
    """
    if value is None or isinstance(value, str):
        return value
    if type(value) is float:
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
    if type(value) is bool:
        return "true" if value else "false"
    return str(value)


def _nested(value: object) -> object:
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=_inside)
    return value


def _inside(value: object) -> str:
    return decoded(bytes(value)) if isinstance(value, bytes | bytearray | memoryview) else str(value)


def _decoded(raw: bytes | None) -> str | None:
    return None if raw is None else decoded(raw)


def decoded(raw: bytes) -> str:
    """Bytes of a column of text: UTF-8, else what old Chinese programs put there (GB18030), else what can be read."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8", "replace")
