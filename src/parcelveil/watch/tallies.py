"""Three more counts of a day: tickets that explain nothing, hours off shift, and how far the looks are spread.

::

    detector = Tallies()
    for rows in days:                               # of watch.daily.DayRows, in order
        for scores in detector.score(rows, register):      # ticket, hours, spread

=======  ==============================================================================================================
ticket   parcels whose look names a ticket that does not explain it: the account opened it itself, it is about another
         parcel, or there is none
hours    parcels looked at without a direct reason more than :data:`MARGIN` minutes outside the own shift
spread   different issue blocks of 1,000 numbers among the parcels that no work explains
=======  ==============================================================================================================

Each is measured against the account's own habit and its role's (:class:`~parcelveil.watch.habit.Habit`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.watch.by_code import different
from parcelveil.watch.coded import OUTCOMES, Accounts
from parcelveil.watch.daily import DayRows, settles_at
from parcelveil.watch.habit import Habit
from parcelveil.watch.running import BLOCK
from parcelveil.watch.signals import Scores, scores

MARGIN = 45
_MINUTE = 60_000_000
_DAY_MINUTES = 1440
_OK = OUTCOMES.index("ok")

Bools = npt.NDArray[np.bool_]
Int64 = npt.NDArray[np.int64]


class Tallies:
    """See the module."""

    def __init__(self, *, offset_minutes: int = 480) -> None:
        self._offset = offset_minutes
        self._habits = {name: Habit() for name in ("ticket", "hours", "spread")}

    def score(self, rows: DayRows, register: Accounts) -> list[Scores]:
        """The day's three scores of every account."""
        table = {name: rows.rows[name].to_numpy() for name in _NEEDED}
        parcel = (table["waybill"] != 0) & (table["outcome"] == _OK)
        indirect = parcel & (table["settled"] >= 0) & (table["settled"] < 2)
        quoted = indirect & (table["ticket"] >= 0)
        off = indirect & self._off_shift(table["actor"], table["time"], register)
        strange = parcel & (table["settled"] == 0) & (table["serial"] >= 0)
        return [
            self._scored("ticket", rows, table, quoted, table["waybill"]),
            self._scored("hours", rows, table, off, table["waybill"]),
            self._scored("spread", rows, table, strange, table["serial"] // BLOCK),
        ]

    def _off_shift(self, actor: npt.NDArray[np.int32], time: Int64, register: Accounts) -> Bools:
        """Rows outside the shift of their account; of one without a shift, none."""
        known = register.sized(max(int(actor.max(initial=-1)) + 1, len(register.known)))
        start, end = known.shift_start[actor].astype(np.int64), known.shift_end[actor].astype(np.int64)
        minute = (time // _MINUTE + self._offset) % _DAY_MINUTES
        since = (minute - (start - MARGIN)) % _DAY_MINUTES
        result: Bools = (start >= 0) & (end > start) & (since > end - start + 2 * MARGIN)
        return result

    def _scored(self, name: str, rows: DayRows, table: dict[str, Int64], of: Bools, what: Int64) -> Scores:
        actors, roles = rows.volume["actor"].to_numpy(), rows.volume["role"].to_numpy()
        at = np.flatnonzero(of)
        counts = different(table["actor"][at], what[at], actors).astype(np.float64)
        expected, score = self._habits[name].score(rows.day, actors, roles, counts)
        end = settles_at(rows.day, self._offset * _MINUTE)
        return scores(
            "actor", name, rows.day, actors, counts, expected, score,
            row_subject=table["actor"][at], row_id=table["id"][at], row_time=table["received"][at], time=end,
        )  # fmt: skip


_NEEDED = ("id", "time", "received", "actor", "outcome", "waybill", "serial", "ticket", "settled")
