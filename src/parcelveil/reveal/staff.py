"""The register of staff: who works here, in which roles, at which outlets, with which devices.

::

    register = Register.of(batch.tx, batch.rows)
    register.member("c-104").roles            # {"courier"}
    register.enrolled(member, "pda-7", key)   # did this device speak?

Nobody who is not in the register sees anything. The log names people by *handles*, random words that only this
register can turn back into staff numbers; forgetting a member makes their handle nobody's.

A device proves itself with the 32-byte key it got when it was enrolled; the register keeps a SHA-256 of it. A
device belongs to one member of staff: a colleague's device id, or a made-up one, is a forged one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import msgspec

from parcelveil.audit.batch import Batch
from parcelveil.audit.entry import Approval, PolicyChange, QuotaChange, StaffChange
from parcelveil.audit.log import Log
from parcelveil.audit.rowseal import RowSeal
from parcelveil.errors import PolicyError
from parcelveil.event import CUSTOMER, folded
from parcelveil.ports import DeviceRow, LimitRow, StaffRow, Transaction
from parcelveil.reveal.request import printable
from parcelveil.reveal.scenes import MOST_ACTOR_DAY, Scenes, default_text, parse_scenes

NOBODY = "?"
KEY_BYTES = 32
#: What the log calls a device or an outlet has a form in which no name fits, and holds no mobile phone's number.
_NAME = re.compile(r"(?!.*(?<!\d)1[3-9]\d{9}(?!\d))[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
_ID_HINT = "use up to 64 letters, digits, '.', '_', ':', '/' and '-', for example pda-7, and no phone number"


class Member(NamedTuple):
    """One member of staff, as the desk needs them."""

    handle: str
    number: str
    roles: frozenset[str]
    outlets: frozenset[str]
    active: bool


STRANGER = Member(NOBODY, "", frozenset(), frozenset(), False)


class Register:
    """The register as it stood in one transaction."""

    def __init__(self, staff: Iterable[StaffRow], devices: Iterable[DeviceRow]) -> None:
        self.rows = {row.number: row for row in staff}
        self._members = {
            row.number: Member(
                row.handle, row.number, frozenset(row.roles.split()), frozenset(row.outlet.split()), row.active
            )
            for row in self.rows.values()
        }
        self.devices = {row.device: row for row in devices}

    @classmethod
    def of(cls, tx: Transaction, rows: RowSeal | None) -> Register:
        """The register of a transaction. Rows that the key ring's holder did not write count for nothing; without
        ``rows``, who only shows the register takes them as they are."""
        staff, devices = tx.staff(), tx.devices()
        if rows is None:
            return cls(staff, devices)
        return cls(filter(rows.genuine, staff), filter(rows.genuine, devices))

    def member(self, number: str) -> Member:
        """The member with this staff number; :data:`STRANGER` when there is none."""
        return self._members.get(number, STRANGER)

    def by_handle(self, handle: str) -> Member:
        """The member behind a handle; :data:`STRANGER` when it was forgotten."""
        return next((m for m in self._members.values() if m.handle == handle), STRANGER)

    def enrolled(self, member: Member, device: str, key: bytes) -> bool:
        """Whether ``device`` is this member's, and holds the key it was given."""
        row = self.devices.get(device)
        if len(key) != KEY_BYTES:
            return False
        genuine = hmac.compare_digest(hashlib.sha256(key).digest(), row.key_sha256 if row else bytes(32))
        return row is not None and genuine and row.handle == member.handle


class Hired(NamedTuple):
    """One line of a staff list."""

    number: str
    roles: frozenset[str]
    outlets: frozenset[str]
    active: bool = True


def put(log: Log, scenes: Scenes, hired: Iterable[Hired], *, by: str = "keyholder") -> tuple[int, int]:
    """Add or change members; returns how many were added and changed. All of the list, or nothing.

    Raises :class:`~parcelveil.errors.PolicyError` for roles there are not, or two that no one person may hold.
    """
    wanted = list(hired)
    for line in wanted:
        _check(line, scenes)
    with log.begin() as batch:
        rows = {row.number: row for row in batch.tx.staff()}
        added = changed = 0
        spelled = {folded(number): number for number in rows}
        for line in wanted:
            other = spelled.setdefault(folded(line.number), line.number)
            if other != line.number:  # work events do not tell them apart
                raise PolicyError("{one} and {other} are spelled too much alike", one=line.number, other=other)
            old = rows.get(line.number)
            handle = old.handle if old else f"s-{secrets.token_hex(6)}"
            roles, outlets = " ".join(sorted(line.roles)), " ".join(sorted(line.outlets))
            row = batch.rows.sealed(StaffRow(handle, line.number, roles, outlets, line.active))
            if row == old:
                continue
            added, changed = added + (old is None), changed + (old is not None)
            batch.tx.put_staff(row)
            rows[line.number] = row
            action = "suspended" if not line.active else "added" if old is None else "changed"
            _log(batch, action, by, handle, roles=tuple(sorted(line.roles)), outlet=outlets)
    return added, changed


def _check(line: Hired, scenes: Scenes) -> None:
    if not printable(line.number):
        raise PolicyError("a staff number is empty, too long or not printable", hint="use up to 64 characters")
    if folded(line.number) == CUSTOMER:
        raise PolicyError("{number} is no staff number: it stands for the customer", number=line.number)
    if not all(_NAME.fullmatch(outlet) for outlet in line.outlets):
        raise PolicyError("an outlet of {number} is no id", hint=_ID_HINT, number=line.number)
    unknown = sorted(line.roles - set(scenes.roles))
    if unknown or not line.roles:
        raise PolicyError(
            "{number} has no known role",
            hint="there are: {known}",
            number=line.number,
            known=", ".join(sorted(scenes.roles)),
        )
    pair = scenes.exclusive_duties(line.roles)
    if pair:
        raise PolicyError(
            "{number} may not be {one} and {other} at once",
            hint="give the two duties to two people",
            number=line.number,
            one=pair[0],
            other=pair[1],
        )


def enrol(log: Log, number: str, device: str, *, by: str = "keyholder") -> bytes:
    """Enrol a device for a member; returns its new key, which is kept nowhere else."""
    if not _NAME.fullmatch(device):
        raise PolicyError("this is no device id", hint=_ID_HINT)
    key = os.urandom(KEY_BYTES)
    with log.begin() as batch:
        register = Register.of(batch.tx, batch.rows)
        member = _known(register, number)
        owner = register.devices.get(device)
        if owner is not None and owner.handle != member.handle:
            raise PolicyError("{device} is enrolled for somebody else", hint="withdraw it first", device=device)
        batch.tx.put_device(batch.rows.sealed(DeviceRow(device, member.handle, hashlib.sha256(key).digest())))
        _log(batch, "enrolled", by, member.handle, device=device)
    return key


def withdraw(log: Log, device: str, *, by: str = "keyholder") -> None:
    """Withdraw a device: lost, stolen, or handed on."""
    with log.begin() as batch:
        row = Register.of(batch.tx, batch.rows).devices.get(device)
        if row is None:
            raise PolicyError("no device {device} is enrolled", hint="see 'parcelveil staff list'", device=device)
        batch.tx.drop_device(device)
        _log(batch, "withdrawn", by, row.handle, device=device)


def forget(log: Log, number: str, *, by: str = "keyholder") -> None:
    """Forget a member: from now on nobody can say whose their handle was.

    What they had asked for or proposed is rejected: under another handle they might else approve it themselves.
    """
    with log.begin() as batch:
        tx, member = batch.tx, _known(Register.of(batch.tx, batch.rows), number)
        tx.forget_staff(member.handle)
        _log(batch, "forgotten", by, member.handle)
        for row in tx.approvals():
            if row.actor == member.handle and row.state in ("requested", "approved"):
                tx.put_approval(batch.rows.sealed(msgspec.structs.replace(row, state="rejected", digest=b"")))
                batch.append(Approval(time=batch.time, action="rejected", approval=row.id, actor=by, scene=row.scene))
        for proposal in tx.policies():
            if proposal.author == member.handle and proposal.state == "proposed":
                tx.put_policy(batch.rows.sealed(msgspec.structs.replace(proposal, state="rejected")))
                batch.append(
                    PolicyChange(time=batch.time, action="rejected", version=proposal.version, actor=by, sha256="")
                )


def set_limit(log: Log, number: str, scene: str, limit: int, *, by: str = "keyholder") -> str:
    """Set another limit for one member and scene, today only; returns the day. The log says so."""
    if not 0 <= limit <= MOST_ACTOR_DAY:
        raise PolicyError("a limit is 0 to {most}", hint="a limit that nobody reaches is none", most=MOST_ACTOR_DAY)
    with log.begin() as batch:
        member = _known(Register.of(batch.tx, batch.rows), number)
        if scene not in _scenes_in_force(batch.tx):
            raise PolicyError("there is no such scene", hint="see 'parcelveil scenes list'")
        day = (date(1970, 1, 1) + timedelta(days=batch.day)).isoformat()
        batch.tx.set_limit(batch.rows.sealed(LimitRow(member.handle, scene, batch.day, limit)))
        batch.append(QuotaChange(time=batch.time, actor=by, target=member.handle, scene=scene, day=day, limit=limit))
    return day


def _scenes_in_force(tx: Transaction) -> Scenes:
    active = [row.scenes for row in tx.policies() if row.state == "active"]
    return parse_scenes(active[-1] if active else default_text())


def _known(register: Register, number: str) -> Member:
    member = register.member(number)
    if member is STRANGER:
        raise PolicyError("there is no member of staff {number}", hint="see 'parcelveil staff list'", number=number)
    return member


def _log(
    batch: Batch, action: str, by: str, handle: str, *, roles: tuple[str, ...] = (), outlet: str = "", device: str = ""
) -> None:
    batch.append(
        StaffChange(time=batch.time, action=action, actor=by, target=handle, roles=roles, outlet=outlet, device=device)
    )
