"""Tables of MySQL and MariaDB servers (``mysql:`` and ``mariadb:`` URIs), with ``pip install 'parcelveil[mysql]'``.

::

    MysqlTables.open("mysql://clerk@db.example/parcels")                # one database
    MysqlTables.open("mariadb://clerk@/?socket=/run/mysqld/mysqld.sock")  # all that the user may see

Rows are streamed (nothing is held but a batch), as the bytes that the server sends for each value, in read-only
transactions. The server cannot ask for files of ours (LOAD DATA LOCAL is off). The connection is encrypted where the
server can; ``?tls=verify`` (or ``tls-ca=FILE``) demands it and checks the certificate.

Samples are rows for which ``RAND(seed)`` is small, in the order in which the server walks through the table: the same
seed gives the same rows until something is written.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import pyarrow as pa

from parcelveil.adapt.table_cells import BATCH_ROWS, TextBatches, plain_decimals
from parcelveil.adapt.table_uri import ServerUri, display, no_connection, parse
from parcelveil.errors import DependencyError, InputError, UsageError

OPTIONS = frozenset({"socket", "tls", "tls-ca"})
#: What PyMySQL raises, besides its own errors, over packets that make no sense (RuntimeError: over a way to log in that
#: needs another package).
_NONSENSE = (OSError, ValueError, TypeError, LookupError, AttributeError, AssertionError, RuntimeError, struct.error)
_CONNECT_SECONDS = 10
_READ_SECONDS = 600  # a sample of a large table may be silent for long
_ESTIMATE = 100_000
_SYSTEM = ("mysql", "information_schema", "performance_schema", "sys")

BROKEN = "a view that is broken, that writes, or that this user may not look into"
ENGINE = "its rows lie on another server, or outside of the database"
#: Engines whose tables read something else than the server's own files.
_ELSEWHERE = frozenset({"FEDERATED", "CONNECT", "SPIDER", "S3", "SPHINX", "NDB", "NDBCLUSTER"})

_TABLES = """
SELECT table_schema, table_name, table_type, table_rows, engine FROM information_schema.tables
WHERE table_schema NOT IN (%s, %s, %s, %s) AND table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
"""
_COLUMNS = """
SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
WHERE table_schema NOT IN (%s, %s, %s, %s)
"""


class _Table(NamedTuple):
    schema: str
    table: str
    view: bool
    rows: int
    columns: list[str]
    decimals: list[str]  # those that hold decimal numbers


class MysqlTables:
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
        parsed = parse(uri, OPTIONS, "MYSQL_PWD")
        if not (parsed.host or parsed.options.get("socket")):
            raise UsageError(
                "{uri} names no host",
                hint="write mysql://user@host/database, or ?socket=/path/of/socket",
                uri=parsed.shown,
            )
        if parsed.options.get("tls", "on") not in {"on", "off", "verify"}:
            raise UsageError("{uri}: tls is on, off or verify", uri=parsed.shown)
        return cls(parsed)

    def tables(self) -> list[str]:
        """Tables and views; with their database, of which a URI without one gives all."""
        return sorted(self._found)

    def skipped(self) -> dict[str, str]:
        """See :class:`~parcelveil.ports.Tables`. What this user may not see at all the server does not tell."""
        return dict(self._skipped)

    def columns(self, table: str) -> list[str]:
        """The columns that this user may read."""
        return list(self._found[table].columns)

    def count(self, table: str) -> int | None:
        """Counted up to 100,000 rows, as the server estimates above; None for views."""
        found = self._found[table]
        if found.view:
            return None
        if found.rows > _ESTIMATE:
            return found.rows
        with self._connected(table) as cursor:
            return _count(cursor, found)

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
        left_out = self._left_out[table] = Counter()
        cells = TextBatches(found.columns, left_out)
        with self._connected(table) as cursor:
            names = ", ".join(map(_quoted, found.columns))
            query = f"SELECT {names} FROM {_source(found)}"  # noqa: S608
            if sample is not None:
                rows = found.rows if found.rows > _ESTIMATE and not found.view else _count(cursor, found)
                if rows > sample:
                    # A literal, not a value bound: only then the server keeps one sequence for all rows.
                    query += f" WHERE RAND({int(seed) % (1 << 32)}) < {sample / rows:.12f}"
            cursor.execute(query)
            for batch in cells.of_rows(cursor, batch_rows):
                yield -1, plain_decimals(batch, found.decimals)

    # ---- inside

    def _read_schema(self, cursor: Any) -> None:
        chosen, values = "", [*_SYSTEM]
        if self._uri.database:
            chosen, values = " AND table_schema = %s", [*_SYSTEM, self._uri.database]
        cursor.execute(f"{_COLUMNS}{chosen} ORDER BY table_schema, table_name, ordinal_position", values)
        columns: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for row in cursor:
            schema, table, column, kind = map(_text, row)
            columns.setdefault((schema, table), []).append((column, kind.lower()))
        cursor.execute(_TABLES + chosen, values)
        for row in cursor:
            schema, table, kind = map(_text, row[:3])
            own, name = columns.get((schema, table), []), display(schema, table)
            if _text(row[4]).upper() in _ELSEWHERE:
                self._skipped[name] = ENGINE
            elif own:
                rows = int(row[3] or 0)
                names = [column for column, _ in own]
                decimals = [column for column, of in own if of in {"decimal", "numeric"}]
                self._found[name] = _Table(schema, table, kind == "VIEW", rows, names, decimals)
            else:
                self._skipped[name] = BROKEN

    @contextmanager
    def _connected(self, table: str = "") -> Iterator[Any]:
        """A streaming cursor in a read-only transaction; errors in our own words: the server's may quote rows."""
        pymysql = _driver()
        try:
            connection = _connect(pymysql, self._uri)
        except (pymysql.Error, *_NONSENSE) as error:
            raise no_connection(self._uri, _refusal(error)) from None
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
                cursor.execute("START TRANSACTION READ ONLY")
            yield connection.cursor()
        except (pymysql.Error, *_NONSENSE) as error:
            place = f"{self.name}#{table}" if table else self.name
            why = _FAILURES.get(_code(error), "the server gave it up")
            raise InputError(
                "{table} cannot be read: {why}", hint="other tables are not touched by it", table=place, why=why
            ) from None
        finally:
            # What was not read of an answer PyMySQL would read to its end first, be it a billion rows.
            answer = connection._result
            if answer is not None:
                answer.unbuffered_active = False
            connection.close()


def _connect(pymysql: Any, uri: ServerUri) -> Any:
    ways: dict[str, dict[str, object]] = {
        "on": {},
        "off": {"ssl_disabled": True},
        "verify": {"ssl_verify_cert": True, "ssl_verify_identity": True},
    }
    secure = dict(ways[uri.options.get("tls", "verify" if "tls-ca" in uri.options else "on")])
    if "tls-ca" in uri.options:
        secure["ssl_ca"] = uri.options["tls-ca"]
    connection = pymysql.connect(
        defer_connect=True,
        host=uri.host or "localhost",
        port=uri.port or 3306,
        user=uri.user or None,
        password=uri.password.value if uri.password else "",
        database=uri.database or None,
        charset="utf8mb4",
        use_unicode=False,
        conv={kind: way for kind, way in pymysql.converters.conversions.items() if type(kind) is not int},
        cursorclass=pymysql.cursors.SSCursor,
        read_timeout=_CONNECT_SECONDS,
        local_infile=False,
        autocommit=True,
        **secure,
    )
    # The socket is made here, because a server that accepts and then says nothing must be given up as soon as one
    # that does not accept, and because PyMySQL leaves a socket open that does not connect.
    if path := uri.options.get("socket"):
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.settimeout(_CONNECT_SECONDS)
            line.connect(path)
        except BaseException:
            line.close()
            raise
    else:
        line = socket.create_connection((uri.host, uri.port or 3306), _CONNECT_SECONDS)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.connect(line)
    connection._read_timeout = _READ_SECONDS
    return connection


#: What the error codes of both servers mean.
_FAILURES = {
    1142: "this user may not read it",
    1143: "this user may not read all of its columns",
    1044: "this user may not read it",
    1045: "this user may not read it",
    1370: "it uses a function that this user may not call",
    1146: "it is gone",
    1054: "a column of it is gone",
    1356: "it is a view whose tables are gone, or which this user may not look into",
    1792: "it writes something when it is read",
    1317: "the server broke the query off",
    1969: "the server broke the query off",
    3024: "the server broke the query off",
    2013: "the connection broke off",
    2006: "the connection broke off",
    1034: "its index is damaged",
    1194: "it is damaged",
    1195: "it is damaged",
    1932: "the server does not find its file",
}
_REFUSALS = {
    1045: "user or password are wrong",
    1698: "the server lets in only the system's user of that name",
    1049: "there is no such database",
    1044: "this user may not use that database",
    1130: "the server does not let anybody in from here",
    1040: "it has too many connections",
    1129: "it has blocked this host",
}


def _code(error: BaseException) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _refusal(error: BaseException) -> str:
    cause = getattr(error, "original_exception", None) or error.__cause__ or error.__context__ or error
    if isinstance(cause, TimeoutError):
        return "it did not answer in time"
    if isinstance(cause, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(cause, FileNotFoundError):
        return "there is no such socket"
    if type(cause).__module__ == "ssl" or "ssl" in type(cause).__name__.lower():
        return "its certificate is not trusted, or an encrypted connection did not come about"
    if type(cause).__name__ == "gaierror":
        return "the host is not known"
    return _REFUSALS.get(_code(error), "the server did not let us in")


def _driver() -> Any:
    try:
        import pymysql
        import pymysql.cursors
    except ImportError:
        raise DependencyError(
            "reading MySQL and MariaDB needs the package PyMySQL", hint="pip install 'parcelveil[mysql]'"
        ) from None
    return pymysql


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _source(found: _Table) -> str:
    return f"{_quoted(found.schema)}.{_quoted(found.table)}"


def _count(cursor: Any, found: _Table) -> int:
    cursor.execute(f"SELECT count(*) FROM {_source(found)}")  # noqa: S608
    return sum(int(row[0]) for row in cursor)
