"""What has newly come into a folder, and is whole: files that were finished, and lines that were added to growing ones.

::

    folder = Folder(Path("drop"))
    for piece in folder.poll():            # from time to time; each piece at most MOST bytes of a growing file
        while piece is not None:
            with piece.open() as stream: ...   # the header line and the new lines; or the whole file
            piece = folder.done(piece)         # what follows it in the same file; what is not done comes again

**Nothing half-written.** Lines count when their end is there (of CSV, a line end that is not inside quotes); a last line
without an end when nothing came for :data:`QUIET` seconds. Files that are written as a whole (Parquet, Arrow, workbooks, whatever
is compressed) count when two polls found the same size and time, of Parquet and Arrow when their last bytes are there too. Files whose name
begins with ``.`` or ``_`` or ends as unfinished downloads do are left alone until they are renamed; so are links and
whatever is no file.

**Renamed, cut, replaced.** A growing file goes on where it was under a new name (logs are rotated so), and begins anew when it
is shorter than before or begins otherwise. Looks that come twice by that are left out by the stream.

:class:`Lines` does the same with JSON lines on standard input.
"""

from __future__ import annotations

import io
import os
import select
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from parcelveil.errors import InputError

#: Bytes of a growing file in one piece, and beyond which a record without an end is cut at a line end all the same.
MOST = 32 << 20
_LONGEST_RECORD = 16 << 20
#: Seconds without change after which a last line counts though its end is missing.
QUIET = 60.0
_GROWING = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".log": "log",
}
_WHOLE = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".arrows": "arrow",
    ".xlsx": "xlsx",
    ".gz": "gz",
}
_LAST_BYTES = {".parquet": (b"PAR1",), ".arrow": (b"ARROW1",), ".feather": (b"ARROW1", b"PAR1")}
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", "~", ".swp")
_HEADED = ("csv", "tsv")
#: Bytes by which a file is known again.
_HEAD = 256
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Piece(NamedTuple):
    """New bytes of one file. ``name``: for messages. ``form``: csv, tsv, jsonl, log, parquet, arrow, xlsx, or gz."""

    name: str
    form: str
    path: Path | None  # None: ``data``
    start: int
    end: int
    header: bytes = b""
    data: bytes = b""

    @property
    def whole(self) -> bool:
        """Whether the piece is all of a file, so that it may be read by its path."""
        return self.path is not None and self.form not in _GROWING.values()

    def open(self) -> io.BufferedReader:
        """The header, if any, and the bytes of the piece. Raises OSError when the file is gone."""
        if self.path is None:
            return io.BufferedReader(_Range(io.BytesIO(self.data), b"", 0, len(self.data)))
        return io.BufferedReader(_Range(self.path.open("rb"), self.header, self.start, self.end), 1 << 20)


class _Range(io.RawIOBase):
    """A header, and then a part of a file."""

    def __init__(self, file: io.BufferedIOBase | io.BytesIO, header: bytes, start: int, end: int) -> None:
        self._file, self._header, self._left = file, header, end - start
        file.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if self._header:
            size = min(len(view), len(self._header))
            view[:size] = self._header[:size]
            self._header = self._header[size:]
            return size
        data = self._file.read(min(len(view), self._left))
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Known:
    """One file as it was seen last."""

    def __init__(self, inode: tuple[int, int]) -> None:
        self.inode = inode
        self.seen: tuple[int, int] | None = None  # size and time of the last poll
        self.read: tuple[int, int] | None = None  # of a whole file, when it was read
        self.head = b""
        self.header = b""
        self.offset = 0


class Folder:
    """See the module. ``clock``: seconds since 1970. Files are given in the order of their names.

    ``pending``: whether the last poll left a file for the next one because it may still be written.
    """

    ended = False
    pending = False

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = folder, clock
        self._known: dict[str, _Known] = {}

    def poll(self) -> list[Piece]:
        """What is new and whole, one piece a file. Raises InputError when the folder is gone."""
        if not self._folder.is_dir():
            raise InputError("{folder} is no folder", folder=str(self._folder))
        self.pending = False
        by_inode = {known.inode: known for known in self._known.values()}
        before, self._known = self._known, {}
        pieces = []
        for name, state in sorted(self._files()):
            inode = (state.st_dev, state.st_ino)
            known = before.get(name)
            if known is None or known.inode != inode:
                known = by_inode.get(inode) or _Known(inode)
            self._known[name] = known
            piece = self._piece(name, known, state)
            known.seen = (state.st_size, state.st_mtime_ns)
            if piece is not None:
                pieces.append(piece)
        return pieces

    def done(self, piece: Piece) -> Piece | None:
        """The piece was dealt with, well or badly: it does not come again unless the file changes. Gives the one after it."""
        known = self._known[piece.name]
        known.offset, known.read = piece.end, known.seen
        try:
            return self._piece(piece.name, known, (self._folder / piece.name).lstat())
        except OSError:
            return None

    def wait(self, seconds: float) -> None:
        """Nothing tells of new files: wait."""
        time.sleep(seconds)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        for folder, folders, names in os.walk(self._folder):
            folders[:] = sorted(name for name in folders if name[0] not in "._")
            for name in names:
                path = Path(folder, name)
                if name[0] in "._" or name.lower().endswith(_UNFINISHED):
                    continue
                if path.suffix.lower() not in _GROWING and path.suffix.lower() not in _WHOLE:
                    continue
                try:
                    state = path.lstat()
                except OSError:
                    continue  # renamed meanwhile: it comes under its new name
                if stat.S_ISREG(state.st_mode) and state.st_size:
                    yield path.relative_to(self._folder).as_posix(), state

    def _piece(self, name: str, known: _Known, state: os.stat_result) -> Piece | None:
        path, size = self._folder / name, state.st_size
        now = (size, state.st_mtime_ns)
        if known.read == now and known.offset == size:
            return None
        suffix = path.suffix.lower()
        try:
            with path.open("rb") as file:
                form = _GROWING.get(suffix)
                if form is None or file.peek(2)[:2] in _UTF16:
                    last = _LAST_BYTES.get(suffix, (b"",))
                    file.seek(max(0, size - max(map(len, last))))
                    if known.seen != now:
                        self.pending = True
                        return None
                    if not file.read(8).endswith(last):
                        return None
                    return Piece(name, form or _WHOLE[suffix], path, 0, size)
                return self._grown(name, form, file, known, state)
        except OSError:
            return None  # gone, or not ours to read now: the next poll tells

    def _grown(
        self, name: str, form: str, file: io.BufferedReader, known: _Known, state: os.stat_result
    ) -> Piece | None:
        size, head = state.st_size, file.read(_HEAD)
        if size < known.offset or not head.startswith(known.head):
            known.offset, known.header = 0, b""
        known.head = head
        if form in _HEADED and not known.header:
            file.seek(0)
            known.header = _header(file.read(min(size, _LONGEST_RECORD)))
            if not known.header:
                return None
        start = max(known.offset, len(known.header))
        file.seek(start)
        data = file.read(min(MOST, size - start))
        rest = start + len(data) == size
        quiet = rest and self._clock() - state.st_mtime >= QUIET
        end = start + (len(data) if quiet else whole_records(data, quoted=form in _HEADED))
        if end == start:
            return None
        return Piece(name, form, self._folder / name, start, end, known.header)


class Lines:
    """JSON lines on a file descriptor, standard input for example. ``ended`` when its other end was closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting = b""
        self._done = 0
        self.ended = self.pending = False

    def poll(self) -> list[Piece]:
        """The lines that are there."""
        parts, size = [self._waiting], len(self._waiting)
        while size < MOST and not self.ended and select.select([self._descriptor], [], [], 0)[0]:
            data = os.read(self._descriptor, 1 << 20)
            self.ended = not data
            parts.append(data)
            size += len(data)
        data = b"".join(parts)
        end = len(data) if self.ended else whole_records(data, quoted=False)
        self._waiting = data[end:]
        if not end:
            return []
        start, self._done = self._done, self._done + end
        return [Piece("-", "jsonl", None, start, start + end, data=data[:end])]

    def done(self, piece: Piece) -> Piece | None:  # noqa: ARG002 - as Folder has it
        """It does not come again in any case, and there is none after it before the next poll."""
        return None

    def wait(self, seconds: float) -> None:
        """Until there is more, but not longer."""
        if not self.ended:
            select.select([self._descriptor], [], [], seconds)


def whole_records(data: bytes, *, quoted: bool) -> int:
    r"""Bytes of ``data`` up to the end of its last whole record.

    >>> whole_records(b'a,b\nc,"d\ne', quoted=True), whole_records(b'a,b\nc,"d\ne', quoted=False)
    (4, 8)
    """
    end = data.rfind(b"\n") + 1
    if not quoted or b'"' not in data:
        return end
    last = end
    before = data.count(b'"', 0, end)
    while end and before % 2:
        further = data.rfind(b"\n", 0, end - 1) + 1
        before -= data.count(b'"', further, end)
        end = further
    # A quote that is never closed must not hold up everything behind it.
    return end if len(data) - end <= _LONGEST_RECORD else last


def _header(data: bytes) -> bytes:
    """The first record of a CSV file; nothing while its end is missing."""
    end = 0
    while True:
        found = data.find(b"\n", end) + 1
        if not found:
            return b""
        end = found
        if data.count(b'"', 0, end) % 2 == 0:
            return data[:end]
