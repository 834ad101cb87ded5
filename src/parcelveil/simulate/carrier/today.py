"""Who works today, where, on which route, and whose scanner tells late: what all tasks of a day need.

::

    today = Today(world, 3)
    today.pick(rows.CLERK, stations, source.words(len(stations)))      # a clerk on duty at each, -1 where there is none
    today.courier[route], today.holder[route]                          # who drives it; whom the system believes to drive it

Everything follows from the seed and the day's number alone. A stand-in takes the route of a colleague who is away; the
system learns of it in the morning, in the course of the day, or never. Somebody who helps takes half of a route's areas.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.carrier import rows
from parcelveil.simulate.carrier.incidents import WARM
from parcelveil.simulate.carrier.world import DAY_US, HOUR_US, MINUTE_US, MOBILE, Codes, Ints, World
from parcelveil.simulate.draw import SIZE, Draw, quantile_table, weighted

SECOND_US = 1_000_000
#: Slots from which somebody of an outlet is picked.
_SLOTS = 256
_LEVELS = [1, 10, 50, 90, 99]
#: A person's and an outlet's day against their usual one (assumed; the tail makes days differ more than chance would).
_PERSON_DAY = quantile_table(_LEVELS, [0.15, 0.4, 1.0, 2.3, 6.0])
_OUTLET_DAY = quantile_table(_LEVELS, [0.35, 0.6, 1.0, 1.7, 3.2])
_LATE_LONGEST = 12 * HOUR_US
#: Days on which somebody uses another desk, a colleague's handheld, another mobile network, or works at home (assumed).
_OTHER_DESK, _BORROWS, _ROAMS, _AT_HOME = 0.2, 0.006, 0.08, 0.2

Mask = npt.NDArray[np.bool_]


def spread(codes: npt.NDArray[np.integer], seed: int) -> npt.NDArray[np.uint32]:
    """A fixed number for each code that looks drawn (an odd multiplication and shifts modulo ``2**32``)."""
    value = codes.astype(np.uint32) * np.uint32(2_654_435_761) + np.uint32(seed * 0x9E3779B1 & 0xFFFFFFFF)
    value ^= value >> np.uint32(15)
    value *= np.uint32(2_246_822_519)
    value ^= value >> np.uint32(13)
    return value


class Places:
    """Which account belongs to which outlet, and which area to which route, before and after the reorganisation."""

    def __init__(self, world: World, *, after: bool) -> None:
        self.outlet = world.account.outlet.copy()
        self.route_station = world.route_station.copy()
        self.aoi_route = world.aoi_route.copy()
        #: For each outlet the one that does its work now.
        self.outlet_now = np.arange(len(world.outlet_kind), dtype=np.int32)
        for move in world.calendar.moves if after else ():
            if move.share == 1.0:
                self.outlet[world.account.outlet == move.old] = move.new
                self.route_station[world.route_station == move.old] = move.new
                self.outlet_now[move.old] = move.new
            else:
                heads = np.flatnonzero(world.route_station == move.new)
                draw = spread(np.arange(len(self.aoi_route)), 5)
                given = (world.route_station[world.aoi_route] == move.old) & (draw % 1000 < move.share * 1000)
                self.aoi_route[given] = heads[draw[given] // 1000 % len(heads)]


class Today:
    """One day of the staff; see the module's docstring. Times are microseconds UTC, arrays by account or by route."""

    def __init__(self, world: World, number: int, places: Places) -> None:
        self.world, self.number, self.places = world, number, places
        self.midnight = world.midnight(number)
        self.next = self.midnight + DAY_US
        self.outlet, self.route_station, self.aoi_route = places.outlet, places.route_station, places.aoi_route
        self.outlet_now = places.outlet_now
        self.demand = float(world.calendar.demand[number + WARM])
        source = self.source(0)
        self._attend(source)
        self._assign(source)
        self.outlet_day = _OUTLET_DAY[source.words(len(world.outlet_kind))]
        self._slots: dict[int, Codes] = {}
        self._weight = world.account.pace * _PERSON_DAY[source.words(world.accounts)]
        late = source.words(world.accounts) < world.late_share[self.outlet] * SIZE
        part = source.below(1 << 16, world.accounts)
        self.late_from = np.where(late, self.start + (self.end - self.start) * part // SIZE, self.next * 2)
        wait = source.below(1 << 16, world.accounts)
        self.late_until = self.late_from + _LATE_LONGEST // SIZE * (wait * wait // SIZE)
        self._outages()

    def source(self, stream: int) -> Draw:
        """Random words of today, of their own for each stream."""
        return Draw(self.world.seed, 20, self.number + WARM, stream)

    def _attend(self, source: Draw) -> None:
        world, number = self.world, self.number
        account, drawn, calendar = world.account, world.drawn, world.calendar
        count = world.accounts
        self.active = (account.first_day <= number) & (number <= account.last_day)
        busy, holiday = calendar.busy(number), bool(calendar.holiday[number + WARM])
        person = np.arange(count)
        # Days off lie every seventh day or so, on a weekday of everybody's own; a week of leave comes now and then.
        off = (spread(person, 1) + np.uint32(number + WARM)) % np.uint32(7) == 0
        off &= source.words(count) < (1 - drawn["days_worked"]) * 7 * SIZE
        away = (
            spread(person + 1_000_003 * ((number + WARM + spread(person, 2) % 7) // 7).astype(np.int64), 3) % 1000 < 18
        )
        sick = source.chance(drawn["sick"], count)
        office = np.isin(account.role, (rows.ANALYST, rows.ADMIN))
        closed = office & (int(calendar.weekday[number + WARM]) >= 5)
        if busy:
            off &= False
            away &= source.chance(0.3, count)
        if holiday:
            off |= source.chance(0.25, count)
        duty = self.active & ~off & ~away & ~sick & ~closed
        duty[account.role == rows.PARTNER] = self.active[account.role == rows.PARTNER]
        # The first courier of a station comes when nobody else can.
        couriers = np.flatnonzero(duty & (account.role == rows.COURIER))
        here = np.bincount(self.outlet[couriers], minlength=len(world.outlet_kind))
        head = np.flatnonzero(np.diff(world.route_station, prepend=-1))
        first = world.route_courier[head]
        duty[first[here[self.outlet[first]] == 0]] = True
        self.duty = duty
        late = (source.below(40, count) - 20) * MINUTE_US
        begin = np.where(account.shift_start >= 0, account.shift_start, 480 + spread(person, 4) % 180)
        end = np.where(account.shift_end >= 0, account.shift_end, 1140 + spread(person, 6) % 180)
        self.start = self.midnight + begin.astype(np.int64) * MINUTE_US + late
        extra = source.below(40, count) * MINUTE_US + (90 * MINUTE_US if busy else 0)
        self.end = self.midnight + end.astype(np.int64) * MINUTE_US + extra
        whole = account.role == rows.PARTNER
        self.start[whole], self.end[whole] = self.midnight, self.next
        self._equip(source)

    def _equip(self, source: Draw) -> None:
        """Which device and network everybody uses today."""
        account, count = self.world.account, self.world.accounts
        device = np.where(account.new_device_day <= self.number, account.new_device, account.device)
        pooled = account.device < 4 * len(self.world.outlet_kind)
        handheld = np.isin(account.role, (rows.COURIER, rows.SORTER))
        either = source.below(2, count)
        # Two handhelds and two computers of an outlet are everybody's.
        device = np.where(pooled & handheld, 4 * self.outlet + 2 + either, device)
        device = np.where(pooled & ~handheld & source.chance(_OTHER_DESK, count), 4 * self.outlet + either, device)
        # A flat battery: somebody of the same outlet lends his.
        here = np.argsort(self.outlet, kind="stable")
        lender = np.empty(count, np.int64)
        lender[here] = np.roll(here, 1)
        borrows = source.chance(_BORROWS, count) & (self.outlet[lender] == self.outlet) & handheld & handheld[lender]
        self.device = np.where(borrows, device[lender], device).astype(np.int32)
        road = np.isin(account.role, (rows.COURIER, rows.OWNER))
        roams = road & source.chance(_ROAMS, count)
        mobile = len(self.world.outlet_kind) + account.region * MOBILE + source.below(MOBILE, count)
        out = road | source.chance(_AT_HOME, count)
        self.network = np.where(roams, mobile, np.where(out, account.mobile, account.network)).astype(np.int32)

    def _assign(self, source: Draw) -> None:
        world, number = self.world, self.number
        routes = len(world.route_courier)
        first, second = world.route_courier, world.route_successor
        home = np.where(number > world.account.last_day[first], second, first)
        here = (home >= 0) & self.duty[home]
        free = self.duty & (world.account.role == rows.COURIER)
        slots = self._make_slots(free, np.where(world.account.temporary, 0.0, 1.0))
        # A few stand-ins come from the station beside.
        station = self.route_station
        beside = np.minimum(station + 1, station[-1])
        lent = source.chance(0.12, routes) & (world.outlet_region[beside] == world.outlet_region[station])
        asked = np.where(lent, beside, station).astype(np.int64)
        words = source.words(routes).astype(np.int64)
        stand_in = slots[asked * _SLOTS + (words & (_SLOTS - 1))]
        stand_in = np.where(stand_in < 0, slots[station.astype(np.int64) * _SLOTS + (words & (_SLOTS - 1))], stand_in)
        self.home = home.astype(np.int32)
        self.courier = np.where(here, home, stand_in).astype(np.int32)
        swapped = ~here & (self.courier != home)
        fate = source.below(1 << 16, routes) / SIZE
        untold = swapped & (home >= 0) & (fate < world.drawn["untold_stand_ins"])
        late = swapped & (home >= 0) & ~untold & (fate > 1 - world.drawn["late_stand_ins"])
        #: Whom the system believes to have the route in the morning, and when it learns better (0: never or at once).
        self.holder = np.where(untold | late, home, self.courier).astype(np.int32)
        self.told = np.where(late, self.midnight + 11 * HOUR_US + source.below(6 * 3600, routes) * SECOND_US, 0)
        self.swapped = swapped
        # Temporary couriers take half of a route.
        helpers = np.flatnonzero(free & world.account.temporary)
        self.helper = np.full(routes, -1, np.int32)
        mine = world.account.outlet[helpers]
        heads = np.searchsorted(world.route_station, mine)
        width = np.bincount(world.route_station, minlength=len(world.outlet_kind))[mine]
        self.helper[heads + (spread(helpers, 7) % width).astype(np.int64)] = helpers

    def _make_slots(self, who: Mask, weight: npt.NDArray[np.float64]) -> Codes:
        """For each outlet :data:`_SLOTS` accounts among ``who`` by weight; -1 where there is none."""
        codes = np.flatnonzero(who & (weight > 0))
        codes = codes[np.argsort(self.outlet[codes], kind="stable")]
        total = np.cumsum(weight[codes])
        outlets = len(self.world.outlet_kind)
        ends = np.searchsorted(self.outlet[codes], np.arange(outlets), side="right")
        edge = np.concatenate([[0.0], total])[np.concatenate([[0], ends])]
        at = edge[:-1, None] + (edge[1:] - edge[:-1])[:, None] * ((np.arange(_SLOTS) + 0.5) / _SLOTS)
        found = np.minimum(np.searchsorted(total, at.ravel(), side="right"), len(codes) - 1)
        if not len(codes):
            return np.full(outlets * _SLOTS, -1, np.int32)
        empty = np.repeat(edge[1:] == edge[:-1], _SLOTS)
        return np.where(empty, -1, codes[found]).astype(np.int32)

    def pick(self, role: int, outlets: Codes, words: npt.NDArray[np.uint16]) -> Codes:
        """For each outlet somebody of ``role`` on duty there, the busier the likelier; -1 where nobody is."""
        if role not in self._slots:
            self._slots[role] = self._make_slots(self.duty & (self.world.account.role == role), self._weight)
        return self._slots[role].take(outlets.astype(np.int64) * _SLOTS + (words & np.uint16(_SLOTS - 1)))

    def anybody(self, role: int, words: npt.NDArray[np.uint16]) -> Codes:
        """Somebody of ``role`` on duty, wherever, for each word; -1 if there is nobody."""
        codes = np.flatnonzero(self.duty & (self.world.account.role == role)).astype(np.int32)
        if not len(codes):
            return np.full(len(words), -1, np.int32)
        return codes[weighted(self._weight[codes])[words]]

    def hits(self, source: Draw, rate: float, outlets: Codes, *, most: float = 0.9) -> Ints:
        """Positions of the rows at which something happens, at ``rate`` on average, more or less by outlet and day."""
        limit = np.rint(np.minimum(rate * self.outlet_day, most) * SIZE).astype(np.uint16)
        return np.flatnonzero(source.words(len(outlets)) < limit.take(outlets))

    def on_shift(self, who: Codes, times: Ints) -> Mask:
        """Whether somebody is given, and works at that time."""
        return (who >= 0) & (times >= self.start[who]) & (times <= self.end[who])

    def within(self, who: Codes, source: Draw, *, margin: int = 10 * MINUTE_US) -> Ints:
        """A moment in the shift of each, not in the last ``margin``; the shift's first hours are as busy as its last."""
        u = source.below(1 << 32, len(who))
        length = np.maximum(self.end[who] - self.start[who] - margin, MINUTE_US) // SECOND_US
        return np.asarray(self.start[who] + (length * u >> 32) * SECOND_US + (u & 0xFFFFF))

    def received(self, times: Ints, who: Codes, source: Draw) -> Ints:
        """When the carrier's systems get what ``who`` (-1: a machine) recorded at ``times``."""
        soon = times + 200_000 + source.below(4 * SECOND_US, len(times))
        late = (who >= 0) & (times >= self.late_from[who])
        at = np.flatnonzero(late)
        at = at[times[at] < self.late_until[who[at]]]
        soon[at] = self.late_until[who[at]] + source.below(90 * SECOND_US, len(at))
        return soon

    def clock(self, times: Ints, device: Codes) -> Ints:
        """``times`` by the clock of each device."""
        return times + np.where(device >= 0, self.world.device_skew[device], 0)

    def _outages(self) -> None:
        outlets = len(self.world.outlet_kind)
        self.dark_from, self.dark_until = np.full(outlets, self.next * 2), np.zeros(outlets, np.int64)
        self.dark_lost = np.zeros(outlets)
        self.dark = False
        for outage in self.world.calendar.outages:
            if outage.day == self.number:
                at = (
                    self.world.outlet_region == outage.region
                    if outage.region >= 0
                    else np.arange(outlets) == outage.outlet
                )
                at = at & (self.world.outlet_kind != 2)
                self.dark_from[at] = self.midnight + outage.start * MINUTE_US
                self.dark_until[at] = self.midnight + outage.end * MINUTE_US
                self.dark_lost[at] = outage.lost
                self.dark = True

    def paper(self, work: rows.WorkRows) -> rows.WorkRows:
        """Work at outlets without power or network: written on paper, then lost or entered hours later."""
        if not self.dark:
            return work
        outlet = work["outlet"]
        at = np.flatnonzero(
            (outlet >= 0) & (work["time"] >= self.dark_from[outlet]) & (work["time"] < self.dark_until[outlet])
        )
        source = self.source(9)
        lost = source.words(len(at)) < self.dark_lost[outlet[at]] * SIZE
        wait = source.below(8 * 3600, len(at)) * SECOND_US
        work["received"][at] = np.maximum(work["received"][at], self.dark_until[outlet[at]] + HOUR_US // 2 + wait)
        keep = np.ones(work.count, np.bool_)
        keep[at[lost]] = False
        return work.take(keep)
