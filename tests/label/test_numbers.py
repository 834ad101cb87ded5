"""How long a virtual number lives, and the side file that the print station reads."""

from __future__ import annotations

import doctest
import importlib
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.errors import InputError
from parcelveil.event import POSITIONS, BizStep
from parcelveil.label.numbers import (
    NUMBERS,
    Decision,
    Position,
    Rules,
    by_waybill,
    decide,
    moving,
    numbers_for,
    side_rows,
    side_table,
)
from parcelveil.ports import NumberRow
from parcelveil.waybill import personal_fields

DAY = 86_400_000_000
START = 1_790_000_000_000_000
RULES = Rules.of()
STEPS = (7, 15, 30)


def row(bound: float = 0, expires: float = 15, **other: object) -> NumberRow:
    """A binding; times in days from START."""
    return NumberRow("YT1", "b1", "axn-extension", "95013000000001", "4711", at(bound), at(expires), **other)  # type: ignore[arg-type]


def at(days: float) -> int:
    return START + int(days * DAY)


#: Latest event, its day, bound on day, expires on day, now: what happens, and until which day.
TABLE = [
    # Before the first scan, and on the way.
    ("", None, 0, 15, 1, ("keep", "on-its-way", None)),
    ("pickup_assigned", 1, 0, 15, 1, ("keep", "on-its-way", None)),
    ("arrived", 5, 0, 15, 7.9, ("keep", "on-its-way", None)),
    ("arrived", 5, 0, 15, 8, ("keep", "on-its-way", None)),
    ("arrived", 5, 0, 15, 8.1, ("extend", "on-its-way", 22)),
    *((step, 8, 0, 15, 9, ("extend", "on-its-way", 22)) for step in (
        "posted", "arrived", "customs_held", "out_for_delivery", "attempted", "departed", "returned",
    )),
    # A number with little left, and a first extension that would not reach: the next larger one.
    ("departed", 8, 0, 9, 8.9, ("extend", "on-its-way", 16)),
    ("departed", 8, 0, 9, 9.5, ("extend", "on-its-way", 24)),
    # Delivered: it stays for the days of grace, is extended for them if need be, and then ends at once.
    ("delivered", 4, 0, 15, 4, ("keep", "delivered", None)),
    ("delivered", 4, 0, 15, 6.9, ("keep", "delivered", None)),
    ("delivered", 4, 0, 15, 7, ("unbind", "delivered", None)),
    ("delivered", 14, 0, 15, 14.5, ("extend", "delivered", 22)),
    # The scan of a delivery ten days ago comes only now.
    ("delivered", 2, 0, 15, 12, ("unbind", "delivered", None)),
    # It came back after its delivery, and goes out again.
    ("returned", 9, 0, 15, 9.5, ("extend", "on-its-way", 22)),
    ("out_for_delivery", 12, 0, 15, 12, ("extend", "on-its-way", 22)),
    ("delivered", 13, 0, 22, 14, ("keep", "delivered", None)),
    # No sign of life for long: the delivery's scan was lost. It runs out by itself.
    ("out_for_delivery", 1, 0, 35, 30.9, ("extend", "on-its-way", 42)),
    ("out_for_delivery", 1, 0, 35, 31, ("keep", "silent", None)),
    ("", None, 0, 35, 30, ("keep", "silent", None)),
    ("arrived", 31.5, 0, 35, 32, ("extend", "on-its-way", 42)),
    # Nothing lives longer than ninety days: the largest step that fits, then none, then the end.
    ("customs_held", 80, 0, 82, 81, ("extend", "on-its-way", 89)),
    ("customs_held", 80, 0, 83, 82, ("extend", "on-its-way", 90)),
    ("customs_held", 80, 0, 84, 83, ("keep", "on-its-way", None)),
    ("customs_held", 88, 0, 90.5, 90, ("unbind", "longest", None)),
    ("delivered", 89, 0, 89.5, 89.2, ("keep", "delivered", None)),
]  # fmt: skip


@pytest.mark.parametrize(("step", "since", "bound", "expires", "now", "told"), TABLE)
def test_decisions(
    step: str, since: float | None, bound: float, expires: float, now: float, told: tuple[str, str, float | None]
) -> None:
    position = Position(step, 0 if since is None else at(since))
    act, why, until = told
    found = decide(row(bound, expires), position, at(now), RULES, STEPS)
    assert found == Decision(act, why, at(until) if until is not None else 0)  # type: ignore[arg-type]


@given(
    step=st.sampled_from(["", "pickup_assigned", *map(str, POSITIONS)]),
    since=st.floats(-200, 200),
    bound=st.floats(0, 100),
    left=st.floats(0.01, 60),
    now=st.floats(0, 300),
    steps=st.sampled_from([(7, 15, 30), (1,), (90,), ()]),
)
def test_whatever_is_known_nothing_outlives_the_longest_or_is_shortened(
    step: str, since: float, bound: float, left: float, now: float, steps: tuple[int, ...]
) -> None:
    binding = row(bound, now + left)
    found = decide(binding, Position(step, at(since) if step else 0), at(now), RULES, steps)
    if found.act == "extend":
        assert binding.expires_at < found.until <= binding.bound_at + RULES.longest
        assert (found.until - binding.expires_at) // DAY in steps
        assert (found.until - binding.expires_at) % DAY == 0
    else:
        assert found.until == 0
    if at(now) >= binding.bound_at + RULES.longest:
        assert found.act == "unbind"


@given(st.sampled_from(list(POSITIONS)), st.integers(0, 14))
def test_who_is_visited_daily_has_a_number_until_the_end_of_grace(last: BizStep, delivered: int) -> None:
    """A parcel with a scan a day, looked after once a day: its number never ends before it may."""
    binding, step = row(), BizStep.ARRIVED
    for day in range(80):
        step = BizStep.DELIVERED if day >= 60 + delivered else last if last != BizStep.DELIVERED else BizStep.ARRIVED
        since = min(day, 60 + delivered)
        assert binding.expires_at > at(day), day
        found = decide(binding, Position(step, at(since)), at(day), RULES, STEPS)
        if found.act == "unbind":
            assert day == 60 + delivered + 3
            return
        if found.act == "extend":
            binding = row(0, (found.until - START) / DAY)
    raise AssertionError("it was never unbound")


def test_what_moves() -> None:
    assert not moving(Position("", 0))
    assert not moving(Position("delivered", 1))
    assert moving(Position("pickup_assigned", 1))
    assert moving(Position("returned", 1))


def test_examples_in_the_docstring() -> None:
    done = doctest.testmod(importlib.import_module("parcelveil.label.numbers"))
    assert done.attempted >= 5
    assert not done.failed


# -- the side file ---------------------------------------------------------------------------------------------------

NOW = datetime.fromtimestamp(START / 1e6, UTC)


def side(*rows: NumberRow) -> pa.Table:
    return pa.Table.from_batches([side_rows(rows)])


def named(number: str, extension: str, expires: float, waybill: str = "YT1") -> NumberRow:
    return NumberRow(waybill, "b", "axn-extension", number, extension, START, at(expires))


def test_t5_the_side_file_has_no_column_for_a_phone() -> None:
    assert NUMBERS.names == ["waybill_no", "number", "extension", "expires_at", "bind_id"]
    assert not personal_fields(NUMBERS)


def test_numbers_for_a_batch() -> None:
    table = side(
        named("95013000000001", "1001", 1, "YT1"),
        named("95013000000002", "1002", 0, "YT2"),  # expired now
        named("95013000000003", "1003", 2, "YT3"),
        named("95013000000004", "1004", 2, "YT3"),  # the later row counts
        named("95013000000005", "1005", 1, "YT4"),
        named("95013000000006", "1006", -1, "YT4"),  # a later row that has expired hides none that lives
    )
    numbers, extensions = numbers_for(pa.array(["YT4", "YT3", None, "YT2", "YT1", "YT9", "YT3"]), table, NOW)
    assert [None if text is None else text[-1] for text in numbers.to_pylist()] == [
        "5",
        "4",
        None,
        None,
        "1",
        None,
        "4",
    ]
    assert extensions.to_pylist() == ["1005", "1004", None, None, "1001", None, "1004"]
    assert by_waybill(table, NOW) == {
        "YT1": ("95013000000001", "1001"),
        "YT3": ("95013000000004", "1004"),
        "YT4": ("95013000000005", "1005"),
    }
    none, _ = numbers_for(pa.array(["YT1"]), side(), NOW)
    assert none.to_pylist() == [None]
    assert by_waybill(table, NOW + timedelta(days=9)) == {}


def test_a_side_file_is_checked() -> None:
    good = side_rows([named("95013000000001", "1001", 1)])
    assert side_table(NUMBERS, [good], "n.parquet").num_rows == 1
    assert side_table(NUMBERS, [], "n.parquet").num_rows == 0
    bare = pa.RecordBatch.from_arrays(good.columns, names=good.schema.names)
    with pytest.raises(InputError, match="no file of virtual numbers"):
        side_table(bare.schema, [bare], "n.parquet")
    fewer = good.select(["waybill_no", "number"]).schema.with_metadata(NUMBERS.metadata)
    with pytest.raises(InputError, match="no file of virtual numbers"):
        side_table(fewer, [], "n.parquet")


@pytest.mark.parametrize(
    ("number", "extension"),
    [
        ("13812345678", ""),  # a real phone must not go to print by this way
        ("+8613812345678", "1001"),
        ("9501300 0000001", "1001"),
        ("95013000000001", "10"),
        ("95013000000001", "转1001"),
        ("李雷", "1001"),
        ("", ""),
        ("95013000000001\n", "1001"),
    ],
)
def test_t5_nothing_but_virtual_numbers_is_taken_from_a_side_file(number: str, extension: str) -> None:
    rows = side_rows([named("95013000000001", "1001", 1), named(number, extension, 1)])
    with pytest.raises(InputError, match="no virtual number") as told:
        side_table(NUMBERS, [rows], "n.parquet")
    assert number not in str(told.value) or not number


def test_missing_values_and_other_types_in_a_side_file() -> None:
    good = side_rows([named("95013000000001", "1001", 1)])
    for place in range(len(NUMBERS)):
        columns = list(good.columns)
        columns[place] = pa.nulls(1, columns[place].type)
        loose = pa.schema([field.with_nullable(True) for field in NUMBERS], metadata=NUMBERS.metadata)
        with pytest.raises(InputError, match="no virtual number"):
            side_table(loose, [pa.RecordBatch.from_arrays(columns, schema=loose)], "n.parquet")
    other = pa.schema([*NUMBERS][:-1] + [pa.field("bind_id", pa.list_(pa.int8()))], metadata=NUMBERS.metadata)
    batch = pa.RecordBatch.from_arrays([*good.columns[:-1], pa.array([[1]], pa.list_(pa.int8()))], schema=other)
    with pytest.raises(InputError, match="no virtual number"):
        side_table(other, [batch], "n.parquet")
