"""Where a byte of the decoded text lies in the file, for text that was not UTF-8 there.

::

    >>> text = np.frombuffer("电话138".encode(), np.uint8)
    >>> starts, ends = Originals().of(text, 0, len(text), np.array([6]), np.array([9]), "gb18030")
    >>> starts, ends          # two bytes a character in GB 18030
    (array([4]), array([7]))

The text between two findings is encoded again: an encoding is never held as a table of positions. A byte order mark is a
character of the text like any other.
"""

from __future__ import annotations

import codecs

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]


class Originals:
    """Follows one text from its beginning."""

    def __init__(self) -> None:
        self._text = self._file = 0

    def of(self, data: Bytes, base: int, high: int, starts: Index, ends: Index, encoding: str) -> tuple[Index, Index]:
        """Places in the file of ``data[starts]`` and ``data[ends]``; ``data`` begins at byte ``base`` of the text.

        ``encoding`` is Python's name of that of the file; empty: bytes of the UTF-8 text. It may become known when
        nothing but ASCII has gone by. What lies before ``data[high]`` is done with afterwards.
        """
        if _same(encoding):
            self._text = self._file = base + high
            return starts + base, ends + base
        wanted = np.unique(np.concatenate([starts, ends]))
        places = np.empty(len(wanted), np.int64)
        at, file = self._text - base, self._file
        before: tuple[int, int] | None = None
        for number, place in enumerate(wanted.tolist()):
            if place > high and before is None:
                before = high, file + _length(data, at, high, encoding)
            file += _length(data, at, place, encoding)
            at = place
            places[number] = file
        before = before or (high, file + _length(data, at, high, encoding))
        self._text, self._file = before[0] + base, before[1]
        return places[np.searchsorted(wanted, starts)], places[np.searchsorted(wanted, ends)]


def _same(encoding: str) -> bool:
    try:
        return not encoding or codecs.lookup(encoding).name in ("utf-8", "ascii")
    except LookupError:
        return True


def _length(data: Bytes, start: int, end: int, encoding: str) -> int:
    """Bytes in the file of ``data[start:end]``."""
    return len(bytes(data[start:end]).decode("utf-8", "replace").encode(encoding, "replace"))
