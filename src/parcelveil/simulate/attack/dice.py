"""Numbers drawn for attackers: uniform, normal, amounts around a mean, choices without repetition.

Made of :class:`~parcelveil.simulate.draw.Draw` only, so a seed gives the same attack everywhere::

    >>> draw = Draw(7, 1)
    >>> 900 < amount(draw, 1000.0, spread=0.01) < 1100
    True
    >>> sorted(some(draw, 4, 9).tolist())
    [0, 1, 2, 3]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.draw import Draw

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def uniform(draw: Draw, count: int) -> Floats:
    """``count`` numbers between 0 and 1, both excluded."""
    return np.asarray((draw.below(1 << 32, count) + 0.5) / 2**32)


def normal(draw: Draw, count: int) -> Floats:
    """``count`` standard normal numbers (Box and Muller 1958)."""
    radius = np.sqrt(-2 * np.log(uniform(draw, count)))
    return np.asarray(radius * np.cos(2 * np.pi * uniform(draw, count)))


def lognormal(draw: Draw, count: int, mean: float, spread: float) -> Floats:
    """``count`` lognormal numbers with this mean; ``spread`` is the standard deviation of the logarithm."""
    return np.asarray(mean * np.exp(spread * normal(draw, count) - spread * spread / 2))


def amount(draw: Draw, mean: float, *, spread: float = 0.25) -> int:
    """A whole number around ``mean``; what is below one is rounded up or down by chance, so the mean stays."""
    value = float(lognormal(draw, 1, mean, spread)[0]) + float(uniform(draw, 1)[0])
    return int(value)


def some(draw: Draw, size: int, count: int) -> Ints:
    """``count`` different numbers under ``size``, in no order; all of them where there are not so many."""
    if count >= size:
        return np.argsort(draw.below(1 << 32, size), kind="stable").astype(np.int64)
    if count * 4 > size:
        return np.argsort(draw.below(1 << 32, size), kind="stable")[:count].astype(np.int64)
    found = np.empty(0, np.int64)
    while len(found) < count:  # a quarter at most is taken, so this ends soon
        drawn = np.concatenate([found, draw.below(size, 2 * count)])
        first = np.unique(drawn, return_index=True)[1]
        found = drawn[np.sort(first)]
    return found[:count]


def one_of(draw: Draw, values: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """``count`` draws from ``values``, with repetition."""
    return np.asarray(values[draw.below(len(values), count)])


def weights(draw: Draw, count: int, chances: Floats) -> Ints:
    """``count`` positions of ``chances``, each as likely as its weight."""
    total = np.cumsum(chances)
    return np.asarray(np.searchsorted(total, uniform(draw, count) * total[-1], side="right"), np.int64)
