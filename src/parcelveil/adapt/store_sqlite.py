"""The workspace's state in SQLite (``sqlite:`` URIs): one file, one fsync a commit, safe against kill -9.

Writers take turns: a transaction begins with the write lock, so that two processes cannot both make the epoch
of a new day, or both rotate the key-encryption key, or fork the audit log. Threads of one process take turns too. Who only reads waits for no other process.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Self
from urllib.parse import quote

import msgspec

from parcelveil.adapt.store_desk import Counts, DeskTables
from parcelveil.adapt.store_numbers import NumberTables
from parcelveil.adapt.store_watch import WatchTables
from parcelveil.errors import OutputError, WorkspaceError
from parcelveil.ports import EpochRow, PseudonymRow, Run

_WAIT_SECONDS = 30
_NUMBER = re.compile("[0-9]{1,18}")
_READABLE = 4  # the newest schema this version knows


def write_ahead(db: sqlite3.Connection) -> None:
    """Turn to a write-ahead log. SQLite does not wait by itself while another process opens the same new file."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.02)


class SqliteStore:
    """See the module."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.RLock()
        self._counts = Counts()
        # Whoever else may look into the folder: the state is its owner's. SQLite gives its logs the same mode. A file
        # that is there is not touched: closing it here would take away the locks of other connections.
        with suppress(OSError):  # what is wrong with the path, SQLite says below
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            self._db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise _unusable(path, error) from None
        try:
            write_ahead(self._db)
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")
            self._migrate()
        except sqlite3.Error as error:
            self._db.close()
            raise _unusable(path, error) from None
        except BaseException:
            self._db.close()
            raise

    @classmethod
    def reader(cls, path: Path) -> Self:
        """The state as it is, for who only reads: nothing is written, so the folder may be read-only."""
        store = cls.__new__(cls)
        store._path, store._turn, store._counts = path, threading.RLock(), Counts()
        where = f"file:{quote(str(path.absolute()))}?mode=ro"
        # A write-ahead log needs its index beside it; in a folder nobody can write to it stays away, and with it any writer.
        for uri in (where, f"{where}&immutable=1"):
            try:
                store._db = sqlite3.connect(uri, _WAIT_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
                if store._version() == _READABLE:
                    return store
                store._db.close()
                raise WorkspaceError(
                    "{file} is of an older version", hint="run any command with the passphrase once", file=path.name
                )
            except sqlite3.Error as error:
                last = error
        raise _unusable(path, last) from None

    def _version(self) -> int:
        """The schema's version."""
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > _READABLE:
            raise WorkspaceError(
                "{file} was written by a newer parcelveil", hint="update parcelveil to work here", file=self._path.name
            )
        return version

    def _migrate(self) -> None:
        """Bring the schema up to date: all of it or nothing, and by one process only."""
        if self._version() == _READABLE:
            return
        with self.transaction():
            for number in range(self._version() + 1, _READABLE + 1):  # read again: another process may have been first
                script = resources.files(__package__).joinpath(f"migrations/{number:04}.sql").read_text("utf-8")
                for statement in _statements(script):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {number}")

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        with self._within("BEGIN IMMEDIATE") as tx:
            yield tx

    @contextmanager
    def reading(self) -> Iterator[SqliteTransaction]:
        with self._within("BEGIN") as tx:
            self._db.execute("PRAGMA query_only = ON")
            try:
                yield tx
            finally:
                self._db.execute("PRAGMA query_only = OFF")

    @contextmanager
    def _within(self, begin: str) -> Iterator[SqliteTransaction]:
        with self._turn:
            try:
                self._db.execute(begin)
                try:
                    self._counts.begin(self._db.execute("PRAGMA data_version").fetchone()[0])
                    tx = SqliteTransaction(self._db, self._counts)
                    yield tx
                    tx._write_counts()
                    self._db.execute("COMMIT")
                except BaseException:
                    self._counts.forget()
                    if self._db.in_transaction:  # SQLite has rolled back by itself when the disk was full
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise _unusable(self._path, error) from None

    def settle(self) -> None:
        """Write the database anew, then empty its write-ahead log. Takes as long as copying the file.

        ``secure_delete`` alone is not enough: it overwrites a row where it stands, and not what an earlier split of
        its page left behind where it stood before.
        """
        try:
            with self._turn:
                self._db.execute("VACUUM")
                (busy, *_) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            why = "another process is reading" if busy else ""
        except sqlite3.Error as error:
            why = str(error)
        if why:
            raise OutputError(
                "what was deleted is not out of {file} yet: {why}",
                hint="run this again when there is room and nobody else works here",
                file=self._path.name,
                why=why,
            )

    def close(self) -> None:
        self._db.close()


class SqliteTransaction(DeskTables, NumberTables, WatchTables):
    """The reads and writes of one transaction."""

    def kek_version(self) -> int:
        row = self._db.execute("SELECT value FROM setting WHERE name = 'kek_version'").fetchone()
        if row and not _NUMBER.fullmatch(row[0]):
            raise WorkspaceError("the state names no key version", hint="put the newest state.db back")
        return int(row[0]) if row else 0

    def set_kek_version(self, version: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO setting VALUES ('kek_version', ?)", (str(version),))

    def epochs(self) -> list[EpochRow]:
        return [EpochRow(*row) for row in self._db.execute("SELECT * FROM epoch ORDER BY epoch")]

    def put_epoch(self, row: EpochRow) -> None:
        self._db.execute("INSERT OR REPLACE INTO epoch VALUES (?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(row))

    def pseudonym_keys(self) -> list[PseudonymRow]:
        return [PseudonymRow(*row) for row in self._db.execute("SELECT * FROM pseudonym_key ORDER BY purpose, period")]

    def put_pseudonym_key(self, row: PseudonymRow) -> None:
        self._db.execute("INSERT OR REPLACE INTO pseudonym_key VALUES (?, ?, ?, ?)", msgspec.structs.astuple(row))

    def add_run(self, run: Run) -> None:
        self._db.execute("INSERT INTO run VALUES (NULL, ?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(run))

    def runs(self) -> list[Run]:
        columns = 'command, started_at, seconds, "rows", "values", rejected'
        return [Run(*row) for row in self._db.execute(f"SELECT {columns} FROM run ORDER BY id")]  # noqa: S608


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: executed as a whole, it would end the transaction around it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _unusable(path: Path, error: sqlite3.Error) -> OutputError | WorkspaceError:
    if "disk is full" in str(error) or "readonly" in str(error) or "disk I/O" in str(error):
        return OutputError(
            "{file} could not be written: {why}",
            hint="free some space or check the permissions; nothing was changed, and nothing is opened unlogged",
            file=path.name,
            why=str(error),
        )
    if "locked" in str(error):
        return WorkspaceError(
            "{file} is in use by another process", hint="nothing was changed; try again", file=path.name
        )
    return WorkspaceError(
        "{file} cannot be used: {why}", hint="restore it from a backup", file=path.name, why=str(error)
    )
