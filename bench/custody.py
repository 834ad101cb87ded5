"""The custody index: how it grows, and its look-ups against an SQLite table's, side by side in one run.

    python bench/custody.py            # 1, 10 and 30 million parcels, some minutes
    python bench/custody.py --full     # and 100 million; needs 10 GB of disk
    python bench/custody.py --quick    # 100,000 and a million, 30 seconds, the same keys

The last line is one JSON object; its figures are of the largest index, the ratio of the largest that SQLite has too.

custody_lookup_us  wall time a parcel, all facts, random parcels in batches of 1,000, each row with its own actor and outlet.
custody_lone_ms    the same for one row alone, median.
custody_bytes      disk space of the whole index over the number of parcels.
custody_vs_sqlite  wall time of the same parcels' records from a table with INTEGER PRIMARY KEY (keys ready made, 1,000 in
                   one statement) over ours, which starts from waybill numbers and hashes them.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.event import WORK
from parcelveil.reveal.custody import Custody
from ratios import interleaved, report

NOW = 1_795_500_000_000_000
BATCH = 65_536
OUTLETS, STAFF, ROUTES = 5_000, 50_000, 20_000
FIRST = 10**12
STEPS = pa.array(["arrived", "departed", "out_for_delivery", "delivered"])


def codes(prefix: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def events(count: int, seed: int, first: int = 0) -> Iterator[pa.RecordBatch]:
    """One event each of ``count`` parcels, all within the day before NOW."""
    rng = np.random.default_rng(seed)
    for start in range(first, first + count, BATCH):
        size = min(BATCH, first + count - start)
        columns = {
            "event_id": codes("E", np.arange(start, start + size)),
            "event_time": pa.array(NOW - rng.integers(0, 86_400_000_000, size)).cast(pa.timestamp("us", "UTC")),
            "biz_step": STEPS.take(pa.array(rng.integers(0, 4, size))),
            "waybill_no": codes("YT", np.arange(start, start + size) + FIRST),
            "outlet": codes("02", rng.integers(0, OUTLETS, size) + 10_000),
            "actor": codes("S", rng.integers(0, STAFF, size)),
            "route_id": codes("R", rng.integers(0, ROUTES, size)),
        }
        arrays = [columns.get(field.name, pa.nulls(size, field.type)) for field in WORK]
        yield pa.RecordBatch.from_arrays(arrays, schema=WORK)


def questions(
    count: int, size: int, batches: int, seed: int = 3
) -> list[tuple[pa.Array, pa.Array, pa.Array, np.ndarray]]:
    rng, made = np.random.default_rng(seed), []
    for _ in range(batches):
        which = rng.integers(0, count, size)
        actors, outlets = codes("S", rng.integers(0, STAFF, size)), codes("02", rng.integers(0, OUTLETS, size) + 10_000)
        made.append((codes("YT", which + FIRST), actors, outlets, which))
    return made


def median_us(custody: Custody, asked: list[tuple[pa.Array, pa.Array, pa.Array, np.ndarray]]) -> float:
    """Median wall time of one call, in microseconds."""
    spent = []
    for numbers, actors, outlets, _ in asked:
        started = time.perf_counter()
        custody.facts_many(numbers, actors, outlets, None, NOW)
        spent.append(time.perf_counter() - started)
    return statistics.median(spent[len(spent) // 10 :]) * 1e6


def forget_cache(folder: Path) -> None:
    """Ask the system to drop what it holds of these files."""
    for path in folder.iterdir():
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def cold(folder: Path, count: int) -> tuple[float, float, float]:
    """In a fresh process, with the files out of the cache: ms to open, of the first row, and of the first 1,000."""
    forget_cache(folder)
    command = [sys.executable, __file__, "--cold", str(folder), str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    opened, lone, many = map(float, done.stdout.split())
    return opened, lone, many


def cold_child(folder: Path, count: int) -> None:
    (lone,), (many,) = questions(count, 1, 1, 8), questions(count, 1_000, 1, 9)
    with tempfile.TemporaryDirectory() as name:  # compile and import everything first
        warm = Custody(Path(name))
        warm.load(events(1_000, 1), now=NOW)
        for _ in range(3):
            warm.facts_many(*lone[:3], None, NOW)
            warm.facts_many(*many[:3], None, NOW)
    started = time.perf_counter()
    custody = Custody(folder)
    opened = time.perf_counter()
    custody.facts_many(*lone[:3], None, NOW)
    first = time.perf_counter()
    custody.facts_many(*many[:3], None, NOW)
    print((opened - started) * 1e3, (first - opened) * 1e3, (time.perf_counter() - first) * 1e3)


def sqlite_table(path: Path, count: int) -> sqlite3.Connection:
    table = sqlite3.connect(path)
    table.execute("PRAGMA synchronous=OFF")
    table.execute(
        "CREATE TABLE custody (parcel INTEGER PRIMARY KEY, time INTEGER, step INTEGER, outlet INTEGER, holder INTEGER, route INTEGER)"
    )
    for start in range(0, count, 1_000_000):
        keys = spread(np.arange(start, min(start + 1_000_000, count)))
        table.executemany("INSERT INTO custody VALUES (?,?,?,?,?,?)", ((key, NOW, 3, 4, 5, 6) for key in keys.tolist()))
    table.execute("PRAGMA cache_size=-1000000")
    table.execute("PRAGMA mmap_size=8589934592")
    table.commit()
    return table


def spread(which: np.ndarray) -> np.ndarray:
    """Distinct keys all over 63 bits, as a hash would give; multiples, so that a bulk insert need not be sorted."""
    return (which.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(1)).astype(np.int64)


def against_sqlite(custody: Custody, folder: Path, count: int, rounds: int) -> tuple[float, float]:
    """Microseconds a parcel, ours and SQLite's, interleaved, with batches that neither has seen."""
    table = sqlite_table(folder / "table.sqlite", count)
    statement = f"SELECT * FROM custody WHERE parcel IN ({','.join('?' * 1_000)})"
    asked = iter(questions(count, 1_000, 40 * (rounds + 1)) * 2)

    def ours() -> None:
        for _ in range(40):
            numbers, *_, _ = next(asked)
            custody.at(numbers, NOW)

    def theirs() -> None:
        for _ in range(40):
            keys = spread(next(asked)[3]).tolist()
            assert len(table.execute(statement, keys).fetchall()) > 990

    figures = interleaved({"ours": ours, "sqlite": theirs}, rounds)
    table.close()
    (folder / "table.sqlite").unlink()
    return figures["ours"].wall / 40_000 * 1e6, figures["sqlite"].wall / 40_000 * 1e6


def run() -> None:
    quick = "--quick" in sys.argv
    sizes = [100_000, 1_000_000] if quick else [1_000_000, 10_000_000, 30_000_000]
    if "--full" in sys.argv:
        sizes.append(100_000_000)
    compared = sizes[1]
    rows: list[tuple[str, str, str]] = []
    ratios: dict[str, float] = {}
    for count in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "custody"
            custody = Custody(folder)
            started = time.perf_counter()
            loaded = custody.load(events(count, 1), now=NOW)
            rate = count / (time.perf_counter() - started)
            assert loaded.applied == count
            started = time.perf_counter()
            day = custody.load(events(count // 10, 2, first=count - count // 20), now=NOW)
            more = day.events / (time.perf_counter() - started)
            disk = sum(path.stat().st_blocks * 512 for path in folder.iterdir())
            size = disk / (count + count // 20)
            asked = questions(count, 1_000, 300)
            for numbers, actors, outlets, _ in questions(
                count, 1_000, 100, seed=4
            ):  # a desk knows its staff after a while
                assert custody.facts_many(numbers, actors, outlets, None, NOW).known.all()
            batch, lone = median_us(custody, asked) / 1_000, median_us(custody, questions(count, 1, 2_000)) / 1_000
            opened, first, thousand = cold(folder, count)
            rows += [
                (
                    f"{count:,} parcels: loading",
                    f"{rate:,.0f} events/s; a file of a tenth on top {more:,.0f}/s",
                    f"{size:.1f} bytes a parcel",
                ),
                ("looking up", f"{batch:.2f} us a parcel in batches of 1,000", f"one alone {lone:.3f} ms"),
                (
                    "fresh process, files not cached",
                    f"open {opened:.1f} ms, first row {first:.1f} ms",
                    f"first 1,000: {thousand:.0f} ms",
                ),
            ]
            ratios |= {"custody_lookup_us": batch, "custody_lone_ms": lone, "custody_bytes": size}
            if count == compared:
                ours, theirs = against_sqlite(custody, Path(name), count, 5)
                ratios["custody_vs_sqlite"] = theirs / ours
                rows.append(
                    (
                        "records of 1,000 parcels, against SQLite",
                        f"{ours:.2f} against {theirs:.2f} us a parcel",
                        f"`custody_vs_sqlite` {theirs / ours:.1f}",
                    )
                )
    report(rows, ratios)


if __name__ == "__main__":
    if "--cold" in sys.argv:
        cold_child(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        run()
