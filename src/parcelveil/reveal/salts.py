"""Reading the salts: whom an entry speaks of. For a salt keeper, who may not read the log as an auditor; logged.

::

    for subject in read_salts(log, credentials, waybill="YT0000000000001"):
        subject.entry, subject.salt          # hand both to who checks the entry's commitment

An auditor reads entries that name nobody; a salt keeper learns which entries speak of a parcel and with which
salt, not what they say. Only both together can tell who looked at whom, and the log holds that it was asked.
"""

from __future__ import annotations

from parcelveil.audit.entry import KeyEvent
from parcelveil.audit.log import Log
from parcelveil.audit.subjects import Subject
from parcelveil.errors import PolicyError
from parcelveil.reveal.request import Credentials, printable
from parcelveil.reveal.staff import Register

KEEPER, AUDITOR = "salt_keeper", "auditor"


def read_salts(log: Log, who: Credentials, *, entry: int | None = None, waybill: str | None = None) -> list[Subject]:
    """The subjects of an entry, or those of all entries about a waybill. Raises PolicyError, and logs that too."""
    tokens = log.subjects.tokens([("waybill", waybill)]) if waybill is not None and printable(waybill) else []
    with log.begin() as batch:
        register = Register.of(batch.tx, batch.rows)
        member = register.member(who.actor)
        problem = ""
        if not member.active or KEEPER not in member.roles or who.role != KEEPER:
            problem = "only an active member of staff with the role salt_keeper may read salts"
        elif AUDITOR in member.roles:
            problem = "who audits the log may not read its salts"
        elif not register.enrolled(member, who.device, who.device_key.value):
            problem = "the device is not enrolled for this member of staff"
        action = "salts-refused" if problem else "salts-read"
        if entry is not None and not 0 <= entry < batch.tx.log_state().size:
            entry = None  # no entry's number: whatever it is, it was typed by somebody, and is not logged
        detail = "waybill" if waybill is not None else "" if entry is None else str(entry)
        batch.append(KeyEvent(time=batch.time, action=action, actor=member.handle, detail=detail))
        rows = []
        if not problem:
            rows = batch.tx.subjects_of_entry(entry) if entry is not None else []
            rows += [row for token in tokens for row in batch.tx.subjects_of_token(token)]
    if problem:
        raise PolicyError("{why}", hint="the attempt was logged", why=problem)
    return [log.subjects.open(row) for row in rows]
