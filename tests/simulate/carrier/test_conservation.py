"""What must hold in any carrier: parcels do not vanish or appear, nobody works when off duty, looks belong to tasks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from parcelveil.event import BizStep
from parcelveil.simulate.carrier import rows
from parcelveil.simulate.carrier.rows import STEP
from simulate.carrier.days import carrier, joined

SEEDS = (1, 2, 3)


def code(step: BizStep) -> int:
    return STEP[step]


@pytest.mark.parametrize("seed", SEEDS)
def test_looks_are_made_by_people_on_duty_at_their_place(seed: int) -> None:
    world, made, _ = carrier(seed)
    for day in made:
        looks = day.access
        who, true = looks["actor"], looks["time"] - world.device_skew[looks["device"]]
        assert day.duty[who].all()
        assert (true >= day.start[who]).all()
        assert (true <= day.end[who] + 15 * 60_000_000).all()  # what was begun is finished
        assert (looks["outlet"] == day.outlet[who]).all()
        assert (world.account.first_day[who] <= day.number).all()
        assert (world.account.last_day[who] >= day.number).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_work_is_done_by_people_on_duty(seed: int) -> None:
    _, made, _ = carrier(seed)
    held = (code(BizStep.ROUTE_ASSIGNED), code(BizStep.OUT_FOR_DELIVERY))  # these name the holder, who may be away
    for day in made:
        work = day.work
        at = np.flatnonzero((work["actor"] >= 0) & ~np.isin(work["step"], held))
        assert day.duty[work["actor"][at]].all()
        told = np.flatnonzero((work["actor"] >= 0) & (work["step"] == code(BizStep.OUT_FOR_DELIVERY)))
        away = ~day.duty[work["actor"][told]]
        assert away.mean() < 0.15


@pytest.mark.parametrize("seed", SEEDS)
def test_a_parcel_has_one_life(seed: int) -> None:
    _, made, _ = carrier(seed)
    ends: dict[int, int] = {}
    begins: dict[int, int] = {}
    for day in made:
        work = day.work
        for step, book in ((BizStep.POSTED, begins), (BizStep.DELIVERED, ends), (BizStep.RETURNED, ends)):
            for serial in work["waybill"][work["step"] == code(step)].tolist():
                assert serial not in book  # posted once; delivered or returned once
                book[serial] = day.number
        later = work["waybill"][np.isin(work["step"], [code(BizStep.OUT_FOR_DELIVERY), code(BizStep.ATTEMPTED)])]
        gone = [serial for serial in later.tolist() if ends.get(serial, day.number) < day.number]
        assert not gone
    assert all(ends[serial] >= begins[serial] for serial in ends if serial in begins)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_delivered_has_its_chain(seed: int) -> None:
    """All scans but those that were lost: 1 to 5 % at each station, more on the day of an outage."""
    world, made, _ = carrier(seed)
    seen: dict[int, set[int]] = {}
    for day in made:
        work = day.work
        for serial, step in zip(work["waybill"].tolist(), work["step"].tolist(), strict=True):
            seen.setdefault(serial, set()).add(step)
    young = {s for d in made for s in d.work["waybill"][d.work["step"] == code(BizStep.POSTED)].tolist()}
    done = [steps for serial, steps in seen.items() if serial in young and code(BizStep.DELIVERED) in steps]
    assert len(done) > 10_000
    for step in (BizStep.DEPARTED, BizStep.ARRIVED, BizStep.OUT_FOR_DELIVERY):
        assert 0.93 < np.mean([code(step) in steps for steps in done]) <= 1.0
    lost = 1 - np.mean([code(BizStep.OUT_FOR_DELIVERY) in steps for steps in done])
    assert 0.005 < lost < 0.07
    assert world.lost_share.min() > 0.009 and world.lost_share.max() < 0.051


@pytest.mark.parametrize("seed", SEEDS)
def test_parcels_are_neither_lost_nor_doubled(seed: int) -> None:
    world, made, _ = carrier(seed)
    dark = {outage.day for outage in world.calendar.outages}
    for before, after in pairwise(made):
        assert len(set(before.parcels.serial.tolist())) == len(before.parcels.serial)
        work = before.work
        over = set(work["waybill"][np.isin(work["step"], [code(BizStep.DELIVERED), code(BizStep.RETURNED)])].tolist())
        there = set(after.parcels.serial.tolist())
        missing = set(before.parcels.serial.tolist()) - there - over
        # Gone without a scan of it: lost scans only, many on the day of an outage.
        assert len(missing) < (0.6 if before.number in dark else 0.06) * len(over)
        assert not over & there


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_come_in_blocks(seed: int) -> None:
    """Two letters and 13 digits, a block of 1,000 has one issuer, and numbers of a block are issued from its beginning."""
    world, made, _ = carrier(seed)
    owner: dict[int, int] = {}
    for day in made:
        p = day.parcels
        for block, issuer in set(zip((p.serial // 1000).tolist(), p.issuer.tolist(), strict=True)):
            assert owner.setdefault(block, issuer) == issuer
    names = world.names.waybill.of(made[0].parcels.serial[:50]).to_pylist()
    assert all(len(name) == 15 and name[:2].isalpha() and name[2:].isdigit() for name in names)
    last = made[-1]
    day0 = made[0].parcels
    new = set(last.parcels.serial.tolist()) - set(day0.serial.tolist())
    by_block: dict[int, list[int]] = {}
    for day in made:
        for serial in day.parcels.serial.tolist():
            by_block.setdefault(serial // 1000, []).append(serial % 1000)
    full = [len(set(used)) / (max(used) + 1) for block, used in by_block.items() if min(used) == 0 and len(used) > 50]
    assert new and full and np.mean(full) > 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_a_route_has_one_holder_a_morning(seed: int) -> None:
    world, made, _ = carrier(seed)
    for day in made:
        work = day.work
        first = (work["step"] == code(BizStep.ROUTE_ASSIGNED)) & (work["time"] < day.midnight + 8 * 3_600_000_000)
        assert len(set(work["route"][first].tolist())) == first.sum()
        assert first.sum() > 0.9 * len(world.route_courier)  # but for those of a station in the dark


@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_comes_once_and_in_order(seed: int) -> None:
    _, made, ended = carrier(seed)
    for day in ended:
        for part in (day.access, day.work):
            assert (np.diff(part["received"]) >= 0).all()
            assert part["received"].min() >= day.midnight
            assert part["received"].max() < day.midnight + 86_400_000_000
    ids = dict(joined(ended, "access"))["id"]
    assert (np.diff(ids) > 0).all()
    scans = dict(joined(ended, "work"))["id"]
    assert len(np.unique(scans)) == len(scans)
    for kind in ("access", "work"):
        all_made = sum(getattr(day, kind).count for day in made)
        all_ended = sum(getattr(day, kind).count for day in ended)
        # What is told after the last day does not come; what was told late before the first day does.
        assert abs(all_made - all_ended) < 0.02 * all_made


def test_subseconds_say_nothing() -> None:
    _, _, ended = carrier(1)
    for kind in ("access", "work"):
        columns = dict(joined(ended, kind))
        for name in ("time", "received"):
            share = np.bincount(columns[name] % 1_000_000 // 100_000, minlength=10) / len(columns[name])
            assert abs(share - 0.1).max() < 0.01


def test_recipients_recur_and_live_in_one_area() -> None:
    _, made, _ = carrier(2)
    area: dict[int, int] = {}
    recipient: dict[int, int] = {}
    for day in made:
        p = day.parcels
        for serial, subject, aoi in zip(p.serial.tolist(), p.subject.tolist(), p.aoi.tolist(), strict=True):
            assert area.setdefault(subject, aoi) == aoi
            assert recipient.setdefault(serial, subject) == subject
    many = np.sort(np.unique(list(recipient.values()), return_counts=True)[1])[::-1]
    assert many[0] > 15
    assert many[: len(many) // 10].sum() > 0.25 * many.sum()


def test_roles_have_their_shares() -> None:
    world, _, _ = carrier(1)
    usual = (world.account.first_day < 0) & (world.account.last_day > 0)
    share = np.bincount(world.account.role[usual], minlength=8) / usual.sum()
    assert 0.62 < share[rows.COURIER] < 0.76
    assert 0.08 < share[rows.SORTER] < 0.16
    assert 0.07 < share[rows.CLERK] < 0.14
    assert (share > 0).all()
