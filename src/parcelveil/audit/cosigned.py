"""Taking over a witness's cosignature: the newest cosigned checkpoint is kept beside the log's own.

::

    take_over(log, Path("w1.note"), Path("w1.vkey"))     # from now on 'audit prove' makes receipts that carry it

Only a checkpoint that this log signed, and that its tiles still give, is taken; several witnesses of one size are
gathered in one note. Nothing else that stands in the witness's file is kept, and a newer one is not replaced by an
older.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from parcelveil.audit import tiles
from parcelveil.audit.log import Log, alone, put
from parcelveil.audit.note import with_signature
from parcelveil.audit.proof import Checkpoint, VerifierKey, read_checkpoint, split_note, verify_note
from parcelveil.audit.tree import root_of
from parcelveil.errors import LogError

FILE = "cosigned"
_MOST_BYTES = 4_000_000


def take_over(log: Log, note: Path, key: Path) -> int:
    """Keep the cosignature of the witness with this key; returns when it was made (seconds since 1970 UTC).

    Raises LogError when the note is not this witness's, not of this log, or older than what is kept.
    """
    try:
        witness = VerifierKey.parse(_read(key))
        text = _read(note)
        checkpoint = read_checkpoint(text, log.signer.key)
        _, when = verify_note(text, witness)
    except OSError as error:
        raise LogError("{file} cannot be read: {why}", file=note.name, why=error.strerror or "") from None
    except ValueError as error:  # a ProofError, or no text
        raise LogError("{file} is not cosigned by this witness: {why}", file=note.name, why=error) from None
    if not when:
        raise LogError("{file} is a signature and no cosignature", hint="give the witness's key", file=key.name)
    size = log.publish()
    reader = tiles.TileReader(tiles.directory(log.folder), size)
    if checkpoint.size > size or root_of(checkpoint.size, reader.node) != checkpoint.root:
        raise LogError("the checkpoint is not of this log", hint="run 'parcelveil audit verify'")
    kept = log.folder / FILE
    with alone(log.folder):
        text_kept, before = _kept(kept, log.signer.key)
        if before is not None and before.size > checkpoint.size:
            raise LogError(
                "a newer checkpoint, of {size} entries, is cosigned already",
                hint="nothing was changed; let the witness cosign that one",
                size=before.size,
            )
        base = text_kept if before == checkpoint else _only(text, log.signer.key)
        put(kept, with_signature(base, _line_of(text, witness)))
    return when


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES).decode()


def _kept(kept: Path, key: VerifierKey) -> tuple[str, Checkpoint | None]:
    """What is kept already; None when that is nothing, or is not this log's."""
    try:
        text = _read(kept)
        return text, read_checkpoint(text, key)
    except (OSError, ValueError):
        return "", None


def _only(text: str, key: VerifierKey) -> str:
    """The note with the signature of ``key`` alone."""
    return f"{split_note(text)[0]}\n{_line_of(text, key)}"


def _line_of(text: str, key: VerifierKey) -> str:
    """The signature line of ``key`` in a note that is verified: the newest, if there are several."""
    _, signatures = split_note(text)
    data = max(data for name, key_id, data in signatures if (name, key_id) == (key.name, key.key_id))
    return f"— {key.name} {b64encode(key.key_id + data).decode()}\n"
