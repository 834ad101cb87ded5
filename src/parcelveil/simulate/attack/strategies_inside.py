"""Strategies of people who look at parcels in an account of their own: how many, and whose.

Each function takes an agent, what it can find out today and a stream of random words, and gives what it does today. Which
function a strategy of ``catalogue.toml`` is: :mod:`parcelveil.simulate.attack.strategies`.
"""

from __future__ import annotations

import numpy as np

from parcelveil.event import BizStep
from parcelveil.simulate.attack.agent import HAND, SCRIPT, Agent, Ints, paced
from parcelveil.simulate.attack.dice import some, uniform
from parcelveil.simulate.attack.sight import DAY, MINUTE, SECOND, Sight
from parcelveil.simulate.carrier.day import Acts
from parcelveil.simulate.carrier.rows import EXPORT, EXPORT_FILE, LIST, STEP, AccessRows, WorkRows
from parcelveil.simulate.draw import Draw

#: A round number at which a rule might speak.
_ROUND = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 1_000_000_000)


def _among_its_work(agent: Agent, sight: Sight, account: int, at: Ints, draw: Draw) -> AccessRows:
    """Looks at the parcels ``at`` at the times when the account works; those for which there is no time are left out."""
    times = agent.times(sight, account, len(at), draw)
    return agent.looks(sight, account, times, draw, at=at[: len(times)])


def bulk(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """One parcel after the other: naive by a script at any hour, later by hand within the shift."""
    account = int(agent.accounts[0])
    if agent.knowledge and not agent.works(sight, account):
        return Acts()
    at = agent.targets(sight, account, agent.wish(draw), draw)
    if agent.knowledge == 0:
        begin = sight.day.midnight + int(uniform(draw, 1)[0] * DAY * 0.8)
        times = paced(draw, begin, len(at), SCRIPT * 2)
        return Acts(access=agent.looks(sight, account, times, draw, at=at))
    return Acts(access=_among_its_work(agent, sight, account, at, draw))


def export_before_leaving(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Lists: one large one, or by those who know better, many whose sizes are like those that others export."""
    account = int(agent.accounts[0])
    if not agent.works(sight, account):
        return Acts()
    total = agent.wish(draw)
    if total < 1:
        return Acts()
    sizes = np.array([total])
    if agent.knowledge:
        theirs = sight.day.access["records"][sight.day.access["action"] == EXPORT]
        usual = float(np.median(theirs)) if len(theirs) else 200.0
        count = max(int(total / max(usual, 1.0)), 1)
        parts = 0.5 + uniform(draw, min(count, 60 if agent.knowledge == 3 else 15))
        sizes = np.maximum(np.rint(total * parts / parts.sum()).astype(np.int64), 1)
    times = agent.times(sight, account, len(sizes), draw, pace=4 * HAND)
    rows = agent.looks(
        sight,
        account,
        times,
        draw,
        channel=EXPORT_FILE,
        action=EXPORT,
        records=sizes[: len(times)],
        waybill=-1,
        subject=-1,
        fields=7,
    )
    return Acts(access=rows)


def slow(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """A few parcels that others work on, among the day's work."""
    account = int(agent.accounts[0])
    if not agent.works(sight, account):
        return Acts()
    at = agent.targets(sight, account, agent.wish(draw), draw)
    return Acts(access=_among_its_work(agent, sight, account, at, draw))


def below_threshold(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """As many as it dares below the next round number over its rate."""
    account = int(agent.accounts[0])
    if not agent.works(sight, account):
        return Acts()
    limit = next(number for number in _ROUND if number > agent.attack.rate)
    share = 1.0 if agent.knowledge == 0 else 0.8 + 0.19 * float(uniform(draw, 1)[0])
    if agent.knowledge == 2:
        share *= agent.level
    if agent.knowledge == 3 and not draw.chance(0.7, 1)[0]:
        return Acts()
    count = max(int(limit * share) - 1 - int(draw.below(3, 1)[0]), 0)
    at = agent.targets(sight, account, count, draw)
    return Acts(access=_among_its_work(agent, sight, account, at, draw))


def own_station(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Parcels that the own outlet holds: each look has a work event of the outlet, and none of the account."""
    account = int(agent.accounts[0])
    if not agent.works(sight, account):
        return Acts()
    at = sight.colleagues(draw, agent.wish(draw), account)
    return Acts(access=_among_its_work(agent, sight, account, at, draw))


def franchise_owner(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """The outlet's whole list, every day: naive as lists in one go after the shift, later parcel by parcel."""
    account = int(agent.accounts[0])
    here = sight.here(int(sight.day.outlet[account]))
    at = here[some(draw, len(here), agent.wish(draw))]
    if agent.knowledge == 0:
        begin = sight.shift(account)[1] + int(uniform(draw, 1)[0] * 120 * MINUTE)
        times = paced(draw, begin, len(at), SCRIPT / 4)
        return Acts(access=agent.looks(sight, account, times, draw, at=at, action=LIST))
    return Acts(access=_among_its_work(agent, sight, account, at, draw))


def poisoning(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """From the first day on a little, five percent more each week, so that its own past grows with it."""
    account = int(agent.accounts[0])
    if not agent.works(sight, account):
        return Acts()
    rate = agent.attack.rate * 1.05 ** ((sight.day.number - agent.attack.start) / 7)
    at = agent.targets(sight, account, agent.wish(draw, rate), draw)
    return Acts(access=_among_its_work(agent, sight, account, at, draw))


def pair(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """All accounts harvest the same few outlets, and share them out parcel by parcel, so that none takes two times."""
    number = len(agent.accounts)
    wishes = [agent.wish(draw) if agent.works(sight, int(account)) else 0 for account in agent.accounts]
    if not sum(wishes):
        return Acts()
    if agent.knowledge == 3:
        at = sight.colleagues(draw, sum(wishes), int(agent.accounts[0]))
    else:
        # New victims each week for those who know rules, the same for ever for the naive.
        week = (sight.day.number - agent.attack.start) // 7 if agent.knowledge else 0
        if agent.memory.get("week") != week:
            drawn = sight.elsewhere(draw, 3, int(agent.accounts[0]))
            agent.memory |= {"week": week, "outlets": np.unique(sight.parcels.at[drawn]).tolist()}
        pool = np.concatenate([np.empty(0, np.int64), *(sight.here(outlet) for outlet in agent.memory["outlets"])])
        at = pool[some(draw, len(pool), sum(wishes))]
    parts = []
    edges = np.cumsum([0, *wishes])
    for place in range(number):
        share = at[edges[place] : edges[place + 1]]
        account = int(agent.accounts[place])
        parts.append(_among_its_work(agent, sight, account, share, draw))
    return Acts(access=AccessRows.join(parts))


def on_demand(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Single parcels that a buyer asked for, collected less than two hours before."""
    account = int(agent.accounts[0])
    if not agent.works(sight, account):
        return Acts()
    times = agent.times(sight, account, agent.wish(draw), draw, pace=1500.0)
    at, times = sight.fresh(draw, times)
    return Acts(access=agent.looks(sight, account, times, draw, at=at))


def _people(agent: Agent, sight: Sight, draw: Draw, near: bool) -> Ints:
    """The people it is after: chosen once, among those who get parcels often."""
    if "people" not in agent.memory:
        account, parcel = int(agent.accounts[0]), sight.parcels
        if near:
            own = np.flatnonzero(parcel.courier == account)
            here = sight.here(int(sight.day.outlet[account]))
            pool = np.flatnonzero(np.isin(parcel.aoi, np.unique(parcel.aoi[own])))
            pool = pool if len(own) and len(pool) else here
            wanted = 4
        else:
            pool, wanted = sight.elsewhere(draw, 400, account, far=True), 1 + int(draw.below(2, 1)[0])
        people, often = np.unique(parcel.subject[pool], return_counts=True)
        order = np.argsort(-often, kind="stable")
        chosen = people[order[: max(2 * wanted, 1)]]
        if not len(chosen):
            return chosen
        agent.memory["people"] = chosen[some(draw, len(chosen), wanted)]
        agent.memory["seen"] = (np.empty(0, np.int64), np.empty(0, np.int64))
    return np.asarray(agent.memory["people"])


def _again_and_again(agent: Agent, sight: Sight, draw: Draw, near: bool) -> Acts:
    """Looks at what a few people get, and again at what they got; parcels on the own round are left out."""
    account = int(agent.accounts[0])
    if not agent.works(sight, account):
        return Acts()
    people = _people(agent, sight, draw, near)
    count = agent.wish(draw)
    if not len(people) or not count:
        return Acts()
    at, _ = sight.of_subjects(people)
    at = at[sight.parcels.courier[at] != account]
    serials, subjects = agent.memory["seen"]
    serials = np.concatenate([sight.parcels.serial[at], serials])
    subjects = np.concatenate([sight.parcels.subject[at], subjects])
    first = np.sort(np.unique(serials, return_index=True)[1])[:40]  # what is older is forgotten
    agent.memory["seen"] = serials, subjects = serials[first], subjects[first]
    if not len(serials):
        return Acts()
    pick = draw.below(len(serials), count)
    times = agent.times(sight, account, count, draw)
    rows = agent.looks(
        sight, account, times, draw, waybill=serials[pick][: len(times)], subject=subjects[pick][: len(times)]
    )
    return Acts(access=rows)


def neighbours(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """People of the own area."""
    return _again_and_again(agent, sight, draw, near=True)


def ex_partner(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """One or two people who live elsewhere."""
    return _again_and_again(agent, sight, draw, near=False)


def self_tickets(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Opens a ticket about a parcel, and looks at it a minute later, naming the ticket.

    Naive one ticket a look in one go; who knows more leaves some looks without, and closes nothing.
    """
    account = int(agent.accounts[0])
    if not agent.works(sight, account):
        return Acts()
    at = agent.targets(sight, account, agent.wish(draw), draw)
    times = agent.times(sight, account, len(at), draw, pace=90.0)
    at = at[: len(times)]
    with_ticket = np.ones(len(at), np.bool_) if agent.knowledge == 0 else uniform(draw, len(at)) < 0.8
    tickets = np.full(len(at), -1, np.int64)
    tickets[with_ticket] = sight.day.new_tickets(int(with_ticket.sum()))
    looks = agent.looks(sight, account, times, draw, at=at, ticket=tickets)
    opened = looks.take(with_ticket)
    before = ((10 + 80 * uniform(draw, opened.count)) * SECOND).astype(np.int64)
    moment = opened["time"] - sight.world.device_skew[opened["device"]] - before
    work = WorkRows.of(
        opened.count,
        time=opened["time"] - before,
        received=moment + SECOND // 5 + draw.below(4 * SECOND, opened.count),
        step=STEP[BizStep.TICKET_OPENED],
        waybill=opened["waybill"],
        outlet=opened["outlet"],
        actor=account,
        device=opened["device"],
        ticket=opened["ticket"],
        mark=agent.attack.number,
    )
    return Acts(access=looks, work=work)


def photographs(agent: Agent, sight: Sight, draw: Draw) -> Acts:
    """Pictures of labels: counted, and seen by no system."""
    account = int(agent.accounts[0])
    if agent.works(sight, account):
        here = sight.here(int(sight.day.outlet[account]))
        agent.taken += min(agent.wish(draw), len(here))
    return Acts()
