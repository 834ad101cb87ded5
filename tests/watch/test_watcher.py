"""The whole of it on days made by hand: who is called, who is not, and that pieces make no difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.event import SEEN_FIELDS
from parcelveil.watch.cases import Case
from parcelveil.watch.coded import ACTIONS, CODED_ACCESS
from parcelveil.watch.daily import DayRows
from parcelveil.watch.signals import Signal
from parcelveil.watch.watcher import LEARNING, Watcher
from watch.days_made import DAY, Made

FIRST, TAUGHT = 20_000, 30
BEGIN = FIRST + TAUGHT
DECOY = 10**15
Day = Callable[[Made, int], DayRows]


def columns(rows: pa.Table, **arrays: object) -> pa.Table:
    """``rows`` with some columns replaced."""
    for name, values in arrays.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))
    return rows


@cache
def taught(accounts: int, seed: int, days: int) -> tuple[Made, Watcher, list[Case]]:
    """A carrier after plain days, to be copied."""
    made, watcher = Made(accounts, seed=seed), Watcher(decoys={DECOY})
    cases: list[Case] = []
    for number in range(FIRST, FIRST + days):
        rows = made.day(number)
        watcher.see(rows.rows.select(CODED_ACCESS.names))
        cases += watcher.day(rows)
    return made, watcher, cases


def watch(
    days: int, day: Day = lambda made, number: made.day(number), *, accounts: int = 240, seed: int = 1
) -> list[Case]:
    """All cases of a carrier of which ``TAUGHT`` plain days and then ``days`` others are watched."""
    made, watcher, cases = deepcopy(taught(accounts, seed, TAUGHT))
    for number in range(BEGIN, BEGIN + days):
        rows = day(made, number)
        watcher.see(rows.rows.select(CODED_ACCESS.names))
        cases += watcher.day(rows)
    cases += watcher.end()
    return cases


def of(cases: list[Case], actor: int) -> Iterator[Signal]:
    return (case.signals[-1] for case in cases if case.kind == "actor" and case.subject == actor)


def found(cases: list[Case], actor: int) -> float:
    """Days from the first of an attack until the account is called; infinite: never."""
    begin = BEGIN * DAY - 480 * 60_000_000
    return min(((one.time - begin) / DAY for one in of(cases, actor)), default=np.inf)


@pytest.fixture(scope="module")
def clean() -> list[Case]:
    return watch(14)


def test_the_promise_is_kept_on_a_clean_carrier(clean: list[Case]) -> None:
    assert len({(case.kind, case.subject) for case in clean}) <= 1


def test_t1_a_rented_account_is_found_on_the_same_day_before_500_records() -> None:
    def day(made: Made, number: int) -> DayRows:
        rows = made.day(number, {17: 600}, far=(17,))
        table = rows.rows
        device = np.where(table["actor"].to_numpy() == 17, 9_999, table["device"].to_numpy())
        return rows._replace(rows=columns(table, device=device))

    cases = watch(1, day)
    assert found(cases, 17) < 1
    assert min(one.value for one in of(cases, 17) if one.name in ("bulk", "device")) < 500
    assert {case.subject for case in cases if case.kind == "actor"} <= {17}


@pytest.mark.parametrize(("rate", "within"), [(10, 8), (5, 15)])
def test_t2_a_slow_insider_is_found(rate: int, within: int) -> None:
    assert found(watch(within, lambda made, number: made.day(number, {21: rate})), 21) <= within


def test_t2_who_looks_far_away_is_found_earlier() -> None:
    def far(made: Made, number: int) -> DayRows:
        return made.day(number, {21: 5}, far=(21,))

    near = found(watch(10, lambda made, number: made.day(number, {21: 5})), 21)
    assert found(watch(10, far), 21) < min(near, 8)


def test_an_outage_of_an_outlet_and_a_promotion_day_call_nobody(clean: list[Case]) -> None:
    def day(made: Made, number: int) -> DayRows:
        return made.day(number, lost=(4,) if number == BEGIN + 1 else (), volume=180 if number == BEGIN + 3 else 60)

    called = {case.subject for case in watch(5, day)}
    assert called <= {case.subject for case in clean}


def test_an_enumeration_and_a_decoy_are_told_at_once() -> None:
    def day(made: Made, number: int) -> DayRows:
        rows = made.day(number, {30: 300, 40: 1})
        actor = rows.rows["actor"].to_numpy()
        serial, waybill = (rows.rows[name].to_numpy().copy() for name in ("serial", "waybill"))
        walk = np.flatnonzero(actor == 30)
        serial[walk] = 5_000_000 + np.arange(len(walk))
        waybill[np.flatnonzero(actor == 40)[-1]] = DECOY
        return rows._replace(rows=columns(rows.rows, serial=serial, waybill=waybill))

    cases = watch(1, day)
    assert "enumeration" in {one.name for one in of(cases, 30)}
    assert found(cases, 30) < 1
    assert [one.name for one in of(cases, 40)] == ["decoy"]


def export(made: Made, number: int, fields: int) -> DayRows:
    rows = made.day(number, {50: 1})
    at = np.flatnonzero(rows.rows["actor"].to_numpy() == 50)[-1]
    columns_of = {name: rows.rows[name].to_numpy().copy() for name in ("action", "records", "fields", "waybill")}
    for name, value in (("action", ACTIONS.index("export")), ("records", 500), ("fields", fields), ("waybill", 0)):
        columns_of[name][at] = value
    return rows._replace(rows=columns(rows.rows, **columns_of))


def test_an_export_of_new_personal_fields_is_told() -> None:
    personal = SEEN_FIELDS["phone"] | SEEN_FIELDS["address"]
    assert "export" in {one.name for one in of(watch(1, lambda made, number: export(made, number, personal)), 50)}


def test_while_it_learns_only_hard_limits_speak() -> None:
    made, watcher = Made(120), Watcher()
    cases = []
    for number in range(FIRST, FIRST + LEARNING - 1):
        cases += watcher.day(made.day(number, {3: 100, **({7: 3_000} if number == FIRST + 5 else {})}))
    assert {(case.subject, case.signals[0].name) for case in cases} == {(7, "bulk")}


def test_looks_of_nobody_are_never_a_case(clean: list[Case]) -> None:
    def day(made: Made, number: int) -> DayRows:
        rows = made.day(number, {60: 500})
        actor = rows.rows["actor"].to_numpy()
        return rows._replace(rows=columns(rows.rows, actor=np.where(actor == 60, -1, actor)))

    cases = watch(2, day)
    assert all(case.subject != -1 for case in cases)


@given(cuts=st.lists(st.floats(0, 1), max_size=5))
@settings(max_examples=8, deadline=None)
def test_pieces_of_a_day_say_what_the_whole_day_says(cuts: list[float]) -> None:
    made, whole, _ = deepcopy(taught(80, 4, 16))
    _, parts, _ = deepcopy(taught(80, 4, 16))
    rows = made.day(FIRST + 16, {5: 400, 6: 80}, far=(5,))
    size = rows.rows.num_rows
    at = sorted({0, size, *(int(cut * size) for cut in cuts)})
    once = whole.look(rows.rows, rows.day)
    pieces = [one for a, b in pairwise(at) for one in parts.look(rows.rows.slice(a, b - a), rows.day)]

    def told(signals: list[Signal]) -> list[tuple[object, ...]]:
        return sorted((*one[:-1], tuple(one.rows.tolist())) for one in signals)

    assert once
    assert told(once) == told(pieces)
