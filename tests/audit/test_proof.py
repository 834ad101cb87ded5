"""Receipts: what proof.py, alone and by the library, accepts and refuses."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelveil.audit import proof
from parcelveil.audit.note import COSIGNATURE, Signer, checkpoint, with_signature
from parcelveil.audit.proof import ProofError, Verified, leaf_hash, split_note, verify_receipt
from parcelveil.audit.tree import Frontier, Grown

SOURCE = Path(proof.__file__)
ENTRIES = [b'{"action":"look","n":%d}' % i for i in range(11)]
LOG = Signer.from_seed("acme.parcelveil/log", b"log seed" * 4)
WITNESSES = [Signer.from_seed(f"w{i}.example", bytes([i]) * 32, COSIGNATURE) for i in range(3)]
KEYS = [witness.key for witness in WITNESSES]
WHEN = 1_800_000_000


def receipt(index: int = 6, cosigners: int = 3, entry: bytes | None = None) -> str:
    grown = Grown(Frontier(), [leaf_hash(entry) for entry in ENTRIES])
    note = checkpoint(LOG, len(ENTRIES), grown.root)
    for i, witness in enumerate(WITNESSES[:cosigners]):
        note = with_signature(note, witness.cosign(split_note(note)[0], WHEN + i))
    lines = [
        "c2sp.org/tlog-proof@v1",
        f"extra {b64encode(ENTRIES[index] if entry is None else entry).decode()}",
        f"index {index}",
        *(b64encode(node).decode() for node in grown.path(index)),
    ]
    return "\n".join(lines) + "\n\n" + note


def test_receipts_of_all_entries_verify() -> None:
    for index, entry in enumerate(ENTRIES):
        found = verify_receipt(receipt(index), LOG.key, KEYS, 3)
        assert isinstance(found, Verified)
        assert (found.entry, found.index, found.checkpoint.size) == (entry, index, len(ENTRIES))
        assert found.cosigned == {key.name: WHEN + i for i, key in enumerate(KEYS)}


def test_the_quorum_counts_who_cosigned() -> None:
    assert verify_receipt(receipt(cosigners=0), LOG.key).cosigned == {}
    assert list(verify_receipt(receipt(cosigners=2), LOG.key, KEYS, 2).cosigned) == ["w0.example", "w1.example"]
    with pytest.raises(ProofError, match="only 2 of 3"):
        verify_receipt(receipt(cosigners=2), LOG.key, KEYS, 3)
    with pytest.raises(ProofError, match="only 0 of 1"):
        verify_receipt(receipt(), LOG.key, [], 1)


def test_t6_one_witness_does_not_count_twice() -> None:
    """A cosignature does not cover the witness's name: one key under two names, or one name twice, is one."""
    twin = Signer.from_seed("alias.example", bytes([0]) * 32, COSIGNATURE)
    text = receipt(cosigners=1)
    note = text.partition("\n\n")[2]
    text = text.replace(note, with_signature(note, twin.cosign(split_note(note)[0], WHEN)))
    with pytest.raises(ProofError, match="only 1 of 2"):
        verify_receipt(text, LOG.key, [KEYS[0], twin.key], 2)
    with pytest.raises(ProofError, match="only 1 of 2"):
        verify_receipt(text, LOG.key, [KEYS[0], KEYS[0]], 2)


def test_t6_the_log_is_not_its_own_witness() -> None:
    own = Signer.from_seed("looks.independent", b"log seed" * 4, COSIGNATURE)
    text = receipt(cosigners=0)
    note = text.partition("\n\n")[2]
    text = text.replace(note, with_signature(note, own.cosign(split_note(note)[0], WHEN)))
    with pytest.raises(ProofError, match="only 0 of 1"):
        verify_receipt(text, LOG.key, [own.key], 1)
    with pytest.raises(ProofError, match="no witness"):
        verify_receipt(text, LOG.key, [LOG.key], 1)


def test_a_wrong_cosignature_refuses_the_receipt_even_without_a_quorum() -> None:
    text = receipt()
    line = next(line for line in text.split("\n") if line.startswith("— w1"))
    bad = line[:-10] + ("A" if line[-10] != "A" else "B") + line[-9:]
    with pytest.raises(ProofError, match=r"w1\.example is wrong"):
        verify_receipt(text.replace(line, bad), LOG.key, KEYS, 0)
    assert len(verify_receipt(text.replace(line, bad), LOG.key, [KEYS[0]], 1).cosigned) == 1


def test_every_changed_character_is_refused_or_changes_nothing() -> None:
    text = receipt(cosigners=1)
    genuine = verify_receipt(text, LOG.key, KEYS[:1], 1)
    for at in range(len(text)):
        for other in ("A", "0", "\n", "="):
            if text[at] != other:
                with pytest.raises(ProofError):
                    found = verify_receipt(text[:at] + other + text[at + 1 :], LOG.key, KEYS[:1], 1)
                    assert found == genuine
                    raise AssertionError("a change was not seen")


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "",
        lambda t: "\n",
        lambda t: "c2sp.org/tlog-proof@v1",
        lambda t: "c2sp.org/tlog-proof@v1\n\n",
        lambda t: t.replace("@v1", "@v2"),
        lambda t: re.sub("extra .*\n", "", t),
        lambda t: re.sub("extra .*\n", "extra \n", t),
        lambda t: t.replace("index 6", "index 06"),
        lambda t: t.replace("index 6", "index -6"),
        lambda t: t.replace("index 6", "index 7"),
        lambda t: t.replace("index 6", "index 11"),
        lambda t: t.replace("index 6", "index 9223372036854775807"),
        lambda t: t.replace("index 6", "index " + "9" * 10_000),
        lambda t: t.replace("index 6\n", ""),
        lambda t: t.replace("\n\nacme", "\nAAAA\n\nacme"),
        lambda t: t.replace("\n\nacme", "\n" + "A" * 43 + "=\n\nacme"),
        lambda t: t.replace("\n\nacme", ("\n" + "A" * 43 + "=") * 2000 + "\n\nacme"),
        lambda t: re.sub("\n[^\n]{44}\n\nacme", "\n\nacme", t),
        lambda t: t.replace("\n\nacme", "\n\n\nacme"),
        lambda t: t + "\n",
        lambda t: t[:-1],
        lambda t: "\ufeff" + t,
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t + "x" * 1_000_001,
        lambda t: t.partition("\n\n")[2],
        lambda t: t.partition("\n\n")[0],
    ],
)
def test_misshapen_receipts_are_refused(change) -> None:
    verify_receipt(receipt(), LOG.key)
    with pytest.raises(ProofError):
        verify_receipt(change(receipt()), LOG.key)


def test_another_entry_and_another_log_are_refused() -> None:
    with pytest.raises(ProofError, match="not in the log"):
        verify_receipt(receipt(entry=b"never logged"), LOG.key)
    other = Signer.from_seed(LOG.key.name, b"another!" * 4)
    with pytest.raises(ProofError, match="did not sign"):
        verify_receipt(receipt(), other.key)
    renamed = Signer.from_seed("other.parcelveil/log", b"log seed" * 4)
    with pytest.raises(ProofError, match="did not sign"):
        verify_receipt(receipt(), renamed.key)


@given(st.text(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_text_is_refused(text: str) -> None:
    for candidate in (text, "c2sp.org/tlog-proof@v1\n" + text, receipt().replace("\n\n", "\n" + text + "\n\n", 1)):
        if candidate != receipt():
            with pytest.raises(ProofError):
                verify_receipt(candidate, LOG.key)


# -- the file alone ----------------------------------------------------------------------------------------------


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """proof.py by path, isolated: neither this package nor the current folder can be imported."""
    alone = folder / "proof.py"
    alone.write_bytes(SOURCE.read_bytes())
    return subprocess.run(
        [sys.executable, "-I", str(alone), *args], capture_output=True, text=True, cwd=folder, timeout=60, check=False
    )


def write(folder: Path, text: str, witnesses: int = 2) -> list[str]:
    (folder / "receipt").write_text(text, "utf-8")
    (folder / "log.vkey").write_text(f"{LOG.key}\n")
    names = ["receipt", "log.vkey"]
    for i in range(witnesses):
        (folder / f"w{i}.vkey").write_text(f"{KEYS[i]}\n")
        names.append(f"w{i}.vkey")
    return names


def test_the_file_alone_prints_entry_and_cosigners(tmp_path: Path) -> None:
    done = run(tmp_path, *write(tmp_path, receipt()))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n") == [
        '{"action":"look","n":6}',
        "entry 6 of 11 in acme.parcelveil/log",
        "cosigned by w0.example at 2027-01-15 08:00:00 UTC",
        "cosigned by w1.example at 2027-01-15 08:00:01 UTC",
        "",
    ]


def test_the_file_alone_refuses_in_one_line(tmp_path: Path) -> None:
    names = write(tmp_path, receipt().replace("index 6", "index 7"))
    done = run(tmp_path, *names)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "refused: the entry is not in the log\n")


def test_main_refuses_bad_files_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    receipt_, log, *witnesses = [str(tmp_path / name) for name in write(tmp_path, receipt(cosigners=2))]
    assert proof.main([receipt_, log, *witnesses]) == 0
    assert capsys.readouterr().out.count("\n") == 4
    bad = {
        "empty": b"",
        "binary": bytes(range(256)),
        "huge": b"A" * 5_000_000,
        "escape": f"{LOG.key}".replace("acme", "\x1b[31macme").encode(),
        "wrong": f"{Signer.from_seed('acme.parcelveil/log', bytes(32)).key}".encode(),
        "w3": f"{KEYS[2]}".encode(),
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    cases = [[], [receipt_], [str(tmp_path / "absent"), log], [str(tmp_path), log], ["nul\0", log], [log, receipt_]]
    cases += [[str(tmp_path / name), log] for name in bad] + [[receipt_, str(tmp_path / name)] for name in bad]
    cases += [[receipt_, log, str(tmp_path / name)] for name in bad] + [[receipt_, log, log]]
    for args in cases:
        assert proof.main(args) == 1, args
        out, err = capsys.readouterr()
        assert out == ""
        assert re.fullmatch(r"refused: [ -~]+\n", err), args


def test_entries_cannot_play_tricks_on_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that signs anything: what is printed is plain ASCII on its own line."""
    for hostile in (b"\x1b[2J\nentry 1 of 1", b"\xff\xfe", "签收\u202e".encode(), b""):
        note = checkpoint(LOG, 1, leaf_hash(hostile))
        text = f"c2sp.org/tlog-proof@v1\nextra {b64encode(hostile).decode()}\nindex 0\n\n{note}"
        names = [str(tmp_path / name) for name in write(tmp_path, text, 0)]
        assert proof.main(names) == 0
        out = capsys.readouterr().out
        assert re.fullmatch(r"[ -~]*\nentry 0 of 1 in acme\.parcelveil/log\n", out)


def test_the_file_is_small_and_needs_little() -> None:
    text = SOURCE.read_text("utf-8")
    assert len(text.encode()) <= 8192
    modules = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).split(".")[0])
    assert modules <= set(sys.stdlib_module_names) | {"cryptography"}
