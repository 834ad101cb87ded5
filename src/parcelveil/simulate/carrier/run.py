"""The loop: a carrier, day by day.

::

    for day in Carrier(seed=7, staff=400, days=14):
        day.access["waybill"], day.work["step"]

A day that comes out holds what was **received** on it, in the order of ``received``; what scanners tell later comes with
a later day, and what would come after the last day does not come. ``id`` numbers the looks in that order; sub-second
digits are drawn anew for all rows alike, and rows of one moment lie in random order, so that nothing tells where a row
came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial
from typing import TypeVar

import numpy as np

from parcelveil.errors import UsageError
from parcelveil.simulate.carrier.day import Attacker, Blocks, Day, Parcels
from parcelveil.simulate.carrier.desk import Desk
from parcelveil.simulate.carrier.incidents import WARM
from parcelveil.simulate.carrier.journeys import BLOCK, Journeys
from parcelveil.simulate.carrier.rounds import Rounds
from parcelveil.simulate.carrier.rows import AccessRows, Column, KeyRows, Rows, WebRows, WorkRows
from parcelveil.simulate.carrier.staffing import build
from parcelveil.simulate.carrier.today import SECOND_US, Places, Today
from parcelveil.simulate.carrier.web import counted, visits
from parcelveil.simulate.carrier.world import Ints, World
from parcelveil.simulate.draw import Draw

LEAST_STAFF, MOST_STAFF, MOST_DAYS = 50, 250_000, 400
_INDEX_BITS = 26
_R = TypeVar("_R", bound=Rows)


class Carrier:
    """A carrier with ``staff`` people for ``days`` days from ``start``, local days of ``offset`` minutes to UTC.

    Iterating gives each :class:`~parcelveil.simulate.carrier.day.Day` once; a second iteration begins anew and gives the
    same. Raises UsageError for a number outside its range.
    """

    def __init__(
        self, seed: int = 0, staff: int = 4_000, days: int = 14, *, start: date = date(2026, 9, 1), offset: int = 480,
        attackers: Sequence[Attacker] = (),
    ) -> None:  # fmt: skip
        for name, value, low, high in (
            ("seed", seed, 0, (1 << 63) - 1),
            ("staff", staff, LEAST_STAFF, MOST_STAFF),
            ("days", days, 1, MOST_DAYS),
            ("offset", offset, -14 * 60, 14 * 60),
        ):
            if not low <= value <= high:
                raise UsageError("{name} must be between {low} and {high}", name=name, low=low, high=high)
        if not date(2000, 1, 1) <= start <= date(2090, 1, 1):
            raise UsageError("the first day must be between {low} and {high}", low="2000-01-01", high="2090-01-01")
        self._arguments = {"seed": seed, "staff": staff, "days": days, "start": start, "offset_minutes": offset}
        self.attackers = tuple(attackers)
        self.days = days
        self.world: World = build(**self._arguments)  # type: ignore[arg-type]
        for attacker in self.attackers:
            attacker.begin(self.world)

    def __iter__(self) -> Iterator[Day]:
        world = self.world
        journeys, rounds, desk = Journeys(world), Rounds(world), Desk(world)
        before, after = Places(world, after=False), Places(world, after=True)
        change = world.calendar.reorganisation
        ledger = _Ledger(world)
        late: dict[type[Rows], list[Rows]] = {AccessRows: [], WorkRows: []}
        for number in range(-WARM, self.days):
            today = Today(world, number, after if 0 <= change <= number else before)
            seen, done = journeys.create(today)
            _extend(seen, done, journeys.move(today))
            rounds.load(today, journeys.arrived(today))
            _extend(seen, done, rounds.drive(today))
            _extend(seen, done, desk.work(today, rounds, journeys))
            access, work = AccessRows.join(seen), today.paper(WorkRows.join(done))
            del seen, done  # big, and not needed while the day is outside
            web = WebRows.of(0)
            if number >= 0:
                web = visits(today, np.concatenate([journeys.pool["serial"], rounds.out["serial"]]))
            day = Day(
                number=number,
                midnight=today.midnight,
                duty=today.duty,
                start=today.start,
                end=today.end,
                outlet=today.outlet,
                access=access,
                work=work,
                web=web,
                keys=KeyRows.of(0),
                _parcels=partial(_parcels, today, journeys, rounds),
                _issued=partial(_blocks, journeys),
                _tickets=desk.new_tickets,
                device=today.device,
                network=today.network,
            )
            del access, work
            if number < -1:
                continue
            bypassed = self._act(day) if number >= 0 else KeyRows.of(0)
            day.access = self._due(today, day.access, late, ledger)
            day.work = self._due(today, day.work, late, ledger)
            if number < 0:
                continue
            day.web = day.web.take(np.argsort(day.web["time"], kind="stable"))
            day.keys = _added(counted(day.access, today), bypassed)
            yield day

    def _act(self, day: Day) -> KeyRows:
        """Lets the attackers act, then adds what they did to the day. Gives what they opened beside all logs."""
        acts = [attacker.act(day, self.world) for attacker in self.attackers]
        if not acts:
            return KeyRows.of(0)
        day.access = AccessRows.join([day.access, *(act.access for act in acts)])
        day.work = WorkRows.join([day.work, *(act.work for act in acts)])
        day.web = WebRows.join([day.web, *(act.web for act in acts)])
        return KeyRows.join([act.keys for act in acts])

    def _due(self, today: Today, made: _R, late: dict[type[Rows], list[Rows]], ledger: _Ledger) -> _R:
        """What is received today, in order and numbered; the rest waits."""
        kind = type(made)
        parts: list[Rows] = [made, *late[kind]]
        received = np.concatenate([part["received"] for part in parts])
        wait = np.flatnonzero(received >= today.next)
        order, received = ledger.order(kind, received, today)
        due, rest = kind(), kind()
        for name in kind.COLUMNS:  # column by column, so that hardly anything is there twice
            column = np.concatenate([part[name] for part in parts])
            due[name], rest[name] = column.take(order), column.take(wait)
        late[kind] = [rest]
        ledger.number(due, received, today)
        return due


class _Ledger:
    """Puts rows in order and gives looks and scans their numbers."""

    def __init__(self, world: World) -> None:
        source = Draw(world.seed, 14)
        self._next = {AccessRows: int(source.below(1 << 32, 1)[0]) << 20, WorkRows: 0}

    def order(self, kind: type[Rows], received: Ints, today: Today) -> tuple[Ints, Ints]:
        """Positions of the rows received today, in order, and when that was, with sub-seconds drawn anew."""
        source = today.source(8 if kind is AccessRows else 10)
        at = np.flatnonzero((received >= today.midnight) & (received < today.next))
        count = len(at)
        moment = received[at] // SECOND_US * SECOND_US + source.below(SECOND_US, count)
        # Ties, if any: by position, exclusive-or a number that is drawn, so that neither of two comes first by rule.
        mask = int(source.below(1 << _INDEX_BITS, 1)[0])
        key = np.sort(((moment - today.midnight) << _INDEX_BITS) | (np.arange(count) ^ mask))
        return at[(key & ((1 << _INDEX_BITS) - 1)) ^ mask], (key >> _INDEX_BITS) + today.midnight

    def number(self, rows: Rows, received: Ints, today: Today) -> None:
        """Gives ``rows``, which are in order, their numbers; sub-seconds of their times are drawn anew."""
        kind, count = type(rows), rows.count
        source = today.source(11 if kind is AccessRows else 12)
        rows["received"] = received
        rows["time"] = rows["time"] // SECOND_US * SECOND_US + source.below(SECOND_US, count)
        base = self._next[kind]
        # The days before the first one are not told of.
        self._next[kind] = base + (count if today.number >= 0 else 0)
        rows["id"] = np.arange(base, base + count)


def _extend(seen: list[AccessRows], done: list[WorkRows], more: tuple[list[AccessRows], list[WorkRows]]) -> None:
    seen += more[0]
    done += more[1]


def _added(keys: KeyRows, more: KeyRows) -> KeyRows:
    """``keys`` with the values of ``more`` in the same hour and system."""
    for time, system, values, logged in zip(
        *(more[name] for name in ("time", "system", "values", "logged")), strict=True
    ):
        at = (keys["time"] == time) & (keys["system"] == system)
        keys["values"][at] += values
        keys["logged"][at] += logged
    return keys


def _parcels(today: Today, journeys: Journeys, rounds: Rounds) -> Parcels:
    out, way, rest = rounds.out, journeys.pool, rounds.held
    place = way["origin"].copy()
    hub = today.world.outlet_hub
    for name, where in (("at_hub", hub[way["origin"]]), ("at_last", hub[way["dest"]])):
        there = (way[name] >= 0) & (way[name] < today.midnight)
        place[there] = where[there]

    def both(name: str) -> Column:
        return np.concatenate([out[name], rest[name], way[name]])

    nobody = np.full(len(rest["serial"]) + len(way["serial"]), -1, np.int32)
    return Parcels(
        serial=both("serial"),
        origin=both("origin"),
        dest=both("dest"),
        at=np.concatenate([out["dest"], rest["dest"], place]),
        courier=np.concatenate([out["courier"], nobody]),
        aoi=both("aoi"),
        subject=both("subject"),
        posted=both("posted"),
        arrives=both("arrives"),
        issuer=both("issuer"),
        attempts=np.concatenate([out["attempts"], rest["attempts"], np.zeros(len(way["serial"]), np.int32)]),
    )


def _blocks(journeys: Journeys) -> Blocks:
    start = np.concatenate([first for first, _ in journeys.blocks])
    owner = np.concatenate([who for _, who in journeys.blocks])
    used = np.full(len(start), BLOCK, np.int32)
    last = journeys.last_block[owner] == start
    used[last] = journeys.used[owner[last]]
    return Blocks(start * BLOCK, owner, journeys.world.issuer_outlet[owner], used)
