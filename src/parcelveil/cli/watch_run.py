"""``parcelveil watch run``: everything that lies in files, judged at once."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from parcelveil.cli.language import say
from parcelveil.cli.terminal import Progress, Where, summary
from parcelveil.cli.watch_hook import Hook, delivered
from parcelveil.cli.watch_options import From, Keys, batch_of, checked_budget, keys, reading_of
from parcelveil.cli.watch_output import Out, counted_lines
from parcelveil.cli.watch_show import table_of
from parcelveil.errors import UsageError

if TYPE_CHECKING:
    from parcelveil.watch.alerts import Alert
    from parcelveil.watch.judging import Judging
    from parcelveil.watch.reading import Summary

_DAYS, _REASONS = 5, 8


def run(
    *access: str,
    given: From | None = None,
    false_cases_per_day: float = 10.0,
    out: Out | None = None,
    hook: Hook | None = None,
    where: Where | None = None,
) -> None:
    """Judge the looks in files: which accounts look at what no work explains.

    Example: parcelveil watch run access/ --work work/ --accounts accounts.parquet -o cases.jsonl

    Days are judged in order, each by the days before; the first four weeks teach what is usual. A run over the same files
    again changes nothing; a run over more files adds to it.

    Parameters
    ----------
    access
        Files, folders or patterns of access events.
    given
        What else is read.
    false_cases_per_day
        How many false cases a day are acceptable for 100,000 accounts.
    out
        Where cases go.
    hook
        Where cases are sent.
    where
        Which workspace.
    """
    given, out, hook = given or From(), out or Out(), hook or Hook()
    budget = checked_budget(false_cases_per_day)
    wanted(access, given)
    if out.no_store and hook.webhook is not None:
        raise UsageError("a webhook needs the workspace, where its queue is", hint="leave out --no-store")
    if out.no_store and given.audit:
        raise UsageError("the audit log is the workspace's", hint="leave out --no-store")
    with keys(where, store=not out.no_store) as found:
        out.check(found.offset_minutes)
        outbox = hook.outbox(found.workspace) if found.workspace is not None else None
        judging, read, newest = judged(access, given, budget, found)
        told = list(newest.values())
        if found.workspace is not None:
            from parcelveil.audit.entry import Watch
            from parcelveil.watch.book import Book

            entry = Watch(time=0, action="finished", accesses=read.accesses, works=read.works, days=judging.days)
            book = Book(found.workspace.log, found.workspace.store)
            changed = book.keep(told, entry, outbox=outbox, body=hook.body(found.offset_minutes))
            kept = {alert.uid: alert for alert in changed}
            told = [kept.get(alert.uid) or book.find(alert.uid) for alert in told]
        else:
            changed = told
        told.sort(key=lambda alert: (alert.opened_at, alert.uid))
        written = out.write(told, found.offset_minutes)
        waiting = delivered(outbox, hook.patience)
    _say(told, changed, judging, read, budget, out=out, written=written, more=waiting, offset=found.offset_minutes)


def wanted(access: tuple[str, ...], given: From) -> None:
    """Raise UsageError when there is nothing to judge, or looks and no work to hold them against."""
    if not access and not given.web_log and not given.key_use and not given.audit:
        raise UsageError("which looks shall be judged?", hint="name files or folders of access events")
    if (access or given.audit) and not given.work:
        raise UsageError(
            "without work events every look is without a reason", hint="give --work: routes, scans, calls, tickets"
        )


def judged(
    access: tuple[str, ...], given: From, budget: float, found: Keys
) -> tuple[Judging, Summary, dict[str, Alert]]:
    """Judge; gives what judged, what was read, and the newest revision of each case."""
    from parcelveil.adapt.event_files import EventFiles
    from parcelveil.cli.streams import Rejects
    from parcelveil.cli.watch_audit import own_looks
    from parcelveil.watch.judging import Inputs, Judging

    rejects = Rejects(given.rejects)
    rows = 0
    bar = Progress(say("judging"), None, lambda: rows)
    try:
        reading, register = reading_of(given, found, rejects.add)
        inputs = Inputs(
            access, given.work or (), given.web_log or (), given.key_use or (), given.path_rules(),
            given.known_network or (), own_looks(found.workspace) if given.audit and found.workspace else (),
        )  # fmt: skip
        with closing(batch_of(given, reading.coder, found.offset_minutes, register)) as batch:

            def moved() -> None:
                nonlocal rows
                rows = judging.rows
                bar.advance(rows)

            judging = Judging(
                reading, batch, found.secret, opener=EventFiles(), register=register, false_cases=budget, moved=moved
            )
            newest = {alert.uid: alert for alert in judging.alerts(inputs)}
        rejects.commit()
    finally:
        bar.close()
        rejects.close()
    return judging, reading.summary, newest


def _say(
    told: list[Alert], changed: list[Alert], judging: Judging, read: Summary, budget: float, *, out: Out,
    written: list[str], more: list[str], offset: int,
) -> None:  # fmt: skip
    import msgspec

    accounts = judging.accounts
    expected = budget * accounts / 100_000 * judging.judged_days
    facts: dict[str, Any] = {
        "read": msgspec.to_builtins(read),
        "accounts": accounts,
        "days": judging.days,
        "judged_days": judging.judged_days,
        "late": judging.late,
        "cases": [
            {name: getattr(one, name) for name in ("uid", "revision", "actor", "severity", "state", "lost")}
            for one in told
        ],
        "new_or_changed": len(changed),
        "budget_per_day_per_100000": budget,
        "false_cases_promised": round(expected, 2),
        "outputs": written,
    }
    if out.json:
        summary(facts, [], as_json=True)
        return
    if told and not any(target == "-" for target in out.output or ()):
        print(table_of(told[::-1], offset))
        print()
    lines = [*of_reading(read), *_lines(told, changed, judging, budget, expected), *more]
    if written:
        lines.append(say("written: {files}").format(files=", ".join(written)))
    summary(facts, lines, as_json=False)


def _lines(told: list[Alert], changed: list[Alert], judging: Judging, budget: float, expected: float) -> list[str]:
    lines = []
    if judging.late:
        lines.append(
            say("{count} looks came after their day was judged, and count no more: give files of a day each").format(
                count=f"{judging.late:,}"
            )
        )
    quiet = judging.accounts - len({one.actor for one in told if ":" not in one.actor})
    lines.append(
        say("{cases} cases, {changed} of them new or changed; {quiet} of {accounts} accounts are left in peace").format(
            cases=f"{len(told):,}", changed=f"{len(changed):,}", quiet=f"{quiet:,}", accounts=f"{judging.accounts:,}"
        )
    )
    if judging.judged_days:
        lines.append(
            say(
                "budget: {budget:g} false cases a day for 100,000 accounts: about {expected:.1f} in these {days} days"
            ).format(budget=budget, expected=expected, days=judging.judged_days)
        )
    else:
        lines.append(say("these days only teach what is usual: cases by comparison begin after two to four weeks"))
    return lines


def of_reading(read: Summary) -> list[str]:
    """What was read, and all that was odd about it."""
    lines = []
    if read.accesses or read.works:
        lines.append(
            say("{looks} looks and {works} work events of {days} days, {first} to {last}").format(
                looks=f"{read.accesses:,}",
                works=f"{read.works:,}",
                days=read.days,
                first=read.first_day,
                last=read.last_day,
            )
        )
    counted = {
        "requests": say("{count} requests of web logs"),
        "duplicates": say("{count} events came before, and count once"),
        "clocks_off": say("{count} events have clocks that are off, and count when they were received"),
        "unknown_accounts": say("{count} accounts are not in the register"),
        "odd_lines": say("{count} lines of web logs are no request"),
        "empty_files": say("{count} files are empty"),
    }
    lines += counted_lines(read, counted)
    if read.rejected:
        why = ", ".join(f"{code} {count:,}" for code, count in list(read.rejected.items())[:_REASONS])
        lines.append(say("{count} rows are no event ({why})").format(count=f"{sum(read.rejected.values()):,}", why=why))
    for days, template in (
        (
            read.days_without_work,
            say("{count} days have looks and no work event: {days}; on these nothing explains a look"),
        ),
        (read.days_of_little_work, say("{count} days have hardly any work event: {days}")),
    ):
        if days:
            some = ", ".join(days[:_DAYS]) + (", …" if len(days) > _DAYS else "")
            lines.append(template.format(count=len(days), days=some))
    return lines
