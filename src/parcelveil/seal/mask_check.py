"""Checks a mask, whoever made it, against the rules of GB/T 41833-2022 and ours.

::

    >>> violations("李雷", "李雷*", "name")
    ['李雷* hides 0 characters of the name, 1 required', '李雷* shows more than the first character']
    >>> violations("徐民路308号3幢", "徐民路308号**", "address")
    []

It shares no pattern with the masks it checks: it looks at what a mask shows, not at how it was made. The
sentences quote the mask and never the value.
"""

from __future__ import annotations

import re
import unicodedata

#: GB/T 41833-2022: digits of a phone number that must be hidden.
HIDDEN_DIGITS = 6
#: Ours: digits of a phone number that may be seen, the country code included.
SHOWN_DIGITS = 5

_NUMERALS = "0-9〇零一二三四五六七八九十百两廿壹贰叁肆伍陆柒捌玖拾"
_UNITS = "幢栋棟座楼樓室房层層门铺库单单户組组队排店"
_BELOW_ROAD = re.compile(rf"[A-Za-z{_NUMERALS}](?:[号號]?[{_UNITS}]|单元|單元)")
_ROAD_NUMBER = re.compile(r"(?<=[路街道])[0-9]{1,4}[号號](?=\*\*$)")
_COUNTRY_OF_TWO = re.compile(r"2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")
_LEGAL_FORM = re.compile(
    r"[有限责任責股份集团分公司合伙企业作社事务所工厂株式会同주식회사]+|"
    r"[ ,]*(?:co|ltd|pty|pte|limited|gmbh|ag|kg|ug|inc|llc|llp|plc|corp|corporation|company|b\.?v|n\.?v|s\.?a|sas|sarl|srl|"
    r"s\.r\.l|s\.?p\.?a|s\.?l|oy|ab|as|a/s|aps|k\.k|&|[ .,])*"
)
_PUBLIC_MAIL = re.compile(
    r"(?:qq|foxmail|163|126|139|sina|sohu|aliyun|21cn|tom|gmail|googlemail|outlook|hotmail|live|msn|yahoo|icloud|me|mac|aol|"
    r"protonmail)\.com|yeah\.net|189\.cn|wo\.cn|sina\.cn|yahoo\.co\.(?:jp|uk)|gmx\.(?:de|net)|web\.de|t-online\.de|proton\.me|"
    r"mail\.ru|yandex\.ru|naver\.com|daum\.net|hanmail\.net|orange\.fr|free\.fr|laposte\.net|libero\.it"
)


def violations(value: str, mask: str, kind: str) -> list[str]:
    """The rules that ``mask`` breaks as a mask of ``value``, one sentence each; empty if it breaks none.

    Args:
        value: the clear value.
        mask: what is to be shown in its place, from any source.
        kind: the kind of personal data, see :data:`parcelveil.seal.mask.KINDS`. An unknown kind may show nothing.
    """
    if not mask:
        return ["the mask is empty"]
    if any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for char in mask):
        return ["the mask holds a control character"]
    found = []
    if mask == value and _significant(value):
        found.append(f"{mask} shows the whole value")
    if kind == "phone":
        found += _phone(value, mask)
    elif kind == "name":
        found += _name(value, mask)
    elif kind == "address":
        found += _address(value, mask)
    elif kind == "email":
        found += _email(mask)
    elif kind == "company":
        if not _LEGAL_FORM.fullmatch(mask.replace("*", "").strip().lower()):
            found.append(f"{mask} shows more than the legal form")
    elif shown := len(_significant(mask)):
        found.append(f"{mask} shows {shown} character{'s' if shown > 1 else ''}, none allowed")
    return found


def _significant(text: str) -> str:
    """The letters and digits of ``text``, of any script."""
    return "".join(char for char in text if unicodedata.category(char)[0] in "LN")


def _digits(text: str) -> str:
    """The digits of ``text`` as ASCII, also full-width, circled and Han ones."""
    return "".join(str(int(unicodedata.numeric(char))) for char in text if _is_digit(char))


def _is_digit(char: str) -> bool:
    # Of the Han numerals only the plain ones: 伍 and 陆 are surnames.
    return char in "〇零一二三四五六七八九" or (
        unicodedata.category(char)[0] == "N" and 0 <= unicodedata.numeric(char, -1) <= 9
    )


def _national(number: str) -> str:
    """The digits of a phone number without its extension and country code."""
    number = re.split(r";ext=|[xX转轉]", number, maxsplit=1)[0].strip()
    digits = _digits(number)
    if not number.startswith("+"):
        return digits
    if digits[:1] in {"1", "7"}:
        return digits[1:]
    return digits[2:] if _COUNTRY_OF_TWO.match(digits) else digits[3:]


def _phone(value: str, mask: str) -> list[str]:
    shown = len(_digits(mask))
    found = []
    if _significant(mask) != "".join(char for char in mask if _is_digit(char)):
        found.append(f"{mask} shows a letter")
    trunk = len(_national(mask)) - 1 if re.match(r"0[1-9]", mask) else len(_national(mask))
    hidden = max(0, len(_national(value)) - trunk)
    if shown and hidden < HIDDEN_DIGITS:
        found.append(f"{mask} hides {hidden} digits, {HIDDEN_DIGITS} required")
    if shown > SHOWN_DIGITS:
        found.append(f"{mask} shows {shown} digits, at most {SHOWN_DIGITS} allowed")
    return found


def _name(value: str, mask: str) -> list[str]:
    found = []
    shown = _significant(mask)
    hidden = len(_significant(value)) - len(shown)
    if shown and hidden < 1:
        found.append(f"{mask} hides {max(0, hidden)} characters of the name, 1 required")
    if _digits(mask):
        found.append(f"{mask} shows a digit")
    # Two characters stay visible together only as the compound surname of a longer Han name.
    compound = len(shown) == 2 and mask.startswith(shown) and "一" <= shown[0] <= "鿿" and hidden >= 1
    if len(shown) > 1 and not compound:
        found.append(f"{mask} shows more than the first character")
    return found


def _address(value: str, mask: str) -> list[str]:
    found = []
    if not mask.endswith("**"):
        found.append(f"{mask} does not end in **")
    road_number = _ROAD_NUMBER.search(mask)
    rest = _ROAD_NUMBER.sub("", mask)
    if _BELOW_ROAD.search(rest):
        found.append(f"{mask} shows a building, unit, floor or room")
    if re.search(r"[0-9]|\d", rest):
        found.append(f"{mask} shows a number that is no road number")
    if road_number and re.search(rf"[路街道]{road_number[0]}\s*(?:[0-9]+\s*(?:室|房|单元|楼|层)|[-楼室门栋幢])", value):
        found.append(f"{mask} shows a number that may be a building")
    shown = mask.strip("*").strip()
    latin = re.fullmatch(r"[^\W\d_]+(?: [^\W\d_]+){1,2}", shown) if shown.isascii() or " " in shown else None
    if shown and not latin and not re.search(r"(?:路|街|大道|[0-9][号號])$", shown):
        found.append(f"{mask} shows text below the road")
    return found


def _email(mask: str) -> list[str]:
    box, _, provider = mask.rpartition("@")
    found = []
    if _significant(box):
        found.append(f"{mask} shows a part of the mailbox name")
    if _significant(provider) and not _PUBLIC_MAIL.fullmatch(provider):
        found.append(f"{mask} shows a mail provider that is not a public one")
    return found
