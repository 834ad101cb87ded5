"""Check digits, each as its standard has it, over plain bytes without separators.

::

    >>> luhn(b"4111111111111111"), mod11_2(b"11010519491231002X"), mod31(b"91110000600037341L")
    (True, True, True)
    >>> mod97(b"GB29NWBK60161331926819"), s10(b"RR473124829GB"), hkid(b"A1234563")
    (True, True, True)

A checksum is right or wrong; whether a number can be (its date, its region, its issuer) is for ``checks.py``. Anything
of the wrong length or alphabet is wrong. Sources: ISO/IEC 7812-1 annex B (Luhn), GB 11643-1999 and ISO/IEC 7064 (MOD
11-2), GB 32100-2015 (MOD 31), ISO 13616-1 (MOD 97-10), UPU S10-12, UPS (1Z numbers), the Hong Kong Immigration Department's published
scheme, 3GPP TS 23.003 annex B (IMEI), ICAO Doc 9303 part 3 (7-3-1).
"""

from __future__ import annotations

RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # 2^(17-i) mod 11, GB 11643
RESIDENT_CHECKS = b"10X98765432"
CREDIT_ALPHABET = b"0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100: without I O S V Z
CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)  # 3^i mod 31
S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)


def only(value: bytes, wanted: str) -> bytes:
    """The characters of ``value`` that stand in ``wanted`` (ASCII)."""
    keep = wanted.encode()
    return bytes(char for char in value if char in keep)


def digits_of(value: bytes) -> bytes:
    """The digits of ``value``."""
    return only(value, "0123456789")


def luhn(digits: bytes) -> bool:
    """The last digit makes the sum, with every second digit from the right doubled, a multiple of ten."""
    if not digits.isdigit():
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = digit - 48
        if place % 2:
            number = 2 * number - 9 if number > 4 else 2 * number
        total += number
    return total % 10 == 0


def mod11_2(number: bytes) -> bool:
    """A resident identity number's 18th character; ``x`` is taken for ``X``."""
    if len(number) != 18 or not number[:17].isdigit():
        return False
    total = sum((digit - 48) * weight for digit, weight in zip(number[:17], RESIDENT_WEIGHTS, strict=True))
    return RESIDENT_CHECKS[total % 11] == number[17:].upper()[0]


def mod31(code: bytes) -> bool:
    """A unified social credit code's 18th character; letters in upper case."""
    places = [CREDIT_ALPHABET.find(bytes([char])) for char in code]
    if len(places) != 18 or min(places) < 0:
        return False
    total = sum(place * weight for place, weight in zip(places[:17], CREDIT_WEIGHTS, strict=True))
    return (31 - total % 31) % 31 == places[17]


def organisation(code: bytes) -> bool:
    """An organisation code (GB 11714-1997): eight characters and a check digit by weights 3 7 9 10 5 8 4 2."""
    if len(code) != 9 or not code[:8].isalnum() or code[:8] != code[:8].upper():
        return False
    total = sum(int(chr(char), 36) * weight for char, weight in zip(code[:8], (3, 7, 9, 10, 5, 8, 4, 2), strict=True))
    return b"0X987654321"[total % 11] == code[8]


def mod97(iban: bytes) -> bool:
    """An IBAN's two check digits: its rearranged digits leave 1 when divided by 97; letters in upper case."""
    if len(iban) < 5 or not iban.isalnum() or iban != iban.upper() or not iban[2:4].isdigit():
        return False
    remainder = 0
    for char in iban[4:] + iban[:4]:
        value = char - 48 if char < 58 else char - 55
        remainder = (remainder * (10 if value < 10 else 100) + value) % 97
    return remainder == 1


def s10(number: bytes) -> bool:
    """The ninth digit of a postal item's number, two letters, nine digits, two letters: ``RR473124829GB``."""
    if len(number) != 13 or not (number[:2] + number[11:]).isalpha() or not number[2:11].isdigit():
        return False
    total = sum((digit - 48) * weight for digit, weight in zip(number[2:10], S10_WEIGHTS, strict=True))
    check = 11 - total % 11
    return {10: 0, 11: 5}.get(check, check) == number[10] - 48


def ups(number: bytes) -> bool:
    """The last digit of a UPS tracking number, ``1Z`` and sixteen characters (UPS's published scheme).

    A letter counts its place behind A plus 2, modulo ten; every second of the fifteen counts twice.
    """
    body = number[2:]
    if (
        len(number) != 18
        or number[:2] != b"1Z"
        or not body.isalnum()
        or body != body.upper()
        or not body[15:].isdigit()
    ):
        return False
    values = [char - 48 if char < 58 else (char - 63) % 10 for char in body[:15]]
    total = sum(value * (1 + place % 2) for place, value in enumerate(values))
    return (10 - total % 10) % 10 == body[15] - 48


def hkid(number: bytes) -> bool:
    """A Hong Kong identity card: one or two letters, six digits and a check character, without brackets.

    A letter counts 10 to 35, a missing second letter 36; weights 9 to 2; the sum with the check (A is 10) is a
    multiple of 11.
    """
    head, tail = number[:-7], number[-7:]
    if len(head) not in {1, 2} or not head.isalpha() or head != head.upper() or not tail[:6].isdigit():
        return False
    if not (tail[6:].isdigit() or tail[6:] == b"A"):
        return False
    values = [36] * (2 - len(head)) + [char - 55 for char in head] + [digit - 48 for digit in tail[:6]]
    total = sum(value * weight for value, weight in zip(values, range(9, 1, -1), strict=True))
    return (total + (10 if tail[6:] == b"A" else tail[6] - 48)) % 11 == 0


def icao(text: bytes) -> int:
    """The check digit (0 to 9) of machine-readable travel documents: weights 7 3 1; digits and capitals only."""
    return sum((int(chr(char), 36)) * (7, 3, 1)[place % 3] for place, char in enumerate(text)) % 10
