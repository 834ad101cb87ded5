"""What goes from a sealed batch onto labels."""

from __future__ import annotations

import pyarrow as pa
import pytest

from label.made import clear_batch, contents, job, sealed_batch, token
from parcelveil.cli.language import say
from parcelveil.errors import InputError, UsageError
from parcelveil.label.content import Content, Refused, columns_of, run_letters, station_of
from parcelveil.label.problems import PROBLEMS, Problem, reason, refusal
from parcelveil.waybill import personal_fields


def changed(batch: pa.RecordBatch, column: str, value: object) -> pa.RecordBatch:
    field = batch.schema.field(column)
    return batch.set_column(batch.schema.get_field_index(column), field, pa.array([value] * batch.num_rows, field.type))


def one(row: dict[str, object], **columns: object) -> Content | Refused:
    batch = sealed_batch(clear_batch([row]))
    for column, value in columns.items():
        batch = changed(batch, column, value)
    (found,) = contents(batch, job())
    return found


def fields(row: dict[str, object], **columns: object) -> dict[str, str]:
    found = one(row, **columns)
    assert isinstance(found, Content), found
    return found.fields


def test_no_sealed_value_is_even_asked_for() -> None:
    batch = sealed_batch(clear_batch([{}]))
    asked = set(columns_of(batch.schema, "x"))
    assert not asked & {field.name for field in personal_fields(clear_batch([{}]).schema)}
    assert not {
        name
        for name in asked
        if name.startswith(("note", "sender_id", "goods_name")) or "email" in name or "company" in name
    }


def test_abroad_the_country_comes_last() -> None:
    assert (
        fields({"to_country": "DE", "to_region": "Bayern", "to_city": "München", "to_district": "", "to_town": ""})[
            "to_area"
        ]
        == "München, Bayern, DE"
    )
    assert fields({"to_country": "13800000000"})["to_area"] == "浙江省 杭州市 西湖区 北山街道"


def test_what_is_not_recognised_is_hidden() -> None:
    found = fields(
        {
            "to_town": "北山街道13800000000",
            "goods_category": "张三的连衣裙",
            "product": "打13800000000",
            "carrier": "JT",
            "route_id": "李 雷*",
        }
    )
    assert found["to_area"] == "浙江省 杭州市 西湖区 **"
    assert (found["goods_category"], found["product"], found["route_id"]) == ("**", "**", "**")


@pytest.mark.parametrize(
    "column,value,problem",
    [
        ("to_name_mask", "卜若兰", Problem("mask.shows", "to_name_mask")),
        ("from_phone_mask", "138****5678", Problem("mask.shows", "from_phone_mask")),
        ("to_address_mask", "新建路18号3幢501室", Problem("mask.shows", "to_address_mask")),
        ("label_token", None, Problem("token.missing")),
        ("label_token", "13800000000", Problem("token.form")),
        ("label_token", "卜若兰", Problem("token.form")),
        ("waybill_no", "13800000000", Problem("waybill_no.form")),
        ("waybill_no", "a b", Problem("waybill_no.form")),
        ("sort_code", "1" * 25, Problem("sort_code.long")),
        ("sort_code", "310 13800000000", Problem("sort_code.form")),
        ("sort_code", "310 李雷", Problem("sort_code.form")),
        ("sort_code", "1380 000 0000", Problem("sort_code.form")),
    ],
)
def test_what_gets_no_label(column: str, value: object, problem: Problem) -> None:
    found = one({}, **{column: value})
    assert isinstance(found, Refused)
    assert found.problem == problem
    said = str(refusal(found.problem, found.waybill)) + reason(found.problem, found.waybill)
    assert not isinstance(value, str) or len(value) < 4 or value not in said


def test_a_number_that_is_none_is_not_named() -> None:
    found = one({}, waybill_no="13800000000")
    assert isinstance(found, Refused) and found.waybill == "row 1"


def test_every_problem_has_words_and_a_hint_in_both_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARCELVEIL_LANG", "zh")
    for code, texts in PROBLEMS.items():
        assert all(say(text) != text for text in texts), texts
        error = refusal(Problem(code, "x"), "YT1")
        assert isinstance(error, InputError) and str(error) and error.hint and "{" not in str(error) + error.hint


def test_numeric_sort_codes_are_no_phones() -> None:
    assert fields({"sort_code": "151-003 004 05"})["sort_code"] == "151-003 004 05"


def test_numbers_that_no_parcel_has_are_hidden() -> None:
    found = fields({"weight_g": 13812345678000, "cod_minor": 13812345678, "pieces": 13800})
    assert (found["weight"], found["cod"], found["pieces"]) == ("**", "**", "**")
    found = fields({"weight_g": -1, "cod_minor": 0, "pieces": 0})
    assert (found["weight"], found["cod"], found["pieces"]) == ("**", "", "0")


def test_carrier_and_product_make_no_phone_together() -> None:
    found = fields({"carrier": "138", "product": "1234 5678"})
    assert (found["carrier"], found["product"]) == ("**", "**")


def test_products_are_said_in_the_layouts_words() -> None:
    assert fields({"product": "次日达+"})["product"] == "次日达+"
    assert fields({"product": "Standard"})["product"] == "标准"
    assert fields({"product": "NEXT-2"})["product"] == "NEXT-2"
    assert fields({"product": "张伟丰"})["product"] == "**"


def test_missing_columns() -> None:
    batch = sealed_batch(clear_batch([{}]))
    with pytest.raises(InputError, match="has no tokens for labels") as told:
        columns_of(batch.drop_columns(["label_token"]).schema, "old.parquet")
    assert "rewrap" in told.value.hint
    with pytest.raises(InputError, match="has no to_name_mask"):
        columns_of(batch.drop_columns(["to_name_mask"]).schema, "x")
    columns_of(batch.drop_columns(["to_town", "product", "cod_minor"]).schema, "x")


def test_a_virtual_number_takes_the_place_of_the_recipients_phone() -> None:
    batch = sealed_batch(clear_batch([{}, {"waybill_no": "YT2"}]))
    numbers = {"JT4620160723335": ("95013012345678", "1234")}
    first, second = contents(batch, job(numbers=numbers))
    assert isinstance(first, Content)
    assert first.fields["to_phone"] == "950130 1234 5678 转 1234"
    assert first.fields["from_phone"] == "163******72"
    assert not isinstance(second, Content) or second.fields["to_phone"] == "164******31"


def test_serials_are_unique_and_say_station_and_time() -> None:
    batch = sealed_batch(clear_batch([{"waybill_no": f"YT000{n}"} for n in range(5)]))
    serials = [found.fields["serial"] for found in contents(batch, job()) if isinstance(found, Content)]
    assert serials == [f"P2-261124093000-0000{n}" for n in range(1, 6)]


def test_runs_of_one_second_have_other_serials() -> None:
    runs = {job(run=run_letters()).serial for _ in range(50)}
    assert len(runs) > 45 and all(serial.startswith("P2-261124093000") for serial in runs)


def test_stations() -> None:
    assert station_of(" p2 ") == "P2"
    assert station_of(None) == station_of(None) and len(station_of(None)) == 8
    for name in ("", "A" * 11, "P 2", "打印", "-1", "1380000000012"):
        with pytest.raises(UsageError, match="no name for a print station"):
            station_of(name)


def test_tokens_are_as_the_batch_has_them() -> None:
    found = one({})
    assert isinstance(found, Content) and found.token == token("JT4620160723335")
