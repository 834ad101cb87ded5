"""Draws invented labels as pictures and PDFs, for the tests of reading them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from parcelveil.label import codes
from parcelveil.label.font import BUNDLED

WAYBILL = "YT8804256231556"
TOKEN = "AEDR5Q7XJ2LM4VKPZT3WYHNB6CFGOSUIAEDR5Q7XJ2LM4VKPZT3WYHNB6C"
GOOD = ["收 李** 138******34", "浙江省 杭州市 西湖区 文三路**", "寄 张* 0571-********", "品类 服装鞋帽"]
BAD = ["收件人 李雷 138****1234", "浙江省 杭州市 西湖区 文三路18号3幢501室", "寄 张* 0571-********", "品名: 连衣裙"]


def code_picture(bits: codes.Bits, module: int) -> PIL.Image.Image:
    square = np.atleast_2d(bits)
    if len(square) == 1:
        square = np.repeat(square, 24, axis=0)
    quiet = np.pad(square, ((4, 4), (10, 10)))
    return PIL.Image.fromarray(np.where(np.kron(quiet, np.ones((module, module), bool)), 0, 255).astype(np.uint8))


@cache
def face(size: int) -> Any:
    return PIL.ImageFont.truetype(str(BUNDLED), size)


def picture(lines: Sequence[str], *, code: str = WAYBILL, qr: str = TOKEN, size: int = 32) -> PIL.Image.Image:
    """A label of 100 x 150 mm at 203 dpi."""
    label = PIL.Image.new("L", (800, 1200), 255)
    if code:
        label.paste(code_picture(codes.code128(code), 3), (60, 30))
    if qr:
        label.paste(code_picture(codes.qr(qr), 6), (420, 820))
    draw = PIL.ImageDraw.Draw(label)
    for place, line in enumerate(lines):
        draw.text((40, 200 + 70 * place), line, font=face(size), fill=0)
    return label


def pdf(
    pages: Sequence[Sequence[str]], path: Path, *, code: str = WAYBILL, qr: str = TOKEN, **information: str
) -> Path:
    """A PDF with a text layer, one label a page."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen import canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    sheet = canvas.Canvas(str(path), pagesize=(283, 425))
    for name, value in information.items():
        getattr(sheet, f"set{name.capitalize()}")(value)
    for lines in pages:
        sheet.setFont("STSong-Light", 11)
        if code:
            sheet.drawImage(ImageReader(code_picture(codes.code128(code), 3)), 8, 370, 266, 40)
        if qr:
            sheet.drawImage(ImageReader(code_picture(codes.qr(qr), 6)), 160, 10, 110, 110)
        for place, line in enumerate(lines):
            sheet.drawString(8, 340 - 20 * place, line)
        sheet.showPage()
    sheet.save()
    return path


def data(image: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
