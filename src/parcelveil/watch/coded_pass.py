"""The number that a waybill was issued under, read off its text by one compiled pass over a whole column.

::

    >>> import pyarrow as pa
    >>> from parcelveil.seal.passes import buffers
    >>> found, written_otherwise = serials(*buffers(pa.array(["YT8800001234567", "RR123456785CN", "none", " yt1"])))
    >>> found.tolist(), written_otherwise
    ([8800001234567, 12345678, -1, 1], True)

The serial is the longest run of digits, of two equally long ones the later; of a run beyond 18 digits the last 18. Of a
number of UPU S10 (two letters, nine digits, two letters) the ninth digit is a check digit and left out: with it,
numbers issued one after the other would not stand one after the other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.seal.passes import Bytes, Index, compiled

#: Digits of which an int64 holds every value.
MOST_DIGITS = 18
_S10 = 13


@compiled
def serials(offsets: npt.NDArray[np.int32], data: Bytes) -> tuple[Index, bool]:
    """The serial of each string, -1 where it has no digit; and whether any has a small letter, a blank or a control.

    ``offsets`` (``n + 1``) and ``data`` are those of :func:`parcelveil.seal.passes.buffers`.
    """
    count = len(offsets) - 1
    out = np.empty(count, dtype=np.int64)
    otherwise = False
    for row in range(count):
        start, end = offsets[row], offsets[row + 1]
        best, best_length, value, length = np.int64(-1), 0, np.int64(0), 0
        letters = 0  # of the four places where S10 has letters
        for position in range(start, end):
            byte = data[np.uint64(position)]
            digit = byte - np.uint8(48)
            if digit < 10:
                value = (value % 100_000_000_000_000_000) * 10 + np.int64(digit)
                length += 1
                if length >= best_length:
                    best, best_length = value, length
                continue
            value, length = np.int64(0), 0
            small = np.uint8(97) <= byte <= np.uint8(122)
            otherwise |= small or byte <= np.uint8(32) or byte == np.uint8(127)
            place = position - start
            if (small or np.uint8(65) <= byte <= np.uint8(90)) and (place < 2 or place > 10):
                letters += 1
        if letters == 4 and best_length == 9 and end - start == _S10:
            best //= 10
        out[row] = best
    return out, otherwise
