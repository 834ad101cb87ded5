"""Couriers' rounds: who takes which parcel, in what order, and what he opens on the way.

::

    rounds = Rounds(world)
    rounds.load(today, journeys.arrived(today))    # what is at the stations
    seen, done = rounds.drive(today)               # looks and work of the day; rounds.out: the parcels taken out

Times follow public courier routes (5,222 recorded stops): first parcels accepted between about 8 and 10,
the last delivered nine hours later in the median, stops of one area together, a second wave for what came at noon. Habits
are a person's own, last, and drift: some open the list in the morning, some each stop, some look twice.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.event import BizStep
from parcelveil.simulate.carrier import rows
from parcelveil.simulate.carrier.journeys import Pool, joined, sorted_by, taken
from parcelveil.simulate.carrier.looks import looks, scans
from parcelveil.simulate.carrier.rows import STEP, AccessRows, WorkRows
from parcelveil.simulate.carrier.today import SECOND_US, Today, spread
from parcelveil.simulate.carrier.world import HOUR_US, MINUTE_US, Codes, Ints, World
from parcelveil.simulate.draw import SIZE, Draw, quantile_table

_LEVELS = [1, 5, 10, 25, 50, 75, 90, 95, 99]
#: Measured on public courier routes: minute of the day of the first parcel accepted; minutes from then to the last
#: delivery; minutes between stops.
_FIRST = quantile_table(_LEVELS, [473.0, 492.0, 505.0, 528.0, 554.0, 578.0, 613.0, 641.0, 671.0])
_SPAN = quantile_table(_LEVELS, [179.0, 236.0, 318.0, 405.0, 556.0, 671.0, 722.0, 737.0, 795.0])
_GAP = quantile_table(_LEVELS, [5.0, 5.0, 6.0, 8.0, 12.0, 22.0, 44.0, 106.0, 429.8])
_EARLIEST, _LATEST, _HOME = 7 * 60 + 50, 11 * 60 + 30, 22 * 60 + 20
_SECOND_WAVE = 13 * 60 + 50
#: What comes later in the morning goes with the second wave.
_WAVE_LIMIT = 9 * HOUR_US + HOUR_US // 2
#: A courier takes so many times his usual load, no more.
_CAPACITY = 2.2
_ATTEMPTS = 3
_PAGE = 20
_AWAY_US, _NEXT_DAY = 60 * SECOND_US, 0.8


class Habits:
    """What a courier is like: by account, shares of his stops."""

    def __init__(self, world: World) -> None:
        source, drawn, count = Draw(world.seed, 13), world.drawn, world.accounts
        unit = source.below(SIZE, 4 * count).reshape(4, count) / SIZE
        self.lists = unit[0] < drawn["lists"]
        # Around the drawn mean, from hardly any to nearly all; whoever has the list opens fewer stops.
        lean = 1 - (1 - unit[1]) ** 2
        opens = drawn["opens"] * (0.55 + 0.67 * lean)
        self.opens = np.minimum(np.where(self.lists, opens * 0.6, opens), 0.99)
        self.again = np.minimum(drawn["opens_again"] * 2 * unit[2], 0.6)
        self.drift = drawn["drift"] * (2 * unit[3] - 1) / 28

    def on(self, number: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Shares of stops opened and opened again, on that day."""
        change = 1 + self.drift * min(number, 84)
        return np.minimum(self.opens * change, 0.99), self.again * change


class Rounds:
    """Parcels at stations. ``out``: those taken out today, in the order of the rounds, with ``courier`` and ``time``."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.habits = Habits(world)
        self.waiting: Pool = {}
        self.out: Pool = {}
        self.held: Pool = {}  # those at stations that nobody takes out today

    def load(self, today: Today, arrived: Pool) -> None:
        """Parcels that came since yesterday join those that wait for another attempt."""
        names = ("serial", "issuer", "origin", "dest", "aoi", "subject", "posted", "arrives")
        new = {name: arrived[name] for name in names}
        count = len(new["serial"])
        new["attempts"] = np.zeros(count, np.int32)
        new["due"] = np.full(count, today.number, np.int32)
        self.waiting = joined(self.waiting, new) if self.waiting else new

    def drive(self, today: Today) -> tuple[list[AccessRows], list[WorkRows]]:
        """The rounds of today."""
        source = today.source(3)
        seen: list[AccessRows] = []
        done: list[WorkRows] = self._assignments(today, source)
        self._choose(today, source, done)
        out = self.out
        failed, kept = self._results(today, source, seen, done)
        self._opened(today, source, seen, failed)
        self.failed = failed
        # Failed parcels come back to the station.
        back = taken(out, np.flatnonzero(kept))
        soon = source.chance(_NEXT_DAY, len(back["serial"]))
        back["due"] = (today.number + np.where(soon, 1, 2)).astype(np.int32)
        back["attempts"] = back["attempts"] + 1
        self.waiting = joined(self.waiting, {name: back[name] for name in self.waiting})
        return seen, done

    def _assignments(self, today: Today, source: Draw) -> list[WorkRows]:
        """Every route is given to somebody in the morning, and to the stand-in when the system learns of him."""
        routes = np.arange(len(today.courier), dtype=np.int32)
        holder = np.where(today.holder >= 0, today.holder, today.courier)
        early = today.midnight + 6 * HOUR_US + source.below(5400 * SECOND_US, len(routes))
        parts = [(routes, holder, early)]
        late = np.flatnonzero(today.told > 0)
        parts.append((routes[late], today.courier[late], today.told[late]))
        return [
            WorkRows.of(len(route), time=time, received=time + source.below(3 * SECOND_US, len(route)),
                        step=STEP[BizStep.ROUTE_ASSIGNED], outlet=today.route_station[route], route=route, actor=who)
            for route, who, time in parts
        ]  # fmt: skip

    def _choose(self, today: Today, source: Draw, done: list[WorkRows]) -> None:
        """Takes today's parcels out of what waits, route by route, and puts each round in order."""
        wait, world = self.waiting, self.world
        station = today.route_station[today.aoi_route[wait["aoi"]]]
        crew = np.bincount(station, minlength=len(world.outlet_kind))
        hands = np.bincount(today.route_station[today.helper >= 0], minlength=len(crew))
        hands += np.bincount(today.route_station, minlength=len(crew))
        limit = hands * world.drawn["parcels_a_courier"] * _CAPACITY
        left = np.maximum(1 - limit / np.maximum(crew, 1), 0.0)
        stay = source.words(len(station)) < (left * SIZE).astype(np.uint16)[station]
        go = (wait["due"] <= today.number) & ~stay
        out = taken(wait, np.flatnonzero(go))
        self.held = self.waiting = taken(wait, np.flatnonzero(~go))
        count = len(out["serial"])
        route = today.aoi_route[out["aoi"]]
        second = world.aoi_second[out["aoi"]]
        swap = (second >= 0) & source.chance(world.drawn["second_share"], count)
        swap &= today.route_station[second] == today.route_station[route]
        route = np.where(swap, second, route)
        self._moved(today, source, out, today.route_station[route], done)
        out["dest"] = today.route_station[route]
        helper = today.helper[route]
        courier = np.where((helper >= 0) & (spread(out["aoi"], 12) % 2 == 0), helper, today.courier[route])
        wave = ((out["arrives"] >= today.midnight + _WAVE_LIMIT) & (out["attempts"] == 0)).astype(np.int64)
        # Couriers of one station lie side by side.
        rank = np.empty(world.accounts, np.int64)
        place = today.outlet.copy()
        place[today.courier] = today.route_station
        rank[np.argsort(place, kind="stable")] = np.arange(world.accounts)
        order = sorted_by((rank[courier] << 17) | (wave << 16) | (spread(out["aoi"], today.number) & 0xFFFF))
        self.out = taken(out | {"route": route, "courier": courier.astype(np.int32), "wave": wave}, order)
        self._clock(today, source)

    def _moved(self, today: Today, source: Draw, out: Pool, station: Codes, done: list[WorkRows]) -> None:
        """After a reorganisation parcels lie at the station that had the area before; most are scanned over."""
        at = np.flatnonzero(today.outlet_now[out["dest"]] != station)
        at = at[source.chance(0.6, len(at))]
        nobody = np.full(len(at), -1, np.int32)
        when = np.maximum(out["arrives"][at], today.midnight + 6 * HOUR_US) + source.below(1800, len(at)) * SECOND_US
        parcel = {"waybill": out["serial"][at]}
        old = {"outlet": out["dest"][at], "to_outlet": station[at]}
        done.append(scans(today, source, BizStep.DEPARTED, when, nobody, **parcel, **old))
        when = when + (600 + source.below(1200, len(at))) * SECOND_US
        done.append(scans(today, source, BizStep.ARRIVED, when, nobody, **parcel, outlet=station[at]))

    def _clock(self, today: Today, source: Draw) -> None:
        """When each parcel is taken out and when its courier stands at the door."""
        out = self.out
        courier, wave, count = out["courier"], out["wave"], len(out["courier"])
        fresh = np.ones(count, np.bool_)
        fresh[1:] = (courier[1:] != courier[:-1]) | (wave[1:] != wave[:-1])
        head = np.flatnonzero(fresh)
        size = np.diff(head, append=count)
        part = np.repeat(np.arange(len(head)), size)
        accounts = self.world.accounts
        first = np.clip(_FIRST[source.words(accounts)], _EARLIEST, _LATEST)
        span = _SPAN[source.words(accounts)]
        who, second = courier[head], wave[head] == 1
        usual = self.world.drawn["parcels_a_courier"]
        length = span[who] * np.clip(0.5 + 0.5 * size / usual, 0.3, 1.3)
        begin = np.where(second, np.maximum(_SECOND_WAVE + first[who] - 554, first[who] + 120), first[who])
        length = np.where(second, np.clip(first[who] + span[who] - begin, 60.0, 420.0), length)
        length = np.minimum(length, _HOME - begin)
        start = today.midnight + np.rint(begin * 60).astype(np.int64) * SECOND_US
        gap = _GAP[source.words(count)]
        same = np.zeros(count, np.bool_)
        same[1:] = ~fresh[1:] & (out["aoi"][1:] == out["aoi"][:-1])
        gap = np.where(same, gap * 0.15, gap)
        total = np.cumsum(gap)
        before = (total[head] - gap[head])[part]
        whole = (total[head + size - 1] - total[head] + gap[head])[part]
        at = (total - before) / whole
        seconds = np.rint((8 + at * (length[part] - 8)) * 60).astype(np.int64)
        turn = np.arange(count) - head[part]
        out["accepted"] = start[part] - (size[part] - turn) * (5 * SECOND_US // 2)
        out["time"] = start[part] + seconds * SECOND_US + source.below(30 * SECOND_US, count)
        out["turn"] = turn
        # Who is out longer than his shift works longer, and who starts before it earlier.
        np.maximum.at(today.end, who, out["time"][head + size - 1] + 20 * MINUTE_US)
        np.minimum.at(today.start, who, out["accepted"][head] - 15 * MINUTE_US)

    def _results(
        self, today: Today, source: Draw, seen: list[AccessRows], done: list[WorkRows]
    ) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Scans of the round. Positions of failed deliveries, and a mask of those that come back for another attempt."""
        out, world = self.out, self.world
        count = len(out["serial"])
        lost = (world.lost_share * SIZE).astype(np.uint16)[out["dest"]]
        keep = np.flatnonzero(source.words(count) >= lost)
        route, who = out["route"][keep], out["courier"][keep]
        told = np.where(today.told[route] > 0, out["accepted"][keep] >= today.told[route], True)
        named = np.where(told & (today.holder[route] == today.courier[route]), who, today.holder[route])
        named = np.where(world.names_actor[out["dest"][keep]], named, -1)
        done.append(
            scans(today, source, BizStep.OUT_FOR_DELIVERY, out["accepted"][keep], who, waybill=out["serial"][keep],
                  outlet=out["dest"][keep], route=route, actor=named)
        )  # fmt: skip
        fails = np.zeros(count, np.bool_)
        fails[today.hits(source, world.drawn["failed"], out["dest"], most=0.5)] = True
        for step, mask in ((BizStep.DELIVERED, ~fails), (BizStep.ATTEMPTED, fails)):
            at = np.flatnonzero(mask & (source.words(count) >= lost))
            parcel = {"waybill": out["serial"][at], "outlet": out["dest"][at], "route": out["route"][at]}
            done.append(scans(today, source, step, out["time"][at], out["courier"][at], **parcel))
        failed = np.flatnonzero(fails)
        over = fails & (out["attempts"] + 1 >= _ATTEMPTS)
        at = np.flatnonzero(over)
        who = out["courier"][at]
        when = np.minimum(out["time"][at] + 90 * MINUTE_US, today.end[who] - source.below(15 * 60, len(at)) * SECOND_US)
        parcel = {"waybill": out["serial"][at], "outlet": out["dest"][at]}
        done.append(scans(today, source, BizStep.RETURNED, np.maximum(when, out["time"][at]), who, **parcel))
        self._called_back(today, source, failed, seen, done)
        return failed, fails & ~over

    def _called_back(
        self, today: Today, source: Draw, failed: Ints, seen: list[AccessRows], done: list[WorkRows]
    ) -> None:
        """Who was not at home calls the courier, who looks up whose parcel it is."""
        out = self.out
        at = failed[source.chance(0.3, len(failed))]
        who = out["courier"][at]
        when = out["time"][at] + (300 + source.below(5400, len(at))) * SECOND_US
        ok = when < today.end[who] - 10 * MINUTE_US
        at, who, when = at[ok], who[ok], when[ok]
        parcel = {"waybill": out["serial"][at]}
        done.append(scans(today, source, BizStep.INBOUND_CALL, when, who, **parcel, device=-1))
        later = when + (5 + source.below(60, len(at))) * SECOND_US
        seen.append(looks(today, source, later, who, **parcel, subject=out["subject"][at]))

    def _opened(self, today: Today, source: Draw, seen: list[AccessRows], failed: Ints) -> None:
        """The list in the morning, the next stop, the same stop again, and what failed."""
        out, habits = self.out, self.habits
        courier, count = out["courier"], len(out["courier"])
        opens, again = habits.on(today.number)

        def look(at: Ints, when: Ints, **columns: npt.ArrayLike) -> None:
            who = courier[at]
            named = {"waybill": out["serial"][at], "subject": out["subject"][at]} | columns
            seen.append(looks(today, source, np.maximum(when, today.start[who]), who, **named))

        # The list shows names and roads only; it comes in pages.
        at = np.flatnonzero(habits.lists[courier])
        page = out["turn"][at] // _PAGE
        when = out["accepted"][at] - out["turn"][at] * (5 * SECOND_US // 2) + (180 + page * 9) * SECOND_US
        look(at, when, action=rows.LIST, fields=0)
        at = np.flatnonzero(source.words(count) < (opens * SIZE).astype(np.uint16)[courier])
        look(at, out["time"][at] - (25 + source.below(420, len(at))) * SECOND_US)
        at = np.flatnonzero(source.words(count) < (again * SIZE).astype(np.uint16)[courier])
        look(at, out["time"][at] - source.below(90, len(at)) * SECOND_US, fields=rows.PHONE)
        at = failed[source.chance(0.85, len(failed))]
        look(at, out["time"][at] - source.below(60, len(at)) * SECOND_US, fields=rows.PHONE)
