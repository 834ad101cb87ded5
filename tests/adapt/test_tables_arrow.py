"""Parquet and Arrow files as tables of text."""

from __future__ import annotations

import datetime
import decimal
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parcelveil.adapt.tables import open_tables
from parcelveil.adapt.tables_arrow import DAMAGED, GROUPS, LINK, ArrowTables
from parcelveil.errors import InputError

PHONES = pa.table({"id": pa.array(range(5000)), "phone": [f"138{n:08}" for n in range(5000)]})


def write(path: Path, table: pa.Table, *, rows: int = 500) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=rows)
        return
    with pa.OSFile(str(path), "wb") as sink:
        new = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
        with new(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)


def rows_of(tables: ArrowTables, table: str, **options: int) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = []
    for first, batch in tables.batches(table, **options):
        assert first == (-1 if "sample" in options else len(found) + 1)
        assert set(batch.schema.types) == {pa.string()}
        found += batch.to_pylist()
    return found


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows"])
def test_full_scans_and_samples(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, PHONES)
    tables = ArrowTables.open(tmp_path / name)
    assert tables.tables() == [name]
    assert tables.columns(name) == ["id", "phone"]
    assert tables.count(name) == (None if name == "a.arrows" else 5000)
    rows = rows_of(tables, name, batch_rows=300)
    assert len(rows) == 5000
    assert rows[7] == {"id": "7", "phone": "13800000007"}
    drawn = [rows_of(tables, name, sample=200, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    ids = {int(row["id"] or 0) for row in drawn[0]}
    assert len(ids) == len(drawn[0]) == 200
    assert min(ids) < 400
    assert max(ids) > 4600
    assert all(row["phone"] == f"138{int(row['id'] or 0):08}" for row in drawn[0])
    assert len(rows_of(tables, name, sample=9999)) == 5000
    tables.close()


def test_samples_draw_some_groups_of_many(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", PHONES, rows=10)
    tables = ArrowTables.open(tmp_path / "a.parquet")
    counts = np.zeros(5)
    for seed in range(20):
        ids = [int(row["id"] or 0) for row in rows_of(tables, "a.parquet", sample=100, seed=seed)]
        assert len(ids) == 100
        assert len({number // 10 for number in ids}) <= GROUPS
        counts += np.bincount(np.array(ids) // 1000, minlength=5)
    assert counts.min() > 200
    assert len(rows_of(tables, "a.parquet", sample=2000)) == 2000


def test_every_type_is_text(tmp_path: Path) -> None:
    utc = datetime.UTC
    table = pa.table(
        {
            "float": pa.array([13800138000.0, 0.5, None]),
            "whole": pa.array([1, 2, None], pa.int64()),
            "flag": [True, False, None],
            "decimal": pa.array([decimal.Decimal("13800138000.00"), decimal.Decimal("0.50"), None]),
            "text": pa.array(["a", "", None], pa.large_string()),
            "words": pa.array(["x", "x", None]).dictionary_encode(),
            "bytes": pa.array(["邮箱".encode(), b"\xff", None]),
            "day": pa.array([datetime.date(2024, 5, 1), None, None]),
            "time": pa.array([datetime.datetime(2024, 5, 1, 12, tzinfo=utc), None, None], pa.timestamp("us", "UTC")),
            "took": pa.array([datetime.timedelta(seconds=1), None, None]),
            "list": pa.array([["13800138000", None], [], None]),
            "map": pa.array([[("k", b"v")], [], None], pa.map_(pa.string(), pa.binary())),
            "to": pa.array([{"phone": "1", "at": {"town": "上海"}}, {"phone": None, "at": None}, None]),
            "none": pa.nulls(3),
        }
    )
    write(tmp_path / "a.arrow", table)
    write(tmp_path / "a.parquet", table)
    for name in ("a.arrow", "a.parquet"):
        tables = ArrowTables.open(tmp_path / name)
        first, second, third = rows_of(tables, name)
        assert first == {
            "float": "13800138000", "whole": "1", "flag": "true", "decimal": "13800138000", "text": "a", "words": "x",
            "bytes": "邮箱", "day": "2024-05-01", "time": first["time"], "took": first["took"], "list": '["13800138000", null]',
            "map": '[["k", "v"]]', "to.phone": "1", "to.at.town": "上海", "none": None,
        }  # fmt: skip
        assert str(first["time"]).startswith("2024-05-01 12:00:00")
        assert (second["float"], second["decimal"], second["text"], second["bytes"]) == ("0.5", "0.50", "", None)
        assert set(third.values()) == {None}
        assert tables.left_out(name) == {"bytes that are no text": 1}


def test_doubled_names_get_numbers_and_empty_files_are_empty(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["1"]), pa.array(["2"])], names=["a", "a"])
    write(tmp_path / "a.arrow", table)
    write(tmp_path / "b.parquet", PHONES.slice(0, 0))
    tables = ArrowTables.open(tmp_path)
    assert rows_of(tables, "a.arrow") == [{"a": "1", "a (2)": "2"}]
    assert rows_of(tables, "b.parquet") == []
    assert rows_of(tables, "b.parquet", sample=3) == []


def test_folders_say_what_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep" / "a.parquet", PHONES)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really")
    (tmp_path / "c.arrow").write_bytes(b"")
    (tmp_path / "d.parquet").symlink_to(tmp_path / "deep" / "a.parquet")
    tables = open_tables(f"parquet:{tmp_path}")
    assert tables.tables() == ["deep/a.parquet"]
    assert tables.skipped() == {"b.parquet": DAMAGED, "c.arrow": DAMAGED, "d.parquet": LINK}
    with pytest.raises(InputError, match="no Parquet or Arrow file"):
        open_tables(str(tmp_path / "b.parquet"))
    with pytest.raises(InputError, match="no file or folder"):
        open_tables(str(tmp_path / "none.parquet"))


def test_text_that_is_no_utf_8_is_read_all_the_same(tmp_path: Path) -> None:
    raw = pa.array(["收件人张三".encode("gb18030"), b"ok", None, b"\xff\xff13800138000"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 4, raw.buffers())
    write(tmp_path / "a.parquet", pa.table({"a": broken}))
    assert [row["a"] for row in rows_of(ArrowTables.open(tmp_path / "a.parquet"), "a.parquet")] == [
        "收件人张三", "ok", None, "\ufffd\ufffd13800138000",
    ]  # fmt: skip


def test_a_small_file_that_repeats_a_long_text_stays_small(tmp_path: Path) -> None:
    long = "x" * (1 << 20)
    table = pa.table(
        {"a": pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, dtype=np.int32)), pa.array([long]))}
    )
    for name in ("a.parquet", "a.arrow"):
        write(tmp_path / name, table, rows=20_000)
        assert (tmp_path / name).stat().st_size < 4 << 20
        before = pa.total_allocated_bytes()
        highest = total = 0
        for _, batch in ArrowTables.open(tmp_path / name).batches(name):
            total += batch.num_rows
            highest = max(highest, pa.total_allocated_bytes() - before)
            if total > 500:
                break
        assert highest < 256 << 20
        del batch


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows"])
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6), st.floats(0.2, 1))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_say_so(tmp_path: Path, name: str, bytes_: list[tuple[float, int]], kept: float) -> None:
    write(tmp_path / name, PHONES.slice(0, 200), rows=50)
    data = bytearray((tmp_path / name).read_bytes())
    for place, value in bytes_:
        data[min(int(place * len(data)), len(data) - 1)] = value
    (tmp_path / name).write_bytes(data[: int(len(data) * kept)])
    try:
        rows_of(ArrowTables.open(tmp_path / name), name)
    except InputError as error:
        assert "138000" not in str(error)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", pa.concat_tables([PHONES] * 60), rows=20_000)
    tracemalloc.start()
    assert sum(batch.num_rows for _, batch in ArrowTables.open(tmp_path / "a.parquet").batches("a.parquet")) == 300_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
