"""Parquet and Arrow IPC files and streams, in their own types.

    >>> import io
    >>> data = io.BytesIO()
    >>> with pa.ipc.new_stream(data, pa.schema([("no", pa.string())])) as writer:
    ...     writer.write_batch(pa.record_batch({"no": ["YT1", "YT2"]}))
    >>> source = ArrowSource("a.arrow", io.BufferedReader(io.BytesIO(data.getvalue())), size=None)
    >>> [(raw.batch.to_pydict(), raw.rows.tolist()) for raw in source.batches()]
    [({'no': ['YT1', 'YT2']}, [1, 2])]

Dictionary and view columns are given as plain ones. Every batch is checked in full before it is passed on, because a
hostile file can hold offsets that point outside its buffers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from parcelveil.adapt.source import BATCH_ROWS, Source, hold, unique_names
from parcelveil.errors import InputError
from parcelveil.waybill import RawBatch

# What a damaged file can raise in Arrow; MemoryError is a hostile length.
_DAMAGE = (pa.ArrowException, OSError, EOFError, ValueError, KeyError, IndexError, TypeError, MemoryError)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """``schema`` with dictionary and view types replaced by plain ones and doubled names numbered."""
    fields = []
    for name, field in zip(unique_names(schema.names), schema, strict=True):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string_view(kind):
            kind = pa.string()
        elif pa.types.is_binary_view(kind):
            kind = pa.binary()
        fields.append(pa.field(name, kind, nullable=field.nullable, metadata=field.metadata))
    return pa.schema(fields, metadata=schema.metadata)


def _damaged(name: str, kind: str) -> InputError:
    return InputError(
        "{file} is damaged, incomplete, or no {kind} file",
        hint="fetch it again from where it was written",
        file=name,
        kind=kind,
    )


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    batch.validate(full=True)
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class ParquetSource(Source):
    """A Parquet file, read row group by row group. Text columns in ``encoded`` stay dictionary-encoded."""

    def __init__(
        self,
        name: str,
        stream: IO[bytes],
        *,
        size: int | None,
        batch_rows: int = BATCH_ROWS,
        encoded: Collection[str] = (),
    ) -> None:
        self._stream, self._batch_rows = stream, batch_rows
        try:
            self._file = pq.ParquetFile(pa.PythonFile(stream, mode="r"), pre_buffer=False)
            schema = plain_schema(self._file.schema_arrow)
            kept = [field.name for field in schema if field.name in encoded and pa.types.is_string(field.type)]
            if kept:
                self._file = pq.ParquetFile(
                    pa.PythonFile(stream, mode="r"),
                    metadata=self._file.metadata,
                    pre_buffer=False,
                    read_dictionary=kept,
                )
            for text in kept:
                place = schema.get_field_index(text)
                schema = schema.set(place, schema.field(place).with_type(pa.dictionary(pa.int32(), pa.string())))
            self._total = self._file.metadata.num_rows
            self._bytes = stream.seek(0, 2)
        except _DAMAGE:
            raise _damaged(name, "Parquet") from None
        self._done = 0
        super().__init__(name, "parquet", schema, size=size, text=False)

    def position(self) -> int:
        """Bytes of the file that the rows read so far stand for."""
        return int(self._bytes * self._done // max(self._total, 1))

    def close(self) -> None:
        """Closes the file."""
        self._file.close(force=True)
        self._stream.close()

    def _read(self) -> Iterator[RawBatch]:
        batches = self._file.iter_batches(batch_size=self._batch_rows)
        yield from _numbered(self, batches, "Parquet", self._batch_rows, self._count)
        if self._done != self._total:
            raise _damaged(self.name, "Parquet")

    def _count(self, rows: int) -> None:
        self._done = rows


class ArrowSource(Source):
    """An Arrow IPC file (also Feather) or stream, read record batch by record batch."""

    def __init__(self, name: str, stream: io.BufferedReader, *, size: int | None, batch_rows: int = BATCH_ROWS) -> None:
        self._stream, self._batch_rows = stream, batch_rows
        self._reader: Any
        try:
            self._streamed = stream.peek(6)[:6] != b"ARROW1"
            if self._streamed:
                self._reader = pa.ipc.open_stream(pa.PythonFile(stream, mode="r"))
            else:
                self._reader = pa.ipc.open_file(pa.PythonFile(hold(name, stream), mode="r"))
            schema = plain_schema(self._reader.schema)
        except InputError:
            raise
        except _DAMAGE:
            raise _damaged(name, "Arrow") from None
        self._done = 0
        super().__init__(name, "arrow", schema, size=size, text=False)

    def position(self) -> int:
        """Bytes of the file read so far."""
        if self._streamed or self.size is None:
            return self._stream.tell() if self._stream.seekable() else 0
        return int(self.size * self._done // max(self._reader.num_record_batches, 1))

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def _read(self) -> Iterator[RawBatch]:
        yield from _numbered(self, self._batches(), "Arrow", self._batch_rows)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self._streamed:
            yield from self._reader
            return
        for index in range(self._reader.num_record_batches):
            yield self._reader.get_batch(index)
            self._done = index + 1


def _numbered(
    source: Source,
    batches: Iterator[pa.RecordBatch],
    kind: str,
    batch_rows: int,
    count: Callable[[int], None] | None = None,
) -> Iterator[RawBatch]:
    done = 0
    while True:
        try:
            batch = next(batches, None)
            if batch is None:
                return
            batch = _plain(batch, source.schema)
        except _DAMAGE:
            raise _damaged(source.name, kind) from None
        for start in range(0, batch.num_rows, batch_rows):
            part = batch.slice(start, batch_rows)
            rows = np.arange(done + 1, done + 1 + part.num_rows, dtype=np.int64)
            done += part.num_rows
            if count is not None:
                count(done)
            yield RawBatch(part, rows, [])
