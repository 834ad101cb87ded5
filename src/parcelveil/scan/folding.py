"""Full-width characters as the ASCII ones they stand for, and the way back to where they lie.

::

    >>> folded = fold(np.frombuffer("电话１３８，x".encode(), np.uint8))
    >>> bytes(folded.data).decode()
    '电话138,x'
    >>> folded.original(np.array([6, 9]))     # of "138"
    array([ 6, 15])

U+FF01 to U+FF5E and the ideographic space take three bytes each and become one. Only texts that have full-width letters
or digits are folded: everything else is scanned as it lies.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]


class Folded(NamedTuple):
    """Folded text. ``places``: where in it each folded character stands, ascending."""

    data: Bytes
    places: Index

    def original(self, positions: Index) -> Index:
        """Positions in the original text."""
        return positions + 2 * np.searchsorted(self.places, positions, side="left")

    def folded(self, positions: Index) -> Index:
        """Positions in the folded text of positions in the original that are no inner byte of a folded character."""
        return positions - 2 * np.searchsorted(self.places + 2 * np.arange(len(self.places)), positions, side="left")


def fold(data: Bytes) -> Folded:
    """The folded text."""
    folded, places = np.empty_like(data), np.empty(len(data) // 3, np.int64)
    size, count = _fold(data, folded, places)
    folded.flags.writeable = False  # like every text: the passes are compiled for one kind of array
    return Folded(folded[:size], places[:count])


@compiled
def _fold(data: Bytes, out: Bytes, places: Index) -> tuple[int, int]:
    size, at, count = len(data), 0, 0
    place = 0
    while place < size:
        byte = data[place]
        if (byte == 0xEF or byte == 0xE3) and place + 2 < size:
            second, third = data[place + 1], data[place + 2]
            plain = 0
            if byte == 0xEF and second == 0xBC and 0x81 <= third <= 0xBF:
                plain = third - 0x60
            elif byte == 0xEF and second == 0xBD and 0x80 <= third <= 0x9E:
                plain = third - 0x20
            elif byte == 0xE3 and second == 0x80 and third == 0x80:
                plain = 32
            if plain:
                out[at] = plain
                places[count] = at
                count += 1
                at += 1
                place += 3
                continue
        out[at] = byte
        at += 1
        place += 1
    return at, count
