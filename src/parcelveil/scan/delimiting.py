"""The cells of delimited text as the scanner needs them: kept until the text around them is scanned, with positions in the
whole text; names and addresses are looked for column by column as the cells come.

::

    cells = Delimited(",", detector)
    fed = cells.feed(data, base, last=False)          # bytes that are taken
    columns = cells.columns(base)                     # with positions in data that begins at byte `base`
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.scan.cells_pass import Judged
from parcelveil.scan.delimited import HEADER_BYTES, Cells
from parcelveil.scan.hits import NO_HITS, Bytes, Columns, Detector, Hits, Index

#: Columns whose headers are looked at.
_MOST_COLUMNS = 512


class Delimited:
    """The cells of one text, from its beginning on."""

    def __init__(self, delimiter: str, detector: Detector) -> None:
        self._cells, self._detector = Cells(delimiter), detector
        self._starts, self._ends = np.empty(0, np.int64), np.empty(0, np.int64)
        self._column, self.rows = np.empty(0, np.int32), np.empty(0, np.int64)
        self._people = NO_HITS
        self._headers: Bytes | None = None
        self._judged: dict[int, Judged] = {}

    def feed(self, data: Bytes, base: int, *, last: bool) -> int:
        """Take the cells of the records that are complete in ``data``. Returns how many bytes they took."""
        block = self._cells.feed(data, last=last)
        self._starts = np.concatenate([self._starts, block.starts + base])
        self._ends = np.concatenate([self._ends, block.ends + base])
        self._column = np.concatenate([self._column, block.columns])
        self.rows = np.concatenate([self.rows, block.rows])
        if self._headers is None and block.consumed:
            names = self._cells.names[:_MOST_COLUMNS]
            rows = [self._detector.header(name) for name in names] or [self._detector.header("")]
            self._headers = np.stack(rows)
        self._people = Hits.joined([self._people, self._named(data, block.starts, block.ends, block.columns, base)])
        return int(block.consumed)

    def _named(self, data: Bytes, starts: Index, ends: Index, columns: npt.NDArray[np.int32], base: int) -> Hits:
        parts = []
        order = np.argsort(columns, kind="stable")
        bounds = np.searchsorted(columns[order], np.arange(int(columns.max(initial=-1)) + 2))
        for column in range(min(len(bounds) - 1, _MOST_COLUMNS)):
            which = order[bounds[column] : bounds[column + 1]]
            if len(which):
                name = self._cells.names[column] if column < len(self._cells.names) else ""
                first, last = starts[which], ends[which]
                hits = self._detector.by_column(
                    data, first, last, name, self._judge(column, data, first, last, base, name)
                )
                parts.append(
                    hits._replace(start=hits.start + base, end=hits.end + base, cell=np.full_like(hits.cell, -1))
                )
        return Hits.joined(parts)

    def _judge(self, column: int, data: Bytes, starts: Index, ends: Index, base: int, name: str) -> Judged | None:
        """What a column is, by its cells in the first bytes of the text: wherever blocks begin, these come first."""
        if column not in self._judged and self._detector.people is not None:
            early = ends + base <= HEADER_BYTES
            self._judged[column] = self._detector.people.judge(data, starts[early], ends[early], name)
        return self._judged.get(column)

    def people(self, low: int, high: int) -> Hits:
        """Names and addresses that were found by their columns between two bytes of the text, as positions behind the first."""
        start = self._people.start
        part = self._people.take((start >= low) & (start < high))
        return part._replace(start=part.start - low, end=part.end - low)

    def columns(self, base: int) -> Columns:
        """The cells that are kept, as positions behind byte ``base`` of the text."""
        headers = self._headers if self._headers is not None else self._detector.header("").reshape(1, -1).copy()
        return Columns(self._starts - base, self._ends - base, self._column, headers, self._cells.names)

    def drop(self, before: int) -> None:
        """Forget the cells that end before a byte of the text."""
        keep = int(np.searchsorted(self._ends, before))
        self._starts, self._ends = self._starts[keep:], self._ends[keep:]
        self._column, self.rows = self._column[keep:], self.rows[keep:]
        self._people = self._people.take(self._people.end >= before)
