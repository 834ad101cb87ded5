"""Prints the worked examples of docs/format/sealed-value.md, computed step by step without the package.

python tests/seal/worked_examples.py
"""

from __future__ import annotations

import hashlib
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET, ROOT, SALT = bytes(range(32)), bytes(range(0x40, 0x50)), bytes(range(0x80, 0x90))
TENANT, EPOCH = "acme", 20780 << 12
BUCKETS = [16, 32, 48, 64, 96, 128, 192, 256]
EXAMPLES = [
    ("to_phone", "YT0000000000001", 0, "+8614200001234"),
    ("to_name", "YT0000000000001", 0, "诸葛孔明"),
    ("to_address", "SF20261123", 2, "徐民路308号3幢2单元501室，放在门口的柜子里即可谢谢"),
]


def _hkdf(secret: bytes, salt: bytes | None, info: bytes, size: int) -> bytes:
    return HKDF(SHA256(), size, salt=salt, info=info).derive(secret)


def _aes(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def steps(field: str, number: str, revision: int, value: str) -> dict[str, bytes]:
    """Every intermediate of one sealed value, in the order of the document."""
    owner, name = TENANT.encode(), field.encode()
    header = struct.pack(">BIH", 1, EPOCH, len(owner)) + owner + SALT
    siv_key = _hkdf(SECRET, SALT, b"parcelveil v1 siv\0" + header, 64)
    path_key = _hkdf(SECRET, SALT, b"parcelveil v1 path\0" + header, 32)
    mac = CMAC(algorithms.AES(path_key))
    mac.update(number.encode())
    path = mac.finalize()[:8]
    down = _hkdf(SALT, None, b"parcelveil v1 public tree", 16)
    pad_key = _hkdf(SALT, None, b"parcelveil v1 public pad", 16)
    leaf = ROOT
    for level in range(64):
        bit = int.from_bytes(path, "big") >> (63 - level) & 1
        stepped = leaf[:15] + bytes([leaf[15] ^ bit])
        leaf = _xor(_aes(down, stepped), stepped)
    text = value.encode()
    bucket = next(size for size in BUCKETS if size > len(text))
    padded = text + b"\x80" + bytes(bucket - len(text) - 1)
    context = b"PVSV" + struct.pack(">BIH", 1, EPOCH, len(owner)) + owner + struct.pack(">H", len(name)) + name
    body = AESSIV(siv_key).encrypt(padded, [context, number.encode(), struct.pack(">H", revision)])
    tag = hashlib.sha256(b"parcelveil v1 field " + name).digest()[:8]
    pad = b""
    for block in range(len(body) // 16):
        x = _xor(leaf, tag + struct.pack(">HIH", revision, 0, block))
        pad += _xor(_aes(pad_key, x), x)
    return {
        "epoch header": header,
        "AES-SIV key": siv_key,
        "path key": path_key,
        "path": path,
        "tree key T": down,
        "pad key P": pad_key,
        "leaf": leaf,
        "context": context,
        "padded": padded,
        "tag and ciphertext": body,
        "pad": pad,
        "sealed value": struct.pack(">BIH", 1, EPOCH, revision) + _xor(body, pad),
    }


def document() -> str:
    """The examples as they stand in the document."""
    out = [
        f"secret {SECRET.hex()}",
        f"root   {ROOT.hex()}",
        f"salt   {SALT.hex()}",
        f"tenant {TENANT}, epoch {EPOCH:#010x}",
    ]
    for field, number, revision, value in EXAMPLES:
        out += ["", f"{field} of {number}, revision {revision}: {value}"]
        for name, data in steps(field, number, revision, value).items():
            lines = [data.hex()[start : start + 96] for start in range(0, len(data.hex()), 96)]
            out += [f"  {name}:"] + [f"    {line}" for line in lines]
    return "\n".join(out)


if __name__ == "__main__":
    print(document())
