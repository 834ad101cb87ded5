"""ZPL: graphics are the picture that was read, text is native where the printer has the glyphs."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from label.made import FONT, ODD, clear_batch, contents, job, pages, sealed_batch
from parcelveil.label.compose import Page, Press
from parcelveil.label.content import Content
from parcelveil.label.gate import Gate, read_back
from parcelveil.label.layout import Zpl, load
from parcelveil.label.typeset import Typesetter
from parcelveil.label.zpl import _hexadecimal, _unpacked, covered, painted, zpl


def slowly_unpacked(data: str, wide: int) -> np.ndarray:
    """Zebra's compression by its definition: one character after the other."""
    rows, row, count = [], "", 0
    for char in data:
        if char in "GHIJKLMNOPQRSTUVWXY":
            count += ord(char) - ord("G") + 1
        elif "g" <= char <= "z":
            count += 20 * (ord(char) - ord("g") + 1)
        elif char == ":":
            row = rows[-1]
        elif char in ",!":
            row += ("0" if char == "," else "F") * (2 * wide - len(row))
        else:
            row += char * (count or 1)
            count = 0
        if len(row) == 2 * wide:
            rows.append(row)
            row = ""
    assert not row and not count
    return np.frombuffer(bytes.fromhex("".join(rows)), np.uint8).reshape(-1, wide)


@given(st.integers(1, 120), st.integers(1, 30), st.integers(0, 2**32), st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]))
def test_graphics_come_back(wide: int, rows: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    bits = rng.random((rows, wide * 8)) < share
    bits[:, : wide * 4] = bits[:, :1]  # long runs too
    packed = np.packbits(bits, axis=1)
    text = _hexadecimal(packed)
    assert (_unpacked(text, wide) == packed).all()
    assert (slowly_unpacked(text, wide) == packed).all()


def made(
    kind: str = "usual", layout: str = "100x150", dpi: int = 203, printer: Zpl | None = None
) -> tuple[Page, str, np.ndarray]:
    own = load(layout) if printer is None else msgspec.structs.replace(load(layout), zpl=printer)
    press = Press(own, FONT, dpi)
    (content,) = contents(sealed_batch(clear_batch([ODD[kind]])), job()._replace(layout=own))
    assert isinstance(content, Content)
    page = press.page(content, "SP2")
    assert isinstance(page, Page)
    (image,), problems = Gate(press).check(Typesetter(press).chunk([page]), [page])
    assert problems == [None]
    return page, zpl(page, press, image), image


@pytest.mark.parametrize("dpi", [203, 300])
@pytest.mark.parametrize("kind", ODD)
def test_codes_are_read_back_from_what_is_painted(kind: str, dpi: int) -> None:
    for layout in ("100x180", "76x130"):
        page, text, _ = made(kind, layout, dpi)
        assert read_back(page, painted(text)) is None


def test_all_that_is_painted_was_in_the_picture() -> None:
    _, text, image = made()
    canvas = painted(text)
    assert canvas.shape == image.shape
    assert (image[canvas == 0] < 128).all()


def test_a_line_is_native_or_painted_never_neither() -> None:
    page, text, image = made()
    canvas = painted(text)
    for line in page.lines:
        native = f"^FD{line.text}^FS" in text
        assert native == line.text.isascii(), line.text
        dots = 8
        top, left = int(line.y * dots), int(line.x * dots)
        part = np.s_[top : top + int(line.size * 25.4 / 72 * dots), left : left + int(line.width * dots)]
        if not native:
            assert (canvas[part] == np.where(image[part] < 128, 0, 255)).all()


def test_a_printer_with_a_chinese_font_gets_text_only() -> None:
    page, text, _ = made(printer=Zpl("E:SIMSUN.TTF", "gb18030"))
    assert text.count("^GFA") == 3, "the codes"
    assert "^A@N" in text and "E:SIMSUN.TTF" in text and "^CI28" in text
    assert all(f"^FD{line.text}^FS" in text for line in page.lines)
    page, text, _ = made(printer=Zpl("0", "none"))
    assert "^FD" not in text


def test_what_a_printer_has() -> None:
    assert covered("310-A12", Zpl()) and not covered("收", Zpl()) and not covered("é", Zpl())
    assert covered("收 310", Zpl("E:X.TTF", "gb2312")) and not covered("䶮", Zpl("E:X.TTF", "gb2312"))
    assert covered("䶮", Zpl("E:X.TTF", "gb18030")) and not covered("x\n", Zpl())


@pytest.mark.parametrize("covers", ["gb2312", "gbk", "gb18030"])
def test_a_chinese_font_is_not_one_for_all_scripts(covers: Literal["gb2312", "gbk", "gb18030"]) -> None:
    """GB 18030 as an encoding has all of Unicode, and a font in a printer does not."""
    printer = Zpl("E:X.TTF", covers)
    for text in (
        "กรุงเทพ",
        "김철수",
        "مرحبا",
        "שלום",
        "é\u0301",
        "a\u0308",
        "ơ",
        "ї",
        "ğ",
        "नमस्ते",
        "😀",
        "\u200d",
        "ﾆﾎﾝ",
    ):
        assert not covered(text, printer), text
    for text in ("收件人 310-A12", "Москва", "さくら"):
        assert covered(text, printer), text
    for text in ("鄠邑", "䶮㛃", "𬭎𪩘", "鿫"):
        assert covered(text, printer) == (covers == "gb18030") or (text == "鄠邑" and covers == "gbk"), text
    assert not covered("收ก", printer), "one character is enough"


def test_no_value_is_a_command() -> None:
    """Whatever a public column holds, carets and tildes cannot reach the printer as commands."""
    press, (page,) = pages([{}])
    evil = page._replace(lines=[line._replace(text="^XZ~JA_5E\\") for line in page.lines])
    (image,), _ = Gate(press).check(Typesetter(press).chunk([page]), [page])
    text = zpl(evil, press, image)
    assert text.count("^XZ") == 1 and "~" not in text
    assert "_5EXZ_7EJA_5F5E_5C" in text


def test_a_label_begins_and_ends() -> None:
    _, text, image = made()
    assert text.startswith("^XA^CI28^PW800^LL1200^LH0,0\n") and text.endswith("^XZ\n")
    assert re.fullmatch(
        r"(\^XA[^\n]*|\^FO\d+,\d+\^[GAF][^\n]*\^FS|\^XZ)(\n(\^FO\d+,\d+\^[GAF][^\n]*\^FS|\^XZ|))*", text
    )
    assert image.shape == (1200, 800)


def test_a_broken_graphic_is_no_label() -> None:
    _, text, _ = made()
    with pytest.raises(ValueError):
        painted(text.replace("^GFA,", "^GFA,9", 1))
    with pytest.raises(ValueError):
        painted("^XA^XZ")


def test_labels_are_as_large_as_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "labels.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+×\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| 3(?: to 4)? \|$", text, re.M)
    assert len(rows) == 3
    for size, *told in rows:
        for kilobytes, (dpi, kind) in zip(told, itertools.product((203, 300), ("usual", "long")), strict=True):
            _, label, _ = made(kind, size.replace("×", "x"), dpi)
            assert len(label.encode()) / 1000 == pytest.approx(int(kilobytes), rel=0.06)
        _, label, _ = made(layout=size.replace("×", "x"), printer=Zpl("E:SIMSUN.TTF", "gb18030"))
        assert 2500 < len(label.encode()) < 4000
