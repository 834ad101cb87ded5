"""The pages of anybody's file, PDF or picture: what they look like, what their text layer says, what the file hides.

::

    for page in open_pages(Path("labels.pdf")):
        page.image                        # gray, (height, width), uint8, at least 203 dpi
        page.lines                        # [Line('收 李** 138******78', (31.0, 402.5, 512.0, 447.1)), ...], pixels
    metadata(Path("labels.pdf"))          # {'Title': ..., 'XMP': ..., 'page 1, comment': ..., 'attachment a.csv': ...}

What is held in memory, like a member of an archive, is given as bytes. One page is held at a time. A file may be hostile: its size, the size of its pages and the length of its texts are
bounded, and what cannot be read is one InputError. PDFium and Pillow do the reading. The text layer of a PDF is all
text that its pages hold, invisible and off the page too; older states of a PDF that was changed by appending are not
looked at, and neither is text that was drawn as curves.
"""

from __future__ import annotations

import ctypes
import io
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.errors import InputError
from parcelveil.label.font import missing_package
from parcelveil.label.xmp import texts_of_xml, xmp

if TYPE_CHECKING:
    from types import ModuleType

Box = tuple[float, float, float, float]  # left, top, right, bottom
Image = npt.NDArray[np.uint8]
Source = Path | bytes

#: PDF pages are drawn at this, and larger ones down to what a label printer has.
DPI, LEAST_DPI = 300, 203
MOST_PIXELS = 50_000_000
LARGEST_FILE = 1 << 30
#: Of one page, or of one entry of the metadata.
MOST_CHARACTERS = 200_000
_ATTACHMENT = 1 << 20
_ENTRIES = 2_000
#: A picture of this share of its page may be the label itself.
_PICTURE = 0.25
#: Endings of the files that a folder is searched for.
ENDINGS = (".pdf", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
_PASSWORD = 4


class Line(NamedTuple):
    """One line of text, and the pixels that it spans."""

    text: str
    box: Box


class Page(NamedTuple):
    """One page. ``pictured``: it has no text layer, or a picture so large that it may hold the label's text."""

    number: int
    image: Image
    lines: list[Line]
    dots_per_mm: float | None  # None: the file does not say how large it is
    pictured: bool


def open_pages(path: Source) -> Iterator[Page]:
    """The pages of a PDF, PNG, JPEG, BMP, GIF, TIFF or WebP. Raises InputError, DependencyError."""
    if is_pdf(path):
        with _pdf(path) as document:
            if not len(document):
                raise InputError("{file} has no pages", hint="check the file", file=_name(path))
            for place in range(len(document)):
                yield _pdf_page(document, place, _name(path))
    else:
        with _picture(path) as picture:
            for place in range(getattr(picture, "n_frames", 1)):
                yield _frame(picture, place, _name(path))


def count_pages(path: Source) -> int:
    """How many pages :func:`open_pages` will give."""
    if is_pdf(path):
        with _pdf(path) as document:
            return len(document)
    with _picture(path) as picture:
        return int(getattr(picture, "n_frames", 1))


def metadata(path: Source) -> dict[str, str]:
    """What the file says beside its pages, by name: information, XMP, comments, form fields, links, attachments, EXIF."""
    found: dict[str, str] = {}

    def put(name: str, text: str) -> None:
        text = text.replace("\0", "").strip()[:MOST_CHARACTERS]
        if text and len(found) < _ENTRIES:
            key, again = name, 1
            while key in found:
                again += 1
                key = f"{name} ({again})"
            found[key] = text

    if is_pdf(path):
        with _pdf(path) as document:
            for name, text in document.get_metadata_dict(skip_empty=True).items():
                put(name, text)
            for text in xmp(path):
                put("XMP", text)
            for name, text in _beside_pages(document):
                put(name, text)
    else:
        with _picture(path) as picture:
            for name, text in _picture_texts(picture):
                put(name, text)
    return found


def _name(path: Source) -> str:
    return "this picture" if isinstance(path, bytes) else path.name


def is_pdf(path: Source) -> bool:
    """Whether a file begins as a PDF. Raises InputError when it is empty, too large or cannot be read."""
    name = _name(path)
    try:
        if isinstance(path, bytes):
            size, head = len(path), path[:1024]
        elif path.is_dir():
            raise InputError("{file} is a folder", hint="name a file in it", file=name)
        else:
            size = path.stat().st_size
            with path.open("rb") as file:
                head = file.read(1024)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        raise InputError("{file} cannot be read: {why}", file=name, why=why) from None
    if not head:
        raise InputError("{file} is empty", hint="check the file", file=name)
    if size > LARGEST_FILE:
        raise InputError("{file} is larger than 1 GiB", hint="split it", file=name)
    return b"%PDF-" in head


# --- PDF


def _pdfium() -> ModuleType:
    try:
        import pypdfium2
        import pypdfium2.raw
    except ImportError:
        raise missing_package("pypdfium2") from None
    return pypdfium2  # type: ignore[no-any-return]


@contextmanager
def _pdf(path: Source) -> Iterator[Any]:
    pdfium = _pdfium()
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", 0) == _PASSWORD:
            raise InputError(
                "{file} is encrypted with a password", hint="save it without one, and check again", file=_name(path)
            ) from None
        raise InputError("{file} is a damaged PDF", hint="export it once more", file=_name(path)) from None
    try:
        yield document
    finally:
        document.close()


def _pdf_page(document: Any, place: int, name: str) -> Page:
    pdfium = _pdfium()
    try:
        page = document[place]
    except pdfium.PdfiumError:
        raise InputError("page {page} of {file} is damaged", file=name, page=place + 1) from None
    try:
        width, height = page.get_size()
        dpi = _dpi(width, height)
        if dpi is None:
            raise InputError(
                "page {page} of {file} is too large, or has no size", hint="is it a label?", file=name, page=place + 1
            )
        image = page.render(scale=dpi / 72, grayscale=True).to_numpy()
        image = np.ascontiguousarray(image if image.ndim == 2 else image[..., 0])
        lines = _lines(page, dpi / 72, image.shape[0])
        pictured = not lines or _has_picture(page, width * height)
    except pdfium.PdfiumError:
        raise InputError("page {page} of {file} is damaged", file=name, page=place + 1) from None
    finally:
        page.close()
    return Page(place + 1, image, lines, dpi / 25.4, pictured)


def _dpi(width: float, height: float) -> float | None:
    """The resolution for a page of so many points; None when no allowed one suits it."""
    area = width * height / 72**2
    if not area > 0 or min(width, height) < 1:
        return None
    dpi = min(float(DPI), (MOST_PIXELS / area) ** 0.5)
    return dpi if dpi >= LEAST_DPI else None


def _lines(page: Any, scale: float, height: int) -> list[Line]:
    """The text layer, in the order of the page's content."""
    layer = page.get_textpage()
    raw = _pdfium().raw
    lines: list[Line] = []
    try:
        count = min(layer.count_chars(), MOST_CHARACTERS)
        text: list[str] = []
        start = 0
        for place in range(count + 1):
            code = raw.FPDFText_GetUnicode(layer, place) if place < count else 10
            if code in (10, 13):
                if joined := "".join(text).strip():
                    lines.append(Line(joined, _line_box(layer, start, place - start, scale, height)))
                text, start = [], place + 1
            elif 0 < code < 0x110000 and not 0xD800 <= code < 0xE000:
                text.append(chr(code))
    finally:
        layer.close()
    return lines


def _line_box(layer: Any, start: int, count: int, scale: float, height: int) -> Box:
    rects = [layer.get_rect(place) for place in range(min(layer.count_rects(start, count), 64))]
    if not rects:
        return 0.0, 0.0, 0.0, 0.0
    left, bottom = min(rect[0] for rect in rects), min(rect[1] for rect in rects)
    right, top = max(rect[2] for rect in rects), max(rect[3] for rect in rects)
    return left * scale, height - top * scale, right * scale, height - bottom * scale


def _has_picture(page: Any, area: float) -> bool:
    raw = _pdfium().raw
    for place, thing in enumerate(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3)):
        left, bottom, right, top = thing.get_bounds()
        if (right - left) * (top - bottom) >= _PICTURE * area:
            return True
        if place >= _ENTRIES:
            break
    return False


def _beside_pages(document: Any) -> Iterator[tuple[str, str]]:
    raw = _pdfium().raw
    for place, entry in enumerate(document.get_toc()):
        if place >= _ENTRIES:
            break
        yield "bookmark", entry.get_title()
    for place in range(min(document.count_attachments(), 64)):
        attachment = document.get_attachment(place)
        name = attachment.get_name()
        yield "attachment's name", name
        try:
            data = bytes(attachment.get_data())[:_ATTACHMENT]
        except _pdfium().PdfiumError:
            continue
        for encoding in ("utf-8", "utf-16", "gb18030"):
            try:
                text = data.decode(encoding)
            except UnicodeDecodeError:
                continue
            if text.isprintable() or sum(c.isprintable() or c.isspace() for c in text) > 0.95 * len(text):
                yield "attachment", text
                break
    for number in range(min(len(document), _ENTRIES)):
        page = document[number]
        try:
            for place in range(min(raw.FPDFPage_GetAnnotCount(page), _ENTRIES)):
                yield from _annotation(document, page, place, number + 1)
        finally:
            page.close()


def _annotation(document: Any, page: Any, place: int, number: int) -> Iterator[tuple[str, str]]:
    raw = _pdfium().raw
    annotation = raw.FPDFPage_GetAnnot(page, place)
    if not annotation:
        return
    try:
        for key, what in ((b"Contents", "comment"), (b"T", "title"), (b"TU", "form field"), (b"V", "form field")):
            if text := _string(raw.FPDFAnnot_GetStringValue, annotation, key):
                yield f"page {number}, {what}", text
        link = raw.FPDFAnnot_GetLink(annotation)
        action = raw.FPDFLink_GetAction(link) if link else None
        if action:
            size = raw.FPDFAction_GetURIPath(document, action, None, 0)
            buffer = ctypes.create_string_buffer(min(size, 65_536) + 1)
            raw.FPDFAction_GetURIPath(document, action, buffer, len(buffer))
            yield f"page {number}, link", buffer.value.decode("utf-8", "replace")
    finally:
        raw.FPDFPage_CloseAnnot(annotation)


def _string(read: Any, thing: Any, key: bytes) -> str:
    """A text of PDFium's: UTF-16, its length in bytes asked first."""
    raw = _pdfium().raw
    size = read(thing, key, None, 0)
    if not 2 < size <= 4 * MOST_CHARACTERS:
        return ""
    buffer = (raw.FPDF_WCHAR * (size // 2))()
    read(thing, key, buffer, size)
    return bytes(buffer).decode("utf-16-le", "replace").rstrip("\0")


# --- pictures


@contextmanager
def _picture(path: Source) -> Iterator[Any]:
    try:
        import PIL
        import PIL.Image
    except ImportError:
        raise missing_package("pillow") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            picture = PIL.Image.open(io.BytesIO(path) if isinstance(path, bytes) else path, formats=_FORMATS)
    except PIL.UnidentifiedImageError:
        raise InputError(
            "{file} is no PDF and no picture", hint="give a PDF, PNG, JPEG, BMP, GIF, TIFF or WebP", file=_name(path)
        ) from None
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        raise _too_large(_name(path)) from None
    except Exception:  # noqa: BLE001  its readers raise anything for files made to harm
        raise InputError("{file} is a damaged picture", hint="export it once more", file=_name(path)) from None
    with picture:
        yield picture


def _too_large(name: str) -> InputError:
    return InputError("{file} has too many pixels", hint="50 million are read at most", file=name)


def _frame(picture: Any, place: int, name: str) -> Page:
    import PIL.ImageOps

    try:
        picture.seek(place)
        if picture.width * picture.height > MOST_PIXELS:
            raise _too_large(name)
        upright = PIL.ImageOps.exif_transpose(picture)
        if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            white = PIL.Image.new("RGBA", upright.size, "white")
            upright = PIL.Image.alpha_composite(white, upright)
        if upright.mode.startswith("I"):  # 16 bits a pixel: convert() would cut, not scale
            upright = upright.point(lambda value: value / 256).convert("L")
        image = np.asarray(upright.convert("L"))
        dpi = float(picture.info.get("dpi", (0, 0))[0])
    except InputError:
        raise
    except Exception:  # noqa: BLE001  as above
        raise InputError("{file} is a damaged picture", hint="export it once more", file=name) from None
    return Page(place + 1, image, [], dpi / 25.4 if 50 <= dpi <= 2400 else None, True)


def _picture_texts(picture: Any) -> Iterator[tuple[str, str]]:
    """Text chunks, comments, XMP and EXIF of a picture."""
    from PIL.ExifTags import IFD, TAGS

    try:
        picture.load()  # PNG may hold texts behind the picture
    except Exception:  # noqa: BLE001  said when its pages are read
        return
    for name, value in {**picture.info, **getattr(picture, "text", {})}.items():
        if isinstance(value, bytes) and name in ("comment", "xmp", "XML:com.adobe.xmp"):
            value = value.decode("utf-8", "replace")  # noqa: PLW2901
        if isinstance(value, str):
            yield str(name), texts_of_xml(value.encode()) if "xmp" in str(name).lower() else value
    try:
        exif = picture.getexif()
        tags = {**exif, **exif.get_ifd(IFD.Exif), **exif.get_ifd(IFD.GPSInfo)}
    except Exception:  # noqa: BLE001  damaged EXIF says nothing
        return
    for tag, value in tags.items():
        if isinstance(value, bytes):  # XP* tags are UTF-16, the comment has its encoding in front
            wide = 0x9C9B <= tag <= 0x9C9F
            value = value.decode("utf-16-le" if wide else "utf-8", "replace")  # noqa: PLW2901
            value = re.sub(r"^(?:ASCII|UNICODE|JIS)\0*", "", value)  # noqa: PLW2901
        if isinstance(value, str):
            yield f"EXIF {TAGS.get(tag, tag)}", value
