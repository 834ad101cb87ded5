"""Evidence of names of columns, and verdicts over counts."""

from __future__ import annotations

import doctest
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.scan import columns, delimited, headers
from parcelveil.scan.columns import (
    MOST_DISTINCT,
    OTHERS,
    OWN,
    SILENT,
    ColumnCount,
    HeaderWords,
    header_kinds,
    wilson,
)
from parcelveil.scan.rules import Rule, builtin, rules_of

KINDS = {
    "phone.mobile": [
        "phone",
        "mobile",
        "tel",
        "cell",
        "phonenumber",
        "手机",
        "手机号",
        "电话",
        "联系电话",
        "shoujihao",
    ],
    "phone.landline": ["landline", "座机", "电话"],
    "person.name": ["name", "fullname", "姓名", "收件人", "寄件人", "联系人", "receiver", "consignee"],
    "address.cn": ["address", "addr", "地址", "收货地址", "住址"],
    "id.resident": ["idcard", "idno", "身份证", "身份证号", "证件号", "证件号码"],
    "id.passport": ["passport", "护照", "证件号"],
    "net.email": ["email", "mail", "邮箱", "电子邮箱"],
    "net.ip": ["ip", "ipaddress", "clientip"],
    "parcel.waybill": ["waybill", "waybillno", "trackingnumber", "运单号", "快递单号"],
    "order.id": ["orderid", "orderno", "订单号", "订单编号"],
}
RULES = [Rule(kind, kind, kind, columns=words) for kind, words in KINDS.items()]
WORDS = HeaderWords(RULES)


def own(name: str) -> set[str]:
    return {rule.kind for rule, told in zip(RULES, WORDS.kinds(name), strict=True) if told == OWN}


@pytest.mark.parametrize("module", [columns, delimited, headers])
def test_examples(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("phone", "phone.mobile"),
        ("Phone", "phone.mobile"),
        ("ＰＨＯＮＥ", "phone.mobile"),
        ("to_phone", "phone.mobile"),
        ("receiverPhone", "phone.mobile"),
        ("receiver.phone", "phone.mobile"),
        ("RECEIVER-PHONE-NUMBER", "phone.mobile"),
        ("phones", "phone.mobile"),
        ("phone1", "phone.mobile"),
        ("phone_2", "phone.mobile"),
        ("receiverphone", "phone.mobile"),
        ("shouJiHao", "phone.mobile"),
        ("收件人电话", "phone.mobile phone.landline"),
        ("寄件人手机号", "phone.mobile"),
        ("手机号（收件人）", "phone.mobile"),
        ("*收件人手机（必填）", "phone.mobile"),
        ("联系人手机", "phone.mobile"),
        ("收件人tel", "phone.mobile"),
        ("收件人", "person.name"),
        ("收件人姓名", "person.name"),
        ("（收件人）", "person.name"),
        ("to_name", "person.name"),
        ("电话联系人", "person.name"),
        ("姓名/电话", "person.name phone.mobile phone.landline"),
        ("姓名、地址", "person.name address.cn"),
        ("收货地址", "address.cn"),
        ("shipping_address", "address.cn"),
        ("home address 1", "address.cn"),
        ("ship_address", "address.cn"),
        ("ip_address", "net.ip"),
        ("IP地址", "net.ip"),
        ("email address", "net.email"),
        ("邮箱地址", "net.email"),
        ("证件号码", "id.resident"),
        ("证件号", "id.resident id.passport"),
        ("user_id_card", "id.resident"),
        ("客户订单号", "order.id"),
        ("order_id", "order.id"),
        ("快递单号", "parcel.waybill"),
    ],
)
def test_names_speak_for_rules(name: str, kinds: str) -> None:
    assert own(name) == set(kinds.split())


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "_", "hotel", "model", "description", "zip", "recipe", "company_name", "公司名称", "商品名称", "file name", "city_name",
        "fileName", "mac address", "url_address", "链接地址", "phone_type", "phoneVerified", "is_phone", "手机品牌", "是否有电话",
        "email_count", "地址类型", "phone_hash", "has_email", "状态", "x" * 5000, "🙂", "\x00", "12345",
    ],
)  # fmt: skip
def test_names_that_say_nothing(name: str) -> None:
    assert own(name) == set()
    assert not WORDS.kinds(name).any()


def test_other_rules_are_spoken_against_but_for_kin() -> None:
    told = dict(zip(KINDS, WORDS.kinds("手机").tolist(), strict=True))
    assert told["phone.mobile"] == OWN
    assert told["phone.landline"] == SILENT
    assert {told[kind] for kind in KINDS if not kind.startswith("phone")} == {OTHERS}
    told = dict(zip(KINDS, WORDS.kinds("email").tolist(), strict=True))
    assert told["net.ip"] == OTHERS


def test_one_name_is_looked_up_as_many_are() -> None:
    assert header_kinds("收件人电话", RULES).tolist() == WORDS.kinds("收件人电话").tolist()
    assert header_kinds("phone", []).tolist() == []
    with pytest.raises(ValueError, match="read-only"):
        WORDS.kinds("phone")[0] = 0


@given(st.text(max_size=60))
def test_any_name_is_taken(name: str) -> None:
    told = WORDS.kinds(name)
    assert told.dtype == np.uint8
    assert len(told) == len(RULES)
    assert set(told.tolist()) <= {SILENT, OWN, OTHERS}


@given(
    st.sampled_from([word for words in KINDS.values() for word in words]),
    st.sampled_from(["", "to_", "收件人", "old-"]),
)
def test_every_word_of_a_rule_speaks_for_it_with_and_without_a_prefix(word: str, prefix: str) -> None:
    meant = {kind for kind, words in KINDS.items() if word in words}
    assert own(prefix + word) & meant or (prefix == "收件人" and word.isascii() and len(own(prefix + word)))


def test_every_word_of_the_rules_that_come_with_the_package_is_understood() -> None:
    rules = rules_of(builtin())
    words = HeaderWords(rules)
    for index, rule in enumerate(rules):
        for word in rule.columns:
            assert words.kinds(word)[index] == OWN, (rule.kind, word)


# ---- counting


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    for hits, trials, lower, upper in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert wilson(hits, trials) == pytest.approx((lower, upper), abs=6e-5)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_interval_holds_the_share(hits: int, more: int) -> None:
    lower, upper = wilson(hits, hits + more)
    assert 0 <= lower <= upper <= 1
    if hits + more:
        assert lower <= hits / (hits + more) + 1e-12
        assert upper >= hits / (hits + more) - 1e-12


def prints(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(2**64 - 1, size=count, dtype=np.uint64)


def test_distinct_values_are_counted_exactly_and_then_nearly() -> None:
    count = ColumnCount("c")
    count.add_cells(200_000)
    for _ in range(3):
        count.add("k", np.arange(MOST_DISTINCT), prints(MOST_DISTINCT))
    assert count.verdicts()[0].distinct == MOST_DISTINCT
    for part in range(40):
        count.add("k", np.arange(4000) + 4000 * part, prints(4000, part + 1))
    assert count.verdicts()[0].distinct == pytest.approx(164_096, rel=0.04)


def test_verdicts() -> None:
    count = ColumnCount("phone")
    assert count.text() == ""
    assert count.verdicts() == []
    count.add_cells(100, empty=50)
    count.add("phone.mobile", np.arange(98), prints(98))
    count.add("phone.landline", np.array([98]), prints(1, 9))
    count.add("net.ip", np.zeros(0, dtype=np.int64), prints(0))
    assert count.text() == "phone.mobile (98 %)"
    mobile, landline = count.verdicts()
    assert (mobile.kind, mobile.cells, mobile.distinct, mobile.of_the_column) == ("phone.mobile", 98, 98, True)
    assert not landline.of_the_column
    assert count.cells == 150


def test_a_column_that_holds_only_some_says_how_many() -> None:
    count = ColumnCount("note")
    count.add_cells(10_000)
    count.add("phone.mobile", np.arange(0, 3000, 10), prints(300))
    count.add("net.email", np.arange(5), prints(5, 1))
    assert count.text() == "phone.mobile (3 %), net.email (<1 %)"
    assert count.text(most=1) == "phone.mobile (3 %)"


def test_almost_all_is_not_told_as_all() -> None:
    count = ColumnCount("c")
    count.add_cells(1000)
    count.add("a", np.arange(999), prints(999))
    assert count.text() == "a (99 %)"


def test_several_findings_in_one_cell_count_once_also_over_two_calls() -> None:
    count = ColumnCount("both")
    count.add_cells(4)
    count.add("phone.mobile", np.array([1, 1, 2]), prints(3))
    count.add("phone.mobile", np.array([2, 3]), prints(2, 1))
    assert count.verdicts()[0].cells == 3
    assert count.verdicts()[0].distinct == 5


def test_counts_of_parts_add_up() -> None:
    whole, left, right = ColumnCount("c"), ColumnCount("c"), ColumnCount("c")
    whole.add_cells(200, 3)
    whole.add("k", np.arange(150), prints(150))
    left.add_cells(100, 3)
    left.add("k", np.arange(100), prints(150)[:100])
    right.add_cells(100)
    right.add("k", np.arange(50), prints(150)[100:])
    left.merge(right)
    assert left.verdicts() == whole.verdicts()
    assert (left.filled, left.cells) == (whole.filled, whole.cells)
    assert pickle.loads(pickle.dumps(left)).verdicts() == whole.verdicts()


@pytest.mark.parametrize(
    ("share", "rows", "decided"),
    [(0.0, 1000, False), (0.0, 2000, True), (0.98, 2000, True), (0.5, 2000, False), (0.03, 2000, True)],
)
def test_a_column_is_decided_when_more_rows_would_not_change_it(share: float, rows: int, decided: bool) -> None:
    count = ColumnCount("c")
    count.add_cells(rows)
    hits = int(share * rows)
    count.add("k", np.arange(hits), prints(hits))
    assert count.decided is decided


def test_deciding_early_is_seldom_wrong() -> None:
    random, wrong = np.random.default_rng(7), 0
    for trial in range(200):
        truth = 0.44 if trial % 2 else 0.56
        count = ColumnCount("c")
        for batch in range(100):
            cells = np.flatnonzero(random.random(200) < truth)
            count.add_cells(200)
            count.add("k", cells + 200 * batch, random.integers(2**63, size=len(cells), dtype=np.uint64))
            if count.decided:
                break
        verdict = count.verdicts()[0]
        wrong += (verdict.share >= 0.5) != (truth >= 0.5)
    assert wrong <= 2
