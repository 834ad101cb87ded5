"""Splitting one-string addresses: hand-made strings (real divisions, invented details) and properties."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.intake.address import FIELDS, _Memo, _memo, split_addresses, split_known
from parcelveil.intake.divisions import divisions

_LISTS = Path(__file__).with_name("addresses.txt").read_text(encoding="utf-8")
TUNING, HELD_OUT = re.sub(r"^#.*\n", "", _LISTS, flags=re.MULTILINE).split("\nHELD OUT\n")


def _cases(block: str) -> list[tuple[str, list[str | None], str]]:
    cases = []
    for line in block.strip("\n").splitlines():
        text, area, rest = line.split(" | ")
        cases.append((text, [None if part == "-" else part for part in area.split("/")], rest))
    return cases


def _wrong(block: str) -> list[tuple[str, list[str | None], list[str | None]]]:
    cases = _cases(block)
    parts = split_addresses(pa.array([text for text, _, _ in cases])).to_pylist()
    wrong = []
    for (text, area, rest), part in zip(cases, parts, strict=True):
        got = [part[name] for name in ("region", "city", "district", "town", "address")]
        if got != [*area, rest]:
            wrong.append((text, [*area, rest], got))
    return wrong


def test_tuning_list() -> None:
    assert _wrong(TUNING) == []


def test_held_out_list() -> None:
    assert len(_wrong(HELD_OUT)) <= 0.03 * len(_cases(HELD_OUT))


def _one(text: str | None) -> dict[str, str | None]:
    row: dict[str, str | None] = split_addresses(pa.array([text], pa.string()))[0].as_py()
    return row


@pytest.mark.parametrize("block", [TUNING, HELD_OUT], ids=["tuning", "held-out"])
def test_the_code_is_that_of_the_names(block: str) -> None:
    texts = pa.array([text for text, _, _ in _cases(block)])
    for part in split_addresses(texts).to_pylist():
        if part["region"] is None:
            assert part["adcode"] is None
            assert part["country"] is None
            continue
        named = [part[level] for level in ("region", "city", "district", "town") if part[level]]
        path = [division.name for division in divisions().path(part["adcode"]) if division.name]
        assert path == named
        assert part["country"] == "CN"


@pytest.mark.parametrize(
    ("text", "adcode"),
    [
        ("上海市青浦区徐泾镇徐民路18弄", "310118106"),
        ("上海市青浦区徐民路18弄", "310118"),
        ("杭州市文民路18号", "330100"),
        ("浙江省文民路18号", "330000"),
        ("东莞市文民路18号", "441900"),
        ("河南省济源市文民路18号", "419001"),
        ("香港特别行政区", "810000"),
    ],
)
def test_the_code_has_the_deepest_level(text: str, adcode: str) -> None:
    assert _one(text)["adcode"] == adcode


def test_nothing_in_nothing_out() -> None:
    parts = split_addresses(pa.array([None, "", "  　", "上海市"], pa.string()))
    assert [field.name for field in parts.type] == list(FIELDS)
    assert parts.to_pylist()[:3] == [dict.fromkeys(FIELDS)] * 3
    assert parts[3].as_py()["region"] == "上海市"
    assert parts[3].as_py()["address"] is None
    assert len(split_addresses(pa.array([], pa.string()))) == 0


def test_a_postcode_in_front_is_kept_apart() -> None:
    assert _one("200000上海市青浦区徐民路1号")["postcode"] == "200000"
    assert _one("200000 1号库")["address"] == "200000 1号库"
    assert _one("2000001上海市")["address"] == "2000001上海市"


def test_a_placeholder_never_comes_out() -> None:
    for text in (
        "北京市市辖区朝阳区建国路1号",
        "重庆市县云阳县1号",
        "海南省省直辖县级行政区划琼海市1号",
        "石家庄市市辖区1号",
    ):
        values = set(_one(text).values())
        assert not values & {"市辖区", "县", "省直辖县级行政区划"}
        assert _one(text)["address"] in {"建国路1号", "1号"}


def test_roads_named_after_places_stay_roads() -> None:
    places = [divisions().at(level, row).short for level in (0, 1) for row in range(30)]
    for short in places:
        for tail in ("路1号", "东路1号", "中路1号", "大道1号", "街1号", "大学1号", "北一路1号", "新村1号", " 路1号"):
            assert _one(short + tail) == dict.fromkeys(FIELDS) | {"address": short + tail}


def test_slices_and_repeats() -> None:
    texts = ["上海市青浦区徐泾镇徐民路18弄3号", None, "杭州西湖区文民路5号"] * 5
    parts = split_addresses(pa.array(texts).slice(4, 7)).to_pylist()
    assert [part["city"] for part in parts] == [None if t is None else _one(t)["city"] for t in texts[4:11]]


# --- properties -----------------------------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    re.findall(
        r"[ \x00\x1f\u200b\u3000]|[^| \n]+",
        """上海|上海市|北京|北京市|浙江|浙江省|杭州|杭州市|西湖区|西湖|青浦|青浦区|徐泾镇|徐泾|
        吉林|吉林省|吉林市|海南|\x00|\x1f|\u200b|\u3000|
        中山|中山市|朝阳|朝阳区|重庆市|县|市辖区|广东省|东莞市|长安镇|济南|市中区|路|东路|街道|大道|文民路|8号|200000|
        中国|        大学|市|区|济源|恩施|恩施州|香港|九龙|/|，|(|)|【|】|-|𠮷|é| """,
    )
)
_TEXTS = st.one_of(st.text(max_size=40), st.lists(_PIECES, max_size=12).map("".join))
_DROPPED = re.compile(
    r"[^\w]|_|市辖区|中国|中华人民共和国|(?:省|自治区)直辖(?:县级行政(?:区划|单位)|行政单位|县)?|直辖县(?:级行政(?:区划|单位))?"
)


@settings(deadline=None, max_examples=400)
@given(st.lists(_TEXTS, max_size=8))
def test_any_text_splits_and_loses_nothing(texts: list[str]) -> None:
    for text, part in zip(texts, split_addresses(pa.array(texts, pa.string())).to_pylist(), strict=True):
        assert (part["address"] or "") in text
        text = text.strip("".join(map(chr, range(0x21))) + "\x7f\xa0\u3000\ufeff\u200b")  # noqa: PLW2901
        if part["region"] is None:
            assert part["address"] == (text or None)
            continue
        before = text[: len(text) - len(part["address"] or "")].rstrip() if part["address"] else text
        kept = _DROPPED.sub("", "".join(v or "" for k, v in part.items() if k not in ("country", "adcode")))
        # What went before the address is made of known names, their short forms, and what may be dropped.
        assert set(_DROPPED.sub("", before)) <= set(kept) | set("省州市区县臺灣澳門特別行政區")


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(_PIECES, min_size=1, max_size=10).map("".join), min_size=1, max_size=12))
def test_what_was_read_before_changes_nothing(texts: list[str]) -> None:
    memo = _Memo()
    for text in texts:
        assert memo.read(text) == _Memo().read(text)


@settings(deadline=None, max_examples=200)
@given(_TEXTS)
def test_splitting_the_joined_parts_gives_the_same_place(text: str) -> None:
    part = _one(text)
    if part["region"] and part["address"] and not re.match(r"[市区县州省]|\W", part["address"]):
        names = [part[level] for level in ("region", "city", "district", "town") if part[level]]
        again = _one(" ".join([*names, "文民里"]))
        assert again["adcode"] == part["adcode"]


def test_hostile_texts_end_soon() -> None:
    texts = [
        "上海" * 100_000,
        "上海市" * 100_000,
        " " * 300_000,
        "吉林 " * 50_000,
        "\x1f" * 100_000,
        "(" * 100_000,
        "上海市" + " " * 200_000,
    ]
    parts = split_addresses(pa.array(texts)).to_pylist()
    assert parts[6]["region"] == "上海市"
    assert parts[2]["address"] is None
    assert all(len(known) <= 64 for known in _memo().readings)


# --- columns of their own -------------------------------------------------------------------------------------------


def _known(*columns: str | None) -> dict[str, str | None]:
    row: dict[str, str | None] = split_known(*(pa.array([c], pa.string()) for c in columns))[0].as_py()
    return row


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (
            ("浙江省", "杭州市", "西湖区", None, "文民路1号"),
            ("浙江省", "杭州市", "西湖区", None, "330106", "文民路1号"),
        ),
        (("浙江", "杭州", "西湖", None, "文民路1号"), ("浙江省", "杭州市", "西湖区", None, "330106", "文民路1号")),
        (("上海", "市辖区", "青浦区", "徐泾镇", "1号"), ("上海市", "上海市", "青浦区", "徐泾镇", "310118106", "1号")),
        ((None, None, "青浦区", None, "徐泾镇1号"), ("上海市", "上海市", "青浦区", "徐泾镇", "310118106", "1号")),
        (("河南省", "直辖县", "济源市", None, "1号"), ("河南省", "济源市", None, None, "419001", "1号")),
        (("北京", "北京", "朝阳", None, "北路1号"), ("北京市", "北京市", "朝阳区", None, "110105", "北路1号")),
        (("浙江省", "杭州市", "其它区", None, "1号"), ("浙江省", "杭州市", "其它区", None, "330100", "1号")),
        (("上海市", "南京市", None, None, "1号"), ("上海市", "南京市", None, None, None, "1号")),
        (
            ("California", "Springfield", None, None, "Elm St 1"),
            ("California", "Springfield", None, None, None, "Elm St 1"),
        ),
        ((None, None, None, None, "上海市青浦区1号"), ("上海市", "上海市", "青浦区", None, "310118", "1号")),
        ((None, None, None, None, None), (None, None, None, None, None, None)),
    ],
)
def test_known_columns(given_: tuple[str | None, ...], expected: tuple[str | None, ...]) -> None:
    part = _known(*given_)
    assert tuple(part[k] for k in ("region", "city", "district", "town", "adcode", "address")) == expected


@settings(deadline=None, max_examples=200)
@given(st.lists(st.none() | _TEXTS, min_size=5, max_size=5))
def test_known_columns_never_lose_a_text(columns: list[str | None]) -> None:
    part = _known(*columns)
    whole = Counter("".join(v or "" for v in part.values()))
    assert set(part) == set(FIELDS)
    for column in columns[:4]:
        if column and not part["adcode"]:
            assert not Counter(re.sub(r"[\W_]|市辖区", "", column)) - whole


def test_every_town_is_found_by_its_names() -> None:
    gazetteer = divisions()
    # Not the forest bureaus, prisons and companies that the statistics office counts among the towns.
    ends = ("街道", "镇", "乡")
    rows = [row for row in range(0, len(gazetteer.towns.codes), 37) if gazetteer.towns.names[row].endswith(ends)]
    texts, codes = [], []
    for row in rows:
        code = str(gazetteer.towns.codes[row])
        names = [division.name for division in gazetteer.path(code)]
        texts.append("".join(names) + "文民里8号")
        codes.append(code)
    got = split_addresses(pa.array(texts)).field("adcode").to_pylist()
    assert sum(a == b for a, b in zip(got, codes, strict=True)) >= 0.999 * len(codes)
