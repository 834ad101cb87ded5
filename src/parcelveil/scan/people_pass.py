"""The compiled pass for names and addresses: segment by segment of a text.

:func:`segments_pass` goes through a block from stop to stop. A segment that holds the ending of a component is read for
addresses; one before which a cue stands, or that holds a cue, for names. What stands beside phones is beside_pass.py,
the cells of a column cells_pass.py. Both write rows (start, end, rule, why)
and log-odds; nothing depends on where a block begins (see text_pass.py).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.scan.address_pass import AT_A_CUE, BESIDE_A_PHONE, COUNTS, MOST_FOUND, addresses_in
from parcelveil.scan.name_pass import CLEAR, MASKED, NOTHING, OPENERS, VERBS, name_ahead, name_of
from parcelveil.scan.text_pass import (
    INVALID,
    LONGEST,
    Bytes,
    Chars,
    Index,
    Points,
    Words,
    back_over,
    decode,
    family_odds,
    is_stop,
    key_before,
    may_begin,
    point,
    signed,
    width,
    word_at,
)
from parcelveil.scan.vocabulary import (
    AHEAD,
    ANCHOR,
    AREA,
    BEHIND,
    CUE_ADDRESS,
    CUE_FIRST,
    CUE_NAME,
    DOT,
    HAN,
    MASK,
    STOP,
    TITLE,
)
from parcelveil.seal.passes import compiled

Floats = npt.NDArray[np.float64]

#: Rules by the order in which People knows them.
NAME, NAME_MASKED, NAME_PROSE, ADDRESS, ADDRESS_MASKED, ADDRESS_FOREIGN = range(6)
#: What a segment may hold.
NAMED, PLACED = 1, 2
#: Why something was found; people.py gives the texts.
(W_NONE, W_CUE, W_PHONE, W_COLUMN, W_LOOKS, W_TITLE, W_VERB, W_PARTS, W_STREET) = range(9)
#: Kinds of hits, as the engine tells them.
PHONE, IDENTITY, MAIL = 1, 2, 3

#: Log-odds that circumstances add to a name.
AFTER_CUE, BESIDE, A_CELL_AWAY, IN_PROSE, WITH_TITLE, WITH_VERB, MASK_ALONE = 3.2, 2.3, 0.35, -2.4, 3.0, 2.0, -1.5
#: Bytes on each side of a phone in which a name is looked for; cells that may lie between; bytes for an address.
WINDOW, MOST_CELLS, NEAR = 200, 3, 160
#: What is less likely than this is not told.
LEAST = 0.0
#: The second name beside one phone has to be this good by itself.
SECOND = 1.3


@compiled
def put(rows: Index, odds: Floats, total: int, start: int, end: int, rule: int, why: int, logit: float) -> int:
    if total < len(rows):
        rows[total, 0], rows[total, 1], rows[total, 2], rows[total, 3] = start, end, rule, why
        odds[total] = logit
        total += 1
    return total


#: Of the stops, those that stand behind a name in running text: 在 是 被 把 也 就 却 还.
_STOP_VERBS = (0x5728, 0x662F, 0x88AB, 0x628A, 0x4E5F, 0x5C31, 0x5374, 0x8FD8)


#: Behind a name or its title on an envelope: 收 启 亲.
_ON_ENVELOPES = (0x6536, 0x542F, 0x4EB2)


@compiled
def _addressed(data: Bytes, at: int) -> bool:
    """Whether a comma stands at ``at`` and behind it 您 or 你: what stands before it is who is spoken to."""
    if at + 6 > len(data):
        return False
    after = at + 1 if data[at] == 44 else at + 3
    if data[at] != 44 and point(data, at, len(data)) != 0xFF0C:
        return False
    return point(data, after, len(data)) in (0x60A8, 0x4F60)


@compiled
def _dot_follows(points: Points, at: int, end: int, chars: Chars) -> bool:
    """Whether a Han word with a dot in it begins here (阿依古丽·买买提)."""
    place = at
    while place < end and place - at <= 8 and chars[points[place]] & HAN:
        place += 1
    return place - at >= 2 and place < end and chars[points[place]] & DOT != 0


@compiled
def parts(code: int) -> bool:
    """Whether a character parts words inside of a cell: blanks, brackets, a slash."""
    return code in (32, 0x3000, 40, 41, 0xFF08, 0xFF09, 47)


@compiled
def names_pass(  # noqa: PLR0915 (one loop over segments: each call would cost as much as its work)
    data: Bytes, segments: Index, how_many: int, chars: Chars, words: Words, rows: Index, odds: Floats
) -> int:
    """Rows for names behind a cue, and for names in running text, in the segments marked NAMED. Returns how many."""
    points, places, span = np.empty(LONGEST + 8, np.int32), np.empty(LONGEST + 9, np.int64), np.empty(4, np.int64)
    total = 0
    for segment in range(how_many):
        if not segments[segment, 2] & NAMED:
            continue
        count = decode(data, segments[segment, 0], segments[segment, 1], points, places)
        at, after_cue, fresh = 0, False, True
        if count > 8:
            # Most long segments that begin with a family name are addresses.
            _, length = word_at(words, points, 0, count, AREA)
            fresh = length == 0 or _dot_follows(points, 0, count, chars)
        if points[0] == 0x53EB and key_before(data, 0, places[1], words) & CUE_NAME:  # (我)叫
            at, fresh, after_cue = 1, True, True
        while at < count:
            char = chars[points[at]]
            fresh = fresh and (char & MASK or family_odds(char) > -8.0 or _dot_follows(points, at, count, chars))
            if fresh and at == 0:
                after_cue = key_before(data, 0, places[0], words) & CUE_NAME != 0
                behind = point(data, places[count], len(data)) if places[count] < len(data) else INVALID
                # A short cell that ends with the name is none of running text.
                fresh = after_cue or count > 3 or behind in _STOP_VERBS or _addressed(data, places[count])
            if fresh:
                stop = at
                while stop < count and not parts(points[stop]) and stop - at < 40:
                    stop += 1
                state, score, _ = name_of(points, at, stop, chars, words, span)
                if (state == CLEAR and (score <= -1.5 or span[0] != at)) or state == NOTHING:
                    score = name_ahead(points, at, stop, chars, words, span)
                if state == MASKED or score > -3.0:
                    first, last = places[span[0]], places[span[1]]
                    if state == MASKED:
                        if after_cue:
                            total = put(rows, odds, total, first, last, NAME_MASKED, W_CUE, AFTER_CUE + 1.0)
                    elif after_cue:
                        if score + AFTER_CUE >= LEAST:
                            total = put(rows, odds, total, first, last, NAME, W_CUE, score + AFTER_CUE)
                    elif score >= -0.5:
                        behind = span[1]
                        while behind < count and points[behind] == 32:
                            behind += 1
                        meaning, _ = word_at(words, points, behind, count, TITLE | BEHIND)
                        verb = behind < count and points[behind] in VERBS
                        if behind == count:
                            verb = places[count] < len(data) and point(data, places[count], len(data)) in _STOP_VERBS
                            verb = verb or _addressed(data, places[count])
                        past = behind + 2 if meaning & TITLE else behind
                        if past < count and points[past] in _ON_ENVELOPES and (meaning & TITLE or past + 1 == count):
                            total = put(rows, odds, total, first, last, NAME, W_TITLE, score + AFTER_CUE)
                        elif meaning & TITLE:
                            logit = score + IN_PROSE + WITH_TITLE
                            total = put(rows, odds, total, first, last, NAME_PROSE, W_TITLE, logit)
                        elif (meaning & BEHIND or verb) and score >= 0.8:
                            logit = score + IN_PROSE + WITH_VERB
                            if logit >= LEAST:
                                total = put(rows, odds, total, first, last, NAME_PROSE, W_VERB, logit)
            fresh = after_cue = False
            step = 1
            if char & CUE_FIRST and points[at] in OPENERS:
                fresh = True
            if char & CUE_FIRST and at + 1 < count and may_begin(words, points[at], points[at + 1]):
                meaning, length = word_at(words, points, at, count, CUE_NAME | AHEAD)
                if length:
                    step, fresh = length, True
                    after_cue = meaning & CUE_NAME != 0
                    while at + step < count and points[at + step] in (32, 0x3000, 0x4E3A, 0xFF08):
                        step += 1
            at += step
    return total


@compiled
def _one_line(data: Bytes, start: int, end: int) -> bool:
    at = start
    while at < end and data[at] != 10:
        at += 1
    return at >= end


@compiled
def _near(data: Bytes, hits: Index, hit_is: Bytes, hit: int, start: int, end: int, in_line: bool) -> bool:
    """Whether a phone stands within NEAR bytes of a segment (and in its line, with ``in_line``).

    ``hit`` is the first hit that begins behind the segment.
    """
    at = hit
    while at < len(hits) and hits[at, 0] < end + NEAR:
        if hit_is[at] == PHONE:
            if not in_line or _one_line(data, end, hits[at, 0]):
                return True
            break
        at += 1
    at = hit - 1
    while at >= 0 and at > hit - 12 and hits[at, 0] > start - NEAR - 128:
        if hit_is[at] == PHONE and hits[at, 1] > start - NEAR:
            return not in_line or _one_line(data, hits[at, 1], start)
        at -= 1
    return False


@compiled
def places_pass(
    data: Bytes, segments: Index, how_many: int, hits: Index, hit_is: Bytes, chars: Chars, words: Words, in_line: bool,
    rows: Index, odds: Floats, total: int,
) -> int:  # fmt: skip
    """Adds rows for the addresses in the segments marked PLACED. ``in_line``: lines are worlds of their own."""
    points, places = np.empty(LONGEST + 8, np.int32), np.empty(LONGEST + 9, np.int64)
    found, scores = np.empty((MOST_FOUND, 3), np.int64), np.empty(MOST_FOUND, np.float64)
    counts = np.empty(COUNTS, np.int64)
    for segment in range(how_many):
        if not segments[segment, 2] & PLACED:
            continue
        start, end, hit = segments[segment, 0], segments[segment, 1], segments[segment, 3]
        count = decode(data, start, end, points, places)
        before_phone = hit < len(hits) and hits[hit, 0] == end and hit_is[hit] == PHONE
        chains = addresses_in(points, count, before_phone, chars, words, counts, found, scores)
        for chain in range(chains):
            score, why = scores[chain], W_PARTS
            first, last = found[chain, 0], found[chain, 1]
            if last - first < 3 or score < LEAST - AT_A_CUE - BESIDE_A_PHONE:
                continue
            if key_before(data, 0, places[first], words) & CUE_ADDRESS:
                score, why = score + AT_A_CUE, W_CUE
            if _near(data, hits, hit_is, hit, start, end, in_line):
                score += BESIDE_A_PHONE
                if why == W_PARTS:
                    why = W_PHONE
            if score >= LEAST:
                rule = ADDRESS_MASKED if found[chain, 2] else ADDRESS
                total = put(rows, odds, total, places[first], places[last], rule, why, score)
    return total


@compiled
def segment_start(data: Bytes, low: int, hits: Index, hit_is: Bytes, chars: Chars) -> int:
    """Where the segment that holds ``low`` begins; -1 when that is more than LONGEST bytes before it."""
    at, floor = low, max(0, low - LONGEST - 8)
    while at < len(data) and at < low + 4 and data[at] >> 6 == 2:
        at += 1
    begins = 0 if floor == 0 else -1
    while at > floor:
        before = back_over(data, floor, at)
        if is_stop(chars, point(data, before, at)):
            begins = at
            break
        at = before
    for hit in range(np.searchsorted(hits[:, 0], low - LONGEST - 256), len(hits)):
        if hits[hit, 0] >= low:
            break
        if hit_is[hit] <= MAIL and hits[hit, 1] > begins and hits[hit, 1] > low - LONGEST - 8:
            begins = hits[hit, 1]
    return begins


@compiled
def _past_ascii(data: Bytes, at: int, high: int, chars: Chars) -> int:
    """Where the last segment begins that begins in the blocks of nothing but ASCII at ``at``, where one begins, too."""
    place = at
    while place + 64 < len(data) and place < high:
        every = np.uint8(0)
        for offset in range(64):
            every |= data[place + offset]
        if every & 0x80:
            break
        place += 64
    while place > at and not chars[data[place - 1]] & STOP:
        place -= 1
    return place


@compiled
def segments_pass(data: Bytes, low: int, high: int, hits: Index, hit_is: Bytes, chars: Chars, segments: Index) -> int:
    """The segments that touch ``[low, high)`` and may hold a name or an address. Returns how many.

    Rows of ``segments``: beginning, end, NAMED and PLACED, and the first hit that does not begin before the end.
    """
    total, size = 0, len(data)
    start = segment_start(data, low, hits, hit_is, chars)
    known = start >= 0
    at = start if known else low
    while not known and at < size and data[at] >> 6 == 2:
        at += 1
    hit = np.searchsorted(hits[:, 0], at)
    while at < size and at < high:
        if known and size - at > 64 and (data[at] | data[at + 20] | data[at + 40] | data[at + 60]) < 0x80:
            at = _past_ascii(data, at, high, chars)
        while hit < len(hits) and (hits[hit, 0] < at or hit_is[hit] > MAIL):
            if hit_is[hit] <= MAIL:
                at = max(at, hits[hit, 1])
            hit += 1
        limit = min(size, hits[hit, 0]) if hit < len(hits) else size
        start, count, seen, step, first, leading, begins = at, 0, np.uint32(0), 0, 0, np.uint32(0), at
        while at < limit:
            code, step = signed(data[at]), 1
            if code >= 0x80:
                if 0xE1 <= code < 0xF0 and at + 2 < size and data[at + 1] >> 6 == 2 and data[at + 2] >> 6 == 2:
                    code = (code & 15) << 12 | signed(data[at + 1] & 63) << 6 | signed(data[at + 2] & 63)
                    step = 3
                else:
                    code = point(data, at, size)
                    step = width(code) if code >= 0 else 1
                    if code < 0 or code > 0xFFFF:
                        break
            char = chars[code]
            if char & STOP:
                break
            if count == 0:
                first, leading, begins = code, char, at
            if count > 0 or code not in (32, 0x3000):
                count += 1
            seen |= char
            at += step
        # A look at the first character and at all flags keeps most segments unread.
        if known and seen & HAN and 4 <= at - start <= LONGEST:
            use = PLACED if seen & ANCHOR and count >= 3 else 0
            if seen & (CUE_FIRST | DOT) or first == 0x53EB or leading & MASK or family_odds(signed(leading)) > -8.0:
                use |= NAMED
            if use and total < len(segments):
                segments[total, 0], segments[total, 1], segments[total, 2], segments[total, 3] = begins, at, use, hit
                total += 1
        if at < limit:
            at += step
        elif at < size:
            at = max(at, hits[hit, 1])
            hit += 1
        known = True
    return total


@compiled
def unbeaten(rows: Index, odds: Floats) -> npt.NDArray[np.bool_]:
    """Which of the rows, sorted by their beginnings, no better one overlaps.

    Addresses beat names inside of them, then the likelier wins, then the earlier. A row that is beaten beats none
    the less, so that each decision depends on what overlaps the row and on nothing further away.
    """
    count = len(rows)
    keep = np.ones(count, np.bool_)
    for one in range(count):
        rank = odds[one] + (100.0 if rows[one, 2] >= ADDRESS else 0.0)
        for other in range(one + 1, min(count, one + 64)):
            if rows[other, 0] >= rows[one, 1]:
                break
            beats = odds[other] + (100.0 if rows[other, 2] >= ADDRESS else 0.0) > rank
            keep[one if beats else other] = False
    return keep
