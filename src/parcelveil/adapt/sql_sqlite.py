"""Analysis SQL on SQLite: :class:`~parcelveil.ports.Sql` for small installations, and to prove that the SQL is portable.

::

    with closing(SqliteSql()) as sql:
        sql.load("look", table)
        sql.query("SELECT actor, COUNT(*) AS looks FROM look GROUP BY actor")

Everything is in memory and gone with :meth:`~SqliteSql.close`. A table with a column ``waybill`` gets an index on it: joins
by parcel are no joke without one (notes on SQLite 3.40: nine minutes for 300,000 rows, and not finished). SQLite has no
``BIT_OR``; it is added here. Answers are ``int64`` whatever went in.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

import pyarrow as pa

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ROWS = 65_536


class _BitOr:
    """The aggregate ``BIT_OR``: null over nothing but nulls."""

    def __init__(self) -> None:
        self.bits: int | None = None

    def step(self, value: int | None, /) -> None:
        if value is not None:
            self.bits = (self.bits or 0) | value

    def finalize(self) -> int | None:
        return self.bits


class SqliteSql:
    """See the module."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        self._db.create_aggregate("bit_or", 1, _BitOr)  # type: ignore[arg-type]  # typeshed wants any value

    def load(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Make the table ``name`` anew out of ``rows``."""
        self.drop(name)
        self.append(name, rows)

    def append(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Add ``rows`` to the table ``name``, which is made if there is none."""
        columns = [_name(column) for column in rows.schema.names]
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {_name(name)} ({', '.join(f'{column} INTEGER' for column in columns)})"
        )
        insert = f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - names are checked
        batches = rows.to_batches(max_chunksize=_ROWS) if isinstance(rows, pa.Table) else rows
        self._db.execute("BEGIN")
        try:
            for batch in batches:
                self._db.executemany(insert, zip(*(column.to_pylist() for column in batch.columns), strict=True))
        finally:
            self._db.execute("COMMIT")
        if "waybill" in columns:
            self._db.execute(f"CREATE INDEX IF NOT EXISTS {name}_by_waybill ON {name} (waybill)")

    def union(self, name: str, tables: Sequence[str]) -> None:
        """Make the view ``name``: all rows of ``tables``."""
        parts = " UNION ALL ".join(f"SELECT * FROM {_name(table)}" for table in tables)  # noqa: S608
        self._db.execute(f"DROP VIEW IF EXISTS {_name(name)}")
        self._db.execute(f"CREATE TEMPORARY VIEW {name} AS {parts}")

    def drop(self, name: str) -> None:
        """Drop the table ``name`` if there is one."""
        self._db.execute(f"DROP TABLE IF EXISTS {_name(name)}")

    def run(self, text: str, **params: int) -> None:
        """Run the statements of ``text``."""
        for statement in _statements(text):
            self._db.execute(statement, params)

    def query(self, text: str, **params: int) -> pa.Table:
        """The rows of one SELECT."""
        (statement,) = _statements(text)
        found = self._db.execute(statement, params)
        names = [column[0] for column in found.description]
        columns = list(zip(*found.fetchall(), strict=True)) or [()] * len(names)
        return pa.table([pa.array(column, pa.int64()) for column in columns], names=names)

    def close(self) -> None:
        """Drop everything."""
        self._db.close()


def _statements(text: str) -> list[str]:
    """The statements of a script, without comments. None of ours has a semicolon or ``--`` inside a literal."""
    bare = "\n".join(line.split("--")[0] for line in text.splitlines())
    return [statement for statement in bare.split(";") if statement.strip()]


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("no name of a table")  # a programmer's mistake: names never come from data
    return name
