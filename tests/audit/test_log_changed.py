"""The state is changed by somebody who may write files and has no key: the log's key signs nothing on top of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from audit.kept_log import ORIGIN, Kept, hold
from parcelveil.audit import log as log_module
from parcelveil.audit import note, tiles
from parcelveil.audit.note import Signer
from parcelveil.audit.tree import Frontier, leaf_hash
from parcelveil.errors import LogError, OutputError


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def rewritten(kept: Kept, place: int = 2) -> Frontier:
    """Entry ``place`` says something else, in bundle and tile; the frontier that this tree has."""
    folder = kept.log.folder
    size = kept.log.publish()
    bundle, tile = folder / f"tile/entries/000.p/{size}", folder / f"tile/0/000.p/{size}"
    entries = tiles.unbundle(bundle.read_bytes())
    entries[place] = entries[place].replace(b'"courier"', b'"auditor"')
    leaves = [leaf_hash(entry) for entry in entries]
    for path, data in ((bundle, tiles.bundle(entries)), (tile, b"".join(leaves))):
        path.chmod(0o644)
        path.write_bytes(data)
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier


def sql(kept: Kept, statement: str, *values: object) -> None:
    kept.store._db.execute(statement, values)


@pytest.mark.parametrize("own", [True, False], ids=["this process", "another process"])
def test_t10_a_rewritten_tree_is_not_signed(kept: Kept, own: bool) -> None:
    receipts = kept.look(5)
    frontier = rewritten(kept)
    before, heads = kept.log.state(), (kept.log.folder / "checkpoint").read_bytes()
    sql(kept, "UPDATE log_state SET frontier = ?", frontier.to_bytes())
    sql(kept, "UPDATE log_head SET root = ? WHERE size = 6", frontier.root())
    other = kept if own else Kept(kept.folder)
    for attempt in (other.look, other.log.publish, lambda: other.log.receipt(1)):
        with pytest.raises(LogError, match="was changed"):
            attempt()
    assert other.log.state().checkpoint == before.checkpoint and other.log.state().size == 6
    assert (kept.log.folder / "checkpoint").read_bytes() == heads
    sql(kept, "UPDATE log_state SET frontier = ?", before.frontier)
    assert len(receipts) == 5 and len(other.look()) == 1  # the state is right again


def forged(kept: Kept, frontier: Frontier) -> dict[str, tuple[int, bytes, str]]:
    """States that an attacker can write: size, frontier, checkpoint."""
    good, root = kept.log.state(), frontier.root()
    body = f"{ORIGIN}\n6\n{note.b64encode(root).decode()}\n"
    signature = good.checkpoint.split("\n\n")[1]
    stranger = Signer.from_seed(ORIGIN, bytes(32))
    elsewhere = Signer.from_seed("other.example/log", bytes(range(32)))  # the right key under another name
    genuine = good.frontier
    return {
        "signature of another body": (6, frontier.to_bytes(), f"{body}\n{signature}"),
        "another key": (6, frontier.to_bytes(), note.checkpoint(stranger, 6, root)),
        "another name": (6, frontier.to_bytes(), note.checkpoint(elsewhere, 6, root)),
        "no signature": (6, frontier.to_bytes(), body),
        "no checkpoint": (6, genuine, ""),
        "no text": (6, genuine, "\x00\x1b"),
        "larger": (7, genuine + bytes(32), good.checkpoint),
        "smaller": (4, genuine[:32], good.checkpoint),
        "misshapen": (6, genuine[:-1], good.checkpoint),
        "empty": (0, b"", ""),
        "empty, with a checkpoint": (0, b"", good.checkpoint),
        "negative": (-1, b"", good.checkpoint),
    }


NAMES = [
    *("signature of another body", "another key", "another name", "no signature", "no checkpoint", "no text"),
    *("larger", "smaller", "misshapen", "empty", "empty, with a checkpoint", "negative"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("own", [True, False], ids=["this process", "another process"])
def test_t10_no_other_state_is_signed_on(kept: Kept, name: str, own: bool) -> None:
    kept.look(5)
    kept.log.publish()
    good, frontier = kept.log.state(), Frontier()
    frontier.extend([leaf_hash(b"%d" % i) for i in range(6)])
    states = forged(kept, frontier)
    assert list(states) == NAMES
    sql(kept, "UPDATE log_state SET size = ?, frontier = ?, checkpoint = ?", *states[name])
    other = kept if own else Kept(kept.folder)
    with pytest.raises(LogError):  # a size below that of the folder is a ForkError, which is one
        other.look()
    changed = other.log.state()
    assert (changed.size, changed.frontier, changed.checkpoint) == states[name]
    sql(kept, "UPDATE log_state SET size = 6, frontier = ?, checkpoint = ?", good.frontier, good.checkpoint)
    hold(other, other.look())


def test_t10_a_running_log_is_not_shortened(kept: Kept) -> None:
    """An older state is genuine, and nothing is published: only who was there can tell."""
    kept.look(3)
    old = kept.log.state()
    kept.look(3)
    with kept.store.transaction() as tx:
        tx.set_log_state(old)
    with pytest.raises(LogError, match="was changed"):
        kept.look()
    sql(kept, "DELETE FROM log_state")
    with pytest.raises(LogError, match="was changed"):
        kept.look()


def test_t10_a_changed_state_is_told_before_anything_is_counted(kept: Kept) -> None:
    kept.look(3)
    sql(kept, "UPDATE log_state SET frontier = zeroblob(32)")
    entered: list[bool] = []
    with pytest.raises(LogError, match="was changed") as caught, kept.log.begin():
        entered.append(True)
    assert not entered and caught.value.hint.startswith("nothing was signed")


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read: list[str] = []
    real: Callable[..., object] = log_module.read_checkpoint

    def count(text: str, key: object) -> object:
        read.append(text)
        return real(text, key)

    monkeypatch.setattr(log_module, "read_checkpoint", count)
    return read


def test_what_this_process_signed_is_not_verified_again(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.look()
    read = counted(monkeypatch)
    for _ in range(5):
        kept.look()
    assert read == []
    other = Kept(kept.folder)
    other.look()
    kept.look()
    assert len(read) == 2  # each read once what the other had signed
    hold(kept)


def test_a_failed_transaction_leaves_nothing_known(kept: Kept) -> None:
    """It was signed, and the disk did not take it: the log goes on from where it stood."""
    kept.look(2)
    (pages,) = kept.store._db.execute("PRAGMA page_count").fetchone()
    sql(kept, f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutputError):
        kept.look(300)
    sql(kept, f"PRAGMA max_page_count = {pages + 1000}")
    hold(kept, kept.look())
    assert kept.log.state().size == 4
