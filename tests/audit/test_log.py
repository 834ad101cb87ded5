"""The log: durable before acknowledged, one history for all, published again and again without harm, honest about time."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.kept_log import ACTOR, DAY, ORIGIN, SCENE, SECOND, START, Clock, Kept, hold, look_in
from parcelveil.adapt.store_sqlite import SqliteStore
from parcelveil.audit import log as log_module
from parcelveil.audit import note, tiles
from parcelveil.audit.batch import Batch
from parcelveil.audit.entry import MAX_BYTES, MAX_SUBJECTS, Approval, KeyEvent, Look, StaffChange, decode, opens
from parcelveil.audit.log import desk_time
from parcelveil.audit.note import Signer
from parcelveil.audit.proof import ProofError, leaf_hash, unbase64, verify_receipt
from parcelveil.audit.tree import Frontier
from parcelveil.errors import ForkError, LogError, OutputError
from parcelveil.ports import LogState


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def key_event(detail: str = "") -> KeyEvent:
    return KeyEvent(time=0, action="log-read", detail=detail)


def kinds(kept: Kept) -> list[tuple[str, str]]:
    size = kept.log.publish()
    reader = tiles.TileReader(tiles.directory(kept.log.folder), size)
    entries = [decode(data) for data in reader.entries(0, size)]
    return [(entry.action, entry.detail) for entry in entries if isinstance(entry, KeyEvent)]


# -- receipts and batches ---------------------------------------------------------------------------------------


def test_the_receipt_of_every_entry_verifies(kept: Kept) -> None:
    receipts = [kept.look(count) for count in (1, 3, 1, 260, 7)]
    flat = [receipt for group in receipts for receipt in group]
    assert hold(kept, flat).kinds == {"key": 1, "look": 272}
    found = [verify_receipt(receipt, kept.log.signer.key) for receipt in flat]
    assert [proof.index for proof in found] == list(range(1, 273))  # entry 0 says that the log was created
    for index in (0, 1, 5, 255, 256, 272):
        proof = verify_receipt(kept.log.receipt(index), kept.log.signer.key)
        assert (proof.index, proof.checkpoint.size) == (index, 273)
        assert not index or proof.entry == found[index - 1].entry


def test_a_subject_is_committed_to_and_not_named(kept: Kept) -> None:
    with kept.log.begin() as batch:
        look = Look(time=batch.time, actor="s-1", role="clerk", scene="customs", waybills=2)
        index = batch.append(look, [("waybill", "YT1"), ("waybill", "YT2")], "D-77/2026")
        again = batch.append(look, [("waybill", "YT1"), ("waybill", "YT2")], "D-77/2026")
    entry = decode(verify_receipt(batch.receipt(index), kept.log.signer.key).entry)
    twin = decode(verify_receipt(batch.receipt(again), kept.log.signer.key).entry)
    assert isinstance(entry, Look) and isinstance(twin, Look)
    assert not {*entry.subjects, entry.document} & {*twin.subjects, twin.document}  # a fresh salt each
    with kept.store.transaction() as tx:
        document, *rows = [kept.log.subjects.open(row) for row in tx.subjects_of_entry(index)]
    assert [(s.kind, s.value) for s in (*rows, document)] == [
        ("waybill", "YT1"),
        ("waybill", "YT2"),
        ("document", "D-77/2026"),
    ]
    for subject, committed in zip((*rows, document), (*entry.subjects, entry.document), strict=True):
        assert opens(unbase64(committed), subject.salt, subject.kind, subject.value)
    everything = b"".join(path.read_bytes() for path in kept.log.folder.rglob("*") if path.is_file())
    assert b"YT1" not in everything and b"D-77" not in everything


def test_nothing_of_a_raising_block_remains(kept: Kept) -> None:
    kept.look()
    before = kept.log.state()
    with pytest.raises(RuntimeError), kept.log.begin() as batch:
        look_in(batch)
        raise RuntimeError
    assert kept.log.state() == before
    with pytest.raises(LogError, match="not durable"):
        batch.receipt(2)
    with kept.store.transaction() as tx:
        assert tx.used(ACTOR, SCENE, batch.day) == 1 and not tx.subjects_of_entry(2)
    hold(kept, kept.look())


def test_t6_no_receipt_before_the_entry_is_durable(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    with kept.log.begin() as batch:
        index = look_in(batch)
        with pytest.raises(LogError, match="not durable"):
            batch.receipt(index)
    assert verify_receipt(batch.receipt(index), kept.log.signer.key).index == index
    # The transaction was prepared to the end, and the commit failed.
    pages = kept.store._db.execute("PRAGMA page_count").fetchone()[0]
    kept.store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutputError), kept.log.begin() as failed:
        lost = [look_in(failed) for _ in range(300)]
    for index in lost:
        with pytest.raises(LogError, match="not durable"):
            failed.receipt(index)


def test_a_batch_ends_with_its_transaction(kept: Kept) -> None:
    kept.look()
    with kept.log.begin() as batch:
        index = look_in(batch)
    with pytest.raises(LogError, match="has ended"):
        batch.append(KeyEvent(time=batch.time, action="log-read"))
    for other in (index - 1, index + 1, -1):
        with pytest.raises(LogError, match="not of this batch"):
            batch.receipt(other)


def test_a_block_without_entries_appends_none(kept: Kept) -> None:
    with kept.log.begin():
        pass
    assert kept.log.state() == LogState()
    assert kept.log.publish() == 0 and not kept.log.folder.exists()
    with pytest.raises(LogError, match="no entry 0 yet"):
        kept.log.receipt(0)


@pytest.mark.parametrize(
    "entry",
    [
        KeyEvent(time=1, action="of another time"),
        Look(time=START, actor="s-1", role="r", scene="s", values=-1),
        Look(time=START, actor="s-1", role="r", scene="s", values=1 << 60),
        Look(time=START, actor=None, role="r", scene="s"),  # type: ignore[arg-type]
        KeyEvent(time=START, action="x", detail="\udc80"),
        StaffChange(time=START, action="added", actor="k", target="s-2", outlet="o" * MAX_BYTES),
    ],
    ids=["time", "negative", "huge", "no text", "surrogate", "too long"],
)
def test_an_entry_that_would_break_the_log_is_refused(kept: Kept, entry: KeyEvent) -> None:
    with pytest.raises(LogError, match="cannot hold") as caught, kept.log.begin() as batch:
        batch.append(entry)
    assert caught.value.__cause__ is None and kept.log.state() == LogState()


def test_too_many_subjects_are_refused(kept: Kept) -> None:
    with pytest.raises(LogError, match="500 waybills"), kept.log.begin() as batch:
        look = Look(time=batch.time, actor="s-1", role="r", scene="s")
        batch.append(look, [("waybill", "YT")] * (MAX_SUBJECTS + 1))


def test_all_subjects_of_the_largest_look_fit(kept: Kept) -> None:
    with kept.log.begin() as batch:
        names = tuple(f"field_{i}" for i in range(64))
        look = Look(time=batch.time, actor="s-1", role="r" * 64, scene="s" * 64, fields=names, rules=names)
        index = batch.append(look, [("waybill", f"YT{i}") for i in range(MAX_SUBJECTS)], "D")
    assert verify_receipt(batch.receipt(index), kept.log.signer.key).index == index
    with kept.store.transaction() as tx:
        assert len(tx.subjects_of_entry(index)) == MAX_SUBJECTS + 1


def test_a_damaged_frontier_is_told(kept: Kept) -> None:
    kept.look(3)
    kept.store._db.execute("UPDATE log_state SET frontier = substr(frontier, 2)")
    with pytest.raises(LogError, match="was changed"):
        kept.look()


# -- several at once --------------------------------------------------------------------------------------------


def test_entries_of_several_threads(kept: Kept) -> None:
    receipts: list[str] = []

    def work() -> None:
        for i in range(20):
            receipts.extend(kept.look(1 + i % 3))
            if i % 7 == 3:
                kept.log.publish()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 4 * 39
    assert hold(kept, receipts).kinds["look"] == len(receipts)


def test_t6_two_processes_cannot_fork_the_log(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.close()
    children = []
    for name in ("a", "b", "c"):
        child = os.fork()
        if not child:
            status = 1
            try:
                own, receipts = Kept(tmp_path), []
                for i in range(40):
                    receipts += own.look(1 + i % 3)
                    if i % 10 == 5:
                        own.log.publish()
                (tmp_path / name).write_text("\0".join(receipts))
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    receipts = [receipt for name in "abc" for receipt in (tmp_path / name).read_text().split("\0")]
    kept = Kept(tmp_path)
    assert hold(kept, receipts).kinds["look"] == len(receipts) == 3 * 79
    indices = {verify_receipt(receipt, kept.log.signer.key).index for receipt in receipts}
    assert indices == set(range(1, len(receipts) + 1))


# -- publishing -------------------------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_publishing_twice_changes_nothing(kept: Kept) -> None:
    kept.look(300)
    assert kept.log.publish() == 301
    before, state = files(kept.log.folder), kept.log.state()
    assert kept.log.publish() == 301
    assert files(kept.log.folder) == before and kept.log.state() == state
    assert before["log.vkey"] == f"{kept.log.signer.key}\n".encode()


def test_a_folder_that_lags_is_told_from_its_checkpoint(kept: Kept) -> None:
    first = kept.look(3)
    kept.log.publish()
    behind = (kept.log.folder / "checkpoint").read_bytes()
    kept.look(400)
    assert (kept.log.folder / "checkpoint").read_bytes() == behind
    with kept.store.transaction() as tx:
        tail = [entry for _, bundle in tx.groups() for entry in tiles.unbundle(bundle)]
        assert len(tail) == 400 and tx.log_state().published == 4
    hold(kept, first)


def test_a_crash_after_the_tiles_is_repaired(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    receipts = kept.look(5)
    with kept.store.transaction() as tx:
        state, groups = tx.log_state(), tx.groups()
    kept.log.publish()
    with kept.store.transaction() as tx:  # as if the second transaction had never been
        tx.set_log_state(state)
        for first, bundle in groups:
            tx.add_group(first, bundle)
    receipts += kept.look(300)
    assert hold(kept, receipts).size == 306


def test_concurrent_publishers(kept: Kept) -> None:
    other = Kept(kept.folder, kept.clock)
    receipts: list[str] = []
    sizes: list[int] = []
    stop = threading.Event()

    def publish(one: Kept) -> None:
        while not stop.is_set():
            sizes.append(one.log.publish())

    threads = [threading.Thread(target=publish, args=(one,)) for one in (kept, other)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(40):
            receipts += kept.look(11)
            time.sleep(0.003)  # else nobody else gets a turn
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(set(sizes)) > 2
    assert hold(other, receipts).size == 441


def test_what_waits_is_published_before_it_gets_too_much(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "PUBLISH_AT", 10)
    for _ in range(9):
        kept.look(3)
    state = kept.log.state()
    assert state.published > 10 and state.size - state.published < 14


def test_t6_when_publishing_fails_nothing_is_counted(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "PUBLISH_AT", 10)
    kept.look(20)
    state = kept.log.state()

    def full(*_: object) -> None:
        raise OutputError("the log directory cannot be written: {why}", why="full")

    with monkeypatch.context() as patch:
        patch.setattr(tiles, "publish", full)
        for _ in range(3):
            with pytest.raises(OutputError):
                kept.look()
        assert kept.log.state() == state
    hold(kept, kept.look())


def test_t10_a_restored_old_state_takes_no_entries(kept: Kept, tmp_path: Path) -> None:
    kept.look(3)
    kept.store.settle()
    old = (kept.folder / "state.db").read_bytes()
    receipts = kept.look(3)
    kept.log.publish()
    published = files(kept.log.folder)
    kept.close()
    (kept.folder / "state.db").write_bytes(old)
    restored = Kept(kept.folder)
    with pytest.raises(ForkError, match="7 entries, the state only 4"):
        restored.look()
    with pytest.raises(ForkError):
        restored.log.publish()
    with pytest.raises(ForkError):
        restored.log.receipt(0)
    assert restored.log.state().size == 4 and files(restored.log.folder) == published
    assert len(receipts) == 3


def test_t10_a_log_that_began_anew_takes_no_entries(kept: Kept) -> None:
    kept.look(3)
    kept.log.publish()
    kept.close()
    (kept.folder / "state.db").unlink()
    with pytest.raises(ForkError):
        Kept(kept.folder).look()


def test_a_folder_of_another_log_is_not_written_to(kept: Kept, tmp_path: Path) -> None:
    kept.look()
    kept.log.folder.mkdir()
    other = Signer.from_seed(ORIGIN, bytes(32))
    (kept.log.folder / "log.vkey").write_text(f"{other.key}\n")
    with pytest.raises(ForkError, match="another log's key"):
        kept.log.publish()
    (kept.log.folder / "checkpoint").write_text(note.checkpoint(other, 0, note.EMPTY))
    with pytest.raises(LogError, match="not this log's"):
        kept.log.publish()


@pytest.mark.parametrize("left", ["", "log.vkey", "tile"])
def test_a_damaged_folder_is_told(kept: Kept, left: str) -> None:
    """Published entries are nowhere else: what is lost is said, and nothing is made up."""
    kept.look(3)
    kept.log.publish()
    for path in sorted(kept.log.folder.rglob("*"), reverse=True):
        if not left or left not in path.parts:
            path.unlink() if path.is_file() else path.rmdir() if not any(path.iterdir()) else None
    if left == "tile":
        assert kept.log.publish() == 4
        hold(kept)
    else:
        with pytest.raises(LogError):
            kept.log.publish()


def test_an_old_backup_of_the_folder_is_told(kept: Kept) -> None:
    kept.look(3)
    kept.log.publish()
    before = (kept.log.folder / "checkpoint").read_bytes()
    kept.look(3)
    kept.log.publish()
    (kept.log.folder / "checkpoint").write_bytes(before)
    (kept.log.folder / "tile/0/000.p/7").unlink()
    with pytest.raises(LogError):
        kept.log.publish()


def test_an_empty_key_file_is_mended(kept: Kept) -> None:
    kept.look()
    kept.log.folder.mkdir()
    (kept.log.folder / "log.vkey").touch()
    kept.log.publish()
    assert (kept.log.folder / "log.vkey").read_text() == f"{kept.log.signer.key}\n"


def test_a_folder_that_cannot_be_made(kept: Kept) -> None:
    receipts = kept.look()
    kept.log.folder.write_text("a file")
    with pytest.raises(LogError):
        kept.log.publish()
    kept.log.folder.unlink()
    hold(kept, receipts)


def test_lost_groups_are_told(kept: Kept) -> None:
    kept.look(2)
    kept.look(2)
    kept.store._db.execute("DELETE FROM log_group WHERE first = 0")
    with pytest.raises(LogError, match="lost entries"):
        kept.log.publish()


# -- receipts from tiles ------------------------------------------------------------------------------------------


def test_a_receipt_under_a_cosigned_checkpoint(kept: Kept) -> None:
    kept.look(9)
    kept.log.publish()
    witness, _ = Signer.generate("regulator.example/w1", kind=note.COSIGNATURE)
    text = kept.log.state().checkpoint
    cosigned = note.with_signature(text, witness.cosign(note.split_note(text)[0], 1_795_500_000))
    kept.look(9)
    proof = verify_receipt(kept.log.receipt(4, cosigned), kept.log.signer.key, [witness.key], 1)
    assert (proof.index, proof.checkpoint.size, proof.cosigned) == (4, 10, {witness.key.name: 1_795_500_000})
    newer = verify_receipt(kept.log.receipt(12, cosigned), kept.log.signer.key)  # which it does not cover
    assert (newer.index, newer.checkpoint.size) == (12, 19)


def test_t6_a_receipt_that_does_not_hold_is_not_given(kept: Kept) -> None:
    kept.look(9)
    kept.log.publish()
    other = Frontier()
    other.extend([leaf_hash(b"%d" % i) for i in range(5)])
    forged = note.checkpoint(kept.log.signer, 5, other.root())  # of another history, by the same key
    with pytest.raises(LogError, match="does not prove entry 2"):
        kept.log.receipt(2, forged)
    stranger = note.checkpoint(Signer.from_seed(ORIGIN, bytes(32)), 5, other.root())
    with pytest.raises(LogError, match="does not verify"):
        kept.log.receipt(2, stranger)
    bundle = kept.log.folder / "tile/entries/000.p/10"
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b'"waybills":1', b'"waybills":9', 1))
    with pytest.raises(LogError, match="does not prove entry 1"):
        kept.log.receipt(1)


@pytest.mark.parametrize("index", [-1, 10, 1 << 70])
def test_no_such_entry(kept: Kept, index: int) -> None:
    kept.look(9)
    with pytest.raises(LogError, match=r"no entry (-1|10|1180591620717411303424) yet"):
        kept.log.receipt(index)


def test_receipts_while_others_append(kept: Kept) -> None:
    """The proof and the checkpoint are of one size, however the log grows meanwhile."""
    kept.look()
    stop = threading.Event()

    def grow() -> None:
        while not stop.is_set():
            kept.look(2)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        for index in [0, 1] * 15:
            assert verify_receipt(kept.log.receipt(index), kept.log.signer.key).index == index
    finally:
        stop.set()
        thread.join()


def test_repr_shows_no_key(kept: Kept) -> None:
    assert repr(kept.log) == f"<Log {ORIGIN}>"


def test_append_sets_the_time(kept: Kept) -> None:
    proof = verify_receipt(kept.log.append(key_event("7")), kept.log.signer.key)
    assert decode(proof.entry) == KeyEvent(time=START, action="log-read", detail="7")
    with pytest.raises(ProofError):
        verify_receipt(kept.log.append(key_event()), Signer.from_seed(ORIGIN, bytes(32)).key)


# -- time -------------------------------------------------------------------------------------------------------

moments = st.integers(0, 1 << 53)


@given(state=st.builds(LogState, size=st.integers(0, 9), time=moments, uptime=moments, boot=st.sampled_from("ab")), wall=moments, boot=st.sampled_from(["a", "b", ""]), uptime=moments)  # fmt: skip
@settings(max_examples=500, deadline=None)
def test_t6_the_clock_never_runs_back_nor_ahead(state: LogState, wall: int, boot: str, uptime: int) -> None:
    found = desk_time(state, wall, boot, uptime)
    if not state.size:
        assert found == wall
        return
    assert found >= state.time
    assert found in (state.time, wall) or (boot == state.boot and found < wall)
    if boot == state.boot:
        assert found - state.time <= max(0, uptime - state.uptime) * 1.1


@given(st.lists(st.tuples(st.integers(0, 3600 * SECOND), st.integers(-3 * DAY, 3 * DAY)), max_size=20))
@settings(max_examples=200, deadline=None)
def test_t6_whoever_turns_the_wall_clock_gains_a_tenth(steps: list[tuple[int, int]]) -> None:
    """However it is set, forth and back, between entries: over all, no more than 1.1 times the uptime."""
    state, up, wall = LogState(size=1, time=START, uptime=0, boot="b"), 0, START
    for passed, turned in steps:
        up, wall = up + passed, wall + passed + turned
        now = desk_time(state, wall, "b", up)
        state = LogState(size=1, time=now, uptime=up, boot="b")
    assert 0 <= state.time - START <= up * 1.1


def day_of(kept: Kept) -> int:
    with kept.log.begin() as batch:
        batch.append(KeyEvent(time=batch.time, action="log-read"))
    return batch.day


def test_t6_the_wall_clock_opens_no_new_day_of_quota(kept: Kept) -> None:
    kept.look()
    today = day_of(kept)
    kept.clock.wall += DAY
    for _ in range(10):
        kept.clock.tick(60 * SECOND)
        assert day_of(kept) == today
    kept.clock.wall -= DAY
    assert day_of(kept) == today
    for _ in range(24):
        kept.clock.tick(3600 * SECOND)
        day_of(kept)
    assert day_of(kept) == today + 1  # real days pass
    hold(kept)


def test_time_goes_on_after_a_reboot(kept: Kept) -> None:
    kept.look()
    kept.clock.boot, kept.clock.up = "boot-2", 30 * SECOND
    kept.clock.wall += DAY
    assert day_of(kept) == (START + DAY + 480 * 60 * SECOND) // DAY
    assert kept.log.state().time == START + DAY
    kept.clock.boot, kept.clock.up = "boot-3", 10 * SECOND
    kept.clock.wall = START  # a machine without a battery
    day_of(kept)
    assert kept.log.state().time == START + DAY
    assert ("clock-held", "-86400") in kinds(kept)
    hold(kept)


def test_a_held_clock_is_logged(kept: Kept) -> None:
    kept.look()
    kept.clock.tick(100 * SECOND)
    kept.clock.wall += 59 * SECOND  # 10 of it within the tenth
    kept.look()
    assert kinds(kept) == [("log-created", "")]
    kept.clock.wall += 3600 * SECOND
    kept.look()
    kept.look()
    assert kinds(kept) == [("log-created", ""), ("clock-held", "3649")]
    kept.clock.wall -= 3649 * SECOND
    kept.look()
    assert kinds(kept)[2:] == [("clock-held", "0")]
    hold(kept)


def test_now_is_the_time_of_the_next_entry(kept: Kept) -> None:
    assert kept.log.now() == START
    kept.look()
    kept.clock.wall += DAY
    kept.clock.up += 10 * SECOND
    assert kept.log.now() == START + 11 * SECOND
    with kept.log.begin() as batch:
        assert batch.time == START + 11 * SECOND


def test_the_day_is_the_tenants(tmp_path: Path) -> None:
    clock = Clock(START - START % DAY + 17 * 3600 * SECOND)  # 17:00 UTC is tomorrow in China
    kept = Kept(tmp_path, clock)
    assert day_of(kept) == START // DAY + 1


def test_what_a_batch_is_made_of(kept: Kept) -> None:
    with kept.log.begin() as batch:
        assert isinstance(batch, Batch) and batch.time == START
        batch.append(Approval(time=batch.time, action="requested", approval="a-1", actor="s-1"))
    assert isinstance(kept.store, SqliteStore)
    assert hold(kept).kinds == {"key": 1, "approval": 1}


def test_a_publisher_in_the_background(kept: Kept) -> None:
    kept.log.publish_in_background(every=0.01)
    kept.log.publish_in_background()  # one is enough
    for _ in range(30):
        kept.look()
    until = time.monotonic() + 20
    while kept.log.state().published < kept.log.state().size and time.monotonic() < until:
        time.sleep(0.01)
    assert kept.log.state().published == kept.log.state().size
    kept.look(30)
    kept.log.close()
    assert kept.log.state().published == kept.log.state().size
    assert "parcelveil-publisher" not in {thread.name for thread in threading.enumerate()}
    kept.look(31)
    kept.log.close()
    assert kept.log.state().published == kept.log.state().size


def test_a_publisher_that_cannot_write_loses_nothing(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.look(1)
    failed = threading.Event()

    def full(*_: object) -> None:
        failed.set()
        raise OutputError("full")

    with monkeypatch.context() as patch:
        patch.setattr(tiles, "publish", full)
        kept.log.publish_in_background(every=0.01)
        kept.look(2)
        assert failed.wait(20)
        kept.look(3)  # looks go on
    kept.log.close()
    assert kept.log.state().published == kept.log.state().size == 7
