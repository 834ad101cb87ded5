"""Archives: zip and tar, member by member; names are labels only, and nothing is ever written.

::

    for document in read_zip(item, run): ...     # documents of the members, of members of members, and so on

Members are streams: only what needs random access inside (a zip in a zip, a workbook) is held in memory. What all of
it inflates to is bounded over all levels together (:class:`~parcelveil.scan.read.limits.Budget`).
A zip that is an office document is handed to its reader.
"""

from __future__ import annotations

import struct
import tarfile
import zipfile
from collections.abc import Iterator
from typing import IO

from parcelveil.scan.document import Document
from parcelveil.scan.read import office, sheets, why
from parcelveil.scan.read.item import BLOCK, Item, Run
from parcelveil.scan.read.limits import Stopped
from parcelveil.scan.read.members import read_members

_END = b"PK\x05\x06"
_END64 = b"PK\x06\x07"
#: Of one entry in the directory of a zip; longer ones are hostile.
_ENTRY = 1024
_TAR_BLOCK = 512
#: Of a tar's header that extends another: a name, a few dates.
_EXTENSION = 1 << 20


def read_zip(item: Item, run: Run) -> Iterator[Document]:
    """Documents of a zip, or of the office document that it is."""
    stream = item.random()
    _check_directory(stream, run.limits.members)
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
        kind = office.kind_of(names, archive)
        item.entry.format = kind or "zip"
        if kind in ("xlsx", "ods"):
            yield from sheets.read_workbook(item, archive, run)
        elif kind == "xlsb":
            item.entry.say(why.SHEET_FORMAT)
        elif kind:
            yield from office.read_office(item, archive, run)
        else:
            yield from read_members(item, archive, archive.infolist(), run)


def _check_directory(stream: IO[bytes], members: int) -> None:
    """Looks at the directory's size before it is read: an entry of 50 bytes becomes an object of 600."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - (1 << 16) - 64))
    tail = stream.read()
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + 20:
        raise zipfile.BadZipFile
    count, directory = struct.unpack_from("<HI", tail, place + 10)
    locator = tail.rfind(_END64, 0, place)
    if locator >= 0 and len(tail) >= locator + 16:
        stream.seek(struct.unpack_from("<Q", tail, locator + 8)[0])
        end = stream.read(56)
        if len(end) == 56:
            count, directory = struct.unpack_from("<QQ", end, 32)
    if directory > 2 * members * _ENTRY or count > 10 * members:
        raise Stopped(why.TOO_MANY)


def read_tar(item: Item, run: Run) -> Iterator[Document]:
    """Documents of a tar, in a stream."""
    extended: dict[str, str] = {}
    count = 0
    while True:
        block = _exactly(item, _TAR_BLOCK)
        if not block and count:  # many tools leave the end marks out
            return
        if len(block) < _TAR_BLOCK:
            item.entry.say(why.DAMAGED)
            return
        if not block.strip(b"\0"):  # the end, or padding before more: both are read over
            continue
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if info.type in (b"x", b"g", b"L", b"K", b"X"):
            extended |= _extension(info, _padded(item, info.size))
            continue
        size = int(extended.get("size", info.size))
        name = extended.get("GNU.sparse.name") or extended.get("path") or info.name
        extended = {}
        count += 1
        if count > run.limits.members:
            item.entry.say(why.TOO_MANY)
            return
        item.entry.got = True
        more = info.type == b"S" and block[482] != 0
        while more:  # an old sparse file's map goes on
            more = _exactly(item, _TAR_BLOCK)[504:505] not in (b"", b"\0")
        part = _Part(item, size if info.type in (b"0", b"\0", b"7", b"S") else 0)
        if info.isdir():
            continue
        member = item.member(name, part, size)
        if info.issym() or info.islnk():
            member.entry.say(why.LINK)
            run.note(member.entry.read(0))
        elif not (info.isreg() or info.type == b"S"):
            member.entry.say(why.SPECIAL)
            run.note(member.entry.read(0))
        else:
            yield from run.read(member)
        part.skip()
        if stop := item.budget.spent:
            item.entry.say(stop)
            return


class _Part:
    """A member's bytes in the stream of its tar."""

    def __init__(self, item: Item, size: int) -> None:
        if size < 0:
            raise ValueError
        self._item, self._left, self._padding = item, size, -size % _TAR_BLOCK

    def read(self, size: int, /) -> bytes:
        data = self._item.read(min(size, self._left))
        if not data and self._left and size:
            raise EOFError
        self._left -= len(data)
        return data

    def skip(self) -> None:
        """Goes on to the next header."""
        while self._left:
            self.read(BLOCK)
        _exactly(self._item, self._padding)


def _exactly(item: Item, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := item.read(size - len(data))):
        data += more
    return data


def _padded(item: Item, size: int) -> bytes:
    if not 0 <= size <= _EXTENSION:
        raise ValueError
    data = _exactly(item, size + -size % _TAR_BLOCK)
    return data[:size]


def _extension(info: tarfile.TarInfo, data: bytes) -> dict[str, str]:
    """What a header says of the next member."""
    if info.type == b"L":
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    found: dict[str, str] = {}
    while info.type in (b"x", b"X") and data:
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or len(length) > 8 or int(length) < len(length) + 3:
            raise ValueError
        key, _, value = rest[: int(length) - len(length) - 2].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[int(length) :]
    return {key: found[key] for key in ("path", "size", "GNU.sparse.name") if key in found}
