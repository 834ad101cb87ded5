"""The two-person rule: what one person asks for, another approves, on another device; it expires, and works once.

::

    granted = Granted.of(batch, request, member, key)   # what the request's approval is worth
    granted.approved, granted.problem
    decide(log, rulebook, id, credentials)              # the second person

An approval fits exactly the request it was asked for: its digest covers person, role, outlet, scene, fields, form,
document and every waybill. Asking, approving, rejecting, using and expiring are entries of the log; all but asking
happen in the transaction that reads the state, so an approval cannot be used twice, not even by two processes.
"""

from __future__ import annotations

import hmac

import msgspec

from parcelveil.audit.batch import Batch
from parcelveil.audit.entry import Approval
from parcelveil.audit.log import Log
from parcelveil.errors import PolicyError
from parcelveil.ports import ApprovalRow
from parcelveil.reveal.request import Credentials, Request, printable
from parcelveil.reveal.rulebook import Rulebook
from parcelveil.reveal.staff import Member, Register

APPROVER = "approver"
_MINUTE = 60_000_000
_PROBLEM = {"rejected": "approval-rejected", "used": "approval-used", "expired": "approval-expired"}


def digest(request: Request, key: bytes) -> bytes:
    """What an approval is bound to: a keyed hash of everything that was asked for."""
    asked = [request.actor, request.role, request.outlet, request.scene, request.form, request.document, request.ticket]
    text = msgspec.json.encode([asked, sorted(set(request.fields)), sorted(set(request.waybills))])
    return hmac.digest(key, text, "sha256")


class Granted:
    """What the approval that a request brings is worth."""

    def __init__(self, request: Request, key: bytes, row: ApprovalRow | None = None, problem: str = "") -> None:
        self._request, self._key, self._row = request, key, row
        self.problem = problem  # a word that says why a given approval counts for nothing; empty when none was given
        self.approved = row is not None and row.state == "approved" and not problem

    @classmethod
    def of(cls, batch: Batch, request: Request, member: Member, register: Register, key: bytes) -> Granted:
        """Look up the request's approval; one that is over is marked so."""
        if not request.approval:
            return cls(request, key)
        row = batch.tx.approval(request.approval)
        if row is None or row.actor != member.handle or not batch.rows.genuine(row):
            return cls(request, key, problem="approval-unknown")
        row = expired(batch, row)
        if row.state in _PROBLEM:
            return cls(request, key, row, _PROBLEM[row.state])
        if not hmac.compare_digest(row.digest, digest(request, key)):
            return cls(request, key, row, "approval-for-another-request")
        approver = register.by_handle(row.approver)
        if row.state == "approved" and not (approver.active and APPROVER in approver.roles):
            return cls(request, key, row, "approver-gone")
        return cls(request, key, row)

    def ask(self, batch: Batch, request_id: str, member: Member, minutes: int) -> str:
        """Ask for a second person, unless that was done already; returns the approval's id."""
        if self._row is not None and self._row.state == "requested":
            return self._row.id
        count = len(self._request.waybills)
        row = ApprovalRow(
            id=f"a-{request_id}",
            state="requested",
            scene=self._request.scene,
            actor=member.handle,
            device=self._request.device,
            waybills=count,
            digest=digest(self._request, self._key),
            until=batch.time + minutes * _MINUTE,
        )
        batch.tx.put_approval(batch.rows.sealed(row))
        log(batch, row, "requested", member.handle, row.device)
        return row.id

    def use(self, batch: Batch, request_id: str, member: Member) -> str:
        """Use the approval up; returns its id."""
        if self._row is None or not self.approved:
            raise PolicyError("there is no approval to use")
        row = over(batch, self._row, "used")
        log(batch, row, "used", member.handle, self._request.device, request_id)
        return row.id


def over(batch: Batch, row: ApprovalRow, state: str) -> ApprovalRow:
    """``row`` in its last state. Its digest goes: with the key one could try out which waybills it was about."""
    row = msgspec.structs.replace(row, state=state, digest=b"")
    batch.tx.put_approval(batch.rows.sealed(row))
    return row


def expired(batch: Batch, row: ApprovalRow) -> ApprovalRow:
    """``row``, marked as expired (and logged so) when its time is over."""
    if row.state not in ("requested", "approved") or batch.time < row.until:
        return row
    row = over(batch, row, "expired")
    log(batch, row, "expired", row.actor, "")
    return row


def log(batch: Batch, row: ApprovalRow, action: str, actor: str, device: str, request: str = "") -> int:
    """Append what happened to an approval."""
    entry = Approval(
        time=batch.time,
        request=request,
        action=action,
        approval=row.id,
        actor=actor,
        device=device,
        scene=row.scene,
        waybills=row.waybills,
        until=row.until,
    )
    return batch.append(entry)


def decide(desk_log: Log, rulebook: Rulebook, id: str, who: Credentials, *, reject: bool = False) -> str:
    """Approve or reject as the second person. Returns the receipt; raises PolicyError, and logs that too."""
    with desk_log.begin() as batch:
        rulebook.follow(batch.tx, batch.rows)
        member = rulebook.register.member(who.actor)
        row = batch.tx.approval(id) if printable(id) else None
        if row is not None:
            row = expired(batch, row) if batch.rows.genuine(row) else None
        problem = _problem(rulebook, row, member, who)
        known = row or ApprovalRow("?", "", "", "", "", 0, b"", 0)
        device = who.device if who.device in rulebook.register.devices else "?"
        if problem or row is None:
            index = log(batch, known, "refused", member.handle, device)
        else:
            row = msgspec.structs.replace(row, approver=member.handle)
            if reject:
                row = over(batch, row, "rejected")
            else:
                row = msgspec.structs.replace(row, state="approved")
                batch.tx.put_approval(batch.rows.sealed(row))
            index = log(batch, row, row.state, member.handle, device)
    if problem:
        raise PolicyError("not approved: {why}", hint="the attempt was logged", why=problem)
    return batch.receipt(index)


def _problem(rulebook: Rulebook, row: ApprovalRow | None, member: Member, who: Credentials) -> str:
    """Why this person may not decide this; empty when they may."""
    register = rulebook.register
    if not member.active or APPROVER not in member.roles or who.role != APPROVER:
        return "only an active member of staff with the role approver may"
    if not register.enrolled(member, who.device, who.device_key.value):
        return "the device is not enrolled for this member of staff"
    if row is None:
        return "there is no such request"
    if row.state != "requested":
        return f"the request is {row.state} already"
    if row.actor == member.handle:
        return "nobody approves their own request"
    if row.device.partition("/")[0] == who.device.partition("/")[0]:  # one handheld, enrolled for both
        return "the request came from this very device"
    return ""
