"""Checks of parcel and order numbers, of what is masked already, and of what is sealed: the reference. See ``checks.py``.

::

    >>> waybill(b"RR473124829GB"), waybill(b"SF1000000000001"), waybill(b"773000000000001"), waybill(b"RR473124820GB")
    (2, 2, 1, 1)
    >>> masked_mobile(b"138****1234"), masked_card("6222********1234".encode()), masked_id(b"110105********002X")
    (2, 2, 2)

Sources: UPU S10-12 and UPS for check digits; the carriers' prefixes as they are commonly known; ``docs/format`` for sealed
values and label tokens. Values come as they matched their patterns.
"""

from __future__ import annotations

import re

from parcelveil.scan.check_tables import (
    BAD,
    GOOD,
    POST_COUNTRIES,
    PROVINCES,
    WAYBILL_DIGITS,
    WAYBILL_PREFIXES,
    WEAK,
    card_grade,
    is_date,
)
from parcelveil.scan.checksums import s10, ups

#: Signs that stand for a hidden character. A letter x does where it stands among digits.
MASKS = "*●•×■█"
_SEPARATORS = " -+()"
_SEALED = frozenset([52, 74, 95, 116, 159])  # characters of sealed values of up to 95 bytes, without padding
_SEALED_LONG = 170
_TOKEN = {58: 4, 84: 16, 109: 2, 135: 8, 186: 4}  # characters; a multiple of what the last one counts
_BASE32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ORDER_DATED = re.compile(rb"([0-9]{6})-[0-9]{15}$")
_ORDER_AMAZON = re.compile(rb"[0-9]{3}-[0-9]{7}-[0-9]{7}$")


def waybill(value: bytes) -> int:
    """Waybill number. GOOD: a prefix of a carrier, or a right check digit; WEAK: digits alone, a wrong check digit."""
    if len(value) == 13 and value[2:11].isdigit() and value[:2].isalpha() and value[11:].isalpha():
        if value[11:].decode().lower() not in POST_COUNTRIES:
            return BAD
        return GOOD if s10(value) else WEAK
    if value[:2] == b"1Z" and len(value) == 18:
        if not value[2:17].isalnum() or value[2:17] != value[2:17].upper():
            return BAD
        return GOOD if ups(value) else WEAK
    if value.isdigit():
        return WEAK if len(value) in WAYBILL_DIGITS and len(set(value)) > 2 else BAD
    for prefix, low, high in WAYBILL_PREFIXES:
        if value.startswith(prefix.encode()):
            rest = value[len(prefix) :]
            if low <= len(rest) <= high and rest[-8:].isdigit():
                return GOOD
    return BAD


def order(value: bytes) -> int:
    """Order number. GOOD: a date and fifteen digits (Pinduoduo), 3-7-7 (Amazon), letters with digits; WEAK: digits alone."""
    if value.isdigit():
        return WEAK if len(set(value)) > 2 else BAD
    if match := _ORDER_DATED.match(value):
        day = match[1]
        return GOOD if is_date(2000 + int(day[:2]), int(day[2:4]), int(day[4:])) else WEAK
    if _ORDER_AMAZON.match(value):
        return GOOD
    return GOOD if sum(48 <= char <= 57 for char in value) >= 4 else BAD


def _shape(value: bytes, letters: bool) -> str:
    """Digits as they are, everything hidden as ``*``, without separators. ``letters``: x and X hide."""
    text = value.decode("utf-8", "replace")
    signs = MASKS + ("xX" if letters else "")
    return "".join("*" if char in signs else char for char in text if char not in _SEPARATORS)


def masked_mobile(value: bytes) -> int:
    """Mobile of which three digits or more are hidden. WEAK: not eleven characters in all (stars got lost)."""
    shape = _shape(value, True)
    if len(shape) > 11 and shape.startswith("86"):
        shape = shape[2:]
    if shape.count("*") < 3 or not 8 <= len(shape) <= 15:
        return BAD
    return GOOD if len(shape) == 11 else WEAK


def masked_landline(value: bytes) -> int:
    """Landline of which three digits or more are hidden."""
    shape = _shape(value, True)
    return BAD if shape.count("*") < 3 else GOOD if 10 <= len(shape) <= 12 else WEAK


def masked_id(value: bytes) -> int:
    """Resident identity number of which four characters or more are hidden. WEAK: not eighteen characters."""
    shape = _shape(value, False)
    stars, size = shape.count("*"), len(shape)
    if stars < 4 or not 12 <= size <= 20:
        return BAD
    if shape[:2].isdigit() and int(shape[:2]) not in PROVINCES:
        return BAD
    return GOOD if size == 18 else WEAK


def masked_card(value: bytes) -> int:
    """Card number of which four digits or more are hidden. WEAK: eighteen characters, or nothing shows the issuer."""
    shape = _shape(value, True)
    stars, size = shape.count("*"), len(shape)
    if stars < 4 or not 13 <= size <= 19:
        return BAD
    if not shape[:4].isdigit():
        return WEAK
    grade = card_grade(int(shape[:4]), size)
    return grade if size != 18 else min(grade, WEAK)


def masked_email(value: bytes) -> int:
    """Mail address of which two characters or more are hidden. WEAK: one that shows nothing before the @.

    Letters alone behind the last dot; no dot or hyphen is doubled or stands at an end.
    """
    text = value.decode("utf-8", "replace")
    _, _, domain = text.partition("@")
    last = domain.rpartition(".")[2]
    if sum(char in MASKS for char in text) < 2 or "." not in domain or domain[0] in ".-":
        return BAD
    if not (2 <= len(last) <= 8 and last.isascii() and last.isalpha()) or any(
        pair in domain for pair in ("..", ".-", "-.")
    ):
        return BAD
    return WEAK if text[0] in MASKS else GOOD


def sealed(value: bytes) -> int:
    """Sealed value (``pv1:``) or pseudonym (``pn1:``) of ours. WEAK: of a length that is none, or cut."""
    body = value[4:]
    if value[:4] == b"pn1:":
        return GOOD if len(body) == 22 and body[-1:] in b"AQgw" else BAD
    if value[:4] != b"pv1:" or body[:1] != b"A" or body[1:2] not in b"QRSTUVWXYZabcdef":
        return BAD
    return GOOD if len(body) in _SEALED or len(body) >= _SEALED_LONG else WEAK


def token(value: bytes) -> int:
    """Token of a label: base32 in one of the lengths, spare bits zero."""
    unit = _TOKEN.get(len(value))
    if unit is None or value[-1] not in _BASE32:
        return BAD
    return GOOD if _BASE32.index(value[-1]) % unit == 0 else BAD
