"""The examples of the format document are what the kernel writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pyarrow as pa
import pytest

from parcelveil.seal import kernel
from parcelveil.seal.epoch import Epoch, EpochHeader
from parcelveil.seal.pseudonym import PseudonymKey, Pseudonyms
from parcelveil.seal.tree import Tree
from parcelveil.waybill import WAYBILL

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("worked_examples", Path(__file__).with_name("worked_examples.py"))
assert _spec is not None
assert _spec.loader is not None
examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(examples)


def test_the_document_has_these_examples() -> None:
    assert examples.document() in (ROOT / "docs" / "format" / "sealed-value.md").read_text("utf-8")


@pytest.mark.parametrize(("field", "number", "revision", "value"), examples.EXAMPLES)
def test_the_kernel_writes_them(field: str, number: str, revision: int, value: str) -> None:
    header = EpochHeader(tenant=examples.TENANT, epoch=examples.EPOCH, suite=1, salt=examples.SALT, commitment=b"")
    epoch = Epoch(header, examples.SECRET, Tree.new(examples.ROOT, examples.SALT))
    months = Pseudonyms({202611: PseudonymKey(bytes(32), "acme", "search", 202611)})
    keys = kernel.SealKeys("acme", {header.epoch: epoch}, {20780: header.epoch}, months, 480, 20780)
    given = {"waybill_no": number, "revision": revision, field: value}
    batch = pa.RecordBatch.from_arrays([pa.array([given.get(f.name)], f.type) for f in WAYBILL], schema=WAYBILL)
    assert (
        kernel.seal_batch(batch, keys)[field][0].as_py()
        == examples.steps(field, number, revision, value)["sealed value"]
    )
