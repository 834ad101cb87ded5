"""Rules of one's own: regular expressions of RE2, run by pyarrow over many pieces of text at once, in linear time.

::

    rules = CustomRules([Custom(kind="acme.contract", regex=r"HT-20\\d{2}-\\d{6}")])
    spans = rules.in_text(data, low, high, base=0)        # start, end, rule, log_odds

A text is cut at fixed bytes of the whole text into pieces that overlap, so blocks make no difference. A match may have
:data:`LONGEST` bytes; it is one's own when it begins in the first :data:`STEP` bytes of a piece. Cells are matched one by one.
pyarrow tells only the first match of a text, so each match is put between two marks, and the marks are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.errors import InputError
from parcelveil.scan.rules import Custom, Rule
from parcelveil.seal.passes import buffers

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

#: A piece begins every so many bytes of the whole text …
STEP = 2048
#: … with so many of the piece before in front, that a match may not begin in the middle of a longer one …
LEAD = 256
#: … and so many behind, that a match may end there.
LONGEST = 1024
_OPEN, _CLOSE = 0x0E, 0x0F  # control characters that no text has; those that it has are blanked in the copy


class CustomSpans(NamedTuple):
    """Matches, sorted by start within a rule. ``cell``: of cells, which one; else -1."""

    start: Index
    end: Index
    rule: Index
    log_odds: npt.NDArray[np.float32]
    cell: Index


class CustomRules:
    """The rules of ``[[custom]]``. Raises InputError for an expression that RE2 does not take, or that matches nothing."""

    def __init__(self, custom: Sequence[Custom]) -> None:
        self._custom = custom
        self.rules = [
            Rule(kind=one.kind, en=one.en or one.kind, zh=one.zh or one.en or one.kind, state=one.state, check="custom")
            for one in custom
        ]
        for one in custom:
            if not 0 < one.confidence < 1:
                raise InputError("the confidence of {kind} is not between 0 and 1", hint="0.9, say", kind=one.kind)
            try:
                empty = pc.match_substring_regex(pa.array([""]), one.regex)[0].as_py()
            except pa.ArrowInvalid:
                raise InputError(
                    "the expression of {kind} is not one of RE2",
                    hint="look-around and back-references are not known there",
                    kind=one.kind,
                ) from None
            if empty:
                raise InputError("the expression of {kind} matches nothing at all", hint="", kind=one.kind)

    def in_text(self, data: Bytes, low: int, high: int, base: int) -> CustomSpans:
        """The matches that begin in ``data[low:high]``; ``data`` begins at byte ``base`` of the whole text."""
        first, last = (low + base) // STEP, max(low + base, high + base - 1) // STEP
        begins = np.arange(first, last + 1, dtype=np.int64) * STEP - base
        starts = np.clip(begins - LEAD, 0, len(data))
        ends = np.clip(begins + STEP + LONGEST, 0, len(data))
        spans = self._match(data, starts, ends)
        piece = begins[spans.cell]
        own = (spans.start >= piece) & (spans.start < piece + STEP) & (spans.start >= low) & (spans.start < high)
        return CustomSpans._make(column[own] for column in spans)._replace(cell=np.full(int(own.sum()), -1, np.int64))

    def in_cells(self, data: Bytes, starts: Index, ends: Index) -> CustomSpans:
        """The matches within cells ``data[starts[i]:ends[i]]``."""
        return self._match(data, starts, ends)

    def _match(self, data: Bytes, starts: Index, ends: Index) -> CustomSpans:
        texts = _copied(data, starts, ends)
        parts: list[CustomSpans] = []
        for rule, one in enumerate(self._custom):
            hit = np.flatnonzero(np.asarray(pc.match_substring_regex(texts, one.regex)))
            if not len(hit):
                continue
            marked = pc.replace_substring_regex(texts.take(pa.array(hit)), f"({one.regex})", "\x0e\\1\x0f")
            offsets, marks = buffers(marked)
            text = marks[offsets[0] : offsets[-1]]
            opened, closed = np.flatnonzero(text == _OPEN), np.flatnonzero(text == _CLOSE)
            row = np.searchsorted(offsets - offsets[0], opened, side="right") - 1
            # Marks before a place in its own row are taken off: two a match, and the opening one of this match.
            before = 2 * (np.arange(len(opened)) - np.searchsorted(opened, (offsets - offsets[0])[row]))
            shift = starts[hit[row]] - (offsets[row] - offsets[0])
            log_odds = np.float32(np.log(one.confidence / (1 - one.confidence)))
            parts.append(
                CustomSpans(
                    opened - before + shift,
                    closed - before - 1 + shift,
                    np.full(len(opened), rule, np.int64),
                    np.full(len(opened), log_odds, np.float32),
                    hit[row],
                )
            )
        if not parts:
            none = np.empty(0, np.int64)
            return CustomSpans(none, none, none, np.empty(0, np.float32), none)
        return CustomSpans(*map(np.concatenate, zip(*parts, strict=True)))


def whole_cells(data: Bytes, starts: Index, ends: Index, regex: str) -> npt.NDArray[np.bool_]:
    """Which of the cells ``data[starts[i]:ends[i]]`` an expression of RE2 matches from end to end."""
    return np.asarray(pc.match_substring_regex(_copied(data, starts, ends), f"^(?:{regex})$"))


def _copied(data: Bytes, starts: Index, ends: Index) -> pa.Array:
    """The pieces as strings; what is not UTF-8 in them RE2 takes for a sign that nothing matches."""
    lengths = ends - starts
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise InputError("too much text at once", hint="smaller batches")
    index = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    text = data[index]
    text[(text == _OPEN) | (text == _CLOSE)] = 0x20
    parts = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), len(starts), parts)
