"""The desk's tables in SQLite: what is put comes back, all or nothing, one writer at a time; old workspaces open."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from importlib import resources
from pathlib import Path

import pytest

from parcelveil.adapt import store_sqlite
from parcelveil.adapt.store_sqlite import SqliteStore
from parcelveil.errors import OutputError, WorkspaceError
from parcelveil.ports import ApprovalRow, DeviceRow, EpochRow, LimitRow, LogState, PolicyRow, Run, StaffRow, SubjectRow


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "state.db")


def migration(number: int) -> str:
    return resources.files("parcelveil.adapt").joinpath(f"migrations/{number:04}.sql").read_text("utf-8")


def old(path: Path) -> None:
    """A workspace's state as schema version 1 left it, with a row in each table."""
    db = sqlite3.connect(path)
    db.executescript(migration(1))
    db.execute("PRAGMA user_version = 1")
    db.execute("INSERT INTO setting VALUES ('kek_version', '3')")
    db.execute("INSERT INTO epoch VALUES (7, x'01', x'02', x'03', 4, '')")
    db.execute("INSERT INTO pseudonym_key VALUES ('search', 202611, x'05', '')")
    db.execute("INSERT INTO run VALUES (NULL, 'seal', 'now', 1.5, 2, 3, 4)")
    db.commit()
    db.close()


def schema(path: Path) -> list[tuple[str, str]]:
    db = sqlite3.connect(path)
    rows = db.execute("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name").fetchall()
    assert db.execute("PRAGMA user_version").fetchone() == (4,)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    return rows


# -- migration ----------------------------------------------------------------------------------------------------


def test_a_workspace_of_version_1_opens_and_gets_version_2(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    old(path)
    store = SqliteStore(path)
    with store.transaction() as tx:
        assert tx.kek_version() == 3 and tx.epochs() == [EpochRow(7, b"\1", b"\2", b"\3", 4)]
        assert len(tx.pseudonym_keys()) == 1 and tx.runs() == [Run("seal", "now", 1.5, 2, 3, 4)]
        assert tx.log_state() == LogState() and tx.heads() == [] and tx.staff() == []
        tx.set_log_state(LogState(size=1, frontier=bytes(32), checkpoint="x"))
    store.close()
    SqliteStore(tmp_path / "new.db").close()
    assert schema(path) == schema(tmp_path / "new.db")
    again = SqliteStore(path)
    with again.transaction() as tx:
        assert tx.log_state().size == 1
    again.close()


def test_two_processes_migrate_at_once(tmp_path: Path) -> None:
    """Both see version 1; one migrates, and the other finds that it was done."""
    for turn in range(5):
        path = tmp_path / f"{turn}.db"
        old(path)
        gate, go = os.pipe()
        children = []
        for _ in range(4):
            pid = os.fork()
            if not pid:
                status = 1
                try:
                    os.close(go)
                    os.read(gate, 1)
                    SqliteStore(path).close()
                    status = 0
                finally:
                    os._exit(status)
            children.append(pid)
        os.close(gate)
        os.close(go)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
        schema(path)


def test_half_a_migration_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    old(path)
    statements = store_sqlite._statements

    def broken(script: str):  # type: ignore[no-untyped-def]
        yield from list(statements(script))[:5]
        yield "CREATE TABLE nonsense ("

    with monkeypatch.context() as patch:
        patch.setattr(store_sqlite, "_statements", broken)
        with pytest.raises(WorkspaceError):
            SqliteStore(path)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'log_state'").fetchone() == (0,)
    db.close()
    SqliteStore(path).close()
    schema(path)


def test_all_statements_of_a_migration_are_run() -> None:
    for number in (1, 2, 3):
        script = migration(number)
        assert len(list(store_sqlite._statements(script))) == script.count("CREATE ")


def test_a_newer_state_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    SqliteStore(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 5")
    db.close()
    with pytest.raises(WorkspaceError, match="newer parcelveil"):
        SqliteStore(path)


@pytest.mark.parametrize("data", [b"no database at all, but long enough to look at" * 20, b"SQLite format 3\0" * 100])
def test_what_is_no_database(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(data)
    with pytest.raises(WorkspaceError, match=r"state\.db cannot be used"):
        SqliteStore(path)
    assert path.read_bytes() == data


# -- rows ---------------------------------------------------------------------------------------------------------


def test_the_log_s_rows(store: SqliteStore) -> None:
    state = LogState(5, bytes(64), "note", 1, 0, 1 << 60, 7, "boot", -4)
    rows = [SubjectRow(1, place, 202611, bytes([place + 1]) * 16, b"sealed") for place in (-1, 0, 1)]
    with store.transaction() as tx:
        tx.set_log_state(LogState())
        tx.set_log_state(state)
        tx.add_group(3, b"late")
        tx.add_group(0, b"early")
        tx.add_head(5, b"r" * 32)
        tx.add_subjects(rows[::-1])
    with store.transaction() as tx:
        assert tx.log_state() == state
        assert tx.groups() == [(0, b"early"), (3, b"late")] and tx.heads() == [(5, b"r" * 32)]
        assert tx.subjects_of_entry(1) == rows
        assert tx.subjects_of_token(rows[0].token) == [rows[0]]
        assert tx.erase_subjects([rows[0].token, rows[1].token, b"none"]) == 2
        assert tx.subjects_of_entry(1) == rows[2:]
        assert tx.erase_subjects_before(1) == 0 and tx.erase_subjects_before(2) == 1
        tx.drop_groups(3)
        assert tx.groups() == [(3, b"late")]


def test_the_meter_adds_up(store: SqliteStore) -> None:
    with store.transaction() as tx:
        for day, values in [(1, 5), (2, 1), (1, 3), (2, -1)]:
            tx.draw(day, values)
        assert tx.drawn() == {1: 8, 2: 0}


def test_staff_and_devices(store: SqliteStore) -> None:
    first, second = StaffRow("s-1", "100", "courier", "Q1", True), StaffRow("s-2", "099", "clerk", "", False)
    with store.transaction() as tx:
        generation = tx.generation()
        tx.put_staff(first)
        tx.put_staff(second)
        tx.put_staff(StaffRow("s-1", "100", "clerk courier", "Q1 Q2", True))
        tx.put_device(DeviceRow("d-1", "s-1", b"k" * 32))
        tx.put_device(DeviceRow("d-2", "s-2", b"l" * 32))
        assert tx.generation() == generation + 5
        assert tx.staff() == [second, StaffRow("s-1", "100", "clerk courier", "Q1 Q2", True)]
        tx.drop_device("d-2")
        tx.forget_staff("s-1")
        assert tx.staff() == [second] and tx.devices() == []
        assert tx.generation() == generation + 7


def test_a_staff_number_is_never_taken_over(store: SqliteStore) -> None:
    """Two handles of one number: refused, and nobody's row is replaced in silence."""
    row = StaffRow("s-1", "100", "courier", "Q1", True)
    with store.transaction() as tx:
        tx.put_staff(row)
    with pytest.raises(WorkspaceError), store.transaction() as tx:
        tx.put_staff(StaffRow("s-2", "100", "courier", "Q1", True))
    with store.transaction() as tx:
        assert tx.staff() == [row]


def test_quotas_limits_and_approvals(store: SqliteStore) -> None:
    asked = ApprovalRow("a-1", "requested", "export", "s-1", "d-1", 5, b"d" * 32, 99)
    with store.transaction() as tx:
        assert tx.used("s-1", "deliver", 7) == 0 and tx.limit("s-1", "deliver", 7) is None
        tx.use("s-1", "deliver", 7, 2)
        tx.use("s-1", "deliver", 7, 3)
        tx.use("outlet:Q1", "deliver", 7, 9)
        tx.use("s-1", "deliver", 8, 1)
        tx.use("s-1", "contact", 7, 1)
        assert (tx.used("s-1", "deliver", 7), tx.used("s-1", "deliver", 8)) == (5, 1)
        assert tx.usage(7) == [("outlet:Q1", "deliver", 9), ("s-1", "deliver", 5), ("s-1", "contact", 1)]
        tx.set_limit(LimitRow("s-1", "deliver", 7, 10))
        tx.set_limit(LimitRow("s-1", "deliver", 7, 0, seal=b"s"))
        assert (
            tx.limit("s-1", "deliver", 7) == LimitRow("s-1", "deliver", 7, 0, seal=b"s")
            and tx.limit("s-1", "deliver", 8) is None
        )
        tx.put_approval(asked)
        tx.put_approval(asked)
        tx.put_approval(ApprovalRow("a-1", "approved", "export", "s-1", "d-1", 5, b"d" * 32, 99, "s-2"))
        tx.put_approval(ApprovalRow("a-0", "requested", "export", "s-1", "d-1", 5, b"d" * 32, 9))
        found = tx.approval("a-1")
        assert found is not None and (found.state, found.approver) == ("approved", "s-2")
        assert [row.id for row in tx.approvals()] == ["a-0", "a-1"] and tx.approval("a-2") is None


def test_policies(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.put_policy(PolicyRow(2, "proposed", "s", "p", "c", "s-1", ""))
        tx.put_policy(PolicyRow(1, "active", "s", "p", "c", "s-1", "s-2"))
        assert [(row.version, row.state) for row in tx.policies()] == [(1, "active"), (2, "proposed")]
        assert tx.generation() == 2


# -- transactions ---------------------------------------------------------------------------------------------------


def test_all_or_nothing(store: SqliteStore) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction() as tx:
        tx.draw(1, 1)
        tx.use("s-1", "deliver", 1, 1)
        raise ZeroDivisionError
    with store.transaction() as tx:
        assert tx.drawn() == {} and tx.usage(1) == []


def test_threads_and_stores_take_turns(tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path / "state.db") for _ in range(2)]

    def add(store: SqliteStore) -> None:
        for _ in range(25):
            with store.transaction() as tx:
                seen = tx.drawn().get(1, 0)
                tx.draw(1, 1)
                assert tx.drawn()[1] == seen + 1

    threads = [threading.Thread(target=add, args=(store,)) for store in stores * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with stores[0].transaction() as tx:
        assert tx.drawn() == {1: 100}


def test_a_transaction_within_a_transaction_is_refused(store: SqliteStore) -> None:
    with pytest.raises(WorkspaceError), store.transaction() as tx:
        tx.draw(1, 1)
        with store.transaction():
            pass
    with store.transaction() as tx:
        assert tx.drawn() == {}


def test_a_store_in_use_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_sqlite, "_WAIT_SECONDS", 0.05)
    one, other = SqliteStore(tmp_path / "state.db"), SqliteStore(tmp_path / "state.db")
    with one.transaction() as tx:
        tx.draw(1, 1)
        with pytest.raises(WorkspaceError, match="in use by another process") as caught, other.transaction():
            pass
    assert "try again" in caught.value.hint


def test_commits_are_synced(store: SqliteStore) -> None:
    """What the crash tests cannot show: after power loss, only what was synced is there."""
    settings = [store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]


def test_a_full_disk(store: SqliteStore) -> None:
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutputError, match="full"), store.transaction() as tx:
        tx.add_group(0, bytes(100_000))
    with store.transaction() as tx:
        assert tx.groups() == []


# -- settling -------------------------------------------------------------------------------------------------------


def test_t10_settled_deletions_are_nowhere(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    rows = [SubjectRow(i, place, 202611, os.urandom(16), os.urandom(48)) for i in range(300) for place in (0, 1, -1)]
    for start in range(0, len(rows), 30):
        with store.transaction() as tx:
            tx.add_subjects(rows[start : start + 30])
            tx.put_staff(StaffRow(f"s-{start}", f"number-of-{start}", "courier", "Q1", True))
        if start % 90 == 0:
            store.settle()
    gone, left = rows[1::2], rows[::2]
    with store.transaction() as tx:
        assert tx.erase_subjects([row.token for row in gone]) == len(gone)
        tx.forget_staff("s-30")
    store.settle()
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not [row for row in gone if row.sealed in raw or row.token in raw]
    assert b"number-of-30" not in raw.replace(b"number-of-300", b"")
    assert all(row.sealed in raw and row.token in raw for row in left)
    assert (tmp_path / "state.db-wal").stat().st_size == 0


def test_t10_settling_beside_a_reader_says_that_it_could_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_sqlite, "_WAIT_SECONDS", 0.05)
    store = SqliteStore(tmp_path / "state.db")
    with store.transaction() as tx:
        tx.draw(1, 1)
    reader = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meter").fetchall()
    with store.transaction() as tx:
        tx.draw(1, 1)
    with pytest.raises(OutputError, match=r"not out of state\.db yet"):
        store.settle()
    reader.execute("COMMIT")
    reader.close()
    store.settle()
    with store.transaction() as tx:
        assert tx.drawn() == {1: 2}


def test_who_reads_waits_for_no_writer(tmp_path: Path) -> None:
    writer, reader = SqliteStore(tmp_path / "state.db"), SqliteStore(tmp_path / "state.db")
    with writer.transaction() as tx:
        tx.use("s-1", "deliver", 7, 3)
    with writer.transaction() as tx:
        tx.use("s-1", "deliver", 7, 1)
        started = time.monotonic()
        with reader.reading() as seen:
            assert seen.used("s-1", "deliver", 7) == 3
        assert time.monotonic() - started < 5
    with reader.reading() as seen:
        assert seen.used("s-1", "deliver", 7) == 4, "what was read before does not stand when others have written"
    with pytest.raises(OutputError), reader.reading() as seen:
        seen.put_staff(StaffRow("s-1", "1", "courier", "", True))
    with reader.transaction() as tx:
        tx.use("s-1", "deliver", 7, 1)
        assert tx.used("s-1", "deliver", 7) == 5


def test_a_reader_writes_nothing_and_needs_no_place_to(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = SqliteStore(path)
    with store.transaction() as tx:
        tx.use("s-1", "deliver", 7, 3)
    beside = SqliteStore.reader(path)
    with beside.reading() as tx:
        assert tx.used("s-1", "deliver", 7) == 3
    with pytest.raises(OutputError), beside.transaction() as tx:
        tx.put_staff(StaffRow("s-1", "1", "courier", "", True))
    beside.close()
    store.close()
    copied = tmp_path / "copied"
    copied.mkdir()
    (copied / "state.db").write_bytes(path.read_bytes())
    alone = SqliteStore.reader(copied / "state.db")
    with alone.reading() as tx:
        assert tx.used("s-1", "deliver", 7) == 3
    alone.close()
    with pytest.raises(WorkspaceError):
        SqliteStore.reader(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
