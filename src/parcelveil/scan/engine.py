"""The scanner: documents, bytes and Arrow batches go in, findings come out.

::

    scanner = Scanner.default()
    scanner.scan_bytes("收件人张伟 电话16312345678".encode())           # a RecordBatch of FINDINGS
    scanner.scan_batch(pa.RecordBatch.from_pydict({"phone": ["16312345678"]}))
    for batch in scanner.scan(document): ...                        # streaming, in constant memory

Text is scanned in blocks that overlap, on several threads if asked to; where blocks begin, how many threads there are and in
how many pieces the text came makes no difference to what is found. Tables are scanned column by column, in place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from parcelveil.scan import kernel
from parcelveil.scan.assemble import Assembler, columns_named
from parcelveil.scan.assemble_passes import lines_of
from parcelveil.scan.commented import marked
from parcelveil.scan.context import FEATURES
from parcelveil.scan.core_passes import core as core_pass
from parcelveil.scan.delimiting import Delimited
from parcelveil.scan.document import Document
from parcelveil.scan.fields import Field, FieldScanner
from parcelveil.scan.findings import FINDINGS, Place
from parcelveil.scan.hits import SURROUNDINGS, Bytes, Columns, Detector, Hits, Index
from parcelveil.scan.key import ScanKey
from parcelveil.scan.originals import Originals
from parcelveil.scan.rules import Family, builtin, rules_of

#: Bytes of a block: large enough that its surroundings cost nothing, small enough for caches and for several at once.
BLOCK = 4 << 20
#: Where bytes and batches lie that nobody named.
MEMORY = Place("memory")
#: Findings below this confidence are not reported, unless asked for.
LEAST = 0.5


class Block(NamedTuple):
    """A stretch of text with its surroundings."""

    data: Bytes
    low: int
    high: int
    base: int  # bytes of the text before data[0]
    columns: Columns | None = None
    rows: Index | None = None  # of the cells in `columns`
    extra: Hits | None = None


class Scanned(NamedTuple):
    """A block, the hits in it, the line of each (from 0), and how many newlines it has."""

    block: Block
    hits: Hits
    lines: Index
    newlines: int


class Scanner:
    """Scans by one set of rules, with one key for fingerprints. Threads may share it."""

    def __init__(
        self,
        families: Sequence[Family],
        key: ScanKey | None = None,
        *,
        threads: int = 1,
        least: float = LEAST,
        names: bool = True,
        block: int = BLOCK,
    ) -> None:
        self.families, self.key = families, key or ScanKey.new()
        self.threads, self.block = max(1, threads), max(block, 4 * SURROUNDINGS)
        bar = float(np.log(least / (1 - least))) if 0 < least < 1 else -np.inf
        custom = [rule for family in families for rule in family.custom]
        self.detector = Detector(rules_of(families), custom, names=names, least=bar)
        self._assembler = Assembler(self.detector, self.key)
        self._fields = FieldScanner(self.detector)

    @classmethod
    def default(
        cls,
        key: ScanKey | None = None,
        *,
        threads: int = 1,
        least: float = LEAST,
        names: bool = True,
        block: int = BLOCK,
    ) -> Scanner:
        """With the rules of the package."""
        return cls(builtin(), key, threads=threads, least=least, names=names, block=block)

    # --- the library's three ways

    def scan_bytes(self, data: bytes, *, format: str = "text", place: Place = MEMORY) -> pa.RecordBatch:
        """The findings in UTF-8 text; ``format`` ``csv`` or ``tsv`` for delimited text."""
        delimiter = {"csv": ",", "tsv": "\t"}.get(format, "")
        kind = "delimited" if delimiter else "text"
        document = Document(place, kind, format, chunks=iter([data]), delimiter=delimiter)  # type: ignore[arg-type]
        return _one(list(self.scan(document)))

    def scan_batch(self, batch: pa.RecordBatch, *, place: Place = MEMORY, first_row: int = 1) -> pa.RecordBatch:
        """The findings in the columns of a batch: ``row`` counts from ``first_row`` (-1: it has no numbers), spans are
        bytes of the cell.

        Strings, binary, dictionaries, whole numbers, lists and structs of these are looked at; columns of sealed
        waybills are told as ``protected``.
        """
        return _one([self._fielded(part, place, first_row) for part in self._fields.columns(batch)])

    def scan(self, document: Document) -> Iterator[pa.RecordBatch]:
        """The findings of a document, batch by batch, in the order of the text; empty batches are left out."""
        if document.batches is not None:
            for first, batch in document.batches:
                found = self.scan_batch(batch, place=document.place, first_row=first)
                if found.num_rows:
                    yield found
        elif document.chunks is not None:
            yield from self._texts(document)

    def core(self, data: Bytes) -> kernel.Found:
        """Mobiles, ids, cards and e-mails (``rule`` 0 to 3) in text as machines write it: validated spans, no context."""
        parts, low = [], 0
        while True:
            found = kernel.Found.room(max(4096, (len(data) - low) // 64))
            count, low = core_pass(data, low, len(data), found)
            parts.append(kernel.Found._make(column[:count] for column in found))
            if low >= len(data):
                return (
                    parts[0] if len(parts) == 1 else kernel.Found._make(map(np.concatenate, zip(*parts, strict=True)))
                )

    def candidates(self, data: bytes, format: str = "text") -> pa.RecordBatch:
        """All candidates of pattern rules and what was seen around them, before weights: what fitting works on."""
        view, columns = np.frombuffer(data, np.uint8), None
        if format in ("csv", "tsv"):
            cells = Delimited("," if format == "csv" else "\t", self.detector)
            cells.feed(view, 0, last=True)
            columns = cells.columns(0)
        hits = self.detector.candidates(view, columns)
        seen = {name: hits.features[:, place] for place, name in enumerate(FEATURES)}
        return pa.RecordBatch.from_pydict({"rule": hits.rule, "start": hits.start, "end": hits.end, **seen})

    # --- text

    def _texts(self, document: Document) -> Iterator[pa.RecordBatch]:
        originals, line = Originals(), 1
        for block, hits, lines, newlines in self._mapped(self._blocks(document)):
            starts, ends = originals.of(block.data, block.base, block.high, hits.start, hits.end, document.encoding)
            if len(hits.start):
                row = column = None
                if block.columns is not None and block.rows is not None:
                    cell = block.columns.at(hits.start)
                    inside = cell >= 0
                    row = np.where(inside, block.rows[cell] if len(block.rows) else -1, -1)
                    of = block.columns.column
                    number = np.where(inside, of[cell] if len(of) else -1, -1).astype(np.int32)
                    column = columns_named(block.columns.names, number)
                found = self._assembler.findings(
                    hits,
                    block.data,
                    document.place,
                    starts=starts,
                    ends=ends,
                    line=lines + line,
                    row=row,
                    column=column,
                    box=_boxes(document, hits.start + block.base),
                )
                yield marked(found, block.data, hits.start)
            line += newlines

    def _blocks(self, document: Document) -> Iterator[Block]:
        """The text in blocks, each with what stands around it; cells go with those of delimited text."""
        cells = Delimited(document.delimiter, self.detector) if document.delimiter else None
        buffer, low, base, fed = b"", 0, 0, 0
        pending: list[bytes] = []
        waiting = 0
        chunks = _cut(document.chunks or (), self.block)
        while True:
            chunk = next(chunks, None)
            last = chunk is None
            if chunk is not None:
                pending.append(chunk)
                waiting += len(chunk)
                if waiting < self.block:
                    continue
            buffer = b"".join([buffer, *pending])
            pending, waiting = [], 0
            data = np.frombuffer(buffer, np.uint8)
            high = len(data) if last else max(low, len(data) - SURROUNDINGS)
            if cells is not None:
                fed += cells.feed(data[fed:], base + fed, last=last)
                high = min(high, fed)
                extra = cells.people(base, base + high)
                yield Block(data, low, high, base, cells.columns(base), cells.rows, extra)
                cells.drop(base + high - SURROUNDINGS)
            else:
                yield Block(data, low, high, base)
            if last:
                return
            keep = max(0, high - SURROUNDINGS)
            buffer, base, low, fed = buffer[keep:], base + keep, high - keep, fed - keep

    def _mapped(self, blocks: Iterator[Block]) -> Iterator[Scanned]:
        """Each block with its hits and the number of its newlines, in order; several at once where there are threads."""

        def work(block: Block) -> Scanned:
            hits = self.detector.in_text(
                block.data, block.low, block.high, base=block.base, columns=block.columns, extra=block.extra
            )
            return Scanned(block, hits, *lines_of(block.data, block.low, block.high, hits.start, 0))

        if self.threads == 1:
            yield from map(work, blocks)
            return
        waiting: deque[Future[Scanned]] = deque()
        for block in blocks:
            waiting.append(self._pool.submit(work, block))
            if len(waiting) > self.threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, thread_name_prefix="scan")

    def _fielded(self, part: Field, place: Place, first_row: int) -> pa.RecordBatch:
        hits, rows, starts = part.hits, part.rows, part.starts
        return self._assembler.findings(
            hits,
            part.data,
            place,
            starts=hits.start - starts,
            ends=hits.end - starts,
            row=rows + first_row if first_row >= 0 else np.full(len(rows), -1, np.int64),
            column=pa.array([part.name] * len(rows), pa.string()),
        )


def _cut(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Chunks of at most ``most`` bytes."""
    for chunk in chunks:
        for start in range(0, len(chunk), most):
            yield chunk[start : start + most] if len(chunk) > most else chunk


def _boxes(document: Document, positions: Index) -> pa.Array | None:
    """The boxes of the lines in which positions of the text lie."""
    if not document.boxes:
        return None
    begins = np.array([start for start, _ in document.boxes])
    place = np.searchsorted(begins, positions, side="right") - 1
    boxes = [list(document.boxes[i][1]) if i >= 0 else None for i in place.tolist()]
    return pa.array(boxes, FINDINGS.field("box").type)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches as one."""
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches, FINDINGS).combine_chunks()
    return table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], FINDINGS)
