"""Small worlds for the tests of the stream: few parcels, accounts and routes, so that everything meets everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from parcelveil.watch.coded import AHEAD, CODED_ACCESS, CODED_WORK, DAY, GRACE, HOUR

Row = dict[str, Any]
ROLES = ["courier", "service", "clerk"]
START = 20_400 * DAY


def moments(rng: np.random.Generator, count: int, days: float) -> np.ndarray:
    """Whole half hours, and microseconds beside them: so that windows are met on their very edge."""
    halves = rng.integers(0, max(1, int(days * 48)), count) * (HOUR // 2)
    return START + halves + rng.choice([-1, 0, 0, 0, 1], count)


def works(rng: np.random.Generator, count: int, days: float) -> list[Row]:
    time = moments(rng, count, days)
    delay = rng.choice([0, 0, 0, 1, HOUR, 7 * HOUR, 30 * HOUR, -HOUR], count)
    return [
        {
            "id": int(rng.integers(-(2**63), 2**63 - 1)),
            "time": int(time[at]),
            "received": int(time[at] + delay[at]),
            "step": int(rng.choice([1, 2, 3, 4, 5, 5, 5, 6, 7, 8, 9, 10, 11, 11, 12, 12, 13, 14, 15, 0])),
            "waybill": int(rng.integers(0, 5)),
            "outlet": int(rng.integers(-1, 3)),
            "to_outlet": int(rng.integers(-1, 3)),
            "route": int(rng.integers(-1, 2)),
            "actor": int(rng.choice([-2, -1, -1, 0, 1, 2, 3])),
            "device": -1,
            "ticket": int(rng.integers(-1, 3)),
        }
        for at in range(count)
    ]


def looks(rng: np.random.Generator, count: int, days: float) -> list[Row]:
    time = moments(rng, count, days)
    delay = rng.choice([0, 0, 0, 1, HOUR, GRACE, -AHEAD], count)
    return [
        {
            "id": at if at % 3 else -at,
            "time": int(time[at]),
            "received": int(time[at] + delay[at]),
            "actor": int(rng.integers(0, 4)),
            "role": int(rng.integers(-1, 3)),
            "outlet": int(rng.integers(-1, 3)),
            "device": int(rng.integers(-1, 3)),
            "network": int(rng.integers(-1, 2)),
            "channel": int(rng.integers(0, 7)),
            "action": int(rng.choice([0, 0, 0, 1, 3])),
            "outcome": int(rng.choice([0, 0, 0, 0, 1, 2])),
            "fields": int(rng.integers(0, 16)),
            "records": int(rng.integers(1, 500)),
            "waybill": int(rng.integers(0, 5)),
            "serial": int(rng.integers(-1, 40)),
            "subject": 0,
            "ticket": int(rng.integers(-1, 3)),
        }
        for at in range(count)
    ]


def regions(rng: np.random.Generator) -> list[int] | None:
    """The region of each outlet, -1 for one that is not known; of fewer outlets than there are, of more, or of none."""
    if rng.random() < 0.15:
        return None
    return [int(region) for region in rng.integers(-1, 2, int(rng.integers(0, 5)))]


def accesses(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, CODED_ACCESS)


def work_table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, CODED_WORK)


def disordered(rng: np.random.Generator, rows: list[tuple[str, Row]], within: int) -> list[tuple[str, Row]]:
    """``rows`` as they might come: none after another that was received more than ``within`` later."""
    by = [(row["received"] + int(rng.integers(0, within + 1)), at) for at, (_, row) in enumerate(rows)]
    return [rows[at] for _, at in sorted(by)]
