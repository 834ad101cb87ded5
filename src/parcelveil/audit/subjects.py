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
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parcelveil.audit.entry import MAX_SUBJECTS, SALT_BYTES, commitment
from parcelveil.errors import LogError
from parcelveil.ports import SubjectRow
from parcelveil.seal.siv import BLOCK, Cmac, Siv, double

DOCUMENT_PLACE = -1
#: From so many rows on, arrays are quicker than single calls.
_MANY = 24
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


class _Keys:
    """The keys of one month: for one row at a time, and for many at once."""

    def __init__(self, parts: bytes) -> None:
        self.one, self.many = AESSIV(parts[:64]), Siv(parts[:64])
        self._token, self.tokens = AES(parts[64:]), Cmac(parts[64:])

    def __repr__(self) -> str:
        return "<salts keys>"

    def token(self, plain: bytes) -> bytes:
        """What finds the rows of one kind and value: AES-CMAC."""
        mac = CMAC(self._token)
        mac.update(plain)
        return mac.finalize()

    def seal(self, where: bytes, plain: bytes) -> bytes:
        """AES-SIV of a row, bound to its place."""
        return self.one.encrypt(plain, [where])

    def seal_all(self, where: npt.NDArray[np.uint8], plain: Sequence[bytes]) -> list[bytes]:
        """:meth:`seal` of rows of any lengths; those of one length go through AES together."""
        sealed: list[bytes] = [b""] * len(plain)
        sizes = np.array([len(text) for text in plain])
        start = double(self.many.s2v_prefix([]))
        for size in np.unique(sizes):
            chosen = np.flatnonzero(sizes == size)
            rows = np.frombuffer(b"".join([plain[i] for i in chosen.tolist()]), dtype=np.uint8).reshape(
                len(chosen), size
            )
            tags, keystream = self.many.seal_rows(start ^ self.many.mac.rows(where[chosen]), rows)
            data = np.concatenate([tags, keystream ^ rows], axis=1).tobytes()
            width = BLOCK + int(size)
            for place, i in enumerate(chosen.tolist()):
                sealed[i] = data[place * width : (place + 1) * width]
        return sealed


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
            keys = self._keys[period] = _Keys(parts)
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
        made = list(subjects)
        texts = [f"{s.kind}\0{s.value}".encode() for s in made]
        plain = [s.salt + text for s, text in zip(made, texts, strict=True)]
        if len(made) < _MANY:
            tokens = [keys.token(text) for text in texts]
            sealed = [keys.seal(_where(s.entry, s.place), text) for s, text in zip(made, plain, strict=True)]
        else:
            data = keys.tokens.column(pa.array(texts, pa.binary())).tobytes()
            tokens = [data[start : start + BLOCK] for start in range(0, len(data), BLOCK)]
            places = np.array([(s.entry, s.place) for s in made], dtype=">i8").view(np.uint8)
            sealed = keys.seal_all(places, plain)
        return [SubjectRow(s.entry, s.place, period, *row) for s, *row in zip(made, tokens, sealed, strict=True)]

    def tokens(self, subjects: Iterable[tuple[str, str]]) -> list[bytes]:
        """What finds the rows of these subjects: one token a subject and month there is a key of."""
        wanted = [f"{kind}\0{value}".encode() for kind, value in subjects]
        keys = [self._of(period) for period in self._alive()]
        return [key.token(plain) for plain in wanted for key in keys]

    def open(self, row: SubjectRow) -> Subject:
        """The subject of a row. Raises LogError when row and key do not belong together, or the key was destroyed."""
        if row.period not in self._alive():
            raise LogError("whom entry {entry} is about was erased", hint="it stays so", entry=row.entry)
        keys = self._of(row.period)
        try:
            plain = keys.one.decrypt(row.sealed, [_where(row.entry, row.place)])
            if not hmac.compare_digest(keys.token(plain[SALT_BYTES:]), row.token):
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


def _where(entry: int, place: int) -> bytes:
    """Binds a sealed salt to its entry and place: rows cannot be swapped."""
    return struct.pack(">qq", entry, place)
