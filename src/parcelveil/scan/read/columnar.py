"""Parquet and Arrow files as tables of text, batch by batch.

::

    read_parquet(item, run)                  # one table; its rows are counted from 1

Numbers become text, structs a column for each field ("to.phone"), lists and maps JSON. Bytes are text where they are
UTF-8, else left out. Text columns are read as dictionaries where the file has some, and the rows of one batch are so
many that their text stays bounded: a file of a few kilobytes can say a long value a billion times.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.scan.document import Document
from parcelveil.scan.read import why
from parcelveil.scan.read.cells import BATCH_ROWS, Batches, counted, unique
from parcelveil.scan.read.item import Item, Run
from parcelveil.scan.read.limits import Stopped

#: Of one batch.
_CHARACTERS = 32 << 20


def read_parquet(item: Item, run: Run) -> Iterator[Document]:
    """The rows of a Parquet file."""
    import pyarrow.parquet

    stream = item.random()
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    with pa.PythonFile(stream, mode="r") as source:
        file = pyarrow.parquet.ParquetFile(source)
        texts = [field.name for field in file.schema_arrow if any(is_(field.type) for is_ in kinds)]
        file = pyarrow.parquet.ParquetFile(source, read_dictionary=texts)
        if file.metadata.num_columns > run.limits.columns:
            item.entry.say(why.TOO_WIDE)
        names = [field.name for field in file.schema_arrow][: run.limits.columns]
        item.entry.got = True
        batches = (
            batch
            for group in range(file.num_row_groups)
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=names, use_threads=False)
        )
        yield _table(item, batches)


def read_arrow(item: Item, _run: Run) -> Iterator[Document]:
    """The rows of an Arrow file (Feather 2) or an Arrow stream."""
    stream = item.random()
    if item.entry.format == "arrow":
        yield _table(item, _file_batches(stream))
    else:
        item.entry.format = "arrow"
        yield _table(item, iter(pa.ipc.open_stream(pa.PythonFile(stream, mode="r"))))


def _file_batches(stream: IO[bytes]) -> Iterator[pa.RecordBatch]:
    file = pa.ipc.open_file(pa.PythonFile(stream, mode="r"))
    for number in range(file.num_record_batches):
        yield file.get_batch(number)


def _table(item: Item, batches: Iterator[pa.RecordBatch]) -> Document:
    return Document(item.place, "table", format=item.entry.format, batches=counted(item.entry, _texts(item, batches)))


def _texts(item: Item, batches: Iterator[pa.RecordBatch]) -> Batches:
    row = 1
    for batch in batches:
        if spent := item.budget.spent:
            raise Stopped(spent)
        batch.validate(full=True)  # offsets of a hostile file may point anywhere
        for part in _bounded(batch):
            columns = [column for name, values in zip(part.schema.names, part.columns, strict=True)
                       for column in _column(name, values)]  # fmt: skip
            names = unique([name for name, _ in columns], len(columns))
            if columns:
                yield row, pa.RecordBatch.from_arrays([values for _, values in columns], names=names)
            row += part.num_rows


def _bounded(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Slices of a batch whose text is at most so much, or one row."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for values in batch.columns:
        sizes += _sizes(values)
    ends = np.cumsum(sizes)
    start = 0
    while start < batch.num_rows:
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + _CHARACTERS, side="right"))
        stop = min(max(stop, start + 1), start + BATCH_ROWS)
        yield batch.slice(start, stop - start)
        start = stop


def _sizes(values: pa.Array) -> Any:
    """About how many bytes of text each row becomes."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        lengths = _sizes(values.dictionary)
        if not len(lengths):
            return np.zeros(len(values), np.int64)
        return lengths[pc.fill_null(values.indices, 0).to_numpy(zero_copy_only=False).astype(np.int64)]
    if pa.types.is_struct(kind):
        return sum((_sizes(values.field(at)) for at in range(kind.num_fields)), np.zeros(len(values), np.int64))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_bytes(kind):
        lengths = pc.fill_null(pc.binary_length(values), 0)
        return lengths.to_numpy(zero_copy_only=False).astype(np.int64)
    if pa.types.is_nested(kind):
        return np.full(len(values), 1 + values.nbytes // max(1, len(values)) * 4, np.int64)
    return np.full(len(values), 16, np.int64)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _column(name: str, values: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    """A column as text columns: one, or one for each field of a struct."""
    kind = values.type
    if isinstance(values, pa.ExtensionArray):
        yield from _column(name, values.storage)
    elif pa.types.is_struct(kind):
        for field, child in zip(kind, values.flatten(), strict=True):
            yield from _column(f"{name}.{field.name}", child)
    elif pa.types.is_dictionary(kind):
        yield from _column(name, values.dictionary_decode())
    elif pa.types.is_run_end_encoded(kind):
        yield from _column(name, pc.run_end_decode(values))
    elif _is_bytes(kind):
        yield name, pa.array([_utf8(value.as_py()) for value in values], pa.string())
    elif pa.types.is_nested(kind):
        yield name, pa.array([_json(value.as_py()) for value in values], pa.string())
    elif pa.types.is_floating(kind):
        texts = [None if value is None else format(value, ".0f") if value.is_integer() else repr(value)
                 for value in pc.cast(values, pa.float64()).to_pylist()]  # fmt: skip
        yield name, pa.array(texts, pa.string())
    else:
        yield name, values.cast(pa.string())


def _utf8(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)
