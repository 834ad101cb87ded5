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

from parcelveil.audit.batch import Batch
from parcelveil.reveal.scenes import Scene


class Taken(NamedTuple):
    """Whether the waybills fitted, and what the person has left today."""

    taken: bool
    left: int


class Counting:
    """The quotas of one transaction: each is read once, however many requests ask, and written once by :meth:`write`."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._room: dict[tuple[str, str], int] = {}
        self._taken: dict[tuple[str, str], int] = {}

    def _left(self, who: str, scene: Scene, limit: int, *, own: bool) -> int:
        key = who, scene.name
        if key not in self._room:
            tx, day = self._batch.tx, self._batch.day
            changed = tx.limit(who, scene.name, day) if own else None
            if changed is not None and self._batch.rows.genuine(changed):
                limit = changed.waybills
            self._room[key] = limit - tx.used(who, scene.name, day)
        return self._room[key]

    def _take(self, who: str, scene: Scene, count: int) -> None:
        key = who, scene.name
        self._room[key] -= count
        self._taken[key] = self._taken.get(key, 0) + count

    def take(self, scene: Scene, handle: str, outlet: str, count: int) -> Taken:
        """Count ``count`` waybills for the person and the outlet; all of them, or none when they do not fit."""
        room = self._left(handle, scene, scene.quota_actor_day, own=True)
        shared = f"outlet:{outlet}" if outlet and scene.quota_outlet_day else ""
        if count > room or (shared and count > self._left(shared, scene, scene.quota_outlet_day, own=False)):
            return Taken(False, max(0, room))
        self._take(handle, scene, count)
        if shared:
            self._take(shared, scene, count)
        return Taken(True, room - count)

    def write(self) -> None:
        """Into the transaction: before it ends, or nothing was counted."""
        for (who, scene), count in self._taken.items():
            self._batch.tx.use(who, scene, self._batch.day, count)
        self._taken.clear()


def take(batch: Batch, scene: Scene, handle: str, outlet: str, count: int) -> Taken:
    """As :meth:`Counting.take`, once, and written."""
    counting = Counting(batch)
    taken = counting.take(scene, handle, outlet, count)
    counting.write()
    return taken
