"""Kill -9 at any point, power loss, and a full disk: what was acknowledged is there, what was not is there whole or not at all."""

from __future__ import annotations

import ctypes
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.kept_log import Kept, hold
from parcelveil.errors import OutputError

_SEPARATOR = "\0"


class Acknowledged:
    """Receipts that a child was handed, in a file: what the child's death leaves of it is what it had said."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.fd = -1

    def say(self, receipts: list[str]) -> None:
        if self.fd < 0:
            self.fd = os.open(self.place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(self.fd, "".join(receipt + _SEPARATOR for receipt in receipts).encode())

    def said(self) -> list[str]:
        return self.place.read_text().split(_SEPARATOR)[:-1] if self.place.exists() else []


def work(folder: Path, said: Acknowledged) -> None:
    """What a child does until it is killed: single looks, grouped ones, publishing."""
    kept = Kept(folder)
    for i in range(2):
        said.say(kept.look())
        said.say(kept.look(7 + i))
        kept.log.publish()
    kept.store.settle()
    said.say(kept.look(3))
    kept.close()


def child(do: Callable[[], None]) -> int:
    """A forked child that does it. It ends without going back into the test, whatever happens."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            do()
            status = 0
        finally:
            os._exit(status)
    return pid


def end(pid: int) -> bool:
    """Wait; whether the child came to its end (else it was killed). A child that failed fails the test."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, "the child failed, and was not killed"
    return True


def check(folder: Path, said: Acknowledged) -> int:
    """Open the folder again, as after a crash. Returns the log's size."""
    kept = Kept(folder)
    try:
        return hold(kept, said.said()).size
    finally:
        kept.close()


# -- at chosen system calls ---------------------------------------------------------------------------------------

_TRACEME, _SYSCALL, _SETOPTIONS, _EXITKILL = 0, 24, 0x4200, 0x100000
_GOOD = 1  # PTRACE_O_TRACESYSGOOD: a stop at a system call is told from one by a signal
_STOP_AT_CALL = signal.SIGTRAP | 0x80


def _ptrace(request: int, pid: int, data: int = 0) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    return libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(0), ctypes.c_void_p(data)) == 0


def traced(do: Callable[[], None], kill_at: int) -> int:
    """Do it in a child and kill it before its system call number ``kill_at``. Returns how many calls it began."""

    def stopped() -> None:
        if not _ptrace(_TRACEME, 0):
            os._exit(77)
        os.kill(os.getpid(), signal.SIGSTOP)
        do()

    pid = child(stopped)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSTOPPED(status):
        pytest.skip("processes may not be traced here")
    assert _ptrace(_SETOPTIONS, pid, _GOOD | _EXITKILL)
    calls, entering, pending = 0, True, 0
    while True:
        assert _ptrace(_SYSCALL, pid, pending)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, "the child failed, and was not killed"
            return calls
        pending = os.WSTOPSIG(status)
        if pending != _STOP_AT_CALL:
            continue
        pending = 0
        if entering:
            if calls == kill_at:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return calls
            calls += 1
        entering = not entering


def killed_at_calls(tmp_path: Path, points: int, lives: int) -> None:
    """Kill at ``points`` system calls spread over a run; a folder lives through ``lives`` of them."""
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    calls = traced(lambda: work(fresh, Acknowledged(tmp_path / "fresh.said")), -1)
    assert calls > 300 and check(fresh, Acknowledged(tmp_path / "fresh.said")) > 20
    chosen = [calls * i // points for i in range(points)]
    random.Random(7).shuffle(chosen)
    for start in range(0, points, lives):
        folder, said = tmp_path / f"w{start}", Acknowledged(tmp_path / f"said{start}")
        folder.mkdir()
        for kill_at in chosen[start : start + lives]:
            traced(lambda f=folder, s=said: work(f, s), kill_at)  # type: ignore[misc]
            check(folder, said)
        shutil.rmtree(folder)


def test_t6_killed_at_system_calls(tmp_path: Path) -> None:
    killed_at_calls(tmp_path, 130, 8)


@pytest.mark.slow
def test_t6_killed_at_many_system_calls(tmp_path: Path) -> None:
    killed_at_calls(tmp_path, 1200, 12)


# -- at chosen events: statements, steps of the database, files ---------------------------------------------------


class Events:
    """Counts what happens in this process, and ends it at event number ``kill_at``. For a child: it cannot be undone."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at, self.count = kill_at, 0

    def __call__(self, *_: object) -> None:
        self.count += 1  # first: the kill is an event itself
        if self.count - 1 == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, kept: Kept) -> None:
        fsync = os.fsync

        def synced(fd: int) -> None:
            self()
            fsync(fd)
            self()

        os.fsync = synced
        sys.addaudithook(lambda name, _: self() if name == "open" or name.startswith(("os.", "fcntl.")) else None)
        kept.store._db.set_trace_callback(self)
        kept.store._db.set_progress_handler(self, 10)


def with_events(folder: Path, said: Acknowledged, kill_at: int, count: Path | None = None) -> None:
    events = Events(kill_at)
    kept = Kept(folder)
    events.watch(kept)
    for i in range(2):
        said.say(kept.look())
        said.say(kept.look(7 + i))
        kept.log.publish()
    kept.store.settle()
    said.say(kept.look(3))
    if count:
        count.write_text(str(events.count))


def killed_at_events(tmp_path: Path, points: int, lives: int) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert end(child(lambda: with_events(fresh, Acknowledged(tmp_path / "none"), -1, tmp_path / "count")))
    total = int((tmp_path / "count").read_text())
    assert total > 200
    chosen = sorted({total * i // points for i in range(points)})
    points = len(chosen)
    random.Random(8).shuffle(chosen)
    kills = 0
    for start in range(0, points, lives):
        folder, said = tmp_path / f"w{start}", Acknowledged(tmp_path / f"said{start}")
        folder.mkdir()
        for kill_at in chosen[start : start + lives]:
            kills += not end(child(lambda f=folder, s=said, k=kill_at: with_events(f, s, k)))  # type: ignore[misc]
            check(folder, said)
        shutil.rmtree(folder)
    assert kills > points * 0.9


def test_t6_killed_at_statements_and_files(tmp_path: Path) -> None:
    killed_at_events(tmp_path, 120, 8)


@pytest.mark.slow
def test_t6_killed_at_many_statements_and_files(tmp_path: Path) -> None:
    killed_at_events(tmp_path, 500, 12)


# -- at any time, from outside ------------------------------------------------------------------------------------


def killed_at_random(tmp_path: Path, times: int) -> None:
    said, chance = Acknowledged(tmp_path / "said"), random.Random(9)
    folder = tmp_path / "w"
    folder.mkdir()

    def forever() -> None:
        kept = Kept(folder)
        while True:
            said.say(kept.look(chance.randint(1, 6)))
            if chance.random() < 0.3:
                kept.log.publish()

    for _ in range(times):
        pids = [child(forever), child(forever)]
        time.sleep(chance.uniform(0.002, 0.08))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        ended = [end(pid) for pid in pids]
        assert ended == [False, False]
        check(folder, said)
    assert len(said.said()) > times


def test_t6_killed_from_outside_at_random(tmp_path: Path) -> None:
    killed_at_random(tmp_path, 25)


@pytest.mark.slow
def test_t6_killed_from_outside_many_times(tmp_path: Path) -> None:
    killed_at_random(tmp_path, 100)


# -- power loss: what was not synced is gone, or half written -------------------------------------------------------


def history(folder: Path) -> list[tuple[int, list[str]]]:
    """Commits into ``folder``, left as a process that died leaves it. After each: bytes of the write-ahead log, receipts."""
    done: list[tuple[int, list[str]]] = []

    def run() -> None:
        kept = Kept(folder)
        kept.look()
        kept.log.publish()
        kept.store.settle()
        wal = folder / "state.db-wal"
        for i in range(12):
            receipts = kept.look(1 + i % 4)
            with (folder / "history").open("a") as file:
                file.write(f"{wal.stat().st_size}\1{_SEPARATOR.join(receipts)}\2")

    assert end(child(run))
    for line in (folder / "history").read_text().split("\2")[:-1]:
        size, _, texts = line.partition("\1")
        done.append((int(size), texts.split(_SEPARATOR)))
    return done


@pytest.mark.parametrize("torn", ["cut", "zeros", "noise", "flipped"])
def test_t6_power_loss(tmp_path: Path, torn: str) -> None:
    """The write-ahead log ends anywhere: every entry whose commit lies before that is there, and the log holds."""
    folder = tmp_path / "w"
    folder.mkdir()
    done = history(folder)
    wal = (folder / "state.db-wal").read_bytes()
    chance = random.Random(torn)
    first, last = done[0][0], done[-1][0]
    assert last == len(wal) > 40_000
    exact = [size + off for size, _ in done for off in (-1, 0)]
    cuts = sorted({*exact, *(chance.randint(0, last) for _ in range(16))})
    seen = set()
    for cut in cuts:
        copy = tmp_path / f"c{cut}"
        copy.mkdir()
        shutil.copy(folder / "state.db", copy)
        shutil.copytree(folder / "audit", copy / "audit")
        tail = {
            "cut": b"",
            "zeros": bytes(len(wal) - cut),
            "noise": chance.randbytes(min(5000, len(wal) - cut)),
            "flipped": bytes([wal[cut] ^ 1]) + wal[cut + 1 :] if cut < len(wal) else b"",
        }[torn]
        (copy / "state.db-wal").write_bytes(wal[:cut] + tail)
        kept = Kept(copy)
        receipts = [receipt for size, group in done if size <= cut for receipt in group]
        size = hold(kept, receipts).size
        assert size == 2 + len(receipts)
        seen.add(size)
        hold(kept, [*receipts, *kept.look(2)])
        kept.close()
        shutil.rmtree(copy)
    assert first < last and len(seen) == len(done) + 1


# -- a full disk ----------------------------------------------------------------------------------------------------


def refused(kept: Kept, count: int = 1) -> None:
    before = kept.log.state()
    opened = []
    with pytest.raises(OutputError, match="could not be written") as caught:
        opened += kept.look(count)
    assert "free some space" in caught.value.hint and "nothing is opened" in caught.value.hint
    assert opened == [] and kept.log.state() == before


def test_a_look_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    receipts = kept.look(5)
    pages = kept.store._db.execute("PRAGMA page_count").fetchone()[0]
    kept.store._db.execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(3):
        refused(kept, 300)
    kept.store._db.execute(f"PRAGMA max_page_count = {1 << 30}")
    receipts += kept.look(300)
    assert hold(kept, receipts).kinds["look"] == 305


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The commit itself fails: the write-ahead log may not grow beyond a limit."""

    def run() -> None:
        kept = Kept(tmp_path)
        receipts = kept.look(5)
        kept.store.settle()
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        for _ in range(3):
            refused(kept, 20)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        receipts += kept.look(20)
        assert hold(kept, receipts).kinds["look"] == 25

    assert end(child(run))


def test_t6_a_full_disk(tmp_path: Path) -> None:
    """A disk of 512 kB: looks until it is full, then none, then again."""
    mounted = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(tmp_path)]
    if not shutil.which("mount") or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        kept = Kept(tmp_path)
        receipts = kept.look(5)
        filler = tmp_path / "filler"
        with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with pytest.raises(OutputError, match="could not be written"):
            for _ in range(50):
                receipts += kept.look(50)
        refused(kept, 50)
        with pytest.raises(OutputError, match="cannot be written"):
            kept.log.publish()
        filler.unlink()
        receipts += kept.look(50)
        hold(kept, receipts)
        kept.close()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
