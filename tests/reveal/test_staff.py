"""The register of staff: who may hold which duties together, whose a device is, and what the log says of it."""

from __future__ import annotations

import msgspec
import pytest

from parcelveil.errors import PolicyError
from parcelveil.reveal import staff
from parcelveil.reveal.staff import STRANGER, Hired, Member, Register
from reveal.conftest import ROLES, STAFF, Carrier


def hired(number: str, *roles: str, outlets: tuple[str, ...] = (), active: bool = True) -> Hired:
    return Hired(number, frozenset(roles), frozenset(outlets), active)


def register(carrier: Carrier) -> Register:
    with carrier.workspace.store.transaction() as tx:
        return Register.of(tx, None)


def test_a_staff_list_adds_changes_and_suspends(carrier: Carrier) -> None:
    size = carrier.size()
    lines = [hired("n-1", "courier", outlets=("O1",)), hired("c-1", "courier", "clerk", outlets=("O1", "O2"))]
    assert staff.put(carrier.log, carrier.scenes, lines) == (1, 1)
    assert staff.put(carrier.log, carrier.scenes, lines) == (0, 0)
    assert staff.put(carrier.log, carrier.scenes, [hired("n-1", "courier", active=False)]) == (0, 1)
    entries = carrier.entries("staff", since=size)
    assert [(e.action, e.roles) for e in entries] == [  # type: ignore[union-attr]
        ("added", ("courier",)),
        ("changed", ("clerk", "courier")),
        ("suspended", ("courier",)),
    ]
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).opened


@pytest.mark.parametrize(
    "roles",
    [
        ("policy_author", "policy_approver"),
        ("auditor", "salt_keeper"),
        ("administrator", "approver"),
        ("administrator", "auditor"),
        ("analyst", "approver"),
        ("courier", "salt_keeper", "clerk", "auditor"),
    ],
)
def test_t10_exclusive_duties_are_two_peoples(carrier: Carrier, roles: tuple[str, ...]) -> None:
    size = carrier.size()
    with pytest.raises(PolicyError, match="at once"):
        staff.put(carrier.log, carrier.scenes, [hired("n-1", "courier"), hired("n-2", *roles)])
    assert carrier.size() == size  # all of a list, or nothing
    assert register(carrier).member("n-1") is STRANGER


def test_t10_duties_cannot_be_added_up_one_by_one(carrier: Carrier) -> None:
    staff.put(carrier.log, carrier.scenes, [hired("pa-1", "policy_author", "clerk")])
    with pytest.raises(PolicyError, match="at once"):
        staff.put(carrier.log, carrier.scenes, [hired("pa-1", "policy_author", "policy_approver")])
    staff.put(carrier.log, carrier.scenes, [hired("pa-1", "policy_approver")])  # another duty instead
    assert register(carrier).member("pa-1").roles == {"policy_approver"}


@pytest.mark.parametrize(
    "line",
    [
        hired("", "courier"),
        hired("x" * 65, "courier"),
        hired("a\nb", "courier"),
        hired("\ud800", "courier"),
        hired("n-1"),
        hired("n-1", "couriar"),
        hired("n-1", "courier", outlets=("",)),
        hired("n-1", "courier", outlets=("O 1",)),
        hired("n-1", "courier", outlets=("欧阳娜娜",)),
        hired("n-1", "courier", outlets=("13812345678",)),
        hired("n-1", "courier", outlets=("desk-13812345678",)),
    ],
)
def test_lines_that_are_none(carrier: Carrier, line: Hired) -> None:
    size = carrier.size()
    with pytest.raises(PolicyError):
        staff.put(carrier.log, carrier.scenes, [line])
    assert carrier.size() == size


@pytest.mark.parametrize(
    "device", ["", " ", "a b", "\0", "x" * 65, "\ud800", "张三的手机", "13812345678", "pda-13812345678", "-x", "x\n"]
)
def test_device_ids_that_might_say_whose_they_are(carrier: Carrier, device: str) -> None:
    size = carrier.size()
    with pytest.raises(PolicyError):
        staff.enrol(carrier.log, "c-1", device)
    assert carrier.size() == size


def test_serial_numbers_are_device_ids(carrier: Carrier) -> None:
    for device in ("862345678901234", "PDA-7", "00:1A:2B:3C:4D:5E", "310-A12/desk_3"):
        assert len(staff.enrol(carrier.log, "c-1", device)) == 32


def test_t1_a_device_belongs_to_one(carrier: Carrier) -> None:
    with pytest.raises(PolicyError, match="somebody else"):
        staff.enrol(carrier.log, "c-2", "d-c-1")
    staff.withdraw(carrier.log, "d-c-1")
    key = staff.enrol(carrier.log, "c-2", "d-c-1")
    now = register(carrier)
    assert now.enrolled(now.member("c-2"), "d-c-1", key)
    assert not now.enrolled(now.member("c-1"), "d-c-1", key)
    assert not now.enrolled(now.member("c-1"), "d-c-1", carrier.keys["c-1"])
    actions = [(e.action, e.device) for e in carrier.entries("staff")][-2:]  # type: ignore[union-attr]
    assert actions == [("withdrawn", "d-c-1"), ("enrolled", "d-c-1")]


@pytest.mark.parametrize("key", [b"", bytes(32), b"x" * 31, b"x" * 33, b"x" * 1_000_000])
def test_t1_wrong_keys(carrier: Carrier, key: bytes) -> None:
    now = register(carrier)
    assert not now.enrolled(now.member("c-1"), "d-c-1", key)
    assert not now.enrolled(STRANGER, "d-c-1", carrier.keys["c-1"])
    assert not now.enrolled(STRANGER, "no-such", key)


def test_unknown_people_and_devices(carrier: Carrier) -> None:
    size = carrier.size()
    for attempt in (
        lambda: staff.enrol(carrier.log, "nobody", "pda-1"),
        lambda: staff.withdraw(carrier.log, "pda-none"),
        lambda: staff.forget(carrier.log, "nobody"),
    ):
        with pytest.raises(PolicyError):
            attempt()
    assert carrier.size() == size


def test_t7_who_was_forgotten_is_nobody(carrier: Carrier) -> None:
    carrier.look("c-1", "deliver", carrier.numbers[:1])
    (look,) = carrier.entries("look")
    handle = look.actor  # type: ignore[union-attr]
    assert register(carrier).by_handle(handle).number == "c-1"
    staff.forget(carrier.log, "c-1")
    now = register(carrier)
    assert now.by_handle(handle) is STRANGER
    assert "d-c-1" not in now.devices
    staff.put(carrier.log, carrier.scenes, [hired("c-1", "courier", outlets=("O1",))])
    assert register(carrier).member("c-1").handle != handle


def test_the_log_knows_handles_only(carrier: Carrier) -> None:
    """Staff numbers stand in the register, and nowhere in the log."""
    handles = {e.target for e in carrier.entries("staff")}  # type: ignore[union-attr]
    assert len(handles) == len(STAFF)
    assert all(handle.startswith("s-") and len(handle) == 14 for handle in handles)
    log = b"".join(path.read_bytes() for path in carrier.log.folder.rglob("*") if path.is_file())
    for number in ROLES:
        assert f'"{number}"'.encode() not in log


def test_a_desk_sees_changes_of_another_process_at_once(carrier: Carrier) -> None:
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).opened
    with carrier.open() as other:
        staff.put(other.log, carrier.scenes, [hired("c-1", "courier", outlets=("O1",), active=False)])
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).answers[0].answer == "refused"


def test_members_are_what_was_written() -> None:
    row = staff.StaffRow("s-1", "n", "clerk courier", "A B", True)
    assert Register([row], []).member("n") == Member(
        "s-1", "n", frozenset({"clerk", "courier"}), frozenset({"A", "B"}), True
    )
    suspended = msgspec.structs.replace(row, active=False)
    assert not Register([suspended], []).member("n").active


@pytest.mark.parametrize("number", ["customer", "Customer ", "客户", "C-1", " c-1"])
def test_t2_numbers_that_work_events_would_confuse(carrier: Carrier, number: str) -> None:
    with pytest.raises(PolicyError):
        staff.put(carrier.log, carrier.scenes, [Hired(number, frozenset({"courier"}), frozenset({"O1"}))])
