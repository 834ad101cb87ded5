"""What a scan finds: the Arrow schema of findings, and the small nouns that readers, rules and sinks share.

A finding says what kind of personal data lies where, how sure that is and why, and holds a keyed fingerprint of
the value; the value itself is in no finding::

    >>> FINDINGS.field("fingerprint").type
    FixedSizeBinaryType(fixed_size_binary[16])
    >>> Place("old.zip", member="2019/clients.xlsx", part="Sheet1").text
    'old.zip!2019/clients.xlsx#Sheet1'

``state`` is ``clear`` (personal data, readable), ``masked`` (``138****1234``), ``protected`` (a virtual number, a
sealed value or a token of ours) or ``key`` (a waybill or order number: nobody's by itself, but it joins). ``tier`` is
1 for what is looked for everywhere and 2 for what stands on weak ground: names in prose, foreign addresses.
``start`` and ``end`` are bytes of the text as it lies in the file; inside of containers (XLSX, DOCX, PDF, mail) they
are bytes of the extracted UTF-8 text, of a table's cell bytes of that cell. ``row`` counts from 1 as a spreadsheet
does, ``line`` from 1, ``page`` from 1; -1 where there is none.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import pyarrow as pa

State = Literal["clear", "masked", "protected", "key"]

#: Bytes of a fingerprint.
FINGERPRINT = 16

FINDINGS = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),  # path or URI as the person gave it
        pa.field("member", pa.string(), nullable=False),  # path inside archives, joined by "!"; empty for none
        pa.field("part", pa.string(), nullable=False),  # sheet, table, mail part …; empty for none
        pa.field("page", pa.int32(), nullable=False),
        pa.field("box", pa.list_(pa.float32(), 4)),  # left, top, right, bottom in pixels; null outside of pictures
        pa.field("line", pa.int64(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("column", pa.string(), nullable=False),  # header of the column, empty for none
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # phone.mobile, id.resident …
        pa.field("state", pa.string(), nullable=False),
        pa.field("tier", pa.int8(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),  # the share of such findings that are right
        pa.field("reason", pa.string(), nullable=False),  # codes joined by "; ": see reasons.py
        pa.field("fingerprint", pa.binary(FINGERPRINT), nullable=False),
    ]
)


class Place(msgspec.Struct, frozen=True):
    """Where a document lies. ``text`` is how a person reads it."""

    source: str
    member: str = ""
    part: str = ""
    page: int = -1

    @property
    def text(self) -> str:
        return (
            self.source
            + (f"!{self.member}" if self.member else "")
            + (f"#{self.part}" if self.part else "")
            + (f" p{self.page}" if self.page > 0 else "")
        )


class Read(msgspec.Struct, frozen=True):
    """A line of the manifest: what was read of a document, or why not. Silence is never "clean"."""

    place: Place
    format: str  # text, csv, xlsx, zip … as it was recognised
    outcome: Literal["read", "partly", "skipped"]
    why: str = ""  # empty when all of it was read: an English sentence without any content of the file
    encoding: str = ""
    bytes: int = 0  # of the document as it lies
    rows: int = 0  # of tables
    findings: int = 0
