"""Runs the scanner over the sets and judges what it finds.

::

    final = Measured(Scanner.default(least=LEAST), world="final", seed=SEEDS["final"])
    final.scores["phone.mobile"].recall
    final.kept["phone.mobile"]           # recall glued into Chinese, as a share of the recall alone

All figures are of one world and of the lines written by hand that belong to it: ``held_out``, on which nothing is fitted but
after which rules were corrected, or ``final``, after which nothing was.
"""

from __future__ import annotations

from functools import cached_property

import pyarrow as pa
from accuracy.judge import TOLD, Judged, Score, found_in, judge, reliability, scores
from accuracy.world import CONTEXTS, Made, alone, difficult, documents, fields, kinds, placed

from parcelveil.scan.document import Document
from parcelveil.scan.engine import Scanner
from parcelveil.scan.findings import FINDINGS, Place

#: Findings from here on are asked for: below, a calibration would only show that what is never told is never right.
LEAST = 0.1
#: First seeds of the worlds.
SEEDS = {"held_out": 0, "final": 100}
#: Lines of each kind that stand alone, and glued into Chinese.
LINES = 400
#: Rows of each kind in each context.
PLACED = 60
#: Values as people write them: full-width, in groups.
STYLES = {
    "phone.mobile": ("wide", "spaced", "hyphen", "country"),
    "id.resident": ("wide", "spaced", "lower", "ends-x"),
    "card.bank": ("wide", "spaced", "hyphen"),
    "vehicle.plate": ("dotted", "new"),
    "bank.iban": ("spaced",),
    "net.email": ("number",),
    "address.cn": ("short", "spaced"),
    "person.name": ("ethnic", "masked", "latin"),
    "parcel.waybill": ("ZTO", "YUNDA"),
}


def scanned(scanner: Scanner, made: Made) -> pa.RecordBatch:
    """The findings in a document."""
    delimiter = {"csv": ",", "tsv": "\t", "csv;": ";"}.get(made.format, "")
    document = Document(
        Place(made.name),
        "delimited" if delimiter else "text",
        made.format.strip(";"),
        iter([made.data]),
        delimiter=delimiter,
    )
    batches = list(scanner.scan(document))
    return (
        pa.Table.from_batches(batches, FINDINGS).combine_chunks().to_batches()[0] if batches else FINDINGS.empty_table()
    )


def judged(scanner: Scanner, made: Made) -> Judged:
    """A document scanned and judged."""
    return judge(made, found_in(scanned(scanner, made)))


class Measured:
    """The sets of a world, scanned once."""

    def __init__(
        self, scanner: Scanner, *, lines: int = LINES, scale: float = 1.0, seed: int = 0, world: str = "held_out"
    ) -> None:
        self._scanner, self._lines, self._scale, self._seed, self._world = scanner, lines, scale, seed, world

    @cached_property
    def documents(self) -> list[Judged]:
        """Documents and lines written by hand."""
        return [
            judged(self._scanner, made)
            for made in documents(self._world, self._seed, self._scale) + difficult(self._seed, self._world)
        ]

    @cached_property
    def lone(self) -> dict[str, Judged]:
        """Each kind by itself."""
        return {kind: self._one(kind) for kind in kinds(self._world)}

    @cached_property
    def wrapped(self) -> dict[str, Judged]:
        """The same lines, glued into Chinese."""
        return {kind: self._one(kind, wrapped=True) for kind in kinds(self._world)}

    @cached_property
    def styled(self) -> dict[str, Judged]:
        """Each kind in each way of writing."""
        return {f"{kind}:{style}": self._one(kind, style=style) for kind, styles in STYLES.items() for style in styles}

    @cached_property
    def placed(self) -> dict[str, dict[str, Judged]]:
        """By context, each kind under a header or key of its own."""
        return {
            context: {
                slot: judged(self._scanner, placed(self._world, slot, context, PLACED, seed=self._seed))
                for slot in fields(self._world)
            }
            for context in CONTEXTS
        }

    def _one(self, kind: str, *, wrapped: bool = False, style: str = "") -> Judged:
        return judged(
            self._scanner, alone(self._world, kind, self._lines, wrapped=wrapped, style=style, seed=self._seed)
        )

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Recall, precision and calibration by kind, over documents and all lines."""
        return scores([*self.documents, *self.lone.values(), *self.wrapped.values(), *self.styled.values()])

    @cached_property
    def in_documents(self) -> dict[str, Score]:
        """The same over documents only: what their mixture of people and of nothing gives."""
        return scores(self.documents)

    @cached_property
    def kept(self) -> dict[str, float]:
        """Recall glued into Chinese over recall alone."""
        return {kind: share(self.wrapped[kind]) / max(share(self.lone[kind]), 1e-9) for kind in self.lone}

    def pairs(self, least: float = LEAST) -> list[tuple[float, bool]]:
        """Confidence and truth of all findings in documents, from a confidence on."""
        return [
            (found.confidence, right)
            for one in self.documents
            for found, right in zip(one.counted, one.right, strict=True)
            if found.confidence >= least
        ]

    @cached_property
    def reliability(self) -> list[tuple[float, float, int]]:
        """The table of reliability of documents."""
        return reliability(self.pairs())


def share(one: Judged) -> float:
    """The recall of a document."""
    return 1 - len(one.missed) / max(len(one.truths), 1)


__all__ = ["LEAST", "SEEDS", "STYLES", "TOLD", "Measured", "judged", "scanned", "share"]
