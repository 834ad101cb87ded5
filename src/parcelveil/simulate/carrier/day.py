"""One day of the carrier: who works, which parcels are under way, what was looked at and done.

An attacker reads a :class:`Day` and gives back :class:`Acts`; see the package's docstring. ``access`` and ``work`` hold the
benign rows made today when an attacker sees the day. When the day comes out of the loop they hold everything that was
*received* today, in order, with the column ``id``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.carrier.rows import AccessRows, KeyRows, WebRows, WorkRows
from parcelveil.simulate.carrier.world import World

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


class Parcels(NamedTuple):
    """Parcels under way today, in no meaningful order; one row a parcel."""

    serial: Ints
    origin: Codes  # outlet that collected it
    dest: Codes  # station that delivers it
    at: Codes  # outlet where it is in the morning; of a parcel collected today its origin
    courier: Codes  # who takes it round today, or -1
    aoi: Codes  # area of interest (estate, office block) of the recipient
    subject: Ints  # the recipient
    posted: Ints  # when it was collected, microseconds UTC; of a parcel collected today maybe later than now
    arrives: Ints  # when it reaches its station, maybe in the future
    issuer: Codes  # merchant or outlet that issued its number
    attempts: Codes  # how often delivery failed so far


class Blocks(NamedTuple):
    """Blocks of 1,000 numbers; ``start`` is the first serial number of each."""

    start: Ints
    owner: Codes  # issuer
    outlet: Codes  # outlet that collects for it
    used: Codes  # numbers of the block issued up to the end of today


class Acts(NamedTuple):
    """What an attacker did on a day. ``keys``: values opened in the key service beside all logs (``logged`` 0)."""

    access: AccessRows = AccessRows.of(0)
    work: WorkRows = WorkRows.of(0)
    web: WebRows = WebRows.of(0)
    keys: KeyRows = KeyRows.of(0)


class Marked(NamedTuple):
    """Marked rows of ``access`` that were received today."""

    mark: Codes
    event_id: npt.NDArray[np.uint64]
    time: Ints


@dataclass
class Day:
    """``number`` counts from 0. Arrays by account have one entry an account of the world, whether it works or not."""

    number: int
    midnight: int  # local midnight, microseconds UTC
    duty: npt.NDArray[np.bool_]
    start: Ints
    end: Ints
    outlet: Codes  # where the account belongs today
    access: AccessRows
    work: WorkRows
    web: WebRows
    keys: KeyRows
    _parcels: Callable[[], Parcels]
    _issued: Callable[[], Blocks]
    _tickets: Callable[[int], Ints]
    device: Codes = field(default_factory=lambda: np.empty(0, np.int32))  # what each account uses today
    network: Codes = field(default_factory=lambda: np.empty(0, np.int32))  # where it is outside its workplace
    _kept: list[Parcels | Blocks | None] = field(default_factory=lambda: [None, None])

    @property
    def parcels(self) -> Parcels:
        """All parcels under way today. Only while the day is being made (in ``act``)."""
        if self._kept[0] is None:
            self._kept[0] = self._parcels()
        return self._kept[0]  # type: ignore[return-value]

    @property
    def issued(self) -> Blocks:
        """All blocks of numbers issued so far. Only while the day is being made (in ``act``)."""
        if self._kept[1] is None:
            self._kept[1] = self._issued()
        return self._kept[1]  # type: ignore[return-value]

    def new_tickets(self, count: int) -> Ints:
        """Numbers for new tickets."""
        return self._tickets(count)

    def marked(self) -> Marked:
        """The marked looks received today, with the event numbers that they got. Only when the day is in order."""
        at = np.flatnonzero(self.access["mark"] >= 0)
        return Marked(self.access["mark"][at], self.access["id"][at].astype(np.uint64), self.access["time"][at])


class Attacker(Protocol):
    """Somebody with a goal of his own, beside the benign work of the same account."""

    def begin(self, world: World) -> None:
        """Once, before the first day."""

    def act(self, day: Day, world: World) -> Acts:
        """What he does on ``day``."""
