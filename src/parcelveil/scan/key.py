"""The key of fingerprints: with it the same value is known again, in another file or a year later, and without it not.

::

    >>> key = ScanKey(bytes(32), lasting=True)
    >>> made = key.fingerprints(("phone.mobile", "phone.foreign"), np.array([0, 1]), pa.array([b"+8613800000001"] * 2))
    >>> made[0] == made[1], made.type, key
    (True, FixedSizeBinaryType(fixed_size_binary[16]), <ScanKey 2d4f72b94f828a2c>)

A fingerprint is AES-CMAC (RFC 4493) of the normalised value, as in :mod:`parcelveil.seal.pseudonym`, under a key of the
kind's class: ``phone`` of ``phone.mobile``, so that one number found by two rules has one fingerprint, and a bank card
never has that of a phone. There are so few phone numbers that an unkeyed hash is the number itself; the secrecy of this
key is the whole protection of what findings, baselines and journals hold.

A key lies in a file that only its owner may read (``parcelveil scan key -o scan.key``), named by an option or by the
environment variable :data:`VARIABLE`. Without one each scan makes its own and forgets it; then nothing can be
compared with another scan, and :meth:`ScanKey.lasts` says so.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parcelveil.errors import KeyAccessError, OutputError, UsageError
from parcelveil.scan.findings import FINGERPRINT
from parcelveil.seal.pseudonym import PseudonymKey

#: Names the file of the key, where no option does.
VARIABLE = "PARCELVEIL_SCAN_KEY"
_SIZE = 32
_MARK = b"parcelveil.scan-key.v1 "
_LONGEST = 256  # bytes of a key file; what is longer is none
_PRIVATE = 0o600


class ScanKey:
    """32 secret bytes. ``lasting``: they are kept somewhere, so that a later scan can have the same. ``repr`` shows none."""

    def __init__(self, secret: bytes, *, lasting: bool) -> None:
        if len(secret) != _SIZE:
            raise ValueError("a scan key has 32 bytes")
        self._secret = secret
        self._macs = PseudonymKey(secret, "", "scan", 0)
        self.lasting = lasting
        #: Commits to the key, and tells nothing about it: 16 hex digits.
        self.key_id = HKDF(SHA256(), 8, salt=None, info=b"parcelveil v1 scan key id").derive(secret).hex()

    def __repr__(self) -> str:
        return f"<ScanKey {self.key_id}>"

    def __reduce__(self) -> str:
        raise TypeError("a scan key is not pickled: a copy of it would lie somewhere")

    @classmethod
    def new(cls, *, lasting: bool = False) -> Self:
        """A key of random bytes; for one scan, unless it is to be written."""
        return cls(secrets.token_bytes(_SIZE), lasting=lasting)

    @classmethod
    def find(cls, path: str | Path | None, environ: Mapping[str, str]) -> Self:
        """The key in the file ``path``, or in the one that the environment names, or a new one for this scan only."""
        named = path or environ.get(VARIABLE)
        return cls.read(Path(named)) if named else cls.new()

    @classmethod
    def read(cls, path: Path) -> Self:
        """The key in a file. Raises KeyAccessError when there is none, or when others may read it."""
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(_LONGEST + 1)
        except OSError as error:
            raise KeyAccessError(
                "the scan key {file} cannot be read: {why}",
                hint="make one: parcelveil scan key -o {file}",
                file=str(path),
                why=error.strerror or type(error).__name__,
            ) from None
        if stat.S_ISREG(mode) and mode & 0o077:
            raise KeyAccessError(
                "the scan key {file} may be read by others than its owner", hint="chmod 600 {file}", file=str(path)
            )
        try:
            mark, encoded = data[: len(_MARK)], data[len(_MARK) :].strip()
            secret = base64.b64decode(encoded, validate=True)
            if mark != _MARK or len(secret) != _SIZE:
                raise ValueError
        except (ValueError, binascii.Error):
            raise KeyAccessError(
                "{file} is not a scan key", hint="make one: parcelveil scan key -o scan.key", file=str(path)
            ) from None
        return cls(secret, lasting=True)

    def write(self, path: Path) -> None:
        """Write the key into a new file that only its owner may read. Raises OutputError; never replaces a file."""
        line = _MARK + base64.b64encode(self._secret) + b"\n"
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)
        except OSError as error:
            there = isinstance(error, FileExistsError)
            raise OutputError(
                "{file} exists already" if there else "{file} could not be written: {why}",
                hint="a key is never replaced: what was found with it could not be compared any more" if there else "",
                file=str(path),
                why=error.strerror or type(error).__name__,
            ) from None
        try:
            with os.fdopen(number, "wb") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)  # half a key is none
            raise OutputError(
                "{file} could not be written: {why}", file=str(path), why=error.strerror or type(error).__name__
            ) from None
        self.lasting = True

    def lasts(self) -> None:
        """Raise UsageError when this key is forgotten after the scan: for what is compared with another scan."""
        if not self.lasting:
            raise UsageError(
                "comparing scans needs a scan key that is kept: a scan's own is forgotten when it ends",
                hint="parcelveil scan key -o scan.key, then --key scan.key",
            )

    def fits(self, key_id: str, file: str) -> None:
        """Raise KeyAccessError when ``file`` was made with another key than this one."""
        if key_id != self.key_id:
            raise KeyAccessError(
                "{file} was made with the scan key {theirs}; this one is {ours}",
                hint="give the key that it was made with by --key, or make it anew",
                file=file,
                theirs=key_id,
                ours=self.key_id,
            )

    def fingerprints(self, kinds: Sequence[str], codes: npt.NDArray[np.integer], values: pa.Array) -> pa.Array:
        """The fingerprint of each value: ``fixed_size_binary[16]``, as long as ``values``.

        ``values`` (binary or string, without nulls) are normalised already; ``codes`` says of each which of ``kinds`` it is.
        """
        classes = [kind.partition(".")[0] for kind in kinds]
        names = sorted(set(classes))
        of_kind = np.array([names.index(name) for name in classes], dtype=np.int64)
        rows = of_kind[codes] if len(kinds) else np.zeros(0, dtype=np.int64)
        found = np.empty((len(values), FINGERPRINT), dtype=np.uint8)
        for number in np.flatnonzero(np.bincount(rows)):
            index = np.flatnonzero(rows == number)
            found[index] = self._macs.at(values, names[number], index)
        return pa.Array.from_buffers(pa.binary(FINGERPRINT), len(values), [None, pa.py_buffer(found)])
