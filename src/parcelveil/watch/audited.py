"""The desk's own looks, out of the audit log, as access events.

::

    looks = AuditedLooks(opener(tx, log.subjects), numbers={"s-4f…": "cs-1"})
    for part in ...:                                 # (index, entry) in the order of the log
        batch = looks.take(part)                     # of schema ACCESS, one row a parcel
    looks.erased, looks.passed_over

Entries name nobody and no parcel: the accounts are staff handles, the waybills commitments. Whose process holds the key ring may
open these from their side table (:mod:`parcelveil.audit.subjects`); a parcel whose salt was erased is left out and counted, for
nothing can explain a look at it any more. ``numbers`` says which staff number work events have for a handle. A handle
that it lacks stays as it is, and then no work of his own explains his looks.

``look`` becomes reveal, ``search`` search (its subject is the pseudonym that was asked for), ``export`` export. A refusal is
``denied``, or ``notfound`` where the parcel is not known; one that only waits for a second person is passed over. An
event's number is the entry's index and the parcel's place in it, so it is the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from parcelveil.audit.entry import MAX_SUBJECTS, AnyEntry, Asked, Export, Look, Refusal
from parcelveil.audit.subjects import Subject, Subjects
from parcelveil.errors import LogError
from parcelveil.event import ACCESS, SEEN_FIELDS
from parcelveil.ports import Transaction
from parcelveil.waybill import WAYBILL, kind_of

Opened = Callable[[int], Sequence[Subject]]

#: Places in an entry: its subjects, and one for what has no parcel.
_PLACES = MAX_SUBJECTS + 1
_NOT_FOUND = frozenset(("unknown", "erased"))
#: The desk's answer while a second person has not decided: whoever asked was neither given nor refused anything.
_WAITING = "needs-approval"
_UNKNOWN = "?"
_ROLES = {"customer_service": "service", "administrator": "admin"}
_SHOWN = {field.name: SEEN_FIELDS.get(str(kind_of(field)), SEEN_FIELDS["other"]) for field in WAYBILL if kind_of(field)}
_PSEUDONYM_DIGITS = 16


class _Said(NamedTuple):
    """What one entry says of all its parcels."""

    number: int
    entry: Asked
    outcome: str
    action: str
    subject: int | None


def opener(tx: Transaction, subjects: Subjects) -> Opened:
    """What opens the subjects of an entry, as far as their salts are there; raises nothing for those that were erased."""

    def opened(index: int) -> list[Subject]:
        found = []
        for row in tx.subjects_of_entry(index):
            try:
                found.append(subjects.open(row))
            except LogError:  # erased; that a row was changed says ``audit verify``
                continue
        return found

    return opened


class AuditedLooks:
    """The looks of one log. Reads entries, opens what they speak of with ``opened``, and keeps nothing of it."""

    def __init__(self, opened: Opened, numbers: Mapping[str, str] | None = None) -> None:
        self._opened, self._numbers = opened, dict(numbers or {})
        self.erased = 0  # looks at parcels whose salts were erased
        self.passed_over = 0  # entries that only ask for a second person

    def take(self, entries: Iterable[tuple[int, AnyEntry]]) -> pa.RecordBatch:
        """The access events in ``entries``. Raises LogError where side table and log do not belong together."""
        rows = [row for index, entry in entries if isinstance(entry, Asked) for row in self._rows(index, entry)]
        return pa.RecordBatch.from_pylist(rows, schema=ACCESS)

    def _rows(self, index: int, entry: Asked) -> Iterable[dict[str, Any]]:
        if isinstance(entry, Refusal) and entry.answer == _WAITING:
            self.passed_over += 1
            return
        parcels: dict[int, str] = {}
        subject = None
        for found in self._opened(index):
            if not 0 <= found.place < len(entry.subjects):
                continue  # the document
            if entry.subjects[found.place] != found.commitment:
                raise LogError("the salts of entry {entry} are of another log", hint="restore the state", entry=index)
            if found.kind == "waybill":
                parcels[found.place] = found.value
            elif found.kind == "pseudonym" and subject is None:
                subject = int(found.value[:_PSEUDONYM_DIGITS], 16)
        said = _Said(index, entry, _outcome(entry), _action(entry), subject)
        for place, number in parcels.items():
            yield self._row(said, place, number, 1)
        hidden = entry.waybills - len(parcels)
        if said.action == "search" and not entry.waybills:
            yield self._row(said, MAX_SUBJECTS, None, 1)
        elif said.action == "export" and hidden > 0:
            yield self._row(said, MAX_SUBJECTS, None, hidden)
        elif hidden > 0:
            self.erased += hidden

    def _row(self, said: _Said, place: int, number: str | None, records: int) -> dict[str, Any]:
        entry = said.entry
        fields = 0
        if entry.form != "masked" and said.outcome == "ok":
            for name in entry.fields:
                fields |= _SHOWN.get(name, 0)
        return {
            "event_id": said.number * _PLACES + place,
            "event_time": entry.time,
            "received_at": None,
            "actor": self._numbers.get(entry.actor, entry.actor),
            "role": _ROLES.get(entry.role, _known(entry.role)),
            "outlet": _known(entry.outlet),
            "device": _known(entry.device),
            "network": None,
            "channel": "export" if said.action == "export" else None,
            "action": said.action,
            "waybill_no": number,
            "subject": said.subject,
            "records": records,
            "fields": fields,
            "outcome": said.outcome,
            "ticket": _known(entry.ticket),
        }


def _outcome(entry: Asked) -> str:
    if isinstance(entry, Refusal):
        return "notfound" if entry.answer in _NOT_FOUND else "denied"
    return "notfound" if _action(entry) == "search" and not entry.waybills else "ok"


def _action(entry: Asked) -> str:
    if isinstance(entry, Export):
        return "export"
    return "search" if isinstance(entry, Look | Refusal) and entry.action == "search" else "reveal"


def _known(text: str) -> str | None:
    return None if text in ("", _UNKNOWN) else text
