"""PDF files of any length out of Typst's runs, with the codes drawn in as rectangles.

::

    chunk = Chunk.of(typst_pdf, [code_operators(page, height_mm) for page in pages])
    chunk.alone()                    # these pages as a PDF by themselves: what the gates read
    file = PdfFile(sink.write)
    file.add(chunk)                  # any number of times, in constant memory
    file.finish()

Typst keeps a whole document in memory and takes several times as long to draw codes as to set text; so it sets some
hundred pages at a time, and this joins them. Of its PDF 1.4 (ISO 32000-1 is a superset) are kept pages, fonts and what
they refer to. Everything else is left out: document information, metadata stream, structure tree, times, identifiers.
What a PDF could say about who made it, when, and from what, these do not.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from parcelveil.label.compose import POINT, Bits, Page

_REFERENCE = re.compile(rb"(\d+) 0 R")
_PAGE = re.compile(rb"/Type/Page\b(?!s)")
_CONTENTS = re.compile(rb"/Contents (\d+ 0 R)")
_PARENT = re.compile(rb"/Parent \d+ 0 R")
_LEFT_OUT = re.compile(
    rb"^<<[^>]*?/Type/(?:Pages|Catalog|StructTreeRoot|StructElem|Metadata)\b|^<</(?:Creator|ModDate|CreationDate|Producer|Title)\b"
)
_STREAM = re.compile(rb"\r?\nstream\r?\n")


class Chunk(NamedTuple):
    """Some pages: ``objects`` numbered from 1 (index 0), of which ``pages`` are pages without ``/Parent``."""

    objects: list[bytes]
    pages: list[int]

    @classmethod
    def of(cls, pdf: bytes, codes: Sequence[bytes]) -> Chunk:
        """Take Typst's PDF 1.4 apart. ``codes``: drawing operators for each page. Raises ValueError if it is no such PDF."""
        bodies = _objects(pdf)
        kept = {number: body for number, body in bodies.items() if not _LEFT_OUT.search(body)}
        place = {number: index + 1 for index, number in enumerate(kept)}
        objects, pages = [], []
        for number, body in kept.items():
            head, stream = _parted(body)
            if _PAGE.search(head):
                pages.append(place[number])
                head = _PARENT.sub(b"", head)
            objects.append(_REFERENCE.sub(lambda m: b"%d 0 R" % place[int(m[1])], head) + stream)
        if len(pages) != len(codes):
            raise ValueError("other pages than were set")
        for page, operators in zip(pages, codes, strict=True):
            packed = zlib.compress(operators, 1)
            objects.append(b"<</Length %d/Filter/FlateDecode>>\nstream\n%b\nendstream" % (len(packed), packed))
            both = b"/Contents[%%b %d 0 R]" % len(objects)
            objects[page - 1] = _CONTENTS.sub(lambda m, both=both: both % m[1], objects[page - 1])  # type: ignore[misc]
        return cls(objects, pages)

    def alone(self) -> bytes:
        """These pages as a PDF file of their own."""
        buffer = io.BytesIO()
        file = PdfFile(buffer.write)
        file.add(self)
        file.finish()
        return buffer.getvalue()


class PdfFile:
    """A PDF being written to ``write``, forwards only."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._at = 0
        self._offsets: list[int] = []
        self._nodes: list[tuple[int, int, bytes]] = []  # a node of the page tree for each chunk: number, pages, kids
        self._put(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")

    def add(self, chunk: Chunk) -> None:
        """Append the pages of a chunk."""
        base = len(self._offsets)
        node = base + len(chunk.objects) + 1
        pages = set(chunk.pages)
        for number, body in enumerate(chunk.objects, 1):
            head, stream = _parted(body)
            head = _REFERENCE.sub(lambda m: b"%d 0 R" % (int(m[1]) + base), head)
            if number in pages:
                head = head.replace(b"/Type/Page", b"/Type/Page/Parent %d 0 R" % node, 1)
            self._object(head + stream)
        kids = b" ".join(b"%d 0 R" % (page + base) for page in chunk.pages)
        self._nodes.append((node, len(chunk.pages), kids))
        self._offsets.append(-1)  # it names the root of the tree, whose number is known only in the end

    def finish(self) -> None:
        """Write page tree and tables. Nothing can be added after it."""
        root = len(self._offsets) + 1
        for node, count, kids in self._nodes:
            self._offsets[node - 1] = self._at
            self._put(
                b"%d 0 obj\n<</Type/Pages/Parent %d 0 R/Count %d/Kids[%b]>>\nendobj\n" % (node, root, count, kids)
            )
        nodes = b" ".join(b"%d 0 R" % node for node, _, _ in self._nodes)
        total = sum(count for _, count, _ in self._nodes)
        self._object(b"<</Type/Pages/Count %d/Kids[%b]>>" % (total, nodes))
        self._object(b"<</Type/Catalog/Pages %d 0 R>>" % root)
        table = self._at
        size = len(self._offsets) + 1
        self._put(b"xref\n0 %d\n0000000000 65535 f \n" % size)
        for start in range(0, len(self._offsets), 4096):
            self._put(b"".join(b"%010d 00000 n \n" % offset for offset in self._offsets[start : start + 4096]))
        self._put(b"trailer\n<</Size %d/Root %d 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, root + 1, table))

    def _object(self, body: bytes) -> None:
        self._offsets.append(self._at)
        self._put(b"%d 0 obj\n%b\nendobj\n" % (len(self._offsets), body))

    def _put(self, data: bytes) -> None:
        self._write(data)
        self._at += len(data)


def _objects(pdf: bytes) -> dict[int, bytes]:
    """The objects of a PDF with a plain table of offsets, by number, in that order."""
    tail = pdf.rfind(b"startxref")
    table = int(pdf[tail:].split()[1])
    lines = pdf[table:tail].split(b"\n")
    if lines[0].strip() != b"xref" or not pdf.startswith(b"%PDF-1.4"):
        raise ValueError("no plain table of objects")
    count = int(lines[1].split()[1])
    offsets = {number: int(line[:10]) for number, line in enumerate(lines[2 : 2 + count]) if line[17:18] == b"n"}
    ends = dict(zip(sorted(offsets.values()), [*sorted(offsets.values())[1:], table], strict=True))
    found = {}
    for number, start in offsets.items():
        body = pdf[start : ends[start]]
        found[number] = body[body.index(b"obj") + 3 : body.rindex(b"endobj")].strip()
    return found


def _parted(body: bytes) -> tuple[bytes, bytes]:
    """An object's dictionary, and its stream if it has one."""
    match = _STREAM.search(body)
    return (body[: match.start()], body[match.start() :]) if match else (body, b"")


def code_operators(page: Page, height_mm: float) -> bytes:
    """The codes of a page as PDF operators: one path a code, rectangles for the dark modules of each row."""
    scale = 1 / POINT
    parts = [b"q %.9g 0 0 %.9g 0 %.9g cm 0 g\n" % (scale, -scale, height_mm * scale)]
    for symbol in page.symbols:
        bits = symbol.bits.reshape(1, -1) if symbol.bits.ndim == 1 else symbol.bits
        # One unit is a module wide and a row high.
        parts.append(b"q %.9g 0 0 %.9g %.9g %.9g cm\n" % (symbol.module, symbol.height / len(bits), symbol.x, symbol.y))
        packed = np.packbits(bits, axis=1)
        parts += [
            _rectangles(column, value, row)
            for row, values in enumerate(packed.tolist())
            for column, value in enumerate(values)
            if value
        ]
        parts.append(b"f Q\n")
    return b"".join([*parts, b"Q"])


#: Of our codes there are some 23,000 parts in QR codes of tokens (29 rows of three whole bytes and one of 5 bits) and
#: 12,000 in bar codes (one row, up to 400 modules); marks have no others. A full cache takes 15 MB.
_REMEMBERED = 1 << 16


@lru_cache(_REMEMBERED)
def _rectangles(column: int, value: int, row: int = 0) -> bytes:
    """The dark modules among the eight that begin at ``8 * column``: the same few thousand come again and again."""
    bits = np.unpackbits(np.array([[value]], np.uint8), axis=1).astype(bool)
    return b"".join(b"%d %d %d 1 re\n" % (8 * column + x, row, n) for x, _, n in runs(bits))


def runs(bits: Bits) -> list[tuple[int, int, int]]:
    """The runs of dark modules in the rows of ``bits``: column, row, length."""
    rows, columns = bits.shape
    edges = np.zeros((rows, columns + 2), np.int8)
    edges[:, 1:-1] = bits
    steps = np.diff(edges, axis=1)
    ys, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    return list(zip(starts.tolist(), ys.tolist(), (ends - starts).tolist(), strict=True))
