"""Phone numbers: one spelling for each, nothing lost, nothing changed twice."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.intake.phone import DIGITS_LOST, is_e164, normalise_phones


def _one(text: str | None, country: str = "CN") -> tuple[str | None, str | None]:
    column = normalise_phones(pa.array([text], pa.string()), country)
    return column.values[0].as_py(), column.problems[0].as_py()


@pytest.mark.parametrize(
    "text",
    [
        "13812345678",
        "+8613812345678",
        "8613812345678",
        "008613812345678",
        "86-13812345678",
        "+86-138-1234-5678",
        "86 138 1234 5678",
        "138 1234 5678",
        "138-1234-5678",
        "138.1234.5678",
        "1381 234 5678",
        "'13812345678",
        "’13812345678",
        "１３８１２３４５６７８",
        "８６－１３８１２３４５６７８",
        "\u202a13812345678\u202c",
        "138\u200b1234\u200b5678",
        "138\u00a01234\u00a05678",
        " \t13812345678\r\n",
        "\ufeff13812345678\x00",
        "(86)13812345678",
        "tel:13812345678",
        "Tel: +86 138 1234 5678",
        "手机：13812345678",
        "13812345678.0",
        "13812345678.00",
        "1.3812345678E10",
        "1.3812345678E+10",
    ],
)
def test_spellings_of_a_mobile(text: str) -> None:
    assert _one(text) == ("+8613812345678", None)


@pytest.mark.parametrize(
    "text",
    [
        "17012345678转1234",
        "17012345678 转 1234",
        "17012345678转接1234",
        "17012345678-1234",
        "17012345678－1234",
        "+8617012345678-1234",
        "170 1234 5678-1234",
        "17012345678 ext. 1234",
        "17012345678ext1234",
        "17012345678 EXT:1234",
        "17012345678x1234",
        "17012345678分机1234",
        "17012345678分机号：1234",
        "17012345678,1234",
        "17012345678，1234",
        "17012345678#1234",
        "+8617012345678;ext=1234",
    ],
)
def test_spellings_of_an_extension(text: str) -> None:
    assert _one(text) == ("+8617012345678;ext=1234", None)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("(021) 6123-4567", "+862161234567"),
        ("021-61234567", "+862161234567"),
        ("02161234567", "+862161234567"),
        ("86-21-61234567", "+862161234567"),
        ("+86 (0)21 61234567", "+862161234567"),
        ("tel:+86-21-61234567", "+862161234567"),
        ("021-61234567-8012", "+862161234567;ext=8012"),
        ("021-61234567转8012", "+862161234567;ext=8012"),
        ("021-6123 4567转801", "+862161234567;ext=801"),
        ("0755 8888 8888", "+8675588888888"),
        ("4001234567", "+864001234567"),
        ("400-123-4567", "+864001234567"),
        ("400-123-4567转5", "+864001234567;ext=5"),
        ("800-820-8820", "+868008208820"),
        ("95338", "95338"),
        ("95 338", "95338"),
        ("96128", "96128"),
        ("10086", "10086"),
        ("12306", "12306"),
        ("110", "110"),
        ("+1 202-555-0123", "+12025550123"),
        ("+44 20 7946 0958", "+442079460958"),
        ("+852 2345 6789", "+85223456789"),
    ],
)
def test_other_numbers(text: str, normal: str) -> None:
    assert _one(text) == (normal, None)


@pytest.mark.parametrize(
    "text",
    [
        "13800000000/021-61234567",
        "13800000000 13900000000",
        "13800000000,13900000000",
        "13800000000,61234567",
        "13800000000、13900000000",
        "0531-8888888/9",
        "0531-8888888-9",
        "138****1234",
        "无",
        "放门口",
        "1-800-FLOWERS",
        "61234567",
        "138123456789",
        "call 13812345678 after six",
        "1" * 5000,
        "+" * 300,
        "𠮷",
        "\u202e\u202d1\x00x",
    ],
)
def test_what_is_no_single_number_stays(text: str) -> None:
    value, problem = _one("  " + text + "\n")
    assert value == text.lstrip("\u202e\u202d")
    assert problem is None


@pytest.mark.parametrize("text", ["1.38E+10", "1.38123E10", "1.381234567e+10", "1E10", "8.61E+12", "1.3812345678E99"])
def test_lost_digits_are_a_problem(text: str) -> None:
    assert _one(text) == (text, DIGITS_LOST)


@pytest.mark.parametrize("text", [None, "", "  ", "\u3000\u200b", "\x00"])
def test_blank_is_null(text: str | None) -> None:
    assert _one(text) == (None, None)


def test_the_country_decides_about_bare_numbers() -> None:
    assert _one("(202) 555-0123", "US") == ("+12025550123", None)
    assert _one("13105551234", "US") == ("+13105551234", None)
    assert _one("13812345678", "GB")[0] == "13812345678"
    assert _one("+86 138 1234 5678", "us")[0] == "+8613812345678"
    assert _one("95338", "DE")[0] == "95338"
    assert _one("13812345678", "ZZ")[0] == "13812345678"


def test_rows_keep_their_places() -> None:
    texts = ["13812345678", None, "无", "+8613912345678", "1.38E+10", "", "021-61234567", "无"]
    column = normalise_phones(pa.array(["x", *texts]).slice(1))
    assert column.values.to_pylist() == [
        "+8613812345678",
        None,
        "无",
        "+8613912345678",
        "1.38E+10",
        None,
        "+862161234567",
        "无",
    ]
    assert column.problems.to_pylist() == [None, None, None, None, DIGITS_LOST, None, None, None]
    assert column.values.type == column.problems.type == pa.string()


def test_empty_and_all_null_columns() -> None:
    assert len(normalise_phones(pa.array([], pa.string())).values) == 0
    assert normalise_phones(pa.nulls(3, pa.string())).values.null_count == 3


def test_is_e164() -> None:
    values = pa.array(["+8613812345678", "13812345678", "+8617012345678;ext=1", "95338", None, "+0123456789", "无"])
    assert is_e164(values).to_pylist() == [True, False, False, False, None, False, False]


_DIGITS = st.text("0123456789", min_size=1, max_size=14)
_CELLS = st.one_of(
    st.none(),
    st.text(max_size=24),
    st.text("0123456789 +-()./,#x转ext;=E*'\u200b\u202a８－", max_size=24),
    st.builds(
        "{}{}".format, st.sampled_from(["", "+86", "0086", "86-", "021", "0755-", "400", "+1", "95", "+44"]), _DIGITS
    ),
    st.builds("1{}{}{}".format, st.integers(3_000_000_000, 9_999_999_999), st.sampled_from("转-x,#"), _DIGITS),
)


@settings(deadline=None, max_examples=500)
@given(st.lists(_CELLS, max_size=12), st.sampled_from(["CN", "US", "HK", "ZZ"]))
def test_twice_is_once(cells: list[str | None], country: str) -> None:
    once = normalise_phones(pa.array(cells, pa.string()), country)
    twice = normalise_phones(once.values, country)
    assert twice.values.to_pylist() == once.values.to_pylist()
    assert twice.problems.to_pylist() == once.problems.to_pylist()


@settings(deadline=None, max_examples=100)
@given(st.lists(_CELLS, max_size=8))
def test_each_row_is_normalised_by_itself(cells: list[str | None]) -> None:
    column = normalise_phones(pa.array(cells, pa.string()))
    assert list(zip(column.values.to_pylist(), column.problems.to_pylist(), strict=True)) == [_one(c) for c in cells]
    for cell, value in zip(cells, column.values.to_pylist(), strict=True):
        assert (value is None) == (not _stripped(cell))


def _stripped(cell: str | None) -> str:
    """What is left of a cell after all that normalising may cut off at its edges."""
    kept = normalise_phones(pa.array([f"无{cell or ''}无"])).values[0].as_py()[1:-1]
    edges = [c for c in set(kept) if _one(c)[0] is None]
    return str(kept).strip("".join(edges))
