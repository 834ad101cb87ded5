"""The custody index on disk: readers and writers at once, damage, and a process that dies at any point."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from parcelveil.errors import InputError, WorkspaceError
from parcelveil.event import BizStep, Work, work_batch
from parcelveil.reveal import custody_load
from parcelveil.reveal.custody import Custody
from reveal.custody_events import ask, at, event, loaded


def test_an_index_that_is_not_there_knows_nothing(tmp_path: Path) -> None:
    custody = Custody(tmp_path / "none")
    assert ask(custody, ticket="T") == set()
    assert not custody.ticket_known("T")
    assert not custody.refresh()
    assert custody.records == custody.generation == 0
    assert not (tmp_path / "none").exists(), "asking makes nothing"
    assert custody.load([], now=at(1)) == (0, 0, 0, 0)
    assert ask(custody, ticket="T") == set()


def test_files_are_the_owners_only(tmp_path: Path) -> None:
    loaded(tmp_path / "c", event(8, "arrived", waybill_no="SECRET-NUMBER", outlet="A"))
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700
    for path in (tmp_path / "c").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
        assert b"SECRET-NUMBER" not in path.read_bytes()


def test_readers_see_new_work_after_refresh(tmp_path: Path) -> None:
    writer = Custody(tmp_path)
    reader = Custody(tmp_path)
    writer.load([work_batch([event(8, "arrived", waybill_no="YT1", outlet="A")])], now=at(9))
    assert ask(reader, hours=9) == set()
    assert reader.refresh()
    assert not reader.refresh()
    assert ask(reader, hours=9) == {"known", "at_outlet"}
    for hours in range(10, 20):
        writer.load([work_batch([event(hours, "arrived", waybill_no="YT1", outlet=f"O{hours}")])], now=at(hours))
    assert ask(reader, hours=9) == {"known", "at_outlet"}, "files that were removed meanwhile are still mapped"
    assert reader.refresh()
    assert ask(reader, outlet="O19", hours=19) == {"known", "at_outlet"}


def test_an_index_made_anew_or_restored_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    folder, backup = tmp_path / "c", tmp_path / "backup"
    custody = loaded(folder, event(8, "arrived", waybill_no="YT1", outlet="A"))
    subprocess.run(["cp", "-a", folder, backup], check=True)
    custody.load([work_batch([event(9, "arrived", waybill_no="YT2", outlet="B")])], now=at(10))
    assert "at_outlet" in ask(custody, "YT2", outlet="B", hours=10)
    subprocess.run(["rm", "-r", folder], check=True)
    subprocess.run(["cp", "-a", backup, folder], check=True)
    Custody(folder).load(
        [work_batch([event(9, "arrived", waybill_no="YT2", outlet="C")])], now=at(10)
    )  # C has B's code
    assert custody.refresh() or custody.generation
    assert "at_outlet" not in ask(custody, "YT2", outlet="B", hours=10)
    assert "at_outlet" in ask(custody, "YT2", outlet="C", hours=10)


def test_damage_is_noticed(tmp_path: Path) -> None:
    custody = loaded(tmp_path, *(event(8, "arrived", f"{i}", waybill_no=f"YT{i}", outlet="A") for i in range(100)))
    segment = next(tmp_path.glob("segment-*"))
    sound = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def spoil(path: Path, data: bytes) -> None:
        path.unlink()  # the open index goes on with the file it has mapped
        path.write_bytes(data)

    custody.check()
    whole = sound[segment]
    for data in (b"", whole[:63], whole[:-1], whole + b"\0", b"X" + whole[1:], whole[:9] + b"\xff" * 8 + whole[17:]):
        spoil(segment, data)
        with pytest.raises(WorkspaceError, match="damaged"):
            Custody(tmp_path)
    for place in (70, len(whole) // 2, len(whole) - 1):
        spoil(segment, whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        spoiled = Custody(tmp_path)
        spoiled.facts(pa.array([f"YT{i}" for i in range(100)]), actor="c", outlet="A", now=at(9))  # no crash
        with pytest.raises(WorkspaceError, match="damaged"):
            spoiled.check()
    spoil(segment, whole)
    for name, data in (
        ("manifest", b"{}x"),
        ("manifest", b'{"format":"parcelveil.custody.v1","segments":["../../key"]}'),
        ("key", b"k"),
        ("names.ends", b""),
    ):
        spoil(tmp_path / name, data)
        with pytest.raises(WorkspaceError, match="damaged"):
            Custody(tmp_path)
        spoil(tmp_path / name, sound[tmp_path / name])
    spoil(tmp_path / "manifest", b'{"format":"parcelveil.custody.v9"}')
    with pytest.raises(WorkspaceError, match="version"):
        Custody(tmp_path)
    spoil(tmp_path / "manifest", sound[tmp_path / "manifest"])
    spoil(tmp_path / "names.text", b"B")
    with pytest.raises(WorkspaceError, match="damaged"):
        Custody(tmp_path).check()
    spoil(tmp_path / "names.text", sound[tmp_path / "names.text"])
    for path in (segment, tmp_path / "key"):
        path.unlink()
        with pytest.raises(WorkspaceError, match="damaged"):
            Custody(tmp_path)
        path.write_bytes(sound[path])
    Custody(tmp_path).check()


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    custody = Custody(tmp_path / "c")
    with pytest.raises(InputError, match="batches of work events"):
        custody.load([pa.record_batch({"waybill_no": ["YT1"]})])
    long = event(8, "arrived", waybill_no="YT1", outlet="A" * 65)
    with pytest.raises(InputError, match="more than 64 bytes"):
        custody.load([work_batch([event(8, "arrived", waybill_no="YT1", outlet="A"), long])], now=at(9))
    assert ask(custody, hours=9) == set(), "all or nothing"

    def breaks() -> Iterator[pa.RecordBatch]:
        yield work_batch([event(8, "arrived", waybill_no="YT1", outlet="A")])
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        custody.load(breaks(), now=at(9))
    assert ask(custody, hours=9) == set()
    short = [event(8, "arrived", outlet="A"), event(8, "route_assigned", route_id="R"), event(8, "ticket_closed")]
    early = Work(
        event_id="x", event_time=datetime(1999, 12, 31, tzinfo=UTC), biz_step=BizStep.ARRIVED, waybill_no="YT1"
    )
    assert custody.load([work_batch([*short, early])], now=at(9)) == (4, 0, 0, 4)
    other = Custody(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        other.load([])
    with pytest.raises(ValueError, match="lengths"):
        custody.facts_many(pa.array(["a"]), pa.array(["a"]), pa.array([], pa.string()), None, at(1))


def test_many_threads_ask_while_one_loads(tmp_path: Path) -> None:
    custody, stop, wrong = Custody(tmp_path), threading.Event(), []
    numbers = [f"YT{i}" for i in range(50)]
    custody.load([work_batch([event(0, "arrived", f"{n}", waybill_no=n, outlet="O0") for n in numbers])], now=at(0))

    def ask_on() -> None:
        while not stop.is_set():
            where = custody.at(pa.array(numbers), at(24))
            if len(set(where.since.tolist())) != 1:  # every load moves all of them
                wrong.append(where)

    threads = [threading.Thread(target=ask_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    for hour in range(1, 15):
        custody.load(
            [work_batch([event(hour, "arrived", f"{n}{hour}", waybill_no=n, outlet=f"O{hour}") for n in numbers])],
            now=at(hour),
        )
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_two_processes_load_and_one_reads(tmp_path: Path) -> None:
    """Two writers wait for each other; the reader always sees whole loads, and never an older one after a newer."""
    script = (
        "import sys; from pathlib import Path; from datetime import datetime, timedelta, UTC\n"
        "from parcelveil.event import Work, BizStep, work_batch; from parcelveil.reveal.custody import Custody, micros\n"
        "t0, custody = datetime(2026, 11, 23, tzinfo=UTC), Custody(Path(sys.argv[1]))\n"
        "for minute in range(int(sys.argv[2]), 120, 2):\n"
        "    at = t0 + timedelta(minutes=minute)\n"
        "    events = [Work(event_id=f'{i}-{minute}', event_time=at, biz_step=BizStep.ARRIVED, waybill_no=f'YT{i}', outlet=f'O{minute}')\n"
        "              for i in range(200)]\n"
        "    custody.load([work_batch(events)], now=micros(at))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, tmp_path, str(i)]) for i in (0, 1)]
    reader, numbers, seen, last = Custody(tmp_path), pa.array([f"YT{i}" for i in range(200)]), set(), 0
    deadline = time.monotonic() + 60
    while any(writer.poll() is None for writer in writers) and time.monotonic() < deadline:
        reader.refresh()
        where = reader.at(numbers, at(24))
        assert len(set(where.since.tolist())) == 1
        assert where.since[0] >= last
        last = int(where.since[0])
        seen.add(last)
    assert [writer.wait(5) for writer in writers] == [0, 0]
    assert reader.refresh() in (True, False)
    assert reader.at(numbers, at(24)).since.tolist() == [at(119 / 60)] * 200
    assert reader.generation <= 120
    assert len(seen) > 3
    reader.check()


# -- a process that dies -----------------------------------------------------------------------------------------------


class Died(BaseException):
    """The process is gone: nothing it does afterwards reaches the disk."""


class Dying:
    """Counts the calls that change the disk, and dies at the ``last``: halfway through a write, before any other.

    What was written and not synced by then is lost, as after a power cut.
    """

    CALLS = ("open", "pwrite", "fsync", "ftruncate", "replace", "unlink")

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, last: int) -> None:
        self.count, self.last, self.folder = 0, last, folder
        self.unsynced: dict[str, int] = {}
        self.real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in self.CALLS}
        for name in self.CALLS:
            patch.setattr(os, name, self.wrap(name))

    def wrap(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            path = str(self.path(name, args[0]))
            if not path.startswith(str(self.folder)) or (name == "open" and path.endswith("lock")):
                return self.real[name](*args, **named)
            self.count += 1
            size = Path(path).stat().st_size if name == "pwrite" and "names" in path else 0
            if self.count > self.last:
                if name == "pwrite" and self.count == self.last + 1:
                    self.real[name](args[0], bytes(args[1])[: len(args[1]) // 2], args[2])
                    self.unsynced.setdefault(path, size)
                for lost, kept in self.unsynced.items():
                    os.truncate(lost, min(kept, Path(lost).stat().st_size))
                self.unsynced = {}
                raise Died
            if name == "pwrite":
                self.unsynced.setdefault(path, size)
            if name == "fsync":
                self.unsynced.pop(path, None)
            return self.real[name](*args, **named)

        return call

    @staticmethod
    def path(name: str, target: Any) -> Path:
        return Path(os.readlink(f"/proc/self/fd/{target}")) if isinstance(target, int) else Path(target)


DAY_ONE = [event(8, "arrived", f"{i}", waybill_no=f"YT{i}", outlet=f"O{i % 7}") for i in range(40)]
DAY_TWO = [event(9, "departed", f"{i}", waybill_no=f"YT{i}", outlet=f"O{i % 9}", actor=f"c{i}") for i in range(60)]


def answers(custody: Custody) -> list[Any]:
    where = custody.at(pa.array([f"YT{i}" for i in range(60)]), at(24))
    return [
        where.known.tolist(),
        where.state.tolist(),
        where.since.tolist(),
        *(custody.names(codes).to_pylist() for codes in where[2:5]),
    ]


@pytest.mark.parametrize("first", [False, True], ids=["into an empty folder", "into an index"])
def test_a_load_that_dies_anywhere_leaves_the_old_index_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    monkeypatch.setattr(custody_load, "FLUSH", 25)  # several segments, and merges, in one load
    monkeypatch.setattr(custody_load, "MOST_SEGMENTS", 2)
    batches = [work_batch(DAY_TWO[start : start + 20]) for start in range(0, 60, 20)]

    def begun(folder: Path) -> Custody:
        custody = Custody(folder)
        if first:
            custody.load([work_batch(DAY_ONE)], now=at(10))
        return custody

    done = begun(tmp_path / "done")
    old = answers(done)
    done.load(batches, now=at(10))
    new = answers(done)
    assert old != new
    last, outcomes = 0, []
    while True:
        folder = tmp_path / str(last)
        custody = begun(folder)
        with monkeypatch.context() as patch:
            dying = Dying(patch, folder, last)
            try:
                custody.load(batches, now=at(10))
                break
            except Died:
                pass
        reader = Custody(folder)
        reader.check()
        found = answers(reader)
        assert found in (old, new), f"call {last}"
        outcomes.append(found == new)
        custody.load(batches, now=at(11))
        custody.check()
        assert answers(custody) == new, f"the next load mends it, call {last}"
        named = {f"segment-{path.name[8:]}" for path in folder.glob("segment-*")}
        assert named == set(custody._files.manifest().segments), "nothing is left over"
        last += 1
    assert dying.count == last > 30
    assert outcomes == sorted(outcomes), "once the new one counts it stays"
    assert {True, False} <= set(outcomes)


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    custody = loaded(tmp_path, *DAY_ONE)
    old, files = answers(custody), sorted(path.name for path in tmp_path.iterdir())

    def full(fd: int, data: Any, offset: int) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(WorkspaceError, match="No space left"):
            custody.load([work_batch(DAY_TWO)], now=at(10))
    assert answers(Custody(tmp_path)) == old
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    custody.load([work_batch(DAY_TWO)], now=at(10))
    assert answers(custody) != old


def test_kill_9_while_loading(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from datetime import datetime, timedelta, UTC\n"
        "from parcelveil.event import Work, BizStep, work_batch; from parcelveil.reveal.custody import Custody, micros\n"
        "t0, custody = datetime(2026, 11, 23, tzinfo=UTC), Custody(Path(sys.argv[1]))\n"
        "for second in range(int(sys.argv[2]), 10**6):\n"
        "    at = t0 + timedelta(seconds=second)\n"
        "    events = [Work(event_id=f'{i}-{second}', event_time=at, biz_step=BizStep.ARRIVED, waybill_no=f'YT{i}', outlet=f'O{second}')\n"
        "              for i in range(300)]\n"
        "    custody.load([work_batch(events)], now=micros(at))\n"
        "    print(second, flush=True)\n"
    )
    numbers, second = pa.array([f"YT{i}" for i in range(300)]), 0
    rng = np.random.default_rng(9)
    for _ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", script, tmp_path, str(second)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(float(rng.uniform(0.01, 0.15)))
        writer.send_signal(signal.SIGKILL)
        said = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        custody = Custody(tmp_path)
        custody.check()
        since = set(custody.at(numbers, at(24)).since.tolist())
        assert len(since) == 1, "whole loads only"
        reached = (since.pop() - at(0)) // 1_000_000
        assert reached >= max([second, *map(int, said)]), "what was acknowledged is there"
        second = reached + 1
