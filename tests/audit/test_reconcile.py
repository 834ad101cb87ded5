"""Reconciliation: what the kernel was let open against what is logged; any difference shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parcelveil.audit.reconcile import Day, compare

counts = st.integers(-5, 1 << 40)


def test_equal_days() -> None:
    assert compare({"2026-11-24": 5, "2026-11-25": 2}, {20781: 5, 20782: 2}) == [
        Day("2026-11-24", 5, 5),
        Day("2026-11-25", 2, 2),
    ]


def test_t10_values_opened_that_nobody_logged() -> None:
    assert compare({"2026-11-24": 5}, {20781: 9, 20783: 1}) == [Day("2026-11-24", 9, 5), Day("2026-11-26", 1, 0)]


def test_t10_entries_that_were_lost_and_counts_that_were_lowered() -> None:
    assert compare({"2026-11-24": 5, "2026-11-25": 3}, {20781: 4}) == [Day("2026-11-24", 4, 5), Day("2026-11-25", 0, 3)]


def test_days_on_which_nothing_was_opened_say_nothing() -> None:
    assert compare({}, {}) == compare({"2026-11-24": 0}, {20781: 0, 20785: 0}) == []


@given(st.dictionaries(st.integers(0, 40_000), counts), st.dictionaries(st.integers(0, 40_000), counts))
def test_no_difference_is_lost(logged: dict[int, int], drawn: dict[int, int]) -> None:
    from datetime import date, timedelta

    named = {(date(1970, 1, 1) + timedelta(days=day)).isoformat(): count for day, count in logged.items()}
    found = compare(named, drawn)
    assert [day.day for day in found] == sorted({day.day for day in found})
    assert sum(day.opened for day in found) == sum(drawn.values())
    assert sum(day.logged for day in found) == sum(logged.values())
    off = {day for day in logged.keys() | drawn.keys() if logged.get(day, 0) != drawn.get(day, 0)}
    assert len([day for day in found if day.opened != day.logged]) == len(off)
