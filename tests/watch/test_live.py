"""Limits of a running day: hard ones before anything is known, then the account's own."""

from __future__ import annotations

import numpy as np

from parcelveil.watch.live import Live
from parcelveil.watch.usual import HARD, LIVE, Shelf, Usual
from watch.days_made import DAY, Made

NOBODY = Shelf(np.zeros(0, np.int64), np.zeros(0, np.int64))
NUMBER = 20_000


def day(usual: Usual, limits: dict[str, np.ndarray], number: int = NUMBER, carried: float = 1.0) -> Live:
    return Live(number, limits, usual.fixed(), NOBODY, set(), 480, carried)


def test_before_anything_is_known_hard_limits_count() -> None:
    live, keys = day(Usual(), {}), np.arange(3)
    for name in LIVE:
        assert live.count_limit(name, keys).tolist() == [HARD[name]] * 3


def test_the_case_is_told_with_the_first_parcel_over_the_limit_and_once() -> None:
    made, live = Made(40), day(Usual(), {})
    rows = made.day(NUMBER, {4: 3_000}).rows
    first, rest = rows.slice(0, rows.num_rows - 50), rows.slice(rows.num_rows - 50)
    (signal,) = (one for one in live.take(first) if one.name == "bulk")
    assert (signal.subject, signal.value) == (4, HARD["actor.unexplained"] + 1)
    assert signal.time < rows["received"].to_numpy().max()
    assert [one for one in live.take(rest) if one.name == "bulk"] == []


def test_what_is_usual_raises_the_limit_and_a_surge_of_yesterday_too() -> None:
    made, usual = Made(40), Usual()
    for number in range(NUMBER, NUMBER + 10):
        rows, live = made.day(number, {7: 60}), day(usual, {}, number)
        live.take(rows.rows)
        usual.learn(live, rows.volume)
    limits = {name: np.full(40, 3.0) for name in LIVE}
    plain = day(usual, limits).count_limit("actor.unexplained", np.array([6, 7]))
    assert plain[1] > plain[0] + 30
    carried = day(usual, limits, carried=3.0).count_limit("actor.unexplained", np.array([6, 7]))
    assert (carried > plain).all()


def test_a_wild_day_hardly_changes_what_is_usual() -> None:
    made, usual = Made(40), Usual()
    for number in range(NUMBER, NUMBER + 10):
        rows, live = made.day(number, {7: 5000} if number == NUMBER + 9 else {}), day(usual, {}, number)
        live.take(rows.rows)
        usual.learn(live, rows.volume)
    assert usual.fixed().usual["actor.unexplained"][7] < 20


def test_a_device_is_new_only_to_accounts_whose_devices_are_known() -> None:
    shelf = Shelf(np.array([(1 << 32) | 5, (2 << 32) | 6]), np.array([(9 << 32) | 7]))
    actor, device, outlet = np.array([1, 1, 1, 3, 2]), np.array([5, 8, 7, 8, -1]), np.array([0, 0, 9, 0, 0])
    assert shelf.new(actor, device, outlet).tolist() == [False, True, False, False, False]


def test_surge_before_counts_what_had_come_in_by_then() -> None:
    made, usual = Made(40, rate=0.2), Usual()
    live = day(usual, {})
    live.take(made.day(NUMBER).rows)
    start = NUMBER * DAY - 480 * 60_000_000
    assert live.surge_before(start) == 1.0
    assert live.surge_before(start + DAY) > 2
