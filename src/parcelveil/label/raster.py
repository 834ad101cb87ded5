"""PDF pages as pictures of an exact number of dots, and what they say as text. PDFium draws.

::

    with Raster(pdf) as pages:
        image, text = pages.page(0, 800, 1440)      # gray, (1440, 800), uint8, 0 is black; the text layer
        pages.information                           # the document's information, what is not empty

A label's picture has a whole number of dots a millimetre, so that a code's modules are whole dots in it. To fit a
picture to the page's size in points, as viewers do, would smear them.
"""

from __future__ import annotations

import ctypes
import io
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from parcelveil.errors import InputError
from parcelveil.label.font import missing_package

Image = npt.NDArray[np.uint8]

#: Darker than this is printed.
THRESHOLD = 128


class Raster:
    """A PDF in memory. PDFium is one thread's at a time."""

    def __init__(self, pdf: bytes) -> None:
        try:
            import pypdfium2
            import pypdfium2.raw
        except ImportError:
            raise missing_package("pypdfium2") from None
        self._raw: Any = pypdfium2.raw
        try:
            self._document: Any = pypdfium2.PdfDocument(pdf)
        except pypdfium2.PdfiumError:
            raise InputError("this is no PDF that can be drawn", hint="check the file") from None

    def __len__(self) -> int:
        return len(self._document)

    def page(self, number: int, width: int, height: int) -> tuple[Image, str]:
        """The page in so many dots, gray, and its text layer."""
        raw = self._raw
        dots = np.empty((height, width), np.uint8)
        place = dots.ctypes.data_as(ctypes.c_void_p)
        page = self._document[number]
        bitmap = raw.FPDFBitmap_CreateEx(width, height, raw.FPDFBitmap_Gray, place, width)
        try:
            raw.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, 0xFFFFFFFF)
            raw.FPDF_RenderPageBitmap(bitmap, page.raw, 0, 0, width, height, 0, raw.FPDF_GRAYSCALE)
            layer = page.get_textpage()
            text: str = layer.get_text_bounded()
            layer.close()
        finally:
            raw.FPDFBitmap_Destroy(bitmap)
            page.close()
        return dots, text

    @property
    def information(self) -> dict[str, str]:
        """Title, author, producer and the like, where there is any."""
        return {name: value for name, value in self._document.get_metadata_dict().items() if value}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._document.close()


def png(image: Image, dots_per_mm: float) -> bytes:
    """A picture as PNG of one bit a dot, which is what label printers print, with its resolution."""
    try:
        import PIL.Image
    except ImportError:
        raise missing_package("pillow") from None
    buffer = io.BytesIO()
    bitmap = PIL.Image.fromarray(image).point(lambda value: 255 * (value >= THRESHOLD), "1")
    bitmap.save(buffer, "PNG", dpi=(dots_per_mm * 25.4, dots_per_mm * 25.4), optimize=False)
    return buffer.getvalue()
