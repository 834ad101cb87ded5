"""Who walks through the public tracking page: one network, one machine in it, or many that take turns.

::

    for hit in scraping(asked, usual):              # asked: Requests; usual: Usual, what the days before were like
        hit.level, hit.key, hit.at                  # of which level, which key, and from which request on

Counted are *different numbers asked for* by people without an account, never requests: who asks thirty times for one
parcel asks once. All tests run along the day, and give the first request at which the count is beyond its null.

=========  ==========================================================================================================
unknown    numbers that do not exist, against the share that is usual: of that network (or machine), of that agent, of
           all. Typing errors are a few in a hundred, in an office as in a mobile carrier's gateway; who guesses has tens
walk       numbers one to three away from one of the last eight that the network asked for, in blocks that it has not
           asked for on other days: :data:`WALKED` of them. For this one no share is needed, so a merchant who is new, and polls
           more than that of his own numbers at the first time, is told once; his network can be named as known
relay      numbers one to three away from one of the last sixteen that *another network* asked for (of one agent, or of
           all), against the usual share: rotating proxies that walk through numbers together
block      numbers of one block asked for by one agent from :data:`NETWORKS` networks or more, against what the block's
           other visitors and the agent's other blocks let expect: proxies that take a block in any order. A promotion
           raises a block with all agents, and a popular agent is so in all blocks
=========  ==========================================================================================================

**It cannot see** a scraper that asks only for numbers it knows to exist, from as many networks as it has numbers, with the agents
and at the times of customers: as far as the log goes those are customers. What the page shows is masked for that reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.watch.requests import Flags, Float, Int64, Requests, crossing, firsts, near_before, running
from parcelveil.watch.tails import nominal

#: ``-log10 p`` beyond which a count is told: 1e-9 for each of 100,000 networks a day, each judged at every request, is less
#: than one false alarm in three years.
SURE = 9.0
#: So many unknown numbers at least, and so many times the usual.
FEWEST, TIMES = 12, 2.0
WALKED = 2000
NETWORKS = 5
BLOCK = 1000
_STEP, _BACK, _RELAY_BACK = 3, 8, 16
#: In a block: so many at least.
_FEWEST_BLOCK = 30
#: Sizes of the negative binomials: how much one network's share of typing errors, or one block's agents, differ from
#: another's. Those of agents and of all are learned (:class:`Usual`).
NETWORK_SIZE, _BLOCK_SIZE = 8.0, 2.0
#: Statuses that say that there is no such parcel.
UNKNOWN = (404, 410)

LEVELS = ("network", "address", "agent", "all")


class Usual(NamedTuple):
    """What is usual, by code: shares of unknown numbers and of relayed ones, and sizes; blocks that networks asked for."""

    unknown_network: Float  # by network code
    unknown_agent: Float  # by agent code
    unknown_all: float
    relay_agent: Float
    relay_all: float
    size: float  # of agents and of all
    blocks: Int64  # network << 40 | block, ascending
    known: Flags  # by network code: named as known, never told


class Hit(NamedTuple):
    """``level``: of :data:`LEVELS`; ``key``: code of the network or agent, 0 for all; ``at``: position in the requests."""

    level: str
    key: int
    at: int
    value: float
    expected: float
    score: float


def relevant(asked: Requests) -> Flags:
    """Requests for a parcel by nobody that has an account, which the server answered."""
    return (asked.serial >= 0) & (asked.user < 0) & (asked.status < 500) & (asked.kind <= 1)


def scraping(asked: Requests, usual: Usual) -> list[Hit]:
    """Everything of a day, the first of each network and agent. ``asked``: rows that are :func:`relevant`."""
    place = np.flatnonzero(~np.append(usual.known, False)[asked.network])
    found: list[Hit] = []
    for level, key, tests in (
        ("network", asked.network, (_unknown_of_networks, _walks)),
        ("agent", asked.agent, (_unknown_of_agents, _relays_of_agents, _blocks)),
        ("all", np.zeros(len(asked.time), np.int64), (_all,)),
    ):
        part = asked.take(place)
        hits = earliest(hit._replace(at=int(place[hit.at])) for test in tests for hit in test(part, usual))
        found += hits
        # what follows after somebody was told of is not counted a second time, for agents or for all
        place = place[~after(key[place], place, {hit.key: hit.at for hit in hits if hit.level == level})]
        if not len(place):
            break
    return sorted(found, key=lambda hit: (hit.at, hit.level, hit.key))


def earliest(hits: Iterable[Hit]) -> list[Hit]:
    """The first hit of each level and key."""
    result: dict[tuple[str, int], Hit] = {}
    for hit in hits:
        name = hit.level, hit.key
        if name not in result or hit.at < result[name].at:
            result[name] = hit
    return list(result.values())


def after(key: Int64, place: Int64, since: dict[int, int]) -> Flags:
    """Which rows (at ``place``) come after the row at which their key was told."""
    told = np.zeros(len(key), np.bool_)
    for one, at in since.items():
        told |= (key == one) & (place > at)
    return told


def beyond(
    level: str, key: Int64, k: Int64, mean: npt.NDArray[np.floating], size: float, fewest: int, times: float = TIMES
) -> list[Hit]:
    """The first row of each key at which ``k`` is beyond a negative binomial of ``mean``."""
    worth = (k >= fewest) & (k >= times * mean) & (key >= 0)
    at = np.flatnonzero(worth)
    score = np.zeros(len(k))
    score[at] = nominal(k[at], mean[at], size)
    keys, rows = crossing(key, score >= SURE)
    return [
        Hit(level, int(one), int(row), float(k[row]), float(mean[row]), float(score[row]))
        for one, row in zip(keys.tolist(), rows.tolist(), strict=True)
    ]


def _unknown(asked: Requests, key: Int64, *, spread: bool = False) -> tuple[Int64, Int64]:
    """Different numbers, and of them unknown ones, that each key has asked for up to each row.

    With ``spread`` no network counts for more than :data:`FEWEST` unknown ones: what one does is told of that one.
    """
    new = firsts(key, asked.serial)
    unknown = new & np.isin(asked.status, UNKNOWN)
    if spread:
        unknown &= running(asked.network, unknown) <= FEWEST
    return running(key, new), running(key, unknown)


def _unknown_of_networks(asked: Requests, usual: Usual) -> list[Hit]:
    """By network, and by machine within it: a mobile carrier's network has thousands of people."""
    share = np.append(usual.unknown_network, usual.unknown_all)[asked.network]
    hits = []
    for key in (asked.network, np.unique(asked.address, return_inverse=True)[1].astype(np.int64)):
        n, k = _unknown(asked, key)
        hits += beyond("network", key, k, share * n, NETWORK_SIZE, FEWEST)
    hits = [hit._replace(key=int(asked.network[hit.at])) for hit in hits]
    return [hit for hit in hits if hit.key >= 0]


def _walks(asked: Requests, usual: Usual) -> list[Hit]:
    new = firsts(asked.network, asked.serial) & (asked.network >= 0)
    places = np.flatnonzero(new)
    network, serial = asked.network[places], asked.serial[places]
    strange = ~np.isin(network << 40 | serial // BLOCK, usual.blocks)
    steps = near_before(network, serial, None, back=_BACK, distance=_STEP) & strange
    walked, n = running(network, steps), running(network, np.ones(len(network), np.bool_))
    keys, rows = crossing(network, (walked >= WALKED) & (2 * walked >= n))
    return [
        Hit("network", int(key), int(places[row]), float(walked[row]), 0.0, SURE)
        for key, row in zip(keys.tolist(), rows.tolist(), strict=True)
    ]


def _unknown_of_agents(asked: Requests, usual: Usual) -> list[Hit]:
    n, k = _unknown(asked, asked.agent, spread=True)
    return beyond("agent", asked.agent, k, usual.unknown_agent[asked.agent] * n, usual.size, FEWEST)


def _relays_of_agents(asked: Requests, usual: Usual) -> list[Hit]:
    new, near = relays(asked, asked.agent)
    mean = usual.relay_agent[asked.agent] * running(asked.agent, new)
    return beyond("agent", asked.agent, running(asked.agent, near), mean, usual.size, FEWEST, 3.0)


def _all(asked: Requests, usual: Usual) -> list[Hit]:
    """All together: only what the size that was learned leaves no doubt of, and a fair effect."""
    nobody = np.zeros(len(asked.time), np.int64)
    n, k = _unknown(asked, nobody, spread=True)
    hits = beyond("all", nobody, k, usual.unknown_all * n, usual.size, 2 * FEWEST, 1.3)
    new, near = relays(asked, nobody)
    mean = usual.relay_all * running(nobody, new)
    return [*hits, *beyond("all", nobody, running(nobody, near), mean, usual.size, 2 * FEWEST, 2.0)]


def relays(asked: Requests, key: Int64) -> tuple[Flags, Flags]:
    """The first request for each number of each key; of them those next to what another network has just asked for."""
    new = firsts(key, asked.serial)
    at = np.flatnonzero(new)
    near = np.zeros(len(new), np.bool_)
    near[at] = near_before(key[at], asked.serial[at], asked.network[at], back=_RELAY_BACK, distance=_STEP)
    return new, near


def _blocks(asked: Requests, usual: Usual) -> list[Hit]:  # noqa: ARG001 - a test like the others
    """Blocks that one agent asks for from many networks, beyond what block and agent let expect."""
    block = asked.serial // BLOCK
    pair = (block << 24) | asked.agent
    new = firsts(pair, asked.serial)
    nobody = np.zeros(len(pair), np.int64)
    k, of_block, of_agent, total = (running(key, new) for key in (pair, block, asked.agent, nobody))
    networks = running(pair, firsts(pair, asked.network))
    mean = (of_block - k + 1) * (of_agent - k + 1) / np.maximum(total - of_block - of_agent + k, 1)
    k = np.where((networks >= NETWORKS) & (3 * networks >= k), k, 0)  # a merchant's own network is one
    hits = beyond("agent", pair, k, np.maximum(mean, 0.5), _BLOCK_SIZE, _FEWEST_BLOCK, 3.0)
    return [hit._replace(key=int(asked.agent[hit.at])) for hit in hits]
