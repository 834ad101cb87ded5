"""Lines of text that stand in a picture, as text in reading order: row by row, and wrapped addresses in one line.

::

    text, boxes = rows_of(lines, turn=90)    # b'...', [(0, (38.0, 67.0, 491.0, 114.0)), ...]

Lines that stand beside each other become one line of text, so that a name and its phone are neighbours; a slant of the whole
picture does not matter. An address that goes on in the next line is put together, as far as that can be told:

    >>> from parcelveil.label.ocr import ReadLine
    >>> name, phone = ReadLine("张三", (0, 0, 60, 30), 0.9), ReadLine("16400000031", (200, 2, 400, 32), 0.9)
    >>> address = ReadLine("浙江省杭州市西湖区北山", (0, 60, 330, 90), 0.9), ReadLine("街道新建路18号", (0, 100, 210, 130), 0.9)
    >>> text, boxes = rows_of([*address, phone, name])
    >>> text.decode().split("\\n"), [start for start, _ in boxes]
    (['张三\\t16400000031', '浙江省杭州市西湖区北山街道新建路18号', ''], [0, 7, 19, 52])
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import median

from parcelveil.label.ocr import ReadLine
from parcelveil.scan.document import Box

#: Lines of fewer characters say nothing of a picture's slant.
_TELLING = 3
#: What an address has up to the end of a line, and what the rest of one does not begin with or hold.
_ADDRESS = re.compile(r"(?:省|自治区|市|特别行政区|自治州).{1,12}?(?:市|区|县|州|旗|盟|镇|乡|街道)")
_NO_REST = re.compile(
    r"^\W*(?:收|寄|发|到|至|电话|手机|座机|姓名|地址|运单|快递|订单|单号|品|内件|备注|重量|计费|件数|付款|签|打印|已|邮编|日期|时间|网点)"
    r"|^.{1,8}(?:省|自治区)|^.{1,4}市.{1,6}[区县市]|[:：|]|1[3-9][0-9]{9}|\*\*|[0-9]{8}"
)
#: Where an address may end; then its rest has to have a part of one.
_ENDS = "室户房号幢栋座楼层"
_PART = re.compile(r"[号室户房栋幢座楼层村组队路街巷弄苑园区城厦店院里旁侧门]|单元|对面")
#: Digits are put together with others only where both are of an address.
_DIGITS_OF_ADDRESS = re.compile(r"[0-9]{1,4}(?:[号室栋幢座楼层弄(（-]|单元|$)")
#: A rest of so few characters may also be a name: it counts where the line before reaches so much of the text's width.
_SHORT, _FULL = 4, 0.85

_Piece = tuple[Box, ReadLine]


def rows_of(lines: Sequence[ReadLine], turn: int = 0) -> tuple[bytes, list[tuple[int, Box]]]:
    """The text of lines in reading order, UTF-8, a row a line; and where in it each of them begins, and its box.

    Within a row lines are parted by a blank, and by a tab where the gap is wider than they are high. Nothing parts an
    address from its rest in the next row.

    Args:
        lines: as they were read.
        turn: by how many degrees clockwise the picture lies turned; a multiple of 90.
    """
    told = [line for line in lines if len(line.text) >= _TELLING and abs(line.slope) < math.pi / 4]
    slope = median(line.slope for line in told) if told else 0.0
    rows: list[list[_Piece]] = []
    for box, line in sorted(((level(line.box, slope, turn), line) for line in lines), key=_middle):
        if rows and all(_beside(box, other) for other, _ in rows[-1]):
            rows[-1].append((box, line))
        else:
            rows.append([(box, line)])
    for row in rows:
        row.sort(key=lambda one: one[0][0])
    right = max((box[2] for row in rows for box, _ in row), default=0.0)
    text = bytearray()
    boxes: list[tuple[int, Box]] = []
    wrapped = _Wrapped(right)
    for row in rows:
        if wrapped.goes_on(row):
            del text[-1:]
        end: Box | None = None
        for box, line in row:
            if end is not None:
                text += b" " if box[0] - end[2] <= box[3] - box[1] else b"\t"
            boxes.append((len(text), line.box))
            text += " ".join(line.text.split()).encode("utf-8", "replace")
            end = box
        text += b"\n"
    return bytes(text), boxes


def level(box: Box, slope: float, turn: int = 0) -> Box:
    """Where a line would stand if its picture were upright and not slanted; the origin is anywhere.

    >>> level((0, 0, 100, 20), 0.0, turn=180)
    (-100, -20, 0, 0)
    """
    left, top, right, bottom = box
    if turn % 360 == 90:
        left, top, right, bottom = top, -right, bottom, -left
    elif turn % 360 == 180:
        left, top, right, bottom = -right, -bottom, -left, -top
    elif turn % 360 == 270:
        left, top, right, bottom = -bottom, left, -top, right
    if not slope:
        return left, top, right, bottom
    cos, sin = math.cos(slope), math.sin(slope)
    x, y = (left + right) / 2, (top + bottom) / 2
    x, y = x * cos + y * sin, y * cos - x * sin
    # The upright box around a slanted line is as wide as w cos + h sin, and as high as w sin + h cos.
    width, height, even = right - left, bottom - top, cos * cos - sin * sin
    wide = max(width * cos - height * abs(sin), 1.0) / even
    high = max(height * cos - width * abs(sin), height / 4) / even
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _middle(one: _Piece) -> float:
    return one[0][1] + one[0][3]


def _beside(one: Box, other: Box) -> bool:
    """Whether two boxes stand in one row, and neither is above the other."""
    apart = abs(one[1] + one[3] - other[1] - other[3]) / 2
    overlap = min(one[2], other[2]) - max(one[0], other[0])
    narrower = min(one[2] - one[0], other[2] - other[0])
    return apart < 0.5 * min(one[3] - one[1], other[3] - other[1]) and overlap < 0.5 * narrower


class _Wrapped:
    """Tells rows that go on with the address of the row before. ``right``: where the rightmost text ends."""

    def __init__(self, right: float) -> None:
        self._right = right
        self._margin = 0.0  # where lines of the address end
        self._text = ""
        self._last: Box | None = None

    def goes_on(self, row: Sequence[_Piece]) -> bool:
        """Whether ``row`` does; rows are told one after the other."""
        (box, line), last = row[0], self._last
        rest = line.text.strip()
        high = box[3] - box[1]
        if (
            last is not None
            and len(row) == 1
            and _ADDRESS.search(self._text)
            and not _NO_REST.search(rest)
            and (_PART.search(rest) or self._text[-1:] not in _ENDS)
            and (_DIGITS_OF_ADDRESS.match(rest) or not (self._text[-1:].isascii() and rest[:1].isascii()))
            and 0.7 < high / (last[3] - last[1]) < 1.4
            and box[1] - last[3] < 0.5 * high
            and -0.6 * high < box[0] - last[0] < 5 * high
            and box[2] < self._margin + 1.5 * high
            and last[2] > self._margin - 1.5 * high
            and (len(rest) > _SHORT or last[2] >= _FULL * self._right)
        ):
            self._text += rest
            self._last = box
            return True
        box, line = row[-1]
        self._text, self._last, self._margin = line.text.strip(), box, box[2]
        return False
