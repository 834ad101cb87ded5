"""Pruning: old entries go, with their salts; every proof about the rest holds, and nobody prunes early."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.kept_log import DAY, SECOND, START, Kept, hold
from parcelveil.audit import tiles
from parcelveil.audit.proof import verify_receipt
from parcelveil.audit.receipts import verify_receipts
from parcelveil.audit.reconcile import compare
from parcelveil.audit.retention import LEAST_DAYS, Pruned, prune
from parcelveil.audit.tree import check_consistency, consistency_path
from parcelveil.audit.verify import verify_log
from parcelveil.errors import LogError, PolicyError

OFFSET = 480


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Ten days of 101 looks each; the last of them 200 days ago; then one look of today."""
    kept = Kept(tmp_path)
    for _ in range(10):
        kept.look(100)
        kept.look(1, values=5)
        kept.clock.tick(DAY)
    kept.clock.tick(200 * DAY)
    kept.look()
    return kept


def pruned(kept: Kept, before: int, keep_days: int = LEAST_DAYS) -> Pruned:
    return prune(kept.log, before, keep_days, OFFSET)


def paths(kept: Kept) -> set[str]:
    return {p.relative_to(kept.log.folder).as_posix() for p in (kept.log.folder / "tile").rglob("*") if p.is_file()}


def test_every_proof_about_the_rest_holds(kept: Kept) -> None:
    kept.log.publish()
    receipts = {index: kept.log.receipt(index) for index in (0, 255, 256, 511, 512, 700, 1011)}
    old = kept.log.state()
    done = pruned(kept, START + 6 * DAY)  # 606 looks are older, and 'log-created'
    assert done == Pruned(minimum=512, entries=512, salts=511, files=4)
    assert paths(kept) & {"tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001"} == set()
    verdict = hold(kept)
    assert (verdict.minimum, verdict.entries, verdict.size) == (512, 501, 1013)
    assert verdict.remarks == []
    key = kept.log.signer.key
    for index, receipt in receipts.items():  # receipts, also of entries that went, are proofs for ever
        assert verify_receipt(receipt, key).index == index
    fetch = tiles.directory(kept.log.folder)
    assert [r.problem for r in verify_receipts([("r", r) for r in receipts.values()], key, fetch)] == [""] * 7
    for index in (512, 700, 1012):
        assert verify_receipt(kept.log.receipt(index), key).index == index
    with pytest.raises(LogError, match="missing"):
        kept.log.receipt(511)
    new = kept.log.state()
    reader = tiles.TileReader(fetch, new.size)
    first, second = (verify_receipt(receipts[0], key).checkpoint, verify_receipt(kept.log.receipt(600), key).checkpoint)
    check_consistency(old.size, new.size, first.root, second.root, consistency_path(old.size, new.size, reader.node))


def test_the_rest_grows_and_is_pruned_again(kept: Kept) -> None:
    pruned(kept, START + 4 * DAY)
    kept.look(600)
    hold(kept)
    kept.clock.tick(300 * DAY)
    done = pruned(kept, START + 250 * DAY)
    assert done.minimum == 1536 and done.entries == 1536 - 256
    kept.look(300)
    assert hold(kept).minimum == 1536


def test_the_log_tells_of_it(kept: Kept) -> None:
    assert hold(kept).kinds["key"] == 1
    pruned(kept, START + 6 * DAY)
    verdict = hold(kept)
    assert verdict.kinds["key"] == 1  # 'log-created' went, 'pruned' came


def test_reconciliation_still_balances(kept: Kept) -> None:
    def days() -> tuple[int, int]:
        with kept.store.transaction() as tx:
            state, drawn = tx.log_state(), tx.drawn()
        fetch = tiles.directory(kept.log.folder)
        verdict = verify_log(fetch, kept.log.signer.key, minimum=state.minimum, offset_minutes=OFFSET)
        found = compare(verdict.values, drawn)
        assert all(day.opened == day.logged for day in found)
        return len(found), sum(day.opened for day in found)

    kept.log.publish()
    assert days() == (11, 10 * 205 + 2)
    pruned(kept, START + 6 * DAY)
    # 511 looks went: five days of 205 values, and six looks of the sixth day
    assert days() == (6, 5 * 205 + 2 - 12)


def test_t10_values_that_no_entry_speaks_of_stay_an_alarm(kept: Kept) -> None:
    with kept.store.transaction() as tx:
        tx.draw((START + OFFSET * 60 * SECOND) // DAY, 7)
    pruned(kept, START + 6 * DAY)
    with kept.store.transaction() as tx:
        state, drawn = tx.log_state(), tx.drawn()
    verdict = verify_log(
        tiles.directory(kept.log.folder), kept.log.signer.key, minimum=state.minimum, offset_minutes=OFFSET
    )
    off = [day for day in compare(verdict.values, drawn) if day.opened != day.logged]
    assert [(day.day, day.opened, day.logged) for day in off] == [("2026-11-24", 7, 0)]


def test_t10_a_log_that_does_not_verify_is_not_pruned(kept: Kept) -> None:
    """Whoever changes the values of an old entry before it goes would change the count."""
    kept.log.publish()
    place = kept.log.folder / "tile/entries/000"
    data = place.read_bytes()
    assert data.count(b'"values":5') == 2
    place.write_bytes(data.replace(b'"values":5', b'"values":9', 1))
    before = kept.log.state(), paths(kept)
    with pytest.raises(LogError, match="entry 101 was changed"):
        pruned(kept, START + 6 * DAY)
    assert (kept.log.state(), paths(kept)) == before


@pytest.mark.parametrize("days", [-1, 0, LEAST_DAYS - 1])
def test_less_than_the_law_asks_for_is_refused(kept: Kept, days: int) -> None:
    before = kept.log.state()
    with pytest.raises(PolicyError, match="audit_days"):
        pruned(kept, START, days)
    assert kept.log.state() == before


def test_early_is_refused(kept: Kept) -> None:
    now = kept.clock.wall
    for before, days in [(now - 183 * DAY + 1, 183), (now, 183), (START + 6 * DAY, 1096)]:
        with pytest.raises(LogError, match="are kept for"):
            pruned(kept, before, days)
    assert pruned(kept, now - 183 * DAY).minimum == 768


def test_t6_turning_the_wall_clock_does_not_make_entries_old(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.look(600)
    kept.clock.wall += 400 * DAY
    kept.clock.tick(600 * SECOND)
    with pytest.raises(LogError, match="differ by more than a day"):
        pruned(kept, START + DAY)
    kept.clock.wall -= 400 * DAY
    with pytest.raises(LogError, match="are kept for"):
        pruned(kept, START + DAY)
    assert hold(kept).entries == 601


@pytest.mark.parametrize("boot", ["boot-2", ""])
def test_t10_a_machine_started_with_a_clock_years_ahead_does_not_make_entries_old(tmp_path: Path, boot: str) -> None:
    kept = Kept(tmp_path)
    kept.look(600)
    kept.clock.boot, kept.clock.up = boot, 30 * SECOND
    kept.clock.wall += 1200 * DAY
    with pytest.raises(LogError, match="differ by more than a day"):
        pruned(kept, START + DAY)
    kept.clock.wall = START - 2 * DAY  # behind is not right either
    with pytest.raises(LogError, match="differ by more than a day"):
        pruned(kept, START - 200 * DAY)
    assert kept.log.state().minimum == 0


def test_an_accepted_clock_is_one_to_prune_by(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.look(600)
    kept.clock.boot = "boot-2"
    kept.clock.wall += 1200 * DAY
    assert kept.log.accept_clock() == 1200
    assert pruned(kept, START + DAY).minimum == 512
    hold(kept)


def test_nothing_to_do(kept: Kept) -> None:
    for before in (0, START, START + DAY):  # fewer than 256 are older
        state = kept.log.state()
        assert pruned(kept, before) == Pruned(0, 0, 0, 0)
        assert kept.log.state().size == state.size
    hold(kept)
    pruned(kept, START + 6 * DAY)
    assert pruned(kept, START + DAY) == Pruned(512, 0, 0, 0)  # never back
    assert pruned(Kept(kept.folder, kept.clock), START + 6 * DAY) == Pruned(512, 0, 0, 0)


def test_a_crash_before_the_files_went_is_repaired(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tiles, "prune", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        pruned(kept, START + 6 * DAY)
    assert "tile/entries/000" in paths(kept) and kept.log.state().minimum == 512
    hold(kept)
    assert pruned(kept, START + 6 * DAY) == Pruned(512, 0, 0, 4)
    hold(kept)


def test_of_two_that_prune_at_once_one_does(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else both would take the same values out of the count."""
    other = Kept(kept.folder, kept.clock)
    state = kept.log.state()
    with monkeypatch.context() as patch:
        patch.setattr(tiles, "prune", lambda *_: 0)  # the first has not come to the files yet
        pruned(other, START + 6 * DAY)
        patch.setattr(kept.log, "state", lambda: state)  # the second began before
        with pytest.raises(LogError, match="somebody else is pruning"):
            pruned(kept, START + 6 * DAY)
    hold(kept)


def test_an_empty_log(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    assert pruned(kept, START - 300 * DAY) == Pruned(0, 0, 0, 0)
