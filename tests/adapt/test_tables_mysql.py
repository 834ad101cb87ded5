"""Tables of a real MariaDB server, started for these tests on a socket and a free port of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from parcelveil.adapt.tables import open_tables
from parcelveil.adapt.tables_mysql import BROKEN, MysqlTables
from parcelveil.errors import DependencyError, InputError, UsageError

MARIADBD = shutil.which("mariadbd", path="/usr/sbin:/usr/libexec:/usr/bin")
INSTALL = shutil.which("mariadb-install-db")
CLIENT = shutil.which("mariadb")
pytest.importorskip("pymysql", reason="PyMySQL is not installed (extra mysql)")
pytestmark = pytest.mark.skipif(
    not (MARIADBD and INSTALL and CLIENT), reason="no MariaDB server here (Debian: apt-get install mariadb-server)"
)

PASSWORD = "s3cret'\\ @:/w"
QUOTED = "s3cret%27%5C%20%40%3A%2Fw"
NOBODY = 65534

SETUP = r"""
CREATE DATABASE parcels CHARACTER SET utf8mb4;
CREATE DATABASE old CHARACTER SET gbk;
CREATE DATABASE closed;
CREATE USER clerk@'%' IDENTIFIED BY 's3cret''\\ @:/w';
CREATE USER clerk@localhost IDENTIFIED BY 's3cret''\\ @:/w';
USE parcels;
CREATE TABLE clients (id bigint PRIMARY KEY, phone varchar(20), due decimal(20,2), ratio double, raw blob, extra json,
  made datetime, flag bool, bits bit(3));
INSERT INTO clients (id, phone, due, ratio)
  SELECT seq, concat('138', lpad(seq, 8, '0')), 13800138000, 13800138000 FROM seq_1_to_5000;
UPDATE clients SET raw = '电话 13800138000', extra = '{"phone": "13800138002"}', made = '2024-05-01 12:00:00', flag = true
  WHERE id = 1;
UPDATE clients SET raw = x'ff00fe', phone = NULL, due = 0.50 WHERE id = 2;
CREATE TABLE empty (a text);
CREATE TABLE `se.lect ' \ `` " 表` (`col ``umn; DROP TABLE x` text, `%s` text, `列` text);
INSERT INTO `se.lect ' \ `` " 表` VALUES ('13800138000', '%', '值😀');
CREATE VIEW phones AS SELECT phone, id FROM clients WHERE id <= 3000;
CREATE TABLE gone (a text);
CREATE VIEW broken AS SELECT a FROM gone;
DROP TABLE gone;
DELIMITER //
CREATE FUNCTION write_it() RETURNS text MODIFIES SQL DATA BEGIN INSERT INTO parcels.empty VALUES ('x'); RETURN 'x'; END//
DELIMITER ;
CREATE VIEW writing AS SELECT write_it() AS a;
CREATE TABLE secret (a text);
CREATE TABLE partly (open text, closed text);
INSERT INTO partly VALUES ('13800138000', 'x');
CREATE TABLE old.clients (name varchar(20), town text);
INSERT INTO old.clients VALUES ('测试', '上海');
CREATE TABLE closed.inside (a text);
GRANT SELECT ON parcels.clients TO clerk@'%';
GRANT SELECT, INSERT ON parcels.empty TO clerk@'%';
GRANT SELECT ON parcels.`se.lect ' \ `` " 表` TO clerk@'%';
GRANT SELECT ON parcels.phones TO clerk@'%';
GRANT SELECT ON parcels.broken TO clerk@'%';
GRANT SELECT ON parcels.writing TO clerk@'%';
GRANT EXECUTE ON FUNCTION parcels.write_it TO clerk@localhost;
GRANT SELECT (open) ON parcels.partly TO clerk@'%';
GRANT SELECT ON old.* TO clerk@'%';
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Path]]:
    """host:port and socket of a server that knows the tables above."""
    folder = Path(tempfile.mkdtemp(prefix="pv-my-"))
    who: dict[str, object] = {}
    if os.geteuid() == 0:  # run it as nobody, as a server should be
        os.chown(folder, NOBODY, NOBODY)
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    port, path = free_port(), folder / "s"
    quiet: dict[str, object] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **who}
    data = f"--datadir={folder / 'data'}"
    install = [INSTALL, "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(install, check=True, **quiet)  # type: ignore[call-overload]
    running = subprocess.Popen(  # type: ignore[call-overload]
        [MARIADBD, "--no-defaults", data, f"--socket={path}", f"--port={port}", "--bind-address=127.0.0.1", "--skip-log-bin",
         f"--pid-file={folder / 'pid'}", "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0"],
        **quiet,
    )  # fmt: skip
    try:
        client = [CLIENT, "--no-defaults", f"--socket={path}", "-u", "root", "--default-character-set=utf8mb4"]
        until = time.monotonic() + 60
        while subprocess.run([*client, "-e", "SELECT 1"], capture_output=True).returncode:
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.2)
        subprocess.run(client, input=SETUP, text=True, check=True)
        yield f"127.0.0.1:{port}", path
    finally:
        running.terminate()
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def clerk(server: tuple[str, Path]) -> MysqlTables:
    return MysqlTables.open(f"mysql://clerk:{QUOTED}@{server[0]}/parcels")


def rows_of(tables: MysqlTables, table: str, **options: int) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = []
    for first, batch in tables.batches(table, **options):
        assert first == -1
        assert set(batch.schema.types) == {pa.string()}
        found += batch.to_pylist()
    return found


ODD = '"parcels"."se.lect \' \\ ` "" 表"'


def test_tables_are_listed_and_what_is_not_read_is_said(clerk: MysqlTables) -> None:
    assert clerk.tables() == sorted([f"parcels.{name}" for name in "clients empty phones partly".split()] + [ODD])
    assert clerk.skipped() == {"parcels.broken": BROKEN, "parcels.writing": BROKEN}
    assert clerk.columns("parcels.empty") == ["a"]
    assert rows_of(clerk, "parcels.empty") == []
    clerk.close()


def test_every_value_is_text(clerk: MysqlTables) -> None:
    first, second, *rest = sorted(rows_of(clerk, "parcels.clients"), key=lambda row: int(row["id"] or 0))
    assert len(rest) == 4998
    assert first == {
        "id": "1",
        "phone": "13800000001",
        "due": "13800138000",
        "ratio": "13800138000",
        "raw": "电话 13800138000",
        "extra": '{"phone": "13800138002"}',
        "made": "2024-05-01 12:00:00",
        "flag": "1",
        "bits": None,
    }
    assert (second["phone"], second["raw"], second["due"]) == (None, None, "0.50")
    assert clerk.left_out("parcels.clients") == {"bytes that are no text": 1}


def test_hostile_names_are_quoted_and_all_characters_come_through(clerk: MysqlTables) -> None:
    assert rows_of(clerk, ODD) == [{"col `umn; DROP TABLE x": "13800138000", "%s": "%", "列": "值😀"}]


def test_without_a_database_all_are_read_that_the_user_sees(server: tuple[str, Path]) -> None:
    tables = open_tables(f"mariadb://clerk:{QUOTED}@{server[0]}")
    assert "old.clients" in tables.tables()
    assert not [name for name in tables.tables() if name.startswith(("closed", "mysql", "information"))]
    assert [batch.to_pylist() for _, batch in tables.batches("old.clients")] == [[{"name": "测试", "town": "上海"}]]


def test_a_socket_and_a_password_from_the_environment(
    server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYSQL_PWD", PASSWORD)
    tables = open_tables(f"mysql://clerk@/parcels?socket={server[1]}")
    assert "parcels.phones" in tables.tables()
    assert PASSWORD not in tables.name


def test_counts(clerk: MysqlTables) -> None:
    assert clerk.count("parcels.clients") == 5000
    assert clerk.count("parcels.phones") is None


@pytest.mark.parametrize("table", ["parcels.clients", "parcels.phones"])
def test_the_same_seed_draws_the_same_rows(clerk: MysqlTables, table: str) -> None:
    drawn = [rows_of(clerk, table, sample=500, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert 380 < len(drawn[0]) < 620
    ids = sorted(int(row["id"] or 0) for row in drawn[0])
    assert ids[0] < 300
    assert ids[-1] > 2700
    assert len(rows_of(clerk, table, sample=9999)) == (5000 if table == "parcels.clients" else 3000)


def test_reading_may_stop_early(clerk: MysqlTables) -> None:
    reading = clerk.batches("parcels.clients", batch_rows=100)
    assert next(iter(reading))[1].num_rows == 100
    reading.close()  # type: ignore[attr-defined]
    assert sum(batch.num_rows for _, batch in clerk.batches("parcels.clients", batch_rows=100)) == 5000


def test_columns_that_are_closed_are_not_seen(clerk: MysqlTables) -> None:
    assert rows_of(clerk, "parcels.partly") == [{"open": "13800138000"}]


def test_what_fails_says_so_without_the_servers_words(server: tuple[str, Path], clerk: MysqlTables) -> None:
    root = [str(CLIENT), "--no-defaults", f"--socket={server[1]}", "-u", "root", "parcels"]
    subprocess.run(
        [*root, "-e", "CREATE OR REPLACE VIEW phones AS SELECT (SELECT phone FROM clients) AS phone, 1 AS id"],
        check=True,
    )
    try:
        with pytest.raises(InputError, match="parcels.phones cannot be read: the server gave it up") as caught:  # noqa: RUF043
            rows_of(clerk, "parcels.phones")
        subprocess.run([*root, "-e", "DROP VIEW phones"], check=True)
        with pytest.raises(InputError, match="parcels.phones cannot be read: it is gone"):  # noqa: RUF043
            rows_of(clerk, "parcels.phones")
    finally:
        old = "CREATE OR REPLACE VIEW phones AS SELECT phone, id FROM clients WHERE id <= 3000"
        subprocess.run([*root, "-e", old], check=True)
    assert caught.value.__cause__ is None
    assert "138" not in str(caught.value)


@pytest.mark.parametrize(
    ("login", "database", "why"),
    [
        ("clerk:wr0ngword", "parcels", "user or password are wrong"),
        ("nobody:wr0ngword", "parcels", "user or password are wrong|does not let anybody in"),
        (f"clerk:{QUOTED}", "closed", "may not use that database"),
    ],
)
def test_who_is_not_let_in_is_told_why_without_the_password(
    server: tuple[str, Path], login: str, database: str, why: str
) -> None:
    with pytest.raises(InputError, match=why) as caught:
        open_tables(f"mysql://{login}@{server[0]}/{database}")
    said = f"{caught.value} {caught.value.hint} {caught.value.values}"
    assert "wr0ngword" not in said
    assert "s3cret" not in said


def test_nothing_listens_and_nobody_is_found() -> None:
    with pytest.raises(InputError, match="nothing listens there"):
        open_tables(f"mysql://clerk:s3cret@127.0.0.1:{free_port()}/parcels")
    with pytest.raises(InputError, match="no such socket"):
        open_tables("mysql://clerk:s3cret@/parcels?socket=/nowhere/at/all")
    with pytest.raises(UsageError, match="names no host"):
        open_tables("mysql://clerk:s3cret@/parcels")
    with pytest.raises(UsageError, match="on, off or verify"):
        open_tables("mysql://clerk:s3cret@h/parcels?tls=maybe")


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parcelveil.adapt.tables_mysql._CONNECT_SECONDS", 0.5)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        began = time.monotonic()
        with pytest.raises(InputError, match="did not answer in time") as caught:
            open_tables(f"mysql://clerk:s3cret@127.0.0.1:{deaf.getsockname()[1]}/parcels")
    assert time.monotonic() - began < 5
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x02\x00\x00\x00\x0a\x00",
        b"\x00\x00\x00\x00",
        b"\x05\x00\x00\x00\xff\x15\x04#2",
        b"\xff" * 64,
    ],
)
def test_a_server_that_speaks_nonsense_is_refused(greeting: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parcelveil.adapt.tables_mysql._CONNECT_SECONDS", 1.0)

    def serve() -> None:
        client, _ = listening.accept()
        with client:
            client.sendall(greeting)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(InputError, match="could not connect to") as caught:
            open_tables(f"mysql://clerk:s3cret@127.0.0.1:{listening.getsockname()[1]}/parcels")
        thread.join()
    assert "s3cret" not in str(caught.value)


def test_an_unchecked_certificate_is_refused_on_demand(server: tuple[str, Path]) -> None:
    with pytest.raises(InputError, match=r"encrypted connection|did not let us in"):
        open_tables(f"mysql://clerk:{QUOTED}@{server[0]}/parcels?tls=verify")
    assert open_tables(f"mysql://clerk:{QUOTED}@{server[0]}/parcels?tls=off").tables()


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(DependencyError) as caught:
        open_tables("mysql://clerk@127.0.0.1/parcels")
    assert "parcelveil[mysql]" in caught.value.hint
