"""Attacks from outside, seen in web access logs: scraping of the tracking page, and lists of passwords.

::

    outside = Outside(known=("203.0.113.0/24",))        # networks of partners that may ask for all they like
    signals = outside.day(day, requests)                # a local day's rows of weblog.REQUESTS, in any order
    signals = outside.look(day, requests_so_far)        # the same without learning, while the day runs

:mod:`~parcelveil.watch.scraping` and :mod:`~parcelveil.watch.stuffing` say what is tested; this module keeps what is **usual**: of
each network and agent the share of unknown numbers, of relayed ones and of logins that stay open, blocks that a network has
asked for, accounts that have logged in from a network. Own shares are shrunk to everybody's; who was told of teaches
nothing that day; the past fades with a half-life of :data:`HALF_LIFE` days. Before there is a past, everything is judged by constants
(:data:`UNKNOWN`, :data:`RELAYED`, :data:`OPEN`), which are the upper end of what is usual.

A signal's time is that of the request by which it was sure; its ``rows`` are positions in the table of the day, of
requests of that network or agent up to then (the last :data:`~parcelveil.watch.signals.MOST_ROWS`).
Subjects are networks (kind ``network``), accounts that were got or are under attack (kind ``actor``: the account's name),
and, for what is spread over networks, the system: ``tracking agent 0123456789abcdef`` or ``tracking`` (``login …``).

Signals of the first hours of a day do not change when the rest of the day comes. Memory: about 100 bytes a network, and 8
for each block and network and each account and network that belong together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.watch.requests import LOGIN, Index, Int64, Requests, firsts
from parcelveil.watch.scraping import BLOCK, Hit, Usual, relays, relevant, scraping
from parcelveil.watch.scraping import UNKNOWN as NO_SUCH
from parcelveil.watch.shares import Shares
from parcelveil.watch.signals import MOST_ROWS, Signal
from parcelveil.watch.stuffing import Found, UsualLogins, opened, stuffing, succeeded

HALF_LIFE = 14
#: Shares that are believed before anything is known: unknown numbers, relayed numbers, accounts that stay open.
UNKNOWN, RELAYED, OPEN = 0.04, 0.02, 0.03
#: Different numbers of a day from which a network's blocks are remembered.
_MANY = 50
#: Days after which a network's block, or an account's network, is forgotten.
_FORGET = 60
_SURE = 1e-9


class Outside:
    """See the module."""

    def __init__(self, *, known: Sequence[str] = ()) -> None:
        self._networks, self._users, self._agents = Index(), Index(), Index()
        self._known = frozenset(known)
        self._unknown = Shares(UNKNOWN)
        self._unknown_agent = Shares(UNKNOWN)
        self._relayed = Shares(RELAYED)
        self._open, self._open_agent = Shares(OPEN), Shares(OPEN)
        self._blocks = _Remembered()
        self._pairs = _Remembered()

    def day(self, day: int, requests: pa.Table) -> list[Signal]:
        """The day's signals in the order of time; then the day is learned. Days ascend."""
        asked, logins = self._split(requests)
        scrapes, found = self._judged(asked, logins)
        self._learn(day, asked, logins, scrapes, found)
        return self._signals(day, asked, logins, scrapes, found)

    def look(self, day: int, requests: pa.Table) -> list[Signal]:
        """What the requests of a day so far say."""
        asked, logins = self._split(requests)
        return self._signals(day, asked, logins, *self._judged(asked, logins))

    def _split(self, requests: pa.Table) -> tuple[Requests, Requests]:
        everything = Requests.of(requests, self._networks, self._users, self._agents)
        return everything.take(relevant(everything)), everything.take(everything.kind == LOGIN)

    def _judged(self, asked: Requests, logins: Requests) -> tuple[list[Hit], Found]:
        networks, agents = len(self._networks), len(self._agents)
        known = np.array([name in self._known for name in self._networks.names], np.bool_)
        usual = Usual(
            self._unknown.of(networks), self._unknown_agent.of(agents), self._unknown_agent.everybody(),
            self._relayed.of(agents), self._relayed.everybody(), self._unknown_agent.size(), self._blocks.keys, known,
        )  # fmt: skip
        seen = np.zeros(networks, np.bool_)
        seen[self._pairs.keys >> 32] = True
        logging = UsualLogins(
            self._open.of(networks), self._open_agent.of(agents), self._open_agent.everybody(), self._open_agent.size(),
            self._pairs.keys, seen, known,
        )  # fmt: skip
        return scraping(asked, usual), stuffing(logins, logging)

    def _signals(self, day: int, asked: Requests, logins: Requests, scrapes: list[Hit], found: Found) -> list[Signal]:
        signals = [self._signal("scraping", "tracking", day, asked, hit) for hit in scrapes]
        signals += [self._signal("stuffing", "login", day, logins, hit) for hit in found.hits]
        for mark in found.marked:
            rows = np.flatnonzero(
                (logins.network == logins.network[mark.at]) & (np.arange(len(logins.time)) <= mark.at)
            )
            signals.append(
                Signal("actor", str(self._users.names[mark.user]), "stuffing", int(logins.time[mark.told]), day,
                       float(mark.failures), 0.0, _SURE, _SURE, logins.row[rows][-MOST_ROWS:])
            )  # fmt: skip
        return sorted(signals, key=lambda signal: (signal.time, signal.subject_kind, str(signal.subject), signal.name))

    def _signal(self, name: str, system: str, day: int, requests: Requests, hit: Hit) -> Signal:
        before = np.arange(len(requests.time)) <= hit.at
        kind: str = "system"
        if hit.level == "network":
            kind, subject, of = "network", str(self._networks.names[hit.key]), requests.network == hit.key
        elif hit.level == "agent":
            agent = int(self._agents.names[hit.key]) & 0xFFFF_FFFF_FFFF_FFFF
            subject, of = f"{system} agent {agent:016x}", requests.agent == hit.key
        elif hit.level == "account":
            kind, subject, of = "actor", str(self._users.names[hit.key]), requests.user == hit.key
        else:
            subject, of = system, np.ones(len(before), np.bool_)
        rows = requests.row[of & before][-MOST_ROWS:]
        p = float(10.0 ** -min(hit.score, 300.0))
        return Signal(kind, subject, name, int(requests.time[hit.at]), day, hit.value, hit.expected, p, _SURE, rows)

    def _learn(self, day: int, asked: Requests, logins: Requests, scrapes: list[Hit], found: Found) -> None:
        """Take in what was usual of the day: nobody who was told of, and nothing of all when all were."""
        told = {(hit.level, hit.key) for hit in scrapes}
        good = ~_of(told, "network", asked.network) & ~_of(told, "agent", asked.agent) & (("all", 0) not in told)
        asked = asked.take(good)
        for shares, key, size in (
            (self._unknown, asked.network, len(self._networks)),
            (self._unknown_agent, asked.agent, len(self._agents)),
        ):
            new = firsts(key, asked.serial) & (key >= 0)
            shares.learn(day, key[new], np.isin(asked.status, NO_SUCH)[new], size)
        new, near = relays(asked, asked.agent)
        self._relayed.learn(day, asked.agent[new], near[new], len(self._agents))
        numbers = firsts(asked.network, asked.serial) & (asked.network >= 0)
        counts = np.bincount(asked.network[numbers], minlength=len(self._networks))
        many = numbers & (np.append(counts, 0)[asked.network] >= _MANY)
        self._blocks.add(day, asked.network[many] << 40 | asked.serial[many] // BLOCK)

        told = {(hit.level, hit.key) for hit in found.hits}
        good = ~_of(told, "network", logins.network) & ~_of(told, "agent", logins.agent) & (("all", 0) not in told)
        logins = logins.take(good & (logins.network >= 0))
        change, first = opened(logins, self._pairs.keys)
        for shares, key, size in (
            (self._open, logins.network, len(self._networks)),
            (self._open_agent, logins.agent, len(self._agents)),
        ):
            shares.add(
                day, np.bincount(key[first], minlength=size), np.maximum(np.bincount(key, change, minlength=size), 0)
            )
        good = succeeded(logins)
        got = {mark.user for mark in found.marked}
        good &= ~np.isin(logins.user, np.array(sorted(got), np.int64))
        self._pairs.add(day, (logins.network << 32 | logins.user)[good])


def _of(told: set[tuple[str, int]], level: str, key: Int64) -> npt.NDArray[np.bool_]:
    return np.isin(key, np.array(sorted(one for name, one in told if name == level), np.int64))


class _Remembered:
    """A set of keys, each with the day on which it was seen last."""

    def __init__(self) -> None:
        self.keys: Int64 = np.zeros(0, np.int64)
        self._last: Int64 = np.zeros(0, np.int64)

    def add(self, day: int, keys: Int64) -> None:
        new = np.unique(keys)
        old = ~np.isin(self.keys, new) & (self._last > day - _FORGET)
        merged = np.concatenate([self.keys[old], new])
        last = np.concatenate([self._last[old], np.full(len(new), day, np.int64)])
        order = np.argsort(merged, kind="stable")
        self.keys, self._last = merged[order], last[order]
