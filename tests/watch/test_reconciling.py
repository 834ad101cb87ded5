"""Values opened against values logged: boundaries are no alarm, what was never logged is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.audit.reconcile import Day
from parcelveil.watch.reconciling import HOUR, Reconciling, of_days

START = 490_000  # hours since 1970


def month(seed: int, days: int = 28, busy: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hours, values and logged of a system whose batches fall over the hours; nothing at night."""
    rng = np.random.default_rng(seed)
    hours = np.arange(24 * days)
    work = np.where((hours % 24 >= 7) & (hours % 24 < 21), rng.poisson(busy, len(hours)), rng.poisson(20, len(hours)))
    late = np.minimum(rng.integers(0, 400, len(hours)), work) * ((hours % 24 >= 7) & (hours % 24 < 21))
    logged = work - late + np.r_[0, late[:-1]]
    return (START + hours) * HOUR, work, logged


def fed(hours: np.ndarray, values: np.ndarray, logged: np.ndarray, **options: int) -> list:
    return Reconciling(**options).feed(["api"] * len(hours), hours, values, logged)


@pytest.mark.parametrize("seed", range(20))
def test_boundaries_are_no_alarm(seed: int) -> None:
    hours, values, logged = month(seed)
    assert np.abs(values - logged).max() > 300, "the hours do differ"
    assert fed(hours, values, logged) == []


@pytest.mark.parametrize("seed", range(10))
def test_t10_much_opened_round_the_desk_is_told_within_hours(seed: int) -> None:
    hours, values, logged = month(seed)
    at = 24 * 20 + 11
    values[at] += 5000
    signals = fed(hours, values, logged)
    assert len(signals) == 1
    (signal,) = signals
    assert (signal.subject_kind, signal.subject, signal.name) == ("system", "api", "reconcile")
    assert 0 < signal.time - hours[at] <= 4 * HOUR
    assert 4000 <= signal.value <= 5400


def test_t10_a_single_value_is_told_within_two_days() -> None:
    hours, values, logged = month(3)
    at = 24 * 10 + 2
    values[at] += 1
    signals = fed(hours, values, logged)
    assert [signal.value for signal in signals] == [1.0]
    assert signals[0].time - hours[at] <= 48 * HOUR


def test_t10_slow_bypass_is_told_again_and_the_amounts_add_up() -> None:
    hours, values, logged = month(4)
    values[24 * 10 + 3 : 24 * 20 + 3 : 24] += 30
    amounts = [signal.value for signal in fed(hours, values, logged)]
    assert len(amounts) >= 5
    assert sum(amounts) == 300


def test_looks_without_opening_are_told_with_a_minus() -> None:
    hours, values, logged = month(5)
    logged[24 * 15 + 4] += 700
    assert [signal.value for signal in fed(hours, values, logged)] == [-700]


def test_hours_without_a_row_and_restarts_are_no_alarm() -> None:
    hours, values, logged = month(6)
    kept = (hours // HOUR % 24 >= 6) & (hours // HOUR % 24 < 23) | (values != logged)
    quiet = ~kept
    values[quiet] = logged[quiet]
    assert fed(hours[kept], values[kept], logged[kept]) == []


def test_two_systems_are_two() -> None:
    hours, values, logged = month(7)
    more = values.copy()
    more[300] += 9000
    both = Reconciling().feed(
        ["a"] * len(hours) + ["b"] * len(hours), np.r_[hours, hours], np.r_[values, more], np.r_[logged, logged]
    )
    assert {signal.subject for signal in both} == {"b"}


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 24 * 12), max_size=5), bump=st.integers(0, 24 * 12 - 1))
def test_feeding_in_parts_changes_nothing(cuts: list[int], bump: int) -> None:
    hours, values, logged = month(8, 12)
    values[bump] += 2500
    whole = fed(hours, values, logged)
    parts, watcher = [], Reconciling()
    edges = [0, *sorted(cuts), len(hours)]
    for since, until in itertools.pairwise(edges):
        part = slice(since, until)
        parts += watcher.feed(["api"] * (until - since), hours[part], values[part], logged[part])
    assert [signal[:9] for signal in parts] == [signal[:9] for signal in whole]
    assert whole or bump > 24 * 10


def test_t10_the_desks_own_days_have_no_tolerance() -> None:
    signals = of_days([Day("2026-11-01", 10, 10), Day("2026-11-02", 11, 10), Day("2026-11-03", 0, 2)])
    assert [(signal.day, signal.value) for signal in signals] == [(20759, 1.0), (20760, -2.0)]
    assert of_days([Day("2026-11-01", 10, 10)]) == []
