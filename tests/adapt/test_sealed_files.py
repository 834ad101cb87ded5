"""Sealed waybills in files: what is found, of which revision, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from parcelveil.adapt import key_file
from parcelveil.adapt.sealed_files import SealedBatch, SealedFiles, newest
from parcelveil.errors import InputError
from parcelveil.seal import kernel
from parcelveil.simulate.parcels import parcels
from parcelveil.waybill import WAYBILL
from parcelveil.workspace import Settings, Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("w") / "acme"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_file, "_SCRYPT_N", 1 << 8)
        Workspace.init(folder, Settings(tenant="acme"), "a passphrase")
        return Workspace.open(folder, lambda: "a passphrase")


@pytest.fixture(scope="module")
def clear() -> pa.RecordBatch:
    return next(parcels(60, seed=3))


def seal(workspace: Workspace, clear: pa.RecordBatch) -> pa.RecordBatch:
    days = kernel.days_of(clear, 480, 0)
    return kernel.seal_batch(clear, workspace.ring.seal_keys(np.unique(days).tolist()))


@pytest.fixture(scope="module")
def sealed(workspace: Workspace, clear: pa.RecordBatch) -> pa.RecordBatch:
    return seal(workspace, clear)


def revised(workspace: Workspace, clear: pa.RecordBatch, revision: int, phone: str) -> pa.RecordBatch:
    rows = [row | {"revision": revision, "to_phone": phone} for row in clear.to_pylist()]
    return seal(workspace, pa.RecordBatch.from_pylist(rows, schema=WAYBILL))


def write(path: Path, *batches: pa.RecordBatch) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_batches(batches)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=16)
    else:
        feather.write_feather(table, path, compression="uncompressed")
    return path


COLUMNS = ["to_name", "to_name_mask"]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.feather"])
def test_rows_of_a_file(tmp_path: Path, sealed: pa.RecordBatch, name: str) -> None:
    source = SealedFiles([write(tmp_path / name, sealed)], "acme")
    numbers = sealed["waybill_no"].to_pylist()
    found = source.find([numbers[40], "NOPE", numbers[3], numbers[3]], COLUMNS)
    assert found.schema.names == ["waybill_no", *COLUMNS]
    assert {row["waybill_no"]: row["to_name"] for row in found.to_pylist()} == {
        numbers[i]: sealed["to_name"][i].as_py() for i in (3, 40)
    }


def test_a_folder_is_read_anew_each_time(tmp_path: Path, sealed: pa.RecordBatch) -> None:
    write(tmp_path / "day1" / "a.parquet", sealed.slice(0, 30))
    source = SealedFiles([tmp_path], "acme")
    numbers = sealed["waybill_no"].to_pylist()
    assert source.find([numbers[0], numbers[50]], COLUMNS).num_rows == 1
    write(tmp_path / "day2" / "b.arrow", sealed.slice(30))
    (tmp_path / "day2" / "notes.txt").write_text("not sealed")
    (tmp_path / "day2" / ".c.parquet").write_bytes(b"half a file, on its way")
    assert source.find([numbers[0], numbers[50]], COLUMNS).num_rows == 2


def test_files_and_memory_agree(tmp_path: Path, sealed: pa.RecordBatch) -> None:
    numbers = sealed["waybill_no"].to_pylist()
    asked = [*numbers[10:20], "NOPE"]
    files = SealedFiles([write(tmp_path / "a.parquet", sealed)], "acme").find(asked, COLUMNS)
    memory = SealedBatch(sealed).find(asked, COLUMNS)
    assert sorted(files.to_pylist(), key=str) == sorted(memory.to_pylist(), key=str)
    for source in (SealedFiles([tmp_path], "acme"), SealedBatch(sealed)):
        assert source.find([], COLUMNS).num_rows == 0
        assert source.find(numbers[:2], []).schema.names == ["waybill_no"]
        assert source.find(numbers[:2], ["waybill_no"]).schema.names[0] == "waybill_no"


def test_t7_the_highest_revision_counts(
    tmp_path: Path, workspace: Workspace, clear: pa.RecordBatch, sealed: pa.RecordBatch
) -> None:
    """Whatever the order of files: a corrected phone replaces the wrong one, which is not found any more."""
    old, new = "+8613900000001", "+8613900000002"
    first, second = revised(workspace, clear.slice(0, 5), 1, old), revised(workspace, clear.slice(0, 2), 2, new)
    write(tmp_path / "a.parquet", second)
    write(tmp_path / "b.parquet", first, sealed.slice(5))
    numbers = clear["waybill_no"].to_pylist()
    memory = SealedBatch(pa.Table.from_batches([second, first, sealed.slice(5)]).combine_chunks().to_batches()[0])
    for source in (SealedFiles([tmp_path], "acme"), memory):
        found = source.find(numbers[:3], ["to_phone", "revision"])
        assert {r["waybill_no"]: r["revision"] for r in found.to_pylist()} == dict(
            zip(numbers[:3], (2, 2, 1), strict=True)
        )
        for batch, expected in ((first, numbers[2:5]), (second, numbers[:2])):
            wanted = [batch["to_phone_pn"][0].as_py()]
            rows = source.find_pseudonyms("to_phone_pn", wanted, 100, ["to_phone_mask"])
            assert sorted(rows["waybill_no"].to_pylist()) == sorted(expected)
            assert rows.schema.names == ["waybill_no", "to_phone_mask"]
            assert source.find_pseudonyms("to_phone_pn", wanted, 1, []).num_rows == 1
        assert source.find_pseudonyms("to_phone_pn", [], 100, []).num_rows == 0


def test_of_equal_revisions_the_last(workspace: Workspace, clear: pa.RecordBatch) -> None:
    batches = [revised(workspace, clear.slice(0, 2), 1, phone) for phone in ("+8613900000001", "+8613900000002")]
    (row, _) = newest(pa.Table.from_batches(batches)).to_pylist()
    assert row["to_phone"] == batches[1]["to_phone"][0].as_py()


def test_a_file_without_some_columns(tmp_path: Path, sealed: pa.RecordBatch) -> None:
    """Written by an older version: what it does not have is null, and searches pass it over."""
    names = [name for name in sealed.schema.names if not name.startswith("note") and not name.endswith("_pn")]
    schema = pa.schema([sealed.schema.field(name) for name in names], metadata=sealed.schema.metadata)
    batch = pa.RecordBatch.from_arrays([sealed[name] for name in names], schema=schema)
    source = SealedFiles([write(tmp_path / "a.parquet", batch)], "acme")
    found = source.find(sealed["waybill_no"].to_pylist()[:2], ["note", "to_name"])
    assert found["note"].null_count == 2
    assert found["to_name"].null_count == 0
    wanted = sealed["to_phone_pn"].to_pylist()[:1]
    assert source.find_pseudonyms("to_phone_pn", wanted, 5, []).num_rows == 0
    write(tmp_path / "b.parquet", sealed.slice(0, 1))
    assert SealedFiles([tmp_path], "acme").find_pseudonyms("to_phone_pn", wanted, 5, []).num_rows == 1


def no_parquet(folder: Path, sealed: pa.RecordBatch) -> Path:
    (folder / "a.parquet").write_bytes(b"PAR1" * 10)
    return folder / "a.parquet"


def cut_off(folder: Path, sealed: pa.RecordBatch) -> Path:
    path = write(folder / "a.parquet", sealed)
    path.write_bytes(path.read_bytes()[:-200])
    return path


def clear_data(folder: Path, sealed: pa.RecordBatch) -> Path:
    return write(folder / "a.parquet", next(parcels(5, seed=1)))


def of_another_tenant(folder: Path, sealed: pa.RecordBatch) -> Path:
    metadata = {**(sealed.schema.metadata or {}), b"parcelveil.tenant": b"other"}
    return write(folder / "a.parquet", sealed.replace_schema_metadata(metadata))


def of_no_kind(folder: Path, sealed: pa.RecordBatch) -> Path:
    (folder / "a.csv").write_text("waybill_no\nYT1\n")
    return folder / "a.csv"


def without_numbers(folder: Path, sealed: pa.RecordBatch) -> Path:
    return write(folder / "a.parquet", sealed.drop_columns(["waybill_no"]))


def of_odd_types(folder: Path, sealed: pa.RecordBatch) -> Path:
    at = sealed.schema.get_field_index("revision")
    texts = pc.cast(sealed["revision"], pa.string()).fill_null("x")
    return write(folder / "a.parquet", sealed.set_column(at, "revision", pc.if_else(pa.scalar(True), "many", texts)))


def gone(folder: Path, sealed: pa.RecordBatch) -> Path:
    return folder / "gone.parquet"


@pytest.mark.parametrize(
    "make", [no_parquet, cut_off, clear_data, of_another_tenant, of_no_kind, without_numbers, of_odd_types, gone]
)
def test_what_cannot_be_used(tmp_path: Path, sealed: pa.RecordBatch, make: object) -> None:
    path = make(tmp_path, sealed)  # type: ignore[operator]
    source = SealedFiles([path], "acme")
    with pytest.raises(InputError) as told:
        source.find(sealed["waybill_no"].to_pylist()[:3], COLUMNS)
    assert path.name in str(told.value)
    assert str(tmp_path) not in str(told.value)
    with pytest.raises(InputError):
        source.find_pseudonyms("to_phone_pn", sealed["to_phone_pn"].to_pylist()[:1], 5, ["revision"])


def test_nothing_anywhere() -> None:
    found = SealedFiles([], "acme").find(["YT1"], COLUMNS)
    assert (found.num_rows, found.schema.names) == (0, ["waybill_no", *COLUMNS])
