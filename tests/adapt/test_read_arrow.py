from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parcelveil.adapt.source import MAX_CELL, open_source
from parcelveil.errors import InputError, ParcelveilError
from parcelveil.waybill import SEALED, WAYBILL


def batch() -> pa.RecordBatch:
    return pa.record_batch(
        {
            "no": ["YT1", "YT2", None] * 50,
            "pieces": pa.array([1, None, 3] * 50, pa.int32()),
            "city": pa.array(["X", "Y", "X"] * 50).dictionary_encode(),
            "view": pa.array(["a", "long enough to lie outside the view", None] * 50, pa.string_view()),
        }
    )


def save(path: Path, table: pa.Table) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=40)
    elif path.suffix == ".arrows":
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=40)
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=40)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "arrows"])
def test_types_and_numbers(tmp_path: Path, read, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    table = pa.Table.from_batches([batch()])
    save(path, table)
    found = read(path, batch_rows=7)
    assert found.table.to_pydict() == table.to_pydict()
    assert found.table.schema.types == [pa.string(), pa.int32(), pa.string(), pa.string()]
    assert found.rows == list(range(1, 151))
    assert (found.rejects, found.sealed) == ([], False)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "arrows"])
@pytest.mark.parametrize("schema", [SEALED, WAYBILL], ids=["sealed", "clear"])
def test_metadata_says_sealed(tmp_path: Path, read, ending: str, schema: pa.Schema) -> None:
    path = tmp_path / f"a.{ending}"
    save(path, schema.empty_table())
    found = read(path)
    assert found.table.schema.equals(schema, check_metadata=True)
    assert found.sealed is (schema is SEALED)


def test_doubled_names(tmp_path: Path, read) -> None:
    path = tmp_path / "a.arrow"
    save(path, pa.table([pa.array(["1"]), pa.array(["2"])], names=["a", "a"]))
    assert read(path).table.to_pylist() == [{"a": "1", "a (2)": "2"}]


@pytest.mark.parametrize("ending", ["parquet", "arrow", "arrows"])
def test_long_cells_and_many_columns(tmp_path: Path, read, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    save(path, pa.table({"a": ["x", "y" * (MAX_CELL + 1), "z"], "b": [b"1", b"2", b"3" * (MAX_CELL + 1)]}))
    found = read(path)
    assert found.table.column("a").to_pylist() == ["x"]
    assert found.codes() == [(2, "cell.length"), (3, "cell.length")]
    save(path, pa.table({f"c{index}": pa.array([], pa.string()) for index in range(4097)}))
    with pytest.raises(InputError, match="4097 columns"):
        open_source(str(path))


@pytest.mark.parametrize("ending", ["parquet", "arrow", "arrows"])
@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9, 0.999])
def test_truncated(tmp_path: Path, read, ending: str, keep: float) -> None:
    path = tmp_path / f"a.{ending}"
    save(path, pa.Table.from_batches([batch()]))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InputError, match="damaged"):
        read(path)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "arrows"])
def test_corrupt_files_never_give_a_traceback(tmp_path: Path, read, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    save(path, pa.Table.from_batches([batch()]))
    good = path.read_bytes()
    chance = random.Random(7)
    for _ in range(150):
        data = bytearray(good)
        for _ in range(chance.choice([1, 1, 4])):
            data[chance.randrange(8, len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            read(path)
        except ParcelveilError as error:
            assert error.hint


def test_offsets_outside_the_buffers_are_found(tmp_path: Path, read) -> None:
    path = tmp_path / "a.arrows"
    offsets = pa.py_buffer(np.array([0, 2, 1 << 20], np.int32))
    schema = pa.schema([("a", pa.string())])
    good = pa.record_batch({"a": ["ab", "cd"]}, schema=schema)
    save(path, pa.Table.from_batches([good]))
    data = path.read_bytes()
    place = data.index(np.array([0, 2, 4], np.int32).tobytes())
    path.write_bytes(data[:place] + offsets.to_pybytes() + data[place + 12 :])
    with pytest.raises(InputError, match="damaged"):
        read(path)
