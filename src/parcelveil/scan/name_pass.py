"""Compiled judging of names: whether some characters are the whole name of a person, and where in a cell it stands.

A name's log-odds add up what its family name says, what the characters behind it say, and what speaks against it: a
word of trade, a place. Circumstances (a cue, a phone beside it, a column) are added by who asks. The same in plain
Python, for reading and for the tests: :mod:`parcelveil.scan.people_reference`.
"""

from __future__ import annotations

from parcelveil.scan.text_pass import Chars, Index, Points, Words, family_odds, given_odds, number_kind, word_at
from parcelveil.scan.vocabulary import (
    AHEAD,
    AREA,
    BEHIND,
    BETWEEN,
    COMPOUND,
    CUE_ADDRESS,
    CUE_NAME,
    HAN,
    MASK,
    NOT_NAME,
    PLACE,
    ROAD,
    SHORT,
    TITLE,
)
from parcelveil.seal.passes import compiled

#: What :func:`content` gives for what cannot be a name at all.
IMPOSSIBLE = -9.0
BASE = -2.0
COMPOUND_NAME, DOTTED_NAME = 2.0, 2.2
#: One character of a given name says more than each of two.
LONE = 1.3
FOUR, IS_WORD, BEGINS_WITH_WORD, ENDS_WITH_WORD, IS_AREA = -2.6, -5.0, -1.5, -3.0, -3.0

#: Characters of the longest cell of a cue, a name and a title.
LONGEST_WITH_CUE = 12

#: Behind a name: 收 总 哥 姐, and in running text 说 于 称 曾 任 因 获 先 现 从.
VERBS = (0x6536, 0x603B, 0x54E5, 0x59D0, 0x8BF4, 0x4E8E, 0x79F0, 0x66FE, 0x4EFB, 0x56E0, 0x83B7, 0x5148, 0x73B0, 0x4ECE)
#: Before a name: 或 和 与 及 找 叫 给 由 跟 向 据 帮 替 代 (people.toml marks the same ones as `openers`).
OPENERS = (
    0x6216,
    0x548C,
    0x4E0E,
    0x53CA,
    0x627E,
    0x53EB,
    0x7ED9,
    0x7531,
    0x8DDF,
    0x5411,
    0x636E,
    0x5E2E,
    0x66FF,
    0x4EE3,
)

# What a cell is.
NOTHING, CLEAR, MASKED = 0, 1, 2


@compiled
def _is_dot(code: int) -> bool:
    return code in (0xB7, 0x30FB, 0x2022)


@compiled
def _dotted(points: Points, start: int, end: int) -> float:
    """A name of two to four parts of Han characters with dots between them (阿依古丽·买买提)."""
    parts, length = 1, 0
    for at in range(start, end):
        if _is_dot(points[at]):
            if length < 2:
                return IMPOSSIBLE
            parts, length = parts + 1, 0
        elif 0x3400 <= points[at] < 0xA000 and length < 8:
            length += 1
        else:
            return IMPOSSIBLE
    if length < 2 or parts < 2 or parts > 4:
        return IMPOSSIBLE
    return BASE + DOTTED_NAME


@compiled
def content(points: Points, start: int, end: int, chars: Chars, words: Words) -> float:
    """Log-odds, from its characters alone, that ``points[start:end]`` is a whole name."""
    count = end - start
    if count < 2:
        return IMPOSSIBLE
    if count > 4:
        return _dotted(points, start, end) if count <= 30 else IMPOSSIBLE
    for at in range(start, end):
        if not 0x3400 <= points[at] < 0xA000:
            return _dotted(points, start, end)
    meaning, length = word_at(words, points, start, end, COMPOUND)
    if length == 2 and count >= 3:
        score = BASE + COMPOUND_NAME
        for at in range(start + 2, end):
            score += given_odds(chars[points[at]]) * (LONE if count == 3 else 1.0)
    else:
        family = family_odds(chars[points[start]])
        if family <= -8.0:
            return IMPOSSIBLE
        score = BASE + family
        if count == 4:
            score += FOUR
        for at in range(start + 1, end):
            score += given_odds(chars[points[at]]) * (LONE if count == 2 else 1.0)
    meaning, length = word_at(words, points, start, end, NOT_NAME | AREA | PLACE | ROAD | CUE_NAME | BETWEEN)
    if length == count:
        score += IS_AREA if meaning & AREA and not meaning & NOT_NAME else IS_WORD
    elif length == 2:
        score += BEGINS_WITH_WORD if not meaning & (PLACE | ROAD) else 0.0
    if count > 2:
        meaning, length = word_at(words, points, end - 2, end, NOT_NAME | AREA | PLACE | ROAD | CUE_NAME | BETWEEN)
        if length == 2 and not (meaning & AREA and meaning & SHORT):
            score += ENDS_WITH_WORD if not meaning & NOT_NAME else BEGINS_WITH_WORD
    return score


@compiled
def masked(points: Points, start: int, end: int, chars: Chars) -> bool:
    """Whether it is a name of which characters are hidden: 张*, 李**, 王某某, 张*三, *伟."""
    count, hidden, clear = end - start, 0, 0
    if count < 2 or count > 5:
        return False
    for at in range(start, end):
        if chars[points[at]] & MASK:
            hidden += 1
        elif 0x3400 <= points[at] < 0xA000:
            clear += 1
        else:
            return False
    if not hidden or not clear or clear > 2:
        return False
    if chars[points[start]] & MASK:
        return points[start] != 0x67D0 and clear == 1 and given_odds(chars[points[end - 1]]) > -2.0
    return family_odds(chars[points[start]]) > -1.0


@compiled
def strip(points: Points, start: int, end: int, chars: Chars, words: Words, span: Index) -> int:
    """Cuts cues before and titles and cues behind off a cell; ``span[2:4]`` gets what is left. Returns what was cut.

    1 for a cue of names before it, 2 for a title behind it, 4 for a word of running text before it.
    """
    cut = 0
    for _ in range(3):
        meaning, length = word_at(words, points, start, end, CUE_NAME | BETWEEN | AHEAD)
        if length == 0 or end - start - length < 1:
            break
        if family_odds(chars[points[start]]) > 0.0 and length == 2 and end - start - length < 2:
            break  # 时间, 用户 begin no name, but 经理… may be a name's first characters
        cut |= 1 if meaning & CUE_NAME else 4 if meaning & AHEAD else 0
        start += length
        while start < end and points[start] in (32, 0x3000):
            start += 1
    for _ in range(2):
        for size in (4, 3, 2):
            if end - start - size < 1:
                continue
            meaning, length = word_at(words, points, end - size, end, TITLE | BETWEEN | BEHIND | CUE_NAME | CUE_ADDRESS)
            if length == size:
                end -= size
                cut |= 2 if meaning & TITLE else 0
                break
    span[2], span[3] = start, end
    return cut


@compiled
def name_of(points: Points, start: int, end: int, chars: Chars, words: Words, span: Index) -> tuple[int, float, int]:
    """What the cell ``points[start:end]`` is as a whole, its log-odds, and what :func:`strip` cut; ``span``: the name."""
    if end - start < 2 or end - start > 34:
        return NOTHING, IMPOSSIBLE, 0
    if end - start > LONGEST_WITH_CUE:
        # Too long for a name with a cue and a title; only long names with dots are left.
        span[0], span[1] = start, end
        score = _dotted(points, start, end)
        return (CLEAR if score > IMPOSSIBLE else NOTHING), score, 0
    if masked(points, start, end, chars):
        span[0], span[1] = start, end
        return MASKED, 2.0, 0
    cut = 0
    score = content(points, start, end, chars, words)
    span[0], span[1] = start, end
    if score < 1.0 and end - start > 2:
        cut_inside = strip(points, start, end, chars, words, span)
        if span[2] > start or span[3] < end:
            if masked(points, span[2], span[3], chars):
                span[0], span[1] = span[2], span[3]
                return MASKED, 2.0, cut_inside
            other = content(points, span[2], span[3], chars, words)
            if other > score:
                span[0], span[1] = span[2], span[3]
                score, cut = other, cut_inside
    return (CLEAR if score > IMPOSSIBLE else NOTHING), score, cut


@compiled
def name_ahead(points: Points, start: int, end: int, chars: Chars, words: Words, span: Index) -> float:
    """The best name at the beginning of ``points[start:end]`` with something behind it that no name goes on with.

    That is a title, a cue, a verb, a place, a digit or the end. ``span`` gets the name; IMPOSSIBLE when there is none.
    """
    best = IMPOSSIBLE
    for count in (3, 2, 4):
        stop = start + count
        if stop > end:
            continue
        score = content(points, start, stop, chars, words)
        if score < -1.5:
            continue
        if stop < end:
            code = points[stop]
            if 0x3400 <= code < 0xA000:
                wanted = AREA | TITLE | BEHIND | BETWEEN | CUE_NAME | CUE_ADDRESS
                _, length = word_at(words, points, stop, end, wanted)
                if length == 0 and code not in VERBS:
                    continue
            elif _is_dot(code) or chars[code] & MASK:
                continue
        if score > best:
            best = score
            span[0], span[1] = start, stop
    return best


@compiled
def name_behind(points: Points, start: int, end: int, chars: Chars, words: Words, span: Index) -> float:
    """The best name at the end of ``points[start:end]`` before which an address or a cue ends (302室张三)."""
    best = IMPOSSIBLE
    for count in (3, 2, 4):
        at = end - count
        if at <= start:
            continue
        score = content(points, at, end, chars, words)
        if score < -1.5 or score <= best:
            continue
        code = points[at - 1]
        closed = code < 0x80 or chars[code] & HAN == 0
        closed = closed or (number_kind(chars[code]) > 0 and at - 2 >= start and points[at - 2] < 0x80)
        closed = closed or code in OPENERS
        if not closed:
            for size in (5, 4, 3, 2):
                if at - size >= start:
                    _, length = word_at(words, points, at - size, at, AHEAD | CUE_NAME | BETWEEN)
                    closed = closed or length == size
        if closed:
            best = score
            span[0], span[1] = at, end
    return best
