"""The checks of ``parcel_checks.py``, compiled. What each says stands there.

::

    >>> import numpy as np
    >>> check_waybill(np.frombuffer(b"RR473124829GB", np.uint8), 0, 13)
    2
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.scan.check_tables import (
    BAD,
    GOOD,
    POST_COUNTRIES,
    PROVINCES,
    WAYBILL_DIGITS,
    WAYBILL_PREFIXES,
    WEAK,
)
from parcelveil.scan.checksums import S10_WEIGHTS
from parcelveil.scan.frequent_passes import CARD_GRADES, is_day, whole
from parcelveil.scan.identity_passes import number
from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]

_POST = np.array(S10_WEIGHTS, np.int64)
_COUNTRY = np.zeros(26 * 26, np.uint8)
_COUNTRY[[(ord(code[0]) - 97) * 26 + ord(code[1]) - 97 for code in POST_COUNTRIES]] = 1
_PROVINCE = np.zeros(100, np.uint8)
_PROVINCE[list(PROVINCES)] = 1
_DIGITS = np.zeros(64, np.uint8)
_DIGITS[list(WAYBILL_DIGITS)] = 1
_PREFIX = np.array([list(prefix.encode().ljust(4, b"\0")) for prefix, _, _ in WAYBILL_PREFIXES], np.uint8)
_PREFIX_SIZE = np.array([(len(prefix), low, high) for prefix, low, high in WAYBILL_PREFIXES], np.int64)


@compiled
def _letter(byte: int) -> bool:
    return 97 <= (byte | 32) <= 122


@compiled
def _digit(byte: int) -> bool:
    return 48 <= byte <= 57


@compiled
def _varied(data: Bytes, start: int, end: int) -> bool:
    """Whether more than two different characters stand there."""
    first, second = data[start], data[start]
    for place in range(start, end):
        char = data[place]
        if char not in (first, second):
            if first != second:
                return True
            second = char
    return False


@compiled
def _only_digits(data: Bytes, start: int, end: int) -> bool:
    for place in range(start, end):
        if not _digit(data[place]):
            return False
    return end > start


@compiled
def _item(data: Bytes, start: int, end: int) -> bool:
    """Two letters, digits, two letters."""
    letters = _letter(data[start]) and _letter(data[start + 1]) and _letter(data[end - 2]) and _letter(data[end - 1])
    return letters and _only_digits(data, start + 2, end - 2)


@compiled
def check_waybill(data: Bytes, start: int, end: int) -> int:
    """See parcel_checks.waybill."""
    size = end - start
    if size == 13 and _item(data, start, end):
        country = (whole(data[end - 2] | 32) - 97) * 26 + whole(data[end - 1] | 32) - 97
        if not _COUNTRY[country]:
            return BAD
        total = 0
        for i in range(8):
            total += (whole(data[start + 2 + i]) - 48) * _POST[i]
        check = 11 - total % 11
        check = 0 if check == 10 else 5 if check == 11 else check
        return GOOD if check == whole(data[start + 10]) - 48 else WEAK
    if size == 18 and data[start] == 49 and data[start + 1] == 90:
        total = 0
        for i in range(15):
            char = whole(data[start + 2 + i])
            value = char - 48
            if not _digit(char):
                if not 65 <= char <= 90:
                    return BAD
                value = (char - 63) % 10
            total += value * (1 + i % 2)
        return GOOD if (10 - total % 10) % 10 == whole(data[end - 1]) - 48 else WEAK
    if _only_digits(data, start, end):
        return WEAK if size < 64 and _DIGITS[size] and _varied(data, start, end) else BAD
    for one in range(len(_PREFIX)):
        length, low, high = _PREFIX_SIZE[one]
        rest = size - length
        if rest < low or rest > high or not _only_digits(data, end - 8, end):
            continue
        same = True
        for i in range(length):
            same = same and data[start + i] == _PREFIX[one, i]
        if same:
            return GOOD
    return BAD


@compiled
def check_order(data: Bytes, start: int, end: int) -> int:
    """See parcel_checks.order."""
    size, digits = end - start, 0
    for place in range(start, end):
        digits += _digit(data[place])
    if digits == size:
        return WEAK if size > 0 and _varied(data, start, end) else BAD
    if size == 22 and data[start + 6] == 45 and digits == 21:
        day = number(data, start, start + 6)
        return GOOD if is_day(2000 + day // 10_000, day // 100 % 100, day % 100) else WEAK
    return GOOD if digits >= 4 else BAD


@compiled
def _shape(data: Bytes, start: int, end: int, letters: bool) -> tuple[int, int, int, int, int]:
    """Characters without separators; hidden ones; the digits it begins with, four at most, and how many they are;
    and how many of the hidden ones stand behind the first two characters.
    """
    size, stars, head, shown, late = 0, 0, whole(0), 0, 0
    leading = True
    place = start
    while place < end:
        byte = data[place]
        hidden, width = False, 1
        if byte < 128:
            hidden = byte == 42 or (letters and byte | 32 == 120)
            if byte in (32, 45, 43, 40, 41):
                place += 1
                continue
        else:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            if width == 2:
                hidden = byte == 0xC3 and place + 1 < end and data[place + 1] == 0x97
            elif width == 3 and byte == 0xE2 and place + 2 < end:
                two, three = data[place + 1], data[place + 2]
                hidden = (two == 0x97 and three == 0x8F) or (two == 0x80 and three == 0xA2)
                hidden = hidden or (two == 0x96 and three in (0xA0, 0x88))
        if leading and _digit(byte) and shown < 4:
            head = head * 10 + whole(byte) - 48
            shown += 1
        else:
            leading = False
        if hidden:
            stars += 1
            if size >= 2:
                late += 1
        size += 1
        place += width
    return size, stars, head, shown, late


@compiled
def check_masked_mobile(data: Bytes, start: int, end: int) -> int:
    """See parcel_checks.masked_mobile."""
    size, stars, head, shown, late = _shape(data, start, end, True)
    if size > 11 and shown >= 2 and head // 10 ** (shown - 2) == 86:
        size -= 2
        stars = late
    if stars < 3 or size < 8 or size > 15:
        return BAD
    return GOOD if size == 11 else WEAK


@compiled
def check_masked_landline(data: Bytes, start: int, end: int) -> int:
    """See parcel_checks.masked_landline."""
    size, stars, _, _, _ = _shape(data, start, end, True)
    return BAD if stars < 3 else GOOD if 10 <= size <= 12 else WEAK


@compiled
def check_masked_id(data: Bytes, start: int, end: int) -> int:
    """See parcel_checks.masked_id."""
    size, stars, head, shown, _ = _shape(data, start, end, False)
    if stars < 4 or size < 12 or size > 20:
        return BAD
    if shown >= 2 and not _PROVINCE[head // 10 ** (shown - 2)]:
        return BAD
    return GOOD if size == 18 else WEAK


@compiled
def check_masked_card(data: Bytes, start: int, end: int) -> int:
    """See parcel_checks.masked_card."""
    size, stars, head, shown, _ = _shape(data, start, end, True)
    if stars < 4 or size < 13 or size > 19:
        return BAD
    if shown < 4:
        return WEAK
    grade: int = whole(CARD_GRADES[(size - 13) * 10_000 + head])
    return grade if size != 18 else min(grade, WEAK)


@compiled
def check_masked_email(data: Bytes, start: int, end: int) -> int:
    """See parcel_checks.masked_email."""
    _, stars, _, _, _ = _shape(data, start, end, False)
    place = start
    while place < end and data[place] != 64:
        place += 1
    place += 1
    if stars < 2 or place >= end or data[place] in (45, 46):
        return BAD
    letters, last, before = -1, True, np.uint8(0)
    while place < end:
        byte = data[place]
        if byte == 46:
            if before in (45, 46):
                return BAD
            letters, last = 0, True
        elif byte == 45 and before == 46:
            return BAD
        elif letters >= 0:
            letters += 1
            last = last and _letter(byte)
        before = byte
        place += 1
    if letters < 2 or letters > 8 or not last:
        return BAD
    return WEAK if data[start] == 42 or data[start] >= 128 else GOOD


@compiled
def check_sealed(data: Bytes, start: int, end: int) -> int:
    """See parcel_checks.sealed."""
    size = end - start - 4
    if size < 2 or data[start] != 112 or data[start + 2] != 49 or data[start + 3] != 58:  # p.1:
        return BAD
    last = data[end - 1]
    if data[start + 1] == 110:  # n
        return GOOD if size == 22 and last in (65, 81, 103, 119) else BAD
    second = data[start + 5]
    if data[start + 1] != 118 or data[start + 4] != 65 or not (81 <= second <= 90 or 97 <= second <= 102):
        return BAD
    return GOOD if size in (52, 74, 95, 116, 159) or size >= 170 else WEAK


@compiled
def check_token(data: Bytes, start: int, end: int) -> int:
    """See parcel_checks.token."""
    size, last = end - start, whole(data[end - 1])
    unit = (
        4 if size == 58 else 16 if size == 84 else 2 if size == 109 else 8 if size == 135 else 4 if size == 186 else 0
    )
    if unit == 0:
        return BAD
    if 65 <= last <= 90:
        return GOOD if (last - 65) % unit == 0 else BAD
    if 50 <= last <= 55:
        return GOOD if (last - 24) % unit == 0 else BAD
    return BAD
