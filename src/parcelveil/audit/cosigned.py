"""Taking over a witness's cosignature: the newest cosigned checkpoint is kept beside the log's own.

::

    take_over(log, Path("w1.note"), Path("w1.vkey"))     # from now on 'audit prove' makes receipts that carry it

Only a checkpoint that this log signed, and that its tiles still give, is taken; several witnesses of one size are
gathered in one note.
"""

from __future__ import annotations

import os
from pathlib import Path

from parcelveil.audit import tiles
from parcelveil.audit.log import Log
from parcelveil.audit.note import with_signature
from parcelveil.audit.proof import Checkpoint, ProofError, VerifierKey, read_checkpoint, split_note, verify_note
from parcelveil.audit.tree import root_of
from parcelveil.errors import LogError

FILE = "cosigned"


def take_over(log: Log, note: Path, key: Path) -> int:
    """Keep the cosignature of the witness with this key; returns when it was made (seconds since 1970 UTC)."""
    try:
        witness = VerifierKey.parse(key.read_text("ascii"))
        text = note.read_text("utf-8")
        checkpoint = read_checkpoint(text, log.signer.key)
        _, when = verify_note(text, witness)
    except (OSError, UnicodeDecodeError, ProofError) as error:
        raise LogError("{file} is not cosigned by this witness: {why}", file=note.name, why=error) from None
    if not when:
        raise LogError("{file} is a signature and no cosignature", hint="give the witness's key", file=key.name)
    size = log.publish()
    reader = tiles.TileReader(tiles.directory(log.folder), size)
    if checkpoint.size > size or root_of(checkpoint.size, reader.node) != checkpoint.root:
        raise LogError("the checkpoint is not of this log", hint="run 'parcelveil audit verify'")
    kept = log.folder / FILE
    base = _same(kept, checkpoint, log.signer.key) or text
    line = next(line for line in text.splitlines(keepends=True) if _is_of(line, text, witness))
    part = kept.with_name(f".{FILE}.{os.getpid()}")
    part.write_text(with_signature(base, line), "utf-8")
    part.replace(kept)
    return when


def _same(kept: Path, checkpoint: Checkpoint, key: VerifierKey) -> str:
    """What is kept already, when it is of the same size and root; else empty."""
    try:
        text = kept.read_text("utf-8")
        return text if read_checkpoint(text, key) == checkpoint else ""
    except (OSError, UnicodeDecodeError, ProofError):
        return ""


def _is_of(line: str, text: str, witness: VerifierKey) -> bool:
    """Whether a line of the note is this witness's signature."""
    if not line.startswith(f"— {witness.name} "):
        return False
    body, _ = split_note(text)
    try:
        verify_note(f"{body}\n{line}", witness)
    except ProofError:
        return False
    return True
