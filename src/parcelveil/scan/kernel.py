"""The pass over bytes: where a value may begin the automaton is run, and what it accepts is checked at once.

::

    count, place = candidates(data, 0, len(data), shapes, found)    # found.start[:count], .end, .rule, .weak, .joined

Nothing is decoded and nothing is allocated. A value begins and ends where no ASCII letter or digit is its neighbour: a
Chinese character is never part of a number, so ``电话13812345678谢谢`` is found. ``@`` is the anchor of e-mail addresses,
which have no bounded pattern. :func:`core` is a quicker pass for four kinds alone, as machines write them: it jumps from
one possible run of eleven digits to the next. Both are held to :mod:`parcelveil.scan.reference` by tests.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.scan.check_passes import run_check
from parcelveil.scan.checks import BAD, WEAK
from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

#: Longest parts of an address around its "@": RFC 5321, 4.5.3.1.
LOCAL, _DOMAIN = 64, 255
#: Ends of matches that are remembered while the automaton runs on: the longest good one is taken.
_ENDS = 24

# What a byte may begin: nothing, an address, a pattern without being part of a word, a full-width character, only a
# word, a pattern as a word's first byte.
NOTHING, AT, SIGN, WIDE, WORD, FIRST = 0, 1, 2, 3, 8, 9
#: The bit that letters and digits have.
LETTERED = 8


#: Numba's conversion of a position; ``int`` would leave it unsigned.
signed: Any = np.int64


class Shapes(NamedTuple):
    """The tables of a rule set, as the pass takes them. Rules are rows; see :class:`~parcelveil.scan.rules.Rule`."""

    action: Bytes  # (256,) what a byte may begin
    classes: Bytes  # (256,) class of each byte
    table: npt.NDArray[np.uint16]  # (states << shift,) the next state, flat
    shift: int
    accepting: int  # states from this number on accept
    accepts: npt.NDArray[np.int32]
    rules_from: npt.NDArray[np.int32]
    rules: npt.NDArray[np.int16]
    check: npt.NDArray[np.int16]  # (rules,) code of its check
    special: Bytes  # (rules,) 1: has `before` or `value`
    before: npt.NDArray[np.int32]  # (rules, n) Han characters of which one stands before, as 24 bits; -1 for none
    value: Bytes  # (rules, 256) characters of the value at the match's end; all zero: the whole match
    email: int  # the rule whose anchor is "@", or -1
    masked_email: int  # the same of masked addresses


class Found(NamedTuple):
    """Room for candidates, in columns."""

    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    rule: npt.NDArray[np.int16]
    weak: Bytes
    joined: Bytes

    @classmethod
    def room(cls, size: int) -> Found:
        """Room for ``size`` candidates."""
        columns = [np.empty(size, kind) for kind in (np.int64, np.int64, np.int16, np.uint8, np.uint8)]
        return cls._make(columns)


@compiled
def is_word(byte: int) -> bool:
    """Whether a byte is an ASCII letter or digit."""
    return 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122


@compiled
def is_joined(data: Bytes, start: int, end: int) -> bool:
    """Whether ``- _ .`` (or the sign of an exponent) ties the value to a word on its left or right.

    A dot does so between digits only: ``Tel.02161234567`` is an abbreviation.
    """
    size = len(data)
    if start >= 2 and is_word(data[start - 2]):
        sign = data[start - 1]
        if sign == 45 or sign == 95 or (sign == 43 and data[start - 2] | 32 == 101):
            return True
        if sign == 46 and 48 <= data[start - 2] <= 57:
            return True
    if end + 1 < size and is_word(data[end + 1]):
        sign = data[end]
        if sign == 45 or sign == 95 or (sign == 46 and 48 <= data[end + 1] <= 57):
            return True
    return False


@compiled
def candidates(data: Bytes, low: int, high: int, shapes: Shapes, found: Found) -> tuple[int, int, bool]:
    """Every candidate whose match begins in ``[low, high)``.

    Returns how many there are, where the pass ended (``high``, or before it when there was no more room), and whether
    full-width characters were met, which this pass does not read.
    """
    # Unsigned positions: with signed ones numba looks for negative indices on each access.
    action, classes, table, accepts = shapes.action, shapes.classes, shapes.table, shapes.accepts
    size, until, shift = np.uint64(len(data)), np.uint64(high), np.uint64(shapes.shift)
    accepting = np.uint64(shapes.accepting)
    one, two = np.uint64(1), np.uint64(2)
    rules_from, rules, check, special = shapes.rules_from, shapes.rules, shapes.check, shapes.special
    starts, stops, which, weak, joined = found.start, found.end, found.rule, found.weak, found.joined
    full, room = len(starts), len(starts) - 64
    ends, rows = np.empty(_ENDS, np.int64), np.empty(_ENDS, np.int32)
    taken = np.full(len(shapes.check), -1, np.int64)
    count, wide = signed(0), False  # a literal would be a type of its own in calls
    place = np.uint64(low)
    if low > 0 and is_word(data[place - one]):  # a word that began before is not ours
        while place < until and is_word(data[place]):
            place += one
    while place < until:
        act = action[data[place]]
        if act == NOTHING:
            place += one
            continue
        if act == WORD:
            place += one
            while place < size and action[data[place]] & LETTERED:
                place += one
            continue
        if count >= room:
            return count, signed(place), wide
        if act == AT:
            count = _address(data, signed(place), shapes, found, count, low, high)
            place += one
            continue
        if act == WIDE:
            # U+FF10 to U+FF5A: ０ to ｚ, and ＠ between them
            if place + two < size:
                second, third = data[place + one], data[place + two]
                if (second == 0xBC and third >= 0x90) or (second == 0xBD and third <= 0x9A):
                    wide = True
            place += one
            continue
        if act == SIGN and place > 0 and data[place] < 128 and is_word(data[place - one]):
            place += one
            continue
        state = np.uint64(table[(one << shift) | classes[data[place]]])
        at = place + one
        if act == SIGN and at < size and state < accepting and table[(state << shift) | classes[data[at]]] == 0:
            place = at  # most Chinese characters that begin like one of a pattern are another
            continue
        seen = 0
        while state != 0:
            if state >= accepting and (at == size or not action[data[at]] & LETTERED):
                if seen == _ENDS:  # the shortest is forgotten
                    for i in range(_ENDS - 1):
                        ends[i], rows[i] = ends[i + 1], rows[i + 1]
                    seen -= 1
                ends[seen], rows[seen] = at, accepts[state]
                seen += 1
            if at == size:
                break
            state = np.uint64(table[(state << shift) | classes[data[at]]])
            at += one
        while seen > 0:
            seen -= 1
            end = signed(ends[seen])
            for i in range(rules_from[rows[seen]], rules_from[rows[seen] + 1]):
                rule = np.uint64(rules[i])
                if taken[rule] == place or count >= full:
                    continue  # a longer one was good
                start = signed(place)
                if special[rule]:
                    start = _value_start(data, start, end, shapes.before[rule], shapes.value[rule])
                    if start < 0:
                        continue
                outcome = run_check(check[rule], data, start, end)
                if outcome != BAD:
                    taken[rule] = signed(place)
                    starts[count], stops[count], which[count] = start, end, rule
                    weak[count], joined[count] = outcome == WEAK, is_joined(data, start, end)
                    count += 1
        place += one
        if act == FIRST:
            while place < size and action[data[place]] & LETTERED:
                place += one
    for behind in range(high, min(high + LOCAL + 1, len(data))):  # an address that begins here may have its "@" behind
        if data[behind] == 64:
            count = _address(data, behind, shapes, found, count, low, high)
    return count, high, wide


@compiled
def _value_start(data: Bytes, place: int, end: int, before: npt.NDArray[np.int32], value: Bytes) -> int:
    """Where the value begins of a match ``data[place:end]`` with a lead, or with a character before it; -1: it is none."""
    if before[0] < 0:
        start = end
        while start > place and value[data[start - 1]] & 1:
            start -= 1
        return start if start < end else -1
    if place < 3:
        return -1
    code = (np.int64(data[place - 3]) << 16) | (np.int64(data[place - 2]) << 8) | np.int64(data[place - 1])
    for known in before:
        if known == code:
            return place - 3
    return -1


@compiled
def _address(data: Bytes, at: int, shapes: Shapes, found: Found, count: int, low: int, high: int) -> int:
    """The e-mail address around the "@" at ``at``, if there is one that begins in ``[low, high)``."""
    rule = shapes.masked_email
    start, end = masked_email_span(data, at)
    if start < 0:
        rule = shapes.email
        start, end = email_span(data, at)
    if rule < 0 or start < low or start >= high:
        return count
    outcome = run_check(shapes.check[rule], data, start, end)
    if outcome != BAD:
        found.start[count], found.end[count], found.rule[count] = start, end, rule
        found.weak[count], found.joined[count] = outcome == WEAK, False
        count += 1
    return count


@compiled
def _hides(data: Bytes, end: int) -> int:
    """Bytes of the character before ``end`` that hides another: ``*``, ``●``, ``•``, ``×``; 0 for none."""
    if end >= 1 and data[end - 1] == 42:
        return 1
    if end >= 2 and data[end - 1] == 0x97 and data[end - 2] == 0xC3:
        return 2
    if end < 3 or data[end - 3] != 0xE2:
        return 0
    if (data[end - 1] == 0x8F and data[end - 2] == 0x97) or (data[end - 1] == 0xA2 and data[end - 2] == 0x80):
        return 3
    return 0


@compiled
def masked_email_span(data: Bytes, at: int) -> tuple[int, int]:
    """The span of an address around "@" of which at least two characters are hidden; (-1, -1) for none."""
    size, hidden = len(data), 0
    start = at
    while start > 0 and at - start < LOCAL:
        step = _hides(data, start)
        byte = data[start - 1]
        if step > 0:
            hidden += 1
            start -= step
        elif is_word(byte) or byte in (46, 95, 45):  # . _ -
            start -= 1
        else:
            break
    end = at + 1
    while end < size and end - at < LOCAL and (is_word(data[end]) or data[end] in (42, 46, 45)):
        hidden += data[end] == 42
        end += 1
    while end > at + 1 and data[end - 1] in (46, 45):
        end -= 1
    while start < at and data[start] in (46, 45):
        start += 1
    if hidden < 2 or start == at or end == at + 1:
        return -1, -1
    return start, end


@compiled
def email_span(data: Bytes, at: int) -> tuple[int, int]:
    """The span of an address around "@"; (-1, -1) for none. Only the ASCII form: an anchor among Chinese text."""
    size = len(data)
    start = at
    while start > 0 and at - start <= LOCAL:
        byte = data[start - 1]
        if is_word(byte) or byte in (46, 95, 37, 43, 45):  # . _ % + -
            start -= 1
        else:
            break
    while start < at and data[start] in (46, 45, 43, 37):  # a dot, a dash before it belongs to the text
        start += 1
    if start == at or at - start > LOCAL:
        return -1, -1
    end, dots, label = at + 1, 0, at + 1
    last = at + 1  # behind the last label that may be a top-level domain
    while end < size and end - at <= _DOMAIN:
        byte = data[end]
        if is_word(byte) or (byte == 45 and end > label):
            end += 1
        elif byte == 46 and end > label and data[end - 1] != 45:
            if dots > 0 and _top_level(data, label, end):
                last = end
            dots += 1
            end += 1
            label = end
        else:
            break
    while end > label and data[end - 1] == 45:
        end -= 1
    if dots > 0 and end > label and _top_level(data, label, end):
        last = end
    if last == at + 1:
        return -1, -1
    return start, last


@compiled
def _top_level(data: Bytes, start: int, end: int) -> bool:
    """Letters only, two at least."""
    if end - start < 2 or end - start > 24:
        return False
    for place in range(start, end):
        byte = data[place] | 32
        if byte < 97 or byte > 122:
            return False
    return True


@compiled
def candidates_in_cells(
    data: Bytes, starts: Index, ends: Index, shapes: Shapes, found: Found, cells: Index
) -> tuple[int, int, bool]:
    """Candidates of each cell by itself. Returns how many, the cells done, and whether full-width characters were met."""
    count, wide = signed(0), False  # a literal would be a type of its own in calls
    for cell in range(len(starts)):
        start, end = starts[cell], ends[cell]
        if len(found.start) - count < 96:
            return count, cell, wide
        view = data[start:end]
        rest = Found(
            found.start[count:], found.end[count:], found.rule[count:], found.weak[count:], found.joined[count:]
        )
        more, place, met = candidates(view, start - start, end - start, shapes, rest)
        if place < end - start:
            return count, cell, wide
        wide = wide or met
        for i in range(count, count + more):
            found.start[i] += start
            found.end[i] += start
            cells[i] = cell
        count += more
    return count, len(starts), wide
