"""Workbooks: XLSX, ODS and XLS, every sheet of them, hidden ones too, read in a stream, a row at a time.

::

    read_workbook(item, archive, run)        # one table a sheet, then comments, text boxes, what is embedded

No sheet is laid out in full: two cells at far corners cost two rows. Of an XLSX the shared strings are held (they are
bounded like all that is held). Repeated empty cells and rows of ODS, which may be millions, only move the count.
Numbers come as they are written: a date stays the number of its day. Workbooks for Excel's binary XLSB are not read.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from itertools import chain, groupby

from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place
from parcelveil.scan.read import why
from parcelveil.scan.read.biff import notes_of, rows_of
from parcelveil.scan.read.cells import Row, cell_text, table
from parcelveil.scan.read.cfb import Compound
from parcelveil.scan.read.item import Item, Run, shown
from parcelveil.scan.read.limits import Stopped
from parcelveil.scan.read.office import parsed, read_office
from parcelveil.scan.read.runs import runs_of

_WORKSHEET = re.compile(r"xl/worksheets/([^/]+)\.xml", re.IGNORECASE)
#: A repeated value is the same value: it is told again for so many columns.
_REPEATS = 64


def read_workbook(item: Item, archive: zipfile.ZipFile, run: Run) -> Iterator[Document]:
    """All sheets of an XLSX or ODS, in the order of its parts, and the texts beside them."""
    yield from _sheets(item, archive)
    yield from read_office(item, archive, run)


def read_compound(item: Item, _run: Run) -> Iterator[Document]:
    """XLS; the printable text of Word, PowerPoint and Outlook files of old; a word on encrypted ones."""
    data = item.whole()
    file = Compound(data)
    name = next((name for name in ("Workbook", "Book") if name in file.names), "")
    item.entry.format = "xls" if name else "office"
    if {"EncryptedPackage", "EncryptionInfo"} & file.names:
        raise Stopped(why.ENCRYPTED)
    if not name:
        item.entry.say(why.OLD_FORMAT)
        pieces = item.entry.watch(runs_of(item.random()))
        yield Document(item.place, "text", format="office", chunks=pieces, size=len(data))
        return
    book = file.stream(name)
    item.entry.got = True
    yield from _grouped(item, rows_of(book))
    notes = item.entry.watch(text.encode("utf-8", "replace") for text in notes_of(book))
    if first := next(notes, b""):
        place = Place(item.place.source, member=item.place.member, part="comments")
        yield Document(place, "text", format="xls", chunks=chain([first], notes))


def _grouped(item: Item, rows: Iterator[tuple[str, int, list[str | None]]]) -> Iterator[Document]:
    """A table for each title in the stream of rows."""
    for title, group in groupby(_punctual(item, rows), key=lambda row: row[0]):
        place = Place(item.place.source, member=item.place.member, part=shown(title))
        yield from table(item, place, item.entry.format, ((number, cells) for _, number, cells in group))


def _punctual(
    item: Item, rows: Iterator[tuple[str, int, list[str | None]]]
) -> Iterator[tuple[str, int, list[str | None]]]:
    for count, row in enumerate(rows):
        if not count % 1024 and (spent := item.budget.spent):
            raise Stopped(spent)
        yield row


def _sheets(item: Item, archive: zipfile.ZipFile) -> Iterator[Document]:
    if item.entry.format == "ods":
        content = archive.getinfo("content.xml")
        yield from _grouped(item, _ods(item, archive, content))
        return
    held = item.budget.held
    try:
        shared = _shared(item, archive)
        titles = _titles(item, archive)
        for info in archive.infolist():
            if found := _WORKSHEET.fullmatch(info.filename):
                part = shown(titles.get(info.filename.lower(), found[1]))
                place = Place(item.place.source, member=item.place.member, part=part)
                item.entry.got = True
                yield from table(item, place, "xlsx", _xlsx(item, archive, info, shared))
    finally:
        item.budget.release(item.budget.held - held)


class _Titles:
    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []
        self.targets: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            number = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            self.sheets.append((number, attributes.get("name", "")))
        elif name == "Relationship":
            target = attributes.get("Target", "").lower().lstrip("/")
            self.targets[attributes.get("Id", "")] = target if target.startswith("xl/") else f"xl/{target}"


def _ignore(_: str) -> None:
    """An event that says nothing here."""


def _titles(item: Item, archive: zipfile.ZipFile) -> dict[str, str]:
    """The sheets' names by their part's name; what cannot be told is left out."""
    sink = _Titles()
    for name in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels"):
        try:
            for _ in parsed(item, archive, archive.getinfo(name), sink.start, _ignore, _ignore):
                pass
        except Stopped:
            raise
        except Exception:  # noqa: BLE001  the sheets are read without their names
            item.entry.say(why.DAMAGED)
    return {sink.targets[number]: title for number, title in sink.sheets if number in sink.targets}


class _Strings:
    def __init__(self) -> None:
        self.found: list[str] = []
        self.size = 0
        self._parts: list[str] = []
        self._inside = False

    def start(self, name: str, _: dict[str, str]) -> None:
        if name == "si":
            self._parts = []
        self._inside = name == "t"

    def end(self, name: str) -> None:
        self._inside = False
        if name == "si":
            self.found.append("".join(self._parts))
            self.size += len(self.found[-1]) + 64

    def characters(self, text: str) -> None:
        if self._inside:
            self._parts.append(text)


def _shared(item: Item, archive: zipfile.ZipFile) -> list[str]:
    sink = _Strings()
    info = next((info for info in archive.infolist() if info.filename.lower() == "xl/sharedstrings.xml"), None)
    if info is None:
        return []
    held = 0
    try:
        for _ in parsed(item, archive, info, sink.start, sink.end, sink.characters):
            item.budget.hold(sink.size - held)
            held = sink.size
    except Exception as error:  # noqa: BLE001  the cells that do not need them are read all the same
        item.entry.say(error.why if isinstance(error, Stopped) else why.DAMAGED)
    return sink.found


class _Cells:
    """Rows from the events of a sheet's XML; the commonest events are asked for first."""

    def __init__(self, shared: list[str], columns: int) -> None:
        self.rows: list[Row] = []
        self.wide = False
        self._shared, self._most = shared, columns
        self._numbers: dict[str, int] = {}  # of columns, by their letters
        self._row = self._column = 0
        self._cells: list[str | None] = []
        self._kind = "n"
        self._parts: list[str] = []
        self._inside = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            letters = attributes.get("r", "").rstrip("0123456789")
            number = self._numbers.get(letters)
            self._column = self._number(letters) if number is None else number
            self._kind = attributes.get("t", "n")
            self._parts = []
        elif name in ("v", "t"):
            self._inside = True
        elif name == "row":
            number_ = attributes.get("r", "")
            self._row = int(number_) if number_.isdecimal() and len(number_) < 10 else self._row + 1
            self._cells, self._column = [], -1

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._inside = False
        elif name == "c":
            if not self._parts:
                return
            column, have = self._column, len(self._cells)
            if column >= self._most:
                self.wide = True
                return
            value = self._value(self._parts[0] if len(self._parts) == 1 else "".join(self._parts))
            if column == have:
                self._cells.append(value)
            else:
                if column > have:
                    self._cells += [None] * (column + 1 - have)
                self._cells[column] = value
        elif name == "row" and any(self._cells):
            self.rows.append((self._row, self._cells))

    def characters(self, text: str) -> None:
        if self._inside:
            self._parts.append(text)

    def _value(self, text: str) -> str | None:
        if self._kind == "s":
            try:
                return self._shared[int(text)] or None
            except (ValueError, IndexError):
                return None
        if self._kind == "n" and not text.isdecimal():
            try:
                return cell_text(float(text))
            except ValueError:
                return text
        return text or None

    def _number(self, letters: str) -> int:
        """The number of a column; the one behind the last when it is not told, as the format allows."""
        number = 0
        for letter in letters.upper():
            if not "A" <= letter <= "Z" or len(letters) > 3:
                return self._column + 1
            number = number * 26 + ord(letter) - 64
        if not number:
            return self._column + 1
        self._numbers[letters] = number - 1
        return number - 1


def _xlsx(item: Item, archive: zipfile.ZipFile, info: zipfile.ZipInfo, shared: list[str]) -> Iterator[Row]:
    sink = _Cells(shared, item.budget.limits.columns)
    for _ in parsed(item, archive, info, sink.start, sink.end, sink.characters):
        yield from sink.rows
        sink.rows = []
        if sink.wide:
            item.entry.say(why.TOO_WIDE)


class _Table:
    """Rows from the events of an ODS."""

    def __init__(self, columns: int) -> None:
        self.rows: list[tuple[str, int, list[str | None]]] = []
        self._most = columns
        self._title = ""
        self._row = self._repeat_row = self._repeat = self._inside = 0
        self._cells: list[str | None] = []
        self._parts: list[str] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "table":
            self._title, self._row = attributes.get("table:name", ""), 0
        elif name == "table-row":
            self._repeat_row = _repeats(attributes.get("table:number-rows-repeated"))
            self._cells, self._count = [], 0
        elif name in ("table-cell", "covered-table-cell"):
            self._repeat = _repeats(attributes.get("table:number-columns-repeated"))
            self._parts = []
        elif name == "p":
            self._inside += 1
            if self._parts:
                self._parts.append(" ")
        elif name in ("s", "tab", "line-break"):
            self._parts.append(" ")

    def end(self, name: str) -> None:
        if name == "p":
            self._inside -= 1
        elif name in ("table-cell", "covered-table-cell"):
            text = "".join(self._parts)
            if text and self._count < self._most:
                self._cells += [None] * (self._count - len(self._cells))
                self._cells += [text] * min(self._repeat, _REPEATS, self._most - self._count)
            self._count = min(self._count + self._repeat, 1 << 30)
        elif name == "table-row":
            if self._cells:
                self.rows.append((self._title, self._row + 1, self._cells))
            self._row += self._repeat_row

    def characters(self, text: str) -> None:
        if self._inside:
            self._parts.append(text)


def _repeats(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 9 else 1


def _ods(item: Item, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[tuple[str, int, list[str | None]]]:
    sink = _Table(item.budget.limits.columns)
    for _ in parsed(item, archive, info, sink.start, sink.end, sink.characters):
        yield from sink.rows
        sink.rows = []
