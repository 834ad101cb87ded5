"""Hits as findings: place, confidence, reason and fingerprint in Arrow columns, and not one value.

::

    batch = Assembler(detector, key).findings(hits, data, Place("app.log"), base=0, lines=lines)

Reasons are short codes joined by "; " (:mod:`parcelveil.scan.reasons` says them in words): ``check; cue:电话``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.scan.assemble_passes import ADDRESS, PHONE, PLAIN, circumstances, normalise
from parcelveil.scan.context import COLUMN, CUED, JOINED, OPPOSED, OTHER, WEAK
from parcelveil.scan.findings import FINDINGS, Place
from parcelveil.scan.hits import Bytes, Detector, Hits, Index
from parcelveil.scan.key import ScanKey
from parcelveil.scan.people import WHY
from parcelveil.scan.reasons import JOINT


class Assembler:
    """Makes findings of hits, for one rule set and key."""

    def __init__(self, detector: Detector, key: ScanKey) -> None:
        self._detector, self._key = detector, key
        rules = detector.rules
        self._kinds = [rule.kind for rule in rules]
        self._kind = pa.array(self._kinds, pa.string())
        self._state = pa.array([rule.state for rule in rules], pa.string())
        self._tier = pa.array([rule.tier for rule in rules], pa.int8())
        self._form = np.array([_form(rule.kind) for rule in rules] or [0], np.int64)
        self._reasons: dict[tuple[int, int, int], str] = {}

    def findings(
        self,
        hits: Hits,
        data: Bytes,
        place: Place,
        *,
        starts: Index,
        ends: Index,
        line: Index | None = None,
        row: Index | None = None,
        column: pa.Array | None = None,
        box: pa.Array | None = None,
    ) -> pa.RecordBatch:
        """A batch of FINDINGS. ``starts`` and ``ends`` are what it shall say, ``data`` is what the hits lie in."""
        count = len(hits.start)
        rule = pa.array(hits.rule.astype(np.int32))
        nowhere = np.full(count, -1, np.int64)
        columns = [
            _all(place.source, count),
            _all(place.member, count),
            _all(place.part, count),
            pa.array(np.full(count, place.page, np.int32)),
            box if box is not None else pa.nulls(count, FINDINGS.field("box").type),
            pa.array(nowhere if line is None else line),
            pa.array(nowhere if row is None else row),
            _all("", count) if column is None else column,
            pa.array(starts),
            pa.array(ends),
            self._kind.take(rule),
            self._state.take(rule),
            self._tier.take(rule),
            pa.array(1 / (1 + np.exp(-hits.log_odds)), pa.float32()),
            self._reason(hits),
            self._fingerprints(hits, data),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=FINDINGS)

    def _fingerprints(self, hits: Hits, data: Bytes) -> pa.Array:
        room = int((hits.end - hits.start).sum())
        offsets, values = np.zeros(len(hits.start) + 1, np.int32), np.empty(room, np.uint8)
        normalise(data, hits.start, hits.end, self._form[hits.rule], offsets, values)
        array = pa.Array.from_buffers(
            pa.binary(), len(hits.start), [None, pa.py_buffer(offsets), pa.py_buffer(values[: offsets[-1]])]
        )
        return self._key.fingerprints(self._kinds, hits.rule, array)

    def _reason(self, hits: Hits) -> pa.Array:
        """One text for each combination that occurs; there are few."""
        coded = pa.array(circumstances(hits.rule, hits.word, hits.features)).dictionary_encode()
        texts = [self._said(one >> 40, (one >> 8 & 0xFFFFFFFF) - 1, one & 0xFF) for one in coded.dictionary.to_pylist()]
        return pa.array(texts, pa.string()).take(coded.indices)

    def _said(self, rule: int, word: int, bits: int) -> str:
        key = (rule, word, bits)
        if key not in self._reasons:
            own = self._detector.rules[rule]
            patterned = rule < len(self._detector.patterned)
            if not patterned:
                codes = [WHY[word]] if word >= 0 else []
            else:
                has = [bool(bits >> one & 1) for one in range(6)]
                codes = ["weak check" if has[WEAK] else "check" if own.check else "shape"]
                if word >= 0 and (has[CUED] or has[OPPOSED]):
                    codes.append(f"{'cue' if has[CUED] else 'against'}:{self._detector.words[word]}")
                codes += [name for one, name in ((JOINED, "joined"), (OTHER, "other column")) if has[one]]
                codes += [f"column:{own.kind.partition('.')[2]}"] if has[COLUMN] else []
            if own.state == "masked":
                codes.append("masked")
            if own.kind == "phone.virtual":
                codes.append("extension")
            if own.kind.startswith("sealed."):
                codes.append("sealed")
            self._reasons[key] = JOINT.join(codes)
        return self._reasons[key]


def _all(text: str, count: int) -> pa.Array:
    return pc.fill_null(pa.nulls(count, pa.string()), text)


def _form(kind: str) -> int:
    return PHONE if kind.startswith("phone.") else ADDRESS if kind == "net.email" else PLAIN


def columns_named(names: Sequence[str], column: npt.NDArray[np.int32]) -> pa.Array:
    """The header of each column number; "" for those without one, "3" for the third of a table without headers."""
    most = int(column.max(initial=-1)) + 1
    texts = [names[i] if i < len(names) and names[i] else str(i + 1) if not names else "" for i in range(most)]
    index = pa.array(np.maximum(column, 0), mask=column < 0)
    return pc.fill_null(pa.array([*texts, ""], pa.string()).take(index), "")
