"""Is a picture a waybill label, whose, and does it show personal data?

::

    seen = recognise(page, found_codes, lines)
    seen.is_label, seen.carrier, seen.masked        # True, 'YTO', 'clear'
    seen.words                                      # 'waybill label (YTO) with clear phone and name'
    seen.why                                        # 'bar code YTO; recipient; sender; sort code; phone; area'

A label is told by what stands on every carrier's: a bar code with a waybill number, words for recipient and sender, a
sort code, phones, names of places. Each is a piece of evidence with a weight in log-odds, set by hand; what has neither
a bar code nor a sort code is a text about a parcel, never a label. Whether it is masked is for the rules of GB/T 41833-2022 to
say, which :mod:`parcelveil.label.check` applies. Pure: what was read goes in, no value comes out.

    >>> carrier_of("YT8804256231556"), carrier_of("RR473124829GB"), carrier_of("RR473124820GB"), carrier_of("6901234567892")
    ('YTO', 'EMS', '', '')
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from parcelveil.intake.divisions import divisions
from parcelveil.label.check import judge_page
from parcelveil.label.codes import Code
from parcelveil.label.folded import fold
from parcelveil.label.pages import Line, Page
from parcelveil.scan.checksums import s10

Masked = Literal["masked", "clear", "partly", "unknown"]

#: Carrier -> (the form of its waybill numbers, its names on labels). Forms of digits only say little by themselves: see _DIGITS.
_CARRIERS: dict[str, tuple[str, str]] = {
    "SF": (r"SF[0-9]{12,15}", "顺丰|S\\.?F\\.? ?EXPRESS"),
    "YTO": (r"YT[0-9]{10,18}", "圆通|YTO"),
    "JT": (r"JTE?[0-9]{12,14}", "极兔|J&T"),
    "ZTO": (r"7[0-9]{11,13}", "中通|ZTO"),
    "STO": (r"77[0-9]{13}|STO[0-9]{10,12}", "申通|STO"),
    "YUNDA": (r"(?:1[0-9]|3[1-9]|4[0-9])[0-9]{13}", "韵达|YUNDA"),
    "JD": (r"JD[A-Z]{0,2}[0-9]{10,15}(?:-[0-9]{1,3}-[0-9]{1,3}-?)?", "京东(?:快递|物流)|JD LOGISTICS|JDL"),
    "DEPPON": (r"DPK[0-9]{10,13}", "德邦|DEPPON"),
    "EMS": (r"", "EMS|中国邮政|邮政(?:快递|特快)"),
    "CAINIAO": (r"LP[0-9]{14,18}", "菜鸟|丹鸟|CAINIAO"),
    "UPS": (r"1Z[0-9A-Z]{16}", "UPS"),
    "USPS": (r"9[1-5][0-9]{20}", "USPS|U\\.S\\. POSTAGE"),
    "FEDEX": (r"", "FEDEX"),
    "DHL": (r"JJD[0-9A-Z]{12,20}|JD01[0-9]{16}", "DHL"),
}
_NUMBERS = {code: re.compile(form) for code, (form, _) in _CARRIERS.items() if form}
_NAMED = {code: re.compile(rf"(?<![A-Z0-9])(?:{names})(?![A-Z0-9])") for code, (_, names) in _CARRIERS.items()}
_S10 = re.compile("[A-Z]{2}[0-9]{9}[A-Z]{2}")
_DIGITS = re.compile("[0-9]{10,22}")

LINEAR = {"Code128", "Code39", "Code93", "Codabar", "ITF", "DataBarExpanded"}
_AREAL = {"QRCode", "DataMatrix", "Aztec", "PDF417"}
_PRODUCTS = {"EAN13", "EAN8", "UPCA", "UPCE", "ISBN", "DataBar"}

_WORDS: dict[str, re.Pattern[str]] = {
    "recipient": re.compile(
        r"收件|收货|收方|收貨|(?:^|[\s|])[收至到][\s:：|]|^[收至到]$|\b(?:SHIP|DELIVER)? ?TO\b ?:?|RECIPIENT|RECEIVER|CONSIGNEE",
        re.M,
    ),
    "sender": re.compile(
        r"寄件|发件|发货|寄方|發件|(?:^|[\s|])[寄发][\s:：|]|^[寄发]$|\b(?:SHIP )?FROM\b ?:?|SENDER|SHIPPER", re.M
    ),
    "sort code": re.compile(
        r"(?<![0-9A-Z.-])(?:[0-9]{3}[A-Z]?[ -][A-Z]?[0-9]{2,3}[A-Z]?[ -][0-9A-Z]{2,4}(?:[ -][0-9]{2,3})?|[0-9]{3}-[A-Z][0-9]{2}(?: [0-9]{2,3}){1,2}"
        r"|[0-9]{3}[A-Z]{1,2}-[A-Z0-9]{2,4}-[0-9]{2,4})(?![0-9A-Z.-])"
    ),
    "phone": re.compile(
        r"(?<![0-9])1[3-9](?:[0-9]{9}|[0-9][0-9*]{7,9}[0-9])(?![0-9])|(?<![0-9])0[0-9]{2,3}-[0-9*]{7,8}"
    ),
    "price": re.compile(r"[¥￥$] ?[0-9]+(?:\.[0-9]{1,2})?"),
    "identity card": re.compile(r"公民身份号码|签发机关|居民身份证|身份证号码"),
}
_ON_LABELS = re.compile(
    r"运单号|运單|快递|速递|速运|面单|已验视|已安检|已检视|签收|到付|代收货款|代收|计费重量|重量|打印时间|内件|品类|品名|件数|付款方式|寄付|月结|集包|"
    r"TRACKING|EXPRESS|WAYBILL|POSTAGE|WEIGHT|PIECES?|COD\b"
)

#: Evidence in log-odds, set by hand: where nothing else is known, a picture in a scan is hardly ever a label.
_BASE = -5.0
_EVIDENCE = {
    "bar code": 3.0,  # with a number of a carrier's form
    "bar code, digits": 1.8,  # with a number that may be a waybill's
    "number": 1.0,  # of a carrier's form, in the text only
    "recipient": 1.5,
    "sender": 1.0,
    "sort code": 1.8,
    "carrier": 1.0,
    "words": 0.6,  # each of a label's words, three at most
    "phone": 0.7,
    "area": 0.7,
    "area code": 0.6,  # a QR code or the like beside the bar code
    "shape": 0.3,
    "product code": -2.5,
    "price": -1.0,
    "identity card": -4.0,
    "list": -3.0,
}
#: The confidence that a text about a parcel has at most.
_NO_LABEL = 0.3
#: More waybill numbers, or phones, than one label has.
_NUMBERS_OF_A_LIST, _PHONES_OF_A_LIST = 3, 6
#: Stars of a masked phone that OCR reads, of six.
_STARS = 5
_RATIO = (1.2, 2.4)

_OPEN = {"phone.clear": "phone", "name.clear": "name", "id.clear": "id number"}
_PERSONAL = {*_OPEN, "phone.hidden", "address.detail", "id.part", "email.clear"}


class LabelSeen(msgspec.Struct, frozen=True):
    """What a picture is, as a label. Nothing of what it says is in here.

    ``masked``: "masked" (no rule about persons is broken), "clear" (a whole phone or id number, or a name with the address down to
    the door), "partly" (something else is broken, like four stars in a phone), "unknown" (too little could be read, or
    it is no label). ``rules`` of GB/T 41833-2022 and others that are broken; ``codes`` as "Code128: waybill number".
    """

    is_label: bool
    confidence: float
    carrier: str = ""
    masked: Masked = "unknown"
    rules: tuple[str, ...] = ()
    why: str = ""
    codes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """One English phrase."""
        if not self.is_label:
            return "no label"
        label = f"waybill label ({self.carrier})" if self.carrier else "waybill label"
        if self.masked == "clear":
            shown = [word for rule, word in _OPEN.items() if rule in self.rules]
            shown += ["address"] if "address.detail" in self.rules and len(shown) < 2 else []
            return f"{label} with clear {' and '.join(shown[:2])}"
        return {
            "masked": f"{label}, masked",
            "partly": f"{label}, masked in part",
            "unknown": f"{label}, too little of it could be read",
        }[self.masked]


def carrier_of(number: str) -> str:
    """The carrier whose waybill numbers have this form, and cannot be a product's or another's; empty for none."""
    if _S10.fullmatch(number):
        return "EMS" if s10(number.encode()) else ""
    return next((code for code, form in _NUMBERS.items() if not number.isdigit() and form.fullmatch(number)), "")


def recognise(page: Page, found: Sequence[Code], lines: Sequence[Line], *, read: bool = True) -> LabelSeen:
    """What one page is, as a label.

    Args:
        page: the page; of its picture only the shape is looked at.
        found: its codes.
        lines: its text, in boxes that stand upright.
        read: whether its text could be read at all; without it a label is never said to be masked.
    """
    text = "\n".join(fold(line.text) for line in lines).upper()
    evidence = list(_evidence(page, found, text))
    names = [name for name, _ in evidence]
    confidence = 1 / (1 + math.exp(-(_BASE + sum(_EVIDENCE[name] for name in names))))
    if not {"bar code", "bar code, digits", "sort code"} & set(names) or names == ["bar code, digits"]:
        confidence = min(confidence, _NO_LABEL)
    carrier = next((detail for name, detail in evidence if detail and name != "words"), "")
    why = "; ".join(dict.fromkeys(f"{name} {detail}".strip() for name, detail in evidence))
    is_label = confidence >= 0.5
    if not is_label:
        return LabelSeen(False, round(confidence, 3), why=why, codes=tuple(sorted({code.kind for code in found})))
    report = judge_page(page, found, {"OCR": lines} if lines else {}, "")
    # OCR loses a star now and then: who hides too little hides four digits.
    rules = {one.rule for one in report.findings if one.rule != "phone.hidden" or one.hidden < _STARS}
    return LabelSeen(
        is_label=True,
        confidence=round(confidence, 3),
        carrier=carrier,
        masked=_masked(rules & _PERSONAL, text, read=read),
        rules=tuple(sorted(rules)),
        why=why,
        codes=tuple(sorted({f"{code.kind}: {code.says}" for code in report.codes})),
    )


def _masked(rules: set[str], text: str, *, read: bool) -> Masked:
    if {"phone.clear", "id.clear"} & rules or {"name.clear", "address.detail"} <= rules:
        return "clear"
    if rules:
        return "partly"
    # Nothing is broken where nothing could be read, either.
    return "masked" if read and ("*" in text or len(text) >= 40) else "unknown"


def _evidence(page: Page, found: Sequence[Code], text: str) -> Iterator[tuple[str, str]]:
    """The names of what speaks for and against a label, with the carrier that it speaks of."""
    linear = {code.text.strip().upper() for code in found if code.kind in LINEAR}
    # A QR code that holds the bare number is as good, where the bars are too coarse to be read.
    areal = {code.text.strip().upper() for code in found if code.kind in _AREAL}
    carriers = [carrier for number in sorted(linear) + sorted(areal) if (carrier := carrier_of(number))]
    digits = any(_DIGITS.fullmatch(number) for number in linear)
    named = [code for code, form in _NAMED.items() if form.search(text)]
    in_text = {
        token
        for token in re.findall(r"(?<![A-Z0-9])[A-Z]{1,3}[0-9][0-9A-Z]{9,21}(?![A-Z0-9])", text)
        if carrier_of(token)
    }
    if carriers:
        yield "bar code", carriers[0]
    elif digits:
        yield "bar code, digits", ""
    elif in_text:
        yield "number", carrier_of(min(in_text))
    for name in ("recipient", "sender", "sort code", "phone", "price", "identity card"):
        if _WORDS[name].search(text):
            yield name, ""
    if named:
        yield "carrier", named[0]
    for _ in sorted(set(_ON_LABELS.findall(text)))[:3]:
        yield "words", ""
    if _has_area(text):
        yield "area", ""
    if linear and any(code.kind not in LINEAR | _PRODUCTS for code in found):
        yield "area code", ""
    if any(code.kind in _PRODUCTS for code in found) and not carriers:
        yield "product code", ""
    height, width = page.image.shape
    if _RATIO[0] <= max(height, width) / min(height, width) <= _RATIO[1]:
        yield "shape", ""
    if len(in_text) > _NUMBERS_OF_A_LIST or len(set(_WORDS["phone"].findall(text))) > _PHONES_OF_A_LIST:
        yield "list", ""


def _has_area(text: str) -> bool:
    """Whether a province or city of China is named."""
    levels = divisions()
    names = (*levels.provinces.names.tolist(), *levels.cities.names.tolist())
    return any(len(name) > 2 and name in text for name in names)
