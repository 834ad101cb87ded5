"""Strategies that make no access event: from outside over the public pages, and from inside round the interface.

The more an attacker knows, the more networks its requests come from, the fewer come from each, and the less they follow each
other in number.
"""

from __future__ import annotations

import numpy as np

from parcelveil.simulate.attack.agent import Agent, Ints, paced
from parcelveil.simulate.attack.dice import one_of, some, uniform
from parcelveil.simulate.attack.sight import DAY, HOUR, Sight
from parcelveil.simulate.carrier.day import Acts
from parcelveil.simulate.carrier.rows import LOGIN, PAGE, QUERY, KeyRows, WebRows
from parcelveil.simulate.carrier.web import AGENTS, CUSTOMERS, CUSTOMERS_BASE, SYSTEMS
from parcelveil.simulate.draw import Draw

#: Networks, by knowledge level.
SCRAPERS, STUFFERS = (1, 8, 64, 400), (1, 10, 100, 500)
#: Share of stolen pairs of account and password that fit; published figures for lists of this kind lie between 0.1 and 2 %.
_FITS = 0.005
#: Share of the names on a stolen list that are accounts here.
_KNOWN = 0.3

_SCRIPTS = [at for at, text in enumerate(AGENTS) if not text.startswith("Mozilla")]
_BROWSERS = [at for at, text in enumerate(AGENTS) if text.startswith("Mozilla")]


def _moments(agent: Agent, sight: Sight, count: int, draw: Draw) -> Ints:
    """Naive as fast as pages come, later spread over the day as people are."""
    if agent.knowledge == 0:
        begin = sight.day.midnight + int(uniform(draw, 1)[0] * DAY * 0.5)
        times = paced(draw, begin, count, min(1.0, 40_000 / max(count, 1)), spread=0.2)
    elif agent.knowledge == 1 or not sight.day.web.count:
        times = np.sort(sight.day.midnight + (uniform(draw, count) * DAY).astype(np.int64))
    else:
        shift = ((uniform(draw, count) - 0.5) * HOUR).astype(np.int64)
        times = np.sort(np.asarray(one_of(draw, sight.day.web["time"], count)) + shift)
    # A log has a day a file.
    return np.clip(times, sight.day.midnight, sight.day.midnight + DAY - 1)


def _addresses(agent: Agent, count: int, draw: Draw) -> Ints:
    """An address a request, among those that customers have: from level 1 on they take turns."""
    if "addresses" not in agent.memory:
        sizes = SCRAPERS if agent.attack.strategy.name == "scraper" else STUFFERS
        # One machine a network.
        network = some(draw, CUSTOMERS >> 8, sizes[agent.knowledge]) << 8
        agent.memory["addresses"] = CUSTOMERS_BASE + network + 1 + draw.below(254, len(network))
    addresses = np.asarray(agent.memory["addresses"])
    turn = draw.below(len(addresses), count) if agent.knowledge >= 2 else np.arange(count)
    return np.asarray(addresses[turn % len(addresses)])


def _agents(agent: Agent, addresses: Ints, draw: Draw) -> Ints:
    """Naive a script's name; later a browser's, the same for an address as long as one asks."""
    if agent.knowledge == 0 and _SCRIPTS:
        return np.full(len(addresses), _SCRIPTS[int(draw.below(len(_SCRIPTS), 1)[0])], np.int64)
    return np.array(_BROWSERS, np.int64)[addresses * 7 % len(_BROWSERS)]


def scraper(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Walks through numbers on the tracking page, a page or a query each; from level 2 on in no order."""
    count = agent.wish(draw)
    block = sight.day.issued
    live = np.flatnonzero(block.used > 0)
    if not len(live) or count < 1:
        return Acts()
    if agent.knowledge >= 2:
        pick = live[draw.below(len(live), count)]
        serials = block.start[pick] + draw.below(1000, count)
    else:
        starts = np.sort(block.start[live])
        first = agent.memory.get("next", int(draw.below(len(starts) * 1000, 1)[0]))
        walk = first + np.cumsum(1 + draw.below(1 + 2 * agent.knowledge, count))
        agent.memory["next"] = int(walk[-1]) + 1
        serials = starts[walk // 1000 % len(starts)] + walk % 1000
    there = sight.exists(serials)
    address = _addresses(agent, count, draw)
    kind = np.where(draw.chance(0.5, count), PAGE, QUERY) if agent.knowledge else np.full(count, QUERY)
    rows = WebRows.of(
        count,
        time=_moments(agent, sight, count, draw),
        ip=address,
        kind=kind,
        waybill=serials,
        status=np.where(there, 200, 404),
        size=np.where(there, _size(sight, 200, count, draw), _size(sight, 404, count, draw)),
        agent=_agents(agent, address, draw),
        mark=agent.attack.number,
    )
    agent.taken += int(there.sum())
    return Acts(web=rows)


def _size(sight: Sight, status: int, count: int, draw: Draw) -> Ints:
    """Sizes of answers as others get them."""
    found = sight.day.web["size"][sight.day.web["status"] == status]
    return np.asarray(one_of(draw, found, count)).astype(np.int64) if len(found) else np.full(count, 1500, np.int64)


def stuffing(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Tries accounts with one stolen password each. Which accounts fit is decided once an attack."""
    count, accounts = agent.wish(draw), sight.world.accounts
    if count < 1:
        return Acts()
    known = uniform(draw, count) < _KNOWN
    # Numbers of accounts that there are, and others of the same kind.
    account = np.where(known, draw.below(accounts, count), accounts + draw.below(1 << 24, count))
    fits = known & (uniform(draw, count) < _FITS / _KNOWN)
    real = np.where(known, account, 0)
    fits &= (sight.world.first_day[real] <= sight.day.number) & (sight.world.last_day[real] >= sight.day.number)
    address = _addresses(agent, count, draw)
    status = np.where(fits, 200, 401)
    size = np.where(fits, _size(sight, 200, count, draw), _size(sight, 401, count, draw))
    agent.taken += int(fits.sum())
    rows = WebRows.of(
        count,
        time=_moments(agent, sight, count, draw),
        ip=address,
        kind=LOGIN,
        account=account,
        status=status,
        size=size,
        agent=_agents(agent, address, draw),
        mark=agent.attack.number,
    )
    return Acts(web=rows)


def bypass(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Opens values at the key service: naive within an hour of the night, later in parts, last where most are opened."""
    account = int(agent.accounts[0])
    if agent.knowledge and not agent.works(sight, account):
        return Acts()
    count = agent.wish(draw)
    if count < 1:
        return Acts()
    # Hours as they are busy by the looks of the day; the system is one that opens much.
    busy = np.bincount(np.clip((sight.day.access["received"] - sight.day.midnight) // HOUR, 0, 23), minlength=24)
    if agent.knowledge == 0:
        hours, parts = draw.below(6, 1), np.array([count])
    else:
        hours = np.arange(24)
        if agent.knowledge < 3:
            begin, end = (int(edge - sight.day.midnight) // HOUR for edge in sight.shift(account))
            hours = np.arange(max(begin, 0), min(end, 23) + 1)
            hours = hours[some(draw, len(hours), 4 * agent.knowledge)]
        chances = busy[hours] + 1.0
        parts = np.floor(count * chances / chances.sum()).astype(np.int64)
    agent.taken += int(parts.sum())
    times = sight.day.midnight + hours * HOUR
    return Acts(keys=KeyRows.of(len(hours), time=times, system=SYSTEMS.index("desk"), values=parts))
