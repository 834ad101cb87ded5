"""The desk's looks out of the audit log: who saw which parcel, as far as the salts are there."""

from __future__ import annotations

import pyarrow as pa
import pytest

from parcelveil.audit.entry import decode
from parcelveil.errors import LogError
from parcelveil.event import ACCESS, SEEN_FIELDS
from parcelveil.watch.audited import AuditedLooks, opener
from parcelveil.watch.coded import Coder
from reveal.conftest import TICKET, TICKETED, WITH_C1, Carrier, carrier, made_carrier

__all__ = ["carrier", "made_carrier"]  # fixtures


def accesses(carrier: Carrier, **numbers: str) -> tuple[pa.RecordBatch, AuditedLooks]:
    entries = [(index, decode(data)) for index, data in enumerate(carrier.data())]
    with carrier.workspace.store.reading() as tx:
        handles = {row.handle: row.number for row in tx.staff()} | numbers
        looks = AuditedLooks(opener(tx, carrier.log.subjects), handles)
        parts = [looks.take(entries[:5]), looks.take(entries[5:])]
    return pa.Table.from_batches(parts, ACCESS).combine_chunks().to_batches()[0], looks


def test_looks_refusals_and_searches(carrier: Carrier) -> None:
    mine, other = carrier.numbers[WITH_C1][:2], carrier.numbers[TICKETED][0]
    carrier.look("c-1", "deliver", mine)
    carrier.look("c-1", "deliver", [other])
    carrier.look("cs-1", "claim", [other], ticket=TICKET)
    carrier.look("c-1", "deliver", ["YT0000000000000"])
    batch, looks = accesses(carrier)
    batch.validate(full=True)
    rows = [row for row in batch.to_pylist() if row["actor"] == "c-1"]
    assert [(row["waybill_no"], row["outcome"]) for row in rows[:3]] == [
        (mine[0], "ok"),
        (mine[1], "ok"),
        (other, "denied"),
    ]
    assert {row["action"] for row in rows} == {"reveal"}
    assert (rows[0]["role"], rows[0]["outlet"], rows[0]["device"]) == ("courier", "O1", "d-c-1")
    assert rows[0]["fields"] == SEEN_FIELDS["name"] | SEEN_FIELDS["phone"]
    assert rows[2]["fields"] == 0
    assert rows[0]["event_time"] == carrier.clock.now()
    assert rows[-1]["outcome"] in ("notfound", "denied")
    service = [row for row in batch.to_pylist() if row["actor"] == "cs-1"]
    assert [(row["role"], row["waybill_no"], row["ticket"], row["outcome"]) for row in service] == [
        ("service", other, TICKET, "ok")
    ]
    assert len(set(batch["event_id"].to_pylist())) == batch.num_rows
    assert looks.erased == 0
    assert Coder(bytes(32)).accesses(batch).num_rows == batch.num_rows


def test_a_search_has_the_pseudonym_that_was_asked_for(carrier: Carrier) -> None:
    number = carrier.numbers[WITH_C1][0]
    phone = carrier.cell(number, "to_phone")
    assert phone is not None
    carrier.search("cs-1", phone, ticket=TICKET)
    batch, _ = accesses(carrier)
    rows = [row for row in batch.to_pylist() if row["action"] == "search"]
    assert rows
    assert phone not in str(rows)
    if rows[0]["outcome"] == "ok":
        assert rows[0]["subject"] is not None


def test_erased_parcels_are_counted_and_no_looks_at_nothing(carrier: Carrier) -> None:
    mine = carrier.numbers[WITH_C1][:3]
    carrier.look("c-1", "deliver", mine)
    with carrier.log.begin() as batch:
        assert batch.tx.erase_subjects(carrier.log.subjects.tokens([("waybill", mine[0])])) == 1
    found, looks = accesses(carrier)
    assert sorted(found["waybill_no"].to_pylist()) == sorted(mine[1:])
    assert looks.erased == 1


def test_salts_of_another_log_are_refused(carrier: Carrier) -> None:
    carrier.look("c-1", "deliver", carrier.numbers[WITH_C1][:1])
    entries = [(index, decode(data)) for index, data in enumerate(carrier.data())]
    with carrier.workspace.store.reading() as tx:
        opened = opener(tx, carrier.log.subjects)
        last = len(entries) - 1
        swapped = AuditedLooks(lambda index: [s._replace(commitment="AAAA") for s in opened(index)])
        with pytest.raises(LogError, match=f"entry {last} are of another log"):
            swapped.take(entries)


def test_handles_stay_where_no_number_is_known(carrier: Carrier) -> None:
    carrier.look("c-1", "deliver", carrier.numbers[WITH_C1][:1])
    entries = [(index, decode(data)) for index, data in enumerate(carrier.data())]
    with carrier.workspace.store.reading() as tx:
        batch = AuditedLooks(opener(tx, carrier.log.subjects)).take(entries)
    assert batch["actor"][0].as_py().startswith("s-")
