"""The audit log of one tenant: appending entries durably, and publishing them as tiles.

::

    log = Log(store, folder, signer, clock, ring)
    with log.begin() as batch:                       # one transaction, one fsync
        index = batch.append(Look(time=batch.time, …), [("waybill", "YT0000000000001")])
        batch.tx.use("s-1f…", "deliver", batch.day, 1)   # whatever must happen together with the entry
    batch.receipt(index)                             # only now: the entry is durable, and this proves it

**Commit first, publish after.** Entries, the tree's frontier, the signed checkpoint and whatever the caller
changes are one transaction of the store: after a crash all of it is there or none. An entry is acknowledged once
that transaction is durable. :meth:`Log.publish` then writes the tiles of C2SP tlog-tiles into a folder that
anybody may read and serve, and only afterwards drops the entries from the store; a crash in between repeats it.
Writers of all processes take turns at the store, so nobody can fork the log; when the disk is full the
transaction fails, and with it the look.

**Time never runs back, and runs ahead only as fast as the machine.** An entry's time is the desk's: the wall
clock, but never before the entry before, and never more ahead of it than the machine's uptime clock allows (plus a
tenth, so that it can catch up). Turning the wall clock opens no new day of quota.
"""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec

from parcelveil.audit import note, tiles
from parcelveil.audit.entry import AnyEntry, Asked, KeyEvent, encode
from parcelveil.audit.proof import leaf_hash
from parcelveil.audit.subjects import Subject, Subjects
from parcelveil.audit.tree import Frontier, Grown
from parcelveil.errors import LogError
from parcelveil.ports import Clock, LogState, Store, Transaction

#: So many unpublished entries are published without being asked, which bounds the store.
PUBLISH_AT = 4096
#: By how much the desk's clock may run faster than the machine's uptime: it catches up, and no window gets wider.
_CATCH_UP = 10  # one in so many
#: From so many seconds on a wall clock that is ahead is worth an entry.
_HELD_WORTH_TELLING = 60
_MICROS = 1_000_000
DAY_MICROS = 86_400 * _MICROS


def desk_time(state: LogState, wall: int, boot: str, uptime: int) -> int:
    """The time of the next entry, in microseconds; see the module."""
    if not state.size:
        return wall
    if boot and boot == state.boot:
        passed = max(0, uptime - state.uptime)
        wall = min(wall, state.time + passed + passed // _CATCH_UP)
    return max(state.time, wall)


class Batch:
    """The entries of one transaction, and the transaction itself."""

    def __init__(self, tx: Transaction, state: LogState, time: int, day: int, subjects: Subjects) -> None:
        self.tx = tx
        self.time = time
        self.day = day
        self._state = state
        self._subjects = subjects
        self._entries: list[bytes] = []
        self._leaves: list[bytes] = []
        self._asked: list[Subject] = []
        self._checkpoint = ""
        self._grown: Grown | None = None

    def append(self, entry: AnyEntry, subjects: Sequence[tuple[str, str]] = (), document: str = "") -> int:
        """Add an entry; returns its index in the log. ``entry.time`` must be ``batch.time``.

        ``subjects`` are (kind, value) pairs, at most :data:`~parcelveil.audit.entry.MAX_SUBJECTS`: they go into
        the entry as salted commitments, and with their salts into the side table. ``document`` likewise.
        """
        index = self._state.size + len(self._entries)
        if isinstance(entry, Asked) and (subjects or document):
            made = self._subjects.commit(index, subjects, document)
            self._asked += made
            committed = tuple(s.commitment for s in made if s.place >= 0)
            papers = made[-1].commitment if document else ""
            entry = msgspec.structs.replace(entry, subjects=committed, document=papers)
        data = encode(entry)
        self._entries.append(data)
        self._leaves.append(leaf_hash(data))
        return index

    def set_minimum(self, minimum: int) -> None:
        """Entries below ``minimum`` are pruned from here on."""
        self._state = msgspec.structs.replace(self._state, minimum=minimum)

    def _seal(self, signer: note.Signer, boot: str, uptime: int, held: int) -> None:
        """Everything the commit makes durable."""
        if not self._entries:
            return
        state = self._state
        grown = Grown(Frontier.from_bytes(state.size, state.frontier), self._leaves)
        size, root = grown.frontier.size, grown.root
        self._checkpoint = note.checkpoint(signer, size, root)
        self.tx.add_group(state.size, tiles.bundle(self._entries))
        self.tx.add_head(size, root)
        if self._asked:
            self.tx.add_subjects(self._subjects.rows(self._asked))
        self.tx.set_log_state(
            msgspec.structs.replace(
                state,
                size=size,
                frontier=grown.frontier.to_bytes(),
                checkpoint=self._checkpoint,
                time=self.time,
                uptime=uptime,
                boot=boot,
                held=held,
            )
        )
        self._grown = grown

    def receipt(self, index: int) -> str:
        """The receipt of an entry of this batch. Raises while the batch is not durable."""
        if self._grown is None:
            raise LogError("the entry is not durable yet", hint="ask after the transaction has ended")
        place = index - self._state.size
        return receipt_text(self._entries[place], index, self._grown.path(place), self._checkpoint)


def receipt_text(entry: bytes, index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """A C2SP tlog-proof with the entry in its ``extra`` line."""
    lines = [
        "c2sp.org/tlog-proof@v1",
        f"extra {base64.b64encode(entry).decode()}",
        f"index {index}",
        *(base64.b64encode(node).decode() for node in path),
    ]
    return "\n".join(lines) + "\n\n" + checkpoint


class Log:
    """See the module. Safe in any number of threads and processes."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        signer: note.Signer,
        clock: Clock,
        subjects: Subjects,
        utc_offset_minutes: int = 480,
    ) -> None:
        self.folder = folder
        self.signer = signer
        self.subjects = subjects
        self._store, self._clock = store, clock
        self._utc_offset = int(timedelta(minutes=utc_offset_minutes) / timedelta(microseconds=1))

    def __repr__(self) -> str:
        return f"<Log {self.signer.key.name}>"

    @contextmanager
    def begin(self) -> Iterator[Batch]:
        """A transaction that appends. Nothing of it happens if the block raises, or if the disk does not take it."""
        self.subjects.prepare()
        with self._store.transaction() as tx:
            state = tx.log_state()
            batch, boot, uptime, held = self._batch(tx, state)
            if not state.size:
                batch.append(KeyEvent(time=batch.time, action="log-created"))
            if abs(held - state.held) >= _HELD_WORTH_TELLING:
                batch.append(KeyEvent(time=batch.time, action="clock-held", detail=str(held)))
            else:
                held = state.held
            opened = len(batch._entries)
            yield batch
            if len(batch._entries) > opened:
                batch._seal(self.signer, boot, uptime, held)
        if batch._grown is not None and batch._grown.frontier.size - state.published >= PUBLISH_AT:
            self.publish()

    def _batch(self, tx: Transaction, state: LogState) -> tuple[Batch, str, int, int]:
        wall = self.wall()
        boot, uptime = self._clock.uptime()
        time = desk_time(state, wall, boot, uptime)
        day = (time + self._utc_offset) // DAY_MICROS
        return Batch(tx, state, time, day, self.subjects), boot, uptime, (wall - time) // _MICROS

    def wall(self) -> int:
        """The wall clock, in microseconds."""
        return int(self._clock.now().timestamp() * _MICROS)

    def append(self, entry: AnyEntry) -> str:
        """Append one entry that has no subjects; its ``time`` is set here. Returns the receipt."""
        with self.begin() as batch:
            index = batch.append(msgspec.structs.replace(entry, time=batch.time))
        return batch.receipt(index)

    def publish(self) -> int:
        """Write what is not in the folder yet. Returns how many entries the folder now holds.

        One process at a time publishes; a crash anywhere is repaired by the next call.
        """
        self._folder()
        with _alone(self.folder / ".publishing"):
            with self._store.transaction() as tx:
                state, groups = tx.log_state(), tx.groups()
            entries = [entry for _, bundle in groups for entry in tiles.unbundle(bundle)]
            start = groups[0][0] if groups else state.size
            if state.published > start:
                entries = entries[state.published - start :]
            if state.published + len(entries) != state.size:
                raise LogError("the store has lost entries that were not published", hint="restore the workspace")
            if entries or not (self.folder / "checkpoint").exists():
                tiles.publish(self.folder, state.published, entries, state.checkpoint)
            with self._store.transaction() as tx:
                now = tx.log_state()
                tx.set_log_state(msgspec.structs.replace(now, published=state.size))
                tx.drop_groups(state.size)
        return state.size

    def _folder(self) -> None:
        """Make the folder, with the key that its checkpoints are verified with."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        key = self.folder / "log.vkey"
        if not key.exists():
            key.write_text(f"{self.signer.key}\n", "ascii")

    def state(self) -> LogState:
        """Where the log stands."""
        with self._store.transaction() as tx:
            return tx.log_state()

    def receipt(self, index: int, cosigned: str = "") -> str:
        """A receipt of any entry, made from the published tiles, under the newest checkpoint (or ``cosigned``)."""
        from parcelveil.audit.proof import read_checkpoint
        from parcelveil.audit.tree import inclusion_path

        size = self.publish()
        checkpoint = cosigned or self.state().checkpoint
        if cosigned:
            size = read_checkpoint(cosigned, self.signer.key).size
        reader = tiles.TileReader(tiles.directory(self.folder), size)
        if not 0 <= index < size:
            raise LogError("the log has no entry {index} yet", hint="it has {size} entries", index=index, size=size)
        return receipt_text(reader.entry(index), index, inclusion_path(index, size, reader.node), checkpoint)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Only one process at a time is inside."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
