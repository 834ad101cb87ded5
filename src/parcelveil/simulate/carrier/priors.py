"""Draws what this seed's carrier is like, between the bounds of ``priors.toml``.

>>> 42 <= parameters(7)["parcels_a_courier"] <= 58
True
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from parcelveil.simulate.draw import Draw


@lru_cache(maxsize=1)
def priors() -> dict[str, dict[str, Any]]:
    """The tables of ``priors.toml``: low, high, status, source."""
    return tomllib.loads(files("parcelveil.simulate.carrier").joinpath("priors.toml").read_text("utf-8"))


def parameters(seed: int) -> dict[str, float]:
    """A value for each prior, uniform between its bounds. A prior keeps its value when others are added behind it."""
    table = priors()
    values = Draw(seed, 10).below(1 << 32, len(table)) / float(1 << 32)
    return {
        name: round(prior["low"] + float(value) * (prior["high"] - prior["low"]), 6)
        for (name, prior), value in zip(table.items(), values, strict=True)
    }
