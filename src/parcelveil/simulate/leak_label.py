"""Draws waybill labels of nobody as pictures, and photographs them: slightly turned, unevenly lit, blurred, noisy.

::

    label = Fields("YT6751107601429", "圆通速递", "552-C67 013 09", "张三", "16400000031", "浙江省杭州市西湖区新建路18号3幢501室",
                   "李四", "16300000072", "广东省深圳市南山区科技路2号", "外套")
    picture = draw(label, "stacked")         # PIL.Image, gray, 100 x 150 mm at 203 dpi
    photograph(picture, seed=5)              # as a phone sees it on a table

The layouts are of no carrier in particular, but have what theirs have, in three arrangements. Code 128 and QR codes are
readable. With ``masked`` the label says what GB/T 41833-2022 lets it say.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from parcelveil.errors import DependencyError
from parcelveil.simulate.draw import Draw

if TYPE_CHECKING:
    from PIL.Image import Image

Layout = Literal["stacked", "columns", "framed"]
LAYOUTS: tuple[Layout, ...] = ("stacked", "columns", "framed")
#: Dots of a label of 100 x 150 mm at 203 dpi.
WIDTH, HEIGHT = 800, 1200
_MARGIN = 30
_BUNDLED = Path(__file__).parent.parent / "label" / "typeface" / "ParcelveilSansSC-Regular.otf"
#: The table that a photographed label lies on: gray, and how far it shows round the label, in pixels.
_TABLE, _ROUND = 120, 90


class Fields(NamedTuple):
    """What stands on a label."""

    waybill_no: str
    carrier: str
    sort_code: str
    to_name: str
    to_phone: str
    to_address: str
    from_name: str
    from_phone: str
    from_address: str
    goods: str

    def masked(self) -> Fields:
        """The same as a label may say it: the family name, five digits of a phone, the address down to the road."""
        return self._replace(
            to_name=_name(self.to_name),
            to_phone=_phone(self.to_phone),
            to_address=_road(self.to_address),
            from_name=_name(self.from_name),
            from_phone=_phone(self.from_phone),
            from_address=_road(self.from_address),
            goods="日用品",
        )


def _name(name: str) -> str:
    return name[:1] + "*" * max(len(name) - 1, 1)


def _phone(phone: str) -> str:
    return f"{phone[:3]}{'*' * (len(phone) - 5)}{phone[-2:]}"


def _road(address: str) -> str:
    """Region, city, district and what follows hidden."""
    place = max(address.rfind(mark, 0, 14) for mark in "区县市旗省")
    return address[: max(place + 1, 2)] + "****"


def _missing(package: str) -> DependencyError:
    return DependencyError(
        "drawing labels needs {package}, which is not installed",
        hint="pip install 'parcelveil[label]'",
        package=package,
    )


@cache
def typeface() -> Path:
    """The whole Noto Sans SC, where it is installed; else the bundled subset, which has the commoner characters."""
    spec = find_spec("pylopdf_fonts_zh_cn")
    for folder in spec.submodule_search_locations or () if spec else ():
        if found := sorted(Path(folder).rglob("NotoSansSC-Regular.otf")):
            return found[0]
    return _BUNDLED


@cache
def _font(size: int) -> Any:
    try:
        from PIL import ImageFont
    except ImportError:
        raise _missing("pillow") from None
    return ImageFont.truetype(str(typeface()), size)


def _code(text: str, kind: str, module: int, bar: int = 1) -> Image:
    """A code with its quiet zone, ``module`` dots a module; a bar code ``bar`` dots high."""
    from PIL import Image

    try:
        import zxingcpp
    except ImportError:
        raise _missing("zxing-cpp") from None
    drawn = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    bits = np.asarray(drawn.to_image(scale=1, add_quiet_zones=False))
    bits = np.repeat(bits[:1], bar, axis=0) if kind == "Code128" else np.repeat(bits, module, axis=0)
    dots = np.pad(np.repeat(bits, module, axis=1), ((0, 0), (10 * module, 10 * module)), constant_values=255)
    return Image.fromarray(dots)


class _Sheet:
    """A label that is being drawn. Positions are in dots."""

    def __init__(self) -> None:
        try:
            from PIL import Image, ImageDraw
        except ImportError:
            raise _missing("pillow") from None
        self.image = Image.new("L", (WIDTH, HEIGHT), 255)
        self._draw = ImageDraw.Draw(self.image)

    def text(self, left: int, top: int, text: str, size: int) -> None:
        self._draw.text((left, top), text, font=_font(size), fill=0)

    def wrapped(self, left: int, top: int, right: int, text: str, size: int) -> int:
        """Sets lines as wide as fit, and says where the next one stands."""
        while text:
            count = len(text)
            while count > 1 and _font(size).getlength(text[:count]) > right - left:
                count -= 1
            self.text(left, top, text[:count], size)
            text, top = text[count:], top + round(size * 1.4)
        return top

    def rule(self, top: int) -> None:
        self._draw.line((_MARGIN, top, WIDTH - _MARGIN, top), fill=0, width=3)

    def post(self, left: int, top: int, bottom: int) -> None:
        self._draw.line((left, top, left, bottom), fill=0, width=3)

    def circled(self, left: int, top: int, char: str) -> None:
        self._draw.ellipse((left, top, left + 56, top + 56), outline=0, width=4)
        self.text(left + 11, top + 2, char, 34)

    def bars(self, left: int, top: int, text: str, height: int = 110) -> None:
        self.image.paste(_code(text, "Code128", 3, height), (left, top))

    def qr(self, left: int, top: int, text: str) -> None:
        self.image.paste(_code(text, "QRCode", 5), (left, top))


def draw(label: Fields, layout: Layout = "stacked") -> Image:
    """The label as its printer makes it: gray, :data:`HEIGHT` x :data:`WIDTH`. Raises DependencyError."""
    sheet = _Sheet()
    {"stacked": _stacked, "columns": _columns, "framed": _framed}[layout](sheet, label)
    return sheet.image


def _stacked(sheet: _Sheet, label: Fields) -> None:
    """The bar code on top, recipient, sender, and a foot with a QR code."""
    sheet.text(_MARGIN, 24, label.carrier, 44)
    sheet.text(WIDTH - 260, 30, "标准快递", 34)
    sheet.text(_MARGIN + 40, 90, label.sort_code, 72)
    sheet.rule(190)
    sheet.bars(60, 210, label.waybill_no)
    sheet.text(220, 330, label.waybill_no, 34)
    sheet.rule(390)
    sheet.circled(_MARGIN, 410, "收")
    sheet.text(110, 410, f"{label.to_name}  {label.to_phone}", 38)
    sheet.wrapped(110, 470, WIDTH - _MARGIN, label.to_address, 34)
    sheet.rule(640)
    sheet.circled(_MARGIN, 660, "寄")
    sheet.text(110, 660, f"{label.from_name}  {label.from_phone}", 30)
    sheet.wrapped(110, 710, WIDTH - _MARGIN, label.from_address, 28)
    sheet.rule(820)
    sheet.text(_MARGIN, 850, f"品名: {label.goods}", 30)
    sheet.text(_MARGIN, 905, "已验视  1件  1.25kg", 30)
    sheet.text(_MARGIN, 1100, "打印时间 2026-03-02 09:30", 26)
    sheet.qr(520, 880, label.waybill_no)


def _columns(sheet: _Sheet, label: Fields) -> None:
    """Words before the fields, the QR code on the right of them, the bar code below."""
    sheet.text(_MARGIN, 24, label.carrier, 44)
    sheet.text(420, 24, label.sort_code, 44)
    sheet.rule(110)
    sheet.text(_MARGIN, 130, f"收件人: {label.to_name}", 34)
    sheet.text(_MARGIN, 185, f"电话: {label.to_phone}", 34)
    end = sheet.wrapped(_MARGIN, 240, 560, f"地址: {label.to_address}", 32)
    sheet.qr(580, 140, label.waybill_no)
    sheet.rule(end + 12)
    top = max(end + 30, 440)
    sheet.text(_MARGIN, top, f"寄件人: {label.from_name}", 30)
    sheet.text(_MARGIN, top + 50, f"电话: {label.from_phone}", 30)
    sheet.wrapped(_MARGIN, top + 100, WIDTH - _MARGIN, f"地址: {label.from_address}", 28)
    sheet.rule(720)
    sheet.bars(60, 750, label.waybill_no, 140)
    sheet.text(160, 900, f"运单号 {label.waybill_no}", 34)
    sheet.rule(960)
    sheet.text(_MARGIN, 980, f"内件: {label.goods}", 30)
    sheet.text(_MARGIN, 1030, "付款方式: 寄付月结    计费重量: 1.3kg", 28)
    sheet.text(_MARGIN, 1100, "签收人:            签收时间:", 28)


def _framed(sheet: _Sheet, label: Fields) -> None:
    """Cells with lines around them: the sides stand beside what they name, the phone in a cell of its own."""
    sheet.bars(60, 30, label.waybill_no)
    sheet.text(240, 145, label.waybill_no, 32)
    sheet.rule(200)
    sheet.text(90, 215, label.sort_code, 64)
    sheet.rule(310)
    sheet.text(50, 330, "到", 40)
    sheet.text(120, 325, label.to_name, 38)
    sheet.text(420, 325, label.to_phone, 38)
    sheet.wrapped(120, 390, WIDTH - _MARGIN, label.to_address, 32)
    sheet.post(100, 310, 540)
    sheet.rule(540)
    sheet.text(50, 560, "寄", 40)
    sheet.text(120, 555, label.from_name, 32)
    sheet.text(420, 555, label.from_phone, 32)
    sheet.wrapped(120, 610, WIDTH - _MARGIN, label.from_address, 28)
    sheet.post(100, 540, 720)
    sheet.rule(720)
    sheet.text(_MARGIN, 740, f"{label.carrier}  电子面单  已安检", 30)
    sheet.text(_MARGIN, 790, f"品类 {label.goods}   件数 1/1", 30)
    sheet.qr(540, 840, label.waybill_no)


def photograph(picture: Image, *, seed: int, degrees: float = 2.5) -> Image:
    """The label as a phone's camera sees it on a table: turned, in perspective, unevenly lit, blurred, noisy; gray."""
    from PIL import Image, ImageFilter

    width, height = picture.size[0] + 2 * _ROUND, picture.size[1] + 2 * _ROUND
    table = Image.new("L", (width, height), _TABLE)
    table.paste(picture, (_ROUND, _ROUND))
    turned = table.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=_TABLE)
    # The far edge of the label is a little shorter than the near one.
    far = 0.02 * width
    corners = ((-far, 0.0), (0.0, float(height)), (float(width), float(height)), (width + far, 0.0))
    turned = turned.transform(
        (width, height),
        Image.Transform.QUAD,
        [side for corner in corners for side in corner],
        Image.Resampling.BICUBIC,
        fillcolor=_TABLE,
    )
    dots = np.asarray(turned.filter(ImageFilter.GaussianBlur(0.8))).astype(np.float32)
    light = (
        np.linspace(1.0, 0.78, width, dtype=np.float32)[None, :]
        * np.linspace(0.96, 1.0, height, dtype=np.float32)[:, None]
    )
    # The mean of four words is near to the noise of a sensor.
    words = Draw(seed, 30).words(4 * width * height).reshape(4, height, width)
    noise = (words.mean(axis=0, dtype=np.float32) / 65536 - 0.5) * 40
    return Image.fromarray(np.clip(dots * light + noise, 0, 255).astype(np.uint8))
