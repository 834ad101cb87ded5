"""Members of an open zip as items of their own, one after the other.

::

    read_members(item, archive, archive.infolist(), run)

Each is a stream that is opened when it is read. What is encrypted, or compressed in a way that is not known here, is
noted as skipped.
"""

from __future__ import annotations

import copy
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from parcelveil.scan.document import Document
from parcelveil.scan.read import why
from parcelveil.scan.read.item import Item, Run

_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}


def read_members(item: Item, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], run: Run) -> Iterator[Document]:
    """Documents of some members of an open zip."""
    for count, info in enumerate(members):
        if info.is_dir():
            continue
        if stop := item.budget.spent or (why.TOO_MANY if count >= run.limits.members else ""):
            item.entry.say(stop)
            return
        item.entry.got = True
        stream = _Lazy(archive, info)
        member = item.member(_name(info), stream, info.file_size)
        if info.flag_bits & 1:
            member.entry.format = "unknown"
            member.entry.say(why.ENCRYPTED)
            run.note(member.entry.read(0))
        elif info.compress_type not in _METHODS:
            member.entry.say(why.COMPRESSION)
            run.note(member.entry.read(0))
        else:
            yield from run.read(member)


class _Lazy:
    """A member of a zip that is opened when it is read: who opens finds the damage.

    All that its compressed bytes give is handed out, whatever the directory says of their size; then size and checksum
    are compared. zipfile would end at the declared size and throw the last block away.
    """

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._archive, self._info = archive, info
        self._stream: IO[bytes] | None = None
        self._crc = self._count = 0

    def read(self, size: int, /) -> bytes:
        if self._stream is None:
            info = copy.copy(self._info)
            info.file_size = 1 << 62
            del info.CRC  # so it is not checked there
            self._stream = self._archive.open(info)
        data = self._stream.read(size)
        self._crc = zlib.crc32(data, self._crc)
        self._count += len(data)
        if not data and size and (self._crc, self._count) != (self._info.CRC, self._info.file_size):
            raise zipfile.BadZipFile
        return data


def _name(info: zipfile.ZipInfo) -> str:
    """The member's name; programs of Chinese Windows write GBK and do not say so."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    try:
        raw = info.filename.encode("cp437")
    except UnicodeEncodeError:
        return info.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.filename
