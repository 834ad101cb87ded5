"""Text of any encoding as UTF-8, in a stream of constant memory; nothing is refused.

The encoding is told by the first 4 MiB; while those are ASCII the question stays open until the first other byte::

    >>> tell("运单号,姓名".encode("gb18030")), tell("müller".encode("latin-1")), tell(b"\\x7fELF\\x02\\x01\\x01\\0\\xff")
    ('gb18030', 'cp1252', '')

A byte that is no character becomes ``?``, one for one, and the manifest says so: the text keeps its length, and spans
stay true. UTF-8 is handed on as it lies. A byte order mark stays, as the character U+FEFF. Positions in the
UTF-8 text become positions in the file by encoding what stands before them in the encoding told here.

Without marks UTF-16 is told by its zero bytes, GB18030, Big5, Shift-JIS and EUC-JP by how common their characters
are; what is left is Windows-1252, in which every byte is a character.
"""

from __future__ import annotations

import codecs
import functools
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from parcelveil.scan.read import why
from parcelveil.scan.read.item import Item

#: Bytes that decide, and bytes of one piece.
HEAD = 4 << 20
CHUNK = 4 << 20
_SAMPLE = 256 << 10
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_CONTROL = bytes({*range(1, 9), *range(14, 27), *range(28, 32), 127})
#: Of the bytes: more control characters than this are in no text (in random bytes it is a tenth).
_MOST_CONTROL = 0.02
_MOST_ZERO = 0.25
#: Of the characters beyond ASCII: how many have to be common ones of a language for its encoding to be believed.
_PLAUSIBLE = 0.6
_ERRORS = "parcelveil-one-for-one"
_HALF = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
_BEYOND = re.compile(r"[^\x00-\x7f]+")


def _one_for_one(error: UnicodeError) -> tuple[str, int]:
    """An error handler: one character for one unit that cannot be decoded, and on with the next."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.encoding.startswith("utf-16") or error.encoding.startswith("utf-32"):
        return "\ufffd", error.end  # takes two bytes itself
    return "?", error.start + 1


codecs.register_error(_ERRORS, _one_for_one)


def tell(head: bytes) -> str:
    """The encoding of a text that begins with ``head``, as a codec's name; empty when it is no text."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if head.isascii() and 0 not in head:
        return "utf-8" if _few(len(head) - len(head.translate(None, _CONTROL)), len(head), _MOST_CONTROL * 4) else ""
    zeros = head.count(0)
    if zeros and (wide := _utf16(head)):
        return wide
    controls = len(head) - len(head.translate(None, _CONTROL))
    if (broken := _broken(head)) == 0:
        return "utf-8" if _few(controls, len(head), 4 * _MOST_CONTROL) else ""
    if not (_few(controls, len(head), _MOST_CONTROL) and _few(zeros, len(head), _MOST_ZERO)):
        return ""
    sample = _sample(head)
    if _characters(sample) > 4 * min(broken, _broken(sample)):
        return "utf-8"
    return _legacy(sample)


def _few(count: int, total: int, share: float) -> bool:
    return count <= 1 or count <= share * total


def _sample(head: bytes) -> bytes:
    """A part of ``head`` from the line of its first byte beyond ASCII on."""
    beyond = np.frombuffer(head, np.uint8) > 127
    first = int(beyond.argmax())
    start = head.rfind(b"\n", max(0, first - 4096), first) + 1
    return head[start : start + _SAMPLE]


def _broken(data: bytes) -> int:
    """How many bytes are no UTF-8; a character cut by the end is none of them."""
    data = data[: len(data) - _half(data)]
    if valid(data):
        return 0
    data = data[:_SAMPLE] if not valid(data[:_SAMPLE]) else data
    return max(1, data.decode(errors=_ERRORS).count("?") - data.count(b"?"))


def _characters(data: bytes) -> int:
    return sum(map(len, _BEYOND.findall(data.decode(errors=_ERRORS))))


def _half(data: bytes) -> int:
    """Bytes at the end of ``data`` that are the beginning of a character."""
    half = _HALF.search(data, max(0, len(data) - 3))
    return len(half[0]) if half else 0


def valid(data: bytes) -> bool:
    """Whether ``data`` is UTF-8, at some gigabytes a second."""
    if data.isascii():
        return True
    offsets = pa.py_buffer(np.array([0, len(data)], dtype=np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _utf16(head: bytes) -> str:
    """UTF-16 without a mark: zero bytes on one side, and units that are letters, digits and Han."""
    best, name = 0.9, ""
    for encoding, kind in (("utf-16-le", "<u2"), ("utf-16-be", ">u2")):
        units = np.frombuffer(head[: min(len(head) & ~1, 1 << 16)], dtype=kind)
        if not len(units):
            continue
        ascii_ = ((units >= 32) & (units < 127)) | (units == 9) | (units == 10) | (units == 13)
        han = (units >= 0x3000) & (units < 0x303F) | (units >= 0x4E00) & (units < 0xA000) | (units >= 0xFF00)
        latin = (
            (units >= 0xA0) & (units < 0x250)
            | (units >= 0x3040) & (units < 0x3100)
            | (units >= 0xD7FF - 11171) & (units < 0xD7A4)
        )
        plausible = float(np.mean(ascii_ | han | latin))
        if plausible > best and float(np.mean(ascii_)) >= 0.02:
            best, name = plausible, encoding
    return name


@functools.cache
def _common(encoding: str) -> frozenset[str]:
    """Characters of everyday text: the first level of the national sets, kana, punctuation, full-width forms."""
    tables = {
        "gb18030": [(0xB0, 0xD7, 0xA1, 0xFE), (0xA1, 0xA1, 0xA1, 0xFE), (0xA3, 0xA3, 0xA1, 0xFE)],
        "big5": [
            (0xA4, 0xC6, 0x40, 0x7E),
            (0xA4, 0xC6, 0xA1, 0xFE),
            (0xA1, 0xA1, 0x40, 0xFE),
            (0xA2, 0xA2, 0xAF, 0xFE),
        ],
        "cp932": [(0x82, 0x83, 0x40, 0xFC), (0x88, 0x98, 0x40, 0xFC), (0x81, 0x81, 0x40, 0x6F)],
        "euc_jp": [(0xA4, 0xA5, 0xA1, 0xFE), (0xB0, 0xCF, 0xA1, 0xFE), (0xA1, 0xA1, 0xA1, 0xFE)],
    }
    rows = (
        bytes((first, second))
        for low, high, start, end in tables[encoding]
        for first in range(low, high + 1)
        for second in range(start, end + 1)
    )
    return frozenset(
        "".join(row.decode(encoding, "ignore") for row in rows if len(row.decode(encoding, "ignore")) == 1)
    )


def _legacy(sample: bytes) -> str:
    best, name = _PLAUSIBLE, "cp1252"
    for encoding, ahead in (("gb18030", 0.1), ("big5", 0.0), ("cp932", 0.0), ("euc_jp", 0.05)):
        text = sample.decode(encoding, _ERRORS)
        wide = "".join(_BEYOND.findall(text))
        if not wide:
            continue
        common = _common(encoding)
        broken = text.count("?") - sample.count(b"?")
        # Japanese and Chinese share their ideographs; what makes a text Japanese are its kana.
        kana = sum("\u3040" <= char < "\u3100" for char in wide) / len(wide)
        if encoding in ("cp932", "euc_jp") and kana < 0.1:
            continue
        score = sum(char in common for char in wide) / len(wide) - 2 * max(0, broken) / len(wide) + ahead
        if score > best:
            best, name = score, encoding
    return name


def utf8_of(item: Item, encoding: str) -> Iterator[bytes]:
    """The rest of ``item`` as UTF-8, in pieces that end between two characters. Fills in the entry."""
    item.entry.encoding = encoding
    if encoding == "utf-8":
        return _utf8(item)
    return _decoded(item, item.pieces(CHUNK), encoding)


def _utf8(item: Item) -> Iterator[bytes]:
    half, open_ = b"", True
    pieces = item.pieces(CHUNK)
    for piece in pieces:
        if open_ and not half and not piece.isascii():
            open_ = False
            encoding = tell(piece) or "utf-8"
            if encoding.startswith("utf-16"):  # never behind ASCII
                encoding = "utf-8"
            if encoding != "utf-8":
                item.entry.encoding = encoding
                yield from _decoded(item, _and(piece, pieces), encoding)
                return
        data = half + piece if half else piece
        cut = _half(data)
        half, data = (data[-cut:], data[:-cut]) if cut else (b"", data)
        if not valid(data):
            item.entry.say(why.BROKEN_BYTES)
            data = data.decode(errors=_ERRORS).encode()
        if data:
            yield data
    if half:
        item.entry.say(why.BROKEN_BYTES)
        yield b"?" * len(half)


def _and(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _decoded(item: Item, pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(_ERRORS)
    wide = encoding.startswith("utf")
    for piece in _and_end(pieces):
        text = decoder.decode(piece, not piece)
        # In none of the other encodings is "?" a part of a longer character.
        if ("\ufffd" in text) if wide else text.count("?") > piece.count(b"?"):
            item.entry.say(why.BROKEN_BYTES)
        if text:
            yield text.encode("utf-8", "replace")


def _and_end(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from pieces
    yield b""
