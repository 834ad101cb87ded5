"""Batch by SQL: equal on DuckDB and SQLite, equal to the reference in plain Python, equal to the stream."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.adapt.sql_duckdb import DuckdbSql
from parcelveil.adapt.sql_sqlite import SqliteSql
from parcelveil.event import BizStep
from parcelveil.ports import Sql
from parcelveil.watch.batch import Batch, statement
from parcelveil.watch.coded import DAY, GRACE, HOUR
from parcelveil.watch.daily import DayRows
from parcelveil.watch.explaining import STEP, read_rules, rule_table
from parcelveil.watch.streaming import Stream
from watch import stream_reference as reference
from watch import stream_worlds as worlds

RULES = read_rules()
OFFSET = 480
FACTORIES: dict[str, Callable[[], Sql]] = {
    "duckdb": lambda: DuckdbSql(threads=1, memory="200MB", keep=True),
    "sqlite": SqliteSql,
}


def table() -> pa.Table:
    return rule_table(RULES, lambda name: worlds.ROLES.index(name) if name in worlds.ROLES else -1)


def asked(regions: list[int] | None) -> Callable[[], np.ndarray] | None:
    return None if regions is None else lambda: np.array(regions, np.int32)


def same(one: list[DayRows], other: list[DayRows]) -> None:
    assert [day.day for day in one] == [day.day for day in other]
    for left, right in zip(one, other, strict=True):
        assert left.rows.to_pylist() == right.rows.to_pylist()
        assert left.volume.to_pylist() == right.volume.to_pylist()
        assert left.rows.equals(right.rows)
        assert left.volume.equals(right.volume)


def fed(batch: Batch, looks: list[worlds.Row], works: list[worlds.Row], cuts: list[int]) -> Iterator[DayRows]:
    """Feed the rows in pieces by the moment of receipt, and settle after each."""
    bounds = [-(2**62), *sorted(worlds.START + cut * HOUR for cut in cuts), 2**62]
    for start, end in itertools.pairwise(bounds):
        part = [[row for row in rows if start <= row["received"] < end] for rows in (looks, works)]
        batch.add(worlds.accesses(part[0]), worlds.work_table(part[1]))
        yield from batch.settled(end if end < 2**62 else None)


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_equals_the_reference_and_the_stream(factory: Callable[[], Sql]) -> None:
    @settings(max_examples=8, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        span=st.sampled_from([0.5, 3, 14, 60]),
        cuts=st.lists(st.integers(-10, 61 * 24), max_size=6),
        at_once=st.sampled_from([1, 20, 10_000]),
        works_too=st.sampled_from([20, 80, 400]),
    )
    def holds(seed: int, span: float, cuts: list[int], at_once: int, works_too: int) -> None:
        rng = np.random.default_rng(seed)
        looks, works = worlds.looks(rng, 60, span), worlds.works(rng, works_too, span)
        again = [looks[at] for at in rng.integers(0, len(looks), 5)]
        regions = worlds.regions(rng)
        with closing(Batch(factory, table(), OFFSET, regions=asked(regions), rows_at_once=at_once)) as batch:
            days = list(fed(batch, looks + again, works, cuts))
            assert (batch.late, batch.repeated) == (0, 5)
        same(days, reference.days(RULES, worlds.ROLES, looks, works, OFFSET, regions))
        stream = Stream(table(), OFFSET, 2 * DAY, asked(regions))
        made = [*stream.feed(worlds.accesses(looks), worlds.work_table(works)), *stream.flush()]
        same(days, [day for one in made for day in one.days])

    holds()


FEATURES = ("actor_hour", "neighbours", "blocks", "subjects", "self_made", "named", "volume", "open_rows")


def test_every_statement_gives_the_same_rows_on_duckdb_and_sqlite() -> None:
    given_rows = dict.fromkeys(FEATURES, 0)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        looks, works = worlds.looks(rng, 400, 12), worlds.works(rng, 250, 12)
        for one in looks:
            one["subject"] = int(rng.integers(0, 4))
        duckdb, sqlite = (answers(factory, looks, works) for factory in FACTORIES.values())
        for name in FEATURES:
            assert duckdb[name] == sqlite[name], name
            given_rows[name] += len(duckdb[name])
    assert all(given_rows.values()), given_rows


def answers(
    factory: Callable[[], Sql], looks: list[worlds.Row], works: list[worlds.Row]
) -> dict[str, list[tuple[int, ...]]]:
    """The rows of every statement, in its order where it has one."""
    made = {}
    with closing(Batch(factory, table(), OFFSET, regions=asked([1, 0, 1]))) as batch:
        batch.add(worlds.accesses(looks), worlds.work_table(works))
        assert list(batch.settled())
        for name in FEATURES:
            columns = batch.features(name, size=10, least=2).to_pydict().values()
            found = list(zip(*([int(cell) for cell in column] for column in columns), strict=True))
            made[name] = found if name != "actor_hour" else sorted(found)
    return made


def look(**fields: int) -> worlds.Row:
    made = dict.fromkeys(worlds.accesses([]).schema.names, -1) | {
        "id": 1, "time": worlds.START + 40 * HOUR, "actor": 1, "role": 0, "outlet": 1, "channel": 0, "action": 0,
        "outcome": 0, "fields": 1, "records": 1, "waybill": 7, "subject": 0,
    }  # fmt: skip
    made |= fields
    return made | {"received": fields.get("received", made["time"])}


def work(step: str, **fields: int) -> worlds.Row:
    made = dict.fromkeys(worlds.work_table([]).schema.names, -1) | {
        "id": 100, "time": worlds.START + 39 * HOUR, "step": STEP[step], "waybill": 7,
    }  # fmt: skip
    made |= fields
    return made | {"received": fields.get("received", made["time"])}


def batch_of(looks: list[worlds.Row], works: list[worlds.Row]) -> tuple[Batch, list[DayRows]]:
    batch = Batch(FACTORIES["duckdb"], table(), OFFSET)
    batch.add(worlds.accesses(looks), worlds.work_table(works))
    return batch, list(batch.settled())


def test_t2_a_ticket_of_one_s_own_is_counted_and_explains_nothing() -> None:
    own = work("ticket_opened", actor=1, ticket=5)
    batch, days = batch_of([look(role=1, ticket=5)], [own])
    with closing(batch):
        assert days[0].rows["settled"].to_pylist() == [0]
        assert batch.features("self_made").to_pylist() == [{"day": days[0].day, "actor": 1, "looks": 1, "tickets": 1}]
        assert batch.named(days[0].rows)[1] == ("ticket_opened", own["time"], "own-ticket")
    batch, days = batch_of([look(role=1, ticket=5)], [work("ticket_opened", actor=2, ticket=5)])
    with closing(batch):
        assert days[0].rows.num_rows == 0
        assert batch.features("self_made").num_rows == 0
    batch, days = batch_of([look(role=1, ticket=5)], [work("ticket_opened", actor=-1, ticket=5)])
    with closing(batch):
        assert days[0].rows["settled"].to_pylist() == [0]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (work("delivered", actor=2, outlet=2), "other-account"),
        (work("arrived", outlet=2), "other-outlet"),
        (work("out_for_delivery", actor=1, time=worlds.START + 3 * HOUR), "too-late"),
        (work("pickup_assigned", actor=1, time=worlds.START + 43 * HOUR), "too-early"),
        (work("arrived", outlet=1, received=worlds.START + 40 * HOUR + 2 * DAY), "came-late"),
        (work("arrived", outlet=1), ""),
    ],
)
def test_t1_the_nearest_work_is_named_with_what_does_not_fit(event: worlds.Row, why: str) -> None:
    batch, days = batch_of([look()], [event])
    with closing(batch):
        found = batch.named(days[0].rows)
    assert found[1].why == why
    assert found[1].time == event["time"]
    assert STEP[found[1].step] == event["step"]


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_t1_work_of_the_region_raises_no_level_but_tells_near_from_far(factory: Callable[[], Sql]) -> None:
    """Of each look: what there was at its parcel, and what near must be. Outlets 0 to 4 lie in 7, 7, 8, ?, 7; 5: nobody knows."""
    at = worlds.START + 40 * HOUR  # midnight, local; the day is settled 36 hours later
    other = {"actor": 2, "outlet": 0}
    table_of: list[tuple[dict[str, int], worlds.Row | None, int]] = [
        ({}, work("delivered", **other), 1),
        ({}, work("delivered", **other | {"outlet": 2}), 0),
        ({}, work("delivered", **other | {"outlet": 3}), 0),
        ({}, work("delivered", **other | {"outlet": -1}), 0),
        ({}, None, 0),
        ({"outlet": 2}, work("delivered", **other), 0),
        ({"outlet": 2}, work("delivered", **other | {"outlet": 3}), 0),
        ({"outlet": 3}, work("delivered", **other), -1),
        ({"outlet": 5}, work("delivered", **other), -1),
        ({"outlet": -1}, work("delivered", **other), -1),
        ({"outcome": 1}, work("delivered", **other), -1),
        ({"action": 3}, work("delivered", **other), 1),
        ({}, work("delivered", **other | {"outlet": 1}), -1),  # the outlet's own: level 1
        ({}, work("attempted", **other), 0),  # a step without a rule of the region
        ({}, work("departed", **other | {"outlet": 2, "to_outlet": 4}), 0),
        ({}, work("delivered", **other, time=at + 72 * HOUR, received=at), 1),
        ({}, work("delivered", **other, time=at + 72 * HOUR + 1, received=at), 0),
        ({}, work("delivered", **other, time=at - 240 * HOUR), 1),
        ({}, work("delivered", **other, time=at - 240 * HOUR - 1), 0),
        ({}, work("delivered", **other, received=at + 36 * HOUR - 1), 1),
        ({}, work("delivered", **other, received=at + 36 * HOUR), 0),
    ]
    looks = [look(id=place, waybill=place, **fields) for place, (fields, _, _) in enumerate(table_of, 1)]
    works = [one | {"waybill": place, "id": 100 + place} for place, (_, one, _) in enumerate(table_of, 1) if one]
    levels = {}
    for regions in ([7, 7, 8, -1, 7], None):
        with closing(Batch(factory, table(), OFFSET, regions=asked(regions))) as batch:
            batch.add(worlds.accesses(looks), worlds.work_table(works))
            days = list(batch.settled())
            named = batch.features("named")["whom"].to_pylist()
        rows = sorted((row for day in days for row in day.rows.to_pylist()), key=lambda row: int(row["id"]))
        assert [row["near"] for row in rows] == [near if regions else -1 for _, _, near in table_of]
        assert named
        assert 5 not in named
        levels[regions is None] = [(row["provisional"], row["settled"]) for row in rows]
        same(days, reference.days(RULES, worlds.ROLES, looks, works, OFFSET, regions))
    assert levels[False] == levels[True]


def test_regions_are_asked_before_each_span_of_days() -> None:
    known: list[int] = []
    event = work("delivered", actor=2, outlet=0)
    with closing(
        Batch(FACTORIES["duckdb"], table(), OFFSET, regions=lambda: np.array(known, np.int32), rows_at_once=1)
    ) as batch:
        batch.add(worlds.accesses([look(), look(id=2, time=worlds.START + 64 * HOUR)]), worlds.work_table([event]))
        nears = []
        for day in batch.settled():
            nears += day.rows["near"].to_pylist()
            known += [7, 7]
    assert nears == [-1, 1]


def test_work_is_kept_as_long_as_a_rule_of_the_region_reaches_if_regions_are_known() -> None:
    for regions, near in ((asked([7, 7]), 1), (None, -1)):
        with closing(Batch(FACTORIES["duckdb"], table(), OFFSET, regions=regions)) as batch:
            batch.add(None, worlds.work_table([work("posted", actor=2, outlet=0)]))
            list(batch.settled(worlds.START + 9 * DAY))
            assert bool(batch._tables["work"]) is (regions is not None)
            batch.add(worlds.accesses([look(time=worlds.START + 11 * DAY)]))
            assert [day.rows["near"].to_pylist() for day in batch.settled()] == [[near]]


def test_a_look_without_any_work_has_no_name() -> None:
    batch, days = batch_of([look()], [work("arrived", outlet=1, waybill=8)])
    with closing(batch):
        assert batch.named(days[0].rows) == {}


def test_t8_a_walk_through_numbers_shows_in_steps_and_blocks() -> None:
    walk = [
        look(
            id=at, serial=5_000 + 2 * at, time=worlds.START + 40 * HOUR + at, waybill=1_000 + at, actor=at % 2, device=9
        )
        for at in range(40)
    ]
    batch, _ = batch_of(walk, [])
    with closing(batch):
        steps = batch.features("neighbours").to_pylist()
        blocks = batch.features("blocks", size=1_000, least=30).to_pylist()
    assert [(row["actor"], row["looks"], row["near"]) for row in steps] == [(0, 20, 0), (1, 20, 0)]  # by 4 each
    assert [(r["kind"], r["who"], r["block"], r["covered"], r["actors"]) for r in blocks] == [(2, 9, 5_000, 40, 2)]
    batch, _ = batch_of([dict(row, actor=3) for row in walk], [])
    with closing(batch):
        steps = batch.features("neighbours").to_pylist()
    assert [(row["looks"], row["near"], row["onward"]) for row in steps] == [(40, 39, 39)]


def test_the_same_person_again_without_work_shows() -> None:
    again = [look(id=at, subject=77, waybill=50 + at, time=worlds.START + (40 + 24 * at) * HOUR) for at in range(3)]
    batch, _ = batch_of(again, [work("delivered", actor=1, waybill=52, time=worlds.START + 88 * HOUR)])
    with closing(batch):
        rows = batch.features("subjects", least=2).to_pylist()
    assert [(row["subject"], row["looks"], row["parcels"], row["days"]) for row in rows] == [(77, 2, 2, 2)]


def test_work_is_forgotten_when_it_explains_nothing_more() -> None:
    with closing(Batch(FACTORIES["duckdb"], table(), OFFSET)) as batch:
        held: list[int] = []
        for day in range(30):
            at = worlds.START + day * DAY + 5 * HOUR
            steps = ("arrived", "out_for_delivery", "delivered", "ticket_closed")
            batch.add(
                worlds.accesses([look(id=day, time=at, waybill=day + 1)]),
                worlds.work_table([work(step, time=at, outlet=1, waybill=day + 1) for step in steps]),
            )
            list(batch.settled(at))
            held.append(sum(batch._tables["work"].values()))
    assert max(held[15:]) == min(held[15:]) <= 36


def test_a_look_behind_a_settled_day_is_counted_as_late() -> None:
    with closing(Batch(FACTORIES["duckdb"], table(), OFFSET)) as batch:
        batch.add(worlds.accesses([look()]))
        assert len(list(batch.settled(worlds.START + 3 * DAY + GRACE + HOUR))) == 1
        batch.add(worlds.accesses([look(id=2)]), None)
        assert list(batch.settled()) == []
        assert batch.late == 1


def test_times_out_of_all_range_are_left_out_and_counted() -> None:
    with closing(Batch(FACTORIES["duckdb"], table(), OFFSET)) as batch:
        wild = [look(id=2, time=2**62), look(id=3, time=-5), look(id=4, received=2**63 - 1)]
        batch.add(
            worlds.accesses([look(), *wild]),
            worlds.work_table([work("arrived", outlet=1), work("arrived", outlet=1, time=-(2**63))]),
        )
        days = list(batch.settled())
        assert [day.rows["id"].to_pylist() for day in days] == [[1]]
        assert days[0].rows["settled"].to_pylist() == [1]
        assert batch.unusable == 4


def test_codes_in_the_statements_are_those_of_the_events() -> None:
    codes = {step: STEP[step] for step in (BizStep.OUT_FOR_DELIVERY, BizStep.ROUTE_ASSIGNED, BizStep.TICKET_OPENED)}
    assert list(codes.values()) == [5, 11, 12]
    for name in (
        "explain",
        "work_by_rule",
        "routes",
        "self_made",
        "named",
        "near",
        "near_region",
        "actor_day",
        *FEATURES,
    ):
        text = statement(name)
        assert text.startswith("-- "), name
        assert "-- Gives   " in text, name
