"""The checks of ``identity_checks.py``, compiled. What each says stands there.

::

    >>> import numpy as np
    >>> check_iban(np.frombuffer(b"GB29NWBK60161331926819", np.uint8), 0, 22)
    2
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from parcelveil.scan.check_tables import (
    BAD,
    COUNTRIES_THREE,
    CREDIT_PAIRS,
    GOOD,
    HKID_PAIRS,
    IBAN_LENGTHS,
    IMEI_BODIES,
    PROVINCES,
    SSN_PRINTED,
    WEAK,
)
from parcelveil.scan.checksums import CREDIT_ALPHABET, CREDIT_WEIGHTS, RESIDENT_CHECKS, RESIDENT_WEIGHTS
from parcelveil.scan.frequent_passes import is_day, whole
from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]

_PROVINCE = np.zeros(100, np.uint8)
_PROVINCE[list(PROVINCES)] = 1
_CREDIT = np.full(256, -1, np.int64)
_CREDIT[list(CREDIT_ALPHABET)] = np.arange(len(CREDIT_ALPHABET))
_CREDIT_WEIGHT = np.array(CREDIT_WEIGHTS, np.int64)
_PAIR = np.zeros((128, 10), np.uint8)  # by authority and class
for _pair in CREDIT_PAIRS:
    _PAIR[ord(_pair[0]), int(_pair[1])] = 1
_ORGANISATION = np.array([3, 7, 9, 10, 5, 8, 4, 2], np.int64)
_ORGANISATION_CHECK = np.frombuffer(b"0X987654321", np.uint8).copy()
_WEIGHT = np.array(RESIDENT_WEIGHTS, np.int64)
_CHECK = np.frombuffer(RESIDENT_CHECKS, np.uint8).copy()
_HKID_PAIR = np.zeros(26 * 26, np.uint8)
_HKID_PAIR[[(ord(pair[0]) - 65) * 26 + ord(pair[1]) - 65 for pair in HKID_PAIRS]] = 1
_BODY = np.zeros(100, np.uint8)
_BODY[list(IMEI_BODIES)] = 1
_IBAN = np.zeros(26 * 26, np.int64)
for _country, _length in IBAN_LENGTHS.items():
    _IBAN[(ord(_country[0]) - 65) * 26 + ord(_country[1]) - 65] = _length
_COUNTRY = np.zeros(26**3, np.uint8)
_COUNTRY[[(ord(c[0]) - 65) * 676 + (ord(c[1]) - 65) * 26 + ord(c[2]) - 65 for c in COUNTRIES_THREE]] = 1
_PRINTED = np.array(sorted(SSN_PRINTED), np.int64)


@compiled
def number(data: Bytes, start: int, end: int) -> int:
    """The digits of ``data[start:end]`` as a number; -1 if another character is among them, or too many."""
    value = 0
    if end - start > 18 or end <= start:
        return -1
    for place in range(start, end):
        digit = whole(data[place]) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@compiled
def _capital(byte: Any) -> bool:
    return bool(65 <= byte <= 90)


@compiled
def check_permit(data: Bytes, start: int, end: int) -> int:
    """See identity_checks.hk_macau_permit."""
    size = end - start
    if size not in (9, 11) or number(data, start + 2, end) < 0:
        return BAD
    digit = 48 <= data[start + 1] <= 57
    if data[start] == 67 and size == 9:
        return WEAK if digit or (_capital(data[start + 1]) and data[start + 1] not in (73, 79)) else BAD
    if data[start] not in (72, 77) or not digit:
        return BAD
    return GOOD if size == 11 else WEAK


@compiled
def check_hkid(data: Bytes, start: int, end: int) -> int:
    """See identity_checks.hkid."""
    bracket = end - start > 3 and data[end - 1] == 41 and data[end - 3] == 40
    last = end - 2 if bracket else end - 1
    body = last - 1 if bracket else last
    letters = body - start - 6
    if letters < 1 or letters > 2 or number(data, body - 6, body) < 0:
        return BAD
    total = 36 * 9 if letters == 1 else 0
    for i in range(letters):
        if not _capital(data[start + i]):
            return BAD
        total += (whole(data[start + i]) - 55) * (8 if letters == 1 or i == 1 else 9)
    for i in range(6):
        total += (whole(data[body - 6 + i]) - 48) * (7 - i)
    if data[last] == 65:
        total += 10
    elif 48 <= data[last] <= 57:
        total += whole(data[last]) - 48
    else:
        return BAD
    if total % 11 != 0:
        return BAD
    if letters == 2 and not _HKID_PAIR[(whole(data[start]) - 65) * 26 + whole(data[start + 1]) - 65]:
        return WEAK
    return GOOD if bracket else WEAK


@compiled
def check_passport(data: Bytes, start: int, end: int) -> int:
    """See identity_checks.passport."""
    if end - start != 9 or data[start] not in (69, 71) or number(data, start + 2, end) < 0:
        return WEAK
    second = data[start + 1]
    if 48 <= second <= 57:
        return GOOD
    return GOOD if data[start] == 69 and _capital(second) and second not in (73, 79) else WEAK


@compiled
def check_residence(data: Bytes, start: int, end: int) -> int:
    """See identity_checks.foreigner_residence."""
    size = end - start
    if 48 <= data[start] <= 57:
        if size != 18 or data[start] != 57 or number(data, start, start + 17) < 0:
            return BAD
        date = number(data, start + 6, start + 14)
        if not _PROVINCE[number(data, start + 1, start + 3)]:
            return BAD
        if not is_day(date // 10_000, date // 100 % 100, date % 100):
            return BAD
        total = 0
        for i in range(17):
            total += (whole(data[start + i]) - 48) * _WEIGHT[i]
        last = data[start + 17]
        return GOOD if _CHECK[total % 11] == (np.uint8(88) if last == 120 else last) else WEAK
    if size != 15 or number(data, start + 3, end) < 0:
        return BAD
    code = 0
    for i in range(3):
        if not _capital(data[start + i]):
            return BAD
        code = code * 26 + whole(data[start + i]) - 65
    if not _COUNTRY[code] or not _PROVINCE[number(data, start + 3, start + 5)]:
        return BAD
    date = number(data, start + 7, start + 13)
    year, month, day = date // 10_000, date // 100 % 100, date % 100
    return GOOD if is_day(1900 + year, month, day) or is_day(2000 + year, month, day) else BAD


@compiled
def check_uscc(data: Bytes, start: int, end: int) -> int:
    """See identity_checks.uscc."""
    region = number(data, start + 2, start + 8) if end - start == 18 else -1
    if region < 0 or data[start] > 127 or not 48 <= data[start + 1] <= 57:
        return BAD
    if not _PAIR[data[start], data[start + 1] - 48] or (not _PROVINCE[region // 10_000] and region != 100_000):
        return BAD
    total, letters = 0, data[start] > 57 or data[start + 17] > 57
    for i in range(17):
        place = _CREDIT[data[start + i]]
        if place < 0:
            return BAD
        total += place * _CREDIT_WEIGHT[i]
    if (31 - total % 31) % 31 != _CREDIT[data[start + 17]]:
        return BAD
    total = 0
    for i in range(8):
        char = whole(data[start + 8 + i])
        letters = letters or char > 57
        total += (char - 48 if char < 58 else char - 55) * _ORGANISATION[i]
    letters = letters or data[start + 16] > 57
    return GOOD if letters and _ORGANISATION_CHECK[total % 11] == data[start + 16] else WEAK


@compiled
def _new_energy(byte: Any) -> bool:
    return bool(65 <= byte <= 75 and byte != 73)


@compiled
def check_plate(data: Bytes, start: int, end: int) -> int:
    """See identity_checks.plate."""
    special = data[end - 1] >= 128
    count, letters, late, head = 0, 0, 0, np.uint8(0)
    second, last, first_digits = np.uint8(0), np.uint8(0), True
    for place in range(start, end):
        char = data[place]
        letter, digit = _capital(char), 48 <= char <= 57
        if not letter and not digit:
            if char < 128 and 97 <= (char | 32) <= 122:
                return BAD  # a small letter
            continue
        if char in (73, 79):
            return BAD
        if count == 0:
            head = char
        else:
            if count == 1:
                second = char
            if letter:
                letters += 1
                if count >= 3:
                    late += 1
                if count <= 5:
                    first_digits = False
            last = char
        count += 1
    if not _capital(head):
        return BAD
    if special:
        return BAD if count != 5 else GOOD if letters <= 1 else WEAK
    if count == 6:
        return GOOD if letters <= 2 else WEAK if letters == 3 else BAD
    if count != 7:
        return BAD
    return GOOD if (_new_energy(second) and late == 0) or (first_digits and _new_energy(last)) else BAD


@compiled
def check_imei(data: Bytes, start: int, end: int) -> int:
    """See identity_checks.imei."""
    count, total, first = 0, 0, 0
    for place in range(start, end):
        digit = whole(data[place]) - 48
        if digit < 0 or digit > 9:
            continue
        if count < 2:
            first = first * 10 + digit
        if count & 1:  # of fifteen, every second from the left
            digit = 2 * digit - 9 if digit > 4 else 2 * digit
        total += digit
        count += 1
    if count != 15 or total % 10 != 0:
        return BAD
    return GOOD if _BODY[first] else WEAK


@compiled
def check_iban(data: Bytes, start: int, end: int) -> int:
    """See identity_checks.iban."""
    if end - start < 15 or not (_capital(data[start]) and _capital(data[start + 1])):
        return BAD
    first, second = whole(data[start]) - 55, whole(data[start + 1]) - 55
    check = number(data, start + 2, start + 4)
    count, remainder = 4, 0
    for place in range(start + 4, end):
        char = whole(data[place])
        if char == 32:
            continue
        if 48 <= char <= 57:
            remainder = (remainder * 10 + char - 48) % 97
        elif 65 <= char <= 90:
            remainder = (remainder * 100 + char - 55) % 97
        else:
            return BAD
        count += 1
    if check < 0 or count != _IBAN[(first - 10) * 26 + second - 10]:
        return BAD
    return GOOD if (remainder * 1_000_000 + first * 10_000 + second * 100 + check) % 97 == 1 else BAD


@compiled
def check_ssn(data: Bytes, start: int, end: int) -> int:
    """See identity_checks.us_ssn."""
    value, count = 0, 0
    for place in range(start, end):
        digit = whole(data[place]) - 48
        if 0 <= digit <= 9:
            if count == 9:
                return BAD
            value = value * 10 + digit
            count += 1
    area, group, serial = value // 1_000_000, value // 10_000 % 100, value % 10_000
    if count != 9 or area in (0, 666) or area >= 900 or group == 0 or serial == 0:
        return BAD
    for printed in _PRINTED:
        if value == printed:
            return BAD
    return GOOD if data[start + 3] == 45 else WEAK
