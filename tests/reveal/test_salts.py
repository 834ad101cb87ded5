"""Salts: only their keeper reads them, who reads no log; and that is logged."""

from __future__ import annotations

import msgspec
import pytest

from parcelveil.audit.entry import opens
from parcelveil.audit.proof import unbase64
from parcelveil.errors import PolicyError
from parcelveil.reveal.request import Secret
from parcelveil.reveal.salts import read_salts
from reveal.conftest import Carrier


def events(carrier: Carrier) -> list[tuple[str, str]]:
    return [(e.action, e.detail) for e in carrier.entries("key") if e.action.startswith("salts")]  # type: ignore[union-attr]


def test_keeper_and_auditor_together_can_tell(carrier: Carrier) -> None:
    number, other = carrier.numbers[:2]
    carrier.look("c-1", "deliver", [number, other])
    carrier.look("c-1", "contact", [number], "to_phone")
    subjects = read_salts(carrier.log, carrier.who("sk-1"), waybill=number)
    assert {s.value for s in subjects} == {number}
    assert len(subjects) == 2
    entries = carrier.entries()
    for subject in subjects:
        committed = entries[subject.entry].subjects  # type: ignore[union-attr]
        assert any(opens(unbase64(text), subject.salt, "waybill", number) for text in committed)
        assert not any(opens(unbase64(text), subject.salt, "waybill", other) for text in committed)
    of_entry = read_salts(carrier.log, carrier.who("sk-1"), entry=subjects[0].entry)
    assert [s.value for s in of_entry] == [number, other]
    assert events(carrier) == [("salts-read", "waybill"), ("salts-read", str(subjects[0].entry))]
    assert number not in repr(subjects)


@pytest.mark.parametrize("number", ["au-1", "c-1", "gone-1", "nobody", "pa-1"])
@pytest.mark.parametrize("role", ["salt_keeper", "auditor"])
def test_t10_nobody_else_reads_them(carrier: Carrier, number: str, role: str) -> None:
    carrier.look("c-1", "deliver", carrier.numbers[:1])
    with pytest.raises(PolicyError, match="role salt_keeper"):
        read_salts(carrier.log, carrier.who(number, role=role), waybill=carrier.numbers[0])
    assert events(carrier) == [("salts-refused", "waybill")]


def test_t10_nobody_reads_salts_and_log(carrier: Carrier) -> None:
    """The register refuses to give out both; who got past it still does not get them."""
    with carrier.log.begin() as batch:
        (row,) = [row for row in batch.tx.staff() if row.number == "sk-1"]
        batch.tx.put_staff(batch.rows.sealed(msgspec.structs.replace(row, roles="auditor salt_keeper")))
    with pytest.raises(PolicyError, match="may not read its salts"):
        read_salts(carrier.log, carrier.who("sk-1"), entry=1)
    assert events(carrier) == [("salts-refused", "1")]


@pytest.mark.parametrize("changed", [{"device": "d-c-1"}, {"device": "x"}, {"device_key": Secret(b"")}])
def test_t1_the_keeper_needs_his_device(carrier: Carrier, changed: dict[str, object]) -> None:
    with pytest.raises(PolicyError, match="device"):
        read_salts(carrier.log, carrier.who("sk-1", **changed), entry=1)
    assert events(carrier) == [("salts-refused", "1")]


def test_what_was_asked_is_not_written_down(carrier: Carrier) -> None:
    for waybill in ("13812345678", carrier.numbers[0], "\ud800", "x" * 1_000_000, ""):
        assert read_salts(carrier.log, carrier.who("sk-1"), waybill=waybill) == []
    for entry in (13812345678, -1, 1 << 80):
        assert read_salts(carrier.log, carrier.who("sk-1"), entry=entry) == []
    assert events(carrier) == [("salts-read", "waybill")] * 5 + [("salts-read", "")] * 3
    written = carrier.everything_written()
    assert b"13812345678" not in written
    assert carrier.numbers[0].encode() not in written


def test_t7_salts_of_the_erased_are_gone(carrier: Carrier) -> None:
    number, other = carrier.numbers[:2]
    carrier.look("c-1", "deliver", [number, other])
    carrier.workspace.erase([number])
    assert read_salts(carrier.log, carrier.who("sk-1"), waybill=number) == []
    (left,) = read_salts(carrier.log, carrier.who("sk-1"), waybill=other)
    assert [s.value for s in read_salts(carrier.log, carrier.who("sk-1"), entry=left.entry)] == [other]


def test_documents_are_committed_to_as_well(carrier: Carrier) -> None:
    carrier.look("inv-1", "lawful_request", carrier.numbers[:1], document="公安-2026-031")
    entry = carrier.entries("refusal")[-1]
    index = carrier.entries().index(entry)
    found = read_salts(carrier.log, carrier.who("sk-1"), entry=index)
    assert {(s.kind, s.value) for s in found} == {("waybill", carrier.numbers[0]), ("document", "公安-2026-031")}
    assert "公安".encode() not in carrier.everything_written()
