"""What is written is what is read, in every format."""

from __future__ import annotations

import csv
import datetime
import io
import json
import random
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.adapt import read_csv, read_jsonl, write_arrow, write_xlsx
from parcelveil.adapt.sink import open_sink
from parcelveil.adapt.source import open_source
from parcelveil.adapt.write_text import csv_bytes
from parcelveil.errors import OutputError
from parcelveil.waybill import SEALED, WAYBILL

TEXT = ["csv", "tsv", "csv.gz", "csv.zst", "jsonl", "ndjson.gz", "jsonl.zst", "xlsx"]
TYPED = ["parquet", "arrow", "feather", "arrows"]


def invented(schema: pa.Schema, rows: int) -> pa.RecordBatch:
    """Rows with nulls, all lengths of sealed values, and awkward text."""
    chance = random.Random(rows)
    texts = [
        "张三丰",
        "+8613800138000",
        "=1+1",
        "'quoted",
        'say "hi", ok',
        "two\nlines",
        "-",
        "𠮷",
        " blank ",
        "a;b\tc|d",
    ]
    columns = []
    for field in schema:
        cells: list[object] = []
        for row in range(rows):
            kind = field.type
            if field.name == "waybill_no":
                cells.append(f"YT{row}")
            elif chance.random() < 0.2:
                cells.append(None)
            elif pa.types.is_fixed_size_binary(kind):
                cells.append(chance.randbytes(16))
            elif pa.types.is_binary(kind):
                cells.append(chance.randbytes(7 + chance.choice([16, 32, 48, 65])))
            elif pa.types.is_string(kind):
                cells.append(chance.choice(texts))
            elif pa.types.is_timestamp(kind):
                zone = datetime.UTC
                cells.append(datetime.datetime(2026, 1, 2, 3, 4, 5, chance.choice([0, 6]), tzinfo=zone))
            elif pa.types.is_date(kind):
                cells.append(datetime.date(2026, 1, 2))
            else:
                cells.append(chance.choice([0, 7, 65535]))
        columns.append(pa.array(cells, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@pytest.mark.parametrize("ending", TEXT + TYPED)
def test_sealed(tmp_path: Path, read, write, ending: str) -> None:
    batch = invented(SEALED, 60)
    write(tmp_path / f"a.{ending}", batch.slice(0, 25), batch.slice(25))
    found = read(tmp_path / f"a.{ending}", batch_rows=17)
    assert found.sealed
    assert found.rejects == []
    assert found.table.schema.types == SEALED.types
    assert found.table.to_pylist() == batch.to_pylist()
    assert found.table.schema.metadata == SEALED.metadata


@pytest.mark.parametrize("ending", TYPED)
def test_clear_typed(tmp_path: Path, read, write, ending: str) -> None:
    batch = invented(WAYBILL, 60)
    write(tmp_path / f"a.{ending}", batch)
    found = read(tmp_path / f"a.{ending}")
    assert found.table.schema.equals(WAYBILL, check_metadata=True)
    assert found.table.to_pylist() == batch.to_pylist()
    assert not found.sealed


@pytest.mark.parametrize("ending", TEXT)
def test_clear_text(tmp_path: Path, read, write, ending: str) -> None:
    batch = invented(WAYBILL, 60)
    write(tmp_path / f"a.{ending}", batch)
    found = read(tmp_path / f"a.{ending}")

    def text(cell: object) -> str | None:
        if isinstance(cell, datetime.datetime):
            return cell.isoformat().replace("+00:00", "Z")
        return None if cell is None else str(cell)

    assert found.table.to_pylist() == [{name: text(cell) for name, cell in row.items()} for row in batch.to_pylist()]
    assert not found.sealed


@pytest.mark.parametrize("first", TEXT + TYPED)
@pytest.mark.parametrize("second", ["csv", "jsonl", "xlsx", "parquet", "arrow"])
def test_from_format_to_format(tmp_path: Path, read, write, first: str, second: str) -> None:
    batch = invented(SEALED, 8)
    write(tmp_path / f"a.{first}", batch)
    with (
        open_source(str(tmp_path / f"a.{first}")) as source,
        open_sink(str(tmp_path / f"b.{second}"), source.schema) as sink,
    ):
        for raw in source.batches():
            sink.write(raw.batch)
        sink.commit()
    assert read(tmp_path / f"b.{second}").table.to_pylist() == batch.to_pylist()


CELL = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=15)


@settings(deadline=None, max_examples=120)
@given(
    st.lists(st.tuples(CELL, CELL), min_size=1, max_size=10),
    st.sampled_from(["csv", "tsv", "jsonl"]),
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), min_size=2, max_size=2, unique=True
    ),
)
def test_any_text(tmp_path_factory, rows: list[tuple[str | None, ...]], ending: str, names: list[str]) -> None:
    names = [f"n{name}" for name in names]
    rows = [("first", "x"), *rows]
    batch = pa.record_batch([pa.array(column, pa.string()) for column in zip(*rows, strict=True)], names=names)
    path = tmp_path_factory.mktemp("any") / f"a.{ending}"
    with open_sink(str(path), batch.schema) as sink:
        sink.write(batch)
        sink.commit()
    with open_source(str(path), encoding="utf-8") as source:
        raws = list(source.batches())
        assert not [reject for raw in raws for reject in raw.rejects]
        flat = [dict(row) for raw in raws for row in raw.batch.to_pylist()]
        if ending == "jsonl":
            assert source.schema.names == names
            assert [tuple(row.values()) for row in flat] == rows
        else:
            assert source.schema.names == names
            assert [tuple(row.values()) for row in flat] == [row for row in rows if any(row)]


@settings(deadline=None)
@given(st.lists(CELL, min_size=1, max_size=20))
def test_no_cell_begins_a_formula(cells: list[str | None]) -> None:
    data = csv_bytes(pa.record_batch({"a": pa.array(cells, pa.string()), "b": ["x"] * len(cells)}), ",")
    for row in csv.reader(io.StringIO(data.to_pybytes().decode(), newline="")):
        assert not row[0] or row[0][0] not in "=+-@\t\r\n＝＋－＠"


def test_json_is_json(tmp_path: Path, write) -> None:
    batch = pa.record_batch(
        {
            'k"\n': pa.array(['"', "\\", "\x00\x1f", "é", None]),
            "f": pa.array([1.5, float("nan"), float("inf"), -0.0, 1e300]),
            "b": pa.array([True, False, None, True, False]),
            "d": pa.array([None, 1, 2, 3, 4], pa.decimal128(9, 2)),
            "t": pa.array([0, 1, None, 10**6, -1], pa.timestamp("us")),
        }
    ).slice(0, 5)
    path = tmp_path / "a.jsonl"
    write(path, batch)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row['k"\n'] for row in rows] == ['"', "\\", "\x00\x1f", "é", None]
    assert [row["f"] for row in rows] == [1.5, None, None, 0.0, 1e300]
    assert [row["b"] for row in rows] == [True, False, None, True, False]
    assert [row["d"] for row in rows] == [None, 1.0, 2.0, 3.0, 4.0]
    assert rows[0]["t"] == "1970-01-01T00:00:00"
    assert rows[1]["t"] == "1970-01-01T00:00:00.000001"


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_nested_columns_are_refused(tmp_path: Path, ending: str) -> None:
    with pytest.raises(OutputError, match="list"):
        open_sink(str(tmp_path / f"a.{ending}"), pa.schema([("a", pa.list_(pa.struct([("b", pa.int8())])))]))
    assert list(tmp_path.iterdir()) == []


def test_workbook_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write) -> None:
    monkeypatch.setattr(write_xlsx, "MAX_ROWS", 10)
    rows = pa.record_batch({"a": ["x"] * 6})
    with pytest.raises(OutputError, match="more than 10 rows") as caught:
        write(tmp_path / "a.xlsx", rows, rows)
    assert ".csv" in caught.value.hint
    with pytest.raises(OutputError, match="characters"):
        write(tmp_path / "a.xlsx", pa.record_batch({"a": ["x" * 40_000]}))
    with pytest.raises(OutputError, match="columns"):
        open_sink(str(tmp_path / "a.xlsx"), pa.schema([(f"c{index}", pa.string()) for index in range(16_385)]))
    assert list(tmp_path.iterdir()) == []


def test_big_numbers_keep_their_digits_in_workbooks(tmp_path: Path, read, write) -> None:
    write(tmp_path / "a.xlsx", pa.record_batch({"a": [10**17 + 1, 10**14, -5], "b": [True, None, False]}))
    assert read(tmp_path / "a.xlsx").table.to_pydict() == {
        "a": [str(10**17 + 1), str(10**14), "-5"],
        "b": ["true", None, "false"],
    }


def test_parquet_layout(tmp_path: Path, write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_arrow, "GROUP_ROWS", 100)
    batch = invented(SEALED, 60)
    write(tmp_path / "a.parquet", *[batch] * 4)
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(index).num_rows for index in range(2)] == [120, 120]
    group = file.metadata.row_group(0)
    for index in range(group.num_columns):
        column = group.column(index)
        kind = SEALED.field(index).type
        if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
            assert column.compression == "UNCOMPRESSED"
            assert not column.has_dictionary_page
            assert not column.is_stats_set
        else:
            assert column.compression == "SNAPPY"
    file.close()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "arrow"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Python counts each small object of JSON lines, which is slow; the others have to exceed what is read ahead.
    columns, rows, times = (4, 500, 12) if ending == "jsonl" else (12, 4096, 40)
    monkeypatch.setattr(read_jsonl, "BATCH_ROWS", 500)
    monkeypatch.setattr(read_jsonl, "BLOCK", 1 << 15)
    monkeypatch.setattr(read_csv, "CHUNK", 1 << 16)
    batch = pa.record_batch({f"c{index}": [f"{index} value {row}" for row in range(rows)] for index in range(columns)})

    def peak(batches: int) -> tuple[int, int]:
        path = str(tmp_path / f"{batches}.{ending}")
        pa.default_memory_pool().release_unused()
        tracemalloc.start()
        most = 0
        with open_sink(path, batch.schema) as sink:
            for _ in range(batches):
                sink.write(batch)
                most = max(most, pa.total_allocated_bytes())
            sink.commit()
        with open_source(path, batch_rows=rows) as source:
            for _ in source.batches():
                most = max(most, pa.total_allocated_bytes())
        traced = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most, traced

    few, many = peak(times), peak(times * 4)
    assert many[0] < few[0] * 1.5 + (2 << 20)
    assert many[1] < few[1] * 1.5 + (2 << 20)
