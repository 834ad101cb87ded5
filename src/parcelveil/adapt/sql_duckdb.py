"""Analysis SQL on DuckDB: :class:`~parcelveil.ports.Sql` for one machine and files of any size.

::

    with closing(DuckdbSql(memory="2GB", threads=2)) as sql:
        sql.load("look", table)
        sql.query("SELECT actor, COUNT(*) AS looks FROM look GROUP BY actor")

Tables lie in a database file in a private folder (mode 700) that goes away with :meth:`~DuckdbSql.close`, so that they
are compressed and more of them than ``memory`` holds are no trouble; ``keep=True`` puts them into memory instead. What
sorts and joins cannot hold spills into the same folder. The database reads no other file, loads no extension and talks
to no network: what runs here is our SQL, but what it runs over came from outside.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from parcelveil.errors import DependencyError, InputError, OutputError

#: Groups up to two to this are counted in an array instead of a hash table, which is three times as fast; 12 without this.
_DIRECT_BITS = 20
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class DuckdbSql:
    """See the module. One connection: not to be used by two threads at once.

    ``memory`` as DuckDB writes it ("2GB"); None leaves its own limit, four fifths of the machine. ``folder``: where the
    private folder is made, the system's place for temporary files if None.
    """

    def __init__(
        self, *, memory: str | None = None, threads: int | None = None, folder: Path | None = None, keep: bool = False
    ) -> None:
        try:
            import duckdb
        except ImportError as fault:
            raise DependencyError(
                "watch calculates in DuckDB, which is not installed", hint="pip install duckdb"
            ) from fault
        self._duckdb = duckdb
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="parcelveil-sql-", dir=folder))
        except OSError as fault:
            raise OutputError("no temporary folder can be made: {why}", why=fault.strerror or "?") from fault
        config: dict[str, str | bool | int | float | list[str]] = {
            "temp_directory": str(self._folder),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": False,
            "perfect_ht_threshold": _DIRECT_BITS,
        }
        if memory is not None:
            config["memory_limit"] = memory
        if threads is not None:
            config["threads"] = threads
        try:
            self._db = duckdb.connect(":memory:" if keep else str(self._folder / "watch.duckdb"), config=config)
            # No file and no network from here on, and nobody can switch it back on.
            self._db.execute("SET enable_external_access = false; SET lock_configuration = true")
        except duckdb.Error as fault:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise InputError("DuckDB does not start with memory {memory}", memory=memory or "-") from fault

    def load(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Make the table ``name`` anew out of ``rows``."""
        self._from_arrow(f"CREATE OR REPLACE TABLE {_name(name)} AS SELECT * FROM arrow_rows", rows)  # noqa: S608 - names are checked

    def append(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Add ``rows`` to the table ``name``, which is made if there is none."""
        self._from_arrow(f"CREATE TABLE IF NOT EXISTS {_name(name)} AS SELECT * FROM arrow_rows LIMIT 0", rows)  # noqa: S608 - names are checked
        self._from_arrow(f"INSERT INTO {name} SELECT * FROM arrow_rows", rows)  # noqa: S608 - names are checked

    def _from_arrow(self, statement: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        self._db.register("arrow_rows", rows)
        try:
            self._run(statement, {})
        finally:
            self._db.unregister("arrow_rows")

    def union(self, name: str, tables: Sequence[str]) -> None:
        """Make the view ``name``: all rows of ``tables``, which are one or more and have the same columns."""
        parts = " UNION ALL ".join(f"SELECT * FROM {_name(table)}" for table in tables)  # noqa: S608
        self._run(f"CREATE OR REPLACE TEMPORARY VIEW {_name(name)} AS {parts}", {})

    def drop(self, name: str) -> None:
        """Drop the table ``name`` if there is one."""
        self._run(f"DROP TABLE IF EXISTS {_name(name)}", {})

    def run(self, text: str, **params: int) -> None:
        """Run the statements of ``text``; ``$name`` stands for a parameter."""
        # Statements with parameters are prepared one at a time, and each takes only those that it names.
        for statement in self._duckdb.extract_statements(text):
            self._run(statement, {name: params[name] for name in statement.named_parameters})

    def query(self, text: str, **params: int) -> pa.Table:
        """The rows of one SELECT, in its order."""
        (statement,) = self._duckdb.extract_statements(text)
        bound = {name: params[name] for name in statement.named_parameters}
        with self._faults():
            rows: pa.Table = self._db.sql(statement, params=bound or None).to_arrow_table()
        return rows

    def close(self) -> None:
        """Drop everything, the private folder included."""
        try:
            self._db.close()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, statement: Any, params: dict[str, int]) -> None:
        with self._faults():
            self._db.execute(statement, params or None)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """What may go wrong on a sound program, in our words: DuckDB's may hold values of rows."""
        try:
            yield
        except self._duckdb.OutOfMemoryException as fault:
            hint = "give it more memory or a larger temporary folder"
            raise OutputError("DuckDB has not enough memory or disk for this", hint=hint) from fault
        except self._duckdb.IOException as fault:
            raise OutputError("DuckDB cannot write its temporary files", hint="is the disk full?") from fault
        except self._duckdb.DataError as fault:
            # Without its message, which holds values.
            raise InputError("a number among the events is too large to calculate with") from fault


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("no name of a table")  # a programmer's mistake: names never come from data
    return name
