"""Rows that wait until everything received before them must have come.

::

    waiting = Waiting()
    latest = waiting.add(columns)            # arrays by name, among them received and id
    waiting.before(watermark)                # those received before it, or None; ordered(…) puts them in order

Micro-batches mostly come in order, so they wait as they are, and only one that the watermark cuts is divided.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Arrays of one length by name.
Columns = dict[str, npt.NDArray[Any]]


class Waiting:
    """See the module."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, int, Columns]] = []  # first and last receipt

    def __bool__(self) -> bool:
        return bool(self._parts)

    @property
    def first(self) -> int:
        """The earliest receipt of all that waits."""
        return min(first for first, _, _ in self._parts)

    def add(self, columns: Columns) -> int:
        """Keep rows (at least one). Returns their latest receipt."""
        received = columns["received"]
        first, last = int(received.min()), int(received.max())
        self._parts.append((first, last, columns))
        return last

    def before(self, watermark: int) -> Columns | None:
        """Take out the rows that were received before ``watermark``; None when there are none."""
        taken, kept = [], []
        for first, last, columns in self._parts:
            if last < watermark:
                taken.append(columns)
            elif first >= watermark:
                kept.append((first, last, columns))
            else:
                early = columns["received"] < watermark
                taken.append({name: column[early] for name, column in columns.items()})
                rest = {name: column[~early] for name, column in columns.items()}
                kept.append((int(rest["received"].min()), last, rest))
        self._parts = kept
        return joined(taken) if taken else None


def joined(parts: list[Columns]) -> Columns:
    """One after the other."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def ordered(columns: Columns) -> Columns:
    """By ``(received, id)``; what agrees in both, by all other columns, so that the order never hangs on the way here."""
    received, ids = columns["received"], columns["id"]
    later = received[1:] > received[:-1]
    if (later | ((received[1:] == received[:-1]) & (ids[1:] > ids[:-1]))).all():
        return columns
    order = np.lexsort((ids, received))
    same = (received[order[1:]] == received[order[:-1]]) & (ids[order[1:]] == ids[order[:-1]])
    if same.any():
        order = np.lexsort((*(columns[name] for name in sorted(columns)), ids, received))
    return {name: column[order] for name, column in columns.items()}
