"""Streams out of gzip, bzip2, xz, LZMA and Zstandard: constant memory, several streams one behind the other.

::

    inflated(item, "gz").read(1 << 20)       # up to that many bytes; empty at the end only

Zero bytes behind a complete stream are padding. Anything else there, and any damage, raises whatever it may be; the
reader that pulls says "damaged".
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from parcelveil.scan.read.item import BLOCK, Readable

#: A hostile header of xz may ask for gigabytes; the strongest preset needs 65 MiB.
_XZ_MEMORY = 256 << 20
MAGIC = {
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"\x5d\x00\x00": "lzma",
}
#: What a compressed file's name ends in, and what is left of the ending inside.
ENDINGS = {".gz": "", ".bz2": "", ".xz": "", ".zst": "", ".lzma": "", ".tgz": ".tar", ".tbz2": ".tar", ".txz": ".tar"}


class _Streams:
    """A decoder that stops at the end of its stream, begun again for each further stream."""

    def __init__(self, raw: Readable, make: Callable[[], Any], magic: bytes) -> None:
        self._raw, self._make, self._magic = raw, make, magic
        self._engine, self._rest, self._ended = make(), b"", False

    def read(self, size: int, /) -> bytes:
        while not self._ended:
            if self._engine.eof:
                rest = self._engine.unused_data or self._rest
                while len(rest) < len(self._magic) and (more := self._raw.read(BLOCK)):
                    rest += more
                if not rest.startswith(self._magic):
                    self._ended = True
                    while not rest.strip(b"\0") and (rest := self._raw.read(BLOCK)):
                        pass
                    if rest:
                        raise ValueError
                    break
                self._engine, self._rest = self._make(), rest
            if self._engine.needs_input and not self._rest:
                self._rest = self._raw.read(BLOCK)
                if not self._rest:
                    raise EOFError
            data: bytes = self._engine.decompress(self._rest, size)
            self._rest = b""
            if data:
                return data
        return b""


class _Gzip:
    """zlib's decoder with the interface of the two others."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    def decompress(self, data: bytes, size: int) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, size)


class _Zstandard:
    """Arrow's stream, which wants a file object."""

    def __init__(self, raw: Readable) -> None:
        self._raw = raw
        self._stream: Any = None

    def read(self, size: int, /) -> bytes:
        if self._stream is None:
            self._stream = pa.CompressedInputStream(pa.PythonFile(_File(self._raw), mode="r"), "zstd")
        data: bytes = self._stream.read(size)
        return data


class _File:
    closed = False

    def __init__(self, raw: Readable) -> None:
        self._raw = raw

    def read(self, size: int = BLOCK) -> bytes:
        return self._raw.read(size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing: the raw stream is its owner's."""


def inflated(raw: Readable, kind: str) -> Readable:
    """What ``raw`` inflates to; ``kind`` is one of ``gz bz2 xz lzma zst``."""
    if kind == "gz":
        return _Streams(raw, _Gzip, b"\x1f\x8b")
    if kind == "bz2":
        return _Streams(raw, bz2.BZ2Decompressor, b"BZh")
    if kind == "zst":
        return _Zstandard(raw)
    magic = b"\xfd7zXZ\x00" if kind == "xz" else b"\x5d\x00\x00"
    return _Streams(raw, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY), magic)


def inner_name(name: str) -> str:
    """The name of what is inside of a compressed file.

    >>> inner_name("app.log.gz"), inner_name("chats.tgz"), inner_name("x.7")
    ('app.log', 'chats.tar', 'x.7')
    """
    for ending, left in ENDINGS.items():
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)] + left
    return name
