"""Cases for people: a table of them, and one with its words, rows and chart."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from parcelveil.cli.language import language, say
from parcelveil.cli.output import terminal_width, wrapped
from parcelveil.cli.terminal import plain

if TYPE_CHECKING:
    from parcelveil.watch.alerts import Alert

#: Digits of a uid in a list, cases in it, and rows of a case that are shown.
_DIGITS, _MOST, _ROWS = 8, 1000, 20


def table_of(alerts: Sequence[Alert], offset_minutes: int) -> str:
    """Cases, two lines each: which one and whose, and what happened in how many looks."""
    from parcelveil.watch.reasons import moment, words_of

    lines = []
    for alert in alerts[:_MOST]:
        words = words_of(alert, language(), offset_minutes)
        state = say(alert.state) + (f" ({say(alert.note)})" if alert.note else "")
        head = (alert.uid[:_DIGITS], moment(alert.opened_at, offset_minutes), say(alert.severity), state, words.subject)
        if alert.looks:
            counted = say("{unexplained} of {looks} looks without a reason; lost before the case: {lost}")
        else:
            counted = say("{unexplained} looks without a reason; lost before the case: {lost}")
        said = counted.format(unexplained=f"{alert.unexplained:,}", looks=f"{alert.looks:,}", lost=f"{alert.lost:,}")
        plain_counts = alert.unexplained or alert.looks or alert.lost
        lines.append(plain("  ".join(head)))
        lines.append(wrapped(f"{words.what}; {said}" if plain_counts else words.what, *[" " * (_DIGITS + 2)] * 2))
    if len(alerts) > _MOST:
        lines.append(
            say("{count} cases more: 'parcelveil watch cases' lists them").format(count=f"{len(alerts) - _MOST:,}")
        )
    return "\n".join(lines)


def records_of(alerts: Sequence[Alert], offset_minutes: int) -> list[dict[str, Any]]:
    """The same for programs: without rows and chart."""
    from parcelveil.watch.lines import facts_of

    return [
        {
            name: value
            for name, value in facts_of(alert, language(), offset_minutes).items()
            if name not in ("rows", "chart")
        }
        for alert in alerts
    ]


def explained(alert: Alert, offset_minutes: int) -> Iterator[str]:
    """A case in blocks of text."""
    from parcelveil.watch.chart import bars
    from parcelveil.watch.reasons import moment, words_of

    words = words_of(alert, language(), offset_minutes)
    yield plain(words.title)
    yield say("case {case}, revision {revision}: {severity}, {state}; opened {opened}, last changed {changed}").format(
        case=alert.uid,
        revision=alert.revision,
        severity=say(alert.severity),
        state=say(alert.state) + (f" ({say(alert.note)})" if alert.note else ""),
        opened=moment(alert.opened_at, offset_minutes),
        changed=moment(alert.updated_at, offset_minutes),
    )
    yield "\n".join(wrapped(text, "* ", "  ") for text in (*words.reasons, *words.details))
    if words.excuses:
        yield say("in its favour:") + "\n" + "\n".join(wrapped(text, "* ", "  ") for text in words.excuses)
    yield say("what would explain it:") + "\n" + "\n".join(wrapped(text, "* ", "  ") for text in words.explained)
    if any(day.own for day in alert.chart):
        yield "\n".join(bars(alert.chart, language()))
    if alert.rows:
        yield _rows(alert, offset_minutes)


def _rows(alert: Alert, offset_minutes: int) -> str:
    """The newest looks, a line each where there is room, else two."""
    from parcelveil.cli.output import columns_of
    from parcelveil.cli.terminal import table
    from parcelveil.watch.reasons import moment, row_words

    header = [say(one) for one in ("time", "parcel", "action", "device", "work")]
    rows = [
        [
            moment(row.time, offset_minutes)[5:],
            row.parcel or (say("{count} records").format(count=f"{row.records:,}") if row.records > 1 else "-"),
            say(row.action) + ("" if row.outcome == "ok" else f" ({say(row.outcome)})"),
            plain(row.device) or "-",
            row_words(row, language(), offset_minutes),
        ]
        for row in alert.rows[-_ROWS:]
    ]
    text = table(header, rows)
    if max(map(columns_of, text.splitlines())) > terminal_width():
        head = table(header[:4], [row[:4] for row in rows]).splitlines()
        text = "\n".join([*head[:2], *(f"{line}\n    {row[4]}" for line, row in zip(head[2:], rows, strict=True))])
    if len(alert.rows) > len(rows):
        more = say("{count} rows more: --json has them all").format(count=f"{len(alert.rows) - len(rows):,}")
        text += "\n" + more
    return text


def show(blocks: Iterator[str]) -> None:
    """Blocks with a line between."""
    print("\n\n".join(blocks))
    sys.stdout.flush()
