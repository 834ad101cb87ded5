"""The audit log's and the desk's tables in SQLite: the part of a transaction that :mod:`.store_sqlite` adds them with.

Deleted rows are overwritten where they stand (``secure_delete``). Copies that SQLite left elsewhere in the file, and
in its write-ahead log, go when the database is written anew: an erasure asks for that
(:meth:`~parcelveil.adapt.store_sqlite.SqliteStore.settle`).
"""

from __future__ import annotations

import sqlite3

import msgspec

from parcelveil.ports import ApprovalRow, DeviceRow, LimitRow, LogState, PolicyRow, StaffRow, SubjectRow


class Counts:
    """Quota counts that were read or written before, good until another connection writes or something is undone."""

    #: So many are remembered at the most.
    MOST = 200_000

    def __init__(self) -> None:
        self.version = -1  # of the database, as this connection saw it
        self.used: dict[tuple[str, str, int], int] = {}
        self.limits: dict[tuple[str, str, int], LimitRow | None] = {}
        self.fresh: dict[tuple[str, str, int], int] = {}  # counted in this transaction, not written yet

    def begin(self, version: int) -> None:
        """A transaction begins; ``version`` is the database's, which changes when others write."""
        if version != self.version or len(self.used) > self.MOST:
            self.forget()
            self.version = version

    def forget(self) -> None:
        """Read everything again."""
        for counts in (self.used, self.limits, self.fresh):
            counts.clear()


class DeskTables:
    """Reads and writes of the audit log and the desk in one transaction."""

    def __init__(self, db: sqlite3.Connection, counts: Counts) -> None:
        self._db = db
        self._counts = counts

    def _put(self, statement: str, row: msgspec.Struct) -> None:
        self._db.execute(statement, msgspec.structs.astuple(row))

    # -- the audit log ---------------------------------------------------------------------------------------

    def log_state(self) -> LogState:
        row = self._db.execute("SELECT * FROM log_state").fetchone()
        return LogState(*row[1:]) if row else LogState()

    def set_log_state(self, state: LogState) -> None:
        self._put("INSERT OR REPLACE INTO log_state VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)", state)

    def add_group(self, first: int, bundle: bytes) -> None:
        self._db.execute("INSERT INTO log_group VALUES (?, ?)", (first, bundle))

    def groups(self) -> list[tuple[int, bytes]]:
        return self._db.execute("SELECT first, bundle FROM log_group ORDER BY first").fetchall()

    def drop_groups(self, before: int) -> None:
        self._db.execute("DELETE FROM log_group WHERE first < ?", (before,))

    def add_head(self, size: int, root: bytes) -> None:
        self._db.execute("INSERT INTO log_head VALUES (?, ?)", (size, root))

    def heads(self) -> list[tuple[int, bytes]]:
        return self._db.execute("SELECT size, root FROM log_head ORDER BY size").fetchall()

    def add_subjects(self, rows: list[SubjectRow]) -> None:
        self._db.executemany("INSERT INTO subject VALUES (?, ?, ?, ?, ?)", map(msgspec.structs.astuple, rows))

    def subjects_of_entry(self, entry: int) -> list[SubjectRow]:
        rows = self._db.execute("SELECT * FROM subject WHERE entry = ? ORDER BY place", (entry,))
        return [SubjectRow(*row) for row in rows]

    def index_subjects(self) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO subject_token SELECT token, entry, place FROM subject "
            "WHERE entry >= COALESCE((SELECT published FROM log_state), 0) ORDER BY token"
        )

    def subjects_of_token(self, token: bytes) -> list[SubjectRow]:
        self.index_subjects()
        rows = self._db.execute(
            "SELECT subject.* FROM subject_token AS found JOIN subject USING (entry, place) "
            "WHERE found.token = ? ORDER BY entry, place",
            (token,),
        )
        return [SubjectRow(*row) for row in rows]

    def erase_subjects(self, tokens: list[bytes]) -> int:
        self.index_subjects()
        gone = 0
        for token in tokens:
            found = self._db.execute("SELECT entry, place FROM subject_token WHERE token = ?", (token,)).fetchall()
            self._db.executemany("DELETE FROM subject WHERE entry = ? AND place = ?", found)
            self._db.execute("DELETE FROM subject_token WHERE token = ?", (token,))
            gone += len(found)
        return gone

    def erase_subjects_before(self, entry: int) -> int:
        self._db.execute("DELETE FROM subject_token WHERE entry < ?", (entry,))
        return self._db.execute("DELETE FROM subject WHERE entry < ?", (entry,)).rowcount

    # -- what the kernel was let open ------------------------------------------------------------------------

    def draw(self, day: int, values: int) -> None:
        statement = "INSERT INTO meter VALUES (?, ?) ON CONFLICT DO UPDATE SET drawn = drawn + excluded.drawn"
        self._db.execute(statement, (day, values))

    def drawn(self) -> dict[int, int]:
        return dict(self._db.execute("SELECT day, drawn FROM meter ORDER BY day").fetchall())

    # -- staff, devices, policy ------------------------------------------------------------------------------

    def generation(self) -> int:
        row = self._db.execute("SELECT value FROM setting WHERE name = 'generation'").fetchone()
        return int(row[0]) if row else 0

    def _changed(self) -> None:
        value = str(self.generation() + 1)
        self._db.execute("INSERT OR REPLACE INTO setting VALUES ('generation', ?)", (value,))

    def staff(self) -> list[StaffRow]:
        rows = self._db.execute("SELECT * FROM staff ORDER BY number")
        return [
            StaffRow(handle, no, roles, outlet, bool(on), seal=seal) for handle, no, roles, outlet, on, seal in rows
        ]

    def put_staff(self, row: StaffRow) -> None:
        self._put(
            "INSERT INTO staff VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (handle) DO UPDATE SET number = excluded.number,"
            " roles = excluded.roles, outlet = excluded.outlet, active = excluded.active, seal = excluded.seal",
            row,
        )
        self._changed()

    def forget_staff(self, handle: str) -> None:
        self._db.execute("DELETE FROM staff WHERE handle = ?", (handle,))
        self._db.execute("DELETE FROM device WHERE handle = ?", (handle,))
        self._changed()

    def devices(self) -> list[DeviceRow]:
        return [DeviceRow(*row[:-1], seal=row[-1]) for row in self._db.execute("SELECT * FROM device ORDER BY device")]

    def put_device(self, row: DeviceRow) -> None:
        self._put("INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?)", row)
        self._changed()

    def drop_device(self, device: str) -> None:
        self._db.execute("DELETE FROM device WHERE device = ?", (device,))
        self._changed()

    def policies(self) -> list[PolicyRow]:
        return [PolicyRow(*row[:-1], seal=row[-1]) for row in self._db.execute("SELECT * FROM policy ORDER BY version")]

    def put_policy(self, row: PolicyRow) -> None:
        self._put("INSERT OR REPLACE INTO policy VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._changed()

    # -- quotas and approvals --------------------------------------------------------------------------------

    def used(self, who: str, scene: str, day: int) -> int:
        counts, key = self._counts.used, (who, scene, day)
        if key not in counts:
            statement = "SELECT used FROM quota WHERE who = ? AND scene = ? AND day = ?"
            row = self._db.execute(statement, key).fetchone()
            counts[key] = row[0] if row else 0
        return counts[key]

    def use(self, who: str, scene: str, day: int, waybills: int) -> None:
        self._counts.used[who, scene, day] = self.used(who, scene, day) + waybills
        self._counts.fresh[who, scene, day] = self._counts.fresh.get((who, scene, day), 0) + waybills

    def _write_counts(self) -> None:
        """Write what was counted in this transaction."""
        fresh = self._counts.fresh
        if fresh:
            statement = "INSERT INTO quota VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET used = used + excluded.used"
            self._db.executemany(statement, [(*key, waybills) for key, waybills in fresh.items()])
            fresh.clear()

    def usage(self, day: int) -> list[tuple[str, str, int]]:
        self._write_counts()
        statement = "SELECT who, scene, used FROM quota WHERE day = ? ORDER BY used DESC, who, scene"
        return self._db.execute(statement, (day,)).fetchall()

    def limit(self, who: str, scene: str, day: int) -> LimitRow | None:
        counts, key = self._counts.limits, (who, scene, day)
        if key not in counts:
            statement = "SELECT * FROM quota_limit WHERE who = ? AND scene = ? AND day = ?"
            row = self._db.execute(statement, key).fetchone()
            counts[key] = LimitRow(*row[:-1], seal=row[-1]) if row else None
        return counts[key]

    def set_limit(self, row: LimitRow) -> None:
        self._put("INSERT OR REPLACE INTO quota_limit VALUES (?, ?, ?, ?, ?)", row)
        self._counts.limits[row.who, row.scene, row.day] = row

    def approval(self, id: str) -> ApprovalRow | None:
        row = self._db.execute("SELECT * FROM approval WHERE id = ?", (id,)).fetchone()
        return ApprovalRow(*row[:-1], seal=row[-1]) if row else None

    def approvals(self) -> list[ApprovalRow]:
        return [
            ApprovalRow(*row[:-1], seal=row[-1]) for row in self._db.execute("SELECT * FROM approval ORDER BY until")
        ]

    def put_approval(self, row: ApprovalRow) -> None:
        self._put("INSERT OR REPLACE INTO approval VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
