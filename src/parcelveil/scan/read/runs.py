"""The printable text in binary data, as ``strings`` finds it: runs of UTF-8 and of UTF-16, one a line.

::

    b"".join(runs_of(stream))                # b"tel 13812345678\\nMicrosoft Word\\n"

A run has at least six characters. One that is longer than a block goes on in the same line.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from parcelveil.scan.read.item import Readable
from parcelveil.seal.passes import compiled

_BLOCK = 1 << 20
#: A run that begins this near to the end of its block is looked at again together with the next block.
_OVERLAP = 4096
_LEAST = 6

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]


def runs_of(stream: Readable) -> Iterator[bytes]:
    """The printable runs of the rest of ``stream``, in pieces of UTF-8."""
    rest = b""
    ended = False
    while not ended:
        piece = stream.read(_BLOCK)
        ended = not piece
        block = rest + piece
        if len(block) < 2 * _OVERLAP and not ended:
            rest = block
            continue
        found, done = [], 0
        for start, end, wide in _runs(np.frombuffer(block, np.uint8), _LEAST).tolist():
            # Up to three bytes of a character that the end cuts may lie behind the run.
            if not ended and end > len(block) - 4 and start > len(block) - _OVERLAP:
                break
            run = block[start:end]
            found.append(run.decode("utf-16-le", "replace").encode() if wide else run)
            done = end
        rest = b"" if ended else block[max(done, len(block) - _OVERLAP) :]
        goes_on = not ended and done > len(block) - 4
        if found:
            yield b"\n".join(found) + (b"" if goes_on else b"\n")


@compiled
def _runs(data: Bytes, least: int) -> Index:
    """Start, end and whether it is UTF-16, of each run of at least ``least`` characters: ``(n, 3)``."""
    size = data.size
    found = np.empty((size // least + 1, 3), dtype=np.int64)
    count = 0
    place = 0
    # A run that is too short is too short from each of its characters on: places up to its end are not tried again.
    next8, even, odd = 0, 0, 0
    while place < size:
        end, characters, wide = place, 0, 0
        if place >= next8:
            end, characters = _utf8(data, place)
            next8 = end
        if characters < least and place >= (odd if place & 1 else even):
            end, characters = _utf16(data, place)
            wide = 1
            if place & 1:
                odd = end
            else:
                even = end
        if characters < least:
            place += 1
            continue
        found[count, 0] = place
        found[count, 1] = end
        found[count, 2] = wide
        count += 1
        place = end
    return found[:count]


@compiled
def _utf8(data: Bytes, place: int) -> tuple[int, int]:
    """The end of the run of printable UTF-8 from ``place`` on, and how many characters it has."""
    size = data.size
    characters = 0
    while place < size:
        first = data[place]
        if 32 <= first < 127 or first == 9:
            more = 0
        elif 0xC2 <= first < 0xE0:
            more = 1
        elif 0xE0 <= first < 0xF0:
            more = 2
        elif 0xF0 <= first < 0xF5:
            more = 3
        else:
            break
        if place + more >= size:
            break
        if more:
            second = data[place + 1]
            low, high = 0x80, 0xBF
            if first == 0xE0:
                low = 0xA0
            elif first == 0xED:
                high = 0x9F
            elif first == 0xF0:
                low = 0x90
            elif first == 0xF4:
                high = 0x8F
            good = low <= second <= high
            for at in range(2, more + 1):
                good = good and 0x80 <= data[place + at] <= 0xBF
            if not good:
                break
        characters += 1
        place += 1 + more
    return place, characters


@compiled
def _utf16(data: Bytes, place: int) -> tuple[int, int]:
    """The same of UTF-16 LE, in characters of Chinese text: ASCII, Han, punctuation, full-width forms."""
    size = data.size
    characters = 0
    while place + 1 < size:
        low, high = data[place], data[place + 1]
        good = high == 0 and (32 <= low < 127 or low == 9)
        good = good or 0x4E <= high <= 0x9F or (high == 0x30 and low < 0x40) or (high == 0xFF and low < 0xF0)
        if not good:
            break
        characters += 1
        place += 2
    return place, characters
