"""Who and what there is: accounts, outlets, routes, devices and networks, as arrays by code.

::

    world = build(seed=7, staff=4_000, days=14, start=date(2026, 9, 1), offset_minutes=480)
    world.role[world.outlet == 12]                     # roles of the accounts at outlet 12
    world.names.account[3], world.names.device[world.device[3]]

Codes are given in an order that means something (outlet by outlet), so **codes are never written**: names are scattered
numbers of one length, in which nothing can be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from parcelveil.simulate.carrier.naming import Names

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Small = npt.NDArray[np.int16]

STATION, HUB, OFFICE = range(3)
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
#: Mobile networks of a region.
MOBILE = 6
#: ``last_day`` of an account that stays.
STAYS = 1 << 20


@dataclass
class Accounts:
    """One entry an account. An attacker may write into these columns in ``begin``, never later."""

    role: npt.NDArray[np.int8]  # index into rows.ROLES
    outlet: Codes  # where it belongs at first; Day.outlet says where today
    region: Codes
    owner: Codes  # code of the account whose person has this one too; itself otherwise
    shift_start: Small  # minutes of the local day; -1: no fixed shift
    shift_end: Small  # may be over 1440: past midnight
    device: Codes  # its own, or the shared one that it mostly takes
    new_device: Codes  # what it gets on new_device_day, when its own is broken
    new_device_day: Codes
    network: Codes  # of its workplace
    mobile: Codes  # of its handheld outside, or of its home; the workplace's where it has none
    first_day: Codes  # first and last day on which it may work, days since the start
    last_day: Codes
    opened: Ints  # microseconds UTC
    changed: Ints  # password, device or role last changed; never before opened
    leaves: Ints  # notice given: the last day, microseconds UTC; -1: none
    pace: npt.NDArray[np.float64]  # how much it looks beyond what must be, against others; about 1
    temporary: npt.NDArray[np.bool_]  # taken on for the peak


@dataclass
class World:
    """Everything that does not change from day to day. ``drawn`` are the parameters drawn from the priors."""

    seed: int
    days: int
    first: int  # days from 1970-01-01 to the first local day
    offset_us: int  # local time less UTC
    drawn: dict[str, float]
    account: Accounts
    outlet_kind: npt.NDArray[np.int8]  # STATION, HUB, OFFICE
    outlet_region: Codes
    outlet_hub: Codes  # of a station its hub; of a hub itself; of the office -1
    outlet_network: Codes
    outlet_franchise: npt.NDArray[np.bool_]  # a station that an owner runs on his own account
    lost_share: npt.NDArray[np.float64]  # by outlet: share of scans that never happen
    late_share: npt.NDArray[np.float64]  # by outlet: share of accounts whose scanner tells late on a day
    names_actor: npt.NDArray[np.bool_]  # by outlet: its out-for-delivery scans name the courier, not only the route
    route_station: Codes  # routes are grouped by station
    route_courier: Codes  # account that has the route at first
    route_successor: Codes  # account that has it when the first has left, or -1
    aoi_route: Codes
    aoi_second: Codes  # another route that serves it too, or -1
    aoi_people: Codes  # how many recipients live there
    aoi_first: Ints  # number of the first of them
    aoi_weight: npt.NDArray[np.float64]  # share of the parcels, not normed
    device_skew: Ints  # by device: its clock less the right time, microseconds
    issuer_outlet: Codes  # by issuer (merchants, then outlets): who collects for it
    issuer_partner: Codes  # account of the partner that orders for it, or -1
    issuer_share: npt.NDArray[np.float64]  # of all parcels
    calendar: Any  # incidents.Calendar
    names: Names
    _spare: dict[str, int] = field(default_factory=dict)

    @property
    def accounts(self) -> int:
        """How many accounts there are, whenever they are active."""
        return len(self.account.role)

    def __getattr__(self, name: str) -> Any:
        # world.role is world.account.role: attackers and tests read it so.
        if name.startswith("_") or name not in Accounts.__dataclass_fields__:
            raise AttributeError(name)
        return getattr(self.account, name)

    def midnight(self, day: int) -> int:
        """Local midnight at which ``day`` begins, microseconds UTC."""
        return (self.first + day) * DAY_US - self.offset_us

    def new_devices(self, count: int) -> Codes:
        """Codes of devices that nobody had before; their clocks are right."""
        base = len(self.device_skew)
        self.device_skew = np.concatenate([self.device_skew, np.zeros(count, np.int64)])
        return np.arange(base, base + count, dtype=np.int32)

    def new_networks(self, count: int) -> Codes:
        """Codes of networks that nobody used before."""
        base = self._spare.get("network", 0)
        self._spare["network"] = base + count
        return np.arange(base, base + count, dtype=np.int32)
