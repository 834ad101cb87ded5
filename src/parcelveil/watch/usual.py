"""What is usual of each account, outlet and carrier, for the counts of :mod:`~parcelveil.watch.live`.

::

    usual = Usual()
    live = Live(day, limits, usual.fixed(), Shelf(*conduct.known_devices()), decoys)     # what it was when the day began
    ...
    usual.learn(live, rows.volume)                # when the day is settled; what is usual of days to come

What a day adds is capped by what was usual before, so that one wild day does not make the next one usual; and it fades.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.watch.baseline import Codes
from parcelveil.watch.by_code import longer, spread
from parcelveil.watch.known_pairs import pair_keys
from parcelveil.watch.quantiles import Floats

if TYPE_CHECKING:
    from parcelveil.watch.live import Live

I64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Statistics as ``kind.count``: the detector that speaks, its share of the budget, the least count that it ever calls anybody for,
#: and the limit before anything is known.
COUNTS: dict[str, tuple[str, float, float, float]] = {
    "actor.unexplained": ("bulk", 0.07, 25, 2_500),
    "actor.steps": ("enumeration", 0.05, 12, 60),
    "actor.block": ("block", 0.04, 120, 250),
    "actor.failed": ("failed", 0.03, 15, 200),
    "actor.exported": ("export", 0.03, 10_000, 20_000),
    "actor.device": ("device", 0.06, 45, 100),
    "device.steps": ("enumeration", 0.015, 15, 60),
    "device.block": ("block", 0.015, 40, 120),
    "network.steps": ("enumeration", 0.015, 20, 200),
    "network.block": ("block", 0.015, 40, 400),
}
LIVE: dict[str, float] = {name: share for name, (_, share, _, _) in COUNTS.items()}
HARD: dict[str, float] = {name: hard for name, (_, _, _, hard) in COUNTS.items()}
BULK, DEVICE = "actor.unexplained", "actor.device"
#: Days that the usual of a role or kind stands for, beside an account's own; and after how many its past counts half.
_PRIOR, _HALF_LIFE = 5.0, 14
_FADE = 0.5 ** (1 / _HALF_LIFE)
#: Days after which a kind of export is a habit.
_HABIT = 3


class Shelf(NamedTuple):
    """Whose devices are known when a day begins: keys of :func:`~parcelveil.watch.known_pairs.pair_keys`, ascending."""

    accounts: I64
    outlets: I64

    def new(
        self, actor: npt.NDArray[np.integer], device: npt.NDArray[np.integer], outlet: npt.NDArray[np.integer]
    ) -> Flags:
        """Which rows are on a device that is new to an account of which devices are known, and new to its outlet."""
        known = np.isin(pair_keys(actor, device), self.accounts)
        known |= (outlet >= 0) & np.isin(pair_keys(outlet, device), self.outlets)
        return (device >= 0) & ~known & np.isin(actor, self.accounts >> 32)


class Fixed(NamedTuple):
    """What is usual, as it stands when a day begins."""

    usual: Mapping[str, Floats]  # by statistic, one of each code
    outlet: Floats  # unexplained parcels of a day, of each outlet's code
    everywhere: float
    looks: Floats  # of a day, of each account
    exports: set[tuple[int, int]]  # roles and fields that exports have had
    outlet_of: Codes  # of each account, on its last day


class Usual:
    """Counts of usual days. Values enter capped, and fade with a half-life of two weeks."""

    def __init__(self) -> None:
        self._sums: dict[str, Floats] = {}
        self._days: dict[str, Floats] = {}
        self._outlet = np.zeros(0)
        self._outlet_days = np.zeros(0)
        self._everywhere = self._all_days = 0.0
        self._outlet_of = np.full(0, -1, np.int32)
        self._looks, self._look_days = np.zeros(0), np.zeros(0)
        self._exports: Counter[tuple[int, int]] = Counter()

    def fixed(self) -> Fixed:
        """A picture of what is usual now."""
        usual = {}
        for name, sums in self._sums.items():
            days = self._days[name]
            mean = float(sums.sum() / max(days.sum(), 1.0))
            usual[name] = (sums + _PRIOR * mean) / (days + _PRIOR)
        outlet = (self._outlet + 1) / (self._outlet_days + 1)
        everywhere = self._everywhere / max(self._all_days, 1e-9)
        looks = self._looks / np.maximum(self._look_days, 1e-9)
        exports = {kind for kind, days in self._exports.items() if days >= _HABIT}
        return Fixed(usual, outlet, everywhere, looks, exports, self._outlet_of.copy())

    def learn(self, live: Live, volume: pa.Table) -> None:
        """Take in a settled day."""
        self._exports.update(live.exports)
        actors, outlets = volume["actor"].to_numpy(), volume["outlet"].to_numpy()
        for name in LIVE:
            keys, counts = live.counts(name)
            if name.startswith("actor."):
                keys, counts = actors, spread(keys, counts, actors)
            self._learn(name, keys, counts, live.usual(name, keys))
        size = int(actors.max(initial=-1)) + 1
        self._outlet_of = longer(self._outlet_of, size, -1)
        self._outlet_of[actors] = outlets
        self._looks, self._look_days = (longer(array * _FADE, size) for array in (self._looks, self._look_days))
        looks = volume["looks"].to_numpy().astype(np.float64)
        before = np.where(
            self._look_days[actors] > 1, self._looks[actors] / np.maximum(self._look_days[actors], 1), looks
        )
        self._looks[actors] += np.minimum(looks, 2 * before + 20)
        self._look_days[actors] += 1
        strangers = spread(*live.counts(BULK), actors)
        there = outlets >= 0
        totals: Floats = np.bincount(outlets[there], weights=strangers[there]).astype(np.float64)
        outlets_known = max(len(totals), len(self._outlet))
        totals, self._outlet, self._outlet_days = (
            np.pad(array, (0, outlets_known - len(array))) for array in (totals, self._outlet, self._outlet_days)
        )
        known = (self._outlet + 1) / (self._outlet_days + 1)
        self._outlet = self._outlet * _FADE + np.minimum(totals, 3 * known + 10)
        self._outlet_days = self._outlet_days * _FADE + 1
        self._everywhere = self._everywhere * _FADE + float(strangers.sum())
        self._all_days = self._all_days * _FADE + 1

    def _learn(self, name: str, keys: npt.NDArray[np.integer], counts: Floats, usual: Floats) -> None:
        empty, size = np.zeros(0), int(keys.max(initial=-1)) + 1
        sums, days = (longer(kept.get(name, empty) * _FADE, size) for kept in (self._sums, self._days))
        sums[keys] += np.minimum(counts, usual + 3 * np.sqrt(usual) + 3)
        days[keys] += 1
        self._sums[name], self._days[name] = sums, days


def of_keys(values: npt.NDArray[np.generic], keys: npt.NDArray[np.integer], default: float) -> npt.NDArray:  # type: ignore[type-arg]
    """``values[keys]``, and ``default`` for keys beyond them."""
    result = np.full(len(keys), default, values.dtype)
    inside = (keys >= 0) & (keys < len(values))
    result[inside] = values[keys[inside]]
    return result
