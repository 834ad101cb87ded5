"""The compiled pass over the cells of one column, and what a column is by its header and a sample of its cells.

A cell of a column of names is a name as a whole, or is none; one of a column of addresses is an address even if it
has few components (阳光小区). Cells of any other column are read as small texts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.scan.address_pass import COUNTS, MOST_FOUND, addresses_in
from parcelveil.scan.foreign_pass import latin_end, street_address
from parcelveil.scan.name_pass import CLEAR, MASKED, content, name_of
from parcelveil.scan.people_pass import (
    ADDRESS,
    ADDRESS_FOREIGN,
    ADDRESS_MASKED,
    LEAST,
    NAME,
    NAME_MASKED,
    W_COLUMN,
    W_LOOKS,
    Floats,
    put,
)
from parcelveil.scan.text_pass import LONGEST, Bytes, Chars, Index, Points, Words, decode, stem_kind
from parcelveil.scan.vocabulary import HAN, MASK
from parcelveil.seal.passes import compiled

#: Kinds of columns.
ANY, NAMES, ADDRESSES = 0, 1, 2
#: Log-odds: of a cell under a header that says so; in a column that looks so; what a vague header (name) adds.
BY_HEADER, BY_LOOKS, BY_VAGUE = 4.0, 2.0, 2.6
#: What an address cell has by itself when it has no components that make a chain.
PLAIN_CELL = -2.5
#: Shares of a sample that make a column by its looks, and that a vague header needs.
MANY, SOME = 0.6, 0.3
#: Bytes of the longest cell that is a name.
LONGEST_CELL = 100


class Judged(NamedTuple):
    """What a column is, what that adds to the log-odds of its cells, and why."""

    mode: int
    bonus: float
    why: int

    @classmethod
    def of(cls, says: int, vague: bool, shares: tuple[float, float]) -> Judged:
        """By the header (``says``; ``vague`` where it may mean other things) and the shares of names and addresses."""
        names, addresses = shares
        if says == NAMES and not vague:
            return cls(NAMES, BY_HEADER if names >= SOME / 3 else BY_VAGUE, W_COLUMN)
        if says == NAMES and names >= SOME:
            return cls(NAMES, BY_VAGUE + (names - SOME), W_COLUMN)
        if says == ADDRESSES:
            return cls(ADDRESSES, BY_HEADER, W_COLUMN)
        if says == ANY and names >= MANY:
            return cls(NAMES, BY_LOOKS, W_LOOKS)
        if addresses >= MANY:
            return cls(ADDRESSES, BY_LOOKS, W_LOOKS)
        return cls(ANY, 0.0, 0)


@compiled
def _trimmed(data: Bytes, start: int, end: int) -> tuple[int, int]:
    while start < end and data[start] in (32, 34, 39, 9, 10, 13):
        start += 1
    while end > start and data[end - 1] in (32, 34, 39, 9, 10, 13):
        end -= 1
    return start, end


@compiled
def judge_sample(data: Bytes, starts: Index, ends: Index, chars: Chars, words: Words) -> tuple[float, float]:
    """Of the cells that are not empty: the shares that look like whole names and like addresses."""
    points, places = np.empty(LONGEST + 8, np.int32), np.empty(LONGEST + 9, np.int64)
    found, scores = np.empty((MOST_FOUND, 3), np.int64), np.empty(MOST_FOUND, np.float64)
    counts, span = np.empty(COUNTS, np.int64), np.empty(4, np.int64)
    cells, names, addresses = 0, 0, 0
    for cell in range(len(starts)):
        start, end = _trimmed(data, starts[cell], ends[cell])
        if start == end:
            continue
        cells += 1
        if end - start > LONGEST:
            continue
        count = decode(data, start, end, points, places)
        if end - start <= LONGEST_CELL:
            state, score, _ = name_of(points, 0, count, chars, words, span)
            if state == MASKED or (state == CLEAR and score > 0.0):
                names += 1
                continue
            if latin_end(points, 0, count, False, words) == count:
                names += 1
                continue
        chains = addresses_in(points, count, False, chars, words, counts, found, scores)
        for chain in range(chains):
            if scores[chain] >= -0.5 and found[chain, 0] <= 12 and not _phone_like(data, start, end):
                addresses += 1
                break
    return (names / cells, addresses / cells) if cells else (0.0, 0.0)


@compiled
def _phone_like(data: Bytes, start: int, end: int) -> bool:
    run = 0
    for at in range(start, end):
        run = run + 1 if 48 <= data[at] <= 57 else 0
        if run >= 10:
            return True
    return False


@compiled
def phones_in(data: Bytes, starts: Index, ends: Index) -> Index:
    """Beginnings and ends of what looks like a mobile or landline number of China inside of the cells, in order."""
    most, total = 0, 0
    for cell in range(len(starts)):
        most += max(0, ends[cell] - starts[cell]) // 10
    out = np.empty((most, 2), np.int64)
    for cell in range(len(starts)):
        at, end = starts[cell], ends[cell]
        while at < end:
            if not 48 <= data[at] <= 57:
                at += 1
                continue
            first, digits = at, 0
            while at < end and (
                48 <= data[at] <= 57
                or (data[at] in (32, 45) and at + 1 < end and 48 <= data[at + 1] <= 57 and digits in (2, 3, 4, 7))
            ):
                digits += 1 if data[at] > 45 else 0
                at += 1
            mobile = (digits == 11 and data[first] == 49) or (digits == 13 and data[first] == 56)
            if mobile or (data[first] == 48 and 10 <= digits <= 12):
                out[total, 0], out[total, 1] = first, at
                total += 1
    return out[:total]


@compiled
def _address_cell(
    data: Bytes, start: int, end: int, bonus: float, why: int, chars: Chars, words: Words,
    points: Points, places: Index, counts: Index, found: Index, scores: Floats, rows: Index, odds: Floats, total: int,
) -> int:  # fmt: skip
    """A cell of a column of addresses: from its first chain to its last one, or the whole of it."""
    count = decode(data, start, end, points, places)
    han, hidden = 0, 0
    for at in range(count):
        flags = chars[points[at]]
        han += 1 if flags & HAN else 0
        hidden += 1 if flags & MASK and points[at] < 0x80 else 0
    if han < 3:
        last, score = street_address(data, start, end, words)
        if last > 0:
            return put(rows, odds, total, start, last, ADDRESS_FOREIGN, why, score + bonus)
        return total
    chains = addresses_in(points, count, False, chars, words, counts, found, scores)
    first, last, best = -1, -1, -9.0
    areas = False
    for chain in range(chains):
        if scores[chain] > -6.0:
            first = found[chain, 0] if first < 0 else first
            last, best = found[chain, 1], max(best, scores[chain])
    if first < 0:
        # Nothing but a division, or a name, is no address.
        areas = count <= 12 and stem_kind(chars[points[count - 1]]) in (1, 2)
        titled = points[count - 2] == 0x5730 and points[count - 1] == 0x5740  # 地址: a header
        if areas or titled or count < 4 or content(points, 0, count, chars, words) > -1.0:
            return total
        first, last, best = 0, count, PLAIN_CELL
    elif first <= 10:
        first = 0
    score = max(best, PLAIN_CELL) + bonus
    if score < LEAST:
        return total
    return put(rows, odds, total, places[first], places[last], ADDRESS_MASKED if hidden else ADDRESS, why, score)


@compiled
def cells_pass(
    data: Bytes, starts: Index, ends: Index, phones: Index, mode: int, bonus: float, why: int, chars: Chars, words: Words,
    rows: Index, odds: Floats, as_text: npt.NDArray[np.bool_],
) -> int:  # fmt: skip
    """Rows for the cells of a column of kind ``mode``; marks the cells to be read ``as_text``. Returns how many rows.

    Cells with a phone in them, and long ones, hold more than one thing.
    """
    points, places = np.empty(LONGEST + 8, np.int32), np.empty(LONGEST + 9, np.int64)
    found, scores = np.empty((MOST_FOUND, 3), np.int64), np.empty(MOST_FOUND, np.float64)
    counts, span = np.empty(COUNTS, np.int64), np.empty(4, np.int64)
    total, phone = 0, 0
    for cell in range(len(starts)):
        start, end = _trimmed(data, starts[cell], ends[cell])
        while phone < len(phones) and phones[phone, 1] <= start:
            phone += 1
        if end - start < 3:
            continue
        mixed = phone < len(phones) and phones[phone, 0] < end
        if mode == NAMES and end - start <= LONGEST_CELL and not mixed:
            count = decode(data, start, end, points, places)
            state, score, _ = name_of(points, 0, count, chars, words, span)
            if state == MASKED:
                total = put(rows, odds, total, places[span[0]], places[span[1]], NAME_MASKED, why, score + bonus)
                continue
            if state == CLEAR and score + bonus >= LEAST:
                total = put(rows, odds, total, places[span[0]], places[span[1]], NAME, why, score + bonus)
                continue
            if latin_end(points, 0, count, bonus > 3.0, words) == count:
                total = put(rows, odds, total, start, end, NAME, why, bonus)
                continue
        elif mode == ADDRESSES and end - start <= LONGEST and not mixed:
            total = _address_cell(
                data, start, end, bonus, why, chars, words, points, places, counts, found, scores, rows, odds, total
            )
            continue
        as_text[cell] = True
    return total


@compiled
def joined(data: Bytes, starts: Index, ends: Index) -> tuple[Bytes, Index]:
    """The cells as the lines of one text, and where each begins in it (and the end of it all)."""
    places, size = np.empty(len(starts) + 1, np.int64), 0
    for cell in range(len(starts)):
        places[cell] = size
        size += max(0, ends[cell] - starts[cell]) + 1
    places[len(starts)] = size
    out = np.empty(size, np.uint8)
    for cell in range(len(starts)):
        at = places[cell]
        for place in range(starts[cell], ends[cell]):
            # A line end inside of a cell is none between cells: the lines of a label belong together.
            out[at] = 13 if data[place] == 10 else data[place]
            at += 1
        out[at] = 10
    return out, places
