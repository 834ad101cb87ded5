"""XLSX workbooks, with the optional package python-calamine (``pip install 'parcelveil[xlsx]'``).

::

    with XlsxSource("orders.xlsx", open("orders.xlsx", "rb"), size=None, sheet="May") as source:
        for raw in source.batches(): ...

The first sheet that has any cell is read (or the one named), its first row with any cell is the header. Every cell
becomes text as a person would type it:

    >>> [cell_text(cell) for cell in (13800138000.0, 0.5, True, " A ", "", 1e21)]
    ['13800138000', '0.5', 'true', ' A ', None, '1e+21']

Numbers above 2**53 have lost digits in the workbook already; they keep the form ``1.3e+17`` so that intake
refuses them instead of taking a wrong number. The sheet is held in memory: size and extent are checked before.
"""

from __future__ import annotations

import datetime
import re
import zipfile
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import numpy as np
import pyarrow as pa

from parcelveil.adapt.source import BATCH_ROWS, MAX_COLUMNS, Source, unique_names
from parcelveil.errors import DependencyError, InputError, UsageError
from parcelveil.waybill import RawBatch, Reject

MAX_BYTES = 2 << 30  # of the workbook's parts, inflated
MAX_CELLS = 64 << 20  # of the rectangle that a sheet's cells span
_BLOCK = 1 << 20
_EXACT = 1 << 53
_REFERENCE = re.compile(rb"""\br\s*=\s*["']\$?([A-Za-z]{1,3})\$?([0-9]{1,9})["']""")
_ROW = re.compile(rb"""<(?:\w+:)?row\b""")


class XlsxSource(Source):
    """One sheet of a workbook. ``stream`` has to be seekable and is closed with the source."""

    def __init__(
        self,
        name: str,
        stream: IO[bytes],
        *,
        size: int | None,
        batch_rows: int = BATCH_ROWS,
        sheet: str | None = None,
    ) -> None:
        self._stream, self._batch_rows = stream, batch_rows
        check_extent(name, stream)
        self._bytes = stream.seek(0, 2)
        stream.seek(0)
        self._rows, self._total = _open_sheet(name, stream, sheet)
        self._row = 0
        header: list[str] = []
        for cells in self._rows:
            self._row += 1
            header = [(cell_text(cell) or "").strip("\ufeff") for cell in cells]
            if any(cell.strip() for cell in header):
                break
        while header and not header[-1].strip():
            header.pop()
        if not header:
            raise InputError("{file} holds no row with text", hint="name another sheet with --sheet", file=name)
        self._raw_schema = pa.schema([(cell, pa.string()) for cell in unique_names(header)])
        super().__init__(name, "xlsx", self._raw_schema, size=size, text=True)

    def position(self) -> int:
        """Bytes of the file that the rows read so far stand for."""
        return self._bytes * self._row // max(self._total, 1)

    def close(self) -> None:
        """Closes the file."""
        self._rows = iter(())
        self._stream.close()

    def _read(self) -> Iterator[RawBatch]:
        width = len(self._raw_schema)
        while rows := list(islice(self._rows, self._batch_rows)):
            first = self._row + 1
            self._row += len(rows)
            numbers: list[int] = []
            texts: list[list[str | None]] = []
            rejects: list[Reject] = []
            for number, cells in enumerate(rows, start=first):
                text = [cell_text(cell) for cell in cells]
                if any(text[width:]):
                    reason = "the row has text in a cell whose column has no name"
                    rejects.append(Reject(self.name, number, None, None, "row.cells", reason))
                elif any(text):
                    numbers.append(number)
                    texts.append(text)
            columns = [pa.array([text[column] for text in texts], pa.string()) for column in range(width)]
            batch = pa.RecordBatch.from_arrays(columns, schema=self._raw_schema)
            if numbers or rejects:
                yield RawBatch(batch, np.array(numbers, dtype=np.int64), rejects)


def cell_text(cell: Any) -> str | None:
    """A cell as text: whole numbers without ``.0``, times in ISO 8601; an empty cell is None."""
    if type(cell) is str:
        return cell or None
    if type(cell) is float:
        return str(int(cell)) if cell.is_integer() and abs(cell) < _EXACT else repr(cell)
    if type(cell) is bool:
        return "true" if cell else "false"
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat()
    return None if cell is None else str(cell)


def _open_sheet(name: str, stream: IO[bytes], sheet: str | None) -> tuple[Iterator[list[Any]], int]:
    try:
        import python_calamine
    except ImportError:
        raise DependencyError(
            "reading {file} needs the package python-calamine",
            hint="pip install 'parcelveil[xlsx]', or save the workbook as CSV",
            file=name,
        ) from None
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(stream)
        if sheet is not None and sheet not in book.sheet_names:
            raise UsageError(
                "{file} has no sheet {sheet}",
                hint="it has: {sheets}",
                file=name,
                sheet=sheet[:80],
                sheets=", ".join(book.sheet_names[:20]),
            )
        for title in book.sheet_names if sheet is None else [sheet]:
            cells = book.get_sheet_by_name(title)
            if cells.height and cells.start is not None:
                return iter(cells.iter_rows()), (cells.end or cells.start)[0] + 1
    except (python_calamine.CalamineError, OSError, ValueError):
        raise _damaged(name) from None
    raise InputError("{file} has no sheet with cells", hint="check the export and try again", file=name)


def _damaged(name: str) -> InputError:
    return InputError(
        "{file} is damaged or is no XLSX workbook",
        hint="open it in a spreadsheet and save it again as .xlsx or CSV; unpack other archives first",
        file=name,
    )


def check_extent(name: str, stream: IO[bytes]) -> None:
    """Refuses a workbook that would not fit in memory once opened (InputError). Inflates it once, block by block.

    The reader lays a sheet out as a full rectangle, so two cells at far corners are enough to exhaust the memory.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            parts = archive.infolist()
            if len(parts) > 10_000 or sum(part.file_size for part in parts) > MAX_BYTES:
                raise _too_big(name)
            for part in parts:
                title = part.filename.lower().lstrip("/")
                if not title.endswith((".xml", ".rels")):
                    continue
                # Inflating everything also proves the declared sizes: a lie ends in a wrong checksum.
                with archive.open(part) as data:
                    _check_part(name, data, sheet="sheet" in title and "sharedstrings" not in title)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError):
        raise _damaged(name) from None


def _check_part(name: str, data: IO[bytes], *, sheet: bool) -> None:
    columns, last_row, rows = b"A", 0, 0
    rest = b""
    while block := data.read(_BLOCK):
        if not sheet:
            continue
        block = rest + block
        rest = block[-64:]
        found = _REFERENCE.findall(block)
        rows += len(_ROW.findall(block))
        if found:
            columns = max(columns, *(letters for letters, _ in found), key=lambda letters: (len(letters), letters))
            last_row = max(last_row, *(int(number) for _, number in found))
    width = 0
    for letter in columns.upper():
        width = width * 26 + letter - 64
    if max(last_row, rows) * width > MAX_CELLS or width > 4 * MAX_COLUMNS:
        raise _too_big(name)


def _too_big(name: str) -> InputError:
    return InputError(
        "{file} is too large to be opened as a workbook",
        hint="save the sheet as CSV, which is read in a stream",
        file=name,
    )
