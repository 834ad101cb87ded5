"""T10: an administrator of the database writes into it, and gets nothing by it."""

from __future__ import annotations

import hashlib
import secrets

import msgspec
import pytest

from parcelveil.audit.rowseal import RowSeal
from parcelveil.errors import PolicyError
from parcelveil.ports import ApprovalRow, DeviceRow, LimitRow, PolicyRow, StaffRow
from parcelveil.reveal.request import Secret
from reveal.conftest import Carrier


def test_a_seal_covers_the_kind_of_row_and_every_field() -> None:
    rows = RowSeal(bytes(32))
    row = rows.sealed(StaffRow("s-1", "c-1", "courier", "O1", True))
    assert rows.genuine(row)
    assert not RowSeal(bytes(31) + b"1").genuine(row)
    assert "0" * 8 not in repr(rows)
    for name, value in {"handle": "s-2", "number": "c-2", "roles": "approver", "outlet": "O2", "active": False}.items():
        assert not rows.genuine(msgspec.structs.replace(row, **{name: value})), name
    assert not rows.genuine(msgspec.structs.replace(row, seal=b""))
    assert not rows.genuine(StaffRow("s-1", "c-1", "courier", "O1", True))
    # The same words as another kind of row have another seal.
    limit = LimitRow("a", "b", 1, 2)
    assert rows.sealed(limit).seal != rows.sealed(DeviceRow("a", "b", b"1")).seal


def test_t10_a_forged_approval_opens_nothing(carrier: Carrier) -> None:
    asked = carrier.look("an-1", "export", carrier.numbers[:3], "to_name")
    assert asked.answers[0].answer == "needs-approval"
    with carrier.workspace.store.transaction() as tx:
        row = tx.approval(asked.approval)
        assert row is not None
        tx.put_approval(msgspec.structs.replace(row, state="approved", approver="s-anybody"))
    again = carrier.look("an-1", "export", carrier.numbers[:3], "to_name", approval=asked.approval)
    assert {(a.answer, a.reason) for a in again.answers} == {("refused", "approval-unknown")}


def test_t10_a_forged_device_or_role_is_nobodys(carrier: Carrier) -> None:
    key = secrets.token_bytes(32)
    with carrier.workspace.store.transaction() as tx:
        rows = {row.number: row for row in tx.staff()}
        tx.put_device(DeviceRow("forged-1", rows["c-1"].handle, hashlib.sha256(key).digest()))
        tx.put_staff(msgspec.structs.replace(rows["c-2"], outlet="O1", roles="approver courier"))
    request = carrier.request("c-1", "deliver", carrier.numbers[:1])
    forged = msgspec.structs.replace(request, device="forged-1", device_key=Secret(key))
    assert carrier.desk.look(forged).answers[0].reason == "device-not-enrolled"
    assert carrier.look("c-2", "deliver", carrier.numbers[:1]).answers[0].answer == "refused"
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).opened, "the others go on"


def test_t10_a_forged_limit_changes_nothing(carrier: Carrier) -> None:
    first = carrier.look("c-1", "deliver", carrier.numbers[:1])
    with carrier.log.begin() as batch:
        handle = next(row.handle for row in batch.tx.staff() if row.number == "c-1")
        batch.tx.set_limit(LimitRow(handle, "deliver", batch.day, 90_000))
    second = carrier.look("c-1", "deliver", carrier.numbers[:1])
    assert (first.left, second.left) == (299, 298)


def test_t10_forged_rules_are_not_followed(carrier: Carrier) -> None:
    with carrier.workspace.store.transaction() as tx:
        tx.put_policy(PolicyRow(7, "active", "format = 1", "permit(principal, action, resource);", "", "x", "y"))
    with pytest.raises(PolicyError, match="changed from outside"):
        carrier.look("c-1", "deliver", carrier.numbers[:1])


def test_t2_who_is_forgotten_leaves_nothing_to_approve(carrier: Carrier) -> None:
    from parcelveil.reveal import staff

    asked = carrier.look("an-1", "export", carrier.numbers[:3], "to_name")
    staff.forget(carrier.log, "an-1")
    with carrier.workspace.store.reading() as tx:
        row = tx.approval(asked.approval)
    assert row is not None
    assert (row.state, row.digest) == ("rejected", b"")
    with pytest.raises(PolicyError, match="rejected already"):
        carrier.desk.approve(asked.approval, carrier.who("ap-1"))


def test_t2_an_approver_who_has_gone_opens_nothing(carrier: Carrier) -> None:
    from parcelveil.reveal import staff
    from parcelveil.reveal.rulebook import Rulebook

    asked = carrier.look("an-1", "export", carrier.numbers[:3], "to_name")
    carrier.desk.approve(asked.approval, carrier.who("ap-1"))
    with carrier.workspace.store.reading() as tx:
        scenes = Rulebook.of(tx).scenes
    staff.put(carrier.log, scenes, [staff.Hired("ap-1", frozenset({"approver"}), frozenset(), False)])
    again = carrier.look("an-1", "export", carrier.numbers[:3], "to_name", approval=asked.approval)
    assert {(a.answer, a.reason) for a in again.answers} == {("refused", "approver-gone")}


def test_t2_one_handheld_is_not_two_devices(carrier: Carrier) -> None:
    from parcelveil.reveal import staff

    mine = Secret(staff.enrol(carrier.log, "an-1", "pda-9/an-1"))
    theirs = Secret(staff.enrol(carrier.log, "ap-1", "pda-9/ap-1"))
    request = carrier.request("an-1", "export", carrier.numbers[:3], ("to_name",))
    asked = carrier.desk.look(msgspec.structs.replace(request, device="pda-9/an-1", device_key=mine))
    with pytest.raises(PolicyError, match="this very device"):
        carrier.desk.approve(
            asked.approval, msgspec.structs.replace(carrier.who("ap-1"), device="pda-9/ap-1", device_key=theirs)
        )


def test_t8_who_needs_approval_does_not_learn_what_exists(carrier: Carrier) -> None:
    answers = carrier.look("an-1", "export", [carrier.numbers[0], "NO-SUCH-NUMBER"], "to_name")
    assert {a.answer for a in answers.answers} == {"needs-approval"}


def test_t7_what_is_over_keeps_no_digest(carrier: Carrier) -> None:
    asked = carrier.look("an-1", "export", carrier.numbers[:3], "to_name")
    carrier.desk.approve(asked.approval, carrier.who("ap-1"))
    assert carrier.look("an-1", "export", carrier.numbers[:3], "to_name", approval=asked.approval).opened
    with carrier.workspace.store.reading() as tx:
        row = tx.approval(asked.approval)
    assert isinstance(row, ApprovalRow)
    assert (row.state, row.digest) == ("used", b"")
