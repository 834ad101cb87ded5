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

What this cannot show: that the log never had another history which it showed to somebody else, or that its newest
entries were not cut off together with the checkpoint and all backups. For that there is
:mod:`parcelveil.audit.witness`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from heapq import merge
from typing import NamedTuple

from parcelveil.audit.proof import Checkpoint, ProofError, VerifierKey, node_hash, read_checkpoint
from parcelveil.audit.tally import Tally
from parcelveil.audit.tiles import Fetch, entries_path, tile_path
from parcelveil.audit.tree import EMPTY
from parcelveil.errors import LogError

_WIDTH = 256  # hashes in a full tile, entries in a full bundle
_HASH = 32
# Copies of a hash that has begun cost a third less than new ones: OpenSSL need not look its algorithm up again.
_leaf_begun, _node_begun = sha256(b"\0"), sha256(b"\1")


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
    """
    checkpoint = published_checkpoint(fetch, log_key)
    reading = _Reading(fetch, checkpoint, tail, checkpoint.size if tail_from is None else tail_from, minimum)
    reading.tally = Tally(offset_minutes=offset_minutes, deep=deep)
    reading.run(heads, progress, on_entry)
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


def _entries(data: bytes) -> list[bytes]:
    """As :func:`~parcelveil.audit.tiles.unbundle`, in half the time: of a whole log, that shows."""
    at, end = 0, len(data) - 1
    found: list[bytes] = []
    add = found.append
    while at < end:
        start = at + 2
        at = start + (data[at] << 8 | data[at + 1])
        add(data[start:at])
    if at != len(data):
        raise ValueError("ends within an entry")
    return found


def _leaves(entries: Sequence[bytes]) -> list[bytes]:
    copy = _leaf_begun.copy
    found: list[bytes] = []
    add = found.append
    for data in entries:
        begun = copy()
        begun.update(data)
        add(begun.digest())
    return found


def _rows(leaves: list[bytes]) -> list[list[bytes]]:
    """The leaves, and above them the hashes of their complete pairs, up to the last row that has any."""
    copy, row, rows = _node_begun.copy, leaves, [leaves]
    while len(row) > 1:
        pairs = iter(row)
        above: list[bytes] = []
        add = above.append
        for left, right in zip(pairs, pairs, strict=False):
            begun = copy()
            begun.update(left + right)
            add(begun.digest())
        rows.append(row := above)
    return rows


def _peaks(rows: list[list[bytes]], width: int) -> list[bytes]:
    """The roots of the largest complete subtrees over the first ``width`` leaves of ``rows``, left to right."""
    return [
        rows[height][(width >> height) - 1] for height in reversed(range(width.bit_length())) if width >> height & 1
    ]


class _Reading:
    """One pass over a log. ``level[k]`` holds the hashes for the tile of level k + 1 that is being filled."""

    def __init__(
        self, fetch: Fetch, checkpoint: Checkpoint, tail: Sequence[bytes], tail_from: int, minimum: int
    ) -> None:
        self.fetch, self.checkpoint, self.published = fetch, checkpoint, checkpoint.size
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
        self.start = minimum // _WIDTH * _WIDTH
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
            kept = self._tile(level, n) if width else b""
            row = [kept[at : at + _HASH] for at in range(0, width * _HASH, _HASH)]
            self.level.append(row)
            self.stack[:0] = _peaks(_rows(row), width)
            level += 1

    def _width(self, level: int, n: int) -> int:
        """How many hashes of that tile are published."""
        return max(0, min(_WIDTH, (self.published >> 8 * level) - n * _WIDTH))

    def _get(self, path: Callable[[int], str], width: int) -> tuple[str, bytes, int]:
        """A tile or bundle of ``width``, or the full one that has replaced it: its path, bytes and width."""
        for wide in dict.fromkeys((width, _WIDTH)):
            data = self.fetch(path(wide))
            if data is not None:
                return path(wide), data, wide
        raise LogError("{path} is missing", hint="restore it from a backup or a mirror of the log", path=path(width))

    def _tile(self, level: int, n: int) -> bytes:
        """The published hashes of a tile, one after the other."""
        width = self._width(level, n)
        path, data, wide = self._get(lambda w: tile_path(level, n, w), width)
        if len(data) != wide * _HASH:
            raise LogError("{path} has {bytes} bytes, not {right}", path=path, bytes=len(data), right=wide * _HASH)
        return data[: width * _HASH]

    def _bundle(self, n: int, width: int) -> list[bytes]:
        path, data, wide = self._get(lambda w: entries_path(n, w), width)
        try:
            entries = _entries(data)
        except ValueError:
            raise LogError("{path} is not a bundle of entries", hint="it was changed or cut off", path=path) from None
        if len(entries) != wide:
            raise LogError("{path} has {count} entries, not {right}", path=path, count=len(entries), right=wide)
        return entries[:width]

    def run(
        self,
        heads: Iterable[tuple[int, bytes]],
        progress: Callable[[int], None] | None,
        on_entry: Callable[[int, bytes], None] | None,
    ) -> None:
        signed = merge(((size, False, root) for size, root in heads), [(self.published, True, self.checkpoint.root)])
        head = next(signed, None)
        while head and head[0] < self.start:
            self.too_old, head = self.too_old + 1, next(signed, None)
        for first in range(self.start, self.size + 1, _WIDTH):
            entries, leaves = self._chunk(first)
            rows = _rows(leaves)
            end = first + len(leaves)
            while head and head[0] <= end:
                self._head(head, first, rows)
                last, head = head[0], next(signed, None)
                if head and head[0] < last:
                    raise LogError("the list of signed checkpoints is not in order")
            if on_entry:
                for index, data in enumerate(entries, first):
                    on_entry(index, data)
            if len(leaves) == _WIDTH:
                self._full_tile(first >> 8, rows[8][0])
            else:
                self.root = self._root(rows, len(leaves))
            if progress and entries:
                progress(end - self.start)
        for level, row in enumerate(self.level, 1):
            self._compare(level, self.size >> 8 * (level + 1), row)
        if head:
            raise LogError(
                "the log is shorter than a checkpoint it signed: {size} entries, and one of {head} was signed",
                hint="entries at the end are missing: they were cut off, or an old backup was restored",
                size=self.size,
                head=head[0],
            )

    def _chunk(self, first: int) -> tuple[Sequence[bytes], list[bytes]]:
        """The entries from ``first``, at most a bundle of them, and their hashes, checked against the tiles."""
        width, n = self._width(0, first >> 8), first >> 8
        entries: Sequence[bytes] = self._bundle(n, width) if width else []
        if width < _WIDTH:
            begin = max(0, first - self.published)
            entries = [*entries, *self.tail[begin : begin + _WIDTH - width]]
        leaves = _leaves(entries)
        if width and b"".join(leaves[:width]) != (tile := self._tile(0, n)):
            at = next(i for i in range(width) if leaves[i] != tile[i * _HASH : i * _HASH + _HASH])
            raise LogError(
                "entry {index} was changed: {bundle} and {tile} do not agree",
                hint="a mirror, a backup or a receipt shows which of them is right",
                index=first + at,
                bundle=entries_path(n, width),
                tile=tile_path(0, n, width),
            )
        if self.overlap and first + width > self.tail_from:
            begin = max(first, self.tail_from)
            known = self.overlap[begin - self.tail_from : first + width - self.tail_from]
            for index, (ours, theirs) in enumerate(zip(entries[begin - first :], known, strict=False), begin):
                if ours != theirs:
                    raise LogError("entry {index} was changed: the folder and the store do not agree", index=index)
        if entries:
            self.tally.add(first, entries)
        return entries, leaves

    def _root(self, rows: list[list[bytes]], width: int) -> bytes:
        """The root of the tree that ends after ``width`` leaves of the present bundle."""
        peaks = self.stack + _peaks(rows, width)
        node = peaks.pop() if peaks else EMPTY
        while peaks:
            node = node_hash(peaks.pop(), node)
        return node

    def _head(self, head: tuple[int, bool, bytes], first: int, rows: list[list[bytes]]) -> None:
        size, is_checkpoint, root = head
        if self._root(rows, size - first) != root:
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
            if len(row) < _WIDTH:
                return
            index >>= 8
            self._compare(level, index, row)
            self.level[level - 1], node = [], _rows(row)[8][0]

    def _compare(self, level: int, n: int, row: list[bytes]) -> None:
        width = self._width(level, n)
        if not width or (tile := self._tile(level, n)) == b"".join(row[:width]):
            return
        at = next(i for i in range(width) if row[i] != tile[i * _HASH : i * _HASH + _HASH])
        raise LogError(
            "hash {place} of {path} is not that of {below}: one of them was changed",
            hint="a mirror, a backup or a receipt shows which of them is right",
            place=at,
            path=tile_path(level, n, width),
            below=tile_path(level - 1, n * _WIDTH + at),
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
