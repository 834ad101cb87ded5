"""All statistics of conduct together: every account of the day has each, however accesses came in."""

from __future__ import annotations

import numpy as np

from parcelveil.watch.alerts import DETECTORS
from parcelveil.watch.conduct import NAMES, Conduct
from watch.looks_made import Looks, register

START = 20_000
PEOPLE = 40
OUTLET = np.arange(PEOPLE) // 8


def days(count: int) -> list[Looks]:
    rng = np.random.default_rng(1)
    made = []
    for passed in range(count):
        looks = Looks(START + passed, PEOPLE, outlet=OUTLET).add(np.repeat(np.arange(PEOPLE), rng.poisson(1.0, PEOPLE)))
        made.append(looks.add(7, 9, device=500) if passed > 15 else looks)
    return made


def test_every_account_of_a_day_has_every_statistic() -> None:
    conduct = Conduct(register(PEOPLE, outlet=OUTLET))
    for looks in days(18):
        conduct.feed(looks.accesses())
        found = conduct.score(looks.rows())
        assert [scores.name for scores in found] == list(NAMES)
        for scores in found:
            assert scores.subject.tolist() == list(range(PEOPLE))
            assert np.isfinite(scores.score).all() and (scores.score >= 0).all()
            assert (scores.time > (looks.day + 1) * 86_400_000_000 - 480 * 60_000_000).all()
    assert set(NAMES) <= set(DETECTORS)
    assert found[NAMES.index("device")].of(7)[2] > 3


def test_parts_and_order_of_accesses_make_no_difference() -> None:
    whole, parts = (Conduct(register(PEOPLE, outlet=OUTLET)) for _ in range(2))
    for looks in days(18):
        accesses = looks.accesses()
        whole.feed(accesses)
        shuffled = accesses.take(np.random.default_rng(looks.day).permutation(len(accesses)))
        for since in range(0, len(shuffled), 700):
            parts.feed(shuffled.slice(since, 700))
        for one, other in zip(whole.score(looks.rows()), parts.score(looks.rows()), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one[3:], other[3:], strict=True))
    for one, other in zip(whole.known_devices(), parts.known_devices(), strict=True):
        assert np.array_equal(one, other)


def test_accesses_of_a_settled_day_are_passed_over() -> None:
    conduct = Conduct(register(PEOPLE, outlet=OUTLET))
    first, second = days(2)
    conduct.feed(first.accesses())
    conduct.score(first.rows())
    conduct.feed(first.accesses())
    conduct.feed(second.accesses())
    conduct.score(second.rows())
    assert len(conduct.known_devices()[0]) == PEOPLE
