"""Rows that decide who may see what carry a seal, so that a database administrator cannot write one.

::

    rows = RowSeal(ring.secret("rows"))
    tx.put_staff(rows.sealed(row))      # row with its seal
    rows.genuine(row)                   # False for a row that somebody without the key ring wrote or changed

Register, devices, policies, approvals and changed limits lie in the database, and the database has an
administrator (T10). Their seal is an HMAC-SHA-256 over the kind of row and all its other fields, under a key of the
key ring. An old row put back has a good seal: that is what ``audit reconcile`` compares with the log for.
"""

from __future__ import annotations

import hmac
from typing import TypeVar

import msgspec

from parcelveil.ports import SealedRow

Row = TypeVar("Row", bound=SealedRow)


class RowSeal:
    """Makes and checks seals under one 32-byte key. Its ``repr`` shows no key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "<RowSeal>"

    def _seal(self, row: SealedRow) -> bytes:
        bare = msgspec.structs.replace(row, seal=b"")
        text = msgspec.json.encode([type(row).__name__, msgspec.structs.astuple(bare)])
        return hmac.digest(self._key, text, "sha256")

    def sealed(self, row: Row) -> Row:
        """``row`` with its seal."""
        return msgspec.structs.replace(row, seal=self._seal(row))

    def genuine(self, row: SealedRow) -> bool:
        """Whether the key ring's holder wrote this row, as it is."""
        return hmac.compare_digest(self._seal(row), row.seal)
