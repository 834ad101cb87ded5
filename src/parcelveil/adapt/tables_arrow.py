"""Columns of Parquet and Arrow files and folders (``parquet:`` and ``arrow:`` URIs): every file is a table.

::

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> pq.write_table(pa.table({"to": [{"phone": 13800138000.0}]}), f"{folder.name}/a.parquet")
    >>> files = ArrowTables.open(folder.name)
    >>> [(name, files.columns(name), files.count(name)) for name in files.tables()]
    [('a.parquet', ['to.phone'], 1)]
    >>> [(row, batch.to_pylist()) for row, batch in files.batches("a.parquet")]
    [(1, [{'to.phone': '13800138000'}])]
    >>> folder.cleanup()

A sample draws row groups first, as many as give a fair picture (:data:`GROUPS`), then rows in them, so that of a large
file little is read. Rows are numbered from 1 in full scans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from parcelveil.adapt.table_cells import BATCH_BYTES, BATCH_ROWS, TextBatches, flat
from parcelveil.errors import InputError

#: Row groups (or Arrow batches) that a sample is drawn from at most.
GROUPS = 32
ENDINGS = (".parquet", ".arrow", ".feather", ".arrows", ".ipc")
DAMAGED = "it is damaged, encrypted, or no file of its kind"
LINK = "a symbolic link"
# What a damaged file can raise in Arrow; MemoryError is a hostile length.
_DAMAGE = (
    pa.ArrowException,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    MemoryError,
    OverflowError,
)


class _File(NamedTuple):
    path: Path
    parquet: bool
    columns: list[str]
    groups: list[int]  # rows of each; of an Arrow stream a single one, -1: not told


class ArrowTables:
    """See the module."""

    def __init__(self, name: str, paths: dict[str, Path], skipped: dict[str, str]) -> None:
        self.name = name
        self._skipped = skipped
        self._files: dict[str, _File] = {}
        self._left_out: dict[str, Counter[str]] = {}
        for table, path in paths.items():
            try:
                self._files[table] = _describe(path)
            except _DAMAGE:
                self._skipped[table] = DAMAGED

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """A file, or all files below a folder by their ending. Raises InputError where there is none that can be read."""
        place = Path(path)
        skipped: dict[str, str] = {}
        if place.is_dir():
            inside = sorted(file for file in place.rglob("*") if file.suffix.lower() in ENDINGS)
            links = [file for file in inside if file.is_symlink()]
            skipped |= {file.relative_to(place).as_posix(): LINK for file in links}
            paths = {
                file.relative_to(place).as_posix(): file for file in inside if not file.is_symlink() and file.is_file()
            }
        elif place.is_file():
            paths = {place.name: place}
        else:
            raise InputError("{file} cannot be read: {why}", file=str(path), why="no file or folder")
        found = cls(str(path), paths, skipped)
        if not found._files:
            raise InputError(
                "{file} has no Parquet or Arrow file that can be read",
                hint="fetch it again from where it was written",
                file=str(path),
            )
        return found

    def tables(self) -> list[str]:
        """The files, by their paths below the folder."""
        return sorted(self._files)

    def skipped(self) -> dict[str, str]:
        """See :class:`~parcelveil.ports.Tables`."""
        return dict(self._skipped)

    def columns(self, table: str) -> list[str]:
        """The columns; those inside of structs by their path (``receiver.phone``)."""
        return list(self._files[table].columns)

    def count(self, table: str) -> int | None:
        """As the file says; None for Arrow streams, which do not say."""
        total = sum(self._files[table].groups)
        return total if total >= 0 else None

    def left_out(self, table: str) -> dict[str, int]:
        """See :class:`~parcelveil.ports.Tables`."""
        return dict(self._left_out.get(table, {}))

    def close(self) -> None:
        """Nothing to do: a file is open while it is read."""

    def batches(
        self, table: str, *, sample: int | None = None, seed: int = 0, batch_rows: int = BATCH_ROWS
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """See :class:`~parcelveil.ports.Tables`."""
        file = self._files[table]
        cells = TextBatches(file.columns, self._left_out.setdefault(table, Counter()))
        untold = -1 in file.groups
        chosen = _choose(file.groups, sample, seed) if sample is not None and not untold else None
        first = 1
        # Only what Arrow does stands inside of `try`: an error of the caller's is not the file's.
        reading = self._guarded(table, lambda: _read(file, chosen, batch_rows))
        if sample is not None and untold:
            reading = _reservoir(reading, sample, seed)
        for batch in reading:
            for part in self._guarded(table, lambda batch=batch: cells.of_arrow(batch, batch_rows)):  # type: ignore[misc]
                yield (first if sample is None else -1), part
                first += part.num_rows

    def _guarded(self, table: str, start: Callable[[], Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        try:
            items = start()
        except _DAMAGE:
            raise self._damaged(table) from None
        while True:
            try:
                item = next(items, None)
            except _DAMAGE:
                raise self._damaged(table) from None
            if item is None:
                return
            yield item

    def _damaged(self, table: str) -> InputError:
        place = self.name if self.name.endswith(table) else f"{self.name}#{table}"
        return InputError(
            "{file} is damaged",
            hint="rows before the damage were read; fetch it again from where it was written",
            file=place,
        )


@contextmanager
def _ipc(path: Path) -> Iterator[tuple[Any, bool]]:
    """An Arrow file's reader, and whether it is one of the random-access format rather than a stream."""
    with pa.OSFile(str(path), "rb") as stream:
        magic = stream.read(6)
        stream.seek(0)
        if magic == b"ARROW1":
            yield pa.ipc.open_file(stream), True
        else:
            with pa.ipc.open_stream(stream) as reader:
                yield reader, False


def _describe(path: Path) -> _File:
    with path.open("rb") as stream:
        parquet = stream.read(4) == b"PAR1"
    if parquet:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            metadata = file.metadata
            groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
            if min(groups, default=0) < 0:
                raise ValueError("a row group of negative length")
            return _File(path, True, flat(file.schema_arrow), groups)
    with _ipc(path) as (reader, random_access):
        # Lengths of batches are in the batches, not in the footer: they are read when all of it is.
        names = flat(reader.schema)
        groups = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)] if random_access else [-1]
        return _File(path, False, names, groups)


def _choose(groups: list[int], sample: int, seed: int) -> list[tuple[int, np.ndarray]] | None:
    """Row groups and the rows in each that a sample consists of; None for all."""
    rows = np.array(groups, dtype=np.int64)
    if sample >= rows.sum():
        return None
    random = np.random.default_rng(seed)
    filled = np.flatnonzero(rows)
    if len(filled) > GROUPS:
        filled = np.sort(random.choice(filled, size=GROUPS, replace=False, p=rows[filled] / rows[filled].sum()))
        missing = sample - rows[filled].sum()
        if missing > 0:  # small ones were drawn: take as many more as it needs
            others = random.permutation(np.setdiff1d(np.flatnonzero(rows), filled))
            enough = int(np.searchsorted(np.cumsum(rows[others]), missing)) + 1
            filled = np.sort(np.concatenate([filled, others[:enough]]))
    ends = np.cumsum(rows[filled])
    drawn = np.sort(random.choice(int(ends[-1]), size=min(sample, int(ends[-1])), replace=False, shuffle=False))
    where = np.searchsorted(ends, drawn, side="right")
    begins = ends - rows[filled]
    return [
        (int(filled[place]), drawn[where == place] - begins[place])
        for place in range(len(filled))
        if np.any(where == place)
    ]


def _read(file: _File, chosen: list[tuple[int, np.ndarray]] | None, batch_rows: int) -> Iterator[pa.RecordBatch]:
    if file.parquet:
        yield from _read_parquet(file, chosen, batch_rows)
        return
    with _ipc(file.path) as (reader, random_access):
        if chosen is None:
            numbers = range(reader.num_record_batches) if random_access else ()
            for batch in map(reader.get_batch, numbers) if random_access else reader:
                _check(batch)
                yield batch
            return
        for group, rows in chosen:
            batch = reader.get_batch(group)
            _check(batch)
            yield batch.take(pa.array(rows))


def _read_parquet(
    file: _File, chosen: list[tuple[int, np.ndarray]] | None, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(file.path, pre_buffer=False, buffer_size=1 << 20, memory_map=False) as reader:
        texts = [field.name for field in reader.schema_arrow if _is_text(field.type)]
        nested = any(pa.types.is_nested(field.type) for field in reader.schema_arrow)
    # Dictionaries stay dictionaries: a small file may repeat a long text without end. Inside of lists they cannot.
    with pq.ParquetFile(
        file.path, pre_buffer=False, buffer_size=1 << 20, memory_map=False, read_dictionary=texts
    ) as reader:
        for group, rows in chosen if chosen is not None else [(number, None) for number in range(len(file.groups))]:
            metadata = reader.metadata.row_group(group)
            wide = max(1, metadata.total_byte_size // max(1, metadata.num_rows))
            size = max(64, min(256 if nested else batch_rows, BATCH_BYTES // wide))
            start = 0
            for batch in reader.iter_batches(size, row_groups=[group], use_threads=False):
                _check(batch)
                if rows is None:
                    yield batch
                else:
                    low, high = np.searchsorted(rows, [start, start + batch.num_rows])
                    if low < high:
                        yield batch.take(pa.array(rows[low:high] - start))
                    if high == len(rows):
                        break
                start += batch.num_rows


def _check(batch: pa.RecordBatch) -> None:
    """Raises for offsets and indices that point outside of their buffers. Text need not be UTF-8: that is seen to later."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        for column in batch.columns:
            bare = column
            if pa.types.is_dictionary(column.type):
                column.indices.validate(full=True)
                bare = column.dictionary
                if len(column.indices) and (pc.max(column.indices).as_py() or 0) >= len(bare):
                    raise
            if pa.types.is_string(bare.type) or pa.types.is_large_string(bare.type):
                bare = bare.view(pa.binary() if pa.types.is_string(bare.type) else pa.large_binary())
            bare.validate(full=True)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind))


def _reservoir(batches: Iterator[pa.RecordBatch], sample: int, seed: int) -> Iterator[pa.RecordBatch]:
    """A sample of a stream whose length is not known: the rows that drew the smallest random numbers."""
    random = np.random.default_rng(seed)
    kept: list[tuple[float, pa.RecordBatch]] = []
    for batch in batches:
        marks = random.random(batch.num_rows)
        limit = kept[-1][0] if len(kept) == sample else 1.0
        rows = np.flatnonzero(marks < limit)
        if len(rows):
            own = batch.take(pa.array(rows))  # a copy: a slice would hold all of its batch
            new = [(mark, own.slice(place, 1)) for place, mark in enumerate(marks[rows].tolist())]
            kept = sorted(kept + new, key=lambda item: item[0])[:sample]
    if kept:
        yield from pa.Table.from_batches([batch for _, batch in kept]).combine_chunks().to_batches()
