"""What the entries of a log say, all together: how many of each kind, and how many values were opened on each day.

::

    tally = Tally()
    tally.add(0, entries)           # raises LogError when one of them is no entry, or is older than the one before
    tally.kinds["look"], tally.values()

Counts of parts of a log are put together by :meth:`Tally.append`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from operator import itemgetter
from typing import Literal

import msgspec

from parcelveil.audit.entry import VERSION, AnyEntry, decode
from parcelveil.errors import LogError

_DAY = 86_400_000_000
_MINUTE = 60_000_000
_LAST_TIME = 253_402_214_400_000_000  # the last day of the year 9999: a day of offset may still be added
_MOST_VALUES = 1 << 53

_Kind = Literal["look", "refusal", "export", "quota", "policy", "staff", "erasure", "key", "approval", "scan", "watch"]


class _Brief(msgspec.Struct, gc=False):
    """What the quick reading takes of an entry. Kind, version, and the two numbers, must be of their types."""

    kind: _Kind
    time: int
    v: Literal[1]
    values: int = 0


_brief = msgspec.json.Decoder(_Brief)
_full = msgspec.json.Decoder(list[AnyEntry])
_first_byte = itemgetter(0)
_canonical = msgspec.json.Encoder(order="sorted")


class Tally:
    """Counts entries in the order of the log; see the module. ``deep`` and days as in :func:`~.verify.verify_log`."""

    def __init__(self, *, offset_minutes: int = 0, deep: bool = False) -> None:
        self.kinds: Counter[str] = Counter()
        self.first_time = self.last_time = 0  # microseconds
        self._days: Counter[int] = Counter()
        self._offset, self._deep = offset_minutes * _MINUTE, deep

    def empty(self) -> Tally:
        """A new one that counts as this one does."""
        return Tally(offset_minutes=self._offset // _MINUTE, deep=self._deep)

    def values(self) -> dict[str, int]:
        """For each day (``2026-11-24``), ascending: the values that its entries say were opened."""
        return {(date(1970, 1, 1) + timedelta(days=day)).isoformat(): n for day, n in sorted(self._days.items()) if n}

    def add(self, first: int, entries: Sequence[bytes]) -> None:
        """Count ``entries``, of which the first has the index ``first``."""
        found: Sequence[_Brief | AnyEntry]
        try:
            found = _read_canonical(entries) if self._deep else list(map(_brief.decode, entries))
        except (ValueError, RecursionError, IndexError):
            raise LogError(
                "entry {index} is not an entry of this version in its canonical form",
                hint="something else than parcelveil wrote it, or a newer version of it",
                index=first + self._not_an_entry(entries),
            ) from None
        if found:
            self._count(first, found)

    def _not_an_entry(self, entries: Sequence[bytes]) -> int:
        read = decode if self._deep else _brief.decode
        for i, data in enumerate(entries):
            try:
                read(data)
            except (ValueError, RecursionError):
                return i
        return 0

    def append(self, later: Tally) -> bool:
        """Add the count of the entries that follow. False, and nothing is added, when their times run back."""
        if later.kinds:
            if self.kinds and later.first_time < self.last_time:
                return False
            self.first_time = self.first_time if self.kinds else later.first_time
            self.last_time = later.last_time
            self.kinds.update(later.kinds)
            self._days.update(later._days)
        return True

    def _count(self, first: int, found: Sequence[_Brief | AnyEntry]) -> None:
        times = [entry.time for entry in found]
        if times != sorted(times) or times[0] < self.last_time or times[-1] >= _LAST_TIME:
            times.insert(0, self.last_time)
            at = next((i for i in range(len(found)) if not times[i] <= times[i + 1] < _LAST_TIME), 0)
            raise LogError("the time of entry {index} runs backwards or is no time at all", index=first + at)
        if not self.kinds:
            self.first_time = times[0]
        self.last_time = times[-1]
        kinds: list[str] = [entry.kind for entry in found]
        for kind in dict.fromkeys(kinds):
            self.kinds[kind] += kinds.count(kind)
        values: list[int] = [getattr(e, "values", 0) for e in found] if self._deep else [e.values for e in found]  # type: ignore[union-attr]
        if min(values) < 0 or max(values) > _MOST_VALUES:
            at = next(i for i, value in enumerate(values) if not 0 <= value <= _MOST_VALUES)
            raise LogError("entry {index} has a count of values that cannot be", index=first + at)
        days = (times[0] + self._offset) // _DAY, (times[-1] + self._offset) // _DAY
        if days[0] == days[1]:
            self._days[days[0]] += sum(values)
        else:
            for time, value in zip(times, values, strict=True):
                self._days[(time + self._offset) // _DAY] += value


def _read_canonical(entries: Sequence[bytes]) -> Sequence[AnyEntry]:
    """The entries, when all are in canonical form; else ValueError. In one call of the decoder, which costs less."""
    found = _full.decode(b"[%b]" % b",\n".join(entries))
    # Canonical text has no line breaks, so those between the entries are between items: none spans two.
    good = _canonical.encode(found) == b"[%b]" % b",".join(entries)
    if not good or any(entry.v != VERSION for entry in found) or len(found) != len(entries):
        raise ValueError("not the canonical bytes of audit entries")
    if set(map(_first_byte, entries)) != {ord("{")} and entries:
        raise ValueError("something else than an object")
    return found
