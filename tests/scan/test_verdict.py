"""Verdicts: what a document is called, how bad it is, and how many people are in it."""

from __future__ import annotations

import doctest
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.scan import tally as tally_module
from parcelveil.scan import verdict
from parcelveil.scan.findings import Place, Read
from parcelveil.scan.tally import Tally, Threshold, Verdict
from parcelveil.scan.verdict import CRITICAL, HIGH, LIST, SAYINGS, SEVERITIES, Facts, judged, within, words
from scan.made_findings import batch


def test_the_examples_hold() -> None:
    assert doctest.testmod(verdict).failed == 0


def customers(count: int, first: int = 0, *, ids: bool = False, **same: Any) -> list[dict[str, Any]]:
    """Rows of a customer list: name, phone, address, and an identity number if asked for."""
    rows: list[dict[str, Any]] = []
    for number in range(first, first + count):
        at = {"row": number + 2} | same
        rows += [
            at | {"kind": "person.name", "column": "收件人", "value": ("name", number % 50)},
            at | {"kind": "phone.mobile", "column": "电话", "value": ("phone", number)},
            at | {"kind": "address.cn", "column": "地址", "value": ("address", number)},
        ]
        if ids:
            rows.append(at | {"kind": "id.resident", "column": "证件", "value": ("id", number)})
    return rows


def verdict_of(*parts: list[dict[str, Any]], allowed: Any = None, format: str = "csv") -> Verdict:
    tally = Tally()
    for part in parts:
        tally.add(batch(part), allowed, format=format)
    (found,) = tally.verdicts()
    return found


def said(*parts: list[dict[str, Any]], **how: Any) -> tuple[str, str]:
    found = verdict_of(*parts, **how)
    return found.words("en"), found.severity


# -- words and severities -----------------------------------------------------------------------------------------------


def test_a_customer_list_says_how_many_people() -> None:
    found = verdict_of(customers(600))
    assert (found.words("en"), found.words("zh"), found.severity) == (
        "customer list: 600 people",
        "客户名单：600 人",
        "high",
    )
    assert found.facts.kinds == {"person.name": 600, "phone.mobile": 600, "address.cn": 600}
    assert found.values == {"person.name": 50, "phone.mobile": 600, "address.cn": 600}
    assert {(one.name, one.kind, one.findings, one.values) for one in found.columns} == {
        ("收件人", "person.name", 600, 50),
        ("电话", "phone.mobile", 600, 600),
        ("地址", "address.cn", 600, 600),
    }


def rows_of(kind: str, count: int, **same: Any) -> list[dict[str, Any]]:
    return [{"kind": kind, "row": number + 2, "value": (kind, number)} | same for number in range(count)]


def lines_of(kind: str, count: int, **same: Any) -> list[dict[str, Any]]:
    return [{"kind": kind, "line": number + 1, "value": (kind, number)} | same for number in range(count)]


@pytest.mark.parametrize(
    ("rows", "format", "english", "severity"),
    [
        (customers(6, ids=True), "xlsx", "customer list with identity numbers: 6 people", "medium"),
        (rows_of("id.resident", 60), "csv", "list of identity numbers: 60 people", "high"),
        (rows_of("phone.mobile", 40), "csv", "list of phones: 40 people", "medium"),
        (lines_of("phone.mobile", 30), "log", "log with phones: 30 people", "medium"),
        (lines_of("phone.mobile", 3), "log", "log with phones", "low"),
        (lines_of("phone.mobile", 1), "text", "a single contact: phones", "low"),
        (lines_of("phone.mobile", 2) + lines_of("person.name", 2), "eml", "a single contact: names and phones", "low"),
        (lines_of("id.resident", 1), "text", "file with identity numbers", "medium"),
        (lines_of("vehicle.plate", 40), "text", "file with vehicle plates", "low"),
        (lines_of("net.ip", 400), "log", "log with network addresses", "low"),
        (
            lines_of("phone.mobile", 9, source="微信导出.zip", member="聊天.txt")
            + lines_of("address.cn", 4, source="微信导出.zip", member="聊天.txt"),
            "text",
            "chat with phones and addresses: 9 people",
            "medium",
        ),
        (lines_of("our.badge", 3), "json", "file with other personal data", "low"),
        (lines_of("org.uscc", 30), "csv", "public numbers only", "none"),
        (lines_of("phone.service", 3) + lines_of("org.uscc", 3), "text", "public numbers only", "none"),
        (lines_of("phone.mobile", 9, state="masked"), "csv", "already masked", "none"),
        (lines_of("sealed.value", 9, state="protected"), "csv", "sealed by parcelveil, or virtual numbers", "none"),
        (lines_of("parcel.waybill", 9, state="key"), "log", "waybill or order numbers only", "none"),
        (lines_of("person.name_prose", 9, tier=2), "text", "nothing certain: 9 weak findings", "none"),
        (lines_of("phone.mobile", 9, confidence=0.3), "text", "nothing certain: 9 weak findings", "none"),
    ],
)  # fmt: skip
def test_documents_are_called_what_they_are(
    rows: list[dict[str, Any]], format: str, english: str, severity: str
) -> None:
    assert said(rows, format=format) == (english, severity)


@pytest.mark.parametrize(
    ("masked", "english"),
    [("masked", "waybill label, masked"), ("clear", "waybill label with readable names and phones")],
)
def test_waybill_labels(masked: str, english: str) -> None:
    tally = Tally()
    tally.label(Place("label.jpg"), masked)
    state = "masked" if masked == "masked" else "clear"
    rows = lines_of("phone.mobile", 1, source="label.jpg", state=state) + lines_of(
        "person.name", 1, source="label.jpg", state=state
    )
    tally.add(batch(rows), format="image")
    (found,) = tally.verdicts()
    assert found.words("en") == english


def test_a_masked_label_with_one_readable_phone_is_not_masked() -> None:
    facts = Facts(label="masked", kinds={"phone.mobile": 1}, people=1)
    assert judged(facts) == ("clear label", "low")


@pytest.mark.parametrize(
    ("people", "sensitive", "severity"),
    [
        (0, 0, "low"),
        (LIST - 1, 0, "low"),
        (LIST, 0, "medium"),
        (1, 1, "medium"),
        (HIGH.people - 1, 0, "medium"),
        (HIGH.people, 0, "high"),
        (HIGH.sensitive - 1, HIGH.sensitive - 1, "medium"),
        (HIGH.sensitive, HIGH.sensitive, "high"),
        (CRITICAL.people - 1, 0, "high"),
        (CRITICAL.people, 0, "critical"),
        (CRITICAL.sensitive, CRITICAL.sensitive, "critical"),
    ],
)
def test_severities_are_those_of_the_judicial_interpretation(people: int, sensitive: int, severity: str) -> None:
    assert judged(Facts(people=people, sensitive=sensitive, kinds={"phone.mobile": 1}))[1] == severity
    assert judged(Facts(people=people, sensitive=sensitive))[1] == "none"  # nobody is there without a kind


def test_every_saying_is_said_in_both_languages() -> None:
    facts = Facts(
        people=12_345, people_exact=False, kinds={"phone.mobile": 3, "id.resident": 2, "person.name": 1}, unsure=4
    )
    for code in SAYINGS:
        english, chinese = words(code, facts, "en"), words(code, facts, "zh")
        assert "{" not in english + chinese and english.isascii() and not chinese.isascii()
    assert words("list", facts, "en") == "list of names, phones and identity numbers: about 12,345 people"
    assert words("list", facts, "zh") == "姓名、电话和证件号码名单：约 12,345 人"


def test_a_class_is_not_another_that_begins_like_it() -> None:
    assert within("id.resident", ("id",)) and within("id", ("id",))
    assert not within("identity.x", ("id",)) and not within("phone.mobile_x", ("phone.mobile",))


# -- people -----------------------------------------------------------------------------------------------------------


def test_the_same_person_counts_once_however_often() -> None:
    assert verdict_of(customers(40) + customers(40)).facts.people == 40
    assert verdict_of([{"row": n, "value": "one"} for n in range(2, 30)]).facts.people == 1


def test_sender_and_recipient_are_two_people() -> None:
    rows = [{"row": n, "column": c, "value": (c, n)} for n in range(2, 42) for c in ("寄件人电话", "收件人电话")]
    assert verdict_of(rows).facts.people == 80


def test_one_sender_of_many_parcels_is_one() -> None:
    rows = [{"row": n, "value": "merchant"} for n in range(2, 42)] + [{"row": n, "value": n} for n in range(2, 42)]
    assert verdict_of(rows).facts.people == 41


def test_rows_that_have_different_identifiers_add_up() -> None:
    rows = rows_of("phone.mobile", 30) + [
        {"kind": "net.email", "row": n, "value": ("mail", n)} for n in range(100, 130)
    ]
    assert verdict_of(rows).facts.people == 60
    assert (
        verdict_of([row | {"row": -1} for row in rows], format="log").facts.people == 30
    )  # no rows: the greater of both


def test_without_numbers_names_with_addresses_count() -> None:
    rows = [row for row in customers(80) if row["kind"] != "phone.mobile"]
    assert verdict_of(rows).facts.people == 80  # though there are 50 different names only
    assert verdict_of(rows + rows).facts.people == 80
    assert (
        verdict_of([{"kind": "person.name", "line": n, "value": n % 7} for n in range(30)], format="text").facts.people
        == 7
    )


def test_masked_unsure_and_allowed_ones_are_nobody() -> None:
    rows = customers(6)
    assert verdict_of([row | {"state": "masked"} for row in rows]).facts.people == 0
    assert verdict_of([row | {"confidence": 0.4} for row in rows]).facts.people == 0
    found = verdict_of(rows, allowed=np.full(len(rows), 2, dtype=np.uint8))
    assert (found.facts.people, found.facts.allowed, found.words("en"), found.severity) == (
        0,
        18,
        "allowed: 18 findings",
        "none",
    )


@given(st.lists(st.integers(1, 59), max_size=6, unique=True))
@settings(deadline=None, max_examples=30)
def test_counts_do_not_depend_on_how_findings_are_cut(cuts: list[int]) -> None:
    rows = sorted(
        customers(20) + [{"kind": "net.email", "row": n, "value": ("m", n)} for n in range(30, 40)],
        key=lambda row: row["row"],
    )
    whole = verdict_of(rows)
    borders = [0, *sorted(cuts), len(rows)]
    parts = [rows[a:b] for a, b in pairwise(borders)]
    cut = verdict_of(*[part for part in parts if part])
    assert (cut.facts, cut.values, cut.columns) == (whole.facts, whole.values, whole.columns)
    assert whole.facts.people == 30


def test_many_people_are_about_so_many() -> None:
    tally = Tally()
    prints = np.random.default_rng(5).bytes(16 * 150_000)
    one = batch([{"row": 2}])
    for first in range(0, 150_000, 50_000):
        rows = np.arange(first, first + 50_000) + 2
        values = pa.Array.from_buffers(
            pa.binary(16), 50_000, [None, pa.py_buffer(prints[16 * first : 16 * (first + 50_000)])]
        )
        table = one.take(pa.array(np.zeros(50_000, dtype=np.int64)))
        table = table.set_column(table.schema.get_field_index("row"), table.schema.field("row"), pa.array(rows))
        table = table.set_column(table.schema.get_field_index("fingerprint"), table.schema.field("fingerprint"), values)
        tally.add(table, format="csv")
    (found,) = tally.verdicts()
    assert abs(found.facts.people / 150_000 - 1) < 0.03 and not found.facts.people_exact
    assert found.words("en").startswith("list of phones: about 1") and found.severity == "critical"


# -- many documents -----------------------------------------------------------------------------------------------------


def test_documents_are_told_apart_and_the_worst_comes_first() -> None:
    tally = Tally()
    mixed = (
        customers(3, source="a.csv")
        + customers(9, 100, source="b.zip", member="x.csv")
        + customers(700, 200, source="b.xlsx", part="S")
    )
    tally.add(batch(mixed))
    tally.read(Read(Place("a.csv"), "csv", "read", rows=4, findings=9))
    found = list(tally.verdicts())
    assert [(one.place.text, one.facts.people) for one in found] == [
        ("b.xlsx#S", 700),
        ("b.zip!x.csv", 9),
        ("a.csv", 3),
    ]
    assert found[2].read is not None and found[2].read.rows == 4 and found[0].read is None
    assert (tally.documents, tally.worst, dict(tally.severities)) == (3, "high", {"low": 1, "medium": 1, "high": 1})
    assert tally.people == (712, True)
    assert tally.kinds["clear"]["phone.mobile"] == 712 and tally.findings == 3 * 712
    assert tally.values()["phone.mobile"] == (712, True)


def test_pages_of_a_pdf_are_one_document() -> None:
    tally = Tally()
    for page in range(1, 20):
        tally.add(batch([{"source": "a.pdf", "page": page, "value": page}]), format="pdf")
    (found,) = tally.verdicts()
    assert (found.words("en"), found.place) == ("document with phones: 19 people", Place("a.pdf"))
    assert [one.page for one in found.examples["phone.mobile"]] == [1, 2, 3, 4, 5]


def test_the_same_people_in_two_files_are_no_more_people() -> None:
    tally = Tally()
    tally.add(batch(customers(30, source="a.csv") + customers(30, source="copy.csv")))
    assert tally.people == (30, True)
    assert [one.facts.people for one in tally.verdicts()] == [30, 30]


def test_memory_stays_bounded_over_many_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "KEPT", 10)
    monkeypatch.setattr(tally_module, "OPEN", 4)
    tally = Tally()
    for number in range(57):
        tally.add(batch(customers(number % 9 + 1, source=f"{number}.csv")))
        assert len(tally._open) <= 4 and len(tally._closed) <= 21
    found = list(tally.verdicts())
    assert tally.documents == 57 == len(found) + tally.dropped
    assert [one.facts.people for one in found[:6]] == [9] * 6


def test_a_table_of_ten_thousand_columns_counts_some_of_them() -> None:
    rows = [{"row": 2, "column": f"c{number}", "value": number} for number in range(2_000)]
    found = verdict_of(rows)
    assert len(found.columns) == tally_module.COLUMNS and found.facts.people == 2_000


def test_nothing_is_nothing() -> None:
    tally = Tally()
    tally.add(batch([]))
    tally.read(Read(Place("clean.csv"), "csv", "read"))
    assert list(tally.verdicts()) == [] and (tally.findings, tally.people, tally.worst) == (0, (0, True), "none")


# -- thresholds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", SEVERITIES[1:])
def test_a_scan_fails_from_a_severity_on(severity: Any) -> None:
    tally = Tally()
    tally.add(batch(customers(LIST)))  # medium
    order = SEVERITIES.index
    assert Threshold(severity).exceeded(tally) == (order("medium") >= order(severity))
    assert not Threshold(severity).exceeded(Tally())


def test_a_scan_fails_above_a_number_of_findings_that_are_sure_enough() -> None:
    tally = Tally()
    rows = [{"confidence": c, "value": n} for n, c in enumerate([0.9, 0.95, 0.5, 0.3])] + [{"state": "masked"}, {}]
    tally.add(batch(rows), np.array([0, 0, 0, 0, 0, 3], dtype=np.uint8))
    assert [tally.at_least(c) for c in (0.0, 0.3, 0.31, 0.5, 0.9, 0.91, 1.0)] == [4, 4, 3, 3, 2, 1, 0]
    assert Threshold(findings=1, confidence=0.9).exceeded(tally)
    assert not Threshold(findings=2, confidence=0.9).exceeded(tally)
    assert not Threshold().exceeded(tally)
    assert Threshold(findings=0).exceeded(tally)
