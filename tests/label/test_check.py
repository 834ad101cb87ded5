"""Auditing anybody's labels, from the file to the verdict."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import PIL.Image
import pytest

from label.labels_drawn import BAD, GOOD, TOKEN, WAYBILL, data, pdf, picture
from label.made import pages
from parcelveil.errors import DependencyError, InputError
from parcelveil.label import check as checking
from parcelveil.label import codes, ocr
from parcelveil.label.check import check
from parcelveil.label.typeset import Typesetter

needs_ocr = pytest.mark.skipif(not ocr.available(), reason="needs the extra 'ocr'")


def rules(findings: list[checking.Remark]) -> list[str]:
    return sorted({finding.rule for finding in findings})


def test_t3_a_label_that_shows_too_much_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    done: list[int] = []
    report = check(pdf([GOOD, BAD, GOOD], tmp_path / "a.pdf"), progress=done.append)
    good, bad, _ = report.pages
    assert [page.verdict for page in report.pages] == ["meets", "breaks", "meets"]
    assert [(code.kind, code.says, code.text) for code in good.codes] == [
        ("Code128", "waybill number", WAYBILL),
        ("QRCode", "opaque token", ""),
    ]
    assert rules(bad.findings) == ["address.detail", "goods.named", "name.clear", "phone.hidden"]
    masked = next(f for f in bad.findings if f.rule == "phone.hidden")
    assert masked.what == "138****1234 hides 4 digits, 6 required"
    assert masked.place == "text layer" and masked.page == 2 and masked.box is not None and masked.box[0] > 0
    assert report.verdict == "breaks" and report.rules == rules(bad.findings)
    assert done == [1, 2, 3]


def test_the_report_is_json_and_holds_no_clear_value(tmp_path: Path) -> None:
    lines = [*BAD, "身份证 11010519491231002X", "li.lei@example.org", "电话 13812345678", "备注: 放门口鞋柜"]
    leak = '{"name": "李雷", "mobile": "13812345678"}'
    report = check(pdf([lines], tmp_path / "a.pdf", qr=leak, title="李雷 13812345678"))
    text = msgspec.json.encode(report).decode()
    assert msgspec.json.decode(text, type=checking.Report) == report
    assert "138****1234" in text
    for value in ("李雷", "13812345678", "11010519491231002X", "li.lei", "连衣裙", "鞋柜", "501", "3幢"):
        assert value not in text, value
    assert rules(report.findings) == ["name.clear", "phone.clear"]
    assert {finding.place for finding in report.findings} == {"metadata: Title"}
    assert [code.says for code in report.pages[0].codes] == ["waybill number", "personal data"]


def test_a_label_without_a_bar_code_breaks_a_rule(tmp_path: Path) -> None:
    report = check(pdf([GOOD], tmp_path / "a.pdf", code=""))
    assert rules(report.pages[0].findings) == ["code.missing"] and report.verdict == "breaks"
    report = check(pdf([GOOD], tmp_path / "b.pdf", code="13812345678"))
    assert rules(report.pages[0].findings) == ["code.missing", "phone.clear"]


def test_another_bar_code_is_a_note(tmp_path: Path) -> None:
    import zxingcpp

    label = picture([], code="")
    bars = zxingcpp.create_barcode(WAYBILL, zxingcpp.BarcodeFormat.Code39).to_image(scale=2, add_quiet_zones=True)
    label.paste(PIL.Image.fromarray(np.array(bars)), (20, 30))
    label.save(tmp_path / "a.png")
    (page,) = check(tmp_path / "a.png", ocr=False).pages
    assert {note.rule for note in page.notes} == {"code.other", "code.opaque"}


def test_the_print_stations_mark_is_named(tmp_path: Path) -> None:
    label = picture([])
    mark = np.kron(np.pad(codes.data_matrix("S310-A12-P2"), 2), np.ones((6, 6), bool))
    label.paste(PIL.Image.fromarray(np.where(mark, 0, 255).astype(np.uint8)), (60, 900))
    label.save(tmp_path / "a.png")
    (page,) = check(tmp_path / "a.png", ocr=False).pages
    assert ("DataMatrix", "print station mark", "S310-A12-P2") in [(c.kind, c.says, c.text) for c in page.codes]
    assert "print station mark: S310-A12-P2" in [note.what for note in page.notes]


@pytest.mark.parametrize("installed", [True, False])
def test_a_picture_without_ocr_is_never_said_to_be_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    monkeypatch.setattr(ocr, "available", lambda: installed)
    picture(BAD).save(tmp_path / "a.png")
    report = check(tmp_path / "a.png", ocr=not installed)
    assert report.verdict == "unclear"
    assert report.why == (checking.SWITCHED_OFF if installed else checking.NOT_INSTALLED)
    assert report.pages[0].codes[0].says == "waybill number"
    leaking = picture(BAD, qr="张三 13812345678")
    leaking.save(tmp_path / "b.png")
    assert check(tmp_path / "b.png", ocr=False).verdict == "breaks"  # its code is enough


def test_a_large_picture_in_a_pdf_is_text_that_was_not_read(tmp_path: Path) -> None:
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen import canvas

    sheet = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(283, 425))
    sheet.drawImage(ImageReader(picture(BAD)), 0, 0, 283, 425)
    sheet.drawString(10, 5, "page 1")
    sheet.save()
    report = check(tmp_path / "a.pdf", ocr=False)
    assert report.verdict == "unclear" and report.why == checking.PICTURE_UNREAD


def test_a_blank_page_is_unclear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "available", lambda: True)
    monkeypatch.setattr(ocr, "read_text", lambda image: [])
    PIL.Image.new("L", (200, 300), 255).save(tmp_path / "a.png")
    report = check(tmp_path / "a.png")
    assert (report.verdict, report.why, report.rules) == ("unclear", checking.NOTHING, [])


def test_a_text_layer_without_meaning_is_not_believed(tmp_path: Path) -> None:
    page = next(checking.open_pages(pdf([GOOD], tmp_path / "a.pdf")))
    garbled = page._replace(lines=[line._replace(text="\ue001\ue002\ue003") for line in page.lines])
    assert checking.check_page(garbled, ocr=False).verdict == "unclear"


def test_text_beside_text_is_read_as_one(tmp_path: Path) -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen import canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    sheet = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(400, 200))
    sheet.setFont("STSong-Light", 11)
    for x, text in ((300, "138******34"), (20, "李雷")):  # two cells of a row, drawn in the other order
        sheet.drawString(x, 100, text)
        sheet.drawString(x, 20, "-")
    sheet.save()
    assert "name.clear" in rules(check(tmp_path / "a.pdf").pages[0].findings)


def test_damage_behind_a_page_leaves_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pdf([GOOD, GOOD], tmp_path / "a.pdf")
    sound = checking.open_pages

    def broken(path: Path) -> object:
        yield next(sound(path))
        raise InputError("page 2 of a.pdf is damaged")

    monkeypatch.setattr(checking, "open_pages", broken)
    report = check(path)
    assert (len(report.pages), report.verdict, report.why) == (1, "unclear", checking.DAMAGED)


@needs_ocr
def test_ocr_reads_pictures_of_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refused(*_: object) -> None:
        raise AssertionError("OCR wants the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    (tmp_path / "good.png").write_bytes(data(picture(GOOD), "PNG"))
    (tmp_path / "bad.jpg").write_bytes(data(picture(BAD), "JPEG", quality=80))
    good, bad = check(tmp_path / "good.png"), check(tmp_path / "bad.jpg")
    assert good.verdict == "meets" and good.pages[0].ocr_lines >= 3
    assert {"phone.hidden", "address.detail", "name.clear"} <= set(bad.rules)
    assert {f.place for f in bad.pages[0].findings} == {"OCR"}


@needs_ocr
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_ocr_reads_labels_that_lie_on_their_side(tmp_path: Path, turns: int) -> None:
    PIL.Image.fromarray(np.rot90(np.asarray(picture(BAD)), turns)).save(tmp_path / "a.png")
    report = check(tmp_path / "a.png")
    assert {"phone.hidden", "address.detail"} <= set(report.rules)
    box = next(f.box for f in report.pages[0].findings if f.rule == "phone.hidden" and f.box)
    upright = {1: box[0] < 400, 2: box[3] > 800, 3: box[2] > 800}
    assert upright[turns] and all(side >= 0 for side in box)


def test_a_picture_of_which_hardly_anything_is_read_is_unclear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "available", lambda: True)
    monkeypatch.setattr(ocr, "read_text", lambda image: [ocr.ReadLine("收 **", (0, 0, 9, 9), 0.6)])
    picture(BAD).save(tmp_path / "a.png")
    report = check(tmp_path / "a.png")
    assert (report.verdict, report.why) == ("unclear", checking.HARDLY)


@needs_ocr
def test_ocr_says_nothing_on_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ocr.read_text(np.full((200, 300), 255, np.uint8))
    assert capfd.readouterr() == ("", "")


def test_without_the_extra_ocr_says_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "_models", lambda: None)
    ocr._reader.cache_clear()
    assert not ocr.available()
    with pytest.raises(DependencyError, match="rapidocr") as caught:
        ocr.read_text(np.zeros((4, 4), np.uint8))
    assert "parcelveil[ocr]" in caught.value.hint


def test_codes_are_read_at_other_sizes_and_angles_and_nothing_is_read_in_noise() -> None:
    label = np.asarray(picture([]))
    for turned in (np.rot90(label), np.rot90(label, 2), label[::2, ::2], np.kron(label, np.ones((3, 3), np.uint8))):
        assert sorted(code.text for code in codes.read(np.ascontiguousarray(turned))) == sorted([WAYBILL, TOKEN])
    for quarters, turn in ((0, {0}), (1, {-90}), (2, {180, -180}), (3, {90})):  # rot90 turns to the left
        assert {code.turn for code in codes.read(np.ascontiguousarray(np.rot90(label, quarters)))} <= turn
    assert codes.read(np.zeros((0, 0), np.uint8)) == codes.read(np.zeros((3, 3, 3), np.uint8)) == []
    assert codes.read(np.zeros((1, 1), np.uint8)) == []
    assert codes.read(np.zeros((2, 40_000), np.uint8)) == codes.read(np.zeros((2, 70_000), np.uint8)) == []
    noise = np.random.default_rng(7).integers(0, 256, (300, 400), np.uint8)
    assert codes.read(noise) == []


def test_a_waybill_number_that_looks_like_an_old_id_is_none(tmp_path: Path) -> None:
    """Fifteen digits that begin like a place and a date, in a bar code: an id number only where something says so."""
    number = "460101800101123"
    press, made = pages([{"waybill_no": number}])
    (tmp_path / "l.pdf").write_bytes(Typesetter(press).chunk(made).alone())
    assert check(tmp_path / "l.pdf").verdict == "meets"
    assert check(pdf([[f"身份证 {number}"]], tmp_path / "id.pdf")).rules == ["id.clear"]
