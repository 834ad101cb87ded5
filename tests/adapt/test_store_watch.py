"""The tables of watch in SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from parcelveil.adapt.store_sqlite import SqliteStore
from parcelveil.errors import OutputError, WorkspaceError
from parcelveil.ports import AlertRow, DecoyRow


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    one = SqliteStore(tmp_path / "state.db")
    yield one
    one.close()


def row(uid: str, opened_at: int, state: str = "open", revision: int = 1) -> AlertRow:
    return AlertRow(uid, revision, state, "high", "CS-07", opened_at, b"{}")


def test_cases_are_found_by_name_beginning_state_and_time(store: SqliteStore) -> None:
    rows = [row("aa11", 1), row("aa22", 3, "escalated"), row("ab33", 2, "harmless")]
    with store.transaction() as tx:
        tx.put_alerts(rows)
        tx.put_alerts([row("aa11", 1, "harvest", 2)])
    with store.reading() as tx:
        assert tx.alert("aa11") == row("aa11", 1, "harvest", 2) and tx.alert("zz") is None
        assert [one.uid for one in tx.alerts()] == ["aa22", "ab33", "aa11"]
        assert [one.uid for one in tx.alerts(["harvest", "harmless"])] == ["ab33", "aa11"]
        assert [one.uid for one in tx.alerts(since=2)] == ["aa22", "ab33"]
        assert [one.uid for one in tx.alerts(most=1)] == ["aa22"]
        assert [one.uid for one in tx.alerts_like("aa", 9)] == ["aa11", "aa22"]
        assert [one.uid for one in tx.alerts_like("a", 2)] == ["aa11", "aa22"]
        assert tx.alerts_like("%", 9) == tx.alerts_like("a_", 9) == []


def test_a_block_of_decoys_is_kept_once(store: SqliteStore) -> None:
    block = DecoyRow("YT", 13, "", 10, 20, 1e-3, "5eed5eed", 7)
    with store.transaction() as tx:
        tx.add_decoys([block])
    with pytest.raises((WorkspaceError, OutputError)), store.transaction() as tx:
        tx.add_decoys([block])
    with store.reading() as tx:
        assert tx.decoys() == [block]
