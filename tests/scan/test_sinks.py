"""JSON lines and Parquet: written as they come, and read back the same."""

from __future__ import annotations

import doctest
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import InputError
from parcelveil.scan import sinks
from parcelveil.scan.findings import FINDINGS
from parcelveil.scan.sinks import ALLOWED, JsonLines, Line, ParquetSink, read_findings, read_lines
from scan.made_findings import batch, column

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
number = st.integers(-1, 2**53)
ROW = st.fixed_dictionaries(
    {
        "source": text,
        "member": text,
        "part": text,
        "page": st.integers(-1, 2**31 - 1),
        "box": st.none() | st.lists(st.floats(0, 4000, width=32), min_size=4, max_size=4),
        "line": number,
        "row": number,
        "column": text,
        "start": number,
        "end": number,
        "kind": text,
        "state": st.sampled_from(["clear", "masked", "protected", "key"]),
        "tier": st.integers(1, 2),
        "confidence": st.integers(0, 1000).map(lambda n: n / 1000),
        "reason": text,
        "value": number,
    }
)


def test_the_examples_hold() -> None:
    assert doctest.testmod(sinks).failed == 0


def test_lines_have_the_fields_of_findings_in_their_order() -> None:
    assert list(Line.__struct_fields__) == [*FINDINGS.names, "allowed"]


@given(st.lists(ROW, max_size=20), st.data())
@settings(deadline=None)
def test_lines_read_back(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    findings = batch(rows)
    allowed = np.array(
        data.draw(st.lists(st.integers(0, len(ALLOWED) - 1), min_size=len(rows), max_size=len(rows))), dtype=np.uint8
    )
    file = io.BytesIO()
    sink = JsonLines(file)
    sink.write(findings, allowed)
    assert sink.length == file.tell()
    assert file.getvalue().count(b"\n") == len(rows)  # whatever stands in a path
    file.seek(0)
    back = list(read_findings(file, "findings", sink.length))
    assert sum(part.num_rows for part, _ in back) == len(rows)
    if rows:
        ((found, codes),) = back
        assert found.equals(findings) and codes.tolist() == allowed.tolist()


def test_what_says_nothing_is_left_out() -> None:
    file = io.BytesIO()
    JsonLines(file).write(batch([{"line": 3, "value": "v"}]))
    assert set(json.loads(file.getvalue())) == {
        "source", "line", "start", "end", "kind", "state", "confidence", "reason", "fingerprint",
    }  # fmt: skip


def test_a_slice_is_written_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "ROWS", 7)
    whole, allowed = column(40), np.arange(40, dtype=np.uint8) % 4
    file = io.BytesIO()
    sink = JsonLines(file)
    sink.write(whole.slice(5, 30), allowed[5:35])
    file.seek(0)
    parts = list(read_findings(file, "findings", sink.length))
    assert max(part.num_rows for part, _ in parts) == 7
    assert pa.Table.from_batches([part for part, _ in parts]).to_pylist() == whole.slice(5, 30).to_pylist()
    assert np.concatenate([codes for _, codes in parts]).tolist() == allowed[5:35].tolist()


def test_only_the_stated_bytes_are_read_back() -> None:
    file = io.BytesIO()
    sink = JsonLines(file)
    sink.write(column(3))
    end = sink.length
    file.write(b'{"source":"half a li')
    file.seek(0)
    assert [part.num_rows for part, _ in read_findings(file, "findings", end)] == [3]
    file.seek(0)
    with pytest.raises(InputError, match="shorter"):
        list(read_findings(file, "findings", end + 1000))


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[]", b"{}", b'{"source":1}', b'{"source":"a","fingerprint":"xy"}', b'{"source":"a","fingerprint":"00"}',
     b'{"source":"a","fingerprint":"' + b"00" * 16 + b'","allowed":"everything"}', b"\xff", b"[" * 5000],
)  # fmt: skip
def test_what_is_no_finding_is_named_by_its_line(line: bytes) -> None:
    file = io.BytesIO()
    JsonLines(file).write(column(1))
    with pytest.raises(InputError, match=r"line 2 of app\.jsonl is not a finding"):
        read_lines([file.getvalue(), line], "app.jsonl")


def test_parquet_has_the_same_and_what_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "GROUP", 25)
    file = io.BytesIO()
    sink = ParquetSink(file)
    parts = [column(10), column(20, source="b.csv", box=[1, 2, 3, 4]), column(3)]
    for part in parts:
        sink.write(part, np.full(part.num_rows, 2, dtype=np.uint8) if part is parts[1] else None)
    sink.close()
    found = pq.read_table(io.BytesIO(file.getvalue()))
    assert found.schema.names == [*FINDINGS.names, "allowed"]
    assert found.drop_columns(["allowed"]).to_pylist() == pa.Table.from_batches(parts).to_pylist()
    assert found["allowed"].to_pylist() == [""] * 10 + ["list"] * 20 + [""] * 3
    assert pq.ParquetFile(io.BytesIO(file.getvalue())).num_row_groups == 3  # 25 and 5, written before the end; and 3


def test_parquet_of_nothing_is_a_table_without_rows() -> None:
    file = io.BytesIO()
    ParquetSink(file).close()
    assert pq.read_table(io.BytesIO(file.getvalue())).num_rows == 0
