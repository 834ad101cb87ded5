"""Write signed notes: the log's checkpoints and a witness's cosignatures.

::

    >>> log, seed = Signer.generate("acme.parcelveil/log")
    >>> witness, _ = Signer.generate("regulator.example/w1", kind=COSIGNATURE)
    >>> note = checkpoint(log, 0, EMPTY)
    >>> note = with_signature(note, witness.cosign(split_note(note)[0], 1_795_500_000))
    >>> read_checkpoint(note, log.key).size, verify_note(note, witness.key)[1]
    (0, 1795500000)

Formats: c2sp.org/signed-note, c2sp.org/tlog-checkpoint and c2sp.org/tlog-cosignature (the Ed25519 kinds). Reading
and verifying is :mod:`parcelveil.audit.proof`'s. What is verified is always the whole body, never a part of it.
"""

from __future__ import annotations

import os
from base64 import b64encode
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from parcelveil.audit.proof import VerifierKey, parse_checkpoint, read_checkpoint, split_note, verify_note
from parcelveil.audit.tree import EMPTY

__all__ = [
    "COSIGNATURE",
    "EMPTY",
    "SIGNATURE",
    "Signer",
    "VerifierKey",
    "checkpoint",
    "read_checkpoint",
    "split_note",
    "verify_note",
    "with_signature",
]

#: The kinds of a key: Ed25519 over the body, and Ed25519 over time and body.
SIGNATURE, COSIGNATURE = 1, 4
SEED_BYTES = 32
_YEAR_10000 = 253_402_300_800
_COSIGNED = "cosignature/v1\n"


class Signer:
    """A signing key with its name. Its ``repr`` shows the name only; the key does not leave it."""

    __slots__ = ("_private", "key")

    def __init__(self, name: str, private: Ed25519PrivateKey, kind: int = SIGNATURE) -> None:
        self._private = private
        self.key = VerifierKey.of(name, kind, private.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, name: str, seed: bytes, kind: int = SIGNATURE) -> Self:
        """The signer of a 32-byte secret seed (RFC 8032). ``kind``: 1 signs notes (a log), 4 cosigns (a witness).

        Raises ProofError when ``name`` has blanks, a plus sign or control characters, ValueError for another seed.
        """
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed), kind)

    @classmethod
    def generate(cls, name: str, kind: int = SIGNATURE) -> tuple[Self, bytes]:
        """A new signer and its seed, which is secret: wrap it before it is stored."""
        seed = os.urandom(SEED_BYTES)
        return cls.from_seed(name, seed, kind), seed

    def __repr__(self) -> str:
        return f"<Signer {self.key.name}>"

    def sign(self, body: str) -> str:
        """The signature line over a note's body, for a key of kind 1. The body ends with a newline.

        Raises ValueError for a body that could be taken for a cosigned one, should both keys be the same.
        """
        if self.key.kind != SIGNATURE or body.startswith(_COSIGNED):
            raise ValueError("a witness's key signs no notes, and a log's key nothing that looks like a cosignature")
        return self._line(self._private.sign(_checked(body).encode()))

    def cosign(self, body: str, timestamp: int) -> str:
        """The cosignature line over a checkpoint's body, for a key of kind 4. ``timestamp``: seconds since 1970.

        It says that this is the largest consistent tree of that log seen by then: check consistency first. Raises
        ProofError when the body is no checkpoint.
        """
        if self.key.kind != COSIGNATURE or not 0 <= timestamp < _YEAR_10000:
            raise ValueError("only a witness's key cosigns, and at a time from 1970 to 9999")
        parse_checkpoint(_checked(body))
        signature = self._private.sign(f"{_COSIGNED}time {timestamp}\n{body}".encode())
        return self._line(timestamp.to_bytes(8, "big") + signature)

    def _line(self, signature: bytes) -> str:
        return _line(self.key.name, self.key.key_id, signature)


def _line(name: str, key_id: bytes, signature: bytes) -> str:
    return f"— {name} {b64encode(key_id + signature).decode()}\n"


def _checked(body: str) -> str:
    """The body, if a note with it reads back as it is; raises ProofError otherwise."""
    if split_note(body + "\n" + _line("?", b"????", b"?"))[0] != body:
        raise ValueError("a note's body ends with a newline")
    return body


def checkpoint(signer: Signer, size: int, root: bytes) -> str:
    """The signed checkpoint of a tree of ``size`` leaves: a complete note, whose origin is the signer's name."""
    body = f"{signer.key.name}\n{size}\n{b64encode(root).decode()}\n"
    parse_checkpoint(body)
    return f"{body}\n{signer.sign(body)}"


def with_signature(note: str, line: str) -> str:
    """The note with one more signature line; one of the same name and key id is replaced. Verifies nothing."""
    body, signatures = split_note(note)
    same, added = split_note(f"{body}\n{line.removesuffix(chr(10))}\n")
    if same != body or len(added) != 1:
        raise ValueError("one signature line at a time")
    kept = [signature for signature in signatures if signature[:2] != added[0][:2]]
    text = body + "\n" + "".join(_line(*signature) for signature in kept + added)
    split_note(text)  # at most 64
    return text
