"""Parcels from the order to the station that delivers them: numbers, collection, sorting, transport.

::

    journeys = Journeys(world)
    made = journeys.create(today)              # parcels of today, and what was done and looked at for them
    journeys.move(today)                       # scans of today at hubs and stations
    journeys.arrived(today)                    # parcels that a courier can take today; they leave the pool

A parcel is collected in the afternoon (or handed in at a counter), leaves its outlet in the evening, passes one or two hubs,
and comes to its station with a morning or a midday lorry. Some are sent to a wrong station first.
"""

from __future__ import annotations

import numpy as np

from parcelveil.event import BizStep
from parcelveil.simulate.carrier import rows
from parcelveil.simulate.carrier.looks import looks, scans
from parcelveil.simulate.carrier.rows import STEP, AccessRows, Column, WorkRows
from parcelveil.simulate.carrier.today import SECOND_US, Today, spread
from parcelveil.simulate.carrier.world import DAY_US, HOUR_US, HUB, MINUTE_US, STATION, Codes, Ints, World
from parcelveil.simulate.draw import SIZE, Draw, weighted

#: Numbers of a block.
BLOCK = 1_000
#: A parcel that comes later than this is taken round the next day.
CUT_OFF = 13 * HOUR_US + 30 * MINUTE_US
#: Share of scans at hubs that a machine makes, so that nobody is named (assumed).
_MACHINE = 0.6
#: Share of parcels that travel between hubs in a bag, so that only its last hub scans them, when it opens it (assumed).
_BAGGED = 0.7
#: Share of heads of a series, and its length: a shop or office that gets many parcels at once (assumed).
_SERIES, _SERIES_LENGTH = 0.0008, (4, 22)
_INDEX_BITS = 26

Pool = dict[str, Column]


def joined(first: Pool, second: Pool) -> Pool:
    """Rows of both, in this order."""
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def taken(pool: Pool, at: Column) -> Pool:
    """Rows of ``pool`` at positions."""
    return {name: column.take(at) for name, column in pool.items()}


def sorted_by(key: Column) -> Ints:
    """Positions in the order of ``key`` (integers under ``2**37``, not negative); equal ones keep their order."""
    packed = np.sort((key.astype(np.uint64) << np.uint64(_INDEX_BITS)) | np.arange(len(key), dtype=np.uint64))
    return (packed & np.uint64((1 << _INDEX_BITS) - 1)).astype(np.int64)


class Journeys:
    """Parcels on their way to a station, and the numbers issued so far."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._issuers = weighted(world.issuer_share, size=1 << 20)
        self._areas = weighted(world.aoi_weight, size=1 << max(20, len(world.aoi_weight).bit_length() + 2))
        self.base = len(world.route_courier) * world.drawn["parcels_a_courier"] * world.drawn["days_worked"] * 0.96
        issuers = len(world.issuer_outlet)
        self.last_block = np.full(issuers, -1, np.int64)  # the block that an issuer uses now
        self.used = np.full(issuers, BLOCK, np.int64)  # numbers of it that are gone
        self._next = 1_000 + int(spread(np.array([world.seed & 0xFFFF]), 3)[0]) % 1_000_000
        self.blocks: list[tuple[Ints, Codes]] = []
        #: By day: how many parcels were begun, and how many had reached their station.
        self.pool: Pool = {}

    def _number(self, issuer: Codes) -> Ints:
        """A number for each parcel; ``issuer`` is in ascending order."""
        issuers = len(self.last_block)
        count = np.bincount(issuer, minlength=issuers)
        rank = np.arange(len(issuer)) - (np.cumsum(count) - count)[issuer]
        left = BLOCK - self.used
        fresh = -(-np.maximum(count - left, 0) // BLOCK)
        # Blocks are given out in no order of issuers.
        order = np.argsort(spread(np.arange(issuers), self._next & 0xFFFF), kind="stable")
        new = np.empty(issuers, np.int64)
        new[order] = self._next + np.cumsum(fresh[order]) - fresh[order]
        ahead = left[issuer]
        serial = np.where(
            rank < ahead,
            self.last_block[issuer] * BLOCK + self.used[issuer] + rank,
            new[issuer] * BLOCK + rank - ahead,
        )
        got = np.repeat(np.arange(issuers), fresh)
        self.blocks.append(
            (np.arange(self._next, self._next + len(got)), got[np.argsort(new[got], kind="stable")].astype(np.int32))
        )
        # The sort above is by the first block of each issuer, and the blocks of one issuer lie side by side.
        opened = fresh > 0
        self.used = np.where(opened, count - left - (fresh - 1) * BLOCK, self.used + count)
        self.last_block = np.where(opened, new + fresh - 1, self.last_block)
        self._next += int(fresh.sum())
        return serial

    def create(self, today: Today) -> tuple[list[AccessRows], list[WorkRows]]:
        """Parcels ordered and collected today."""
        world, source = self.world, today.source(1)
        count = round(self.base * today.demand)
        issuer = self._issuers[source.below(1 << 20, count)]
        issuer = issuer[sorted_by(issuer)]
        aoi = self._areas[source.below(len(self._areas), count)]
        word = source.words(count).astype(np.int64)
        # Recipients: the first of an area get the most (the share of rank r falls as r**(-2/3)).
        rank = (word * word // SIZE * word // SIZE) * world.aoi_people[aoi] // SIZE
        subject = world.aoi_first[aoi] + rank
        aoi, subject = self._series(source, aoi, subject)
        serial = self._number(issuer)
        origin = today.outlet_now[world.issuer_outlet[issuer]]
        dest = today.route_station[today.aoi_route[aoi]]
        counter = issuer >= len(world.issuer_outlet) - int((world.outlet_kind == STATION).sum())
        posted, who = self._collect(today, source, issuer, origin, counter)
        keep = np.flatnonzero(source.words(count) >= (world.lost_share * SIZE).astype(np.uint16)[origin])
        seen: list[AccessRows] = []
        done = [
            scans(today, source, BizStep.POSTED, posted[keep], who[keep], waybill=serial[keep], outlet=origin[keep])
        ]
        made: Pool = {
            "serial": serial, "issuer": issuer, "origin": origin, "dest": dest, "aoi": aoi, "subject": subject, "posted": posted
        }  # fmt: skip
        self._ordered(today, source, made, seen, done)
        self._at_origin(today, source, made, counter, who, seen, done)
        made |= self._plan(today, source, origin, dest, posted)
        self.pool = joined(self.pool, made) if self.pool else made
        return seen, done

    def _series(self, source: Draw, aoi: Codes, subject: Ints) -> tuple[Codes, Ints]:
        """Some recipients get a series of parcels."""
        count = len(aoi)
        heads = np.flatnonzero(source.chance(_SERIES, count))
        low, high = _SERIES_LENGTH
        length = np.zeros(count, np.int64)
        length[heads] = low + source.below(high - low, len(heads))
        index = np.arange(count)
        is_head = np.zeros(count, np.bool_)
        is_head[heads] = True
        last = np.maximum.accumulate(np.where(is_head, index, 0))
        use = np.where(index - last < length[last], last, index)
        # Rows lie by sender; a series comes from many senders.
        order = source.below(1 << 20, count)
        mixed = sorted_by(order)
        target = np.empty(count, np.int64)
        target[mixed] = mixed[use]
        return aoi[target], subject[target]

    def _collect(self, today: Today, source: Draw, issuer: Codes, origin: Codes, counter: Column) -> tuple[Ints, Codes]:
        """When each parcel is collected, and by whom: the courier of the merchant's round, or a clerk at the counter."""
        station = today.route_station
        outlets = np.arange(len(self.world.outlet_kind))
        head = np.searchsorted(station, outlets)
        width = np.searchsorted(station, outlets, side="right") - head
        draw = spread(issuer, 8)
        who = today.courier[head[origin] + draw % width[origin].astype(np.uint32)]
        turn = np.arange(len(issuer)) - np.searchsorted(issuer, issuer)
        at = 15 * HOUR_US + (draw >> np.uint32(8)) % np.uint32(240) * np.int64(MINUTE_US)
        posted = (
            today.midnight
            + at
            + np.minimum(turn * 3, 1800) * SECOND_US
            + source.below(20 * 60 * SECOND_US, len(issuer))
        )
        at_counter = np.flatnonzero(counter)
        clerk = today.pick(rows.CLERK, origin[at_counter], source.words(len(at_counter)))
        alone = today.midnight + 9 * HOUR_US + source.below(9 * 3600, len(clerk)) * SECOND_US
        posted[at_counter] = np.where(
            clerk >= 0, np.maximum(today.within(clerk, source), today.midnight + 6 * HOUR_US), alone
        )
        who[at_counter] = clerk
        return posted, np.where(today.on_shift(who, posted), who, -1).astype(np.int32)

    def _ordered(self, today: Today, source: Draw, made: Pool, seen: list[AccessRows], done: list[WorkRows]) -> None:
        """Partners order over the interface and print their labels; some orders never reach the systems that tell."""
        at = np.flatnonzero(self.world.issuer_partner[made["issuer"]] >= 0)
        partner, posted = self.world.issuer_partner[made["issuer"][at]], made["posted"][at]
        early = posted - (20 * 60 + source.below(9 * 3600, len(at))) * SECOND_US
        keep = np.flatnonzero(~source.chance(self.world.drawn["lost_orders"], len(at)))
        serial = made["serial"][at]
        ordered = {"time": early[keep], "received": early[keep] + source.below(40 * 60, len(keep)) * SECOND_US}
        done.append(
            WorkRows.of(len(keep), step=STEP[BizStep.ORDERED], waybill=serial[keep], actor=partner[keep], **ordered)
        )
        printed = np.minimum(early + (30 + source.below(1800, len(at))) * SECOND_US, posted)
        named = {"waybill": serial, "subject": made["subject"][at], "channel": rows.API, "action": rows.PRINT}
        seen.append(looks(today, source, printed, partner, **named))

    def _at_origin(
        self, today: Today, source: Draw, made: Pool, counter: Column, who: Codes,
        seen: list[AccessRows], done: list[WorkRows],
    ) -> None:  # fmt: skip
        """At the counter the label is printed; a third of the merchants are collected from by assignment."""
        serial, subject, posted = made["serial"], made["subject"], made["posted"]
        at = np.flatnonzero(counter & (who >= 0))
        late = posted[at] + (5 + source.below(60, len(at))) * SECOND_US
        named = {"waybill": serial[at], "subject": subject[at], "channel": rows.LABEL, "action": rows.PRINT}
        seen.append(looks(today, source, late, who[at], **named))
        at = np.flatnonzero(~counter & (who >= 0) & (spread(made["issuer"], 9) % 3 == 0))
        when = posted[at] - (600 + source.below(3 * 3600, len(at))) * SECOND_US
        assigned = {"waybill": serial[at], "outlet": made["origin"][at], "actor": who[at]}
        received = when + source.below(60, len(at)) * SECOND_US
        done.append(WorkRows.of(len(at), time=when, received=received, step=STEP[BizStep.PICKUP_ASSIGNED], **assigned))
        at = at[source.chance(0.3, len(at))]
        when = np.maximum(posted[at] - source.below(400, len(at)) * SECOND_US, today.start[who[at]])
        seen.append(looks(today, source, when, who[at], waybill=serial[at], subject=subject[at]))

    def _plan(self, today: Today, source: Draw, origin: Codes, dest: Codes, posted: Ints) -> Pool:
        """Times of all legs. ``via`` is -1 for a parcel that passes one hub only, ``wrong`` a station it goes to first."""
        world, count = self.world, len(origin)
        minute = np.int64(MINUTE_US)
        ends = spread(np.arange(len(world.outlet_kind)), 10).astype(np.int64)
        hub, last = world.outlet_hub[origin], world.outlet_hub[dest]
        jitter = source.below(1 << 32, 4 * count).reshape(4, count)

        def some(row: int, low: int, high: int) -> Ints:
            return np.asarray(((high - low) * minute * jitter[row] >> 32) + low * minute)

        leave = today.midnight + (1200 + ends[origin] % 120) * minute + some(0, 0, 25)
        leave = np.maximum(leave, posted + 15 * minute)
        at_hub = leave + (40 + (ends >> 8)[origin] % 110) * minute + some(1, 0, 20)
        slow = max(0.0, today.demand - 1.3) * 300
        off = at_hub + some(2, 30, 120 + int(slow))
        far = hub != last
        apart = spread(hub.astype(np.int64) * 64 + last, 11).astype(np.int64) % 1200 + 300
        at_last = np.where(far, off + apart * minute + some(1, 0, 40), -1)
        off_last = np.where(far, at_last + some(3, 40, 150), -1)
        ready = np.where(far, off_last, off) + (45 + (ends >> 16)[dest] % 100) * minute
        # Lorries: one in the morning, one at noon.
        local = ready - today.midnight
        day, rest = local // DAY_US, local % DAY_US
        morning, noon = (300 + (ends >> 5)[dest] % 105) * minute, (660 + (ends >> 11)[dest] % 90) * minute
        lorry = np.where(rest <= morning, morning, np.where(rest <= noon, noon, DAY_US + morning))
        arrives = today.midnight + day * DAY_US + lorry + some(0, 0, 40)
        astray = source.chance(world.drawn["misrouted"], count)
        stations = int((world.outlet_kind == STATION).sum())
        wrong = np.where(astray, source.below(stations, count), -1)
        wrong = np.where(wrong == dest, -1, wrong).astype(np.int32)
        return {
            "leave": leave, "at_hub": at_hub, "off": off, "at_last": at_last, "off_last": off_last,
            "arrives": arrives + np.where(wrong >= 0, DAY_US, 0), "wrong": wrong,
        }  # fmt: skip

    def move(self, today: Today) -> tuple[list[AccessRows], list[WorkRows]]:
        """Scans of today at origins, hubs and stations, and the looks of those who find a parcel at the wrong station."""
        world, pool, source = self.world, self.pool, today.source(2)
        pool["dest"] = today.outlet_now[pool["dest"]]
        seen: list[AccessRows] = []
        done: list[WorkRows] = []
        hub, last, dest = world.outlet_hub[pool["origin"]], world.outlet_hub[pool["dest"]], pool["dest"]
        stray = pool["wrong"] >= 0
        goal = np.where(stray, pool["wrong"], dest)
        after_hub = np.where(hub == last, goal, last)
        legs = (
            (BizStep.DEPARTED, "leave", pool["origin"], hub, False),
            (BizStep.ARRIVED, "at_hub", hub, None, True),
            (BizStep.DEPARTED, "off", hub, after_hub, True),
            (BizStep.ARRIVED, "at_last", last, None, True),
            (BizStep.DEPARTED, "off_last", last, goal, False),
            (BizStep.ARRIVED, "arrives", dest, None, False),
        )
        bagged = (hub != last) & (spread(pool["serial"], 13) % 1000 < _BAGGED * 1000)
        lost = (world.lost_share * SIZE).astype(np.uint16)
        for step, name, where, to, open_only in legs:
            times = pool[name]
            here = (times >= today.midnight) & (times < today.next)
            at = np.flatnonzero(here & ~bagged if open_only else here)
            at = at[source.words(len(at)) >= lost[where[at]]]
            outlet, when = where[at], times[at]
            who = today.pick(rows.SORTER, outlet, source.words(len(at)))
            machine = source.chance(_MACHINE, len(at)) & (world.outlet_kind[outlet] == HUB)
            who = np.where(today.on_shift(who, when) & ~machine, who, -1).astype(np.int32)
            to_outlet = -1 if to is None else to[at]
            done.append(
                scans(today, source, step, when, who, waybill=pool["serial"][at], outlet=outlet, to_outlet=to_outlet)
            )
        found = pool["arrives"] - DAY_US
        at = np.flatnonzero(stray & (found >= today.midnight) & (found < today.next))
        self._astray(today, source, at, found[at], seen, done)
        return seen, done

    def _astray(
        self, today: Today, source: Draw, at: Ints, when: Ints, seen: list[AccessRows], done: list[WorkRows]
    ) -> None:
        """Parcels at a wrong station: half are scanned in; a clerk looks for their way, some by the phone number."""
        pool, wrong = self.pool, today.outlet_now[self.pool["wrong"][at]]
        serial, subject, dest = pool["serial"][at], pool["subject"][at], pool["dest"][at]
        some = np.flatnonzero(source.chance(0.5, len(at)))
        who = today.pick(rows.SORTER, wrong[some], source.words(len(some)))
        who = np.where(today.on_shift(who, when[some]), who, -1).astype(np.int32)
        done.append(scans(today, source, BizStep.ARRIVED, when[some], who, waybill=serial[some], outlet=wrong[some]))
        clerk = today.pick(rows.CLERK, wrong, source.words(len(at)))
        some = np.flatnonzero((clerk >= 0) & source.chance(0.8, len(at)))
        time = np.maximum(today.within(clerk[some], source, margin=3 * HOUR_US), when[some] + 10 * MINUTE_US)
        working = today.on_shift(clerk[some], time)
        some, time = some[working], time[working]
        action = np.where(source.chance(0.4, len(some)), rows.SEARCH, rows.REVEAL)
        named = {"waybill": serial[some], "subject": subject[some], "action": action}
        seen.append(looks(today, source, time, clerk[some], **named))
        away = time + (1200 + source.below(2 * 3600, len(some))) * SECOND_US
        nobody = np.full(len(some), -1, np.int32)
        named = {"waybill": serial[some], "outlet": wrong[some], "to_outlet": dest[some]}
        done.append(scans(today, source, BizStep.DEPARTED, away, nobody, **named))

    def arrived(self, today: Today) -> Pool:
        """Parcels that have reached their station in time for a round today; they leave the pool."""
        here = self.pool["arrives"] < today.midnight + CUT_OFF
        out = taken(self.pool, np.flatnonzero(here))
        self.pool = taken(self.pool, np.flatnonzero(~here))
        return out
