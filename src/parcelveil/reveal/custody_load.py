"""Work events in, records of the custody index out.

Each event becomes the records that :mod:`~parcelveil.reveal.custody` looks up:

* a parcel's position (or pickup), under a hash of its waybill number;
* who has a route, under a hash of the route's code;
* for a ticket that was opened: that it exists, under a hash of the ticket; and who opened it about which waybill, under
  a hash of both. For one that was closed: when, under another hash of the ticket;
* for a name met for the first time (outlet, staff number, route): its code, under a hash of the name.

Outlets and staff numbers are hashed as they are :func:`~parcelveil.event.folded`, and kept as they were first spelled. Routes
are compared letter by letter.

Hashes of different kinds are under different keys, so none can be taken for another. What the index knows already, or
knows better, is left out before anything is written: **loading the same file twice writes nothing.**
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from parcelveil.errors import InputError, WorkspaceError
from parcelveil.event import LONGEST, NEEDED, POSITIONS, WORK, BizStep, folded
from parcelveil.reveal.custody_files import Files, Manifest, View
from parcelveil.reveal.segments import (
    EARLIEST,
    HOLDER,
    LATEST,
    PLACE,
    ROUTE,
    WORDS,
    Bools,
    Segment,
    Words,
    beats,
    find,
    merge,
    order_of,
    reachable,
    sorting,
    times,
    write_sorted,
)
from parcelveil.seal.siv import Bytes2D, Cmac, as_rows

#: The number of a step in a record: its place in the list of steps, which breaks ties, from 1 on.
CODES: dict[BizStep, int] = {step: number for number, step in enumerate(BizStep, 1)}

#: Records of events younger than this are all kept, since a desk may ask for a moment just before the load.
SLACK = 10 * 60 * 1_000_000
FLUSH = 1 << 21  # records held before a segment is written
MOST_SEGMENTS = 8
_MOST_NAMES = (1 << 32) - 2
_MOST_CACHED = 1 << 20
_PIECE = 1 << 17


_FEW = 8


class Loaded(NamedTuple):
    """What became of the events: ``events`` is the sum of the others."""

    events: int
    applied: int  # entered the index
    passed_over: int  # known already, or older than what is known
    other: int  # say nothing about custody: inbound calls, and events without what their step needs


class Hashes:
    """The keyed hashes of one index, 16 bytes each."""

    def __init__(self, key: bytes) -> None:
        master = Cmac(key)

        def derived(label: bytes) -> bytes:
            # Version 1 hashed names as they were spelled. An index of that time knows nothing until its events are
            # loaded again: no answer is better than half of one.
            return master.rows(as_rows(b"parcelveil v2 custody " + label)).tobytes()

        def mac(label: bytes) -> Cmac:
            return Cmac(derived(label))

        self.key = key
        self._parcel, self._name, self._route = mac(b"parcel"), mac(b"name"), mac(b"route")
        self._ticket, self._closed, self._about = mac(b"ticket"), mac(b"closed"), mac(b"about")
        self._one_parcel = AES(derived(b"parcel"))
        # Not secret, so that every index of the same events breaks ties alike.
        self._tie = Cmac(bytes(16))

    def parcels(self, waybill_no: pa.StringArray) -> Bytes2D:
        if len(waybill_no) <= _FEW:  # a lone look: some microseconds each, where arrays take fifty to begin with
            return np.frombuffer(b"".join(map(self._parcel_of, waybill_no.to_pylist())), np.uint8).reshape(-1, 16)
        return self._parcel.column(waybill_no)

    def _parcel_of(self, number: str) -> bytes:
        mac = CMAC(self._one_parcel)
        mac.update(number.encode())
        return mac.finalize()

    def names(self, names: pa.StringArray) -> Bytes2D:
        return self._name.column(names)

    def routes(self, codes: npt.NDArray[np.uint32]) -> Bytes2D:
        rows = np.zeros((len(codes), 4), np.uint32)
        rows[:, 0] = codes
        return self._route.rows(rows.view(np.uint8))

    def tickets(self, tickets: pa.StringArray) -> Bytes2D:
        return self._ticket.column(tickets)

    def ticket(self, ticket: str) -> Bytes2D:
        """The one row that :meth:`tickets` gives; building an Arrow array for it would take longer than all the rest."""
        return self._ticket.rows(as_rows(ticket.encode("utf-8", "surrogatepass")))

    def closed(self, tickets: Bytes2D) -> Bytes2D:
        return self._closed.rows(tickets)

    def about(self, tickets: Bytes2D, parcels: Bytes2D) -> Bytes2D:
        return self._about.rows(np.hstack((tickets, parcels)))

    def ties(self, event_ids: pa.StringArray) -> npt.NDArray[np.uint32]:
        return words(self._tie.column(event_ids))[:, 0]


def words(hashes: Bytes2D) -> Words:
    """The 96 bits of 16-byte hashes that records are found by: shape ``(n, 3)``."""
    return np.ascontiguousarray(hashes).view(np.uint32)[:, :3]


def texts(values: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    """A column as strings without nulls: an empty string is never in the index."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if values.type != pa.string():
        values = values.cast(pa.string())
    return values.fill_null("") if values.null_count else values


def load(files: Files, view: View, hashes: Hashes, events: Iterable[pa.RecordBatch], now: int) -> Loaded:
    """Add ``events`` to the state ``view`` and make the result the one that counts. The caller holds the lock."""
    loader = _Loader(files, view, hashes, now - SLACK)
    try:
        for batch in events:
            loader.take(batch)
        return loader.finish()
    except BaseException:
        files.tidy()
        raise


class _Loader:
    def __init__(self, files: Files, view: View, hashes: Hashes, horizon: int) -> None:
        self._files, self._hashes, self._horizon = files, hashes, horizon
        self._before: Manifest = view.manifest
        self._manifest = view.manifest
        self._segments = list(view.segments)
        self._codes: dict[str, int] = {}  # names met in this load; apart from any reader's, for it may not come to pass
        self._fresh: list[bytes] = []
        self._waiting: list[Words] = []
        self._counted: list[Bools] = []  # which of the waiting records stand for an event
        self._size = self._events = self._applied = self._other = 0

    # -- events into records -----------------------------------------------------------------------------------------

    def take(self, batch: pa.RecordBatch) -> None:
        if not batch.schema.equals(WORK):
            raise InputError("custody takes batches of work events", hint="read them with parcelveil.intake.work")
        self._events += batch.num_rows
        steps = _steps(batch["biz_step"])
        at = batch["event_time"].cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        useful = (steps != 0) & (steps < CODES[BizStep.INBOUND_CALL]) & (at >= EARLIEST) & (at <= LATEST)
        for step, columns in NEEDED.items():
            these = steps == CODES[step]
            if these.any():
                for column in columns:
                    given = pc.greater(pc.binary_length(batch[column]), 0).fill_null(False)
                    useful &= ~these | given.to_numpy(zero_copy_only=False)
        self._other += batch.num_rows - int(useful.sum())
        if not useful.all():
            batch, steps, at = batch.filter(pa.array(useful)), steps[useful], at[useful]
        if batch.num_rows:
            self._take(batch, steps, at)
        if self._size >= FLUSH:
            self._flush()

    def _take(self, batch: pa.RecordBatch, steps: npt.NDArray[np.uint8], at: npt.NDArray[np.int64]) -> None:
        positions = np.isin(steps, [CODES[step] for step in POSITIONS])
        rows = np.zeros((batch.num_rows, WORDS), np.uint32)
        order = order_of(at, steps, positions)
        rows[:, 3], rows[:, 4] = order >> np.uint64(32), order & np.uint64(0xFFFFFFFF)
        rows[:, 5] = self._hashes.ties(texts(batch["event_id"]))
        rows[:, PLACE], rows[:, HOLDER] = self._intern(batch["outlet"], folded), self._intern(batch["actor"], folded)
        rows[:, ROUTE] = self._intern(batch["route_id"], str)

        def of(*kinds: BizStep) -> npt.NDArray[np.intp]:
            return np.flatnonzero(np.isin(steps, [CODES[kind] for kind in kinds]))

        parcels = np.flatnonzero(positions | (steps == CODES[BizStep.PICKUP_ASSIGNED]))
        self._add(rows[parcels], self._hashes.parcels(_at(batch["waybill_no"], parcels)), counted=True)
        routes = of(BizStep.ROUTE_ASSIGNED, BizStep.ROUTE_RELEASED)
        self._add(rows[routes], self._hashes.routes(rows[routes, ROUTE]), counted=True)
        opened, closed = of(BizStep.TICKET_OPENED), of(BizStep.TICKET_CLOSED)
        tickets = self._hashes.tickets(_at(batch["ticket"], opened))
        about = self._hashes.about(tickets, self._hashes.parcels(_at(batch["waybill_no"], opened)))
        self._add(rows[opened], about, counted=True)
        ended = self._hashes.tickets(_at(batch["ticket"], closed))
        self._add(rows[closed], self._hashes.closed(ended), counted=True)
        exists = np.vstack((tickets, ended))
        self._add(np.zeros((len(exists), WORDS), np.uint32), exists, counted=False)

    def _add(self, rows: Words, hashes: Bytes2D, *, counted: bool) -> None:
        if len(rows):
            rows[:, :3] = words(hashes)
            self._waiting.append(rows)
            self._counted.append(np.full(len(rows), counted))
            self._size += len(rows)

    # -- names -------------------------------------------------------------------------------------------------------

    def _intern(self, column: pa.Array, fold: Callable[[str], str]) -> npt.NDArray[np.uint32]:
        """The codes of a column's names; 0 for none. New names get the next codes; what ``fold`` makes equal, one."""
        encoded = texts(column).dictionary_encode()
        said = encoded.dictionary.to_pylist()
        names = [fold(name) for name in said]
        spelled = dict(zip(reversed(names), reversed(said), strict=True))  # of several spellings the first
        missing = {name: spelled[name] for name in spelled if name and name not in self._codes}
        if missing:
            if len(self._codes) > _MOST_CACHED:
                # What was flushed is found in the segments again; what was not must stay.
                self._flush()
                self._codes.clear()
                missing = {name: spelled[name] for name in spelled if name}
            self._look_up(missing)
        codes = np.array([self._codes[name] if name else 0 for name in names], np.uint32)
        column_codes: npt.NDArray[np.uint32] = codes[encoded.indices.to_numpy(zero_copy_only=False)]
        return column_codes

    def _look_up(self, spelled: dict[str, str]) -> None:
        """Find or give the codes of names; the values are what new ones will be shown as."""
        names = list(spelled)
        hashes = self._hashes.names(pa.array(names, pa.string()))
        known, rows = find(self._segments, words(hashes), np.full(len(names), LATEST))
        fresh = []
        for at, (name, found, code) in enumerate(zip(names, known.tolist(), rows[:, PLACE].tolist(), strict=True)):
            if found:
                self._codes[name] = code
                continue
            encoded = spelled[name].strip().encode()
            if len(encoded) > LONGEST:
                raise InputError("an identifier has more than {most} bytes", hint="", most=LONGEST)
            fresh.append(at)
            self._fresh.append(encoded)
            self._codes[name] = self._manifest.names + len(self._fresh)
        if self._manifest.names + len(self._fresh) > _MOST_NAMES:
            raise WorkspaceError("a custody index holds {most} names at the most", most=_MOST_NAMES)
        if fresh:
            new = np.zeros((len(fresh), WORDS), np.uint32)
            new[:, PLACE] = [self._codes[names[at]] for at in fresh]
            self._add(new, hashes[fresh], counted=False)

    # -- records into segments ---------------------------------------------------------------------------------------

    def _flush(self) -> None:
        if not self._waiting:
            return
        rows, counted = np.concatenate(self._waiting), np.concatenate(self._counted)
        self._waiting, self._counted, self._size = [], [], 0
        at = sorting(rows)
        rows, counted = rows.take(at, axis=0), counted[at]
        keep = reachable(rows, self._horizon)
        rows, counted = rows[keep], counted[keep]
        if self._segments:
            fresh = np.concatenate([self._news(rows[at : at + _PIECE]) for at in range(0, len(rows), _PIECE)])
            rows, counted = rows[fresh], counted[fresh]
        self._applied += int(counted.sum())
        if self._fresh:
            self._manifest = self._files.add_names(self._manifest, self._fresh)
            self._fresh = []
        if len(rows):
            path = self._files.segment(self._number())
            write_sorted(path, rows)
            self._segments.append(Segment(path))
            self._tidy()

    def _news(self, rows: Words) -> Bools:
        """Which records say more than the segments do, at any time from the horizon on."""
        known, best = find(self._segments, rows[:, :3], np.maximum(times(rows), self._horizon))
        news: Bools = ~known | beats(rows, best)
        return news

    def _number(self) -> int:
        number = self._manifest.following
        self._manifest = msgspec.structs.replace(self._manifest, following=number + 1)
        return number

    def _tidy(self) -> None:
        """Merge segments until each is more than twice as large as all smaller ones, and there are few."""
        while True:
            self._segments.sort(key=lambda segment: segment.count)
            small = _to_merge([segment.count for segment in self._segments])
            if not small:
                return
            merged, path = self._segments[:small], self._files.segment(self._number())
            merge(merged, path, self._horizon)
            self._segments[:small] = [Segment(path)]
            for segment in merged:
                if segment.path.name not in self._before.segments:
                    segment.path.unlink()

    def finish(self) -> Loaded:
        self._flush()
        segments = tuple(segment.path.name for segment in self._segments)
        if segments != self._before.segments or self._manifest.names != self._before.names:
            self._files.commit(
                msgspec.structs.replace(self._manifest, segments=segments, generation=self._before.generation + 1)
            )
        passed_over = self._events - self._applied - self._other
        return Loaded(self._events, self._applied, passed_over, self._other)


def _to_merge(counts: Sequence[int]) -> int:
    """How many of the smallest segments (``counts`` ascending) to merge into one now."""
    small = smaller = 0
    for at, count in enumerate(counts):
        if at and count <= 2 * smaller:
            small = at + 1
        smaller += count
    return small or (2 if len(counts) > MOST_SEGMENTS else 0)


def _steps(column: pa.Array) -> npt.NDArray[np.uint8]:
    """The numbers of the steps in a column of their names; 0 for what is none."""
    encoded = texts(column).dictionary_encode()
    numbers = {step.value: number for step, number in CODES.items()}
    known = np.array([numbers.get(name, 0) for name in encoded.dictionary.to_pylist()], np.uint8)
    steps: npt.NDArray[np.uint8] = known[encoded.indices.to_numpy(zero_copy_only=False)]
    return steps


def _at(column: pa.Array, index: npt.NDArray[np.intp]) -> pa.StringArray:
    return texts(column.take(pa.array(index)))
