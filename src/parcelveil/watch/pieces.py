"""Reads what has newly come into a folder as coded events: looks or work, as the columns say.

::

    pieces = Pieces(reading, EventFiles().open, open_part, folder=Path("drop"))
    follow(Folder(Path("drop")), pieces, stream, …)

A file is work when its columns are those of work events, ours or a carrier's own, and else an access log, of which
:class:`~parcelveil.watch.reading.Reading` says what is wrong with it. Lines of one file or pipe may also be both: JSON lines with a
``biz_step`` or ``bizStep`` are work. Make ``reading`` without ``now``: while one follows, now moves on.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol

from parcelveil.errors import HeaderError, InputError
from parcelveil.event import ACCESS, WORK
from parcelveil.intake.work_words import recognise_work
from parcelveil.watch.arriving import Piece
from parcelveil.watch.following import Events
from parcelveil.watch.mapped import TakenAccess
from parcelveil.watch.mapping import recognise_access
from parcelveil.watch.own_rows import ENCODED, fits
from parcelveil.watch.reading import EventSource, Reading
from parcelveil.waybill import RawBatch

_STEP = re.compile(rb'"(?:biz_step|bizStep)"\s*:')


class OpenFile(Protocol):
    """Opens a whole file, as :meth:`parcelveil.watch.reading.Opener.open`."""

    def __call__(self, path: str, *, encoded: Collection[str] = ()) -> AbstractContextManager[EventSource]: ...


Taker = Callable[[RawBatch], TakenAccess]
#: Opens a name, a form (csv, tsv, jsonl) and a stream of bytes: :func:`parcelveil.adapt.event_pieces.open_part`.
OpenPart = Callable[[str, str, IO[bytes]], AbstractContextManager[EventSource]]


class Pieces:
    """See the module. One for all pieces of a run; ``folder`` is where their names begin."""

    def __init__(self, reading: Reading, open_file: OpenFile, open_part: OpenPart, *, folder: Path = Path()) -> None:
        self._reading, self._open_file, self._open_part, self._folder = reading, open_file, open_part, folder
        self._takers: dict[tuple[str, str, tuple[str, ...]], Taker] = {}

    def __call__(self, piece: Piece) -> Iterator[Events]:
        """Its events. Raises InputError, HeaderError, EncodingError for what cannot be read."""
        if piece.form == "log":
            raise InputError(
                "{file} is a web log, and those are not followed", hint="give it to watch run", file=piece.name
            )
        if piece.whole:
            with self._open_file(str(self._folder / piece.name), encoded=ENCODED) as source:
                yield from self._events(piece, source)
            return
        for stream in _streams(piece):
            with self._open_part(piece.name, piece.form, stream) as source:
                yield from self._events(piece, source)

    def _events(self, piece: Piece, source: EventSource) -> Iterator[Events]:
        names = tuple(source.schema.names)
        kind = kind_of(names)
        taker: Taker | None = None
        if not piece.whole:
            # Rows without an id are told apart by how often the same file said the same: it must be one and the same taker.
            key = (piece.name, kind, names)
            if piece.start <= len(piece.header):
                self._takers.pop(key, None)
            taker = self._takers.get(key) or self._takers.setdefault(key, self._reading.taker(source, kind))
        for events in self._reading.part(source, kind, taker):
            yield Events(events.accesses, events.works)


def kind_of(names: Sequence[str]) -> str:
    """What columns are of: ``work`` or ``access``.

    >>> kind_of(["event_id", "event_time", "biz_step", "waybill_no"]), kind_of(["工号", "操作时间", "运单号"])
    ('work', 'access')
    """
    if fits(names, WORK) or fits(names, ACCESS):
        return "work" if fits(names, WORK) else "access"
    try:
        recognise_work(names)
    except HeaderError:
        return "access"
    try:
        recognise_access(names)
    except HeaderError:
        return "work"
    return "access" if "biz_step" not in names and "bizStep" not in names else "work"


def _streams(piece: Piece) -> Iterator[IO[bytes]]:
    """The piece; of JSON lines that are looks and work both, each kind of them."""
    if piece.form != "jsonl":
        yield piece.open()
        return
    with piece.open() as stream:
        lines = stream.readlines()
    work = [line for line in lines if _STEP.search(line)]
    if len(work) not in {0, len(lines)}:
        yield io.BytesIO(b"".join(line for line in lines if not _STEP.search(line)))
        lines = work
    yield io.BytesIO(b"".join(lines))
