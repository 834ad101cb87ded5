"""Says which findings are right, and sums them up: recall, precision, F, calibration.

A finding is right when a truth of its kind and state lies there and was not found before: at the very same bytes for
numbers (a country's code may be left out), over at least three quarters of both for names and addresses. What is
optional, or a kind that a document does not care about, counts neither way::

    >>> made = Made("x", "text", b"tel 13800138000", [Truth("phone.mobile", 4, 15)])
    >>> judged = judge(made, [Found("phone.mobile", 4, 15, "clear", 0.9), Found("card.bank", 0, 3, "clear", 0.2)])
    >>> judged.right, judged.missed
    ([True, False], [])
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
from accuracy.world import Made, Truth

#: Findings below it are not counted as told, though they are in the calibration.
TOLD = 0.5
#: Bins of the table of reliability.
BINS = 10
_OVERLAP = 0.75
_TEXTS = ("person.", "address.")
#: A name in prose may be told with the certainty of a context, and the other way round.
_SAME = {"person.name_prose": "person.name"}


class Found(NamedTuple):
    """A finding, as far as it is judged."""

    kind: str
    start: int
    end: int
    state: str
    confidence: float


class Judged(NamedTuple):
    """``right`` a finding that counts; ``missed``: truths that no finding of confidence TOLD or more tells."""

    counted: list[Found]
    right: list[bool]
    missed: list[Truth]
    truths: list[Truth]
    name: str


def found_in(batch: pa.RecordBatch) -> list[Found]:
    """The findings of a batch."""
    columns = [batch.column(name).to_pylist() for name in ("kind", "start", "end", "state", "confidence")]
    return [Found(*row) for row in zip(*columns, strict=True)]


#: A country's code, which may be a part of the number or stand before it.
_CODE = re.compile("(?:[(（]?[+＋]?(?:00)?(?:86|８６)[)）]?[ \u3000-]?|0)?")


def _fits(found: Found, truth: Truth, data: bytes) -> bool:
    if _SAME.get(found.kind, found.kind) != _SAME.get(truth.kind, truth.kind) or found.state != truth.state:
        return False
    if found.kind.startswith(_TEXTS):
        both = min(found.end, truth.end) - max(found.start, truth.start)
        return both >= _OVERLAP * max(found.end - found.start, truth.end - truth.start)
    before = data[found.start : truth.start + truth.lead].decode("utf-8", "replace")
    return found.end == truth.end and (
        found.start == truth.start or (truth.kind == "phone.mobile" and bool(_CODE.fullmatch(before)))
    )


def judge(made: Made, findings: Iterable[Found]) -> Judged:
    """Compare what was found in a document with what is there."""
    truths = sorted(made.truths, key=lambda truth: truth.start)
    starts = [truth.start for truth in truths]
    longest = max((truth.end - truth.start for truth in truths), default=0)
    used: set[int] = set()
    told: set[int] = set()
    counted, right = [], []
    for found in sorted(findings, key=lambda found: (-found.confidence, found.start)):
        if found.kind in made.optional:
            continue
        low, high = bisect_left(starts, found.start - longest), bisect_left(starts, found.end)
        near = [at for at in range(low, high) if truths[at].end > found.start]
        hit = next(
            (at for at in near if at not in used and not truths[at].optional and _fits(found, truths[at], made.data)),
            None,
        )
        if hit is None and any(truths[at].optional and truths[at].kind == found.kind for at in near):
            continue
        if hit is not None:
            used.add(hit)
            # A name in its context, told as one in prose, is right but not found.
            if found.confidence >= TOLD and (found.kind == truths[hit].kind or found.kind == "person.name"):
                told.add(hit)
        counted.append(found)
        right.append(hit is not None)
    missed = [truth for at, truth in enumerate(truths) if not truth.optional and at not in told]
    return Judged(counted, right, missed, [truth for truth in truths if not truth.optional], made.name)


class Score(NamedTuple):
    """Of one kind. ``error`` is its expected calibration error, over all findings of any confidence."""

    kind: str
    truths: int
    found: int  # truths that were told
    told: int  # findings of confidence TOLD or more
    wrong: int  # of these
    error: float

    @property
    def recall(self) -> float:
        return self.found / self.truths if self.truths else 1.0

    @property
    def precision(self) -> float:
        return 1 - self.wrong / self.told if self.told else 1.0

    @property
    def f(self) -> float:
        return 2 * self.recall * self.precision / max(self.recall + self.precision, 1e-9)


def reliability(pairs: Iterable[tuple[float, bool]]) -> list[tuple[float, float, int]]:
    """Mean confidence, share that is right, and count, by tenths of confidence."""
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, right in pairs:
        bins[min(int(confidence * BINS), BINS - 1)].append((confidence, right))
    return [
        (sum(pair[0] for pair in held) / len(held), sum(pair[1] for pair in held) / len(held), len(held))
        for _, held in sorted(bins.items())
    ]


def calibration_error(pairs: Iterable[tuple[float, bool]]) -> float:
    """Expected calibration error: the mean gap between confidence and share that is right, weighted by count."""
    table = reliability(pairs)
    total = sum(count for _, _, count in table)
    return sum(abs(mean - share) * count for mean, share, count in table) / total if total else 0.0


def scores(judged: Iterable[Judged]) -> dict[str, Score]:
    """The score of each kind that is there or was told, over many documents; "all" over all kinds."""
    truths: dict[str, int] = defaultdict(int)
    missed: dict[str, int] = defaultdict(int)
    pairs: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for one in judged:
        for truth in one.truths:
            truths[truth.kind] += 1
        for truth in one.missed:
            missed[truth.kind] += 1
        for found, right in zip(one.counted, one.right, strict=True):
            pairs[found.kind].append((found.confidence, right))
    pairs["all"] = [pair for held in list(pairs.values()) for pair in held]
    truths["all"], missed["all"] = sum(truths.values()), sum(missed.values())
    made = {}
    for kind in sorted({*truths, *pairs}):
        told = [right for confidence, right in pairs[kind] if confidence >= TOLD]
        made[kind] = Score(
            kind,
            truths[kind],
            truths[kind] - missed[kind],
            len(told),
            told.count(False),
            calibration_error(pairs[kind]),
        )
    return made
