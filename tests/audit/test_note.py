"""Signed notes: against published notes of other implementations, and what must be refused."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.audit.note import COSIGNATURE, SIGNATURE, Signer, checkpoint, with_signature
from parcelveil.audit.proof import (
    ProofError,
    VerifierKey,
    parse_checkpoint,
    read_checkpoint,
    split_note,
    verify_note,
)
from parcelveil.audit.tree import EMPTY

# The example of the Go reference implementation, golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SECRET = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_BODY = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# A checkpoint of a public log, as it was published with cosignatures of public witnesses.
PUBLIC = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
"""
PUBLIC_LOG = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
PUBLIC_WITNESSES = [
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
]

LOG = Signer.from_seed("acme.parcelveil/log", b"log seed" * 4)
WITNESS = Signer.from_seed("regulator.example/w1", b"witness!" * 4, COSIGNATURE)


def test_the_note_of_the_go_implementation() -> None:
    key = VerifierKey.parse(GO_KEY)
    assert str(key) == GO_KEY
    assert verify_note(GO_BODY + "\n" + GO_LINE, key) == (GO_BODY, 0)
    secret = b64decode(GO_SECRET)
    signer = Signer.from_seed("PeterNeumann", secret[1:])
    assert secret[0] == SIGNATURE
    assert signer.key == key
    assert signer.sign(GO_BODY) == GO_LINE


def test_a_public_checkpoint_with_cosignatures() -> None:
    log = VerifierKey.parse(PUBLIC_LOG)
    found = read_checkpoint(PUBLIC, log)
    assert (found.origin, found.size) == (log.name, 1_432_088_532)
    for text in PUBLIC_WITNESSES:
        witness = VerifierKey.parse(text)
        assert witness.kind == COSIGNATURE
        assert verify_note(PUBLIC, witness)[1] == 1_779_573_024
        with pytest.raises(ProofError, match="wrong"):
            verify_note(PUBLIC.replace("1432088532", "1432088533"), witness)
    assert len(split_note(PUBLIC)[1]) == 6


def test_keys_of_other_implementations() -> None:
    for text in ("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", GO_KEY, PUBLIC_LOG):
        assert str(VerifierKey.parse(text + "\n")) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "++",
        "a+b",
        GO_KEY[:-1],
        GO_KEY + "A",
        GO_KEY.replace("c74f20a3", "C74F20A3"),
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("c74f20a3", "00c74f20a3"),
        GO_KEY.replace("+ARpc", "+AhPc"),
        GO_KEY.replace("Peter", "Peter "),
        GO_KEY.replace("Peter", "\x1b[31mPeter"),
        GO_KEY.replace("PeterNeumann", ""),
        GO_KEY.replace("+c7", "\n+c7"),
        "x" * 2000 + GO_KEY,
        # kinds 2 and 6 are other algorithms
        "remora.n621.de+da77ade7+" + b64encode(b"\2" + bytes(32)).decode(),
    ],
)
def test_what_is_no_verifier_key(text: str) -> None:
    with pytest.raises(ProofError):
        VerifierKey.parse(text)


def test_generated_signers_sign_what_their_keys_verify() -> None:
    for kind in (SIGNATURE, COSIGNATURE):
        signer, seed = Signer.generate("acme.parcelveil/log", kind)
        assert len(seed) == 32
        assert (
            Signer.from_seed("acme.parcelveil/log", seed, kind).key == signer.key == VerifierKey.parse(str(signer.key))
        )
    assert Signer.generate("a")[1] != Signer.generate("a")[1]


def test_nothing_shows_a_seed() -> None:
    signer, seed = Signer.generate("acme.parcelveil/log")
    for text in (repr(signer), str(signer), f"{signer!r}"):
        assert text == "<Signer acme.parcelveil/log>"
        assert seed.hex() not in text
    assert not hasattr(signer, "__dict__")


@pytest.mark.parametrize("name", ["", "two words", "a+b", "tab\there", "line\n", "\u00a0", "\u2028x", "\x07", "\ud800"])
def test_names_that_no_key_may_have(name: str) -> None:
    with pytest.raises(ProofError):
        Signer.generate(name)


def test_other_kinds_and_seeds_are_refused() -> None:
    for kind in (0, 2, 3, 5, 6, 255):
        with pytest.raises(ProofError):
            Signer.from_seed("a", bytes(32), kind)
    for seed in (b"", bytes(31), bytes(33)):
        with pytest.raises(ValueError):
            Signer.from_seed("a", seed)


def test_checkpoints_are_read_back() -> None:
    for size, root in [(0, EMPTY), (1, b"r" * 32), ((1 << 63) - 1, b"s" * 32)]:
        text = checkpoint(LOG, size, root)
        assert read_checkpoint(text, LOG.key) == (LOG.key.name, size, root)
    for size, root in [(-1, EMPTY), (1 << 63, EMPTY), (1, b"short")]:
        with pytest.raises(ProofError):
            checkpoint(LOG, size, root)


def test_cosignatures_are_added_and_replaced() -> None:
    plain = checkpoint(LOG, 5, b"r" * 32)
    body = split_note(plain)[0]
    once = with_signature(plain, WITNESS.cosign(body, 100))
    assert verify_note(once, WITNESS.key) == (body, 100)
    later = with_signature(once, WITNESS.cosign(body, 200).rstrip("\n"))
    assert verify_note(later, WITNESS.key) == (body, 200)
    assert len(split_note(later)[1]) == 2
    assert with_signature(later, LOG.sign(body)).count("—") == 2
    assert read_checkpoint(later, LOG.key).size == 5
    assert once.startswith(plain)


def test_what_is_no_signature_line_is_not_added() -> None:
    note = checkpoint(LOG, 5, b"r" * 32)
    line = WITNESS.cosign(split_note(note)[0], 1)
    for bad in [
        "",
        "\n",
        "— ",
        line * 2,
        "x\n\n" + line,
        "\n" + line,
        line + "\n",
        line.replace("—", "-"),
        line[:-2] + "!\n",
    ]:
        with pytest.raises(ValueError):
            with_signature(note, bad)


def test_a_note_has_at_most_64_signatures() -> None:
    note = checkpoint(LOG, 5, b"r" * 32)
    body = split_note(note)[0]
    for i in range(63):
        note = with_signature(note, Signer.from_seed(f"w{i}", bytes(32), COSIGNATURE).cosign(body, 1))
    assert len(split_note(note)[1]) == 64
    with pytest.raises(ProofError):
        with_signature(note, WITNESS.cosign(body, 1))
    with pytest.raises(ProofError):
        split_note(note + WITNESS.cosign(body, 1))


def test_a_key_does_one_thing_only() -> None:
    body = split_note(checkpoint(LOG, 5, b"r" * 32))[0]
    with pytest.raises(ValueError):
        LOG.cosign(body, 1)
    with pytest.raises(ValueError):
        WITNESS.sign(body)
    with pytest.raises(ValueError):
        LOG.sign(f"cosignature/v1\ntime 1\n{body}")
    for when in (-1, 253_402_300_800, 1 << 63):
        with pytest.raises(ValueError):
            WITNESS.cosign(body, when)
    with pytest.raises(ProofError):
        WITNESS.cosign("no checkpoint\n", 1)
    for bad in ("", "no newline", "tab\t\n", "bell\x07\n", "cr\r\n", "\ud800\n"):
        with pytest.raises(ValueError):
            LOG.sign(bad)


def test_t6_a_cosignature_does_not_pass_for_a_signature_nor_at_another_time() -> None:
    """The same seed, as log and as witness: neither's signatures pass for the other's."""
    twin = Signer.from_seed(LOG.key.name, b"log seed" * 4, COSIGNATURE)
    note = checkpoint(LOG, 5, b"r" * 32)
    body = split_note(note)[0]
    assert twin.key.public == LOG.key.public
    assert twin.key.key_id != LOG.key.key_id
    with pytest.raises(ProofError, match="did not sign"):
        verify_note(note, twin.key)
    line = twin.cosign(body, 77)
    raw = bytearray(b64decode(line.split()[2]))
    raw[11] ^= 1  # the last byte of the time
    moved = f"— {twin.key.name} {b64encode(raw).decode()}\n"
    with pytest.raises(ProofError, match="wrong"):
        verify_note(with_signature(note, moved), twin.key)


def test_every_signature_of_a_known_key_must_be_right() -> None:
    note = checkpoint(LOG, 5, b"r" * 32)
    wrong = note.split("\n")[4].replace(note.split("\n")[4][-8:-3], "AAAAA")
    for text in (note + wrong + "\n", note.replace("\n— ", "\n" + wrong + "\n— ", 1)):
        with pytest.raises(ProofError, match="wrong"):
            read_checkpoint(text, LOG.key)
    stranger = Signer.generate("somebody.else")[0].sign(split_note(note)[0])
    assert read_checkpoint(note + stranger, LOG.key).size == 5


@pytest.mark.parametrize(
    "change",
    [
        lambda n: n[:-1],
        lambda n: n + "\n",
        lambda n: n + "more\n",
        lambda n: n.replace("\n\n", "\n"),
        lambda n: n.replace("—", "-"),
        lambda n: n.replace("— ", "—  "),
        lambda n: n.replace("\n", "\r\n"),
        lambda n: n + "— x\x00y AAAAAAAA\n",
        lambda n: n + "— x AAAAA\n",
        lambda n: n + "— x AAAAAB==\n",
        lambda n: n + "— x\u2003y AAAAAAAA\n",
        lambda n: n + "— a+b AAAAAAAA\n",
        lambda n: n + "—  AAAAAAAA\n",
        lambda n: n.split("\n\n")[1],
        lambda n: "\n\n" + n.split("\n\n")[1],
        lambda n: "",
        lambda n: "\n" * 10,
        lambda n: "x" * 1_000_001 + n,
        lambda n: n + "\ud800",
    ],
)
def test_misshapen_notes_are_refused(change) -> None:
    note = checkpoint(LOG, 5, b"r" * 32)
    with pytest.raises(ProofError):
        read_checkpoint(change(note), LOG.key)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b.replace("\n5\n", "\n05\n"),
        lambda b: b.replace("\n5\n", "\n+5\n"),
        lambda b: b.replace("\n5\n", "\n-5\n"),
        lambda b: b.replace("\n5\n", "\n5 \n"),
        lambda b: b.replace("\n5\n", "\n٥\n"),
        lambda b: b.replace("\n5\n", "\n5_0\n"),
        lambda b: b.replace("\n5\n", "\n9223372036854775808\n"),
        lambda b: b.replace("\n5\n", "\n" + "9" * 5000 + "\n"),
        lambda b: b.replace("\n5\n", "\n\n5\n"),
        lambda b: b.replace("cnI=", "cnJ="),
        lambda b: b.replace("cnI=", "cnI"),
        lambda b: b.replace("cnI=", ""),
        lambda b: b.replace(LOG.key.name, "other.parcelveil/log"),
        lambda b: "\n".join(b.split("\n")[:2]) + "\n",
        lambda b: b + "\n",
    ],
)
def test_what_is_signed_and_no_checkpoint_of_this_log(change) -> None:
    body = change(split_note(checkpoint(LOG, 5, b"r" * 32))[0])
    with pytest.raises(ProofError):
        read_checkpoint(f"{body}\n{LOG.sign(body)}", LOG.key)


def test_extension_lines_are_allowed_and_signed() -> None:
    body = split_note(checkpoint(LOG, 5, b"r" * 32))[0] + "an extension\n"
    note = f"{body}\n{LOG.sign(body)}"
    assert read_checkpoint(note, LOG.key).size == 5
    with pytest.raises(ProofError, match="wrong"):
        read_checkpoint(note.replace("extension", "extensiom"), LOG.key)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_note_or_refused(text: str) -> None:
    for candidate in (text, text + "\n\n— a AAAAAAAA\n", f"{text}\n{PUBLIC[-120:]}"):
        for check in (split_note, parse_checkpoint, VerifierKey.parse):
            try:
                check(candidate)
            except ProofError as error:
                assert re.fullmatch(r"[a-zA-Z0-9 ,']+", str(error))
