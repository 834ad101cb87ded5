"""Checks of papers, companies, vehicles, devices and accounts: the reference. See ``checks.py`` for GOOD, WEAK, BAD.

::

    >>> hkid(b"A123456(3)"), hkid(b"A1234563"), plate("沪A12345".encode()), iban(b"GB29 NWBK 6016 1331 9268 19")
    (2, 1, 2, 2)

Sources: the National Immigration Administration's rules for permits (2010, 2023), GB 32100-2015 and GB 11714-1997,
GA 36-2018 (plates), GSMA TS.06 (IMEI), ISO 13616 (IBAN), SSA (SSN). Values come as they matched their patterns.
"""

from __future__ import annotations

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
    is_date,
)
from parcelveil.scan.checksums import digits_of, luhn, mod11_2, mod31, mod97, organisation
from parcelveil.scan.checksums import hkid as hkid_holds

_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PLATE = frozenset(b"ABCDEFGHJKLMNPQRSTUVWXYZ0123456789")
_NEW_ENERGY = frozenset(b"ABCDEFGHJK")


def plain(value: bytes) -> bytes:
    """The ASCII letters and digits of ``value``."""
    return bytes(char for char in value if char < 128 and chr(char).isalnum())


def hk_macau_permit(value: bytes) -> int:
    """Permit of Hong Kong (H) or Macau (M) residents: eight digits for life, two for the renewal. WEAK without those.

    WEAK too: a mainlander's permit for Hong Kong and Macau, C and eight digits, of which the first may be a letter.
    """
    digits = value[1:]
    if value[:1] == b"C" and len(value) == 9 and value[2:].isdigit():
        return WEAK if digits.isdigit() or (value[1] in _PLATE and value[1] in _CAPITALS) else BAD
    if value[:1] not in {b"H", b"M"} or not digits.isdigit():
        return BAD
    return GOOD if len(digits) == 10 else WEAK if len(digits) == 8 else BAD


def hkid(value: bytes) -> int:
    """Hong Kong identity card, with its check digit. WEAK: no brackets around it, or two letters nobody has."""
    bracket = value[-1:] == b")" and value[-3:-2] == b"("
    number = value[:-3] + value[-2:-1] if bracket else value
    if not hkid_holds(number):
        return BAD
    usual = len(number) == 8 or number[:2].decode() in HKID_PAIRS
    return GOOD if usual and bracket else WEAK


def passport(value: bytes) -> int:
    """Passport number by its shape. GOOD: ordinary Chinese ones (E, G, E with a letter); WEAK: all others."""
    if value[:1] in {b"E", b"G"} and len(value) == 9:
        return (
            GOOD if value[1:].isdigit() or (value[:1] == b"E" and value[1] in _PLATE and value[2:].isdigit()) else WEAK
        )
    return WEAK


def foreigner_residence(value: bytes) -> int:
    """Foreigner's permanent residence card: 18 digits from 9 on (2023), or a country, a region, a birthday (before).

    WEAK: a wrong check digit beside a right birthday and region.
    """
    if value[:1].isdigit():
        if len(value) != 18 or value[:1] != b"9" or not value[:17].isdigit() or int(value[1:3]) not in PROVINCES:
            return BAD
        if not is_date(int(value[6:10]), int(value[10:12]), int(value[12:14])):
            return BAD
        return GOOD if mod11_2(value) else WEAK
    if len(value) != 15 or not value[3:].isdigit() or value[:3].decode() not in COUNTRIES_THREE:
        return BAD
    year, month, day = int(value[7:9]), int(value[9:11]), int(value[11:13])
    # Of two centuries: February 29 holds in one that has it.
    dated = is_date(1900 + year, month, day) or is_date(2000 + year, month, day)
    return GOOD if int(value[3:5]) in PROVINCES and dated else BAD


def uscc(value: bytes) -> int:
    """Unified social credit code: of an authority that registers such organisations, in a province or the whole country.

    WEAK: the organisation code inside is wrong by its own check digit, or all are digits, as other long numbers are.
    """
    if value[:2].decode("latin-1") not in CREDIT_PAIRS or not value[2:8].isdigit() or not mod31(value):
        return BAD
    if int(value[2:4]) not in PROVINCES and value[2:8] != b"100000":
        return BAD
    return GOOD if organisation(value[8:17]) and not value.isdigit() else WEAK


def plate(value: bytes) -> int:
    """Plate behind its province: a letter and five (seven characters in all), or a new-energy one with six.

    Two letters at most among the five. WEAK: three.
    """
    number = plain(value)
    special = value[-1:] >= b"\x80"  # 学 警 港 澳 挂 领 使 take the place of the last
    if not number or number[0] not in _CAPITALS or number[0] in b"IO" or not _PLATE.issuperset(number):
        return BAD
    rest = number[1:]
    letters = sum(char in _CAPITALS for char in rest)
    if special:
        return BAD if len(rest) != 4 else GOOD if letters <= 1 else WEAK
    if len(rest) == 5:
        return GOOD if letters <= 2 else WEAK if letters == 3 else BAD
    if len(rest) != 6:
        return BAD
    small = rest[0] in _NEW_ENERGY and rest[2:].isdigit()
    return GOOD if small or (rest[:5].isdigit() and rest[5] in _NEW_ENERGY) else BAD


def imei(value: bytes) -> int:
    """IMEI: fifteen digits, Luhn. WEAK: no body that gives out type codes has such a beginning."""
    digits = digits_of(value)
    if len(digits) != 15 or not luhn(digits):
        return BAD
    return GOOD if int(digits[:2]) in IMEI_BODIES else WEAK


def iban(value: bytes) -> int:
    """International bank account number: registered country, its length, MOD 97."""
    number = value.replace(b" ", b"")
    if number[:4] != value[:4]:  # a blank before the check digits
        return BAD
    if IBAN_LENGTHS.get(number[:2].decode("ascii", "replace")) != len(number) or not mod97(number):
        return BAD
    return GOOD


def us_ssn(value: bytes) -> int:
    """US social security number. WEAK: without hyphens."""
    digits = digits_of(value)
    if len(digits) != 9 or digits[:3] in {b"000", b"666"} or digits[:1] == b"9" or digits[3:5] == b"00":
        return BAD
    if digits[5:] == b"0000" or int(digits) in SSN_PRINTED:
        return BAD
    return GOOD if value[3:4] == b"-" else WEAK
