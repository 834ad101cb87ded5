"""Several processes verify a log: the same verdict, the same errors, whatever happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.made_log import MadeLog, made_entry
from parcelveil.audit import tiles, verify, workers
from parcelveil.audit.verify import Verdict, verify_log
from parcelveil.errors import LogError


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> MadeLog:
    """20,000 entries, with heads in every bundle."""
    return MadeLog(tmp_path_factory.mktemp("workers") / "log").grow(20_000, 97).publish(19_700)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[workers._Worker]]:
    """The workers that were started; at the end of the test all of them must have ended."""
    found: list[workers._Worker] = []
    init = workers._Worker.__init__

    def noted(self: workers._Worker, job: list[bytes]) -> None:
        init(self, job)
        found.append(self)

    monkeypatch.setattr(workers._Worker, "__init__", noted)
    yield found
    assert all(worker._process.returncode is not None for worker in found)


def check(log: MadeLog, count: int | None, **more: object) -> Verdict:
    return verify_log(tiles.directory(log.folder), log.key, workers=count, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("deep", [False, True])
def test_the_verdict_is_the_same(log: MadeLog, started: list[workers._Worker], deep: bool) -> None:
    more = {"heads": log.heads, "tail": log.entries[19_500:], "tail_from": 19_500, "offset_minutes": 480, "deep": deep}
    steps: list[int] = []
    alone = check(log, 1, **more)
    assert not started
    assert check(log, 3, progress=steps.append, **more) == alone
    assert len(started) == 2 and alone.heads == 206 and alone.size == 20_000
    assert steps == [*range(256, 20_000, 256), 20_000]


def test_workers_do_the_work(log: MadeLog, started: list[workers._Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing read by this process but the last bundle: the answers of the workers are used."""
    monkeypatch.setattr(verify, "_MOST_AHEAD", 0)
    here = []
    one = verify._Reading._bundle

    def noted(self: verify._Reading, n: int, *rest: object) -> object:
        here.append(n)
        return one(self, n, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(verify._Reading, "_bundle", noted)
    assert check(log, 2, heads=log.heads[:200]).size == 19_700
    assert here == [76]


def test_faults_are_named_as_by_one_process(tmp_path: Path, started: list[workers._Worker]) -> None:
    log = MadeLog(tmp_path / "log").grow(6_000).publish()
    for name in ("tile/entries/003", "tile/entries/022", "tile/0/011", "tile/0/023.p/112", "tile/1/000.p/23"):
        path = log.folder / name
        good = path.read_bytes()
        for bad in (good[:-1], good[:500] + bytes([good[500] ^ 1]) + good[501:], None):
            path.unlink() if bad is None else path.write_bytes(bad)
            words = []
            for count in (1, 2):
                with pytest.raises(LogError) as caught:
                    check(log, count)
                words.append(str(caught.value))
            assert words[0] == words[1] and (name in words[0] or "entry" in words[0])
            path.write_bytes(good)
    assert len(started) == 15
    assert check(log, 2).size == 6_000


class Broken:
    """Reads like a directory here; in another process it cannot even be made."""

    def __init__(self, folder: Path, here: int) -> None:
        if os.getpid() != here:
            raise RuntimeError
        self.fetch, self.made = tiles.directory(folder), (folder, here)

    def __reduce__(self) -> tuple[object, ...]:
        return Broken, self.made

    def __call__(self, path: str) -> bytes | None:
        return self.fetch(path)


def test_without_workers_that_work_this_process_does_it_all(
    log: MadeLog, started: list[workers._Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = check(log, 1, heads=log.heads[:200])
    fetch = tiles.directory(log.folder)
    assert verify_log(lambda path: fetch(path), log.key, heads=log.heads[:200], workers=2) == alone
    assert not started, "what cannot be pickled is not sent"
    assert verify_log(Broken(log.folder, os.getpid()), log.key, heads=log.heads[:200], workers=2) == alone
    assert len(started) == 1
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert check(log, 2, heads=log.heads[:200]) == alone
    monkeypatch.setattr(sys, "executable", "/bin/true")
    assert check(log, 2, heads=log.heads[:200]) == alone


@pytest.mark.parametrize("after", [1, 7, 40])
def test_a_worker_that_is_killed(log: MadeLog, started: list[workers._Worker], after: int) -> None:
    def progress(count: int) -> None:
        if count == 256 * after:
            started[0]._process.kill()

    assert check(log, 3, progress=progress) == check(log, 1)


def test_an_error_of_the_caller_ends_the_workers(log: MadeLog, started: list[workers._Worker]) -> None:
    def progress(count: int) -> None:
        if count > 1_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(log, 3, progress=progress)
    assert [worker._process.returncode for worker in started] == [-signal.SIGKILL] * 2


SCRIPT = """
import sys, time
from pathlib import Path
from parcelveil.audit import tiles, verify, workers
from parcelveil.audit.proof import VerifierKey
init = workers._Worker.__init__
def noted(self, job):
    init(self, job)
    print(self._process.pid, flush=True)
workers._Worker.__init__ = noted
def progress(count):
    if count > 1000 and "wait" in sys.argv:
        time.sleep(60)
fetch = tiles.directory(Path(sys.argv[1]))
print(verify.verify_log(fetch, VerifierKey.parse(sys.argv[2]), workers=3, progress=progress).size)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_command(log: MadeLog, tmp_path: Path, how: signal.Signals) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc to see processes")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, tmp_path / "script.py", log.folder, str(log.key), "wait"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout
        pids = [int(run.stdout.readline()) for _ in range(2)]
        time.sleep(0.5)
        os.killpg(run.pid, how)  # as a terminal does with Ctrl-C
        _, errors = run.communicate(timeout=20)
        assert errors.count("Traceback") == (how == signal.SIGINT)
    deadline = time.monotonic() + 10
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, "a worker is still there"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_script_needs_no_guard(log: MadeLog, tmp_path: Path) -> None:
    """Workers do not import the main program, so it does not run again."""
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, tmp_path / "script.py", log.folder, str(log.key)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stderr == "" and len(ran.stdout.split()) == 3 and ran.stdout.endswith("19700\n")


def test_how_many_by_default(log: MadeLog, started: list[workers._Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_cores", lambda: 3)
    check(log, None)
    assert not started, "a log of 19,700 entries is read before they have started"
    monkeypatch.setattr(verify, "_WORTH_WORKERS", 19_000)
    check(log, None)
    assert len(started) == 2
    seen: list[bytes] = []
    check(log, None, on_entry=lambda index, data: seen.append(data))
    assert len(started) == 2 and seen == log.entries[:19_700]
    monkeypatch.setattr(verify, "_cores", lambda: 1)
    check(log, None)
    assert len(started) == 2
    for count in (0, -1):
        with pytest.raises(ValueError, match="at least one"):
            check(log, count)


def test_pruned_and_short_logs(tmp_path: Path, started: list[workers._Worker]) -> None:
    log = MadeLog(tmp_path / "log").grow(3_000, 50).publish()
    alone = check(log, 1, heads=log.heads)
    tiles.prune(log.folder, 1_000)
    for count in (1, 2, 9):
        pruned = check(log, count, heads=log.heads, minimum=1_000)
        assert (pruned.root, pruned.minimum, pruned.heads) == (alone.root, 768, 45)
    short = MadeLog(tmp_path / "short")
    short.entries = [made_entry(0)]
    short.publish()
    before = len(started)
    assert check(short, 4, tail=[made_entry(1)]).size == 2
    assert len(started) == before
