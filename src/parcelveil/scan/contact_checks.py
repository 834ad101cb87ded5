"""Checks of phones beside mobiles, chat names, network addresses and positions: the reference. See ``checks.py``.

::

    >>> landline("(021) 6123 4567转801".encode()), virtual("17012345678转1234".encode()), foreign(b"+44 7700 900123")
    (2, 2, 1)
    >>> foreign(b"+44 20 7946 0958"), ip(b"93.184.216.34"), ip(b"192.168.1.1"), position(b"31.2304,121.4737")
    (2, 2, 1, 2)

Sources: MIIT's numbering plan, ITU-T E.164 by way of ``phonenumbers``, NANPA (North America), RFC 791, 4291, 7042. Values
come as they matched their patterns.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from parcelveil.scan.check_tables import AREAS_THREE, AREAS_TWO, BAD, GOOD, MOBILE_ALLOCATED, WEAK
from parcelveil.scan.checksums import digits_of

_GROUPS = re.compile(rb"[0-9]+")
_WORD = re.compile("转|轉|分机|(?i:ext)|[#[(]".encode())
_EXTENSION = re.compile(rb"([0-9]+)[\])]?$")
_HEX = re.compile(rb"[0-9A-Fa-f]+")
_APP = re.compile(rb"wx[0-9a-f]{16}$")


def mobile(value: bytes) -> int:
    """Mainland mobile: eleven digits, perhaps behind 86, 0086 or a trunk 0. WEAK: not given out, or eight same digits."""
    digits = digits_of(value)
    head, number = digits[:-11], digits[-11:]
    if len(number) < 11 or head not in {b"", b"86", b"0086", b"0"} or number[:1] != b"1" or number[1:2] < b"3":
        return BAD
    if head == b"0" or number[:3].decode() not in MOBILE_ALLOCATED or len(set(number[3:])) == 1:
        return WEAK
    return GOOD


def landline(value: bytes) -> int:
    """Landline with its area code, perhaps an extension.

    WEAK: no sign between area and number, a number that begins with 1 or 9, or seven digits where all have eight.
    """
    groups = _GROUPS.findall(value)
    if len(groups) > 8 or any(len(group) > 18 for group in groups):
        return BAD
    if groups and groups[0] in {b"86", b"0086"}:
        groups = groups[1:]
    elif groups and value[:1] == b"+" and groups[0].startswith(b"86"):
        groups[0] = groups[0][2:]
    elif not groups or not groups[0].startswith(b"0"):
        return BAD
    if groups and groups[0] == b"0":  # +86 (0)21
        groups = groups[1:]
    if not groups:
        return BAD
    area = groups[0].removeprefix(b"0")
    bare = len(area) > 3
    if bare:
        size = 2 if int(area[:2]) in AREAS_TWO else 3
        groups = [area[:size], area[size:], *groups[1:]]
        area = groups[0]
    two = len(area) == 2 and int(area) in AREAS_TWO
    if not two and not (len(area) == 3 and chr(area[2]) in AREAS_THREE.get(int(area[:2]), "")):
        return BAD
    rest = groups[1:]
    if len(rest) >= 2 and len(rest[0]) in {3, 4} and len(rest[1]) == 4:
        rest = [rest[0] + rest[1], *rest[2:]]
    if not rest or len(rest[0]) not in {7, 8} or rest[0][:1] == b"0" or len(rest) > 2:
        return BAD
    if len(rest) == 2 and len(rest[1]) > 6:
        return BAD
    return WEAK if bare or rest[0][:1] in {b"1", b"9"} or (two and len(rest[0]) == 7) else GOOD


def service(value: bytes) -> int:
    """Service number: 400 and 800 with seven digits are GOOD, the short ones (95xxx, 12xxx, 10086) WEAK."""
    digits = digits_of(value)
    return GOOD if len(digits) == 10 and digits[:3] in {b"400", b"800"} else WEAK if 5 <= len(digits) <= 6 else BAD


def virtual(value: bytes) -> int:
    """Number of a privacy service with an extension.

    WEAK: not four digits follow a hyphen.
    """
    match = _EXTENSION.search(value)
    if match is None or len(match[1]) > 6:
        return BAD
    before = value[: match.start()].rstrip(b" .:")
    number = _GROUPS.findall(before)
    digits = b"".join(number)
    if not digits or (mobile(digits) == BAD and not (digits.startswith(b"95013") and 9 <= len(digits) <= 17)):
        return BAD
    sign = before[before.rindex(number[-1]) + len(number[-1]) :].strip(b" ")
    if _WORD.search(sign):
        return GOOD
    if sign != b"-":
        return BAD
    return GOOD if len(match[1]) == 4 else WEAK


def north_american(value: bytes) -> int:
    """Number of North America without its country code (NANPA). WEAK: its area stands in no brackets."""
    digits = digits_of(value)
    if len(digits) != 10 or digits[0] < 50 or digits[3] < 50 or digits[1:2] == b"9":
        return BAD
    if digits[1:3] == b"11" or digits[4:6] == b"11" or len(set(digits[3:])) == 1:
        return BAD
    return GOOD if value[:1] == b"(" else WEAK


def foreign(value: bytes) -> int:
    """International number of another country by ``phonenumbers``: valid with a + is GOOD.

    WEAK: valid with 00, or with a + but only of a possible length.
    """
    digits = digits_of(value)
    outside = value[:1] != b"+"
    if outside and digits[:2] != b"00":
        return BAD
    grade = _grade(digits[2:] if outside else digits)
    return grade if not outside else WEAK if grade == GOOD else BAD


@lru_cache(maxsize=2048)  # the same few numbers stand in a file again and again; nothing of it is ever written
def _grade(digits: bytes) -> int:
    import phonenumbers

    try:
        number = phonenumbers.parse("+" + digits.decode("ascii"), None)
    except phonenumbers.NumberParseException:
        return BAD
    if number.country_code == 86:
        return BAD
    valid, possible = phonenumbers.is_valid_number(number), phonenumbers.is_possible_number(number)
    return GOOD if valid else WEAK if possible else BAD


def ip(value: bytes) -> int:
    """IP address. WEAK: private, local, of a group, or what is rather a version number (all parts below 32).

    Addresses for documentation (RFC 5737, 3849) are examples of real ones, as example.com is: GOOD.
    """
    try:
        address = ipaddress.ip_address(value.decode("ascii"))
    except ValueError:
        return BAD
    if isinstance(address, ipaddress.IPv6Address):
        return GOOD if 0x20 <= address.packed[0] <= 0x3F else WEAK
    return GOOD if _public(address.packed) and max(address.packed) >= 32 else WEAK


def _public(parts: bytes) -> bool:
    """Whether four bytes are an address that could be somebody's (RFC 6890)."""
    first, second = parts[0], parts[1]
    special = first in {0, 10, 127} or first >= 224 or (first == 100 and 64 <= second < 128)
    special = special or (first == 172 and 16 <= second < 32) or (first == 169 and second == 254)
    return not (special or (first == 192 and second == 168) or (first == 198 and second in {18, 19}))


def mac(value: bytes) -> int:
    """Hardware address. WEAK: of a group. BAD: all the same, or digits alone in groups of four."""
    digits = b"".join(_HEX.findall(value))
    if len(digits) != 12 or len(set(bytes.fromhex(digits.decode()))) == 1:
        return BAD
    if digits.isdigit() and value[2:3] not in b":-":
        return BAD
    return WEAK if int(digits[:2], 16) & 1 else GOOD


def wechat(value: bytes) -> int:
    """WeChat name: 6 to 20 characters from a letter on. WEAK: letters only, so perhaps a word. BAD: an app's number."""
    if value[:5] == b"wxid_":
        return GOOD
    if not 6 <= len(value) <= 20 or not value[:1].isalpha() or _APP.match(value):
        return BAD
    return WEAK if value.isalpha() else GOOD


def position(value: bytes) -> int:
    """Two degrees, latitude and longitude in either order. GOOD: in China and around; WEAK: elsewhere."""
    parts = re.findall(rb"[0-9]+\.[0-9]+", value)
    if len(parts) != 2:
        return BAD
    one, two = (int(part.partition(b".")[0]) for part in parts)
    low, high = min(one, two), max(one, two)
    if low >= 90 or high >= 180:
        return BAD
    negative = re.search(rb"-[0-9]", value)
    return GOOD if 3 <= low < 54 and 73 <= high < 136 and not negative else WEAK
