"""One epoch: the keys that seal the waybills of one tenant and day.

An epoch is made at random, lives wrapped under the key-encryption key, and ends by being destroyed::

    >>> epoch = Epoch.new("acme", epoch_id(date(2026, 11, 23)))
    >>> epoch.header.day, epoch.header.generation
    (datetime.date(2026, 11, 23), 0)
    >>> Epoch.from_state(epoch.header, epoch.to_state()).header == epoch.header
    True

The header is public. The state is secret: 32 random bytes, from which HKDF derives the AES-SIV key, the key
of the waybills' paths and the key of the commitment, and the live nodes of the epoch's tree
(:mod:`parcelveil.seal.tree`). Erasing a waybill changes the tree only; nothing in the 32 bytes can bring its
leaf back, because the tree's root was drawn apart from them and is not stored once the tree was punctured.

The **commitment** in the header ties it to exactly these keys, so that a header cannot be paired with other
keys (AES-SIV alone would not notice). It is compared in constant time when the state is loaded.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from datetime import date, timedelta
from functools import cached_property
from typing import Self

import msgspec
import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parcelveil.errors import EpochError
from parcelveil.seal.siv import Bytes2D, Cmac, Siv, double, xor
from parcelveil.seal.tree import Paths, Tree

SUITE = 1
SECRET_BYTES = 32
_DAY_ZERO = date(1970, 1, 1)
_GENERATION_BITS = 12
_STATE_MAGIC = b"PVE1"


def epoch_id(day: date, generation: int = 0) -> int:
    """The 4-byte number of an epoch: days since 1970-01-01 in the upper 20 bits, generation in the lower 12."""
    days = (day - _DAY_ZERO).days
    if not (0 <= days < 1 << 20 and 0 <= generation < 1 << _GENERATION_BITS):
        raise EpochError("no epoch can be numbered for {day}", day=day.isoformat())
    return days << _GENERATION_BITS | generation


def day_of(epoch: int) -> date:
    """The day an epoch number stands for."""
    return _DAY_ZERO + timedelta(days=epoch >> _GENERATION_BITS)


def generation_of(epoch: int) -> int:
    """The generation in an epoch number: 0 for a day's first epoch, more after rotations."""
    return epoch & (1 << _GENERATION_BITS) - 1


class EpochHeader(msgspec.Struct, frozen=True):
    """What may be known of an epoch by everybody."""

    tenant: str
    epoch: int
    suite: int
    salt: bytes  # 16 random bytes; makes the public permutations of the tree
    commitment: bytes  # HMAC-SHA-256, 32 bytes

    @classmethod
    def of(cls, stored: bytes) -> Self:
        """The header that is stored as JSON."""
        return msgspec.json.decode(stored, type=cls)

    @property
    def day(self) -> date:
        return day_of(self.epoch)

    @property
    def generation(self) -> int:
        return generation_of(self.epoch)

    def canonical(self) -> bytes:
        """The header without its commitment, length-prefixed: what the commitment is computed over."""
        tenant = self.tenant.encode()
        return struct.pack(">BIH", self.suite, self.epoch, len(tenant)) + tenant + self.salt


def field_context(tenant: str, epoch: int, field: str) -> bytes:
    """The first S2V component of every value of a column: suite, tenant, epoch and field, length-prefixed."""
    owner, name = tenant.encode(), field.encode()
    return b"PVSV" + struct.pack(">BIH", SUITE, epoch, len(owner)) + owner + struct.pack(">H", len(name)) + name


def field_tweak(field: str) -> bytes:
    """The 16 bytes that tell a field's pad from the pads of the waybill's other fields."""
    return hashlib.sha256(b"parcelveil v1 field " + field.encode()).digest()[:8] + bytes(8)


class Epoch:
    """The keys of one epoch. Its ``repr`` shows the header's day only."""

    def __init__(self, header: EpochHeader, secret: bytes, tree: Tree) -> None:
        self.header = header
        self.tree = tree
        self._secret = secret
        self._prefixes: dict[str, Bytes2D] = {}

    def __repr__(self) -> str:
        return f"<Epoch {self.header.day} generation {self.header.generation}>"

    @classmethod
    def new(cls, tenant: str, epoch: int) -> Self:
        """A fresh epoch from the system's random source."""
        secret, root, salt = os.urandom(SECRET_BYTES), os.urandom(16), os.urandom(16)
        unsigned = EpochHeader(tenant=tenant, epoch=epoch, suite=SUITE, salt=salt, commitment=b"")
        header = msgspec.structs.replace(unsigned, commitment=_commit(secret, unsigned))
        return cls(header, secret, Tree.new(root, salt))

    def to_state(self) -> bytes:
        """The secret state, to be encrypted before it touches a disk."""
        return _STATE_MAGIC + self._secret + self.tree.to_bytes()

    @classmethod
    def from_state(cls, header: EpochHeader, state: bytes) -> Self:
        """The inverse of :meth:`to_state`. Raises :class:`EpochError` when header and state do not belong together."""
        secret = state[len(_STATE_MAGIC) : len(_STATE_MAGIC) + SECRET_BYTES]
        genuine = hmac.compare_digest(_commit(secret, header), header.commitment)
        if not genuine or state[: len(_STATE_MAGIC)] != _STATE_MAGIC or header.suite != SUITE:
            raise EpochError(
                "the keys of {day} do not match the epoch's commitment",
                hint="the key ring was mixed up or changed; restore it from its backup",
                day=header.day.isoformat(),
            )
        return cls(header, secret, Tree.from_bytes(state[len(_STATE_MAGIC) + SECRET_BYTES :], header.salt))

    def puncture(self, paths: Paths) -> Epoch:
        """The same epoch without the leaves of ``paths``."""
        return Epoch(self.header, self._secret, self.tree.puncture(paths))

    @cached_property
    def siv(self) -> Siv:
        """AES-256-SIV for the values."""
        return Siv(self._derive(b"siv", 64))

    @cached_property
    def aessiv(self) -> AESSIV:
        """The same AES-256-SIV as :attr:`siv`, for one value at a time."""
        return AESSIV(self._derive(b"siv", 64))

    @cached_property
    def _path_key(self) -> AES:
        return AES(self._derive(b"path", 32))

    def path(self, waybill_no: str) -> int:
        """The tree path of one waybill number; see :meth:`paths`."""
        mac = CMAC(self._path_key)
        mac.update(waybill_no.encode())
        return int.from_bytes(mac.finalize()[:8], "big")

    @cached_property
    def _path_mac(self) -> Cmac:
        return Cmac(self._derive(b"path", 32))

    def _derive(self, label: bytes, length: int) -> bytes:
        return _derive(self._secret, self.header, label, length)

    def paths(self, waybill_no: pa.Array) -> Paths:
        """The 64-bit tree path of each waybill number: the first 8 bytes of its CMAC, big-endian."""
        return self._path_mac.column(waybill_no)[:, :8].copy().view(">u8").astype(np.uint64).reshape(-1)

    def field_prefix(self, field: str) -> Bytes2D:
        """S2V over (context, 0, 0): the constant part of :meth:`value_prefix`, ``(1, 16)``."""
        if field not in self._prefixes:
            context = self.siv.s2v_prefix([field_context(self.header.tenant, self.header.epoch, field)])
            self._prefixes[field] = double(double(context))
        return self._prefixes[field]

    def row_prefix(self, waybill_no: pa.Array, revisions: np.ndarray[tuple[int], np.dtype[np.uint16]]) -> Bytes2D:
        """What waybill number and revision add to S2V: ``dbl(CMAC(number)) ^ CMAC(revision)``, ``(n, 16)``.

        The S2V of a value is over (context, number, revision, padded value). Because doubling is linear, the
        context's part (:meth:`field_prefix`) and this row's part are simply XORed.
        """
        encoded = revisions.astype(">u2").view(np.uint8).reshape(-1, 2)
        one = len(encoded) and (revisions == revisions[0]).all()
        return xor(double(self.siv.mac.column(waybill_no)), self.siv.mac.rows(encoded[:1] if one else encoded))


def _derive(secret: bytes, header: EpochHeader, label: bytes, length: int) -> bytes:
    info = b"parcelveil v1 " + label + b"\0" + header.canonical()
    return HKDF(SHA256(), length, salt=header.salt, info=info).derive(secret)


def _commit(secret: bytes, header: EpochHeader) -> bytes:
    key = _derive(secret, header, b"commit", 32)
    return hmac.digest(key, b"commit" + header.canonical(), "sha256")
