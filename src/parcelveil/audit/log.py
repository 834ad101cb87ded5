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
transaction fails, and with it the look. A state that is older than the published log (a backup was restored) takes
no entries: it would fork it. Nor does a state that says anything else than the checkpoint it carries: whoever can write
the database, and has no key, could otherwise have the log's key sign a tree of his own.

**Time never runs back, and runs ahead only as fast as the machine.** An entry's time is the desk's: the wall
clock, but never before the entry before, and never more ahead of it than the machine's uptime clock allows (plus a
tenth, so that it can catch up). Turning the wall clock opens no new day of quota. After a start of the machine there
is no such measure: a wall clock more than a week ahead of the newest entry stops the log, until :meth:`Log.accept_clock`.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import msgspec

from parcelveil.audit import note, tiles
from parcelveil.audit.batch import Batch, receipt_text
from parcelveil.audit.entry import AnyEntry, KeyEvent
from parcelveil.audit.proof import Checkpoint, ProofError, read_checkpoint, verify_receipt
from parcelveil.audit.rowseal import RowSeal
from parcelveil.audit.subjects import Subjects
from parcelveil.audit.tree import Frontier, inclusion_path
from parcelveil.errors import ForkError, LogError, OutputError, ParcelveilError
from parcelveil.ports import Clock, LogState, Store, Transaction

#: So many unpublished entries are published without being asked, which bounds the store.
PUBLISH_AT = 4096
#: With a publisher in the background, a writer publishes himself only when it is this far behind.
_FAR_BEHIND = 64 * PUBLISH_AT
#: By how much the desk's clock may run faster than the machine's uptime: it catches up, and no window gets wider.
_CATCH_UP = 10  # one in so many
#: So far the wall clock may be ahead of the newest entry after a start of the machine, in microseconds.
_BELIEVED = 7 * 86_400 * 1_000_000
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
    elif wall - state.time > _BELIEVED:
        return state.time
    return max(state.time, wall)


def _too_far(state: LogState, wall: int, boot: str) -> bool:
    """Whether the wall clock is further ahead than is believed without being asked."""
    return bool(state.size) and not (boot and boot == state.boot) and wall - state.time > _BELIEVED


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
        rows: RowSeal | None = None,
    ) -> None:
        self.folder = folder
        self.signer = signer
        self.subjects = subjects
        self.rows = rows or RowSeal(b"")  # a log without a desk has no rows to seal
        self._store, self._clock = store, clock
        self._utc_offset = int(timedelta(minutes=utc_offset_minutes) / timedelta(microseconds=1))
        self._waiting = 0  # entries that were not published when this process last appended
        self._compared = False
        self._known = LogState()  # a state that this process found genuine, or made
        self._publisher: threading.Thread | None = None
        self._elsewhere = False  # whether somebody else publishes
        self._stop = threading.Event()

    def __repr__(self) -> str:
        return f"<Log {self.signer.key.name}>"

    def begin(self) -> AbstractContextManager[Batch]:
        """A transaction that appends. Nothing of it happens if the block raises, or if the disk does not take it.

        Raises ForkError for a state older than the published log, LogError for one that was changed, and after a start
        of the machine for a wall clock that nobody has accepted.
        """
        return self._begin(accepting=False)

    @contextmanager
    def _begin(self, *, accepting: bool) -> Iterator[Batch]:
        if self._waiting >= (_FAR_BEHIND if self._elsewhere else PUBLISH_AT):
            self.publish()  # before, not after: should it fail, nothing is logged or counted that was then refused
        self.subjects.prepare()
        grown = None
        with self._store.transaction() as tx:
            state = tx.log_state()
            if not self._compared:
                self._not_older(state)
            if state.size < self._known.size:
                raise self._changed()  # no other process can shorten a log
            self._genuine(state)
            batch, boot, uptime, held = self._batch(tx, state, accepting=accepting)
            if not state.size:
                batch.append(KeyEvent(time=batch.time, action="log-created"))
            if abs(held - state.held) >= _HELD_WORTH_TELLING:
                batch.append(KeyEvent(time=batch.time, action="clock-held", detail=str(held)))
            else:
                held = state.held
            own = len(batch.entries)
            try:
                yield batch
            finally:
                batch.open = False
            if len(batch.entries) > own:
                grown = batch.seal(self.signer, boot, uptime, held)
        if grown is not None:
            batch.grown, self._known = grown, batch.after
            self._waiting = grown.frontier.size - state.published

    def _genuine(self, state: LogState) -> None:
        """That the log's own key signed the tree that the state goes on from. Raises LogError."""
        known = self._known
        if (state.size, state.frontier, state.checkpoint) == (known.size, known.frontier, known.checkpoint):
            return
        try:
            signed = read_checkpoint(state.checkpoint, self.signer.key)
            root = Frontier.from_bytes(state.size, state.frontier).root()
        except ValueError:
            raise self._changed() from None
        if (signed.size, signed.root) != (state.size, root):
            raise self._changed()
        self._known = state

    def _changed(self) -> LogError:
        return LogError(
            "the state of the log was changed",
            hint="nothing was signed or logged; put the newest state.db back, and run 'parcelveil audit verify'",
        )

    def _batch(self, tx: Transaction, state: LogState, *, accepting: bool) -> tuple[Batch, str, int, int]:
        wall = self.wall()
        boot, uptime = self._clock.uptime()
        time = desk_time(state, wall, boot, uptime)
        if accepting:
            if wall <= time:
                raise LogError(
                    "the wall clock is not ahead of the desk's: there is nothing to accept",
                    hint="the desk's clock never runs back; it stands until the wall clock has caught up",
                )
            time = wall
        elif _too_far(state, wall, boot):
            raise LogError(
                "the wall clock is {days} days ahead of the newest entry, and the machine was started in between",
                hint="set the clock right; if it is right, run 'parcelveil audit clock --accept'",
                days=(wall - state.time) // DAY_MICROS,
            )
        day = (time + self._utc_offset) // DAY_MICROS
        return Batch(tx, state, time, day, self.subjects, self.rows), boot, uptime, (wall - time) // _MICROS

    def wall(self) -> int:
        """The wall clock, in microseconds."""
        return int(self._clock.now().timestamp() * _MICROS)

    def now(self) -> int:
        """The desk's clock, in microseconds: the time that an entry would have now.

        It stands at the newest entry while the wall clock is not believed; then :meth:`begin` raises.
        """
        return desk_time(self.state(), self.wall(), *self._clock.uptime())

    def accept_clock(self) -> int:
        """Go by the wall clock from here on, though it is ahead. The log says by how many days; returns these.

        Raises LogError when it is not ahead.
        """
        now = self.now()
        with self._begin(accepting=True) as batch:
            days = max(0, batch.time - now) // DAY_MICROS
            batch.append(KeyEvent(time=batch.time, action="clock-accepted", detail=str(days)))
        return days

    def append(self, entry: AnyEntry) -> str:
        """Append one entry that has no subjects; its ``time`` is set here. Returns the receipt."""
        with self.begin() as batch:
            index = batch.append(msgspec.structs.replace(entry, time=batch.time))
        return batch.receipt(index)

    def publish(self) -> int:
        """Write what is not in the folder yet. Returns how many entries the folder now holds.

        One process at a time publishes; a crash anywhere is repaired by the next call. Raises OutputError when the
        disk does not take it, ForkError when the folder holds another log or a longer one.
        """
        state = self.state()
        self._not_older(state)
        if not state.size:
            return 0
        with alone(self.folder):
            self._write_key()
            with self._store.reading() as tx:
                state, groups = tx.log_state(), tx.groups()
            self._genuine(state)
            entries = [entry for _, bundle in groups for entry in tiles.unbundle(bundle)]
            start = groups[0][0] if groups else state.size
            if state.published > start:
                entries = entries[state.published - start :]
            if state.published + len(entries) != state.size:
                raise LogError("the store has lost entries that were not published", hint="restore the workspace")
            if entries or self._published()[1] != state.checkpoint:
                tiles.publish(self.folder, state.published, entries, state.checkpoint)
            if groups:
                with self._store.transaction() as tx:
                    tx.index_subjects()
                    now = tx.log_state()
                    tx.set_log_state(msgspec.structs.replace(now, published=state.size))
                    tx.drop_groups(state.size)
        self._waiting = 0
        return state.size

    def publish_in_background(self, every: float = 1.0) -> None:
        """Publish about every so many seconds in a thread of its own, until :meth:`close`: for services.

        Witnesses then see an entry a second after it was acknowledged, and no look waits for tiles. When publishing
        fails (a full disk), it is tried again; nothing is lost, since entries stay in the store until then.
        """

        def work() -> None:
            while not self._stop.wait(every):
                with suppress(ParcelveilError):
                    self.publish()

        self.publish_elsewhere()
        if self._publisher is None:
            self._publisher = threading.Thread(target=work, name="parcelveil-publisher", daemon=True)
            self._publisher.start()

    def publish_elsewhere(self) -> None:
        """Somebody else publishes, like ``parcelveil audit publish --every 1`` beside a busy service: a process of its
        own takes no time from the looks. This one publishes only when that falls far behind."""
        self._elsewhere = True

    def close(self) -> None:
        """End the publisher, if there is one, and publish what is left."""
        if self._publisher is not None:
            self._stop.set()
            self._publisher.join()
            self._publisher = None
            self._stop.clear()
        self.publish()

    def _write_key(self) -> None:
        """Put the key that the checkpoints are verified with into the folder."""
        place, wanted = self.folder / "log.vkey", f"{self.signer.key}\n"
        try:
            found = place.read_text("ascii", errors="replace")
        except FileNotFoundError:
            found = ""
        except OSError as error:
            raise _unwritable(error) from None
        if found != wanted:
            if found:
                raise ForkError("the folder holds another log's key", hint="give this log a folder of its own")
            put(place, wanted)

    def _published(self) -> tuple[Checkpoint, str]:
        """What the folder's checkpoint says, verified, and its text. Nothing, where there is none."""
        data = tiles.directory(self.folder)("checkpoint")
        if data is None:
            return Checkpoint(self.signer.key.name, 0, b""), ""
        try:
            text = data.decode()
            return read_checkpoint(text, self.signer.key), text
        except ValueError:
            raise LogError("the published checkpoint is not this log's", hint="restore the folder") from None

    def _not_older(self, state: LogState) -> None:
        """The folder is never ahead of the store, unless an old store was restored: going on would fork the log."""
        size = self._published()[0].size
        if size > state.size:
            raise ForkError(
                "the published log has {published} entries, the state only {size}",
                hint="an old state was restored: restore the newest, or begin a log of another name and folder",
                published=size,
                size=state.size,
            )
        self._compared = True

    def state(self) -> LogState:
        """Where the log stands."""
        with self._store.reading() as tx:
            return tx.log_state()

    def receipt(self, index: int, cosigned: str = "") -> str:
        """A receipt of any entry, made from the published tiles: under ``cosigned``, a checkpoint of this log that
        witnesses signed too, when it covers the entry, else under the newest checkpoint."""
        self.publish()
        checkpoint, text = self._published()
        published = checkpoint.size
        if cosigned:
            try:
                older = read_checkpoint(cosigned, self.signer.key)
            except ProofError as error:
                raise LogError("the cosigned checkpoint does not verify: {why}", why=error) from None
            if index < older.size <= published:
                checkpoint, text = older, cosigned
        size = checkpoint.size
        if not 0 <= index < size:
            raise LogError("the log has no entry {index} yet", hint="it has {size} entries", index=index, size=size)
        reader = tiles.TileReader(tiles.directory(self.folder), published)
        made = receipt_text(reader.entry(index), index, inclusion_path(index, size, reader.node), text)
        try:
            verify_receipt(made, self.signer.key)
        except ProofError:
            raise LogError(
                "the published log does not prove entry {index}", hint="run 'parcelveil audit verify'", index=index
            ) from None
        return made


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Only one thread of one process at a time publishes into ``folder``, which is made where there is none."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        fd = os.open(folder / ".publishing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(error) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def put(place: Path, text: str) -> None:
    """Replace a small file durably: at any moment it is there whole, old or new. Call it :func:`alone`."""
    part = place.with_name(f".{place.name}.new")
    try:
        with part.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
        fd = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise _unwritable(error) from None


def _unwritable(error: OSError) -> OutputError:
    return OutputError(
        "the log directory cannot be written: {why}",
        hint="free some space or check the permissions; what was acknowledged is safe in the state",
        why=error.strerror or "",
    )
