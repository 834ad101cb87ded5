"""The examples of the format document are what the kernel writes, step by step."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from parcelveil.adapt.sealed_text import to_text
from parcelveil.seal import kernel
from parcelveil.seal.epoch import Epoch, EpochHeader, field_context, field_tweak
from parcelveil.seal.pseudonym import PseudonymKey, Pseudonyms, normalised
from parcelveil.seal.siv import Siv, as_rows, xor
from parcelveil.seal.token import LabelKey, LabelKeys
from parcelveil.seal.tree import Tree, leaf_of_row
from parcelveil.waybill import WAYBILL

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("worked_examples", Path(__file__).with_name("worked_examples.py"))
assert _spec is not None
assert _spec.loader is not None
examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(examples)

EACH = pytest.mark.parametrize(("field", "number", "revision", "value"), examples.EXAMPLES)


@pytest.fixture(scope="module")
def epoch() -> Epoch:
    header = EpochHeader(examples.TENANT, examples.EPOCH, 1, examples.SALT, examples.shared()["commitment"])
    return Epoch(header, examples.SECRET, Tree.new(examples.ROOT, examples.SALT))


def _keys(epoch: Epoch) -> kernel.SealKeys:
    secret = PseudonymKey(examples.PSEUDONYM_SECRET, examples.TENANT, examples.PURPOSE, examples.PERIOD)
    months = Pseudonyms({examples.PERIOD: secret})
    labels = LabelKeys({examples.PERIOD: LabelKey(bytes(32), examples.TENANT, examples.PERIOD)})
    return kernel.SealKeys(
        examples.TENANT, {epoch.header.epoch: epoch}, {20780: epoch.header.epoch}, months, 480, 20780, labels=labels
    )


def _batch(given: dict[str, object]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([given.get(f.name)], f.type) for f in WAYBILL], schema=WAYBILL)


def test_the_document_has_these_examples() -> None:
    text = (ROOT / "docs" / "format" / "sealed-value.md").read_text("utf-8")
    shown = text.split("<!-- worked examples -->\n", 1)[1].split("<!-- /worked examples -->", 1)[0]
    assert shown == f"```\n{examples.document()}\n```\n"


def test_the_epochs_keys_are_these(epoch: Epoch) -> None:
    shared = examples.shared()
    assert epoch.header.canonical() == shared["epoch header"]
    assert epoch._derive(b"siv", 64) == shared["AES-SIV key, S2V half"] + shared["AES-SIV key, CTR half"]
    assert epoch._derive(b"path", 32) == shared["path key"]
    assert epoch._derive(b"commit", 32) == shared["commitment key"]
    assert Epoch.from_state(epoch.header, epoch.to_state()).header == epoch.header  # the commitment is checked here
    assert epoch.tree._down._key == shared["tree key T"]
    assert epoch.tree._pad._key == shared["pad key P"]


def test_the_buckets_are_these() -> None:
    assert kernel.BUCKETS.tolist() == examples.BUCKETS


@EACH
def test_every_step_is_this(epoch: Epoch, field: str, number: str, revision: int, value: str) -> None:
    facts = examples.steps(field, number, revision, value)
    numbers, revisions = pa.array([number]), np.array([revision], np.uint16)
    prefix = xor(epoch.row_prefix(numbers, revisions), epoch.field_prefix(field))
    tags, keystream = epoch.siv.seal_rows(prefix, as_rows(facts["padded"]))
    leaves, alive = epoch.tree.leaves(epoch.paths(numbers))
    pads = epoch.tree.pads(leaf_of_row(leaves, revisions), field_tweak(field), len(facts["pad"]) // 16)
    assert field_context(examples.TENANT, examples.EPOCH, field) == facts["context"]
    assert prefix.tobytes() == facts["S2V prefix"]
    assert tags.tobytes() == facts["tag"]
    assert (keystream ^ as_rows(facts["padded"])).tobytes() == facts["ciphertext"]
    assert epoch.paths(numbers).astype(">u8").tobytes() == facts["path"]
    assert leaves.tobytes() == facts["leaf"]
    assert alive.all()
    assert field_tweak(field) == facts["field tweak"] + bytes(8)
    assert pads.tobytes() == facts["pad"]


@EACH
def test_the_kernel_writes_and_opens_them(epoch: Epoch, field: str, number: str, revision: int, value: str) -> None:
    facts = examples.steps(field, number, revision, value)
    sealed = kernel.seal_batch(_batch({"waybill_no": number, "revision": revision, field: value}), _keys(epoch))
    assert sealed[field][0].as_py() == facts["sealed value"]
    assert to_text(sealed[field])[0].as_py() == examples.text_form(facts["sealed value"])
    assert kernel.open_batch(sealed, _keys(epoch))[field][0].as_py() == value


@EACH
def test_the_librarys_aes_siv_agrees(field: str, number: str, revision: int, value: str) -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    shared, facts = examples.shared(), examples.steps(field, number, revision, value)
    cipher = AESSIV(shared["AES-SIV key, S2V half"] + shared["AES-SIV key, CTR half"])
    components = [facts["context"], number.encode(), revision.to_bytes(2, "big")]
    assert cipher.encrypt(facts["padded"], components) == facts["tag"] + facts["ciphertext"]


def test_the_wrapping_is_the_librarys_too() -> None:
    # States and data keys are wrapped by the library, values by the package: one and the same AES-SIV.
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    key, text = bytes(range(64)), bytes(48)
    tags, stream = Siv(key).seal_rows(Siv(key).s2v_prefix([b"one"]), as_rows(text))
    assert AESSIV(key).encrypt(text, [b"one"]) == tags.tobytes() + stream.tobytes()


@pytest.mark.parametrize(("kind", "value", "compared"), examples.PSEUDONYMS)
def test_pseudonyms_are_these(kind: str, value: str, compared: str) -> None:
    key = PseudonymKey(examples.PSEUDONYM_SECRET, examples.TENANT, examples.PURPOSE, examples.PERIOD)
    assert examples.normalised(value, kind) == compared
    assert normalised(pa.array([value]), kind)[0].as_py() == compared
    assert key.pseudonyms(pa.array([value]), kind)[0].as_py() == examples.pseudonym(kind, compared)[1]


def test_the_pseudonym_of_an_address_has_its_area_in_front(epoch: Epoch) -> None:
    given: dict[str, object] = {"waybill_no": "SF20261123", "to_address": examples.EXAMPLES[2][3]}
    for level, name in zip(("country", "region", "city", "district", "town"), examples.AREA, strict=True):
        given[f"to_{level}"] = name
    sealed = kernel.seal_batch(_batch(given), _keys(epoch))
    kind, _, compared = examples.PSEUDONYMS[2]
    assert sealed["to_address_pn"][0].as_py() == examples.pseudonym(kind, compared)[1]


def test_the_state_after_an_erasure_is_this(epoch: Epoch) -> None:
    number = examples.EXAMPLES[0][1]
    assert epoch.puncture(epoch.paths(pa.array([number]))).to_state() == examples.punctured_state(number)
