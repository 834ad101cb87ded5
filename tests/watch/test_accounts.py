"""Accounts that slept, that have just changed, and those of people about to leave."""

from __future__ import annotations

import numpy as np

from parcelveil.watch.accounts import Lifecycle
from parcelveil.watch.exports import Exports
from watch.looks_made import DAY, HOUR, Looks, midnight, register

PEOPLE = 200
START = 20_000


def run(days: int, more=None, people=PEOPLE, known=None, seed: int = 1, exports=None, absent=()):  # type: ignore[no-untyped-def]
    """The scores of each day; everybody has about one look without a reason a day."""
    rng, detector, exporter, result = np.random.default_rng(seed), Lifecycle(), Exports(), []
    known = known if known is not None else register(people, opened_at=0)
    for passed in range(days):
        day = START + passed
        there = np.array(
            [one for one in range(people) if not any(one == who and since <= passed < to for who, since, to in absent)]
        )
        looks = Looks(day, there).add(np.repeat(there, rng.poisson(1.0, len(there))))
        if more is not None and more(passed):
            who, count = more(passed)
            looks.add(np.full(count, who))
        if exports is not None and exports(passed):
            who, records = exports(passed)
            looks.export(np.array([who]), np.array([records]))
        rows = looks.rows()
        result.append(detector.score(rows, known, exporter.score(rows)))
    return result


def test_t1_a_woken_account_that_looks_without_reason() -> None:
    found = run(40, lambda passed: (7, 12) if passed == 38 else None, absent=[(7, 3, 38)])
    value, expected, score = found[38][0].of(7)
    assert (value >= 12) and expected < 4 and score > 2
    assert len(found[38][0].signals(2.0)) == 1
    assert all(day[0].score.max() == 0 for day in found[:38])


def test_somebody_back_from_a_long_leave_is_left_in_peace() -> None:
    found = run(44, absent=[(7, 3, 38)])
    assert max(day[0].of(7)[2] for day in found) < 1.5
    assert max(day[0].score.max() for day in found) < 1.5


def test_a_new_account_does_not_sleep_and_an_old_one_never_seen_does() -> None:
    opened = np.zeros(PEOPLE, np.int64)
    opened[8] = midnight(START + 34)
    burst = [(7, 0, 35), (8, 0, 35)]
    for who, slept in ((7, True), (8, False)):
        found = run(36, lambda passed, who=who: (who, 10) if passed == 35 else None,
                    known=register(PEOPLE, opened_at=opened), absent=burst)  # fmt: skip
        assert (found[35][0].of(who)[2] > 2) is slept


def test_t1_a_changed_account_for_three_days_and_no_longer() -> None:
    changed = np.full(PEOPLE, np.iinfo(np.int64).min)
    changed[5] = midnight(START + 20) + 10 * HOUR
    changed[6] = midnight(START + 20) + 10 * HOUR
    known = register(PEOPLE, changed_at=changed)
    found = run(28, lambda passed: (5, 9) if passed >= 19 else None, known=known)
    assert found[19][1].of(5)[2] == 0, "before the change"
    assert found[21][1].of(5)[2] > 3
    assert found[25][1].of(5)[2] == 0, "long after it"
    assert max(day[1].of(6)[2] for day in found) < 1.5, "whoever changes a password is not suspected for it"


def test_t2_exports_and_looks_before_the_last_day() -> None:
    leaves = np.full(PEOPLE, np.iinfo(np.int64).min)
    leaves[[3, 4, 9]] = midnight(START + 40)
    known = register(PEOPLE, leaves_at=leaves)
    found = run(36, lambda passed: (3, 8) if passed > 30 else None, known=known,
                exports=lambda passed: (4, 30_000) if passed == 33 else None)  # fmt: skip
    leaving = found[33][2]
    assert leaving.of(3)[2] > 2 and leaving.of(4)[2] > 2
    assert max(day[2].of(9)[2] for day in found) < 2, "leaving is no offence"
    assert set(np.flatnonzero(leaving.score).tolist()) <= {3, 4, 9}


def test_a_day_on_which_everybody_has_more_is_nobodys() -> None:
    leaves = register(PEOPLE, leaves_at=midnight(START + 40))
    rng, detector = np.random.default_rng(2), Lifecycle()
    for passed in range(30):
        rate = 8.0 if passed == 29 else 1.0
        looks = Looks(START + passed, PEOPLE).add(np.repeat(np.arange(PEOPLE), rng.poisson(rate, PEOPLE)))
        found = detector.score(looks.rows(), leaves)[2]
    assert found.score.max() < 3.5


def test_rows_are_the_days_and_times_lie_after_settlement() -> None:
    found = run(40, lambda passed: (7, 12) if passed == 38 else None, absent=[(7, 3, 38)])
    (signal,) = found[38][0].signals(2.0)
    assert len(signal.rows) >= 12
    assert signal.time == midnight(START + 39) + 12 * HOUR
    assert signal.day * DAY < signal.time
