"""Loops over the looks of a micro-batch, compiled: which were there before, and everybody's volume of the day.

::

    kept = first_seen(ids, received, table_ids, table_received, salt, within)
    tally(sums, rows, day_start, actor, role, outlet, time, action, outcome, records, levels)

``sums`` has one row an account (its code and two: the customer is the first), and the columns below.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.seal.passes import compiled

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
I8 = npt.NDArray[np.int8]

#: Columns of the sums; HOURS is one bit an hour, SEEN counts rows of any kind.
ROLE_OF, OUTLET_OF, LOOKS, DIRECT, SEARCHES, FAILED, EXPORTED, HOURS, FIRST, LAST, SEEN = range(11)
SUMS = 11
#: The row of account 0.
SHIFT = 2
#: Codes of CODED_ACCESS that are compiled in; :mod:`~parcelveil.watch.streaming` compares them with the lists.
OK, SEARCH, EXPORT = 0, 1, 3
#: No time: a free place of the table.
FREE = np.iinfo(np.int64).min
_HOUR = 3_600_000_000


@compiled
def _mixed(value: np.int64, salt: np.uint64) -> np.uint64:
    """SplitMix64's finaliser; salted, because whoever numbers the events could aim at one place."""
    mixed = np.uint64(value) ^ salt
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@compiled
def first_seen(
    ids: I64, received: I64, table_ids: I64, table_received: I64, salt: np.uint64, within: int
) -> tuple[npt.NDArray[np.bool_], int]:
    """Which rows are no repetition of one kept at most ``within`` before, and how many places were taken for them.

    The table, ``2 ** n`` places of which less than half are taken, holds when each id was last kept. Rows in the order in
    which they count.
    """
    mask = np.uint64(len(table_ids) - 1)
    kept = np.ones(len(ids), np.bool_)
    taken = 0
    for row in range(len(ids)):
        place = _mixed(ids[row], salt) & mask
        while table_received[place] != FREE and table_ids[place] != ids[row]:
            place = (place + np.uint64(1)) & mask
        if table_received[place] == FREE:
            taken += 1
        elif received[row] - table_received[place] <= within:
            kept[row] = False
            continue
        table_ids[place], table_received[place] = ids[row], received[row]
    return kept, taken


@compiled
def tally(
    sums: I64,
    rows: I64,
    day_start: int,
    actor: I32,
    role: I32,
    outlet: I32,
    time: I64,
    action: I8,
    outcome: I8,
    records: I32,
    levels: I8,
) -> None:
    """Add the looks at ``rows``, all of the day that begins at ``day_start``, to everybody's sums."""
    for place in range(len(rows)):
        row = rows[place]
        own = sums[actor[row] + SHIFT]
        moment = time[row]
        own[ROLE_OF], own[OUTLET_OF] = role[row], outlet[row]
        if own[SEEN] == 0 or moment < own[FIRST]:
            own[FIRST] = moment
        if own[SEEN] == 0 or moment > own[LAST]:
            own[LAST] = moment
        own[SEEN] += 1
        if outcome[row] != OK:
            own[FAILED] += 1
        elif action[row] == EXPORT:
            own[EXPORTED] += records[row]
        else:
            own[LOOKS] += 1
            own[HOURS] |= np.int64(1) << np.int64((moment - day_start) // _HOUR)
            own[DIRECT] += levels[row] == 2
            own[SEARCHES] += action[row] == SEARCH
