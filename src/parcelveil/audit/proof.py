"""Check a receipt of the audit log offline. Copy this file and the log's key anywhere::

    python proof.py RECEIPT LOG.vkey [WITNESS.vkey ...]

prints the entry and when it was cosigned, by all witnesses named. Needs ``cryptography`` only.
Formats: c2sp.org/tlog-proof, /tlog-checkpoint, /tlog-cosignature, /signed-note; hashes: RFC 6962.
"""

from __future__ import annotations

import re
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MOST_CHARS, MOST_SIGNATURES = 1_000_000, 64
Signatures = list[tuple[str, bytes, bytes]]  # name, key id, the rest


class ProofError(ValueError):
    """It does not verify."""


def _need(true: object, why: str) -> None:
    if not true:
        raise ProofError(why)


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def inclusion_root(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that a leaf hash and its path lead to (RFC 9162, 2.1.3.2)."""
    _need(0 <= index < size and {len(h) for h in (leaf, *path)} == {32}, "misshapen proof")
    last = size - 1
    for node in path:
        _need(last, "proof too long")
        if index & 1 or index == last:
            leaf = node_hash(node, leaf)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            leaf = node_hash(leaf, node)
        index, last = index >> 1, last >> 1
    _need(not last, "proof too short")
    return leaf


def unbase64(text: str) -> bytes:
    """Canonical base64 only."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        data = b""
    _need(b64encode(data).decode() == text, "not base64")
    return data


def _number(text: str) -> int:
    _need(re.fullmatch("0|[1-9][0-9]{,18}", text) and int(text) < 1 << 63, "not a number")
    return int(text)


@dataclass(frozen=True)
class VerifierKey:
    """Ed25519; kind 1 signs (a log), 4 cosigns (a witness). Text: ``name+id+base64``."""

    name: str
    key_id: bytes
    kind: int
    public: bytes

    @classmethod
    def of(cls, name: str, kind: int, public: bytes) -> Self:
        _need(name.isprintable() and name.split() == [name] and "+" not in name, "not a key name")
        _need(kind in (1, 4) and len(public) == 32, "not an Ed25519 key")
        return cls(name, sha256(b"%b\n%c%b" % (name.encode(), kind, public)).digest()[:4], kind, public)

    @classmethod
    def parse(cls, text: str) -> Self:
        name, _, rest = text.strip().partition("+")
        data = unbase64(rest[9:]) if len(text) < 1000 else b""
        _need(data, "not a key")
        key = cls.of(name, data[0], data[1:])
        _need(str(key) == text.strip(), "wrong key id")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.kind]) + self.public).decode()}"


def split_note(text: str) -> tuple[str, Signatures]:
    """Body and signatures of a signed note, **unverified**."""
    _need(len(text) <= MOST_CHARS and not re.search(r"[\0-\t\v-\x1f\ud800-\udfff]", text), "no text")
    body, _, tail = text.rpartition("\n\n")
    *lines, end = tail.split("\n", MOST_SIGNATURES + 1)
    found = [m for x in lines if (m := re.fullmatch(r"— ([^\s+]+) (\S+)", x))]
    _need(body and not end and 0 < len(lines) == len(found) <= MOST_SIGNATURES, "not a signed note")
    return body + "\n", [(m[1], data[:4], data[4:]) for m in found for data in [unbase64(m[2])]]


def _when(body: str, signatures: Signatures, key: VerifierKey) -> int | None:
    """When ``key`` cosigned (0: signed), or None. All its signatures must be right."""
    when = None
    for name, key_id, data in signatures:
        if (name, key_id) == (key.name, key.key_id):
            skip = 8 if key.kind == 4 else 0
            at = int.from_bytes(data[:skip], "big")
            message = f"cosignature/v1\ntime {at}\n{body}" if skip else body
            try:
                Ed25519PublicKey.from_public_bytes(key.public).verify(data[skip:], message.encode())
            except (InvalidSignature, ValueError):
                raise ProofError(f"a signature of {key.name} is wrong") from None
            _need(at < 253_402_300_800, "time after 9999")
            when = max(at, when or 0)
    return when


def verify_note(text: str, key: VerifierKey) -> tuple[str, int]:
    """Body of a note that ``key`` signed, and when: Unix seconds, 0 for kind 1."""
    body, signatures = split_note(text)
    when = _when(body, signatures, key)
    _need(when is not None, f"{key.name} did not sign")
    return body, when or 0


class Checkpoint(NamedTuple):
    origin: str
    size: int
    root: bytes


def parse_checkpoint(body: str) -> Checkpoint:
    """A note's body, **unverified**; extension lines are ignored."""
    lines = body.split("\n")
    _need(len(lines) > 3 and not lines.pop() and all(lines), "not a checkpoint")
    root = unbase64(lines[2])
    _need(len(root) == 32, "not a root hash")
    return Checkpoint(lines[0], _number(lines[1]), root)


def read_checkpoint(text: str, log_key: VerifierKey) -> Checkpoint:
    """Signed by the log, whose key has the origin's name."""
    checkpoint = parse_checkpoint(verify_note(text, log_key)[0])
    _need(checkpoint.origin == log_key.name, "another log's checkpoint")
    return checkpoint


class Verified(NamedTuple):
    entry: bytes
    index: int  # type: ignore[assignment]
    checkpoint: Checkpoint
    cosigned: dict[str, int]  # by whom, when


def verify_receipt(text: str, log_key: VerifierKey, witnesses: Sequence[VerifierKey] = (), quorum: int = 0) -> Verified:
    """The entry is logged, and ``quorum`` of the witnesses cosigned."""
    _need(len(text) <= MOST_CHARS, "too long")
    head, _, note = text.partition("\n\n")
    first, extra, at, *path = *head.split("\n"), "", ""
    _need((first, extra[:6], at[:6]) == ("c2sp.org/tlog-proof@v1", "extra ", "index "), "not a receipt")
    entry, index = unbase64(extra[6:]), _number(at[6:])
    checkpoint = read_checkpoint(note, log_key)
    root = inclusion_root(index, checkpoint.size, leaf_hash(entry), [unbase64(h) for h in path[:-2]])
    _need(root == checkpoint.root, "the entry is not in the log")
    body, signatures = split_note(note)
    cosigned: dict[str, int] = {}
    keys = {log_key.public}  # cosignatures cover no names: count keys once
    for key in witnesses:
        _need(key.kind == 4, f"{key.name} is no witness's key")
        when = _when(body, signatures, key)
        if when is not None and key.public not in keys:
            keys.add(key.public)
            cosigned[key.name] = when
    _need(len(cosigned) >= quorum, f"only {len(cosigned)} of {quorum} witnesses cosigned")
    return Verified(entry, index, checkpoint, cosigned)


def main(argv: Sequence[str]) -> int:
    try:
        _need(len(argv) > 1, "RECEIPT LOG.vkey [WITNESS.vkey ...]")
        texts = []
        for path in argv:
            with open(path, "rb") as file:  # noqa: PTH123
                texts.append(file.read(4 * MOST_CHARS).decode())
        keys = [VerifierKey.parse(text) for text in texts[1:]]
        data, index, log, cosigned = verify_receipt(texts[0], keys[0], keys[1:], len(keys) - 1)
        entry = data.decode(errors="backslashreplace")
        text = f"{entry if entry.isprintable() else repr(data)}\nentry {index} of {log.size} in {log.origin}\n"
        for name, when in cosigned.items():
            text += f"cosigned by {name} at {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(when))}\n"
    except (OSError, ValueError) as error:
        log, text = None, f"refused: {error}\n"
    (sys.stdout if log else sys.stderr).write(text.encode("ascii", "backslashreplace").decode())
    return 0 if log else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
