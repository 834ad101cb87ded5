"""What is done for each finding of a batch, compiled: its line, its normalised value, its circumstances as one number.

::

    lines, newlines = lines_of(data, 0, len(data), starts, 1)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

# How a value is written before it is fingerprinted.
PLAIN, PHONE, ADDRESS = range(3)


@compiled
def circumstances(rule: npt.NDArray[np.int16], word: npt.NDArray[np.int32], features: Bytes) -> Index:
    """Rule, word and features of each hit as one number: rule from bit 40, word + 1 from bit 8, a bit a feature."""
    packed = np.empty(len(rule), np.int64)
    for i in range(len(rule)):
        bits = (np.int64(rule[i]) << 40) | ((np.int64(word[i]) + 1) << 8)
        for feature in range(6):
            bits |= np.int64(features[i, feature]) << feature
        packed[i] = bits
    return packed


@compiled
def normalise(data: Bytes, start: Index, end: Index, form: Index, offsets: npt.NDArray[np.int32], out: Bytes) -> None:
    """Values as they are compared: no blanks and ASCII punctuation, capitals; mail addresses small; phones as digits
    without the code of mainland China."""
    at = 0
    for i in range(len(start)):
        first = at
        for place in range(start[i], end[i]):
            byte = data[place]
            digit = 48 <= byte <= 57
            if form[i] == PHONE:
                keep = digit or byte == 42
            else:
                letter = 65 <= byte <= 90 or 97 <= byte <= 122
                keep = digit or letter or byte >= 128 or byte == 42 or form[i] == ADDRESS
                if letter:
                    byte = byte | 32 if form[i] == ADDRESS else byte & 0xDF
            if keep:
                out[at] = byte
                at += 1
        if form[i] == PHONE:
            drop = 0
            if at - first > 4 and out[first] == 48 and out[first + 1] == 48:
                drop = 2
            if at - first - drop == 13 and out[first + drop] == 56 and out[first + drop + 1] == 54:
                drop += 2
            if drop:
                for place in range(first, at - drop):
                    out[place] = out[place + drop]
                at -= drop
        offsets[i + 1] = at


@compiled
def lines_of(data: Bytes, low: int, high: int, positions: Index, first: int) -> tuple[Index, int]:
    """The line of each ascending position in ``data[low:high]``, when that begins in line ``first``; and the newlines in it."""
    lines = np.empty(len(positions), np.int64)
    at, line = low, first
    for i in range(len(positions)):
        line += _newlines(data, at, positions[i])
        at = max(at, positions[i])
        lines[i] = line
    return lines, line + _newlines(data, at, high) - first


@compiled
def _newlines(data: Bytes, low: int, high: int) -> int:
    """The newlines in ``data[low:high]``; counted in steps that machines do at once."""
    count, place, step = 0, np.uint64(low), np.uint64(128)
    while place + step <= np.uint64(high):
        few = np.uint8(0)
        for i in range(128):
            few += np.uint8(data[place + np.uint64(i)] == np.uint8(10))
        count += np.int64(few)  # type: ignore[assignment]
        place += step
    while place < np.uint64(high):
        count += data[place] == 10
        place += np.uint64(1)
    return count
