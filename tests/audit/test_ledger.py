"""The log tells what the register's rows must be: what was put back, deleted or written past it is noticed."""

from __future__ import annotations

import pytest

from parcelveil.adapt.store_sqlite import SqliteStore
from parcelveil.audit.entry import AnyEntry, Approval, Export, Look, PolicyChange, StaffChange
from parcelveil.audit.ledger import Ledger
from parcelveil.ports import ApprovalRow, DeviceRow, PolicyRow, StaffRow

DAY = 86_400_000_000
ENTRIES: list[AnyEntry] = [
    StaffChange(time=1, action="added", actor="keyholder", target="s-1", roles=("courier",), outlet="O1"),
    StaffChange(time=1, action="added", actor="keyholder", target="s-2", roles=("approver",)),
    StaffChange(time=2, action="enrolled", actor="keyholder", target="s-1", device="pda-1"),
    StaffChange(time=2, action="enrolled", actor="keyholder", target="s-2", device="pda-2"),
    StaffChange(time=3, action="withdrawn", actor="keyholder", target="s-2", device="pda-2"),
    StaffChange(time=3, action="suspended", actor="keyholder", target="s-2", roles=("approver",)),
    StaffChange(time=3, action="added", actor="keyholder", target="s-3", roles=("analyst",)),
    StaffChange(time=4, action="forgotten", actor="keyholder", target="s-3"),
    Approval(time=5, action="requested", approval="a-1", actor="s-1"),
    Approval(time=6, action="approved", approval="a-1", actor="s-2"),
    Approval(time=6, action="refused", approval="a-1", actor="s-1"),
    PolicyChange(time=7, action="proposed", version=2, actor="s-8", sha256="aa"),
    PolicyChange(time=8, action="approved", version=2, actor="s-9", sha256="aa"),
    Look(time=9, actor="s-1", role="courier", scene="deliver", waybills=3, values=6),
    Export(time=9, actor="keyholder", role="keyholder", scene="open", waybills=100, values=6),
    Look(time=10, actor="s-1", role="courier", scene="search", action="search", waybills=7),
    Look(time=DAY, actor="s-1", role="courier", scene="deliver", waybills=2),
]
STAFF = [StaffRow("s-1", "c-1", "courier", "O1", True), StaffRow("s-2", "c-2", "approver", "", False)]
RULES = PolicyRow(2, "active", "s", "p", "c", "s-8", "s-9")


@pytest.fixture
def store(tmp_path: object) -> SqliteStore:
    store = SqliteStore(tmp_path / "state.db")  # type: ignore[operator]
    with store.transaction() as tx:
        for row in STAFF:
            tx.put_staff(row)
        tx.put_device(DeviceRow("pda-1", "s-1", b"k"))
        tx.put_approval(ApprovalRow("a-1", "approved", "export", "s-1", "pda-1", 3, b"", 99, "s-2"))
        tx.put_policy(PolicyRow(1, "replaced", "s", "p", "c", "", ""))
        tx.put_policy(RULES)
        tx.use("s-1", "deliver", 0, 3)
        tx.use("s-1", "deliver", 1, 2)
        tx.use("s-1", "search", 0, 1)
    return store


def differences(store: SqliteStore, entries: list[AnyEntry] = ENTRIES, minimum: int = 0) -> list[str]:
    ledger = Ledger(minimum)
    for entry in entries:
        ledger.add(entry, 0)
    with store.reading() as tx:
        return list(ledger.differences(tx, lambda _row: "aa"))


def test_rows_as_the_log_tells(store: SqliteStore) -> None:
    assert differences(store) == []


def test_t10_rows_put_back_deleted_or_written_past_the_log(store: SqliteStore) -> None:
    changes = {
        "s-1 is not as": lambda tx: tx.put_staff(StaffRow("s-1", "c-1", "approver courier", "O1", True)),
        "s-2 is not as": lambda tx: tx.put_staff(StaffRow("s-2", "c-2", "approver", "", True)),
        "s-3 is not as": lambda tx: tx.put_staff(StaffRow("s-3", "c-3", "analyst", "", True)),
        "nothing of s-4": lambda tx: tx.put_staff(StaffRow("s-4", "c-4", "courier", "", True)),
        "pda-2 is not": lambda tx: tx.put_device(DeviceRow("pda-2", "s-2", b"k")),
        "pda-1 is not": lambda tx: tx.drop_device("pda-1"),
        "pda-5 is not": lambda tx: tx.put_device(DeviceRow("pda-5", "s-1", b"k")),
        "log says approved": lambda tx: tx.put_approval(ApprovalRow("a-1", "requested", "", "", "", 0, b"", 0)),
        "nothing of approval a-2": lambda tx: tx.put_approval(ApprovalRow("a-2", "approved", "", "", "", 0, b"", 0)),
        "not version 2": lambda tx: tx.put_policy(PolicyRow(2, "replaced", "s", "p", "c", "", "")),
        "counts 4, the log 3": lambda tx: tx.use("s-1", "deliver", 0, 1),
        "counts 1, the log 2": lambda tx: tx.use("s-1", "deliver", 1, -1),
    }
    for words, change in changes.items():
        with pytest.raises(ZeroDivisionError), store.transaction() as tx:
            change(tx)
            ledger = Ledger()
            for entry in ENTRIES:
                ledger.add(entry, 0)
            assert [text for text in ledger.differences(tx, lambda _row: "aa") if words in text], words
            raise ZeroDivisionError  # undone
    assert differences(store) == []


def test_other_documents_under_the_approved_version(store: SqliteStore) -> None:
    ledger = Ledger()
    for entry in ENTRIES:
        ledger.add(entry, 0)
    with store.reading() as tx:
        assert [*ledger.differences(tx, lambda _row: "bb")] == [
            "the rules in force are not version 2 that the log says was approved"
        ]


def test_what_was_pruned_is_not_missed(store: SqliteStore) -> None:
    assert differences(store, ENTRIES[9:], minimum=9) == []
    assert differences(store, ENTRIES[16:], minimum=16) == []
    assert differences(store, [], minimum=17) == []
