"""Builds the world: outlets, the people at each, their accounts, devices, routes and areas, and who sends parcels.

::

    world = build(seed=7, staff=4_000, days=14, start=date(2026, 9, 1), offset_minutes=480)

About 70 % of ``staff`` are couriers, 12 % sort, 10 % serve at the counter, 4 % answer calls; the rest are owners of
franchised stations, partners, analysts and administrators. Besides ``staff`` there are accounts of people who join or
leave during the run, of those taken on for the peak, and dormant ones.
"""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.carrier import incidents, rows
from parcelveil.simulate.carrier.areas import areas, issuers, unit
from parcelveil.simulate.carrier.naming import Names
from parcelveil.simulate.carrier.priors import parameters
from parcelveil.simulate.carrier.world import (
    DAY_US,
    HUB,
    MINUTE_US,
    MOBILE,
    OFFICE,
    STATION,
    STAYS,
    Accounts,
    Codes,
    Ints,
    World,
)
from parcelveil.simulate.draw import Draw, quantile_table

#: Shares of the staff; couriers are what is left after these and the owners, about this share.
_SHARE = {
    rows.COURIER: 0.70,
    rows.CLERK: 0.10,
    rows.SORTER: 0.12,
    rows.SERVICE: 0.04,
    rows.ANALYST: 0.006,
    rows.ADMIN: 0.004,
    rows.PARTNER: 0.008,
}
_LEVELS = [1, 10, 50, 90, 99]
#: How unequal stations and people are: quantiles, the median being 1 (assumed).
_STATION_SIZE = quantile_table(_LEVELS, [0.35, 0.55, 1.0, 1.7, 2.6])
_PACE = quantile_table(_LEVELS, [0.3, 0.5, 1.0, 2.0, 3.6])
_SKEW_S = 3
#: Handhelds that are replaced within 30 days (assumed).
_REPLACED = 0.06
_LONG_AGO = -10_000
#: Shifts by role: (share, start, end) in minutes of the local day.
_SHIFTS: dict[int, tuple[tuple[float, int, int], ...]] = {
    rows.COURIER: ((1.0, 450, 1260),),
    rows.CLERK: ((0.6, 480, 1050), (0.4, 690, 1260)),
    rows.SORTER: ((0.55, 240, 780), (0.45, 810, 1380)),
    rows.SERVICE: ((0.4, 420, 930), (0.4, 690, 1200), (0.2, 900, 1440)),
    rows.ANALYST: ((1.0, 540, 1080),),
    rows.ADMIN: ((1.0, 540, 1080),),
    rows.OWNER: ((1.0, -1, -1),),
    rows.PARTNER: ((1.0, -1, -1),),
}
_HUB_SHIFTS = ((0.5, 1140, 1740), (0.5, 480, 1080))


def _spread(weights: npt.NDArray[Any], total: int, least: int) -> npt.NDArray[np.int64]:
    """``total`` in whole numbers by weight, each at least ``least`` (as far as there is enough)."""
    least = min(least, total // len(weights))
    edges = np.rint(np.cumsum(weights) / weights.sum() * (total - least * len(weights))).astype(np.int64)
    return np.asarray(np.diff(edges, prepend=0) + least)


class _Outlets(NamedTuple):
    """Stations, then a hub a region, then head office and call centres; and how big each station is."""

    kind: npt.NDArray[np.int8]
    region: Codes
    franchise: npt.NDArray[np.bool_]
    size: npt.NDArray[np.float64]
    stations: int
    regions: int


class _People(NamedTuple):
    """One entry an account; see world.Accounts. ``a_station``: couriers with a route at each station."""

    role: Ints
    outlet: Ints
    owner: Ints
    first_day: Ints
    last_day: Ints
    temporary: npt.NDArray[np.bool_]
    a_station: Ints
    successor: Codes


def _outlets(source: Draw, staff: int, drawn: dict[str, float]) -> _Outlets:
    stations = max(2, round(staff * _SHARE[rows.COURIER] / drawn["couriers_a_station"]))
    regions = min(max(1 if stations < 4 else 2, round(stations / drawn["stations_a_region"])), 31)
    calls = max(1, regions // 4)
    size = _STATION_SIZE[source.words(stations)]
    region = np.repeat(np.arange(regions, dtype=np.int32), _spread(0.5 + unit(source, regions), stations, 1))
    kind = np.repeat([STATION, HUB, OFFICE], [stations, regions, 1 + calls]).astype(np.int8)
    return _Outlets(
        kind,
        np.concatenate([region, np.arange(regions), np.zeros(1), np.arange(calls)]).astype(np.int32),
        (unit(source, len(kind)) < drawn["franchised"]) & (kind == STATION),
        size,
        stations,
        regions,
    )


def _usual(staff: int, outlets: _Outlets) -> tuple[Ints, Ints, Ints]:
    """Role and outlet of those who are there from the first day, and couriers at each station (they come first)."""
    size, stations, regions, owners = outlets.size, outlets.stations, outlets.regions, np.flatnonzero(outlets.franchise)
    least = {rows.CLERK: stations, rows.SORTER: regions * 2, rows.SERVICE: 2, rows.PARTNER: 2}
    many = {role: max(least.get(role, 1), round(staff * share)) for role, share in _SHARE.items()}
    rest = staff - sum(many[role] for role in many if role != rows.COURIER) - len(owners)
    a_station = _spread(size, max(2 * stations, rest), 2)
    at_hubs = max(regions * 2, round(many[rows.SORTER] * 0.45))
    by_region = np.bincount(outlets.region[:stations], size, regions)
    head, calls = stations + regions, int((outlets.kind == OFFICE).sum()) - 1
    station = np.arange(stations)
    parts = [
        (rows.COURIER, np.repeat(station, a_station)),
        (rows.CLERK, np.repeat(station, _spread(size, many[rows.CLERK], 1))),
        (rows.SORTER, np.repeat(station, _spread(size, max(many[rows.SORTER] - at_hubs, 0), 0))),
        (rows.SORTER, stations + np.repeat(np.arange(regions), _spread(by_region, at_hubs, 2))),
        (rows.OWNER, owners),
        (rows.SERVICE, head + 1 + np.arange(many[rows.SERVICE]) % calls),
        *((role, np.full(many[role], head)) for role in (rows.ANALYST, rows.ADMIN, rows.PARTNER)),
    ]
    role = np.concatenate([np.full(len(where), code) for code, where in parts])
    return role, np.concatenate([where for _, where in parts]), a_station


def _people(source: Draw, staff: int, days: int, outlets: _Outlets, drawn: dict[str, float], peak: int) -> _People:
    """Everybody, and behind them those who join, help at the peak, left long ago, or have a second account."""
    role, outlet, a_station = _usual(staff, outlets)
    usual, couriers = len(role), int(a_station.sum())
    # Leavers and whoever takes their route; the first courier of a station stays, so that somebody always has the key.
    leaving = (unit(source, couriers) < drawn["leavers"] * days / 30) & (days > 3)
    leaving[np.cumsum(a_station) - a_station] = False
    goes = np.flatnonzero(leaving)
    last = source.below(days, len(goes))
    joins = last + 1 + source.below(6, len(goes))
    helps = source.below(couriers, round(couriers * drawn["temporary"]) if peak >= 0 else 0)
    asleep = source.below(usual, max(1, round(usual * drawn["dormant"])))
    asleep = asleep[role[asleep] <= rows.SERVICE]
    clerk = (role == rows.CLERK) & outlets.franchise[outlet]
    twice = np.flatnonzero(clerk & (unit(source, usual) < drawn["two_accounts"]))
    more = np.concatenate([goes, helps, asleep, twice])
    first_day = np.full(usual + len(more), _LONG_AGO)
    last_day = np.full(usual + len(more), STAYS)
    last_day[goes] = last
    temporary = np.zeros(usual + len(more), np.bool_)
    at = usual
    first_day[at : at + len(goes)] = joins
    at += len(goes)
    first_day[at : at + len(helps)] = peak - 1
    last_day[at : at + len(helps)] = peak + 4
    temporary[at : at + len(helps)] = True
    at += len(helps)
    last_day[at : at + len(asleep)] = -20 - source.below(300, len(asleep))
    owner = np.arange(usual + len(more))
    owner[at + len(asleep) :] = twice
    successor = np.full(couriers, -1, np.int32)
    successor[goes] = usual + np.arange(len(goes))
    role, outlet = np.concatenate([role, role[more]]), np.concatenate([outlet, outlet[more]])
    return _People(role, outlet, owner, first_day, last_day, temporary, a_station, successor)


def _quit(source: Draw, people: _People, days: int, drawn: dict[str, float]) -> None:
    """Others leave as couriers do, and nobody takes their place; the first of a role at an outlet stays."""
    quits = unit(source, len(people.role)) < drawn["leavers"] * days / 30
    quits &= np.isin(people.role, (rows.CLERK, rows.SORTER, rows.SERVICE, rows.ANALYST)) & (days > 3)
    quits &= people.last_day == STAYS
    quits[np.unique(people.outlet * len(rows.ROLES) + people.role, return_index=True)[1]] = False
    people.last_day[quits] = source.below(days, int(quits.sum()))


def _accounts(
    source: Draw, people: _People, outlets: _Outlets, drawn: dict[str, float], days: int, first: int, offset: int
) -> tuple[Accounts, Ints, int]:
    """The accounts, every device's clock, and the number of networks."""
    role, outlet, count, places = people.role, people.outlet, len(people.role), len(outlets.kind)
    begin, end = _shifts(source, role, outlets.kind[outlet] == HUB)
    device, skew = _devices(source, role, outlet, places, drawn)
    mobile = places + outlets.region[outlet] * MOBILE + source.below(MOBILE, count)
    networks = places + outlets.regions * MOBILE
    partner = role == rows.PARTNER
    network = np.where(partner, networks + np.cumsum(partner) - 1, outlet)
    networks += int(partner.sum())
    # Who answers calls or sits in the office works at home now and then.
    desk = np.isin(role, (rows.SERVICE, rows.ANALYST, rows.ADMIN)) & (unit(source, count) < 0.35)
    road = (role == rows.COURIER) | (role == rows.OWNER)
    away = np.where(road, mobile, np.where(desk, networks + np.cumsum(desk) - 1, network))
    networks += int(desk.sum())
    opened = (first - 30 - source.below(1_500, count)) * DAY_US
    opened = np.where(people.first_day > _LONG_AGO, (first + people.first_day) * DAY_US, opened)
    opened = opened + (9 * 60 - offset) * MINUTE_US + source.below(8 * 3600, count) * 1_000_000
    # Passwords and handhelds are changed now and then, also while we look.
    fresh = np.maximum(opened, (first + days) * DAY_US - source.below(400, count) * DAY_US)
    changed = np.where(unit(source, count) < 0.8, fresh, opened)
    goes = (people.last_day < STAYS) & (people.last_day >= 0) & ~people.temporary
    told = goes & (unit(source, count) < 0.7)
    leaves = np.where(told, (first + people.last_day) * DAY_US - offset * MINUTE_US, -1)
    # A handheld breaks now and then, and its user gets another one.
    replaced = np.where(unit(source, count) < _REPLACED * days / 30, source.below(days, count), STAYS)
    replaced = np.where(people.role == rows.COURIER, replaced, STAYS)
    columns: dict[str, Any] = {
        "role": role.astype(np.int8),
        "outlet": outlet.astype(np.int32),
        "region": outlets.region[outlet],
        "owner": people.owner.astype(np.int32),
        "shift_start": begin,
        "shift_end": end,
        "device": device,
        "new_device": (len(skew) + np.arange(count)).astype(np.int32),
        "new_device_day": replaced.astype(np.int32),
        "network": network.astype(np.int32),
        "mobile": away.astype(np.int32),
        "first_day": people.first_day.astype(np.int32),
        "last_day": people.last_day.astype(np.int32),
        "opened": opened,
        "changed": changed,
        "leaves": leaves,
        "pace": _PACE[source.words(count)],
        "temporary": people.temporary,
    }
    new = source.below(2 * _SKEW_S * 1_000_000, count) - _SKEW_S * 1_000_000
    return Accounts(**columns), np.concatenate([skew, new]), networks


def build(*, seed: int, staff: int, days: int, start: date, offset_minutes: int) -> World:
    """The world of ``seed``: the same arguments give the same world."""
    drawn = parameters(seed)
    source = Draw(seed, 12)
    first = (start - date(1970, 1, 1)).days
    outlets = _outlets(source, staff, drawn)
    stations, places = outlets.stations, len(outlets.kind)
    calendar = incidents.plan(
        seed, drawn, days=days, first=first, station_region=outlets.region[:stations], accounts=staff
    )
    people = _people(source, staff, days, outlets, drawn, calendar.peak)
    _quit(Draw(seed, 15), people, days, drawn)
    account, skew, networks = _accounts(source, people, outlets, drawn, days, first, offset_minutes)
    couriers = int(people.a_station.sum())
    aoi_route, aoi_second, aoi_people, aoi_first, aoi_weight = areas(source, couriers, people.a_station, drawn)
    partners = np.flatnonzero(account.role == rows.PARTNER)
    issuer_outlet, issuer_partner, issuer_share = issuers(source, drawn, stations, partners, couriers)
    low, high = drawn["lost_scans_least"], drawn["lost_scans_most"]
    return World(
        seed=seed,
        days=days,
        first=first,
        offset_us=offset_minutes * MINUTE_US,
        drawn=drawn,
        account=account,
        outlet_kind=outlets.kind,
        outlet_region=outlets.region,
        outlet_hub=np.where(outlets.kind == OFFICE, -1, stations + outlets.region).astype(np.int32),
        outlet_network=np.arange(places, dtype=np.int32),
        outlet_franchise=outlets.franchise,
        lost_share=low + (high - low) * unit(source, places),
        late_share=drawn["late_scanners"] * 2 * unit(source, places),
        names_actor=unit(source, places) < 0.7,
        route_station=np.repeat(np.arange(stations, dtype=np.int32), people.a_station),
        route_courier=np.arange(couriers, dtype=np.int32),
        route_successor=people.successor,
        aoi_route=aoi_route,
        aoi_second=aoi_second,
        aoi_people=aoi_people,
        aoi_first=aoi_first,
        aoi_weight=aoi_weight,
        device_skew=skew,
        issuer_outlet=issuer_outlet,
        issuer_partner=issuer_partner,
        issuer_share=issuer_share,
        calendar=calendar,
        names=Names(seed),
        _spare={"network": networks},
    )


def _shifts(
    source: Draw, role: npt.NDArray[np.int64], at_hub: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    begin, end = np.full(len(role), -1, np.int16), np.full(len(role), -1, np.int16)
    u = unit(source, len(role))
    for code, kinds in _SHIFTS.items():
        for hub, shifts in ((False, kinds), (True, _HUB_SHIFTS if code == rows.SORTER else kinds)):
            edge = 0.0
            for share, first, last in shifts:
                mask = (role == code) & (at_hub == hub) & (u >= edge) & (u < edge + share)
                begin[mask], end[mask] = first, last
                edge += share
    # Everybody's hours are his own by up to half an hour, in quarters.
    own = (source.below(5, len(role)) - 2).astype(np.int16) * 15
    fixed = begin >= 0
    begin[fixed] += own[fixed]
    end[fixed] += own[fixed]
    return begin, end


def _devices(
    source: Draw, role: npt.NDArray[np.int64], outlet: npt.NDArray[np.int64], outlets: int, drawn: dict[str, float]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Everybody's device and every device's clock. The first ``4 * outlets`` are shared: two computers, two handhelds."""
    count = len(role)
    own = 4 * outlets + np.arange(count)
    carried = (role == rows.COURIER) | (role == rows.SORTER)
    shared = carried & (unit(source, count) < drawn["shared_handhelds"])
    at_counter = (role == rows.CLERK) | (role == rows.OWNER)
    either = source.below(2, count)
    device = np.where(shared, 4 * outlet + 2 + either, np.where(at_counter, 4 * outlet + either, own))
    clocks = 4 * outlets + count
    skew = source.below(2 * _SKEW_S * 1_000_000, clocks) - _SKEW_S * 1_000_000
    u, sign = unit(source, clocks), 2 * source.below(2, clocks) - 1
    minutes = sign * (60 + source.below(15 * 60, clocks)) * 1_000_000
    hours = sign * (1 + source.below(4, clocks)) * 3_600_000_000
    skew = np.where(u < drawn["clock_minutes"], minutes, skew)
    skew = np.where(u > 1 - drawn["clock_hours"], hours, skew)
    return device.astype(np.int32), skew.astype(np.int64)
