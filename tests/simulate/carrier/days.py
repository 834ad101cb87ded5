"""Small carriers for tests, made once, and somebody who only watches the days being made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from parcelveil.simulate.carrier.day import Acts, Day, Parcels
from parcelveil.simulate.carrier.rows import AccessRows, WebRows, WorkRows
from parcelveil.simulate.carrier.run import Carrier
from parcelveil.simulate.carrier.world import World


@dataclass
class Made:
    """A day as it was made, before rows were sorted; times are by the devices' clocks."""

    number: int
    midnight: int
    duty: np.ndarray
    start: np.ndarray
    end: np.ndarray
    outlet: np.ndarray
    access: AccessRows
    work: WorkRows
    parcels: Parcels


@dataclass
class Onlooker:
    """An attacker who does nothing and remembers what he saw."""

    made: list[Made] = field(default_factory=list)

    def begin(self, world: World) -> None:
        self.world = world

    def act(self, day: Day, world: World) -> Acts:
        self.made.append(
            Made(
                day.number, day.midnight, day.duty.copy(), day.start.copy(), day.end.copy(), day.outlet.copy(),
                day.access, day.work, day.parcels,
            )
        )  # fmt: skip
        return Acts()


@dataclass
class Ended:
    """A day in order."""

    number: int
    midnight: int
    access: AccessRows
    work: WorkRows
    web: WebRows
    keys: dict[str, np.ndarray]


@lru_cache(maxsize=8)
def carrier(seed: int, staff: int = 160, days: int = 12) -> tuple[World, list[Made], list[Ended]]:
    onlooker = Onlooker()
    run = Carrier(seed, staff, days, attackers=[onlooker])
    ended = [Ended(d.number, d.midnight, d.access, d.work, d.web, dict(d.keys)) for d in run]
    return run.world, onlooker.made, ended


def joined(days: list[Ended], kind: str) -> Iterator[tuple[str, np.ndarray]]:
    """Columns of all days, one after the other."""
    rows = [getattr(day, kind) for day in days]
    for name in rows[0]:
        yield name, np.concatenate([part[name] for part in rows])
