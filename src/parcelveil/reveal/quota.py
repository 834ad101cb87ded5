"""Quotas: how many waybills one person, and one outlet, may see in a scene on a day.

::

    with log.begin() as batch:
        took = take(batch, scene, member.handle, outlet, 3)
        took.taken, took.left          # all three, or none

Counting happens in the transaction that appends the log entry, so a crash neither gives a quota back nor loses
one. The day is that of the desk's clock (:func:`parcelveil.audit.log.desk_time`), which nobody can wind forward; the
count is by person and not by device, and by outlet besides.
"""

from __future__ import annotations

from typing import NamedTuple

from parcelveil.audit.log import Batch
from parcelveil.reveal.scenes import Scene


class Taken(NamedTuple):
    """Whether the waybills fitted, and what the person has left today."""

    taken: bool
    left: int


def take(batch: Batch, scene: Scene, handle: str, outlet: str, count: int) -> Taken:
    """Count ``count`` waybills for the person and the outlet; all of them, or none when they do not fit."""
    tx, day = batch.tx, batch.day
    own = tx.limit(handle, scene.name, day)
    room = (scene.quota_actor_day if own is None else own) - tx.used(handle, scene.name, day)
    shared = f"outlet:{outlet}" if outlet and scene.quota_outlet_day else ""
    if count > room or (shared and count > scene.quota_outlet_day - tx.used(shared, scene.name, day)):
        return Taken(False, max(0, room))
    tx.use(handle, scene.name, day, count)
    if shared:
        tx.use(shared, scene.name, day, count)
    return Taken(True, room - count)
