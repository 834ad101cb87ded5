"""Strategies that try numbers: waybill numbers one by one or in no order, phones from a list, and stolen or rented accounts.

How a walk is hidden, by knowledge level: naive it asks for every number, one a second; who knows rules leaves out numbers and
asks at a hand's pace in the shift; who knows everything takes blocks of its own outlet, in no order.
"""

from __future__ import annotations

import numpy as np

from parcelveil.simulate.attack.agent import HAND, SCRIPT, Agent, Codes, Ints, evening, paced
from parcelveil.simulate.attack.dice import some, uniform
from parcelveil.simulate.attack.sight import DAY, HOUR, Sight
from parcelveil.simulate.carrier.day import Acts
from parcelveil.simulate.carrier.rows import API, NOTFOUND, OK, PARTNER, SEARCH, WEB, AccessRows
from parcelveil.simulate.draw import Draw

#: Numbers of a block.
BLOCK = 1000
#: Share of phones of a bought list that belong to no parcel under way.
_STALE = 0.35


def _blocks(agent: Agent, sight: Sight, draw: Draw, count: int) -> Ints:
    """First numbers of ``count`` blocks worth trying, in order: of level 3 those that its own outlet collects for.

    Numbers that an attacker knows are those of parcels that pass by, so it knows blocks that are in use: every other one is
    not used up.
    """
    block = sight.day.issued
    at = np.flatnonzero(block.used >= 100)
    if agent.knowledge == 3:
        own = at[block.outlet[at] == int(sight.day.outlet[agent.accounts[0]])]
        at = own if len(own) >= count else at
    if not len(at):
        return np.empty(0, np.int64)
    recent = at[np.argsort(-block.start[at], kind="stable")][: max(len(at) // 3, count)]
    ending = recent[block.used[recent] < BLOCK]
    ending = ending[some(draw, len(ending), count // 2)]
    rest = np.setdiff1d(recent, ending)
    return np.sort(block.start[np.concatenate([ending, rest[some(draw, len(rest), count - len(ending))]])])


def _tried(
    agent: Agent, sight: Sight, account: int, serials: Ints, times: Ints, draw: Draw, **more: object
) -> AccessRows:
    """Looks at numbers that exist or not."""
    there = sight.exists(serials)
    rows: AccessRows = agent.looks(
        sight,
        account,
        times,
        draw,
        waybill=serials,
        subject=np.where(there, sight.subject_of(serials), -1),
        outcome=np.where(there, OK, NOTFOUND),
        fields=np.where(there, 7, 0),
        channel=API if int(sight.world.role[account]) == PARTNER else WEB,
        **more,  # type: ignore[arg-type]
    )
    return rows


def _hours(agent: Agent, sight: Sight, account: int, count: int, draw: Draw) -> Ints:
    """When a walk runs: naive at any hour without a stop, else by hand within the shift."""
    if agent.knowledge == 0:
        begin = sight.day.midnight + int(uniform(draw, 1)[0] * DAY * 0.7)
        return paced(draw, begin, count, SCRIPT, spread=0.1)
    begin, end = sight.shift(account)
    begin += int(uniform(draw, 1)[0] * HOUR)
    times = paced(draw, begin, count, HAND / 2 if agent.knowledge == 1 else HAND, spread=0.6)
    return times[times < end]


def sequential(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """The next number, and the next; behind the last number issued of a block it goes on for a while."""
    account = int(agent.accounts[0])
    if agent.knowledge and not agent.works(sight, account):
        return Acts()
    count = agent.wish(draw)
    times = _hours(agent, sight, account, count, draw)
    starts = _blocks(agent, sight, draw, len(times) // 600 + 2)
    if not len(times) or not len(starts):
        return Acts()
    step = 1 if agent.knowledge == 0 else 1 + draw.below(2 + agent.knowledge, len(times))
    walk = np.cumsum(np.broadcast_to(step, len(times))) + int(draw.below(60, 1)[0])
    # Its blocks are used up to somewhere: from 50 numbers behind the last one it jumps to the next block.
    used = np.minimum(_used(sight, starts) + 50, BLOCK)
    edges = np.cumsum(used)
    walk = walk % int(edges[-1])
    at = np.searchsorted(edges, walk, side="right")
    serials = starts[at] + walk - (edges[at] - used[at])
    return Acts(access=_tried(agent, sight, account, serials, times, draw))


def _used(sight: Sight, starts: Ints) -> Ints:
    block = sight.day.issued
    order = np.argsort(block.start, kind="stable")
    return np.asarray(block.used[order[np.searchsorted(block.start[order], starts)]].astype(np.int64))


def in_block(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Numbers of a few blocks in no order, most of each block in the end."""
    account = int(agent.accounts[0])
    if agent.knowledge and not agent.works(sight, account):
        return Acts()
    times = _hours(agent, sight, account, agent.wish(draw), draw)
    spread = (1, 2, 4, 12)[agent.knowledge]
    starts = _blocks(agent, sight, draw, max(len(times) * spread // 800, spread))
    if not len(starts):
        return Acts()
    pick = some(draw, len(starts) * BLOCK, len(times))
    serials = starts[pick // BLOCK] + pick % BLOCK
    return Acts(access=_tried(agent, sight, account, serials, times[: len(serials)], draw))


def distributed(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """One walk, number by number in turn among accounts that share a device (levels 0 and 1) or only a network."""
    parts = []
    wishes = [agent.wish(draw) for _ in agent.accounts]
    starts = _blocks(agent, sight, draw, max(sum(wishes) // 700, 1) + agent.knowledge)
    if not len(starts) or not sum(wishes):
        return Acts()
    offset = int(draw.below(100, 1)[0])
    whole = np.arange(sum(wishes)) + offset
    if agent.knowledge >= 2:
        whole = some(draw, len(starts) * BLOCK, sum(wishes))
    serials = starts[whole // BLOCK % len(starts)] + whole % BLOCK
    owner = draw.below(len(agent.accounts), len(serials))
    for place, account in enumerate(agent.accounts.tolist()):
        if agent.knowledge and not agent.works(sight, account):
            continue  # who is away leaves its numbers out
        mine = serials[owner == place]
        times = _hours(agent, sight, account, len(mine), draw)
        device = int(agent.devices[0 if agent.knowledge < 2 else place])
        # The one who knows everything works at home, each at his own.
        network = int(agent.networks[place if agent.knowledge == 3 else 0])
        mine = mine[: len(times)]
        parts.append(_tried(agent, sight, account, mine, times, draw, device=device, network=network))
    return Acts(access=AccessRows.join(parts))


def by_phone(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Searches for the phones of a list: some have parcels under way, one hit each, and some have none."""
    account = int(agent.accounts[0])
    if agent.knowledge and not agent.works(sight, account):
        return Acts()
    count = agent.wish(draw)
    stale = int((uniform(draw, count) < _STALE).sum())
    at = agent.targets(sight, account, count - stale, draw)
    wanted = np.unique(sight.parcels.subject[at])
    searches = np.concatenate([wanted, np.full(stale, -1, np.int64)])
    searches = searches[some(draw, len(searches), len(searches))]
    times = agent.times(sight, account, len(searches), draw, pace=HAND * 2)
    searches = searches[: len(times)]
    hits, which = sight.of_subjects(searches[searches >= 0])
    nothing = times[searches < 0]
    found = agent.looks(sight, account, times[searches >= 0][which], draw, at=hits, action=SEARCH)
    missed = agent.looks(
        sight, account, nothing, draw, action=SEARCH, waybill=-1, subject=-1, outcome=NOTFOUND, records=1, fields=0
    )
    return Acts(access=AccessRows.join([found, missed]))


def rented(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Somebody else in the account, beside its holder: another device and network, parcels of other regions.

    Naive at any hour by a script; level 1 by hand, half in the shift and half in the evening; level 2 in the shift; level 3
    with the holder's own handheld, and for parcels of the outlet.
    """
    account = int(agent.accounts[0])
    at = agent.targets(sight, account, agent.wish(draw), draw, far=True)
    count = len(at)
    if agent.knowledge == 0:
        begin = sight.day.midnight + int((0.3 + 0.6 * uniform(draw, 1)[0]) * DAY)
        times = paced(draw, begin, count, SCRIPT * 3)
    elif agent.knowledge == 1 or not agent.works(sight, account):
        late = int((uniform(draw, count) < 0.5).sum())
        early = (
            agent.times(sight, account, count - late, draw) if agent.works(sight, account) else np.empty(0, np.int64)
        )
        times = np.concatenate([early, evening(sight, account, late, draw)])
    else:
        times = agent.times(sight, account, count, draw)
    at = at[: len(times)]
    if agent.knowledge == 3:
        return Acts(access=agent.looks(sight, account, times, draw, at=at))
    device, network = int(agent.devices[0]), int(agent.networks[0])
    return Acts(access=agent.looks(sight, account, times, draw, at=at, device=device, network=network))


def phished(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """A stolen password behind proxies: each few requests another network, and for the web another device too."""
    account = int(agent.accounts[0])
    at = agent.targets(sight, account, agent.wish(draw), draw)
    count = len(at)
    if agent.knowledge == 0:
        begin = sight.day.midnight + int(uniform(draw, 1)[0] * DAY * 0.8)
        times = paced(draw, begin, count, SCRIPT * 2)
    else:
        begin, end = sight.shift(account)
        times = np.sort(begin + (uniform(draw, count) * (end - begin)).astype(np.int64))
    session = np.arange(count) // (5 + 10 * agent.knowledge) + int(draw.below(1000, 1)[0])
    network: Codes = agent.networks[session % len(agent.networks)]
    device: Codes = agent.devices[session % len(agent.devices)]
    return Acts(access=agent.looks(sight, account, times, draw, at=at, device=device, network=network, channel=WEB))


def needs(agent: Agent) -> tuple[int, int]:
    """How many new devices and networks an attack has to get before it begins."""
    accounts = len(agent.accounts)
    return {
        "distributed": (accounts, accounts),
        "rented": (1, 1),
        "phished": (4, (15, 40, 60, 100)[agent.knowledge]),
    }.get(agent.attack.strategy.name, (0, 0))
