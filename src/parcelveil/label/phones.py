"""Phone numbers in text: clear, masked, or virtual with an extension.

::

    >>> [(p.kind, p.text, p.hidden) for p in phones("李** 138****5678, 13812345678, 17012345678转1234")]
    [('virtual', '17012345678转1234', 0), ('masked', '138****5678', 4), ('clear', '13812345678', 0)]

The text is folded (:func:`~parcelveil.label.folded.fold`): whatever hides a digit is a star. What counts is how many
digits show, not how many stars stand there: a mask may have any number of them, and OCR loses some. Numbers that are
nobody's (400, 800, 95xxx, hot lines) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from parcelveil.label.folded import spelled_out

#: GB/T 41833-2022.
HIDDEN_DIGITS = 6

_SEPARATOR = r"[ \t\-.·•/()_]"
_RUN = re.compile(rf"[0-9]+(?:{_SEPARATOR}{{1,3}}[0-9]+)*")
_MOBILE = re.compile(r"(?:(?:00)?86)?1[3-9][0-9]{9}")
#: Two to four capitals before the digits make a waybill number, unless they are a word for a phone.
_NUMBERED = re.compile(r"(?<![A-Za-z])(?!TEL|MOB|CELL|PH|TL)[A-Z]{2,4}[- ]?$")

_VIRTUAL = re.compile(
    r"(?<![0-9*])(?:(?:\+?86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}|95013[0-9]{4,12})"
    r"(?: ?(?:转|轉|分机|;? ?ext\.?[ =:]*|,,) ?[0-9]{3,6}|[-#/x][0-9]{3,6}| ?[\[(] ?[0-9]{3,6} ?[\])])(?![0-9*])",
    re.IGNORECASE,
)
_MASKED_MOBILE = re.compile(
    r"(?<![0-9*+])(?:(?:\+|00)?86[ -]{0,2})?"
    r"(1[0-9*]{2}(?:[ -]{0,2}[0-9*]{4}[ -]{0,2}[0-9*]{4}|[ -][0-9*]{8}|[ -][0-9*]{6}[ -][0-9*]{2})|1[0-9*]{3,30})"
    r"(?![0-9*])"
)
_MASKED_LANDLINE = re.compile(
    r"(?<![0-9*-])(?:\+?86[ -]?\(?|\(?0)(10|2[0-9]|[3-9][0-9]{2})\)?[ -]{0,2}([0-9*]{6,9})(?![0-9*])"
)
_MASKED_FOREIGN = re.compile(r"(?<![0-9*])\+(?!86)[0-9]{1,3}[ (-]{0,2}[0-9*][0-9* ().-]{3,18}[0-9*](?![0-9*])")
_LANDLINE = re.compile(
    r"(?<![0-9*-])(?:\+86[ -]?\(?0?|\(0|0)(?:10|2[0-9]|[3-9][0-9]{2})"
    r"(?:\)[ -]{0,2}|[ -]{1,2})(?:[0-9]{7,8}|[0-9]{4}[ -][0-9]{4}|[0-9]{3}[ -][0-9]{4})(?![0-9*])"
)
_LANDLINE_AT_ONCE = re.compile(r"(?<![0-9A-Za-z*.-])0(?:(?:10|2[0-9])[0-9]{8}|[3-9][0-9]{2}[0-9]{7,8})(?![0-9*.-])")
_PLUS = re.compile(r"(?<![0-9*])\+(?: ?[0-9])(?:[ ().\-/]{0,3}[0-9]){7,14}(?![0-9*])")
_NORTH_AMERICA = re.compile(r"(?<![0-9*(])\([2-9][0-9]{2}\) ?[0-9]{3}[-. ][0-9]{4}(?![0-9*-])")
_WORD = re.compile(
    r"(?:电话|電話|手机|手機|座机|联系方式|联系号码|手机号|\b(?:telephone|tel|phone|mobile|mob|cell|handy))(?:号码?|号)?"
    r"(?: ?no\.?)?[ .:]{0,3}(\(?[0-9](?:[ ()./\-]{0,2}[0-9]){6,14})(?![0-9*])",
    re.IGNORECASE,
)
_SERVICE = re.compile(
    r"(?:客服|热线|熱線|投诉|申诉|服务|官网|查询|寄件电话|hot ?line|service|support)[^0-9]{0,6}$", re.IGNORECASE
)
_NOBODYS = re.compile(r"(?:400|800)[0-9]{7}|95[0-9]{3,4}|12[0-9]{3}")


class Phone(NamedTuple):
    """A number, where it stands in the text, and how many of its digits are hidden and shown."""

    kind: str  # clear, masked, virtual
    text: str
    start: int
    end: int
    hidden: int
    shown: int


def phones(text: str) -> list[Phone]:
    """The phone numbers of a line of folded text; each place is one number only."""
    found: list[Phone] = []

    def put(kind: str, start: int, end: int, hidden: int = 0) -> None:
        if all(end <= other.start or start >= other.end for other in found):
            piece = text[start:end]
            found.append(Phone(kind, piece, start, end, hidden, len(re.sub("[^0-9]", "", piece))))

    for match in _VIRTUAL.finditer(text):
        put("virtual", *match.span())
    for start, end, hidden in _masked(text):
        put("masked", start, end, hidden)
    spoken = spelled_out(text)
    for start, end in _mobiles(spoken):
        put("clear", start, end)
    for pattern in (_PLUS, _LANDLINE, _LANDLINE_AT_ONCE, _NORTH_AMERICA):
        for match in pattern.finditer(spoken):
            if not _SERVICE.search(text[: match.start()]):
                put("clear", *match.span())
    for match in _WORD.finditer(spoken):
        if not _SERVICE.search(text[: match.start()]) and not _nobodys(match[1]):
            put("clear", *match.span(1))
    return found


def _nobodys(number: str) -> bool:
    return _NOBODYS.fullmatch(re.sub("[^0-9]", "", number)) is not None


def _masked(text: str) -> Iterator[tuple[int, int, int]]:
    """Masked numbers: start, end, digits that are hidden."""
    for match in _MASKED_MOBILE.finditer(text):
        number = re.sub("[^0-9*]", "", match[1])
        stars, whole = number.count("*"), len(number) == 11
        likely = re.match(r"1(?:[3-9*]|$)", number) and ("**" in number or (whole and stars == 1))
        if likely and 7 <= len(number) <= 31 and not _is_code(text, match.start()):
            yield *match.span(), max(0, 11 - (len(number) - stars))
    for match in _MASKED_LANDLINE.finditer(text):
        area, local = match[1], match[2]
        if "**" in local and not (area == "800" and local.count("*") >= 6):
            length = len(local) if len(local) in (7, 8) else 8
            yield *match.span(), max(0, length - sum(char.isdigit() for char in local))
    for match in _MASKED_FOREIGN.finditer(text):
        if "**" in match[0]:
            yield *match.span(), match[0].count("*")


def _mobiles(text: str) -> Iterator[tuple[int, int]]:
    """Mainland mobile numbers, however their digits are grouped: neighbouring groups that make one together."""
    for run in _RUN.finditer(text):
        groups = [(run.start() + m.start(), run.start() + m.end()) for m in re.finditer("[0-9]+", run[0])]
        if _is_code(text, run.start()) and len(groups) < 3:
            groups = groups[1:]
        last = 0
        for first in range(len(groups)):
            digits = ""
            for start, end in groups[first : first + 16]:
                digits += text[start:end]
                begin = groups[first][0]
                if len(digits) > 15:
                    break
                if len(digits) >= 11 and begin >= last and _MOBILE.fullmatch(digits):
                    yield begin, end
                    last = end
                    break


def _is_code(text: str, start: int) -> bool:
    return _NUMBERED.search(text[:start]) is not None
