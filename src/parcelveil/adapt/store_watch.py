"""The tables of watch in SQLite: cases, deliveries, blocks of decoys. :mod:`.store_sqlite` adds them to a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from parcelveil.ports import AlertRow, DecoyRow, DeliveryRow


class WatchTables:
    """Reads and writes of watch in one transaction."""

    _db: sqlite3.Connection

    def alert(self, uid: str) -> AlertRow | None:
        row = self._db.execute("SELECT * FROM alert WHERE uid = ?", (uid,)).fetchone()
        return AlertRow(*row) if row else None

    def alerts_like(self, start: str, most: int) -> list[AlertRow]:
        # Not LIKE: what is asked for may hold its wildcards.
        statement = "SELECT * FROM alert WHERE substr(uid, 1, ?) = ? ORDER BY uid LIMIT ?"
        return [AlertRow(*row) for row in self._db.execute(statement, (len(start), start, most))]

    def alerts(self, states: Sequence[str] = (), since: int = 0, most: int = -1) -> list[AlertRow]:
        marks = ",".join("?" * len(states))
        chosen = f"AND state IN ({marks})" if states else ""
        statement = f"SELECT * FROM alert WHERE opened_at >= ? {chosen} ORDER BY opened_at DESC, uid LIMIT ?"  # noqa: S608
        return [AlertRow(*row) for row in self._db.execute(statement, (since, *states, most))]

    def put_alerts(self, rows: Sequence[AlertRow]) -> None:
        statement = "INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?, ?, ?, ?)"
        self._db.executemany(statement, map(msgspec.structs.astuple, rows))

    def enqueue(self, rows: Sequence[DeliveryRow]) -> None:
        statement = (
            "INSERT OR IGNORE INTO delivery (target, idempotency_key, body, state, attempts, next_at, why) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        self._db.executemany(statement, (msgspec.structs.astuple(row)[1:] for row in rows))

    def deliveries_due(self, target: str, now: int, most: int) -> list[DeliveryRow]:
        statement = "SELECT * FROM delivery WHERE target = ? AND state = 'queued' AND next_at <= ? ORDER BY id LIMIT ?"
        return [DeliveryRow(*row) for row in self._db.execute(statement, (target, now, most))]

    def put_delivery(self, row: DeliveryRow) -> None:
        self._db.execute(
            "UPDATE delivery SET state = ?, attempts = ?, next_at = ?, why = ?, body = ? WHERE id = ?",
            (row.state, row.attempts, row.next_at, row.why, row.body, row.id),
        )

    def next_delivery(self, target: str) -> int | None:
        statement = "SELECT MIN(next_at) FROM delivery WHERE target = ? AND state = 'queued'"
        found: int | None = self._db.execute(statement, (target,)).fetchone()[0]
        return found

    def delivery_states(self, target: str) -> dict[str, int]:
        statement = "SELECT state, COUNT(*) FROM delivery WHERE target = ? GROUP BY state"
        return dict(self._db.execute(statement, (target,)).fetchall())

    def decoys(self) -> list[DecoyRow]:
        statement = "SELECT * FROM decoy_block ORDER BY letters, width, tail, first"
        return [DecoyRow(*row) for row in self._db.execute(statement)]

    def add_decoys(self, rows: Sequence[DecoyRow]) -> None:
        statement = "INSERT INTO decoy_block VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._db.executemany(statement, map(msgspec.structs.astuple, rows))
