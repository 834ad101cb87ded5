"""Which events came before: the same file loaded twice, two exports that overlap, a sender that sends again.

::

    recent = Recent()
    recent.before(ids, received) > 0        # seen before, within two days

How many times each id came before is exact, and does not depend on how rows are cut into batches. "Within two days" is
by the newest time so far: an id is forgotten when a row comes that is three days (UTC) newer than the one that was seen
last with that id. So memory holds the ids of three days, about 25 bytes each.
"""

from __future__ import annotations

import itertools
import secrets

import numpy as np
import numpy.typing as npt

from parcelveil.watch.coded import DAY
from parcelveil.watch.codes import I64
from parcelveil.watch.recent_pass import known, moved, noted

#: Days before the newest whose ids are kept.
KEPT = 2
_SMALLEST = 1 << 12


class _Table:
    """The ids of one day."""

    def __init__(self, seed: int) -> None:
        self._seed, self._used = seed, 0
        self.keys, self.counts = np.zeros(_SMALLEST, np.int64), np.zeros(_SMALLEST, np.uint16)

    def note(self, ids: I64, before: npt.NDArray[np.int32]) -> None:
        size = len(self.keys)
        while (self._used + len(ids)) * 10 > size * 7:
            size *= 2
        if size > len(self.keys):
            keys, counts = np.zeros(size, np.int64), np.zeros(size, np.uint16)
            moved(self.keys, self.counts, keys, counts, self._seed)
            self.keys, self.counts = keys, counts
        self._used += noted(self.keys, self.counts, ids, before, self._seed)

    def look(self, ids: I64, before: npt.NDArray[np.int32]) -> None:
        known(self.keys, self.counts, ids, before, self._seed)


class Recent:
    """Ids and how often they came, for as long as they count as recent. For one thread."""

    def __init__(self) -> None:
        self._seed = secrets.randbits(63)
        self._tables: dict[int, _Table] = {}
        self._newest = np.iinfo(np.int64).min

    def before(self, ids: I64, times: I64) -> npt.NDArray[np.int32]:
        """How often each id came before, in rows of this and of earlier calls; a count beyond 65,535 stays there.

        ``times``: microseconds since 1970 at which each row was received.
        """
        found = np.zeros(len(ids), np.int32)
        if not len(ids):
            return found
        newest = np.maximum(np.maximum.accumulate(times // DAY), self._newest)
        starts = [0, *(np.flatnonzero(np.diff(newest)) + 1).tolist(), len(ids)]
        for start, end in itertools.pairwise(starts):
            day = int(newest[start])
            self._tables = {other: table for other, table in self._tables.items() if other >= day - KEPT}
            part = found[start:end]
            for other, table in self._tables.items():
                if other != day:
                    table.look(ids[start:end], part)
            self._tables.setdefault(day, _Table(self._seed)).note(ids[start:end], part)
        self._newest = int(newest[-1])
        return found
