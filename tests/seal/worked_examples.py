"""Prints the worked examples of docs/format/sealed-value.md, computed step by step without the package.

python tests/seal/worked_examples.py

Everything is done one block at a time from the document's own words, so that the document, this script and the
kernel check each other. Of ``cryptography`` it takes AES, CMAC and HKDF only: S2V and CTR are spelled out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import unicodedata

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET, ROOT, SALT = bytes(range(32)), bytes(range(0x40, 0x50)), bytes(range(0x80, 0x90))
TENANT, EPOCH = "acme", 20780 << 12
BUCKETS = sorted([16, 32, 48, 64, *(step << k for k in range(10) for step in (96, 128))])
EXAMPLES = [
    ("to_phone", "YT0000000000001", 0, "+8614200001234"),
    ("to_name", "YT0000000000001", 0, "诸葛孔明"),
    ("to_address", "SF20261123", 2, "徐民路308号3幢2单元501室 门口柜子里请勿敲门"),
]
PSEUDONYM_SECRET, PURPOSE, PERIOD = bytes(range(0x20, 0x40)), "search", 202611
AREA = ("CN", "上海市", "上海市", "青浦区", "徐泾镇")
#: kind, value as it is sealed, value as it is compared
PSEUDONYMS = [
    ("phone", "+8614200001234", "+8614200001234"),
    ("email", " Li.Lei@Example.COM ", "li.lei@example.com"),
    ("address", "".join(AREA) + EXAMPLES[2][3], "CN上海市上海市青浦区徐泾镇徐民路308号3幢2单元501室门口柜子里请勿敲门"),
    ("id_number", "11010119900101123x", "11010119900101123X"),
]


def _hkdf(secret: bytes, salt: bytes | None, info: bytes, size: int) -> bytes:
    return HKDF(SHA256(), size, salt=salt, info=info).derive(secret)


def _aes(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()


def _double(block: bytes) -> bytes:
    number = int.from_bytes(block, "big") << 1
    return ((number ^ 0x87) & (1 << 128) - 1 if number >> 128 else number).to_bytes(16, "big")


def _feed_forward(key: bytes, block: bytes) -> bytes:
    return _xor(_aes(key, block), block)


def child(node: bytes, bit: int) -> bytes:
    """One step down the tree."""
    return _feed_forward(shared()["tree key T"], node[:15] + bytes([node[15] ^ bit]))


def shared() -> dict[str, bytes]:
    """What all values of the epoch have in common."""
    owner = TENANT.encode()
    header = struct.pack(">BIH", 1, EPOCH, len(owner)) + owner + SALT
    keys = {
        label: _hkdf(SECRET, SALT, b"parcelveil v1 " + label.encode() + b"\0" + header, size)
        for label, size in (("siv", 64), ("path", 32), ("commit", 32))
    }
    return {
        "epoch header": header,
        "AES-SIV key, S2V half": keys["siv"][:32],
        "AES-SIV key, CTR half": keys["siv"][32:],
        "path key": keys["path"],
        "commitment key": keys["commit"],
        "commitment": hmac.digest(keys["commit"], b"commit" + header, "sha256"),
        "tree key T": _hkdf(SALT, None, b"parcelveil v1 public tree", 16),
        "pad key P": _hkdf(SALT, None, b"parcelveil v1 public pad", 16),
    }


def path_of(number: str) -> bytes:
    """The 64-bit path of a waybill number."""
    return _cmac(shared()["path key"], number.encode())[:8]


def steps(field: str, number: str, revision: int, value: str) -> dict[str, bytes]:
    """Every intermediate of one sealed value, in the order of the document."""
    keys = shared()
    mac, ctr = keys["AES-SIV key, S2V half"], keys["AES-SIV key, CTR half"]
    owner, name, text = TENANT.encode(), field.encode(), value.encode()
    bucket = next(size for size in BUCKETS if size > len(text))
    padded = text + b"\x80" + bytes(bucket - len(text) - 1)
    context = b"PVSV" + struct.pack(">BIH", 1, EPOCH, len(owner)) + owner + struct.pack(">H", len(name)) + name
    prefix = _cmac(mac, bytes(16))
    for component in (context, number.encode(), struct.pack(">H", revision)):
        prefix = _xor(_double(prefix), _cmac(mac, component))
    tag = _cmac(mac, padded[:-16] + _xor(padded[-16:], prefix))
    counter = int.from_bytes(tag, "big") & ~(1 << 63 | 1 << 31)
    stream = b"".join(_aes(ctr, ((counter + block) % (1 << 128)).to_bytes(16, "big")) for block in range(bucket // 16))
    path = path_of(number)
    leaf = ROOT
    for level in range(64):
        leaf = child(leaf, int.from_bytes(path, "big") >> (63 - level) & 1)
    tweak = hashlib.sha256(b"parcelveil v1 field " + name).digest()[:8]
    pad = b"".join(
        _feed_forward(keys["pad key P"], _xor(leaf, tweak + struct.pack(">HIH", revision, 0, block)))
        for block in range(1 + bucket // 16)
    )
    body = tag + _xor(padded, stream)
    return {
        "padded": padded,
        "context": context,
        "S2V prefix": prefix,
        "tag": tag,
        "ciphertext": body[16:],
        "path": path,
        "leaf": leaf,
        "field tweak": tweak,
        "pad": pad,
        "sealed value": struct.pack(">BIH", 1, EPOCH, revision) + _xor(body, pad),
    }


def text_form(sealed: bytes) -> str:
    """A sealed value as text files hold it."""
    return "pv1:" + base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def normalised(value: str, kind: str) -> str:
    """A value as pseudonyms compare it; phones of the examples are canonical already."""
    text = unicodedata.normalize("NFKC", value)
    if kind == "phone":
        return text
    if kind == "email":
        return text.strip().lower()
    noise = ("P", "Z", "Cc", "Cf")
    return "".join(c for c in text if not unicodedata.category(c).startswith(noise)).upper()


def pseudonym(kind: str, compared: str) -> tuple[bytes, bytes]:
    """Key and pseudonym of a value that is normalised already."""
    info = "\0".join(["parcelveil v1 pseudonym", TENANT, PURPOSE, str(PERIOD), kind])
    key = _hkdf(PSEUDONYM_SECRET, None, info.encode(), 32)
    return key, _cmac(key, compared.encode())


def punctured_state(number: str) -> bytes:
    """The epoch's state after one waybill of a fresh epoch was erased."""
    path = int.from_bytes(path_of(number), "big")
    node, nodes = ROOT, []
    for level in range(64):
        bit, below = path >> (63 - level) & 1, 63 - level
        first = ((path >> below) ^ 1) << below
        nodes.append((first, bytes([level + 1]) + first.to_bytes(8, "big") + child(node, bit ^ 1)))
        node = child(node, bit)
    return b"PVE1" + SECRET + b"".join(packed for _, packed in sorted(nodes))


def _listed(facts: dict[str, bytes]) -> list[str]:
    out: list[str] = []
    for name, data in facts.items():
        text = data.hex()
        out += [f"  {name}:"] + [f"    {text[start : start + 96]}" for start in range(0, len(text), 96)]
    return out


def document() -> str:
    """The examples as they stand in the document."""
    out = [f"secret {SECRET.hex()}", f"root   {ROOT.hex()}", f"salt   {SALT.hex()}"]
    out += [f"tenant {TENANT}, epoch {EPOCH:#010x} (2026-11-23, generation 0)", "", "all values of the epoch"]
    out += _listed(shared())
    for number, (field, waybill_no, revision, value) in enumerate(EXAMPLES, start=1):
        facts = steps(field, waybill_no, revision, value)
        out += [
            "",
            f"example {number}: {field} of {waybill_no}, revision {revision}, {len(value.encode())} bytes: {value}",
        ]
        out += [*_listed(facts), "  text form:", f"    {text_form(facts['sealed value'])}"]
    out += ["", f"pseudonyms: secret {PSEUDONYM_SECRET.hex()}", f"purpose {PURPOSE}, period {PERIOD}"]
    for kind, value, compared in PSEUDONYMS:
        key, found = pseudonym(kind, compared)
        text = "pn1:" + base64.urlsafe_b64encode(found).decode().rstrip("=")
        out += ["", f"{kind}: {value!r}, compared as {compared!r}"]
        out += [*_listed({"key": key, "pseudonym": found}), "  text form:", f"    {text}"]
    state = punctured_state(EXAMPLES[0][1])
    out += ["", f"state after {EXAMPLES[0][1]} was erased: {len(state)} bytes"]
    facts = {"magic and secret": state[:36], "first node": state[36:61], "last node": state[-25:]}
    out += _listed({**facts, "SHA-256 of the state": hashlib.sha256(state).digest()})
    return "\n".join(out)


if __name__ == "__main__":
    print(document())
