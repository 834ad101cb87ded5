"""Peak, outage, reorganisation, complaint waves, joiners and leavers: they are there, and do what they say."""

from __future__ import annotations

import numpy as np

from parcelveil.event import BizStep
from parcelveil.simulate.carrier import rows
from parcelveil.simulate.carrier.rows import STEP
from parcelveil.simulate.carrier.run import Carrier
from simulate.carrier.days import Made, Onlooker, carrier

HOUR = 3_600_000_000


def test_a_peak_triples_what_is_posted() -> None:
    world, made, _ = carrier(3)
    posted = np.array([(day.work["step"] == STEP[BizStep.POSTED]).sum() for day in made])
    peak = world.calendar.peak
    calm = [n for n in range(12) if not peak <= n <= peak + 3]
    assert 2.2 < posted[peak] / posted[calm].mean() < 4.0
    temporary = world.account.temporary
    assert temporary.any()
    assert made[peak + 1].duty[temporary].mean() > 0.8
    assert not made[peak - 2].duty[temporary].any()
    usual = (
        (world.account.role == rows.COURIER)
        & ~temporary
        & (world.account.first_day < 0)
        & (world.account.last_day > 50)
    )
    assert made[peak].duty[usual].mean() > made[0].duty[usual].mean()


def test_in_an_outage_scans_are_lost_or_come_late_and_looks_go_on() -> None:
    for seed in (1, 2, 3):
        world, made, _ = carrier(seed)
        outage = next(it for it in world.calendar.outages if it.region >= 0)
        inside = np.flatnonzero((world.outlet_region == outage.region) & (world.outlet_kind == 0))
        day, calm = made[outage.day], made[outage.day - 1]
        begin, end = outage.start * 60_000_000, outage.end * 60_000_000
        looks = np.isin(day.access["outlet"], inside) & (day.access["time"] > day.midnight + begin)
        assert (looks & (day.access["time"] < day.midnight + end)).sum() > 50

        assert late_share(day, inside, begin, end) > 0.9
        assert late_share(calm, inside, begin, end) < 0.3


def late_share(day: Made, outlets: np.ndarray, begin: int, end: int) -> float:
    """Of the couriers' scans between two times of the day, those told more than 20 minutes later."""
    work, margin = day.work, 15 * 60_000_000
    at = np.isin(work["step"], [STEP[BizStep.DELIVERED], STEP[BizStep.OUT_FOR_DELIVERY]]) & np.isin(
        work["outlet"], outlets
    )
    at &= (work["time"] >= day.midnight + begin + margin) & (work["time"] < day.midnight + end - margin)
    assert at.sum() > 20
    return float((work["received"][at] - work["time"][at] > HOUR // 3).mean())


def test_reorganisation_moves_people_and_areas() -> None:
    world, made, _ = carrier(4, 400, 10)
    when, moves = world.calendar.reorganisation, world.calendar.moves
    assert 0 < when < 10 and moves
    merged = next(move for move in moves if move.share == 1.0)
    at = world.account.outlet == merged.old
    assert at.any()
    assert (made[when - 1].outlet[at] == merged.old).all()
    assert (made[when].outlet[at] == merged.new).all()
    last = made[-1]
    assert not (last.parcels.dest == merged.old).any()
    assert (made[when - 1].parcels.dest == merged.old).any()


def test_complaint_waves_and_bulk_reprints_are_bursts() -> None:
    waves = prints = 0
    for seed in range(6):
        run = Carrier(seed, 300, 6, attackers=[onlooker := Onlooker()])
        for _ in run:
            pass
        world = run.world
        for day in onlooker.made:
            service = day.access["actor"][world.account.role[day.access["actor"]] == rows.SERVICE]
            most = np.bincount(service).max(initial=0)
            if any(it.day == day.number for it in world.calendar.waves):
                waves += most > 20
            labels = day.access["actor"][(day.access["action"] == rows.PRINT) & (day.access["channel"] == rows.LABEL)]
            for burst in world.calendar.reprints:
                if burst.day == day.number:
                    prints += np.bincount(labels).max() >= min(burst.size, 40)
    assert waves >= 3
    assert prints >= 3


def test_accounts_come_and_go() -> None:
    noticed, joiners, followed, twos = [], 0, 0, 0
    for seed in range(10, 16):
        onlooker = Onlooker()
        run = Carrier(seed, 400, 4, attackers=[onlooker])
        for _ in run:
            pass
        account = run.world.account
        dormant = account.last_day < 0
        assert dormant.any()
        assert not any(day.duty[dormant].any() for day in onlooker.made)
        left = (account.last_day >= 0) & (account.last_day < 4) & ~account.temporary
        # Whoever leaves a route is followed by somebody; others are not.
        followed += int((left & (account.role == rows.COURIER)).sum())
        noticed += (account.leaves[left] >= 0).tolist()
        joiners += int(((account.first_day > 0) & ~account.temporary).sum())
        assert (account.changed >= account.opened).all()
        twice = account.owner != np.arange(run.world.accounts)
        assert (account.role[twice] == rows.CLERK).all()
        twos += int(twice.sum())
    assert 0.3 < np.mean(noticed) < 1.0  # most gave notice, some just stayed away
    assert joiners == followed > 5
    assert len(noticed) >= followed
    assert twos > 5


def test_training_follows_a_colleague() -> None:
    world, made, _ = carrier(3)
    day = made[world.calendar.peak]
    new = np.flatnonzero(
        day.duty & (world.account.first_day >= day.number - 5) & (world.account.first_day <= day.number)
    )
    looks = day.access["actor"]
    own = day.work["waybill"][np.isin(day.work["actor"], new)]
    foreign = [(~np.isin(day.access["waybill"][looks == who], own)).sum() for who in new if (looks == who).any()]
    assert foreign and max(foreign) > 5


def test_stand_ins_are_told_late_or_never() -> None:
    """Out for delivery in the name of the colleague who is away, while somebody else delivers."""
    _, made, _ = carrier(2)
    late = never = 0
    for day in made:
        work = day.work
        assigned = work["step"] == STEP[BizStep.ROUTE_ASSIGNED]
        late += (assigned & (work["time"] > day.midnight + 10 * HOUR)).sum()
        morning = assigned & (work["time"] < day.midnight + 10 * HOUR)
        never += (~day.duty[work["actor"][morning]]).sum()
    assert late > 3
    assert never > late  # those of whom it learns late are told of wrongly in the morning as well


def test_some_clocks_are_off_and_some_scanners_late() -> None:
    skews = np.abs(np.concatenate([Carrier(seed, 1_000, 1).world.device_skew for seed in range(5)]))
    assert 0.01 < (skews > 50_000_000).mean() < 0.08
    assert 0.0003 < (skews >= HOUR).mean() < 0.006
    _, made, _ = carrier(1)
    late = np.concatenate([day.work["received"] - day.work["time"] for day in made])
    assert 0.002 < (late > HOUR).mean() < 0.12
    assert late.max() < 20 * HOUR


def test_a_short_run_has_an_outage_and_nothing_else() -> None:
    world = Carrier(1, 60, 2).world
    assert world.calendar.peak == world.calendar.reorganisation == -1
    assert world.calendar.outages
