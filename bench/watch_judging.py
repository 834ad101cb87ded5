"""Judges cases against what attackers really did: when each was found, what was lost before, and who was called for nothing.

::

    judged = Judged(world)                            # Explained: a simulated carrier with its days explained
    cases = watched(world, false_cases=10)            # (time, subject kind, code, first detector), by parcelveil.watch
    judged.attacks(cases)                             # Found: strategy, hours until the case, records lost
    judged.false_cases(cases)                         # cases of people who did nothing, by role and week

The baselines are what people build first: a threshold on the raw count of looks, one on the count of unexplained looks, and
scikit-learn's isolation forest over the counts of a day. Each is given the same budget, the same week of peace, and the
first four weeks to set its threshold on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from parcelveil.simulate.carrier.rows import ROLES
from parcelveil.watch.calibrate import PEACE, PER
from parcelveil.watch.coded import DAY, GRACE, HOUR, Accounts
from parcelveil.watch.daily import DayRows, day_of
from parcelveil.watch.devices import Presence, Seen
from parcelveil.watch.streaming import Stream
from parcelveil.watch.unexplained import parcels
from parcelveil.watch.watcher import LEARNING_SUMS, Watcher
from watch_worlds import Simulated

OFFSET = 480
#: Times of the truth are by the clocks of handhelds, which may be hours ahead.
SKEW = 6 * HOUR
Int64 = npt.NDArray[np.int64]


class Opened(NamedTuple):
    """A case, or something new in one: ``first`` when it was opened with this."""

    time: int
    kind: str
    subject: int
    detector: str
    first: bool


class Explained(NamedTuple):
    """A world whose looks have been explained."""

    seed: int
    first_day: int
    rows: list[tuple[DayRows, Seen]]
    register: Accounts
    roles: npt.NDArray[np.int8]
    attackers: list[dict[str, object]]  # rows of the truth, with ``codes`` of the accounts
    accesses: pa.Table  # of the truth
    calendar: object


def explained(seed: int, plan: str | None, staff: int, days: int) -> Explained:
    """Simulate a carrier and explain its looks."""
    world = Simulated(seed=seed, plan=plan, staff=staff, days=days)
    regions = world.world.outlet_region.astype(np.int32)
    stream, presence, rows = Stream(world.rules(), OFFSET, regions=lambda: regions), {}, []
    for day in world:
        of = day_of(day.accesses["time"].to_numpy(), OFFSET)
        for number in np.unique(of).tolist():
            presence.setdefault(number, Presence()).feed(day.accesses.filter(pa.array(of == number)))
        for made in stream.feed(day.accesses, day.works):
            rows += made.days
    for made in stream.flush():
        rows += made.days
    truth, names = world.truth, world.world.names.account.of(np.arange(world.world.accounts)).to_pylist()
    code = {name: at for at, name in enumerate(names)}
    attackers = [row | {"codes": [code[name] for name in row["actors"]]} for row in truth.attackers.to_pylist()]
    kept = [(one, presence.pop(one.day, Presence()).seen()) for one in rows]
    return Explained(
        seed, world.world.first, kept, world.register(), world.world.account.role, attackers, truth.accesses,
        world.world.calendar,
    )  # fmt: skip


def watched(world: Explained, false_cases: float) -> list[Opened]:
    """The cases that :class:`~parcelveil.watch.watcher.Watcher` makes."""
    watcher = Watcher(world.register, false_cases=false_cases, offset_minutes=OFFSET)
    opened: list[Opened] = []

    def note(cases: Iterable[object]) -> None:
        opened.extend(
            Opened(case.updated_at, case.kind, case.subject, case.signals[-1].name, case.first)  # type: ignore[attr-defined]
            for case in cases
        )

    for rows, seen in world.rows:
        watcher.conduct.known_presence(rows.day, seen)
        note(watcher.day(rows))
    note(watcher.end())
    return opened


# -- baselines --------------------------------------------------------------------------------------------------------


def raw_count(rows: DayRows) -> npt.NDArray[np.float64]:
    """Looks of the day."""
    return rows.volume["looks"].to_numpy().astype(np.float64)


def unexplained_count(rows: DayRows) -> npt.NDArray[np.float64]:
    """Different parcels that no work explains."""
    return parcels(rows, rows.volume["actor"].to_numpy(), 0).astype(np.float64)


def isolation(world: Explained, seed: int = 0) -> dict[int, npt.NDArray[np.float64]]:
    """By day, scores of an isolation forest over counts of a day, taught on the first four weeks."""
    from sklearn.ensemble import IsolationForest

    features = {rows.day: _features(rows) for rows, _ in world.rows}
    taught = np.concatenate([features[day] for day in sorted(features)[:LEARNING_SUMS]])
    forest = IsolationForest(n_estimators=100, random_state=seed).fit(taught)
    return {day: -forest.score_samples(of) for day, of in features.items()}


def _features(rows: DayRows) -> npt.NDArray[np.float64]:
    names = ("looks", "direct", "grouped", "none", "searches", "failed", "exported", "hours")
    columns = [np.log1p(rows.volume[name].to_numpy()) for name in names]
    roles = rows.volume["role"].to_numpy()
    return np.stack([*columns, *(roles == role for role in range(len(ROLES)))], axis=1).astype(np.float64)


def by_threshold(world: Explained, values: dict[int, npt.NDArray[np.float64]], false_cases: float) -> list[Opened]:
    """Cases of who exceeds what so few account-weeks of the first four weeks did; no more is known of the role than that."""
    days = sorted(values)
    highest: dict[tuple[int, int], float] = {}
    of_day = {rows.day: rows for rows, _ in world.rows}
    for day in days[:LEARNING_SUMS]:
        week = (day - days[0]) // PEACE
        for actor, value in zip(of_day[day].volume["actor"].to_pylist(), values[day].tolist(), strict=True):
            highest[actor, week] = max(value, highest.get((actor, week), 0.0))
    share = PEACE * false_cases / PER
    limit = float(np.quantile(np.array(list(highest.values())), 1 - share, method="higher"))
    opened: list[Opened] = []
    last: dict[int, int] = {}
    for day in days[LEARNING_SUMS:]:
        time = (day + 1) * DAY - OFFSET * 60_000_000 + GRACE
        actors = of_day[day].volume["actor"].to_numpy()[values[day] > limit]
        for actor in actors.tolist():
            first = time > last.get(actor, -(1 << 62)) + PEACE * DAY
            if first:
                last[actor] = time
            opened.append(Opened(time, "actor", actor, "threshold", first))
    return opened


# -- judging ----------------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """What became of an attack. ``hours`` after its first deed; infinite: never. ``lost`` of ``records`` before."""

    strategy: str
    knowledge: int
    rate: float
    hours: float
    lost: int
    records: int
    detector: str


class Judged:
    """See the module."""

    def __init__(self, world: Explained) -> None:
        self.world = world
        ids = world.accesses["event_id"].to_numpy().astype(np.int64)
        attack, time = world.accesses["attack"].to_numpy(), world.accesses["event_time"].cast(pa.int64()).to_numpy()
        self._times = {one: np.sort(time[attack == one]) for one in np.unique(attack).tolist()}
        owner = dict(zip(ids.tolist(), attack.tolist(), strict=True))
        self._subjects: dict[tuple[str, int], set[int]] = {}
        for rows, _ in world.rows:
            table = rows.rows
            mine = np.isin(table["id"].to_numpy(), ids)
            for row in table.filter(pa.array(mine)).select(["id", "device", "network"]).to_pylist():
                for kind in ("device", "network"):
                    self._subjects.setdefault((kind, row[kind]), set()).add(owner[row["id"]])
        for row in world.attackers:
            for code in row["codes"]:  # type: ignore[attr-defined]
                self._subjects.setdefault(("actor", code), set()).add(row["attack"])  # type: ignore[arg-type]

    def attacks(self, cases: list[Opened]) -> list[Found]:
        """What became of each attack that is seen in looks."""
        result = []
        for row in self.world.attackers:
            times = self._times.get(row["attack"])  # type: ignore[arg-type]
            if row["seen"] != "access" or times is None:
                continue
            at, detector = min(
                (
                    (case.time, case.detector)
                    for case in cases
                    if case.time >= times[0] - SKEW
                    and row["attack"] in self._subjects.get((case.kind, case.subject), ())
                ),
                default=(None, ""),
            )
            lost = len(times) if at is None else int(np.searchsorted(times, at))
            hours = np.inf if at is None else max(0.0, (at - times[0]) / HOUR)
            result.append(
                Found(row["strategy"], row["knowledge"], row["rate"], hours, lost, len(times), detector)  # type: ignore[arg-type]
            )
        return result

    def false_cases(self, cases: list[Opened], since: int) -> list[tuple[str, int, str]]:
        """``(role, week, detector)`` of cases opened from day ``since`` on about people who did nothing by then."""
        result = []
        for case in cases:
            day = int(day_of(np.array([case.time - GRACE - 1]), OFFSET)[0]) - self.world.first_day
            if not case.first or day < since:
                continue
            of = self._subjects.get((case.kind, case.subject), set())
            if any(self._times[one][0] <= case.time + SKEW for one in of if one in self._times):
                continue
            role = ROLES[self.world.roles[case.subject]] if case.kind == "actor" else case.kind
            result.append((role, (day - since) // 7, case.detector))
        return result

    def promised(self, false_cases: float, since: int) -> dict[tuple[str, int], float]:
        """By role and week, the false cases that the budget promises."""
        result: dict[tuple[str, int], float] = {}
        for rows, _ in self.world.rows:
            number = rows.day - self.world.first_day
            if number < since:
                continue
            for role, count in zip(*np.unique(rows.volume["role"].to_numpy(), return_counts=True), strict=True):
                key = ROLES[role], (number - since) // 7
                result[key] = result.get(key, 0.0) + float(count) * false_cases / PER
        return result
