"""Tickets that explain nothing, looks off shift, blocks of numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from parcelveil.watch.coded import UNREGISTERED
from parcelveil.watch.signals import Scores
from parcelveil.watch.tallies import Tallies
from watch.days_made import DAY, OFFSET, Made

NUMBER = 20_000


def scored(**columns: list[int]) -> dict[str, Scores]:
    """The scores of a day of three accounts at whose rows (all of account 1, level 0) ``columns`` stand."""
    made = Made(3)
    size = len(next(iter(columns.values())))
    day = made.day(NUMBER)
    rows = made.rows(NUMBER, np.full(size, 1), np.zeros(size, np.int8))
    for name, values in columns.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))
    register = UNREGISTERED.sized(3)._replace(
        shift_start=np.full(3, 9 * 60, np.int16), shift_end=np.full(3, 18 * 60, np.int16)
    )
    return {one.name: one for one in Tallies().score(day._replace(rows=rows), register)}


def values(scores: Scores) -> list[float]:
    return scores.value.tolist()


def test_tickets_count_by_parcel_and_only_where_they_explain_nothing() -> None:
    assert values(scored(ticket=[4, 4, 5, -1], waybill=[1, 1, 2, 3])["ticket"]) == [0, 2, 0]
    assert values(scored(ticket=[4, 4], waybill=[1, 2], settled=[2, 0])["ticket"]) == [0, 1, 0]


def test_off_shift_is_what_lies_beyond_the_margin() -> None:
    start = NUMBER * DAY - OFFSET
    minutes = [8 * 60 + 10, 8 * 60 + 20, 12 * 60, 18 * 60 + 40, 18 * 60 + 50]
    assert values(scored(time=[start + minute * 60_000_000 for minute in minutes])["hours"]) == [0, 2, 0]


def test_spread_counts_blocks_not_parcels() -> None:
    assert values(scored(serial=[0, 999, 1_000, 5_000_000, -1])["spread"]) == [0, 3, 0]
