"""The compiled pass for names that stand beside a phone, an identity number or an e-mail: the cells next to it.

In a row of a waybill list, a name is a cell at most three cells from a phone whose content passes for a name; in a
message it is the word next to the number (张三13800138000, 13800138000 张三). Looks at WINDOW bytes on both sides and
not over the end of the line, nor over the next number of the same kind. The walk goes outwards word by word, and ends
at a word that is a name without doubt.
"""

from __future__ import annotations

import numpy as np

from parcelveil.scan.foreign_pass import LATIN, latin_end
from parcelveil.scan.name_pass import CLEAR, IMPOSSIBLE, MASKED, name_ahead, name_behind, name_of
from parcelveil.scan.people_pass import (
    A_CELL_AWAY,
    BESIDE,
    LEAST,
    MAIL,
    MASK_ALONE,
    MOST_CELLS,
    NAME,
    NAME_MASKED,
    PHONE,
    SECOND,
    W_PHONE,
    WINDOW,
    Floats,
    parts,
    put,
)
from parcelveil.scan.text_pass import (
    LONGEST,
    Bytes,
    Chars,
    Index,
    Points,
    Words,
    decode,
    point,
    signed,
    step_back,
    width,
)
from parcelveil.scan.vocabulary import HAN, STOP
from parcelveil.seal.passes import compiled

#: A word of a cell of several words is less likely a name; an e-mail or identity number says less than a phone.
ONE_OF_MANY, NO_PHONE = -1.6, -0.3
#: A name beside a phone that is likelier than this ends the search on its side.
SURE = 2.5
#: Bytes of the longest word that is judged.
LONGEST_WORD = 102


@compiled
def _judge(
    points: Points, start: int, end: int, cells: int, glued: int, chars: Chars, words: Words, span: Index
) -> tuple[int, float]:
    """A word beside a number: its state and log-odds. ``glued``: -1 it ends at the number, 1 it begins there."""
    state, score, cut = name_of(points, start, end, chars, words, span)
    if state == MASKED:
        return MASKED, score + MASK_ALONE + BESIDE - A_CELL_AWAY * cells
    if glued and score < 0.0:
        first, last = span[0], span[1]
        if glued < 0:
            other = name_behind(points, start, end, chars, words, span)
        else:
            other = name_ahead(points, start, min(end, start + 12), chars, words, span)
        if other > score:
            score, state = other, CLEAR
        else:
            span[0], span[1] = first, last
    if state != CLEAR:
        return 0, IMPOSSIBLE
    return CLEAR, score + BESIDE - A_CELL_AWAY * cells + (1.0 if cut & 1 else 0.0)


@compiled
def _latin_cell(
    data: Bytes, floor: int, top: int, start: int, end: int, chars: Chars, words: Words
) -> tuple[int, int, int, int]:
    """The whole cell around a word of ASCII, and the name that it is: from, to, name's from and to (-1: it is none)."""
    while start > floor and data[start - 1] < 0x80 and not chars[data[start - 1]] & STOP and data[start - 1] != 40:
        start -= 1
    while end < top and data[end] < 0x80 and not chars[data[end]] & STOP and data[end] != 41:
        end += 1
    first, last = start, end
    while first < last and data[first] == 32:
        first += 1
    while last > first and data[last - 1] == 32:
        last -= 1
    # A cell that the window cuts off is no whole one.
    open_end = (start == floor and floor > 0 and data[floor - 1] >= 0x80) or (end < top and data[end] >= 0x80)
    if open_end or last - first < 5 or not (65 <= data[first] <= 90):
        return start, end, -1, -1
    if latin_end(data, first, last, False, words) != last:
        return start, end, -1, -1
    return start, end, first, last


@compiled
def _parted(data: Bytes, floor: int, top: int, at: int, step: int) -> bool:
    """Whether a blank, a bracket or a slash stands before (``step`` -1) or behind a word; ``at`` is its next byte."""
    if at < floor or at >= top:
        return False
    code = data[at]
    if code < 0x80:
        return bool(code in (32, 40, 41, 47))
    first = at - 2 if step < 0 else at
    blank = first >= floor and first + 2 < top and data[first] == 0xE3
    return bool(blank and data[first + 1] == 0x80 and data[first + 2] == 0x80)  # U+3000


@compiled
def _side(  # noqa: PLR0915 (one loop: a call for each character costs more than the rest)
    data: Bytes, floor: int, top: int, left: bool, most_cells: int, chars: Chars, words: Words, points: Points,
    places: Index, span: Index, best: Index,
) -> tuple[int, float]:  # fmt: skip
    """The best name in ``data[floor:top]``, at whose end (left) or beginning a number stands; its bytes in ``best``."""
    state, most = 0, IMPOSSIBLE
    at, cells, seen = (top if left else floor), 0, 0
    while floor < at if left else at < top:
        hard = False
        # What parts the cells; words of running text end the search.
        while floor < at if left else at < top:
            # The common characters are read in place: a call costs more than all the rest of this loop.
            edge = at - 1 if left else at
            code, step = signed(data[edge]), 1
            if code >= 0x80:
                edge = at - 3 if left else at
                first_byte = signed(data[edge]) if edge >= floor and edge + 2 < top else 0
                if 0xE1 <= first_byte < 0xF0 and data[edge + 1] >> 6 == 2 and data[edge + 2] >> 6 == 2:
                    code = (first_byte & 15) << 12 | signed(data[edge + 1] & 63) << 6 | signed(data[edge + 2] & 63)
                    step = 3
                elif left:
                    code, edge = step_back(data, floor, at)
                    step = at - edge
                else:
                    code = point(data, at, top)
                    step = width(code) if code >= 0 else 1
            char = chars[code] if 0 <= code < 0x10000 else np.uint32(STOP)
            if char & STOP:
                if char & HAN or code in (10, 0x3002, 0xFF01, 0xFF1F, 33, 63):
                    return state, most
                hard = True
            elif not parts(code):
                break
            at += -step if left else step
        cells += 1 if hard else 0
        if cells > most_cells or seen > 14:
            break
        glued = 0 if hard or seen else -1 if left else 1
        # The word.
        begin, ascii_only = at, True
        while floor < at if left else at < top:
            # The common characters are read in place: a call costs more than all the rest of this loop.
            edge = at - 1 if left else at
            code, step = signed(data[edge]), 1
            if code >= 0x80:
                edge = at - 3 if left else at
                first_byte = signed(data[edge]) if edge >= floor and edge + 2 < top else 0
                if 0xE1 <= first_byte < 0xF0 and data[edge + 1] >> 6 == 2 and data[edge + 2] >> 6 == 2:
                    code = (first_byte & 15) << 12 | signed(data[edge + 1] & 63) << 6 | signed(data[edge + 2] & 63)
                    step = 3
                elif left:
                    code, edge = step_back(data, floor, at)
                    step = at - edge
                else:
                    code = point(data, at, top)
                    step = width(code) if code >= 0 else 1
            if code < 0 or code > 0xFFFF or chars[code] & STOP or parts(code):
                break
            ascii_only = ascii_only and code < 0x80
            if most_cells == 1 and not glued and abs(at - begin) > LONGEST_WORD:
                return state, most
            at += -step if left else step
        start, end = (at, begin) if left else (begin, at)
        if end <= start:
            break
        seen += 1
        if ascii_only:
            start, end, name_start, name_end = _latin_cell(data, floor, top, start, end, chars, words)
            at = start if left else end
            if name_start >= 0:
                score = LATIN + BESIDE - A_CELL_AWAY * cells
                if score > most:
                    state, most = CLEAR, score
                    best[0], best[1] = name_start, name_end
            continue
        if (
            not left
            and cells > 0
            and end + 2 < top
            and chars[point(data, end, top) & 0xFFFF] & (STOP | HAN) == STOP | HAN
        ):
            continue  # 张江的…: a clause, no cell
        if end - start > LONGEST_WORD:
            # Only its end at the number can be a name.
            if not glued:
                continue
            if glued < 0:
                start = end - 48
                while data[start] >> 6 == 2:
                    start += 1
            else:
                end = start + 48
                while data[end] >> 6 == 2:
                    end -= 1
        count = decode(data, start, end, points, places)
        found, score = _judge(points, 0, count, cells, glued, chars, words, span)
        if cells > 0 and (_parted(data, floor, top, start - 1, -1) or _parted(data, floor, top, end, 1)):
            score += ONE_OF_MANY
        if found and score > most:
            state, most = found, score
            best[0], best[1] = places[span[0]], places[span[1]]
            if most >= SURE:
                break
    return state, most


@compiled
def beside_pass(
    data: Bytes,
    low: int,
    high: int,
    hits: Index,
    hit_is: Bytes,
    chars: Chars,
    words: Words,
    rows: Index,
    odds: Floats,
    total: int,
) -> int:
    """Adds rows for the names beside the hits around ``[low, high)`` to the ``total`` that there are."""
    points, places = np.empty(LONGEST_WORD + 2, np.int32), np.empty(LONGEST_WORD + 3, np.int64)
    left_best, best, span = np.empty(2, np.int64), np.empty(2, np.int64), np.empty(4, np.int64)
    reach = LONGEST + WINDOW
    for hit in range(np.searchsorted(hits[:, 0], low - reach - 128), len(hits)):
        begin, end = hits[hit, 0], hits[hit, 1]
        if begin > high + reach:
            break
        kind = signed(hit_is[hit])
        if kind > MAIL or kind < PHONE:
            continue
        floor, top = max(0, begin - WINDOW), min(len(data), end + WINDOW)
        other = hit - 1
        while other >= 0 and other > hit - 16:
            if hit_is[other] == kind or (kind != PHONE and hit_is[other] <= MAIL):
                floor = max(floor, hits[other, 1])
                break
            other -= 1
        other = hit + 1
        while other < len(hits) and hits[other, 0] < top:
            if hit_is[other] == kind or (kind != PHONE and hit_is[other] <= MAIL):
                top = hits[other, 0]
                break
            other += 1
        odd = BESIDE if kind == PHONE else BESIDE + NO_PHONE
        left_state, left, state, right = 0, IMPOSSIBLE, 0, IMPOSSIBLE
        if floor < begin:
            left_state, left = _side(
                data, floor, begin, True, MOST_CELLS, chars, words, points, places, span, left_best
            )
        if top > end:
            # Behind a number with a sure name before it, only the next cell may still be one of another person.
            cells = 1 if left >= SURE else MOST_CELLS
            state, right = _side(data, end, top, False, cells, chars, words, points, places, span, best)
        left, right = left + odd - BESIDE, right + odd - BESIDE
        least_left = LEAST if left >= right else LEAST + SECOND
        least_right = LEAST if right > left else LEAST + SECOND
        if left_state and left >= least_left:
            rule = NAME if left_state == CLEAR else NAME_MASKED
            total = put(rows, odds, total, left_best[0], left_best[1], rule, W_PHONE, left)
        if state and right >= least_right:
            rule = NAME if state == CLEAR else NAME_MASKED
            total = put(rows, odds, total, best[0], best[1], rule, W_PHONE, right)
    return total
