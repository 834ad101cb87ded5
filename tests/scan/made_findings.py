"""Findings made by hand, for tests of what takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from parcelveil.scan.findings import FINDINGS

_DEFAULTS: dict[str, Any] = {
    "source": "a.csv",
    "member": "",
    "part": "",
    "page": -1,
    "box": None,
    "line": -1,
    "row": -1,
    "column": "",
    "start": 0,
    "end": 11,
    "kind": "phone.mobile",
    "state": "clear",
    "tier": 1,
    "confidence": 0.99,
    "reason": "check",
}


def value(name: object) -> bytes:
    """A fingerprint: equal for equal names."""
    return hashlib.sha256(repr(name).encode()).digest()[:16]


def batch(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """A batch of FINDINGS. Each row says what differs; ``value`` stands for what the fingerprint is of."""
    full = []
    for number, row in enumerate(rows):
        told = {name: said for name, said in row.items() if name != "value"}
        full.append(_DEFAULTS | {"fingerprint": value(row.get("value", number))} | told)
    return pa.RecordBatch.from_pylist(full, schema=FINDINGS)


def column(count: int, **same: Any) -> pa.RecordBatch:
    """``count`` findings alike but for their row and value."""
    return batch([{"row": number + 2, "start": number} | same for number in range(count)])
