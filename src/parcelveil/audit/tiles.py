"""The published log: a directory of tiles, entry bundles and a checkpoint (c2sp.org/tlog-tiles).

::

    publish(folder, published=0, entries=entries, checkpoint=note)      # the log's side
    reader = TileReader(directory(folder), size=len(entries))           # anybody's side, or http("https://...")
    root_of(reader.size, reader.node), inclusion_path(0, reader.size, reader.node), reader.entry(0)

A tile holds 256 hashes of one height, so tile ``tile/1/000`` holds the roots of the first 256 tiles of level 0; the
last tile of a level may be *partial* (``tile/0/003.p/17``). Bundles hold the entries of a tile of level 0, each after
two bytes of length. Full tiles never change; ``checkpoint`` is the only file that is replaced.

A reader checks shapes, not hashes: what it returns is as good as the root that is computed from it and compared with
a signed checkpoint.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from parcelveil.audit.fetch import Fetch, directory, http, unreadable
from parcelveil.audit.proof import Checkpoint, ProofError, leaf_hash, parse_checkpoint, split_note
from parcelveil.audit.tree import HASH_BYTES, parents, root_of
from parcelveil.errors import ForkError, LogError, OutputError

__all__ = [
    "Fetch",
    "TileReader",
    "bundle",
    "directory",
    "entries_path",
    "http",
    "prune",
    "publish",
    "tile_path",
    "unbundle",
]

WIDTH = 256
MOST_ENTRY_BYTES = 65_535
_LENGTH = struct.Struct(">H")
_CACHED_TILES, _CACHED_BUNDLES = 512, 4
#: Files written at once while a batch is made durable. The disk joins their flushes.
_WRITERS = 8
_NUMBERED = re.compile(r"((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/.+)?")
_KEEP = "stop, keep both versions as evidence, and find out which one witnesses have cosigned"
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def tile_path(level: int, n: int, width: int = WIDTH) -> str:
    """The path of tile ``n`` of a level; ``width`` below 256 names a partial tile. 1234067 is x001/x234/067."""
    if not 0 <= level < 64:
        raise ValueError("a tile's level is 0 to 63")
    return f"tile/{level}/{_numbered(n, width)}"


def entries_path(n: int, width: int = WIDTH) -> str:
    """The path of entry bundle ``n``, which holds the entries of tile ``n`` of level 0."""
    return f"tile/entries/{_numbered(n, width)}"


def _numbered(n: int, width: int) -> str:
    if n < 0 or not 1 <= width <= WIDTH:
        raise ValueError("a tile's number is at least 0, its width 1 to 256")
    parts = [f"{n % 1000:03}"]
    while n := n // 1000:
        parts.append(f"x{n % 1000:03}")
    return "/".join(reversed(parts)) + (f".p/{width}" if width < WIDTH else "")


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries one after the other, each after its length in two bytes, big-endian. ValueError for one too long."""
    parts = []
    for entry in entries:
        if len(entry) > MOST_ENTRY_BYTES:
            raise ValueError("an entry may have 65,535 bytes")
        parts += [_LENGTH.pack(len(entry)), entry]
    return b"".join(parts)


def unbundle(data: bytes) -> list[bytes]:
    """The entries of a bundle, however many. Raises LogError when it ends within one."""
    entries, at, end = [], 0, len(data)
    while at < end:
        start = at + 2
        at = start + (_LENGTH.unpack_from(data, at)[0] if start <= end else 0)
        if at > end:
            raise LogError("an entry bundle ends within an entry", hint="the file is damaged; fetch it again")
        entries.append(data[start:at])
    return entries


class TileReader:
    """Nodes and entries of the tree of ``size`` leaves, read from tiles. Errors are LogErrors that name the tile.

    A partial tile that is gone is read from the full tile that took its place. Caches are bounded: 512 tiles
    (about 8 MiB) and 4 bundles. Not for several threads.
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self.size = size
        self._fetch = fetch
        self._tiles: OrderedDict[tuple[int, int], list[list[bytes]]] = OrderedDict()
        self._bundles: OrderedDict[int, list[bytes]] = OrderedDict()

    def node(self, height: int, index: int) -> bytes:
        """The root of the complete subtree over leaves index * 2**height to (index + 1) * 2**height."""
        if height < 0 or index < 0 or (index + 1) << height > self.size:
            raise IndexError("no such complete subtree in a tree of this size")
        level, rise = divmod(height, 8)
        n, place = divmod(index << rise, WIDTH)
        heights = self._tile(level, n)
        while len(heights) <= rise:
            heights.append(parents(heights[-1]))
        return heights[rise][place >> rise]

    def tile(self, level: int, n: int) -> list[bytes]:
        """The hashes of a tile: 256, or fewer at the right edge."""
        return list(self._tile(level, n)[0])

    def leaf(self, index: int) -> bytes:
        """The leaf hash at ``index``, as the tile has it."""
        return self.node(0, index)

    def leaves(self, first: int, last: int) -> Iterator[bytes]:
        """The leaf hashes from ``first`` to before ``last``, as the tiles have them."""
        for n, start, end in _tiles_between(first, last, self.size):
            yield from self._tile(0, n)[0][start:end]

    def entry(self, index: int) -> bytes:
        """The bytes of one entry. Whether they hash to the leaf is for the caller to check."""
        if not 0 <= index < self.size:
            raise IndexError("no such entry in a tree of this size")
        return self._bundle(index // WIDTH)[index % WIDTH]

    def entries(self, first: int, last: int) -> Iterator[bytes]:
        """The entries from ``first`` to before ``last``."""
        for n, start, end in _tiles_between(first, last, self.size):
            yield from self._bundle(n)[start:end]

    def _width(self, level: int, n: int) -> int:
        width = min(WIDTH, (self.size >> 8 * level) - n * WIDTH)
        if n < 0 or width < 1:
            raise IndexError("no such tile in a tree of this size")
        return width

    def _tile(self, level: int, n: int) -> list[list[bytes]]:
        """The hashes of a tile and, as far as they were needed, of the heights above them within it."""
        if found := self._tiles.get((level, n)):
            self._tiles.move_to_end((level, n))
            return found
        width = self._width(level, n)
        path, data = self._read(tile_path(level, n, width), tile_path(level, n))
        full = path == tile_path(level, n)
        if len(data) != (WIDTH if full else width) * HASH_BYTES:
            raise unreadable(path, "not as long as it should be")
        found = [[data[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]]
        _keep(self._tiles, (level, n), found, _CACHED_TILES)
        return found

    def _bundle(self, n: int) -> list[bytes]:
        if (found := self._bundles.get(n)) is not None:
            return found
        width = self._width(0, n)
        path, data = self._read(entries_path(n, width), entries_path(n))
        try:
            found = unbundle(data)
        except LogError:
            raise unreadable(path, "it ends within an entry") from None
        if len(found) != (WIDTH if path == entries_path(n) else width):
            raise unreadable(path, "not as many entries as it should have")
        _keep(self._bundles, n, found[:width], _CACHED_BUNDLES)
        return found[:width]

    def _read(self, path: str, full: str) -> tuple[str, bytes]:
        for candidate in dict.fromkeys((path, full)):
            data = self._fetch(candidate)
            if data is not None:
                return candidate, data
        raise LogError("{tile} of the log is missing", hint="was it pruned? Otherwise the log is damaged", tile=path)


def _keep(cache: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    cache[key] = value
    if len(cache) > most:
        cache.popitem(last=False)


def _tiles_between(first: int, last: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Tile number, first place and end place within it, for the leaves from ``first`` to before ``last``."""
    if not 0 <= first <= last <= size:
        raise IndexError("no such entries in a tree of this size")
    while first < last:
        n, start = divmod(first, WIDTH)
        end = min(WIDTH, last - n * WIDTH)
        yield n, start, end
        first += end - start


def publish(folder: Path, published: int, entries: Sequence[bytes], checkpoint: str) -> None:
    """Add ``entries`` to a directory that holds ``published`` of them, then replace its checkpoint. Durable.

    The checkpoint must be that of all of them: its size and root are compared with the tiles before anything is
    written, and what is published already must agree (ForkError). Its signatures are not looked at. A directory that
    is ahead, and agrees, stays as it is. A crash at any moment leaves a directory that is right for its checkpoint;
    the same call, or one with more entries, completes it. Partial tiles go when the full one is there. Raises
    OutputError when the disk does not take it. Of several publishers and pruners one works and the others wait.
    """
    size = published + len(entries)
    stated = _stated(checkpoint)
    if stated is None or stated.size != size:
        raise LogError("the checkpoint to publish is not one of {size} entries", size=size)
    disk = directory(folder)
    with _locked(folder) as root:
        before = _stated((disk("checkpoint") or b"").decode(errors="replace"))
        if before and before.size >= size and root_of(size, TileReader(disk, before.size).node) != stated.root:
            raise ForkError("the published checkpoint contradicts the new one", hint=_KEEP)
        if before and before.size > size:
            return
        if before and before.size > published:  # an earlier call got further than its caller knows
            published, entries = before.size, entries[before.size - published :]
        new = _new_files(disk, published, entries)
        if root_of(size, TileReader(lambda path: new.get(path) or disk(path), size).node) != stated.root:
            raise ForkError("the checkpoint to publish is not that of the entries", hint=_KEEP)
        _write_all(folder, new, disk)
        for full in [path for path in new if ".p/" not in path]:
            _drop_partial(folder / f"{full}.p")
        _write(folder / "checkpoint", checkpoint.encode())
        os.fsync(root)


def _stated(note: str) -> Checkpoint | None:
    """What a checkpoint says, unverified; None when it is none."""
    try:
        return parse_checkpoint(split_note(note)[0])
    except ProofError:
        return None


def _new_files(disk: Fetch, published: int, entries: Sequence[bytes]) -> dict[str, bytes]:
    """Paths and contents of the bundles and of the tiles of all levels that new entries bring."""
    files: dict[str, bytes] = {}
    reader = TileReader(disk, published)
    level, old, nodes = 0, published, [leaf_hash(entry) for entry in entries]
    while nodes:
        n, beside = divmod(old, WIDTH)
        if beside:
            nodes = reader.tile(level, n) + nodes
        if not level:
            kept = list(reader.entries(old - beside, old))
            if [leaf_hash(entry) for entry in kept] != nodes[:beside]:
                raise unreadable(entries_path(n, beside), "its entries are not those of the tile")
            for at in range(0, len(nodes), WIDTH):
                part = [*kept, *entries[max(0, at - beside) : at + WIDTH - beside]]
                files[entries_path(n + at // WIDTH, len(part))] = bundle(part)
                kept = []
        above = []
        for at in range(0, len(nodes), WIDTH):
            hashes = nodes[at : at + WIDTH]
            files[tile_path(level, n + at // WIDTH, len(hashes))] = b"".join(hashes)
            if len(hashes) == WIDTH:
                while len(hashes) > 1:
                    hashes = parents(hashes)
                above += hashes
        level, old, nodes = level + 1, old // WIDTH, above
    return files


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """A descriptor of the folder, which nobody else publishes to or prunes meanwhile; OSErrors become OutputErrors."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(root, fcntl.LOCK_EX)
            yield root
        finally:
            os.close(root)
    except OSError as error:
        raise OutputError("the log directory cannot be written: {why}", why=error.strerror or "") from None


def _write_all(folder: Path, files: dict[str, bytes], disk: Fetch) -> None:
    """Write files, and return when they and the names of all folders above them are durable. Replaces nothing."""
    folders: set[Path] = set()
    there = {path: disk(path) for path in files}
    missing = [path for path in files if there[path] is None]
    for path, data in there.items():
        if data not in (None, files[path]):
            raise ForkError("{tile} is published already, and is another one", hint=_KEEP, tile=path)
    for path in files:
        place = folder / path
        if place.parent not in folders:
            place.parent.mkdir(parents=True, exist_ok=True)
        # All of them, new or not: a folder may be left from a call that ended before its name was durable.
        folders.update(above for above in place.parents if above.is_relative_to(folder))
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and who only reads needs none

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(_write, [folder / path for path in missing], [files[path] for path in missing]))
        list(pool.map(_sync_folder, folders))


def _write(place: Path, data: bytes) -> None:
    """Put a file in its place, whole or not at all. Its name is durable when its folder has been synced."""
    new = place.with_name(f".{place.name}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(place)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _drop_partial(folder: Path) -> int:
    """Remove the partial tiles of one full tile, and what an interrupted write left among them."""
    dropped = 0
    if folder.is_dir():
        for file in folder.iterdir():
            file.unlink()
            dropped += 1
        folder.rmdir()
    return dropped


def prune(folder: Path, minimum: int) -> int:
    """Remove the tiles and bundles whose entries all have an index below ``minimum``. Returns how many files.

    Entries from ``minimum`` on, roots of trees of at least that size, inclusion proofs of those entries and
    consistency proofs between those trees remain (c2sp.org/tlog-tiles, Pruning). Raises LogError when ``minimum``
    is beyond the published checkpoint.
    """
    stated = _stated((directory(folder)("checkpoint") or b"").decode(errors="replace"))
    if stated is None or not 0 <= minimum <= stated.size:
        raise LogError("a log can be pruned up to its published size, and is not pruned beyond")
    removed, folders = 0, set[Path]()
    with _locked(folder):
        levels = [level for level in (folder / "tile").glob("*") if level.name == "entries" or level.name.isdecimal()]
        for level in levels:
            span = WIDTH if level.name == "entries" else WIDTH ** (int(level.name) + 1)
            for place, _, names in os.walk(level, topdown=False):
                gone = [name for name in names if _end(Path(place, name).relative_to(level), span) <= minimum]
                for name in gone:
                    Path(place, name).unlink()
                removed += len(gone)
                if gone:
                    folders.update(above for above in Path(place, "x").parents if above.is_relative_to(level))
        for above in sorted(folders, reverse=True):  # the deepest first
            if any(above.iterdir()):
                _sync_folder(above)
            else:
                above.rmdir()
        if removed:
            _sync_folder(folder / "tile")
    return removed


def _end(path: Path, span: int) -> float:
    """The index after the last entry of the (full or partial) tile at ``path`` below its level; infinite for others."""
    match = _NUMBERED.fullmatch(path.as_posix())
    return (int(re.sub("[x/]", "", match[1])) + 1) * span if match else float("inf")
