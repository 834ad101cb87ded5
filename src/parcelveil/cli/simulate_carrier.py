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
from parcelveil.cli.simulate import app
from parcelveil.cli.terminal import Progress, summary
from parcelveil.errors import EXIT_INTERRUPTED, OutputError, UsageError

if TYPE_CHECKING:
    from datetime import date

#: What a run writes, and what ``--force`` therefore removes: folders with the endings of their files, and files.
_FOLDERS = {"access": ".parquet", "work": ".parquet", "web": ".log", "keyuse": ".parquet", "truth": ".parquet"}
_FILES = ("accounts.parquet", "world.json")


@app.command
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

    first = _day(start)
    plan = load_plan(attackers, seed=seed, days=days)
    crew = Attackers(plan, seed=seed)
    world = Carrier(seed, staff, days, start=first, attackers=[crew])
    folder = _folder(Path(output), force=force)
    facts = _run(world, crew, folder)
    done = facts["days"] == days
    rate = f"{facts['events_per_cpu_second']:,}"
    lines = [
        say("{accesses:,} looks, {works:,} work events, {lines:,} web requests in {days} days, in {folder}").format(
            folder=output, **facts
        ),
        say("{accounts:,} accounts; {attacks} attacks took {records:,} records").format(**facts),
        say("{rate} events a second of CPU").format(rate=rate),
    ]
    if not done:
        lines.insert(0, say("stopped: {days} whole days are written").format(**facts))
    summary(facts, lines, as_json=json)
    return 0 if done else EXIT_INTERRUPTED


def _day(text: str) -> date:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("{text} is not a day", hint="write it like 2026-11-23", text=text) from None


def _folder(folder: Path, *, force: bool) -> Path:
    """An empty place for the run. Only files that a run makes are ever removed, and never through a link."""
    from parcelveil.cli.output import writable_folder

    name = str(folder)
    if folder.is_dir() and any(folder.iterdir()):
        if not force:
            hint = "choose another name, or replace what a run made there with --force"
            raise OutputError("{file} is not empty", hint=hint, file=name)
        for part, ending in _FOLDERS.items():
            place = folder / part
            if place.is_dir() and not place.is_symlink():
                for file in place.iterdir():
                    if file.name.endswith(ending):
                        file.unlink()
        for part in _FILES:
            (folder / part).unlink(missing_ok=True)
    return writable_folder(folder)


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Ctrl-C lets the day be finished: the list gets what was asked. A second one ends at once."""
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(number, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
