"""Scrapers and lists of passwords are told, offices, gateways and merchants are not."""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.watch.outside import Outside
from parcelveil.watch.weblog import REQUESTS

DAY = 86_400_000_000
START = 20_000
BLOCKS = 1_500  # issued, most of them in part


class Web:
    """A tracking page with about 6,000 customers a day, and 600 of the staff who log in."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.used = self.rng.integers(100, 1000, BLOCKS)
        self.day = START
        self.parts: list[dict[str, np.ndarray]] = []

    def exists(self, serial: np.ndarray) -> np.ndarray:
        block = serial // 1000
        return (block < BLOCKS) & (serial % 1000 < self.used[np.minimum(block, BLOCKS - 1)])

    def real(self, size: int) -> np.ndarray:
        block = self.rng.integers(0, BLOCKS, size)
        return block * 1000 + self.rng.integers(0, self.used[block])

    def mistyped(self, serial: np.ndarray, share: float = 0.03) -> np.ndarray:
        wrong = self.rng.random(len(serial)) < share
        return np.where(wrong, self.rng.integers(0, 10**9, len(serial)), serial)

    def add(self, size: int, **columns: object) -> Web:
        given: dict[str, object] = {
            "time": np.sort(self.rng.integers(8 * 3600, 22 * 3600, size)) * 1_000_000, "agent": 1, "user": "", "serial": -1,
            "status": 200, "kind": "track", "network": "n", "address": 0,
        } | columns  # fmt: skip
        if "address" not in columns:  # a machine a network
            given["address"] = [
                zlib.crc32(str(one).encode()) for one in np.atleast_1d(np.asarray(given["network"])).tolist()
            ]
        if "status" not in columns and given["kind"] == "track":
            given["status"] = np.where(self.exists(np.asarray(given["serial"])), 200, 404)
        self.parts.append({name: np.broadcast_to(np.asarray(value), size) for name, value in given.items()})
        return self

    def customers(self, size: int = 6000) -> Web:
        who = self.rng.integers(0, 3000, size)
        serial = self.mistyped(self.real(size))
        return self.add(
            size,
            network=np.char.add("c", who.astype(str)),
            address=who,
            serial=serial,
            agent=self.rng.choice(5, size) + 1,
        )

    def staff(self) -> Web:
        people = np.arange(600)
        network = np.char.add("office", (people // 20).astype(str))
        agent = people % 3 + 1
        wrong = self.rng.random(600) < 0.05
        base = self.rng.integers(7 * 3600, 10 * 3600, 600) * 1_000_000
        names = np.char.add("a", people.astype(str))
        self.add(int(wrong.sum()), kind="login", time=base[wrong], user=names[wrong], status=401, network=network[wrong],
                 agent=agent[wrong])  # fmt: skip
        return self.add(600, kind="login", time=base + 20_000_000, user=names, network=network, agent=agent)

    def table(self) -> pa.Table:
        """The day so far; a new one begins."""
        columns = {name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]}
        self.parts = []
        size = len(columns["time"])
        order = np.argsort(columns["time"], kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
        columns["time"] = columns["time"] + self.day * DAY - 8 * 3_600_000_000
        self.day += 1
        text = {name: pa.array(columns[name].astype(object), pa.string()) for name in ("network", "user", "kind")}
        text["user"] = pa.array([None if user == "" else user for user in columns["user"].tolist()], pa.string())
        made = []
        for field in REQUESTS:
            if field.name in text:
                made.append(
                    text[field.name].cast(field.type) if field.name != "user" else text["user"].dictionary_encode()
                )
            elif field.name in columns:
                made.append(pa.array(columns[field.name].astype(np.int64)).cast(field.type))
            else:
                made.append(pa.nulls(size, field.type))
        return pa.Table.from_arrays(made, schema=REQUESTS)


def usual(seed: int, days: int = 10) -> tuple[Web, Outside]:
    web, outside = Web(seed), Outside()
    for _ in range(days):
        assert outside.day(web.day, web.customers().staff().table()) == []
    return web, outside


def told(web: Web, outside: Outside) -> list:  # type: ignore[type-arg]
    day = web.day
    return outside.day(day, web.customers().staff().table())


def subjects(signals: list) -> list:  # type: ignore[type-arg]
    return [(signal.subject_kind, signal.subject, signal.name) for signal in signals]


# -- nobody is told of ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_usual_days_are_quiet_from_the_first(seed: int) -> None:
    usual(seed, 14)


def test_a_promotion_with_three_times_the_visitors_is_quiet() -> None:
    web, outside = usual(1)
    for _ in range(3):
        assert outside.day(web.day, web.customers(18_000).staff().table()) == []


def test_an_office_with_two_hundred_customers_behind_one_address_is_quiet() -> None:
    web, outside = usual(2)
    for _ in range(5):
        web.add(400, network="nat", address=7, serial=web.mistyped(web.real(400), 0.05))
        assert told(web, outside) == []


def test_a_mobile_carriers_gateway_is_quiet_also_when_it_is_new() -> None:
    web, outside = usual(3)
    for _ in range(5):
        web.add(5000, network="cgnat", address=web.rng.integers(0, 8, 5000), serial=web.mistyped(web.real(5000), 0.04))
        names = np.char.add("a", web.rng.integers(0, 600, 300).astype(str))
        web.add(300, kind="login", network="cgnat", user=names, status=np.where(web.rng.random(300) < 0.08, 401, 200))
        assert told(web, outside) == []


def test_a_merchant_polling_his_own_numbers_is_quiet_also_when_he_is_new() -> None:
    web, outside = usual(4)
    for passed in range(6):
        own = 700_000 + np.arange(300 * passed, 300 * passed + 1200)  # 1200 parcels under way, in walking order
        web.used[700 : 700 + 5] = 1000
        for hour in range(9, 21, 2):
            web.add(1200, network="shop", address=3, kind="api", serial=own, status=200,
                    time=hour * 3_600_000_000 + np.arange(1200) * 500_000, agent=9)  # fmt: skip
        assert told(web, outside) == []


def test_buyers_who_ask_before_the_parcel_is_posted_are_quiet() -> None:
    web, outside = usual(5)
    for _ in range(4):
        who = web.rng.integers(0, 3000, 60)
        serial = 1_499_000 + web.rng.permutation(1000)[:60]
        web.add(
            60, network=np.char.add("c", who.astype(str)), serial=serial, status=404, agent=web.rng.choice(5, 60) + 1
        )
        assert told(web, outside) == []


def test_a_network_named_as_known_is_never_told() -> None:
    web, outside = Web(6), Outside(known=["shop"])
    assert (
        outside.day(START, web.customers().add(5000, network="shop", serial=np.arange(5000) + 3000, status=404).table())
        == []
    )


def test_an_office_where_everybody_forgets_the_new_password_is_quiet() -> None:
    web, outside = usual(7)
    names = np.char.add("a", np.arange(20).astype(str))
    times = 8 * 3_600_000_000 + np.arange(20) * 60_000_000
    web.add(20, kind="login", network="office0", user=names, status=401, time=times)
    web.add(20, kind="login", network="office0", user=names, status=401, time=times + 20_000_000)
    assert told(web, outside) == []


# -- scrapers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_t8_a_walk_from_one_network_is_told_within_minutes(seed: int) -> None:
    web, outside = usual(seed + 10)
    serial = 400_000 + np.cumsum(web.rng.integers(1, 4, 1500))
    web.add(1500, network="evil", serial=serial, time=12 * 3_600_000_000 + np.arange(1500) * 1_000_000)
    signals = told(web, outside)
    assert ("network", "evil", "scraping") in subjects(signals)
    (signal,) = [one for one in signals if one.subject == "evil"]
    assert len(signal.rows) < 1000
    assert signal.p < 1e-9 and signal.value > signal.expected
    assert {one.subject_kind for one in signals} == {"network"}, "one attack is not told three times"


def test_t8_a_walk_through_full_blocks_only_is_told_later() -> None:
    web, outside = usual(20)
    web.used[:] = 1000
    web.add(
        4000, network="evil", serial=300_000 + np.arange(4000), time=10 * 3_600_000_000 + np.arange(4000) * 2_000_000
    )
    signals = told(web, outside)
    assert subjects(signals) == [("network", "evil", "scraping")]
    assert signals[0].value == 2000


def test_t8_a_machine_behind_a_gateway_is_found_in_its_network() -> None:
    web, outside = usual(21)
    web.add(6000, network="cgnat", address=web.rng.integers(100, 200, 6000), serial=web.mistyped(web.real(6000)))
    web.add(150, network="cgnat", address=999, serial=web.rng.integers(0, 1_500_000, 150))
    assert ("network", "cgnat", "scraping") in subjects(told(web, outside))


def test_t8_rotating_proxies_that_walk_together() -> None:
    web, outside = usual(22)
    web.used[:] = 1000
    networks = np.char.add("p", web.rng.integers(0, 400, 800).astype(str))
    web.add(800, network=networks, serial=200_000 + np.arange(800), agent=3,
            time=10 * 3_600_000_000 + np.arange(800) * 20_000_000)  # fmt: skip
    signals = told(web, outside)
    assert signals and all(signal.subject_kind == "system" and "tracking" in str(signal.subject) for signal in signals)


def test_t8_rotating_proxies_and_agents_that_guess() -> None:
    web, outside = usual(23)
    networks = np.char.add("p", web.rng.integers(0, 500, 1500).astype(str))
    web.add(1500, network=networks, serial=web.rng.integers(0, 1_500_000, 1500), agent=web.rng.choice(5, 1500) + 1)
    signals = told(web, outside)
    assert signals and {signal.subject_kind for signal in signals} == {"system"}


def test_t8_proxies_that_take_blocks_in_any_order() -> None:
    web, outside = usual(24)
    web.used[:] = 1000
    serial = web.rng.permutation(200_000 + np.arange(500))
    networks = np.char.add("p", web.rng.integers(0, 400, 500).astype(str))
    web.add(500, network=networks, serial=serial, agent=4)
    signals = told(web, outside)
    assert signals and signals[0].subject == "tracking agent 0000000000000004"


def test_t8_what_cannot_be_seen_is_said() -> None:
    """Proxies without number, numbers known to exist, at customers' times with their agents: the docstring says so."""
    web, outside = usual(25)
    networks = np.char.add("p", np.arange(400).astype(str))
    web.add(400, network=networks, serial=web.real(400), agent=web.rng.choice(5, 400) + 1)
    assert told(web, outside) == []


def test_a_scraper_does_not_teach_what_is_usual() -> None:
    web, outside = usual(26)
    for _ in range(10):
        web.add(1000, network="evil", serial=web.rng.integers(0, 1_500_000, 1000))
        assert ("network", "evil", "scraping") in subjects(told(web, outside))


# -- passwords ------------------------------------------------------------------------------------------------------------


def attempts(web: Web, size: int, networks: int, agent: object, fits: int) -> list[str]:
    """Tries accounts by a list; the last ``fits`` of them let it in."""
    who = np.char.add("a", web.rng.permutation(600)[:size].astype(str))
    status = np.where(np.arange(size) >= size - fits, 200, 401)
    network = np.char.add("evil", web.rng.integers(0, networks, size).astype(str))
    web.add(size, kind="login", user=who, status=status, network=network, agent=agent)
    return who[size - fits :].tolist()


def test_t1_a_list_from_one_network_and_the_account_it_got() -> None:
    web, outside = usual(30)
    got = attempts(web, 200, 1, 3, 2)
    signals = told(web, outside)
    assert ("network", "evil0", "stuffing") in subjects(signals)
    assert {signal.subject for signal in signals if signal.subject_kind == "actor"} == set(got)
    assert min(signal.time for signal in signals) == next(s.time for s in signals if s.subject == "evil0")
    assert len(next(s.rows for s in signals if s.subject == "evil0")) < 40


def test_t1_a_list_from_many_networks_with_one_agent() -> None:
    web, outside = usual(31)
    got = attempts(web, 400, 200, 7, 3)
    signals = told(web, outside)
    assert ("system", "login agent 0000000000000007", "stuffing") in subjects(signals)
    assert {signal.subject for signal in signals if signal.subject_kind == "actor"} <= set(got)


def test_t1_a_list_from_many_networks_with_everybodys_agents() -> None:
    web, outside = usual(32)
    attempts(web, 400, 400, web.rng.choice(3, 400) + 1, 0)
    signals = told(web, outside)
    assert signals and {signal.subject_kind for signal in signals} == {"system"}


def test_t1_many_passwords_for_one_account() -> None:
    web, outside = usual(33)
    web.add(60, kind="login", user="a17", status=401, network=np.char.add("evil", np.arange(60).astype(str)), agent=8)
    assert ("actor", "a17", "stuffing") in subjects(told(web, outside))


def test_a_person_on_the_way_who_forgot_his_password_is_not_under_attack() -> None:
    web, outside = usual(34)
    web.add(6, kind="login", user="a17", status=[401] * 5 + [200], network="hotel")
    assert told(web, outside) == []


def test_failures_without_a_name_count_too() -> None:
    web, outside = usual(35)
    web.add(300, kind="login", status=401, network="evil")
    assert ("network", "evil", "stuffing") in subjects(told(web, outside))


# -- running --------------------------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0.05, 1.0))
def test_the_first_hours_of_a_day_say_the_same_without_the_rest(seed: int, share: float) -> None:
    web, outside = Web(seed), Outside()
    outside.day(web.day, web.customers(2000).staff().table())
    web.add(800, network="evil", serial=100_000 + np.arange(800) * 2)
    attempts(web, 300, 3, 3, 4)
    day, table = web.day, web.customers(3000).staff().table()
    part = table.slice(0, int(share * len(table)))
    end = part["time"].to_numpy().max()
    whole, early = outside.look(day, table), outside.look(day, part)
    assert len(whole) >= 2
    expected = [signal for signal in whole if signal.time < end]
    found = [signal for signal in early if signal.time < end]
    assert [signal[:9] for signal in found] == [signal[:9] for signal in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.rows == other.rows).all()


def test_no_requests_at_all() -> None:
    assert Outside().day(START, REQUESTS.empty_table()) == []


def test_rows_are_positions_in_the_table_as_it_came() -> None:
    web, outside = usual(40)
    web.add(500, network="evil", serial=web.rng.integers(0, 1_500_000, 500))
    day, table = web.day, web.customers().table()
    table = table.take(np.random.default_rng(1).permutation(len(table)))
    (signal,) = outside.day(day, table)
    assert set(table.take(signal.rows)["network"].to_pylist()) == {"evil"}
    assert table.take(signal.rows)["time"].to_numpy().max() == signal.time
