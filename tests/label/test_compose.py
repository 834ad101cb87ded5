"""Labels composed: everything has its place, or there is no label."""

from __future__ import annotations

import unicodedata
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
import pytest

from label.made import FONT, ODD, USUAL, clear_batch, contents, job, pages, sealed_batch
from parcelveil.intake.divisions import divisions
from parcelveil.label.compose import DOTS, POINT, QUIET, Page, Press
from parcelveil.label.content import Content
from parcelveil.label.font import BUNDLED, FontSet, rare_typefaces, read_typeface
from parcelveil.label.layout import FOLDER, load, names
from parcelveil.label.problems import Problem

SIZES = [(name, dpi) for name in names() for dpi in DOTS]


@pytest.mark.parametrize("layout,dpi", SIZES)
@pytest.mark.parametrize("kind", ODD)
def test_odd_parcels_fit_every_layout(layout: str, dpi: int, kind: str) -> None:
    press, (page,) = pages([ODD[kind]], layout, dpi)
    width, height, margin = press.layout.width_mm, press.layout.height_mm, press.layout.margin_mm
    boxes = [(line.x, line.y, line.x + line.width, line.y + line.size * POINT) for line in page.lines]
    boxes += [(box.x, box.y, box.x + box.width, box.y + box.height) for box in (symbol.box for symbol in page.symbols)]
    for left, top, right, bottom in boxes:
        assert left >= margin - 1e-6 and top >= margin - 1e-6, "in the margin"
        assert right <= width - margin + 1e-6 and bottom <= height - margin + 1e-6, "in the margin"
    for (a, b, c, d), (e, f, g, h) in combinations(boxes, 2):
        assert c <= e + 1e-6 or g <= a + 1e-6 or d <= f + 1e-6 or h <= b + 1e-6, "two things on one place"


@pytest.mark.parametrize("layout,dpi", SIZES)
def test_codes_are_whole_dots_and_wide_enough(layout: str, dpi: int) -> None:
    _, (page,) = pages([{}], layout, dpi)
    assert sorted(symbol.kind for symbol in page.symbols) == ["barcode", "mark", "qr"]
    for symbol in page.symbols:
        for length in (symbol.module, symbol.x, symbol.y):
            dots = length * DOTS[dpi]
            assert abs(dots - round(dots)) < 1e-6
        assert symbol.module >= (0.375 if dpi == 203 else 0.338)
        assert symbol.box.width >= (symbol.bits.shape[-1] + 2 * QUIET[symbol.kind]) * symbol.module - 1e-9


@pytest.mark.parametrize("layout", names())
def test_the_sort_code_is_the_largest(layout: str) -> None:
    for kind in ODD.values():
        _, (page,) = pages([kind], layout)
        code = str({**USUAL, **kind}["sort_code"])
        shown = [line for line in page.lines if line.text in code]
        assert max(page.lines, key=lambda line: line.size) in shown


@pytest.mark.parametrize("layout", names())
def test_every_area_of_the_gazetteer_fits(layout: str) -> None:
    """The longest hundred of the 41,000 towns' full paths, with the longest road that a mask shows."""
    levels = divisions()
    paths = []
    for code in levels.towns.codes.tolist():
        path = [place.name for place in levels.path(str(code))]
        paths.append(list(dict.fromkeys(path)))
    paths.sort(key=lambda path: -sum(map(len, path)))
    rows = [
        {
            **dict(zip(("to_region", "to_city", "to_district", "to_town"), [*path, "", "", ""], strict=False)),
            "to_address": "火车站东西南路1108号A座",
        }
        for path in paths[:100]
    ]
    _, made = pages(rows, layout)
    assert len(made) == 100


def test_the_longest_address_of_the_facts_file_fits() -> None:
    """36 characters at the 99th percentile, and roads, places and rooms as long as they were seen; masked, all fit."""
    long = "火车站东西南路3600号" + "幸" * 12 + "福" * 12 + "A12栋3单元2201室"
    assert len(long) >= 36
    for layout in names():
        for address in (long, "幸" * 60, long * 3):
            pages([{"to_address": address, "from_address": address}], layout)


def problem(row: dict[str, object], layout: str = "100x180") -> Problem:
    run = job(layout)
    (content,) = contents(sealed_batch(clear_batch([row])), run)
    assert isinstance(content, Content), content
    found = Press(run.layout, FONT).page(content, run.mark)
    assert isinstance(found, Problem)
    return found


def test_no_glyph_no_label() -> None:
    assert problem({"to_name": "김철수"}) == Problem("glyph.missing", "U+AE40")
    assert problem({"to_city": "กรุงเทพ"}).code == "glyph.missing"


def test_rare_characters_come_from_the_whole_typefaces() -> None:
    font = FontSet()
    assert font.families == ["Parcelveil Sans SC"]
    assert font.missing("ŁódźČeskáŐrségŞişliΑθήναКиївЂорђеҚазақ") == ""
    assert font.families == ["Parcelveil Sans SC", "Noto Sans"]
    assert font.missing("䶮㛃𬭎𪩘堃喆䒟犇㼆") == ""
    assert font.families == ["Parcelveil Sans SC", "Noto Sans", "Noto Sans SC"]


def test_no_accent_is_set_apart_from_its_letter() -> None:
    """A typeface that has z and an accent, but no ź, must not be asked before one that has ź: see it on the page."""
    faces = [read_typeface(path).advances for path in (BUNDLED, *rare_typefaces())]
    for char in map(chr, [*range(0xC0, 0x250), *range(0x370, 0x530), *range(0x1E00, 0x2000)]):
        parts = unicodedata.normalize("NFD", char)
        first = next((place for place, face in enumerate(faces) if char in face), None)
        apart = next((place for place, face in enumerate(faces) if len(parts) > 1 and set(parts) <= face.keys()), None)
        assert first is None or apart is None or first <= apart, char


def test_what_is_too_long_gets_no_label(tmp_path: Path) -> None:
    narrow = (
        (FOLDER / "76x130.toml")
        .read_text("utf-8")
        .replace("height_mm = 28", "height_mm = 10")
        .replace("height_mm = 26", "height_mm = 44")
    )
    (tmp_path / "narrow.toml").write_text(narrow, "utf-8")
    row = {
        f"to_{level}": letter * 24
        for level, letter in zip(("region", "city", "district", "town"), "天地玄黄", strict=True)
    } | {"to_country": "JP"}
    assert problem(row, str(tmp_path / "narrow.toml")) == Problem("text.long", "to_name")


def test_a_bar_code_that_is_too_wide_gets_no_label() -> None:
    assert problem({"waybill_no": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}, "76x130") == Problem("code.wide")
    pages([{"waybill_no": "ABCDEFGHIJKLMNOPQR"}], "100x150")


def test_a_label_says_what_it_has_to_and_nothing_more() -> None:
    _, (page,) = pages([{}])
    assert [line.text for line in page.lines] == [
        "JT 标准", "代收 128.00 CNY", "310-A12 003 05", "JT4620160723335", "收", "卜** 164******31", "浙江省 杭州市 西湖区 北山街道", "新建路**",
        "寄", "纪** 163******72", "广东省 深圳市 南山区", "科技路**", "品类 服装鞋帽", "重量 1.25 kg", "件数 1", "线路 R05", "签收", "时间",
        "打印 2026-11-24 09:30", "序号 P2-261124093000-00001", "快递员扫码联系",
    ]  # fmt: skip


def test_codes_say_number_token_and_station() -> None:
    _, (page,) = pages([{}])
    said = {symbol.kind: symbol.text for symbol in page.symbols}
    assert said == {"barcode": "JT4620160723335", "qr": page.content.token, "mark": "SP2"}
    assert all(isinstance(symbol.bits, np.ndarray) for symbol in page.symbols)


def test_one_long_word_makes_nothing_else_small() -> None:
    _, (page,) = pages([ODD["latin"]], "76x130")
    (name,) = [line for line in page.lines if line.text.startswith("C**")]
    assert name.size >= 9
    assert any(line.text.startswith("Llanfairpwll") for line in page.lines)


@pytest.mark.parametrize("city", ["القاهرة", "תל אביב", "دبي"])
def test_what_is_written_from_right_to_left_is_hidden(city: str) -> None:
    _, (page,) = pages(
        [
            {
                "to_city": city,
                "to_region": "",
                "to_district": "",
                "to_town": "",
                "to_country": "EG",
                "to_name": "محمد علي",
            }
        ]
    )
    assert [line.text for line in page.lines if "EG" in line.text] == ["**, EG"]
    assert any(line.text.startswith("** ") for line in page.lines)


def test_two_languages() -> None:
    both = msgspec.structs.replace(load("100x150"), languages=("zh", "en"))
    run = job()._replace(layout=both)
    (content,) = contents(sealed_batch(clear_batch([{}])), run)
    assert isinstance(content, Content)
    page = Press(both, FONT).page(content, run.mark)
    assert isinstance(page, Page)
    shown = [line.text for line in page.lines]
    assert {"品类 Goods 服装鞋帽", "Clothing", "收", "TO", "寄", "FROM", "代收 COD 128.00 CNY"} <= set(shown)
