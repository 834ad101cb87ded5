"""A quick pass for four kinds alone, as machines write them: mobiles, resident ids, bank cards and e-mails without gaps.

::

    count, place = core(data, 0, len(data), found)      # found.rule: 0 mobile, 1 id, 2 card, 3 e-mail

A run of eleven digits has one at every eleventh byte, so the pass looks at these alone; ``@`` is looked for in words of 64
bytes, which machines compare at once. What is found is checked as by :mod:`parcelveil.scan.kernel`; gaps, full-width
digits and surroundings are not looked at, so only ids and cards that are good in all count: ids of 18 digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from parcelveil.scan.check_tables import BAD, CARD_ISSUERS, CARD_LENGTHS, GOOD
from parcelveil.scan.checks import CHECKS
from parcelveil.scan.frequent_passes import check_card, check_email, check_resident
from parcelveil.scan.kernel import LOCAL, Found, email_span, is_word, masked_email_span, signed
from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]

MOBILE, RESIDENT, CARD, EMAIL = range(4)
#: Room that one tile may need.
_TILE = 8192
_MOST = 1200
#: By length less 13 and first two digits: whether any card of a bank begins so. A first look before the sum over all digits.
_BY_LENGTH = np.zeros((len(CARD_LENGTHS), 100), np.uint8)
_BY_LENGTH[np.ix_([16 - CARD_LENGTHS[0], 19 - CARD_LENGTHS[0]], [issuer // 10_000 for issuer in CARD_ISSUERS])] = 1
_BEGINS = _BY_LENGTH.reshape(-1)

#: By second digit: whether any mobile number begins so; eleven digits need no more.
_MOBILE_BEGINS = np.array([CHECKS["mobile"](b"1%d123456780" % second) != BAD for second in range(10)], np.uint8)


@compiled
def core(data: Bytes, low: int, high: int, found: Found) -> tuple[int, int]:
    """The values that begin in ``data[low:high]``, not sorted. Returns how many, and where the pass ended."""
    size, count = np.uint64(len(data)), signed(0)
    one, zero, stride = np.uint64(1), np.uint8(48), np.uint64(11)
    behind = np.uint64(low)  # a run may begin here or later
    while low > 0 and behind < size and data[behind - one] - zero <= 9 and data[behind] - zero <= 9:
        behind += one  # the rest of a run that began before
    probe = behind + np.uint64(10)
    tile, until = np.uint64(low), np.uint64(low)
    while tile < np.uint64(high):
        until = min(tile + np.uint64(_TILE), np.uint64(high))
        if count + _MOST > len(found.start):
            return count, signed(tile)
        while probe < size and probe - np.uint64(10) < until:
            if data[probe] - zero > 9:
                behind = probe + one
                probe += stride
                continue
            start = probe
            while start > behind and data[start - one] - zero <= 9:
                start -= one
            if start >= until:
                break
            end = probe + one
            while end < size and data[end] - zero <= 9:
                end += one
            length = end - start
            if np.uint64(11) <= length <= np.uint64(19):
                count = _run(data, start, end, length, found, count)
            behind = end + one
            probe = end + stride
        count = _addresses(data, tile, until, low, high, found, count)
        tile = until
    # an address that begins here may have its "@" a little behind
    count = _addresses(data, until, min(until + np.uint64(LOCAL + 1), size), low, high, found, count)
    return count, high


@compiled
def _run(data: Bytes, start: Any, end: Any, length: Any, found: Found, count: int) -> int:
    """One whole run of 11 to 19 digits; of 17 with an X behind it, the id that they are."""
    kind = -1
    if start > np.uint64(0) and is_word(data[start - np.uint64(1)]):
        return count
    if end < np.uint64(len(data)) and is_word(data[end]):
        behind = end + np.uint64(1)
        letter = behind < np.uint64(len(data)) and is_word(data[behind])
        if length == np.uint64(17) and data[end] | np.uint8(32) == 120 and not letter:
            end = behind
            if check_resident(data, start, end) == GOOD:
                kind = RESIDENT
    elif length == np.uint64(11):
        if data[start] == 49 and _MOBILE_BEGINS[data[start + np.uint64(1)] - np.uint8(48)]:
            kind = MOBILE
    elif length >= np.uint64(13):
        if (length == np.uint64(18)) and check_resident(data, start, end) == GOOD:
            kind = RESIDENT
        else:
            two = np.uint64(data[start] - np.uint8(48)) * np.uint64(10)
            two += np.uint64(data[start + np.uint64(1)] - np.uint8(48))
            if _BEGINS[(length - np.uint64(13)) * np.uint64(100) + two] and check_card(data, start, end) == GOOD:
                kind = CARD
    if kind >= 0:
        found.start[count], found.end[count], found.rule[count] = np.int64(start), np.int64(end), kind
        count += 1
    return count


@compiled
def _addresses(data: Bytes, start: Any, end: Any, low: int, high: int, found: Found, count: int) -> int:
    """The e-mail addresses whose "@" stands in ``data[start:end]`` and which begin in ``data[low:high]``."""
    place = start
    while place < end:
        some = np.uint8(0)
        width = min(np.uint64(64), end - place)
        if width == np.uint64(64):
            for i in range(64):
                some |= np.uint8(data[place + np.uint64(i)] == np.uint8(64))
        else:
            some = np.uint8(1)
        if some:
            for i in range(np.int64(width)):
                at = place + np.uint64(i)
                if data[at] == 64 and masked_email_span(data, signed(at))[0] < 0:
                    first, last = email_span(data, signed(at))
                    if first >= low and first < high and check_email(data, first, last) != BAD:
                        found.start[count], found.end[count], found.rule[count] = first, last, EMAIL
                        count += 1
        place += width
    return count
