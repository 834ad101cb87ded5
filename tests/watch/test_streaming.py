"""The stream against its plain reference, however the rows come."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import InputError, UsageError
from parcelveil.event import BizStep
from parcelveil.watch.coded import AHEAD, CODED_ACCESS, DAY, GRACE, HOUR
from parcelveil.watch.daily import DayRows
from parcelveil.watch.explaining import Rule, read_rules, rule_table
from parcelveil.watch.streaming import NEW_ROWS, REPEATED_WITHIN, Made, Stream
from watch import stream_reference as reference
from watch import stream_worlds as worlds

RULES = read_rules()
OFFSET = 480
DISORDER = 300_000_000


def table() -> pa.Table:
    return rule_table(RULES, lambda name: worlds.ROLES.index(name) if name in worlds.ROLES else -1)


def streamed(events: list[tuple[str, worlds.Row]], cuts: list[int], stream: Stream) -> tuple[pa.Table, list[DayRows]]:
    """Feed ``events`` in pieces that begin at ``cuts``."""
    made: list[Made] = []
    bounds = sorted({0, len(events), *(cut % (len(events) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(bounds):
        part = events[start:end]
        looks = [row for kind, row in part if kind == "look"]
        works = [row for kind, row in part if kind == "work"]
        made += stream.feed(worlds.accesses(looks) if looks else None, worlds.work_table(works) if works else None)
    made += stream.flush()
    settled_until = 0
    for one in made:  # what was received before a day was settled is given before it
        assert one.open.num_rows == 0 or one.open["received"][0].as_py() >= settled_until
        settled_until = max([settled_until, *(ends(day.day) + GRACE for day in one.days)])
    return pa.concat_tables([one.open for one in made]), [day for one in made for day in one.days]


def asked(regions: list[int] | None) -> Callable[[], np.ndarray] | None:
    return None if regions is None else lambda: np.array(regions, np.int32)


def ends(day: int) -> int:
    return (day + 1) * DAY - OFFSET * 60_000_000


def same(one: list[DayRows], other: list[DayRows]) -> None:
    assert [day.day for day in one] == [day.day for day in other]
    for left, right in zip(one, other, strict=True):
        assert left.rows.to_pylist() == right.rows.to_pylist()
        assert left.volume.to_pylist() == right.volume.to_pylist()
        assert left.rows.equals(right.rows)
        assert left.volume.equals(right.volume)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    span=st.sampled_from([0.5, 3, 14, 60]),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_any_pieces_in_any_order_within_the_disorder_give_what_the_reference_gives(
    seed: int, span: float, cuts: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    looks, works = worlds.looks(rng, 60, span), worlds.works(rng, 80, span)
    events = [("look", row) for row in looks] + [("work", row) for row in works]
    again = [events[at] for at in rng.integers(0, len(events), 20)]  # sent twice
    coming = worlds.disordered(rng, events + again, DISORDER)
    regions = worlds.regions(rng)
    stream = Stream(table(), OFFSET, DISORDER, asked(regions))
    opened, days = streamed(coming, cuts, stream)
    same(days, reference.days(RULES, worlds.ROLES, looks, works, OFFSET, regions))
    assert stream.late == 0
    assert stream.duplicates == sum(kind == "look" for kind, _ in again)
    rows = pa.concat_tables([day.rows for day in days]).drop(["settled", "near"])
    assert opened.combine_chunks().equals(
        rows.sort_by([("received", "ascending"), ("id", "ascending")]).combine_chunks()
    )


def events_of(looks: list[worlds.Row], works: list[worlds.Row]) -> list[tuple[str, worlds.Row]]:
    events = [("look", row) for row in looks] + [("work", row) for row in works]
    return sorted(events, key=lambda event: event[1]["received"])


LOOK: worlds.Row = worlds.looks(np.random.default_rng(0), 1, 1)[0] | {
    "id": 7,
    "time": worlds.START,
    "received": worlds.START,
    "actor": 1,
    "outlet": 1,
    "waybill": 4,
    "action": 0,
    "outcome": 0,
    "ticket": -1,
    "role": 0,
}
WORK: worlds.Row = worlds.works(np.random.default_rng(0), 1, 1)[0] | {
    "time": worlds.START,
    "received": worlds.START,
    "waybill": 4,
    "actor": 1,
    "outlet": -1,
    "step": 3,
    "route": -1,
    "ticket": -1,
    "to_outlet": -1,
}


def levels(looks: list[worlds.Row], works: list[worlds.Row]) -> list[tuple[int, int]]:
    _, days = streamed(events_of(looks, works), list(range(len(looks) + len(works))), Stream(table(), OFFSET, 0))
    return [(row["provisional"], row["settled"]) for day in days for row in day.rows.to_pylist()]


def test_t1_a_stranger_s_look_stays_open_and_work_told_of_too_late_does_not_settle_it() -> None:
    day_end = ends((worlds.START + OFFSET * 60_000_000) // DAY)
    assert levels([LOOK], []) == [(0, 0)]
    assert levels([LOOK], [WORK | {"received": day_end + GRACE - 1}]) == [(0, 2)]
    assert levels([LOOK], [WORK | {"received": day_end + GRACE}]) == [(0, 0)]
    assert levels([LOOK], [WORK]) == []  # received at the same moment: known


def test_t2_one_s_own_ticket_and_an_earlier_look_explain_nothing() -> None:
    ticket = WORK | {"step": 12, "ticket": 2}
    quoted = LOOK | {"ticket": 2, "role": 1}
    assert levels([quoted], [ticket]) == [(0, 0)]
    assert levels([quoted], [ticket | {"actor": -1}]) == [(0, 0)]
    assert levels([quoted], [ticket | {"actor": 3}]) == []
    assert levels([quoted | {"ticket": -1}], [ticket | {"actor": -2}]) == [(1, 1)]  # whoever handles tickets
    assert levels([LOOK, LOOK | {"id": 8, "received": worlds.START + 1}], []) == [(0, 0), (0, 0)]


NEAR = LOOK | {"outlet": 0}
AWAY = WORK | {"actor": 2, "outlet": 1}


def nears(works: list[worlds.Row], regions: list[int] | None, **look: int) -> list[tuple[int, int, int]]:
    events = events_of([NEAR | look], works)
    _, days = streamed(events, [], Stream(table(), OFFSET, 0, asked(regions)))
    return [(row["provisional"], row["settled"], row["near"]) for day in days for row in day.rows.to_pylist()]


def test_t1_what_no_outlet_of_the_region_ever_had_is_told_apart_from_what_lies_near() -> None:
    day_end = ends((worlds.START + OFFSET * 60_000_000) // DAY)
    assert nears([AWAY], [5, 5]) == [(0, 0, 1)]
    assert nears([AWAY], [5, 6]) == [(0, 0, 0)]
    assert nears([], [5, 5]) == [(0, 0, 0)]
    assert nears([AWAY | {"received": day_end + GRACE - 1}], [5, 5]) == [(0, 0, 1)]
    assert nears([AWAY | {"received": day_end + GRACE}], [5, 5]) == [(0, 0, 0)]
    assert nears([AWAY | {"step": 7, "to_outlet": 1}], [5, 5]) == [(0, 0, 0)]  # departed: no rule of the region
    assert nears([AWAY, WORK | {"outlet": 1}], [5, 5], actor=0) == [(0, 0, 1)]
    assert nears([AWAY, WORK | {"actor": 0}], [5, 5], actor=0) == []  # explained


def test_a_rule_of_the_region_holds_for_the_outlet_of_the_event_and_not_for_where_the_parcel_goes() -> None:
    rules = (*RULES, Rule(BizStep.DEPARTED, "region", 0, 72, 240))
    left, going = AWAY | {"step": 7}, AWAY | {"step": 7, "outlet": -1, "to_outlet": 1}
    looks = [NEAR | {"id": at, "waybill": at} for at in (2, 3)]
    works = [left | {"waybill": 2}, going | {"waybill": 3}]
    stream = Stream(rule_table(rules, worlds.ROLES.index), OFFSET, 0, asked([5, 5]))
    _, days = streamed(events_of(looks, works), [], stream)
    same(days, reference.days(rules, worlds.ROLES, looks, works, OFFSET, [5, 5]))
    assert [row["near"] for day in days for row in day.rows.to_pylist()] == [1, 0]


def test_what_lies_near_is_told_to_the_edges_of_the_rule() -> None:
    before, after = 72 * HOUR, 240 * HOUR
    for apart, near in [(before, 1), (before + 1, 0), (-after, 1), (-after - 1, 0)]:
        moment = worlds.START + apart
        work = AWAY | {"time": moment, "received": min(moment, worlds.START)}
        assert nears([work], [5, 5]) == [(0, 0, near)]


def test_nothing_is_near_where_the_region_of_the_look_is_not_known() -> None:
    for regions in (None, [], [-1, 5], [-2, -2]):
        assert nears([AWAY], regions) == [(0, 0, -1)]
    for regions in ([5], [5, -1]):
        assert nears([AWAY], regions) == [(0, 0, 0)]
    assert nears([AWAY], [5, 5], outlet=-1) == [(0, 0, -1)]
    assert nears([AWAY], [5, 5], outcome=1) == [(-1, -1, -1)]
    assert nears([AWAY], [5, 5], waybill=0) == [(-1, -1, -1)]
    assert nears([AWAY | {"outlet": -1}], [5, 5]) == [(0, 0, 0)]
    assert nears([AWAY], [5, 5], outlet=1) == [(1, 1, -1)]


def test_a_region_that_is_known_only_later_holds_for_work_that_was_there_before() -> None:
    known: list[int] = []
    stream = Stream(table(), OFFSET, 0, lambda: np.array(known, np.int32))
    list(stream.feed(worlds.accesses([NEAR]), worlds.work_table([AWAY])))
    known += [5, 5]
    assert [row["near"] for made in stream.flush() for day in made.days for row in day.rows.to_pylist()] == [1]


def test_who_has_the_route_changes_with_what_is_known() -> None:
    out = WORK | {"step": 5, "actor": -1, "route": 1}
    mine = WORK | {"step": 11, "route": 1, "waybill": 0, "time": worlds.START - HOUR, "received": worlds.START - HOUR}
    taken = mine | {"id": 1, "actor": 2, "time": worlds.START - HOUR // 2}
    assert levels([LOOK], [out, mine]) == []
    assert levels([LOOK], [out, mine, taken | {"received": worlds.START}]) == [(0, 0)]
    assert levels([LOOK], [out, mine, taken | {"received": worlds.START + 1}]) == []  # a level once given stays
    assert levels([LOOK], [out, mine | {"time": worlds.START - 8 * DAY}]) == [(0, 0)]
    assert levels([LOOK], [out, mine, taken | {"step": 10, "received": worlds.START}]) == [(0, 0)]


def test_rows_later_than_the_watermark_count_as_received_at_it() -> None:
    stream = Stream(table(), OFFSET, DISORDER)
    now = LOOK | {"received": worlds.START + 2 * DAY, "time": worlds.START + 2 * DAY}
    list(stream.feed(worlds.accesses([now])))
    assert stream.watermark == worlds.START + 2 * DAY - DISORDER
    assert not any(
        made.looks.num_rows for made in stream.feed(worlds.accesses([LOOK | {"id": 9}]), worlds.work_table([WORK]))
    )
    assert stream.late == 2
    row = next(row for made in stream.flush() for row in made.open.to_pylist() if row["id"] == 9)
    assert (row["received"], row["time"]) == (stream_start := worlds.START + 2 * DAY - DISORDER, stream_start)


def test_an_id_counts_again_after_two_days() -> None:
    def copies(apart: int) -> int:
        later = LOOK | {"received": LOOK["received"] + apart, "time": LOOK["time"] + apart}
        stream = Stream(table(), OFFSET, DISORDER)
        opened, _ = streamed(events_of([LOOK, later], []), [1], stream)
        assert stream.duplicates == 2 - opened.num_rows
        return opened.num_rows

    assert copies(REPEATED_WITHIN) == 1
    assert copies(REPEATED_WITHIN + 1) == 2


def test_t8_many_ids_chosen_by_whoever_sends_are_told_apart_and_forgotten_in_time() -> None:
    stream = Stream(table(), OFFSET, 0)
    for day in range(8):
        moment = worlds.START + day * DAY
        count = 20_000
        columns = {name: np.full(count, LOOK[name]) for name in LOOK}
        columns |= {"id": np.arange(count) << 40, "time": np.full(count, moment), "received": np.full(count, moment)}
        part = pa.table([pa.array(columns[field.name], field.type) for field in CODED_ACCESS], schema=CODED_ACCESS)
        list(stream.feed(part))
    list(stream.flush())
    assert stream.duplicates == sum(20_000 for day in range(8) if day % 3)  # kept on days 0, 3 and 6
    assert len(stream._seen._ids) <= 1 << 18


def test_a_day_is_settled_with_the_watermark_and_not_before() -> None:
    stream = Stream(table(), OFFSET, 0)
    list(stream.feed(worlds.accesses([LOOK])))
    end = ends((worlds.START + OFFSET * 60_000_000) // DAY)
    assert not any(made.days for made in stream.advance(end + GRACE - 1))
    (made,) = stream.advance(end + GRACE)
    assert [day.day for day in made.days] == [(worlds.START + OFFSET * 60_000_000) // DAY]
    assert made.open.schema == NEW_ROWS


@pytest.mark.parametrize(("regions", "days"), [(None, 7), ([0, 0], 10)])
def test_work_is_forgotten_when_its_rules_reach_no_further(regions: list[int] | None, days: int) -> None:
    stream = Stream(table(), OFFSET, 0, asked(regions))
    held = []
    for day in range(80):
        moment = worlds.START + day * DAY
        rows = [WORK | {"waybill": day * 500 + at, "time": moment, "received": moment} for at in range(1, 500)]
        list(stream.feed(None, worlds.work_table(rows)))
        held.append(len(stream.index))
    # Arrivals for a week, or ten days where regions are asked for; the day that is not settled; and what is not swept yet.
    assert (days + 1) * 499 <= max(held) <= (days + 1) * 1.32 * 499


def test_a_parcel_with_thousands_of_events_costs_no_square() -> None:
    stream = Stream(table(), OFFSET, 0)
    rows = [WORK | {"time": worlds.START + at, "received": worlds.START + at} for at in range(20_000)]
    stream.add(None, worlds.work_table(rows))
    stream.add(None, worlds.work_table([WORK | {"received": worlds.START + HOUR}]))
    assert len(list(stream.advance(worlds.START + DAY))) == 1
    assert len(stream.index) == 20_001  # the last said nothing new; it is only not looked for so far back


def test_other_columns_are_refused_and_a_flushed_stream_takes_nothing() -> None:
    stream = Stream(table())
    with pytest.raises(InputError, match="no column time of type int64"):
        stream.feed(worlds.accesses([LOOK]).drop(["time"]))
    with pytest.raises(InputError, match="no column time of type int64"):
        stream.feed(worlds.accesses([LOOK | {"time": None}]))
    with pytest.raises(InputError, match="account"):
        stream.feed(worlds.accesses([LOOK | {"actor": -5}]))
    list(stream.flush())
    with pytest.raises(UsageError):
        stream.feed(worlds.accesses([LOOK]))


def test_a_clock_beyond_what_coding_leaves_is_set_right() -> None:
    stream = Stream(table(), OFFSET, 0)
    rows = [
        LOOK | {"id": 1, "time": LOOK["received"] - GRACE - 1},
        LOOK | {"id": 2, "time": LOOK["received"] + AHEAD + 1},
    ]
    stream.add(worlds.accesses(rows))
    assert [row["time"] for made in stream.flush() for row in made.open.to_pylist()] == [LOOK["received"]] * 2
