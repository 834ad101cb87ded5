"""Entries: one spelling each, bounded, and commitments that say nothing without their salt."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.audit.entry import (
    KINDS,
    MAX_BYTES,
    AnyEntry,
    KeyEvent,
    Look,
    Refusal,
    commitment,
    decode,
    encode,
    opens,
)

text = st.text(st.characters(codec="utf-8"), max_size=12)
values_of = {
    int: st.integers(-(1 << 63), (1 << 63) - 1),
    str: text,
    tuple[str, ...]: st.lists(text, max_size=3).map(tuple),
}


def _entries() -> st.SearchStrategy[AnyEntry]:
    kinds = []
    for kind in KINDS.values():
        fields = {f.encode_name: values_of[f.type] for f in msgspec.structs.fields(kind) if f.name != "v"}
        kinds.append(st.builds(kind, **fields))
    return st.one_of(kinds)


@given(_entries())
@settings(max_examples=500, deadline=None)
def test_an_entry_reads_back(entry: AnyEntry) -> None:
    data = encode(entry)
    assert decode(data) == entry
    assert encode(decode(data)) == data
    said = json.loads(data)
    assert said["v"] == 1 and said["kind"] == entry.kind
    assert list(said) == sorted(said)


def respelled(said: dict[str, Any]) -> list[bytes]:
    """The same content in other spellings of JSON, and in the same with something added."""
    canonical = json.dumps(said, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    turned = dict(reversed(said.items()))
    return [
        json.dumps(said, ensure_ascii=False, sort_keys=True).encode(),
        json.dumps(turned, separators=(",", ":"), ensure_ascii=False).encode(),
        json.dumps({**said, "request": ""}, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode(),
        json.dumps({**said, "more": 1}, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode(),
        canonical.replace('"time":', '"\\u0074ime":').encode(),
        canonical.replace("{", '{"time":0,', 1).encode(),
        canonical.encode() + b"\n",
        b" " + canonical.encode(),
        b"\xef\xbb\xbf" + canonical.encode(),
        b"[" + canonical.encode() + b"]",
        canonical.replace('"v":1', '"v":1.0').encode(),
        canonical.replace('"v":1', '"v":2').encode(),
        canonical.replace('"v":1', '"v":0').encode(),
        canonical.replace(',"v":1', "").encode(),
        canonical.encode()[:-1],
    ]


@given(_entries())
@settings(max_examples=200, deadline=None)
def test_any_other_spelling_is_refused(entry: AnyEntry) -> None:
    data = encode(entry)
    for other in respelled(json.loads(data)):
        if other != data:
            with pytest.raises(ValueError):
                decode(other)


def test_the_canonical_form_is_this() -> None:
    entry = Look(time=7, actor="s-1", role="courier", scene="deliver", fields=("to_name",), waybills=1, values=1)
    assert encode(entry) == (
        b'{"actor":"s-1","fields":["to_name"],"kind":"look","role":"courier","scene":"deliver",'
        b'"time":7,"v":1,"values":1,"waybills":1}'
    )
    assert encode(KeyEvent(time=1, action='"\\\n\x01\x7fä签')) == (
        b'{"action":"\\"\\\\\\n\\u0001\x7f' + "ä签".encode() + b'","kind":"key","time":1,"v":1}'
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b'{"kind":"look"}',
        b'{"kind":"nothing","time":1,"v":1}',
        b'{"action":"x","kind":"key","time":1e3,"v":1}',
        b'{"action":"x","kind":"key","time":"1","v":1}',
        b'{"action":null,"kind":"key","time":1,"v":1}',
        b'{"action":"\xff","kind":"key","time":1,"v":1}',
        b"[" * 100_000,
        b'{"action":' + b'{"a":' * 100_000,
    ],
)
def test_what_is_no_entry_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        decode(data)


def test_sizes() -> None:
    empty = len(encode(KeyEvent(time=1, action="x", detail="y"))) - 1
    assert len(encode(KeyEvent(time=1, action="x", detail="y" * (MAX_BYTES - empty)))) == MAX_BYTES
    with pytest.raises(ValueError, match="65,535"):
        encode(KeyEvent(time=1, action="x", detail="y" * (MAX_BYTES - empty + 1)))


def test_kinds_have_their_own_tags() -> None:
    assert {kind: t.__struct_config__.tag for kind, t in KINDS.items()} == {kind: kind for kind in KINDS}
    assert isinstance(decode(encode(Refusal(time=1, actor="?", role="?", scene="?", answer="refused", reason="role"))), Refusal)  # fmt: skip


# -- commitments ----------------------------------------------------------------------------------------------------


def test_t10_a_commitment_is_salted_and_bound_to_its_kind() -> None:
    salt = bytes(range(16))
    made = commitment(salt, "waybill", "YT0000000000001")
    assert made == hashlib.sha256(b"parcelveil v1 subject" + salt + b"waybill\0YT0000000000001").digest()
    assert opens(made, salt, "waybill", "YT0000000000001")
    others = [
        commitment(bytes(16), "waybill", "YT0000000000001"),
        commitment(salt, "document", "YT0000000000001"),
        commitment(salt, "waybill", "YT0000000000002"),
        commitment(salt, "waybil", "l\0YT0000000000001"),
    ]
    assert len({made, *others}) == 5
    assert not any(opens(other, salt, "waybill", "YT0000000000001") for other in others)


@given(st.binary(min_size=16, max_size=16), text, text, text)
@settings(deadline=None)
def test_a_commitment_opens_to_its_value_only(salt: bytes, kind: str, value: str, other: str) -> None:
    kind = kind.replace("\0", "")
    assert opens(commitment(salt, kind, value), salt, kind, value)
    assert opens(commitment(salt, kind, value), salt, kind, other) == (value == other)
