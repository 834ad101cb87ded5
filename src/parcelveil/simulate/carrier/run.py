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

import numpy as np

from parcelveil.errors import UsageError
from parcelveil.simulate.carrier.day import Attacker, Blocks, Day, Parcels
from parcelveil.simulate.carrier.desk import Desk
from parcelveil.simulate.carrier.incidents import WARM
from parcelveil.simulate.carrier.journeys import BLOCK, Journeys
from parcelveil.simulate.carrier.rounds import Rounds
from parcelveil.simulate.carrier.rows import AccessRows, KeyRows, Rows, WebRows, WorkRows
from parcelveil.simulate.carrier.staffing import build
from parcelveil.simulate.carrier.today import SECOND_US, Places, Today
from parcelveil.simulate.carrier.web import counted, visits
from parcelveil.simulate.carrier.world import World
from parcelveil.simulate.draw import Draw

LEAST_STAFF, MOST_STAFF, MOST_DAYS = 50, 250_000, 400
_INDEX_BITS = 26


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
            for looks, work in (journeys.move(today),):
                seen, done = seen + looks, done + work
            rounds.load(today, journeys.arrived(today))
            for looks, work in (rounds.drive(today), desk.work(today, rounds, journeys)):
                seen, done = seen + looks, done + work
            access = AccessRows.join(seen)
            work_rows = today.paper(WorkRows.join(done))
            if number < 0:
                web, keys = WebRows.of(0), KeyRows.of(0)
            else:
                web, keys = visits(today, np.concatenate([journeys.pool["serial"], rounds.out["serial"]])), KeyRows.of(0)
            day = Day(
                number, today.midnight, today.duty, today.start, today.end, today.outlet, access, work_rows, web, keys,
                lambda t=today: _parcels(t, journeys, rounds), lambda: _blocks(journeys), desk.new_tickets,  # type: ignore[misc]
            )  # fmt: skip
            bypassed = self._act(day) if number >= 0 else KeyRows.of(0)
            day.access = self._due(today, day.access, late, ledger) if number >= -1 else day.access
            day.work = self._due(today, day.work, late, ledger) if number >= -1 else day.work
            if number >= 0:
                day.web = day.web.take(np.argsort(day.web["time"], kind="stable"))
                day.keys = _added(counted(day.access, today), bypassed)
                yield day

    def _act(self, day: Day) -> KeyRows:
        """Lets the attackers act, then adds what they did to the day. Gives what they opened beside all logs."""
        acts = [attacker.act(day, self.world) for attacker in self.attackers]
        day.access = AccessRows.join([day.access, *(act.access for act in acts)])
        day.work = WorkRows.join([day.work, *(act.work for act in acts)])
        day.web = WebRows.join([day.web, *(act.web for act in acts)])
        return KeyRows.join([act.keys for act in acts])

    def _due(self, today: Today, rows: Rows, late: dict[type[Rows], list[Rows]], ledger: _Ledger) -> Rows:
        """What is received today, in order and numbered; the rest waits."""
        kind = type(rows)
        rows = kind.join([rows, *late[kind]])
        now = rows["received"] < today.next
        late[kind] = [rows.take(~now)]
        if today.number < 0:
            return rows
        rows = rows.take(now & (rows["received"] >= today.midnight))
        return ledger.number(rows, today)


class _Ledger:
    """Puts rows in order and gives looks and scans their numbers."""

    def __init__(self, world: World) -> None:
        source = Draw(world.seed, 14)
        self._next = {AccessRows: int(source.below(1 << 32, 1)[0]) << 20, WorkRows: 0}

    def number(self, rows: Rows, today: Today) -> Rows:
        """``rows`` in the order of ``received``, with the column ``id``."""
        kind, count = type(rows), rows.count
        source = today.source(8 if kind is AccessRows else 10)
        for name in ("time", "received"):
            column = rows[name] // SECOND_US
            rows[name] = column * SECOND_US + source.below(SECOND_US, count)
        # Ties, if any: by position, exclusive-or a number that is drawn, so that neither of two comes first by rule.
        mask = int(source.below(1 << _INDEX_BITS, 1)[0])
        at = (np.arange(count) ^ mask) if count else np.arange(0)
        key = np.sort(((rows["received"] - today.midnight) << _INDEX_BITS) | at)
        rows = rows.take((key & ((1 << _INDEX_BITS) - 1)) ^ mask)
        base = self._next[kind]
        self._next[kind] = base + count
        rows["id"] = np.arange(base, base + count)
        return rows


def _added(keys: KeyRows, more: KeyRows) -> KeyRows:
    """``keys`` with the values of ``more`` in the same hour and system."""
    for time, system, values, logged in zip(*(more[name] for name in ("time", "system", "values", "logged")), strict=True):
        at = (keys["time"] == time) & (keys["system"] == system)
        keys["values"][at] += values
        keys["logged"][at] += logged
    return keys


def _parcels(today: Today, journeys: Journeys, rounds: Rounds) -> Parcels:
    out, way, wait = rounds.out, journeys.pool, rounds.waiting
    # Failed today are in both; they count once, as on the round.
    rest = {name: column[wait["due"] <= today.number] for name, column in wait.items()}
    place = way["origin"].copy()
    hub = today.world.outlet_hub
    for name, where in (("at_hub", hub[way["origin"]]), ("at_last", hub[way["dest"]])):
        there = (way[name] >= 0) & (way[name] < today.midnight)
        place[there] = where[there]

    def both(name: str) -> np.ndarray:  # type: ignore[type-arg]
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


