"""Searching by a value: counted, logged, masked; and the value is nowhere written down."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from parcelveil.adapt.sealed_files import SealedBatch
from parcelveil.errors import InputError, KeyAccessError
from parcelveil.reveal.salts import read_salts
from parcelveil.seal import kernel
from parcelveil.waybill import mask_name
from reveal.conftest import AT_O2, CLOSED_TICKET, NOON, OWN_TICKET, TICKET, TICKETED, Carrier, Opened

SHOWN = {"from_phone", "from_address", "to_phone", "to_address"}


def phone_of(carrier: Carrier, number: str) -> str:
    return carrier.cell(number, "to_phone") or ""


def test_an_investigator_finds_masks(carrier: Carrier, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    number = carrier.numbers[450]
    monkeypatch.setattr(carrier.workspace.ring, "open_keys", None)  # no key of a personal field
    answers = carrier.search("inv-1", phone_of(carrier, number))
    (found,) = answers.answers
    row = carrier.sealed.slice(450, 1).to_pylist()[0]
    assert (found.waybill, found.answer, answers.left) == (number, "opened", 59)
    assert found.values == {name: row[mask_name(name)] for name in SHOWN}
    assert opened.calls == 0
    (look,) = carrier.receipts_hold(answers)
    assert (look.action, look.waybills, look.values, look.fields) == ("search", 1, 0, ("to_phone",))  # type: ignore[union-attr]
    assert carrier.balanced() == 0


@pytest.mark.parametrize("written", ["{}", " {} ", "{}\n", "86-{}"])
def test_a_phone_in_any_spelling(carrier: Carrier, written: str) -> None:
    phone = phone_of(carrier, carrier.numbers[7])
    assert phone.startswith("+86")
    local = phone.removeprefix("+86")
    answers = carrier.search("inv-1", written.format(local).strip("\n"))
    assert [a.waybill for a in answers.answers] == [carrier.numbers[7]]


def test_the_value_and_what_was_found_stand_nowhere(carrier: Carrier) -> None:
    phone, number = phone_of(carrier, carrier.numbers[9]), carrier.numbers[9]
    carrier.search("inv-1", phone)
    carrier.search("c-1", phone)
    carrier.search("inv-1", "13912340987")
    pseudonyms = {value for row in (9,) for value in (carrier.sealed["to_phone_pn"][row].as_py(),)}
    written = carrier.everything_written()
    for text in (phone, phone.removeprefix("+86"), "13912340987", number):
        assert text.encode() not in written
    for pseudonym in pseudonyms:
        assert pseudonym not in written
        assert pseudonym.hex().encode() not in written
    # The keeper of the salts can tell which entries speak of the parcel: the search that found it.
    (subject,) = read_salts(carrier.log, carrier.who("sk-1"), waybill=number)
    whole = read_salts(carrier.log, carrier.who("sk-1"), entry=subject.entry)
    assert [s.kind for s in whole] == ["pseudonym", "waybill"]


def test_nothing_found_is_logged_and_counted_too(carrier: Carrier) -> None:
    answers = carrier.search("inv-1", "13912340987")
    assert answers.answers == []
    assert answers.opened
    assert answers.left == 59
    assert carrier.entries("look")[-1].waybills == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("number", "changed", "reason"),
    [
        ("c-1", {}, "role-outside-scene"),
        ("gone-1", {}, "staff-inactive"),
        ("nobody", {}, "staff-inactive"),
        ("inv-1", {"device": "d-c-1"}, "device-not-enrolled"),
        ("inv-1", {"scene": "13812345678"}, "unknown-scene"),
        ("inv-1", {"scene": "lookup"}, "action-outside-scene"),
        ("inv-1", {"scene": "\ud800"}, "unknown-scene"),
        ("inv-1", {"column": "from_email"}, "field-outside-scene"),
        ("inv-1", {"role": "13812345678"}, "unknown-role"),
        ("inv-1", {"outlet": "13812345678"}, "outlet-not-held"),
    ],
)
def test_t8_who_may_not_search(carrier: Carrier, number: str, changed: dict[str, object], reason: str) -> None:
    value = "a@example.com" if "column" in changed else phone_of(carrier, carrier.numbers[0])
    answers = carrier.search(number, value, **changed)
    (answer,) = answers.answers
    assert (answer.answer, answer.values) == ("refused", None)
    assert reason in answer.rules
    entry = carrier.entries("refusal")[-1]
    assert (entry.action, reason in entry.rules) == ("search", True)  # type: ignore[union-attr]
    assert b"13812345678" not in carrier.everything_written()


@pytest.mark.parametrize("column", ["to_phone", "from_email", "to_address", "13812345678", "", "\ud800", "to_name"])
@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"x" * 1_000_000, "号".encode() * 300])
def test_t8_values_and_columns_that_are_none_are_logged(carrier: Carrier, column: str, value: bytes) -> None:
    before = carrier.size()
    with pytest.raises(InputError) as told:
        carrier.search("inv-1", value, column=column)
    assert "13812345678" not in str(told.value)
    (entry,) = carrier.entries(since=before)
    assert (entry.kind, entry.reason, entry.action) == ("refusal", "no-such-value", "search")  # type: ignore[union-attr]
    assert b"13812345678" not in carrier.everything_written()


def test_t8_the_quota_counts_searches_whatever_they_find(carrier: Carrier) -> None:
    for i in range(60):
        answers = carrier.search("inv-1", phone_of(carrier, carrier.numbers[i]) if i % 2 else f"139{i:08}")
        assert answers.left == 59 - i
    (answer,) = carrier.search("inv-1", phone_of(carrier, carrier.numbers[0])).answers
    assert (answer.answer, answer.reason) == ("over-quota", "quota-used-up")


# -- with a ticket -------------------------------------------------------------------------------------------


def test_with_a_ticket_what_it_names_is_found(carrier: Carrier) -> None:
    number = carrier.numbers[TICKETED][0]
    answers = carrier.search("cs-1", phone_of(carrier, number), ticket=TICKET)
    assert [a.waybill for a in answers.answers] == [number]
    (look,) = carrier.receipts_hold(answers)
    assert look.ticket == TICKET  # type: ignore[union-attr]


@pytest.mark.parametrize("ticket", ["", OWN_TICKET, CLOSED_TICKET, "T-404", "13812345678"])
def test_t1_tickets_that_explain_nothing(carrier: Carrier, ticket: str) -> None:
    """None, his own, a closed one, one that is none."""
    number = carrier.numbers[TICKETED][0]
    (answer,) = carrier.search("cs-1", phone_of(carrier, number), ticket=ticket).answers
    assert (answer.answer, answer.reason, answer.values) == ("not-in-custody", "custody-missing", None)
    entry = carrier.entries("refusal")[-1]
    assert (entry.answer, entry.waybills) == ("not-in-custody", 0)  # type: ignore[union-attr]
    assert b"13812345678" not in carrier.everything_written()


def test_t8_a_ticket_says_nothing_of_parcels_it_does_not_name(carrier: Carrier) -> None:
    """Whether there is one for that phone, and it is another's, or none at all, looks the same and costs the same."""
    there = carrier.search("cs-1", phone_of(carrier, carrier.numbers[AT_O2][0]), ticket=TICKET)
    nowhere = carrier.search("cs-1", "13912340987", ticket=TICKET)
    assert [(a.answer, a.reason, a.rules, a.values) for a in there.answers] == [
        (a.answer, a.reason, a.rules, a.values) for a in nowhere.answers
    ]
    assert (there.left, nowhere.left) == (59, 58)


# -- months, and many ----------------------------------------------------------------------------------------


def months(carrier: Carrier, phone: str, many: int = 1) -> pa.RecordBatch:
    """The same recipient in four months, ``many`` times in each."""
    rows = []
    for month in range(4):
        created = NOON - timedelta(days=31 * month)
        for i in range(many):
            row = carrier.clear.slice(i, 1).to_pylist()[0]
            rows.append(row | {"waybill_no": f"M{month}N{i:03}", "to_phone": phone, "created_at": created})
    clear = pa.RecordBatch.from_pylist(rows, schema=carrier.clear.schema)
    days = kernel.days_of(clear, 480, 0)
    return kernel.seal_batch(clear, carrier.workspace.ring.seal_keys(np.unique(days).tolist()))


def test_a_search_goes_across_months(carrier: Carrier) -> None:
    carrier.desk = carrier.workspace.desk(SealedBatch(months(carrier, "+8613912340987")))
    for back, expected in ((1, 1), (2, 2), (3, 3), (13, 4), (0, 1), (-5, 1), (10**9, 4)):
        answers = carrier.search("inv-1", "13912340987", months=back)
        assert sorted(a.waybill for a in answers.answers) == [f"M{month}N000" for month in range(expected)], back
    assert len(carrier.entries("look")[-1].subjects) == 4 + 4  # type: ignore[union-attr]


def test_a_month_that_another_process_began(carrier: Carrier) -> None:
    with carrier.open() as other:
        carrier.clock.pass_(days=40)
        assert carrier.search("inv-1", "13912340987").opened
        mine, carrier.workspace = carrier.workspace, other
        sealed = months(carrier, "+8613912340987")
        carrier.workspace = mine
        other.ring.rotate_kek()
        carrier.desk = carrier.workspace.desk(SealedBatch(sealed))
        assert len(carrier.search("inv-1", "13912340987", months=13).answers) == 4


def test_no_more_than_the_scenes_batch(carrier: Carrier) -> None:
    carrier.desk = carrier.workspace.desk(SealedBatch(months(carrier, "+8613912340987", many=30)))
    answers = carrier.search("inv-1", "13912340987", months=13)
    assert len(answers.answers) == 20
    assert sum(e.waybills for e in carrier.receipts_hold(answers)) == 20  # type: ignore[union-attr]


@pytest.mark.parametrize("error", [InputError("cannot be read"), KeyAccessError("damaged")])
def test_a_source_that_fails_is_logged(carrier: Carrier, error: Exception) -> None:
    class Broken(SealedBatch):
        def find_pseudonyms(self, *_: object) -> pa.RecordBatch:  # type: ignore[override]
            raise error

    carrier.desk = carrier.workspace.desk(Broken(carrier.sealed))
    before = carrier.size()
    with pytest.raises(type(error)):
        carrier.search("inv-1", "13912340987")
    (entry,) = carrier.entries(since=before)
    assert (entry.kind, entry.reason) == ("refusal", "desk-error")  # type: ignore[union-attr]
