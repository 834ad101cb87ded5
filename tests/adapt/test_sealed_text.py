from __future__ import annotations

import base64
import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.adapt.sealed_text import decode, from_text, to_text, typed_schema
from parcelveil.waybill import SEALED, RawBatch, is_sealed


@settings(deadline=None)
@given(st.lists(st.none() | st.binary(max_size=70), max_size=30))
def test_values_survive(values: list[bytes | None]) -> None:
    text = to_text(pa.array(values, pa.binary()))
    expected = [
        None if value is None else "pv1:" + base64.urlsafe_b64encode(value).rstrip(b"=").decode() for value in values
    ]
    assert text.to_pylist() == expected
    back, bad = from_text(text.cast(pa.string()), pa.binary())
    assert back.to_pylist() == values
    assert not bad.any()


def test_pseudonyms_survive_slices() -> None:
    values = [bytes([index]) * 16 if index % 3 else None for index in range(20)]
    column = pa.array(values, pa.binary(16))[5:15]
    back, bad = from_text(to_text(column).cast(pa.string()), pa.binary(16))
    assert back.to_pylist() == values[5:15]
    assert not bad.any()


@pytest.mark.parametrize(
    "cell",
    ["", "Ann", "pv1", "pv1:A", "pv1:AB", "pv1:AAAB=", "pv1:AA==", "pv1:A+A/", "PV1:AAAA", " pv1:AAAA", "pv1:AAAA\n"]
    + ["pn1:AAAA", "pv2:AAAA", "pv1:AAB", "pv1:ÄAAA", "pv1:AAAA\0"],
)
def test_broken_values(cell: str) -> None:
    column, bad = from_text(pa.array([cell, "pv1:AAAA"]), pa.binary())
    assert column.to_pylist() == [None, b"\0\0\0"]
    assert bad.tolist() == [True, False]


@pytest.mark.parametrize(
    "cell", ["pv1:" + "A" * 22, "pn1:" + "A" * 21, "pn1:" + "A" * 24, "pn1:" + "A" * 21 + "B", "pn1:"]
)
def test_broken_pseudonyms(cell: str) -> None:
    column, bad = from_text(pa.array([cell, "pn1:" + "A" * 22]), pa.binary(16))
    assert column.to_pylist() == [None, bytes(16)]
    assert bad.tolist() == [True, False]


def test_other_types() -> None:
    stamp, bad = from_text(
        pa.array(["2026-01-02T03:04:05Z", "2026-01-02 03:04:05.5+08:00", "2026-02-30T00:00:00Z", "5", None]),
        pa.timestamp("us", tz="UTC"),
    )
    zone = datetime.UTC
    assert stamp.to_pylist()[:2] == [
        datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone),
        datetime.datetime(2026, 1, 1, 19, 4, 5, 500000, tzinfo=zone),
    ]
    assert bad.tolist() == [False, False, True, True, False]
    for kind, cells, expected in (
        (pa.int32(), ["1", "-2", "2147483648", "x", "1.0"], [1, -2, None, None, None]),
        (pa.uint16(), ["65535", "-1", "65536"], [65535, None, None]),
        (pa.date32(), ["2026-01-02", "2026-13-01"], [datetime.date(2026, 1, 2), None]),
    ):
        column, bad = from_text(pa.array(cells), kind)
        assert column.to_pylist() == expected
        assert bad.tolist() == [cell is None for cell in expected]


def test_shape_decides() -> None:
    def text(*names: str) -> pa.Schema | None:
        return typed_schema(pa.schema([(name, pa.string()) for name in names]))

    assert text("waybill_no", "to_name", "to_phone") is None
    assert text("to_name_mask", "to_phone") is None
    assert text("city", "city_mask") is None
    typed = text("waybill_no", "to_name", "to_name_mask", "pieces", "extra")
    assert typed is not None
    assert is_sealed(typed)
    assert typed.types == [pa.string(), pa.binary(), pa.string(), pa.int32(), pa.string()]
    assert typed.field("to_name").metadata == SEALED.field("to_name").metadata


def test_broken_rows_become_rejects_without_values() -> None:
    schema = typed_schema(
        pa.schema([(name, pa.string()) for name in ("waybill_no", "to_name", "to_name_mask", "pieces")])
    )
    batch = pa.record_batch(
        {
            "waybill_no": ["YT1", "YT2", "YT3"],
            "to_name": ["pv1:AAAA", "Zebedee", None],
            "to_name_mask": ["Z*", "Z*", None],
            "pieces": ["1", "many", "1"],
        }
    )
    raw = decode(RawBatch(batch, np.array([2, 3, 4]), []), schema, "t.csv")
    assert raw.rows.tolist() == [2, 4]
    assert raw.batch.schema == schema
    (reject,) = raw.rejects
    assert (reject.row, reject.waybill_no, reject.column, reject.code) == (3, "YT2", "to_name", "cell.sealed_text")
    assert "Zebedee" not in repr(reject)
