"""Watches while it happens: new files and lines become events, events become cases, within seconds.

::

    source = Folder(Path("drop"))                            # or Lines(0): JSON lines on standard input
    with Stop() as stop:
        follow(source, opener, Stream(rules), watched(watcher), on_cases, state=Path("follow.json"), stop=stop)

``opener`` reads a :class:`~parcelveil.watch.arriving.Piece` as coded events, one or more :class:`Events`; ``judge``, here
:func:`watched`, makes cases out of what the stream gives; ``on_cases`` tells of them, at least once: the store keeps one
by its uid.

**Starting.** What is in the folder is read first, as history: this alone rebuilds what is usual, so there is nothing
else to restore and a ``kill -9`` loses nothing. Files are read side by side, that one first which is behind, and rows may be
disordered by :data:`HISTORY_DISORDER` among one file's. The state file holds up to when everything had been told of: cases of
what is not later are handed over as ``history``.

**Work comes later than looks**, in files of its own perhaps. Once both have come, what is ahead waits for what is behind,
but no longer than ``patience`` seconds: then it is judged without. (More than an hour where files come by the hour.)
An outage of the work events is not a raid, and how that is told is the detectors' business.

**Rows of the future** (a clock years ahead) would make everything after them late. Rows received more than
:data:`FUTURE` after now are left out and counted.

**Stopping.** Ctrl-C or SIGTERM (:class:`Stop`) end it after the piece at hand. Nothing is settled then that is not over.
"""

from __future__ import annotations

import heapq
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple, Protocol, Self

import msgspec
import numpy as np
import pyarrow as pa

from parcelveil.errors import OutputError, ParcelveilError
from parcelveil.watch.arriving import Piece
from parcelveil.watch.cases import Case
from parcelveil.watch.coded import HOUR
from parcelveil.watch.streaming import Made, Stream
from parcelveil.watch.watcher import Watcher

#: By how much rows of one file may be out of order while the past is read: files of a day often come sorted by something else.
HISTORY_DISORDER = 26 * HOUR
#: Rows received so much after now are left out.
FUTURE = HOUR
_POLL = 1.0
_SECOND = 1_000_000


class Events(NamedTuple):
    """Coded events of one piece, or of a part of it."""

    accesses: pa.Table | None = None
    works: pa.Table | None = None


#: Reads a piece. Raises a ParcelveilError for one that cannot be read: it is told, and left out until its file changes.
Opener = Callable[[Piece], Iterator[Events]]
Judge = Callable[[Made], Iterable[Case]]


class Arrivals(Protocol):
    """Where pieces come from: :class:`~parcelveil.watch.arriving.Folder` or :class:`~parcelveil.watch.arriving.Lines`."""

    ended: bool
    pending: bool

    def poll(self) -> list[Piece]: ...
    def done(self, piece: Piece) -> Piece | None: ...
    def wait(self, seconds: float) -> None: ...


class Followed(msgspec.Struct):
    """What came of it so far, in numbers."""

    pieces: int = 0
    looks: int = 0
    works: int = 0
    cases: int = 0
    days: int = 0
    future: int = 0  # rows left out because they were received after now
    troubles: int = 0  # pieces that could not be read
    late: int = 0
    duplicates: int = 0


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state file. All that was received before ``watermark`` (microseconds since 1970) had been told of."""

    version: int = 1
    watermark: int = 0

    @classmethod
    def load(cls, file: Path | None) -> Saved:
        """What ``file`` says; of one that is missing or damaged, that nothing was told yet: cases are kept once by their uid."""
        try:
            return msgspec.json.decode(file.read_bytes(), type=cls) if file else cls()
        except (OSError, msgspec.DecodeError):
            return cls()

    def save(self, file: Path) -> None:
        """Write ``file`` whole or not at all. Raises OutputError."""
        beside = file.with_name(f".{file.name}.new")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(msgspec.json.encode(self))
                out.flush()
                os.fsync(out.fileno())
            beside.replace(file)
        except OSError as fault:
            raise OutputError("{file} cannot be written: {why}", file=str(file), why=fault.strerror or "?") from fault


class Stop:
    """Set by Ctrl-C and SIGTERM while it is entered; a second one ends the process as it always would."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}


def watched(watcher: Watcher) -> Judge:
    """Cases of a :class:`~parcelveil.watch.watcher.Watcher` for what a stream gives."""

    def judge(made: Made) -> Iterator[Case]:
        watcher.see(made.looks)
        signals = watcher.look(made.open) if made.open.num_rows else []
        for day in made.days:
            signals += watcher.settle(day)
        return watcher.docket.take(signals)

    return judge


def follow(
    source: Arrivals,
    opener: Opener,
    stream: Stream,
    judge: Judge,
    on_cases: Callable[[list[Case], bool], None],
    *,
    state: Path | None = None,
    stop: Stop | None = None,
    patience: float = 60.0,
    on_trouble: Callable[[Piece, ParcelveilError], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Followed:
    """Follow ``source`` until it has ended or ``stop`` was asked for. ``on_cases`` gets cases and whether they are history.

    ``patience``: seconds that looks wait for work. ``clock``: seconds since 1970.
    """
    return _Follower(source, opener, stream, judge, on_cases, state, patience, on_trouble, clock).run(stop or Stop())


class _Follower:
    """What :func:`follow` keeps in mind."""

    def __init__(
        self,
        source: Arrivals,
        opener: Opener,
        stream: Stream,
        judge: Judge,
        on_cases: Callable[[list[Case], bool], None],
        state: Path | None,
        patience: float,
        on_trouble: Callable[[Piece, ParcelveilError], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self._source, self._opener, self._stream, self._judge = source, opener, stream, judge
        self._on_cases, self._on_trouble, self._state = on_cases, on_trouble, state
        self._patience, self._clock = patience, clock
        self._saved = Saved.load(state)
        self._latest: dict[str, int] = {}  # receipt of the latest look and work
        self._came: deque[tuple[float, int]] = deque()  # by our clock, when what was received up to then had come
        self._waited_for = 0  # what was received up to then came more than ``patience`` ago
        self.followed = Followed()

    def run(self, stop: Stop) -> Followed:
        past = True  # until a poll finds nothing new, and nothing that may still be written
        while not stop.asked:
            pieces = self._source.poll()
            if pieces:
                self._read(pieces, past, stop)
            past = past and (bool(pieces) or self._source.pending)
            if not past and not stop.asked:
                self._advance(self._watermark(self._stream.disorder))
            if self._source.ended and not stop.asked:
                self._advance(None)
                break
            self._keep()
            if not pieces and not stop.asked:
                self._source.wait(_POLL)
        self._keep()
        return self._counted()

    def _read(self, pieces: list[Piece], past: bool, stop: Stop) -> None:
        """Read pieces side by side, that one on which is behind. Of the past the watermark follows behind all of them."""
        heap: list[tuple[int, int, Piece, Iterator[Events], Events]] = []
        for place, piece in enumerate(pieces):
            self._next(heap, place, piece, self._opened(piece), None)
        while heap and not stop.asked:
            behind, place, piece, events, now = heapq.heappop(heap)
            if past:
                self._advance(min(behind, self._watermark(0)) - HISTORY_DISORDER)
            self._next(heap, place, piece, events, max(behind, self._add(now)))

    def _opened(self, piece: Piece) -> Iterator[Events]:
        self.followed.pieces += 1
        try:
            yield from self._opener(piece)
        except OSError:
            return  # gone meanwhile
        except ParcelveilError as fault:
            self.followed.troubles += 1
            if self._on_trouble is not None:
                self._on_trouble(piece, fault)

    def _next(
        self,
        heap: list[tuple[int, int, Piece, Iterator[Events], Events]],
        place: int,
        piece: Piece,
        events: Iterator[Events],
        latest: int | None,
    ) -> None:
        """Put the next part of a file on the heap by how far it has come."""
        while True:
            for part in events:
                now = self._not_of_the_future(part)
                times = [
                    int(np.asarray(table["received"]).min()) for table in now if table is not None and table.num_rows
                ]
                if times:
                    heapq.heappush(heap, (min(times) if latest is None else latest, place, piece, events, now))
                    return
            after = self._source.done(piece)
            if after is None:
                return
            piece, events = after, self._opened(after)

    def _add(self, now: Events) -> int:
        latest = 0
        for kind, table in zip(Events._fields, now, strict=True):
            if table is not None and table.num_rows:
                last = int(np.asarray(table["received"]).max())
                self._latest[kind] = max(last, self._latest.get(kind, last))
                latest = max(latest, last)
        self._stream.add(now.accesses, now.works)
        if not self._came or latest > self._came[-1][1]:
            self._came.append((self._clock(), latest))
        return latest

    def _watermark(self, disorder: int) -> int:
        """Up to where everything must have come: behind both kinds of events, as long as there is patience."""
        if not self._latest:
            return self._stream.watermark
        while self._came and self._clock() - self._came[0][0] >= self._patience:
            self._waited_for = max(self._waited_for, self._came.popleft()[1])
        return max(min(self._latest.values()), self._waited_for) - disorder

    def _advance(self, watermark: int | None) -> None:
        """Up to ``watermark`` or, None, to the end; first up to where everything had been told of before the start."""
        told = min(self._saved.watermark, int(self._clock() * _SECOND))
        if self._stream.watermark < told and (watermark is None or told < watermark):
            self._told(self._stream.advance(told))
        self._told(self._stream.flush() if watermark is None else self._stream.advance(watermark))

    def _not_of_the_future(self, events: Events) -> Events:
        limit = int(self._clock() * _SECOND) + FUTURE

        def kept(table: pa.Table | None) -> pa.Table | None:
            if table is None or not table.num_rows:
                return table
            past = np.asarray(table["received"]) <= limit
            if past.all():
                return table
            self.followed.future += int((~past).sum())
            return table.filter(pa.array(past))

        return Events(kept(events.accesses), kept(events.works))

    def _told(self, steps: Iterator[Made]) -> None:
        for made in steps:
            self.followed.days += len(made.days)
            cases = list(self._judge(made))
            if cases:
                self.followed.cases += len(cases)
                self._on_cases(cases, self._stream.watermark <= self._saved.watermark)

    def _keep(self) -> None:
        if self._state is not None:
            told = min(self._stream.watermark, max(self._latest.values(), default=0) + 1)
            now = Saved(watermark=max(told, self._saved.watermark))
            if now != self._saved:
                now.save(self._state)
                self._saved = now

    def _counted(self) -> Followed:
        followed, stream = self.followed, self._stream
        followed.looks, followed.works = stream.looks, stream.works
        followed.late, followed.duplicates = stream.late, stream.duplicates
        return followed
