"""The book of cases: kept in the workspace's store, changed only together with an entry of the audit log.

::

    book = Book(log, store)
    told = book.keep(alerts, entry, outbox=outbox)          # what is new or has changed; the same again is not told again
    book.find("5eed")                                       # by the beginning of its uid
    book.list(states=["open", "escalated"], since=time)
    book.decide("5eed", "harmless", by="keyholder", note="stand-in")

A case that is judged again keeps what a person decided about it (:func:`~parcelveil.watch.alerts.merged`), so a run over the same
files changes nothing. Cases, their log entry and what a webhook is to be told become durable in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from parcelveil.audit.entry import Watch
from parcelveil.audit.log import Log
from parcelveil.errors import InputError, UsageError
from parcelveil.ports import AlertRow, Store
from parcelveil.watch.alerts import NOTES, STATES, Alert, Note, State, decided, decode, encode, merged
from parcelveil.watch.outbox import Outbox

#: Digits of a uid that suffice to name a case, and cases that may begin with them.
LEAST_DIGITS, _MOST_LIKE = 4, 5


class Book:
    """See the module."""

    def __init__(self, log: Log, store: Store) -> None:
        self._log, self._store = log, store

    def keep(
        self,
        alerts: Iterable[Alert],
        entry: Watch | None = None,
        *,
        outbox: Outbox | None = None,
        body: Callable[[Alert], bytes] = encode,
    ) -> list[Alert]:
        """Keep cases, and log ``entry`` with their counts. Returns those that are new or have changed, as they are kept.

        ``body`` is what the webhook is sent. Without an entry, one is made when anything has changed.
        """
        newest: dict[str, Alert] = {}
        for alert in alerts:
            newest[alert.uid] = alert if (before := newest.get(alert.uid)) is None else _later(before, alert)
        with self._log.begin() as batch:
            told = []
            opened = 0
            for alert in newest.values():
                row = batch.tx.alert(alert.uid)
                known = decode(row.body) if row is not None else None
                kept = merged(known, alert)
                if kept is not known:
                    told.append(kept)
                    opened += known is None
            batch.tx.put_alerts([row_of(alert) for alert in told])
            if outbox is not None:
                outbox.add(batch.tx, [(alert, body(alert)) for alert in told])
            if entry is not None or told:
                said = entry or Watch(time=0, action="finished")
                batch.append(
                    msgspec.structs.replace(
                        said, time=batch.time, opened=opened, changed=len(told) - opened, alerts=digest(told)
                    )
                )
        return told

    def find(self, start: str) -> Alert:
        """The case whose uid begins so. Raises InputError for none, or several."""
        if len(start) < LEAST_DIGITS or not set(start) <= set("0123456789abcdef"):
            raise UsageError(
                "that names no case", hint="give the first digits of one that 'parcelveil watch cases' lists"
            )
        with self._store.reading() as tx:
            rows = tx.alerts_like(start, _MOST_LIKE)
        if not rows:
            raise InputError("there is no case {case}", hint="'parcelveil watch cases' lists them", case=start)
        if len(rows) > 1:
            raise InputError("several cases begin with {case}", hint="give more of its digits", case=start)
        return decode(rows[0].body)

    def list(self, states: Sequence[str] = (), since: int = 0, most: int = -1) -> list[Alert]:
        """Cases, the newest first. Raises UsageError for a state that there is not."""
        for state in states:
            if state not in STATES:
                raise UsageError(
                    "{word} is no state of a case", hint="open, escalated, harvest or harmless", word=state
                )
        with self._store.reading() as tx:
            return [decode(row.body) for row in tx.alerts(states, since, most)]

    def decide(
        self, start: str, state: State, *, by: str = "keyholder", note: str = "", outbox: Outbox | None = None,
        body: Callable[[Alert], bytes] = encode,
    ) -> Alert:  # fmt: skip
        """Write down what a case was found to be. Raises InputError, UsageError."""
        if note not in NOTES:
            raise UsageError(
                "{word} is no note", hint="one of: {words}", word=note, words=", ".join(one for one in NOTES if one)
            )
        uid = self.find(start).uid
        with self._log.begin() as batch:
            row = batch.tx.alert(uid)
            assert row is not None, "cases are never deleted"  # noqa: S101
            word: Note = note
            done = decided(decode(row.body), state, by=by, at=batch.time, note=word)
            batch.tx.put_alerts([row_of(done)])
            if outbox is not None:
                outbox.add(batch.tx, [(done, body(done))])
            batch.append(
                Watch(time=batch.time, action="decided", actor=by, case=uid, state=state, note=note,
                      changed=1, alerts=digest([done]))
            )  # fmt: skip
        return done


def digest(alerts: Iterable[Alert]) -> str:
    """SHA-256 (hex) of a line ``uid:revision`` for each case, sorted; empty for none: what the log entry holds."""
    lines = sorted(f"{alert.uid}:{alert.revision}\n" for alert in alerts)
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""


def row_of(alert: Alert) -> AlertRow:
    """The alert as the store keeps it."""
    return AlertRow(alert.uid, alert.revision, alert.state, alert.severity, alert.actor, alert.opened_at, encode(alert))


def _later(one: Alert, other: Alert) -> Alert:
    return other if (other.updated_at, other.revision) >= (one.updated_at, one.revision) else one
