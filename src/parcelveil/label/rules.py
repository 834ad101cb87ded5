"""What a label may not say, and where it says it: the rules of GB/T 41833-2022 and of the Express Regulations.

::

    >>> [f.what for f in judge([Said("李雷 138****1234 徐民路308号3幢", "text layer", 1)])[0]]
    ['138****1234 hides 4 digits, 6 required', '李… is a whole name', '*幢 is below the road']
    >>> judge([Said("李** 138******78 徐民路308号**", "text layer", 1)])[0]
    []

Pure: texts with their places go in, remarks come out, first what breaks a rule, then what is worth a note. A remark
quotes what is masked as it stands, and of what is clear its first characters at most. Names are found where a label's
words or a phone stand beside them; a name in running text is not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from parcelveil.label.cues import HAN, is_area, is_han_name, is_latin_name
from parcelveil.label.folded import fold, hint
from parcelveil.label.goods import goods, remark
from parcelveil.label.pages import Box
from parcelveil.label.payload import readable
from parcelveil.label.phones import HIDDEN_DIGITS, Phone, phones
from parcelveil.label.resident_id import checks, dated

GBT = "GB/T 41833-2022"
REGULATIONS = "Express Regulations art. 22"
PIPL = "PIPL art. 6"

#: Rule -> (where it is from, what is said).
RULES: dict[str, tuple[str, str]] = {
    "phone.clear": (GBT, "{quote} is a whole phone number"),
    "phone.hidden": (GBT, "{quote} hides {hidden} digits, 6 required"),
    "name.clear": (GBT, "{quote} is a whole name"),
    "address.detail": (GBT, "{quote} is below the road"),
    "id.clear": (REGULATIONS, "{quote} is an id number"),
    "id.part": (REGULATIONS, "{quote} is a part of an id number"),
    "email.clear": (REGULATIONS, "{quote} is an e-mail address"),
    "goods.named": (PIPL, "{quote} names the goods, not their category"),
    "remark.clear": (PIPL, "{quote} is a remark"),
    "code.missing": (GBT, "no bar code with a waybill number can be read"),
}
#: The same for what breaks no rule.
NOTES: dict[str, tuple[str, str]] = {
    "phone.virtual": (GBT, "{quote} is taken for a virtual number with an extension"),
    "phone.shown": (GBT, "{quote} shows {hidden} digits; 5 are enough"),
    "road.number": (GBT, "{quote} is a road number, which may stand there"),
    "code.opaque": (GBT, "an opaque token: it says nothing that can be read"),
    "code.station": (GBT, "print station mark: {quote}"),
    "code.other": (GBT, "the waybill number is in a {quote}, not in a Code 128"),
}
_SHOWN_DIGITS = 5
_LONG, _OVERLAP = 500, 100


class Said(NamedTuple):
    """A text, and where it stands."""

    text: str
    place: str  # text layer, OCR, QRCode, metadata: Title …
    page: int  # 0: it belongs to the file
    box: Box | None = None


class Remark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong, or worth a note, and where. ``box``: left, top, right, bottom of its line."""

    rule: str
    article: str
    place: str
    page: int
    what: str
    quote: str = ""
    hidden: int = 0
    box: Box | None = None


def remark_of(rule: str, said: Said, quote: str = "", hidden: int = 0) -> Remark:
    """The remark of a rule or a note."""
    article, what = RULES.get(rule) or NOTES[rule]
    sentence = what.format(quote=quote, hidden=hidden)
    return Remark(rule, article, said.place, said.page, sentence, quote, hidden, said.box)


def judge(said: Sequence[Said], public: Iterable[str] = ()) -> tuple[list[Remark], list[Remark]]:
    """The rules that texts of one page break, and the notes on them.

    Args:
        said: the texts in reading order; those of one place are read as neighbours.
        public: texts that are nobody's, like the waybill number of the bar code.

    Returns:
        what breaks a rule, and notes; each rule, place and quote once.
    """
    remarks: dict[tuple[str, str, str], Remark] = {}
    known = [_anywhere(text) for text in public if len(text) >= 6]
    previous = Said("", "", 0)
    for one in said:
        before = fold(previous.text) if previous.place == one.place else ""
        for view in readable(one.text) if one.place not in ("text layer", "OCR") else [one.text]:
            for line in view.splitlines() or [""]:
                text = fold(line)
                for pattern in known:
                    text = pattern.sub(" ~ ", text)
                for piece in _pieces(text):
                    for found in _line(piece, before, one):
                        remarks.setdefault((found.rule, found.place, found.quote), found)
                before = text[-_OVERLAP:]
        previous = one
    return [r for r in remarks.values() if r.rule in RULES], [r for r in remarks.values() if r.rule in NOTES]


def _pieces(text: str) -> Iterator[str]:
    """A long line in overlapping pieces, none of which begins or ends within a number: the patterns look far around."""
    start = 0
    while len(text) - start > _LONG:
        end = start + _LONG
        while (
            end > start + _LONG // 2 and text[end - 1 : end + 1].strip() and (text[end].isdigit() or text[end] == "*")
        ):
            end -= 1
        yield text[start:end]
        start = end - _OVERLAP
        while start < end and text[start - 1].isdigit():
            start += 1
    yield text[start:]


def _anywhere(text: str) -> re.Pattern[str]:
    """A pattern for a number also when it is printed in groups."""
    return re.compile(r"(?<![0-9A-Za-z])" + r"[ -]{0,2}".join(map(re.escape, text)) + r"(?![0-9A-Za-z])", re.IGNORECASE)


def _line(text: str, before: str, said: Said) -> Iterator[Remark]:
    """What one folded line breaks; ``before`` is the line before it."""
    taken = []
    for rule, quote, span in _ids(text, before):
        taken.append(span)
        yield remark_of(rule, said, quote)
    numbers = [p for p in phones(text) if not any(p.start < end and p.end > start for start, end in taken)]
    for phone in numbers:
        yield from _phone(phone, said)
    yield from _broken_phone(text, before, said)
    for name in dict.fromkeys(_names(text, before, numbers)):
        yield remark_of("name.clear", said, _name_hint(name))
    for match in _EMAIL.finditer(text):
        if "*" not in match[0]:
            yield remark_of("email.clear", said, hint(match[0]))
    yield from _address(text, before, said)
    if value := goods(text, before):
        yield remark_of("goods.named", said, hint(value, 1))
    if value := remark(text):
        yield remark_of("remark.clear", said, hint(value, 1))


# --- numbers


def _phone(phone: Phone, said: Said) -> Iterator[Remark]:
    if phone.kind == "virtual":
        yield remark_of("phone.virtual", said, hint(phone.text))
    elif phone.kind == "clear":
        yield remark_of("phone.clear", said, hint(phone.text.lstrip("+(0")))
    elif phone.shown and phone.hidden < HIDDEN_DIGITS:
        yield remark_of("phone.hidden", said, phone.text, phone.hidden)
    elif phone.shown > _SHOWN_DIGITS and not phone.text.startswith(("+", "86")):
        yield remark_of("phone.shown", said, phone.text, phone.shown)


def _broken_phone(text: str, before: str, said: Said) -> Iterator[Remark]:
    """A mobile number that goes on in the next line."""
    head, tail = re.search(r"(?<![0-9*])[0-9]{2,10}$", before.rstrip(" -")), re.match(r"[0-9]{1,9}(?![0-9*])", text)
    if head and tail and re.fullmatch("1[3-9][0-9]{9}", head[0] + tail[0]):
        yield remark_of("phone.clear", said, hint(head[0] + tail[0]))


_ID = re.compile(
    r"(?<![0-9*])([1-9][0-9]{5})[ -]?((?:18|19|20)[0-9]{2})[ -]?([0-9]{4})[ -]?([0-9]{3}[0-9Xx])(?![0-9*A-Za-z])"
)
_OLD_ID = re.compile(r"(?<![0-9*])([1-9][0-9]{5})([0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}(?![0-9*])")
_ID_PART = re.compile(r"(?<![0-9*])(?=[0-9*]*\*{2})[1-9*][0-9*]{16}[0-9Xx*](?![0-9*A-Za-z])")
_ID_WORD = re.compile(
    r"身份证|身分证|证件|証件|\bid(?:entity)?(?: card)?(?: ?no| ?number|:)|护照|passport|港澳|居住证", re.IGNORECASE
)
_ORDER_WORD = re.compile(r"单号|订单|運單|运单|order|编号|流水|serial|\bno\b", re.IGNORECASE)
_PASSPORT = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z][0-9]{8}|[A-Z]{2}[0-9]{7}|[HM][0-9]{8,10})(?![0-9A-Za-z])", re.IGNORECASE
)
_PROVINCES = frozenset(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83".split()
)
_EMAIL = re.compile(r"(?<![\w.+*-])[\w.+*%-]{1,64} ?@ ?[\w*-]{1,63}(?:\.[\w*-]{1,63})+")


def _ids(text: str, before: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Resident id numbers (GB 11643), whole or in part; passports where the line speaks of one."""
    spoken_of = bool(_ID_WORD.search(text)) or bool(_ID_WORD.search(before) and len(before) < 16)
    for match in _ID.finditer(text):
        number = "".join(match.groups()).upper()
        if spoken_of or (checks(number) and dated(number[10:14]) and number[:2] in _PROVINCES):
            yield "id.clear", hint(number), match.span()
    for match in _OLD_ID.finditer(text):
        if match[1][:2] in _PROVINCES and (spoken_of or not _ORDER_WORD.search(text)):
            yield "id.clear", hint(match[0]), match.span()
    for match in _ID_PART.finditer(text):
        shown = sum(char.isdigit() for char in match[0])
        if shown and (spoken_of or (match[0][:2] in _PROVINCES and shown > 3)):
            yield "id.part", match[0], match.span()
    if spoken_of:
        for match in _PASSPORT.finditer(text):
            yield "id.clear", hint(match[0]), match.span()


# --- names

_CUE = (
    r"(?:收件人|寄件人|收货人|发货人|收貨人|發貨人|收件方|寄件方|收货方|发货方|发件人|發件人|收方|寄方|收件|寄件|联系人|聯絡人|姓名|签收人|"
    r"经办人|客户|买家|卖家|收货|发货)(?:姓名|信息|名称)?"
)
_SHORT_CUE = r"(?:^|(?<=[\s|,;(\[【]))[收寄到发至][件]?(?=[\s:)\]】|])"
_GAP = r"[\s:|,;/)\]】(]{0,4}"
_PERSON = rf"([{HAN}]{{1,8}}·[{HAN}·]{{1,12}}|[{HAN}]{{2,6}}?)"
#: What may follow a name: the line's end, anything but a Han character or a star, or a label's word.
_AFTER = rf"(?=$|[^{HAN}*·]|电话|手机|座机|地址|联系|先生|女士|小姐|收$|收\b|启$)"
_CUED = re.compile(rf"(?:{_CUE}|{_SHORT_CUE}){_GAP}{_PERSON}(?:先生|女士|小姐)?{_AFTER}")
_WHOLE_LINE = re.compile(rf"\s*[收寄]件?([{HAN}]{{2,4}})(?:先生|女士|小姐)?\s*")
_ALONE = re.compile(rf"{_PERSON}(?:先生|女士|小姐)?\s*(?:\(?收\)?)?{_AFTER}")
_TO_WHOM = re.compile(rf"(?:^|[\s|,;:]){_PERSON}(?:先生|女士|小姐)?\s*[(\[]?收[)\]]?(?=$|\s)")
_BEFORE_PHONE = re.compile(
    rf"(?:^|[^{HAN}*·])(?:[收寄到发]件?)?{_PERSON}(?:先生|女士|小姐)?(?:\[[0-9]+\])?[\s|,;:/()]*(?:电话|手机|tel|mobile)?[\s:.+(]*$",
    re.IGNORECASE,
)
_AFTER_PHONE = re.compile(rf"[\s|,;:/()]*{_PERSON}{_AFTER}")
_ONLY_CUE = re.compile(
    rf"\s*(?:{_CUE}|[收寄到发至]件?|to|from|ship to|deliver to|recipient|receiver|consignee|sender|shipper|name|attn)[\s:.]*",
    re.IGNORECASE,
)
_LATIN_NAME = r"((?:(?:Mr|Mrs|Ms|Dr|Herr|Frau)\.? )?[^\W\d_][^\W\d_'’.-]*(?: [^\W\d_][^\W\d_'’.-]*){1,3})"
_LATIN_CUED = re.compile(
    rf"(?:\b(?:ship to|deliver to|to|from|recipient|receiver|consignee|attn|attention|name|sender|shipper|contact|c/o|"
    rf"empfänger|absender|destinataire|expéditeur|destinatario|remitente|mittente)\b"
    rf"[\s:.]{{1,3}}|(?:{_CUE}|{_SHORT_CUE}){_GAP}){_LATIN_NAME}",
    re.IGNORECASE,
)
_LATIN_BEFORE_PHONE = re.compile(
    rf"(?:^|[|,;:/]\s*){_LATIN_NAME}[\s|,;:/(]*(?:tel|phone|mobile|mob|ph)?[\s:.+(]*$", re.IGNORECASE
)
_LATIN_AFTER_PHONE = re.compile(rf"[\s|,;:/()]*{_LATIN_NAME}")
_HANGUL = re.compile(
    rf"(?:{_CUE}|받는\s*분|보내는\s*분|수취인|\b(?:to|from|name)\b){_GAP}([가-힣]{{2,4}})(?=$|[\s,|(0-9+])",
    re.IGNORECASE,
)


def _names(text: str, before: str, numbers: Sequence[Phone]) -> Iterator[str]:
    found = [m[1] for m in _CUED.finditer(text)] + [m[1] for m in _TO_WHOM.finditer(text)]
    latin = [m[1] for m in _LATIN_CUED.finditer(text)]
    found += [m[1] for m in (_WHOLE_LINE.fullmatch(text),) if m]
    carried = _ONLY_CUE.fullmatch(before)
    if carried:
        found += [m[1] for m in (_ALONE.match(text),) if m]
        latin += [m[1] for m in (re.match(rf"\s*{_LATIN_NAME}", text),) if m]
    for phone in numbers:
        head, tail = text[: phone.start], text[phone.end :]
        found += [m[1] for m in (_BEFORE_PHONE.search(head), _AFTER_PHONE.match(tail)) if m]
        latin += [m[1] for m in (_LATIN_BEFORE_PHONE.search(head), _LATIN_AFTER_PHONE.match(tail)) if m]
    if numbers and not text[: numbers[0].start].strip(" :+(") and (above := re.fullmatch(rf"\s*{_PERSON}\s*", before)):
        found.append(above[1])
    yield from (name for name in found if is_han_name(name))
    yield from (name for name in map(_latin, latin, [text] * len(latin)) if name)
    yield from (m[1] for m in _HANGUL.finditer(text))


def _latin(name: str, text: str) -> str | None:
    """The part of a run of words that is a name; None when none is, or when a star follows it."""
    if name.upper() == name.lower() or f"{name}*" in text:
        return None
    words = re.sub(r"^(?:Mr|Mrs|Ms|Dr|Herr|Frau)\.? ", "", name).split()
    while words and words[-1].lower().strip(".") in ("tel", "phone", "mobile", "mob", "ph", "email", "address", "add"):
        words.pop()
    joined = " ".join(words)
    return joined if is_latin_name(joined) else None


def _name_hint(name: str) -> str:
    return name[0] + "…"


# --- addresses

_NUMERAL = r"(?:[0-9]+|[A-Za-z][0-9]*|[〇零一二三四五六七八九十百]+|[甲乙丙丁])"
_UNIT = r"(?:单元|單元|号楼|號樓|号门|弄[0-9]+[号號]|[幢栋棟座楼樓层層室])"
_BELOW_ROAD = re.compile(rf"(?:(?<![0-9A-Za-z.*])|(?<=[0-9A-Z])(?=[一-鿿]))({_NUMERAL}) ?({_UNIT})(?![下市机口])")
_HOUSE = re.compile(r"(?<=[村组組屯庄队隊里弄])[0-9]+[号號](?!院|楼)|(?<![0-9])[0-9]+[弄组組](?=[0-9]+[号號])")
#: Not every 号 is a house: 工号, 单号, 编号 …
_NUMBER_WORD = r"(?<=[^工单编序批证型件货机代尾账帐卡车话码牌排班柜]号)"
_ROOM = re.compile(
    rf"(?:{_NUMBER_WORD}|(?<=[號院区苑园城府邸庭湾里幢栋座楼元厦寓场心村组期团#]))[\s,-]?"
    r"(?<![0-9])[0-9A-Z]{1,3}[-#][0-9]{1,4}(?:-[0-9]{3,4})?(?![0-9-])|"
    rf"(?:{_NUMBER_WORD}|(?<=[#幢栋楼苑厦寓邸座]))[0-9]{{3,4}}(?![0-9号號-])"
)
_ADDRESS_WORD = re.compile(r"地址|小区|新村|花园|家园|公寓|[路街巷弄苑邸][0-9 ]|address", re.IGNORECASE)
_TRIPLE = re.compile(r"(?<![0-9A-Za-z-])[0-9]{1,3}[-#][0-9]{1,2}[-#][0-9]{3,4}(?![0-9-])")
_LATIN_UNIT = re.compile(
    r"\b(?:apt|apartment|unit|suite|ste|room|rm|flat|floor|fl|bldg|building|block|blk|tower|whg|wohnung|etage)"
    r"[. ]{0,2}(?:no\.? ?)?#? ?(?:[0-9]+[A-Za-z]?|[A-Za-z]?[0-9]+)\b(?!\s*(?:%|kg|g|pcs|price))|"
    r"\b[0-9]{1,3}(?:st|nd|rd|th|\.) ?(?:floor|fl|etage|stock|og)\b|#[0-9]{1,2}-[0-9]{1,4}\b",
    re.IGNORECASE,
)
_ROAD_NUMBER = re.compile(r"(?<=[路街道巷])[0-9]{1,4}[号號](?![楼門门])")


def _address(text: str, before: str, said: Said) -> Iterator[Remark]:
    """What stands below the road in a line, as one remark; and road numbers, which may be seen."""
    spoken_of = _ADDRESS_WORD.search(text) or _ADDRESS_WORD.search(before[-8:])
    patterns = (_BELOW_ROAD, _HOUSE, _ROOM, _LATIN_UNIT, *((_TRIPLE,) if spoken_of else ()))
    pieces: dict[int, str] = {}
    for match in (m for pattern in patterns for m in pattern.finditer(text)):
        if not (match.re is _BELOW_ROAD and _in_area(text, *match.span())):
            quote = "*" + _digits_hidden(match[2]) if match.re is _BELOW_ROAD else _digits_hidden(match[0])
            pieces.setdefault(match.end(), quote)
    if pieces:
        yield remark_of("address.detail", said, "".join(pieces[end] for end in sorted(pieces)))
    for match in _ROAD_NUMBER.finditer(text):
        yield remark_of("road.number", said, match[0])


def _digits_hidden(text: str) -> str:
    return re.sub("[0-9]+[A-Za-z]?|(?<![A-Za-z])[A-Z](?=[-#0-9])", "*", text).strip(" ,-")


def _in_area(text: str, start: int, end: int) -> bool:
    """Whether the piece stands within the name of a town: 三栋镇, 六层乡."""
    return any(
        is_area(text[left:right])
        for left in range(max(0, start - 4), start + 1)
        for right in range(end, min(len(text), end + 4) + 1)
    )
