"""How the freight is paid: words, columns, and what is never kept."""

from __future__ import annotations

import doctest
import tomllib
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.errors import InputError
from parcelveil.intake import pay_type
from parcelveil.intake.headers import recognise
from parcelveil.intake.pay_type import pay_types
from parcelveil.intake.rows import Intake, Taken
from parcelveil.simulate import parcels
from parcelveil.waybill import PAY_TYPES, WAYBILL, RawBatch, kind_of


def take(batch: pa.RecordBatch, mapping: dict[str, object] | None = None) -> Taken:
    intake = Intake(recognise(batch.schema.names, mapping), "o.csv", schema=WAYBILL)
    return intake.take(RawBatch(batch, np.arange(2, 2 + batch.num_rows), []))


def export(header: str, *words: str | None) -> Taken:
    numbers = [f"YT{at:04}" for at in range(len(words))]
    return take(pa.record_batch({"运单号": numbers, header: pa.array(words, pa.string())}))


def codes(taken: Taken) -> list[str | None]:
    found: list[str | None] = taken.batch["pay_type"].to_pylist()
    return found


def test_the_example_runs() -> None:
    results = doctest.testmod(pay_type)
    assert (results.failed, results.attempted) == (0, 2)


def test_the_column_is_clear_and_stands_behind_cash_on_delivery() -> None:
    names = WAYBILL.names
    assert names[names.index("cod_minor") + 1] == "pay_type"
    assert kind_of(WAYBILL.field("pay_type")) is None
    assert PAY_TYPES == ("prepaid", "collect", "monthly", "third_party")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("prepaid", "寄付 现付 寄付现结 寄方付 寄件人付款 发件方支付 运费预付 prepaid Prepaid PREPAID 寄件人 Sender"),
        (
            "collect",
            "到付 运费到付 收方付 收件人付款 收货人付费 提付 collect COLLECT Freight-Collect Recipient consignee",
        ),
        ("monthly", "月结 月結 寄付月结 寄付（月结） monthly Monthly MONTHLY monthly_account"),
        ("third_party", "第三方付 第三方 第三方付款 third_party THIRD-PARTY ThirdParty 3rd-party"),
    ],
)
def test_words_of_both_languages(code: str, words: str) -> None:
    spoken = words.split()
    assert code in spoken
    assert pay_types(pa.array(spoken))[0].to_pylist() == [code] * len(spoken)
    # Width and blanks: as spreadsheets and input methods leave them.
    wide = [word.translate({char: char + 0xFEE0 for char in range(0x21, 0x7F)}) for word in spoken]
    assert pay_types(pa.array(wide))[0].to_pylist() == [code] * len(spoken)
    spaced = [f"\u3000{' '.join(word)}\u00a0。" for word in spoken]
    assert pay_types(pa.array(spaced)) == (pa.array([code] * len(spoken)), 0)


@pytest.mark.parametrize("phrase", ["freight collect", "paid by recipient", "Bill Receiver", "consignee pays"])
def test_english_phrases(phrase: str) -> None:
    assert pay_types(pa.array([phrase]))[0].to_pylist() == ["collect"]


@pytest.mark.parametrize(
    "word", ["微信支付", "支付宝", "信用卡", "Credit Card", "PayPal", "货到付款", "COD", "-", "—", ""]
)
def test_how_the_goods_were_paid_says_nothing_and_is_no_fault(word: str) -> None:
    assert pay_types(pa.array([word])) == (pa.nulls(1, pa.string()), 0)


@pytest.mark.parametrize(
    "word",
    ["1", "2", "第三方支付", "现金", "预付", "cc", "寄付/到付/月结", "到付改寄付", "张三 13800000001", "x" * 5000],
)
def test_what_is_not_certain_is_not_guessed(word: str) -> None:
    assert pay_types(pa.array([word, None, word])) == (pa.nulls(3, pa.string()), 2)


@given(st.lists(st.none() | st.text() | st.sampled_from(["到付", "月结", "Prepaid", "支付宝"])))
def test_no_text_of_anybody_comes_through(words: list[str | None]) -> None:
    found, unknown = pay_types(pa.array(words, pa.string()))
    assert len(found) == len(words)
    assert set(found.to_pylist()) <= {None, *PAY_TYPES}
    assert 0 <= unknown <= found.null_count
    assert [code for code, word in zip(found.to_pylist(), words, strict=True) if word == "到付"].count("collect") == (
        words.count("到付")
    )


@pytest.mark.parametrize(
    "header",
    ["付款方式", "支付方式", "运费支付方式", "结算方式", "付费方式", "*付款方式（必填）", "运费承担方"]
    + ["pay_type", "Pay Type", "payment_type", "paymentType", "Freight Terms", "freight payment", "Paid By"],
)
def test_headers(header: str) -> None:
    taken = export(header, "到付", "月结")
    assert codes(taken) == ["collect", "monthly"]
    assert not taken.warnings
    assert not taken.rejects


def test_the_freights_own_column_goes_before_the_orders() -> None:
    names = ["运单号", "支付方式", "付款方式", "运费支付方式", "付款时间", "收件人"]
    found = recognise(names)
    assert found.columns["pay_type"] == ("运费支付方式",)
    assert set(found.unrecognised) == {"支付方式", "付款方式"}
    assert found.columns["created_at"] == ("付款时间",)


@pytest.mark.parametrize(
    "header", ["运费", "运费(元)", "Payment Method", "Payment Reference", "付款人", "Paid at", "payer"]
)
def test_amounts_people_and_the_orders_payment_are_not_taken(header: str) -> None:
    assert header in recognise(["运单号", header, "收件人"]).unrecognised


def test_unknown_words_are_counted_and_the_row_stays() -> None:
    taken = export("付款方式", "到付", "找李雷要", "微信支付", None, "找李雷要", "\u2028到付")
    assert codes(taken) == ["collect", None, None, None, None, "collect"]
    assert taken.warnings == {"pay_type.unrecognised": 2}
    assert taken.batch.num_rows == 6
    assert not taken.rejects


def test_typed_columns_and_constants() -> None:
    numbers = pa.array(["YT1", "YT2"])
    coded = take(pa.record_batch({"运单号": numbers, "付款方式": pa.array(["到付", "月结"]).dictionary_encode()}))
    assert codes(coded) == ["collect", "monthly"]
    carrier = take(pa.record_batch({"运单号": numbers, "付款方式": pa.array([1, 2])}))
    assert (codes(carrier), carrier.warnings) == ([None, None], {"pay_type.unrecognised": 2})
    with pytest.raises(InputError, match="column 付款方式 has type list"):
        take(pa.record_batch({"运单号": numbers, "付款方式": pa.array([["到付"], []])}))
    mapped = take(pa.record_batch({"运单号": numbers}), {"constants": {"pay_type": "寄付月结"}})
    assert codes(mapped) == ["monthly", "monthly"]


def test_a_table_of_ours_is_checked_too() -> None:
    batch = next(parcels(4, seed=1))
    at = batch.schema.get_field_index("pay_type")
    said = pa.array(["monthly", "王小明 到付", None, "月结"])
    taken = take(batch.set_column(at, batch.schema.field(at), said))
    assert codes(taken) == ["monthly", None, None, "monthly"]
    assert taken.warnings == {"pay_type.unrecognised": 1}


def test_a_table_of_ours_from_before_the_column_is_still_ours() -> None:
    batch = next(parcels(50, seed=1))
    taken = take(batch.drop_columns(["pay_type"]))
    assert codes(taken) == [None] * 50
    # Untouched otherwise: read over again, addresses that name their district twice would change.
    assert taken.batch.drop_columns(["pay_type"]).equals(batch.drop_columns(["pay_type"]))


def test_labels_have_words_for_each_code() -> None:
    words = tomllib.loads(files("parcelveil.label").joinpath("layouts/words.toml").read_text("utf-8"))
    assert set(words["pay_type"]) == set(PAY_TYPES)
    assert all(set(named) >= {"zh", "en"} for named in words["pay_type"].values())
