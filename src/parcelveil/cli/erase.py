"""``parcelveil erase``: forget waybills, or whole days."""

from __future__ import annotations

import sys
from datetime import date

from cyclopts import App

from parcelveil.cli.terminal import Where, summary
from parcelveil.errors import UsageError

app = App(name="erase", help="Make sealed data unreadable for good, in every copy that exists.")


@app.command
def waybill(
    *numbers: str, day: str | None = None, yes: bool = False, json: bool = False, where: Where | None = None
) -> None:
    """Erase waybills by number.

    Example: parcelveil erase waybill YT0000000000001 --yes

    Parameters
    ----------
    numbers
        Waybill numbers; - reads them from standard input, one a line.
    day
        Only the day's epoch (2026-11-23): quicker, and leaves less state, when many are erased. Default: all days.
    yes
        Do not ask.
    json
        Summary as one JSON object on standard output.
    """
    wanted = [line.strip() for line in sys.stdin if line.strip()] if list(numbers) == ["-"] else list(numbers)
    if not wanted:
        raise UsageError("no waybill number given", hint="parcelveil erase waybill NO")
    chosen = parse_date(day) if day is not None else None
    ask(f"Erase {len(wanted)} waybill(s) for good?", yes)
    with (where or Where()).open() as workspace:
        started = workspace.clock.now()
        done = workspace.erase(wanted, day=chosen)
        workspace.record("erase waybill", started, rows=done.waybills, values=0, rejected=0)
    found = "" if done.epochs else " (they were erased before, or no epoch exists)"
    lines = [
        f"erased {done.waybills:,} waybill number(s) in {done.epochs} epoch(s){found}; key version {done.kek_version}"
    ]
    summary(done._asdict(), lines, as_json=json)


@app.command
def before(day: str, /, *, yes: bool = False, json: bool = False, where: Where | None = None) -> None:
    """Destroy the epochs of all days before DAY: everything sealed on those days.

    Example: parcelveil erase before 2026-05-01 --yes

    Parameters
    ----------
    day
        The first day that is kept, like 2026-05-01.
    yes
        Do not ask.
    json
        Summary as one JSON object on standard output.
    """
    first_kept = parse_date(day)
    ask(f"Destroy everything sealed for days before {first_kept}?", yes)
    with (where or Where()).open() as workspace:
        started = workspace.clock.now()
        gone = workspace.erase_before(first_kept)
        workspace.record("erase before", started, rows=len(gone), values=0, rejected=0)
    facts = {"days": [str(day) for day in gone]}
    span = f", {gone[0]} to {gone[-1]}" if gone else ""
    summary(facts, [f"destroyed {len(gone)} epoch(s){span}"], as_json=json)


def parse_date(text: str) -> date:
    """A day as people write it. Raises UsageError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("{text} is not a day", hint="write it like 2026-11-23", text=text) from None


def ask(question: str, yes: bool, *, why: str = "erasing cannot be undone") -> None:
    """Ask before what cannot be undone. Raises UsageError when the answer is no, or nobody is there to answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(why, hint="add --yes to do it without a question")
    if input(f"{question} This cannot be undone. [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was erased")
