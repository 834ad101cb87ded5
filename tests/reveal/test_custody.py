"""The custody index: the rules of custody against a plain reference, misuse, lateness, clocks, threads of questions."""

from __future__ import annotations

import bisect
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.event import NEEDED, POSITIONS, BizStep, Work, work_batch
from parcelveil.reveal import custody_load, segments
from parcelveil.reveal.custody import OUTLET_DAYS, ROUTE_DAYS, STATES, TOLERANCE, Custody, micros
from parcelveil.reveal.custody_load import Hashes, texts
from parcelveil.seal.siv import as_rows
from reveal.custody_events import DAY, HOUR, MINUTE, ask, at, event, loaded

# -- the rules, one by one ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "there", "handled"),
    [
        ("posted", True, False),
        ("arrived", True, False),
        ("customs_held", True, False),
        ("out_for_delivery", True, False),
        ("attempted", True, False),
        ("departed", False, True),
        ("returned", False, True),
        ("delivered", False, True),
    ],
)
def test_where_a_parcel_lies(tmp_path: Path, step: str, there: bool, handled: bool) -> None:
    custody = loaded(tmp_path, event(8, step, waybill_no="YT1", outlet="A", actor="x"))
    assert ask(custody) == {"known"} | ({"at_outlet"} if there else set()) | ({"handled"} if handled else set())
    assert ask(custody, outlet="B") == {"known"}
    assert ask(custody, waybill="YT2") == set()


def test_who_carries_it(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(7, "out_for_delivery", waybill_no="YT1", outlet="A", actor="c1"),
        event(7, "out_for_delivery", "r", waybill_no="YT2", outlet="A", route_id="R1"),
        event(6, "route_assigned", route_id="R1", actor="c2"),
        event(12, "route_assigned", route_id="R1", actor="c3"),
        event(18, "route_released", route_id="R1"),
        event(7, "attempted", "a", waybill_no="YT3", outlet="A", actor="c1", route_id="R1"),
        event(7, "arrived", "b", waybill_no="YT4", outlet="A", actor="c1", route_id="R1"),
        now=8,
    )
    assert "on_route" in ask(custody)
    assert "on_route" not in ask(custody, actor="c2")
    who = [
        {c for c in ("c1", "c2", "c3") if "on_route" in ask(custody, "YT2", c, hours=h)}
        for h in (8, 11.99, 12, 17, 18, 19)
    ]
    assert who == [{"c2"}, {"c2"}, {"c3"}, {"c3"}, set(), set()]
    assert "on_route" in ask(custody, "YT3")
    assert "on_route" in ask(custody, "YT3", "c3", hours=13), "who has the route has its parcels"
    assert "on_route" not in ask(custody, "YT4"), "a parcel that lies at the outlet is on nobody's route"


def test_a_route_handed_over_at_one_moment_is_the_new_ones(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(7, "out_for_delivery", waybill_no="YT1", outlet="A", route_id="R1"),
        event(6, "route_assigned", "1", route_id="R1", actor="c1"),
        event(8, "route_assigned", "2", route_id="R1", actor="c2"),
        event(8, "route_released", "3", route_id="R1"),
    )
    assert "on_route" in ask(custody, actor="c2")
    assert "on_route" not in ask(custody, actor="c1")


def test_pickup_ends_when_the_parcel_exists(tmp_path: Path) -> None:
    custody = loaded(tmp_path, event(7, "pickup_assigned", waybill_no="YT1", actor="c1"), now=8)
    assert ask(custody, hours=8) == {"known", "on_route"}
    assert ask(custody, actor="c2", hours=8) == {"known"}
    custody.load([work_batch([event(8, "posted", waybill_no="YT1", outlet="A", actor="c1")])], now=at(9))
    assert ask(custody, hours=9) == {"known", "at_outlet"}
    custody.load([work_batch([event(10, "pickup_assigned", waybill_no="YT1", actor="c9")])], now=at(11))
    assert "on_route" not in ask(custody, actor="c9", hours=11), "a parcel that was posted is not collected again"


def test_tickets(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(7, "arrived", waybill_no="YT1", outlet="B"),
        event(8, "ticket_opened", ticket="T1", waybill_no="YT1", actor="customer"),
        event(8, "ticket_opened", "2", ticket="T2", waybill_no="YT1", actor="c1"),
        event(20, "ticket_closed", ticket="T1"),
        event(8, "ticket_opened", "3", ticket="T3", waybill_no="YT1", actor="c2"),
        event(8, "ticket_closed", "4", ticket="T3"),
        event(22, "ticket_opened", "5", ticket="T1", waybill_no="YT2", actor="客户"),
        now=9,
    )

    def opened(ticket: str, hours: float = 9, actor: str = "c1", waybill: str = "YT1") -> bool:
        return "ticket" in ask(custody, waybill, actor, hours=hours, ticket=ticket)

    assert opened("T1")
    assert opened("T1", actor="nobody-we-ever-heard-of")
    assert not opened("T1", hours=7.99), "opened only afterwards"
    assert not opened("T1", waybill="YT2"), "about another parcel"
    assert not opened("T1", hours=20), "closed"
    assert opened("T1", hours=22, waybill="YT2"), "opened again"
    assert not opened("T1", hours=22), "but not about this parcel"
    assert not opened("T2"), "his own"
    assert opened("T2", actor="c2")
    assert not opened("T3", actor="c1"), "closed at the moment of opening"
    assert not opened("T9")
    assert not opened("")
    assert [custody.ticket_known(ticket) for ticket in ("T1", "T2", "T9", "")] == [True, True, False, False]


def test_handled_for_so_many_days(tmp_path: Path) -> None:
    custody = loaded(tmp_path, event(8, "delivered", waybill_no="YT1", outlet="A"))
    assert "handled" in ask(custody, hours=8 + 30 * 24)
    assert "handled" not in ask(custody, hours=8.01 + 30 * 24)
    assert "handled" not in ask(custody, hours=8.01 + 2 * 24, handled_days=2)
    assert "handled" not in ask(custody, hours=8.01, handled_days=0)


def test_t6_custody_ends_by_itself_when_no_event_ends_it(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(8, "out_for_delivery", waybill_no="YT1", outlet="A", actor="c1"),
        event(8, "pickup_assigned", "2", waybill_no="YT2", actor="c1"),
        event(8, "arrived", "3", waybill_no="YT3", outlet="A"),
        event(7, "route_assigned", "4", route_id="R", actor="c1"),
        event(8, "out_for_delivery", "5", waybill_no="YT4", outlet="A", route_id="R"),
    )
    for waybill in ("YT1", "YT2", "YT4"):
        assert "on_route" in ask(custody, waybill, "c1", hours=8 + ROUTE_DAYS * 24)
        assert "on_route" not in ask(custody, waybill, "c1", hours=8.01 + ROUTE_DAYS * 24)
    assert "at_outlet" in ask(custody, "YT3", hours=8 + OUTLET_DAYS * 24)
    assert "at_outlet" not in ask(custody, "YT3", hours=8.01 + OUTLET_DAYS * 24)


# -- misuse ------------------------------------------------------------------------------------------------------------


def test_t1_another_outlets_parcel_is_in_nobodys_custody_here(tmp_path: Path) -> None:
    parcels = [f"YT{i}" for i in range(300)]
    custody = loaded(
        tmp_path,
        *(event(8, "arrived", f"{n}", waybill_no=n, outlet=f"O{i % 3}", actor="clerk") for i, n in enumerate(parcels)),
    )
    facts = custody.facts(pa.array(parcels), actor="clerk", outlet="O1", now=at(9))
    assert facts.at_outlet.tolist() == [i % 3 == 1 for i in range(300)]
    assert not facts.on_route.any()
    assert not facts.handled.any()


def test_t6_replay_after_departure_finds_nothing_at_the_outlet(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(8, "arrived", waybill_no="YT1", outlet="A"),
        event(9, "departed", waybill_no="YT1", outlet="A", to_outlet="B"),
        now=10,
    )
    assert "at_outlet" not in ask(custody, hours=10)
    assert "at_outlet" not in ask(custody, outlet="B", hours=10), "it is on its way, not there"
    custody.load([work_batch([event(8, "arrived", waybill_no="YT1", outlet="A")])], now=at(11))
    assert "at_outlet" not in ask(custody, hours=11), "an old scan loaded again brings nothing back"


def test_t6_a_courier_of_another_route_and_a_delivered_parcel(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(6, "route_assigned", route_id="R1", actor="c1"),
        event(6, "route_assigned", "2", route_id="R2", actor="c2"),
        event(7, "out_for_delivery", waybill_no="YT1", outlet="A", route_id="R1"),
        now=8,
    )
    assert "on_route" not in ask(custody, actor="c2", hours=8)
    assert "on_route" in ask(custody, actor="c1", hours=8)
    custody.load([work_batch([event(9, "delivered", waybill_no="YT1", outlet="A", actor="c1")])], now=at(9))
    assert ask(custody, actor="c1", hours=9) == {"known", "handled"}


@pytest.mark.parametrize("name", ["", " ", "0", "null", "A\0", "Ａ", "a\u200b", "R"])
def test_t6_no_name_stands_for_nobody(tmp_path: Path, name: str) -> None:
    custody = loaded(
        tmp_path,
        event(7, "out_for_delivery", waybill_no="YT1"),  # neither outlet nor actor nor route
        event(7, "out_for_delivery", "2", waybill_no="YT2", outlet="A", actor="A"),
        event(7, "departed", "3", waybill_no="YT3", outlet=" "),
        event(7, "route_assigned", "4", route_id="R", actor="A"),
    )
    for number in ("YT1", "YT2", "YT3", "", "yt2", "YT2 "):
        assert ask(custody, number, name, name) <= {"known"}
    many = pa.array([None, "YT1", ""])
    facts = custody.facts_many(
        many, pa.array([None, None, ""], pa.string()), pa.array(["", None, "A"]), pa.array([None, "", "x"]), at(24)
    )
    assert facts.known.tolist() == [False, True, False]
    assert not np.vstack(facts[1:]).any()


@pytest.mark.parametrize("opener", ["cs-1", "CS-1", "cs-1 ", "\u3000Cs-1\t", None, "", " "])
def test_t6_a_ticket_of_his_own_or_of_nobody_explains_nothing(tmp_path: Path, opener: str | None) -> None:
    """However the ticket system spells him, and also when it does not say who opened it."""
    custody = loaded(tmp_path, event(8, "ticket_opened", ticket="T", waybill_no="YT1", actor=opener))
    for asker in ("cs-1", "CS-1", " cs-1"):
        assert "ticket" not in ask(custody, actor=asker, ticket="T")
        parcels, askers, outlets, tickets = (pa.array([value] * 40) for value in ("YT1", asker, "A", "T"))
        assert not custody.facts_many(parcels, askers, outlets, tickets, at(24)).ticket.any()
    assert ("ticket" in ask(custody, actor="cs-2", ticket="T")) == bool((opener or "").strip())
    assert custody.ticket_known("T")


def test_t6_the_customer_is_nobody_of_the_staff(tmp_path: Path) -> None:
    for number, word in enumerate(("customer", "Customer ", "客户", " 客户")):
        custody = loaded(tmp_path / f"{number}", event(8, "ticket_opened", ticket="T", waybill_no="YT1", actor=word))
        assert "ticket" in ask(custody, actor="cs-1", ticket="T")
        for asker in ("customer", "CUSTOMER", "客户"):
            assert "ticket" not in ask(custody, actor=asker, ticket="T"), "who calls himself so opened it"


def test_t6_an_opening_without_an_opener_takes_the_known_one_away(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(8, "ticket_opened", ticket="T", waybill_no="YT1", actor="customer"),
        event(9, "ticket_opened", ticket="T", waybill_no="YT1"),
    )
    assert "ticket" not in ask(custody, actor="cs-1", ticket="T")


def test_names_are_compared_trimmed_and_in_small_letters(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(7, "route_assigned", route_id="R1", actor="C1 "),
        event(8, "out_for_delivery", waybill_no="YT1", outlet=" Süd-A", actor="C2"),
        event(8, "out_for_delivery", "2", waybill_no="YT2", outlet="süd-a", route_id="R1"),
        event(8, "out_for_delivery", "3", waybill_no="YT3", outlet="SÜD-A", route_id="r1"),
    )
    custody.load([work_batch([event(8, "arrived", "4", waybill_no="YT4", outlet="Süd-a")])], now=at(24))
    for outlet in ("süd-a", "SÜD-A ", "Süd-A"):
        assert all("at_outlet" in ask(custody, f"YT{n}", "x", outlet) for n in (1, 2, 3, 4))
    assert "on_route" in ask(custody, actor=" c2")
    assert "on_route" in ask(custody, "YT2", "c1")
    assert "on_route" not in ask(custody, "YT3", "c1"), "routes are compared letter by letter"
    assert "at_outlet" not in ask(custody, outlet="sud-a")
    where = custody.at(pa.array(["YT1", "YT2", "YT3", "YT4"]), at(24))
    assert custody.names(where.outlet).to_pylist() == ["Süd-A"] * 4, "shown as first spelled"
    assert custody.names(where.holder).to_pylist() == ["C2", "C1", None, None]


def test_an_index_made_before_names_were_folded_knows_nothing_until_it_is_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [work_batch([event(8, "arrived", waybill_no="YT1", outlet="A")])]
    with monkeypatch.context() as patch:
        patch.setattr(custody_load, "as_rows", lambda label: as_rows(label.replace(b"v2 custody", b"v1 custody")))
        old = Custody(tmp_path)
        old.load(events, now=at(9))
        assert "at_outlet" in ask(old)
    custody = Custody(tmp_path)
    assert ask(custody) == set()
    assert custody.load(events, now=at(9)).applied == 1
    assert "at_outlet" in ask(custody)


def test_t6_a_ticket_and_a_parcel_cannot_be_glued_together_differently(tmp_path: Path) -> None:
    custody = loaded(tmp_path, event(8, "ticket_opened", ticket="AB", waybill_no="C", actor="c2"))
    assert "ticket" in ask(custody, "C", ticket="AB")
    for ticket, number in (("A", "BC"), ("ABC", ""), ("AB\0", "C"), ("AB", "\0C"), ("C", "AB")):
        assert "ticket" not in ask(custody, number, ticket=ticket)


# -- lateness and clocks -----------------------------------------------------------------------------------------------


def test_late_events_never_hide_newer_ones(tmp_path: Path) -> None:
    day = [
        event(2, "posted", waybill_no="YT1", outlet="A"),
        event(4, "departed", waybill_no="YT1", outlet="A"),
        event(9, "arrived", waybill_no="YT1", outlet="B"),
        event(14, "out_for_delivery", waybill_no="YT1", outlet="B", actor="c1"),
    ]
    for order in (day, day[::-1], day[2:] + day[:2]):
        custody = Custody(tmp_path / str(id(order)))
        for one in order:
            custody.load([work_batch([one])], now=at(15))
        assert ask(custody, outlet="B", hours=15) == {"known", "at_outlet", "on_route"}
        assert ask(custody, outlet="A", hours=15) == {"known"} | {"on_route"}


def test_the_same_file_twice_changes_nothing(tmp_path: Path) -> None:
    batch = work_batch(
        [
            event(8, "arrived", waybill_no="YT1", outlet="A"),
            event(40, "departed", waybill_no="YT1", outlet="A"),  # in the future of the load
            event(8, "ticket_opened", ticket="T", waybill_no="YT1"),
            event(9, "ticket_closed", ticket="T"),
            event(8, "route_assigned", route_id="R", actor="c"),
            event(9, "inbound_call", waybill_no="YT1"),
        ]
    )
    custody = Custody(tmp_path)
    assert custody.load([batch], now=at(10)) == (6, 5, 0, 1)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != "lock"}
    assert custody.load([batch, batch], now=at(11)) == (12, 0, 10, 2)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != "lock"}
    assert custody.generation == 1


def test_ties_do_not_depend_on_the_order_of_arrival(tmp_path: Path) -> None:
    tied = [event(8, "arrived", f"e{i}", waybill_no="YT1", outlet=f"O{i}") for i in range(6)]
    states = set()
    for number in range(4):
        custody = Custody(tmp_path / str(number))
        for index in np.random.default_rng(number).permutation(6):
            custody.load([work_batch([tied[index]])], now=at(9))
        states.add(custody.names(custody.at(pa.array(["YT1"]), at(9)).outlet)[0].as_py())
    assert len(states) == 1
    custody = loaded(
        tmp_path / "steps",
        event(8, "departed", "a", waybill_no="YT1", outlet="A"),
        event(8, "arrived", "b", waybill_no="YT1", outlet="A"),
    )
    assert "at_outlet" not in ask(custody), "in and out at one moment is out"


def test_t6_a_clock_that_runs_ahead_gives_nobody_custody(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(8, "arrived", waybill_no="YT1", outlet="B"),
        event(10, "arrived", waybill_no="YT1", outlet="A"),  # A's clock is two hours ahead
        event(30, "out_for_delivery", waybill_no="YT1", outlet="A", actor="c1"),
        now=8.2,
    )
    assert "at_outlet" not in ask(custody, outlet="A", hours=8.2)
    assert "at_outlet" in ask(custody, outlet="B", hours=8.2)
    almost = 10 - TOLERANCE / HOUR
    assert "at_outlet" not in ask(custody, outlet="A", hours=almost - 0.001)
    assert "at_outlet" in ask(custody, outlet="A", hours=almost), "five minutes are granted"
    assert ask(custody, outlet="A", hours=29) == {"known", "at_outlet"}
    assert ask(custody, outlet="A", hours=30) == {"known", "at_outlet", "on_route"}
    only = loaded(tmp_path / "only", event(30, "arrived", waybill_no="YT1", outlet="A"), now=8)
    assert ask(only, hours=8) == set()
    assert only.at(pa.array(["YT1"]), at(8)).state[0] == 0


def test_a_moment_before_the_last_load_is_answered_for_ten_minutes_then_with_no(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(7, "arrived", waybill_no="YT1", outlet="A"),
        event(8, "departed", waybill_no="YT1", outlet="A"),
        event(7, "ticket_opened", ticket="T", waybill_no="YT1", actor="customer"),
        event(8, "ticket_opened", "2", ticket="T", waybill_no="YT1", actor="c1"),
        now=8.1,
    )
    assert "ticket" in ask(custody, hours=7.95, ticket="T")
    assert "ticket" not in ask(custody, hours=8, ticket="T")
    custody.load([work_batch([event(12, "arrived", waybill_no="YT1", outlet="B")])], now=at(13))
    assert ask(custody, hours=9) == {"known", "handled"}, "still there, because nothing was merged"
    custody.load(
        [work_batch([event(12.5, "arrived", f"{i}", waybill_no=f"N{i}", outlet="B") for i in range(9)])], now=at(13)
    )
    assert ask(custody, hours=9) == set()


# -- against a reference -----------------------------------------------------------------------------------------------

STEPS = list(BizStep)
NAMES = {
    "waybill_no": ["W1", "W2", "W3"],
    "outlet": ["A", "B", "a "],
    "actor": ["c1", "c2", "C1", " c2", "customer", "客户"],
    "route_id": ["R1", "R2"],
    "ticket": ["T1", "T2"],
}


@st.composite
def work(draw: st.DrawFn) -> Work:
    step = draw(st.sampled_from(STEPS))
    columns: dict[str, str | None] = {}
    for name, values in NAMES.items():
        choices: list[str | None] = list(values)
        if name not in NEEDED[step]:
            choices.append(None)
        columns[name] = draw(st.sampled_from(choices))
    hours = draw(st.integers(0, 40)) / 2
    said = "".join(f"{value}," for value in columns.values())
    return event(hours, step, f"{step}{hours}{said}{draw(st.integers(0, 1))}", **columns)


def same(one: str | None, other: str) -> bool:
    """Two spellings of one outlet or member of staff."""
    spelled = {"客户": "customer"}
    first, second = ((name or "").strip().lower() for name in (one, other))
    return spelled.get(first, first) == spelled.get(second, second)


class Reference:
    """Custody over a list of all events, by the words of the documentation."""

    def __init__(self) -> None:
        self.events: list[Work] = []
        hashes = Hashes(bytes(32))
        self.tie = lambda e: int(hashes.ties(texts(pa.array([e.event_id])))[0])

    def newest(self, limit: int, *steps: BizStep, **columns: str) -> Work | None:
        def fits(e: Work) -> bool:
            same = all(getattr(e, name) == value for name, value in columns.items())
            return e.biz_step in steps and same and micros(e.event_time) <= limit

        found = [e for e in self.events if fits(e)]
        return max(found, key=lambda e: (e.event_time, STEPS.index(e.biz_step), self.tie(e)), default=None)

    def facts(self, number: str, actor: str, outlet: str, ticket: str, now: int) -> tuple[bool, ...]:
        limit = now + 5 * MINUTE
        e = self.newest(limit, *POSITIONS, waybill_no=number)
        e = e or self.newest(limit, BizStep.PICKUP_ASSIGNED, waybill_no=number)
        there = carried = handled = False
        if e is not None:
            step, here = e.biz_step.value, same(e.outlet, outlet)
            there = here and step in ("posted", "arrived", "customs_held", "out_for_delivery", "attempted")
            there = there and micros(e.event_time) >= now - 90 * DAY
            handled = here and step in ("departed", "returned", "delivered") and micros(e.event_time) >= now - 30 * DAY
            if step in ("out_for_delivery", "attempted"):
                route = e.route_id and self.newest(
                    now, BizStep.ROUTE_ASSIGNED, BizStep.ROUTE_RELEASED, route_id=e.route_id
                )
                carried = same(e.actor, actor) or bool(
                    route and route.biz_step == BizStep.ROUTE_ASSIGNED and same(route.actor, actor)
                )
            carried |= step == "pickup_assigned" and same(e.actor, actor)
            carried = carried and micros(e.event_time) >= now - 7 * DAY
        opened = self.newest(now, BizStep.TICKET_OPENED, ticket=ticket, waybill_no=number)
        closed = self.newest(now, BizStep.TICKET_CLOSED, ticket=ticket)
        open_ = bool(opened and opened.actor and not same(opened.actor, actor))
        open_ = open_ and not (opened and closed and closed.event_time >= opened.event_time)
        return e is not None, there, carried, handled, open_


ROWS = [
    (w, a, o, t)
    for w in [*NAMES["waybill_no"], "W9"]
    for a in ("c1", " C2", "c9", "customer")
    for o in ("a", "B")
    for t in ("T1", "T2")
]


Loads = list[tuple[list[Work], int]]
LOADS = st.lists(st.tuples(st.lists(work(), max_size=12), st.integers(0, 12)), min_size=1, max_size=6)


def compare(folder: Path, loads: Loads, flush: int, most: int) -> None:
    """Load piece by piece, and ask after each load for a moment at or after it, together and one by one."""
    custody, reference, now = Custody(folder), Reference(), at(0)
    columns = [pa.array(column) for column in zip(*ROWS, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(custody_load, "FLUSH", flush)
        patch.setattr(custody_load, "MOST_SEGMENTS", most)
        patch.setattr(custody_load, "_MOST_CACHED", 2)
        patch.setattr(segments, "_PIECE", 3)
        for number, (events, hours) in enumerate(loads):
            now += hours * HOUR // 2
            half = len(events) // 2
            counts = custody.load([work_batch(events[:half]), work_batch(events[half:])], now=now)
            assert counts.events == len(events) == counts.applied + counts.passed_over + counts.other
            reference.events += events
            moment = now + (0, HOUR // 4, 3 * HOUR, 31 * DAY, 6 * DAY, 91 * DAY)[number % 6]
            got = custody.facts_many(*columns, moment)
            wanted = [reference.facts(*row, moment) for row in ROWS]
            assert [tuple(row) for row in np.column_stack(got).tolist()] == wanted
    custody.check()
    assert custody.load([work_batch(reference.events)], now=now).applied == 0
    for row, facts in list(zip(ROWS, wanted, strict=True))[::5]:
        alone = custody.facts(pa.array([row[0]]), actor=row[1], outlet=row[2], now=moment, ticket=row[3])
        assert tuple(bool(value[0]) for value in alone) == facts


@settings(max_examples=25, deadline=None)
@given(LOADS, st.sampled_from([2, 7, 1000]), st.integers(1, 3))
def test_any_stream_of_events_answers_like_the_reference(
    tmp_path_factory: pytest.TempPathFactory, loads: Loads, flush: int, most: int
) -> None:
    compare(tmp_path_factory.mktemp("c"), loads, flush, most)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(LOADS, st.sampled_from([1, 3, 9, 1000]), st.integers(1, 3))
def test_many_more_streams(tmp_path_factory: pytest.TempPathFactory, loads: Loads, flush: int, most: int) -> None:
    compare(tmp_path_factory.mktemp("c"), loads, flush, most)


def test_at_names_what_it_says(tmp_path: Path) -> None:
    custody = loaded(
        tmp_path,
        event(6, "route_assigned", route_id="R1", actor="c2"),
        event(7, "out_for_delivery", waybill_no="YT1", outlet="A", route_id="R1"),
        event(7, "out_for_delivery", "2", waybill_no="YT2", outlet="网点", actor="c1", route_id="R1"),
        event(7, "delivered", "3", waybill_no="YT3", outlet="A", actor="c1"),
        event(7, "pickup_assigned", "4", waybill_no="YT4", actor="c9"),
    )
    where = custody.at(pa.chunked_array([["YT1", "YT2"], ["YT3", "YT4", "YT5"]]), at(8))
    assert where.known.tolist() == [True] * 4 + [False]
    assert [STATES[state] for state in where.state] == ["out_for_delivery"] * 2 + ["delivered", "pickup_assigned", ""]
    assert custody.names(where.outlet).to_pylist() == ["A", "网点", "A", None, None]
    assert custody.names(where.holder).to_pylist() == ["c2", "c1", None, "c9", None]
    assert custody.names(where.route).to_pylist() == ["R1", "R1", None, None, None]
    assert where.since.tolist() == [at(7)] * 4 + [0]
    assert custody.names(np.array([99, 0xFFFFFFFF], np.uint32)).to_pylist() == [None, None]


# -- segments ----------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_crowded_hashes_are_told_apart(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """First words that are equal, lowest and highest; second and check words that differ in one bit."""
    rows = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from([0, 1, 2**31, 2**32 - 1]), st.integers(0, 1), st.integers(0, 1), st.integers(0, 9)
            ),
            max_size=40,
            unique=True,
        )
    )
    records = np.zeros((len(rows), segments.WORDS), np.uint32)
    for record, (first, second, third, minute) in zip(records, rows, strict=True):
        order = int(segments.order_of(np.array([at(minute / 60)]), np.array([3], np.uint8), np.array([True]))[0])
        record[:5] = first, second, third, order >> 32, order & 0xFFFFFFFF
    records = records[segments.sorting(records)]
    path = tmp_path_factory.mktemp("s") / "s"
    segments.write_sorted(path, records)
    segment = segments.Segment(path)
    segment.check()
    asked = [(f, s, t, m) for f in (0, 1, 5, 2**31, 2**32 - 1) for s in (0, 1) for t in (0, 1) for m in (-1, 3, 9)]
    hashes = np.array([row[:3] for row in asked], np.uint32)
    limits = np.array([at(row[3] / 60) for row in asked])
    together = segment.newest(hashes, limits).tolist()
    alone = [int(segment.newest(hashes[i : i + 1], limits[i : i + 1])[0]) for i in range(len(asked))]
    assert together == alone
    for (first, second, third, minute), found in zip(asked, together, strict=True):
        times = sorted(m for f, s, t, m in rows if (f, s, t) == (first, second, third))
        place = bisect.bisect_right(times, minute)
        assert (found == -1) == (place == 0)
        if place:
            assert segments.times(segment.rows[found : found + 1])[0] == at(times[place - 1] / 60)


def test_many_parcels_in_many_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody_load, "FLUSH", 5_000)
    monkeypatch.setattr(segments, "_PIECE", 7_000)
    rng, custody = np.random.default_rng(5), Custody(tmp_path)
    numbers = np.array([f"YT{i:010}" for i in range(20_000)], object)
    outlets = np.array([f"O{i}" for i in range(50)], object)
    newest: dict[str, tuple[int, str]] = {}
    for _ in range(5):
        which, where = rng.integers(0, 20_000, 15_000), rng.integers(0, 50, 15_000)
        moments = rng.permutation(60_000)[:15_000] * 1_000 + at(rng.integers(0, 20))
        columns = {
            "event_id": pa.array([str(i) for i in range(15_000)]),
            "event_time": pa.array(moments).cast(pa.timestamp("us", "UTC")),
            "biz_step": pa.repeat(pa.scalar("arrived"), 15_000),
            "waybill_no": pa.array(numbers[which]),
            "outlet": pa.array(outlets[where]),
        }
        batch = batch_of(columns)
        custody.load([batch.slice(start, 3_000) for start in range(0, 15_000, 3_000)], now=at(24))
        for number, outlet, moment in zip(numbers[which], outlets[where], moments.tolist(), strict=True):
            newest[number] = max(newest.get(number, (0, "")), (moment, outlet))
    custody.check()
    assert 2 <= len(list(tmp_path.glob("segment-*"))) <= custody_load.MOST_SEGMENTS
    found = custody.at(pa.array(numbers), at(24))
    assert found.known.tolist() == [number in newest for number in numbers]
    places = custody.names(found.outlet).to_pylist()
    assert [(t, o) for t, o in zip(found.since.tolist(), places, strict=True) if o] == [
        newest[n] for n in numbers if n in newest
    ]


def batch_of(columns: dict[str, pa.Array]) -> pa.RecordBatch:
    from parcelveil.event import WORK

    size = len(columns["event_id"])
    arrays = [columns.get(field.name, pa.nulls(size, field.type)) for field in WORK]
    return pa.RecordBatch.from_arrays(arrays, schema=WORK)
