"""Where parcels go and whom they come from: areas of each route, merchants and counters.

::

    route, second, people, first, weight = areas(source, routes, couriers_a_station, drawn)
    outlet, partner, share = issuers(source, drawn, stations, partners, couriers)

An area of interest (estate, office block) belongs to one route, and a good third to another one too. Merchants are
unequally many, as in the sample day (:func:`parcelveil.simulate.parcels.merchant_shares`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.draw import Draw, quantile_table
from parcelveil.simulate.parcels import merchant_shares

_ONE = 1 << 32
#: How unequal areas are: the median is 1, and the top tenth gets about 0.6 of the parcels (measured on public routes).
_AREA_SIZE = quantile_table([1, 10, 50, 90, 99], [0.05, 0.12, 1.0, 9.0, 40.0])


def unit(source: Draw, count: int) -> npt.NDArray[np.float64]:
    """Numbers from 0 up to 1."""
    return np.asarray(source.below(_ONE, count) / float(_ONE))


def areas(
    source: Draw, routes: int, a_station: npt.NDArray[np.int64], drawn: dict[str, float]
) -> tuple[
    npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float64]
]:
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


def issuers(
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
