"""What entries speak of: commitments in the log, and their salts in a side table that can be erased.

::

    made = subjects.commit(17, [("waybill", "YT0000000000001")])
    made[0].commitment                       # into entry 17
    tx.add_subjects(subjects.rows(made))     # into the side table, in the same transaction
    subjects.tokens([("waybill", "YT0000000000001")])   # finds all its rows, to read or to erase

A row of the side table is sealed under the *salts key* of its month, which lies in the key ring: who has the
database, or a backup of it, without the key ring, cannot tell whom an entry is about. Deleting the row leaves a
commitment that nobody can open any more. Where a day of law ends (``erase before``) the month's key goes, and with
it every row of that month in every backup.
"""

from __future__ import annotations

import binascii
import hmac
import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parcelveil.audit.entry import MAX_SUBJECTS, SALT_BYTES, commitment
from parcelveil.errors import LogError
from parcelveil.ports import SubjectRow

DOCUMENT_PLACE = -1
PURPOSE = "salts"


class Subject(NamedTuple):
    """One subject of an entry. Not for printing: it holds the value."""

    entry: int
    place: int
    kind: str
    value: str
    salt: bytes
    commitment: str  # base64, as it stands in the entry

    def __repr__(self) -> str:
        return f"<Subject {self.entry}/{self.place}>"


class _Keys(NamedTuple):
    seal: AESSIV
    token: bytes

    def __repr__(self) -> str:
        return "<salts keys>"


class Subjects:
    """Makes, seals and opens subjects. ``secret(purpose, period)`` is the key ring's; ``month()`` the current period."""

    def __init__(
        self,
        secret: Callable[[str, int], bytes],
        periods: Callable[[str], list[int]],
        month: Callable[[], int],
    ) -> None:
        self._secret, self._periods, self._month = secret, periods, month
        self._keys: dict[int, _Keys] = {}
        self._period = 0

    def _of(self, period: int) -> _Keys:
        keys = self._keys.get(period)  # no lock: two threads may both derive the same keys
        if keys is None:
            parts = HKDF(SHA256(), 96, salt=None, info=b"parcelveil v1 salts").derive(self._secret(PURPOSE, period))
            keys = self._keys[period] = _Keys(AESSIV(parts[:64]), parts[64:])
        return keys

    def _alive(self) -> list[int]:
        """The months there is a key of; keys that were destroyed since are forgotten here too."""
        self.prepare()  # another process may have begun the month, and the key ring looks for what it does not know
        alive = self._periods(PURPOSE)
        for gone in set(self._keys) - set(alive):
            self._keys.pop(gone, None)
        return alive

    def prepare(self) -> None:
        """Turn to the present month, and make its key where there is none: outside any transaction."""
        period = self._month()
        self._of(period)
        self._period = period

    def commit(
        self,
        entry: int,
        subjects: Sequence[tuple[str, str]],
        document: str = "",
        random: Callable[[int], bytes] = os.urandom,
    ) -> list[Subject]:
        """The subjects of entry number ``entry``, each with a fresh salt; the document's comes last."""
        if len(subjects) > MAX_SUBJECTS:
            raise LogError("an entry speaks of {most} waybills at the most", most=MAX_SUBJECTS)
        places = [(place, kind, value) for place, (kind, value) in enumerate(subjects)]
        if document:
            places.append((DOCUMENT_PLACE, "document", document))
        salts = random(SALT_BYTES * len(places))
        made = []
        for number, (place, kind, value) in enumerate(places):
            salt = salts[number * SALT_BYTES : (number + 1) * SALT_BYTES]
            made.append(Subject(entry, place, kind, value, salt, _text(commitment(salt, kind, value))))
        return made

    def rows(self, subjects: Iterable[Subject]) -> list[SubjectRow]:
        """The rows of the side table."""
        period = self._period
        keys = self._of(period)
        seal = keys.seal.encrypt
        rows = []
        for s in subjects:
            plain = f"{s.kind}\0{s.value}".encode()
            token = _token(keys, plain)
            rows.append(SubjectRow(s.entry, s.place, period, token, seal(s.salt + plain, [_where(s.entry, s.place)])))
        return rows

    def tokens(self, subjects: Iterable[tuple[str, str]]) -> list[bytes]:
        """What finds the rows of these subjects: one token a subject and month there is a key of."""
        wanted = [f"{kind}\0{value}".encode() for kind, value in subjects]
        keys = [self._of(period) for period in self._alive()]
        return [_token(key, plain) for plain in wanted for key in keys]

    def open(self, row: SubjectRow) -> Subject:
        """The subject of a row. Raises LogError when row and key do not belong together, or the key was destroyed."""
        if row.period not in self._alive():
            raise LogError("whom entry {entry} is about was erased", hint="it stays so", entry=row.entry)
        keys = self._of(row.period)
        try:
            plain = keys.seal.decrypt(row.sealed, [_where(row.entry, row.place)])
            if not hmac.compare_digest(_token(keys, plain[SALT_BYTES:]), row.token):
                raise InvalidTag  # erasing would not find it
        except InvalidTag:
            raise LogError(
                "the salts of entry {entry} were changed", hint="restore the state", entry=row.entry
            ) from None
        salt = plain[:SALT_BYTES]
        kind, _, value = plain[SALT_BYTES:].decode().partition("\0")
        return Subject(row.entry, row.place, kind, value, salt, _text(commitment(salt, kind, value)))


def _text(committed: bytes) -> str:
    return binascii.b2a_base64(committed, newline=False).decode("ascii")


def _token(keys: _Keys, plain: bytes) -> bytes:
    """Finds the rows of one kind and value."""
    return hmac.digest(keys.token, plain, "sha256")[:16]


def _where(entry: int, place: int) -> bytes:
    """Binds a sealed salt to its entry and place: rows cannot be swapped."""
    return b"%d/%d" % (entry, place)
