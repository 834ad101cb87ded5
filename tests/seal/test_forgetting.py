"""Erasure with all remaining key material in the attacker's hands."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from parcelveil.adapt.key_file import FileKeyStore
from parcelveil.errors import EpochError, KeyAccessError, ParcelveilError, PassphraseError
from parcelveil.seal import kernel
from parcelveil.seal.keyring import KeyRing
from parcelveil.waybill import WAYBILL
from parcelveil.workspace import Settings, Workspace

PASSPHRASE = "correct horse"


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 4, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "acme"
    Workspace.init(folder, Settings(tenant="acme"), PASSPHRASE, Clock())
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "acme"))


def reopen(folder: Path, clock: Clock | None = None) -> Workspace:
    return Workspace.open(folder, lambda: PASSPHRASE, clock or Clock())


def waybills(count: int, when: datetime | None = None) -> pa.RecordBatch:
    columns = {
        "waybill_no": pa.array([f"YT{i:08}" for i in range(count)]),
        "to_name": pa.array([f"某人{i}" for i in range(count)]),
    }
    columns["note"] = pa.array(["known to everybody"] * count)
    if when:
        columns["created_at"] = pa.array([when] * count, pa.timestamp("us", "UTC"))
    arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in WAYBILL]
    return pa.RecordBatch.from_arrays(arrays, schema=WAYBILL)


def seal(workspace: Workspace, batch: pa.RecordBatch) -> pa.RecordBatch:
    days = kernel.days_of(batch, 480, workspace.ring.today())
    return kernel.seal_batch(batch, workspace.ring.seal_keys(np.unique(days).tolist()))


def status(ring: KeyRing, sealed: pa.RecordBatch) -> np.ndarray:
    return kernel.open_rows(sealed, ring.open_keys(kernel.epochs_in(sealed)))[1]


@pytest.mark.parametrize("count", [1, 1_000])
def test_erased_waybills_stay_shut_with_all_remaining_key_material(folder: Path, count: int) -> None:
    with reopen(folder) as workspace:
        sealed = seal(workspace, waybills(5_000))
        chosen = np.sort(np.random.default_rng(5).choice(5_000, count, replace=False))
        numbers = sealed["waybill_no"].take(pa.array(chosen))
        (epoch_number,) = kernel.epochs_in(sealed)
        old_leaves, _ = workspace.ring._epoch(epoch_number).tree.leaves(
            workspace.ring._epoch(epoch_number).paths(numbers)
        )
        assert workspace.ring.erase(numbers.to_pylist()).epochs == 1
    # A new process with passphrase, key file and state: everything that is left.
    with reopen(folder) as workspace:
        found = status(workspace.ring, sealed)
        assert (found[chosen] == kernel.ERASED).all()
        assert (np.delete(found, chosen) == kernel.OK).all()
        epoch = workspace.ring._epoch(epoch_number)
        paths = epoch.paths(numbers)
        assert not epoch.tree.alive(paths).any()
        # No stored seed is a leaf that was erased, and none lies on the way from the root to one.
        state = epoch.to_state()
        assert not any(leaf.tobytes() in state for leaf in old_leaves)
        for depth, start in zip(epoch.tree._depths.tolist(), epoch.tree._starts.tolist(), strict=True):
            assert not any(int(path) >> (64 - depth) == start >> (64 - depth) for path in paths[:20] if depth)
        # With the wrong leaf (any other one: here the zeros that stand for a lost leaf) the tag never holds.
        keys = workspace.ring.open_keys([epoch_number])
        assert (kernel.open_rows(sealed.take(pa.array(chosen)), keys, fields=["note"])[1] != kernel.OK).all()
        with pytest.raises(EpochError):
            seal(workspace, waybills(5_000))  # a number that was erased is not sealed again
        assert (
            kernel.sealable(waybills(5_000), workspace.ring.seal_keys([workspace.ring.today()]))[chosen]
            == kernel.ERASED
        ).all()


def test_t07_a_restored_backup_of_all_but_the_destroyed_key_version_brings_nothing_back(
    folder: Path, tmp_path: Path
) -> None:
    with reopen(folder) as workspace:
        sealed = seal(workspace, waybills(50))
    backup = tmp_path / "backup.db"
    shutil.copy(folder / "state.db", backup)
    with reopen(folder) as workspace:
        workspace.ring.erase(["YT00000007"])
    for leftover in folder.glob("state.db-*"):
        leftover.unlink()
    shutil.copy(backup, folder / "state.db")
    with pytest.raises(KeyAccessError), reopen(folder) as workspace:
        status(workspace.ring, sealed)


def test_t07_a_dump_three_years_old_does_not_open(folder: Path) -> None:
    clock = Clock()
    old = clock.time - timedelta(days=3 * 365)
    with reopen(folder, clock) as workspace:
        dump, fresh = seal(workspace, waybills(20, old)), seal(workspace, waybills(20))
        assert (status(workspace.ring, dump) == kernel.OK).all()
        gone = workspace.ring.destroy_before(date(2026, 1, 1))
        assert gone == [(old + timedelta(hours=8)).date()]
    with reopen(folder, clock) as workspace:
        assert (status(workspace.ring, dump) == kernel.NO_EPOCH).all()
        assert (status(workspace.ring, fresh) == kernel.OK).all()
        days = kernel.days_of(waybills(20, old), 480, 0)
        again = kernel.sealable(waybills(20, old), workspace.ring.seal_keys(np.unique(days).tolist()))
        assert (again == kernel.NO_EPOCH).all(), "a destroyed day is not opened again"


def test_t10_the_database_holds_no_key(folder: Path) -> None:
    with reopen(folder) as workspace:
        sealed = seal(workspace, waybills(5))
        (number,) = kernel.epochs_in(sealed)
        epoch = workspace.ring._epoch(number)
        secrets = [epoch._secret, epoch.tree._seeds.tobytes(), workspace.ring.pseudonym_key("search", 202611)._secret]
    stored = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not any(secret in stored for secret in secrets)


@pytest.mark.parametrize("step", ["create", "wrap", "commit", "destroy"])
def test_a_crash_at_any_step_leaves_a_ring_that_opens(folder: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    workspace = reopen(folder)
    sealed = seal(workspace, waybills(50))

    def crash(*_: object) -> None:
        raise RuntimeError("power cut")

    keys = workspace.ring._keys
    real_destroy = keys.destroy
    if step == "commit":
        monkeypatch.setattr(workspace.ring, "_load", crash)
    elif step == "destroy":
        calls: list[int] = []
        monkeypatch.setattr(keys, "destroy", lambda version: crash() if calls or version < 2 else real_destroy(version))
    else:
        monkeypatch.setattr(keys, step, crash)
    with pytest.raises(RuntimeError, match="power cut"):
        workspace.ring.erase(["YT00000007"])
    workspace.store.close()
    with reopen(folder) as after:
        found = status(after.ring, sealed)
        expected = kernel.ERASED if step == "destroy" else kernel.OK
        assert found[7] == expected
        assert (np.delete(found, 7) == kernel.OK).all()
        version = after.ring.kek_version
        assert min(after.ring._keys.versions()) == version, "what is older than the ring is destroyed"
        after.ring.rotate_kek()
        assert after.ring._keys.versions() == [version + 1], "and with the next change what was half-made"
        assert (np.delete(status(after.ring, sealed), 7) == kernel.OK).all()


def test_another_process_sees_the_erasure(folder: Path) -> None:
    with reopen(folder) as one:
        sealed = seal(one, waybills(50))
        script_ring = reopen(folder)
        script_ring.ring.erase(["YT00000007"])
        script_ring.store.close()
    with reopen(folder) as one:
        assert status(one.ring, sealed)[7] == kernel.ERASED
        assert one.ring.erase(["YT00000007"]).epochs == 0


def test_two_processes_that_both_erase_lose_no_key(folder: Path) -> None:
    one, two = reopen(folder), reopen(folder)
    sealed = seal(one, waybills(50))
    for round_ in range(3):
        one.ring.erase([f"YT{round_:08}"])
        two.ring.erase([f"YT{10 + round_:08}"])
    one.store.close()
    two.store.close()
    with reopen(folder) as after:
        found = status(after.ring, sealed)
        gone = [0, 1, 2, 10, 11, 12]
        assert (found[gone] == kernel.ERASED).all()
        assert (np.delete(found, gone) == kernel.OK).all()


def test_generations_and_rotation_keep_everything_readable(folder: Path) -> None:
    with reopen(folder) as workspace:
        first = seal(workspace, waybills(10))
        workspace.ring.rotate_epoch(date(2026, 11, 23))
        second = seal(workspace, waybills(10))
        assert (
            kernel.HEADER.unpack(second["note"][0].as_py()[:7])[1]
            == kernel.HEADER.unpack(first["note"][0].as_py()[:7])[1] + 1
        )
        assert workspace.ring.rotate_kek() == 2
        for sealed in (first, second):
            assert (status(workspace.ring, sealed) == kernel.OK).all()
        assert workspace.ring.erase(["YT00000001"]).epochs == 2


def test_wrong_passphrase_and_broken_key_file(folder: Path) -> None:
    with pytest.raises(PassphraseError):
        FileKeyStore(folder / "kek.key", "wrong")
    (folder / "kek.key").write_bytes(b"{}".ljust(1536, b"\0"))
    with pytest.raises(KeyAccessError):
        FileKeyStore(folder / "kek.key", PASSPHRASE)


# -- a state that is old, or was edited: nobody without the passphrase can have keys destroyed -----------------------


def edit(folder: Path, statement: str, *values: object) -> list[Any]:
    """What somebody does who may write the database and has no key."""
    with closing(sqlite3.connect(folder / "state.db")) as db, db:
        return db.execute(statement, values).fetchall()


def put_back(folder: Path, state: bytes) -> None:
    """Restore a ``state.db``, as one does: without what SQLite left beside it."""
    for leftover in folder.glob("state.db-*"):
        leftover.unlink()
    (folder / "state.db").write_bytes(state)


def name_version(folder: Path, version: object) -> None:
    edit(folder, "UPDATE setting SET value = ? WHERE name = 'kek_version'", str(version))


def key_versions(folder: Path) -> list[int]:
    return FileKeyStore(folder / "kek.key", PASSPHRASE).versions()


@pytest.mark.parametrize("version", [3, 7, 1, 0, -1, "", "two", "9" * 30, "9" * 5000])
def test_t10_an_edited_key_version_destroys_no_key(folder: Path, version: object) -> None:
    with reopen(folder) as workspace:
        sealed = seal(workspace, waybills(50))
        assert workspace.ring.rotate_kek() == 2
    name_version(folder, version)
    for _ in range(2):
        with pytest.raises(ParcelveilError) as caught:
            reopen(folder)
        assert "\n" not in str(caught.value) and caught.value.hint
    assert key_versions(folder) == [2]
    name_version(folder, 2)
    with reopen(folder) as workspace:
        assert (status(workspace.ring, sealed) == kernel.OK).all()


def test_t10_a_restored_old_state_destroys_no_key_and_the_newest_put_back_works(folder: Path) -> None:
    with reopen(folder) as workspace:
        sealed = seal(workspace, waybills(50))
    state, old = folder / "state.db", (folder / "state.db").read_bytes()
    with reopen(folder) as workspace:
        workspace.ring.erase(["YT00000007"])
    newest = state.read_bytes()
    put_back(folder, old)
    for _ in range(2):
        with pytest.raises(KeyAccessError, match="names key version 1") as caught:
            reopen(folder)
        assert "put the newest back" in caught.value.hint
    put_back(folder, newest)
    with reopen(folder) as workspace:
        found = status(workspace.ring, sealed)
    assert found[7] == kernel.ERASED and (np.delete(found, 7) == kernel.OK).all()


def test_t10_a_version_that_exists_and_opens_nothing_destroys_no_key(folder: Path) -> None:
    """Between two crashes there is a half-made newer key: the state may not be made to name it."""
    with reopen(folder) as workspace:
        sealed = seal(workspace, waybills(50))
        workspace.ring._keys.create(2)
    name_version(folder, 2)
    with pytest.raises(KeyAccessError, match="names key version 2"):
        reopen(folder)
    edit(folder, "DELETE FROM pseudonym_key")
    with pytest.raises(KeyAccessError, match="names key version 2"):
        reopen(folder)
    rows = edit(folder, "SELECT * FROM epoch")
    edit(folder, "DELETE FROM epoch")  # nothing is left to try the key with: then nothing is destroyed either
    reopen(folder).store.close()
    assert key_versions(folder) == [1, 2]
    for row in rows:
        edit(folder, "INSERT INTO epoch VALUES (?, ?, ?, ?, ?, ?)", *row)
    name_version(folder, 1)
    with reopen(folder) as workspace:
        assert (status(workspace.ring, sealed) == kernel.OK).all()


def stopped_before_destroying(workspace: Workspace) -> None:
    """A rotation whose old key version is still there when it ends."""
    destroy = workspace.ring._keys.destroy
    workspace.ring._keys.destroy = lambda version: None  # type: ignore[method-assign]
    workspace.ring.rotate_kek()
    workspace.ring._keys.destroy = destroy  # type: ignore[method-assign]


def test_t10_while_one_live_row_does_not_open_the_older_key_stays(folder: Path) -> None:
    with reopen(folder) as workspace:
        seal(workspace, waybills(5))
        seal(workspace, waybills(5, Clock().time - timedelta(days=1)))
        stopped_before_destroying(workspace)
    good = (folder / "state.db").read_bytes()
    edit(folder, "UPDATE epoch SET wrapped_key = randomblob(80) WHERE epoch = (SELECT max(epoch) FROM epoch)")
    with pytest.raises(KeyAccessError, match="does not fit"):
        reopen(folder)
    assert key_versions(folder) == [1, 2]
    put_back(folder, good)
    with reopen(folder):
        assert key_versions(folder) == [2]


def test_t10_an_old_state_spares_the_newer_key_that_is_there_beside_its_own(folder: Path) -> None:
    """The rotation was cut off after it was committed, and then the state from before it was restored."""
    with reopen(folder) as workspace:
        sealed = seal(workspace, waybills(50))
    old = (folder / "state.db").read_bytes()
    with reopen(folder) as workspace:
        stopped_before_destroying(workspace)
    newest = (folder / "state.db").read_bytes()
    put_back(folder, old)
    with reopen(folder) as workspace:
        assert workspace.ring.kek_version == 1
    assert key_versions(folder) == [1, 2]
    put_back(folder, newest)
    with reopen(folder) as workspace:
        assert (status(workspace.ring, sealed) == kernel.OK).all()
    assert key_versions(folder) == [2]


def test_t10_a_state_without_rows_may_not_name_another_version(folder: Path) -> None:
    with reopen(folder) as workspace:
        workspace.ring.rotate_kek()
    for version in (1, 3):
        name_version(folder, version)
        with pytest.raises(KeyAccessError, match=f"names key version {version}"):
            reopen(folder)
    assert key_versions(folder) == [2]


def test_t10_the_key_file_of_another_workspace_opens_nothing(folder: Path, tmp_path: Path) -> None:
    with reopen(folder) as workspace:
        seal(workspace, waybills(5))
    Workspace.init(tmp_path / "other", Settings(tenant="acme"), PASSPHRASE, Clock())
    shutil.copy(tmp_path / "other" / "kek.key", folder / "kek.key")
    with pytest.raises(KeyAccessError, match="names key version 1"):
        reopen(folder)


def test_t10_the_state_is_edited_under_a_running_process(folder: Path) -> None:
    with reopen(folder) as workspace:
        sealed = seal(workspace, waybills(50))
        ring = workspace.ring
        ring.rotate_kek()
        name_version(folder, 7)
        tomorrow = ring.today() + 1
        for change in (
            ring.refresh,
            ring.rotate_kek,
            lambda: ring.erase(["YT00000007"]),
            lambda: ring.destroy_before(date(2027, 1, 1)),
            lambda: ring.rotate_epoch(date(2026, 11, 23)),
            lambda: ring.seal_keys([tomorrow]),
            lambda: ring.secret("something new"),
        ):
            with pytest.raises(KeyAccessError, match="names key version 7"):
                change()
        assert ring.kek_version == 2 and key_versions(folder) == [2]
        assert (status(ring, sealed) == kernel.OK).all(), "the ring stays what it was"
        name_version(folder, 2)
        ring.seal_keys([tomorrow])
        assert ring.erase(["YT00000007"]).kek_version == 3
    assert key_versions(folder) == [3]


def test_a_rotation_finds_what_another_process_has_not_destroyed_yet(folder: Path) -> None:
    with reopen(folder) as one, reopen(folder) as two:
        sealed = seal(one, waybills(50))
        stopped_before_destroying(one)
        assert key_versions(folder) == [1, 2]
        assert two.ring.rotate_kek() == 3
        assert key_versions(folder) == [3]
        assert (status(two.ring, sealed) == kernel.OK).all()
