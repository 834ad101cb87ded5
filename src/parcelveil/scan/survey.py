"""One scan from beginning to end: documents go in; sinks, tally and manifest take what is found in them.

::

    survey = Survey(Scanner.default(key), sinks=[JsonLines(file)])
    for document in documents(["export"], Limits(), survey.note, skip=survey.skip):
        survey.take(document)
    survey.finish()
    for verdict in survey.tally.verdicts(): ...

Every finding goes the same way: what is not wanted is left out and counted, what is allowed is marked, and then it goes
to each sink and is counted. With a journal the files that were finished before are not read again; what was found in
them goes the same way (:meth:`Survey.restore`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.scan.allowing import Allowing
from parcelveil.scan.allowlist import covers
from parcelveil.scan.baseline import BaselineWriter
from parcelveil.scan.document import Document
from parcelveil.scan.engine import Scanner
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.manifest import Manifest
from parcelveil.scan.resume import Journal
from parcelveil.scan.sinks import ALLOWED, Allowed, Sink
from parcelveil.scan.tally import Tally

#: Findings of this tier and below are wanted, unless somebody asks for more: 2 stands on weak ground.
TIER = 1
_BASELINE = ALLOWED.index("baseline")


@dataclass(frozen=True)
class Wanted:
    """Which findings are wanted: kinds or classes of kinds (``phone``), and how weak the ground may be."""

    only: Sequence[str] = ()
    but: Sequence[str] = ()
    tier: int = TIER

    def of(self, findings: pa.RecordBatch) -> pa.RecordBatch:
        """The wanted ones."""
        tier = findings["tier"]
        keep = pc.less_equal(tier, pa.scalar(self.tier, tier.type))
        if self.only or self.but:
            coded = findings["kind"].dictionary_encode()
            good = np.array([self._kind(kind) for kind in coded.dictionary.to_pylist()] or [True])
            keep = pc.and_(keep, pa.array(good[np.asarray(coded.indices)]))
        return findings if pc.all(keep).as_py() else findings.filter(keep)

    def _kind(self, kind: str) -> bool:
        among = not self.only or any(covers(name, kind) for name in self.only)
        return among and not any(covers(name, kind) for name in self.but)


class Survey:
    """See the module."""

    def __init__(
        self,
        scanner: Scanner,
        *,
        wanted: Wanted | None = None,
        allowing: Allowing | None = None,
        manifest: Manifest | None = None,
        sinks: Sequence[Sink] = (),
        baseline: BaselineWriter | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.tally = Tally()
        self.manifest = manifest or Manifest()
        self.allowing = allowing or Allowing()
        self.weak = 0  # findings of a tier that is not wanted
        self.bytes = self.rows = self.findings = 0  # so far
        self.restored = 0  # files that were finished by a run before
        #: Called now and then while documents are read; it may raise, to end the scan.
        self.moved: Callable[[], object] = lambda: None
        #: While it is true, findings are on their way into outputs and counts: who breaks in now makes these differ.
        self.counting = False
        self._scanner, self._wanted = scanner, wanted or Wanted()
        self._sinks = [*([journal.sink] if journal else []), *sinks]
        self._baseline, self._journal = baseline, journal
        self._found: Counter[tuple[str, str]] = Counter()  # source and member -> findings since its last line
        self._parts: dict[tuple[str, str], dict[str, None]] = {}
        self._source: str | None = None
        self._reads: list[Read] = []

    # --- while files are read

    def take(self, document: Document) -> None:
        """Scan a document to its end."""
        if document.chunks is not None:
            document.chunks = self._bytes(document.chunks)
        if document.batches is not None:
            document.batches = self._rows(document.batches)
        place = document.place
        self._parts.setdefault((place.source, place.member), {})[place.part] = None
        for batch in self._scanner.scan(document):
            found = self._wanted.of(batch)
            if found.num_rows < batch.num_rows:
                self.weak += int(pc.sum(pc.greater(batch["tier"], self._wanted.tier)).as_py() or 0)
            if found.num_rows:
                self._add(found, document.format, self._sinks)
                self._found[place.source, place.member] += found.num_rows
            self.moved()

    def note(self, read: Read) -> None:
        """Take a line of the manifest, which readers give behind the documents that it speaks of."""
        place = read.place
        if found := self._found.pop((place.source, place.member), 0):
            read = msgspec.structs.replace(read, findings=found)
        self._line(read, self._parts.pop((place.source, place.member), {}))
        if self._journal is not None:
            self._reads.append(read)
        self.moved()

    def skip(self, place: Place) -> bool:
        """Whether a place was finished by a run before. Readers ask this of each file before they open it."""
        if self._journal is None or place.member:
            return False
        if place.source != self._source:
            self._end_source()
            if self._journal.done(place.source):
                return True
            self._journal.start(place.source)
            self._source = place.source
        return False

    def label(self, place: Place, masked: str) -> None:
        """Take note that the picture at ``place`` is a waybill label."""
        self._parts.setdefault((place.source, place.member), {})[place.part] = None
        self.tally.label(place, masked)

    def restore(self) -> None:
        """Take what the journal has of files that were finished before, for everything but its own findings."""
        if self._journal is None:
            return
        reads: dict[str, list[Read]] = {}
        for read in self._journal.reads():
            reads.setdefault(read.place.source, []).append(read)
        self.restored = len(reads)
        last = ""
        for batch, _ in self._journal.replay():
            for part in _by_source(batch):
                source = part["source"][0].as_py()
                if source != last:
                    self._lines(reads.pop(last, []))
                    last = source
                formats = {(read.place.member): read.format for read in reads.get(source, [])}
                for member in _by_column(part, "member"):
                    place = member["member"][0].as_py()
                    parts = self._parts.setdefault((source, place), {})
                    parts.update(dict.fromkeys(member["part"].unique().to_pylist()))
                    self._add(member, formats.get(place, ""), self._sinks[1:])
                    self.moved()
        for rest in list(reads):
            self._lines(reads.pop(rest))

    # --- at the end

    def finish(self) -> None:
        """End the counting, and the journal's last file. Sinks are for who opened them to close."""
        self._end_source()
        self.tally.finish()

    def _end_source(self) -> None:
        if self._journal is not None and self._source is not None:
            self._journal.finish(self._source, self._reads)
            self._source, self._reads = None, []

    # --- inside

    def _add(self, found: pa.RecordBatch, format: str, sinks: Sequence[Sink]) -> Allowed:
        allowed = self.allowing.codes(found)
        self.counting = True
        try:
            for sink in sinks:
                sink.write(found, allowed)
            if self._baseline is not None:
                kept = (allowed == 0) | (allowed == _BASELINE)
                self._baseline.write(found if kept.all() else found.filter(pa.array(kept)))
            self.tally.add(found, allowed, format=format)
            self.findings += found.num_rows
        finally:
            self.counting = False
        return allowed

    def _lines(self, reads: Sequence[Read]) -> None:
        for read in reads:
            self._line(read, self._parts.pop((read.place.source, read.place.member), {}))

    def _line(self, read: Read, parts: dict[str, None]) -> None:
        self.manifest.note(read)
        self.allowing.was_read(read)
        for part in {read.place.part: None, **parts}:
            self.tally.read(msgspec.structs.replace(read, place=msgspec.structs.replace(read.place, part=part)))

    def _bytes(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.bytes += len(chunk)
            self.moved()
            yield chunk

    def _rows(self, batches: Iterator[tuple[int, pa.RecordBatch]]) -> Iterator[tuple[int, pa.RecordBatch]]:
        for first, batch in batches:
            self.rows += batch.num_rows
            self.bytes += batch.get_total_buffer_size()
            self.moved()
            yield first, batch


def _by_source(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    return _by_column(batch, "source")


def _by_column(batch: pa.RecordBatch, name: str) -> Iterator[pa.RecordBatch]:
    """The stretches of a batch in which a column stays the same."""
    codes = np.asarray(batch[name].dictionary_encode().indices)
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]).tolist() if len(codes) else []
    for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
        yield batch.slice(start, end - start)
