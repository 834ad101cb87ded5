"""The compiled pass for what is written in Latin letters: names behind a cue or in a column, and US street addresses.

A name is two to four words, each with a capital or all in capitals, none of them a word of trade, place or program.
An address is a number, one to four words, and the word for a street (USPS Publication 28, appendix C1); a unit, a
state and a ZIP code behind it make it surer. Blocks of 64 bytes without any beginning of either are passed over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from parcelveil.scan.text_pass import MEANINGS, Bytes, Index, Words, key_before, look_up, signed
from parcelveil.scan.vocabulary import (
    CUE_ADDRESS,
    CUE_NAME,
    FACTOR,
    NOT_LATIN,
    OCCUPANCY,
    SEED,
    STATE,
    STREET,
    WHOLE_KEY,
)
from parcelveil.seal.passes import compiled

_FACTOR, _SEED = np.uint64(FACTOR), np.uint64(SEED)

LATIN, IMPOSSIBLE = 0.0, -9.0
#: Log-odds of an address: with nothing but number and street, and what a unit, a state, a ZIP code, a cue add.
BARE_STREET, WITH_UNIT, WITH_STATE, WITH_ZIP, CUE_BEFORE = -1.2, 1.4, 1.6, 1.6, 2.5
LONGEST_ADDRESS, LONGEST_NAME = 120, 48


@compiled
def _upper(code: int) -> bool:
    return 65 <= code <= 90


@compiled
def _letter(code: int) -> bool:
    return 65 <= code <= 90 or 97 <= code <= 122


@compiled
def _digit(code: int) -> bool:
    return 48 <= code <= 57


@compiled
def latin_meaning(text: npt.NDArray[Any], start: int, end: int, words: Words) -> int:
    """The meanings of a word of Latin letters, whatever its case."""
    key = _SEED
    for at in range(start, end):
        code = signed(text[at])
        key = (key ^ np.uint64(code + 32 if _upper(code) else code)) * _FACTOR
    return look_up(words, MEANINGS, key)


@compiled
def latin_end(text: npt.NDArray[Any], start: int, end: int, small: bool, words: Words) -> int:
    """Where the name that begins at ``start`` ends; -1 when there is none. ``small``: capitals are not needed.

    ``text`` may be bytes or code points. Letters of other Latin alphabets (from U+00C0) are small letters.
    """
    at, parts, full, last = start, 0, 0, -1
    while at < end and parts < 4:
        first, capitals, others = at, 0, 0
        while at < end and (_letter(text[at]) or text[at] in (39, 45) or 0xC0 <= text[at] < 0x250):
            if _upper(text[at]):
                capitals += 1
            elif _letter(text[at]) or text[at] >= 0xC0:
                others += 1
            at += 1
        size = at - first
        if size == 0 or size > 20 or (at < end and _digit(text[at])) or (at < end and text[at] == 95):
            return -1
        if not small and not _upper(text[first]):
            return -1
        if capitals > 1 and others > 2 and capitals > 3:
            return -1
        if latin_meaning(text, first, at, words) & NOT_LATIN:
            return -1
        full += 1 if size > 1 else 0
        parts += 1
        last = at
        if at < end and text[at] == 46 and size <= 2:
            at += 1
        if at + 1 < end and text[at] == 32 and _letter(text[at + 1]):
            at += 1
            continue
        break
    if full < 2 or last - start > LONGEST_NAME:
        return -1
    if last < end and (text[last] in (40, 95, 46, 64) and not (text[last] == 46 and last + 1 >= end)):
        return -1
    return last


@compiled
def street_address(data: Bytes, start: int, end: int, words: Words) -> tuple[int, float]:
    """Where the address whose number begins at ``start`` ends, and its log-odds; -1 when there is none."""
    at = start
    while at < end and _digit(data[at]):
        at += 1
    if at - start > 6 or at >= end or data[at] != 32:
        return -1, IMPOSSIBLE
    at += 1
    street, parts = -1, 0
    while at < end and parts < 6:
        first = at
        while at < end and (_letter(data[at]) or _digit(data[at]) or data[at] in (39, 45)):
            at += 1
        if at == first or at - first > 20:
            break
        meaning = latin_meaning(data, first, at, words)
        if parts > 0 and meaning & STREET:
            street = at
        elif not (_upper(data[first]) or _digit(data[first])) or meaning & OCCUPANCY:
            break
        parts += 1
        if at < end and data[at] == 46:
            at += 1
            if street == at - 1:
                street = at
        if at < end and data[at] == 32 and (street < 0 or parts < 6):
            at += 1
            continue
        break
    if street < 0:
        return -1, IMPOSSIBLE
    return _behind_street(data, street, end, words)


@compiled
def _behind_street(data: Bytes, street: int, end: int, words: Words) -> tuple[int, float]:
    """Unit, town, state and ZIP code behind a street that ends at ``street``."""
    score, stop, at = BARE_STREET, street, street
    pieces = 0
    while at < end and pieces < 8:
        hashed = False
        while at < end and data[at] in (32, 44, 35):
            hashed = hashed or data[at] == 35
            at += 1
        first = at
        while at < end and (_letter(data[at]) or _digit(data[at]) or data[at] in (39, 45)):
            at += 1
        if at == first or at - first > 20:
            break
        meaning = latin_meaning(data, first, at, words)
        numeric = _digit(data[first])
        pieces += 1
        if hashed and pieces == 1:
            score, stop = score + WITH_UNIT, at
        elif meaning & OCCUPANCY and pieces <= 2:
            while at < end and data[at] in (32, 46, 35):
                at += 1
            if at < end and (_digit(data[at]) or (_upper(data[at]) and at + 1 < end and not _letter(data[at + 1]))):
                while at < end and (_digit(data[at]) or _letter(data[at]) or data[at] == 45):
                    at += 1
                score, stop = score + WITH_UNIT, at
        elif meaning & STATE and at - first == 2 and _upper(data[first]) and _upper(data[first + 1]):
            score, stop = score + WITH_STATE, at
            while at < end and data[at] in (32, 44):
                at += 1
            first = at
            while at < end and (_digit(data[at]) or data[at] == 45):
                at += 1
            if at - first in (5, 10) and _digit(data[first]):
                score, stop = score + WITH_ZIP, at
            break
        elif numeric or not _upper(data[first]):
            break
    return stop, score


@compiled
def foreign_pass(
    data: Bytes, low: int, high: int, words: Words, rows: Index, odds: npt.NDArray[np.float64], codes: Index
) -> int:
    """Rows for names behind a cue and for street addresses: all that begin in ``[low, high)``, and some before it.

    ``codes``: the rules and reasons to write, as (name, cue, address, street).
    """
    total, size, block = 0, len(data), low
    high = min(size, high + 8)  # an address is met at the last digit of its number
    while block < high:
        stop = min(block + 64, high)
        if block >= 3 and block + 66 < size and stop - block == 64:
            some = False
            for offset in range(64):
                code, after, third = data[block + offset], data[block + offset + 1], data[block + offset + 2]
                one, two, three = data[block + offset - 1], data[block + offset - 2], data[block + offset - 3]
                joined = (one == 58) | (one == 61) | (one == 62) | (two == 58) | (two == 61) | (two == 62)
                joined |= (three == 58) | (three == 61) | (three == 62) | ((one | two | three) >= 128)
                name = joined & (code >= 65) & (code <= 90)
                number = (code >= 48) & (code <= 57) & (after == 32)
                some |= name | (number & (third >= 65) & (third <= 90))
            if not some:
                block = stop
                continue
        for at in range(block, stop):
            code = data[at]
            if total >= len(rows):
                return total
            if _upper(code) and at > 0 and data[at - 1] in (58, 61, 34, 32, 39, 62) and _name_starts(data, at):
                last = latin_end(data, at, min(size, at + LONGEST_NAME + 24), False, words)
                if last > 0:
                    cue = key_before(data, 0, at, words)
                    if cue & CUE_NAME:
                        score = LATIN + (1.2 if cue & WHOLE_KEY else 3.0)
                        rows[total, 0], rows[total, 1], rows[total, 2], rows[total, 3] = at, last, codes[0], codes[1]
                        odds[total] = score
                        total += 1
            elif _digit(code) and at + 2 < size and data[at + 1] == 32:
                first = at
                while first > 0 and at - first < 8 and _digit(data[first - 1]):
                    first -= 1
                if first > 0 and (
                    _letter(data[first - 1]) or _digit(data[first - 1]) or data[first - 1] in (45, 46, 95)
                ):
                    continue
                last, score = street_address(data, first, min(size, first + LONGEST_ADDRESS), words)
                if last > 0:
                    if key_before(data, 0, first, words) & CUE_ADDRESS:
                        score += CUE_BEFORE
                    if score >= 0.0:
                        rows[total, 0], rows[total, 1], rows[total, 2], rows[total, 3] = first, last, codes[2], codes[3]
                        odds[total] = score
                        total += 1
        block = stop
    return total


@compiled
def _name_starts(data: Bytes, at: int) -> bool:
    """Whether a key's joiner stands before a capital, not the blank between two words."""
    for back in range(1, 4):
        if at - back < 0:
            return False
        code = data[at - back]
        if code in (58, 61, 62) or code >= 0x80:
            return True
        if code not in (32, 34, 39, 92):
            return False
    return False
