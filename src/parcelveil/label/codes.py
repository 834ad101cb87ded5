"""Bar codes and two-dimensional codes, written and read with zxing-cpp.

::

    bits = qr("AEDR5...")                 # bool, (n, n), True is dark, no quiet zone
    for code in read(image):              # gray, (height, width), uint8
        code.kind, code.text, code.box    # 'QRCode', 'AEDR5...', pixels

Formats: Code 128 (ISO/IEC 15417), QR code (ISO/IEC 18004) at error correction level M, Data Matrix ECC 200
(ISO/IEC 16022).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.errors import InputError
from parcelveil.label.font import missing_package

if TYPE_CHECKING:
    from types import ModuleType

Bits = npt.NDArray[np.bool_]

#: Larger pictures are not searched, nor longer ones, which zxing-cpp refuses.
MOST_PIXELS = 120_000_000
LONGEST = 65_535
_HALF, _DOUBLE = 4_000_000, 6_000_000


class Code(NamedTuple):
    """One code that was read: its kind as zxing-cpp names it, what it says, the pixels it spans, and how it lies."""

    kind: str
    text: str
    box: tuple[float, float, float, float]  # left, top, right, bottom
    turn: int = 0  # degrees, clockwise, by which the code lies turned: -180 to 180


def _zxing() -> ModuleType:
    try:
        import zxingcpp
    except ImportError:
        raise missing_package("zxing-cpp") from None
    return zxingcpp


def _bits(text: str, kind: str, **options: Any) -> Bits:
    zxing = _zxing()
    try:
        code = zxing.create_barcode(text, getattr(zxing.BarcodeFormat, kind), **options)
    except (ValueError, RuntimeError):
        raise InputError(
            "a {kind} code cannot hold this text", hint="it is too long, or has other characters", kind=kind
        ) from None
    bits: Bits = np.asarray(code.to_image(scale=1, add_quiet_zones=False)) == 0
    return bits


def code128(text: str) -> Bits:
    """The bars of ``text``, shape (modules,). Raises InputError."""
    bars: Bits = _bits(text, "Code128")[0]
    return bars


def qr(text: str) -> Bits:
    """The QR code of ``text`` at level M, shape (n, n). Raises InputError."""
    return _bits(text, "QRCode", ec_level="M")


def data_matrix(text: str) -> Bits:
    """The square Data Matrix of ``text``, shape (n, n). Raises InputError."""
    return _bits(text, "DataMatrix", force_square=True)


def read(image: npt.NDArray[np.uint8], *, fast: bool = False) -> list[Code]:
    """The codes in a gray picture, shape (height, width).

    ``fast`` looks for our three kinds in upright dark-on-light pictures only, as our own pages are. Otherwise every
    kind is looked for, in any direction, and, when nothing is found, at twice and at half the size.
    """
    if image.ndim != 2 or not image.size or image.size > MOST_PIXELS or max(image.shape) > LONGEST:
        return []
    zxing = _zxing()
    image = np.ascontiguousarray(image)
    if fast:
        kinds = (zxing.BarcodeFormat.Code128, zxing.BarcodeFormat.QRCode, zxing.BarcodeFormat.DataMatrix)
        options = {"try_rotate": False, "try_downscale": False, "try_invert": False}
        half = zxing.Binarizer.FixedThreshold  # as a printer sees it: a dot is black or white
        return _codes(zxing.read_barcodes(image, formats=kinds, binarizer=half, **options))
    found = _codes(zxing.read_barcodes(image))
    if not found and image.size <= _DOUBLE and 2 * max(image.shape) <= LONGEST:
        larger = _codes(zxing.read_barcodes(np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)))
        found = [code._replace(box=_scaled(code.box, 0.5)) for code in larger]
    if not found and image.size > _HALF:
        smaller = _codes(zxing.read_barcodes(np.ascontiguousarray(image[::2, ::2])))
        found = [code._replace(box=_scaled(code.box, 2.0)) for code in smaller]
    return found


def _scaled(box: tuple[float, float, float, float], by: float) -> tuple[float, float, float, float]:
    return box[0] * by, box[1] * by, box[2] * by, box[3] * by


def _codes(found: list[Any]) -> list[Code]:
    return [Code(code.format.name, code.text, _box(code.position), code.orientation) for code in found]


def _box(position: Any) -> tuple[float, float, float, float]:
    corners = [position.top_left, position.top_right, position.bottom_right, position.bottom_left]
    xs, ys = [float(corner.x) for corner in corners], [float(corner.y) for corner in corners]
    return min(xs), min(ys), max(xs), max(ys)
