"""Tables of PostgreSQL servers (``postgresql:`` URIs), with ``pip install 'parcelveil[postgres]'``; read only.

::

    PostgresTables.open("postgresql://clerk@db.example/parcels?sslmode=verify-full")
    PostgresTables.open("postgresql://clerk@/parcels?host=/var/run/postgresql")

Rows come as Arrow batches by ADBC (``COPY … TO STDOUT``), every value as the text of its type's output function. All
happens in read-only transactions, and only where the URI says: variables of libpq that lead elsewhere are refused.

Whoever may create views or casts in a database could have them run in the name of whom they lure into reading. So views
are left to users without special rights, types that are not PostgreSQL's own are never cast, and foreign tables, which
lie on other servers, are not read. Where row security would silently hide rows the table fails: silence is not "clean".

Samples are ``TABLESAMPLE … REPEATABLE (seed)`` (of rows, above two million rows of pages); of views, rows by a hash of
their contents. The same seed gives the same rows until something is written.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import pyarrow as pa

from parcelveil.adapt.table_cells import BATCH_ROWS, TextBatches, plain_decimals
from parcelveil.adapt.table_uri import ServerUri, display, no_connection, parse
from parcelveil.errors import DependencyError, InputError, UsageError

OPTIONS = frozenset({"host", "sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout"})
#: libpq would read from them where to go.
_ELSEWHERE = ("PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE")
_CONNECT_SECONDS = 10
_ESTIMATE = 100_000  # rows above which PostgreSQL's own estimate is good enough
_PAGES = 2_000_000  # rows above which a sample is drawn by pages: by rows the whole table would be read
_BATCH_BYTES = 8 << 20
_BYTEA, _NUMERIC, _FIRST_OWN_TYPE = 17, 1700, 16384

DENIED = "this user may not read it"
DENIED_COLUMN = "a column that this user may not read"
FOREIGN = "its rows lie on another server"
VIEW = "a view: with rights as great as these its functions are not to be trusted; use a user without them"
UNFILLED = "a materialised view that was never filled"

_TABLES = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text,
       has_schema_privilege(n.oid, 'USAGE'), c.relispopulated, greatest(c.reltuples, -1)::bigint,
       EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) p
               JOIN pg_catalog.pg_class f ON f.oid = p.relid WHERE f.relkind = 'f')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 2, 3
"""
_COLUMNS = """
SELECT a.attrelid::bigint, a.attname::text, has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
       coalesce(nullif(t.typbasetype, 0), t.oid)::bigint
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY a.attrelid, a.attnum
"""


class _Column(NamedTuple):
    name: str
    type: int


class _Table(NamedTuple):
    schema: str
    table: str
    kind: str
    rows: int  # as estimated when it was last analysed; -1: never
    columns: list[_Column]
    denied: int


class PostgresTables:
    """See the module."""

    def __init__(self, uri: ServerUri) -> None:
        self.name = uri.shown
        self._uri = uri
        self._found: dict[str, _Table] = {}
        self._skipped: dict[str, str] = {}
        self._left_out: dict[str, Counter[str]] = {}
        with self._connected() as cursor:
            self._read_schema(cursor)

    @classmethod
    def open(cls, uri: str) -> Self:
        """Connects. Raises UsageError for a URI that names no host, InputError when the server does not let us in."""
        parsed = parse(uri, OPTIONS, "PGPASSWORD")
        if not (parsed.host or parsed.options.get("host")):
            raise UsageError(
                "{uri} names no host",
                hint="write postgresql://user@host/database, or ?host=/folder/of/socket",
                uri=parsed.shown,
            )
        for variable in _ELSEWHERE:
            if os.environ.get(variable):
                raise UsageError(
                    "the environment variable {variable} leads away from what the URI says",
                    hint="unset it and run the command again",
                    variable=variable,
                )
        return cls(parsed)

    def tables(self) -> list[str]:
        """Tables, partitioned tables (with their partitions), materialised views, and views."""
        return sorted(self._found)

    def skipped(self) -> dict[str, str]:
        """See :class:`~parcelveil.ports.Tables`."""
        return dict(self._skipped)

    def columns(self, table: str) -> list[str]:
        """The columns that this user may read."""
        return [column.name for column in self._found[table].columns]

    def count(self, table: str) -> int | None:
        """Counted up to 100,000 rows, as last estimated above; None for views."""
        found = self._found[table]
        if found.kind == "v":
            return None
        if found.rows > _ESTIMATE:
            return found.rows
        with self._connected(table) as cursor:
            cursor.execute(f"SELECT count(*) FROM {_source(found)}")  # noqa: S608
            return int(cursor.fetchone()[0])

    def left_out(self, table: str) -> dict[str, int]:
        """See :class:`~parcelveil.ports.Tables`."""
        return dict(self._left_out.get(table, {}))

    def close(self) -> None:
        """Nothing to do: connections last as long as what is read through them."""

    def batches(
        self, table: str, *, sample: int | None = None, seed: int = 0, batch_rows: int = BATCH_ROWS
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """See :class:`~parcelveil.ports.Tables`. Each call has a connection of its own."""
        found = self._found[table]
        left_out = self._left_out[table] = Counter({DENIED_COLUMN: found.denied} if found.denied else {})
        cells = TextBatches([column.name for column in found.columns], left_out)
        decimals = [column.name for column in found.columns if column.type == _NUMERIC]
        with self._connected(table) as cursor:
            query = _select(found)
            if sample is not None:
                query += self._sampling(cursor, found, sample, seed)
            cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)})
            cursor.execute(query)
            with cursor.fetch_record_batch() as reader:
                for batch in reader:
                    batch.validate()
                    for part in cells.of_arrow(batch, batch_rows):
                        yield -1, plain_decimals(part, decimals)

    # ---- inside

    def _sampling(self, cursor: Any, found: _Table, sample: int, seed: int) -> str:
        rows = found.rows if found.kind != "v" else -1
        if rows <= _ESTIMATE:
            cursor.execute(f"SELECT count(*) FROM {_source(found)}")  # noqa: S608
            rows = int(cursor.fetchone()[0])
        if rows <= sample:
            return ""
        if found.kind == "v":
            share = round(sample / rows * (1 << 31))
            text = "format('%s', row(t.*))"
            return f" t WHERE pg_catalog.hashtextextended({text}, {int(seed)}) & {(1 << 31) - 1} < {share}"
        method = "SYSTEM" if rows > _PAGES else "BERNOULLI"
        return f" TABLESAMPLE {method} ({100 * sample / rows:.12f}) REPEATABLE ({int(seed)})"

    def _read_schema(self, cursor: Any) -> None:
        cursor.execute("SELECT current_setting('is_superuser') = 'on'")
        powerful = bool(cursor.fetchone()[0])
        cursor.execute(_COLUMNS)
        columns: dict[int, list[tuple[bool, _Column]]] = {}
        for relation, name, allowed, kind in cursor.fetchall():
            columns.setdefault(relation, []).append((allowed, _Column(name, kind)))
        cursor.execute(_TABLES)
        for relation, schema, table, kind, usable, filled, rows, elsewhere in cursor.fetchall():
            name, own = display(schema, table), columns.get(relation, [])
            readable = [column for allowed, column in own if allowed]
            if kind == "f" or elsewhere:
                self._skipped[name] = FOREIGN
            elif kind == "v" and powerful:
                self._skipped[name] = VIEW
            elif not filled:
                self._skipped[name] = UNFILLED
            elif not usable or (own and not readable):
                self._skipped[name] = DENIED
            elif own:
                self._found[name] = _Table(schema, table, kind, rows, readable, len(own) - len(readable))

    @contextmanager
    def _connected(self, table: str = "") -> Iterator[Any]:
        """A cursor in a read-only transaction; what goes wrong in the block is said without the server's words, which may
        quote rows."""
        dbapi = _driver()
        try:
            connection = dbapi.connect(self._address())
        except dbapi.Error as error:
            raise no_connection(self._uri, _refusal(str(error))) from None
        try:
            with connection.cursor() as cursor:
                yield cursor
        except (
            dbapi.Error,
            pa.ArrowException,
            OSError,
        ) as error:  # OSError: what the driver raises between two batches
            place = f"{self.name}#{table}" if table else self.name
            why = _FAILURES.get(str(getattr(error, "sqlstate", None) or ""), "the server gave it up")
            raise InputError(
                "{table} cannot be read: {why}", hint="other tables are not touched by it", table=place, why=why
            ) from None
        finally:
            connection.close()

    def _address(self) -> str:
        uri = self._uri
        timeout = uri.options.get("connect_timeout", "")
        words = {
            "host": uri.host or uri.options["host"],
            "port": str(uri.port or 5432),
            "user": uri.user,
            "dbname": uri.database,
            "password": uri.password.value.decode("utf-8", "surrogateescape") if uri.password else "",
            "connect_timeout": timeout if timeout.isdigit() else str(_CONNECT_SECONDS),
            "client_encoding": "UTF8",
            "application_name": "parcelveil scan",
            # search_path: nobody's function or operator stands in for one of PostgreSQL's own.
            "options": "-c default_transaction_read_only=on -c row_security=off -c search_path=pg_catalog"
            " -c standard_conforming_strings=on -c datestyle=ISO -c bytea_output=hex",
        }
        words |= {name: value for name, value in uri.options.items() if name.startswith("ssl")}
        quoted = ((name, value.replace("\\", "\\\\").replace("'", "\\'")) for name, value in words.items() if value)
        return " ".join(f"{name}='{value}'" for name, value in quoted)


#: What the server's error codes mean (PostgreSQL documentation, appendix A).
_FAILURES = {
    "42501": "this user may not read it, or not all rows of it",
    "42P01": "it is gone",
    "42703": "a column of it is gone",
    "57014": "the server broke the query off",
    "57P01": "the server is shutting down",
    "53200": "the server is out of memory",
    "54000": "a row is too large for the server",
    "25006": "it writes something when it is read",
    "XX001": "its data are damaged",
}
_REFUSALS = {
    "password authentication failed": "user or password are wrong",
    "no password supplied": "a password is needed: PGPASSWORD, or password-file= in the URI",
    "no pg_hba.conf entry": "the server does not let this user in from here",
    "peer authentication failed": "the server lets in only the system's user of that name",
    "connection refused": "nothing listens there",
    "no such file": "there is no such socket",
    "could not translate host name": "the host is not known",
    "timeout expired": "it did not answer in time",
    "timed out": "it did not answer in time",
    "role": "there is no such user, or it may not log in",
    "database": "there is no such database, or this user may not connect to it",
    "certificate": "its certificate is not trusted",
    "ssl": "an encrypted connection did not come about",
    "too many": "it has too many connections",
    "starting up": "it is just starting",
}


def _refusal(message: str) -> str:
    """Why a connection failed, in our own words: libpq's may quote what was typed."""
    lowered = message.casefold()
    return next((why for sign, why in _REFUSALS.items() if sign in lowered), "the server did not let us in")


def _driver() -> Any:
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise DependencyError(
            "reading PostgreSQL needs the package adbc-driver-postgresql", hint="pip install 'parcelveil[postgres]'"
        ) from None
    return dbapi


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _source(found: _Table) -> str:
    # ONLY: tables that inherit from it are read as tables of their own. Partitions are not.
    only = "ONLY " if found.kind == "r" else ""
    return f"{only}{_quoted(found.schema)}.{_quoted(found.table)}"


def _select(found: _Table) -> str:
    parts = []
    for column in found.columns:
        name = _quoted(column.name)
        if column.type == _BYTEA:
            parts.append(name)
        elif column.type < _FIRST_OWN_TYPE:
            parts.append(f"{name}::text AS {name}")
        else:  # a cast to text may be somebody's function; format() calls the type's output function
            parts.append(
                f"CASE WHEN {name} IS NOT DISTINCT FROM NULL THEN NULL ELSE format('%s', {name}) END AS {name}"
            )
    return f"SELECT {', '.join(parts)} FROM {_source(found)}"  # noqa: S608
