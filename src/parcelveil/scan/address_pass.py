"""Compiled reading of addresses: the components in a segment, the chains they form, and how likely a chain is one.

From the left, every place in a segment is asked: is here a number with its unit (36号, 3-2-601, 二单元), a division of
the gazetteer, a word or a character that ends the name of a road, a village, an estate? What stands before such an
ending and belongs to nothing is its stem. Components that follow each other closely, from province to door, are a
chain; one that goes back up begins a new chain. A chain's log-odds are a weighted count of its components. In plain
Python: :mod:`parcelveil.scan.people_reference`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.scan.name_pass import content
from parcelveil.scan.text_pass import (
    Chars,
    Index,
    Points,
    Words,
    may_begin,
    number_kind,
    signed,
    stem_kind,
    town_before,
    word_at,
)
from parcelveil.scan.vocabulary import (
    AREA,
    ASIDE,
    BETWEEN,
    C_AREA,
    C_ASIDE,
    C_BARE,
    C_BLOCK,
    C_DOOR,
    C_FLOOR,
    C_LANE,
    C_MEASURE,
    C_PLACE,
    C_PLACE_WEAK,
    C_ROAD,
    C_ROAD_WEAK,
    C_ROOM,
    C_TOWN,
    C_UNIT,
    C_VILLAGE,
    CUE_ADDRESS,
    CUE_NAME,
    HAN,
    MASK,
    NUMERAL,
    PLACE,
    ROAD,
    SHORT,
    SOFT,
)
from parcelveil.seal.passes import compiled

Floats = npt.NDArray[np.float64]

#: Places in the counts of a chain beyond the components C_…: named divisions, short forms, known towns, roads and
#: places with a number right behind, hidden parts.
KNOWN, BRIEF, KNOWN_TOWN, NUMBERED, HIDDEN = 16, 17, 18, 19, 20
COUNTS = 21
#: Log-odds: what a chain has to begin with, what each component adds (the first ones of a kind, up to `MOST`).
BASE, NO_DOOR, AT_A_CUE, BESIDE_A_PHONE = -3.4, -2.2, 3.5, 1.6
#: A province, a town by themselves are no address.
AREAS_ONLY = -20.0
WEIGHTS = np.array(
    #     area town vill road weak lane door place weak block unit floor room bare aside
    [0.0, 0.2, 0.5, 0.6, 0.9, 0.3, 1.1, 1.0, 0.8, 0.3, 1.3, 2.2, 0.7, 1.2, 0.6, 0.2, 1.6, 1.0, 1.3, 1.6, 1.2]
)
MOST = np.array([0, 2, 1, 2, 2, 1, 2, 2, 2, 2, 1, 1, 1, 1, 2, 1, 3, 2, 1, 1, 2])
#: Log-odds of the characters of a name that is taken for one between a door and a phone.
UNUSUAL = -1.5
LONGEST_STEM, LONGEST_TAIL, LONGEST_GAP = 10, 8, 10
#: Rows that :func:`addresses_in` fills: start, end (characters), and whether parts are hidden.
MOST_FOUND = 24


@compiled
def _alnum(code: int) -> bool:
    return 48 <= code <= 57 or 65 <= code <= 90 or 97 <= code <= 122


@compiled
def number_end(points: Points, at: int, end: int) -> tuple[int, int, int]:
    """Where the run of letters and digits at ``at``, joined by - / ~ #, ends; its longest digits, its letters."""
    place, digits, run, letters = at, 0, 0, 0
    while place < end and place - at < 20:
        code = points[place]
        if 48 <= code <= 57:
            run += 1
            digits = max(digits, run)
        elif _alnum(code):
            letters, run = letters + 1, 0
        elif code in (45, 47, 126, 0x2014, 35) and place > at and place + 1 < end and _alnum(points[place + 1]):
            run = 0
        else:
            break
        place += 1
    return place, digits, letters


@compiled
def unit_at(points: Points, at: int, end: int, chars: Chars) -> tuple[int, int]:
    """The unit that follows a number: kind of component and length; 0, 0 when it is none."""
    if at >= end:
        return 0, 0
    code = points[at]
    after = points[at + 1] if at + 1 < end else 0
    if code == 0x5355 and after == 0x5143:  # 单元
        return C_UNIT, 2
    if code == 35:  # 3#, 3#楼
        return C_BLOCK, 2 if after in (0x697C, 0x680B) else 1
    if code == 0x53F7:  # 号
        if after in (0x697C, 0x9662, 0x95E8, 0x5E93, 0x9986, 0x680B, 0x5EA7, 0x5E62):
            return C_BLOCK, 2
        if after == 0x7EBF:  # 号线: an underground line
            return 0, 0
    kind = number_kind(chars[code])
    return (kind, 1) if kind and kind != C_MEASURE else (0, 0)


@compiled
def _short_is_road(points: Points, at: int, end: int, chars: Chars, words: Words) -> bool:
    """Whether what follows a division's short form makes it a road's or a place's name (南京路, 上海大厦)."""
    _, length = word_at(words, points, at, end, AREA)
    if length:
        return False
    for place in range(at, min(at + 3, end)):
        if chars[points[place]] & HAN == 0:
            return False
        kind = stem_kind(chars[points[place]])
        if kind in (C_ROAD, C_ROAD_WEAK) or (kind in (C_PLACE_WEAK, C_VILLAGE) and place < at + 2):
            return True
    _, length = word_at(words, points, at, end, PLACE | ROAD)
    return length > 0


@compiled
def _ends(points: Points, stop: int, end: int, digits: int, chars: Chars) -> bool:
    """Whether a number without a unit, behind some words, is a door all the same: 3-2-601; at the end, 2-601 and 1803."""
    if stop >= end or chars[points[stop]] & SOFT:
        return digits >= 3 or points[stop - 2] == 45
    joined, at = 0, stop - 1
    while at > 0 and (_alnum(points[at]) or points[at] == 45):
        joined += 1 if points[at] == 45 else 0
        at -= 1
    return joined >= 2


@compiled
def clear(counts: Index) -> None:
    for kind in range(COUNTS):
        counts[kind] = 0


@compiled
def chain_score(counts: Index) -> float:
    """Log-odds of a chain by its components, without circumstances."""
    score, below = BASE, 0
    for kind in range(COUNTS):
        score += WEIGHTS[kind] * min(counts[kind], MOST[kind])
        if C_TOWN < kind < KNOWN:
            below += counts[kind]
    if below == 0:
        return AREAS_ONLY
    doors = 0
    for kind in (C_LANE, C_DOOR, C_BLOCK, C_UNIT, C_FLOOR, C_ROOM, C_BARE, HIDDEN):
        doors += counts[kind]
    if doors == 0:
        score += NO_DOOR
    return score


@compiled
def _tail(points: Points, at: int, limit: int, before_phone: bool, chars: Chars, words: Words) -> int:
    """Where the free text behind the last component ends (…302室东户); ``at`` when it is none of the address."""
    place = at
    while place < limit and place - at <= LONGEST_TAIL and chars[points[place]] & (SOFT | MASK) == 0:
        place += 1
    if place - at > LONGEST_TAIL:
        return at
    if place < limit and chars[points[place]] & MASK:
        return at
    if place < limit or before_phone:
        for first in range(at, place):
            # All of what stands between a door and a phone may be an unusual name, too.
            least = UNUSUAL if first == at and before_phone and place == limit else -0.5
            if place - first <= 4 and content(points, first, place, chars, words) > least:
                return first if first == at or points[first - 1] < 0x80 else at
    return place


@compiled
def addresses_in(  # noqa: PLR0915 (one loop: its state would have to be handed from part to part)
    points: Points,
    count: int,
    before_phone: bool,
    chars: Chars,
    words: Words,
    counts: Index,
    found: Index,
    scores: Floats,
) -> int:
    """The chains of ``points[:count]``, counting in ``counts``: rows of ``found`` and their log-odds. Returns how many (at most MOST_FOUND)."""
    clear(counts)
    total, at, stem, loose = 0, 0, 0, 0
    chain, chain_end, rank = -1, 0, 0
    while at <= count:
        kind, size, begins, known = 0, 1, False, 0
        closes, barrier = at == count, False
        code, flags, bare = 0, 0, 0
        if at < count:
            code = signed(points[at])
            flags = signed(chars[code])
            if _alnum(code):
                stop, digits, letters = number_end(points, at, count)
                size = stop - at
                if digits <= 5 and letters <= 3 and (digits > 0 or letters <= 2):
                    unit, more = unit_at(points, stop, count, chars)
                    dated = at > 0 and points[at - 1] in (0x6708, 0x5E74)  # 5月3号
                    if unit and not dated and (digits > 0 or unit in (C_BLOCK, C_FLOOR, C_PLACE_WEAK)):
                        kind, size, begins = unit, stop + more - at, unit not in (C_ROAD, C_PLACE_WEAK)
                    elif (
                        chain >= 0
                        and digits > 0
                        and not unit
                        and (loose == 0 or (loose <= LONGEST_STEM and _ends(points, stop, count, digits, chars)))
                    ):
                        measured = stop < count and number_kind(chars[points[stop]]) == C_MEASURE
                        if measured:
                            closes = True
                        else:
                            kind = C_BARE
                elif digits > 5:
                    closes, barrier = True, True
            elif flags & MASK and code != 0x67D0:
                stop = at
                while stop < count and chars[points[stop]] & MASK:
                    stop += 1
                unit, more = unit_at(points, stop, count, chars)
                if chain >= 0 and loose <= 4 and (unit or stop - at > 1):
                    counts[HIDDEN] += 1
                    kind, size = unit if unit else C_BARE, stop + more - at
                else:
                    size, closes, barrier = stop - at, True, True
            elif flags & HAN:
                meaning, length = 0, 0
                if at + 1 < count and may_begin(words, points[at], points[at + 1]):
                    wanted = AREA | PLACE | ROAD | ASIDE | CUE_NAME | CUE_ADDRESS | BETWEEN
                    meaning, length = word_at(words, points, at, count, wanted)
                if flags & NUMERAL and not meaning & AREA:
                    stop = at
                    while stop < count and stop - at < 4 and chars[points[stop]] & NUMERAL:
                        stop += 1
                    unit, more = unit_at(points, stop, count, chars)
                    if unit in (C_BLOCK, C_UNIT, C_FLOOR, C_ROOM, C_DOOR, C_LANE, C_VILLAGE, C_PLACE_WEAK):
                        dated = at > 0 and points[at - 1] == 0x6708
                        if not dated:
                            kind, size = unit, stop + more - at
                if kind == 0:
                    if length and meaning & AREA and not (meaning & PLACE and chain >= 0):
                        # Behind a road, 东方 and 安康 are names of estates, not towns.
                        brief = meaning & SHORT
                        if not (
                            brief
                            and (
                                rank >= C_TOWN
                                or (chain >= 0 and loose > 0)
                                or _short_is_road(points, at + length, count, chars, words)
                            )
                        ):
                            kind, size, begins = C_AREA, length, True
                            known = BRIEF if brief else KNOWN
                            closes = closes or (chain >= 0 and (rank >= C_ROAD or loose > 4))
                    elif length and meaning & (PLACE | ROAD | ASIDE):
                        if meaning & ASIDE and not meaning & (PLACE | ROAD):
                            kind = C_ASIDE if chain >= 0 and loose <= LONGEST_TAIL else 0
                        elif meaning & PLACE:
                            # A locker or a porter's lodge is where a parcel ends, as a door is.
                            kind, begins = (C_ROOM if meaning & ASIDE else C_PLACE), not meaning & ASIDE
                        elif at > stem or length > 2:
                            kind, begins = C_ROAD, True
                        size = length
                    elif length:
                        size, closes, barrier = length, True, True
                    else:
                        kind = signed(stem_kind(chars[code]))
                        bare = at - stem
                        if code == 0x8857 and at + 1 < count and points[at + 1] == 0x9053:  # 街道
                            kind, size = C_TOWN, 2
                        if bare == 0 or bare > LONGEST_STEM:
                            kind = 0
                        elif kind == C_TOWN:
                            begins = True
                            town = town_before(words, points, stem, at + size)
                            if town >= 0:
                                known, bare = KNOWN_TOWN, at - town
                                closes = chain >= 0 and loose - bare > 4
                        elif kind == C_AREA:
                            kind = C_AREA if chain >= 0 and bare <= 6 and rank <= C_AREA else 0
                        elif kind in (C_ROAD_WEAK, C_PLACE_WEAK):
                            after = points[at + 1] if at + 1 < count else 0
                            numbered = 48 <= after <= 57
                            if kind == C_ROAD_WEAK:
                                kind = C_ROAD if numbered and bare >= 2 else 0
                            else:
                                kind = kind if numbered or (chain >= 0 and bare >= 2) else 0
                            begins = numbered
                        else:
                            begins = kind > 0
        # Close the chain that ends here.
        if chain >= 0 and kind > 0 and not closes:
            closes = loose > LONGEST_STEM + LONGEST_GAP or (at > stem and loose - (at - stem) > LONGEST_GAP)
        if chain >= 0 and closes:
            score = chain_score(counts)
            if score > -6.0 and total < MOST_FOUND:
                stop = _tail(points, chain_end, at, before_phone and at == count, chars, words)
                if stop == chain_end and stop < count and points[stop] in (41, 0xFF09):
                    stop += 1
                found[total, 0], found[total, 1], found[total, 2] = chain, stop, counts[HIDDEN]
                scores[total] = score
                total += 1
            chain, rank = -1, 0
            clear(counts)
            if not barrier and kind == 0:
                stem = at
        if at == count:
            break
        # Take the component in, or go on.
        if kind > 0 and (chain >= 0 or begins):
            if chain < 0:
                chain = at if known else max(stem, at - LONGEST_STEM)
                if known == KNOWN_TOWN:
                    chain = at - bare
            counts[kind] += 1
            if known:
                counts[known] += 1
            after = points[at + size] if at + size < count else 0
            if kind in (C_ROAD, C_PLACE, C_VILLAGE) and 48 <= after <= 57:
                counts[NUMBERED] += 1
            rank = max(rank, kind if kind != C_ASIDE else 0)
            chain_end = at + size
            stem, loose = at + size, 0
        elif barrier:
            stem, loose = at + size, 0
        elif flags & SOFT:
            stem = at + size
        else:
            loose += size
        at += size
    return total
