"""Where the cells of delimited text lie: byte spans, columns and row numbers, in one compiled pass over blocks.

Nothing is copied or decoded; memory is bounded by the block, however long the file, a line or a cell is::

    >>> cells = Cells(",")
    >>> data = np.frombuffer('姓名,电话\\n"Li, Mei",13800138000\\n'.encode(), dtype=np.uint8)
    >>> block = cells.feed(data, last=True)
    >>> [bytes(data[a:b]).decode() for a, b in zip(block.starts, block.ends)]
    ['姓名', '电话', 'Li, Mei', '13800138000']
    >>> block.columns.tolist(), block.rows.tolist(), cells.names
    ([0, 1, 0, 1], [1, 1, 2, 2], ['姓名', '电话'])

**What is read** is RFC 4180 as it is written in the wild. A quote opens a quoted cell only at the cell's beginning; in it
``""`` is a quote and delimiters and newlines are text; what follows the closing quote belongs to the cell. A record ends
at LF, CR LF or CR. Rows may be ragged. A blank line has no cells and still is a row: rows count from 1 as a
spreadsheet counts them.

**Nothing swallows the file.** A quote that is not closed within :data:`MAX_CELL` bytes (or not at all) was none: the
cell is read again as if it were plain. As nothing but doubled quotes can lie in what was looked at in vain, no byte is
looked at more than a few times. A plain cell longer than that comes in pieces, which have the same row and column, and
which are cut behind a byte that is neither letter nor digit where one is near.

**Blocks.** The caller feeds a block, scans what lies before ``consumed``, and puts the rest (never more than
``MAX_CELL + MAX_RECORD`` and a few bytes, once :data:`HEADER_BYTES` were seen) before the next block. The cells do not
depend on where the blocks were cut; a record is split between two blocks only when it is longer than :data:`MAX_RECORD`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.scan.headers import LONGEST_NAME, looks_like_header, shown
from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]
Long = npt.NDArray[np.int64]
Int = npt.NDArray[np.int32]

MAX_CELL = 1 << 20
MAX_RECORD = 1 << 18
#: Columns behind this one are told as the last: what is counted by column stays bounded.
MAX_COLUMNS = 4096
#: The header is looked for in the first bytes of the file, however they come in blocks …
HEADER_BYTES = 1 << 16
#: … and in the first records: exports put titles and blank lines before it.
HEADER_RECORDS = 10
_CUT = 512  # a cut looks this far back for a byte between words

_QUOTE, _LF, _CR, _SPACE = 34, 10, 13, 32


class Located(NamedTuple):
    """Where positions lie, one entry a position: ``rows`` (from 1), ``columns`` (from 0), ``cells`` (index into the
    block's arrays); -1 outside of all cells."""

    rows: Long
    columns: Int
    cells: Long


class CellBlock(NamedTuple):
    """Cells of a block in order. Spans are ``[starts, ends)`` of the block, without the quotes around a cell."""

    starts: Long
    ends: Long
    columns: Int
    rows: Long
    consumed: int  # bytes of the block that these cells, and the ends of their records, took

    def locate(self, positions: Long) -> Located:
        """Row, column and cell of ascending byte positions of the block. One linear pass over cells and positions."""
        cells = _locate(self.starts, self.ends, np.ascontiguousarray(positions, dtype=np.int64))
        inside = cells >= 0
        if not len(self.starts):
            nowhere = np.full(len(cells), -1, dtype=np.int64)
            return Located(nowhere, nowhere.astype(np.int32), cells)
        return Located(
            np.where(inside, self.rows[cells], -1), np.where(inside, self.columns[cells], -1).astype(np.int32), cells
        )


class Cells:
    """Finds the cells of one file; ``delimiter`` is one ASCII character. See the module."""

    def __init__(self, delimiter: str, *, max_cell: int = MAX_CELL, max_record: int = MAX_RECORD) -> None:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n' or max_cell < 2 or max_record < 1:
            raise ValueError("the delimiter is one ASCII character, and limits are positive")
        self._delimiter = ord(delimiter)
        self._max_cell, self._max_record = max_cell, max_record
        # Which column and row comes next, and whether a plain cell goes on there.
        self._column, self._row, self._inside = 0, 1, False
        self._begun = False
        #: The header's cells, and its row; empty and 0 where the file has none. Set by the first feed that consumes.
        self.names: list[str] = []
        self.header_row = 0

    def feed(self, data: Bytes, *, last: bool) -> CellBlock:
        """The cells of ``data`` (uint8, contiguous): what the block before left over, and what came since.

        ``last`` says that nothing follows; then everything is consumed. Before ``HEADER_BYTES`` have come nothing is.
        """
        skip = 0
        if not self._begun:
            if len(data) <= HEADER_BYTES and not last:
                return _index_block(data[:0], self._delimiter, 0, 1, False, False, self._max_cell, self._max_record)[0]
            self._begun = True
            skip = 3 if len(data) >= 3 and data[0] == 0xEF and data[1] == 0xBB and data[2] == 0xBF else 0
            self._read_header(data[skip:HEADER_BYTES], whole=last and len(data) <= HEADER_BYTES)
        block, self._column, self._row, self._inside = _index_block(
            data[skip:],
            self._delimiter,
            self._column,
            self._row,
            self._inside,
            last,
            self._max_cell,
            self._max_record,
        )
        if not skip:
            return block
        return block._replace(starts=block.starts + skip, ends=block.ends + skip, consumed=block.consumed + skip)

    def header(self, columns: Int) -> list[str]:
        """The names of columns, "" for those without one."""
        return [self.names[column] if 0 <= column < len(self.names) else "" for column in columns.tolist()]

    def _read_header(self, data: Bytes, *, whole: bool) -> None:
        block = _index_block(data, self._delimiter, 0, 1, False, whole, self._max_cell, HEADER_BYTES)[0]
        records: dict[int, list[str]] = {}
        for start, end, row in zip(block.starts.tolist(), block.ends.tolist(), block.rows.tolist(), strict=True):
            if row > HEADER_RECORDS + 1:
                break
            cell = bytes(data[start : min(end, start + 5 * LONGEST_NAME)]).decode("utf-8", "replace")
            records.setdefault(row, []).append(cell.replace('""', '"').strip())
        rows, filled = sorted(records), {row: sum(map(bool, cells)) for row, cells in records.items()}
        for place, row in enumerate(rows[:HEADER_RECORDS]):
            # Titles have one filled cell; the first record with more is the header, or there is none.
            if filled[row] >= 2 or max(filled.values()) < 2:
                second = records[rows[place + 1]] if place + 1 < len(rows) else []
                if looks_like_header(records[row], second):
                    self.names, self.header_row = [shown(name) for name in records[row][:MAX_COLUMNS]], row
                return


def _index_block(
    data: Bytes, delimiter: int, column: int, row: int, inside: bool, last: bool, max_cell: int, max_record: int
) -> tuple[CellBlock, int, int, bool]:
    data = np.ascontiguousarray(data)
    # No cell without an end of its own, but for the last and the pieces of long ones.
    most = _ends(data, delimiter) + 2 + len(data) // (max_cell - max_cell // 2)
    starts, ends, rows = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    columns = np.empty(most, np.int32)
    count, consumed, column, row, inside = _index(
        data, delimiter, column, row, inside, last, max_cell, max_record, starts, ends, columns, rows
    )
    return CellBlock(starts[:count], ends[:count], columns[:count], rows[:count], consumed), column, row, inside


@compiled
def _ends(data: Bytes, delimiter: int) -> int:
    """How many bytes are delimiters or newlines."""
    count = 0
    for byte in data:
        count += (byte == delimiter) | (byte == _LF) | (byte == _CR)
    return count


@compiled
def _closing(data: Bytes, position: int, limit: int) -> int:
    """The quote that closes a cell whose content begins at ``position``; ``limit`` when none stands before it."""
    while position < limit:
        if data[position] == _QUOTE:
            if position + 1 >= data.size or data[position + 1] != _QUOTE:
                return position
            position += 1
        position += 1
    return limit


@compiled
def _cut_before(data: Bytes, position: int, back: int) -> int:
    """Where to cut a long cell, at most ``back`` bytes before ``position``: between words, else between characters."""
    for cut in range(position, position - back, -1):
        byte = data[cut - 1]
        if byte < 0x80 and not (0x30 <= byte <= 0x39 or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A):
            return cut
    for cut in range(position, position - min(back, 4), -1):
        if data[cut] & 0xC0 != 0x80:
            return cut
    return position


@compiled
def _index(  # noqa: PLR0915 (one loop: its state would have to be handed from part to part)
    data: Bytes,
    delimiter: int,
    column: int,
    row: int,
    inside: bool,
    last: bool,
    max_cell: int,
    max_record: int,
    starts: Long,
    ends: Long,
    columns: Int,
    rows: Long,
) -> tuple[int, int, int, int, bool]:
    """Fills the arrays; gives the number of cells, the bytes consumed, and the state behind them."""
    size = data.size
    stops = np.zeros(256, dtype=np.bool_)
    stops[delimiter] = stops[_LF] = stops[_CR] = True
    count = position = 0
    # What is to be gone back to when the record does not end in this block.
    whole, whole_position, whole_column, whole_row, whole_inside = 0, 0, column, row, inside
    while position < size:
        begin, at, close = position, position, -1
        if data[position] == _QUOTE and not inside:
            limit = position + 1 + max_cell
            close = _closing(data, position + 1, min(limit, size))
            if (close >= size or close == size - 1) and close < limit and not last:
                break  # it, or the quote that doubles it, may still come
            if close >= min(limit, size):
                close = -1  # no quote at all
                at = position + 1
            else:
                begin, at = position + 1, close + 1
        stop = min(size, position + max_cell)
        while at < stop and not stops[data[at]]:
            at += 1
        if at >= size and not last:
            break
        if at < size and not stops[data[at]]:  # longer than a cell may be: a piece of it
            at = _cut_before(data, at, min(_CUT, max_cell // 2, at - max(begin, close + 1)))
            starts[count], ends[count], columns[count], rows[count] = begin, at, min(column, MAX_COLUMNS - 1), row
            count += 1
            position, inside = at, True
            continue
        if at < size and data[at] == _CR and at + 1 == size and not last:
            break  # its LF may still come
        blank = at == position and column == 0 and not inside and not (at < size and data[at] == delimiter)
        if not blank:
            end = at
            if close >= 0:
                end = close
                for byte in data[close + 1 : at]:
                    if byte != _SPACE:
                        end = at
                        break
            starts[count], ends[count], columns[count], rows[count] = begin, end, min(column, MAX_COLUMNS - 1), row
            count += 1
        inside = False
        if at < size and data[at] == delimiter:
            position = at + 1
            column += 1
            continue
        position = at + 1 if at + 1 >= size or data[at] != _CR or data[at + 1] != _LF else at + 2
        position = min(position, size)
        column = 0
        row += 1
        whole, whole_position, whole_column, whole_row, whole_inside = count, position, column, row, inside
    if last and column > 0 and not inside:  # the file ends behind a delimiter: with an empty cell
        starts[count], ends[count], columns[count], rows[count] = size, size, min(column, MAX_COLUMNS - 1), row
        count += 1
    if last or position - whole_position > max_record:
        return count, position, column, row, inside
    return whole, whole_position, whole_column, whole_row, whole_inside


@compiled
def _locate(starts: Long, ends: Long, positions: Long) -> Long:
    found = np.full(positions.size, -1, dtype=np.int64)
    cell = 0
    for index in range(positions.size):
        while cell + 1 < starts.size and starts[cell + 1] <= positions[index]:
            cell += 1
        if cell < starts.size and starts[cell] <= positions[index] < ends[cell]:
            found[index] = cell
    return found
