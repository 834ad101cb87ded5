"""One attacker: what it wants, what it fears, when it acts, and how its looks appear in the log.

A strategy is a function of an :class:`Agent`, a :class:`~parcelveil.simulate.attack.sight.Sight` and a stream of random words;
it says *which* parcels. The agent says how many (:meth:`Agent.wish`), when (:meth:`Agent.times`) and makes the rows
(:meth:`Agent.looks`), because that depends on the knowledge level in the same way for all strategies:

=====  ===============================================  =============================================  ===================
level  how many                                         when                                           of which parcels
=====  ===============================================  =============================================  ===================
0      the same every day, a round number when large    in one go                                      those it wants
1      about as many as it wants, no round number       spread over the shift, at the pace of a hand   those it wants
2      as 1, less while its own score is high           as 1                                           those it wants
3      as 1, on some days only                          minutes after its own work                     four of five at its
                                                                                                       own outlet
=====  ===============================================  =============================================  ===================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.attack.dice import amount, lognormal, one_of, some, uniform
from parcelveil.simulate.attack.plan import Attack
from parcelveil.simulate.attack.sight import MINUTE, SECOND, Sight
from parcelveil.simulate.carrier.rows import API, APP, COURIER, PARTNER, REVEAL, SORTER, WEB, AccessRows
from parcelveil.simulate.draw import Draw

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

#: Share of days on which somebody who knows everything takes something.
ACTIVE = 0.7
#: Share of its parcels that are at its own outlet.
COVER = 0.8
#: A score from here on makes an attacker take less, below :data:`CALM` it takes more again.
AFRAID, CALM = 1.0, 0.7


@dataclass
class Agent:
    """An attack at work. ``memory`` is the strategy's own, ``level`` the share of its wish that it dares to take."""

    attack: Attack
    accounts: Codes
    devices: Codes = field(default_factory=lambda: np.empty(0, np.int32))
    networks: Codes = field(default_factory=lambda: np.empty(0, np.int32))
    memory: dict[str, Any] = field(default_factory=dict)
    level: float = 1.0
    #: Records taken so far.
    taken: int = 0

    @property
    def knowledge(self) -> int:
        """0 to 3."""
        return self.attack.knowledge

    @property
    def first(self) -> int:
        """The first day on which it does something: whoever teaches the baseline begins with the simulation."""
        return 0 if self.attack.strategy.name == "poisoning" else self.attack.start

    def wish(self, draw: Draw, rate: float | None = None) -> int:
        """How many records an account takes today; ``rate`` instead of the plan's."""
        rate = self.attack.rate if rate is None else rate
        if self.knowledge == 0:
            return round(rate / 10) * 10 if rate >= 20 else int(rate + float(uniform(draw, 1)[0]))
        if self.knowledge == 2:
            rate *= self.level
        if self.knowledge == 3:
            if not draw.chance(ACTIVE, 1)[0]:
                return 0
            rate /= ACTIVE
        count = amount(draw, rate)
        return count - 1 - count % 3 if count >= 20 and count % 10 == 0 else count

    def feel(self, score: float) -> None:
        """The evening's score of its own: 1 is where the carrier would ask."""
        if score >= AFRAID:
            self.level = max(self.level * 0.6, 0.05)
        elif score < CALM:
            self.level = min(self.level * 1.15, 1.0)

    def works(self, sight: Sight, account: int) -> bool:
        """Whether the account's holder is at work today."""
        return bool(sight.day.duty[account])

    def times(self, sight: Sight, account: int, count: int, draw: Draw, *, pace: float = 12.0) -> Ints:
        """When: at most ``count`` moments of the shift, in order; ``pace``: seconds from one look to the next in one go.

        Whoever does more than the shift holds at a hand's pace (three seconds and more) has to leave the rest.
        """
        begin, end = sight.shift(account)
        if self.knowledge == 0:
            first = begin + int(uniform(draw, 1)[0] * max(end - begin - count * pace * SECOND, 1))
            return first + np.cumsum(lognormal(draw, count, pace * SECOND, 0.4).astype(np.int64))
        own = sight.own(account)
        if self.knowledge == 3 and len(own):
            near = sight.day.access["time"][own][draw.below(len(own), count)]
            moments = near + lognormal(draw, count, 80 * SECOND, 0.8).astype(np.int64)
        else:
            moments = begin + (uniform(draw, count) * (end - begin)).astype(np.int64)
        moments = np.sort(moments)[: max((end - begin) // (3 * SECOND), 1)]
        # Nobody opens two parcels at once: what falls together is pushed apart.
        step = np.arange(len(moments)) * (3 * SECOND)
        return np.asarray(np.maximum.accumulate(moments - step) + step)

    def targets(self, sight: Sight, account: int, count: int, draw: Draw, *, far: bool = False) -> Ints:
        """Which parcels: others' ones; for level 3 four of five at the own outlet."""
        if self.knowledge < 3:
            return sight.elsewhere(draw, count, account, far=far)
        covered = sight.colleagues(draw, int((uniform(draw, count) < COVER).sum()), account)
        at = np.concatenate([covered, sight.elsewhere(draw, count - len(covered), account)])
        return at[some(draw, len(at), len(at))]

    def looks(
        self,
        sight: Sight,
        account: int,
        times: Ints,
        draw: Draw,
        *,
        at: Ints | None = None,
        device: int | Codes | None = None,
        network: int | Codes | None = None,
        **columns: npt.ArrayLike,
    ) -> AccessRows:
        """Looks of ``account`` at ``times``, at the parcels at positions ``at`` (else give ``waybill`` and ``subject``).

        Device, network and channel are those of the account's own look of today that is nearest in time, if not given.
        """
        count, world = len(times), sight.world
        own, rows = sight.own(account), sight.day.access
        if len(own):
            near = own[np.minimum(np.searchsorted(rows["time"][own], times), len(own) - 1)]
            device = rows["device"][near] if device is None else device
            network = rows["network"][near] if network is None else network
        if device is None:
            broken = world.new_device_day[account] <= sight.day.number
            device = world.new_device[account] if broken else world.device[account]
        network = world.mobile[account] if network is None else network
        devices = np.broadcast_to(np.asarray(device, np.int32), count)
        channel = columns.pop("channel", None)
        if channel is None:
            usual = _CHANNEL.get(int(world.role[account]), WEB)
            mine = rows["channel"][own][rows["action"][own] == REVEAL]
            channel = one_of(draw, mine, count) if len(mine) else usual
        if at is not None:
            columns = {"waybill": sight.parcels.serial[at], "subject": sight.parcels.subject[at], **columns}
        if self.knowledge == 3 and len(own) and "fields" not in columns:
            columns["fields"] = one_of(draw, rows["fields"][own], count)
        time, received = sight.clocked(draw, times, devices)
        return AccessRows.of(
            count,
            time=time,
            received=received,
            actor=account,
            outlet=sight.day.outlet[account],
            device=devices,
            network=network,
            channel=channel,
            **{"action": REVEAL, **columns},
            mark=self.attack.number,
        )


_CHANNEL = {COURIER: APP, SORTER: APP, PARTNER: API}

#: Seconds between two requests of a script, and of a hand.
SCRIPT, HAND = 1.0, 8.0


def evening(sight: Sight, account: int, count: int, draw: Draw) -> Ints:
    """``count`` moments in the six hours after the account's shift, in order."""
    end = sight.shift(account)[1] + 20 * MINUTE
    return np.sort(end + (uniform(draw, count) * 6 * 60 * MINUTE).astype(np.int64))


def paced(draw: Draw, begin: int, count: int, seconds: float, *, spread: float = 0.3) -> Ints:
    """``count`` moments from ``begin`` on, about so many seconds apart, with a pause here and there."""
    gaps = lognormal(draw, count, seconds * SECOND, spread)
    gaps += draw.chance(0.01, count) * lognormal(draw, count, 60 * seconds * SECOND, 0.5)
    return begin + np.cumsum(gaps.astype(np.int64))
