"""What speaks for an account, as far as the data themselves show it: told with every case, and changing no threshold.

::

    excuses = Excuses(days, late, register, silent_days)
    list(excuses.of(actor, first, last, role=role, outlet=outlet, device=device))     # ['late-work', 'stand-in']

=============  ====================================================================================================
late-work      at the outlet, at least two percent of the looks were explained only by work that came after them
no-work-day    on one of the days no work event came in at all
stand-in       the account belonged to more than one outlet in that time
new-account    it was opened, or first seen, in the last weeks
two-accounts   whoever answers for it has another account
shared-device  three or more accounts used the device already before
outlet-wide    the colleagues in the same role have more than twice as many looks without a reason as before
=============  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from parcelveil.watch.alerts import Excuse
from parcelveil.watch.coded import DAY, NEVER, Accounts
from parcelveil.watch.daily import DayRows

Floats = npt.NDArray[np.float64]
#: By day: of each outlet, looks that were explained only late, and looks.
Late = Mapping[int, tuple[Floats, Floats]]

_LATE, _SHARED, _MORE = 0.02, 3, 2.0
#: Days for which an account is new, and days that a device's use counts as a habit after.
_NEW, _SEEN, _HABIT = 28, 21, 7


class Excuses:
    """See the module. ``days``: settled days, ascending; ``register``: where there is one."""

    def __init__(self, days: Sequence[DayRows], late: Late, register: Accounts | None, silent: Container[int]) -> None:
        self._days, self._late, self._register, self._silent = days, late, register, silent

    def of(self, actor: int, first: int, last: int, *, role: int, outlet: int, device: int) -> Iterator[Excuse]:
        """What speaks for ``actor`` in the days ``first`` to ``last``. ``device``: its most used one, -1 for none."""
        if late_share(self._late, outlet, first, last) >= _LATE:
            yield "late-work"
        if any(day in self._silent for day in range(first, last + 1)):
            yield "no-work-day"
        mine = [(day.day, at) for day in self._days if (at := outlet_on(day, actor)) is not None]
        if len({at for day, at in mine if first <= day <= last} | {outlet}) > 1:
            yield "stand-in"
        if self._new(actor, [day for day, _ in mine], last):
            yield "new-account"
        if self._has_another(actor):
            yield "two-accounts"
        if device >= 0 and self._users(device) >= _SHARED:
            yield "shared-device"
        if self._colleagues(actor, outlet, role, first, last):
            yield "outlet-wide"

    def _new(self, actor: int, seen: Sequence[int], last: int) -> bool:
        register = self._register
        if register is not None and actor < len(register.known) and register.opened_at[actor] != NEVER:
            return bool(register.opened_at[actor] > (last - _NEW) * DAY)
        long_enough = bool(self._days) and self._days[0].day <= last - _NEW
        return long_enough and (not seen or seen[0] > last - _SEEN)

    def _has_another(self, actor: int) -> bool:
        register = self._register
        if register is None or actor >= len(register.owner) or register.owner[actor] < 0:
            return False
        return int((register.owner == register.owner[actor]).sum()) > 1

    def _users(self, device: int) -> int:
        """Accounts on a device, as far as rows that want a reason show them, without the last week's."""
        users: set[int] = set()
        for day in self._days[:-_HABIT]:
            users.update(day.rows["actor"].to_numpy()[day.rows["device"].to_numpy() == device].tolist())
        return len(users)

    def _colleagues(self, actor: int, outlet: int, role: int, first: int, last: int) -> bool:
        def mean(days: list[DayRows]) -> float:
            none = [np.zeros(0)]
            for day in days:
                column = {name: day.volume[name].to_numpy() for name in ("actor", "role", "outlet", "none")}
                of = (column["outlet"] == outlet) & (column["role"] == role) & (column["actor"] != actor)
                none.append(column["none"][of])
            everybody = np.concatenate(none)
            return float(everybody.mean()) if len(everybody) else 0.0

        before = mean([day for day in self._days if day.day < first])
        return outlet >= 0 and mean([day for day in self._days if first <= day.day <= last]) > _MORE * before + 1


def outlet_on(day: DayRows, actor: int) -> int | None:
    """Where an account belonged on a day; None when it was not there."""
    actors = day.volume["actor"].to_numpy()
    at = int(np.searchsorted(actors, actor))
    return int(day.volume["outlet"][at].as_py()) if at < len(actors) and actors[at] == actor else None


def late_share(late: Late, outlet: int, first: int, last: int) -> float:
    """Of an outlet's looks in the days ``first`` to ``last``, the share that only late work explained."""
    explained = total = 0.0
    for day, (some, looks) in late.items():
        if first <= day <= last and 0 <= outlet < len(looks):
            explained += float(some[outlet]) if outlet < len(some) else 0.0
            total += float(looks[outlet])
    return explained / total if total else 0.0
