"""One thing to be read: its bytes, where it lies, what it may cost, and what the manifest will say of it.

::

    item = Item(Place("a.zip", member="log.txt"), stream, budget=budget, depth=1)
    item.head(4)                             # the first bytes, which stay to be read
    for piece in item.pieces(): ...

Readers are generators of documents. What they meet on the way they put into the item's :class:`Entry`; who opened the
item turns that into one line of the manifest, when everything of the item was read.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol, TypeVar

from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.read import why
from parcelveil.scan.read.limits import Budget, Limits, Stopped

BLOCK = 1 << 20
#: A member's name is shown up to here.
_NAME = 1024
Piece = TypeVar("Piece")


class Readable(Protocol):
    """The one method needed of a stream of bytes; empty at the end only."""

    def read(self, size: int, /) -> bytes: ...


def shown(name: str) -> str:
    """A file's or member's name as it may be stored and printed: valid Unicode, without control characters.

    >>> shown("a\\x1b[2Jb"), shown("caf\\udce9")
    ('a\\\\x1b[2Jb', 'caf\\\\xe9')
    """
    text = name[:_NAME].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def inside(place: Place, name: str) -> Place:
    """The place of a member of what lies at ``place``."""
    name = shown(name) or "?"
    return Place(place.source, member=f"{place.member}!{name}" if place.member else name)


class Entry:
    """What the manifest will say of an item: filled while it is read."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.format = ""
        self.encoding = ""
        self.rows = 0
        self.why = ""
        self.got = False  # whether anything of it was read
        self._open = 0

    def say(self, why: str) -> None:
        """Not all was read. The first reason counts."""
        self.why = self.why or why

    def watch(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """``pieces``, which end where reading them fails: the reason is said, nothing is raised."""
        self._open += 1
        return self._watched(pieces)

    def _watched(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        try:
            for piece in pieces:
                self.got = True
                yield piece
        except Stopped as stopped:
            self.say(stopped.why)
        except OSError as error:
            self.say(of_system(error))
        except Exception:  # noqa: BLE001  decoders of hostile bytes raise anything
            self.say(why.DAMAGED)
        self._open -= 1

    def read(self, count: int) -> Read:
        """The line of the manifest, for an item of ``count`` bytes."""
        if self._open:
            self.say(why.BROKEN_OFF)
        outcome: Literal["read", "partly", "skipped"]
        outcome = "partly" if self.why and self.got else "skipped" if self.why else "read"
        return Read(
            place=self.place,
            format=self.format or "unknown",
            outcome=outcome,
            why=self.why,
            encoding=self.encoding,
            bytes=count,
            rows=self.rows,
        )


def of_system(error: OSError) -> str:
    """The sentence for an error of the operating system; one without a number comes from a decoder."""
    if isinstance(error, PermissionError):
        return why.NOT_PERMITTED
    return why.NOT_READABLE if error.errno else why.DAMAGED


class Item:
    """Bytes with a place. They are read once, from the beginning to the end, or held and then read at random."""

    def __init__(
        self,
        place: Place,
        stream: Readable,
        *,
        budget: Budget,
        depth: int = 0,
        name: str = "",
        path: Path | None = None,
        file: IO[bytes] | None = None,
        size: int | None = None,
    ) -> None:
        self.place, self.budget, self.depth, self.size = place, budget, depth, size
        self._path = path  # of what lies on the disk: then ``file`` is the stream, and can seek
        self.name = (name or place.member.rpartition("!")[2] or place.source).lower()
        self.entry = Entry(place)
        self.count = 0  # bytes taken from the stream so far
        self._stream = stream
        self._ahead = b""
        self._error: Exception | None = None
        self._held = 0
        self._random: IO[bytes] | None = file
        #: Whether it was asked already if its place is to be skipped.
        self.asked = False

    def _pull(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        if self.depth:
            self.budget.inflate(len(data))
        elif self.budget.size < self.count:  # standard input, or a file that grows
            self.budget.size = self.count
        if spent := self.budget.spent:
            raise Stopped(spent)
        return data

    def head(self, size: int) -> bytes:
        """The first ``size`` bytes (fewer: it ends there). They stay to be read."""
        parts, got = [self._ahead], len(self._ahead)
        try:
            while got < size and self._error is None and (data := self._pull(min(size - got, BLOCK))):
                parts.append(data)
                got += len(data)
        except Exception as error:
            if not got:
                raise
            self._error = error
        self._ahead = b"".join(parts) if len(parts) > 1 else self._ahead
        return self._ahead[:size]

    def read(self, size: int = BLOCK) -> bytes:
        """Up to ``size`` bytes more; empty at the end. Raises Stopped and whatever the stream raises."""
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        if self._error is not None:
            raise self._error
        return self._pull(size)

    def pieces(self, size: int = BLOCK) -> Iterator[bytes]:
        """The rest of the bytes."""
        while data := self.read(size):
            yield data

    def random(self) -> IO[bytes]:
        """A stream that can seek, over all bytes: the file itself, or what is held of the member. Raises Stopped."""
        if self._random is None:
            self._random = held = io.BytesIO()
            for piece in self.pieces():
                self.budget.hold(len(piece))
                self._held += len(piece)
                held.write(piece)
        elif self._path is not None:
            self.count = self.size or 0
        self._random.seek(0)
        return self._random

    def whole(self) -> bytes:
        """All bytes, in memory. Raises Stopped where that is too much."""
        stream = self.random()
        if isinstance(stream, io.BytesIO):
            return stream.getvalue()
        data = stream.read(min(self.budget.limits.held, self.size or 0) + 1)
        self.budget.hold(len(data))
        self._held += len(data)
        return data

    def source(self) -> Path | bytes:
        """For readers that take a file by its path: the path, or the bytes of a member."""
        if self._path is None:
            return self.whole()
        self.count = self.size or 0
        return self._path

    def release(self) -> None:
        """Nothing more is read of it."""
        self.budget.release(self._held)
        self._held, self._ahead, self._random = 0, b"", None

    def member(self, name: str, stream: Readable, size: int | None = None) -> Item:
        """A member of this item."""
        return Item(inside(self.place, name), stream, budget=self.budget, depth=self.depth + 1, name=name, size=size)


#: Documents of a picture or a database, from its path, or its bytes where it is a member of something.
Hook = Callable[[Place, "bytes | Path"], Iterator[Document]]


@dataclass
class Run:
    """What holds for a whole scan. ``read`` reads one item, whatever it is: containers call it for their members."""

    limits: Limits
    note: Callable[[Read], None]
    read: Callable[[Item], Iterator[Document]]
    database: Hook | None = None
    picture: Hook | None = None
    skip: Callable[[Place], bool] | None = None
