"""What stands around a candidate, and how sure that makes it: cue words before it, its column's header, its neighbours.

Cue words of all rules are one Aho-Corasick automaton (Aho and Corasick, 1975) over bytes, ASCII letters folded to small
ones, and one more that reads them from behind: from a value backwards, so that the nearest word is met first. They run over
the few dozen bytes around each candidate only, never over the whole text::

    cues = compile_cues(rules)
    judge(data, found, count, cues, weights, headers, column, low, high, seen)

A word counts in its own line, in its own cell or the one before, when no longer number stands between it and the value. Of a cue and a word against, the
nearer one wins, and of two that end at one place the longer: 订单号, not 单号. English cues are whole words, or parts of a name like ``userPhone`` and ``user_phone``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.errors import InputError
from parcelveil.scan.kernel import Found, is_word, signed
from parcelveil.scan.rules import Rule
from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]

#: How far a cue may stand before and behind a value, in bytes; a character of Chinese has three.
BEFORE, BEHIND = 48, 24
#: The second comma or tabulator before it ends the look: that is another cell's business.
_CELLS = 2
#: A number of so many digits between cue and value takes the cue away from it.
_OTHERS = 6

CUE, AGAINST = 1, 2
#: Columns of what `judge` says of each candidate; the weights of a rule stand in this order behind its base.
WEAK, CUED, OPPOSED, JOINED, COLUMN, OTHER = range(6)
FEATURES = ("weak", "cue", "against", "joined", "column", "other")


class Words(NamedTuple):
    """An automaton of words. State 0 is the root."""

    classes: Bytes  # (256,) class of each byte, capitals folded
    table: npt.NDArray[np.uint16]  # (states * width,) flat
    width: int
    depth: Bytes  # (states,) bytes of the longest beginning of a word that was read
    word: npt.NDArray[np.int32]  # (states,) the longest word that ends here, or -1
    shorter: npt.NDArray[np.uint16]  # (states,) the next state on the way to shorter words that ends one, or 0


class Cues(NamedTuple):
    """The cue words of a rule set."""

    backward: Words  # reads words from their last byte to their first
    forward: Words
    lengths: npt.NDArray[np.int32]  # (words,) in bytes
    latin: Bytes  # (words,) 1: begins with an ASCII letter, 2: ends with one, 3: both
    relation: Bytes  # (words, rules) CUE or AGAINST
    needs_cue: Bytes  # (rules,)


def compile_cues(rules: Sequence[Rule]) -> tuple[Cues, list[str]]:
    """The automata of all cue words, and the words in the order of their numbers."""
    numbers: dict[str, int] = {}
    pairs: list[tuple[int, int, int]] = []
    for place, rule in enumerate(rules):
        for words, sign in ((rule.against, AGAINST), (rule.cues, CUE)):
            for word in words:
                pairs.append((numbers.setdefault(word.lower(), len(numbers)), place, sign))
    relation = np.zeros((max(1, len(numbers)), max(1, len(rules))), np.uint8)
    for number, place, sign in pairs:
        relation[number, place] = sign
    texts = [word.encode() for word in numbers]
    latin = [
        (1 if text[:1].isalpha() and text[0] < 128 else 0) + (2 if text[-1:].isalpha() and text[-1] < 128 else 0)
        for text in texts
    ]
    cues = Cues(
        backward=_automaton([text[::-1] for text in texts]),
        forward=_automaton(texts),
        lengths=np.array([len(text) for text in texts] or [0], np.int32),
        latin=np.array(latin or [0], np.uint8),
        relation=relation,
        needs_cue=np.array([rule.needs_cue for rule in rules] or [False], np.uint8),
    )
    return cues, list(numbers)


def _automaton(texts: Sequence[bytes]) -> Words:
    """The automaton of Aho and Corasick that finds ``texts``; of small letters in them capitals too."""
    alphabet = sorted({byte for text in texts for byte in text})
    classes = np.zeros(256, np.uint8)
    for one, byte in enumerate(alphabet, 1):
        classes[byte] = one
        if 97 <= byte <= 122:
            classes[byte - 32] = one
    goto: list[dict[int, int]] = [{}]
    ends, depth = [-1], [0]
    for number, text in enumerate(texts):
        state = 0
        for byte in text:
            one = int(classes[byte])
            if one not in goto[state]:
                goto[state][one] = len(goto)
                goto.append({})
                ends.append(-1)
                depth.append(depth[state] + 1)
            state = goto[state][one]
        ends[state] = number
    if len(goto) > np.iinfo(np.uint16).max or max(depth) > BEFORE:
        raise InputError("there are too many cue words, or one is longer than {most} bytes", most=BEFORE)
    width = len(alphabet) + 1
    table = np.zeros((len(goto), width), np.uint16)
    fail = [0] * len(goto)
    shorter = np.zeros(len(goto), np.uint16)
    queue = []
    for one, target in goto[0].items():
        table[0, one] = target
        queue.append(target)
    for state in queue:  # grows while it is walked: breadth first
        back = fail[state]
        shorter[state] = back if ends[back] >= 0 else shorter[back]
        own = table[back].copy()
        for one, target in goto[state].items():
            fail[target] = int(own[one])
            own[one] = target
            queue.append(target)
        table[state] = own
    return Words(classes, table.reshape(-1), width, np.array(depth, np.uint8), np.array(ends, np.int32), shorter)


def weights_of(rules: Sequence[Rule]) -> npt.NDArray[np.float32]:
    """(rules, 7): base, then the weights of :data:`FEATURES`."""
    rows = [[rule.weights.base, *(getattr(rule.weights, name) for name in FEATURES)] for rule in rules]
    return np.array(rows or [[0.0] * 7], np.float32)


class Seen(NamedTuple):
    """What was seen around each candidate."""

    features: Bytes  # (n, 6) of FEATURES
    cue: npt.NDArray[np.int32]  # the cue or word against that counted, or -1
    log_odds: npt.NDArray[np.float32]  # -inf: not to be reported at all

    @classmethod
    def room(cls, size: int) -> Seen:
        return cls(np.zeros((size, 6), np.uint8), np.full(size, -1, np.int32), np.empty(size, np.float32))


@compiled
def judge(
    data: Bytes,
    found: Found,
    count: int,
    cues: Cues,
    weights: npt.NDArray[np.float32],
    headers: Bytes,
    column: npt.NDArray[np.int32],
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
    seen: Seen,
) -> None:
    """Fill ``seen`` for the first ``count`` candidates, of each of which only ``data[low:high]`` is looked at.

    ``headers`` is (columns, rules): 1 where the header is one of this rule's, 2 where it is another rule's, 0 where it
    says nothing. ``column`` is the column of each candidate, -1 for none.
    """
    # One body: a call that hands over a tuple of arrays costs more than the look itself.
    one, zero, ten = np.uint64(1), np.uint8(48), np.uint8(9)
    back_table, back_classes, back_depth = cues.backward.table, cues.backward.classes, cues.backward.depth
    back_word, back_shorter, back_width = cues.backward.word, cues.backward.shorter, np.uint64(cues.backward.width)
    table, classes, ends = cues.forward.table, cues.forward.classes, cues.forward.word
    shorter, width = cues.forward.shorter, np.uint64(cues.forward.width)
    relation, lengths, latin = cues.relation, cues.lengths, cues.latin
    features, size = seen.features, np.uint64(len(data))
    for i in range(count):
        rule = np.uint64(found.rule[i])
        # backwards from the value: the nearest word that says something of the rule, and of two that end there the longer
        word, sign, upto, digits, cells = -1, np.uint8(0), np.uint64(0), 0, 0
        place, state = np.uint64(found.start[i]), np.uint64(0)
        left = np.uint64(max(low[i], found.start[i] - BEFORE))
        while place > left:
            place -= one
            byte = data[place]
            if byte == 10:
                break
            if byte - zero <= ten:
                digits += 1
                if digits == _OTHERS:
                    break
            else:
                digits = 0
                if byte == 44 or byte == 9:
                    cells += 1
                    if cells == _CELLS:
                        break
            state = np.uint64(back_table[state * back_width + back_classes[byte]])
            if word >= 0 and np.uint64(back_depth[state]) < upto - place:
                break  # no longer word ends there
            at = state
            while at:
                known = signed(back_word[at])
                if (
                    known >= 0
                    and relation[known, rule]
                    and place + np.uint64(lengths[known]) >= upto
                    and _whole(data, place, size, lengths[known], latin[known])
                ):
                    word, sign, upto = known, relation[known, rule], place + np.uint64(lengths[known])
                    break
                at = np.uint64(back_shorter[at])
        if word < 0:  # a cue right behind the value
            place, state = np.uint64(found.end[i]), np.uint64(0)
            right = np.uint64(min(high[i], found.end[i] + BEHIND))
            while place < right:
                byte = data[place]
                if byte == 10 or byte - zero <= ten or byte == 44 or byte == 9:  # another value, another cell
                    break
                state = np.uint64(table[state * width + classes[byte]])
                place += one
                at = state
                while at:
                    known = signed(ends[at])
                    if (
                        known >= 0
                        and relation[known, rule] == CUE
                        and _whole(data, place - np.uint64(lengths[known]), size, lengths[known], latin[known])
                    ):
                        word, sign = known, np.uint8(CUE)
                        break
                    at = np.uint64(shorter[at])
                if word >= 0:
                    break
        head = np.uint8(0)
        if column[i] >= 0:
            head = headers[column[i], rule]
        features[i, WEAK], features[i, JOINED] = found.weak[i], found.joined[i]
        features[i, CUED], features[i, OPPOSED] = sign == CUE, sign == AGAINST
        features[i, COLUMN], features[i, OTHER] = head == 1, head == 2
        seen.cue[i] = word
        score = weights[rule, 0]
        for feature in range(6):
            if features[i, feature]:
                score += weights[rule, feature + 1]
        if cues.needs_cue[rule] and sign != CUE and head != 1:
            score = np.float32(-np.inf)
        seen.log_odds[i] = score


@compiled
def _whole(data: Bytes, first: Any, size: Any, length: int, latin: int) -> bool:
    """Whether the word of ``length`` bytes that begins at ``first`` is a word there, where it is one of letters."""
    # A border inside of a name: aB, as in userPhone. Capitals in a row are one word: VALUES does not begin with v.
    behind = first + np.uint64(length)
    if latin & 1 and first > 0:
        before, own = data[first - np.uint64(1)], data[first]
        if is_word(before) and not 48 <= before <= 57 and not (97 <= before <= 122 and own <= 90):
            return False
    if latin & 2 and behind < size:
        after, last = data[behind], data[behind - np.uint64(1)]
        plural = after == 115 and not (behind + np.uint64(1) < size and is_word(data[behind + np.uint64(1)]))
        if (97 <= after <= 122 and not plural) or (65 <= after <= 90 and last <= 90):
            return False
    return True


@compiled
def standing(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], score: npt.NDArray[np.float32]) -> Bytes:
    """Which of overlapping candidates stand: 1, else 0. Candidates are sorted by start.

    One falls when a better one overlaps it; what only fell to a fallen one stands again, once. So whether a candidate
    stands depends on its near surroundings only. Better: what is likely and holds the other wholly,
    then higher odds, then longer, then earlier.
    """
    size = len(start)
    stands = np.ones(size, np.uint8)
    furthest = np.empty(size, np.int64)  # the furthest end so far
    reach, meet = np.int64(-1), 0
    for i in range(size):
        if start[i] < reach:
            meet += 1
        reach = max(reach, end[i])
        furthest[i] = reach
        if score[i] == -np.inf:
            stands[i] = 0
    if meet == 0:
        return stands
    alive = stands.copy()
    for i in range(size):
        alone = (i == 0 or furthest[i - 1] <= start[i]) and (i + 1 == size or start[i + 1] >= end[i])
        if alive[i] and not alone:
            stands[i] = not _beaten(i, start, end, score, furthest, alive)
    again, fallen = stands.copy(), alive & (1 - stands)
    for i in range(size):
        if fallen[i] and not _overlaps(i, start, end, furthest, stands):
            again[i] = not _beaten(i, start, end, score, furthest, fallen)
    return again


@compiled
def _better(
    i: int, j: int, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], score: npt.NDArray[np.float32]
) -> bool:
    """Whether candidate ``i`` is better than ``j``."""
    mine, other = end[i] - start[i], end[j] - start[j]
    if score[i] >= 0 and mine > other and start[i] <= start[j] and end[i] >= end[j]:
        return True  # a number with its extension, not the number alone
    if score[j] >= 0 and other > mine and start[j] <= start[i] and end[j] >= end[i]:
        return False
    if score[i] != score[j]:
        return bool(score[i] > score[j])
    if end[i] - start[i] != end[j] - start[j]:
        return bool(end[i] - start[i] > end[j] - start[j])
    return i < j


@compiled
def _beaten(
    i: int,
    start: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    score: npt.NDArray[np.float32],
    furthest: npt.NDArray[np.int64],
    alive: Bytes,
) -> bool:
    j = i - 1
    while j >= 0 and furthest[j] > start[i]:
        if alive[j] and end[j] > start[i] and _better(j, i, start, end, score):
            return True
        j -= 1
    j = i + 1
    while j < len(start) and start[j] < end[i]:
        if alive[j] and _better(j, i, start, end, score):
            return True
        j += 1
    return False


@compiled
def _overlaps(
    i: int, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], furthest: npt.NDArray[np.int64], stands: Bytes
) -> bool:
    j = i - 1
    while j >= 0 and furthest[j] > start[i]:
        if stands[j] and end[j] > start[i]:
            return True
        j -= 1
    j = i + 1
    while j < len(start) and start[j] < end[i]:
        if stands[j]:
            return True
        j += 1
    return False
