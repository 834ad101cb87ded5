"""The scan key: who has it knows values again, who has not learns nothing."""

from __future__ import annotations

import doctest
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.errors import KeyAccessError, OutputError, UsageError
from parcelveil.scan import key as module
from parcelveil.scan.key import VARIABLE, ScanKey

KINDS = ("phone.mobile", "id.resident", "phone.foreign", "net.email")


def test_the_examples_hold() -> None:
    assert doctest.testmod(module).failed == 0


def prints(key: ScanKey, kinds: list[str], values: list[bytes]) -> list[bytes]:
    names = sorted(set(kinds)) or ["phone.mobile"]
    codes = np.array([names.index(kind) for kind in kinds], dtype=np.int64)
    return key.fingerprints(names, codes, pa.array(values, pa.binary())).to_pylist()


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.binary(max_size=40)), max_size=60),
    st.binary(min_size=32, max_size=32),
)
@settings(deadline=None, max_examples=60)
def test_a_fingerprint_is_cmac_under_a_key_of_the_kinds_class(rows: list[tuple[str, bytes]], secret: bytes) -> None:
    found = prints(ScanKey(secret, lasting=True), [kind for kind, _ in rows], [value for _, value in rows])
    for (kind, value), fingerprint in zip(rows, found, strict=True):
        info = f"parcelveil v1 pseudonym\0\0scan\x000\0{kind.partition('.')[0]}".encode()
        mac = CMAC(AES(HKDF(SHA256(), 32, salt=None, info=info).derive(secret)))
        mac.update(value)
        assert fingerprint == mac.finalize()


def test_slices_of_larger_arrays_count_from_where_they_begin() -> None:
    key, values = ScanKey.new(), pa.array([b"1", b"22", b"333", b"22"], pa.binary())
    whole = key.fingerprints(KINDS, np.array([0, 0, 0, 0]), values)
    part = key.fingerprints(KINDS, np.array([0, 0]), values.slice(2))
    assert part.to_pylist() == whole.to_pylist()[2:]
    assert key.fingerprints(KINDS, np.zeros(0, dtype=np.int16), values.slice(4)).to_pylist() == []
    assert key.fingerprints((), np.zeros(0, dtype=np.int16), pa.array([], pa.binary())).to_pylist() == []


def test_t7_another_key_or_class_gives_another_fingerprint() -> None:
    one, other = ScanKey.new(), ScanKey.new()
    assert prints(one, ["phone.mobile"], [b"1"]) != prints(other, ["phone.mobile"], [b"1"])
    assert prints(one, ["phone.mobile"], [b"1"]) != prints(one, ["card.bank"], [b"1"])
    assert prints(one, ["phone.mobile"], [b"1"]) == prints(one, ["phone.foreign"], [b"1"])
    assert one.key_id != other.key_id


def test_a_key_is_written_once_for_its_owner_and_reads_back(tmp_path: Path) -> None:
    path, key = tmp_path / "scan.key", ScanKey.new()
    assert not key.lasting
    key.write(path)
    assert key.lasting and path.stat().st_mode & 0o777 == 0o600
    again = ScanKey.read(path)
    assert again.lasting and again.key_id == key.key_id
    assert prints(again, ["phone.mobile"], [b"1"]) == prints(key, ["phone.mobile"], [b"1"])
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists already") as caught:
        ScanKey.new().write(path)
    assert "never replaced" in caught.value.hint
    assert path.read_bytes() == before
    with pytest.raises(OutputError, match="could not be written"):
        key.write(tmp_path / "no" / "scan.key")


def test_t10_no_link_is_followed_when_a_key_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError):
        ScanKey.new().write(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "scan.key"
    ScanKey.new().write(path)
    path.chmod(mode)
    with pytest.raises(KeyAccessError, match="may be read by others") as caught:
        ScanKey.read(path)
    assert caught.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 32,
        b"parcelveil.scan-key.v1 ",
        b"parcelveil.scan-key.v1 AAAA\n",
        b"parcelveil.scan-key.v2 " + b"A" * 44,
        b"\0" * 5000,
    ],
)
def test_what_is_no_key_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "scan.key"
    path.touch(0o600)
    path.write_bytes(data)
    with pytest.raises(KeyAccessError, match="is not a scan key"):
        ScanKey.read(path)


def test_where_a_key_is_looked_for(tmp_path: Path) -> None:
    kept, other = ScanKey.new(), ScanKey.new()
    kept.write(tmp_path / "kept.key")
    other.write(tmp_path / "other.key")
    environ = {VARIABLE: str(tmp_path / "kept.key")}
    assert ScanKey.find(None, environ).key_id == kept.key_id
    assert ScanKey.find(tmp_path / "other.key", environ).key_id == other.key_id
    assert not ScanKey.find(None, {}).lasting
    assert ScanKey.find(None, {}).key_id != ScanKey.find(None, {VARIABLE: ""}).key_id
    with pytest.raises(KeyAccessError, match="cannot be read"):
        ScanKey.find(None, {VARIABLE: str(tmp_path / "gone.key")})


def test_a_key_of_one_scan_makes_no_baseline() -> None:
    with pytest.raises(UsageError, match="needs a scan key that is kept") as caught:
        ScanKey.new().lasts()
    assert "parcelveil scan key" in caught.value.hint
    ScanKey.new(lasting=True).lasts()


def test_t6_nothing_of_a_key_is_shown(tmp_path: Path) -> None:
    secret = os.urandom(32)
    key = ScanKey(secret, lasting=True)
    assert secret.hex() not in repr(key) and repr(secret) not in repr(key) and repr(key) == f"<ScanKey {key.key_id}>"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(KeyAccessError) as caught:
        key.fits("00" * 8, "base.jsonl")
    said = f"{caught.value} {caught.value.hint} {caught.value.values}"
    assert secret.hex() not in said and key.key_id in said
    path = tmp_path / "broken.key"
    path.touch(0o600)
    path.write_bytes(b"parcelveil.scan-key.v1 " + secret.hex().encode())
    with pytest.raises(KeyAccessError) as caught:
        ScanKey.read(path)
    assert secret.hex() not in f"{caught.value} {caught.value.hint} {caught.value.values}"
    with pytest.raises(ValueError, match="32 bytes"):
        ScanKey(b"short", lasting=True)
