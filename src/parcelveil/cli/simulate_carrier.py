"""``parcelveil simulate carrier``: a carrier's weeks, with attackers or without, into a folder."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from parcelveil.cli.language import say
from parcelveil.cli.terminal import Progress, summary
from parcelveil.errors import EXIT_INTERRUPTED, UsageError

if TYPE_CHECKING:
    from datetime import date

    from parcelveil.simulate.attack.attackers import Attackers
    from parcelveil.simulate.carrier.day import Day
    from parcelveil.simulate.carrier.run import Carrier


def carrier(
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    staff: int = 20_000,
    days: int = 56,
    attackers: str = "none",
    seed: int = 0,
    start: str = "2026-09-01",
    force: bool = False,
    json: bool = False,
) -> int:
    """Make weeks of a carrier at work: who did what, who looked at what, and who harvests. The same seed gives the same bytes.

    Example: parcelveil simulate carrier --staff 2000 --days 28 --attackers demo -o CARRIER

    Parameters
    ----------
    output
        Folder to write; docs/simulate.md says what is in it.
    staff
        How many people work there.
    days
        How many days.
    attackers
        Who harvests: none, demo, tuning, or the file of a plan.
    seed
        Another seed, another carrier.
    start
        First day (2026-09-01).
    force
        Write into a folder that has something in it; what an earlier run made there is removed.
    json
        Summary as one JSON object on standard output.
    """
    from parcelveil.simulate.attack.attackers import Attackers
    from parcelveil.simulate.attack.plan import load_plan
    from parcelveil.simulate.carrier.run import Carrier

    crew = Attackers(load_plan(attackers, seed=seed, days=days), seed=seed)
    made = Carrier(seed, staff, days, start=_day(start), attackers=[crew])
    facts = _write(made, crew, Path(output), force=force)
    whole = facts["days"] == days
    lines = [
        say("{looks:,} looks and {works:,} work events of {days} days, with {requests:,} web requests, in {folder}"),
        say("{attacks} attacks took {records:,} records; which rows were theirs, only the folder truth says")
        if crew.agents
        else say("nobody attacks"),
        say("{accounts:,} accounts; {rate:,} events a second of CPU"),
    ]
    if not whole:
        lines.insert(0, say("stopped: what is written are {days} whole days"))
    summary(facts, [line.format(folder=output, **facts) for line in lines], as_json=json)
    return 0 if whole else EXIT_INTERRUPTED


def _day(text: str) -> date:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("{text} is not a day", hint="write it like 2026-11-23", text=text) from None


def _write(made: Carrier, crew: Attackers, folder: Path, *, force: bool) -> dict[str, Any]:
    """All days and the truth about them; Ctrl-C ends it after a whole one. What was written, as numbers."""
    from parcelveil.simulate.attack.truth import write_truth
    from parcelveil.simulate.carrier.files import no_links, write

    done = {"days": 0, "looks": 0, "works": 0, "requests": 0}
    progress = Progress(say("days"), made.days, lambda: done["days"])
    began = time.process_time()
    # What an earlier run knew is not true any more; whether the folder may be used, write() says.
    no_links(folder)
    old = list((folder / "truth").glob("*.parquet")) if force else []
    try:
        with _asked_to_stop() as asked:

            def each(day: Day) -> None:
                crew.note(day)
                done["days"] += 1
                done["looks"] += day.access.count
                done["works"] += day.work.count
                done["requests"] += day.web.count
                progress.advance(done["looks"] + done["works"])
                if asked and done["days"] < made.days:
                    raise KeyboardInterrupt

            for file in old:
                file.unlink()
            write(made, folder, force=force, each=each)
    except KeyboardInterrupt:
        if not done["days"]:
            raise
        _drop(made, folder, done["days"])
    finally:
        progress.close()
    truth = crew.truth(made.world)
    write_truth(truth, folder / "truth")
    spent = time.process_time() - began
    return {
        **done,
        "accounts": made.world.accounts,
        "attacks": len(crew.agents),
        "records": sum(truth.attackers["records"].to_pylist()),
        "rate": round((done["looks"] + done["works"]) / max(spent, 1e-9)),
    }


def _drop(made: Carrier, folder: Path, number: int) -> None:
    """Remove what is there already of the day that was not finished."""
    from datetime import date, timedelta

    from parcelveil.simulate.carrier.files import FOLDERS

    name = str(date(1970, 1, 1) + timedelta(days=made.world.first + number))
    for kind in FOLDERS:
        for file in (folder / kind).glob(f"{name}.*"):
            file.unlink()


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Ctrl-C lets the day be finished: the list says that somebody asked. A second one ends it at once."""
    asked: list[int] = []

    def note(number: int, _: Any) -> None:
        asked.append(number)
        signal.signal(number, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
