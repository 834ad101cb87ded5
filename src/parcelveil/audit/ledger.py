"""What the log says of the register, approvals, rules and quotas, to be compared with the rows in the database.

::

    ledger = Ledger()
    for entry in entries:                   # all of them, in order
        ledger.add(entry, offset_minutes=480)
    for difference in ledger.differences(tx, digest_of=…): …

The rows' seals (:mod:`~parcelveil.audit.rowseal`) keep others from writing rows; they cannot tell an old row that was
put back, or one that was deleted. The log can: it holds every change in order. Whatever a pruned log no longer tells
is not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from parcelveil.audit.entry import AnyEntry, Approval, Export, Look, PolicyChange, StaffChange
from parcelveil.ports import PolicyRow, Transaction

_MINUTE, _DAY = 60_000_000, 86_400_000_000
_STATES = ("requested", "approved", "rejected", "used", "expired")


class Ledger:
    """See the module. Say which entries were pruned with ``minimum``: what began before is not missed."""

    def __init__(self, minimum: int = 0) -> None:
        self._whole = minimum == 0
        self._staff: dict[str, tuple[str, str, bool] | None] = {}  # roles, outlets, active; None: forgotten
        self._devices: dict[str, str] = {}
        self._withdrawn: set[str] = set()
        self._approvals: dict[str, str] = {}
        self._policy: tuple[int, str] | None = None
        self._used: Counter[tuple[str, str, int]] = Counter()
        self._searches: set[str] = set()  # scenes that count otherwise
        self._first_day: int | None = None

    def add(self, entry: AnyEntry, offset_minutes: int) -> None:
        """Take the next entry of the log. Days are those of ``offset_minutes`` east of UTC."""
        day = (entry.time + offset_minutes * _MINUTE) // _DAY
        if self._first_day is None:
            self._first_day = day
        if isinstance(entry, StaffChange):
            self._register(entry)
        elif isinstance(entry, Approval):
            if entry.action in _STATES:
                self._approvals[entry.approval] = entry.action
        elif isinstance(entry, PolicyChange):
            if entry.action == "approved":
                self._policy = entry.version, entry.sha256
        elif isinstance(entry, Look | Export) and entry.actor.startswith("s-"):
            if isinstance(entry, Look) and entry.action == "search":
                self._searches.add(entry.scene)
            else:
                self._used[entry.actor, entry.scene, day] += entry.waybills

    def _register(self, entry: StaffChange) -> None:
        if entry.action in ("added", "changed", "suspended"):
            self._staff[entry.target] = (" ".join(entry.roles), entry.outlet, entry.action != "suspended")
        elif entry.action == "enrolled":
            self._devices[entry.device] = entry.target
            self._withdrawn.discard(entry.device)
        elif entry.action == "withdrawn":
            self._devices.pop(entry.device, None)
            self._withdrawn.add(entry.device)
        elif entry.action == "forgotten":
            self._staff[entry.target] = None
            gone = [device for device, owner in self._devices.items() if owner == entry.target]
            for device in gone:
                del self._devices[device]
            self._withdrawn.update(gone)

    def differences(self, tx: Transaction, digest_of: Callable[[PolicyRow], str]) -> Iterator[str]:
        """Every row that is not as the log tells, in words. ``digest_of`` gives the SHA-256 of a policy's documents."""
        yield from self._of_staff(tx)
        yield from self._of_approvals(tx)
        yield from self._of_policy(tx, digest_of)
        yield from self._of_quotas(tx)

    def _of_staff(self, tx: Transaction) -> Iterator[str]:
        rows = {row.handle: (row.roles, row.outlet, row.active) for row in tx.staff()}
        for handle, told in self._staff.items():
            if rows.get(handle) != told:
                yield f"the register's row of {handle} is not as the log tells"
        devices = {row.device: row.handle for row in tx.devices()}
        for device in sorted({*devices, *self._devices}):
            told_of = device in self._devices or device in self._withdrawn
            if (told_of or self._whole) and devices.get(device) != self._devices.get(device):
                yield f"device {device} is not enrolled as the log tells"
        if self._whole:
            for handle in sorted(rows.keys() - self._staff.keys()):
                yield f"the log knows nothing of {handle} in the register"

    def _of_approvals(self, tx: Transaction) -> Iterator[str]:
        rows = {row.id: row.state for row in tx.approvals()}
        for id, told in self._approvals.items():
            if rows.get(id) != told:
                yield f"approval {id} is {rows.get(id, 'gone')}, the log says {told}"
        if self._whole:
            for id in sorted(rows.keys() - self._approvals.keys()):
                yield f"the log knows nothing of approval {id}"

    def _of_policy(self, tx: Transaction, digest_of: Callable[[PolicyRow], str]) -> Iterator[str]:
        active = next((row for row in reversed(tx.policies()) if row.state == "active"), None)
        if self._policy is not None:
            if active is None or (active.version, digest_of(active)) != self._policy:
                yield f"the rules in force are not version {self._policy[0]} that the log says was approved"
        elif self._whole and active is not None and active.version != 1:
            yield f"the log knows nothing of version {active.version} of the rules"

    def _of_quotas(self, tx: Transaction) -> Iterator[str]:
        """By person; days that pruning has cut are left out."""
        days = {day for _, _, day in self._used}
        if not self._whole:
            days.discard(self._first_day or 0)
        for day in sorted(days):
            used = {(who, scene): count for who, scene, count in tx.usage(day)}
            for (who, scene, when), told in sorted(self._used.items()):
                if when == day and scene not in self._searches and used.get((who, scene), 0) != told:
                    yield f"the quota of {who} in {scene} counts {used.get((who, scene), 0)}, the log {told}"
