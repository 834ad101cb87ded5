"""What readers hand to the scanner: documents, each a stream of text, of delimited text, or of table batches.

::

    Document(Place("app.log"), "text", format="text", encoding="utf-8", chunks=iter([b"tel 13812345678\\n"]))

``chunks`` of a text are consecutive pieces of UTF-8 of any size; a character or a number may be cut between two of
them. ``batches`` of a table give the row number of their first row and a batch whose columns are scanned one by one
(strings; numbers are turned into text by who made the batch). A document is read once, before the next one is asked
for. What a reader could not read it says in :class:`~parcelveil.scan.findings.Read` entries, by ``note``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from parcelveil.scan.findings import Place

Box = tuple[float, float, float, float]


@dataclass
class Document:
    """One thing to be scanned. Exactly one of ``chunks`` and ``batches`` is there."""

    place: Place
    kind: Literal["text", "delimited", "table"]
    format: str  # text, json, csv, html, log, xlsx, docx, pdf, eml, sqlite, parquet, image …
    chunks: Iterator[bytes] | None = None
    batches: Iterator[tuple[int, pa.RecordBatch]] | None = None
    encoding: str = ""  # how the text lies in the file; spans are told in it. Empty: spans are of the UTF-8 text
    delimiter: str = ""  # of delimited text: "," "\t" ";" "|"
    #: Of pictures: where each line of the text begins (byte offset), and its box in pixels.
    boxes: list[tuple[int, Box]] = field(default_factory=list)
    size: int = 0  # bytes as it lies, where known
