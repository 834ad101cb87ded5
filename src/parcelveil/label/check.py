"""Audits anybody's labels: reads codes and text of every page, and says which rule is broken, and where.

::

    report = check(Path("labels.pdf"))
    report.verdict                         # 'breaks'
    [f.what for f in report.pages[0].findings]    # ['138****1234 hides 4 digits, 6 required']

Text comes from the text layer of a PDF, and by OCR from pictures (the ``ocr`` extra). A page whose text was not read is
never said to meet the standard: its verdict is ``unclear``, with the reason, unless its codes alone break a rule.
The report holds no clear value: waybill numbers and marks of print stations are the only texts of codes in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from parcelveil.errors import InputError
from parcelveil.label import codes
from parcelveil.label.pages import MOST_CHARACTERS, Line, Page, metadata, open_pages
from parcelveil.label.payload import opaque
from parcelveil.label.rules import Remark, Said, judge, remark_of

STANDARD = "GB/T 41833-2022"
Verdict = Literal["meets", "breaks", "unclear"]

#: Why a page could not be judged.
NOT_INSTALLED = "this page is a picture without text layer; OCR is not installed: codes only"
SWITCHED_OFF = "this page is a picture without text layer; OCR is switched off: codes only"
PICTURE_UNREAD = "a large picture on this page was not read, for want of OCR"
NOTHING = "nothing could be read on this page"
HARDLY = "hardly any text could be read on this page"
TOO_MUCH = "this page has more text than is read"
DAMAGED = "the file is damaged behind this page"

_STATION = re.compile(r"S[0-9A-Z-]{1,10}")
_FIFTEEN = re.compile("[0-9]{15}")
_NUMBER = re.compile(r"(?=(?:[^0-9]*[0-9]){6})[0-9A-Za-z-]{8,32}")
_AREAL = {
    "QRCode",
    "MicroQRCode",
    "RMQRCode",
    "DataMatrix",
    "Aztec",
    "PDF417",
    "MicroPDF417",
    "CompactPDF417",
    "MaxiCode",
}
_PRODUCTS = {"EAN13", "EAN8", "UPCA", "UPCE", "ISBN", "DataBar"}
#: Characters that no label has; where many are, the text layer has lost its meaning.
_GARBLED = 0.2
#: A label says more than this.
_LEAST_TEXT = 12


class CodeSeen(msgspec.Struct, frozen=True):
    """A code that was read. ``says``: waybill number, opaque token, print station mark, nothing personal, personal data."""

    kind: str
    says: str
    text: str = ""


class PageReport(msgspec.Struct, frozen=True):
    """What was read on a page, and what of it breaks a rule. Boxes are in pixels: ``dots_per_mm`` of them, where known."""

    page: int
    codes: list[CodeSeen]
    text_lines: int
    ocr_lines: int
    findings: list[Remark]
    notes: list[Remark]
    verdict: Verdict
    why: str = ""
    dots_per_mm: float | None = None


class Report(msgspec.Struct, frozen=True):
    """What was found in a file. ``findings`` and ``notes`` are of its metadata; those of pages stand with them."""

    file: str
    pages: list[PageReport]
    metadata: int
    findings: list[Remark]
    notes: list[Remark]
    verdict: Verdict
    rules: list[str]
    why: str = ""
    standard: str = STANDARD


def check(path: Path, *, ocr: bool = True, progress: Callable[[int], object] | None = None) -> Report:
    """Audit the labels of a PDF or picture.

    Args:
        path: the file.
        ocr: read the text of pictures, where the extra is installed.
        progress: told the number of each page that is done.

    Raises:
        InputError: the file cannot be read at all.
        DependencyError: the ``label`` extra is missing.
    """
    beside = metadata(path)
    findings, notes = judge([Said(text, f"metadata: {name}", 0) for name, text in beside.items()])
    pages: list[PageReport] = []
    why = ""
    try:
        for page in open_pages(path):
            pages.append(check_page(page, ocr=ocr))
            if progress is not None:
                progress(page.number)
    except InputError:
        if not pages:
            raise
        why = DAMAGED
    why = why or next((page.why for page in pages if page.why), "")
    rules = sorted({f.rule for f in (*findings, *(f for page in pages for f in page.findings))})
    return Report(str(path), pages, len(beside), findings, notes, _verdict(rules, why), rules, why)


def check_page(page: Page, *, ocr: bool = True) -> PageReport:
    """Audit one page."""
    found = codes.read(page.image)
    texts, why = _texts(page, _lie([code.box for code in found if code.kind not in _AREAL]), ocr=ocr)
    return judge_page(page, found, texts, why)


def judge_page(page: Page, found: Sequence[codes.Code], texts: Mapping[str, Sequence[Line]], why: str) -> PageReport:
    """What the codes and the texts of a page break, these being read already.

    Args:
        page: the page; its picture is not looked at.
        found: its codes.
        texts: its lines by where they are from: "text layer", "OCR".
        why: why the texts may not be all; empty when they are.
    """
    said: list[Said] = []
    seen: list[CodeSeen] = []
    public: list[str] = []
    remarks: list[Remark] = []
    for code in found:
        place = Said(code.text, code.kind, page.number, code.box)
        linear = code.kind not in _AREAL | _PRODUCTS
        # An id number of before 1999 has no check digit, and one in a hundred waybill numbers of 15 digits looks like one.
        broken = [] if linear and _FIFTEEN.fullmatch(code.text) else judge([place])[0]
        number = linear and _NUMBER.fullmatch(code.text) and not broken
        if number:
            public.append(code.text)
        seen.append(_seen(code, broken=bool(broken), number=bool(number)))
        if seen[-1].says == "opaque token":
            remarks.append(remark_of("code.opaque", place))
        elif seen[-1].says == "print station mark":
            remarks.append(remark_of("code.station", place, code.text))
        if not number:
            said.append(place)
    read = [line for one in texts.values() for line in one]
    if public and not any(code.says == "waybill number" and code.kind == "Code128" for code in seen):
        kind = next(code.kind for code in seen if code.says == "waybill number")
        remarks.append(remark_of("code.other", Said("", kind, page.number), kind))
    if not public and (read or found):
        remarks.append(remark_of("code.missing", Said("", "bar code", page.number)))
    for source, lines in texts.items():
        said += [Said(line.text, source, page.number, _rounded(line)) for line in (*lines, *_rows(lines))]
    findings, notes = judge(said, public)
    findings += [r for r in remarks if r.rule == "code.missing"]
    notes = [r for r in remarks if r.rule != "code.missing"] + notes
    if not read and not why:
        why = HARDLY if found else NOTHING
    return PageReport(
        page=page.number,
        codes=seen,
        text_lines=len(texts.get("text layer", ())),
        ocr_lines=len(texts.get("OCR", ())),
        findings=findings,
        notes=notes,
        verdict=_verdict([f.rule for f in findings if f.rule != "code.missing" or read], why),
        why=why,
        dots_per_mm=page.dots_per_mm,
    )


def _verdict(rules: Sequence[str], why: str) -> Verdict:
    return "breaks" if rules else "unclear" if why else "meets"


def _seen(code: codes.Code, *, broken: bool, number: bool) -> CodeSeen:
    if broken:
        return CodeSeen(code.kind, "personal data")
    if number:
        return CodeSeen(code.kind, "waybill number", code.text)
    if code.kind == "DataMatrix" and _STATION.fullmatch(code.text):
        return CodeSeen(code.kind, "print station mark", code.text)
    return CodeSeen(code.kind, "opaque token" if opaque(code.text) else "nothing personal")


def _lie(boxes: Sequence[tuple[float, float, float, float]]) -> bool:
    """Whether all bar codes of a picture stand upright, as on a label that lies on its side."""
    return bool(boxes) and all(right - left < bottom - top for left, top, right, bottom in boxes)


def _texts(page: Page, lies: bool, *, ocr: bool) -> tuple[dict[str, Sequence[Line]], str]:
    """The lines of text by where they are from, and why that may not be all."""
    from parcelveil.label.ocr import available, read_text, read_turned

    lines = list(page.lines)
    garbled = _garbled(lines)
    texts: dict[str, Sequence[Line]] = {"text layer": lines} if lines else {}
    if sum(len(line.text) for line in lines) >= MOST_CHARACTERS - 2 * len(lines):
        return texts, TOO_MUCH
    if not (page.pictured or garbled):
        return texts, ""
    if not ocr or not available():
        return texts, PICTURE_UNREAD if lines and not garbled else NOT_INSTALLED if ocr else SWITCHED_OFF
    read = [Line(line.text, line.box) for line in (read_turned if lies else read_text)(page.image)]
    if read:
        texts["OCR"] = read
    if (garbled or not lines) and sum(len(line.text) for line in read) < _LEAST_TEXT:
        return texts, HARDLY if read or lines else ""
    return texts, ""


def _garbled(lines: Sequence[Line]) -> bool:
    text = "".join(line.text for line in lines)
    strange = sum(unicodedata.category(char) in ("Cc", "Cn", "Co") or char == "\ufffd" for char in text)
    return bool(text) and strange > _GARBLED * len(text)


def _rows(lines: Sequence[Line]) -> Iterator[Line]:
    """Lines that stand beside each other, as one: a name in one cell and the phone in the next."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda one: (one.box[1] + one.box[3], one.box[0])):
        middle = (line.box[1] + line.box[3]) / 2
        if rows and any(one.box[1] < middle < one.box[3] for one in rows[-1]):
            rows[-1].append(line)
        else:
            rows.append([line])
    for row in rows:
        if 1 < len(row) <= 16:
            row.sort(key=lambda one: one.box[0])
            boxes = [one.box for one in row]
            lefts, tops, rights, bottoms = zip(*boxes, strict=True)
            yield Line(" | ".join(one.text for one in row), (min(lefts), min(tops), max(rights), max(bottoms)))


def _rounded(line: Line) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(side, 1) for side in line.box)
    return left, top, right, bottom
