"""Rows of cells as table documents: which row is the header, what a cell is as text, batches of bounded size.

::

    table(item, place, "xlsx", rows)         # rows: (number as a spreadsheet counts, cells) in rising order

The header is the first row, among the first sixteen, that spans most of the width and holds only words; rows above it
(titles) are data like those below. A column without a header is named by its letter.

    >>> [cell_text(cell) for cell in (13800138000.0, 0.5, True, " A ", "", 1.1010119900307e17)]
    ['13800138000', '0.5', 'true', ' A ', None, '110101199003070000']
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place
from parcelveil.scan.read import why
from parcelveil.scan.read.item import Entry, Item

Row = tuple[int, Sequence[str | None]]
Batches = Iterator[tuple[int, pa.RecordBatch]]

BATCH_ROWS = 16_384
#: Of one batch: cells, and characters (a workbook may refer to one long string a million times).
_CELLS = 1 << 20
_CHARACTERS = 16 << 20
_HEADER_ROWS = 16
_VALUE = re.compile(r"\d{5}|@")
#: From here on columns that are empty in a batch are left out of it.
_WIDE = 256
#: Empty rows up to here are filled in; a larger gap begins another batch.
_GAP = 64


def cell_text(cell: Any) -> str | None:
    """A cell as text: whole numbers without a point or exponent, times in ISO 8601; an empty cell is None."""
    if type(cell) is str:
        return cell or None
    if type(cell) is float:
        return format(cell, ".0f") if cell.is_integer() and abs(cell) < 1e22 else repr(cell)
    if type(cell) is bool:
        return "true" if cell else "false"
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat()
    return None if cell is None else str(cell)


def letter(column: int) -> str:
    """The name of a column from 0 as a spreadsheet has it.

    >>> letter(0), letter(25), letter(26), letter(16383)
    ('A', 'Z', 'AA', 'XFD')
    """
    name = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        name = chr(65 + digit) + name
    return name


def table(item: Item, place: Place, name: str, rows: Iterable[Row]) -> Iterator[Document]:
    """One sheet or table as a document, none when it is empty; its rows are counted in the item's entry."""
    batches = item.entry.watch(_batches(item, iter(rows)))
    first = next(batches, None)
    if first is not None:
        yield Document(place, "table", format=name, batches=chain([first], batches))


def counted(entry: Entry, batches: Batches) -> Batches:
    """``batches``, watched and their rows counted."""
    return _counted(entry, entry.watch(batches))


def _counted(entry: Entry, batches: Batches) -> Batches:
    for first, batch in batches:
        entry.rows += batch.num_rows
        yield first, batch


def header_of(rows: Sequence[Row]) -> int:
    """The place of the header among the first rows; -1 when there is none."""
    counts = [sum(bool(cell and cell.strip()) for cell in cells) for _, cells in rows]
    if not counts or not max(counts):
        return -1
    for place, ((_, cells), count) in enumerate(zip(rows, counts, strict=True)):
        if count * 2 > max(counts):
            words = [cell for cell in cells if cell and cell.strip()]
            good = not any(_VALUE.search(cell) or _number(cell) or len(cell) > 100 for cell in words)
            return place if good and (len(rows) > place + 1 or len(rows) == 1) else -1
    return -1


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _batches(item: Item, rows: Iterator[Row]) -> Batches:
    damage: list[Exception] = []
    rows = _until(rows, damage)
    first = list(islice(rows, _HEADER_ROWS))
    place = header_of(first)
    names = [" ".join((cell or "").split())[:200] for cell in first[place][1]] if place >= 0 else []
    if place >= 0:
        item.entry.got = True
        del first[place]
    waiting: list[Sequence[str | None]] = []
    start = expected = width = size = 0
    for number, cells in chain(first, rows):
        if len(cells) > item.budget.limits.columns:
            item.entry.say(why.TOO_WIDE)
            cells = cells[: item.budget.limits.columns]  # noqa: PLW2901
        gap = number - expected
        full = len(waiting) >= BATCH_ROWS or len(waiting) * max(width, len(cells)) > _CELLS or size > _CHARACTERS
        if waiting and (gap < 0 or gap > _GAP or full):
            yield start, _batch(waiting, width, names)
            waiting, width, size = [], 0, 0
        if not waiting:
            start, gap = number, 0
        waiting += [()] * gap
        item.entry.rows += any(cells)
        waiting.append(cells)
        expected = number + 1
        width = max(width, len(cells))
        size += sum(len(cell) for cell in cells if cell)
    if waiting:
        yield start, _batch(waiting, width, names)
    if damage:
        raise damage[0]


def _until(rows: Iterator[Row], damage: list[Exception]) -> Iterator[Row]:
    """``rows`` up to the first error, which is put aside until those before it were told."""
    try:
        yield from rows
    except Exception as error:  # noqa: BLE001  raised again, later
        damage.append(error)


def _batch(rows: list[Sequence[str | None]], width: int, names: Sequence[str]) -> pa.RecordBatch:
    used: Iterable[int] = range(width)
    if width > _WIDE:  # one cell at the far end would make thousands of empty columns
        used = sorted({at for row in rows for at, cell in enumerate(row) if cell})
    columns = [pa.array([row[at] if at < len(row) else None for row in rows], pa.string()) for at in used]
    every = unique(names, width)
    return pa.RecordBatch.from_arrays(columns, names=[every[at] for at in used])


def unique(names: Sequence[str], width: int) -> list[str]:
    """``width`` names for columns: letters where there are none, a number behind those that come again."""
    found: list[str] = []
    seen: dict[str, int] = {}
    for at in range(width):
        name = (names[at] if at < len(names) else "") or letter(at)
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
