"""The lines of text of a picture, however it lies.

::

    (upright,) = read_upright(image, codes.read(image))   # Upright(lines=[...], turn=90)

Bar codes say how the picture lies. Without one, lines that run from top to bottom are a reason to turn it, and the
longest lines tell whether it stands on its head. A picture that is much longer than it is wide, or whose letters would
become too small when it is read as a whole, is read in strips.
:mod:`~parcelveil.scan.reading_order` makes text of the lines.
"""

from __future__ import annotations

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
#: Longer pictures are not read: each strip takes a second, and no screenshot is longer.
_LONGEST_SIDE = 30_000
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
