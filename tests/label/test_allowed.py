"""What may stand on a label: only that."""

from __future__ import annotations

import doctest
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.intake.divisions import divisions
from parcelveil.label import allowed
from parcelveil.seal.mask import mask_column
from parcelveil.simulate.parcels import parcels
from seal.test_mask_handwritten import ADDRESSES


def test_examples() -> None:
    assert doctest.testmod(allowed).failed == 0


def test_every_mask_that_sealing_makes_is_allowed() -> None:
    day = next(parcels(5000, seed=41))
    for side in ("from", "to"):
        for kind, shown in (("name", allowed.name), ("phone", allowed.phone)):
            masks = mask_column(day[f"{side}_{kind}"], kind).drop_null().unique().to_pylist()
            assert masks
            assert [mask for mask in masks if shown(mask) is None] == []
        masks = mask_column(day[f"{side}_address"], "address").drop_null().to_pylist()
        assert [mask for mask, printed in allowed.roads(masks).items() if printed is None] == []


@given(st.text(max_size=30))
def test_masks_of_any_text_are_allowed_and_show_little(text: str) -> None:
    for kind, shown in (("name", allowed.name), ("phone", allowed.phone), ("address", allowed.road)):
        (mask,) = mask_column(pa.array([text], pa.string()), kind).to_pylist()
        printed = shown(mask)
        assert printed is not None, (kind, mask)
        if kind != "address":
            assert sum(char.isdigit() for char in printed) <= 5
        else:
            assert not re.search(r"[0-9]", printed)


@pytest.mark.parametrize(
    "text",
    [
        "李雷",
        "李雷*",
        "王小明**",
        "J Doe**",
        "1**",
        "*",
        "138****5678",
        "李**1",
        "",
        "**李",
        "李** 13800000000",
        "李**\n",
    ],
)
def test_no_mask_of_a_name(text: str) -> None:
    assert allowed.name(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "13800000000",
        "138****5678",
        "138*****678",
        "1380******78",
        "+861380******",
        "138******78-1234",
        "138******78转1234",
        "",
        "138",
    ],
)
def test_no_mask_of_a_phone(text: str) -> None:
    assert allowed.phone(text) is None


@pytest.mark.parametrize(
    "text", ["新建路18号", "新建路18号3幢**", "幸福小区**", "新建路**3幢", "** 4 Main St **x", "新建路"]
)
def test_no_mask_of_an_address(text: str) -> None:
    assert allowed.road(text) is None


def test_the_road_number_is_taken_off_and_a_hidden_address_is_nothing() -> None:
    assert allowed.road("新建路18号**") == "新建路**"
    assert allowed.road("**") == ""


def test_every_place_of_the_gazetteer_is_allowed() -> None:
    levels = divisions()
    for level in (levels.provinces, levels.cities, levels.districts, levels.towns):
        assert [name for name in level.names.tolist() if name and allowed.area(name) != name] == []


@pytest.mark.parametrize(
    "text",
    [
        "西湖区13800000000",
        "北山街道3幢",
        "幸福小区二单元501室",
        "新建路十八号",
        "a" * 65,
        "x@y.cn",
        "三号楼",
        "Berlin 10115",
        "",
    ],
)
def test_no_area(text: str) -> None:
    assert allowed.area(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "13800000000",
        "138-0000-0000",
        "+8613800000000",
        "A13800000000",
        "11010519491231002X",
        "a" * 25,
        "x\n",
        "李雷 13800000000",
        "",
    ],
)
def test_no_code(text: str) -> None:
    assert allowed.code(text) is None


@pytest.mark.parametrize(
    "text", ["13800000000", "11010519491231002X", "YT 1", "YT*1234", "a" * 40, "运单1234567", "-YT1"]
)
def test_no_waybill_number(text: str) -> None:
    assert allowed.waybill_no(text) is None


@pytest.mark.parametrize(
    "text", ["YT8613800000000", "1380000000001", "RR473124829GB", "773-100-200", "110105194912310021"]
)
def test_waybill_numbers_may_look_like_something_by_chance(text: str) -> None:
    assert allowed.waybill_no(text) == text


def test_handwritten_addresses_keep_their_masks() -> None:
    masks = mask_column(pa.array([address for address, _ in ADDRESSES]), "address").to_pylist()
    assert [mask for mask, shown in allowed.roads(masks).items() if shown is None] == []


@pytest.mark.parametrize(
    "text",
    [
        *("1380 000 0000", "138/1234/5678", "138_1234_5678", "138-123-45678", "1 3 8 1 2 3 4 5 6 7 8", "008613812345678"),
        *("013812345678", "0 1381 234 5678", "0571-88886666", "010-88886666", "110105 491231 002", "110105-19491231-002X"),
        *("张伟丰", "避孕套", "李雷 310", "一三八一二三四五六七八", "１３８１２３４５６７８", "R05 13812345678", "晋13812345678"),
    ],
)  # fmt: skip
def test_t4_no_public_code_carries_a_person(text: str) -> None:
    """Phones however grouped and written, ids, and Chinese words that are no places."""
    assert [shown(text) for shown in (allowed.code, allowed.sort_code, allowed.outlet)] == [None] * 3


@pytest.mark.parametrize(
    "text",
    [
        "138-1234-5678",
        "008613812345678",
        "013812345678",
        "86-13812345678",
        "110105-19491231-002X",
        "0571-88886666",
        "1-3812345678",
    ],
)
def test_no_waybill_number_is_a_phone_or_an_id(text: str) -> None:
    assert allowed.waybill_no(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "310-A12 003 05",
        "310-A12(003)",
        "杭州·西湖 A12",
        "浙B12-03 #5",
        "310 — A12",
        "*310-A12*",
        "151-003 004 05",
        "杭州转 A1",
        "1",
    ],
)
def test_honest_sort_codes(text: str) -> None:
    assert allowed.sort_code(text) == text


@pytest.mark.parametrize("text", ["32130201", "659007100-R30", "杭州西湖营业部", "310-A12", "上海市分拨中心", "R05#2"])
def test_honest_outlets_and_routes(text: str) -> None:
    assert allowed.outlet(text) == text


@pytest.mark.parametrize(
    "text", ["李雷", "王小明家", "阳光小区", "大客户李总", "一三八一二三四五六七八", "张三 李四", "西湖区李雷"]
)
def test_t4_what_is_no_place_is_no_area(text: str) -> None:
    assert allowed.area(text) is None


@pytest.mark.parametrize(
    "text", ["一二〇团", "兵团第128团", "杭州", "西湖区", "杭州经济技术开发区", "延边朝鲜族自治州", "三栋镇"]
)
def test_places_of_china(text: str) -> None:
    assert allowed.area(text) == text


@pytest.mark.parametrize(
    "text,country",
    [
        ("Paris 15e", "FR"),
        ("São Paulo/SP", "BR"),
        ("St. John's & Area", "CA"),
        ("港区", "JP"),
        ("Αθήνα", "GR"),
        ("Łódź", "PL"),
        ("Hangzhou", "CN"),
    ],
)
def test_places_abroad(text: str, country: str) -> None:
    assert allowed.area(text, country) == text


@pytest.mark.parametrize(
    "text", ["القاهرة", "תל אביב", "Apartment B", "Unit C", "Berlin 10115", "八一二三区", "A" * 65, "13812345678"]
)
def test_no_places_abroad(text: str) -> None:
    assert allowed.area(text, "EG") is None


@pytest.mark.parametrize(
    "mask",
    [
        "李雷住阳光小区王家路**",
        "一三八一二三四五六七八路**",
        "John Smith **",
        "张三 李四 **",
        "ab@qq路**",
        "王小明中山路**",
        "13812345678路**",
    ],
)
def test_t4_no_mask_of_an_address_carries_a_person(mask: str) -> None:
    assert allowed.road(mask) is None


@pytest.mark.parametrize("mask", ["李雷**", "王小**", "AB**"])
def test_no_mask_shows_two_letters_but_of_a_compound_surname(mask: str) -> None:
    assert allowed.name(mask) is None
    assert allowed.name("欧阳**") == "欧阳**"


def test_a_letter_from_right_to_left_is_hidden() -> None:
    assert allowed.name("ש**") == "**"
    assert allowed.name("م**") == allowed.name("ﷺ**") == "**"
