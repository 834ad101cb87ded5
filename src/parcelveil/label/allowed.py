"""What may stand on a label: an allow-list for every value, whoever wrote it.

::

    >>> name("李**"), name("李雷"), phone("138******78"), phone("138****5678")
    ('李**', None, '138******78', None)
    >>> road("徐民路308号**"), road("徐民路308号3幢"), road("** Main St **"), road("李雷住王家路**")
    ('徐民路**', None, '** Main St **', None)
    >>> area("西湖区"), area("阳光小区"), area("München", "DE"), area("Apartment 4", "US")
    ('西湖区', None, 'München', None)
    >>> code("310-A12"), code("138-0000-0000"), sort_code("杭州转 A12"), sort_code("李雷 A12")
    ('310-A12', None, '杭州转 A12', None)

Each function gives the text to print, or None for what is not recognised as fit to be seen. The masks of a sealed
batch were made by :mod:`parcelveil.seal.mask`; but a file is a file, and a print station prints what it is given. So
nothing is trusted: no mask that shows more than GB/T 41833-2022 allows, and no clear column that holds a phone, an id
number, or Chinese words that are not places. What a place abroad is nobody knows here: there, letters are enough.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

import pyarrow as pa

from parcelveil.intake.divisions import divisions
from parcelveil.label.layout import turning
from parcelveil.label.resident_id import checks, dated
from parcelveil.seal.mask import COMPOUND_SURNAMES
from parcelveil.seal.mask_address import mask_address

LONGEST_SORT_CODE = 24
#: From these on a number is none that a parcel has, and may be somebody's phone.
HEAVIEST_G, DEAREST_MINOR, MOST_PIECES = 10**8, 10**10, 10**4

_PHONE = re.compile(r"(?:\+?[0-9]{1,4})?-?\*{6,}[0-9]{0,2}(?:-\*{2,})?")
_SHOWN_DIGITS = 5
_ROAD_NUMBER = re.compile(r"[0-9]{1,4}[号號](?=\*\*$)")
_FORMS = ("{}", "{}8号", "{}8弄", "8 {}", "x {}")
_HAN = r"\u3007\u3400-\u9fff"
_AREA_SIGNS = frozenset(" '’.,()（）·-/&")
_LONGEST_AREA, _LONGEST_HAN = 64, 24
_BELOW_ROAD = re.compile(
    r"[0-9〇零一二三四五六七八九十A-Za-z](?:号楼|[幢栋棟座楼樓室房层層]|丁目)|单元|單元|"
    r"(?i:\b(?:apt|apartment|unit|room|rm|suite|ste|floor|building|bldg|block|blk|flat|door|tower|wohnung|appartement)\b)"
)
_CODE = re.compile(rf"[0-9A-Za-z{_HAN}(（*#](?:[0-9A-Za-z{_HAN} ._/()（）#·*+&—-]{{0,22}}[0-9A-Za-z{_HAN})）*+])?")
_WAYBILL = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{1,30}[0-9A-Za-z]")
#: A sort code in three numeric segments, which would read as a mobile number without its blanks.
_THREE_SEGMENTS = re.compile(r"[0-9]{3}-[0-9]{3} [0-9]{3} [0-9]{2}")
_MOBILE = re.compile(r"(?:00|0)?(?:86)?1[3-9][0-9]{9}")
_LANDLINE = re.compile(r"(?:00)?(?:86)?0(?:10|2[0-9]|[3-9][0-9]{2})[0-9]{7,8}")
_OLD_ID = re.compile(r"[1-8][1-7][0-9]{4}[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}")
_HAN_DIGITS = str.maketrans("〇零一二三四五六七八九幺两", "0012345678912")
_ORDINARY_WORDS = frozenset(
    (
        "开发区 新区 高新区 经济技术开发区 经济开发区 高新技术产业开发区 高新技术开发区 工业园区 工业园 产业园区 科技园 保税区 示范区 度假区 "
        "管理区 管委会 农场 林场 牧场 市辖区 城区 郊区 街道办事处 兵团"
    ).split()
)
_SORTING_WORDS = _ORDINARY_WORDS | frozenset(
    (
        "转 集 包 分拨 中心 转运 网点 航 陆运 空运 航空 省内 市内 同城 国际 进口 出口 大区 省 市 区 县 东 南 西 北 中 京 津 沪 渝 冀 豫 云 辽 黑 湘 皖 "
        "鲁 新 苏 浙 赣 鄂 桂 甘 晋 蒙 陕 吉 闽 贵 粤 青 藏 川 宁 琼 港 澳 台"
    ).split()
)
_OUTLET_WORDS = _ORDINARY_WORDS | frozenset(
    (
        "网点 营业部 营业点 营业厅 分部 服务部 服务站 服务点 站 部 中心 公司 分公司 驿站 转运中心 分拨中心 集散中心 集散 转运 分拨 一 二 三 四 五 六 七 八 九 十 "
        "东 南 西 北 中 市 区 县"
    ).split()
)


def name(mask: str) -> str | None:
    """The mask of a name: one letter (or a compound surname), then stars. What is no letter, or one that is written from
    right to left and cannot be set, is hidden too."""
    shown = mask.rstrip("*")
    if len(mask) - len(shown) < 2:
        return None
    if shown in COMPOUND_SURNAMES:
        return mask
    if len(shown) > 1 or shown.isdigit():
        return None
    letter = shown and unicodedata.category(shown)[0] == "L" and len(unicodedata.normalize("NFKC", shown)) == 1
    return mask if letter and not turning(shown) else "**"


def phone(mask: str) -> str | None:
    """The mask of a phone: at least six stars, at most five digits."""
    return mask if _PHONE.fullmatch(mask) and sum(c.isdigit() for c in mask) <= _SHOWN_DIGITS else None


def road(mask: str) -> str | None:
    """The mask of an address without its road number; empty when it shows no road at all. See :func:`roads`."""
    return roads([mask])[mask]


def roads(masks: Iterable[str]) -> dict[str, str | None]:
    """:func:`road` of many masks.

    A road shows only if our own mask would show it: the stem is masked once more, alone and with a number behind or
    before it. That is some milliseconds a call, and little a mask.
    """
    bare = {mask: _ROAD_NUMBER.sub("", mask) for mask in set(masks)}
    stems = {mask: text.strip("* ") for mask, text in bare.items()}
    shown = [mask for mask, stem in stems.items() if stem]
    tries = [form.format(stems[mask]) for mask in shown for form in _FORMS]
    made = [_ROAD_NUMBER.sub("", one) for one in mask_address(pa.array(tries, pa.string())).to_pylist()]
    found: dict[str, str | None] = {mask: "" if bare[mask].count("*") > 1 else None for mask in bare}
    for place, mask in enumerate(shown):
        again = made[place * len(_FORMS) : (place + 1) * len(_FORMS)]
        found[mask] = bare[mask] if bare[mask] in again else None
    return found


@lru_cache(20_000)
def area(part: str, country: str = "CN") -> str | None:
    """One part of an area (a city, a town). In China Han text has to be made of places that the gazetteer knows;
    elsewhere letters are enough, without digits of a phone and words of what is below a road."""
    part = " ".join(part.split())
    if part in _known():
        return part
    if not part or len(part) > _LONGEST_AREA or _BELOW_ROAD.search(part):
        return None
    if turning(part):
        return None
    han = re.search(f"[{_HAN}]", part) is not None
    if han and country in ("CN", ""):
        return part if _made_of(re.sub(r"[()（）·\s-]", "", part), _ORDINARY_WORDS) else None
    letters = all(unicodedata.category(char)[0] in "LM" or char in _AREA_SIGNS or char in "0123456789" for char in part)
    few_digits = sum(char.isdigit() for char in part) <= 2 and not re.search("[〇零一二三四五六七八九]{4}", part)
    return part if letters and few_digits and not (han and len(part) > _LONGEST_HAN) else None


@lru_cache(20_000)
def code(text: str) -> str | None:
    """A code of the carrier's, in Latin letters and digits: short, no phone, no id number."""
    fits = text.isascii() and _CODE.fullmatch(text) is not None and not personal_number(text)
    return text if fits else None


@lru_cache(20_000)
def sort_code(text: str) -> str | None:
    """A sort code: letters, digits, and places."""
    if not _CODE.fullmatch(text) or len(text) > LONGEST_SORT_CODE:
        return None
    if personal_number(text) and not _THREE_SEGMENTS.fullmatch(text):
        return None
    return text if _made_of("".join(re.findall(f"[{_HAN}]", text)), _SORTING_WORDS) else None


@lru_cache(20_000)
def outlet(text: str) -> str | None:
    """An outlet's code, or its name when that is places and words like 营业部."""
    if not _CODE.fullmatch(text) or personal_number(text):
        return None
    return text if _made_of("".join(re.findall(f"[{_HAN}]", text)), _OUTLET_WORDS) else None


def waybill_no(text: str) -> str | None:
    """A waybill number: not a phone or resident id as a whole. Its digits may look like one by chance."""
    plain = text.replace("-", "")
    phone_like = _MOBILE.fullmatch(plain) or (_LANDLINE.fullmatch(plain) and plain.startswith(("0", "860")))
    return text if _WAYBILL.fullmatch(text) and not phone_like and not _is_id(plain) else None


def currency(text: str) -> str | None:
    """A currency's code."""
    return text if re.fullmatch("[A-Z]{3}", text) else None


def personal_number(text: str) -> bool:
    """Whether ``text`` holds what is a Chinese phone or a resident id, however it is grouped and written."""
    folded = unicodedata.normalize("NFKC", text).translate(_HAN_DIGITS)
    for part in re.findall(
        r"[^A-WYZa-wyz\u3400-\u9fff]+", folded
    ):  # letters part one number from another; X may end an id
        groups = re.findall("[0-9]+[Xx]?", part)
        for start in range(len(groups)):
            run = ""
            for group in groups[start:]:
                run += group
                if _MOBILE.fullmatch(run) or _LANDLINE.fullmatch(run) or _OLD_ID.fullmatch(run) or _is_id(run):
                    return True
    return False


def _is_id(text: str) -> bool:
    """GB 11643 check digit, and a birth date that can be one."""
    if not re.fullmatch("[0-9]{17}[0-9Xx]", text):
        return False
    return text[6:8] in ("18", "19", "20") and dated(text[10:14]) and checks(text.upper())


@cache
def _known() -> frozenset[str]:
    """Names of all divisions, and the short ones of provinces, cities and districts."""
    levels = divisions()
    large = (levels.provinces, levels.cities, levels.districts)
    found = {name for level in (*large, levels.towns) for name in level.names.tolist()}
    places = (levels.find(str(code)) for level in large for code in level.codes.tolist())
    found |= {place.short for place in places if place is not None}
    return frozenset(name for name in found if len(name) > 1)


def _made_of(text: str, words: frozenset[str]) -> bool:
    """Whether ``text`` is places and ``words`` one after the other, and nothing between them."""
    known, longest = _known(), 20
    reached = {0}
    for end in range(1, len(text) + 1):
        for start in range(max(0, end - longest), end):
            piece = text[start:end]
            if start in reached and (piece in known or piece in words or _is_regiment(piece)):
                reached.add(end)
                break
    return len(text) in reached


def _is_regiment(text: str) -> bool:
    """The divisions and regiments of Xinjiang, which are places: 一二〇团."""
    return text[-1] in "团师连" and re.fullmatch("第?[0-9〇一二三四五六七八九十百]{1,5}.", text) is not None
