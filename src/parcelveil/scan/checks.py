"""Whether a value that has the right shape can be what its rule says: GOOD, WEAK or BAD.

::

    >>> CHECKS["mobile"](b"+86 138 1234 5678"), CHECKS["resident_id"](b"11010519491231002X")
    (2, 2)
    >>> CHECKS["resident_id"](b"110105194912310021"), CHECKS["resident_id"](b"110105194913310021")
    (1, 0)

A check gets the bytes as they matched, with separators, folded to ASCII. GOOD: everything fits. WEAK: the shape fits,
but something is unusual (a range that nobody was given, a private address, a wrong check digit beside a right date and
region); the rule's weights say what that costs. BAD: drop it. These are the reference; ``check_passes.py`` has the same
compiled, and the tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable

from parcelveil.scan import contact_checks, identity_checks, parcel_checks
from parcelveil.scan.check_tables import (
    BAD,
    CARD_ISSUERS,
    CARD_LENGTHS,
    COUNTRY_DOMAINS,
    FILE_ENDINGS,
    GOOD,
    MAIL_DOMAINS,
    PROVINCES,
    WEAK,
    card_grade,
    is_date,
)
from parcelveil.scan.checksums import digits_of, luhn, mod11_2, only

__all__ = ["BAD", "CHECKS", "GOOD", "WEAK"]

_LOCAL = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-")
_LABEL = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


def resident_id(value: bytes) -> int:
    """Resident identity number (GB 11643). WEAK: 15 characters (before 1999, no check digit), or a wrong check digit."""
    number = only(value, "0123456789Xx")
    if len(number) == 18 and number[:17].isdigit():
        year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    elif len(number) == 15 and number.isdigit():
        year, month, day = 1900 + int(number[6:8]), int(number[8:10]), int(number[10:12])
    else:
        return BAD
    if int(number[:2]) not in PROVINCES or not is_date(year, month, day):
        return BAD
    return GOOD if len(number) == 18 and mod11_2(number) else WEAK


def card(value: bytes) -> int:
    """Payment card: issuer range, length, Luhn.

    GOOD: the issuer is a bank in China, or the number is written in groups. WEAK: digits in a row that only lie in the wide
    range of a scheme, as one of twenty random numbers does; or a length that is rare there.
    """
    digits = digits_of(value)
    if len(digits) not in CARD_LENGTHS and len(digits) != 14:
        return BAD
    grade = card_grade(int(digits[:4]), len(digits))
    if grade == BAD or not luhn(digits):
        return BAD
    if len(digits) in {16, 19} and int(digits[:6]) in CARD_ISSUERS:
        return GOOD
    return grade if len(value) > len(digits) else WEAK


def email(value: bytes) -> int:
    """Mail address (the dot-atom part of RFC 5322 that people have). WEAK: a domain that nobody knows, or git@.

    The value is the whole run around one ``@``; dots and hyphens at its ends are not part of it.
    """
    local, at, domain = value.partition(b"@")
    if not at or not 1 <= len(local) <= 64 or not 4 <= len(domain) <= 253 or not _LOCAL.issuperset(local):
        return BAD
    if local[:1] == b"." or local[-1:] == b"." or b".." in local:
        return BAD
    labels = domain.split(b".")
    for label in labels:
        if not 1 <= len(label) <= 63 or label[:1] == b"-" or label[-1:] == b"-" or not _LABEL.issuperset(label):
            return BAD
    last = labels[-1].lower()
    if len(labels) < 2 or len(last) < 2 or not (last.isalpha() or last.startswith(b"xn--")):
        return BAD
    name = last.decode()
    if name in FILE_ENDINGS or len(last) > 24:
        return BAD
    known = name in MAIL_DOMAINS or name in COUNTRY_DOMAINS or name.startswith("xn--")
    return GOOD if known and local.lower() != b"git" else WEAK


CHECKS: dict[str, Callable[[bytes], int]] = {
    "mobile": contact_checks.mobile,
    "resident_id": resident_id,
    "card": card,
    "email": email,
    **{
        check.__name__: check
        for check in (
            contact_checks.landline,
            contact_checks.service,
            contact_checks.virtual,
            contact_checks.north_american,
            contact_checks.foreign,
            contact_checks.ip,
            contact_checks.mac,
            contact_checks.wechat,
            contact_checks.position,
            identity_checks.hk_macau_permit,
            identity_checks.hkid,
            identity_checks.passport,
            identity_checks.foreigner_residence,
            identity_checks.uscc,
            identity_checks.plate,
            identity_checks.imei,
            identity_checks.iban,
            identity_checks.us_ssn,
            parcel_checks.waybill,
            parcel_checks.order,
            parcel_checks.masked_mobile,
            parcel_checks.masked_landline,
            parcel_checks.masked_id,
            parcel_checks.masked_card,
            parcel_checks.masked_email,
            parcel_checks.sealed,
            parcel_checks.token,
        )
    },
}
