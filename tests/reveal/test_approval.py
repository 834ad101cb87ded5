"""The second person: whose approval counts for what, how long, and how often."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from parcelveil.errors import PolicyError
from parcelveil.reveal import staff
from parcelveil.reveal.request import Answers, Request, Secret
from reveal.conftest import Carrier, Opened

FIELDS = ("to_name", "to_phone")


def asked(carrier: Carrier, count: int = 3, **changed: object) -> Request:
    return carrier.request("an-1", "export", carrier.numbers[:count], FIELDS, **changed)


def approved(carrier: Carrier, request: Request) -> Request:
    answers = carrier.desk.look(request)
    assert {a.answer for a in answers.answers} == {"needs-approval"}
    carrier.desk.approve(answers.approval, carrier.who("ap-1"))
    return msgspec.structs.replace(request, approval=answers.approval)


def said(answers: Answers) -> set[tuple[str, str]]:
    return {(a.answer, a.reason) for a in answers.answers}


def test_what_was_approved_is_opened_once(carrier: Carrier, opened: Opened) -> None:
    size = carrier.size()
    request = approved(carrier, asked(carrier))
    assert opened.calls == 0
    answers = carrier.desk.look(request)
    assert answers.opened
    assert [a.values for a in answers.answers] == [{f: carrier.cell(n, f) for f in FIELDS} for n in carrier.numbers[:3]]
    assert said(carrier.desk.look(request)) == {("refused", "approval-used")}
    actions = [getattr(e, "action", e.kind) for e in carrier.entries("approval", since=size)]
    assert actions == ["requested", "approved", "used"]
    (export,) = carrier.entries("export")
    assert export.approval == request.approval  # type: ignore[union-attr]
    assert carrier.balanced() == opened.values == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda c: {"fields": ("to_name", "to_address")},
        lambda c: {"fields": ("to_name",)},
        lambda c: {"waybills": tuple(c.numbers[:4])},
        lambda c: {"waybills": tuple(c.numbers[1:4])},
        lambda c: {"waybills": tuple(c.numbers[:2])},
        lambda c: {"form": "masked"},
        lambda c: {"document": "D-9"},
        lambda c: {"ticket": "T-100"},
    ],
    ids=["other-fields", "fewer-fields", "more", "others", "fewer", "form", "document", "ticket"],
)
def test_t1_an_approval_fits_its_request_only(
    carrier: Carrier, opened: Opened, change: Callable[[Carrier], dict[str, Any]]
) -> None:
    request = approved(carrier, asked(carrier))
    other = msgspec.structs.replace(request, **change(carrier))
    assert said(carrier.desk.look(other)) == {("refused", "approval-for-another-request")}
    assert opened.calls == 0
    assert carrier.desk.look(request).opened  # the real one was not used up by that


def test_t1_another_persons_approval_counts_for_nothing(carrier: Carrier, opened: Opened) -> None:
    staff.put(carrier.log, carrier.scenes, [staff.Hired("an-2", frozenset({"analyst"}), frozenset())])
    carrier.keys["an-2"] = staff.enrol(carrier.log, "an-2", "d-an-2")
    request = approved(carrier, asked(carrier))
    theirs = carrier.request("an-2", "export", carrier.numbers[:3], FIELDS, role="analyst", approval=request.approval)
    assert said(carrier.desk.look(theirs)) == {("refused", "approval-unknown")}
    for made_up in ("a-0000000000000000", "x", "13812345678", "\ud800", "a" * 100_000):
        answers = carrier.desk.look(msgspec.structs.replace(request, approval=made_up))
        assert {a.answer for a in answers.answers} <= {"refused", "needs-approval"}
    assert opened.calls == 0


def test_t1_nobody_approves_their_own_request(carrier: Carrier) -> None:
    """The register keeps the two duties apart; who holds both all the same, by the scenes of their own, still may not."""
    with carrier.log.begin() as batch:
        (row,) = [row for row in batch.tx.staff() if row.number == "an-1"]
        batch.tx.put_staff(batch.rows.sealed(msgspec.structs.replace(row, roles="analyst approver")))
    answers = carrier.desk.look(asked(carrier))
    with pytest.raises(PolicyError, match="own request"):
        carrier.desk.approve(answers.approval, carrier.who("an-1", role="approver"))
    assert carrier.entries("approval")[-1].action == "refused"  # type: ignore[union-attr]


def test_t1_the_requesters_device_cannot_approve(carrier: Carrier) -> None:
    answers = carrier.desk.look(asked(carrier))
    for key in (carrier.keys["an-1"], carrier.keys["ap-1"]):
        with pytest.raises(PolicyError, match="device is not enrolled"):
            carrier.desk.approve(answers.approval, carrier.who("ap-1", device="d-an-1", device_key=Secret(key)))
    staff.withdraw(carrier.log, "d-an-1")
    key = staff.enrol(carrier.log, "ap-1", "d-an-1")  # handed on in between
    with pytest.raises(PolicyError, match="very device"):
        carrier.desk.approve(answers.approval, carrier.who("ap-1", device="d-an-1", device_key=Secret(key)))
    actions = [e.action for e in carrier.entries("approval")]  # type: ignore[union-attr]
    assert actions == ["requested", "refused", "refused", "refused"]


@pytest.mark.parametrize("number", ["an-1", "c-1", "gone-1", "pp-1", "nobody"])
def test_t1_only_approvers_approve(carrier: Carrier, number: str) -> None:
    answers = carrier.desk.look(asked(carrier))
    for role in ("approver", "analyst"):
        with pytest.raises(PolicyError, match="role approver"):
            carrier.desk.approve(answers.approval, carrier.who(number, role=role))
    assert said(carrier.desk.look(msgspec.structs.replace(asked(carrier), approval=answers.approval))) == {
        ("needs-approval", "second-person-missing")
    }
    assert [e.action for e in carrier.entries("approval")] == ["requested", "refused", "refused"]  # type: ignore[union-attr]


@pytest.mark.parametrize("when", ["before-approval", "after-approval"])
def test_an_approval_ends(carrier: Carrier, opened: Opened, when: str) -> None:
    request = asked(carrier)
    id = carrier.desk.look(request).approval
    if when == "after-approval":
        carrier.desk.approve(id, carrier.who("ap-1"))
        carrier.clock.pass_(minutes=120)
    else:
        carrier.clock.pass_(minutes=120)
        with pytest.raises(PolicyError, match="expired"):
            carrier.desk.approve(id, carrier.who("ap-1"))
    again = carrier.desk.look(msgspec.structs.replace(request, approval=id))
    assert said(again) == {("refused", "approval-expired")}
    assert opened.calls == 0
    assert [e.action for e in carrier.entries("approval")].count("expired") == 1  # type: ignore[union-attr]


def test_a_minute_earlier_it_holds(carrier: Carrier) -> None:
    request = approved(carrier, asked(carrier))
    carrier.clock.pass_(minutes=119)
    assert carrier.desk.look(request).opened


def test_a_rejected_request_stays_so(carrier: Carrier, opened: Opened) -> None:
    request = asked(carrier)
    id = carrier.desk.look(request).approval
    carrier.desk.approve(id, carrier.who("ap-1"), reject=True)
    with pytest.raises(PolicyError, match="rejected already"):
        carrier.desk.approve(id, carrier.who("ap-2"))
    assert said(carrier.desk.look(msgspec.structs.replace(request, approval=id))) == {("refused", "approval-rejected")}
    assert opened.calls == 0


def test_t1_one_approval_used_by_many_threads_at_once(carrier: Carrier, opened: Opened) -> None:
    request = approved(carrier, asked(carrier))
    answers: list[Answers] = []
    threads = [threading.Thread(target=lambda: answers.append(carrier.desk.look(request))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(a.opened for a in answers) == 1
    assert sum(said(a) == {("refused", "approval-used")} for a in answers) == 11
    assert carrier.balanced() == opened.values == 6


def test_t1_one_approval_used_in_one_group(carrier: Carrier) -> None:
    request = approved(carrier, asked(carrier))
    answers = carrier.desk._run([request] * 3)
    assert [isinstance(a, Answers) and a.opened for a in answers] == [True, False, False]


def test_t1_one_approval_used_by_two_processes_at_once(carrier: Carrier, opened: Opened) -> None:
    """Two desks with connections and keys of their own, as two processes have them, each in its own thread."""
    requests = [approved(carrier, asked(carrier, 3 + i)) for i in range(8)]
    with carrier.open() as other:
        desks = [carrier.desk, other.desk(carrier.source)]
        for request in requests:
            answers: list[Answers] = []
            gate = threading.Barrier(2)

            def use(place: int, request: Request = request, gate: Any = gate, answers: Any = answers) -> None:
                gate.wait()
                answers.append(desks[place].look(request))

            threads = [threading.Thread(target=use, args=(place,)) for place in (0, 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(a.opened for a in answers) == [False, True]
    assert carrier.balanced() == opened.values == sum(2 * (3 + i) for i in range(8))


def test_what_was_erased_meanwhile_stays_shut(carrier: Carrier) -> None:
    request = approved(carrier, asked(carrier))
    carrier.workspace.erase([carrier.numbers[0]])
    answers = carrier.desk.look(request)
    assert [a.answer for a in answers.answers] == ["erased", "opened", "opened"]


def test_suspended_in_between(carrier: Carrier, opened: Opened) -> None:
    request = approved(carrier, asked(carrier))
    staff.put(carrier.log, carrier.scenes, [staff.Hired("an-1", frozenset({"analyst"}), frozenset(), active=False)])
    assert {a.answer for a in carrier.desk.look(request).answers} == {"refused"}
    assert opened.calls == 0


def test_hostile_ids_of_approvals(carrier: Carrier) -> None:
    for id in ("", "\ud800", "x" * 1_000_000, "a\0b", "13812345678"):
        with pytest.raises(PolicyError, match="no such request"):
            carrier.desk.approve(id, carrier.who("ap-1"))
    written = carrier.everything_written()
    assert b"13812345678" not in written
    assert [e.approval for e in carrier.entries("approval")] == ["?"] * 5  # type: ignore[union-attr]
