"""Pictures: text in reading order however they lie, codes, metadata, labels told from other pictures, hostile files."""

from __future__ import annotations

import base64
import doctest
import json
import re
import struct
import time
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from label.labels_drawn import pdf
from label.made import ODD, pages
from parcelveil.errors import DependencyError
from parcelveil.label import codes, ocr
from parcelveil.label.gate import Gate
from parcelveil.label.raster import png
from parcelveil.label.typeset import Typesetter
from parcelveil.scan import picture, picture_text, reading_order, waybill_label
from parcelveil.scan.engine import Scanner
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.picture import read_picture, text_of_codes
from parcelveil.scan.read import why
from parcelveil.scan.waybill_label import LabelSeen
from parcelveil.simulate.leak_label import Fields, photograph
from scan.pictures_drawn import chat, encoded, jpeg, label, labels, lines, product, scenery, worse


class Taken:
    """All that reading a picture gives."""

    def __init__(self, source: Path | bytes, *, ocr: bool = True) -> None:
        self.notes: list[Read] = []
        self.labels: list[LabelSeen] = []
        self.texts: dict[str, str] = {}
        self.boxes: dict[str, list[Any]] = {}

        def seen(place: Place, label: LabelSeen) -> None:
            self.labels.append(label)

        for document in read_picture(Place("a"), source, ocr=ocr, note=self.notes.append, seen=seen):
            assert document.kind == "text" and document.chunks is not None and document.batches is None
            name = document.place.part + (f" p{document.place.page}" if document.place.page > 0 else "")
            assert name not in self.texts
            self.texts[name] = b"".join(document.chunks).decode()
            self.boxes[name] = document.boxes

    @property
    def note(self) -> tuple[str, str]:
        (note,) = self.notes
        return note.outcome, note.why


def read(image: PIL.Image.Image) -> Taken:
    return Taken(encoded(image))


def holds(text: str, value: str) -> bool:
    """Whether a value stands in a text, over ends of lines and blanks too, which OCR leaves out or puts in."""
    return re.sub(r"\s", "", value) in re.sub(r"\s", "", text)


def found(text: str, fields: Fields) -> list[bool]:
    values = (
        fields.waybill_no,
        fields.to_name,
        fields.to_phone,
        fields.to_address,
        fields.from_name,
        fields.from_phone,
    )
    return [holds(text, value) for value in (*values, fields.from_address)]


@pytest.mark.parametrize("module", [picture, picture_text, reading_order, waybill_label, ocr])
def test_the_examples_are_true(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


# --- reading


@cache
def photographed() -> tuple[Fields, PIL.Image.Image, Taken]:
    (fields,) = labels(1)
    image = photograph(label(fields, 2), seed=5)
    return fields, image, Taken(jpeg(image, 60))


def test_t3_a_photographed_label_is_read_with_boxes_and_codes() -> None:
    fields, image, taken = photographed()
    assert all(found(taken.texts[""], fields))
    assert taken.note == ("read", "")
    assert (
        taken.texts["Code128"] == f"运单号 {fields.waybill_no}\n" and taken.texts["QRCode"] == f"{fields.waybill_no}\n"
    )
    text = taken.texts[""].encode()
    ink = np.asarray(image.convert("L")) < 90
    starts = [start for start, _ in taken.boxes[""]]
    assert starts == sorted(starts) and starts[0] == 0
    for start, (left, top, right, bottom) in taken.boxes[""]:
        assert start == 0 or text[start - 1 : start] in (b"\n", b"\t", b" ")
        assert 0 <= left < right <= image.width and 0 <= top < bottom <= image.height
        assert ink[int(top) : int(bottom), int(left) : int(right)].mean() > 0.02


def test_name_and_phone_of_neighbouring_cells_stand_in_one_line() -> None:
    fields, _, taken = photographed()
    (line,) = [line for line in taken.texts[""].splitlines() if fields.to_phone in line]
    assert line.endswith(f"{fields.to_name}\t{fields.to_phone}")


def test_t3_a_clear_label_is_told_and_the_result_holds_no_value() -> None:
    fields, _, taken = photographed()
    (seen,) = taken.labels
    assert seen.is_label and seen.confidence > 0.9 and seen.masked == "clear"
    assert {"phone.clear", "name.clear"} <= set(seen.rules)
    assert "clear phone and name" in seen.words
    said = repr((taken.notes, seen, seen.words))
    assert not any(value in said for value in fields[:1] + fields[3:])


def test_t3_a_masked_label_is_told() -> None:
    fields = labels(2)[1].masked()
    (seen,) = read(worse(label(fields, 0), "blurred")).labels
    assert seen.is_label and seen.masked == "masked" and seen.words.endswith(", masked")


@cache
def own_pages(layout: str, names: tuple[str, ...]) -> list[bytes]:
    """Pictures of labels as parcelveil prints them."""
    press, made = pages([ODD[name] for name in names], layout)
    images, problems = Gate(press).check(Typesetter(press).chunk(made), made)
    assert not any(problems)
    return [png(image, 8.0) for image in images]


def test_t3_our_own_labels_are_masked() -> None:
    (data,) = own_pages("100x180", ("usual",))
    (seen,) = Taken(data).labels
    assert seen.is_label and seen.masked == "masked" and seen.carrier == "JT" and seen.rules == ()


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["100x180", "100x150", "76x130"])
def test_our_own_labels_of_all_layouts_are_masked(layout: str) -> None:
    for data in own_pages(layout, tuple(ODD)):
        (seen,) = Taken(data).labels
        assert seen.is_label and seen.masked == "masked", seen


def test_two_labels_that_lie_in_different_ways_are_both_read() -> None:
    first, second = labels(4)[2:]
    table = PIL.Image.new("L", (1640, 1240), 255)
    table.paste(label(first, 0), (10, 20))
    table.paste(label(second, 2).rotate(180), (830, 20))
    taken = read(table)
    assert all(found(taken.texts[""], first)) and all(found(taken.texts[""], second))


def test_a_picture_without_codes_that_stands_on_its_head_is_read_in_order() -> None:
    said = ["收件人 张三 16425830719", "浙江省杭州市西湖区新建路18号3幢501室", "明天上午送到"]
    taken = read(lines(said).rotate(180))
    assert [re.sub(" ", "", line) for line in taken.texts[""].splitlines()] == [re.sub(" ", "", line) for line in said]


def test_numbers_in_neighbouring_cells_do_not_fuse() -> None:
    image = lines(["10010012345678      16425830719      2026-03-02"])
    assert "10010012345678 16425830719 2026-03-02" in re.sub("\t", " ", read(image).texts[""])


# --- what is no label


@pytest.mark.parametrize(
    "image",
    [
        scenery(),
        chat(
            [
                "圆通 YT6751107601429 到哪了",
                "收件人张三 16425830719",
                "浙江省杭州市西湖区新建路18号",
                "寄件人李四，运单号发你",
            ]
        ),
        product("男士加厚外套 2026新款", "6901234567892"),
    ],
    ids=["scenery", "chat", "product"],
)
def test_other_pictures_are_no_labels(image: PIL.Image.Image) -> None:
    taken = read(image)
    (seen,) = taken.labels
    assert not seen.is_label and seen.confidence < 0.5 and seen.masked == "unknown" and seen.words == "no label"
    assert taken.note == ("read", "")


def page_of(*texts: str, size: tuple[int, int] = (1200, 800)) -> tuple[Any, list[Any]]:
    from parcelveil.label.pages import Line, Page

    image = np.full(size, 255, np.uint8)
    told = [Line(text, (10.0, 40.0 * at, 400.0, 40.0 * at + 30)) for at, text in enumerate(texts)]
    return Page(1, image, [], None, True), told


def code(kind: str, text: str) -> codes.Code:
    return codes.Code(kind, text, (0.0, 0.0, 100.0, 40.0))


CLEAR = ("张三 16425830719", "浙江省杭州市西湖区新建路18号3幢501室")
MASKED = ("张* 164******31", "浙江省杭州市西湖区新建路**")


@pytest.mark.parametrize(
    ("texts", "seen_codes", "carrier", "masked"),
    [
        (("顺丰速运", "收 " + CLEAR[0], CLEAR[1]), [code("Code128", "SF1162582223936")], "SF", "clear"),
        (("收 " + MASKED[0], MASKED[1], "快递"), [code("Code128", "JT2122109392632")], "JT", "masked"),
        (("552-C67 013 09", "收件人 " + CLEAR[0], CLEAR[1], "寄件人 李四", "中通快递"), [], "ZTO", "clear"),
        (
            ("收件人 张三 164****0031", MASKED[1], "韵达快递 已验视"),
            [code("Code128", "468381861065259")],
            "YUNDA",
            "partly",
        ),
        (("SHIP TO: J*** D**", "USPS TRACKING", "EXPRESS"), [code("Code128", "RR473124829GB")], "EMS", "masked"),
        (("收 " + CLEAR[0], "寄 李四 16392648150", "顺丰速运"), [code("QRCode", "SF1162582223936")], "SF", "clear"),
        (("收 张三丰 164*****31", "寄 李* 163*****50", "快递"), [code("Code128", "SF1162582223936")], "SF", "partly"),
        (("收 张** 164*****31", "寄 李* 163*****50", "快递"), [code("Code128", "SF1162582223936")], "SF", "masked"),
        (("收", "寄", "快递", "运单号"), [code("Code128", "YT6751107601429")], "YTO", "unknown"),
    ],
)
def test_labels_are_told_by_their_evidence(
    texts: tuple[str, ...], seen_codes: list[codes.Code], carrier: str, masked: str
) -> None:
    page, told = page_of(*texts)
    seen = waybill_label.recognise(page, seen_codes, told)
    assert (seen.is_label, seen.carrier, seen.masked) == (True, carrier, masked), seen


@pytest.mark.parametrize(
    ("texts", "seen_codes"),
    [
        ((), [code("Code128", "YT6751107601429")]),
        ((), []),
        (("收件人 " + CLEAR[0], CLEAR[1], "寄件人 李四", "圆通快递 运单号 YT6751107601429"), []),
        (("姓名 张三", "公民身份号码 110199199003074516"), [code("QRCode", "x")]),
        (("某某大药房", "单价 ¥12.00"), [code("EAN13", "6901234567892")]),
        (
            tuple(f"收件人 张三 1640000{at:04d} SF11625822239{at} 浙江省" for at in range(10, 20)),
            [code("Code39", "12345678901")],
        ),
    ],
)
def test_these_are_no_labels(texts: tuple[str, ...], seen_codes: list[codes.Code]) -> None:
    page, told = page_of(*texts)
    assert not waybill_label.recognise(page, seen_codes, told).is_label


def test_a_label_of_which_nothing_was_read_is_never_said_to_be_masked() -> None:
    page, told = page_of("收 快递 运单号 浙江省 已验视 寄 552-C67 013 09 圆通速递 代收货款 打印时间 某某某某")
    assert waybill_label.recognise(page, [code("Code128", "YT6751107601429")], told, read=False).masked == "unknown"


# --- reading order


def line_at(text: str, left: float, top: float, slant: float = 0.0) -> ocr.ReadLine:
    """A line of 30 pixels' height, 20 a character, in a picture that is turned by ``slant`` about its origin."""
    cos, sin = np.cos(slant), np.sin(slant)
    corners = [(left + right, top + low) for right in (0, 20 * len(text)) for low in (0, 30)]
    xs, ys = zip(*((x * cos - y * sin, x * sin + y * cos) for x, y in corners), strict=True)
    return ocr.ReadLine(text, (min(xs), min(ys), max(xs), max(ys)), 0.9, slant)


@given(st.floats(-0.12, 0.12), st.permutations(range(6)))
@settings(max_examples=60, deadline=None)
def test_rows_are_told_however_the_picture_slants(slant: float, order: list[int]) -> None:
    places = [(0, 0), (300, 3), (0, 60), (330, 58), (0, 120), (900, 121)]
    texts = ["一行名字", "一行号码", "二行名字", "二行号码", "三行名字", "三行号码"]
    told = [line_at(texts[at], *places[at], slant) for at in order]
    text, boxes = reading_order.rows_of(told)
    assert text.decode() == "一行名字\t一行号码\n二行名字\t二行号码\n三行名字\t三行号码\n"
    assert [box for _, box in boxes] == [next(one.box for one in told if one.text == each) for each in texts]
    assert [text[start : start + 12].decode() for start, _ in boxes] == texts


def test_a_large_line_does_not_pull_two_small_ones_into_one_row() -> None:
    tall = ocr.ReadLine("大字", (0, 0, 200, 100), 0.9)
    told = [tall, line_at("上面一行", 300, 10), line_at("下面一行", 300, 60)]
    assert reading_order.rows_of(told)[0].decode().count("\n") >= 2


def box_line(text: str, left: float, top: float) -> ocr.ReadLine:
    return ocr.ReadLine(text, (left, top, left + 20 * len(text), top + 30), 0.9)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (["地址: 浙江省杭州市西湖区北山街道新建路1", "8号阳光花园", "电话: 16425830719"], 2),
        (["地址: 浙江省杭州市西湖区北山街道新建路1", "2026年三月二日出货", "电话: 16425830719"], 3),
        (["浙江省杭州市西湖区北山街道新建路阳光花", "园3幢2单元501室", "品名: 外套"], 2),
        (["浙江省杭州市西湖区北山街道新建路阳光花园", "三期住宅小区的西门对面再往前走二百米的", "小店转交", "好的"], 2),
        (["浙江省杭州市西湖区北山街道新建路祥和小", "区"], 1),
        (["浙江省杭州市西湖区北山街道新建路18号", "张三"], 2),
        (["浙江省杭州市西湖区新建路18号", "张三", "这一行比地址长得多,所以上面的地址没有到头,张三是名字"], 3),
        (["浙江省杭州市西湖区新建路18号", "广东省深圳市南山区科技路2号", "江苏省无锡市滨湖区花园中路4号"], 3),
        (["浙江省杭州市西湖区新建路18号", "张三 16425830719"], 2),
        (["浙江省杭州市西湖区新建路18号3幢501室", "明天上午送到"], 2),
        (["今天下午三点前能不能出货", "好的"], 2),
    ],
)
def test_wrapped_addresses_are_put_together(told: list[str], text: int) -> None:
    rows = [box_line(one, 40, 100 + 40 * at) for at, one in enumerate(told)]
    said, boxes = reading_order.rows_of(rows)
    assert said.decode().count("\n") == text, said.decode()
    assert [said[start:].decode()[:1] for start, _ in boxes] == [one[:1] for one in told]


@pytest.mark.parametrize(("left", "top"), [(400, 140), (40, 200), (-200, 140)])
def test_what_stands_elsewhere_is_no_rest(left: float, top: float) -> None:
    rows = [box_line("浙江省杭州市西湖区北山街道新建路阳光花", 300, 100), box_line("园3幢2单元501室", 300 + left, top)]
    assert reading_order.rows_of(rows)[0].decode().count("\n") == 2


def test_strips_give_every_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    height, tops = 9000, list(range(20, 8950, 43))

    def reader(image: Any, **_: Any) -> list[ocr.ReadLine]:
        rows = [row for row in np.flatnonzero(image[:, 0] == 7)]
        return [ocr.ReadLine(f"{image[row, 1]}", (0, row, 100, row + 30), 0.9) for row in rows if row + 30 < len(image)]

    monkeypatch.setattr(picture_text, "read_text", reader)
    monkeypatch.setattr(picture_text, "upside_down", lambda *_: False)
    image = np.full((height, 900), 255, np.uint8)
    for at, top in enumerate(tops):
        image[top, 0], image[top, 1] = 7, at % 250
    (upright,) = picture_text.read_upright(image, [])
    assert sorted(line.box[1] for line in upright.lines) == tops


# --- codes and metadata


def test_what_codes_wrap_is_unwrapped_and_said_once() -> None:
    inner = json.dumps({"receiverName": "张三", "mobile": "16425830719"}, ensure_ascii=False)
    wrapped = base64.b64encode(inner.encode()).decode()
    text, boxes = text_of_codes([code("QRCode", wrapped), code("QRCode", wrapped), code("QRCode", "第二个")])
    said = text.decode()
    assert "\n收件人: 张三\n电话: 16425830719\n" in "\n" + said
    assert said.count("16425830719") == 1 and said.count("张三") == 1
    assert [start for start, _ in boxes] == [0, len(said.encode()) - len("第二个\n".encode())]


def test_metadata_is_a_part_of_its_own() -> None:
    texts = PIL.PngImagePlugin.PngInfo()
    texts.add_text("Comment", "tel 16425830719")
    taken = Taken(encoded(PIL.Image.new("L", (300, 200), 255), pnginfo=texts))
    assert taken.texts == {"metadata": "Comment: tel 16425830719\n"} and taken.note == ("read", "")


def test_frames_have_numbers_and_standing_ones_are_read_once() -> None:
    first, second = (np.full((300, 400), 255, np.uint8) for _ in range(2))
    first[20:60, 20:300] = np.kron(code_bits("A1"), np.ones((1, 2)))[:1, :280]
    second[20:60, 20:300] = np.kron(code_bits("B2"), np.ones((1, 2)))[:1, :280]
    frames = [PIL.Image.fromarray(frame) for frame in (first, first, second)]
    taken = Taken(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]), ocr=False)
    assert taken.texts == {"Code128 p1": "A1\n", "Code128 p3": "B2\n"}


def code_bits(text: str) -> np.ndarray:
    bits = codes.code128(text)
    return np.where(np.pad(bits, (10, 140 - 10 - len(bits))), 0, 255)[None, :]


def test_a_pdf_gives_what_its_text_layer_does_not_say(tmp_path: Path) -> None:
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen import canvas

    said = lines(["张三 16425830719", "新建路18号3幢501室"])
    sheet = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(400, 300))
    sheet.drawString(40, 280, "in the text layer 16392648150")
    sheet.drawImage(ImageReader(said), 20, 40, 360, 200)
    sheet.save()
    taken = Taken(tmp_path / "a.pdf")
    assert holds(taken.texts[" p1"], "16425830719") and "16392648150" not in taken.texts[" p1"]
    assert taken.notes[0].format == "pdf page"
    text_only = Taken(pdf([["收 李** 138******34"]], tmp_path / "b.pdf").read_bytes())
    assert set(text_only.texts) == {"Code128 p1", "QRCode p1"} and text_only.note == ("read", "")


# --- without the extras, and what is hostile


def no_reader(*_: Any, **__: Any) -> Any:
    raise AssertionError("no text is read here")


def test_without_ocr_codes_are_read_and_the_rest_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_text, "read_text", no_reader)
    (fields,) = labels(1)
    data = encoded(label(fields, 0))
    taken = Taken(data, ocr=False)
    assert taken.note == ("partly", why.OCR_OFF) and set(taken.texts) == {"Code128", "QRCode"}
    assert taken.labels[0].masked == "unknown"
    monkeypatch.setattr(picture, "available", lambda: False)
    assert Taken(data).note == ("partly", why.NEEDS_OCR) and "the extra ocr" in why.NEEDS_OCR

    def missing(*_: Any) -> Any:
        raise DependencyError("labels need {package}, which is not installed", package="pillow")

    monkeypatch.setattr(picture, "count_pages", missing)
    assert Taken(data).note == ("skipped", why.NEEDS_LABEL) and "the extra label" in why.NEEDS_LABEL


def test_a_reader_of_text_that_fails_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("16425830719")

    monkeypatch.setattr(picture, "read_upright", fails)
    assert Taken(encoded(lines(["张三"]))).note == ("partly", why.OCR_FAILED)


def test_blank_and_tiny_pictures_cost_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_text, "read_text", no_reader)
    for image in (PIL.Image.new("L", (900, 700), 240), scenery(size=(900, 9)), PIL.Image.new("L", (1, 1))):
        assert read(image).note == ("read", "")


def png_of(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def test_bombs_and_broken_files_are_noted_and_never_raised(tmp_path: Path) -> None:
    encrypted = tmp_path / "encrypted.pdf"
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen import canvas

    canvas.Canvas(str(encrypted), encrypt=StandardEncryption("secret")).save()
    whole = encoded(lines(["张三"]))
    for source, outcome in {
        b"": ("skipped", why.EMPTY),
        b"nothing of a picture": ("skipped", why.NO_PICTURE),
        png_of(60_000, 60_000): ("skipped", why.TOO_MANY_PIXELS),
        png_of(9_000, 8_000): ("skipped", why.TOO_MANY_PIXELS),
        png_of(900, 800): ("skipped", why.DAMAGED),
        whole[: len(whole) // 2]: ("skipped", why.DAMAGED),
        b"%PDF-1.7\n" + bytes(200): ("skipped", why.DAMAGED),
        encrypted.read_bytes(): ("skipped", why.ENCRYPTED),
    }.items():
        assert Taken(source).note == outcome, source[:20]
    assert Taken(tmp_path / "nowhere.png").note == ("skipped", why.NOT_READABLE)
    assert Taken(tmp_path).note[0] == "skipped"


def test_pages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MOST_PAGES", 3)
    frames = [PIL.Image.new("L", (40, 30), 10 * at) for at in range(9)]
    taken = Taken(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    assert taken.note == ("partly", why.TOO_MANY_PAGES) and len(taken.labels) == 3


@cache
def samples() -> dict[str, bytes]:
    image = lines(["张三 16425830719"], width=300)
    kinds = {kind: encoded(image, kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")}
    return kinds | {"PDF": encoded(image, "PDF")}


@given(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PDF"]), st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_never_raised_and_always_noted(kind: str, draw: st.DataObject) -> None:
    data = bytearray(samples()[kind])
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.integers(0, len(data)))
    taken = Taken(bytes(data[:cut] if draw.draw(st.booleans()) else data), ocr=False)
    outcome, reason = taken.note
    assert (outcome == "read") == (reason == "") and (not reason or reason in why.ALL)


# --- how good


@pytest.mark.slow
@pytest.mark.parametrize("how", ["plain", "slanted", "small", "blurred"])
def test_planted_fields_are_found_on_labels_that_were_degraded(how: str) -> None:
    read_of, scanned = [], []
    scanner = Scanner.default()
    for number, fields in enumerate(labels(24)):
        taken = read(worse(label(fields, number), how))
        assert taken.labels[0].is_label and taken.labels[0].masked == "clear"
        text = "".join(taken.texts.values())
        read_of += found(text, fields)
        scanned += found_by(scanner, text, fields)
    assert sum(read_of) >= 0.98 * len(read_of), (sum(read_of), len(read_of))
    assert sum(scanned) >= 0.98 * len(scanned), (sum(scanned), len(scanned))


def found_by(scanner: Scanner, text: str, fields: Fields) -> list[bool]:
    """Whether the scanner finds each field; an address to its beginning, as OCR mistakes a character of it sometimes."""
    data = text.encode()
    values = [
        (row["kind"], re.sub(r"\s", "", data[row["start"] : row["end"]].decode()))
        for row in scanner.scan_bytes(data).to_pylist()
    ]
    wanted = [("phone.mobile", fields.to_phone), ("phone.mobile", fields.from_phone), ("person.name", fields.to_name)]
    wanted += [("person.name", fields.from_name), ("parcel.waybill", fields.waybill_no)]
    addresses = [value for kind, value in values if kind == "address.cn"]
    return [pair in values for pair in wanted] + [
        any(value.startswith(address[:5]) for value in addresses)
        for address in (fields.to_address, fields.from_address)
    ]


@pytest.mark.slow
def test_photographs_are_read_and_masked_labels_told() -> None:
    results = []
    for number, fields in enumerate(labels(18, seed=6)):
        masked = number % 2 == 1
        drawn = label(fields.masked() if masked else fields, number)
        taken = Taken(jpeg(photograph(drawn, seed=number, degrees=(-3, 2, 4)[number % 3]), 60))
        assert taken.labels[0].is_label and taken.labels[0].masked == ("masked" if masked else "clear"), taken.labels
        results += [] if masked else found(" ".join(taken.texts.values()), fields)
    assert sum(results) >= 0.98 * len(results), (sum(results), len(results))


@pytest.mark.slow
@pytest.mark.parametrize("with_codes", [True, False])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_pictures_are_read_as_upright_ones(degrees: int, with_codes: bool) -> None:
    (fields,) = labels(1)
    said = [
        "收件人 张三 16425830719",
        "浙江省杭州市西湖区新建路18号3幢501室",
        "寄件人 李四 16392648150",
        "品类 服装鞋帽",
    ]
    image = label(fields, 0) if with_codes else lines(said)
    taken = read(image.rotate(degrees, expand=True))
    if with_codes:
        assert all(found(taken.texts[""], fields))
    else:
        assert [line.replace(" ", "") for line in taken.texts[""].splitlines()] == [
            one.replace(" ", "") for one in said
        ]


@pytest.mark.slow
def test_long_and_large_screenshots_are_read_whole() -> None:
    said = [f"收件人张三 164000{number:05d} 浙江省杭州市" for number in range(60)]
    long = lines(said, size=34, width=1080)
    assert long.height > 4000
    text = read(long).texts[""]
    assert sum(f"164000{number:05d}" in text for number in range(60)) >= 59
    wide = PIL.Image.new("L", (3840, 2160), 255)
    for column in range(3):
        wide.paste(
            lines([f"张三 16400{column}{number:05d} 杭州市" for number in range(50)], size=20, width=1200),
            (1250 * column, 20),
        )
    text = read(wide).texts[""]
    planted = [f"16400{column}{number:05d}" for column in range(3) for number in range(50)]
    assert sum(number in text for number in planted) >= 147


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", [(13, 3_800_000), (3_800_000, 13), (7000, 7000), (14, 2000), (13, 29_000), (29_000, 13)]
)
def test_narrow_and_noisy_pictures_cost_bounded_time(shape: tuple[int, int]) -> None:
    image = PIL.Image.fromarray(np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8))
    started = time.process_time()
    outcome = Taken(encoded(image, "BMP")).note
    assert outcome == (("partly", why.OCR_FAILED) if max(shape) > 30_000 else ("read", ""))
    assert time.process_time() - started < 120
