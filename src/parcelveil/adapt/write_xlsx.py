"""XLSX, with the optional package xlsxwriter (``pip install 'parcelveil[xlsx]'``).

::

    encoder = XlsxEncoder(target, schema, "orders.xlsx")
    encoder.write(batch)
    encoder.finish()

Text is written as text: no formula, no link, no number made of a phone. The workbook is built in memory, because the
package's temporary files would hold clear data; a sheet ends at 1,048,575 rows and a cell at 32,767 characters.
"""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from parcelveil.adapt.write_text import text_column
from parcelveil.errors import DependencyError, OutputError

MAX_ROWS = 1_048_575  # and the header
MAX_COLUMNS = 16_384
MAX_CHARACTERS = 32_767
_EXACT = 10**15  # a spreadsheet keeps 15 digits

_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "nan_inf_to_errors": False,
}


class XlsxEncoder:
    """Writes one sheet ``waybills`` to the file object ``target`` when it is finished. ``path`` is for messages."""

    def __init__(self, target: Any, schema: pa.Schema, path: str) -> None:
        try:
            import xlsxwriter
        except ImportError:
            raise DependencyError(
                "writing {file} needs the package xlsxwriter",
                hint="pip install 'parcelveil[xlsx]', or write .csv",
                file=path,
            ) from None
        self._path = path
        self._book = xlsxwriter.Workbook(target, _OPTIONS)
        self._sheet = self._book.add_worksheet("waybills")
        self._rows = 0
        if len(schema) > MAX_COLUMNS:
            raise self._too_much("columns", MAX_COLUMNS)
        for index, name in enumerate(schema.names):
            self._text(0, index, name)

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds the rows of ``batch``."""
        if self._rows + batch.num_rows > MAX_ROWS:
            raise self._too_much("rows", MAX_ROWS)
        first = self._rows + 1
        for index, column in enumerate(batch.columns):
            kind = column.type
            number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
            cells = (column if number else text_column(column)).to_pylist()
            for row, cell in enumerate(cells, start=first):
                if cell is None:
                    continue
                if type(cell) is str:
                    self._text(row, index, cell)
                elif type(cell) is bool:
                    self._sheet.write_boolean(row, index, cell)
                elif math.isfinite(cell) and abs(cell) < _EXACT:
                    self._sheet.write_number(row, index, cell)
                else:
                    self._text(row, index, str(cell))
        self._rows += batch.num_rows

    def _text(self, row: int, column: int, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise self._too_much("characters in a cell", MAX_CHARACTERS)
        self._sheet.write_string(row, column, text)

    def _too_much(self, what: str, limit: int) -> OutputError:
        return OutputError(
            "{file} would need more than {limit} {what}, the most that a workbook holds",
            hint="write .csv or .parquet instead, or in parts",
            file=self._path,
            what=what,
            limit=limit,
        )

    def finish(self) -> None:
        """Builds the workbook and writes it."""
        self._book.close()
