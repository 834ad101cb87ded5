"""Tables and views of SQLite databases (``sqlite:`` URIs and ``.db`` files), read and never written to.

::

    with closing(SqliteTables.open("old.db")) as database:
        for first_row, batch in database.batches("clients"): ...

A database may come from an enemy, so its schema is not trusted: no extensions, no functions with side effects in views
or generated columns, nothing attached, sorting in memory only, names always quoted, and a row that takes longer than
:data:`ROW_SECONDS` to come (a view can count for ever) ends its table. See "Defense Against The Dark Arts" in SQLite's
documentation.

Nothing appears beside the file: it is opened with ``mode=ro``, and where nobody can be writing to it (a write-ahead log
is switched on and none lies there) as ``immutable``. With a write-ahead log it never is: the newest rows lie there.

Rows are numbered from 1 in the order of the scan, which for tables is that of their rowid.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from parcelveil.adapt.source import unique_names
from parcelveil.adapt.table_cells import BATCH_ROWS, TextBatches, decoded
from parcelveil.errors import InputError

ROW_SECONDS = 30.0
VIEW_ROWS = 10_000_000  # of a view: more may be made up than the file has bytes
VIEW = "rows of a view behind the first ten million"
SLOW = "all rows behind one that took longer than 30 seconds"
SHADOW = "it holds the index of another table"
UNKNOWN = "it needs what is gone, or functions and modules that are not here or not to be trusted"
_LONGEST_CELL = 256 << 20
_WAL = (18, 19)  # places in the header of the versions to write and read with; 2 means a write-ahead log
_STEPS = 100_000  # of SQLite's machine between two looks at the clock
_DRAWN_AT_ONCE = 4096


class SqliteTables:
    """See the module. ``connection`` is this object's own."""

    def __init__(self, name: str, connection: sqlite3.Connection) -> None:
        self.name = name
        self._db = connection
        self._rows_seen = self._rows_then = 0
        self._since = time.monotonic()
        self._left_out: dict[str, Counter[str]] = {}
        self._views: set[str] = set()
        self._skipped: dict[str, str] = {}
        self._columns: dict[str, list[str]] = {}
        self._rowid: dict[str, str] = {}
        connection.text_factory = decoded
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_CELL)
        connection.set_progress_handler(self._late, _STEPS)
        try:
            for setting in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {setting}")
            connection.execute("PRAGMA mmap_size = 0")  # a file that shrinks while it is read must not kill us
            self._read_schema()
            # Texts as they lie there, to be decoded by the column: old Chinese programs put GB18030 there.
            connection.text_factory = bytearray
        except sqlite3.Error as error:
            connection.close()
            raise _unreadable(name, error) from None
        except BaseException:
            connection.close()
            raise

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """A file. Raises InputError where there is none, where it is no database, and where it cannot be read as it is."""
        place = Path(path)
        try:
            with place.open("rb") as file:
                head = file.read(100)
            waiting = os.path.exists(f"{place}-wal") and os.path.getsize(f"{place}-wal") > 0  # noqa: PTH110, PTH202
        except OSError as error:
            raise InputError("{file} cannot be read: {why}", file=str(path), why=error.strerror or "no file") from None
        if head and not head.startswith(b"SQLite format 3\x00"):
            raise _no_database(str(path))
        logged = len(head) == 100 and 2 in (head[_WAL[0]], head[_WAL[1]])
        mode = "mode=ro&immutable=1" if logged and not waiting else "mode=ro"
        try:
            uri = f"file:{quote(os.fspath(place.absolute()))}?{mode}"
            connection = sqlite3.connect(uri, timeout=10, isolation_level=None, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise _unreadable(str(path), error) from None
        return cls(str(path), connection)

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> Self:
        """A database that lies in memory, from an archive. It is copied twice: the caller bounds its size."""
        if not data.startswith(b"SQLite format 3\x00") or len(data) < 100:
            raise _no_database(name)
        image = bytearray(data)
        image[_WAL[0]] = image[_WAL[1]] = 1  # a log is not in the image, and without one it would not open
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            connection.deserialize(bytes(image))
        except sqlite3.Error as error:
            connection.close()
            raise _unreadable(name, error) from None
        return cls(name, connection)

    def tables(self) -> list[str]:
        """Tables, views, and virtual tables of modules that SQLite knows."""
        return sorted(self._columns)

    def skipped(self) -> dict[str, str]:
        """Shadow tables (what they hold is read through their table), and what cannot be understood."""
        return dict(self._skipped)

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns, hidden ones left out."""
        return list(self._columns[table])

    def count(self, table: str) -> int | None:
        """How many rows; None for views."""
        if table in self._views:
            return None
        return int(self._one(table, f"SELECT count(*) FROM {_quoted(table)}"))  # noqa: S608

    def left_out(self, table: str) -> dict[str, int]:
        """See :class:`~parcelveil.ports.Tables`."""
        return dict(self._left_out.get(table, {}))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def batches(
        self, table: str, *, sample: int | None = None, seed: int = 0, batch_rows: int = BATCH_ROWS
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """See :class:`~parcelveil.ports.Tables`."""
        left_out = self._left_out.setdefault(table, Counter())
        cells = TextBatches(self._columns[table], left_out)
        rows = self._all(table, left_out) if sample is None else self._drawn(table, sample, seed, left_out)
        first = 1
        for batch in cells.of_rows(rows, batch_rows):
            yield (first if sample is None else -1), batch
            first += batch.num_rows

    # ---- inside

    def _late(self) -> bool:
        """Called by SQLite now and then: whether no row has come for too long. Time that the caller takes does not count."""
        now = time.monotonic()
        if self._rows_seen != self._rows_then:
            self._rows_then, self._since = self._rows_seen, now
        return now - self._since > ROW_SECONDS

    def _select(self, table: str) -> str:
        names = ", ".join(map(_quoted, self._columns[table]))
        return f"SELECT {names} FROM {_quoted(table)}"  # noqa: S608

    def _all(self, table: str, left_out: Counter[str]) -> Iterator[tuple[object, ...]]:
        order = f" ORDER BY {self._rowid[table]}" if table in self._rowid else ""
        most = VIEW_ROWS if table in self._views else None
        for number, row in enumerate(self._rows(table, self._select(table) + order, (), left_out)):
            if number == most:
                left_out[VIEW] += 1
                return
            yield row

    def _rows(
        self, table: str, query: str, values: tuple[object, ...], left_out: Counter[str]
    ) -> Iterator[tuple[object, ...]]:
        try:
            self._rows_seen += 1
            for row in self._db.execute(query, values):
                self._rows_seen += 1
                yield row
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_INTERRUPT":
                raise _unreadable(f"{self.name}#{table}", error) from None
            left_out[SLOW] += 1
        except sqlite3.Error as error:
            raise _unreadable(f"{self.name}#{table}", error) from None

    def _one(self, table: str, query: str) -> int:
        left_out: Counter[str] = Counter()
        row = next(iter(list(self._rows(table, query, (), left_out))), (0,))
        return int(row[0] or 0)  # type: ignore[call-overload, no-any-return]

    def _drawn(self, table: str, sample: int, seed: int, left_out: Counter[str]) -> Iterator[tuple[object, ...]]:
        """Rows at random places. By rowid where rowids are dense, else by position in one pass over the table."""
        random = np.random.default_rng(seed)
        if table in self._rowid:
            found = self._by_rowid(table, sample, random, left_out)
            if found is not None:
                yield from found
                return
        source = _quoted(table)
        count = min(self._one(table, f"SELECT count(*) FROM {source}"), 2**62)  # noqa: S608
        if sample >= count:
            yield from self._all(table, left_out)
            return
        chosen = np.sort(random.choice(count, size=sample, replace=False, shuffle=False))
        wanted = iter(chosen.tolist())
        next_one = next(wanted, None)
        for number, row in enumerate(self._all(table, left_out)):
            if number == next_one:
                yield row
                next_one = next(wanted, None)
                if next_one is None:
                    return

    def _by_rowid(
        self, table: str, sample: int, random: np.random.Generator, left_out: Counter[str]
    ) -> Iterator[tuple[object, ...]] | None:
        """Draws rowids between the least and the greatest and keeps those that exist: every row is as likely as any
        other, and a table of any size is not read as a whole. None where too few exist, or all are wanted."""
        key, source = self._rowid[table], _quoted(table)
        low = self._one(table, f"SELECT min({key}) FROM {source}")  # noqa: S608
        high = self._one(table, f"SELECT max({key}) FROM {source}")  # noqa: S608
        if not 0 <= high - low < 2**62 or high - low < 4 * sample:
            return None
        exists = f"SELECT {key} FROM {source} WHERE {key} IN (SELECT value FROM json_each(?))"  # noqa: S608
        kept: dict[int, None] = {}
        for _ in range(40 * sample // _DRAWN_AT_ONCE + 1):
            drawn = random.integers(low, high, size=_DRAWN_AT_ONCE, endpoint=True).tolist()
            there = {row[0] for row in self._rows(table, exists, (json.dumps(drawn),), left_out)}
            kept.update((number, None) for number in drawn if number in there)
            if len(kept) >= sample:
                return self._of_rowids(table, sorted(list(kept)[:sample]), left_out)
        return None

    def _of_rowids(self, table: str, numbers: list[int], left_out: Counter[str]) -> Iterator[tuple[object, ...]]:
        key = self._rowid[table]
        query = f"{self._select(table)} WHERE {key} IN (SELECT value FROM json_each(?)) ORDER BY {key}"  # noqa: S608
        for start in range(0, len(numbers), _DRAWN_AT_ONCE):
            yield from self._rows(table, query, (json.dumps(numbers[start : start + _DRAWN_AT_ONCE]),), left_out)

    def _names_of(self, table: str) -> list[str] | None:
        try:
            listed = self._db.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,)).fetchall()
            names = [column for column, hidden in listed if hidden != 1]
            # Only compiled: running a view, be it for no row, may fail or last for ever.
            self._db.execute(f"EXPLAIN SELECT {', '.join(map(_quoted, names))} FROM {_quoted(table)}").close()  # noqa: S608
        except sqlite3.Error:
            return None
        return names if unique_names(names) == names else None

    def _read_schema(self) -> None:
        found = self._db.execute("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'").fetchall()
        for name, kind, without_rowid in found:
            if name.startswith("sqlite_"):
                continue
            if kind == "shadow":
                self._skipped[name] = SHADOW
                continue
            names = self._names_of(name)
            if names is None:
                self._skipped[name] = UNKNOWN
                continue
            self._columns[name] = names
            if kind == "view":
                self._views.add(name)
            elif kind == "table" and not without_rowid:
                taken = {column.casefold() for column in names}
                free = [key for key in ("rowid", "_rowid_", "oid") if key not in taken]
                if free:  # a column of that name would be meant instead
                    self._rowid[name] = free[0]


def _quoted(name: str) -> str:
    # Between double quotes SQLite would take a name that it does not find for a text.
    return "`" + name.replace("`", "``") + "`"


def _no_database(name: str) -> InputError:
    return InputError("{file} is no SQLite database", hint="check the path", file=name)


def _unreadable(name: str, error: sqlite3.Error) -> InputError:
    """What SQLite says may quote what a table holds; which error it is does not."""
    code = getattr(error, "sqlite_errorname", None) or "SQLITE_ERROR"
    reasons = {
        "SQLITE_BUSY": ("another program is writing to it", "try again when it is done"),
        "SQLITE_CANTOPEN": (
            "it cannot be opened without writing beside it",
            "copy the file together with its -wal or -journal file to a folder of your own",
        ),
        "SQLITE_READONLY": (
            "it was left in the middle of a change",
            "copy it and its -journal file, open the copy once with its own program",
        ),
        "SQLITE_NOTADB": ("it is encrypted, or no SQLite database", "open it with its own program"),
        "SQLITE_CORRUPT": ("it is damaged", "rows before the damage were read"),
        "SQLITE_TOOBIG": ("a cell is larger than 256 MiB", "rows before it were read"),
        "SQLITE_INTERRUPT": ("it took too long", "its schema may be made to take for ever"),
    }
    known = next((code_of for code_of in reasons if code.startswith(code_of)), None)
    why, hint = reasons[known] if known else (f"SQLite reports {code}", "check it with its own program")
    return InputError("{file} cannot be read: {why}", hint=hint, file=name, why=why)
