"""Cosignatures: only a right one over this log's own checkpoint is kept, the newest, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.kept_log import ORIGIN, SEED, Kept
from parcelveil.audit import note
from parcelveil.audit.cosigned import take_over
from parcelveil.audit.note import COSIGNATURE, Signer, split_note
from parcelveil.audit.proof import leaf_hash, verify_receipt
from parcelveil.audit.tree import Frontier
from parcelveil.errors import ForkError, LogError

WHEN = 1_795_500_600
W1 = Signer.from_seed("regulator.example/w1", bytes([1]) * 32, COSIGNATURE)
W2 = Signer.from_seed("press.example/w2", bytes([2]) * 32, COSIGNATURE)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    (tmp_path / "log").mkdir()
    for witness in (W1, W2):
        key_file(tmp_path, witness).write_text(f"{witness.key}\n")
    kept = Kept(tmp_path / "log")
    kept.look(20)
    kept.log.publish()
    return kept


def key_file(folder: Path, signer: Signer) -> Path:
    return folder / f"{signer.key.name.rpartition('/')[2]}.vkey"


def cosigned(text: str, witness: Signer, when: int = WHEN) -> str:
    return note.with_signature(text, witness.cosign(split_note(text)[0], when))


def take(kept: Kept, text: str, witness: Signer) -> int:
    place = kept.folder.parent / "given.note"
    place.write_text(text, "utf-8")
    return take_over(kept.log, place, key_file(kept.folder.parent, witness))


def of(kept: Kept) -> str:
    return (kept.log.folder / "cosigned").read_text("utf-8")


def test_receipts_carry_it(kept: Kept) -> None:
    assert take(kept, cosigned(kept.log.state().checkpoint, W1), W1) == WHEN
    kept.look(300)
    proof = verify_receipt(kept.log.receipt(3, of(kept)), kept.log.signer.key, [W1.key], 1)
    assert proof.cosigned == {W1.key.name: WHEN} and proof.checkpoint.size == 21


def test_witnesses_of_one_size_are_gathered(kept: Kept) -> None:
    text = kept.log.state().checkpoint
    take(kept, cosigned(text, W1), W1)
    take(kept, cosigned(text, W2, WHEN + 1), W2)
    take(kept, cosigned(text, W1, WHEN + 2), W1)  # again: in place of the first
    proof = verify_receipt(kept.log.receipt(3, of(kept)), kept.log.signer.key, [W1.key, W2.key], 2)
    assert proof.cosigned == {W1.key.name: WHEN + 2, W2.key.name: WHEN + 1}
    assert len(split_note(of(kept))[1]) == 3


def test_a_newer_one_replaces_and_an_older_does_not(kept: Kept) -> None:
    old = kept.log.state().checkpoint
    take(kept, cosigned(old, W1), W1)
    kept.look(5)
    kept.log.publish()
    new = kept.log.state().checkpoint
    take(kept, cosigned(new, W1), W1)
    assert split_note(of(kept))[0] == split_note(new)[0]
    before = of(kept)
    with pytest.raises(LogError, match="newer checkpoint, of 26"):
        take(kept, cosigned(old, W2), W2)
    assert of(kept) == before


def test_the_newest_of_several_cosignatures_is_kept(kept: Kept) -> None:
    text = kept.log.state().checkpoint
    lines = [W1.cosign(split_note(text)[0], WHEN + i) for i in (1, 3, 2)]
    assert take(kept, text + "".join(lines), W1) == WHEN + 3
    assert of(kept) == text + lines[1]


def test_nothing_else_of_the_witnesses_file_is_kept(kept: Kept) -> None:
    """Signatures of strangers, which nobody verified: sixty of them would leave no room for another witness."""
    text = kept.log.state().checkpoint
    body = split_note(text)[0]
    strangers = [Signer.generate(f"stranger.example/{i}", COSIGNATURE)[0].cosign(body, WHEN) for i in range(62)]
    given = text + "".join(strangers) + W1.cosign(body, WHEN)
    take(kept, given, W1)
    assert of(kept) == cosigned(text, W1)
    take(kept, cosigned(text, W2), W2)


def test_what_is_damaged_is_replaced(kept: Kept) -> None:
    (kept.log.folder / "cosigned").write_bytes(b"\xff\xfe" * 100)
    text = kept.log.state().checkpoint
    take(kept, cosigned(text, W1), W1)
    assert of(kept) == cosigned(text, W1)


def other_history(size: int = 21) -> str:
    frontier = Frontier()
    frontier.extend([leaf_hash(b"%d" % i) for i in range(size)])
    return note.checkpoint(Signer.from_seed(ORIGIN, SEED), size, frontier.root())


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda text: text, "did not sign"),
        (lambda text: cosigned(text, W2), "did not sign"),
        (lambda text: cosigned(text, W1).replace("\n21\n", "\n22\n"), "is wrong"),
        (lambda text: cosigned(other_history(), W1), "not of this log"),
        (lambda text: cosigned(other_history(500), W1), "not of this log"),
        (
            lambda text: cosigned(note.checkpoint(Signer.from_seed(ORIGIN, bytes(32)), 0, note.EMPTY), W1),
            "did not sign",
        ),
        (lambda text: "", "not a signed note"),
        (lambda text: "x" * 5_000_000, "no text|not a signed note"),
        (lambda text: text.replace("\n\n", "\n"), "not a signed note"),
        (lambda text: text + "\0", "no text"),
    ],
)
def test_t6_what_is_no_cosignature_of_this_log_is_refused(kept: Kept, make, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LogError, match=match):
        take(kept, make(kept.log.state().checkpoint), W1)
    assert not (kept.log.folder / "cosigned").exists()


def test_the_logs_own_signature_is_no_cosignature(kept: Kept) -> None:
    place = kept.folder.parent / "log.vkey"
    place.write_text(str(kept.log.signer.key))
    given = kept.folder.parent / "given.note"
    given.write_text(kept.log.state().checkpoint, "utf-8")
    with pytest.raises(LogError, match="no cosignature"):
        take_over(kept.log, given, place)


@pytest.mark.parametrize("data", [b"", b"no key", b"\xff\xfe", b"a+b+c", b"x" * 5_000_000])
def test_what_is_no_key_is_refused(kept: Kept, data: bytes) -> None:
    key_file(kept.folder.parent, W1).write_bytes(data)
    with pytest.raises(LogError):
        take(kept, cosigned(kept.log.state().checkpoint, W1), W1)


def test_files_that_are_not_there(kept: Kept, tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"nothing\.note cannot be read: No such file") as caught:
        take_over(kept.log, tmp_path / "nothing.note", key_file(tmp_path, W1))
    assert str(tmp_path) not in str(caught.value)


def test_t6_tiles_that_contradict_the_checkpoint(kept: Kept) -> None:
    text = cosigned(kept.log.state().checkpoint, W1)
    tile = kept.log.folder / "tile/0/000.p/21"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    with pytest.raises(LogError, match="not of this log"):
        take(kept, text, W1)
    assert issubclass(ForkError, LogError)


def test_a_crash_leaves_the_old_or_the_new(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    text = kept.log.state().checkpoint
    take(kept, cosigned(text, W1), W1)
    before = of(kept)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(Exception, match="No space left"):
            take(kept, cosigned(text, W2), W2)
    assert of(kept) == before
