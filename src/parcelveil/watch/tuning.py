"""What a budget of false cases means on a carrier's own files: the same days judged under several, and nothing kept.

::

    tuning = Tuning(reading, batch, key, opener=opener, register=register)
    found = tuning.compare(inputs)
    found.opened[10.0]                    # cases that a budget of ten a day opens
    found.least(case)                     # the smallest budget that opens this case too
    found.by_role_and_week(10.0)

Nobody knows here which cases are false. But of those that a budget opens, about as many as it promises are: what is far above
that is worth a look, and what goes when the budget shrinks is what is least sure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from parcelveil.watch.alerts import Alert
from parcelveil.watch.cases import Case
from parcelveil.watch.coded import DAY
from parcelveil.watch.daily import DayRows
from parcelveil.watch.judging import Inputs, Judging
from parcelveil.watch.watcher import Watcher

#: False cases a day for 100,000 accounts.
BUDGETS = (1.0, 3.0, 10.0, 30.0, 100.0)
#: Microseconds within which two cases of one subject are the same under two budgets.
_SAME = 8 * DAY


class Opened(NamedTuple):
    """One case under one budget. ``week``: from the first day, 0 on; ``lost`` and the alert are those of its opening."""

    alert: Alert
    week: int


class Compared(NamedTuple):
    """What :meth:`Tuning.compare` found."""

    opened: dict[float, list[Opened]]
    accounts: int
    days: int  # on which thresholds stood

    def promised(self, budget: float) -> float:
        """False cases that a budget allows in these days at a carrier of this size."""
        return budget * self.accounts / 100_000 * self.days

    def least(self, case: Opened) -> float:
        """The smallest budget under which the same subject has a case at about that time."""
        for budget in sorted(self.opened):
            for other in self.opened[budget]:
                close = abs(other.alert.opened_at - case.alert.opened_at) <= _SAME
                if other.alert.actor == case.alert.actor and close:
                    return budget
        return max(self.opened)

    def by_role_and_week(self, budget: float) -> dict[str, list[int]]:
        """Cases of a budget by role (or kind of subject), one number a week."""
        weeks = 1 + max((one.week for some in self.opened.values() for one in some), default=0)
        counts: Counter[tuple[str, int]] = Counter()
        for one in self.opened[budget]:
            kind, colon, _ = one.alert.actor.partition(":")
            counts[kind if colon else one.alert.role, one.week] += 1
        roles = sorted({role for role, _ in counts})
        return {role: [counts[role, week] for week in range(weeks)] for role in roles}


class Tuning(Judging):
    """See the module. The budgets are judged side by side; what they have in common is read and explained once."""

    def __init__(self, *given: Any, budgets: Sequence[float] = BUDGETS, **named: Any) -> None:
        super().__init__(*given, false_cases=budgets[0], **named)
        register = self.watcher.conduct.register
        self._watchers = {budgets[0]: self.watcher}
        for budget in budgets[1:]:
            self._watchers[budget] = Watcher(
                register, false_cases=budget, offset_minutes=self.watcher.offset_minutes, decoys=self.watcher.decoys
            )
        self._first: int | None = None
        self._opened: dict[float, list[Opened]] = {budget: [] for budget in budgets}

    def compare(self, inputs: Inputs) -> Compared:
        """Judge everything. Raises InputError."""
        for _ in self.alerts(inputs._replace(web=(), key_use=())):  # from outside no budget is spent
            pass
        return Compared(self._opened, self.accounts, self.judged_days)

    def _see(self, accesses: pa.Table) -> None:
        for watcher in self._watchers.values():
            watcher.see(accesses)

    def _day(self, rows: DayRows) -> Iterator[Alert]:
        self.days += 1
        self._first = rows.day if self._first is None else self._first
        self.evidence.day(rows)
        for budget, watcher in self._watchers.items():
            self.watcher = watcher
            self._kept(budget, watcher.day(rows))
        self._moved()
        return iter(())

    def _end(self) -> Iterator[Alert]:
        for budget, watcher in self._watchers.items():
            self.watcher = watcher
            self._kept(budget, watcher.end())
        return iter(())

    def _kept(self, budget: float, cases: Iterator[Case]) -> None:
        for case in cases:
            if case.first:
                alert = self.evidence.alert(case, since=self.since)
                week = (max(one.day for one in case.signals) - (self._first or 0)) // 7
                self._opened[budget].append(Opened(alert, week))
