"""Pruning by retention: entries whose time is over leave the log, and every proof about the rest still holds.

::

    prune(log, store, before=…, keep_days=1096)

C2SP tlog-tiles says which files may go: full tiles and bundles that end at or before a *minimum index*. The hashes
that stay still give every root at and above it. The log itself tells of the pruning, the salts of the pruned
entries are erased, and what they had logged as opened is taken out of the count that ``audit reconcile`` compares.
What is old is told by the desk's clock, and only while the wall clock agrees with it; a log that does not verify is
not pruned.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from parcelveil.audit import tiles
from parcelveil.audit.entry import Export, KeyEvent, Look, decode
from parcelveil.audit.log import DAY_MICROS, Log
from parcelveil.audit.verify import verify_log
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
    """Drop entries older than ``before`` (microseconds), which must be at least ``keep_days`` days ago.

    Whole bundles of 256 entries go, so up to 255 older ones may stay. Raises PolicyError when ``keep_days`` is less
    than the law asks for, LogError when ``before`` is too late, the clocks differ by more than a day, or the log does
    not verify. A crash leaves files that
    the next call removes. Salts leave the write-ahead log with the store's ``settle``.
    """
    if keep_days < LEAST_DAYS:
        raise PolicyError(
            "audit_days is {days}", hint="the law asks for {least} days at least", days=keep_days, least=LEAST_DAYS
        )
    now = log.now()
    if abs(log.wall() - now) > DAY_MICROS:
        raise LogError(
            "the wall clock and the desk's clock differ by more than a day: nothing is pruned",
            hint="see 'parcelveil audit clock'; set the wall clock right, or accept it",
        )
    if before > now - keep_days * DAY_MICROS:
        raise LogError(
            "entries are kept for {days} days", hint="choose an earlier day, or change audit_days", days=keep_days
        )
    size = log.publish()
    if not size:
        return Pruned(0, 0, 0, 0)
    state = log.state()
    fetch = tiles.directory(log.folder)
    minimum = _first_since(tiles.TileReader(fetch, size), state.minimum, size, before) // 256 * 256
    minimum = max(minimum, state.minimum)
    salts = 0
    if minimum > state.minimum:
        values: Counter[int] = Counter()

        def count(index: int, data: bytes) -> None:
            if index < minimum and isinstance(entry := decode(data), Look | Export) and entry.values:
                values[(entry.time + utc_offset_minutes * 60_000_000) // DAY_MICROS] += entry.values

        verify_log(fetch, log.signer.key, minimum=state.minimum, on_entry=count)
        with log.begin() as batch:
            if batch.tx.log_state().minimum != state.minimum:
                raise LogError("somebody else is pruning the log", hint="nothing was changed; try again")
            batch.append(KeyEvent(time=batch.time, action="pruned", detail=str(minimum)))
            batch.set_minimum(minimum)
            salts = batch.tx.erase_subjects_before(minimum)
            for day, opened in values.items():
                batch.tx.draw(day, -opened)
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
