"""What is in force now: scenes, policy, and the register of staff, as the store has them.

::

    rulebook = Rulebook()
    with log.begin() as batch:
        rulebook.follow(batch.tx, batch.rows)   # one look at a counter; reads again only what has changed
        rulebook.policy.decide(facts)

The store is the only source: files on disk have no say until two people have put them in force
(:func:`propose`, :func:`approve`). Until the first change the package's defaults are version 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import msgspec

from parcelveil.audit.batch import Batch
from parcelveil.audit.entry import PolicyChange
from parcelveil.audit.log import Log
from parcelveil.audit.rowseal import RowSeal
from parcelveil.errors import PolicyError
from parcelveil.ports import PolicyRow, Transaction
from parcelveil.reveal.policy import Policy, default_documents
from parcelveil.reveal.request import Credentials
from parcelveil.reveal.scenes import Scenes
from parcelveil.reveal.staff import Member, Register

AUTHOR, APPROVER = "policy_author", "policy_approver"


class Rulebook:
    """See the module."""

    scenes: Scenes
    policy: Policy
    register: Register

    def __init__(self) -> None:
        self.version = 0
        self._generation = -1

    @classmethod
    def of(cls, tx: Transaction) -> Self:
        """The rulebook of this moment as the store shows it, for who shows it: nothing is decided by it."""
        book = cls()
        book.follow(tx, None)
        return book

    def follow(self, tx: Transaction, rows: RowSeal | None) -> None:
        """Be as new as the transaction. Raises PolicyError for rules that the key ring's holder did not write."""
        generation = tx.generation()
        if generation == self._generation:
            return
        row = in_force(tx, rows)
        if row.version != self.version:
            self.policy = Policy(row.scenes, row.policy, row.schema)
            self.scenes = self.policy.scenes
            self.version = row.version
        self.register = Register.of(tx, rows)
        self._generation = generation

    def outlet_held(self, who: Credentials, member: Member) -> bool:
        """Whether the outlet that was named is the member's; roles that work at an outlet have to name one."""
        role = self.scenes.roles.get(who.role)
        if not who.outlet:
            return role is not None and not role.outlet
        return who.outlet in member.outlets


def in_force(tx: Transaction, rows: RowSeal | None = None) -> PolicyRow:
    """The version in force: the store's active one, else the package's defaults as version 1."""
    known = tx.policies()
    for row in reversed(known):
        if row.state == "active":
            if rows is not None and not rows.genuine(row):
                break
            return row
    if known:
        raise PolicyError(
            "the rules in force were changed from outside",
            hint="restore the state, and find out who can write to it; nothing is opened until then",
        )
    return PolicyRow(1, "active", *default_documents(), author="", approver="")


def propose(log: Log, documents: tuple[str, str, str], who: Credentials) -> int:
    """Propose scenes, policy and schema; they must hold together. Returns the version it would become.

    Raises PolicyError when they do not, or when the person may not; the second is logged.
    """
    policy = Policy(*documents)  # nothing that does not validate is even proposed
    with log.begin() as batch:
        member, problem = _entitled(batch, who, AUTHOR)
        rows = batch.tx.policies()
        version = max([1, *(row.version for row in rows)]) + 1
        if not problem:
            if not rows:
                batch.tx.put_policy(batch.rows.sealed(in_force(batch.tx, batch.rows)))
            row = PolicyRow(version, "proposed", *documents, author=member.handle, approver="")
            batch.tx.put_policy(batch.rows.sealed(row))
        _log(batch, "refused" if problem else "proposed", version, member.handle, policy.digest)
    if problem:
        raise PolicyError("not proposed: {why}", hint="the attempt was logged", why=problem)
    return version


def approve(log: Log, version: int, who: Credentials, *, reject: bool = False) -> str:
    """Put a proposal in force (or reject it), as another person than its author. Returns the receipt.

    Raises PolicyError when this person may not, and logs that.
    """
    action = "rejected" if reject else "approved"
    with log.begin() as batch:
        member, problem = _entitled(batch, who, APPROVER)
        rows = {row.version: row for row in batch.tx.policies() if batch.rows.genuine(row)}
        row = rows.get(version)
        digest = ""
        if row is None or row.state != "proposed":
            problem = problem or f"version {version} is not a proposal"
        else:
            digest = Policy(row.scenes, row.policy, row.schema).digest
            if row.author == member.handle:
                problem = "nobody approves their own proposal"
            if not problem:
                _replace(batch, rows.values(), row, member, reject=reject)
        # A version that is none was typed by somebody, and is not logged.
        index = _log(batch, "refused" if problem else action, version if row else 0, member.handle, digest)
    if problem:
        raise PolicyError("not approved: {why}", hint="the attempt was logged", why=problem)
    return batch.receipt(index)


def _replace(batch: Batch, rows: Iterable[PolicyRow], row: PolicyRow, member: Member, *, reject: bool) -> None:
    for old in rows:
        if old.state == "active" and not reject:
            batch.tx.put_policy(batch.rows.sealed(msgspec.structs.replace(old, state="replaced")))
    state = "rejected" if reject else "active"
    batch.tx.put_policy(batch.rows.sealed(msgspec.structs.replace(row, state=state, approver=member.handle)))


def _entitled(batch: Batch, who: Credentials, duty: str) -> tuple[Member, str]:
    """The member who speaks, and why they may not; the latter empty when they may."""
    register = Register.of(batch.tx, batch.rows)
    member = register.member(who.actor)
    if not member.active or duty not in member.roles:
        return member, f"only an active member of staff with the role {duty} may"
    if {AUTHOR, APPROVER} <= member.roles:  # the register refuses that; who got past it still does neither
        return member, "nobody both changes the rules and approves them"
    if not register.enrolled(member, who.device, who.device_key.value):
        return member, "the device is not enrolled for this member of staff"
    return member, ""


def _log(batch: Batch, action: str, version: int, handle: str, digest: str) -> int:
    return batch.append(PolicyChange(time=batch.time, action=action, version=version, actor=handle, sha256=digest))
