"""Layouts are data; what is wrong with one is said in one line."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from parcelveil.errors import InputError, UsageError
from parcelveil.label import layout as module
from parcelveil.label.layout import FIELDS, FOLDER, filled, load, names, parts_of

TEXT = (FOLDER / "100x150.toml").read_text("utf-8")


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
        ("margin_mm = 2", "margin_mm = 2\nmargins = 3", "unknown field"),
        ('{ show = "barcode", size_pt = [11, 9] }', '{ show = "barcode", lines = ["x"] }', "has no lines"),
        ('{ show = "mark", width_mm = 8.5 }', '{ show = "mark", width_mm = 8.5 }, { show = "logo" }', "no logo is named"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_layout(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert old in TEXT
    path = tmp_path / "ours.toml"
    path.write_text(TEXT.replace(old, new, 1), "utf-8")
    with pytest.raises(InputError, match=r"ours\.toml is no layout") as told:
        load(str(path))
    assert why in str(told.value)


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
