"""PDF files joined from runs of Typst, with the codes drawn in."""

from __future__ import annotations

import io
import re
import sys
import zlib

import numpy as np
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from label.made import ODD, pages, token
from parcelveil.label import codes, pdf
from parcelveil.label.compose import DOTS, POINT
from parcelveil.label.gate import Gate
from parcelveil.label.pdf import Chunk, PdfFile, code_operators, runs
from parcelveil.label.raster import Raster
from parcelveil.label.typeset import Typesetter


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_runs_are_the_dark_modules(rows: int, columns: int, seed: int) -> None:
    bits = np.random.default_rng(seed).random((rows, columns)) < 0.5
    drawn = np.zeros_like(bits)
    for x, y, n in runs(bits):
        assert not drawn[y, x : x + n].any()
        drawn[y, x : x + n] = True
    assert (drawn == bits).all()


def test_operators_draw_every_dark_module_and_no_other() -> None:
    _, (page,) = pages([{}])
    text = code_operators(page, 180).decode()
    parts = re.findall(r"q ([\d.]+) 0 0 ([\d.]+) ([\d.]+) ([\d.]+) cm\n((?:\d+ \d+ \d+ 1 re\n)*)f Q", text)
    assert len(parts) == 3
    for symbol, (wide, high, x, y, rectangles) in zip(page.symbols, parts, strict=True):
        bits = symbol.bits.reshape(1, -1) if symbol.bits.ndim == 1 else symbol.bits
        drawn = np.zeros_like(bits)
        for left, top, n in re.findall(r"(\d+) (\d+) (\d+) 1 re", rectangles):
            drawn[int(top), int(left) : int(left) + int(n)] = True
        assert (drawn == bits).all()
        assert (float(wide), float(x), float(y)) == pytest.approx((symbol.module, symbol.x, symbol.y))
        assert float(high) * len(bits) == pytest.approx(symbol.height)


def test_the_parts_of_all_codes_are_remembered_and_take_little() -> None:
    """Every part that the codes of our labels can have finds room, in some 15 MB when the cache is full."""
    qr = codes.qr(token())
    whole, rest = divmod(len(qr), 8)
    bars = 400 // 8  # modules of a bar code on the widest label at 300 dpi, by eight
    parts = len(qr) * (whole * 255 + 2**rest - 1) + (bars - whole) * 255
    assert parts <= pdf._REMEMBERED < 3 * parts
    size = sum(sys.getsizeof(pdf._rectangles(column, 0b10101010, 28)) for column in range(4)) / 4
    assert pdf._REMEMBERED * (size + 200) < 24e6


def joined(counts: list[int]) -> tuple[bytes, int]:
    press, made = pages([{"waybill_no": f"YT00000{n:05d}"} for n in range(sum(counts))])
    typesetter, buffer, start = Typesetter(press), io.BytesIO(), 0
    file = PdfFile(buffer.write)
    for count in counts:
        file.add(typesetter.chunk(made[start : start + count]))
        start += count
    file.finish()
    return buffer.getvalue(), start


def test_joined_files_have_all_pages_in_order() -> None:
    pdf, count = joined([3, 1, 5])
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == count
    for place in range(count):
        assert f"YT00000{place:05d}" in document[place].get_textpage().get_text_bounded()
        assert document[place].get_size() == pytest.approx((100 / POINT, 180 / POINT), abs=1e-3)


def test_the_table_of_objects_is_right() -> None:
    pdf, _ = joined([2, 2])
    table = int(pdf[pdf.rindex(b"startxref") :].split()[1])
    lines = pdf[table:].split(b"\n")
    count = int(lines[1].split()[1])
    for number, line in enumerate(lines[3 : 2 + count], 1):
        assert len(line) == 19
        assert pdf[int(line[:10]) :].startswith(b"%d 0 obj\n" % number)
    assert len(re.findall(rb"\nendobj\n", pdf)) == count - 1


def test_a_joined_file_is_drawn_like_its_parts() -> None:
    press, made = pages([ODD[kind] for kind in ODD])
    typesetter, gate = Typesetter(press), Gate(press)
    whole = typesetter.chunk(made).alone()
    buffer = io.BytesIO()
    file = PdfFile(buffer.write)
    for page in made:
        file.add(typesetter.chunk([page]))
    file.finish()
    with Raster(whole) as one, Raster(buffer.getvalue()) as other:
        for place in range(len(made)):
            first, second = (each.page(place, gate.width, gate.height) for each in (one, other))
            assert (first[0] == second[0]).all() and first[1] == second[1]


def test_the_file_says_nothing_about_itself() -> None:
    pdf, _ = joined([2])
    with Raster(pdf) as raster:
        assert raster.information == {}
    plain = pdf + b"".join(
        zlib.decompress(part) for part in re.findall(rb"FlateDecode[^>]*>>\s*stream\n(.*?)\nendstream", pdf, re.S)
    )
    for word in (
        b"Typst",
        b"/Info",
        b"/Metadata",
        b"/ID",
        b"CreationDate",
        b"/Producer",
        b"/Creator",
        b"/Title",
        b"xmp",
        b"parcelveil/",
    ):
        assert word not in plain
    assert not re.search(rb"D:20\d\d", plain)


def test_the_same_pages_give_the_same_bytes() -> None:
    assert joined([3])[0] == joined([3])[0]


def test_another_kind_of_pdf_is_refused() -> None:
    with pytest.raises(ValueError):
        Chunk.of(b"%PDF-1.7\nstartxref\n5\n%%EOF", [])
    pdf, _ = joined([2])
    with pytest.raises(ValueError, match="other pages"):
        Chunk.of(pdf, [b""])


def test_codes_are_drawn_dot_by_dot() -> None:
    """At the printer's resolution each module is so many dots, black or white, and none between."""
    for layout in ("100x180", "76x130"):
        press, made = pages([{}], layout)
        gate = Gate(press)
        with Raster(Typesetter(press).chunk(made).alone()) as raster:
            image, _ = raster.page(0, gate.width, gate.height)
        for symbol in made[0].symbols:
            dots = round(symbol.module * DOTS[203])
            x, y = round(symbol.x * DOTS[203]), round(symbol.y * DOTS[203])
            bits = (
                np.tile(symbol.bits, (round(symbol.height * DOTS[203]) // dots, 1))
                if symbol.bits.ndim == 1
                else symbol.bits
            )
            wanted = np.where(np.kron(bits, np.ones((dots, dots), bool)), 0, 255)
            assert (image[y : y + len(wanted), x : x + wanted.shape[1]] == wanted).all()
