"""From a block of text, or the cells of a column, to the hits that stand: pattern, check, surroundings, overlaps.

::

    detector = Detector(rules)
    hits = detector.in_text(data, low, high)            # numpy columns: start, end, rule, log_odds …
    hits = detector.in_cells(data, starts, ends, header)

``data`` is UTF-8 as an array of bytes. Of a text those hits are reported that begin in ``[low, high)``; when ``data``
holds :data:`SURROUNDINGS` bytes on both sides, where blocks begin and end makes no difference. The borders of cells are
hard: values of neighbouring cells never join, and what stands in another cell says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.scan import kernel
from parcelveil.scan.cells_pass import Judged
from parcelveil.scan.check_passes import CODES, SLOW
from parcelveil.scan.checks import BAD, CHECKS, WEAK
from parcelveil.scan.columns import HeaderWords
from parcelveil.scan.context import COLUMN, Seen, compile_cues, judge, standing, weights_of
from parcelveil.scan.custom import CustomRules, CustomSpans, whole_cells
from parcelveil.scan.folding import fold
from parcelveil.scan.kept_tables import automaton_of
from parcelveil.scan.people import People, Spans
from parcelveil.scan.rules import Custom, Rule
from parcelveil.scan.shapes import Automaton

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

#: Bytes on both sides of a block that decide about what begins in it.
SURROUNDINGS = 4096
#: Of these, how far candidates are looked for: twice over what can overlap a hit, and what overlaps that.
_MARGIN = 2048
#: The same for names and addresses, which look at hits and at 512 bytes around.
_PEOPLE_MARGIN = 1024
_ROOM = 4096

PHONE, ID, EMAIL, ELSE = 1, 2, 3, 4
#: Checks of rules without patterns, whose anchor is the "@".
ANCHORED = ("email", "masked_email")


class Hits(NamedTuple):
    """Hits in columns, sorted by start. ``rule`` counts pattern rules first, then those of names and addresses."""

    start: Index
    end: Index
    rule: npt.NDArray[np.int16]
    log_odds: npt.NDArray[np.float32]
    features: Bytes  # (n, 6), see context.FEATURES
    word: npt.NDArray[np.int32]  # of cue words, or -1; of names and addresses the reason
    cell: Index  # of in_cells: which one; else -1

    def take(self, which: npt.NDArray[np.bool_] | Index) -> Hits:
        """Some of the hits: by a mask, or by their numbers."""
        if which.dtype == np.bool_ and which.all():
            return self
        return Hits._make(column[which] for column in self)

    @classmethod
    def bare(
        cls,
        start: Index,
        end: Index,
        rule: npt.NDArray[np.signedinteger[Any]],
        log_odds: npt.NDArray[np.float32],
        word: npt.NDArray[np.signedinteger[Any]] | None = None,
        cell: Index | None = None,
    ) -> Hits:
        """Hits that no pattern rule's circumstances were looked at for."""
        count = len(start)
        return cls(
            start,
            end,
            rule.astype(np.int16),
            log_odds.astype(np.float32),
            np.zeros((count, 6), np.uint8),
            np.full(count, -1, np.int32) if word is None else word.astype(np.int32),
            np.full(count, -1, np.int64) if cell is None else cell,
        )

    @classmethod
    def joined(cls, parts: Sequence[Hits]) -> Hits:
        """Hits of several parts, in the order of the parts."""
        if not parts:
            return NO_HITS
        return (
            parts[0] if len(parts) == 1 else cls._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
        )


NO_HITS = Hits(
    start=np.empty(0, np.int64),
    end=np.empty(0, np.int64),
    rule=np.empty(0, np.int16),
    log_odds=np.empty(0, np.float32),
    features=np.empty((0, 6), np.uint8),
    word=np.empty(0, np.int32),
    cell=np.empty(0, np.int64),
)


class Detector:
    """The tables of a rule set. ``names`` switches personal names and addresses; hits below ``least`` log-odds fall."""

    def __init__(
        self, rules: Sequence[Rule], custom: Sequence[Custom] = (), *, names: bool = True, least: float = -np.inf
    ) -> None:
        # What is unlikely takes nothing from another hit, so it need not be looked at any further.
        self.least, self._bar = least, min(least, 0.0)
        self.patterned = [rule for rule in rules if rule.patterns or rule.check in ANCHORED]
        self.people = People([rule for rule in rules if rule not in self.patterned]) if names else None
        self._custom = CustomRules(custom) if custom else None
        named = self.people.rules if self.people else []
        self.rules: list[Rule] = [*self.patterned, *named, *(self._custom.rules if self._custom else [])]
        self._first_custom = len(self.patterned) + len(named)
        self.shapes = shapes_of(self.patterned, automaton_of([rule.patterns for rule in self.patterned]))
        self.cues, self.words = compile_cues(self.patterned)
        self.weights = weights_of(self.patterned)
        self._slow = {place: CHECKS[rule.check] for place, rule in enumerate(self.patterned) if rule.check in SLOW}
        self._kind = np.array([_neighbour(rule.kind) for rule in self.patterned] or [ELSE], np.uint8)
        self._words = HeaderWords([*self.patterned, *named])  # a column of names is no column of phones

    def header(self, name: str) -> Bytes:
        """What a column's header says of each pattern rule: 1 it is that, 2 it is something else, 0 nothing."""
        return self._words.kinds(name)[: len(self.patterned)]

    def in_text(
        self,
        data: Bytes,
        low: int,
        high: int,
        *,
        base: int = 0,
        columns: Columns | None = None,
        extra: Hits | None = None,
    ) -> Hits:
        """The hits that begin in ``data[low:high]``; ``data`` begins at byte ``base`` of the text.

        ``extra``: names and addresses found by their columns, to be judged with the others.
        """
        hits = self._patterned(data, max(0, low - _MARGIN), min(len(data), high + _MARGIN), columns)
        if hits is None:
            return self._in_folded(data, low, high, base, columns, extra)
        hits = _standing(hits if extra is None else Hits.joined([hits, extra]))
        if self.people is not None:
            first, last = max(0, low - _PEOPLE_MARGIN), min(len(data), high + _PEOPLE_MARGIN)
            numbers = hits.take(hits.rule < len(self.patterned))
            beside = np.column_stack([numbers.start, numbers.end]), self._kind[numbers.rule]
            hits = _standing(Hits.joined([hits, self._named(self.people.in_text(data, first, last, *beside))]))
        if self._custom is not None:
            hits = _standing(Hits.joined([hits, self._customs(self._custom.in_text(data, low, high, base))]))
        return hits.take((hits.start >= low) & (hits.start < high) & (hits.log_odds >= self.least))

    def in_cells(self, data: Bytes, starts: Index, ends: Index, header: str) -> Hits:
        """The hits in cells ``data[starts[i]:ends[i]]``, which belong to one column."""
        size = int((ends - starts).sum()) // 16 + _ROOM
        while True:
            found, cells = kernel.Found.room(size), np.empty(size, np.int64)
            count, done, wide = kernel.candidates_in_cells(data, starts, ends, self.shapes, found, cells)
            if done == len(starts):
                break
            size *= 4
        if wide:
            folded = fold(data)
            hits = self.in_cells(folded.data, folded.folded(starts), folded.folded(ends), header)
            return hits._replace(start=folded.original(hits.start), end=folded.original(hits.end))
        cells = cells[:count]
        column, headers = np.zeros(count, np.int32), self.header(header).reshape(1, -1).copy()
        hits = _standing(self._judged(data, found, count, headers, column, starts[cells], ends[cells], cells))
        hits = _standing(Hits.joined([hits, self.by_column(data, starts, ends, header)]))
        if self._custom is not None:
            hits = _standing(Hits.joined([hits, self._customs(self._custom.in_cells(data, starts, ends))]))
        return hits.take(hits.log_odds >= self.least)

    def by_column(self, data: Bytes, starts: Index, ends: Index, header: str, judged: Judged | None = None) -> Hits:
        """What is found in cells of one column because of what the column is: names, addresses, values without a shape.

        ``judged``: what was said of the column's beginning, where it comes in parts.
        """
        parts = [self._whole_cells(data, starts, ends, header)]
        if self.people is not None:
            named = self._named(self.people.in_cells(data, starts, ends, header, judged))
            parts.append(named._replace(cell=_cell_of(starts, named.start)))
        return Hits.joined(parts)

    def _whole_cells(self, data: Bytes, starts: Index, ends: Index, header: str) -> Hits:
        """Cells that are a value by the column's header alone."""
        kinds = self.header(header)
        parts = []
        for rule in np.flatnonzero(kinds == 1).tolist():
            if not self.patterned[rule].cell:
                continue
            cells = np.flatnonzero(whole_cells(data, starts, ends, self.patterned[rule].cell))
            count = len(cells)
            features = np.zeros((count, 6), np.uint8)
            features[:, COLUMN] = 1
            log_odds = np.full(count, self.weights[rule, 0] + self.weights[rule, 1 + COLUMN], np.float32)
            which, word = np.full(count, rule, np.int16), np.full(count, -1, np.int32)
            parts.append(Hits(starts[cells], ends[cells], which, log_odds, features, word, cells))
        return Hits.joined(parts)

    def candidates(self, data: Bytes, columns: Columns | None = None) -> Hits:
        """All candidates of pattern rules with what was seen around them, also those that fall: for fitting weights."""
        hits = self._patterned(data, 0, len(data), columns, keep=True)
        if hits is None:
            folded = fold(data)
            hits = self.candidates(folded.data, columns.moved(folded.folded) if columns is not None else None)
            return hits._replace(start=folded.original(hits.start), end=folded.original(hits.end))
        return hits

    # --- steps

    def _patterned(
        self, data: Bytes, low: int, high: int, columns: Columns | None, *, keep: bool = False
    ) -> Hits | None:
        """Candidates of pattern rules in a text, judged; None where full-width characters have to be folded first."""
        found, count, wide = self._candidates(data, low, high)
        if wide:
            return None
        nowhere = np.full(count, -1, np.int64)
        column = columns.of(found.start[:count]) if columns is not None else nowhere.astype(np.int32)
        headers = columns.headers if columns is not None else np.zeros((1, len(self._kind)), np.uint8)
        bounds = np.zeros(count, np.int64), np.full(count, len(data), np.int64)
        return self._judged(data, found, count, headers, column, *bounds, cell=nowhere, keep=keep)

    def _candidates(self, data: Bytes, low: int, high: int) -> tuple[kernel.Found, int, bool]:
        parts: list[tuple[kernel.Found, int]] = []
        wide = False
        while True:
            found = kernel.Found.room((high - low) // 64 + _ROOM)
            count, low, met = kernel.candidates(data, low, high, self.shapes, found)
            wide = wide or met
            parts.append((found, count))
            if low >= high or wide:
                break
        if len(parts) == 1:
            return found, count, wide
        columns = [np.concatenate([part[i][:n] for part, n in parts]) for i in range(len(found))]
        return kernel.Found(*columns), sum(n for _, n in parts), wide

    def _judged(
        self,
        data: Bytes,
        found: kernel.Found,
        count: int,
        headers: Bytes,
        column: npt.NDArray[np.int32],
        low: Index,
        high: Index,
        cell: Index,
        *,
        keep: bool = False,
    ) -> Hits:
        for rule, check in self._slow.items():
            for i in np.flatnonzero(found.rule[:count] == rule):
                outcome = check(bytes(data[found.start[i] : found.end[i]]))
                found.weak[i] = 2 if outcome == BAD else outcome == WEAK
        seen = Seen.room(count)
        judge(data, found, count, self.cues, self.weights, headers, column, low, high, seen)
        hits = Hits(
            found.start[:count], found.end[:count], found.rule[:count], seen.log_odds, seen.features, seen.cue, cell
        )
        good = found.weak[:count] < 2
        return hits.take(good if keep else good & (seen.log_odds > -np.inf) & (seen.log_odds >= self._bar))

    def _named(self, spans: Spans) -> Hits:
        return Hits.bare(spans.start, spans.end, spans.rule + len(self.patterned), spans.logit, spans.why)

    def _customs(self, spans: CustomSpans) -> Hits:
        return Hits.bare(spans.start, spans.end, spans.rule + self._first_custom, spans.log_odds, cell=spans.cell)

    def _in_folded(
        self, data: Bytes, low: int, high: int, base: int, columns: Columns | None, extra: Hits | None
    ) -> Hits:
        folded = fold(data)
        low, high = folded.folded(np.array([low, high])).tolist()
        if columns is not None:
            columns = columns.moved(folded.folded)
        if extra is not None:
            extra = extra._replace(start=folded.folded(extra.start), end=folded.folded(extra.end))
        hits = self.in_text(folded.data, low, high, base=base, columns=columns, extra=extra)
        return hits._replace(start=folded.original(hits.start), end=folded.original(hits.end))


class Columns(NamedTuple):
    """The cells of delimited text, ascending, and what each column's header says."""

    starts: Index
    ends: Index
    column: npt.NDArray[np.int32]
    headers: Bytes  # (columns, rules)
    names: Sequence[str] = ()

    def at(self, positions: Index) -> Index:
        """The cell in which each position lies, or -1."""
        if not len(self.starts):
            return np.full(len(positions), -1, np.int64)
        place = np.searchsorted(self.starts, positions, side="right") - 1
        return np.where((place >= 0) & (positions < self.ends[np.maximum(place, 0)]), place, -1)

    def of(self, positions: Index) -> npt.NDArray[np.int32]:
        """The column in which each position lies, or -1; columns without a header's opinion are -1 too."""
        place = self.at(positions)
        if not len(self.starts):
            return place.astype(np.int32)
        column = np.where(place >= 0, self.column[np.maximum(place, 0)], -1)
        return np.where(column < len(self.headers), column, -1).astype(np.int32)

    def moved(self, move: Callable[[Index], Index]) -> Columns:
        """The same cells in another text."""
        return self._replace(starts=move(self.starts), ends=move(self.ends))


def shapes_of(rules: Sequence[Rule], automaton: Automaton) -> kernel.Shapes:
    """The kernel's tables of a rule set."""
    action = np.zeros(256, np.uint8)
    begins = automaton.table[1, automaton.classes] != 0
    for byte in range(256):
        word = 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122
        if word:
            action[byte] = kernel.FIRST if begins[byte] else kernel.WORD
        elif byte == ord("@"):
            action[byte] = kernel.AT
        elif begins[byte]:
            action[byte] = kernel.SIGN
        elif byte == 0xEF:
            action[byte] = kernel.WIDE
    before = np.full((max(1, len(rules)), max([1, *(len(rule.before) for rule in rules)])), -1, np.int32)
    value = np.zeros((max(1, len(rules)), 256), np.uint8)
    for place, rule in enumerate(rules):
        codes = [int.from_bytes(char.encode(), "big") for char in rule.before]
        before[place, : len(codes)] = codes
        for char in rule.value:
            value[place, ord(char)] = 1
        value[place, 0] = 2 if rule.value else 0
    states, classes = automaton.table.shape
    shift = max(1, (classes - 1).bit_length())  # a shift is quicker than a product
    table = np.zeros((states, 1 << shift), np.uint16)
    table[:, :classes] = automaton.table
    return kernel.Shapes(
        action=action,
        classes=automaton.classes,
        table=table.reshape(-1),
        shift=shift,
        accepting=int(np.argmax(automaton.accepts > 0)) if automaton.accepts.any() else states,
        accepts=automaton.accepts,
        rules_from=automaton.rules_from,
        rules=automaton.rules,
        check=np.array([CODES[rule.check] for rule in rules] or [0], np.int16),
        special=np.array([bool(rule.before or rule.value) for rule in rules] or [False], np.uint8),
        before=before,
        value=value,
        email=next((place for place, rule in enumerate(rules) if rule.check == "email"), -1),
        masked_email=next((place for place, rule in enumerate(rules) if rule.check == "masked_email"), -1),
    )


def _neighbour(kind: str) -> int:
    """What names stand beside."""
    return (
        PHONE if kind.startswith("phone.") else ID if kind.startswith("id.") else EMAIL if kind == "net.email" else ELSE
    )


def _standing(hits: Hits) -> Hits:
    order = np.lexsort((hits.rule, hits.end, hits.start))
    if (order[1:] < order[:-1]).any():
        hits = hits.take(order)
    return hits.take(standing(hits.start, hits.end, hits.log_odds) == 1)


def _cell_of(starts: Index, positions: Index) -> Index:
    """The cell of each position; ``starts`` ascend."""
    return np.searchsorted(starts, positions, side="right") - 1
