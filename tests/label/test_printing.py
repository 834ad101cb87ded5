"""Files of labels: all of them, in order, gated; or none."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pypdfium2
import pytest

from label.made import FONT, USUAL, clear_batch, job, sealed_batch
from parcelveil.label import printing
from parcelveil.label.compose import Page, Press
from parcelveil.label.content import Refused, columns_of
from parcelveil.label.gate import Gate, read_back
from parcelveil.label.printing import PdfOutput, PngOutput, Printer, ZplOutput
from parcelveil.label.problems import Problem
from parcelveil.label.raster import Image
from parcelveil.label.zpl import painted


def run(
    rows: list[dict[str, object]], output: Callable[[Press], printing.Output], *, layout: str = "76x130"
) -> tuple[Printer, list[Refused]]:
    job_ = job(layout)
    press = Press(job_.layout, FONT)
    refused: list[Refused] = []
    printer = Printer(job_, press, gate=Gate(press), output=output(press), refuse=refused.append)
    sealed = sealed_batch(clear_batch(rows))
    sealed = sealed.select(columns_of(sealed.schema, "x"))
    for start in range(0, sealed.num_rows, 7):
        part = sealed.slice(start, 7)
        printer.take(part, range(start + 1, start + 1 + part.num_rows))
    printer.finish()
    return printer, refused


def numbered(count: int) -> list[dict[str, object]]:
    return [{"waybill_no": f"YT00000{n:05d}"} for n in range(count)]


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "PAGES", 5)


@pytest.mark.usefixtures("small_runs")
def test_all_labels_in_order() -> None:
    buffer = io.BytesIO()
    printer, refused = run(numbered(23), lambda press: PdfOutput(buffer.write))
    assert (printer.printed, printer.refused, refused) == (23, 0, [])
    document = pypdfium2.PdfDocument(buffer.getvalue())
    assert len(document) == 23
    for place in range(23):
        text = document[place].get_textpage().get_text_bounded()
        assert f"YT00000{place:05d}" in text and f"-{place + 1:05d}" in text


@pytest.mark.usefixtures("small_runs")
def test_what_is_refused_is_told_and_the_others_are_printed() -> None:
    rows = numbered(12)
    rows[3]["to_name"], rows[7]["sort_code"], rows[8]["waybill_no"] = "김철수", "1" * 30, "13800000000"
    buffer = io.BytesIO()
    printer, refused = run(rows, lambda press: PdfOutput(buffer.write))
    assert [(one.row, one.waybill, one.problem.code) for one in sorted(refused)] == [
        (4, "YT0000000003", "glyph.missing"), (8, "YT0000000007", "sort_code.long"), (9, "row 9", "waybill_no.form"),
    ]  # fmt: skip
    assert printer.printed == len(pypdfium2.PdfDocument(buffer.getvalue())) == 9


@pytest.mark.usefixtures("small_runs")
def test_a_number_is_printed_once() -> None:
    rows = numbered(12)
    rows[3]["waybill_no"] = rows[10]["waybill_no"] = rows[2]["waybill_no"]
    rows[5]["sort_code"] = "1" * 30  # no label, so the next of its number gets one
    rows[6]["waybill_no"] = rows[5]["waybill_no"]
    buffer = io.BytesIO()
    printer, refused = run(rows, lambda press: PdfOutput(buffer.write))
    assert [(one.row, one.waybill, one.problem.code) for one in refused] == [
        (4, "YT0000000002", "waybill_no.doubled"), (6, "YT0000000005", "sort_code.long"),
        (11, "YT0000000002", "waybill_no.doubled"),
    ]  # fmt: skip
    document = pypdfium2.PdfDocument(buffer.getvalue())
    texts = "".join(document[place].get_textpage().get_text_bounded() for place in range(len(document)))
    assert printer.printed == 9 and texts.count("YT0000000002") == texts.count("YT0000000005") == 1


class Blind(PdfOutput):
    """An output that finds fault with one label."""

    def made(self, page: Page, image: Image) -> bytes | Problem:
        return Problem("code.unreadable", "QRCode") if page.content.waybill_no.endswith("4") else b""


@pytest.mark.usefixtures("small_runs")
def test_a_label_that_fails_its_gate_is_not_in_the_file() -> None:
    buffer = io.BytesIO()
    printer, refused = run(numbered(10), lambda press: Blind(buffer.write))
    assert [one.problem.code for one in refused] == ["code.unreadable"]
    document = pypdfium2.PdfDocument(buffer.getvalue())
    texts = [document[place].get_textpage().get_text_bounded() for place in range(len(document))]
    assert len(texts) == printer.printed == 9
    assert not any("YT0000000004" in text for text in texts)


@pytest.mark.usefixtures("small_runs")
def test_nothing_to_print() -> None:
    written: list[bytes] = []
    printer, refused = run([{"sort_code": "1" * 30}], lambda press: PdfOutput(written.append))
    assert printer.printed == 0 and len(refused) == 1


def test_zpl_and_png() -> None:
    texts: list[bytes] = []
    run(numbered(3), lambda press: ZplOutput(press, texts.append))
    labels = b"".join(texts).decode().split("^XZ\n")[:-1]
    assert len(labels) == 3
    shown = [painted(label) for label in labels]
    pictures: list[tuple[int, bytes]] = []
    run(numbered(3), lambda press: PngOutput(press, lambda place, data: pictures.append((place, data))))
    assert [place for place, _ in pictures] == [1, 2, 3]
    for canvas, (_, data) in zip(shown, pictures, strict=True):
        picture = PIL.Image.open(io.BytesIO(data))
        assert picture.mode == "1" and picture.size == (608, 1040)
        assert picture.info["dpi"] == pytest.approx((203.2, 203.2), abs=0.05)
        assert set(picture.info) == {"dpi"}, "no text chunks"
        dots = np.asarray(picture)
        assert not dots[canvas == 0].any()


def test_png_is_read_back_whole() -> None:
    pictures: list[bytes] = []
    printer, _ = run(numbered(2), lambda press: PngOutput(press, lambda place, data: pictures.append(data)))
    from parcelveil.label import codes

    for place, data in enumerate(pictures):
        dots = np.where(np.asarray(PIL.Image.open(io.BytesIO(data))), 255, 0).astype(np.uint8)
        assert {code.kind: code.text for code in codes.read(dots)}["Code128"] == f"YT00000{place:05d}"
    assert printer.printed == 2 and read_back is not None


@pytest.mark.slow
def test_ten_thousand_labels_stay_in_memory_that_does_not_grow(tmp_path: Path) -> None:
    """The peak after 10,000 labels is hardly above the one after 3,000: Typst's memory is full by then."""
    import resource

    peaks = []
    for count in (3_000, 10_000):
        size = 0

        def write(data: bytes) -> None:
            nonlocal size
            size += len(data)

        run([{**row, "to_name": USUAL["to_name"]} for row in numbered(count)], lambda press: PdfOutput(write))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert peaks[1] < peaks[0] * 1.15
