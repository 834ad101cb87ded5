"""Text of a picture in reading order: upright, however the picture lies, and row by row.

::

    (upright,) = read_upright(image, codes.read(image))   # Upright(lines=[...], turn=90)
    text, boxes = rows_of(upright.lines, upright.turn)    # b'\\xe6\\x94\\xb6...', [(0, (38.0, 67.0, 491.0, 114.0)), ...]

Bar codes say how the picture lies. Without one, lines that run from top to bottom are a reason to turn it, and the
longest lines tell whether it stands on its head. Lines that stand beside each other become one line of text, so that a
name and its phone are neighbours; a slant of the whole picture does not matter. A picture that is much longer than it is wide, or
whose letters would become too small when it is read as a whole, is read in strips.

    >>> from parcelveil.label.ocr import ReadLine
    >>> name, phone = ReadLine("张三", (0, 0, 60, 30), 0.9), ReadLine("16400000031", (200, 2, 400, 32), 0.9)
    >>> below = ReadLine("杭州市", (0, 60, 90, 90), 0.9)
    >>> text, boxes = rows_of([below, phone, name])
    >>> text.decode(), [start for start, _ in boxes]
    ('张三\\t16400000031\\n杭州市\\n', [0, 7, 19])
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.label.codes import Code
from parcelveil.label.ocr import LONGEST, ReadLine, read_text, upside_down
from parcelveil.scan.document import Box

Image = npt.NDArray[np.uint8]

#: Smaller pictures hold no text that anybody reads: pixels of the shorter side.
LEAST_SIDE = 12
#: Gray values: a picture whose lightest and darkest pixels are nearer than this is blank.
_BLANK = 24
#: Letters below this height, in pixels of the picture as it is read, are read wrongly oftener.
_SMALL = 16
#: Strips are so large at most, and so much of one is in the next too: pixels.
_STRIP_AREA, _OVERLAP = 4_000_000, 120
#: A picture this many times longer than wide is a long screenshot.
_LONG = 2.2
_STRIP_SIDE = 4096
#: Longer pictures are not read: they would be hundreds of strips.
_LONGEST_SIDE = 65_535
#: Lines read the wrong way round are hardly ever surer than this.
_SURE = 0.8
#: Lines of fewer characters say nothing of a picture's lie.
_TELLING = 3


class Upright(NamedTuple):
    """The lines of a picture, with boxes in it as it is, and by how many degrees clockwise it lies turned."""

    lines: list[ReadLine]
    turn: int


def is_blank(image: Image) -> bool:
    """Whether a gray picture is too small or too even to hold text."""
    return min(image.shape) < LEAST_SIDE or int(image.max()) - int(image.min()) < _BLANK


def read_upright(image: Image, codes: Sequence[Code]) -> list[Upright]:
    """Reads a gray picture, shape (height, width). Several parcels may lie in it, each turned as it likes.

    Args:
        image: the picture.
        codes: those that were read in it.

    Returns:
        the lines by how they lie: one entry, as a rule, and none for a blank picture.

    Raises DependencyError without the ``ocr`` extra, ValueError for a picture that is too long to be read.
    """
    if is_blank(image):
        return []
    if max(image.shape) > _LONGEST_SIDE:
        raise ValueError("this picture is too long to be read")
    turns = sorted({round(code.turn / 90) % 4 * 90 for code in codes})
    if turns:
        return _best([Upright(_back(_lines(image, turn), image, turn), turn) for turn in turns])
    lines = _lines(image, 0)
    turn = 90 if _stand(lines) else 0
    if turn:
        lines = _lines(image, turn)
    if _said(lines) >= _TELLING and upside_down(_upright(image, turn), lines):
        turn += 180
        lines = _lines(image, turn)
    return [Upright(_back(lines, image, turn), turn)]


def _best(readings: list[Upright]) -> list[Upright]:
    """Readings of one picture in several directions: of lines at one place the surest stays."""
    if len(readings) == 1:
        return readings
    kept: list[tuple[int, ReadLine]] = []
    every = [(place, line) for place, reading in enumerate(readings) for line in reading.lines]
    for place, line in sorted(every, key=lambda one: -one[1].confidence):
        if line.confidence >= _SURE and not any(_same(line.box, other.box) for _, other in kept):
            kept.append((place, line))
    return [
        Upright([line for place, line in kept if place == number], reading.turn)
        for number, reading in enumerate(readings)
    ]


def rows_of(lines: Sequence[ReadLine], turn: int = 0) -> tuple[bytes, list[tuple[int, Box]]]:
    """The text of lines in reading order, UTF-8, a row a line; and where in it each of them begins, and its box.

    Within a row lines are parted by a blank, and by a tab where the gap is wider than they are high.

    Args:
        lines: as they were read.
        turn: by how many degrees clockwise the picture lies turned; a multiple of 90.
    """
    told = [line for line in lines if len(line.text) >= _TELLING and abs(line.slope) < math.pi / 4]
    slope = median(line.slope for line in told) if told else 0.0
    rows: list[list[tuple[Box, ReadLine]]] = []
    for box, line in sorted(((level(line.box, slope, turn), line) for line in lines), key=_middle):
        if rows and all(_beside(box, other) for other, _ in rows[-1]):
            rows[-1].append((box, line))
        else:
            rows.append([(box, line)])
    text = bytearray()
    boxes: list[tuple[int, Box]] = []
    for row in rows:
        end: Box | None = None
        for box, line in sorted(row, key=lambda one: one[0][0]):
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


def _middle(one: tuple[Box, ReadLine]) -> float:
    return one[0][1] + one[0][3]


def _beside(one: Box, other: Box) -> bool:
    """Whether two boxes stand in one row, and neither is above the other."""
    apart = abs(one[1] + one[3] - other[1] - other[3]) / 2
    overlap = min(one[2], other[2]) - max(one[0], other[0])
    narrower = min(one[2] - one[0], other[2] - other[0])
    return apart < 0.5 * min(one[3] - one[1], other[3] - other[1]) and overlap < 0.5 * narrower


def _upright(image: Image, turn: int) -> Image:
    return np.ascontiguousarray(np.rot90(image, turn // 90))


def _back(lines: list[ReadLine], image: Image, turn: int) -> list[ReadLine]:
    """Lines of the upright picture with their boxes in the picture as it is."""
    if not turn:
        return lines
    back = {90: _from_left, 180: _from_below, 270: _from_right}[turn]
    return [line._replace(box=back(line.box, *image.shape)) for line in lines]


def _from_left(box: Box, height: int, width: int) -> Box:
    del height
    return width - box[3], box[0], width - box[1], box[2]


def _from_below(box: Box, height: int, width: int) -> Box:
    return width - box[2], height - box[3], width - box[0], height - box[1]


def _from_right(box: Box, height: int, width: int) -> Box:
    del width
    return box[1], height - box[2], box[3], height - box[0]


def _stand(lines: Sequence[ReadLine]) -> bool:
    """Whether most of what was read runs from top to bottom."""
    weights = [
        (len(line.text), line.box[3] - line.box[1] > 1.5 * (line.box[2] - line.box[0]))
        for line in lines
        if len(line.text) >= _TELLING
    ]
    return 2 * sum(weight for weight, stands in weights if stands) > sum(weight for weight, _ in weights)


def _said(lines: Sequence[ReadLine]) -> float:
    return sum(line.confidence * len(line.text) for line in lines)


def _lines(image: Image, turn: int) -> list[ReadLine]:
    """The lines of a picture that lies turned by ``turn``, read whole or in strips; boxes in the upright picture."""
    image = _upright(image, turn)
    height, width = image.shape
    if height <= LONGEST and width <= LONGEST:
        return read_text(image, upright=True, blanks=True)
    if height > _LONG * width:
        return _strips(image, max(LONGEST, width) if width <= LONGEST else _STRIP_AREA // width)
    lines = read_text(image, upright=True, blanks=True)
    small = _SMALL * max(height, width) / LONGEST
    heights = [line.box[3] - line.box[1] for line in lines]
    if heights and median(heights) < small:
        return _strips(image, max(_STRIP_AREA // width, 4 * _OVERLAP))
    return lines


def _strips(image: Image, high: int) -> list[ReadLine]:
    """Reads strips of the picture's whole width. A line in two of them counts once: where its middle belongs."""
    lines: list[ReadLine] = []
    for top in _tops(image.shape[0], high):
        strip = np.ascontiguousarray(image[top : top + high])
        if is_blank(strip):
            continue
        first, last = top == 0, top + high >= image.shape[0]
        for line in read_text(strip, longest=_STRIP_SIDE, upright=True, blanks=True):
            left, upper, right, lower = line.box
            middle = (upper + lower) / 2
            if (first or middle >= _OVERLAP / 2 - 8) and (last or middle <= high - _OVERLAP / 2 + 8):
                moved = line._replace(box=(left, upper + top, right, lower + top))
                if not any(_same(moved.box, other.box) for other in lines[-200:]):
                    lines.append(moved)
    return lines


def _tops(height: int, high: int) -> Iterator[int]:
    step = high - _OVERLAP
    yield from range(0, max(height - _OVERLAP, 1), step)


def _same(one: Box, other: Box) -> bool:
    """Whether two boxes are of one line."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    area = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return wide > 0 and high > 0 and wide * high > 0.6 * area
