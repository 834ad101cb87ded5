"""Counts that run within a day, over the rows that want a reason: what must be said before the day is over.

::

    running = Running(day, known_devices=pairs(actors, devices))     # one counter for each account
    running.feed(made.open)                                          # rows of other days are left out
    running.crossings({"unexplained": limits, "steps": 12.0})        # the rows at which a count first went beyond its limit
    running.finals()["steps"]                                        # (keys, counts) so far

===========  =========================================================================================================
unexplained  different parcels at provisional level 0
indirect     different parcels at provisional level 0 or 1
steps        rows whose serial lies 1 to 3 beside one of the key's previous eight different ones: walking through numbers
block        different parcels of one block of 1,000 serials, of the block with most
failed       rows whose outcome is not ok
exported     records of exports with outcome ok
device       different parcels at level 0 on a device that is new to the account
===========  =========================================================================================================

``steps`` and ``block`` also count what was denied or not found: whoever walks through numbers mostly finds nothing. The key
is the account, the device, the network, or both account and device (:func:`pairs`). Counts only rise, and depend on the
order ``(received, id)`` alone: a day fed at once gives the same as one fed row by row.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.errors import InputError
from parcelveil.watch import running_pass as passes
from parcelveil.watch.by_code import longer
from parcelveil.watch.coded import ACTIONS, OUTCOMES
from parcelveil.watch.daily import day_of

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
#: By key where keys are codes; one for all; or what gives one for each of an array of keys.
Limits = float | npt.NDArray[np.floating[Any]] | Callable[[I64], npt.NDArray[np.floating[Any]]]
Kind = Literal["actor", "device", "network", "actor_device"]

NAMES = ("unexplained", "indirect", "steps", "block", "failed", "exported", "device")
#: Serials of a block of issue.
BLOCK = 1000
#: What :meth:`Running.crossings` gives. ``time`` is when the row was received, ``id`` the access's.
CROSSING = pa.schema(
    [("key", pa.int64()), ("name", pa.string()), ("time", pa.int64()), ("id", pa.int64()), ("value", pa.int64())]
)
_OK, _EXPORT = OUTCOMES.index("ok"), ACTIONS.index("export")
_NEEDED = ("id", "time", "received", "actor", "device", "action", "outcome", "records", "waybill", "serial")


def pairs(actors: npt.NDArray[Any], devices: npt.NDArray[Any]) -> I64:
    """Account and device as one number."""
    return (actors.astype(np.int64) << 32) | devices.astype(np.int64)


class _Places:
    """Pairs of numbers as 0, 1, … by order of appearance."""

    def __init__(self) -> None:
        self.count = 0
        self._salt = np.uint64(secrets.randbits(64))
        self._make(1 << 10)

    def of(self, first: I64, second: I64) -> I64:
        size = len(self._table[2])
        if 2 * (self.count + len(first)) > size:
            one, two, place = (column[self._table[2] >= 0] for column in self._table)
            while 2 * (self.count + len(first)) > size:
                size *= 2
            self._make(size)
            order = np.argsort(place)  # in their old order they get their old places
            passes.placed(one[order], two[order], *self._table, self._salt, 0)
        made = passes.placed(first, second, *self._table, self._salt, self.count)
        self.count = max(self.count, int(made.max(initial=-1)) + 1)
        return made

    def new(self, first: I64, second: I64) -> Bools:
        """Which pairs occur for the first time."""
        before = self.count
        made = self.of(first, second)
        fresh = np.zeros(len(made), np.bool_)
        _, at = np.unique(made, return_index=True)
        fresh[at] = made[at] >= before
        return fresh

    def _make(self, size: int) -> None:
        self._table = (np.zeros(size, np.int64), np.zeros(size, np.int64), np.full(size, -1, np.int64))


class _Log:
    """Every rise of one count: key, receipt, id, value after and by how much."""

    def __init__(self) -> None:
        self.sums = np.zeros(0, np.int64)  # by place of the key
        self.rises: list[tuple[I64, I64, I64, I64, I64]] = []


class Running:
    """See the module.

    ``day``: days since 1970-01-01, local by ``offset_minutes``. ``known_devices``: :func:`pairs` that are not new, fixed for
    the day. Raises InputError when rows do not come in the order of ``(received, id)``.
    """

    def __init__(self, day: int, known_devices: I64, *, key: Kind = "actor", offset_minutes: int = 480) -> None:
        self.day, self._kind, self._offset = day, key, offset_minutes
        self._known = np.unique(known_devices)
        self._last: tuple[int, int] | None = None
        self._keys, self._blocks = _Places(), _Places()
        self._key_of = np.zeros(0, np.int64)
        self._block_sums = np.zeros(0, np.int64)
        self._parcels = {name: _Places() for name in ("unexplained", "indirect", "block", "device")}
        self._rings, self._held = np.zeros((0, passes.RING), np.int64), np.zeros(0, np.int64)
        self._logs = {name: _Log() for name in NAMES}
        self._before = dict.fromkeys(NAMES, 0)

    def feed(self, rows: pa.Table) -> None:
        """Count rows of NEW_ROWS or OPEN_ROWS; those of other days are left out."""
        names = (*_NEEDED, "provisional", *(() if self._kind == "actor_device" else (self._kind,)))
        column = {name: np.asarray(rows[name]) for name in names}
        self._in_order(column["received"], column["id"])
        key = self._key(column)
        mine = np.flatnonzero((day_of(column["time"], self._offset) == self.day) & (key >= 0))
        self._before = {name: len(log.rises) for name, log in self._logs.items()}
        if not mine.size:
            return
        column = {name: values[mine] for name, values in column.items()}
        key = key[mine]
        place = self._keys.of(key, np.zeros_like(key))
        self._grow()
        self._key_of[place] = key
        ok, level, waybill = column["outcome"] == _OK, column["provisional"], column["waybill"].astype(np.int64)
        one = np.ones(len(key), np.int64)
        parcel = waybill != 0
        strange = parcel & (level == 0)
        new_device = strange & (column["device"] >= 0) & ~self._is_known(column)
        walking = (level < 2) & (column["serial"] >= 0)
        exported = ok & (column["action"] == _EXPORT)

        def first(name: str, rows: Bools) -> I64:
            at = np.flatnonzero(rows)
            return at[self._parcels[name].new(key[at], waybill[at])]

        self._rise("unexplained", first("unexplained", strange), one, place, column)
        self._rise("indirect", first("indirect", parcel & (level >= 0) & (level < 2)), one, place, column)
        self._rise("device", first("device", new_device), one, place, column)
        self._rise("failed", np.flatnonzero(~ok), one, place, column)
        self._rise(
            "exported", np.flatnonzero(exported), np.maximum(column["records"], 0).astype(np.int64), place, column
        )
        at = np.flatnonzero(walking)
        steps = np.zeros(len(key), np.int64)
        steps[at] = passes.walked(place[at], column["serial"][at], self._rings, self._held)
        self._rise("steps", np.flatnonzero(steps), steps, place, column)
        at = first("block", parcel & walking)
        in_block = self._blocks.of(key[at], column["serial"][at] // BLOCK)
        self._block_sums = longer(self._block_sums, self._blocks.count)
        filled = passes.summed(in_block, one[at], self._block_sums)
        highest = np.zeros(len(key), np.int64)
        highest[at] = passes.risen(place[at], filled, self._logs["block"].sums.copy())
        self._rise("block", np.flatnonzero(highest), highest, place, column)

    def crossings(self, thresholds: Mapping[str, Limits], *, fresh: bool = False) -> pa.Table:
        """The first row of each key at which a count is above its threshold, of schema :data:`CROSSING`, by time and id.

        ``fresh``: only of the rows fed last. A threshold by key must have one for every key that occurs.
        """
        parts = []
        for name, limits in thresholds.items():
            rises = self._logs[name].rises[self._before[name] if fresh else 0 :]
            if not rises:
                continue
            key, time, ids, value, by = (np.concatenate(column) for column in zip(*rises, strict=True))
            limit = _limits(limits, key)
            at = (value > limit) & (value - by <= limit)  # counts only rise: at most one row of a key
            columns = (key[at], np.full(int(at.sum()), name), time[at], ids[at], value[at])
            parts.append(
                pa.table([pa.array(c, f.type) for c, f in zip(columns, CROSSING, strict=True)], schema=CROSSING)
            )
        table = pa.concat_tables(parts) if parts else CROSSING.empty_table()
        return table.sort_by([("time", "ascending"), ("id", "ascending"), ("name", "ascending"), ("key", "ascending")])

    def finals(self) -> dict[str, tuple[I64, I64]]:
        """Of each count the keys that have any, ascending, and their counts so far."""
        made = {}
        for name, log in self._logs.items():
            at = np.flatnonzero(log.sums)
            at = at[np.argsort(self._key_of[at])]
            made[name] = self._key_of[at], log.sums[at]
        return made

    def _key(self, column: Mapping[str, npt.NDArray[Any]]) -> I64:
        if self._kind != "actor_device":
            return column[self._kind].astype(np.int64)
        nobody = (column["actor"] < 0) | (column["device"] < 0)
        return np.where(nobody, np.int64(-1), pairs(column["actor"], column["device"]))

    def _is_known(self, column: Mapping[str, npt.NDArray[Any]]) -> Bools:
        return np.isin(pairs(column["actor"], column["device"]), self._known)

    def _in_order(self, received: I64, ids: I64) -> None:
        if not len(received):
            return
        ascending = (received[1:] > received[:-1]) | ((received[1:] == received[:-1]) & (ids[1:] >= ids[:-1]))
        first, last = (int(received[0]), int(ids[0])), (int(received[-1]), int(ids[-1]))
        if not ascending.all() or (self._last is not None and first < self._last):
            raise InputError("the rows are not in the order of (received, id)")
        self._last = last

    def _rise(self, name: str, at: I64, amounts: I64, place: I64, column: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add ``amounts`` at the rows ``at``, and log it."""
        if not at.size:
            return
        log, amount = self._logs[name], amounts[at]
        value = passes.summed(place[at], amount, log.sums)
        log.rises.append((self._key_of[place[at]], column["received"][at], column["id"][at], value, amount))

    def _grow(self) -> None:
        """Room for every key."""
        size = self._keys.count
        self._key_of, self._held = longer(self._key_of, size), longer(self._held, size)
        if size > len(self._rings):
            self._rings = np.pad(self._rings, ((0, len(self._held) - len(self._rings)), (0, 0)))
        for log in self._logs.values():
            log.sums = longer(log.sums, size)


def _limits(limits: Limits, key: I64) -> npt.NDArray[np.floating[Any]]:
    if callable(limits):
        return limits(key)
    array = np.asarray(limits, np.float64)
    if array.ndim and key.max() >= len(array):
        raise InputError("there are {count} limits, and key {key} has none", count=len(array), key=int(key.max()))
    return array[key] if array.ndim else np.full(len(key), float(array))
