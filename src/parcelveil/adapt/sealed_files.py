"""Sealed waybills where the desk finds them: files and folders of Parquet or Arrow (``files:`` URIs), or one batch.

::

    source = SealedFiles([Path("sealed")])
    source.find(["YT0000000000001"], ["to_name"])     # at most one row a number: the highest revision

Folders are read through at each look, so a day that was sealed a moment ago is there. Only the waybill numbers of
a file are read to the end; of the rest, the row groups that hold a match. That is some ten milliseconds a million
rows, shared by all requests that are answered together; who has more keeps sealed rows in a table of their own and
brings a source for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from parcelveil.errors import InputError
from parcelveil.waybill import SCHEMA_KEY, SEALED, SEALED_VERSION, TENANT_KEY

_ENDINGS = {".parquet": "parquet", ".arrow": "ipc", ".feather": "ipc"}


class SealedFiles:
    """See the module. ``tenant``: whose files they must be."""

    def __init__(self, paths: Iterable[Path], tenant: str) -> None:
        self._paths = list(paths)
        self._tenant = tenant

    def _files(self) -> list[Path]:
        found: list[Path] = []
        for path in self._paths:
            if path.is_dir():
                found += sorted(p for p in path.rglob("*") if p.suffix in _ENDINGS and not p.name.startswith("."))
            elif path.exists():
                found.append(path)
            else:
                raise InputError("{file} is not there", hint="check the path", file=path.name)
        return found

    def find(self, waybill_no: Sequence[str], columns: Sequence[str]) -> pa.RecordBatch:
        return self._rows(ds.field("waybill_no").isin(_texts(set(waybill_no))), columns)

    def find_pseudonyms(
        self, column: str, pseudonyms: Sequence[bytes], most: int, columns: Sequence[str]
    ) -> pa.RecordBatch:
        wanted = pa.array(pseudonyms, SEALED.field(column).type)
        condition = ds.field(column).isin(wanted) & ds.field("waybill_no").is_valid()
        numbers = self._rows(condition, [], needs=column)["waybill_no"].to_pylist()
        # A number may have a newer revision with another value, in a file where nothing matched: what is shown is that.
        newest_rows = self._rows(ds.field("waybill_no").isin(_texts(numbers)), [column, *columns])
        found = newest_rows.filter(pc.is_in(newest_rows[column], wanted)).slice(0, most)
        return found.select(["waybill_no", *columns])

    def _rows(self, condition: ds.Expression, columns: Sequence[str], *, needs: str = "") -> pa.RecordBatch:
        schema = pa.schema([SEALED.field(name) for name in dict.fromkeys(("waybill_no", "revision", *columns))])
        tables = [self._matching(file, condition, schema, needs) for file in self._files()]
        table = pa.concat_tables([schema.empty_table(), *tables])
        return newest(table).select(["waybill_no", *columns])

    def _matching(self, file: Path, condition: ds.Expression, schema: pa.Schema, needs: str) -> pa.Table:
        kind = _ENDINGS.get(file.suffix)
        if kind is None:
            raise InputError(
                "{file} is neither Parquet nor Arrow", hint="seal with --to parquet for the desk", file=file.name
            )
        try:
            dataset = ds.dataset(file, format=kind)
            metadata = dataset.schema.metadata or {}
            if metadata.get(SCHEMA_KEY) != SEALED_VERSION.encode() or "waybill_no" not in dataset.schema.names:
                raise InputError("{file} is not sealed", hint="seal it first with 'parcelveil seal'", file=file.name)
            if metadata.get(TENANT_KEY, self._tenant.encode()) != self._tenant.encode():
                raise InputError("{file} was sealed by another tenant", hint="take it out", file=file.name)
            if needs and needs not in dataset.schema.names:
                return schema.empty_table()
            present = [name for name in schema.names if name in dataset.schema.names]
            return _conformed(dataset.to_table(present, filter=condition), schema)
        except (pa.ArrowException, OSError) as error:
            raise InputError("{file} cannot be read: {why}", file=file.name, why=type(error).__name__) from None


class SealedBatch:
    """Sealed waybills in memory, for tests and for services that hold the day at hand."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = newest(pa.Table.from_batches([batch]))
        self._place = {number: row for row, number in enumerate(self._batch["waybill_no"].to_pylist())}

    def find(self, waybill_no: Sequence[str], columns: Sequence[str]) -> pa.RecordBatch:
        place = self._place
        rows = list(dict.fromkeys(place[number] for number in waybill_no if number in place))
        chosen = self._batch.select(list(dict.fromkeys(("waybill_no", *columns))))
        if len(rows) == 1:  # what most looks are at, and a take costs many times a slice
            return chosen.slice(rows[0], 1)
        return chosen.take(pa.array(rows, pa.int64()))

    def find_pseudonyms(
        self, column: str, pseudonyms: Sequence[bytes], most: int, columns: Sequence[str]
    ) -> pa.RecordBatch:
        wanted = pa.array(pseudonyms, SEALED.field(column).type)
        found = self._batch.filter(pc.is_in(self._batch[column], wanted)).slice(0, most)
        return found.select(["waybill_no", *columns])


def _texts(values: Iterable[str]) -> pa.Array:
    return pa.array(sorted(values), pa.string())


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """``table`` with the columns of ``schema``; what is missing is null."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def newest(table: pa.Table) -> pa.RecordBatch:
    """One row a waybill number: the one of the highest revision, and of equal ones the last."""
    batch = pa.RecordBatch.from_arrays(
        [pa.concat_arrays(c.chunks) if c.num_chunks else pa.nulls(0, c.type) for c in table.columns],
        schema=table.schema,
    )
    numbers = batch["waybill_no"].dictionary_encode()
    if len(numbers.dictionary) == batch.num_rows:
        return batch
    order = np.lexsort((np.arange(batch.num_rows), np.asarray(batch["revision"].fill_null(0))))
    last = np.zeros(len(numbers.dictionary), dtype=np.int64)
    last[np.asarray(numbers.indices)[order]] = order
    return batch.take(pa.array(np.sort(last)))
