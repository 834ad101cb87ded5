"""Mails: EML and MBOX. Headers, text and HTML as text; attachments as members, whatever they are.

::

    read_mail(item, run)                     # parts "headers", "text", "html", "text 2"; attachments

A mail is held in memory, a mailbox is not: its mails are read one by one, their parts are "3 headers", "3 text". What
no parser understands, and a mail that is too large, is read as the plain text that it is.
"""

from __future__ import annotations

import email
import email.errors
import email.header
import email.message
import email.policy
import io
from collections import Counter
from collections.abc import Iterator

from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place
from parcelveil.scan.read import markup, text, why
from parcelveil.scan.read.item import BLOCK, Item, Run, shown
from parcelveil.scan.read.limits import Stopped

_HEADERS = "from to cc bcc reply-to sender subject date delivered-to return-path received x-originating-ip".split()
_SEPARATOR = b"\nFrom "
#: Parts of one mail.
_PARTS = 1000
#: Of one header, and of all.
_LONGEST, _MOST = 64 << 10, 1 << 20


def read_mail(item: Item, run: Run) -> Iterator[Document]:
    """Documents of one mail and of its attachments."""
    if len(item.head(_most(item) + 1)) > _most(item):
        item.entry.say(why.TOO_LARGE)
        pieces = item.entry.watch(text.utf8_of(item, "utf-8"))
        yield Document(item.place, "text", format="eml", chunks=pieces, size=item.size or 0)
    else:
        yield from _mail(item, item.whole(), "", run)


def _most(item: Item) -> int:
    """The largest mail that is taken apart: the parser takes several times its size. Others are plain text."""
    return item.budget.limits.held // 8


def read_mbox(item: Item, run: Run) -> Iterator[Document]:
    """Documents of all mails of a mailbox."""
    for number, data in enumerate(_mails(item), start=1):
        if number > run.limits.members:
            raise Stopped(why.TOO_MANY)
        if spent := item.budget.spent:
            raise Stopped(spent)
        yield from _mail(item, data.partition(b"\n")[2], f"{number} ", run)
        item.budget.release(len(data))


def _mails(item: Item) -> Iterator[bytes]:
    """The mails, each from its "From " line on. One that is too large to be held is cut there, which is said."""
    most = _most(item)
    rest, skipping = bytearray(), False
    ended = False
    while not ended:
        data = item.read(BLOCK)
        ended = not data
        looked = max(0, len(rest) - len(_SEPARATOR))
        rest += data
        while (cut := rest.find(_SEPARATOR, looked)) >= 0:
            if not skipping:
                item.budget.hold(cut)
                yield bytes(rest[:cut])
            del rest[: cut + 1]
            skipping, looked = False, 0
        if skipping:
            del rest[: max(0, len(rest) - len(_SEPARATOR))]
        elif len(rest) > most:
            item.entry.say(why.TOO_LARGE)
            item.budget.hold(len(rest))
            yield bytes(rest)
            skipping = True
            del rest[:]
    if rest and not skipping:
        item.budget.hold(len(rest))
        yield bytes(rest)


def _mail(item: Item, data: bytes, ahead: str, run: Run) -> Iterator[Document]:
    place, entry = item.place, item.entry

    def document(part: str, pieces: Iterator[bytes]) -> Document:
        entry.got = True
        where = Place(place.source, member=place.member, part=ahead + part)
        return Document(where, "text", format=entry.format, chunks=entry.watch(pieces))

    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
        parts = [part for _, part in zip(range(_PARTS + 1), message.walk(), strict=False)]
        headers = _headers(message)
    except Exception:  # noqa: BLE001  nested or broken beyond the parser: its bytes are text
        entry.say(why.DAMAGED)
        yield document("raw", iter([data.decode("utf-8", "replace").encode()]))
        return
    if len(parts) > _PARTS:
        entry.say(why.TOO_MANY)
    yield document("headers", iter([headers]))
    named: Counter[str] = Counter()

    def another(kind: str) -> str:
        named[kind] += 1
        return kind if named[kind] == 1 else f"{kind} {named[kind]}"

    for number, part in enumerate(parts[:_PARTS], start=1):
        if part.is_multipart():
            if part is not message and part.get_content_maintype() == "message":
                yield document(another("attached headers"), iter([_headers(part)]))
            continue
        content, name = _content(part), _filename(part)
        if content is None:
            entry.say(why.DAMAGED)
            content = data if part is message else b""
        kind = part.get_content_type()
        if name or not kind.startswith("text/"):
            name = f"{ahead.strip()}/{name or f'part {number}'}".lstrip("/")
            yield from run.read(item.member(name, io.BytesIO(content), len(content)))
        elif content:
            pieces = _decoded(part, content)
            if kind == "text/html":
                pieces = markup.without_tags(pieces)
            yield document(another("text" if kind == "text/plain" else shown(kind[5:])), pieces)


def _content(part: email.message.Message) -> bytes | None:
    try:
        content = part.get_payload(decode=True)
    except Exception:  # noqa: BLE001  codecs of a transfer encoding raise what they like
        return None
    return content if isinstance(content, bytes) else None


def _decoded(part: email.message.Message, content: bytes) -> Iterator[bytes]:
    """A text part as UTF-8: in the encoding it names when that is right, else in the one it looks like."""
    try:
        named = str(part.get_content_charset() or "")
        decoded = content.decode(named or "utf-8")
    except Exception:  # noqa: BLE001  unknown, wrong or hostile names of encodings
        decoded = content.decode(text.tell(content[: text.HEAD]) or "utf-8", "replace")
    yield decoded.encode("utf-8", "replace")


def _filename(part: email.message.Message) -> str:
    try:
        return _words(part.get_filename() or "")
    except Exception:  # noqa: BLE001  broken parameters of RFC 2231
        return "attachment"


def _headers(message: email.message.Message) -> bytes:
    """The headers that name people, decoded, a line each."""
    found, size = [], 0
    for name, value in message.raw_items():
        if name.lower() in _HEADERS and size < _MOST:
            found.append(f"{name}: {' '.join(_words(value).split())}\n".encode("utf-8", "replace"))
            size += len(found[-1])
    return b"".join(found)


def _words(value: object) -> str:
    """A header's text; encoded words of RFC 2047 decoded, raw bytes in the encoding that they look like."""
    text_ = str(value)[:_LONGEST]
    raw = text_.encode("utf-8", "surrogateescape")
    if not raw.isascii():
        text_ = raw.decode(text.tell(raw) or "utf-8", "replace")
    if "=?" not in text_:
        return text_
    try:
        parts = email.header.decode_header(text_)
        words = [part if isinstance(part, str) else part.decode(_codec(charset), "replace") for part, charset in parts]
    except (email.errors.HeaderParseError, LookupError, ValueError):
        return text_
    return "".join(words)


def _codec(charset: str | None) -> str:
    name = (charset or "latin-1").lower()
    return "gb18030" if name in ("gb2312", "gbk") else name
