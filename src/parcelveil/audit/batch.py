"""The entries of one transaction of the log, and their receipts.

::

    with log.begin() as batch:
        index = batch.append(Look(time=batch.time, …), [("waybill", "YT0000000000001")])
    batch.receipt(index)             # a C2SP tlog-proof, once the transaction is durable

What an entry speaks of is committed to here, with fresh salts; the receipts are made from the tree's frontier and
the batch itself, without reading a tile.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Sequence

import msgspec

from parcelveil.audit import note, tiles
from parcelveil.audit.entry import AnyEntry, Asked, encode, readable
from parcelveil.audit.proof import leaf_hash
from parcelveil.audit.rowseal import RowSeal
from parcelveil.audit.subjects import Subject, Subjects
from parcelveil.audit.tree import Frontier, Grown
from parcelveil.errors import LogError
from parcelveil.ports import LogState, Transaction

_MOST_VALUES = 1 << 53
_POOL = 1024


class Batch:
    """The entries of one transaction, and the transaction itself."""

    def __init__(
        self, tx: Transaction, state: LogState, time: int, day: int, subjects: Subjects, rows: RowSeal
    ) -> None:
        self.tx = tx
        self.rows = rows  # seals the register's rows that this transaction writes
        self.time = time
        self.day = day
        self._state = state
        self.after = state  # the log's state, once the transaction is durable
        self._subjects = subjects
        self.entries: list[bytes] = []
        self._leaves: list[bytes] = []
        self._asked: list[Subject] = []
        self._checkpoint = ""
        self._pool = b""
        self._node_texts: dict[bytes, str] = {}
        self.open = True
        self.grown: Grown | None = None  # the tree with these entries, once they are durable

    def append(self, entry: AnyEntry, subjects: Sequence[tuple[str, str]] = (), document: str = "") -> int:
        """Add an entry; returns its index in the log. ``entry.time`` must be ``batch.time``.

        ``subjects`` are (kind, value) pairs, at most :data:`~parcelveil.audit.entry.MAX_SUBJECTS`: they go into
        the entry as salted commitments, and with their salts into the side table. ``document`` likewise. Raises
        LogError for an entry that would not read back: one such entry, and the log would not verify any more.
        """
        if not self.open:
            raise LogError("the transaction of this entry has ended", hint="begin another one")
        index = self._state.size + len(self.entries)
        if isinstance(entry, Asked) and (subjects or document):
            made = self._subjects.commit(index, subjects, document, self._random)
            self._asked += made
            committed = tuple(s.commitment for s in made if s.place >= 0)
            papers = made[-1].commitment if document else ""
            entry = msgspec.structs.replace(entry, subjects=committed, document=papers)
        data = self._checked(entry)
        self.entries.append(data)
        self._leaves.append(leaf_hash(data))
        return index

    def _checked(self, entry: AnyEntry) -> bytes:
        """The bytes of an entry that every reader will take."""
        try:
            data = encode(entry)
        except ValueError:  # its text may quote the entry
            data = b""
        if (
            not data
            or not readable(data)
            or entry.time != self.time
            or not 0 <= getattr(entry, "values", 0) <= _MOST_VALUES
        ):
            raise LogError("the log cannot hold this {kind} entry", hint="nothing was logged", kind=entry.kind)
        return data

    def _random(self, count: int) -> bytes:
        """Random bytes, fetched from the system for many salts at once."""
        if len(self._pool) < count:
            self._pool = os.urandom(max(count, _POOL))
        taken, self._pool = self._pool[:count], self._pool[count:]
        return taken

    def set_minimum(self, minimum: int) -> None:
        """Entries below ``minimum`` are pruned from here on."""
        self._state = msgspec.structs.replace(self._state, minimum=minimum)

    def seal(self, signer: note.Signer, boot: str, uptime: int, held: int) -> Grown:
        """Everything the commit makes durable. Returns the tree that there will be.

        It goes on from the frontier of the batch's state: who begins the batch sees to it that this is a tree which
        the log's key has signed.
        """
        state = self._state
        grown = Grown(Frontier.from_bytes(state.size, state.frontier), self._leaves)
        size, root = grown.frontier.size, grown.root
        self._checkpoint = note.checkpoint(signer, size, root)
        self.tx.add_group(state.size, tiles.bundle(self.entries))
        self.tx.add_head(size, root)
        if self._asked:
            self.tx.add_subjects(self._subjects.rows(self._asked))
        self.after = msgspec.structs.replace(
            state,
            size=size,
            frontier=grown.frontier.to_bytes(),
            checkpoint=self._checkpoint,
            time=self.time,
            uptime=uptime,
            boot=boot,
            held=held,
        )
        self.tx.set_log_state(self.after)
        return grown

    def receipt(self, index: int) -> str:
        """The receipt of an entry of this batch. Raises LogError unless the batch is durable."""
        if self.grown is None:
            raise LogError("the entry is not durable yet", hint="ask after the transaction has ended")
        place = index - self._state.size
        if not 0 <= place < len(self.entries):
            raise LogError("entry {index} is not of this batch", index=index)
        path, texts = self.grown.path(place), self._node_texts
        for node in path:
            if node not in texts:  # the receipts of a batch share most of their nodes
                texts[node] = _base64(node)
        return _proof(self.entries[place], index, [texts[node] for node in path], self._checkpoint)


def receipt_text(entry: bytes, index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """A C2SP tlog-proof with the entry in its ``extra`` line."""
    return _proof(entry, index, [_base64(node) for node in path], checkpoint)


def _proof(entry: bytes, index: int, path: Sequence[str], checkpoint: str) -> str:
    nodes = "".join([f"{node}\n" for node in path])
    return f"c2sp.org/tlog-proof@v1\nextra {_base64(entry)}\nindex {index}\n{nodes}\n{checkpoint}"


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")
