"""PDF: the text layer page by page, what stands beside it, attached files; with pypdfium2 (extra ``label``).

::

    read_pdf(item, run)                      # documents of page 1, page 2 ...; "information"; attachments as members

A file with a page that shows a picture (without text any, else a large one) goes to the reader of pictures as well, as
the part "pages"; where there is none it is said that those were not read. PDFium is not to be called by two threads at a time: documents of
one scan are asked for by one thread.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from parcelveil.errors import DependencyError
from parcelveil.scan.document import Document
from parcelveil.scan.findings import Place
from parcelveil.scan.read import why
from parcelveil.scan.read.item import Item, Run
from parcelveil.scan.read.limits import Stopped

if TYPE_CHECKING:
    from types import ModuleType

_PASSWORD = 4
#: Characters of a page, or of a note on it; the rest is said to be left out.
_CHARACTERS = 4_000_000
#: Notes on one page, objects looked at for pictures, attachments.
_NOTES, _OBJECTS, _ATTACHED = 2000, 200, 1000
#: A picture of this share of its page may hold text of its own.
_LARGE = 0.25


def _pdfium() -> ModuleType:
    try:
        import pypdfium2
        import pypdfium2.raw
    except ImportError:
        raise DependencyError(
            "reading PDF needs the package pypdfium2", hint="pip install 'parcelveil[label]'"
        ) from None
    return pypdfium2  # type: ignore[no-any-return]


def read_pdf(item: Item, run: Run) -> Iterator[Document]:
    """Documents of the pages that have text, of notes and information, and of attached files."""
    pdfium = _pdfium()
    try:
        document = pdfium.PdfDocument(item.source())
    except pdfium.PdfiumError as error:
        raise Stopped(why.ENCRYPTED if getattr(error, "err_code", 0) == _PASSWORD else why.DAMAGED) from None
    pictures = False
    try:
        for number in range(1, len(document) + 1):
            if spent := item.budget.spent:
                raise Stopped(spent)
            text, pictured = _page(item, document, number - 1)
            pictures |= pictured
            if text:
                yield _document(item, Place(item.place.source, item.place.member, page=number), text)
        item.entry.got = item.entry.got or not pictures
        if text := _information(document):
            yield _document(item, Place(item.place.source, item.place.member, part="information"), text)
        yield from _attached(item, document, run)
    finally:
        document.close()
    if pictures and run.picture is None:
        item.entry.say(why.PICTURE_PAGES)
    elif pictures and run.picture is not None:
        # It notes what it read of the pages in a line of its own.
        pages = Place(item.place.source, item.place.member, part="pages")
        for found in run.picture(pages, item.source()):
            if found.chunks is not None:
                found.chunks = item.entry.watch(found.chunks)
            yield found


def _document(item: Item, place: Place, text: str) -> Document:
    return Document(place, "text", format="pdf", chunks=item.entry.watch(iter([text.encode("utf-8", "replace")])))


def _page(item: Item, document: Any, place: int) -> tuple[str, bool]:
    """A page's text with its notes, and whether it is a picture without text. A damaged page has neither."""
    raw = _pdfium().raw
    try:
        page = document[place]
    except _pdfium().PdfiumError:
        item.entry.say(why.DAMAGED)
        return "", False
    try:
        layer = page.get_textpage()
        try:
            count = layer.count_chars()
            if count > _CHARACTERS:
                item.entry.say(why.TOO_LARGE)
            text: str = layer.get_text_range(0, min(count, _CHARACTERS)) if count > 0 else ""
        finally:
            layer.close()
        text = text.replace("\0", "").replace("\ufffe", "").replace("\r\n", "\n")
        pictured = _pictured(page, bool(text.strip()))
        notes = [note for at in range(min(raw.FPDFPage_GetAnnotCount(page), _NOTES)) if (note := _note(page, at))]
    except _pdfium().PdfiumError:
        item.entry.say(why.DAMAGED)
        return "", False
    finally:
        page.close()
    return "\n".join([text, *notes]).strip("\n"), pictured


def _pictured(page: Any, has_text: bool) -> bool:
    """Whether a page shows a picture that may hold text: any at all when it has none itself, else a large one."""
    width, height = page.get_size()
    least = _LARGE * width * height if has_text else 0.0
    kinds = [_pdfium().raw.FPDF_PAGEOBJ_IMAGE]
    for thing in islice(page.get_objects(filter=kinds, max_depth=3), _OBJECTS):
        left, bottom, right, top = thing.get_bounds()
        if (right - left) * (top - bottom) >= least:
            return True
    return False


def _note(page: Any, place: int) -> str:
    """A comment, or what a form's field is called and holds."""
    raw = _pdfium().raw
    annotation = raw.FPDFPage_GetAnnot(page, place)
    if not annotation:
        return ""
    try:
        values = [_string(annotation, key) for key in (b"TU", b"T", b"V", b"Contents")]
    finally:
        raw.FPDFPage_CloseAnnot(annotation)
    return " ".join(value for value in values if value)


def _string(annotation: Any, key: bytes) -> str:
    raw = _pdfium().raw
    size = raw.FPDFAnnot_GetStringValue(annotation, key, None, 0)
    if not 2 < size <= 2 * _CHARACTERS:
        return ""
    buffer = (raw.FPDF_WCHAR * (size // 2 + 1))()
    raw.FPDFAnnot_GetStringValue(annotation, key, buffer, size)
    return bytes(buffer).decode("utf-16-le", "replace").rstrip("\0")


def _information(document: Any) -> str:
    found = document.get_metadata_dict(skip_empty=True)
    kept = {key: value for key, value in found.items() if not key.endswith("Date")}
    return "".join(f"{key}: {value}\n" for key, value in kept.items())[:_CHARACTERS]


def _attached(item: Item, document: Any, run: Run) -> Iterator[Document]:
    for place in range(min(document.count_attachments(), _ATTACHED)):
        try:
            attachment = document.get_attachment(place)
            name = attachment.get_name() or f"attachment {place + 1}"
            data = bytes(attachment.get_data())
        except _pdfium().PdfiumError:
            item.entry.say(why.DAMAGED)
            continue
        yield from run.read(item.member(name, io.BytesIO(data), len(data)))
