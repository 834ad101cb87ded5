"""Doubled waybill numbers over long inputs, and the lines of one order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from parcelveil.intake import lines
from parcelveil.intake.lines import OrderLines, SeenNumbers
from parcelveil.intake.rows import Taken
from parcelveil.waybill import WAYBILL


def taken(rows: list[dict[str, object]], first: int = 2) -> Taken:
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in WAYBILL]
    return Taken(pa.RecordBatch.from_arrays(columns, schema=WAYBILL), np.arange(first, first + len(rows)), [], {})


@pytest.mark.parametrize("in_memory", [1 << 21, 100])
def test_seen_numbers_agree_with_a_set(monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(lines, "_IN_MEMORY", in_memory)
    monkeypatch.setattr(lines, "_PIECE", 64)
    rng = np.random.default_rng(1)
    seen, known = SeenNumbers(), set()
    for _ in range(40):
        numbers = [f"{'YT' * int(n % 5)}{n}" for n in rng.integers(0, 6_000, 300)]
        expected = []
        for number in numbers:
            expected.append(number in known)
            known.add(number)
        assert seen.add(pa.array(numbers)).tolist() == expected
    assert sum(len(run) for run in seen._runs) == len(known)
    assert all((np.diff(run.astype(object)) > 0).all() for run in seen._runs)


def test_numbers_that_differ_in_one_byte_or_in_length_are_different() -> None:
    numbers = ["", "\0", "\0\0", "a", "a\0", "b", *(f"{'x' * n}" for n in range(2, 40))]
    assert not SeenNumbers().add(pa.array(numbers)).any()


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lines_of_an_order_are_joined_across_batches(size: int) -> None:
    rows: list[dict[str, object]] = [
        {"waybill_no": "1", "to_name": "A", "goods_name": "Mug", "pieces": 1},
        {"waybill_no": "1", "goods_name": "Plate", "pieces": 2},
        {"waybill_no": "1", "to_name": "A", "goods_name": "Mug"},
        {"waybill_no": "2", "to_name": "B", "pieces": 4},
        {"waybill_no": "2", "to_name": "C"},  # somebody else: another order under the same number
        {"waybill_no": "3", "to_name": "D", "goods_name": "Cup"},
    ]
    order = OrderLines()
    out = []
    for start in range(0, len(rows), size):
        done = order.feed(taken(rows[start : start + size], start + 2))
        out += list(zip(done.batch.to_pylist(), done.rows.tolist(), strict=True))
    held = order.flush()
    assert held is not None
    out += list(zip(held.batch.to_pylist(), held.rows.tolist(), strict=True))
    found = [(r["waybill_no"], r["to_name"], r["goods_name"], r["pieces"], row) for r, row in out]
    assert found == [
        ("1", "A", "Mug; Plate", 3, 2),
        ("2", "B", None, 4, 5),
        ("2", "C", None, None, 6),
        ("3", "D", "Cup", None, 7),
    ]
    assert order.merged == 2
    assert order.flush() is None
