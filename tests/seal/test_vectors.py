"""AES-SIV and AES-CMAC against published vectors and against the cryptography package."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cryptography_vectors
import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from parcelveil.seal.siv import Cmac, Siv, as_rows, double

FOLDER = Path(os.environ.get("PARCELVEIL_VECTORS", Path(__file__).parents[3] / "shared" / "vectors")) / "wycheproof"


def wycheproof(name: str) -> list[dict[str, Any]]:
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"the vectors {name} are not on this machine; PARCELVEIL_VECTORS names their folder")
    groups = json.loads(path.read_text())["testGroups"]
    return [test | {"tagSize": group.get("tagSize", 128)} for group in groups for test in group["tests"]]


def seal(key: bytes, components: list[bytes], message: bytes) -> bytes:
    siv = Siv(key)
    tags, stream = siv.seal_rows(siv.s2v_prefix(components), as_rows(message))
    return tags.tobytes() + (stream ^ as_rows(message)).tobytes()


def opened(key: bytes, components: list[bytes], sealed: bytes) -> bytes | None:
    siv = Siv(key)
    text, genuine = siv.open_rows(siv.s2v_prefix(components), as_rows(sealed[:16]).copy(), as_rows(sealed[16:]).copy())
    assert genuine[0] or not text.any(), "unauthenticated plaintext must not come out"
    return text.tobytes() if genuine[0] else None


@pytest.mark.parametrize("name", ["aes_siv_cmac_test.json", "aead_aes_siv_cmac_test.json"])
def test_wycheproof_siv(name: str) -> None:
    count = 0
    for test in wycheproof(name):
        key, message, ciphertext = (bytes.fromhex(test[part]) for part in ("key", "msg", "ct"))
        components = [bytes.fromhex(test["aad"])]
        if "iv" in test:
            components.append(bytes.fromhex(test["iv"]))
            ciphertext = bytes.fromhex(test["tag"]) + ciphertext
        if test["result"] == "valid":
            assert seal(key, components, message) == ciphertext, test["tcId"]
            assert opened(key, components, ciphertext) == message, test["tcId"]
        else:
            assert opened(key, components, ciphertext) is None, test["tcId"]
        count += 1
    assert count > 400


def test_wycheproof_cmac() -> None:
    for test in wycheproof("aes_cmac_test.json"):
        key, message, tag = (bytes.fromhex(test[part]) for part in ("key", "msg", "tag"))
        if len(key) not in (16, 24, 32):
            continue
        same = Cmac(key).rows(as_rows(message)).tobytes()[: test["tagSize"] // 8] == tag
        assert same == (test["result"] == "valid"), test["tcId"]


def test_rfc_5297_appendix_a() -> None:
    key = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    ad = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    sealed = seal(key, [ad], bytes.fromhex("112233445566778899aabbccddee"))
    assert sealed.hex() == "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"
    key = bytes.fromhex("7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f")
    components = [
        bytes.fromhex("00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100"),
        bytes.fromhex("102030405060708090a0"),
        bytes.fromhex("09f911029d74e35bd84156c5635688c0"),
    ]
    message = b"this is some plaintext to encrypt using SIV-AES"
    expected = "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d"
    assert seal(key, components, message).hex() == expected
    assert opened(key, components, bytes.fromhex(expected)) == message


def test_vectors_of_the_cryptography_package() -> None:
    with cryptography_vectors.open_vector_file("ciphers/AES/SIV/openssl.txt", "r") as file:
        lines = [line.split("=", 1) for line in file.read().splitlines() if "=" in line]
    current: dict[str, Any] = {}
    count = 0
    for name, value in ((name.strip().lower(), value.strip()) for name, value in lines):
        if name == "count":
            current = {"aad": []}
        elif name.startswith("aad"):
            current["aad"].append(bytes.fromhex(value))
        else:
            current[name] = value
        if name == "ciphertext" and {"key", "tag", "plaintext"} <= current.keys():
            plain, sealed = bytes.fromhex(current["plaintext"]), bytes.fromhex(current["tag"] + current["ciphertext"])
            assert seal(bytes.fromhex(current["key"]), current["aad"], plain) == sealed
            count += 1
    assert count >= 2


def differential(total: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    done = 0
    while done < total:
        key = rng.bytes(int(rng.choice([32, 48, 64])))
        length, rows = int(rng.integers(0, 300)), int(rng.integers(1, 2_000))
        components = [rng.bytes(int(rng.integers(0, 70))) for _ in range(int(rng.integers(1, 4)))]
        # AESSIV of the package refuses empty messages; the vectors above have them.
        length = max(length, 1)
        text = np.frombuffer(rng.bytes(rows * length), dtype=np.uint8).reshape(rows, length)
        siv, peer = Siv(key), AESSIV(key)
        tags, stream = siv.seal_rows(siv.s2v_prefix(components), text)
        ciphertext = stream ^ text
        for row in range(rows):
            expected = peer.encrypt(text[row].tobytes(), components)
            assert tags[row].tobytes() + ciphertext[row].tobytes() == expected
        back, genuine = siv.open_rows(siv.s2v_prefix(components), tags, np.ascontiguousarray(ciphertext))
        assert genuine.all()
        assert (back == text).all()
        done += rows


def test_a_hundred_thousand_random_values_equal_the_package() -> None:
    differential(100_000, 1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_million_random_values_equal_the_package() -> None:
    differential(10_000_000, 2)


def test_cmac_of_columns_equals_the_package() -> None:
    rng = np.random.default_rng(3)
    values = [rng.bytes(int(n)) for n in rng.integers(0, 100, 3_000)]
    key = rng.bytes(32)
    ours = Cmac(key).column(pa.array(values, pa.binary()))
    for value, tag in zip(values, ours, strict=True):
        peer = CMAC(AES(key))
        peer.update(value)
        assert peer.finalize() == tag.tobytes()


def test_double_is_multiplication_by_x() -> None:
    for value in (0, 1, 1 << 63, 1 << 64, 1 << 127, (1 << 128) - 1):
        expected = (value << 1) & ((1 << 128) - 1) ^ (0x87 if value >> 127 else 0)
        assert int.from_bytes(double(as_rows(value.to_bytes(16, "big")).copy()).tobytes(), "big") == expected
