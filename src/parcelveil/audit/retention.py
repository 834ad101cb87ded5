"""Pruning by retention: entries whose time is over leave the log, and every proof about the rest still holds.

::

    prune(log, store, before=…, keep_days=1096)

C2SP tlog-tiles says which files may go: full tiles and bundles that end at or before a *minimum index*. The hashes
that stay still give every root at and above it. The log itself tells of the pruning, the salts of the pruned
entries are erased, and what they had logged as opened is taken out of the count that ``audit reconcile`` compares.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from parcelveil.audit import tiles
from parcelveil.audit.entry import Export, KeyEvent, Look, decode
from parcelveil.audit.log import DAY_MICROS, Log
from parcelveil.errors import LogError, PolicyError

#: The Cybersecurity Law of China (art. 23 of 2025) asks for six months; nobody may set less.
LEAST_DAYS = 183


class Pruned(NamedTuple):
    """What a pruning did."""

    minimum: int  # the first entry that is kept
    entries: int  # how many went
    salts: int
    files: int


def prune(log: Log, before: int, keep_days: int, utc_offset_minutes: int) -> Pruned:
    """Drop entries older than ``before`` (microseconds), which must be at least ``keep_days`` days ago."""
    if keep_days < LEAST_DAYS:
        raise PolicyError(
            "audit_days is {days}", hint="the law asks for {least} days at least", days=keep_days, least=LEAST_DAYS
        )
    if before > log.wall() - keep_days * DAY_MICROS:
        raise LogError(
            "entries are kept for {days} days", hint="choose an earlier day, or change audit_days", days=keep_days
        )
    size = log.publish()
    state = log.state()
    reader = tiles.TileReader(tiles.directory(log.folder), size)
    minimum = _first_since(reader, state.minimum, size, before) // 256 * 256
    minimum = max(minimum, state.minimum)
    values: Counter[int] = Counter()
    for data in reader.entries(state.minimum, minimum):
        entry = decode(data)
        if isinstance(entry, Look | Export) and entry.values:
            values[(entry.time + utc_offset_minutes * 60_000_000) // DAY_MICROS] += entry.values
    salts = 0
    if minimum > state.minimum:
        with log.begin() as batch:
            batch.append(KeyEvent(time=batch.time, action="pruned", detail=str(minimum)))
            batch.set_minimum(minimum)
            salts = batch.tx.erase_subjects_before(minimum)
            for day, count in values.items():
                batch.tx.draw(day, -count)
    return Pruned(minimum, minimum - state.minimum, salts, tiles.prune(log.folder, minimum))


def _first_since(reader: tiles.TileReader, low: int, high: int, time: int) -> int:
    """Index of the first entry at or after ``time``: times never run back, so halving finds it."""
    while low < high:
        middle = (low + high) // 2
        if decode(reader.entry(middle)).time < time:
            low = middle + 1
        else:
            high = middle
    return low
