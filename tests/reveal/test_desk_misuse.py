"""Misuse: what attackers and the curious ask the desk for, what they get, and what the log then knows."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from parcelveil.event import BizStep, Work, work_batch
from parcelveil.reveal import staff
from parcelveil.reveal.custody import micros
from parcelveil.reveal.request import Answers, Secret
from reveal.conftest import (
    AT_O2,
    CLOSED_TICKET,
    LEFT_O1,
    NOON,
    NOWHERE,
    OWN_TICKET,
    TICKETED,
    WITH_C1,
    WITH_C2,
    Carrier,
    Opened,
)


def said(answers: Answers) -> set[tuple[str, str]]:
    return {(a.answer, a.reason) for a in answers.answers}


def refused(carrier: Carrier, opened: Opened, answers: Answers, answer: str, reason: str) -> None:
    """Nothing was opened, and the log says what was asked."""
    assert said(answers) == {(answer, reason)}
    assert opened.calls == 0
    assert all(a.values is None for a in answers.answers)
    entries = [e for e in carrier.entries("refusal") if e.request == answers.request]
    assert sum(e.waybills for e in entries) == len(answers.answers)  # type: ignore[union-attr]
    assert {(e.answer, e.reason) for e in entries} == {(answer, reason)}  # type: ignore[union-attr]
    assert carrier.balanced() == 0


# -- whose parcels -------------------------------------------------------------------------------------------


def test_t1_a_courier_asks_for_another_routes_parcels(carrier: Carrier, opened: Opened) -> None:
    answers = carrier.look("c-1", "deliver", carrier.numbers[WITH_C2])
    refused(carrier, opened, answers, "not-in-custody", "custody-missing")


def test_t2_a_courier_mixes_another_routes_parcels_among_his_own(carrier: Carrier) -> None:
    mine, his = carrier.numbers[WITH_C1][:30], carrier.numbers[WITH_C2][:30]
    mixed = [number for pair in zip(mine, his, strict=True) for number in pair]
    answers = carrier.look("c-1", "deliver", mixed)
    assert [a.answer for a in answers.answers] == ["opened", "not-in-custody"] * 30
    assert carrier.balanced() == 60


def test_t2_a_clerk_asks_for_another_outlets_parcels(carrier: Carrier, opened: Opened) -> None:
    answers = carrier.look("k-1", "deliver", carrier.numbers[AT_O2])
    refused(carrier, opened, answers, "not-in-custody", "custody-missing")


def test_t6_replay_of_an_outlets_parcels_that_left_an_hour_ago(carrier: Carrier, opened: Opened) -> None:
    left = carrier.numbers[LEFT_O1]
    answers = carrier.look("k-1", "deliver", left)
    refused(carrier, opened, answers, "not-in-custody", "custody-missing")


def test_t6_replay_of_a_request_after_the_parcel_was_delivered(carrier: Carrier, opened: Opened) -> None:
    number = carrier.numbers[0]
    request = carrier.request("c-1", "deliver", [number])
    assert carrier.desk.look(request).opened
    carrier.clock.pass_(minutes=10)
    done = Work(
        event_id="d", event_time=NOON + timedelta(minutes=5), biz_step=BizStep.DELIVERED, waybill_no=number, outlet="O1"
    )
    with carrier.open() as other:  # the loading process is another
        other.custody.load([work_batch([done])], now=micros(carrier.clock.wall))
    assert said(carrier.desk.look(request)) == {("not-in-custody", "custody-missing")}
    assert opened.calls == 1


@pytest.mark.parametrize("ticket", ["", OWN_TICKET, CLOSED_TICKET, "T-404", "13812345678"])
def test_t1_tickets_that_explain_nothing(carrier: Carrier, opened: Opened, ticket: str) -> None:
    """None, his own, a closed one, one that is none."""
    answers = carrier.look("cs-1", "contact", carrier.numbers[TICKETED], "to_phone", ticket=ticket)
    refused(carrier, opened, answers, "not-in-custody", "custody-missing")
    assert b"13812345678" not in carrier.everything_written()


def test_his_own_ticket_is_good_for_a_colleague(carrier: Carrier) -> None:
    number = carrier.numbers[TICKETED][0]
    assert carrier.look("cs-2", "contact", [number], "to_phone", ticket=OWN_TICKET).opened


def test_t8_a_parcel_that_exists_is_not_told_from_one_that_does_not(carrier: Carrier) -> None:
    there, not_there = carrier.numbers[NOWHERE][0], "JT0000000000000"
    answers = carrier.look("c-1", "deliver", [there, not_there]).answers
    assert len({(a.answer, a.reason, a.rules) for a in answers}) == 1


# -- who -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"device": "pda-made-up"}, "device-not-enrolled"),
        ({"device": ""}, "device-not-enrolled"),
        ({"device": "d-c-2"}, "device-not-enrolled"),
        ({"device_key": Secret(bytes(32))}, "device-not-enrolled"),
        ({"device_key": Secret(b"")}, "device-not-enrolled"),
        ({"device_key": Secret(b"x" * 1_000_000)}, "device-not-enrolled"),
        ({"device": "13812345678"}, "device-not-enrolled"),
        ({"role": "clerk"}, "role-not-held"),
        ({"role": "administrator"}, "role-not-held"),
        ({"role": "13812345678"}, "unknown-role"),
        ({"outlet": "O2"}, "outlet-not-held"),
        ({"outlet": ""}, "outlet-not-held"),
        ({"outlet": "13812345678"}, "outlet-not-held"),
        ({"actor": "nobody"}, "staff-inactive"),
        ({"actor": "13812345678"}, "staff-inactive"),
        ({"actor": "c-2"}, "device-not-enrolled"),
        ({"scene": "print"}, "unknown-scene"),
        ({"scene": "delivr"}, "unknown-scene"),
        ({"scene": "13812345678"}, "unknown-scene"),
        ({"fields": ("to_nmae",)}, "unknown-field"),
        ({"fields": ("to_name", "13812345678")}, "unknown-field"),
        ({"fields": ("to_name", "waybill_no")}, "unknown-field"),
        ({"fields": ("to_name", "sender_id_no")}, "field-outside-scene"),
        ({"fields": ("to_name",) * 70}, "unknown-field"),
        ({"fields": ()}, "field-missing"),
        ({"form": "13812345678"}, "unknown-form"),
        ({"form": "raw"}, "unknown-form"),
    ],
)
def test_t1_forged_requests(carrier: Carrier, opened: Opened, changed: dict[str, Any], reason: str) -> None:
    request = msgspec.structs.replace(carrier.request("c-1", "deliver", carrier.numbers[:3]), **changed)
    answers = carrier.desk.look(request)
    assert {a.answer for a in answers.answers} == {"refused"}
    assert all(reason in a.rules for a in answers.answers)
    refused(carrier, opened, answers, "refused", answers.answers[0].reason)
    assert b"13812345678" not in carrier.everything_written()


def test_t1_a_colleagues_device_with_its_right_key(carrier: Carrier, opened: Opened) -> None:
    key = Secret(carrier.keys["c-2"])
    answers = carrier.look("c-1", "deliver", carrier.numbers[:3], device="d-c-2", device_key=key)
    refused(carrier, opened, answers, "refused", "device-not-enrolled")
    (entry,) = carrier.entries("refusal")
    assert entry.device == "d-c-2"  # type: ignore[union-attr]  # whose it is, the register knows


def test_t1_a_withdrawn_device(carrier: Carrier, opened: Opened) -> None:
    staff.withdraw(carrier.log, "d-c-1")
    answers = carrier.look("c-1", "deliver", carrier.numbers[:3])
    refused(carrier, opened, answers, "refused", "device-not-enrolled")


def test_t1_an_old_key_after_the_device_was_enrolled_anew(carrier: Carrier, opened: Opened) -> None:
    carrier.keys["new"] = staff.enrol(carrier.log, "c-1", "d-c-1")
    refused(carrier, opened, carrier.look("c-1", "deliver", carrier.numbers[:1]), "refused", "device-not-enrolled")
    assert carrier.look("c-1", "deliver", carrier.numbers[:1], device_key=Secret(carrier.keys["new"])).opened


def test_t1_suspended_and_forgotten_staff(carrier: Carrier, opened: Opened) -> None:
    refused(carrier, opened, carrier.look("gone-1", "deliver", carrier.numbers[:3]), "refused", "staff-inactive")
    staff.forget(carrier.log, "c-1")
    answers = carrier.look("c-1", "deliver", carrier.numbers[:3])
    assert {a.answer for a in answers.answers} == {"refused"}
    assert carrier.entries("refusal")[-1].actor == "?"  # type: ignore[union-attr]
    assert opened.calls == 0


def test_t1_full_values_where_the_scene_shows_masks(carrier: Carrier, opened: Opened) -> None:
    answers = carrier.look("cs-1", "lookup", carrier.numbers[:3], form="full")
    refused(carrier, opened, answers, "refused", "form-outside-scene")


# -- hostile sizes and texts ---------------------------------------------------------------------------------


def test_t1_too_many_at_once(carrier: Carrier, opened: Opened) -> None:
    answers = carrier.look("c-1", "deliver", (carrier.numbers[WITH_C1] * 2)[:101])
    refused(carrier, opened, answers, "refused", "batch-too-large")


@pytest.mark.parametrize("count", [10_001, 100_000, 120_000])
def test_t1_hundred_thousand_waybills_in_one_request(carrier: Carrier, opened: Opened, count: int) -> None:
    """No source is asked; the log says how many, and names the first five hundred."""

    class NotAsked:
        def find(self, waybill_no: list[str], columns: list[str]) -> pa.RecordBatch:
            assert not waybill_no
            return carrier.source.find([], columns)

    desk = carrier.workspace.desk(NotAsked())  # type: ignore[arg-type]
    answers = desk.look(carrier.request("c-1", "deliver", [f"YT{i}" for i in range(count)]))
    assert len(answers.answers) == min(count, 100_000)
    assert said(answers) == {("refused", "batch-too-large")}
    entries = carrier.entries("refusal")
    assert sum(e.waybills for e in entries) == count  # type: ignore[union-attr]
    assert sum(len(e.subjects) for e in entries) == 500  # type: ignore[union-attr]
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).opened


HOSTILE = [
    "\ud800", "\0", "a\0b", "x" * 1_000_000, "  YT1", "YT1\n", "\u202eYT1", "\x1b[31m", "' OR 1=1 --", "{0}", "{file}", "%s%n",
    "../../etc/passwd", "李" * 64, "𓀀" * 64, "\u2028",
]  # fmt: skip


@pytest.mark.parametrize(
    "place", ["actor", "role", "outlet", "device", "scene", "form", "ticket", "document", "approval"]
)
def test_hostile_words_in_every_place(carrier: Carrier, opened: Opened, place: str) -> None:
    request = carrier.request("c-1", "deliver", carrier.numbers[:1])
    for text in HOSTILE:
        answers = carrier.desk.look(msgspec.structs.replace(request, **{place: text}))
        if place not in ("ticket", "document", "approval"):  # deliver needs none of these
            assert {a.answer for a in answers.answers} == {"refused"}, text
    if place not in ("ticket", "document", "approval"):
        assert opened.calls == 0
    carrier.balanced()
    written = carrier.everything_written()
    for text in ("' OR 1=1", "passwd", "李李李李", "𓀀𓀀", "%s%n", "x" * 65):
        assert text.encode() not in written


def test_hostile_waybills_and_fields(carrier: Carrier) -> None:
    answers = carrier.look("c-1", "deliver", [*HOSTILE, carrier.numbers[0]])
    assert [a.answer for a in answers.answers] == ["not-in-custody"] * len(HOSTILE) + ["opened"]
    assert {a.answer for a in carrier.look("c-1", "deliver", carrier.numbers[:1], *HOSTILE).answers} == {"refused"}
    wrong_types = carrier.request("c-1", "deliver", [1, None, b"YT1", carrier.numbers[0]])  # type: ignore[list-item]
    assert [a.answer for a in carrier.desk.look(wrong_types).answers] == ["not-in-custody"] * 3 + ["opened"]
    assert carrier.balanced() == 4


@pytest.mark.parametrize(
    "changed", [{"device_key": None}, {"device_key": Secret(7)}, {"fields": (["to_name"],)}, {"actor": {}}]
)  # type: ignore[arg-type]
def test_odd_objects_in_a_request_harm_nobody_else(carrier: Carrier, changed: dict[str, Any]) -> None:
    good = carrier.request("c-1", "deliver", carrier.numbers[:1])
    odd = msgspec.structs.replace(good, **changed)
    first, second, third = carrier.desk._run([good, odd, good])
    assert isinstance(first, Answers) and first.opened
    assert isinstance(third, Answers) and third.opened
    assert isinstance(second, Exception) or {a.answer for a in second.answers} == {"refused"}  # type: ignore[attr-defined]
    assert len(carrier.entries("look")) == 2
    assert len(carrier.entries("refusal")) == 1
    assert carrier.balanced() == 4


@pytest.mark.parametrize("changed", [{"waybills": None}, {"waybills": "YT1"}, {"fields": ["to_name"]}])
def test_what_is_no_request_does_not_come_to_the_desk(carrier: Carrier, changed: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        carrier.desk.look(msgspec.structs.replace(carrier.request("c-1", "deliver", []), **changed))


def test_the_same_waybill_a_hundred_times(carrier: Carrier) -> None:
    answers = carrier.look("c-1", "deliver", [carrier.numbers[0]] * 100)
    assert answers.opened
    assert answers.left == 200
    assert carrier.balanced() == 200


# -- what must never be written down -------------------------------------------------------------------------


def test_t10_nothing_personal_and_nothing_typed_is_written(carrier: Carrier) -> None:
    """Numbers, names and addresses typed into every place, and values opened, searched for and masked: none is there."""
    phone, name, road = "13912340987", "欧阳娜娜", "文三路18弄3号楼501室"
    for typed in (phone, name, road):
        for place in ("actor", "role", "outlet", "device", "scene", "form", "ticket", "document", "approval"):
            request = carrier.request("c-1", "deliver", carrier.numbers[:2])
            carrier.desk.look(msgspec.structs.replace(request, **{place: typed}))
            carrier.desk.explain(msgspec.structs.replace(request, **{place: typed}))
        carrier.look("c-1", "deliver", [typed, carrier.numbers[0]])
        carrier.look("c-1", "deliver", carrier.numbers[:1], typed)
        with pytest.raises(Exception, match="not approved"):
            carrier.desk.approve(typed, carrier.who("ap-1", device=typed, role=typed))
    carrier.search("inv-1", phone)
    carrier.search("inv-1", carrier.cell(carrier.numbers[5], "to_phone") or "")
    mine = carrier.look("c-1", "deliver", carrier.numbers[:20], "to_name", "to_phone", "to_address", "note")
    assert mine.opened
    carrier.look("c-1", "deliver", carrier.numbers[:20], "to_name", form="masked")
    written = carrier.everything_written()
    for text in (phone, name, road):
        assert text.encode() not in written
    for answer in mine.answers:
        assert answer.waybill.encode() not in written
        for value in (answer.values or {}).values():
            if value and len(value) > 2:  # two characters occur by chance
                assert value.encode() not in written
                assert value.removeprefix("+86").encode() not in written


# -- two processes -------------------------------------------------------------------------------------------

_USES = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
import pyarrow as pa
from reveal.conftest import Carrier, Made
rows = [pa.ipc.open_file(str(Path({at!r}) / name)).get_batch(0) for name in ("clear", "sealed")]
carrier = Carrier(Made(Path({folder!r}), *rows, {keys!r}), Path({folder!r}))
Path({at!r}, "ready-" + sys.argv[1]).touch()
while not Path({at!r}, "go").exists():
    time.sleep(0.001)
answers = carrier.look("an-1", "export", carrier.numbers[:5], approval={approval!r})
print(sorted({{(a.answer, a.reason) for a in answers.answers}}))
"""


def test_t1_an_approval_used_by_two_processes_at_once(carrier: Carrier, tmp_path: Path) -> None:
    for name, batch in (("clear", carrier.clear), ("sealed", carrier.sealed)):
        with pa.ipc.new_file(tmp_path / name, batch.schema) as writer:
            writer.write_batch(batch)
    approval = carrier.look("an-1", "export", carrier.numbers[:5]).approval
    carrier.desk.approve(approval, carrier.who("ap-1"))
    script = _USES.format(
        tests=str(Path(__file__).parent.parent),
        at=str(tmp_path),
        folder=str(carrier.folder),
        keys=carrier.keys,
        approval=approval,
    )
    pair = [
        subprocess.Popen([sys.executable, "-c", script, str(i)], stdout=subprocess.PIPE, text=True) for i in range(2)
    ]
    while len(list(tmp_path.glob("ready-*"))) < 2:
        assert all(process.poll() is None for process in pair)
    (tmp_path / "go").touch()
    heard = sorted(process.communicate(timeout=60)[0] for process in pair)
    assert heard == ["[('opened', '')]\n", "[('refused', 'approval-used')]\n"]
    assert carrier.balanced() == 10
