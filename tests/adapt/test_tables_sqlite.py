"""Tables of SQLite files, friendly and hostile ones."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from parcelveil.adapt import tables_sqlite
from parcelveil.adapt.tables import open_tables
from parcelveil.adapt.tables_sqlite import SHADOW, SLOW, UNKNOWN, VIEW, SqliteTables
from parcelveil.errors import InputError

ODD = "sel`ect \" ' ] 表\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "old ?#%41.db"


def make(path: Path, script: str = "", *, wal: bool = False) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    if wal:
        db.execute("PRAGMA journal_mode = WAL")
    db.executescript(script)
    db.commit()
    return db


CLIENTS = """
CREATE TABLE clients (id INTEGER PRIMARY KEY, name TEXT, phone, raw BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
  INSERT INTO clients SELECT i, 'name ' || i, 13800000000 + i, NULL FROM n;
CREATE VIEW phones AS SELECT phone, id FROM clients WHERE id <= 3000;
CREATE TABLE empty (a, b);
"""


def rows_of(tables: SqliteTables, table: str, **options: int) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = []
    for first, batch in tables.batches(table, **options):
        assert first == (-1 if "sample" in options else len(found) + 1)
        assert set(batch.schema.types) == {pa.string()}
        found += batch.to_pylist()
    return found


@pytest.fixture
def clients(path: Path) -> Iterator[SqliteTables]:
    make(path, CLIENTS).close()
    with closing(SqliteTables.open(path)) as tables:
        yield tables


def test_tables_views_and_counts(clients: SqliteTables) -> None:
    assert clients.tables() == ["clients", "empty", "phones"]
    assert clients.columns("clients") == ["id", "name", "phone", "raw"]
    assert [clients.count(table) for table in clients.tables()] == [5000, 0, None]
    assert rows_of(clients, "empty") == []
    rows = rows_of(clients, "clients", batch_rows=999)
    assert len(rows) == 5000
    assert rows[41] == {"id": "42", "name": "name 42", "phone": "13800000042", "raw": None}
    assert len(rows_of(clients, "phones")) == 3000


def test_every_value_is_text(path: Path) -> None:
    db = make(path, "CREATE TABLE t (v)")
    gbk, blob = "收件人张三".encode("gbk"), b"\xff\x00\xfe"
    values = [13800138000, 13800138000.0, 0.5, "x", "电话 1".encode(), blob, None, 1e21]
    db.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
    db.execute("INSERT INTO t VALUES (CAST(? AS TEXT))", (gbk,))  # what old programs wrote
    db.execute("INSERT INTO t VALUES (CAST(? AS TEXT))", (b"tel \xff\xff 13800138000",))
    db.commit()
    db.close()
    with closing(SqliteTables.open(path)) as tables:
        assert [row["v"] for row in rows_of(tables, "t")] == [
            "13800138000", "13800138000", "0.5", "x", "电话 1", None, None, "1e+21", "收件人张三", "tel \ufffd\ufffd 13800138000",
        ]  # fmt: skip
        assert tables.left_out("t") == {"bytes that are no text": 1}


def test_hostile_names_are_quoted(path: Path) -> None:
    db = make(path)
    name = "`" + ODD.replace("`", "``") + "`"
    db.execute(f'CREATE TABLE {name} (`a`` b"; DROP TABLE x` TEXT, `rowid` TEXT, `值` TEXT)')
    db.execute(f"INSERT INTO {name} VALUES ('13800138000', 'r', 'w')")
    db.commit()
    db.close()
    with closing(SqliteTables.open(path)) as tables:
        assert tables.tables() == [ODD]
        assert rows_of(tables, ODD) == [{'a` b"; DROP TABLE x': "13800138000", "rowid": "r", "值": "w"}]
        assert len(rows_of(tables, ODD, sample=1)) == 1


@pytest.mark.parametrize("table", ["clients", "phones"])
def test_the_same_seed_draws_the_same_rows(clients: SqliteTables, table: str) -> None:
    drawn = [rows_of(clients, table, sample=200, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    ids = [int(row["id"] or 0) for row in drawn[0]]
    assert len(set(ids)) == 200
    assert ids == sorted(ids)
    assert ids[0] < 200
    assert ids[-1] > 2800
    assert len(rows_of(clients, table, sample=99_999)) == (5000 if table == "clients" else 3000)


def test_samples_are_fair_where_rowids_have_gaps_or_are_none(path: Path) -> None:
    make(
        path,
        """CREATE TABLE gaps (id INTEGER PRIMARY KEY, v); CREATE TABLE none (k PRIMARY KEY, v) WITHOUT ROWID;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
          INSERT INTO gaps SELECT i * i * 1000, i FROM n;
        INSERT INTO none SELECT v, v FROM gaps;
        CREATE TABLE ends (id INTEGER PRIMARY KEY, v);
        INSERT INTO ends VALUES (-9223372036854775808, 'a'), (9223372036854775807, 'b');""",
    ).close()
    with closing(SqliteTables.open(path)) as tables:
        for table in ("gaps", "none"):
            counts = [0] * 4
            for seed in range(10):
                rows = rows_of(tables, table, sample=100, seed=seed)
                assert len(rows) == 100
                for row in rows:
                    counts[(int(row["v"] or 0) - 1) // 500] += 1
            assert all(190 < count < 310 for count in counts), counts
        assert len(rows_of(tables, "ends", sample=1)) == 1


def test_a_sample_of_a_large_table_does_not_read_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(path, CLIENTS).close()
    with closing(SqliteTables.open(path)) as tables:
        monkeypatch.setattr(tables, "_all", lambda *_: pytest.fail("the whole table is read"))
        assert len(rows_of(tables, "clients", sample=300)) == 300


def test_nothing_is_written_and_nothing_appears_beside_the_file(path: Path) -> None:
    make(path, CLIENTS, wal=True).close()
    before, listing = path.read_bytes(), sorted(path.parent.iterdir())
    with closing(SqliteTables.open(path)) as tables:
        rows_of(tables, "clients")
        with pytest.raises(sqlite3.OperationalError, match=r"readonly|query_only"):
            tables._db.execute("DELETE FROM clients")
        with pytest.raises(sqlite3.OperationalError, match="too many attached"):
            tables._db.execute("ATTACH ':memory:' AS other")
        assert sorted(path.parent.iterdir()) == listing
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == listing


def test_rows_that_lie_in_a_write_ahead_log_are_read(path: Path) -> None:
    with closing(make(path, "CREATE TABLE t (v); INSERT INTO t VALUES ('13800138000')", wal=True)):
        assert Path(f"{path}-wal").stat().st_size > 0
        with closing(SqliteTables.open(path)) as tables:
            assert rows_of(tables, "t") == [{"v": "13800138000"}]
        copy = path.parent / "copy"
        copy.mkdir()
        for ending in ("", "-wal"):  # as somebody copied it, without the index
            shutil.copy(f"{path}{ending}", copy / f"x.db{ending}")
        with closing(SqliteTables.open(copy / "x.db")) as tables:
            assert rows_of(tables, "t") == [{"v": "13800138000"}]


def test_a_database_inside_of_an_archive(path: Path) -> None:
    make(path, CLIENTS, wal=True).close()
    with closing(SqliteTables.of_bytes("old.zip!x.db", path.read_bytes())) as tables:
        assert tables.name == "old.zip!x.db"
        assert len(rows_of(tables, "clients")) == 5000
    for data in (
        b"",
        b"SQLite format 3\x00",
        b"PK\x03\x04" * 50,
        path.read_bytes()[:3000],
        b"SQLite format 3\x00" + b"\xff" * 5000,
    ):
        with pytest.raises(InputError, match=r"cannot be read|is no SQLite database"):
            rows_of(SqliteTables.of_bytes("x", data), "clients")


def test_damage_is_told_and_rows_before_it_are_read(path: Path) -> None:
    make(path, CLIENTS).close()
    data = bytearray(path.read_bytes())
    page = 4096
    for place in range(20 * page, len(data), page):
        data[place : place + 64] = b"\xee" * 64
    path.write_bytes(data)
    read = 0
    with closing(SqliteTables.open(path)) as tables, pytest.raises(InputError, match="it is damaged"):
        for _, batch in tables.batches("clients", batch_rows=50):
            read += batch.num_rows
    assert read > 100


@pytest.mark.parametrize(
    "content", [b"not a database, only text\n" * 10, b"x", b"SQLite format 3\x00" + os.urandom(4096)]
)
def test_what_is_no_database_says_so(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"no SQLite database|cannot be read"):
        SqliteTables.open(path)


def test_missing_and_unreadable_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        SqliteTables.open(path)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        SqliteTables.open(path.parent)
    path.write_bytes(b"")
    with closing(SqliteTables.open(path)) as tables:
        assert tables.tables() == []

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match="Permission denied"):
        SqliteTables.open(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_nobody_may_write_to(path: Path) -> None:
    make(path, CLIENTS, wal=True).close()
    path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with closing(SqliteTables.open(path)) as tables:
            assert len(rows_of(tables, "clients")) == 5000
    finally:
        path.parent.chmod(0o700)


def test_a_view_that_never_ends_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(
        path,
        """CREATE VIEW silent AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS m FROM n;
        CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n;
        CREATE VIEW huge AS SELECT zeroblob(900000000) AS z;
        CREATE TABLE real (a); INSERT INTO real VALUES ('x');""",
    ).close()
    monkeypatch.setattr(tables_sqlite, "ROW_SECONDS", 0.3)
    monkeypatch.setattr(tables_sqlite, "VIEW_ROWS", 1000)
    with closing(SqliteTables.open(path)) as tables:
        assert rows_of(tables, "silent") == []
        assert tables.left_out("silent") == {SLOW: 1}
        assert rows_of(tables, "silent", sample=5, seed=1) == []
        assert len(rows_of(tables, "endless")) == 1000
        assert tables.left_out("endless") == {VIEW: 1}
        with pytest.raises(InputError, match="larger than 256 MiB"):
            rows_of(tables, "huge")
        assert rows_of(tables, "real") == [{"a": "x"}]


def test_functions_and_modules_that_are_not_ours_are_not_run(path: Path) -> None:
    db = make(
        path,
        """CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('tel 13800138000');
        CREATE TABLE t (a); INSERT INTO t VALUES ('x');
        CREATE VIEW loading AS SELECT load_extension('/tmp/evil.so') AS a;
        CREATE VIEW unknown AS SELECT whoever(a) FROM t;
        CREATE VIEW lost AS SELECT a FROM gone;
        PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema VALUES ('table', 'odd', 'odd', 0, 'CREATE VIRTUAL TABLE odd USING evil(a)');""",
    )
    db.close()
    with closing(SqliteTables.open(path)) as tables:
        assert tables.tables() == ["notes", "t"]
        assert rows_of(tables, "notes") == [{"body": "tel 13800138000"}]
        skipped = tables.skipped()
        assert {name: skipped[name] for name in ("loading", "unknown", "lost", "odd")} == dict.fromkeys(
            ("loading", "unknown", "lost", "odd"), UNKNOWN
        )
        assert skipped["notes_content"] == SHADOW


def test_errors_do_not_quote_what_lies_there(path: Path) -> None:
    make(
        path,
        """CREATE TABLE t (a); INSERT INTO t VALUES (-9223372036854775808);
        CREATE VIEW broken AS SELECT abs(a) AS p FROM t;""",
    ).close()
    with closing(SqliteTables.open(path)) as tables:
        with pytest.raises(InputError, match="SQLite reports SQLITE_ERROR") as caught:
            rows_of(tables, "broken")
        assert str(caught.value) == f"{path}#broken cannot be read: SQLite reports SQLITE_ERROR"
        assert caught.value.__cause__ is None


def test_a_writer_in_the_way_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: real(*args, **{**options, "timeout": 0.1}))
    with closing(make(path, CLIENTS)) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="another program is writing to it"):
            SqliteTables.open(path)


def test_wide_tables_and_large_cells_come_in_small_batches(path: Path) -> None:
    db = make(path, f"CREATE TABLE wide ({', '.join(f'c{n}' for n in range(1999))}); CREATE TABLE long (v);")
    db.execute(f"INSERT INTO wide VALUES ({', '.join('?' * 1999)})", [str(n) for n in range(1999)])
    db.executemany("INSERT INTO long VALUES (?)", [("x" * (3 << 20),)] * 30)
    db.execute("INSERT INTO long VALUES (?)", ("号" * (17 << 20),))
    db.commit()
    db.close()
    with closing(SqliteTables.open(path)) as tables:
        assert rows_of(tables, "wide") == [{f"c{n}": str(n) for n in range(1999)}]
        batches = [batch for _, batch in tables.batches("long")]
        assert sum(batch.num_rows for batch in batches) == 31
        assert max(batch.num_rows for batch in batches) <= 11
        assert len(batches[-1].column(0)[-1].as_py()) == 16 << 20
        assert tables.left_out("long") == {"the end of a cell of more than 16 MiB": 1}


def test_by_uri(path: Path) -> None:
    make(path, CLIENTS).close()
    for uri in (f"sqlite:{path}", str(path), f"sqlite://{path}"):
        with closing(open_tables(uri)) as tables:
            assert tables.count("clients") == 5000
