"""The work behind each look that wants a reason, kept by name for as long as a case may ask.

::

    names = Names()
    names.keep(day, sql.query(statement("named"), ...))     # of each span of days that is settled
    names(rows)                                             # {id of a look: Name}, as evidence takes it

Work events themselves are forgotten as soon as no look to come can be explained by them; what they said about the looks of
some weeks is 36 bytes a look.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.watch.alerts import Why
from parcelveil.watch.evidence import KEPT, Name
from parcelveil.watch.explaining import BY_OUTLET, STEPS

#: Bits of ``failed``, see named.sql.
_OTHERS, _UNTIMELY, _LATE, _OWN = 1, 2, 4, 8
_COLUMNS = {
    "id": np.int64,
    "time": np.int64,
    "gap": np.int64,
    "step": np.int8,
    "whom": np.int8,
    "failed": np.int8,
}


class Names:
    """See the module. ``days``: how many days are kept."""

    def __init__(self, days: int = KEPT) -> None:
        self._days = days
        self._spans: deque[tuple[int, dict[str, npt.NDArray[np.int64]]]] = deque()

    def keep(self, day: int, named: pa.Table) -> None:
        """Keep the answers of named.sql about looks of days up to ``day``, and forget those of long ago."""
        columns = {name: named[name].to_numpy().astype(kind) for name, kind in _COLUMNS.items()}
        order = np.argsort(columns["id"], kind="stable")
        self._spans.append((day, {name: column[order] for name, column in columns.items()}))
        while self._spans[0][0] <= day - self._days:
            self._spans.popleft()

    def __call__(self, rows: pa.Table) -> dict[int, Name]:
        """The work by look of ``rows`` (of OPEN_ROWS); looks at whose parcel there was none are missing."""
        found: dict[int, Name] = {}
        asked = np.unique(rows["id"].to_numpy())
        for _, columns in self._spans:
            place = np.minimum(np.searchsorted(columns["id"], asked), max(len(columns["id"]) - 1, 0))
            if not len(columns["id"]):
                continue
            for at in place[columns["id"][place] == asked].tolist():
                one = {name: int(column[at]) for name, column in columns.items()}
                found[one["id"]] = Name(str(STEPS[one["step"] - 1]), one["time"], _why(one))
        return found


def _why(one: dict[str, int]) -> Why:
    """The first thing that does not fit, in the order in which a person would want to hear it."""
    if one["failed"] & _OWN:
        return "own-ticket"
    if one["failed"] & _OTHERS:
        return "other-outlet" if one["whom"] == BY_OUTLET else "other-account"
    if one["failed"] & _UNTIMELY:
        return "too-early" if one["gap"] < 0 else "too-late"
    return "came-late" if one["failed"] & _LATE else ""
