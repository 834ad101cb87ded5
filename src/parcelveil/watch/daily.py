"""One day of looks, as the detectors take it: whoever looked how much, and the rows that want a reason.

::

    day = DayRows(20_423, volume, rows)
    day.rows["settled"] == 0            # looks that no work explains

Both ways of reading make the same: :mod:`~parcelveil.watch.batch` by SQL over files, :mod:`~parcelveil.watch.streaming`
event by event. A test compares them bit for bit.

A look's level is 2 (direct), 1 (group) or 0 (none); see ``explains.toml``. It is *provisional* by the work that was
received no later than the look itself, and *settled* by all work that was received before the day was settled: twelve
hours after its end (:data:`~parcelveil.watch.coded.GRACE`). More work can only raise a level.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy.typing as npt
import pyarrow as pa

from parcelveil.watch.coded import CODED_ACCESS, DAY, GRACE

#: Rows that want a reason: every access of the day whose outcome is not ok, whose action is export, or whose provisional
#: level is under 2. In the order of ``(received, id)``. A level is -1 where no level applies: the outcome is not ok, or
#: there is no parcel. ``near``: of a look settled at level 0, 1 if a rule of the region holds, 0 if none does; -1 for any other
#: look, and where the region of the look's outlet is not known.
OPEN_ROWS = pa.schema([*CODED_ACCESS, ("provisional", pa.int8()), ("settled", pa.int8()), ("near", pa.int8())])

#: Everybody's day, one row an account that had any access, in the order of ``actor``; all int64 but ``actor``. The rows
#: counted are those of the day with outcome ok and an action other than export, unless said otherwise.
VOLUME = pa.schema(
    [
        ("actor", pa.int32()),
        ("role", pa.int32()),  # of its last row of the day, by (received, id); so is outlet
        ("outlet", pa.int32()),
        ("looks", pa.int64()),
        ("direct", pa.int64()),  # of them, settled at level 2
        ("grouped", pa.int64()),  # at level 1
        ("none", pa.int64()),  # at level 0
        ("searches", pa.int64()),  # action search
        ("failed", pa.int64()),  # rows whose outcome is not ok, any action
        ("exported", pa.int64()),  # sum of records of exports with outcome ok
        ("hours", pa.int64()),  # different local hours with a row counted in looks
        ("first", pa.int64()),  # time of the first and last row of any kind
        ("last", pa.int64()),
    ]
)


class DayRows(NamedTuple):
    """``day``: days since 1970-01-01, local. ``volume``: of schema :data:`VOLUME`; ``rows``: of :data:`OPEN_ROWS`."""

    day: int
    volume: pa.Table
    rows: pa.Table


def settles_at(day: int, offset_us: int) -> int:
    """When a local day is settled: its end and :data:`~parcelveil.watch.coded.GRACE` more, microseconds since 1970 UTC."""
    return (day + 1) * DAY - offset_us + GRACE


def day_of(times: npt.NDArray, offset_minutes: int) -> npt.NDArray:  # type: ignore[type-arg]
    """The local day of each time (microseconds since 1970 UTC), as days since 1970-01-01 local."""
    return (times + offset_minutes * 60_000_000) // DAY
