"""Files of events: names stay encoded in Parquet, outputs beside inputs are none, logs come decompressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parcelveil.adapt.event_files import BLOCK, EventFiles
from parcelveil.errors import InputError


def test_names_stay_encoded_and_other_columns_do_not(tmp_path: Path) -> None:
    table = pa.table({"actor": ["a", "b", "a"], "waybill_no": ["1", "2", "3"], "records": [1, 2, 3]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    with EventFiles().open(str(tmp_path / "a.parquet"), encoded=("actor", "records", "device")) as source:
        assert [str(field.type).partition("<")[0] for field in source.schema] == ["dictionary", "string", "int64"]
        batches = list(source.batches())
        assert source.position() == (tmp_path / "a.parquet").stat().st_size
    assert pa.Table.from_batches([raw.batch for raw in batches])["actor"].to_pylist() == ["a", "b", "a"]
    assert [row for raw in batches for row in raw.rows.tolist()] == [1, 2, 3]


def test_folders(tmp_path: Path) -> None:
    for name in ("a.csv", "a.csv.rejects.csv", "web.log", "sub/web.log.1.gz", ".hidden.log", ".git/x.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x\n1\n")
    files = EventFiles()
    assert files.find([str(tmp_path)]) == [str(tmp_path / "a.csv")]
    named = str(tmp_path / "a.csv.rejects.csv")
    assert files.find([named]) == [named]
    logs = {Path(path).name for path in files.find([str(tmp_path)], logs=True)}
    assert logs == {"a.csv", "web.log", "web.log.1.gz"}
    (tmp_path / "none").mkdir()
    for logs_only in (True, False):
        with pytest.raises(InputError):
            files.find([str(tmp_path / "none")], logs=logs_only)


@pytest.mark.parametrize(("ending", "packed"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_blocks(tmp_path: Path, ending: str, packed: object) -> None:
    data = bytes(range(256)) * 40_000
    assert len(data) > 2 * BLOCK
    plain, small = tmp_path / "a.log", tmp_path / f"a.log.{ending}"
    plain.write_bytes(data)
    small.write_bytes(packed(data))  # type: ignore[operator]
    files = EventFiles()
    assert b"".join(files.blocks(str(plain))) == data
    blocks = list(files.blocks(str(small)))
    assert b"".join(blocks) == data
    assert max(map(len, blocks)) <= BLOCK
    small.write_bytes(small.read_bytes()[:-9])
    with pytest.raises(InputError, match="is damaged or incomplete"):
        list(files.blocks(str(small)))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    files, gone = EventFiles(), str(tmp_path / "gone")
    for ask in (files.open, lambda path: list(files.blocks(path))):
        with pytest.raises(InputError, match="gone cannot be read: No such file"):
            ask(gone)
    assert files.size("-") is None
    assert files.size(str(tmp_path)) is None
