"""URIs of databases; cells as text; which adapter opens what."""

from __future__ import annotations

import doctest
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parcelveil.adapt import table_cells, table_uri, tables, tables_arrow
from parcelveil.adapt.table_cells import TextBatches
from parcelveil.adapt.table_uri import display, no_connection, parse, shown
from parcelveil.adapt.tables import open_tables
from parcelveil.errors import UsageError


@pytest.mark.parametrize("module", [table_cells, table_uri, tables, tables_arrow])
def test_examples(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@given(st.text(st.characters(exclude_characters="\x00"), min_size=1, max_size=12))
@example("\ud800")
def test_no_password_is_shown_however_it_is_written(word: str) -> None:
    secret = f"pw<{word}>pw"
    for uri in (
        f"mysql://u:{secret}@host/db",
        f"postgresql://u:{secret}@host:5/db?sslmode=x",
        f"mysql://u:{secret}@h?tls=on",
    ):
        assert "pw<" not in shown(uri)
        assert ">pw" not in shown(uri)
        try:
            parsed = parse(uri, {"sslmode", "tls"})
        except UsageError as error:
            assert "pw<" not in f"{error} {error.hint} {error.values}"
        else:
            assert "pw<" not in f"{parsed} {no_connection(parsed, 'x').values}"


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12))
def test_what_was_quoted_is_taken_back(word: str) -> None:
    from urllib.parse import quote

    parsed = parse(f"mysql://{quote(word, safe='')}:{quote(word, safe='')}@[::1]:99/{quote(word, safe='')}", set())
    assert (parsed.user, parsed.database, parsed.host, parsed.port) == (word, word, "::1", 99)
    assert parsed.password is not None
    assert parsed.password.value == word.encode()


def test_options_and_secrets_among_them() -> None:
    assert (
        shown("postgresql://h/d?password=abc&sslmode=x&sslpassword=q#f")
        == "postgresql://h/d?password=***&sslmode=x&sslpassword=***#f"
    )
    assert shown("mysql://h/\x1b[31m") == "mysql://h/?[31m"
    with pytest.raises(UsageError, match="an option that is not known") as caught:
        parse("mysql://h/d?pass%77ord=hunter2", {"tls"})
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value.values}"


@pytest.mark.parametrize(
    "uri",
    [
        "mysql://u:s3cret@h:port/d",
        "mysql://u:s3cret@h:123456/d",
        "mysql:u:s3cret@h",
        "mysql://u:s3cret@a:1:2/d",
        "mysql://u:s3%00cret@h/d",
    ],
)
def test_what_is_no_uri_is_refused_without_the_password(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(uri, set())
    assert "cret" not in str(caught.value).replace(uri if "//" not in uri else "\x00", "")


@pytest.mark.parametrize("uri", ["http://example.org/x.db", "redis://u:s3cret@h/0", "file.csv", "", "x:y"])
def test_unknown_kinds_are_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="is no database and no column file") as caught:
        open_tables(uri)
    assert "s3cret" not in str(caught.value)


@given(st.text(max_size=6), st.text(max_size=6), st.text(max_size=6), st.text(max_size=6))
def test_names_of_tables_are_never_taken_for_one_another(a: str, b: str, c: str, d: str) -> None:
    assert (display(a, b) == display(c, d)) == ((a, b) == (c, d))


def test_batches_are_bounded_in_rows_and_bytes() -> None:
    cells = TextBatches(["a", "a"], Counter())
    assert [batch.num_rows for batch in cells.of_rows(iter([(1, 2)] * 25), 10)] == [10, 10, 5]
    assert [batch.num_rows for batch in cells.of_rows(iter([("x" * (20 << 20), b"")] * 3), 10)] == [2, 1]
    assert next(iter(cells.of_rows([(1, None)], 10))).schema.names == ["a", "a (2)"]
    assert list(cells.of_rows([], 10)) == []
