"""Three days of a small office as files: six clerks who look at what lies at their outlet, and one who walks through numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from parcelveil.event import ACCESS, RECEIVED_AT, WORK

FIRST = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)  # nine in the morning
WALKER = "cl-66"
#: The walker's parcels, the first of which is a decoy where decoys are planted in this block.
WALK = [f"YT78912300{n:05}" for n in range(120)]


def _access(rows: list[dict[str, Any]], path: Path) -> None:
    given = {"role": "clerk", "outlet": "021007", "network": "203.0.113.0/24", "channel": "web", "action": "reveal",
             "records": 1, "fields": 7, "outcome": "ok"}  # fmt: skip
    table = pa.Table.from_pylist([{**dict.fromkeys(ACCESS.names), **given, **row} for row in rows], schema=ACCESS)
    pq.write_table(table, path)


def office(folder: Path, *, days: int = 3, walk: bool = True) -> Path:
    """``access/``, ``work/`` and ``accounts.csv`` in ``folder``. The walk is on the last day, from ten o'clock on."""
    for name in ("access", "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    number = 0
    for day in range(days):
        morning = FIRST + timedelta(days=day)
        looks, works = [], []
        for clerk in range(6):
            for parcel in range(20):
                number += 1
                waybill = f"SF{number * 7919 % 10**12:012}"
                at = morning + timedelta(minutes=20 * parcel + clerk)
                works.append(
                    {"event_id": f"W{number}", "event_time": at - timedelta(hours=1), "biz_step": "arrived",
                     "waybill_no": waybill, "outlet": "021007", "received_at": at - timedelta(hours=1)}
                )  # fmt: skip
                looks.append(
                    {"event_id": number, "event_time": at, "received_at": at, "actor": f"cl-{clerk}",
                     "device": f"PC-{clerk}", "waybill_no": waybill}
                )  # fmt: skip
        if walk and day == days - 1:
            for place, waybill in enumerate(WALK):
                at = morning + timedelta(hours=1, seconds=5 * place)
                looks.append(
                    {"event_id": 10**6 + place, "event_time": at, "received_at": at, "actor": WALKER,
                     "device": "PC-9", "waybill_no": waybill}
                )  # fmt: skip
        looks.sort(key=lambda row: (row["received_at"], row["event_id"]))
        name = f"{morning:%Y-%m-%d}.parquet"
        _access(looks, folder / "access" / name)
        schema = WORK.append(RECEIVED_AT)
        table = pa.Table.from_pylist([{**dict.fromkeys(schema.names), **row} for row in works], schema=schema)
        pq.write_table(table, folder / "work" / name)
    names = [*(f"cl-{n}" for n in range(6)), WALKER]
    register = ["actor,role,outlet", *(f"{name},clerk,021007" for name in names)]
    (folder / "accounts.csv").write_text("\n".join(register) + "\n", "utf-8")
    return folder
