"""The gazetteer: complete, consistent, quick to load, and named as people name places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parcelveil.intake import divisions as module
from parcelveil.intake.divisions import CITY, DISTRICT, PROVINCE, TOWN, divisions, place_names, short_name


def test_sizes() -> None:
    gazetteer = divisions()
    assert [len(level.codes) for level in gazetteer.levels] == [34, 369, 2978, 41352]
    assert divisions() is gazetteer


def test_the_data_file_is_small_and_its_licence_lies_beside_it() -> None:
    folder = Path(module.__file__).parent
    assert (folder / "divisions.tsv.xz").stat().st_size <= 350_000
    assert "PUBLIC LICENSE" in (folder / "DIVISIONS-LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("level", [PROVINCE, CITY, DISTRICT, TOWN])
def test_arrays_are_parallel_sorted_and_in_range(level: int) -> None:
    gazetteer = divisions()
    codes, names, parents = gazetteer.levels[level]
    assert len(codes) == len(names) == len(parents)
    assert len(np.unique(codes)) == len(codes)
    if level == PROVINCE:
        assert (parents == -1).all()
        return
    assert (np.diff(parents) >= 0).all()
    assert parents.min() >= 0
    assert parents.max() < len(gazetteer.levels[level - 1].codes)


def test_codes_begin_with_those_of_their_parents() -> None:
    gazetteer = divisions()
    provinces, cities, districts, towns = gazetteer.levels
    assert (cities.codes // 10_000 == provinces.codes[cities.parents] // 10_000).all()
    assert (districts.codes // 10_000 == cities.codes[districts.parents] // 10_000).all()
    assert (towns.codes // 1000 == districts.codes[towns.parents]).all()


def test_no_placeholder_and_no_odd_characters() -> None:
    gazetteer = divisions()
    for level in gazetteer.levels:
        for name in level.names:
            assert name not in {"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"}
            assert name == name.strip()
            assert "\t" not in name
            assert "\x00" not in name


def test_nameless_districts_carry_the_code_of_their_city_or_stand_alone() -> None:
    gazetteer = divisions()
    nameless = np.flatnonzero(gazetteer.districts.names == "")
    cities = {str(gazetteer.cities.names[gazetteer.districts.parents[row]]) for row in nameless}
    assert {"东莞市", "中山市", "儋州市", "嘉峪关市", "济源市", "仙桃市", "石河子市"} <= cities
    for row in nameless:
        assert len(gazetteer.child_rows(CITY, int(gazetteer.districts.parents[row]))) == 1


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("11", ["北京市"]),
        ("110000", ["北京市"]),
        ("110100", ["北京市", "北京市"]),
        ("3301", ["浙江省", "杭州市"]),
        ("310118", ["上海市", "上海市", "青浦区"]),
        ("310118106", ["上海市", "上海市", "青浦区", "徐泾镇"]),
        ("310118106000", ["上海市", "上海市", "青浦区", "徐泾镇"]),
        ("310118000000", ["上海市", "上海市", "青浦区"]),
        ("441900", ["广东省", "东莞市"]),
        ("419001", ["河南省", "济源市"]),
        ("500235", ["重庆市", "重庆市", "云阳县"]),
        ("710000", ["台湾省"]),
        ("810000", ["香港特别行政区"]),
        ("820000", ["澳门特别行政区"]),
        ("999999", []),
        ("1", []),
        ("", []),
        ("٣١٠١١٨", []),
        ("-10118", []),
        ("3" * 5000, []),
    ],
)
def test_paths(code: str, names: list[str]) -> None:
    assert [division.name for division in divisions().path(code)] == names


def test_children() -> None:
    gazetteer = divisions()
    assert len(gazetteer.children("310100")) == 16
    assert [d.name for d in gazetteer.children("110000")] == ["北京市"]
    assert "长安镇" in {d.name for d in gazetteer.children("441900")}
    assert "徐泾镇" in {d.name for d in gazetteer.children("310118")}
    assert gazetteer.children("310118106") == []
    assert gazetteer.children("810000") == []
    assert gazetteer.children("xx") == []


@pytest.mark.parametrize(
    ("name", "level", "short"),
    [
        ("北京市", PROVINCE, "北京"),
        ("黑龙江省", PROVINCE, "黑龙江"),
        ("内蒙古自治区", PROVINCE, "内蒙古"),
        ("广西壮族自治区", PROVINCE, "广西"),
        ("新疆维吾尔自治区", PROVINCE, "新疆"),
        ("宁夏回族自治区", PROVINCE, "宁夏"),
        ("西藏自治区", PROVINCE, "西藏"),
        ("香港特别行政区", PROVINCE, "香港"),
        ("恩施土家族苗族自治州", CITY, "恩施"),
        ("巴音郭楞蒙古自治州", CITY, "巴音郭楞"),
        ("大兴安岭地区", CITY, "大兴安岭"),
        ("锡林郭勒盟", CITY, "锡林郭勒"),
        ("浦东新区", DISTRICT, "浦东"),
        ("鄂温克族自治旗", DISTRICT, "鄂温克"),
        ("东乡族自治县", DISTRICT, "东乡"),
        ("双江拉祜族佤族布朗族傣族自治县", DISTRICT, "双江"),
        ("龙胜各族自治县", DISTRICT, "龙胜"),
        ("青县", DISTRICT, "青县"),
        ("城区", DISTRICT, "城区"),
        ("徐泾镇", TOWN, "徐泾"),
        ("夏阳街道", TOWN, "夏阳"),
        ("乌镇", TOWN, "乌镇"),
    ],
)
def test_short_names(name: str, level: int, short: str) -> None:
    assert short_name(name, level) == short


def test_short_names_have_two_characters_and_begin_the_name() -> None:
    gazetteer = divisions()
    for level in (PROVINCE, CITY, DISTRICT, TOWN):
        for name in gazetteer.levels[level].names:
            if name:
                short = short_name(name, level)
                assert len(short) >= 2
                assert name.startswith(short)


def test_names_shared_by_places_of_one_level_are_left_out() -> None:
    def knows(name: str, below: str | None = None) -> bool:
        names = place_names()
        tree = names.places(names.names.index(below) if below else -1)
        for character in name:
            tree = tree.get(character, {})
        return "" in tree

    assert knows("青浦区")
    assert not knows("鼓楼区")
    assert knows("鼓楼区", below="南京市")
    assert not knows("鼓楼区", below="江苏省")
    assert not knows("青浦区", below="江苏省")
