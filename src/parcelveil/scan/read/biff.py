"""XLS, the workbook format of old Excel: its rows out of the records of a compound file's stream.

::

    for title, number, cells in rows_of(file.stream("Workbook")): ...
    for text in notes_of(file.stream("Workbook")): ...      # comments and text boxes

After [MS-XLS] (BIFF8), and BIFF5 as far as its cells go. Dates are the numbers of their days. The stream is in
memory; shared strings are decoded once. Raises Stopped for an encrypted workbook.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from parcelveil.scan.read import why
from parcelveil.scan.read.cells import cell_text
from parcelveil.scan.read.limits import Stopped

_CONTINUE, _FILEPASS, _CODEPAGE, _BOUNDSHEET, _SST, _BOF = 0x003C, 0x002F, 0x0042, 0x0085, 0x00FC, 0x0809
_LABELSST, _LABEL, _RSTRING, _NUMBER, _RK, _MULRK = 0x00FD, 0x0204, 0x00D6, 0x0203, 0x027E, 0x00BD
_FORMULA, _STRING, _TXO = 0x0006, 0x0207, 0x01B6
_CODEPAGES = {936: "gb18030", 950: "big5", 932: "cp932", 949: "cp949", 1200: "utf-16-le", 65001: "utf-8"}


def _records(book: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Place, kind and body of each record."""
    place = 0
    while place + 4 <= len(book):
        kind, size = struct.unpack_from("<HH", book, place)
        yield place, kind, book[place + 4 : place + 4 + size]
        place += 4 + size


def rows_of(book: bytes) -> Iterator[tuple[str, int, list[str | None]]]:
    """The sheet's title, the row's number from 1, and the cells of each row that has one."""
    sheet = _Sheet()
    titles: dict[int, str] = {}
    blocks: list[bytes] = []
    before = 0
    for place, kind, body in _records(book):
        if kind == _SST or (kind == _CONTINUE and before == _SST):
            blocks.append(body)
            before = _SST
            continue
        before = kind
        if kind == _FILEPASS:
            raise Stopped(why.ENCRYPTED)
        if kind == _BOF:
            yield from sheet.done()
            sheet.title = titles.get(place, sheet.title)
            sheet.wide = body[:2] != b"\x00\x05"
        elif kind == _CODEPAGE and len(body) >= 2:
            number = int.from_bytes(body[:2], "little")
            sheet.codec = _CODEPAGES.get(number, f"cp{number}" if 1250 <= number <= 1258 else "cp1252")
        elif kind == _BOUNDSHEET and len(body) > 8:
            titles[int.from_bytes(body[:4], "little")] = _text(body[6:], sheet.codec, wide=sheet.wide, short=True)
        elif kind == _STRING:
            sheet.result(_text(body, sheet.codec, wide=sheet.wide))
        elif kind in _CELLS and len(body) >= 6:
            if blocks:
                sheet.shared, blocks = list(_strings(blocks)), []
            if int.from_bytes(body[:2], "little") != sheet.row:
                yield from sheet.done()
            sheet.cell(kind, body)
    yield from sheet.done()


class _Sheet:
    """The row that is being read, and what its cells need to be understood."""

    def __init__(self) -> None:
        self.title, self.codec = "", "cp1252"
        self.wide = True  # BIFF8
        self.row = -1
        self.shared: list[str] = []
        self._cells: list[str | None] = []
        self._waits = -1  # the column of a formula whose text comes in the next record

    def done(self) -> Iterator[tuple[str, int, list[str | None]]]:
        """The row, when it has any cell; the next one begins."""
        if self._cells:
            yield self.title, self.row + 1, self._cells
        self._cells, self.row = [], -1

    def result(self, text: str) -> None:
        """The text that a formula gave."""
        if self._waits >= 0:
            self._put(self._waits, text)
        self._waits = -1

    def cell(self, kind: int, body: bytes) -> None:
        """A record with one cell or several."""
        self.row, column = struct.unpack_from("<HH", body)
        if kind == _LABELSST and len(body) >= 10:
            number = int.from_bytes(body[6:10], "little")
            self._put(column, self.shared[number] if number < len(self.shared) else None)
        elif kind in (_LABEL, _RSTRING):
            self._put(column, _text(body[6:], self.codec, wide=self.wide))
        elif kind == _FORMULA and body[12:14] == b"\xff\xff":
            self._waits = column if body[6] == 0 else -1
        elif kind in (_NUMBER, _FORMULA) and len(body) >= 14:
            self._put(column, cell_text(struct.unpack_from("<d", body, 6)[0]))
        elif kind == _RK and len(body) >= 10:
            self._put(column, _rk(body[6:10]))
        elif kind == _MULRK:
            for number, start in enumerate(range(6, len(body) - 5, 6)):
                self._put(column + number, _rk(body[start : start + 4]))

    def _put(self, column: int, value: str | None) -> None:
        if value:
            self._cells += [None] * (column + 1 - len(self._cells))
            self._cells[column] = value


_CELLS = {_LABELSST, _LABEL, _RSTRING, _NUMBER, _RK, _MULRK, _FORMULA}


def notes_of(book: bytes) -> Iterator[str]:
    """Texts of comments and text boxes, in BIFF8."""
    before = 0
    for _, kind, body in _records(book):
        if kind == _CONTINUE and before == _TXO and len(body) > 1:
            yield body[1:].decode("utf-16-le" if body[0] & 1 else "latin-1", "replace") + "\n"
        before = kind


def _rk(raw: bytes) -> str | None:
    """A number in 30 bits: an integer or the upper half of a double, perhaps a hundredth of it."""
    number = int.from_bytes(raw, "little")
    if number & 2:
        value = float(int.from_bytes(raw, "little", signed=True) >> 2)
    else:
        value = struct.unpack("<d", bytes(4) + (number & 0xFFFFFFFC).to_bytes(4, "little"))[0]
    return cell_text(value / 100 if number & 1 else value)


def _text(body: bytes, codec: str, *, wide: bool, short: bool = False) -> str:
    """A string with its length in front (one byte of it when ``short``), in BIFF8 with a byte of flags behind that."""
    start = 1 if short else 2
    count = int.from_bytes(body[:start], "little")
    if not wide:
        return body[start : start + count].decode(codec, "replace")
    flags = body[start] if len(body) > start else 0
    raw = body[start + 1 : start + 1 + (count * 2 if flags & 1 else count)]
    return raw.decode("utf-16-le" if flags & 1 else "latin-1", "replace")


def _strings(blocks: list[bytes]) -> Iterator[str]:
    """The shared strings. The characters of one may go on in the next record, behind a new byte of flags."""
    number, place = 0, 8
    while number < len(blocks):
        if place + 3 > len(blocks[number]):
            number, place = number + 1, 0
            continue
        count, flags = struct.unpack_from("<HB", blocks[number], place)
        place += 3
        skip = 0
        if flags & 8:  # runs of fonts, behind the characters
            skip += 4 * int.from_bytes(blocks[number][place : place + 2], "little")
            place += 2
        if flags & 4:  # how it is pronounced
            skip += int.from_bytes(blocks[number][place : place + 4], "little")
            place += 4
        parts: list[str] = []
        while True:
            width = 1 + (flags & 1)
            raw = blocks[number][place : place + count * width]
            raw = raw[: len(raw) - len(raw) % width]
            parts.append(raw.decode("utf-16-le" if width == 2 else "latin-1", "replace"))
            count, place = count - len(raw) // width, place + len(raw)
            if not count or number + 1 == len(blocks):
                break
            number, place = number + 1, 1
            flags = blocks[number][0] if blocks[number] else 0
        yield "".join(parts)
        place += skip
        while number < len(blocks) and place > len(blocks[number]):
            place -= len(blocks[number])
            number += 1
