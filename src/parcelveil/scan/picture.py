"""Pictures as documents: text by OCR, bar codes and two-dimensional codes, what the file says beside its picture.

::

    notes, labels = [], []
    for document in read_picture(Place("photo.jpg"), Path("photo.jpg"), ocr=True, note=notes.append,
                                 seen=lambda place, label: labels.append(label)):
        b"".join(document.chunks)         # '收件人 张伟13812345678\\n…'
        document.boxes                    # [(0, (38.0, 67.0, 491.0, 114.0)), …]: byte offset, pixels
    labels[0].words                       # 'waybill label (YTO) with clear phone and name'

A file gives, for each page or frame, one document of its text and one for each kind of code (part ``QRCode``,
``Code128`` …), and one of its metadata (part ``metadata``). A code that wraps its text (JSON, Base64, percent signs) is unwrapped; what
was said once is not said again. Of a PDF only what its text layer does not say is given: text of pages that
are pictures, and codes.

The file may be hostile, and may be a member of an archive, given as bytes; nothing is written to the disk. Pixels,
pages and metadata are bounded, and so is the size of the picture that the reader of text sees. Whatever goes wrong is
one line of the manifest, with a sentence of :mod:`~parcelveil.scan.read.why`; nothing is raised.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import msgspec

from parcelveil.errors import DependencyError, InputError
from parcelveil.label import codes
from parcelveil.label.ocr import available
from parcelveil.label.pages import Line, Page, Source, count_pages, is_pdf, metadata, open_pages
from parcelveil.label.payload import readable
from parcelveil.scan.document import Box, Document
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.picture_text import Upright, is_blank, read_upright
from parcelveil.scan.read import why
from parcelveil.scan.reading_order import level, rows_of
from parcelveil.scan.waybill_label import LINEAR, LabelSeen, recognise

#: Pages of one file whose text is read: about ten minutes of one core.
MOST_PAGES = 300
#: Codes of one page, and bytes of what they say.
_CODES, _CODE_BYTES = 100, 1 << 20
#: A line that OCR read is the text layer's if so much of it lies on one of its lines.
_COVERED = 0.5
#: Templates of errors -> sentences of the manifest; all others are damage.
_REASONS = {
    "{file} has too many pixels": why.TOO_MANY_PIXELS,
    "page {page} of {file} is too large, or has no size": why.TOO_MANY_PIXELS,
    "{file} is encrypted with a password": why.ENCRYPTED,
    "{file} is no PDF and no picture": why.NO_PICTURE,
    "{file} is empty": why.EMPTY,
    "{file} is larger than 1 GiB": why.TOO_LARGE,
    "{file} cannot be read: {why}": why.NOT_READABLE,
}
#: Metadata of how the picture is encoded.
_ENCODING = {"compression"}
_WAYBILL = "运单号 "
_WORD = re.compile(r"[\w@.+*-]{2,}")


def read_picture(
    place: Place,
    source: Source,
    *,
    ocr: bool,
    note: Callable[[Read], object],
    seen: Callable[[Place, LabelSeen], object] | None = None,
) -> Iterator[Document]:
    """The documents of a picture, or of the pictured pages of a PDF.

    Args:
        place: where it lies.
        source: its path, or its bytes.
        ocr: read its text, where the extra is installed; else codes and metadata only.
        note: told once what of the file was read, when all documents were taken.
        seen: told of each page what it is as a label.

    Raises nothing for what the file holds.
    """
    reader = _Pages(place, ocr=ocr, seen=seen)
    documents = reader.documents(source)
    got, reason = False, ""
    while True:
        try:
            document = next(documents, None)
        except DependencyError:
            reason = why.NEEDS_LABEL
            break
        except InputError as error:
            reason = _REASONS.get(error.template, why.DAMAGED)
            break
        except Exception:  # noqa: BLE001  decoders of hostile bytes raise anything
            reason = why.DAMAGED
            break
        if document is None:
            break
        yield document
    reason = reason or reader.why
    got = reader.got
    outcome: Literal["read", "partly", "skipped"] = "partly" if reason and got else "skipped" if reason else "read"
    note(Read(place, reader.format, outcome, reason, bytes=_size(source)))


class _Pages:
    """Reads page after page. ``why`` is the first reason why something was not read."""

    def __init__(self, place: Place, *, ocr: bool, seen: Callable[[Place, LabelSeen], object] | None) -> None:
        self.place, self.seen = place, seen
        self.format = "image"
        self.got = False  # whether anything was read
        self.why = ""
        self._no_ocr = "" if ocr and available() else why.NEEDS_OCR if ocr else why.OCR_OFF

    def documents(self, source: Source) -> Iterator[Document]:
        """Everything in a file. Raises what its decoders raise."""
        pdf = is_pdf(source)
        self.format = "pdf page" if pdf else "image"
        with _silent():
            pages = count_pages(source)
            said = {} if pdf else {name: text for name, text in metadata(source).items() if name not in _ENCODING}
        if said:
            yield self._document(
                msgspec.structs.replace(self.place, part="metadata"),
                "".join(f"{name}: {text}\n" for name, text in said.items()).encode("utf-8", "replace"),
            )
        before = b""
        for page in _silently(open_pages(source)):
            if page.number > MOST_PAGES:
                self.say(why.TOO_MANY_PAGES)
                return
            digest = hashlib.blake2b(page.image.data, digest_size=16).digest()
            if digest == before:  # a film's frames that stand still
                continue
            before = digest
            at = msgspec.structs.replace(self.place, page=page.number) if pages > 1 or pdf else self.place
            yield from self._page(page, at)

    def say(self, reason: str) -> None:
        """Not everything was read. The first reason counts."""
        self.why = self.why or reason

    def _page(self, page: Page, at: Place) -> Iterator[Document]:
        found = codes.read(page.image)[:_CODES]
        self.got = True
        readings, read = self._readings(page, found)
        text, boxes = bytearray(), []
        for lines, turn in readings:
            rows, starts = rows_of(lines, turn)
            boxes += [(len(text) + start, box) for start, box in starts]
            text += rows
        if text:
            yield self._document(at, bytes(text), boxes)
        upright = [Line(line.text, level(line.box, line.slope, turn)) for lines, turn in readings for line in lines]
        label = recognise(page, found, [*page.lines, *upright], read=read)
        for kind in sorted({code.kind for code in found}):
            # A number alone says nothing; on a label it is known what it is.
            lead = _WAYBILL if label.is_label and kind in LINEAR else ""
            says, starts = text_of_codes([code for code in found if code.kind == kind], lead)
            yield self._document(msgspec.structs.replace(at, part=kind), says, starts)
        if self.seen is not None:
            self.seen(at, label)

    def _readings(self, page: Page, found: Sequence[codes.Code]) -> tuple[list[Upright], bool]:
        """What a page's picture says and its text layer does not, by how it lies, and whether it was read."""
        if not page.pictured or is_blank(page.image):
            return [], True
        if self._no_ocr:
            self.say(self._no_ocr)
            return [], False
        try:
            readings = read_upright(page.image, found)
        except Exception:  # noqa: BLE001  runtimes of models raise their own errors
            self.say(why.OCR_FAILED)
            return [], False
        layer = [line.box for line in page.lines]
        return [
            Upright([line for line in lines if not any(_covers(box, line.box) for box in layer)], turn)
            for lines, turn in readings
        ], True

    def _document(self, place: Place, text: bytes, boxes: list[tuple[int, Box]] | None = None) -> Document:
        return Document(place, "text", self.format, chunks=iter([text]), boxes=boxes or [], size=len(text))


def text_of_codes(found: Sequence[codes.Code], lead: str = "") -> tuple[bytes, list[tuple[int, Box]]]:
    """What codes say, UTF-8, unwrapped first, and where each code's lines begin, with its box; ``lead`` before each.

    >>> link = "https://example.org/?tel=16400000031&from=app"
    >>> text_of_codes([codes.Code("QRCode", link, (0, 0, 9, 9))])[0].decode().splitlines()
    ['电话: 16400000031', 'from: app', 'https://example.org/?tel=           &    =']
    """
    text = bytearray()
    boxes: list[tuple[int, Box]] = []
    for says in dict.fromkeys(code.text for code in found):
        boxes.append((len(text), next(code.box for code in found if code.text == says)))
        text += lead.encode()
        known: set[str] = set()
        for view in reversed(readable(says)):
            # What a view before said is blotted out in this one: every value is found once.
            rest = _WORD.sub(lambda word: " " * len(word[0]) if word[0] in known else word[0], view)  # noqa: B023
            known.update(_WORD.findall(view))
            if rest.strip() and len(text) < _CODE_BYTES:
                text += rest.strip().encode("utf-8", "replace") + b"\n"
    return bytes(text), boxes


def _covers(layer: Box, line: Box) -> bool:
    """Whether a line of the text layer is what was read there."""
    wide = min(layer[2], line[2]) - max(layer[0], line[0])
    high = min(layer[3], line[3]) - max(layer[1], line[1])
    return wide > 0 and high > 0 and wide * high >= _COVERED * (line[2] - line[0]) * (line[3] - line[1])


def _size(source: Source) -> int:
    try:
        return len(source) if isinstance(source, bytes) else source.stat().st_size
    except OSError:
        return 0


@contextmanager
def _silent() -> Iterator[None]:
    """Decoders warn of what is odd in a file; the manifest says what could not be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _silently(pages: Iterator[Page]) -> Iterator[Page]:
    while True:
        with _silent():
            page = next(pages, None)
        if page is None:
            return
        yield page
