"""``parcelveil watch cases``, ``explain`` and ``decide``: the cases that are kept."""

from __future__ import annotations

import json as json_of
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from parcelveil.cli.language import language, say
from parcelveil.cli.terminal import Where, summary
from parcelveil.cli.watch_hook import Hook, delivered
from parcelveil.errors import UsageError

_EPOCH = date(1970, 1, 1)


def cases(
    *,
    state: list[str] | None = None,
    since: str | None = None,
    most: int = 100,
    json: bool = False,
    where: Where | None = None,
) -> None:
    """List cases, the newest first.

    Example: parcelveil watch cases --state open --state escalated

    Parameters
    ----------
    state
        Only cases in this state: open, escalated, harvest or harmless (may be repeated).
    since
        Only cases opened on this day (2026-11-23) or later.
    most
        How many at the most.
    json
        As JSON.
    where
        Which workspace.
    """
    from parcelveil.cli.watch_show import records_of, table_of
    from parcelveil.watch.book import Book

    if most < 1:
        raise UsageError("{option} has to be a number from 1 on", hint="--most 100", option="--most")
    with (where or Where()).open() as workspace:
        offset = workspace.settings.utc_offset_minutes
        found = Book(workspace.log, workspace.store).list(state or (), _start(since, offset), most)
    if json:
        print(json_of.dumps(records_of(found, offset), ensure_ascii=False))
    elif found:
        print(table_of(found, offset))
    else:
        summary({}, [say("no cases")], as_json=False)


def explain(
    case: str,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    force: bool = False,
    json: bool = False,
    where: Where | None = None,
) -> None:
    """Show a case: its reasons in words, what would explain it, the looks behind it, and a chart.

    Example: parcelveil watch explain 5eed5eed -o case.svg

    Parameters
    ----------
    case
        The case, or the first digits of it.
    output
        A file for the chart (SVG).
    force
        Overwrite an existing output.
    json
        As JSON, with all rows.
    where
        Which workspace.
    """
    from parcelveil.cli.output import whole_file
    from parcelveil.cli.watch_show import explained, show
    from parcelveil.watch.book import Book
    from parcelveil.watch.chart import svg
    from parcelveil.watch.lines import facts_of
    from parcelveil.watch.reasons import words_of

    with (where or Where()).open() as workspace:
        offset = workspace.settings.utc_offset_minutes
        alert = Book(workspace.log, workspace.store).find(case)
    if output is not None:
        title = words_of(alert, language(), offset).subject
        with whole_file(output, force=force) as file:
            file.write(svg(alert.chart, title=title, language=language(), standalone=True).encode())
    if json:
        print(json_of.dumps(facts_of(alert, language(), offset), ensure_ascii=False))
    else:
        show(explained(alert, offset))


def decide(
    case: str,
    *,
    harvest: bool = False,
    harmless: bool = False,
    reopen: bool = False,
    note: str = "",
    hook: Hook | None = None,
    json: bool = False,
    where: Where | None = None,
) -> None:
    """Write down what a case was found to be. The audit log has an entry of it.

    Example: parcelveil watch decide 5eed5eed --harmless --note stand-in

    Parameters
    ----------
    case
        The case, or the first digits of it.
    harvest
        The account harvested.
    harmless
        There was a reason.
    reopen
        Neither: take a decision back.
    note
        By what: confirmed, reported, account-rented, stand-in, late-work, training, own-task, test or mapping.
    hook
        Where the decision is sent.
    json
        As JSON.
    where
        Which workspace.
    """
    from parcelveil.watch.alerts import State
    from parcelveil.watch.book import Book

    offered: dict[State, bool] = {"harvest": harvest, "harmless": harmless, "open": reopen}
    chosen = [state for state, given in offered.items() if given]
    if len(chosen) != 1:
        raise UsageError("what was it?", hint="give one of --harvest, --harmless and --reopen")
    hook = hook or Hook()
    with (where or Where()).open() as workspace:
        outbox = hook.outbox(workspace)
        body = hook.body(workspace.settings.utc_offset_minutes)
        done = Book(workspace.log, workspace.store).decide(case, chosen[0], note=note, outbox=outbox, body=body)
        told = [say("case {case} is {state}").format(case=done.uid, state=say(done.state))]
        told += delivered(outbox, hook.patience)
    facts = {"uid": done.uid, "revision": done.revision, "state": done.state, "note": done.note}
    summary(facts, told, as_json=json)


def _start(day: str | None, offset_minutes: int) -> int:
    """Microseconds of the beginning of a local day; 0 for none."""
    if day is None:
        return 0
    try:
        return ((date.fromisoformat(day) - _EPOCH) // timedelta(microseconds=1)) - offset_minutes * 60_000_000
    except ValueError:
        raise UsageError("{text} is not a day", hint="write it like 2026-11-23", text=day) from None
