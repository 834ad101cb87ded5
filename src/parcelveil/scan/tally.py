"""Counts findings as they come, and says of each document what it is.

::

    tally = Tally()
    tally.add(batch, allowed, format="csv")   # FINDINGS of a document, in any number of batches
    tally.read(read)                          # its line of the manifest
    for verdict in tally.verdicts(): ...      # worst first

A document here is source, member and part: pages of a PDF are one, sheets of a workbook and tables of a database are one
each. Memory is bounded: values are counted by :class:`~parcelveil.scan.distinct.Distinct`, and only a few
documents are open at a time.

**People** are counted by keyed fingerprints, never by names: a number or an address of e-mail is one person, a name may be
many. The count is the greater of two, each of which can only be too low where a person has one number of a kind:

* the most different values of one class (phones, identity numbers, e-mail addresses, chat ids, accounts);
* in tables, the different *rows*, a row being known by its strongest value (identity number before phone before the
  rest; where there is none by name and address together). So a table in which half of the rows have a phone and the others
  an e-mail address counts right. The findings of a row should come in one batch, as those of a table's batch do; of
  each batch the last row is held back and joined with what the next one says of it.

Without any such value, different names count.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.scan.distinct import Distinct, Hashes, hashes_of
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.sinks import Allowed
from parcelveil.scan.verdict import SENSITIVE, SEVERITIES, STRONG, Facts, Severity, judged, within, words

#: A readable finding below this is more likely nothing: it makes no verdict.
LIKELY = 0.5
#: Documents that are counted side by side. Readers give one after the other; a few more for engines with threads.
OPEN = 64
#: Verdicts that are kept; of more, the worst.
KEPT = 20_000
#: Columns of a document that are counted by themselves. A hostile table may have any number.
COLUMNS = 512
#: Exact values of a column: 32 KiB.
_COLUMN_VALUES = 4_096
#: Places of each kind that a verdict names, for reports that want examples.
EXAMPLES = 5
#: Steps in which confidences are counted.
STEPS = 1_000

#: Rows are known by the first of these that they have: the rarer shared between people, the earlier.
_RANK = {name: len(STRONG) + 1 - rank for rank, name in enumerate(STRONG)}
_NAME = 1  # names and addresses: together
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplying by it loses nothing


class Column(msgspec.Struct, frozen=True):
    """What stands in a column: findings of its commonest kind, and how many different values those are."""

    name: str
    kind: str
    findings: int
    values: int
    exact: bool


class Example(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where one of the findings is."""

    page: int = -1
    line: int = -1
    row: int = -1
    column: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What a document is. ``findings`` counts all of them, of every state, allowed ones too."""

    place: Place
    code: str
    severity: Severity
    facts: Facts
    findings: int
    confidence: float  # mean over the readable ones that make the verdict; 0 where there are none
    values: dict[str, int]  # kind -> different values, of the kinds of facts
    columns: list[Column] = []
    examples: dict[str, list[Example]] = {}
    read: Read | None = None

    def words(self, language: str) -> str:
        """The verdict in a line, in ``en`` or ``zh``."""
        return words(self.code, self.facts, "zh" if language == "zh" else "en")


class _Unit:
    """A document that is being counted."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.format = ""
        self.label: str = ""
        self.findings = self.in_rows = self.unsure = self.allowed = 0
        self.states: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.confidences = 0.0
        self.values: dict[str, Distinct] = {}
        self.columns: dict[tuple[str, str], tuple[Counter[str], Distinct]] = {}
        self.examples: dict[str, list[Example]] = {}
        self.rows = Distinct()
        self._last: tuple[int, int, int] | None = None  # row, rank and hash of the row that may go on

    def add(self, findings: pa.RecordBatch, allowed: npt.NDArray[np.bool_], sure: npt.NDArray[np.bool_]) -> None:
        self.findings += findings.num_rows
        self.allowed += int(allowed.sum())
        states, state_of = _encoded(findings["state"])
        for code, state in enumerate(states):
            self.states[state] += int(((state_of == code) & ~allowed).sum())
        clear = (np.isin(state_of, [code for code, state in enumerate(states) if state == "clear"])) & ~allowed
        self.unsure += int((clear & ~sure).sum())
        index = np.flatnonzero(sure)
        if not len(index):
            return
        part = findings if len(index) == findings.num_rows else findings.take(pa.array(index))
        hashes = hashes_of(part["fingerprint"])
        kinds, kind_of = _encoded(part["kind"])
        self.confidences += float(np.asarray(part["confidence"], dtype=np.float64).sum())
        for code, kind in enumerate(kinds):
            rows = kind_of == code
            self.kinds[kind] += int(rows.sum())
            self.values.setdefault(kind, Distinct()).add(hashes[rows])
            self._examples(kind, part, np.flatnonzero(rows))
        numbers = np.asarray(part["row"])
        # Rows of samples and of servers have no numbers; what stands in a column of a name stands in a row.
        self.in_rows += int(((numbers > 0) | np.asarray(pc.not_equal(part["column"], ""))).sum())
        self._count_columns(part["column"], kinds, kind_of, hashes)
        self._count_rows(numbers, np.array([_rank(kind) for kind in kinds])[kind_of], hashes)

    def _examples(self, kind: str, findings: pa.RecordBatch, rows: npt.NDArray[np.intp]) -> None:
        known = self.examples.setdefault(kind, [])
        for row in rows[: EXAMPLES - len(known)].tolist():
            page, line, number, column = (findings[name][row].as_py() for name in ("page", "line", "row", "column"))
            known.append(Example(page, line, number, column))

    def _count_columns(
        self, column: pa.Array, kinds: Sequence[str], kind_of: npt.NDArray[np.int32], hashes: Hashes
    ) -> None:
        names, name_of = _encoded(column)
        for code, name in enumerate(names):
            key = (self.place.part, name)
            if not name or (key not in self.columns and len(self.columns) >= COLUMNS):
                continue
            counts, values = self.columns.setdefault(key, (Counter(), Distinct(_COLUMN_VALUES)))
            rows = name_of == code
            for kind, count in enumerate(np.bincount(kind_of[rows], minlength=len(kinds)).tolist()):
                if count:
                    counts[kinds[kind]] += count
            values.add(hashes[rows])

    def _count_rows(self, numbers: npt.NDArray[np.int64], ranks: npt.NDArray[np.int64], hashes: Hashes) -> None:
        """Count each row by the strongest of its values; hold the greatest row back."""
        used = (numbers > 0) & (ranks > 0)
        if not used.any():
            return
        numbers, ranks, hashes = numbers[used], ranks[used], hashes[used]
        if self._last is not None:
            row, rank, value = self._last
            numbers = np.append(numbers, row)
            ranks = np.append(ranks, rank)
            hashes = np.append(hashes, np.uint64(value))
        order = np.lexsort((hashes, -ranks, numbers))
        numbers, ranks, hashes = numbers[order], ranks[order], hashes[order]
        first = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
        best, keys = ranks[first], hashes[first].copy()
        # Names and addresses know a row together only: everything of that rank is mixed, in the order of hashes.
        weak = np.flatnonzero(best == _NAME)
        if len(weak):
            mixed = np.add.reduceat(hashes * _MIX, first)
            keys[weak] = mixed[weak]
        self.rows.add(keys[:-1])
        self._last = (int(numbers[-1]), int(best[-1]), int(keys[-1]))

    def verdict(self, read: Read | None) -> Verdict:
        if self._last is not None:
            self.rows.add(np.array([self._last[2]], dtype=np.uint64))
            self._last = None
        people, exact = people_of(self.values, self.rows if self.in_rows else None)
        sensitive, _ = people_of({k: v for k, v in self.values.items() if within(k, SENSITIVE)}, None, SENSITIVE)
        sure = sum(self.kinds.values())
        facts = Facts(
            format=self.format or (read.format if read else ""),
            name=self.place.text,
            people=people,
            people_exact=exact,
            sensitive=sensitive,
            in_rows=2 * self.in_rows > sure,
            kinds=dict(self.kinds.most_common()),
            masked=self.states["masked"],
            protected=self.states["protected"],
            keys=self.states["key"],
            unsure=self.unsure,
            allowed=self.allowed,
            label=self.label,  # type: ignore[arg-type]
        )
        code, severity = judged(facts)
        columns = [
            Column(name, counts.most_common(1)[0][0], counts.total(), values.count, values.exact)
            for (_, name), (counts, values) in self.columns.items()
        ]
        return Verdict(
            self.place, code, severity, facts, self.findings, round(self.confidences / sure, 3) if sure else 0.0,
            {kind: values.count for kind, values in self.values.items()}, columns, self.examples, read,
        )  # fmt: skip


def people_of(values: dict[str, Distinct], rows: Distinct | None, classes: Sequence[str] = STRONG) -> tuple[int, bool]:
    """How many people there are at the least, and whether that is exact; see the module."""
    merged: dict[str, Distinct] = {}
    for kind, seen in values.items():
        for name in classes:
            if within(kind, (name,)):
                merged.setdefault(name.partition(".")[0] if name.startswith("phone") else name, Distinct()).merge(seen)
    if rows is not None:
        merged["rows"] = rows
    if not merged:
        merged = {kind: seen for kind, seen in values.items() if within(kind, ("person",))}
    most = max(merged.values(), key=lambda seen: seen.count, default=None)
    return (most.count, most.exact) if most is not None else (0, True)


def _rank(kind: str) -> int:
    for name, rank in _RANK.items():
        if within(kind, (name,)):
            return rank
    return _NAME if within(kind, ("person", "address")) else 0


def _encoded(column: pa.Array) -> tuple[list[str], npt.NDArray[np.int32]]:
    encoded = pc.dictionary_encode(column)
    return encoded.dictionary.to_pylist(), np.asarray(encoded.indices)


class Tally:
    """See the module."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, str, str], _Unit] = OrderedDict()
        self._closed: list[Verdict] = []
        self.dropped = 0  # verdicts that were too many to keep, each no worse than those kept
        self.documents = 0  # with findings
        self.kinds: dict[str, Counter[str]] = {}  # state -> kind -> findings that are not allowed
        self.allowed = 0
        self._values: dict[str, Distinct] = {}
        self._confidences = np.zeros(STEPS + 1, dtype=np.int64)  # of readable ones that are not allowed
        self.worst: Severity = "none"
        self.severities: Counter[str] = Counter()

    def add(self, findings: pa.RecordBatch, allowed: Allowed | None = None, *, format: str = "") -> None:
        """Count a batch of FINDINGS. ``allowed`` holds codes of :data:`~parcelveil.scan.sinks.ALLOWED`."""
        if not findings.num_rows:
            return
        is_allowed = np.zeros(findings.num_rows, dtype=np.bool_) if allowed is None else allowed > 0
        confidence = np.asarray(findings["confidence"], dtype=np.float64)
        clear = np.asarray(pc.equal(findings["state"], "clear")) & ~is_allowed
        # A float32 of 0.9 is a little less than 0.9: rounded to the step it means.
        steps = np.rint(np.clip(confidence, 0, 1) * STEPS).astype(np.int64)
        self._confidences += np.bincount(steps[clear], minlength=STEPS + 1)
        sure = clear & (steps >= LIKELY * STEPS) & (np.asarray(findings["tier"]) == 1)
        self.allowed += int(is_allowed.sum())
        self._count_all(findings, is_allowed, sure)
        names = (findings["source"], findings["member"], findings["part"])
        places, place_of = _encoded(pc.binary_join_element_wise(*names, "\0"))
        for code, place in enumerate(places):
            rows = np.flatnonzero(place_of == code)
            whole = len(rows) == findings.num_rows
            part = findings if whole else findings.take(pa.array(rows))
            unit = self._unit(*place.split("\0", 2))
            unit.format = format or unit.format
            unit.add(part, is_allowed[rows], sure[rows])

    def _count_all(self, findings: pa.RecordBatch, allowed: npt.NDArray[np.bool_], sure: npt.NDArray[np.bool_]) -> None:
        joined = pc.binary_join_element_wise(findings["state"], findings["kind"], "\0")
        names, name_of = _encoded(joined)
        counts = np.bincount(name_of[~allowed], minlength=len(names))
        hashes = hashes_of(findings["fingerprint"])
        for code, name in enumerate(names):
            state, _, kind = name.partition("\0")
            if counts[code]:
                self.kinds.setdefault(state, Counter())[kind] += int(counts[code])
            rows = sure & (name_of == code)
            if rows.any():
                self._values.setdefault(kind, Distinct()).add(hashes[rows])

    def label(self, place: Place, masked: str) -> None:
        """Take note that the picture at ``place`` is a waybill label: masked, clear, partly, or unknown."""
        self._unit(place.source, place.member, place.part).label = masked

    def read(self, read: Read) -> None:
        """Take note of a document's line of the manifest: its counting ends."""
        unit = self._open.pop((read.place.source, read.place.member, read.place.part), None)
        if unit is not None:
            self._close(unit, read)

    def _unit(self, source: str, member: str, part: str) -> _Unit:
        key = (source, member, part)
        unit = self._open.get(key)
        if unit is None:
            unit = self._open[key] = _Unit(Place(source, member, part))
            if len(self._open) > OPEN:
                self._close(self._open.popitem(last=False)[1], None)
        return unit

    def _close(self, unit: _Unit, read: Read | None) -> None:
        verdict = unit.verdict(read)
        self._closed.append(verdict)
        self.documents += 1
        self.severities[verdict.severity] += 1
        if SEVERITIES.index(verdict.severity) > SEVERITIES.index(self.worst):
            self.worst = verdict.severity
        if len(self._closed) > 2 * KEPT:
            self._closed.sort(key=_badness, reverse=True)
            self.dropped += len(self._closed) - KEPT
            del self._closed[KEPT:]

    def finish(self) -> None:
        """End the counting of all documents that are still open."""
        while self._open:
            self._close(self._open.popitem(last=False)[1], None)

    def verdicts(self) -> Iterator[Verdict]:
        """Documents with findings, the worst first. Ends the counting."""
        self.finish()
        yield from sorted(self._closed, key=_badness, reverse=True)

    @property
    def findings(self) -> int:
        """Findings that are not allowed, of every state."""
        return sum(counts.total() for counts in self.kinds.values())

    @property
    def people(self) -> tuple[int, bool]:
        """Different people in everything together, and whether that is exact."""
        return people_of(self._values, None)

    def values(self) -> dict[str, tuple[int, bool]]:
        """Kind -> different readable values in everything together, and whether that is exact."""
        return {kind: (seen.count, seen.exact) for kind, seen in self._values.items()}

    def at_least(self, confidence: float) -> int:
        """Readable findings that are not allowed, of at least this confidence."""
        return int(self._confidences[round(confidence * STEPS) :].sum())


def _badness(verdict: Verdict) -> tuple[int, int, int]:
    return SEVERITIES.index(verdict.severity), verdict.facts.people, verdict.findings


class Threshold(msgspec.Struct, frozen=True):
    """When a scan fails: a document as bad as ``severity``, or more than ``findings`` of at least ``confidence``."""

    severity: Severity | None = None
    findings: int | None = None
    confidence: float = LIKELY

    def exceeded(self, tally: Tally) -> bool:
        """Whether a scan's outcome is over the threshold. Ends the counting."""
        tally.finish()
        if self.severity is not None and SEVERITIES.index(tally.worst) >= SEVERITIES.index(self.severity):
            return True
        return self.findings is not None and tally.at_least(self.confidence) > self.findings
