"""Two accounts that share out what they look at.

::

    detector = Pairs()
    for rows in days:                               # of watch.daily.DayRows, in order
        scores = detector.score(rows)               # "pair": one number an account of the day
        detector.partner(actor)                     # with whom, and what the two share

Whoever splits a harvest between two accounts stays below every threshold that looks at one. What gives two away is what
their looks **without a reason** have in common over the trailing :data:`WINDOW` days:

* *neighbourhoods*: both look among the same :data:`NEAR` consecutive numbers, or at parcels of the same recipient, each of
  these weighed by how few other accounts do (``1 / pairs of accounts there``), against what two accounts with so many looks
  share by chance;
* *devices and networks* that few accounts use for such looks, weighed by how few; colleagues share handhelds, so this
  counts for no more than :data:`MOST_THINGS`;
* *rhythm*: ten-minute slots in which both are at it, against chance.

Complementary means that they hardly look at the *same* parcels: two people who work on one lost parcel do, and such a pair
counts by the share that is not common. The score is the sum of the three (each ``-log10`` of a Poisson or negative-binomial tail
at its nominal rate), and of a pair each account has it; the highest partner counts. Candidates are only pairs that have two
rare neighbourhoods, or a rare device or network, in common (of these the :data:`MOST_PAIRS` strongest), so the work grows
with looks, not with pairs of accounts.

**It cannot see** two who work in different neighbourhoods, from their own devices, at different times: as far as the data go
they are two. Two who share out the parcels of some outlets do just that if the numbers lie far apart, for where a parcel
is stands in no look. What finds those is each one's own sum of looks without a reason (``slow``).
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.watch.daily import DayRows, settles_at
from parcelveil.watch.signals import Scores, scores
from parcelveil.watch.tails import nominal

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

WINDOW = 14
#: Neighbourhoods, devices, networks that more accounts than this look into are nobody's secret, and make no pair.
RARE = 8
#: Consecutive numbers that are one neighbourhood: small enough that a big carrier's people seldom meet there by chance.
NEAR = 50
MOST_THINGS = 3.0
MOST_PAIRS = 20_000
#: Weighed neighbourhoods in common that make a candidate: two that nobody else looks into, or more that few do.
_CANDIDATE = 1.5
_SLOT = 600_000_000
_SIZE = 3.0
#: Looks without a reason that each of a pair has to have.
FEWEST = 5


class Partner(NamedTuple):
    """With whom an account shares out: neighbourhoods, devices and networks (both weighed), slots in common."""

    actor: int
    near: float
    things: float
    slots: int


class _Day(NamedTuple):
    day: int
    actor: Int64
    waybill: Int64
    near: Int64
    subject: Int64
    device: Int64
    network: Int64
    slot: Int64


class Pairs:
    """See the module."""

    def __init__(self, *, offset_minutes: int = 480) -> None:
        self._offset = offset_minutes * 60_000_000
        self._days: deque[_Day] = deque()
        self._partners: dict[int, Partner] = {}

    def partner(self, actor: int) -> Partner | None:
        """The best partner of an account on the day scored last."""
        return self._partners.get(actor)

    def score(self, rows: DayRows) -> Scores:
        """``pair`` of every account of the day; value: what is shared with the best partner, weighed."""
        actors, table = rows.volume["actor"].to_numpy(), rows.rows
        of = (table["settled"].to_numpy() == 0) & (table["waybill"].to_numpy() != 0)
        names = ("actor", "waybill", "serial", "subject", "device", "network", "time")
        actor, waybill, serial, subject, device, network, time = (
            table[name].to_numpy()[of].astype(np.int64) for name in names
        )
        near = np.where(serial >= 0, serial // NEAR, -1)
        subject = np.where(subject != 0, subject & np.iinfo(np.int64).max, -1)
        self._days.append(_Day(rows.day, actor, waybill, near, subject, device, network, time // _SLOT))
        while self._days[0].day <= rows.day - WINDOW:
            self._days.popleft()
        trail = _Day(
            rows.day, *(np.concatenate([getattr(day, name) for day in self._days]) for name in _Day._fields[1:])
        )
        value, expected, score = np.zeros(len(actors)), np.zeros(len(actors)), np.zeros(len(actors))
        self._partners = {}
        for one, other, shared, usual, high, partner in _pairs(trail):
            for who, whom in ((one, other), (other, one)):
                at = int(np.searchsorted(actors, who))
                if at < len(actors) and actors[at] == who and high > score[at]:
                    value[at], expected[at], score[at] = shared, usual, high
                    self._partners[who] = partner._replace(actor=whom)
        return scores(
            "actor", "pair", rows.day, actors, value, expected, score,
            row_subject=table["actor"].to_numpy()[of], row_id=table["id"].to_numpy()[of],
            row_time=table["received"].to_numpy()[of], time=settles_at(rows.day, self._offset),
        )  # fmt: skip


def _pairs(trail: _Day) -> list[tuple[int, int, float, float, float, Partner]]:
    """Pairs worth a word, the highest first: both accounts, what they share and would by chance, the score, its parts."""
    looks = _distinct(trail.actor, trail.waybill)
    who, counts = np.unique(looks[0], return_counts=True)
    enough, looked = who[counts >= FEWEST], counts[counts >= FEWEST].astype(np.float64)
    keep = np.isin(trail.actor, enough)
    n, actor = len(enough), np.searchsorted(enough, trail.actor[keep])
    if n < 2:
        return []
    near, subjects, devices, networks, parcels = (
        _Shared.of(actor, column[keep], n)
        for column in (trail.near, trail.subject, trail.device, trail.network, trail.waybill & np.iinfo(np.int64).max)
    )
    close = near.plus(subjects)
    things = devices.plus(networks)
    candidates = np.union1d(close.pair[close.weight >= _CANDIDATE], things.pair)
    one, other = candidates // n, candidates % n
    product = looked[one] * looked[other] / float(looked.mean()) ** 2
    by_near, by_thing = close.at(candidates), things.at(candidates)
    usual_near, usual_thing = close.chance * product, np.full(len(candidates), things.chance)
    high = nominal(by_near, usual_near, _SIZE) + np.minimum(nominal(by_thing, usual_thing, _SIZE), MOST_THINGS)
    high *= 1 - np.minimum(parcels.times_at(candidates) / np.minimum(looked[one], looked[other]), 1)
    best = np.argsort(-high, kind="stable")[:MOST_PAIRS]
    best = best[high[best] > 0]
    slots, usual_slots = _common_slots(actor, trail.slot[keep], candidates[best], n)
    high = high[best] + nominal(slots, usual_slots, _SIZE) * (by_near[best] > 0)
    found = []
    for i in np.argsort(-high, kind="stable").tolist():
        b = best[i]
        partner = Partner(int(enough[other[b]]), float(by_near[b]), float(by_thing[b]), int(slots[i]))
        shared = partner.near + partner.things + partner.slots
        usual = float(usual_near[b] + usual_thing[b] + usual_slots[i])
        found.append((int(enough[one[b]]), partner.actor, shared, usual, float(high[i]), partner))
    return found


class _Shared(NamedTuple):
    """What pairs of accounts have in common: ``pair`` ascending (``one * n + other``, one < other), the weight and the
    number of things; ``chance``: the mean weight over all pairs of accounts."""

    pair: Int64
    weight: Float
    times: Float
    chance: float

    @classmethod
    def of(cls, actor: Int64, thing: Int64, n: int) -> _Shared:
        """Of rows of accounts (below ``n``) and things (negative: none)."""
        things, members = _distinct(thing[thing >= 0], actor[thing >= 0])
        starts = np.flatnonzero(np.r_[True, things[1:] != things[:-1]]) if len(things) else np.zeros(0, np.int64)
        sizes = np.diff(np.r_[starts, len(things)])
        keys, weights = [np.zeros(0, np.int64)], [np.zeros(0)]
        for size in range(2, RARE + 1):
            of = starts[sizes == size]
            for i in range(size):
                for j in range(i + 1, size):
                    keys.append(members[of + i] * n + members[of + j])
                    weights.append(np.full(len(of), 2.0 / (size * (size - 1))))
        return _added(np.concatenate(keys), np.concatenate(weights), None, n * (n - 1) / 2)

    def plus(self, other: _Shared) -> _Shared:
        """Both together."""
        keys, weights = np.concatenate([self.pair, other.pair]), np.concatenate([self.weight, other.weight])
        added = _added(keys, weights, np.concatenate([self.times, other.times]), 1.0)
        return added._replace(chance=self.chance + other.chance)

    def at(self, pairs: Int64) -> Float:
        """The weight of each of ``pairs``, 0 where there is none."""
        return self._of(self.weight, pairs)

    def times_at(self, pairs: Int64) -> Float:
        """The number of things of each of ``pairs``."""
        return self._of(self.times, pairs)

    def _of(self, values: Float, pairs: Int64) -> Float:
        if not len(self.pair):
            return np.zeros(len(pairs))
        at = np.minimum(np.searchsorted(self.pair, pairs), len(self.pair) - 1)
        return np.where(self.pair[at] == pairs, values[at], 0.0)


def _added(keys: Int64, weights: Float, times: Float | None, pairs: float) -> _Shared:
    unique, place = np.unique(keys, return_inverse=True)
    weight = np.bincount(place, weights, len(unique)).astype(np.float64)
    number = np.bincount(place, times, len(unique)).astype(np.float64)
    # without the highest thousandth, among whom those are who are sought
    bulk = float(np.sort(weight)[: len(weight) - -(-len(weight) // 1000)].sum()) if len(weight) else 0.0
    return _Shared(unique, weight, number, max(bulk / pairs, 1e-4))


def _distinct(one: Int64, other: Int64) -> tuple[Int64, Int64]:
    """The distinct rows of two columns, in their order."""
    order = np.lexsort((other, one))
    one, other = one[order], other[order]
    if not len(one):
        return one, other
    first = np.r_[True, (one[1:] != one[:-1]) | (other[1:] != other[:-1])]
    return one[first], other[first]


def _common_slots(actor: Int64, slot: Int64, pairs: Int64, n: int) -> tuple[Float, Float]:
    """Slots in which both of each pair were at it, and how many would be by chance."""
    who, when = _distinct(actor, slot)
    starts = np.searchsorted(who, np.arange(n + 1))
    slots = [when[starts[i] : starts[i + 1]] for i in range(n)]
    seen = [len(np.intersect1d(slots[pair // n], slots[pair % n], assume_unique=True)) for pair in pairs.tolist()]
    _, busy = np.unique(when, return_counts=True)  # people work at the same hours: a slot counts by how many are at it
    share = busy / len(when)
    lengths = np.diff(starts).astype(np.float64)
    chance = lengths[pairs // n] * lengths[pairs % n] * float((share**2).sum())
    return np.array(seen, np.float64), np.maximum(chance, 0.05)
