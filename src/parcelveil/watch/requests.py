"""A day's requests of a web log as arrays, and running counts over them.

::

    asked = Requests.of(table, networks, users)      # table of weblog.REQUESTS; networks, users: Index, kept between days
    n = running(key, flags)                          # how many flags each key has had, up to and with each row

Rows are in the order of time (ties: of the log). ``row`` is where each stood in the table. Running counts use only rows up to their own, so
whatever is said of the first hours of a day does not change when the rest of the day comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float64]

KINDS = ("track", "api", "login", "other")
LOGIN = KINDS.index("login")


class Index:
    """Names and their codes, by order of appearance; kept from day to day."""

    def __init__(self) -> None:
        self._codes: dict[str | int, int] = {}
        self.names: list[str | int] = []

    def __len__(self) -> int:
        return len(self.names)

    def codes(self, values: Sequence[str | int | None]) -> Int64:
        """The code of each value, -1 for None."""
        result = np.full(len(values), -1, np.int64)
        for at, value in enumerate(values):
            if value is not None:
                code = self._codes.get(value)
                if code is None:
                    code = self._codes[value] = len(self.names)
                    self.names.append(value)
                result[at] = code
        return result

    def column(self, values: pa.ChunkedArray) -> Int64:
        """The codes of a column of text, dictionary-encoded or not; -1 for null."""
        whole = values.combine_chunks()
        whole = whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole
        encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
        codes = np.append(self.codes(encoded.dictionary.to_pylist()), -1)
        found: Int64 = codes[np.asarray(encoded.indices.cast(pa.int64()).fill_null(-1))]
        return found


class Requests(NamedTuple):
    """Arrays of one length, by time. ``kind``: place in :data:`KINDS`; ``agent``: code; the rest as in weblog.REQUESTS."""

    row: Int64
    time: Int64
    network: Int64
    address: Int64
    user: Int64
    kind: Int64
    serial: Int64
    status: Int64
    agent: Int64

    @classmethod
    def of(cls, table: pa.Table, networks: Index, users: Index, agents: Index) -> Requests:
        """Of a table of weblog.REQUESTS."""
        kinds = Index()
        kinds.codes(KINDS)
        agent_values, place = np.unique(table["agent"].to_numpy(), return_inverse=True)
        columns = [
            table["time"].to_numpy(),
            networks.column(table["network"]),
            table["address"].to_numpy(),
            users.column(table["user"]),
            kinds.column(table["kind"]),
            table["serial"].to_numpy(),
            table["status"].to_numpy().astype(np.int64),
            agents.codes(agent_values.tolist())[place],
        ]
        order = np.argsort(columns[0], kind="stable").astype(np.int64)
        return cls(order, *(column[order] for column in columns))

    def take(self, of: Flags | Int64) -> Requests:
        """The rows for which ``of`` holds, or which it names."""
        return Requests(*(column[of] for column in self))


def running(key: Int64, amount: npt.NDArray[np.generic]) -> Int64:
    """The sum of ``amount`` over the rows of the same key up to and with each row."""
    order = np.argsort(key, kind="stable")
    ordered, total = key[order], np.cumsum(amount[order].astype(np.int64))
    if not len(key):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    before = np.repeat(np.r_[0, total[starts[1:] - 1]], np.diff(np.r_[starts, len(key)]))
    result = np.empty(len(key), np.int64)
    result[order] = total - before
    return result


def firsts(*keys: Int64) -> Flags:
    """Which rows are the first with their combination of keys."""
    size = len(keys[0])
    if not size:
        return np.zeros(0, np.bool_)
    order = np.lexsort((np.arange(size), *keys))
    new = np.zeros(size, np.bool_)
    for key in keys:
        ordered = key[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    new[0] = True
    result = np.zeros(size, np.bool_)
    result[order] = new
    return result


def near_before(key: Int64, serial: Int64, apart: Int64 | None, *, back: int, distance: int) -> Flags:
    """Which rows have a number that is 1 to ``distance`` away from one of the key's ``back`` rows before.

    With ``apart``: from a row whose ``apart`` (network, say) is another one.
    """
    order = np.argsort(key, kind="stable")
    k, s = key[order], serial[order]
    other = apart[order] if apart is not None else None
    found = np.zeros(len(key), np.bool_)
    for lag in range(1, min(back, len(key) - 1) + 1):
        step = np.abs(s[lag:] - s[:-lag])
        hit = (k[lag:] == k[:-lag]) & (step >= 1) & (step <= distance)
        if other is not None:
            hit &= other[lag:] != other[:-lag]
        found[lag:] |= hit
    result = np.empty(len(key), np.bool_)
    result[order] = found
    return result


def crossing(key: Int64, over: Flags) -> tuple[Int64, Int64]:
    """The keys for which ``over`` holds anywhere, ascending, and the position of the first row of each."""
    at = np.flatnonzero(over)
    keys, first = np.unique(key[at], return_index=True)
    return keys, at[first]
