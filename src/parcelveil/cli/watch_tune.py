"""``parcelveil watch tune``: what another budget would open, on one's own files. Nothing is kept."""

from __future__ import annotations

import json as json_of
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from parcelveil.cli.language import language, say
from parcelveil.cli.output import wrapped
from parcelveil.cli.terminal import Progress, Where, plain, table
from parcelveil.cli.watch_options import From, batch_of, checked_budget, keys, reading_of
from parcelveil.cli.watch_run import of_reading, wanted
from parcelveil.errors import UsageError

if TYPE_CHECKING:
    from parcelveil.watch.tuning import Compared

_MOST = 20


def tune(
    *access: str,
    given: From | None = None,
    budget: list[float] | None = None,
    no_store: bool = False,
    json: bool = False,
    where: Where | None = None,
) -> None:
    """Try budgets of false cases on files: how many cases each opens, in which roles and weeks, and which it would cost.

    Example: parcelveil watch tune access/ --work work/ --accounts accounts.parquet

    Parameters
    ----------
    access
        Files, folders or patterns of access events.
    given
        What else is read.
    budget
        False cases a day for 100,000 accounts (may be repeated). Default: 1, 3, 10, 30 and 100.
    no_store
        Use no workspace.
    json
        As JSON.
    where
        Which workspace.
    """
    from parcelveil.adapt.event_files import EventFiles
    from parcelveil.watch.judging import Inputs
    from parcelveil.watch.tuning import BUDGETS, Tuning

    given = given or From()
    wanted(access, given)
    if not access:
        raise UsageError("which looks shall be judged?", hint="name files or folders of access events")
    budgets = sorted({checked_budget(one) for one in budget or BUDGETS})
    with keys(where, store=not no_store) as found:
        rows = 0
        bar = Progress(say("judging"), None, lambda: rows)
        try:
            reading, register = reading_of(given, found, lambda _: None)
            with closing(batch_of(given, reading.coder, found.offset_minutes, register)) as batch:

                def moved() -> None:
                    nonlocal rows
                    rows = tuning.rows
                    bar.advance(rows)

                tuning: Tuning = Tuning(
                    reading, batch, found.secret, opener=EventFiles(), register=register, budgets=budgets,
                    moved=moved,
                )  # fmt: skip
                compared = tuning.compare(Inputs(access, given.work or ()))
        finally:
            bar.close()
    if json:
        print(json_of.dumps(_facts(compared), ensure_ascii=False))
        return
    for line in of_reading(reading.summary):
        print(line, file=sys.stderr)
    print("\n\n".join(_blocks(compared, budgets)))


def _facts(compared: Compared) -> dict[str, Any]:
    return {
        "accounts": compared.accounts,
        "judged_days": compared.days,
        "budgets": [
            {
                "budget": budget,
                "cases": len(opened),
                "false_cases_promised": round(compared.promised(budget), 3),
                "by_role_and_week": compared.by_role_and_week(budget),
            }
            for budget, opened in compared.opened.items()
        ],
        "cases": [
            {"uid": one.alert.uid, "actor": one.alert.actor, "role": one.alert.role, "opened_at": one.alert.opened_at,
             "detector": one.alert.reasons[0].name, "from_budget": compared.least(one)}
            for one in compared.opened[max(compared.opened)]
        ],
    }  # fmt: skip


def _blocks(compared: Compared, budgets: list[float]) -> list[str]:
    rows = [
        [f"{budget:g}", f"{len(compared.opened[budget]):,}", f"{compared.promised(budget):,.1f}"] for budget in budgets
    ]
    blocks = [table([say("budget"), say("cases"), say("of them false, as promised")], rows)]
    if not compared.days:
        blocks.append(say("these days only teach what is usual: cases by comparison begin after two to four weeks"))
    for budget in budgets:
        by_role = compared.by_role_and_week(budget)
        if by_role:
            weeks = len(next(iter(by_role.values())))
            header = [
                say("budget {budget}: role").format(budget=f"{budget:g}"),
                *(say("week {number}").format(number=n + 1) for n in range(weeks)),
            ]
            blocks.append(table(header, [[plain(role) or "-", *map(str, counts)] for role, counts in by_role.items()]))
    most = sorted(compared.opened[budgets[-1]], key=lambda one: (-compared.least(one), one.alert.opened_at))
    if most:
        blocks.append("\n".join([say("which would go first, were the budget smaller:"), *_going(compared, most)]))
    return blocks


def _going(compared: Compared, cases: list[Any]) -> list[str]:
    from parcelveil.watch.reasons import words_of

    lines = []
    for one in cases[:_MOST]:
        words = words_of(one.alert, language())
        lines.append(
            wrapped(
                say("from {budget} on: {subject}, {what}").format(
                    budget=f"{compared.least(one):g}", subject=words.subject, what=words.what
                ),
                "  ",
                "      ",
            )
        )
    if len(cases) > _MOST:
        lines.append("  " + say("{count} more: --json has them all").format(count=f"{len(cases) - _MOST:,}"))
    return lines
