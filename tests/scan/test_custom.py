"""Rules of one's own: patterns of the house, expressions of RE2, and values that only their column makes one."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import InputError
from parcelveil.scan.custom import CustomRules
from parcelveil.scan.engine import Scanner
from parcelveil.scan.key import ScanKey
from parcelveil.scan.rules import Custom, Family, Rule, Weights, load

KEY = ScanKey(bytes(32), lasting=True)
CONTRACT = Custom(kind="acme.contract", regex=r"HT-20\d{2}-\d{6}", confidence=0.8)
HAN = Custom(kind="acme.badge", regex=r"工号[甲乙丙]\d{4}")


def found(families: list[Family], data: bytes, block: int = 1 << 22) -> list[tuple[str, bytes, float]]:
    batch = Scanner(families, KEY, names=False, block=block).scan_bytes(data)
    return [(r["kind"], data[r["start"] : r["end"]], round(r["confidence"], 2)) for r in batch.to_pylist()]


def test_an_expression_of_ones_own_is_found_with_its_confidence() -> None:
    data = "合同HT-2026-000123号，再见HT-2026-12; 工号乙0042\n".encode()
    assert found([Family("acme", custom=[CONTRACT, HAN])], data) == [
        ("acme.contract", b"HT-2026-000123", 0.8),
        ("acme.badge", "工号乙0042".encode(), 0.9),
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(["HT-2026-000123", "工号甲1234", "HT-", "\n", "字", " ", "\x0e", "\x0f", "x" * 900]),
        max_size=30,
    )
)
def test_blocks_make_no_difference_to_expressions(pieces: list[str]) -> None:
    data = ("".join(pieces) * 3).encode()
    rules = CustomRules([CONTRACT, HAN])
    array = np.frombuffer(data, np.uint8)
    whole = rules.in_text(array, 0, len(array), 0)
    cut = len(array) // 3
    parts = [rules.in_text(array, 0, cut, 0), rules.in_text(array, cut, len(array), 0)]
    joined = sorted((s, e) for part in parts for s, e in zip(part.start.tolist(), part.end.tolist(), strict=True))
    assert sorted(zip(whole.start.tolist(), whole.end.tolist(), strict=True)) == joined
    expected = sorted(m.span() for m in __import__("re").finditer(rb"HT-20\d{2}-\d{6}", data))
    own = [
        (s, e) for s, e, r in zip(whole.start.tolist(), whole.end.tolist(), whole.rule.tolist(), strict=True) if r == 0
    ]
    assert sorted(own) == expected


def test_expressions_in_cells_do_not_reach_over() -> None:
    batch = pa.RecordBatch.from_pydict({"a": ["HT-2026-000123", "HT-2026-", "000124", None, "x HT-2027-000001"]})
    got = Scanner([Family("acme", custom=[CONTRACT])], KEY, names=False).scan_batch(batch).to_pylist()
    assert [(r["row"], r["start"], r["end"]) for r in got] == [(1, 0, 14), (5, 2, 16)]


@pytest.mark.parametrize("regex", ["(?=x)", "a*", "[", r"(\d)\1"])
def test_what_is_no_expression_is_refused_without_a_trace(regex: str) -> None:
    with pytest.raises(InputError):
        CustomRules([Custom(kind="acme.x", regex=regex)])


@pytest.mark.parametrize("pattern", ["a*", "a+", "x{2,1}", "(a", "a)", "[^a]", "a?", r"\w", "a" * 200, "(?=a)", "."])
def test_a_pattern_that_has_no_bound_is_refused(pattern: str) -> None:
    with pytest.raises(InputError):
        Scanner([Family("acme", rule=[Rule("acme.x", "x", "x", patterns=[pattern])])], KEY, names=False)


def test_a_column_makes_a_value_of_what_has_no_shape() -> None:
    rule = Rule(
        "acme.member", "member", "会员", patterns=["member no [A-Z]{9}"], cell=r"[A-Z]{3,5}", columns=["会员号", "memberno"],
        weights=Weights(base=-1, column=3),
    )  # fmt: skip
    families = [Family("acme", rule=[rule])]
    scanner = Scanner(families, KEY, names=False)
    batch = pa.RecordBatch.from_pydict({"member_no": ["ABC", "abc", "ABCDEF", "XYZW"], "other": ["ABC"] * 4})
    assert [(r["row"], r["column"], r["reason"]) for r in scanner.scan_batch(batch).to_pylist()] == [
        (1, "member_no", "shape; column:member"),
        (4, "member_no", "shape; column:member"),
    ]
    text = '会员号,城市\nABC,上海\nABCDEF,北京\n"XYZ",广州\n'.encode()
    assert [text[r["start"] : r["end"]] for r in scanner.scan_bytes(text, format="csv").to_pylist()] == [b"ABC", b"XYZ"]


def test_a_rules_file_is_loaded_and_a_wrong_one_names_what_is_wrong(tmp_path: object) -> None:
    path = tmp_path / "acme.toml"  # type: ignore[operator]
    path.write_text('family = "acme"\n[[custom]]\nkind = "acme.c"\nregex = "C-[0-9]{5}"\n', "utf-8")
    assert found([load(path)], b"see C-12345.")[0][:2] == ("acme.c", b"C-12345")
    path.write_text('family = "acme"\n[[rule]]\nkind = "acme.c"\npattern = "x"\n', "utf-8")
    with pytest.raises(InputError, match="pattern"):
        load(path)


def test_hostile_text_is_linear_for_expressions() -> None:
    rng = random.Random(1)
    data = bytes(rng.choice(b"aH-T2\xe5\xff") for _ in range(200_000))
    rules = CustomRules([Custom(kind="acme.x", regex="(a|aa)+b"), CONTRACT])
    spans = rules.in_text(np.frombuffer(data, np.uint8), 0, len(data), 0)
    assert len(spans.start) < 1000
