"""Compiled reading of UTF-8: one character at a place, words of the vocabulary, and the key before a value.

A segment is what stands between two stops (separators, quotes, line ends, and words of running text): names and
addresses lie inside of segments. All looks are local and bounded, so that what is found depends on at most
``LONGEST`` bytes around a place and not on where a block of a file begins. Bytes that are no UTF-8 are stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from parcelveil.scan.vocabulary import BLOOM_BITS, FACTOR, LONGEST_TOWN, SEED, STOP, TAG, WHOLE_KEY
from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]
Points = npt.NDArray[np.int32]
Chars = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]

#: A 64-bit integer with a sign: bytes and code points that are reckoned with. (For compiled code a type, not a call.)
signed = cast(Callable[[Any], int], np.int64)

#: Bytes of the longest segment that is looked at. Longer ones are no text that people wrote (about 160 characters
#: without any punctuation, line end, or one of the commonest words).
LONGEST = 480
#: Bytes that a key before a value is looked for in, and characters of it.
KEY_BYTES, KEY_LENGTH = 40, 24

_FACTOR, _SEED, _TAG = np.uint64(FACTOR), np.uint64(SEED), np.uint64(TAG)
_NONE, _ONE, _LOW6, _BLOOM_MASK = np.uint64(0), np.uint64(1), np.uint64(63), np.uint64((1 << BLOOM_BITS) - 1)
_SHIFT_BLOOM, _SHIFT_WORD, _SHIFT_SET = np.uint64(30), np.uint64(6), np.uint64(20)
#: The hashed sets of Tables.words, and where their sizes stand.
HEADS, MEANINGS, BACKWARD, TOWNS = range(4)
_SETS = 1 << (BLOOM_BITS - 6)
#: Between a key and its value: blanks, quotes, separators of cells, : = > \\ ( [ and their wide forms, 为 and 是.
_JOINERS = (
    9,
    32,
    34,
    39,
    40,
    44,
    58,
    61,
    62,
    91,
    92,
    124,
    0x201C,
    0x3000,
    0x300C,
    0x3011,
    0x4E3A,
    0x662F,
    0xFF08,
    0xFF1A,
)
#: What :func:`point` gives for a byte that is no character.
INVALID = -1


@compiled
def point(data: Bytes, at: int, end: int) -> int:
    """The code point at ``at``; INVALID for bytes that are no UTF-8. See :func:`width` for its length."""
    first = signed(data[at])
    if first < 0x80:
        return first
    if first < 0xC2 or first > 0xF4:
        return INVALID
    if first < 0xE0:
        if at + 1 < end and data[at + 1] >> 6 == 2:
            return (first & 0x1F) << 6 | signed(data[at + 1] & 0x3F)
        return INVALID
    if first < 0xF0:
        if at + 2 < end and data[at + 1] >> 6 == 2 and data[at + 2] >> 6 == 2:
            return (first & 0x0F) << 12 | signed(data[at + 1] & 0x3F) << 6 | signed(data[at + 2] & 0x3F)
        return INVALID
    if at + 3 < end and data[at + 1] >> 6 == 2 and data[at + 2] >> 6 == 2 and data[at + 3] >> 6 == 2:
        high = (first & 0x07) << 18 | signed(data[at + 1] & 0x3F) << 12
        return high | signed(data[at + 2] & 0x3F) << 6 | signed(data[at + 3] & 0x3F)
    return INVALID


@compiled
def width(code: int) -> int:
    """Bytes of a code point that :func:`point` gave."""
    if code < 0x80:
        return 1
    if code < 0x800:
        return 2
    return 3 if code < 0x10000 else 4


@compiled
def is_stop(chars: Chars, code: int) -> bool:
    """Whether a character ends a segment. Those outside of the tables do (emoji, rare Han)."""
    return code < 0 or code > 0xFFFF or chars[code] & STOP != 0


@compiled
def decode(data: Bytes, start: int, end: int, points: Points, places: Index) -> int:
    """Characters of a stretch and where each begins; ``places`` gets one more, the end. Returns their number.

    What is in no table (bytes that are no UTF-8, emoji) becomes a line end, which is a stop.
    """
    count, at = 0, start
    while at < end:
        code, step = signed(data[at]), 1
        if code >= 0x80:
            # The common characters are read in place: a call for each would cost more than the reading.
            if 0xE1 <= code < 0xF0 and at + 2 < end and data[at + 1] >> 6 == 2 and data[at + 2] >> 6 == 2:
                code = (code & 15) << 12 | signed(data[at + 1] & 63) << 6 | signed(data[at + 2] & 63)
                step = 3
            else:
                code = point(data, at, end)
                step = width(code) if code >= 0 else 1
                code = 10 if code < 0 or code > 0xFFFF else code
        points[count] = code
        places[count] = at
        at += step
        count += 1
    places[count] = end
    return count


@compiled
def back_over(data: Bytes, low: int, at: int) -> int:
    """Where the character that ends before ``at`` begins, not before ``low``. A stray byte is one by itself."""
    place = at - 1
    while place > low and place > at - 4 and data[place] >> 6 == 2:
        place -= 1
    code = point(data, place, at)
    if code >= 0 and place + width(code) == at:
        return place
    return at - 1


@compiled
def stem_kind(char: int) -> int:
    """The kind of component that a character, an entry of ``chars``, makes of the stem before it."""
    return signed(char) >> 8 & 15


@compiled
def number_kind(char: int) -> int:
    """The kind of component that a character makes of a number before it."""
    return signed(char) >> 12 & 15


@compiled
def family_odds(char: int) -> float:
    """Log-odds of a character as a family name; -8 where it is none."""
    return (signed(char) >> 16 & 255) / 16.0 - 8.0


@compiled
def given_odds(char: int) -> float:
    """Log-odds of a character as one of a given name."""
    return (signed(char) >> 24 & 255) / 16.0 - 8.0


@compiled
def step_back(data: Bytes, low: int, at: int) -> tuple[int, int]:
    """The character that ends before ``at``, and where it begins: :func:`back_over` and :func:`point` in one."""
    last = signed(data[at - 1])
    if last < 0x80:
        return last, at - 1
    if at - 3 >= low and last >> 6 == 2 and data[at - 2] >> 6 == 2:
        first = signed(data[at - 3])
        if 0xE0 <= first < 0xF0:
            return (first & 0x0F) << 12 | signed(data[at - 2] & 0x3F) << 6 | (last & 0x3F), at - 3
    place = back_over(data, low, at)
    return point(data, place, at), place


@compiled
def look_up(words: Words, which: int, key: np.uint64) -> int:
    """The value of ``key`` in one of the hashed sets (HEADS, MEANINGS, BACKWARD, TOWNS); 0 when it is not there."""
    start = _SETS + 4
    for before in range(which):
        start += signed(words[_SETS + before])
    mask, first = words[_SETS + which] - _ONE, np.uint64(start)
    at, tag = (key >> _SHIFT_SET) & mask, key & _TAG
    while True:
        there = words[first + at]
        if there & _TAG == tag and there != _NONE:
            return signed(there & ~_TAG)
        if there == _NONE:
            return 0
        at = (at + _ONE) & mask


@compiled
def may_begin(words: Words, first: int, second: int) -> bool:
    """Whether some word may begin with these two characters; a little more often than one does."""
    key = (_SEED ^ np.uint64(first)) * _FACTOR
    key = (key ^ np.uint64(second)) * _FACTOR
    bit = (key >> _SHIFT_BLOOM) & _BLOOM_MASK
    return bool((words[bit >> _SHIFT_WORD] >> (bit & _LOW6)) & _ONE != _NONE)


@compiled
def word_at(words: Words, points: Points, at: int, end: int, wanted: int) -> tuple[int, int]:
    """The longest word of ``points[at:end]`` that has a wanted meaning: its meanings and length, or 0, 0."""
    if at + 2 > end or not may_begin(words, points[at], points[at + 1]):
        return 0, 0
    key = (_SEED ^ np.uint64(points[at])) * _FACTOR
    key = (key ^ np.uint64(points[at + 1])) * _FACTOR
    lengths = look_up(words, HEADS, key)
    found, length, size = 0, 0, 2
    while lengths >> size != 0 and at + size <= end:
        if size > 2:
            key = (key ^ np.uint64(points[at + size - 1])) * _FACTOR
        if (lengths >> size) & 1:
            meaning = look_up(words, MEANINGS, key)
            if meaning & wanted:
                found, length = meaning, size
        size += 1
    return found, length


@compiled
def _letter(code: int) -> bool:
    return 97 <= code <= 122 or 65 <= code <= 90


@compiled
def town_before(words: Words, points: Points, low: int, end: int) -> int:
    """Where the longest town begins that ends at ``end``, not before ``low``; -1 when there is none."""
    for start in range(max(low, end - LONGEST_TOWN), end - 2):
        key = _SEED
        for at in range(start, end):
            key = (key ^ np.uint64(points[at])) * _FACTOR
        if look_up(words, TOWNS, key):
            return start
    return -1


@compiled
def key_before(data: Bytes, low: int, at: int, words: Words) -> int:
    """What a value that begins at ``at`` is by the words before it: the meanings of the longest cue that ends there.

    Between cue and value may stand the joiners, and before those a remark in brackets. Reads back at most
    KEY_BYTES bytes, not over the end of a line.
    """
    floor = max(low, at - KEY_BYTES)
    place, joined = at, 0
    while place > floor:
        code, before = step_back(data, floor, place)
        if code in _JOINERS:
            place = before
            joined += 1
            if joined > 8:
                return 0
        elif code in (41, 0xFF09) and joined > 0:  # a remark in brackets belongs to the key
            while place > floor and code not in (40, 0xFF08) and code not in (10, 13):
                code, place = step_back(data, floor, place)
        else:
            break
    key, length, found = _SEED, 0, 0
    previous = INVALID
    case = 0  # the character read last: 1 small, 2 capital, 0 none of both
    while place > floor and length < KEY_LENGTH:
        code, place = step_back(data, floor, place)
        if code in (95, 45, 46) and length > 0:
            continue
        if code < 0 or (code < 0x80 and not _letter(code) and not 48 <= code <= 57):
            break
        case = 0
        if 65 <= code <= 90:
            case = 2
            code += 32
        elif 97 <= code <= 122:
            case = 1
        key = (key ^ np.uint64(code)) * _FACTOR
        length += 1
        if length == 1:
            previous = code
            continue
        if length == 2 and not may_begin(words, previous, code):
            return 0
        meaning = look_up(words, BACKWARD, key)
        if meaning == 0:
            continue
        code = INVALID
        if place > floor:
            code = point(data, back_over(data, floor, place), place)
        inside = case == 1 and (_letter(code) or 48 <= code <= 57)
        if meaning & WHOLE_KEY:
            inside = inside or (case > 0 and (_letter(code) or 48 <= code <= 57 or code in (95, 45, 46)))
        if not inside:
            found = meaning
    return found
