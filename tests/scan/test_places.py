"""Sources by names that are the same for everybody."""

from __future__ import annotations

import doctest
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.scan import places
from parcelveil.scan.places import is_uri, portable, uri_of


def test_the_examples_hold() -> None:
    assert doctest.testmod(places).failed == 0


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30))
def test_a_path_comes_back_from_its_uri(path: str) -> None:
    if is_uri(path) or path == "-":
        return
    uri = uri_of(path)
    assert uri.isascii() and " " not in uri
    parts = urlsplit(uri)
    assert parts.scheme == ("file" if path.startswith("/") else "") and not parts.query and not parts.fragment
    assert unquote(parts.path) == Path(path).as_posix()


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ("-", "stdin"),
        ("/data/客户 1.csv", "file:///data/%E5%AE%A2%E6%88%B7%201.csv"),
        ("mysql://crm.example:3306/orders", "mysql://crm.example:3306/orders"),
        ("sqlite:/data/a b.db", "sqlite:/data/a%20b.db"),
        ("c:/x.csv", "c%3A/x.csv"),
        ("a#b?c.csv", "a%23b%3Fc.csv"),
    ],
)
def test_uris(source: str, uri: str) -> None:
    assert uri_of(source) == uri


@pytest.mark.parametrize(
    ("source", "current", "name"),
    [
        ("x.csv", "/repo", "x.csv"),
        ("./x.csv", "/repo", "x.csv"),
        ("../x.csv", "/repo/data", "x.csv"),
        ("/repo/a/../x.csv", "/tmp", "x.csv"),
        ("/repo", "/tmp", "."),
        ("/repository/x.csv", "/repo", "/repository/x.csv"),
        ("../x.csv", "/repo", "/x.csv"),
        ("-", "/repo", "-"),
        ("postgresql://h/d", "/repo", "postgresql://h/d"),
    ],
)
def test_names_do_not_depend_on_where_a_scan_starts(source: str, current: str, name: str) -> None:
    assert portable(source, Path("/repo"), Path(current)) == name


def test_below_the_root_everything_is_portable() -> None:
    assert portable("data/x.csv", Path("/"), Path("/")) == "data/x.csv"
