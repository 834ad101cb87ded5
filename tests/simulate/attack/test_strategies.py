"""What each attacker does, seen from outside: in whose account, how many, when, which parcels, with what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parcelveil.event import BizStep
from parcelveil.simulate.attack.plan import catalogue
from parcelveil.simulate.attack.strategies import FROM_OUTSIDE
from parcelveil.simulate.carrier.rows import EXPORT, LOGIN, NOTFOUND, OK, ROLES, SEARCH, STEP
from simulate.attack.worlds import EVERYTHING, Ran, everything, run

HOUR = 3_600_000_000
QUIET = {"photographs", "bypass", *FROM_OUTSIDE}


@pytest.fixture(scope="module")
def ran() -> Ran:
    return everything()


def in_shift(deed: Any, slack: int = HOUR) -> Any:
    """By look: whether the account was at work, by a right clock."""
    who, rows = deed.acts.access["actor"], deed.acts.access
    moment = rows["received"]
    return deed.day.duty[who] & (moment >= deed.day.start[who] - slack) & (moment <= deed.day.end[who] + slack)


def test_every_strategy_and_level_does_something(ran: Ran) -> None:
    done = {(deed.attack) for deed in ran.crew.deeds}
    for agent in ran.crew.agents:
        name = agent.attack.strategy.name
        if name in ("photographs", "bypass"):
            assert agent.attack.number not in done
        else:
            assert agent.attack.number in done, (name, agent.knowledge)
        assert agent.taken > 0, (name, agent.knowledge)
    assert {agent.attack.strategy.name for agent in ran.crew.agents} == set(catalogue())


def test_accounts_fit_and_nobody_shares_one(ran: Ran) -> None:
    used: list[int] = []
    for agent in ran.crew.agents:
        used += agent.accounts.tolist()
        assert {ROLES[code] for code in ran.world.role[agent.accounts]} <= set(agent.attack.roles)
        assert len(agent.accounts) == (0 if agent.attack.strategy.name in FROM_OUTSIDE else agent.attack.accounts)
    assert len(used) == len(set(used))


def test_they_act_in_their_days_only(ran: Ran) -> None:
    for deed in ran.crew.deeds:
        agent = ran.crew.agents[deed.attack - 1]
        assert agent.attack.number == deed.attack
        assert agent.first <= deed.number < agent.attack.stop


@pytest.mark.parametrize("name", ["bulk", "slow", "below_threshold", "pair", "on_demand", "own_station"])
def test_who_knows_rules_stays_in_the_shift(ran: Ran, name: str) -> None:
    for level in (1, 2, 3):
        flags = np.concatenate([in_shift(deed) for deed in ran.of(name, level)])
        assert flags.mean() > 0.97, level


@pytest.mark.parametrize("name", ["bulk", "slow", "below_threshold", "on_demand", "own_station", "self_tickets"])
def test_everybody_at_his_desk_uses_his_own_device(ran: Ran, name: str) -> None:
    for deed in ran.of(name):
        rows, benign = deed.acts.access, deed.day.access
        for who in np.unique(rows["actor"]).tolist():
            own = benign["device"][(benign["actor"] == who) & (benign["mark"] < 0)]
            allowed = set(own.tolist()) | {int(ran.world.device[who]), int(ran.world.new_device[who])}
            assert set(rows["device"][rows["actor"] == who].tolist()) <= allowed


def test_knowledge_makes_a_walk_through_numbers_harder_to_see(ran: Ran) -> None:
    def nearby(level: int) -> float:
        shares = []
        for deed in ran.of("sequential", level):
            serial = deed.acts.access["waybill"][np.argsort(deed.acts.access["time"])]
            shares.append(float((np.diff(serial) == 1).mean()))
        return float(np.mean(shares))

    assert nearby(0) > 0.9 > 0.7 > nearby(1)
    assert np.median(np.diff(np.sort(ran.of("sequential", 0)[0].acts.access["received"]))) < 1.6e6


def test_t6_numbers_are_tried_that_do_not_exist(ran: Ran) -> None:
    for name in ("sequential", "in_block", "distributed"):
        outcome, waybill = ran.column("outcome", name), ran.column("waybill", name)
        subject, fields = ran.column("subject", name), ran.column("fields", name)
        assert set(np.unique(outcome)) <= {OK, NOTFOUND}
        assert 0.02 < (outcome == NOTFOUND).mean() < 0.8, name
        assert (waybill > 0).all()
        assert (subject[outcome == NOTFOUND] == -1).all()
        assert (fields[outcome == NOTFOUND] == 0).all()
    one = ran.of("in_block", 0)[0].acts.access["waybill"]
    assert len(np.unique(one // 1000)) <= 2
    assert len(np.unique(one)) == len(one)


def test_several_accounts_share_a_device_or_only_a_network(ran: Ran) -> None:
    for level, devices, networks in ((0, 1, 1), (1, 1, 1), (2, 5, 1), (3, 5, 5)):
        rows = [deed.acts.access for deed in ran.of("distributed", level)]
        columns = {
            name: np.unique(np.concatenate([one[name] for one in rows])) for name in ("actor", "device", "network")
        }
        assert len(columns["actor"]) == 5
        assert len(columns["device"]) == devices
        assert len(columns["network"]) == networks
        mine = np.concatenate([one["waybill"] for one in rows[:1]])
        assert len(np.unique(mine)) == len(mine)  # nobody does another's part


def test_a_phone_finds_its_parcels_or_nothing(ran: Ran) -> None:
    for deed in ran.of("by_phone"):
        rows = deed.acts.access
        assert (rows["action"] == SEARCH).all()
        missed = rows["outcome"] == NOTFOUND
        assert (rows["waybill"][missed] == -1).all()
        assert (rows["subject"][~missed] >= 0).all()
    missed = ran.column("outcome", "by_phone", 0) == NOTFOUND
    assert 0.15 < missed.mean() < 0.5


def test_t2_slow_ones_take_few_and_foreign_parcels(ran: Ran) -> None:
    for level in (0, 1, 2):
        deeds = ran.of("slow", level)
        assert np.concatenate([deed.foreign for deed in deeds]).min() == 1
        counts = [deed.acts.access.count for deed in deeds if deed.acts.access.count]
        assert 5 < np.mean(counts) < 14
    covered = np.concatenate([deed.foreign for deed in ran.of("slow", 3)])
    assert 0.5 < (covered == 0).mean() < 0.95


def test_naive_ones_like_round_numbers_and_the_others_avoid_them(ran: Ran) -> None:
    for deed in ran.of("bulk", 0):
        assert deed.acts.access.count % 10 == 0
    for level in (1, 2, 3):
        assert all(deed.acts.access.count % 10 for deed in ran.of("bulk", level) if deed.acts.access.count > 20)


def test_just_below_stays_below(ran: Ran) -> None:
    for level in (0, 1, 2, 3):
        counts = [deed.acts.access.count for deed in ran.of("below_threshold", level)]
        assert max(counts) < 100
        assert max(counts) > (90 if level == 0 else 30)


def test_asked_for_parcels_are_fresh(ran: Ran) -> None:
    for deed in ran.of("on_demand"):
        age = deed.acts.access["received"] - deed.posted
        assert (age > 0).all()
        assert (age < 2 * HOUR + HOUR // 20).all()


def test_own_station_is_never_foreign_nor_the_own_round(ran: Ran) -> None:
    for deed in ran.of("own_station"):
        assert (deed.foreign == 0).all()


def test_a_pair_shares_and_does_not_overlap(ran: Ran) -> None:
    for level in (0, 1, 2, 3):
        together = 0
        for deed in ran.of("pair", level):
            rows = deed.acts.access
            together = max(together, len(np.unique(rows["actor"])))
            assert len(np.unique(rows["waybill"])) == rows.count
        assert together == 2


def test_t1_a_rented_account_comes_with_another_device_for_other_regions(ran: Ran) -> None:
    world = ran.world
    for level in (0, 1, 2):
        deeds = ran.of("rented", level)
        rows = [deed.acts.access for deed in deeds]
        who = int(rows[0]["actor"][0])
        assert {int(code) for one in rows for code in one["device"]} != {int(world.device[who])}
        assert len({int(code) for one in rows for code in one["device"]}) == 1
        if len(np.unique(world.outlet_region)) > 2:
            assert np.concatenate([deed.far for deed in deeds]).min() == 1
    outside = [~in_shift(deed, 0) for deed in ran.of("rented", 1)]
    assert 0.2 < np.concatenate(outside).mean() < 0.95
    # The device was never seen before.
    new = np.unique(ran.column("device", "rented", 0))
    assert not np.isin(new, ran.looks["device"][ran.looks["mark"] < 0]).any()


def test_a_stolen_password_comes_through_many_networks(ran: Ran) -> None:
    for level in (0, 1, 2, 3):
        assert len(np.unique(ran.column("network", "phished", level))) >= 4


def test_the_same_few_people_again_and_again(ran: Ran) -> None:
    for name, most in (("neighbours", 4), ("ex_partner", 2)):
        for level in (0, 1, 2, 3):
            subjects = ran.column("subject", name, level)
            assert 1 <= len(np.unique(subjects)) <= most
            assert len(subjects) > 4
    parcels = ran.column("waybill", "ex_partner", 0)
    assert len(np.unique(parcels)) < len(parcels)


def test_the_owner_takes_the_outlets_parcels(ran: Ran) -> None:
    for deed in ran.of("franchise_owner"):
        assert (deed.foreign == 0).all()


def test_exports_come_with_a_notice_and_in_parts_when_one_knows(ran: Ran) -> None:
    sizes = [ran.column("records", "export_before_leaving", level) for level in (0, 1, 3)]
    counts = [len(one) for one in sizes]
    days = [len(ran.of("export_before_leaving", level)) for level in (0, 1, 3)]
    assert counts[0] == days[0]
    assert counts[1] > days[1]
    for level in (0, 1, 3):
        assert (ran.column("action", "export_before_leaving", level) == EXPORT).all()
        who = ran.column("actor", "export_before_leaving", level)[0]
        assert ran.world.leaves[who] > 0
    assert sizes[0].max() == 5000


def test_who_gave_notice_is_not_an_attacker_for_that() -> None:
    """In every role from which somebody exports before leaving, others leave too."""
    ran = run('[[attacker]]\nstrategy="export_before_leaving"\nstart_day=3\nrole="clerk"\ncount=3', staff=2500, days=6)
    attackers = np.concatenate([agent.accounts for agent in ran.crew.agents])
    clerks = np.flatnonzero((ran.world.role == ROLES.index("clerk")) & (ran.world.leaves >= 0))
    assert np.isin(attackers, clerks).all()
    assert len(clerks) - len(attackers) > len(attackers) / 2
    # Nothing in the moment itself tells: it is a local midnight for everybody.
    assert ((ran.world.leaves[clerks] - ran.world.midnight(0)) % (24 * HOUR) == 0).all()


def test_poison_grows_by_five_percent_a_week(ran: Ran) -> None:
    long = run(
        '[[attacker]]\nstrategy="poisoning"\nrate=60\nstart_day=21\ndays=7\ncount=12\nknowledge=1', staff=300, days=28
    )
    counts = np.zeros(4)
    for deed in long.crew.deeds:
        counts[deed.number // 7] += deed.acts.access.count
    growth = (counts[-1] / counts[0]) ** (1 / 3)
    assert 1.0 < growth < 1.1
    assert min(deed.number for deed in ran.of("poisoning")) == 0


def test_tickets_are_opened_by_the_viewer_before_the_look(ran: Ran) -> None:
    for deed in ran.of("self_tickets"):
        looks, work = deed.acts.access, deed.acts.work
        assert (work["step"] == STEP[BizStep.TICKET_OPENED]).all()
        quoted = looks.take(looks["ticket"] >= 0)
        assert np.array_equal(np.sort(quoted["ticket"]), np.sort(work["ticket"]))
        assert len(np.unique(work["ticket"])) == work.count
        order, other = np.argsort(quoted["ticket"]), np.argsort(work["ticket"])
        assert (work["time"][other] < quoted["time"][order]).all()
        assert np.array_equal(work["waybill"][other], quoted["waybill"][order])
        assert np.array_equal(work["actor"][other], quoted["actor"][order])


def test_t3_photographs_leave_no_row_at_all(ran: Ran) -> None:
    agent = next(one for one in ran.crew.agents if one.attack.strategy.name == "photographs")
    assert agent.taken > 0
    assert not (ran.looks["mark"] == agent.attack.number).any()
    assert not any((day.work["mark"] == agent.attack.number).any() for day in ran.days)


def test_t8_the_tracking_page_is_walked_from_few_addresses_or_many(ran: Ran) -> None:
    found = {level: [deed.acts.web for deed in ran.of("scraper", level)] for level in (0, 1, 2, 3)}
    addresses = [len(np.unique(np.concatenate([one["ip"] for one in found[level]]))) for level in (0, 1, 2, 3)]
    assert addresses[0] == 1 < addresses[1] == 8 < addresses[2] <= 64 < addresses[3] <= 400
    serials = found[0][0]["waybill"]
    assert (np.diff(serials) == 1).mean() > 0.95
    for rows in found.values():
        status = np.concatenate([one["status"] for one in rows])
        assert set(np.unique(status)) == {200, 404}


def test_stolen_passwords_fit_now_and_then(ran: Ran) -> None:
    for level in (0, 1, 2, 3):
        rows = [deed.acts.web for deed in ran.of("stuffing", level)]
        status = np.concatenate([one["status"] for one in rows])
        assert all((one["kind"] == LOGIN).all() for one in rows)
        assert 0 < (status == 200).mean() < 0.02
        assert ((status == 200) | (status == 401)).all()


def test_t10_who_goes_round_the_log_makes_the_key_counter_run_ahead(ran: Ran) -> None:
    agent = next(one for one in ran.crew.agents if one.attack.strategy.name == "bypass")
    assert ran.keys == agent.taken > 0
    assert not (ran.looks["mark"] == agent.attack.number).any()
    assert ran.truth.keyuse["values"].to_numpy().sum() == agent.taken


def test_who_sees_a_score_takes_less_when_it_is_high() -> None:
    class Loud:
        def scores(self, sight: Any, looks: Any, accounts: Any) -> Any:
            return np.full(len(accounts), 2.0)

    class Deaf:
        def scores(self, sight: Any, looks: Any, accounts: Any) -> Any:
            return np.zeros(len(accounts))

    plan = '[[attacker]]\nstrategy="slow"\nrate=40\nknowledge=2\nstart_day=0\ndays=8\ncount=5'
    taken = []
    for oracle in (Loud(), None, Deaf()):
        ran = run(plan, staff=300, days=8, oracle=oracle)
        taken.append(sum(agent.taken for agent in ran.crew.agents))
    assert taken[0] < 0.6 * taken[2]
    assert taken[0] <= taken[1] <= taken[2]


def test_nobody_elses_day_changes_when_attackers_are_there() -> None:
    """The benign rows of the same seed are the same, but for their numbers and the digits below the second."""
    parts = EVERYTHING.split("[[attacker]]")
    attacked = run("[[attacker]]".join(part for part in parts if "export_before_leaving" not in part))
    alone = run("")

    def benign(one: Ran) -> list[Any]:
        rows = one.looks.take(one.looks["mark"] < 0)
        rows |= {name: rows[name] // 1_000_000 for name in ("received", "time")}
        names = ("received", "time", "actor", "device", "waybill", "action", "fields", "subject", "outcome")
        order = np.lexsort([rows[name] for name in names])
        return [rows[name][order] for name in names]

    assert alone.looks.count > 500_000
    assert attacked.looks.count > alone.looks.count
    for mine, theirs in zip(benign(attacked), benign(alone), strict=True):
        assert np.array_equal(mine, theirs)
    works = [
        np.concatenate([day.work["waybill"][day.work["mark"] < 0] for day in one.days]) for one in (attacked, alone)
    ]
    assert np.array_equal(np.sort(works[0]), np.sort(works[1]))


def test_the_truth_names_every_look(ran: Ran) -> None:
    marked = ran.looks.take(ran.looks["mark"] >= 0)
    ids = ran.looks["id"][ran.looks["mark"] >= 0]
    table = ran.truth.accesses
    assert table.num_rows == marked.count
    assert set(table["event_id"].to_pylist()) == set(ids.tolist())
    by_id = dict(zip(ids.tolist(), marked["mark"].tolist(), strict=True))
    for attack, event_id in zip(table["attack"].to_pylist(), table["event_id"].to_pylist(), strict=True):
        assert by_id[event_id] == attack
    attackers = ran.truth.attackers.to_pylist()
    assert [row["attack"] for row in attackers] == list(range(1, len(attackers) + 1))
    for row, agent in zip(attackers, ran.crew.agents, strict=True):
        assert row["start"] <= row["end"]
        assert row["actors"] == [ran.world.names.account[int(who)] for who in agent.accounts]
        assert row["records"] == agent.taken
    assert ran.truth.web.num_rows == sum(int((day.web["mark"] >= 0).sum()) for day in ran.days)
