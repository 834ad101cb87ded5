"""A key store in one small file, locked by a passphrase (``file:`` URIs).

::

    store = FileKeyStore.new(path, passphrase)
    store.create(1)

The file has three blocks of 512 bytes: a header with scrypt's parameters and salt, and two slots. A slot holds
one KEK version, encrypted under the passphrase's key, or zeros. Two slots are what a rotation needs: the new
version is written and synced beside the old one, and destroying the old one overwrites **the same bytes** with
zeros, in place. On disks that write elsewhere than they are told (SSDs, copy-on-write file systems) the old
bytes may survive for a while, still encrypted under the passphrase: whoever must exclude that uses a hardware
key store. Never back this file up together with the rest of the workspace: a backup of it, together with an
old backup of the state, brings erased waybills back.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from parcelveil.errors import KeyAccessError, PassphraseError

_BLOCK = 512
_SLOTS = 2
#: 128 * N * r = 64 MiB and about 0.15 s: dear for who guesses, bearable for who types.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 16, 8, 1
_MOST_N = 1 << 20  # a hostile header must not make us allocate without bound


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    n: int
    r: int
    p: int
    salt: bytes


class _Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    wrapped: bytes


class FileKeyStore:
    """See the module. Its ``repr`` shows the path only."""

    def __init__(self, path: Path, passphrase: str) -> None:
        self._path = path
        data = self._data()
        try:
            header = msgspec.json.decode(data[:_BLOCK].rstrip(b"\0"), type=_Header)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._no_key_file() from None
        if header.format != "parcelveil.kek.v1" or not 2 <= header.n <= _MOST_N or header.r > 32 or header.p > 16:
            raise self._no_key_file()
        self._lock = AESSIV(_stretch(passphrase, header))
        self._slots: list[int | None] = []
        self._keks: dict[int, AESSIV] = {}
        self._read_slots()

    def _data(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise KeyAccessError(
                "the key file {file} cannot be read: {why}",
                hint="it is not part of the workspace's backups; restore it from where you keep it",
                file=self._path.name,
                why=error.strerror,
            ) from None

    def _no_key_file(self) -> KeyAccessError:
        return KeyAccessError("{file} is not a key file", hint="restore it", file=self._path.name)

    def _read_slots(self) -> None:
        """Look at the slots as they are on disk now: another process may have rotated since."""
        data = self._data()
        slots = [data[_BLOCK * (i + 1) : _BLOCK * (i + 2)].rstrip(b"\0") for i in range(_SLOTS)]
        try:
            found = [msgspec.json.decode(slot, type=_Slot) if slot else None for slot in slots]
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._no_key_file() from None
        self._slots = [slot.version if slot else None for slot in found]
        self._keks = {}
        for slot in found:
            if slot:
                try:
                    kek = self._lock.decrypt(slot.wrapped, [b"kek", str(slot.version).encode()])
                except InvalidTag:
                    raise PassphraseError(
                        "the passphrase does not open {file}",
                        hint="try again; nothing was changed",
                        file=self._path.name,
                    ) from None
                self._keks[slot.version] = AESSIV(kek)

    def __repr__(self) -> str:
        return f"<FileKeyStore {self._path}>"

    @classmethod
    def new(cls, path: Path, passphrase: str) -> Self:
        """A new, empty key file, readable for its owner only. Raises when one is there already."""
        header = _Header("parcelveil.kek.v1", _SCRYPT_N, _SCRYPT_R, _SCRYPT_P, os.urandom(16))
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise KeyAccessError("{file} exists already", hint="keys are never overwritten", file=path.name) from None
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.encode(header).ljust(_BLOCK * (1 + _SLOTS), b"\0"))
            file.flush()
            os.fsync(file.fileno())
        return cls(path, passphrase)

    def versions(self) -> list[int]:
        self._read_slots()
        return sorted(self._keks)

    def create(self, version: int) -> None:
        self._read_slots()  # a slot that another process filled must not be overwritten
        kek = os.urandom(64)
        wrapped = self._lock.encrypt(kek, [b"kek", str(version).encode()])
        place = self._slots.index(None)
        self._write(place, msgspec.json.encode(_Slot(version, wrapped)))
        self._slots[place] = version
        self._keks[version] = AESSIV(kek)

    def destroy(self, version: int) -> None:
        self._read_slots()
        if version in self._slots:
            place = self._slots.index(version)
            self._write(place, b"")
            self._slots[place] = None
            self._keks.pop(version, None)

    def _write(self, slot: int, content: bytes) -> None:
        """Overwrite one slot in place and wait until the disk has it."""
        fd = os.open(self._path, os.O_WRONLY)
        try:
            os.pwrite(fd, content.ljust(_BLOCK, b"\0"), _BLOCK * (slot + 1))
            os.fsync(fd)
        finally:
            os.close(fd)

    def wrap(self, version: int, secret: bytes, context: bytes) -> bytes:
        return self._kek(version).encrypt(secret, [context])

    def unwrap(self, version: int, wrapped: bytes, context: bytes) -> bytes:
        try:
            return self._kek(version).decrypt(wrapped, [context])
        except InvalidTag:
            raise KeyAccessError("a wrapped key does not fit this key store", hint="restore the workspace") from None

    def _kek(self, version: int) -> AESSIV:
        if version not in self._keks:
            self._read_slots()
        if version not in self._keks:
            raise KeyAccessError(
                "key version {version} was destroyed or belongs to another key file",
                hint="a restored backup of the state needs no older key: what was erased stays erased",
                version=version,
            )
        return self._keks[version]


def _stretch(passphrase: str, header: _Header) -> bytes:
    return Scrypt(salt=header.salt, length=64, n=header.n, r=header.r, p=header.p).derive(passphrase.encode())
