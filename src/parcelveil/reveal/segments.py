"""Immutable sorted files of small records, found by a keyed hash: what the custody index is made of.

A record is a row of nine 32-bit words, sorted by its first six::

    hash (96 bits: three words) | order (64 bits: two words) | tie (32 bits) | place | holder | route

*hash* is a keyed hash of what the record is about. *order* says which of several records of one hash counts, the
greater before the smaller: :func:`order_of` packs whether the step is a position, the time and the step's rank into
it. *tie* is a hash of the event's name and decides between equals. The last three words are codes of names.

A :class:`Segment` is one such file, memory-mapped. Before the records it has a table of where each range of hashes
begins, of one to four records a range, so that a look-up touches one place of the table and one or two cache lines of
the records, whatever their number: hashes are spread evenly, and who does not know the key cannot crowd a range::

    >>> import tempfile
    >>> rows = np.zeros((2, WORDS), np.uint32)
    >>> rows[:, 0], rows[:, 6] = [7, 9], [1, 2]
    >>> path = Path(tempfile.mkdtemp()) / "a"
    >>> with SegmentWriter(path, 2) as writer:
    ...     writer.add(rows)
    >>> found = Segment(path).newest(np.array([[9, 0, 0], [8, 0, 0]], np.uint32), np.array([LATEST, LATEST]))
    >>> found.tolist(), Segment(path).rows[1].tolist()
    ([1, -1], [9, 0, 0, 0, 0, 0, 2, 0, 0])

The file: 64 bytes of header (``<8sQQIII``: magic, records, ranges, CRC-32 of the table, of the records, and of the
header before it; then zeros), the table (ranges + 1 positions of 4 bytes), the records. Little-endian throughout.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from parcelveil.errors import WorkspaceError

Words = npt.NDArray[np.uint32]
Times = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int64]

WORDS = 9
#: Words of a record: ``rows[:, PLACE]`` and so on.
PLACE, HOLDER, ROUTE = 6, 7, 8
#: Times a record can have: microseconds from 2000 until 2100, both UTC.
EARLIEST = 946_684_800_000_000
LATEST = 4_102_444_799_999_999

_MAGIC = b"PVCUST1\0"
_HEADER = struct.Struct("<8sQQIII")
_HEADER_BYTES = 64
_PER_RANGE = 4  # records a range of the table, at the most on average
_MOST_ROWS = (1 << 32) - 1
_PIECE = 1 << 21  # records that a merge holds at once
_POSITION = np.uint64(1 << 63)
_STEP_BITS = np.uint64(8)


def order_of(times: Times, steps: npt.NDArray[np.uint8], positions: Bools) -> npt.NDArray[np.uint64]:
    """The order of records: positions before all else, then the later time, then the higher step."""
    packed = (times - EARLIEST).astype(np.uint64) << _STEP_BITS | steps
    return np.where(positions, packed | _POSITION, packed)


def orders(rows: Words) -> npt.NDArray[np.uint64]:
    """The orders in records."""
    return rows[:, 3].astype(np.uint64) << np.uint64(32) | rows[:, 4]


def times(rows: Words) -> Times:
    """The times in records, microseconds since 1970."""
    packed = orders(rows) & ~_POSITION
    return (packed >> _STEP_BITS).astype(np.int64) + EARLIEST


def steps(rows: Words) -> npt.NDArray[np.uint8]:
    """The steps in records."""
    return (rows[:, 4] & 0xFF).astype(np.uint8)


def sorting(rows: Words) -> Index:
    """The permutation that sorts records: by hash ascending, then by order and tie descending."""
    key = rows[:, 0].astype(np.uint64) << np.uint64(32) | rows[:, 1]
    at = np.argsort(key, kind="stable")  # a merge of sorted runs, which is what mostly comes here, is linear
    key = key[at]
    equal = key[1:] == key[:-1]
    if equal.any():
        shared = np.zeros(len(key), np.bool_)
        shared[1:] |= equal
        shared[:-1] |= equal
        where = np.flatnonzero(shared)
        part = rows.take(at[where], axis=0)
        at[where] = at[where][np.lexsort((~part[:, 5], ~orders(part), part[:, 2], key[where]))]
    return at.astype(np.int64, copy=False)


def reachable(rows: Words, horizon: int) -> Bools:
    """Of sorted ``rows``, those that can still count at any time from ``horizon`` (microseconds) on.

    Of each hash these are the records later than ``horizon``, up to and including the first one that is not.
    """
    keep = np.ones(len(rows), np.bool_)
    if len(rows) < 2:
        return keep
    same = (rows[1:, :3] == rows[:-1, :3]).all(axis=1)
    again = same & (rows[1:, 3:6] == rows[:-1, 3:6]).all(axis=1)
    settled = times(rows) <= horizon
    before: Index = np.cumsum(settled) - settled  # settled records before this one, of all hashes
    first = np.maximum.accumulate(np.where(np.concatenate(([True], ~same)), np.arange(len(rows)), 0))
    keep &= before == before[first]
    keep[1:] &= ~again
    return keep


class Segment:
    """One file of sorted records, memory-mapped. Raises WorkspaceError when the file is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _HEADER_BYTES:
                raise damaged(path)
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, count, ranges, self._table_crc, self._rows_crc, crc = _HEADER.unpack_from(data)
        start = _HEADER_BYTES + 4 * (ranges + 1)
        sound = magic == _MAGIC and crc == zlib.crc32(data[: _HEADER.size - 4]) and ranges.bit_count() == 1
        if not sound or size != start + 4 * WORDS * count:
            raise damaged(path)
        self.count: int = count
        self._shift = 33 - ranges.bit_length()
        self._table: Words = np.frombuffer(data, np.uint32, ranges + 1, _HEADER_BYTES)
        self.rows: Words = np.frombuffer(data, np.uint32, WORDS * count, start).reshape(-1, WORDS)

    def check(self) -> None:
        """Read all of it and compare the checksums. Raises WorkspaceError."""
        if zlib.crc32(self._table.data) != self._table_crc or zlib.crc32(self.rows.data) != self._rows_crc:
            raise damaged(self.path)

    def newest(self, hashes: Words, limits: Times) -> Index:
        """The place in ``rows`` of the record of each hash ``(n, 3)`` that counts at its limit, -1 where none does.

        ``limits`` are the latest times (microseconds) that count.
        """
        if len(hashes) == 1:
            first, second, third = hashes[0].tolist()
            return np.array([self._one(first, second, third, int(limits[0]))])
        found = np.full(len(hashes), -1, np.int64)
        ranges = hashes[:, 0].astype(np.int64) >> self._shift
        at = self._table[ranges].astype(np.int64)
        end = np.minimum(self._table[ranges + 1], self.count).astype(np.int64)
        which = np.flatnonzero(at < end)
        at, end, wanted = at[which], end[which], hashes[which, 0]
        while which.size:
            here = self.rows[at, 0]
            more = here <= wanted
            equal = np.flatnonzero(here == wanted)
            if equal.size:
                rows, asked = self.rows[at[equal]], which[equal]
                good = (rows[:, 1] == hashes[asked, 1]) & (rows[:, 2] == hashes[asked, 2])
                good &= times(rows) <= limits[asked]
                found[asked[good]] = at[equal[good]]
                more[equal[good]] = False
            at = at + 1
            more &= at < end
            which, at, end, wanted = which[more], at[more], end[more], wanted[more]
        return found

    def _one(self, first: int, second: int, third: int, limit: int) -> int:
        """:meth:`newest` for one hash: a few records in plain Python take less time than a few array operations."""
        place = first >> self._shift
        start, end = int(self._table[place]), min(int(self._table[place + 1]), self.count)
        for at, row in enumerate(self.rows[start:end].tolist(), start):
            if row[0] == first and row[1] == second and row[2] == third:
                time = ((row[3] << 32 | row[4]) & ~(1 << 63)) >> int(_STEP_BITS)
                if time + EARLIEST <= limit:
                    return at
        return -1

    def cut(self, first: int) -> int:
        """Where the records with a first word of at least ``first`` begin."""
        return int(np.searchsorted(self.rows[:, 0], first))


def damaged(path: Path) -> WorkspaceError:
    """The error for a file of the index that is not what was written."""
    return WorkspaceError(
        "the custody index is damaged: {file}",
        hint="delete the folder {folder} and load the work events again",
        file=path.name,
        folder=path.parent.name,
    )


def find(segments: Sequence[Segment], hashes: Words, limits: Times) -> tuple[Bools, Words]:
    """The record that counts for each hash ``(n, 3)`` at its limit, over all segments; zeros where there is none."""
    known = np.zeros(len(hashes), np.bool_)
    best = np.zeros((len(hashes), WORDS), np.uint32)
    for segment in segments:
        at = segment.newest(hashes, limits)
        hit = np.flatnonzero(at >= 0)
        if not hit.size:
            continue
        rows = segment.rows[at[hit]]
        seen = known[hit]
        if seen.any():
            better = ~seen | beats(rows, best[hit])
            hit, rows = hit[better], rows[better]
        best[hit] = rows
        known[hit] = True
    return known, best


def beats(rows: Words, others: Words) -> Bools:
    """Whether each record counts before the other of the same hash."""
    mine, other = orders(rows), orders(others)
    wins: Bools = (mine > other) | ((mine == other) & (rows[:, 5] > others[:, 5]))
    return wins


class SegmentWriter:
    """Writes one segment of at most ``most`` records; whole and on disk when the ``with`` block ends well."""

    def __init__(self, path: Path, most: int) -> None:
        if most > _MOST_ROWS:
            raise WorkspaceError("a custody index holds {most} records at the most", most=_MOST_ROWS)
        self.bits = min(30, max(0, (most // _PER_RANGE).bit_length()))
        self.count = 0
        self._ranges = 1 << self.bits
        self._filled = 0  # ranges whose start is written
        self._table_crc = self._rows_crc = 0
        self._start = _HEADER_BYTES + 4 * (self._ranges + 1)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def add(self, rows: Words, until: int = 1 << 32) -> None:
        """Append sorted records with first words below ``until``, all of them that there are; the last call has no
        ``until``, every other a multiple of the width of a range, ``2 ** (32 - bits)``."""
        last = until >> 32 - self.bits
        inside = (rows[:, 0].astype(np.int64) >> 32 - self.bits) - self._filled
        counts = np.bincount(inside, minlength=last - self._filled)
        ends = self.count + np.cumsum(counts, dtype=np.int64)
        starts = np.concatenate(([self.count], ends[:-1] if until < 1 << 32 else ends)).astype("<u4")
        self._table_crc = zlib.crc32(starts.data, self._table_crc)
        write_all(self._fd, starts, _HEADER_BYTES + 4 * self._filled)
        data = np.ascontiguousarray(rows, "<u4")
        self._rows_crc = zlib.crc32(data.data, self._rows_crc)
        write_all(self._fd, data, self._start + 4 * WORDS * self.count)
        self._filled, self.count = last, self.count + len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                header = _HEADER.pack(_MAGIC, self.count, self._ranges, self._table_crc, self._rows_crc, 0)[:-4]
                header += struct.pack("<I", zlib.crc32(header))
                write_all(self._fd, header.ljust(_HEADER_BYTES, b"\0"), 0)
                os.fsync(self._fd)
        finally:
            os.close(self._fd)


def write_all(fd: int, data: Any, offset: int) -> None:
    """Write a buffer at ``offset``, however many calls it takes."""
    view = memoryview(data).cast("B") if len(data) else memoryview(b"")
    while view:
        done = os.pwrite(fd, view[: 1 << 28], offset)
        view, offset = view[done:], offset + done


def write_sorted(path: Path, rows: Words) -> None:
    """A segment of records that are sorted."""
    with SegmentWriter(path, len(rows)) as writer:
        writer.add(rows)


def merge(segments: Sequence[Segment], path: Path, horizon: int) -> None:
    """One segment of what is :func:`reachable` in several, in pieces of about two million records."""
    total = sum(segment.count for segment in segments)
    with SegmentWriter(path, total) as writer:
        pieces = min(1 << writer.bits, total // _PIECE + 1)
        width = 32 - writer.bits
        bounds = [(piece * (1 << writer.bits) // pieces) << width for piece in range(1, pieces + 1)]
        starts = [0] * len(segments)
        for bound in bounds:
            final = bound == 1 << 32
            ends = [segment.count if final else segment.cut(bound) for segment in segments]
            rows = np.concatenate([s.rows[a:b] for s, a, b in zip(segments, starts, ends, strict=True)])
            rows = rows.take(sorting(rows), axis=0)
            writer.add(rows[reachable(rows, horizon)], bound)
            starts = ends
