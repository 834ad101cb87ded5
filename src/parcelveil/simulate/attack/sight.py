"""What attackers can find out on one day: parcels, numbers, people, and their own accounts' work.

One :class:`Sight` serves all attackers of a day, so an index is made once, and only when somebody asks for it::

    sight = Sight(day, world, accounts)      # accounts: all that attackers use
    sight.parcels.serial[sight.elsewhere(draw, 20, outlet)]

Positions are rows of ``day.parcels``. Whoever asks gets fewer than wanted when there are no more.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.attack.dice import some
from parcelveil.simulate.carrier.day import Day, Parcels
from parcelveil.simulate.carrier.rows import AccessRows
from parcelveil.simulate.carrier.world import World
from parcelveil.simulate.draw import Draw

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: Looks are told to the systems within seconds; what took longer than this came in a batch.
_AT_ONCE = 5 * SECOND


class Sight:
    """``day`` and ``world`` as attackers see them; ``accounts``: those whose own looks somebody wants to copy."""

    def __init__(self, day: Day, world: World, accounts: Codes) -> None:
        self.day, self.world, self._accounts = day, world, accounts
        self._here: dict[int, Ints] = {}

    @cached_property
    def parcels(self) -> Parcels:
        """All parcels under way today."""
        return self.day.parcels

    def here(self, outlet: int) -> Ints:
        """Parcels that are at ``outlet`` in the morning."""
        if outlet not in self._here:
            self._here[outlet] = np.flatnonzero(self.parcels.at == outlet)
        return self._here[outlet]

    def colleagues(self, draw: Draw, count: int, account: int) -> Ints:
        """Parcels at the account's own outlet that somebody else takes round, or nobody yet."""
        here = self.here(int(self.day.outlet[account]))
        here = here[self.parcels.courier[here] != account]
        return np.asarray(here[some(draw, len(here), count)])

    def elsewhere(self, draw: Draw, count: int, account: int, *, far: bool = False) -> Ints:
        """Parcels that the account's outlet has nothing to do with; with ``far``, of other regions."""
        parcel, world, own = self.parcels, self.world, int(self.day.outlet[account])
        found = np.empty(0, np.int64)
        for _ in range(6):
            if len(found) >= count or not len(parcel.serial):
                break
            at = draw.below(len(parcel.serial), 3 * count + 32)
            fits = (parcel.at[at] != own) & (parcel.dest[at] != own) & (parcel.origin[at] != own)
            if far:
                region = world.outlet_region[own]
                fits &= (world.outlet_region[parcel.at[at]] != region) & (
                    world.outlet_region[parcel.dest[at]] != region
                )
            drawn = np.concatenate([found, at[fits]])
            found = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
        return found[:count]

    @cached_property
    def _by_posted(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.parcels.posted, kind="stable")
        return order, self.parcels.posted[order]

    def fresh(self, draw: Draw, times: Ints) -> tuple[Ints, Ints]:
        """For each of ``times`` a parcel collected five minutes to two hours before; and the times that had one."""
        order, posted = self._by_posted
        low = np.searchsorted(posted, times - 2 * HOUR)
        high = np.searchsorted(posted, times - 5 * MINUTE)
        had = high > low
        low, high = low[had], high[had]
        at = order[low + draw.below((high - low).astype(np.uint64), len(low))]
        return at, times[had]

    @cached_property
    def _by_subject(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.parcels.subject, kind="stable")
        return order, self.parcels.subject[order]

    def of_subjects(self, subjects: Ints) -> tuple[Ints, Ints]:
        """Positions of all parcels of ``subjects``, and for each the place in ``subjects``."""
        order, sorted_ = self._by_subject
        low, high = np.searchsorted(sorted_, subjects), np.searchsorted(sorted_, subjects, side="right")
        which = np.repeat(np.arange(len(subjects)), high - low)
        inner = np.arange(len(which)) - np.repeat(np.cumsum(high - low) - (high - low), high - low)
        return order[np.repeat(low, high - low) + inner], which

    @cached_property
    def _by_serial(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.parcels.serial, kind="stable")
        return order, self.parcels.serial[order]

    def find(self, serials: Ints) -> Ints:
        """The positions of parcels under way with these numbers; -1 for any other number."""
        if not len(self.parcels.serial):
            return np.full(len(serials), -1, np.int64)
        order, sorted_ = self._by_serial
        at = np.minimum(np.searchsorted(sorted_, serials), len(sorted_) - 1)
        return np.where(sorted_[at] == serials, order[at], -1)

    def subject_of(self, serials: Ints) -> Ints:
        """The recipients of parcels under way; -1 for any other number."""
        if not len(self.parcels.serial):
            return np.full(len(serials), -1, np.int64)
        at = self.find(serials)
        return np.where(at >= 0, self.parcels.subject[at], -1)

    def exists(self, serials: Ints) -> npt.NDArray[np.bool_]:
        """Whether each number was ever issued."""
        block = self.day.issued
        order = np.argsort(block.start, kind="stable")
        start, used = block.start[order], block.used[order]
        at = np.maximum(np.searchsorted(start, serials, side="right") - 1, 0)
        if not len(start):
            return np.zeros(len(serials), np.bool_)
        return (serials >= start[at]) & (serials < start[at] + used[at])

    @cached_property
    def _own(self) -> dict[int, Ints]:
        wanted = np.zeros(len(self.world.role), np.bool_)
        wanted[self._accounts] = True
        at = np.flatnonzero(wanted[self.day.access["actor"]])
        actor, time = self.day.access["actor"][at], self.day.access["time"][at]
        at = at[np.lexsort((time, actor))]
        actors, first = np.unique(self.day.access["actor"][at], return_index=True)
        return dict(zip(actors.tolist(), np.split(at, first[1:]), strict=True)) if len(at) else {}

    def own(self, account: int) -> Ints:
        """The account's own benign looks of today, as rows of ``day.access``, in order of time."""
        return self._own.get(account, np.empty(0, np.int64))

    def shift(self, account: int) -> tuple[int, int]:
        """Begin and end of the account's shift today; on a day off that of an ordinary day."""
        day = self.day
        if day.duty[account] and day.end[account] > day.start[account]:
            return int(day.start[account]), int(day.end[account])
        begin, end = int(self.world.shift_start[account]), int(self.world.shift_end[account])
        if begin < 0 or end <= begin:
            begin, end = 8 * 60, 18 * 60
        return day.midnight + begin * MINUTE, day.midnight + end * MINUTE

    @cached_property
    def _prompt(self) -> Ints:
        """How much later the systems had benign looks that were told at once."""
        rows: AccessRows = self.day.access
        late = rows["received"] - rows["time"] + self.world.device_skew[rows["device"]]
        return late[(late >= 0) & (late < _AT_ONCE)]

    def clocked(self, draw: Draw, times: Ints, device: Codes) -> tuple[Ints, Ints]:
        """``times`` as the systems note them: ``time`` by the clock of ``device``, ``received`` as late as of other looks."""
        late = self._prompt
        late = late[draw.below(len(late), len(times))] if len(late) else np.full(len(times), SECOND)
        return times + self.world.device_skew[device], times + late
