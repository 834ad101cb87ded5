"""Builds the world: outlets, the people at each, their accounts, devices, routes and areas, and who sends parcels.

::

    world = build(seed=7, staff=4_000, days=14, start=date(2026, 9, 1), offset_minutes=480)

About 70 % of ``staff`` are couriers, 12 % sort, 10 % serve at the counter, 4 % answer calls; the rest are owners of
franchised stations, partners, analysts and administrators. Besides ``staff`` there are accounts of people who join or
leave during the run, of those taken on for the peak, and dormant ones.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.carrier import incidents, rows
from parcelveil.simulate.carrier.naming import Names
from parcelveil.simulate.carrier.priors import parameters
from parcelveil.simulate.carrier.world import DAY_US, HUB, MINUTE_US, OFFICE, STATION, STAYS, Accounts, World
from parcelveil.simulate.draw import Draw, quantile_table
from parcelveil.simulate.parcels import merchant_shares

_ONE = 1 << 32
_LEVELS = [1, 10, 50, 90, 99]
#: How unequal stations, areas and people are: quantiles, the median being 1. Area: the top tenth gets about 0.6 of the
#: parcels (measured). Others assumed.
_STATION_SIZE = quantile_table(_LEVELS, [0.35, 0.55, 1.0, 1.7, 2.6])
_AREA_SIZE = quantile_table(_LEVELS, [0.05, 0.12, 1.0, 9.0, 40.0])
_PACE = quantile_table(_LEVELS, [0.3, 0.5, 1.0, 2.0, 3.6])
_SKEW_S = 3
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


def unit(source: Draw, count: int) -> npt.NDArray[np.float64]:
    """Numbers from 0 up to 1."""
    return source.below(_ONE, count) / float(_ONE)


def _spread(weights: npt.NDArray[np.float64], total: int, least: int) -> npt.NDArray[np.int64]:
    """``total`` in whole numbers by weight, each at least ``least`` (as far as there is enough)."""
    least = min(least, total // len(weights))
    edges = np.rint(np.cumsum(weights) / weights.sum() * (total - least * len(weights))).astype(np.int64)
    return np.diff(edges, prepend=0) + least


def build(*, seed: int, staff: int, days: int, start: date, offset_minutes: int) -> World:
    """The world of ``seed``: the same arguments give the same world."""
    drawn = parameters(seed)
    source = Draw(seed, 12)
    couriers = round(staff * 0.70)
    stations = max(2, round(couriers / drawn["couriers_a_station"]))
    regions = min(max(1, round(stations / drawn["stations_a_region"])), 31)
    calls = max(1, regions // 4)
    outlets = stations + regions + 1 + calls
    size = _STATION_SIZE[source.words(stations)]
    region = np.repeat(
        np.arange(regions, dtype=np.int32), _spread(0.5 + unit(source, regions), stations, 1)
    )
    outlet_region = np.concatenate([region, np.arange(regions), np.zeros(1), np.arange(calls)]).astype(np.int32)
    kind = np.repeat([STATION, HUB, OFFICE], [stations, regions, 1 + calls]).astype(np.int8)
    hub = np.where(kind == OFFICE, -1, stations + outlet_region).astype(np.int32)
    franchise = (unit(source, outlets) < drawn["franchised"]) & (kind == STATION)

    # People, outlet by outlet and role by role.
    owners = np.flatnonzero(franchise)
    clerks, sorters = max(stations, round(staff * 0.10)), max(regions * 2, round(staff * 0.12))
    service, analysts = max(2, round(staff * 0.04)), max(1, round(staff * 0.006))
    admins, partners = max(1, round(staff * 0.004)), max(2, round(staff * 0.008))
    couriers = max(2 * stations, staff - clerks - sorters - service - analysts - admins - partners - len(owners))
    at_hubs = max(regions * 2, round(sorters * 0.45))
    a_station = _spread(size, couriers, 2)
    parts = [
        (rows.COURIER, np.repeat(np.arange(stations), a_station)),
        (rows.CLERK, np.repeat(np.arange(stations), _spread(size, clerks, 1))),
        (rows.SORTER, np.repeat(np.arange(stations), _spread(size, max(sorters - at_hubs, 0), 0))),
        (rows.SORTER, stations + np.repeat(np.arange(regions), _spread(np.bincount(region, size, regions), at_hubs, 2))),
        (rows.OWNER, owners),
        (rows.SERVICE, stations + regions + 1 + np.arange(service) % calls),
        (rows.ANALYST, np.full(analysts, stations + regions)),
        (rows.ADMIN, np.full(admins, stations + regions)),
        (rows.PARTNER, np.full(partners, stations + regions)),
    ]
    role = np.concatenate([np.full(len(where), code) for code, where in parts])
    outlet = np.concatenate([where for _, where in parts])
    usual = len(role)

    first, first_day = (start - date(1970, 1, 1)).days, np.full(usual, -10_000)
    last_day = np.full(usual, STAYS)
    owner = np.arange(usual)
    calendar = incidents.plan(seed, drawn, days=days, first=first, station_region=region, accounts=usual)

    # Leavers and whoever takes their route; the first courier of a station stays, so that somebody always has the key.
    head = np.concatenate([[0], np.cumsum(a_station)[:-1]])
    leaving = (unit(source, couriers) < drawn["leavers"] * days / 30) & (days > 3)
    leaving[head] = False
    goes = np.flatnonzero(leaving)
    last_day[goes] = source.below(days, len(goes))
    joins = last_day[goes] + 1 + source.below(6, len(goes))
    extra = source.below(couriers, round(couriers * drawn["temporary"]) if calendar.peak >= 0 else 0)
    asleep = source.below(usual, max(1, round(usual * drawn["dormant"])))
    asleep = asleep[role[asleep] <= rows.SERVICE]
    double = np.flatnonzero((role == rows.CLERK) & franchise[outlet] & (unit(source, usual) < drawn["two_accounts"]))
    more = np.concatenate([goes, extra, asleep, double])
    temporary = np.zeros(usual + len(more), np.bool_)
    temporary[usual + len(goes) :][: len(extra)] = True
    first_day = np.concatenate(
        [first_day, joins, np.full(len(extra), calendar.peak - 1), np.full(len(asleep) + len(double), -10_000)]
    )
    last_day = np.concatenate(
        [
            last_day,
            np.full(len(goes), STAYS),
            np.full(len(extra), calendar.peak + 4),
            -20 - source.below(300, len(asleep)),
            np.full(len(double), STAYS),
        ]
    )
    role, outlet = np.concatenate([role, role[more]]), np.concatenate([outlet, outlet[more]])
    owner = np.concatenate([owner, usual + np.arange(len(more) - len(double)), double])
    count = len(role)

    begin, end = _shifts(source, role, kind[outlet] == HUB)
    device, device_skew = _devices(source, role, outlet, outlets, drawn)
    outlet_network = np.arange(outlets)
    mobile = outlets + outlet_region[outlet] * 6 + source.below(6, count)
    network = np.where(role == rows.PARTNER, outlets + regions * 6 + np.arange(count), outlet_network[outlet])
    out = (role == rows.COURIER) | (role == rows.OWNER)
    opened = (first - 30 - source.below(1_500, count)) * DAY_US
    opened = np.where(first_day > -10_000, (first + first_day) * DAY_US, opened) + (9 * 60 - offset_minutes) * MINUTE_US
    opened += source.below(8 * 3600, count) * 1_000_000
    # Passwords and handhelds are changed now and then, also while we look.
    fresh = np.maximum(opened, (first + days) * DAY_US - source.below(400, count) * DAY_US)
    changed = np.where(unit(source, count) < 0.8, fresh, opened)
    told = (last_day < STAYS) & (last_day >= 0) & ~temporary & (unit(source, count) < 0.7)
    leaves = np.where(told, (first + last_day) * DAY_US - offset_minutes * MINUTE_US, -1)

    account = Accounts(
        role=role.astype(np.int8),
        outlet=outlet.astype(np.int32),
        region=outlet_region[outlet],
        owner=owner.astype(np.int32),
        shift_start=begin,
        shift_end=end,
        device=device,
        network=network.astype(np.int32),
        mobile=np.where(out, mobile, network).astype(np.int32),
        first_day=first_day.astype(np.int32),
        last_day=last_day.astype(np.int32),
        opened=opened.astype(np.int64),
        changed=changed.astype(np.int64),
        leaves=leaves.astype(np.int64),
        pace=_PACE[source.words(count)],
        temporary=temporary,
    )
    aoi = _areas(source, couriers, a_station, drawn)
    issuer_outlet, issuer_partner, issuer_share = _issuers(
        source, drawn, stations, np.flatnonzero(role == rows.PARTNER), couriers
    )
    successor = np.full(couriers, -1, np.int32)
    successor[goes] = usual + np.arange(len(goes))
    low, high = drawn["lost_scans_least"], drawn["lost_scans_most"]
    return World(
        seed=seed,
        days=days,
        first=first,
        offset_us=offset_minutes * MINUTE_US,
        drawn=drawn,
        account=account,
        outlet_kind=kind,
        outlet_region=outlet_region,
        outlet_hub=hub,
        outlet_network=outlet_network.astype(np.int32),
        outlet_franchise=franchise,
        lost_share=low + (high - low) * unit(source, outlets),
        late_share=drawn["late_scanners"] * 2 * unit(source, outlets),
        names_actor=unit(source, outlets) < 0.7,
        route_station=np.repeat(np.arange(stations, dtype=np.int32), a_station),
        route_courier=np.arange(couriers, dtype=np.int32),
        route_successor=successor,
        aoi_route=aoi[0],
        aoi_second=aoi[1],
        aoi_people=aoi[2],
        aoi_first=aoi[3],
        aoi_weight=aoi[4],
        device_skew=device_skew,
        issuer_outlet=issuer_outlet,
        issuer_partner=issuer_partner,
        issuer_share=issuer_share,
        calendar=calendar,
        names=Names(seed),
        _spare={"network": int(outlets + regions * 6 + count)},
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


def _areas(
    source: Draw, routes: int, a_station: npt.NDArray[np.int64], drawn: dict[str, float]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Areas route by route: route, second route or -1, people, number of the first of them, share of the parcels."""
    a_route = round(drawn["aois_a_courier"])
    count = routes * a_route
    route = np.repeat(np.arange(routes), a_route)
    head = np.repeat(np.cumsum(a_station) - a_station, a_station)[route]
    width = np.repeat(a_station, a_station)[route]
    other = head + (route - head + 1 + source.below(np.maximum(width - 1, 1).astype(np.uint64), count)) % width
    second = np.where((unit(source, count) < drawn["second_courier"]) & (width > 1), other, -1)
    weight = _AREA_SIZE[source.words(count)]
    people = np.maximum(np.rint(drawn["people_an_aoi"] * np.sqrt(weight)), 3).astype(np.int32)
    # Routes are cut so that they hold about the same.
    a_round = np.bincount(route, weight, routes)
    weight = weight / a_round[route] * (0.75 + 0.5 * unit(source, routes))[route]
    before = np.cumsum(people, dtype=np.int64) - people
    return route.astype(np.int32), second.astype(np.int32), people, before, weight


def _issuers(
    source: Draw, drawn: dict[str, float], stations: int, partners: npt.NDArray[np.int64], couriers: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Merchants, then the counters of the stations: who collects, which partner orders, share of the parcels."""
    merchants = min(max(couriers, 40), 50_000)
    share = merchant_shares(merchants)
    # Which merchants order through a partner, so that the drawn share of the parcels does.
    order = np.argsort(source.below(_ONE, merchants), kind="stable")
    through = np.zeros(merchants, np.bool_)
    through[order[np.cumsum(share[order]) < drawn["through_partners"]]] = True
    partner = np.where(through, partners[source.below(len(partners), merchants)], -1)
    station = source.below(stations, merchants)
    counter = 0.3 + unit(source, stations)
    return (
        np.concatenate([station, np.arange(stations)]).astype(np.int32),
        np.concatenate([partner, np.full(stations, -1)]).astype(np.int32),
        np.concatenate([share * (1 - drawn["walk_in"]), counter / counter.sum() * drawn["walk_in"]]),
    )
