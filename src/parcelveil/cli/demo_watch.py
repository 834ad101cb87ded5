"""The demo's watch: a small carrier at work for some weeks, three who harvest there, and what watch says of whom.

::

    watch_demo(folder, 19)       # steps 19 and 20, on standard output

The carrier is that of ``parcelveil simulate carrier --staff 200 --days 45 --attackers demo``, and its files are read as
``parcelveil watch run`` reads them. Only afterwards is the truth looked at: whose the cases are, and how much was taken
before each was opened.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from parcelveil.cli.language import language, say
from parcelveil.cli.output import wrapped
from parcelveil.cli.terminal import Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from parcelveil.simulate.attack.truth import Truth
    from parcelveil.watch.alerts import Alert
    from parcelveil.watch.judging import Judging
    from parcelveil.watch.reading import Summary

#: As many as half a minute allows, and the weeks that the attackers need.
STAFF, DAYS, SEED = 200, 45, 0
#: False cases a day for 100,000 accounts, as ``watch run`` has it.
BUDGET = 10.0
_OFFSET = 480
_INDENT = "   "


@dataclass(frozen=True)
class Harvest:
    """An attack as it was: ``time`` (µs) and ``taken`` (records that were opened) of its looks, in the order of time."""

    strategy: str
    actors: frozenset[str]
    places: frozenset[str]  # its networks and devices, as alerts call them
    time: npt.NDArray[np.int64]
    taken: npt.NDArray[np.int64]

    @property
    def records(self) -> int:
        return int(self.taken.sum())

    def before(self, moment: int) -> int:
        """Records that were taken before a moment."""
        return int(self.taken[self.time < moment].sum())

    def has(self, alert: Alert) -> bool:
        """Whether a case is about it: about its account, or about a network or device while its looks came from there."""
        if alert.actor in self.actors:
            return True
        during = (self.time >= alert.since) & (self.time <= alert.until)
        return alert.actor in self.places and bool(during.any())


def watch_demo(folder: Path, first: int) -> int:
    """Make the carrier in a folder inside ``folder`` that is removed again, and watch it; steps from ``first``.

    Returns the number of the step that comes next.
    """
    with tempfile.TemporaryDirectory(prefix="carrier-", dir=folder) as made:
        place = Path(made)
        truth = _carrier(place, first)
        started = time.perf_counter()
        judging, read, newest = _watched(place)
        said = say(
            "watched: {cases} cases ({took:.1f} s); each day is judged by those before it, the first 14 only teach"
        )
        print(f"{first + 1}. " + said.format(cases=len(newest), took=time.perf_counter() - started))
        harvests = _harvests(truth, place)
        for line in told(harvests, newest, judging.accounts):
            print(line)
        print(_counted(harvests, newest, judging, read))
    return first + 2


def _carrier(folder: Path, step: int) -> Truth:
    """Write the carrier's weeks; the truth about them stays out of the files."""
    from parcelveil.simulate.attack.attackers import Attackers
    from parcelveil.simulate.attack.plan import load_plan
    from parcelveil.simulate.carrier.day import Day
    from parcelveil.simulate.carrier.files import write
    from parcelveil.simulate.carrier.run import Carrier

    crew = Attackers(load_plan("demo", seed=SEED, days=DAYS), seed=SEED)
    carrier = Carrier(SEED, STAFF, DAYS, attackers=[crew])
    days = rows = 0
    bar = Progress(say("days"), DAYS, lambda: days)

    def each(day: Day) -> None:
        nonlocal days, rows
        crew.note(day)
        days += 1
        rows += day.access.count + day.work.count
        bar.advance(rows)

    started = time.perf_counter()
    try:
        done = write(carrier, folder, each=each)
    finally:
        bar.close()
    said = say(
        "a small carrier at work: {staff} people, {days} days, {looks} looks at parcels, {works} work events ({took:.1f} s)"
    ).format(
        staff=STAFF, days=done.days, looks=f"{done.looks:,}", works=f"{done.work:,}", took=time.perf_counter() - started
    )
    print(f"\n{step}. {said}")
    three = say("three accounts harvest: one is rented out, one takes a little a day, one walks through numbers")
    print(_INDENT + three, flush=True)
    return crew.truth(carrier.world)


def _watched(folder: Path) -> tuple[Judging, Summary, list[Alert]]:
    """What ``watch run --no-store`` does; the newest revision of each case, in the order of time."""
    from parcelveil.cli.watch_options import From, Keys
    from parcelveil.cli.watch_run import judged

    given = From(work=[str(folder / "work")], accounts=[str(folder / "accounts.parquet")])
    found = Keys(None, secrets.token_bytes(32), _OFFSET, None)
    judging, read, newest = judged((str(folder / "access"),), given, BUDGET, found)
    return judging, read, sorted(newest.values(), key=lambda alert: (alert.opened_at, alert.uid))


def _harvests(truth: Truth, folder: Path) -> list[Harvest]:
    """The attacks, with what the access files say of their looks."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    columns = ["event_id", "event_time", "device", "network", "records", "outcome"]
    ids = truth.accesses["event_id"].combine_chunks()
    parts = []
    for file in sorted((folder / "access").glob("*.parquet")):
        day = pq.read_table(file, columns=columns)
        parts.append(day.filter(pc.is_in(day["event_id"], ids)))
    looks = pa.concat_tables(parts, promote_options="default").unify_dictionaries()
    found = []
    for attack in truth.attackers.to_pylist():
        own = truth.accesses.filter(pc.equal(truth.accesses["attack"], attack["attack"]))["event_id"].combine_chunks()
        rows = looks.filter(pc.is_in(looks["event_id"], own)).sort_by("event_time")
        taken = pc.if_else(pc.equal(rows["outcome"].cast(pa.string()), "ok"), rows["records"], 0)
        places = [
            f"{kind}:{text}"
            for kind, name in (("net", "network"), ("device", "device"))
            for text in pc.unique(rows[name].cast(pa.string())).to_pylist()
        ]
        found.append(
            Harvest(
                strategy=attack["strategy"],
                actors=frozenset(attack["actors"]),
                places=frozenset(places),
                time=rows["event_time"].cast(pa.int64()).to_numpy(),
                taken=taken.cast(pa.int64()).to_numpy(),
            )
        )
    return found


def told(harvests: Sequence[Harvest], alerts: Sequence[Alert], accounts: int) -> Iterator[str]:
    """The cases in words, by attack; then who was called besides; then how many were left in peace. Lines to print."""
    for harvest in harvests:
        yield ""
        yield _INDENT + say("{who}: {records} records in all").format(
            who=_who(harvest.strategy), records=f"{harvest.records:,}"
        )
        own = [alert for alert in alerts if harvest.has(alert)]
        if not own:
            yield _INDENT + say("no case: NOT found")
        for alert in own:
            yield from _case(alert, harvest)
    others = [alert for alert in alerts if not any(harvest.has(alert) for harvest in harvests)]
    yield ""
    if others:
        yield _INDENT + say("called as well, although they do not harvest:")
        yield from _others(others)
    called = {alert.actor for alert in alerts if ":" not in alert.actor}
    yield _INDENT + say("the other {count} of {accounts} accounts were left in peace").format(
        count=f"{accounts - len(called):,}", accounts=f"{accounts:,}"
    )


def _who(strategy: str) -> str:
    return {
        "rented": say("the rented account"),
        "slow": say("the slow insider"),
        "sequential": say("the enumerator"),
    }[strategy]


def _case(alert: Alert, harvest: Harvest) -> Iterator[str]:
    from parcelveil.watch.reasons import moment, words_of

    words = words_of(alert, language(), _OFFSET)
    head = say("case of {opened}, {severity}: {title}").format(
        opened=moment(alert.opened_at, _OFFSET), severity=say(alert.severity), title=words.title
    )
    yield wrapped(head, _INDENT + "> ", _INDENT + "  ")
    for reason in words.reasons:
        yield wrapped(reason, _INDENT + "  * ", _INDENT + "    ")
    lost = say("lost before the case: {lost} of its {records} records").format(
        lost=f"{harvest.before(alert.opened_at):,}", records=f"{harvest.records:,}"
    )
    yield f"{_INDENT}  {lost}"


def _others(alerts: Sequence[Alert]) -> Iterator[str]:
    """A line for each whom a case is about, with what the cases say."""
    from parcelveil.watch.reasons import words_of

    by_actor: dict[str, list[Alert]] = {}
    for alert in alerts:
        by_actor.setdefault(alert.actor, []).append(alert)
    comma = "；" if language() == "zh" else "; "
    for own in by_actor.values():
        words = [words_of(alert, language(), _OFFSET) for alert in own]
        what = comma.join(dict.fromkeys(one.what for one in words))
        said = say("{subject}, cases: {count} ({what})").format(subject=words[0].subject, count=len(own), what=what)
        yield wrapped(said, _INDENT + "- ", _INDENT + "  ")


def _counted(harvests: Sequence[Harvest], alerts: Sequence[Alert], judging: Judging, read: Summary) -> str:
    """The promise beside what came of it: also where it was not kept."""
    import numpy as np

    from parcelveil.watch.daily import day_of
    from parcelveil.watch.watcher import LEARNING

    begins = date.fromisoformat(read.first_day).toordinal() - date(1970, 1, 1).toordinal() + LEARNING
    false = [alert for alert in alerts if not any(harvest.has(alert) for harvest in harvests)]
    opened = day_of(np.array([alert.opened_at for alert in false], np.int64), _OFFSET)
    early = int((opened < begins).sum())
    said = say(
        "false cases: {later} in {days} days (promised: about {promised:.1f}), and {early} in the days that teach"
    )
    return _INDENT + said.format(
        later=len(false) - early,
        days=judging.judged_days,
        promised=BUDGET * judging.accounts / 100_000 * judging.judged_days,
        early=early,
    )
