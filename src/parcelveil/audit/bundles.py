"""Read the bundles of a published log, hash their entries anew, and compare the hashes with the tiles.

::

    log = Published(directory(folder), size=70_000)
    entries = log.bundle(3, 256)                    # the entries of tile/entries/003
    rows = hash_rows(leaf_hashes(entries))          # their hashes, and those of the tree over them
    part_root(rows, 100)                            # the root over the first hundred of them
    log.tile(0, 3) == b"".join(rows[0])             # what the log says they are

:func:`read_block` does all that for some bundles on end and counts what their entries say. It is what a worker of
:mod:`~parcelveil.audit.workers` does; :mod:`~parcelveil.audit.verify` puts the blocks together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from parcelveil.audit.fetch import Fetch
from parcelveil.audit.tally import Tally
from parcelveil.audit.tiles import WIDTH, entries_path, tile_path
from parcelveil.audit.tree import HASH_BYTES
from parcelveil.errors import LogError

# A copy of a hash that has begun saves the join with the prefix.
_leaf_begun, _node_begun = sha256(b"\0"), sha256(b"\1")
Rows = list[list[bytes]]


def split_bundle(data: bytes) -> list[bytes]:
    """As :func:`~parcelveil.audit.tiles.unbundle`, in half the time: of a whole log, that shows. ValueError."""
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


def leaf_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """The leaf hash of each entry (RFC 6962, 2.1)."""
    copy = _leaf_begun.copy
    found: list[bytes] = []
    add = found.append
    for data in entries:
        begun = copy()
        begun.update(data)
        add(begun.digest())
    return found


def hash_rows(leaves: list[bytes]) -> Rows:
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


def peaks(rows: Rows, width: int) -> list[bytes]:
    """The roots of the largest complete subtrees over the first ``width`` leaves of ``rows``, left to right."""
    return [
        rows[height][(width >> height) - 1] for height in reversed(range(width.bit_length())) if width >> height & 1
    ]


def part_root(rows: Rows, width: int) -> bytes:
    """The root over the first ``width`` leaves of ``rows``; at least one."""
    left = peaks(rows, width)
    node = left.pop()
    while left:
        begun = _node_begun.copy()
        begun.update(left.pop() + node)
        node = begun.digest()
    return node


class Published:
    """The files of a log of which ``size`` entries are published. All errors are LogErrors that name the file."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self.fetch, self.size = fetch, size

    def width(self, level: int, n: int) -> int:
        """How many hashes of that tile are published, 0 to 256."""
        return max(0, min(WIDTH, (self.size >> 8 * level) - n * WIDTH))

    def _get(self, path: Callable[[int], str], width: int) -> tuple[str, bytes, int]:
        """A tile or bundle of ``width``, or the full one that has replaced it: its path, bytes and width."""
        for wide in (width, WIDTH) if width < WIDTH else (WIDTH,):
            name = path(wide)
            data = self.fetch(name)
            if data is not None:
                return name, data, wide
        raise LogError("{path} is missing", hint="restore it from a backup or a mirror of the log", path=path(width))

    def tile(self, level: int, n: int) -> bytes:
        """The published hashes of a tile, one after the other."""
        width = self.width(level, n)
        path, data, wide = self._get(lambda w: tile_path(level, n, w), width)
        if len(data) != wide * HASH_BYTES:
            raise LogError("{path} has {bytes} bytes, not {right}", path=path, bytes=len(data), right=wide * HASH_BYTES)
        return data[: width * HASH_BYTES]

    def bundle(self, n: int, width: int) -> list[bytes]:
        """The first ``width`` entries of a bundle; of a full one, all."""
        path, data, wide = self._get(lambda w: entries_path(n, w), width)
        try:
            entries = split_bundle(data)
        except ValueError:
            raise LogError("{path} is not a bundle of entries", hint="it was changed or cut off", path=path) from None
        if len(entries) != wide:
            raise LogError("{path} has {count} entries, not {right}", path=path, count=len(entries), right=wide)
        return entries[:width]

    def compare_leaves(self, n: int, leaves: Sequence[bytes]) -> None:
        """Raise LogError unless tile ``n`` of level 0 holds these hashes."""
        width = len(leaves)
        if b"".join(leaves) == (tile := self.tile(0, n)):
            return
        at = next(i for i in range(width) if leaves[i] != tile[i * HASH_BYTES : i * HASH_BYTES + HASH_BYTES])
        raise LogError(
            "entry {index} was changed: {bundle} and {tile} do not agree",
            hint="a mirror, a backup or a receipt shows which of them is right",
            index=n * WIDTH + at,
            bundle=entries_path(n, width),
            tile=tile_path(0, n, width),
        )


class Hashed(NamedTuple):
    """The hashes of one bundle: the root over its ``width`` entries, and those over its first ones, if asked for."""

    width: int
    root: bytes  #: b"" over no entries
    parts: dict[int, bytes]

    def part(self, width: int) -> bytes:
        """The root over the first ``width`` entries; all of them, or as many as were asked for."""
        return self.root if width == self.width else self.parts[width]


def hashed(leaves: list[bytes], widths: bytes = b"") -> Hashed:
    """The roots over some leaves, and over the first ``widths`` of them; larger widths are left out."""
    rows, width = hash_rows(leaves), len(leaves)
    parts = {part: part_root(rows, part) for part in widths if part < width}
    return Hashed(width, part_root(rows, width) if width else b"", parts)


class Block(NamedTuple):
    """Full bundles on end to read: the number of the first, and for each the widths whose roots are wanted (1 to 255)."""

    first: int
    widths: list[bytes]


class ReadBlock(NamedTuple):
    """What :func:`read_block` found: each bundle's hashes, and the count of all entries."""

    bundles: list[Hashed]
    tally: Tally


def read_block(log: Published, block: Block, tally: Tally) -> ReadBlock:
    """Read, hash, compare and count; ``tally`` is a new one. Raises LogError when anything of it does not hold."""
    found = []
    for n, widths in enumerate(block.widths, block.first):
        entries = log.bundle(n, WIDTH)
        leaves = leaf_hashes(entries)
        log.compare_leaves(n, leaves)
        tally.add(n * WIDTH, entries)
        found.append(hashed(leaves, widths))
    return ReadBlock(found, tally)


def answer(log: Published, tally: Tally, block: Block) -> ReadBlock | None:
    """As :func:`read_block`, counting as ``tally`` does; None when anything of the block does not hold."""
    try:
        return read_block(log, block, tally.empty())
    except LogError:
        return None
