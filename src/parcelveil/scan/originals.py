"""Where a byte of the decoded text lies in the file, for text that was not UTF-8 there.

::

    >>> text = np.frombuffer("电话138".encode(), np.uint8)
    >>> starts, ends = Originals("gb18030").of(text, 0, len(text), np.array([6]), np.array([9]))
    >>> starts, ends          # two bytes a character in GB 18030
    (array([4]), array([7]))

The text between two findings is encoded again: an encoding is never held as a table of positions.
"""

from __future__ import annotations

import codecs

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

#: Marks at the file's beginning that are no part of the text.
_MARKS = {"utf-8-sig": 3, "utf-16": 2, "utf-16-le": 0, "utf-16-be": 0, "utf-32": 4}
_WITHOUT_MARK = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}


class Originals:
    """Follows one text from its beginning. ``encoding`` is Python's name of it; empty or unknown: bytes of the UTF-8 text."""

    def __init__(self, encoding: str) -> None:
        try:
            name = codecs.lookup(encoding).name if encoding else "utf-8"
        except LookupError:
            name = "utf-8"
        self._skip = _MARKS.get(name, 0)
        self._encoding = _WITHOUT_MARK.get(name, name)
        self._same = self._encoding in ("utf-8", "ascii")
        self._text, self._file = 0, self._skip

    def of(self, data: Bytes, base: int, high: int, starts: Index, ends: Index) -> tuple[Index, Index]:
        """Places in the file of ``data[starts]`` and ``data[ends]``; ``data`` begins at byte ``base`` of the text.

        What lies before ``data[high]`` is done with afterwards.
        """
        if self._same:
            return starts + (base + self._skip), ends + (base + self._skip)
        wanted = np.unique(np.concatenate([starts, ends]))
        places = np.empty(len(wanted), np.int64)
        at, file = self._text - base, self._file
        before, closed = (at, file), False
        for number, place in enumerate(wanted.tolist()):
            if place > high and not closed:
                before, closed = (high, file + self._length(data, at, high)), True
            file += self._length(data, at, place)
            at = place
            places[number] = file
        if not closed:
            before = (high, file + self._length(data, at, high))
        self._text, self._file = before[0] + base, before[1]
        return places[np.searchsorted(wanted, starts)], places[np.searchsorted(wanted, ends)]

    def _length(self, data: Bytes, start: int, end: int) -> int:
        """Bytes in the file of ``data[start:end]``."""
        text = bytes(data[start:end]).decode("utf-8", "replace")
        return len(text.encode(self._encoding, "replace"))
