"""Prints the worked examples of docs/format/label-token.md, computed from the document's words without the package.

python tests/seal/token_example.py

Of ``cryptography`` it takes AES-SIV and HKDF, of Python's library base32: no code is shared with the package.
"""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET, TENANT, PERIOD = bytes(range(32)), "acme", 202611
#: Numbers of 15 bytes (nearly all), of 16 (one bucket more), and one beyond ASCII.
NUMBERS = ["YT0000000000001", "SF12345678901234", "顺丰2026-7"]
BUCKETS = [16, 32, 48, 64, 96, 128, 192, 256, 384]


def token(number: str, secret: bytes = SECRET, tenant: str = TENANT, period: int = PERIOD) -> dict[str, bytes | str]:
    """Every step of one token, by its name in the document."""
    value, owner, use = number.encode(), tenant.encode(), b"label token"
    info = b"parcelveil v1 label token\0" + owner + b"\0" + str(period).encode()
    key = HKDF(SHA256(), 64, salt=None, info=info).derive(secret)
    bucket = next(size for size in BUCKETS if size > len(value))
    padded = value + b"\x80" + bytes(bucket - len(value) - 1)
    head = b"\x01" + period.to_bytes(3, "big")
    context = b"PVLT" + head + len(use).to_bytes(2, "big") + use + len(owner).to_bytes(2, "big") + owner
    body = head + AESSIV(key).encrypt(padded, [context])
    return {
        "key": key,
        "padded": padded,
        "context": context,
        "token": body,
        "text": base64.b32encode(body).decode().rstrip("="),
    }


def document() -> str:
    """The examples as they stand in the document."""
    out = [f"secret {SECRET.hex()}", f"tenant {TENANT}, period {PERIOD}"]
    for number in NUMBERS:
        facts = token(number)
        out += ["", f"{number}: {len(number.encode())} bytes"]
        for name, value in facts.items():
            text = value.hex() if isinstance(value, bytes) else value
            out += [f"  {name}:", *(f"    {text[start : start + 96]}" for start in range(0, len(text), 96))]
    return "\n".join(out)


if __name__ == "__main__":
    print(document())
