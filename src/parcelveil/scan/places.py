"""Sources as others want them: as a URI reference, or as a name that is the same wherever a scan is started from.

::

    >>> uri_of("2019/客户.csv"), uri_of("postgresql://crm/orders"), uri_of("a:b.log")
    ('2019/%E5%AE%A2%E6%88%B7.csv', 'postgresql://crm/orders', 'a%3Ab.log')
    >>> portable("./data/../data/old.zip", Path("/repo"), Path("/repo"))
    'data/old.zip'
    >>> portable("old.zip", Path("/repo"), Path("/repo/data"))
    'data/old.zip'

A source is what the person gave: a path, ``-`` for standard input, or the URI of a database.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from urllib.parse import quote

#: Schemes of what is no file: anything else with a colon in it is a path.
_SCHEMES = re.compile(r"(?:postgresql|postgres|mysql|mariadb|sqlite|parquet|arrow|https?|s3|file):", re.IGNORECASE)
STDIN = "-"


def is_uri(source: str) -> bool:
    """Whether a source is a URI, so that it has no path."""
    return bool(_SCHEMES.match(source))


def uri_of(source: str) -> str:
    """A source as a URI reference (RFC 3986): relative where the path is, ``file:`` where it is absolute."""
    if is_uri(source):
        return quote(source, safe="%/:?#[]@!$&'()*+,;=~-._")
    if source == STDIN:
        return "stdin"
    # quote() also hides a colon, which in the first segment would make it a scheme.
    path = quote(Path(source).as_posix())
    return f"file://{path}" if path.startswith("/") else path


def portable(source: str, base: Path, current: Path) -> str:
    """A source's name in files that are kept: its path from the folder ``base`` when it lies below that.

    ``current`` is the folder that relative paths start from. Links are not followed: the name is what was given.
    """
    if source == STDIN or is_uri(source):
        return source
    absolute = os.path.normpath(current / source)
    root = os.path.normpath(base)
    if absolute == root:
        return "."
    if absolute.startswith(root.rstrip("/") + "/"):
        return Path(os.path.relpath(absolute, root)).as_posix()
    return Path(absolute).as_posix()
