"""Draws what people photograph and send besides labels, and makes pictures worse, for the tests of reading them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import PIL.ImageFont
import zxingcpp

from parcelveil.simulate.leak_files import draw_people
from parcelveil.simulate.leak_label import LAYOUTS, Fields, draw
from parcelveil.simulate.leak_label import typeface as typeface_file

CARRIERS = ["圆通速递", "中通快递", "顺丰速运", "韵达快递", "极兔速递", "申通快递"]


@cache
def face(size: int) -> Any:
    return PIL.ImageFont.truetype(str(typeface_file()), size)


def labels(count: int, seed: int = 5) -> list[Fields]:
    """Labels of people who are nobody."""
    people = draw_people(seed, 2 * count)
    return [
        Fields(
            to.waybill_no,
            to.carrier,
            to.sort_code,
            to.name,
            to.phone,
            to.address,
            by.name,
            by.phone,
            by.address,
            to.goods,
        )
        for to, by in zip(people[::2], people[1::2], strict=True)
    ]


def label(fields: Fields, number: int) -> PIL.Image.Image:
    return draw(fields, LAYOUTS[number % len(LAYOUTS)])


def lines(texts: Sequence[str], size: int = 30, width: int = 900, ground: int = 255) -> PIL.Image.Image:
    picture = PIL.Image.new("L", (width, 60 + 2 * size * len(texts)), ground)
    pen = PIL.ImageDraw.Draw(picture)
    for place, text in enumerate(texts):
        pen.text((30, 30 + 2 * size * place), text, font=face(size), fill=0)
    return picture


def chat(texts: Sequence[str]) -> PIL.Image.Image:
    """A messenger's screenshot: bubbles left and right on gray."""
    picture = PIL.Image.new("L", (1080, 200 + 170 * len(texts)), 235)
    pen = PIL.ImageDraw.Draw(picture)
    pen.text((430, 40), "圆通发货群(12)", font=face(40), fill=0)
    for place, text in enumerate(texts):
        top = 150 + 170 * place
        width = round(face(36).getlength(text))
        left = 90 if place % 2 else 1000 - width
        pen.rounded_rectangle((left - 20, top, left + width + 20, top + 90), 16, fill=255 if place % 2 else 190)
        pen.text((left, top + 18), text, font=face(36), fill=0)
    return picture


def product(name: str, number: str) -> PIL.Image.Image:
    """A shop's page: a picture of a thing, a price, an EAN."""
    picture = lines([name, "¥ 128.00   月销 3000+   包邮", "快递: 中通快递", "品牌 某某   重量 1.2kg   产地 浙江省"])
    page = PIL.Image.new("L", (picture.width, picture.height + 260), 255)
    page.paste(picture, (0, 0))
    bars = zxingcpp.create_barcode(number, zxingcpp.BarcodeFormat.EAN13).to_image(scale=3)
    page.paste(PIL.Image.fromarray(np.asarray(bars)), (60, picture.height + 20))
    return page


def scenery(seed: int = 0, size: tuple[int, int] = (900, 700)) -> PIL.Image.Image:
    """Something like a photograph of nothing written: soft shapes and noise."""
    dice = np.random.default_rng(seed)
    small = PIL.Image.fromarray(dice.integers(0, 256, (12, 16), dtype=np.uint8))
    dots = np.asarray(small.resize(size, PIL.Image.Resampling.BICUBIC)).astype(float)
    return PIL.Image.fromarray(np.clip(dots + dice.normal(0, 12, dots.shape), 0, 255).astype(np.uint8))


def worse(picture: PIL.Image.Image, how: str) -> PIL.Image.Image:
    """One of the degradations that pictures of labels meet."""
    if how == "slanted":
        return picture.rotate(3, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    if how == "small":
        return picture.resize((500, 640), PIL.Image.Resampling.LANCZOS)
    if how == "blurred":
        blurred = picture.filter(PIL.ImageFilter.GaussianBlur(1.2))
        return PIL.Image.open(io.BytesIO(jpeg(blurred, 60)))
    assert how == "plain"
    return picture


def jpeg(picture: PIL.Image.Image, quality: int = 80) -> bytes:
    return encoded(picture, "JPEG", quality=quality)


def encoded(picture: PIL.Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    picture.save(target, kind, **options)
    return target.getvalue()
