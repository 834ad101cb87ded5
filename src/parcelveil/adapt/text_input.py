"""Turns the bytes of a text file into clean UTF-8: decompressed, without byte order mark, checked.

Compression is told by the first bytes, the encoding by all of them::

    >>> import io
    >>> text = TextInput("orders.csv", io.BytesIO("运单号,姓名\\n".encode("gb18030")))
    >>> text.encoding, text.read(100).decode()
    ('gb18030', '运单号,姓名\\n')

What is taken without being asked: UTF-8 with and without byte order mark, UTF-16 with one, GB18030 (and its
subsets GBK and GB2312). Anything else has to be named, because a guess that is wrong ruins names silently.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable
from typing import IO, Any, NamedTuple, Protocol, cast

import pyarrow as pa

from parcelveil.errors import EncodingError, InputError, UsageError

BLOCK = 1 << 20
#: Bytes looked at when the input cannot be read twice.
HEAD = 4 << 20
_XZ_MEMORY = 256 << 20  # a hostile header may ask for gigabytes
_MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst"}
_NAMED = re.compile(
    r"ascii|utf-8(-sig)?|utf-16(-[lb]e)?|gb18030|gbk|gb2312|big5(hkscs)?|shift_jis|euc_jp|euc_kr|koi8-r"
    r"|cp(932|949|950|125[0-8])|iso8859-\d{1,2}"
)
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, pa.ArrowInvalid, OSError)


_ASCII = re.compile(r"[\x00-\x7f]+")
#: So many good characters before the first bad byte: damaged UTF-8, for text in GB18030 never gets so far.
_SURELY_UTF8 = 20
#: Less than this share of GB 2312 characters: rather another encoding that happens to decode.
_PLAUSIBLE = 0.7


class Readable(Protocol):
    """The one method needed of a byte stream."""

    def read(self, size: int, /) -> bytes: ...


def compression_of(head: bytes) -> str | None:
    """``gz``, ``bz2``, ``xz`` or ``zst`` when ``head`` (the first 6 bytes) says so, else None."""
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def codec_name(encoding: str) -> str:
    """The canonical name of a supported text encoding; UsageError for any other."""
    try:
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError):
        name = ""
    if not _NAMED.fullmatch(name):
        raise UsageError(
            "{encoding} is not a known text encoding",
            hint="use utf-8, utf-16, gb18030, big5, shift_jis, cp1252 or another common one",
            encoding=encoding[:40],
        )
    return "gb18030" if name in ("gbk", "gb2312") else name


class _Counted:
    """The raw bytes, counted for the progress bar; may begin with bytes that were read already."""

    def __init__(self, stream: IO[bytes], ahead: bytes = b"") -> None:
        self._stream, self._ahead, self.count = stream, ahead, 0

    def read(self, size: int = -1) -> bytes:
        if self._ahead and size >= 0:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            data = self._ahead + self._stream.read(size)
            self._ahead = b""
        self.count += len(data)
        return data

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing: Arrow closes what it drops, but the stream is rewound and used again."""


class _Inflated:
    """bz2 and xz, concatenated streams included. The standard file objects cannot limit the memory of xz."""

    def __init__(self, raw: Readable, make: Callable[[], Any]) -> None:
        self._raw, self._make, self._engine, self._rest = raw, make, make(), b""

    def read(self, size: int) -> bytes:
        while True:
            if self._engine.eof:
                self._rest = self._engine.unused_data or self._raw.read(BLOCK)
                if not self._rest.strip(b"\0"):
                    return b""
                self._engine = self._make()
            if self._engine.needs_input and not self._rest:
                self._rest = self._raw.read(BLOCK)
                if not self._rest:
                    raise EOFError
            data: bytes = self._engine.decompress(self._rest, size)
            self._rest = b""
            if data:
                return data


def _inflate(raw: _Counted, kind: str | None) -> Readable:
    if kind == "gz":
        return gzip.GzipFile(fileobj=cast(Any, raw), mode="rb")  # asks only for read
    if kind == "bz2":
        return _Inflated(raw, bz2.BZ2Decompressor)
    if kind == "xz":
        return _Inflated(raw, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY))
    if kind == "zst":
        stream: Readable = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
        return stream
    return raw


def inflated(name: str, stream: IO[bytes], kind: str) -> Callable[[int], bytes]:
    """``read`` of the decompressed bytes of ``stream``, whose compression is ``kind``; raises InputError where it is damaged."""
    source = _inflate(_Counted(stream), kind)

    def read(size: int) -> bytes:
        try:
            return source.read(size)
        except _DAMAGE as error:
            raise _damaged(name, kind, error) from None

    return read


def _damaged(name: str, kind: str | None, error: BaseException) -> InputError:
    if kind is None:
        return InputError(
            "{file} could not be read to its end: {why}",
            hint="check the disk or the connection and try again",
            file=name,
            why=getattr(error, "strerror", None) or "input error",
        )
    return InputError(
        "{file} is damaged or incomplete: its {kind} compression ends early or is broken",
        hint="fetch or export the file again",
        file=name,
        kind=kind,
    )


class TextInput:
    """A text file as UTF-8 bytes.

    ``stream`` gives the raw bytes. When it can be rewound and no ``encoding`` is given, the whole of it is read once
    to tell the encoding; otherwise the first 4 MiB decide, and as long as only ASCII was seen the decision stays
    open. Raises EncodingError, InputError (damaged compression), UsageError (unknown encoding).
    """

    def __init__(self, name: str, stream: IO[bytes], *, encoding: str | None = None) -> None:
        self.name = name
        #: True when the input ended in the middle of a character: the last row is incomplete.
        self.cut = False
        self.closed = False
        self._stream = stream
        self._offset = 0  # of the decompressed bytes
        self._lines = 0
        rewinds = stream.seekable()
        head = stream.read(16)
        if rewinds:
            stream.seek(0)
        self._kind = compression_of(head)
        self._raw = _Counted(stream, b"" if rewinds else head)
        self._bytes = _inflate(self._raw, self._kind)
        self._open = False  # whether the encoding is still undecided
        self._ahead = b""
        if encoding is not None:
            self.encoding = codec_name(encoding)
        elif rewinds:
            self.encoding = self._detect_whole()
        else:
            self._ahead = self._fill(HEAD)
            self.encoding = _detect(name, _blocks_of(self._ahead))
            self._open = self._ahead.isascii()
        self._decoder = codecs.getincrementaldecoder(self.encoding)()
        self._started = False
        self._pending = b""

    def _rewind(self) -> None:
        self._stream.seek(0)
        self._raw = _Counted(self._stream)
        self._bytes = _inflate(self._raw, self._kind)

    def _detect_whole(self) -> str:
        def blocks() -> Readable:
            self._rewind()
            return _Guarded(self._pull)  # damaged compression is told in our words

        try:
            return _detect(self.name, blocks)
        finally:
            self._rewind()

    def _pull(self, size: int) -> bytes:
        try:
            return self._bytes.read(size)
        except _DAMAGE as error:
            raise _damaged(self.name, self._kind, error) from None

    def _fill(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0 and (data := self._pull(size)):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def position(self) -> int:
        """Bytes read so far of the file as it lies on disk."""
        return self._raw.count

    def read(self, size: int) -> bytes:
        """About ``size`` more bytes of UTF-8; empty at the end only."""
        while True:
            if self._ahead:
                data, self._ahead = self._ahead[:size], self._ahead[size:]
            else:
                data = self._pull(size)
            clean = self._clean(data)
            if clean or not data:
                return clean

    def _clean(self, data: bytes) -> bytes:
        if self._open and not data.isascii():
            self.encoding = _detect(self.name, _blocks_of(data))
            self._decoder = codecs.getincrementaldecoder(self.encoding)()
            self._open = False
        try:
            text = self._decoder.decode(data, not data)
            if self.encoding == "utf-8":  # the bytes themselves, without a character that is still incomplete
                before, self._pending = self._pending, self._decoder.getstate()[0]
                clean = before + data if before else data
                clean = clean[: len(clean) - len(self._pending)] if self._pending else clean
            else:
                clean = text.encode()
        except UnicodeError as error:
            if not data:  # ends inside a character
                self.cut = True
                return b""
            pending = len(getattr(error, "object", data)) - len(data)
            start = getattr(error, "start", 0) if isinstance(error, UnicodeDecodeError) else pending
            raise _bad_bytes(
                self.name, self.encoding, self._offset - pending + start, self._lines + data[: max(0, start)].count(10)
            ) from None
        self._offset += len(data)
        self._lines += clean.count(b"\n")
        if not self._started and clean:
            self._started = True
            clean = clean.removeprefix(codecs.BOM_UTF8)
        return clean

    def close(self) -> None:
        """Closes the raw stream."""
        self.closed = True
        self._stream.close()


class _Guarded:
    """A function as something readable."""

    def __init__(self, pull: Callable[[int], bytes]) -> None:
        self.read = pull


def _blocks_of(data: bytes) -> Callable[[], Readable]:
    return lambda: io.BytesIO(data)


def _bad_bytes(name: str, encoding: str, offset: int, lines: int) -> EncodingError:
    return EncodingError(
        "{file} is not {encoding} text: byte {offset} (line {line}) cannot be read",
        hint="name the right one with --encoding, for example --encoding gb18030 or --encoding cp1252",
        file=name,
        encoding=encoding,
        offset=offset,
        line=lines + 1,
    )


class _Check(NamedTuple):
    """How far a stream is text in one encoding."""

    bad: int | None  # offset of the first byte that is not
    lines: int  # newlines before it
    wide: int  # characters beyond ASCII before it, counted up to about a million
    plausible: float  # share of those that GB 2312 has


def _check(stream: Readable, encoding: str) -> _Check:
    """Reads ``stream`` to its end or to the first bad byte. A character cut by the end is no error here."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = lines = wide = known = 0
    bad: int | None = None
    while bad is None and (block := stream.read(BLOCK)):
        try:
            text = decoder.decode(block)
            lines += block.count(b"\n")
        except UnicodeDecodeError as error:
            text = error.object[: error.start].decode(encoding, "ignore")
            bad = offset - (len(error.object) - len(block)) + error.start
            lines += text.count("\n")
        offset += len(block)
        if wide < BLOCK and not block.isascii():
            beyond = _ASCII.sub("", text)
            wide += len(beyond)
            if encoding == "gb18030":
                known += len(beyond.encode("gb2312", "ignore")) // 2
    return _Check(bad, lines, wide, known / wide if wide else 1.0)


def _detect(name: str, stream: Callable[[], Readable]) -> str:
    head = stream().read(4096)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise _bad_bytes(name, "utf-16", 0, 0)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[::2].count(0), head[1::2].count(0)
    if min(even, odd) == 0 and max(even, odd) * 4 > len(head):
        raise EncodingError(
            "{file} looks like UTF-16 without a byte order mark",
            hint="pass --encoding {guess}",
            file=name,
            guess="utf-16-le" if odd else "utf-16-be",
        )
    utf8 = _check(stream(), "utf-8")
    if utf8.bad is None:
        return "utf-8"
    if utf8.wide >= _SURELY_UTF8:
        raise _bad_bytes(name, "utf-8", utf8.bad, utf8.lines)
    chinese = _check(stream(), "gb18030")
    if chinese.bad is not None:
        worst = max((utf8.bad, utf8.lines, "utf-8"), (chinese.bad, chinese.lines, "gb18030"))
        raise _bad_bytes(name, worst[2], worst[0], worst[1])
    if chinese.plausible < _PLAUSIBLE:
        raise EncodingError(
            "the encoding of {file} cannot be told for sure: it is not UTF-8, and as GB18030 it would be unusual text",
            hint="name it with --encoding, for example --encoding gb18030, big5, shift_jis or cp1252",
            file=name,
        )
    return "gb18030"
