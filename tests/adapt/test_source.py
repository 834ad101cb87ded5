from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.adapt.source import expand, format_of_name, open_source, unique_names
from parcelveil.errors import InputError, UsageError


def test_expand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.csv", "a.jsonl.gz", "sub/c.parquet", ".hidden/d.csv", "sub/.e.csv", "read.me", "sub/x.XLSX"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    assert [str(Path(path)) for path in expand(["."])] == ["a.jsonl.gz", "b.csv", "sub/c.parquet", "sub/x.XLSX"]
    assert expand(["-", "read.me", "b.csv", "b.csv"]) == ["-", "read.me", "b.csv"]
    assert expand(["*.csv", "s*"]) == ["b.csv", "sub/c.parquet", "sub/x.XLSX"]
    assert expand(["**/*.parquet"]) == ["sub/c.parquet"]
    with pytest.raises(InputError, match="nothing is found") as caught:
        expand(["missing.csv"])
    assert str(tmp_path) in caught.value.hint
    with pytest.raises(InputError, match="nothing is found"):
        expand(["*.tsv"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        expand(["empty"])


def test_a_name_with_glob_characters_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "orders[1].csv"
    path.touch()
    assert expand([str(path)]) == [str(path)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "csv"),
        ("A.TSV", "tsv"),
        ("a.ndjson.zst", "jsonl"),
        ("a.feather", "arrow"),
        ("csv", None),
        ("a.gz", None),
    ],
)
def test_format_of_name(name: str, kind: str | None) -> None:
    assert format_of_name(name) == kind


@given(st.lists(st.sampled_from(["a", "b", "a (2)", "a (3)", ""]), max_size=9))
def test_unique_names(names: list[str]) -> None:
    unique = unique_names(names)
    assert len(set(unique)) == len(names)
    assert all(new.startswith(old) for old, new in zip(names, unique, strict=True))


def test_content_says_the_format(tmp_path: Path, read) -> None:
    for name, data, kind in (
        ("a", b"x,y\n1,2\n", "csv"),
        ("b", b' {"x": "1"}\n', "jsonl"),
        ("c.tsv", b"x\ty\n1\t2\n", "tsv"),
        ("d.txt", b"x;y\n1;2\n", "csv"),
    ):
        (tmp_path / name).write_bytes(data)
        assert read(tmp_path / name).format == kind
    pa_file = tmp_path / "e.csv"
    with pa.ipc.new_file(str(pa_file), pa.schema([("x", pa.int32())])) as writer:
        writer.write_batch(pa.record_batch({"x": pa.array([1], pa.int32())}))
    assert read(pa_file).format == "arrow"


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("a.csv", b"", "empty"),
        ("a.xlsx", b"no,name\n", "in spite of its name"),
        ("a.parquet", b"no,name\n", "in spite of its name"),
        ("a.arrow", b"\0\0\0\0", "in spite of its name"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "old .xls"),
        ("a.xls", b"<html><table><tr><td>no</td></tr></table>", "web page"),
        ("a.xlsx", b"PK\x03\x04 no archive", "damaged"),
        ("a.parquet", b"PAR1 nothing PAR1", "damaged"),
        ("a.arrow", b"ARROW1\0\0 nothing", "damaged"),
        ("a.arrows", b"\xff\xff\xff\xff\xff\xff\xff\x7f", "damaged"),
    ],
)
def test_unusable_files(tmp_path: Path, name: str, data: bytes, match: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=match) as caught:
        open_source(str(path))
    assert caught.value.hint
    assert str(path) in str(caught.value)


def test_unopenable(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path, tmp_path / ("x" * 300), "a\0b"):
        with pytest.raises(InputError):
            open_source(str(path))
    path = tmp_path / "a.csv"
    path.write_text("a\n")
    with pytest.raises(UsageError):
        open_source(str(path), format="pdf")
    with pytest.raises(UsageError):
        open_source(str(path), batch_rows=0)


def test_nothing_stays_open_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\n\xff\xfe\xfa\n")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(InputError):
            open_source(str(path), encoding="utf-8").batches().__next__()
        with pytest.raises(InputError):
            open_source(str(path))
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


READ = """
import sys
from parcelveil.adapt.source import open_source
with open_source("-") as source:
    rows = [tuple(row.values()) for raw in source.batches() for row in raw.batch.to_pylist()]
    sys.stdout.write(repr((source.format, source.encoding, source.size, rows)))
"""


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a,b\n张,2\n".encode("gb18030"), ("csv", "gb18030", None, [("张", "2")])),
        (b'{"a": 1}\n{"a": 2}\n', ("jsonl", "utf-8", None, [("1",), ("2",)])),
    ],
)
def test_standard_input(data: bytes, expected: tuple) -> None:
    done = subprocess.run([sys.executable, "-c", READ], input=data, capture_output=True, check=True, env=environment())
    assert done.stdout.decode() == repr(expected)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "xlsx", "arrows"])
def test_binary_formats_through_a_pipe(tmp_path: Path, write, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    write(path, pa.record_batch({"a": ["x", "y"]}))
    done = subprocess.run(
        [sys.executable, "-c", READ], input=path.read_bytes(), capture_output=True, check=True, env=environment()
    )
    kind = "arrow" if ending == "arrows" else ending
    assert done.stdout.decode() == repr((kind, None, None, [("x",), ("y",)]))


def environment() -> dict[str, str]:
    source = Path(__file__).parents[2] / "src"
    return {**os.environ, "PYTHONPATH": str(source), "PYTHONUTF8": "1"}
