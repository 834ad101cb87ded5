"""Makes rows of looks and of scans from who, when and which parcel.

::

    looks(today, source, times, who, channel=rows.WEB, action=rows.SEARCH, waybill=serials, subject=subjects)
    scans(today, source, BizStep.ARRIVED, times, who, waybill=serials, outlet=outlets)

Channel (unless it is given), device, network and outlet are the person's of today; the time shown is the device's clock's. Systems ship what they log
after seconds, the print system in batches of minutes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from parcelveil.event import BizStep
from parcelveil.simulate.carrier import rows
from parcelveil.simulate.carrier.rows import STEP, AccessRows, WorkRows
from parcelveil.simulate.carrier.today import SECOND_US, Today
from parcelveil.simulate.carrier.world import MINUTE_US, Codes, Ints
from parcelveil.simulate.draw import Draw

#: The print system ships its log every so often.
PRINT_BATCH = 7 * MINUTE_US

#: What everybody works with, by role (rows.ROLES).
_CHANNEL_OF_ROLE = np.array([rows.APP, rows.WEB, rows.APP, rows.WEB, rows.WEB, rows.WEB, rows.WEB, rows.API], np.int8)


def looks(today: Today, source: Draw, times: Ints, who: Codes, **columns: Any) -> AccessRows:
    """Looks of ``who`` (never -1) at ``times``; a courier or owner is on the mobile network, others at work."""
    account = today.world.account
    count = len(times)
    device = today.device.take(who)
    if "channel" not in columns:
        columns["channel"] = _CHANNEL_OF_ROLE.take(account.role.take(who))
    desk = np.broadcast_to(np.asarray(columns["channel"]) != rows.APP, count) & (account.role.take(who) <= rows.CLERK)
    network = np.where(desk, account.network.take(who), today.network.take(who))
    received = times + 100_000 + source.below(2 * SECOND_US, count)
    printed = np.flatnonzero(np.broadcast_to(np.asarray(columns.get("channel", rows.APP)) == rows.LABEL, count))
    if len(printed):
        received[printed] = (received[printed] // PRINT_BATCH + 1) * PRINT_BATCH + source.below(
            20 * SECOND_US, len(printed)
        )
    return AccessRows.of(
        count,
        time=today.clock(times, device),
        received=received,
        actor=who,
        outlet=today.outlet.take(who),
        device=device,
        network=network,
        **columns,
    )


def scans(today: Today, source: Draw, step: BizStep, times: Ints, who: Codes, **columns: Any) -> WorkRows:
    """Work that ``who`` (-1: a machine, or nobody knows) recorded at ``times``, in the row's ``actor`` unless it is given."""
    device = np.where(who >= 0, today.device.take(who), -1)
    named = {"actor": who, "device": device} | columns
    return WorkRows.of(
        len(times),
        time=today.clock(times, device),
        received=today.received(times, who, source),
        step=STEP[step],
        **named,
    )
