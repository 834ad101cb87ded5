"""Pages of anybody's files: pictures and text layers, what files hide, and files that are broken or made to harm."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from label.labels_drawn import BAD, GOOD, data, pdf, picture
from parcelveil.errors import InputError, ParcelveilError
from parcelveil.label.pages import MOST_PIXELS, count_pages, metadata, open_pages


def test_a_pdf_has_pictures_lines_and_a_size(tmp_path: Path) -> None:
    path = pdf([GOOD, BAD], tmp_path / "a.pdf")
    first, second = open_pages(path)
    assert count_pages(path) == 2 and (first.number, second.number) == (1, 2)
    assert first.image.dtype == np.uint8 and first.image.shape == (1771, 1180)
    assert 20 < first.image.mean() < 255 and first.image.flags["C_CONTIGUOUS"]
    assert [line.text for line in first.lines] == GOOD
    assert first.dots_per_mm == pytest.approx(300 / 25.4) and not first.pictured
    left, top, right, bottom = second.lines[0].box
    assert 0 < left < right < 1180 and 0 < top < bottom < 1771
    assert (second.image[int(top) : int(bottom), int(left) : int(right)] < 128).any()


def test_pictures_of_every_kind_are_read(tmp_path: Path) -> None:
    label = picture(GOOD)
    for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"):
        path = tmp_path / f"label.{kind.lower()}"
        path.write_bytes(data(label, kind))
        (page,) = open_pages(path)
        assert page.image.shape == (1200, 800) and page.lines == [] and page.pictured
        assert abs(float(page.image.mean()) - np.asarray(label).mean()) < 2


def test_clear_ground_is_white_and_frames_are_pages(tmp_path: Path) -> None:
    glass = PIL.Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    glass.save(tmp_path / "a.png")
    (page,) = open_pages(tmp_path / "a.png")
    assert (page.image == 255).all()
    PIL.Image.new("L", (40, 30), 10).save(
        tmp_path / "a.tiff", save_all=True, append_images=[PIL.Image.new("L", (50, 30), 200)], dpi=(203, 203)
    )
    first, second = open_pages(tmp_path / "a.tiff")
    assert (first.image.mean(), second.image.mean()) == (10, 200)
    assert first.dots_per_mm == pytest.approx(203 / 25.4)
    deep = np.full((30, 40), 30_000, np.uint16)
    PIL.Image.fromarray(deep).save(tmp_path / "deep.png")
    (page,) = open_pages(tmp_path / "deep.png")
    assert abs(int(page.image[0, 0]) - 117) <= 1


def test_what_is_held_in_memory_is_read_as_from_a_file(tmp_path: Path) -> None:
    made = pdf([GOOD, BAD], tmp_path / "a.pdf", title="label of 张三")
    label = tmp_path / "a.png"
    label.write_bytes(data(picture(GOOD), "PNG"))
    for path in (made, label):
        pages = list(open_pages(path.read_bytes()))
        assert len(pages) == count_pages(path.read_bytes()) == count_pages(path)
        for one, other in zip(pages, open_pages(path), strict=True):
            assert (one.image == other.image).all() and one.lines == other.lines
        assert metadata(path.read_bytes()) == metadata(path)
    for wrong in (b"", b"neither", b"%PDF-1.7 nothing"):
        with pytest.raises(InputError, match="this picture"):
            list(open_pages(wrong))


def test_what_a_pdf_says_of_itself(tmp_path: Path) -> None:
    path = pdf([GOOD], tmp_path / "a.pdf", title="label of 张三", author="desk 3")
    found = metadata(path)
    assert found["Title"] == "label of 张三" and found["Author"] == "desk 3"
    document = pypdfium2.PdfDocument(path)
    attachment = document.new_attachment("orders 13812345678.csv")
    attachment.set_data("张三,13812345678".encode())
    document.save(tmp_path / "b.pdf")
    document.close()
    found = metadata(tmp_path / "b.pdf")
    assert found["attachment"] == "张三,13812345678" and found["attachment's name"] == "orders 13812345678.csv"
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><dc:title>13812345678</dc:title></x:xmpmeta>"
    (tmp_path / "c.pdf").write_bytes(path.read_bytes() + b"\n%" + packet + b"\n")
    assert metadata(tmp_path / "c.pdf")["XMP"] == "adobe:ns:meta/\n13812345678"
    squeezed = zlib.compress(packet)
    (tmp_path / "d.pdf").write_bytes(
        path.read_bytes()
        + b"\n9 0 obj <</Filter/FlateDecode /Type /Metadata>> stream\n"
        + squeezed
        + b"\nendstream endobj\n"
    )
    assert "13812345678" in metadata(tmp_path / "d.pdf")["XMP"]


def test_comments_links_and_form_fields_are_read(tmp_path: Path) -> None:
    from reportlab.pdfgen import canvas

    sheet = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(283, 425))
    sheet.drawString(10, 400, "label")
    sheet.linkURL("https://x.example/?tel=13812345678", (10, 10, 50, 50))
    sheet.textAnnotation("call 13987654321", (60, 60, 90, 90))
    sheet.acroForm.textfield(name="to", value="13700001111", x=10, y=100, width=100, height=20)
    sheet.bookmarkPage("x")
    sheet.addOutlineEntry("13655556666", "x")
    sheet.save()
    said = "\n".join(metadata(tmp_path / "a.pdf").values())
    assert all(number in said for number in ("13812345678", "13987654321", "13700001111", "13655556666"))


def test_what_a_picture_says_of_itself(tmp_path: Path) -> None:
    texts = PIL.PngImagePlugin.PngInfo()
    texts.add_text("Comment", "call 13812345678")
    texts.add_itxt("Title", "张三", zip=True)
    picture(GOOD).save(tmp_path / "a.png", pnginfo=texts)
    found = metadata(tmp_path / "a.png")
    assert found["Comment"] == "call 13812345678" and found["Title"] == "张三"
    exif = PIL.Image.Exif()
    exif[0x010E] = "ring 13812345678"
    exif[0x9C9C] = "张三".encode("utf-16-le")
    picture(GOOD).save(tmp_path / "a.jpg", exif=exif, comment=b"note 1")
    found = metadata(tmp_path / "a.jpg")
    assert found["EXIF ImageDescription"] == "ring 13812345678" and found["EXIF XPComment"].startswith("张三")
    assert found["comment"] == "note 1"


def header(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and holds nothing."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return start + struct.pack(">I", 50) + b"IDAT" + b"\0" * 60


def broken_files() -> dict[str, bytes]:
    from reportlab.lib import pdfencrypt
    from reportlab.pdfgen import canvas

    buffer = io.BytesIO()
    locked = canvas.Canvas(buffer, encrypt=pdfencrypt.StandardEncryption("secret", strength=128))
    locked.drawString(10, 10, "x")
    locked.save()
    large = io.BytesIO()
    sheet = canvas.Canvas(large, pagesize=(14_000, 14_000))
    sheet.drawString(10, 10, "x")
    sheet.save()
    whole = data(picture(GOOD), "PNG")
    return {
        "is empty": b"",
        "encrypted": buffer.getvalue(),
        "damaged PDF": b"%PDF-1.7\nnothing",
        "too large": large.getvalue(),
        "no PDF and no picture": b"waybill_no,name\n1,x\n",
        "damaged picture": whole[: len(whole) // 2],
        "too many pixels": header(9_000, 9_000),
        "has too many": header(11_000, 11_000),
        "pixels": header(900_000, 900_000),
    }


@pytest.mark.parametrize(("what", "content"), broken_files().items(), ids=list(broken_files()))
def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path, what: str, content: bytes) -> None:
    path = tmp_path / "label.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what) as caught:
        list(open_pages(path))
    assert caught.value.hint and "\n" not in str(caught.value)


def test_a_folder_and_a_missing_file_are_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        list(open_pages(tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        list(open_pages(tmp_path / "none.pdf"))


def test_large_pages_are_drawn_smaller_but_never_below_203_dpi(tmp_path: Path) -> None:
    from reportlab.pdfgen import canvas

    sheet = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(1900, 1900))
    sheet.drawString(10, 10, "x")
    sheet.save()
    (page,) = open_pages(tmp_path / "a.pdf")
    assert page.image.size <= MOST_PIXELS * 1.01 and page.dots_per_mm is not None
    assert 203 <= page.dots_per_mm * 25.4 < 300


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=300),
        st.tuples(st.sampled_from([0, 1, 2]), st.binary(min_size=1, max_size=8), st.floats(0, 1)),
    )
)
def test_bytes_and_damage_raise_nothing_but_our_errors(
    tmp_path: Path, damage: bytes | tuple[int, bytes, float]
) -> None:
    path = tmp_path / "x.bin"
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        kind, noise, where = damage
        content = bytearray(SOUND[kind])
        at = int(where * (len(content) - len(noise)))
        content[at : at + len(noise)] = noise
        path.write_bytes(bytes(content))
    try:
        list(open_pages(path))
        metadata(path)
    except ParcelveilError:
        pass


def _small_pdf() -> bytes:
    document = pypdfium2.PdfDocument.new()
    document.new_page(100, 100)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


SOUND = [data(PIL.Image.new("L", (60, 40), 99), "PNG"), data(PIL.Image.new("L", (60, 40), 99), "JPEG"), _small_pdf()]
