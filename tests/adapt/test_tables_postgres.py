"""Tables of a real PostgreSQL server, started for these tests on a socket and a free port of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from parcelveil.adapt.tables import open_tables
from parcelveil.adapt.tables_postgres import DENIED, DENIED_COLUMN, FOREIGN, UNFILLED, VIEW, PostgresTables
from parcelveil.errors import DependencyError, InputError, UsageError

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
pytest.importorskip("adbc_driver_postgresql", reason="adbc-driver-postgresql is not installed (extra postgres)")
pytestmark = pytest.mark.skipif(not PROGRAMS, reason="no PostgreSQL server here (Debian: apt-get install postgresql)")

PASSWORD = "s3cret'\\ @:/w"
QUOTED = "s3cret%27%5C%20%40%3A%2Fw"
NOBODY = 65534

SETUP = r"""
CREATE ROLE clerk LOGIN PASSWORD 's3cret''\ @:/w';
CREATE ROLE locked LOGIN PASSWORD 's3cret''\ @:/w';
CREATE DATABASE parcels ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
\c parcels
CREATE TABLE clients (id bigint PRIMARY KEY, phone varchar, due numeric(20,2), ratio float8, raw bytea, tags text[],
  extra jsonb, made timestamptz, flag bool);
INSERT INTO clients SELECT n, '138' || lpad(n::text, 8, '0'), 13800138000, 13800138000 FROM generate_series(1, 5000) n;
UPDATE clients SET raw = '电话 13800138000'::text::bytea, tags = '{13800138001,b}', extra = '{"phone": "13800138002"}',
  made = '2024-05-01 12:00:00+00', flag = true WHERE id = 1;
UPDATE clients SET raw = '\xff00fe'::bytea, phone = NULL, due = 0.50 WHERE id = 2;
CREATE TABLE empty (a text);
CREATE TABLE nothing ();
CREATE SCHEMA "odd ""one";
CREATE TABLE "odd ""one"."se.lect ' \ 表" ("col ""umn; DROP TABLE x" text, "%s $1" text, "列" text);
INSERT INTO "odd ""one"."se.lect ' \ 表" VALUES ('13800138000', '%', '值');
CREATE TABLE parent (a text);
CREATE TABLE child (b text) INHERITS (parent);
INSERT INTO parent VALUES ('of the parent');
INSERT INTO child VALUES ('of the child', 'x');
CREATE TABLE days (day date, phone text) PARTITION BY RANGE (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
INSERT INTO days VALUES ('2024-01-05', '13800138000');
CREATE VIEW phones AS SELECT phone, id FROM clients WHERE id <= 3000;
CREATE MATERIALIZED VIEW kept AS SELECT phone FROM clients WHERE id <= 10;
CREATE MATERIALIZED VIEW unfilled AS SELECT phone FROM clients WITH NO DATA;
CREATE VIEW broken AS SELECT (phone || 'x')::bigint AS number FROM clients;
CREATE FUNCTION write_it() RETURNS text LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.empty VALUES ('x'); RETURN 'x'; END$$;
CREATE VIEW writing AS SELECT write_it() AS a;
CREATE TYPE mood AS ENUM ('gut', 'schlecht');
CREATE TYPE pair AS (phone text, town text);
CREATE FUNCTION evil(pair) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'evil was called'; END$$;
CREATE CAST (pair AS text) WITH FUNCTION evil(pair);
CREATE DOMAIN picture AS bytea;
CREATE TABLE typed (m mood, p pair, d picture, r int4range, i inet, u uuid, n text);
INSERT INTO typed VALUES ('gut', ('13800138000', 'Köln'), '邮箱'::text::bytea, '[1,5)', '10.0.0.1', NULL, NULL);
INSERT INTO typed VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE secret (a text);
CREATE TABLE partly (open text, closed text);
INSERT INTO partly VALUES ('13800138000', 'x');
CREATE TABLE guarded (a text);
INSERT INTO guarded VALUES ('hidden');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE FOREIGN DATA WRAPPER other;
CREATE SERVER far FOREIGN DATA WRAPPER other;
CREATE FOREIGN TABLE away (a text) SERVER far;
CREATE SCHEMA closed;
CREATE TABLE closed.inside (a text);
GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk;
GRANT SELECT ON closed.inside TO clerk;
REVOKE SELECT ON secret, partly FROM clerk;
GRANT SELECT (open) ON partly TO clerk;
GRANT USAGE ON SCHEMA "odd ""one" TO clerk;
GRANT SELECT ON ALL TABLES IN SCHEMA "odd ""one" TO clerk;
GRANT INSERT ON empty TO clerk;
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unprivileged(folder: Path) -> dict[str, object]:
    """PostgreSQL refuses to run as root; then it runs as nobody, whose the folder becomes."""
    if os.geteuid() != 0:
        return {}
    os.chown(folder, NOBODY, NOBODY)
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """host:port of a server that knows the tables above."""
    folder = Path(tempfile.mkdtemp(prefix="pv-pg-"))
    who = unprivileged(folder)
    programs, port = PROGRAMS[-1].parent, free_port()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    quiet: dict[str, object] = {"cwd": folder, "env": environment, "stdout": subprocess.DEVNULL, **who}
    word = folder / "word"
    word.write_text("of the superuser")
    if who:
        os.chown(word, NOBODY, NOBODY)
    initdb = [programs / "initdb", "-D", folder / "data", "-U", "boss", "-A", "scram-sha-256", f"--pwfile={word}", "-N"]
    subprocess.run(initdb, check=True, **quiet)  # type: ignore[call-overload]
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    start = [programs / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options]
    subprocess.run([*start, "start"], check=True, **quiet)  # type: ignore[call-overload]
    try:
        login = {**environment, "PGPASSWORD": "of the superuser"}
        psql = [
            programs / "psql",
            "-v",
            "ON_ERROR_STOP=1",
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-U",
            "boss",
            "postgres",
        ]
        subprocess.run(psql, input=SETUP, text=True, check=True, env=login, stdout=subprocess.DEVNULL)
        yield f"127.0.0.1:{port}"
    finally:
        stop = [programs / "pg_ctl", "-D", folder / "data", "-w", "-m", "immediate", "stop"]
        subprocess.run(stop, check=True, **quiet)  # type: ignore[call-overload]
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def clerk(server: str) -> PostgresTables:
    return PostgresTables.open(f"postgresql://clerk:{QUOTED}@{server}/parcels")


def rows_of(tables: PostgresTables, table: str, **options: int) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = []
    for first, batch in tables.batches(table, **options):
        assert first == -1
        assert set(batch.schema.types) == {pa.string()}
        found += batch.to_pylist()
    return found


ODD = '"odd ""one"."se.lect \' \\ 表"'


def test_tables_are_listed_and_what_is_not_read_is_said(clerk: PostgresTables) -> None:
    assert clerk.tables() == sorted(
        [
            "public." + name
            for name in "clients empty parent child days phones kept broken writing typed partly guarded".split()
        ]
        + [ODD]
    )
    assert clerk.skipped() == {
        "public.secret": DENIED,
        "closed.inside": DENIED,
        "public.away": FOREIGN,
        "public.unfilled": UNFILLED,
    }
    assert clerk.columns("public.empty") == ["a"]
    assert rows_of(clerk, "public.empty") == []
    clerk.close()


def test_every_value_is_text(clerk: PostgresTables) -> None:
    first, second, *rest = sorted(rows_of(clerk, "public.clients"), key=lambda row: int(row["id"] or 0))
    assert len(rest) == 4998
    assert first == {
        "id": "1",
        "phone": "13800000001",
        "due": "13800138000",
        "ratio": "13800138000",
        "raw": "电话 13800138000",
        "tags": "{13800138001,b}",
        "extra": '{"phone": "13800138002"}',
        "made": first["made"],
        "flag": "true",
    }
    assert str(first["made"]).startswith("2024-05-01")
    assert (second["phone"], second["raw"], second["due"]) == (None, None, "0.50")
    assert clerk.left_out("public.clients") == {"bytes that are no text": 1}


def test_types_of_ones_own_are_read_and_their_casts_are_not_called(clerk: PostgresTables) -> None:
    full, empty = rows_of(clerk, "public.typed")
    assert full == {
        "m": "gut", "p": "(13800138000,Köln)", "d": "邮箱", "r": "[1,5)", "i": "10.0.0.1/32", "u": None, "n": None,
    }  # fmt: skip
    assert set(empty.values()) == {None}


def test_hostile_names_are_quoted(clerk: PostgresTables) -> None:
    assert rows_of(clerk, ODD) == [{'col "umn; DROP TABLE x': "13800138000", "%s $1": "%", "列": "值"}]
    assert rows_of(clerk, ODD, sample=1) == rows_of(clerk, ODD)


def test_inherited_rows_are_read_once_and_partitions_with_their_table(clerk: PostgresTables) -> None:
    assert rows_of(clerk, "public.parent") == [{"a": "of the parent"}]
    assert rows_of(clerk, "public.child") == [{"a": "of the child", "b": "x"}]
    assert rows_of(clerk, "public.days") == [{"day": "2024-01-05", "phone": "13800138000"}]


def test_counts(clerk: PostgresTables) -> None:
    assert clerk.count("public.clients") == 5000
    assert clerk.count("public.phones") is None
    assert clerk.count("public.days") == 1


@pytest.mark.parametrize("table", ["public.clients", "public.phones"])
def test_the_same_seed_draws_the_same_rows(clerk: PostgresTables, table: str) -> None:
    drawn = [rows_of(clerk, table, sample=500, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert 380 < len(drawn[0]) < 620
    assert len({row["id"] for row in drawn[0]}) == len(drawn[0])
    # From the whole of the table, not from its beginning.
    ids = sorted(int(row["id"] or 0) for row in drawn[0])
    assert ids[0] < 300
    assert ids[-1] > 2700
    assert len(rows_of(clerk, table, sample=9999)) == (5000 if table == "public.clients" else 3000)


def test_batches_are_small_and_reading_may_stop_early(clerk: PostgresTables) -> None:
    before = threading.active_count()
    reading = clerk.batches("public.clients", batch_rows=100)
    assert next(iter(reading))[1].num_rows == 100
    reading.close()  # type: ignore[attr-defined]
    sizes = [batch.num_rows for _, batch in clerk.batches("public.clients", batch_rows=100)]
    assert max(sizes) == 100
    assert sum(sizes) == 5000
    assert threading.active_count() <= before + 1


def test_columns_that_are_closed_are_left_out_and_said(clerk: PostgresTables) -> None:
    assert rows_of(clerk, "public.partly") == [{"open": "13800138000"}]
    assert clerk.left_out("public.partly") == {DENIED_COLUMN: 1}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("public.guarded", "this user may not read it"),
        ("public.writing", "the server gave it up"),
        ("public.broken", "the server gave it up"),
    ],
)
def test_what_fails_says_so_without_the_rows(clerk: PostgresTables, table: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        rows_of(clerk, table)
    assert table in str(caught.value)
    assert "138" not in str(caught.value).replace(clerk.name, "")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert rows_of(clerk, "public.empty") == []


def test_views_are_not_run_with_a_superusers_rights(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "of the superuser")
    boss = PostgresTables.open(f"postgres://boss@{server}/parcels")
    assert boss.skipped()["public.writing"] == VIEW
    assert "public.kept" in boss.tables()
    assert rows_of(boss, "public.guarded") == [{"a": "hidden"}]


def test_passwords_come_from_a_file_too(server: str, tmp_path: Path) -> None:
    (tmp_path / "word").write_text(PASSWORD + "\n")
    tables = open_tables(f"postgresql://clerk@{server}/parcels?password-file={tmp_path / 'word'}")
    assert tables.tables()
    with pytest.raises(InputError, match="the file with the password cannot be read"):
        open_tables(f"postgresql://clerk@{server}/parcels?password-file={tmp_path / 'none'}")


@pytest.mark.parametrize(
    ("login", "database", "why"),
    [
        ("clerk:wr0ngword", "parcels", "user or password are wrong"),
        ("nobody:wr0ngword", "parcels", "user or password are wrong"),
        ("clerk", "parcels", "a password is needed"),
        (f"clerk:{QUOTED}", "none", "no such database"),
        (f"clerk:{QUOTED}", "closed", "may not connect"),
    ],
)
def test_who_is_not_let_in_is_told_why_without_the_password(
    server: str, login: str, database: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(InputError, match=why) as caught:
        open_tables(f"postgresql://{login}@{server}/{database}")
    said = f"{caught.value} {caught.value.hint} {caught.value.values}"
    assert "wr0ngword" not in said
    assert "s3cret" not in said


def test_nothing_listens_and_nobody_is_found() -> None:
    with pytest.raises(InputError, match="nothing listens there"):
        open_tables(f"postgresql://clerk:s3cret@127.0.0.1:{free_port()}/parcels")
    with pytest.raises(InputError, match="no such socket"):
        open_tables("postgresql://clerk:s3cret@/parcels?host=/nowhere/at/all")


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        with pytest.raises(InputError, match=r"did not answer in time|did not let us in") as caught:
            open_tables(f"postgresql://clerk:s3cret@127.0.0.1:{deaf.getsockname()[1]}/parcels?connect_timeout=2")
    assert "s3cret" not in str(caught.value)


def test_it_connects_only_where_the_uri_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    with pytest.raises(UsageError, match="names no host"):
        open_tables("postgresql://clerk:s3cret@/parcels")
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.9")
    with pytest.raises(UsageError, match="PGHOSTADDR leads away"):
        open_tables("postgresql://clerk:s3cret@127.0.0.1/parcels")


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(DependencyError) as caught:
        open_tables("postgresql://clerk@127.0.0.1/parcels")
    assert "parcelveil[postgres]" in caught.value.hint
