"""Running counts against their plain reference, however the day is cut."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import InputError
from parcelveil.watch.coded import HOUR
from parcelveil.watch.running import NAMES, Kind, Running, pairs
from parcelveil.watch.streaming import NEW_ROWS
from watch import running_reference as reference
from watch import stream_worlds as worlds

OFFSET = 480
DAY = (worlds.START + OFFSET * 60_000_000) // (24 * HOUR)
KINDS: tuple[Kind, ...] = ("actor", "device", "network", "actor_device")


def open_rows(rng: np.random.Generator, count: int) -> list[worlds.Row]:
    rows = worlds.looks(rng, count, 1.5)
    for row in rows:
        lookable = row["outcome"] == 0 and row["waybill"]
        row["provisional"] = int(rng.integers(0, 3 if row["action"] == 3 else 2)) if lookable else -1
        row["waybill"] = int(rng.integers(0, 60)) if row["waybill"] else 0
        row["serial"] = row["waybill"] * int(rng.choice([1, 1, 700])) - 1
    return sorted(rows, key=lambda row: (row["received"], row["id"]))


def table(rows: list[worlds.Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, NEW_ROWS)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 200), max_size=10),
    kind=st.sampled_from(KINDS),
    limit=st.integers(0, 12),
)
def test_a_day_in_any_pieces_counts_what_the_reference_counts(
    seed: int, cuts: list[int], kind: Kind, limit: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = open_rows(rng, 200)
    known = {(int(actor), int(device)) for actor, device in rng.integers(0, 3, (4, 2))}
    running = Running(DAY, pairs(*np.array(sorted(known)).T), key=kind, offset_minutes=OFFSET)
    limits = {name: (lambda key: key % 5 + limit) for name in NAMES}
    fresh = []
    bounds = sorted({0, len(rows), *cuts})
    for start, end in itertools.pairwise(bounds):
        running.feed(table(rows[start:end]))
        fresh += running.crossings(limits, fresh=True).to_pylist()
    made = reference.counted(rows, DAY, known, kind, OFFSET)
    found = running.crossings(limits)
    expected = reference.crossings(made, limits)
    assert [tuple(row.values()) for row in found.to_pylist()] == expected
    assert fresh == found.to_pylist()
    for name, (keys, counts) in running.finals().items():
        final = made[-1][0][name] if made else {}
        assert dict(zip(keys.tolist(), counts.tolist(), strict=True)) == {k: v for k, v in final.items() if v}
        assert keys.tolist() == sorted(keys.tolist())


LOOK = open_rows(np.random.default_rng(0), 1)[0] | {
    "time": worlds.START,
    "received": worlds.START,
    "actor": 1,
    "device": 1,
    "action": 0,
    "outcome": 0,
    "provisional": 0,
    "serial": -1,
    "waybill": 1,
}


def test_t8_a_walk_through_numbers_is_seen_at_the_row_at_which_it_goes_too_far() -> None:
    walk = [
        LOOK | {"id": at, "serial": 5000 + 2 * at, "waybill": at, "outcome": 2, "provisional": -1}
        for at in range(1, 50)
    ]
    running = Running(DAY, np.zeros(0, np.int64))
    running.feed(table(walk))
    first = running.crossings({"steps": 10.0, "block": np.full(2, 20.0), "unexplained": 0.0}).to_pylist()
    assert [(row["name"], row["id"], row["value"]) for row in first] == [("steps", 12, 11), ("block", 21, 21)]
    assert running.finals()["failed"][1].tolist() == [49]


def test_the_same_parcels_again_and_again_are_no_walk() -> None:
    running = Running(DAY, np.zeros(0, np.int64))
    running.feed(table([LOOK | {"id": at, "serial": 100 + at % 2, "waybill": 1 + at % 2} for at in range(40)]))
    assert running.finals()["steps"][1].tolist() == [1]
    assert running.finals()["unexplained"][1].tolist() == [2]


def test_serials_far_apart_do_not_come_round_to_neighbours() -> None:
    running = Running(DAY, np.zeros(0, np.int64))
    running.feed(table([LOOK | {"id": 1, "serial": 0}, LOOK | {"id": 2, "serial": 2**63 - 1}]))
    assert running.finals()["steps"][0].tolist() == []


def test_t1_parcels_looked_at_on_a_new_device_are_counted_apart() -> None:
    running = Running(DAY, pairs(np.array([1]), np.array([1])))
    rows = [LOOK | {"id": at, "waybill": at, "device": 1 + at % 2} for at in range(1, 11)]
    running.feed(table(rows))
    assert [counts.tolist() for counts in running.finals()["device"]] == [[1], [5]]
    assert [counts.tolist() for counts in running.finals()["unexplained"]] == [[1], [10]]


def test_rows_out_of_order_and_keys_without_a_limit_are_errors() -> None:
    running = Running(DAY, np.zeros(0, np.int64))
    running.feed(table([LOOK | {"id": 5}]))
    with pytest.raises(InputError, match="order"):
        running.feed(table([LOOK | {"id": 4}]))
    with pytest.raises(InputError, match="order"):
        Running(DAY, np.zeros(0, np.int64)).feed(table([LOOK | {"id": 5}, LOOK | {"id": 4}]))
    with pytest.raises(InputError, match="limit"):
        running.crossings({"unexplained": np.zeros(1)})


def test_many_keys_make_the_tables_grow() -> None:
    running = Running(DAY, np.zeros(0, np.int64))
    count = 5_000
    columns = {name: np.full(count, LOOK[name]) for name in LOOK}
    columns |= {"id": np.arange(count), "actor": np.arange(count) % 2_500, "waybill": 1 + np.arange(count)}
    running.feed(pa.table([pa.array(columns[field.name], field.type) for field in NEW_ROWS], schema=NEW_ROWS))
    keys, counts = running.finals()["unexplained"]
    assert keys.tolist() == list(range(2_500))
    assert set(counts.tolist()) == {2}
