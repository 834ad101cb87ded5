"""Days of rows for tests of detectors, made directly: no carrier, only counts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from parcelveil.watch.coded import GRACE
from parcelveil.watch.daily import OPEN_ROWS, VOLUME, DayRows

DAY = 86_400_000_000
OFFSET = 480 * 60_000_000


class Made:
    """``accounts`` people with ``rate`` looks without work for each explained one, at outlets of ``outlet_size``."""

    def __init__(self, accounts: int = 400, *, seed: int = 1, outlet_size: int = 8, rate: float = 0.03) -> None:
        self.rng = np.random.default_rng(seed)
        self.actors = np.arange(accounts, dtype=np.int32)
        self.outlets = (self.actors // outlet_size).astype(np.int32)
        self.roles = (self.actors % 4 == 0).astype(np.int32)
        self.rate = self.rng.gamma(4, rate / 4, accounts)
        self.parcels = 1
        self.ids = 1

    def day(
        self,
        day: int,
        more: dict[int, int] | None = None,
        *,
        volume: float = 60,
        lost: tuple[int, ...] = (),
        far: tuple[int, ...] = (),
    ) -> DayRows:
        """A day; ``more``: looks without work that accounts have besides; ``lost``: outlets whose scans did not come.

        Who is in ``far`` looks at parcels from far away; of the others' parcels without work one in 25 is.
        """
        looks = self.rng.poisson(volume, len(self.actors))
        none = np.minimum(self.rng.poisson(self.rate * looks), looks)
        none = np.where(np.isin(self.outlets, lost), looks, none)
        for actor, count in (more or {}).items():
            none[actor] += count
            looks[actor] += count
        shelf = self.rng.binomial(looks - none, 0.06)
        actor = np.repeat(self.actors, none + shelf)
        level = np.concatenate([np.r_[np.zeros(n), np.ones(g)] for n, g in zip(none, shelf, strict=True)])
        return DayRows(day, self._volume(day, looks, none, shelf), self.rows(day, actor, level.astype(np.int8), far))

    def _volume(self, day: int, looks: np.ndarray, none: np.ndarray, shelf: np.ndarray) -> pa.Table:
        zero = np.zeros_like(looks)
        start = day * DAY - OFFSET
        columns = {
            "actor": self.actors, "role": self.roles, "outlet": self.outlets, "looks": looks,
            "direct": looks - none - shelf, "grouped": shelf, "none": none, "searches": zero, "failed": zero,
            "exported": zero, "hours": zero + 9, "first": zero + start, "last": zero + start + DAY - 1,
        }  # fmt: skip
        return pa.table({field.name: pa.array(columns[field.name], field.type) for field in VOLUME}, schema=VOLUME)

    def rows(self, day: int, actor: np.ndarray, level: np.ndarray, far: tuple[int, ...] = ()) -> pa.Table:
        """Rows of that day in the order of receipt, each of a parcel of its own."""
        count = len(actor)
        received = np.sort(self.rng.integers(8 * 3600, 19 * 3600, count)) * 1_000_000 + day * DAY - OFFSET
        order = self.rng.permutation(count)
        near = np.where(self.rng.random(count) < 0.04, 0, 1)
        near = np.where(np.isin(actor[order], far), 0, near)
        columns: dict[str, np.ndarray] = {field.name: np.zeros(count, np.int64) for field in OPEN_ROWS}
        columns |= {
            "id": np.arange(self.ids, self.ids + count), "time": received, "received": received,
            "actor": actor[order], "role": self.roles[actor[order]], "outlet": self.outlets[actor[order]],
            "device": actor[order], "network": self.outlets[actor[order]], "fields": np.full(count, 7),
            "records": np.ones(count), "waybill": np.arange(self.parcels, self.parcels + count),
            "serial": self.rng.integers(0, 10**12, count), "ticket": np.full(count, -1),
            "provisional": level[order], "settled": level[order],
            "near": np.where(level[order] == 0, near, -1),
        }  # fmt: skip
        self.ids += count
        self.parcels += count
        arrays = {field.name: pa.array(columns[field.name].astype(field.type.to_pandas_dtype())) for field in OPEN_ROWS}
        return pa.table(arrays, schema=OPEN_ROWS)


__all__ = ["DAY", "GRACE", "Made"]
