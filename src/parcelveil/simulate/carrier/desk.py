"""Everybody who is not on a round: counters, sorting floors, customer service, head office, owners, partners.

::

    seen, done = Desk(world).work(today, rounds, journeys)

Each task begins with a parcel that something happens to, and finds the person who deals with it. Most looks have work
behind them; some have not, as in life: a customer asks for a parcel that is still elsewhere, a number is mistyped, a call
comes in without a number, a search by the last digits of a phone finds a stranger's parcel too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from parcelveil.event import BizStep
from parcelveil.simulate.carrier import rows
from parcelveil.simulate.carrier.journeys import Journeys
from parcelveil.simulate.carrier.looks import looks, scans
from parcelveil.simulate.carrier.rounds import Rounds
from parcelveil.simulate.carrier.rows import CUSTOMER, AccessRows, WorkRows
from parcelveil.simulate.carrier.today import SECOND_US, Today
from parcelveil.simulate.carrier.world import HOUR_US, MINUTE_US, STATION, Codes, Ints, World
from parcelveil.simulate.draw import SIZE, Draw

#: Shares that are choices, no figures being known.
_NOT_FOUND, _DENIED = 0.15, 0.08
_OTHER_HIT, _FAR_HIT = 0.35, 0.04
_TRAINING_DAYS, _TRAINING_SHARE = 6, 0.35
_OWN_TICKET, _COLLEAGUE_TICKET = 0.10, 0.25
_AT_STATION = 0.35
_WAVE_TICKETS = 0.55
_ANALYST_LOOKS, _ADMIN_LOOKS, _OWNER_RATE = 10, 3, 0.03
_CHECKED = 0.10


class Desk:
    """Tasks of a day at desks. ``tickets`` counts the tickets so far."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tickets = 0

    def new_tickets(self, count: int) -> Ints:
        """Numbers of ``count`` new tickets."""
        self.tickets += count
        return np.arange(self.tickets - count, self.tickets)

    def work(self, today: Today, rounds: Rounds, journeys: Journeys) -> tuple[list[AccessRows], list[WorkRows]]:
        """All tasks of today."""
        task = _Tasks(self, today, rounds, journeys)
        task.asked_ahead()
        task.mistaken()
        task.mixed_up()
        task.for_colleagues()
        task.training()
        task.reprints()
        task.counter()
        task.calls()
        task.complaints()
        task.head_office()
        task.owners()
        task.polls()
        return task.seen, task.done


class _Tasks:
    """The tasks of one day. ``near`` are parcels at stations or on a round, ``all`` also those on their way."""

    def __init__(self, desk: Desk, today: Today, rounds: Rounds, journeys: Journeys) -> None:
        self.desk, self.today, self.world, self.drawn = desk, today, desk.world, desk.world.drawn
        self.source: Draw = today.source(4)
        self.out, self.way, self.waiting = rounds.out, journeys.pool, rounds.waiting
        names = ("serial", "subject", "dest", "issuer", "posted")
        self.all = {name: np.concatenate([self.out[name], self.way[name]]) for name in names}
        self.seen: list[AccessRows] = []
        self.done: list[WorkRows] = []

    def words(self, count: int) -> npt.NDArray[np.uint16]:
        return self.source.words(count)

    def some(self, count: int, low: int, high: int) -> Ints:
        """Seconds between ``low`` and ``high``, as microseconds."""
        return (low + self.source.below(high - low, count)) * SECOND_US

    def anywhere(self, count: int) -> Ints:
        """Positions in ``all``."""
        return self.source.below(max(len(self.all["serial"]), 1), count)

    def look(self, pool: dict[str, npt.NDArray[np.int64]], at: Ints, who: Codes, when: Ints, **columns: Any) -> None:
        """Looks at the parcels at positions ``at``, if there is somebody, on duty by then, and the parcel exists already."""
        ok = np.flatnonzero(self.today.on_shift(who, when) & (when >= pool["posted"][at]))
        named = {"waybill": pool["serial"][at[ok]], "subject": pool["subject"][at[ok]]}
        for name, value in columns.items():
            named[name] = value[ok] if isinstance(value, np.ndarray) and value.ndim else value
        self.seen.append(looks(self.today, self.source, when[ok], who[ok], **named))

    def mixed(self, outlets: Codes, shares: tuple[tuple[int, float], ...]) -> Codes:
        """For each outlet somebody there; the roles have these shares, and the last stands in where there is nobody."""
        u = self.words(len(outlets)) / SIZE
        who = np.full(len(outlets), -1, np.int32)
        edge = 0.0
        for role, share in shares:
            at = np.flatnonzero((who < 0) & (u < edge + share))
            edge += share
            who[at] = self.today.pick(role, outlets[at], self.words(len(at)))
        return who

    def asked_ahead(self) -> None:
        """Somebody asks, at a door or counter, for a parcel that is still on its way, or that another station has."""
        rate = self.drawn["asked_ahead"] * len(self.out["serial"]) / max(len(self.way["serial"]), 1)
        at = self.today.hits(self.source, rate, self.way["dest"])
        place = self.way["dest"][at]
        # Near where he works, or where his mother lives: another station of the region.
        away = self.source.chance(self.drawn["asked_elsewhere"], len(at))
        place = np.where(away, self._beside(place), place)
        who = self.mixed(place, ((rows.COURIER, 0.68), (rows.CLERK, 0.3), (rows.OWNER, 0.02)))
        when = self.today.within(np.maximum(who, 0), self.source)
        self.look(self.way, at, who, when, action=rows.SEARCH, fields=0)
        then = np.flatnonzero(self.source.chance(0.35, len(at)))
        self.look(self.way, at[then], who[then], when[then] + self.some(len(then), 4, 60))

    def mistaken(self) -> None:
        """A number mistyped or misread: another parcel, none, or one that may not be seen."""
        at = self.today.hits(self.source, self.drawn["mistaken"], self.out["dest"])
        who = self.mixed(self.out["dest"][at], ((rows.CLERK, 0.2), (rows.SORTER, 0.1)))
        who = np.where(who >= 0, who, self.out["courier"][at]).astype(np.int32)
        when = self.out["time"][at] - self.some(len(at), 30, 300)
        when = np.maximum(when, self.today.start[who])
        working = self.today.on_shift(who, when)
        who, when = who[working], when[working]
        u = self.words(len(who)) / SIZE
        found = np.flatnonzero(u >= _NOT_FOUND)
        denied = u[found] < _NOT_FOUND + _DENIED
        shown = np.where(denied, 0, rows.NAME | rows.PHONE | rows.ADDRESS)
        outcome = np.where(denied, rows.DENIED, rows.OK)
        self.look(self.all, self.anywhere(len(found)), who[found], when[found], outcome=outcome, fields=shown)
        missed = np.flatnonzero(u < _NOT_FOUND)
        nothing = {"action": rows.SEARCH, "outcome": rows.NOTFOUND, "fields": 0, "records": 1}
        self.seen.append(looks(self.today, self.source, when[missed], who[missed], **nothing))

    def mixed_up(self) -> None:
        """A parcel of another station lies in the load; whoever finds it looks where it belongs, mostly in the morning."""
        at = self.today.hits(self.source, self.drawn["mixed_up"], self.out["dest"])
        place = self._beside(self.out["dest"][at])
        who = self.mixed(place, ((rows.COURIER, 0.7), (rows.SORTER, 0.2), (rows.CLERK, 0.1)))
        when = np.maximum(self.today.start[np.maximum(who, 0)], self.out["arrives"][at]) + self.some(len(at), 600, 9000)
        self.look(self.out, at, who, when)

    def _beside(self, place: Codes) -> Codes:
        """For each station another one of its region, if there is one near by."""
        stations = int((self.world.outlet_kind == STATION).sum())
        other = (place + 1 + self.source.below(7, len(place))) % stations
        region = self.world.outlet_region
        return self.today.outlet_now[np.where(region[other] == region[place], other, place)]

    def for_colleagues(self) -> None:
        """At the station one looks for the other; who waits for a second attempt is looked after."""
        at = self.today.hits(self.source, self.drawn["for_colleagues"], self.out["dest"])
        who = self.mixed(self.out["dest"][at], ((rows.COURIER, 0.5), (rows.CLERK, 0.35), (rows.SORTER, 0.15)))
        when = self.out["time"][at] - self.some(len(at), 0, 4 * 3600)
        when = np.maximum(when, self.out["arrives"][at])
        self.look(self.out, at, who, when)
        at = self.today.hits(self.source, _CHECKED, self.waiting["dest"])
        who = self.today.pick(rows.CLERK, self.today.outlet_now[self.waiting["dest"][at]], self.words(len(at)))
        when = self.today.within(np.maximum(who, 0), self.source)
        self.look(self.waiting, at, who, when)

    def training(self) -> None:
        """Who is new looks at a colleague's parcels, on the colleague's round."""
        account, today = self.world.account, self.today
        new = today.duty & (account.role == rows.COURIER)
        new &= (account.first_day <= today.number) & (today.number < account.first_day + _TRAINING_DAYS)
        trainees = np.flatnonzero(new).astype(np.int32)
        trainer = today.pick(rows.COURIER, today.outlet[trainees], self.words(len(trainees)))
        pupil = np.full(self.world.accounts, -1, np.int32)
        ok = (trainer >= 0) & (trainer != trainees)
        pupil[trainer[ok]] = trainees[ok]
        who = pupil[self.out["courier"]]
        at = np.flatnonzero((who >= 0) & self.source.chance(_TRAINING_SHARE, len(who)))
        when = self.out["time"][at] - self.some(len(at), 10, 300)
        self.look(self.out, at, who[at], when)

    def reprints(self) -> None:
        """Torn labels are printed again; now and then a printer spoils a whole lorry's."""
        today, out = self.today, self.out
        at = today.hits(self.source, self.drawn["reprints"], out["dest"])
        at = at[out["attempts"][at] == 0]
        who = self.mixed(out["dest"][at], ((rows.SORTER, 0.7), (rows.CLERK, 0.3)))
        when = np.maximum(out["arrives"][at], today.midnight) + self.some(len(at), 120, 5400)
        self.look(out, at, who, when, channel=rows.LABEL, action=rows.PRINT)
        for burst in self.world.calendar.reprints:
            if burst.day == today.number:
                at = np.flatnonzero(out["dest"] == today.outlet_now[burst.place])[: burst.size]
                one = self.mixed(np.full(1, today.outlet_now[burst.place]), ((rows.SORTER, 0.5), (rows.CLERK, 0.5)))
                who = np.repeat(one, len(at)).astype(np.int32)
                begin = today.start[who] + (today.end[who] - today.start[who]) // 4
                when = begin + np.arange(len(at)) * 9 * SECOND_US + self.some(len(at), 0, 8)
                self.look(out, at, who, when, channel=rows.LABEL, action=rows.PRINT)

    def counter(self) -> None:
        """Customers who come for a parcel: searched by the last digits of the phone, which finds others' parcels too."""
        today, out = self.today, self.out
        at = today.hits(self.source, self.drawn["counter"], out["dest"])
        who = today.pick(rows.CLERK, out["dest"][at], self.words(len(at)))
        when = np.maximum(today.within(np.maximum(who, 0), self.source), out["arrives"][at] + 20 * MINUTE_US)
        self.look(out, at, who, when, action=rows.SEARCH, fields=0)
        self.look(out, at, who, when + self.some(len(at), 3, 40), fields=rows.NAME | rows.PHONE)
        for step in (11, 23, 37):
            more = np.flatnonzero(self.source.chance(_OTHER_HIT, len(at)))
            other = np.minimum(at[more] + step, len(out["serial"]) - 1)
            same = out["dest"][other] == out["dest"][at[more]]
            more, other = more[same], other[same]
            self.look(out, other, who[more], when[more], action=rows.SEARCH, fields=0)
        more = np.flatnonzero(self.source.chance(_FAR_HIT, len(at)))
        self.look(self.all, self.anywhere(len(more)), who[more], when[more], action=rows.SEARCH, fields=0)

    def calls(self) -> None:
        """Customers call the service line or the station; some calls become a ticket that the station works on."""
        today, pool = self.today, self.all
        at = today.hits(self.source, self.drawn["calls"], pool["dest"])
        count = len(at)
        who = today.anybody(rows.SERVICE, self.words(count))
        local = self.source.chance(_AT_STATION, count)
        clerk = today.pick(rows.CLERK, pool["dest"][at], self.words(count))
        who = np.where(local & (clerk >= 0), clerk, who).astype(np.int32)
        when = today.within(np.maximum(who, 0), self.source)
        ok = np.flatnonzero(today.on_shift(who, when) & (when >= pool["posted"][at]))
        at, who, when, count = at[ok], who[ok], when[ok], len(ok)
        serial = pool["serial"][at]
        unknown = self.source.chance(self.drawn["calls_unknown"], count)
        lost = self.source.chance(0.01, count)
        known = {"waybill": np.where(unknown, -1, serial), "outlet": today.outlet[who], "device": -1}
        keep = np.flatnonzero(~lost)
        self._log(BizStep.INBOUND_CALL, when[keep], who[keep], {n: _at(v, keep) for n, v in known.items()})
        ticket = np.full(count, -1, np.int64)
        opened = np.flatnonzero(self.source.chance(self.drawn["tickets"], count))
        ticket[opened] = self.desk.new_tickets(len(opened))
        later = when + self.some(count, 5, 80)
        search = self.source.chance(0.5, count)
        action = np.where(search, rows.SEARCH, rows.REVEAL)
        self.look(pool, at, who, later, action=action, ticket=ticket)
        # Asked further, the same customer's other parcels are looked up.
        more = np.flatnonzero(self.source.chance(0.06, count))
        self.look(pool, self.anywhere(len(more)), who[more], later[more] + self.some(len(more), 10, 90))
        self._tickets(at[opened], who[opened], when[opened], ticket[opened])

    def _tickets(self, at: Ints, who: Codes, when: Ints, ticket: Ints) -> None:
        """A ticket is opened by the customer's call itself, by who answers, or a colleague; then the station looks."""
        pool, today, count = self.all, self.today, len(at)
        u = self.words(count) / SIZE
        colleague = today.anybody(rows.SERVICE, self.words(count))
        opener = np.where(u < _OWN_TICKET, who, np.where(u < _OWN_TICKET + _COLLEAGUE_TICKET, colleague, CUSTOMER))
        begun = when + self.some(count, 0, 60)
        named = {"waybill": pool["serial"][at], "outlet": today.outlet[who], "ticket": ticket, "device": -1}
        self._log(BizStep.TICKET_OPENED, begun, np.full(count, -1, np.int32), named | {"actor": opener})
        handler = self.mixed(pool["dest"][at], ((rows.CLERK, 0.8), (rows.COURIER, 0.2)))
        first = begun + self.some(count, 300, 4 * 3600)
        self.look(pool, at, handler, first, ticket=ticket)
        again = np.flatnonzero(self.source.chance(0.3, count))
        self.look(
            pool, at[again], handler[again], first[again] + self.some(len(again), 600, 7200), ticket=ticket[again]
        )
        closed = np.flatnonzero(self.source.chance(0.7, count))
        named = {"ticket": ticket[closed], "outlet": today.outlet[np.maximum(handler[closed], 0)], "device": -1}
        ends = first[closed] + self.some(len(closed), 1800, 3 * 3600)
        self._log(BizStep.TICKET_CLOSED, ends, np.full(len(closed), -1, np.int32), named)

    def _log(self, step: BizStep, when: Ints, who: Codes, named: dict[str, Any]) -> None:
        self.done.append(scans(self.today, self.source, step, when, who, **named))

    def complaints(self) -> None:
        """A merchant's parcels go wrong: a few agents look through them all, and only some get a ticket."""
        today, pool = self.today, self.all
        for burst in self.world.calendar.waves:
            if burst.day != today.number or not len(pool["serial"]):
                continue
            issuer = pool["issuer"][burst.place % len(pool["serial"])]
            at = np.flatnonzero(pool["issuer"] == issuer)[: burst.size]
            agents = today.anybody(rows.SERVICE, self.words(2 + burst.place % 4))
            if agents[0] < 0:
                continue
            who = agents[self.source.below(len(agents), len(at))]
            when = today.within(who, self.source, margin=30 * MINUTE_US)
            ticketed = np.flatnonzero(self.source.chance(_WAVE_TICKETS, len(at)))
            ticket = np.full(len(at), -1, np.int64)
            ticket[ticketed] = self.desk.new_tickets(len(ticketed))
            begun = when[ticketed] - self.some(len(ticketed), 60, 1800)
            named = {"waybill": pool["serial"][at[ticketed]], "ticket": ticket[ticketed], "actor": CUSTOMER}
            self._log(BizStep.TICKET_OPENED, begun, np.full(len(ticketed), -1, np.int32), named)
            self.look(pool, at, who, when, ticket=ticket)

    def head_office(self) -> None:
        """Analysts take samples and export tables; administrators look into what users report."""
        today, account = self.today, self.world.account
        for role, usual, exports in ((rows.ANALYST, _ANALYST_LOOKS, 0.6), (rows.ADMIN, _ADMIN_LOOKS, 0.05)):
            crew = np.flatnonzero(today.duty & (account.role == role)).astype(np.int32)
            each = np.rint(usual * 2 * account.pace[crew] * self.words(len(crew)) / SIZE).astype(np.int64)
            who = np.repeat(crew, np.minimum(each, 400))
            when = today.within(who, self.source)
            fields = np.where(self.source.chance(0.3, len(who)), rows.NAME | rows.PHONE | rows.ADDRESS, 0)
            self.look(self.all, self.anywhere(len(who)), who, when, fields=fields)
            some = crew[self.source.chance(exports, len(crew))]
            size = 50 + (self.source.below(SIZE, len(some)) ** 2 >> 19)
            self._export(some, size)

    def owners(self) -> None:
        """Owners look after their station, and now and then take its table home."""
        today, out = self.today, self.out
        at = today.hits(self.source, _OWNER_RATE, out["dest"])
        who = today.pick(rows.OWNER, out["dest"][at], self.words(len(at)))
        self.look(out, at, who, np.maximum(out["time"][at] + self.some(len(at), -7200, 3600), out["arrives"][at]))
        crew = np.flatnonzero(today.duty & (self.world.account.role == rows.OWNER)).astype(np.int32)
        some = crew[self.source.chance(0.08, len(crew))]
        load = np.bincount(out["dest"], minlength=len(self.world.outlet_kind))
        self._export(some, np.maximum(load[today.outlet[some]], 1))

    def _export(self, who: Codes, records: Ints) -> None:
        when = self.today.within(who, self.source, margin=HOUR_US)
        named = {
            "channel": rows.EXPORT_FILE,
            "action": rows.EXPORT,
            "records": records,
            "fields": rows.NAME | rows.OTHER,
        }
        self.seen.append(looks(self.today, self.source, when, who, **named))

    def polls(self) -> None:
        """Partners ask where their own parcels are; the answer has no personal field."""
        pool, today = self.all, self.today
        partner = self.world.issuer_partner[pool["issuer"]]
        at = np.flatnonzero((partner >= 0) & self.source.chance(self.drawn["partner_polls"], len(partner)))
        when = today.midnight + self.source.below(86_000, len(at)) * SECOND_US
        self.look(pool, at, partner[at], when, channel=rows.API, action=rows.SEARCH, fields=rows.OTHER)
        # A wrong number now and then.
        some = at[self.source.chance(0.004, len(at))]
        when = today.midnight + self.source.below(86_000, len(some)) * SECOND_US
        nothing = {"channel": rows.API, "action": rows.SEARCH, "outcome": rows.NOTFOUND, "fields": 0}
        self.seen.append(looks(today, self.source, when, partner[some], **nothing))


def _at(value: Any, keep: Ints) -> Any:
    return value[keep] if isinstance(value, np.ndarray) else value
