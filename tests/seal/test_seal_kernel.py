"""Sealing and opening whole batches, against a scalar implementation that shares no code with the kernel."""

from __future__ import annotations

import hashlib
import struct
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.adapt.engine_local import LocalEngine
from parcelveil.errors import AuthenticityError, EpochError, InputError
from parcelveil.seal import kernel
from parcelveil.seal.epoch import Epoch, EpochHeader, epoch_id
from parcelveil.seal.kernel import SealKeys, open_batch, open_rows, seal_batch
from parcelveil.seal.pseudonym import PseudonymKey, Pseudonyms
from parcelveil.seal.token import LabelKey, LabelKeys
from parcelveil.seal.tree import Tree
from parcelveil.waybill import WAYBILL, kind_of, personal_fields

DAY = date(2026, 11, 23)
NUMBER = (DAY - date(1970, 1, 1)).days


def fixed_epoch(tenant: str = "acme", generation: int = 0, seed: int = 0) -> tuple[Epoch, bytes]:
    """An epoch from fixed bytes, and its secret."""
    secret, root, salt = (hashlib.sha256(f"{name}{seed}".encode()).digest() for name in ("secret", "root", "salt"))
    from parcelveil.seal.epoch import _commit

    bare = EpochHeader(tenant=tenant, epoch=epoch_id(DAY, generation), suite=1, salt=salt[:16], commitment=b"")
    header = EpochHeader(tenant=tenant, epoch=bare.epoch, suite=1, salt=salt[:16], commitment=_commit(secret, bare))
    return Epoch(header, secret, Tree.new(root[:16], salt[:16])), secret


def keys_of(*epochs: Epoch) -> SealKeys:
    tenant = epochs[0].header.tenant
    months = {202611: PseudonymKey(bytes(32), tenant, "search", 202611)}
    return SealKeys(
        tenant,
        {epoch.header.epoch: epoch for epoch in epochs},
        {NUMBER: epochs[-1].header.epoch},
        Pseudonyms(months),
        480,
        NUMBER,
        labels=LabelKeys({202611: LabelKey(bytes(32), tenant, 202611)}),
    )


EPOCH, SECRET = fixed_epoch()
KEYS = keys_of(EPOCH)


def batch_of(rows: list[dict[str, object]]) -> pa.RecordBatch:
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in WAYBILL]
    return pa.RecordBatch.from_arrays(columns, schema=WAYBILL)


def some_rows(count: int, seed: int = 0) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    names = [field.name for field in personal_fields(WAYBILL)]
    rows: list[dict[str, object]] = []
    for index in range(count):
        row: dict[str, object] = {
            "waybill_no": f"YT{seed}{index:0{int(rng.integers(4, 40))}}",
            "revision": int(rng.integers(0, 3)),
        }
        for name in names:
            if rng.random() < 0.7:
                row[name] = "".join(rng.choice(list("ab漢字é1 \0\U0001f600"), int(rng.integers(0, 90))))
        rows.append(row)
    return rows


def scalar_seal(field: str, number: str, revision: int, value: bytes, salt: bytes, root: bytes, tenant: str) -> bytes:
    """The sealed value by the book, one step after the other, with the cryptography package only."""

    def hkdf(secret: bytes, salt_: bytes | None, info: bytes, size: int) -> bytes:
        return HKDF(SHA256(), size, salt=salt_, info=info).derive(secret)

    def aes(key: bytes, block: bytes) -> bytes:
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)

    def xor(left: bytes, right: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(left, right, strict=True))

    epoch, owner = epoch_id(DAY), tenant.encode()
    header = struct.pack(">BIH", 1, epoch, len(owner)) + owner + salt
    siv_key = hkdf(SECRET, salt, b"parcelveil v1 siv\0" + header, 64)
    path_key = hkdf(SECRET, salt, b"parcelveil v1 path\0" + header, 32)
    mac = CMAC(algorithms.AES(path_key))
    mac.update(number.encode())
    path = int.from_bytes(mac.finalize()[:8], "big")
    down, pad_key = (hkdf(salt, None, b"parcelveil v1 public " + label, 16) for label in (b"tree", b"pad"))
    node = root
    for level in range(64):
        stepped = node[:15] + bytes([node[15] ^ (path >> (63 - level) & 1)])
        node = xor(aes(down, stepped), stepped)
    bucket = next(b for b in (16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024) if b > len(value))
    padded = value + b"\x80" + bytes(bucket - len(value) - 1)
    context = (
        b"PVSV" + struct.pack(">BIH", 1, epoch, len(owner)) + owner + struct.pack(">H", len(field)) + field.encode()
    )
    body = AESSIV(siv_key).encrypt(padded, [context, number.encode(), struct.pack(">H", revision)])
    tag = hashlib.sha256(b"parcelveil v1 field " + field.encode()).digest()[:8]
    pad = b""
    for block in range(len(body) // 16):
        x = xor(node, tag + struct.pack(">HIH", revision, 0, block))
        pad += xor(aes(pad_key, x), x)
    return struct.pack(">BIH", 1, epoch, revision) + xor(body, pad)


def test_the_kernel_writes_what_the_book_says() -> None:
    rows = some_rows(60)
    sealed = seal_batch(batch_of(rows), KEYS)
    root = hashlib.sha256(b"root0").digest()[:16]
    for index, row in enumerate(rows):
        for field in personal_fields(WAYBILL):
            value = row.get(field.name)
            got = sealed[field.name][index].as_py()
            if value is None:
                assert got is None
                continue
            number, revision = str(row["waybill_no"]), int(str(row["revision"]))
            assert got == scalar_seal(
                field.name, number, revision, str(value).encode(), EPOCH.header.salt, root, "acme"
            )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=200)), min_size=1, max_size=20), st.text(min_size=1, max_size=30))
def test_any_text_comes_back(values: list[str | None], number: str) -> None:
    batch = batch_of([{"waybill_no": f"{number}{i}", "to_name": v, "note": v} for i, v in enumerate(values)])
    assert open_batch(seal_batch(batch, KEYS), KEYS).equals(batch.replace_schema_metadata(None))


def test_sealing_twice_tiles_threads_and_slices_change_nothing() -> None:
    batch = batch_of(some_rows(3_000, 1))
    sealed = seal_batch(batch, KEYS)
    assert sealed.equals(seal_batch(batch, KEYS))
    assert sealed.equals(seal_batch(batch, KEYS, tile=7))
    for threads in (1, 4):
        parts = [batch.slice(start, 500) for start in range(0, 3_000, 500)]
        done = LocalEngine(threads).map(lambda part: seal_batch(part, KEYS), parts)
        assert pa.Table.from_batches(done).equals(pa.Table.from_batches([sealed]))
    rows = [seal_batch(batch.slice(index, 1), KEYS) for index in range(0, 3_000, 97)]
    for index, row in zip(range(0, 3_000, 97), rows, strict=True):
        assert row.equals(sealed.slice(index, 1))
    assert open_batch(sealed.slice(13, 700), KEYS).equals(open_batch(sealed, KEYS).slice(13, 700))


def test_every_single_bit_flip_is_rejected() -> None:
    batch = batch_of([{"waybill_no": f"N{i}", "to_phone": "+8613800000001", "to_address": "长" * 12} for i in range(1)])
    sealed = seal_batch(batch, KEYS)
    for name in ("to_phone", "to_address"):
        value = sealed[name][0].as_py()
        flipped = []
        for bit in range(len(value) * 8):
            changed = bytearray(value)
            changed[bit // 8] ^= 1 << bit % 8
            flipped.append(bytes(changed))
        many = pa.Table.from_batches([sealed] * len(flipped)).combine_chunks().to_batches()[0]
        many = many.set_column(
            many.schema.get_field_index(name), sealed.schema.field(name), pa.array(flipped, pa.binary())
        )
        clear, status = open_rows(many, KEYS)
        assert (status != kernel.OK).all()
        assert clear["to_phone"].null_count == clear["to_address"].null_count == len(flipped), "half a row is no row"
        with pytest.raises((AuthenticityError, EpochError)):
            open_batch(many, KEYS)


def test_a_value_moved_anywhere_else_does_not_open() -> None:
    rows = [{"waybill_no": f"YT{i}", "revision": 0, "to_name": "王小明", "from_name": "李雷雷"} for i in range(2)]
    sealed = seal_batch(batch_of(rows), KEYS)

    def put(name: str, values: list[bytes | None]) -> pa.RecordBatch:
        return sealed.set_column(
            sealed.schema.get_field_index(name), sealed.schema.field(name), pa.array(values, pa.binary())
        )

    to, from_ = sealed["to_name"].to_pylist(), sealed["from_name"].to_pylist()
    later = seal_batch(batch_of([row | {"revision": 1} for row in rows]), KEYS)["to_name"].to_pylist()
    other_generation, _ = fixed_epoch(generation=1, seed=1)
    newer = seal_batch(batch_of(rows), keys_of(other_generation))["to_name"].to_pylist()
    both = keys_of(EPOCH, other_generation)
    patched = [later[0][:5] + to[0][5:7] + later[0][7:], to[0][:1] + newer[0][1:5] + to[0][5:]]
    for batch in (
        put("to_name", to[::-1]),  # another row
        put("to_name", from_),  # another column
        put("to_name", [patched[0], to[1]]),  # another revision
        put("to_name", [patched[1], to[1]]),  # another epoch
        sealed.set_column(0, sealed.schema.field(0), pa.array(["YT9", "YT1"])),  # another waybill
    ):
        assert (open_rows(batch, both)[1] != kernel.OK).any()
    stranger, _ = fixed_epoch(tenant="other")  # the very same secrets, another tenant
    assert (open_rows(sealed, keys_of(stranger))[1] == kernel.TAMPERED).all()


def test_two_epochs_and_revisions_in_one_batch() -> None:
    newer, _ = fixed_epoch(generation=1, seed=1)
    rows = some_rows(200, 2)
    old, new = seal_batch(batch_of(rows[:90]), KEYS), seal_batch(batch_of(rows[90:]), keys_of(newer))
    mixed = pa.Table.from_batches([old, new]).combine_chunks().to_batches()[0]
    assert open_batch(mixed, keys_of(EPOCH, newer)).equals(batch_of(rows).replace_schema_metadata(None))
    _, status = open_rows(mixed, KEYS)
    assert set(status[:90]) == {kernel.OK}
    assert kernel.NO_EPOCH in set(status[90:])
    assert sorted(kernel.epochs_in(mixed)) == sorted([EPOCH.header.epoch, newer.header.epoch])


def test_limits_and_shapes() -> None:
    with pytest.raises(InputError, match="65535"):
        seal_batch(batch_of([{"waybill_no": "A", "note": "x" * 65_536}]), KEYS)
    longest = batch_of([{"waybill_no": "A", "note": "x" * 65_535}])
    assert open_batch(seal_batch(longest, KEYS), KEYS)["note"][0].as_py() == "x" * 65_535
    sealed = seal_batch(batch_of([{"waybill_no": "A", "note": "x"}]), KEYS)
    place = sealed.schema.get_field_index("note")
    for junk in (
        b"",
        b"\x01",
        bytes(22),
        bytes(39),
        bytes(40),
        b"\x02" + sealed["note"][0].as_py()[1:],
        bytes(100_000),
    ):
        bad = sealed.set_column(place, sealed.schema.field(place), pa.array([junk], pa.binary()))
        assert open_rows(bad, KEYS)[1][0] != kernel.OK
    empty = batch_of([])
    assert open_batch(seal_batch(empty, KEYS), KEYS).num_rows == 0


def test_length_shows_the_bucket_only() -> None:
    sizes = [
        len(seal_batch(batch_of([{"waybill_no": "A", "note": "x" * n}]), KEYS)["note"][0].as_py()) for n in range(70)
    ]
    assert sizes == [23 + next(b for b in (16, 32, 48, 64, 96) if b > n) for n in range(70)]


def test_reprs_show_no_key() -> None:
    for thing in (EPOCH, KEYS.pseudonyms, PseudonymKey(b"\x07" * 32, "acme", "search", 202611)):
        assert SECRET.hex() not in repr(thing)
        assert "\\x07" not in repr(thing)
    assert all(kind_of(field) for field in personal_fields(WAYBILL))
