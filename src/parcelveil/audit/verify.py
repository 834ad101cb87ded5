"""Read a whole audit log again and check everything in it; check old receipts against the log of today.

::

    fetch = tiles.directory(folder)                       # or tiles.http("https://…")
    verdict = verify_log(fetch, VerifierKey.parse(vkey))  # raises LogError at the first thing that does not hold
    verdict.size, verdict.kinds["look"], verdict.values   # 70000, 69000, {"2026-11-24": 120000}

Nothing is taken on trust but the log's public key. The entries are hashed anew; their hashes must be those of the
published tiles, level by level; the root must be the one that the checkpoint signs. The same pass gives what the
reconciliation needs: how many values each day's entries say were opened.

Who has the workspace gives more: ``tail`` (entries that are durable in the store and not published yet), ``heads``
(every checkpoint the log ever signed) and, for a pruned log, ``minimum``. Each receipt in the world rests on one of
those heads, so a log in which they all hold contradicts no receipt.

A long log is read by as many processes as there are cores; what they report is the same.

What this cannot show: that the log never had another history which it showed to somebody else, or that its newest
entries were not cut off together with the checkpoint and all backups. For that there is
:mod:`parcelveil.audit.witness`.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from heapq import merge
from typing import TYPE_CHECKING, NamedTuple

from parcelveil.audit.bundles import Block, Hashed, Published, ReadBlock, answer, hash_rows, hashed, leaf_hashes, peaks
from parcelveil.audit.fetch import held
from parcelveil.audit.proof import Checkpoint, ProofError, VerifierKey, node_hash, read_checkpoint
from parcelveil.audit.tally import Tally
from parcelveil.audit.tiles import WIDTH, Fetch, tile_path
from parcelveil.audit.tree import EMPTY, HASH_BYTES
from parcelveil.errors import LogError

if TYPE_CHECKING:
    from parcelveil.audit.workers import Crew

#: A log of fewer published entries is read before a second process has started.
_WORTH_WORKERS = 50_000
#: Blocks that may be read before the first of them is put in its place.
_MOST_AHEAD = 200
_Head = tuple[int, bool, bytes]  # size, whether it is the published checkpoint, root


class Verdict(NamedTuple):
    """What a log that holds contains. Times are microseconds since 1970 UTC, 0 where no entry was read."""

    origin: str
    size: int  #: entries of the log, those of ``tail`` included
    root: bytes  #: its root at that size
    published: int  #: entries under the checkpoint in the directory
    minimum: int  #: index of the first entry that was read; 0 unless the log is pruned
    entries: int  #: how many were read and hashed: ``size - minimum``
    kinds: Counter[str]  #: entries of each kind
    values: dict[str, int]  #: for each day (``2026-11-24``), ascending: values that its entries say were opened
    heads: int  #: how many of the given heads were compared
    first_time: int
    last_time: int
    remarks: list[str]  #: what could not be checked, and why; nothing here is a contradiction


def verify_log(
    fetch: Fetch,
    log_key: VerifierKey,
    *,
    tail: Sequence[bytes] = (),
    tail_from: int | None = None,
    heads: Iterable[tuple[int, bytes]] = (),
    minimum: int = 0,
    offset_minutes: int = 0,
    deep: bool = False,
    progress: Callable[[int], None] | None = None,
    on_entry: Callable[[int, bytes], None] | None = None,
    workers: int | None = None,
) -> Verdict:
    """Read everything again; return what is there, or raise :class:`~parcelveil.errors.LogError` for the first
    thing that does not hold, named in one line: which entry, which tile, which checkpoint.

    Always checked: the checkpoint's signature and origin; every entry bundle against the tile of leaf hashes;
    every hash of every tile of every level against the entries; the root against the checkpoint; ``tail`` on top;
    each (size, root) of ``heads``, ascending, against the tree as it stood at that size; that each entry is a
    JSON object of a known kind and version with a time and a count of values, and that times do not run back.

    ``deep`` also checks that each entry has all the fields of its kind and no others, in the one canonical form of
    :mod:`~parcelveil.audit.entry`. It costs about as much again. Without it, entries that the log's own
    key signed in some other form are counted by what they say.

    ``tail_from`` is the index of the first entry of ``tail``: those that were published in the meantime must then
    be the same. Without it the tail begins where the directory ends. With ``minimum``, entries below it
    were pruned; reading begins at the last multiple of 256 before it, on the hashes that the tiles keep. A day is
    one of ``offset_minutes`` east of UTC. ``progress`` gets the number of entries read so far, after each
    bundle. ``on_entry`` gets each index and entry **before the root over it is compared**: use what it collected
    only when this function has returned.

    ``workers``: how many processes read and hash; this one is one of them. By default, one for each core that this
    process may use when more than 50,000 entries are to be read. They read through copies of ``fetch``:
    with one that cannot be pickled, and with ``on_entry``, this process reads alone. Raises ValueError below 1.
    """
    if workers is not None and workers < 1:
        raise ValueError("at least one process must read")
    checkpoint = published_checkpoint(fetch, log_key)
    with held(fetch) as quick:
        begin = checkpoint.size if tail_from is None else tail_from
        reading = _Reading(quick, checkpoint, tail, begin, minimum)
        reading.tally = Tally(offset_minutes=offset_minutes, deep=deep)
        if on_entry:
            workers = 1
        elif workers is None:
            workers = _cores() if reading.published - reading.start > _WORTH_WORKERS else 1
        reading.run(heads, progress, on_entry, workers)
    return reading.verdict()


def published_checkpoint(fetch: Fetch, log_key: VerifierKey) -> Checkpoint:
    """The checkpoint of a log directory, its signature and origin checked; raises LogError."""
    data = fetch("checkpoint")
    if data is None:
        raise LogError("the log has no checkpoint", hint="is this the log's folder? publish it first")
    try:
        found = read_checkpoint(data.decode(), log_key)
    except UnicodeDecodeError:
        raise LogError("the checkpoint is not text", hint="restore it") from None
    except ProofError as error:
        raise LogError(
            "the checkpoint does not verify: {why}", hint="is this the key of this log?", why=error
        ) from None
    if not found.size and found.root != EMPTY:
        raise LogError("the checkpoint of an empty log has a root that is not that of an empty log")
    return found


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Heads:
    """The signed heads in the order given: the next one, and a look ahead at the sizes of those that follow."""

    def __init__(self, signed: Iterator[_Head]) -> None:
        self._signed = signed
        self._waiting: deque[_Head] = deque()
        self._unseen: deque[int] = deque()  # sizes that were drawn and not asked for yet

    def _draw(self) -> bool:
        head = next(self._signed, None)
        if head:
            self._waiting.append(head)
            self._unseen.append(head[0])
        return head is not None

    @property
    def next(self) -> _Head | None:
        return self._waiting[0] if self._waiting or self._draw() else None

    def pop(self) -> None:
        self._waiting.popleft()

    def sizes(self, end: int) -> list[int]:
        """The sizes of the heads up to the first beyond ``end``, but those given in an earlier answer."""
        while (not self._unseen or self._unseen[-1] <= end) and self._draw():
            pass
        found = []
        while self._unseen and self._unseen[0] <= end:
            found.append(self._unseen.popleft())
        return found


def _widths(heads: _Heads, n: int, count: int) -> list[bytes]:
    """For ``count`` bundles from ``n`` on: after how many of its entries (1 to 255) heads were signed."""
    found: list[set[int]] = [set() for _ in range(count)]
    for size in heads.sizes((n + count) * WIDTH):
        bundle, width = divmod(size, WIDTH)
        if width and n <= bundle:  # a smaller one is out of order, and refused in its turn
            found[bundle - n].add(width)
    return list(map(bytes, found))


class _Reading:
    """One pass over a log. ``level[k]`` holds the hashes for the tile of level k + 1 that is being filled."""

    def __init__(
        self, fetch: Fetch, checkpoint: Checkpoint, tail: Sequence[bytes], tail_from: int, minimum: int
    ) -> None:
        self.log, self.checkpoint, self.published = Published(fetch, checkpoint.size), checkpoint, checkpoint.size
        if not 0 <= tail_from <= self.published:
            raise LogError(
                "the folder holds {size} entries and the store begins at entry {first}: those between are missing",
                hint="restore the folder from a backup",
                size=self.published,
                first=tail_from,
            )
        self.overlap, self.tail_from = tail[: self.published - tail_from], tail_from
        self.tail = tail[self.published - tail_from :]
        self.size = self.published + len(self.tail)
        self.start = minimum // WIDTH * WIDTH
        if not 0 <= minimum <= self.published:
            raise LogError(
                "a log of {size} entries cannot be pruned up to {minimum}", size=self.published, minimum=minimum
            )
        self.level: list[list[bytes]] = []
        self.stack: list[bytes] = []  # the largest complete subtrees before the present bundle, left to right
        self.tally = Tally()
        self.heads = self.too_old = 0
        self.root = EMPTY
        self._seed()

    def _seed(self) -> None:
        """For a pruned log: the hashes left of where reading begins, from the tiles that pruning keeps."""
        level = 1
        while self.start >> 8 * level:
            width, n = self.start >> 8 * level & 255, self.start >> 8 * (level + 1)
            kept = self.log.tile(level, n) if width else b""
            row = [kept[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]
            self.level.append(row)
            self.stack[:0] = peaks(hash_rows(row), width)
            level += 1

    def run(
        self,
        signed: Iterable[tuple[int, bytes]],
        progress: Callable[[int], None] | None,
        on_entry: Callable[[int, bytes], None] | None,
        workers: int,
    ) -> None:
        heads = _Heads(
            merge(((size, False, root) for size, root in signed), [(self.published, True, self.checkpoint.root)])
        )
        while (head := heads.next) and head[0] < self.start:
            self.too_old += 1
            heads.pop()
        first = self.start
        with closing(self._bundles(heads, on_entry, workers)) as bundles:
            for found in bundles:
                end = first + found.width
                while (head := heads.next) and head[0] <= end:
                    self._head(head, head[0] - first, found)
                    heads.pop()
                    if (after := heads.next) and after[0] < head[0]:
                        raise LogError("the list of signed checkpoints is not in order")
                if found.width == WIDTH:
                    self._full_tile(first >> 8, found.root)
                else:
                    self.root = self._root(found, found.width)
                if progress and found.width:
                    progress(end - self.start)
                first = end
        for level, row in enumerate(self.level, 1):
            self._compare(level, self.size >> 8 * (level + 1), row)
        if head := heads.next:
            raise LogError(
                "the log is shorter than a checkpoint it signed: {size} entries, and one of {head} was signed",
                hint="entries at the end are missing: they were cut off, or an old backup was restored",
                size=self.size,
                head=head[0],
            )

    def _bundles(
        self, heads: _Heads, on_entry: Callable[[int, bytes], None] | None, workers: int
    ) -> Generator[Hashed, None, None]:
        """What every bundle holds, in order; the last one is not full, or empty."""
        first = self.start
        # Workers see neither the store's entries nor partial tiles.
        shared = (min(self.tail_from, self.published) if self.overlap else self.published) - first
        if workers > 1 and shared >= WIDTH:
            from parcelveil.audit.workers import Crew  # slow to import, and a short log needs none

            crew = Crew.start(min(workers - 1, shared // WIDTH), self.log, self.tally.empty())
            if crew:
                with crew:
                    yield from self._by(crew, heads, shared // WIDTH)
                first += shared // WIDTH * WIDTH
        for n in range(first // WIDTH, self.size // WIDTH + 1):
            yield self._bundle(n, _widths(heads, n, 1)[0], on_entry)

    def _by(self, crew: Crew, heads: _Heads, count: int) -> Iterator[Hashed]:
        """The first ``count`` bundles, read by workers, and by this process while they have enough before them.

        Where anything does not hold, this process reads again, in order, so that the first fault is named.
        """
        at = self.start // WIDTH
        end, step = at + count, crew.step(count)
        sent: deque[Block] = deque()
        own: dict[int, ReadBlock | None] = {}
        while sent or at < end:
            # Nothing to put in its place yet? Then this process has time to read.
            while at < end and (
                crew.has_room or (len(sent) < _MOST_AHEAD and sent[0].first not in own and not crew.is_ready)
            ):
                block = Block(at, _widths(heads, at, min(step, end - at)))
                if crew.has_room:
                    crew.send(block)
                else:
                    own[at] = answer(self.log, self.tally, block)
                sent.append(block)
                at += len(block.widths)
            block = sent.popleft()
            read = own.pop(block.first) if block.first in own else crew.receive()
            if read and self.tally.append(read.tally):
                yield from read.bundles
            else:
                for n, widths in enumerate(block.widths, block.first):
                    yield self._bundle(n, widths)

    def _bundle(self, n: int, widths: bytes, on_entry: Callable[[int, bytes], None] | None = None) -> Hashed:
        """The entries of bundle ``n`` and of the tail in its place, hashed, and checked against tile and store."""
        first, width = n * WIDTH, self.log.width(0, n)
        entries: Sequence[bytes] = self.log.bundle(n, width) if width else []
        if width < WIDTH:
            begin = max(0, first - self.published)
            entries = [*entries, *self.tail[begin : begin + WIDTH - width]]
        leaves = leaf_hashes(entries)
        if width:
            self.log.compare_leaves(n, leaves[:width])
        if self.overlap and first + width > self.tail_from:
            begin = max(first, self.tail_from)
            known = self.overlap[begin - self.tail_from : first + width - self.tail_from]
            for index, (ours, theirs) in enumerate(zip(entries[begin - first :], known, strict=False), begin):
                if ours != theirs:
                    raise LogError("entry {index} was changed: the folder and the store do not agree", index=index)
        self.tally.add(first, entries)
        if on_entry:
            for index, data in enumerate(entries, first):
                on_entry(index, data)
        return hashed(leaves, widths)

    def _root(self, found: Hashed, width: int) -> bytes:
        """The root of the tree that ends after ``width`` leaves of the present bundle."""
        *left, node = [*self.stack, found.part(width)] if width else self.stack or [EMPTY]
        for beside in reversed(left):
            node = node_hash(beside, node)
        return node

    def _head(self, head: _Head, width: int, found: Hashed) -> None:
        size, is_checkpoint, root = head
        if self._root(found, width) != root:
            raise LogError(
                "the entries do not give the root of the checkpoint"
                if is_checkpoint
                else "the first {size} entries do not give the root of the checkpoint that was signed over them",
                hint="entries were changed, removed or put in after it was signed",
                size=size,
            )
        self.heads += not is_checkpoint

    def _full_tile(self, index: int, node: bytes) -> None:
        """A full tile of level 0 has this root: carry it into the tiles above, and compare those that get full."""
        carried, count = node, index
        while count & 1:
            carried, count = node_hash(self.stack.pop(), carried), count >> 1
        self.stack.append(carried)
        for level in range(1, 64):
            if len(self.level) < level:
                self.level.append([])
            row = self.level[level - 1]
            row.append(node)
            if len(row) < WIDTH:
                return
            index >>= 8
            self._compare(level, index, row)
            self.level[level - 1], node = [], hash_rows(row)[8][0]

    def _compare(self, level: int, n: int, row: list[bytes]) -> None:
        width = self.log.width(level, n)
        if not width or (tile := self.log.tile(level, n)) == b"".join(row[:width]):
            return
        at = next(i for i in range(width) if row[i] != tile[i * HASH_BYTES : i * HASH_BYTES + HASH_BYTES])
        raise LogError(
            "hash {place} of {path} is not that of {below}: one of them was changed",
            hint="a mirror, a backup or a receipt shows which of them is right",
            place=at,
            path=tile_path(level, n, width),
            below=tile_path(level - 1, n * WIDTH + at),
        )

    def verdict(self) -> Verdict:
        remarks = []
        if self.too_old:
            remarks.append(f"{self.too_old} checkpoints are older than the first entry kept and were not compared")
        return Verdict(
            origin=self.checkpoint.origin,
            size=self.size,
            root=self.root,
            published=self.published,
            minimum=self.start,
            entries=self.size - self.start,
            kinds=self.tally.kinds,
            values=self.tally.values(),
            heads=self.heads,
            first_time=self.tally.first_time,
            last_time=self.tally.last_time,
            remarks=remarks,
        )
