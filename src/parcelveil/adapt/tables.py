"""Opens tables by URI or path; the only place that picks an adapter for :class:`~parcelveil.ports.Tables`.

::

    with closing(open_tables("sqlite:old.db")) as database:
        for table in database.tables():
            for first_row, batch in database.batches(table, sample=10_000, seed=7): ...

=====================================  ==========================================================
``sqlite:old.db``, ``old.sqlite3``     SQLite, read only
``postgresql://user@host/database``    PostgreSQL (extra ``postgres``)
``mysql://user@host/database``         MySQL and MariaDB (extra ``mysql``); also ``mariadb://``
``parquet:folder``, ``a.parquet``      Parquet and Arrow files; of a folder all
=====================================  ==========================================================
"""

from __future__ import annotations

from pathlib import Path

from parcelveil.adapt.table_uri import shown
from parcelveil.errors import UsageError
from parcelveil.ports import Tables

_SQLITE = (".db", ".db3", ".sqlite", ".sqlite3", ".s3db")
_SCHEMES = ("sqlite", "postgresql", "postgres", "mysql", "mariadb", "parquet", "arrow")


def is_tables(uri: str) -> bool:
    """Whether :func:`open_tables` knows what this is; a folder, and a path of an unknown ending, is not one.

    >>> [is_tables(uri) for uri in ("mysql://db/x", "a.PARQUET", "sqlite:x", "a.csv", "http://a/b")]
    [True, True, True, False, False]
    """
    return bool(_scheme(uri))


def open_tables(uri: str) -> Tables:
    """The tables behind a URI. Raises UsageError for one of no known kind, InputError and DependencyError as the
    adapters do. A password in it is in no message."""
    scheme = _scheme(uri)
    if scheme == "sqlite":
        from parcelveil.adapt.tables_sqlite import SqliteTables

        return SqliteTables.open(_path(uri, "sqlite"))
    if scheme in {"postgresql", "postgres"}:
        from parcelveil.adapt.tables_postgres import PostgresTables

        return PostgresTables.open(uri)
    if scheme in {"mysql", "mariadb"}:
        from parcelveil.adapt.tables_mysql import MysqlTables

        return MysqlTables.open(uri)
    if scheme in {"parquet", "arrow"} or (uri and Path(uri).is_dir()):
        from parcelveil.adapt.tables_arrow import ArrowTables

        return ArrowTables.open(_path(uri, scheme or "parquet"))
    raise UsageError(
        "{uri} is no database and no column file",
        hint="sqlite:PATH, postgresql://…, mysql://…, mariadb://…, parquet:PATH, or a path that ends in .db, .parquet, .arrow",
        uri=shown(uri),
    )


def _scheme(uri: str) -> str:
    scheme, colon, _ = uri.partition(":")
    if colon and scheme.lower() in _SCHEMES:
        return scheme.lower()
    lowered = uri.lower()
    if "://" in uri:
        return ""
    if lowered.endswith(_SQLITE):
        return "sqlite"
    return "parquet" if lowered.endswith((".parquet", ".arrow", ".feather", ".arrows", ".ipc")) else ""


def _path(uri: str, scheme: str) -> str:
    """The path of ``scheme:path``; of ``scheme:///path`` too."""
    if not uri.lower().startswith(f"{scheme}:"):
        return uri
    path = uri[len(scheme) + 1 :]
    return path[2:] if path.startswith("///") else path
