from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from parcelveil.adapt import sink as sink_module
from parcelveil.adapt.sink import open_sink
from parcelveil.errors import OutputError, UsageError
from parcelveil.waybill import SEALED

CLEAR = pa.schema([("waybill_no", pa.string()), ("name", pa.string())])
ENDINGS = [
    "csv",
    "csv.gz",
    "csv.zst",
    "tsv",
    "jsonl",
    "jsonl.gz",
    "ndjson",
    "parquet",
    "arrow",
    "feather",
    "arrows",
    "xlsx",
]


def batch(rows: int = 3) -> pa.RecordBatch:
    return pa.record_batch({"waybill_no": [f"YT{row}" for row in range(rows)], "name": ["Ann"] * rows}, schema=CLEAR)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}


@pytest.fixture(params=["nameless", "named"])
def how(request: pytest.FixtureRequest) -> str:
    """Both ways of writing: with O_TMPFILE, and on a file system that lacks it."""
    if request.param == "named":
        request.getfixturevalue("named")
    return request.param


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without O_TMPFILE."""
    real = os.open

    def no_tmpfile(path, flags, *rest, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(sink_module.os, "open", no_tmpfile)


@pytest.mark.parametrize("ending", ENDINGS)
def test_appears_whole_at_commit(tmp_path: Path, how: str, ending: str, read) -> None:
    path = tmp_path / f"out.{ending}"
    with open_sink(str(path), CLEAR) as sink:
        sink.write(batch(2))
        sink.write(batch(1))
        assert not path.exists()
        sink.commit()
    assert sink.rows == 3
    assert list(tmp_path.iterdir()) == [path]
    assert read(path).table.num_rows == 3
    for late in (sink.commit, lambda: sink.write(batch())):
        with pytest.raises(ValueError, match="closed"):
            late()


@pytest.mark.parametrize("ending", ENDINGS)
def test_without_commit_nothing_stays(tmp_path: Path, how: str, ending: str) -> None:
    with open_sink(str(tmp_path / f"out.{ending}"), CLEAR) as sink:
        sink.write(batch(500))
    with pytest.raises(RuntimeError), open_sink(str(tmp_path / f"out.{ending}"), CLEAR) as sink:
        sink.write(batch(500))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with open_sink(str(tmp_path / f"out.{ending}"), CLEAR):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_a_forgotten_sink_leaves_nothing(tmp_path: Path, how: str) -> None:
    sink = open_sink(str(tmp_path / "out.csv"), CLEAR)
    sink.write(batch())
    del sink
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_modes(tmp_path: Path, how: str) -> None:
    before = os.umask(0o022)
    try:
        for name, schema, mode in (("clear", CLEAR, 0o600), ("sealed", SEALED, 0o644)):
            path = tmp_path / f"{name}.parquet"
            for force in (False, True):
                with open_sink(str(path), schema, force=force) as sink:
                    sink.commit()
                assert stat.S_IMODE(path.stat().st_mode) == mode
                path.chmod(0o666)
    finally:
        os.umask(before)


def test_existing_files(tmp_path: Path, how: str) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(OutputError, match="exists already") as caught:
        open_sink(str(path), CLEAR)
    assert "--force" in caught.value.hint
    with open_sink(str(path), CLEAR, force=True) as sink:
        sink.write(batch())
        assert path.read_text() == "old"
    assert path.read_text() == "old"
    with open_sink(str(path), CLEAR, force=True) as sink:
        sink.commit()
    assert path.read_text() == '"waybill_no","name"\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path, how: str) -> None:
    path = tmp_path / "out.csv"
    with pytest.raises(OutputError, match="exists already"), open_sink(str(path), CLEAR) as sink:
        path.write_text("another's")
        sink.commit()
    assert path.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [path]


def test_without_hard_links(tmp_path: Path, named: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(sink_module.os, "link", no_link)
    with open_sink(str(tmp_path / "out.csv"), CLEAR) as sink:
        sink.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("keep")
    link.symlink_to(target)
    with open_sink(str(link), CLEAR, force=True) as sink:
        sink.commit()
    assert target.read_text() == "keep"
    assert not link.is_symlink()


@pytest.mark.parametrize(
    ("name", "match"), [("missing/out.csv", "folder of"), ("file/out.csv", "folder of"), ("folder.csv", "is a folder")]
)
def test_places_that_cannot_be(tmp_path: Path, name: str, match: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputError, match=match):
        open_sink(str(tmp_path / name), CLEAR, force=True)


@pytest.mark.parametrize("name", ["out.pdf", "out", "out.parquet.gz"])
def test_unknown_formats(tmp_path: Path, name: str) -> None:
    with pytest.raises((UsageError, OutputError)):
        open_sink(str(tmp_path / name), CLEAR)
    with pytest.raises(UsageError):
        open_sink(str(tmp_path / "out.csv"), CLEAR, format="pdf")
    with pytest.raises(OutputError, match="is a folder"):
        open_sink(f"{tmp_path}/out.csv/", CLEAR, format="csv")
    assert list(tmp_path.iterdir()) == []


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(sink_module.os, "open", denied)
    with pytest.raises(OutputError, match="no permission"):
        open_sink(str(tmp_path / "out.csv"), CLEAR)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("after", [0, 1, 2, 3, 20])
def test_full_disk_at_any_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, after: int) -> None:
    real, left = os.write, after

    def full(fd: int, data: bytes) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(sink_module.os, "write", full)
    try:
        with open_sink(str(tmp_path / f"out.{ending}"), CLEAR) as sink:
            for _ in range(3):
                sink.write(batch(50))
            sink.commit()
    except OutputError as error:
        assert "disk is full" in str(error)
        assert list(tmp_path.iterdir()) == []
    else:
        assert left >= 0


def test_full_disk_at_commit(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sink_module.os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"), open_sink(str(tmp_path / "out.csv"), CLEAR) as sink:
        sink.commit()
    assert list(tmp_path.iterdir()) == []


def test_device_that_is_full() -> None:
    with pytest.raises(OutputError, match="disk is full"), open_sink("/dev/full", CLEAR, format="csv") as sink:
        sink.write(batch())
    with open_sink("/dev/null", CLEAR, format="parquet") as sink:
        sink.write(batch())
        sink.commit()
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
def test_file_size_limit(tmp_path: Path, ending: str) -> None:
    script = """
import resource, sys
import pyarrow as pa
from parcelveil.adapt.sink import open_sink
from parcelveil.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
batch = pa.record_batch({"a": [str(n * 7919) for n in range(5000)]})
try:
    with open_sink(sys.argv[1], batch.schema) as sink:
        sink.write(batch)
        sink.commit()
except OutputError as error:
    assert "largest size" in str(error), error
    sys.exit(6)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path / f"out.{ending}")],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (6, "")
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 3000


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
def test_killed_while_writing(tmp_path: Path, ending: str) -> None:
    script = """
import sys
import pyarrow as pa
from parcelveil.adapt.sink import open_sink
batch = pa.record_batch({"a": [str(n) for n in range(50000)]})
with open_sink(sys.argv[1], batch.schema) as sink:
    while True:
        sink.write(batch)
        if sink.rows == 500_000:
            sys.stdout.write("writing\\n")
            sys.stdout.flush()
        if sink.rows > 5_000_000:
            import time
            time.sleep(60)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / f"out.{ending}")], env=environment(), stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"writing\n"
        time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert list(tmp_path.iterdir()) == []


OUT = """
import sys
import pyarrow as pa
from parcelveil.adapt.sink import open_sink
from parcelveil.errors import OutputError
from parcelveil.waybill import SEALED
schema = SEALED if sys.argv[1] == "sealed" else pa.schema([("waybill_no", pa.string())])
batch = pa.RecordBatch.from_pylist([{"waybill_no": f"YT{n}"} for n in range(int(sys.argv[2]))], schema=schema)
try:
    with open_sink("-", schema, format=sys.argv[3] if len(sys.argv) > 3 else None) as sink:
        sink.write(batch)
        sink.commit()
except OutputError as error:
    sys.stderr.write(str(error))
    sys.exit(6)
"""


def output(*words: str) -> bytes:
    done = subprocess.run([sys.executable, "-c", OUT, *words], env=environment(), capture_output=True, check=True)
    return done.stdout


def test_standard_output() -> None:
    assert output("clear", "2") == b'"waybill_no"\n"YT0"\n"YT1"\n'
    with pa.ipc.open_stream(output("sealed", "2")) as reader:
        assert reader.schema.equals(SEALED, check_metadata=True)
        assert reader.read_all().num_rows == 2
    assert output("clear", "1", "parquet").startswith(b"PAR1")
    assert output("clear", "1", "xlsx").startswith(b"PK")


def test_reader_of_standard_output_ends() -> None:
    for words in (("clear", "300000"), ("sealed", "20000"), ("clear", "300000", "parquet")):
        read_end, write_end = os.pipe()
        child = subprocess.Popen(
            [sys.executable, "-c", OUT, *words], env=environment(), stdout=write_end, stderr=subprocess.PIPE
        )
        os.close(write_end)
        os.close(read_end)
        _, told = child.communicate()
        assert (child.returncode, told.decode()) == (6, "the program that reads standard output has ended")


def test_wrong_batches(tmp_path: Path) -> None:
    with open_sink(str(tmp_path / "out.csv"), CLEAR) as sink:
        with pytest.raises(ValueError, match="columns"):
            sink.write(pa.record_batch({"other": ["1"]}))
        sink.write(batch().replace_schema_metadata({"a": "b"}))
