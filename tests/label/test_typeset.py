"""Typst gets text as data, never what it cannot set; a logo is shapes, or is refused by its own name."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import PIL.Image
import pytest

from label.made import FONT, pages
from parcelveil.cli.language import say
from parcelveil.errors import InputError
from parcelveil.label.compose import Press
from parcelveil.label.gate import Gate
from parcelveil.label.layout import FOLDER, load, turning
from parcelveil.label.raster import Raster
from parcelveil.label.typeset import Typesetter

HOSTILE = (
    "#eval(\"1\")", "#image(\"/etc/passwd\")", "*b* _i_ $x$ `c`", "= Title", "] } ) #panic()", "\\u{41} \\", "<label> @ref", "//no /*no*/", "https://a.b",
    "\"quoted\" 'and'", "--- ... -?", "%(bold)s {0}",
)  # fmt: skip


def test_no_value_is_markup() -> None:
    press, (page,) = pages([{}])
    lines = [
        line._replace(text=text, bold=bold)
        for bold in (False, True)
        for line, text in zip(page.lines, HOSTILE, strict=False)
    ]
    chunk = Typesetter(press).chunk([page._replace(lines=lines, symbols=[])])
    with Raster(chunk.alone()) as raster:
        _, layer = raster.page(0, 100, 180)
    for text in HOSTILE:
        assert "".join(layer.split()).count("".join(text.split())) == 2, text


@pytest.mark.parametrize(
    "text", ["שלום", "مرحبا", "a\u202eb", "a\u2066b", "a\u2069", "٣٤", "a\u202ab", "a\u202cb", "a\u2067b", "a\u2068b"]
)
def test_what_is_written_from_right_to_left_never_reaches_typst(text: str) -> None:
    """A panic of Typst's PDF writer ends the process and cannot be caught."""
    press, (page,) = pages([{}])
    assert turning(text)
    spoiled = page._replace(lines=[page.lines[0]._replace(text=f"收 {text}"), *page.lines[1:]])
    with pytest.raises(InputError, match="from right to left") as told:
        Typesetter(press).chunk([page, spoiled])
    assert text not in str(told.value) and say(told.value.hint) != ""


def test_other_texts_do_not_turn() -> None:
    assert not any(
        map(
            turning,
            ("", "310-A12 (003)", "浙江省 杭州市", "Москва, RU", "さくら", "Αθήνα", "卜** 138******78", "3/4 + 5%"),
        )
    )


def picture(width: int = 40, height: int = 30) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("1", (width, height), 0).save(buffer, "PNG")
    return buffer.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is so large."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def svg(body: str, root: str = 'viewBox="0 0 10 10"') -> bytes:
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"<svg {names} {root}>{body}</svg>".encode()


SHAPE = '<path d="M0 0h10v10z"/>'
DOCTYPE = b'<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">'


def press_with(tmp_path: Path, name: str, data: bytes) -> Press:
    (tmp_path / name).write_bytes(data)
    text = (FOLDER / "100x150.toml").read_text("utf-8")
    text = text.replace('languages = ["zh"]', f'languages = ["zh"]\nlogo = "{name}"')
    text = text.replace('    { show = "mark"', '    { show = "logo", width_mm = 12 },\n    { show = "mark"')
    (tmp_path / "ours.toml").write_text(text, "utf-8")
    return Press(load(str(tmp_path / "ours.toml")), FONT)


@pytest.mark.parametrize(
    "name,data",
    [
        ("good.png", picture()),
        ("good.svg", svg(SHAPE)),
        ("mark.svg", b"\xef\xbb\xbf" + svg(SHAPE)),
        ("type.svg", DOCTYPE + svg(SHAPE)),
        ("inside.svg", svg('<path id="a" d="M0 0h10v10z"/><use xlink:href="#a"/>')),
        ("paint.svg", svg('<linearGradient id="g"><stop stop-color="black"/></linearGradient><path fill="url(#g)" d="M0 0h10v10z"/>')),
        ("title.svg", svg(f"<title>ours</title><style>path {{ fill: black }}</style>{SHAPE}")),
    ],
)  # fmt: skip
def test_a_logo_is_drawn_in_its_place(tmp_path: Path, name: str, data: bytes) -> None:
    press = press_with(tmp_path, name, data)
    _, (page,) = pages([{}], tmp_path / "ours.toml")
    gate = Gate(press)
    (image,), problems = gate.check(Typesetter(press).chunk([page]), [page])
    assert problems == [None] and press.logo is not None
    box = [round(length * 8) for length in press.logo]
    assert (image[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] < 128).mean() > 0.2


@pytest.mark.parametrize(
    "name,data,why",
    [
        ("cut.png", picture()[:-20], "is broken"),
        ("head.png", picture()[:8], "is broken"),
        ("none.png", png_of(0, 0), "is broken"),
        ("huge.png", png_of(100_000, 100_000), "too many dots"),
        ("cut.svg", svg(SHAPE)[:-4], "is broken"),
        ("empty.svg", b"", "is broken"),
        ("other.svg", b"<html/>", "is broken"),
        ("flat.svg", svg(SHAPE, 'width="0" height="0"'), "is broken"),
        ("latin.svg", svg("<!-- x -->").replace(b"x", b"\xe9"), "is broken"),
        ("deep.svg", svg("<g>" * 50_000 + "</g>" * 50_000), "is broken"),
        ("large.svg", svg(SHAPE + " " * (2 << 20)), "is too large"),
        ("text.svg", svg("<g><text>OURS</text></g>"), "holds text"),
        ("plain.svg", svg("<text/>").replace(b' xmlns="http://www.w3.org/2000/svg"', b""), "holds text"),
        ("script.svg", svg("<script>1</script>"), "more than shapes (script)"),
        ("html.svg", svg("<foreignObject/>"), "more than shapes (foreignObject)"),
        ("event.svg", svg('<path onload="x()"/>'), "more than shapes (onload)"),
        ("entity.svg", b'<!DOCTYPE svg [<!ENTITY a "b">]>' + svg("&a;"), "more than shapes (ENTITY)"),
        ("far.svg", svg('<image href="http://127.0.0.1/a.png"/>'), "refers to another file"),
        ("near.svg", svg('<image xlink:href="../a.png"/>'), "refers to another file"),
        ("drive.svg", svg('<image href="file:///a.png"/>'), "refers to another file"),
        ("nested.svg", svg('<image href="data:image/svg+xml;base64,AAAA"/>'), "refers to another file"),
        ("use.svg", svg('<use href="a.svg#a"/>'), "refers to another file"),
        ("paint.svg", svg('<path fill="url(http://127.0.0.1/#a)"/>'), "refers to another file"),
        ("style.svg", svg("<style>@import 'a.css';</style>"), "refers to another file"),
        ("sheet.svg", b'<?xml-stylesheet href="a.css"?>' + svg(SHAPE), "refers to another file"),
        ("logo.gif", b"GIF89a", "neither PNG nor SVG"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_logo(
    tmp_path: Path, name: str, data: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    press = press_with(tmp_path, name, data)
    with pytest.raises(InputError) as told:
        Typesetter(press)
    assert str(told.value).startswith(f"the logo {name} ") and why in str(told.value)
    assert say(told.value.template) != told.value.template and say(told.value.hint_template) != told.value.hint_template


def test_a_logo_that_is_not_there(tmp_path: Path) -> None:
    press = press_with(tmp_path, "logo.svg", svg(SHAPE))
    (tmp_path / "logo.svg").unlink()
    with pytest.raises(InputError, match=r"the logo logo\.svg cannot be read"):
        Typesetter(press)
