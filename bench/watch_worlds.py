"""Simulated carriers as coded events, without the way through files: what the benches of ``watch`` judge.

::

    world = Simulated(seed=101, plan="plan.toml", staff=2_000, days=45)
    for day in world:                        # coded accesses and works of a day, in the order of receipt
        day.accesses, day.works
    world.truth                              # tables of parcelveil.simulate.attack.truth, when all days are through
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.simulate.attack.attackers import Attackers
from parcelveil.simulate.attack.plan import load_plan
from parcelveil.simulate.carrier.day import Day
from parcelveil.simulate.carrier.rows import CUSTOMER, ROLES
from parcelveil.simulate.carrier.run import Carrier
from parcelveil.simulate.carrier.world import World
from parcelveil.watch.coded import AHEAD, CODED_ACCESS, CODED_WORK, CUSTOMER_CODE, GRACE, HOUR, NEVER, Accounts
from parcelveil.watch.explaining import read_rules, rule_table


class Coded(NamedTuple):
    """One day. ``keys``: key-use counters; ``web``: requests, as the simulator has them."""

    number: int
    accesses: pa.Table
    works: pa.Table
    day: Day


class Simulated:
    """See the module."""

    def __init__(self, *, seed: int, plan: str | None, staff: int, days: int) -> None:
        self.attackers = Attackers(load_plan(plan, seed=seed, days=days) if plan else [], seed=seed)
        self.carrier = Carrier(seed=seed, staff=staff, days=days, attackers=[self.attackers])
        self.world: World = self.carrier.world

    def __iter__(self) -> Iterator[Coded]:
        for day in self.carrier:
            self.attackers.note(day)
            yield Coded(day.number, _accesses(day, self.world), _works(day), day)

    @property
    def truth(self) -> Any:
        """What the attackers did."""
        return self.attackers.truth(self.world)

    def rules(self) -> pa.Table:
        """The shipped rules for the codes of this world."""
        return rule_table(read_rules(), lambda name: ROLES.index(name) if name in ROLES else -1)

    def register(self) -> Accounts:
        """The register of accounts."""
        account = self.world.account
        known = account.first_day < self.world.days
        own = np.arange(len(known), dtype=np.int32)
        return Accounts(
            known,
            account.role.astype(np.int32),
            account.outlet.astype(np.int32),
            account.region.astype(np.int32),
            np.where(account.owner == own, -1, account.owner).astype(np.int32),
            account.opened,
            account.changed,
            np.where(account.leaves < 0, NEVER, account.leaves),
            account.shift_start,
            account.shift_end,
        )


def _times(rows: Any, behind: int | None, ahead: int) -> npt.NDArray[np.int64]:
    """The rule of clocks of :mod:`parcelveil.watch.coded`."""
    time, received = rows["time"], rows["received"]
    off = time > received + ahead
    if behind is not None:
        off |= time < received - behind
    return np.where(off, received, time)


def _accesses(day: Day, world: World) -> pa.Table:
    rows = day.access
    columns = {
        "id": rows["id"], "time": _times(rows, GRACE, AHEAD), "received": rows["received"], "actor": rows["actor"],
        "role": world.account.role[rows["actor"]], "outlet": rows["outlet"], "device": rows["device"],
        "network": rows["network"], "channel": rows["channel"], "action": rows["action"], "outcome": rows["outcome"],
        "fields": rows["fields"], "records": rows["records"], "waybill": rows["waybill"] + 1, "serial": rows["waybill"],
        "subject": rows["subject"] + 1, "ticket": rows["ticket"],
    }  # fmt: skip
    return _table(columns, CODED_ACCESS)


def _works(day: Day) -> pa.Table:
    rows = day.work
    columns = {
        "id": rows["id"], "time": _times(rows, None, HOUR), "received": rows["received"], "step": rows["step"] + 1,
        "waybill": rows["waybill"] + 1, "outlet": rows["outlet"], "to_outlet": rows["to_outlet"], "route": rows["route"],
        "actor": np.where(rows["actor"] == CUSTOMER, CUSTOMER_CODE, rows["actor"]), "device": rows["device"],
        "ticket": rows["ticket"],
    }  # fmt: skip
    return _table(columns, CODED_WORK)


def _table(columns: dict[str, npt.NDArray[Any]], schema: pa.Schema) -> pa.Table:
    return pa.table({f.name: pa.array(columns[f.name].astype(f.type.to_pandas_dtype())) for f in schema}, schema=schema)
