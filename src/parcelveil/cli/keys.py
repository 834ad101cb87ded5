"""``parcelveil keys``."""

from __future__ import annotations

import json as json_format
from datetime import date

from cyclopts import App

from parcelveil.cli.erase import parse_date
from parcelveil.cli.terminal import Where, summary, table

app = App(name="keys", help="Make, rotate and list keys.")


@app.command
def init(where: Where | None = None) -> None:
    """Make the keys of a workspace that has none."""
    from parcelveil.workspace import Workspace, find

    where = where or Where()
    folder = find(where.workspace)
    Workspace.make_keys(folder, where.new_passphrase())
    print(f"made the keys of {folder}")


@app.command
def rotate(*, day: str | None = None, json: bool = False, where: Where | None = None) -> None:
    """Make a new key-encryption key and destroy the old one; with --day, a new epoch for that day.

    Example: parcelveil keys rotate

    Parameters
    ----------
    day
        Open a new epoch for this day (2026-11-23); files sealed before are moved to it with 'rewrap FILE'.
    json
        Summary as one JSON object on standard output.
    """
    with (where or Where()).open() as workspace:
        started = workspace.clock.now()
        if day is None:
            workspace.key_event("kek-rotated")
            version = workspace.ring.rotate_kek()
            summary(
                {"kek_version": version},
                [f"key version {version} is in force, the one before is destroyed"],
                as_json=json,
            )
        else:
            chosen: date = parse_date(day)
            workspace.key_event("epoch-rotated", chosen.isoformat())
            number = workspace.ring.rotate_epoch(chosen)
            summary({"epoch": number}, [f"{chosen} is sealed under epoch {number:#010x} from now on"], as_json=json)
        workspace.record("keys rotate", started, rows=0, values=0, rejected=0)


@app.command(name="list")
def list_(*, json: bool = False, where: Where | None = None) -> None:
    """List the epochs: day, generation, erased waybills, state. Shows no key."""
    with (where or Where()).open() as workspace:
        found = [
            {
                "epoch": f"{header.epoch:#010x}",
                "day": header.day.isoformat(),
                "generation": header.generation,
                "erased": row.erased,
                "state": f"destroyed {row.destroyed_at}" if row.destroyed_at else "live",
                "state_bytes": len(row.state),
            }
            for header, row in workspace.ring.headers()
        ]
        version = workspace.ring.kek_version
    if json:
        print(json_format.dumps({"kek_version": version, "epochs": found}))
        return
    print(f"key version {version}, {len(found)} epoch(s)")
    if found:
        print(table(list(found[0]), [[str(value) for value in row.values()] for row in found]))


@app.command
def export_public(where: Where | None = None) -> None:
    """Print what may be known of the epochs by everybody (JSON): numbers, salts, commitments, what was destroyed.

    A partner or a regulator can keep it, and later see that a key shown to them is the one that was in use, and
    which days were destroyed when.
    """
    with (where or Where()).open() as workspace:
        epochs = [
            {
                "epoch": header.epoch,
                "day": header.day.isoformat(),
                "suite": header.suite,
                "salt": header.salt.hex(),
                "commitment": header.commitment.hex(),
                "destroyed_at": row.destroyed_at or None,
            }
            for header, row in workspace.ring.headers()
        ]
        print(json_format.dumps({"tenant": workspace.settings.tenant, "epochs": epochs}, indent=1))
