"""The calendar: how busy each day is, and what goes wrong on it, drawn once a seed.

::

    calendar = plan(seed, drawn, days=28, first=20_697, stations=400, regions=20, accounts=6_000)
    calendar.demand[3 + WARM]                          # of day 3, against a usual day
    [outage for outage in calendar.outages if outage.day == 3]

Peak: a sales festival, one day with the drawn factor and three that fall off. Reorganisation: some stations are merged into
a neighbour, others give areas to it. Outage: a station, or once a whole region, writes on paper for some hours; what was
scanned then is lost or entered later, while looks go on. A run too short for an incident has none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.draw import Draw

#: Days that are made before the first one, so that parcels are under way when it begins.
WARM = 6
#: Public holidays, month and day (assumed to be those of mainland China with fixed dates).
HOLIDAYS = {(1, 1), (5, 1), (5, 2), (5, 3), (10, 1), (10, 2), (10, 3), (10, 4)}
#: Demand by weekday from Monday, mean 1. Measured: purchases by weekday of 999 public orders.
WEEKDAY = (1.10, 0.96, 1.13, 1.24, 0.99, 0.72, 0.86)
_HOLIDAY = 0.6
_PEAK_TAIL = (0.65, 0.45, 0.25)
_PEAK_LEAST_DAYS, _REORGANISATION_LEAST_DAYS, _REGION_LEAST_DAYS = 6, 10, 5


class Outage(NamedTuple):
    """Minutes of the local day; ``region`` -1: of the station ``outlet`` only. ``lost``: share of scans never entered."""

    day: int
    outlet: int
    region: int
    start: int
    end: int
    lost: float


class Move(NamedTuple):
    """Station ``old`` gives a share of its areas to ``new``; a share of 1 is a merger, and its people go too."""

    old: int
    new: int
    share: float


class Burst(NamedTuple):
    """Something that makes many looks at once: ``place`` is a station (reprint) or decides the merchant (complaints)."""

    day: int
    place: int
    size: int


@dataclass(frozen=True)
class Calendar:
    """``demand`` has :data:`WARM` days before day 0. A day that does not happen is -1."""

    demand: npt.NDArray[np.float64]
    holiday: npt.NDArray[np.bool_]
    weekday: npt.NDArray[np.int8]
    peak: int
    reorganisation: int
    moves: tuple[Move, ...]
    outages: tuple[Outage, ...]
    waves: tuple[Burst, ...]
    reprints: tuple[Burst, ...]

    def busy(self, day: int) -> bool:
        """The days on which everybody is needed: the peak and the three after it, when its parcels arrive."""
        return self.peak >= 0 and self.peak <= day <= self.peak + 3


def _unit(source: Draw, count: int) -> npt.NDArray[np.float64]:
    return source.below(1 << 32, count) / float(1 << 32)


def _neighbour(station: int, region: npt.NDArray[np.int32]) -> int:
    """Another station of the same region, or -1."""
    for other in (station + 1, station - 1):
        if 0 <= other < len(region) and region[other] == region[station]:
            return other
    return -1


def plan(
    seed: int, drawn: dict[str, float], *, days: int, first: int, station_region: npt.NDArray[np.int32], accounts: int
) -> Calendar:
    """The calendar of a carrier whose stations lie in ``station_region``; ``first`` counts days from 1970-01-01."""
    source = Draw(seed, 11)
    stations, regions = len(station_region), int(station_region.max()) + 1
    numbers = np.arange(-WARM, days)
    dates = [date(1970, 1, 1) + timedelta(days=first + int(number)) for number in numbers]
    weekday = np.array([day.weekday() for day in dates], np.int8)
    holiday = np.array([(day.month, day.day) in HOLIDAYS for day in dates])
    demand = np.array(WEEKDAY)[weekday] * np.where(holiday, _HOLIDAY, 1.0) * (0.92 + 0.16 * _unit(source, len(numbers)))

    u = _unit(source, 4)
    reorganisation = int(days * (0.35 + 0.15 * u[0])) if days >= _REORGANISATION_LEAST_DAYS else -1
    peak = -1
    if days >= _PEAK_LEAST_DAYS:
        peak = int(days * (0.55 + 0.2 * u[1])) if days >= _REORGANISATION_LEAST_DAYS else days // 2
        peak = min(peak + (peak == reorganisation), days - 2)
        demand[WARM + peak] = drawn["peak"]
        for after, share in enumerate(_PEAK_TAIL, 1):
            if peak + after < days:
                demand[WARM + peak + after] += (drawn["peak"] - 1) * share

    moves: list[Move] = []
    if reorganisation >= 0:
        chosen = np.unique(source.below(stations, max(2, round(stations * 0.06))))
        taken: set[int] = set()
        for turn, old in enumerate(chosen.tolist()):
            new = _neighbour(old, station_region)
            if new >= 0 and not {old, new} & taken:
                taken |= {old, new}
                moves.append(Move(old, new, 1.0 if turn % 2 == 0 else 0.3))

    outages: list[Outage] = []
    hits = np.flatnonzero(_unit(source, stations * days) < drawn["outages"])
    for hit, a, b in zip(hits.tolist(), _unit(source, len(hits)), _unit(source, len(hits)), strict=True):
        start = 420 + int(a * 480)
        outages.append(
            Outage(hit // stations, hit % stations, -1, start, start + 90 + int(b * 420), 0.2 + 0.5 * float(a))
        )
    if days >= _REGION_LEAST_DAYS:
        start = 420 + int(u[2] * 240)
        region = int(source.below(regions, 1)[0])
        outages.append(Outage(int(days * (0.75 + 0.2 * u[3])), -1, region, start, start + 300, 0.35))
    elif not outages:
        outages.append(Outage(int(days * u[3]), int(source.below(stations, 1)[0]), -1, 480, 840, 0.4))

    waves: list[Burst] = []
    expected = max(drawn["complaint_waves"] * accounts / 1000, 0.1)
    for hit in np.flatnonzero(_unit(source, days * 16) < expected / 16).tolist():
        waves.append(Burst(hit // 16, int(source.below(1 << 20, 1)[0]), 40 + int(source.below(260, 1)[0])))
    reprints = [
        Burst(hit // stations, hit % stations, 40 + int(source.below(260, 1)[0]))
        for hit in np.flatnonzero(_unit(source, stations * days) < drawn["bulk_reprints"]).tolist()
    ]
    return Calendar(
        demand, holiday, weekday, peak, reorganisation, tuple(moves), tuple(outages), tuple(waves), tuple(reprints)
    )
