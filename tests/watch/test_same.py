"""Stream and batch make the same days, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.adapt.sql_duckdb import DuckdbSql
from parcelveil.watch.batch import Batch
from parcelveil.watch.coded import DAY, GRACE
from parcelveil.watch.daily import DayRows
from parcelveil.watch.explaining import read_rules, rule_table
from parcelveil.watch.streaming import Stream
from watch import stream_worlds as worlds

Regions = Callable[[], np.ndarray] | None

OFFSET = 480
RULES = rule_table(read_rules(), worlds.ROLES.index)


def same(one: list[DayRows], other: list[DayRows]) -> None:
    assert [day.day for day in one] == [day.day for day in other]
    for left, right in zip(one, other, strict=True):
        for name in ("rows", "volume"):
            mine, theirs = getattr(left, name), getattr(right, name)
            assert mine.schema.equals(theirs.schema)
            assert mine.to_pylist() == theirs.to_pylist()
            assert mine.combine_chunks().equals(theirs.combine_chunks())


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), span=st.sampled_from([1, 4]), pieces=st.integers(1, 9))
def test_stream_and_batch_make_the_same_days(seed: int, span: int, pieces: int) -> None:
    compared(seed, span, pieces)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), span=st.sampled_from([10, 60]), pieces=st.integers(1, 9))
def test_stream_and_batch_make_the_same_days_over_weeks(seed: int, span: int, pieces: int) -> None:
    compared(seed, span, pieces)


def compared(seed: int, span: int, pieces: int) -> None:
    rng = np.random.default_rng(seed)
    looks, works, regions = worlds.looks(rng, 120, span), worlds.works(rng, 200, span), asked(worlds.regions(rng))
    same(streamed(looks, works, pieces, rng, regions), batched(looks, works, regions))


def asked(regions: list[int] | None) -> Regions:
    return None if regions is None else lambda: np.array(regions, np.int32)


def streamed(
    looks: list[worlds.Row], works: list[worlds.Row], pieces: int, rng: np.random.Generator, regions: Regions
) -> list[DayRows]:
    events = [("look", row) for row in looks] + [("work", row) for row in works]
    coming = worlds.disordered(rng, events, 300_000_000)
    stream = Stream(RULES, OFFSET, regions=regions)
    days = []
    for part in np.array_split(np.arange(len(coming)), pieces):
        mine = [coming[at] for at in part]
        accesses = worlds.accesses([row for kind, row in mine if kind == "look"])
        for made in stream.feed(accesses, worlds.work_table([row for kind, row in mine if kind == "work"])):
            days += made.days
    return days + [day for made in stream.flush() for day in made.days]


def batched(looks: list[worlds.Row], works: list[worlds.Row], regions: Regions) -> list[DayRows]:
    """As files of a day each come: all that was received on it, in any order."""
    rows = [*looks, *works]
    first, last = (min(row["received"] for row in rows) // DAY, max(row["received"] for row in rows) // DAY)
    days: list[DayRows] = []
    with closing(Batch(DuckdbSql, RULES, OFFSET, regions=regions)) as batch:
        for day in range(first, last + 1):
            of_day = [[row for row in kind if row["received"] // DAY == day] for kind in (looks, works)]
            batch.add(worlds.accesses(of_day[0]), worlds.work_table(of_day[1]))
            days += batch.settled((day + 1) * DAY)
        days += batch.settled()
        assert batch.late == 0
    return days


def test_the_worlds_have_what_they_must_tell_apart() -> None:
    rng = np.random.default_rng(1)
    rows = [
        row
        for day in batched(worlds.looks(rng, 400, 3), worlds.works(rng, 200, 3), asked([0, 0, 1]))
        for row in day.rows.to_pylist()
    ]
    pairs = {(row["provisional"], row["settled"]) for row in rows}
    assert pairs >= {(-1, -1), (0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)}
    assert {row["near"] for row in rows if row["settled"] == 0} == {-1, 0, 1}
    assert GRACE < DAY


@pytest.mark.slow
def test_stream_and_batch_make_the_same_days_of_many_rows() -> None:
    rng = np.random.default_rng(2)
    looks, works = worlds.looks(rng, 20_000, 50), worlds.works(rng, 3_000, 50)
    for at, row in enumerate([*looks, *works]):
        row["waybill"] = row["waybill"] and row["waybill"] + 5 * (at % 40)
    regions = asked([1, 1, 0])
    same(streamed(looks, works, 200, rng, regions), batched(looks, works, regions))
