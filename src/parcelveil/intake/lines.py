"""Several lines of one order become one waybill; a number that comes up again is found, however long the input.

::

    >>> seen = SeenNumbers()
    >>> seen.add(pa.array(["YT1", "YT2", "YT1"])).tolist(), seen.add(pa.array(["YT2", "YT3"])).tolist()
    ([False, False, True], [True, False])

Shops export an order with several articles as several lines, of which only the first has the order's own
columns. :class:`OrderLines` joins lines that follow each other, have the same number, and say nothing else of
the people than the first one did.
"""

from __future__ import annotations

import os
import tempfile

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.intake.rows import Taken
from parcelveil.waybill import personal_fields

#: From here on the sorted hashes live in a file without a name, where the system can take their memory back.
_IN_MEMORY = 1 << 21
_PIECE = 1 << 19
_LONGEST_GOODS = 2000


class SeenNumbers:
    """Which waybill numbers came up before in this run.

    Keeps 8 bytes a number: a 64-bit hash under a random key, in sorted runs that are merged when they are of
    like size. Two different numbers of ``n`` are taken for one with odds of about ``n * n / 2**65``: 1 in 370,000
    for ten million numbers; the row would then be rejected, not lost unnoticed.
    """

    def __init__(self) -> None:
        self._key = np.frombuffer(os.urandom(32), dtype=np.uint64) | np.uint64(1)
        self._runs: list[npt.NDArray[np.uint64]] = []

    def add(self, numbers: pa.Array) -> npt.NDArray[np.bool_]:
        """Note ``numbers`` (text, no nulls). True for each that was noted before, here or earlier in the array."""
        hashes = self._hash(numbers)
        again = np.zeros(len(hashes), dtype=bool)
        for run in self._runs:
            place = np.searchsorted(run, hashes)
            again |= run[np.minimum(place, len(run) - 1)] == hashes
        order = np.argsort(hashes, kind="stable")
        ascending = hashes[order]
        again[order[1:][ascending[1:] == ascending[:-1]]] = True
        fresh = np.sort(hashes[~again])
        if len(fresh):
            self._runs.append(fresh)
            while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
                self._merge()
        return again

    def _hash(self, numbers: pa.Array) -> npt.NDArray[np.uint64]:
        """Multiply-xorshift over 8-byte words, keyed, vectorised over rows of like length."""
        lengths = np.asarray(pc.binary_length(numbers))
        out = lengths.astype(np.uint64) * self._key[0]
        for words in np.unique(-(-lengths // 8)):
            rows = np.flatnonzero(-(-lengths // 8) == words)
            padded = pc.ascii_rpad(numbers.take(pa.array(rows)), int(words) * 8, "\0")
            data = np.frombuffer(padded.buffers()[2], dtype=np.uint8)[: len(rows) * int(words) * 8]
            state = out[rows]
            for word in data.view(np.uint64).reshape(len(rows), -1).T:
                state = (state ^ word) * self._key[1]
                state ^= state >> np.uint64(29)
                state *= self._key[2]
                state ^= state >> np.uint64(32)
            out[rows] = state * self._key[3]
        mixed: npt.NDArray[np.uint64] = out ^ (out >> np.uint64(31))
        return mixed

    def _merge(self) -> None:
        late, early = self._runs.pop(), self._runs.pop()
        count = len(late) + len(early)
        if count <= _IN_MEMORY:
            merged = np.empty(count, dtype=np.uint64)
        else:
            with tempfile.TemporaryFile() as file:
                merged = np.memmap(file, dtype=np.uint64, mode="w+", shape=(count,))
        # Piece by piece: the two runs and the new one are all that is ever there.
        done = 0
        for start in range(0, len(early), _PIECE):
            last = start + _PIECE >= len(early)
            until = len(late) if last else int(np.searchsorted(late, early[start + _PIECE]))
            piece = np.sort(np.concatenate([early[start : start + _PIECE], late[done:until]]), kind="stable")
            merged[start + done : start + done + len(piece)] = piece
            done = until
        self._runs.append(merged)


class OrderLines:
    """Joins the lines of an order. The last order of a batch is held back until the next batch shows it complete."""

    def __init__(self) -> None:
        self._held: Taken | None = None
        self.merged = 0

    def feed(self, taken: Taken) -> Taken:
        """The orders that are complete."""
        if self._held is not None:
            joined = pa.Table.from_batches([self._held.batch, taken.batch]).combine_chunks().to_batches()
            batch = joined[0] if joined else taken.batch
            taken = taken._replace(batch=batch, rows=np.concatenate([self._held.rows, taken.rows]))
        if not taken.batch.num_rows:
            return taken
        batch, rows = self._merged(taken.batch, taken.rows)
        last = batch.num_rows - 1
        self._held = Taken(batch.slice(last), rows[last:], [], {})
        return taken._replace(batch=batch.slice(0, last), rows=rows[:last])

    def flush(self) -> Taken | None:
        """The order held back, at the end of the input."""
        held, self._held = self._held, None
        return held

    def _merged(
        self, batch: pa.RecordBatch, rows: npt.NDArray[np.int64]
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
        numbers = batch["waybill_no"]
        same = np.zeros(len(rows), dtype=bool)
        same[1:] = np.asarray(pc.equal(numbers.slice(1), numbers.slice(0, len(rows) - 1)))
        if not same.any():
            return batch, rows
        # The first line of the run of equal numbers that each row stands in.
        first = np.maximum.accumulate(np.where(same, 0, np.arange(len(rows))))
        agrees = same.copy()
        for field in personal_fields(batch.schema):
            if field.name == "goods_name":
                continue
            column = batch[field.name]
            told = column.take(pa.array(first))
            agrees &= np.asarray(pc.or_(column.is_null(), pc.equal(column, told).fill_null(False)))
        keep = ~agrees
        self.merged += int(agrees.sum())
        owner = np.maximum.accumulate(np.where(keep, np.arange(len(rows)), 0))
        columns = {name: batch[name].filter(pa.array(keep)) for name in batch.schema.names}
        columns["goods_name"] = _all_goods(batch["goods_name"], owner, keep)
        table = pa.table({"owner": owner, "pieces": batch["pieces"]}).group_by("owner", use_threads=False)
        columns["pieces"] = (
            table.aggregate([("pieces", "sum")])["pieces_sum"].combine_chunks().cast(pa.int32(), safe=False)
        )
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema), rows[keep]


def _all_goods(goods: pa.Array, owner: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_]) -> pa.Array:
    """The distinct goods of each kept row's lines, joined by ``; ``."""
    joined: dict[int, dict[str, None]] = {int(row): {} for row in np.flatnonzero(keep)}
    for row, name in zip(owner.tolist(), goods.to_pylist(), strict=True):
        if name is not None:
            joined[row].update(dict.fromkeys(name.split("; ")))  # it may be joined already, from the batch before
    return pa.array(["; ".join(names)[:_LONGEST_GOODS] or None for names in joined.values()], pa.string())
