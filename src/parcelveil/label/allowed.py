"""What may stand on a label: an allow-list for every value, whoever wrote it.

::

    >>> name("李**"), name("李雷"), phone("138******78"), phone("138****5678")
    ('李**', None, '138******78', None)
    >>> road("徐民路308号**"), road("徐民路308号3幢"), road("** Main St **")
    ('徐民路**', None, '** Main St **')
    >>> area("西湖区"), area("西湖区 13800000000"), code("310-A12"), code("13800000000")
    ('西湖区', None, '310-A12', None)

Each function gives the text to print, or None for what is not recognised as fit to be seen. The masks of a sealed
batch were made by :mod:`parcelveil.seal.mask`; but a file is a file, and a print station prints what it is given. So
nothing is trusted: no mask that shows more than GB/T 41833-2022 allows, and no clear column that holds a phone.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from parcelveil.intake.divisions import divisions
from parcelveil.seal.mask_check import violations

LONGEST_SORT_CODE = 24

_LETTER = r"[^\W\d_]"
_NAME = re.compile(rf"(?:{_LETTER}|[\u3400-\u9fff]{{2}})?\*{{2,}}")
_PHONE = re.compile(r"(?:\+?[0-9]{1,4})?-?\*{6,}[0-9]{0,2}(?:-\*{2,})?")
_SHOWN_DIGITS = 5
_ROAD_NUMBER = re.compile(r"[0-9]{1,4}[号號](?=\*\*$)")
_AREA_SIGNS = frozenset(" '’.,()（）·-")
_LONGEST_AREA = 64
_BELOW_ROAD = re.compile(
    r"[0-9〇零一二三四五六七八九十A-Za-z](?:号楼|[幢栋棟座楼樓室房层層]|单元|單元)|(?:路|街道?|大道)[0-9一二三四五六七八九十]+[号號弄]"
)
_CODE = re.compile(r"[0-9A-Za-z\u3400-\u9fff](?:[0-9A-Za-z\u3400-\u9fff ._/\-]{0,22}[0-9A-Za-z\u3400-\u9fff])?")
_WAYBILL = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{1,30}[0-9A-Za-z]")
#: Together or in the groups in which people write it: 151-003 004 05 is a sort code.
_MOBILE = re.compile(r"(?<![0-9])(?:86[ -]?)?1[3-9][0-9][ .-]?[0-9]{4}[ .-]?[0-9]{4}(?![0-9])")
_MONEY = re.compile(r"[A-Z]{3}")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def name(mask: str) -> str | None:
    """The mask of a name: one letter (two Han ones of a compound surname), then stars."""
    return mask if _NAME.fullmatch(mask) else None


def phone(mask: str) -> str | None:
    """The mask of a phone: at least six stars, at most five digits."""
    return mask if _PHONE.fullmatch(mask) and sum(c.isdigit() for c in mask) <= _SHOWN_DIGITS else None


def road(mask: str) -> str | None:
    """The mask of an address without its road number; empty when it shows no road at all."""
    mask = _ROAD_NUMBER.sub("", mask)
    if violations("", mask, "address"):
        return None
    return mask if mask.strip("* ") else ""


def area(part: str) -> str | None:
    """One part of an area (a city, a town): letters only, nothing below the road."""
    part = " ".join(part.split())
    letters = all(unicodedata.category(char)[0] in "LM" or char in _AREA_SIGNS for char in part)
    if 0 < len(part) <= _LONGEST_AREA and letters and not _BELOW_ROAD.search(part):
        return part
    return part if part in _gazetteer() else None  # 三栋镇 is a town


@cache
def _gazetteer() -> frozenset[str]:
    levels = divisions()
    return frozenset(
        name for level in (levels.cities, levels.districts, levels.towns) for name in level.names.tolist() if name
    )


def code(text: str) -> str | None:
    """A code of the carrier's: short, and neither a phone nor an id number."""
    return text if _CODE.fullmatch(text) and not personal_number(text) else None


def waybill_no(text: str) -> str | None:
    """A waybill number: not a mobile number or resident id as a whole. Its digits may look like one by chance."""
    return text if _WAYBILL.fullmatch(text) and not (len(text) in (11, 18) and personal_number(text)) else None


def currency(text: str) -> str | None:
    """A currency's code."""
    return text if _MONEY.fullmatch(text) else None


def personal_number(text: str) -> bool:
    """Whether ``text`` holds what is a mainland mobile number or a resident id, blanks and hyphens or not."""
    plain = re.sub(r"[ .-]", "", text)
    ids = (match[0] for match in re.finditer(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])", plain))
    return bool(_MOBILE.search(text)) or any(map(_is_id, ids))


def _is_id(text: str) -> bool:
    """GB 11643 check digit, and a birth date that can be one."""
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], _ID_WEIGHTS, strict=True))
    born = 1 <= int(text[10:12]) <= 12 and 1 <= int(text[12:14]) <= 31 and text[6:8] in ("18", "19", "20")
    return born and "10X98765432"[total % 11] == text[17].upper()
