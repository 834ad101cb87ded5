"""How accounts behave besides how much they look: one detector of settled days made of several.

::

    conduct = Conduct(register)                  # of watch.coded.Coder.accounts
    conduct.feed(accesses)                       # every access, CODED_ACCESS, as it comes: who was where on which device
    for scores in conduct.score(rows):           # a settled DayRows: Scores of accounts
        ...
    conduct.proven                               # signals of that day that need no threshold

The names are ``export`` (:mod:`~parcelveil.watch.exports`), ``dormant``, ``changed``, ``leaving``
(:mod:`~parcelveil.watch.accounts`), ``device``, ``places``, ``shared`` (:mod:`~parcelveil.watch.devices`), ``subject``
(:mod:`~parcelveil.watch.subjects`) and ``pair`` (:mod:`~parcelveil.watch.pairs`). Every one has a number for every account of the
day, 0 where there is nothing to say. Accesses may come in any parts and order; those of a day that was settled already are
passed over.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from parcelveil.watch.accounts import Lifecycle
from parcelveil.watch.coded import Accounts
from parcelveil.watch.daily import DayRows, day_of
from parcelveil.watch.devices import Devices, Int64, Presence, Seen
from parcelveil.watch.exports import Exports
from parcelveil.watch.pairs import Pairs
from parcelveil.watch.signals import Scores, Signal
from parcelveil.watch.subjects import Subjects

#: What :meth:`Conduct.score` gives, in its order.
NAMES = ("export", "dormant", "changed", "leaving", "device", "places", "shared", "subject", "pair")


class Conduct:
    """See the module. ``register`` may be replaced at any time by a newer one."""

    def __init__(self, register: Accounts, *, offset_minutes: int = 480) -> None:
        self.register = register
        self.proven: list[Signal] = []
        self._offset = offset_minutes
        self._exports = Exports(offset_minutes=offset_minutes)
        self._lifecycle = Lifecycle(offset_minutes=offset_minutes)
        self._devices = Devices(offset_minutes=offset_minutes)
        self._subjects = Subjects(offset_minutes=offset_minutes)
        self.pairs = Pairs(offset_minutes=offset_minutes)
        self._presence: dict[int, Presence] = {}
        self._settled: int | None = None

    def feed(self, accesses: pa.Table) -> None:
        """Note who is where. ``accesses``: rows of CODED_ACCESS."""
        days = day_of(accesses["time"].to_numpy(), self._offset)
        for day in np.unique(days).tolist():
            if self._settled is None or day > self._settled:
                self._presence.setdefault(day, Presence()).feed(accesses.filter(pa.array(days == day)))

    def known_presence(self, day: int, seen: Seen) -> None:
        """Take who was where on a day as gathered before, in place of :meth:`feed`."""
        self._presence[day] = Presence(seen)

    def score(self, rows: DayRows) -> list[Scores]:
        """The day's statistics by :data:`NAMES`. Days come in ascending order."""
        self._settled = rows.day
        presence = self._presence.get(rows.day, Presence())
        self._presence = {day: kept for day, kept in self._presence.items() if day > rows.day}
        export = self._exports.score(rows)
        found = self._devices.score(rows, presence.seen(), self.register)
        self.proven = found.signals
        return [
            export,
            *self._lifecycle.score(rows, self.register, export),
            found.device,
            found.places,
            found.shared,
            self._subjects.score(rows),
            self.pairs.score(rows),
        ]

    def known_devices(self) -> tuple[Int64, Int64]:
        """Keys ``actor << 32 | device`` and ``outlet << 32 | device`` of the pairs that are known, ascending."""
        return self._devices.known()
