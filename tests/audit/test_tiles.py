"""The tile directory: the specification's examples, every small size, crashes at every step, pruning."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import random
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.audit import fetch as fetch_module
from parcelveil.audit.fetch import held
from parcelveil.audit.note import COSIGNATURE, Signer, checkpoint, split_note, with_signature
from parcelveil.audit.tiles import (
    Fetch,
    TileReader,
    bundle,
    directory,
    entries_path,
    http,
    prune,
    publish,
    tile_path,
    unbundle,
)
from parcelveil.audit.tree import (
    EMPTY,
    Frontier,
    check_consistency,
    check_inclusion,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_of,
)
from parcelveil.errors import ForkError, LogError, OutputError

LOG = Signer.from_seed("acme.parcelveil/log", b"log seed" * 4)
ENTRIES = [b"entry %d" % i + b"." * (i % 7) for i in range(70_000)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


@cache
def thousands(n: int) -> Frontier:
    if not n:
        return Frontier()
    frontier = thousands(n - 1).copy()
    frontier.extend(LEAVES[(n - 1) * 1000 : n * 1000])
    return frontier


@cache
def root(size: int) -> bytes:
    frontier = thousands(size // 1000).copy()
    frontier.extend(LEAVES[size - size % 1000 : size])
    return frontier.root()


@cache
def note(size: int) -> str:
    return checkpoint(LOG, size, root(size))


def grow(folder: Path, *sizes: int) -> None:
    published = 0
    for size in sizes:
        publish(folder, published, ENTRIES[published:size], note(size))
        published = size


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def without_partials(found: dict[str, bytes]) -> dict[str, bytes]:
    return {path: data for path, data in found.items() if ".p/" not in path}


def check_log(folder: Path, size: int, minimum: int = 0, samples: int = 40) -> None:
    """What the directory says of a tree of this size, against the entries themselves."""
    reader = TileReader(directory(folder), size)
    assert root_of(size, reader.node) == root(size)
    rng = random.Random(size)
    for index in {size - 1, minimum, *(rng.randrange(minimum, size) for _ in range(samples if size > minimum else 0))}:
        if minimum <= index < size:
            assert reader.entry(index) == ENTRIES[index]
            check_inclusion(index, size, LEAVES[index], inclusion_path(index, size, reader.node), root(size))
    for old in {minimum, size, *(rng.randrange(minimum, size + 1) for _ in range(samples))} - {0}:
        assert root_of(old, reader.node) == root(old)
        proof = consistency_path(old, size, reader.node)
        check_consistency(old, size, root(old), root(size), proof)
    assert list(reader.entries(minimum, size)) == ENTRIES[minimum:size]
    assert list(reader.leaves(minimum, size)) == LEAVES[minimum:size]


# -- names and bundles -------------------------------------------------------------------------------------------


def test_paths_of_the_specification() -> None:
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path(63, 0, 1) == "tile/63/000.p/1"
    assert tile_path(1, 5, 255) == "tile/1/005.p/255"
    assert tile_path(0, 999) == "tile/0/999"
    assert tile_path(0, 1000) == "tile/0/x001/000"
    assert entries_path(1_234_067, 17) == "tile/entries/x001/x234/067.p/17"
    assert entries_path(0) == "tile/entries/000"


@pytest.mark.parametrize(("level", "n", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_paths_that_do_not_exist(level: int, n: int, width: int) -> None:
    with pytest.raises(ValueError):
        tile_path(level, n, width)


def test_bundles() -> None:
    assert bundle([]) == b""
    assert unbundle(b"") == []
    assert bundle([b"ab", b""]) == b"\0\2ab\0\0"
    longest = b"x" * 65_535
    assert unbundle(bundle([longest])) == [longest]
    with pytest.raises(ValueError):
        bundle([longest + b"x"])
    for bad in (b"\0", b"\0\1", b"\0\2a", b"\0\1a\0", b"\xff\xff" + b"x" * 65_534):
        with pytest.raises(LogError):
            unbundle(bad)


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(0, 100))
@settings(deadline=None)
def test_bundles_read_back_and_nothing_shorter_does(entries: list[bytes], cut: int) -> None:
    data = bundle(entries)
    assert unbundle(data) == entries
    if 0 < cut < len(data):
        try:
            assert unbundle(data[:-cut]) == entries[: len(unbundle(data[:-cut]))]
        except LogError:
            pass


# -- publishing --------------------------------------------------------------------------------------------------


def test_the_tree_of_70000_entries_of_the_specification(tmp_path: Path) -> None:
    grow(tmp_path, 70_000)
    found = files(tmp_path)
    full = {path for path in found if ".p/" not in path}
    assert len([path for path in full if path.startswith("tile/0/")]) == 273
    assert len([path for path in full if path.startswith("tile/entries/")]) == 273
    assert {path: len(data) for path, data in found.items() if ".p/" in path and "entries" not in path} == {
        "tile/0/273.p/112": 112 * 32,
        "tile/1/001.p/17": 17 * 32,
        "tile/2/000.p/1": 32,
    }
    assert {path for path in full if path.startswith(("tile/1/", "tile/2/"))} == {"tile/1/000"}
    assert found["checkpoint"].decode() == note(70_000)
    check_log(tmp_path, 70_000)
    for size in (1, 255, 256, 257, 65_535, 65_536, 65_537):
        reader = TileReader(directory(tmp_path), size)
        assert root_of(size, reader.node) == root(size), "older trees are read from full tiles"


def test_a_tree_of_256_has_a_full_tile_and_one_above(tmp_path: Path) -> None:
    grow(tmp_path, 256)
    assert set(files(tmp_path)) == {"checkpoint", "tile/0/000", "tile/entries/000", "tile/1/000.p/1"}
    assert (tmp_path / "tile/1/000.p/1").read_bytes() == root(256)


def test_an_empty_log(tmp_path: Path) -> None:
    grow(tmp_path / "new" / "log", 0)
    assert set(files(tmp_path / "new" / "log")) == {"checkpoint"}
    assert root_of(0, TileReader(directory(tmp_path / "new" / "log"), 0).node) == EMPTY


@pytest.mark.parametrize(
    "sizes",
    [
        list(range(1, 40)),
        [1, 255, 256, 257, 511, 512, 513, 1000],
        [300, 300, 600],
        [256, 512, 768],
        [7, 65_530, 65_536, 65_537],
        [65_536, 66_000],
    ],
    ids=lambda sizes: f"to-{sizes[-1]}-in-{len(sizes)}",
)
def test_growing_in_steps_gives_the_same_full_tiles(tmp_path: Path, sizes: list[int]) -> None:
    grow(tmp_path / "steps", *sizes)
    grow(tmp_path / "once", sizes[-1])
    steps, once = files(tmp_path / "steps"), files(tmp_path / "once")
    assert without_partials(steps) == without_partials(once)
    assert once.items() <= steps.items()
    check_log(tmp_path / "steps", sizes[-1])
    for path in steps:
        if ".p/" in path:
            assert path.split(".p/")[0] not in steps, "a partial tile stays no longer than the full one is missing"


def test_partial_tiles_of_every_published_size_remain_while_the_tile_is_partial(tmp_path: Path) -> None:
    sizes = [3, 10, 200, 255]
    grow(tmp_path, *sizes)
    for size in sizes:
        assert (tmp_path / tile_path(0, 0, size)).read_bytes() == b"".join(LEAVES[:size])
        check_log(tmp_path, size)


@given(st.lists(st.integers(0, 700), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_random_steps(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    folder = tmp_path_factory.mktemp("log")
    sizes = [sum(steps[: i + 1]) for i in range(len(steps))]
    grow(folder, *sizes)
    check_log(folder, sizes[-1], samples=5)
    shutil.rmtree(folder)


def test_a_new_cosignature_replaces_the_checkpoint_alone(tmp_path: Path) -> None:
    grow(tmp_path, 300)
    before = files(tmp_path)
    witness = Signer.from_seed("w.example", bytes(32), COSIGNATURE)
    cosigned = with_signature(note(300), witness.cosign(split_note(note(300))[0], 1))
    publish(tmp_path, 300, [], cosigned)
    assert files(tmp_path) == before | {"checkpoint": cosigned.encode()}


def test_t6_a_checkpoint_that_is_not_of_the_entries_is_not_published(tmp_path: Path) -> None:
    grow(tmp_path, 300)
    before = files(tmp_path)
    other = checkpoint(LOG, 310, root(309))
    for error, text in [(ForkError, other), (LogError, note(309)), (LogError, "no note\n"), (LogError, "")]:
        with pytest.raises(error):
            publish(tmp_path, 300, ENTRIES[300:310], text)
    with pytest.raises(ForkError):
        publish(tmp_path, 300, [b"another", *ENTRIES[301:310]], note(310))
    assert files(tmp_path) == before


def test_t6_what_is_published_is_never_replaced_by_something_else(tmp_path: Path) -> None:
    """A log restored from an old copy, that goes on with other entries, is a fork and is stopped."""
    grow(tmp_path, 600)
    before = files(tmp_path)
    forked = [*ENTRIES[:500], *(b"other %d" % i for i in range(300))]
    frontier = Frontier()
    frontier.extend([leaf_hash(entry) for entry in forked])
    for published in (0, 256, 500):
        with pytest.raises(ForkError):
            publish(tmp_path, published, forked[published:], checkpoint(LOG, 800, frontier.root()))
    shorter = Frontier()
    shorter.extend([leaf_hash(entry) for entry in forked[:510]])
    with pytest.raises(ForkError, match="contradicts"):
        publish(tmp_path, 500, forked[500:510], checkpoint(LOG, 510, shorter.root()))
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(ForkError, match="published already"):
        publish(tmp_path, 0, forked, checkpoint(LOG, 800, frontier.root()))
    assert files(tmp_path) == without(before, "checkpoint")


def without(found: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {path: data for path, data in found.items() if path != name}


def test_a_damaged_bundle_is_not_copied_into_the_next(tmp_path: Path) -> None:
    grow(tmp_path, 100)
    place = tmp_path / entries_path(0, 100)
    place.write_bytes(place.read_bytes().replace(b"entry 7", b"entry 8"))
    before = files(tmp_path)
    with pytest.raises(LogError, match=r"tile/entries/000\.p/100"):
        publish(tmp_path, 100, ENTRIES[100:200], note(200))
    assert files(tmp_path) == before


def test_a_directory_further_than_its_caller_knows_is_continued(tmp_path: Path) -> None:
    grow(tmp_path / "once", 600)
    publish(tmp_path / "once", 256, ENTRIES[256:900], note(900))
    check_log(tmp_path / "once", 900)
    grow(tmp_path / "steps", 600, 900)
    assert files(tmp_path / "once") == files(tmp_path / "steps")


def test_a_directory_that_is_ahead_and_agrees_stays(tmp_path: Path) -> None:
    grow(tmp_path, 600)
    before = files(tmp_path)
    publish(tmp_path, 100, ENTRIES[100:400], note(400))
    assert files(tmp_path) == before


def test_several_publishers_do_no_harm(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for size in sorted(random.Random(seed).sample(range(1, 900), 6)):
                publish(tmp_path, 0, ENTRIES[:size], note(size))
        except BaseException as error:  # noqa: BLE001 - whatever a thread raises is looked at below
            errors.append(error)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    stated = int((tmp_path / "checkpoint").read_text().split("\n")[1])
    check_log(tmp_path, stated, samples=5)
    grow(tmp_path, 900)
    check_log(tmp_path, 900, samples=5)


# -- crashes -----------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process ends here."""


@contextmanager
def crash_at(step: int, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> Iterator[Callable[[], int]]:
    """Every call that changes the disk counts; from the ``step``-th on, all of them raise."""
    lock, count = threading.Lock(), 0

    def counted(real: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        nonlocal count
        with lock:
            count += 1
            now = count
        if now >= step:
            raise error(28, "No space left on device") if error is OSError else error()
        return real(*args, **kwargs)

    real_open = io.open

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if "w" not in mode:
            return real_open(file, mode, *args, **kwargs)
        stream = counted(real_open, file, mode, *args, **kwargs)
        write = stream.write

        class Torn:
            """A write that fails has written half of it."""

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *args: object) -> None:
                stream.close()

            def write(self, data: bytes) -> int:
                def half(_: bytes) -> int:
                    return write(data)

                try:
                    return counted(half, data)
                except BaseException:
                    write(data[: len(data) // 2])
                    raise

            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

        return Torn()

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", opened)
        for name in ("fsync", "replace", "mkdir", "unlink", "rmdir"):
            patch.setattr(os, name, partial(counted, getattr(os, name)))
        yield lambda: count


@pytest.mark.parametrize(
    ("old", "new", "more"),
    [(0, 3, 5), (250, 270, 270), pytest.param(300, 800, 1100, marks=pytest.mark.slow), (255, 256, 600)],
)
@pytest.mark.parametrize("error", [OSError, Crash])
def test_a_crash_at_any_step_and_then_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: int, new: int, more: int, error: type[BaseException]
) -> None:
    start, clean = tmp_path / "start", tmp_path / "clean"
    grow(start, *([old] if old else []))
    start.mkdir(exist_ok=True)
    shutil.copytree(start, clean)
    with crash_at(10**9, monkeypatch, error) as steps:
        publish(clean, old, ENTRIES[old:new], note(new))
        total = steps()
    assert total > 8
    expected = files(clean)
    for step in range(1, total + 1):
        folder = tmp_path / f"crash{step}"
        shutil.copytree(start, folder)
        with pytest.raises(OutputError if error is OSError else Crash), crash_at(step, monkeypatch, error):
            publish(folder, old, ENTRIES[old:new], note(new))
        if (folder / "checkpoint").exists():
            stated = int((folder / "checkpoint").read_text().split("\n")[1])
            assert stated in (old, new)
            check_log(folder, stated, samples=2)
        else:
            assert old == 0
        again = tmp_path / "again"
        shutil.copytree(folder, again)
        publish(again, old, ENTRIES[old:new], note(new))
        assert {path: data for path, data in files(again).items() if not path.endswith(".new")} == expected
        publish(folder, old, ENTRIES[old:more], note(more))
        check_log(folder, more, samples=2)
        shutil.rmtree(again)
        shutil.rmtree(folder)


def test_the_checkpoint_comes_last_and_everything_before_it_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(fd: int) -> None:
        calls.append(("fsync", os.readlink(f"/proc/self/fd/{fd}")))
        real_fsync(fd)

    def replace(a: Any, b: Any, **kwargs: Any) -> None:
        calls.append(("replace", str(b)))
        real_replace(a, b, **kwargs)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to see which file is synced")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    folder = tmp_path / "log"
    publish(folder, 0, ENTRIES[:600], note(600))
    last = calls.index(("replace", str(folder / "checkpoint")))
    for path in files(folder):
        if path != "checkpoint":
            place = folder / path
            written = calls.index(("fsync", str(place.with_name(f".{place.name}.new"))))
            placed = calls.index(("replace", str(place)))
            assert written < placed < last
            for above in place.parents:
                if above.is_relative_to(folder):
                    assert any(call == ("fsync", str(above)) for call in calls[placed:last])
    assert calls[-1] == ("fsync", str(folder))
    assert calls.count(("fsync", str(folder / "tile/0"))) == 1, "a folder is synced once for the whole batch"


def test_a_disk_that_is_full_or_read_only_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        publish(tmp_path / "file", 0, ENTRIES[:1], note(1))


# -- reading -----------------------------------------------------------------------------------------------------


def test_nodes_of_all_heights(tmp_path: Path) -> None:
    grow(tmp_path, 66_000)
    reader = TileReader(directory(tmp_path), 66_000)
    rng = random.Random(5)
    for height in range(17):
        for index in {0, (66_000 >> height) - 1, rng.randrange(66_000 >> height)}:
            part = Frontier()
            part.extend(LEAVES[index << height : (index + 1) << height])
            assert reader.node(height, index) == part.root()
        with pytest.raises(IndexError):
            reader.node(height, 66_000 >> height)
    for height, index in [(17, 0), (-1, 0), (0, -1), (70, 0)]:
        with pytest.raises(IndexError):
            reader.node(height, index)
    for index in (-1, 66_000):
        with pytest.raises(IndexError):
            reader.entry(index)
    for first, last in [(-1, 2), (5, 4), (0, 66_001)]:
        with pytest.raises(IndexError):
            list(reader.entries(first, last))


def test_caches_are_bounded(tmp_path: Path) -> None:
    grow(tmp_path, 70_000)
    disk, asked = directory(tmp_path), []

    def counting(path: str) -> bytes | None:
        asked.append(path)
        return disk(path)

    reader = TileReader(counting, 70_000)
    for _ in range(3):
        for index in range(5000, 5200):
            inclusion_path(index, 70_000, reader.node)
    assert len(asked) == len(set(asked)), "a tile is fetched once"
    for n in range(0, 70_000, 256):
        reader.entry(n)
    assert len(reader._bundles) <= 4
    reader._tiles.clear()
    for n in range(600):
        reader._tiles[(9, n)] = [[b""]]
    reader.node(0, 0)
    assert len(reader._tiles) <= 601


def test_missing_and_misshapen_tiles_are_named(tmp_path: Path) -> None:
    grow(tmp_path, 600)
    good = files(tmp_path)

    def reader(path: str, data: bytes | None) -> TileReader:
        changed = good | {path: data} if data is not None else without(good, path)
        return TileReader(lambda p: changed.get(p), 600)

    for path, index in [
        ("tile/0/000", 3),
        ("tile/0/002.p/88", 599),
        ("tile/entries/001", 300),
        ("tile/entries/002.p/88", 599),
    ]:
        data = good[path]
        for bad in (None, b"", data[:-1], data + b"\0", data + data, data[:-32]):
            broken = reader(path, bad)
            with pytest.raises(LogError, match=path.replace(".", r"\.")):
                (broken.entry if "entries" in path else broken.leaf)(index)
    short = bundle([b"x"] * 255)
    with pytest.raises(LogError, match="tile/entries/000"):
        reader("tile/entries/000", short).entry(0)


def test_a_partial_tile_is_read_from_the_full_one(tmp_path: Path) -> None:
    grow(tmp_path, 40, 300)
    assert not (tmp_path / "tile/0/000.p").exists()
    check_log(tmp_path, 40)
    full = tmp_path / "tile/0/000"
    full.write_bytes(full.read_bytes()[:-32])
    with pytest.raises(LogError, match="tile/0/000 "):
        TileReader(directory(tmp_path), 40).leaf(0)


@pytest.mark.parametrize(
    "name",
    ["", "/", "/etc/passwd", "..", "../checkpoint", "tile/../checkpoint", "tile//0", "tile/", ".", "./checkpoint",
     "tile/0/.000.new", "CON", "a\0b", "a\n", "x" * 100, "a/" * 40 + "a", "tile/0/٠٠٠", "a\\b", "checkpoint?x", "%2e%2e"],
)  # fmt: skip
def test_t6_names_that_leave_the_directory_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "checkpoint").write_text("outside")
    for fetch in (directory(tmp_path / "log"), http("http://127.0.0.1:9/")):
        with pytest.raises(LogError, match="such a name"):
            fetch(name)


def test_t6_links_and_other_files_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    (folder / "tile").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / "checkpoint").symlink_to(tmp_path / "secret")
    (folder / "tile" / "0").symlink_to(tmp_path)
    os.mkfifo(folder / "log.vkey")
    (folder / "folder").mkdir()
    fetch = directory(folder)
    for name in ("checkpoint", "tile/0/secret", "log.vkey", "folder", "tile"):
        with pytest.raises(LogError, match="cannot be read"):
            fetch(name)
    assert fetch("absent") is None
    assert fetch("tile/9/000") is None
    assert fetch("tile/5/000.p/5") is None
    assert directory(tmp_path / "nowhere")("checkpoint") is None


def test_steps_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "tile/5/000.p").mkdir(parents=True)
    (tmp_path / "tile/5/000.p/5").write_bytes(b"x")
    assert directory(tmp_path)("tile/5/000.p/5") == b"x"


def test_files_that_are_too_long_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tile/0").mkdir(parents=True)
    (tmp_path / "tile/0/000").write_bytes(bytes(8193))
    with pytest.raises(LogError, match="too long"):
        directory(tmp_path)("tile/0/000")
    (tmp_path / "checkpoint").write_bytes(bytes(4_000_001))
    with pytest.raises(LogError, match="too long"):
        directory(tmp_path)("checkpoint")


def test_reading_leaves_no_descriptor_open(tmp_path: Path) -> None:
    grow(tmp_path, 300)
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to count descriptors")
    fetch = directory(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("checkpoint", "tile/0/000", "absent", "tile/absent/x", "checkpoint/x", "tile"):
        for _ in range(5):
            try:
                fetch(name)
            except LogError:
                pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# -- over HTTP ---------------------------------------------------------------------------------------------------


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/log/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(code: int, data: bytes = b"", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("packed", [False, True])
def test_a_log_is_read_over_http(tmp_path: Path, packed: bool) -> None:
    grow(tmp_path, 40, 700)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        assert handler.path.startswith("/log/")
        data = directory(tmp_path)(handler.path.removeprefix("/log/"))
        if data is None:
            reply(404)(handler)
        elif packed:
            reply(200, gzip.compress(data), Content_Encoding="gzip")(handler)
        else:
            reply(200, data)(handler)

    with serving(answer) as url:
        fetch = http(url)
        assert fetch("checkpoint") == note(700).encode()
        assert fetch("tile/0/009") is None
        for size in (40, 700):
            reader = TileReader(fetch, size)
            assert root_of(size, reader.node) == root(size)
            assert list(reader.entries(0, size)) == ENTRIES[:size]


@pytest.mark.parametrize(
    "answer",
    [
        reply(500),
        reply(403),
        reply(301, Location="http://127.0.0.1:9/elsewhere"),
        reply(302, Location="/log/checkpoint"),
        reply(302, Location="file:///etc/passwd"),
        reply(204),
        reply(200, bytes(8193)),
        reply(200, gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"),
        reply(200, b"not gzip", Content_Encoding="gzip"),
        reply(200, gzip.compress(b"cut off")[:-9], Content_Encoding="gzip"),
        reply(200, gzip.compress(b"and more") + b"x", Content_Encoding="gzip"),
        reply(200, b"x", Content_Encoding="br"),
        reply(200, b"x", Content_Length="9"),
        lambda handler: handler.wfile.write(b"no http at all\r\n\r\n"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
        lambda handler: None,
    ],
)  # fmt: skip
def test_t6_a_server_that_misbehaves_is_a_log_error(answer: Answer) -> None:
    with serving(answer) as url, pytest.raises(LogError, match="tile/0/000"):
        http(url, timeout=5)("tile/0/000")


def test_a_server_that_is_slow_or_gone_is_a_log_error(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        done.wait(10)

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        reply(200, Content_Length="8192")(handler)
        while not done.wait(0.02):
            handler.wfile.write(b"x")

    try:
        for answer in (silent, trickle):
            with serving(answer) as url:
                with pytest.raises(LogError):
                    http(url, timeout=0.1)("tile/0/000")
                done.set()
            done.clear()
        with pytest.raises(LogError):
            http(url, timeout=1)("checkpoint")
    finally:
        done.set()


def _bytes(handler: BaseHTTPRequestHandler, data: bytes, done: threading.Event) -> None:
    for at in range(len(data)):
        if done.wait(0.03):
            return
        handler.wfile.write(data[at : at + 1])


@pytest.mark.parametrize(
    "before",
    [
        b"",  # the status line itself trickles
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",  # a body without a length: cut off, it must not look whole
        b"HTTP/1.1 200 OK\r\nContent-Length: 8192\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 8192\r\n",
    ],
)
def test_t6_a_server_that_trickles_is_cut_off_wherever_it_does(before: bytes) -> None:
    """Each byte comes in time; all of them together take six seconds."""
    done = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(before)
        rest = b"HTTP/1.1 200 OK\r\n" if not before else b""
        _bytes(handler, rest + b"X-Padding: " + b"x" * 200, done)

    with serving(answer) as url:
        began = time.monotonic()
        try:
            with pytest.raises(LogError, match="too slow"):
                http(url, timeout=0.06)("tile/0/000")
            assert 0.5 < time.monotonic() - began < 3
        finally:
            done.set()


def test_t6_a_proxy_that_trickles_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way to an https server through a proxy, whose answer to CONNECT never ends."""
    done = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def loop() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            for _ in range(200):  # six seconds, and it ends if nobody cuts it off
                if done.wait(0.03):
                    break
                connection.sendall(b"x")

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    began = time.monotonic()
    try:
        with pytest.raises(LogError, match="too slow"):
            http("https://log.example/", timeout=0.06)("checkpoint")
        assert 0.5 < time.monotonic() - began < 3
    finally:
        done.set()
        thread.join(5)
        listener.close()


def test_t6_a_server_that_trickles_its_tls_greeting_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def loop() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"\x16\x03\x03\x3f\xff")  # a long record of the handshake
            for _ in range(200):  # six seconds, and it ends if nobody cuts it off
                if done.wait(0.03):
                    break
                connection.sendall(b"x")

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(LogError):
            http(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.06)("checkpoint")
        assert time.monotonic() - began < 3
    finally:
        done.set()
        thread.join(5)
        listener.close()


def test_all_addresses_of_a_host_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with a hundred addresses, none of which answers: a full queue of a listener that accepts nothing."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    place = full.getsockname()
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(place)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place)] * 100
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    began = time.monotonic()
    try:
        with pytest.raises(LogError):
            http(f"http://log.example:{place[1]}/", timeout=0.06)("checkpoint")
        assert time.monotonic() - began < 3
    finally:
        for one in (*waiting, full):
            one.close()


def test_nothing_is_left_of_a_request(tmp_path: Path) -> None:
    """Neither a thread nor a descriptor, however it ended."""
    grow(tmp_path, 0, 40)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = directory(tmp_path)(handler.path.removeprefix("/log/"))
        reply(404 if data is None else 200, data or b"")(handler)

    with serving(answer) as url:
        fetch = http(url)
        fetch("checkpoint")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            assert fetch("checkpoint") and fetch("tile/0/009") is None
        until = time.monotonic() + 5
        while any(isinstance(t, threading.Timer) for t in threading.enumerate()):
            assert time.monotonic() < until, "a watch goes on after its request"
            time.sleep(0.01)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


@pytest.mark.parametrize(
    "url",
    ["", "file:///etc", "ftp://127.0.0.1/", "//127.0.0.1/", "http://", "http://u:p@127.0.0.1/", "http://127.0.0.1/?a=b",
     "http://127.0.0.1/#x", "http:///log", "data:text/plain,x", "javascript:x", "http://127.0.0.1/a b", "http://[::1/",
     "http://127.0.0.1:notaport/", "http://127.0.0.1/\r\nX: y"],
)  # fmt: skip
def test_t6_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(LogError) as error:
        http(url)("checkpoint")
    assert "u:p" not in str(error.value) + error.value.hint


# -- pruning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minimum", [0, 1, 257, 512, 65_535, 65_536, 65_537, 66_048, 70_000])
def test_after_pruning_everything_promised_remains(tmp_path: Path, published: Path, minimum: int) -> None:
    folder = tmp_path / "log"
    shutil.copytree(published, folder, copy_function=os.link)
    before = files(folder)
    gone = {
        path
        for path in before
        for level, span in [("0", 256), ("entries", 256), ("1", 65_536)]
        if path.startswith(f"tile/{level}/") and ".p/" not in path and (int(path.split("/")[2]) + 1) * span <= minimum
    }
    assert prune(folder, minimum) == len(gone)
    assert files(folder) == {path: data for path, data in before.items() if path not in gone}
    assert prune(folder, minimum) == 0
    check_log(folder, 70_000, minimum)
    if gone:
        with pytest.raises(LogError, match="is missing"):
            TileReader(directory(folder), 70_000).entry(0)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    grow(folder, 70_000)
    return folder


def test_every_small_log_pruned_at_every_index(tmp_path: Path) -> None:
    """Brute force: each root, path and proof that the specification promises, by the files that are left."""
    grow(tmp_path, 700)
    every = files(tmp_path)
    for minimum in (*range(0, 700, 37), 255, 256, 257, 512, 513, 700):
        kept = dict(every)
        for n in range(minimum // 256):
            del kept[tile_path(0, n)], kept[entries_path(n)]
        reader = TileReader(kept.get, 700)
        for size in range(max(1, minimum), 701, 29):
            assert root_of(size, reader.node) == root(size)
            check_consistency(size, 700, root(size), root(700), consistency_path(size, 700, reader.node))
        for index in range(minimum, 700, 31):
            for size in {index + 1, (index + 701) // 2, 700}:
                check_inclusion(index, size, LEAVES[index], inclusion_path(index, size, reader.node), root(size))


def test_a_pruned_log_grows_on(tmp_path: Path) -> None:
    grow(tmp_path, 1000)
    assert prune(tmp_path, 1000) == 6
    publish(tmp_path, 1000, ENTRIES[1000:2000], note(2000))
    check_log(tmp_path, 2000, 1000)
    assert prune(tmp_path, 1500) == 4
    publish(tmp_path, 2000, ENTRIES[2000:2010], note(2010))
    check_log(tmp_path, 2010, 1500)


def test_pruning_a_deep_log_removes_empty_folders_and_leftover_partials(tmp_path: Path) -> None:
    grow(tmp_path, 300)
    deep = tmp_path / "tile/0/x001/002"
    deep.parent.mkdir(parents=True)
    deep.write_bytes(b"")
    (tmp_path / "tile/0/000.p").mkdir()
    (tmp_path / "tile/0/000.p/7").write_bytes(b"left over")
    (tmp_path / "tile/README").write_text("kept")
    assert prune(tmp_path, 300) == 3
    assert not (tmp_path / "tile/0/000.p").exists()
    assert deep.exists(), "it lies beyond the minimum"
    assert (tmp_path / "tile/README").exists()


def test_pruning_beyond_the_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError):
        prune(tmp_path, 0)
    grow(tmp_path, 300)
    before = files(tmp_path)
    for minimum in (301, -1):
        with pytest.raises(LogError):
            prune(tmp_path, minimum)
    (tmp_path / "checkpoint").write_text("nonsense")
    with pytest.raises(LogError):
        prune(tmp_path, 256)
    assert files(tmp_path) == before | {"checkpoint": b"nonsense"}


def test_fetch_is_a_plain_callable() -> None:
    fetch: Fetch = {"checkpoint": b"x"}.get
    assert fetch("checkpoint") == b"x"
    assert fetch_module.directory is directory


def test_fetches_can_be_sent_to_other_processes(tmp_path: Path) -> None:
    grow(tmp_path, 300)
    fetch = pickle.loads(pickle.dumps(directory(tmp_path)))
    assert fetch("checkpoint") == note(300).encode()
    with held(fetch) as open_folders:
        open_folders("tile/0/000")
        assert pickle.loads(pickle.dumps(open_folders))("tile/0/000") == directory(tmp_path)("tile/0/000")
    with serving(reply(200, b"hello")) as url:
        assert pickle.loads(pickle.dumps(http(url, 3)))("checkpoint") == b"hello"


def test_a_held_directory_reads_the_same_and_leaves_no_descriptor_open(tmp_path: Path) -> None:
    grow(tmp_path, 300)
    for n in range(12):
        (tmp_path / f"tile/{n + 2}").mkdir()
        (tmp_path / f"tile/{n + 2}/000").write_bytes(bytes(n))
    (tmp_path / "tile/20").symlink_to(tmp_path / "tile/0")
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0
    with pytest.raises(ZeroDivisionError), held(directory(tmp_path)) as fetch:
        for _ in range(3):
            for name in ("checkpoint", "absent", "tile/0/000", "tile/absent/x", *(f"tile/{n}/000" for n in range(14))):
                assert fetch(name) == directory(tmp_path)(name), name
            with pytest.raises(LogError, match="cannot be read"):
                fetch("tile/20/000")
        assert not before or len(list(Path("/proc/self/fd").iterdir())) <= before + 8
        raise ZeroDivisionError
    if before:
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    given: Fetch = {"checkpoint": b"x"}.get
    with held(given) as same:
        assert same is given


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoint").write_bytes(bytes(5000))
    real = os.fstat

    def shorter(fd: int) -> os.stat_result:
        about = list(real(fd))
        about[6] = 10
        return os.stat_result(about)

    monkeypatch.setattr(os, "fstat", shorter)
    assert directory(tmp_path)("checkpoint") == bytes(5000)
    (tmp_path / "checkpoint").write_bytes(bytes(4_000_001))
    with pytest.raises(LogError, match="too long"):
        directory(tmp_path)("checkpoint")
