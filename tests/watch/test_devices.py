"""New devices, two places at once, and devices that several accounts share."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.watch.devices import LEARN, Devices, Presence, Seen
from parcelveil.watch.known_pairs import KnownPairs, pair_keys
from watch.looks_made import HOUR, Looks, midnight, register

PEOPLE = 80
OUTLET = np.arange(PEOPLE) // 8
START = 20_000
KNOWN = register(PEOPLE, outlet=OUTLET, region=OUTLET // 5)
NEW = 5_000


def seen(looks: Looks) -> Seen:
    presence = Presence()
    presence.feed(looks.accesses())
    return presence.seen()


def usual(day: int, rng: np.random.Generator) -> Looks:
    """Everybody on the own device; a shelf of handhelds at each outlet, that somebody else takes each day."""
    looks = Looks(day, PEOPLE, outlet=OUTLET).add(np.repeat(np.arange(PEOPLE), rng.poisson(1.0, PEOPLE)))
    shelf = rng.integers(0, PEOPLE, 20)
    for who in shelf.tolist():
        device = 1_000 + 3 * int(OUTLET[who]) + int(rng.integers(3))
        looks.add(who, 8, device=device, settled=2)
        looks.add(who, int(rng.poisson(0.4)), device=device)
    return looks


def taught(days: int = 24, seed: int = 1, known=KNOWN) -> tuple[Devices, np.random.Generator, list]:  # type: ignore[no-untyped-def]
    rng, detector, found = np.random.default_rng(seed), Devices(), []
    for day in range(START, START + days):
        looks = usual(day, rng)
        found.append(detector.score(looks.rows(), seen(looks), known))
    return detector, rng, found


def test_usual_days_are_quiet() -> None:
    for seed in range(4):
        _, _, found = taught(40, seed)
        assert max(day.device.score.max() for day in found[14:]) < 5.5
        assert max(day.places.score.max() for day in found[14:]) < 5.5
        assert max(day.shared.score.max() for day in found[14:]) < 5.5
        assert not any(day.signals for day in found)


def test_t1_a_rented_account_on_a_new_device() -> None:
    detector, rng, _ = taught()
    scores = []
    for day in range(START + 24, START + 34):
        looks = usual(day, rng).add(17, 12, device=NEW, network=900)
        found = detector.score(looks.rows(), seen(looks), KNOWN)
        scores.append(found.device.of(17)[2])
        assert set(looks.parts[-1]["id"]) == set(found.device.rows[found.device.offsets[17] : found.device.offsets[18]])
    assert min(scores) > 4, "it does not teach its own device"


def test_a_new_device_with_work_becomes_known() -> None:
    detector, rng, _ = taught()
    for day in range(START + 24, START + 30):
        looks = usual(day, rng).add(17, 40, device=NEW, settled=2).add(17, 2, device=NEW)
        last = detector.score(looks.rows(), seen(looks), KNOWN)
    assert last.device.of(17)[2] == 0
    assert (17 << 32 | NEW) in detector.known()[0].tolist()


def test_t1_the_owner_and_the_renter_at_the_same_time() -> None:
    detector, rng, _ = taught()
    looks = usual(START + 24, rng).add(17, 40, device=NEW, network=900)
    found = detector.score(looks.rows(), seen(looks), KNOWN)
    assert found.places.of(17)[0] >= 10
    assert found.places.of(17)[2] > 6
    assert sum(found.places.score > 3) == 1


def test_a_habit_of_two_devices_is_none() -> None:
    rng, detector = np.random.default_rng(4), Devices()
    for day in range(START, START + 60):
        looks = usual(day, rng)
        looks.add(
            3, 50, device=3_003, network=777, settled=2, time=midnight(day) + 9 * HOUR + np.arange(50) * 576_000_000
        )
        found = detector.score(looks.rows(), seen(looks), KNOWN)
    assert found.places.of(3)[0] > 20
    assert found.places.of(3)[2] < 2, found.places.of(3)


def test_t1_several_accounts_on_one_strange_device() -> None:
    detector, rng, _ = taught()
    looks = usual(START + 24, rng)
    for who in (5, 30, 61):
        looks.add(who, 5, device=NEW)
    found = detector.score(looks.rows(), seen(looks), KNOWN)
    assert {who for who in range(PEOPLE) if found.shared.of(who)[2] > 5} == {5, 30, 61}
    assert found.shared.of(5)[0] == 15, "what all of them looked at"


def test_t1_several_accounts_behind_one_strange_network() -> None:
    detector, rng, _ = taught()
    looks = usual(START + 24, rng)
    for who in (5, 30, 61):
        looks.add(who, 5, network=901)
    found = detector.score(looks.rows(), seen(looks), KNOWN)
    assert {who for who in range(PEOPLE) if found.shared.of(who)[2] > 5} == {5, 30, 61}


def test_two_accounts_of_one_owner_are_one_person() -> None:
    owner = np.full(PEOPLE, -1)
    owner[[5, 6]] = 3
    known = KNOWN._replace(owner=owner)
    detector, rng, _ = taught(known=known)
    looks = usual(START + 24, rng).add(np.repeat([5, 6], 5), device=NEW)
    assert detector.score(looks.rows(), seen(looks), known).shared.score.max() < 3


def test_t1_many_proxies() -> None:
    detector, rng, _ = taught()
    looks = usual(START + 24, rng).add(np.full(30, 40), network=2_000 + np.arange(30), settled=1)
    found = detector.score(looks.rows(), seen(looks), KNOWN)
    assert found.places.of(40)[2] > 6


def test_t1_devices_of_two_regions_within_minutes_are_proof() -> None:
    detector, rng, _ = taught()
    times = midnight(START + 24) + 9 * HOUR + np.arange(20) * 20 * 60_000_000
    looks = usual(START + 24, rng).add(5, 20, device=70, settled=2, time=times)
    looks.add(5, 20, device=6, settled=2, time=times + 1_000_000)
    looks.add(12, 20, device=14, settled=2, time=times).add(12, 20, device=12, settled=2, time=times)
    signals = detector.score(looks.rows(), seen(looks), KNOWN).signals
    assert [(signal.subject, signal.name) for signal in signals] == [(5, "places")]
    assert midnight(START + 24) + 9 * HOUR < signals[0].time < midnight(START + 24) + 11 * HOUR


def test_nothing_is_said_while_everything_is_new() -> None:
    _, _, found = taught(LEARN)
    assert all(day.device.score.max() == 0 and day.places.score.max() == 0 for day in found)


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 200), max_size=6), seed=st.integers(0, 100))
def test_presence_does_not_depend_on_parts(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    looks = Looks(START, 4, busy=20).add(
        rng.integers(0, 4, 100), device=rng.integers(-1, 3, 100), network=rng.integers(0, 2, 100)
    )
    whole, table = seen(looks), looks.accesses()
    parts = Presence()
    edges = [0, *sorted(min(cut, len(table)) for cut in cuts), len(table)]
    for since, until in itertools.pairwise(edges):
        parts.feed(table.slice(since, until - since))
    for one, other in zip(whole, parts.seen(), strict=True):
        assert (one == other).all()
    assert whole.looks.sum() == len(table)


def test_pairs_need_days_with_reasons_and_are_forgotten() -> None:
    pairs, keys = KnownPairs(), pair_keys(np.array([1, 2]), np.array([10, 20]))
    for day in (1, 2):
        pairs.learn(day, keys, np.array([10, 10]), np.repeat(keys[1:], 6), np.array([True, True]))
    assert pairs.has(keys).tolist() == [True, False]
    assert pairs.knows(np.array([1, 2, 3])).tolist() == [True, False, False]
    pairs.learn(80, keys[:0], np.zeros(0), keys[:0], np.zeros(0, bool))
    assert not pairs.has(keys).any()


@pytest.mark.parametrize("strangers", [0, 4])
def test_a_home_is_where_a_device_has_long_been(strangers: int) -> None:
    pairs = KnownPairs()
    for day in range(8):
        owners = np.array([1] if day >= strangers else [1, 2])
        keys = pair_keys(owners, np.full(len(owners), 7))
        pairs.learn(day, keys, np.full(len(keys), 5), keys[:0], np.ones(len(keys), bool))
    assert pairs.home(np.array([7, 8])).tolist() == [-1 if strangers else 1, -1]
