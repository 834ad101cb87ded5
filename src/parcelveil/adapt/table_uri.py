"""URIs of database servers, taken apart; a password in them is never shown.

::

    >>> uri = parse("postgresql://clerk:s3cret@db.example:5433/parcels?sslmode=require", {"sslmode"})
    >>> uri.host, uri.port, uri.user, uri.database, uri.options, uri.password
    ('db.example', 5433, 'clerk', 'parcels', {'sslmode': 'require'}, <Secret>)
    >>> uri.shown
    'postgresql://clerk:***@db.example:5433/parcels?sslmode=require'

A password is taken from the URI, else from the file that ``password-file=PATH`` names (its first line), else from the
environment variable that the server's own tools read. Whatever is wrong with a URI is said without quoting it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from parcelveil.errors import InputError, UsageError
from parcelveil.ports import Secret

_URI = re.compile(r"([a-z][a-z0-9+.-]*)://([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE | re.DOTALL)
_SECRETS = re.compile(r"((?:^|[?&;])[^=&;]*(?:pass|pwd|secret|key|token)[^=&;]*=)[^&;#]*", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
PASSWORD_FILE = "password-file"  # noqa: S105 (the name of an option)


class ServerUri(NamedTuple):
    """A server and a database of it. ``host`` is empty where a socket is named among the ``options``."""

    scheme: str
    host: str
    port: int | None
    user: str
    password: Secret | None
    database: str
    options: dict[str, str]
    shown: str


def shown(uri: str) -> str:
    """A URI (or path) as it may be printed: whatever could be a password is ``***``. Hides too much rather than too little.

    >>> shown("mysql://root:p@ss/w:rd@db/x?ssl-key=abc"), shown("sqlite:old.db")
    ('mysql://root:***@db/x?ssl-key=***', 'sqlite:old.db')
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    # Written with care or without, the password ends at the last @: it may hold any other character unquoted.
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    kept = f"{user}:***@" if colon else login + at
    return _CONTROLS.sub("?", f"{scheme}://{_SECRETS.sub(lambda found: found[1] + '***', kept + place)}")


def parse(uri: str, options: Collection[str], variable: str = "") -> ServerUri:
    """Take a URI apart. ``options`` may stand behind its ``?``; ``variable`` is the environment's name of the password.

    Raises UsageError for a URI that is none, and for options that are not known here.
    """
    taken = _URI.fullmatch(uri)
    if taken is None:
        raise UsageError("{uri} is no URI of a server", hint="scheme://user@host:port/database", uri=shown(uri))
    scheme, rest, query = taken[1].lower(), taken[2], taken[3] or ""
    login, _, place = rest.rpartition("@")
    user, colon, password = login.partition(":")
    where, _, database = place.partition("/")
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in options and name != PASSWORD_FILE:
            known = ", ".join(sorted({*options, PASSWORD_FILE}))
            raise UsageError(
                "{uri} has an option that is not known", hint="known are: {known}", uri=shown(uri), known=known
            )
        found[name] = value
    address = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:@]*)(?::([0-9]{1,5}))?", where)
    if address is None or not all(_text(unquote(part)) for part in (user, password, database, where, query)):
        raise UsageError("{uri} names no host and port", hint="scheme://user@host:port/database", uri=shown(uri))
    secret = Secret(unquote(password).encode()) if colon else None
    if PASSWORD_FILE in found:
        path = found.pop(PASSWORD_FILE)
        secret = secret or _password_of(path)
    if secret is None and variable and os.environ.get(variable):
        secret = Secret(os.environ[variable].encode())
    return ServerUri(
        scheme=scheme,
        host=unquote(address[1]).strip("[]"),
        port=int(address[2]) if address[2] else None,
        user=unquote(user),
        password=secret,
        database=unquote(database),
        options=found,
        shown=shown(uri),
    )


def _password_of(path: str) -> Secret:
    try:
        with Path(path).expanduser().open("rb") as file:
            return Secret(file.readline(4096).rstrip(b"\r\n"))
    except OSError as error:
        raise InputError(
            "the file with the password cannot be read: {why}",
            hint="see password-file= in the URI",
            why=error.strerror or "",
        ) from None


def no_connection(uri: ServerUri, why: str) -> InputError:
    """The error for a server that did not let us in; ``why`` is one of a few sentences."""
    return InputError(
        "could not connect to {uri}: {why}",
        hint="check host, port, database, user and password",
        uri=uri.shown,
        why=why,
    )


def display(schema: str, table: str) -> str:
    """``schema.table``, with quotes where the two could be taken for others.

    >>> display("public", "a"), display("a.b", "c")
    ('public.a', '"a.b"."c"')
    """
    plain = not any(sign in schema + table for sign in '."')
    return f"{schema}.{table}" if plain else '"{}"."{}"'.format(schema.replace('"', '""'), table.replace('"', '""'))


def _text(part: str) -> bool:
    """Whether a part is text that a server can be sent: no NUL, and no half of a pair, which no encoding has."""
    return "\x00" not in part and not any("\ud800" <= char <= "\udfff" for char in part)
