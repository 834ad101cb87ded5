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


def test_examples() -> None:
    assert doctest.testmod(allowed).failed == 0


def test_every_mask_that_sealing_makes_is_allowed() -> None:
    day = next(parcels(5000, seed=41))
    for side in ("from", "to"):
        for kind, shown in (("name", allowed.name), ("phone", allowed.phone), ("address", allowed.road)):
            masks = mask_column(day[f"{side}_{kind}"], kind).drop_null().unique().to_pylist()
            assert masks
            assert [mask for mask in masks if shown(mask) is None] == []


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
