"""Analysis databases: what both promise, and how DuckDB is shut in."""

from __future__ import annotations

import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from parcelveil.adapt.sql_duckdb import DuckdbSql
from parcelveil.adapt.sql_sqlite import SqliteSql
from parcelveil.errors import InputError, OutputError
from parcelveil.ports import Sql

FACTORIES: dict[str, Callable[[], Sql]] = {
    "duckdb": lambda: DuckdbSql(memory="200MB", threads=1),
    "duckdb in memory": lambda: DuckdbSql(memory="200MB", threads=1, keep=True),
    "sqlite": SqliteSql,
}
SMALL = pa.table({"waybill": pa.array([1, 2, 2], pa.int64()), "actor": pa.array([5, None, 7], pa.int32())})


def rows(sql: Sql, text: str, **params: int) -> list[tuple[int | None, ...]]:
    found = sql.query(text, **params).to_pydict()
    return list(zip(*found.values(), strict=True))


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_tables_come_in_and_answers_go_out(factory: Callable[[], Sql]) -> None:
    every = "SELECT waybill, actor FROM look ORDER BY waybill, actor DESC"
    with closing(factory()) as sql:
        sql.load("look", SMALL)
        assert rows(sql, "SELECT actor FROM look WHERE waybill = $who AND actor > 0", who=2, other=9) == [(7,)]
        sql.append("look", SMALL.slice(0, 1))
        sql.append("more", SMALL.slice(2))
        assert len(rows(sql, every)) == 4
        sql.load("look", SMALL.to_reader(max_chunksize=1))
        assert len(rows(sql, every)) == 3
        sql.union("every_look", ["look", "more"])
        sql.run(
            "-- a comment; of one\nDROP TABLE IF EXISTS x; CREATE TABLE x AS SELECT COUNT(*) AS n FROM every_look;",
            who=2,
        )
        assert rows(sql, "SELECT n FROM x") == [(4,)]
        assert rows(sql, "SELECT BIT_OR(waybill) AS b FROM look") == [(3,)]
        sql.drop("x")
        sql.drop("x")
        assert sql.query("SELECT waybill FROM look WHERE waybill > 9").num_rows == 0


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_a_name_that_is_no_name_of_a_table_is_refused(factory: Callable[[], Sql]) -> None:
    with closing(factory()) as sql:
        for name in ("look; DROP TABLE look", "Look", "", "lo ok", '"look"'):
            with pytest.raises(ValueError, match="no name of a table"):
                sql.load(name, SMALL)


def test_the_files_are_private_and_go_away(tmp_path: Path) -> None:
    with closing(DuckdbSql(folder=tmp_path)) as sql:
        sql.load("look", SMALL)
        (folder,) = tmp_path.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


def test_duckdb_reads_no_file_loads_no_extension_and_stays_so(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with closing(DuckdbSql(folder=tmp_path)) as sql:
        for text in (
            f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
            f"ATTACH '{tmp_path}/other.db'",
            f"COPY (SELECT 1 AS a) TO '{tmp_path}/out.csv'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SET lock_configuration = false",
        ):
            with pytest.raises(Exception, match=r"disabled|locked|configuration"):
                sql.run(text)
    assert not (tmp_path / "out.csv").exists()


def test_what_memory_does_not_hold_goes_to_the_folder() -> None:
    many = pa.table({"waybill": pa.array(range(3_000_000), pa.int64())})
    with closing(DuckdbSql(memory="60MB", threads=1)) as sql:
        sql.load("look", many)
        sql.run("CREATE TEMPORARY TABLE x AS SELECT waybill * 7919 % 3000017 AS w, waybill AS v FROM look ORDER BY w")
        assert rows(sql, "SELECT COUNT(*) AS n, MIN(w) AS low FROM x") == [(3_000_000, 0)]


def test_faults_are_ours_and_name_no_value() -> None:
    with closing(DuckdbSql(memory="10MB", threads=1)) as sql:
        with pytest.raises(OutputError, match="not enough memory"):
            sql.run("CREATE TABLE x AS SELECT LIST(range) AS l FROM range(30000000)")
        sql.load("look", pa.table({"waybill": pa.array([2**63 - 1], pa.int64())}))
        with pytest.raises(InputError) as caught:
            sql.query("SELECT waybill + 1 AS w FROM look")
        assert str(2**63 - 1) not in str(caught.value)
    with pytest.raises(InputError, match="does not start"):
        DuckdbSql(memory="plenty")
