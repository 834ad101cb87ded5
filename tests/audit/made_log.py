"""Logs for tests: entries, tiles and checkpoints made from a seed, without a store."""

from __future__ import annotations

import base64
from pathlib import Path

from parcelveil.audit import note, tiles
from parcelveil.audit.entry import Export, KeyEvent, Look, Refusal, encode
from parcelveil.audit.proof import leaf_hash
from parcelveil.audit.tree import Frontier, inclusion_path

ORIGIN = "acme.parcelveil/log"
SEED = bytes(range(32))
START = 1_795_500_000_000_000  # 2026-11-24 06:00 UTC
HOUR = 3_600_000_000


def made_entry(index: int, salt: str = "") -> bytes:
    """Entry ``index`` of a history; another ``salt`` is another history. One a minute from START on."""
    time = START + index * HOUR // 60
    if index == 0:
        return encode(KeyEvent(time=time, action="log-created", detail=salt))
    asked = {"actor": f"s-{index % 7}", "role": "courier", "scene": "deliver", "outlet": f"o{salt}", "waybills": 1}
    if index % 10 == 3:
        return encode(Refusal(time=time, answer="refused", reason="custody", **asked))
    if index % 10 == 7:
        return encode(Export(time=time, values=5, fields=("to_name",), **asked))
    return encode(Look(time=time, values=2, fields=("to_name", "to_phone"), form="full", **asked))


class MadeLog:
    """A log of entries, published into ``folder`` as far as one says."""

    def __init__(self, folder: Path, origin: str = ORIGIN, seed: bytes = SEED, salt: str = "") -> None:
        self.folder, self.salt = folder, salt
        self.signer = note.Signer.from_seed(origin, seed)
        self.key = self.signer.key
        self.entries: list[bytes] = []
        self.heads: list[tuple[int, bytes]] = []
        self.published = 0

    def grow(self, count: int, step: int = 100) -> MadeLog:
        """Append entries; a head is signed after every ``step``."""
        frontier = Frontier()
        frontier.extend([leaf_hash(entry) for entry in self.entries])
        for _ in range(count):
            self.entries.append(made_entry(len(self.entries), self.salt))
            frontier.append(leaf_hash(self.entries[-1]))
            if len(self.entries) % step == 0:
                self.heads.append((len(self.entries), frontier.root()))
        return self

    def checkpoint(self, size: int | None = None) -> str:
        frontier = Frontier()
        frontier.extend([leaf_hash(entry) for entry in self.entries[:size]])
        return note.checkpoint(self.signer, frontier.size, frontier.root())

    def publish(self, size: int | None = None) -> MadeLog:
        size = len(self.entries) if size is None else size
        tiles.publish(self.folder, self.published, self.entries[self.published : size], self.checkpoint(size))
        self.published = size
        return self

    def receipt(self, index: int, size: int) -> str:
        def nodes(height: int, at: int) -> bytes:
            frontier = Frontier()
            frontier.extend([leaf_hash(entry) for entry in self.entries[at << height : (at + 1) << height]])
            return frontier.root()

        path = "".join(f"{base64.b64encode(node).decode()}\n" for node in inclusion_path(index, size, nodes))
        extra = base64.b64encode(self.entries[index]).decode()
        return f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex {index}\n{path}\n{self.checkpoint(size)}"
