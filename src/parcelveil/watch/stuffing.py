"""Who tries passwords by the list: from one network, with one agent from many, or against one account.

::

    found = stuffing(logins, usual)                  # logins: Requests of kind login; usual: UsualLogins
    found.hits                                       # of networks, agents, all, accounts: from which login on
    found.marked                                     # accounts that were got: (user, position, failures before it)

A pair of account and network is **open** from its first failure until its first success, and never if the account has
logged in from that network on an earlier day. People who mistype are open for a minute; a list leaves hundreds open. The
number of open pairs is compared with the number of accounts that have logged in (of the network, the agent, or all), times the
share that stays open on usual days. So an office behind one address, or a mobile carrier's gateway, may have as many
failures as it has people; it is told only when failures do not resolve. A failure without an account's name is a pair of
its own.

**Marked** is an account with a success from a network that is new to it, after failures from that network, once the network was
told; or, while an agent or all are told, from a network from which nobody had logged in before.

**It cannot see** a thief who has the right password at the first attempt (see :mod:`~parcelveil.watch.devices`), nor a list
tried so slowly that no day has more open pairs than others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.watch.requests import Float, Int64, Requests, firsts, running
from parcelveil.watch.scraping import Hit, after, beyond, earliest

#: Open pairs that are worth a word, and failures against one account.
FEWEST, FEWEST_ACCOUNT = 8, 30
#: Open pairs that a network may have before its accounts count.
ALLOWED = 0.5
_NETWORK_SIZE, _ACCOUNT_SIZE = 2.0, 1.0
#: Failures in a network, with none ever having logged in from it, that mark a success there while a list is going on.
_BEFORE = 1


class UsualLogins(NamedTuple):
    """By code the share of accounts that stay open on usual days; pairs of account and network that have logged in."""

    open_network: Float
    open_agent: Float
    open_all: float
    size: float
    pairs: Int64  # network << 32 | user, ascending
    networks: npt.NDArray[np.bool_]  # by network code: somebody has logged in from it on an earlier day
    known: npt.NDArray[np.bool_]  # named as known, never told


class Marked(NamedTuple):
    """An account that was got: ``at``, its success; ``told``, when that could be said (both positions)."""

    user: int
    at: int
    told: int
    failures: int


class Found(NamedTuple):
    """``hits`` of the levels network, agent, all and account; ``marked``."""

    hits: list[Hit]
    marked: list[Marked]


def failed(logins: Requests) -> npt.NDArray[np.bool_]:
    """Refused attempts."""
    return (logins.status >= 400) & (logins.status < 500)


def succeeded(logins: Requests) -> npt.NDArray[np.bool_]:
    """Attempts that let an account in."""
    return (logins.status < 400) & (logins.user >= 0)


def opened(logins: Requests, pairs: Int64) -> tuple[Int64, npt.NDArray[np.bool_]]:
    """Of each row +1 where it opens a pair, -1 where it closes one, else 0; and where an account's first success is."""
    bad, good = failed(logins), succeeded(logins)
    nameless = logins.user < 0
    user = np.where(nameless, (1 << 31) + np.arange(len(nameless)), logins.user)
    pair = (logins.network << 32) | user
    known = np.isin(pair, pairs)
    wins, losses = running(pair, good), running(pair, bad)
    opens = bad & (losses == 1) & (wins == 0) & ~known
    # the first success closes what was opened before it
    closes = good & (wins == 1) & (losses > 0) & ~known
    return opens.astype(np.int64) - closes, good & firsts(logins.network, logins.user, good.astype(np.int64))


def stuffing(logins: Requests, usual: UsualLogins) -> Found:
    """Everything of a day, the first of each network, agent and account."""
    ours = logins.take(np.flatnonzero(~np.append(usual.known, False)[logins.network]))
    origin = np.flatnonzero(~np.append(usual.known, False)[logins.network])
    place = np.arange(len(ours.time))
    hits: list[Hit] = []
    nobody = np.zeros(len(ours.time), np.int64)
    for level, key, share, size, fewest, allowed in (
        ("network", ours.network, usual.open_network, _NETWORK_SIZE, FEWEST, ALLOWED),
        ("agent", ours.agent, usual.open_agent, usual.size, 2 * FEWEST, 2.0),
        ("all", nobody, np.array([usual.open_all]), usual.size, 3 * FEWEST, 4.0),
    ):
        part, keys = ours.take(place), key[place]
        change, good = opened(part, usual.pairs)
        mean = np.append(share, usual.open_all)[keys] * running(keys, good) + allowed
        new = beyond(level, keys, running(keys, change), mean, size, fewest, 1.5)
        new = [hit._replace(at=int(place[hit.at])) for hit in new]
        hits += new
        place = place[~after(keys, place, {hit.key: hit.at for hit in new})]
        if not len(place):
            break
    hits = [*earliest(hits), *_accounts(ours, usual)]
    marked = _marked(ours, usual, hits)
    return Found(
        sorted((hit._replace(at=int(origin[hit.at])) for hit in hits), key=lambda hit: (hit.at, hit.level, hit.key)),
        [mark._replace(at=int(origin[mark.at]), told=int(origin[mark.told])) for mark in marked],
    )


def _accounts(logins: Requests, usual: UsualLogins) -> list[Hit]:
    """Accounts against which many passwords are tried, from networks that are not theirs."""
    strange = failed(logins) & (logins.user >= 0) & ~np.isin((logins.network << 32) | logins.user, usual.pairs)
    k = running(logins.user, strange)
    return beyond("account", logins.user, k, np.full(len(k), 1.0), _ACCOUNT_SIZE, FEWEST_ACCOUNT)


def _marked(logins: Requests, usual: UsualLogins, hits: list[Hit]) -> list[Marked]:
    """The accounts that were got while somebody was told of."""
    pair = (logins.network << 32) | np.maximum(logins.user, 0)
    failures = running(logins.network, failed(logins))
    theirs = succeeded(logins) & ~np.isin(pair, usual.pairs) & (failures >= _BEFORE) & (logins.network >= 0)
    nobodys = theirs & ~np.append(usual.networks, False)[logins.network]
    result: dict[int, Marked] = {}
    for hit in sorted(hits, key=lambda hit: hit.at):
        if hit.level == "network":
            got = theirs & (logins.network == hit.key)
        elif hit.level == "agent":
            got = nobodys & (logins.agent == hit.key)
        elif hit.level == "all":
            got = nobodys
        else:
            got = theirs & (logins.user == hit.key)
        for at in np.flatnonzero(got).tolist():
            mark = Marked(int(logins.user[at]), at, max(at, hit.at), int(failures[at]))
            if mark.user not in result or mark.told < result[mark.user].told:
                result[mark.user] = mark
    return sorted(result.values(), key=lambda mark: (mark.told, mark.user))
