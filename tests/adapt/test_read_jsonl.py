from __future__ import annotations

import io
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.adapt import read_jsonl
from parcelveil.adapt.read_jsonl import JsonLinesSource
from parcelveil.errors import EncodingError, InputError


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def whole(data: bytes, kind=io.BytesIO, **options):
    source = JsonLinesSource("t.jsonl", kind(data), size=len(data), **options)
    raws = list(source.batches())
    table = pa.Table.from_batches([raw.batch for raw in raws], schema=source.schema)
    table.validate(full=True)
    rows = [row for raw in raws for row in raw.rows.tolist()]
    rejects = [(reject.row, reject.code) for raw in raws for reject in raw.rejects]
    return table, rows, rejects


def test_cells_keep_what_was_written() -> None:
    table, _, _ = whole(
        b'{"phone": 13800138000, "price": 1.50, "ok": true, "big": 123456789012345678901234, "none": null, "empty": ""}\n'
        b'{"phone": "+86", "price": 1e400, "list": [1, {"a": "x"}], "to": {"name": "Ann", "at": {"city": "X"}}}\n'
    )
    assert table.to_pylist() == [
        {
            "phone": "13800138000",
            "price": "1.50",
            "ok": "true",
            "big": "123456789012345678901234",
            "none": None,
            "empty": None,
            "list": None,
            "to.name": None,
            "to.at.city": None,
        },
        {
            "phone": "+86",
            "price": "1e400",
            "ok": None,
            "big": None,
            "none": None,
            "empty": None,
            "list": '[1,{"a":"x"}]',
            "to.name": "Ann",
            "to.at.city": "X",
        },
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b"1",
        b'"x"',
        b"null",
        b'{"a":1',
        b'{"a":1}}',
        b'{"a":1}{"a":2}',
        b'{"a":NaN}',
        b'{"a":"\\ud800"}',
        b"{'a':1}",
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 100_000,
        b'{"a":' + b"9" * 6000 + b"}",
    ],
    ids=range(13),
)
def test_broken_lines_are_rejected(line: bytes) -> None:
    table, rows, rejects = whole(b'{"a":"1"}\n' + line + b'\n\n{"a":"2"}\n')
    assert table.to_pydict() == {"a": ["1", "2"]}
    assert rows == [1, 4]
    assert rejects == [(2, "row.json")]


def test_two_objects_on_a_line_beside_one_on_two() -> None:
    table, rows, rejects = whole(b'{"a":\n"1"}{"a":"2"}\n{"a":"3"}\n')
    assert table.to_pydict() == {"a": ["3"]}
    assert (rows, rejects) == ([3], [(1, "row.json"), (2, "row.json")])


def test_cut_at_the_end() -> None:
    data = '{"a":"张"}\n{"a":"三"}'.encode()
    for end in (-1, -3, -5):
        _, rows, rejects = whole(data[:end])
        assert (rows, rejects) == ([1], [(2, "row.json")])


def test_late_keys() -> None:
    lines = [b'{"a":"1"}'] * 20_000 + [b'{"b":"2"}', b'{"a":"3"}']
    table, rows, rejects = whole(b"\n".join(lines))
    assert table.schema.names == ["a", "b"]
    assert (len(rows), rejects) == (20_002, [])
    table, rows, rejects = whole(b"\n".join(lines), Pipe)
    assert table.schema.names == ["a"]
    assert (len(rows), rejects) == (20_001, [(20_001, "row.new_column")])


def test_long_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_jsonl, "MAX_LINE", 1000)
    monkeypatch.setattr(read_jsonl, "BLOCK", 300)
    line = b'{"a":"' + b"x" * 5000 + b'"}\n'
    _, rows, rejects = whole(b'{"a":"1"}\n' + line + b'{"a":"2"}\n' + line + line[:-1])
    assert (rows, rejects) == ([1, 3], [(2, "row.length"), (4, "row.length"), (5, "row.length")])


def test_long_cells() -> None:
    _, rows, rejects = whole(b'{"a":"' + b"x" * ((1 << 20) + 1) + b'"}\n{"a":"y"}\n')
    assert (rows, rejects) == ([2], [(1, "cell.length")])


@pytest.mark.parametrize("data", [b"[\n]\n", b"1\n", b"{}\n", b" \n"])
def test_no_object(data: bytes) -> None:
    with pytest.raises(InputError, match="no JSON object"):
        whole(data)


def test_too_many_keys() -> None:
    with pytest.raises(InputError, match="keys"):
        whole(b"\n".join(b'{"k%d":"1"}' % number for number in range(5000)))


def test_other_encodings() -> None:
    text = '{"名":"张三","地址":"上海市青浦区"}\n'
    assert whole(text.encode("gb18030"))[0].to_pylist() == [json.loads(text)]
    assert whole(text.encode("utf-8-sig"))[0].to_pylist() == [json.loads(text)]
    with pytest.raises(EncodingError):
        whole(text.encode("gb18030"), encoding="utf-8")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@settings(deadline=None)
@given(st.lists(st.dictionaries(TEXT.filter(lambda key: "." not in key), TEXT | st.integers(), max_size=4), max_size=8))
def test_any_objects(rows: list[dict[str, str | int]]) -> None:
    data = "\n".join(json.dumps(row) for row in rows).encode()
    if not any(rows):
        return
    for kind in (io.BytesIO, Pipe):
        table, numbers, rejects = whole(data, kind)
        assert not rejects
        assert numbers == list(range(1, len(rows) + 1))
        found = [{key: cell for key, cell in row.items() if cell is not None} for row in table.to_pylist()]
        assert found == [{key: str(cell) for key, cell in row.items() if cell != ""} for row in rows]


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_give_rows_or_a_clear_error(data: bytes) -> None:
    try:
        whole(b'{"a":"1"}\n' + data, encoding="cp1252")
        whole(b'{"a":"1"}\n' + data)
    except InputError as error:
        assert error.hint
