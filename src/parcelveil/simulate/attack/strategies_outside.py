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
from parcelveil.simulate.carrier.web import AGENTS
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
    if sight.day.web.count:  # digits as all lines of the day have them
        return times // 1_000_000 * 1_000_000 + one_of(draw, sight.day.web["time"], count) % 1_000_000
    return np.asarray(times)


def _addresses(agent: Agent, sight: Sight, count: int, draw: Draw) -> Ints:
    """An address a request: from level 1 on they take turns."""
    network = np.asarray(sight.world.names.network.number(agent.networks))
    host = 2 + (network >> 8) % 250  # one machine a network
    turn = np.arange(count) if agent.knowledge else np.zeros(count, np.int64)
    if agent.knowledge >= 2:
        turn = draw.below(len(network), count)
    return np.asarray(network[turn % len(network)] + host[turn % len(network)])


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
    address = _addresses(agent, sight, count, draw)
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
    account = np.where(known, draw.below(accounts, count), -1)
    fits = known & (uniform(draw, count) < _FITS / _KNOWN)
    fits &= sight.world.first_day[account] <= sight.day.number
    fits &= sight.world.last_day[account] >= sight.day.number
    address = _addresses(agent, sight, count, draw)
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
    count, keys = agent.wish(draw), sight.day.keys
    if count < 1 or not keys.count:
        return Acts()
    system = int(keys["system"][draw.below(keys.count, 1)[0]])
    rows = keys.take(keys["system"] == system)
    if agent.knowledge == 0:
        at = some(draw, rows.count, 1)
        parts = np.array([count])
    else:
        chances = rows["values"].astype(np.float64) + 1.0
        if agent.knowledge < 3:
            chances = np.ones(rows.count)
        wanted = min((1, 4, 8, 24)[agent.knowledge], rows.count)
        at = some(draw, rows.count, wanted)
        parts = np.floor(count * chances[at] / chances[at].sum()).astype(np.int64)
    agent.taken += int(parts.sum())
    return Acts(keys=KeyRows.of(len(at), time=rows["time"][at], system=system, values=parts))


def networks(agent: Agent) -> int:
    """How many networks an attack from outside comes through."""
    sizes = {"scraper": SCRAPERS, "stuffing": STUFFERS}.get(agent.attack.strategy.name)
    return sizes[agent.knowledge] if sizes else 0
