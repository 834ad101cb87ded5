"""One item, whatever it is: the reader for its kind, and its one line in the manifest.

::

    run = Run(Limits(), note, read_item)
    for document in read_item(item, run): ...

Whatever goes wrong in a reader ends the reading of that item only. Compressed files are what they inflate to: they
have no line of their own and add nothing to the place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from parcelveil.errors import DependencyError
from parcelveil.scan.document import Document
from parcelveil.scan.read import archive, cells, columnar, kinds, mail, markup, pdf, sheets, text, why
from parcelveil.scan.read.delimiter import delimiter_of
from parcelveil.scan.read.inflate import inflated, inner_name
from parcelveil.scan.read.item import Hook, Item, Run, of_system
from parcelveil.scan.read.limits import Stopped
from parcelveil.scan.read.runs import runs_of

Reader = Callable[[Item, Run], Iterator[Document]]
_COMPRESSED = {"gz", "bz2", "xz", "zst", "lzma"}
#: Characters looked at for the format and the delimiter of a text.
_SAMPLE = 64 << 10


def read_item(item: Item, run: Run) -> Iterator[Document]:
    """The documents of an item. Notes it behind them."""
    if not item.asked and run.skip is not None and run.skip(item.place):
        return
    entry = item.entry
    inner: Item | None = None
    noted = False
    try:
        if item.depth > run.limits.depth:
            raise Stopped(why.TOO_DEEP)
        head = item.head(kinds.HEAD)
        kind = kinds.kind_of(head, item.name)
        entry.format = entry.format or kind
        if not head:
            entry.format = "empty"
            raise Stopped(why.EMPTY)
        if kind in _COMPRESSED:
            inner = Item(
                item.place, inflated(item, kind), budget=item.budget, depth=item.depth + 1, name=inner_name(item.name)
            )
        elif kind == "picture" and run.picture is not None:
            noted = True
            yield from _hooked(item, run.picture)
        else:
            yield from READERS.get(kind, _unread)(item, run)
    except Stopped as stopped:
        entry.say(stopped.why)
    except DependencyError:
        entry.say(why.MISSING_PACKAGE)
    except OSError as error:
        entry.say(of_system(error))
    except Exception:  # noqa: BLE001  readers of hostile bytes raise anything
        entry.say(why.DAMAGED)
    if inner is not None:
        inner.asked = True
        yield from run.read(inner)
    elif not noted or entry.why:
        run.note(entry.read(item.count))
    item.release()


def _hooked(item: Item, hook: Hook) -> Iterator[Document]:
    for document in hook(item.place, item.source()):
        item.entry.got = True
        if document.chunks is not None:
            document.chunks = item.entry.watch(document.chunks)
        if document.batches is not None:
            document.batches = cells.counted(item.entry, document.batches)
        yield document


def _database(item: Item, run: Run) -> Iterator[Document]:
    if run.database is None:
        raise Stopped(why.DATABASE)
    yield from _hooked(item, run.database)


def _unread(item: Item, _run: Run) -> Iterator[Document]:
    kind = item.entry.format
    if kind in kinds.ARCHIVES:
        raise Stopped(why.ARCHIVE_KIND)
    if kind in kinds.DATA:
        raise Stopped(why.DATA_FORMAT)
    raise Stopped(why.PICTURE if kind == "picture" else why.MEDIA)
    yield  # a generator like the others


def read_text(item: Item, _run: Run) -> Iterator[Document]:
    """A text of any encoding, a table of delimited cells, or the printable runs of anything else."""
    entry = item.entry
    head = item.head(text.HEAD)
    encoding = text.tell(head)
    if not encoding:
        entry.format = "binary"
        entry.say(why.BINARY)
        yield Document(item.place, "text", format="binary", chunks=entry.watch(runs_of(item)), size=item.size or 0)
        return
    sample = head[:_SAMPLE].decode(encoding, "replace")
    entry.format = kinds.text_format(sample, item.name)
    delimiter = delimiter_of(sample, item.name, entry.format)
    document = Document(
        item.place,
        "delimited" if delimiter else "text",
        format={"\t": "tsv"}.get(delimiter, "csv") if delimiter else entry.format,
        encoding=encoding,
        delimiter=delimiter,
        size=item.size or 0,
    )
    pieces = text.utf8_of(item, encoding)
    if not delimiter and (decoded := _decoded(entry.format, pieces, head, encoding)) is not None:
        pieces, document.encoding = decoded, ""
    entry.format = document.format
    document.chunks = entry.watch(_told(document, item, pieces))
    yield document


def _told(document: Document, item: Item, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if document.encoding:  # it may have been told only now
            document.encoding = item.entry.encoding
        yield piece


def _decoded(name: str, pieces: Iterator[bytes], head: bytes, encoding: str) -> Iterator[bytes] | None:
    """``pieces`` with escapes and markup decoded, or None where there are none."""
    if name == "html":
        return markup.without_tags(pieces)
    if name == "rtf":
        return markup.without_rtf_escapes(pieces)
    # A wide encoding spreads an escape over more bytes: there it is looked for in the text.
    text_ = head if encoding[:4] != "utf-" or encoding == "utf-8" else head.decode(encoding, "replace").encode()
    if name == "xml":
        return markup.without_entities(pieces) if markup.HAS_ENTITY.search(text_) else None
    return markup.unescaped(pieces) if markup.HAS_ESCAPE.search(text_) else None


READERS: dict[str, Reader] = {
    "text": read_text,
    "zip": archive.read_zip,
    "tar": archive.read_tar,
    "eml": mail.read_mail,
    "mbox": mail.read_mbox,
    "pdf": pdf.read_pdf,
    "cfb": sheets.read_compound,
    "parquet": columnar.read_parquet,
    "arrow": columnar.read_arrow,
    "arrow stream": columnar.read_arrow,
    "sqlite": _database,
}
