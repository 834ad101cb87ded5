"""The checks of the four frequent kinds, compiled: see ``checks.py`` for what each says, and ``check_passes.py``.

::

    >>> import numpy as np
    >>> check_card(np.frombuffer(b"4111 1111 1111 1111", np.uint8), 0, 19)
    2

Hundreds of thousands of candidates a second come by here: no slices, no allocation, one pass over the bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from parcelveil.scan.check_tables import (
    BAD,
    CARD_ISSUERS,
    CARD_LENGTHS,
    COUNTRY_DOMAINS,
    FILE_ENDINGS,
    FIRST_YEAR,
    GOOD,
    LAST_YEAR,
    MAIL_DOMAINS,
    MOBILE_ALLOCATED,
    PROVINCES,
    WEAK,
    card_grade,
)
from parcelveil.scan.checksums import RESIDENT_CHECKS, RESIDENT_WEIGHTS
from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]
#: Numba's cast to 64 bits. Any, because mypy takes numpy's numbers for no ints.
whole: Any = np.int64

_MOBILE = np.zeros(1000, np.uint8)
_MOBILE[130:200] = WEAK
_MOBILE[[int(prefix) for prefix in MOBILE_ALLOCATED]] = GOOD
_PROVINCE = np.zeros(100, np.uint8)
_PROVINCE[list(PROVINCES)] = 1
_WEIGHT = np.array(RESIDENT_WEIGHTS, np.int64)
_CHECK = np.frombuffer(RESIDENT_CHECKS, np.uint8).copy()
_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
#: Grade by length less 13 and first four digits.
CARD_GRADES = np.array([card_grade(four, length) for length in CARD_LENGTHS for four in range(10_000)], np.uint8)
_ISSUERS = np.array(sorted(CARD_ISSUERS), np.uint64)
#: Characters of mail addresses: 1 in the local part, 2 in a label of the domain, 3 both.
_MAIL = np.zeros(256, np.uint8)
_MAIL[[char for char in range(128) if chr(char).isalnum() or chr(char) == "-"]] = 3
_MAIL[[ord(char) for char in "._%+"]] = 1
_LETTER = np.zeros(256, np.uint8)
_LETTER[[char for char in range(128) if chr(char).isalpha()]] = 1


def _packed(names: frozenset[str]) -> npt.NDArray[np.uint64]:
    """Names of up to eight letters as numbers of base 256, sorted."""
    return np.array(sorted(int.from_bytes(name.encode(), "big") for name in names), np.uint64)


_ENDINGS = _packed(FILE_ENDINGS)
_DOMAINS = _packed(MAIL_DOMAINS)
_COUNTRY = np.zeros(1 << 16, np.uint8)
_COUNTRY[_packed(COUNTRY_DOMAINS).astype(np.int64)] = 1


@compiled
def check_mobile(data: Bytes, start: int, end: int) -> int:
    """See checks.mobile."""
    # Unsigned positions: with signed ones numba looks for negative indices on each access.
    low, place = np.uint64(start), np.uint64(end)
    number, count, head = np.uint64(0), np.uint64(0), np.uint64(0)
    scale = np.uint64(1)
    one, ten, zero = np.uint64(1), np.uint64(10), np.uint8(48)
    while place > low:
        place -= one
        digit = data[place] - zero
        if digit > 9:
            continue
        if count < 11:
            number += np.uint64(digit) * scale
            scale *= ten
            if count == 10:
                scale = one
        elif count < 15:
            head += np.uint64(digit) * scale
            scale *= ten
        count += one
    right = count == 11 or (count == 13 and head == 86) or (count == 15 and head == 86) or (count == 12 and head == 0)
    if not right:
        return BAD
    grade = _MOBILE[number // np.uint64(100_000_000)] if number < 100_000_000_000 else np.uint8(0)
    if grade == GOOD and (count == 12 or number % np.uint64(100_000_000) % np.uint64(11_111_111) == 0):
        return WEAK
    final: int = whole(grade)
    return final


@compiled
def is_day(year: int, month: int, day: int) -> bool:
    """See checks.is_date."""
    if year < FIRST_YEAR or year > LAST_YEAR or month < 1 or month > 12 or day < 1 or day > _DAYS[month]:
        return False
    return not (month == 2 and day == 29) or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


@compiled
def check_resident(data: Bytes, start: int, end: int) -> int:
    """See checks.resident_id."""
    place, high = np.uint64(start), np.uint64(end)
    count, total, head, date = np.uint64(0), 0, 0, 0
    last = np.uint8(0)
    while place < high:
        char = data[place]
        place += np.uint64(1)
        digit = whole(char) - 48
        if digit < 0 or digit > 9:
            if char not in (88, 120):
                continue
            if count != 17:
                return BAD
            digit = 10
            char = np.uint8(88)
        if count < 17:
            total += digit * _WEIGHT[count]
            if count < 2:
                head = head * 10 + digit
            elif 6 <= count < 14:
                date = date * 10 + digit
        last = char
        count += np.uint64(1)
    if count == 15:
        date = 19_000_000 + date // 100
    elif count != 18:
        return BAD
    if _PROVINCE[np.uint64(head)] == 0 or not is_day(date // 10_000, date // 100 % 100, date % 100):
        return BAD
    return GOOD if count == 18 and _CHECK[np.uint64(total % 11)] == last else WEAK


@compiled
def _among(names: npt.NDArray[np.uint64], name: np.uint64) -> bool:
    """Whether ``name`` is one of the sorted ``names``."""
    low, high = np.uint64(0), np.uint64(len(names))
    while low < high:
        middle = (low + high) >> np.uint64(1)
        if names[middle] < name:
            low = middle + np.uint64(1)
        else:
            high = middle
    return bool(low < np.uint64(len(names)) and names[low] == name)


@compiled
def check_card(data: Bytes, start: int, end: int) -> int:
    """See checks.card."""
    low, place = np.uint64(start), np.uint64(end)
    count, total, number, scale = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(1)
    while place > low:
        place -= np.uint64(1)
        digit = np.uint64(data[place] - np.uint8(48))
        if digit > 9:
            continue
        if count == 19:
            return BAD
        number += digit * scale
        scale *= np.uint64(10)
        if count & np.uint64(1):
            digit = np.uint64(2) * digit
            if digit > 9:
                digit -= np.uint64(9)
        total += digit
        count += np.uint64(1)
    if count < 13:
        return BAD
    first = number // (scale // np.uint64(10_000))
    grade = CARD_GRADES[(count - np.uint64(13)) * np.uint64(10_000) + first]
    if grade == BAD or total % np.uint64(10) != 0:
        return BAD
    if count in (16, 19) and _among(_ISSUERS, number // (scale // np.uint64(1_000_000))):
        return GOOD
    if np.uint64(end) - low == count:
        return WEAK  # digits in a row
    final: int = whole(grade)
    return final


@compiled
def check_email(data: Bytes, start: int, end: int) -> int:
    """See checks.email."""
    low, high = np.uint64(start), np.uint64(end)
    one, place = np.uint64(1), np.uint64(start)
    before, after = np.uint8(46), np.uint8(46)
    git = np.uint64(0)
    while place < high and data[place] != 64:
        char = data[place]
        if _MAIL[char] & np.uint8(1) == 0 or (char == 46 and before == 46):
            return BAD
        git = (git << np.uint64(8)) | np.uint64(char | np.uint8(32))
        before = char
        place += one
    local = place - low
    if place >= high or before == 46 or local > 64:
        return BAD
    place += one
    domain = high - place
    if domain < 4 or domain > 253:
        return BAD
    labels, length, letters, name = 1, np.uint64(0), True, np.uint64(0)
    xn = np.uint64(0)
    while place < high:
        char = data[place]
        place += one
        if char == 46:
            if length == 0 or length > 63 or after == 45:
                return BAD
            labels += 1
            length, letters, name, xn = np.uint64(0), True, np.uint64(0), np.uint64(0)
        else:
            if _MAIL[char] & np.uint8(2) == 0 or (length == 0 and char == 45):
                return BAD
            lower = np.uint64(char | np.uint8(32)) if _LETTER[char] else np.uint64(char)
            letters = letters and _LETTER[char] == 1
            name = (name << np.uint64(8)) | lower
            length += one
            if length == 4:
                xn = name
        after = char
    if labels < 2 or length < 2 or length > 63 or after == 45:
        return BAD
    coded = xn == 0x786E2D2D  # xn--
    if not (letters or coded):
        return BAD
    if length > 24:
        return BAD
    known = coded
    if not coded and length == 2:
        known = _COUNTRY[name] == 1 or _among(_ENDINGS, name)
        if _among(_ENDINGS, name):
            return BAD
    elif not coded and length <= 8:
        if _among(_ENDINGS, name):
            return BAD
        known = _among(_DOMAINS, name)
    return GOOD if known and not (local == 3 and git == 0x676974) else WEAK
