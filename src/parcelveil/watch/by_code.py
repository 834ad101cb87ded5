"""Arrays by code, and rows counted by account: what every detector does before it thinks.

::

    sums = longer(sums, int(actors.max(initial=-1)) + 1)         # room for every account
    at, there = places(subjects, among=actors)                   # where each subject stands among ascending codes
    spread(subjects, scores, actors)                             # one value for each of `actors`, 0 for the others
    rows = firsts(actor, waybill)                                # one row of each pair: the first
    different(actor, waybill, actors)                            # how many different parcels each of `actors` has

Codes are those of :class:`~parcelveil.watch.codes.Codes`. Arrays of accounts are ascending and without repeats.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = TypeVar("Array", bound=npt.NDArray[Any])
Codes = npt.NDArray[np.integer[Any]]
Index = npt.NDArray[np.intp]


def longer(values: Array, size: int, empty: float = 0) -> Array:
    """``values`` with room for ``size`` codes (the first axis), the new ones ``empty``. Doubles, so that growing stays cheap."""
    if size <= len(values):
        return values
    more = max(size, 2 * len(values)) - len(values)
    grown: Array = np.pad(values, [(0, more), *[(0, 0)] * (values.ndim - 1)], constant_values=empty)  # type: ignore[assignment]
    return grown


def places(subjects: Codes, among: Codes) -> tuple[Index, npt.NDArray[np.bool_]]:
    """Where each of ``subjects`` stands in ``among`` (ascending), and whether it is there at all."""
    at = np.searchsorted(among, subjects)
    there = at < len(among)
    there[there] = among[at[there]] == subjects[there]
    return at, there


def spread(subjects: Codes, values: npt.NDArray[np.float64], among: Codes) -> npt.NDArray[np.float64]:
    """The value of each of ``among``, 0 for those that are not ``subjects``. Others than ``among`` are left out."""
    at, there = places(subjects, among)
    result = np.zeros(len(among))
    result[at[there]] = values[there]
    return result


def firsts(actor: Codes, what: npt.NDArray[np.integer[Any]]) -> Index:
    """The row at which each pair of ``actor`` and ``what`` stands first, in the order of the rows."""
    order = np.lexsort((what, actor))  # stable: of equal pairs the first stays first
    new = np.ones(len(order), np.bool_)
    new[1:] = (actor[order][1:] != actor[order][:-1]) | (what[order][1:] != what[order][:-1])
    rows: Index = np.sort(order[new])
    return rows


def different(actor: Codes, what: npt.NDArray[np.integer[Any]], actors: Codes) -> npt.NDArray[np.int64]:
    """How many different ``what`` each of ``actors`` has; every ``actor`` is among them."""
    counts = np.bincount(np.searchsorted(actors, actor[firsts(actor, what)]), minlength=len(actors))
    return counts.astype(np.int64)
