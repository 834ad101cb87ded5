"""The witness: what it cosigns, what raises the alarm, what does not, and that neither crash nor race makes it forget."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from audit.made_log import ORIGIN, SEED, MadeLog, made_entry
from parcelveil.audit import note, tiles, witness_serve
from parcelveil.audit.proof import VerifierKey, read_checkpoint, verify_note
from parcelveil.audit.tree import EMPTY, check_consistency, consistency_path
from parcelveil.audit.witness import MOST_BYTES, Observation, Witness
from parcelveil.audit.witness_folder import MOST_KEPT, Alarm
from parcelveil.errors import ForkError, LogError

NOW = 1_795_600_000
OTHER_SEED = bytes(32)


@pytest.fixture
def log(tmp_path: Path) -> MadeLog:
    return MadeLog(tmp_path / "log").grow(300).publish()


@pytest.fixture
def witness(tmp_path: Path, log: MadeLog) -> Witness:
    made = Witness.create(tmp_path / "witness", "regulator.example/w1")
    assert made.trust(f"{log.key}\n") == ORIGIN
    return made


def observe(witness: Witness, log: MadeLog, now: int = NOW) -> Observation:
    return witness.observe(tiles.directory(log.folder), ORIGIN, now)


def evidence(witness: Witness) -> dict[str, str]:
    path = witness.alarm(ORIGIN)
    assert path
    return dict(json.loads(path.read_bytes()))


def kept(witness: Witness, kind: str) -> list[dict[str, str]]:
    """The evidence of one kind that stops nothing."""
    return [dict(json.loads(path.read_bytes())) for path in sorted(witness.folder.glob(f"alarm-*-{kind}-*.json"))]


def forked(log: MadeLog, folder: Path, at: int, size: int) -> MadeLog:
    """Another history under the same key, different from entry ``at`` on by one entry."""
    other = MadeLog(folder).grow(size)
    other.entries[at] = made_entry(at, "forged")
    return other.publish()


# --- keys and folder


def test_create_and_load(tmp_path: Path) -> None:
    made = Witness.create(tmp_path / "a" / "w", "regulator.example/w1")
    key = tmp_path / "a" / "w" / "witness.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    again = Witness(key.parent)
    assert again.key == made.key == VerifierKey.parse((key.parent / "witness.vkey").read_text())
    assert again.key.kind == 4 and repr(again) == "<Witness regulator.example/w1>"
    before = key.read_bytes()
    with pytest.raises(LogError, match="is a witness already"):
        Witness.create(key.parent, "other")
    assert key.read_bytes() == before and not list(key.parent.glob(".witness*"))
    secret = before.split()[2].decode()
    assert len(base64.b64decode(secret)) == 32 and secret not in repr(vars(made))


def test_keys_that_cannot_be_used(tmp_path: Path) -> None:
    for name in ("", "two words", "a+b", "x\ny"):
        with pytest.raises(LogError, match="cannot be a witness's name"):
            Witness.create(tmp_path / "w", name)
    with pytest.raises(LogError, match="no witness's folder"):
        Witness(tmp_path)
    Witness.create(tmp_path / "w", "w")
    key = tmp_path / "w" / "witness.key"
    good = key.read_bytes()
    key.chmod(0o640)
    with pytest.raises(LogError, match="can be read by others"):
        Witness(tmp_path / "w")
    key.chmod(0o600)
    for bad in (b"", b"\xff\xfe", good[:-5], good.replace(b"v1", b"v2"), good + b"x"):
        key.write_bytes(bad)
        with pytest.raises(LogError, match="damaged, or no key"):
            Witness(tmp_path / "w")


def test_trust(tmp_path: Path, witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    witness.trust(str(log.key))
    assert witness.latest(ORIGIN), "trusting again forgets nothing"
    other = note.Signer.from_seed(ORIGIN, OTHER_SEED).key
    with pytest.raises(LogError, match="watched already, under another key"):
        witness.trust(str(other))
    second = note.Signer.from_seed("..", OTHER_SEED).key
    assert witness.trust(str(second)) == ".." and witness.origins() == sorted(["..", ORIGIN])
    for bad in ("", "nonsense", str(witness.key), str(log.key)[:-4]):
        with pytest.raises(LogError):
            witness.trust(bad)
    with pytest.raises(LogError, match="an origin of more than"):
        witness.trust(str(note.Signer.from_seed("x" * 300, SEED).key))
    with pytest.raises(LogError, match="is not watched here"):
        witness.observe(tiles.directory(log.folder), "who.example", NOW)
    assert all(path.parent == witness.folder for path in tmp_path.rglob("log-*"))


# --- what is cosigned


def test_a_growing_log_is_cosigned(witness: Witness, log: MadeLog) -> None:
    sizes = [300, 300, 301, 511, 512, 513, 1100]
    before = 0
    for round_, size in enumerate(sizes):
        log.grow(size - len(log.entries)).publish()
        seen = observe(witness, log, NOW + round_)
        assert (seen.origin, seen.size, seen.new) == (ORIGIN, size, size - before)
        body, when = verify_note(seen.note, witness.key)
        assert when == NOW + round_ and read_checkpoint(seen.note, log.key).root == seen.root
        assert body == note.split_note(log.checkpoint())[0]
        assert Witness(witness.folder).latest(ORIGIN) == seen.note
        before = size
    assert not witness.alarm(ORIGIN)


def test_foreign_signatures_are_not_handed_on(witness: Witness, log: MadeLog) -> None:
    path = log.folder / "checkpoint"
    text = path.read_text("utf-8")
    stranger = note.Signer.from_seed("stranger.example", OTHER_SEED, kind=4)
    path.write_text(note.with_signature(text, stranger.cosign(note.split_note(text)[0], 5)), "utf-8")
    seen = observe(witness, log)
    assert [name for name, _, _ in note.split_note(seen.note)[1]] == [ORIGIN, "regulator.example/w1"]


def test_an_empty_log(tmp_path: Path) -> None:
    log = MadeLog(tmp_path / "log").publish()
    witness = Witness.create(tmp_path / "w", "w")
    witness.trust(str(log.key))
    assert observe(witness, log).size == 0
    assert observe(witness, log.grow(3).publish()).new == 3


# --- alarms


def test_t10_a_log_restored_from_backup_raises_the_alarm(tmp_path: Path, witness: Witness, log: MadeLog) -> None:
    shutil.copytree(log.folder, tmp_path / "backup")
    seen = observe(witness, log.grow(50).publish())
    shutil.rmtree(log.folder)
    shutil.copytree(tmp_path / "backup", log.folder)
    with pytest.raises(ForkError, match="shows fewer entries than it has shown before") as caught:
        observe(witness, log)
    assert caught.value.exit_code == 10
    (found,) = kept(witness, "rollback")
    assert (found["kind"], found["origin"], found["time"]) == ("rollback", ORIGIN, NOW)
    assert found["seen"] == seen.note and found["shown"] == (log.folder / "checkpoint").read_text()
    assert witness.latest(ORIGIN) == seen.note


def replay(witness: Witness, log: MadeLog, text: str, match: str) -> str:
    """Show the witness a note for one round; the file that the error names."""
    checkpoint = log.folder / "checkpoint"
    good = checkpoint.read_bytes()
    checkpoint.write_text(text, "utf-8")
    with pytest.raises(ForkError, match=match) as caught:
        observe(witness, log)
    checkpoint.write_bytes(good)
    return str(caught.value).rpartition(": ")[2]


def test_an_old_checkpoint_replayed_fails_one_round_and_stops_nothing(witness: Witness, log: MadeLog) -> None:
    seen = observe(witness, log)
    for round_ in range(3):
        file = replay(witness, log, log.checkpoint(200), "fewer entries")
        assert (witness.folder / file).exists() and witness.alarm(ORIGIN) is None
        assert witness.latest(ORIGIN) == seen.note
        log.grow(10).publish()
        seen = observe(witness, log, NOW + round_)
        assert seen.new == 10, "without any clearing"
    (found,) = kept(witness, "rollback")
    assert found["shown"] == log.checkpoint(200), "the same note again and again is one file"
    with pytest.raises(LogError, match="there is no alarm"):
        witness.clear_alarm(ORIGIN)
    assert witness.add_checkpoint(request(log, 330, 330), NOW)[0] == 200


def test_lines_under_an_old_checkpoint_make_no_further_files(witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    text = log.checkpoint(200)
    for number in range(3):
        stranger = note.Signer.from_seed(f"s{number}.example", OTHER_SEED, kind=4)
        line = stranger.cosign(note.split_note(text)[0], 5)
        replay(witness, log, note.with_signature(text, line), "fewer entries")
    assert [found["shown"] for found in kept(witness, "rollback")] == [text]


def test_evidence_that_anybody_can_cause_is_bounded(witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    other = note.Signer.from_seed(ORIGIN, OTHER_SEED)
    files = [replay(witness, log, log.checkpoint(size), "fewer entries") for size in range(1, MOST_KEPT + 4)]
    assert len(set(files)) == MOST_KEPT + 1 and files[-3:] == ["-"] * 3
    for size in range(MOST_KEPT + 3):
        replay(witness, log, note.checkpoint(other, size, EMPTY), "another key")
    assert len(kept(witness, "rollback")) == len(kept(witness, "key")) == MOST_KEPT
    (log.folder / "checkpoint").write_bytes(b"x" * (MOST_BYTES + 1))
    with pytest.raises(LogError, match="not a signed note"):
        observe(witness, log)
    log.publish()
    (log.folder / "checkpoint").write_text(log.checkpoint(), "utf-8")
    assert observe(witness, log).new == 0


def test_evidence_of_one_log_is_never_taken_for_that_of_another(tmp_path: Path) -> None:
    """Origins that look like the tail of a file of evidence."""
    witness = Witness.create(tmp_path / "w", "w")
    logs = [MadeLog(tmp_path / str(n), origin=o).grow(9).publish() for n, o in enumerate(("a", "a-rollback", "a-key"))]
    for made in logs:
        witness.trust(str(made.key))
        witness.observe(tiles.directory(made.folder), made.key.name, NOW)
    other = forked_of(logs[1], tmp_path / "other")
    with pytest.raises(ForkError, match="two histories"):
        witness.observe(tiles.directory(other.folder), "a-rollback", NOW)
    (logs[0].folder / "checkpoint").write_text(logs[0].checkpoint(3), "utf-8")
    with pytest.raises(ForkError, match="fewer"):
        witness.observe(tiles.directory(logs[0].folder), "a", NOW)
    assert witness.alarm("a-rollback") and not witness.alarm("a") and not witness.alarm("a-key")


def forked_of(log: MadeLog, folder: Path) -> MadeLog:
    other = MadeLog(folder, origin=log.key.name, salt="other").grow(len(log.entries))
    return other.publish()


def test_t10_a_rollback_that_goes_on_otherwise_is_a_fork_when_it_passes_what_was_seen(
    tmp_path: Path, witness: Witness, log: MadeLog
) -> None:
    log.grow(50).publish()
    seen = observe(witness, log)
    other = MadeLog(tmp_path / "other").grow(300).publish()  # the backup
    for size in (300, 320, 349):
        other.grow(size - len(other.entries))
        if size > 310:
            other.entries[310] = made_entry(310, "forged")
        other.publish()
        with pytest.raises(ForkError, match="fewer entries"):
            observe(witness, other)
        assert witness.alarm(ORIGIN) is None and witness.latest(ORIGIN) == seen.note
    other.grow(2).publish()
    with pytest.raises(ForkError, match="two histories, and its key has signed both"):
        observe(witness, other)
    assert evidence(witness)["kind"] == "fork" and evidence(witness)["seen"] == seen.note
    with pytest.raises(ForkError, match="stands"):
        observe(witness, log)
    assert len(kept(witness, "rollback")) == 3


def test_t10_a_shorter_other_history_is_a_fork_as_soon_as_the_long_one_is_shown_again(
    tmp_path: Path, witness: Witness, log: MadeLog
) -> None:
    """It rolled back, signed other entries, and returned: the shorter checkpoint is not in the longer history."""
    seen = observe(witness, log)
    with pytest.raises(ForkError, match="fewer entries"):
        observe(witness, forked(log, tmp_path / "other", 250, 280))
    for clear in (1, 2):
        with pytest.raises(ForkError, match="two histories"):
            observe(witness, log)
        found = json.loads(witness.alarm(ORIGIN).read_bytes())  # type: ignore[union-attr]
        old, new = read_checkpoint(found["seen"], log.key), read_checkpoint(found["shown"], log.key)
        implied, path = base64.b64decode(found["implied_root"]), [base64.b64decode(node) for node in found["proof"]]
        check_consistency(old.size, new.size, implied, new.root, path)
        assert implied != old.root and (old.size, new.size) == (280, 300)
        assert witness.clear_alarm(ORIGIN) == clear, "clearing forgets nothing"
    assert witness.latest(ORIGIN) == seen.note


def test_damaged_evidence_of_a_rollback_is_no_empty_page(witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    file = replay(witness, log, log.checkpoint(200), "fewer entries")
    (witness.folder / file).write_bytes(b"{}")
    with pytest.raises(LogError, match="damaged") as caught:
        observe(witness, log)
    assert not isinstance(caught.value, ForkError)


def test_t10_it_goes_on_differently_after_the_backup(tmp_path: Path, witness: Witness, log: MadeLog) -> None:
    """Restored, then grown past the old size: no rollback to see any more, but the entries since the backup are others."""
    observe(witness, log.grow(50).publish())
    other = forked(log, tmp_path / "other", 320, 400)
    with pytest.raises(ForkError, match="two histories, and its key has signed both"):
        observe(witness, other)
    found = json.loads(witness.alarm(ORIGIN).read_bytes())  # type: ignore[union-attr]
    # The evidence stands by itself: both roots are signed, and the proof leads from another old root to the new one.
    old, new = read_checkpoint(found["seen"], log.key), read_checkpoint(found["shown"], log.key)
    implied, path = base64.b64decode(found["implied_root"]), [base64.b64decode(node) for node in found["proof"]]
    check_consistency(old.size, new.size, implied, new.root, path)
    assert implied != old.root and (old.size, new.size) == (350, 400)


@pytest.mark.parametrize(
    ("old", "new", "at"), [(256, 600, 3), (257, 600, 256), (512, 513, 511), (300, 300, 0), (1, 2, 0)]
)
def test_t10_forks_of_all_shapes(tmp_path: Path, old: int, new: int, at: int) -> None:
    log = MadeLog(tmp_path / "log").grow(old).publish()
    witness = Witness.create(tmp_path / "w", "w")
    witness.trust(str(log.key))
    observe(witness, log)
    with pytest.raises(ForkError, match="two histories"):
        observe(witness, forked(log, tmp_path / "other", at, new))
    assert evidence(witness)["kind"] == "fork"


def test_a_checkpoint_by_another_key_fails_one_round_and_stops_nothing(witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    other = note.Signer.from_seed(ORIGIN, OTHER_SEED)
    checkpoint = read_checkpoint(log.checkpoint(), log.key)
    shown = note.checkpoint(other, checkpoint.size, checkpoint.root)
    for _ in range(3):
        replay(witness, log, shown, "another key has signed")
        assert witness.alarm(ORIGIN) is None and observe(witness, log).new == 0
    (found,) = kept(witness, "key")
    assert (found["kind"], found["shown"]) == ("key", shown) and found["seen"].startswith(log.checkpoint())
    assert log.grow(10).publish() and observe(witness, log).new == 10


def test_another_key_before_the_log_was_ever_seen(witness: Witness, log: MadeLog) -> None:
    replay(witness, log, note.checkpoint(note.Signer.from_seed(ORIGIN, OTHER_SEED), 300, EMPTY), "another key")
    assert kept(witness, "key")[0]["seen"] == "" and observe(witness, log).new == 300


def test_t10_a_fork_stands_until_a_person_clears_it(tmp_path: Path, witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    good = (log.folder / "checkpoint").read_bytes()
    other = forked(log, tmp_path / "other", 5, 400)
    with pytest.raises(ForkError):
        observe(witness, other)
    with pytest.raises(ForkError, match=r"an alarm about .* stands"):
        observe(witness, log)
    body = request(log, 300, 300)
    assert Witness(witness.folder).add_checkpoint(body, NOW)[0] == 403
    assert len(list(witness.folder.glob("alarm-*"))) == 1, "a standing alarm makes no further files"
    assert witness.clear_alarm(ORIGIN) == 1 and witness.alarm(ORIGIN) is None
    assert observe(witness, log).new == 0 and (log.folder / "checkpoint").read_bytes() == good
    with pytest.raises(ForkError):  # clearing has not made the other history right
        observe(witness, other)
    assert sorted(path.name[-7:] for path in witness.folder.glob("alarm-*")) == ["-1.json", "-2.json"]
    assert witness.clear_alarm(ORIGIN) == 2
    with pytest.raises(LogError, match="there is no alarm"):
        witness.clear_alarm(ORIGIN)


# --- what is no alarm


def test_damage_and_distance_are_no_alarm(witness: Witness, log: MadeLog) -> None:
    seen = observe(witness, log)
    log.grow(400).publish()
    checkpoint, tile = log.folder / "checkpoint", log.folder / "tile/0/001"
    good, hashes = checkpoint.read_text("utf-8"), tile.read_bytes()
    cases: list[tuple[Path, bytes | None, str]] = [
        (tile, None, "tile/0/001 of the log is missing"),
        (tile, hashes[:-1], "tile/0/001"),
        (tile, bytes(32) + hashes[32:], "do not hang together|do not give the root"),
        (log.folder / "tile/1/000.p/2", bytes(64), "do not give the root"),
        (checkpoint, None, "shows no checkpoint"),
        (checkpoint, b"\xff", "is not a signed note"),
        (checkpoint, b"hello\n", "is not a signed note"),
        (checkpoint, good.replace("\n700\n", "\n701\n").encode(), "does not verify"),
        (
            checkpoint,
            note.checkpoint(note.Signer.from_seed("else.example", SEED), 700, EMPTY).encode(),
            "does not verify",
        ),
    ]
    for path, data, why in cases:
        before = path.read_bytes()
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)
        with pytest.raises(LogError, match=why) as caught:
            observe(witness, log)
        assert not isinstance(caught.value, ForkError), why
        path.write_bytes(before)
        assert witness.latest(ORIGIN) == seen.note and witness.alarm(ORIGIN) is None
    assert observe(witness, log).new == 400


def test_damaged_state_is_never_taken_for_a_new_beginning(witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    (path,) = witness.folder.glob("log-*.json")
    good = json.loads(path.read_bytes())
    forged = note.Signer.from_seed("regulator.example/w1", OTHER_SEED, kind=4)
    body = note.split_note(log.checkpoint())[0]
    for change in (
        {"note": log.checkpoint()},  # without our cosignature
        {"note": note.with_signature(log.checkpoint(), forged.cosign(body, 5))},
        {"vkey": str(note.Signer.from_seed("else.example", SEED).key)},
        {"format": "v9"},
        {"more": 1},
    ):
        path.write_text(json.dumps(good | change))
        with pytest.raises(LogError, match="is damaged"):
            observe(witness, log)
    path.write_bytes(b"")
    with pytest.raises(LogError, match="is damaged"):
        witness.add_checkpoint(request(log, 0, 300), NOW)


# --- add-checkpoint


def nodes_of(log: MadeLog) -> Callable[[int, int], bytes]:
    return tiles.TileReader(tiles.directory(log.folder), log.published).node


def request(log: MadeLog, old: int, new: int, proof: list[bytes] | None = None, text: str = "") -> bytes:
    lines = consistency_path(old, new, nodes_of(log)) if proof is None else proof
    encoded = "".join(f"{base64.b64encode(line).decode()}\n" for line in lines)
    return f"old {old}\n{encoded}\n{text or log.checkpoint(new)}".encode()


def test_add_checkpoint(witness: Witness, log: MadeLog) -> None:
    status, line = witness.add_checkpoint(request(log, 0, 100), NOW)
    assert status == 200 and line.startswith("— regulator.example/w1 ".encode()) and line.endswith(b"\n")
    cosigned = note.with_signature(log.checkpoint(100), line.decode())
    assert verify_note(cosigned, witness.key) == (note.split_note(log.checkpoint(100))[0], NOW)
    assert witness.latest(ORIGIN) == cosigned
    assert witness.add_checkpoint(request(log, 100, 100), NOW + 1)[0] == 200
    assert witness.add_checkpoint(request(log, 100, 256), NOW + 2)[0] == 200
    assert witness.add_checkpoint(request(log, 256, 300), NOW + 3)[0] == 200
    assert observe(witness, log).new == 0, "fetching and being told are one memory"


def test_add_checkpoint_conflicts(witness: Witness, log: MadeLog) -> None:
    witness.add_checkpoint(request(log, 0, 200), NOW)
    before = witness.latest(ORIGIN)
    for old, new in [(0, 300), (100, 300), (100, 150), (201, 300), (0, 200)]:
        assert witness.add_checkpoint(request(log, old, new), NOW) == (409, b"200\n"), (old, new)
    assert witness.latest(ORIGIN) == before and not witness.alarm(ORIGIN), "late and clumsy logs are no alarm"


def test_add_checkpoint_refusals(tmp_path: Path, witness: Witness, log: MadeLog) -> None:
    witness.add_checkpoint(request(log, 0, 200), NOW)
    before = witness.latest(ORIGIN)
    stranger = MadeLog(tmp_path / "s", origin="who.example").grow(3).publish()
    impostor = MadeLog(tmp_path / "i", seed=OTHER_SEED).grow(300).publish()
    right = consistency_path(200, 300, nodes_of(log))
    good = request(log, 200, 300)
    gap = good.index(b"\n\n")
    cases: list[tuple[int, bytes]] = [
        (404, request(stranger, 0, 3)),
        (404, request(MadeLog(tmp_path / "x", origin="x" * 400).grow(3).publish(), 0, 3)),
        (403, request(impostor, 200, 300)),
        (403, good.replace(b"\n300\n", b"\n301\n")),
        (400, request(log, 250, 200, [])),
        (422, request(log, 200, 300, [])),
        (422, request(log, 200, 300, right[:-1])),
        (422, request(log, 200, 300, [*right, bytes(32)])),
        (422, request(log, 200, 300, [bytes(32), *right[1:]])),
        (422, request(log, 200, 200, [bytes(32)])),
        (400, b""),
        (400, b"\n\n"),
        (400, good[gap + 2 :]),
        (400, b"old 0200" + good[7:]),
        (400, b"old -1" + good[7:]),
        (400, b"old 200 " + good[7:]),
        (400, b"old  200" + good[7:]),
        (400, good.replace(b"\n", b"\r\n")),
        (400, good[:gap]),
        (400, good[:-1]),
        (400, request(log, 200, 300, [bytes(32)] * 64)),
        (400, request(log, 200, 300, [bytes(31)])),
        (400, good[:gap] + b"\n!!!!" + good[gap:]),
        (400, good[:gap] + b"\n\xff" + good[gap:]),
        (400, good + "— x ".encode() + b"A" * MOST_BYTES),
    ]
    for status, body in cases:
        answer = witness.add_checkpoint(body, NOW)
        assert answer[0] == status, (answer, body[:200])
        assert answer[1].endswith(b"\n") and len(answer[1]) < 200
    assert witness.latest(ORIGIN) == before and not witness.alarm(ORIGIN)
    assert witness.add_checkpoint(good, NOW)[0] == 200


def test_add_checkpoint_first_needs_no_proof_and_takes_none(tmp_path: Path, witness: Witness, log: MadeLog) -> None:
    assert witness.add_checkpoint(request(log, 0, 200, [bytes(32)]), NOW)[0] == 422
    assert witness.add_checkpoint(request(log, 0, 0, [], note.checkpoint(log.signer, 0, bytes(32))), NOW)[0] == 422
    assert witness.add_checkpoint(request(log, 0, 0, [], note.checkpoint(log.signer, 0, EMPTY)), NOW)[0] == 200
    assert witness.add_checkpoint(request(log, 0, 200), NOW)[0] == 200


def test_t10_a_second_history_by_add_checkpoint_raises_the_alarm(
    tmp_path: Path, witness: Witness, log: MadeLog
) -> None:
    witness.add_checkpoint(request(log, 0, 300), NOW)
    other = forked(log, tmp_path / "other", 250, 300)
    assert witness.add_checkpoint(request(other, 300, 300), NOW) == (409, b"300\n")
    found = evidence(witness)
    assert found["kind"] == "fork" and read_checkpoint(found["shown"], log.key).size == 300
    assert witness.add_checkpoint(request(log, 300, 300), NOW)[0] == 403


# --- crashes and races

CHILD = """
import sys, os
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from parcelveil.audit import tiles
from parcelveil.audit.witness import Witness
from parcelveil.audit.witness_folder import WitnessFolder
"""


def child(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", CHILD + code, tests, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_killed_between_persisting_and_handing_out(tmp_path: Path, witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    log.grow(20).publish()
    code = """
save = WitnessFolder.save
def die(self, origin, log):
    save(self, origin, log)
    os._exit(9)
WitnessFolder.save = die
Witness(Path(sys.argv[2])).observe(tiles.directory(Path(sys.argv[3])), "acme.parcelveil/log", 5)
"""
    with child(code, str(witness.folder), str(log.folder)) as process:
        process.communicate()
    assert process.returncode == 9
    again = Witness(witness.folder)
    assert read_checkpoint(again.latest(ORIGIN), log.key).size == 320
    assert observe(again, log).new == 0
    with pytest.raises(ForkError, match="two histories"):
        observe(again, forked(log, tmp_path / "other", 310, 320))


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_nothing_is_handed_out_when_the_disk_does_not_take_it(
    witness: Witness, log: MadeLog, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = observe(witness, log)
    log.grow(5).publish()
    full = OSError(28, "No space left on device")

    def fails(*_: object, **__: object) -> None:
        raise full

    with monkeypatch.context() as patch:
        if call == "open":
            real = os.open

            def some(path: str, flags: int, *rest: int, **more: int) -> int:
                return real(path, flags, *rest, **more) if not flags & os.O_TRUNC else fails()  # type: ignore[func-returns-value, return-value]

            patch.setattr(os, "open", some)
        elif call == "fsync":
            patch.setattr(os, "fsync", fails)
        else:
            patch.setattr(Path, "replace", fails)
        with pytest.raises(LogError, match="cannot be written: No space left"):
            observe(witness, log)
        with pytest.raises(LogError, match="cannot be written"):
            witness.add_checkpoint(request(log, 300, 305), NOW)
    assert witness.latest(ORIGIN) == before.note
    assert observe(witness, log).new == 5


def test_two_processes_cannot_both_cosign_from_one_size(tmp_path: Path, witness: Witness, log: MadeLog) -> None:
    """The race of tlog-witness: both ask for another size, from the same old size. Exactly one may be given it."""
    code = """
witness = Witness(Path(sys.argv[2]))
for line in sys.stdin:
    body = Path(line.strip()).read_bytes()
    print(witness.add_checkpoint(body, 5)[0], flush=True)
"""
    with child(code, str(witness.folder)) as one, child(code, str(witness.folder)) as two:
        size, wins = 0, [0, 0]
        for round_ in range(40):
            for number, process in enumerate((one, two)):
                path = tmp_path / f"r{number}"
                path.write_bytes(request(log, size, size + 1 + number))
                assert process.stdin and process.stdout
            for number, process in enumerate((one, two) if round_ % 2 else (two, one)):
                path = tmp_path / f"r{number if round_ % 2 else 1 - number}"
                process.stdin.write(f"{path}\n".encode())  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            answers = [int(process.stdout.readline()) for process in (one, two)]  # type: ignore[union-attr]
            assert sorted(answers) == [200, 409], "both, or none, were given a cosignature"
            winner = answers.index(200)
            wins[winner] += 1
            size += 1 + winner
            assert read_checkpoint(witness.latest(ORIGIN), log.key).size == size
    assert sum(wins) == 40


def test_a_faster_process_is_no_rollback(witness: Witness, log: MadeLog) -> None:
    """Between our fetch and our check another process has cosigned a newer checkpoint: look again, no alarm."""
    observe(witness, log)
    old = (log.folder / "checkpoint").read_bytes()
    fetch, calls = tiles.directory(log.folder), []

    def slow(path: str) -> bytes | None:
        if path == "checkpoint":
            calls.append(path)
            if len(calls) == 1:
                log.grow(30).publish()
                Witness(witness.folder).observe(fetch, ORIGIN, NOW)
                return old
        return fetch(path)

    seen = witness.observe(slow, ORIGIN, NOW + 1)
    assert (seen.size, seen.new, len(calls)) == (330, 0, 2) and not witness.alarm(ORIGIN)


def test_an_alarm_of_another_process_counts_at_once(tmp_path: Path, witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    other = forked(log, tmp_path / "other", 5, 300)
    fetch = tiles.directory(log.folder)

    def slow(path: str) -> bytes | None:
        if path == "checkpoint":
            with pytest.raises(ForkError):
                Witness(witness.folder).observe(tiles.directory(other.folder), ORIGIN, NOW)
        return fetch(path)

    with pytest.raises(ForkError, match="stands"):
        witness.observe(slow, ORIGIN, NOW)
    assert len(list(witness.folder.glob("alarm-*"))) == 1


# --- over HTTP: fetching


@pytest.fixture
def served(log: MadeLog) -> Iterator[str]:
    """The log's folder behind Python's own web server, in another process."""
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(log.folder), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        port = int(server.stdout.readline().split("port ")[1].split()[0])
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait()


def test_observe_over_http(witness: Witness, log: MadeLog, served: str, tmp_path: Path) -> None:
    fetch = tiles.http(served)
    assert witness.observe(fetch, ORIGIN, NOW).size == 300
    log.grow(300).publish()
    assert witness.observe(fetch, ORIGIN, NOW).new == 300
    (log.folder / "checkpoint").write_text(MadeLog(tmp_path).grow(200).checkpoint(), "utf-8")
    with pytest.raises(ForkError, match="fewer entries"):
        witness.observe(fetch, ORIGIN, NOW)


def hostile(answer: Callable[[socket.socket], None]) -> tuple[str, Callable[[], None]]:
    """A server on 127.0.0.1 that does to each connection what ``answer`` does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def loop() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(4096)
                    answer(connection)
                except OSError:
                    pass

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()

    def stop() -> None:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)

    return f"http://127.0.0.1:{listener.getsockname()[1]}", stop


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def redirecting(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/x\r\nContent-Length: 0\r\n\r\n")


def to_a_file(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\nContent-Length: 0\r\n\r\n")


def trickling(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.05)


def trickling_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.05)


def silent(connection: socket.socket) -> None:
    time.sleep(1)


def failing(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")


def no_http(connection: socket.socket) -> None:
    connection.sendall(b"\x00\x01\x02\r\n" * 10)


@pytest.mark.parametrize(
    "answer",
    [endless, redirecting, to_a_file, trickling, trickling_headers, silent, failing, no_http],
    ids=lambda f: f.__name__,
)
def test_hostile_servers_are_an_error_soon_and_no_alarm(
    witness: Witness, log: MadeLog, answer: Callable[[socket.socket], None]
) -> None:
    before = observe(witness, log)
    url, stop = hostile(answer)
    try:
        began = time.monotonic()
        with pytest.raises(LogError) as caught:
            witness.observe(tiles.http(url, timeout=0.2), ORIGIN, NOW)
        assert not isinstance(caught.value, ForkError)
        assert time.monotonic() - began < 4
    finally:
        stop()
    assert witness.latest(ORIGIN) == before.note and not witness.alarm(ORIGIN)


# --- over HTTP: serving


@pytest.fixture
def port(witness: Witness) -> Iterator[int]:
    with witness_serve.listen(witness, clock=lambda: NOW) as server:
        assert server.server_address[0] == "127.0.0.1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


def post(port: int, body: bytes, path: str = "/add-checkpoint", method: str = "POST") -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"] or "", answer.read()
    finally:
        connection.close()


def test_serve(witness: Witness, log: MadeLog, port: int) -> None:
    status, kind, line = post(port, request(log, 0, 100))
    assert (status, kind) == (200, "text/plain; charset=utf-8")
    assert verify_note(note.with_signature(log.checkpoint(100), line.decode()), witness.key)[1] == NOW
    assert post(port, request(log, 0, 100)) == (409, "text/x.tlog.size", b"100\n")
    assert post(port, request(log, 100, 200, []))[0] == 422
    assert post(port, b"hello")[0] == 400
    assert post(port, b"x" * (MOST_BYTES + 1))[0] == 413
    assert post(port, b"", "/other")[0] == 404
    assert post(port, b"", "/add-checkpoint", "GET")[0] == 501
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)  # keep-alive: two requests, one connection
    for old, new in ((100, 150), (150, 300)):
        connection.request("POST", "/add-checkpoint", request(log, old, new))
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:3]) == (200, "—".encode())
    connection.close()


def raw(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        got = b""
        while part := connection.recv(4096):
            got += part
        return got


def test_serve_is_not_held_up(witness: Witness, log: MadeLog, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\n"
    assert raw(port, head + b"\r\n").startswith(b"HTTP/1.1 411")
    assert raw(port, head + b"Content-Length: -5\r\n\r\n").startswith(b"HTTP/1.1 411")
    assert raw(port, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").startswith(b"HTTP/1.1 411")
    assert raw(port, head + b"Content-Length: 99999999999999999999\r\n\r\n").startswith(b"HTTP/1.1 413")
    monkeypatch.setattr(witness_serve, "MOST_SECONDS", 0.5)
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as idle:
        idle.sendall(head + b"Content-Length: 1000\r\n\r\n")
        assert post(port, request(log, 0, 100))[0] == 200, "one slow client does not stop the others"
        assert idle.recv(10) == b"", "and is cut"
    assert time.monotonic() - began < 5
    many = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(witness_serve.MOST_CONNECTIONS)]
    time.sleep(0.1)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as one_more:
        assert one_more.recv(10) == b"", "beyond the limit a connection is closed"
    for connection in many:
        connection.close()
    time.sleep(0.7)
    assert post(port, request(log, 100, 200))[0] == 200


def test_serve_says_when_it_cannot_work(witness: Witness, log: MadeLog, port: int) -> None:
    (path,) = witness.folder.glob("log-*.json")
    path.write_bytes(b"?")
    assert post(port, request(log, 0, 100))[0] == 500
    with pytest.raises(LogError, match=r"cannot listen on 127\.0\.0\.1"):
        witness_serve.listen(witness, port=port)
    with pytest.raises(LogError, match="cannot listen on"):
        witness_serve.listen(witness, port=70_000)


# --- the loop


def test_run_goes_on_after_failures_and_waits_longer(witness: Witness, log: MadeLog) -> None:
    waits: list[float] = []
    rounds: list[Observation | LogError] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return False

    stop = Stop()
    fetch = tiles.directory(log.folder)
    script: list[Callable[[], object]] = [
        lambda: None,
        lambda: (log.folder / "checkpoint").rename(log.folder / "gone"),
        lambda: None,
        lambda: (log.folder / "gone").rename(log.folder / "checkpoint"),
        lambda: log.grow(5).publish(),
    ]

    def on_round(seen: Observation | LogError) -> None:
        rounds.append(seen)
        if len(rounds) == len(script):
            stop.set()
        else:
            script[len(rounds)]()

    witness_serve.run(witness, fetch, ORIGIN, 10.0, stop, on_round=on_round, clock=lambda: NOW)
    assert [type(seen).__name__ for seen in rounds] == [
        "Observation",
        "LogError",
        "LogError",
        "Observation",
        "Observation",
    ]
    assert isinstance(rounds[-1], Observation) and rounds[-1].new == 5
    for wait, right in zip(waits, [10, 20, 40, 10, 10], strict=True):
        assert 0.8 * right <= wait <= 1.2 * right
    assert len(set(waits)) == len(waits), "a little irregular"


def test_run_reports_alarms_and_goes_on_when_they_are_cleared(tmp_path: Path, witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    other = forked(log, tmp_path / "other", 5, 300)
    rounds: list[str] = []
    stop = threading.Event()

    def on_round(seen: Observation | LogError) -> None:
        rounds.append(type(seen).__name__)
        if len(rounds) == 2:
            witness.clear_alarm(ORIGIN)
            shutil.rmtree(other.folder)
            shutil.copytree(log.folder, other.folder)
        if len(rounds) == 3:
            stop.set()

    witness_serve.run(witness, tiles.directory(other.folder), ORIGIN, 0.01, stop, on_round=on_round)
    assert rounds == ["ForkError", "ForkError", "Observation"]


def test_run_goes_on_after_a_replayed_checkpoint(witness: Witness, log: MadeLog) -> None:
    observe(witness, log)
    old, good = log.checkpoint(200), (log.folder / "checkpoint").read_text("utf-8")
    rounds: list[str] = []
    stop = threading.Event()

    def on_round(seen: Observation | LogError) -> None:
        rounds.append(type(seen).__name__)
        (log.folder / "checkpoint").write_text(old if len(rounds) == 1 else good, "utf-8")
        if len(rounds) == 4:
            stop.set()

    witness_serve.run(witness, tiles.directory(log.folder), ORIGIN, 0.01, stop, on_round=on_round)
    assert rounds == ["Observation", "ForkError", "Observation", "Observation"]


def test_evidence_has_all_its_fields() -> None:
    assert set(Alarm.__struct_fields__) == {
        "format", "origin", "number", "kind", "time", "vkey", "seen", "shown", "implied_root", "proof"
    }  # fmt: skip
