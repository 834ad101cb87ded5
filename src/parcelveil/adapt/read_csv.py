"""CSV and TSV, streamed; whole files of any size in constant memory.

    >>> import io
    >>> data = b"no;name;;\\n1;Ann\\n2;\\"B\\nob\\"\\n\\n3;Eve;;\\n4;x;y;z\\n5\\n"
    >>> source = CsvSource("a.csv", "csv", io.BufferedReader(io.BytesIO(data)), size=None)
    >>> for raw in source.batches():
    ...     raw.batch.to_pydict(), raw.rows.tolist(), [(r.row, r.code) for r in raw.rejects]
    ({'no': ['1', '2', '3'], 'name': ['Ann', 'B\\nob', 'Eve']}, [2, 3, 5], [(6, 'row.cells'), (7, 'row.cells')])

The delimiter is the one of ``, ; tab |`` that splits the first records best. A record without any value is no row. A
surplus cell is accepted when it is blank, and a missing one when its column has no name; every other row
that does not have the header's number of cells is rejected (``row.cells``).

A cell that begins with apostrophes and then ``= + - @`` or a control character loses one apostrophe: spreadsheets
write such cells to keep them text, and so do we (:mod:`parcelveil.adapt.write_text`).
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from parcelveil.adapt.csv_header import header_of
from parcelveil.adapt.source import BATCH_ROWS, MAX_LINE, Source, unique_names
from parcelveil.adapt.text_input import BLOCK, TextInput
from parcelveil.errors import InputError
from parcelveil.waybill import RawBatch, Reject

_MAX_CELLS = 16384  # a spreadsheet's widest row; beyond the named columns they must be blank
_MAX_BAD_RUN = 200_000
#: Bytes parsed at once; Arrow reads up to 32 such pieces ahead. A row with line breaks inside has to fit into one; a
#: row without may be as long as MAX_LINE.
CHUNK = 2 << 20
#: A cell whose first apostrophe only keeps it from being run as a formula.
GUARDED = r"^''*[=+\-@\t\r\n＝＋－＠]"


class CsvSource(Source):
    """A delimited text file. ``stream`` gives its bytes and is closed with the source."""

    def __init__(
        self,
        name: str,
        format: str,
        stream: IO[bytes],
        *,
        size: int | None,
        encoding: str | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._text = TextInput(name, stream, encoding=encoding)
        self._batch_rows = batch_rows
        head, cells, self._delimiter, self._first_row = header_of(name, self._text, "\t" if format == "tsv" else None)
        self._body = _Body(self._text, head)
        self._width = len(cells)
        while cells and not cells[-1].strip():
            cells.pop()
        if self._width > _MAX_CELLS or not cells:
            raise InputError(
                "the header of {file} has {count} cells, {named} of them with a name",
                hint="check the delimiter, and that the first row names the columns",
                file=name,
                count=self._width,
                named=len(cells),
            )
        names = unique_names([cell.strip("\ufeff") for cell in cells])
        super().__init__(name, format, pa.schema([(cell, pa.string()) for cell in names]), size=size, text=True)
        self._raw_schema = pa.schema([(cell, pa.string()) for cell in names])

    @property
    def encoding(self) -> str | None:
        """The text encoding, as given or detected."""
        return self._text.encoding

    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._text.position()

    def close(self) -> None:
        """Closes the file."""
        self._text.close()

    def _read(self) -> Iterator[RawBatch]:
        rows = _Rows(self.name, self._first_row, self._raw_schema, self._width, self._delimiter)
        token = secrets.token_hex(16)
        # After the last record comes one of our own. If it does not arrive as it was sent, a quotation was left open.
        self._body.closing = self._delimiter.join([token] * self._width).encode()
        reader: Any = None
        held: pa.RecordBatch | None = None
        while True:
            try:
                reader = reader or self._arrow_reader(rows)
                batch = reader.read_next_batch()
            except StopIteration:
                break
            except pa.ArrowInvalid:
                raise self._unreadable(rows, held) from None
            if batch.num_rows == 0:
                continue
            if held is not None:
                yield from self._sliced(rows.take(held))
            held = batch
        yield from self._sliced(rows.finish(held, token, cut=self._text.cut))

    def _arrow_reader(self, rows: _Rows) -> Any:
        columns = [f"f{index}" for index in range(self._width)]
        return pacsv.open_csv(
            pa.PythonFile(self._body, mode="r"),
            # One thread: only then are the rows numbered.
            read_options=pacsv.ReadOptions(column_names=columns, block_size=MAX_LINE, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=rows.on_bad_row,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                check_utf8=False,  # TextInput did
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
            ),
        )

    def _unreadable(self, rows: _Rows, held: pa.RecordBatch | None) -> InputError:
        if rows.bad_run >= _MAX_BAD_RUN:
            return InputError(
                "more than {count} rows in sequence of {file} do not have the header's number of cells",
                hint="check the first row and the delimiter",
                count=_MAX_BAD_RUN,
                file=self.name,
            )
        return InputError(
            "a row of {file} after row {row} does not end within {limit} MiB",
            hint="most likely a quotation mark is opened there and never closed",
            file=self.name,
            row=rows.next_row - 1 + (0 if held is None else held.num_rows),
            limit=CHUNK >> 20,
        )

    def _sliced(self, raw: RawBatch) -> Iterator[RawBatch]:
        rejects = raw.rejects
        for start in range(0, max(raw.batch.num_rows, 1), self._batch_rows):
            part = slice(start, start + self._batch_rows)
            stop = raw.rows[part][-1] if raw.batch.num_rows > part.stop else np.iinfo(np.int64).max
            mine = [reject for reject in rejects if reject.row <= stop] if rejects else []
            rejects = rejects[len(mine) :]
            if len(raw.rows[part]) or mine:
                yield RawBatch(raw.batch.slice(start, self._batch_rows), raw.rows[part], mine)


class _Body:
    """What Arrow reads: the rest of the head, the rest of the text, a closing record."""

    def __init__(self, text: TextInput, head: bytes) -> None:
        self._text, self._head = text, head
        self._last = b"\n"
        self._ended = False
        self.closing = b""
        self.closed = False

    def read(self, size: int) -> bytes:
        if self._ended:
            return b""
        parts: list[bytes] = []
        wanted = min(size, CHUNK)
        while wanted > 0 or (size > 0 and not any(b"\n" in part or b"\r" in part for part in parts)):
            take = min(size, BLOCK, CHUNK)
            if self._head:
                data, self._head = self._head[:take], self._head[take:]
            else:
                data = self._text.read(take)
            if not data:
                self._ended = True
                parts.append((b"" if self._last == b"\n" else b"\n") + self.closing)
                break
            parts.append(data)
            self._last = data[-1:]
            size -= len(data)
            wanted -= len(data)
        return b"".join(parts)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


class _Rows:
    """Numbers the rows of Arrow's batches and collects what did not fit."""

    def __init__(self, source: str, header_row: int, schema: pa.Schema, width: int, delimiter: str) -> None:
        self._source, self._schema, self._width, self._delimiter = source, schema, width, delimiter
        self._base = header_row
        self._need = max((i + 1 for i, name in enumerate(schema.names) if name.strip()), default=1)
        self.next_row = header_row + 1
        self.bad_run = 0
        self._bad: list[int] = []
        self._rejects: list[Reject] = []
        self._mended: list[tuple[int, list[str]]] = []
        self._last_bad = (0, "")

    def on_bad_row(self, row: Any) -> str:
        """Arrow's handler of a record with another number of cells than the header."""
        if self.bad_run >= _MAX_BAD_RUN:
            return "error"
        self.bad_run += 1
        number = self._base + row.number
        self._bad.append(number)
        self._last_bad = (number, row.text)
        if row.actual_columns > self._width or row.actual_columns >= self._need:
            try:
                cells = next(csv.reader(io.StringIO(row.text, newline=""), delimiter=self._delimiter), [])
            except csv.Error:
                cells = []
            if len(cells) == row.actual_columns and not any(cells[len(self._schema) :]):
                cells = (cells + [""] * self._width)[: len(self._schema)]
                self._mended.append((number, cells))
                return "skip"
        elif not row.text.strip(self._delimiter + "\r\n"):
            return "skip"
        self._rejects.append(self._cells_reject(number, row.actual_columns))
        return "skip"

    def _cells_reject(self, number: int, count: int) -> Reject:
        few = count < self._width
        reason = f"the row has {count} cells, the header {self._width}; " + (
            "it seems cut off" if few else "a quotation mark or delimiter seems out of place"
        )
        return Reject(self._source, number, None, None, "row.cells", reason)

    def take(self, batch: pa.RecordBatch) -> RawBatch:
        """``batch`` with its row numbers, mended rows put in their places."""
        rows = self._number(batch.num_rows)
        return self._clean(batch, rows)

    def _number(self, count: int) -> npt.NDArray[np.int64]:
        bad = np.array(self._bad, dtype=np.int64)
        free = np.arange(self.next_row, self.next_row + count + len(bad), dtype=np.int64)
        rows = free[~np.isin(free, bad)][:count] if len(bad) else free
        if count:
            self.next_row = int(rows[-1]) + 1
            self._bad = bad[bad >= self.next_row].tolist()
            self.bad_run = len(self._bad)
        return rows

    def _clean(self, batch: pa.RecordBatch, rows: npt.NDArray[np.int64], *, last: bool = False) -> RawBatch:
        limit = np.iinfo(np.int64).max if last else self.next_row
        named = len(self._schema)
        rejects = [reject for reject in self._rejects if reject.row < limit]
        self._rejects = self._rejects[len(rejects) :]
        mended = [row for row in self._mended if row[0] < limit]
        self._mended = self._mended[len(mended) :]
        columns = batch.columns[:named]
        surplus = [column for column in batch.columns[named:] if column.null_count < len(column)]
        clean = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        if surplus:
            full = np.zeros(len(rows), dtype=bool)
            for column in surplus:
                full |= column.is_valid().to_numpy(zero_copy_only=False)
            reason = "the row has text in a cell whose column has no name"
            rejects += [Reject(self._source, row, None, None, "row.cells", reason) for row in rows[full].tolist()]
            rejects.sort(key=lambda reject: reject.row)
            clean, rows = clean.filter(pa.array(~full)), rows[~full]
        if mended:
            clean, rows = self._merge(clean, rows, mended)
        clean, rows = _without_blank(clean, rows)
        return RawBatch(_unguarded(clean), rows, rejects)

    def _merge(
        self, batch: pa.RecordBatch, rows: npt.NDArray[np.int64], mended: list[tuple[int, list[str]]]
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
        cells = [[cell or None for cell in column] for column in zip(*(cells for _, cells in mended), strict=True)]
        extra = pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in cells], schema=self._schema)
        rows = np.concatenate([rows, np.array([row for row, _ in mended], dtype=np.int64)])
        order = np.argsort(rows, kind="stable")
        both = pa.concat_batches([batch, extra]).take(pa.array(order))
        return both, rows[order]

    def finish(self, batch: pa.RecordBatch | None, token: str, *, cut: bool) -> RawBatch:
        """The last batch, without the closing record. ``cut``: the text ended inside a character."""
        if batch is None:
            batch = pa.RecordBatch.from_pylist(
                [], schema=pa.schema([(f"f{index}", pa.string()) for index in range(self._width)])
            )
        rows = self._number(batch.num_rows)
        arrived = bool(len(rows)) and all(column[-1].as_py() == token for column in batch.columns)
        if arrived or (len(rows) and token in (batch.column(self._width - 1)[-1].as_py() or "")):
            last = int(rows[-1])
            batch, rows = batch.slice(0, len(rows) - 1), rows[:-1]
        else:  # an open quotation took it, and the record then had the wrong number of cells
            last = self._last_bad[0]
            self._rejects = [reject for reject in self._rejects if reject.row != last]
            self._mended = [row for row in self._mended if row[0] != last]
        raw = self._clean(batch, rows, last=True)
        if not arrived:
            reason = "a quotation mark is opened in this row and never closed; everything after it was not read"
            return raw._replace(rejects=[*raw.rejects, Reject(self._source, last, None, None, "row.quote", reason)])
        return _cut_last(raw, last - 1, self._source) if cut else raw


def _cut_last(raw: RawBatch, last: int, source: str) -> RawBatch:
    """Rejects the row before the closing one unless it was rejected already."""
    if any(reject.row == last for reject in raw.rejects) or not len(raw.rows) or raw.rows[-1] != last:
        return raw
    reject = Reject(source, last, None, None, "row.cells", "the file ends in the middle of this row's last cell")
    return RawBatch(raw.batch.slice(0, len(raw.rows) - 1), raw.rows[:-1], [*raw.rejects, reject])


def _without_blank(batch: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
    blank = np.ones(len(rows), dtype=bool)
    for column in batch.columns:
        if column.null_count == 0:
            return batch, rows
        blank &= column.is_null().to_numpy(zero_copy_only=False)
    if not blank.any():
        return batch, rows
    return batch.filter(pa.array(~blank)), rows[~blank]


def _unguarded(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = batch.columns
    for index, column in enumerate(columns):
        if not pc.any(pc.starts_with(column, "'")).as_py():
            continue
        guarded = pc.match_substring_regex(column, GUARDED)
        columns[index] = pc.if_else(guarded, pc.utf8_slice_codeunits(column, 1), column)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
