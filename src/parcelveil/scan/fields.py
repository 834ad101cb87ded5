"""The columns of an Arrow batch as cells: strings in place, everything else that can hold personal data as text.

::

    for field in FieldScanner(detector).columns(batch):
        field.name, field.hits, field.rows

A dictionary is looked at once, and what is found in it told for every row that has it. Whole numbers are written as
digits; lists and structs are opened up (``contact.phone``). Columns of sealed waybills hold nothing to find: their
values are told as ``sealed.value``, state ``protected``, one a cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.scan.hits import NO_HITS, Bytes, Detector, Hits, Index
from parcelveil.seal.passes import buffers
from parcelveil.waybill import WAYBILL, mask_name, personal_fields

_DEEPEST = 8


class Field(NamedTuple):
    """One column, the hits in it (positions in ``data``), the row (from 0) of each and where its cell begins."""

    name: str
    data: Bytes
    hits: Hits
    rows: Index
    starts: Index


class FieldScanner:
    """Scans columns with one detector."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        kinds = [rule.kind for rule in detector.rules]
        self._sealed_rule = kinds.index("sealed.value") if "sealed.value" in kinds else -1

    def columns(self, batch: pa.RecordBatch) -> Iterator[Field]:
        """Each column that can hold text, in order."""
        sealed = {f.name for f in personal_fields(WAYBILL) if mask_name(f.name) in batch.schema.names}
        rows = np.arange(batch.num_rows, dtype=np.int64)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name in sealed and pa.types.is_binary(column.type):
                yield self._sealed(name, column)
            else:
                yield from self._column(name, column, rows, 0)

    def _column(self, name: str, column: pa.Array, rows: Index, depth: int) -> Iterator[Field]:
        kind = column.type
        if isinstance(column, pa.ExtensionArray):
            yield from self._column(name, column.storage, rows, depth)
        elif pa.types.is_dictionary(kind):
            yield from self._dictionary(name, column, rows, depth)
        elif pa.types.is_struct(kind) and depth < _DEEPEST:
            for place in range(kind.num_fields):
                yield from self._column(
                    f"{name}.{kind.field(place).name}", pc.struct_field(column, place), rows, depth + 1
                )
        elif pa.types.is_nested(kind) and hasattr(column, "flatten") and depth < _DEEPEST:
            parents = np.asarray(pc.list_parent_indices(column)) if not pa.types.is_map(kind) else None
            if parents is not None:
                yield from self._column(name, pc.list_flatten(column), rows[parents], depth + 1)
            else:
                lists = pa.ListArray.from_arrays(column.offsets, column.items, mask=column.is_null())
                yield from self._column(name, lists, rows, depth + 1)
        elif (text := _as_text(column)) is not None:
            offsets, data = buffers(text)
            data = data.view()
            data.flags.writeable = False  # like every text: the passes are compiled for one kind of array
            starts, ends = offsets[:-1].astype(np.int64), offsets[1:].astype(np.int64)
            if text.null_count:
                valid = np.flatnonzero(np.asarray(text.is_valid()))
                starts, ends, rows = starts[valid], ends[valid], rows[valid]
            hits = self._detector.in_cells(data, starts, ends, name) if len(starts) else NO_HITS
            yield Field(name, data, hits, rows[hits.cell], starts[hits.cell])

    def _dictionary(self, name: str, column: pa.DictionaryArray, rows: Index, depth: int) -> Iterator[Field]:
        indices = np.asarray(pc.fill_null(column.indices.cast(pa.int64()), -1))
        order = np.argsort(indices, kind="stable")
        values = np.arange(len(column.dictionary), dtype=np.int64)
        low, high = np.searchsorted(indices[order], values), np.searchsorted(indices[order], values, side="right")
        for field in self._column(name, column.dictionary, values, depth + 1):
            counts = (high - low)[field.rows]
            repeated = np.repeat(np.arange(len(field.rows)), counts)
            within = np.arange(len(repeated)) - np.repeat(np.cumsum(counts) - counts, counts)
            places = order[np.repeat(low[field.rows], counts) + within]
            yield Field(name, field.data, field.hits.take(repeated), rows[places], field.starts[repeated])

    def _sealed(self, name: str, column: pa.Array) -> Field:
        offsets, data = buffers(column)
        valid = np.flatnonzero(np.asarray(column.is_valid()))
        if self._sealed_rule < 0:
            valid = valid[:0]
        starts, ends = offsets[:-1].astype(np.int64)[valid], offsets[1:].astype(np.int64)[valid]
        count = len(valid)
        rule, sure = np.full(count, self._sealed_rule), np.full(count, 9.0, np.float32)
        hits = Hits.bare(starts, ends, rule, sure, cell=np.arange(count))
        return Field(name, data, hits, valid.astype(np.int64), starts)


def _as_text(column: pa.Array) -> pa.Array | None:
    """A column as ``string`` or ``binary`` with 32-bit offsets; None for what holds no text."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return column
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):  # a column of phones with an empty cell is one of floats in many tools
        whole = pc.and_kleene(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), 2.0**53))
        return pc.if_else(whole, column, None).cast(pa.int64()).cast(pa.string())
    for large, small in (
        (pa.types.is_large_string, pa.string()),
        (pa.types.is_large_binary, pa.binary()),
        (pa.types.is_fixed_size_binary, pa.binary()),
        (pa.types.is_string_view, pa.string()),
        (pa.types.is_binary_view, pa.binary()),
    ):
        if large(kind):
            return column.cast(small)
    return None
