"""All attackers of a plan, as one participant of the carrier's days.

::

    attackers = Attackers(load_plan("demo", seed=7, days=28), seed=7)
    carrier = Carrier(seed=7, staff=2_000, days=28, attackers=[attackers])
    for day in carrier:
        attackers.note(day)          # which numbers their looks got
    attackers.truth(carrier.world)   # the tables of parcelveil.simulate.attack.truth

Every attack is given accounts of its own when the world stands: of a fitting role, at work in all its days, drawn from the seed.
Their benign work goes on. What an attacker draws on a day depends on seed, attack and day only; what it remembers, on the days
before, so one object serves for one run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from parcelveil.errors import UsageError
from parcelveil.simulate.attack.agent import Agent
from parcelveil.simulate.attack.oracle import Oracle, OwnCount
from parcelveil.simulate.attack.plan import STREAM, Attack
from parcelveil.simulate.attack.sight import Sight
from parcelveil.simulate.attack.strategies import FROM_OUTSIDE, STRATEGIES
from parcelveil.simulate.attack.strategies_walking import needs
from parcelveil.simulate.attack.truth import Found, Truth
from parcelveil.simulate.carrier.day import Acts, Day
from parcelveil.simulate.carrier.rows import ROLES, AccessRows, KeyRows, WebRows, WorkRows
from parcelveil.simulate.carrier.world import World
from parcelveil.simulate.draw import Draw

Codes = npt.NDArray[np.int32]


class Attackers:
    """The attacks of ``plan`` at work; ``oracle`` is what those of level 2 see of themselves."""

    def __init__(self, plan: Sequence[Attack], *, seed: int, oracle: Oracle | None = None) -> None:
        self._plan, self._seed = list(plan), seed
        self._oracle: Oracle = OwnCount() if oracle is None else oracle
        self.agents: list[Agent] = []
        self._found = Found()

    def begin(self, world: World) -> None:
        """Give every attack its accounts, devices and networks; whoever exports before leaving has given notice.

        Raises UsageError where the world has too few accounts for the plan.
        """
        draw = Draw(self._seed, STREAM, 1 << 20)
        order = np.argsort(draw.below(1 << 32, world.accounts), kind="stable").astype(np.int32)
        free = np.ones(world.accounts, np.bool_)
        self.agents = []
        # Whoever needs an account that is rare (one that leaves) chooses first.
        for attack in sorted(self._plan, key=lambda one: one.strategy.name != "export_before_leaving"):
            accounts = np.empty(0, np.int32)
            if attack.strategy.name not in FROM_OUTSIDE:
                accounts = _accounts(attack, world, order, free)
                free[accounts] = False
            agent = Agent(attack, accounts)
            if attack.strategy.name == "export_before_leaving":
                _gives_notice(attack, world, int(accounts[0]), draw)
            devices, nets = needs(agent)
            agent.devices = world.new_devices(devices)
            agent.networks = world.new_networks(nets)
            self.agents.append(agent)
        self.agents.sort(key=lambda one: one.attack.number)

    def act(self, day: Day, world: World) -> Acts:
        """What all that are active do on ``day``."""
        active = [agent for agent in self.agents if agent.first <= day.number < agent.attack.stop]
        if not active:
            return Acts()
        used = np.concatenate([agent.accounts for agent in active])
        sight = Sight(day, world, used.astype(np.int32))
        acts = []
        for agent in active:
            draw = Draw(self._seed, STREAM, 1 << 21, agent.attack.number, day.number)
            done = STRATEGIES[agent.attack.strategy.name](agent, sight, draw)
            agent.taken += int(done.access["records"][done.access["outcome"] == 0].sum())
            self._found.did(agent.attack.number, done.web)
            self._found.did(agent.attack.number, done.keys)
            acts.append(done)
        looks = AccessRows.join([done.access for done in acts])
        self._evening(sight, looks, active)
        return Acts(
            looks,
            WorkRows.join([done.work for done in acts]),
            WebRows.join([done.web for done in acts]),
            KeyRows.join([done.keys for done in acts]),
        )

    def _evening(self, sight: Sight, looks: AccessRows, active: Iterable[Agent]) -> None:
        """Those who see their score take it to heart."""
        watching = [agent for agent in active if agent.knowledge == 2 and len(agent.accounts)]
        if not watching:
            return
        accounts = np.concatenate([agent.accounts for agent in watching])
        scores = self._oracle.scores(sight, AccessRows.join([sight.day.access, looks]), accounts)
        edges = np.cumsum([len(agent.accounts) for agent in watching])[:-1]
        for agent, own in zip(watching, np.split(scores, edges), strict=True):
            agent.feel(float(own.max()))

    def note(self, day: Day) -> None:
        """Keep which event numbers the attackers' looks got, from a day that is in order. Wanted for every day."""
        self._found.close(day.marked(), {agent.attack.number: agent.taken for agent in self.agents})

    def truth(self, world: World) -> Truth:
        """Who attacked, and which rows were theirs, from the first day up to now."""
        return self._found.tables(self.agents, world)


def _accounts(attack: Attack, world: World, order: Codes, free: npt.NDArray[np.bool_]) -> Codes:
    """Accounts for one attack, of the first role that has enough; those that work together are of one region."""
    last = max(attack.stop - 1, attack.start)
    begin = 0 if attack.strategy.name == "poisoning" else attack.start
    there = free & (world.first_day <= begin) & (world.last_day >= last) & ~world.temporary
    for role in attack.roles:
        fits = order[(there & (world.role == ROLES.index(role)))[order]]
        if attack.accounts > 1 and len(fits):
            near = fits[world.region[fits] == world.region[fits[0]]]
            fits = near if len(near) >= attack.accounts else fits
        if attack.strategy.name == "export_before_leaving":
            soon = (world.leaves[fits] >= 0) & (world.last_day[fits] <= last + 14)
            fits = np.concatenate([fits[soon], fits[~soon & (world.leaves[fits] < 0)]])
        if len(fits) >= attack.accounts:
            return np.asarray(fits[: attack.accounts], np.int32)
    raise UsageError(
        "attack {number} ({strategy}) finds no account: {count} needed of role {roles}, at work on days {first} to {last}",
        hint="simulate more staff, or lower count in the plan",
        number=attack.number,
        strategy=attack.strategy.name,
        count=attack.accounts,
        roles=", ".join(attack.roles),
        first=begin,
        last=last,
    )


def _gives_notice(attack: Attack, world: World, account: int, draw: Draw) -> None:
    """An account whose owner leaves within days of the attack; one that leaves anyhow stays as it is."""
    if world.leaves[account] >= 0:
        return
    day = attack.stop + int(draw.below(7, 1)[0])
    world.account.last_day[account] = day
    world.account.leaves[account] = world.midnight(day)
