"""Parquet and Arrow IPC, sized so that memory stays constant.

    >>> import io
    >>> out, schema = io.BytesIO(), pa.schema([("no", pa.string())])
    >>> encoder = ParquetEncoder(out, schema)
    >>> encoder.write(pa.record_batch({"no": ["YT1"]}, schema=schema))
    >>> encoder.finish()
    >>> pq.read_table(io.BytesIO(out.getvalue())).to_pylist()
    [{'no': 'YT1'}]

Sealed values and pseudonyms look random: they are stored plain, without dictionary, statistics or compression. All
other columns get a dictionary and Snappy, which is as fast as LZ4 here and can be read everywhere.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: A row group is written when either is reached.
GROUP_ROWS = 32_768
GROUP_BYTES = 16 << 20


def _is_random(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_large_binary(kind))


class ParquetEncoder:
    """Writes Parquet to the file object ``target``. Field and schema metadata are kept."""

    def __init__(self, target: Any, schema: pa.Schema, *, codec: str = "snappy") -> None:
        plain = [field.name for field in schema if not _is_random(field.type)]
        self._schema = schema
        self._file = pa.PythonFile(target, mode="w")
        self._writer = pq.ParquetWriter(
            self._file,
            schema,
            compression={field.name: "none" if _is_random(field.type) else codec for field in schema},
            use_dictionary=plain or False,
            write_statistics=plain or False,
        )
        self._held: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds the rows of ``batch``; a full row group goes to the file."""
        for start in range(0, batch.num_rows, GROUP_ROWS):
            part = batch.slice(start, GROUP_ROWS)
            self._held.append(part)
            self._rows += part.num_rows
            self._bytes += part.nbytes
            if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
                self._flush()

    def _flush(self) -> None:
        if self._rows:
            table = pa.Table.from_batches(self._held, schema=self._schema)
            self._writer.write_table(table, row_group_size=self._rows)
        self._held = []
        self._rows = self._bytes = 0

    def finish(self) -> None:
        """Writes the last row group and the footer."""
        self._flush()
        self._writer.close()


class ArrowEncoder:
    """Writes an Arrow IPC file (``.arrow``, ``.feather``) or, with ``stream``, an IPC stream."""

    def __init__(self, target: Any, schema: pa.Schema, *, stream: bool = False) -> None:
        self._file = pa.PythonFile(target, mode="w")
        self._writer = (pa.ipc.new_stream if stream else pa.ipc.new_file)(self._file, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds ``batch``."""
        self._writer.write_batch(batch)

    def finish(self) -> None:
        """Writes the end mark and, for a file, the footer."""
        self._writer.close()
