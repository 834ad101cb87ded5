"""Two accounts that share out what they look at."""

from __future__ import annotations

import numpy as np
import pytest

from parcelveil.watch.pairs import Pairs
from watch.looks_made import Looks

PEOPLE = 300
START = 20_000


def usual(day: int, rng: np.random.Generator) -> Looks:
    who = np.repeat(np.arange(PEOPLE), rng.poisson(1.5, PEOPLE))
    return Looks(day, PEOPLE).add(who, serial=rng.integers(0, 2_000_000, len(who)), time=_times(day, len(who), rng))


def _times(day: int, size: int, rng: np.random.Generator) -> np.ndarray:
    return day * 86_400_000_000 - 480 * 60_000_000 + rng.integers(9 * 3600, 17 * 3600, size) * 1_000_000


def run(seed: int, join=None, days: int = 14):  # type: ignore[no-untyped-def]
    rng, detector, highest = np.random.default_rng(seed), Pairs(), []
    for day in range(START, START + 14 + days):
        looks = usual(day, rng)
        if join is not None and day >= START + 14:
            join(looks, day, rng)
        scores = detector.score(looks.rows())
        highest.append(scores)
    return detector, highest


def halves(looks: Looks, day: int, rng: np.random.Generator) -> None:
    """Two who divide ten consecutive numbers a day between them."""
    base = int(rng.integers(0, 2_000_000))
    numbers = base // 50 * 50 + rng.permutation(50)[:10]
    looks.add(11, 5, serial=numbers[:5], time=_times(day, 5, rng))
    looks.add(222, 5, serial=numbers[5:], time=_times(day, 5, rng))


@pytest.mark.parametrize("seed", range(4))
def test_t2_complementary_halves_are_found_together(seed: int) -> None:
    _, quiet = run(seed + 50)
    usually = max(float(scores.score.max()) for scores in quiet[7:])
    detector, found = run(seed, halves)
    assert found[-1].of(11)[2] > usually
    assert found[-1].of(222)[2] > usually
    partner = detector.partner(11)
    assert partner is not None and partner.actor == 222 and partner.near > 5
    others = np.delete(found[-1].score, [11, 222])
    assert others.max() <= usually * 1.5 + 1


def test_two_at_the_same_parcels_do_not_share_out() -> None:
    def same(looks: Looks, day: int, rng: np.random.Generator) -> None:
        numbers = int(rng.integers(0, 40_000)) * 50 + np.arange(5)
        for who in (11, 222):
            looks.add(who, 5, serial=numbers, waybill=10**9 + numbers + day * 10**7, time=_times(day, 5, rng))

    _, apart = run(3, halves)
    _, together = run(3, same)
    assert together[-1].of(11)[2] < 0.6 * apart[-1].of(11)[2]


def test_t2_one_strange_device_ties_two_accounts() -> None:
    def device(looks: Looks, day: int, rng: np.random.Generator) -> None:
        for who in (11, 222):
            looks.add(who, 3, serial=rng.integers(0, 2_000_000, 3), device=7_777, time=_times(day, 3, rng))

    detector, found = run(5, device)
    partner = detector.partner(11)
    assert partner is not None and partner.actor == 222 and partner.things >= 1
    assert found[-1].of(11)[2] > 1.5


def test_nobody_there_and_nobody_with_enough() -> None:
    assert len(Pairs().score(Looks(START, np.zeros(0, int)).rows()).score) == 0
    assert Pairs().score(Looks(START, 5).add(np.arange(5)).rows()).score.max() == 0


def test_the_order_of_rows_makes_no_difference() -> None:
    rng = np.random.default_rng(8)
    days = [usual(START + passed, rng) for passed in range(6)]
    for looks in days:
        halves(looks, looks.day, rng)
    one, other = Pairs(), Pairs()
    for looks in days:
        rows = looks.rows()
        shuffled = rows._replace(rows=rows.rows.take(np.random.default_rng(1).permutation(len(rows.rows))))
        a, b = one.score(rows), other.score(shuffled)
    assert (a.score == b.score).all() and (a.rows == b.rows).all()
