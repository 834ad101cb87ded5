"""Tokens for labels: what a label's QR code carries, and only the desk can turn into a waybill number.

::

    >>> key = LabelKey(bytes(range(32)), "acme", 202611)
    >>> text = key.tokens(pa.array(["YT0000000000001"]))[0].as_py()
    >>> len(text), text.isalnum(), text.isupper()
    (58, True, True)
    >>> key.number_of(read(text.lower() + " "))
    'YT0000000000001'
    >>> LabelKey(bytes(range(32)), "rival", 202611).number_of(read(text)) is None
    True

A token is ``version (1) | period (3) | tag (16) | ciphertext``, AES-SIV of the padded waybill number, in base32; see
``docs/format/label-token.md``. It is the same each time the waybill is sealed in one month, so a pipeline that runs
twice prints the same code. The key is a secret of the ring (purpose ``label``) for one tenant and month, and is
destroyed with that month's pseudonym keys: from then on an old label leads nowhere.

Sealing makes a column of tokens at once; the desk reads one at a time. Nothing here raises on what a scanner may read.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parcelveil.errors import EpochError
from parcelveil.seal.passes import MARKER, buffers, from_buffers, pad_rows, write_base32
from parcelveil.seal.pseudonym import by_period
from parcelveil.seal.siv import BLOCK, Siv

VERSION = 1
#: The purpose under which the ring keeps the secrets.
PURPOSE = "label"
#: Version and period.
HEAD = 4
#: Padded lengths, as sealed values have them; a number of n bytes takes the smallest above n.
BUCKETS = np.array([16, 32, 48, 64, 96, 128, 192, 256, 384], dtype=np.int64)
#: The longest number (bytes in UTF-8) that gets a token: more than the desk takes (64 characters of up to 4 bytes).
MAX_NUMBER = 383
_BUCKET_OF = np.searchsorted(BUCKETS, np.arange(MAX_NUMBER + 1), side="right").astype(np.uint8)
_SIZES = (HEAD + BLOCK + BUCKETS).tolist()
_TEXT_SIZES = np.array([-(-size * 8 // 5) for size in _SIZES], dtype=np.int32)
#: Characters of the longest token.
LONGEST = int(_TEXT_SIZES[-1])
_SIZE_OF_TEXT = dict(zip(_TEXT_SIZES.tolist(), _SIZES, strict=True))
_CONTEXT = b"PVLT"
_USE = b"label token"


class Token(NamedTuple):
    """A text that has the form of a token; whether it is one, its month's key says."""

    period: int  # year * 100 + month
    sealed: bytes  # tag | ciphertext


def read(text: object) -> Token | None:
    """The token that ``text`` has the form of: in any case, blanks at its ends or not. None for everything else.

    Every token has exactly one text (but for case and blanks): bits behind the last byte have to be zero.
    """
    if not isinstance(text, str) or len(text) > 2 * LONGEST or not text.isascii():
        return None  # beyond ASCII there are letters whose upper case is an ASCII letter
    text = text.strip().upper()
    if len(text) not in _SIZE_OF_TEXT:
        return None
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        return None
    if base64.b32encode(data).rstrip(b"=") != text.encode() or data[0] != VERSION:
        return None
    return Token(int.from_bytes(data[1:HEAD], "big"), data[HEAD:])


class LabelKey:
    """The token key of one tenant and period. Its ``repr`` shows no key."""

    def __init__(self, secret: bytes, tenant: str, period: int) -> None:
        self.period = period
        self._head = struct.pack(">I", VERSION << 24 | period)
        info = "\0".join(["parcelveil v1 label token", tenant, str(period)]).encode()
        key = HKDF(SHA256(), 64, salt=None, info=info).derive(secret)
        owner = tenant.encode()
        self._context = b"".join(
            [_CONTEXT, self._head, struct.pack(">H", len(_USE)), _USE, struct.pack(">H", len(owner)), owner]
        )
        self._one = AESSIV(key)
        self._many = Siv(key)
        self._prefix = self._many.s2v_prefix([self._context])

    def __repr__(self) -> str:
        return f"<LabelKey {self.period}>"

    def tokens(self, numbers: pa.Array) -> pa.Array:
        """The token of each waybill number (a string array): ``string``, null where it is null or too long for one."""
        offsets, data = buffers(numbers)
        lengths = np.diff(offsets)
        valid = lengths <= MAX_NUMBER
        if numbers.null_count:
            valid &= np.asarray(numbers.is_valid())
        bucket = _BUCKET_OF[np.minimum(lengths, MAX_NUMBER)]
        starts = np.zeros(len(numbers) + 1, dtype=np.int32)
        np.cumsum(np.where(valid, _TEXT_SIZES[bucket], 0), out=starts[1:])
        out = np.empty(starts[-1], dtype=np.uint8)
        for which in np.flatnonzero(np.bincount(bucket[valid])):
            place = np.flatnonzero((bucket == which) & valid)
            padded = pad_rows(offsets, data, place, int(BUCKETS[which]), True)
            tags, keystream = self._many.seal_rows(self._prefix, padded)
            rows = np.empty((len(place), _SIZES[which]), dtype=np.uint8)
            rows[:, :HEAD] = np.frombuffer(self._head, dtype=np.uint8)
            rows[:, HEAD : HEAD + BLOCK] = tags
            np.bitwise_xor(padded, keystream, out=rows[:, HEAD + BLOCK :])
            write_base32(out, starts[place], rows)
        return from_buffers(starts, out, valid, pa.string())

    def number_of(self, token: Token | None) -> str | None:
        """The waybill number in a token; None when this key did not make it. Tags are compared in constant time."""
        if token is None or token.period != self.period:
            return None
        try:
            padded = self._one.decrypt(token.sealed, [self._context])
        except InvalidTag:
            return None
        number, marker, _ = padded.rpartition(bytes([MARKER]))
        if not marker or padded.rstrip(b"\0") != number + marker or BUCKETS[_BUCKET_OF[len(number)]] != len(padded):
            return None  # only who has the key could make such a token, and nothing that we run does
        try:
            return number.decode()
        except UnicodeDecodeError:
            return None


class LabelKeys:
    """The token keys of the periods that a run touches."""

    def __init__(self, keys: Mapping[int, LabelKey]) -> None:
        self._keys = keys

    def tokens(self, numbers: pa.Array, days: npt.NDArray[np.int32]) -> pa.Array:
        """The column ``label_token`` for rows that fall on ``days`` (days since 1970-01-01)."""
        if not len(numbers):
            return pa.array([], pa.string())
        return by_period(numbers, days, lambda period, part: self._key(period).tokens(part))

    def _key(self, period: int) -> LabelKey:
        if period not in self._keys:
            raise EpochError("the label key of {period} is unknown or was destroyed", period=period)
        return self._keys[period]
