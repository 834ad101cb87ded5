"""A log over a real store, for tests: its clock, its keys, and everything that must hold of it at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from parcelveil.adapt.store_sqlite import SqliteStore
from parcelveil.audit import tiles
from parcelveil.audit.batch import Batch
from parcelveil.audit.entry import Look, decode
from parcelveil.audit.log import Log
from parcelveil.audit.note import Signer
from parcelveil.audit.receipts import verify_receipts
from parcelveil.audit.reconcile import compare
from parcelveil.audit.subjects import Subjects
from parcelveil.audit.verify import Verdict, verify_log

ORIGIN = "acme.parcelveil/log"
SEED = bytes(range(32))
START = 1_795_500_000_000_000  # 2026-11-24 06:00 UTC
SECOND, DAY = 1_000_000, 86_400_000_000
ACTOR, SCENE = "s-1", "deliver"


class Clock:
    """A wall clock that anybody may set, and an uptime that nobody may."""

    def __init__(self, wall: int = START) -> None:
        self.wall, self.up, self.boot = wall, 600 * SECOND, "boot-1"

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.wall // SECOND, UTC).replace(microsecond=self.wall % SECOND)

    def uptime(self) -> tuple[str, int]:
        return self.boot, self.up

    def tick(self, micros: int) -> None:
        self.wall += micros
        self.up += micros


class Months:
    """Salts keys of months, without a key ring."""

    def __init__(self, month: int = 202611) -> None:
        self.month = month
        self.made: set[int] = set()

    def secret(self, purpose: str, period: int) -> bytes:
        self.made.add(period)
        return sha256(f"{purpose} {period}".encode()).digest()

    def subjects(self) -> Subjects:
        return Subjects(self.secret, lambda _purpose: sorted(self.made), lambda: self.month)


class Kept:
    """Store and log of one folder, open."""

    def __init__(self, folder: Path, clock: Clock | None = None, months: Months | None = None) -> None:
        self.folder = folder
        self.clock = clock or Clock()
        self.months = months or Months()
        self.store = SqliteStore(folder / "state.db")
        signer = Signer.from_seed(ORIGIN, SEED)
        self.log = Log(self.store, folder / "audit", signer, self.clock, self.months.subjects())

    def look(self, count: int = 1, values: int = 2) -> list[str]:
        """Append ``count`` looks in one transaction; their receipts."""
        with self.log.begin() as batch:
            entries = [look_in(batch, values) for _ in range(count)]
        return [batch.receipt(index) for index in entries]

    def close(self) -> None:
        self.store.close()


def look_in(batch: Batch, values: int = 2) -> int:
    """One look, with all that happens together with it: subject, quota, meter."""
    entry = Look(
        time=batch.time, actor=ACTOR, role="courier", scene=SCENE, fields=("to_name",), waybills=1, values=values
    )
    index = batch.append(entry, [("waybill", "YT0000000000001")])
    batch.tx.use(ACTOR, SCENE, batch.day, 1)
    batch.tx.draw(batch.day, values)
    return index


def hold(kept: Kept, receipts: Iterable[str] = ()) -> Verdict:
    """Everything that must hold of a log, whatever happened to it: assert it. Publishes."""
    kept.log.publish()
    with kept.store.transaction() as tx:
        state, heads, groups, drawn = tx.log_state(), tx.heads(), tx.groups(), tx.drawn()
        used = sum(tx.used(ACTOR, SCENE, day) for day in drawn)
    looks = set()

    def count(index: int, data: bytes) -> None:
        if isinstance(decode(data), Look):
            looks.add(index)

    fetch, key = tiles.directory(kept.log.folder), kept.log.signer.key
    if not state.size:
        assert not list(receipts) and not used
        return Verdict("", 0, b"", 0, 0, 0, Counter(), {}, 0, 0, 0, [])
    later = [head for head in heads if head[0] > state.minimum]
    verdict = verify_log(fetch, key, heads=later, minimum=state.minimum, deep=True, offset_minutes=480, on_entry=count)
    assert verdict.size == state.size == state.published and not groups
    assert verdict.heads == len(later) and heads[-1] == (state.size, verdict.root)
    assert [day for day in compare(verdict.values, drawn) if day.opened != day.logged] == []
    if not state.minimum:
        assert used == len(looks)  # a crash neither gives a quota back nor loses one
    with kept.store.transaction() as tx:
        rows = {index: tx.subjects_of_entry(index) for index in sorted(looks)[-20:]}
    reader = tiles.TileReader(fetch, state.size)
    for index, (row,) in rows.items():
        entry = decode(reader.entry(index))
        assert isinstance(entry, Look) and entry.subjects == (kept.log.subjects.open(row).commitment,)
    problems = [r for r in verify_receipts([(str(i), r) for i, r in enumerate(receipts)], key, fetch) if r.problem]
    assert problems == []
    return verdict
