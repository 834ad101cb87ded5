"""Escapes and markup of texts turned into the characters that they stand for, in a stream.

::

    >>> b"".join(unescaped(iter([b'{"name": "\\\\u5f20\\\\u4f1f"}']))).decode()
    '{"name": "张伟"}'
    >>> b"".join(without_entities(iter([b"<a>&#24352;&amp;&#x4f1f;</a>"]))).decode()
    '<a>张&伟</a>'
    >>> b"".join(without_tags(iter([b"<td>a</td><td>138<b>1</b></td><a href='tel:12345'>x</a>"]))).decode()
    "\\ta\\t\\t1381\\t\\t a href='tel:12345' x"

Line breaks stay where they are, so that lines keep their numbers: what would become one is a blank. Spans change, so
these texts have no encoding in which spans could be told. Pieces may be cut anywhere; what is unfinished at the end
of one, up to 64 KiB, waits for the next.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

from parcelveil.scan.read.escapes import unescape

_WAIT = 64 << 10

HAS_ESCAPE = re.compile(rb"\\u[0-9a-fA-F]{4}")
_UNFINISHED_ESCAPE = re.compile(
    rb"\\+u[dD][89abAB][0-9a-fA-F]{2}(?:\\+(?:u[0-9a-fA-F]{0,3})?)?\Z|\\+(?:u[0-9a-fA-F]{0,3})?\Z"
)

_ENTITY = re.compile(rb"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
HAS_ENTITY = re.compile(rb"&(?:#[0-9]|#[xX][0-9a-fA-F]|[a-zA-Z]{2,8};)")
_UNFINISHED_ENTITY = re.compile(rb"&[#a-zA-Z0-9]{0,32}\Z")

_TAG = re.compile(rb"<(/?[a-zA-Z][a-zA-Z0-9:-]*)((?:\s[^<>]*)?)/?>")
_UNFINISHED_TAG = re.compile(rb"<(?:/?[a-zA-Z][a-zA-Z0-9:-]*(?:\s[^<>]*)?/?)?\Z")
_TELLING = re.compile(rb"[0-9]{5}|@|[\x80-\xff]|&#")
_INLINE_NAMES = b"a b i u s q em strong span font small big sub sup mark code abbr ins del wbr label bdi bdo"
_INLINE = set(_INLINE_NAMES.split())
# Most tags have no attributes: those need no function called.
_PLAIN_INLINE = re.compile(rb"</?(?:" + _INLINE_NAMES.replace(b" ", b"|") + rb")>", re.IGNORECASE)
_PLAIN = re.compile(rb"</?[a-zA-Z][a-zA-Z0-9:-]*/?>")

_RTF = re.compile(rb"((?:\\'[0-9a-fA-F]{2})+)|\\u(-?[0-9]{1,5}) ?\??")
_UNFINISHED_RTF = re.compile(rb"(?:\\'[0-9a-fA-F]{2})*\\(?:'[0-9a-fA-F]?|u-?[0-9]{0,5} ?)?\Z|(?:\\'[0-9a-fA-F]{2})+\Z")


def unescaped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    r"""``\uXXXX`` escapes, of JSON, of programs and their logs."""
    return _replaced(pieces, b"\\", _UNFINISHED_ESCAPE, unescape)


def without_entities(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Character references of XML and HTML."""
    return _replaced(pieces, b"&", _UNFINISHED_ENTITY, lambda text: _ENTITY.sub(_entity, text))


def _untagged(text: bytes) -> bytes:
    return _TAG.sub(_tag, _PLAIN.sub(b"\t", _PLAIN_INLINE.sub(b"", text)))


def without_tags(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """HTML as a person sees it, in a row what stands in a row; the inside of a tag stays where it may hold data."""
    return without_entities(_replaced(pieces, b"<", _UNFINISHED_TAG, _untagged))


def without_rtf_escapes(pieces: Iterator[bytes]) -> Iterator[bytes]:
    r"""``\'d5\'c5`` (taken as GB18030) and ``\u24352`` of RTF."""
    return _replaced(pieces, b"\\", _UNFINISHED_RTF, lambda text: _RTF.sub(_rtf, text))


def _replaced(
    pieces: Iterator[bytes], sign: bytes, unfinished: re.Pattern[bytes], replace: Callable[[bytes], bytes]
) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        text = rest + piece if rest else piece
        rest = b""
        # From the last sign on (of escapes: from a few before it) the end may be unfinished.
        last = text.rfind(sign, max(0, len(text) - _WAIT))
        if last >= 0:
            window = last if sign != b"\\" else max(0, last - 256)
            if cut := unfinished.search(text, window):
                rest, text = text[cut.start() :], text[: cut.start()]
        text = replace(text) if sign in text else text
        if text:
            yield text
    if rest:
        yield replace(rest)


def _character(code: int, found: bytes) -> bytes:
    if code < 32 or code == 127 or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return b" "
    return found if code == 0x22 else chr(code).encode()


def _entity(found: re.Match[bytes]) -> bytes:
    text = html.unescape(found[0].decode("ascii"))
    return "".join(char if char.isprintable() else " " for char in text).encode("utf-8", "replace")


def _tag(found: re.Match[bytes]) -> bytes:
    name = found[1].lower().lstrip(b"/")
    if _TELLING.search(found[2]):
        return b"\t " + found[1] + found[2] + b" "
    return (b"" if name in _INLINE else b"\t") + b"\n" * found[2].count(b"\n")


def _rtf(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        return _character(int(found[2]) % 65536, found[0])
    return bytes.fromhex(found[1].replace(b"\\'", b"").decode("ascii")).decode("gb18030", "replace").encode()
