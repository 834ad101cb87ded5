"""Layouts are data; what is wrong with one is said in one line."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import msgspec
import pytest

from label.made import FONT, clear_batch, contents, job, pages, sealed_batch, token
from parcelveil.cli.language import say
from parcelveil.errors import InputError, UsageError
from parcelveil.label import allowed, codes, compose
from parcelveil.label import layout as module
from parcelveil.label.compose import Page, Press
from parcelveil.label.content import Content
from parcelveil.label.layout import FIELDS, FOLDER, filled, load, names, parts_of

TWO_LOGOS = '{ show = "logo" }, { show = "space" }'
TEXT = (FOLDER / "100x150.toml").read_text("utf-8")
#: The same with a table of each kind, a logo, and a cell with a word of its own.
FULL = TEXT.replace("{words.scan}", "{words.signs}").replace(
    'languages = ["zh"]', 'languages = ["zh"]\nlogo = "logo.svg"'
)
FULL = (
    FULL.replace('    { show = "mark"', f'    {TWO_LOGOS},\n    {{ show = "mark"')
    + """
[words]
signs = { zh = "票" }
[category]
[pay_type]
[product]
[zpl]
"""
)


def test_the_layout_that_is_spoiled_below_is_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(FULL, "utf-8")
    ours = load(str(tmp_path / "ours.toml"))
    assert ours.words["signs"] == {"zh": "票"} and ours.words["to"] == {"zh": "收", "en": "TO"}


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0


def test_the_three_sizes() -> None:
    assert {(one.width_mm, one.height_mm) for one in map(load, names())} == {(100, 180), (100, 150), (76, 130)}


def test_a_copy_of_a_layout_is_the_layout(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(TEXT, "utf-8")
    ours = load(str(tmp_path / "ours.toml"))
    assert ours.row == load("100x150").row


@pytest.mark.parametrize(
    "old,new,why",
    [
        ("height_mm = 150", "height_mm = 151", "rows and margins are 150 mm high together"),
        ('{ show = "qr", width_mm = 40, rule_left = true },', "", "one cell that shows qr"),
        ('{ show = "mark", width_mm = 8.5 },', "", "one cell that shows mark"),
        ("{to_name}", "{to_full_name}", "there is no field {to_full_name}"),
        ("{to_name}", "{to_name_clear}", "there is no field"),
        ("{words.to}", "{words.nonsense}", "there is no field"),
        ("{to_road}", "{to_road", "a brace that begins no field"),
        ("size_pt = [40, 18]", "size_pt = [12, 8]", "sort code has to be larger"),
        ("size_pt = [40, 18]", "size_pt = [18, 40]", "largest, smallest"),
        ("{sort_code}", "{waybill_no}", "only line is {sort_code}"),
        ("parcelveil.label.v1", "parcelveil.label.v2", "format is not"),
        ("width_mm = 100", "width_mm = -1", "width_mm"),
        ('show = "qr"', 'show = "qr2"', "Invalid enum value"),
        ("margin_mm = 2", "margin_mm = nan", "Expected `float`"),
        ("margin_mm = 2", "margin_mm = -5", "Expected `float`"),
        ("margin_mm = 2", "margin_mm = inf", "Expected `float`"),
        ("height_mm = 150", "height_mm = nan", "Expected `float`"),
        ("height_mm = 11", "height_mm = nan", "Expected `float`"),
        ("width_mm = 8.5", "width_mm = nan", "Expected `float`"),
        ("width_mm = 8.5", "width_mm = inf", "Expected `float`"),
        ("width = 0.8", "width = nan", "Expected `float`"),
        ("width = 0.8", "width = inf", "Expected `float`"),
        ("size_pt = [17, 10]", "size_pt = [17, nan]", "Expected `float`"),
        ("margin_mm = 2", "margin_mm = " + "9" * 400, "margin_mm"),
        ("width_mm = 11.5, bold", "width_mm = 97, bold", "row 4 are 97 mm wide together, and there are 96"),
        ("width_mm = 11.5, bold", "width_mm = 96, bold", "a cell of row 4 is 0 mm wide"),
        ("width_mm = 11.5, bold", "width_mm = 94, bold", "a cell of row 4 is 2 mm wide"),
        ('"qr", width_mm = 40', '"qr", width_mm = 12', "a cell of row 6 is 12 mm wide"),
        ('"mark", width_mm = 8.5', '"mark", width_mm = 4', "a cell of row 1 is 4 mm wide"),
        ("height_mm = 11\n", "height_mm = 5\n", "row 1 is too low"),
        ("height_mm = 24\n", "height_mm = 10\n", "row 3 is too low"),
        ("height_mm = 31\n", "height_mm = 9\n", "row 4 is too low"),
        ("width_mm = 100", "width_mm = 4", "no room"),
        ("size_pt = [11, 9]", "size_pt = [18, 9]", "sort code has to be larger"),
        ('"{words.signs}"', '"{words.signs} }"', "a brace that begins no field"),
        ("[zpl]", '[zpl]\nfont = ""', "the printer's font"),
        ("[zpl]", '[zpl]\nfont = "E:A^B.TTF"', "the printer's font"),
        ("[zpl]", '[zpl]\nfont = "0\\n"', "the printer's font"),
        ("[zpl]", '[zpl]\nfont = "E:ABCDEFGHIJKLMNOPQ"', "the printer's font"),
        ('logo = "logo.svg"', 'logo = "a\\u0000b.svg"', "the name of the logo"),
        ('name = "100x150"', 'name = "a\\u001bb"', "its name has characters"),
        ("signs = ", 'to = { zh = "{foo}" }\nsigns = ', "the word to has a brace"),
        ("signs = ", 'to = { zh = "{to_name}" }\nsigns = ', "the word to has a brace"),
        ("signs = ", 'to = { zh = "a}" }\nsigns = ', "the word to has a brace"),
        ("signs = ", 'to = { zh = "a\\tb" }\nsigns = ', "cannot be printed"),
        ("signs = ", 'to = { zh = "إلى" }\nsigns = ', "from right to left"),
        ("signs = ", 'to = { zh = "a\\u202eb" }\nsigns = ', "the word to has"),
        ("[pay_type]", '[pay_type]\ncash = { zh = "{to_road}" }', "the word cash has a brace"),
        ("[category]", '[category]\n"a\\u0000" = { zh = "{" }', "the word ? has a brace"),
        ("[product]", '[product]\nslow = { zh = "{" }', "the word slow has a brace"),
        ('"{words.signs}"', '"{words.signs} \\u0007"', "row 7 has characters"),
        ('"{words.signs}"', '"{words.signs} שלום"', "row 7 has characters"),
        (TWO_LOGOS, TWO_LOGOS.replace('"space"', '"logo"'), "more than one cell shows the logo"),
        ("margin_mm = 2", "margin_mm = 2\nmargins = 3", "unknown field"),
        ('{ show = "barcode", size_pt = [11, 9] }', '{ show = "barcode", lines = ["x"] }', "has no lines"),
        ('{ show = "mark", width_mm = 8.5 }', '{ show = "mark", width_mm = 8.5 }, { show = "logo" }', "no logo is named"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_layout(tmp_path: Path, old: str, new: str, why: str) -> None:
    text = FULL if old in FULL and "no logo" not in why else TEXT
    assert old in text
    spoiled = text.replace(old, new, 1)
    if "too low" in why:  # another row takes what this one loses
        lost = float(old.split()[-1]) - float(new.split()[-1])
        spoiled = spoiled.replace("height_mm = 34\n", f"height_mm = {34 + lost}\n")
    path = tmp_path / "ours.toml"
    path.write_text(spoiled, "utf-8")
    with pytest.raises(InputError, match=r"ours\.toml is no layout") as told:
        load(str(path))
    assert why in str(told.value)
    assert str(told.value).isprintable()


def test_what_is_wrong_is_said_in_chinese_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    (tmp_path / "ours.toml").write_text(TEXT.replace("height_mm = 150", "height_mm = 151"), "utf-8")
    with pytest.raises(InputError) as told:
        load(str(tmp_path / "ours.toml"))
    said = say(told.value.template).format(**told.value.values)
    assert said == "ours.toml 不是有效的版式：各行与页边距合计高 150 毫米，而面单高 151 毫米"
    for text in (*module.WRONG.values(), *FIELDS.values()):
        assert say(text) != text, text


def test_words_are_found_whatever_their_case(tmp_path: Path) -> None:
    more = '\n[category]\n"Pet Supplies" = { zh = "宠物用品" }\n"Großes" = { zh = "大件" }\n[pay_type]\nPREPAID = { zh = "已付" }\n'
    (tmp_path / "ours.toml").write_text(TEXT + more, "utf-8")
    ours = load(str(tmp_path / "ours.toml"))
    for written in ("pet supplies", "Pet Supplies", "PET SUPPLIES"):
        assert ours.word(ours.category, written) == "宠物用品"
    assert ours.word(ours.category, "großes") == ours.word(ours.category, "GROSSES") == "大件"
    assert ours.word(ours.pay_type, "prepaid") == "已付", "replaces ours"


def test_wide_blanks_in_words_are_blanks(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(TEXT + '\n[words]\nto = { zh = "收\u3000件" }\n', "utf-8")
    ours = load(str(tmp_path / "ours.toml"))
    (cell,) = [cell for cell in ours.cells if cell.lines == ("{words.to}",)]
    assert filled(parts_of(ours, cell), {}) == ["收 件"]


def test_deep_and_huge_files_are_no_layouts(tmp_path: Path) -> None:
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000, "utf-8")
    (tmp_path / "huge.toml").write_text("#" * (2 << 20), "utf-8")
    for name in ("deep", "huge"):
        with pytest.raises(InputError, match="layout"):
            load(str(tmp_path / f"{name}.toml"))


def test_padding_and_widths_are_those_of_composing() -> None:
    assert compose._SHORTEST_BAR == module._SHORTEST_BAR
    for name in names():
        layout = load(name)
        placed = iter(Press(layout, FONT)._cells)
        for row in layout.row:
            for width in module.widths_of(row, layout.width_mm - 2 * layout.margin_mm):
                assert next(placed)[1].width == pytest.approx(width)


def test_the_smallest_rooms_are_those_of_real_codes() -> None:
    widest = {"qr": codes.qr(token()), "mark": codes.data_matrix("S1"), "barcode": codes.code128("123456")}
    for kind, bits in widest.items():
        modules = bits.shape[-1] + 2 * compose.QUIET[kind]
        assert modules * 4 / compose.DOTS[300] == pytest.approx(module._SMALLEST[kind], rel=0.01)


@pytest.mark.parametrize("languages", [("zh",), ("en",), ("zh", "en"), ("en", "zh")])
@pytest.mark.parametrize("name", names())
def test_no_word_of_a_layout_is_broken(name: str, languages: tuple[str, ...]) -> None:
    own = msgspec.structs.replace(load(name), languages=languages)
    press, run = Press(own, FONT), job()._replace(layout=own)
    rows = [{"goods_category": key} for key in own.category] + [{"pay_type": key} for key in own.pay_type]
    rows += [{"product": key, "dest_outlet": "HZ310-02"} for key in own.product]
    for content in contents(sealed_batch(clear_batch(rows)), run):
        assert isinstance(content, Content)
        page = press.page(content, run.mark)
        assert isinstance(page, Page)
        whole = {
            word
            for cell in own.cells
            for text in filled(parts_of(own, cell), content.fields)
            for word in text.split()
        }  # fmt: skip
        shown = {word for line in page.lines for word in line.text.split()} - {content.waybill_no}
        assert shown <= whole, shown - whole


@pytest.mark.parametrize("name", names())
def test_the_mark_of_every_station_fits(name: str) -> None:
    """A mark is square: the wide form of Data Matrix, which some names of ten letters would take, has no room."""
    (content,) = contents(sealed_batch(clear_batch([{}])), job())
    assert isinstance(content, Content)
    for dpi in compose.DOTS:
        press = Press(load(name), FONT, dpi)
        for station in ("1", "310-A12-P2", "ABCDEFGHIJ", "A1-B2-C3-D", "A-B-C-D-E1", "0123456789"):
            for mark in (f"S{station[:length]}" for length in range(1, 11)):
                assert isinstance(press.page(content, mark), Page), mark


@pytest.mark.parametrize("languages", [("zh",), ("en",), ("zh", "en"), ("en", "zh")])
@pytest.mark.parametrize("name", names())
def test_the_longest_outlet_and_product_fit(name: str, languages: tuple[str, ...]) -> None:
    own = msgspec.structs.replace(load(name), languages=languages)
    press, run = Press(own, FONT), job()._replace(layout=own)
    rows = [{"product": word, "carrier": "YUNDA"} for word in (*own.product, "ABCDEFGHIJKLMNOPQRSTUVWX")]
    for content in contents(sealed_batch(clear_batch(rows)), run):
        assert isinstance(content, Content)
        for outlet in ("营" * allowed.LONGEST_SORT_CODE, "M" * allowed.LONGEST_SORT_CODE, "HZ-02"):
            longer = content._replace(fields={**content.fields, "dest_outlet": outlet})
            assert isinstance(press.page(longer, run.mark), Page), (outlet, content.fields["product"])


@pytest.mark.parametrize("name", names())
def test_the_upper_left_corner_is_not_blank_without_carrier_and_product(name: str) -> None:
    _, (page,) = pages([{"carrier": None, "product": None, "dest_outlet": "HZ310-02"}], name)
    assert page.lines[0].text == "HZ310-02"
    _, (page,) = pages([{"dest_outlet": "HZ310-02"}], name)
    assert page.lines[1].text == "HZ310-02" and page.lines[0].size == page.lines[1].size


def test_the_longest_numbers_are_those_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "labels.md").read_text("utf-8")
    rows = re.findall(r"^\| (76×130|100×150, 100×180) \| (203|300) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.M)
    assert len(rows) == 4
    (content,) = contents(sealed_batch(clear_batch([{}])), job())
    assert isinstance(content, Content)
    for sizes, dpi, *longest in rows:
        for size in sizes.replace("×", "x").split(", "):
            press = Press(load(size), FONT, int(dpi))
            numbers = ("1234567890" * 4, "YT" + "1234567890" * 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 2)
            for number, told in zip(numbers, map(int, longest), strict=True):
                fits = [
                    isinstance(press.page(content._replace(waybill_no=number[:n]), "S1"), Page) for n in range(3, 34)
                ]
                assert all(fits[: told - 2]), "all lengths up to it"
                assert told == 32 or not fits[told - 2]


def test_no_such_layout(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no layout 100x999"):
        load("100x999")
    with pytest.raises(InputError, match="cannot be read"):
        load(str(tmp_path / "none.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no layout"):
        load(str(tmp_path / "binary.toml"))


def test_no_layout_can_ask_for_a_clear_value() -> None:
    """The list of fields is closed, and none of it is a personal column, an id, the name of goods or a remark."""
    for name in (
        "to_name_full",
        "to_address",
        "from_address",
        "goods_name",
        "note",
        "sender_id_no",
        "to_email",
        "to_company",
        "order_ref",
    ):
        assert name not in FIELDS


def test_lines_without_values_are_left_out() -> None:
    layout = load("100x180")
    (cell,) = [cell for cell in layout.cells if "cod" in cell.fields]
    parts = parts_of(layout, cell)
    assert filled(parts, {"pay_type": "寄付", "cod": ""}) == ["寄付"]
    assert filled(parts, {"pay_type": "", "cod": "1.00 CNY"}) == ["代收 1.00 CNY"]


def test_a_line_of_hidden_codes_says_nothing_and_is_left_out() -> None:
    layout = load("100x180")
    (cell,) = [cell for cell in layout.cells if "dest_outlet" in cell.fields]
    parts = parts_of(layout, cell)
    assert filled(parts, {"carrier": "JT", "product": "**", "dest_outlet": "**"}) == ["JT **"]
    assert filled(parts, {"carrier": "**", "product": "", "dest_outlet": "HZ-02"}) == ["HZ-02"]
    road = parts_of(layout, module.Cell(lines=("{to_road}", "{words.route} {route_id}")))
    assert filled(road, {"to_road": "**", "route_id": "**"}) == ["**", "线路 **"], (
        "a mask, and what is named, are shown"
    )
