"""Opening a handful of rows gives what the kernel gives, for good rows and for every kind of bad one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from parcelveil.adapt import key_file
from parcelveil.errors import KeyAccessError
from parcelveil.seal import kernel
from parcelveil.seal.few import open_few, standing_few
from parcelveil.seal.meter import Drawn
from parcelveil.seal.standing import standing
from parcelveil.simulate.parcels import parcels
from parcelveil.waybill import WAYBILL, personal_fields
from parcelveil.workspace import Settings, Workspace

FIELDS = [field.name for field in personal_fields(WAYBILL)]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(key_file, "_SCRYPT_N", 1 << 8)
    Workspace.init(tmp_path / "w", Settings(tenant="acme"), "a passphrase")
    return Workspace.open(tmp_path / "w", lambda: "a passphrase")


def sealed_rows(workspace: Workspace, count: int, seed: int) -> pa.RecordBatch:
    clear = next(parcels(count, seed=seed))
    revisions = pa.array((np.arange(count) % 3 * 300).astype(np.uint16))
    clear = clear.set_column(clear.schema.get_field_index("revision"), clear.schema.field("revision"), revisions)
    days = kernel.days_of(clear, 480, 0)
    return kernel.seal_batch(clear, workspace.ring.seal_keys(np.unique(days).tolist()))


def agree(workspace: Workspace, sealed: pa.RecordBatch) -> list[int]:
    """Both ways over the same rows; returns the statuses."""
    keys = workspace.ring.open_keys(kernel.epochs_in(sealed))
    clear, status = kernel.open_rows(sealed, keys)
    records, few = open_few(sealed, keys, FIELDS)
    assert few.tolist() == status.tolist()
    assert records == clear.select(FIELDS).to_pylist()
    known = [s if s != kernel.TAMPERED else kernel.OK for s in status.tolist()]
    assert standing_few(sealed, keys, FIELDS).tolist() == known
    return [int(code) for code in status]


def test_good_rows(workspace: Workspace) -> None:
    assert set(agree(workspace, sealed_rows(workspace, 300, seed=5))) == {kernel.OK}


def test_erased_rows_and_their_neighbours(workspace: Workspace) -> None:
    sealed = sealed_rows(workspace, 40, seed=6)
    workspace.ring.erase(sealed["waybill_no"].to_pylist()[:7])
    status = agree(workspace, sealed)
    assert status == [kernel.ERASED] * 7 + [kernel.OK] * 33
    keys = workspace.ring.open_keys(kernel.epochs_in(sealed))
    assert standing(sealed, keys).tolist() == status


@pytest.mark.parametrize("place", [0, 1, 4, 5, 6, 7, 20, -1])
def test_changed_rows(workspace: Workspace, place: int) -> None:
    sealed = sealed_rows(workspace, 12, seed=7)
    column = sealed["to_phone"].to_pylist()
    for row in range(0, 12, 2):
        value = bytearray(column[row])
        value[place] ^= 0x41
        column[row] = bytes(value)
    changed = sealed.set_column(
        sealed.schema.get_field_index("to_phone"), sealed.schema.field("to_phone"), pa.array(column)
    )
    status = agree(workspace, changed)
    assert all(status[row] != kernel.OK for row in range(0, 12, 2))
    assert all(status[row] == kernel.OK for row in range(1, 12, 2))


def test_moved_and_cut_values(workspace: Workspace) -> None:
    sealed = sealed_rows(workspace, 6, seed=8)
    column = sealed["to_name"].to_pylist()
    column = [column[1], column[0], column[2][:-1], b"", b"\x01", column[5]]
    moved = sealed.set_column(
        sealed.schema.get_field_index("to_name"), sealed.schema.field("to_name"), pa.array(column)
    )
    assert agree(workspace, moved)[:5] == [kernel.TAMPERED] * 2 + [kernel.MALFORMED] * 3


def test_t10_no_more_is_opened_than_was_drawn(workspace: Workspace) -> None:
    sealed = sealed_rows(workspace, 4, seed=9)
    values = kernel.values_in(sealed, ["to_name"])
    keys = workspace.ring.open_keys(kernel.epochs_in(sealed), meter=Drawn(values))
    assert open_few(sealed, keys, ["to_name"])[1].tolist() == [kernel.OK] * 4
    for way in (
        lambda: open_few(sealed, keys, ["to_name"]),
        lambda: kernel.open_rows(sealed, keys, fields=["to_name"]),
    ):
        with pytest.raises(KeyAccessError, match="more values"):
            way()
