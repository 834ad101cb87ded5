"""Which account (or outlet) has which device (or network), learned from days on which most looks had a reason.

::

    pairs.learn(day, keys, looks, keys_of_looks_without_reason, valid)      # keys = pair_keys(actor, device)
    pairs.has(keys)                                                         # seen on KNOWN such days and more

A pair that is not seen for :data:`FORGET` days is forgotten. Memory: 32 bytes a pair.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Codes = npt.NDArray[np.integer]
Flags = npt.NDArray[np.bool_]

#: Days on which a pair has to be seen to be known.
KNOWN = 2
FORGET = 60
#: A day on which more than this share of the looks had no reason teaches nothing.
_SHARE = 0.5
#: A device has a home if so much of its known days are one outlet's, and so many days are known.
_HOME_SHARE, _HOME_DAYS = 0.8, 5


def pair_keys(owner: Codes, thing: Codes) -> Int64:
    """``owner << 32 | thing`` (the thing as an unsigned number)."""
    return (owner.astype(np.int64) << 32) | (thing.astype(np.int64) & 0xFFFF_FFFF)


class KnownPairs:
    """See the module."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, np.int64)
        self._days = np.zeros(0, np.int32)
        self._last = np.zeros(0, np.int32)

    def known(self) -> Int64:
        """The known keys, ascending."""
        return self._keys[self._days >= KNOWN]

    def has(self, keys: Int64) -> Flags:
        """Which of ``keys`` are known."""
        at = np.searchsorted(self._keys, keys)
        at[at == len(self._keys)] = 0
        return (
            (self._keys[at] == keys) & (self._days[at] >= KNOWN) if len(self._keys) else np.zeros(len(keys), np.bool_)
        )

    def knows(self, owner: Codes) -> Flags:
        """Which owners have any known pair."""
        return np.isin(owner, np.unique(self.known() >> 32))

    def home(self, thing: Codes) -> Int64:
        """The one owner to which each thing has long belonged, -1 where there is none."""
        order = np.lexsort((self._days, self._keys & 0xFFFF_FFFF))
        things, days, owner = (self._keys & 0xFFFF_FFFF)[order], self._days[order], (self._keys >> 32)[order]
        if not len(things):
            return np.full(len(thing), -1, np.int64)
        ends = np.flatnonzero(np.r_[things[1:] != things[:-1], True])  # the owner with most days is last
        total = np.diff(np.r_[0, np.cumsum(days)[ends]])
        belongs = (days[ends] >= _HOME_DAYS) & (days[ends] >= _HOME_SHARE * total)
        at = np.minimum(np.searchsorted(things[ends], thing), len(ends) - 1)
        found = (things[ends][at] == thing) & belongs[at]
        return np.where(found, owner[ends][at], -1)

    def learn(self, day: int, keys: Int64, looks: Int64, strange: Int64, valid: Flags) -> None:
        """Take in a day: ``looks`` of each of ``keys`` (repeats are added up), and the keys of looks without a reason."""
        unique, place = np.unique(keys[valid], return_inverse=True)
        total = np.bincount(place, weights=looks[valid], minlength=len(unique))
        at = np.searchsorted(unique, strange)
        at[at == len(unique)] = 0
        hits = at[unique[at] == strange] if len(unique) else at[:0]
        none = np.bincount(hits, minlength=len(unique))
        good = unique[none <= _SHARE * total]
        everything = np.concatenate([self._keys, good])
        merged, where = np.unique(everything, return_inverse=True)
        days, last = np.zeros(len(merged), np.int32), np.zeros(len(merged), np.int32)
        np.add.at(days, where, np.concatenate([self._days, np.ones(len(good), np.int32)]))
        np.maximum.at(last, where, np.concatenate([self._last, np.full(len(good), day, np.int32)]))
        kept = last > day - FORGET
        self._keys, self._days, self._last = merged[kept], days[kept], last[kept]
