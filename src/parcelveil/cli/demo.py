"""``parcelveil demo``: everything in one go, on data of people who do not exist."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from parcelveil.cli.terminal import table
from parcelveil.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from parcelveil.seal.kernel import SealKeys
    from parcelveil.workspace import Workspace

Made = TypeVar("Made")
#: Two couriers, an export, and some who are nobody's.
LEAST = 120
_SHOWN = ("to_name", "to_phone", "to_address", "goods_name")


def demo(*, workspace: Path | None = None, count: int = 100_000) -> None:
    """Seal a sample day, erase a parcel, print labels, look through the desk, catch a forger, scan what leaked, watch who harvests. Takes a minute.

    Parameters
    ----------
    workspace
        An empty or new folder to keep everything in. Default: a temporary one, removed at the end.
    count
        How many waybills.
    """
    if count < LEAST:
        raise UsageError("the desk's part needs {least} waybills", hint="give --count {least} or more", least=LEAST)
    if workspace is not None:
        _demo(workspace, count)
        return
    with tempfile.TemporaryDirectory(prefix="parcelveil-demo-") as folder:
        _demo(Path(folder) / "workspace", count)


def _demo(folder: Path, count: int) -> None:
    import numpy as np
    import pyarrow as pa

    from parcelveil.cli.demo_desk import desk_demo
    from parcelveil.cli.demo_label import label_demo
    from parcelveil.cli.demo_scan import scan_demo
    from parcelveil.cli.demo_watch import watch_demo
    from parcelveil.seal import kernel
    from parcelveil.seal.mask import mask_column
    from parcelveil.simulate.parcels import parcels
    from parcelveil.waybill import WAYBILL, kind_of, personal_fields
    from parcelveil.workspace import Settings, Workspace

    passphrase = secrets.token_urlsafe(16)
    Workspace.init(folder, Settings(tenant="demo"), passphrase)
    with Workspace.open(folder, lambda: passphrase) as workspace:
        engine = workspace.engine
        kernel.seal_batch(
            next(parcels(1000)), _keys_of(workspace, next(parcels(1000)))
        )  # compiles what is not yet compiled
        day, made = _timed(lambda: list(parcels(count, batch_rows=16_384)))
        print(f"1. a sample day: {count:,} waybills of people who do not exist ({count / made:,.0f} rows/s)\n")
        keys = _keys_of(workspace, day[0])
        sealed, took = _timed(lambda: list(engine.map(lambda batch: kernel.seal_batch(batch, keys), day)))
        values = sum(b.num_rows - b[f.name].null_count for b in day for f in personal_fields(WAYBILL))
        print(f"2. sealed: {values:,} personal values, with masks and pseudonyms ({count / took:,.0f} waybills/s)\n")
        rows = []
        for place in range(3):
            for name in _SHOWN:
                # The left column is masked too: a demonstration shows nobody's data, not even invented.
                before = mask_column(day[0][name].slice(place, 1), str(kind_of(WAYBILL.field(name))))[0].as_py()
                after = sealed[0][name][place].as_py()
                shown = f"{after[:12].hex()}… ({len(after)} bytes)" if after else "-"
                rows.append(
                    [sealed[0]["waybill_no"][place].as_py() if name == _SHOWN[0] else "", name, before or "-", shown]
                )
        print(table(["waybill", "column", "what people see (mask)", "what is stored"], rows))
        one, neighbours = sealed[0].slice(1, 1), pa.Table.from_batches([sealed[0].slice(0, 1), sealed[0].slice(2)])
        number = one["waybill_no"][0].as_py()
        opened, took = _timed(lambda: kernel.open_batch(one, _open_keys(workspace, one)))
        same = opened["to_phone"][0].as_py() == day[0]["to_phone"][1].as_py()
        print(
            f"\n3. the key holder opens {number}: {'the value that was sealed' if same else 'WRONG'} ({took * 1e3:.1f} ms)"
        )
        erased, took = _timed(lambda: workspace.erase([number]))
        print(
            f"4. {number} is erased: key version {erased.kek_version} in force, the one before destroyed ({took * 1e3:.1f} ms)"
        )
        _, status = kernel.open_rows(one, _open_keys(workspace, one))
        beside = neighbours.combine_chunks().to_batches()[0]
        rest, rest_status = kernel.open_rows(beside, _open_keys(workspace, beside))
        print(f"5. opened again: {kernel.STATUS_TEXT[int(status[0])]}. Its {rest.num_rows:,} neighbours: "
              f"{int((rest_status == kernel.OK).sum()):,} open")  # fmt: skip
        jobs = ((batch, _open_keys(workspace, batch)) for batch in sealed)
        whole, took = _timed(lambda: list(engine.map(lambda job: kernel.open_rows(*job)[1], jobs)))
        opens = int(sum(np.count_nonzero(part == kernel.OK) for part in whole))
        print(f"6. the whole day opened: {opens:,} of {count:,} waybills ({count / took:,.0f} waybills/s)")
        tokens = label_demo(folder, sealed[0], day[0], 7)
        after = desk_demo(workspace, sealed[0], day[0], tokens, 9)
        after = scan_demo(folder, after)
        watch_demo(folder, after)


def _open_keys(workspace: Workspace, batch: pa.RecordBatch) -> SealKeys:
    """The key holder's keys for a batch, logged first like everybody's."""
    from parcelveil.seal import kernel
    from parcelveil.waybill import WAYBILL, personal_fields

    fields = [field.name for field in personal_fields(WAYBILL)]
    meter = workspace.release("open", batch, fields)
    return workspace.ring.open_keys(kernel.epochs_in(batch), meter=meter)


def _keys_of(workspace: Workspace, batch: pa.RecordBatch) -> SealKeys:
    import numpy as np

    from parcelveil.seal import kernel

    days = kernel.days_of(batch, workspace.settings.utc_offset_minutes, workspace.ring.today())
    return workspace.ring.seal_keys(np.unique(days).tolist())


def _timed(work: Callable[[], Made]) -> tuple[Made, float]:
    started = time.perf_counter()
    made = work()
    return made, time.perf_counter() - started
