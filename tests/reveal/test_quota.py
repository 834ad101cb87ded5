"""Quotas: by person and by outlet, whatever the device, the process, or the hour the clock was turned to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from parcelveil.audit.entry import KeyEvent
from parcelveil.errors import PolicyError
from parcelveil.reveal import staff
from parcelveil.reveal.request import Secret
from parcelveil.reveal.staff import Hired
from reveal.conftest import AT_O2, WITH_C1, Carrier, Opened


def spend(carrier: Carrier, number: str = "c-1", **changed: object) -> list[str]:
    """Three full batches, and one waybill more: the answers."""
    mine = carrier.numbers[WITH_C1]
    said = []
    for waybills in (mine, mine, mine, mine[:1]):
        answers = carrier.look(number, "deliver", waybills, form="masked", **changed)
        said.append("/".join(sorted({a.answer for a in answers.answers})))
    return said


SPENT = ["opened", "opened", "opened", "over-quota"]


def test_the_day_has_an_end_and_so_has_the_quota(carrier: Carrier) -> None:
    assert spend(carrier) == SPENT
    carrier.clock.pass_(hours=3, minutes=59)  # 23:59 where the carrier is
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).answers[0].answer == "over-quota"
    carrier.clock.pass_(minutes=1)
    answers = carrier.look("c-1", "deliver", carrier.numbers[:1])
    assert answers.opened
    assert answers.left == 299


def test_all_or_none_of_a_request(carrier: Carrier) -> None:
    mine = carrier.numbers[WITH_C1]
    for waybills in (mine, mine, mine[:95]):
        carrier.look("c-1", "deliver", waybills, form="masked")
    refused = carrier.look("c-1", "deliver", mine[:6])
    assert ({a.answer for a in refused.answers}, refused.left) == ({"over-quota"}, 5)
    fits = carrier.look("c-1", "deliver", mine[:5])
    assert (fits.opened, fits.left) == (True, 0)


def test_refused_waybills_cost_nothing(carrier: Carrier) -> None:
    answers = carrier.look("c-1", "deliver", carrier.numbers[AT_O2] + carrier.numbers[:1], form="masked")
    assert answers.left is None  # too many
    answers = carrier.look("c-1", "deliver", carrier.numbers[AT_O2][:99] + carrier.numbers[:1], form="masked")
    assert answers.left == 299


def test_t1_a_quota_is_the_persons_whatever_the_device(carrier: Carrier) -> None:
    devices = {f"pda-{i}": staff.enrol(carrier.log, "c-1", f"pda-{i}") for i in range(4)}
    mine = carrier.numbers[WITH_C1]
    said = []
    for device, key in devices.items():
        answers = carrier.look("c-1", "deliver", mine, form="masked", device=device, device_key=Secret(key))
        said.append(answers.answers[0].answer)
    assert said == SPENT


def test_t1_a_quota_is_the_persons_whatever_the_process(carrier: Carrier) -> None:
    with carrier.open() as other:
        desk = other.desk(carrier.source)
        request = carrier.request("c-1", "deliver", carrier.numbers[WITH_C1], form="masked")
        said = [(carrier.desk, desk)[i % 2].look(request).answers[0].answer for i in range(4)]
    assert said == SPENT


def test_t1_one_group_cannot_overdraw(carrier: Carrier, opened: Opened) -> None:
    request = carrier.request("c-1", "deliver", carrier.numbers[WITH_C1])
    answers = carrier.desk._run([request] * 5)
    assert [a.answers[0].answer for a in answers] == [*SPENT, "over-quota"]  # type: ignore[union-attr]
    assert carrier.balanced() == opened.values == 600


def test_an_outlet_has_a_quota_of_its_own(carrier: Carrier) -> None:
    """Twenty couriers of one outlet, each within their own."""
    couriers = [f"c-{i}" for i in range(10, 32)]
    at = {number: Hired(number, frozenset({"courier"}), frozenset({"O1"})) for number in couriers}
    staff.put(carrier.log, carrier.scenes, at.values())
    with carrier.log.begin() as batch:
        batch.tx.use("outlet:O1", "deliver", batch.day, 5_950)
        batch.tx.use("outlet:O1", "contact", batch.day, 1_999)
        batch.append(KeyEvent(time=batch.time, action="log-read"))
    mine = carrier.numbers[WITH_C1]
    assert carrier.look("c-1", "deliver", mine[:51]).answers[0].answer == "over-quota"
    assert carrier.look("c-1", "deliver", mine[:50]).opened
    assert carrier.look("c-2", "deliver", carrier.numbers[100:101]).answers[0].answer == "over-quota"
    assert carrier.look("k-2", "deliver", carrier.numbers[AT_O2][:1]).opened  # another outlet's
    assert carrier.look("c-2", "contact", carrier.numbers[100:101], "to_phone").opened
    assert carrier.look("c-2", "contact", carrier.numbers[100:101], "to_phone").answers[0].answer == "over-quota"


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=400), timedelta(hours=13)])
def test_t1_turning_the_clock_forward_opens_no_new_day(carrier: Carrier, jump: timedelta) -> None:
    assert spend(carrier) == SPENT
    carrier.clock.wall += jump
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).answers[0].answer == "over-quota"
    carrier.clock.pass_(minutes=30)
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).answers[0].answer == "over-quota"
    assert "clock-held" in [getattr(e, "action", "") for e in carrier.entries("key")]


def test_t1_turning_the_clock_back_gives_nothing_back(carrier: Carrier) -> None:
    """Back before midnight, and forth again: the day that was used up stays so, and time never runs back."""
    carrier.clock.pass_(hours=4)
    assert spend(carrier) == SPENT
    for _ in range(3):
        carrier.clock.wall -= timedelta(hours=30)
        assert carrier.look("c-1", "deliver", carrier.numbers[:1]).answers[0].answer == "over-quota"
        carrier.clock.wall += timedelta(hours=30)
        assert carrier.look("c-1", "deliver", carrier.numbers[:1]).answers[0].answer == "over-quota"
    times = [e.time for e in carrier.entries()]
    assert times == sorted(times)


def test_t1_creeping_with_the_clock_gains_a_tenth_at_most(carrier: Carrier) -> None:
    """A clock turned forward again and again: in 24 hours of uptime no third day begins."""
    days = set()
    for _ in range(48):
        carrier.clock.wall += timedelta(hours=12)
        carrier.clock.since_boot += 30 * 60 * 1_000_000
        carrier.look("c-1", "deliver", carrier.numbers[:1])
        with carrier.log.begin() as batch:
            days.add(batch.day)
    assert len(days) <= 3
    assert max(days) - min(days) <= 2


def test_a_limit_for_today(carrier: Carrier) -> None:
    staff.set_limit(carrier.log, "c-1", "deliver", 2)
    assert carrier.look("c-1", "deliver", carrier.numbers[:2]).left == 0
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).answers[0].answer == "over-quota"
    staff.set_limit(carrier.log, "c-1", "deliver", 0)
    staff.set_limit(carrier.log, "c-1", "contact", 400)
    carrier.clock.pass_(days=1)
    assert carrier.look("c-1", "deliver", carrier.numbers[:1]).left == 299
    assert [(e.scene, e.limit) for e in carrier.entries("quota")] == [  # type: ignore[union-attr]
        ("deliver", 2),
        ("deliver", 0),
        ("contact", 400),
    ]


def test_what_is_no_scene_or_limit_is_not_set_and_not_logged(carrier: Carrier) -> None:
    for scene, limit in (("13812345678", 5), ("deliver", -1), ("deliver", 100_001)):
        with pytest.raises(PolicyError):
            staff.set_limit(carrier.log, "c-1", scene, limit)
    with pytest.raises(PolicyError):
        staff.set_limit(carrier.log, "nobody", "deliver", 1)
    assert carrier.entries("quota") == []
    assert b"13812345678" not in carrier.everything_written()
