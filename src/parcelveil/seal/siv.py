"""AES-SIV (RFC 5297) and AES-CMAC (RFC 4493) over many rows at once.

One value at a time, a Python loop spends its time on calls. Here block *i* of all rows goes through one
AES-ECB call, and a compiled pass (:mod:`parcelveil.seal.passes`) does what lies between two calls. The bytes
are those of the RFC::

    >>> from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    >>> key, text, ad = bytes(range(64)), b"sixteen bytes ok" * 2, b"row 7"
    >>> siv = Siv(key)
    >>> tags, keystream = siv.seal_rows(siv.s2v_prefix([ad]), as_rows(text))
    >>> tags.tobytes() + (keystream ^ as_rows(text)).tobytes() == AESSIV(key).encrypt(text, [ad])
    True

Rows are C-contiguous ``uint8`` arrays of shape ``(n, length)``: all rows of a call have one length. The
caller groups rows by length (values are padded to a few buckets anyway).

S2V is a sum of doubled CMACs, and doubling is linear: ``dbl(a ^ b) = dbl(a) ^ dbl(b)``. So a component that
is the same for many values (a column's context, a row's waybill number) is computed once and added in with
:func:`double` and :func:`xor`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from parcelveil.seal.passes import Words, absorb, add_subkeys, buffers, counters, fold, pad_rows, xored

Bytes2D = npt.NDArray[np.uint8]

BLOCK = 16


class Aes:
    """The AES permutation under one key, over arrays of 16-byte blocks. Safe in any number of threads."""

    __slots__ = ("_key", "_local")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._local = threading.local()  # a context keeps state between calls, so each thread has its own

    def _context(self) -> CipherContext:
        context: CipherContext | None = getattr(self._local, "context", None)
        if context is None:
            # ECB is the raw permutation that CMAC, CTR and the tree are built from, never a mode over a value.
            context = self._local.context = Cipher(algorithms.AES(self._key), modes.ECB()).encryptor()  # noqa: S305
        return context

    def block(self, data: bytes) -> bytes:
        """AES of one block, or of several one after the other, without arrays."""
        return self._context().update(data)

    def blocks(self, blocks: Bytes2D) -> Bytes2D:
        """AES of every 16-byte block; same shape, new memory."""
        # update_into() demands room for one more block than it writes.
        out = np.empty(blocks.size + BLOCK - 1, dtype=np.uint8)
        self._context().update_into(blocks.reshape(-1).data, out.data)
        return out[: blocks.size].reshape(blocks.shape)


def as_rows(message: bytes) -> Bytes2D:
    """One message as an array of one row."""
    return np.frombuffer(message, dtype=np.uint8).reshape(1, -1)


def words(rows: Bytes2D) -> Words:
    """The same memory as 64-bit words."""
    return rows.view(np.uint64)


def xor(left: Bytes2D, right: Bytes2D) -> Bytes2D:
    """XOR of two ``(n, 16)`` arrays; either may be ``(1, 16)``."""
    return xored(words(left), words(right)).view(np.uint8)


def double(rows: Bytes2D) -> Bytes2D:
    """``dbl`` of RFC 5297 2.3 (multiplication by x in GF(2^128)) of each 16-byte row."""
    halves = rows.view(">u8").astype(np.uint64)  # native order, most significant first
    carry = halves >> np.uint64(63)
    doubled = halves << np.uint64(1)
    doubled[:, 0] |= carry[:, 1]
    doubled[:, 1] ^= carry[:, 0] * np.uint64(0x87)
    return doubled.astype(">u8").view(np.uint8)


_NOTHING = np.zeros((1, BLOCK), dtype=np.uint8)


class Cmac:
    """AES-CMAC under one key: of equally long rows, or of an Arrow column of any strings."""

    __slots__ = ("_aes", "_second", "first_subkey")

    def __init__(self, key: bytes) -> None:
        self._aes = Aes(key)
        #: K1 of RFC 4493, for callers that chain whole blocks themselves.
        self.first_subkey = double(self._aes.blocks(_NOTHING))
        self._second = double(self.first_subkey)

    def rows(self, rows: Bytes2D) -> Bytes2D:
        """CMAC of each row of ``(n, length)``: shape ``(n, 16)``."""
        count, length = rows.shape
        if length and length % BLOCK == 0:
            return self.chain(rows, self.first_subkey)
        padded = np.zeros((count, (length // BLOCK + 1) * BLOCK), dtype=np.uint8)
        padded[:, :length] = rows
        padded[:, length] = 0x80
        return self.chain(padded, self._second)

    def chain(self, padded: Bytes2D, last: Bytes2D) -> Bytes2D:
        """CBC-MAC of whole blocks ``(n, 16 m)``, with ``last`` (one row or n) XORed into each row's final block."""
        blocks = padded.shape[1] // BLOCK
        state = np.zeros((len(padded), BLOCK), dtype=np.uint8)
        for index in range(blocks):
            absorb(words(state), words(padded), index, words(last if index == blocks - 1 else _NOTHING))
            state = self._aes.blocks(state)
        return state

    def column(self, values: pa.Array, index: npt.NDArray[np.int64] | None = None) -> Bytes2D:
        """CMAC of each value (or of those at ``index``) of a string or binary Arrow array without nulls: ``(n, 16)``."""
        offsets, data = buffers(values)
        index = np.arange(len(values)) if index is None else index
        sizes = np.maximum(1, offsets[index + 1] - offsets[index] + (BLOCK - 1) >> 4)
        if len(sizes) and sizes.min() == sizes.max():
            return self._column_part(offsets, data, index, int(sizes[0]))
        out = np.empty((len(sizes), BLOCK), dtype=np.uint8)
        for size in np.flatnonzero(np.bincount(sizes)):
            part = np.flatnonzero(sizes == size)
            out[part] = self._column_part(offsets, data, index[part], int(size))
        return out

    def _column_part(
        self, offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], index: npt.NDArray[np.int64], blocks: int
    ) -> Bytes2D:
        padded = pad_rows(offsets, data, index, blocks * BLOCK, True)
        add_subkeys(words(padded), offsets, index, words(self.first_subkey), words(self._second))
        return self._aes.blocks(padded) if blocks == 1 else self.chain(padded, _NOTHING)


class Siv:
    """AES-SIV under one key of 32, 48 or 64 bytes: the first half authenticates, the second encrypts."""

    __slots__ = ("_ctr", "mac")

    def __init__(self, key: bytes) -> None:
        if len(key) not in (32, 48, 64):
            raise ValueError("an AES-SIV key has 32, 48 or 64 bytes")
        self.mac = Cmac(key[: len(key) // 2])
        self._ctr = Aes(key[len(key) // 2 :])

    def s2v_prefix(self, components: Sequence[bytes]) -> Bytes2D:
        """S2V over ``components`` up to, but without, the plaintext: shape ``(1, 16)``."""
        state = self.mac.rows(_NOTHING)
        for component in components:
            state = xor(double(state), self.mac.rows(as_rows(component)))
        return state

    def tag_rows(self, prefix: Bytes2D, plaintext: Bytes2D) -> Bytes2D:
        """The synthetic IV of each row of ``plaintext`` ``(n, length)`` under ``prefix`` ``(n, 16)`` or ``(1, 16)``."""
        count, length = plaintext.shape
        if length >= BLOCK and length % BLOCK == 0:
            # xorend touches exactly the last block, and so does CMAC's subkey: one XOR for both.
            return self.mac.chain(plaintext, xor(prefix, self.mac.first_subkey))
        if length > BLOCK:
            mixed = plaintext.copy()
            mixed[:, -BLOCK:] ^= prefix
            return self.mac.rows(mixed)
        padded = np.zeros((count, BLOCK), dtype=np.uint8)
        padded[:, :length] = plaintext
        padded[:, length] = 0x80
        return self.mac.rows(xor(padded, double(prefix)))

    def keystream(self, tags: Bytes2D, length: int) -> Bytes2D:
        """The CTR keystream that each row's tag starts: ``(n, length)``."""
        blocks = -(-length // BLOCK)
        stream = self._ctr.blocks(counters(words(tags), blocks).view(np.uint8))
        return stream if length == stream.shape[1] else stream[:, :length]

    def seal_rows(self, prefix: Bytes2D, plaintext: Bytes2D) -> tuple[Bytes2D, Bytes2D]:
        """The tag ``(n, 16)`` and the keystream ``(n, length)`` of each row; their XOR with the rows is the ciphertext.

        The XOR is left to the caller, who has to touch every byte once more anyway to put it in its place.
        """
        tags = self.tag_rows(prefix, plaintext)
        return tags, self.keystream(tags, plaintext.shape[1])

    def open_rows(self, prefix: Bytes2D, tags: Bytes2D, ciphertext: Bytes2D) -> tuple[Bytes2D, npt.NDArray[np.bool_]]:
        """Decrypt rows. Returns the plaintexts and, row for row, whether the tag held.

        The comparison takes the same time whatever differs. **Rows whose tag did not hold come back as
        zeros**: unauthenticated plaintext does not leave this function.
        """
        plaintext = self.keystream(tags, ciphertext.shape[1])
        if plaintext.shape[1] % BLOCK == 0:
            fold(words(plaintext), words(ciphertext))
        else:
            plaintext = plaintext ^ ciphertext
        difference = words(xor(self.tag_rows(prefix, plaintext), tags))
        genuine = (difference[:, 0] | difference[:, 1]) == 0
        if not genuine.all():
            plaintext[~genuine] = 0
        return plaintext, genuine
