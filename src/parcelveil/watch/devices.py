"""Devices and networks: new ones, two at once, and one that several accounts share.

::

    presence = Presence()
    for batch in batches_of_the_day:                  # all accesses, CODED_ACCESS: also those that work explains
        presence.feed(batch)
    found = detector.score(rows, presence.seen(), register)      # detector = Devices(), rows a DayRows
    found.device, found.places, found.shared         # Scores of accounts; found.signals: what is proven

=========  ==========================================================================================================
device     parcels looked at without a reason on a device that is new to the account *and* to its outlet. A handheld from
           the outlet's own shelf is not new, whoever takes it. A device becomes known after :data:`KNOWN` days on which
           most looks had a reason, so a rented account does not teach its own
places     five-minute slots in which the account was active on two devices in two networks, or beside a device that is
           new; and networks of the day that are new to account and outlet. Against the account's own habit: who has a
           handheld and a desk does that every day
shared     parcels looked at without a reason, by whomever, on a device or network that is new to these accounts and their
           outlets and that two or more *persons* used within a week; each of the accounts has the number. Several
           accounts of one owner are one person
=========  ==========================================================================================================

**Proven** without calibration: in :data:`PROOF` slots or more of a day the account was active on two devices that have long
belonged to outlets of two regions.

Nothing is said in the first :data:`LEARN` days, nor of an account's first days: all devices are new then.

**It cannot see** somebody who sits at the account's own device, nor places within one network without a device's name.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.watch.coded import Accounts
from parcelveil.watch.daily import DayRows, settles_at
from parcelveil.watch.habit import Habit
from parcelveil.watch.known_pairs import KNOWN, KnownPairs, pair_keys
from parcelveil.watch.signals import Scores, Signal, scores

Codes = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float64]

__all__ = ["KNOWN", "Devices", "Found", "Presence", "Seen"]

SLOT = 300_000_000
LEARN = 7
PROOF = 3
#: Days within which persons on one device count together.
_WEEK = 7
_NONE = np.zeros(0, np.int64)
#: What has a habit of its own.
_STATISTICS = ("device", "places", "roam", "shared device", "shared network")


class Seen(NamedTuple):
    """Who was active where and when: distinct rows, ordered by ``(actor, slot, device, network)``; ``looks`` in each."""

    actor: Int64
    slot: Int64
    device: Int64
    network: Int64
    looks: Int64


class Presence:
    """Gathers a day's accesses, of any splitting into batches."""

    def __init__(self, *seen: Seen) -> None:
        self._parts: list[Seen] = list(seen)

    def feed(self, accesses: pa.Table) -> None:
        """Add rows of CODED_ACCESS."""
        actor, device, network = (accesses[name].to_numpy().astype(np.int64) for name in ("actor", "device", "network"))
        slot = accesses["time"].to_numpy() // SLOT
        self._parts.append(_distinct(Seen(actor, slot, device, network, np.ones(len(actor), np.int64))))

    def seen(self) -> Seen:
        """All that was fed."""
        if not self._parts:
            return Seen(*[_NONE] * 5)
        self._parts = [_distinct(Seen(*(np.concatenate(parts) for parts in zip(*self._parts, strict=True))))]
        return self._parts[0]


class Found(NamedTuple):
    """What a day gave."""

    device: Scores
    places: Scores
    shared: Scores
    signals: list[Signal]


class Devices:
    """See the module."""

    def __init__(self, *, offset_minutes: int = 480) -> None:
        self._offset = offset_minutes * 60_000_000
        self._first: int | None = None
        self._pairs = {name: (KnownPairs(), KnownPairs()) for name in ("device", "network")}  # by account, by outlet
        self._habits = {name: Habit() for name in _STATISTICS}
        self._users: dict[str, deque[tuple[int, Int64, Int64]]] = {"device": deque(), "network": deque()}

    def known(self) -> tuple[Int64, Int64]:
        """Keys ``actor << 32 | device`` and ``outlet << 32 | device`` of the pairs that are known now, ascending."""
        own, theirs = self._pairs["device"]
        return own.known(), theirs.known()

    def score(self, rows: DayRows, seen: Seen, register: Accounts) -> Found:
        """Score a day, then learn it. ``seen``: of the same day as ``rows``."""
        day, actors, roles, outlets = (
            rows.day,
            *(rows.volume[name].to_numpy() for name in ("actor", "role", "outlet")),
        )
        self._first = day if self._first is None else self._first
        speaks = day - self._first >= LEARN
        inside = np.isin(seen.actor, actors)
        seen = Seen(*(column[inside] for column in seen))
        outlet = outlets[np.searchsorted(actors, seen.actor)]
        register = register.sized(max(int(actors.max(initial=-1)) + 1, len(register.known)))
        strange = _Strange.of(rows)
        new = {
            name: self._new(name, seen.actor, outlet, column) & speaks
            for name, column in (("device", seen.device), ("network", seen.network))
        }

        at_new = strange.at(pair_keys(seen.actor, seen.device)[new["device"]], "device")
        device = self._made("device", rows, actors, roles, strange.parcels(actors, "actor", at_new), strange, at_new)
        twice, roams = _overlaps(seen, new["device"], actors), _fresh_networks(seen, new["network"], actors)
        places = self._made("places", rows, actors, roles, twice * speaks, strange, at_new)
        roaming = self._made("roam", rows, actors, roles, roams, strange, at_new)
        by_device, of_device = self._shared("device", rows, seen, new["device"], register, strange)
        by_network, of_network = self._shared("network", rows, seen, new["network"], register, strange)
        shared = np.where(by_network[2] > by_device[2], by_network, by_device)
        found = Found(
            device,
            _higher(places, roaming),
            self._scores("shared", day, actors, shared, strange, of_device | of_network),
            self._proven(day, seen, register) if speaks else [],
        )
        self._teach(day, seen, outlet, strange)
        return found

    def _new(self, name: str, actor: Int64, outlet: Codes, thing: Int64) -> Flags:
        own, theirs = self._pairs[name]
        known = own.has(pair_keys(actor, thing)) | theirs.has(pair_keys(outlet, thing)) & (outlet >= 0)
        return (thing >= 0) & ~known & own.knows(actor)

    def _made(
        self, which: str, rows: DayRows, actors: Codes, roles: Codes, value: Int64, strange: _Strange, of: Flags
    ) -> Scores:
        """The scores of one of :data:`_STATISTICS`, with the rows ``of`` behind them."""
        expected, score = self._habits[which].score(rows.day, actors, roles, value)
        name = "places" if which == "roam" else which
        return self._scores(name, rows.day, actors, np.stack([value.astype(np.float64), expected, score]), strange, of)

    def _scores(self, name: str, day: int, actors: Codes, columns: Float, strange: _Strange, of: Flags) -> Scores:
        return scores(
            "actor", name, day, actors, *columns,
            row_subject=strange.actor[of], row_id=strange.id[of], row_time=strange.received[of],
            time=settles_at(day, self._offset),
        )  # fmt: skip

    def _shared(
        self, name: str, rows: DayRows, seen: Seen, new: Flags, register: Accounts, strange: _Strange
    ) -> tuple[Float, Flags]:
        """Value, expected and score of ``shared`` on devices, or on networks, for each account; and the rows behind it."""
        thing: Int64 = getattr(seen, name)
        users = self._users[name]
        while users and users[0][0] <= rows.day - _WEEK:
            users.popleft()
        owner = register.owner[seen.actor].astype(np.int64)
        person = np.where(owner >= 0, owner + (1 << 32), seen.actor)  # owners apart from accounts
        users.append((rows.day, thing[new], person[new]))
        things, persons = (np.concatenate([part[place] for part in users]) for place in (1, 2))
        several, counts = np.unique(np.unique(np.stack([things, persons]), axis=1)[0], return_counts=True)
        subject = np.unique(thing[thing >= 0]).astype(np.int32)
        of = strange.at(pair_keys(seen.actor, thing)[new], name) & np.isin(getattr(strange, name), several[counts > 1])
        value = strange.parcels(subject, name, of)
        one_group = np.zeros(len(subject), np.int32)
        expected, score = self._habits[f"shared {name}"].score(rows.day, subject, one_group, value)
        actors = rows.volume["actor"].to_numpy()
        columns = np.zeros((3, len(actors)))
        who, there = np.searchsorted(actors, strange.actor[of]), np.searchsorted(subject, getattr(strange, name)[of])
        order = np.argsort(score[there], kind="stable")  # of several devices the one with the highest score stays
        columns[:, who[order]] = np.stack([value.astype(np.float64), expected, score])[:, there[order]]
        return columns, of

    def _proven(self, day: int, seen: Seen, register: Accounts) -> list[Signal]:
        """Accounts on two devices whose outlets lie in two regions, again and again within minutes."""
        home = self._pairs["device"][1].home(seen.device)
        region = np.full(max(int(home.max(initial=-1)), int(register.outlet.max(initial=-1))) + 2, -1, np.int32)
        told = (register.outlet >= 0) & (register.region >= 0)
        region[register.outlet[told]] = register.region[told]
        where = np.where(home >= 0, region[home], -1)
        actor, slot, where = (column[where >= 0] for column in (seen.actor, seen.slot, where))
        if not len(actor):
            return []
        starts = _starts(actor, slot)
        double = np.minimum.reduceat(where, starts) != np.maximum.reduceat(where, starts)
        slot = slot[starts][double]
        who, first, counts = np.unique(actor[starts][double], return_index=True, return_counts=True)
        return [
            Signal("actor", int(one), "places", (int(slot[since + PROOF - 1]) + 1) * SLOT, day, float(n), 0.0, 0.0,
                   float(PROOF), _NONE)
            for one, since, n in zip(who.tolist(), first.tolist(), counts.tolist(), strict=True)
            if n >= PROOF
        ]  # fmt: skip

    def _teach(self, day: int, seen: Seen, outlet: Codes, strange: _Strange) -> None:
        """Learn which account and outlet has which device and network, from those with mostly explained looks."""
        for name, (own, theirs) in self._pairs.items():
            thing = getattr(seen, name)
            there = getattr(strange, name)
            own.learn(day, pair_keys(seen.actor, thing), seen.looks, pair_keys(strange.actor, there), thing >= 0)
            theirs.learn(
                day,
                pair_keys(outlet, thing),
                seen.looks,
                pair_keys(strange.outlet, there),
                (thing >= 0) & (outlet >= 0),
            )


class _Strange(NamedTuple):
    """The looks of a day that nothing explains."""

    actor: Codes
    outlet: Codes
    device: Codes
    network: Codes
    waybill: Int64
    id: Int64
    received: Int64

    @classmethod
    def of(cls, rows: DayRows) -> _Strange:
        table = rows.rows
        of = (table["settled"].to_numpy() == 0) & (table["waybill"].to_numpy() != 0)
        return cls(*(table[name].to_numpy()[of] for name in cls._fields))

    def at(self, keys: Int64, name: str) -> Flags:
        """Which of them happened at one of the pairs of account and ``name`` (device or network)."""
        return np.isin(pair_keys(self.actor, getattr(self, name)), keys)

    def parcels(self, subject: Codes, name: str, of: Flags) -> Int64:
        """Different parcels among the rows ``of`` for each subject (ascending codes of the column ``name``)."""
        pairs = np.unique(np.stack([getattr(self, name)[of].astype(np.int64), self.waybill[of]]), axis=1)
        pairs = pairs[:, np.isin(pairs[0], subject)]
        return np.bincount(np.searchsorted(subject, pairs[0]), minlength=len(subject)).astype(np.int64)


def _distinct(seen: Seen) -> Seen:
    order = np.lexsort((seen.network, seen.device, seen.slot, seen.actor))
    actor, slot, device, network, looks = (column[order] for column in seen)
    if not len(actor):
        return Seen(actor, slot, device, network, looks)
    first = np.ones(len(actor), np.bool_)
    first[1:] = (
        (actor[1:] != actor[:-1])
        | (slot[1:] != slot[:-1])
        | (device[1:] != device[:-1])
        | (network[1:] != network[:-1])
    )
    return Seen(actor[first], slot[first], device[first], network[first], np.add.reduceat(looks, np.flatnonzero(first)))


def _starts(actor: Int64, slot: Int64) -> Int64:
    """Where each account's slots begin in ordered rows."""
    return np.flatnonzero(np.r_[True, (actor[1:] != actor[:-1]) | (slot[1:] != slot[:-1])]).astype(np.int64)


def _overlaps(seen: Seen, new: Flags, actors: Codes) -> Int64:
    """Slots of each account with two devices in two networks, or with two devices of which one is new."""
    if not len(seen.actor):
        return np.zeros(len(actors), np.int64)
    starts = _starts(seen.actor, seen.slot)
    apart = {
        name: np.minimum.reduceat(column, starts) != np.maximum.reduceat(column, starts)
        for name, column in (("device", seen.device), ("network", seen.network))
    }
    strange = np.logical_or.reduceat(new, starts)
    named = np.minimum.reduceat(seen.device, starts) >= 0  # an access without a device is no second one
    both = apart["device"] & named & (apart["network"] | strange)
    return np.bincount(np.searchsorted(actors, seen.actor[starts][both]), minlength=len(actors)).astype(np.int64)


def _fresh_networks(seen: Seen, new: Flags, actors: Codes) -> Int64:
    """Networks of each account that are new to it and to its outlet; the first is a person who has moved."""
    pairs = np.unique(np.stack([seen.actor[new].astype(np.int64), seen.network[new].astype(np.int64)]), axis=1)
    counts = np.bincount(np.searchsorted(actors, pairs[0]), minlength=len(actors))
    return np.maximum(counts - 1, 0).astype(np.int64)


def _higher(one: Scores, other: Scores) -> Scores:
    """The higher of two scores of the same subjects and rows."""
    better = other.score > one.score
    return one._replace(
        value=np.where(better, other.value, one.value),
        expected=np.where(better, other.expected, one.expected),
        score=np.maximum(one.score, other.score),
    )
