"""Small carriers with attackers, run once, and what is known of each attack's looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from parcelveil.simulate.attack.attackers import Attackers
from parcelveil.simulate.attack.plan import read_plan
from parcelveil.simulate.attack.truth import Truth
from parcelveil.simulate.carrier.day import Acts, Day
from parcelveil.simulate.carrier.rows import AccessRows
from parcelveil.simulate.carrier.run import Carrier
from parcelveil.simulate.carrier.world import World

SEED, STAFF, DAYS = 11, 700, 9


@dataclass
class Deeds:
    """What one attack did on one day, and the day."""

    attack: int
    number: int
    acts: Acts
    #: By look: whether the parcel had anything to do with the outlet; -1 where it is not under way.
    foreign: Any
    far: Any
    posted: Any
    day: Day


class Watched(Attackers):
    """Attackers whose acts are kept, attack by attack, with what is only known while the day is made."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.deeds: list[Deeds] = []

    def act(self, day: Day, world: World) -> Acts:
        acts = super().act(day, world)
        parcel = day.parcels
        order = np.argsort(parcel.serial)
        marks = [acts.access["mark"], acts.work["mark"], acts.web["mark"]]
        for attack in np.unique(np.concatenate(marks)).tolist():
            looks, work, web = (rows.take(rows["mark"] == attack) for rows in (acts.access, acts.work, acts.web))
            at = np.minimum(np.searchsorted(parcel.serial[order], looks["waybill"]), len(order) - 1)
            at = order[at]
            live = parcel.serial[at] == looks["waybill"]
            own = looks["outlet"]
            strange = (parcel.at[at] != own) & (parcel.dest[at] != own) & (parcel.origin[at] != own)
            region = world.outlet_region
            far = (region[parcel.at[at]] != region[own]) & (region[parcel.dest[at]] != region[own])
            self.deeds.append(
                Deeds(
                    attack,
                    day.number,
                    Acts(looks, work, web, acts.keys),
                    np.where(live, strange, -1),
                    np.where(live, far, -1),
                    np.where(live, parcel.posted[at], -1),
                    day,
                )
            )
        return acts


@dataclass
class Ran:
    """A run that is over."""

    crew: Watched
    world: World
    truth: Truth
    looks: AccessRows  # all looks received, with id
    web: int
    keys: int  # values opened less values logged
    days: list[Day] = field(default_factory=list)

    def of(self, strategy: str, knowledge: int | None = None) -> list[Deeds]:
        """Days' deeds of all attacks of a strategy."""
        wanted = {
            agent.attack.number
            for agent in self.crew.agents
            if agent.attack.strategy.name == strategy and knowledge in (None, agent.knowledge)
        }
        assert wanted, strategy
        return [deed for deed in self.crew.deeds if deed.attack in wanted]

    def column(self, name: str, strategy: str, knowledge: int | None = None) -> Any:
        """A column of an attack's looks, day after day."""
        return np.concatenate([deed.acts.access[name] for deed in self.of(strategy, knowledge)])


def run(text: str, *, seed: int = SEED, staff: int = STAFF, days: int = DAYS, oracle: Any = None) -> Ran:
    """A carrier with the plan ``text``."""
    crew = Watched(read_plan(text, seed=seed, days=days), seed=seed, oracle=oracle)
    carrier = Carrier(seed=seed, staff=staff, days=days, attackers=[crew])
    kept, looks, web, keys = [], [], 0, 0
    for day in carrier:
        crew.note(day)
        looks.append(day.access)
        kept.append(day)
        web += day.web.count
        keys += int((day.keys["values"] - day.keys["logged"]).sum())
    joined = AccessRows.join(looks)
    joined["id"] = np.concatenate([rows["id"] for rows in looks])
    return Ran(crew, carrier.world, crew.truth(carrier.world), joined, web, keys, kept)


#: Every strategy that looks, at every level; few enough for a small carrier.
EVERYTHING = """
[[attacker]]
strategy = "bulk"
rate = 400
knowledge = [0, 1, 2, 3]
start_day = 3
[[attacker]]
strategy = "export_before_leaving"
knowledge = [0, 1, 3]
role = "clerk"
start_day = 3
[[attacker]]
strategy = "sequential"
rate = 300
knowledge = [0, 1, 2, 3]
start_day = 3
role = "clerk"
days = 3
[[attacker]]
strategy = "in_block"
rate = 300
knowledge = [0, 1, 2, 3]
start_day = 3
role = "clerk"
[[attacker]]
strategy = "distributed"
knowledge = [0, 1, 2, 3]
rate = 60
start_day = 3
[[attacker]]
strategy = "by_phone"
knowledge = [0, 1, 2, 3]
start_day = 2
role = "courier"
[[attacker]]
strategy = "slow"
knowledge = [0, 1, 2, 3]
start_day = 2
days = 7
[[attacker]]
strategy = "below_threshold"
knowledge = [0, 1, 2, 3]
start_day = 2
role = "courier"
[[attacker]]
strategy = "on_demand"
knowledge = [0, 1, 2, 3]
start_day = 2
role = "courier"
[[attacker]]
strategy = "own_station"
knowledge = [0, 1, 2, 3]
start_day = 2
role = "courier"
[[attacker]]
strategy = "pair"
knowledge = [0, 1, 2, 3]
start_day = 2
[[attacker]]
strategy = "rented"
knowledge = [0, 1, 2, 3]
rate = 120
start_day = 3
[[attacker]]
strategy = "phished"
knowledge = [0, 1, 2, 3]
rate = 100
start_day = 3
role = "courier"
[[attacker]]
strategy = "neighbours"
knowledge = [0, 1, 2, 3]
start_day = 1
[[attacker]]
strategy = "ex_partner"
knowledge = [0, 1, 2, 3]
start_day = 1
[[attacker]]
strategy = "franchise_owner"
knowledge = [0, 1]
start_day = 3
[[attacker]]
strategy = "bypass"
start_day = 3
[[attacker]]
strategy = "poisoning"
knowledge = [0, 1, 2, 3]
start_day = 7
[[attacker]]
strategy = "self_tickets"
knowledge = [0, 1, 2, 3]
start_day = 2
role = "clerk"
[[attacker]]
strategy = "photographs"
start_day = 2
[[attacker]]
strategy = "scraper"
knowledge = [0, 1, 2, 3]
rate = 2000
start_day = 3
[[attacker]]
strategy = "stuffing"
knowledge = [0, 1, 2, 3]
rate = 1500
start_day = 3
"""


@cache
def everything() -> Ran:
    """All of them at once."""
    return run(EVERYTHING)
